/** Linux with a network in the page, served by the relay: what scripts/run starts. */
import { execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { installGuest, pictures, root, startRelay, terminalText } from './lib.mjs';

const PROMPT = /slipway:\S+#$/;

export async function test_linux_boots_with_a_network_that_is_watched(t) {
  installGuest();
  const web = await nginx(); // on the relay's loopback, where nobody gets without a token that says so
  const { port } = web;
  const secret = path.join(pictures, 'secret');
  fs.writeFileSync(secret, crypto.randomBytes(32), { mode: 0o600 });
  const token = execFileSync(path.join(root, 'build/native/slipway-relay'),
    ['token', '--secret', secret, '--expires', '1h', '--egress', `loopback:${port}`], { encoding: 'utf8' }).trim();
  const relay = await startRelay('--secret', secret);
  try {
    await boot(t, relay, token, web);
  } finally {
    relay.close();
    web.close();
  }
}

/** Debian's nginx with a file of 3 MB and a small one. */
async function nginx() {
  execFileSync(path.join(root, 'tests/relay/prepare'), ['peers'], { stdio: 'ignore' });
  const peers = path.join(root, 'build/tests/relay/peers');
  const place = path.join(pictures, 'nginx');
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(path.join(place, 'www'), { recursive: true });
  fs.writeFileSync(path.join(place, 'www/hello'), 'hello from outside\n');
  const file = crypto.randomBytes(3 << 20);
  fs.writeFileSync(path.join(place, 'www/file'), file);
  const port = await new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const free = server.address().port;
      server.close(() => resolve(free));
    });
  });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${place}/${name};`).join(' ');
  fs.writeFileSync(path.join(place, 'nginx.conf'), `daemon off; master_process off; pid ${place}/pid; error_log stderr; events {}
    http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; root ${place}/www; } }\n`);
  const server = spawn(path.join(peers, 'usr/sbin/nginx'), ['-c', `${place}/nginx.conf`, '-p', place], { stdio: 'ignore',
    env: { ...process.env, LD_LIBRARY_PATH: `${peers}/usr/lib/x86_64-linux-gnu:${peers}/lib/x86_64-linux-gnu` } });
  return { port, md5: crypto.createHash('md5').update(file).digest('hex'), close: () => server.kill() };
}

/** What was seen of the text of @selector, all of it, in the order in which it came. */
function watch(page, selector) {
  return page.evaluate((where) => {
    const seen = [];
    const element = document.querySelector(where);
    new MutationObserver(() => seen.at(-1) !== element.textContent && seen.push(element.textContent)).observe(element, { childList: true, subtree: true, characterData: true });
    (globalThis.watched ??= {})[where] = seen;
  }, selector);
}
const seen = (page, selector) => page.evaluate((where) => globalThis.watched[where].join('\n'), selector);

async function boot(t, relay, token, { port, md5 }) {
  const page = await t.open(relay.url);
  const command = await page.locator('#command').inputValue();
  t.match(command, /relay=slipway /, "the page's command line");
  await page.locator('#command').fill(command.replace('relay=slipway', `relay=slipway,token=${token}`));
  await page.getByText('Files', { exact: true }).click();
  await page.locator('[data-part=tftp]').setInputFiles({ name: 'by.tftp', mimeType: 'text/plain', buffer: Buffer.from('served by the page\n') });
  t.match(await page.locator('#command').inputValue(), /,tftp=tftp /, 'the command line with TFTP');
  await page.getByText('Files', { exact: true }).click();
  for (const part of ['#progress', '#speed', '#rates']) await watch(page, part);
  await page.getByRole('button', { name: 'Start' }).click();
  const screen = () => terminalText(page, 'Serial 1').then((text) => text.trimEnd());
  const start = performance.now();
  await t.eventually(screen, PROMPT, 'the serial line', 200);
  console.log(`    prompt after ${((performance.now() - start) / 1000).toFixed(1)} s, ${/Up for .* s/.exec(await screen())}`);
  t.match(await seen(page, '#progress'), /Starting the PC\d[^]*vmlinuz\.gz[\d.]+ [kM]?B of 11 MB, [\d.]+ [kM]B\/s/, 'the downloads before the start');
  t.match(await seen(page, '#speed'), /^\d+(\.\d)? MIPS$/m, 'the speed');
  t.match(await page.locator('#disk').textContent(), /^disk [\d.]+ MB$/, 'what was read of the disk');
  t.match(await screen(), /eth0 has 10\.0\.2\.15\/24/, 'the address');
  await t.picture(page, 'terminal');

  await page.getByRole('tab', { name: 'Network' }).click();
  await page.getByRole('button', { name: 'Capture', exact: true }).click();
  await page.getByRole('button', { name: 'Stop capture' }).waitFor();
  await page.getByRole('tab', { name: 'Serial 1' }).click();
  const type = async (command, answer, seconds = 60) => {
    await t.eventually(screen, PROMPT, 'the prompt', seconds); // what is typed before may be lost
    await page.keyboard.type(`clear; ${command}\n`);
    await t.eventually(screen, answer, command, seconds);
  };
  await type('uname -m', /^x86_64$/m);
  await type('ping -c 2 10.0.2.2', /2 packets? received|2 received/);
  await type(`curl -sS http://10.0.2.2:${port}/hello`, /^hello from outside$/m);

  await page.getByRole('tab', { name: 'Network' }).click();
  const rows = page.locator('[data-part=rows]');
  await t.eventually(() => rows.textContent(), /ICMP.*echo reply/, 'the frames');
  await t.eventually(() => rows.textContent(), /HTTP.*GET \/hello HTTP\/1\.1.*HTTP\/1\.1 200 OK/, 'the frames');
  await t.eventually(() => page.locator('[data-part=clients]').textContent(), /virtio-net/, 'the cards');
  t.match(await page.locator('svg.diagram').getAttribute('aria-label'), /card \S+ is plugged into net0, link up/, 'what the diagram says');
  await t.eventually(() => page.locator('svg.diagram').textContent(), /virtio-net-pci.*user .*frames/, 'the diagram');
  await rows.locator('tr').first().click();
  await t.eventually(() => page.locator('[data-part=details]').textContent(), /^0000 {2}/, 'the bytes');
  await page.getByLabel('Show only frames').fill('http get');
  await rows.locator('tr').first().click();
  const layers = page.getByRole('region', { name: 'Protocols of the chosen frame' });
  await t.eventually(() => layers.textContent(), /Ethernet.*IPv4 .*TCP .*HTTP.*GET \/hello HTTP\/1\.1.*User-Agentcurl/s, 'the protocols');
  await layers.getByText('User-Agent').hover();
  t.match(await page.locator('[data-part=details] mark').allTextContents().then((all) => all.join('')), /User.*-Agent: cur/s, 'the marked bytes');
  await layers.locator('summary').nth(1).focus();
  await page.keyboard.press('Enter');
  await t.eventually(() => layers.getByText('Time to live').isVisible().then(String), /true/, 'a protocol opened by the keyboard');
  await page.getByLabel('Show only frames').fill('');
  await t.picture(page, 'network');
  await t.accessible(page, 'the network view');
  await page.getByLabel('Show only frames').fill('icmp');
  await t.eventually(() => page.locator('[data-part=count]').textContent(), /of \d+ captured/, 'the count');
  const pcap = await t.download(page, () => page.getByRole('button', { name: 'Save pcap' }).click());
  t.equal(pcap.readUInt32LE(0), 0xa1b2c3d4, 'the magic number of the pcap file');
  t.match(execFileSync('tcpdump', ['-nn', '-r', '-'], { input: pcap, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] }), /^(?=([^]*: ICMP echo (request|reply), ){4})(.*ICMP.*\n)+$/, 'what tcpdump reads of it');
  const whole = path.join(pictures, 'network.pcap');
  await page.getByLabel('Show only frames').fill('');
  fs.writeFileSync(whole, await t.download(page, () => page.getByRole('button', { name: 'Save pcap' }).click()));
  t.match(execFileSync('tshark', ['-r', whole, '-Y', 'http', '-T', 'fields', '-e', 'http.request.uri', '-e', 'http.server'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    /\/hello\t\n(.*\n)*.*\tnginx/, 'what tshark reads of it');

  await page.getByRole('tab', { name: 'Serial 1' }).click();
  await type(`curl -sS http://10.0.2.2:${port}/file | md5sum`, new RegExp(`^${md5} `, 'm'));
  await t.eventually(() => seen(page, '#rates'), /↓ [\d.]+ [kM]B\/s ↑/, 'the rates');
  await type('tftp -g -r by.tftp -l - 10.0.2.2', /^served by the page$/m);
  await page.getByText('Files', { exact: true }).click();
  await page.locator('[data-part=send]').setInputFiles({ name: 'sent.txt', mimeType: 'text/plain', buffer: Buffer.from('sent by the page\n') });
  await t.eventually(() => page.locator('#files-menu [data-part=progress]').textContent(), /^Sent \/root\/sent\.txt: 17 B$/, 'what was sent');
  await t.picture(page, 'files');
  await t.accessible(page, 'the menu of files');
  await page.getByLabel('File in the PC').fill('/root/sent.txt');
  t.equal((await t.download(page, () => page.getByRole('button', { name: 'Fetch' }).click())).toString(), 'sent by the page\n', 'the file that came back');
  await page.getByLabel('File in the PC').fill('/not/there');
  await page.getByRole('button', { name: 'Fetch' }).click();
  await t.message(page, /in the guest: .*not.there/);
  await page.getByText('Files', { exact: true }).click();
  // Another port of that machine is closed, and that is told once.
  await page.locator('.xterm-helper-textarea').first().focus();
  await type('curl -sS http://10.0.2.2:9/; curl -sS http://10.0.2.2:10/; echo done', /^done$/m);
  const notices = page.locator('.notice', { hasText: "relay's own machine" });
  await t.eventually(() => notices.allTextContents().then((all) => all.join('|')), /^netdev 'net0': .*10\.0\.2\.2.*--egress loopback:PORT[^|]*$/, 'the notice');
  await t.picture(page, 'notice');

  await page.getByRole('tab', { name: 'Network' }).click();
  await page.setViewportSize({ width: 360, height: 740 });
  await t.accessible(page, 'the network view on a phone');
  await t.picture(page, 'network-phone');
  await page.getByRole('tab', { name: 'Serial 1' }).click();
  await t.picture(page, 'terminal-phone');
}
