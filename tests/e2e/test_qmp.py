"""QMP and the monitor, as QEMU speaks them."""
import json
import os
import socket
import zlib

from pc import PC, Failure, read_ppm, same, scratch
from test_boot import boot_disk
from test_linux import linux, with_modules


def boot_pc(emulator, *options, name="qmp.img", **named):
    """A PC that has run our boot disk and waits for a key: quiet, in text mode."""
    image = boot_disk(name, 1474560)
    return PC(emulator, "-m", "32", "-drive", f"file={image},format=raw,if=floppy", "-boot", "a", *options, **named)


def test_qmp_greeting_and_capabilities(emulator):
    with boot_pc(emulator) as pc:
        pc.settle(0.5)
        with socket.socket(socket.AF_UNIX) as s:
            pc._until("QMP socket", lambda: os.path.exists(pc.qmp_path), 10)
            s.connect(pc.qmp_path)
            s.settimeout(20)
            lines = s.makefile("rw", newline="\r\n")

            def say(text):
                lines.write(text + "\r\n")
                lines.flush()
                return json.loads(lines.readline())

            greeting = json.loads(lines.readline())["QMP"]
            if not isinstance(greeting["version"]["qemu"]["major"], int) or "capabilities" not in greeting:
                raise Failure(f"greeting {greeting}")
            same("before capabilities", say('{"execute": "query-status"}')["error"]["class"], "CommandNotFound")
            same("capabilities", say('{"execute": "qmp_capabilities", "id": 7}'), {"return": {}, "id": 7})
            same("id of any type", say('{"execute": "query-status", "id": {"a": [1, "x"]}}')["id"], {"a": [1, "x"]})
            same("unknown command", say('{"execute": "no-such"}')["error"]["class"], "CommandNotFound")
            same("bad JSON", say('{"execute": }')["error"]["class"], "GenericError")
            same("argument that isn't one", say('{"execute": "quit", "arguments": {"x": 1}}')["error"]["class"],
                 "GenericError")
            version = say('{"execute": "query-version"}')["return"]
            if set(version["qemu"]) != {"major", "minor", "micro"}:
                raise Failure(f"query-version: {version}")
            # Several in one write, and one in pieces.
            lines.write('{"execute": "query-status"}{"execute": "query-status"}\n')
            lines.flush()
            same("first of two", "return" in json.loads(lines.readline()), True)
            same("second of two", "return" in json.loads(lines.readline()), True)
            lines.write('{"exec')
            lines.flush()
            pc.settle(0.2)
            same("in pieces", "return" in say('ute": "query-status"}'), True)


def test_qmp_stop_cont_reset_quit(emulator):
    with boot_pc(emulator) as pc:
        pc.expect("press x")
        same("running", pc.qmp("query-status")["status"], "running")
        pc.qmp("stop")
        pc.event("STOP")
        status = pc.qmp("query-status")
        same("stopped", (status["status"], status["running"]), ("paused", False))
        pc.qmp("cont")
        pc.event("RESUME")
        same("running again", pc.qmp("query-status")["running"], True)
        pc.qmp("system_reset")
        same("reset", pc.event("RESET")["data"]["guest"], False)
        pc.expect("BIOS TEST: PASS")
        pc.qmp("quit")
        same("shutdown", pc.event("SHUTDOWN")["data"], {"guest": False, "reason": "host-qmp-quit"})
        pc.wait_exit()
        rest = pc.qmp_buffer
        try:
            rest += pc.qmp_socket.recv(65536)
        except OSError:
            pass
        if b"STOP" in rest or any(e["event"] == "STOP" for e in pc.events):
            raise Failure(f"STOP at the end: {pc.events} {rest}")
        same("exit status", pc.wait_exit(), 0)


def test_qmp_changes_media(emulator):
    for name in ("a.iso", "b.iso"):
        with open(scratch(name), "wb") as f:
            f.truncate(1 << 20)
    with PC(emulator, "-m", "32", "-S", "-cdrom", scratch("a.iso")) as pc:
        def medium(name):
            drive = next(d for d in pc.qmp("query-block") if d["device"] == name)
            return os.path.basename(drive["inserted"]["file"]) if "inserted" in drive else None

        same("at first", medium("ide1-cd0"), "a.iso")
        pc.qmp("blockdev-change-medium", device="ide1-cd0", filename=scratch("b.iso"), format="raw")
        same("changed", medium("ide1-cd0"), "b.iso")
        pc.qmp("eject", device="ide1-cd0")
        same("ejected", medium("ide1-cd0"), None)
        same("monitor", pc.monitor(f"change ide1-cd0 {scratch('a.iso')} raw"), "")
        same("back", medium("ide1-cd0"), "a.iso")
        same("floppy", medium("floppy0"), None)
        same("no such drive", "error" in pc.qmp_raw("eject", device="nothing"), True)
        missing = pc.qmp_raw("blockdev-change-medium", device="ide1-cd0", filename="/nonexistent", format="raw")
        same("missing file", "error" in missing, True)


