/**
 * The network of a PC: who is connected with whom and how much they took (the monitor's "info network", once a second while
 * the view is shown), as a diagram and as a table, and a list of the frames of one netdev (a capture in the core, taken apart in
 * packets.js).
 */
import { Diagram } from './diagram.js';
import { FrameDetails } from './frame-details.js';
import { describe, matches } from './packets.js';
import { PcapReader, pcapFile } from './pcap.js';
import { humanBytes } from './units.js';

const MAX_BYTES = 64 << 20; // of captured frames that are kept
const MAX_ROWS = 300; // that are shown
const CAPTURE = 'network-view'; // its id: who uses the library may have others

const cell = (text, className = '') => Object.assign(document.createElement('td'), { textContent: text, className });

const MARKUP = `
<div class="scroll diagram-frame" data-part="diagram" tabindex="0" role="region" aria-label="Diagram of the network"></div>
<div class="scroll clients" tabindex="0" role="region" aria-label="Cards and netdevs">
  <table>
    <thead><tr><th scope="col">Name</th><th scope="col">Kind</th><th scope="col">Plugged into</th><th scope="col">Link</th>
      <th scope="col" class="number">Frames taken</th><th scope="col" class="number">Bytes</th><th scope="col" class="number">Rate</th></tr></thead>
    <tbody data-part="clients"></tbody>
  </table>
</div>
<div class="toolbar" role="toolbar" aria-label="Capture">
  <label>Netdev <select data-part="netdev"></select></label>
  <button type="button" data-part="capture" aria-pressed="false" disabled>Capture</button>
  <input data-part="filter" aria-label="Show only frames with these words (!word: without it; host:, port:, proto:)" placeholder="filter: dns 10.0.2.3 !aaaa port:53" title="Words that must be there; !word must not; host:10.0.2.3, port:80, proto:tcp" autocapitalize="off" autocomplete="off" spellcheck="false">
  <button type="button" data-part="clear">Clear</button>
  <button type="button" data-part="save">Save pcap</button>
  <span data-part="count" class="hint"></span>
</div>
<div class="scroll packets" tabindex="0" role="region" aria-label="Frames">
  <table>
    <thead><tr><th scope="col" class="number">No.</th><th scope="col" class="number">Time</th><th scope="col">From</th><th scope="col">To</th>
      <th scope="col">Protocol</th><th scope="col" class="number">Bytes</th><th scope="col">Contents</th></tr></thead>
    <tbody data-part="rows"></tbody>
  </table>
</div>
<div data-part="frame" class="frame-details" hidden></div>`;

const modelOf = (client) => client.details.split(',')[0].replace('model=', '');

/** What a netdev is, in lines that are short enough for the diagram: its kind, and how it gets to the outside. */
function linesOf({ type, details }) {
  const relay = /(?:^|,)relay=.*? \((\w[^:)]*)/.exec(details)?.[1];
  const network = details.split(',').find((part) => !/^(restrict|fetch|relay)=/.test(part)) ?? '';
  const kind = `${type} ${network.replace(/^net=/, '').replace(/ \(.*/, '')}`.trim();
  if (relay) return [kind, `relay: ${relay}`];
  return type === 'user' ? [kind, 'HTTP by the browser'] : [kind];
}

