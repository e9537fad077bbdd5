"""The user-mode network (-netdev user) frame by frame beside QEMU's (userguest.py): its options, and what the router
itself does: addresses, DHCP, TFTP, ping, IPv6, names.
"""
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from namespace import add_address, in_namespace, resolv_conf
from packets import *
from pc import Failure, not_under, scratch
from userguest import Connection, Guest, Server, at_once, both, name_server, solicitation
from userpeer import Ours, QemuMonitor, WAIT

# ---- options ----

LONG = "a" * 300
BAD_OPTIONS = [
    "net=foo", "net=10.0.2.0/33", "net=10.0.2.0/3", "net=10.0.2.0/2x", "net=/24", "net=10.0.2.0/31", "net=10.0.2.0/255.255.0.255",
    "host=10.0.3.1", "host=foo", "net=10.0.0.0/8,host=11.0.0.1", "dns=foo", "dns=10.0.2.2", "restrict=on,dns=1.1.1.1",
    "dhcpstart=1.2.3.4", "dhcpstart=foo", "dhcpstart=10.0.2.3", "ipv4=off,ipv6=off", "ipv4=off,net=10.0.2.0/24",
    "ipv4=off,host=10.0.2.2", "ipv4=off,dns=10.0.2.3", "ipv6=off,ipv6-net=fec0::/64", "ipv6=off,ipv6-host=fec0::2",
    "ipv4=on,ipv6-dns=fec0::3", "ipv6=on,net=10.0.2.0/24", "ipv6-prefix=zz", "ipv6-prefixlen=200", "ipv6-net=fec0::/zz",
    "ipv6-net=fec0::/200", "ipv6-net=zz/64", "ipv6-host=zz", "ipv6-host=fec1::1", "ipv6-dns=zz", "restrict=on,ipv6-dns=ff00::1",
    "domainname=", f"domainname={LONG}", f"hostname={LONG}", f"tftp-server-name={LONG}", "smbserver=foo", "foo=1",
    "restrict=zz", "hostfwd=x", "hostfwd=tcp:1", "hostfwd=foo:1:2-3:4", "hostfwd=tcp:zz:1-:2", "hostfwd=tcp::1",
    "hostfwd=tcp::99999-:2", "hostfwd=tcp::-1-:2", "hostfwd=tcp::x-:2", "hostfwd=tcp::1-2", "hostfwd=tcp::1-zz:2",
    "hostfwd=tcp::5555-:0", "hostfwd=tcp::5555-:65536", "hostfwd=tcp::5555-:x", "hostfwd=", "guestfwd=x",
    "guestfwd=udp:1.2.3.4:5-null", "guestfwd=tcp:10.0.2.100:0-null", "guestfwd=tcp:10.0.2.2:80-null",
    "guestfwd=tcp:11.0.2.100:80-null", "guestfwd=tcp:10.0.2.3:80-cmd:cat", "guestfwd=tcp:x:80-null",
]


def message(start):
    """What a network that can't be made is refused with."""
    try:
        peer = start()
        peer.pump(WAIT)
        peer.close()
    except Failure as e:
        return str(e).strip().split("\n")[0]
    raise Failure("it was taken")


@in_namespace
def test_user_refused_options(emulator):
    """In QEMU's words."""
    peer = Ours(emulator)
    with QemuMonitor() as qemu:
        for options in BAD_OPTIONS:
            if emulator == "node" and "cmd:" in options:
                continue # no programs there
            command = f"netdev_add user,id=v,{options}"
            ours, theirs = peer.command(command), qemu.command(command)
            if not ours or not theirs.endswith(f"Error: {ours}"):
                raise Failure(f"'{options[:80]}':\nQEMU {theirs}\nours {ours}")
    peer.close()


