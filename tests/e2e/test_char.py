"""Character devices: a guest that echoes COM1, over each kind of back end."""
import os
import pty
import select
import socket
import subprocess
import time

from pc import PC, ROOT, Failure, not_under, scratch


def echo_options():
    path = scratch("echo.bin")
    subprocess.run(["nasm", "-f", "bin", "-o", path, os.path.join(ROOT, "tests/e2e/echo.asm")], check=True)
    return ["-bios", path, "-device", "isa-debug-exit", "-m", "16"]


def read_until(fd, wanted, seconds=20):
    """Reads a descriptor until @wanted (bytes) came; returns all."""
    got, end = b"", time.monotonic() + seconds
    while wanted not in got:
        if time.monotonic() > end or not select.select([fd], [], [], 1)[0] and time.monotonic() > end:
            raise Failure(f"{wanted!r} didn't come; got {got[-200:]!r}")
        if select.select([fd], [], [], 0.1)[0]:
            part = os.read(fd, 65536)
            if not part:
                raise Failure(f"end of file before {wanted!r}; got {got[-200:]!r}")
            got += part
    return got


def connect(family, address, seconds=10):
    end = time.monotonic() + seconds
    while True:
        s = socket.socket(family)
        try:
            s.connect(address)
            return s
        except OSError:
            s.close()
            if time.monotonic() > end:
                raise Failure(f"can't connect to {address}")
            time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_stdio_echoes_and_ends_with_the_guests_status(emulator):
    with PC(emulator, *echo_options()) as p:
        p.expect("READY")
        p.send("hello world\r")
        p.expect("hello world")
        p.send("Q")
        if p.wait_exit() != 7:
            p.fail(f"status {p.process.returncode}")


def test_much_input_arrives_complete(emulator):
    """64 KB at once: the guest takes a byte at a time, the rest waits."""
    with PC(emulator, *echo_options()) as p:
        p.expect("READY\r\n")
        text = "".join(f"{i:07d}\n" for i in range(8192))
        os.set_blocking(p.process.stdin.fileno(), False)
        sent = 0
        start = len(p.serial_text)
        end = time.monotonic() + 60
        while len(p.serial_text) < start + len(text) and time.monotonic() < end:
            if sent < len(text):
                try:
                    sent += os.write(p.process.stdin.fileno(), text[sent:sent + 4096].encode())
                except BlockingIOError:
                    pass
            p.pump(0.01)
        if p.serial_text[start:] != text:
            p.fail("the echo differs from what was sent")


def socket_serves_one_client_after_the_other(emulator, family, spec, address):
    with PC(emulator, *echo_options(), serial=spec + ",server=on,wait=off") as p:
        for round in range(3):
            with connect(family, address) as s:
                s.sendall(b"round%d\n" % round)
                read_until(s.fileno(), b"round%d\n" % round)
        with connect(family, address) as s:
            s.sendall(b"Q")
            if p.wait_exit() != 7:
                p.fail("wrong status")


def test_tcp_server_without_waiting(emulator):
    port = free_port()
    socket_serves_one_client_after_the_other(emulator, socket.AF_INET, f"tcp:127.0.0.1:{port}", ("127.0.0.1", port))


def test_unix_server_without_waiting(emulator):
    path = scratch("serial.sock")
    if os.path.exists(path):
        os.unlink(path)
    socket_serves_one_client_after_the_other(emulator, socket.AF_UNIX, f"unix:{path}", path)


def test_a_server_that_waits_starts_the_guest_with_its_client(emulator):
    port = free_port()
    with PC(emulator, *echo_options(), serial=f"tcp:127.0.0.1:{port},server=on", qmp=False) as p:
        p._until("waiting", lambda: "waiting for connection" in p.errors or "wait" in p.errors, 20)
        with connect(socket.AF_INET, ("127.0.0.1", port)) as s:
            read_until(s.fileno(), b"READY") # nothing of it was lost
            s.sendall(b"Q")
            if p.wait_exit() != 7:
                p.fail("wrong status")


def test_tcp_client(emulator):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        with PC(emulator, *echo_options(), serial=f"tcp:127.0.0.1:{listener.getsockname()[1]}") as p:
            listener.settimeout(20)
            s, _ = listener.accept()
            with s:
                read_until(s.fileno(), b"READY")
                s.sendall(b"abcQ")
                read_until(s.fileno(), b"abc")
                p.wait_exit()


@not_under("node", "Node has no ptys")
def test_pty(emulator):
    with PC(emulator, *echo_options(), serial="pty") as p:
        path = p.expect(r"char device redirected to (/dev/pts/\d+) \(label serial0\)")[1]
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        try:
            time.sleep(1.5) # QEMU looks for who opened it once a second
            os.write(fd, b"through the pty\n")
            read_until(fd, b"through the pty\n")
            os.write(fd, b"Q")
            p.wait_exit()
        finally:
            os.close(fd)


def test_file_and_its_log(emulator):
    out, log = scratch("serial.out"), scratch("serial.log")
    with PC(emulator, *echo_options(), "-chardev", f"file,id=f,path={out},logfile={log}", serial="chardev:f",
            qmp=True) as p:
        end = time.monotonic() + 30
        while "READY" not in open(out).read() if os.path.exists(out) else True:
            if time.monotonic() > end:
                p.fail("READY isn't in the file")
            time.sleep(0.1)
        p.qmp("quit")
        p.wait_exit()
    for path in (out, log):
        with open(path, newline="") as f:
            text = f.read()
        if text != "READY\r\n":
            raise Failure(f"{path} has {text!r}")


def test_mux_switches_between_serial_port_and_monitor(emulator):
    with PC(emulator, *echo_options(), serial="mon:stdio", qmp=False) as p:
        p.expect("READY")
        p.send("to the guest\r")
        p.expect("to the guest")
        p.send("\x01c")
        p.expect(r"\(qemu\) ")
        p.send("info status\r")
        p.expect("VM status: running")
        p.send("\x01c")
        p.send("guest again\r")
        p.expect("guest again")
        p.send("\x01\x01!")
        p.expect("\x01!")
        p.send("\x01h")
        p.expect("C-a x")
        p.send("\x01x")
        p.expect("Terminated")
        if p.wait_exit() != 0:
            p.fail("wrong status")


def spam_options():
    path = scratch("spam.bin")
    subprocess.run(["nasm", "-f", "bin", "-o", path, os.path.join(ROOT, "tests/e2e/spam.asm")], check=True)
    return ["-bios", path, "-device", "isa-debug-exit", "-m", "16"]


def test_output_goes_on_after_the_end_of_input(emulator):
    """Also to a reader that stops for a while."""
    with PC(emulator, *spam_options(), qmp=False) as p:
        p.process.stdin.close()
        time.sleep(1)
        if p.wait_exit() != 7:
            p.fail("wrong status")
        if p.serial_text != "x" * 400000:
            p.fail(f"{len(p.serial_text)} bytes came")


@not_under("node", "Node has no ptys")
def test_a_pty_that_nobody_opens_holds_nothing_up(emulator):
    with PC(emulator, *spam_options(), serial="pty", qmp=False) as p:
        if p.wait_exit() != 7:
            p.fail("wrong status")
