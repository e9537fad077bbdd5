/*
 * The work that a frame still needs, done in software: filling in a checksum (RFC 1071) and cutting
 * a large TCP segment into ones of gso_size (what Linux calls GSO). For receivers that can't do it
 * themselves; see struct net_offload, whose fields are those of virtio's struct virtio_net_hdr
 * (OASIS Virtual I/O Device 1.2, 5.1.6.2).
 *
 * Cutting. The headers up to the end of TCP's are copied into each piece and the payload is dealt
 * out. Then, as a TCP stack would have sent them: IPv4 total length, identification (one up a
 * piece) and header checksum, or IPv6 payload length; TCP sequence number, FIN and PSH only in the
 * last piece, CWR only in the first; TCP checksum over pseudo-header and segment. The pseudo-header
 * comes from the IP header, not from what the sender left in the checksum field: drivers disagree
 * about the length in it. Piece n is computed from the frame and n alone, so a queue can stop
 * anywhere.
 *
 * The sender is a guest: nothing in the frame is believed before it was compared with its length,
 * and what doesn't fit together makes the frame be dropped. UDP fragmentation offload isn't done in
 * software: nobody announces it to a guest.
 */
#include <string.h>

#include "log.h"
#include "net/net_impl.h"

enum {
    ETH_HEADER = 14,
    ETH_IPV4 = 0x0800,
    ETH_IPV6 = 0x86dd,
    ETH_VLAN = 0x8100,
    ETH_QINQ = 0x88a8,
    IPV4_MIN = 20,
    IPV6_HEADER = 40,
    TCP_MIN = 20,
    PROTO_TCP = 6,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80,
    MIN_GSO_SIZE = 8, /* less is no TCP but a way to make 65,536 frames of one */
};

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* ---- checksums ---- */

/* Adds @len bytes to a sum of 16-bit words in the machine's byte order. */
static uint64_t sum_bytes(uint64_t sum, const uint8_t *p, size_t len)
{
    for (; len >= 16; p += 16, len -= 16) {
        uint32_t w[4];
        memcpy(w, p, 16);
        sum += (uint64_t)w[0] + w[1] + w[2] + w[3];
    }
    for (; len >= 2; p += 2, len -= 2) {
        uint16_t w;
        memcpy(&w, p, 2);
        sum += w;
    }
    if (len) {
        uint16_t w = 0;
        memcpy(&w, p, 1);
        sum += w;
    }
    return sum;
}

/* The complement of a sum, ready to be stored with memcpy. */
static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Linux's way: a sum of 0 is written as 0xffff, which is the same number, since 0 means "none" to
 * UDP. */
static void store_checksum(uint8_t *at, uint64_t sum)
{
    uint16_t c = fold(sum);
    if (!c)
        c = 0xffff;
    memcpy(at, &c, 2);
}

uint16_t net_checksum(const void *data, size_t len)
{
    uint16_t c = fold(sum_bytes(0, data, len));
    uint8_t b[2];
    memcpy(b, &c, 2);
    return (uint16_t)get16(b);
}

static size_t finish_checksum(const struct net_frame *f, uint8_t *buf)
{
    size_t start = f->off.csum_start, at = start + f->off.csum_offset;
    if (start >= f->len || at + 2 > f->len) {
        log_mask(LOG_GUEST_ERRORS, "net: checksum at %zu of a frame of %zu bytes", at, f->len);
        return 0;
    }
    memcpy(buf, f->data, f->len);
    store_checksum(buf + at, sum_bytes(0, buf + start, f->len - start));
    return f->len;
}

/* ---- segments ---- */

struct layout {
    size_t ip, tcp, payload; /* offsets */
    bool v6;
};

