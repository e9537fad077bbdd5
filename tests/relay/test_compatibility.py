"""Other programs' clients, unmodified: Wisp, Ethernet frames in messages, QEMU's stream through websockify."""
import contextlib
import hashlib
import json
import shutil
import socket
import struct
import subprocess
import threading
import time

from relay import *
from test_channels import A, ALL, B, ethernet, frames_of

HERE = os.path.dirname(os.path.abspath(__file__))
NPM = os.path.join(ROOT, "build/tests/relay/npm")


def npm():
    p = subprocess.run([os.path.join(HERE, "prepare")], capture_output=True, text=True)
    if p.returncode:
        raise Failure("npm packages: " + (p.stdout + p.stderr)[-500:])


def node(script, *arguments, timeout=120):
    npm()
    p = subprocess.run(["node", os.path.join(HERE, script), *map(str, arguments)], cwd=NPM, capture_output=True, text=True,
                       timeout=timeout)
    if p.returncode:
        raise Failure(f"{script}: {p.stdout[-500:]} {p.stderr[-2000:]}")
    return json.loads(p.stdout)


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_wisp_js_client(emulator):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))

    def reply():
        while True:
            data, back = udp.recvfrom(2000)
            udp.sendto(b"re: " + data, back)
    threading.Thread(target=reply, daemon=True).start()
    with Relay("--egress", "public,loopback") as relay, Server(echo) as server:
        equal(node("wisp.mjs", f"ws://127.0.0.1:{relay.port}/wisp/", server.port, closed_port(), udp.getsockname()[1]),
              {"echo": True, "refused": 0x44, "blocked": 0x48, "name": "by name", "udp": "re: datagram"})
        equal(relay.metric("channels"), 0, "streams that are left")


def wisp(port, target, query=""):
    """A client by hand with stream 1 open."""
    ws = WebSocket(port, "/wisp/" + query, protocol=None, timeout=60)
    equal(ws.receive()[:5], struct.pack("<BI", 3, 0))
    ws.send(struct.pack("<BIBH", 1, 1, 1, target) + b"127.0.0.1")
    return ws


def test_wisp_holds_clients_back_that_send_more_than_servers_take(emulator):
    """Its credit counts packets, not bytes: what is too much waits in the client's own TCP. A stream that takes nothing at all ends."""
    go, got = threading.Event(), hashlib.md5()

    def slow(s):
        go.wait(60)
        while data := s.recv(1 << 20):
            got.update(data)
        s.sendall(b"all")
    stop = threading.Event()
    with Relay("--egress", "loopback") as relay, Server(slow) as server, Server(lambda s: stop.wait(60)) as stuck:
        before = relay.memory()
        with wisp(relay.port, server.port) as ws:
            data, pieces = hashlib.md5(), [os.urandom(1 << 16) for _ in range(8)]

            def send():
                for n in range(1600):  # 100 MiB, more than the system's buffers take; and never a look at what comes back
                    ws.send(struct.pack("<BI", 2, 1) + pieces[n % 8])
                    data.update(pieces[n % 8])
            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            sender.join(1)
            check(sender.is_alive(), "nothing holds the client back")
            check(relay.memory() - before < 24 << 20, lambda: f"the relay took {relay.memory() - before} bytes")
            go.set()
            sender.join(60)
            check(not sender.is_alive(), "it goes on")
            for _ in range(200):
                if got.digest() == data.digest():
                    break
                time.sleep(0.1)
            equal(got.digest(), data.digest(), "what arrived")
        with wisp(relay.port, stuck.port) as ws:
            sender = threading.Thread(target=lambda: [ws.send(struct.pack("<BI", 2, 1) + bytes(1 << 16)) for _ in range(1600)], daemon=True)
            sender.start()
            while (packet := ws.receive())[0] == 3:
                pass
            equal(packet, struct.pack("<BIB", 4, 1, 0x49), "CLOSE, throttled")
            sender.join(30)
            check(not sender.is_alive(), "the client is read again")
        stop.set()


def test_wisp_passes_bytes_on_before_their_packet_is_whole(emulator):
    """...and when the stream ends in the middle of one, its rest is nobody's, and the next packet is looked at again."""
    first = threading.Event()

    def serve(s):
        if s.recv(1) == b"1":
            while (data := s.recv(65536)) and data[-1:] != b"9":
                first.set()
            s.sendall(b"whole")
        else:
            s.shutdown(socket.SHUT_RDWR)
    with Relay("--egress", "loopback") as relay, Server(serve) as server, wisp(relay.port, server.port) as ws:
        frame = ws.frame(2, struct.pack("<BI", 2, 1) + b"1" + bytes(50000) + b"9")
        ws.socket.sendall(frame[:1000])
        check(first.wait(20), "the beginning has arrived")
        ws.socket.sendall(frame[1000:])
        equal(ws.receive(), struct.pack("<BI", 2, 1) + b"whole")
        equal(ws.receive(), struct.pack("<BIB", 4, 1, 2), "CLOSE: the server's end")
        ws.send(struct.pack("<BIBH", 1, 2, 1, server.port) + b"127.0.0.1")
        frame = ws.frame(2, struct.pack("<BI", 2, 2) + b"2" + bytes(1000))
        ws.socket.sendall(frame[:500])
        equal(ws.receive()[:5], struct.pack("<BI", 4, 2), "CLOSE")
        ws.socket.sendall(frame[500:] + ws.frame(2, struct.pack("<BIBH", 1, 3, 1, server.port) + b"127.0.0.1")
                          + ws.frame(2, struct.pack("<BI", 2, 3) + b"19"))
        equal(ws.receive(), struct.pack("<BI", 2, 3) + b"whole", "another stream")


