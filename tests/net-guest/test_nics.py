"""Each network card under the driver of Debian's kernel. One boot a card does it all, with two cards of the kind: eth0
on the user-mode network, eth1 on a cable whose far end is the test."""
import hashlib
import os
import random
import re
import struct
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))
import ends
from peers import CABLE_IP, CABLE_MAC, Cable, Servers
from pc import PC, Failure, guest, same, scratch

CARRIER = "/sys/class/net/{}/carrier"


def initramfs(flavour):
    path = scratch(f"initrd-net-{flavour}.cpio")
    with open(path, "wb") as out:
        for part in ("initrd", "net", "tools"):
            with open(guest(f"{part}-{flavour}.cpio"), "rb") as f:
                out.write(f.read())
    return path


def boot(emulator, flavour, *options, append="", **named):
    pc = PC(emulator, "-m", "256", "-kernel", guest(f"vmlinuz-{flavour}"), "-initrd", initramfs(flavour),
            "-append", f"console=ttyS0 loglevel=1 nowatchdog {append}", "-no-reboot", *options, **named)
    pc.expect("guest# ", seconds=60)
    return pc


def wait_carrier(pc, interface, value):
    pc.shell(f"until [ $(cat {CARRIER.format(interface)}) = {value} ]; do sleep 0.2; done", seconds=40)


def dhcp(pc):
    answer = pc.shell("udhcpc -i eth0 -s /dhcp -n -q -t 10 2>&1", seconds=40)
    if "dhcp: 10.0.2.15/24 router 10.0.2.2 dns 10.0.2.3" not in answer:
        raise Failure(f"DHCP: {answer}")


def ping(pc, address, size=56):
    command = "ping6" if ":" in address else "ping"
    for last in False, True:  # on a loaded machine the guest's ARP may give up once
        answer = pc.shell(f"{command} -c 3 -i 0.2 -s {size} {address} 2>&1", seconds=40)
        if "3 packets transmitted, 3 packets received" in answer:
            return
        if last:
            raise Failure(f"ping of {address} with {size} bytes: {answer}")


def download(pc, servers):
    got = pc.shell(f"wget -q -O /tmp/file http://10.0.2.2:{servers.http_port}/; md5sum < /tmp/file", seconds=120)
    same("download", got.split()[0], servers.file_md5)


def upload(pc, servers):
    got = pc.shell(f"nc 10.0.2.2 {servers.sink_port} < /tmp/file", seconds=120)
    same("upload", got, f"{servers.file_md5} {len(servers.file)}")


def statistic(pc, name):
    return int(pc.shell(f"cat /sys/class/net/eth0/statistics/{name}"))


def large_segments(pc, servers, port, received):
    """The guest sends with sendfile(), which its card gets in pieces of many segments; with @received it gets such, too.
    The user-mode network takes them whole."""
    before = ends.counter(pc, "u", "frames"), ends.counter(pc, "u", "bytes")
    pc.shell("httpd -p 80 -h /tmp")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/file", timeout=300) as answer:
        same("sendfile()", hashlib.md5(answer.read()).hexdigest(), servers.file_md5)
    pc.shell("killall httpd")
    frames, size = ends.counter(pc, "u", "frames") - before[0], ends.counter(pc, "u", "bytes") - before[1]
    if size / frames < 3000:
        raise Failure(f"{size} bytes left the guest in {frames} frames: no large segments")
    if received:
        before = statistic(pc, "rx_packets"), statistic(pc, "rx_bytes")
        download(pc, servers)
        frames, size = statistic(pc, "rx_packets") - before[0], statistic(pc, "rx_bytes") - before[1]
        if size / frames < 6000:
            raise Failure(f"{size} bytes reached the guest in {frames} frames: no large segments")


def ipv6(pc):
    pc.shell("until ip -6 addr show dev eth0 | grep -q fec0::; do sleep 0.2; done", seconds=40)
    ping(pc, "fec0::2")


def ethtool(pc, interface="eth0"):
    """What ethtool says of the interface's driver and link, {word: value}."""
    answer = pc.shell(f"ethtool -i {interface}; ethtool {interface}", seconds=40)
    return dict(re.findall(r"^\s*([\w-][\w -]*): (.+?)\r?$", answer, re.M))


def link_change(pc, speed):
    """@speed: what ethtool calls speed and duplex."""
    for state, carrier, detected in ("on", 1, "yes"), ("off", 0, "no"), ("on", 1, "yes"):
        pc.monitor(f"set_link nic0 {state}")
        wait_carrier(pc, "eth0", carrier)
        words = ethtool(pc)
        same("ethtool: link", words["Link detected"], detected)
        if carrier:
            same("ethtool: speed", (words.get("Speed"), words.get("Duplex")), speed)
    ping(pc, "10.0.2.2")


def pull_cable(pc):
    pc.monitor("set_link nic0 off")
    pc.shell("sleep 1")
    pc.monitor("set_link nic0 on")


