/*
 * SSE moves, integer arithmetic and shuffles as v128 instructions. Floating point is in
 * emit_ssefp.c; MMX forms and the string comparisons go to their handlers.
 *
 * XMM registers are v128 locals. A 128-bit memory operand must be aligned unless the instruction
 * says otherwise: the look-up of the TLB takes the low address bits into its comparison, and the
 * slow path leaves for the interpreter, which raises #GP. Whether SSE is switched on can only
 * change where a block ends, so the first instruction of a block looks at cpu.sse_off.
 */
#include "jit-wasm/emit.h"

#include "jit-wasm/simd.h"

static uint32_t arg_of(const struct insn *i)
{
    return emit_row_of(i)->arg;
}

void sse_begin(struct emit *e)
{
    if (e->sse_checked)
        return;
    e->sse_checked = true;
    emit_load_fixed(e, W_I32_LOAD8_U, &e->c->sse_off);
    emit_leave_if(e, LEAVE_INTERP);
}

/* ---- pieces ---- */

void simd_const(struct emit *e, uint64_t low, uint64_t high)
{
    emit_simd(e, V128_CONST);
    wb_bytes(&e->b, &low, 8);
    wb_bytes(&e->b, &high, 8);
}

void simd_lane(struct emit *e, unsigned opcode, unsigned lane)
{
    emit_simd(e, opcode);
    wb_u8(&e->b, (uint8_t)lane);
}

