/*
 * Acknowledgements that wait for later ones.
 *
 * libslirp answers each segment of the guest's with an acknowledgement at once, while the guest is
 * still in the middle of sending. For a program that writes a kilobyte at a time each write is then
 * a frame, an acknowledgement and two interrupts: since nothing is ever under way, the guest's TCP
 * has no reason to collect what is written (RFC 1122, 4.2.3.4). So a segment without data, flags
 * other than ACK and news for anybody but the sender is held; the next one of its connection takes
 * its place, as RFC 9293 (3.8.6.3) lets a receiver do. The stack decides when those that are held
 * go out (stack.c): when the guest has nothing more to do, after a moment, or in front of any other
 * frame.
 *
 * Two that say the same are news, "a segment is missing" (RFC 5681): they go, both of them.
 */
#include "net/user/ack_hold.h"

#include <stdbool.h>
#include <string.h>

#define DUE_BYTES 32768 /* acknowledged by one frame: a quarter of libslirp's window */

enum { ETHERNET = 14, IPV6 = 40, TCP = 20, TCP_PROTOCOL = 6, TCP_ACK = 0x10 };

struct ack {
    size_t addresses, addresses_len; /* where in the frame */
    size_t tcp;
};

static unsigned be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* Is it TCP with the flag ACK and nothing else? */
static bool parse(struct ack *a, const uint8_t *frame, size_t len)
{
    size_t payload;
    if (len < ETHERNET + TCP + TCP || len > ACK_HOLD_FRAME)
        return false;
    const uint8_t *ip = frame + ETHERNET;
    if (be16(frame + 12) == 0x0800) {
        size_t header = (ip[0] & 15u) * 4;
        if (ip[9] != TCP_PROTOCOL || header < 20 || be16(ip + 6) & 0x3fff || be16(ip + 2) < header)
            return false;
        *a = (struct ack){ ETHERNET + 12, 8, ETHERNET + header };
        payload = be16(ip + 2) - header;
    } else if (be16(frame + 12) == 0x86dd && ip[6] == TCP_PROTOCOL) {
        *a = (struct ack){ ETHERNET + 8, 32, ETHERNET + IPV6 };
        payload = be16(ip + 4);
    } else {
        return false;
    }
    const uint8_t *tcp = frame + a->tcp;
    return payload >= TCP && a->tcp + payload <= len && tcp[13] == TCP_ACK &&
           (tcp[12] >> 4) * 4u == payload;
}

static bool same_connection(const struct ack *a, const uint8_t *one, const uint8_t *other)
{
    return be16(one + 12) == be16(other + 12) && one[ETHERNET] == other[ETHERNET] &&
           !memcmp(one + a->addresses, other + a->addresses, a->addresses_len) &&
           !memcmp(one + a->tcp, other + a->tcp, 4);
}

enum ack_hold_answer ack_hold_offer(struct ack_hold *h, const uint8_t *frame, size_t len)
{
    struct ack a;
    unsigned i = 0;
    if (!parse(&a, frame, len))
        return ACK_NOW;
    while (i < h->count && !same_connection(&a, h->slot[i].frame, frame))
        i++;
    if (i == ACK_HOLD_SLOTS)
        return ACK_NOW;
    const uint8_t *tcp = frame + a.tcp, *held = h->slot[i].frame + a.tcp;
    uint32_t number = be32(tcp + 8);
    if (i == h->count) {
        h->slot[i].first = number;
        h->count++;
    } else if (number - be32(held + 8) >= 1u << 31 || !memcmp(tcp + 4, held + 4, TCP - 4)) {
        return ACK_NOW;
    }
    memcpy(h->slot[i].frame, frame, len);
    h->slot[i].len = len;
    return number - h->slot[i].first >= DUE_BYTES ? ACK_DUE : ACK_HELD;
}
