/**
 * A WebSocket client (RFC 6455) for Node before version 22, which has none: the part of the browsers' class that
 * web/net/websocket.js uses. Put before Emscripten's code as it is.
 *
 * The handshake is Node's http or https with an upgrade; from then on frames are taken apart and made here. Fragments are
 * put together, pings answered. No extensions. What breaks the protocol ends the connection with code 1002.
 */
import slipwayHttp from 'node:http';
import slipwayHttps from 'node:https';
import slipwayHash from 'node:crypto';

class SlipwayNodeWebSocket {
  static OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };
  static MOST = 1 << 26; // bytes of a message
  static CLOSE_MS = 2000; // patience for the other end's close

  readyState = 0;
  onopen = () => {};
  onmessage = () => {};
  onclose = () => {};
  #socket = null;
  #request;
  #input = Buffer.alloc(0);
  #parts = [];
  #kind = 0; // opcode of the message whose fragments are in parts
  #closed = false;
  #sentClose = false;
  #received = { code: 1006, reason: '' };

  constructor(url, protocols) {
    const address = new URL(url);
    const key = slipwayHash.randomBytes(16).toString('base64');
    const secure = address.protocol === 'wss:';
    address.protocol = secure ? 'https:' : 'http:';
    this.#request = (secure ? slipwayHttps : slipwayHttp).request(address, {
      agent: false,
      headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': key,
        ...(protocols.length ? { 'Sec-WebSocket-Protocol': protocols.join(', ') } : {}) },
    });
    this.#request.on('error', (e) => this.#end(1006, SlipwayHost.MESSAGES[e.code] ?? e.message));
    this.#request.on('response', (response) => {
      response.destroy();
      this.#end(1006, `the server answers ${response.statusCode} ${response.statusMessage}`);
    });
    this.#request.on('upgrade', (response, socket, head) => {
      const accept = slipwayHash.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      const protocol = response.headers['sec-websocket-protocol'];
      if (response.headers['sec-websocket-accept'] !== accept || (protocol && !protocols.includes(protocol))) {
        socket.destroy();
        this.#end(1006, 'the server\'s WebSocket handshake is wrong');
        return;
      }
      this.#upgraded(socket, head);
    });
    this.#request.end();
  }

  get bufferedAmount() {
    return this.#socket?.writableLength ?? 0;
  }

  #upgraded(socket, head) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.on('data', (data) => this.#take(data));
    socket.on('error', () => {});
    socket.on('close', () => this.#end(this.#received.code, this.#received.reason));
    if (this.readyState !== 0) { // closed meanwhile
      socket.destroy();
      return;
    }
    this.readyState = 1;
    this.onopen();
    if (head.length) this.#take(head);
  }

  /** Once. */
  #end(code, reason) {
    if (this.#closed) return;
    this.#closed = true;
    this.readyState = 3;
    this.#request.destroy();
    this.#socket?.destroy();
    this.onclose({ code, reason });
  }

  send(data) {
    this.#frame(SlipwayNodeWebSocket.OPCODE.BINARY, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  close(code = 1000) {
    if (this.readyState === 0) {
      this.readyState = 2;
      this.#request.destroy();
      this.#end(1006, '');
    } else if (this.readyState === 1) {
      this.#sendClose(code);
    }
  }

  #sendClose(code) {
    this.readyState = 2;
    if (this.#sentClose) return;
    this.#sentClose = true;
    this.#frame(SlipwayNodeWebSocket.OPCODE.CLOSE, Buffer.from([code >> 8, code & 255]));
    setTimeout(() => this.#socket.destroy(), SlipwayNodeWebSocket.CLOSE_MS).unref();
  }

  /** Sends a frame, whole and masked; @payload is changed. */
  #frame(opcode, payload) {
    const { length } = payload;
    const extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const header = Buffer.alloc(2 + extra + 4);
    header[0] = 0x80 | opcode;
    header[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
    if (extra === 2) header.writeUInt16BE(length, 2);
    if (extra === 8) header.writeBigUInt64BE(BigInt(length), 2);
    const mask = slipwayHash.randomBytes(4);
    mask.copy(header, 2 + extra);
    SlipwayNodeWebSocket.#mask(payload, mask);
    this.#socket.cork();
    this.#socket.write(header);
    this.#socket.write(payload);
    this.#socket.uncork();
  }

  /** XORs in words where that works: a megabyte byte by byte takes milliseconds. */
  static #mask(payload, mask) {
    const lead = Math.min(payload.length, (4 - payload.byteOffset % 4) % 4);
    let at = 0;
    for (; at < lead; at++) payload[at] ^= mask[at & 3];
    const words = new Uint32Array(payload.buffer, payload.byteOffset + at, (payload.length - at) >> 2);
    const turned = Buffer.from([mask[at & 3], mask[at + 1 & 3], mask[at + 2 & 3], mask[at + 3 & 3]]);
    const word = new Uint32Array(Uint8Array.from(turned).buffer)[0];
    for (let i = 0; i < words.length; i++) words[i] ^= word;
    for (at += words.length * 4; at < payload.length; at++) payload[at] ^= mask[at & 3];
  }

  #wrong() {
    this.#received = { code: 1002, reason: 'the server breaks the WebSocket protocol' };
    this.#sendClose(1002);
    this.#socket.destroy();
  }

  #take(data) {
    this.#input = this.#input.length ? Buffer.concat([this.#input, data]) : data;
    while (!this.#closed && this.readyState < 3) {
      const input = this.#input;
      if (input.length < 2) return;
      const opcode = input[0] & 15;
      const control = opcode >= 8;
      let length = input[1] & 127;
      const at = length === 126 ? 4 : length === 127 ? 10 : 2;
      if (input.length < at) return;
      if (at === 4) length = input.readUInt16BE(2);
      if (at === 10) length = Number(input.readBigUInt64BE(2));
      const total = length + this.#parts.reduce((sum, part) => sum + part.length, 0);
      if (input[0] & 0x70 || input[1] & 0x80 || total > SlipwayNodeWebSocket.MOST ||
          (control && (length > 125 || !(input[0] & 0x80)))) {
        this.#wrong();
        return;
      }
      if (input.length < at + length) return;
      this.#input = input.subarray(at + length);
      const payload = input.subarray(at, at + length);
      if (control) this.#control(opcode, payload);
      else this.#fragment(opcode, (input[0] & 0x80) !== 0, payload);
    }
  }

  #control(opcode, payload) {
    const { CLOSE, PING, PONG } = SlipwayNodeWebSocket.OPCODE;
    if (opcode === PING) {
      if (this.readyState === 1) this.#frame(PONG, Buffer.from(payload));
    } else if (opcode === CLOSE) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#received = { code, reason: payload.subarray(2).toString() };
      this.#sendClose(code === 1005 ? 1000 : code);
      this.#socket.end();
    } else if (opcode !== PONG) {
      this.#wrong();
    }
  }

  #fragment(opcode, last, payload) {
    const { CONTINUATION, TEXT, BINARY } = SlipwayNodeWebSocket.OPCODE;
    const first = opcode !== CONTINUATION;
    if ((first && opcode !== TEXT && opcode !== BINARY) || first === (this.#kind !== 0)) {
      this.#wrong();
      return;
    }
    if (first) this.#kind = opcode;
    this.#parts.push(payload);
    if (!last) return;
    const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
    const text = this.#kind === TEXT;
    this.#parts = [];
    this.#kind = 0;
    if (this.readyState === 1) this.onmessage({ data: text ? whole.toString() : whole });
  }
}
