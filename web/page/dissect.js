/**
 * A frame taken apart: dissect() gives its protocols, outermost first, with their fields and where in the frame each of them is.
 * (The one line of the list is packets.js's.) Frames are the guest's and the network's: each access is checked by DataView, and what
 * is cut short ends with what there is.
 *
 * Ethernet: IEEE 802.3; ARP: RFC 826; IPv4: 791; IPv6: 8200; ICMP: 792, 4443, 4861; UDP: 768; TCP: 9293; DHCP: 2131, 2132;
 * DNS: 1035; TFTP: 1350, 2347; HTTP: 9112.
 *
 * @typedef {{name: string, value: string, start: number, end: number}} Field
 * @typedef {{name: string, start: number, end: number, fields: Field[]}} Layer
 */
const MOST_RECORDS = 64;

const hex = (n, digits) => `0x${n.toString(16).padStart(digits, '0')}`;
const printable = (bytes) => [...bytes].map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.')).join('');
const named = (names, n, digits = 0) => `${names[n] ?? 'unknown'} (${digits ? hex(n, digits) : n})`;

/** Reads a layer's fields from the frame, one after the other or at an offset. */
class Reader {
  constructor(view, layers, start) {
    Object.assign(this, { view, layers, at: start });
  }

  layer(name) {
    this.current = { name, start: this.at, end: this.at, fields: [] };
    this.layers.push(this.current);
    return this;
  }

  /** A field of @length bytes from here; @show(value) makes it text. */
  field(name, length, read, show = String) {
    const value = read(this.at);
    if (this.at + length > this.view.byteLength) throw new RangeError('cut short');
    this.note(name, show(value), this.at, this.at + length);
    this.at += length;
    return value;
  }

  note(name, value, start, end) {
    this.current.fields.push({ name, value, start, end });
    this.current.end = Math.max(this.current.end, end);
  }

  u8 = (name, show) => this.field(name, 1, (at) => this.view.getUint8(at), show);
  u16 = (name, show) => this.field(name, 2, (at) => this.view.getUint16(at), show);
  u32 = (name, show) => this.field(name, 4, (at) => this.view.getUint32(at), show);
  bytes = (name, length, show) => this.field(name, length, (at) => this.slice(at, length), show);
  mac = (name) => this.bytes(name, 6, (b) => [...b].map((n) => n.toString(16).padStart(2, '0')).join(':'));
  ip4 = (name) => this.bytes(name, 4, (b) => b.join('.'));
  ip6 = (name) => this.bytes(name, 16, ip6Text);

  slice(at, length) {
    if (length < 0 || at + length > this.view.byteLength) throw new RangeError('cut short');
    return new Uint8Array(this.view.buffer, this.view.byteOffset + at, length);
  }
}

function ip6Text(bytes) {
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16));
  const text = words.join(':');
  const zeros = [...text.matchAll(/\b0(:0)+\b/g)].sort((a, b) => b[0].length - a[0].length)[0];
  return zeros ? `${text.slice(0, zeros.index).replace(/:$/, '')}::${text.slice(zeros.index + zeros[0].length).replace(/^:/, '')}` : text;
}

// ---- Link and network ----

const ETHERTYPES = { 0x0800: 'IPv4', 0x0806: 'ARP', 0x86dd: 'IPv6', 0x8100: 'VLAN', 0x88cc: 'LLDP' };

function ethernet(r) {
  r.layer('Ethernet').mac('Destination');
  r.mac('Source');
  let type = r.u16('Type', (n) => (n < 1536 ? `length ${n}` : named(ETHERTYPES, n, 4)));
  if (type === 0x8100) {
    r.layer('VLAN').u16('Tag', (n) => `VLAN ${n & 0xfff}, priority ${n >> 13}`);
    type = r.u16('Type', (n) => named(ETHERTYPES, n, 4));
  }
  const next = { 0x0800: ipv4, 0x0806: arp, 0x86dd: ipv6 }[type];
  if (next) next(r);
  else data(r, r.view.byteLength);
}

