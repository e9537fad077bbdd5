/**
 * An HTTP/1.1 server that has its answers from fetch(): what a guest's connection to port 80 reaches in a page without a
 * relay. Put before Emscripten's code as it is.
 *
 *   bytes of the guest -> take() -> requests, one at a time -> fetch() -> ops.write() -> the guest
 *
 * The target is the Host header's (or that of a request line with a whole URL, as proxies get it), else the name that
 * the address had in DNS, else the address. A page that came by https may only fetch https: then every target is https. A page
 * that came by http tries http, then https. Redirects are followed: where they lead may be https, which the guest
 * couldn't follow in here.
 *
 * What a page may read of other sites is theirs to say (CORS). What it may not is answered with status 502 and a text that
 * says which of the two it is: forbidden, or not there. Headers that would need a site's permission aren't sent.
 *
 * Bounds: HEAD_MOST for headers, BODY_MOST for what the guest sends (fetch() can't stream it everywhere). The answer
 * is read as fast as the guest takes it.
 */
class SlipwayHttp {
  static HEAD_MOST = 65536;
  static BODY_MOST = 64 << 20;
  static READ_AHEAD = 1 << 18; // bytes of an answer that the guest hasn't taken
  static HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate', 'te', 'trailer',
    'transfer-encoding', 'upgrade', 'host', 'content-length', 'expect', 'accept-encoding'];
  /** What may go to another site without its permission (Fetch 2.2.2), and what is worth asking for. */
  static SAFE = ['accept', 'accept-language', 'content-language', 'content-type', 'range', 'authorization'];

  #input = new Uint8Array(0);
  #busy = false;
  #ended = false; // the guest will send no more
  #done = false; // we will
  #abort = new AbortController();
  #resume = null; // of a write that waits

  /**
   * @param {{address: string, port: number, names: SlipwayNames, page: ?URL, proxy: string,
   *   write: function(Uint8Array), end: function(), queued: function(): number}} ops
   *   page: where the page came from (null under Node); address 127.0.0.1 is that server then
   */
  constructor(ops) {
    this.ops = ops;
  }

  /** More than a request that is being answered can wait: hold the guest back. */
  get isFull() {
    return this.#busy && this.#input.length > SlipwayHttp.READ_AHEAD;
  }

  take(data) {
    if (this.#done) return;
    const whole = new Uint8Array(this.#input.length + data.length);
    whole.set(this.#input);
    whole.set(data, this.#input.length);
    this.#input = whole;
    this.#next();
  }

  /** The guest has closed its direction. */
  takeEnd() {
    this.#ended = true;
    this.#next();
  }

  /** The guest has taken something. */
  taken() {
    if (this.#resume && this.ops.queued() < SlipwayHttp.READ_AHEAD / 2) {
      const resume = this.#resume;
      this.#resume = null;
      resume();
    }
  }

  /** The connection is gone. */
  stop() {
    this.#done = true;
    this.#abort.abort();
    this.#resume?.();
  }

  #finish() {
    if (this.#done) return;
    this.#done = true;
    this.ops.end();
  }

  // ---- Requests ----

  #next() {
    if (this.#busy || this.#done) return;
    let request;
    try {
      request = this.#parse();
    } catch (e) {
      this.#answer({ version: '1.1', method: 'GET', close: true }, e.status ?? 400, `${e.message}\n`);
      this.#finish();
      return;
    }
    if (!request) {
      if (this.#ended) this.#finish();
      return;
    }
    this.#busy = true;
    this.#serve(request).catch(() => { request.close = true; }).finally(() => {
      this.#busy = false;
      if (request.close) this.#finish();
      else this.#next();
    });
  }

  static #refusal(status, message) {
    return Object.assign(new Error(message), { status });
  }

  /** Takes a whole request off the input; null: there isn't one yet. Throws what the guest is answered. */
  #parse() {
    const text = new TextDecoder('latin1').decode(this.#input.subarray(0, SlipwayHttp.HEAD_MOST));
    const start = /^[\r\n]*/.exec(text)[0].length;
    const end = /\r?\n\r?\n/.exec(text.slice(start));
    if (!end) {
      if (text.length >= SlipwayHttp.HEAD_MOST) throw SlipwayHttp.#refusal(431, 'The request has too many headers.');
      if (!/^[A-Z]{0,20}( |$)/.test(text.slice(start))) {
        throw SlipwayHttp.#refusal(400, 'This is no HTTP. Only HTTP leaves a web page without a relay.');
      }
      return null;
    }
    const [line, ...lines] = text.slice(start, start + end.index).split(/\r?\n/);
    const match = /^([A-Z]+) (\S+) HTTP\/(1\.[01])$/.exec(line);
    if (!match) throw SlipwayHttp.#refusal(400, `This is no request of HTTP/1.1: ${line.slice(0, 80)}`);
    const headers = new Map();
    for (const header of lines) {
      const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(header) ?? [];
      if (!name) throw SlipwayHttp.#refusal(400, `This is no header: ${header.slice(0, 80)}`);
      const key = name.toLowerCase();
      headers.set(key, headers.has(key) ? `${headers.get(key)}, ${value}` : value);
    }
    const [, method, target, version] = match;
    const connection = (headers.get('connection') ?? '').toLowerCase();
    const request = { method, target, version, headers, body: null,
      close: version === '1.0' ? !connection.includes('keep-alive') : connection.includes('close') };
    return this.#takeBody(request, start + end.index + end[0].length) ? request : null;
  }

  /** @returns {boolean} false: it isn't all there */
  #takeBody(request, at) {
    const { headers } = request;
    const length = headers.get('content-length');
    if (length === undefined && !headers.has('transfer-encoding')) {
      this.#input = this.#input.slice(at);
      return true;
    }
    const parsed = headers.has('transfer-encoding') ? SlipwayHttp.chunked(this.#input, at)
      : { data: this.#input.slice(at, at + Number(length)), end: at + Number(length) };
    if (!/^\d+$/.test(length ?? '0') || parsed?.wrong) throw SlipwayHttp.#refusal(400, 'The length of the body is wrong.');
    if (Number(length ?? 0) > SlipwayHttp.BODY_MOST || this.#input.length > SlipwayHttp.BODY_MOST + SlipwayHttp.HEAD_MOST) {
      throw SlipwayHttp.#refusal(413, 'That is too much to send through fetch().');
    }
    if (!parsed || parsed.end > this.#input.length) {
      if (this.#ended) throw SlipwayHttp.#refusal(400, 'The body is cut off.');
      if (/100-continue/i.test(headers.get('expect') ?? '') && !this.continued) {
        this.continued = true;
        this.ops.write(new TextEncoder().encode('HTTP/1.1 100 Continue\r\n\r\n'));
      }
      return false;
    }
    this.continued = false;
    request.body = parsed.data;
    this.#input = this.#input.slice(parsed.end);
    return true;
  }

  /** The body in chunks (RFC 9112 7.1) at @at, {data, end}; null: there is more to come. */
  static chunked(input, at) {
    const parts = [];
    for (;;) {
      const line = /^([0-9a-fA-F]{1,8})(;[^\r\n]*)?\r\n/.exec(new TextDecoder('latin1').decode(input.subarray(at, at + 300)));
      if (!line) return input.length - at > 300 ? { wrong: true } : null;
      const length = parseInt(line[1], 16);
      at += line[0].length;
      if (length) {
        if (input.length < at + length + 2) return null;
        parts.push(input.subarray(at, at + length));
        at += length + 2;
        continue;
      }
      const trailer = /^(?:[^\r\n]+\r\n)*\r\n/.exec(new TextDecoder('latin1').decode(input.subarray(at, at + 8192)));
      if (!trailer) return input.length - at > 8192 ? { wrong: true } : null;
      return { data: new Uint8Array(SlipwayHttp.join(parts)), end: at + trailer[0].length };
    }
  }

  static join(parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  // ---- Answers ----

  /** @returns {URL} what is meant; its protocol is the guest's */
  #url({ target, headers }) {
    const { address, port, names } = this.ops;
    if (/^https?:\/\//i.test(target)) return new URL(target);
    const numeric = address.includes(':') ? `[${address}]` : address;
    const host = headers.get('host') || `${names.nameOf(address) ?? numeric}${port === 80 ? '' : `:${port}`}`;
    return new URL(`http://${host}${target === '*' ? '' : target}`);
  }

  async #serve(request) {
    if (request.method === 'CONNECT') {
      request.close = true;
      this.#answer(request, 501, 'There is no tunnel through fetch(): only plain HTTP leaves a web page without a relay.\n');
      return;
    }
    let url;
    try {
      url = this.#url(request);
    } catch {
      this.#answer(request, 400, 'The request names no host.\n');
      return;
    }
    const { page, address } = this.ops;
    const own = page && address === '127.0.0.1' && !/^https?:/i.test(request.target);
    let tries = [url.href];
    if (own) {
      tries = [new URL(url.pathname + url.search, page.origin).href]; // 10.0.2.2 is the page's own server
    } else if (page && url.protocol === 'http:') {
      const secure = new URL(url.href);
      secure.protocol = 'https:';
      tries = page.protocol === 'https:' ? [secure.href] : [url.href, secure.href];
      if (!['GET', 'HEAD'].includes(request.method)) tries = [tries[0]];
    }
    let error;
    for (const href of tries) {
      try {
        await this.#relay(request, await this.#fetch(href, request, own));
        return;
      } catch (e) {
        if (this.#done || request.started) throw e;
        error = e;
      }
    }
    this.#answer(request, 502, await this.#explain(tries.at(-1), error));
  }

  #fetch(href, request, own) {
    const headers = new Headers();
    for (const [name, value] of request.headers) {
      if (SlipwayHttp.HOP_BY_HOP.includes(name) || (this.ops.page && !own && !SlipwayHttp.SAFE.includes(name))) continue;
      try {
        headers.append(name, value);
      } catch {
        // Not a header that fetch() knows as one.
      }
    }
    const bodyless = ['GET', 'HEAD'].includes(request.method);
    const where = this.ops.proxy && !own ? this.ops.proxy + encodeURIComponent(href) : href;
    return fetch(where, { method: request.method, headers, body: bodyless ? undefined : request.body ?? undefined, redirect: 'follow',
      credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer', signal: this.#abort.signal });
  }

  /** Hands the answer on, as fast as the guest takes it. */
  async #relay(request, response) {
    const bodyless = request.method === 'HEAD' || response.status === 204 || response.status === 304;
    const encoded = response.headers.has('content-encoding'); // fetch() has decoded it
    const length = encoded ? null : response.headers.get('content-length');
    const chunked = !bodyless && length === null && request.version === '1.1';
    if (!bodyless && length === null && !chunked) request.close = true;
    const lines = [`HTTP/1.1 ${response.status} ${response.statusText || 'OK'}`];
    for (const [name, value] of response.headers) {
      if (SlipwayHttp.HOP_BY_HOP.includes(name) || (encoded && name === 'content-encoding')) continue;
      lines.push(`${name}: ${value}`);
    }
    if (length !== null) lines.push(`content-length: ${length}`);
    if (chunked) lines.push('transfer-encoding: chunked');
    lines.push(`connection: ${request.close ? 'close' : 'keep-alive'}`);
    request.started = true;
    await this.#write(new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`));
    if (bodyless || !response.body) {
      if (chunked) await this.#write(new TextEncoder().encode('0\r\n\r\n'));
      return;
    }
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!value.length) continue;
      if (chunked) await this.#write(new TextEncoder().encode(`${value.length.toString(16)}\r\n`));
      await this.#write(value);
      if (chunked) await this.#write(new TextEncoder().encode('\r\n'));
    }
    if (chunked) await this.#write(new TextEncoder().encode('0\r\n\r\n'));
  }

  async #write(bytes) {
    if (this.#done) throw new Error('the guest has gone');
    this.ops.write(bytes);
    if (this.ops.queued() < SlipwayHttp.READ_AHEAD) return;
    await new Promise((resolve) => { this.#resume = resolve; });
    if (this.#done) throw new Error('the guest has gone');
  }

  #answer(request, status, text) {
    const names = { 400: 'Bad Request', 413: 'Content Too Large', 431: 'Request Header Fields Too Large', 501: 'Not Implemented',
      502: 'Bad Gateway' };
    const body = new TextEncoder().encode(text);
    const head = `HTTP/1.1 ${status} ${names[status]}\r\ncontent-type: text/plain; charset=utf-8\r\n` +
      `content-length: ${body.length}\r\nconnection: ${request.close ? 'close' : 'keep-alive'}\r\n\r\n`;
    request.started = true;
    this.ops.write(SlipwayHttp.join([new TextEncoder().encode(head), ...(request.method === 'HEAD' ? [] : [body])]));
  }

  /** Why fetch() failed, as far as a page can know. */
  async #explain(href, error) {
    const where = new URL(href).origin;
    if (!this.ops.page) return `${where} can't be reached: ${error.cause?.code ?? error.message}\n`;
    let there = false;
    try {
      await fetch(href, { mode: 'no-cors', credentials: 'omit', cache: 'no-store', signal: this.#abort.signal });
      there = true;
    } catch {
      // It isn't, or the browser doesn't even try.
    }
    const reason = there ? `${where} is there, but doesn't let web pages of other sites read it (CORS).`
      : `${where} can't be reached, or the browser doesn't allow it.`;
    return `${reason}\nThis PC runs in a web page without a relay: its HTTP goes through the browser's fetch(), and a page may only ` +
      'read what the other site shares with it.\nThrough a relay (-nic user,relay=URL) everything can be reached.\n';
  }
}
