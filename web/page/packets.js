/**
 * What is in a frame, as one line like tcpdump's. Frames are the guest's and the network's: all lengths are checked, and a
 * frame that is cut short shows what there is.
 */

const hex = (n, digits) => n.toString(16).padStart(digits, '0');
const mac = (v, at) => Array.from({ length: 6 }, (_, i) => hex(v.getUint8(at + i), 2)).join(':');
const ip4 = (v, at) => [0, 1, 2, 3].map((i) => v.getUint8(at + i)).join('.');

function ip6(v, at) {
  const words = Array.from({ length: 8 }, (_, i) => v.getUint16(at + 2 * i).toString(16));
  const zeros = [...words.join(':').matchAll(/\b0(:0)+\b/g)].sort((a, b) => b[0].length - a[0].length)[0];
  if (!zeros) return words.join(':');
  const text = words.join(':');
  return `${text.slice(0, zeros.index).replace(/:$/, '')}::${text.slice(zeros.index + zeros[0].length).replace(/^:/, '')}`;
}

const part = (v, at, length = v.byteLength - at) => new DataView(v.buffer, v.byteOffset + at, Math.max(0, Math.min(length, v.byteLength - at)));

/** The first line of text protocols, printable. */
function firstLine(v) {
  const bytes = new Uint8Array(v.buffer, v.byteOffset, Math.min(v.byteLength, 120));
  return new TextDecoder('latin1').decode(bytes).split(/[\r\n]/)[0].replace(/[^\x20-\x7e]/g, '.');
}

const DNS_TYPES = { 1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 65: 'HTTPS' };

function dns(v) {
  const flags = v.getUint16(2);
  const [questions, answers] = [v.getUint16(4), v.getUint16(6)];
  const labels = [];
  let at = 12;
  while (questions && v.getUint8(at) && v.getUint8(at) < 64 && labels.length < 32) {
    const length = v.getUint8(at);
    labels.push(firstLine(part(v, at + 1, length)));
    at += length + 1;
  }
  const type = questions ? v.getUint16(at + 1) : 0;
  const question = `${DNS_TYPES[type] ?? `type ${type}`} ${labels.join('.') || '.'}`;
  const failed = { 1: 'format error', 2: 'server failure', 3: 'no such name', 5: 'refused' }[flags & 15];
  if (!(flags & 0x8000)) return `query ${question}`;
  return `answer ${question}: ${failed ?? `${answers} record${answers === 1 ? '' : 's'}`}`;
}

const DHCP_TYPES = [, 'discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release', 'inform'];

function dhcp(v) {
  let type = 'BOOTP';
  for (let at = 240; at + 2 < v.byteLength && v.getUint8(at) !== 255; at += v.getUint8(at) ? 2 + v.getUint8(at + 1) : 1) {
    if (v.getUint8(at) === 53) type = DHCP_TYPES[v.getUint8(at + 2)] ?? 'unknown';
  }
  const given = ip4(v, 16);
  return `${type}${given === '0.0.0.0' ? '' : ` ${given}`} for ${mac(v, 28)}`;
}

function tftp(v) {
  const [code, block] = [v.getUint16(0), v.getUint16(2)];
  const name = () => new TextDecoder('latin1').decode(part(v, 2)).split('\0')[0];
  if (code === 1 || code === 2) return `${code === 1 ? 'read' : 'write'} ${name().replace(/[^\x20-\x7e]/g, '.')}`;
  return { 3: `data ${block}`, 4: `ack ${block}`, 5: 'error', 6: 'options' }[code] ?? `opcode ${code}`;
}

function udp(v) {
  const [from, to] = [v.getUint16(0), v.getUint16(2)];
  const data = part(v, 8);
  const either = (port) => from === port || to === port;
  const ports = `${from} → ${to}`;
  if (either(53) && data.byteLength >= 12) return ['DNS', dns(data)];
  if (either(67) && either(68) && data.byteLength >= 240) return ['DHCP', dhcp(data)];
  if (either(69) && data.byteLength >= 4) return ['TFTP', tftp(data)];
  if (either(123)) return ['NTP', ports];
  return ['UDP', `${ports}, ${data.byteLength} bytes`];
}

const HTTP = /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT) \S|^HTTP\/1\.[01] \d/;

function tcp(v, length) {
  const [from, to, flags] = [v.getUint16(0), v.getUint16(2), v.getUint8(13)];
  const offset = (v.getUint8(12) >> 4) * 4;
  const data = part(v, offset);
  const size = Math.max(0, length - offset);
  const names = [[2, 'SYN'], [1, 'FIN'], [4, 'RST'], [8, 'PSH'], [16, 'ACK']].filter(([bit]) => flags & bit).map(([, name]) => name).join(' ');
  const line = size ? firstLine(data) : '';
  if (HTTP.test(line)) return ['HTTP', line];
  if (data.byteLength > 5 && data.getUint8(0) === 22 && data.getUint8(1) === 3) return ['TLS', `${from} → ${to} handshake`];
  if (line.startsWith('SSH-')) return ['SSH', line];
  return ['TCP', `${from} → ${to} [${names}] seq ${v.getUint32(4)}${flags & 16 ? ` ack ${v.getUint32(8)}` : ''}${size ? `, ${size} bytes` : ''}`];
}

