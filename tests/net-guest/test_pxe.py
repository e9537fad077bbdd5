"""Boot from the network: each card's ROM (iPXE), DHCP and TFTP of the user-mode network, a script, and Linux."""
import os
import shutil

from peers import Servers
from pc import PC, Skip, guest, scratch

ROMS = "/usr/lib/ipxe/qemu"


def boot(emulator, model, script, files=()):
    """Boots from the network with @script as the boot file; the card's own words are on the screen."""
    if not os.path.isdir(ROMS):
        raise Skip("the package ipxe-qemu isn't installed")
    directory = scratch(f"tftp-{model.replace(',', '-')}")
    os.makedirs(directory, exist_ok=True)
    for name, source in files:
        shutil.copy(source, os.path.join(directory, name))
    with open(os.path.join(directory, "boot.ipxe"), "w") as f:
        f.write("#!ipxe\n" + script)
    return PC(emulator, "-m", "256", "-boot", "n", "-netdev", f"user,id=u,tftp={directory},bootfile=boot.ipxe",
              "-device", f"{model},netdev=u", "-no-reboot")


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
