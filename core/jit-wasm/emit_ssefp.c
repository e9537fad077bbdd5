/*
 * SSE floating point: WebAssembly's arithmetic where it can't differ from x86's, the interpreter's
 * handler elsewhere.
 *
 * The fast path is that of cpu/sse_fp_width.h: operands that aren't denormal, a result that is a
 * normal number above the smallest ones (so nothing can have overflowed, been tiny or been a NaN),
 * rounding to nearest, and the precision exception masked and already sticky in MXCSR. Then no flag
 * and no bit depends on how it was computed. The check of MXCSR is made once a block (local
 * fp_fast). A register that was checked, or that the fast path wrote, isn't checked again in the
 * block (emit.fp_known); what the slow path leaves is checked at once, and if it is denormal,
 * fp_fast becomes 0: so "known" means "not denormal, or fp_fast is 0".
 *
 * The slow path doesn't access memory again: the operand goes to the 17th XMM register of struct
 * cpu, which no guest instruction has, and the handler gets the register form of the instruction.
 */
#include "jit-wasm/simd.h"

#define MXCSR_FAST_MASK  0x7020 /* rounding control, PM, PE */
#define MXCSR_FAST_VALUE 0x1020

/* Widths: index 0 is f32, 1 is f64. */
static const struct width {
    uint8_t osz, fp_extract, fp_replace, shl, shr_u, isub, all_true, feq, fabs, flt, fraction;
    uint8_t type;
    int16_t max_exponent;
    uint64_t ones; /* 1 in each lane */
} widths[2] = {
    { 2, F32X4_EXTRACT, F32X4_REPLACE, I32X4_SHL, I32X4_SHR_U, I32X4_SUB, I32X4_ALL_TRUE, F32X4_EQ,
      F32X4_ABS, F32X4_LT, 23, W_F32, 0xff, 0x100000001 },
    { 3, F64X2_EXTRACT, F64X2_REPLACE, I64X2_SHL, I64X2_SHR_U, I64X2_SUB, I64X2_ALL_TRUE, F64X2_EQ,
      F64X2_ABS, F64X2_LT, 52, W_F64, 0x7ff, 1 },
};

/* One floating-point instruction: who takes part. Rows: argument = operation | w << 16 | SCALAR. */
struct fp {
    unsigned w; /* width of the source's lanes: index in widths[] */
    bool scalar;
    unsigned operation;
    int src;         /* v128 local; NO_LOCAL: register rm */
    bool relied;     /* the condition holds only if fp_fast is not 0 */
    bool fresh_rm;   /* register rm was checked here */
    bool first_term; /* of the condition */
};
enum { WIDTH = 1 << 16, SCALAR = 1 << 17 };

static void begin(struct emit *e, const struct insn *i, struct fp *f)
{
    uint32_t arg = emit_row_of(i)->arg;
    sse_begin(e);
    *f = (struct fp){ .w = arg >> 16 & 1,
                      .scalar = arg & SCALAR,
                      .operation = arg & 0xffff,
                      .src = NO_LOCAL,
                      .first_term = true };
    if (e->fp_checked)
        return;
    e->fp_checked = true;
    if (e->fp_fast == NO_LOCAL)
        e->fp_fast = (int16_t)emit_local(e, W_I32);
    emit_load_fixed(e, W_I32_LOAD, &e->c->mxcsr);
    emit_i32(e, MXCSR_FAST_MASK);
    op(e, W_I32_AND);
    emit_i32(e, MXCSR_FAST_VALUE);
    op(e, W_I32_EQ);
    set_local(e, e->fp_fast);
}

/* Brings a memory operand into a local: all 16 bytes, or the low 1 << @osz. */
static void fetch(struct emit *e, const struct insn *i, struct fp *f, unsigned osz)
{
    if (!in_memory(i))
        return;
    if (osz == 4)
        sse_source(e, i);
    else
        sse_source_low(e, i, osz);
    f->src = emit_tmp(e, W_V128);
    set_local(e, f->src);
}

static void get_src(struct emit *e, const struct insn *i, const struct fp *f)
{
    if (f->src != NO_LOCAL)
        get_local(e, f->src);
    else
        emit_get_xmm(e, i->rm);
}

