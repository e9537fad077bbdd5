/*
 * -netdev tap and bridge: a TAP interface of the host as a client. How the interface is come by is
 * in tap_open_native.c.
 *
 * From the host: up to BATCH frames a turn are read and handed to the peer; if that is full, the
 * last one is kept and the interface isn't read until writable(): its own queue (txqueuelen) fills
 * up, and then the kernel drops.
 *
 * To the host: a frame is one write. A full send buffer (sndbuf=) refuses, an interface that is
 * down loses the frame.
 *
 * struct net_offload is struct virtio_net_hdr in other words, so unfinished frames go both ways as
 * they are. The header's fields are in the host's byte order.
 *
 * The up script runs before the client is there; the down script as the last thing that the
 * interface sees, when the netdev or the machine goes.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/host.h"
#include "host/native.h"
#include "machine.h"
#include "net/tap.h"
#include "net/tap_options.h"

#define UP_SCRIPT   "/etc/qemu-ifup"
#define DOWN_SCRIPT "/etc/qemu-ifdown"

enum { BATCH = 64, HEADER = sizeof(struct virtio_net_hdr) };

struct tap_client {
    struct net_client nc;
    struct tap tap;
    struct host_poll poll;
    bool pumping;
    bool held; /* buf has a frame that waits for the peer */
    struct net_frame frame;
    char *down_script; /* NULL: none */
    char info[400];
    uint8_t buf[HEADER + NET_FRAME_MAX];
};

static struct tap_client *tap_of(struct net_client *nc)
{
    return (struct tap_client *)nc;
}

/* ---- the header ---- */

static struct virtio_net_hdr to_header(const struct net_offload *o)
{
    static const uint8_t gso[] = { [NET_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
                                   [NET_GSO_TCPV4] = VIRTIO_NET_HDR_GSO_TCPV4,
                                   [NET_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP,
                                   [NET_GSO_TCPV6] = VIRTIO_NET_HDR_GSO_TCPV6 };
    struct virtio_net_hdr h = { .gso_type = gso[o->gso & 3],
                                .hdr_len = o->hdr_len,
                                .gso_size = o->gso_size,
                                .csum_start = o->csum_start,
                                .csum_offset = o->csum_offset };
    if (o->needs_csum)
        h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    else if (o->csum_valid)
        h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    if (o->gso_ecn && o->gso)
        h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    return h;
}

/* False: a kind of segmentation that we didn't ask for. */
static bool from_header(const struct virtio_net_hdr *h, struct net_offload *o)
{
    *o = (struct net_offload){ .needs_csum = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
                               .csum_valid = h->flags & VIRTIO_NET_HDR_F_DATA_VALID };
    if (o->needs_csum) {
        o->csum_start = h->csum_start;
        o->csum_offset = h->csum_offset;
    }
    switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE: return true;
    case VIRTIO_NET_HDR_GSO_TCPV4: o->gso = NET_GSO_TCPV4; break;
    case VIRTIO_NET_HDR_GSO_TCPV6: o->gso = NET_GSO_TCPV6; break;
    case VIRTIO_NET_HDR_GSO_UDP: o->gso = NET_GSO_UDP; break;
    default: return false;
    }
    o->gso_ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN;
    o->gso_size = h->gso_size;
    o->hdr_len = h->hdr_len;
    return true;
}

/* ---- frames ---- */

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct tap_client *s = tap_of(nc);
    struct virtio_net_hdr h = to_header(&f->off);
    struct iovec iov[2] = { { .iov_base = &h, .iov_len = sizeof h },
                            { .iov_base = (void *)f->data, .iov_len = f->len } };
    ssize_t n;
    do
        n = s->tap.vnet_hdr ? writev(s->tap.fd, iov, 2) : write(s->tap.fd, f->data, f->len);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        s->poll.events |= POLLOUT;
        return false;
    }
    if (n < 0)
        nc->stats.dropped++;
    return true;
}

