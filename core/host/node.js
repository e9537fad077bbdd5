/**
 * The wasm platform under Node (an Emscripten JavaScript library): the event loop, byte streams, randomness.
 *
 * Loop: turn() delivers what came for the streams, runs one slice of the machine and asks for the next turn: with
 * setImmediate while the guest is busy (Node polls its sockets between two of them), with setTimeout while it
 * sleeps, cut short by wake(). A PC that sleeps costs nothing in between.
 *
 * Streams: {kind, owner, source, sink, chunks, queued, ended, want, ...}. Input is read ahead up to READ_AHEAD bytes, then
 * the source is paused. Sockets and servers are Node's. Standard output is written synchronously to a second
 * descriptor of it that doesn't block, so that a reader who stops doesn't stop the PC.
 */
const SlipwayHost = {
  $slipway__deps: ['$UTF8ToString', '$stringToUTF8'],
  $slipway: {
    READABLE: 0, WRITABLE: 1, CONNECTED: 2, CLOSED: 3, // as in stream_wasm.c
    READ_AHEAD: 65536,
    WRITE_AHEAD: 262144,
    RETRY_MS: 4,

    streams: [null],
    started: false,
    inTurn: false,
    woken: false,
    immediate: null,
    timer: null,

    // ---- Loop ----

    start() {
      slipway.started = true;
      for (const [name, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
        process.on(name, () => { _slipway_signal(number); slipway.wake(); });
      }
      slipway.wake();
    },

    wake() {
      slipway.woken = true;
      if (!slipway.started || slipway.inTurn || slipway.immediate) return;
      if (slipway.timer) clearTimeout(slipway.timer);
      slipway.timer = null;
      slipway.immediate = setImmediate(slipway.turn);
    },

    turn() {
      slipway.immediate = slipway.timer = null;
      slipway.inTurn = true;
      slipway.woken = false;
      for (const s of slipway.streams) {
        if (s && slipway.isReadable(s)) slipway.emit(s, slipway.READABLE);
      }
      const ms = _slipway_turn();
      slipway.inTurn = false;
      if (ms < 0) {
        slipway.finish(_slipway_exit_status());
      } else if (ms < 0.5 || slipway.woken || slipway.streams.some((s) => s && slipway.isReadable(s))) {
        slipway.immediate = setImmediate(slipway.turn);
      } else {
        // With nothing due the process stays for its streams' sake, or for a signal.
        slipway.timer = setTimeout(slipway.turn, Math.min(ms, 1e9));
      }
    },

    // What is on its way to sockets still goes out; then the process ends.
    finish(status) {
      process.exitCode = status;
      let open = 1;
      const done = () => { if (--open === 0) process.exit(status); };
      for (const s of slipway.streams) {
        if (s && s.kind === 'socket' && s.sink.writable) { open++; s.sink.end(done); }
        if (s && s.unlink) slipway.unlink(s.unlink);
      }
      setTimeout(() => process.exit(status), 200).unref();
      done();
    },

    emit(s, event, argument = 0) {
      if (s.owner) _slipway_stream_event(s.owner, event, argument);
    },

    // ---- Streams ----

    isReadable(s) {
      return s.want && !s.closed && (s.queued > 0 || (s.ended && !s.endRead));
    },

    add(fields) {
      const s = Object.assign({ owner: 0, chunks: [], queued: 0, ended: false, endRead: false, want: false,
        closed: false, error: '', name: '' }, fields);
      let number = slipway.streams.indexOf(null, 1);
      if (number < 0) number = slipway.streams.length;
      slipway.streams[number] = s;
      s.number = number;
      return s;
    },

    attachSource(s) {
      s.source.on('data', (chunk) => {
        if (s.closed) return;
        if (s.keepSignals) chunk = slipway.takeSignals(chunk);
        if (!chunk.length) return;
        s.chunks.push(chunk);
        s.queued += chunk.length;
        if (s.queued >= slipway.READ_AHEAD) s.source.pause();
        slipway.wake();
      });
      const end = () => {
        s.ended = true;
        slipway.wake();
      };
      s.source.on('end', end);
      s.source.on('close', end);
    },

    // A raw terminal doesn't make signals of keys any more: do it here, unless the guest is to have them.
    takeSignals(chunk) {
      for (const [code, name] of [[3, 'SIGINT'], [0x1c, 'SIGQUIT'], [0x1a, 'SIGTSTP']]) {
        if (chunk.includes(code)) {
          process.kill(process.pid, name);
          chunk = chunk.filter((byte) => byte !== code);
        }
      }
      return chunk;
    },

    addSocket(socket) {
      const s = slipway.add({ kind: 'socket', source: socket, sink: socket });
      slipway.attachSource(s);
      socket.setNoDelay?.(true);
      socket.on('error', (e) => {
        if (socket.connecting || s.connecting) slipway.startError(s, e);
        s.ended = true;
        slipway.wake();
      });
      socket.on('drain', () => slipway.later(s, slipway.WRITABLE));
      return s;
    },

    // Reports an event outside of any call from C.
    later(s, event, argument) {
      setImmediate(() => {
        if (slipway.streams[s.number] !== s) return;
        slipway.emit(s, event, argument);
        slipway.wake();
      });
    },

    message(e) {
      const known = { ECONNREFUSED: 'Connection refused', ENOENT: 'No such file or directory',
        EADDRINUSE: 'Address already in use', EACCES: 'Permission denied',
        EADDRNOTAVAIL: 'Cannot assign requested address', ENOTFOUND: 'Name or service not known',
        ETIMEDOUT: 'Connection timed out', EHOSTUNREACH: 'No route to host',
        ENETUNREACH: 'Network is unreachable' };
      return known[e.code] || e.message;
    },

    // Node connects and listens asynchronously: what fails shows up after the machine was built, and is an
    // error of the command line all the same.
    startError(s, e) {
      require('fs').writeSync(2, `slipway: ${s.what}: ${slipway.message(e)}\n`);
      process.exit(1);
    },

    unlink(path) {
      try { require('fs').unlinkSync(path); } catch (e) { /* someone else removed it */ }
    },

    // A socket file that nobody listens on is left over from a process that died.
    removeStale(path) {
      const fs = require('fs');
      try {
        if (!fs.lstatSync(path).isSocket()) return;
        const full = require('path').resolve(path);
        const listeners = fs.readFileSync('/proc/net/unix', 'latin1').split('\n')
          .filter((line) => line.split(/\s+/)[3] === '00010000').map((line) => line.split(/\s+/)[7]);
        if (!listeners.includes(path) && !listeners.includes(full)) fs.unlinkSync(path);
      } catch (e) { /* nothing there */ }
    },

    address(spec) {
      const colon = spec.lastIndexOf(':');
      const port = Number(spec.slice(colon + 1));
      if (colon < 0 || !/^\d+$/.test(spec.slice(colon + 1)) || port > 65535) throw new Error('expected HOST:PORT');
      return { host: spec.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port };
    },

    openers: {
      stdio(spec) {
        const fs = require('fs');
        let fd = 1;
        try {
          fd = fs.openSync('/proc/self/fd/1', fs.constants.O_WRONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY
            | fs.constants.O_APPEND);
        } catch (e) { /* a socket: it is written as it is */ }
        if (fs.fstatSync(1).isFile()) { // its own offset is the one to write at
          if (fd !== 1) fs.closeSync(fd);
          fd = 1;
        }
        const s = slipway.add({ kind: 'stdio', source: process.stdin, fd, name: 'stdio' });
        if (process.stdin.isTTY) {
          s.keepSignals = !spec.includes('signal=off');
          process.stdin.setRawMode(true);
          process.on('SIGCONT', () => process.stdin.setRawMode(true));
        }
        slipway.attachSource(s);
        return s;
      },

      tcp(spec, listen) {
        return slipway.openSocket(`tcp:${spec}`, slipway.address(spec), listen);
      },

      unix(path, listen) {
        if (!path || path.length > 107) throw new Error('the path must have 1 to 107 characters');
        if (listen) slipway.removeStale(path);
        const s = slipway.openSocket(`unix:${path}`, { path }, listen);
        if (listen) s.unlink = path;
        s.name = path;
        return s;
      },

      pty() {
        throw new Error('not available under Node');
      },
    },

    openSocket(what, where, listen) {
      const net = require('net');
      let s;
      if (listen) {
        const server = net.createServer((socket) => {
          if (slipway.streams[s.number] === s) slipway.emit(s, slipway.CONNECTED, slipway.addSocket(socket).number);
          else socket.destroy();
          slipway.wake();
        });
        s = slipway.add({ kind: 'listen', server });
        if (where.host === '') delete where.host;
        server.on('error', (e) => slipway.startError(s, e));
        server.listen(where);
      } else {
        if (where.host === '') where.host = '127.0.0.1';
        const socket = net.connect(where);
        s = slipway.addSocket(socket);
        s.connecting = true;
        socket.on('connect', () => { s.connecting = false; });
      }
      s.what = s.name = what;
      return s;
    },

    read(s, pointer, length) {
      if (!s.queued) {
        if (!s.ended) return -1;
        if (!s.endRead) {
          s.endRead = true;
          slipway.later(s, slipway.CLOSED);
        }
        return 0;
      }
      let done = 0;
      while (done < length && s.chunks.length) {
        const part = s.chunks[0].subarray(0, length - done);
        HEAPU8.set(part, pointer + done);
        done += part.length;
        if (part.length === s.chunks[0].length) s.chunks.shift();
        else s.chunks[0] = s.chunks[0].subarray(part.length);
      }
      s.queued -= done;
      if (s.queued < slipway.READ_AHEAD / 2 && s.source.isPaused()) s.source.resume();
      return done;
    },

    write(s, pointer, length) {
      if (s.kind === 'socket') {
        if (!s.sink.writable) return -2;
        if (s.sink.writableLength >= slipway.WRITE_AHEAD) return -1; // 'drain' follows
        s.sink.write(Buffer.from(HEAPU8.slice(pointer, pointer + length)));
        return length;
      }
      if (s.kind !== 'stdio') return -2;
      let done = 0;
      try {
        while (done < length) done += require('fs').writeSync(s.fd, HEAPU8, pointer + done, length - done);
      } catch (e) {
        if (e.code !== 'EAGAIN') return done || -2;
        setTimeout(() => slipway.later(s, slipway.WRITABLE), slipway.RETRY_MS);
      }
      return done || -1;
    },
  },

  slipway_js_start__deps: ['$slipway'],
  slipway_js_start() { slipway.start(); },
  slipway_js_wake__deps: ['$slipway'],
  slipway_js_wake() { slipway.wake(); },

  slipway_js_random(pointer, length) {
    const { randomFillSync } = require('crypto');
    randomFillSync(HEAPU8, pointer, length);
  },

  slipway_js_open__deps: ['$slipway'],
  slipway_js_open(kind, spec, listen, owner, error, errorLength) {
    try {
      const open = slipway.openers[UTF8ToString(kind)];
      if (!open) throw new Error('no such kind of stream here');
      const s = open(UTF8ToString(spec), !!listen);
      s.owner = owner;
      return s.number;
    } catch (e) {
      stringToUTF8(slipway.message(e), error, errorLength);
      return 0;
    }
  },

  slipway_js_set_owner__deps: ['$slipway'],
  slipway_js_set_owner(number, owner) { slipway.streams[number].owner = owner; },

  slipway_js_read__deps: ['$slipway'],
  slipway_js_read(number, pointer, length) { return slipway.read(slipway.streams[number], pointer, length); },

  slipway_js_write__deps: ['$slipway'],
  slipway_js_write(number, pointer, length) { return slipway.write(slipway.streams[number], pointer, length); },

  slipway_js_want_read__deps: ['$slipway'],
  slipway_js_want_read(number, want) {
    const s = slipway.streams[number];
    s.want = !!want;
    if (want && slipway.isReadable(s)) slipway.wake();
  },

  slipway_js_name__deps: ['$slipway'],
  slipway_js_name(number, pointer, length) { stringToUTF8(slipway.streams[number].name, pointer, length); },

  slipway_js_close__deps: ['$slipway'],
  slipway_js_close(number) {
    const s = slipway.streams[number];
    slipway.streams[number] = null;
    s.closed = true;
    if (s.kind === 'socket') s.sink.end();
    if (s.kind === 'listen') s.server.close();
    if (s.unlink) slipway.unlink(s.unlink);
    if (s.kind === 'stdio') {
      s.source.pause();
      if (s.source.isTTY) s.source.setRawMode(false);
    }
  },
};

mergeInto(LibraryManager.library, SlipwayHost);