/* The scalar operand on the stack from the v128 there. */
static void lane0(struct emit *e, unsigned w)
{
    simd_lane(e, widths[w].fp_extract, 0);
}

/* ---- conditions: terms on the stack, ANDed ---- */

static void term(struct emit *e, struct fp *f)
{
    if (!f->first_term)
        op(e, W_I32_AND);
    f->first_term = false;
}

/* v128 on the stack: 1 if its lanes (or the lowest) aren't denormal. The smallest normal number
 * counts as denormal. */
static void not_denormal(struct emit *e, unsigned w, bool scalar)
{
    const struct width *d = &widths[w];
    if (scalar && w) {
        simd_lane(e, I64X2_EXTRACT, 0);
        emit_i64(e, 1);
        op(e, W_I64_SHL);
        emit_i64(e, 1);
        op(e, W_I64_SUB);
        emit_i64(e, 53);
        op(e, W_I64_SHR_U);
        emit_i64(e, 0);
        op(e, W_I64_NE);
    } else if (scalar) {
        simd_lane(e, I32X4_EXTRACT, 0);
        emit_i32(e, 1);
        op(e, W_I32_SHL);
        emit_i32(e, 1);
        op(e, W_I32_SUB);
        emit_i32(e, 24);
        op(e, W_I32_SHR_U);
        emit_i32(e, 0);
        op(e, W_I32_NE);
    } else {
        emit_i32(e, 1);
        emit_simd(e, d->shl);
        simd_const(e, d->ones, d->ones);
        emit_simd(e, d->isub);
        emit_i32(e, d->fraction + 1);
        emit_simd(e, d->shr_u);
        emit_simd(e, d->all_true);
    }
}

static bool is_known(const struct emit *e, unsigned w, bool scalar, unsigned reg)
{
    return e->fp_known[w][!scalar] >> reg & 1;
}
static void set_known(struct emit *e, unsigned w, bool scalar, unsigned reg)
{
    e->fp_known[w][0] |= (uint16_t)(1u << reg);
    if (!scalar)
        e->fp_known[w][1] |= (uint16_t)(1u << reg);
}

/* Terms for the operands; @both: the destination is one. */
static void operand_terms(struct emit *e, const struct insn *i, struct fp *f, bool both)
{
    if (both) {
        if (is_known(e, f->w, f->scalar, i->r)) {
            f->relied = true;
        } else {
            emit_get_xmm(e, i->r);
            not_denormal(e, f->w, f->scalar);
            term(e, f);
        }
        if (f->src == NO_LOCAL && i->rm == i->r)
            return;
    }
    if (f->src == NO_LOCAL && is_known(e, f->w, f->scalar, i->rm)) {
        f->relied = true;
        return;
    }
    get_src(e, i, f);
    not_denormal(e, f->w, f->scalar);
    term(e, f);
    f->fresh_rm = f->src == NO_LOCAL;
}

/* v128 @local: no lane (or not the lowest) is a NaN. */
static void not_nan_term(struct emit *e, struct fp *f, const struct insn *i, bool of_r)
{
    const struct width *d = &widths[f->w];
    for (unsigned k = 0; k < 2; k++) {
        if (of_r)
            emit_get_xmm(e, i->r);
        else
            get_src(e, i, f);
        if (f->scalar)
            lane0(e, f->w);
    }
    if (f->scalar) {
        op(e, f->w ? W_F64_EQ : W_F32_EQ);
    } else {
        emit_simd(e, d->feq);
        emit_simd(e, d->all_true);
    }
    term(e, f);
}

