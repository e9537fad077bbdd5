/*
 * Acknowledgements on their way to the guest that may wait a moment for a later one, which makes
 * them superfluous (ack_hold.c).
 */
#ifndef SLIPWAY_USER_ACK_HOLD_H
#define SLIPWAY_USER_ACK_HOLD_H

#include <stddef.h>
#include <stdint.h>

#define ACK_HOLD_SLOTS 8
#define ACK_HOLD_FRAME 80 /* Ethernet, IPv6 and TCP headers, or IPv4 with options */

struct ack_hold {
    struct {
        uint8_t frame[ACK_HOLD_FRAME];
        size_t len;
        uint32_t first; /* acknowledgement number of the first of those that it stands for */
    } slot[ACK_HOLD_SLOTS];
    unsigned count;
};

enum ack_hold_answer {
    ACK_NOW,  /* the frame has to go, after all that are held */
    ACK_HELD, /* it is held, in the place of an earlier one perhaps */
    ACK_DUE,  /* it is held, and all that are held should go now */
};

/* Looks at a frame for the guest, which may be anything. */
enum ack_hold_answer ack_hold_offer(struct ack_hold *h, const uint8_t *frame, size_t len);

#endif
