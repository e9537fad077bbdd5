/**
 * The wasm platform in a page's worker: the event loop, terminals, files. Emscripten's code imports it (pre.js);
 * core/host/node.js connects it with the C side (loop_wasm.c, stream_wasm.c, files_wasm.c).
 *
 * Loop: turn() delivers what came for the terminals, runs one slice of the machine and asks for the next turn: by a message
 * to ourselves while the guest is busy, which lets messages, timers and fetches of others come between; by a timer
 * while it sleeps, cut short by wake(). A timer's turn goes through a message, too: a timer that is set from within another
 * one's callback would be kept back for 4 ms.
 *
 * Terminals ("vc", "stdio") are the only streams of a page. What the guest writes in a turn goes out as one message;
 * the page gives back credit for what it has shown, so that a guest can't flood it.
 */
import { RemoteFile, download } from './files.js';
import { Screen } from './screen.js';

const EARLY_MS = 0.25; // timers count whole milliseconds: wake up at most this early, and turn until it is time
const MAX_UNSEEN = 256 * 1024; // bytes that the page hasn't shown yet
const STATE_PIECE = 4 * 1024 * 1024; // of a saved state that is read or written at a time
const EVENT = { READABLE: 0, WRITABLE: 1 }; // as in stream_wasm.c
const UNAVAILABLE = 'not available in a browser';

class Host {
  post = null; // (message, transfer): to the page; set by worker.js
  crashed = null; // (error)
  files = {}; // name -> File, Blob or URL, from the page
  base = ''; // of URLs
  hasScreen = true;
  screen = new Screen((width, height) => this.post({ type: 'size', width, height }));

  // ---- Loop ----

  core = null; // the functions of the C side, from start()
  clock = performance;
  inTurn = false;
  posted = false; // a turn is on its way
  timer = null;
  #channel = new MessageChannel();

  start(core) {
    this.core = core;
    this.#channel.port1.onmessage = () => this.turn();
    this.post({ type: 'started' });
    this.wake();
  }

  wake() {
    this.woken = true;
    if (this.core && !this.inTurn) this.postTurn();
  }

  postTurn() {
    if (this.posted) return;
    this.posted = true;
    clearTimeout(this.timer);
    this.#channel.port2.postMessage(0);
  }

  turn() {
    this.posted = this.woken = false;
    this.inTurn = true;
    try {
      for (const s of this.streams) if (s && this.isReadable(s)) this.emit(s, EVENT.READABLE);
      const ms = this.core.turn();
      this.inTurn = false;
      this.sendOutput();
      if (ms < 0) this.finish(this.core.exitStatus());
      else if (ms < EARLY_MS || this.woken || this.streams.some((s) => s && this.isReadable(s))) this.postTurn();
      else if (ms !== Infinity) this.timer = setTimeout(() => this.postTurn(), Math.min(Math.ceil(ms - EARLY_MS), 1e9));
    } catch (e) {
      this.crashed(e);
    }
  }

  finish(status) {
    this.core = null;
    this.post({ type: 'exit', status });
  }

  // ---- Terminals ----

  streams = [null];

  open(kind, spec, mode, owner) {
    if (kind !== 'vc' && kind !== 'stdio') throw new Error(UNAVAILABLE);
    const name = kind === 'vc' ? spec : kind;
    let number = this.streams.indexOf(null, 1);
    if (number < 0) number = this.streams.length;
    this.streams[number] = { number, owner, name, want: false, input: [], output: [], unseen: 0, blocked: false };
    this.post({ type: 'terminal', name });
    return number;
  }

  find(name) {
    return this.streams.find((s) => s?.name === name);
  }

  emit(s, event) {
    this.core.event(s.owner, event, 0);
  }

  isReadable(s) {
    return s.want && s.input.length > 0;
  }

  /** From the page: what was typed. */
  input(name, data) {
    const s = this.find(name);
    if (!s || !data.length) return;
    s.input.push(data);
    this.wake();
  }

  /** What was typed and the machine hasn't taken is taken back. */
  forgetInput(name) {
    const s = this.find(name);
    if (s) s.input = [];
  }

  /** From the page: it has shown so many bytes. */
  seen(name, length) {
    const s = this.find(name);
    if (!s) return;
    s.unseen -= length;
    if (!s.blocked || s.unseen > MAX_UNSEEN / 2) return;
    s.blocked = false;
    this.emit(s, EVENT.WRITABLE);
    this.wake();
  }

  sendOutput() {
    for (const s of this.streams) {
      if (!s?.output.length) continue;
      const length = s.output.reduce((sum, part) => sum + part.length, 0);
      const data = new Uint8Array(length);
      let at = 0;
      for (const part of s.output) {
        data.set(part, at);
        at += part.length;
      }
      s.output = [];
      this.post({ type: 'output', name: s.name, data }, [data.buffer]);
    }
  }

  /** > 0 bytes; -1 not now. */
  read(number, heap, pointer, length) {
    const s = this.streams[number];
    if (!s.input.length) return -1;
    const part = s.input[0].subarray(0, length);
    heap.set(part, pointer);
    if (part.length === s.input[0].length) s.input.shift();
    else s.input[0] = s.input[0].subarray(part.length);
    return part.length;
  }

