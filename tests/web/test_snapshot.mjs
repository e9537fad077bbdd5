/** Saved states in the page: to a file and back, kept in the browser, and one that the native build saved. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root } from './lib.mjs';

const MACHINE = '-m 64 -boot d -net none -serial null -monitor null -cdrom';
const GRUB = `${MACHINE} guests/grub-rescue.iso`;
const text = (page) => () => page.evaluate(() => globalThis.slipway.pc?.screenText?.().catch(() => ''));

/** At GRUB's prompt. */
async function grub(t) {
  const page = await t.start(GRUB);
  await t.eventually(text(page), /GNU GRUB[^]*for a command-line/, 'the screen');
  await page.getByLabel('Text to type').fill('c');
  await page.getByLabel('Text to type').press('Enter');
  await t.eventually(text(page), /grub>/, "GRUB's prompt");
  return page;
}

async function type(page, line) {
  await page.getByLabel('Text to type').fill(line);
  await page.getByLabel('Text to type').press('Enter');
}

export async function test_a_state_goes_to_a_file_and_back_and_is_kept_in_the_browser(t) {
  const page = await grub(t);
  await type(page, 'echo before');
  await t.eventually(text(page), /\nbefore/, 'the echo');
  await page.getByText('States', { exact: true }).click();
  const file = path.join(pictures, 'pc.state.gz');
  fs.writeFileSync(file, await t.download(page, () => page.getByRole('button', { name: 'Save to a file' }).click()));
  await page.getByRole('button', { name: 'Keep in this browser' }).click();
  await t.eventually(() => page.locator('#states li').count().then(String), /^1$/, 'kept states');
  await t.picture(page, 'states');
  await t.accessible(page, 'saved states');
  await type(page, 'echo after');
  await t.eventually(text(page), /\nafter/, 'the second echo');

  await page.locator('#states input').setInputFiles(file);
  await t.eventually(async () => ((await text(page)()).includes('after') ? 'no' : 'yes'), /yes/, 'the screen went back');
  await type(page, 'echo once more');
  await t.eventually(text(page), /\nbefore[^]*\nonce more/, 'GRUB after the restore');

  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: /^Restore: / }).click(); // starts a PC first
  await t.eventually(async () => (/\nbefore/.test(await text(page)()) ? 'yes' : 'no'), /yes/, 'the kept state');
  await page.getByRole('button', { name: /^Delete: / }).click();
  await t.eventually(() => page.locator('#states li').count().then(String), /^0$/, 'kept states');

  await page.locator('#states input').setInputFiles({ name: 'x', mimeType: '', buffer: fs.readFileSync(file).subarray(0, 20000) });
  await t.message(page, /damaged/);
  await page.locator('#states input').setInputFiles({ name: 'x', mimeType: '', buffer: Buffer.from('nothing of the kind') });
  await t.message(page, /this is no snapshot/);
  await type(page, 'echo alive');
  await t.eventually(text(page), /\nalive/, 'the PC after a bad file');
}

export async function test_a_full_storage_is_told(t) {
  const page = await t.start('-bios made/echo.bin -m 16 -nic none');
  await t.eventually(() => page.locator('#state').textContent(), /^running$/, 'the state');
  await page.evaluate(() => {
    IDBObjectStore.prototype.add = () => {
      throw new DOMException('no room', 'QuotaExceededError');
    };
  });
  await page.getByText('States', { exact: true }).click();
  await page.getByRole('button', { name: 'Keep in this browser' }).click();
  await t.message(page, /storage is full: delete a saved state below, or save this one to a file/);
}

export async function test_a_state_that_the_native_build_saved_goes_on_in_the_page(t) {
  const state = path.join(pictures, 'native.state');
  const iso = path.join(root, 'build/guests/grub-rescue.iso');
  const commands = [{ execute: 'qmp_capabilities' }, ...['sendkey c', 'sendkey e', 'sendkey c', 'sendkey h', 'sendkey o', 'sendkey spc', 'sendkey n', 'sendkey ret']
    .map((line) => ({ execute: 'human-monitor-command', arguments: { 'command-line': line } }))];
  const script = `
import json, subprocess, sys, time
pc = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def qmp(command):
    pc.stdin.write(json.dumps(command).encode() + b"\\n"); pc.stdin.flush()
    while True:
        answer = json.loads(pc.stdout.readline())
        if "return" in answer or "error" in answer: return answer
def screen():
    path = ${JSON.stringify(path.join(pictures, 'native.text'))}
    qmp({"execute": "pmemsave", "arguments": {"val": 0xb8000, "size": 4000, "filename": path}})
    return open(path, "rb").read()[::2].decode("latin1")
pc.stdout.readline()
commands = json.loads(${JSON.stringify(JSON.stringify(commands))})
qmp(commands[0])
while "GNU GRUB" not in screen(): time.sleep(0.3)
for c in commands[1:]:
    qmp(c); time.sleep(0.4)
while screen().count("n") < 3: time.sleep(0.3)
print(qmp({"execute": "migrate", "arguments": {"uri": "file:${state}"}}))
qmp({"execute": "quit"})
`;
  execFileSync('python3', ['-c', script, path.join(root, 'build/native/slipway'), ...`${MACHINE} ${iso} -display none -qmp stdio`.split(' ')], { timeout: 200000 });
  const page = await t.start(`${GRUB} -loadvm made/native.state`);
  await t.eventually(text(page), /grub>/, "GRUB's prompt");
  await type(page, 'echo from.native');
  await t.eventually(text(page), /\nfrom\.native/, 'GRUB in the page');
}
