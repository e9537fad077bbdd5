/** What the network view makes of frames and captures; no browser needed. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pictures, root } from './lib.mjs';

const { describe, matches } = await import(path.join(root, 'web/page/packets.js'));
const { dissect } = await import(path.join(root, 'web/page/dissect.js'));
const { PcapReader, pcapFile } = await import(path.join(root, 'web/lib/pcap.js'));
const { parseInfo } = await import(path.join(root, 'web/lib/network-info.js'));
const { joinCommandLine, splitCommandLine } = await import(path.join(root, 'web/lib/commandline.js'));

const bytes = (...parts) => Uint8Array.from(parts.flatMap((p) => (typeof p === 'string' ? (/^[0-9a-f ]+$/.test(p) ? p.replaceAll(' ', '').match(/../g).map((h) => parseInt(h, 16)) : [...p].map((c) => c.charCodeAt(0))) : [...p])));
const ETHERNET = '52 55 0a 00 02 02 52 54 00 12 34 56';
const word = (n) => [n >> 8, n & 255];

function ipv4(protocol, payload) {
  return bytes(ETHERNET, '08 00 45 00', word(20 + payload.length), '00 00 00 00 40', [protocol], '00 00 0a 00 02 0f 0a 00 02 02', payload);
}
const udp = (from, to, payload) => ipv4(17, bytes(word(from), word(to), word(8 + payload.length), '00 00', payload));
const tcp = (from, to, flags, payload) => ipv4(6, bytes(word(from), word(to), '00 00 00 07 00 00 00 09 50', [flags], 'ff ff 00 00 00 00', payload));

export function test_frames_are_described(t) {
  const dnsName = bytes([7], 'example', [3], 'com', '00');
  const dhcp = new Uint8Array(250);
  dhcp.set([1, 1, 6]);
  dhcp.set(bytes('52 54 00 12 34 56'), 28);
  dhcp.set(bytes('63 82 53 63 35 01 01 ff'), 236);
  const cases = [
    [bytes(ETHERNET, '08 06 00 01 08 00 06 04 00 01 52 54 00 12 34 56 0a 00 02 0f 00 00 00 00 00 00 0a 00 02 02'), 'ARP', 'who has 10.0.2.2? tell 10.0.2.15'],
    [ipv4(1, bytes('08 00 00 00 00 77 00 02')), 'ICMP', 'echo request id 119 seq 2'],
    [udp(40000, 53, bytes('00 01 01 00 00 01 00 00 00 00 00 00', dnsName, '00 1c 00 01')), 'DNS', 'query AAAA example.com'],
    [udp(53, 40000, bytes('00 01 81 83 00 01 00 00 00 00 00 00', dnsName, '00 01 00 01')), 'DNS', 'answer A example.com: no such name'],
    [udp(68, 67, dhcp), 'DHCP', 'discover for 52:54:00:12:34:56'],
    [udp(2000, 69, bytes('00 01', 'pxelinux.0', '00', 'octet', '00')), 'TFTP', 'read pxelinux.0'],
    [tcp(1234, 80, 0x18, bytes('GET /index.html HTTP/1.1\r\nHost: x')), 'HTTP', 'GET /index.html HTTP/1.1'],
    [tcp(1234, 8080, 0x02, bytes()), 'TCP', '1234 → 8080 [SYN] seq 7'],
    [tcp(22, 1234, 0x18, bytes('SSH-2.0-dropbear\r\n')), 'SSH', 'SSH-2.0-dropbear'],
    [bytes(ETHERNET, '86 dd 60 00 00 00 00 08 3a 40 fe c0', Array(13).fill(0), '0f fe c0', Array(13).fill(0), '02 80 00 00 00 00 01 00 03'), 'ICMPv6', 'echo request id 1 seq 3'],
    [bytes(ETHERNET, '88 cc'), 'Ethernet', 'type 0x88cc'],
    [bytes('52 54'), 'Ethernet', 'cut short'],
  ];
  for (const [frame, protocol, text] of cases) {
    const got = describe(frame);
    t.equal(`${got.protocol}: ${got.text}`, `${protocol}: ${text}`, 'a frame');
  }
  t.equal(describe(cases[9][0]).from, 'fec0::f', 'an IPv6 address');
}

/** Its protocols, and "name: value" of their fields with the bytes that they are. */
function taken(frame) {
  const layers = dissect(frame);
  const all = layers.flatMap(({ name, fields }) => fields.map((f) => `${name}/${f.name}: ${f.value} @${f.start}-${f.end}`));
  return [layers.map(({ name }) => name).join(' '), all.join('\n')];
}