const cutOff = ({ details }) => /(?:^|,)relay=/.test(details) && !/ \(connect/.test(details);

/** Boxes and lines of the diagram, and what it shows in words. */
export function pictureOf(clients) {
  const hubs = [...new Set(clients.map((c) => c.hub).filter(Boolean))];
  const isNic = (c) => c.type === 'nic';
  const boxes = clients.map((c) => ({
    id: c.name, column: isNic(c) ? 0 : 2, kind: isNic(c) ? 'nic' : 'netdev', title: c.name, bad: c.link !== 'up' || cutOff(c),
    lines: [...(isNic(c) ? [modelOf(c)] : linesOf(c)), `${c.frames} frames, ${humanBytes(c.bytes)}`],
  }));
  boxes.push(...hubs.map((hub) => ({ id: hub, column: 1, kind: 'hub', title: hub, lines: [`${clients.filter((c) => c.hub === hub).length} ports`] })));
  const line = (from, to, ends) => ({
    from, to, down: ends.some((c) => c.link !== 'up'), busy: ends.some((c) => c.rate > 0),
    label: ends.map((c) => c.rate > 0 && `${isNic(c) ? '←' : '→'} ${humanBytes(c.rate)}/s`).filter(Boolean)[0],
  });
  const byName = new Map(clients.map((c) => [c.name, c]));
  const lines = clients.filter((c) => c.hub).map((c) => (isNic(c) ? line(c.name, c.hub, [c]) : line(c.hub, c.name, [c])));
  for (const c of clients.filter((nic) => isNic(nic) && byName.has(nic.peer))) lines.push(line(c.name, c.peer, [c, byName.get(c.peer)]));
  const says = (c) => `${isNic(c) ? 'card' : c.type} ${c.name}${c.peer || c.hub ? ` is plugged into ${c.peer || c.hub}` : ' is plugged into nothing'}, link ${c.link}`;
  return { boxes, lines, words: clients.length ? `${clients.filter((c) => isNic(c) || c.hub).map(says).join('; ')}. The table has the counters.` : 'No network card.' };
}

export class NetworkView {
  #pc = null;
  #diagram;
  #frames = [];
  #kept = 0;
  #reader = null;
  #last = new Map(); // name -> {bytes, time}
  #capturing = '';

  /** @param {HTMLElement} root - filled by the view  @param {function(string)} fail - tells the user
   * @param {function(object)} onFrame - hears of each frame that is captured: see #captured() */
  constructor(root, fail, onFrame = () => {}) {
    Object.assign(this, { root, fail, onFrame });
    root.innerHTML = MARKUP;
    const get = (name) => root.querySelector(`[data-part="${name}"]`);
    Object.assign(this, { clients: get('clients'), netdev: get('netdev'), toggle: get('capture'), filter: get('filter'), rows: get('rows'), count: get('count'), list: get('rows').closest('.packets'), details: new FrameDetails(get('frame')) });
    this.#diagram = new Diagram(get('diagram'));
    this.toggle.addEventListener('click', () => this.#toggleCapture());
    this.filter.addEventListener('input', () => this.#redraw());
    root.addEventListener('shown', () => this.#pc && this.update().catch(() => {})); // it may have ended
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
    this.#diagram.show([], [], 'No network card.');
    this.#clear();
    this.#label();
    pc?.addEventListener('captured', ({ detail }) => detail.capture === CAPTURE && this.#captured(detail.data));
  }

  /** Asks the PC and shows the answer. @returns {{down: number, up: number}} bytes a second to and from the guest */
  async update() {
    const clients = await this.#pc.network();
    const now = performance.now();
    const rates = { down: 0, up: 0 };
    this.latest = clients;
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
    const { boxes, lines, words } = pictureOf(clients);
    this.#diagram.frame.hidden = !clients.length;
    this.#diagram.show(boxes, lines, words);
    this.clients.replaceChildren(...clients.map((c) => {
      const row = document.createElement('tr');
      const head = Object.assign(document.createElement('th'), { scope: 'row', textContent: c.name });
      const dropped = c.dropped ? `, ${c.dropped} dropped` : '';
      row.append(head, cell(c.type === 'nic' ? modelOf(c) : c.type), cell(c.peer || c.hub || '–'),
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

  /** Captures what goes through @netdev from now on. */
  async capture(netdev) {
    this.#reader = new PcapReader();
    await this.#pc.startCapture(netdev, { id: CAPTURE });
    if (![...this.netdev.options].some((o) => o.value === netdev)) this.netdev.append(new Option(netdev, netdev));
    this.netdev.value = netdev;
    this.#capturing = netdev;
    this.#label();
  }

  async #toggleCapture() {
    try {
      if (this.#capturing) {
        this.#capturing = '';
        await this.#pc.stopCapture(CAPTURE);
      } else {
        await this.capture(this.netdev.value);
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
      this.onFrame(frame);
    }
    let drop = 0;
    while (this.#kept > MAX_BYTES) this.#kept -= this.#frames[drop++].data.length;
    this.#frames.splice(0, drop);
    this.#redraw();
  }

  #matches(frame) {
    return matches(frame, this.filter.value);
  }

  #redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      const matching = this.#frames.filter((frame) => this.#matches(frame));
      const start = this.#frames[0]?.time ?? 0;
      const atEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 4;
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
      if (atEnd && !selected) this.list.scrollTop = this.list.scrollHeight; // who looks at the end sees what comes
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
    this.details.show(frame);
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
    this.details.show(null);
    this.#redraw();
  }

  #save() {
    const link = Object.assign(document.createElement('a'), { download: 'slipway.pcap' });
    link.href = URL.createObjectURL(pcapFile(this.#frames.filter((frame) => this.#matches(frame))));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
}
