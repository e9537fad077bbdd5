/**
 * What there is to know about the options: docs/options.md, which the emulator prints from the table that it parses them with
 * (slipway -help-docs), read back. And command lines as lists of options.
 */
import { joinCommandLine, splitCommandLine } from './commandline.js';

/** @typedef {{name: string, argument: string, help: string, section: string, properties: Property[], types: Map<string, Property[]>}} Option
 *   argument: '' takes none; types: of netdevs and objects, by the word that comes first
 * @typedef {{name: string, value: string, help: string}} Property */

/** @returns {Map<string, Option>} by name, without dash, in the order of the page */
export function parseOptions(markdown) {
  const options = new Map();
  let section = '';
  let properties = null; // that lines further in belong to
  for (const line of markdown.split('\n')) {
    const heading = /^## (.*)/.exec(line);
    const option = /^- `-([\w-]+) ?(.*?)`(?:: (.*))?$/.exec(line);
    const property = /^ {2}- `([\w.-]+)=(.*?)`: (.*)$/.exec(line);
    if (heading) [section] = [heading[1].replace(/ options$/, '')];
    else if (property) properties?.push({ name: property[1], value: property[2], help: property[3].trim() });
    else if (option) properties = addOption(options, section, option);
    else if (/^- /.test(line)) properties = null;
    else if (/^ {2}\S/.test(line)) {
      const last = [...options.values()].at(-1);
      last.help = `${last.help} ${line.trim()}`;
      last.properties = propertiesOf(last.argument, last.help);
    }
  }
  for (const o of options.values()) if (!o.help && o.same) o.help = options.get(o.same).help;
  return options;
}

/** @returns {Property[]} that what follows is added to */
function addOption(options, section, [, name, argument, help]) {
  const type = /^(\w[\w-]*),id=ID.*\[,\.\.\.\]$/.exec(argument);
  const known = options.get(name);
  if (type && known) {
    const list = [];
    known.types.set(type[1], list);
    return list;
  }
  const same = help === undefined ? [...options.keys()].at(-1) : '';
  options.set(name, { name, argument, help: (help ?? '').trim(), section, same, types: new Map(), properties: propertiesOf(argument, help ?? '') });
  return null;
}

/** [file=FILE][,if=ide|floppy|none]: names and values. */
function propertiesOf(argument, help) {
  const found = [...`${argument} ${/\w=\w+\|/.test(help) ? help : ''}`.matchAll(/([a-z][\w-]*)=([^\],;:\s]+)/g)].filter(([, name]) => name !== 'prop' && name !== 'id');
  return found.map(([, name, value]) => ({ name, value, help: '' })).filter((p, i, all) => all.findIndex((q) => q.name === p.name) === i);
}

/** The choices of a value that is one of some words, or null. */
export function choicesOf(value) {
  return /^[\w-]+(\|[\w-]+)+$/.test(value) ? value.split('|') : null;
}

// ---- A command line as entries ----

/** @typedef {{name: string, value: string | null}} Entry - name '': a word that is no option, a disk image */

/** Throws an Error for the user if the quotes don't match. @returns {Entry[]} */
export function entriesOf(text, options) {
  const words = splitCommandLine(text);
  const entries = [];
  for (let i = 0; i < words.length; i++) {
    const name = /^--?([a-zA-Z][\w-]*)$/.exec(words[i])?.[1];
    const option = name && options.get(name);
    if (!name) entries.push({ name: '', value: words[i] });
    else if (option ? option.argument : i + 1 < words.length && !words[i + 1].startsWith('-')) entries.push({ name, value: words[++i] ?? '' });
    else entries.push({ name, value: null });
  }
  return entries;
}

export function textOf(entries) {
  return joinCommandLine(entries.flatMap(({ name, value }) => [...(name ? [`-${name}`] : []), ...(value === null ? [] : [value])]));
}

/** user,id=n0,restrict=on: [{key: '', value: 'user'}, {key: 'id', value: 'n0'}, ...]; ",," is a comma of a value. */
export function partsOf(value) {
  const parts = value.replaceAll(',,', '\0').split(',').map((part) => part.replaceAll('\0', ','));
  return parts.map((part) => {
    const [, key, rest] = /^([a-zA-Z][\w.-]*)=([^]*)$/.exec(part) ?? [null, '', part];
    return { key, value: rest };
  });
}

export function valueOf(parts) {
  return parts.map(({ key, value }) => (key ? `${key}=` : '') + value.replaceAll(',', ',,')).join(',');
}