def link_down_under_load(pc, servers):
    pc.shell(f"wget -q -O /tmp/load http://10.0.2.2:{servers.http_port}/ &")
    pc.shell("until [ -s /tmp/load ]; do usleep 10000; done", seconds=40)
    pull_cable(pc)
    same("download with a pulled cable", pc.shell("wait; md5sum < /tmp/load", seconds=200).split()[0], servers.file_md5)
    counter = "/sys/class/net/eth0/statistics/tx_bytes"
    pc.shell(f"before=$(cat {counter}); nc 10.0.2.2 {servers.sink_port} < /tmp/load > /tmp/sum &")
    pc.shell(f"until [ $(cat {counter}) -gt $((before + 1000000)) ]; do usleep 10000; done", seconds=60)
    pull_cable(pc)
    pc.shell("wait", seconds=200)  # the shell may say here which job is done
    same("upload with a pulled cable", pc.shell("cat /tmp/sum"), f"{servers.file_md5} {len(servers.file)}")


def received(pc):
    return int(pc.shell("cat /sys/class/net/eth1/statistics/rx_packets"))


def hears(pc, cable, what, address, wanted):
    """Does eth1 receive frames to this address?"""
    before = received(pc)
    own = bytes.fromhex(pc.shell("cat /sys/class/net/eth1/address").replace(":", ""))
    rest = CABLE_MAC + b"\x88\xb5" + bytes(50)
    cable.send(*[bytes.fromhex(address) + rest] * 10, own + rest)
    pc.shell(f"until [ $(cat /sys/class/net/eth1/statistics/rx_packets) -gt {before} ]; do usleep 50000; done", seconds=40)
    pc.shell("usleep 300000")
    same(what, received(pc) - before, 1 + 10 * wanted)


def filters(pc, cable):
    stranger, group = "525400999999", "01005e7f1234"
    hears(pc, cable, "frames for others", stranger, False)
    hears(pc, cable, "multicast nobody wants", group, False)
    hears(pc, cable, "broadcast", "ffffffffffff", True)
    pc.shell("ifconfig eth1 allmulti")
    hears(pc, cable, "multicast with allmulti", group, True)
    hears(pc, cable, "frames for others with allmulti", stranger, False)
    pc.shell("ifconfig eth1 -allmulti; ip link set eth1 promisc on")
    hears(pc, cable, "frames for others with promisc", stranger, True)
    pc.shell("ip link set eth1 promisc off")
    hears(pc, cable, "frames for others after promisc", stranger, False)


def new_address(pc, cable):
    old = pc.shell("cat /sys/class/net/eth1/address").replace(":", "")
    pc.shell("ip link set eth1 down; ip link set eth1 address 52:54:00:77:88:99; ip link set eth1 up")
    wait_carrier(pc, "eth1", 1)
    hears(pc, cable, "frames to the former address", old, False)
    ping(pc, CABLE_IP)


def capture(pc, cable, servers):
    """tcpdump sees every byte of frames to anybody, of all lengths."""
    dice = random.Random(5)
    frames = [dice.randbytes(6)[:5] + b"\5" + CABLE_MAC + b"\x88\xb5" + dice.randbytes(dice.randint(46, 1500)) for _ in range(200)]
    frames = [bytes([frame[0] & 0xFE]) + frame[1:] for frame in frames]
    pc.shell("mkdir -p /etc; echo root:x:0:0::/:/bin/sh > /etc/passwd")  # who tcpdump shall be
    pc.shell("tcpdump -i eth1 -Z root -s 0 -U -w /tmp/capture -c 200 ether proto 0x88b5 2> /tmp/tcpdump.log &")
    pc.shell("until [ -s /tmp/tcpdump.log ]; do usleep 50000; done", seconds=60)
    cable.send(*frames)
    pc.shell("wait", seconds=60)
    pc.shell(f"nc 10.0.2.2 {servers.sink_port} < /tmp/capture", seconds=60)
    data, heard, at = servers.received, [], 24
    while at < len(data):
        size, = struct.unpack_from("<I", data, at + 8)
        heard.append(data[at + 16:at + 16 + size])
        at += 16 + size
    same("frames in the capture", [len(frame) for frame in heard], [len(frame) for frame in frames])
    same("captured bytes", heard == frames, True)


def vlan(pc):
    pc.shell("modprobe 8021q; vconfig add eth1 5; ip addr del 10.9.0.1/24 dev eth1; ifconfig eth1.5 10.9.0.1 up")
    ping(pc, CABLE_IP)
    ping(pc, CABLE_IP, 1472)
    pc.shell("vconfig rem eth1.5; ifconfig eth1 10.9.0.1")


def jumbo(pc, mtu):
    pc.shell(f"ip link set eth1 mtu {mtu}")
    wait_carrier(pc, "eth1", 1)
    ping(pc, CABLE_IP, mtu - 28)
    pc.shell("ip link set eth1 mtu 1500")
    wait_carrier(pc, "eth1", 1)


def self_test(pc, interface):
    """What the driver does to its card for "ethtool -t": registers, EEPROM, interrupts, loop back, link."""
    answer = pc.shell(f"ethtool -t {interface} 2>&1", seconds=100)
    if "The test result is PASS" not in answer:
        raise Failure(f"ethtool -t {interface}: {answer}")
    wait_carrier(pc, interface, 1)


