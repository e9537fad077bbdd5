/*
 * Flags in translated code.
 *
 * An instruction whose flags are wanted only leaves its operands in the raw locals; the kind, known
 * at translation time, says what they are. A condition right after it is one comparison of those.
 * At the end of a block the kind is still known to a block that has no other predecessor; other
 * blocks get it as their need (live.c) has it: a number in the local fk, for which only C
 * (jit_settle) ever computes flags, or the canonical words of flags.h. Between regions they stay
 * raw too, in memory.
 */
#include "jit-wasm/emit.h"

int flags_raw(struct emit *e, unsigned osz, unsigned k)
{
    int16_t *local = &e->raw[osz == 3][k];
    e->raw_used |= (uint8_t)(1u << (k + (osz == 3 ? 3 : 0)));
    if (*local == NO_LOCAL)
        *local = (int16_t)emit_local(e, value_type(osz));
    return *local;
}

void flags_set(struct emit *e, enum flag_kind kind, unsigned osz)
{
    if (flags_wanted(e))
        e->kind = (int)kind | (int)osz;
}

static void get_raw(struct emit *e, unsigned k)
{
    get_local(e, flags_raw(e, FK_OSZ(e->kind), k));
}

/* Operators by width: [0] i32, [1] i64. */
static void op2(struct emit *e, enum wasm_op narrow, enum wasm_op wide)
{
    op(e, FK_OSZ(e->kind) == 3 ? wide : narrow);
}

/* Sign-extends the value on the stack from its size to its type. */
static void sign_extend(struct emit *e)
{
    if (FK_OSZ(e->kind) == 0)
        op(e, W_I32_EXTEND8_S);
    else if (FK_OSZ(e->kind) == 1)
        op(e, W_I32_EXTEND16_S);
}
static void zero_extend(struct emit *e)
{
    if (FK_OSZ(e->kind) < 2) {
        emit_i32(e, FK_OSZ(e->kind) ? 0xffff : 0xff);
        op(e, W_I32_AND);
    }
}

/* The result of the operation, with garbage above its size. */
static void get_result(struct emit *e)
{
    switch (FK_OP(e->kind)) {
    case FK_ADD:
        get_raw(e, 0);
        get_raw(e, 1);
        op2(e, W_I32_ADD, W_I64_ADD);
        break;
    case FK_SUB:
        get_raw(e, 0);
        get_raw(e, 1);
        op2(e, W_I32_SUB, W_I64_SUB);
        break;
    case FK_SHL:
        get_raw(e, 0);
        get_raw(e, 1);
        op2(e, W_I32_SHL, W_I64_SHL);
        break;
    case FK_SHR:
        get_raw(e, 0);
        get_raw(e, 1);
        op2(e, W_I32_SHR_U, W_I64_SHR_U);
        break;
    case FK_SAR:
        get_raw(e, 0);
        sign_extend(e);
        get_raw(e, 1);
        op2(e, W_I32_SHR_S, W_I64_SHR_S);
        break;
    default: get_raw(e, 2); break;
    }
}

/* ---- the canonical words ---- */

/* Raw operand @k as i64, zero-extended. */
static void get_raw64(struct emit *e, unsigned k)
{
    get_raw(e, k);
    if (FK_OSZ(e->kind) != 3)
        op(e, W_I64_EXTEND_I32_U);
}

/* fz = fs = the i64 on the stack, sign-extended from the operation's size. */
static void set_result64(struct emit *e)
{
    static const uint8_t extend[] = { W_I64_EXTEND8_S, W_I64_EXTEND16_S, W_I64_EXTEND32_S };
    if (FK_OSZ(e->kind) < 3)
        op(e, extend[FK_OSZ(e->kind)]);
    tee_local(e, e->fz);
    set_local(e, e->fs);
}

static void set_zero(struct emit *e, int local)
{
    emit_i64(e, 0);
    set_local(e, local);
}

static void shift64(struct emit *e, enum wasm_op o, int64_t n)
{
    if (n) {
        emit_i64(e, n);
        op(e, o);
    }
}

