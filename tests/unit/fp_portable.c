/*
 * Floating-point results that don't depend on where the emulator runs. The arithmetic library is
 * run on a fixed corpus with every rounding mode and precision, and all results and exceptions are
 * hashed; the hashes were recorded on a host on which x87_host and sse_host had no difference. And
 * the fast path of the SSE instructions (host arithmetic) must give what the exact path gives.
 *
 * "fp_portable print" prints the hashes.
 */
#include <stdlib.h>
#include <string.h>

#include "test.h"

#include "cpu/decode.h"
#include "cpu/fp/trans.h"
#include "cpu/x87.h"
#include "fp_corpus.h"

static uint64_t hash;

static void mix(uint64_t v)
{
    hash = (hash ^ v) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
}

enum op {
    OP_ADD,
    OP_MUL,
    OP_DIV,
    OP_SQRT,
    OP_REM,
    OP_INT,
    OP_TRIG,
    OP_ATAN,
    OP_LOG,
    OP_LOGP1,
    OP_EXP,
    OP_COUNT
};
static const char *const names[OP_COUNT] = { "add",  "mul",  "div", "sqrt",  "rem", "int",
                                             "trig", "atan", "log", "logp1", "exp" };
static const uint64_t golden[OP_COUNT] = {
    0x8d1ae4f2d5884b26, 0xff50d09b67131dbb, 0x44eaa625b420d150, 0x79fabc671dc3ae10,
    0x1f61ac93bde78fef, 0x6e81ff0a0b72e585, 0x8062e9099e891fb0, 0xb70a7b2a9b808edf,
    0x5e4b6f4ed14df47c, 0x21d18c8202d21a91, 0x6042fc4a32f94025
};

static void one_case(enum op op)
{
    struct fpenv e = { .rc = rnd() & 3 };
    if (rnd_below(4) == 0)
        e.unmasked = rnd() & FPX_ALL;
    const struct fpfmt *f = &fp_f80_pc[rnd() & 3];
    struct fpnum a, b, r = fp_zero(false), s = r;
    unsigned width = rnd_below(3);
    if (width < 2 && op <= OP_SQRT) {
        e.sse = true;
        e.daz = rnd_below(8) == 0;
        e.ftz = rnd_below(8) == 0;
        f = width ? &fp_f64 : &fp_f32;
        a = width ? fp_from_f64(&e, corpus_f64()) : fp_from_f32(&e, corpus_f32());
        b = width ? fp_from_f64(&e, corpus_f64()) : fp_from_f32(&e, corpus_f32());
    } else {
        width = 2;
        struct f80 x = corpus_f80(),
                   y = rnd_below(4) ? corpus_f80() : corpus_f80_near((uint8_t *)&x);
        a = fp_from_f80(x);
        b = fp_from_f80(y);
    }
    switch (op) {
    case OP_ADD: r = rnd() & 1 ? fp_add(&e, a, b, f) : fp_sub(&e, a, b, f); break;
    case OP_MUL: r = fp_mul(&e, a, b, f); break;
    case OP_DIV: r = fp_div(&e, a, b, f); break;
    case OP_SQRT: r = fp_sqrt(&e, a, f); break;
    case OP_REM: {
        uint64_t q;
        bool partial;
        r = fp_rem(&e, a, b, rnd() & 1, &q, &partial);
        mix(q << 1 | partial);
        break;
    }
    case OP_INT:
        mix((uint64_t)fp_to_int(&e, a, 16u << rnd_below(3)));
        r = fp_round_integral(&e, a);
        break;
    case OP_TRIG:
        if (rnd() & 1)
            fp_trig(&e, a, &r, &s, NULL);
        else
            fp_trig(&e, a, NULL, NULL, &r);
        mix(fp_to_f80(s).frac);
        break;
    case OP_ATAN: r = fp_atan2(&e, a, b); break;
    case OP_LOG: r = fp_yl2x(&e, a, b); break;
    case OP_LOGP1: r = fp_yl2xp1(&e, a, b); break;
    default: r = fp_2xm1(&e, a); break;
    }
    mix(e.flags | (uint64_t)e.up << 8);
    if (fp_trapped_pre(&e) || (width < 2 && fp_trapped(&e)))
        return;
    if (width == 2) {
        struct f80 x = fp_to_f80(r);
        mix(x.frac);
        mix(x.se);
    } else {
        mix(width ? fp_to_f64(r) : fp_to_f32(r));
    }
}

static uint64_t run_op(enum op op)
{
    rnd_seed(1000 + (uint64_t)op);
    hash = 1;
    for (int n = 0; n < 20000; n++)
        one_case(op);
    return hash;
}

static void library_results(void)
{
    for (int op = 0; op < OP_COUNT; op++) {
        uint64_t h = run_op((enum op)op);
        if (h != golden[op])
            printf("%s:\n", names[op]);
        CHECK_EQ(h, golden[op]);
    }
}

/* Registers only: xmm1 op= xmm2, once with PE set (fast), once without. */
static void fast_path_is_exact(void)
{
    struct cpu *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    rnd_seed(3);
    for (size_t n = 0; n < opcode_row_count; n++) {
        const struct opcode *row = opcode_rows[n];
        if (row < opcodes_ssefp.rows || row >= opcodes_ssefp.rows + opcodes_ssefp.count)
            continue;
        struct insn i = {
            .fn = row->fn, .op = (uint16_t)n, .r = 1, .rm = 2, .osz = 3, .seg = SEG_DS
        };
        unsigned width =
            strchr(row->name, 'd') && row->name[strlen(row->name) - 1] == 'd' ? 64 : 32;
        for (int k = 0; k < 3000; k++) {
            union xmm a = corpus_xmm(width, NULL), b = corpus_xmm(width, &a), r[2];
            uint64_t gpr[2];
            uint32_t flags[2];
            i.imm = (int8_t)rnd();
            for (int fast = 0; fast < 2; fast++) {
                c->xmm[1] = a;
                c->xmm[2] = b;
                c->gpr[RDX] = a.u64[0];
                c->mxcsr = fast ? 0x1fa0 : 0x1f80;
                row->fn(c, &i);
                r[fast] = c->xmm[1];
                gpr[fast] = c->gpr[RCX];
                flags[fast] = c->mxcsr | 0x20;
            }
            if (memcmp(&r[0], &r[1], 16) || gpr[0] != gpr[1] || flags[0] != flags[1])
                printf("%s: %llx %llx, %llx %llx\n", row->name, (unsigned long long)a.u64[0],
                       (unsigned long long)b.u64[0], (unsigned long long)r[0].u64[0],
                       (unsigned long long)r[1].u64[0]);
            CHECK_EQ(flags[0], flags[1]);
            CHECK_EQ(gpr[0], gpr[1]);
            CHECK(memcmp(&r[0], &r[1], 16) == 0);
        }
    }
    free(c);
}

int main(int argc, char **argv)
{
    decode_init();
    if (argc > 1 && !strcmp(argv[1], "print")) {
        for (int op = 0; op < OP_COUNT; op++)
            printf("0x%016llx,\n", (unsigned long long)run_op((enum op)op));
        return 0;
    }
    RUN(library_results);
    RUN(fast_path_is_exact);
    return test_done();
}
