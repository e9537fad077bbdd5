"""RFC 6455 and HTTP: framing, fragments, UTF-8, closing, reserved bits, handshakes; what other implementations do is looked at, too."""
import asyncio
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from relay import *
from test_channels import A, ALL, ethernet, frames_of
from test_compatibility import HERE, NPM, npm


def echo_frame(n):
    """A frame of n bytes that a second member of the room gets."""
    return ethernet(ALL, A, bytes(i & 255 for i in range(n - 14)))


# What a client sends, and what has to come of it: messages that the room's other member gets, then "open" or closing.
# Closing codes are those of RFC 6455 7.4.1; None: the connection may also end without a close frame.
def cases(f):
    big = echo_frame(60000)
    ping = bytes(range(125))
    return {
        "1 one frame": ([f(2, echo_frame(60))], [echo_frame(60)], "open"),
        "1 125, 126, 127, 65535, 65536 bytes": ([f(2, echo_frame(n)) for n in (125, 126, 127, 65535, 65536)],
                                                [echo_frame(n) for n in (125, 126, 127, 65535, 65536)], "open"),
        "1 mask of zeros": ([f(2, echo_frame(100), mask=bytes(4))], [echo_frame(100)], "open"),
        "2 ping is answered": ([f(9, ping), f(2, echo_frame(60))], [("pong", ping), echo_frame(60)], "open"),
        "2 ping of nothing": ([f(9)], [("pong", b"")], "open"),
        "2 pong unasked": ([f(10, b"x"), f(2, echo_frame(60))], [echo_frame(60)], "open"),
        "2 ping of 126 bytes": ([f(9, bytes(126))], [], 1002),
        "2 ping in fragments": ([f(9, b"x", fin=False)], [], 1002),
        **{f"3 reserved bits {r}": ([f(2, echo_frame(60), rsv=r)], [], 1002) for r in range(1, 8)},
        **{f"4 opcode {o}": ([f(o, b"x")], [], 1002) for o in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
        "5 two fragments": ([f(2, big[:100], fin=False), f(0, big[100:])], [big], "open"),
        "5 many fragments": ([f(2, big[:1], fin=False)] + [f(0, big[i:i + 999], fin=False) for i in range(1, 59000, 999)] +
                             [f(0, big[1 + 60 * 999:])], [big], "open"),
        "5 ping between fragments": ([f(2, big[:100], fin=False), f(9, b"p"), f(0, big[100:])], [("pong", b"p"), big], "open"),
        "5 empty fragments": ([f(2, b"", fin=False), f(0, b"", fin=False), f(0, echo_frame(60))], [echo_frame(60)], "open"),
        "5 continuation of nothing": ([f(0, b"x")], [], 1002),
        "5 new message inside one": ([f(2, b"x", fin=False), f(2, b"y")], [], 1002),
        "6 text isn't UTF-8": ([f(1, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], [], 1007),
        "6 text cut in a character": ([f(1, b"\xce", fin=False), f(0, b"\xba"), f(2, echo_frame(60))], [echo_frame(60)], "open"),
        "6 text that ends in half a character": ([f(1, b"\xce")], [], 1007),
        "7 close": ([f(8, struct.pack(">H", 1000))], [], 1000),
        "7 close with a reason": ([f(8, struct.pack(">H", 1000) + b"bye")], [], 1000),
        "7 close without a code": ([f(8)], [], 1005),
        "7 close, then data": ([f(8, struct.pack(">H", 1000)), f(2, echo_frame(60))], [], 1000),
        "7 close of one byte": ([f(8, b"\x03")], [], 1002),
        "7 close of 126 bytes": ([f(8, struct.pack(">H", 1000) + bytes(124))], [], 1002),
        **{f"7 close {code}": ([f(8, struct.pack(">H", code))], [], code) for code in (1001, 1007, 1011, 3000, 4999)},
        **{f"7 close {code}, which nobody may send": ([f(8, struct.pack(">H", code))], [], 1002) for code in (0, 999, 1005, 1006, 5000)},
        "8 not masked": ([f(2, echo_frame(60), mask=None)], [], 1002),
        "9 length of 64 bits with the highest": ([struct.pack(">BBQ", 0x82, 0xff, 1 << 63) + bytes(4)], [], 1009),
        "10 too big": ([f(2, bytes(70000))], [], 1009),
    }


def outcome(relay, sent, wanted):
    """What came of the frames: messages (pongs as pairs), then how it ended."""
    got = []
    with WebSocket(relay.port, "/ether/lab", protocol=None, timeout=15) as other, \
            WebSocket(relay.port, "/ether/lab", protocol=None, timeout=15) as ws:
        try:
            for piece in sent:
                ws.socket.sendall(piece)
            if not any(isinstance(w, tuple) for w in wanted):
                ws.send_frame(9, b"end of the case")
        except OSError:
            pass
        end = "open"
        while True:
            try:
                fin, opcode, payload = ws.receive_frame()
            except TimeoutError:
                break
            except Closed:
                end = None
                break
            if opcode == 10 and payload == b"end of the case":
                ws.socket.settimeout(0.1)  # it answers pings until its own close frame is out
                continue
            if opcode == 10 and not any(isinstance(w, tuple) for w in wanted[len(got) + 1:]):
                ws.send_frame(9, b"end of the case")
            if opcode == 10:
                got.append(("pong", payload))
            if opcode == 8:
                end = struct.unpack(">H", payload[:2])[0] if len(payload) > 1 else 1005 - len(payload)
                break
        for _ in [w for w in wanted if isinstance(w, bytes)]:
            got.append(other.receive())
        return got, end


def test_framing(emulator):
    failures = []
    with Relay() as relay:
        for name, (sent, wanted, end) in cases(lambda *a, **n: WebSocket.frame(None, *a, **n)).items():
            try:
                got = outcome(relay, sent, wanted)
            except (Failure, OSError, Closed) as e:
                failures.append(f"{name}: {e!r}")
                continue
            wanted = sorted(wanted, key=lambda w: isinstance(w, bytes))
            if got[0] != wanted:
                failures.append(f"{name}: other messages: {[len(g) for g in got[0]]}")
            # A connection that fails may end without a close frame (7.1.7); one that is closed must answer (5.5.1).
            if got[1] != end and not (end not in ("open", 1000, 1005) and got[1] is None):
                failures.append(f"{name}: ended with {got[1]} instead of {end}")
    check(not failures, "\n".join(failures))


def test_clients_wait_for_the_answer_to_their_handshake(emulator):
    """RFC 6455 4.1 forbids to send before it has come. What is sent with the handshake, whole frames or parts, closes the connection."""
    lines = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="}
    head = "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    frame = WebSocket.frame(None, 2, echo_frame(60))
    with Relay() as relay, WebSocket(relay.port, "/ether/lab", protocol=None) as other:
        for early in frame, frame[:1], frame[:30], frame * 3 + frame[:20]:
            with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as s:
                s.sendall(f"GET /ether/lab HTTP/1.1\r\n{head}\r\n".encode() + early)
                answer = b""
                while piece := s.recv(4096):
                    answer += piece
                equal(answer[answer.index(b"\r\n\r\n") + 4:], struct.pack(">BBH", 0x88, 2, 1002), f"{len(early)} bytes")
        other.send_frame(9, b"x")
        equal(other.receive_frame()[1:], (10, b"x"), "what came of it")
        equal(relay.metric("clients"), 1)


def test_handshakes(emulator):
    with Relay() as relay:
        for change, status in (({}, 101), ({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Version": None}, 426),
                               ({"Sec-WebSocket-Key": "short"}, 400), ({"Sec-WebSocket-Key": None}, 400),
                               ({"Upgrade": "WEBSOCKET"}, 101), ({"Connection": "keep-alive, Upgrade"}, 101),
                               ({"Sec-WebSocket-Extensions": "permessage-deflate"}, 101)):
            ws = WebSocket(relay.port, headers=change) if "Sec-WebSocket-Key" not in change else None
            if ws is None:
                lines = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", **change}
                equal(request(relay.port, "/slipway", {k: v for k, v in lines.items() if v})[0], status, str(change))
                continue
            equal(ws.status, status, str(change))
            check("permessage-deflate" not in ws.head, "compression was accepted")
            ws.close()
        equal(WebSocket(relay.port, "/nothing").status, 404)
        equal(WebSocket(relay.port, "/slipway/x").status, 404)


def test_python_websockets(emulator):
    import websockets

    async def run(port):
        uri = f"ws://127.0.0.1:{port}/slipway"
        async with websockets.connect(uri, subprotocols=["slipway-relay"]) as a, websockets.connect(uri, max_size=None) as b:
            equal(a.subprotocol, "slipway-relay")
            for ws in a, b:
                await ws.send(hello() + message(OPEN, 1, open_body(ETHER, WINDOW, b"\0\3lab")))
                got = b""
                while len(got) < 68 + 36:
                    got += await ws.recv()
            batch = message(FRAMES, 1, frame_entry(echo_frame(1514)) * 100)
            await a.send([batch[:5000], batch[5000:100000], batch[100000:]])
            got = []
            while len(got) < 100:
                received = await b.recv()
                while received:
                    n = int.from_bytes(received[1:4], "big")
                    got += frames_of(received[8:8 + n])
                    received = received[8 + n:]
            equal(got, [echo_frame(1514)] * 100)
            pong = await a.ping()
            await pong
            await a.close(code=4000)
            equal(a.close_code, 4000)
    with Relay() as relay:
        asyncio.run(asyncio.wait_for(run(relay.port), 30))


def test_npm_ws(emulator):
    npm()
    with Relay() as relay:
        p = subprocess.run(["node", os.path.join(HERE, "ws.mjs"), f"ws://127.0.0.1:{relay.port}"], cwd=NPM, capture_output=True,
                           text=True, timeout=60)
        check(p.returncode == 0, p.stdout + p.stderr)
        equal(json.loads(p.stdout), {"protocol": "slipway-relay", "extensions": "", "welcome": 2, "frames": 200, "close": 4001})


def test_static_files(emulator):
    with tempfile.TemporaryDirectory() as d, tempfile.TemporaryDirectory() as elsewhere:
        big = os.urandom(3 << 20)
        os.mkdir(f"{d}/sub")
        for name, data in (("index.html", b"<p>"), ("a.wasm", big), ("sub/index.html", b"sub"), (".secret", b"s"), ("x y.txt", b"t"),
                           ("m.mjs", b"1"), ("empty", b"")):
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)
        with open(f"{elsewhere}/out", "w") as f:
            f.write("out")
        os.symlink(f"{elsewhere}/out", f"{d}/link")
        os.symlink(elsewhere, f"{d}/dir")
        os.symlink("index.html", f"{d}/inside")
        with Relay("--web", d) as relay:
            for path, status, kind, body in (
                    ("/", 200, "text/html; charset=utf-8", b"<p>"), ("/a.wasm", 200, "application/wasm", big),
                    ("/m.mjs", 200, "text/javascript; charset=utf-8", b"1"), ("/sub/", 200, "text/html; charset=utf-8", b"sub"),
                    ("/x%20y.txt", 200, "text/plain; charset=utf-8", b"t"), ("/inside", 200, "application/octet-stream", b"<p>"),
                    ("/empty", 200, "application/octet-stream", b"")):
                got = relay.get(path)
                equal((got[0], got[1]["content-type"], got[2] == body), (status, kind, True), path)
            for path in ("/.secret", "/index.html%00.png", "/link", "/dir/out", "/nothing", "/../etc/passwd", "/sub/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                         "/..%2f..%2fetc/passwd", "/sub/.%2e/.secret", "/a.wasm/", "//etc/passwd", "/sub/..%5c..%5cx"):
                status = relay.get(path)[0]
                check(status in (0, 400, 403, 404), f"{path}: {status}")
            equal((relay.get("/sub")[0], relay.get("/sub")[1]["location"]), (301, "/sub/"))
            tag = relay.get("/a.wasm")[1]["etag"]
            size = len(big)
            for asked, status, part in (("bytes=0-9", 206, big[:10]), ("bytes=10-", 206, big[10:]), ("bytes=-5", 206, big[-5:]),
                                        (f"bytes={size - 1}-{size + 9}", 206, big[-1:]), (f"bytes={size}-", 416, b""),
                                        ("bytes=5-2", 200, big), ("bytes=0-1,3-4", 200, big), ("lines=1-2", 200, big), ("bytes=-0", 416, b"")):
                got = relay.get("/a.wasm", Range=asked)
                equal((got[0], got[2] == part), (status, True), asked)
            equal(relay.get("/a.wasm", Range="bytes=0-9")[1]["content-range"], f"bytes 0-9/{size}")
            equal(relay.get("/a.wasm", If_None_Match=tag)[0], 304)
            equal(relay.get("/a.wasm", If_None_Match=f'"x", W/{tag}')[0], 304)
            equal(relay.get("/a.wasm", If_None_Match='"x"')[0], 200)
            equal(relay.get("/a.wasm", Range="bytes=0-9", If_Range=tag)[0], 206)
            equal(relay.get("/a.wasm", Range="bytes=0-9", If_Range='"x"')[0], 200)
            status, headers, body = request(relay.port, "/a.wasm", method="HEAD")
            equal((status, headers["content-length"], body), (200, str(size), b""))
            equal(request(relay.port, "/", method="POST")[0], 405)
            equal(relay.get("/healthz")[2], b"ok\n")
            check("cross-origin-opener-policy" not in relay.get("/")[1], "COOP without isolation")
            time.sleep(0.02)
            with open(f"{d}/a.wasm", "wb") as f:
                f.write(b"new")
            equal((relay.get("/a.wasm", If_None_Match=tag)[0], relay.get("/a.wasm")[2]), (200, b"new"))
        with Relay("--web", d, "--isolation", "on", "--metrics", "off") as relay:
            headers = relay.get("/")[1]
            equal((headers["cross-origin-opener-policy"], headers["cross-origin-embedder-policy"]), ("same-origin", "require-corp"))
            equal(relay.get("/metrics")[0], 404)
        with Relay() as relay:
            equal(relay.get("/")[0], 404)


def test_tls(emulator):
    if not shutil.which("openssl"):
        raise Skip("no openssl")
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", f"{d}/key.pem", "-out", f"{d}/cert.pem"], check=True, capture_output=True)
        with open(f"{d}/index.html", "w") as f:
            f.write("hello")
        with Relay("--tls-cert", f"{d}/cert.pem", "--tls-key", f"{d}/key.pem", "--web", d, "--egress", "loopback") as relay:
            import websockets
            context = ssl.create_default_context(cafile=f"{d}/cert.pem")
            context.check_hostname = False
            with context.wrap_socket(socket.create_connection(("127.0.0.1", relay.port), 20)) as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                data = b""
                while piece := s.recv(65536):
                    data += piece
                check(data.endswith(b"\r\n\r\nhello"), "https")

            async def run():
                async with websockets.connect(f"wss://127.0.0.1:{relay.port}/slipway", ssl=context, max_size=None) as ws:
                    await ws.send(hello())
                    equal((await ws.recv())[0], WELCOME)
                    await ws.send(message(PING, 0, bytes(8)) * 20000)
                    got = b""
                    while len(got) < 16 * 20000:
                        got += await ws.recv()
                    await ws.send(message(OPEN, 1, open_body(TCP, 0x7fffffff, address("127.0.0.1", server.port))))
                    n = 0
                    while n < 8 << 20:  # bulk
                        batch = await ws.recv()
                        while batch:
                            length = int.from_bytes(batch[1:4], "big")
                            n += length if batch[0] == DATA else 0
                            batch = batch[8 + length:]
                    # And to the server, more than one read of the relay takes.
                    await ws.send(message(OPEN, 2, open_body(TCP, 0x7fffffff, address("127.0.0.1", back.port))))
                    while (await ws.recv())[0] != OPENED:
                        pass
                    sent, echoed = os.urandom(450000), b""
                    await ws.send(b"".join(message(DATA, 2, sent[i:i + 60000]) for i in range(0, len(sent), 60000)))
                    while len(echoed) < len(sent):
                        batch = await ws.recv()
                        while batch:
                            length = int.from_bytes(batch[1:4], "big")
                            echoed += batch[8:8 + length] if batch[0] == DATA else b""
                            batch = batch[8 + length:]
                    check(echoed == sent, "other bytes came back")
            with Server(lambda s: s.sendall(bytes(8 << 20))) as server, Server(echo) as back:
                asyncio.run(asyncio.wait_for(run(), 30))


def test_configuration_errors_name_line_and_key(emulator):
    for text, words in (("listen = 127.0.0.1:80\nlisten = here:80\n", (":2: ", "listen", "here")), ("\n\ncolour = red\n", (":3: ", "colour")),
                        ("max-clients = 0\n", (":1: ", "max-clients")), ("web = a\nweb = b\n", (":2: ", "web", "twice")),
                        ("egress = public, 10.0.0.0/33\n", (":1: ", "egress", "10.0.0.0/33")), ("just words\n", (":1: ", "just words")),
                        ("[room a/b]\n", (":1: ", "a/b")), ("[room a]\n[room a]\n", (":2: ", "twice")), ("tls-cert = x\n", ("tls-key",)),
                        ("anonymous = off\n", ("secret",)), ("secret = /nonexistent\n", ("secret", "/nonexistent")),
                        ("origin = example.org\n", (":1: ", "origin")), ("log-level = loud\n", (":1: ", "log-level")),
                        ("rooms = .x\n", (":1: ", "rooms")), ("memory = 1T\n", (":1: ", "memory"))):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write(text)
            f.flush()
            p = subprocess.run([PROGRAM, "--config", f.name, "--check-config"], capture_output=True, text=True)
            check(p.returncode == 1 and all(w in p.stderr for w in words), f"{text!r}: {p.stderr}")
    example = os.path.join(ROOT, "relay/slipway-relay.conf.example")
    with open(example) as f:
        lines = f.read()
    equal(subprocess.run([PROGRAM, "--config", example, "--check-config"], capture_output=True).returncode, 0)
    help_text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True).stdout
    for key in re.findall(r"^  --([a-z-]+) ", help_text, re.M):
        check(re.search(rf"^#?{key} = ", lines, re.M), f"{key} isn't in the example")