static void canonical_add(struct emit *e, bool sub, bool carry)
{
    unsigned osz = FK_OSZ(e->kind);
    int a = emit_tmp(e, W_I64), b = emit_tmp(e, W_I64), r = emit_tmp(e, W_I64);
    get_raw64(e, 0);
    set_local(e, a);
    get_raw64(e, 1);
    set_local(e, b);
    get_local(e, a);
    get_local(e, b);
    op(e, sub ? W_I64_SUB : W_I64_ADD);
    if (carry) { /* the carry that went in: bit 0 of r ^ a ^ b */
        get_raw64(e, 2);
        get_local(e, a);
        op(e, W_I64_XOR);
        get_local(e, b);
        op(e, W_I64_XOR);
        emit_i64(e, 1);
        op(e, W_I64_AND);
        op(e, sub ? W_I64_SUB : W_I64_ADD);
    }
    set_local(e, r);
    get_local(e, a);
    get_local(e, b);
    op(e, W_I64_XOR);
    get_local(e, r);
    op(e, W_I64_XOR);
    set_local(e, e->fx);
    if (osz < 3) {
        get_local(e, e->fx);
        shift64(e, W_I64_SHL, 63 - (8 << osz));
    } else { /* (x & b) | ((x | b) & ~r), x = a or ~a; SUB: r itself */
        int x = a;
        if (sub) {
            get_local(e, a);
            emit_i64(e, -1);
            op(e, W_I64_XOR);
            x = emit_tmp(e, W_I64);
            set_local(e, x);
        }
        get_local(e, x);
        get_local(e, b);
        op(e, W_I64_AND);
        get_local(e, x);
        get_local(e, b);
        op(e, W_I64_OR);
        get_local(e, r);
        if (!sub) {
            emit_i64(e, -1);
            op(e, W_I64_XOR);
        }
        op(e, W_I64_AND);
        op(e, W_I64_OR);
    }
    set_local(e, e->fc);
    get_local(e, r);
    set_result64(e);
}

/* INC, DEC: CF stays in fc; OF if the sign bit alone is the result (or was the operand). */
static void canonical_incdec(struct emit *e, bool dec)
{
    unsigned bits = 8u << FK_OSZ(e->kind);
    int r = emit_tmp(e, W_I64);
    int64_t special = dec ? (int64_t)((1ull << (bits - 1)) - 1) : (int64_t)(1ull << (bits - 1));
    get_raw64(e, 2);
    set_local(e, r);
    get_local(e, r); /* a ^ 1 ^ r */
    emit_i64(e, dec ? 1 : -1);
    op(e, W_I64_ADD);
    get_local(e, r);
    op(e, W_I64_XOR);
    emit_i64(e, 1);
    op(e, W_I64_XOR);
    set_local(e, e->fx);
    get_local(e, e->fc); /* cf << 63 | (cf ^ of) << 62 */
    shift64(e, W_I64_SHR_S, 63);
    get_local(e, r);
    emit_i64(e, special);
    op(e, W_I64_EQ);
    op(e, W_I64_EXTEND_I32_U);
    op(e, W_I64_XOR);
    emit_i64(e, 1);
    op(e, W_I64_AND);
    shift64(e, W_I64_SHL, 62);
    get_local(e, e->fc);
    emit_i64(e, (int64_t)(1ull << 63));
    op(e, W_I64_AND);
    op(e, W_I64_OR);
    set_local(e, e->fc);
    get_local(e, r);
    set_result64(e);
}

