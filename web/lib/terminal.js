/**
 * A terminal of a PC: a serial line, a monitor, whatever the options put on "vc" or "stdio". Bytes in both directions.
 *
 * What comes before anybody listens is kept (the last KEEP bytes) and given to the first listener. The worker is told how much
 * has been shown; a listener that returns a promise hasn't until that is kept.
 */
const KEEP = 1 << 20;

export class Terminal {
  #listeners = new Set();
  #early = [];
  #earlyLength = 0;
  #post;
  #encoder = new TextEncoder();

  /** @param {string} name  @param {function(object)} post - to the worker */
  constructor(name, post) {
    this.name = name;
    this.#post = post;
  }

  /** Types: text (as UTF-8) or bytes. */
  send(data) {
    this.#post({ type: 'input', name: this.name, data: typeof data === 'string' ? this.#encoder.encode(data) : data });
  }

  /** Calls @listener(bytes) for what comes. Returns a function that ends it. */
  listen(listener) {
    this.#listeners.add(listener);
    const early = this.#early;
    this.#early = [];
    this.#earlyLength = 0;
    for (const bytes of early) listener(bytes);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for @pattern (a string or RegExp) in what comes from now on; gives all text up to and with it. */
  expect(pattern, { timeout = 60000 } = {}) {
    return new Promise((resolve, reject) => {
      const decoder = new TextDecoder();
      let text = '';
      const finish = (settle, value) => {
        clearTimeout(timer);
        stop();
        settle(value);
      };
      const timer = setTimeout(() => finish(reject, new Error(
        `${this.name}: no ${pattern} within ${timeout / 1000} s; the last that came: ${JSON.stringify(text.slice(-200))}`)), timeout);
      let stop = () => {};
      stop = this.listen((bytes) => {
        text += decoder.decode(bytes, { stream: true });
        const at = typeof pattern === 'string' ? text.indexOf(pattern) : text.search(pattern);
        if (at < 0) return;
        const length = typeof pattern === 'string' ? pattern.length : pattern.exec(text)[0].length;
        queueMicrotask(() => finish(resolve, text.slice(0, at + length)));
      });
    });
  }

  /** From the worker. */
  async deliver(bytes) {
    if (!this.#listeners.size) {
      this.#early.push(bytes);
      this.#earlyLength += bytes.length;
      while (this.#earlyLength > KEEP) this.#earlyLength -= this.#early.shift().length;
    }
    await Promise.all([...this.#listeners].map((listener) => listener(bytes)));
    this.#post({ type: 'seen', name: this.name, length: bytes.length });
  }
}
