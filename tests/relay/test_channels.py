"""Channels of the relay's protocol: tcp, udp, icmp, listen, dns, ether."""
import hashlib
import os
import signal
import socket
import struct
import threading
import time

from namespace import add_address, in_namespace, replace_file, resolv_conf  # of tests/net
from relay import *

LOCAL = "--egress", "public,loopback"


def test_tcp_echo_and_half_close(emulator):
    with Relay(*LOCAL) as relay, Server(echo) as server, Client(relay) as c:
        error, window, local = c.open(1, TCP, address("127.0.0.1", server.port))
        equal((error, local[0]), (0, "127.0.0.1"))
        check(window >= 16384, f"window {window}")
        c.send(message(DATA, 1, b"hello ") + message(DATA, 1, b"world") + message(SHUT, 1))
        data = b""
        while len(data) < 11:
            data += c.expect(DATA, 1)
        equal(data, b"hello world")
        equal(c.expect(SHUT, 1), b"")
        equal(c.expect(CLOSE, 1), bytes(4))
        c.send(message(CLOSE, 1, bytes(4)))
        equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0, "the number is free again")


def pour_bulk(pieces):
    """Pours so many MiB through a relay. Beside it on the same connection, and so between its messages: WebSocket's pongs, an echo
    on another channel, frames of a room; and the client reads now and then."""
    block = os.urandom(1 << 20)
    wanted = hashlib.md5()
    order = [os.urandom(1)[0] << 10 for _ in range(pieces)]
    for at in order:
        wanted.update(block[at:] + block[:at])

    def pour(s):
        for at in order:
            s.sendall(block[at:] + block[:at])
        s.shutdown(socket.SHUT_WR)
        s.recv(1)
    with Relay(*LOCAL) as relay, Server(pour) as server, Server(echo) as small, Client(relay) as c, Client(relay) as other:
        equal(c.open(2, TCP, address("127.0.0.1", small.port))[0], 0)
        c.join(3, "lab", window=0x7fffffff)
        other.join(1, "lab")
        equal(c.open(1, TCP, address("127.0.0.1", server.port), window=0x7fffffff)[0], 0)
        got, echoed, frames, pongs, n = hashlib.md5(), b"", 0, 0, 0
        while True:
            n += 1
            if n % 40 == 0:
                time.sleep(0.05)
            if n % 7 == 0:
                c.send_frame(9, b"ping")
                c.send(message(DATA, 2, b"echo"))
                other.send(message(FRAMES, 1, frame_entry(ethernet(ALL, A))))
            while not c.messages:
                fin, opcode, batch = c.receive_frame()
                check(fin and opcode in (2, 10), lambda: f"a frame with opcode {opcode}")
                pongs += opcode == 10
                while opcode == 2 and batch:
                    length = int.from_bytes(batch[1:4], "big")
                    c.messages.append((batch[0], int.from_bytes(batch[4:8], "big"), batch[8:8 + length]))
                    batch = batch[8 + length:]
            kind, channel, body = c.messages.pop(0)
            if (kind, channel) == (DATA, 1):
                got.update(body)
            elif (kind, channel) == (SHUT, 1):
                break
            elif (kind, channel) == (DATA, 2):
                echoed += body
            elif (kind, channel) == (FRAMES, 3):
                frames += len(body) // 64
            else:
                check(kind == CREDIT, lambda: f"a message of type {kind:#x}")
        equal(got.hexdigest(), wanted.hexdigest(), "what arrived")
        check(pongs and frames and echoed == b"echo" * (len(echoed) // 4), lambda: f"{pongs} pongs, {frames} frames, {echoed[:40]}")


def test_bulk_beside_other_channels(emulator):
    pour_bulk(96)


@in_namespace
def test_bulk_into_small_sockets(emulator):
    with open("/proc/sys/net/ipv4/tcp_wmem", "w") as f:
        f.write("4096 16384 200000")
    pour_bulk(48)


def test_tcp_errors_have_their_errno(emulator):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = s.getsockname()[1]
    with Relay(*LOCAL, "--deny", "127.0.0.9") as relay, Client(relay) as c:
        equal(c.open(1, TCP, address("127.0.0.1", free))[0], 111, "refused")
        equal(c.open(2, TCP, address("127.0.0.9", free))[0], 13, "denied by the configuration")
        equal(c.open(3, TCP, address("10.0.0.1", 80))[0], 13, "private")
        equal(c.open(4, TCP, address("169.254.169.254", 80))[0], 13, "metadata")
        equal(c.open(5, TCP, address("::ffff:10.0.0.1", 80))[0], 13, "private, mapped")


def test_tcp_reset_is_passed_on_both_ways(emulator):
    def reset(s):
        s.recv(1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    seen = []

    def wait_for_reset(s):
        try:
            while s.recv(100):
                pass
            seen.append(0)
        except OSError as e:
            seen.append(e.errno)

    with Relay(*LOCAL) as relay, Server(reset) as server, Server(wait_for_reset) as other, Client(relay) as c:
        equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0)
        c.send(message(DATA, 1, b"x"))
        equal(c.expect(CLOSE, 1)[:2], struct.pack(">H", 104))
        equal(c.open(2, TCP, address("127.0.0.1", other.port))[0], 0)
        c.send(message(CLOSE, 2, struct.pack(">HH", 104, 0)))
        equal(c.expect(CLOSE, 2), bytes(4))
        for _ in range(200):
            if seen:
                break
            time.sleep(0.05)
        equal(seen, [104], "the peer sees a RST")


def test_tcp_credit_holds_a_sender_back(emulator):
    sent = [0]

    def pour(s):
        while True:
            sent[0] += s.send(bytes(65536))

    with Relay(*LOCAL) as relay, Server(pour) as server, Client(relay) as c:
        equal(c.open(1, TCP, address("127.0.0.1", server.port), window=100000)[0], 0)
        got = 0
        while got < 100000:
            got += len(c.expect(DATA, 1))
        equal(got, 100000, "no more than the window")
        c.socket.settimeout(0.7)
        try:
            raise Failure(f"{c.next()} without credit")
        except TimeoutError:
            pass
        c.socket.settimeout(20)
        before = sent[0]
        time.sleep(0.3)
        equal(sent[0], before, "the sender is held back")
        c.send(message(CREDIT, 1, struct.pack(">I", 5000)))
        while got < 105000:
            got += len(c.expect(DATA, 1))
        equal(got, 105000)


def test_tcp_credit_comes_back_when_the_peer_reads(emulator):
    go = threading.Event()
    total = [0]

    def lazy(s):
        go.wait(20)
        while data := s.recv(1 << 16):
            total[0] += len(data)

    with Relay(*LOCAL) as relay, Server(lazy) as server, Client(relay) as c:
        _, window, _ = c.open(1, TCP, address("127.0.0.1", server.port))
        sent, credit = 0, window
        size = 20 << 20
        c.socket.settimeout(1)
        while credit:
            n = min(credit, 65536)
            c.send(message(DATA, 1, bytes(n)))
            sent, credit = sent + n, credit - n
            if not credit:
                try:
                    credit += struct.unpack(">I", c.expect(CREDIT, 1))[0]
                except TimeoutError:
                    break
        check(sent < size, "credit is endless")
        c.socket.settimeout(20)
        go.set()
        while sent < size:
            while not credit:
                credit += struct.unpack(">I", c.expect(CREDIT, 1))[0]
            n = min(credit, 65536, size - sent)
            c.send(message(DATA, 1, bytes(n)))
            sent, credit = sent + n, credit - n
        c.send(message(SHUT, 1))
        c.expect(SHUT, 1)
        equal(total[0], size)


def test_tcp_megabytes_arrive_unchanged(emulator):
    data = os.urandom(8 << 20)
    with Relay(*LOCAL) as relay, Server(echo) as server, Client(relay) as c:
        _, credit, _ = c.open(1, TCP, address("127.0.0.1", server.port))
        sent, back = 0, bytearray()
        while len(back) < len(data):
            while sent < len(data) and credit > 0:
                n = min(credit, 50000, len(data) - sent)
                c.send(message(DATA, 1, data[sent:sent + n]))
                sent, credit = sent + n, credit - n
            kind, _, body = c.next()
            if kind == CREDIT:
                credit += struct.unpack(">I", body)[0]
            elif kind == DATA:
                back += body
                c.send(message(CREDIT, 1, struct.pack(">I", len(body))))
            else:
                raise Failure(f"message {kind:#x}")
        check(bytes(back) == data, "differs")


def test_tcp_data_goes_on_before_its_message_is_whole(emulator):
    with Relay(*LOCAL) as relay, Server(echo) as server:
        for cut_at in (8, 9, 5000, 7):
            with Client(relay) as c:
                equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0)
                whole = message(PING, 0, bytes(8)) + message(DATA, 1, bytes(range(256)) * 40)
                cut = 16 + cut_at
                c.send_frame(2, whole[:cut], fin=False)
                c.expect(PONG)
                got = b""
                while len(got) < cut_at - 8:
                    got += c.expect(DATA, 1)
                c.send_frame(0, whole[cut:cut + 700], fin=False)
                c.send_frame(0, whole[cut + 700:] + message(DATA, 1, b"end") + message(PING, 0, bytes(8)))
                while not got.endswith(b"end"):
                    kind, _, body = c.next()
                    got += body if kind == DATA else b""
                equal(got, bytes(range(256)) * 40 + b"end")
                c.send_frame(2, whole[:cut + 10], fin=False)
                c.send_frame(0, b"")
                equal(c.failure()[0], TRUNCATED)


def test_tcp_urgent_data(emulator):
    got = []

    def serve(s):
        got.append(s.recv(1, socket.MSG_WAITALL))
        for _ in range(100):
            try:
                got.append(s.recv(1, socket.MSG_OOB))
                break
            except OSError:
                time.sleep(0.05)
        s.send(b"!", socket.MSG_OOB)
        s.recv(10)

    with Relay(*LOCAL) as relay, Server(serve) as server, Client(relay) as c:
        equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0)
        c.send(message(DATA, 1, b"a") + message(URGENT, 1, b"b"))
        equal(c.expect(URGENT, 1), b"!")
        equal(got, [b"a", b"b"])


