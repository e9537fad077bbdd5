/**
 * Sockets of the user-mode network in a browser, for net/user/sockets_wasm.c: there are none. Every connection fails with
 * "network unreachable", datagrams go nowhere, no port can be listened on; DHCP, TFTP and ping of the router need no sockets.
 */
const ENETUNREACH = -8; // as in web/node/sockets.js, ERRORS
const EADDRNOTAVAIL = -10;
const EAGAIN = -2;

class NoSockets {
  ready = null;
  sockets = [null];

  open(family) {
    let number = this.sockets.indexOf(null, 1);
    if (number < 0) number = this.sockets.length;
    this.sockets[number] = { family, ttl: 64 };
    return number;
  }
  connect() { return ENETUNREACH; }
  bind() { return 0; }
  listen() { return EADDRNOTAVAIL; }
  accept() { return EAGAIN; }
  shutdown() { return 0; }
  send() { return ENETUNREACH; }
  receive() { return EAGAIN; }
  sendTo() { return ENETUNREACH; }
  receiveFrom() { return EAGAIN; }
  name(number, peer) {
    return peer ? null : { address: this.sockets[number].family === 6 ? '::' : '0.0.0.0', port: 0 };
  }
  takeError() { return 0; }
  available() { return 0; }
  want() {}
  poll() { return 0; }
  close(number) { this.sockets[number] = null; }
  nameServer() { return null; }
}

export const slipwaySockets = new NoSockets();