static void canonical_shift(struct emit *e)
{
    unsigned osz = FK_OSZ(e->kind), bits = 8u << osz;
    int op_ = FK_OP(e->kind);
    set_zero(e, e->fx);
    get_raw64(e, 0);
    if (op_ == FK_SAR && osz < 3) {
        static const uint8_t extend[] = { W_I64_EXTEND8_S, W_I64_EXTEND16_S, W_I64_EXTEND32_S };
        op(e, extend[osz]);
    }
    get_raw64(e, 1);
    if (op_ == FK_SHL) { /* CF and the new sign bit end up next to one another */
        if (osz == 3) {
            emit_i64(e, 1);
            op(e, W_I64_SUB);
        }
        op(e, W_I64_SHL);
        if (osz < 3)
            shift64(e, W_I64_SHL, 63 - bits);
        set_local(e, e->fc);
    } else { /* the last bit shifted out */
        int cf = emit_tmp(e, W_I64);
        emit_i64(e, 1);
        op(e, W_I64_SUB);
        op(e, op_ == FK_SAR ? W_I64_SHR_S : W_I64_SHR_U);
        emit_i64(e, 1);
        op(e, W_I64_AND);
        tee_local(e, cf);
        shift64(e, W_I64_SHL, 63);
        get_local(e, cf);
        if (op_ == FK_SHR) { /* OF: the old sign bit, if the count is 1 */
            get_raw64(e, 0);
            shift64(e, W_I64_SHR_U, bits - 1);
            get_raw64(e, 1);
            emit_i64(e, 1);
            op(e, W_I64_EQ);
            op(e, W_I64_EXTEND_I32_U);
            op(e, W_I64_AND);
            op(e, W_I64_XOR);
        }
        shift64(e, W_I64_SHL, 62);
        op(e, W_I64_OR);
        set_local(e, e->fc);
    }
    get_result(e);
    if (osz < 3)
        op(e, W_I64_EXTEND_I32_U);
    set_result64(e);
}

/* CF = OF = the product doesn't fit. */
static void canonical_mul(struct emit *e, bool is_signed)
{
    unsigned osz = FK_OSZ(e->kind);
    static const uint8_t extend[] = { W_I64_EXTEND8_S, W_I64_EXTEND16_S, W_I64_EXTEND32_S };
    int r = emit_tmp(e, W_I64);
    for (unsigned k = 0; k < 2; k++) {
        get_raw64(e, k);
        if (is_signed && osz < 3)
            op(e, extend[osz]);
    }
    op(e, W_I64_MUL);
    set_local(e, r);
    if (osz < 3) {
        get_local(e, r);
        get_local(e, r);
        if (is_signed) {
            op(e, extend[osz]);
        } else {
            emit_i64(e, (int64_t)((1ull << (8u << osz)) - 1));
            op(e, W_I64_AND);
        }
    } else {
        get_raw64(e, 0);
        get_raw64(e, 1);
        emit_call(e, is_signed ? IM_MULHS : IM_MULHU);
        if (is_signed) {
            get_local(e, r);
            shift64(e, W_I64_SHR_S, 63);
        } else {
            emit_i64(e, 0);
        }
    }
    op(e, W_I64_NE);
    op(e, W_I64_EXTEND_I32_U);
    shift64(e, W_I64_SHL, 63);
    set_local(e, e->fc);
    set_zero(e, e->fx);
    get_local(e, r);
    set_result64(e);
}

/* CF is the last bit shifted out, CF ^ OF the top bit of a ^ r ^ CF. */
static void canonical_double_shift(struct emit *e)
{
    unsigned bits = 8u << FK_OSZ(e->kind);
    int cf = emit_tmp(e, W_I64);
    set_zero(e, e->fx);
    get_raw64(e, 0);
    if (FK_OP(e->kind) == FK_SHLD) {
        emit_i64(e, bits);
        get_raw64(e, 1);
    } else {
        get_raw64(e, 1);
        emit_i64(e, 1);
    }
    op(e, W_I64_SUB);
    op(e, W_I64_SHR_U);
    tee_local(e, cf);
    shift64(e, W_I64_SHL, 63);
    get_raw64(e, 0);
    get_raw64(e, 2);
    op(e, W_I64_XOR);
    shift64(e, W_I64_SHR_U, bits - 1);
    get_local(e, cf);
    op(e, W_I64_XOR);
    emit_i64(e, 1);
    op(e, W_I64_AND);
    shift64(e, W_I64_SHL, 62);
    op(e, W_I64_OR);
    set_local(e, e->fc);
    get_raw64(e, 2);
    set_result64(e);
}

