/** The library, the element, the iframe. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { installGuest, pictures, root, serveToAll } from './lib.mjs';

const ECHO = '-bios made/echo.bin -m 16 -nic none';

export async function test_library_starts_drives_and_stops_a_pc(t) {
  const page = await t.open('embed.html');
  const result = await page.evaluate(async (echo) => {
    const { Slipway } = await import('./slipway.js');
    const states = [];
    const pc = await Slipway.start({ args: echo, on: { state: (s) => states.push(s) } });
    await pc.serial().expect('READY');
    pc.serial().send('one two');
    const text = await pc.serial().expect(/two/);
    await pc.pause();
    await pc.run();
    const png = new Uint8Array(await (await pc.screenshot()).arrayBuffer());
    const status = await pc.qmp('query-status');
    const unknown = await pc.qmp('no-such-command').catch((e) => e.message);
    const info = await pc.monitor('info status');
    const counts = [await pc.instructions()];
    await new Promise((resolve) => setTimeout(resolve, 300));
    counts.push(await pc.instructions());
    await pc.stop();
    const late = await pc.monitor('info status').catch((e) => e.message);
    const bad = await Slipway.start({ args: ['-bios', 'made/no.bin'] }).catch((e) => e.message);
    return { text, states, png: String.fromCharCode(...png.slice(1, 4)), status: status.status, unknown, info, ran: counts[1] > counts[0], late, bad };
  }, ECHO);
  t.match(result.text, /one two$/, 'the echo');
  t.equal(result.states.join(), 'running,paused,running,ended', 'the states');
  t.equal(result.png, 'PNG', 'the screenshot');
  t.equal(result.status, 'running', 'query-status');
  t.match(result.unknown, /no-such-command has not been found/, 'an unknown command');
  t.match(result.info, /VM status: running/, 'the monitor');
  t.equal(result.ran, true, 'instructions go on');
  t.match(result.late, /not running/, 'a PC that was stopped');
  t.match(result.bad, /made\/no\.bin: 404/, 'a missing file');
  t.expectedErrors = [/404/];
}

export async function test_a_flood_on_the_serial_line_is_complete_and_holds_the_guest_back(t) {
  const page = await t.open('embed.html');
  const got = await page.evaluate(async (echo) => {
    const { Slipway } = await import('./slipway.js');
    const pc = await Slipway.start({ args: echo });
    await pc.serial().expect('READY');
    const sent = Uint8Array.from({ length: 200000 }, (_, i) => 97 + (i % 16));
    let received = 0;
    let wrong = -1;
    const done = new Promise((resolve) => pc.serial().listen(async (bytes) => {
      for (const b of bytes) if (b !== 97 + (received++ % 16) && wrong < 0) wrong = received;
      await new Promise((r) => setTimeout(r, 1)); // a slow reader
      if (received === sent.length) resolve();
    }));
    await Promise.resolve();
    pc.serial().send(sent);
    await done;
    await pc.stop();
    return { received, wrong };
  }, ECHO);
  t.equal(`${got.received} ${got.wrong}`, '200000 -1', 'bytes and the first wrong one');
}

/** Processor time in ms of each task of the browser's dedicated workers, from now until the function that it returns is called: Chromium only. */
async function watchWorkers(browser) {
  const session = await browser.newBrowserCDPSession();
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { recordMode: 'recordUntilFull', includedCategories: ['toplevel'], excludedCategories: ['*'] } });
  return async () => {
    const complete = new Promise((resolve) => { session.once('Tracing.tracingComplete', resolve); });
    await session.send('Tracing.end');
    await complete;
    const thread = (e) => `${e.pid} ${e.tid}`;
    const workers = new Set(events.filter((e) => e.name === 'thread_name' && e.args.name.startsWith('DedicatedWorker')).map(thread));
    return events.filter((e) => e.name.endsWith('::RunTask') && workers.has(thread(e))).map((e) => (e.tdur ?? 0) / 1000).sort((x, y) => x - y);
  };
}