export function test_frames_are_taken_apart(t) {
  const dnsName = bytes([7], 'example', [3], 'com', '00');
  const answer = udp(53, 40000, bytes('12 34 81 80 00 01 00 02 00 00 00 00', dnsName, '00 01 00 01', 'c0 0c 00 05 00 01 00 00 00 3c 00 06 03', 'www', 'c0 0c', 'c0 29 00 01 00 01 00 00 0e 10 00 04 c0 00 02 01'));
  const dhcp = new Uint8Array(236);
  dhcp.set(bytes('02 01 06 00 de ad be ef 00 00 80 00 00 00 00 00 0a 00 02 0f'));
  dhcp.set(bytes('52 54 00 12 34 56'), 28);
  const offer = udp(67, 68, bytes(dhcp, '63 82 53 63 35 01 02 01 04 ff ff ff 00 33 04 00 01 51 80 03 04 0a 00 02 02 43 05', 'x.pxe', 'ff'));
  const syn = ipv4(6, bytes('9c 40 00 50 00 00 00 07 00 00 00 00 60 02 fa f0 00 00 00 00 02 04 05 b4'));
  const page = tcp(80, 40000, 0x18, bytes('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello'));
  for (const [frame, protocols, ...fields] of [
    [answer, 'Ethernet IPv4 UDP DNS', 'IPv4/Time to live: 64 @22-23', 'IPv4/Destination: 10.0.2.2 @30-34', 'UDP/Source port: 53 @34-36', 'DNS/Transaction: 0x1234 @42-44', 'DNS/Question: A example.com @54-71',
      'DNS/Answer: CNAME example.com: www.example.com, for 60 s @71-89', 'DNS/Answer: A www.example.com: 192.0.2.1, for 3600 s @89-105'],
    [offer, 'Ethernet IPv4 UDP DHCP', 'DHCP/Your address: 10.0.2.15 @58-62', 'DHCP/Message: offer (2) @282-285', 'DHCP/Subnet mask: 255.255.255.0', 'DHCP/Lease time: 86400 s', 'DHCP/Boot file: x.pxe', 'answer by broadcast'],
    [syn, 'Ethernet IPv4 TCP', 'TCP/Header and flags: 24 bytes, SYN @46-48', 'TCP/Option: largest segment 1460 @54-58'],
    [page, 'Ethernet IPv4 TCP HTTP HTTP body', 'HTTP/First line: HTTP/1.1 200 OK @54-71', 'HTTP/Content-Type: text/plain', 'HTTP body/Bytes: 5: hello'],
    [ipv4(1, bytes('08 00 f7 ff 00 77 00 02')), 'Ethernet IPv4 ICMP', 'ICMP/Type: echo request (8) @34-35', 'ICMP/Sequence number: 2 @40-42'],
    [bytes(ETHERNET, '08 06 00 01 08 00 06 04 00 01 52 54 00 12 34 56 0a 00 02 0f 00 00 00 00 00 00 0a 00 02 02'), 'Ethernet ARP', 'ARP/Operation: request (1)', 'ARP/Target, protocol: 10.0.2.2 @38-42'],
    [bytes(ETHERNET, '86 dd 60 00 00 00 00 20 3a ff fe 80', Array(13).fill(0), '02 ff 02', Array(13).fill(0), '01 87 00 00 00 00 00 00 00 fe 80', Array(13).fill(0), '01 01 01 52 54 00 12 34 56'), 'Ethernet IPv6 ICMPv6',
      'IPv6/Source: fe80::2', 'ICMPv6/Type: neighbour solicitation (135)', 'ICMPv6/Target: fe80::1', 'ICMPv6/Source link-layer address: 52:54:00:12:34:56'],
    [udp(2000, 69, bytes('00 01', 'pxelinux.0', '00', 'octet', '00')), 'Ethernet IPv4 UDP TFTP', 'TFTP/Operation: read (1)', 'TFTP/Text: pxelinux.0'],
    [syn.subarray(0, 40), 'Ethernet IPv4 TCP', 'TCP/Cut short: '],
  ]) {
    const [names, text] = taken(frame);
    t.equal(names, protocols, 'the protocols');
    for (const field of fields) if (!text.includes(field)) t.equal(text, field, `${protocols}: a field`);
  }
}

export function test_frames_are_filtered(t) {
  const frame = describe(tcp(1234, 80, 0x18, bytes('GET /index.html HTTP/1.1\r\nHost: x')));
  for (const [filter, wanted] of Object.entries({
    '': true, get: true, 'http 10.0.2.15': true, '!dns': true, '!get': false, 'port:80': true, 'port:8': false, 'port:1234 !arp': true, 'host:10.0.2.2': true, 'host:10.0.2': false,
    'proto:http': true, 'proto:tcp': false, '!port:80': false, nothing: false,
  })) t.equal(matches(frame, filter), wanted, `filter '${filter}'`);
}