/* ---- memory ---- */

static void store_words(struct emit *e)
{
    store_local(e, W_I64_STORE, e->fz, &e->c->fl_z);
    store_local(e, W_I64_STORE, e->fs, &e->c->fl_s);
    store_local(e, W_I64_STORE, e->fc, &e->c->fl_co);
    store_local(e, W_I64_STORE, e->fx, &e->c->fl_a);
}

void flags_load(struct emit *e)
{
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_z);
    set_local(e, e->fz);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_s);
    set_local(e, e->fs);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_co);
    set_local(e, e->fc);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_a);
    set_local(e, e->fx);
}

static void store_raw(struct emit *e, unsigned wide, unsigned k, struct jit_flags *to)
{
    if (wide)
        store_local(e, W_I64_STORE, e->raw[1][k], &to->raw64[k]);
    else
        store_local(e, W_I32_STORE, e->raw[0][k], &to->raw32[k]);
}

void flags_store_raw(struct emit *e, struct jit_flags *to)
{
    for (unsigned wide = 0; wide < 2; wide++)
        for (unsigned k = 0; k < 3; k++)
            if (e->raw[wide][k] != NO_LOCAL)
                store_raw(e, wide, k, to);
}

static void store_kind(struct emit *e, int kind)
{
    emit_store_begin(e);
    emit_i32(e, kind);
    emit_store_end(e, W_I32_STORE, &jit_shared.flags.kind);
}

/* Which raw operands a kind has, as a mask. */
static unsigned operands(int kind)
{
    switch (FK_OP(kind)) {
    case FK_LOGIC:
    case FK_INC:
    case FK_DEC: return 4;
    case FK_ADC:
    case FK_SBB:
    case FK_SHLD:
    case FK_SHRD: return 7;
    default: return 3;
    }
}

void flags_to_memory(struct emit *e)
{
    switch (FK_OP(e->kind)) {
    case FK_MEM: return;
    case FK_CANON:
        store_words(e);
        store_kind(e, FK_CANON);
        return;
    case FK_DYN:
        get_local(e, e->fk);
        emit_i32(e, FK_MEM);
        op(e, W_I32_NE);
        open_block(e, W_IF, W_VOID);
        store_words(e);
        flags_store_raw(e, &jit_shared.flags);
        store_local(e, W_I32_STORE, e->fk, &jit_shared.flags.kind);
        close_block(e);
        return;
    default: break;
    }
    for (unsigned k = 0; k < 3; k++)
        if (operands(e->kind) >> k & 1)
            store_raw(e, FK_OSZ(e->kind) == 3, k, &jit_shared.flags);
    if (FK_OP(e->kind) == FK_INC || FK_OP(e->kind) == FK_DEC || (e->kind & FK_CO))
        store_local(e, W_I64_STORE, e->fc, &e->c->fl_co);
    store_kind(e, e->kind);
}

/* Flags in memory are in struct cpu from here on. */
static void settle_memory(struct emit *e)
{
    emit_load_fixed(e, W_I32_LOAD, &jit_shared.flags.kind);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    emit_call(e, IM_SETTLE);
    close_block(e);
}

void flags_to_cpu(struct emit *e)
{
    if (e->kind != FK_MEM && e->kind != FK_DYN) {
        flags_canonical(e);
        store_words(e);
        store_kind(e, FK_CANON);
    } else {
        flags_to_memory(e);
        settle_memory(e);
    }
    e->kind = FK_MEM;
}

