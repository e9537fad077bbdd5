/*
 * Coalescing of TCP segments (coalesce.h).
 *
 * Only what can be taken apart again is put together: cutting the large segment into pieces of
 * gso_size gives back the frames that came (offload.c does that, and unit/coalesce compares). So
 * the segments are of one connection and follow one another without a gap; all have the same
 * headers but for lengths, checksums, sequence numbers and IPv4 identifications, which count up;
 * all but the last are equally long; no flags but ACK, and PSH in the last; no IPv4 options or
 * IPv6 extension headers, no fragments, no padding. Their checksums were right; the large one has
 * that of its pseudo-header, and needs_csum says so (virtio 1.2, 5.1.6.4).
 *
 * One segment is kept at a time. A frame that doesn't continue it is sent behind it, so the order
 * of frames stays what it was; and it never stays longer than the batch of frames that it came in.
 * Filters would see what never was on the wire: with one at either end every frame goes alone.
 */
#include "net/coalesce.h"

#include <stdlib.h>
#include <string.h>

#include "hw/net/inet_csum.h"
#include "net/net.h"

enum {
    ETHERNET = 14,
    IP = ETHERNET, /* offsets in the frame */
    IPV4_LENGTH = IP + 2,
    IPV4_ID = IP + 4,
    IPV4_FRAGMENT = IP + 6,
    IPV4_CHECKSUM = IP + 10,
    IPV4_ADDRESSES = IP + 12,
    IPV4_TCP = IP + 20,
    IPV6_LENGTH = IP + 4,
    IPV6_NEXT = IP + 6,
    IPV6_ADDRESSES = IP + 8,
    IPV6_TCP = IP + 40,
    TCP_SEQUENCE = 4, /* offsets in TCP's header */
    TCP_ACKNOWLEDGED = 8,
    TCP_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_WINDOW = 14,
    TCP_CHECKSUM = 16,
    TCP_URGENT = 18,
    TCP_MIN = 20,
    FLAG_PSH = 0x08,
    FLAG_ACK = 0x10,
    PROTO_TCP = 6,
    IP_MAX = 65535,
    WORTH_IT = 256, /* bytes of payload: smaller segments come one by one */
};

struct segment {
    bool v6;
    size_t tcp, payload; /* offsets */
    size_t bytes;        /* of payload */
};

static unsigned be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Is it a segment with data that can be part of a larger one? */
static bool parse(struct segment *s, const uint8_t *p, size_t len)
{
    if (len < IPV4_TCP + TCP_MIN)
        return false;
    s->v6 = be16(p + 12) == 0x86dd;
    s->tcp = s->v6 ? IPV6_TCP : IPV4_TCP;
    if (s->v6) {
        if (p[IP] >> 4 != 6 || p[IPV6_NEXT] != PROTO_TCP || len < IPV6_TCP + TCP_MIN ||
            be16(p + IPV6_LENGTH) != len - IPV6_TCP)
            return false;
    } else if (be16(p + 12) != 0x0800 || p[IP] != 0x45 || p[IP + 9] != PROTO_TCP ||
               be16(p + IPV4_LENGTH) != len - ETHERNET || be16(p + IPV4_FRAGMENT) & 0xbfff) {
        return false;
    }
    const uint8_t *tcp = p + s->tcp;
    size_t header = (tcp[TCP_OFFSET] >> 4) * 4u;
    s->payload = s->tcp + header;
    if (header < TCP_MIN || s->payload >= len || tcp[TCP_OFFSET] & 15 ||
        (tcp[TCP_FLAGS] & ~FLAG_PSH) != FLAG_ACK)
        return false;
    s->bytes = len - s->payload;
    unsigned found = inet_check_frame(p, len);
    return (found & (INET_L4_CHECKED | INET_L4_BAD | INET_IP_BAD)) == INET_L4_CHECKED;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
    return !memcmp(a + from, b + from, to - from);
}

