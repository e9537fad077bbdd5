"""Ethernet frames made and read by hand: ARP, IPv4 and IPv6, ICMP, UDP, TCP, DHCP, TFTP, DNS."""
import socket
import struct

MAC = bytes.fromhex("525400123456")
GUEST, HOST, DNS = "10.0.2.15", "10.0.2.2", "10.0.2.3"
HOST_MAC = bytes.fromhex("52550a000202")
GUEST6, HOST6, DNS6 = "fec0::5054:ff:fe12:3456", "fec0::2", "fec0::3"
HOST6_MAC = bytes.fromhex("525600000002")
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(a):
    return socket.inet_aton(a)


def ip6(a):
    return socket.inet_pton(socket.AF_INET6, a)


def ether(kind, data, dst=HOST_MAC, src=MAC):
    return dst + src + struct.pack(">H", kind) + data


def arp(target, op=1, sender=GUEST, mac=MAC, target_mac=bytes(6)):
    return ether(0x806, struct.pack(">HHBBH", 1, 0x800, 6, 4, op) + mac + ip4(sender) + target_mac + ip4(target),
                 b"\xff" * 6, mac)


def ipv4(protocol, data, dst, src=GUEST, ttl=64, ident=1, frag=0, options=b"", mac=MAC, to=HOST_MAC, version=4,
         length=None, sum_error=0):
    size = 20 + len(options)
    head = struct.pack(">BBHHHBBH", version << 4 | size // 4, 0, size + len(data) if length is None else length, ident,
                       frag, ttl, protocol, 0) + ip4(src) + ip4(dst) + options
    return ether(0x800, head[:10] + struct.pack(">H", checksum(head) ^ sum_error) + head[12:] + data, to, mac)


def ipv6(protocol, data, dst, src=GUEST6, hops=255, to=HOST6_MAC, mac=MAC):
    return ether(0x86dd, struct.pack(">IHBB", 6 << 28, len(data), protocol, hops) + ip6(src) + ip6(dst) + data, to, mac)


def pseudo(protocol, data, dst, src):
    if ":" in dst:
        return ip6(src) + ip6(dst) + struct.pack(">II", len(data), protocol)
    return ip4(src) + ip4(dst) + struct.pack(">BBH", 0, protocol, len(data))


def carried(protocol, data, at, dst, src, **ip):
    """A segment with its checksum put at @at, in an IP packet."""
    total = checksum(pseudo(protocol, data, dst, src) + data)
    if protocol == 17 and not total:
        total = 0xffff
    data = data[:at] + struct.pack(">H", total) + data[at + 2:]
    return (ipv6 if ":" in dst else ipv4)(protocol, data, dst, src=src, **ip)


def udp(sport, dport, data, dst, src=None, length=None, **ip):
    src = src or (GUEST6 if ":" in dst else GUEST)
    head = struct.pack(">HHHH", sport, dport, 8 + len(data) if length is None else length, 0)
    return carried(17, head + data, 6, dst, src, **ip)


def tcp(sport, dport, flags, seq, ack, data=b"", dst=HOST, src=None, window=65535, options=b"", urgent=0, **ip):
    src = src or (GUEST6 if ":" in dst else GUEST)
    head = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, (20 + len(options)) // 4 << 4,
                       flags, window, 0, urgent)
    return carried(6, head + options + data, 16, dst, src, **ip)


def icmp(kind, code, rest, dst=HOST, **ip):
    data = struct.pack(">BBH", kind, code, 0) + rest
    return ipv4(1, data[:2] + struct.pack(">H", checksum(data)) + data[4:], dst, **ip)


def ping(dst=HOST, ident=7, seq=1, data=b"abcdefgh", **ip):
    return icmp(8, 0, struct.pack(">HH", ident, seq) + data, dst, **ip)


def icmp6(kind, code, rest, dst, src=GUEST6, **ip):
    return carried(58, struct.pack(">BBH", kind, code, 0) + rest, 2, dst, src, **ip)


def dhcp(kind, options=b"", mac=MAC, xid=0x12345678, ciaddr="0.0.0.0", magic=bytes.fromhex("63825363"), flags=0x8000):
    """kind None: plain BOOTP."""
    data = struct.pack(">BBBBIHH4s12s16s192s", 1, 1, 6, 0, xid, 0, flags, ip4(ciaddr), b"", mac, b"") + magic
    if kind is not None:
        data += bytes([53, 1, kind]) + options + b"\xff"
    return udp(68, 67, data, "255.255.255.255", "0.0.0.0", to=b"\xff" * 6, mac=mac)


def tftp(op, *words, port=2000, dst=HOST):
    return udp(port, 69, struct.pack(">H", op) + b"".join(w.encode() + b"\0" if isinstance(w, str) else w for w in words),
               dst)


def tftp_ack(block, port=2000, dst=HOST):
    return tftp(4, struct.pack(">H", block), port=port, dst=dst)


class Packet:
    """What a frame is, as far as the tests look: version, protocol, src, dst, payload; TCP and UDP's fields."""

    def __init__(self, frame):
        self.frame = frame
        self.kind = struct.unpack(">H", frame[12:14])[0]
        self.protocol = self.flags = None
        self.data = b""
        if self.kind == 0x800:
            size = (frame[14] & 15) * 4
            self.at = 14 + size
            self.end = 14 + struct.unpack(">H", frame[16:18])[0]
            self.protocol = frame[23]
            self.fragment = struct.unpack(">H", frame[20:22])[0] & 0x3fff
            self.src, self.dst = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
        elif self.kind == 0x86dd:
            self.at = 54
            self.end = 54 + struct.unpack(">H", frame[18:20])[0]
            self.protocol = frame[20]
            self.fragment = 0
            self.src = socket.inet_ntop(socket.AF_INET6, frame[22:38])
            self.dst = socket.inet_ntop(socket.AF_INET6, frame[38:54])
        if self.protocol is None:
            return
        body = frame[self.at:self.end]
        self.body = body
        if self.protocol == 6 and len(body) >= 20:
            self.sport, self.dport, self.seq, self.ack = struct.unpack(">HHII", body[:12])
            self.flags = body[13]
            self.data = body[(body[12] >> 4) * 4:]
        elif self.protocol == 17 and len(body) >= 8:
            self.sport, self.dport = struct.unpack(">HH", body[:4])
            self.data = body[8:]
