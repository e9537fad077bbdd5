/*
 * RCPPS/SS and RSQRTPS/SS: approximations to 12 bits. The architecture only bounds their error
 * (relative 1.5 * 2^-12); results here are bit for bit those of AMD's Zen, which differ from
 * Intel's.
 *
 * Only the upper 12 bits of the significand count. The result's 12 bits are those of the true
 * value, truncated, plus a correction of -1 to 2 from a table. No exceptions, no rounding mode;
 * denormals count as zero and denormal results become zero.
 */
#include <math.h>

#include "cpu/fp/approx_tables.h"
#include "cpu/sse_fp.h"

#define F32_EXP(v) ((int)((v) >> 23 & 0xff))
#define F32_SIGN   0x80000000u
#define F32_INF    0x7f800000u
#define F32_QUIET  0x00400000u

static uint32_t step(const uint64_t *table, unsigned n)
{
    return (uint32_t)(table[n >> 5] >> ((n & 31) * 2) & 3) - 1;
}

/* @value: the result in [1/2, 1] in units of 2^-13. */
static uint32_t result(uint32_t sign, int exp, uint32_t value)
{
    int biased = 126 + exp + (int)(value >> 13);
    return biased <= 0 ? sign : sign | (uint32_t)biased << 23 | (value & 4095) << 11;
}

uint32_t sse_rcp(uint32_t a)
{
    uint32_t sign = a & F32_SIGN, n = a >> 11 & 4095;
    int exp = F32_EXP(a);
    if (exp == 0)
        return sign | F32_INF;
    if (exp == 0xff)
        return (a & ~(F32_SIGN | F32_INF)) ? a | F32_QUIET : sign;
    return result(sign, 127 - exp, 134217728u / (4 * (4096 + n) + 1) + step(rcp_steps, n));
}

uint32_t sse_rsqrt(uint32_t a)
{
    uint32_t sign = a & F32_SIGN, n = a >> 11 & 4095;
    int exp = F32_EXP(a);
    if (exp == 0xff && (a & ~(F32_SIGN | F32_INF)))
        return a | F32_QUIET;
    if (exp == 0)
        return sign | F32_INF;
    if (sign)
        return F32_DEFAULT_NAN;
    if (exp == 0xff)
        return 0;
    bool even = !(exp & 1); /* the argument, without its even power of two, lies in [2, 4) */
    uint64_t square = (1ull << (even ? 37 : 38)) / (4096 + n);
    uint32_t value =
        (uint32_t)sqrt((double)square) + step(even ? rsqrt_even_steps : rsqrt_steps, n);
    return result(0, (127 + even - exp) / 2, value);
}
