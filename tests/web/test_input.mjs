/** The mouse over the screen of a Linux with a tablet: where it is in the page is where it is for the guest, at every scale. */
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root } from './lib.mjs';

export async function test_the_mouse_is_where_it_is_for_a_guest_with_a_tablet(t) {
  const guests = path.join(root, 'build/guests');
  fs.writeFileSync(path.join(pictures, 'media-initrd.cpio'),
    Buffer.concat(['initrd', 'media'].map((name) => fs.readFileSync(`${guests}/${name}-amd64.cpio`))));
  const page = await t.start('-m 128 -nic none -device virtio-tablet-pci -kernel guests/vmlinuz-amd64 -initrd made/media-initrd.cpio -append "console=ttyS0 loglevel=3 nowatchdog mitigations=off"');
  const shell = (command) => page.evaluate(async (line) => {
    const { pc } = globalThis.slipway;
    const heard = pc.serial().expect(/<[^>"]*>[^]*guest# /, { timeout: 100000 });
    pc.serial().send(`echo "<"$(${line})">"\n`);
    return /<([^>"]*)>/.exec(await heard)[1];
  }, command);
  await t.eventually(() => page.locator('#state').textContent(), /^running$/, 'the state');
  await page.evaluate(() => globalThis.slipway.pc.serial().expect('guest# ', { timeout: 200000 }));
  await page.locator('#screen-tab').click();
  const canvas = page.locator('canvas.screen');
  t.equal(await canvas.evaluate((e) => getComputedStyle(e).cursor), 'auto', 'the arrow before there is a driver');
  await shell('modprobe -a virtio_pci evdev virtio_input; sleep 1');
  await t.eventually(() => canvas.evaluate((e) => getComputedStyle(e).cursor), /^none$/, 'the arrow over the screen');
  t.equal(await page.evaluate(() => globalThis.slipway.pc.pointerIsAbsolute), true, 'what the library says');
  await shell('cat $(grep -l "Virtio Tablet" /sys/class/input/event*/device/name | sed "s#.*/\\(event[0-9]*\\)/.*#/dev/input/\\1#") > /tmp/events &');

  /** Where the guest's driver has the pointer, and which buttons are down: what all events add up to. */
  const seen = async () => {
    const state = { 3: [0, 0], 1: [], 2: [] };
    const words = (await shell('hexdump -v -e \'24/1 "%02x" " "\' /tmp/events')).trim().split(/\s+/).filter((word) => word.length === 48);
    for (const word of words) {
      const event = new DataView(Uint8Array.from(word.match(/../g), (x) => parseInt(x, 16)).buffer);
      const [type, code, value] = [event.getUint16(16, true), event.getUint16(18, true), event.getInt32(20, true)];
      if (type === 3) state[3][code] = value;
      if (type === 2) state[2].push(value);
      if (type === 1) state[1].push(`${code.toString(16)} ${value}`);
    }
    return `${state[3]}; ${state[1]}; ${state[2]}`;
  };
  /** A page of a new size is laid out anew, the screen after the page: until nothing moves any more, nobody can aim at anything. */
  const stands = () => canvas.evaluate(async (e) => {
    const place = () => JSON.stringify(e.getBoundingClientRect());
    for (let before = '', same = 0; same < 3; before = place()) {
      same = place() === before ? same + 1 : 0;
      await new Promise(requestAnimationFrame);
    }
  });
  const check = async (fx, fy, what) => {
    await stands();
    const box = await canvas.boundingBox();
    const at = [box.x + box.width * fx, box.y + box.height * fy].map(Math.floor); // the mouse is on whole pixels of the page
    await page.mouse.move(...at);
    const wanted = [(at[0] - box.x) / box.width, (at[1] - box.y) / box.height].map((x) => Math.floor(x * 32768));
    await t.eventually(seen, new RegExp(`^${wanted};`), what);
    t.equal(Math.abs(wanted[0] / 32768 - fx) < 0.01, true, `${what}: a hundredth of the screen`);
  };
  await check(0.25, 0.75, 'a place on the screen');
  await page.setViewportSize({ width: 700, height: 800 });
  await check(0.5, 0.1, 'on a screen that is scaled down');
  await page.mouse.down();
  await page.mouse.up();
  await page.mouse.wheel(0, 120);
  await t.eventually(seen, /; 110 1,110 0; -2$/, 'a click and the wheel');
  t.equal(await page.evaluate(() => document.pointerLockElement), null, 'who has the mouse');
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.getByRole('button', { name: 'Full screen' }).click();
  await t.eventually(() => page.evaluate(() => document.fullscreenElement?.id ?? ''), /^frame$/, 'the full screen');
  await check(0.9, 0.9, 'in full screen');
  await page.evaluate(() => document.exitFullscreen());

  // A finger is the left button.
  await canvas.evaluate((e) => {
    const { left, top } = e.getBoundingClientRect();
    e.setPointerCapture = () => {};
    for (const type of ['pointerdown', 'pointerup']) {
      e.dispatchEvent(new PointerEvent(type, { pointerId: 7, pointerType: 'touch', isPrimary: true, clientX: left, clientY: top, cancelable: true }));
    }
  });
  await t.eventually(seen, /^0,0; 110 1,110 0,110 1,110 0; -2$/, 'a touch of the corner');
  // Without its driver there is a PS/2 mouse again, for which the page captures the mouse.
  await shell('rmmod virtio_input; sleep 1');
  await t.eventually(() => canvas.evaluate((e) => getComputedStyle(e).cursor), /^auto$/, 'the arrow in the end');
}
