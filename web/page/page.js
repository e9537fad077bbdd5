/**
 * The page: settings, one PC, its views. The parts are in their own files; here they are put together.
 *
 * The URL's ?cmd= is a command line, which is started at once, ?edit= one that is only shown; what is edited or started is put there, so
 * that the address can be passed on. ?start starts what the page starts with by itself. Everything that goes wrong is told in one place, #message.
 */
import { Slipway, joinCommandLine, splitCommandLine } from './slipway.js';
import { Downloads } from './downloads.js';
import { FilesMenu } from './files-menu.js';
import { MachineEditor } from './machine-editor.js';
import { Messages } from './messages.js';
import { NetworkView } from './network-view.js';
import { SavedStates } from './saved-states.js';
import { ScreenView } from './screen-view.js';
import { Tabs } from './tabs.js';
import { TerminalView } from './terminal-view.js';
import { PORT_OPTIONS } from './transfer.js';
import { humanBytes } from './units.js';

// What scripts/run puts there, and its relay.
const DEFAULT = '-m 512 -kernel guest/vmlinuz.gz -initrd guest/boot.gz -drive file=guest/root.img,format=raw,if=virtio,readonly=on ' +
  '-append "console=ttyS0 quiet mitigations=off" -netdev user,id=net0,relay=slipway -device virtio-net-pci,netdev=net0,romfile= -device virtio-rng-pci ' + // ssh waits for random numbers
  joinCommandLine(PORT_OPTIONS);
const PRESETS = [
  ['Linux with a network', 'A shell with curl, ssh, tcpdump, iperf3 and more, on a serial terminal', DEFAULT],
  ['Memory test', 'memtest86+ on the graphics screen', '-m 128 -kernel guest/memtest64.bin -nic none'],
];
/** Keys that browsers keep for themselves, or keyboards don't have, by QEMU's names. */
const KEYS = {
  F: Array.from({ length: 12 }, (_, i) => `f${i + 1}`),
  Navigation: ['insert', 'delete', 'home', 'end', 'pgup', 'pgdn', 'print', 'menu', 'meta_l'],
  Together: ['alt-tab', 'alt-f4', 'ctrl-c', 'ctrl-alt-f1', 'ctrl-alt-f2', 'ctrl-alt-f7', 'ctrl-esc', 'alt-sysrq-b'],
};
const UPDATE_MS = 1000;
const get = (id) => document.getElementById(id);

const files = {}; // name -> File that the user gave
const messages = new Messages(get('message'), get('notices'));
const downloads = new Downloads(get('progress'));
const tabs = new Tabs(get('tabs'), get('panels'));
const screen = new ScreenView(get('frame'));
const network = new NetworkView(get('network'), showMessage);
const editor = new MachineEditor(get('editor'), get('command'), { files, changed(text) {
  showAddress(text);
  showPreset();
} });
const states = new SavedStates(get('states'), {
  pc: living,
  commandLine: () => get('command').value,
  async start(command) {
    await pc?.stop();
    get('command').value = command;
    editor.read();
    await start();
    await pc?.started;
  },
  attempt,
});
const filesMenu = new FilesMenu(get('files-menu'), { pc: living, files, command: get('command'), changed: () => editor.read(), attempt });
let terminals = [];
let pc = null;
const disks = new Map(); // name -> bytes read while it runs
let early = []; // what the emulator said before the PC ran

/** The PC, if it is on. */
function living() {
  return ['starting', 'running', 'paused'].includes(pc?.state) ? pc : null;
}

// ---- Messages ----

function showMessage(text) {
  messages.show(text);
}

/** Before the PC runs, what is on its way; afterwards only how much of its disks was read. */
function showProgress(file) {
  if (!pc || pc.state === 'starting') {
    downloads.show(file);
    return;
  }
  disks.set(file.name, file.loaded);
  get('disk').textContent = `disk ${humanBytes([...disks.values()].reduce((sum, n) => sum + n, 0))}`;
}

/** The emulator's warnings; those of a start that fails are in its error, too. */
function showLog(line) {
  if (pc?.state === 'starting') early.push(line);
  else messages.log(line);
}

/** The address that leads to this command line; a file of the user's can't be passed on. */
function showAddress(text, key = 'edit') {
  if (Object.keys(files).length) return;
  const url = new URL(location);
  url.search = `?${key}=${encodeURIComponent(text)}`;
  history.replaceState(null, '', url);
}

/** An error of a PC, at the setting that it is about, too. */
function showError(e) {
  showMessage(e.message);
  if (pc?.state === 'failed') {
    showState();
    editor.showError(e.message);
  }
}

// ---- Files of the user ----

/** The option that makes sense for a file of that name and size. */
function optionFor(file) {
  if (/vmlinu|bzimage/i.test(file.name)) return '-kernel';
  if (/initr|\.cpio/i.test(file.name)) return '-initrd';
  if (/\.iso$/i.test(file.name)) return '-cdrom';
  return file.size <= 2880 * 1024 ? '-fda' : '-hda';
}

