/*
 * What the x87 handlers share (ops_x87*.c), and what MMX and SSE code needs of the x87: the checks
 * of a waiting instruction and the aliasing of MMX registers.
 */
#ifndef SLIPWAY_X87_H
#define SLIPWAY_X87_H

#include "cpu/decode.h"
#include "cpu/fp/fp.h"

/* FSW bits besides the exceptions (SDM vol. 1, 8.1.3). TOP is kept apart, in c->ftop. */
#define FSW_SF  0x0040u
#define FSW_ES  0x0080u
#define FSW_C0  0x0100u
#define FSW_C1  0x0200u
#define FSW_C2  0x0400u
#define FSW_TOP 0x3800u
#define FSW_C3  0x4000u
#define FSW_B   0x8000u
#define FSW_CC  (FSW_C0 | FSW_C2 | FSW_C3)

/* ---- for MMX, FXSAVE and XSAVE (x87.c) ---- */
/* A waiting x87 instruction may start: #NM with CR0.EM or TS, #MF with an unmasked exception
 * pending. */
bool x87_check_slow(struct cpu *c);
static inline bool x87_check(struct cpu *c)
{
    if (unlikely((c->cr0 & (CR0_EM | CR0_TS)) | (c->fsw & FSW_ES)))
        return x87_check_slow(c);
    return true;
}
/* The same for an MMX instruction: #UD with CR0.EM. Changes nothing: memory operands come next. */
bool x87_mmx_check(struct cpu *c);
/* Commits an MMX instruction: TOP = 0, all registers in use. */
static inline void x87_mmx_commit(struct cpu *c)
{
    c->ftop = 0;
    c->ftag = 0xff;
}
/* Both at once, for MMX instructions without a memory operand. */
static inline bool x87_mmx_enter(struct cpu *c)
{
    if (!x87_mmx_check(c))
        return false;
    x87_mmx_commit(c);
    return true;
}
static inline void x87_mmx_write(struct cpu *c, unsigned reg, uint64_t v)
{
    c->st[reg].frac = v;
    c->st[reg].se = 0xffff;
}

/* FSW as programs see it. */
static inline uint16_t x87_fsw(const struct cpu *c)
{
    return (uint16_t)(c->fsw | c->ftop << 11);
}
/* Loads FSW (with TOP) or FCW; ES and B follow from flags and masks. */
void x87_set_fsw(struct cpu *c, uint16_t v);
void x87_set_fcw(struct cpu *c, uint16_t v);
/* The 16-bit tag word, with two bits a register, as FSTENV stores it. */
uint16_t x87_tag_word(const struct cpu *c);
/* FNINIT. */
void x87_init(struct cpu *c);

/* ---- for the handlers ---- */
static inline struct f80 *x87_st(struct cpu *c, unsigned i)
{
    return &c->st[(c->ftop + i) & 7];
}
static inline bool x87_empty(const struct cpu *c, unsigned i)
{
    return !(c->ftag >> ((c->ftop + i) & 7) & 1);
}
static inline void x87_set(struct cpu *c, unsigned i, struct f80 v)
{
    unsigned reg = (c->ftop + i) & 7;
    c->st[reg] = v;
    c->ftag |= (uint8_t)(1u << reg);
}
static inline void x87_push(struct cpu *c, struct f80 v)
{
    c->ftop = (c->ftop - 1) & 7;
    x87_set(c, 0, v);
}
static inline void x87_pop(struct cpu *c)
{
    c->ftag &= (uint8_t) ~(1u << c->ftop);
    c->ftop = (c->ftop + 1) & 7;
}
static inline struct f80 x87_indefinite(void)
{
    return f80_make(true, 0x7fff, FP_DEFAULT_NAN);
}

static inline struct fpenv x87_env(const struct cpu *c)
{
    return (struct fpenv){ .rc = c->fcw >> 10 & 3, .unmasked = ~c->fcw & FPX_ALL };
}
static inline const struct fpfmt *x87_format(const struct cpu *c)
{
    return &fp_f80_pc[c->fcw >> 8 & 3];
}

/* The constants of FLD1 to FLDZ by ModRM.rm, rounded as @rc says. */
struct f80 x87_constant(unsigned n, uint8_t rc);
/* What a comparison sets of FSW, by enum fp_relation. */
extern const uint16_t x87_relation_codes[4];

/* Starts the part of an instruction that can't fault any more: records the instruction and its
 * operand. */
static inline void x87_begin_keep_c1(struct cpu *c, const struct insn *i)
{
    c->fop = (uint16_t)((insn_opcode(i)->byte & 7u) << 8 | i->modrm);
    c->fip = cpu_insn_rip(c, i);
    c->fcs = c->seg[SEG_CS].sel;
    if (i->flags & INSN_MEM) {
        c->fdp = insn_ea(c, i);
        c->fds = i->seg < SEG_NONE ? c->seg[i->seg].sel : 0;
    }
}

static inline void x87_begin(struct cpu *c, const struct insn *i)
{
    c->fsw &= (uint16_t)~FSW_C1;
    x87_begin_keep_c1(c, i);
}

/* Adds @flags to FSW; sets ES and signals FERR# if one is unmasked. The instruction's return value.
 */
enum exec x87_raise_slow(struct cpu *c, unsigned flags);
static inline enum exec x87_raise(struct cpu *c, const struct fpenv *e)
{
    if (e->up)
        c->fsw |= FSW_C1;
    if (unlikely(fp_trapped(e)))
        return x87_raise_slow(c, e->flags);
    c->fsw |= e->flags;
    return EXEC_NEXT;
}
/* A stack fault (C1 = 1: overflow). e->flags tells whether it is masked: fp_trapped(). */
static inline void x87_stack_fault(struct cpu *c, struct fpenv *e, bool overflow)
{
    c->fsw = (uint16_t)((c->fsw & ~FSW_C1) | FSW_SF);
    e->flags |= FPX_I;
    e->up = overflow;
}

/* Arithmetic, comparisons, one operand (ops_x87_arith.c). */
insn_fn op_arith_st0_sti, op_arith_sti_st0, op_arith_sti_st0_pop, op_fcompp, op_fucom, op_fucomp,
    op_fucompp, op_ftst, op_fcomi, op_fcomip, op_fucomi, op_fucomip, op_fxam, op_sign, op_fsqrt,
    op_frndint, op_fscale, op_fxtract, op_fprem, op_arith_m32, op_arith_m64, op_arith_i16,
    op_arith_i32;
/* Transcendental instructions and their kin (ops_x87_trans.c). */
insn_fn op_f2xm1, op_fyl2x, op_fyl2xp1, op_fptan, op_fpatan, op_fsin, op_fcos, op_fsincos;
/* Environment and state (ops_x87_env.c). */
insn_fn op_fldenv, op_fnstenv, op_frstor, op_fnsave;

#endif
