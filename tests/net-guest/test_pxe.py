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


def runs_a_script(emulator, model):
    """The script is fetched by TFTP; then 300 KB, more than one window of TFTP or of a small card's ring."""
    path = scratch("payload")
    with open(path, "wb") as f:
        f.write(bytes(300_000))
    with boot(emulator, model, "imgfetch payload && echo script done ${net0/ip} from ${next-server} || echo failed\nshell\n",
              [("payload", path)]) as pc:
        pc.expect_screen(r"script done 10\.0\.2\.15 from 10\.0\.2\.2", seconds=40)


def test_pxe_virtio_net(emulator):
    runs_a_script(emulator, "virtio-net-pci")


def test_pxe_virtio_net_modern_only(emulator):
    runs_a_script(emulator, "virtio-net-pci,disable-legacy=on")


def test_pxe_rtl8139(emulator):
    runs_a_script(emulator, "rtl8139")


def test_pxe_pcnet(emulator):
    runs_a_script(emulator, "pcnet")


def test_pxe_ne2k_pci(emulator):
    runs_a_script(emulator, "ne2k_pci")


def test_pxe_e1000_to_linux(emulator):
    with Servers() as servers:
        with open(guest("vmlinuz-amd64"), "rb") as f:
            servers.file = f.read()
        script = (f"kernel http://10.0.2.2:{servers.http_port}/vmlinuz console=ttyS0 loglevel=1\n"
                  "initrd initrd\nboot\n")
        with boot(emulator, "e1000", script, [("initrd", guest("initrd-amd64.cpio"))]) as pc:
            pc.expect("guest# ", seconds=80)
