"""A relay to test, and clients of it: WebSocket frames by hand, messages of the relay's protocol by hand."""
import base64
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from pc import Failure, Skip

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net"))
from namespace import in_namespace  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("SLIPWAY_RELAY", os.path.join(ROOT, "build/native/slipway-relay"))

HELLO, WELCOME, FAIL, PING, PONG, BYE = 1, 2, 3, 4, 5, 6
OPEN, OPENED, ACCEPT, ACCEPTED, DATA, DGRAMS, FRAMES, CREDIT, SHUT, CLOSE, QUERY, ANSWER, UNREACH, URGENT = range(0x10, 0x1e)
ETHER, TCP, UDP, ICMP, LISTEN, DNS = 1, 2, 3, 4, 5, 6
(BAD_VERSION, BAD_TOKEN, TOKEN_EXPIRED, BAD_ORIGIN, TRUNCATED, OVERSIZE, MALFORMED, UNKNOWN_TYPE, UNEXPECTED, BAD_CHANNEL,
 CREDIT_EXCEEDED, CREDIT_OVERFLOW, LIMIT, TIMEOUT, SUPERSEDED, SHUTDOWN, INTERNAL) = range(1, 18)
WINDOW = 1 << 20


def check(condition, what):
    if not condition:
        raise Failure(what() if callable(what) else what)


def equal(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what}: {repr(got)[:400]} instead of {repr(wanted)[:400]}")


SANITIZED = "asan" in PROGRAM
# The sanitizers' own end needs system calls that a relay doesn't.
DEFAULTS = ("--seccomp", "off") if SANITIZED else ()


def mebibytes(n):
    """How much a relay may take at most: AddressSanitizer keeps for a while what was freed."""
    return (n << 20) * (2 if SANITIZED else 1)


class Relay:
    """A relay process on a free port of loopback, or on `listen`."""

    def __init__(self, *options, listen="127.0.0.1:0", config=None):
        self.log, self.lines = [], threading.Condition()
        argv = [PROGRAM, "--listen", listen, *DEFAULTS, *options]
        if config is not None:
            self.file = tempfile.NamedTemporaryFile("w", suffix=".conf")
            self.file.write(config)
            self.file.flush()
            argv[1:1] = ["--config", self.file.name]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read_log, daemon=True).start()
        try:
            self.port = int(self.wait_log(r" listen address=\S*:(\d+) ")[1])
        except Failure:
            self.process.kill()
            raise

    def read_log(self):
        for line in self.process.stderr:
            with self.lines:
                self.log.append(line)
                self.lines.notify_all()
        with self.lines:
            self.log.append(None)
            self.lines.notify_all()

    def wait_log(self, pattern, timeout=20):
        with self.lines:
            end, seen = time.monotonic() + timeout, 0
            while True:
                while seen < len(self.log):
                    if self.log[seen] is None:
                        raise Failure("the relay ended: " + "".join(self.log[-6:-1]))
                    match = re.search(pattern, self.log[seen])
                    if match:
                        return match
                    seen += 1
                if not self.lines.wait(end - time.monotonic()):
                    raise Failure(f"no {pattern!r} in the relay's log: " + "".join(l or "" for l in self.log[-10:]))

    def get(self, path, **headers):
        return request(self.port, path, headers)

    def metric(self, name):
        return int(re.search(rf"^slipway_relay_{name} (\d+)$", self.get("/metrics")[2].decode(), re.M)[1])

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) << 10

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure("the relay doesn't end")
            equal(status, 0, "the relay's status; " + "".join(l or "" for l in self.log[-40:]))
        elif self.process.returncode != -signal.SIGKILL:
            raise Failure(f"the relay ended with {self.process.returncode}: " + "".join(l or "" for l in self.log[-40:]))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        try:
            self.stop()
        except Failure:
            if kind is None:
                raise


def request(port, path, headers={}, method="GET", host="127.0.0.1"):
    """One HTTP request: status (0: the connection was closed instead), headers (lower case), body."""
    with socket.create_connection((host, port), 20) as s:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while piece := s.recv(1 << 16):
            data += piece
    if not data:
        return 0, {}, b""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (l.split(": ", 1) for l in rest)}, body


class Closed(Exception):
    """The other side closed: code (None: without a close frame), reason."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code, self.reason = code, reason


class WebSocket:
    def __init__(self, port, path="/slipway", protocol="slipway-relay", timeout=20, host="127.0.0.1", headers={}, receive_buffer=0, tls=None):
        self.socket = socket.socket(socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.data = b""
        self.pieces = []
        key = base64.b64encode(os.urandom(16)).decode()
        all_headers = {"Host": f"{host}:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                       "Sec-WebSocket-Version": "13", **({"Sec-WebSocket-Protocol": protocol} if protocol else {}), **headers}
        lines = [f"GET {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in all_headers.items() if v is not None]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.data:
            piece = self.socket.recv(65536)
            if not piece:
                break
            self.data += piece
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int((self.head.split() + ["0", "0"])[1])
        if self.status == 101:
            accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            check(f"sec-websocket-accept: {accept}".lower() in self.head.lower(), "Sec-WebSocket-Accept")

    def frame(self, opcode, payload=b"", fin=True, mask=b"\x11\x22\x33\x44", rsv=0):
        first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit, n = (0x80 if mask else 0), len(payload)
        head = bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 65536 else \
            bytes([bit | 127]) + struct.pack(">Q", n)
        if mask:
            long = int.from_bytes(mask * (n // 4 + 1), "little") & ((1 << 8 * n) - 1)
            payload = (int.from_bytes(payload, "little") ^ long).to_bytes(n, "little")
        return first + head + (mask or b"") + payload

    def send_frame(self, *arguments, **named):
        self.socket.sendall(self.frame(*arguments, **named))

    def send(self, payload):
        self.send_frame(2, payload)

    def need(self, n):
        while len(self.data) < n:
            try:
                piece = self.socket.recv(1 << 18)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed()
            self.data += piece

    def receive_frame(self):
        """fin, opcode, payload"""
        self.need(2)
        fin, opcode, n, at = self.data[0] >> 7, self.data[0] & 15, self.data[1] & 127, 2
        check(not self.data[1] & 128 and not self.data[0] & 0x70, "a server's frame is masked or has reserved bits")
        if n > 125:
            at = 4 if n == 126 else 10
            self.need(at)
            n = int.from_bytes(self.data[2:at], "big")
        self.need(at + n)
        payload, self.data = self.data[at:at + n], self.data[at + n:]
        return fin, opcode, payload

    def receive(self):
        """The next message's payload; Closed at the end."""
        while True:
            fin, opcode, payload = self.receive_frame()
            if opcode == 8:
                try:
                    self.send_frame(8, payload)
                except OSError:
                    pass
                raise Closed(struct.unpack(">H", payload[:2])[0] if payload else 1005, payload[2:].decode(errors="replace"))
            if opcode == 9:
                self.send_frame(10, payload)
            elif opcode < 8:
                self.pieces.append(payload)
                if fin:
                    message, self.pieces = b"".join(self.pieces), []
                    return message

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        self.close()