const ICMP_TYPES = { 0: 'echo reply', 3: 'unreachable', 5: 'redirect', 8: 'echo request', 11: 'time exceeded' };
const ICMP6_TYPES = {
  1: 'unreachable', 2: 'packet too big', 3: 'time exceeded', 128: 'echo request', 129: 'echo reply', 133: 'router solicitation',
  134: 'router advertisement', 135: 'neighbour solicitation', 136: 'neighbour advertisement', 143: 'multicast report',
};

function icmp(v, types) {
  const type = v.getUint8(0);
  const echo = /echo/.test(types[type] ?? '');
  return `${types[type] ?? `type ${type}`}${echo ? ` id ${v.getUint16(4)} seq ${v.getUint16(6)}` : ''}`;
}

function transport(protocol, v, length) {
  if (protocol === 6) return tcp(v, length);
  if (protocol === 17) return udp(v);
  if (protocol === 1) return ['ICMP', icmp(v, ICMP_TYPES)];
  if (protocol === 58) return ['ICMPv6', icmp(v, ICMP6_TYPES)];
  if (protocol === 2) return ['IGMP', ''];
  return ['IP', `protocol ${protocol}`];
}

/** Of TCP and UDP: both ports. */
const portsOf = (protocol, v) => ([6, 17].includes(protocol) ? [v.getUint16(0), v.getUint16(2)] : []);

function ipv4(v) {
  const header = (v.getUint8(0) & 15) * 4;
  const length = v.getUint16(2) - header;
  const addresses = { from: ip4(v, 12), to: ip4(v, 16) };
  const fragment = v.getUint16(6) & 0x1fff;
  if (fragment) return { ...addresses, protocol: 'IPv4', text: `fragment at ${fragment * 8}` };
  const [protocol, text] = transport(v.getUint8(9), part(v, header, length), length);
  return { ...addresses, protocol, text, ports: portsOf(v.getUint8(9), part(v, header, length)) };
}

function ipv6(v) {
  let next = v.getUint8(6);
  let at = 40;
  while ([0, 43, 60].includes(next) && at < 200) { // options that stand before the payload
    [next, at] = [v.getUint8(at), at + 8 + v.getUint8(at + 1) * 8];
  }
  const length = v.getUint16(4) - (at - 40);
  const [protocol, text] = transport(next, part(v, at, length), length);
  return { from: ip6(v, 8), to: ip6(v, 24), protocol, text, ports: portsOf(next, part(v, at, length)) };
}

function arp(v) {
  const request = v.getUint16(6) === 1;
  const [sender, target] = [ip4(v, 14), ip4(v, 24)];
  return {
    from: mac(v, 8), to: request ? 'broadcast' : mac(v, 18), protocol: 'ARP',
    text: request ? `who has ${target}? tell ${sender}` : `${sender} is at ${mac(v, 8)}`,
  };
}

/** @returns {{from: string, to: string, protocol: string, text: string, ports?: number[]}} */
export function describe(data) {
  const v = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const plain = { from: '', to: '', protocol: 'Ethernet', text: 'cut short' };
  try {
    Object.assign(plain, { from: mac(v, 6), to: mac(v, 0) });
    let type = v.getUint16(12);
    let at = 14;
    if (type === 0x8100) {
      type = v.getUint16(16);
      at = 18;
    }
    if (type === 0x0800) return ipv4(part(v, at));
    if (type === 0x86dd) return ipv6(part(v, at));
    if (type === 0x0806) return arp(part(v, at));
    return { ...plain, text: `type 0x${hex(type, 4)}` };
  } catch (e) {
    if (!(e instanceof RangeError)) throw e;
    return plain; // it ends before its headers do
  }
}

/**
 * Does the frame have all that @filter asks for? Words are looked for in what describe() says of it; "host:", "port:" and "proto:" in
 * that field only, as a whole; with "!" before it, a word must not be there.
 */
export function matches(frame, filter) {
  const text = `${frame.from} ${frame.to} ${frame.protocol} ${frame.text}`.toLowerCase();
  return filter.toLowerCase().split(/\s+/).filter((word) => word && word !== '!').every((term) => {
    const word = term.replace(/^!/, '');
    const [, field, value] = /^(host|port|proto):(.+)$/.exec(word) ?? [];
    const found = field === 'host' ? [frame.from, frame.to].includes(value)
      : field === 'port' ? (frame.ports ?? []).includes(Number(value))
        : field === 'proto' ? frame.protocol.toLowerCase() === value : text.includes(word);
    return found !== term.startsWith('!');
  });
}
