"""The platform's event loop and byte streams, through the program tests/host/echo.c (no PC)."""
import os
import signal
import socket
import subprocess
import time

from pc import ROOT, Failure, not_under, scratch

PROGRAMS = {
    "slipway": [os.path.join(ROOT, "build/native/tests/host/host_echo")],
    "node": ["node", os.path.join(ROOT, "build/wasm/tests/host/host_echo.mjs")],
}


def start(emulator, *arguments):
    return subprocess.Popen(PROGRAMS[emulator] + list(arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def line(process, start_of_line):
    """Reads stderr up to the line that starts so; returns it."""
    for text in process.stderr:
        if text.decode().startswith(start_of_line):
            return text.decode().strip()
    raise Failure(f"no line '{start_of_line}' on stderr")


def ends(process, status, seconds=20):
    try:
        got = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failure("doesn't end")
    if got != status:
        raise Failure(f"exit status {got}, not {status}")


@not_under("qemu", "is about our own host layer")
def test_stdio_echo_with_a_reader_that_stops(emulator):
    """All bytes come through, and while nobody reads, input isn't swallowed without bound."""
    process = start(emulator, "stdio", "", "connect", "idle")
    line(process, "open")
    data = (b"abcdefghij" * 100 + b"\n") * 1000
    sent = 0
    os.set_blocking(process.stdin.fileno(), False)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            sent += os.write(process.stdin.fileno(), data[sent % len(data):][:4096])
        except BlockingIOError:
            time.sleep(0.05)
    # Two pipes of 64 KB, the program's read-ahead and its own buffer.
    if not 50_000 < sent < 600_000:
        raise Failure(f"{sent} bytes were taken while nobody read")
    os.set_blocking(process.stdin.fileno(), True)
    got = b""
    while len(got) < sent:
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            raise Failure("output ends early")
        got += part
    if got != (data * 2)[:sent].upper():
        raise Failure("output differs")
    os.write(process.stdin.fileno(), b"q")
    ends(process, 7)


def echo(emulator, connection, process, what):
    connection.settimeout(20)
    connection.sendall(b"hello")
    got = b""
    while len(got) < 5:
        got += connection.recv(100)
    if got != b"HELLO":
        raise Failure(f"{what}: {got}")
    connection.sendall(b"q")
    if connection.recv(100) != b"Q":
        raise Failure(f"{what}: what was written last is lost")
    ends(process, 7)


@not_under("qemu", "is about our own host layer")
def test_unix_socket_server(emulator):
    path = scratch("host.sock")
    # A file that nobody listens on is taken over.
    if not os.path.exists(path):
        left_over = socket.socket(socket.AF_UNIX)
        left_over.bind(path)
        left_over.close()
    process = start(emulator, "unix", path, "listen", "busy")
    line(process, "open")
    time.sleep(0.3)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        echo(emulator, connection, process, "unix server")
    if os.path.exists(path):
        raise Failure("the socket's file is left over")


@not_under("qemu", "is about our own host layer")
def test_tcp_server_and_client(emulator):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        process = start(emulator, "tcp", f"127.0.0.1:{server.getsockname()[1]}", "connect", "idle")
        server.settimeout(20)
        connection, _ = server.accept()
        with connection:
            echo(emulator, connection, process, "tcp client")
        port = server.getsockname()[1]
    process = start(emulator, "tcp", f"127.0.0.1:{port}", "listen", "idle")
    line(process, "open")
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        echo(emulator, connection, process, "tcp server")


@not_under("qemu", "is about our own host layer")
def test_closed_connection_is_reported(emulator):
    path = scratch("closed.sock")
    process = start(emulator, "unix", path, "listen", "idle")
    line(process, "open")
    time.sleep(0.3)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        line(process, "connected")
    line(process, "closed")
    ends(process, 3)


@not_under("qemu", "is about our own host layer")
def test_refused_connection_is_one_line_and_status_1(emulator):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    process = start(emulator, "tcp", f"127.0.0.1:{port}", "connect", "idle")
    if line(process, "slipway:") != f"slipway: tcp:127.0.0.1:{port}: Connection refused":
        raise Failure("another message")
    ends(process, 1)


@not_under("qemu", "is about our own host layer")
def test_idle_loop_sleeps_and_SIGTERM_ends_it(emulator):
    process = start(emulator, "stdio", "", "connect", "idle")
    line(process, "open")
    time.sleep(1)

    def cpu():
        with open(f"/proc/{process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu()
    time.sleep(4)
    used = (cpu() - before) / 4
    if used > 0.03:
        raise Failure(f"{used:.1%} of a core")
    process.send_signal(signal.SIGTERM)
    ticks = int(line(process, "ticks").split()[1])
    if not 200 < ticks < 300:
        raise Failure(f"{ticks} periodic calls in 5 s, not about 250")
    ends(process, 0)
