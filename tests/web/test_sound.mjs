/** The speaker in the page: what its AudioContext plays has the frequency that the guest asks for. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { pictures, root } from './lib.mjs';

export async function test_speaker_is_heard_after_a_click(t) {
  execFileSync('nasm', ['-DFOREVER', '-f', 'bin', '-o', path.join(pictures, 'tone.bin'), path.join(root, 'tests/e2e/tones.asm')]);
  const page = await t.open('index.html');
  await page.evaluate(() => { // what goes to the loudspeakers is listened to
    const { connect } = AudioNode.prototype;
    AudioNode.prototype.connect = function (to, ...more) {
      if (to === this.context.destination) {
        if (globalThis.heard?.context !== this.context) {
          globalThis.heard = this.context.createAnalyser();
          globalThis.heard.fftSize = 16384;
        }
        connect.call(this, globalThis.heard);
      }
      return connect.call(this, to, ...more);
    };
  });
  await page.locator('#command').fill('-m 16 -bios made/tone.bin -nic none');
  await page.getByRole('button', { name: 'Start' }).click();
  const frequency = () => page.evaluate(() => {
    if (!globalThis.heard) return 'nothing';
    const { fftSize, context } = globalThis.heard;
    const samples = new Float32Array(fftSize);
    globalThis.heard.getFloatTimeDomainData(samples);
    const high = samples.reduce((most, x) => Math.max(most, x), 0);
    if (high < 0.02) return 'silence';
    const rises = [];
    let up = true;
    samples.forEach((x, i) => {
      if (!up && x > high / 4) rises.push(i);
      up = up ? x > -high / 4 : x > high / 4;
    });
    return String(Math.round((rises.length - 1) * context.sampleRate / (rises.at(-1) - rises[0])));
  });
  await t.eventually(frequency, /^4(3[6-9]|4[0-4])$/, 'the tone in Hz', 100);
  await page.getByRole('button', { name: 'Pause' }).click();
  await t.eventually(frequency, /^silence$/, 'a PC that is paused');
  await page.getByRole('button', { name: 'Continue' }).click();
  await t.eventually(frequency, /^4(3[6-9]|4[0-4])$/, 'the tone in Hz');
}
