/**
 * What is on its way before a PC can run: all of it in one bar, with size and rate, and the files below. A bar has no number while
 * the size of a file isn't known (the server sends it compressed).
 */
import { humanBytes } from './units.js';

const create = (tag, properties = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
};

export class Downloads {
  #files = new Map(); // name -> {loaded, total, started, line}

  /** @param {HTMLElement} element - filled here; hidden while nothing is on its way */
  constructor(element) {
    this.element = element;
    this.sum = create('span', { className: 'hint' });
    this.bar = create('progress', { max: 1, ariaLabel: 'All downloads' });
    this.list = create('ul');
    element.append(create('p', {}, create('strong', { textContent: 'Starting the PC' }), this.sum), this.bar, this.list);
  }

  clear() {
    this.#files.clear();
    this.list.replaceChildren();
    this.element.hidden = true;
  }

  /** @param {{name: string, loaded: number, total: number}} progress - total 0: not known */
  show({ name, loaded, total }) {
    this.element.hidden = false;
    if (!this.#files.has(name)) {
      const line = create('li', {}, create('span', { textContent: name, title: name }), create('span'));
      this.list.append(line);
      this.#files.set(name, { started: performance.now(), line });
    }
    const file = this.#files.get(name);
    Object.assign(file, { loaded, total });
    const done = total > 0 && loaded === total;
    const rate = (loaded * 1000) / Math.max(50, performance.now() - file.started);
    file.line.classList.toggle('done', done);
    file.line.lastChild.textContent = done ? humanBytes(loaded) : `${humanBytes(loaded)}${total ? ` of ${humanBytes(total)}` : ''}, ${humanBytes(rate)}/s`;
    this.#showSum();
  }

  #showSum() {
    const files = [...this.#files.values()];
    const add = (key) => files.reduce((sum, file) => sum + file[key], 0);
    const [loaded, total] = [add('loaded'), add('total')];
    const known = files.every((file) => file.total);
    const rate = (loaded * 1000) / Math.max(50, performance.now() - Math.min(...files.map((file) => file.started)));
    this.sum.textContent = `${humanBytes(loaded)}${known && total > loaded ? ` of ${humanBytes(total)}` : ''}, ${humanBytes(rate)}/s`;
    if (known && total) this.bar.value = loaded / total;
    else this.bar.removeAttribute('value');
  }
}
