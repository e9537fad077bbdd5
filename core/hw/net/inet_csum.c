/*
 * Internet checksums: RFC 1071 (sum), RFC 791 and 8200 (headers), RFC 768 and 9293 (what TCP and
 * UDP sum up). Everything stays inside the frame whatever lengths its headers claim; what is not
 * certain (fragments, extension headers, truncated packets) counts as not checked.
 */
#include "hw/net/inet_csum.h"

#include <string.h>

enum {
    ETH_HEADER = 14,
    TYPE_VLAN = 0x8100,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    IPV4_MIN = 20,
    IPV6_HEADER = 40,
    IPV4_FRAGMENT = 0x3fff, /* more fragments, offset */
};

static unsigned be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

uint32_t inet_sum(const uint8_t *p, size_t len)
{
    /* Words in the byte order of the machine: one's complement sums commute with byte swapping. */
    uint64_t sum = 0;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        sum += word;
    }
    uint8_t rest[4] = { 0 };
    uint32_t last;
    memcpy(rest, p, len);
    memcpy(&last, rest, 4);
    uint16_t folded = inet_fold(sum + last), big;
    uint8_t bytes[2];
    memcpy(bytes, &folded, 2);
    big = (uint16_t)be16(bytes);
    return big;
}

/* TCP or UDP at @p with @len bytes; @pseudo: sum of the addresses. */
static unsigned check_l4(unsigned proto, uint32_t pseudo, const uint8_t *p, size_t len)
{
    if (proto == PROTO_UDP) {
        if (len < 8 || be16(p + 6) == 0 || be16(p + 4) != len)
            return 0;
    } else if (proto != PROTO_TCP || len < 20) {
        return 0;
    }
    unsigned result = INET_L4_CHECKED | (proto == PROTO_UDP ? INET_L4_UDP : 0);
    if (inet_fold((uint64_t)pseudo + proto + len + inet_sum(p, len)) != 0xffff)
        result |= INET_L4_BAD;
    return result;
}

static unsigned check_ipv4(const uint8_t *p, size_t len)
{
    if (len < IPV4_MIN || p[0] >> 4 != 4)
        return 0;
    size_t header = (p[0] & 15u) * 4, total = be16(p + 2);
    if (header < IPV4_MIN || header > len || total < header || total > len)
        return 0;
    unsigned result = INET_IP_CHECKED;
    if (inet_fold(inet_sum(p, header)) != 0xffff)
        return result | INET_IP_BAD;
    if (be16(p + 6) & IPV4_FRAGMENT)
        return result;
    return result | check_l4(p[9], inet_sum(p + 12, 8), p + header, total - header);
}

static unsigned check_ipv6(const uint8_t *p, size_t len)
{
    if (len < IPV6_HEADER || p[0] >> 4 != 6)
        return 0;
    size_t payload = be16(p + 4);
    if (payload > len - IPV6_HEADER)
        return 0;
    return check_l4(p[6], inet_sum(p + 8, 32), p + IPV6_HEADER, payload);
}

unsigned inet_check_frame(const uint8_t *frame, size_t len)
{
    size_t at = ETH_HEADER;
    if (len < at)
        return 0;
    unsigned type = be16(frame + 12);
    if (type == TYPE_VLAN && len >= at + 4) {
        type = be16(frame + at + 2);
        at += 4;
    }
    if (type == TYPE_IPV4)
        return check_ipv4(frame + at, len - at);
    if (type == TYPE_IPV6)
        return check_ipv6(frame + at, len - at);
    return 0;
}