function arp(r) {
  r.layer('ARP').u16('Hardware', (n) => (n === 1 ? 'Ethernet (1)' : String(n)));
  r.u16('Protocol', (n) => named(ETHERTYPES, n, 4));
  r.u8('Hardware address length');
  r.u8('Protocol address length');
  r.u16('Operation', (n) => named({ 1: 'request', 2: 'reply' }, n));
  r.mac('Sender, hardware');
  r.ip4('Sender, protocol');
  r.mac('Target, hardware');
  r.ip4('Target, protocol');
}

const PROTOCOLS = { 1: 'ICMP', 2: 'IGMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6' };
const TRANSPORT = { 1: icmp, 6: tcp, 17: udp, 58: icmp6 };

function ipv4(r) {
  const start = r.at;
  const first = r.layer('IPv4').u8('Version and header', (n) => `version ${n >> 4}, ${(n & 15) * 4} bytes`);
  r.u8('Service', (n) => `class ${n >> 2}, ECN ${n & 3}`);
  const total = r.u16('Length', (n) => `${n} bytes`);
  r.u16('Identification', (n) => hex(n, 4));
  const fragment = r.u16('Flags and offset', (n) => `${n & 0x4000 ? "don't fragment, " : ''}${n & 0x2000 ? 'more fragments, ' : ''}offset ${(n & 0x1fff) * 8}`);
  r.u8('Time to live');
  const protocol = r.u8('Protocol', (n) => named(PROTOCOLS, n));
  r.u16('Checksum', (n) => hex(n, 4));
  r.ip4('Source');
  r.ip4('Destination');
  const end = start + (first & 15) * 4;
  if (end > r.at) r.bytes('Options', end - r.at, (b) => `${b.length} bytes`);
  transport(r, fragment & 0x1fff ? 0 : protocol, start + total);
}

function ipv6(r) {
  const start = r.at;
  r.layer('IPv6').u32('Version, class, flow', (n) => `version ${n >>> 28}, class ${(n >> 20) & 255}, flow ${hex(n & 0xfffff, 5)}`);
  const length = r.u16('Payload length', (n) => `${n} bytes`);
  let next = r.u8('Next header', (n) => named(PROTOCOLS, n));
  r.u8('Hop limit');
  r.ip6('Source');
  r.ip6('Destination');
  for (let i = 0; i < 8 && [0, 43, 60].includes(next); i++) {
    const at = r.at;
    next = r.layer('IPv6 extension').u8('Next header', (n) => named(PROTOCOLS, n));
    const size = r.u8('Length', (n) => `${n * 8 + 8} bytes`);
    r.bytes('Options', at + size * 8 + 8 - r.at, (b) => `${b.length} bytes`);
  }
  transport(r, next, start + 40 + length);
}

function transport(r, protocol, end) {
  const most = Math.min(end, r.view.byteLength);
  (TRANSPORT[protocol] ?? data)(r, most);
}

/** What is left, undecoded. */
function data(r, end, name = 'Data') {
  if (end <= r.at) return;
  r.layer(name).bytes('Bytes', end - r.at, (b) => `${b.length}: ${printable(b.subarray(0, 64))}${b.length > 64 ? '…' : ''}`);
}

// ---- Control messages ----

const ICMP = { 0: 'echo reply', 3: 'destination unreachable', 5: 'redirect', 8: 'echo request', 11: 'time exceeded' };
const UNREACHABLE = { 0: 'network', 1: 'host', 2: 'protocol', 3: 'port', 4: 'fragmentation needed', 13: 'prohibited' };
const ICMP6 = {
  1: 'destination unreachable', 2: 'packet too big', 3: 'time exceeded', 128: 'echo request', 129: 'echo reply', 133: 'router solicitation',
  134: 'router advertisement', 135: 'neighbour solicitation', 136: 'neighbour advertisement', 143: 'multicast listener report',
};
const ND_OPTIONS = { 1: 'Source link-layer address', 2: 'Target link-layer address', 3: 'Prefix', 5: 'MTU', 25: 'Name servers' };

