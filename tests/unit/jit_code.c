/*
 * WebAssembly's number encodings and modules (wasm.c), read back; and flags made of an operation's
 * operands (jit_settle_kind) against their definition, bit by bit.
 */
#include <stdlib.h>

#include "cpu/flags.h"
#include "jit-wasm/emit.h"
#include "test.h"

static uint64_t seed = 1;

static uint64_t rnd64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- encodings ---- */

static uint64_t read_leb(const struct wbuf *b, size_t *at, bool is_signed)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;
    while ((byte & 0x80) && *at < b->len && shift < 70) {
        byte = b->data[(*at)++];
        if (shift < 64)
            v |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    if (is_signed && shift < 64 && (byte & 0x40))
        v |= ~0ull << shift;
    return v;
}

static void check_number(uint64_t v)
{
    struct wbuf b = { 0 };
    size_t at = 0;
    wb_u32(&b, (uint32_t)v);
    CHECK(b.len <= 5);
    CHECK_EQ(read_leb(&b, &at, false), (uint32_t)v);
    CHECK_EQ(at, b.len);
    wb_reset(&b);
    at = 0;
    wb_s64(&b, (int64_t)v);
    CHECK(b.len <= 10);
    CHECK_EQ(read_leb(&b, &at, true), v);
    CHECK_EQ(at, b.len);
    wb_reset(&b);
    at = 0;
    wb_s64(&b, (int32_t)v); /* an i32 constant: five bytes at most */
    CHECK(b.len <= 5);
    CHECK_EQ(read_leb(&b, &at, true), (uint64_t)(int64_t)(int32_t)v);
    wb_free(&b);
}

static void numbers(void)
{
    for (unsigned k = 0; k < 64; k++)
        for (int d = -2; d <= 2; d++) {
            check_number((1ull << k) + (uint64_t)(int64_t)d);
            check_number(0 - (1ull << k) + (uint64_t)(int64_t)d);
        }
    for (int k = 0; k < 10000; k++)
        check_number(rnd64() >> (rnd64() & 63));
}

