"""What the configuration attaches to rooms: TAPs and bridges of the host, QEMU's sockets with QEMU at the other end."""
import contextlib
import os
import socket
import struct
import subprocess
import tempfile
import time

from relay import *
import packets  # of tests/net, which relay.py puts into the path
from test_channels import A, ALL, B, ethernet, frames_of


def needs_tun():
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun here")


def ip(*words):
    p = subprocess.run(["ip", *words], capture_output=True, text=True)
    if p.returncode:
        raise Failure(f"ip {' '.join(words)}: {p.stderr}")
    return p.stdout


def answer(client, channel, question, accept, tries=60):
    """Sends a frame until one comes that `accept` takes."""
    client.socket.settimeout(1)
    for _ in range(tries):
        client.send(message(FRAMES, channel, frame_entry(question)))
        with contextlib.suppress(TimeoutError):
            while True:
                kind, _, body = client.next()
                if kind == FRAMES:
                    for frame in frames_of(body):
                        if accept(frame):
                            client.socket.settimeout(20)
                            return frame
    raise Failure("no answer")


def arp_question(who, sender="10.9.0.2"):
    mac = bytes.fromhex(A)
    return b"\xff" * 6 + mac + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + mac + socket.inet_aton(sender) + \
        bytes(6) + socket.inet_aton(who)


def is_arp_answer(frame):
    return frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2"


