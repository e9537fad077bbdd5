"""Every spelling of, and every way to, an address that clients may not reach. A canary listens on all of them."""
import os
import socket
import struct
import subprocess
import threading
import time

from relay import *

PORT = 7777

# Forbidden by default, as numbers.
NUMBERS = """
    127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1
    192.168.255.255 169.254.0.1 169.254.169.254 169.254.170.2 168.63.129.16 100.100.100.200 100.64.0.1 100.127.255.254 192.0.0.1
    192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    :: ::1 ::2 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0
    ::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b:1::7f00:1
    2002:7f00:1:: 2002:a00:1::1 2002:a9fe:a9fe::1 2002:c0a8:1::1 2001:0:7f00:1:: 2001:0:5db8:d822:0:0:80ff:fffe
    2001:0:5db8:d822::f5ff:fffe fe80::1 fe80::5efe:127.0.0.1 febf::1 fec0::1 feff::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254
    fdff::1 ff02::1 ff05::1:3 ff0e::1 2001:db8::1 3fff::1 2001:2::1 2001:10::1 100::1 2a00::5efe:10.0.0.1 2600::5efe:7f00:1 4000::1
    e000::1 ::ffff:255.255.255.255 ::169.254.169.254
""".split()

# Names and other spellings, for Wisp, which takes any text.
TEXTS = """
    localhost LOCALHOST localhost. ip6-localhost 127.1 127.0.1 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 0 0x0
    0.0.0.0. 127.0.0.1. 127.0.0.1%lo [::1] [::ffff:127.0.0.1] ::1%lo fe80::1%lo ::ffff:7f00:0001 0:0:0:0:0:ffff:7f00:1 [::] [0::1]
    127.0.0.1:80 http://127.0.0.1 127.0.0.1/ loop.test mapped.test many.test nat64.test 127。0。0。1 ①②⑦.0.0.1 127.0.0.1\t
    metadata.test flip.test
""".split() + ["127.0.0.1 x", " 127.0.0.1", "", "a" * 255]


class LyingNameServer:
    """Answers with forbidden addresses; for flip.test with another one each time, first a public one."""

    NAMES = {b"loop": ["127.0.0.1"], b"mapped": ["::ffff:127.0.0.1"], b"many": ["10.0.0.1", "127.0.0.1", "169.254.169.254"],
             b"nat64": ["64:ff9b::7f00:1"], b"metadata": ["169.254.169.254"]}

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.53", 53))
        self.asked = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            q, back = self.socket.recvfrom(4096)
            name, kind = q[13:13 + q[12]], q[-3]
            addresses = self.NAMES.get(name, [])
            if name == b"flip":
                self.asked += 1
                addresses = ["127.0.0.1"] if self.asked > 1 else ["10.0.0.1"]
            data = [socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in addresses]
            data = [d for d in data if len(d) == (16 if kind == 28 else 4)]
            self.socket.sendto(q[:2] + struct.pack(">HHHHH", 0x8180, 1, len(data), 0, 0) + q[12:] +
                               b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(d)) + d for d in data), back)


class Canary:
    """Listens on everything; sees who got through."""

    def __init__(self):
        self.seen = []
        for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
                s = socket.socket(family, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((any_address, PORT))
                if kind == socket.SOCK_STREAM:
                    s.listen(100)
                threading.Thread(target=self.run, args=(s, kind), daemon=True).start()

    def run(self, s, kind):
        while True:
            if kind == socket.SOCK_STREAM:
                c, who = s.accept()
                self.seen.append(("tcp", c.getsockname()))
                c.close()
            else:
                self.seen.append(("udp", s.recvfrom(100)))


def everything_is_here():
    """All addresses of the world are this machine's: whatever gets through meets the canary."""
    for words in (("-4", "route", "add", "local", "0.0.0.0/0", "dev", "lo"), ("-6", "route", "add", "local", "::/0", "dev", "lo")):
        if subprocess.run(["ip", *words], capture_output=True).returncode:
            raise Skip("no local routes here")


@in_namespace
def test_forbidden_addresses_are_never_reached(emulator):
    check(len(set(NUMBERS)) + len(set(TEXTS)) >= 100, "the table is too short")
    everything_is_here()
    canary = Canary()
    LyingNameServer()
    with Relay("--nameserver", "127.0.0.53", "--dns-timeout", "1") as relay:
        with Client(relay) as c:
            equal(c.open(1, TCP, address("93.184.216.34", PORT))[0], 0, "a public address can be reached")
            for _ in range(100):
                if canary.seen:
                    break
                time.sleep(0.05)
            equal(canary.seen.pop()[0], "tcp", "the canary sees what gets through")
            c.expect(SHUT, 1)
            equal(c.open(2, UDP, address("0.0.0.0"))[0], 0)
            equal(c.open(3, UDP, address("::"))[0], 0)
            equal(c.open(4, ICMP, address("0.0.0.0"))[0] in (0, 95), True)
            number = 10
            for text in NUMBERS:
                number += 1
                equal(c.open(number, TCP, address(text, PORT))[0], 13, text)
                channel = 3 if ":" in text else 2
                c.send(message(DGRAMS, channel, dgram_entry(text, PORT, b"canary")))
                equal(struct.unpack(">H", c.expect(UNREACH, channel)[:2])[0], 13, text + " (udp)")
            for local in ("127.0.0.1", "0.0.0.0", "::1", "10.0.0.1"):
                number += 1
                equal(c.open(number, LISTEN, address(local, 8000) + struct.pack(">HH", 1, 0))[0], 13, f"listening on {local}")
                equal(c.open(number, UDP, address(local, 8000))[0], 13, f"UDP socket on {local}")
        with WebSocket(relay.port, "/wisp/", protocol=None, timeout=30) as ws:
            ws.receive()
            streams = {}
            for n, text in enumerate(NUMBERS + TEXTS + TEXTS, 1):
                for kind in 1, 2:
                    ws.send(struct.pack("<BIBH", 1, 2 * n + kind, kind, PORT) + text.encode())
                    ws.send(struct.pack("<BI", 2, 2 * n + kind) + b"canary")
                    streams[2 * n + kind] = text
            while streams:
                packet = ws.receive()
                kind, stream = struct.unpack("<BI", packet[:5])
                if kind == 4:
                    text = streams.pop(stream)
                    check(packet[5] in (0x41, 0x42, 0x48), f"{text}: reason {packet[5]:#x}")
        time.sleep(0.3)
        equal(canary.seen, [], "what got through")
        denied = relay.metric("egress_denied_total")
        check(denied > 300, f"only {denied} were denied")


@in_namespace
def test_ranges_that_are_allowed(emulator):
    everything_is_here()
    with Relay("--egress", f"10.1.0.0/16:{PORT}-{PORT + 1}, [fd00::/8], 0.0.0.0/0:99", "--deny", "10.1.9.0/24") as relay, \
            Client(relay) as c:
        Canary()
        number = 0
        for ip, port, error in (("10.1.2.3", PORT, 0), ("::ffff:10.1.2.3", PORT, 0), ("64:ff9b::10.1.2.3", PORT, 0), ("10.1.2.3", 80, 13),
                                ("10.2.0.1", PORT, 13), ("10.1.9.1", PORT, 13), ("93.184.216.34", PORT, 13), ("fd12::1", PORT, 0),
                                ("fe80::1", PORT, 13), ("127.0.0.1", 99, 13), ("169.254.169.254", 99, 13), ("192.168.1.1", 99, 111)):
            number += 1
            equal(c.open(number, TCP, address(ip, port))[0], error, f"{ip} {port}")
            if not error:
                c.expect(SHUT, number)