static void module_sections(void)
{
    static const uint8_t magic[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
    static const uint8_t order[] = { 1, 2, 3, 7, 0, 10 };
    struct wbuf code = { 0 }, out = { 0 };
    static const uint32_t unlikely[] = { 3, 150 | HINT_LIKELY };
    const struct wasm_code codes[] = { { &code, unlikely, 2 },
                                       { .body = &code },
                                       { &code, unlikely, 1 } };
    size_t at = sizeof magic;
    wb_u8(&code, 0); /* no locals */
    for (int k = 0; k < 200; k++)
        wb_u8(&code, 0x01); /* nop */
    wb_u8(&code, W_END);
    wasm_module(&out, NULL, 0, codes, 3);
    CHECK(!out.failed);
    CHECK(out.len > sizeof magic && !memcmp(out.data, magic, sizeof magic));
    for (unsigned k = 0; k < sizeof order; k++) {
        CHECK(at < out.len);
        CHECK_EQ(out.data[at++], order[k]);
        size_t len = (size_t)read_leb(&out, &at, false), end = at + len;
        CHECK(end <= out.len);
        uint64_t n = read_leb(&out, &at, false);
        if (order[k] == 0) { /* n is the length of the name */
            static const uint8_t hints[] = { 3, 0, 2, 3, 1, 0, 150, 1, 1, 1, 1, 0, 2, 1, 3, 1, 0 };
            CHECK(n == 25 && !memcmp(out.data + at, "metadata.code.branch_hint", 25));
            CHECK(at + n + sizeof hints == end && !memcmp(out.data + at + n, hints, sizeof hints));
            at = end;
            continue;
        }
        CHECK_EQ(n, order[k] == 1 ? SIG_COUNT : order[k] == 2 ? 2 : 3);
        for (unsigned c = 0; order[k] == 10 && c < n; c++) {
            size_t body = (size_t)read_leb(&out, &at, false);
            CHECK_EQ(body, code.len);
            CHECK(at + body <= end && !memcmp(out.data + at, code.data, body));
            at += body;
        }
        CHECK(order[k] != 10 || at == end);
        at = end;
    }
    CHECK_EQ(at, out.len);
    wb_free(&code);
    wb_free(&out);
}

/* ---- flags ---- */

static struct cpu cpu;

/* The operation on @bits bits, one bit after the other: b is complemented for a subtraction.
 * Returns the result and sets carry out, overflow, carry out of bit 3. */
static uint64_t ripple(uint64_t a, uint64_t b, bool carry, unsigned bits, bool sub, uint32_t *flags)
{
    uint64_t r = 0;
    bool before = carry ^ sub, half = false, into_top = false;
    for (unsigned k = 0; k < bits; k++) {
        unsigned sum = (unsigned)(a >> k & 1) + (unsigned)((b >> k & 1) ^ sub) + before;
        into_top = before;
        r |= (uint64_t)(sum & 1) << k;
        before = sum >> 1;
        if (k == 3)
            half = before;
    }
    *flags =
        (before ^ sub ? FL_CF : 0) | (half ^ sub ? FL_AF : 0) | (before != into_top ? FL_OF : 0);
    return r;
}

static uint32_t result_flags(uint64_t r, unsigned bits)
{
    unsigned ones = 0;
    for (unsigned k = 0; k < 8; k++)
        ones += r >> k & 1;
    return (r ? 0 : FL_ZF) | (r >> (bits - 1) & 1 ? FL_SF : 0) | (ones & 1 ? 0 : FL_PF);
}

static void settle(unsigned kind, unsigned osz, uint64_t a, uint64_t b, uint64_t r)
{
    uint64_t v[3] = { a, b, r };
    struct jit_flags f;
    for (int k = 0; k < 3; k++) {
        f.raw64[k] = osz == 3 ? v[k] : rnd64();
        f.raw32[k] = osz == 3 ? (uint32_t)rnd64() : (uint32_t)v[k];
    }
    jit_settle_kind(&cpu, (int)(kind | osz), &f);
}

#define SZP (FL_SF | FL_ZF | FL_PF)

/* One operation; what the processor's manual leaves undefined isn't compared. */
static void check_kind(unsigned kind, unsigned osz, uint64_t a, uint64_t b, bool carry)
{
    unsigned bits = 8u << osz, count = (unsigned)(b & (osz == 3 ? 63 : 31));
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1, top = 1ull << (bits - 1), r = 0;
    uint32_t want = 0, defined = SZP | FL_CF | FL_OF | FL_AF;
    __int128 sa = (int64_t)sext_bits(a, bits), sb = (int64_t)sext_bits(b, bits);
    a &= mask;
    b &= mask;
    count = count ? count : 1;
    flags_set_arith(&cpu, (uint32_t)rnd64());
    flags_set_cf_of(&cpu, carry, rnd64() & 1);
    switch (kind) {
    case FK_ADD: r = ripple(a, b, false, bits, false, &want); break;
    case FK_ADC: r = ripple(a, b, carry, bits, false, &want); break;
    case FK_SUB: r = ripple(a, b, false, bits, true, &want); break;
    case FK_SBB: r = ripple(a, b, carry, bits, true, &want); break;
    case FK_INC:
        r = ripple(a, 1, false, bits, false, &want);
        want = (want & ~(uint32_t)FL_CF) | (carry ? FL_CF : 0);
        break;
    case FK_DEC:
        r = ripple(a, 1, false, bits, true, &want);
        want = (want & ~(uint32_t)FL_CF) | (carry ? FL_CF : 0);
        break;
    case FK_LOGIC:
        r = a & b;
        defined &= ~(uint32_t)FL_AF;
        break;
    case FK_SHL:
    case FK_SHR:
    case FK_SAR:
        b = count;
        r = a;
        for (unsigned k = 0; k < count; k++) {
            bool out = kind == FK_SHL ? (r & top) != 0 : r & 1;
            want = out ? FL_CF : 0;
            r = kind == FK_SHL ? r << 1 & mask : r >> 1 | (kind == FK_SAR ? r & top : 0);
        }
        want |= (kind == FK_SHL   ? ((r ^ a) & top) != 0
                 : kind == FK_SHR ? (a & top) != 0
                                  : false)
                    ? FL_OF
                    : 0;
        defined &= ~(uint32_t)FL_AF;
        if (count > 1)
            defined &= ~(uint32_t)FL_OF;
        if (count > bits && kind != FK_SAR)
            defined &= ~(uint32_t)FL_CF;
        break;
    case FK_SHLD:
    case FK_SHRD: /* what comes in doesn't matter to the flags */
        b = count;
        r = a;
        for (unsigned k = 0; k < count; k++) {
            bool out = kind == FK_SHLD ? (r & top) != 0 : r & 1;
            want = out ? FL_CF : 0;
            r = kind == FK_SHLD ? (r << 1 & mask) | (rnd64() & 1) : r >> 1 | (rnd64() & top);
        }
        want |= (r ^ a) & top ? FL_OF : 0;
        defined &= ~(uint32_t)FL_AF;
        break;
    case FK_IMUL:
        r = a * b & mask;
        want = sa * sb != (__int128)(int64_t)sext_bits(r, bits) ? FL_CF | FL_OF : 0;
        defined = FL_CF | FL_OF;
        break;
    default:
        r = a * b & mask;
        want = (unsigned __int128)a * b >> bits ? FL_CF | FL_OF : 0;
        defined = FL_CF | FL_OF;
        break;
    }
    want |= result_flags(r, bits);
    settle(kind, osz, a, b, r);
    if ((flags_arith(&cpu) ^ want) & defined)
        printf("kind %u of %u bits: %" PRIx64 ", %" PRIx64 ", carry %d\n", kind, bits, a, b, carry);
    CHECK_EQ(flags_arith(&cpu) & defined, want & defined);

    /* With CF and OF from elsewhere. */
    bool cf = rnd64() & 1, of = rnd64() & 1;
    flags_set_cf_of(&cpu, cf, of);
    settle(kind | FK_CO, osz, a, b, r);
    want = (want & ~(uint32_t)(FL_CF | FL_OF)) | (cf ? FL_CF : 0) | (of ? FL_OF : 0);
    CHECK_EQ(flags_arith(&cpu) & (defined | FL_CF | FL_OF), want & (defined | FL_CF | FL_OF));
}

static void flags_of_kinds(void)
{
    static const uint64_t edges[] = { 0,          1,          2,          0x7f,       0x80,
                                      0xff,       0x7fff,     0x8000,     0xffff,     0x7fffffff,
                                      0x80000000, 0xffffffff, ~0ull >> 1, 1ull << 63, ~0ull };
    const unsigned n = sizeof edges / sizeof edges[0];
    for (unsigned kind = FK_ADD; kind <= FK_SHRD; kind += 4)
        for (unsigned osz = 0; osz < 4; osz++) {
            if (kind >= FK_SHLD && osz < 2) /* 32 and 64 bits only */
                continue;
            for (unsigned k = 0; k < n * n * 2; k++)
                check_kind(kind, osz, edges[k / 2 / n], edges[k / 2 % n], k & 1);
            for (unsigned k = 0; k < 5000; k++)
                check_kind(kind, osz, rnd64() >> (rnd64() & 63), rnd64() >> (rnd64() & 63), k & 1);
            if (test_failures)
                return;
        }
}

int main(void)
{
    RUN(numbers);
    RUN(module_sections);
    RUN(flags_of_kinds);
    return test_done();
}