@in_namespace
def test_user_refused_rules_name_the_reason(emulator):
    """Where QEMU says only that a rule can't be had, why."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 5555))
    taken.listen()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 5555))
    for rule, why in (("tcp:127.0.0.1:5555-:22", "Address already in use"), ("udp:127.0.0.1:5555-:22", "Address already in use"),
                      ("tcp::5555-:22", "Address already in use"), ("tcp:9.9.9.9:5556-:22", "Cannot assign requested address")):
        ours = message(lambda: Ours(emulator, f"hostfwd={rule}"))
        for musl, glibc in (("Address in use", "Address already in use"), ("Address not available", "Cannot assign requested address")):
            ours = ours.replace(musl, glibc)
        if not ours.endswith(f"slipway: Could not set up host forwarding rule '{rule}': {why}"):
            raise Failure(f"{rule}: {ours}")
    peer = Ours(emulator, "hostfwd=tcp:127.0.0.1:5557-:22,hostfwd=udp::5558-10.0.2.16:5")
    steps = (("hostfwd_add tcp:127.0.0.1:5557-:23", "Could not set up host forwarding rule 'tcp:127.0.0.1:5557-:23': Address already in use"),
             ("hostfwd_add udp::5558-:23", "Could not set up host forwarding rule 'udp::5558-:23': Address already in use"),
             ("hostfwd_add tcp:127.0.0.1:5559-:24", ""), ("hostfwd_remove tcp:127.0.0.1:5557", ""),
             ("hostfwd_remove tcp:127.0.0.1:5557", "host forwarding rule for tcp:127.0.0.1:5557 not found"),
             ("hostfwd_remove tcp::5559", "host forwarding rule for tcp::5559 not found"),
             ("hostfwd_remove zz", "invalid format"), ("hostfwd_remove x::1", "invalid format"))
    for command, answer in steps:
        if (got := peer.command(command).replace("Address in use", "Address already in use")) != answer:
            raise Failure(f"{command}: {got}")
    lines = peer.command("info").split("\n")
    shown = [line.split() for line in lines if line]
    if lines[0] != "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ" or \
            [w[:1] + w[2:] for w in shown[1:]] != [["TCP[HOST_FORWARD]", "127.0.0.1", "5559", GUEST, "24", "0", "0"],
                                                  ["UDP[HOST_FORWARD]", "*", "5558", "10.0.2.16", "5", "0", "0"]]:
        raise Failure(f"info usernet: {lines}")
    if peer.command("network") != "net=10.0.2.0,restrict=off":
        raise Failure(f"info network: {peer.command('network')}")
    peer.close()


# ---- services of the router ----

@in_namespace
def test_user_arp(emulator):
    def conversation(g):
        for target in ("10.0.2.2", "10.0.2.3", "10.0.2.4", "10.0.2.15", "10.0.2.255", "10.0.3.2", "0.0.0.0"):
            g.ask(arp(target))
        g.ask(arp("10.0.2.15"), arp("10.0.2.2", op=2), arp("10.0.2.2", op=3), arp("10.0.2.2")[:30])
    both(emulator, "", conversation)


DHCP_OPTIONS = [
    "", "hostname=pc7", "domainname=example.org", "dnssearch=a.example.org,dnssearch=example.net,dnssearch=b.example.org",
    "tftp-server-name=tftp.example.org,bootfile=/pxelinux.0", "bootfile=http://example.org/boot.efi",
    "dhcpstart=10.0.2.77,dns=10.0.2.9,host=10.0.2.8", "net=192.168.76.0/24", "net=172.20.0.0", "net=10.0.2.0/255.255.0.0",
    "restrict=on,hostname=x", "net=192.168.5.0/28,dhcpstart=192.168.5.9", "ipv6=off", "ip=10.1.2.0",
]


@in_namespace
def test_user_dhcp(emulator):
    def conversation(g):
        other = bytes.fromhex("525400aabbcc")
        g.router = {"net=192.168.76.0/24": "192.168.76.2", "net=172.20.0.0": "172.16.2.2", "ip=10.1.2.0": "10.1.2.2",
                    "net=192.168.5.0/28,dhcpstart=192.168.5.9": "192.168.5.2",
                    "dhcpstart=10.0.2.77,dns=10.0.2.9,host=10.0.2.8": "10.0.2.8",
                    "net=10.0.2.0/255.255.0.0": "10.0.2.2"}.get(options, HOST)
        g.ask()
        for frame in (dhcp(1), dhcp(1, bytes([55, 4, 1, 3, 6, 15])), dhcp(1, flags=0), dhcp(None),
                      dhcp(None, magic=b"\0\0\0\0"), dhcp(1, bytes([50, 4, 10, 0, 2, 20]), mac=other),
                      dhcp(3, bytes([50, 4, 10, 0, 2, 15])), dhcp(3, bytes([50, 4, 10, 0, 2, 99])),
                      dhcp(3, bytes([50, 4, 1, 2, 3, 4])), dhcp(3, ciaddr="10.0.2.15"),
                      dhcp(3, bytes([54, 4, 10, 0, 2, 2, 50, 4, 10, 0, 2, 16]), mac=other),
                      dhcp(7), dhcp(8, ciaddr="10.0.2.15"), dhcp(4, bytes([50, 4, 10, 0, 2, 15])), dhcp(99),
                      dhcp(1, bytes([12, 200, 65])), dhcp(1, bytes([0, 0, 0])), dhcp(1)[:200], dhcp(1)[:290]):
            g.send(frame)
        for i in range(20): # more guests than there are addresses
            g.send(dhcp(1, mac=bytes.fromhex("5254000000") + bytes([i])))
        g.ask()
    for options in DHCP_OPTIONS:
        try:
            both(emulator, options, conversation)
        except Failure as e:
            raise Failure(f"'{options}': {e}")


@in_namespace
def test_user_ping_of_the_router(emulator):
    def conversation(g):
        g.ask(arp(HOST))
        for size in (0, 1, 8, 17, 56, 1000, 1472):
            g.ask(ping(data=b"x" * size))
        g.ask(ping(DNS, to=bytes.fromhex("52550a000203")), ping("10.0.2.2"))
        if at_once(emulator):
            g.ask(ping("10.0.2.4"), ping("10.0.2.255"), ping("255.255.255.255"))
        g.ask(ping(ttl=1), ping(ttl=0), ping(options=b"\x01\x01\x01\x00"), ping(version=5), ping(sum_error=1))
        big = struct.pack(">BBHHH", 8, 0, 0, 5, 6) + bytes(range(256)) * 12
        big = big[:2] + struct.pack(">H", checksum(big)) + big[4:]
        parts = [ipv4(1, big[at:at + 1480], HOST, ident=77, frag=at // 8 | (0x2000 if at + 1480 < len(big) else 0))
                 for at in range(0, len(big), 1480)]
        g.ask(*parts)
        g.ask(parts[0], parts[0], parts[2])
        g.ask(parts[1])
        for kind in (0, 3, 4, 5, 11, 12, 13, 17, 40):
            g.ask(icmp(kind, 0, bytes(32)))
        bad = bytearray(ping())
        bad[40] ^= 1
        g.ask(bytes(bad), ipv4(1, b"\x08\0\0", HOST), ipv4(99, b"abc", HOST), ipv4(1, b"", HOST, length=10))
    both(emulator, "", conversation)


@in_namespace
def test_user_fragments_in_any_order(emulator):
    """Alone: QEMU 7.2's stack dies of fragments that come in reverse."""
    data = bytes(range(256)) * 12
    big = struct.pack(">BBHHH", 8, 0, 0, 5, 6) + data
    big = big[:2] + struct.pack(">H", checksum(big)) + big[4:]
    g = Guest(Ours(emulator))
    g.ask(arp(HOST))
    for size in (1480, 744, 8):
        for turn in range(3):
            parts = [ipv4(1, big[at:at + size], HOST, ident=turn + size, frag=at // 8 | (0x2000 if at + size < len(big) else 0))
                     for at in range(0, len(big), size)]
            if turn:
                parts.reverse()
            if turn == 2:
                random.Random(5).shuffle(parts)
            got = b"".join(p.frame[34:p.end] for p in sorted(g.ask(*parts), key=lambda p: p.fragment & 0x1fff))
            if got[8:] != data:
                raise Failure(f"parts of {size} bytes, order {turn}: {len(got)} bytes came back")
    g.peer.close()


@in_namespace
def test_user_tftp(emulator):
    root = scratch("tftp")
    os.makedirs(root + "/sub", exist_ok=True)
    files = {"empty": 0, "short": 100, "block": 512, "two": 1024, "long": 5000, "sub/deep": 700}
    for name, size in files.items():
        with open(f"{root}/{name}", "wb") as f:
            f.write(bytes(i * 7 & 255 for i in range(size)))
    def conversation(g):
        g.ask(arp(HOST))
        port = 2000
        for name in list(files) + ["/short"]:
            port += 1
            blocks = 0
            while True:
                got = g.ask(tftp(1, name, "octet", port=port) if not blocks else tftp_ack(blocks, port=port))
                if not got or len(got[0].data) < 516:
                    break
                blocks += 1
            g.ask(tftp_ack(blocks + 1, port=port))
        for words in (("none", "octet"), ("short", "netascii"), ("short", "OCTET"), ("../short", "octet"),
                      ("sub/../short", "octet"), ("sub/", "octet"), ("", "octet"), ("short",), ("x" * 600, "octet"),
                      ("short", "octet", "tsize", "0"), ("long", "octet", "blksize", "1024"),
                      ("long", "octet", "blksize", "65464"), ("long", "octet", "blksize", "0"),
                      ("long", "octet", "blksize", "1428", "tsize", "0"), ("long", "octet", "tsize", "0", "blksize", "8"),
                      ("long", "octet", "timeout", "3"), ("short", "octet", "tsize"), ("short", "octet", b"blksize")):
            port += 1
            g.ask(tftp(1, *words, port=port))
            for block in range(4):
                g.ask(tftp_ack(block, port=port))
            g.ask(tftp(5, b"\0\0", "enough", port=port), tftp_ack(5, port=port))
        for op in (2, 3, 6, 9):
            g.ask(tftp(op, "short", "octet", port=3000 + op))
        for port in range(4000, 4025): # more sessions than there is room for
            g.send(tftp(1, "long", "octet", port=port))
        g.ask()
        g.ask(udp(5000, 69, b"", HOST), udp(5000, 69, b"\0", HOST), udp(5000, 69, b"\0\1", HOST),
              tftp(1, "long", "octet", dst=DNS))
    both(emulator, f"tftp={root}", conversation)
    both(emulator, "", lambda g: [g.ask(arp(HOST)), g.ask(tftp(1, "short", "octet"))])


@in_namespace
def test_user_tftp_directory_as_a_file(emulator):
    """QEMU's stack made this error from memory that it had freed."""
    root = scratch("tftp-directory")
    os.makedirs(root + "/directory", exist_ok=True)
    peer = Ours(emulator, f"tftp={root}")
    g = Guest(peer)
    g.ask(arp(HOST))
    got = g.ask(tftp(1, "directory", "octet", port=2345))
    peer.close()
    if len(got) != 1 or got[0].data != b"\0\5\0\1File not found\0" or (got[0].sport, got[0].dport) != (69, 2345):
        raise Failure(f"answer: {[p.frame.hex() for p in got]}")


# ---- IPv6 ----

@in_namespace
def test_user_ipv6(emulator):
    resolv_conf("nameserver 127.0.0.1\nnameserver ::1\n")
    routers = b"\x33\x33\0\0\0\2"
    def conversation(g):
        link_local = "fe80::5054:ff:fe12:3456"
        g.ask(icmp6(133, 0, bytes(4) + b"\1\1" + MAC, "ff02::2", src=link_local, to=routers))
        g.ask(icmp6(133, 0, bytes(4), "ff02::2", src="::", to=routers))
        for target in (HOST6, DNS6, "fec0::4", "fe80::2", "fec0::99", "2001:db8::1"):
            g.ask(solicitation(target), solicitation(target, src=link_local))
        g.ask(icmp6(136, 0, b"\x60\0\0\0" + ip6(GUEST6) + b"\2\1" + MAC, HOST6))
        for dst in (HOST6, DNS6, "fe80::2", "ff02::1", "fec0::77"):
            for size in (0, 8, 1000):
                g.ask(icmp6(128, 0, struct.pack(">HH", 5, 6) + b"y" * size, dst))
        for kind in (1, 3, 129, 130, 134, 137, 200):
            g.ask(icmp6(kind, 0, bytes(40), HOST6))
        client = struct.pack(">HHHH", 1, 10, 3, 1) + MAC # the start of a DUID-LL
        for kind in (1, 3, 11, 12, 99):
            for requested in (b"", struct.pack(">HHH", 6, 2, 23), struct.pack(">HHHH", 6, 4, 23, 59)):
                body = bytes([kind, 1, 2, 3]) + client + requested
                g.ask(udp(546, 547, body, "ff02::1:2", src=link_local, to=b"\x33\x33\0\1\0\2"))
        g.ask(udp(546, 547, b"\x0b\1\2\3\0\1\0\xff", "ff02::1:2", src=link_local, to=b"\x33\x33\0\1\0\2"))
        g.ask(icmp6(128, 0, b"\0\1\0\2", HOST6)[:60], icmp6(135, 0, bytes(4), HOST6))
        if at_once(emulator):
            g.ask(tcp(1000, 9, SYN, 7, 0, dst=HOST6))
        g.quiet()
    for options in ("", "ipv6-net=2001:db8:5::/64", "ipv6-host=fec0::5,ipv6-dns=fec0::6", "ipv4=on,ipv6=on",
                    "ipv6-prefix=fec0:1::,ipv6-prefixlen=48", "bootfile=tftp://x/y"):
        try:
            both(emulator, options, conversation)
        except Failure as e:
            raise Failure(f"'{options}': {e}")


@in_namespace
def test_user_ipv6_without_name_server(emulator):
    resolv_conf("nameserver 127.0.0.1\n")
    both(emulator, "", lambda g: g.ask(icmp6(133, 0, bytes(4), "ff02::2", src="fe80::1", to=b"\x33\x33\0\0\0\2")))


# ---- names ----

@in_namespace
def test_user_dns(emulator):
    resolv_conf("# first of each family\nnameserver 127.0.0.1\nnameserver ::1\nnameserver 127.0.0.9\n")
    name_server()
    name_server("::1")
    def conversation(g):
        g.ask(arp(HOST))
        g.ask(arp(DNS))
        for n in range(3):
            g.send(udp(4000 + n, 53, b"question %d" % n, DNS))
            p = g.hear()
            if p.data != b"question %d answered" % n or p.src != DNS:
                raise Failure(f"answer {p.data} of {p.src}")
        if at_once(emulator):
            g.ask(udp(4000, 54, b"not the port", DNS))
        c = Connection(g, 53, dst=DNS)
        c.send(ACK)
        c.send(PSH | ACK, b"by tcp")
        g.hear()
        if c.hear(15)[1] != b"by tcp answered":
            raise Failure("answer by TCP")
        g.send(c.segment(RST | ACK))
        g.ask(solicitation(DNS6))
        g.ask(icmp6(136, 0, b"\x60\0\0\0" + ip6(GUEST6) + b"\2\1" + MAC, DNS6))
        g.send(udp(4005, 53, b"by ipv6", DNS6))
        if g.hear().data != b"by ipv6 answered":
            raise Failure("answer by IPv6")
        g.quiet()
    both(emulator, "", conversation)


# ---- to the outside, and not ----

@in_namespace
def test_user_restrict(emulator):
    server = Server(7777, lambda s: s.recv(1))
    resolv_conf("nameserver 127.0.0.1\n")
    def conversation(g):
        g.ask(arp(HOST))
        g.ask(dhcp(1))
        g.ask(tcp(1025, 7777, SYN, 1, 0), udp(1025, 7777, b"x", HOST), udp(1025, 53, b"x", DNS), ping("192.0.2.9"),
              ping(HOST), tcp(1025, 80, SYN, 1, 0, dst="192.0.2.9"), udp(1025, 53, b"x", HOST6),
              tcp(1025, 7777, SYN, 1, 0, dst=HOST6), icmp6(128, 0, b"\0\1\0\2", HOST6))
        with socket.create_connection(("127.0.0.1", 5555)):
            if g.hear().flags != SYN:
                raise Failure("hostfwd doesn't lead to the guest")
            g.quiet()
    both(emulator, "restrict=on,hostfwd=tcp:127.0.0.1:5555-:22", conversation)
    server.close()


@not_under("node", "Node has no ICMP sockets")
@in_namespace
def test_user_ping_of_the_outside(emulator):
    """Through a ping socket; an error that says how to permit them, where the kernel doesn't."""
    add_address("192.0.2.1")
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:
        f.write("0 2147483647" if os.getuid() == 0 else "0 0")
    def conversation(g):
        g.ask(arp(HOST))
        for size in (8, 56, 1400):
            g.send(ping("192.0.2.1", data=b"p" * size, seq=size))
            g.hear()
        g.send(ping("192.0.2.1", ident=99, seq=0))
        g.hear()
        g.quiet()
    both(emulator, "", conversation)


@not_under("node", "Node has no ICMP sockets")
@in_namespace
def test_user_ping_that_is_not_permitted(emulator):
    """One line for all pings says what to do."""
    add_address("192.0.2.1")
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:
        f.write("1 0")
    peer = Ours(emulator, wrapper=["setpriv", "--bounding-set=-net_raw"])
    try:
        guest = Guest(peer)
        for seq in range(3):
            guest.ask(arp(HOST), ping("192.0.2.1", seq=seq))
    finally:
        peer.close()
    if peer.errors.count("ping sockets aren't permitted") != 1 or \
            'net.ipv4.ping_group_range is "1 0"; "0 2147483647" permits all' not in peer.errors:
        raise Failure(peer.errors)


@in_namespace
def test_user_random_frames(emulator):
    """Frames with random faults, the same ones for both."""
    root = scratch("tftp-random")
    os.makedirs(root, exist_ok=True)
    with open(root + "/file", "wb") as f:
        f.write(b"z" * 3000)
    resolv_conf("nameserver 127.0.0.1\nnameserver ::1\n")
    seeds = [arp(HOST), dhcp(1), dhcp(3, bytes([50, 4, 10, 0, 2, 15])), ping(), ping(data=bytes(200)),
             tftp(1, "file", "octet"), tftp(1, "file", "octet", "blksize", "1000", "tsize", "0"), tftp_ack(1),
             solicitation(HOST6), icmp6(133, 0, bytes(4), "ff02::2", src="fe80::1", to=b"\x33\x33\0\0\0\2"),
             icmp6(128, 0, b"\0\1\0\2" + bytes(50), HOST6), tcp(1500, 9, ACK, 5, 0, b"abc"),
             udp(546, 547, b"\x0b\1\2\3\0\1\0\x0a\0\3\0\1" + MAC + b"\0\6\0\2\0\x17", "ff02::1:2", src="fe80::1",
                 to=b"\x33\x33\0\1\0\2")]
    def conversation(g):
        r = random.Random(20261123)
        g.ask(arp(HOST))
        for _ in range(1500):
            f = bytearray(r.choice(seeds))
            for _ in range(r.choice((0, 1, 1, 2, 5))):
                what = r.randrange(3)
                if what == 0:
                    f[r.randrange(14, len(f))] = r.randrange(256)
                elif what == 1:
                    f[r.randrange(14, len(f))] ^= 1 << r.randrange(8)
                elif len(f) > 20:
                    f = f[:r.randrange(15, len(f) + 1)]
            # Nothing that leads out, where time and chance would decide what comes back.
            p = bytes(f)
            if p[12:14] == b"\x08\0" and len(p) >= 34 and p[30:34] not in (ip4(HOST), b"\xff" * 4):
                continue
            if p[12:14] == b"\x86\xdd" and p[20:21] not in (b"\x3a",) and p[38:54] != ip6("ff02::1:2"):
                continue
            if p[12:14] == b"\x08\0" and len(p) >= 38 and p[23] == 17 and p[36:38] not in (b"\0\x43", b"\0\x45"):
                continue
            if p[12:14] == b"\x08\0" and len(p) >= 48 and p[23] == 6 and p[47] & SYN:
                continue
            g.ask(p)
    both(emulator, f"tftp={root}", conversation)
