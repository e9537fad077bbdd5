"""The user-mode network through Wisp servers, under Node: npm's wisp-js, unmodified, and the relay's own /wisp/."""
import contextlib
import os
import random
import socket
import struct
import subprocess

import ends
from namespace import in_namespace
from packets import *
from pc import ROOT, Failure, same
from relay import Relay
from test_relay import guest, native, wait_for_status
from userguest import Connection, Server
from userpeer import Ours, WAIT

NPM = os.path.join(ROOT, "build/tests/relay/npm")


class WispJs:
    port = 0

    def start(self):
        self.process = subprocess.Popen(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "wisp_server.mjs"), str(self.port)],
                                        cwd=NPM, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/wisp/,protocol=wisp"


class OurWisp(Relay):
    url = property(lambda self: super().url + ",protocol=wisp")  # whose path is /wisp/ then


def npm(test):
    """Decorator: fetches the packages before the test is in a network without a way out."""
    def run(emulator):
        p = subprocess.run([os.path.join(ROOT, "tests/relay/prepare")], capture_output=True, text=True)
        if p.returncode:
            raise Failure("npm packages: " + (p.stdout + p.stderr)[-500:])
        return test(emulator)
    run.not_under = getattr(test, "not_under", ())
    return run


def question(name, ident):
    return struct.pack(">HHHHHH", ident, 0x100, 1, 0, 0, 0) + \
        b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0\0\1\0\1"


def conversation(g):
    """Streams both ways, datagrams, names, a closed port; what a guest does with any network."""
    def echo(s):
        while data := s.recv(65536):
            s.sendall(data.upper())
    blob = random.Random(5).randbytes(2 << 20)
    got = []
    def take(s):
        data = b""
        while len(data) < len(blob) and (part := s.recv(1 << 18)):
            data += part
        got.append(data)
        s.sendall(b"!")
    servers = [Server(7777, echo), Server(7778, take), Server(7779, lambda s: s.sendall(blob))]
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 7000))
    u.settimeout(WAIT)
    try:
        c = Connection(g, 7777)
        c.send(ACK)
        c.send(PSH | ACK, b"hello")
        same("echo", c.hear(5)[1], b"HELLO")
        c.send(RST | ACK)
        # By name: the guest is told an address that the server never sees.
        g.send(udp(4002, 53, question("localhost", 7), DNS))
        while (p := g.hear()).protocol != 17:
            pass
        same("an address for a name", (p.data[:2], p.data[6:8], p.data[-4:-2]), (b"\0\7", b"\0\1", bytes([198, 18])))
        by_name = socket.inet_ntoa(p.data[-4:])
        g.send(tcp(1100, 7777, SYN, 1000, 0, options=b"\2\4\5\xb4", dst=by_name))
        p = g.hear()
        same("connected by name", p.flags, SYN | ACK)
        g.send(tcp(1100, 7777, ACK, 1001, p.seq + 1, dst=by_name))
        g.send(tcp(1100, 7777, PSH | ACK, 1001, p.seq + 1, b"name", dst=by_name))
        while not (p := g.hear()).data:
            pass
        same("echo by name", p.data, b"NAME")
        g.send(tcp(1100, 7777, RST | ACK, 1005, p.seq + len(p.data), dst=by_name))
        # A refused connection is a reset, late.
        c = Connection(g, 9, sport=1026)
        c.send(ACK)
        while not (p := g.hear()).flags & RST:
            pass
        # Datagrams.
        g.send(udp(4000, 7000, b"to the outside", HOST))
        data, at = u.recvfrom(100)
        same("datagram", data, b"to the outside")
        u.sendto(b"and back", at)
        while (p := g.hear()).protocol != 17:
            pass
        same("answer", (p.src, p.sport, p.dport, p.data), (HOST, 7000, 4000, b"and back"))
        # Bulk.
        c = Connection(g, 7779, sport=1030)
        c.send(ACK)
        received = bytearray()
        while len(received) < len(blob):
            p = g.hear()
            g.heard.clear()
            if p.data and p.dport == 1030 and p.seq == c.ack & 0xffffffff:
                received += p.data
                c.ack += len(p.data)
            g.send(c.segment(ACK))
        if received != blob:
            raise Failure("the download is damaged")
        while not p.flags & FIN:
            p = g.hear()
        c.send(RST | ACK)
        c = Connection(g, 7778, sport=1031)
        c.send(ACK)
        sent, acked, window, start = 0, 0, 65535, c.seq
        while acked < len(blob):
            while sent < len(blob) and sent - acked + 1460 <= window:
                part = blob[sent:sent + 1460]
                g.send(tcp(c.sport, c.port, PSH | ACK, start + sent, c.ack, part))
                sent += len(part)
            p = g.hear()
            g.heard.clear()
            if p.dport == 1031:
                acked = max(acked, (p.ack - start) & 0xffffffff)
                window = struct.unpack(">H", p.body[14:16])[0]
        ends.wait_for("the upload", lambda: got, WAIT)
        if got[0] != blob:
            raise Failure("the upload is damaged")
        while not p.flags & FIN:
            p = g.hear()
        c.send(RST | ACK)
    finally:
        u.close()
        for s in servers:
            s.close()


@npm
@native
@in_namespace
def test_user_mode_through_wisp_js(emulator):
    """Then the server goes, and comes back on the same port."""
    with WispJs() as server:
        g = guest(emulator, server)
        wait_for_status(g, "(connected)")
        conversation(g)
        def data_then_wait(s):
            s.sendall(b"data")
            with contextlib.suppress(OSError):
                s.recv(10)
        s = Server(7777, data_then_wait)
        c = Connection(g, 7777, sport=1040)
        c.send(ACK)
        c.hear(4)
        server.kill()
        while not g.hear().flags & RST:
            pass
        wait_for_status(g, "not connected")
        server.start()
        wait_for_status(g, "(connected)")
        c = Connection(g, 7777, sport=1041)
        c.send(ACK)
        same("again", c.hear(4)[1], b"data")
        s.close()
        g.peer.close()
        for text in ("not connected", ": connected"):
            if text not in g.peer.errors:
                raise Failure(f"the log doesn't say '{text}': {g.peer.errors}")


@native
@in_namespace
def test_user_mode_through_the_wisp_of_the_relay(emulator):
    with OurWisp() as relay:
        g = guest(emulator, relay)
        wait_for_status(g, "(connected)")
        conversation(g)
        g.peer.close()
    # What Wisp can't do is said.
        peer = Ours(emulator, f"relay={relay.url},hostfwd=tcp::5555-:22")
        try:
            peer.take()
            raise Failure("a port was forwarded")
        except Failure as e:
            if "Could not set up host forwarding rule" not in str(e):
                raise
        finally:
            peer.close()