  /** Bytes taken; -1 not now, WRITABLE follows. */
  write(number, heap, pointer, length) {
    const s = this.streams[number];
    if (s.unseen >= MAX_UNSEEN) {
      s.blocked = true;
      return -1;
    }
    s.output.push(heap.slice(pointer, pointer + length));
    s.unseen += length;
    if (!this.inTurn) queueMicrotask(() => this.sendOutput());
    return length;
  }

  wantRead(number, want) {
    this.streams[number].want = want;
    if (this.isReadable(this.streams[number])) this.wake();
  }

  close(number) {
    this.streams[number] = null;
  }

  message(e) {
    return e.message;
  }

  random(heap, pointer, length) {
    for (let at = 0; at < length; at += 65536) { // the most that it gives at a time
      crypto.getRandomValues(heap.subarray(pointer + at, pointer + Math.min(length, at + 65536)));
    }
  }

  // ---- Files ----

  needs = [];
  remotes = [null];
  ready = new Map(); // name -> RemoteFile that nobody has opened yet

  source(name) {
    const source = Object.hasOwn(this.files, name) ? this.files[name] : name;
    return source instanceof Blob ? source : new URL(source, this.base).href;
  }

  progress = (name, loaded, total) => this.post({ type: 'progress', name, loaded, total });

  need(path, whole) {
    this.needs.push({ path, whole });
  }

  /** Calls @resume when the files of need() are there. True: they are, and it won't be called. */
  prepare(FS, resume) {
    const here = (path) => FS.analyzePath(path).exists || FS.analyzePath(`/share/${path}`).exists;
    const needs = this.needs.filter(({ path }) => !here(path));
    if (!needs.length) return true;
    const get = async ({ path, whole }) => {
      if (!whole) return this.prepareRemote(path);
      const data = await download(path, this.source(path), this.progress);
      FS.mkdirTree(path.replace(/^(\.\.?\/)+/, '').replace(/[^/]*$/, '') || '/'); // nothing is above the root
      FS.writeFile(path, data, { canOwn: true });
    };
    Promise.all(needs.map(get)).then(() => {
      resume();
      for (const { path } of needs) if (FS.analyzePath(path).exists) FS.unlink(path); // the machine has its copy
    }).catch((e) => (e instanceof WebAssembly.RuntimeError ? this.crashed(e) : this.post({ type: 'failed', message: e.message })));
    return false;
  }

  async prepareRemote(name) {
    const failed = (text) => this.post({ type: 'log', text: `slipway: ${text}; the PC sees a disk error` });
    this.ready.set(name, await RemoteFile.open(name, this.source(name), this.progress, failed));
  }

  remoteOpen(name) {
    const file = this.ready.get(name);
    if (!file) return null;
    this.ready.delete(name);
    return { number: this.remotes.push(file) - 1, size: file.size };
  }

  remoteRead(number, offset, length, copy, done) {
    return this.remotes[number].read(offset, length, copy, done);
  }

  remoteWait(number) {
    this.remotes[number].wait();
  }

  remoteClose(number) {
    this.remotes[number].close();
    this.remotes[number] = null;
  }

  // ---- Saved states ----

  #saved = null; // blobs of the one being saved
  #pieces = []; // that follow them
  #pieceBytes = 0;
  #loading = null; // a Blob
  #window = { at: 0, data: new Uint8Array() }; // what was read of it last

  /** What @save() writes, as a Blob. */
  collectState(save) {
    this.#saved = [];
    try {
      save();
      this.#packPieces();
      return new Blob(this.#saved, { type: 'application/octet-stream' });
    } finally {
      this.#saved = null;
      this.#pieces = [];
      this.#pieceBytes = 0;
    }
  }

  /** As a Blob the bytes are the browser's, perhaps on disk, and no longer JavaScript's. */
  #packPieces() {
    if (this.#pieces.length) this.#saved.push(new Blob(this.#pieces));
    this.#pieces = [];
    this.#pieceBytes = 0;
  }

  stateWrite(data) {
    try {
      this.#pieces.push(data);
      this.#pieceBytes += data.length;
      if (this.#pieceBytes > STATE_PIECE) this.#packPieces();
      return true;
    } catch (e) {
      console.error(e.message);
      return false;
    }
  }

  /** Lets @load(size) read @blob. */
  provideState(blob, load) {
    this.#loading = blob;
    try {
      return load(blob.size);
    } finally {
      this.#loading = null;
      this.#window = { at: 0, data: new Uint8Array() };
    }
  }

  stateRead(offset, length) {
    const { at, data } = this.#window;
    if (offset >= at && offset + length <= at + data.length) return data.subarray(offset - at, offset - at + length);
    try {
      const part = this.#loading.slice(offset, offset + Math.max(length, STATE_PIECE));
      this.#window = { at: offset, data: new Uint8Array(new FileReaderSync().readAsArrayBuffer(part)) };
      return this.#window.data.subarray(0, length);
    } catch (e) {
      console.error(e.message);
      return null;
    }
  }

  // ---- To the page ----

  present(...picture) {
    this.screen.present(...picture);
  }

  pointer(absolute) {
    this.post({ type: 'pointer', absolute });
  }

  sound(samples, rate) {
    this.post({ type: 'sound', samples, rate }, [samples.buffer]);
  }

  captured(capture, data) {
    this.post({ type: 'captured', capture, data }, [data.buffer]);
  }
}

export const slipwayHost = new Host();

/** There are no datagram sockets in a browser. */
export const slipwayDatagrams = {
  open() {
    throw new Error(UNAVAILABLE);
  },
};
