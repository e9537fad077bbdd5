/**
 * The settings of a PC as a form. Each row is an option of the command line (option-table.js), and the command line's text is the
 * only state: a change of the form writes it, a change of the text makes the form anew. What the form doesn't know stays as it is.
 *
 * Rows are grouped; COMMON ones are there even if the option isn't given (an empty field: not given). Options with properties
 * (-netdev user,restrict=on) show them one by one. An error of the emulator is shown at the option that it is about.
 */
import { choicesOf, entriesOf, parseOptions, partsOf, textOf, valueOf } from './option-table.js';

const COMMON = {
  Machine: { m: 'Memory', cpu: 'Processor', boot: 'Boot from' },
  Drives: { cdrom: 'CD', hda: 'Hard disk', fda: 'Floppy disk' },
  Linux: { kernel: 'Kernel', initrd: 'Initial RAM disk', append: 'Kernel command line' },
  Network: {},
  More: {},
};
const PLACEHOLDERS = { m: '128', cpu: 'default', boot: 'order=dc', append: 'console=ttyS0 quiet' };
const LABELS = { nic: 'Network card and network', netdev: 'Network', device: 'Device', net: 'On hub 0', drive: 'Drive', vga: 'Graphics card', serial: 'Serial port', object: 'Object', '': 'Hard disk' };
const GROUP_OF_SECTION = { 'Block device': 'Drives', Network: 'Network', Standard: 'Machine', Display: 'Machine', Audio: 'Machine' };
const DEVICES = { Network: /^(virtio-net|e1000|ne2k|pcnet|rtl8139)|,netdev=/, Drives: /^virtio-blk|,drive=/ }; // which -device belongs to which group
const FORMS = new Set(['nic', 'netdev', 'audiodev', 'net', 'device', 'drive', 'object', 'chardev', 'machine', 'rtc', 'boot', 'mon']); // those with properties
const POINTLESS = new Set(['h', 'help', 'help-docs', 'version', 'no-user-config']);
const PROPERTIES_OF_NIC = [{ name: 'model', value: 'NIC', help: 'the kind of card' }, { name: 'mac', value: 'MAC', help: 'its address' }];

let lastId = 0;

function create(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}

export class MachineEditor {
  #options = new Map();
  #entries = [];
  #rows = []; // {entry, row, input, error}

  /** @param {HTMLElement} form - filled by the editor  @param {HTMLTextAreaElement} text - the command line
   * @param {{files: Object<string, File>, changed: function(string)}} page - changed(): by the form or by hand */
  constructor(form, text, page) {
    Object.assign(this, { form, text, page });
    this.note = create('p', { className: 'error', id: 'command-error', hidden: true });
    text.after(this.note);
    text.setAttribute('aria-describedby', this.note.id);
    text.addEventListener('input', () => {
      this.read();
      page.changed(text.value);
    });
  }

  /** @param {URL} url - of options.md */
  async load(url) {
    this.#options = parseOptions(await (await fetch(url)).text());
    this.read();
  }

