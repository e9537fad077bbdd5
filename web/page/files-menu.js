/**
 * Files for the PC and from it: those that are sent and fetched while it runs (a port of virtio-serial, which slipway-files in the guest
 * serves), and those that its user-mode network serves by TFTP, which are chosen before it starts. Both are options of the command line.
 */
import { joinCommandLine, splitCommandLine } from './commandline.js';
import { PORT_OPTIONS, hasPort } from './transfer.js';
import { humanBytes } from './units.js';

const TFTP = 'tftp'; // the directory, if the command line names none

const MARKUP = `
<h2>Into the PC and out of it</h2>
<p class="hint" data-part="hint"></p>
<button type="button" data-part="add">Add the port to the command line</button>
<div class="toolbar">
  <label>Folder in the PC <input data-part="folder" value="/root" autocapitalize="off" autocomplete="off" spellcheck="false"></label>
  <label class="button">Send files<input type="file" multiple class="visually-hidden" data-part="send"></label>
</div>
<div class="toolbar">
  <label>File in the PC <input data-part="path" placeholder="/etc/hosts" autocapitalize="off" autocomplete="off" spellcheck="false"></label>
  <button type="button" data-part="fetch">Fetch</button>
</div>
<p role="status" data-part="progress"></p>
<h2>Served by TFTP</h2>
<p class="hint">The PC's user-mode network has them at 10.0.2.2, for PXE and for <code>tftp -g -r NAME 10.0.2.2</code>. They are chosen before it starts.</p>
<label class="button">Choose files<input type="file" multiple class="visually-hidden" data-part="tftp"></label>
<ul data-part="list" aria-label="Served by TFTP"></ul>`;

/** The words with tftp= at the first user-mode network, and that directory. */
export function withTftp(words) {
  const networks = words.flatMap((word, i) => (['-nic', '-netdev', '-net'].includes(word) ? [i + 1] : []));
  const at = networks.find((i) => /^user(,|$)/.test(words[i] ?? ''));
  if (at === undefined && networks.length) throw new Error('The command line has no user-mode network, which would serve files by TFTP: add one under “Network”.');
  const network = words[at] ?? 'user';
  const directory = /,tftp=([^,]*)/.exec(network)?.[1];
  if (directory) return { words, directory };
  const served = `${network},tftp=${TFTP}`;
  return { words: at === undefined ? [...words, '-nic', served] : words.with(at, served), directory: TFTP };
}

export class FilesMenu {
  #page;
  #part;

  /** @param page {pc(), files, command: HTMLTextAreaElement, changed(), attempt(action)} - files: name -> File, for the next PC */
  constructor(element, page) {
    this.#page = page;
    const body = Object.assign(document.createElement('div'), { innerHTML: MARKUP });
    element.append(body);
    this.#part = (name) => body.querySelector(`[data-part=${name}]`);
    const chosen = (name, action) => this.#part(name).addEventListener('change', (e) => {
      const list = [...e.target.files];
      e.target.value = '';
      page.attempt(() => action(list));
    });
    chosen('send', (list) => this.#send(list));
    chosen('tftp', (list) => this.#serve(list));
    this.#part('fetch').addEventListener('click', () => page.attempt(() => this.#fetch()));
    this.#part('add').addEventListener('click', () => {
      page.command.value = joinCommandLine([...splitCommandLine(page.command.value), ...PORT_OPTIONS]);
      page.changed();
      this.update();
    });
    element.addEventListener('toggle', () => this.update());
  }

  /** What can be done now. */
  update() {
    const pc = this.#page.pc();
    const runs = pc?.state === 'running' || pc?.state === 'paused';
    let port = false;
    try {
      port = hasPort(pc?.args ?? splitCommandLine(this.#page.command.value));
    } catch {
      // The command line isn't one yet.
    }
    for (const name of ['send', 'fetch', 'folder', 'path']) this.#part(name).disabled = !runs || !port;
    this.#part('send').parentElement.classList.toggle('disabled', !runs || !port);
    this.#part('add').hidden = Boolean(pc) || port;
    this.#part('tftp').disabled = Boolean(pc);
    this.#part('tftp').parentElement.classList.toggle('disabled', Boolean(pc));
    const needed = 'That takes a port of virtio-serial and slipway-files in the guest; the page\'s Linux has both.';
    this.#part('hint').textContent = port ? (runs ? '' : 'When the PC runs.') : `${needed}${pc ? ' This PC was started without the port.' : ''}`;
  }

  /** Of a new PC. */
  show(pc) {
    this.#part('progress').textContent = '';
    pc.addEventListener('transfer', ({ detail: { path, direction, loaded, total } }) => {
      const done = loaded === total;
      const what = direction === 'put' ? (done ? 'Sent' : 'Sending') : (done ? 'Fetched' : 'Fetching');
      this.#part('progress').textContent = `${what} ${path}: ${humanBytes(loaded)}${done ? '' : ` of ${humanBytes(total)}`}`;
    });
  }

  async #send(list) {
    const folder = this.#part('folder').value.replace(/\/*$/, '');
    for (const file of list) await this.#page.pc().putFile(`${folder}/${file.name}`, file);
  }

  async #fetch() {
    const path = this.#part('path').value;
    const data = await this.#page.pc().getFile(path);
    const link = Object.assign(document.createElement('a'), { download: path.replace(/.*\//, ''), href: URL.createObjectURL(new Blob([data])) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  #serve(list) {
    const { words, directory } = withTftp(splitCommandLine(this.#page.command.value));
    for (const file of list) this.#page.files[`${directory}/${file.name}`] = file;
    this.#page.command.value = joinCommandLine(words);
    this.#page.changed();
    const served = Object.entries(this.#page.files).filter(([name]) => name.startsWith(`${directory}/`));
    this.#part('list').replaceChildren(...served.map(([name, file]) => Object.assign(document.createElement('li'),
      { textContent: `${name.slice(directory.length + 1)} (${humanBytes(file.size)})` })));
  }
}
