/**
 * Sockets of the user-mode network under Node, for net/user/sockets_wasm.c. Put behind host.js; net/user/node.js connects
 * it with the C side.
 *
 * A socket is a number here. Node's sockets are asynchronous, so what a system call would say at once is kept: received
 * data (READ_AHEAD bytes, then the source is paused), connections that wait to be accepted, the last error. What is sent
 * goes into Node's buffer up to WRITE_AHEAD bytes. When something that the stack wants to know comes true, notify()
 * tells it, once until it asks again.
 *
 * Binding and listening must fail at once: a datagram socket whose addresses need no lookup binds synchronously; a
 * server is given a handle that is bound already.
 */
import slipwayUdp from 'node:dgram';
import slipwayResolver from 'node:dns';
import slipwayUtil from 'node:util';

class SlipwaySockets {
  static READ_AHEAD = 1 << 20;
  static WRITE_AHEAD = 1 << 20;
  static MAX_DATAGRAMS = 256;
  static BACKLOG = 64;
  static LINGER_MS = 60000; // for what is still to be sent when the stack closes
  static IN = 1;
  static OUT = 2;
  static ERR = 8;
  static HUP = 16;
  // Errors go to C as -1 - (index here); sockets_wasm.c has the same order.
  static ERRORS = ['EIO', 'EAGAIN', 'EINPROGRESS', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH',
    'EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'EPIPE', 'ENOTCONN', 'EMFILE', 'EMSGSIZE', 'EINVAL', 'ECONNABORTED'];

  sockets = [null];
  ready = null; // the C function that is told

  static code(name) {
    return -1 - Math.max(0, SlipwaySockets.ERRORS.indexOf(name === 'EPERM' ? 'EACCES' : name));
  }

  open(family, stream, owner) {
    return this.add({ family, stream, owner });
  }

  add(fields) {
    const s = { socket: null, server: null, wanted: 0, told: false, connected: false, ended: false, error: '', chunks: [],
      queued: 0, callers: [], datagrams: [], local: null, peer: null, v6only: false, ...fields };
    s.number = this.sockets.indexOf(null, 1);
    if (s.number < 0) s.number = this.sockets.length;
    this.sockets[s.number] = s;
    return s.number;
  }

  // ---- Readiness ----

  /** @returns {number} what is true of it */
  state(s) {
    if (s.server) return s.callers.length ? SlipwaySockets.IN : 0;
    if (!s.stream) {
      return (s.datagrams.length ? SlipwaySockets.IN : 0) | SlipwaySockets.OUT | (s.error ? SlipwaySockets.ERR : 0);
    }
    let bits = s.error ? SlipwaySockets.ERR | SlipwaySockets.IN | SlipwaySockets.OUT : 0;
    if (s.queued || s.ended) bits |= SlipwaySockets.IN;
    if (s.connected && s.socket.writableLength < SlipwaySockets.WRITE_AHEAD) bits |= SlipwaySockets.OUT;
    return bits;
  }

  poll(number) {
    const s = this.sockets[number];
    return this.state(s) & (s.wanted | SlipwaySockets.ERR | SlipwaySockets.HUP);
  }

  want(number, events) {
    const s = this.sockets[number];
    s.wanted = events;
    s.told = false;
    this.notify(s);
  }

  notify(s) {
    if (s.told || !s.wanted || !(this.state(s) & (s.wanted | SlipwaySockets.ERR))) return;
    s.told = true;
    this.ready(s.owner);
  }

  // ---- Streams ----

  connect(number, host, port) {
    const s = this.sockets[number];
    if (!s.stream) return SlipwaySockets.code('EINVAL');
    this.attach(s, slipwayNet.connect({ host, port, family: s.family, allowHalfOpen: true, noDelay: true,
      localAddress: s.local?.address, localPort: s.local?.port }));
    return SlipwaySockets.code('EINPROGRESS');
  }

  attach(s, socket) {
    s.socket = socket;
    socket.on('connect', () => this.connected(s));
    socket.on('data', (chunk) => {
      if (s.deaf) return;
      s.chunks.push(chunk);
      s.queued += chunk.length;
      if (s.queued >= SlipwaySockets.READ_AHEAD) socket.pause();
      this.notify(s);
    });
    socket.on('end', () => {
      s.ended = true;
      this.notify(s);
    });
    socket.on('drain', () => this.notify(s));
    socket.on('error', (e) => {
      s.error = e.code ?? 'EIO';
      this.notify(s);
    });
    socket.on('close', () => {
      s.ended = true;
      this.notify(s);
    });
  }

  connected(s) {
    s.connected = true;
    s.local = { address: s.socket.localAddress, port: s.socket.localPort };
    s.peer = { address: s.socket.remoteAddress, port: s.socket.remotePort };
    s.socket.setNoDelay(true);
    this.notify(s);
  }

  bind(number, host, port) {
    const s = this.sockets[number];
    if (s.stream) {
      s.local = { address: host, port };
      return 0;
    }
    return this.bindDatagrams(s, host, port);
  }

  listen(number, v6only) {
    const s = this.sockets[number];
    const { address, port } = s.local ?? { address: s.family === 6 ? '::' : '0.0.0.0', port: 0 };
    const UV_TCP_IPV6ONLY = 1;
    const handle = slipwayNet._createServerHandle(address, port, s.family, undefined, v6only ? UV_TCP_IPV6ONLY : 0);
    if (typeof handle === 'number') return SlipwaySockets.code(SlipwaySockets.errorName(handle));
    const server = slipwayNet.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      if (s.callers.length >= SlipwaySockets.BACKLOG) {
        socket.destroy();
        return;
      }
      s.callers.push(socket);
      this.notify(s);
    });
    server.on('error', () => {}); // known from the missing handle
    server.listen(handle);
    if (!server._handle) return SlipwaySockets.code('EADDRINUSE');
    s.server = server;
    const at = server.address();
    s.local = { address: at.address, port: at.port };
    return 0;
  }

  static errorName(number) {
    return slipwayUtil.getSystemErrorName(number);
  }

  accept(number) {
    const s = this.sockets[number];
    const socket = s.callers.shift();
    if (!socket) return SlipwaySockets.code('EAGAIN');
    const client = this.sockets[this.add({ family: s.family, stream: true, owner: s.owner })];
    this.attach(client, socket);
    this.connected(client);
    socket.resume();
    return client.number;
  }

  shutdown(number, read, write) {
    const s = this.sockets[number];
    if (!s.socket || !s.stream) return SlipwaySockets.code('ENOTCONN');
    if (read) {
      s.deaf = s.ended = true;
      s.chunks = [];
      s.queued = 0;
      s.socket.resume();
    }
    if (write) s.socket.end();
    return 0;
  }

  send(number, heap, pointer, length) {
    const s = this.sockets[number];
    if (s.error) return SlipwaySockets.code(s.error);
    if (!s.connected) return SlipwaySockets.code('ENOTCONN');
    if (!length) return 0;
    if (!s.socket.writable) return SlipwaySockets.code('EPIPE');
    if (s.socket.writableLength >= SlipwaySockets.WRITE_AHEAD) return SlipwaySockets.code('EAGAIN');
    slipwayHost.cork(s.socket);
    s.socket.write(heap.slice(pointer, pointer + length));
    return length;
  }

  /** Bytes; 0: the end. */
  receive(number, heap, pointer, length) {
    const s = this.sockets[number];
    if (!s.queued) {
      if (s.error) return SlipwaySockets.code(s.error);
      return s.ended ? 0 : SlipwaySockets.code(s.connected ? 'EAGAIN' : 'ENOTCONN');
    }
    let done = 0;
    while (done < length && s.chunks.length) {
      const part = s.chunks[0].subarray(0, length - done);
      heap.set(part, pointer + done);
      done += part.length;
      if (part.length === s.chunks[0].length) s.chunks.shift();
      else s.chunks[0] = s.chunks[0].subarray(part.length);
    }
    s.queued -= done;
    if (s.queued < SlipwaySockets.READ_AHEAD / 2 && s.socket.isPaused()) s.socket.resume();
    return done;
  }

  // ---- Datagrams ----

  bindDatagrams(s, host, port) {
    if (s.socket) return SlipwaySockets.code('EINVAL');
    let error = '';
    s.socket = slipwayUdp.createSocket({ type: s.family === 6 ? 'udp6' : 'udp4', ipv6Only: s.v6only,
      lookup: (name, options, callback) => callback(null, name, s.family) });
    s.socket.on('error', (e) => { error = e.code ?? 'EIO'; });
    s.socket.on('message', (data, from) => {
      if (s.datagrams.length >= SlipwaySockets.MAX_DATAGRAMS) return;
      s.datagrams.push({ data, from });
      this.notify(s);
    });
    s.socket.bind({ address: host || undefined, port, exclusive: true });
    if (error) {
      s.socket.close();
      s.socket = null;
      return SlipwaySockets.code(error);
    }
    const at = s.socket.address();
    s.local = { address: at.address, port: at.port };
    return 0;
  }

  sendTo(number, heap, pointer, length, host, port) {
    const s = this.sockets[number];
    if (!s.socket) {
      const status = this.bindDatagrams(s, '', 0);
      if (status < 0) return status;
    }
    if (s.ttl) s.socket.setTTL(s.ttl);
    s.ttl = 0;
    s.socket.send(heap.slice(pointer, pointer + length), port, host, (e) => {
      if (!e) return;
      s.error = e.code ?? 'EIO';
      this.notify(s);
    });
    return length;
  }

  /** Length; *from* gets the sender. */
  receiveFrom(number, heap, pointer, length, from) {
    const s = this.sockets[number];
    const datagram = s.datagrams.shift();
    if (!datagram) {
      const code = SlipwaySockets.code(s.error || 'EAGAIN');
      s.error = '';
      return code;
    }
    const part = datagram.data.subarray(0, length);
    heap.set(part, pointer);
    from(datagram.from.address, datagram.from.port);
    return part.length;
  }

  available(number) {
    const s = this.sockets[number];
    return s.stream ? s.queued : s.datagrams[0]?.data.length ?? 0;
  }

  // ---- Either ----

  name(number, peer) {
    const s = this.sockets[number];
    return peer ? s.peer : s.local ?? { address: s.family === 6 ? '::' : '0.0.0.0', port: 0 };
  }

  setTtl(number, ttl) {
    this.sockets[number].ttl = ttl;
  }

  takeError(number) {
    const s = this.sockets[number];
    const code = s.error ? SlipwaySockets.code(s.error) : 0;
    s.error = '';
    return code;
  }

  close(number) {
    const s = this.sockets[number];
    this.sockets[number] = null;
    s.wanted = 0;
    if (s.server) {
      s.server.close();
      for (const socket of s.callers) socket.destroy();
    } else if (s.socket && !s.stream) {
      s.socket.close();
    } else if (s.socket?.writableLength && s.connected && !s.error) {
      s.deaf = true;
      s.socket.resume();
      s.socket.end(() => s.socket.destroy());
      s.socket.setTimeout(SlipwaySockets.LINGER_MS, () => s.socket.destroy());
    } else {
      s.socket?.destroy();
    }
  }

  /** The first name server of that family, or null. */
  nameServer(family) {
    const servers = slipwayResolver.getServers().map((text) => text.replace(/^\[(.*)\](:\d+)?$/, '$1'));
    const bare = (text) => (text.split(':').length === 2 ? text.split(':')[0] : text.split('%')[0]);
    return servers.map(bare).find((text) => slipwayNet.isIP(text) === family) ?? null;
  }
}

const slipwaySockets = new SlipwaySockets();
