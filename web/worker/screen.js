/**
 * The worker's end of the screen. The C side (core/ui/canvas_wasm.c) presents rectangles of a picture in wasm memory; they go
 * straight from there to a canvas: the page's, once it has transferred one, until then one of our own, whose contents the
 * page's canvas takes over. The browser scales it.
 */
export class Screen {
  canvas = new OffscreenCanvas(720, 400);
  context = this.canvas.getContext('2d', { alpha: false });
  image = null; // a view of the picture, for as long as memory and size stay the same

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
    this.resized(canvas.width, canvas.height);
  }

  /** All of the picture is at @pointer of @memory, @width by @height; the rectangle has changed. */
  present(memory, pointer, width, height, x, y, w, h) {
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.resized(width, height);
    }
    const data = this.image?.data;
    if (data?.buffer !== memory || data.byteOffset !== pointer || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(new Uint8ClampedArray(memory, pointer, width * height * 4), width, height);
    }
    this.context.putImageData(this.image, 0, 0, x, y, w, h);
  }
}
