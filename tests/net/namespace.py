"""Tests in a network of their own: loopback, the addresses that a test adds, a resolv.conf of its choice."""
import ctypes
import fcntl
import functools
import os
import pickle
import socket
import struct
import tempfile
import traceback

from pc import Failure, Skip

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SIOCSIFADDR, SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8916, 0x8914, 1, 64
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter():
    """This process gets namespaces of its own; as root of them if it isn't root."""
    uid, gid = os.getuid(), os.getgid()
    try:
        call(libc.unshare, CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWUSER if uid else 0))
        if uid:
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as f:
                    f.write(text)
        call(libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    except OSError as e:
        raise Skip(f"namespaces aren't permitted here: {e}")
    up("lo")


def up(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", interface.encode(), IFF_UP | IFF_RUNNING))


def add_address(address, label="lo:1"):
    """One more IPv4 address on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sH2x4s8x", label.encode(), socket.AF_INET, socket.inet_aton(address)))


def resolv_conf(text):
    replace_file("/etc/resolv.conf", text)


def replace_file(name, text):
    """For the processes in this namespace."""
    with tempfile.NamedTemporaryFile("w", delete=False) as f:
        f.write(text)
    os.chmod(f.name, 0o644)
    call(libc.mount, f.name.encode(), os.path.realpath(name).encode(), None, MS_BIND, None)
    os.unlink(f.name)


def in_namespace(test):
    """Decorator of a test: runs it in a child process with namespaces of its own."""
    @functools.wraps(test)
    def run(*arguments):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            result = None
            try:
                enter()
                test(*arguments)
            except (Failure, Skip) as e:
                result = type(e).__name__, str(e)
            except BaseException:
                result = "Failure", traceback.format_exc()
            with os.fdopen(writer, "wb") as f:
                pickle.dump(result, f)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as f:
            data = f.read()
        os.waitpid(child, 0)
        result = pickle.loads(data) if data else ("Failure", "the test's process died")
        if result:
            raise {"Failure": Failure, "Skip": Skip}[result[0]](result[1])
    return run