/* Picks 16 of the 32 bytes of the two vectors on the stack. */
static void shuffle(struct emit *e, const uint8_t bytes[16])
{
    emit_simd(e, I8X16_SHUFFLE);
    wb_bytes(&e->b, bytes, 16);
}
/* The same by lanes of @size bytes: @count of them. */
static void shuffle_lanes(struct emit *e, unsigned size, const uint8_t *lanes)
{
    uint8_t bytes[16];
    for (unsigned k = 0; k < 16; k++)
        bytes[k] = (uint8_t)(lanes[k / size] * size + k % size);
    shuffle(e, bytes);
}
static void shuffle2(struct emit *e, uint8_t a, uint8_t b)
{
    shuffle_lanes(e, 8, (const uint8_t[]){ a, b });
}
static void shuffle4(struct emit *e, unsigned a, unsigned b, unsigned c, unsigned d)
{
    shuffle_lanes(e, 4, (const uint8_t[]){ (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d });
}

static void load_whole(struct emit *e, const struct insn *i, bool aligned)
{
    emit_load128(e, memory_operand(e, i, 16, ACCESS_READ), i->seg, aligned);
}

void sse_source(struct emit *e, const struct insn *i)
{
    if (in_memory(i))
        load_whole(e, i, true);
    else
        emit_get_xmm(e, i->rm);
}

void sse_source_low(struct emit *e, const struct insn *i, unsigned osz)
{
    if (in_memory(i))
        emit_load_low(e, memory_operand(e, i, 1u << osz, ACCESS_READ), i->seg, osz);
    else
        emit_get_xmm(e, i->rm);
}

static int source_tmp(struct emit *e, const struct insn *i)
{
    sse_source(e, i);
    return to_tmp(e, W_V128);
}

static void zero(struct emit *e)
{
    simd_const(e, 0, 0);
}

/* ---- lane by lane ---- */

enum { SWAP = 1 << 16 };

/* d = op(d, s), or op(s, d) with SWAP. */
static void emit_lanes(struct emit *e, const struct insn *i)
{
    uint32_t arg = arg_of(i);
    sse_begin(e);
    if (!in_memory(i) && i->r == i->rm && arg == V128_XOR) { /* zeroing */
        zero(e);
        emit_set_xmm(e, i->r);
        return;
    }
    if (!(arg & SWAP))
        emit_get_xmm(e, i->r);
    sse_source(e, i);
    if (arg & SWAP)
        emit_get_xmm(e, i->r);
    emit_simd(e, arg & 0xffff);
    emit_set_xmm(e, i->r);
}

/* d = op(s) */
static void emit_unary(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    sse_source(e, i);
    emit_simd(e, arg_of(i));
    emit_set_xmm(e, i->r);
}

/* Upper halves of 16-bit products; the argument is the extended multiplication of the low lanes. */
static void emit_mulh(struct emit *e, const struct insn *i)
{
    static const uint8_t odd[8] = { 1, 3, 5, 7, 9, 11, 13, 15 };
    sse_begin(e);
    int s = source_tmp(e, i);
    for (unsigned k = 0; k < 2; k++) {
        emit_get_xmm(e, i->r);
        get_local(e, s);
        emit_simd(e, arg_of(i) + k);
    }
    shuffle_lanes(e, 2, odd);
    emit_set_xmm(e, i->r);
}

/* 64-bit products of the even dwords. */
static void emit_mul_even(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    emit_get_xmm(e, i->r);
    emit_get_xmm(e, i->r);
    shuffle4(e, 0, 2, 0, 2);
    int s = source_tmp(e, i);
    get_local(e, s);
    get_local(e, s);
    shuffle4(e, 0, 2, 0, 2);
    emit_simd(e, arg_of(i));
    emit_set_xmm(e, i->r);
}

static void emit_psadbw(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    int s = source_tmp(e, i);
    emit_get_xmm(e, i->r);
    get_local(e, s);
    emit_simd(e, I8X16_MAX_U);
    emit_get_xmm(e, i->r);
    get_local(e, s);
    emit_simd(e, I8X16_MIN_U);
    emit_simd(e, I8X16_SUB);
    emit_simd(e, I16X8_EXTADD_U);
    emit_simd(e, I32X4_EXTADD_U);
    int sums = to_tmp(e, W_V128);
    get_local(e, sums);
    get_local(e, sums);
    emit_i32(e, 32);
    emit_simd(e, I64X2_SHR_U);
    emit_simd(e, I64X2_ADD);
    simd_const(e, 0xffffffff, 0xffffffff);
    emit_simd(e, V128_AND);
    emit_set_xmm(e, i->r);
}

static void emit_pmaddubsw(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    int s = source_tmp(e, i);
    emit_get_xmm(e, i->r);
    simd_const(e, 0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff);
    emit_simd(e, V128_AND);
    get_local(e, s);
    emit_i32(e, 8);
    emit_simd(e, I16X8_SHL);
    emit_i32(e, 8);
    emit_simd(e, I16X8_SHR_S);
    emit_simd(e, I16X8_MUL);
    emit_get_xmm(e, i->r);
    emit_i32(e, 8);
    emit_simd(e, I16X8_SHR_U);
    get_local(e, s);
    emit_i32(e, 8);
    emit_simd(e, I16X8_SHR_S);
    emit_simd(e, I16X8_MUL);
    emit_simd(e, I16X8_ADD_SAT_S);
    emit_set_xmm(e, i->r);
}

/* As q15mulr_sat_s, but -1 times -1 wraps. */
static void emit_pmulhrsw(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    int s = source_tmp(e, i);
    emit_get_xmm(e, i->r);
    get_local(e, s);
    emit_simd(e, I16X8_Q15MULR);
    for (unsigned k = 0; k < 2; k++) {
        if (k)
            get_local(e, s);
        else
            emit_get_xmm(e, i->r);
        simd_const(e, 0x8000800080008000, 0x8000800080008000);
        emit_simd(e, I16X8_EQ);
    }
    emit_simd(e, V128_AND);
    emit_simd(e, V128_XOR);
    emit_set_xmm(e, i->r);
}

/* Arguments: size of a lane | its subtraction << 8 | greater than << 16 | equal << 24. */
static void emit_psign(struct emit *e, const struct insn *i)
{
    uint32_t arg = arg_of(i);
    sse_begin(e);
    int s = source_tmp(e, i), negative;
    zero(e);
    get_local(e, s);
    emit_simd(e, arg >> 8 & 0xff);
    negative = to_tmp(e, W_V128);
    emit_get_xmm(e, i->r);
    get_local(e, negative);
    emit_simd(e, V128_XOR);
    get_local(e, negative);
    emit_simd(e, arg & 0xff);
    get_local(e, s);
    zero(e);
    emit_simd(e, arg >> 16 & 0xff);
    emit_simd(e, V128_ANDNOT);
    emit_set_xmm(e, i->r);
}

/* Neighbours of d, then of s. Arguments: the operation | size of a lane << 16. */
static void emit_horizontal(struct emit *e, const struct insn *i)
{
    uint32_t arg = arg_of(i);
    unsigned size = arg >> 16, lanes = 16 / size;
    uint8_t pick[8];
    sse_begin(e);
    int s = source_tmp(e, i);
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned l = 0; l < lanes; l++)
            pick[l] = (uint8_t)(2 * l + k);
        emit_get_xmm(e, i->r);
        get_local(e, s);
        shuffle_lanes(e, size, pick);
    }
    emit_simd(e, arg & 0xffff);
    emit_set_xmm(e, i->r);
}

/* ---- shifts ---- */

enum { SHIFT_ARITHMETIC = 1 << 16 };
#define SHIFT(opcode, bits, sar) ((opcode) | (bits) << 8 | ((sar) ? SHIFT_ARITHMETIC : 0))

