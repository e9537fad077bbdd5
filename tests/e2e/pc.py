"""A PC under test: one emulator process, driven over its serial line, QMP and the screen.

The same options go to all emulators: "slipway" (native build), "node" (wasm build under Node) and "qemu" (Debian's
QEMU with TCG: the reference that proves a test). The first serial port is the process's stdio; QMP is a Unix socket.

Time limits are in seconds of the emulator's own CPU time where it computes, so that a busy machine
doesn't fail a test, with a wall-clock limit four times as large behind it (a guest that sleeps).
"""
import atexit
import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUESTS = os.path.join(ROOT, "build", "guests")
BUILD = os.path.join(ROOT, "build", "tests", "e2e")
scratch_directory = None

COMMANDS = {
    "slipway": [os.environ.get("SLIPWAY", os.path.join(ROOT, "build/native/slipway")), "-nic", "none"],
    "node": ["node", os.environ.get("SLIPWAY_MJS", os.path.join(ROOT, "build/wasm/slipway.mjs")), "-nic", "none"],
    "qemu": ["qemu-system-x86_64", "-accel", "tcg", "-nic", "none"],
}
# How much more time than QEMU's an emulator may take.
SLOWNESS = {"qemu": 1, "slipway": 5, "node": 12}


class Failure(Exception):
    """What the guest did is not what the test wants."""


class Skip(Exception):
    """The test can't run here; the message says why."""


def not_under(emulator, why):
    """Decorator: a test that makes no sense under that emulator, and isn't one of its tests. Several may stand above one another."""
    assert why

    def mark(function):
        function.not_under = {*getattr(function, "not_under", ()), emulator}
        return function

    return mark


