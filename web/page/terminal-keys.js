/**
 * Keys that phones don't have, for a terminal: a row of buttons, shown where a finger points (page.css). Ctrl and Alt hold for the
 * next key, be it one of the row or one of the phone's own keyboard.
 */
const KEYS = {
  Esc: '\x1b', Tab: '\t', '↑': '\x1b[A', '↓': '\x1b[B', '←': '\x1b[D', '→': '\x1b[C', '|': '|', '/': '/', '-': '-', '~': '~',
};
const NAMES = { '↑': 'Arrow up', '↓': 'Arrow down', '←': 'Arrow left', '→': 'Arrow right', '|': 'Vertical bar', '/': 'Slash', '-': 'Minus', '~': 'Tilde' };

/** What a terminal sends for a character with Ctrl: the control character of its letter. */
const control = (c) => (/^[a-zA-Z@[\\\]^_]$/.test(c) ? String.fromCharCode(c.toUpperCase().charCodeAt(0) & 31) : c);

export class TerminalKeys {
  #held = new Map(); // modifier -> button

  /** @param {Xterm} xterm  @param {function(string)} send */
  constructor(xterm, send) {
    this.element = document.createElement('div');
    this.element.className = 'toolbar terminal-keys';
    this.element.setAttribute('role', 'toolbar');
    this.element.setAttribute('aria-label', 'Keys');
    for (const name of ['Ctrl', 'Alt']) {
      const button = this.#button(name, () => this.#hold(button, name));
      button.setAttribute('aria-pressed', 'false');
    }
    for (const [name, text] of Object.entries(KEYS)) {
      this.#button(name, () => {
        send(this.apply(text));
        xterm.focus();
      });
    }
  }

  #button(name, action) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: name });
    if (NAMES[name]) button.ariaLabel = NAMES[name];
    button.addEventListener('pointerdown', (e) => e.preventDefault()); // the phone's keyboard stays
    button.addEventListener('click', action);
    this.element.append(button);
    return button;
  }

  #hold(button, name) {
    if (!this.#held.delete(name)) this.#held.set(name, button);
    button.setAttribute('aria-pressed', String(this.#held.has(name)));
  }

  /** Text as it is to be sent: with the modifiers that are held, which it lets go of. */
  apply(text) {
    if (!this.#held.size) return text;
    let out = this.#held.has('Ctrl') ? control(text) : text;
    if (this.#held.has('Alt')) out = `\x1b${out}`;
    for (const button of this.#held.values()) button.setAttribute('aria-pressed', 'false');
    this.#held.clear();
    return out;
  }
}
