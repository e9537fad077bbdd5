"""The user-mode network of a page without a relay (fetch=on), under Node: HTTP through fetch(), names by DNS over HTTPS. The
browser's own rules (CORS) are tested in a browser.
"""
import base64
import hashlib
import http.server
import os
import random
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from namespace import add_address, in_namespace
from packets import *
from pc import Failure, not_under, same
from test_relay import question
from userguest import Connection, Guest
from userpeer import Ours

native = not_under("slipway", "fetch() is only in the WebAssembly build")
BLOB = random.Random(8).randbytes(2 << 20)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.seen.append((self.command, self.path, self.headers))
        if self.path.startswith("/dns-query?dns="):
            answer = bytearray(base64.urlsafe_b64decode(self.path[15:] + "=="))
            assert answer[:2] == b"\0\0"
            answer[2] |= 0x80
            answer[7] = 1
            self.answer(bytes(answer) + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + ip4("192.0.2.1"), Content_Type="application/dns-message")
        elif self.path == "/blob":
            self.answer(BLOB)
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one ", b"two ", b"three"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/moved":
            self.answer(b"", 301, Location="/hello")
        elif self.path == "/nothing":
            self.answer(b"not here", 404)
        else:
            self.answer(b"hello from " + self.headers["Host"].encode())

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.command, self.path, self.headers))
        self.answer(body.upper())

    def log_message(self, *_):
        pass


def serve(address, port):
    server = http.server.ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None # a guest that goes away
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def guest(emulator, options=""):
    Handler.seen.clear()
    g = Guest(Ours(emulator, "fetch=on" + options))
    g.ask(arp(HOST))
    return g


class Browser:
    """One connection of the guest's."""
    port = 2000

    def __init__(self, g, dst=HOST, port=8080):
        Browser.port += 1
        self.g = g
        self.c = Connection(g, port, dst=dst, sport=Browser.port)
        same("the connection", self.c.answer.flags, SYN | ACK)
        self.c.send(ACK)
        self.data = b""
        self.ended = False
        self.acked = self.c.seq

    def hear(self):
        p = self.g.hear()
        self.g.heard.clear()
        c = self.c
        if p.dport != c.sport:
            return
        self.acked = p.ack
        if p.data and p.seq == c.ack & 0xffffffff:
            self.data += p.data
            c.ack += len(p.data)
        if p.flags & FIN:
            c.ack += 1
            self.ended = True
        if p.data or p.flags & FIN:
            self.g.send(c.segment(ACK))

    def ask(self, request):
        for at in range(0, len(request), 1400):
            self.c.send(PSH | ACK, request[at:at + 1400])
            while (self.c.seq - self.acked) & 0xffffffff > 30000 and not self.ended:
                self.hear()

    def answer(self, head=False):
        """(status, headers, body)"""
        while b"\r\n\r\n" not in self.data and not self.ended:
            self.hear()
        text, _, self.data = self.data.partition(b"\r\n\r\n")
        line, *lines = text.decode().split("\r\n")
        headers = dict(l.lower().split(": ", 1) for l in lines)
        status = int(line.split()[1])
        if head or status in (100, 204, 304):
            return status, headers, b""
        if "content-length" in headers:
            while len(self.data) < int(headers["content-length"]):
                self.hear()
            body, self.data = self.data[:int(headers["content-length"])], self.data[int(headers["content-length"]):]
            return status, headers, body
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while True:
                while b"\r\n" not in self.data:
                    self.hear()
                size, _, self.data = self.data.partition(b"\r\n")
                size = int(size, 16)
                while len(self.data) < size + 2:
                    self.hear()
                body, self.data = body + self.data[:size], self.data[size + 2:]
                if not size:
                    return status, headers, body
        while not self.ended:
            self.hear()
        return status, headers, self.data