static void emit_shift_imm(struct emit *e, const struct insn *i)
{
    uint32_t arg = arg_of(i), bits = arg >> 8 & 0xff, count = (uint8_t)i->imm;
    sse_begin(e);
    if (count >= bits && !(arg & SHIFT_ARITHMETIC)) {
        zero(e);
    } else {
        emit_get_xmm(e, i->rm);
        emit_i32(e, (int32_t)(count >= bits ? bits - 1 : count));
        emit_simd(e, arg & 0xff);
    }
    emit_set_xmm(e, i->rm);
}

static void emit_shift_lanes(struct emit *e, const struct insn *i)
{
    uint32_t arg = arg_of(i), bits = arg >> 8 & 0xff;
    sse_begin(e);
    sse_source(e, i);
    simd_lane(e, I64X2_EXTRACT, 0);
    int count = to_tmp(e, W_I64);
    emit_get_xmm(e, i->r);
    if (arg & SHIFT_ARITHMETIC) {
        get_local(e, count);
        emit_i64(e, bits - 1);
        get_local(e, count);
        emit_i64(e, bits - 1);
        op(e, W_I64_LT_U);
        op(e, W_SELECT);
        op(e, W_I32_WRAP_I64);
        emit_simd(e, arg & 0xff);
    } else {
        get_local(e, count);
        op(e, W_I32_WRAP_I64);
        emit_simd(e, arg & 0xff);
        emit_i64(e, 0);
        get_local(e, count);
        emit_i64(e, bits);
        op(e, W_I64_LT_U);
        op(e, W_I64_EXTEND_I32_U);
        op(e, W_I64_SUB);
        emit_simd(e, I64X2_SPLAT);
        emit_simd(e, V128_AND);
    }
    emit_set_xmm(e, i->r);
}

/* The 32 bytes on the stack (low ones below) shifted right by @n. */
static void shift_bytes(struct emit *e, unsigned n)
{
    uint8_t bytes[16];
    for (unsigned k = 0; k < 16; k++)
        bytes[k] = (uint8_t)(k + n);
    shuffle(e, bytes);
}

/* PSRLDQ, PSLLDQ (argument 1) */
static void emit_shift_bytes(struct emit *e, const struct insn *i)
{
    unsigned n = (uint8_t)i->imm;
    sse_begin(e);
    if (n > 15) {
        zero(e);
    } else if (arg_of(i)) {
        zero(e);
        emit_get_xmm(e, i->rm);
        shift_bytes(e, 16 - n);
    } else {
        emit_get_xmm(e, i->rm);
        zero(e);
        shift_bytes(e, n);
    }
    emit_set_xmm(e, i->rm);
}

static void emit_palignr(struct emit *e, const struct insn *i)
{
    unsigned n = (uint8_t)i->imm;
    sse_begin(e);
    sse_source(e, i);
    if (n < 16) {
        emit_get_xmm(e, i->r);
        shift_bytes(e, n);
    } else {
        op(e, W_DROP);
        if (n < 32) {
            emit_get_xmm(e, i->r);
            zero(e);
            shift_bytes(e, n - 16);
        } else {
            zero(e);
        }
    }
    emit_set_xmm(e, i->r);
}

/* ---- shuffles ---- */

/* Arguments: size of a lane | high half << 8. */
static void emit_unpack(struct emit *e, const struct insn *i)
{
    unsigned size = arg_of(i) & 0xff, lanes = 16 / size, from = arg_of(i) >> 8 ? lanes / 2 : 0;
    uint8_t pick[16];
    sse_begin(e);
    for (unsigned l = 0; l < lanes; l++)
        pick[l] = (uint8_t)(from + l / 2 + (l & 1) * lanes);
    emit_get_xmm(e, i->r);
    sse_source(e, i);
    shuffle_lanes(e, size, pick);
    emit_set_xmm(e, i->r);
}

/* PSHUFD (0), PSHUFLW (1), PSHUFHW (2) */
static void emit_pshuf(struct emit *e, const struct insn *i)
{
    unsigned kind = arg_of(i), imm = (uint8_t)i->imm;
    uint8_t pick[8];
    sse_begin(e);
    int s = source_tmp(e, i);
    get_local(e, s);
    get_local(e, s);
    for (unsigned l = 0; l < 8; l++)
        pick[l] = (uint8_t)l;
    for (unsigned l = 0; l < 4; l++)
        pick[kind == 2 ? 4 + l : l] = (uint8_t)((imm >> (2 * l) & 3) + (kind == 2 ? 4 : 0));
    shuffle_lanes(e, kind ? 2 : 4, pick);
    emit_set_xmm(e, i->r);
}

