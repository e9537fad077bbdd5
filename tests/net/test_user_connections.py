"""TCP and UDP through the user-mode network beside QEMU's (userguest.py): to servers on the host and, by forwardings, to
the guest.

Under Node a connection or datagram that can't leave fails later than in a system call, with a reset instead of an ICMP
error; those steps are left out there ("at_once").
"""
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from namespace import add_address, in_namespace
from packets import *
from pc import Failure
from userguest import Connection, Guest, Server, at_once, both, solicitation
from userpeer import Ours, WAIT

# ---- TCP and UDP to the host ----

@in_namespace
def test_user_tcp_to_a_closed_port(emulator):
    def conversation(g):
        g.ask(arp(HOST))
        for port in (9, 65535):
            g.send(tcp(1025, port, SYN, 1000, 0, options=b"\2\4\5\xb4"))
            g.hear()
        for flags in (ACK, FIN | ACK, RST, RST | ACK, PSH | ACK, 0, SYN | ACK, SYN | FIN, SYN | RST):
            g.ask(tcp(1030, 9, flags, 500, 600, b"data"))
        g.quiet()
        if at_once(emulator):
            g.ask(tcp(1026, 9, SYN, 1000, 0, dst="10.0.2.99")) # nobody, but in the guest's network
        g.ask(tcp(1026, 9, SYN, 1000, 0)[:50])
    both(emulator, "", conversation)


@in_namespace
def test_user_tcp_conversation(emulator):
    def echo(s):
        while s.recv(1, socket.MSG_PEEK):
            time.sleep(0.2) # what belongs together comes back together
            s.sendall(s.recv(65536).upper())
    server = Server(7777, echo)
    def conversation(g):
        g.ask(arp(HOST))
        c = Connection(g, 7777)
        c.send(ACK)
        for size in (1, 5, 100, 1460):
            c.send(PSH | ACK, b"a" * size)
            g.hear() # the acknowledgement, before the server had a turn
            _, got = c.hear(size)
            if got != b"A" * size:
                raise Failure(f"echo of {size} bytes: {got[:50]}")
            c.send(ACK)
        # Out of order, twice, overlapping: one acknowledgement each; the data comes once.
        last = c.segment(PSH | ACK, b"third", skip=11)
        g.ask(last)
        g.ask(c.segment(PSH | ACK, b"second", skip=5), last)
        c.send(PSH | ACK, b"first")
        g.hear()
        c.seq += 11
        _, got = c.hear(16)
        if got != b"FIRSTSECONDTHIRD":
            raise Failure(f"reassembled: {got}")
        c.send(ACK)
        g.ask(c.segment(PSH | ACK, b"Third", skip=-5), c.segment(ACK, skip=100000), c.segment(ACK, skip=-100000))
        c.send(FIN | ACK)
        g.hear()
        while not c.hear()[0].flags & FIN:
            pass
        c.send(ACK)
        g.quiet()
        g.ask(c.segment(ACK))
    both(emulator, "", conversation)
    server.close()


@in_namespace
def test_user_tcp_half_close(emulator):
    """The guest shuts its direction down, the host answers after that; and the other way round."""
    def after_end(s):
        data = b""
        while part := s.recv(65536):
            data += part
        s.sendall(b"got " + data)
    def before(s):
        s.sendall(b"bye")
        s.shutdown(socket.SHUT_WR)
        data = b""
        while part := s.recv(65536):
            data += part
        heard.append(data)
    heard = []
    servers = [Server(7777, after_end), Server(7778, before)]
    def conversation(g):
        g.ask(arp(HOST))
        c = Connection(g, 7777)
        c.send(ACK)
        c.send(PSH | ACK, b"hello")
        g.hear()
        c.send(FIN | ACK)
        g.hear()
        got = b""
        while True:
            p, part = c.hear()
            got += part
            if p.flags & FIN:
                break
            c.send(ACK)
        c.send(ACK)
        if got != b"got hello":
            raise Failure(f"after the guest's FIN came {got}")
        g.quiet()
        c = Connection(g, 7778, sport=1026)
        c.send(ACK)
        got = b""
        while True:
            p, part = c.hear()
            got += part
            c.send(ACK)
            if p.flags & FIN:
                break
        c.send(PSH | ACK, b"one more")
        g.hear()
        c.send(FIN | ACK)
        g.hear()
        end = time.monotonic() + WAIT
        while not heard and time.monotonic() < end:
            time.sleep(0.02)
        if got != b"bye" or heard.pop() != b"one more":
            raise Failure(f"the guest got {got}")
        g.quiet()
    both(emulator, "", conversation)
    for s in servers:
        s.close()