const share = () => Math.max(1, os.loadavg()[0] / os.cpus().length);
/** The value that @part of the sorted @values is not above. */
const quantile = (values, part) => values[Math.min(values.length - 1, Math.floor(values.length * part))];

/**
 * While one PC boots Linux and the other computes: how much processor time their workers take until they look at messages again, whatever else the
 * machine does; and how long messages wait in the workers' queues (both clocks are the same). That depends on what else runs: 5 ms for half and 20 ms for 95 % of
 * them where each PC has a core for itself; where others compute, too, in proportion more.
 */
export async function test_two_pcs_on_a_page_and_input_under_full_load(t) {
  installGuest();
  const copy = path.join(pictures, 'timed');
  fs.cpSync(path.join(root, 'build/web'), copy, { recursive: true });
  fs.appendFileSync(path.join(copy, 'worker.js'), `
    const delays = [];
    addEventListener('message', ({ data }) => {
      if (data.sent) delays.push(performance.timeOrigin + performance.now() - data.sent);
      if (data.type === 'tell') postMessage({ type: 'log', text: JSON.stringify(delays) });
    });`);
  const page = await t.open('made/timed/embed.html');
  await page.evaluate(async ([echo, linux]) => {
    const post = Worker.prototype.postMessage;
    const workers = new Set();
    Worker.prototype.postMessage = function send(message, ...rest) {
      workers.add(this);
      return post.call(this, message.type === 'key' ? { ...message, sent: performance.timeOrigin + performance.now() } : message, ...rest);
    };
    const { Slipway } = await import('./slipway.js');
    const told = [];
    const start = (args) => Slipway.start({ args, on: { log: (text) => text.startsWith('[') && told.push(...JSON.parse(text)) } });
    const pcs = await Promise.all([start(echo), start(linux)]);
    await pcs[0].serial().expect('READY');
    globalThis.busy = { pcs, told, tell: () => workers.forEach((worker) => post.call(worker, { type: 'tell' })) };
  }, ['-bios ../echo.bin -m 16 -nic none', '-m 512 -kernel guest/vmlinuz.gz -initrd guest/boot.gz -drive file=guest/root.img,format=raw,if=virtio,readonly=on -append console=ttyS0 -nic none']);
  const stopWatching = t.session.browserName === 'chromium' && (await watchWorkers(t.session.browser));
  const delays = await page.evaluate(async () => {
    const { pcs, told, tell } = globalThis.busy;
    for (let i = 0; i < 500; i++) {
      for (const pc of pcs) pc.key('KeyA', i % 2 === 0);
      await new Promise((resolve) => { setTimeout(resolve, 5 + Math.random() * 15); });
    }
    tell();
    while (told.length < 1000) await new Promise((resolve) => { setTimeout(resolve, 50); });
    return told.sort((x, y) => x - y);
  });
  const tasks = stopWatching && (await stopWatching());
  await page.evaluate(async () => {
    const [a, b] = globalThis.busy.pcs;
    const answer = a.serial().expect('over;');
    a.serial().send('over;');
    await answer;
    await Promise.all([a.stop(), b.stop()]);
  });
  const [median, most] = [quantile(delays, 0.5), quantile(delays, 0.95)];
  console.log(`    input waits: median ${median.toFixed(1)} ms, 95 % below ${most.toFixed(1)} ms, 99 % below ${quantile(delays, 0.99).toFixed(1)} ms, worst ${delays.at(-1).toFixed(1)} ms; ${share().toFixed(1)} processes a core`);
  if (tasks) {
    const [usual, rare] = [quantile(tasks, 0.99), quantile(tasks, 0.999)];
    console.log(`    ${tasks.length} tasks of the workers in processor time: 99 % below ${usual.toFixed(1)} ms, 99.9 % below ${rare.toFixed(1)} ms, worst ${tasks.at(-1).toFixed(1)} ms`);
    if (tasks.length < 1000) throw new Error(`the workers looked at their messages ${tasks.length} times only`);
    if (usual > 6 || rare > 10) throw new Error('the workers are away from their messages for too long');
  }
  if (median > 5 * share() || most > 20 * share()) throw new Error('input waits for too long');
}