GIGABIT, FAST, TEN = ("1000Mb/s", "Full"), ("100Mb/s", "Full"), ("10Mb/s", "Half")  # what ethtool says
UNKNOWN = ("Unknown!", "Unknown! (255)")


def card(emulator, flavour, model, modules, max_mtu=1500, properties="", second=None, filtering=True, link=None,
         append="", large=(), tested=False, rings=0):
    """Everything above, with two cards of @model. @second: properties of the second one, if others. @filtering: it
    sorts out foreign frames itself. @link: speed and duplex; None: its driver doesn't see the state of the link.
    @append: for the kernel. @large: it "sends", "receives" large segments. @tested: the driver has a test for its card.
    @rings: the largest number of descriptors."""
    port = ends.free_port()
    with Servers() as servers, Cable() as cable:
        pc = boot(emulator, flavour, "-netdev", f"user,id=u,hostfwd=tcp:127.0.0.1:{port}-:80",
                  "-device", f"{model},netdev=u,id=nic0{properties}",
                  "-netdev", f"socket,id=c,connect=127.0.0.1:{cable.port}",
                  "-device", f"{model},netdev=c,id=nic1{properties if second is None else second}", append=append)
        with pc:
            pc.shell(f"modprobe -a {modules} 2>&1; ip link set lo up; ifconfig eth1 10.9.0.1; ip link set eth0 up")
            wait_carrier(pc, "eth0", 1)
            last = modules.split()[-1]
            same("driver", ethtool(pc)["driver"], last)
            dhcp(pc)
            ping(pc, "10.0.2.2")
            download(pc, servers)
            upload(pc, servers)
            if large and emulator != "qemu":  # it doesn't count frames
                large_segments(pc, servers, port, "receives" in large)
            ipv6(pc)
            wait_carrier(pc, "eth1", 1)
            ping(pc, CABLE_IP)
            ping(pc, CABLE_IP, 1472)
            if filtering:
                filters(pc, cable)
            capture(pc, cable, servers)
            new_address(pc, cable)
            vlan(pc)
            if max_mtu > 1500:
                jumbo(pc, max_mtu)
            if tested and emulator != "qemu":  # QEMU's cards fail
                self_test(pc, "eth1")
                ping(pc, CABLE_IP)
            if link:
                link_change(pc, link)
            pc.shell(f"rmmod {last} && modprobe {last}; ip link set eth0 up")
            wait_carrier(pc, "eth0", 1)
            if rings:
                pc.shell(f"ethtool -G eth0 rx {rings} tx {rings}")
                same("rings", pc.shell(f"ethtool -g eth0 | grep -Ec '^(RX|TX):.*\\b{rings}$'"), "4")
                wait_carrier(pc, "eth0", 1)
            dhcp(pc)
            ping(pc, "10.0.2.2")
            link_down_under_load(pc, servers)


def test_e1000(emulator):
    card(emulator, "amd64", "e1000", "e1000", max_mtu=16110, large=("sends",), link=GIGABIT, tested=True, rings=4096)


def test_relatives_of_the_e1000(emulator):
    """Each has a cable of its own."""
    models = ["e1000-82544gc", "e1000-82545em"]
    cables = [Cable() for _ in models]
    options = []
    for i, model in enumerate(models):
        options += ["-netdev", f"socket,id=c{i},connect=127.0.0.1:{cables[i].port}", "-device", f"{model},netdev=c{i}"]
    with cables[0], cables[1], boot(emulator, "amd64", *options) as pc:
        pc.shell("modprobe -a e1000 af_packet", seconds=40)
        for i in range(len(models)):
            pc.shell(f"ifconfig eth{i} 10.9.0.1 up; ip link set eth{i} mtu 9000")
            wait_carrier(pc, f"eth{i}", 1)
            ping(pc, CABLE_IP)
            ping(pc, CABLE_IP, 8972)
            if emulator != "qemu":
                self_test(pc, f"eth{i}")
            pc.shell(f"ifconfig eth{i} 0.0.0.0 down")


def test_virtio_net_modern(emulator):
    card(emulator, "amd64", "virtio-net-pci", "virtio_pci virtio_net", max_mtu=65535, large=("sends", "receives"),
         link=UNKNOWN)


def test_virtio_net_legacy(emulator):
    # No jumbo frames: without mergeable buffers QEMU's driver has none of that size.
    card(emulator, "686", "virtio-net-pci", "virtio_pci virtio_net",
         properties=",disable-modern=on,mrg_rxbuf=off", link=UNKNOWN)


def test_ne2k_isa(emulator):
    card(emulator, "686", "ne2k_isa", "ne", properties=",irq=5", second=",iobase=0x320,irq=10",
         append="ne.io=0x300,0x320 ne.irq=5,10")


def test_ne2k_pci(emulator):
    card(emulator, "amd64", "ne2k_pci", "ne2k-pci")


def test_pcnet(emulator):
    card(emulator, "686", "pcnet", "pcnet32", link=TEN, tested=True, rings=512)


def test_rtl8139(emulator):
    card(emulator, "amd64", "rtl8139", "8139cp", max_mtu=4096, large=("sends",), link=FAST)
