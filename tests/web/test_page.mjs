/** The page as a person uses it. */
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root, terminalText } from './lib.mjs';

const ECHO = '-bios made/echo.bin -m 16 -nic none';
const GRUB = '-m 64 -cdrom guests/grub-rescue.iso -boot d -net none';

export async function test_settings_are_usable_on_a_desktop_a_phone_and_in_the_dark(t) {
  for (const [what, options] of [['desktop', {}], ['phone', { viewport: { width: 360, height: 740 } }], ['dark', { colorScheme: 'dark' }]]) {
    const page = await t.open('index.html', options);
    await t.accessible(page, what);
    await t.picture(page, what);
    await page.keyboard.press('Tab');
    t.equal(await page.evaluate(() => document.activeElement.id), 'start', 'the first control');
  }
}

export async function test_grub_from_a_cd_over_http_ranges_takes_keys_on_the_screen(t) {
  const page = await t.start(GRUB);
  const text = () => page.evaluate(() => globalThis.slipway.pc?.screenText?.().catch(() => ''));
  await t.eventually(text, /GNU GRUB[^]*for a command-line/, 'the screen');
  await page.locator('canvas').click();
  await page.keyboard.type('c');
  await t.eventually(text, /grub>/, "GRUB's prompt");
  await page.keyboard.type('echo by.keys', { delay: 100 }); // GRUB keeps few keys
  await page.keyboard.press('Enter');
  await t.eventually(text, /\nby\.keys/, 'the answer');
  await page.getByLabel('Text to type').fill('echo Typed_"$root"');
  await page.getByLabel('Text to type').press('Enter');
  await t.eventually(text, /\nTyped_[hc]d/, 'the answer to text from the field');
  await t.picture(page, 'screen');
  await page.getByText('Screen as text').click();
  await t.eventually(() => page.locator('#screen-text').textContent(), /\nTyped_[hc]d/, 'the screen as text');
  await t.accessible(page, 'the screen');
  const iso = t.session.site.requests.filter((r) => r.path.endsWith('.iso'));
  if (!iso.length || iso.some((r) => !r.range)) throw new Error('the CD was not read by ranges');

  const picture = await t.download(page, () => page.getByRole('button', { name: 'Save screenshot' }).click());
  t.match(picture.subarray(1, 4).toString(), /PNG/, 'the screenshot');
}

export async function test_terminals_pause_reset_and_stop(t) {
  const page = await t.start(ECHO);
  await page.getByRole('tab', { name: 'Serial 1' }).click();
  await t.eventually(() => terminalText(page, 'Serial 1'), /READY/, 'the serial line');
  await page.keyboard.type('over the line');
  await t.eventually(() => terminalText(page, 'Serial 1'), /over the line/, 'the echo');
  if (t.session.browserName === 'chromium') { // Firefox reads the clipboard for nobody
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.locator('.xterm-screen:visible').dblclick({ position: { x: 8, y: 8 } });
    await page.keyboard.press('Control+Shift+C');
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await t.eventually(copied, /^READY\s*$/, 'what was copied');
    await page.keyboard.press('Control+Shift+V');
    await t.eventually(() => terminalText(page, 'Serial 1'), /over the lineREADY/, 'what was pasted');
  }
  await page.getByRole('tab', { name: 'Monitor' }).click();
  await page.keyboard.type('info status\n');
  await t.eventually(() => terminalText(page, 'Monitor'), /VM status: running/, 'the monitor');
  await t.eventually(() => page.locator('.xterm-accessibility-tree:visible').textContent(), /VM status: running/, 'what screen readers see');
  t.equal(await page.evaluate(() => document.getAnimations().length), 0, 'animations (a frame each 16 ms) while nothing happens');
  await t.picture(page, 'monitor');
  await t.accessible(page, 'a terminal');
  const state = () => page.locator('#state').textContent();
  await page.getByRole('button', { name: 'Pause' }).click();
  await t.eventually(state, /^paused$/, 'the state');
  await page.getByRole('button', { name: 'Continue' }).click();
  await t.eventually(state, /^running$/, 'the state');
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.getByRole('tab', { name: 'Serial 1' }).click();
  await t.eventually(() => terminalText(page, 'Serial 1'), /READY[^]*READY/, 'the serial line after a reset');
  await page.getByRole('button', { name: 'Stop' }).click();
  await t.eventually(state, /^ended$/, 'the state');
  await page.getByRole('button', { name: 'Start' }).click();
  await t.eventually(state, /^running$/, 'the state of the next PC');
}

