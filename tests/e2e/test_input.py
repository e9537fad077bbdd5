"""Mouse and keyboard under the drivers of Debian's kernel: what is put in arrives as Linux's input events."""
import re
import struct

from pc import PC, Failure, not_under, same
from test_linux import linux, with_modules

SYN, KEY, REL, ABS = 0, 1, 2, 3


def abs_to(x, y):
    return [{"type": "abs", "data": {"axis": axis, "value": value}} for axis, value in (("x", x), ("y", y))]


def button(name, down):
    return {"type": "btn", "data": {"button": name, "down": down}}


def key(name, down):
    return {"type": "key", "data": {"key": {"type": "qcode", "data": name}, "down": down}}


def mice(pc):
    """{name: (absolute, current)}"""
    return {mouse["name"]: (mouse["absolute"], mouse["current"]) for mouse in pc.qmp("query-mice")}


def watch(pc, name):
    """Begins to record the events of the device of this name."""
    devices = pc.shell("cat /proc/bus/input/devices").split("\n\n")
    found = [d for d in re.split(r"\n(?=I: )", "\n".join(devices)) if f'Name="{name}"' in d]
    if not found:
        raise Failure(f"no '{name}' among {devices}")
    event = re.search(r"event\d+", found[0])[0]
    pc.shell(f"cat /dev/input/{event} > /tmp/{event} & sleep 0.3")
    return event


def events(pc, event, wanted):
    """Until all of @wanted were there, in this order: (type, code, value) without SYN."""
    for _ in range(40):
        text = pc.shell(f"hexdump -v -e '24/1 \"%02x\" \"\\n\"' /tmp/{event}")
        data = [struct.unpack("<16xHHi", bytes.fromhex(line)) for line in text.split() if len(line) == 48]
        got = [e for e in data if e[0] != SYN]
        if got == wanted:
            return
        pc.settle(0.25)
    raise Failure(f"events {got}, not {wanted}")


def test_linux_virtio_input(emulator):
    with linux(emulator, "amd64", "-device", "virtio-tablet-pci,id=t", "-device", "virtio-keyboard-pci", "-device", "virtio-mouse-pci",
               initrd=with_modules("amd64", "media")) as pc:
        pc.expect("guest# ", seconds=40)
        same("mice before the driver", mice(pc)["QEMU Virtio Tablet"], (True, False))
        pc.shell("for m in virtio_pci evdev virtio_input; do modprobe $m; done; sleep 1", seconds=40)
        # The driver that came last is in front; that of the tablet is wanted.
        number = re.search(r"Mouse #(\d+): QEMU Virtio Tablet", pc.monitor("info mice"))[1]
        pc.monitor(f"mouse_set {number}")
        same("mice", mice(pc)["QEMU Virtio Tablet"], (True, True))
        tablet, keyboard, mouse = (watch(pc, f"QEMU Virtio {name}") for name in ("Tablet", "Keyboard", "Mouse"))
        pc.qmp("input-send-event", events=abs_to(12345, 32767))
        pc.qmp("input-send-event", events=[button("left", True)])
        pc.qmp("input-send-event", events=[button("left", False)])
        pc.qmp("input-send-event", events=[*abs_to(12345, 1), button("wheel-up", True)])
        events(pc, tablet, [(ABS, 0, 12345), (ABS, 1, 32767), (KEY, 0x110, 1), (KEY, 0x110, 0), (ABS, 1, 1), (REL, 8, 1)])
        pc.keys("shift-a")
        events(pc, keyboard, [(KEY, 42, 1), (KEY, 30, 1), (KEY, 30, 0), (KEY, 42, 0)])
        number = re.search(r"Mouse #(\d+): QEMU Virtio Mouse", pc.monitor("info mice"))[1]
        pc.monitor(f"mouse_set {number}")
        pc.monitor("mouse_move 5 -300")
        events(pc, mouse, [(REL, 0, 5), (REL, 1, -300)])
        # A driver that goes gives its place to the PS/2 mouse.
        pc.shell("rmmod virtio_input; sleep 0.5")
        same("mice in the end", mice(pc)["QEMU PS/2 Mouse"], (False, True))


@not_under("qemu", "says that it isn't KVM, and Linux looks for VMware's mouse under KVM and VMware only")
def test_linux_vmmouse(emulator):
    with linux(emulator, "amd64", "-cpu", "qemu64,kvm=on", initrd=with_modules("amd64", "media")) as pc:
        pc.expect("guest# ", seconds=40)
        same("mice before the driver", mice(pc), {"QEMU PS/2 Mouse": (False, True)})
        pc.shell("for m in evdev psmouse; do modprobe $m; done; sleep 3", seconds=40)
        same("mice", mice(pc).get("vmmouse"), (True, True))
        mouse = watch(pc, "VirtualPS/2 VMware VMMouse")
        pc.qmp("input-send-event", events=abs_to(0x1234, 0x7fff))
        pc.qmp("input-send-event", events=[button("right", True)])
        pc.qmp("input-send-event", events=[button("right", False)])
        events(pc, mouse, [(ABS, 0, 0x2468), (ABS, 1, 0xfffe), (KEY, 0x111, 1), (KEY, 0x111, 0)])


@not_under("qemu", "shows its ports in another way")
def test_vmport_can_be_left_out(emulator):
    for setting, there in (("on", True), ("auto", True), ("off", False)):
        with PC(emulator, "-S", "-machine", f"vmport={setting}") as pc:
            same(f"vmport={setting}", "vmport" in pc.monitor("info mtree"), there)
