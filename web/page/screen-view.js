/**
 * The screen of a PC in a page: a canvas that takes the focus, and with it the keyboard and, once captured, the mouse.
 *
 * Keys go by position. While the screen has the focus the PC gets all of them, Tab too; Ctrl+Alt+G gives keyboard and mouse
 * back to the page, and so does losing the focus. A PS/2 mouse knows motion only: a click into a graphics screen
 * captures the mouse. A guest that takes positions (a tablet) gets them while the mouse is over the screen, in 32768ths of it, and
 * draws its own arrow; a finger or a pen is the left button there. Scaling is CSS: by whole factors, unless that wastes much of the room; then the canvas is larger than what is
 * shown, by the next whole factor, so that its pixels stay sharp.
 */
const MOST_ENLARGED = 4;
const WHEEL_STEP = 60; // pixels of a wheel event that are a notch
const POSITIONS = 32768; // of an absolute pointer, across the screen
const BUTTONS = { 0: 1, 1: 4, 2: 2, 3: 8, 4: 16 }; // DOM's button -> the PC's bit

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
    for (const type of ['keydown', 'keyup', 'mousedown', 'mouseup', 'mousemove', 'pointerdown', 'pointermove', 'pointerup', 'pointercancel', 'wheel', 'contextmenu', 'blur']) {
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
      pc.addEventListener('pointer', () => this.#pointerChanged());
      this.#pointerChanged();
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

  get #absolute() {
    return this.#pc?.pointerIsAbsolute ?? false;
  }

  #pointerChanged() {
    this.canvas.classList.toggle('absolute', this.#absolute);
    if (this.#absolute && this.captured) document.exitPointerLock();
  }

  get captured() {
    return document.pointerLockElement === this.canvas || this.canvas.getRootNode().pointerLockElement === this.canvas;
  }

  async capture() {
    this.canvas.focus();
    if (this.#absolute) return; // there is nothing to capture
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
    if (this.captured || this.#absolute) this.#button(e, true);
    else if ((await this.#pc.screenText().catch(() => '')) === null) this.capture();
  }

  on_mouseup(e) {
    if (this.captured || this.#absolute) this.#button(e, false);
  }

  /** Buttons and wheel go with where the pointer is, if the guest wants to know. */
  #send(e, state) {
    if (!this.#absolute) {
      this.#pc.pointer({ ...state, buttons: this.#buttons });
      return;
    }
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const place = (at, extent) => Math.max(0, Math.min(POSITIONS - 1, Math.floor((at / extent) * POSITIONS)));
    this.#pc.pointer({ ...state, absolute: true, x: place(e.clientX - left, width), y: place(e.clientY - top, height), buttons: this.#buttons });
  }

  #button(e, down) {
    const bit = BUTTONS[e.button] ?? 0;
    this.#buttons = down ? this.#buttons | bit : this.#buttons & ~bit;
    this.#send(e, {});
  }

  on_mousemove(e) {
    if (this.captured) this.#pc?.pointer({ x: e.movementX, y: e.movementY, buttons: this.#buttons });
    else if (this.#absolute) this.#send(e, {});
  }

  // A mouse that is dragged off the screen stays ours; fingers and pens make no mouse events here.

  on_pointerdown(e) {
    if (!this.#absolute) return;
    this.canvas.setPointerCapture(e.pointerId);
    if (e.pointerType === 'mouse') return;
    e.preventDefault();
    this.canvas.focus();
    this.#touch(e, 1);
  }

  on_pointermove(e) {
    this.#touch(e, this.#buttons);
  }

  on_pointerup(e) {
    this.#touch(e, 0);
  }

  on_pointercancel(e) {
    this.#touch(e, 0);
  }

  #touch(e, buttons) {
    if (!this.#absolute || e.pointerType === 'mouse' || !e.isPrimary) return;
    this.#buttons = buttons;
    this.#send(e, {});
  }

  on_wheel(e) {
    // Somebody who scrolls through the page isn't held up by a screen on the way.
    if (!this.captured && !(this.#absolute && this.canvas.matches(':focus'))) return;
    e.preventDefault();
    this.#wheel += e.deltaY;
    const notches = Math.trunc(this.#wheel / WHEEL_STEP);
    this.#wheel -= notches * WHEEL_STEP;
    if (notches && this.#pc) this.#send(e, { wheel: notches });
  }

  on_contextmenu(e) {
    e.preventDefault();
  }
}
