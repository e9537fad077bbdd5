/** Files into a Linux guest and out of it; hot-plug; a saved state of that Linux: the library, without the page. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root } from './lib.mjs';

/** The test guests' initramfs with drivers and slipway-files. */
function initramfs() {
  const guests = path.join(root, 'build/guests');
  const extra = path.join(pictures, 'files.cpio');
  execFileSync(path.join(root, 'scripts/mkinitramfs'), [extra], { cwd: root, input: 'file /slipway-files scripts/guest-files 755\n' });
  fs.writeFileSync(path.join(pictures, 'files-initrd.cpio'),
    Buffer.concat([`${guests}/initrd-amd64.cpio`, `${guests}/modules-amd64.cpio`, extra].map((name) => fs.readFileSync(name))));
}

/** In the page: a PC with that Linux at its prompt, and what the tests do with it. */
async function linux(page) {
  await page.evaluate(async () => {
    const { Slipway } = await import('./slipway.js');
    const args = '-m 160 -nographic -nic none -kernel guests/vmlinuz-amd64 -initrd made/files-initrd.cpio -append "console=ttyS0 loglevel=3 nowatchdog mitigations=off"';
    const start = (more = '') => Slipway.start({ args: args + more, fileTransfer: true });
    const pc = await start();
    const shell = async (command) => {
      const heard = pc.serial().expect(/<[^>"]*>[^]*guest# /, { timeout: 100000 });
      pc.serial().send(`echo "<"$(${command})">"\n`);
      return /<([^>"]*)>/.exec(await heard)[1];
    };
    await pc.serial().expect('guest# ', { timeout: 200000 });
    const text = async (name) => new TextDecoder().decode(await pc.getFile(name));
    globalThis.guest = { start, pc, shell, text };
  });
}

export async function test_files_go_into_a_linux_and_out_of_it(t) {
  initramfs();
  const page = await t.open('embed.html');
  await linux(page);
  const result = await page.evaluate(async () => {
    const { pc, shell, text } = globalThis.guest;
    const said = (promise) => promise.then(() => 'done', (e) => e.message);
    const got = {};
    got.nobody = await said(pc.putFile('/tmp/x', 'y', { timeout: 1000 }));
    const early = pc.putFile('/tmp/early', 'waited for', { timeout: 200000 });
    await shell('modprobe -a virtio_pci virtio_console; sleep 1; setsid sh /slipway-files >/dev/null 2>&1 &');
    await early;
    got.early = await text('/tmp/early');

    const data = new Uint8Array(5 * 1024 * 1024 + 12345);
    for (let at = 0; at < data.length; at += 65536) crypto.getRandomValues(data.subarray(at, Math.min(data.length, at + 65536)));
    const progress = [];
    pc.addEventListener('transfer', ({ detail }) => progress.push(detail));
    const name = '/tmp/a name: ünï "$x" \\n `y` * ';
    let time = performance.now();
    await pc.putFile(name, new Blob([data]));
    got.put = data.length / (performance.now() - time) / 1000;
    got.sum = await shell('sha256sum /tmp/a* | cut -c-64');
    time = performance.now();
    const back = await pc.getFile(name);
    got.get = data.length / (performance.now() - time) / 1000;
    got.same = back.length === data.length && back.every((byte, i) => byte === data[i]);
    got.progress = ['put', 'get'].map((d) => progress.filter((p) => p.direction === d)).map((all) => all.length > 5 && all.every((p, i) => p.path === name
      && p.total === data.length && (!i || p.loaded >= all[i - 1].loaded)) && all.at(-1).loaded === data.length).join();

    got.left = await shell('ls /tmp | grep -c part');
    got.missing = await said(pc.getFile('/no/such'));
    got.directory = await said(pc.getFile('/tmp'));
    got.unwritable = await said(pc.putFile('/proc/x', 'y'));
    got.onDirectory = await said(pc.putFile('/tmp', 'y'));
    await shell('mkdir /tmp/small; mount -t tmpfs -o size=600k none /tmp/small');
    got.full = await said(pc.putFile('/tmp/small/file', data));
    got.rest = await shell('ls /tmp/small');
    got.relative = await said(pc.putFile('name', 'y'));
    got.lines = await said(pc.putFile('/a\nb', 'y'));
    await pc.putFile('/tmp/empty', '');
    got.empty = (await pc.getFile('/tmp/empty')).length;
    const many = await Promise.all(['one', 'two', 'three'].map(async (word) => {
      await pc.putFile(`/tmp/${word}`, word);
      return text(`/tmp/${word}`);
    }));
    got.many = many.join();
    got.version = await text('/proc/version');
    const waiting = said(pc.getFile(name));
    await pc.pause();
    await pc.stop();
    got.ended = [await waiting, await said(pc.getFile(name))].join('; ');
    got.hash = [...new Uint8Array(await crypto.subtle.digest('SHA-256', data))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return got;
  });
  console.log(`    ${result.put.toFixed(1)} MB/s into the guest, ${result.get.toFixed(1)} MB/s out of it`);
  t.match(result.nobody, /the guest doesn't answer: slipway-files must run in it/, 'a guest that does not listen');
  t.equal(result.early, 'waited for', 'a file for a guest that listens later');
  t.equal(result.sum, result.hash, 'the file in the guest');
  t.equal(result.same, true, 'what came back');
  t.equal(result.progress, 'true,true', 'the progress in both directions');
  t.equal(result.left, '0', 'parts that are left');
  t.match(result.missing, /\/no\/such: No such file/i, 'a file that is not there');
  t.match(result.directory, /\/tmp: is a directory/i, 'a directory');
  t.match(result.unwritable, /\/proc\/x: /, 'a file that cannot be');
  t.match(result.onDirectory, /\/tmp: is a directory/i, 'a file in the place of a directory');
  t.match(result.full, /No space left on device/, 'a file that there is no room for');
  t.equal(result.rest, '', 'what is left of it');
  t.match(result.relative, /'name' can't be/, 'a relative path');
  t.match(result.lines, /can't be/, 'a path with a line break');
  t.equal(result.empty, 0, 'an empty file');
  t.equal(result.many, 'one,two,three', 'several at a time');
  t.match(result.version, /^Linux version .*\n$/, 'a file of /proc');
  t.match(result.ended, /^the PC .*; the PC has ended$/, 'a PC that ends meanwhile');
}

export async function test_hot_plug_and_saved_state_of_a_linux(t) {
  initramfs();
  const page = await t.open('embed.html');
  await linux(page);
  const result = await page.evaluate(async () => {
    const { pc, shell, start, text } = globalThis.guest;
    const got = {};
    await shell('modprobe -a virtio_pci virtio_console; sleep 1; setsid sh /slipway-files >/dev/null 2>&1 &');
    await pc.plug('netdev', 'user,id=n1');
    await pc.plug('device', 'e1000,netdev=n1,id=card,romfile=');
    got.wrong = await pc.plug('device', 'nothing').catch((e) => e.message);
    got.network = await pc.monitor('info network');
    got.seen = await shell('cat /sys/bus/pci/devices/*/device | grep -c 0x100e');
    await pc.setLink('card', false);
    got.link = await pc.monitor('info network');
    await pc.setLink('card', true);

    await pc.putFile('/tmp/mark', '1');
    const upload = pc.putFile('/tmp/big', new Uint8Array(1e6)); // which the state waits for
    const state = await pc.snapshot({ compress: false });
    got.size = state.size;
    await upload;
    await pc.putFile('/tmp/mark', '2');
    const interrupted = pc.putFile('/tmp/other', new Uint8Array(3e6)).catch((e) => e.message);
    await new Promise((resolve) => { pc.addEventListener('transfer', resolve, { once: true }); });
    await pc.restore(state);
    got.interrupted = await interrupted;
    got.back = await text('/tmp/mark');
    got.big = (await pc.getFile('/tmp/big')).length;
    await pc.stop();

    const next = await start(' -S -netdev user,id=n1 -device e1000,netdev=n1,id=card,romfile=');
    got.foreign = await next.restore(state).catch((e) => e.message);
    await next.stop();
    const same = await start(' -S');
    await same.plug('netdev', 'user,id=n1');
    await same.plug('device', 'e1000,netdev=n1,id=card,romfile=');
    await same.restore(state);
    await same.run();
    got.mark = new TextDecoder().decode(await same.getFile('/tmp/mark'));
    const gone = new Promise((resolve) => { same.addEventListener('qmp', ({ detail }) => detail.event === 'DEVICE_DELETED' && resolve(detail.data.device)); });
    await same.unplug('device', 'card');
    got.gone = await Promise.race([gone, new Promise((resolve) => { setTimeout(resolve, 60000); })]);
    await same.unplug('netdev', 'n1');
    got.after = await same.monitor('info network');
    await same.stop();
    return got;
  });
  t.match(result.wrong, /nothing/, 'a device that there is not');
  t.match(result.network, /card: index=0,type=nic/, 'the card');
  t.match(result.link, /card: [^\n]*\n *link=down/, 'the link');
  t.match(result.interrupted, /went back to another state/, 'a transfer that a restore broke off');
  t.equal(result.back, '1', 'the file after the restore');
  t.equal(result.big, 1000000, 'the file that was under way');
  t.match(result.foreign, /of another machine: it has .*, this one has .*card/, 'a machine with the card in another place');
  t.equal(result.mark, '1', 'the file in the next PC');
  t.equal(result.seen, '1', 'the card in the guest');
  t.equal(result.gone, 'card', 'the card that was unplugged');
  t.equal(/card|n1/.test(result.after), false, 'what is left of it');
  console.log(`    a state of ${(result.size / 1e6).toFixed(0)} MB`);
}