export async function test_keys_for_phones_reach_the_terminal(t) {
  const page = await t.start(ECHO, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await page.getByRole('tab', { name: 'Serial 1' }).tap();
  const text = () => terminalText(page, 'Serial 1');
  await t.eventually(text, /READY/, 'the serial line');
  const keys = page.getByRole('toolbar', { name: 'Keys' }).locator('visible=true');
  const sent = await page.evaluateHandle(() => {
    const all = [];
    globalThis.slipway.pc.serial().listen((bytes) => all.push(...bytes)); // the guest echoes
    return all;
  });
  const bytes = () => sent.evaluate((all) => all.join(' '));
  await keys.getByRole('button', { name: 'Ctrl' }).tap();
  await page.keyboard.type('cx');
  await t.eventually(bytes, /^3 120$/, 'Ctrl+C, x');
  await keys.getByRole('button', { name: 'Arrow up' }).tap();
  await t.eventually(bytes, /^3 120 27 91 65$/, 'the arrow');
  await t.accessible(page, 'the keys');
  await t.picture(page, 'phone');
}

export async function test_files_of_the_user_become_options_and_are_read(t) {
  const page = await t.open('index.html');
  await page.locator('#files').setInputFiles(path.join(root, 'build/guests/grub-rescue.iso'));
  t.match(await page.locator('#command').inputValue(), /-cdrom grub-rescue\.iso/, 'the command line');
  await t.picture(page, 'file');
  await page.getByRole('button', { name: 'Start' }).click();
  await t.eventually(() => page.evaluate(() => globalThis.slipway.pc?.screenText?.().catch(() => '')), /GNU GRUB/, 'the screen');
}

/** Each of these is told in one message, and the page stays usable. */
export async function test_what_goes_wrong_is_told_in_one_message(t) {
  t.expectedErrors = [/404/, /ERR_/, /net::/];
  const cases = [
    ['-nonsense', /nonsense/],
    ['-m 128 -append "never closed', /never closed|ends inside/],
    ['-m 99999999', /-m|memory/],
    ['-kernel guests/missing', /guests\/missing: 404 Not Found \(http/],
    ['-cdrom guests/missing.iso', /missing\.iso: 404 Not Found/],
    ['-cdrom http://127.0.0.1:9/x.iso', /can't be fetched from http:\/\/127\.0\.0\.1:9/],
    ['-kernel guests/grub-rescue.iso?cut', /the download broke off|cut off/],
    ['-netdev tap,id=n0', /tap/],
  ];
  for (const [command, wanted] of cases) {
    const page = await t.start(command);
    await t.message(page, wanted);
    t.equal(await page.locator('#start').isVisible(), true, `${command}: the start button is there`);
    await page.context().close();
  }
  const page = await t.start('-kernel guests/missing');
  await t.message(page, /404/);
  await t.picture(page, 'message');
  await t.accessible(page, 'a message');
  await page.locator('#command').fill(ECHO);
  await page.getByRole('button', { name: 'Start' }).click();
  await t.eventually(() => page.locator('#state').textContent(), /^running$/, 'the state of the PC after the message');
  t.equal(await page.locator('#message').isVisible(), false, 'the old message is gone');
}

export async function test_a_worker_that_crashes_is_told_and_the_page_stays(t) {
  t.expectedErrors = [/crash/i];
  const copy = path.join(pictures, 'broken');
  fs.cpSync(path.join(root, 'build/web'), copy, { recursive: true });
  const host = fs.readFileSync(path.join(copy, 'host.js'), 'utf8');
  fs.writeFileSync(path.join(copy, 'host.js'), host.replace('const ms = this.core.turn();', 'const ms = this.core.turn(); if (this.woken) this.core = null;'));
  const page = await t.open('made/broken/index.html');
  await page.locator('#command').fill('-m 16');
  await page.getByRole('button', { name: 'Start' }).click();
  await t.message(page, /the emulator crashed: /);
  t.equal(await page.locator('#start').isVisible(), true, 'the start button is there');
}

export async function test_download_before_the_first_instruction_is_under_1500_kb(t) {
  const { gzipSync } = await import('node:zlib');
  const before = t.session.site.requests.length;
  const page = await t.start('-m 16 -nic none');
  await t.eventually(() => page.locator('#state').textContent(), /^running$/, 'the state');
  const files = new Map(t.session.site.requests.slice(before).filter((r) => r.size > 0).map((r) => [r.path, r.file]));
  let sum = 0;
  for (const file of files.values()) sum += gzipSync(fs.readFileSync(file)).length;
  console.log(`    ${files.size} files, ${Math.round(sum / 1000)} kB with gzip`);
  if (sum > 1.5e6) throw new Error(`${sum} bytes with gzip`);
}
