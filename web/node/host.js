/**
 * The wasm platform under Node: the event loop and byte streams. Put before Emscripten's code as it is; core/host/node.js
 * connects it with the C side (loop_wasm.c, stream_wasm.c).
 *
 * Loop: turn() delivers what came for the streams, runs one slice of the machine and asks for the next turn: with
 * setImmediate while the guest is busy (Node polls its sockets between two of them), with setTimeout while it
 * sleeps, cut short by wake(). A PC that sleeps costs nothing in between.
 *
 * Sockets that the command line names are connected, and servers listen, before the first turn: what fails is an
 * error of the command line, as in the native build.
 *
 * Streams: input is read ahead up to READ_AHEAD bytes, then the source is paused. Sockets and servers are Node's.
 * Standard output is written synchronously to a second descriptor of it that doesn't block, so that a
 * reader who stops doesn't stop the PC. Datagram sockets (dgram.js) have their numbers among the streams.
 */
import slipwayCrypto from 'node:crypto';
import slipwayFs from 'node:fs';
import slipwayNet from 'node:net';
import slipwayPath from 'node:path';

class SlipwayHost {
  static READ_AHEAD = 65536;
  static WRITE_AHEAD = 262144;
  static RETRY_MS = 4;
  static EARLY_MS = 0.25; // setTimeout counts whole milliseconds: wake up at most this early, and turn until it is time
  static BACKLOG = 16;
  static EVENT = { READABLE: 0, WRITABLE: 1, CONNECTED: 2, CLOSED: 3, OPENED: 4 }; // as in stream_wasm.c
  static MODE = { LISTEN: 1, LATER: 2 }; // bits, as in wasm.h
  static MESSAGES = {
    ECONNREFUSED: 'Connection refused', ENOENT: 'No such file or directory', EADDRINUSE: 'Address already in use',
    EACCES: 'Permission denied', EADDRNOTAVAIL: 'Cannot assign requested address',
    ENOTFOUND: 'Name or service not known', ETIMEDOUT: 'Connection timed out', EHOSTUNREACH: 'No route to host',
    ENETUNREACH: 'Network is unreachable', ENOTDIR: 'Not a directory', EROFS: 'Read-only file system',
    ELOOP: 'Too many levels of symbolic links', EMSGSIZE: 'Message too long', ENODEV: 'No such device',
    ECONNRESET: 'Connection reset by peer', EAI_AGAIN: 'Temporary failure in name resolution',
  };

  streams = [null];
  core = null; // the functions of the C side, from start()
  clock = performance; // once: the global of that name is a getter
  opening = 0; // sockets of the command line that aren't ready yet
  inTurn = false;
  woken = false;
  immediate = null;
  timer = null;

  // ---- Loop ----

