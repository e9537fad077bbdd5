/** Labs, as a student does them: instructions are read, commands are typed, checks turn green. */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { installGuest, pictures, root, startRelay } from './lib.mjs';

const BOOT_S = 200;
const card = (page, name) => page.locator('section.pc', { has: page.getByRole('heading', { name, exact: true }) });

/** What a PC's terminal shows. */
const terminal = (page, name) => () => card(page, name).locator('.xterm-rows').first().evaluate((rows) => [...rows.children].map((row) => row.textContent).join('\n').trimEnd());

const achieved = (page) => page.locator('#checks li.done').count();

/** Presses the button that types the code which begins like @line, at the prompt. */
async function typeStep(t, page, name, prompt, line) {
  await card(page, name).locator('.terminal-frame').scrollIntoViewIfNeeded(); // xterm.js draws what is seen only
  await t.eventually(terminal(page, name), new RegExp(`${prompt}:\\S+#$`), `the prompt of ${name}`, BOOT_S);
  await page.getByRole('button', { name: new RegExp(`^Type on ${prompt}: ${line}`) }).click();
}

async function check(t, page, n) {
  const item = page.locator('#checks li').nth(n);
  await t.eventually(() => item.getAttribute('class'), /done/, await item.textContent(), 90);
}

export async function test_lab_two_pcs_ping_on_a_hub(t) {
  installGuest();
  const page = await t.open('labs.html');
  await t.eventually(() => page.locator('#list li').count().then(String), /^3$/, 'the labs');
  await t.picture(page, 'list');
  await t.accessible(page, 'the list of labs');
  await page.getByRole('link', { name: /Two PCs on a hub/ }).click();
  await page.getByRole('heading', { name: 'Two PCs on a hub' }).waitFor();
  await t.picture(page, 'lab-off');
  await t.accessible(page, 'a lab before its start');
  t.equal(await achieved(page), 0, 'checks');

  await page.getByRole('button', { name: 'Start all PCs' }).click();
  await typeStep(t, page, 'PC 1', 'pc1', 'ip addr');
  await typeStep(t, page, 'PC 2', 'pc2', 'ip addr');
  for (const n of [0, 1]) await check(t, page, n);
  await card(page, 'PC 1').getByRole('tab', { name: 'Network' }).click();
  await card(page, 'PC 1').getByRole('button', { name: 'Capture', exact: true }).click();
  await card(page, 'PC 1').getByRole('button', { name: 'Stop capture' }).waitFor();
  await card(page, 'PC 1').getByRole('tab', { name: 'Terminal' }).click();
  await typeStep(t, page, 'PC 1', 'pc1', 'ping');
  for (const n of [2, 3, 4]) await check(t, page, n);
  t.match(await page.locator('#progress-text').textContent(), /All done\./, 'the progress');
  await t.picture(page, 'lab-terminals');
  await card(page, 'PC 1').getByRole('tab', { name: 'Network' }).click();
  t.match(await page.locator('#map svg').getAttribute('aria-label'), /PC 1 is running, with lan; PC 2 is running, with lan/, 'what the map says');
  await t.picture(page, 'lab-network');
  await t.accessible(page, 'a lab');
  await page.emulateMedia({ colorScheme: 'dark' });
  await t.picture(page, 'lab-dark');
  await t.accessible(page, 'a lab in the dark');
  await page.setViewportSize({ width: 360, height: 740 });
  await t.accessible(page, 'a lab on a phone');
  await page.screenshot({ path: path.join(pictures, `${t.name}-phone.png`), fullPage: true });
}

