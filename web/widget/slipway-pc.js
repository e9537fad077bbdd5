/**
 * <slipway-pc>: a PC as an element of any page of the same site.
 *
 *   <script type="module" src="slipway/slipway-pc.js"></script>
 *   <slipway-pc cmd="-m 128 -cdrom grub.iso" autostart></slipway-pc>
 *
 * Attributes: cmd, a command line; view, what is shown: "screen" (default) or the name of a terminal, such as "serial0";
 * autostart: without it there is a button; controls: "none" hides the bar below; file-transfer: see putFile() in slipway.d.ts. Property pc: see slipway.d.ts; events as a PC's,
 * with the same names and detail, and "start" when there is one. For a page of another site there is embed.html.
 */
import { Slipway } from './slipway.js';
import { ScreenView } from './screen-view.js';

const sheet = (name) => `<link rel="stylesheet" href="${new URL(name, import.meta.url)}">`;
const EVENTS = ['state', 'terminal', 'progress', 'log', 'resize', 'qmp', 'restored', 'transfer', 'network', 'frame', 'captured', 'exit', 'error'];

export class SlipwayPC extends HTMLElement {
  static observedAttributes = ['view'];

  /** @type {import('./slipway.js').PC | null} */
  pc = null;
  #screen;
  #terminal = null;
  #get = (part) => this.shadowRoot.querySelector(`[data-part=${part}]`);

  constructor() {
    super();
    this.attachShadow({ mode: 'open', delegatesFocus: true }).innerHTML = `${sheet('xterm.css')}${sheet('slipway-pc.css')}
      <div data-part="screen"></div>
      <div data-part="terminal" hidden><div></div></div>
      <div data-part="cover"><button type="button" data-part="start">Start</button><p data-part="message" role="alert"></p></div>
      <div data-part="bar" role="toolbar" aria-label="The PC">
        <button type="button" data-part="pause" disabled>Pause</button><button type="button" data-part="reset" disabled>Reset</button>
        <button type="button" data-part="full">Full screen</button><span data-part="state" role="status"></span></div>`;
    this.#screen = new ScreenView(this.#get('screen'));
    this.#get('start').addEventListener('click', () => this.start().catch(() => {})); // the cover tells
    this.#get('pause').addEventListener('click', () => (this.pc.state === 'paused' ? this.pc.run() : this.pc.pause()));
    this.#get('reset').addEventListener('click', () => this.pc.reset());
    this.#get('full').addEventListener('click', () => this.requestFullscreen());
  }

  connectedCallback() {
    if (this.hasAttribute('autostart') && !this.pc) this.start().catch(() => {});
  }

  /** A PC goes with its element (but not while that is only moved). */
  disconnectedCallback() {
    queueMicrotask(() => {
      if (!this.isConnected) this.pc?.stop();
    });
  }

  attributeChangedCallback() {
    this.#showView();
  }

  /** Starts the PC; @options (see slipway.d.ts) go over the attributes. @returns {Promise<PC>} */
  start(options = {}) {
    this.pc?.stop();
    const pc = Slipway.create({ args: this.getAttribute('cmd') ?? '', fileTransfer: this.hasAttribute('file-transfer'), ...options });
    this.pc = pc;
    for (const type of EVENTS) {
      pc.addEventListener(type, ({ detail }) => {
        this.dispatchEvent(new CustomEvent(type, { detail }));
        this.#update();
      });
    }
    if (pc.state !== 'failed') this.#screen.show(pc);
    this.#terminal?.dispose();
    this.#terminal = null;
    this.#update();
    this.#showView();
    this.dispatchEvent(new CustomEvent('start', { detail: pc }));
    pc.started.catch((e) => {
      this.#get('message').textContent = e.message;
    });
    return pc.started;
  }

  #update() {
    const { state } = this.pc;
    const alive = ['running', 'paused'].includes(state);
    this.#get('state').textContent = state;
    this.#get('cover').hidden = alive;
    this.#get('start').hidden = state === 'starting';
    if (alive) this.#get('message').textContent = '';
    this.#get('pause').textContent = state === 'paused' ? 'Continue' : 'Pause';
    for (const part of ['pause', 'reset']) this.#get(part).disabled = !alive;
    if (!this.#terminal) this.#showView();
  }

  /** The terminal is loaded only where one is to be seen. */
  async #showView() {
    const name = this.getAttribute('view') ?? 'screen';
    const terminal = name === 'screen' ? null : this.pc?.terminals.get(name);
    this.#get('screen').hidden = Boolean(terminal);
    this.#get('terminal').hidden = !terminal;
    if (!terminal || this.#terminal?.name === name) return;
    this.#terminal?.dispose();
    this.#terminal = { name, dispose() {} };
    const { TerminalView } = await import('./terminal-view.js');
    if (this.#terminal.name === name) this.#terminal = Object.assign(new TerminalView(this.#get('terminal').firstElementChild, terminal), { name });
  }
}

customElements.define('slipway-pc', SlipwayPC);
