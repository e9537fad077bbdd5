"""Saved states: a Linux at work is saved natively, and goes on natively and under Node from the same file."""
import hashlib
import http.server
import os
import random
import re
import threading

from pc import PC, Failure, guest, not_under, same, scratch

FILE = random.Random(6).randbytes(3 << 20)


class Server:
    """Serves FILE on the host's loopback, which is 10.0.2.2 for the guest."""

    def __enter__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(FILE)))
                self.end_headers()
                try:
                    self.wfile.write(FILE)
                except OSError:
                    pass  # the guest that asked is gone

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_address[1]

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


def initramfs():
    path = scratch("initrd-snapshot.cpio")
    with open(path, "wb") as out:
        for part in ("initrd", "modules", "net"):
            with open(guest(f"{part}-amd64.cpio"), "rb") as f:
                out.write(f.read())
    return path


def machine(disk, memory=192):
    return ["-m", str(memory), "-kernel", guest("vmlinuz-amd64"), "-initrd", initramfs(), "-no-reboot",
            "-append", "console=ttyS0 loglevel=3 nowatchdog nokaslr",
            "-drive", f"file={disk},format=raw,if=virtio,snapshot=on", "-cdrom", guest("grub-rescue.iso"),
            "-nic", "user,model=e1000", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]


# Three loads at a time: ticks, a disk that is written and read back, downloads. Each counts its rounds in a file.
LOADS = r"""
cat > /tmp/loads <<'END'
(n=0; while sleep 0.1; do n=$((n+1)); echo $n > /tmp/ticks; done) &
(n=0; while true; do
  head -c 262144 /dev/urandom > /tmp/block
  dd if=/tmp/block of=/dev/vda bs=64k seek=$((n % 16 * 4)) conv=fsync 2>/dev/null
  echo 3 > /proc/sys/vm/drop_caches
  dd if=/dev/vda bs=64k skip=$((n % 16 * 4)) count=4 2>/dev/null | cmp - /tmp/block || echo disk >> /tmp/wrong
  n=$((n+1)); echo $n > /tmp/disk; done) &
(n=0; while true; do
  timeout 10 wget -q -O /tmp/file http://10.0.2.2:PORT/ || { echo try >> /tmp/retries; continue; }
  [ "$(md5sum < /tmp/file)" = "SUM  -" ] || echo net >> /tmp/wrong
  n=$((n+1)); echo $n > /tmp/net; done) &
END
"""


def counts(pc):
    return [int(n) for n in pc.shell("cat /tmp/ticks /tmp/disk /tmp/net", seconds=60).split()]


def works_on(pc, before):
    """All three loads get on, from where they were, and nothing went wrong."""
    pc.send("\n")
    pc.expect("guest# ", seconds=60)
    pc.shell(f"until [ $(cat /tmp/ticks) -gt {before[0] + 5} -a $(cat /tmp/disk) -gt {before[1] + 1} -a "
             f"$(cat /tmp/net) -gt {before[2] + 1} ]; do sleep 0.5; done", seconds=200)
    same("what went wrong", pc.shell("cat /tmp/wrong 2>&1"), "cat: can't open '/tmp/wrong': No such file or directory")
    same("CD", pc.shell("modprobe ata_piix; modprobe sr_mod; sleep 2; dd if=/dev/sr0 bs=2k count=64 2>/dev/null | md5sum",
                        seconds=60).split()[0], CD_SUM)


with_cd = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                       "build/guests/grub-rescue.iso")
CD_SUM = hashlib.md5(open(with_cd, "rb").read(128 << 10)).hexdigest() if os.path.exists(with_cd) else ""


@not_under("node", "the native test goes on under Node")
@not_under("qemu", "its saved states are its own")
def test_linux_at_work_goes_on_natively_and_under_node(emulator):
    disk, state = scratch("snapshot.img"), scratch("linux.state")
    with open(disk, "wb") as f:
        f.truncate(16 << 20)
    with Server() as port:
        options = machine(disk)
        with PC(emulator, *options) as pc:
            pc.expect("guest# ", seconds=60)
            pc.shell("for m in e1000 virtio_pci virtio_blk virtio-rng; do modprobe $m; done; ip link set eth0 up; "
                     "sleep 2; udhcpc -i eth0 -s /dhcp -n -q -t 10 2>&1 | tail -1", seconds=60)
            loads = LOADS.replace("PORT", str(port)).replace("SUM", hashlib.md5(FILE).hexdigest())
            for line in loads.strip().splitlines():
                pc.send(line + "\n")
            pc.shell("sh /tmp/loads 2>/dev/null; until [ -s /tmp/net -a -s /tmp/disk ]; do sleep 0.3; done", seconds=90)
            before = counts(pc)
            same("savevm", pc.monitor(f"savevm {state}"), "")
            works_on(pc, before)  # saving disturbs nothing
            same("loadvm", pc.monitor(f"loadvm {state}"), "")
            works_on(pc, before)
            same("refused", "another machine: it has 'ram 201326592'" in refused(machine(disk, 128), state), True)
            pc.qmp("quit")
        for again in emulator, "node":
            with PC(again, *options, "-loadvm", state) as pc:
                works_on(pc, before)
                pc.send("poweroff -f\n")
                same(f"exit status under {again}", pc.wait_exit(60), 0)


def refused(options, state):
    """What a machine says that doesn't take a saved state."""
    with PC("slipway", *options, "-loadvm", state) as pc:
        same("status", pc.wait_exit(), 1)
        return pc.errors


@not_under("node", "the native test loads under Node")
@not_under("qemu", "its saved states are its own")
def test_damaged_states_are_refused_and_change_nothing(emulator):
    state, bad = scratch("firmware.state"), scratch("bad.state")
    with PC(emulator, "-m", "16", "-S") as pc:
        pc.qmp("migrate", uri=f"file:{state}")
        with open(state, "rb") as f:
            good = f.read()
        registers = pc.monitor("info registers")
        pc.monitor("cont")
        pc.expect_screen("SeaBIOS")
        pc.qmp("stop")
        later = pc.monitor("info registers")
        for data, message in ((b"", "this is no snapshot"), (b"x" * 5000, "this is no snapshot"),
                              (good[:8] + b"\x63" + good[9:], "format 99, not 1"),
                              (good[:len(good) // 2], "cut off"), (good[:-1], "cut off"),
                              (good + b"x", "more follows"),
                              (good[:9000] + bytes([good[9000] ^ 4]) + good[9001:], "damaged")):
            with open(bad, "wb") as f:
                f.write(data)
            answer = pc.monitor(f"loadvm {bad}")
            if message not in answer or not answer.startswith("Error: "):
                raise Failure(f"{message!r} was expected: {answer!r}")
            same("registers", pc.monitor("info registers"), later)
        same("loadvm", pc.monitor(f"migrate_incoming file:{state}"), "")
        same("registers", pc.monitor("info registers"), registers)
        same("savevm", pc.monitor("savevm one"), "")
        pc.monitor("cont")
        pc.settle(0.5)
        same("info", bool(re.search(r"^-- +one +[\d.]+ MiB ", pc.monitor("info snapshots"), re.M)), True)
        same("loadvm", pc.monitor("loadvm one"), "")
        same("delvm", pc.monitor("delvm one"), "")
        same("gone", pc.monitor("loadvm one"), "Error: Snapshot 'one' does not exist\n")
        pc.qmp("quit")