def address(ip="", port=0):
    if not ip:
        return bytes(20)
    if ":" in ip:
        return bytes([6, 0]) + struct.pack(">H", port) + socket.inet_pton(socket.AF_INET6, ip)
    return bytes([4, 0]) + struct.pack(">H", port) + socket.inet_aton(ip) + bytes(12)


def address_text(data):
    return (socket.inet_ntop(socket.AF_INET6, data[4:20]) if data[0] == 6 else socket.inet_ntoa(data[4:8]) if data[0] else "",
            struct.unpack(">H", data[2:4])[0])


def message(kind, channel=0, body=b""):
    return bytes([kind]) + len(body).to_bytes(3, "big") + struct.pack(">I", channel) + body


def hello(session=bytes(16), key=bytes(16), token=b"", low=1, high=1):
    return message(HELLO, 0, b"SLPW" + struct.pack(">HHI", low, high, 0) + session + key + struct.pack(">H", len(token)) + token)


def open_body(kind, window=WINDOW, rest=b""):
    return struct.pack(">B3xI", kind, window) + rest


def frame_entry(frame):
    return struct.pack(">I", len(frame)) + frame


def dgram_entry(ip, port, data):
    return struct.pack(">I", len(data)) + address(ip, port) + data


class Client(WebSocket):
    """A client of our protocol that has said HELLO."""

    def __init__(self, relay, session=bytes(16), key=bytes(16), token=b"", **named):
        super().__init__(relay if isinstance(relay, int) else relay.port, **named)
        equal(self.status, 101, self.head)
        self.messages = []
        self.send(hello(session, key, token))
        kind, _, body = self.next()
        if kind == FAIL:
            raise Refused(struct.unpack(">H", body[:2])[0], body[4:].decode())
        equal(kind, WELCOME)
        self.resumed, self.session, self.key = body[2], body[12:28], body[28:44]
        self.keepalive, self.resume_s = struct.unpack(">HH", body[4:8])

    def next(self):
        """The next message: type, channel, body. PINGs are answered."""
        while True:
            while not self.messages:
                batch = self.receive()
                while batch:
                    n = int.from_bytes(batch[1:4], "big")
                    self.messages.append((batch[0], int.from_bytes(batch[4:8], "big"), batch[8:8 + n]))
                    batch = batch[8 + n:]
            kind, channel, body = self.messages.pop(0)
            if kind != PING:
                return kind, channel, body
            self.send(message(PONG, 0, body))

    def expect(self, kind, channel=None):
        """The next message but CREDIT, which is `kind`: its body."""
        while True:
            got = self.next()
            if got[0] != CREDIT or kind == CREDIT:
                break
        if got[0] == FAIL and kind != FAIL:
            raise Refused(struct.unpack(">H", got[2][:2])[0], got[2][4:].decode())
        check(got[0] == kind and channel in (None, got[1]), lambda: f"{got} instead of type {kind:#x}, channel {channel}")
        return got[2]

    def open(self, channel, kind, rest=b"", window=WINDOW):
        """errno, window, local address"""
        self.send(message(OPEN, channel, open_body(kind, window, rest)))
        return self.opened(channel)

    def opened(self, channel):
        body = self.expect(OPENED, channel)
        return struct.unpack(">H", body[:2])[0], struct.unpack(">I", body[4:8])[0], address_text(body[8:28])

    def join(self, channel, room, window=WINDOW):
        equal(self.open(channel, ETHER, struct.pack(">H", len(room)) + room.encode(), window)[0], 0, f"joining {room}")

    def failure(self):
        """The code of FAIL, and that of the close after it."""
        code = None
        try:
            while True:
                kind, _, body = self.next()
                if kind == FAIL:
                    code = struct.unpack(">H", body[:2])[0]
        except Closed as e:
            return code, e.code


class Refused(Exception):
    """FAIL: its code."""

    def __init__(self, code, text):
        super().__init__(f"FAIL {code}: {text}")
        self.code = code


class Server:
    """A TCP server on loopback; `serve(connection)` runs in a thread for each connection."""

    def __init__(self, serve, host="127.0.0.1", port=0):
        self.serve = serve
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    def one(self, s):
        with s:
            try:
                self.serve(s)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        self.socket.close()


def echo(s):
    while data := s.recv(1 << 16):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
