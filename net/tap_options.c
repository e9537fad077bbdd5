/*
 * -netdev tap and -netdev bridge: their options. What they mean is in tap_native.c.
 */
#include "net/tap_options.h"

#include "net/sockets.h"

const struct netdev_option tap_options[] = {
    { "fd", NETDEV_STRING, "H", "use a TAP interface that was opened already", 0 },
    { "fds", NETDEV_STRING, "X", "the same; one queue", 0 },
    { "ifname", NETDEV_STRING, "NAME", "name of the interface (default: a free tapN)", 0 },
    { "script", NETDEV_STRING, "FILE",
      "run this with the interface's name (default: /etc/qemu-ifup if it is there); no: nothing",
      0 },
    { "downscript", NETDEV_STRING, "FILE",
      "the same before the interface goes (default: /etc/qemu-ifdown if it is there)", 0 },
    { "br", NETDEV_STRING, "BRIDGE", "let the helper attach the interface to it (default br0)", 0 },
    { "helper", NETDEV_STRING, "PATH",
      "let this program make the interface (default /usr/lib/qemu/qemu-bridge-helper)", 0 },
    { "sndbuf", NETDEV_STRING, "BYTES", "limit of the interface's send buffer; 0: none", 0 },
    { "vnet_hdr", NETDEV_BOOL, NULL, "checksum and segmentation offload (default: if it can)", 0 },
    { "vhost", NETDEV_BOOL, NULL, "only off", 0 },
    { "vhostforce", NETDEV_BOOL, NULL, "only off", 0 },
    { "queues", NETDEV_NUMBER, NULL, "only 1", 0 },
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_option bridge_options[] = {
    { "br", NETDEV_STRING, "BRIDGE", "the bridge (default br0)", 0 },
    { "helper", NETDEV_STRING, "PATH",
      "the program that makes the interface (default /usr/lib/qemu/qemu-bridge-helper)", 0 },
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_class netdev_tap = {
    .type = "tap",
    .help = "a TAP interface of the host (native build)",
    .options = tap_options,
    .create = tap_create,
};

const struct netdev_class netdev_bridge = {
    .type = "bridge",
    .help = "a TAP interface that QEMU's bridge helper makes and attaches to a bridge",
    .options = bridge_options,
    .create = bridge_create,
};
