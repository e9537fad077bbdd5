/*
 * Frames as datagrams: UDP, UDP multicast, Unix datagram sockets.
 *
 * From the host: up to BATCH datagrams a turn go to the peer. If it is full, the last one is kept
 * and reading stops until writable(); what comes meanwhile waits in the kernel's buffer, and what
 * doesn't fit there is lost, as on a wire.
 *
 * To the host: each frame is sent at once. If there is no room, receive() refuses and the frame
 * waits in the queue in front of us. What can't be sent at all (nobody there, too long) is dropped
 * and counted.
 *
 * Multicast comes back to its sender, because other members may be on the same host and share its
 * address and port, so nothing in a datagram says that it is our own. A NIC would see its own
 * broadcasts as a neighbour's. So the hashes of the last ECHOES frames that went out are kept, and
 * each takes the first incoming frame with its hash out again. (QEMU doesn't do this.)
 */
#include "net/dgram_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "machine.h"
#include "net/coalesce.h"
#include "net/net.h"

enum { BATCH = 64, ECHOES = 256 };

struct dgram_link {
    struct net_client nc;
    struct host_dgram *d; /* NULL: failed */
    bool pumping;
    bool held; /* buf has a frame that waits for the peer */
    size_t len;
    struct net_coalescer large; /* segments of one batch */
    bool multicast;
    uint64_t echoes[ECHOES]; /* hashes of what went out, a ring; 0: none */
    unsigned echo_next;
    char info[200];
    uint8_t buf[NET_FRAME_MAX + 1];
};

static struct dgram_link *link_of(struct net_client *nc)
{
    return (struct dgram_link *)nc;
}

/* ---- echoes ---- */

/* FNV-1a, eight bytes at a time; never 0. */
static uint64_t hash(const uint8_t *p, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u ^ len, word;
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 32;
    }
    for (; len; len--)
        h = (h ^ *p++) * 0x100000001b3u;
    return h | 1;
}

static bool is_echo(struct dgram_link *s, const uint8_t *p, size_t len)
{
    if (!s->multicast)
        return false;
    uint64_t h = hash(p, len);
    for (unsigned i = 0; i < ECHOES; i++) { /* the oldest first: that is the one that comes back */
        uint64_t *e = &s->echoes[(s->echo_next + i) % ECHOES];
        if (*e == h) {
            *e = 0;
            return true;
        }
    }
    return false;
}

static void remember_echo(struct dgram_link *s, const uint8_t *p, size_t len)
{
    if (!s->multicast)
        return;
    s->echoes[s->echo_next] = hash(p, len);
    s->echo_next = (s->echo_next + 1) % ECHOES;
}

/* ---- frames ---- */

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct dgram_link *s = link_of(nc);
    int result = s->d ? host_dgram_send(s->d, f->data, f->len, NULL) : -ENOTCONN;
    if (result == -EAGAIN)
        return false;
    if (result < 0)
        nc->stats.dropped++;
    else
        remember_echo(s, f->data, f->len);
    return true;
}

static void on_writable(void *opaque)
{
    struct dgram_link *s = opaque;
    net_accept(&s->nc);
}

static void pump(struct dgram_link *s)
{
    if (s->pumping)
        return;
    s->pumping = true;
    if (s->held)
        s->held = !net_coalesce(&s->large, &s->nc, s->buf, s->len);
    for (int i = 0; i < BATCH && s->d && !s->held; i++) {
        long n = host_dgram_recv(s->d, s->buf, sizeof s->buf, NULL);
        if (n < 0)
            break;
        s->len = (size_t)n;
        if (!n || n > NET_FRAME_MAX || is_echo(s, s->buf, s->len))
            continue;
        s->held = !net_coalesce(&s->large, &s->nc, s->buf, s->len);
    }
    bool full = s->held || !net_coalesce_flush(&s->large, &s->nc);
    s->pumping = false;
    if (s->d)
        host_dgram_want_read(s->d, !full);
}

static void on_readable(void *opaque)
{
    pump(opaque);
}

static void writable(struct net_client *nc)
{
    struct dgram_link *s = link_of(nc);
    if (s->held || s->large.len)
        pump(s);
}

static void on_failed(void *opaque, const char *error)
{
    struct dgram_link *s = opaque;
    fprintf(stderr, "slipway: netdev '%s': %s: %s\n", s->nc.name, s->info, error);
    host_dgram_close(s->d);
    s->d = NULL;
    snprintf(s->info, sizeof s->info, "%s", error);
}

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    snprintf(buf, len, "%s", link_of(nc)->info);
}

static void cleanup(struct net_client *nc)
{
    host_dgram_close(link_of(nc)->d);
    net_coalesce_free(&link_of(nc)->large);
}

static const struct host_dgram_ops dgram_ops = { .readable = on_readable,
                                                 .writable = on_writable,
                                                 .failed = on_failed };

static const struct net_client_ops client_ops[2] = {
    { .type = "socket",
      .receive = receive,
      .writable = writable,
      .describe = describe,
      .cleanup = cleanup },
    { .type = "dgram",
      .receive = receive,
      .writable = writable,
      .describe = describe,
      .cleanup = cleanup },
};

struct net_client *dgram_link_new(struct machine *m, const char *type, const char *name,
                                  const struct host_dgram_options *o, bool multicast,
                                  const char *info, struct error *err)
{
    struct net_client *nc = net_client_new(m, &client_ops[!strcmp(type, "dgram")],
                                           sizeof(struct dgram_link), type, name);
    struct dgram_link *s = link_of(nc);
    s->multicast = multicast;
    snprintf(s->info, sizeof s->info, "%s", info);
    s->d = host_dgram_open(o, &dgram_ops, s, err);
    if (!s->d) {
        net_client_free(nc);
        return NULL;
    }
    return nc;
}

bool dgram_is_multicast(const char *host)
{
    unsigned a, b, c, d;
    char rest;
    return sscanf(host, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4 && a >= 224 && a <= 239 &&
           b < 256 && c < 256 && d < 256;
}
