"""Streams in bulk: towards a client through a pipe, without a copy; from a client what comes in one go is written in one go."""
import contextlib
import hashlib
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from relay import *

MIB = 1 << 20
LOCAL = "--egress", "public,loopback"
PIPES_MOST, PIPES_SPARE = 32, 4  # relay/pipe.h


def content(seed, size):
    """Bytes that tell their place."""
    return random.Random(seed).randbytes(size)


def digest(data):
    return hashlib.md5(data).hexdigest()


class Source(Server):
    """Pours `data`, then ends its direction and waits for the client's end."""

    def __init__(self, data):
        def serve(s):
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
        super().__init__(serve)


class Stream:
    """What arrived on a channel."""

    def __init__(self):
        self.hash, self.n, self.over = hashlib.md5(), 0, False

    def take(self, data):
        self.hash.update(data)
        self.n += len(data)


def open_streams(c, servers):
    for n, server in enumerate(servers, 1):
        c.send(message(OPEN, n, open_body(TCP, 0x7fffffff, address("127.0.0.1", server.port))))
    return {n: Stream() for n, _ in enumerate(servers, 1)}


def receive(c, streams, pause=lambda: None, other=lambda kind, channel, body: None):
    """Reads until all streams have ended."""
    while not all(s.over for s in streams.values()):
        kind, channel, body = c.next()
        if kind == DATA:
            streams[channel].take(body)
            pause()
        elif kind == SHUT:
            streams[channel].over = True
        elif kind == OPENED:
            equal(body[:2], b"\0\0", "OPENED")
        else:
            other(kind, channel, body)


def arrived(streams, data, what=""):
    for n, s in streams.items():
        equal((s.n, s.hash.hexdigest()), (len(data[n - 1]), digest(data[n - 1])), f"{what} stream {n}")


def descriptors(relay):
    return len(os.listdir(f"/proc/{relay.process.pid}/fd"))


def wait_until(condition, what):
    end = time.monotonic() + 15
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.05)