def test_udp_both_ways_and_unreachable(emulator):
    with Relay(*LOCAL) as relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, Client(relay) as c:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        port = peer.getsockname()[1]
        equal(c.open(1, UDP, address("0.0.0.0"))[0], 0)
        big = os.urandom(60000)
        c.send(message(DGRAMS, 1, dgram_entry("127.0.0.1", port, b"one") + dgram_entry("127.0.0.1", port, big)))
        equal(peer.recv(100), b"one")
        data, back = peer.recvfrom(65536)
        equal(data, big)
        peer.sendto(b"", ("127.0.0.1", back[1]))
        peer.sendto(big, ("127.0.0.1", back[1]))
        got = b""
        while len(got) < 48 + len(big):
            got += c.expect(DGRAMS, 1)
        equal(got, dgram_entry("127.0.0.1", port, b"") + dgram_entry("127.0.0.1", port, big))
        peer.close()
        c.send(message(DGRAMS, 1, dgram_entry("127.0.0.1", port, b"x")))
        body = c.expect(UNREACH, 1)
        equal((body[:2], address_text(body[4:])), (struct.pack(">H", 111), ("127.0.0.1", port)))
        c.send(message(DGRAMS, 1, dgram_entry("10.0.0.1", 9, b"x")))
        equal(c.expect(UNREACH, 1)[:2], struct.pack(">H", 13))


