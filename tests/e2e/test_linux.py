"""Debian's stock kernels with a busybox shell on the serial line."""
import hashlib

from pc import PC, Failure, guest

APPEND = "console=ttyS0 loglevel=4"
NUMBERS_MD5 = hashlib.md5("".join(f"{i}\n" for i in range(1, 2001)).encode()).hexdigest() + "  -"


def linux(emulator, flavour, *options, append=APPEND, **named):
    return PC(emulator, "-m", "256", "-kernel", guest(f"vmlinuz-{flavour}"), "-initrd",
              guest(f"initrd-{flavour}.cpio"), "-append", append, "-no-reboot", *options, **named)


def same(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: {got!r}, not {wanted!r}")


def work_at_the_shell(pc, machine):
    """Commands whose output is known, then power-off."""
    pc.expect(rf"init: {machine} up .*guest# ", seconds=40)
    same("uname -m", pc.shell("uname -m"), machine)
    same("arithmetic", pc.shell("echo $((6 * 7)) $((1 << 40)) $((-7 / 2))"), "42 1099511627776 -3")
    # Pipes, processes, hashes.
    same("sha1sum", pc.shell("head -c 4000000 /dev/zero | sha1sum"),
         "cfe78845826845c0f76837eafdd964b8dc2ab337  -")
    same("sort", pc.shell("seq 1 2000 | sort -r | sort -n | md5sum"), NUMBERS_MD5)
    same("awk", pc.shell("awk 'BEGIN { printf \"%.6f %.3e\\n\", atan2(0, -1), exp(50) }'"),
         "3.141593 5.185e+21")
    same("files", pc.shell("for i in 1 2 3; do echo line $i > /tmp/$i; done; cat /tmp/[123] | wc -l"), "3")
    same("exit status", pc.shell("false; echo $?; sh -c 'kill -SEGV $$'; echo $?").splitlines()[-1], "139")
    before = float(pc.shell("cut -d' ' -f1 /proc/uptime"))
    pc.shell("sleep 2")
    slept = float(pc.shell("cut -d' ' -f1 /proc/uptime")) - before
    if not 1.9 < slept < 60:
        raise Failure(f"sleep 2 took {slept} s of guest time")
    pc.send("poweroff -f\n")
    same("exit status of the emulator", pc.wait_exit(), 0)


def test_debian_amd64_kernel_to_a_shell(emulator):
    with linux(emulator, "amd64") as pc:
        work_at_the_shell(pc, "x86_64")


def test_debian_686_kernel_to_a_shell(emulator):
    with linux(emulator, "686") as pc:
        work_at_the_shell(pc, "i686")
