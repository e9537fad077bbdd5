/**
 * A PC's worker. The page's side is web/lib/pc.js; the messages are listed there.
 *
 * It starts with everything that is needed at once on its way: the wasm module, the BIOS and the VGA BIOS. Boot ROMs of network cards are
 * fetched when the machine opens them. Then main() runs with the options as its arguments.
 */
import createSlipway from './core.mjs';
import { get, download, watched } from './files.js';
import { slipwayHost as host } from './host.js';

const FIRMWARE = ['bios-256k.bin', 'vgabios-stdvga.bin'];
const BOOT_ROMS = ['efi-e1000.rom', 'efi-virtio.rom', 'pxe-ne2k_pci.rom', 'pxe-pcnet.rom', 'pxe-rtl8139.rom'];
const share = (name) => new URL(`share/${name}`, import.meta.url).href;

let core = null; // Emscripten's module
let lastError = ''; // what the program said last on stderr
host.post = (message, transfer = []) => postMessage(message, transfer);
host.crashed = (e) => host.post({ type: 'failed', crashed: true, message: `the emulator crashed: ${e}`, stack: e?.stack });

/** The wasm module, compiled while it comes in. */
async function instantiate(imports) {
  const url = new URL('core.wasm', import.meta.url).href;
  const response = await get('core.wasm', url);
  const counted = watched(response, (loaded, total) => host.progress('core.wasm', loaded, total));
  if (counted.headers.get('Content-Type') === 'application/wasm') return WebAssembly.instantiateStreaming(counted, imports);
  return WebAssembly.instantiate(await counted.arrayBuffer(), imports);
}

/** What a browser says about code that it doesn't know, for people. */
function understood(e) {
  if (e instanceof WebAssembly.CompileError) return new Error(`this browser lacks a WebAssembly feature that the emulator needs (${e.message})`);
  if (e instanceof RangeError) return new Error(`the browser can't allocate the emulator's memory (${e.message})`);
  return e;
}

/** What the page gave for TFTP: files whose names begin with the DIR/ of a tftp=DIR. @returns {Promise<[string, Uint8Array][]>} */
function filesForTftp(args, files) {
  const directories = args.flatMap((arg) => /(?:^|,)tftp=([^,]+)/.exec(arg)?.[1] ?? []);
  const given = Object.entries(files).filter(([name]) => directories.some((directory) => name.startsWith(`${directory}/`)));
  return Promise.all(given.map(async ([name, file]) => [name, await download(name, file instanceof Blob ? file : new URL(file, host.base).href, host.progress)]));
}

async function start({ args, files, base }) {
  Object.assign(host, { files, base });
  const forTftp = filesForTftp(args, files);
  const firmware = Promise.all(FIRMWARE.map(async (name) => [name, await download(name, share(name), host.progress)]));
  const module = {
    arguments: args,
    thisProgram: 'slipway',
    print: (text) => host.post({ type: 'log', text }),
    printErr(text) {
      lastError = text;
      host.post({ type: 'log', text });
    },
    preRun() {
      module.FS.mkdir('/share');
      module.addRunDependency('firmware');
      Promise.all([firmware, forTftp]).then(([all, served]) => {
        for (const [name, data] of served) {
          module.FS.mkdirTree(name.replace(/[^/]*$/, ''));
          module.FS.writeFile(name, data, { canOwn: true });
        }
        for (const [name, data] of all) module.FS.writeFile(`/share/${name}`, data, { canOwn: true });
        for (const name of BOOT_ROMS) module.FS.createLazyFile('/share', name, share(name), true, false);
        module.removeRunDependency('firmware');
      }, fail);
    },
    instantiateWasm(imports, received) {
      instantiate(imports).then(({ instance, module: compiled }) => received(instance, compiled)).catch((e) => fail(understood(e)));
      return {};
    },
    onExit(status) { // before the loop began: the options were wrong, or asked for help
      if (status) fail(new Error(lastError.replace(/^slipway: /, '') || `it ended with status ${status}`));
      else host.post({ type: 'exit', status });
    },
  };
  core = module;
  await createSlipway(module);
}

function fail(e) {
  host.post({ type: 'failed', message: e.message });
}

/** A C string result, freed afterwards; null if it is NULL. */
function takeString(pointer) {
  if (!pointer) return null;
  const text = core.UTF8ToString(pointer >>> 0);
  core._free(pointer);
  return text;
}

/** @returns {Promise<Blob>} */
const through = (blob, transform) => new Response(blob.stream().pipeThrough(transform)).blob();

/** What the page asks for and gets an answer to. */
const commands = {
  instructions: () => core._slipway_instructions(),
  screenText: () => takeString(core._slipway_screen_text()),
  capture({ netdev, id, maxLength, number }) {
    const error = core.ccall('slipway_capture', 'number', ['string', 'string', 'number', 'number'], [netdev, id, maxLength, number]);
    if (error) throw new Error(core.UTF8ToString(error >>> 0));
  },
  async saveState({ compress }) {
    let error = 0;
    const state = host.collectState(() => {
      error = core._slipway_save_state();
    });
    if (error) throw new Error(core.UTF8ToString(error >>> 0));
    return compress ? through(state, new CompressionStream('gzip')) : state;
  },
  async loadState({ state, forget }) {
    const head = new Uint8Array(await state.slice(0, 2).arrayBuffer());
    const packed = head[0] === 0x1f && head[1] === 0x8b;
    const whole = packed ? await through(state, new DecompressionStream('gzip')).catch(() => {
      throw new Error('the snapshot is damaged: gzip can\'t unpack it');
    }) : state;
    const error = host.provideState(whole, (size) => core._slipway_load_state(size));
    if (error) throw new Error(core.UTF8ToString(error >>> 0));
    host.forgetInput(forget); // it was for the state that is gone
  },
  async prepare({ name, file }) {
    if (file) host.files[name] = file;
    await host.prepareRemote(name);
  },
  takeFile({ path }) {
    const data = core.FS.readFile(path);
    core.FS.unlink(path);
    return data;
  },
};

async function command({ id, name, args }) {
  try {
    host.post({ type: 'reply', id, value: await commands[name](args) });
  } catch (e) {
    host.post({ type: 'reply', id, error: e.message ?? String(e) });
  }
  host.wake();
}

const handlers = {
  start: (m) => start(m).catch((e) => (e.name === 'ExitStatus' ? null : fail(e))),
  input: ({ name, data }) => host.input(name, data),
  seen: ({ name, length }) => host.seen(name, length),
  canvas: ({ canvas }) => host.screen.attach(canvas),
  enlarge: ({ factor }) => host.screen.enlarge(factor),
  command,
};
/** Those make sense only while the machine is there. */
const running = {
  key: ({ hid, down }) => core._slipway_key(hid, down),
  pointer: ({ absolute, x, y, wheel, buttons }) => core._slipway_pointer(absolute, x, y, wheel, buttons),
  release: () => core._slipway_release_all(),
  visible: ({ visible }) => core._slipway_screen_visible(visible),
};

addEventListener('message', ({ data }) => {
  if (handlers[data.type]) {
    handlers[data.type](data);
  } else if (host.core) {
    running[data.type]?.(data);
    host.wake();
  }
});
