/** The JavaScript API: its types are those of the implementation and of the documents' examples; every call and event of it does something. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pictures, root } from './lib.mjs';

const ECHO = '-bios made/echo.bin -m 16';
const TYPES = path.join(root, 'web/lib/slipway.d.ts');
const typescript = () => createRequire(path.join(root, 'build/npm/package.json'))('typescript');

/** Public members of a class or interface of a source file: name -> number of parameters (-1: no method). */
function members(file, name) {
  const ts = typescript();
  const source = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const declared = source.statements.find((s) => s.name?.text === name);
  const found = new Map();
  for (const member of declared.members) {
    if (!member.name || ts.isPrivateIdentifier(member.name)) continue;
    found.set(member.name.getText(source), ts.isMethodDeclaration(member) || ts.isMethodSignature(member) ? member.parameters.length : -1);
  }
  return found;
}

/** What the compiler complains about. */
function complaints(files, options) {
  const ts = typescript();
  const program = ts.createProgram(files, {
    noEmit: true, strict: true, skipLibCheck: false, target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.esnext.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'], types: [], ...options,
  });
  return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), { getCurrentDirectory: () => root, getCanonicalFileName: (f) => f, getNewLine: () => '\n' });
}

export function test_types_are_those_of_the_library(t) {
  for (const [file, name] of [['pc.js', 'PC'], ['terminal.js', 'Terminal']]) {
    const documented = members(TYPES, name);
    const written = members(path.join(root, 'web/lib', file), name);
    documented.delete('addEventListener'); // inherited; the types know the events
    if (name === 'Terminal') written.delete('deliver'); // the worker's
    if (name === 'PC') written.delete('args');
    const show = (all) => [...all].map(([member, count]) => `${member}/${count}`).sort().join(' ');
    t.equal(show(written), show(documented), `what ${name} has`);
  }
  const [, taken] = /constructor\(\{ (.*?) \}\)/.exec(fs.readFileSync(path.join(root, 'web/lib/pc.js'), 'utf8'));
  t.equal(taken.split(/ = [^,]*,? ?/).filter(Boolean).sort().join(), [...members(TYPES, 'StartOptions').keys()].sort().join(), 'options');
  const site = path.join(pictures, 'types');
  fs.rmSync(site, { recursive: true, force: true });
  for (const directory of ['documented', 'written']) fs.mkdirSync(path.join(site, directory), { recursive: true });
  for (const file of fs.readdirSync(path.join(root, 'web/lib'))) fs.copyFileSync(path.join(root, 'web/lib', file), path.join(site, file.endsWith('.d.ts') ? 'documented' : 'written', file));
  fs.copyFileSync(path.join(root, 'tests/web/types/compare.mts'), path.join(site, 'compare.mts'));
  t.equal(complaints([path.join(site, 'compare.mts')], { allowJs: true, checkJs: false }), '', 'comparing them');
}

/** The examples in the documents are compiled against the types. */
export function test_examples_of_the_documents_fit_the_types(t) {
  const site = path.join(pictures, 'examples');
  fs.rmSync(site, { recursive: true, force: true });
  fs.mkdirSync(site, { recursive: true });
  fs.copyFileSync(TYPES, path.join(site, 'slipway.d.ts'));
  fs.writeFileSync(path.join(site, 'names.d.ts'), "declare const pc: import('./slipway.js').PC;\ndeclare const file: File;\n");
  const files = [];
  for (const page of ['docs/web.md', 'web/npm/README.md']) {
    for (const [, code] of fs.readFileSync(path.join(root, page), 'utf8').matchAll(/^```js\n([^]*?)^```/gm)) {
      files.push(path.join(site, `example-${files.length}.mts`));
      // The page has its canvas.
      fs.writeFileSync(files.at(-1), `${code.replace("querySelector('canvas')", "querySelector('canvas')!")}\nexport {};\n`);
    }
  }
  if (files.length < 3) throw new Error(`only ${files.length} examples`);
  t.equal(complaints([...files, path.join(site, 'names.d.ts')], { paths: { slipway: [path.join(site, 'slipway.d.ts')] } }), '', 'compiling the examples');
}

