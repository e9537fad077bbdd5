/*
 * What several NIC models need to know about Ethernet frames (IEEE 802.3).
 */
#ifndef SLIPWAY_HW_NET_ETH_H
#define SLIPWAY_HW_NET_ETH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ETH_ADDR_LEN = 6,
    ETH_HEADER_LEN = 14,
    ETH_MIN_LEN = 60, /* without FCS; a wire carries no shorter ones */
    ETH_MAX_LEN = 1514,
    ETH_FCS_LEN = 4,
};

enum eth_dest { ETH_UNICAST, ETH_MULTICAST, ETH_BROADCAST };

/* Whom the frame (6 bytes at least) is for. */
enum eth_dest eth_dest(const uint8_t *frame);
/* The frame check sequence that follows @len bytes on the wire, in the order of its bytes there. */
void eth_fcs(const uint8_t *data, size_t len, uint8_t fcs[ETH_FCS_LEN]);

#endif
