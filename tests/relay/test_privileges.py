"""What the relay gives up after its start, seen from outside: the kernel is asked in its name (ptrace)."""
import ctypes
import errno
import os
import signal
import tempfile
import time

from relay import *

PTRACE_PEEKTEXT, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_SINGLESTEP, PTRACE_ATTACH, PTRACE_DETACH = 1, 12, 13, 9, 16, 17
R10, R9, R8, RAX, RDX, RSI, RDI, ORIG_RAX, RIP = 7, 8, 9, 10, 12, 13, 14, 15, 16  # struct user_regs_struct of x86-64
O_WRONLY, O_RDWR, O_CREAT, AT_FDCWD = 1, 2, 0o100, -100
BAD = 1  # an address where nothing is: a call that is allowed fails with another error than EPERM

GETPID, OPENAT, EPOLL_WAIT, EPOLL_PWAIT = 39, 257, 232, 281
FORBIDDEN = {  # name: number, arguments
    "openat to write": (OPENAT, AT_FDCWD, BAD, O_WRONLY), "openat to read and write": (OPENAT, AT_FDCWD, BAD, O_RDWR),
    "openat to create": (OPENAT, AT_FDCWD, BAD, O_WRONLY | O_CREAT), "execve": (59, BAD, 0, 0), "execveat": (322, AT_FDCWD, BAD, 0, 0, 0),
    "unlink": (87, BAD), "rename": (82, BAD, BAD), "mkdir": (83, BAD, 0), "chmod": (90, BAD, 0), "link": (86, BAD, BAD),
    "symlink": (88, BAD, BAD), "truncate": (76, BAD, 0), "chdir": (80, BAD), "kill": (62, 0x3fffffff, 0),
    "ptrace": (101, 16, 0x3fffffff, 0, 0), "process_vm_writev": (311, 0x3fffffff, 0, 0, 0, 0, 0), "setuid": (105, -1), "setns": (308, -1, 0),
    "clone3": (435, BAD, 0), "io_uring_setup": (425, 0, BAD), "keyctl": (250, 0x7fff), "memfd_create": (319, BAD, 0),
    "shmget": (29, 1, 0, 0), "add_key": (248, BAD, BAD, 0, 0, 0), "userfaultfd": (323, 0x7fff), "personality": (135, 0x40000),
}


class Traced:
    """A process that is stopped, and makes system calls for us."""

    def __init__(self, pid):
        self.pid = pid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.restype = ctypes.c_long
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(self, request, at=None, data=None):
        ctypes.set_errno(0)
        got = self.libc.ptrace(request, self.pid, at, data)
        if ctypes.get_errno():
            raise OSError(ctypes.get_errno(), f"ptrace {request}")
        return got

    def __enter__(self):
        for _ in range(100):
            try:
                self.ptrace(PTRACE_ATTACH)
            except PermissionError as e:
                raise Skip(str(e))
            os.waitpid(self.pid, 0x40000000)  # __WALL
            self.saved = (ctypes.c_ulonglong * 27)()
            self.ptrace(PTRACE_GETREGS, None, ctypes.byref(self.saved))
            # When it sleeps in epoll_wait, it stands behind the instruction that is needed.
            if self.saved[ORIG_RAX] in (EPOLL_WAIT, EPOLL_PWAIT) and self.ptrace(PTRACE_PEEKTEXT, self.saved[RIP] - 2) & 0xffff == 0x050f:
                return self
            self.ptrace(PTRACE_DETACH)
            time.sleep(0.1)
        raise Failure("it never sleeps")

    def call(self, number, *arguments):
        regs = (ctypes.c_ulonglong * 27)(*self.saved)
        regs[RIP] -= 2
        regs[RAX], regs[ORIG_RAX] = number, (1 << 64) - 1
        for register, value in zip((RDI, RSI, RDX, R10, R8, R9), arguments):
            regs[register] = value & (1 << 64) - 1
        self.ptrace(PTRACE_SETREGS, None, ctypes.byref(regs))
        self.ptrace(PTRACE_SINGLESTEP)
        _, status = os.waitpid(self.pid, 0x40000000)
        check(os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP, f"stopped with {status:#x}")
        self.ptrace(PTRACE_GETREGS, None, ctypes.byref(regs))
        return ctypes.c_longlong(regs[RAX]).value

    def __exit__(self, *_):
        # As if the signal had interrupted the call: the loop begins it again.
        self.saved[RAX], self.saved[ORIG_RAX] = (1 << 64) - errno.EINTR, (1 << 64) - 1
        self.ptrace(PTRACE_SETREGS, None, ctypes.byref(self.saved))
        self.ptrace(PTRACE_DETACH)


def calls(relay):
    """What the kernel says to each of them in the relay's name."""
    with Traced(relay.process.pid) as t:
        equal(t.call(GETPID), relay.process.pid, "getpid, which is allowed")
        equal(t.call(OPENAT, AT_FDCWD, BAD, 0), -errno.EFAULT, "openat to read")
        return {name: t.call(*call) for name, call in FORBIDDEN.items()}


def test_calls_that_are_not_needed_are_refused(emulator):
    if os.uname().machine != "x86_64":
        raise Skip("numbers of x86-64")
    if DEFAULTS:
        raise Skip("the sanitizers need more calls")
    with Relay("--seccomp", "off") as relay:
        without = {name for name, got in calls(relay).items() if got == -errno.EPERM}
    check(len(FORBIDDEN) - len(without) >= 20, f"these are refused without a filter, too: {without}")
    with Relay() as relay:
        got = {name: result for name, result in calls(relay).items() if result != -errno.EPERM}
        equal(got, {}, "calls that aren't refused")
        with Client(relay) as c:
            c.join(1, "lab")  # it goes on


def test_user_root_directory_and_groups(emulator):
    """After its start it is that user, without groups and capabilities, in that directory; it serves all the same."""
    if os.getuid():
        raise Skip("needs a second user")
    if DEFAULTS:
        raise Skip("the leak sanitizer needs /proc")
    with tempfile.TemporaryDirectory() as d, Server(echo) as server:
        os.chmod(d, 0o755)
        with open(f"{d}/index.html", "w") as f:
            f.write("page")
        empty = os.path.join(d, "empty")
        os.mkdir(empty)
        with Relay("--user", "nobody", "--group", "nogroup", "--chroot", empty, "--web", d, "--egress", "loopback") as relay:
            with open(f"/proc/{relay.process.pid}/status") as f:
                status = f.read()
            for line in (r"Uid:\t65534\t65534\t65534\t65534", r"Gid:\t65534\t65534\t65534\t65534", r"Groups:\s*", r"CapPrm:\t0+", r"CapEff:\t0+",
                         r"CapInh:\t0+", r"CapAmb:\t0+", r"NoNewPrivs:\t1"):
                check(re.search(f"^{line}$", status, re.M), f"{line}: {status}")
            equal(os.readlink(f"/proc/{relay.process.pid}/root"), empty)
            equal(relay.get("/")[2], b"page")
            with Client(relay) as c:
                equal(c.open(1, TCP, address("127.0.0.1", server.port))[0], 0)
