/** Linux with a network in the page, served by the relay: what scripts/run starts. */
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { installGuest, pictures, root, startRelay, terminalText } from './lib.mjs';

const PROMPT = /slipway:\S+#$/;

export async function test_linux_boots_with_a_network_that_is_watched(t) {
  installGuest();
  const web = http.createServer((request, response) => response.end('hello from outside\n'));
  await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));
  // The web server is on the relay's loopback, where nobody gets without a token that says so.
  const { port } = web.address();
  const secret = path.join(pictures, 'secret');
  fs.writeFileSync(secret, crypto.randomBytes(32), { mode: 0o600 });
  const token = execFileSync(path.join(root, 'build/native/slipway-relay'),
    ['token', '--secret', secret, '--expires', '1h', '--egress', `loopback:${port}`], { encoding: 'utf8' }).trim();
  const relay = await startRelay('--secret', secret);
  try {
    await boot(t, relay, token, port);
  } finally {
    relay.close();
    web.close();
  }
}

async function boot(t, relay, token, port) {
  const page = await t.open(relay.url);
  const command = await page.locator('#command').inputValue();
  t.match(command, /relay=slipway /, "the page's command line");
  await page.locator('#command').fill(command.replace('relay=slipway', `relay=slipway,token=${token}`));
  await page.getByRole('button', { name: 'Start' }).click();
  const screen = () => terminalText(page, 'Serial 1').then((text) => text.trimEnd());
  const start = performance.now();
  await t.eventually(screen, PROMPT, 'the serial line', 200);
  console.log(`    prompt after ${((performance.now() - start) / 1000).toFixed(1)} s, ${/Up for .* s/.exec(await screen())}`);
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
  await type(`curl -sS http://10.0.2.2:${port}/`, /^hello from outside$/m);

  await page.getByRole('tab', { name: 'Network' }).click();
  const rows = page.locator('[data-part=rows]');
  await t.eventually(() => rows.textContent(), /ICMP.*echo reply/, 'the frames');
  await t.eventually(() => rows.textContent(), /HTTP.*GET \/ HTTP\/1\.1.*HTTP\/1\.1 200 OK/, 'the frames');
  await t.eventually(() => page.locator('[data-part=clients]').textContent(), /virtio-net/, 'the cards');
  t.match(await page.locator('svg.diagram').getAttribute('aria-label'), /card \S+ is plugged into net0, link up/, 'what the diagram says');
  await t.eventually(() => page.locator('svg.diagram').textContent(), /virtio-net-pci.*user .*frames/, 'the diagram');
  await rows.locator('tr').first().click();
  await t.eventually(() => page.locator('[data-part=details]').textContent(), /^0000 {2}/, 'the bytes');
  await page.getByLabel('Show only frames').fill('http get');
  await rows.locator('tr').first().click();
  const layers = page.getByRole('region', { name: 'Protocols of the chosen frame' });
  await t.eventually(() => layers.textContent(), /Ethernet.*IPv4 .*TCP .*HTTP.*GET \/ HTTP\/1\.1.*User-Agentcurl/s, 'the protocols');
  await layers.getByText('User-Agent').hover();
  t.match(await page.locator('[data-part=details] mark').allTextContents().then((all) => all.join('')), /User.*-Agent: curl/, 'the marked bytes');
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
  await page.setViewportSize({ width: 360, height: 740 });
  await t.accessible(page, 'the network view on a phone');
  await t.picture(page, 'network-phone');
  await page.getByRole('tab', { name: 'Serial 1' }).click();
  await t.picture(page, 'terminal-phone');
}
