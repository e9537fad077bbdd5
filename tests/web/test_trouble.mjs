/** Trouble from outside: each shows one clear message with what to do, and page and PC go on. */
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root, startRelay } from './lib.mjs';

const ECHO = '-bios made/echo.bin -m 16';
const GRUB = '-m 64 -cdrom guests/grub-rescue.iso -boot d -net none';
const notices = (page) => () => page.locator('#notices').textContent();
const state = (page) => () => page.locator('#state').textContent();

export async function test_a_relay_that_is_not_there_or_wants_a_token_is_told(t) {
  t.expectedErrors = [/ERR_CONNECTION_REFUSED/, /WebSocket/];
  const secret = path.join(pictures, 'secret-of-relay');
  fs.writeFileSync(secret, Buffer.alloc(32, 7), { mode: 0o600 });
  const relay = await startRelay('--secret', secret, '--origin', 'any');
  try {
    const address = relay.url.replace('http', 'ws');
    for (const [netdev, message] of [
      ['relay=ws://127.0.0.1:9', /not connected: can't be reached.*Is the relay running/],
      [`relay=${address}slipway`, /BAD_TOKEN: a token is needed.*into token= of the netdev/],
      [`relay=${address}slipway,token=wrong`, /BAD_TOKEN: the token isn't good.*into token= of the netdev/],
      [`relay=${address}`, /can't be reached, or is no relay/],
    ]) {
      const page = await t.start(`${ECHO} -nic user,${netdev}`);
      await t.eventually(notices(page), message, netdev);
      t.equal(await page.locator('.notice').count(), 1, `${netdev}: messages`);
      t.match(await state(page)(), /running/, 'the state');
      await page.getByRole('button', { name: 'Reset' }).click(); // the page works on
      await t.accessible(page, 'a notice');
      if (/:9$/.test(netdev)) {
        await t.picture(page, 'notice');
        await page.getByRole('tab', { name: 'Network' }).click();
        await t.eventually(() => page.locator('svg.diagram').textContent(), /relay: not connected/, 'the diagram');
        await page.getByRole('button', { name: /^Put away/ }).click();
        t.equal(await page.locator('.notice').count(), 0, 'messages that were put away');
      }
      await page.context().close();
    }
  } finally {
    relay.close();
  }
}

/** A disk whose server fails while the PC runs: what GRUB has read goes on working. */
export async function test_a_disk_that_breaks_off_while_the_pc_runs_is_told(t) {
  t.expectedErrors = [/ERR_/, /404/, /Failed to load/];
  const image = path.join(pictures, 'shrinking.iso');
  fs.copyFileSync(path.join(root, 'build/guests/grub-rescue.iso'), image);
  const { size } = fs.statSync(image);
  fs.truncateSync(image, size + (8 << 20));
  const page = await t.start(GRUB.replace('guests/grub-rescue.iso', 'made/shrinking.iso'));
  const text = () => page.evaluate(() => globalThis.slipway.pc?.screenText?.().catch(() => ''));
  await t.eventually(text, /GNU GRUB/, 'the screen');
  fs.truncateSync(image, size);
  await page.getByLabel('Text to type').fill('c');
  await page.getByLabel('Text to type').press('Enter');
  await t.eventually(text, /grub>/, "GRUB's prompt");
  await page.getByLabel('Text to type').fill(`hexdump -s ${size + (4 << 20)} -n 16 (cd)`);
  await page.getByLabel('Text to type').press('Enter');
  await t.eventually(notices(page), /shrinking\.iso: .*the PC sees a disk error.*Check the connection and the file/, 'the notice');
  await t.eventually(text, /hexdump .*\n(.*\n)*grub>/, 'the prompt after the error');
  await page.getByLabel('Text to type').fill('echo still.here');
  await page.getByLabel('Text to type').press('Enter');
  await t.eventually(text, /\nstill\.here/, 'the PC after it');
}

export async function test_a_browser_that_lacks_something_is_told(t) {
  t.expectedErrors = [/./];
  const page = await t.open('index.html');
  const start = async (message) => {
    await page.locator('#command').fill('-m 16 -nic none');
    await page.getByRole('button', { name: 'Start' }).click();
    await t.message(page, message);
    t.equal(await page.locator('#start').isVisible(), true, 'the start button is there');
  };
  // An instruction that no browser knows is as one that this browser doesn't know.
  const module = Buffer.concat([Buffer.from('0061736d01000000', 'hex'), Buffer.from('0104016000000302010a0a0601040000ff0b', 'hex')]);
  await page.context().route(/core\.wasm/, (route) => route.fulfill({ contentType: 'application/wasm', body: module }));
  await start(/this browser lacks a WebAssembly feature.*Use a current Chrome/s);
  await page.context().unroute(/core\.wasm/);
  await page.context().route(/core\.wasm/, (route) => route.fulfill({ status: 404, body: '' }));
  await start(/core\.wasm: 404/);
  await page.context().unroute(/core\.wasm/);
  await page.evaluate(() => {
    delete globalThis.OffscreenCanvas;
  });
  await start(/this browser has no OffscreenCanvas.*Use a current Chrome/s);
}

export async function test_messages_say_what_to_do(t) {
  const page = await t.open('index.html');
  const advice = (message) => page.evaluate(async (text) => (await import('./advice.js')).adviceFor(text), message);
  for (const [message, wanted] of [
    ['a.iso: 404 Not Found (http://x/a.iso)', /relative to the address/],
    ["a.iso: can't be fetched from http://x/a.iso: the server", /Access-Control-Allow-Origin/],
    ['a.iso: the download broke off (http://x)', /Try again/],
    ['-fnord: unknown option (see -help)', /Another option/],
    ['-m 99999999: too much memory, at most 2000M is possible', /less memory/],
    ['-nic user,restrict=maybe: bad value', /Correct that option/],
    ['the emulator crashed: unreachable', /Start makes a new PC/],
    ['relay ws://x: TOKEN_EXPIRED: it was good until noon', /new token/],
  ]) t.match(await advice(message), wanted, message);
}
