/**
 * Runs the tests of the web page: tests/web/run [-e firefox] [-l] [NAME...]
 *
 * A test is an exported function test_NAME(t) in test_*.mjs beside this file (lib.mjs: what t offers); NAME may be a part of its name. -l
 * lists them. With -e firefox they run in Firefox ESR; if none is named, those of CORE. They need build/web (the wasm preset), build/npm (scripts/sources npm) and the browser (scripts/deps web). Each view
 * that they look at is left as a picture in build/web-tests.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const browser = words.includes('-e') ? words.splice(words.indexOf('-e'), 2)[1] : 'chromium';
const names = words.filter((word) => !word.startsWith('-'));
const list = words.includes('-l');
const LIMIT_MS = 360000; // for a test; the machine may be busy
const CORE = ['linux_boots_with_a_network_that_is_watched', 'grub_from_a_cd_over_http_ranges_takes_keys_on_the_screen', 'terminals_pause_reset_and_stop',
  'a_state_goes_to_a_file_and_back_and_is_kept_in_the_browser', 'every_call_of_the_library_does_what_it_says', 'iframe_on_another_site_obeys_that_site_only',
  'element_shows_a_button_a_screen_and_a_terminal', 'a_flood_on_the_serial_line_is_complete_and_holds_the_guest_back', 'two_pcs_on_a_page_and_input_under_full_load'];

const tests = [];
for (const file of fs.readdirSync(here).filter((name) => /^test_.*\.mjs$/.test(name)).sort()) {
  for (const [name, run] of Object.entries(await import(path.join(here, file)))) {
    if (name.startsWith('test_')) tests.push({ name: name.slice(5), run });
  }
}
const chosen = tests.filter(({ name }) => (!names.length && (browser === 'chromium' || CORE.includes(name))) || names.some((part) => name.includes(part)));
if (list) {
  console.log(chosen.map(({ name }) => name).join('\n'));
  process.exit(0);
}
if (!chosen.length) {
  console.error(`tests/web/run: no test named ${names.join(' ')}`);
  process.exit(1);
}

const { Session } = await import('./lib.mjs');
const session = await Session.open(browser);
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
  console.log(`${why ? 'FAIL' : 'ok'} web ${name} (${browser}, ${Math.round((performance.now() - start) / 1000)} s)${why}`);
}
await session.close();
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
