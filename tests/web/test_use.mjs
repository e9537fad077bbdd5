/** What people do with the page beyond typing: full screen, the mouse, files that are dropped, other tabs, no relay. */
import http from 'node:http';
import fs from 'node:fs';
import path from 'node:path';
import { installGuest, pictures, root, terminalText } from './lib.mjs';

const ECHO = '-bios made/echo.bin -m 16';

export async function test_full_screen_and_mouse_are_taken_and_given_back(t) {
  const page = await t.start(`${ECHO} -nic none`);
  await t.eventually(() => page.locator('#state').textContent(), /^running$/, 'the state');
  await page.evaluate(() => {
    globalThis.moves = [];
    const { pc } = globalThis.slipway;
    pc.pointer = (state) => globalThis.moves.push(state);
  });
  await page.getByRole('button', { name: 'Capture mouse' }).click();
  const captured = () => page.evaluate(() => document.pointerLockElement?.className ?? '');
  await t.eventually(captured, /screen/, 'who has the mouse');
  await page.mouse.move(400, 300);
  await page.mouse.move(420, 310);
  await page.mouse.down();
  await page.mouse.wheel(0, 120);
  const moves = () => page.evaluate(() => JSON.stringify(globalThis.moves));
  await t.eventually(moves, /"x":20,"y":10,"buttons":0.*"buttons":1.*"wheel":2,"buttons":1/, 'what the PC gets');
  await page.mouse.up();
  await page.keyboard.press('Control+Alt+KeyG');
  await t.eventually(captured, /^$/, 'who has the mouse after Ctrl+Alt+G');
  t.equal(await page.evaluate(() => document.activeElement.tagName), 'BODY', 'the focus');

  await page.getByRole('button', { name: 'Full screen' }).click();
  await t.eventually(() => page.evaluate(() => document.fullscreenElement?.id ?? ''), /^frame$/, 'the full screen');
  await t.eventually(() => page.evaluate(() => document.activeElement.className), /^screen$/, 'the focus in full screen');
  await page.evaluate(() => document.exitFullscreen());

  // Where a screen of 640x480 is shown at no whole factor, the canvas is larger by the next one, and scaled down.
  await page.setViewportSize({ width: 1100, height: 1000 });
  const size = () => page.locator('canvas.screen').evaluate((canvas) => `${canvas.width}x${canvas.height} as ${Math.round(canvas.getBoundingClientRect().width)}`);
  await t.eventually(size, /^1280x960 as (?!640|1280)\d+$/, 'the canvas');
  await page.setViewportSize({ width: 800, height: 800 });
  await t.eventually(size, /^640x480 as 640$/, 'the canvas at its own size');
}

/** Drops a file where the mouse would. */
async function drop(page, target, file, name) {
  const data = await page.evaluateHandle(([bytes, called]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], called));
    return transfer;
  }, [fs.readFileSync(file).toString('base64'), name]);
  for (const type of ['dragover', 'drop']) await page.dispatchEvent(target, type, { dataTransfer: data });
}

export async function test_images_are_dropped_before_and_while_the_pc_runs(t) {
  const page = await t.open('index.html');
  const small = path.join(pictures, 'small.iso');
  fs.writeFileSync(small, Buffer.alloc(64 * 2048, 1));
  await drop(page, '#drop', path.join(root, 'build/guests/grub-rescue.iso'), 'grub.iso');
  t.match(await page.locator('#command').inputValue(), /-cdrom grub\.iso/, 'the command line');
  t.match(await page.locator('#file-list').textContent(), /grub\.iso \(5\.\d MB\)/, 'the list of files');
  await page.getByRole('button', { name: 'Start' }).click();
  await t.eventually(() => page.evaluate(() => globalThis.slipway.pc?.screenText?.().catch(() => '')), /GNU GRUB/, 'the screen');
  await drop(page, 'canvas.screen', small, 'other.iso');
  await t.eventually(() => page.evaluate(() => globalThis.slipway.pc.monitor('info block')), /cd0.*other\.iso/s, 'what is in the drive');
  t.equal(await page.locator('#message').isVisible(), false, 'a message');
}