function addFiles(list) {
  for (const file of list) {
    files[file.name] = file;
    const words = splitCommandLine(get('command').value);
    const option = optionFor(file);
    const at = words.indexOf(option);
    if (at < 0) words.push(option, file.name);
    else words[at + 1] = file.name;
    // What boots of itself needs no kernel of the page's.
    if (option !== '-kernel' && option !== '-initrd' && !files[words[words.indexOf('-kernel') + 1]]) {
      for (const name of ['-kernel', '-initrd', '-append']) if (words.includes(name)) words.splice(words.indexOf(name), 2);
      const root = words.findIndex((word, i) => words[i - 1] === '-drive' && word.startsWith('file=guest/'));
      if (root > 0) words.splice(root - 1, 2);
    }
    get('command').value = joinCommandLine(words);
    editor.read();
    get('file-list').append(Object.assign(document.createElement('li'), { textContent: `${file.name} (${humanBytes(file.size)})` }));
  }
  showPreset();
}

function watchDrops() {
  const zone = get('drop');
  addEventListener('dragover', (e) => {
    e.preventDefault();
    zone.classList.toggle('over', !pc);
  });
  addEventListener('dragleave', () => zone.classList.remove('over'));
  addEventListener('drop', async (e) => {
    e.preventDefault();
    zone.classList.remove('over');
    const dropped = [...e.dataTransfer.files];
    if (!pc) addFiles(dropped);
    else if (dropped.length) await change(dropped[0]);
  });
  get('files').addEventListener('change', (e) => addFiles(e.target.files));
}

/** A file that is dropped on a running PC goes into its CD or floppy drive. */
async function change(file) {
  const drive = /\.iso$/i.test(file.name) ? 'ide1-cd0' : 'floppy0';
  await attempt(() => pc.changeMedium(drive, file));
}

/** Shows what @action complains about. */
async function attempt(action) {
  showMessage('');
  try {
    return await action();
  } catch (e) {
    showMessage(e.message);
  }
}

// ---- The PC ----

function showState() {
  const state = pc?.state ?? 'off';
  const alive = ['starting', 'running', 'paused'].includes(state);
  if (get('state').textContent !== state) get('state').textContent = state;
  get('state').dataset.state = state;
  get('start').hidden = alive;
  get('setup').hidden = alive;
  get('machine').hidden = !pc || (state === 'failed' && !terminals.length); // what a PC left behind can be looked at
  for (const id of ['pause', 'reset', 'power', 'stop']) get(id).hidden = !alive;
  states.update(alive && state !== 'starting');
  filesMenu.update();
  get('pause').textContent = state === 'paused' ? 'Continue' : 'Pause';
  get('pause').dataset.icon = state === 'paused' ? 'run' : 'pause';
  for (const id of ['pause', 'reset', 'power']) get(id).disabled = state === 'starting';
  document.title = alive ? `Slipway – ${state}` : 'Slipway';
  if (!alive) for (const id of ['speed', 'rates', 'disk']) get(id).textContent = '';
}

function addTerminal(terminal) {
  const label = terminal.name.replace(/^compat_monitor\d+$/, 'Monitor').replace(/^serial(\d)$/, (_, n) => `Serial ${Number(n) + 1}`);
  const { tab, panel } = tabs.add(label, get('network-tab'));
  const frame = document.createElement('div');
  frame.className = 'terminal-frame';
  const inner = document.createElement('div');
  frame.append(inner);
  panel.append(frame);
  panel.hidden = false;
  const view = new TerminalView(inner, terminal);
  panel.append(view.keys);
  panel.hidden = true;
  panel.addEventListener('shown', () => {
    view.fit();
    view.focus();
  });
  terminals.push({ tab, view });
}

function clearViews() {
  for (const { tab, view } of terminals) {
    view.dispose();
    tabs.remove(tab);
  }
  terminals = [];
}

/** Does the kernel talk on the serial line, or on the screen? */
function firstView(args) {
  const wanted = args.includes('-nographic') || /console=ttyS/.test(args.join(' '));
  return wanted ? terminals.find(({ tab }) => /Serial|stdio/.test(tab.textContent))?.tab : null;
}

async function start() {
  messages.clear();
  clearViews();
  downloads.clear();
  disks.clear();
  early = [];
  const view = tabs.selected;
  const made = await attempt(() => {
    const args = splitCommandLine(get('command').value);
    return { args, pc: Slipway.create({ args, files, on: { progress: showProgress, terminal: addTerminal, error: showError, log: showLog } }) };
  });
  if (!made) return;
  pc = made.pc;
  pc.addEventListener('state', showState);
  pc.addEventListener('exit', ({ detail }) => {
    if (detail) showMessage(`The PC ended with status ${detail}.`);
  });
  get('command-line').textContent = joinCommandLine(made.args);
  if (pc.state !== 'failed') screen.show(pc);
  network.show(pc);
  filesMenu.show(pc);
  showState();
  try {
    await pc.started;
  } catch {
    return; // the event "error" has told
  } finally {
    downloads.clear();
  }
  early.forEach((line) => messages.log(line));
  showAddress(joinCommandLine(made.args), 'cmd');
  if (tabs.selected === view) tabs.select(firstView(made.args) ?? get('screen-tab')); // nobody has chosen another meanwhile
}