void flags_canonical(struct emit *e)
{
    int co = NO_LOCAL;
    if (e->kind & FK_CO) {
        co = emit_tmp(e, W_I64);
        get_local(e, e->fc);
        set_local(e, co);
    }
    switch (FK_OP(e->kind)) {
    case FK_CANON: return;
    case FK_ADD: canonical_add(e, false, false); break;
    case FK_SUB: canonical_add(e, true, false); break;
    case FK_ADC: canonical_add(e, false, true); break;
    case FK_SBB: canonical_add(e, true, true); break;
    case FK_LOGIC:
        set_zero(e, e->fc);
        set_zero(e, e->fx);
        get_raw64(e, 2);
        set_result64(e);
        break;
    case FK_INC: canonical_incdec(e, false); break;
    case FK_DEC: canonical_incdec(e, true); break;
    case FK_SHL:
    case FK_SHR:
    case FK_SAR: canonical_shift(e); break;
    case FK_IMUL: canonical_mul(e, true); break;
    case FK_MUL: canonical_mul(e, false); break;
    case FK_SHLD:
    case FK_SHRD: canonical_double_shift(e); break;
    default:
        flags_to_cpu(e);
        flags_load(e);
        break;
    }
    if (co != NO_LOCAL) {
        get_local(e, co);
        set_local(e, e->fc);
    }
    e->kind = FK_CANON;
}

/* ---- single flags, as i32 0 or 1 ---- */

static void negative64(struct emit *e)
{
    emit_i64(e, 0);
    op(e, W_I64_LT_S);
}

static bool is_shift(int kind)
{
    return FK_OP(kind) == FK_SHL || FK_OP(kind) == FK_SHR || FK_OP(kind) == FK_SAR;
}

/* Kinds whose conditions are computed from the canonical words. */
static bool needs_canonical(const struct emit *e, bool carry_or_overflow)
{
    switch (FK_OP(e->kind)) {
    case FK_ADD:
    case FK_SUB:
    case FK_LOGIC:
    case FK_INC:
    case FK_DEC:
    case FK_CANON: return false;
    case FK_ADC:
    case FK_SBB:
    case FK_SHLD:
    case FK_SHRD: return carry_or_overflow;
    case FK_DYN: return true;
    default: return !is_shift(e->kind) || carry_or_overflow;
    }
}

void flags_carry(struct emit *e)
{
    if (e->kind & FK_CO) {
        get_local(e, e->fc);
        negative64(e);
        return;
    }
    switch (FK_OP(e->kind)) {
    case FK_SUB:
        get_raw(e, 0);
        get_raw(e, 1);
        op2(e, W_I32_LT_U, W_I64_LT_U);
        break;
    case FK_ADD:
        get_result(e);
        zero_extend(e);
        get_raw(e, 0);
        op2(e, W_I32_LT_U, W_I64_LT_U);
        break;
    case FK_LOGIC: emit_i32(e, 0); break;
    case FK_CANON:
    case FK_INC:
    case FK_DEC:
    case FK_DYN: /* the need was FN_CARRY: it is in fc */
        get_local(e, e->fc);
        negative64(e);
        break;
    default:
        flags_canonical(e);
        get_local(e, e->fc);
        negative64(e);
        break;
    }
}

void flags_carry_to_fc(struct emit *e)
{
    if (e->kind & FK_CO)
        return;
    switch (FK_OP(e->kind)) {
    case FK_CANON:
    case FK_INC:
    case FK_DEC:
    case FK_DYN: return;
    case FK_MEM: flags_canonical(e); return;
    default: break;
    }
    flags_carry(e);
    if (e->kind == FK_CANON)
        op(e, W_DROP);
    else {
        op(e, W_I64_EXTEND_I32_U);
        shift64(e, W_I64_SHL, 63);
        set_local(e, e->fc);
    }
}

static void zero_flag(struct emit *e)
{
    if (e->kind == FK_CANON) {
        get_local(e, e->fz);
        op(e, W_I64_EQZ);
    } else if (FK_OP(e->kind) == FK_SUB) {
        get_raw(e, 0);
        get_raw(e, 1);
        op2(e, W_I32_EQ, W_I64_EQ);
    } else {
        get_result(e);
        zero_extend(e);
        op2(e, W_I32_EQZ, W_I64_EQZ);
    }
}