function icmp(r, end) {
  const type = r.layer('ICMP').u8('Type', (n) => named(ICMP, n));
  r.u8('Code', (n) => (type === 3 ? named(UNREACHABLE, n) : String(n)));
  r.u16('Checksum', (n) => hex(n, 4));
  if (type === 0 || type === 8) {
    r.u16('Identifier');
    r.u16('Sequence number');
  } else {
    r.u32('More', (n) => hex(n, 8));
  }
  data(r, end, type === 3 || type === 11 ? 'The packet that it is about' : 'Data');
}

function icmp6(r, end) {
  const type = r.layer('ICMPv6').u8('Type', (n) => named(ICMP6, n));
  r.u8('Code');
  r.u16('Checksum', (n) => hex(n, 4));
  if (type === 128 || type === 129) {
    r.u16('Identifier');
    r.u16('Sequence number');
    return data(r, end);
  }
  if (type < 133 || type > 136) return data(r, end);
  if (type === 134) {
    r.u8('Hop limit');
    r.u8('Flags', (n) => `${n & 0x80 ? 'addresses by DHCPv6' : 'no DHCPv6'}${n & 0x40 ? ', other by DHCPv6' : ''}`);
    r.u16('Router lifetime', (n) => `${n} s`);
    r.u32('Reachable time', (n) => `${n} ms`);
    r.u32('Retransmission', (n) => `${n} ms`);
  } else {
    r.u32('Flags', (n) => hex(n, 8));
    if (type !== 133) r.ip6('Target');
  }
  for (let i = 0; i < MOST_RECORDS && r.at + 8 <= end; i++) {
    const [kind, size] = [r.view.getUint8(r.at), r.view.getUint8(r.at + 1) * 8];
    if (!size) return undefined;
    r.bytes(ND_OPTIONS[kind] ?? `Option ${kind}`, size, (b) => (kind < 3 ? [...b.subarray(2, 8)].map((n) => n.toString(16).padStart(2, '0')).join(':')
      : kind === 3 && size >= 32 ? `${ip6Text(b.subarray(16))}/${b[2]}` : kind === 25 && size >= 24 ? ip6Text(b.subarray(8)) : `${size} bytes`));
  }
  return undefined;
}

// ---- Transport ----

function udp(r, end) {
  const start = r.at;
  const ports = [r.layer('UDP').u16('Source port'), r.u16('Destination port')];
  const length = r.u16('Length', (n) => `${n} bytes`);
  r.u16('Checksum', (n) => hex(n, 4));
  application(r, ports, Math.min(end, start + length), { 53: dns, 67: dhcp, 68: dhcp, 69: tftp });
}

const FLAGS = [[1, 'FIN'], [2, 'SYN'], [4, 'RST'], [8, 'PSH'], [16, 'ACK'], [32, 'URG'], [64, 'ECE'], [128, 'CWR']];

function tcp(r, end) {
  const start = r.at;
  const ports = [r.layer('TCP').u16('Source port'), r.u16('Destination port')];
  r.u32('Sequence number');
  r.u32('Acknowledgement');
  const flags = r.u16('Header and flags', (n) => `${(n >> 12) * 4} bytes, ${FLAGS.filter(([bit]) => n & bit).map(([, name]) => name).join(' ')}`);
  r.u16('Window');
  r.u16('Checksum', (n) => hex(n, 4));
  r.u16('Urgent pointer');
  tcpOptions(r, start + (flags >> 12) * 4);
  r.at = start + (flags >> 12) * 4;
  const http = end > r.at && /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT) \S|^HTTP\/1\.[01] \d/.test(printable(r.slice(r.at, Math.min(24, end - r.at))));
  application(r, ports, end, http ? { [ports[0]]: httpMessage } : {});
}

function tcpOptions(r, end) {
  while (r.at < end) {
    const kind = r.view.getUint8(r.at);
    if (kind < 2) {
      r.bytes(kind ? 'Option: filler' : 'Option: end', 1, () => '');
      continue;
    }
    const size = r.view.getUint8(r.at + 1);
    if (size < 2 || r.at + size > end) return;
    const at = r.at;
    const value = { 2: () => `largest segment ${r.view.getUint16(at + 2)}`, 3: () => `window scale ${r.view.getUint8(at + 2)}`, 4: () => 'selective acknowledgements', 5: () => 'acknowledged selectively',
      8: () => `timestamp ${r.view.getUint32(at + 2)}, echo ${r.view.getUint32(at + 6)}` }[kind];
    r.bytes('Option', size, () => value?.() ?? `kind ${kind}, ${size} bytes`);
  }
}

