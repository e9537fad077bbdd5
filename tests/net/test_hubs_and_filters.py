"""Hubs, filters and the monitor's network commands, without a guest: frames come and go over dgram netdevs and chardevs
that the test holds the other ends of. The same tests under QEMU prove them."""
import os
import re
import shutil
import socket
import struct
import subprocess

from pc import PC, Failure, Skip, not_under, same, scratch


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Wire:
    """The other end of `-netdev dgram`: one frame a UDP datagram."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(20)
        self.theirs = ("127.0.0.1", free_port())

    def netdev(self, name):
        return (f"dgram,id={name},local.type=inet,local.host=127.0.0.1,local.port={self.theirs[1]},"
                f"remote.type=inet,remote.host=127.0.0.1,remote.port={self.socket.getsockname()[1]}")

    def send(self, frame):
        self.socket.sendto(frame, self.theirs)

    def receive(self):
        return self.socket.recv(70000)

    def silent(self):
        self.socket.settimeout(0.3)
        try:
            raise Failure(f"a frame that shouldn't come: {self.socket.recv(70000)[:40]!r}")
        except TimeoutError:
            self.socket.settimeout(20)


def frame(number, size=60):
    """A broadcast frame of the local experimental Ethertype."""
    head = b"\xff" * 6 + b"\x52\x54\x00\xaa\xbb\xcc\x88\xb5" + struct.pack(">I", number)
    return head + bytes(size - len(head))


def hub_of(emulator, wires, *options):
    """A PC with each wire on a port of hub 1."""
    argv = ["-m", "16"]
    for i, wire in enumerate(wires):
        argv += ["-netdev", wire.netdev(f"w{i}"), "-netdev", f"hubport,id=h{i},hubid=1,netdev=w{i}"]
    pc = PC(emulator, *argv, *options, serial="null")
    pc.qmp("query-status")
    return pc


def read_pcap(path, count):
    with open(path, "rb") as f:
        data = f.read()
    same("pcap header", data[:24], struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65536, 1))
    frames, at = [], 24
    while at < len(data):
        _, _, kept, length = struct.unpack_from("<IIII", data, at)
        frames.append(data[at + 16:at + 16 + kept])
        same("length", length, kept)
        at += 16 + kept
    same("frames in the capture", len(frames), count)
    return frames


def test_hub_and_capture(emulator):
    wires = [Wire() for _ in range(3)]
    path, rx = scratch("all.pcap"), scratch("rx.pcap")
    with hub_of(emulator, wires, "-object", f"filter-dump,id=d,netdev=w1,file={path}",
                "-object", f"filter-dump,id=r,netdev=w1,file={rx},queue=rx") as pc:
        sent = [frame(i, 60 + 50 * i) for i in range(25)]
        for i, f in enumerate(sent):
            wires[i % 3].send(f)
            for k in range(3):
                if k != i % 3:
                    same("frame at the other port", wires[k].receive(), f)
        wires[0].silent()
        pc.monitor("object_del d")
        pc.monitor("object_del r")
        same("capture", read_pcap(path, 25), sent)
        same("capture of what w1 receives", read_pcap(rx, 17), [f for i, f in enumerate(sent) if i % 3 != 1])
    if not shutil.which("tcpdump"):
        raise Skip("tcpdump isn't there to read the capture")
    text = subprocess.run(["tcpdump", "-nr", path], capture_output=True, text=True).stdout
    same("lines of tcpdump", text.count("ethertype Unknown (0x88b5)"), 25)


class Records:
    """The other end of a chardev of filter-mirror or filter-redirector."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise Failure("chardev: closed")
            data += more
        return data

    def receive(self):
        return self.read(struct.unpack(">I", self.read(4))[0])

    def send(self, f, chunk=70000):
        data = struct.pack(">I", len(f)) + f
        for i in range(0, len(data), chunk):
            self.socket.sendall(data[i:i + chunk])


