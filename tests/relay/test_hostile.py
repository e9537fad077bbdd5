"""Clients that want to do harm: memory stays bounded, the others don't notice."""
import contextlib
import os
import resource
import socket
import struct
import subprocess
import threading
import time

from relay import *
from test_channels import A, ALL, B, NameServer, dns_query, ethernet

MIB = 1 << 20


def pour(s):
    while True:
        s.sendall(bytes(1 << 16))


def lives(client, what):
    """A well-behaved client is served promptly."""
    start = time.monotonic()
    client.send(message(PING, 0, b"are you?"))
    while client.next()[0] != PONG:
        pass
    check(time.monotonic() - start < 5, f"{what}: the others wait")


def test_slow_reader(emulator):
    with Relay("--egress", "loopback") as relay, Server(pour) as server, Client(relay) as good:
        before = relay.memory()
        slow = [Client(relay, receive_buffer=4096) for _ in range(8)]
        for c in slow:
            for n in range(1, 31):
                c.send(message(OPEN, n, struct.pack(">B3xI", TCP, 0x7fffffff) + address("127.0.0.1", server.port)))
        for _ in range(20):
            lives(good, "slow readers")
            time.sleep(0.1)
        check(relay.memory() - before < mebibytes(30), f"{(relay.memory() - before) // MIB} MiB for 8 clients that don't read")
        for c in slow:
            c.close()


def test_slow_reader_of_many_small_pieces(emulator):
    """What waits for it costs what it has, not a buffer for each byte that a server sends."""
    stop = threading.Event()

    def drip(s):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not stop.is_set():
            s.send(b".")
            time.sleep(0.0005)
    with Relay("--egress", "loopback") as relay, Server(pour) as server, Server(drip) as drops, Client(relay, receive_buffer=4096) as slow:
        waits = number = 0
        while waits < 3:  # its socket takes no more, and the queue has room
            number += 1
            slow.send(message(OPEN, number, struct.pack(">B3xI", TCP, 64 << 10) + address("127.0.0.1", server.port)))
            time.sleep(0.02)
            waits = waits + 1 if relay.metric("memory_bytes") else 0
            check(number < 400, "the client's socket takes everything")
        before = relay.memory()
        for n in range(20):
            slow.send(message(OPEN, number + 1 + n, struct.pack(">B3xI", TCP, 1 << 20) + address("127.0.0.1", drops.port)))
        time.sleep(4)
        took = relay.memory() - before
        stop.set()
        check(took < 4 * MIB, f"{took >> 10} KiB for {relay.metric('memory_bytes') >> 10} KiB that wait")


def test_flood_of_pings_without_reading(emulator):
    """The protocol's own, WebSocket's, and both in turn, so that each answer is a block of the queue."""
    ping = message(PING, 0, bytes(8))
    for flood in (lambda c: c.frame(2, ping * 60000), lambda c: c.frame(9) * 160000, lambda c: (c.frame(2, ping) + c.frame(9)) * 40000):
        with Relay() as relay, Client(relay) as good, Client(relay, receive_buffer=4096) as bad:
            before = relay.memory()
            bad.socket.settimeout(1)
            with contextlib.suppress(OSError):
                for _ in range(100):
                    bad.socket.sendall(flood(bad))
            lives(good, "pings")
            check(SANITIZED or relay.memory() - before < 20 * MIB, f"{(relay.memory() - before) // MIB} MiB for answers that nobody reads")
            relay.wait_log("doesn't read|kept=")


