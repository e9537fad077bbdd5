/**
 * A PC as a page sees it: the worker that it runs in, its terminals, screen, keys and monitor.
 *
 * Messages to the worker (web/worker/worker.js): start {args, files, base}; input {name, data} and seen {name, length} of a
 * terminal; key {hid, down}; pointer {absolute, x, y, wheel, buttons}; release; visible {visible}; canvas {canvas}; enlarge {factor};
 * command {id, name, args}. From it: started; terminal {name}; output {name, data}; progress {name, loaded, total};
 * log {text}; pointer {absolute}; sound {samples, rate}; size {width, height}; captured {capture, data}; reply {id, value | error}; exit {status}; failed {message, crashed}.
 *
 * All that can go wrong arrives at #fail() as one message for people: the promise `started` is rejected with it, or, later, there
 * is an event "error".
 */
import { hidOfCode, keyOfCharacter, SHIFT } from './keys.js';
import { parseInfo } from './network-info.js';
import { PcapReader } from './pcap.js';
import { Qmp } from './qmp.js';
import { splitCommandLine } from './commandline.js';
import { Sound } from './sound.js';
import { Terminal } from './terminal.js';
import { PORT as FILES_PORT, PORT_OPTIONS, Transfer, hasPort } from './transfer.js';

const QMP_PORT = 'slipway-qmp';
const SOUND = 'slipway-sound';
const KEY_MS = 25; // between the strokes of type(): firmware keeps 15 keys, the keyboard 16 bytes
const STOP_MS = 2000; // for a PC that is asked to end

export class PC extends EventTarget {
  #settle = null; // {resolve, reject} of `started`
  /** @type {'starting' | 'running' | 'paused' | 'ended' | 'failed'} */
  state = 'starting';
  /** @type {Map<string, Terminal>} */
  terminals = new Map();
  screenSize = { width: 720, height: 400 };
  /** @type {Promise<PC>} kept when it runs, or rejected with what is wrong */
  started = new Promise((resolve, reject) => {
    this.#settle = { resolve, reject };
  });
  #worker;
  #fileTransfer;
  #qmp = null;
  #commands = new Map(); // id -> {resolve, reject}
  #lastId = 0;

  /** @param {object} options - StartOptions of slipway.d.ts */
  constructor({ args = [], files = {}, baseURL = document.baseURI, canvas = null, fileTransfer = false, on = {} }) {
    super();
    this.#fileTransfer = fileTransfer;
    for (const [name, listener] of Object.entries(on)) this.addEventListener(name, (e) => listener(e.detail, this));
    try {
      this.args = typeof args === 'string' ? splitCommandLine(args) : [...args];
      for (const feature of ['WebAssembly', 'Worker', 'OffscreenCanvas']) {
        if (!(feature in globalThis)) throw new Error(`this browser has no ${feature}: a current one is needed`);
      }
      this.#worker = this.#startWorker();
    } catch (e) {
      this.#fail(e.message);
      return;
    }
    if (canvas) this.attachCanvas(canvas);
    const blobs = Object.entries(files).map(([name, file]) => [name, ArrayBuffer.isView(file) || file instanceof ArrayBuffer ? new Blob([file]) : file]);
    this.#post({ type: 'start', args: [...this.args, ...this.#pageDefaults()], files: Object.fromEntries(blobs), base: String(baseURL) });
    document.addEventListener('visibilitychange', this.#visibility);
  }

  #startWorker() {
    const url = new URL('./worker.js', import.meta.url);
    let source = url;
    if (url.origin !== globalThis.origin) { // only from our own origin may a worker come; it may import what allows that
      const script = `import ${JSON.stringify(url.href)};`;
      // In a sandboxed frame, whose origin is nobody's, Chromium takes no modules from blobs.
      source = globalThis.origin === 'null' ? `data:text/javascript,${encodeURIComponent(script)}` : URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    }
    const worker = new Worker(source, { type: 'module', name: 'slipway' });
    worker.onmessage = ({ data }) => this.#handlers[data.type](data);
    worker.onerror = (e) => this.#fail(e.message ? `the emulator crashed: ${e.message}` : `the emulator's worker can't be loaded from ${url.href.slice(0, 200)}`);
    return worker;
  }