function application(r, ports, end, known) {
  const decode = known[ports[0]] ?? known[ports[1]];
  if (decode && end > r.at) decode(r, end);
  else data(r, end);
}

// ---- Applications ----

function httpMessage(r, end) {
  const text = new TextDecoder('latin1').decode(r.slice(r.at, end - r.at));
  const head = text.includes('\r\n\r\n') ? text.slice(0, text.indexOf('\r\n\r\n') + 4) : text;
  r.layer('HTTP');
  head.split(/(?<=\r\n)/).forEach((line, i) => {
    const [, name, value] = (i ? /^([^:\s]+): *(.*?)\r?\n?$/ : /^()(.*?)\r?\n?$/).exec(line) ?? [];
    if (value !== undefined && line.trim()) r.note(name || 'First line', value.replace(/[^\x20-\x7e]/g, '.'), r.at, r.at + line.length);
    r.at += line.length;
  });
  data(r, end, 'HTTP body');
}

const DHCP_TYPES = { 1: 'discover', 2: 'offer', 3: 'request', 4: 'decline', 5: 'ack', 6: 'nak', 7: 'release', 8: 'inform' };
const DHCP_OPTIONS = {
  1: 'Subnet mask', 3: 'Router', 6: 'Name servers', 12: 'Host name', 15: 'Domain', 28: 'Broadcast address', 43: 'Vendor', 50: 'Address asked for', 51: 'Lease time',
  53: 'Message', 54: 'Server', 55: 'Options asked for', 57: 'Largest message', 58: 'Renewal time', 59: 'Rebinding time', 60: 'Vendor class', 61: 'Client', 66: 'TFTP server', 67: 'Boot file', 77: 'User class', 93: 'Architecture', 175: 'iPXE',
};
const ADDRESSES = new Set([1, 3, 6, 28, 50, 54]);
const SECONDS = new Set([51, 58, 59]);
const TEXT = new Set([12, 15, 60, 66, 67, 77]);

function dhcpValue(option, b) {
  if (option === 53) return named(DHCP_TYPES, b[0]);
  if (ADDRESSES.has(option)) return Array.from({ length: b.length >> 2 }, (_, i) => b.subarray(4 * i, 4 * i + 4).join('.')).join(', ');
  if (SECONDS.has(option) && b.length === 4) return `${((b[0] << 24) | (b[1] << 16) | (b[2] << 8) | b[3]) >>> 0} s`;
  return TEXT.has(option) ? printable(b) : [...b.subarray(0, 24)].map((n) => n.toString(16).padStart(2, '0')).join(' ');
}

function dhcp(r, end) {
  r.layer('DHCP').u8('Operation', (n) => named({ 1: 'request', 2: 'reply' }, n));
  r.bytes('Hardware', 3, (b) => `type ${b[0]}, address of ${b[1]} bytes, ${b[2]} hops`);
  r.u32('Transaction', (n) => hex(n, 8));
  r.u16('Seconds');
  r.u16('Flags', (n) => (n & 0x8000 ? 'answer by broadcast' : 'answer by unicast'));
  for (const name of ['Client address', 'Your address', 'Server address', 'Gateway address']) r.ip4(name);
  r.mac('Client hardware address');
  r.at += 10;
  r.bytes('Server name', 64, (b) => printable(b).replace(/\.+$/, ''));
  r.bytes('Boot file', 128, (b) => printable(b).replace(/\.+$/, ''));
  r.u32('Magic cookie', (n) => hex(n, 8));
  while (r.at + 2 <= end && r.view.getUint8(r.at) !== 255) {
    const option = r.view.getUint8(r.at);
    if (!option) {
      r.at++;
      continue;
    }
    r.bytes(DHCP_OPTIONS[option] ?? `Option ${option}`, 2 + r.view.getUint8(r.at + 1), (b) => dhcpValue(option, b.subarray(2)));
  }
}