def test_bulk_streams_of_many_clients(emulator):
    """Several streams of a connection share its pipe; several connections at once; native and Wisp."""
    data = [content(n, (7 + n) * MIB + 4097 * n) for n in range(4)]
    errors = []

    def native(relay, servers):
        with Client(relay) as c:
            streams = open_streams(c, servers)
            receive(c, streams, lambda: time.sleep(random.random() / 100) if random.random() < 0.1 else None)
            arrived(streams, data)

    def wisp(relay, servers):
        with WebSocket(relay.port, "/wisp/", protocol=None) as c:
            streams = {n: Stream() for n, _ in enumerate(servers, 1)}
            for n, server in enumerate(servers, 1):
                c.send(struct.pack("<BIBH", 1, n, 1, server.port) + b"127.0.0.1")
            while not all(s.over for s in streams.values()):
                packet = c.receive()
                kind, n = struct.unpack("<BI", packet[:5])
                if kind == 2:
                    streams[n].take(packet[5:])
                elif kind == 4:
                    streams[n].over = True
            arrived(streams, data, "Wisp:")

    def run(client, *arguments):
        try:
            client(*arguments)
        except BaseException as e:
            errors.append(e)
    with Relay(*LOCAL) as relay, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Source(d)) for d in data]
        threads = [threading.Thread(target=run, args=(f, relay, servers)) for f in (native, wisp, native)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(not errors, lambda: repr(errors))
        spliced = relay.metric("spliced_bytes_total")
        check(spliced > sum(map(len, data)) // 2, f"only {spliced} bytes went through pipes")
        wait_until(lambda: relay.metric("pipes") <= PIPES_SPARE, "pipes stay open")


def test_bulk_to_more_clients_than_there_are_pipes(emulator):
    """Those that don't read keep their pipes; the others' streams are copied, and what waits comes later."""
    data = content(1, 12 * MIB)
    with Relay(*LOCAL, "--max-clients-per-address", "100") as relay, Source(data) as server:
        before = relay.memory()
        slow = [Client(relay, receive_buffer=16384) for _ in range(PIPES_MOST + 8)]
        streams = [open_streams(c, [server]) for c in slow]
        wait_until(lambda: relay.metric("pipes") == PIPES_MOST, f"{relay.metric('pipes')} pipes")
        check(relay.metric("memory_bytes") <= 2 * MIB * len(slow), f"{relay.metric('memory_bytes')} bytes wait")
        with Client(relay) as good:
            stream = open_streams(good, [server])
            receive(good, stream)
            arrived(stream, [data], "beside those that don't read:")
        equal(relay.metric("pipes"), PIPES_MOST)
        check(relay.memory() - before < mebibytes(60), f"{(relay.memory() - before) >> 20} MiB")
        for n in 0, len(slow) - 1:
            receive(slow[n], streams[n])
            arrived(streams[n], [data], "what has waited:")
        for c in slow:
            c.close()
        wait_until(lambda: relay.metric("pipes") <= PIPES_SPARE, "pipes stay open")
        equal(relay.metric("memory_bytes"), 0)


def test_bulk_clients_that_disappear(emulator):
    """Killed in the middle: nothing of theirs stays, and nothing of it gets to another."""
    data, endless = content(2, 9 * MIB), content(3, 64 * MIB)
    chance = random.Random(4)
    with Relay(*LOCAL, "--resume", "1") as relay, Source(data) as server, Source(endless) as source:
        with Client(relay) as good:
            relay.metric("clients")
            before = descriptors(relay)
            for n in range(40):
                c = Client(relay, receive_buffer=0 if n % 2 else 16384)
                open_streams(c, [source] * chance.randrange(1, 4))
                left = chance.randrange(6 * MIB)
                while left > 0:
                    left -= len(c.socket.recv(MIB))
                if n % 3 == 0:  # with a RST
                    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()
                if n % 10 == 0:
                    streams = open_streams(good, [server])
                    receive(good, streams)
                    arrived(streams, [data])
                    good.send(message(SHUT, 1))
                    equal(good.expect(CLOSE, 1), bytes(4))
                    good.send(message(CLOSE, 1, bytes(4)))
            wait_until(lambda: relay.metric("clients") == 1 and relay.metric("pipes") <= PIPES_SPARE, "something stays")
            wait_until(lambda: descriptors(relay) <= before + 2 * PIPES_SPARE, f"{before} descriptors, then {descriptors(relay)}")
            equal(relay.metric("memory_bytes"), 0)


def test_bulk_that_ends_with_a_failure(emulator):
    """The relay has to say something while the client's socket is full: what has begun is ended, the rest is dropped."""
    data = content(5, 32 * MIB)
    with Relay(*LOCAL) as relay, Source(data) as server:
        for end in "failure", "close":
            with Client(relay, receive_buffer=16384) as c:
                open_streams(c, [server])
                wait_until(lambda: relay.metric("memory_bytes") > 256 << 10, "nothing waits")
                if end == "failure":
                    c.send(message(CREDIT, 77, struct.pack(">I", 1)))  # of no channel
                else:
                    c.send_frame(8, struct.pack(">H", 1000))
                n, code, expected = 0, None, b""
                try:
                    while True:
                        kind, channel, body = c.next()
                        if kind == DATA:
                            check(data[n:n + len(body)] == body, f"other bytes after {n}")
                            n += len(body)
                        elif kind == FAIL:
                            code = struct.unpack(">H", body[:2])[0]
                except Closed as e:
                    equal((code, e.code), (BAD_CHANNEL, 4000 + BAD_CHANNEL) if end == "failure" else (None, 1000))
                check(0 < n < len(data), f"{n} bytes")
        wait_until(lambda: relay.metric("pipes") <= PIPES_SPARE, "pipes stay open")


def test_bulk_with_urgent_data(emulator):
    """A pipe can't pass what TCP marks; neither it nor what is around it gets lost."""
    data, marks = content(6, 8 * MIB), (1, 2 * MIB + 5, 5 * MIB)

    def serve(s):
        at = 0
        for mark in marks:
            s.sendall(data[at:mark])
            s.send(b"!", socket.MSG_OOB)
            at = mark
            time.sleep(0.2)  # only the last counts that wasn't read
        s.sendall(data[at:])
        s.shutdown(socket.SHUT_WR)
        s.recv(1)
    urgent = []
    with Relay(*LOCAL) as relay, Server(serve) as server, Client(relay) as c:
        streams = open_streams(c, [server])
        receive(c, streams, other=lambda kind, channel, body: urgent.append((kind, body)))
        arrived(streams, [data])
        equal(urgent, [(URGENT, b"!")] * len(marks))


def test_bulk_within_a_limit(emulator):
    data = content(7, 12 * MIB)
    with Relay(*LOCAL, "--max-bytes-per-second", "4M") as relay, Source(data) as server, Client(relay) as c:
        start = time.monotonic()
        streams = open_streams(c, [server])
        receive(c, streams)
        took = time.monotonic() - start
        arrived(streams, [data])
        check(2 < took < 12, f"{took:.1f} s for three seconds' worth")


def test_bulk_with_tls(emulator):
    """Is encrypted, so it is copied."""
    if not shutil.which("openssl"):
        raise Skip("no openssl")
    data = content(8, 8 * MIB)
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", f"{d}/key.pem", "-out", f"{d}/cert.pem"], check=True, capture_output=True)
        context = ssl.create_default_context(cafile=f"{d}/cert.pem")
        context.check_hostname = False
        with Relay(*LOCAL, "--tls-cert", f"{d}/cert.pem", "--tls-key", f"{d}/key.pem") as relay, Source(data) as server:
            with Client(relay.port, tls=context) as c:
                streams = open_streams(c, [server, server])
                receive(c, streams)
                arrived(streams, [data, data])
            with context.wrap_socket(socket.create_connection(("127.0.0.1", relay.port), 20)) as s:
                s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                page = b""
                while piece := s.recv(65536):
                    page += piece
            check(b"\nslipway_relay_spliced_bytes_total 0\n" in page and b"\nslipway_relay_pipes 0\n" in page, "a pipe for TLS")


def test_pieces_of_several_channels_in_a_message(emulator):
    """They are written together at its end, each to its server, in order, before what ends the direction."""
    got, done = {}, threading.Semaphore(0)

    def serve(s):
        data = bytearray()
        while piece := s.recv(1 << 16):
            data += piece
        got[data[0]] = bytes(data)
        done.release()
    chance = random.Random(9)
    for _ in range(4):
        with Relay(*LOCAL) as relay, Server(serve) as server, Client(relay) as c:
            channels = range(1, 6)
            sent = {n: bytes([n]) for n in channels}
            windows = {n: c.open(n, TCP, address("127.0.0.1", server.port))[1] for n in channels}
            check(min(windows.values()) > 300000, windows)
            batch = b"".join(message(DATA, n, sent[n]) for n in channels)
            while len(batch) < 900000:
                n = chance.choice(channels)
                piece = chance.randbytes(chance.choice((1, 50, 1000, 9000)))
                sent[n] += piece
                batch += message(DATA, n, piece)
            c.send(batch + b"".join(message(SHUT, n) for n in channels))
            for _ in channels:
                check(done.acquire(timeout=20), "a server waits")
            check(got == sent, lambda: f"{ {n: len(d) for n, d in got.items()} } of { {n: len(d) for n, d in sent.items()} } bytes")


def test_bytes_before_a_reset_in_the_same_message(emulator):
    got, over = bytearray(), threading.Event()

    def serve(s):
        with contextlib.suppress(OSError):
            while piece := s.recv(1 << 16):
                got.extend(piece)
        over.set()
    with Relay(*LOCAL) as relay, Server(serve) as server, Client(relay) as c:
        equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0)
        c.send(message(DATA, 1, b"some ") + message(DATA, 1, b"bytes") + message(CLOSE, 1, bytes(4)))
        equal(c.expect(CLOSE, 1), bytes(4))
        check(over.wait(20), "the server waits")
        equal(bytes(got), b"some bytes")


def test_wisp_client_with_little_memory(emulator):
    """What one read brings fits beside what waits: a server that reads slowly gets all of it."""
    data, over = content(10, 12 * MIB), threading.Event()
    got = hashlib.md5()

    def serve(s):
        while piece := s.recv(1 << 16):
            got.update(piece)
            time.sleep(0.002)
        over.set()
    with Relay(*LOCAL, "--memory", "1M") as relay, Server(serve) as server:
        with WebSocket(relay.port, "/wisp/", protocol=None, timeout=60) as c:
            packets = struct.unpack("<I", c.receive()[5:9])[0]
            c.send(struct.pack("<BIBH", 1, 1, 1, server.port) + b"127.0.0.1")
            for at in range(0, len(data), 1 << 16):
                while not packets:
                    packet = c.receive()
                    equal(packet[0], 3, f"packet {packet.hex()} after {at} bytes")
                    packets = struct.unpack("<I", packet[5:9])[0]
                c.send(struct.pack("<BI", 2, 1) + data[at:at + (1 << 16)])
                packets -= 1
            c.send(struct.pack("<BIB", 4, 1, 2))
            check(over.wait(30), "the server waits")
        equal(got.hexdigest(), digest(data))
