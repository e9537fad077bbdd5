/**
 * A terminal of a PC in a page: xterm.js on one of pc.terminals. What the emulator sends counts as shown once xterm has drawn
 * it, so that a guest which floods its console is slowed down and not the page. The cursor doesn't blink unless the guest wants it to:
 * browsers would compute styles and frames 60 times a second for it, a tenth of a processor.
 */
import { FitAddon } from './addon-fit.mjs';
import { TerminalKeys } from './terminal-keys.js';
import { Terminal as Xterm } from './xterm.mjs';

export class TerminalView {
  #fit = new FitAddon();
  #stop;

  /** @param {HTMLElement} element - filled by the terminal  @param {Terminal} terminal - see terminal.js */
  constructor(element, terminal) {
    this.element = element;
    this.xterm = new Xterm({
      fontSize: 14, scrollback: 5000, fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
      theme: { background: '#0d1117', foreground: '#e6edf3' },
    });
    this.xterm.loadAddon(this.#fit);
    this.xterm.open(element);
    this.xterm.textarea.setAttribute('aria-label', `Terminal ${terminal.name}. Ctrl+Alt+G leaves it.`);
    this.xterm.attachCustomKeyEventHandler((e) => {
      if (e.ctrlKey && e.shiftKey && e.code === 'KeyC' && this.xterm.hasSelection()) { // else the browser's own tools would open
        if (e.type === 'keydown') document.execCommand('copy');
        e.preventDefault();
        return false;
      }
      if (!(e.ctrlKey && e.altKey && e.code === 'KeyG')) return true;
      if (e.type === 'keydown') this.xterm.blur();
      return false;
    });
    const keys = new TerminalKeys(this.xterm, (text) => terminal.send(text));
    /** A row of keys for phones; the page puts it where it has room. */
    this.keys = keys.element;
    this.xterm.onData((text) => terminal.send(keys.apply(text)));
    this.xterm.onBinary((text) => terminal.send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.#stop = terminal.listen((bytes) => new Promise((resolve) => this.xterm.write(bytes, resolve)), { history: true });
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(element);
  }

  fit() {
    if (this.element.clientHeight === 0) return; // it isn't shown
    this.#fit.fit();
    this.xterm.options.screenReaderMode = true; // lines for screen readers cost a layout each: only of what is shown
  }

  focus() {
    this.xterm.focus();
  }

  dispose() {
    this.#stop();
    this.observer.disconnect();
    this.xterm.dispose();
  }
}
