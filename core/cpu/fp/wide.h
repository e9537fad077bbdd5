/*
 * 128-bit integers for fp/: WebAssembly has no wide multiplication or 128-bit shifts, and calls
 * library functions for those of unsigned __int128; these are inlined there.
 */
#ifndef SLIPWAY_FP_WIDE_H
#define SLIPWAY_FP_WIDE_H

#include <stdint.h>

typedef unsigned __int128 u128;

static inline uint64_t hi64(u128 v)
{
    return (uint64_t)(v >> 64);
}
static inline u128 make128(uint64_t hi, uint64_t lo)
{
    return (u128)hi << 64 | lo;
}

static inline u128 mul64(uint64_t a, uint64_t b)
{
#ifdef __wasm__
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t low = a0 * b0, mid = a1 * b0 + (low >> 32), mid2 = a0 * b1 + (uint32_t)mid;
    return make128(a1 * b1 + (mid >> 32) + (mid2 >> 32), mid2 << 32 | (uint32_t)low);
#else
    return (u128)a * b;
#endif
}

/* 0 <= n < 128 */
static inline u128 shl128(u128 v, unsigned n)
{
    uint64_t hi = hi64(v), lo = (uint64_t)v;
    if (n & 64) {
        hi = lo;
        lo = 0;
    }
    n &= 63;
    return make128(hi << n | lo >> 1 >> (63 - n), lo << n);
}
static inline u128 shr128(u128 v, unsigned n)
{
    uint64_t hi = hi64(v), lo = (uint64_t)v;
    if (n & 64) {
        lo = hi;
        hi = 0;
    }
    n &= 63;
    return make128(hi >> n, lo >> n | hi << 1 << (63 - n));
}
/* v != 0 */
static inline unsigned clz128(u128 v)
{
    return hi64(v) ? (unsigned)__builtin_clzll(hi64(v))
                   : 64 + (unsigned)__builtin_clzll((uint64_t)v);
}

#endif
