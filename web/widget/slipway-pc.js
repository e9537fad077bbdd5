/**
 * <slipway-pc>: a PC as an element of any page of the same site.
 *
 *   <script type="module" src="slipway/slipway-pc.js"></script>
 *   <slipway-pc m="128" cdrom="grub.iso" nic="user" autostart></slipway-pc>
 *
 * Attributes: each option of the emulator by its name, without dash; one that is given several times has a line for each. cmd, a command line
 * that stands before them; view, what is shown: "screen" (default) or the name of a terminal, such as "serial0";
 * autostart: without it there is a button; controls: "none" hides the bar below; file-transfer: see
 * putFile() in slipway.d.ts. Property pc: see slipway.d.ts; events as a PC's,
 * with the same names and detail, and "start" when there is one. For a page of another site there is embed.html.
 */
import { adviceFor } from './advice.js';
import { Slipway, joinCommandLine } from './slipway.js';
import { ScreenView } from './screen-view.js';
import { humanBytes } from './units.js';

const sheet = (name) => `<link rel="stylesheet" href="${new URL(name, import.meta.url)}">`;
const EVENTS = ['state', 'terminal', 'progress', 'log', 'resize', 'qmp', 'restored', 'pointer', 'transfer', 'network', 'frame', 'captured', 'exit', 'error'];
/** Attributes that aren't options: ours, and what any element may have. */
const OTHERS = /^(cmd|view|autostart|controls|file-transfer|id|class|style|title|hidden|tabindex|lang|dir|slot|part|exportparts|role|inert|translate|nonce|is|(aria|data|v|x|ng)[-_:].*|on.*|[_:@].*)$/;

export class SlipwayPC extends HTMLElement {
  static observedAttributes = ['view'];

  /** @type {import('./slipway.js').PC | null} */
  pc = null;
  #screen;
  #terminal = null;
  #files = new Map(); // downloads: name -> {loaded, total}
  #get = (part) => this.shadowRoot.querySelector(`[data-part=${part}]`);

  constructor() {
    super();
    this.attachShadow({ mode: 'open', delegatesFocus: true }).innerHTML = `${sheet('xterm.css')}${sheet('slipway-pc.css')}
      <div data-part="screen"></div>
      <div data-part="terminal" hidden><div></div></div>
      <div data-part="cover">
        <button type="button" data-part="start"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2v12l10-6z"/></svg><span>Start</span></button>
        <div data-part="loading" hidden><progress max="1" aria-label="Downloads"></progress><span></span></div>
        <p data-part="message" role="alert"></p></div>
      <div data-part="bar" role="toolbar" aria-label="The PC" hidden>
        <button type="button" data-part="pause">Pause</button><button type="button" data-part="reset">Reset</button>
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
    const given = options.args === undefined ? [...this.attributes].filter(({ name }) => !OTHERS.test(name)) : [];
    if (!given.length) return this.#start({ args: this.getAttribute('cmd') ?? '', ...options });
    return this.#words(given).then((words) => this.#start({ ...options, args: `${this.getAttribute('cmd') ?? ''} ${joinCommandLine(words)}` }), (e) => {
      this.#tell(e.message);
      throw e;
    });
  }

  /** Attributes as options. HTML knows no capitals in them; what is no option at all is somebody else's. */
  async #words(attributes) {
    const { parseOptions } = await import('./option-table.js');
    const table = await fetch(new URL('options.md', import.meta.url));
    if (!table.ok) throw new Error(`options.md: ${table.status} ${table.statusText} (${table.url})`);
    const options = parseOptions(await table.text());
    return attributes.flatMap(({ name, value }) => {
      const option = options.get(name) ?? [...options.values()].find((o) => o.name.toLowerCase() === name);
      if (!option) console.warn(`<slipway-pc>: '${name}' is no option`);
      if (!option || !option.argument) return option ? [`-${option.name}`] : [];
      return value.split('\n').map((line) => line.trim()).filter(Boolean).flatMap((line) => [`-${option.name}`, line]);
    });
  }

  #start(options) {
    this.pc?.stop();
    this.#files.clear();
    const pc = Slipway.create({ fileTransfer: this.hasAttribute('file-transfer'), ...options });
    this.pc = pc;
    for (const type of EVENTS) {
      pc.addEventListener(type, ({ detail }) => {
        this.dispatchEvent(new CustomEvent(type, { detail }));
        if (type === 'progress') this.#files.set(detail.name, detail);
        this.#update();
      });
    }
    if (pc.state !== 'failed') this.#screen.show(pc);
    this.#terminal?.dispose();
    this.#terminal = null;
    this.#tell('');
    this.#update();
    this.#showView();
    this.dispatchEvent(new CustomEvent('start', { detail: pc }));
    pc.started.catch((e) => this.#tell(e.message));
    pc.addEventListener('error', ({ detail }) => this.#tell(detail.message));
    return pc.started;
  }

  #tell(message) {
    this.#get('message').textContent = message && `${message}\n${adviceFor(message)}`.trim();
    if (message) this.#get('start').lastChild.textContent = 'Start again';
  }

  #update() {
    const { state } = this.pc;
    const alive = ['running', 'paused'].includes(state);
    if (this.#get('state').textContent !== state) this.#get('state').textContent = state;
    this.#get('cover').hidden = alive;
    this.#get('bar').hidden = !alive;
    this.#get('start').hidden = state === 'starting';
    this.#get('loading').hidden = state !== 'starting';
    if (state === 'starting') this.#showLoading();
    if (alive) this.#get('message').textContent = '';
    this.#get('pause').textContent = state === 'paused' ? 'Continue' : 'Pause';
    if (!this.#terminal) this.#showView();
  }

  #showLoading() {
    const [bar, text] = this.#get('loading').children;
    const files = [...this.#files.values()];
    const [loaded, total] = ['loaded', 'total'].map((key) => files.reduce((sum, file) => sum + file[key], 0));
    if (files.length && files.every((file) => file.total)) bar.value = loaded / total;
    else bar.removeAttribute('value');
    text.textContent = `Loading ${humanBytes(loaded)}${total > loaded ? ` of ${humanBytes(total)}` : ''}`;
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