/* Reads a frame into s->frame. False: there is none. */
static bool read_frame(struct tap_client *s)
{
    size_t header = s->tap.vnet_hdr ? HEADER : 0;
    for (int tries = 0; tries < BATCH; tries++) {
        ssize_t n = read(s->tap.fd, s->buf, header + NET_FRAME_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < (ssize_t)header)
            return false;
        struct virtio_net_hdr h;
        s->frame = (struct net_frame){ .data = s->buf + header, .len = (size_t)n - header };
        memcpy(&h, s->buf, sizeof h);
        if (!header || from_header(&h, &s->frame.off))
            return true;
    }
    return false;
}

static void pump(struct tap_client *s)
{
    if (s->pumping)
        return;
    s->pumping = true;
    if (s->held)
        s->held = !net_send(&s->nc, &s->frame);
    for (int i = 0; i < BATCH && !s->held && read_frame(s); i++)
        s->held = !net_send(&s->nc, &s->frame);
    s->pumping = false;
    s->poll.events = (short)((s->poll.events & POLLOUT) | (s->held ? 0 : POLLIN));
}

static void ready(void *opaque, short revents)
{
    struct tap_client *s = opaque;
    if (revents & POLLOUT) {
        s->poll.events &= ~POLLOUT;
        net_accept(&s->nc);
    }
    if (revents & POLLIN)
        pump(s);
    else if (revents & POLLERR) /* the interface was deleted: only removing the netdev helps */
        s->poll.events = 0;
}

static void writable(struct net_client *nc)
{
    struct tap_client *s = tap_of(nc);
    if (s->held)
        pump(s);
}

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    snprintf(buf, len, "%s", tap_of(nc)->info);
}

static void cleanup(struct net_client *nc)
{
    struct tap_client *s = tap_of(nc);
    struct error err;
    if (s->down_script && !tap_run_script(s->down_script, s->tap.ifname, &err))
        fprintf(stderr, "slipway: netdev '%s': %s\n", nc->name, err.msg);
    host_poll_remove(&s->poll);
    close(s->tap.fd);
    free(s->down_script);
}

static const struct net_client_ops ops[2] = {
    { .type = "tap",
      .receive = receive,
      .writable = writable,
      .describe = describe,
      .cleanup = cleanup },
    { .type = "bridge",
      .receive = receive,
      .writable = writable,
      .describe = describe,
      .cleanup = cleanup },
};

static struct tap_client *client_new(struct machine *m, const char *type, const char *name,
                                     const struct tap *tap)
{
    struct net_client *nc =
        net_client_new(m, &ops[!strcmp(type, "bridge")], sizeof(struct tap_client), type, name);
    struct tap_client *s = tap_of(nc);
    s->tap = *tap;
    nc->offloads = tap->offloads;
    s->poll = (struct host_poll){ .fd = tap->fd, .events = POLLIN, .ready = ready, .opaque = s };
    host_poll_add(&s->poll);
    return s;
}

/* ---- options ---- */

/* "no", "" and a default that isn't there: NULL. */
static const char *script_of(const struct keyval *args, const char *key, const char *standard)
{
    const char *script = keyval_get(args, key);
    if (!script)
        return access(standard, F_OK) == 0 ? standard : NULL;
    return *script && strcmp(script, "no") ? script : NULL;
}

/* The first of @keys (NULL-terminated) that was given, or NULL. */
static const char *given(const struct keyval *args, const char *const *keys)
{
    for (; *keys; keys++)
        if (keyval_get(args, *keys))
            return *keys;
    return NULL;
}

/* What QEMU has and we don't. */
static bool check_absent(const struct keyval *args, struct error *err)
{
    if (netdev_arg_bool(args, "vhost", false) || netdev_arg_bool(args, "vhostforce", false))
        return error_set(err,
                         "vhost=on: the kernel can't serve this machine's NICs; use vhost=off");
    const char *fds = keyval_get(args, "fds");
    if (netdev_arg_number(args, "queues", 1) != 1 || (fds && strchr(fds, ':')))
        return error_set(err, "an interface has one queue here: queues=1");
    return true;
}

