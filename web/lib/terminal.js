/**
 * A terminal of a PC: a serial line, a monitor, whatever the options put on "vc" or "stdio". Bytes in both directions.
 *
 * The last KEEP bytes are kept: the first listener gets them, and later ones that ask for it. The worker is told how much has
 * been shown; a listener that returns a promise hasn't until that is kept.
 */
const KEEP = 1 << 18;

export class Terminal {
  /** @type {string} as the chardev is called: "serial0", "compat_monitor0" */
  name;
  #listeners = new Set();
  #history = [];
  #historyLength = 0;
  #heard = false; // by anybody
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

  /** Calls @listener(bytes) for what comes, with @history for what has come, too. Returns a function that ends it. */
  listen(listener, { history = !this.#heard } = {}) {
    this.#listeners.add(listener);
    this.#heard = true;
    if (history) for (const bytes of this.#history) listener(bytes);
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
    this.#history.push(bytes);
    this.#historyLength += bytes.length;
    while (this.#historyLength > KEEP && this.#history.length > 1) this.#historyLength -= this.#history.shift().length;
    await Promise.all([...this.#listeners].map((listener) => listener(bytes)));
    this.#post({ type: 'seen', name: this.name, length: bytes.length });
  }
}