@native
@in_namespace
def test_fetch_http(emulator):
    serve("127.0.0.1", 8080)
    g = guest(emulator)
    b = Browser(g)
    b.ask(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Mine: yes\r\n\r\n")
    status, headers, body = b.answer()
    same("GET", (status, body, headers["connection"]), (200, b"hello from 127.0.0.1:8080", "keep-alive"))
    same("a header", Handler.seen[0][2]["X-Mine"], "yes")
    # On the same connection: two at once, then in pieces.
    b.ask(b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\nHEAD /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
    same("404", b.answer()[::2], (404, b"not here"))
    status, headers, _ = b.answer(head=True)
    same("HEAD", (status, headers["content-length"]), (200, "25"))
    for part in (b"GET /chun", b"ked HTTP/1.1\r\nHo", b"st: 127.0.0.1:8080\r\n\r", b"\n"):
        b.ask(part)
    same("chunks", b.answer()[::2], (200, b"one two three"))
    b.ask(b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 4000\r\nExpect: 100-continue\r\n\r\n")
    same("100", b.answer()[0], 100)
    b.ask(b"x" * 4000)
    same("POST", b.answer()[::2], (200, b"X" * 4000))
    b.ask(b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n5;x=y\r\nabout\r\n0\r\n\r\n")
    same("POST in chunks", b.answer()[::2], (200, b"MOREABOUT"))
    b.ask(b"GET /moved HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n")
    same("a redirection", b.answer()[::2], (200, b"hello from 127.0.0.1:8080"))
    while not b.ended:
        b.hear()
    # HTTP/1.0, and an answer of unknown length.
    b = Browser(g)
    b.ask(b"GET /chunked HTTP/1.0\r\n\r\n")
    same("HTTP/1.0", b.answer()[::2], (200, b"one two three"))
    g.peer.close()


@native
@in_namespace
def test_fetch_bulk(emulator):
    serve("127.0.0.1", 8080)
    g = guest(emulator)
    b = Browser(g)
    b.ask(b"GET /blob HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
    status, _, body = b.answer()
    same("status", status, 200)
    same("the download", hashlib.md5(body).hexdigest(), hashlib.md5(BLOB).hexdigest())
    # A guest that goes away in the middle.
    b = Browser(g)
    b.ask(b"GET /blob HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
    b.hear()
    g.send(b.c.segment(RST))
    b = Browser(g)
    b.ask(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
    same("another one", b.answer()[0], 200)
    g.peer.close()


@native
@in_namespace
def test_fetch_bad_requests(emulator):
    """Each has an honest answer, and the connection ends."""
    g = guest(emulator)
    for request, status, word in (
            (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", 502, b"ECONNREFUSED"),
            (b"SSH-2.0-OpenSSH\r\n", 400, b"no HTTP"),
            (b"\x16\3\1\2\0\1\0\1\xfc\3\3", 400, b"no HTTP"),
            (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400, b"no header"),
            (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, b"length"),
            (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413, b"too much"),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + b"y" * 300, 400, b"length"),
            (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 12000, 431, b"headers"),
            (b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", 501, b"tunnel")):
        b = Browser(g)
        b.ask(request)
        got, headers, body = b.answer()
        if got != status or word not in body:
            raise Failure(f"{request[:40]}: {got} {body[:200]}")
        if status == 502:
            same("after an error", headers["connection"], "keep-alive")
        else:
            while not b.ended:
                b.hear()
        g.ask(b.c.segment(RST | ACK))
    g.peer.close()


@native
@in_namespace
def test_fetch_names(emulator):
    """By DNS over HTTPS, over UDP and TCP; the address leads to the name. Without the server names get addresses all the same."""
    add_address("192.0.2.1")
    serve("127.0.0.1", 8053)
    serve("192.0.2.1", 80)
    g = guest(emulator, ",doh=http://127.0.0.1:8053/dns-query")
    g.send(udp(4002, 53, question(5), DNS))
    while (p := g.hear()).protocol != 17:
        pass
    same("the answer's number", p.data[:2], struct.pack(">H", 0x1234 + 5))
    same("the address", p.data[-4:], ip4("192.0.2.1"))
    c = Connection(g, 53, dst=DNS)
    c.send(ACK)
    c.send(PSH | ACK, struct.pack(">H", len(question(6))) + question(6))
    _, got = c.hear(len(question(6)) + 2 + 16)
    same("by TCP", got[-4:], ip4("192.0.2.1"))
    g.send(c.segment(RST | ACK))
    b = Browser(g, "192.0.2.1", 80)
    b.ask(b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")
    same("by address", b.answer()[::2], (200, b"hello from 192.0.2.1"))
    g.peer.close()
    g = guest(emulator, ",doh=http://127.0.0.1:9/dns-query")
    g.send(udp(4002, 53, question(5), DNS))
    while (p := g.hear()).protocol != 17:
        pass
    same("a made-up address", p.data[-4:-2], bytes([198, 18]))
    b = Browser(g, socket.inet_ntoa(p.data[-4:]), 80)
    b.ask(b"GET / HTTP/1.0\r\n\r\n") # no Host: the name is known
    status, _, body = b.answer()
    if status != 502 or b"http://www.de can't be reached" not in body:
        raise Failure(f"the made-up address: {status} {body}")
    g.peer.close()
    if "no DNS over HTTPS from 127.0.0.1:9" not in g.peer.errors:
        raise Failure(f"the log: {g.peer.errors}")


@native
@in_namespace
def test_fetch_nothing_else(emulator):
    """DHCP and ping of the router work; other ports and datagrams are unreachable; nothing can be forwarded."""
    g = guest(emulator)
    g.send(dhcp(1))
    same("DHCP", g.hear().sport, 67)
    g.send(ping())
    same("ping", g.hear().body[0], 0)
    g.send(tcp(1030, 443, SYN, 1000, 0, dst="192.0.2.1"))
    p = g.hear()
    same("port 443", (p.protocol, p.body[0], p.body[1]), (1, 3, 0))
    g.send(udp(4000, 123, b"what time is it?", "192.0.2.1"))
    p = g.hear()
    same("a datagram", (p.protocol, p.body[0], p.body[1]), (1, 3, 0))
    if "Address not available" not in (text := g.peer.command("hostfwd_add tcp::2222-:22")):
        raise Failure(f"hostfwd_add: {text}")
    same("info network", g.peer.command("network"), "net=10.0.2.0,restrict=off,fetch=on")
    g.peer.close()
    if g.peer.errors.count("can't leave a web page") != 1:
        raise Failure(f"the log: {g.peer.errors}")
