"""Other programs' clients, unmodified: Wisp, Ethernet frames in messages, QEMU's stream through websockify."""
import contextlib
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
