/**
 * The page of labs: labs.html lists those that are here, labs.html?lab=URL is one of them: instructions and checks beside its PCs.
 *
 * ?session=NAME names the hubs (and is made up otherwise), ?relay=URL&token=TOKEN moves them from this browser to a relay's rooms.
 * The address can be passed on: who opens it works in the same session.
 */
import { CHECK_PORT, fetchLab, fetchText, linkName, parseLab } from './lab-file.js';
import { Checks } from './checks.js';
import { Diagram } from './diagram.js';
import { LabPc } from './lab-pc.js';
import { Messages } from './messages.js';
import { Session, randomName } from './session.js';
import { humanBytes } from './units.js';

const UPDATE_MS = 1000;
const get = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
/** Where this page's files are, as a guest with user-mode networking sees them at http://10.0.2.2. */
const SITE = new URL('.', location.href).pathname;

const messages = new Messages(get('message'), get('notices'));
const showMessage = (text) => messages.show(text);

// ---- The list ----

async function showChooser() {
  get('chooser').hidden = false;
  const index = new URL('labs/index.json', location.href);
  for (const name of JSON.parse(await fetchText(index))) {
    const lab = await fetchLab(new URL(name, index));
    const item = document.createElement('li');
    const link = Object.assign(document.createElement('a'), { href: `?lab=labs/${encodeURIComponent(name)}` });
    link.append(Object.assign(document.createElement('strong'), { textContent: lab.title }), Object.assign(document.createElement('span'), { textContent: lab.summary }),
      Object.assign(document.createElement('span'), { className: 'hint', textContent: `${lab.pcs.length} PC${lab.pcs.length > 1 ? 's' : ''}${lab.minutes ? `, ${lab.minutes} minutes` : ''}` }));
    item.append(link);
    get('list').append(item);
  }
}

get('open').addEventListener('submit', (e) => {
  e.preventDefault();
  location.search = `?lab=${encodeURIComponent(get('address').value)}`;
});
get('file').addEventListener('change', async (e) => {
  const [file] = e.target.files;
  if (!file) return;
  try {
    const schema = JSON.parse(await fetchText(new URL('labs/lab.schema.json', import.meta.url)));
    const lab = parseLab(await file.text(), file.name, schema);
    await showLab({ ...lab, url: new URL(`labs/${file.name}`, location.href).href });
  } catch (error) {
    showMessage(error.message);
  }
});

// ---- A lab ----

/** A relay's address may be relative to this page; for its PCs, relative means to the lab's file. */
function relayAddress(text) {
  return text && new URL(text, location.href).href.replace(/^http/, 'ws');
}

class LabPage {
  constructor(lab) {
    this.lab = lab;
    this.session = { name: query.get('session') || randomName(), relay: relayAddress(query.get('relay') ?? ''), token: query.get('token') ?? '' };
    this.checks = new Checks(lab.checks, CHECK_PORT, (i) => this.#achieved(i));
    this.pcs = lab.pcs.map((settings) => new LabPc(lab, settings, { session: this.session, checks: this.checks, changed: () => this.changed(), fail: showMessage, log: (line, who) => messages.log(line, who) }));
    this.map = new Diagram(get('map'));
  }

  async show() {
    const { lab } = this;
    const { render } = await import('./markdown.js');
    document.title = `${lab.title} – Slipway labs`;
    get('lab-title').textContent = lab.title;
    get('checks').replaceChildren(...lab.checks.map((check) => {
      const item = document.createElement('li');
      const text = document.createElement('span');
      text.append(check.title, Object.assign(document.createElement('span'), { className: 'visually-hidden', textContent: '' }));
      item.append(text);
      return item;
    }));
    get('checks-part').hidden = !lab.checks.length;
    get('instructions').replaceChildren(render(lab.instructions, { base: lab.url, pcs: this.pcs.map((pc) => pc.name), type: (name, text) => this.#type(name, text) }));
    get('pcs').replaceChildren(...this.pcs.map((pc) => pc.element));
    get('start-all').addEventListener('click', () => this.#startAll());
    get('stop-all').addEventListener('click', () => this.pcs.filter((pc) => pc.alive).forEach((pc) => pc.pc.stop()));
    this.#showSession();
    this.others = new Session(this.session.name, lab.url);
    this.others.addEventListener('change', () => this.changed(false));
    this.others.addEventListener('done', ({ detail }) => detail.filter((i) => i in lab.checks).forEach((i) => this.checks.set(i)));
    get('chooser').hidden = true;
    get('lab').hidden = false;
    this.#count();
    this.changed();
    this.#poll();
  }

  async #startAll() {
    showMessage('');
    await Promise.all(this.pcs.filter((pc) => !pc.elsewhere).map((pc) => pc.start().catch((e) => showMessage(`${pc.title}: ${e.message}`))));
  }

  async #type(name, text) {
    showMessage('');
    const pc = this.pcs.find((p) => p.name === name);
    await pc.type(text).catch((e) => showMessage(`${pc.title} ${e.message}`));
  }

  // ---- Session ----

  #showSession() {
    const form = get('session');
    for (const key of ['name', 'relay', 'token']) form.elements[key].value = this.session[key];
    get('together').open = query.has('session');
    const address = (values) => {
      const url = new URL(location.href);
      for (const [key, value] of Object.entries({ session: values.name, relay: values.relay, token: values.token })) {
        if (value) url.searchParams.set(key, value);
        else url.searchParams.delete(key);
      }
      return url.href;
    };
    get('invitation').href = address(this.session);
    form.addEventListener('submit', (e) => {
      e.preventDefault();
      location.href = address(Object.fromEntries(new FormData(form)));
    });
  }

  // ---- What is going on ----

  /** @param {boolean} here - in this tab */
  changed(here = true) {
    for (const pc of this.pcs) {
      pc.elsewhere = this.others.runsElsewhere(pc.name);
      pc.update();
    }
    get('start-all').hidden = this.pcs.every((pc) => pc.alive || pc.elsewhere);
    get('stop-all').hidden = !this.pcs.some((pc) => pc.alive);
    if (here) this.#tell();
    this.#draw();
  }

  #tell() {
    this.others.update(this.pcs.filter((pc) => pc.alive).map((pc) => pc.name), this.checks.done.flatMap((done, i) => (done ? [i] : [])));
  }

  #achieved(i) {
    const item = get('checks').children[i];
    item.classList.add('done');
    item.querySelector('.visually-hidden').textContent = ' (done)';
    this.#count();
    this.#tell();
  }