def test_listen_and_accept(emulator):
    with Relay(*LOCAL, "--bind", "127.0.0.1:0,127.0.0.1:30000-60999") as relay, Client(relay) as c:
        equal(c.open(1, LISTEN, address("0.0.0.0", 0) + struct.pack(">HH", 5, 0))[0], 13, "any address isn't allowed")
        equal(c.open(1, LISTEN, address("127.0.0.1", 80) + struct.pack(">HH", 5, 0))[0], 13, "port 80 isn't allowed")
        error, _, (ip, port) = c.open(1, LISTEN, address("127.0.0.1", 0) + struct.pack(">HH", 5, 0))
        equal((error, ip), (0, "127.0.0.1"))
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(10)
            s.sendall(b"early")
            kind, channel, body = c.next()
            equal((kind, channel >> 31, body[:4], address_text(body[8:28])),
                  (ACCEPT, 1, struct.pack(">I", 1), s.getsockname()))
            c.send(message(ACCEPTED, channel, struct.pack(">HHI", 0, 0, WINDOW)))
            equal(c.expect(DATA, channel), b"early")
            c.send(message(DATA, channel, b"answer") + message(SHUT, channel))
            equal(s.recv(100), b"answer")
            equal(s.recv(100), b"")
        equal(c.expect(SHUT, channel), b"")
        c.expect(CLOSE, channel)
        c.send(message(CLOSE, channel, bytes(4)))
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(10)
            channel = c.next()[1]
            c.send(message(ACCEPTED, channel, struct.pack(">HHI", 111, 0, 0)))
            try:
                equal(s.recv(1), b"", "refused")
            except ConnectionResetError:
                pass
        c.send(message(CLOSE, 1, bytes(4)))
        c.expect(CLOSE, 1)
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            raise Failure("still listens")
        except ConnectionRefusedError:
            pass


