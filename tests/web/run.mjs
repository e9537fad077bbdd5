/**
 * Runs the tests of the web page: tests/web/run [-l] [NAME...]
 *
 * A test is an exported function test_NAME(t) in test_*.mjs beside this file (lib.mjs: what t offers); NAME may be a part of its name. -l
 * lists them. They need build/web (the wasm preset), build/npm (scripts/sources npm) and Chromium (scripts/deps web). Each view
 * that they look at is left as a picture in build/web-tests.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const names = words.filter((word) => !word.startsWith('-'));
const list = words.includes('-l');
const LIMIT_MS = 360000; // for a test; the machine may be busy

const tests = [];
for (const file of fs.readdirSync(here).filter((name) => /^test_.*\.mjs$/.test(name)).sort()) {
  for (const [name, run] of Object.entries(await import(path.join(here, file)))) {
    if (name.startsWith('test_')) tests.push({ name: name.slice(5), run });
  }
}
const chosen = tests.filter(({ name }) => !names.length || names.some((part) => name.includes(part)));
if (list) {
  console.log(chosen.map(({ name }) => name).join('\n'));
  process.exit(0);
}
if (!chosen.length) {
  console.error(`tests/web/run: no test named ${names.join(' ')}`);
  process.exit(1);
}

const { Session } = await import('./lib.mjs');
const session = await Session.open();
let failed = 0;
for (const { name, run } of chosen) {
  const start = performance.now();
  const t = session.test(name);
  let why = '';
  let timer;
  const limit = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  try {
    await Promise.race([run(t), limit]);
    t.checkErrors();
  } catch (e) {
    why = `: ${e.stack ?? e}`;
    failed++;
    await t.pictures('failed');
  }
  clearTimeout(timer);
  await t.close();
  console.log(`${why ? 'FAIL' : 'ok'} web ${name} (chromium, ${Math.round((performance.now() - start) / 1000)} s)${why}`);
}
await session.close();
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
