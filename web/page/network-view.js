/**
 * The network of a PC: who is connected with whom and how much they took (the monitor's "info network", once a second while
 * the view is shown), and a list of the frames of one netdev (a capture in the core, taken apart in packets.js).
 */
import { describe, hexDump, PcapReader, pcapFile } from './packets.js';

const MAX_BYTES = 64 << 20; // of captured frames that are kept
const MAX_ROWS = 300; // that are shown

/** @typedef {{name: string, hub: string, peer: string, type: string, link: string, frames: number, bytes: number, dropped: number}} Client */

/** Takes "info network" apart. @returns {Client[]} */
export function parseInfo(text) {
  const clients = [];
  let hub = '';
  let nic = null;
  for (const line of text.split(/\r?\n/)) {
    const isHub = /^hub (\d+)/.exec(line);
    if (isHub) {
      hub = `hub ${isHub[1]}`;
      continue;
    }
    const client = /^( \\ )?(.*): index=\d+,type=([\w-]+),?(.*)$/.exec(line);
    const stats = /^ {3}link=(\w+),frames=(\d+),bytes=(\d+),.*dropped=(\d+)/.exec(line);
    if (client) {
      const [, below, label, type, details] = client;
      const name = label.split(': ').at(-1);
      if (!below) hub = '';
      clients.push({ name, hub: below && hub ? hub : '', peer: '', type, details });
      if (!below) nic = clients.at(-1);
      else if (!hub && nic) Object.assign(nic, { peer: name }), Object.assign(clients.at(-1), { peer: nic.name });
    } else if (stats) {
      Object.assign(clients.at(-1), { link: stats[1], frames: Number(stats[2]), bytes: Number(stats[3]), dropped: Number(stats[4]) });
    }
  }
  return clients;
}

export function humanBytes(n) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) if (n >= size) return `${(n / size).toFixed(n < 10 * size ? 1 : 0)} ${unit}`;
  return `${Math.round(n)} B`;
}

const cell = (text, className = '') => Object.assign(document.createElement('td'), { textContent: text, className });

export class NetworkView {
  #pc = null;
  #frames = [];
  #kept = 0;
  #reader = null;
  #last = new Map(); // name -> {bytes, time}
  #capturing = '';

