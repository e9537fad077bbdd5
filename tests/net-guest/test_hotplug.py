"""Network cards that come and go under a running Linux: device_add, device_del (ACPI PCI hot-plug), netdev_add, netdev_del;
and cards added before the guest starts."""
from pc import PC, same
from test_nics import boot, dhcp, ping

INTERFACES = "ls /sys/class/net | grep -c ^eth"


def wait_interfaces(pc, count):
    pc.shell(f"until [ $({INTERFACES}) = {count} ]; do sleep 0.2; done", seconds=40)


def gone(pc, device):
    """Waits for the event; QEMU has some for parts of a device before it."""
    while True:
        data = pc.event("DEVICE_DELETED", 60)["data"]
        if "device" in data:
            same("event", data, {"device": device, "path": f"/machine/peripheral/{device}"})
            return


def test_cards_come_and_go(emulator):
    with boot(emulator, "amd64", "-netdev", "user,id=n0", "-device", "e1000,netdev=n0,id=first") as pc:
        pc.shell("modprobe e1000; modprobe virtio_pci; modprobe virtio_net; modprobe af_packet; "
                 "modprobe ipv6; modprobe 8139cp", seconds=60)
        wait_interfaces(pc, 1)
        for round, model in enumerate(["virtio-net-pci", "e1000", "rtl8139"]):
            pc.qmp("netdev_add", type="user", id="n1", net="10.0.9.0/24")
            pc.qmp("device_add", driver=model, id="second", netdev="n1", mac=f"52:54:00:00:00:{round + 1:02x}")
            wait_interfaces(pc, 2)
            name = pc.shell(f"grep -l 52:54:00:00:00:{round + 1:02x} /sys/class/net/*/address | cut -d/ -f5")
            pc.shell(f"ip addr add 10.0.9.15/24 dev {name}; ip link set {name} up")
            ping(pc, "10.0.9.2")
            pc.qmp("device_del", id="second")
            gone(pc, "second")
            wait_interfaces(pc, 1)
            pc.qmp("netdev_del", id="n1")
        # The card that was there from the start goes too, and comes back after a reset that it didn't take part in.
        pc.qmp("device_del", id="first")
        gone(pc, "first")
        wait_interfaces(pc, 0)
        pc.qmp("device_add", driver="e1000", id="again", netdev="n0")
        wait_interfaces(pc, 1)
        pc.shell("ip link set lo up; ip link set eth0 up")
        dhcp(pc)
        ping(pc, "10.0.2.2")


def test_card_added_before_the_start(emulator):
    with PC(emulator, "-S", "-m", "16", serial="null") as pc:
        pc.qmp("netdev_add", type="user", id="n1")
        pc.qmp("device_add", driver="e1000", id="nic", netdev="n1")
        pc.qmp("device_del", id="nic")
        pc.qmp("cont")
        pc.qmp("system_reset")  # carries out what no guest would
        gone(pc, "nic")
        same("gone", pc.qmp_raw("device_del", id="nic")["error"]["class"], "DeviceNotFound")
        pc.qmp("netdev_del", id="n1")