static bool find_layout(const struct net_frame *f, struct layout *l)
{
    const uint8_t *p = f->data;
    size_t type = 12;
    while (type + 6 <= f->len && (get16(p + type) == ETH_VLAN || get16(p + type) == ETH_QINQ))
        type += 4;
    l->ip = type + 2;
    l->tcp = f->off.csum_start;
    l->v6 = f->off.gso == NET_GSO_TCPV6;
    if (l->tcp + TCP_MIN > f->len || l->ip + IPV4_MIN > l->tcp ||
        get16(p + type) != (l->v6 ? ETH_IPV6 : ETH_IPV4) || p[l->ip] >> 4 != (l->v6 ? 6 : 4))
        return false;
    if (l->v6 ? l->ip + IPV6_HEADER > l->tcp
              : l->ip + (p[l->ip] & 15u) * 4 != l->tcp || p[l->ip + 9] != PROTO_TCP)
        return false;
    size_t tcp_len = (size_t)(p[l->tcp + 12] >> 4) * 4;
    l->payload = l->tcp + tcp_len;
    return tcp_len >= TCP_MIN && l->payload <= f->len && f->off.gso_size >= MIN_GSO_SIZE;
}

/* The sum of the pseudo-header of a TCP segment of @len bytes. */
static uint64_t pseudo_sum(const uint8_t *ip, bool v6, size_t len)
{
    uint8_t tail[4] = { 0, PROTO_TCP };
    put16(tail + 2, (unsigned)len);
    return sum_bytes(sum_bytes(0, tail, 4), ip + (v6 ? 8 : 12), v6 ? 32 : 8);
}

static size_t cut(const struct net_frame *f, unsigned n, uint8_t *buf)
{
    struct layout l;
    if (!find_layout(f, &l)) {
        log_mask(LOG_GUEST_ERRORS, "net: %zu bytes that aren't the TCP segment they are said to be",
                 f->len);
        return 0;
    }
    size_t total = f->len - l.payload, from = (size_t)n * f->off.gso_size;
    if (n && from >= total)
        return 0;
    size_t part = total - from < f->off.gso_size ? total - from : f->off.gso_size;
    bool last = from + part == total;
    memcpy(buf, f->data, l.payload);
    memcpy(buf + l.payload, f->data + l.payload + from, part);

    uint8_t *ip = buf + l.ip, *tcp = buf + l.tcp;
    size_t end = l.payload + part, segment = end - l.tcp;
    if (l.v6) {
        put16(ip + 4, (unsigned)(end - l.ip - IPV6_HEADER));
    } else {
        put16(ip + 2, (unsigned)(end - l.ip));
        put16(ip + 4, get16(ip + 4) + n);
        put16(ip + 10, 0);
        uint16_t c = fold(sum_bytes(0, ip, l.tcp - l.ip));
        memcpy(ip + 10, &c, 2);
    }
    uint32_t seq = (uint32_t)get16(tcp + 4) << 16 | get16(tcp + 6);
    seq += (uint32_t)from;
    put16(tcp + 4, seq >> 16);
    put16(tcp + 6, seq & 0xffff);
    if (!last)
        tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (n)
        tcp[13] &= (uint8_t)~TCP_CWR;
    put16(tcp + 16, 0);
    uint16_t c = fold(sum_bytes(pseudo_sum(ip, l.v6, segment), tcp, segment));
    memcpy(tcp + 16, &c, 2);
    return end;
}

bool net_offload_needed(const struct net_client *nc, const struct net_frame *f)
{
    static const uint32_t gso_bit[] = {
        [NET_GSO_TCPV4] = NET_OFFLOAD_TSO4,
        [NET_GSO_UDP] = NET_OFFLOAD_UFO,
        [NET_GSO_TCPV6] = NET_OFFLOAD_TSO6,
    };
    uint32_t needs = f->off.needs_csum ? NET_OFFLOAD_CSUM : 0;
    if (f->off.gso > NET_GSO_TCPV6)
        return true;
    if (f->off.gso)
        needs |= gso_bit[f->off.gso];
    if (f->off.gso && f->off.gso_ecn)
        needs |= NET_OFFLOAD_ECN;
    return needs & ~nc->offloads;
}

size_t net_offload_finish(const struct net_frame *f, unsigned n, uint8_t *buf)
{
    switch (f->off.gso) {
    case NET_GSO_NONE: return n ? 0 : finish_checksum(f, buf);
    case NET_GSO_TCPV4:
    case NET_GSO_TCPV6: return cut(f, n, buf);
    default:
        log_mask(LOG_GUEST_ERRORS, "net: segmentation of kind %u isn't offered", f->off.gso);
        return 0;
    }
}