/* The result in scalar local @r: normal, not of the smallest exponent. @w: its width. */
static void safe_scalar_term(struct emit *e, struct fp *f, unsigned w, int r)
{
    get_local(e, r);
    if (w) {
        op(e, W_I64_REINTERPRET_F64);
        emit_i64(e, 52);
        op(e, W_I64_SHR_U);
        op(e, W_I32_WRAP_I64);
    } else {
        op(e, W_I32_REINTERPRET_F32);
        emit_i32(e, 23);
        op(e, W_I32_SHR_U);
    }
    emit_i32(e, widths[w].max_exponent);
    op(e, W_I32_AND);
    emit_i32(e, 2);
    op(e, W_I32_SUB);
    emit_i32(e, widths[w].max_exponent - 2);
    op(e, W_I32_LT_U);
    term(e, f);
}
/* The same for all lanes of a v128 local. */
static void safe_packed_term(struct emit *e, struct fp *f, unsigned w, int r)
{
    uint64_t limit = (uint64_t)widths[w].max_exponent - 2;
    get_local(e, r);
    emit_i32(e, 1);
    emit_simd(e, widths[w].shl);
    emit_i32(e, widths[w].fraction + 1);
    emit_simd(e, widths[w].shr_u);
    if (w)
        simd_const(e, 2, 2);
    else
        simd_const(e, 0x200000002, 0x200000002);
    emit_simd(e, I32X4_SUB);
    limit |= w ? 1ull << 32 : limit << 32;
    simd_const(e, limit, limit);
    emit_simd(e, I32X4_LT_U);
    emit_simd(e, I32X4_ALL_TRUE);
    term(e, f);
}

/* ---- the two paths ---- */

static void open_fast(struct emit *e, struct fp *f, bool needs_mxcsr)
{
    if (needs_mxcsr || f->relied || f->first_term) {
        get_local(e, e->fp_fast);
        term(e, f);
    }
    likely_next(e);
    open_block(e, W_IF, W_VOID);
}

/* After the slow path fp_fast is worked out again for what is known from now on: register r, as
 * lanes of width @w unless it is 2, and rm if it was checked here. */
static void close_slow(struct emit *e, const struct insn *i, struct fp *f, enum slow_result result,
                       unsigned w, bool scalar)
{
    op(e, W_ELSE);
    emit_slow_fp(e, f->src, result);
    emit_load_fixed(e, W_I32_LOAD, &e->c->mxcsr);
    emit_i32(e, MXCSR_FAST_MASK);
    op(e, W_I32_AND);
    emit_i32(e, MXCSR_FAST_VALUE);
    op(e, W_I32_EQ);
    get_local(e, e->fp_fast);
    op(e, W_I32_AND);
    if (w < 2) {
        emit_get_xmm(e, i->r);
        not_denormal(e, w, scalar);
        op(e, W_I32_AND);
    }
    if (f->fresh_rm && !(w < 2 && i->rm == i->r)) {
        emit_get_xmm(e, i->rm);
        not_denormal(e, f->w, f->scalar);
        op(e, W_I32_AND);
    }
    set_local(e, e->fp_fast);
    close_block(e);
    if (f->fresh_rm)
        set_known(e, f->w, f->scalar, i->rm);
}

/* Register r gets scalar local @r or v128 local @r. Returns what was known of all its lanes. */
static void set_result(struct emit *e, const struct insn *i, unsigned w, bool scalar, int r)
{
    if (scalar) {
        emit_get_xmm(e, i->r);
        get_local(e, r);
        simd_lane(e, widths[w].fp_replace, 0);
    } else {
        get_local(e, r);
    }
    emit_set_xmm(e, i->r);
}

/* The end of an instruction whose result, of width @w, is in a local. */
static void finish(struct emit *e, const struct insn *i, struct fp *f, unsigned w, bool scalar,
                   int r, bool needs_mxcsr)
{
    bool upper = scalar && is_known(e, w, false, i->r);
    bool fresh_r = f->fresh_rm && i->rm == i->r;
    open_fast(e, f, needs_mxcsr);
    set_result(e, i, w, scalar, r);
    if (fresh_r)
        f->fresh_rm = false;
    close_slow(e, i, f, SLOW_XMM, w, scalar);
    set_known(e, w, scalar && !upper, i->r);
}

/* ---- arithmetic ---- */

enum { ADD, SUB, MUL, DIV, SQRT, MIN, MAX };