def same(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: {got!r}, not {wanted!r}")


def guest(name):
    """Path of a file of build/guests; scripts/guests puts it there."""
    path = os.path.join(GUESTS, name)
    if not os.path.exists(path):
        raise Skip(f"{name} is missing: run scripts/guests")
    return path


def scratch(name):
    """Path for a file that the test writes; each process has a directory of its own, gone at its end."""
    global scratch_directory
    if not scratch_directory:
        os.makedirs(BUILD, exist_ok=True)
        scratch_directory = tempfile.mkdtemp(dir=BUILD)
        atexit.register(shutil.rmtree, scratch_directory, ignore_errors=True)
    return os.path.join(scratch_directory, name)


class PC:
    def __init__(self, emulator, *options, serial="stdio", qmp=True, display="none", env=None, wrapper=(), **popen):
        self.emulator = emulator
        self.serial_text = ""
        self.expect_from = 0
        self.errors = ""
        self.status = None
        self.tmp = tempfile.mkdtemp(prefix="slipway-e2e-")
        self.qmp_socket = None
        self.qmp_path = os.path.join(self.tmp, "qmp")
        self.events = []
        self.argv = [*wrapper, *COMMANDS[emulator], "-monitor", "none"]
        if display:
            self.argv += ["-display", display]
        if serial:
            self.argv += ["-serial", serial]
        if qmp:
            self.argv += ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        self.argv += list(options)
        if not os.path.exists(COMMANDS[emulator][0]) and not shutil.which(COMMANDS[emulator][0]):
            raise Skip(f"{COMMANDS[emulator][0]} is missing")
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, env=env, **popen)
        for pipe in (self.process.stdout, self.process.stderr):
            os.set_blocking(pipe.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ, self._read_serial)
        self.selector.register(self.process.stderr, selectors.EVENT_READ, self._read_errors)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        if self.qmp_socket:
            self.qmp_socket.close()
        shutil.rmtree(self.tmp, ignore_errors=True)

    # ---- Process ----

    def _read_serial(self, pipe):
        data = pipe.read(65536)
        if data:
            self.serial_text += data.decode("latin1")
        elif data == b"":
            self.selector.unregister(pipe)

    def _read_errors(self, pipe):
        data = pipe.read(65536)
        if data:
            self.errors += data.decode("latin1")
        elif data == b"":
            self.selector.unregister(pipe)

    def pump(self, seconds):
        """Takes what the process writes, for at most that long."""
        if not self.selector.get_map():
            time.sleep(min(seconds, 0.05))
            return
        for key, _ in self.selector.select(seconds):
            key.data(key.fileobj)

    def cpu_seconds(self):
        """CPU time of the emulator's process so far."""
        try:
            with open(f"/proc/{self.process.pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fail(self, why):
        tail = "\n".join("    | " + line for line in self.serial_text.splitlines()[-15:])
        raise Failure(f"{why}\n{tail}" + (f"\n    stderr: {self.errors[-600:]}" if self.errors else ""))

    def _until(self, what, test, seconds):
        """Pumps until test() gives something; @seconds of CPU time under QEMU."""
        limit = seconds * SLOWNESS[self.emulator]
        cpu0, wall0 = self.cpu_seconds(), time.monotonic()
        while True:
            got = test()
            if got:
                return got
            if self.process.poll() is not None:
                while self.selector.get_map():
                    self.pump(0.1)
                got = test()
                if got:
                    return got
                self.fail(f"{what}: the emulator ended with status {self.process.returncode}")
            if self.cpu_seconds() - cpu0 > limit or time.monotonic() - wall0 > 4 * limit + 10:
                self.fail(f"{what}: not within {limit:g} s of CPU time")
            self.pump(0.1)

    def wait_exit(self, seconds=20):
        """The status that the process ends with by itself."""
        self._until("exit", lambda: self.process.poll() is not None, seconds)
        while self.selector.get_map():
            self.pump(0.1)
        return self.process.returncode

    def signal(self, number):
        self.process.send_signal(number)

    # ---- Serial line ----

    def send(self, text):
        self.process.stdin.write(text.encode("latin1"))

    def expect(self, pattern, seconds=20):
        """Waits for the regular expression in what comes over the serial line, from where the last one ended."""
        found = re.compile(pattern, re.S | re.M)

        def test():
            return found.search(self.serial_text, self.expect_from)

        match = self._until(f"serial line: /{pattern}/", test, seconds)
        self.expect_from = match.end()
        return match

    def shell(self, command, seconds=20):
        """Types a command at the guest's shell prompt; returns what it printed."""
        self.send(command + "\n")
        self.expect(re.escape(command) + r"\r*\n", seconds)
        output = self.expect(r"(.*?)^guest# ", seconds)[1]
        return output.replace("\r", "").rstrip("\n")

    # ---- QMP ----

    def qmp(self, command, seconds=20, **arguments):
        """Runs a QMP command and returns its result."""
        reply = self.qmp_raw(command, seconds, **arguments)
        if "error" in reply:
            self.fail(f"QMP {command}: {reply['error']}")
        return reply["return"]

    def qmp_raw(self, command, seconds=20, **arguments):
        if not self.qmp_socket:
            self.qmp_socket = self._until("QMP socket", self._qmp_connect, seconds)
            self.qmp_socket.setblocking(False)
            self.qmp_buffer = b""
            self.greeting = self._qmp_message(seconds)
            self.qmp("qmp_capabilities")
        message = {"execute": command}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.qmp_socket.sendall(json.dumps(message).encode() + b"\r\n")
        while True:
            reply = self._qmp_message(seconds)
            if "event" in reply:
                self.events.append(reply)
            else:
                return reply

    def _qmp_connect(self):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self.qmp_path)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):  # bound already, but nobody listens yet
            connection.close()

    def _qmp_message(self, seconds):
        def test():
            try:
                while b"\n" not in self.qmp_buffer:
                    data = self.qmp_socket.recv(65536)
                    if not data:
                        self.fail("QMP: connection closed")
                    self.qmp_buffer += data
            except BlockingIOError:
                return None
            line, _, self.qmp_buffer = self.qmp_buffer.partition(b"\n")
            return json.loads(line) if line.strip() else None

        return self._until("QMP", test, seconds)

    def event(self, name, seconds=20):
        """Waits for a QMP event; returns it."""
        while True:
            for i, e in enumerate(self.events):
                if e["event"] == name:
                    return self.events.pop(i)
            message = self._qmp_message(seconds)
            if "event" in message:
                self.events.append(message)

    def monitor(self, line):
        """One line of the human monitor."""
        return self.qmp("human-monitor-command", command_line=line).replace("\r", "")

    def keys(self, *names):
        """Presses keys one after another, by QEMU's names ("ret", "ctrl-c")."""
        for name in names:
            self.qmp("send-key", keys=[{"type": "qcode", "data": k} for k in name.split("-")])
            self.settle(0.2)

    def type(self, text):
        named = {" ": "spc", "\n": "ret", "-": "minus", ".": "dot", "/": "slash", "=": "equal",
                 ",": "comma", ":": "shift-semicolon", "(": "shift-9", ")": "shift-0", "_": "shift-minus"}
        self.keys(*(named.get(c, c if not c.isupper() else "shift-" + c.lower()) for c in text))

    def settle(self, seconds):
        """Lets the guest run for that long (wall clock)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            self.pump(0.05)

    # ---- Screen ----

    def screen_text(self, columns=80, rows=25):
        """The text screen at B8000, as lines; the VGA must be in a text mode."""
        path = os.path.join(self.tmp, "text")
        self.qmp("pmemsave", val=0xB8000, size=columns * rows * 2, filename=path)
        with open(path, "rb") as f:
            cells = f.read()
        text = cells[::2].decode("cp437").replace("\0", " ")
        return [text[i:i + columns].rstrip() for i in range(0, columns * rows, columns)]

    def expect_screen(self, pattern, seconds=20):
        """Waits until the regular expression matches on the text screen; returns the match."""
        found = re.compile(pattern, re.S | re.M)
        limit = seconds * SLOWNESS[self.emulator]
        cpu0, wall0 = self.cpu_seconds(), time.monotonic()
        while True:
            text = "\n".join(self.screen_text())
            match = found.search(text)
            if match:
                return match
            if self.cpu_seconds() - cpu0 > limit or time.monotonic() - wall0 > 4 * limit + 10:
                self.fail(f"screen: no /{pattern}/ within {limit:g} s of CPU time:\n" + text)
            self.settle(0.25)

    def screendump(self, path, **arguments):
        self.qmp("screendump", filename=path, **arguments)
        return path


def read_ppm(path):
    """(width, height, RGB bytes) of a binary PPM."""
    with open(path, "rb") as f:
        data = f.read()
    match = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    if not match:
        raise Failure(f"{path}: not a PPM")
    width, height = int(match[1]), int(match[2])
    pixels = data[match.end():]
    if len(pixels) != 3 * width * height:
        raise Failure(f"{path}: {len(pixels)} bytes for {width} x {height} pixels")
    return width, height, pixels