/** All that one needs can be reached and used by the keyboard, in the order in which it stands. */
export async function test_the_keyboard_is_enough(t) {
  const page = await t.open(`index.html?edit=${encodeURIComponent(`${ECHO} -nic none`)}`);
  await page.getByLabel(/^Memory/).waitFor();
  const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
  const seen = [];
  for (let i = 0; i < 9; i++) {
    await page.keyboard.press('Tab');
    seen.push(await focus());
  }
  t.match(seen.join(' | '), /^start \| Labs \| Files \| States \| Linux with a network.* \| Memory test.* \| Labs.* \| files \| command$/, 'the order');
  await page.locator('#command').press('Control+Enter');
  await t.eventually(() => page.locator('#state').textContent(), /^running$/, 'the state');
  await page.locator('#screen-tab').focus();
  await page.keyboard.press('ArrowRight');
  t.equal(await page.getByRole('tab', { selected: true }).textContent(), 'Serial 1', 'the tab');
  await t.eventually(() => terminalText(page, 'Serial 1'), /READY/, 'the serial line');
  await page.keyboard.type('by keyboard');
  await t.eventually(() => terminalText(page, 'Serial 1'), /by keyboard/, 'the echo');
  await page.keyboard.press('Control+Alt+KeyG');
  await page.keyboard.press('Shift+Tab');
  t.equal(await page.evaluate(() => document.activeElement.textContent), 'Serial 1', 'the focus behind the terminal');
}

/** TFTP and what DHCP says of it without a relay: iPXE boots a file that the page gave. */
export async function test_tftp_serves_files_of_the_page(t) {
  const page = await t.open('embed.html');
  const text = await page.evaluate(async () => {
    const { Slipway } = await import('./slipway.js');
    const pc = await Slipway.start({ args: '-m 32 -boot n -nic user,tftp=boot,bootfile=first.ipxe',
      files: { 'boot/first.ipxe': new Blob(['#!ipxe\necho BY-TFTP\nshell\n']) } });
    let got = '';
    while (!/BY-TFTP|No more network devices/.test(got)) {
      await new Promise((resolve) => { setTimeout(resolve, 200); });
      got = await pc.screenText();
    }
    await pc.stop();
    return got;
  });
  t.match(text, /tftp:\/\/10\.0\.2\.2\/first\.ipxe.*ok[^]*BY-TFTP/, 'the screen');
}

/** Without a relay, and in a tab that nobody looks at; and the tools that the guest has. */
export async function test_a_linux_without_a_relay_has_its_tools_and_says_what_can_not_be(t) {
  t.expectedErrors = [/CORS/, /ERR_/, /net::/];
  installGuest();
  const closed = http.createServer((request, response) => response.end('SECRET'));
  const port = await new Promise((resolve) => { // one of web/net/fetch.js' ports
    const attempt = (ports) => closed.once('error', () => attempt(ports.slice(1))).listen(ports[0], '127.0.0.1', () => resolve(ports[0]));
    attempt([8081, 8888, 3000, 5000, 8000, 8008, 8080]);
  });
  try {
    const page = await t.start('-m 512 -kernel guest/vmlinuz.gz -initrd guest/boot.gz -drive file=guest/root.img,format=raw,if=virtio,readonly=on ' +
      '-append "console=ttyS0 quiet mitigations=off" -netdev user,id=net0,doh=http://127.0.0.1:9/ -device virtio-net-pci,netdev=net0,romfile= -device virtio-rng-pci');
    await t.eventually(() => terminalText(page, 'Serial 1').then((text) => text.trimEnd()), /slipway:\S+#$/, 'the prompt', 200);
    // Another tab comes to the front.
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true });
      Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    const run = (command, end) => page.evaluate(async ([line, wanted]) => {
      const answer = globalThis.slipway.pc.serial().expect(new RegExp(wanted), { timeout: 120000 });
      globalThis.slipway.pc.serial().send(`${line}\n`);
      return answer;
    }, [command, end]);
    const tools = ['curl --version', 'tcpdump --version', 'traceroute -n -m 1 10.0.2.2', 'dropbear -V', 'dbclient -V', 'iperf3 --version', 'dnsmasq --version', 'python3 --version', 'ip addr', 'ss -tn', 'ping -c 2 10.0.2.2'];
    for (const tool of tools) await run(`${tool} >/tmp/out 2>&1 && echo "had: ${tool.split(' ')[0]}" || cat /tmp/out`, `\\nhad: ${tool.split(' ')[0]}\\r`);
    await run(`curl -sS http://10.0.2.2/sub/path/labs/hello.txt; echo "status $?"`, 'Hello[^]*status 0|status [1-9]').then((text) => t.match(text, /Hello/i, 'a file of the page'));
    t.match(await run(`curl -sS http://closed.localhost:${port}/; curl -sS http://127-0-0-1.example:${port}/; echo "status $?"`, 'status \\d'), /can't be reached|CORS/, 'what the browser forbids');
    await run('curl -sS -m 5 http://10.0.2.2:22/; echo "status $?"', 'status [1-9]');
    await t.eventually(() => page.locator('#notices').textContent(), /without relay= only HTTP does/, 'the notice');
  } finally {
    closed.close();
  }
}