def test_mirror_and_redirector(emulator):
    wires = [Wire(), Wire()]
    paths = [scratch(f"chardev{i}") for i in range(3)]
    options = []
    for i, p in enumerate(paths):
        options += ["-chardev", f"socket,id=c{i},path={p},server=on,wait=off"]
    with hub_of(emulator, wires, *options, "-object", "filter-mirror,id=m,netdev=w0,outdev=c0,queue=tx",
                "-object", "filter-redirector,id=i,netdev=w1,indev=c2,queue=rx",
                "-object", "filter-redirector,id=o,netdev=w1,outdev=c1,queue=rx") as pc:
        wires[1].send(frame(50))
        same("other direction", wires[0].receive(), frame(50))
        mirror, out, back = (Records(p) for p in paths)
        pc.settle(0.3)
        for i in range(10):
            f = frame(100 + i, 60 + 140 * i)
            wires[0].send(f)
            same("redirector", out.receive(), f)
            same("mirror", mirror.receive(), f)
        wires[1].silent()
        for i in range(10):
            f = frame(200 + i, 60 + 140 * i)
            back.send(f, 1 + 100 * i if i else 7)
            same("put back", wires[1].receive(), f)
        wires[0].silent()
        back.socket.sendall(b"\xff" * 70000)  # no such frame: nothing more is read, until the next connection
        back.socket.close()
        pc.settle(0.3)
        pc.monitor("object_del o")
        wires[0].send(frame(7))
        same("without the redirector", wires[1].receive(), frame(7))
        pc.monitor("set_link w1 off")
        wires[0].send(frame(8))
        wires[1].silent()
        pc.monitor("set_link w1 on")
        wires[0].send(frame(9))
        same("link up again", wires[1].receive(), frame(9))


COMMANDS = [
    "info network", "set_link foo on", "set_link n1 off", "set_link n1 on", "set_link n1 maybe", "netdev_add user",
    "netdev_add foo,id=x", "netdev_add hubport,id=h", "netdev_add hubport,id=h,hubid=7", "netdev_del nope",
    "netdev_del nic", "object_add foo,id=x", "object_add filter-dump,id=x,netdev=n1", "object_del nope",
    "object_add filter-dump,id=x,netdev=n1,file=/dev/null,maxlen=100", "info network", "object_del x", "info network",
    "hostfwd_add nope tcp::1-:2", "announce_self", "netdev_del h", "netdev_add hubport,id=h,hubid=2", "netdev_del h",
]
QMP = [
    ("set_link", {"name": "foo", "up": True}), ("set_link", {"name": "n1"}), ("set_link", {"name": "n1", "up": False}),
    ("netdev_add", {"type": "foo", "id": "x"}), ("netdev_add", {"type": "hubport"}), ("netdev_add", {"id": "x"}),
    ("netdev_add", {"type": "hubport", "id": "q"}), ("netdev_add", {"type": "hubport", "id": "q", "hubid": 9}),
    ("netdev_del", {"id": "zz"}), ("netdev_del", {"id": "q"}), ("netdev_del", {}),
    ("object-add", {"qom_type": "filter-dump", "id": "f", "netdev": "n1", "file": "/dev/null", "maxlen": 77}),
    ("object-del", {"id": "f"}), ("object-del", {"id": "f"}), ("announce-self", {}),
    ("announce-self", {"initial": 50, "max": 550, "rounds": 2, "step": 50}),
]


def answers(emulator):
    with PC(emulator, "-S", "-m", "16", "-netdev", "hubport,id=n1,hubid=2", "-device", "e1000,netdev=n1,id=nic",
            serial="null") as pc:
        lines = []
        for command in COMMANDS:
            text = re.sub(r"^   link=.*\n", "", pc.monitor(command), flags=re.M)
            lines.append((command, re.sub(r'^Try "help .*\n', "", text, flags=re.M)))
        for command, arguments in QMP:
            lines.append((command, arguments, pc.qmp_raw(command, **arguments)))
        return lines


@not_under("qemu", "compares with QEMU")
def test_network_commands_are_qemus(emulator):
    wrong = [f"{ours} not {theirs}" for ours, theirs in zip(answers(emulator), answers("qemu")) if ours != theirs]
    if wrong:
        raise Failure("\n".join(wrong))


@not_under("qemu", "is about our counters")
def test_info_network_counts(emulator):
    wires = [Wire(), Wire()]
    with hub_of(emulator, wires) as pc:
        for i in range(5):
            wires[0].send(frame(i, 100))
            wires[1].receive()
        if not re.search(r"w1: index=0,type=dgram,.*\n   link=up,frames=5,bytes=500,queued=0,waited=\d+,dropped=0\n",
                         pc.monitor("info network")):
            raise Failure(pc.monitor("info network"))
        pc.monitor("set_link w1 off")
        wires[0].send(frame(9, 100))
        wires[1].silent()
        if not re.search(r"w1: .*\n   link=down,frames=5,bytes=500,.*dropped=1\n", pc.monitor("info network")):
            raise Failure(pc.monitor("info network"))