static void compare_zero(struct emit *e, enum wasm_op narrow, enum wasm_op wide)
{
    if (FK_OSZ(e->kind) == 3)
        emit_i64(e, 0);
    else
        emit_i32(e, 0);
    op2(e, narrow, wide);
}

static void sign_flag(struct emit *e)
{
    if (e->kind == FK_CANON) {
        get_local(e, e->fs);
        negative64(e);
        return;
    }
    get_result(e);
    sign_extend(e);
    compare_zero(e, W_I32_LT_S, W_I64_LT_S);
}

static void overflow_flag(struct emit *e)
{
    unsigned bits = 8u << FK_OSZ(e->kind);
    if (e->kind == FK_CANON || (e->kind & FK_CO)) {
        get_local(e, e->fc);
        get_local(e, e->fc);
        shift64(e, W_I64_SHL, 1);
        op(e, W_I64_XOR);
        negative64(e);
        return;
    }
    switch (FK_OP(e->kind)) {
    case FK_LOGIC: emit_i32(e, 0); return;
    case FK_INC:
    case FK_DEC:
        get_raw(e, 2);
        zero_extend(e);
        emit_const(e, FK_OSZ(e->kind),
                   FK_OP(e->kind) == FK_INC ? (int64_t)(1ull << (bits - 1))
                                            : (int64_t)((1ull << (bits - 1)) - 1));
        op2(e, W_I32_EQ, W_I64_EQ);
        return;
    default: /* ADD: (a ^ r) & (b ^ r); SUB: (a ^ b) & (a ^ r) */
        get_raw(e, 0);
        get_result(e);
        op2(e, W_I32_XOR, W_I64_XOR);
        get_raw(e, 1);
        if (FK_OP(e->kind) == FK_ADD)
            get_result(e);
        else
            get_raw(e, 0);
        op2(e, W_I32_XOR, W_I64_XOR);
        op2(e, W_I32_AND, W_I64_AND);
        sign_extend(e);
        compare_zero(e, W_I32_LT_S, W_I64_LT_S);
        return;
    }
}

static void parity_flag(struct emit *e)
{
    if (e->kind == FK_CANON) {
        get_local(e, e->fs);
        op(e, W_I32_WRAP_I64);
    } else {
        get_result(e);
        if (FK_OSZ(e->kind) == 3)
            op(e, W_I32_WRAP_I64);
    }
    emit_i32(e, 0xff);
    op(e, W_I32_AND);
    op(e, W_I32_POPCNT);
    emit_i32(e, 1);
    op(e, W_I32_AND);
    op(e, W_I32_EQZ);
}

/* Conditions 2-7 and 12-15 of a SUB are one comparison of its operands. */
static bool fused_sub(struct emit *e, unsigned cc)
{
    static const uint8_t ops[16][2] = {
        [2] = { W_I32_LT_U, W_I64_LT_U },  [3] = { W_I32_GE_U, W_I64_GE_U },
        [4] = { W_I32_EQ, W_I64_EQ },      [5] = { W_I32_NE, W_I64_NE },
        [6] = { W_I32_LE_U, W_I64_LE_U },  [7] = { W_I32_GT_U, W_I64_GT_U },
        [12] = { W_I32_LT_S, W_I64_LT_S }, [13] = { W_I32_GE_S, W_I64_GE_S },
        [14] = { W_I32_LE_S, W_I64_LE_S }, [15] = { W_I32_GT_S, W_I64_GT_S },
    };
    bool reads_co = cc < 4 || cc == 6 || cc == 7 || cc >= 12;
    if (FK_OP(e->kind) != FK_SUB || !ops[cc][0] || (reads_co && (e->kind & FK_CO)))
        return false;
    for (unsigned k = 0; k < 2; k++) {
        get_raw(e, k);
        if (cc >= 12)
            sign_extend(e);
    }
    op2(e, (enum wasm_op)ops[cc][0], (enum wasm_op)ops[cc][1]);
    return true;
}