  /** @param {{turn: function, exitStatus: function, signal: function, event: function, dgramEvent: function}} core */
  start(core) {
    this.core = core;
    for (const [name, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
      process.on(name, () => {
        core.signal(number);
        this.wake();
      });
    }
    this.wake();
  }

  wake() {
    this.woken = true;
    if (!this.core || this.opening || this.inTurn || this.immediate) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.immediate = setImmediate(() => this.turn());
  }

  turn() {
    this.immediate = this.timer = null;
    this.inTurn = true;
    this.woken = false;
    for (const s of this.streams) {
      if (s && this.isReadable(s)) this.emit(s, SlipwayHost.EVENT.READABLE);
    }
    const ms = this.core.turn();
    this.inTurn = false;
    if (ms < 0) {
      this.finish(this.core.exitStatus());
    } else if (ms < SlipwayHost.EARLY_MS || this.woken || this.streams.some((s) => s && this.isReadable(s))) {
      this.immediate = setImmediate(() => this.turn());
    } else {
      // The timer also keeps the process alive for a signal when nothing is due.
      this.timer = setTimeout(() => this.turn(), Math.min(Math.ceil(ms - SlipwayHost.EARLY_MS), 1e9));
    }
  }

  /** What is on its way to sockets still goes out; then the process ends. */
  finish(status) {
    let open = 1;
    const done = () => {
      if (--open === 0) process.exit(status);
    };
    for (const s of this.streams) {
      if (s?.kind === 'socket' && s.sink.writable) {
        open++;
        s.sink.end(done);
      }
      if (s?.unlink) this.unlink(s.unlink);
    }
    setTimeout(() => process.exit(status), 200);
    done();
  }

  emit(s, event, argument = 0) {
    if (!s.owner) return;
    if (s.kind === 'dgram') this.core.dgramEvent(s.owner, event);
    else this.core.event(s.owner, event, argument);
  }

  /** Reports an event outside of any call from C. */
  later(s, event) {
    setImmediate(() => {
      if (this.streams[s.number] !== s) return;
      this.emit(s, event);
      this.wake();
    });
  }

  // ---- Opening streams ----

  /** @returns {number} of the stream; throws an Error whose message is for the user */
  open(kind, spec, mode, owner) {
    const openers = { stdio: this.openStdio, tcp: this.openTcp, unix: this.openUnix };
    if (['pty', 'fd', 'abstract', 'abstract-padded'].includes(kind)) throw new Error('not available under Node');
    if (!openers[kind]) throw new Error('no such kind of stream here');
    const s = openers[kind].call(this, spec, mode);
    s.owner = owner;
    return s.number;
  }

  add(fields) {
    const s = { owner: 0, chunks: [], queued: 0, ended: false, endRead: false, want: false, name: '', ...fields };
    s.number = this.streams.indexOf(null, 1);
    if (s.number < 0) s.number = this.streams.length;
    this.streams[s.number] = s;
    return s;
  }

  openStdio(spec) {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = slipwayFs.constants;
    let fd = 1;
    if (!slipwayFs.fstatSync(1).isFile()) { // a file has one offset, which a second descriptor wouldn't share
      try {
        fd = slipwayFs.openSync('/proc/self/fd/1', O_WRONLY | O_NONBLOCK | O_NOCTTY);
      } catch {
        // A socket can't be opened again: it is written as it is.
      }
    }
    const s = this.add({ kind: 'stdio', source: process.stdin, fd, name: 'stdio' });
    if (process.stdin.isTTY) {
      s.keepSignals = !spec.includes('signal=off');
      process.stdin.setRawMode(true);
      process.on('SIGCONT', () => process.stdin.setRawMode(true));
    }
    this.attachSource(s);
    return s;
  }

  openTcp(spec, mode) {
    const listen = mode & SlipwayHost.MODE.LISTEN;
    const [address, ...flags] = spec.split(',');
    const match = /^(.*):(\d+)$/.exec(address);
    if (!match || match[2] > 65535) throw new Error('expected HOST:PORT');
    const where = { host: match[1].replace(/^\[(.*)\]$/, '$1'), port: Number(match[2]) };
    if (flags.includes('ipv4')) where.family = 4;
    if (flags.includes('ipv6')) where.family = 6;
    if (flags.includes('keep-alive')) where.keepAlive = true;
    if (!where.host && listen) {
      where.host = where.family === 6 || flags.includes('dual') ? '::' : '0.0.0.0';
      where.ipv6Only = where.family === 6;
    }
    if (!where.host) where.host = where.family === 6 ? '::1' : '127.0.0.1';
    const last = Number(flags.find((f) => f.startsWith('to='))?.slice(3) ?? 0);
    return this.openSocket(`tcp:${address}`, where, mode, last);
  }

  openUnix(path, mode) {
    const listen = mode & SlipwayHost.MODE.LISTEN;
    if (!path || path.length > 107) throw new Error('the path must have 1 to 107 characters');
    if (listen) this.removeStale(path);
    const s = this.openSocket(`unix:${path}`, { path }, mode);
    if (listen) s.unlink = path;
    s.name = path;
    return s;
  }

  /** @param {number} last - port to try when those from where.port on are in use */
  openSocket(name, where, mode, last = 0) {
    let s;
    if (mode & SlipwayHost.MODE.LISTEN) {
      const server = slipwayNet.createServer({ pauseOnConnect: true }, (socket) => {
        if (this.streams[s.number] !== s || s.callers.length >= SlipwayHost.BACKLOG) {
          socket.destroy();
          return;
        }
        s.callers.push(socket);
        this.accept(s);
      });
      s = this.add({ kind: 'listen', server, callers: [] });
      server.on('error', (e) => {
        if (e.code === 'EADDRINUSE' && where.port < last) {
          where.port++;
          server.listen(where);
        } else {
          this.startError(s, this.bindError(e, where.path));
        }
      });
      server.on('listening', () => {
        const { address, port } = server.address();
        if (port) s.name = `tcp:${address.includes(':') ? `[${address}]` : address}:${port}`;
        this.opened(s);
      });
      server.listen(where);
    } else {
      const socket = slipwayNet.connect(where);
      s = this.addSocket(socket);
      s.connecting = true;
      socket.on('connect', () => {
        s.connecting = false;
        this.opened(s);
      });
    }
    s.mode = mode;
    if (!(mode & SlipwayHost.MODE.LATER) || mode & SlipwayHost.MODE.LISTEN) this.holdStart(s);
    s.what = s.name = name;
    return s;
  }

  /** What was opened in the background is there, or what the command line named. */
  opened(s) {
    this.release(s);
    if (!(s.mode & SlipwayHost.MODE.LATER) || this.streams[s.number] !== s) return;
    this.emit(s, SlipwayHost.EVENT.OPENED);
    this.wake();
  }

  /** The first turn waits for @s, until release(). Later on nothing waits: the guest runs. */
  holdStart(s) {
    if (this.core) return;
    s.holding = true;
    this.opening++;
  }

  release(s) {
    if (!s.holding) return;
    s.holding = false;
    this.opening--;
    this.wake();
  }

  /** libuv calls a missing folder of a Unix socket EACCES: see for ourselves. */
  bindError(e, path) {
    if (e.code !== 'EACCES' || !path) return e;
    try {
      slipwayFs.accessSync(slipwayPath.dirname(path), slipwayFs.constants.W_OK | slipwayFs.constants.X_OK);
      return e;
    } catch (real) {
      return real;
    }
  }

  /** Hands over the next client that waits, if the listener wants one: Node itself has no backlog to leave them in. */
  accept(s) {
    if (this.streams[s.number] !== s || !s.want || !s.callers.length) return;
    const socket = s.callers.shift();
    this.emit(s, SlipwayHost.EVENT.CONNECTED, this.addSocket(socket).number);
    socket.resume();
    this.wake();
  }

  addSocket(socket) {
    const s = this.add({ kind: 'socket', source: socket, sink: socket });
    const { remoteAddress, remotePort } = socket; // of a client that came; Unix sockets have none
    if (remotePort) s.name = `${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
    this.attachSource(s);
    socket.setNoDelay(true);
    socket.on('error', (e) => {
      if (s.connecting) {
        s.connecting = false;
        this.startError(s, e);
        return;
      }
      s.ended = true;
      this.wake();
    });
    socket.on('drain', () => this.later(s, SlipwayHost.EVENT.WRITABLE));
    return s;
  }

  attachSource(s) {
    const end = () => {
      s.ended = true;
      this.wake();
    };
    s.source.on('end', end);
    s.source.on('close', end);
    s.source.on('data', (chunk) => {
      if (this.streams[s.number] !== s) return;
      if (s.keepSignals) chunk = this.takeSignals(chunk);
      s.chunks.push(chunk);
      s.queued += chunk.length;
      if (s.queued >= SlipwayHost.READ_AHEAD) s.source.pause();
      this.wake();
    });
  }

  /** A raw terminal doesn't make signals of keys any more: do it here, unless the guest is to have them. */
  takeSignals(chunk) {
    for (const [code, name] of [[0x03, 'SIGINT'], [0x1c, 'SIGQUIT'], [0x1a, 'SIGTSTP']]) {
      if (chunk.includes(code)) {
        process.kill(process.pid, name);
        chunk = chunk.filter((byte) => byte !== code);
      }
    }
    return chunk;
  }

  message(e) {
    return SlipwayHost.MESSAGES[e.code] ?? e.message;
  }

  /** Node connects and listens asynchronously: what fails shows up after the machine was built (and before its first
   * turn), and is an error of the command line all the same, unless it is done in the background; a server's always is. */
  startError(s, e) {
    if (this.streams[s.number] !== s) return;
    if (s.mode & SlipwayHost.MODE.LATER && !s.holding) {
      s.name = this.message(e);
      this.emit(s, SlipwayHost.EVENT.OPENED, 1);
      this.wake();
      return;
    }
    slipwayFs.writeSync(2, `slipway: ${s.what}: ${this.message(e)}\n`);
    process.exit(1);
  }

  unlink(path) {
    try {
      slipwayFs.unlinkSync(path);
    } catch {
      // Someone else removed it.
    }
  }

  /** A socket file that nobody listens on is left over from a process that died. */
  removeStale(path) {
    if (!slipwayFs.lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
    const LISTENING = '00010000';
    const listeners = slipwayFs.readFileSync('/proc/net/unix', 'latin1').split('\n').map((line) => line.split(/\s+/))
      .filter((words) => words[3] === LISTENING).map((words) => words[7]);
    if (!listeners.includes(path) && !listeners.includes(slipwayPath.resolve(path))) this.unlink(path);
  }

  // ---- What only a page has ----

  hasScreen = false;

  /** Files are the host's, all of them there. */
  need() {}

  prepare() {
    return true;
  }

  remoteOpen() {
    return null;
  }

  // ---- Using them; @heap is the wasm memory ----

  isReadable(s) {
    return s.want && (s.queued > 0 || (s.ended && !s.endRead));
  }

  /** > 0 bytes; 0 end; -1 not now. */
  read(number, heap, pointer, length) {
    const s = this.streams[number];
    if (!s.queued) {
      if (!s.ended) return -1;
      if (!s.endRead) {
        s.endRead = true;
        this.later(s, SlipwayHost.EVENT.CLOSED);
      }
      return 0;
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
    if (s.queued < SlipwayHost.READ_AHEAD / 2 && s.source.isPaused()) s.source.resume();
    return done;
  }

  /** Bytes taken; -1 not now, WRITABLE follows; -2 failed. */
  write(number, heap, pointer, length) {
    const s = this.streams[number];
    if (s.kind === 'socket') {
      if (s.connecting) return -1;
      if (!s.sink.writable) return -2;
      if (s.sink.writableLength >= SlipwayHost.WRITE_AHEAD) return -1;
      this.cork(s.sink);
      s.sink.write(heap.slice(pointer, pointer + length));
      return length;
    }
    if (s.kind !== 'stdio') return -2;
    let done = 0;
    try {
      while (done < length) done += slipwayFs.writeSync(s.fd, heap, pointer + done, length - done);
    } catch (e) {
      if (e.code !== 'EAGAIN') return -2;
      setTimeout(() => this.later(s, SlipwayHost.EVENT.WRITABLE), SlipwayHost.RETRY_MS);
    }
    return done || -1;
  }

  /** What is written to a socket from now to the end of this turn goes out in one system call. */
  cork(socket) {
    if (socket.writableCorked) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  }

  wantRead(number, want) {
    const s = this.streams[number];
    s.want = want;
    if (this.isReadable(s)) this.wake();
    if (want && s.callers?.length) setImmediate(() => this.accept(s));
  }

  close(number) {
    const s = this.streams[number];
    this.streams[number] = null;
    if (s.kind === 'dgram') s.close();
    if (s.kind === 'socket' && s.connecting) s.sink.destroy();
    else if (s.kind === 'socket') s.sink.end();
    if (s.kind === 'listen') {
      s.server.close();
      for (const socket of s.callers) socket.destroy();
    }
    if (s.unlink) this.unlink(s.unlink);
    if (s.kind === 'stdio') {
      s.source.pause();
      if (s.source.isTTY) s.source.setRawMode(false);
    }
  }

  random(heap, pointer, length) {
    slipwayCrypto.randomFillSync(heap, pointer, length);
  }
}

const slipwayHost = new SlipwayHost();
