/*
 * Operands for the floating-point tests: a fixed-seed generator, and values that are special
 * (zeros, denormals, boundaries of all formats, infinities, NaNs, unsupported encodings) far more
 * often than random bits are.
 */
#ifndef SLIPWAY_TEST_FP_CORPUS_H
#define SLIPWAY_TEST_FP_CORPUS_H

#include <stdint.h>
#include <string.h>

#include "cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* AMD's Zen, on which the behaviour that the architecture leaves open was fixed. Elsewhere
 * differences are reported, but a test doesn't fail for them. */
static inline bool host_is_reference(void)
{
    unsigned a = 0, b = 0, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx)
        return false;
    __get_cpuid(1, &a, &b, &c, &d);
    return (a >> 8 & 15) + (a >> 20 & 255) >= 0x17;
}
#endif

static uint64_t rnd_state = 1;

static inline void rnd_seed(uint64_t seed)
{
    rnd_state = seed * 2 + 1;
}

/* splitmix64 */
static inline uint64_t rnd(void)
{
    uint64_t z = rnd_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline unsigned rnd_below(unsigned n)
{
    return (unsigned)(rnd() % n);
}

/* @bits bits (at most 64) that are all zeros, all ones, a run, a few bits, or random. */
static inline uint64_t corpus_bits(unsigned bits)
{
    uint64_t v;
    switch (rnd_below(10)) {
    case 0: v = 0; break;
    case 1: v = ~0ull; break;
    case 2: v = 1ull << rnd_below(bits); break;
    case 3: v = ~0ull << rnd_below(bits); break;
    case 4:
        v = 1ull << rnd_below(bits);
        v -= rnd_below(3);
        break;
    case 5: v = (1ull << rnd_below(bits)) + (1ull << rnd_below(bits)); break;
    case 6:
        v = rnd();
        v <<= rnd_below(bits);
        break;
    default: v = rnd(); break;
    }
    return bits == 64 ? v : v & ((1ull << bits) - 1);
}

/* An exponent field of @bits bits. */
static inline unsigned corpus_exp(unsigned bits)
{
    unsigned ones = (1u << bits) - 1, bias = ones >> 1;
    switch (rnd_below(10)) {
    case 0: return 0;
    case 1: return rnd_below(2) ? 1 + rnd_below(bits > 8 ? 70 : 30) : 1;
    case 2: return ones;
    case 3: return ones - 1 - rnd_below(3);
    case 4: return rnd_below(ones + 1);
    case 5: return bias;
    default: return (bias + rnd_below(142) - 71) & ones;
    }
}

static inline struct f80 corpus_f80(void)
{
    static const int16_t edges[] = { -126,  -127,  -149, -150, 127, 128, -1022, -1023,
                                     -1074, -1075, 1023, 1024, 15,  16,  30,    31,
                                     32,    62,    63,   64,   -1,  0,   1 };
    struct f80 v = { .frac = corpus_bits(63) };
    v.se = (uint16_t)corpus_exp(15);
    v.se |= (uint16_t)((rnd() & 1) << 15);
    if (rnd_below(4) == 0)
        v.se = (uint16_t)((v.se & 0x8000) |
                          (16383 + edges[rnd_below(sizeof(edges) / sizeof(edges[0]))]));
    if (rnd_below(4) == 0)
        v.frac &= ~0ull << (rnd() & 1 ? 40 : 11); /* what fits f32, f64 */
    if (rnd_below(8) == 0) {                      /* halfway between two of them */
        unsigned drop = rnd() & 1 ? 40 : 11;
        v.frac = v.frac >> drop << drop | 1ull << (drop - 1);
    }
    bool integer = (v.se & 0x7fff) != 0;
    if (rnd_below(24) == 0)
        integer = !integer;
    v.frac = (v.frac & ~(1ull << 63)) | (uint64_t)integer << 63;
    if (rnd_below(20) == 0)
        v = (struct f80){ .se = v.se & 0x8000 };
    return v;
}

/* A value close to the one stored at @p: for cancellation, ties, quotients near an integer. */
static inline struct f80 corpus_f80_near(const uint8_t *p)
{
    struct f80 v = { 0 };
    memcpy(&v.frac, p, 8);
    memcpy(&v.se, p + 8, 2);
    v.frac += rnd_below(5) - 2u;
    v.se = (uint16_t)(v.se + rnd_below(5) - 2u);
    if (rnd() & 1)
        v.se ^= 0x8000;
    return v;
}

static inline uint64_t corpus_f64(void)
{
    uint64_t v = corpus_bits(52);
    v |= (uint64_t)corpus_exp(11) << 52;
    return v | (rnd() & 1) << 63;
}

static inline uint32_t corpus_f32(void)
{
    uint64_t v = corpus_bits(23);
    v |= (uint64_t)corpus_exp(8) << 23;
    return (uint32_t)(v | (rnd() & 1) << 31);
}

/* 16 bytes of SSE operands of @width bits; now and then related to those at @like. */
static inline union xmm corpus_xmm(unsigned width, const union xmm *like)
{
    union xmm v;
    for (int i = 0; i < 2; i++)
        v.u64[i] = width == 64 ? corpus_f64() : corpus_f32();
    if (width == 32) {
        v.u32[1] = corpus_f32();
        v.u32[3] = corpus_f32();
    }
    if (like && rnd_below(4) == 0) {
        for (unsigned i = 0; i < 128 / width; i++) {
            if (width == 32)
                v.u32[i] = (like->u32[i] + rnd_below(5) - 2) ^ (like->u32[0] & 1) << 31;
            else
                v.u64[i] = (like->u64[i] + rnd_below(5) - 2) ^ (like->u64[0] & 1) << 63;
        }
    } else if (rnd_below(8) == 0) { /* integers and halves around the limits of int32 and int64 */
        static const double near[] = {
            0, 1, 2147483647, 2147483648, 4294967296, 9007199254740992, 9223372036854775808.0
        };
        double x = near[rnd_below(7)];
        x += (rnd_below(9) - 4.0) / 2;
        x = rnd() & 1 ? -x : x;
        if (width == 32)
            v.f32[rnd_below(4)] = (float)x;
        else
            v.f64[rnd_below(2)] = x;
    } else if (rnd_below(3) == 0) { /* one special lane among ordinary ones */
        unsigned keep = rnd_below(128 / width);
        for (unsigned i = 0; i < 128 / width; i++) {
            if (i != keep && width == 32)
                v.u32[i] = 0x3f800000u + (uint32_t)(rnd() & 0x7fffff);
            else if (i != keep)
                v.u64[i] = 0x3ff0000000000000ull + (rnd() & 0xfffffffffffffull);
        }
    }
    return v;
}

/* 160 bytes, of which the first @size are the operand. */
static inline void corpus_memory(uint8_t *buf, unsigned size)
{
    uint64_t v = rnd();
    memset(buf, 0x5a, 160);
    if (size == 10) {
        struct f80 x = corpus_f80();
        memcpy(buf, &x.frac, 8);
        memcpy(buf + 8, &x.se, 2);
        if (rnd() & 1) { /* BCD */
            for (int i = 0; i < 10; i++) {
                unsigned digits = rnd_below(100);
                buf[i] = (uint8_t)(digits / 10 << 4 | digits % 10);
            }
        }
        return;
    }
    if (size == 4 && rnd_below(4))
        v = corpus_f32();
    else if (size == 8 && rnd_below(4))
        v = corpus_f64();
    else if (rnd() & 1)
        v = corpus_bits(64);
    memcpy(buf, &v, size);
}

#endif