/** Frames are the guest's: whatever is in them and wherever they end, they are described. */
export function test_damaged_frames_are_described(t) {
  let seed = 1;
  const random = (n) => (seed = (seed * 16807) % 2147483647) % n;
  for (let i = 0; i < 20000; i++) {
    const frame = udp([53, 67, 69, 5][random(4)], [53, 68, 69, 6][random(4)], Uint8Array.from({ length: random(300) }, () => random(256)));
    if (random(2)) frame[23] = [6, 17, 1, 58][random(4)];
    if (random(4) === 0) frame.set(bytes('86 dd'), 12);
    for (let n = random(4); n > 0; n--) frame[14 + random(frame.length - 14)] = random(256);
    const got = describe(frame.subarray(0, random(frame.length + 1)));
    for (const { start, end, fields } of dissect(frame.subarray(0, random(frame.length + 1)))) {
      for (const field of [{ start, end, name: 'a layer', value: '' }, ...fields]) {
        if (!(field.start <= field.end && field.end <= frame.length) || /[^\x20-\x7e→…]/.test(field.value)) throw new Error(`frame ${i}: ${JSON.stringify(field)}`);
      }
    }
    if (typeof got.text !== 'string' || /[^\x20-\x7e→]/.test(got.text)) t.equal(got.text, 'printable text', `frame ${i}`);
  }
}

export async function test_captures_come_in_pieces_and_are_saved(t) {
  const frames = [{ time: 1.5, length: 60, data: new Uint8Array(60).fill(1) }, { time: 2.25, length: 2000, data: new Uint8Array(96).fill(2) }];
  const file = new Uint8Array(await pcapFile(frames).arrayBuffer());
  const reader = new PcapReader();
  const got = [];
  for (let at = 0; at < file.length; at += 7) got.push(...reader.feed(file.subarray(at, at + 7)));
  // As others read it.
  const saved = path.join(pictures, 'saved.pcap');
  fs.writeFileSync(saved, new Uint8Array(await pcapFile([{ time: 1700000000.25, length: 46, data: udp(68, 67, bytes('00 01 02 03')) }, { time: 1700000001.5, length: 42, data: ipv4(1, bytes('08 00 f7 86 00 77 00 02')) }]).arrayBuffer()));
  const lines = execFileSync('tcpdump', ['-nn', '-tt', '-r', saved], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  t.match(lines, /^1700000000\.250000 IP 10\.0\.2\.15\.68 > 10\.0\.2\.2\.67: .*\n1700000001\.500000 IP 10\.0\.2\.15 > 10\.0\.2\.2: ICMP echo request, id 119, seq 2, /, 'what tcpdump reads');
  t.equal(JSON.stringify(got.map(({ time, length, data }) => [time, length, data.length, data[0]])), '[[1.5,60,60,1],[2.25,2000,96,2]]', 'the frames');
}

export function test_info_network_is_understood(t) {
  const clients = parseInfo(`hub 0
 \\ p2: u: index=0,type=user,net=10.0.2.0,restrict=off
   link=up,frames=1,bytes=42,queued=0,waited=0,dropped=0
 \\ p0: e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56
   link=down,frames=2,bytes=84,queued=0,waited=0,dropped=3
virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:57
   link=up,frames=0,bytes=0,queued=0,waited=0,dropped=0
 \\ n1: index=0,type=user,net=10.0.2.0,restrict=off
   link=up,frames=0,bytes=0,queued=0,waited=0,dropped=0
`);
  t.equal(clients.map((c) => `${c.name}:${c.type}:${c.hub || c.peer}:${c.link}:${c.frames}:${c.dropped}`).join(' '),
    'u:user:hub 0:up:1:0 e1000.0:nic:hub 0:down:2:3 virtio-net-pci.0:nic:n1:up:0:0 n1:user:virtio-net-pci.0:up:0:0', 'the clients');
}

export function test_command_lines_are_split_and_joined(t) {
  const words = ['-append', 'console=ttyS0 quiet', '-name', "it's", '-x', 'a"b\\c', ''];
  t.equal(JSON.stringify(splitCommandLine(joinCommandLine(words))), JSON.stringify(words), 'words');
  t.equal(JSON.stringify(splitCommandLine('qemu-system-x86_64 -m  256 \n-append "a \\"b\\" c"')), '["-m","256","-append","a \\"b\\" c"]', 'words');
  let message = '';
  try {
    splitCommandLine("-name 'x");
  } catch (e) {
    message = e.message;
  }
  t.match(message, /ends inside/, 'an open quote');
}
