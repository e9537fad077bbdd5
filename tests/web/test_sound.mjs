/** Sound in the page: what its AudioContext plays has the frequencies that the guest asks for. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root, terminalText } from './lib.mjs';

/** What goes to the loudspeakers also goes to the analyser `heard`. */
function listen(page) {
  return page.evaluate(() => {
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
}

export async function test_speaker_is_heard_after_a_click(t) {
  execFileSync('nasm', ['-DFOREVER', '-f', 'bin', '-o', path.join(pictures, 'tone.bin'), path.join(root, 'tests/e2e/tones.asm')]);
  const page = await t.open('index.html');
  await listen(page);
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

export async function test_linux_is_heard_through_the_sound_card(t) {
  const made = (name) => path.join(pictures, name);
  const guest = (name) => fs.readFileSync(path.join(root, 'build/guests', name));
  execFileSync('gcc', ['-static', '-O2', '-o', made('play'), path.join(root, 'tests/e2e/play.c')]);
  execFileSync(path.join(root, 'scripts/mkinitramfs'), [made('play.cpio')], { input: `file /play ${made('play')} 755\n`, cwd: root });
  fs.writeFileSync(made('initrd-play.cpio'), Buffer.concat([guest('initrd-amd64.cpio'), guest('media-amd64.cpio'), fs.readFileSync(made('play.cpio'))]));
  const page = await t.open('index.html');
  await listen(page);
  await page.locator('#command').fill('-m 256 -kernel guests/vmlinuz-amd64 -initrd made/initrd-play.cpio -append "console=ttyS0 quiet" -nic none -device AC97,audiodev=slipway-sound');
  await page.getByRole('button', { name: 'Start' }).click();
  await t.eventually(() => terminalText(page, 'Serial 1'), /guest# /, 'the prompt', 200);
  await page.getByRole('tab', { name: 'Serial 1' }).click();
  await page.keyboard.type('for m in snd-intel8x0 snd-pcm-oss; do modprobe $m; done; while :; do /play 48000 5; done\n');
  // Left 440 Hz, right 1000: both stand out of what lies between. On a busy machine there are gaps.
  const found = () => page.evaluate(() => {
    if (!globalThis.heard) return 'nothing';
    const { frequencyBinCount, context } = globalThis.heard;
    const levels = new Float32Array(frequencyBinCount);
    globalThis.heard.getFloatFrequencyData(levels);
    const level = (from, to) => Math.max(...levels.subarray(...[from, to].map((f) => Math.round(f * 2 * frequencyBinCount / context.sampleRate))));
    return [440, 1000].map((f) => Math.round(level(f * 0.99, f * 1.01) - level(600, 800))).map((dB) => (dB > 15 ? 'clear' : `${dB} dB`)).join(', ');
  });
  await t.eventually(found, /^clear, clear$/, 'the tones', 120);
}