@in_namespace
def test_user_tcp_resets(emulator):
    """A host that aborts resets the guest; a guest that aborts ends the host's connection."""
    ended = []
    def abort(s):
        s.recv(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    def wait_for_end(s):
        try:
            while s.recv(10):
                pass
        except ConnectionResetError:
            pass
        ended.append(1)
    servers = [Server(7777, abort), Server(7778, wait_for_end)]
    def conversation(g):
        g.ask(arp(HOST))
        c = Connection(g, 7777)
        c.send(ACK)
        c.send(PSH | ACK, b"x")
        g.hear()
        while not g.hear().flags & (RST | FIN):
            pass
        g.quiet()
        c = Connection(g, 7778, sport=1026)
        c.send(ACK)
        c.send(PSH | ACK, b"x")
        g.hear()
        g.ask(c.segment(RST | ACK))
        end = time.monotonic() + WAIT
        while not ended:
            if time.monotonic() > end:
                raise Failure("the host's end stays open after the guest's reset")
            time.sleep(0.02)
        ended.clear()
        g.quiet()
    both(emulator, "", conversation)
    for s in servers:
        s.close()


def receive_slowly(g, c, total, window):
    """Takes @total bytes with an advertised @window; acknowledges each segment."""
    got = 0
    c.window = window
    c.send(ACK)
    while got < total:
        p, part = c.hear()
        got += len(part)
        c.send(ACK)


@in_namespace
def test_user_tcp_windows_and_segment_sizes(emulator):
    blob = bytes(range(256)) * 100
    server = Server(7777, lambda s: (s.sendall(blob), s.recv(1)))
    def conversation(g):
        g.ask(arp(HOST))
        for sport, mss, window in ((1025, 536, 536), (1026, 1460, 1000), (1027, 9000, 1460)):
            c = Connection(g, 7777, sport=sport, options=b"\2\4" + struct.pack(">H", mss), window=window)
            receive_slowly(g, c, len(blob), window)
            g.ask(c.segment(RST | ACK))
    both(emulator, "", conversation)
    server.close()


@in_namespace
def test_user_tcp_urgent_data(emulator):
    """More urgent bytes announced than sent: QEMU's stack would read beyond its buffer, so this is ours alone; the
    host gets what was sent and nothing else."""
    got = []
    def take(s):
        data = b""
        while part := s.recv(65536):
            data += part
        got.append(data)
    server = Server(7777, take)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1) # its connections inherit it
    g = Guest(Ours(emulator))
    g.ask(arp(HOST))
    c = Connection(g, 7777)
    c.send(ACK)
    sent = b""
    for data, urgent in ((b"u", 1), (b"abc", 60000), (b"", 65535), (b"defgh", 3), (b"x" * 1400, 2000), (b"end", 0)):
        c.send(PSH | ACK | (URG if urgent else 0), data, urgent=urgent)
        sent += data
        g.ask()
    c.send(FIN | ACK)
    end = time.monotonic() + WAIT
    while not got and time.monotonic() < end:
        g.ask()
        time.sleep(0.05)
    g.peer.close()
    server.close()
    if not got or got[0] != sent:
        raise Failure(f"the host got {got and (len(got[0]), got[0][:30])} for {len(sent)} bytes")