let lastInstructions = { count: 0, time: 0 };

/** Speed, rates, the screen's text: once a second. */
async function update() {
  if (!pc || !['running', 'paused'].includes(pc.state)) return;
  const count = await pc.instructions();
  const time = performance.now();
  const mips = (count - lastInstructions.count) / (time - lastInstructions.time) / 1000;
  lastInstructions = { count, time };
  if (mips >= 0) get('speed').textContent = `${mips.toFixed(mips < 10 ? 1 : 0)} MIPS`;
  const { down, up } = await network.update();
  get('rates').textContent = network.latest.length ? `↓ ${humanBytes(down)}/s ↑ ${humanBytes(up)}/s` : '';
  if (get('text-view').open) get('screen-text').textContent = (await pc.screenText()) ?? '(graphics)';
}

async function updates() {
  await update().catch(() => {}); // it ended meanwhile
  setTimeout(updates, UPDATE_MS);
}

// ---- Buttons ----

function wireButtons() {
  const click = (id, action) => get(id).addEventListener('click', () => attempt(action));
  click('start', start);
  click('pause', () => (pc.state === 'paused' ? pc.run() : pc.pause()));
  click('reset', () => pc.reset());
  click('power', () => pc.powerDown());
  click('stop', () => pc.stop());
  click('fullscreen', () => screen.fullscreen());
  click('mouse', () => screen.capture());
  click('screenshot', saveScreenshot);
  get('setup').addEventListener('submit', (e) => e.preventDefault());
  get('command').addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) start();
  });
  get('more-keys').append(...Object.entries(KEYS).map(([label, names]) => {
    const group = Object.assign(document.createElement('optgroup'), { label });
    group.append(...names.map((name) => new Option(labelOf(name), name)));
    return group;
  }));
  get('more-keys').addEventListener('change', () => {
    attempt(() => pc.sendKeys(get('more-keys').value));
    get('more-keys').value = '';
  });
  for (const button of document.querySelectorAll('[data-keys]')) button.addEventListener('click', () => attempt(() => pc.sendKeys(button.dataset.keys)));
  for (const button of document.querySelectorAll('[data-code]')) button.addEventListener('click', () => pressKey(button));
  get('type').addEventListener('keydown', async (e) => {
    if (e.key !== 'Enter' || e.isComposing) return;
    e.preventDefault();
    const text = get('type').value;
    get('type').value = '';
    await attempt(() => pc.type(`${text}\n`));
    releaseModifiers();
  });
}

const labelOf = (keys) => keys.split('-').map((key) => ({ pgup: 'Page up', pgdn: 'Page down', meta_l: 'Windows', sysrq: 'SysRq' })[key] ?? key[0].toUpperCase() + key.slice(1)).join('+');

const modifiers = () => [...document.querySelectorAll('[data-code][aria-pressed=true]')];

function releaseModifiers() {
  for (const button of modifiers()) {
    pc.key(button.dataset.code, false);
    button.setAttribute('aria-pressed', 'false');
  }
}

/** Ctrl and Alt stay down until the next key. */
function pressKey(button) {
  const { code } = button.dataset;
  if (button.hasAttribute('aria-pressed')) {
    const down = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(down));
    pc.key(code, down);
    return;
  }
  pc.key(code, true);
  setTimeout(() => {
    pc?.key(code, false);
    releaseModifiers();
  }, 50);
}

async function saveScreenshot() {
  const link = Object.assign(document.createElement('a'), { download: 'slipway.png', href: URL.createObjectURL(await pc.screenshot()) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// ---- What to run ----

function addPresets() {
  get('choices').prepend(...PRESETS.map(([title, text, command]) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', className: 'choice' });
    button.append(Object.assign(document.createElement('strong'), { textContent: title }), Object.assign(document.createElement('span'), { textContent: text }));
    button.addEventListener('click', () => {
      get('command').value = command;
      editor.read();
      showAddress(command);
      showPreset();
    });
    return button;
  }));
}

/** Which of them the command line is. */
function showPreset() {
  PRESETS.forEach(([, , command], i) => get('choices').children[i].setAttribute('aria-pressed', String(get('command').value === command)));
}

// ---- Beginning ----

const query = new URLSearchParams(location.search);
get('command').value = query.get('cmd') ?? query.get('edit') ?? DEFAULT;
editor.load(new URL('options.md', import.meta.url)).catch((e) => showMessage(`The settings can't be shown: ${e.message}`));
addPresets();
showPreset();
wireButtons();
watchDrops();
showState();
updates();
if (query.has('cmd') || query.has('start')) start();
globalThis.slipway = { get pc() { return pc; } }; // for the browser's console