static const uint8_t packed_ops[2][7] = {
    { F32X4_ADD, F32X4_SUB, F32X4_MUL, F32X4_DIV, F32X4_SQRT, F32X4_PMIN, F32X4_PMAX },
    { F64X2_ADD, F64X2_SUB, F64X2_MUL, F64X2_DIV, F64X2_SQRT, F64X2_PMIN, F64X2_PMAX },
};
static const uint8_t scalar_ops[2][7] = {
    { W_F32_ADD, W_F32_SUB, W_F32_MUL, W_F32_DIV, W_F32_SQRT, W_F32_LT, W_F32_GT },
    { W_F64_ADD, W_F64_SUB, W_F64_MUL, W_F64_DIV, W_F64_SQRT, W_F64_LT, W_F64_GT },
};

static void emit_arith(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    unsigned o = f.operation;
    bool choice = o == MIN || o == MAX;
    fetch(e, i, &f, f.scalar ? widths[f.w].osz : 4);
    if (choice && !f.scalar) { /* pmin(x, y) is y < x ? y : x */
        get_src(e, i, &f);
        emit_get_xmm(e, i->r);
    } else {
        for (unsigned k = o == SQRT; k < 2; k++) {
            if (k)
                get_src(e, i, &f);
            else
                emit_get_xmm(e, i->r);
            if (f.scalar)
                lane0(e, f.w);
        }
    }
    if (choice && f.scalar) {
        int b = to_tmp(e, (enum wasm_type)widths[f.w].type);
        int a = to_tmp(e, (enum wasm_type)widths[f.w].type);
        get_local(e, a);
        get_local(e, b);
        get_local(e, a);
        get_local(e, b);
        op(e, (enum wasm_op)scalar_ops[f.w][o]);
        op(e, W_SELECT);
    } else if (f.scalar) {
        op(e, (enum wasm_op)scalar_ops[f.w][o]);
    } else {
        emit_simd(e, packed_ops[f.w][o]);
    }
    int r = to_tmp(e, f.scalar ? (enum wasm_type)widths[f.w].type : W_V128);
    operand_terms(e, i, &f, o != SQRT);
    if (choice) {
        not_nan_term(e, &f, i, true);
        not_nan_term(e, &f, i, false);
    } else if (f.scalar) {
        safe_scalar_term(e, &f, f.w, r);
    } else {
        safe_packed_term(e, &f, f.w, r);
    }
    finish(e, i, &f, f.w, f.scalar, r, !choice);
}

static void shuffle_pairs(struct emit *e, unsigned w, unsigned k)
{
    emit_simd(e, I8X16_SHUFFLE);
    for (unsigned b = 0; b < 16; b++) {
        unsigned size = w ? 8 : 4, lane = b / size * 2 + k;
        wb_u8(&e->b, (uint8_t)(lane * size + b % size));
    }
}

/* HADDPx, HSUBPx: neighbours of r, then of the source. */
static void emit_horizontal(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    fetch(e, i, &f, 4);
    for (unsigned k = 0; k < 2; k++) {
        emit_get_xmm(e, i->r);
        get_src(e, i, &f);
        shuffle_pairs(e, f.w, k);
    }
    emit_simd(e, packed_ops[f.w][f.operation]);
    int r = to_tmp(e, W_V128);
    operand_terms(e, i, &f, true);
    safe_packed_term(e, &f, f.w, r);
    finish(e, i, &f, f.w, false, r, true);
}

/* ADDSUBPx: a - b is a + -b. */
static void emit_addsub(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    fetch(e, i, &f, 4);
    emit_get_xmm(e, i->r);
    get_src(e, i, &f);
    if (f.w)
        simd_const(e, 1ull << 63, 0);
    else
        simd_const(e, 1ull << 31, 1ull << 31);
    emit_simd(e, V128_XOR);
    emit_simd(e, packed_ops[f.w][ADD]);
    int r = to_tmp(e, W_V128);
    operand_terms(e, i, &f, true);
    safe_packed_term(e, &f, f.w, r);
    finish(e, i, &f, f.w, false, r, true);
}

/* ---- comparisons ---- */