export async function test_every_call_of_the_library_does_what_it_says(t) {
  const page = await t.open('embed.html');
  const wanted = [...members(TYPES, 'PC').keys()].filter((name) => !['constructor', 'addEventListener'].includes(name));
  const result = await page.evaluate(async (echo) => {
    const { Slipway } = await import('./slipway.js');
    const used = new Set();
    const got = {};
    const events = new Set();
    const waiting = [];
    const hear = (name) => (detail) => {
      events.add(name);
      for (const w of [...waiting]) if (w.name === name && w.test(detail)) waiting.splice(waiting.indexOf(w), 1), w.resolve(detail);
    };
    const event = (name, test = () => true) => new Promise((resolve) => waiting.push({ name, test, resolve }));
    const on = Object.fromEntries(['state', 'terminal', 'progress', 'log', 'resize', 'qmp', 'restored', 'transfer', 'network', 'frame', 'captured', 'exit', 'error'].map((name) => [name, hear(name)]));
    const said = (promise) => Promise.resolve(promise).then(() => 'done', (e) => e.message);
    const watched = (pc) => new Proxy(pc, {
      get(target, name) {
        used.add(name);
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

    const canvas = document.createElement('canvas');
    document.body.append(canvas);
    const pc = watched(Slipway.create({ args: `${echo} -netdev user,id=n0 -device e1000,netdev=n0,id=card,romfile= -drive if=floppy,file=floppy`, files: { floppy: new Uint8Array(1474560) }, canvas, on }));
    got.starting = pc.state;
    await pc.started;
    const serial = pc.serial();
    await serial.expect('READY');
    got.terminals = [...pc.terminals.keys()].sort().join();
    serial.send(Uint8Array.of(104, 105, 33));
    got.heard = await serial.expect(/hi!/);

    const paused = event('state', (s) => s === 'paused');
    await pc.pause();
    await paused;
    const before = await pc.instructions();
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    got.stands = await pc.instructions() === before;
    const running = event('state', (s) => s === 'running');
    await pc.run();
    await running;

    const state = await pc.snapshot();
    got.state = `${state.constructor.name} ${state.size > 1000}`;
    const restored = event('restored');
    await pc.restore(state);
    await restored;
    got.damaged = await said(pc.restore(state.slice(0, state.size / 2)));
    const again = serial.expect('READY');
    const reset = event('qmp', (e) => e.event === 'RESET');
    await pc.reset();
    await Promise.all([again, reset]);

    const bitmap = await createImageBitmap(await pc.screenshot());
    got.picture = `${bitmap.width}x${bitmap.height} of ${pc.screenSize.width}x${pc.screenSize.height}`;
    got.text = typeof await pc.screenText(); // no text mode
    got.keys = [pc.key('KeyA', true), pc.key('KeyA', false), pc.key('NoSuchKey', true)].join();
    await pc.type('Text!\n');
    got.typed = await said(pc.type('ü'));
    got.combination = await pc.sendKeys('ctrl-alt-f1');
    got.noKey = await pc.sendKeys('nothing');
    got.absolute = pc.pointerIsAbsolute;
    pc.pointer({ x: 5, y: 5, buttons: 1 });
    pc.pointer({ x: 16000, y: 100, absolute: true });
    pc.releaseKeys();
    got.qmp = (await pc.qmp('query-version')).qemu !== undefined;
    got.monitor = await pc.monitor('info status');

    await pc.changeMedium('floppy0', new File([new Uint8Array(1474560)], 'other.img'));
    got.medium = await pc.monitor('info block');
    await pc.changeMedium('floppy0');
    got.empty = await pc.monitor('info block');

    const all = await pc.network();
    got.network = all.map((c) => `${c.name} ${c.type} ${c.peer} ${c.link}`).join('; ');
    pc.watchNetwork(50);
    await event('network');
    const down = event('network', (clients) => clients.some((c) => c.name === 'card' && c.link === 'down'));
    await pc.setLink('card', false);
    await down;
    await pc.setLink('card', true);
    pc.watchNetwork(0);

    await pc.plug('netdev', 'hubport,id=h0,hubid=0');
    await pc.plug('netdev', 'user,id=n1');
    await pc.plug('device', 'virtio-net-pci,id=second,netdev=n1,romfile=');
    got.plugged = (await pc.network()).map((c) => c.name).sort().join();
    await pc.unplug('netdev', 'h0');
    const asked = await said(pc.unplug('device', 'second'));
    got.unplugged = asked;
    got.unknown = await said(pc.unplug('netdev', 'nothing'));
    await pc.startCapture('n0');
    await pc.stopCapture();
    got.noCapture = await said(pc.startCapture('nothing'));
    got.put = await said(pc.putFile('/x', 'y'));
    got.get = await said(pc.getFile('/x'));
    const power = event('qmp', (e) => e.event === 'POWERDOWN');
    await pc.powerDown();
    await power;
    await pc.stop();
    got.late = await said(pc.run());

    // One without a canvas, which gets it later; and one that fails.
    const plain = watched(await Slipway.start({ args: '-m 16 -netdev user,id=n0 -device e1000,netdev=n0', on }));
    const shown = document.createElement('canvas');
    plain.attachCanvas(shown);
    plain.enlargeCanvas(2);
    while (shown.width !== 2 * plain.screenSize.width) await new Promise((resolve) => { setTimeout(resolve, 20); });
    await plain.startCapture('n0');
    await plain.startCapture('n0', { id: 'second', maxLength: 20 }); // which must not mix with the first
    got.noSerial = await said((async () => plain.serial(3))());
    // iPXE in the card asks for an address.
    const frame = await event('frame', ({ capture, data }) => capture === 'page-capture' && data[12] === 8 && data[13] === 0);
    got.frame = `${frame.length === frame.data.length} ${frame.time > 1.7e9 || frame.time}`;
    const [whole, short] = await Promise.all([event('frame', (f) => f.capture === 'page-capture'), event('frame', (f) => f.capture === 'second')]);
    got.captures = `${whole.data.length === whole.length} ${short.data.length} ${short.length > 20}`;
    got.words = await plain.screenText();
    await plain.stop();
    got.failed = await said(Slipway.start({ args: '-m nothing', on }));
    return { got, used: [...used], events: [...events].sort() };
  }, ECHO);
  const { got, used, events } = result;
  t.equal(wanted.filter((name) => !used.includes(name)).join(), '', 'calls that nobody made');
  const named = [...members(TYPES, 'PCEvents').keys()].sort();
  t.equal(named.filter((name) => !events.includes(name)).join(), 'pointer,transfer', 'events that nobody heard'); // test_input.mjs and test_files.mjs hear those
  t.equal(got.starting, 'starting', 'the state at first');
  t.equal(got.absolute, false, 'positions for a PS/2 mouse');
  t.match(got.terminals, /compat_monitor0,serial0/, 'the terminals');
  t.match(got.heard, /hi!/, 'bytes through the line');
  t.equal(got.stands, true, 'a PC that is paused stands still');
  t.equal(got.state, 'Blob true', 'a snapshot');
  t.match(got.damaged, /damaged/, 'a half snapshot');
  t.match(got.picture, /^(\d+x\d+) of \1$/, 'the screenshot');
  t.equal(got.text, 'object', 'the text of a screen without text');
  t.match(got.words, /iPXE|SeaBIOS/, 'the text of the screen');
  t.equal(got.keys, 'true,true,false', 'keys by code');
  t.match(got.typed, /no key for 'ü'/, 'text without keys');
  t.equal(got.combination, '', 'keys together');
  t.match(got.noKey, /nothing/, 'unknown keys');
  t.equal(got.qmp, true, 'query-version');
  t.match(got.monitor, /VM status: running/, 'the monitor');
  t.match(got.medium, /floppy0[^\n]*other\.img/, 'the medium');
  t.match(got.empty, /floppy0: \[not inserted\]/, 'the empty drive');
  t.equal(got.network, 'card nic n0 up; n0 user card up', 'the network');
  t.match(got.plugged, /card,n0,n1,second/, 'what was plugged in');
  t.equal(got.unplugged, 'done', 'asking for a device');
  t.match(got.unknown, /nothing/, 'a netdev that there is not');
  t.match(got.noCapture, /'netdev' expects/, 'a capture of nothing');
  t.match(got.put + got.get, /without fileTransfer.*without fileTransfer/, 'files without a port');
  t.match(got.late, /not running/, 'a PC that has ended');
  t.match(got.noSerial, /serial port 3 is not on a terminal.*serial0/, 'a serial port that there is not');
  t.equal(got.frame, 'true true', 'a frame');
  t.equal(got.captures, 'true 20 true', 'frames of two captures');
  t.match(got.failed, /-m|nothing/, 'a bad option');
}

export async function test_element_fires_the_events_of_its_pc(t) {
  t.expectedErrors = [/404/];
  const page = await t.open('embed.html');
  const got = await page.evaluate(async ({ echo, names }) => {
    const element = document.createElement('slipway-pc');
    document.body.append(element);
    const heard = new Map();
    for (const name of ['start', ...names]) element.addEventListener(name, ({ detail }) => heard.set(name, detail ?? null));
    element.setAttribute('cmd', `${echo} -netdev user,id=n0 -device e1000,netdev=n0,id=card`);
    const pc = await element.start({ files: {} });
    const same = element.pc === pc && heard.get('start') === pc;
    await pc.serial().expect('READY');
    pc.watchNetwork(20);
    await pc.restore(await pc.snapshot());
    while (!heard.has('network')) await new Promise((resolve) => { setTimeout(resolve, 20); });
    await pc.stop();
    element.setAttribute('cmd', '-bios made/no.bin');
    const message = await element.start().catch((e) => e.message);
    const alert = element.shadowRoot.querySelector('[role=alert]').textContent;
    return { same, heard: [...heard.keys()].sort().join(), message, alert };
  }, { echo: ECHO, names: [...members(TYPES, 'PCEvents').keys()] });
  t.equal(got.same, true, "the element's PC");
  for (const name of ['start', 'state', 'terminal', 'progress', 'resize', 'restored', 'network', 'exit', 'error']) t.match(got.heard, new RegExp(`\\b${name}\\b`), 'the events');
  t.match(got.message, /no\.bin: 404/, 'a missing file');
  t.equal(got.alert.split('\n')[0], got.message, 'what the element shows');
}

/** The calls and events that the iframe has are the library's, and those that the document names. */
export function test_calls_of_the_iframe_are_those_of_the_document(t) {
  const source = fs.readFileSync(path.join(root, 'web/widget/embed.js'), 'utf8');
  const calls = [...source.slice(source.indexOf('const calls'), source.indexOf('\n};', source.indexOf('const calls'))).matchAll(/^ {2}(\w+): /gm)].map((m) => m[1]).sort();
  const page = fs.readFileSync(path.join(root, 'docs/web.md'), 'utf8');
  const words = (text) => [...text.matchAll(/`(\w+)(?:\([^)]*\))?`/g)].map((m) => m[1]).sort();
  t.equal(words(/ Calls: ([^]*?)\.\n/.exec(page)[1]).join(' '), calls.join(' '), 'the calls');
  const events = [...members(TYPES, 'PCEvents').keys(), 'ready', 'output'].sort();
  t.equal(words(/for what happens \(([^]*?)\)/.exec(page)[1]).join(' '), events.join(' '), 'the events');
  const table = page.slice(page.indexOf('| event | detail |')).split('\n\n')[0].split('\n').slice(2).flatMap((row) => words(row.split('|')[1]));
  t.equal([...table, 'ready', 'output'].sort().join(' '), events.join(' '), 'the table of events');
  const library = [...members(TYPES, 'PC').keys()];
  const own = ['start', 'send', 'setView'];
  t.equal(calls.filter((name) => !library.includes(name) && !own.includes(name)).join(), '', 'calls that the library lacks');
}
