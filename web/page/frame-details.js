/**
 * One frame: its protocols and their fields (dissect.js) beside its bytes, with the bytes marked that belong to the protocol or field
 * that the pointer or the focus is on.
 */
import { dissect } from './dissect.js';

const PER_LINE = 16;

const create = (tag, properties = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
};

const hex = (n, digits) => n.toString(16).padStart(digits, '0');
const character = (b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.');

export class FrameDetails {
  #data = new Uint8Array();

  /** @param {HTMLElement} element - filled here; hidden while no frame is chosen */
  constructor(element) {
    this.element = element;
    this.layers = create('div', { className: 'layers scroll', tabIndex: 0, ariaLabel: 'Protocols of the chosen frame' });
    this.bytes = create('pre', { className: 'bytes scroll', tabIndex: 0, ariaLabel: 'Bytes of the chosen frame' });
    for (const part of [this.layers, this.bytes]) part.setAttribute('role', 'region');
    this.bytes.dataset.part = 'details';
    element.append(this.layers, this.bytes);
    for (const type of ['pointerover', 'focusin']) this.layers.addEventListener(type, (e) => this.#mark(e.target.closest('[data-start]')));
    this.layers.addEventListener('pointerleave', () => this.#mark(null));
  }

  /** @param {{data: Uint8Array} | null} frame */
  show(frame) {
    this.element.hidden = !frame;
    this.#data = frame?.data ?? new Uint8Array();
    const open = new Set([...this.layers.querySelectorAll('details[open]')].map((e) => e.dataset.name));
    const layers = frame ? dissect(frame.data) : [];
    const inner = layers.findLastIndex(({ name }) => !/^Data$|body$/.test(name));
    this.layers.replaceChildren(...layers.map(({ name, start, end, fields }, i) => {
      const list = create('ul', {}, ...fields.map((field) => this.#at(create('li', {}, create('span', { textContent: field.name }), create('span', { textContent: field.value })), field)));
      const summary = this.#at(create('summary', {}, create('strong', { textContent: name }), ' ', create('span', { className: 'hint', textContent: this.#short(name, fields) })), { start, end });
      const details = create('details', { open: i === inner || open.has(name) }, summary, list);
      details.dataset.name = name;
      return details;
    }));
    this.#mark(null);
  }

  #at(element, { start, end }) {
    Object.assign(element.dataset, { start, end });
    return element;
  }

  /** A layer in a line: who to whom. */
  #short(name, fields) {
    const value = (wanted) => fields.find((field) => field.name === wanted)?.value;
    const [from, to] = [value('Source') ?? value('Source port') ?? value('Sender, protocol'), value('Destination') ?? value('Destination port') ?? value('Target, protocol')];
    if (from && to) return `${from} → ${to}`;
    return value('First line') ?? value('Message') ?? value('Question') ?? value('Type') ?? value('Operation') ?? '';
  }

  /** Shows the bytes, those of @element marked. */
  #mark(element) {
    const [start, end] = element ? [Number(element.dataset.start), Number(element.dataset.end)] : [0, 0];
    const data = this.#data;
    const parts = [];
    for (let at = 0; at < data.length; at += PER_LINE) {
      const last = Math.min(at + PER_LINE, data.length);
      const [from, to] = [Math.min(Math.max(start, at), last), Math.max(Math.min(end, last), at)];
      const row = [...data.subarray(at, last)];
      const cut = (text, a, b, width) => (from < to ? [text.slice(0, a), create('mark', { textContent: text.slice(a, b) }), text.slice(b).padEnd(width - b)] : [text.padEnd(width)]);
      parts.push(`${hex(at, 4)}  `, ...cut(row.map((b) => hex(b, 2)).join(' '), (from - at) * 3, (to - at) * 3 - 1, PER_LINE * 3 - 1), '  ',
        ...cut(row.map(character).join(''), from - at, to - at, 0), '\n');
    }
    this.bytes.replaceChildren(...parts);
    const marked = this.bytes.querySelector('mark');
    if (marked && (marked.offsetTop < this.bytes.scrollTop || marked.offsetTop > this.bytes.scrollTop + this.bytes.clientHeight - 20)) this.bytes.scrollTop = marked.offsetTop - 20;
  }
}
