"""Boot from the network: each card's ROM (iPXE), DHCP and TFTP of the user-mode network, a script or pxelinux, and Linux;
when it is the card that is booted from."""
import os
import shutil

from peers import Servers
from pc import PC, Skip, guest, scratch

ROMS = "/usr/lib/ipxe/qemu"


def start(emulator, model, files, texts, bootfile, *options):
    """A PC with a card on a network whose TFTP server has @files (name, source) and @texts (name, text); the card's own
    words are on the screen."""
    if not os.path.isdir(ROMS):
        raise Skip("the package ipxe-qemu isn't installed")
    directory = scratch(f"tftp-{model.replace(',', '-')}")
    for name, source in files:
        os.makedirs(os.path.dirname(os.path.join(directory, name)), exist_ok=True)
        shutil.copy(source, os.path.join(directory, name))
    for name, text in texts:
        os.makedirs(os.path.dirname(os.path.join(directory, name)), exist_ok=True)
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
    return PC(emulator, "-m", "256", "-netdev", f"user,id=u,tftp={directory},bootfile={bootfile}",
              "-device", f"{model},netdev=u", "-no-reboot", *options)


def boot(emulator, model, script, files=(), options=("-boot", "n")):
    """With @script as the boot file, from the network."""
    return start(emulator, model, files, [("boot.ipxe", "#!ipxe\n" + script)], "boot.ipxe", *options)


def boots_linux(emulator, model):
    """Kernel and initramfs by TFTP, more than one window of it or of a small card's ring; the kernel's first words, and
    what it says of the initramfs, are enough."""
    script = "kernel vmlinuz console=ttyS0 earlyprintk=ttyS0 from=${net0/ip}\ninitrd initrd\nboot\n"
    files = [("vmlinuz", guest("vmlinuz-amd64")), ("initrd", guest("initrd-amd64.cpio"))]
    with boot(emulator, model, script, files) as pc:
        pc.expect(r"Linux version .*from=10\.0\.2\.15", seconds=80)
        pc.expect("Trying to unpack rootfs image as initramfs", seconds=40)


def test_pxe_virtio_net(emulator):
    boots_linux(emulator, "virtio-net-pci")


def test_pxe_virtio_net_modern_only(emulator):
    """iPXE has a driver for each of the interfaces; a file of more than one window is enough here."""
    script = "imgfetch payload && echo script done ${net0/ip} from ${next-server} || echo failed\nshell\n"
    files = [("payload", guest("initrd-amd64.cpio"))]
    with boot(emulator, "virtio-net-pci,disable-legacy=on", script, files) as pc:
        pc.expect_screen(r"script done 10\.0\.2\.15 from 10\.0\.2\.2", seconds=40)


def test_pxe_rtl8139(emulator):
    boots_linux(emulator, "rtl8139")


def test_pxe_pcnet(emulator):
    boots_linux(emulator, "pcnet")


def test_pxe_ne2k_pci(emulator):
    boots_linux(emulator, "ne2k_pci")


def test_pxe_e1000_to_linux(emulator):
    with Servers() as servers:
        with open(guest("vmlinuz-amd64"), "rb") as f:
            servers.file = f.read()
        script = (f"kernel http://10.0.2.2:{servers.http_port}/vmlinuz console=ttyS0 loglevel=1\n"
                  "initrd initrd\nboot\n")
        with boot(emulator, "e1000", script, [("initrd", guest("initrd-amd64.cpio"))]) as pc:
            pc.expect("guest# ", seconds=80)


def test_pxelinux(emulator):
    """Debian's, which has its configuration, the kernel and the initramfs by TFTP through the card's ROM."""
    files = [("pxelinux.0", guest("pxelinux.0")), ("ldlinux.c32", guest("ldlinux.c32")),
             ("vmlinuz", guest("vmlinuz-amd64")), ("initrd", guest("initrd-amd64.cpio"))]
    config = ("default linux\nlabel linux\n  kernel vmlinuz\n  initrd initrd\n  ipappend 3\n"
              "  append console=ttyS0 earlyprintk=ttyS0\n")
    with start(emulator, "e1000", files, [("pxelinux.cfg/default", config)], "pxelinux.0", "-boot", "n") as pc:
        pc.expect(r"Command line: .*ip=10\.0\.2\.15:10\.0\.2\.2:10\.0\.2\.2:255\.255\.255\.0 BOOTIF=01-52-54-00-12-34-56",
                  seconds=80)
        pc.expect("Trying to unpack rootfs image as initramfs", seconds=40)


SAYS_HELLO = "echo hello from ${net0/ip}\nshell\n"


def test_bootindex_of_a_card_goes_before_boot(emulator):
    cd = "-boot", "d", "-cdrom", guest("grub-rescue.iso")
    with boot(emulator, "e1000,bootindex=0", SAYS_HELLO, options=cd) as pc:
        pc.expect_screen(r"hello from 10\.0\.2\.15", seconds=40)


def test_bootindex_of_a_disk_goes_before_boot_n(emulator):
    disk = ("-boot", "n", "-drive", f"file={guest('grub-rescue.iso')},if=none,id=disk,format=raw,readonly=on",
            "-device", "virtio-blk-pci,drive=disk,bootindex=1")
    with boot(emulator, "e1000,bootindex=2", SAYS_HELLO, options=disk) as pc:
        pc.expect_screen(r"GNU GRUB  version", seconds=40)