def ethernet(to, sender, payload=b"x" * 46):
    return bytes.fromhex(to) + bytes.fromhex(sender) + b"\x88\xb5" + payload


A, B, D, ALL = "020000000001", "020000000002", "020000000003", "ffffffffffff"


def frames_of(body):
    while body:
        n = int.from_bytes(body[:4], "big")
        yield body[4:4 + n]
        body = body[4 + n:]


def test_rooms_learn_addresses_and_are_apart(emulator):
    with Relay() as relay, Client(relay) as a, Client(relay) as b, Client(relay) as d, Client(relay) as other:
        for c in a, b, d:
            c.join(7, "lab")
        other.join(7, "lab2")
        hello_all = ethernet(ALL, A)
        a.send(message(FRAMES, 7, frame_entry(hello_all) * 3))
        equal(b.expect(FRAMES, 7), frame_entry(hello_all) * 3, "a batch stays one")
        equal(d.expect(FRAMES, 7), frame_entry(hello_all) * 3)
        to_a = ethernet(A, B)
        b.send(message(FRAMES, 7, frame_entry(to_a)))
        equal(a.expect(FRAMES, 7), frame_entry(to_a))
        a.send(message(FRAMES, 7, frame_entry(ethernet(B, A)) + frame_entry(ethernet(ALL, A, b"e" * 50))))
        equal(d.expect(FRAMES, 7), frame_entry(ethernet(ALL, A, b"e" * 50)), "d got nothing of what a and b said")
        other.send(message(PING, 0, b"12345678"))
        equal(other.next(), (PONG, 0, b"12345678"), "the other room got nothing")
        equal(a.open(8, ETHER, struct.pack(">H", 3) + b"two")[0], 0, "a second room on one connection")


def test_room_permissions(emulator):
    with Relay("--rooms", "lab,home-*") as relay, Client(relay) as c:
        for room, error in (("lab", 0), ("lab2", 13), ("home-", 0), ("home-x", 0), ("other", 13)):
            equal(c.open(1, ETHER, struct.pack(">H", len(room)) + room.encode())[0], error, room)
            if not error:
                c.send(message(CLOSE, 1, bytes(4)))
                c.expect(CLOSE, 1)


