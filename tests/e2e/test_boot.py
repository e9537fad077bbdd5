"""Boot from firmware: our own real-mode disk, a GRUB CD and floppy, memtest86+."""
import os
import subprocess

from pc import PC, ROOT, Failure, guest, not_under, scratch


def boot_disk(name, size):
    """The image of bootsector.asm, padded to @size bytes."""
    path = scratch(name)
    subprocess.run(["nasm", "-f", "bin", "-o", path, os.path.join(ROOT, "tests/e2e/bootsector.asm")], check=True)
    os.truncate(path, size)
    return path


def bios_services(emulator, *options):
    with PC(emulator, "-m", "32", "-no-reboot", *options) as pc:
        pc.expect(r"BIOS TEST: ([^\r]*)", seconds=20)
        failed = [line.strip() for line in pc.serial_text.splitlines() if "FAIL" in line]
        if failed:
            raise Failure("; ".join(failed))
        pc.expect("press x")
        pc.expect_screen(r"int 1Ah: PCI BIOS ok\s+BIOS TEST: PASS\s+press x")
        pc.keys("r")
        pc.expect("got r")
        if pc.wait_exit() != 0:
            raise Failure(f"exit status {pc.process.returncode} after the reset, not 0")


def test_bios_services_from_a_floppy(emulator):
    path = boot_disk("boot.img", 1474560)
    bios_services(emulator, "-drive", f"file={path},format=raw,if=floppy", "-boot", "a")
    check_written(path)


def test_bios_services_from_a_hard_disk(emulator):
    path = boot_disk("boot.hd", 4 << 20)
    bios_services(emulator, "-drive", f"file={path},format=raw", "-boot", "c")
    check_written(path)


def multiboot(emulator, load, size):
    path = scratch(f"multiboot-{load:x}.bin")
    subprocess.run(["nasm", "-f", "bin", f"-DLOAD={load}", f"-DSIZE={size}", "-o", path,
                    os.path.join(ROOT, "tests/e2e/multiboot.asm")], check=True)
    with PC(emulator, "-m", "64", "-kernel", path, "-append", "zone one2") as pc:
        if pc.expect(r"MULTIBOOT: (.*?)[\r\n]", seconds=20)[1] != "PASS":
            raise Failure(pc.serial_text)


def test_multiboot_kernel_at_64_kb_and_more(emulator):
    multiboot(emulator, 0x10000, 0x40000)
    multiboot(emulator, 0x100000, 0x20000)


@not_under("qemu", "QEMU's information block is at 0x9000, whatever lies there")
def test_multiboot_kernel_over_the_bios_stack_and_data(emulator):
    multiboot(emulator, 0x8000, 0x1000)
    multiboot(emulator, 0, 0x40000)


def check_written(path):
    """The sector that the guest wrote is in the image file."""
    with open(path, "rb") as f:
        f.seek(19 * 512)
        if f.read(2) != b"\xef\xbe":
            raise Failure(f"{path} doesn't hold what the guest wrote")


def test_snapshot_leaves_the_disk_image_alone(emulator):
    path = boot_disk("snapshot.hd", 4 << 20)
    bios_services(emulator, "-drive", f"file={path},format=raw,snapshot=on", "-boot", "c")
    with open(path, "rb") as f:
        f.seek(19 * 512)
        if f.read(512) != bytes(512):
            raise Failure("the image file changed")


def grub(emulator, *options):
    """The menu appears, its highlight moves, and the command line works."""
    with PC(emulator, "-m", "64", *options) as pc:
        pc.expect_screen(r"GNU GRUB  version 2\.06.*│\*GNU/Linux +│.*Memtest86\+", seconds=20)
        pc.keys("down", "down")
        pc.expect_screen(r"│\*FreeBSD \(or GNU/kFreeBSD\), direct boot")
        pc.keys("c")
        pc.expect_screen(r"grub> *$")
        pc.type("echo Slipway 123\n")
        pc.expect_screen(r"^Slipway 123$")
        pc.type("ls\n")
        pc.expect_screen(r"^\((cd|fd0|proc)\)")
        pc.qmp("quit")
        if pc.wait_exit() != 0:
            raise Failure(f"exit status {pc.process.returncode} after quit, not 0")


def test_grub_rescue_cd(emulator):
    grub(emulator, "-cdrom", guest("grub-rescue.iso"), "-boot", "d")


def test_grub_rescue_floppy(emulator):
    grub(emulator, "-drive", f"file={guest('grub-rescue.img')},format=raw,if=floppy,readonly=on", "-boot", "a")


def memtest(emulator, progress, seconds):
    """With 32 MB: the test screen, then the pattern @progress on it, and no errors."""
    size = 31 if emulator == "qemu" else 32  # of 31.4 and 31.6 MB: QEMU's ACPI tables take more of the end
    with PC(emulator, "-m", "32", "-kernel", guest("memtest32.bin")) as pc:
        pc.expect_screen(rf"Memtest86\+ v6.*Test #\d+ .*Memory  : +{size}MB.*Status: Testing", seconds=10)
        pc.expect_screen(progress, seconds)
        errors = pc.expect_screen(r"Errors: +(\d+)")[1]
        if errors != "0":
            raise Failure(f"memtest86+ found {errors} errors")


def test_memtest86_ia32(emulator):
    """It has done some percent of its first pass."""
    memtest(emulator, r"Pass +[1-9]\d?%", seconds=60)


def slow_memtest86_ia32_to_pass(emulator):
    """A whole pass of all its tests."""
    memtest(emulator, r"Pass: +[1-9]", seconds=800)