@in_namespace
def test_questions_that_are_given_up(emulator):
    """Names that nobody answers for, of streams and channels that end at once: what the resolver has under way is bounded."""
    NameServer()

    def drain(s):
        with contextlib.suppress(OSError):
            while s.recv(1 << 16):
                pass
    with Relay("--nameserver", "127.0.0.53", "--dns-timeout", "20") as relay, Client(relay) as good:
        before = relay.memory()
        with WebSocket(relay.port, "/wisp/", protocol=None) as wisp, Client(relay) as asker:
            threading.Thread(target=drain, args=[wisp.socket], daemon=True).start()
            question = message(QUERY, 1, struct.pack(">I", 1) + dns_query("silent.example"))
            asker.socket.settimeout(20)
            for n in range(1, 200):
                asker.send(message(OPEN, 1, struct.pack(">B3xI", DNS, 1 << 20)) + question * 256 + message(CLOSE, 1, bytes(4)))
                while asker.next()[:2] != (CLOSE, 1):
                    pass
                wisp.socket.sendall(b"".join(
                    wisp.frame(2, struct.pack("<BIBH", 1, i, 1, 80) + b"%d.silent.example" % i) + wisp.frame(2, struct.pack("<BIB", 4, i, 2))
                    for i in range(400 * n, 400 * n + 400)))
        lives(good, "given up questions")
        check(SANITIZED or relay.memory() - before < 20 * MIB, f"{(relay.memory() - before) // MIB} MiB for questions")