/* Signed conditions after AND, OR, XOR, TEST compare the result with 0. */
static bool fused_logic(struct emit *e, unsigned cc)
{
    static const uint8_t ops[4][2] = { { W_I32_LT_S, W_I64_LT_S },
                                       { W_I32_GE_S, W_I64_GE_S },
                                       { W_I32_LE_S, W_I64_LE_S },
                                       { W_I32_GT_S, W_I64_GT_S } };
    if (e->kind != (FK_LOGIC | (int)FK_OSZ(e->kind)) || cc < 12)
        return false;
    get_raw(e, 2);
    sign_extend(e);
    compare_zero(e, (enum wasm_op)ops[cc - 12][0], (enum wasm_op)ops[cc - 12][1]);
    return true;
}

void flags_cond_value(struct emit *e, unsigned cc)
{
    unsigned c = cc >> 1;
    if (fused_sub(e, cc) || fused_logic(e, cc))
        return;
    bool reads_co = c == 0 || c == 1 || c == 3 || c >= 6;
    bool carry_in_fc = c == 1 && (e->kind == FK_DYN || (e->kind & FK_CO));
    if (!carry_in_fc && needs_canonical(e, reads_co && !(e->kind & FK_CO)))
        flags_canonical(e);
    switch (c) {
    case 0: overflow_flag(e); break;
    case 1: flags_carry(e); break;
    case 2: zero_flag(e); break;
    case 3:
        flags_carry(e);
        zero_flag(e);
        op(e, W_I32_OR);
        break;
    case 4: sign_flag(e); break;
    case 5: parity_flag(e); break;
    case 6:
        sign_flag(e);
        overflow_flag(e);
        op(e, W_I32_XOR);
        break;
    default:
        sign_flag(e);
        overflow_flag(e);
        op(e, W_I32_XOR);
        zero_flag(e);
        op(e, W_I32_OR);
        break;
    }
    if (cc & 1)
        op(e, W_I32_EQZ);
}

void flags_set_carry(struct emit *e)
{
    int cf = emit_tmp(e, W_I64);
    op(e, W_I64_EXTEND_I32_U);
    shift64(e, W_I64_SHL, 63);
    set_local(e, cf);
    /* OF is bit 63 ^ bit 62: bit 62 flips if CF does. */
    get_local(e, e->fc);
    get_local(e, cf);
    op(e, W_I64_XOR);
    shift64(e, W_I64_SHR_U, 1);
    get_local(e, e->fc);
    op(e, W_I64_XOR);
    emit_i64(e, 1ll << 62);
    op(e, W_I64_AND);
    get_local(e, cf);
    op(e, W_I64_OR);
    set_local(e, e->fc);
}

/* The canonical words from memory, but for CF and OF: those are in fc already. */
static void load_szap(struct emit *e)
{
    settle_memory(e);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_z);
    set_local(e, e->fz);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_s);
    set_local(e, e->fs);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_a);
    set_local(e, e->fx);
}

void flags_set_co(struct emit *e)
{
    if (e->kind == FK_MEM) {
        load_szap(e);
        e->kind = FK_CANON;
    } else if (e->kind == FK_DYN) {
        get_local(e, e->fk);
        emit_i32(e, FK_MEM);
        op(e, W_I32_EQ);
        open_block(e, W_IF, W_VOID);
        load_szap(e);
        emit_i32(e, FK_CANON);
        set_local(e, e->fk);
        op(e, W_ELSE);
        get_local(e, e->fk);
        emit_i32(e, FK_CO);
        op(e, W_I32_OR);
        set_local(e, e->fk);
        close_block(e);
    } else if (e->kind != FK_CANON) {
        e->kind |= FK_CO;
    }
}

/* ---- edges ---- */

int flags_edge(struct emit *e, enum flag_need need)
{
    if (need == FN_NONE)
        return FK_DYN;
    if (need == FN_READ) {
        flags_canonical(e);
        return FK_CANON;
    }
    if (need == FN_CARRY)
        flags_carry_to_fc(e);
    if (e->kind != FK_DYN) {
        emit_i32(e, e->kind);
        set_local(e, e->fk);
    }
    return FK_DYN;
}
