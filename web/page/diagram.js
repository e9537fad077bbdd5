/**
 * A diagram of a network as SVG: boxes in columns (or, where that is too wide, in rows), lines between them, counters that change
 * while it stands. It is a picture with a description: what it shows in numbers must be told elsewhere, too, in a table.
 */
const SVG = 'http://www.w3.org/2000/svg';
const BOX = { width: 168, lineHeight: 16, top: 20, bottom: 10 };
const GAP = { along: 84, across: 14 }; // between columns, between the boxes of one
const MARGIN = 3;
const SMALLEST = 0.85; // where there is too little room; below that it can be scrolled
const MOST_CHARACTERS = { title: 20, line: 25 };

/**
 * @typedef {{id: string, column: number, kind: string, title: string, lines: string[], bad?: boolean, faint?: boolean}} Box
 *   kind: nic, hub, netdev, pc
 * @typedef {{from: string, to: string, down?: boolean, busy?: boolean, label?: string}} Line
 */

function element(name, attributes = {}, parent = null) {
  const e = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  parent?.append(e);
  return e;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export class Diagram {
  #shape = '';
  #boxes = new Map(); // id -> {group, title, lines}
  #lines = []; // {path, label}

  /** @param {HTMLElement} frame - filled by the diagram */
  constructor(frame) {
    this.frame = frame;
    this.svg = element('svg', { role: 'img', class: 'diagram' });
    frame.append(this.svg);
  }

  /** @param {Box[]} boxes  @param {Line[]} lines  @param {string} description */
  show(boxes, lines, description) {
    this.svg.toggleAttribute('hidden', !boxes.length);
    if (!boxes.length) return;
    const columns = [];
    for (const box of boxes) (columns[box.column] ??= []).push(box);
    const used = columns.filter(Boolean);
    const longest = Math.max(1, ...used.map((column) => column.length));
    const wide = used.length * BOX.width + (used.length - 1) * GAP.along;
    const upright = wide + 2 * MARGIN > this.frame.clientWidth;
    const most = Math.max(...boxes.map((box) => box.lines.length));
    const shape = JSON.stringify([upright, most, boxes.map(({ id, column, kind }) => [id, column, kind]), lines.map(({ from, to }) => [from, to])]);
    if (shape !== this.#shape) {
      this.height = BOX.top + most * BOX.lineHeight + BOX.bottom;
      this.most = most;
      this.#build(used, lines, upright, longest);
      this.#shape = shape;
    }
    if (this.svg.getAttribute('aria-label') !== description) this.svg.setAttribute('aria-label', description);
    for (const box of boxes) this.#update(this.#boxes.get(box.id), box);
    lines.forEach((line, i) => {
      const { path, label } = this.#lines[i];
      path.setAttribute('class', `line${line.down ? ' down' : ''}${line.busy ? ' busy' : ''}`);
      label.textContent = line.label ?? '';
    });
  }

  #update({ group, title, lines }, box) {
    group.setAttribute('class', `box ${box.kind}${box.bad ? ' bad' : ''}${box.faint ? ' faint' : ''}`);
    title.textContent = cut(box.title, MOST_CHARACTERS.title);
    lines.forEach((line, i) => {
      line.textContent = cut(box.lines[i] ?? '', MOST_CHARACTERS.line);
    });
  }

  /** Columns are centred on one another; upright, what is a column is a row. */
  #build(columns, lines, upright, longest) {
    this.#boxes.clear();
    this.#lines = [];
    this.svg.replaceChildren();
    const [step, pitch] = upright ? [this.height + GAP.along / 2, BOX.width + GAP.across] : [BOX.width + GAP.along, this.height + GAP.across];
    const places = new Map();
    columns.forEach((column, i) => column.forEach((box, j) => {
      const along = MARGIN + i * step;
      const across = MARGIN + (j + (longest - column.length) / 2) * pitch;
      places.set(box.id, upright ? { x: across, y: along } : { x: along, y: across });
    }));
    const [along, across] = [columns.length * step - (upright ? GAP.along / 2 : GAP.along) + 2 * MARGIN, longest * pitch - GAP.across + 2 * MARGIN];
    const [width, height] = upright ? [across, along] : [along, across];
    for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) this.svg.setAttribute(key, value);
    this.svg.style.minWidth = `${width * SMALLEST}px`;
    for (const { from, to } of lines) this.#lines.push(this.#line(places.get(from), places.get(to), upright));
    for (const box of columns.flat()) this.#boxes.set(box.id, this.#box(places.get(box.id)));
  }

  #line(from, to, upright) {
    const [a, b] = (upright ? from.y < to.y : from.x < to.x) ? [from, to] : [to, from];
    let d;
    let label;
    if (upright) {
      const [x0, y0, x1, y1] = [a.x + BOX.width / 2, a.y + this.height, b.x + BOX.width / 2, b.y];
      d = `M${x0} ${y0}C${x0} ${(y0 + y1) / 2} ${x1} ${(y0 + y1) / 2} ${x1} ${y1}`;
      label = { x: x0 + 8, y: y0 + 15, 'text-anchor': 'start' };
    } else {
      const [x0, y0, x1, y1] = [a.x + BOX.width, a.y + this.height / 2, b.x, b.y + this.height / 2];
      d = `M${x0} ${y0}C${(x0 + x1) / 2} ${y0} ${(x0 + x1) / 2} ${y1} ${x1} ${y1}`;
      label = { x: (x0 + x1) / 2, y: Math.min(y0, y1) + Math.abs(y0 - y1) / 2 - 6, 'text-anchor': 'middle' };
    }
    return { path: element('path', { d, class: 'line' }, this.svg), label: element('text', { ...label, class: 'label' }, this.svg) };
  }

  #box({ x, y }) {
    const group = element('g', { class: 'box' }, this.svg);
    element('rect', { x, y, width: BOX.width, height: this.height, rx: 8 }, group);
    element('rect', { x, y: y + 10, width: 3, height: this.height - 20, rx: 1.5, class: 'mark' }, group);
    const title = element('text', { x: x + 12, y: y + BOX.top, class: 'title' }, group);
    const lines = Array.from({ length: this.most }, (_, i) => element('text', { x: x + 12, y: y + BOX.top + (i + 1) * BOX.lineHeight }, group));
    return { group, title, lines };
  }
}
