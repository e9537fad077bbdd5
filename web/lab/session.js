/**
 * The tabs of one browser that work on the same lab in the same session tell each other which PCs they run, and what was achieved
 * (BroadcastChannel). Any page of this site may send here, so messages are data that is checked.
 *
 * Messages: hello {} asks all; state {tab, pcs, done}: what a tab runs; bye {tab}.
 */
const ALIVE_MS = 15000; // a tab that says nothing for so long is gone
const TELL_MS = 5000;

const isList = (list, type) => Array.isArray(list) && list.length <= 64 && list.every((item) => typeof item === type);

/** Letters and digits to name a session by. */
export function randomName() {
  return [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => 'abcdefghjkmnpqrstuvwxyz23456789'[byte % 31]).join('');
}

export class Session extends EventTarget {
  #tab = randomName() + randomName();
  #others = new Map(); // tab -> {pcs, heard}
  #channel;
  #state = { pcs: [], done: [] };

  /** Events: "change" (who runs what), "done" (detail: indices of checks). @param {string} name - of the session  @param {string} lab - URL */
  constructor(name, lab) {
    super();
    this.#channel = new BroadcastChannel(`slipway-lab:${name}:${lab}`);
    this.#channel.onmessage = ({ data }) => this.#received(data);
    this.#channel.postMessage({ type: 'hello' });
    this.timer = setInterval(() => this.#tell(), TELL_MS);
    addEventListener('pagehide', () => this.#channel.postMessage({ type: 'bye', tab: this.#tab }));
  }

  #received(message) {
    if (message?.type === 'hello') {
      this.#tell();
    } else if (message?.type === 'bye') {
      if (this.#others.delete(message.tab)) this.dispatchEvent(new Event('change'));
    } else if (message?.type === 'state' && typeof message.tab === 'string' && isList(message.pcs, 'string') && isList(message.done, 'number') && this.#others.size < 64) {
      this.#others.set(message.tab, { pcs: message.pcs, heard: performance.now() });
      this.dispatchEvent(new CustomEvent('done', { detail: message.done }));
      this.dispatchEvent(new Event('change'));
    }
  }

  #tell() {
    this.#channel.postMessage({ type: 'state', tab: this.#tab, ...this.#state });
    for (const [tab, { heard }] of this.#others) {
      if (performance.now() - heard > ALIVE_MS && this.#others.delete(tab)) this.dispatchEvent(new Event('change'));
    }
  }

  /** Names of PCs that run in this tab, indices of checks that are achieved. */
  update(pcs, done) {
    this.#state = { pcs, done };
    this.#tell();
  }

  runsElsewhere(pc) {
    return [...this.#others.values()].some(({ pcs }) => pcs.includes(pc));
  }
}