@in_namespace
def test_user_udp(emulator):
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind(("127.0.0.1", 7777))
    echo6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    echo6.bind(("::1", 7777))
    def serve(s):
        try:
            while True:
                data, address = s.recvfrom(65536)
                s.sendto(data.upper(), address)
        except OSError:
            pass
    for s in (echo, echo6):
        threading.Thread(target=serve, args=(s,), daemon=True).start()
    add_address("192.0.2.1")
    def conversation(g):
        g.ask(arp(HOST))
        for size in (0, 1, 100, 1472):
            g.send(udp(3000, 7777, b"u" * size, HOST))
            g.hear()
        big = udp(3000, 7777, b"u" * 4000, HOST)[14 + 20:]
        for at in range(0, len(big), 1480):
            g.send(ipv4(17, big[at:at + 1480], HOST, ident=9, frag=at // 8 | (0x2000 if at + 1480 < len(big) else 0)))
        g.hear(3) # comes back in fragments
        if at_once(emulator):
            g.send(udp(3001, 9, b"nobody", HOST)) # port unreachable
            g.hear()
        for ttl in (0, 1, 2) if at_once(emulator) else (0, 1):
            g.ask(udp(3000 + ttl, 9999, b"far", "192.0.2.200", ttl=ttl))
        g.ask(udp(3002, 7777, b"short", HOST, length=4), udp(3002, 7777, b"long", HOST, length=400))
        if at_once(emulator):
            g.ask(udp(3003, 7777, b"a", "10.0.2.77"))
        g.ask(solicitation(HOST6))
        g.ask(icmp6(136, 0, b"\x60\0\0\0" + ip6(GUEST6) + b"\2\1" + MAC, HOST6))
        g.send(udp(3000, 7777, b"six", HOST6))
        g.hear()
        if at_once(emulator):
            g.send(udp(3001, 9, b"six", HOST6))
            g.hear()
        g.quiet()
    both(emulator, "", conversation)
    for s in (echo, echo6):
        s.close()


# ---- forwardings ----

@in_namespace
def test_user_hostfwd(emulator):
    """The host's connections and datagrams reach the guest, which answers."""
    def conversation(g):
        g.ask(arp(HOST))
        g.ask(dhcp(1))
        with socket.create_connection(("127.0.0.1", 5555)) as s:
            s.settimeout(WAIT)
            p = g.hear()
            if p.flags != SYN or p.dport != 22 or p.dst != GUEST or p.src != HOST:
                raise Failure(f"not the guest's SYN: {p.frame.hex()}")
            ack = p.seq + 1
            g.send(tcp(22, p.sport, SYN | ACK, 9000, ack, options=b"\2\4\5\xb4"))
            g.hear()
            s.sendall(b"from the host")
            q = g.hear()
            if q.data != b"from the host":
                raise Failure(f"data {q.data}")
            ack += len(q.data)
            g.send(tcp(22, p.sport, PSH | ACK, 9001, ack, b"from the guest"))
            g.hear()
            if s.recv(100) != b"from the guest":
                raise Failure("the host got something else")
            g.send(tcp(22, p.sport, FIN | ACK, 9015, ack))
            g.hear()
            if s.recv(100) != b"":
                raise Failure("no end for the host")
        q = g.hear()
        while not q.flags & FIN:
            q = g.hear()
        g.send(tcp(22, p.sport, ACK, 9016, ack + 1))
        g.quiet()
        with socket.create_connection(("127.0.0.1", 5555)) as s: # the guest refuses
            s.settimeout(WAIT)
            p = g.hear()
            g.send(tcp(22, p.sport, RST | ACK, 0, p.seq + 1))
            try:
                data = s.recv(100)
            except ConnectionResetError:
                data = b""
            if data:
                raise Failure(f"a refused connection gave {data}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(WAIT)
            s.bind(("127.0.0.1", 7001))
            s.sendto(b"datagram", ("127.0.0.1", 5556))
            p = g.hear()
            if (p.sport, p.dport, p.data) != (7001, 53, b"datagram"):
                raise Failure(f"datagram {p.frame.hex()}")
            g.send(udp(53, 7001, b"reply", HOST))
            if s.recvfrom(100) != (b"reply", ("127.0.0.1", 5556)):
                raise Failure("reply to the datagram")
        g.quiet()
    both(emulator, "hostfwd=tcp::5555-:22,hostfwd=udp:127.0.0.1:5556-10.0.2.15:53", conversation)


@in_namespace
def test_user_guestfwd(emulator):
    """To a TCP server through a chardev, and to a program."""
    def serve(s):
        while data := s.recv(100):
            s.sendall(data[::-1])
    server = Server(7777, serve)
    def chardev(g):
        g.ask(arp(HOST))
        g.ask(arp("10.0.2.100"))
        c = Connection(g, 7, dst="10.0.2.100")
        c.send(ACK)
        g.quiet()
        c.send(PSH | ACK, b"abc")
        g.hear()
        _, got = c.hear(3)
        c.send(ACK)
        if got != b"cba":
            raise Failure(f"the chardev says {got}")
        if at_once(emulator):
            g.ask(tcp(1026, 8, SYN, 1, 0, dst="10.0.2.100"))
        g.quiet()
    both(emulator, "guestfwd=tcp:10.0.2.100:7-tcp:127.0.0.1:7777", chardev)
    server.close()
    if emulator == "node":
        return # no programs there
    def program(g):
        g.ask(arp(HOST))
        for sport in (1025, 1026):
            c = Connection(g, 7, dst="10.0.2.100", sport=sport)
            c.send(ACK)
            c.send(PSH | ACK, b"abc\n")
            g.hear()
            _, got = c.hear(6)
            if got != b"=abc \n":
                raise Failure(f"the program says {got}")
            c.send(ACK)
            c.send(FIN | ACK)
            g.hear()
            if not g.hear().flags & FIN: # the program ends when its input does
                raise Failure("not the program's end")
            g.quiet()
    both(emulator, "guestfwd=tcp:10.0.2.100:7-cmd:sh -c \"sed -u 's/.*/=& /'\"", program)
