/**
 * The checks of a lab: what shows that the student has done it. Each is looked at while its PC runs, and once achieved stays so.
 *
 * text: what a terminal printed since the PC was started. screen: the text screen, once in PERIOD_MS. packet: frames as the network
 * view captures them. command: runs in a shell of its own on the guest's second serial port (the guest image starts it if
 * its kernel is told shell=ttyS1), so that the student's terminal stays theirs; also once in PERIOD_MS, until it is achieved.
 */
import { matches } from './packets.js';

const PERIOD_MS = 3000;
const MAX_TEXT = 1 << 16; // of a terminal that is looked at
const COMMAND_MS = 20000;
const READY = 'shell ready'; // the guest's /init prints it
// What a terminal does with escape sequences, we do without (ECMA-48: CSI, OSC, two-character ones).
const ESCAPES = /\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\r\0]/g;

/** What a terminal has printed, as text. */
class Transcript {
  text = '';
  #decoder = new TextDecoder();

  constructor(terminal, changed) {
    terminal.listen((bytes) => {
      this.text = (this.text + this.#decoder.decode(bytes, { stream: true })).replace(ESCAPES, '').slice(-MAX_TEXT);
      changed();
    }, { history: true });
  }
}

/** A shell on a serial line that nobody looks at. */
class Shell {
  #terminal;
  #last = 0;

  constructor(terminal) {
    this.#terminal = terminal;
    const transcript = new Transcript(terminal, () => {
      this.ready ||= transcript.text.includes(READY);
    });
  }
  ready = false; // what comes before would be read by nobody, or in part

  /** @returns {Promise<string>} what it printed; fails when nothing answers */
  async run(command) {
    if (!this.ready) return '';
    const mark = `@@${++this.#last}@@`;
    const answer = this.#terminal.expect(`${mark}>`, { timeout: COMMAND_MS });
    this.#terminal.send(`echo ${mark}\\<; { ${command}\n} </dev/null 2>&1; echo ${mark}\\>\n`);
    const text = (await answer).replace(ESCAPES, '');
    return text.slice(text.lastIndexOf(`${mark}<`) + mark.length + 1, text.lastIndexOf(`${mark}>`));
  }
}

export class Checks {
  #transcripts = new Map(); // "pc terminal" -> Transcript
  #shells = new Map(); // pc -> Shell
  #pcs = new Map(); // name -> PC that runs
  #busy = false;

  /** @param {object[]} list - of the lab  @param {string} shellPort  @param {function(number)} achieved - index of one that was */
  constructor(list, shellPort, achieved) {
    Object.assign(this, { list, shellPort, achieved, done: list.map(() => false) });
    setInterval(() => this.#look(), PERIOD_MS);
  }

  #found(check, text) {
    return 'text' in check ? text.includes(check.text) : new RegExp(check.pattern, 'm').test(text);
  }

  /** One is achieved, here or in another tab. */
  set(i) {
    if (this.done[i]) return;
    this.done[i] = true;
    this.achieved(i);
  }

  #each(type, pc, test) {
    this.list.forEach((check, i) => {
      if (!this.done[i] && check.type === type && check.pc === pc && test(check)) this.set(i);
    });
  }

  /** A PC was started, here. */
  watch(name, pc) {
    this.#pcs.set(name, pc);
    this.#shells.delete(name);
    pc.addEventListener('terminal', ({ detail: terminal }) => {
      if (terminal.name === this.shellPort && this.list.some((c) => c.type === 'command' && c.pc === name)) {
        this.#shells.set(name, new Shell(terminal));
        return;
      }
      const transcript = new Transcript(terminal, () => this.#each('text', name, (c) => (c.terminal ?? 'serial0') === terminal.name && this.#found(c, transcript.text)));
      this.#transcripts.set(`${name} ${terminal.name}`, transcript);
    });
    pc.addEventListener('state', () => {
      if (['ended', 'failed'].includes(pc.state) && this.#pcs.get(name) === pc) this.#pcs.delete(name);
    });
  }

  /** A frame was captured; see packets.js, describe(). */
  frame(name, frame) {
    this.#each('packet', name, (c) => matches(frame, c.filter));
  }

  async #look() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const [i, check] of this.list.entries()) {
        const pc = this.#pcs.get(check.pc);
        if (this.done[i] || pc?.state !== 'running') continue;
        let text = null;
        if (check.type === 'screen') text = await pc.screenText().catch(() => null);
        if (check.type === 'command') text = await this.#shells.get(check.pc)?.run(check.command).catch(() => null);
        if (text && this.#found(check, text)) this.set(i);
      }
    } finally {
      this.#busy = false;
    }
  }
}