/** DNS over HTTPS: every name has the address 192.0.2.1. */
async function nameServer() {
  const server = http.createServer((request, response) => {
    const query = Buffer.from(new URL(request.url, 'http://x').searchParams.get('dns'), 'base64url');
    const a = query.readUInt16BE(query.length - 4) === 1;
    query[2] |= 0x80;
    query[7] = a ? 1 : 0;
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'application/dns-message' });
    response.end(a ? Buffer.concat([query, record]) : query);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/dns-query`, close: () => server.close() };
}

export async function test_lab_dhcp_dns_and_http_are_watched(t) {
  installGuest();
  const names = await nameServer();
  try {
    // The lab as it is, but for the name server, which no test may need the internet for.
    const text = fs.readFileSync(path.join(root, 'web/labs/dhcp-dns-http.json'), 'utf8').replace('"netdev": "user"', `"netdev": "user,doh=${names.url}"`);
    fs.writeFileSync(path.join(root, 'build/web/labs/test.json'), text);
    const page = await t.open('labs.html?lab=labs/test.json');
    await page.getByRole('button', { name: 'Start all PCs' }).click();
    await typeStep(t, page, 'The PC', 'pc', 'udhcpc');
    await t.eventually(terminal(page, 'The PC'), /lease of 10\.0\.2\.15 obtained/, 'the lease', 90);
    for (const n of [0, 1]) await check(t, page, n);
    await typeStep(t, page, 'The PC', 'pc', 'nslookup');
    for (const n of [2, 3]) await check(t, page, n);
    await typeStep(t, page, 'The PC', 'pc', 'curl');
    for (const n of [4, 5, 6]) await check(t, page, n);
    // The root file system is read as the guest needs it, and written to in memory.
    const pieces = t.session.site.requests.filter((r) => r.path.endsWith('root.img'));
    if (!pieces.length || pieces.some((r) => !r.range)) throw new Error('the root file system was not read by ranges');
    const { size } = fs.statSync(path.join(root, 'build/web/guest/root.img'));
    const read = new Set(pieces.map((r) => r.range)).size * 256 * 1024;
    console.log(`    ${Math.round(read / 1e6)} of ${Math.round(size / 1e6)} MB of the root file system were read`);
    if (read > 0.75 * size) throw new Error('nearly all of the root file system was read');
    await page.getByRole('textbox', { name: /^Terminal serial0/ }).focus();
    await page.keyboard.type('echo 6 >/etc/n; python3 -c "print(7 * int(open(\'/etc/n\').read()))"\n');
    await t.eventually(terminal(page, 'The PC'), /^42$/m, 'Python', 90);
    await card(page, 'The PC').getByRole('tab', { name: 'Network' }).click();
    await t.eventually(() => card(page, 'The PC').locator('[data-part=rows]').textContent(), /HTTP/, 'the frames');
    await t.picture(page, 'lab');
  } finally {
    names.close();
    fs.rmSync(path.join(root, 'build/web/labs/test.json'), { force: true });
  }
}

/** The PC without a disk is in another tab. */
export async function test_lab_pxe_boots_a_diskless_pc_in_another_tab(t) {
  installGuest();
  const page = await t.open('labs.html?lab=labs/pxe.json&session=pxe-test');
  await page.getByRole('button', { name: 'Start Server' }).click();
  await typeStep(t, page, 'Server', 'server', 'ip addr');
  await typeStep(t, page, 'Server', 'server', 'dnsmasq');
  await check(t, page, 0);
  const [other] = await Promise.all([page.context().waitForEvent('page'), page.getByRole('link', { name: 'Open in another tab' }).click()]);
  await t.eventually(() => card(other, 'Server').locator('.state').textContent(), /runs in another tab/, 'the state of the server in the other tab', 20);
  await other.getByRole('button', { name: 'Start PC without a disk' }).click();
  for (const n of [1, 2, 3]) await check(t, page, n);
  for (const p of [other, page]) await check(t, p, 4); // and the other tab's is told to this one
  await t.picture(other, 'lab-screen');
  await t.accessible(other, 'a lab with a screen');
  for (const p of [other, page]) t.match(await p.locator('#progress-text').textContent(), /All done\./, 'the progress');
  t.equal(await achieved(other), 5, 'checks in the other tab');
}

/** Two browsers that share nothing but the relay's room: the boot ROM of one PC is heard by the other. */
export async function test_lab_in_two_browsers_meets_in_a_room_of_the_relay(t) {
  const file = path.join(root, 'build/web/labs/test.json');
  const pc = (name, n) => ({ name, options: '-m 32 -boot n', links: [{ hub: 'lan', model: 'e1000', mac: `52:54:00:00:00:0${n}` }], view: 'screen', capture: 0 });
  fs.writeFileSync(file, JSON.stringify({
    title: 'Room', instructions: '', hubs: [{ name: 'lan' }], pcs: [pc('a', 1), pc('b', 2)],
    checks: [{ title: 'a heard b', pc: 'a', type: 'packet', filter: 'dhcp discover 52:54:00:00:00:02' }, { title: 'b heard a', pc: 'b', type: 'packet', filter: 'dhcp discover 52:54:00:00:00:01' }],
  }));
  const relay = await startRelay();
  try {
    const pages = [];
    for (const name of ['a', 'b']) {
      const page = await t.open(`${relay.url}labs.html?lab=labs/test.json&session=room-test&relay=slipway`);
      await page.getByRole('button', { name: `Start ${name}`, exact: true }).click();
      await t.eventually(() => card(page, name).locator('.state').textContent(), /^on$/, `the state of ${name}`, 60);
      pages.push(page);
    }
    await check(t, pages[0], 0);
    await card(pages[0], 'a').getByRole('button', { name: 'Reset' }).click();
    await check(t, pages[1], 1);
  } finally {
    relay.close();
    fs.rmSync(file, { force: true });
  }
}

export async function test_lab_that_is_wrong_is_told_where(t) {
  t.expectedErrors = [/404/];
  const good = JSON.parse(fs.readFileSync(path.join(root, 'web/labs/two-pcs.json'), 'utf8'));
  const cases = [
    ['{ "title": ', /bad\.json:\n {2}the file is no JSON: /],
    [{}, /the file has no "title"\n.*the file has no "instructions"\n.*the file has no "pcs"/],
    [{ ...good, pcs: [] }, /pcs has 0 items, at least 1/],
    [{ ...good, pcs: [{ name: 'PC 1', options: '' }] }, /pcs\[0\]\.name is "PC 1", which doesn't match/],
    [{ ...good, title: 7 }, /title is an integer, not a string/],
    [{ ...good, color: 'red' }, /the file has "color", which means nothing there; there are "\$schema", "title"/],
    [{ ...good, images: { kernel: { url: 'x' } } }, /images\.kernel has no "text"/],
    [{ ...good, pcs: [good.pcs[0], good.pcs[0]] }, /pcs\[1\]\.name is "pc1", as that of pcs\[0\]/],
    [{ ...good, pcs: [{ ...good.pcs[0], links: [{ hub: 'wan' }] }] }, /pcs\[0\]\.links\[0\]\.hub is "wan"; there are "lan"/],
    [{ ...good, pcs: [{ ...good.pcs[0], links: [{ hub: 'lan', mac: 'x' }] }] }, /pcs\[0\]\.links\[0\]\.mac is "x"/],
    [{ ...good, pcs: [{ ...good.pcs[0], options: '-m "' }] }, /pcs\[0\]\.options is no command line: .*ends inside/],
    [{ ...good, pcs: [{ ...good.pcs[0], files: { '/a/../b': 'x' } }] }, /pcs\[0\]\.files\["\/a\/\.\.\/b"\] is no path/],
    [{ ...good, checks: [{ title: 'x', pc: 'pc3', type: 'text', text: 'y' }] }, /checks\[0\]\.pc is "pc3"; there are "pc1", "pc2"/],
    [{ ...good, checks: [{ title: 'x', pc: 'pc1', type: 'packet', text: 'y' }] }, /checks\[0\] of type "packet" must have "filter"/],
    [{ ...good, checks: [{ title: 'x', pc: 'pc1', type: 'text', pattern: '(' }] }, /checks\[0\]\.pattern is no regular expression/],
    [{ ...good, checks: [{ title: 'x', pc: 'pc1', type: 'smell', text: 'y' }] }, /checks\[0\]\.type is "smell", not one of "text", "screen"/],
  ];
  const page = await t.open('labs.html');
  const said = (lab) => page.evaluate(async (text) => {
    const [{ parseLab }, schema] = [await import('./lab-file.js'), await (await fetch('labs/lab.schema.json')).json()];
    try {
      parseLab(text, 'bad.json', schema);
      return 'nothing';
    } catch (e) {
      return e.message;
    }
  }, typeof lab === 'string' ? lab : JSON.stringify(lab));
  for (const [lab, wanted] of cases) t.match(await said(lab), wanted, 'the message');
  for (const name of ['two-pcs', 'dhcp-dns-http', 'pxe']) t.equal(await said(fs.readFileSync(path.join(root, `web/labs/${name}.json`), 'utf8')), 'nothing', name);

  fs.writeFileSync(path.join(pictures, 'evil.json'), JSON.stringify({ ...good, checks: [], instructions: [
    '<script>globalThis.evil = 1</script><img src="../icon.svg" onload="globalThis.evil = 2"><style>body{display:none}</style>', '', '[click](javascript:globalThis.evil=3)', '',
    '*fine*'] }));
  const evil = await t.open('labs.html?lab=made/evil.json');
  await evil.locator('#instructions em').waitFor();
  const html = await evil.locator('#instructions').innerHTML();
  if (/script|onload|javascript:|<style/.test(html) || (await evil.evaluate(() => globalThis.evil))) throw new Error(`not sanitized: ${html}`);

  const missing = await t.open('labs.html?lab=labs/nowhere.json');
  await t.message(missing, /nowhere\.json: 404 Not Found/);
  fs.writeFileSync(path.join(pictures, 'bad.json'), JSON.stringify({ ...good, pcs: [{ name: 'x' }] }));
  const bad = await t.open('labs.html?lab=made/bad.json');
  await t.message(bad, /made\/bad\.json:\s+pcs\[0\] has no "options"/);
  await t.picture(bad, 'message');
  await t.accessible(bad, 'a lab that is wrong');
}
