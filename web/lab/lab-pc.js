/**
 * A PC of a lab: its card in the page with buttons, terminals, screen and network, and the PC in it while it is on.
 */
import { CHECK_PORT, argsOf, filesOf, hasCommandChecks, linkName } from './lab-file.js';
import { NetworkView } from './network-view.js';
import { ScreenView } from './screen-view.js';
import { Slipway } from './slipway.js';
import { Tabs } from './tabs.js';
import { TerminalView } from './terminal-view.js';
import { humanBytes } from './units.js';

const MARKUP = `
<header>
  <h3></h3><span class="state" role="status"></span>
  <div class="toolbar" role="toolbar">
    <button type="button" data-part="start">Start</button><button type="button" data-part="reset">Reset</button><button type="button" data-part="stop">Stop</button>
  </div>
</header>
<p class="plugged hint"></p>
<p class="progress hint" hidden></p>
<div class="views" hidden>
  <div class="tabs" role="tablist"></div>
  <div class="panels"></div>
</div>`;
const LABELS = { serial0: 'Terminal', compat_monitor0: 'Monitor', stdio: 'Terminal' };

export class LabPc {
  pc = null;
  elsewhere = false;
  clients = []; // of the network view, the last ones
  #terminals = [];
  #progress = new Map();

  /** @param {object} lab  @param {object} settings - lab.pcs' item
   * @param {{session: object, checks: Checks, changed: function(), fail: function(string), log: function(string, string)}} page */
  constructor(lab, settings, page) {
    Object.assign(this, { lab, settings, page, name: settings.name });
    this.title = settings.title ?? settings.name;
    this.element = Object.assign(document.createElement('section'), { className: 'pc', innerHTML: MARKUP, ariaLabel: this.title });
    this.#get = (selector) => this.element.querySelector(selector);
    this.#get('h3').textContent = this.title;
    this.#get('.toolbar').ariaLabel = `${this.title}: power`;
    this.#get('.tabs').ariaLabel = `Views of ${this.title}`;
    this.#get('.plugged').textContent = this.#plugged();
    for (const [part, action] of Object.entries({ start: () => this.start(), reset: () => this.pc.reset(), stop: () => this.pc.stop() })) {
      this.#button(part).ariaLabel = `${this.#button(part).textContent} ${this.title}`;
      this.#button(part).addEventListener('click', () => Promise.resolve(action()).catch((e) => page.fail(`${this.title}: ${e.message}`)));
    }
    this.tabs = new Tabs(this.#get('.tabs'), this.#get('.panels'));
    this.#makeViews();
    this.update();
  }
  #get;
  #button = (part) => this.#get(`[data-part=${part}]`);

  #plugged() {
    const hub = (name) => this.lab.hubs.find((h) => h.name === name)?.title ?? name;
    const links = (this.settings.links ?? []).map((link, i) => `card ${i + 1} ${link.hub ? `in ${hub(link.hub)}` : `in a network of its own (${link.netdev.split(',')[0]})`}`);
    return links.join(', ') || 'no network card';
  }