/* SHUFPS (0), SHUFPD (1) */
static void emit_shufp(struct emit *e, const struct insn *i)
{
    unsigned imm = (uint8_t)i->imm;
    sse_begin(e);
    emit_get_xmm(e, i->r);
    sse_source(e, i);
    if (arg_of(i))
        shuffle2(e, imm & 1, (uint8_t)(2 + (imm >> 1 & 1)));
    else
        shuffle4(e, imm & 3, imm >> 2 & 3, 4 + (imm >> 4 & 3), 4 + (imm >> 6 & 3));
    emit_set_xmm(e, i->r);
}

/* Indexes with bit 7 give 0, as those above 15 do in wasm; of the others only bits 0-3 count. */
static void emit_pshufb(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    emit_get_xmm(e, i->r);
    sse_source(e, i);
    simd_const(e, 0x8f8f8f8f8f8f8f8f, 0x8f8f8f8f8f8f8f8f);
    emit_simd(e, V128_AND);
    emit_simd(e, I8X16_SWIZZLE);
    emit_set_xmm(e, i->r);
}

/* Blends by an immediate: the argument is the size of a lane. */
static void emit_blend(struct emit *e, const struct insn *i)
{
    unsigned size = arg_of(i), lanes = 16 / size;
    uint8_t pick[8];
    sse_begin(e);
    for (unsigned l = 0; l < lanes; l++)
        pick[l] = (uint8_t)(l + ((unsigned)i->imm >> l & 1 ? lanes : 0));
    emit_get_xmm(e, i->r);
    sse_source(e, i);
    shuffle_lanes(e, size, pick);
    emit_set_xmm(e, i->r);
}

/* Blends by the sign bits of XMM0: the argument is the comparison of lanes. */
static void emit_blendv(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    sse_source(e, i);
    emit_get_xmm(e, i->r);
    zero(e);
    emit_get_xmm(e, 0);
    emit_simd(e, arg_of(i));
    emit_simd(e, V128_BITSELECT);
    emit_set_xmm(e, i->r);
}

/* Widening: up to three extensions of the low lanes, the first in the low byte; memory has
 * 1 << (argument >> 24) bytes. */
static void emit_widen(struct emit *e, const struct insn *i)
{
    uint32_t arg = arg_of(i);
    unsigned osz = arg >> 24;
    sse_begin(e);
    if (in_memory(i) && osz == 1) {
        emit_get_rm(e, 1);
        emit_simd(e, I32X4_SPLAT);
    } else {
        sse_source_low(e, i, osz);
    }
    for (unsigned k = 0; k < 3; k++)
        if (arg >> (8 * k) & 0xff)
            emit_simd(e, arg >> (8 * k) & 0xff);
    emit_set_xmm(e, i->r);
}

/* ---- moves ---- */

static void emit_load_move(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    if (in_memory(i))
        load_whole(e, i, arg_of(i));
    else
        emit_get_xmm(e, i->rm);
    emit_set_xmm(e, i->r);
}

static void emit_store_move(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    if (!in_memory(i)) {
        emit_get_xmm(e, i->r);
        emit_set_xmm(e, i->rm);
        return;
    }
    int la = memory_operand(e, i, 16, ACCESS_WRITE);
    emit_get_xmm(e, i->r);
    emit_store128(e, la, i->seg, to_tmp(e, W_V128), arg_of(i));
}

/* Stores a lane of register r. */
static void store_lane(struct emit *e, const struct insn *i, unsigned opcode, unsigned lane,
                       unsigned osz)
{
    int la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
    emit_get_xmm(e, i->r);
    simd_lane(e, opcode, lane);
    emit_store(e, la, i->seg, osz, to_tmp(e, value_type(osz)));
}

/* Lane 0 of register @from into register @to. */
static void merge_low(struct emit *e, unsigned to, unsigned from, unsigned osz)
{
    emit_get_xmm(e, to);
    emit_get_xmm(e, from);
    simd_lane(e, osz == 3 ? F64X2_EXTRACT : F32X4_EXTRACT, 0);
    simd_lane(e, osz == 3 ? F64X2_REPLACE : F32X4_REPLACE, 0);
    emit_set_xmm(e, to);
}

/* MOVSS, MOVSD: the argument is the size. */
static void emit_load_scalar(struct emit *e, const struct insn *i)
{
    unsigned osz = arg_of(i);
    sse_begin(e);
    if (!in_memory(i)) {
        merge_low(e, i->r, i->rm, osz);
        return;
    }
    sse_source_low(e, i, osz);
    emit_set_xmm(e, i->r);
}
static void emit_store_scalar(struct emit *e, const struct insn *i)
{
    unsigned osz = arg_of(i);
    sse_begin(e);
    if (!in_memory(i))
        merge_low(e, i->rm, i->r, osz);
    else
        store_lane(e, i, osz == 3 ? I64X2_EXTRACT : I32X4_EXTRACT, 0, osz);
}

