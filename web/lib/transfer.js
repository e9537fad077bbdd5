/**
 * Files into the guest and out of it, over a port of virtio-serial whose other end is scripts/guest-files. That file has the
 * protocol.
 *
 * One request at a time, others wait in a queue. A file goes to the guest in pieces that are answered one by one, so that
 * neither side ever has more than a piece under way, and after any failure the next request finds the guest waiting for a line. What
 * comes is parsed whether somebody still waits for it or not: answers carry the number of their request.
 */
const PIECE = 256 * 1024;
const HELLO_MS = 15000; // does anybody serve the port?
const STALL_MS = 60000; // a guest may be busy
const NOBODY = 'the guest doesn\'t answer: slipway-files must run in it, and its kernel needs virtio_console';

/** The terminal that the guest's port is, and the options that make it. */
export const PORT = 'slipway-files';
export const PORT_OPTIONS = ['-device', 'virtio-serial-pci', '-chardev', `vc,id=${PORT}`, '-device', `virtserialport,chardev=${PORT},name=org.slipway.files`];
export const hasPort = (args) => args.includes(`vc,id=${PORT}`);

export class Transfer {
  #terminal;
  #isPaused;
  #progress;
  #lastId = 0;
  #queue = Promise.resolve();
  #served = false; // somebody has answered
  #closed = null; // an Error
  #request = null; // {id, resolve, reject, parts, timer, ...}
  // The parser:
  #line = [];
  #left = 0; // bytes of contents that are to come
  #owner = null; // the request that they are for

  /**
   * @param {Terminal} terminal - of the port
   * @param {function(): boolean} isPaused - a PC that stands still may take its time
   * @param {function({path, direction, loaded, total})} progress
   */
  constructor(terminal, isPaused, progress) {
    this.#terminal = terminal;
    this.#isPaused = isPaused;
    this.#progress = progress;
    terminal.listen((bytes) => this.#take(bytes), { history: false });
  }

  /** @param {Blob} data  @param {{timeout: number}} options - how long to wait for a guest that doesn't answer yet */
  put(path, data, { timeout = HELLO_MS } = {}) {
    return this.#enqueue(path, timeout, async () => {
      const tell = (loaded) => this.#progress({ path, direction: 'put', loaded, total: data.size });
      await this.#ask('create', path);
      for (let at = 0; at < data.size; at += PIECE) {
        tell(at);
        await this.#ask('append', path, { data: new Uint8Array(await data.slice(at, at + PIECE).arrayBuffer()) });
      }
      await this.#ask('finish', path);
      tell(data.size);
    });
  }

  /** @returns {Promise<Uint8Array>} */
  get(path, { timeout = HELLO_MS } = {}) {
    return this.#enqueue(path, timeout, () => this.#ask('get', path));
  }

  /** When no transfer is under way or waits. */
  idle() {
    return this.#queue;
  }

  /** The guest is another one, or in another state: nobody will answer what was asked. */
  reset(error) {
    this.#served = false;
    this.#line = [];
    this.#left = 0;
    this.#settle('reject', error);
  }

  /** For good. */
  close(error) {
    this.#closed = error;
    this.reset(error);
  }

  #enqueue(path, timeout, action) {
    if (!/^\/[^\n]*[^\n/]$/.test(path)) return Promise.reject(new Error(`'${path}' can't be a file of the guest's: a path from / is needed`));
    const done = this.#queue.then(() => this.#greet(timeout)).then(action);
    this.#queue = done.catch(() => {});
    return done;
  }

  /** Before bytes are sent that would fill the way to nobody. */
  async #greet(timeout) {
    if (!this.#served) await this.#ask('hello', '-', { patience: timeout, silence: NOBODY });
    this.#served = true;
  }

  /** Gives the contents that came with the answer. */
  #ask(command, path, { data = null, patience = STALL_MS, silence = 'the guest has stopped to answer in the middle of a transfer' } = {}) {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const id = String(++this.#lastId);
      this.#request = { id, path, resolve, reject, patience, silence, parts: [], loaded: 0, total: 0, timer: null };
      this.#wait();
      this.#terminal.send(`${id} ${command} ${data?.length ?? 0} ${path}\n`);
      if (data) this.#terminal.send(data);
    });
  }

  #wait() {
    const request = this.#request;
    clearTimeout(request.timer);
    request.timer = setTimeout(() => {
      if (this.#isPaused()) {
        this.#wait();
        return;
      }
      this.#served = false;
      this.#settle('reject', new Error(request.silence));
    }, request.patience);
  }

  #settle(how, value) {
    if (!this.#request) return;
    clearTimeout(this.#request.timer);
    const settle = this.#request[how];
    this.#request = null;
    settle(value);
  }

  // ---- What comes ----

  #take(bytes) {
    for (let at = 0; at < bytes.length;) {
      if (this.#left) {
        const part = bytes.subarray(at, at + this.#left);
        this.#left -= part.length;
        at += part.length;
        if (this.#owner && this.#owner === this.#request) this.#onContents(part);
        continue;
      }
      const end = bytes.indexOf(10, at);
      this.#line.push(...bytes.subarray(at, end < 0 ? bytes.length : end));
      if (end < 0) return;
      const text = new TextDecoder().decode(Uint8Array.from(this.#line));
      this.#line = [];
      at = end + 1;
      this.#onLine(text);
    }
  }

  #onContents(part) {
    const request = this.#request;
    request.parts.push(part);
    request.loaded += part.length;
    this.#wait();
    this.#progress({ path: request.path, direction: 'get', loaded: request.loaded, total: request.total });
  }

  #onLine(text) {
    const [, id, what, rest = ''] = /^(\d+) (\w+) ?(.*)$/.exec(text) ?? [];
    this.#owner = id !== undefined && id === this.#request?.id ? this.#request : null;
    if (what === 'data') this.#left = Number(rest) || 0;
    if (!this.#owner) return;
    this.#wait();
    if (what === 'data') {
      this.#request.total = this.#left;
    } else if (what === 'ok') {
      this.#settle('resolve', joined(this.#request.parts, this.#request.loaded));
    } else {
      this.#settle('reject', new Error(`in the guest: ${rest}`));
    }
  }
}

function joined(parts, length) {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
