"""Runs one emulator once with the benchmark guest and measures each row of it.

The guest's init writes markers on the serial line, this process's pipe: "@@B ROW" when a row begins and
"@@E ROW T0-T1 CHECKSUM" when it ends (T: the guest's own uptime), "@@D" after the last. At each marker the clocks are read:

  cpu   on-CPU seconds of the emulating thread (/proc/PID/task/TID/schedstat): Node's main thread, of QEMU the busiest
  all   on-CPU seconds of the whole process, threads that ended included (its CPU clock): V8's compilers too
  wall  seconds

The row "boot" is a run of its own: from the start of the process to the shell's prompt, with the initramfs and command
line that users have.
"""
import os
import re
import selectors
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/bench")
NPM = os.path.join(BUILD, "npm")
V86 = os.path.join(NPM, "node_modules/v86/build")
FLAVOURS = {"i386": "686", "amd64": "amd64"}
BOOT_APPEND = "console=ttyS0 loglevel=3 quiet"
# The guest's choices that depend on the emulator's timing are made for it.
ROWS_APPEND = BOOT_APPEND + " tsc=reliable mitigations=off nokaslr random.trust_cpu=on bench="

ROWS = """core_short dhry core sieve u64 interp fib icall memcpy stream chase unaligned syscall pipe fork exec mmap sigsegv smc
    genjit simd bigcode nbody_x87 nbody_sse2 sh_sha256 sh_gzip sh_awk sh_sort sh_arith sh_fork sh_subst""".split()


# A run that is ended from outside ends its emulator too.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


class Failure(Exception):
    """The emulator didn't do what it has to; the message says what."""


class Emulator:
    """An emulator by its name in the tables: "slipway" (wasm under Node), "native", "v86", "qemu", or
    NAME=PATH, another build of ours (*.mjs runs under Node)."""

    def __init__(self, spec, accel=None, options=(), node_flags=()):
        self.name, _, path = spec.partition("=")
        self.accel = accel
        self.options = list(options)
        paths = {"slipway": "build/wasm/slipway.mjs", "native": "build/native/slipway"}
        self.kind = self.name if self.name in ("v86", "qemu") else "slipway"
        self.node = ["node", *node_flags]
        if self.kind == "slipway":
            if not path and self.name not in paths:
                raise Failure(f"no emulator '{self.name}': slipway, native, v86, qemu or NAME=PATH")
            path = os.path.abspath(path) if path else os.path.join(ROOT, paths[self.name])
            if not os.path.exists(path):
                raise Failure(f"{path} is missing: build it first")
            self.program = [*self.node, path] if path.endswith(".mjs") else [path]
            plain = ["node", path] if path.endswith(".mjs") else [path]
            text = subprocess.run([*plain, "-help"], capture_output=True, text=True).stdout
            self.no_network = ["-nic", "none"] if re.search(r"^-nic ", text, re.M) else []
        self.busiest = self.kind == "qemu"

    def supports(self, arch):
        return self.kind != "v86" or arch == "i386"

    def command(self, arch, initrd, append):
        common = ["-m", "256", "-kernel", guest(f"vmlinuz-{FLAVOURS[arch]}"), "-initrd", initrd, "-append", append]
        if self.kind == "v86":
            return [*self.node, os.path.join(ROOT, "tests/bench/v86.mjs"), V86, *common]
        quiet = ["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"]
        if self.kind == "qemu":
            return [f"qemu-system-{'i386' if arch == 'i386' else 'x86_64'}", "-accel", "tcg", "-nic", "none", *quiet, *common]
        accel = ["-accel", self.accel] if self.accel else []
        return [*self.program, *accel, *self.no_network, *self.options, *quiet, *common]


def guest(name):
    return os.path.join(ROOT, "build/guests", name)