static struct net_client *with_interface(struct machine *m, const char *name,
                                         const struct keyval *args, uint32_t sndbuf,
                                         struct error *err)
{
    const char *ifname = keyval_get(args, "ifname");
    const char *up = script_of(args, "script", UP_SCRIPT);
    const char *down = script_of(args, "downscript", DOWN_SCRIPT);
    enum tap_vnet_hdr vnet_hdr = TAP_VNET_HDR_AUTO;
    struct tap tap;
    if (keyval_get(args, "vnet_hdr"))
        vnet_hdr = netdev_arg_bool(args, "vnet_hdr", true) ? TAP_VNET_HDR_ON : TAP_VNET_HDR_OFF;
    if (!tap_open(&tap, ifname ? ifname : "", vnet_hdr, err))
        return NULL;
    if (!tap_set_sndbuf(&tap, sndbuf, err) || (up && !tap_run_script(up, tap.ifname, err))) {
        close(tap.fd);
        return NULL;
    }
    struct tap_client *s = client_new(m, "tap", name, &tap);
    s->down_script = down ? strdup(down) : NULL;
    snprintf(s->info, sizeof s->info, "ifname=%s,script=%.150s,downscript=%.150s", tap.ifname,
             up ? up : "no", down ? down : "no");
    return &s->nc;
}

static struct net_client *with_fd(struct machine *m, const char *name, const char *fd,
                                  uint32_t sndbuf, struct error *err)
{
    struct tap tap;
    if (!tap_open_fd(&tap, fd, err) || !tap_set_sndbuf(&tap, sndbuf, err))
        return NULL;
    struct tap_client *s = client_new(m, "tap", name, &tap);
    snprintf(s->info, sizeof s->info, "fd=%d", tap.fd);
    return &s->nc;
}

static struct net_client *with_helper(struct machine *m, const char *type, const char *name,
                                      const struct keyval *args, uint32_t sndbuf, struct error *err)
{
    const char *helper = keyval_get(args, "helper"), *br = keyval_get(args, "br");
    struct tap tap;
    helper = helper ? helper : TAP_BRIDGE_HELPER;
    br = br ? br : TAP_BRIDGE;
    if (!tap_open_bridge(&tap, helper, br, err) || !tap_set_sndbuf(&tap, sndbuf, err))
        return NULL;
    struct tap_client *s = client_new(m, type, name, &tap);
    snprintf(s->info, sizeof s->info, "helper=%.200s,br=%.100s", helper, br);
    return &s->nc;
}

struct net_client *tap_create(struct machine *m, const char *name, const struct keyval *args,
                              struct error *err)
{
    static const char *const not_with_fd[] = { "ifname", "script", "downscript", "vnet_hdr",
                                               "helper", "br",     "queues",     NULL };
    static const char *const not_with_helper[] = { "ifname",   "script", "downscript",
                                                   "vnet_hdr", "queues", NULL };
    const char *fd = keyval_get(args, "fd"), *fds = keyval_get(args, "fds"), *other;
    const char *size = keyval_get(args, "sndbuf");
    uint64_t sndbuf = 0;
    if (!check_absent(args, err))
        return NULL;
    if (size && (!parse_size(size, 0, &sndbuf) || sndbuf > INT32_MAX)) {
        error_set(err, "sndbuf=%.100s: not a size", size);
        return NULL;
    }
    if (fd || fds) {
        other = fd && fds ? "fds" : given(args, not_with_fd);
        if (other) {
            error_set(err, "%s= is invalid with %s=", other, fd ? "fd" : "fds");
            return NULL;
        }
        return with_fd(m, name, fd ? fd : fds, (uint32_t)sndbuf, err);
    }
    other = given(args, not_with_helper);
    if (keyval_get(args, "helper") && other) {
        error_set(err, "%s= is invalid with helper=", other);
        return NULL;
    }
    if (keyval_get(args, "helper") || (keyval_get(args, "br") && !other))
        return with_helper(m, "tap", name, args, (uint32_t)sndbuf, err);
    if (keyval_get(args, "br"))
        fprintf(stderr, "slipway: warning: netdev '%s': br= has no effect with %s=\n", name, other);
    return with_interface(m, name, args, (uint32_t)sndbuf, err);
}

struct net_client *bridge_create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    return with_helper(m, "bridge", name, args, 0, err);
}
