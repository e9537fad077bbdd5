/**
 * A lab's file: read, checked against lab.schema.json and for what a schema can't say (names that must exist), and turned into
 * options of PCs. docs/labs.md is the reference.
 *
 * Hubs: a hub is a bus with a name that begins with the session's, so that the PCs of it may be in one page, in several tabs of a
 * browser (BroadcastChannel), or, with a relay, anywhere (a room of the relay).
 */
import { splitCommandLine } from './commandline.js';
import { cpio } from './cpio.js';
import { check } from './schema.js';

const MAX_BYTES = 1 << 20; // of a lab's file
const FILES_DISK = 'lab-files.cpio';
const CHECK_PORT = 'serial1'; // where commands of checks are run
const quote = (s) => JSON.stringify(s);

const lines = (text) => (Array.isArray(text) ? text.join('\n') : text);

/** An error with all that is wrong with the file, a line each. */
export class LabError extends Error {
  /** @param {string} url  @param {{path: string, message: string}[]} errors */
  constructor(url, errors) {
    super(`${url}:\n${errors.map(({ path, message }) => `  ${path || 'the file'} ${message}`).join('\n')}`);
    this.errors = errors;
  }
}

/** What is wrong with a lab, beyond its schema. */
function inconsistencies(lab) {
  const errors = [];
  const fail = (path, message) => errors.push({ path, message });
  const names = (list) => list.map((item) => item.name);
  const hubs = names(lab.hubs ?? []);
  const pcs = names(lab.pcs);
  const known = (list, what) => (list.length ? `there are ${list.map(quote).join(', ')}` : `there are no ${what}`);
  const unique = (list, path) => list.forEach((name, i) => {
    if (list.indexOf(name) < i) fail(`${path}[${i}].name`, `is ${quote(name)}, as that of ${path}[${list.indexOf(name)}]`);
  });
  unique(hubs, 'hubs');
  unique(pcs, 'pcs');
  lab.pcs.forEach((pc, i) => {
    try {
      splitCommandLine(pc.options);
    } catch (e) {
      fail(`pcs[${i}].options`, `is no command line: ${e.message}`);
    }
    (pc.links ?? []).forEach((link, j) => {
      const path = `pcs[${i}].links[${j}]`;
      if (('hub' in link) === ('netdev' in link)) fail(path, 'must have either "hub" or "netdev"');
      if ('hub' in link && !hubs.includes(link.hub)) fail(`${path}.hub`, `is ${quote(link.hub)}; ${known(hubs, 'hubs')}`);
    });
    if (pc.capture >= (pc.links ?? []).length) fail(`pcs[${i}].capture`, `is ${pc.capture}; the PC has links 0 to ${(pc.links ?? []).length - 1}`);
    for (const path of Object.keys(pc.files ?? {})) {
      if (!/^(\/[\w.-]*\w[\w.-]*)+$/.test(path)) fail(`pcs[${i}].files[${quote(path)}]`, 'is no path of a file: it must begin with / and name no . or ..');
    }
  });
  (lab.checks ?? []).forEach((c, i) => {
    const path = `checks[${i}]`;
    const wanted = c.type === 'packet' ? ['filter'] : ['text', 'pattern'];
    if (!pcs.includes(c.pc)) fail(`${path}.pc`, `is ${quote(c.pc)}; ${known(pcs, 'PCs')}`);
    if (wanted.filter((key) => key in c).length !== 1) fail(path, `of type ${quote(c.type)} must have ${wanted.length > 1 ? 'either ' : ''}${wanted.map(quote).join(' or ')}`);
    if ((c.type === 'command') !== ('command' in c)) fail(path, c.type === 'command' ? 'of type "command" must have "command"' : `of type ${quote(c.type)} has no use for "command"`);
  });
  return errors;
}

/** Reads a lab from text. Throws LabError. @param {string} url - for messages */
export function parseLab(text, url, schema) {
  let lab;
  try {
    lab = JSON.parse(text);
  } catch (e) {
    throw new LabError(url, [{ path: '', message: `is no JSON: ${e.message}` }]);
  }
  let errors = check(schema, lab);
  if (!errors.length) errors = inconsistencies(lab);
  if (errors.length) throw new LabError(url, errors);
  return { summary: '', hubs: [], images: {}, checks: [], ...lab, url, instructions: lines(lab.instructions) };
}

/** Fetches a text of at most MAX_BYTES; errors are for the user. */
export async function fetchText(url) {
  const response = await fetch(url).catch(() => {
    throw new Error(`${url}: the server can't be reached, or it doesn't let this page read the file (CORS)`);
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`.trim());
  const text = await response.text();
  if (text.length > MAX_BYTES) throw new Error(`${url}: ${text.length} bytes are too many for a lab`);
  return text;
}

export async function fetchLab(url) {
  const [text, schema] = await Promise.all([fetchText(url), fetchText(new URL('labs/lab.schema.json', import.meta.url))]);
  return parseLab(text, String(url), JSON.parse(schema));
}

/** The netdev of a link: @session {name, relay, token}. */
function netdevOf(link, id, session) {
  if (link.netdev) return link.netdev.replace(/^([a-z]+)/, `$1,id=${id}`);
  const bus = `${session.name}-${link.hub}`;
  if (!session.relay) return `socket,id=${id},channel=${bus}`;
  return `socket,id=${id},relay=${session.relay.replaceAll(',', ',,')},room=${bus}${session.token ? `,token=${session.token}` : ''}`;
}

/** Id of a PC's link: the hub's name if that says which. */
export function linkName(pc, index) {
  const { hub } = pc.links[index];
  return hub && pc.links.filter((link) => link.hub === hub).length === 1 ? hub : `net${index}`;
}

export const hasCommandChecks = (lab, pc) => lab.checks.some((c) => c.type === 'command' && c.pc === pc.name);

/** A PC's command line, as words. */
export function argsOf(lab, pc, session) {
  const args = [...splitCommandLine(pc.options)];
  (pc.links ?? []).forEach((link, i) => {
    const id = linkName(pc, i);
    const model = link.model ?? 'virtio-net-pci,romfile=';
    args.push('-netdev', netdevOf(link, id, session));
    args.push('-device', `${model},netdev=${id}${link.mac ? `,mac=${link.mac}` : ''}`);
  });
  if (!pc.links?.length) args.push('-nic', 'none');
  if (pc.files) args.push('-drive', `file=${FILES_DISK},format=raw,if=virtio,readonly=on`);
  if (!args.includes('-monitor')) args.push('-monitor', 'none');
  if (hasCommandChecks(lab, pc)) args.push('-serial', 'vc', '-serial', 'vc'); // the second one is for us
  return args;
}

/** The files that its options name: name -> URL or Blob. */
export async function filesOf(lab, pc) {
  const files = {};
  for (const [name, file] of Object.entries(lab.images)) {
    files[name] = typeof file === 'string' ? new URL(file, lab.url).href : new Blob([lines(file.text)]);
  }
  if (pc.files) {
    const contents = await Promise.all(Object.entries(pc.files).map(async ([path, file]) => {
      if (typeof file !== 'string') return { path, data: new TextEncoder().encode(`${lines(file.text)}\n`) };
      const url = new URL(file, lab.url);
      const response = await fetch(url).catch(() => null);
      if (!response?.ok) throw new Error(`${pc.name}: ${path} can't be fetched from ${url}${response ? `: ${response.status} ${response.statusText}` : ''}`);
      return { path, data: new Uint8Array(await response.arrayBuffer()) };
    }));
    files[FILES_DISK] = new Blob([cpio(contents)]);
  }
  return files;
}

export { CHECK_PORT };
