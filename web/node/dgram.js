/**
 * UDP sockets under Node for core/host/dgram_wasm.c. Put behind host.js; core/host/node.js connects it with the C side.
 *
 * Node can't stop reading a UDP socket: what comes while nobody wants it waits in a queue of READ_AHEAD bytes, and what
 * doesn't fit is lost, as in a kernel. Sending is asynchronous; more than WRITE_AHEAD bytes under way are refused until
 * some have gone.
 */
import slipwayDgram from 'node:dgram';
import slipwayDns from 'node:dns';

class SlipwayDatagrams {
  static READ_AHEAD = 1 << 20;
  static WRITE_AHEAD = 1 << 18;
  static EVENT = { READABLE: 0, WRITABLE: 1, FAILED: 2 }; // READABLE as in host.js, all as in dgram_wasm.c
  static IPV6_AT = 0; // offsets in struct host_address
  static IP_AT = 1;
  static PORT_AT = 18;

  /** @param {SlipwayHost} host */
  constructor(host) {
    this.host = host;
  }

  /** @returns {number}; throws an Error whose message is for the user */
  open(kind, local, remote, multicastInterface, owner) {
    if (kind !== 'udp') throw new Error('not available under Node');
    const to = remote && SlipwayDatagrams.parse(remote);
    const at = local ? SlipwayDatagrams.parse(local) : { host: '', port: 0 };
    const multicast = to && /^(22[4-9]|23\d)\.\d+\.\d+\.\d+$/.test(to.host);
    const ipv6 = (to?.host ?? at.host).includes(':');
    if (to && !to.host) to.host = ipv6 ? '::1' : '127.0.0.1';
    const socket = slipwayDgram.createSocket({ type: ipv6 ? 'udp6' : 'udp4', reuseAddr: true,
      recvBufferSize: SlipwayDatagrams.READ_AHEAD, lookup: SlipwayDatagrams.lookup });
    const s = this.host.add({ kind: 'dgram', owner, socket, to, sending: 0, full: false, datagrams: [], bytes: 0,
      local: local ?? '', remote: remote ?? '', close: () => socket.close() });
    const fail = (e) => {
      if (this.host.streams[s.number] !== s) return;
      s.error = this.host.message(e);
      this.host.emit(s, SlipwayDatagrams.EVENT.FAILED);
      this.host.wake();
    };
    let bound = false;
    socket.on('error', (e) => {
      if (!bound) fail(e);
    });
    socket.on('message', (data, from) => this.take(s, data, from));
    socket.bind({ address: multicast ? to.host : at.host || undefined, port: multicast ? to.port : at.port,
      exclusive: true }, () => {
      bound = true;
      const { address, port } = socket.address();
      s.local = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
      try {
        if (!multicast) return;
        socket.addMembership(to.host, multicastInterface || undefined);
        if (multicastInterface) socket.setMulticastInterface(multicastInterface);
        socket.setMulticastLoopback(true);
      } catch (e) {
        fail(new Error(`can't join multicast group ${to.host}${multicastInterface ? ` on ${multicastInterface}` : ''}: ${
          this.host.message(e)}`));
      }
    });
    return s.number;
  }

  static parse(text) {
    const match = /^(.*):(\d+)(,ipv[46])?$/.exec(text);
    if (!match || match[2] > 65535) throw new Error('expected HOST:PORT');
    return { host: match[1].replace(/^\[(.*)\]$/, '$1'), port: Number(match[2]) };
  }

  /** Node looks up the address of every datagram. */
  static lookup(host, options, callback) {
    const family = slipwayNet.isIP(host);
    if (family) callback(null, host, family);
    else slipwayDns.lookup(host, options, callback);
  }

  take(s, data, from) {
    if (s.bytes + data.length > SlipwayDatagrams.READ_AHEAD) return;
    s.datagrams.push({ data, from });
    s.bytes += data.length;
    s.queued++;
    this.host.wake();
  }

  /** Length; -1: nothing there. @address: of a struct host_address, or 0. */
  receive(number, heap, pointer, length, address) {
    const s = this.host.streams[number];
    const datagram = s.datagrams.shift();
    if (!datagram) return -1;
    s.queued--;
    s.bytes -= datagram.data.length;
    const part = datagram.data.subarray(0, length);
    heap.set(part, pointer);
    if (address) SlipwayDatagrams.putAddress(heap, address, datagram.from);
    return part.length;
  }

  /** 0; -1: not now, WRITABLE follows; -2: lost. */
  send(number, heap, pointer, length, address) {
    const s = this.host.streams[number];
    const to = address ? SlipwayDatagrams.getAddress(heap, address) : s.to;
    if (!to || s.error) return -2;
    if (s.sending >= SlipwayDatagrams.WRITE_AHEAD) {
      s.full = true;
      return -1;
    }
    s.sending += length;
    s.socket.send(heap.slice(pointer, pointer + length), to.port, to.host, () => {
      s.sending -= length;
      if (!s.full || s.sending >= SlipwayDatagrams.WRITE_AHEAD / 2) return;
      s.full = false;
      this.host.later(s, SlipwayDatagrams.EVENT.WRITABLE);
    });
    return 0;
  }

  static putAddress(heap, at, from) {
    const ipv6 = from.family === 'IPv6';
    heap[at + SlipwayDatagrams.IPV6_AT] = ipv6 ? 1 : 0;
    const ip = ipv6 ? SlipwayDatagrams.ipv6Bytes(from.address) : from.address.split('.').map(Number);
    heap.set(ip, at + SlipwayDatagrams.IP_AT);
    heap[at + SlipwayDatagrams.PORT_AT] = from.port & 255;
    heap[at + SlipwayDatagrams.PORT_AT + 1] = from.port >> 8;
  }

  static getAddress(heap, at) {
    const port = heap[at + SlipwayDatagrams.PORT_AT] | heap[at + SlipwayDatagrams.PORT_AT + 1] << 8;
    const ip = heap.subarray(at + SlipwayDatagrams.IP_AT, at + SlipwayDatagrams.IP_AT + 16);
    if (!heap[at + SlipwayDatagrams.IPV6_AT]) return { host: ip.subarray(0, 4).join('.'), port };
    const groups = [];
    for (let i = 0; i < 16; i += 2) groups.push((ip[i] << 8 | ip[i + 1]).toString(16));
    return { host: groups.join(':'), port };
  }

  static ipv6Bytes(text) {
    const halves = text.split('%')[0].split('::').map((half) => half.split(':').filter(Boolean).flatMap((group) => {
      if (group.includes('.')) return group.split('.').map(Number);
      const value = parseInt(group, 16);
      return [value >> 8, value & 255];
    }));
    const [head, tail = []] = halves;
    return [...head, ...new Array(16 - head.length - tail.length).fill(0), ...tail];
  }
}

const slipwayDatagrams = new SlipwayDatagrams(slipwayHost);
