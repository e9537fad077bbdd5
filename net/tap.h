/*
 * Between tap_native.c (the netdevs) and tap_open_native.c (how a TAP descriptor is come by).
 */
#ifndef SLIPWAY_NET_TAP_H
#define SLIPWAY_NET_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define TAP_BRIDGE_HELPER "/usr/lib/qemu/qemu-bridge-helper"
#define TAP_BRIDGE        "br0"

enum tap_vnet_hdr { TAP_VNET_HDR_AUTO, TAP_VNET_HDR_ON, TAP_VNET_HDR_OFF };

struct tap {
    int fd; /* non-blocking, close-on-exec */
    char ifname[16];
    bool vnet_hdr;     /* frames have a struct virtio_net_hdr of 10 bytes */
    uint32_t offloads; /* NET_OFFLOAD_*: what it may be given unfinished */
};

/* Makes or attaches to interface @ifname ("" or with "%d": the kernel chooses). */
bool tap_open(struct tap *t, const char *ifname, enum tap_vnet_hdr vnet_hdr, struct error *err);
/* A descriptor that the process was given. */
bool tap_open_fd(struct tap *t, const char *number, struct error *err);
/* From QEMU's setuid helper, which attaches the interface to bridge @br. @helper: path or command.
 */
bool tap_open_bridge(struct tap *t, const char *helper, const char *br, struct error *err);
/* TUNSETSNDBUF; 0: no limit. */
bool tap_set_sndbuf(const struct tap *t, uint32_t bytes, struct error *err);
/* Runs @script with the interface's name and waits for it. */
bool tap_run_script(const char *script, const char *ifname, struct error *err);

#endif