/* MOVLPx, MOVHPx, MOVHLPS, MOVLHPS: the argument is the half of the destination. */
static void emit_load_half(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    emit_get_xmm(e, i->r);
    sse_source_low(e, i, 3);
    if (arg_of(i))
        shuffle2(e, 0, 2);
    else
        shuffle2(e, in_memory(i) ? 2 : 3, 1);
    emit_set_xmm(e, i->r);
}
static void emit_store_half(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    store_lane(e, i, I64X2_EXTRACT, arg_of(i), 3);
}

/* MOVDDUP, MOVSLDUP, MOVSHDUP */
static void emit_dup(struct emit *e, const struct insn *i)
{
    unsigned kind = arg_of(i);
    sse_begin(e);
    if (kind == 0)
        sse_source_low(e, i, 3);
    else
        sse_source(e, i);
    int s = to_tmp(e, W_V128);
    get_local(e, s);
    get_local(e, s);
    if (kind == 0)
        shuffle2(e, 0, 0);
    else
        shuffle4(e, kind - 1, kind - 1, kind + 1, kind + 1);
    emit_set_xmm(e, i->r);
}

/* MOVD, MOVQ between general and XMM registers. */
static void emit_movd_load(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz == 3 ? 3 : 2;
    sse_begin(e);
    if (in_memory(i)) {
        sse_source_low(e, i, osz);
    } else {
        zero(e);
        emit_get(e, osz, i->rm);
        simd_lane(e, osz == 3 ? I64X2_REPLACE : I32X4_REPLACE, 0);
    }
    emit_set_xmm(e, i->r);
}

/* A lane of r to r/m: extracts of all kinds. The value in a register has no garbage above. */
static void lane_to_rm(struct emit *e, const struct insn *i, unsigned opcode, unsigned lane,
                       unsigned osz)
{
    if (in_memory(i)) {
        store_lane(e, i, opcode, lane, osz);
        return;
    }
    emit_get_xmm(e, i->r);
    simd_lane(e, opcode, lane);
    emit_set(e, osz == 3 ? 3 : 2, i->rm);
}
static void emit_movd_store(struct emit *e, const struct insn *i)
{
    bool wide = i->osz == 3;
    sse_begin(e);
    lane_to_rm(e, i, wide ? I64X2_EXTRACT : I32X4_EXTRACT, 0, wide ? 3 : 2);
}

/* The low half of @from, zero-extended, to register @to. */
static void move_low(struct emit *e, unsigned to, unsigned from)
{
    zero(e);
    emit_get_xmm(e, from);
    simd_lane(e, F64X2_EXTRACT, 0);
    simd_lane(e, F64X2_REPLACE, 0);
    emit_set_xmm(e, to);
}
static void emit_movq_load(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    if (!in_memory(i)) {
        move_low(e, i->r, i->rm);
        return;
    }
    sse_source_low(e, i, 3);
    emit_set_xmm(e, i->r);
}
static void emit_movq_store(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    if (in_memory(i))
        store_lane(e, i, I64X2_EXTRACT, 0, 3);
    else
        move_low(e, i->rm, i->r);
}

/* ---- masks and single lanes ---- */

static void emit_mask(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    emit_get_xmm(e, i->rm);
    emit_simd(e, arg_of(i));
    emit_set(e, 2, i->r);
}

/* PEXTRW r, xmm (0F C5) */
static void emit_pextrw(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    emit_get_xmm(e, i->rm);
    simd_lane(e, I16X8_EXTRACT_U, i->imm & 7);
    emit_set(e, 2, i->r);
}

/* PEXTRB, PEXTRW, PEXTRD/Q, EXTRACTPS: the argument is the size, 2 for both of the third. */
static void emit_pextr(struct emit *e, const struct insn *i)
{
    unsigned osz = arg_of(i);
    bool wide = osz == 2 && i->osz == 3 && insn_opcode(i)->byte == 0x16;
    sse_begin(e);
    if (wide)
        lane_to_rm(e, i, I64X2_EXTRACT, i->imm & 1, 3);
    else if (osz == 2)
        lane_to_rm(e, i, I32X4_EXTRACT, i->imm & 3, 2);
    else if (osz == 1)
        lane_to_rm(e, i, I16X8_EXTRACT_U, i->imm & 7, 1);
    else
        lane_to_rm(e, i, I8X16_EXTRACT_U, i->imm & 15, 0);
}

