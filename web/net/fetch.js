/**
 * Sockets of the user-mode network made of fetch(), for a page without a relay; net/user/node.js connects them with the C side
 * (sockets_wasm.c), as those of Node (web/node/sockets.js), whose interface this is. Put before Emscripten's code as it is.
 *
 * Connections to HTTP's ports are answered by SlipwayHttp, the name server by SlipwayNames. Everything else is
 * "network unreachable", and the log says once why. Nothing can be listened on.
 *
 * Their numbers begin at FIRST, so that they can be told from Node's.
 */
class SlipwayFetchSockets {
  static FIRST = 1 << 20;
  static PORTS = [80, 3000, 5000, 8000, 8008, 8080, 8081, 8888];
  static NAME_SERVERS = { 4: '240.0.0.53', 6: '100::53' }; // addresses that lead nowhere else
  static MAX_DATAGRAMS = 256;
  static IN = 1;
  static OUT = 2;
  static ERR = 8;
  static ERROR = { EAGAIN: -2, EINPROGRESS: -3, ENETUNREACH: -8, EADDRNOTAVAIL: -10, EPIPE: -12, ENOTCONN: -13,
    EINVAL: -16 }; // as in sockets_wasm.c

  sockets = new Map();
  networks = new Map(); // owner -> {names, proxy, log, said}
  ready = null; // the C function that is told
  #last = SlipwayFetchSockets.FIRST;

  /** Of the network @owner: @server for names and @proxy may be empty; @log shows a line to the user. */
  configure(owner, server, proxy, log) {
    this.networks.set(owner, { names: new SlipwayNames({ server, log }), proxy, log, said: false });
  }

  /** Where the page came from; null under Node. */
  static get page() {
    const base = (typeof slipwayHost !== 'undefined' && slipwayHost.base) || globalThis.location?.href;
    return base && /^https?:/.test(base) ? new URL(base) : null;
  }

  open(family, stream, owner) {
    while (this.sockets.has(++this.#last));
    this.sockets.set(this.#last, { number: this.#last, family, stream, owner, wanted: 0, told: false, connected: false, ended: false,
      local: null, peer: null, chunks: [], queued: 0, datagrams: [], http: null, dns: null });
    return this.#last;
  }

  get(number) {
    return this.sockets.get(number);
  }

  // ---- Readiness ----

  state(s) {
    const { IN, OUT } = SlipwayFetchSockets;
    if (!s.stream) return (s.datagrams.length ? IN : 0) | OUT;
    return (s.queued || s.ended ? IN : 0) | (s.connected && !s.http?.isFull ? OUT : 0);
  }

  poll(number) {
    const s = this.get(number);
    return this.state(s) & s.wanted;
  }

  want(number, events) {
    const s = this.get(number);
    s.wanted = events;
    s.told = false;
    this.notify(s);
  }

  notify(s) {
    if (s.told || !(this.state(s) & s.wanted)) return;
    s.told = true;
    this.ready(s.owner);
  }

  // ---- Streams ----

  connect(number, host, port) {
    const s = this.get(number);
    const { names, proxy } = this.networks.get(s.owner);
    const dns = port === 53 && host === SlipwayFetchSockets.NAME_SERVERS[s.family];
    if (!s.stream) return SlipwayFetchSockets.ERROR.EINVAL;
    if (!dns && !SlipwayFetchSockets.PORTS.includes(port)) return this.#refuse(s, `a connection to ${host} port ${port}`);
    if (dns) s.dns = new Uint8Array(0);
    else {
      s.http = new SlipwayHttp({ address: host === '::1' ? '127.0.0.1' : host, port, names, proxy, page: SlipwayFetchSockets.page,
        write: (bytes) => this.#deliver(s, bytes), end: () => this.#end(s), queued: () => s.queued });
    }
    s.peer = { address: host, port };
    queueMicrotask(() => {
      s.connected = true;
      this.notify(s);
    });
    return SlipwayFetchSockets.ERROR.EINPROGRESS;
  }

  #refuse(s, what) {
    const network = this.networks.get(s.owner);
    if (!network.said) {
      network.log(`${what} can't leave a web page: without relay= only HTTP does (port ${SlipwayFetchSockets.PORTS.join(', ')})`);
    }
    network.said = true;
    return SlipwayFetchSockets.ERROR.ENETUNREACH;
  }

  #deliver(s, bytes) {
    if (this.sockets.get(s.number) !== s || s.deaf) return;
    s.chunks.push(bytes);
    s.queued += bytes.length;
    this.notify(s);
  }

  #end(s) {
    s.ended = true;
    this.notify(s);
  }

  bind() {
    return 0;
  }

