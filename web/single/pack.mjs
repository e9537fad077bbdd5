/**
 * Makes embed-single.html: embed.html with all that it loads inside, for places where files can't read one another (a sandboxed frame has no
 * origin, and few servers let everybody read their files). Run by the build: node pack.mjs SITE OUTPUT
 *
 * SITE is build/web. From embed.js and worker.js it follows the imports (each a line "import ... from './NAME'", or import('./NAME')). Modules of the page import
 * one another by the names of an import map, slipway/NAME; workers have none, so the worker's become one, in which imports are data: URLs. What
 * modules find beside themselves, new URL(NAME, import.meta.url), is slipwayFile(NAME), which boot.js defines. All files go one after another into
 * a gzip file, behind a line of JSON that says where they are; that is in the page as base64.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const [site, output] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(site, name), 'utf8');
const here = path.dirname(fileURLToPath(import.meta.url));
const OTHERS = ['xterm.css', 'slipway-pc.css', 'options.md', 'core.wasm'];

const IMPORT = /(^import |^import [^'"]*? from |^export \{[^'"]*\} from |[^\w{]import\()'\.\/([\w.-]+)'/gm;

/** A module whose imports are what @place(name) says. */
function module(name, place) {
  return read(name)
    .replace(IMPORT, (_, before, imported) => `${before}'${place(imported)}'`)
    .replace(/new URL\(((?:[^()]|\([^()]*\))*?),\s*import\.meta\.url\)/g, 'slipwayFile($1)')
    .replaceAll('import.meta.url', "''");
}

const files = new Map(); // name -> text or bytes
function addModules(name) {
  if (files.has(name)) return;
  files.set(name, '');
  files.set(name, module(name, (imported) => {
    addModules(imported);
    return `slipway/${imported}`;
  }));
}
// A quote would end the string that the URL stands in.
const inlined = (name) => module(name, (imported) => `data:text/javascript,${encodeURIComponent(inlined(imported)).replaceAll("'", '%27')}`);

addModules('embed.js');
files.set('worker.js', inlined('worker.js'));
for (const name of OTHERS) files.set(name, fs.readFileSync(path.join(site, name)));
for (const name of fs.readdirSync(path.join(site, 'share')).sort()) files.set(`share/${name}`, fs.readFileSync(path.join(site, 'share', name)));

const index = {};
const parts = [];
let at = 0;
for (const [name, contents] of files) {
  const bytes = Buffer.from(contents);
  index[name] = [at, bytes.length];
  parts.push(bytes);
  at += bytes.length;
}
const packed = gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(index)}\n`), ...parts]), { level: 9 }).toString('base64');
const scripts = /<script>[^]*<\/script>\n(?=<\/head>)/;
const page = read('embed.html');
if (!scripts.test(page)) throw new Error('embed.html: its scripts are not where they were');
fs.writeFileSync(output, page.replace(scripts, '').replace('href="icon.svg" type="image/svg+xml"', 'href="data:,"')
  .replace('</body>', () => `\n<script type="text/plain" id="files">${packed}</script>\n<script>\n${fs.readFileSync(path.join(here, 'boot.js'), 'utf8')}</script>\n</body>`));
