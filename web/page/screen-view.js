/**
 * The screen of a PC in a page: a canvas that takes the focus, and with it the keyboard and, once captured, the mouse.
 *
 * Keys go by position. While the screen has the focus the PC gets all of them, Tab too; Ctrl+Alt+G gives keyboard and mouse
 * back to the page, and so does losing the focus. A PS/2 mouse knows motion only: a click into a graphics screen
 * captures the mouse. Scaling is CSS: by whole factors, unless that wastes much of the room; then the canvas is larger than what is
 * shown, by the next whole factor, so that its pixels stay sharp.
 */
const MOST_ENLARGED = 4;
const WHEEL_STEP = 60; // pixels of a wheel event that are a notch
const BUTTONS = { 0: 1, 1: 4, 2: 2 }; // DOM's button -> the PC's bit

export class ScreenView {
  #pc = null;
  #down = new Set();
  #buttons = 0;
  #wheel = 0;

  /** @param {HTMLElement} frame - the canvas goes in here and is scaled to it */
  constructor(frame) {
    this.frame = frame;
    new ResizeObserver(() => this.#scale()).observe(frame);
    this.#newCanvas();
    this.show(null);
  }

  #newCanvas() {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 720, height: 400, tabIndex: 0 });
    canvas.className = 'screen';
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', 'Screen of the PC. While it has the focus, all keys go to the PC; Ctrl+Alt+G gives them back.');
    for (const type of ['keydown', 'keyup', 'mousedown', 'mouseup', 'mousemove', 'wheel', 'contextmenu', 'blur']) {
      canvas.addEventListener(type, (e) => this[`on_${type}`](e), { passive: false });
    }
    this.canvas?.remove();
    this.canvas = canvas;
    this.frame.prepend(canvas);
  }

  /** Shows a PC (a canvas serves one only), or none. */
  show(pc) {
    if (this.#pc) this.#newCanvas();
    this.#pc = pc;
    this.#size = { width: 720, height: 400 };
    this.#enlarged = 1;
    if (pc) {
      pc.attachCanvas(this.canvas);
      pc.addEventListener('resize', ({ detail }) => {
        this.#size = detail;
        this.#scale();
      });
    }
    this.#scale();
  }
  #size = { width: 720, height: 400 };
  #enlarged = 1;

  #scale() {
    const { width, height } = this.#size;
    const ratio = devicePixelRatio || 1;
    const fit = Math.min((this.frame.clientWidth * ratio) / width, (this.frame.clientHeight * ratio) / height);
    const factor = fit >= 1 ? Math.floor(fit) : fit;
    // A whole factor that wastes much of the frame is worse than a sharp enough fraction.
    const scale = (fit / factor > 1.3 ? fit : factor) / ratio;
    if (!(scale > 0)) return;
    // Pixels of equal size as they are; else the smooth edges of larger ones: uneven ones make text unreadable.
    const shown = scale * ratio;
    const whole = Math.abs(shown - Math.round(shown)) < 0.001;
    this.canvas.style.imageRendering = whole ? 'pixelated' : 'auto';
    const enlarged = whole || shown < 1 ? 1 : Math.min(Math.ceil(shown), MOST_ENLARGED);
    if (this.#pc && enlarged !== this.#enlarged) this.#pc.enlargeCanvas(enlarged);
    this.#enlarged = this.#pc ? enlarged : 1;
    this.canvas.style.width = `${width * scale}px`;
    this.canvas.style.height = `${height * scale}px`;
  }

  get captured() {
    return document.pointerLockElement === this.canvas || this.canvas.getRootNode().pointerLockElement === this.canvas;
  }

  async capture() {
    this.canvas.focus();
    try {
      await this.canvas.requestPointerLock();
    } catch {
      // The browser says no (too soon after the last time, or the frame isn't allowed to): the keyboard works all the same.
    }
  }

  release() {
    if (this.captured) document.exitPointerLock();
    this.#buttons = 0;
    this.#down.clear();
    this.#pc?.releaseKeys();
  }

  async fullscreen() {
    await this.frame.requestFullscreen();
    // Where the browser can: Escape, Tab and the like go to the PC, too.
    await navigator.keyboard?.lock?.().catch(() => {});
    this.canvas.focus();
  }

  // ---- Events ----

  #key(e, down) {
    if (!this.#pc || e.isComposing) return;
    if (down && e.ctrlKey && e.altKey && e.code === 'KeyG') {
      e.preventDefault();
      this.release();
      this.canvas.blur();
      return;
    }
    if (!this.#pc.key(e.code, down)) return;
    e.preventDefault();
    if (down) this.#down.add(e.code);
    else this.#down.delete(e.code);
  }

  on_keydown(e) {
    this.#key(e, true); // a key that is held repeats: the PC's own keyboard would do that, too
  }

  on_keyup(e) {
    this.#key(e, false);
  }

  on_blur() {
    this.release();
  }

  async on_mousedown(e) {
    e.preventDefault();
    this.canvas.focus();
    if (!this.#pc) return;
    if (this.captured) this.#button(e, true);
    else if ((await this.#pc.screenText().catch(() => '')) === null) this.capture();
  }

  on_mouseup(e) {
    if (this.captured) this.#button(e, false);
  }

  #button(e, down) {
    const bit = BUTTONS[e.button] ?? 0;
    this.#buttons = down ? this.#buttons | bit : this.#buttons & ~bit;
    this.#pc.pointer({ buttons: this.#buttons });
  }

  on_mousemove(e) {
    if (this.captured) this.#pc?.pointer({ x: e.movementX, y: e.movementY, buttons: this.#buttons });
  }

  on_wheel(e) {
    if (!this.captured) return;
    e.preventDefault();
    this.#wheel += e.deltaY;
    const notches = Math.trunc(this.#wheel / WHEEL_STEP);
    this.#wheel -= notches * WHEEL_STEP;
    if (notches) this.#pc?.pointer({ wheel: notches, buttons: this.#buttons });
  }

  on_contextmenu(e) {
    e.preventDefault();
  }
}