static void emit_cmp(struct emit *e, const struct insn *i)
{
    static const uint8_t ops[2][3] = { { F32X4_EQ, F32X4_LT, F32X4_LE },
                                       { F64X2_EQ, F64X2_LT, F64X2_LE } };
    struct fp f;
    unsigned predicate = (unsigned)i->imm & 7;
    begin(e, i, &f);
    fetch(e, i, &f, f.scalar ? widths[f.w].osz : 4);
    operand_terms(e, i, &f, true);
    not_nan_term(e, &f, i, true);
    not_nan_term(e, &f, i, false);
    open_fast(e, &f, false);
    if (f.scalar)
        emit_get_xmm(e, i->r);
    if ((predicate & 3) == 3) {
        simd_const(e, 0, 0);
    } else {
        emit_get_xmm(e, i->r);
        get_src(e, i, &f);
        emit_simd(e, ops[f.w][predicate & 3]);
    }
    if (predicate & 4)
        emit_simd(e, V128_NOT);
    if (f.scalar) {
        lane0(e, f.w);
        simd_lane(e, widths[f.w].fp_replace, 0);
    }
    emit_set_xmm(e, i->r);
    if (f.fresh_rm && i->rm == i->r)
        f.fresh_rm = false;
    close_slow(e, i, &f, SLOW_XMM, 2, false);
}

static void emit_comi(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    flags_canonical(e);
    fetch(e, i, &f, widths[f.w].osz);
    operand_terms(e, i, &f, true);
    emit_get_xmm(e, i->r);
    lane0(e, f.w);
    int a = to_tmp(e, (enum wasm_type)widths[f.w].type);
    get_src(e, i, &f);
    lane0(e, f.w);
    int b = to_tmp(e, (enum wasm_type)widths[f.w].type);
    not_nan_term(e, &f, i, true);
    not_nan_term(e, &f, i, false);
    open_fast(e, &f, false);
    get_local(e, a);
    get_local(e, b);
    op(e, f.w ? W_F64_NE : W_F32_NE);
    int nonzero = to_tmp(e, W_I32);
    get_local(e, a);
    get_local(e, b);
    op(e, f.w ? W_F64_LT : W_F32_LT);
    int carry = to_tmp(e, W_I32);
    sse_set_flags(e, nonzero, carry);
    close_slow(e, i, &f, SLOW_FLAGS, 2, false);
}

/* ---- conversions ---- */

/* CVTSI2Sx. 32 bits to double are always exact. */
static void emit_from_gpr(struct emit *e, const struct insn *i)
{
    struct fp f;
    static const uint8_t ops[2][2] = { { W_F32_CONVERT_I32_S, W_F32_CONVERT_I64_S },
                                       { W_F64_CONVERT_I32_S, W_F64_CONVERT_I64_S } };
    begin(e, i, &f);
    bool wide = i->osz == 3, exact = f.w && !wide;
    if (exact) {
        emit_get_rm(e, 2);
        op(e, W_F64_CONVERT_I32_S);
        set_result(e, i, 1, true, to_tmp(e, W_F64));
        return;
    }
    get_local(e, e->fp_fast);
    likely_next(e);
    open_block(e, W_IF, W_VOID);
    emit_get_rm(e, wide ? 3 : 2);
    op(e, (enum wasm_op)ops[f.w][wide]);
    set_result(e, i, f.w, true, to_tmp(e, (enum wasm_type)widths[f.w].type));
    op(e, W_ELSE);
    emit_handler(e);
    close_block(e);
}

/* CVT[T]Sx2SI: @operation 1 truncates. */
static void emit_to_gpr(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    bool wide = i->osz == 3;
    enum wasm_type type = (enum wasm_type)widths[f.w].type;
    fetch(e, i, &f, widths[f.w].osz);
    get_src(e, i, &f);
    lane0(e, f.w);
    if (!f.operation)
        op(e, f.w ? W_F64_NEAREST : W_F32_NEAREST);
    int v = to_tmp(e, type);
    operand_terms(e, i, &f, false);
    get_local(e, v);
    op(e, f.w ? W_F64_ABS : W_F32_ABS);
    op(e, f.w ? W_F64_CONST : W_F32_CONST);
    if (f.w) {
        double limit = wide ? 0x1p63 : 0x1p31;
        wb_bytes(&e->b, &limit, 8);
    } else {
        float limit = wide ? 0x1p63f : 0x1p31f;
        wb_bytes(&e->b, &limit, 4);
    }
    op(e, f.w ? W_F64_LT : W_F32_LT);
    term(e, &f);
    open_fast(e, &f, true);
    get_local(e, v);
    op(e, W_PREFIX_MISC); /* iNN.trunc_sat_fNN_s */
    wb_u32(&e->b, (wide ? 4u : 0u) + (f.w ? 2u : 0u));
    emit_set(e, wide ? 3 : 2, i->r);
    close_slow(e, i, &f, SLOW_GPR, 2, false);
}

