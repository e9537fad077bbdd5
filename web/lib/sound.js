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

  /** @param {Int16Array} samples - left, right, left...  @param {number} rate - of such pairs, per second */
  play(samples, rate) {
    if (!this.#context) {
      if (!navigator.userActivation?.hasBeenActive || !globalThis.AudioContext) return;
      this.#context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
    }
    const now = this.#context.currentTime;
    if (this.#next < now) this.#next = now + DELAY_S;
    if (this.#next > now + MOST_S) return;
    const length = samples.length / 2;
    const buffer = this.#context.createBuffer(2, length, rate);
    for (const channel of [0, 1]) buffer.copyToChannel(Float32Array.from({ length }, (_, i) => samples[2 * i + channel] / 32768), channel);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.start(this.#next);
    this.#next += length / rate;
  }

  close() {
    this.#context?.close().catch(() => {});
    this.#context = null;
    this.#next = 0;
  }
}
