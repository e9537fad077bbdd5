/*
 * Statistics of the e1000 (SDM 13.7): 32-bit counters that are cleared by reading them and stay at
 * their top, and 64-bit octet counters of which the read of the upper half clears both.
 */
#include "hw/net/e1000_int.h"

enum {
    MPC = 0x4010,
    PRC64 = 0x405c,
    GPRC = 0x4074,
    BPRC = 0x4078,
    MPRC = 0x407c,
    GPTC = 0x4080,
    GORCL = 0x4088,
    GOTCL = 0x4090,
    RNBC = 0x40a0,
    RUC = 0x40a4,
    ROC = 0x40ac,
    TORL = 0x40c0,
    TOTL = 0x40c8,
    TPR = 0x40d0,
    TPT = 0x40d4,
    PTC64 = 0x40d8,
    MPTC = 0x40f0,
    BPTC = 0x40f4,
    TSCTC = 0x40f8,
};

static bool is_octets(uint32_t r)
{
    r &= ~4u;
    return r == GORCL || r == GOTCL || r == TORL || r == TOTL;
}

uint32_t e1000_stats_read(struct e1000 *s, uint32_t r)
{
    uint32_t v = e1000_get(s, r);
    if (is_octets(r)) {
        if (r & 4)
            *e1000_reg(s, r) = *e1000_reg(s, r - 4) = 0;
    } else {
        *e1000_reg(s, r) = 0;
    }
    return v;
}

static void add(struct e1000 *s, uint32_t r)
{
    uint32_t *p = e1000_reg(s, r);
    if (*p != UINT32_MAX)
        ++*p;
}

static void add_octets(struct e1000 *s, uint32_t r, size_t n)
{
    uint32_t *low = e1000_reg(s, r), *high = e1000_reg(s, r + 4);
    uint64_t v = (uint64_t)*high << 32 | *low;
    v = v > UINT64_MAX - n ? UINT64_MAX : v + n;
    *low = (uint32_t)v;
    *high = (uint32_t)(v >> 32);
}

/* Which of the six counters by length, as an offset; @len with FCS. */
static uint32_t by_length(size_t len)
{
    static const uint16_t top[] = { 64, 127, 255, 511, 1023 };
    uint32_t i = 0;
    while (i < sizeof top / sizeof top[0] && len > top[i])
        i++;
    return i * 4;
}

static bool is_broadcast(const uint8_t *a)
{
    return (a[0] & a[1] & a[2] & a[3] & a[4] & a[5]) == 0xff;
}

void e1000_count_rx(struct e1000 *s, const uint8_t *frame, size_t len)
{
    len += E1000_FCS;
    add(s, GPRC);
    add(s, TPR);
    add_octets(s, GORCL, len);
    add_octets(s, TORL, len);
    add(s, PRC64 + by_length(len));
    if (is_broadcast(frame))
        add(s, BPRC);
    else if (frame[0] & 1)
        add(s, MPRC);
}

void e1000_count_tx(struct e1000 *s, const uint8_t *frame, size_t len)
{
    bool whole = len >= 6;
    len += E1000_FCS;
    add(s, GPTC);
    add(s, TPT);
    add_octets(s, GOTCL, len);
    add_octets(s, TOTL, len);
    add(s, PTC64 + by_length(len));
    if (whole && is_broadcast(frame))
        add(s, BPTC);
    else if (whole && frame[0] & 1)
        add(s, MPTC);
}

void e1000_count(struct e1000 *s, enum e1000_counter c)
{
    static const uint32_t at[] = { [COUNT_MPC] = MPC,
                                   [COUNT_RNBC] = RNBC,
                                   [COUNT_RUC] = RUC,
                                   [COUNT_ROC] = ROC,
                                   [COUNT_TSCTC] = TSCTC };
    add(s, at[c]);
}
