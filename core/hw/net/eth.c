/*
 * Ethernet's frame check sequence and kinds of addresses: IEEE 802.3, 3.2.
 *
 * NICs that leave the FCS in the guest's receive buffer need it for each frame, so it is computed
 * from tables, sixteen bytes a step ("slicing by 16"): table[k][b] is the CRC of byte b followed by
 * k zero bytes. The tables are made at first use; every thread would make the same ones.
 */
#include "hw/net/eth.h"

#include <string.h>

#define CRC_POLY 0xedb88320u /* reflected */

enum { STEP = 16 };

static uint32_t table[STEP][256];

static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC_POLY : 0);
        table[0][b] = crc;
    }
    for (int k = 1; k < STEP; k++)
        for (uint32_t b = 0; b < 256; b++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Of four bytes with @k bytes behind them. */
static uint32_t of_word(uint32_t w, int k)
{
    return table[k + 3][w & 0xff] ^ table[k + 2][w >> 8 & 0xff] ^ table[k + 1][w >> 16 & 0xff] ^
           table[k][w >> 24];
}

void eth_fcs(const uint8_t *data, size_t len, uint8_t fcs[ETH_FCS_LEN])
{
    if (!table[STEP - 1][255])
        make_tables();
    uint32_t crc = 0xffffffff;
    for (; len >= STEP; data += STEP, len -= STEP)
        crc = of_word(crc ^ le32(data), 12) ^ of_word(le32(data + 4), 8) ^
              of_word(le32(data + 8), 4) ^ of_word(le32(data + 12), 0);
    for (; len; data++, len--)
        crc = crc >> 8 ^ table[0][(crc ^ *data) & 0xff];
    crc = ~crc;
    for (int i = 0; i < ETH_FCS_LEN; i++)
        fcs[i] = (uint8_t)(crc >> (8 * i));
}

enum eth_dest eth_dest(const uint8_t *frame)
{
    static const uint8_t broadcast[ETH_ADDR_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    if (!(frame[0] & 1))
        return ETH_UNICAST;
    return memcmp(frame, broadcast, ETH_ADDR_LEN) ? ETH_MULTICAST : ETH_BROADCAST;
}
