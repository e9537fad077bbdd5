/**
 * A client of the PC's QMP monitor (QEMU Machine Protocol) over one of its terminals: one JSON object a line, commands answered
 * in order, events in between.
 */
export class Qmp {
  #terminal;
  #waiting = [];
  #text = '';
  #decoder = new TextDecoder();

  /** @param {Terminal} terminal  @param {function(object)} onEvent - {event, data, timestamp} */
  constructor(terminal, onEvent) {
    this.#terminal = terminal;
    terminal.listen((bytes) => {
      this.#text += this.#decoder.decode(bytes, { stream: true });
      const lines = this.#text.split('\n');
      this.#text = lines.pop();
      for (const line of lines) {
        if (!line.trim()) continue;
        const message = JSON.parse(line);
        if (message.event) onEvent(message);
        else if (!message.QMP) this.#answer(message);
      }
    });
    this.ready = this.execute('qmp_capabilities');
  }

  #answer(message) {
    const { resolve, reject } = this.#waiting.shift();
    if (message.error) reject(new Error(message.error.desc));
    else resolve(message.return);
  }

  execute(command, args = {}) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#terminal.send(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  /** Nobody will answer any more. */
  close(error) {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
