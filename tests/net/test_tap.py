"""The netdevs tap and bridge, in network namespaces that the tests make: real bridges, dnsmasq, kernel TCP."""
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile

import ends
from ends import (MAC, Failure, Skip, StreamEnd, arp, ask, checksum, checksum_good, dhcp, dhcp_answer, ethernet,
                  free_port, info, ipv4, number_of, numbered, same, scratch, wait_for, with_checksum)
from pc import COMMANDS, not_under

HOST, GUEST = "10.99.0.1", "10.99.0.2"


def run(*argv, check=True, **named):
    done = subprocess.run(argv, capture_output=True, text=True, **named)
    if check and done.returncode:
        raise Failure(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


class Namespace:
    """A network namespace of its own; what is started in it ends with it."""

    count = 0

    def __init__(self, emulator):
        if os.getuid() != 0:
            raise Skip("needs root")
        if not shutil.which("ip") or not os.path.exists("/dev/net/tun"):
            raise Skip("needs iproute2 and /dev/net/tun")
        Namespace.count += 1
        self.name = f"slipway-{os.getpid()}-{Namespace.count}"
        self.processes = []

    def __enter__(self):
        made = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True)
        if made.returncode:
            raise Skip(f"no network namespaces: {made.stderr.strip()}")
        self.run("ip", "link", "set", "lo", "up")
        return self

    def __exit__(self, *exc):
        for process in self.processes:
            process.kill()
            process.wait()
        run("ip", "netns", "del", self.name, check=False)

    @property
    def wrapper(self):
        return ["ip", "netns", "exec", self.name]

    def run(self, *argv, **named):
        return run(*self.wrapper, *argv, **named)

    def start(self, *argv, **named):
        process = subprocess.Popen([*self.wrapper, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **named)
        self.processes.append(process)
        return process

    def links(self):
        return self.run("ip", "-o", "link")


def plugged(namespace, tap, **named):
    """A PC in the namespace whose hub joins a TAP netdev (id=t) with a Python end over a Unix socket."""
    path = scratch(f"end-{namespace.name}")
    pc = ends.emulator("slipway", tap, f"stream,id=in,server=on,addr.type=unix,addr.path={path}",
                       wrapper=namespace.wrapper, **named)
    try:
        wait_for("the PC", lambda: pc.process.poll() is not None or os.path.exists(path))
        return pc, StreamEnd.connect(path)
    except BaseException:
        pc.__exit__()
        raise


def script(name, text):
    path = scratch(name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


UP = f"ip addr add {HOST}/24 dev $1 && ip link set $1 up\n"


class Host:
    """A host at the Python end: answers ARP for GUEST."""

    def __init__(self, end):
        self.end = end
        self.peer_mac = None

    def receive(self, seconds=ends.SECONDS):
        while True:
            frame = self.end.receive(seconds)
            if not frame:
                return None
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == socket.inet_aton(GUEST):
                self.peer_mac = frame[6:12]
                self.end.send(arp(2, GUEST, HOST, frame[6:12]))
            elif frame[12:14] == b"\x08\x00" and frame[30:34] == socket.inet_aton(GUEST):
                self.peer_mac = frame[6:12]
                return frame

    def send(self, protocol, payload):
        self.end.send(ethernet(self.peer_mac, 0x0800, ipv4(GUEST, HOST, protocol, payload)))


@not_under("node", "TAP is native only")
def test_bridge_with_a_real_dhcp_server(emulator):
    """The script puts the interface into a bridge, on which dnsmasq gives out addresses."""
    if not shutil.which("dnsmasq"):
        raise Skip("dnsmasq is missing")
    with Namespace(emulator) as ns:
        ns.run("ip", "link", "add", "br7", "type", "bridge")
        ns.run("ip", "addr", "add", f"{HOST}/24", "dev", "br7")
        ns.run("ip", "link", "set", "br7", "up")
        leases = scratch("leases")
        ns.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=br7", "--bind-interfaces",
                 "--no-ping", f"--dhcp-leasefile={leases}", "--dhcp-range=10.99.0.100,10.99.0.120,1h",
                 "--dhcp-option=3,10.99.0.254", "--user=root")
        up = script("up", "ip link set $1 master br7 && ip link set $1 up\n")
        pc, end = plugged(ns, f"tap,id=t,script={up},downscript=no")
        with pc:
            offer = dhcp_answer(ask(end, dhcp(1), lambda f: dhcp_answer(f) and dhcp_answer(f)[0] == 2))
            address = offer[1]
            same("offered address", address.startswith("10.99.0.1"), True)
            same("router", socket.inet_ntoa(offer[2][3]), "10.99.0.254")
            request = dhcp(3, options=b"\x32\x04" + socket.inet_aton(address) + b"\x36\x04" + offer[2][54])
            same("acknowledged", dhcp_answer(ask(end, request, dhcp_answer))[:2], (5, address))
            wait_for("lease", lambda: MAC.hex(":") in open(leases).read())
            same("interface", "ifname=tap0" in info(pc, "t"), True)


@not_under("node", "TAP is native only")
def test_ping_both_ways(emulator):
    with Namespace(emulator) as ns:
        pc, end = plugged(ns, f"tap,id=t,ifname=tap7,script={script('up', UP)},downscript=no")
        with pc:
            guest = Host(end)
            ping = ns.start("ping", "-c", "3", "-i", "0.2", "-s", "1000", GUEST)
            for _ in range(3):
                frame = guest.receive()
                while frame[23] != 1:
                    frame = guest.receive()
                reply = b"\0" + frame[35:36] + b"\0\0" + frame[38:]
                guest.send(1, reply[:2] + struct.pack("!H", checksum(reply)) + reply[4:])
            output = ping.communicate(timeout=20)[0].decode()
            same("3 received", "3 received" in output, True)
            # and the kernel answers us
            request = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"x" * 1400
            request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
            guest.send(1, request)
            frame = guest.receive()
            while frame[23] != 1:
                frame = guest.receive()
            same("echo reply", (frame[34], frame[42:]), (0, request[8:]))


@not_under("node", "TAP is native only")
def test_frames_are_finished_for_those_who_cannot(emulator):
    """The kernel hands over TCP segments of many KB without checksums; a socket end gets whole frames."""
    for option, segments in ("", True), (",vnet_hdr=off", False):
        with Namespace(emulator) as ns:
            pc, end = plugged(ns, f"tap,id=t,ifname=tap7,script={script('up', UP)},downscript=no{option}")
            with pc:
                guest = Host(end)
                text = bytes(range(251)) * 400
                server = ns.start("python3", "-c", f"""
import socket
s = socket.create_server(("{HOST}", 80))
c, _ = s.accept()
c.sendall(bytes(range(251)) * 400)
c.shutdown(socket.SHUT_WR)
c.recv(1)
""")
                # a TCP of a few lines: one connection, everything acknowledged
                guest.peer_mac = bytes.fromhex("ffffffffffff")
                wait_for("listening", lambda: ":80 " in ns.run("ss", "-tln") or ns.run("ss", "-tln").count("LISTEN"))
                reply = ask(end, arp(1, GUEST, HOST), lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2")
                guest.peer_mac = reply[6:12]

                def tcp(flags, seq, ack):
                    options = b"\x02\x04\x05\xb4" if flags & 2 else b""
                    segment = struct.pack("!HHIIBBHHH", 4000, 80, seq, ack, (5 + len(options) // 4) << 4, flags, 65535,
                                          0, 0) + options
                    guest.send(6, with_checksum(GUEST, HOST, 6, segment, 16))

                tcp(2, 1000, 0)
                got, expected = b"", None
                while True:
                    frame = guest.receive()
                    if not frame:
                        raise Failure(f"the stream stops after {len(got)} bytes")
                    if frame[23] != 6:
                        continue
                    length = struct.unpack("!H", frame[16:18])[0]
                    segment = frame[34:14 + length]
                    seq, flags = struct.unpack("!I", segment[4:8])[0], segment[13]
                    same("frame of at most 1514 bytes", len(frame) <= 1514, True)
                    same("IP checksum", checksum(frame[14:34]), 0)
                    same("TCP checksum", checksum_good(HOST, GUEST, 6, segment), True)
                    data = segment[(segment[12] >> 4) * 4:]
                    if flags & 2:
                        expected = seq + 1
                        tcp(16, 1001, expected)
                    elif seq == expected & 0xFFFFFFFF:
                        got += data
                        expected += len(data) + (flags & 1)
                        tcp(16, 1001, expected & 0xFFFFFFFF)
                        if flags & 1:
                            break
                same("bytes", got == text, True)
                tcp(4, 1001, 0)
                server.kill()
                # what the kernel handed to us: large segments only with the header
                stats = ns.run("ip", "-s", "link", "show", "tap7").splitlines()
                transmitted = list(map(int, stats[stats.index(next(l for l in stats if "TX:" in l)) + 1].split()[:2]))
                same("large segments", transmitted[0] / transmitted[1] > 1514, segments)


@not_under("node", "TAP is native only")
def test_kernel_to_kernel_through_two_emulators(emulator):
    """Two namespaces, a TAP in each, our stream netdev between them: 20 MB of TCP both ways, IPv6 too."""
    with Namespace(emulator) as a, Namespace(emulator) as b:
        path = scratch("trunk")
        trunk = f"stream,id=x,addr.type=unix,addr.path={path}"
        up = [script(f"up{i}", f"ip addr add 10.98.0.{i}/24 dev $1\nip addr add fd98::{i}/64 dev $1 nodad\n"
                               "ip link set $1 up\n") for i in (1, 2)]
        with ends.emulator("slipway", f"tap,id=t,ifname=tapa,script={up[0]},downscript=no", trunk + ",server=on",
                           wrapper=a.wrapper) as first:
            wait_for("server", lambda: os.path.exists(path))
            with ends.emulator("slipway", f"tap,id=t,ifname=tapb,script={up[1]},downscript=no", trunk,
                               wrapper=b.wrapper) as second:
                wait_for("trunk", lambda: info(first, "x").startswith("unix:") and info(second, "x").startswith("unix:"))

                def dropped():
                    return [ends.counter(pc, name, "dropped") for pc in (first, second) for name in "tx"]

                before = dropped()  # what the kernel sent before the trunk was up
                program = """
import hashlib, os, socket, sys
listen, address = sys.argv[1] == "server", sys.argv[2]
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
if listen:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, 5000)); s.listen(); print("ready", flush=True); s, _ = s.accept()
else:
    s.connect((address, 5000))
data = bytes(range(256)) * 4096 * 20
import threading
t = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
t.start()
h, n = hashlib.sha256(), 0
while True:
    part = s.recv(1 << 20)
    if not part:
        break
    h.update(part); n += len(part)
t.join()
print(n, h.hexdigest(), flush=True)
"""
                digest = hashlib.sha256(bytes(range(256)) * 4096 * 20).hexdigest()
                for address in "10.98.0.1", "fd98::1":
                    server = a.start("python3", "-c", program, "server", address)
                    same("server", server.stdout.readline(), b"ready\n")
                    client = b.start("python3", "-c", program, "client", address)
                    for process in client, server:
                        try:
                            output = process.communicate(timeout=120)[0].decode()
                        except subprocess.TimeoutExpired:
                            raise Failure(f"TCP over {address} hangs: " + second.monitor("info network"))
                        same(f"20 MB over {address}", output.strip(), f"{20 << 20} {digest}")
                same("dropped", dropped(), before)


@not_under("node", "TAP is native only")
def test_scripts_run_with_the_interface(emulator):
    with Namespace(emulator) as ns:
        log = scratch("log")
        up = script("up", f"echo up $# $1 $(ip -o link show $1 | wc -l) >> {log}\n")
        down = script("down", f"echo down $# $1 $(ip -o link show $1 | wc -l) >> {log}\n")
        with ends.emulator("slipway", f"tap,id=t,ifname=tap7,script={up},downscript={down}", wrapper=ns.wrapper,
                           hubs=False) as pc:
            wait_for("info", lambda: info(pc, "t") == f"ifname=tap7,script={up},downscript={down}")
            same("up", open(log).read(), "up 1 tap7 1\n")
            same("netdev_add", pc.monitor(f"netdev_add tap,id=u,ifname=tap8,script={up},downscript={down}"), "")
            same("netdev_del", pc.monitor("netdev_del u"), "")
            same("interfaces", ("tap7" in ns.links(), "tap8" in ns.links()), (True, False))
            pc.signal(signal.SIGTERM)
            same("status", pc.wait_exit(), 0)
        same("scripts", open(log).read(), "up 1 tap7 1\nup 1 tap8 1\ndown 1 tap8 1\ndown 1 tap7 1\n")
        same("the interface is gone", "tap7" in ns.links(), False)


@not_under("node", "TAP is native only")
def test_tap_errors(emulator):
    def fails(ns, text, message, wrapper=()):
        with ends.emulator("slipway", text, wrapper=[*ns.wrapper, *wrapper], hubs=False, qmp=False) as pc:
            same(f"status of {text}", pc.wait_exit(), 1)
            same("message", pc.errors, f"slipway: -netdev {text}: {message}\n")

    with Namespace(emulator) as ns:
        off = "script=no,downscript=no"
        fails(ns, "tap,id=t,script=/nonexistent", "network script /nonexistent: No such file or directory")
        fails(ns, "tap,id=t,script=/bin/false", "network script /bin/false failed with status 1")
        killed = script("killed", "kill -9 $$\n")
        fails(ns, f"tap,id=t,script={killed}", f"network script {killed} was killed by signal 9")
        fails(ns, f"tap,id=t,ifname=lo,{off}", "could not configure /dev/net/tun (lo): Invalid argument")
        fails(ns, f"tap,id=t,ifname=averyveryverylong,{off}",
              "interface name 'averyveryverylong' is longer than 15 characters")
        fails(ns, "tap,id=t,fd=77", "Can't use file descriptor 77: Bad file descriptor")
        fails(ns, "tap,id=t,fd=3,script=no", "script= is invalid with fd=")
        fails(ns, "bridge,id=t,helper=/nonexistent", "bridge helper /nonexistent: No such file or directory")
        fails(ns, "tap,id=t,helper=/bin/true", "bridge helper /bin/true sent no interface")
        with ends.emulator("slipway", f"tap,id=t,ifname=tap7,{off}", wrapper=ns.wrapper, hubs=False) as pc:
            wait_for("interface", lambda: "tap7" in ns.links())
            fails(ns, f"tap,id=t,ifname=tap7,{off}", "could not configure /dev/net/tun (tap7): Device or resource busy")
        same("no interface stays", "tap" in ns.links(), False)
        # without the device
        hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"]
        fails(ns, f"tap,id=t,{off}", "could not open /dev/net/tun: No such file or directory", hide)
        # without permission: nobody may not read the build folder, so the program is copied
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            program = shutil.copy(COMMANDS["slipway"][0], folder)
            nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            mode = stat.S_IMODE(os.stat("/dev/net/tun").st_mode)
            done = subprocess.run([*ns.wrapper, *nobody, program, "-nodefaults", "-S", "-display", "none", "-netdev",
                                   f"tap,id=t,{off}"], capture_output=True, text=True, timeout=60)
            message = ("could not configure /dev/net/tun (tap%d): Operation not permitted" if mode & 0o006 == 0o006 else
                       "could not open /dev/net/tun: Permission denied")
            same("message without permission", done.stderr, f"slipway: -netdev tap,id=t,{off}: {message}\n")


def open_tap(name):
    """A TAP descriptor of this namespace, with IFF_VNET_HDR."""
    TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return fd


@not_under("node", "TAP is native only")
def test_a_given_tap_descriptor(emulator):
    with Namespace(emulator):
        name = f"slw{os.getpid() % 100000}"
        fd = open_tap(name)
        path = scratch("given")
        with ends.emulator("slipway", f"tap,id=t,fd={fd}", f"stream,id=in,server=on,addr.type=unix,addr.path={path}",
                           pass_fds=[fd]) as pc:
            os.close(fd)
            run("ip", "link", "set", name, "up")
            end = StreamEnd.connect(path)
            same("info network", info(pc, "t"), f"fd={fd}")
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
            raw.bind((name, 0x88B5))
            raw.settimeout(20)
            raw.send(numbered(5, 100))
            frame = end.receive()
            while frame[12:14] != b"\x88\xb5":
                frame = end.receive()
            same("frame from the interface", number_of(frame), 5)
            end.send(numbered(6, 200))
            frame = raw.recv(2000)
            while number_of(frame) == 5:
                frame = raw.recv(2000)
            same("frame to the interface", (number_of(frame), len(frame)), (6, 200))


@not_under("node", "TAP is native only")
def test_bridge_helper(emulator):
    """QEMU's own helper, and a stand-in for it that shows what it is started with."""
    helper = "/usr/lib/qemu/qemu-bridge-helper"
    if not os.path.exists(helper):
        raise Skip("QEMU's bridge helper is missing")
    with Namespace(emulator) as ns:
        ns.run("ip", "link", "add", "br7", "type", "bridge")
        ns.run("ip", "link", "set", "br7", "up")
        allow = scratch("bridge.conf")
        with open(allow, "w") as f:
            f.write("allow br7\n")
        os.makedirs("/etc/qemu", exist_ok=True)
        bind = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none /etc/qemu && cp {allow} /etc/qemu && exec "$@"', "sh"]
        for text in "bridge,id=t,br=br7", f"tap,id=t,br=br7,helper={helper}", "tap,id=t,br=br7":
            with ends.emulator("slipway", text, wrapper=[*ns.wrapper, *bind], hubs=False) as pc:
                same("info network", wait_for("info", lambda: info(pc, "t")), f"helper={helper},br=br7")
                same("in the bridge", "master br7" in ns.run("ip", "-o", "link", "show", "tap0"), True)
        with ends.emulator("slipway", "bridge,id=t,br=br8", wrapper=[*ns.wrapper, *bind], hubs=False, qmp=False) as pc:
            same("status", pc.wait_exit(), 1)
            same("message", "-netdev bridge,id=t,br=br8: bridge helper failed with status 1" in pc.errors, True)


@not_under("slipway", "is about Node")
@not_under("qemu", "is about Node")
def test_under_node_one_clear_error(emulator):
    for text in "tap,id=t", "bridge,id=t":
        with ends.emulator(emulator, text, hubs=False, qmp=False) as pc:
            same("status", pc.wait_exit(), 1)
            same("message", pc.errors,
                 f"slipway: -netdev {text}: TAP interfaces are only available in the native build\n")
