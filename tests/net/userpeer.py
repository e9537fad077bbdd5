"""User-mode networks without a PC, to send frames to: ours (tests/host/user_peer.c) and QEMU's."""
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from pc import ROOT, Failure, Skip
from packets import MAC, arp

PROGRAMS = {
    "slipway": [os.path.join(ROOT, "build/native/tests/host/user_peer")],
    "node": ["node", os.path.join(ROOT, "build/wasm/tests/host/user_peer.mjs")],
}
WAIT = 60 # seconds, for what must come


class Peer:
    """Sends frames and gets those of the network: u32 length and frame, both ways."""

    def __init__(self, process, reader, writer):
        self.process, self.reader, self.writer = process, reader, writer
        self.buffer = b""
        self.frames, self.texts = [], []

    def raw(self, data):
        while data:
            self.pump(0)
            try:
                n = os.write(self.writer, data[:65536])
            except BlockingIOError:
                select.select([], [self.writer], [], 1)
                continue
            except BrokenPipeError:
                raise Failure("the network is gone: " + self.ending())
            data = data[n:]

    def send(self, *frames):
        self.raw(b"".join(struct.pack(">I", len(f)) + f for f in frames))

    def ending(self):
        try:
            status = self.process.wait(10)
            return f"status {status}, " + self.process.stderr.read().decode(errors="replace")[-2000:]
        except subprocess.TimeoutExpired:
            return "it still runs"

    def pump(self, seconds):
        """Reads what is there, or comes within that time."""
        if not select.select([self.reader], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.reader, 1 << 20)
        except (BlockingIOError, ConnectionResetError):
            data = b""
        if not data:
            raise Failure("the network ended: " + self.ending())
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 4:
            length, = struct.unpack(">I", self.buffer[at:at + 4])
            text, length = length >> 31, length & 0x7fffffff
            if len(self.buffer) - at < 4 + length:
                break
            (self.texts if text else self.frames).append(self.buffer[at + 4:at + 4 + length])
            at += 4 + length
        self.buffer = self.buffer[at:]
        return True

    def take(self, seconds=WAIT):
        """The next frame; None if none comes in time."""
        end = time.monotonic() + seconds
        while not self.frames:
            left = end - time.monotonic()
            if left < 0:
                return None
            self.pump(left)
        return self.frames.pop(0)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors = self.process.stderr.read().decode(errors="replace") if self.process.stderr else ""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


class Ours(Peer):
    def __init__(self, emulator, options="", env=None, wrapper=()):
        if emulator not in PROGRAMS:
            raise Skip("is about our own network")
        process = subprocess.Popen([*wrapper, *PROGRAMS[emulator], options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=env)
        os.set_blocking(process.stdin.fileno(), False)
        super().__init__(process, process.stdout.fileno(), process.stdin.fileno())

    def command(self, line):
        """info, network, hostfwd_add RULE, hostfwd_remove RULE, stop, go, quit; returns the answer."""
        data = line.encode()
        self.texts.clear()
        self.raw(struct.pack(">I", 1 << 31 | len(data)) + data)
        end = time.monotonic() + WAIT
        while not self.texts:
            if time.monotonic() > end:
                raise Failure(f"no answer to {line}")
            self.pump(1)
        return self.texts.pop(0).decode()


class Qemu(Peer):
    def __init__(self, options=""):
        program = shutil.which("qemu-system-x86_64")
        if not program:
            raise Skip("qemu-system-x86_64 is missing")
        self.directory = tempfile.mkdtemp(prefix="slipway-net-")
        path = self.directory + "/frames"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            process = subprocess.Popen(
                [program, "-M", "none", "-display", "none", "-nodefaults", "-monitor", "none",
                 "-netdev", "user,id=u" + ("," + options if options else ""), "-netdev", "hubport,id=a,hubid=0,netdev=u",
                 "-netdev", f"stream,id=s,server=off,addr.type=unix,addr.path={path}",
                 "-netdev", "hubport,id=b,hubid=0,netdev=s"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            server.settimeout(1)
            end = time.monotonic() + WAIT
            while True:
                try:
                    self.socket, _ = server.accept()
                    break
                except socket.timeout:
                    if process.poll() is not None or time.monotonic() > end:
                        raise Failure("QEMU doesn't start: " + process.stderr.read().decode())
        shutil.rmtree(self.directory)
        self.socket.setblocking(False)
        super().__init__(process, self.socket.fileno(), self.socket.fileno())

    def close(self):
        self.socket.close()
        super().close()


class QemuMonitor:
    """A QEMU without a guest, for its answers to commands."""

    def __enter__(self):
        program = shutil.which("qemu-system-x86_64")
        if not program:
            raise Skip("qemu-system-x86_64 is missing")
        self.process = subprocess.Popen([program, "-M", "none", "-display", "none", "-nodefaults", "-qmp", "stdio"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdout.readline()
        self.execute("qmp_capabilities")
        return self

    def execute(self, command, **arguments):
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if "return" in answer or "error" in answer:
                return answer.get("return")

    def command(self, line):
        return self.execute("human-monitor-command", **{"command-line": line}).strip()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