def test_qmp_memory_and_screen(emulator):
    with boot_pc(emulator) as pc:
        pc.expect("press x")
        path = scratch("memory")
        pc.qmp("pmemsave", val=0x7C00, size=512, filename=path)
        with open(path, "rb") as f:
            sector = f.read()
        same("boot sector", (len(sector), sector[510:]), (512, b"\x55\xaa"))
        with open(scratch("qmp.img"), "rb") as f:
            same("boot sector's code", sector[:64], f.read(64))
        pc.qmp("memsave", val=0x7DFE, size=2, filename=path)
        with open(path, "rb") as f:
            same("memsave", f.read(), b"\x55\xaa")
        width, height, pixels = read_ppm(pc.screendump(scratch("screen.ppm")))
        same("size", (width, height), (720, 400))
        colours = {pixels[i:i + 3] for i in range(0, len(pixels), 3)}
        if bytes(3) not in colours or bytes([0xa8] * 3) not in colours and bytes([0xaa] * 3) not in colours:
            raise Failure(f"colours {sorted(colours)[:8]}")
        # The same as PNG: decode it with nothing but zlib.
        with open(pc.screendump(scratch("screen.png"), format="png"), "rb") as f:
            png = f.read()
        png_width, png_height, png_pixels = decode_png(png)
        same("size of the PNG", (png_width, png_height), (width, height))
        # The cursor may have blinked in between: a cell's worth of pixels.
        differing = sum(a != b for a, b in zip(pixels[::3], png_pixels[::3]))
        if differing > 9 * 16:
            raise Failure(f"PNG and PPM differ in {differing} pixels")
        bad = pc.qmp_raw("screendump", filename="/no/such/directory/x.ppm")
        same("bad path", bad.get("error", {}).get("class"), "GenericError")


def decode_png(data):
    """(width, height, RGB bytes) of a PNG with 8 bits a channel."""
    same("PNG signature", data[:8], b"\x89PNG\r\n\x1a\n")
    at, packed = 8, b""
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        body = data[at + 8:at + 8 + length]
        same(f"CRC of {kind}", int.from_bytes(data[at + 8 + length:at + 12 + length], "big"), zlib.crc32(kind + body))
        if kind == b"IHDR":
            width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
            channels = {2: 3, 6: 4}[body[9]]
            same("depth", body[8], 8)
        if kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, stride = zlib.decompress(packed), width * channels
    previous, pixels = bytes(stride), bytearray()
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            left = row[i - channels] if i >= channels else 0
            up, corner = previous[i], previous[i - channels] if i >= channels else 0
            if kind == 1:
                row[i] = row[i] + left & 255
            elif kind == 2:
                row[i] = row[i] + up & 255
            elif kind == 3:
                row[i] = row[i] + (left + up) // 2 & 255
            elif kind == 4:
                p = left + up - corner
                row[i] = row[i] + min((abs(p - left), 0, left), (abs(p - up), 1, up),
                                      (abs(p - corner), 2, corner))[2] & 255
        for x in range(width):
            pixels += row[x * channels:x * channels + 3]
        previous = row
    return width, height, bytes(pixels)


def test_qmp_send_key(emulator):
    with boot_pc(emulator) as pc:
        pc.expect("press x")
        pc.qmp("send-key", keys=[{"type": "qcode", "data": "shift"}, {"type": "qcode", "data": "g"}])
        pc.expect("got G")
        same("unknown key", pc.qmp_raw("send-key", keys=[{"type": "qcode", "data": "nokey"}])["error"]["class"],
             "GenericError")


def test_monitor_commands(emulator):
    with boot_pc(emulator) as pc:
        pc.expect("press x")
        pc.qmp("stop")
        registers = pc.monitor("info registers")
        for name in ("EAX=", "ESP=", "EIP=", "EFL=", "CS =", "GDT=", "CR0="):
            if name not in registers:
                raise Failure(f"info registers lacks {name}:\n{registers}")
        same("x /2xb", pc.monitor("xp /2xb 0x7dfe").strip(), "0000000000007dfe: 0x55 0xaa")
        pc.qmp("cont")
        pc.monitor("sendkey x")
        pc.expect("got x")
        for command, wanted in (("info pci", "Host bridge"), ("info qtree", "bus"), ("info pic", "pic"),
                                ("info mem", ""), ("info tlb", ""), ("info irq", "")):
            output = pc.monitor(command)
            if wanted not in output or "unknown command" in output:
                raise Failure(f"{command}: {output[:300]!r}")
        if "unknown command" not in pc.monitor("nonsense"):
            raise Failure("an unknown monitor command isn't named as such")
        path = scratch("monitor.ppm")
        pc.monitor(f"screendump {path}")
        read_ppm(path)


def test_no_shutdown_keeps_the_pc(emulator):
    with boot_pc(emulator, "-no-reboot", "-no-shutdown", name="noshutdown.img") as pc:
        pc.expect("press x")
        pc.keys("r")
        pc.event("SHUTDOWN")
        pc.settle(0.3)
        same("state", pc.qmp("query-status")["status"], "shutdown")
        pc.qmp("quit")
        same("exit status", pc.wait_exit(), 0)


def test_power_button_reaches_the_guest(emulator):
    with linux(emulator, "amd64", initrd=with_modules("amd64")) as pc:
        pc.expect("guest# ", seconds=40)
        pc.shell("modprobe button")

        def presses():
            line = [x for x in pc.shell("cat /proc/interrupts").splitlines() if "acpi" in x]
            return int(line[0].split()[1]) if line else 0

        before = presses()
        pc.qmp("system_powerdown")
        pc.event("POWERDOWN")
        pc.settle(0.5)
        if presses() <= before:
            raise Failure("no ACPI interrupt after system_powerdown")
        pc.send("poweroff -f\n")
        same("shutdown", pc.event("SHUTDOWN")["data"], {"guest": True, "reason": "guest-shutdown"})
        same("exit status", pc.wait_exit(), 0)
