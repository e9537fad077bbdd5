/**
 * Saved states of the PC: to a file, from a file, and kept in this browser (IndexedDB, with the command line that they fit).
 * A state that is kept, or a file of one, starts a PC by itself if none is there: it boots, and is replaced at once.
 */
import { humanBytes } from './units.js';

const DATABASE = 'slipway';
const STORE = 'states';

/** @returns {Promise} of what an IndexedDB request gives */
const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** Runs @action on the store; its errors are for people. */
async function inStore(mode, action) {
  try {
    const open = indexedDB.open(DATABASE, 1);
    open.onupgradeneeded = () => open.result.createObjectStore(STORE, { keyPath: 'id', autoIncrement: true });
    const database = await result(open);
    try {
      const transaction = database.transaction(STORE, mode);
      const ended = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
      const value = await result(action(transaction.objectStore(STORE)));
      await ended;
      return value;
    } finally {
      database.close();
    }
  } catch (e) {
    if (e?.name === 'QuotaExceededError') {
      throw new Error("The browser's storage is full: delete a saved state below, or save this one to a file.");
    }
    throw new Error(`The browser doesn't store anything for this page (${e?.message ?? e}): save to a file instead.`);
  }
}

export class SavedStates {
  #page;
  #list;

  /** @param page {pc(), commandLine(), start(commandLine), attempt(action)} */
  constructor(element, page) {
    this.#page = page;
    const part = (name) => element.querySelector(`[data-part=${name}]`);
    this.#list = part('list');
    this.none = part('none');
    const click = (name, action) => part(name).addEventListener('click', () => page.attempt(action));
    click('save', () => this.save());
    click('keep', () => this.keep());
    part('file').addEventListener('change', (e) => {
      const [file] = e.target.files;
      e.target.value = '';
      if (file) page.attempt(() => this.restore(file));
    });
    element.addEventListener('toggle', () => element.open && page.attempt(() => this.show()));
    this.buttons = [part('save'), part('keep')];
  }

  /** Which buttons make sense. */
  update(alive) {
    for (const button of this.buttons) button.disabled = !alive;
  }

  async save() {
    const blob = await this.#page.pc().snapshot();
    const link = Object.assign(document.createElement('a'), { download: 'pc.state.gz', href: URL.createObjectURL(blob) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async keep() {
    const state = await this.#page.pc().snapshot();
    await inStore('readwrite', (store) => store.add({ date: new Date(), command: this.#page.commandLine(), size: state.size, state }));
    await this.show();
  }

  async restore(state, command = this.#page.commandLine()) {
    if (!this.#page.pc() || this.#page.commandLine() !== command) await this.#page.start(command);
    await this.#page.pc()?.restore(state);
  }

  async show() {
    const states = await inStore('readonly', (store) => store.getAll());
    this.none.hidden = states.length > 0;
    this.#list.replaceChildren(...states.map((kept) => {
      const line = document.createElement('li');
      const name = `${kept.date.toLocaleString()}, ${humanBytes(kept.size)}`;
      line.append(Object.assign(document.createElement('span'), { textContent: `${name}: ${kept.command} ` }));
      const add = (text, action) => {
        const button = Object.assign(document.createElement('button'), { type: 'button', textContent: text, ariaLabel: `${text}: ${name}` });
        button.addEventListener('click', () => this.#page.attempt(action));
        line.append(button, ' ');
      };
      add('Restore', () => this.restore(kept.state, kept.command));
      add('Delete', async () => {
        await inStore('readwrite', (store) => store.delete(kept.id));
        await this.show();
      });
      return line;
    }));
  }
}