def test_tokens_of_other_clients_expire_too(emulator):
    with tempfile.NamedTemporaryFile() as f:
        f.write(bytes(range(40)))
        f.flush()
        with Relay("--secret", f.name, "--anonymous", "on") as relay:
            token = subprocess.run([PROGRAM, "token", "--secret", f.name, "--expires", str(int(time.time()) + 3), "--rooms", "lab"],
                                   capture_output=True, text=True, check=True).stdout.strip()
            for path in "/wisp/", "/ether/lab", "/qemu/lab":
                with WebSocket(relay.port, f"{path}?token={token}", protocol=None) as ws:
                    try:
                        while True:
                            ws.receive()
                    except Closed as e:
                        equal((path, e.code), (path, 1008))


def test_ether_endpoint_shares_rooms_with_channels(emulator):
    with Relay() as relay, Client(relay) as c, WebSocket(relay.port, "/ether/lab", protocol=None) as ws:
        c.join(1, "lab")
        ws.send(ethernet(ALL, A))
        equal(c.expect(FRAMES, 1), frame_entry(ethernet(ALL, A)))
        c.send(message(FRAMES, 1, frame_entry(ethernet(A, B)) + frame_entry(ethernet(ALL, B))))
        equal(ws.receive(), ethernet(A, B), "a message a frame")
        equal(ws.receive(), ethernet(ALL, B))
        ws.send(b"short")
        ws.send_frame(1, b'{"text": "is left alone"}')
        ws.send(ethernet(B, A))
        equal(c.expect(FRAMES, 1), frame_entry(ethernet(B, A)))
        ws.send(bytes(69633))
        try:
            ws.receive()
        except Closed as e:
            equal(e.code, 1009)


def test_qemu_endpoint_takes_pieces(emulator):
    with Relay() as relay, Client(relay) as c, WebSocket(relay.port, "/qemu/lab", protocol="binary") as ws:
        c.join(1, "lab")
        stream = frame_entry(ethernet(ALL, A)) * 3
        for piece in stream[:1], stream[1:7], stream[7:100], stream[100:]:
            ws.send(piece)
        got = b""
        while len(got) < len(stream):
            got += c.expect(FRAMES, 1)
        equal(got, stream)
        c.send(message(FRAMES, 1, frame_entry(ethernet(A, B)) * 2))
        got = b""
        while len(got) < 2 * 64:
            got += ws.receive()
        equal(got, frame_entry(ethernet(A, B)) * 2)
        ws.send(struct.pack(">I", 69633))
        try:
            ws.receive()
        except Closed as e:
            equal(e.code, 1007)


def test_compatibility_can_be_off_and_rooms_are_checked(emulator):
    with Relay("--compatibility", "off") as relay:
        for path in "/wisp/", "/ether/lab", "/qemu/lab":
            equal(WebSocket(relay.port, path, protocol=None).status, 404, path)
    with Relay("--rooms", "lab") as relay:
        for path, code in (("/ether/other", 1008), ("/ether/", 1008), ("/ether/../lab", None), ("/qemu/a%20b", 1008)):
            ws = WebSocket(relay.port, path, protocol=None)
            try:
                if ws.status == 101:
                    ws.receive()
                    raise Failure(f"{path} is open")
                equal((path, ws.status), ("/ether/../lab", 404))
            except Closed as e:
                equal(e.code, code, path)


@in_namespace
def test_native_qemu_at_the_qemu_endpoint(emulator):
    """A native QEMU's -netdev socket,connect= whose bytes a WebSocket carries, as they come, to /qemu/ROOM and back. (Debian's
    websockify has a client, too, but that fails at its first message: `mask += random.randrange(256)`.)"""
    from test_attachments import answer, dhcp_discover, is_dhcp_offer, qemu

    def carry(s):
        with WebSocket(relay.port, "/qemu/lab", protocol="binary", timeout=60) as ws:
            def down():
                with contextlib.suppress(OSError, Closed):
                    while True:
                        s.sendall(ws.receive())
            threading.Thread(target=down, daemon=True).start()
            while data := s.recv(65536):
                ws.send(data)
    with Relay() as relay, Client(relay) as c, Server(carry) as bridge:
        c.join(1, "lab")
        with qemu("socket", f"connect=127.0.0.1:{bridge.port}"):
            answer(c, 1, dhcp_discover(), is_dhcp_offer)