const DNS_TYPES = { 1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 41: 'OPT', 65: 'HTTPS' };
const DNS_ERRORS = { 0: 'no error', 1: 'format error', 2: 'server failure', 3: 'no such name', 4: 'not implemented', 5: 'refused' };

/** A name at @at, which may end in a pointer to an earlier one. @returns {[string, number]} and where it ends */
function dnsName(r, start, at) {
  const labels = [];
  let end = 0;
  for (let i = 0; i < 128; i++) {
    const length = r.view.getUint8(at);
    if (length >= 192) {
      end ||= at + 2;
      at = start + (r.view.getUint16(at) & 0x3fff);
    } else if (length) {
      labels.push(printable(r.slice(at + 1, length)));
      at += length + 1;
    } else {
      return [labels.join('.') || '.', end || at + 1];
    }
  }
  throw new RangeError('a name without end');
}

function dns(r, end) {
  const start = r.at;
  r.layer('DNS').u16('Transaction', (n) => hex(n, 4));
  r.u16('Flags', (n) => `${n & 0x8000 ? 'answer' : 'query'}${n & 0x400 ? ', authoritative' : ''}${n & 0x200 ? ', truncated' : ''}${n & 0x100 ? ', recursion wanted' : ''}${n & 0x8000 ? `, ${named(DNS_ERRORS, n & 15)}` : ''}`);
  const counts = ['Questions', 'Answers', 'Authorities', 'Additional'].map((name) => r.u16(name));
  for (let i = 0; i < Math.min(counts[0], MOST_RECORDS); i++) {
    const [name, after] = dnsName(r, start, r.at);
    const type = r.view.getUint16(after);
    r.note('Question', `${DNS_TYPES[type] ?? `type ${type}`} ${name}`, r.at, after + 4);
    r.at = after + 4;
  }
  const what = ['Answer', 'Authority', 'Additional'].flatMap((name, i) => Array(Math.min(counts[i + 1], MOST_RECORDS)).fill(name));
  for (const kind of what) {
    if (r.at >= end) return;
    const [name, after] = dnsName(r, start, r.at);
    const [type, size] = [r.view.getUint16(after), r.view.getUint16(after + 8)];
    const value = r.slice(after + 10, size);
    const text = type === 1 && size === 4 ? value.join('.') : type === 28 && size === 16 ? ip6Text(value)
      : [2, 5, 12].includes(type) ? dnsName(r, start, after + 10)[0] : type === 16 ? printable(value.subarray(1)) : `${size} bytes`;
    r.note(kind, `${DNS_TYPES[type] ?? `type ${type}`} ${name}: ${text}${type === 41 ? '' : `, for ${r.view.getUint32(after + 4)} s`}`, r.at, after + 10 + size);
    r.at = after + 10 + size;
  }
}

function tftp(r, end) {
  const code = r.layer('TFTP').u16('Operation', (n) => named({ 1: 'read', 2: 'write', 3: 'data', 4: 'acknowledgement', 5: 'error', 6: 'options' }, n));
  if (code >= 3 && code <= 5) r.u16(code === 5 ? 'Error' : 'Block');
  if (code === 3) return data(r, end);
  while (r.at < end) {
    const rest = r.slice(r.at, end - r.at);
    const length = rest.indexOf(0) < 0 ? rest.length : rest.indexOf(0) + 1;
    r.bytes('Text', length, (b) => printable(b).replace(/\.$/, ''));
  }
  return undefined;
}

/** @param {Uint8Array} bytes - a frame. @returns {Layer[]} */
export function dissect(bytes) {
  const layers = [];
  const r = new Reader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), layers, 0);
  try {
    ethernet(r);
  } catch (e) {
    if (!(e instanceof RangeError)) throw e;
    (layers.at(-1) ?? r.layer('Ethernet').current).fields.push({ name: 'Cut short', value: 'the frame ends before its headers do', start: bytes.length, end: bytes.length });
  }
  return layers;
}