  listen() {
    return SlipwayFetchSockets.ERROR.EADDRNOTAVAIL;
  }

  accept() {
    return SlipwayFetchSockets.ERROR.EAGAIN;
  }

  shutdown(number, read, write) {
    const s = this.get(number);
    if (!s.connected) return SlipwayFetchSockets.ERROR.ENOTCONN;
    if (read) {
      s.deaf = s.ended = true;
      s.chunks = [];
      s.queued = 0;
      s.http?.stop();
    }
    if (write && !s.mute) {
      s.mute = true;
      if (s.http) queueMicrotask(() => s.http.takeEnd());
      else if (!s.asked) this.#end(s);
    }
    return 0;
  }

  send(number, heap, pointer, length) {
    const s = this.get(number);
    if (!s.connected) return SlipwayFetchSockets.ERROR.ENOTCONN;
    if (!length) return 0;
    if (s.mute) return SlipwayFetchSockets.ERROR.EPIPE;
    if (s.http?.isFull) return SlipwayFetchSockets.ERROR.EAGAIN;
    const bytes = heap.slice(pointer, pointer + length);
    if (s.http) queueMicrotask(() => s.http.take(bytes));
    else this.#takeDns(s, bytes);
    return length;
  }

  /** Messages with two bytes of length before each (RFC 1035 4.2.2). */
  #takeDns(s, bytes) {
    s.dns = SlipwayHttp.join([s.dns, bytes]);
    while (s.dns.length >= 2 && s.dns.length >= 2 + (s.dns[0] << 8 | s.dns[1])) {
      const end = 2 + (s.dns[0] << 8 | s.dns[1]);
      const message = s.dns.slice(2, end);
      s.dns = s.dns.slice(end);
      s.asked = (s.asked ?? 0) + 1;
      this.#ask(s, message, (answer) => {
        this.#deliver(s, SlipwayHttp.join([Uint8Array.of(answer.length >> 8, answer.length & 255), answer]));
        if (--s.asked === 0 && s.mute) this.#end(s);
      });
    }
  }

  /** Bytes; 0: the end. */
  receive(number, heap, pointer, length) {
    const s = this.get(number);
    const { EAGAIN, ENOTCONN } = SlipwayFetchSockets.ERROR;
    if (!s.queued) return s.ended ? 0 : s.connected ? EAGAIN : ENOTCONN;
    let done = 0;
    while (done < length && s.chunks.length) {
      const part = s.chunks[0].subarray(0, length - done);
      heap.set(part, pointer + done);
      done += part.length;
      if (part.length === s.chunks[0].length) s.chunks.shift();
      else s.chunks[0] = s.chunks[0].subarray(part.length);
    }
    s.queued -= done;
    if (s.http) queueMicrotask(() => s.http.taken());
    return done;
  }

  // ---- Datagrams ----

  sendTo(number, heap, pointer, length, host, port) {
    const s = this.get(number);
    if (port !== 53 || host !== SlipwayFetchSockets.NAME_SERVERS[s.family]) return this.#refuse(s, `a datagram to ${host} port ${port}`);
    this.#ask(s, heap.slice(pointer, pointer + length), (data) => {
      if (s.datagrams.length >= SlipwayFetchSockets.MAX_DATAGRAMS) return;
      s.datagrams.push({ data, address: host, port });
      this.notify(s);
    });
    return length;
  }

  #ask(s, message, answered) {
    const { names } = this.networks.get(s.owner);
    queueMicrotask(async () => {
      const answer = await names.answer(message);
      if (this.sockets.get(s.number) === s) answered(answer);
    });
  }

  /** Length; *from* gets the sender. */
  receiveFrom(number, heap, pointer, length, from) {
    const datagram = this.get(number).datagrams.shift();
    if (!datagram) return SlipwayFetchSockets.ERROR.EAGAIN;
    const part = datagram.data.subarray(0, length);
    heap.set(part, pointer);
    from(datagram.address, datagram.port);
    return part.length;
  }

  available(number) {
    const s = this.get(number);
    return s.stream ? s.queued : s.datagrams[0]?.data.length ?? 0;
  }

  // ---- Either ----

  name(number, peer) {
    const s = this.get(number);
    return peer ? s.peer : { address: s.family === 6 ? '::' : '0.0.0.0', port: 0 };
  }

  setTtl() {}

  takeError() {
    return 0;
  }

  close(number) {
    const s = this.get(number);
    this.sockets.delete(number);
    s.wanted = 0;
    s.http?.stop();
  }

  nameServer(family) {
    return SlipwayFetchSockets.NAME_SERVERS[family];
  }
}

const slipwayFetchSockets = new SlipwayFetchSockets();