  #makeViews() {
    const screen = this.tabs.add('Screen');
    const frame = Object.assign(document.createElement('div'), { className: 'frame' });
    screen.panel.append(frame);
    this.screen = new ScreenView(frame);
    const network = this.tabs.add('Network');
    this.network = new NetworkView(network.panel, (text) => this.page.fail(`${this.title}: ${text}`), (seen) => this.page.checks.frame(this.name, seen));
    this.views = { screen: screen.tab, network: network.tab };
    this.tabs.select(screen.tab);
  }

  get alive() {
    return ['starting', 'running', 'paused'].includes(this.pc?.state);
  }

  /** Shows what is on and what can be done. */
  update() {
    const state = this.pc?.state ?? 'off';
    const shown = this.elsewhere && !this.alive ? 'runs in another tab' : { ended: 'off', failed: 'failed', running: 'on' }[state] ?? state;
    if (this.#get('.state').textContent !== shown) this.#get('.state').textContent = shown;
    this.element.dataset.state = this.elsewhere && !this.alive ? 'elsewhere' : state;
    this.#button('start').hidden = this.alive;
    this.#button('start').disabled = this.elsewhere;
    for (const part of ['reset', 'stop']) this.#button(part).hidden = !this.alive;
    this.#button('reset').disabled = state === 'starting';
    this.#get('.progress').hidden = state !== 'starting';
    this.#get('.views').hidden = !this.alive && !this.#terminals.length;
  }

  async start() {
    if (this.alive) return;
    for (const { view, tab } of this.#terminals.splice(0)) {
      view.dispose();
      this.tabs.remove(tab);
    }
    this.#progress.clear();
    let early = []; // what it said before it ran: if it can't start, the error has that, too
    const { lab, settings } = this;
    const files = await filesOf(lab, settings);
    const pc = Slipway.create({
      args: argsOf(lab, settings, this.page.session), files, baseURL: lab.url,
      on: {
        terminal: (terminal) => this.#addTerminal(terminal),
        progress: (p) => this.#showProgress(p),
        error: (e) => this.page.fail(`${this.title}: ${e.message}`),
        state: () => this.#changed(),
        log: (line) => (early ? early.push(line) : this.page.log(line, this.title)),
      },
    });
    this.pc = pc;
    this.page.checks.watch(this.name, pc);
    if (pc.state !== 'failed') this.screen.show(pc);
    this.network.show(pc);
    this.#changed();
    await pc.started.catch(() => {}); // "error" has told
    if (pc.state !== 'running') return;
    early.forEach((line) => this.page.log(line, this.title));
    early = null;
    const { view = 'serial0', capture } = settings;
    this.tabs.select(this.views[view] ?? this.#terminals.find(({ name }) => name === view)?.tab ?? this.views.screen);
    if (capture !== undefined) await this.network.capture(linkName(settings, capture));
  }

  #changed() {
    this.update();
    this.page.changed();
  }

  #showProgress({ name, loaded, total }) {
    this.#progress.set(name, { loaded, total });
    const sum = (key) => [...this.#progress.values()].reduce((n, file) => n + file[key], 0);
    this.#get('.progress').textContent = `loading: ${humanBytes(sum('loaded'))}${sum('total') > sum('loaded') ? ` of ${humanBytes(sum('total'))}` : ''}`;
  }

  #addTerminal(terminal) {
    if (terminal.name === CHECK_PORT && hasCommandChecks(this.lab, this.settings)) return;
    const { tab, panel } = this.tabs.add(LABELS[terminal.name] ?? terminal.name, this.views.screen);
    const frame = Object.assign(document.createElement('div'), { className: 'terminal-frame' });
    const inner = document.createElement('div');
    frame.append(inner);
    panel.append(frame);
    const view = new TerminalView(inner, terminal);
    panel.append(view.keys);
    panel.addEventListener('shown', () => view.fit());
    tab.addEventListener('click', () => view.focus());
    this.#terminals.push({ name: terminal.name, tab, view });
  }

  /** Types into the terminal that is the PC's console, or on its keyboard. */
  async type(text) {
    if (this.pc?.state !== 'running') throw new Error(this.elsewhere ? 'runs in another tab' : 'is off: start it first');
    const terminal = this.#terminals.find(({ name }) => name === 'serial0' || name === 'stdio');
    if (!terminal || this.settings.view === 'screen') {
      await this.pc.type(text);
      return;
    }
    this.tabs.select(terminal.tab);
    this.pc.terminals.get(terminal.name).send(text);
  }

  async poll() {
    if (!['running', 'paused'].includes(this.pc?.state)) {
      this.clients = [];
      return;
    }
    await this.network.update().catch(() => {}); // it ended meanwhile
    this.clients = this.network.latest ?? [];
  }
}
