"""Sessions: coming back, tokens, time limits, errors of the protocol, reload, kill -9."""
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from relay import *
from test_channels import A, ALL, B, ethernet, frames_of


def drop(client):
    """The connection breaks without a word."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_session_comes_back_to_its_rooms_and_ports(emulator):
    with Relay("--egress", "loopback", "--bind", "loopback") as relay, Server(echo) as server, Client(relay) as other:
        other.join(1, "lab")
        a = Client(relay)
        a.join(1, "lab")
        _, _, (_, port) = a.open(2, LISTEN, address("127.0.0.1", 0) + struct.pack(">HH", 5, 0))
        _, _, udp = a.open(3, UDP, address("0.0.0.0"))
        equal(a.open(4, TCP, address("127.0.0.1", server.port))[0], 0)
        a.send(message(FRAMES, 1, frame_entry(ethernet(ALL, A))))
        other.expect(FRAMES, 1)
        drop(a)
        relay.wait_log("closed .*kept=yes")
        equal(relay.metric("channels"), 4, "room, port and socket are kept, the stream isn't; and the other's room")
        # The stations that were learned: what is for A goes nowhere else, though A is away.
        with Client(relay) as third:
            third.join(1, "lab")
            other.send(message(FRAMES, 1, frame_entry(ethernet(A, B)) + frame_entry(ethernet(ALL, B))))
            equal(third.expect(FRAMES, 1), frame_entry(ethernet(ALL, B)))
        b = Client(relay, a.session, a.key)
        equal((b.resumed, b.session), (1, a.session))
        check(b.key != a.key, "each WELCOME has a new key")
        b.join(1, "lab")
        equal(b.open(2, LISTEN, address("127.0.0.1", 0) + struct.pack(">HH", 5, 0))[2][1], port, "the port")
        equal(b.open(3, UDP, address("0.0.0.0"))[2], udp, "the socket")
        other.send(message(FRAMES, 1, frame_entry(ethernet(A, B))))
        equal(b.expect(FRAMES, 1), frame_entry(ethernet(A, B)))
        # An old key is worth nothing; the session isn't harmed by it.
        with Client(relay, a.session, a.key) as thief:
            equal((thief.resumed, thief.session == a.session), (0, False))
        # The same session over a second connection: the first ends.
        c = Client(relay, b.session, b.key)
        equal(c.resumed, 1)
        equal(b.failure(), (SUPERSEDED, 4000 + SUPERSEDED))
        c.send(message(BYE))
        try:
            c.next()
        except Closed as e:
            equal(e.code, 1000)
        with Client(relay, c.session, c.key) as late:
            equal(late.resumed, 0, "after BYE")


def test_a_session_ends_after_its_time(emulator):
    with Relay("--resume", "1") as relay:
        a = Client(relay)
        a.join(1, "lab")
        drop(a)
        for _ in range(100):
            if relay.metric("sessions") == 0:
                break
            time.sleep(0.1)
        equal((relay.metric("sessions"), relay.metric("rooms"), relay.metric("memory_bytes")), (0, 0, 0))
        with Client(relay, a.session, a.key) as b:
            equal(b.resumed, 0)


def test_sigterm_says_shutdown_and_sighup_changes_permissions(emulator):
    with tempfile.NamedTemporaryFile("w") as f:
        def write(text):
            f.seek(0)
            f.truncate()
            f.write(text)
            f.flush()
        write("rooms = one\n")
        with Relay("--config", f.name) as relay:
            a = Client(relay)
            equal(a.open(1, ETHER, struct.pack(">H", 3) + b"two")[0], 13)
            write("rooms = one, two\nbroken\n")
            relay.process.send_signal(signal.SIGHUP)
            relay.wait_log("error reload .*broken")
            write("rooms = one, two\nmax-clients = 7\n")
            relay.process.send_signal(signal.SIGHUP)
            relay.wait_log("info reload file")
            with Client(relay) as b:
                equal(b.open(1, ETHER, struct.pack(">H", 3) + b"two")[0], 0)
            a.send(message(PING, 0, bytes(8)))
            equal(a.next()[0], PONG, "clients stay")
            relay.process.send_signal(signal.SIGTERM)
            equal(a.failure(), (SHUTDOWN, 4000 + SHUTDOWN))


def token(secret, *arguments):
    p = subprocess.run([PROGRAM, "token", "--secret", secret, *arguments], capture_output=True, text=True)
    if p.returncode:
        raise Failure(p.stderr)
    return p.stdout.strip().encode()


def refused(relay, **named):
    try:
        with Client(relay, **named):
            return 0
    except Refused as e:
        return e.code


def test_tokens(emulator):
    with tempfile.NamedTemporaryFile() as f, Server(echo) as server:
        f.write(os.urandom(32))
        f.flush()
        good = token(f.name, "--expires", "1h", "--rooms", "lab-1", "--egress", f"127.0.0.1:{server.port}", "--max-channels", "2")
        with Relay("--secret", f.name, "--deny", "127.0.0.7") as relay:
            equal(refused(relay), BAD_TOKEN, "without one")
            equal(refused(relay, token=b"slp1.x.y"), BAD_TOKEN)
            for at in (5, 20, len(good) - 45, len(good) - 1):
                other = good[:at] + (b"A" if good[at:at + 1] != b"A" else b"B") + good[at + 1:]
                equal(refused(relay, token=other), BAD_TOKEN, f"byte {at} changed")
            equal(refused(relay, token=good[:-1]), BAD_TOKEN)
            equal(refused(relay, token=good + b"A"), BAD_TOKEN)
            equal(refused(relay, token=token(f.name, "--expires", "1")), TOKEN_EXPIRED)
            with Client(relay, token=good) as c:
                equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0)
                equal(c.open(2, TCP, address("127.0.0.1", 1))[0], 1, "another port: EPERM")
                equal(c.open(2, ETHER, struct.pack(">H", 5) + b"lab-2")[0], 1)
                equal(c.open(2, DNS)[0], 1)
                c.join(2, "lab-1")
                equal(c.open(3, TCP, address("127.0.0.1", server.port))[0], 24, "a third channel: EMFILE")
            everything = token(f.name, "--expires", "1h", "--egress", "public,loopback")
            with Client(relay, token=everything) as c:
                equal(c.open(1, TCP, address("127.0.0.7", server.port))[0], 1, "deny stands above tokens")
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            with Client(relay, token=token(f.name, "--expires", "1h", "--bind", f"127.0.0.1:{port}")) as c:
                for at, wanted in ((port, 0), (port % 65535 + 1, 1), (0, 1)):
                    equal(c.open(1 + at, LISTEN, address("127.0.0.1", at) + struct.pack(">HH", 5, 0))[0], wanted, f"to listen at {at}")
                equal(c.open(70000, UDP, address("127.0.0.1", port))[0], 0)
                equal(c.open(70001, UDP, address("127.0.0.1", port % 65535 + 1))[0], 1, "a socket at another port")
            short = token(f.name, "--expires", str(int(time.time()) + 4))
            with Client(relay, token=short) as c:
                equal(c.failure(), (TOKEN_EXPIRED, 4000 + TOKEN_EXPIRED), "it expires later")
            equal(WebSocket(relay.port, f"/ether/lab-1?token={good.decode()}", protocol=None).status, 101)
            ws = WebSocket(relay.port, "/wisp/", protocol=None)
            try:
                ws.receive()
            except Closed as e:
                equal(e.code, 1008)
            log = "".join(l for l in relay.log if l)
            check(good.decode()[:30] not in log and "token=" not in log, "a token is in the log")
        with Relay("--secret", f.name, "--anonymous", "on") as relay, Client(relay) as c:
            c.join(1, "lab")
        with tempfile.NamedTemporaryFile() as other:
            other.write(os.urandom(32))
            other.flush()
            with Relay("--secret", other.name) as relay:
                equal(refused(relay, token=good), BAD_TOKEN, "another secret")


def test_origins(emulator):
    with Relay("--host", "relay.example") as relay:
        port = relay.port
        cases = [(None, f"127.0.0.1:{port}", True), (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", True),
                 (f"http://localhost:{port}", f"localhost:{port}", True), ("http://relay.example", "relay.example", True),
                 (f"https://127.0.0.1:{port}", f"127.0.0.1:{port}", False), ("http://evil.example", f"127.0.0.1:{port}", False),
                 ("http://evil.example", "evil.example", False), ("null", f"127.0.0.1:{port}", False),
                 (f"http://127.0.0.1:{port + 1}", f"127.0.0.1:{port}", False), ("http://relay.example.evil", "relay.example", False)]
        for origin, host, good in cases:
            headers = {"Host": host, **({"Origin": origin} if origin else {})}
            equal(refused(relay, headers=headers), 0 if good else BAD_ORIGIN, f"{origin} at {host}")
            equal(WebSocket(port, "/wisp/", protocol=None, headers=headers).status, 101 if good else 403, f"{origin} at {host}")
    with Relay("--origin", "https://a.example", "--origin", "null") as relay:
        for origin, code in (("https://a.example", 0), ("null", 0), ("https://b.example", BAD_ORIGIN),
                             (f"http://127.0.0.1:{relay.port}", BAD_ORIGIN)):
            equal(refused(relay, headers={"Origin": origin}), code, origin)


def test_what_breaks_the_protocol_ends_the_connection(emulator):
    big = 1 << 20
    tcp = struct.pack(">B3xI", TCP, 65536)
    cases = [
        (b"", TRUNCATED), (b"\x10", TRUNCATED), (message(PING, 0, bytes(7)), TRUNCATED), (message(PING, 1, bytes(8)), BAD_CHANNEL),
        (message(0x77), UNKNOWN_TYPE), (message(WELCOME, 0, bytes(60)), UNEXPECTED), (hello(), UNEXPECTED),
        (message(DATA, 1, b"x"), BAD_CHANNEL), (message(OPEN, 1 << 31, tcp + address("127.0.0.1", 1)), BAD_CHANNEL),
        (message(OPEN, 1, struct.pack(">B3xI", 9, big)), MALFORMED), (message(OPEN, 1, open_body(ETHER, big, b"\0\1.")), MALFORMED),
        (message(OPEN, 1, open_body(ETHER, 1000, b"\0\1x")), MALFORMED), (message(OPEN, 1, tcp + address("127.0.0.1", 0)), MALFORMED),
        (message(OPEN, 1, open_body(ETHER, big, b"\0\1x")) * 2, BAD_CHANNEL),
        (message(OPEN, 1, open_body(ETHER, big, b"\0\1x")) + message(DATA, 1, b"x"), UNEXPECTED),
        (message(OPEN, 1, open_body(ETHER, big, b"\0\1x")) + message(CREDIT, 1, struct.pack(">I", 0x7fffffff)), CREDIT_OVERFLOW),
        (message(OPEN, 1, open_body(ETHER, big, b"\0\1x")) + message(FRAMES, 1, frame_entry(bytes(60000)) * 4) +
         message(FRAMES, 1, frame_entry(bytes(60000)) * 4), None),
        (message(OPEN, 1, open_body(DNS, big)) + message(SHUT, 1), UNEXPECTED),
        (message(PING, 0, bytes(8)) * 70000, OVERSIZE), (b"\x14\x10\x00\x00\0\0\0\1" + bytes(20), OVERSIZE),
        (message(ACCEPTED, 1 << 31 | 1, bytes(8)), BAD_CHANNEL),
    ]
    with Relay() as relay:
        for data, code in cases:
            with Client(relay) as c:
                c.send(data)
                if code is None:
                    c.send(message(PING, 0, bytes(8)))
                    while c.next()[0] != PONG:
                        pass
                else:
                    equal(c.failure(), (code, 4000 + code), data[:40])
        for first, code in ((message(PING, 0, bytes(8)), UNEXPECTED), (hello(low=2, high=3), BAD_VERSION),
                            (message(HELLO, 0, b"SLPX" + bytes(42)), MALFORMED)):
            with WebSocket(relay.port) as ws:
                ws.send(first)
                body = ws.receive()
                equal(struct.unpack(">H", body[8:10])[0], code)
        with Client(relay) as c:
            c.send_frame(1, b"text")
            equal(c.failure(), (MALFORMED, 4000 + MALFORMED))


def test_keep_alive(emulator):
    with Relay("--keepalive", "3") as relay, Client(relay) as c, WebSocket(relay.port) as silent:
        ping = None
        while not ping:
            batch = c.receive()
            ping = batch[0] == PING and batch[8:16]
        start = time.monotonic()
        c.send(message(PONG, 0, ping))
        try:
            while True:
                batch = c.receive()
                if batch[0] == FAIL:
                    equal(struct.unpack(">H", batch[8:10])[0], TIMEOUT)
        except Closed as e:
            equal(e.code, 4000 + TIMEOUT)
        check(time.monotonic() - start < 30, "no time limit for a silent client")
        body = silent.receive()
        equal(struct.unpack(">H", body[8:10])[0], TIMEOUT, "no HELLO")


def test_kill_and_restart_under_load(emulator):
    """Clients come back by themselves; here: as soon as the relay is there again, their sessions go on as new ones."""
    stop, times, errors = threading.Event(), [], []

    def client(port, number):
        c, mac = None, f"0200000001{number:02x}"
        session, key = bytes(16), bytes(16)
        try:
            while not stop.is_set():
                try:
                    c = Client(port, session, key)
                    c.join(1, "lab")
                except (OSError, Closed):
                    time.sleep(0.05)
                    continue
                session, key = c.session, c.key
                times.append((number, time.monotonic()))
                try:
                    while not stop.is_set():
                        c.send(message(FRAMES, 1, frame_entry(ethernet(ALL, mac, bytes(1400))) * 8))
                        c.send(message(PING, 0, bytes(8)))
                        while True:
                            kind, _, body = c.next()
                            if kind == PONG:
                                break
                            if kind == FRAMES:
                                c.send(message(CREDIT, 1, struct.pack(">I", len(body))))
                except (OSError, Closed):
                    pass
        except Exception as e:
            errors.append(e)

    first = Relay()
    threads = [threading.Thread(target=client, args=(first.port, n), daemon=True) for n in range(8)]
    for t in threads:
        t.start()
    while len(times) < 8 and not errors:
        time.sleep(0.05)
    time.sleep(0.5)
    first.process.kill()
    first.process.wait()
    before = len(times)
    with Relay(listen=f"127.0.0.1:{first.port}") as second:
        up = time.monotonic()
        while len({n for n, _ in times[before:]}) < 8 and time.monotonic() < up + 20 and not errors:
            time.sleep(0.05)
        equal(errors, [])
        equal(len({n for n, _ in times[before:]}), 8, "clients that are back")
        slowest = max(t for _, t in times[before:before + 8]) - up
        stop.set()
        for t in threads:
            t.join(20)
        check(slowest < 2 or os.getloadavg()[0] > 4, f"the slowest needed {slowest:.1f} s")