def is_dhcp_offer(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\0\x44" and b"\x63\x82\x53\x63\x35\x01\x02" in frame


def dhcp_discover():
    return packets.dhcp(1)


@in_namespace
def test_tap_is_made_and_a_room_reaches_the_host(emulator):
    needs_tun()
    with Relay(config="[room lab]\nattach = tap,ifname=slip0,script=no\n") as relay, Client(relay) as c:
        ip("addr", "add", "10.9.0.1/24", "dev", "slip0")
        c.join(1, "lab")
        answer(c, 1, arp_question("10.9.0.1"), is_arp_answer)
        # The host's own traffic arrives, too: a ping out of the TAP asks for its target.
        subprocess.Popen(["ping", "-c1", "-W1", "10.9.0.7"], stdout=subprocess.DEVNULL)
        answer(c, 1, ethernet(ALL, A), lambda f: f[12:14] == b"\x08\x06" and f[38:42] == socket.inet_aton("10.9.0.7"))
    check("slip0" not in ip("link"), "the TAP is still there")


@in_namespace
def test_tap_scripts_and_bridge(emulator):
    needs_tun()
    with tempfile.TemporaryDirectory() as d:
        for name in "up", "down":
            path = os.path.join(d, name)
            with open(path, "w") as f:
                f.write(f"#!/bin/sh\necho {name} $1 >> {d}/log\n" + ("ip link set $1 up\n" if name == "up" else ""))
            os.chmod(path, 0o755)
        ip("link", "add", "br7", "type", "bridge")
        ip("link", "set", "br7", "up")
        ip("addr", "add", "10.9.0.1/24", "dev", "br7")
        config = f"[room a]\nattach = tap,ifname=slip0,script={d}/up,downscript={d}/down\n" \
                 "[room b]\nattach = tap,ifname=slip1,bridge=br7\n"
        with Relay(config=config) as relay, Client(relay) as c:
            c.join(1, "b")
            answer(c, 1, arp_question("10.9.0.1"), is_arp_answer)
            check("slip0" in ip("link", "show", "up"), "script wasn't run")
        with open(os.path.join(d, "log")) as f:
            equal(f.read(), "up slip0\ndown slip0\n")


@in_namespace
def test_existing_tap_without_privileges(emulator):
    """A TAP that belongs to the user: the relay needs no privilege at all."""
    needs_tun()
    if os.getuid():
        raise Skip("needs a second user")
    ip("tuntap", "add", "slip0", "mode", "tap", "user", "nobody")
    ip("link", "set", "slip0", "up")
    ip("addr", "add", "10.9.0.1/24", "dev", "slip0")
    with Relay("--user", "nobody", config="[room lab]\nattach = tap,ifname=slip0\n") as relay, Client(relay) as c:
        c.join(1, "lab")
        answer(c, 1, arp_question("10.9.0.1"), is_arp_answer)
        with open(f"/proc/{relay.process.pid}/status") as f:
            status = f.read()
        check("Uid:\t65534\t65534\t65534\t65534" in status, "user")
        check(re.search(r"^CapPrm:\t0+$", status, re.M) and re.search(r"^CapEff:\t0+$", status, re.M), "capabilities")
        check("NoNewPrivs:\t1" in status and ("Seccomp:\t2" in status or DEFAULTS), "no_new_privs, seccomp")
    check("slip0" in ip("link"), "a TAP that was there before stays")


@contextlib.contextmanager
def qemu(*netdev):
    """A QEMU that is only a network: its user-mode network joined to a netdev."""
    p = subprocess.Popen(["qemu-system-x86_64", "-M", "none", "-nographic", "-nodefaults", "-monitor", "none",
                          "-netdev", "user,id=u", "-netdev", ",".join(netdev) + ",id=s",
                          "-netdev", "hubport,hubid=0,id=h1,netdev=u", "-netdev", "hubport,hubid=0,id=h2,netdev=s"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield p
    finally:
        p.kill()
        p.wait()


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@in_namespace
def test_qemu_connects_and_comes_again(emulator):
    port = free_port()
    with Relay(config=f"[room lab]\nattach = socket,listen=127.0.0.1:{port}\n") as relay, Client(relay) as c:
        c.join(1, "lab")
        for _ in range(2):
            with qemu("socket", f"connect=127.0.0.1:{port}"):
                answer(c, 1, dhcp_discover(), is_dhcp_offer)


@in_namespace
def test_relay_connects_to_qemu(emulator):
    port = free_port()
    with Relay(config=f"[room lab]\nattach = socket,connect=127.0.0.1:{port}\n") as relay, Client(relay) as c:
        c.join(1, "lab")
        for _ in range(2):
            with qemu("socket", f"listen=127.0.0.1:{port}"):
                answer(c, 1, dhcp_discover(), is_dhcp_offer)


@in_namespace
def test_qemu_in_a_multicast_group_and_over_udp(emulator):
    ip("route", "add", "224.0.0.0/4", "dev", "lo")
    a, b = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    config = f"[room m]\nattach = socket,mcast=230.0.0.1:1234,localaddr=127.0.0.1\n" \
             f"[room u]\nattach = socket,udp=127.0.0.1:{a},localaddr=127.0.0.1:{b}\n"
    with Relay(config=config) as relay, Client(relay) as c:
        c.join(1, "m")
        c.join(2, "u")
        with qemu("socket", "mcast=230.0.0.1:1234", "localaddr=127.0.0.1"):
            answer(c, 1, dhcp_discover(), is_dhcp_offer)
        with qemu("socket", f"udp=127.0.0.1:{b}", f"localaddr=127.0.0.1:{a}"):
            answer(c, 2, dhcp_discover(), is_dhcp_offer)
        c.send(message(FRAMES, 1, frame_entry(ethernet(ALL, A))) + message(PING, 0, bytes(8)))
        while (got := c.next())[0] != PONG:
            check(got[0] == CREDIT or not any(f[6:12] == bytes.fromhex(A) for f in frames_of(got[2])),
                  "our own frame came back from the multicast group")


@in_namespace
def test_dnsmasq_behind_a_tap(emulator):
    """A client in a room gets an address from a real dnsmasq on the bridge."""
    needs_tun()
    with tempfile.TemporaryDirectory() as d, \
            Relay(config="[room lab]\nattach = tap,ifname=slip0\n") as relay, Client(relay) as c:
        ip("addr", "add", "10.9.0.1/24", "dev", "slip0")
        p = subprocess.Popen(["dnsmasq", "-k", "--port=0", "--interface=slip0", "--bind-interfaces", "--user=root", "--conf-file=/dev/null",
                              "--dhcp-range=10.9.0.50,10.9.0.60,1h", f"--dhcp-leasefile={d}/leases", f"--pid-file={d}/pid"],
                             stderr=subprocess.DEVNULL)
        try:
            c.join(1, "lab")
            offer = answer(c, 1, dhcp_discover(), is_dhcp_offer)
            check(offer[58:61] == bytes([10, 9, 0]), "address")
        finally:
            p.kill()
            p.wait()


def test_wrong_attachments_are_named(emulator):
    for line, words in (("attach = tap", "ifname"), ("attach = socket,listen=1,connect=2", "one of listen"),
                        ("attach = socket,listen=host:80", "numbers, no names"), ("attach = tun,ifname=x", "not tap or socket"),
                        ("attach = tap,ifname=x,vhost=on", "vhost"), ("listen = 1", "only `attach`")):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("[room lab]\n" + line + "\n")
            f.flush()
            p = subprocess.run([PROGRAM, "--config", f.name, "--check-config"], capture_output=True, text=True)
            equal(p.returncode, 1, line)
            check(words in p.stderr, f"{line}: {p.stderr}")


@in_namespace
def test_qemu_on_the_bridge_of_a_tap(emulator):
    """A native QEMU with a TAP of its own in the bridge of the room's."""
    needs_tun()
    ip("link", "add", "br7", "type", "bridge")
    ip("link", "set", "br7", "up")
    with Relay(config="[room lab]\nattach = tap,ifname=slip0,bridge=br7\n") as relay, Client(relay) as c:
        c.join(1, "lab")
        ip("tuntap", "add", "qemu0", "mode", "tap")
        ip("link", "set", "qemu0", "master", "br7", "up")
        with qemu("tap", "ifname=qemu0", "script=no", "downscript=no"):
            answer(c, 1, dhcp_discover(), is_dhcp_offer)
