"""smb=DIR of the user-mode network: a real smbd behind 10.0.2.4, Samba's smbclient in front of it. The client has the TCP of
this kernel, which reaches the user-mode network through a TAP on the same hub."""
import os
import random
import shutil
import subprocess
import tempfile

import ends
from ends import Failure, Skip, same, scratch, wait_for
from pc import not_under
from test_tap import Namespace, script

SIZE = 5_000_000


class Shared:
    """A directory with a file in it that a PC of @emulator's shares; smb() is smbclient on the way through the TAP."""

    def __init__(self, emulator, options="", address="10.0.2.15/24"):
        if not os.path.exists("/usr/sbin/smbd") or not shutil.which("smbclient"):
            raise Skip("needs samba and smbclient")
        self.namespace = Namespace(emulator)
        # Where its smbd may go as whoever asks; build/ may be in a closed folder.
        self.folder = tempfile.mkdtemp(prefix="slipway-share-")
        self.data = random.Random(12).randbytes(SIZE)
        with open(os.path.join(self.folder, "file"), "wb") as f:
            f.write(self.data)
        up = script("up", f"ip addr add {address} dev $1; ip link set $1 up\n")
        self.netdevs = [f"user,id=u,smb={self.folder}{options}", f"tap,id=t,ifname=tap0,script={up},downscript=no"]

    def __enter__(self):
        self.namespace.__enter__()
        self.pc = ends.emulator("slipway", *self.netdevs, wrapper=self.namespace.wrapper)
        wait_for("TAP", lambda: self.pc.process.poll() is not None or "tap0" in self.namespace.links())
        return self

    def __exit__(self, *exc):
        self.pc.__exit__()
        self.namespace.__exit__()
        shutil.rmtree(self.folder)

    def smb(self, commands, server="10.0.2.4", options=()):
        done = subprocess.run([*self.namespace.wrapper, "smbclient", f"//{server}/qemu", "-N", "-t", "60", *options, "-c",
                               commands], capture_output=True, text=True, timeout=200, cwd=os.path.dirname(scratch("x")))
        if done.returncode:
            raise Failure(f"smbclient: {done.stdout}{done.stderr} {self.pc.errors}")
        return done.stdout


def settings():
    """The directories that our smbd servers have their files in."""
    return {name for name in os.listdir("/tmp") if name.startswith("slipway-smb.")}


@not_under("node", "programs are native only")
def test_user_smb(emulator):
    """Lists, reads, writes and removes; at both ports; with a server at another address."""
    before = settings()
    for options, server in ("", "10.0.2.4"), (",smbserver=10.0.2.9", "10.0.2.9"):
        with Shared(emulator, options) as shared:
            same("a directory of its own", len(settings() - before), 1)
            listing = shared.smb("ls", server)
            if f" {SIZE} " not in " ".join(listing.split()):
                raise Failure(f"ls: {listing}")
            got = scratch("got")
            shared.smb(f"get file {got}", server)
            with open(got, "rb") as f:
                same("what was read is the same", f.read() == shared.data, True)
            shared.smb(f"mkdir sub; cd sub; put {got} back; put {got} gone; del gone", server)
            with open(os.path.join(shared.folder, "sub", "back"), "rb") as f:
                same("what was written is the same", f.read() == shared.data, True)
            same("files", sorted(os.listdir(os.path.join(shared.folder, "sub"))), ["back"])
            shared.smb("ls", server, ("-p", "139"))
            os.unlink(got)
            shared.pc.signal(15)
            shared.pc.wait_exit()
        same("its files are gone with the PC", settings() - before, set())


@not_under("node", "programs are native only")
def test_user_smb_errors(emulator):
    for text, message in (("smb=/nonexistent", "Error accessing shared directory '/nonexistent': No such file or directory"),
                          ("smb=tests", "Shared directory 'tests' must be an absolute path without ; and #"),
                          ("smb=/tmp,smbserver=10.0.2.2", "Conflicting/invalid smbserver address")):
        if not os.path.exists("/usr/sbin/smbd"):
            message = "Could not find '/usr/sbin/smbd', please install it"
        with ends.emulator("slipway", f"user,id=u,{text}", hubs=False, qmp=False, cwd=ends.ROOT) as pc:
            same(f"status of {text}", pc.wait_exit(), 1)
            same("message", pc.errors, f"slipway: -netdev user,id=u,{text}: {message}\n")