static void emit_pinsr(struct emit *e, const struct insn *i)
{
    unsigned osz = arg_of(i) == 2 && i->osz == 3 ? 3 : arg_of(i);
    static const uint8_t ops[] = { I8X16_REPLACE, I16X8_REPLACE, I32X4_REPLACE, I64X2_REPLACE };
    sse_begin(e);
    emit_get_xmm(e, i->r);
    if (in_memory(i))
        emit_get_rm(e, osz);
    else
        emit_get(e, osz == 3 ? 3 : 2, i->rm);
    simd_lane(e, ops[osz], (unsigned)i->imm & (15u >> osz));
    emit_set_xmm(e, i->r);
}

static void emit_insertps(struct emit *e, const struct insn *i)
{
    unsigned imm = (uint8_t)i->imm;
    uint8_t pick[4] = { 0, 1, 2, 3 };
    sse_begin(e);
    pick[imm >> 4 & 3] = (uint8_t)(4 + (in_memory(i) ? 0 : imm >> 6));
    emit_get_xmm(e, i->r);
    sse_source_low(e, i, 2);
    shuffle_lanes(e, 4, pick);
    if (imm & 15) {
        simd_const(e, (imm & 1 ? 0 : 0xffffffffull) | (imm & 2 ? 0 : 0xffffffffull << 32),
                   (imm & 4 ? 0 : 0xffffffffull) | (imm & 8 ? 0 : 0xffffffffull << 32));
        emit_simd(e, V128_AND);
    }
    emit_set_xmm(e, i->r);
}

void sse_set_flags(struct emit *e, int nonzero, int carry)
{
    get_local(e, nonzero);
    op(e, W_I64_EXTEND_I32_U);
    set_local(e, e->fz);
    emit_i64(e, 1); /* SF = PF = 0 */
    set_local(e, e->fs);
    emit_i64(e, 0); /* CF with OF = 0: both top bits */
    get_local(e, carry);
    op(e, W_I64_EXTEND_I32_U);
    op(e, W_I64_SUB);
    emit_i64(e, 62);
    op(e, W_I64_SHL);
    set_local(e, e->fc);
    emit_i64(e, 0);
    set_local(e, e->fx);
    e->kind = FK_CANON;
}

static void emit_ptest(struct emit *e, const struct insn *i)
{
    sse_begin(e);
    int s = source_tmp(e, i);
    emit_get_xmm(e, i->r);
    get_local(e, s);
    emit_simd(e, V128_AND);
    emit_simd(e, V128_ANY_TRUE);
    int nonzero = to_tmp(e, W_I32);
    get_local(e, s);
    emit_get_xmm(e, i->r);
    emit_simd(e, V128_ANDNOT);
    emit_simd(e, V128_ANY_TRUE);
    op(e, W_I32_EQZ);
    int carry = to_tmp(e, W_I32);
    if (flags_wanted(e))
        sse_set_flags(e, nonzero, carry);
}

/* ---- table ---- */

#define ROW(mp, by, pfx, rg, f, a)                                                                 \
    {                                                                                              \
        .map = MAP_##mp, .first = by, .last = by, .prefix = PFX_##pfx, .reg = rg, .fn = emit_##f,  \
        .arg = a                                                                                   \
    }
#define V(by, f, a)      ROW(0F, by, 66, R_ANY, f, a)
#define P(by, pfx, f, a) ROW(0F, by, pfx, R_ANY, f, a)
#define S(by, f, a)      ROW(0F38, by, 66, R_ANY, f, a)
#define I(by, f, a)      ROW(0F3A, by, 66, R_ANY, f, a)
#define PS_PD(by, f, a)  P(by, NP, f, a), P(by, 66, f, a)
#define SHIFTS(by, grp, rg, opcode, bits, sar)                                                     \
    V(by, shift_lanes, SHIFT(opcode, bits, sar)),                                                  \
        ROW(0F, grp, 66, rg, shift_imm, SHIFT(opcode, bits, sar))
#define WIDEN(a, b, c, osz) ((a) | (b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(osz) << 24)