  /** The text has changed. */
  read() {
    if (!this.#options.size) return;
    this.note.hidden = true;
    try {
      this.#entries = entriesOf(this.text.value, this.#options);
    } catch (e) {
      this.note.textContent = e.message;
      this.note.hidden = false;
    }
    this.text.setAttribute('aria-invalid', String(!this.note.hidden));
    if (this.note.hidden) this.#draw();
  }

  #write() {
    this.text.value = textOf(this.#entries);
    this.page.changed(this.text.value);
  }

  // ---- Drawing ----

  #groupOf({ name, value }) {
    const common = Object.keys(COMMON).find((group) => name in COMMON[group]);
    if (common) return common;
    if (!name) return 'Drives';
    if (name === 'device') return Object.keys(DEVICES).find((group) => DEVICES[group].test(value)) ?? 'Machine';
    return GROUP_OF_SECTION[this.#options.get(name)?.section] ?? 'More';
  }

  #draw() {
    this.#rows = [];
    const groups = Object.entries(COMMON).map(([title, common]) => {
      const group = create('fieldset', {}, create('legend', { textContent: title }));
      const present = this.#entries.filter((entry) => this.#groupOf(entry) === title);
      for (const name of Object.keys(common)) {
        const given = present.filter((entry) => entry.name === name);
        for (const entry of given.length ? given : [{ name, value: '', absent: true }]) group.append(this.#row(entry, common[name]));
      }
      for (const entry of present.filter(({ name }) => !(name in common))) group.append(this.#row(entry, LABELS[entry.name] ?? ''));
      if (title === 'Machine') group.append(this.#machineButtons());
      if (title === 'Network') group.append(this.#networkButtons());
      if (title === 'More') group.append(this.#adder());
      return group;
    });
    this.form.replaceChildren(...groups, this.#fileNames());
  }

  #fileNames() {
    return create('datalist', { id: 'editor-files' }, ...Object.keys(this.page.files).map((name) => create('option', { value: name })));
  }

  #row(entry, label) {
    const option = this.#options.get(entry.name);
    const id = `setting-${++lastId}`;
    const flag = entry.value === null;
    const title = create('label', { htmlFor: id }, ...(label ? [`${label} `] : []), create('code', { textContent: entry.name ? `-${entry.name}` : 'disk image' }));
    const help = create('p', { className: 'hint', id: `${id}-help`, textContent: option ? option.help : entry.name ? 'This option is not known.' : 'As -hda.' });
    const error = create('p', { className: 'error', id: `${id}-error`, hidden: true });
    const row = create('div', { className: 'setting' }, title);
    let input;
    if (flag) {
      input = create('span', { id, className: 'hint', textContent: 'on' });
      title.removeAttribute('for');
    } else if (FORMS.has(entry.name) && !entry.absent && entry.value) {
      input = this.#form(entry, option, id, row);
    } else {
      input = this.#field(entry, option, id);
      row.append(input);
    }
    if (flag) row.append(input);
    else input.setAttribute('aria-describedby', `${help.id} ${error.id}`);
    if (!entry.absent && !(entry.name in COMMON.Linux)) row.append(this.#remover(entry, title.textContent));
    row.append(help, error);
    this.#rows.push({ entry, row, input, error });
    return row;
  }

  #remover(entry, what) {
    const button = create('button', { type: 'button', className: 'remove', textContent: '×', title: `Remove ${what}`, ariaLabel: `Remove ${what}` });
    button.addEventListener('click', () => {
      const at = this.#entries.indexOf(entry);
      this.#entries.splice(at, 1);
      this.#changeShape(Math.max(0, at - 1));
    });
    return button;
  }

  /** After rows came or went: a row gets the focus, that of entry @focus. */
  #changeShape(focus) {
    this.#write();
    this.#draw();
    const row = this.#rows.find(({ entry }) => entry === this.#entries[focus])?.row ?? this.form;
    row.querySelector('input, select, button')?.focus();
  }

  /** One value, in one field. */
  #field(entry, option, id) {
    const choices = choicesOf(option?.argument ?? '');
    const input = this.#control(choices, entry.value, id, PLACEHOLDERS[entry.name] ?? '');
    if (/FILE/.test(option?.argument ?? 'FILE')) input.setAttribute('list', 'editor-files');
    input.addEventListener('input', () => {
      if (entry.absent && input.value) this.#insert(entry);
      else if (!input.value && entry.name in COMMON[this.#groupOf(entry)]) this.#drop(entry);
      entry.value = input.value;
      this.#clearError(entry);
      this.#write();
    });
    return input;
  }

  #insert(entry) {
    delete entry.absent;
    this.#entries.push(entry);
  }

  #drop(entry) {
    if (this.#entries.includes(entry)) this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.absent = true;
  }

  #control(choices, value, id, placeholder = '') {
    if (!choices) return create('input', { id, value, placeholder, autocomplete: 'off', autocapitalize: 'off', spellcheck: false });
    const all = choices.includes(value) ? choices : [value, ...choices];
    const select = create('select', { id }, ...all.map((choice) => create('option', { value: choice, textContent: choice || 'default' })));
    select.value = value;
    return select;
  }

  /** A value with properties: what comes first, and each of them. @returns {HTMLElement} the first field */
  #form(entry, option, id, row) {
    const parts = partsOf(entry.value);
    const known = this.#propertiesFor(entry, option, parts);
    const apply = () => {
      entry.value = valueOf(parts);
      this.#clearError(entry);
      this.#write();
    };
    const list = create('div', { className: 'properties' });
    let first = null;
    parts.forEach((part, i) => {
      const property = known.find((p) => p.name === part.key);
      const choices = part.key ? choicesOf(property?.value ?? '') : this.#typesOf(entry, option);
      const fieldId = first ? `${id}-${i}` : id;
      const input = this.#control(choices, part.value, fieldId, property?.value ?? '');
      input.title = property?.help ?? '';
      input.addEventListener('input', () => {
        part.value = input.value;
        apply();
        if (!part.key && choices) this.#changeShape(this.#entries.indexOf(entry)); // other properties belong to it now
      });
      const name = part.key || (i ? 'value' : 'kind');
      const line = create('div', { className: 'property' });
      if (first) line.append(create('label', { htmlFor: fieldId, textContent: name }));
      else line.append(create('span', { textContent: name, ariaHidden: 'true' }));
      line.append(input);
      if (i > 0 || part.key) line.append(this.#partRemover(entry, parts, i, name));
      list.append(line);
      first ??= input;
    });
    const adder = create('select', { ariaLabel: `Add a property to ${entry.name}` }, create('option', { value: '', textContent: '+ property' }),
      ...known.filter((p) => !parts.some(({ key }) => key === p.name)).map((p) => create('option', { value: p.name, textContent: p.help ? `${p.name}: ${p.help}` : p.name })));
    adder.addEventListener('change', () => {
      const property = known.find((p) => p.name === adder.value);
      parts.push({ key: property.name, value: choicesOf(property.value)?.[0] ?? '' });
      entry.value = valueOf(parts);
      this.#changeShape(this.#entries.indexOf(entry));
      this.#rows.find((r) => r.entry === entry).row.querySelector('.property:last-of-type :is(input, select)')?.focus();
    });
    if (adder.options.length > 1) list.append(adder);
    row.append(list);
    return first;
  }

  #partRemover(entry, parts, i, name) {
    const button = create('button', { type: 'button', className: 'remove', textContent: '×', title: `Remove ${name}`, ariaLabel: `Remove ${name} from ${entry.name}` });
    button.addEventListener('click', () => {
      parts.splice(i, 1);
      entry.value = valueOf(parts);
      this.#changeShape(this.#entries.indexOf(entry));
    });
    return button;
  }

  #typesOf(entry) {
    if (entry.name === 'audiodev') return choicesOf(this.#options.get('audiodev').argument.split(',')[0]);
    if (entry.name === 'object') return [...this.#options.get('object').types.keys()];
    if (entry.name === 'netdev') return [...this.#options.get('netdev').types.keys()];
    if (entry.name === 'nic') return [...[...this.#options.get('netdev').types.keys()].filter((type) => type !== 'hubport'), 'none'];
    return null;
  }

  #propertiesFor(entry, option, parts) {
    const id = { name: 'id', value: 'ID', help: 'its name' };
    const type = parts[0].key ? '' : parts[0].value;
    if (entry.name === 'netdev') return [id, ...(option.types.get(type) ?? [])];
    if (entry.name === 'nic') return [...PROPERTIES_OF_NIC, id, ...(this.#options.get('netdev').types.get(type) ?? [])];
    if (entry.name === 'object') return [id, ...(option.types.get(type) ?? [])];
    if (entry.name === 'device') {
      const names = this.#entries.filter((e) => e.name === 'netdev').map((e) => partsOf(e.value).find(({ key }) => key === 'id')?.value).filter(Boolean);
      return [id, { name: 'netdev', value: names.length > 1 ? names.join('|') : 'ID', help: 'the network that it is plugged into' }, { name: 'mac', value: 'MAC', help: "a network card's address" },
        { name: 'drive', value: 'ID', help: 'the drive of a disk' }, { name: 'bootindex', value: 'N', help: 'its turn to boot' }, { name: 'audiodev', value: 'ID', help: 'where a sound card is heard' }, { name: 'romfile', value: 'FILE', help: 'its boot ROM; empty: none' }];
    }
    return [...(option?.argument.includes('id=ID') ? [id] : []), ...(option?.properties ?? [])];
  }

  // ---- Adding ----

  #add(...entries) {
    this.#entries.push(...entries);
    this.#changeShape(this.#entries.length - 1);
  }

  #button(text, entries) {
    const b = create('button', { type: 'button', textContent: text });
    b.addEventListener('click', () => this.#add(...entries()));
    return b;
  }

  #machineButtons() {
    const device = (value) => () => [{ name: 'device', value }];
    return create('div', { className: 'toolbar' },
      this.#button('+ mouse that needs no capture', device('virtio-tablet-pci')),
      this.#button('+ sound card', device('AC97')));
  }

  #networkButtons() {
    const button = (text, entries) => this.#button(text, () => entries(`net${this.#entries.filter(({ name }) => name === 'netdev').length}`));
    const card = (netdev, id) => [{ name: 'netdev', value: netdev }, { name: 'device', value: `virtio-net-pci,netdev=${id}` }];
    return create('div', { className: 'toolbar' },
      button('+ card with internet', (id) => card(`user,id=${id}`, id)),
      button('+ card shared with other tabs', (id) => card(`socket,id=${id},channel=lan`, id)));
  }

  #adder() {
    const groups = new Map();
    for (const option of this.#options.values()) {
      if (POINTLESS.has(option.name)) continue;
      if (!groups.has(option.section)) groups.set(option.section, create('optgroup', { label: option.section }));
      groups.get(option.section).append(create('option', { value: option.name, textContent: `-${option.name}: ${option.help}`.slice(0, 90) }));
    }
    const id = `setting-${++lastId}`;
    const select = create('select', { id }, create('option', { value: '', textContent: 'choose one…' }), ...groups.values());
    select.addEventListener('change', () => {
      const option = this.#options.get(select.value);
      const type = option.types.size ? [...option.types.keys()][0] : '';
      const first = this.#typesOf({ name: option.name })?.[0] ?? type;
      this.#add({ name: option.name, value: option.argument ? choicesOf(option.argument)?.[0] ?? first : null });
    });
    return create('div', { className: 'setting' }, create('label', { htmlFor: id, textContent: 'Another option' }), select);
  }

  // ---- Errors ----

  #clearError(entry) {
    const row = this.#rows.find((r) => r.entry === entry);
    if (!row || row.error.hidden) return;
    row.error.hidden = true;
    row.input.removeAttribute('aria-invalid');
  }

  /** Shows what the emulator complains about at the option that is at fault. Returns false if none can be found. */
  showError(message) {
    const rows = this.#rows.filter(({ entry }) => !entry.absent);
    const named = [...message.matchAll(/(?<![\w-])-([a-zA-Z][\w-]*)/g)].map(([, name]) => name);
    const says = (word) => word && word.length > 1 && message.includes(word);
    const score = ({ entry }) => {
      const words = entry.value === null ? [] : partsOf(entry.value).map(({ value }) => value);
      const place = named.indexOf(entry.name);
      return (place >= 0 ? 100 - place : 0) + (says(entry.value) ? 60 : 0) + Math.max(0, ...words.filter(says).map((word) => 20 + Math.min(word.length, 20)));
    };
    const [best] = rows.map((row) => ({ row, points: score(row) })).filter(({ points }) => points).sort((a, b) => b.points - a.points);
    for (const { error, input } of this.#rows) {
      error.hidden = true;
      input.removeAttribute('aria-invalid');
    }
    if (!best) return false;
    const { error, input, row } = best.row;
    error.textContent = message;
    error.hidden = false;
    input.setAttribute('aria-invalid', 'true');
    input.focus({ preventScroll: true });
    row.scrollIntoView({ block: 'nearest' });
    return true;
  }
}
