"""Monitors and the command line: QMP's messages have the shape that QEMU's have, bad options end with one line."""
import json
import socket
import subprocess

from pc import COMMANDS, PC, Failure, not_under

# Requests whose answers depend on nothing but the protocol: both emulators get all of them on one connection.
REQUESTS = [
    '{"execute": "query-status"}',
    '{"execute": "qmp_capabilities", "id": 1}',
    '{"execute": "qmp_capabilities"}',
    '{"execute": "query-version", "id": {"a": [1, null, 2.5, "x"]}}',
    '{"execute": "query-status"}', '{"execute": "query-name"}', '{"execute": "query-uuid"}',
    '{"execute": "query-chardev"}', '{"execute": "query-cpus-fast"}', '{"execute": "query-target"}',
    '{"execute": "query-kvm"}', '{"execute": "query-commands"}',
    '{"execute": "nope", "id": "x"}', '{}', '[]', '{"execute": 1}', '{"foo": 1}', '{"execute": "stop", "x": 1}',
    '{"execute": "stop", "arguments": []}', '{"execute": "stop", "arguments": {"x": 1}}',
    '{"execute": "human-monitor-command"}',
    '{"execute": "human-monitor-command", "arguments": {"command-line": 3}}',
    '{"execute": "human-monitor-command", "arguments": {"command-line": "nope"}}',
    '{"execute": "human-monitor-command", "arguments": {"command-line": "info status"}}',
    '{"execute": "human-monitor-command", "arguments": {"command-line": "xp/2x 0xffff0"}}',
    '{"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": "a"}]}}',
    '{"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": "foo"}]}}',
    '{"execute": "send-key", "arguments": {"keys": [3]}}',
    '{"execute": "screendump", "arguments": {"filename": "/dev/null", "format": "gif"}}',
    '{"execute": "pmemsave", "arguments": {"val": 0, "size": 16, "filename": "/dev/null"}}',
    '{"execute": "pmemsave", "arguments": {"val": 0, "size": 16, "filename": "/nonexistent/x"}}',
    '{"execute": "memsave", "arguments": {"val": 0, "size": 16, "filename": "/dev/null", "cpu-index": 9}}',
    '{"execute" "x"}', '{"execute": }', '{"a": 1,}', '[1 2]', '{1: 2}', '}', '{"a": tru}', '{"a": "\\x"}',
    '{"a": 1, "a": 2}', '"\\ud83d"',
    '{"execute": "cont"}', '{"execute": "query-status"}', '{"execute": "stop"}', '{"execute": "stop"}',
    '{"execute": "query-status"}', '{"execute": "system_powerdown"}', '{"execute": "system_reset"}',
]


def shape(value):
    """Keys and types; strings of errors and states as they are."""
    if isinstance(value, dict):
        return {k: v if k in ("class", "desc", "event", "status", "reason", "id") else shape(v)
                for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


class Session:
    def __init__(self, emulator):
        self.pc = PC(emulator, "-S", "-m", "16", serial="null")
        self.pc._until("socket", lambda: self._connect(), 20)
        self.buffer = b""
        self.greeting = self.message()

    def _connect(self):
        try:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(self.pc.qmp_path)
            self.socket.settimeout(20)
            return True
        except OSError:
            return False

    def message(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise Failure("QMP: closed")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise Failure("QMP: lines end with CR LF")
        return json.loads(line)

    def ask(self, text, events):
        self.socket.sendall(text.encode() + b"\n")
        while True:
            m = self.message()
            if "event" not in m:
                return m
            events.append(m)


def run(emulator):
    s = Session(emulator)
    with s.pc:
        events = []
        answers = [s.ask(text, events) for text in REQUESTS]
        while "RESET" not in [e["event"] for e in events]:
            events.append(s.message())
        s.ask('{"execute": "quit"}', events)
        while "SHUTDOWN" not in [e["event"] for e in events]:
            events.append(s.message())
        if s.pc.wait_exit() != 0:
            raise Failure("quit: wrong exit status")
        return s.greeting, answers, events


@not_under("qemu", "compares with QEMU")
def test_qmp_has_qemus_shapes(emulator):
    ours, theirs = run(emulator), run("qemu")
    wrong = []
    if shape(ours[0]) != shape(theirs[0]):
        wrong.append(f"greeting: {ours[0]} / {theirs[0]}")
    for request, a, b in zip(REQUESTS, ours[1], theirs[1]):
        if shape(a) != shape(b):
            wrong.append(f"{request}:\n  ours {a}\n  QEMU {b}")
    events = [[shape(e) for e in sorted(x, key=lambda e: e["event"])] for x in (ours[2], theirs[2])]
    if events[0] != events[1]:
        wrong.append(f"events:\n  ours {events[0]}\n  QEMU {events[1]}")
    if wrong:
        raise Failure("\n".join(wrong))


BAD = [
    ["-foo"], ["-m", "99Q"], ["-m", "0"], ["-m"], ["-m", "9999999G"], ["-cpu", "nope"], ["-smp", "0"],
    ["-bios", "/nonexistent"], ["-bios", "/dev/null"], ["-kernel", "/nonexistent"], ["-kernel", "/dev/null"],
    ["-hda", "/nonexistent"], ["-cdrom", "/nonexistent"], ["-fda", "/nonexistent"], ["-drive", "if=foo,file=/dev/null"],
    ["-device", "foo"], ["-device", "isa-debug-exit,foo=1"], ["-device", "isa-debug-exit,iobase=99999"],
    ["-serial", "foo"], ["-serial", "file:/nonexistent/x"], ["-serial", "tcp:127.0.0.1:1"], ["-serial", "tcp:x"],
    ["-serial", "chardev:x"], ["-chardev", "foo,id=x"], ["-chardev", "null"], ["-monitor", "foo"],
    ["-qmp", "unix:/nonexistent/x,server=on"], ["-qmp", "unix:"], ["-d", "foo"], ["-D", "/nonexistent/x"],
    ["-boot", "xyz"], ["-rtc", "base=1"], ["-vga", "foo"], ["-display", "foo"], ["-icount", "99"],
    ["-append", "x"], ["-uuid", "x"], ["-name", "a,b=c"], ["-L"], ["-nic", "foo"], ["-accel", "foo"],
    ["-nic", "user,model=foo"], ["-nic", "user,mac=x"], ["-netdev", "user"], ["-netdev", "user,id=a,foo=1"],
    ["-netdev", "hubport,id=a,hubid=1,netdev=zz"], ["-netdev", "user,id=a", "-netdev", "user,id=a"],
    ["-device", "e1000,netdev=zz"], ["-net", "nic,netdev=zz"], ["-object", "filter-dump,id=x"],
    ["-netdev", "user,id=a", "-object", "filter-dump,id=x,netdev=a,file=/nonexistent/x"],
    ["-object", "filter-mirror,id=x,netdev=a,outdev=b"],
    ["-serial", "stdio", "-monitor", "stdio"], ["one.img", "two.img"], ["-bios", "a\nb"],
]


@not_under("qemu", "is about our messages")
def test_bad_options_end_with_one_line(emulator):
    wrong = []
    for arguments in BAD:
        p = subprocess.run(COMMANDS[emulator] + ["-display", "none"] + arguments, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        lines = p.stderr.decode("latin1").splitlines()
        if p.returncode != 1 or len(lines) != 1 or not lines[0].startswith("slipway: ") or p.stdout:
            wrong.append(f"{arguments}: status {p.returncode}, stderr {lines}, stdout {p.stdout[:80]}")
    if wrong:
        raise Failure("\n".join(wrong))