def test_slow_loris(emulator):
    """Half a request, half a batch, byte by byte: each has its time, or little memory."""
    with Relay("--max-clients", "200") as relay, Client(relay) as good:
        before = relay.memory()
        half = []
        for _ in range(300):
            s = socket.create_connection(("127.0.0.1", relay.port), 20)
            s.sendall(b"GET / HTTP/1.1\r\nX-")
            half.append(s)
        clients = [Client(relay) for _ in range(50)]
        for c in clients:  # half a message of 256 KiB each, then nothing
            c.socket.sendall(c.frame(2, message(FRAMES, 1, bytes(262144))[:200000])[:150000])
        lives(good, "slow loris")
        check(relay.memory() - before < 50 * MIB, f"{(relay.memory() - before) // MIB} MiB")
        end = time.monotonic() + 40
        for s in half:
            s.settimeout(max(0.1, end - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                while s.recv(1000):
                    pass
        check(time.monotonic() < end, "half requests are waited for")
        lives(good, "slow loris")
        for c in clients:
            c.close()


def test_connect_flood(emulator):
    with Relay("--max-clients", "50") as relay, Client(relay) as good:
        good.join(1, "lab")
        up, statuses = [], []
        for _ in range(120):
            ws = WebSocket(relay.port)
            statuses.append(ws.status)
            up.append(ws)
        equal((statuses.count(101), statuses.count(503)), (49, 71))
        lives(good, "connect flood")
        for ws in up:
            ws.close()
        for _ in range(2000):
            s = socket.create_connection(("127.0.0.1", relay.port), 20)
            s.close()
        for _ in range(100):
            if relay.metric("clients") == 1:
                break
            time.sleep(0.05)
        equal(relay.metric("clients"), 1)
        with Client(relay) as c:
            lives(c, "afterwards")
        lives(good, "connect flood")


def test_limit_of_clients_per_address(emulator):
    with Relay("--max-clients-per-address", "3") as relay:
        a = [WebSocket(relay.port) for _ in range(4)]
        equal([ws.status for ws in a], [101, 101, 101, 503])
        for ws in a:
            ws.close()


def test_credit_violation(emulator):
    done = threading.Event()
    with Relay("--egress", "loopback") as relay, Server(lambda s: done.wait(20)) as server, Client(relay) as good:
        with Client(relay) as bad:
            _, window, _ = bad.open(1, TCP, address("127.0.0.1", server.port))
            piece = message(DATA, 1, bytes(200000))
            with contextlib.suppress(OSError):
                for _ in range(200):
                    bad.send(piece)
            code = bad.failure()[0]
            check(code in (CREDIT_EXCEEDED, None), f"FAIL {code}")
        relay.wait_log("code=CREDIT_EXCEEDED")
        done.set()
        lives(good, "credit violation")
        with Client(relay) as bad:
            bad.open(1, TCP, address("127.0.0.1", server.port))
            bad.send(message(CREDIT, 1, struct.pack(">I", 0x7fffffff)))
            equal(bad.failure()[0], CREDIT_OVERFLOW)


def test_channel_exhaustion(emulator):
    with Relay("--egress", "loopback", "--max-channels", "100", "--memory", "4M") as relay, Server(echo) as server, \
            Client(relay) as good, Client(relay) as bad:
        before = relay.memory()
        results = [bad.open(n, UDP, address("0.0.0.0"))[0] for n in range(1, 151)]
        equal((results.count(0), results.count(24)), (100, 50))
        for n in range(1, 101):
            bad.send(message(CLOSE, n, bytes(4)))
            bad.expect(CLOSE, n)
        windows = [bad.open(n, TCP, address("127.0.0.1", server.port))[:2] for n in range(1, 101)]
        check(sum(w for _, w in windows) <= 4 * MIB, "windows of more than the client's memory")
        lives(good, "channel exhaustion")
        check(relay.memory() - before < 20 * MIB, "memory")


def test_memory_of_all_clients(emulator):
    """max-memory: what one client has taken another doesn't get, until it is gone."""
    with Relay("--egress", "loopback", "--max-memory", "16M", "--memory", "64M", "--max-channels", "4000") as relay, Server(echo) as server, Client(relay) as second:
        with Client(relay) as first:
            windows = []
            while not windows or windows[-1]:
                error, window, _ = first.open(len(windows) + 1, TCP, address("127.0.0.1", server.port))
                equal(error, 0 if window else 24)
                windows.append(window)
            check((16 << 20) - (32 << 10) < sum(windows) <= 16 << 20 and sorted(windows, reverse=True) == windows, windows)
            equal(second.open(1, TCP, address("127.0.0.1", server.port))[0], 24, "nothing is left")
            lives(second, "a client with all memory")
            first.send(message(BYE))
        for _ in range(100):
            error, window, _ = second.open(1, TCP, address("127.0.0.1", server.port))
            if not error:
                break
            time.sleep(0.05)
        equal((error, window), (0, 2 << 20))


def test_oversize_messages(emulator):
    with Relay() as relay, Client(relay) as good:
        before = relay.memory()
        for payload in (struct.pack(">BBQ", 0x82, 0xff, 1 << 62), struct.pack(">BBQ", 0x82, 0xff, 1 << 63),
                        struct.pack(">BBQ", 0x82, 0xff, 1 << 30)):
            with Client(relay) as bad:
                bad.socket.settimeout(2)
                with contextlib.suppress(OSError):
                    bad.socket.sendall(payload + b"abcd")
                    for _ in range(80):
                        bad.socket.sendall(bytes(1 << 16))
                lives(good, "oversize")
        with Client(relay) as bad:  # without end, in fragments
            with contextlib.suppress(OSError):
                bad.send_frame(2, message(PING, 0, bytes(8)) * 100, fin=False)
                for _ in range(2000):
                    bad.send_frame(0, message(PING, 0, bytes(8)) * 100, fin=False)
            equal(bad.failure()[0] in (OVERSIZE, None), True)
        relay.wait_log("code=OVERSIZE")
        check(relay.memory() - before < 20 * MIB, "memory")


def test_rates(emulator):
    with Relay("--max-bytes-per-second", "2M", "--max-frames-per-second", "2000") as relay, Client(relay) as c, Client(relay) as good:
        c.join(1, "lab")
        start, sent = time.monotonic(), 0
        frame = frame_entry(ethernet(ALL, A, bytes(46)))
        while time.monotonic() < start + 3:
            c.send(message(FRAMES, 1, frame * 100))
            sent += 100
            c.send(message(PING, 0, bytes(8)))
            while c.next()[0] != PONG:
                pass
        took = time.monotonic() - start
        check(sent < 2000 * took + 2500, f"{sent} frames in {took:.1f} s")
        check(sent > 1000 * took or os.getloadavg()[0] > 4, f"only {sent} frames in {took:.1f} s")
        lives(good, "rates")


def test_many_idle_clients_are_small(emulator):
    if DEFAULTS:
        raise Skip("a sanitizer's memory says nothing")
    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * count + 100:
        raise Skip("too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count + 100), hard))
    with Relay("--max-clients", "20000") as relay:
        first = [Client(relay) for _ in range(50)]
        before = relay.memory()
        clients = [Client(relay) for _ in range(count)]
        each = (relay.memory() - before) / count
        check(each < 16384, f"{each:.0f} bytes each")
        for c in first + clients:
            c.close()


def clone():
    """A second network namespace; returns a function that opens a socket in it, in a thread that goes there for good."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    for _ in range(200):
        if os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"):
            break
        time.sleep(0.02)

    def inside(function):
        result = []

        def thread():
            with open(f"/proc/{holder.pid}/ns/net") as f:
                libc.setns(f.fileno(), 0)
            try:
                result.append(function())
            except Exception as e:
                result.append(e)
        t = threading.Thread(target=thread)
        t.start()
        t.join(30)
        check(result, "nothing came of it")
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]
    return holder, inside


@in_namespace
def test_half_open(emulator):
    """Clients whose machine is gone without a word, with a stream, a room and half a batch: what they hold is given back in time."""
    def ip(*words):
        return subprocess.run(["ip", *words], check=True, capture_output=True)
    holder, inside = clone()
    try:
        ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(holder.pid))
        ip("addr", "add", "10.8.0.1/24", "dev", "here")
        ip("link", "set", "here", "up")
        inside(lambda: (ip("addr", "add", "10.8.0.2/24", "dev", "there"), ip("link", "set", "there", "up")))
        with Relay("--egress", "loopback", "--keepalive", "1", "--resume", "1", listen="0.0.0.0:0") as relay, Server(pour) as server, \
                Client(relay) as good:
            before = relay.memory()

            def client():
                c = Client(relay, host="10.8.0.1")
                c.join(1, "lab")
                c.open(2, TCP, address("127.0.0.1", server.port))
                c.socket.sendall(c.frame(2, message(FRAMES, 1, bytes(262144))[:200000])[:100000])
                return c
            gone = [inside(client) for _ in range(20)]
            half = inside(lambda: [socket.create_connection(("10.8.0.1", relay.port), 20) for _ in range(20)])
            equal(relay.metric("clients"), 21)
            inside(lambda: ip("link", "set", "there", "down"))
            end = time.monotonic() + 60
            while relay.metric("sessions") > 1 or relay.metric("clients") > 1:
                check(time.monotonic() < end, lambda: f"{relay.metric('sessions')} sessions, {relay.metric('clients')} clients are left")
                lives(good, "half-open")
                time.sleep(0.2)
            equal([relay.metric(m) for m in ("channels", "room_members", "memory_bytes")], [0, 0, 0], "channels, members, memory")
            # A sanitizer keeps what was freed.
            check(relay.memory() - before < mebibytes(20), f"{(relay.memory() - before) // MIB} MiB")
            for s in (*gone, *half):
                s.close()
    finally:
        holder.kill()
        holder.wait()


def test_limits_of_rooms(emulator):
    """Members, and addresses that one of them may have: a flood of made-up ones doesn't push out the others'."""
    with Relay("--max-room-members", "3", "--max-macs", "8") as relay, Client(relay) as a, Client(relay) as b, Client(relay) as d:
        for c in a, b, d:
            c.join(1, "lab")
        with Client(relay) as more:
            equal(more.open(1, ETHER, struct.pack(">H", 3) + b"lab")[0], 24, "a fourth member")
            more.join(1, "other")
        a.send(message(FRAMES, 1, frame_entry(ethernet(ALL, A))))
        b.expect(FRAMES, 1)
        d.expect(FRAMES, 1)
        for n in range(2000):
            b.send(message(FRAMES, 1, frame_entry(ethernet("020000000099", f"0400{n:08x}"))))
            if n % 100 == 99:
                b.send(message(PING, 0, bytes(8)))
                b.expect(PONG)
                for c in a, d:  # who hear them all; their credit is enough for those
                    c.expect(FRAMES, 1)
        lives(d, "a flood of addresses")
        # What is for A still goes to A alone.
        d.messages.clear()
        b.send(message(FRAMES, 1, frame_entry(ethernet(A, B, b"for a" * 10))) + message(PING, 0, bytes(8)))
        b.expect(PONG)
        d.send(message(PING, 0, b"sentinel"))
        while (got := d.next())[0] != PONG:
            check(b"for a" not in got[2], "a learned address was pushed out")
