/**
 * A PC in an iframe, for pages of other sites: embed.html?cmd=...&view=...&autostart&controls=none&file-transfer&origin=https://the.page
 *
 * The parameters are <slipway-pc>'s attributes, all of the emulator's options among them. With "origin" the page of exactly that origin can drive the PC by postMessage; anybody
 * else's messages are ignored, and without it all are. Requests are {slipway: 1, id, call, args}; the answer is {slipway: 1, id,
 * value} or {slipway: 1, id, error}. Events come as {slipway: 1, event, detail} to that origin only.
 */
import './slipway-pc.js';

const query = new URLSearchParams(location.search);
const element = document.querySelector('slipway-pc');
const origin = query.get('origin');
const post = (message) => {
  if (origin) parent.postMessage({ slipway: 1, ...message }, origin);
};

/** What a page may call. Everything is data: no functions cross. */
const calls = {
  start: async (options = {}) => void (await element.start(options)),
  run: () => element.pc.run(),
  pause: () => element.pc.pause(),
  reset: () => element.pc.reset(),
  powerDown: () => element.pc.powerDown(),
  stop: () => element.pc.stop(),
  state: () => element.pc?.state ?? 'off',
  send: (terminal, data) => pick(terminal).send(data),
  type: (text) => element.pc.type(text),
  sendKeys: (combination) => element.pc.sendKeys(combination),
  screenshot: () => element.pc.screenshot(),
  screenText: () => element.pc.screenText(),
  qmp: (command, args) => element.pc.qmp(command, args),
  monitor: (line) => element.pc.monitor(line),
  snapshot: (options) => element.pc.snapshot(options),
  restore: (state) => element.pc.restore(state),
  putFile: (name, data, options) => element.pc.putFile(name, data, options),
  getFile: (name, options) => element.pc.getFile(name, options),
  plug: (kind, text) => element.pc.plug(kind, text),
  unplug: (kind, id) => element.pc.unplug(kind, id),
  setLink: (name, up) => element.pc.setLink(name, up),
  network: () => element.pc.network(),
  watchNetwork: (ms) => element.pc.watchNetwork(ms),
  changeMedium: (drive, file) => element.pc.changeMedium(drive, file),
  startCapture: (netdev, options) => element.pc.startCapture(netdev, options),
  stopCapture: (id) => element.pc.stopCapture(id),
  setView: (view) => element.setAttribute('view', view),
};

function pick(name) {
  const terminal = element.pc?.terminals.get(name);
  if (!terminal) throw new Error(`there is no terminal '${name}'; there are: ${[...(element.pc?.terminals.keys() ?? [])].join(', ')}`);
  return terminal;
}

addEventListener('message', async ({ data, origin: from, source }) => {
  if (!origin || from !== origin || source !== parent || data?.slipway !== 1 || !('id' in data)) return;
  const { id, call, args = [] } = data;
  try {
    if (!Object.hasOwn(calls, call)) throw new Error(`there is no call '${call}'`);
    if (!element.pc && !['start', 'state', 'setView'].includes(call)) throw new Error('the PC was not started');
    post({ id, value: await calls[call](...args) });
  } catch (e) {
    post({ id, error: e.message });
  }
});

element.addEventListener('start', ({ detail: pc }) => {
  pc.addEventListener('terminal', ({ detail: terminal }) => {
    post({ event: 'terminal', detail: terminal.name });
    terminal.listen((data) => post({ event: 'output', detail: { terminal: terminal.name, data } }));
  });
});
for (const event of ['state', 'progress', 'log', 'resize', 'qmp', 'restored', 'pointer', 'transfer', 'network', 'frame', 'captured', 'exit']) {
  element.addEventListener(event, ({ detail }) => post({ event, detail }));
}
element.addEventListener('error', ({ detail }) => post({ event: 'error', detail: detail.message }));

for (const name of new Set(query.keys())) {
  if (['origin', 'autostart'].includes(name)) continue;
  try {
    element.setAttributeNS(null, name, query.getAll(name).join('\n')); // which, unlike setAttribute(), knows capitals
  } catch {
    console.warn(`embed.html: '${name}' is no option`);
  }
}
post({ event: 'ready' });
if (query.has('autostart')) element.start().catch(() => {}); // the element tells
