/**
 * The sound of a PC in a page: pieces of samples come from the worker and are played one after the other, a little later than
 * they come, so that they may come unevenly. What would lag behind the picture is dropped.
 *
 * Nothing is made before a PC makes a sound. Browsers let a page be heard only after the user has clicked or typed in it: until
 * then sounds are dropped.
 */
const DELAY_S = 0.06;
const MOST_S = 0.3;

export class Sound {
  #context = null;
  #next = 0; // when the next piece is due, in the context's time

  /** @param {Int16Array} samples - mono  @param {number} rate - of them, per second */
  play(samples, rate) {
    if (!this.#context) {
      if (!navigator.userActivation?.hasBeenActive || !globalThis.AudioContext) return;
      this.#context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
    }
    const now = this.#context.currentTime;
    if (this.#next < now) this.#next = now + DELAY_S;
    if (this.#next > now + MOST_S) return;
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(Float32Array.from(samples, (x) => x / 32768), 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.start(this.#next);
    this.#next += samples.length / rate;
  }

  close() {
    this.#context?.close().catch(() => {});
    this.#context = null;
    this.#next = 0;
  }
}
