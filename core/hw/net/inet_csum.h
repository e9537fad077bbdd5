/*
 * Internet checksums (RFC 1071) as NICs need them: sums over a frame's bytes, and the check of a
 * received frame that a NIC with receive checksum offload does for its driver.
 */
#ifndef SLIPWAY_HW_INET_CSUM_H
#define SLIPWAY_HW_INET_CSUM_H

#include <stddef.h>
#include <stdint.h>

/* One's complement sum of 16-bit big-endian words, not folded beyond 32 bits and not complemented;
 * an odd last byte counts as the high half of a word. Sums of pieces that start at even offsets can
 * be added. */
uint32_t inet_sum(const uint8_t *p, size_t len);
/* To 16 bits. */
static inline uint16_t inet_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

enum {
    INET_IP_CHECKED = 1, /* an IPv4 header that is whole */
    INET_IP_BAD = 2,
    INET_L4_CHECKED = 4, /* TCP or UDP with a checksum, not a fragment */
    INET_L4_BAD = 8,
    INET_L4_UDP = 16,
};
/* What there is to check in the Ethernet frame (one VLAN tag at most) and how it came out. */
unsigned inet_check_frame(const uint8_t *frame, size_t len);

#endif