  /** @param {HTMLElement} root - see index.html, #network  @param {function(string)} fail - tells the user */
  constructor(root, fail) {
    Object.assign(this, { root, fail });
    const get = (name) => root.querySelector(`[data-part="${name}"]`);
    Object.assign(this, { clients: get('clients'), netdev: get('netdev'), toggle: get('capture'), filter: get('filter'), rows: get('rows'), count: get('count'), details: get('details') });
    this.toggle.addEventListener('click', () => this.#toggleCapture());
    this.filter.addEventListener('input', () => this.#redraw());
    get('clear').addEventListener('click', () => this.#clear());
    get('save').addEventListener('click', () => this.#save());
    this.rows.addEventListener('click', (e) => this.#select(e.target.closest('tr')));
    this.rows.addEventListener('keydown', (e) => this.#keydown(e));
  }

  show(pc) {
    this.#pc = pc;
    this.#last.clear();
    this.#capturing = '';
    this.netdev.replaceChildren();
    this.clients.replaceChildren();
    this.#clear();
    this.#label();
    pc?.addEventListener('captured', ({ detail }) => this.#captured(detail));
  }

  /** Asks the PC and shows the answer. @returns {{down: number, up: number}} bytes a second to and from the guest */
  async update() {
    const clients = parseInfo(await this.#pc.monitor('info network'));
    const now = performance.now();
    const rates = { down: 0, up: 0 };
    for (const c of clients) {
      const before = this.#last.get(c.name);
      c.rate = before ? ((c.bytes - before.bytes) * 1000) / (now - before.time) : 0;
      this.#last.set(c.name, { bytes: c.bytes, time: now });
      rates[c.type === 'nic' ? 'down' : 'up'] += c.rate;
    }
    if (!this.root.hidden) this.#show(clients);
    return rates;
  }

  #show(clients) {
    this.clients.replaceChildren(...clients.map((c) => {
      const row = document.createElement('tr');
      const head = Object.assign(document.createElement('th'), { scope: 'row', textContent: c.name });
      const dropped = c.dropped ? `, ${c.dropped} dropped` : '';
      row.append(head, cell(c.type === 'nic' ? c.details.split(',')[0].replace('model=', '') : c.type), cell(c.peer || c.hub || '–'),
        cell(c.link === 'up' ? 'up' : 'down', c.link === 'up' ? '' : 'bad'), cell(`${c.frames}${dropped}`, 'number'),
        cell(humanBytes(c.bytes), 'number'), cell(`${humanBytes(c.rate)}/s`, 'number'));
      return row;
    }));
    if (!clients.length) {
      const row = document.createElement('tr');
      row.append(Object.assign(cell('This PC has no network card.'), { colSpan: 7 }));
      this.clients.append(row);
    }
    const netdevs = clients.filter((c) => c.type !== 'nic').map((c) => c.name);
    const options = [...this.netdev.options].map((o) => o.value);
    if (netdevs.join() !== options.join()) this.netdev.replaceChildren(...netdevs.map((name) => new Option(name, name)));
    this.toggle.disabled = !netdevs.length;
  }

  // ---- Capture ----

  #label() {
    this.toggle.textContent = this.#capturing ? 'Stop capture' : 'Capture';
    this.toggle.setAttribute('aria-pressed', String(Boolean(this.#capturing)));
    this.netdev.disabled = Boolean(this.#capturing);
  }

  async #toggleCapture() {
    try {
      if (this.#capturing) {
        this.#capturing = '';
        await this.#pc.stopCapture();
      } else {
        this.#reader = new PcapReader();
        await this.#pc.startCapture(this.netdev.value);
        this.#capturing = this.netdev.value;
      }
    } catch (e) {
      this.fail(e.message);
    }
    this.#label();
  }

  #captured(bytes) {
    for (const frame of this.#reader.feed(bytes)) {
      Object.assign(frame, { number: (this.#frames.at(-1)?.number ?? 0) + 1, ...describe(frame.data) });
      this.#frames.push(frame);
      this.#kept += frame.data.length;
    }
    let drop = 0;
    while (this.#kept > MAX_BYTES) this.#kept -= this.#frames[drop++].data.length;
    this.#frames.splice(0, drop);
    this.#redraw();
  }

  #matches(frame) {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = `${frame.from} ${frame.to} ${frame.protocol} ${frame.text}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }

  #redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      const matching = this.#frames.filter((frame) => this.#matches(frame));
      const start = this.#frames[0]?.time ?? 0;
      const selected = this.rows.querySelector('[aria-selected=true]')?.dataset.number;
      this.rows.replaceChildren(...matching.slice(-MAX_ROWS).map((frame) => {
        const row = document.createElement('tr');
        row.dataset.number = frame.number;
        row.tabIndex = -1;
        row.setAttribute('aria-selected', String(String(frame.number) === selected));
        row.className = `protocol-${frame.protocol.toLowerCase()}`;
        row.append(cell(String(frame.number), 'number'), cell((frame.time - start).toFixed(4), 'number'), cell(frame.from), cell(frame.to),
          cell(frame.protocol), cell(String(frame.length), 'number'), cell(frame.text, 'text'));
        return row;
      }));
      const last = this.rows.lastElementChild;
      if (last) (this.rows.querySelector('[aria-selected=true]') ?? last).tabIndex = 0;
      const shown = matching.length > MAX_ROWS ? `the last ${MAX_ROWS} of ${matching.length}` : `${matching.length}`;
      this.count.textContent = `${shown} frames${matching.length < this.#frames.length ? ` (of ${this.#frames.length} captured)` : ''}`;
    });
  }

  #select(row) {
    if (!row) return;
    for (const other of this.rows.children) {
      other.setAttribute('aria-selected', String(other === row));
      other.tabIndex = other === row ? 0 : -1;
    }
    row.focus();
    const frame = this.#frames.find((f) => String(f.number) === row.dataset.number);
    this.details.textContent = frame ? hexDump(frame.data) : '';
  }

  #keydown(e) {
    const row = e.target.closest('tr');
    const to = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Home: this.rows.firstElementChild, End: this.rows.lastElementChild }[e.key];
    if (!to) return;
    e.preventDefault();
    this.#select(to);
  }

  #clear() {
    this.#frames = [];
    this.#kept = 0;
    this.details.textContent = '';
    this.#redraw();
  }

  #save() {
    const link = Object.assign(document.createElement('a'), { download: 'slipway.pcap' });
    link.href = URL.createObjectURL(pcapFile(this.#frames.filter((frame) => this.#matches(frame))));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
}
