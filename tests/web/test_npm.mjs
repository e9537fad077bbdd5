/** The npm package: packed, unpacked as npm does it, and used by a page that knows nothing else of it. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root } from './lib.mjs';
import { serve } from './server.mjs';

const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>A page</title>
<script type="importmap">{"imports": {"slipway": "./node_modules/slipway/ENTRY"}}</script>
<slipway-pc></slipway-pc>
<script type="module">
import { Slipway } from 'slipway';
const pc = await Slipway.start({ args: '-bios echo.bin -m 16 -nic none' });
await pc.serial().expect('READY');
pc.serial().send('from the package');
globalThis.heard = await pc.serial().expect('from the package');
globalThis.state = await pc.snapshot();
</script>
<script type="module" src="./node_modules/slipway/ELEMENT"></script>`;

export async function test_npm_package_runs_in_a_page_of_its_own(t) {
  const site = path.join(pictures, 'npm-site');
  const directory = path.join(site, 'node_modules/slipway');
  fs.rmSync(site, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  const tarball = execFileSync(path.join(root, 'scripts/npm-pack'), { encoding: 'utf8' }).trim().split('\n').at(-1);
  execFileSync('tar', ['-xzf', tarball, '-C', directory, '--strip-components=1']);
  const json = JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'));
  t.equal(json.private, undefined, 'private');
  for (const file of [json.types, json.exports['.'].types, 'README.md']) fs.accessSync(path.join(directory, file));
  fs.writeFileSync(path.join(site, 'page.html'), PAGE.replace('ENTRY', json.exports['.'].default.slice(2)).replace('ELEMENT', json.exports['./slipway-pc.js'].slice(2)));
  fs.copyFileSync(path.join(pictures, 'echo.bin'), path.join(site, 'echo.bin'));
  const server = await serve({ '/deep/': site });
  try {
    const page = await t.open(`${server.url}deep/page.html`);
    await t.eventually(() => page.evaluate(() => String(globalThis.state?.size > 1000 && globalThis.heard)), /from the package/, 'the PC');
    await page.locator('slipway-pc').getByRole('button', { name: 'Start' }).waitFor();
  } finally {
    server.close();
  }
}