def test_frames_wait_for_credit_then_are_dropped(emulator):
    with Relay() as relay, Client(relay) as a, Client(relay) as b:
        a.join(1, "lab")
        b.join(1, "lab", window=139272)
        frame = ethernet(ALL, A, bytes(1500))
        for _ in range(10):
            a.send(message(FRAMES, 1, frame_entry(frame) * 100))
        a.send(message(PING, 0, bytes(8)))
        a.expect(PONG)
        got = 0
        while got + 4 + len(frame) <= 139272:
            got += len(b.expect(FRAMES, 1))
        check(got <= 139272, f"{got} bytes with a window of 139272")
        check(relay.metric("frames_dropped_total") > 500, "nothing was dropped")
        b.send(message(CREDIT, 1, struct.pack(">I", 1 << 20)))
        more = 0
        b.send(message(PING, 0, bytes(8)))
        while True:
            kind, _, body = b.next()
            if kind == PONG:
                break
            more += len(body)
        check(100000 < more <= 256 << 10, f"{more} bytes waited")


def dns_query(name, ident=0x1234):
    return struct.pack(">HHHHHH", ident, 0x100, 1, 0, 0, 0) + \
        b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)


class NameServer:
    """Answers every A question with 192.0.2.1; those of "silent" not at all, those of "long" cut off over UDP."""

    def __init__(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.53", 53))
        self.tcp = Server(self.serve, "127.0.0.53", 53)
        threading.Thread(target=self.run, daemon=True).start()

    def answer(self, q, cut):
        head = q[:2] + struct.pack(">HHHHH", 0x8180 | (0x200 if cut else 0), 1, 0 if cut else 1, 0, 0)
        return head + q[12:] + (b"" if cut else b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 1]))

    def run(self):
        while True:
            q, back = self.udp.recvfrom(4096)
            if b"silent" not in q:
                self.udp.sendto(self.answer(q, b"long" in q), back)

    def serve(self, s):
        n = s.recv(2)
        while n:
            a = self.answer(s.recv(int.from_bytes(n, "big")), False)
            s.sendall(struct.pack(">H", len(a)) + a)
            n = s.recv(2)


@in_namespace
def test_dns(emulator):
    NameServer()
    with Relay("--nameserver", "127.0.0.53", "--dns-timeout", "2") as relay, Client(relay) as c:
        equal(c.open(1, DNS)[0], 0)
        for ident, name in enumerate(("one.example", "long.example", "two.example")):
            c.send(message(QUERY, 1, struct.pack(">I", 70 + ident) + dns_query(name, 0x1000 + ident)))
        answers = {}
        for _ in range(3):
            body = c.expect(ANSWER, 1)
            answers[struct.unpack(">I", body[:4])[0]] = body
        for ident in range(3):
            body = answers[70 + ident]
            equal((body[4:8], body[8:10], body[-4:]),
                  (bytes(4), struct.pack(">H", 0x1000 + ident), bytes([192, 0, 2, 1])))
        c.send(message(QUERY, 1, struct.pack(">I", 9) + dns_query("silent.example")))
        equal(c.expect(ANSWER, 1), struct.pack(">IHH", 9, 110, 0))
    with Relay("--dns", "off") as relay, Client(relay) as c:
        equal(c.open(1, DNS)[0], 13)


@in_namespace
def test_dns_of_the_system(emulator):
    """Without `nameserver` those of /etc/resolv.conf are asked, one after the other; also for the names of Wisp's streams. With all
    privileges gone."""
    resolv_conf("# the first doesn't answer\nnameserver 127.0.0.9\nnameserver 127.0.0.53\n")
    NameServer()
    add_address("192.0.2.1")
    with Server(echo, "192.0.2.1") as server, Relay("--egress", "documentation", *([] if os.getuid() else ["--user", "nobody"])) as relay:
        with Client(relay) as c:
            equal(c.open(1, DNS)[0], 0)
            c.send(message(QUERY, 1, struct.pack(">I", 7) + dns_query("one.example")))
            body = c.expect(ANSWER, 1)
            equal((body[:8], body[-4:]), (struct.pack(">II", 7, 0), bytes([192, 0, 2, 1])))
        with WebSocket(relay.port, "/wisp/", protocol=None) as ws:
            ws.receive()
            ws.send(struct.pack("<BIBH", 1, 1, 1, server.port) + b"two.example")
            ws.send(struct.pack("<BI", 2, 1) + b"by name")
            equal(ws.receive(), struct.pack("<BI", 2, 1) + b"by name")


