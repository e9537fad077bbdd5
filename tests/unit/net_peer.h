/*
 * The other end of a NIC or netdev under test: a client that keeps what it is sent and refuses when
 * the test says so.
 *
 *     struct net_peer *p = net_peer_new(m, "n0");   // a netdev; the NIC is made with netdev=n0
 *     net_peer_send(p, frame, len);
 *     CHECK_EQ(p->count, 1);  p->frames[0].data, .len, .off
 */
#ifndef SLIPWAY_NET_PEER_H
#define SLIPWAY_NET_PEER_H

#include <stdlib.h>
#include <string.h>

#include "net/net.h"

#define NET_PEER_KEEP 4096

struct net_peer_frame {
    uint8_t *data;
    size_t len;
    struct net_offload off;
};

struct net_peer {
    struct net_client nc;
    struct net_peer_frame frames[NET_PEER_KEEP]; /* the first ones since net_peer_clear */
    size_t count;                                /* taken since then, kept or not */
    uint64_t bytes;
    size_t room;     /* frames that it still takes; SIZE_MAX: any number */
    size_t writable; /* calls of writable() */
    size_t link_changes;
    bool entered, nested; /* inside receive(); ever entered twice */
    void (*on_receive)(struct net_peer *p, const struct net_frame *f);
    void (*on_writable)(struct net_peer *p);
    void *opaque;
};

static inline bool net_peer_receive(struct net_client *nc, const struct net_frame *f)
{
    struct net_peer *p = (struct net_peer *)nc;
    if (p->entered)
        p->nested = true;
    if (!p->room)
        return false;
    if (p->room != SIZE_MAX)
        p->room--;
    if (p->count < NET_PEER_KEEP) {
        struct net_peer_frame *k = &p->frames[p->count];
        k->data = (uint8_t *)malloc(f->len);
        memcpy(k->data, f->data, f->len);
        k->len = f->len;
        k->off = f->off;
    }
    p->count++;
    p->bytes += f->len;
    p->entered = true;
    if (p->on_receive)
        p->on_receive(p, f);
    p->entered = false;
    return true;
}

static inline void net_peer_writable(struct net_client *nc)
{
    struct net_peer *p = (struct net_peer *)nc;
    p->writable++;
    if (p->on_writable)
        p->on_writable(p);
}

static inline void net_peer_link_changed(struct net_client *nc)
{
    ((struct net_peer *)nc)->link_changes++;
}

/* Forgets the frames so far. */
static inline void net_peer_clear(struct net_peer *p)
{
    for (size_t i = 0; i < p->count && i < NET_PEER_KEEP; i++)
        free(p->frames[i].data);
    p->count = 0;
    p->bytes = 0;
}

static inline void net_peer_cleanup(struct net_client *nc)
{
    net_peer_clear((struct net_peer *)nc);
}

static inline struct net_peer *net_peer_new(struct machine *m, const char *name)
{
    static const struct net_client_ops ops = {
        .type = "test",
        .receive = net_peer_receive,
        .writable = net_peer_writable,
        .link_changed = net_peer_link_changed,
        .cleanup = net_peer_cleanup,
    };
    struct net_peer *p =
        (struct net_peer *)net_client_new(m, &ops, sizeof(struct net_peer), "test", name);
    p->room = SIZE_MAX;
    return p;
}

/* The same as a NIC would be. */
static inline struct net_peer *net_peer_new_nic(struct machine *m, const char *name)
{
    static const struct net_client_ops ops = {
        .type = "nic",
        .nic = true,
        .receive = net_peer_receive,
        .writable = net_peer_writable,
        .link_changed = net_peer_link_changed,
        .cleanup = net_peer_cleanup,
    };
    struct net_peer *p =
        (struct net_peer *)net_client_new(m, &ops, sizeof(struct net_peer), "test", name);
    p->room = SIZE_MAX;
    return p;
}

static inline bool net_peer_send(struct net_peer *p, const void *data, size_t len)
{
    return net_send_buf(&p->nc, data, len);
}

/* Sends a frame of @len bytes (18 or more) whose payload says @number. */
static inline bool net_peer_send_number(struct net_peer *p, uint32_t number, size_t len)
{
    uint8_t *f = (uint8_t *)calloc(1, len);
    memset(f, 0xff, 6);
    memcpy(f + 6, "\x52\x54\x00\xaa\xbb\xcc\x88\xb5", 8);
    memcpy(f + 14, &number, 4);
    bool ok = net_peer_send(p, f, len);
    free(f);
    return ok;
}

static inline uint32_t net_peer_number(const struct net_peer *p, size_t i)
{
    uint32_t n = UINT32_MAX;
    if (i < p->count && i < NET_PEER_KEEP && p->frames[i].len >= 18)
        memcpy(&n, p->frames[i].data + 14, 4);
    return n;
}

#endif
