/*
 * Between the files that translate x87 instructions: what an instruction is (emit_x87.c), and the
 * arithmetic on values in locals (emit_x87_arith.c).
 */
#ifndef SLIPWAY_JIT_EMIT_X87_H
#define SLIPWAY_JIT_EMIT_X87_H

#include "jit-wasm/emit.h"

/* A number in two locals: significand (i64), sign and biased exponent (i32), as struct f80 has
 * them. */
struct x87_value {
    int frac, se;
};

/* All of these work on values whose registers are in locals, while all exceptions are masked
 * (emit_x87.c); they set FSW's local. Results are in temporaries or locals. */

/* ST(0) @a and the other operand: @b, or if @format isn't X87_F80 the bits of a float in i64 local
 * @raw. ADD, MUL, SUB, SUBR, DIV, DIVR. */
struct x87_value x87_arith(struct emit *e, enum x87_op op, struct x87_value a, struct x87_value b,
                           enum x87_format format, int raw);
/* The number that the bits of a float in i64 local @raw are (X87_F32, X87_F64). */
struct x87_value x87_from_float(struct emit *e, enum x87_format format, int raw);
/* The number that the i64 on the stack is. */
struct x87_value x87_from_integer(struct emit *e);
/* @a as float in an i64 local; what FSW gets in *bits. */
int x87_to_float(struct emit *e, enum x87_format format, struct x87_value a, int *bits);
/* Calls jit_x87_op() with @a (frac, or any i64 local), @b; the result's se and bits of FSW in i32
 * local. The result's first word is in jit_shared.scratch. */
int x87_call(struct emit *e, uint32_t what, int a_frac, int a_se, int b_frac, int b_se);
/* FSW's local: without @clear, with the upper half of i32 local @result. */
void x87_take_fsw(struct emit *e, uint32_t clear, int result);
/* The number that x87_call() gave, with @result, into @r, and its bits into FSW's local. */
void x87_take_result(struct emit *e, struct x87_value r, int result);
/* C1 = 0 in FSW's local. */
void x87_clear_c1(struct emit *e);

#endif
