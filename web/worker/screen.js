/**
 * The worker's end of the screen. The C side (core/ui/canvas_wasm.c) presents rectangles of a picture in wasm memory; they go
 * straight from there to a canvas: the page's, once it has transferred one, until then one of our own, whose contents the
 * page's canvas takes over. The browser scales it.
 *
 * Where the page shows it enlarged by no whole factor, it asks for a canvas that is a whole factor larger than the picture, made of
 * equal squares: scaled down by the browser they have sharp edges, where the picture itself, scaled up, would be blurred.
 */
export class Screen {
  canvas = new OffscreenCanvas(720, 400);
  context = this.canvas.getContext('2d', { alpha: false });
  image = null; // a view of the picture, for as long as memory and size stay the same
  width = 720;
  height = 400;
  factor = 1;
  small = null; // the picture as it is, if the factor isn't 1

  /** @param {function(number, number)} resized */
  constructor(resized) {
    this.resized = resized;
  }

  /** @param {OffscreenCanvas} canvas - the page's, from now on */
  attach(canvas) {
    canvas.width = this.canvas.width;
    canvas.height = this.canvas.height;
    const context = canvas.getContext('2d', { alpha: false });
    context.drawImage(this.canvas, 0, 0);
    Object.assign(this, { canvas, context });
    this.resized(this.width, this.height);
  }

  /** @param {number} factor - by which the canvas is larger than the picture: 1, 2, ... */
  enlarge(factor) {
    if (factor === this.factor) return;
    const picture = new OffscreenCanvas(this.width, this.height);
    picture.getContext('2d', { alpha: false }).drawImage(this.small ?? this.canvas, 0, 0);
    this.factor = factor;
    this.small = factor > 1 ? picture : null;
    this.#setSize();
    this.#draw(picture, 0, 0, this.width, this.height);
  }

  #setSize() {
    this.canvas.width = this.width * this.factor;
    this.canvas.height = this.height * this.factor;
    if (this.small) Object.assign(this.small, { width: this.width, height: this.height });
  }

  #draw(picture, x, y, w, h) {
    const k = this.factor;
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, x, y, w, h, x * k, y * k, w * k, h * k);
  }

  /** All of the picture is at @pointer of @memory, @width by @height; the rectangle has changed. */
  present(memory, pointer, width, height, x, y, w, h) {
    if (this.width !== width || this.height !== height) {
      Object.assign(this, { width, height });
      this.#setSize();
      this.resized(width, height);
    }
    const data = this.image?.data;
    if (data?.buffer !== memory || data.byteOffset !== pointer || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(new Uint8ClampedArray(memory, pointer, width * height * 4), width, height);
    }
    const target = this.small?.getContext('2d', { alpha: false }) ?? this.context;
    target.putImageData(this.image, 0, 0, x, y, w, h);
    if (this.small) this.#draw(this.small, x, y, w, h);
  }
}