  /** QEMU puts serial port and monitor on virtual consoles if nobody says otherwise; there is always our QMP, and the speaker is heard. */
  #pageDefaults() {
    const has = (...names) => names.some((name) => this.args.some((arg) => arg.replace(/^--/, '-') === name));
    const args = ['-chardev', `vc,id=${QMP_PORT}`, '-mon', `chardev=${QMP_PORT},mode=control`];
    if (this.#fileTransfer && !hasPort(this.args)) args.push(...PORT_OPTIONS);
    if (!has('-audiodev')) args.push('-audiodev', `sdl,id=${SOUND}`, '-machine', `pcspk-audiodev=${SOUND}`);
    if (has('-nographic', '-nodefaults')) return args;
    if (!has('-serial')) args.push('-serial', 'vc');
    if (!has('-monitor')) args.push('-monitor', 'vc');
    return args;
  }

  #post(message, transfer = []) {
    this.#worker?.postMessage(message, transfer);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.#emit('state', state);
  }

  // ---- From the worker ----

  #handlers = {
    terminal: ({ name }) => this.#addTerminal(name),
    output: ({ name, data }) => (this.terminals.get(name) ?? this.#hidden.get(name))?.deliver(data),
    progress: ({ name, loaded, total }) => this.#emit('progress', { name, loaded, total }),
    log: ({ text }) => this.#emit('log', text),
    size: ({ width, height }) => {
      this.screenSize = { width, height };
      this.#emit('resize', this.screenSize);
    },
    pointer: ({ absolute }) => {
      this.pointerIsAbsolute = absolute;
      this.#emit('pointer', { absolute });
    },
    sound: ({ samples, rate }) => this.#sound.play(samples, rate),
    captured: ({ capture, data }) => this.#onCaptured(capture, data),
    reply: ({ id, value, error }) => {
      const { resolve, reject } = this.#commands.get(id);
      this.#commands.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    },
    started: () => this.#onStarted(),
    exit: ({ status }) => {
      this.#close(new Error('the PC has ended'));
      this.#setState('ended');
      this.#emit('exit', status);
      this.#settle.reject(new Error(`it ended with status ${status}`)); // if it hadn't started
    },
    failed: ({ message }) => this.#fail(message),
  };
  #sound = new Sound();
  #captures = []; // number -> {id, pcap}

  #onCaptured(number, data) {
    const { id, pcap } = this.#captures[number];
    this.#emit('captured', { capture: id, data });
    for (const frame of pcap.feed(data)) this.#emit('frame', { capture: id, ...frame });
  }

  #transfer = null;
  #hidden = new Map(); // terminals of our own: name -> Terminal

  #addTerminal(name) {
    const terminal = new Terminal(name, (message) => this.#post(message));
    if (name === QMP_PORT || name === FILES_PORT) {
      this.#hidden.set(name, terminal);
      if (name === FILES_PORT) this.#transfer = new Transfer(terminal, () => this.state === 'paused', (detail) => this.#emit('transfer', detail));
    } else {
      this.terminals.set(name, terminal);
      this.#emit('terminal', terminal);
    }
  }

  async #onStarted() {
    this.#qmp = new Qmp(this.#hidden.get(QMP_PORT), (e) => this.#onEvent(e));
    await this.#qmp.ready;
    this.#visibility();
    const { running } = await this.qmp('query-status');
    this.#setState(running ? 'running' : 'paused');
    this.#settle.resolve(this);
  }

  #onEvent(event) {
    if (event.event === 'STOP') this.#setState('paused');
    if (event.event === 'RESUME') this.#setState('running');
    this.#emit('qmp', event);
  }

  #visibility = () => this.#post({ type: 'visible', visible: !document.hidden });

  #fail(message) {
    if (this.state === 'failed' || this.state === 'ended') return;
    const error = new Error(message);
    this.#close(error);
    this.#setState('failed');
    this.#emit('error', error);
    this.started.catch(() => {}); // who has the event needn't wait for the promise, too
    this.#settle.reject(error);
  }

  #close(error) {
    this.#worker?.terminate();
    this.#worker = null;
    this.watchNetwork(0);
    this.#sound.close();
    document.removeEventListener('visibilitychange', this.#visibility);
    this.#qmp?.close(error);
    this.#transfer?.close(error);
    for (const { reject } of this.#commands.values()) reject(error);
    this.#commands.clear();
  }

  #command(name, args = {}) {
    if (!this.#worker) return Promise.reject(new Error('the PC has ended'));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#commands.set(id, { resolve, reject });
      this.#post({ type: 'command', id, name, args });
    });
  }

  // ---- Control ----

  /** Executes a QMP command; gives its result, or throws what it complained about. */
  async qmp(command, args = {}) {
    if (!this.#qmp || !this.#worker) throw new Error('the PC is not running');
    return this.#qmp.execute(command, args);
  }

  /** Executes a line of the human monitor; gives what it prints. */
  monitor(line) {
    return this.qmp('human-monitor-command', { 'command-line': line });
  }

  run() {
    return this.qmp('cont');
  }

  pause() {
    return this.qmp('stop');
  }

  reset() {
    return this.qmp('system_reset');
  }

  /** Presses the power button. */
  powerDown() {
    return this.qmp('system_powerdown');
  }

  /** Ends it, whatever the guest does. */
  async stop() {
    if (!this.#worker) return;
    const ended = new Promise((resolve) => this.addEventListener('exit', resolve, { once: true }));
    this.qmp('quit').catch(() => {});
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS))]);
    if (!this.#worker) return;
    this.#close(new Error('the PC was stopped'));
    this.#setState('ended');
    this.#emit('exit', 0);
  }

  /**
   * The whole state: memory, devices, what was written to disks. It runs on; restore() of a PC with the same options goes
   * back to here, also natively (-loadvm, unpacked). File transfers that are under way are waited for: nobody would finish them.
   */
  async snapshot({ compress = true } = {}) {
    await this.#transfer?.idle();
    return this.#command('saveState', { compress });
  }

  /** Goes on from a snapshot: what snapshot() gave, or its bytes. If it doesn't fit, it throws, and nothing has changed. */
  async restore(state) {
    await this.#command('loadState', { state: state instanceof Blob ? state : new Blob([state]), forget: FILES_PORT });
    this.#transfer?.reset(new Error('the PC went back to another state in the middle of a transfer'));
    this.#emit('restored', null);
  }

  /**
   * Writes a file in the guest, which runs slipway-files; the PC was started with fileTransfer. Events "transfer" tell how far
   * it is. @param {Blob|BufferSource|string} data  @param {{timeout: number}} options - ms to wait for a guest that doesn't answer yet
   */
  async putFile(path, data, options) {
    await this.#files().put(path, data instanceof Blob ? data : new Blob([data]), options);
  }

  /** A file of the guest's; otherwise like putFile(). @returns {Promise<Uint8Array>} */
  async getFile(path, options) {
    return this.#files().get(path, options);
  }

  #files() {
    if (!this.#worker) throw new Error('the PC has ended');
    if (!this.#transfer) throw new Error('the PC was started without fileTransfer');
    return this.#transfer;
  }

  /** Takes the medium out of a drive ("ide1-cd0", "floppy0"), and puts another in: an URL, a File, a Blob. */
  async changeMedium(drive, file = null) {
    if (!file) {
      await this.qmp('eject', { device: drive, force: true });
      return;
    }
    const name = typeof file === 'string' ? file : file.name ?? `medium-${this.#lastId}`;
    await this.#command('prepare', { name, file: typeof file === 'string' ? null : file });
    await this.qmp('blockdev-change-medium', { device: drive, filename: name, format: 'raw' });
  }

  // ---- Terminals, screen, keys ----

  /** The terminal of serial port @n; with -nographic the first one is on "stdio". */
  serial(n = 0) {
    const terminal = this.terminals.get(`serial${n}`) ?? (n === 0 ? this.terminals.get('stdio') : undefined);
    if (!terminal) throw new Error(`serial port ${n} is not on a terminal ("-serial vc"); these are: ${[...this.terminals.keys()].join(', ')}`);
    return terminal;
  }

  /** Shows the screen on a canvas element, from now on; an element can be given away only once. */
  attachCanvas(element) {
    const canvas = element.transferControlToOffscreen();
    this.#post({ type: 'canvas', canvas }, [canvas]);
  }

  /** Makes the canvas @factor times as large as the picture, of equal squares: for a page that shows it at no whole factor. */
  enlargeCanvas(factor) {
    this.#post({ type: 'enlarge', factor });
  }

  /** The screen as a PNG. */
  async screenshot() {
    const path = '/tmp/screenshot.png';
    await this.qmp('screendump', { filename: path, format: 'png' });
    return new Blob([await this.#command('takeFile', { path })], { type: 'image/png' });
  }

  /** The text on the screen, a line a row; null in graphics modes. */
  screenText() {
    return this.#command('screenText');
  }

  /** A key by KeyboardEvent.code. Returns false if a PC has no such key. */
  key(code, down) {
    const hid = hidOfCode(code);
    if (hid) this.#post({ type: 'key', hid, down });
    return hid !== 0;
  }

  /** Presses keys together, by QEMU's names: "ctrl-alt-delete". */
  sendKeys(combination) {
    return this.monitor(`sendkey ${combination}`);
  }

  /** Types text on the keyboard, as on a US layout. */
  async type(text) {
    const keys = [...text].map((character) => {
      const key = keyOfCharacter(character);
      if (!key) throw new Error(`a US keyboard has no key for '${character}'`);
      return key;
    });
    const pause = () => new Promise((resolve) => setTimeout(resolve, KEY_MS));
    for (const { hid, shift } of keys) {
      if (shift) this.#post({ type: 'key', hid: SHIFT, down: true });
      this.#post({ type: 'key', hid, down: true });
      await pause();
      this.#post({ type: 'key', hid, down: false });
      if (shift) this.#post({ type: 'key', hid: SHIFT, down: false });
      await pause();
    }
  }

  /** Does the guest take positions? If not, it takes motion. Event "pointer" tells when that changes. */
  pointerIsAbsolute = false;

  /** The mouse moved by x, y (or is at x, y of 0..32767), and these buttons are down: 1 left, 2 right, 4 middle, 8 and 16 at the side. */
  pointer({ x = 0, y = 0, wheel = 0, buttons = 0, absolute = false }) {
    this.#post({ type: 'pointer', absolute, x, y, wheel, buttons });
  }

  /** Lets go of all keys and buttons. */
  releaseKeys() {
    this.#post({ type: 'release' });
  }

  // ---- Hot-plug, network ----

  /** Plugs a device in ("e1000,netdev=n0,id=card") or a netdev ("user,id=n0"); as the options -device and -netdev have them. */
  async plug(kind, text) {
    const said = await this.monitor(`${kind === 'netdev' ? 'netdev_add' : 'device_add'} ${text}`);
    if (said.trim()) throw new Error(said.trim().replace(/^Error: /, ''));
  }

  /** Asks the guest to let go of a device, or takes a netdev away; event "qmp" DEVICE_DELETED tells when a device is gone. */
  async unplug(kind, id) {
    const said = await this.monitor(`${kind === 'netdev' ? 'netdev_del' : 'device_del'} ${id}`);
    if (said.trim()) throw new Error(said.trim().replace(/^Error: /, ''));
  }

  /** Plugs the cable of a card or netdev in or out. */
  async setLink(name, up) {
    await this.qmp('set_link', { name, up });
  }

  /** Cards and netdevs, what they are plugged into, their counters. @returns {Promise<import('./slipway.js').NetworkClient[]>} */
  async network() {
    return parseInfo(await this.monitor('info network'));
  }

  /** From now on event "network" tells what network() gives whenever something of it has changed, looked at every @ms; 0 ends it. */
  watchNetwork(ms = 1000) {
    clearInterval(this.#watch);
    let last = '';
    const look = async () => {
      const clients = await this.network();
      const text = JSON.stringify(clients);
      if (text !== last) this.#emit('network', clients);
      last = text;
    };
    this.#watch = ms ? setInterval(() => look().catch(() => {}), ms) : null; // it may end meanwhile
  }
  #watch = null;

  // ---- Looking on ----

  /** How many instructions the guest has run. */
  instructions() {
    return this.#command('instructions');
  }

  /**
   * Frames of a netdev come one by one in events "frame", and as a pcap stream in events "captured", until stopCapture(). Several captures
   * have ids of their own, which their events name.
   */
  startCapture(netdev, { id = 'page-capture', maxLength = 0 } = {}) {
    const number = this.#captures.push({ id, pcap: new PcapReader() }) - 1;
    return this.#command('capture', { netdev, id, maxLength, number });
  }

  stopCapture(id = 'page-capture') {
    return this.qmp('object-del', { id });
  }
}
