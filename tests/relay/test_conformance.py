"""RFC 6455 (and 7692's negotiation) beside two other implementations: the same bytes go to the relay, to npm's ws and to
python3-websockets, and what came of them must be the same: binary messages, pongs, and how it ended. The cases are ours; they
cover what the Autobahn suite's sections 1 to 7, 9, 10, 12 and 13 do.
"""
import asyncio
import contextlib
import os
import random
import struct
import subprocess
import threading

from relay import *
from test_compatibility import HERE, NPM, npm
from test_websocket import cases, echo_frame

LIMIT = 69632
TEXT = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

# Parts of texts that aren't UTF-8 (RFC 3629), and some that are.
BAD_TEXTS = [b"\x80", b"\xbf", b"\x80\xbf\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf",
             b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80",
             b"\xf5\x80\x80\x80", b"\xc2", b"\xe1\xbd", b"\xf0\x90\x80", TEXT + b"\xed\xa0\x80edited", b"abc\xc0\x80"]
GOOD_TEXTS = [b"", b"\0", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbf", b"\xef\xbf\xbe",
              b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", TEXT]


def more_cases(f):
    e = echo_frame
    c = dict(cases(f))
    c["10 too big"] = [f(2, bytes(LIMIT + 1))], [], 1009
    c = {name: sent for name, (sent, _, _) in c.items()}
    for n, text in enumerate(BAD_TEXTS):
        c[f"6 bad text {n}"] = [f(1, text)]
        c[f"6 bad text {n} in a fragment"] = [f(1, b"ok", fin=False), f(0, text)]
        c[f"6 bad text {n} byte by byte"] = [f(1, text[:1], fin=False)] + [f(0, text[i:i + 1], fin=i == len(text) - 1) for i in range(1, len(text))] \
            if len(text) > 1 else [f(1, b"", fin=False), f(0, text)]
        c[f"7 reason of a close that is bad text {n}"] = [f(8, struct.pack(">H", 1000) + text)]
    for n, text in enumerate(GOOD_TEXTS):
        c[f"6 good text {n}"] = [f(1, text), f(2, e(60))]
        c[f"6 good text {n} byte by byte"] = [f(1, b"", fin=False)] + [f(0, bytes([b]), fin=False) for b in text] + [f(0, b""), f(2, e(60))]
    for opcode in (*range(3, 8), *range(11, 16)):
        c[f"4 opcode {opcode} after a message"] = [f(2, e(60)), f(opcode, b"")]
        c[f"4 opcode {opcode} between fragments"] = [f(2, e(60)[:20], fin=False), f(opcode, b"")]
    for r in range(1, 8):
        c[f"3 reserved bits {r} of a ping"] = [f(9, b"x", rsv=r)]
        c[f"3 reserved bits {r} of a close"] = [f(8, b"", rsv=r)]
        c[f"3 reserved bits {r} of a fragment"] = [f(2, e(60)[:20], fin=False), f(0, e(60)[20:], rsv=r)]
    for n in (1, 10):
        c[f"2 {n} pings"] = [f(9, b"p%d" % i) for i in range(n)]
    c["2 pings in one piece"] = [b"".join(f(9, b"p%d" % i) for i in range(10))]
    c["2 ping byte by byte"] = [bytes([b]) for b in f(9, bytes(range(125)))]
    c["1 message byte by byte"] = [bytes([b]) for b in f(2, e(200))]
    c["1 largest message"] = [f(2, e(LIMIT))]
    c["5 pong in fragments"] = [f(10, b"x", fin=False)]
    c["5 close between fragments"] = [f(2, e(60)[:20], fin=False), f(8, struct.pack(">H", 1000))]
    c["5 text between fragments of binary"] = [f(2, e(60)[:20], fin=False), f(1, b"x")]
    c["5 continuation after a whole message"] = [f(2, e(60)), f(0, b"x")]
    c["5 every fragment a byte"] = [f(2, b"", fin=False)] + [f(0, bytes([b]), fin=False) for b in e(100)] + [f(0, b"")]
    c["5 too big in fragments"] = [f(2, bytes(LIMIT // 2), fin=False), f(0, bytes(LIMIT // 2), fin=False), f(0, b"x")]
    for code in (1002, 1003, 1008, 1009, 1010, 3001, 4000):
        c[f"7 close {code}"] = [f(8, struct.pack(">H", code))]
    for code in (1, 1004, 1015, 1100, 2000, 2999, 65535):
        c[f"7 close {code}, which nobody may send"] = [f(8, struct.pack(">H", code))]
    c["7 longest reason"] = [f(8, struct.pack(">H", 1000) + b"r" * 123)]
    c["7 second close"] = [f(8, struct.pack(">H", 1000)), f(8, struct.pack(">H", 1001))]
    c["7 close, then ping"] = [f(8, struct.pack(">H", 1000)), f(9, b"late")]
    c["10 length of 64 bits that needs 7"] = [struct.pack(">BBQ", 0x82, 0xff, 60) + bytes(4) + e(60)]
    c["10 length of 16 bits that needs 7"] = [struct.pack(">BBH", 0x82, 0xfe, 60) + bytes(4) + e(60)]
    return c


class PythonEcho:
    def __enter__(self):
        import websockets
        ready = threading.Event()

        async def serve():
            async def echo(ws, *_):
                with contextlib.suppress(websockets.ConnectionClosed):
                    async for m in ws:
                        await ws.send(m)
            self.loop, self.done = asyncio.get_running_loop(), asyncio.Event()
            async with websockets.serve(echo, "127.0.0.1", 0, max_size=LIMIT, compression=None, close_timeout=1) as server:
                self.port = server.sockets[0].getsockname()[1]
                ready.set()
                await self.done.wait()
        import logging
        logging.getLogger("websockets").setLevel(logging.CRITICAL)
        self.thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self.thread.start()
        check(ready.wait(20), "python3-websockets doesn't start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.done.set)
        self.thread.join(10)


class NpmEcho:
    def __enter__(self):
        self.process = subprocess.Popen(["node", os.path.join(HERE, "ws_echo.mjs"), str(LIMIT)], cwd=NPM, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def outcome(port, path, sent, listener=None):
    """Binary messages and pongs that came, and the end: "open", "closed" (without a frame), or the code of the close frame. Of the relay
    the messages come at a second member of the room."""
    got, pongs, end = [], [], "open"
    marks, tries = [b"end of the case", b"and again"], 10
    with WebSocket(port, path, protocol=None, timeout=1) as ws:
        with contextlib.suppress(OSError):
            for piece in sent:
                ws.socket.sendall(piece)
            ws.send_frame(9, marks[0])
        while marks:
            try:
                _, opcode, payload = ws.receive_frame()
            except TimeoutError:  # a ping while another one's answer is under way may be left out (5.5.3)
                tries -= 1
                check(tries, lambda: f"port {port}: neither an answer nor an end, after {got}, {pongs}: {[p[:40] for p in sent]}")
                with contextlib.suppress(OSError):
                    ws.send_frame(9, marks[0])
                continue
            except Closed:
                end = "closed"
                break
            if opcode == 10 and payload == marks[0]:
                del marks[0]
                with contextlib.suppress(OSError):
                    if marks:  # a close frame that was due comes before this one's answer
                        ws.send_frame(9, marks[0])
            elif opcode == 10 and payload not in (b"end of the case", b"and again"):
                pongs.append(payload)
            elif opcode == 2:
                got.append(payload)
            elif opcode == 8:
                end = struct.unpack(">H", payload[:2])[0] if len(payload) > 1 else 1005
                break
    if listener:
        listener.send_frame(9, b"end")
        while True:
            _, opcode, payload = listener.receive_frame()
            if opcode == 10:
                break
            if opcode == 2:
                got.append(payload)
    return got, pongs, end


def test_framing_beside_other_implementations(emulator):
    npm()
    table = more_cases(lambda *a, **n: WebSocket.frame(None, *a, **n))
    check(len(table) >= 200, f"only {len(table)} cases")
    wrong = []
    with Relay("--max-macs", "1000") as relay, NpmEcho() as npm_ws, PythonEcho() as python, \
            WebSocket(relay.port, "/ether/lab", protocol=None, timeout=15) as listener:
        for name, sent in table.items():
            ours = outcome(relay.port, "/ether/lab", sent, listener)
            theirs = [outcome(npm_ws.port, "/", sent), outcome(python.port, "/", sent)]
            if theirs[0] != theirs[1] and not any(alike(ours, t) for t in theirs):
                wrong.append(f"{name}: {brief(ours)}; ws {brief(theirs[0])}, python {brief(theirs[1])}")
            elif theirs[0] == theirs[1] and not alike(ours, theirs[0]):
                wrong.append(f"{name}: {brief(ours)}; both others {brief(theirs[0])}")
    check(not wrong, f"{len(wrong)} of {len(table)} cases:\n" + "\n".join(wrong))


def alike(ours, theirs):
    """An endpoint that fails a connection may do so without a close frame (7.1.7), and what was sent before may be lost with it."""
    failed = theirs[2] in (1002, 1007, 1009)
    return ours == theirs or (failed and ours[2] in ("closed", theirs[2]) and ours[0] == theirs[0])


def brief(o):
    return f"{[len(m) for m in o[0]]} {len(o[1])} pongs {o[2]}"


def test_compression_is_declined(emulator):
    """RFC 7692: whatever is offered, well-formed or not, the answer has no extension (5.1), and a compressed message is an error (6)."""
    with Relay() as relay:
        for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=8",
                      "permessage-deflate; client_no_context_takeover; server_no_context_takeover", "permessage-deflate; client_max_window_bits=15",
                      "permessage-deflate; server_max_window_bits=7", "permessage-deflate; unknown=1", "permessage-deflate; client_max_window_bits=\"10\"",
                      "permessage-deflate, permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame", "permessage-bzip2", "foo, bar; baz=2",
                      "permessage-deflate; server_no_context_takeover; server_no_context_takeover"):
            with WebSocket(relay.port, "/ether/lab", protocol=None, headers={"Sec-WebSocket-Extensions": offer}) as ws:
                equal(ws.status, 101, offer)
                check("sec-websocket-extensions" not in ws.head.lower(), f"{offer}: accepted")
                ws.send_frame(2, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4)
                try:
                    ws.receive()
                    raise Failure(f"{offer}: a compressed message was taken")
                except Closed as e:
                    check(e.code in (1002, None), f"{offer}: {e.code}")