@in_namespace
def test_dns_follows_resolv_conf(emulator):
    resolv_conf("nameserver 127.0.0.9\n")
    NameServer()
    with Relay(*([] if os.getuid() else ["--user", "nobody"])) as relay, Client(relay) as c:
        equal(c.open(1, DNS)[0], 0)
        c.send(message(QUERY, 1, struct.pack(">I", 1) + dns_query("one.example")))
        with open("/etc/resolv.conf", "w") as f:
            f.write("nameserver 127.0.0.53\n")
        equal(c.expect(ANSWER, 1)[:6], struct.pack(">IH", 1, 5), "asked of the old one: EIO")
        for n in range(2, 40):  # guests ask again
            c.send(message(QUERY, 1, struct.pack(">I", n) + dns_query("one.example")))
            body = c.expect(ANSWER, 1)
            if not body[5]:
                break
            time.sleep(0.2)
        equal((body[:8], body[-4:]), (struct.pack(">II", n, 0), bytes([192, 0, 2, 1])))


def name_of_a_wisp_stream(relay, name, port):
    """What a stream to it gets: DATA or CLOSE, and the payload."""
    with WebSocket(relay.port, "/wisp/", protocol=None) as ws:
        ws.receive()
        ws.send(struct.pack("<BIBH", 1, 1, 1, port) + name.encode())
        ws.send(struct.pack("<BI", 2, 1) + b"by name")
        while True:
            packet = ws.receive()
            if packet[0] in (2, 4):
                return packet[0], packet[5:]


@in_namespace
def test_names_follow_nsswitch_conf(emulator):
    """The hosts file has this machine's address, DNS one that is closed to clients. Both are followed by themselves and at SIGHUP, and
    after it the nameserver of the configuration is still asked."""
    NameServer()
    replace_file("/etc/hosts", "127.0.0.1 one.example\n")
    resolv_conf("nameserver 127.0.0.53\n")
    replace_file("/etc/nsswitch.conf", "hosts: files dns\n")
    for options in [], ["--nameserver", "127.0.0.53"]:
        with Relay(*LOCAL, "--log-level", "debug", *options) as relay, Server(echo) as server:
            for order, wanted in ("dns", (4, b"\x48")), ("files", (2, b"by name")), ("dns", (4, b"\x48")):
                with open("/etc/nsswitch.conf", "w") as f:
                    f.write(f"hosts: {order} # changed\n")
                if options:
                    relay.process.send_signal(signal.SIGHUP)
                for _ in range(40):
                    got = name_of_a_wisp_stream(relay, "one.example", server.port)
                    if got == wanted:
                        break
                    time.sleep(0.1)
                equal(got, wanted, f"hosts: {order}")


@in_namespace
def test_ping(emulator):
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:
        f.write("0 0")
    request = struct.pack(">BBHHH", 8, 0, 0, 0x1234, 7) + b"data of the guest"
    with Relay(*LOCAL) as relay, Client(relay) as c:
        equal(c.open(1, ICMP, address("0.0.0.0"))[0], 0)
        c.send(message(DGRAMS, 1, dgram_entry("127.0.0.1", 0, request)))
        body = c.expect(DGRAMS, 1)
        equal(address_text(body[4:24]), ("127.0.0.1", 0))
        reply = body[24:]
        equal(reply[:2] + reply[4:], b"\0\0" + request[4:], "the guest's identifier, sequence, data")
        padded = reply + b"\0" * (len(reply) % 2)
        total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
        total = (total & 0xffff) + (total >> 16)
        equal((total & 0xffff) + (total >> 16), 0xffff, "checksum")