static const struct emit_row rows[] = {
    PS_PD(0x10, load_move, false),
    P(0x10, F3, load_scalar, 2),
    P(0x10, F2, load_scalar, 3),
    PS_PD(0x11, store_move, false),
    P(0x11, F3, store_scalar, 2),
    P(0x11, F2, store_scalar, 3),
    PS_PD(0x12, load_half, 0),
    P(0x12, F3, dup, 1),
    P(0x12, F2, dup, 0),
    PS_PD(0x13, store_half, 0),
    P(0x14, NP, unpack, 4),
    P(0x14, 66, unpack, 8),
    P(0x15, NP, unpack, 4 | 1 << 8),
    P(0x15, 66, unpack, 8 | 1 << 8),
    PS_PD(0x16, load_half, 1),
    P(0x16, F3, dup, 2),
    PS_PD(0x17, store_half, 1),
    PS_PD(0x28, load_move, true),
    PS_PD(0x29, store_move, true),
    PS_PD(0x2b, store_move, true),
    P(0x50, NP, mask, I32X4_BITMASK),
    P(0x50, 66, mask, I64X2_BITMASK),
    PS_PD(0x54, lanes, V128_AND),
    PS_PD(0x55, lanes, V128_ANDNOT | SWAP),
    PS_PD(0x56, lanes, V128_OR),
    PS_PD(0x57, lanes, V128_XOR),
    V(0x60, unpack, 1),
    V(0x61, unpack, 2),
    V(0x62, unpack, 4),
    V(0x63, lanes, I8X16_NARROW_S),
    V(0x64, lanes, I8X16_GT_S),
    V(0x65, lanes, I16X8_GT_S),
    V(0x66, lanes, I32X4_GT_S),
    V(0x67, lanes, I8X16_NARROW_U),
    V(0x68, unpack, 1 | 1 << 8),
    V(0x69, unpack, 2 | 1 << 8),
    V(0x6a, unpack, 4 | 1 << 8),
    V(0x6b, lanes, I16X8_NARROW_S),
    V(0x6c, unpack, 8),
    V(0x6d, unpack, 8 | 1 << 8),
    V(0x6e, movd_load, 0),
    V(0x6f, load_move, true),
    P(0x6f, F3, load_move, false),
    V(0x70, pshuf, 0),
    P(0x70, F2, pshuf, 1),
    P(0x70, F3, pshuf, 2),
    V(0x74, lanes, I8X16_EQ),
    V(0x75, lanes, I16X8_EQ),
    V(0x76, lanes, I32X4_EQ),
    V(0x7e, movd_store, 0),
    P(0x7e, F3, movq_load, 0),
    V(0x7f, store_move, true),
    P(0x7f, F3, store_move, false),
    V(0xc4, pinsr, 1),
    V(0xc5, pextrw, 0),
    P(0xc6, NP, shufp, 0),
    P(0xc6, 66, shufp, 1),
    SHIFTS(0xd1, 0x71, 2, I16X8_SHR_U, 16, false),
    SHIFTS(0xd2, 0x72, 2, I32X4_SHR_U, 32, false),
    SHIFTS(0xd3, 0x73, 2, I64X2_SHR_U, 64, false),
    SHIFTS(0xe1, 0x71, 4, I16X8_SHR_S, 16, true),
    SHIFTS(0xe2, 0x72, 4, I32X4_SHR_S, 32, true),
    SHIFTS(0xf1, 0x71, 6, I16X8_SHL, 16, false),
    SHIFTS(0xf2, 0x72, 6, I32X4_SHL, 32, false),
    SHIFTS(0xf3, 0x73, 6, I64X2_SHL, 64, false),
    ROW(0F, 0x73, 66, 3, shift_bytes, 0),
    ROW(0F, 0x73, 66, 7, shift_bytes, 1),
    V(0xd4, lanes, I64X2_ADD),
    V(0xd5, lanes, I16X8_MUL),
    V(0xd6, movq_store, 0),
    V(0xd7, mask, I8X16_BITMASK),
    V(0xd8, lanes, I8X16_SUB_SAT_U),
    V(0xd9, lanes, I16X8_SUB_SAT_U),
    V(0xda, lanes, I8X16_MIN_U),
    V(0xdb, lanes, V128_AND),
    V(0xdc, lanes, I8X16_ADD_SAT_U),
    V(0xdd, lanes, I16X8_ADD_SAT_U),
    V(0xde, lanes, I8X16_MAX_U),
    V(0xdf, lanes, V128_ANDNOT | SWAP),
    V(0xe0, lanes, I8X16_AVGR_U),
    V(0xe3, lanes, I16X8_AVGR_U),
    V(0xe4, mulh, I32X4_EXTMUL_LOW_U),
    V(0xe5, mulh, I32X4_EXTMUL_LOW_S),
    V(0xe7, store_move, true),
    V(0xe8, lanes, I8X16_SUB_SAT_S),
    V(0xe9, lanes, I16X8_SUB_SAT_S),
    V(0xea, lanes, I16X8_MIN_S),
    V(0xeb, lanes, V128_OR),
    V(0xec, lanes, I8X16_ADD_SAT_S),
    V(0xed, lanes, I16X8_ADD_SAT_S),
    V(0xee, lanes, I16X8_MAX_S),
    V(0xef, lanes, V128_XOR),
    P(0xf0, F2, load_move, false),
    V(0xf4, mul_even, I64X2_EXTMUL_LOW_U),
    V(0xf5, lanes, I32X4_DOT),
    V(0xf6, psadbw, 0),
    V(0xf8, lanes, I8X16_SUB),
    V(0xf9, lanes, I16X8_SUB),
    V(0xfa, lanes, I32X4_SUB),
    V(0xfb, lanes, I64X2_SUB),
    V(0xfc, lanes, I8X16_ADD),
    V(0xfd, lanes, I16X8_ADD),
    V(0xfe, lanes, I32X4_ADD),

    S(0x00, pshufb, 0),
    S(0x01, horizontal, I16X8_ADD | 2 << 16),
    S(0x02, horizontal, I32X4_ADD | 4 << 16),
    S(0x03, horizontal, I16X8_ADD_SAT_S | 2 << 16),
    S(0x04, pmaddubsw, 0),
    S(0x05, horizontal, I16X8_SUB | 2 << 16),
    S(0x06, horizontal, I32X4_SUB | 4 << 16),
    S(0x07, horizontal, I16X8_SUB_SAT_S | 2 << 16),
    S(0x08, psign, I8X16_SUB | I8X16_GT_S << 8 | I8X16_EQ << 16),
    S(0x09, psign, I16X8_SUB | I16X8_GT_S << 8 | I16X8_EQ << 16),
    S(0x0a, psign, I32X4_SUB | I32X4_GT_S << 8 | I32X4_EQ << 16),
    S(0x0b, pmulhrsw, 0),
    S(0x10, blendv, I8X16_GT_S),
    S(0x14, blendv, I32X4_GT_S),
    S(0x15, blendv, I64X2_GT_S),
    S(0x17, ptest, 0),
    S(0x1c, unary, I8X16_ABS),
    S(0x1d, unary, I16X8_ABS),
    S(0x1e, unary, I32X4_ABS),
    S(0x20, widen, WIDEN(I16X8_EXTEND_LOW_S, 0, 0, 3)),
    S(0x21, widen, WIDEN(I16X8_EXTEND_LOW_S, I32X4_EXTEND_LOW_S, 0, 2)),
    S(0x22, widen, WIDEN(I16X8_EXTEND_LOW_S, I32X4_EXTEND_LOW_S, I64X2_EXTEND_LOW_S, 1)),
    S(0x23, widen, WIDEN(I32X4_EXTEND_LOW_S, 0, 0, 3)),
    S(0x24, widen, WIDEN(I32X4_EXTEND_LOW_S, I64X2_EXTEND_LOW_S, 0, 2)),
    S(0x25, widen, WIDEN(I64X2_EXTEND_LOW_S, 0, 0, 3)),
    S(0x28, mul_even, I64X2_EXTMUL_LOW_S),
    S(0x29, lanes, I64X2_EQ),
    S(0x2a, load_move, true),
    S(0x2b, lanes, I16X8_NARROW_U),
    S(0x30, widen, WIDEN(I16X8_EXTEND_LOW_U, 0, 0, 3)),
    S(0x31, widen, WIDEN(I16X8_EXTEND_LOW_U, I32X4_EXTEND_LOW_U, 0, 2)),
    S(0x32, widen, WIDEN(I16X8_EXTEND_LOW_U, I32X4_EXTEND_LOW_U, I64X2_EXTEND_LOW_U, 1)),
    S(0x33, widen, WIDEN(I32X4_EXTEND_LOW_U, 0, 0, 3)),
    S(0x34, widen, WIDEN(I32X4_EXTEND_LOW_U, I64X2_EXTEND_LOW_U, 0, 2)),
    S(0x35, widen, WIDEN(I64X2_EXTEND_LOW_U, 0, 0, 3)),
    S(0x37, lanes, I64X2_GT_S),
    S(0x38, lanes, I8X16_MIN_S),
    S(0x39, lanes, I32X4_MIN_S),
    S(0x3a, lanes, I16X8_MIN_U),
    S(0x3b, lanes, I32X4_MIN_U),
    S(0x3c, lanes, I8X16_MAX_S),
    S(0x3d, lanes, I32X4_MAX_S),
    S(0x3e, lanes, I16X8_MAX_U),
    S(0x3f, lanes, I32X4_MAX_U),
    S(0x40, lanes, I32X4_MUL),

    I(0x0c, blend, 4),
    I(0x0d, blend, 8),
    I(0x0e, blend, 2),
    I(0x0f, palignr, 0),
    I(0x14, pextr, 0),
    I(0x15, pextr, 1),
    I(0x16, pextr, 2),
    I(0x17, pextr, 2),
    I(0x20, pinsr, 0),
    I(0x21, insertps, 0),
    I(0x22, pinsr, 2),
};

const struct emit_table emit_sse = { rows, sizeof rows / sizeof rows[0] };
