"""Guests that reach other machines: a QEMU over a socket, the host's kernel over a TAP interface."""
import hashlib
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))
import ends
from test_nics import boot, ping
from test_tap import Namespace, script
from pc import Failure, same, scratch

MEGABYTES = 3  # of random bytes
REPEATED = 7


def up(pc, modules, address):
    pc.shell(f"modprobe -a {modules}; ip link set lo up; ifconfig eth0 {address} up")
    pc.shell("until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.2; done", seconds=40)


def make_file(pc):
    """/tmp/sent: random bytes, again and again. Returns its checksum."""
    pc.shell(f"head -c {MEGABYTES << 20} /dev/urandom > /tmp/part; for i in $(seq {REPEATED}); do cat /tmp/part; done > /tmp/sent",
             seconds=100)
    return pc.shell("md5sum < /tmp/sent", seconds=100).split()[0]


def received(pc, md5):
    same("bytes", pc.shell("wait; md5sum < /tmp/got; rm /tmp/got", seconds=300).split()[0], md5)


def streams(*transfers):
    """Bytes of /tmp/sent over TCP connections at the same time: (sender, receiver, receiver's address, checksum). The
    receiver's input never ends: it would close its direction at once otherwise, and the sender's nc ends when it hears so."""
    for _, receiver, _, _ in transfers:
        receiver.shell("mkfifo /tmp/silence; nc -l -p 5000 <> /tmp/silence > /tmp/got & sleep 1")
    for sender, _, address, _ in transfers:
        sender.shell(f"nc {address} 5000 < /tmp/sent > /dev/null &")
    for _, receiver, _, md5 in transfers:
        received(receiver, md5)


def test_two_machines_and_a_hub(emulator):
    """Ours has its card and the wire on a hub; the other machine is QEMU's. TCP streams both ways at once, then files over
    HTTP, 22 MB each."""
    path = scratch("wire")
    wire = f"stream,id=wire,addr.type=unix,addr.path={path}"
    with boot("qemu", "amd64", "-netdev", wire + ",server=on", "-device", "e1000,netdev=wire") as theirs:
        with boot(emulator, "amd64", "-netdev", wire, "-netdev", "hubport,id=h1,hubid=1,netdev=wire",
                  "-netdev", "hubport,id=h2,hubid=1", "-device", "virtio-net-pci,netdev=h2") as ours:
            up(theirs, "e1000", "10.9.0.1")
            up(ours, "virtio_pci virtio_net", "10.9.0.2")
            ping(ours, "10.9.0.1")
            ping(theirs, "10.9.0.2", 1472)
            out, back = (ours, theirs, "10.9.0.1", make_file(ours)), (theirs, ours, "10.9.0.2", make_file(theirs))
            streams(out, back)
            for server, client, _, md5 in (out, back):
                server.shell("httpd -p 80 -h /tmp")
                address = "10.9.0.2" if server is ours else "10.9.0.1"
                client.shell(f"wget -q -O /tmp/got http://{address}/sent", seconds=300)
                received(client, md5)
            if emulator != "qemu":  # it doesn't count
                same("dropped", ends.counter(ours, "wire", "dropped"), 0)


def test_virtio_over_tap(emulator):
    """Both ways with the host's TCP, which leaves checksums and segmentation to virtio-net and it to the host."""
    with Namespace(emulator) as ns:
        address = script("up", "ip addr add 10.9.0.1/24 dev $1 && ip link set $1 up\n")
        with boot(emulator, "amd64", "-netdev", f"tap,id=t,ifname=tap7,script={address},downscript=no",
                  "-device", "virtio-net-pci,netdev=t", wrapper=ns.wrapper) as pc:
            up(pc, "virtio_pci virtio_net", "10.9.0.2")
            ping(pc, "10.9.0.1")
            ping(pc, "10.9.0.1", 1472)
            data = random.Random(9).randbytes(MEGABYTES << 20)
            path = scratch("data")
            with open(path, "wb") as f:
                f.write(data)
            server = ns.start("python3", "-c", f"""
import socket
s = socket.create_server(("10.9.0.1", 5000))
print("ready", flush=True)
c, _ = s.accept()
c.sendall(open({path!r}, "rb").read())
""")
            same("server", server.stdout.readline(), b"ready\n")
            md5 = hashlib.md5(data).hexdigest()
            same("download", pc.shell("nc 10.9.0.1 5000 > /tmp/got; md5sum < /tmp/got", seconds=300).split()[0], md5)
            pc.shell("httpd -p 80 -h /tmp")  # uses sendfile(): large segments
            client = ns.start("python3", "-c", """
import hashlib, urllib.request
print(hashlib.md5(urllib.request.urlopen("http://10.9.0.2/got").read()).hexdigest())
""")
            pc._until("upload", lambda: client.poll() is not None, 300)
            same("upload", client.stdout.read().decode().strip(), md5)
            words = re.findall(r"[RT]X:.*\n\s*(\d+)\s+(\d+)", ns.run("ip", "-s", "link", "show", "tap7"))
            for (bytes_, packets), what in zip(words, ("from the guest", "to the guest")):
                # acknowledgements are among them
                if int(bytes_) / int(packets) < 1514:
                    raise Failure(f"{what}: {bytes_} bytes in {packets} frames: no large segments")
            same("dropped", ends.counter(pc, "t", "dropped"), 0)