  #count() {
    const { done } = this.checks;
    const count = done.filter(Boolean).length;
    get('checks-count').textContent = done.length ? `${count} of ${done.length} done` : '';
    get('progress-text').textContent = done.length && count === done.length ? 'All done.' : get('checks-count').textContent;
  }

  #draw() {
    const { lab } = this;
    const boxes = this.pcs.map((pc) => ({
      id: `pc ${pc.name}`, column: 0, kind: 'pc', title: pc.title, faint: !pc.alive && !pc.elsewhere,
      lines: [pc.alive ? pc.pc.state : pc.elsewhere ? 'in another tab' : 'off'],
    }));
    boxes.push(...lab.hubs.map((hub) => ({ id: `hub ${hub.name}`, column: 1, kind: 'hub', title: hub.title ?? hub.name, lines: [this.session.relay ? 'on the relay' : 'in this browser'] })));
    const lines = [];
    for (const pc of this.pcs) {
      (pc.settings.links ?? []).forEach((link, i) => {
        const id = linkName(pc.settings, i);
        const to = link.hub ? `hub ${link.hub}` : `net ${pc.name} ${id}`;
        if (!link.hub) boxes.push({ id: to, column: 1, kind: 'netdev', title: link.netdev.split(',')[0], lines: [`of ${pc.name}`] });
        const ends = pc.clients.filter((c) => c.name === id || c.peer === id);
        const rate = ends.reduce((sum, c) => sum + (c.rate ?? 0), 0);
        lines.push({ from: `pc ${pc.name}`, to, down: ends.some((c) => c.link !== 'up'), busy: rate > 0, label: rate > 0 ? `${humanBytes(rate)}/s` : '' });
      });
    }
    const says = (pc) => `${pc.title} is ${pc.alive ? pc.pc.state : 'off'}, with ${(pc.settings.links ?? []).map((link) => link.hub ?? link.netdev.split(',')[0]).join(' and ') || 'no network'}`;
    this.map.show(boxes, lines, `${this.pcs.map(says).join('; ')}.`);
  }

  async #poll() {
    await Promise.all(this.pcs.map((pc) => pc.poll()));
    this.#draw();
    setTimeout(() => this.#poll(), UPDATE_MS);
  }
}

async function showLab(lab) {
  const site = (text) => text.replaceAll('${site}', SITE);
  const page = new LabPage({ ...lab, instructions: site(lab.instructions) });
  globalThis.slipwayLab = page; // for the browser's console
  await page.show();
}

try {
  if (query.get('lab')) await showLab(await fetchLab(new URL(query.get('lab'), location.href)));
  else await showChooser();
} catch (e) {
  showMessage(e.message);
  if (query.get('lab')) showChooser().catch(() => {}); // what the page has is there all the same
}
