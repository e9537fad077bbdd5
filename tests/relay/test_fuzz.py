"""Random clients: messages that are valid, nearly valid and neither, in any order, over sessions that break and come back. The
relay has to stay up, and what they leave has to go. Under a sanitizer (SLIPWAY_RELAY=build/asan/slipway-relay tests/relay/run fuzz) this
looks for more. FUZZ_ROUNDS says how many clients."""
import contextlib
import os
import random
import socket
import struct
import threading
import time

from relay import *
from test_hostile import lives

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "300"))


def random_message(r, ports):
    """A message of a client, right more often than not."""
    channel = r.choice((1, 1, 2, 2, 3, 4, 5, 6, 7, 0, 1 << 31 | 1, 1 << 31 | 2, r.getrandbits(32)))
    window = r.choice((139272, 200000, 65536, 1, 0, 0x7fffffff, 0xffffffff))
    where = r.choice((("127.0.0.1", r.choice(ports)), ("127.0.0.1", 1), ("10.0.0.1", 80), ("::1", ports[0]), ("0.0.0.0", 0), ("::", 0)))
    frame = r.choice((b"\xff" * 6, b"\2\0\0\0\0" + bytes([r.randrange(9)]))) + b"\2\0\0\0\0" + bytes([r.randrange(9)]) + \
        bytes(r.choice((2, 50, 1502, 60000)))
    query = struct.pack(">I", r.randrange(5)) + r.randbytes(2) + b"\1\0\0\1" + bytes(6) + b"\1x\4test\0\0\1\0\1"
    kind = r.choice((OPEN,) * 6 + (DATA, DATA, DATA, DGRAMS, DGRAMS, FRAMES, FRAMES, CREDIT, SHUT, CLOSE, CLOSE, QUERY, ACCEPTED, URGENT, PING,
                                   PONG, UNREACH, r.randrange(256)))
    body = {
        OPEN: lambda: open_body(k := r.randrange(1, 7), window, b"" if k == DNS else struct.pack(">H", 3) + b"lab" if k == ETHER else
                                address(*where) + (struct.pack(">HH", 5, 0) if k == LISTEN else b"")),
        DATA: lambda: bytes(r.choice((1, 100, 60000))),
        DGRAMS: lambda: dgram_entry(*where, bytes(r.choice((0, 10, 1400)))) * r.randrange(1, 4),
        FRAMES: lambda: frame_entry(frame) * r.randrange(1, 4),
        CREDIT: lambda: struct.pack(">I", r.choice((1, 1000, 1 << 20, 0x7fffffff, 0))),
        CLOSE: lambda: struct.pack(">HH", r.choice((0, 104, 9)), 0),
        QUERY: lambda: query,
        ACCEPTED: lambda: struct.pack(">HHI", r.choice((0, 0, 111)), 0, window),
        URGENT: lambda: b"u", PING: lambda: bytes(8), PONG: lambda: bytes(8),
    }.get(kind, lambda: b"")()
    if kind < OPEN:
        channel = 0
    data = message(kind, channel, body)
    if r.random() < 0.02:
        data = bytearray(data)
        for _ in range(r.randrange(1, 4)):
            data[r.randrange(min(len(data), 60))] = r.randrange(256)
        data = bytes(data)
    if r.random() < 0.005:
        data = data[:r.randrange(len(data))]
    return data


def test_fuzz_sessions(emulator):
    seed = int(os.environ.get("FUZZ_SEED", "1"))

    def mixed(s):
        r = random.Random(seed)
        for _ in range(20):
            what = r.randrange(5)
            if what == 0:
                s.sendall(bytes(r.randrange(1, 100000)))
            elif what == 1:
                s.send(b"!", socket.MSG_OOB)
            elif what == 2:
                s.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    if not s.recv(100000):
                        return
            elif what == 3 and r.random() < 0.3:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return

    with Relay("--egress", "loopback", "--bind", "loopback", "--nameserver", "127.0.0.1", "--dns-timeout", "1", "--resume", "2") as relay, \
            Server(echo) as a, Server(mixed) as b, Client(relay) as good:
        failures = []

        def one(number):
            r = random.Random(seed * 1000003 + number)
            session, key = bytes(16), bytes(16)
            for _ in range(r.randrange(1, 4)):
                with contextlib.suppress(OSError, Closed, Refused):
                    c = Client(relay, session, key)
                    session, key = c.session, c.key
                    c.socket.settimeout(5)
                    for _ in range(r.randrange(1, 30)):
                        batch = b"".join(random_message(r, (a.port, b.port)) for _ in range(r.randrange(1, 8)))
                        if r.random() < 0.2 and len(batch) > 2:
                            cut = r.randrange(1, len(batch))
                            c.send_frame(2, batch[:cut], fin=False)
                            c.send_frame(0, batch[cut:])
                        else:
                            c.send(batch)
                        if r.random() < 0.3:
                            c.socket.settimeout(0.01)
                            with contextlib.suppress(TimeoutError):
                                c.next()
                            c.socket.settimeout(5)
                    if r.random() < 0.5:
                        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    c.close()

        def worker(first):
            for number in range(first, ROUNDS, 6):
                try:
                    one(number)
                except Exception as e:
                    failures.append(f"client {number}: {e!r}")
        threads = [threading.Thread(target=worker, args=(n,), daemon=True) for n in range(6)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            lives(good, "random clients")
            time.sleep(0.2)
        check(not failures, lambda: "; ".join(failures[:3]))
        end = time.monotonic() + 40
        while relay.metric("sessions") > 1 and time.monotonic() < end:
            lives(good, "random clients")
            time.sleep(0.2)
        equal([relay.metric(m) for m in ("sessions", "clients", "channels", "rooms", "room_members", "memory_bytes")], [1, 1, 0, 0, 0, 0],
              "sessions, clients, channels, rooms, members, memory that are left")


def test_fuzz_wisp(emulator):
    with Relay("--egress", "loopback", "--nameserver", "127.0.0.1", "--dns-timeout", "1") as relay, Server(echo) as server, Client(relay) as good:
        r = random.Random(int(os.environ.get("FUZZ_SEED", "1")))
        for _ in range(ROUNDS // 3):
            with contextlib.suppress(OSError, Closed), WebSocket(relay.port, "/wisp/", protocol=None, timeout=5) as ws:
                for _ in range(r.randrange(1, 40)):
                    stream = r.choice((0, 1, 2, 3, r.getrandbits(32)))
                    host = r.choice((b"127.0.0.1", b"127.0.0.1", b"::1", b"nowhere.test", b"", b"[::1]", b"[", b"]", b"[]", r.randbytes(9)))
                    packet = r.choice((
                        struct.pack("<BIBH", 1, stream, r.choice((1, 1, 2, 3)), r.choice((server.port, 1, 0))) + host,
                        struct.pack("<BI", 2, stream) + bytes(r.choice((0, 1, 1000, 70000))), struct.pack("<BIB", 4, stream, r.choice((2, 3))),
                        struct.pack("<BII", 3, stream, 5), r.randbytes(r.randrange(12))))
                    ws.send_frame(r.choice((2,) * 50 + (1,)), packet)
        lives(good, "random clients")
        for _ in range(100):
            if relay.metric("clients") == 1:
                break
            time.sleep(0.1)
        equal([relay.metric("clients"), relay.metric("channels")], [1, 0])