class Clocks:
    """What the process has used so far; a difference of two is what a row took."""

    def __init__(self, pid):
        self.wall = time.monotonic()
        self.threads = {}
        # The process's CPU clock: ~pid << 3 | 2, as clock_getcpuclockid(3) makes it.
        try:
            self.all = time.clock_gettime(~pid << 3 | 2)
            for tid in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                    self.threads[int(tid)] = int(f.read().split()[0]) / 1e9
        except OSError as e:
            raise Failure(f"the emulator is gone: {e}") from e

    def since(self, earlier, tid):
        return {"cpu": round(self.threads.get(tid, 0) - (earlier.threads.get(tid, 0) if earlier else 0), 4),
                "all": round(self.all - (earlier.all if earlier else 0), 4),
                "wall": round(self.wall - earlier.wall, 4) if earlier else None}


class Run:
    """One process; lines() gives the serial line's lines and the clocks when they came."""

    def __init__(self, emulator, arch, initrd, append, timeout, verbose, cwd=None):
        self.emulator, self.verbose = emulator, verbose
        self.started = time.monotonic()
        self.deadline = self.started + timeout
        self.command = emulator.command(arch, initrd, append)
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                        cwd=cwd)
        self.tail = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def clocks(self):
        return Clocks(self.process.pid)

    def thread(self, clocks):
        """The emulating thread."""
        if self.emulator.busiest:
            return max(clocks.threads, key=clocks.threads.get)
        return self.process.pid

    def lines(self, prompt=None):
        """Yields (line, clocks); the clocks only of markers and of the prompt, which needs no newline."""
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0, self.deadline - time.monotonic())):
                    raise Failure("timeout\n" + "\n".join(self.tail[-15:]))
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise Failure(f"the emulator ended (status {self.process.wait()})\n" + "\n".join(self.tail[-15:]))
                text += data.replace(b"\r", b"")
                clocks = self.clocks() if b"@@" in text or (prompt and prompt in text) else None
                *whole, text = text.split(b"\n")
                for line in whole:
                    line = line.decode("latin1")
                    self.tail.append(line)
                    if self.verbose:
                        print(f"{time.monotonic() - self.started:8.2f} {line}", flush=True)
                    yield line, clocks
                if prompt and prompt in text:
                    yield text.decode("latin1"), clocks
                    text = b""


def peak_rss_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s*(\d+)", f.read())[1]) // 1024


def boot(emulator, arch, timeout=3600, verbose=False, started=None, ended=None, cwd=None):
    """The row "boot". Returns ({"boot": clocks}, peak RSS in MB); started(Run) is called when the process is there,
    ended(Run) before it is killed."""
    with Run(emulator, arch, guest(f"initrd-{FLAVOURS[arch]}.cpio"), BOOT_APPEND, timeout, verbose, cwd) as run:
        if started:
            started(run)
        for line, clocks in run.lines(prompt=b"guest# "):
            if "guest# " in line:
                row = clocks.since(None, run.thread(clocks))
                row["wall"] = round(clocks.wall - run.started, 4)
                if ended:
                    ended(run)
                return {"boot": row}, peak_rss_mb(run.process.pid)


def rows(emulator, arch, names, timeout=3600, verbose=False, each=None, started=None, ended=None, cwd=None):
    """The rows @names in one boot of the benchmark guest. Returns ({row: clocks and checksum}, peak RSS in MB);
    each(row, "begin" or "end", Run) is called at the markers, started(Run) when the process is there, ended(Run) before it is killed."""
    found = {}
    initrd = os.path.join(BUILD, f"initramfs-{arch}.cpio")
    with Run(emulator, arch, initrd, ROWS_APPEND + ",".join(names), timeout, verbose, cwd) as run:
        if started:
            started(run)
        begun = {}
        for line, clocks in run.lines():
            if match := re.search(r"@@B (\S+)", line):
                begun[match[1]] = clocks
                if each:
                    each(match[1], "begin", run)
            elif match := re.search(r"@@E (\S+) (\S+)-(\S+) ?(\S*)", line):
                row = clocks.since(begun[match[1]], run.thread(clocks))
                found[match[1]] = {**row, "guest": round(float(match[3]) - float(match[2]), 2), "checksum": match[4]}
                if each:
                    each(match[1], "end", run)
            elif "@@D" in line:
                if ended:
                    ended(run)
                return found, peak_rss_mb(run.process.pid)
