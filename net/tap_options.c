/*
 * -netdev tap and -netdev bridge: their options. What they mean is in tap_native.c.
 */
#include "net/tap_options.h"

#include "net/relay/ether.h"
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
    RELAY_ROOM_OPTIONS,
    { NULL, 0, NULL, NULL, 0 },
};

/* Without room= the room has the interface's name. */
static struct net_client *make_tap(struct machine *m, const char *name, const struct keyval *args,
                                   struct error *err)
{
    if (relay_ether_wanted(args))
        return relay_ether_new(m, "tap", name, args, "ifname", err);
    return tap_create(m, name, args, err);
}

static struct net_client *make_bridge(struct machine *m, const char *name,
                                      const struct keyval *args, struct error *err)
{
    if (relay_ether_wanted(args))
        return relay_ether_new(m, "bridge", name, args, "br", err);
    return bridge_create(m, name, args, err);
}

const struct netdev_option bridge_options[] = {
    { "br", NETDEV_STRING, "BRIDGE", "the bridge (default br0)", 0 },
    { "helper", NETDEV_STRING, "PATH",
      "the program that makes the interface (default /usr/lib/qemu/qemu-bridge-helper)", 0 },
    RELAY_ROOM_OPTIONS,
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_class netdev_tap = {
    .type = "tap",
    .help = "a TAP interface of the host (native build), or of a relay",
    .options = tap_options,
    .create = make_tap,
};

const struct netdev_class netdev_bridge = {
    .type = "bridge",
    .help = "a TAP interface that QEMU's bridge helper makes and attaches to a bridge",
    .options = bridge_options,
    .create = make_bridge,
};
