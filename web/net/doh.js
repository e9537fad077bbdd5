/**
 * Names for a guest whose only way out is fetch(): DNS over HTTPS (RFC 8484), and who has which address, as the answers say, since
 * fetch() takes names. Put before Emscripten's code as it is.
 *
 * When the server can't be reached, each name gets an address of 198.18.0.0/15 (RFC 2544, never on the internet): that is
 * enough for HTTP, where only the name counts. It goes on being asked.
 */
class SlipwayNames {
  static SERVER = 'https://cloudflare-dns.com/dns-query';
  static MOST = 4096; // names remembered
  static PATIENCE_MS = 5000;
  static MADE_UP = { first: (198 << 24 | 18 << 16) >>> 0, count: 1 << 17, ttl: 30 };
  static TYPE = { A: 1, AAAA: 28 };

  #names = new Map(); // address -> name
  #madeUp = new Map(); // name -> address
  #complained = false;

  /** @param {{server: string, log: function(string)}} options */
  constructor({ server, log }) {
    this.server = server || SlipwayNames.SERVER;
    this.log = log;
  }

  /** The name behind an address of an answer, or undefined. */
  nameOf(address) {
    return this.#names.get(address);
  }

  /** @returns {Promise<Uint8Array>} the answer to a DNS message */
  async answer(message) {
    const question = SlipwayNames.question(message);
    if (!question) return SlipwayNames.reply(message, Math.min(message.length, 12), 1); // FORMERR
    try {
      const response = await fetch(this.#query(message), { credentials: 'omit', headers: { Accept: 'application/dns-message' },
        signal: AbortSignal.timeout(SlipwayNames.PATIENCE_MS) });
      const data = new Uint8Array(await response.arrayBuffer());
      if (!response.ok || data.length < 12 || !(data[2] & 0x80)) throw new Error(`status ${response.status}`);
      data.set(message.subarray(0, 2));
      for (const address of SlipwayNames.addresses(data)) this.#remember(address, question.name);
      return data;
    } catch (e) {
      if (!this.#complained) {
        this.log(`no DNS over HTTPS from ${new URL(this.server).host} (${e.cause?.code ?? e.message}): names get addresses of ` +
          '198.18.0.0/15, which do for HTTP');
      }
      this.#complained = true;
      return this.#makeUp(message, question);
    }
  }

  /** By GET and with the number 0 (RFC 8484 4.1): that needs no permission to be asked for, and may come from a cache. */
  #query(message) {
    const url = new URL(this.server);
    const anonymous = Uint8Array.from(message);
    anonymous[0] = anonymous[1] = 0;
    const text = btoa(String.fromCharCode(...anonymous)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    url.searchParams.set('dns', text);
    return url.href;
  }

  #remember(address, name) {
    this.#names.delete(address); // the newest is the last one
    this.#names.set(address, name);
    if (this.#names.size > SlipwayNames.MOST) this.#names.delete(this.#names.keys().next().value);
  }

  #makeUp(message, { name, type, end }) {
    const { first, count, ttl } = SlipwayNames.MADE_UP;
    if (type !== SlipwayNames.TYPE.A || !name.includes('.') || /(^|\.)(arpa|local|localhost|invalid)$/.test(name)) {
      return SlipwayNames.reply(message, end, type === SlipwayNames.TYPE.A ? 3 : 0); // NXDOMAIN, or just nothing of that type
    }
    let number = this.#madeUp.get(name);
    if (number === undefined) {
      number = first + 1 + this.#madeUp.size % (count - 2);
      this.#madeUp.set(name, number);
    }
    const bytes = [number >>> 24, number >>> 16 & 255, number >>> 8 & 255, number & 255];
    this.#remember(bytes.join('.'), name);
    return SlipwayNames.reply(message, end, 0, [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, ...bytes]);
  }

  /** An answer made of the question. */
  static reply(message, end, code, record = []) {
    const data = new Uint8Array(end + record.length);
    data.set(message.subarray(0, end));
    data.set(record, end);
    data[2] = 0x80 | (message[2] & 0x79);
    data[3] = 0x80 | code;
    data.set([0, end > 12 ? 1 : 0, 0, record.length ? 1 : 0, 0, 0, 0, 0], 4);
    return data;
  }

  /** The one question of @message, {name, type, end}; null: there isn't exactly one. */
  static question(message) {
    if (message.length < 17 || (message[2] & 0xf8) || message[4] || message[5] !== 1) return null;
    const labels = [];
    let at = 12;
    for (; at < message.length && message[at]; at += 1 + message[at]) {
      if (message[at] > 63) return null;
      labels.push(String.fromCharCode(...message.subarray(at + 1, at + 1 + message[at])));
    }
    if (at + 5 > message.length) return null;
    return { name: labels.join('.').toLowerCase(), type: message[at + 1] << 8 | message[at + 2], end: at + 5 };
  }

  /** All addresses of an answer, as text. */
  static addresses(data) {
    const found = [];
    const word = (at) => data[at] << 8 | data[at + 1];
    const skipName = (at) => {
      while (at < data.length && data[at] && data[at] < 64) at += 1 + data[at];
      return at + (data[at] >= 192 ? 2 : 1);
    };
    let at = 12;
    for (let n = word(4); n > 0; n--) at = skipName(at) + 4;
    for (let n = word(6); n > 0 && at + 10 <= data.length; n--) {
      at = skipName(at);
      const type = word(at);
      const length = word(at + 8);
      const value = data.subarray(at + 10, at + 10 + length);
      at += 10 + length;
      if (type === SlipwayNames.TYPE.A && value.length === 4) found.push(value.join('.'));
      if (type === SlipwayNames.TYPE.AAAA && value.length === 16) found.push(SlipwayNames.ipv6(value));
    }
    return found;
  }

  /** As inet_ntop() writes it (RFC 5952). */
  static ipv6(bytes) {
    const words = [];
    for (let i = 0; i < 16; i += 2) words.push((bytes[i] << 8 | bytes[i + 1]).toString(16));
    let best = null;
    for (const { 0: run, index } of `:${words.join(':')}:`.matchAll(/:(?:0:){2,}/g)) {
      if (!best || run.length > best.run.length) best = { run, index };
    }
    const text = `:${words.join(':')}:`;
    if (!best) return words.join(':');
    return (text.slice(1, best.index) + '::' + text.slice(best.index + best.run.length, -1));
  }
}
