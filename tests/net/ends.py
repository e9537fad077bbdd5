"""Ends of netdevs in Python, frames to send through them, and emulators without a guest.

An emulator here only has netdevs, joined by hubs: ours with its CPU stopped (-S), QEMU's with -M none. So a frame sent
at a Python end goes through our netdevs to QEMU's user mode stack, and its answer comes back.
"""
import os
import re
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from pc import PC, ROOT, Failure, Skip, same, scratch  # noqa: F401 (for the tests)

SECONDS = 20  # patience, on a loaded machine
MAC = bytes.fromhex("525400aabbcc")
BROADCAST = b"\xff" * 6
FRAME_MAX = 69632


def emulator(kind, *netdevs, hubs=True, **named):
    """A PC without a guest. Each of @netdevs is "TYPE,id=ID,..."; with @hubs all are plugged into hub 0."""
    options = ["-M", "none"] if kind == "qemu" else ["-nodefaults", "-S", "-nic", "none"]
    for text in netdevs:
        options += ["-netdev", text]
        if hubs:
            name = text.split("id=")[1].split(",")[0]
            options += ["-netdev", f"hubport,id=hub-{name},hubid=0,netdev={name}"]
    return PC(kind, *options, serial=None, **named)


def info(pc, name):
    """What info network says behind the netdev's "index=0,type=TYPE,"."""
    match = re.search(rf"(?:^|[ :]){name}: index=\d+,type=\w+,(.*)$", pc.monitor("info network"), re.M)
    if not match:
        raise Failure(f"info network doesn't show {name}")
    return match[1]


def counter(pc, name, which):
    """A number of the line below it (ours only)."""
    match = re.search(rf"(?:^|[ :]){name}: index=.*\n.*\b{which}=(\d+)", pc.monitor("info network"), re.M)
    if not match:
        raise Failure(f"info network doesn't show {name} with {which}")
    return int(match[1])


def wait_for(what, test, seconds=SECONDS):
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- Ends ----

class StreamEnd:
    """Frames with a length before each, over a connected stream socket."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(SECONDS)
        self.buffer = b""

    @classmethod
    def connect(cls, address):
        """To a server that may not be there yet. @address: a port of 127.0.0.1 or a path."""
        def attempt():
            s = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            try:
                s.connect(address if isinstance(address, str) else ("127.0.0.1", address))
                return s
            except (ConnectionRefusedError, FileNotFoundError):
                s.close()
        return cls(wait_for(f"connection to {address}", attempt))

    def send(self, frame):
        self.socket.sendall(struct.pack("!I", len(frame)) + frame)

    def _take(self, n, end):
        while len(self.buffer) < n:
            ready, _, _ = select.select([self.socket], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError
            self.buffer += data
        part, self.buffer = self.buffer[:n], self.buffer[n:]
        return part

    def receive(self, seconds=SECONDS):
        """A frame, or None if there comes none; EOFError if the other end is closed."""
        end = time.monotonic() + seconds
        header = self._take(4, end)
        return header and self._take(struct.unpack("!I", header)[0], time.monotonic() + SECONDS)

    def close(self):
        self.socket.close()


class DatagramEnd:
    """A bare frame a datagram."""

    def __init__(self, s, to):
        self.socket = s
        self.to = to

    @classmethod
    def udp(cls, port, to):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", port))
        return cls(s, ("127.0.0.1", to))

    @classmethod
    def unix(cls, path, to):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(path)
        return cls(s, to)

    @classmethod
    def multicast(cls, group, port):
        """On the loopback interface. Doesn't hear itself."""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((group, port))
        request = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        return cls(s, (group, port))

    def send(self, frame):
        self.socket.sendto(frame, self.to)

    def receive(self, seconds=SECONDS):
        ready, _, _ = select.select([self.socket], [], [], seconds)
        return self.socket.recv(1 << 17) if ready else None

    def close(self):
        self.socket.close()


# ---- Frames ----

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(to, kind, payload, source=MAC):
    return to + source + struct.pack("!H", kind) + payload


def ipv4(source, to, protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
                         socket.inet_aton(source), socket.inet_aton(to))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def with_checksum(source, to, protocol, payload, at):
    """The UDP or TCP @payload with its checksum, at offset @at, filled in."""
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!HH", protocol, len(payload))
    return payload[:at] + struct.pack("!H", checksum(pseudo + payload) or 0xFFFF) + payload[at + 2:]


def checksum_good(source, to, protocol, payload):
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!HH", protocol, len(payload))
    return checksum(pseudo + payload) == 0


def dhcp(kind, mac=MAC, options=b""):
    """A broadcast DHCP message; @kind 1: discover, 3: request."""
    bootp = struct.pack("!BBBBIHH16x16s192x", 1, 1, 6, 0, 0x12345678, 0, 0x8000, mac)
    bootp += b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + options + b"\xff"
    bootp = bootp.ljust(300, b"\0")
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    return ethernet(BROADCAST, 0x0800, ipv4("0.0.0.0", "255.255.255.255", 17, udp), mac)


def dhcp_answer(frame):
    """(message type, offered address, options) of a DHCP reply, or None for another frame."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[34:38] != b"\0\x43\0\x44":
        return None
    options, at = {}, 42 + 240
    while at < len(frame) and frame[at] != 255:
        if frame[at]:
            options[frame[at]] = frame[at + 2:at + 2 + frame[at + 1]]
            at += 1 + frame[at + 1]
        at += 1
    return options[53][0], socket.inet_ntoa(frame[42 + 16:42 + 20]), options


def arp(operation, source, to, target=b"\0" * 6, mac=MAC):
    return ethernet(target if any(target) else BROADCAST, 0x0806, struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) +
                    mac + socket.inet_aton(source) + target + socket.inet_aton(to) + b"\0" * 18, mac)


def ask(end, frame, accept, tries=10):
    """Sends the frame until a frame comes for which accept() gives something; returns that frame."""
    for _ in range(tries):
        end.send(frame)
        deadline = time.monotonic() + SECONDS / tries
        while time.monotonic() < deadline:
            got = end.receive(max(0.01, deadline - time.monotonic()))
            if got and accept(got):
                return got
    raise Failure("no answer")


def numbered(n, size):
    """Frame number @n, of @size bytes."""
    return ethernet(BROADCAST, 0x88B5, struct.pack("!I", n) + bytes([n & 255]) * (size - 18))


def number_of(frame):
    return struct.unpack("!I", frame[14:18])[0]