export async function test_element_shows_a_button_a_screen_and_a_terminal(t) {
  const page = await t.open(`embed.html?cmd=${encodeURIComponent(ECHO)}&view=serial0`);
  await page.getByRole('button', { name: 'Start' }).click();
  await page.locator('.xterm-rows').getByText('READY').waitFor();
  await t.picture(page, 'terminal');
  await t.accessible(page, 'the element');
  await page.evaluate(() => document.querySelector('slipway-pc').setAttribute('view', 'screen'));
  await page.locator('canvas').waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Continue' }).waitFor();
}

export async function test_iframe_on_another_site_obeys_that_site_only(t) {
  const address = `${t.otherUrl}embedder.html?site=${encodeURIComponent(t.url)}&cmd=${encodeURIComponent(ECHO)}`;
  const page = await t.open(address);
  await t.eventually(() => page.evaluate(() => globalThis.output), /READY/, 'the serial line');
  await page.evaluate(() => call('send', 'serial0', 'hello across'));
  await t.eventually(() => page.evaluate(() => globalThis.output), /hello across/, 'the echo');
  t.equal(await page.evaluate(() => call('state')), 'running', 'the state');
  t.match(await page.evaluate(() => call('fly').catch((e) => e.message)), /no call 'fly'/, 'an unknown call');
  t.match(await page.evaluate(() => call('send', 'tape', 'x').catch((e) => e.message)), /no terminal 'tape'.*serial0/, 'an unknown terminal');
  await page.evaluate(() => call('pause'));
  await t.eventually(() => page.evaluate(() => globalThis.events.join()), /state running.*state paused/, 'the events');
  await t.picture(page, 'iframe');

  const stranger = await t.open(`${address}&origin=https://somebody.else.example`);
  await stranger.frameLocator('iframe').getByRole('button', { name: 'Pause' }).and(stranger.frameLocator('iframe').locator(':enabled')).waitFor();
  const answer = await stranger.evaluate(() => Promise.race([call('pause'), new Promise((r) => setTimeout(() => r('silence'), 1500))]));
  t.equal(answer, 'silence', "the answer to a page that isn't the one");
  t.equal(await stranger.evaluate(() => globalThis.events.length), 0, 'events that it hears of');
  t.expectedErrors = [/postMessage.*origin/];
}

