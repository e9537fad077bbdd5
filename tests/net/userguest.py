"""Conversations with the user-mode network, ours and that of a QEMU without a guest beside it: the same frames go to
both, and what comes back must be the same, byte for byte.

Left out of the comparison, because they count from the program's start or are the host's choice: the IPv4
identification (and the header checksum over it), TCP's sequence numbers (compared relative to the first one of a
connection) and with them TCP's checksum, and the ephemeral port of a host's connection through hostfwd. The checksums
are checked to be right instead.
"""
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from packets import *
from pc import Failure
from userpeer import Ours, Qemu, WAIT

QUIET = 0.3 # nothing more is expected
MARK = bytes.fromhex("525400aabb01")


class Guest:
    """A conversation with one of the two networks, and what was heard in it."""

    router = HOST

    def __init__(self, peer):
        self.peer = peer
        self.heard = []      # normalised
        self.first = {}      # first sequence number of (src, sport, dst, dport)
        self.ports = {}      # ephemeral ports, by the order in which they turn up

    def send(self, *frames):
        self.peer.send(*frames)

    def hear(self, count=1):
        """The next @count frames, which must come."""
        got = []
        for _ in range(count):
            frame = self.peer.take()
            if frame is None:
                self.heard.append(b"(nothing came)")
                raise Failure(f"frame {len(self.heard)} didn't come within {WAIT} s")
            got.append(Packet(frame))
            self.heard.append(self.normal(frame))
        return got[0] if count == 1 else got

    def ask(self, *frames):
        """Sends, and hears all that is said until an ARP request of somebody else is answered."""
        self.send(*frames, arp(self.router, sender=self.router[:-1] + "6", mac=MARK))
        got = []
        while True:
            p = self.hear()
            if p.frame[:6] == MARK:
                return got
            got.append(p)

    def quiet(self):
        """Nothing comes any more; if something does, it is part of what was heard."""
        while (frame := self.peer.take(QUIET)) is not None:
            self.heard.append(self.normal(frame))

    def normal(self, frame):
        f = bytearray(frame)
        p = Packet(frame)
        if p.protocol is None:
            return bytes(f)
        if p.kind == 0x800:
            if checksum(frame[14:p.at]) != 0:
                raise Failure(f"bad header checksum: {frame.hex()}")
            f[18:20] = f[24:26] = b"\0\0"
        if p.protocol in (6, 17, 58) and not p.fragment and (p.protocol != 17 or p.body[6:8] != b"\0\0"):
            if checksum(pseudo(p.protocol, p.body, p.dst, p.src) + p.body) != 0:
                raise Failure(f"bad checksum: {frame.hex()}")
        if p.protocol == 1 and not p.fragment and checksum(p.body) != 0:
            raise Failure(f"bad ICMP checksum: {frame.hex()}")
        if p.protocol == 6 and p.flags is not None:
            if p.sport > 32767:
                self.ports.setdefault(p.sport, len(self.ports))
                f[p.at:p.at + 2] = struct.pack(">H", self.ports[p.sport])
            flow = p.src, p.sport, p.dst, p.dport
            if p.flags & SYN:
                self.first[flow] = p.seq
            if not p.flags & RST:
                f[p.at + 4:p.at + 8] = struct.pack(">I", p.seq - self.first.get(flow, p.seq) & 0xffffffff)
            f[p.at + 16:p.at + 18] = b"\0\0"
        return bytes(f)


def at_once(emulator):
    """Does what can't be sent fail in the call?"""
    return emulator != "node"


def in_order(frames):
    """ARP apart from the rest: when the stack asks, between two answers, is the host's timing."""
    def arp(frame):
        return frame[12:14] == b"\x08\x06"
    return [f for f in frames if not arp(f)], sorted(f for f in frames if arp(f))


def both(emulator, options, conversation, qemu_options=None):
    """Has @conversation(guest) with both and compares what they said."""
    heard = []
    for start in (lambda: Qemu(options if qemu_options is None else qemu_options), lambda: Ours(emulator, options)):
        peer = start()
        guest = Guest(peer)
        try:
            conversation(guest)
            heard.append(guest.heard)
        except Failure as e:
            e.args = (f"{'ours' if heard else 'QEMU'}: {e}" + difference(heard[0], guest.heard) if heard else f"QEMU: {e}",)
            raise
        finally:
            peer.close()
    theirs, ours = heard
    if not theirs:
        raise Failure("QEMU said nothing")
    if in_order(theirs) != in_order(ours):
        raise Failure(f"{len(theirs)} frames of QEMU's, {len(ours)} of ours" + difference(theirs, ours))


def difference(theirs, ours):
    for i in range(max(len(theirs), len(ours))):
        a = theirs[i] if i < len(theirs) else b""
        b = ours[i] if i < len(ours) else b""
        if a != b:
            at = next((k for k in range(min(len(a), len(b))) if a[k] != b[k]), min(len(a), len(b)))
            return f"; frame {i} at byte {at}:\nQEMU {a.hex()}\nours {b.hex()}"
    return ""


def solicitation(target, src=GUEST6):
    group = ip6("ff02::1:ff00:0")[:13] + ip6(target)[13:]
    return icmp6(135, 0, bytes(4) + ip6(target) + b"\1\1" + MAC, socket.inet_ntop(socket.AF_INET6, group), src=src,
                 to=b"\x33\x33" + group[12:])


# ---- the host's side ----

class Server(threading.Thread):
    """A TCP server on loopback that serves one connection with @serve(socket)."""

    def __init__(self, port, serve, address="127.0.0.1"):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.listen()
        self.serve = serve
        self.start()

    def run(self):
        try:
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    self.serve(connection)
        except OSError:
            pass # closed

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Connection:
    """The guest's end of a TCP connection: keeps its numbers, acknowledges nothing by itself."""

    def __init__(self, guest, port, dst=HOST, sport=1025, options=b"\2\4\5\xb4", window=65535):
        self.g, self.port, self.dst, self.sport, self.window = guest, port, dst, sport, window
        self.seq, self.ack = 1000, 0
        self.send(SYN, options=options)
        self.answer = guest.hear()
        self.ack = self.answer.seq + 1
        self.seq += 1

    def send(self, flags, data=b"", skip=0, count=True, **more):
        self.g.send(self.segment(flags, data, skip, **more))
        if count:
            self.seq += len(data) + (1 if flags & FIN else 0)

    def segment(self, flags, data=b"", skip=0, **more):
        return tcp(self.sport, self.port, flags, self.seq + skip, self.ack, data, dst=self.dst, window=self.window, **more)

    def hear(self, size=0):
        """Segments until @size bytes have come in order (0: one segment), acknowledged one by one."""
        got = b""
        while True:
            p = self.g.hear()
            if p.data and p.seq == self.ack & 0xffffffff:
                got += p.data
                self.ack += len(p.data)
            if p.flags & FIN:
                self.ack += 1
            if len(got) >= size or p.flags & (FIN | RST):
                return p, got


def name_server(address="127.0.0.1"):
    """Answers each question with its own bytes and a mark, over UDP and TCP."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 53))
    def serve():
        while True:
            data, client = s.recvfrom(4096)
            s.sendto(data + b" answered", client)
    threading.Thread(target=serve, daemon=True).start()
    return Server(53, lambda c: (c.sendall(c.recv(4096) + b" answered"), c.recv(1)), address)
