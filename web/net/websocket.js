/**
 * WebSockets of the wasm platform, in a browser and under Node: core/host/websocket.js connects them with the C side
 * (websocket_wasm.c). Put before Emscripten's code as it is.
 *
 * A WebSocket is a number here. Its events go to C as they come, which is between two turns of the machine. Nothing is
 * kept: what a message brings is C's to bound (the relay's credit does).
 */
const SLIPWAY_WEBSOCKET = { OPENED: 0, BINARY: 1, TEXT: 2, CLOSED: 3 }; // as in websocket_wasm.c

class SlipwayWebSockets {
  sockets = [null];
  core = null; // event(owner, event, length, code); put(owner, bytes)

  /** @returns {URL} what @url means: of the page it may be a path, and http: is as good as ws: */
  static address(url) {
    const page = (typeof slipwayHost !== 'undefined' && slipwayHost.base) || globalThis.location?.href;
    let address;
    try {
      address = new URL(url, page);
    } catch {
      throw new Error(`'${url}' is no address of a WebSocket (ws://HOST:PORT or wss://HOST)`);
    }
    address.protocol = address.protocol.replace(/^http/, 'ws');
    if (!/^wss?:$/.test(address.protocol)) throw new Error(`'${url}' is no address of a WebSocket (ws://HOST:PORT or wss://HOST)`);
    address.hash = '';
    return address;
  }

  /** @returns {number}; throws an Error whose message is for the user */
  open(url, protocol, messageMax, owner) {
    const Socket = typeof WebSocket === 'undefined' ? SlipwayNodeWebSocket : WebSocket;
    const address = SlipwayWebSockets.address(url);
    if (address.protocol === 'ws:' && globalThis.location?.protocol === 'https:' &&
        !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(address.hostname)) {
      throw new Error(`a page that came by https can't use ${address.origin}: the relay needs wss:`);
    }
    const socket = new Socket(address.href, protocol ? [protocol] : []);
    socket.binaryType = 'arraybuffer';
    const s = { socket, owner };
    let number = this.sockets.indexOf(null, 1);
    if (number < 0) number = this.sockets.length;
    this.sockets[number] = s;
    const emit = (event, bytes, code = 0) => {
      if (this.sockets[number] !== s) return;
      if (bytes.length <= messageMax && this.core.put(owner, bytes)) {
        if (event === SLIPWAY_WEBSOCKET.CLOSED) this.sockets[number] = null;
        this.core.event(owner, event, bytes.length, code);
      } else {
        socket.close(3009); // the private number of "message too big"
      }
    };
    const text = (string) => new TextEncoder().encode(string);
    socket.onopen = () => emit(SLIPWAY_WEBSOCKET.OPENED, text(''));
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') emit(SLIPWAY_WEBSOCKET.TEXT, text(data));
      else emit(SLIPWAY_WEBSOCKET.BINARY, ArrayBuffer.isView(data) ? data : new Uint8Array(data));
    };
    socket.onclose = ({ code, reason }) => emit(SLIPWAY_WEBSOCKET.CLOSED, text(reason), code);
    return number;
  }

  send(number, heap, pointer, length) {
    const { socket } = this.sockets[number];
    const OPEN = 1;
    if (socket.readyState === OPEN) socket.send(heap.slice(pointer, pointer + length));
  }

  backlog(number) {
    return this.sockets[number].socket.bufferedAmount;
  }

  close(number, code) {
    const { socket } = this.sockets[number];
    this.sockets[number] = null;
    socket.close(code);
  }
}

const slipwayWebSockets = new SlipwayWebSockets();