/** A frame without an origin of its own gets the modules only from a server that lets everybody read them; otherwise it says so. */
export async function test_sandboxed_iframe_runs_or_says_why_not(t) {
  t.expectedErrors = [/CORS/, /ERR_FAILED/];
  const open = await serveToAll();
  try {
    const frame = (site) => `<iframe sandbox="allow-scripts" title="A PC" width="700" height="300" src="${site}embed.html?cmd=${encodeURIComponent(ECHO)}&view=serial0&autostart"></iframe>`;
    fs.writeFileSync(path.join(pictures, 'sandbox.html'), `<!doctype html><html lang="en"><head><title>Frames</title><link rel="icon" href="data:,"></head><body>${frame(t.url)}${frame(`${open.url}sub/path/`)}</body></html>`);
    const page = await t.open('made/sandbox.html');
    await page.frameLocator('iframe >> nth=1').locator('.xterm-rows').getByText('READY').waitFor();
    t.match(await page.frameLocator('iframe >> nth=0').getByRole('alert').first().textContent(), /^This PC can't be loaded: its frame is sandboxed.*allow-same-origin.*Access-Control-Allow-Origin: \*/, 'the message');
    t.equal(await page.frameLocator('iframe >> nth=1').locator('#trouble').textContent(), '', 'a message of the PC that runs');
    await t.picture(page, 'frames');
  } finally {
    open.close();
  }
}

export async function test_single_file_runs_in_a_sandboxed_iframe_from_any_server(t) {
  const frame = (sandbox, id) => `<iframe ${sandbox} title="${id}" width="700" height="300" src="${t.url}embed-single.html?view=serial0&origin=${new URL(t.url).origin}"></iframe>`;
  fs.writeFileSync(path.join(pictures, 'single.html'), `<!doctype html><html lang="en"><head><title>Frames</title><link rel="icon" href="data:,"></head><body>${frame('sandbox="allow-scripts"', 'sandboxed')}${frame('', 'as it is')}</body></html>`);
  const { requests } = t.session.site;
  const before = requests.length;
  const page = await t.open('made/single.html');
  for (const at of [0, 1]) await page.frameLocator(`iframe >> nth=${at}`).getByRole('button', { name: 'Start' }).waitFor();
  // A frame without an origin can read no server's files, but gets them from its page; the card's ROM is in the file.
  const image = fs.readFileSync(path.join(pictures, 'echo.bin')).toString('base64');
  await page.evaluate((bios) => {
    const files = { 'echo.bin': new Blob([Uint8Array.from(atob(bios), (c) => c.charCodeAt(0))]) };
    for (const { contentWindow } of document.querySelectorAll('iframe')) {
      contentWindow.postMessage({ slipway: 1, id: 1, call: 'start', args: [{ args: '-m 16 -bios echo.bin -nic user,model=e1000', files }] }, '*');
    }
  }, image);
  for (const at of [0, 1]) await page.frameLocator(`iframe >> nth=${at}`).locator('.xterm-rows').getByText('READY').waitFor();
  t.equal(await page.frames()[1].evaluate(() => globalThis.origin), 'null', "the sandboxed frame's origin");
  const asked = new Set(requests.slice(before).map((r) => path.basename(r.path)));
  t.equal([...asked].join(), 'single.html,embed-single.html', 'what the frames read from the server');
  await t.picture(page, 'frames');
}

export async function test_each_option_is_an_attribute_of_the_element(t) {
  const page = await t.open('embed.html');
  const args = await page.evaluate(async () => {
    const element = document.querySelector('slipway-pc');
    const { Slipway } = await import('./slipway.js');
    const create = Slipway.create;
    const { parseOptions } = await import('./option-table.js');
    const options = [...parseOptions(await (await fetch('options.md')).text()).values()];
    for (const { name, argument } of options) element.setAttributeNS(null, name, argument ? `a ${name}\n  b` : '');
    element.setAttribute('class', 'x');
    element.setAttribute('cmd', '-m 3');
    const got = await new Promise((resolve) => {
      Slipway.create = (given) => {
        resolve(given.args);
        return create(given);
      };
      element.start().catch(() => {});
    });
    Slipway.create = create;
    return { got, wanted: `-m 3 ${options.map(({ name, argument }) => (argument ? `-${name} 'a ${name}' -${name} b` : `-${name}`)).join(' ')}` };
  });
  t.equal(args.got, args.wanted, 'the command line');

  // In the address of the iframe's page, where there are capitals, and options may stand several times.
  const other = await t.open('embed.html?m=16&bios=made/echo.bin&nodefaults=&chardev=vc,id=a&serial=chardev:a&chardev=vc,id=b&serial=chardev:b&view=a&autostart&origin=http://nobody');
  await other.locator('.xterm-rows').getByText('READY').waitFor();
  t.match(await other.evaluate(() => document.querySelector('slipway-pc').pc.monitor('info chardev').catch((e) => e.message)), /\bb\b/, 'the second one');

  t.expectedErrors = [/404/, /postMessage/];
  const bad = await t.open('embed.html?autostart&m=16&nic=none&cdrom=nowhere.iso');
  const cover = bad.locator('[data-part=message]');
  await t.eventually(() => cover.textContent(), /nowhere\.iso: 404.*\n.*Check the name/, 'the message');
  await t.picture(bad, 'message');
  await t.accessible(bad, 'the message');
  t.equal(await bad.getByRole('button', { name: 'Start again' }).isVisible(), true, 'the button');
}