/* CVTSS2SD, CVTSD2SS; w is the source's width. */
static void emit_between(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    fetch(e, i, &f, widths[f.w].osz);
    get_src(e, i, &f);
    lane0(e, f.w);
    op(e, f.w ? W_F32_DEMOTE_F64 : W_F64_PROMOTE_F32);
    int r = to_tmp(e, f.w ? W_F32 : W_F64);
    operand_terms(e, i, &f, false);
    if (f.w)
        safe_scalar_term(e, &f, 0, r);
    else
        not_nan_term(e, &f, i, false);
    finish(e, i, &f, !f.w, true, r, f.w);
}

/* CVTDQ2PS (w 0), CVTDQ2PD (w 1) */
static void emit_from_dq(struct emit *e, const struct insn *i)
{
    struct fp f;
    begin(e, i, &f);
    fetch(e, i, &f, f.w ? 3 : 4);
    if (f.w) {
        get_src(e, i, &f);
        emit_simd(e, F64X2_CONVERT_LOW_S);
        emit_set_xmm(e, i->r);
        set_known(e, 1, false, i->r);
        return;
    }
    open_fast(e, &f, true);
    get_src(e, i, &f);
    emit_simd(e, F32X4_CONVERT_S);
    emit_set_xmm(e, i->r);
    close_slow(e, i, &f, SLOW_XMM, 0, false);
    set_known(e, 0, false, i->r);
}

/* ---- table ---- */

#define ROW(by, pfx, f, a)                                                                         \
    {                                                                                              \
        .map = MAP_0F, .first = by, .last = by, .prefix = PFX_##pfx, .reg = R_ANY, .fn = emit_##f, \
        .arg = a                                                                                   \
    }
#define FOUR(by, f, a)                                                                             \
    ROW(by, NP, f, a), ROW(by, 66, f, (a) | WIDTH), ROW(by, F3, f, (a) | SCALAR),                  \
        ROW(by, F2, f, (a) | SCALAR | WIDTH)

static const struct emit_row rows[] = {
    ROW(0x2a, F3, from_gpr, SCALAR),
    ROW(0x2a, F2, from_gpr, SCALAR | WIDTH),
    ROW(0x2c, F3, to_gpr, 1 | SCALAR),
    ROW(0x2c, F2, to_gpr, 1 | SCALAR | WIDTH),
    ROW(0x2d, F3, to_gpr, 0 | SCALAR),
    ROW(0x2d, F2, to_gpr, 0 | SCALAR | WIDTH),
    ROW(0x2e, NP, comi, SCALAR),
    ROW(0x2e, 66, comi, SCALAR | WIDTH),
    ROW(0x2f, NP, comi, SCALAR),
    ROW(0x2f, 66, comi, SCALAR | WIDTH),
    FOUR(0x51, arith, SQRT),
    FOUR(0x58, arith, ADD),
    FOUR(0x59, arith, MUL),
    ROW(0x5a, F3, between, SCALAR),
    ROW(0x5a, F2, between, SCALAR | WIDTH),
    ROW(0x5b, NP, from_dq, 0),
    FOUR(0x5c, arith, SUB),
    FOUR(0x5d, arith, MIN),
    FOUR(0x5e, arith, DIV),
    FOUR(0x5f, arith, MAX),
    ROW(0x7c, 66, horizontal, ADD | WIDTH),
    ROW(0x7c, F2, horizontal, ADD),
    ROW(0x7d, 66, horizontal, SUB | WIDTH),
    ROW(0x7d, F2, horizontal, SUB),
    FOUR(0xc2, cmp, 0),
    ROW(0xd0, 66, addsub, WIDTH),
    ROW(0xd0, F2, addsub, 0),
    ROW(0xe6, F3, from_dq, WIDTH),
};

const struct emit_table emit_ssefp = { rows, sizeof rows / sizeof rows[0] };