/* Does the segment @s at @p follow those that are kept? */
static bool continues(const struct net_coalescer *c, const struct segment *s, const uint8_t *p)
{
    const uint8_t *first = c->frame;
    if (c->complete || s->bytes > c->size || c->len - ETHERNET + s->bytes > IP_MAX ||
        c->len < s->payload || !same(first, p, 0, IP + 2))
        return false;
    if (s->v6 ? !same(first, p, IP + 2, IPV6_LENGTH) || !same(first, p, IPV6_NEXT, IPV6_TCP)
              : !same(first, p, IPV4_FRAGMENT, IPV4_CHECKSUM) ||
                    !same(first, p, IPV4_ADDRESSES, IPV4_TCP) ||
                    be16(p + IPV4_ID) != ((be16(first + IPV4_ID) + c->count) & 0xffff))
        return false;
    size_t t = s->tcp;
    uint32_t next = be32(first + t + TCP_SEQUENCE) + (uint32_t)(c->len - s->payload);
    return same(first, p, t, t + TCP_SEQUENCE) && be32(p + t + TCP_SEQUENCE) == next &&
           same(first, p, t + TCP_ACKNOWLEDGED, t + TCP_FLAGS) &&
           same(first, p, t + TCP_WINDOW, t + TCP_CHECKSUM) &&
           same(first, p, t + TCP_URGENT, s->payload);
}

static bool takes_large(const struct net_client *nc, bool v6)
{
    const uint32_t needs = NET_OFFLOAD_CSUM | (v6 ? NET_OFFLOAD_TSO6 : NET_OFFLOAD_TSO4);
    const struct net_client *peer = nc->peer;
    return peer && peer->ops->nic && (peer->offloads & needs) == needs && !nc->filters &&
           !peer->filters;
}

/* Writes the lengths and checksums of the whole. */
static void finish(uint8_t *p, size_t len, bool v6)
{
    size_t tcp = v6 ? IPV6_TCP : IPV4_TCP, segment = len - tcp;
    uint64_t pseudo = PROTO_TCP + segment;
    if (v6) {
        put16(p + IPV6_LENGTH, segment);
        pseudo += inet_sum(p + IPV6_ADDRESSES, 32);
    } else {
        put16(p + IPV4_LENGTH, len - IP);
        put16(p + IPV4_CHECKSUM, 0);
        put16(p + IPV4_CHECKSUM, (uint16_t)~inet_fold(inet_sum(p + IP, IPV4_TCP - IP)));
        pseudo += inet_sum(p + IPV4_ADDRESSES, 8);
    }
    put16(p + tcp + TCP_CHECKSUM, inet_fold(pseudo));
}

bool net_coalesce_flush(struct net_coalescer *c, struct net_client *nc)
{
    if (!c->len)
        return true;
    struct net_frame f = { .data = c->frame, .len = c->len, .off.csum_valid = true };
    if (c->count > 1) {
        bool v6 = be16(c->frame + 12) == 0x86dd;
        uint16_t tcp = v6 ? IPV6_TCP : IPV4_TCP;
        finish(c->frame, c->len, v6);
        f.off = (struct net_offload){ .needs_csum = true,
                                      .gso = v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
                                      .gso_size = (uint16_t)c->size,
                                      .hdr_len =
                                          (uint16_t)(tcp + (c->frame[tcp + TCP_OFFSET] >> 4) * 4),
                                      .csum_start = tcp,
                                      .csum_offset = TCP_CHECKSUM };
    }
    if (!net_send(nc, &f)) {
        c->complete = true; /* its checksums are written */
        return false;
    }
    net_coalesce_reset(c);
    return true;
}

/* Keeps the first segment of a larger one. */
static bool keep(struct net_coalescer *c, const struct segment *s, const uint8_t *data, size_t len)
{
    if (s->bytes < WORTH_IT || data[s->tcp + TCP_FLAGS] & FLAG_PSH)
        return false;
    if (!c->frame)
        c->frame = malloc(ETHERNET + IP_MAX);
    if (!c->frame)
        return false;
    memcpy(c->frame, data, len);
    c->len = len;
    c->size = s->bytes;
    c->count = 1;
    return true;
}

bool net_coalesce(struct net_coalescer *c, struct net_client *nc, const uint8_t *data, size_t len)
{
    struct segment s;
    bool may = len > ETHERNET && takes_large(nc, data[12] == 0x86) && parse(&s, data, len);
    if (may && c->len && continues(c, &s, data)) {
        uint8_t flags = data[s.tcp + TCP_FLAGS];
        memcpy(c->frame + c->len, data + s.payload, s.bytes);
        c->len += s.bytes;
        c->count++;
        c->frame[s.tcp + TCP_FLAGS] = flags;
        c->complete = flags & FLAG_PSH || s.bytes < c->size;
        return true;
    }
    if (!net_coalesce_flush(c, nc))
        return false;
    return (may && keep(c, &s, data, len)) || net_send_buf(nc, data, len);
}

void net_coalesce_reset(struct net_coalescer *c)
{
    c->len = c->count = 0;
    c->complete = false;
}

void net_coalesce_free(struct net_coalescer *c)
{
    free(c->frame);
    *c = (struct net_coalescer){ 0 };
}
