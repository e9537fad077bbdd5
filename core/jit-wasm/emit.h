/*
 * Between the files that turn a region into a WebAssembly function (emit*.c): the state of the
 * emission and what one instruction's emitter may use.
 *
 * Shape of a function:
 *
 *     (param rip depth)                   RIP of the region's entry; all addresses count from it
 *     prologue                            loads the registers that are live into locals
 *     block $left
 *       block $returned
 *         block $chain
 *           block $leave
 *             body                        structured by flow.c; each exit stores what is dirty
 *           end
 *           hands all locals over to C, with a point and a status (jit_shared); to $left
 *         end
 *         tail-calls the chain (chain.c), which finds the region at `next`
 *       end
 *       returns JIT_RETURNED: the guest returned, to `next`
 *     end
 *     returns JIT_LEFT
 *
 * Registers live in locals: the 16 general ones as i64 in 64-bit code and i32 otherwise, XMM as
 * v128. Emission runs twice: the first pass finds out which registers the blocks read and write,
 * the second one emits knowing what that means for the region.
 *
 * Faults: whatever can fault comes first in an instruction; only then registers and flags change.
 * So one `point` an instruction (where, how many instructions of the block were done, which form
 * the flags have) tells C all that is needed to go on from there.
 *
 * Writing an emitter: take operands with emit_get/emit_load/..., results are on wasm's stack; put
 * values that are used twice into temporaries (emit_tmp); they last for the instruction. See
 * emit_int.c.
 */
#ifndef SLIPWAY_JIT_EMIT_H
#define SLIPWAY_JIT_EMIT_H

#include "jit-wasm/groups.h"
#include "jit-wasm/jit.h"
#include "jit-wasm/region.h"
#include "jit-wasm/wasm.h"

enum { EMIT_MAX_LOCALS = 512, EMIT_TMPS = 24, EMIT_MAX_HINTS = 4096, NO_LOCAL = -1 };

/* What the flags are, at some point of the emission. FK_CANON: in the four locals fz, fs, fc, fx,
 * as struct cpu has them. FK_MEM: in memory, as they were on entry (jit_shared.flags). FK_DYN: as
 * the local fk says at run time. Others: operands of an operation of size osz (low two bits) in the
 * raw locals; CF of INC and DEC is in fc. */
enum flag_kind {
    FK_CANON = 0,
    FK_ADD = 4,    /* a, b */
    FK_SUB = 8,    /* a, b */
    FK_ADC = 12,   /* a, b, r */
    FK_SBB = 16,   /* a, b, r */
    FK_LOGIC = 20, /* r */
    FK_INC = 24,   /* r */
    FK_DEC = 28,   /* r */
    FK_SHL = 32,   /* a, b = count, not 0 */
    FK_SHR = 36,
    FK_SAR = 40,
    FK_IMUL = 44, /* a, b; signed product doesn't fit */
    FK_MUL = 48,
    FK_SHLD = 52, /* a, b = count, not 0; r */
    FK_SHRD = 56,
    FK_DYN = 64,
    FK_CO = 128, /* together with one of the others: CF and OF are in fc all the same */
    FK_MEM = 68,
};
#define FK_OP(k)  ((k) & ~(FK_CO | 3))
#define FK_OSZ(k) ((unsigned)(k)&3)

/* Of x87 code (emit_x87.c). A chain's registers are numbered from where TOP is at its start. */
struct emit_x87 {
    unsigned until;   /* index in the block behind the chain */
    bool open;        /* inside a run, */
    unsigned first;   /* ... which started with this instruction */
    int kind_before;  /* ... flags of this kind */
    bool sets_flags;  /* ... and changes them */
    unsigned inlined; /* operations in the region */
    int16_t ok, turn; /* locals: the chain's assumptions hold; TOP at its start */
    int16_t tags;     /* in use, by position, as memory has it */
    int16_t control;  /* 0: round to nearest, to 64 bits; else bits of FCW that tell */
    int16_t fsw;      /* without TOP */
    int16_t frac[8], se[8];
    uint8_t loaded, dirty; /* positions */
    unsigned top, top_written;
    uint8_t set_tags, clear_tags; /* tags to be written: positions */
    bool fsw_dirty, c1_clear, fcs_written, pointer_dirty;
    uint8_t fds_written; /* segment */
    int32_t fip;         /* to be written, from the region's entry */
    uint16_t fop;
};

struct emit {
    struct wbuf b;
    uint32_t hints[EMIT_MAX_HINTS]; /* offsets of branches; see wasm.h */
    unsigned hint_count;
    struct region_code *r;
    struct region *out; /* points and instructions that handlers get */
    struct groups *groups;
    struct cpu *c;
    bool m64;   /* 64-bit code: GPR locals are i64 */
    bool flat;  /* no segment checks for CS, DS, ES, SS */
    bool tag64; /* TLB tags can't be compared by their low half */
    bool tail_calls;
    bool lockstep; /* what can't be run twice is left to the interpreter */
    bool failed;   /* too many locals, points or instructions */

    uint8_t local_type[EMIT_MAX_LOCALS];
    unsigned locals;
    int16_t tmp[5][EMIT_TMPS]; /* by type: i32 i64 f32 f64 v128 */
    uint8_t tmp_next[5];
    int16_t gpr[16], xmm[16];
    struct regs used, written_all; /* of the whole region: first pass */
    struct regs written;           /* so far in this pass */
    struct regs dirty;             /* now; point_dirty: before the instruction */
    struct regs point_dirty;
    uint8_t raw_used;                      /* bits of raw[][]: of the whole region, first pass */
    int16_t fz, fs, fc, fx, fk, raw[2][3]; /* raw: [64 bits][a b r] */
    int16_t ip, next, budget;
    int16_t target; /* RIP that an indirect jump goes to, on the way to the switch */

    int depth;                        /* open blocks, loops and ifs */
    int leave, chain, returned, left; /* labels */
    int16_t label[REGION_MAX_BLOCKS], dispatch[REGION_MAX_BLOCKS];
    int16_t dispatch_local;

    const struct rblock *blk;
    int block, block_depth; /* its index; the depth of its code */
    const struct rinsn *n;
    unsigned index;   /* of n in its block */
    int kind;         /* enum flag_kind now */
    int point;        /* of n, or -1 */
    bool sse_checked; /* in this block: SSE is usable */
    /* Floating point in this block: the local fp_fast (does MXCSR allow wasm's arithmetic?) is set;
     * registers known not to be denormal: [f32, f64][lowest lane, all lanes]. See emit_ssefp.c. */
    bool fp_checked;
    int16_t fp_fast;
    uint16_t fp_known[2][2];
    struct emit_x87 x87;
};

/* The parameters. */
enum { L_RIP, L_DEPTH };

/* ---- the function (emit.c) ---- */

/* Emits the whole function into @e->b (locals and body as in a code section). False: too big. */
bool emit_region(struct emit *e, struct region_code *r, struct region *out);

/* The function that was emitted, in @e's memory. */
struct wasm_code emit_code(const struct emit *e);

/* ---- code bytes ---- */
static inline void op(struct emit *e, enum wasm_op o)
{
    wb_u8(&e->b, (uint8_t)o);
}
void emit_i32(struct emit *e, int32_t v);
void emit_i64(struct emit *e, int64_t v);
void emit_simd(struct emit *e, unsigned opcode); /* 0xfd prefix */
void get_local(struct emit *e, int local);
void set_local(struct emit *e, int local);
void tee_local(struct emit *e, int local);
/* A load or store with constant address: pushes the address. Memory instruction @o with @offset. */
void emit_mem_op(struct emit *e, enum wasm_op o, unsigned align, uint32_t offset);
/* Loads from / stores to a fixed address. A store: call store_begin, push the value, store_end. */
void emit_load_fixed(struct emit *e, enum wasm_op o, const void *p);
void emit_store_begin(struct emit *e);
void emit_store_end(struct emit *e, enum wasm_op o, const void *p);
/* Blocks: open returns nothing, the depth counts. @type: enum wasm_type or W_VOID. */
void open_block(struct emit *e, enum wasm_op o, enum wasm_type type);
void close_block(struct emit *e);
void branch(struct emit *e, enum wasm_op br, int label);
/* The branch or `if` that is emitted next is seldom taken, or nearly always. */
void unlikely_next(struct emit *e);
void likely_next(struct emit *e);
/* A fresh local of the function; a temporary that is free again after the instruction. */
int emit_local(struct emit *e, enum wasm_type t);
int emit_tmp(struct emit *e, enum wasm_type t);
/* The signature of one of the functions that translated code calls (chain.c). */
/* Calls it; arguments are on the stack. */
void emit_call(struct emit *e, enum jit_helper fn);

/* ---- registers ---- */

/* Operand sizes are osz: log2 of bytes. Values of size 0-2 are i32 (zero-extended), of size 3 i64.
 * Byte registers by byte index, as struct insn has them. */
static inline enum wasm_type value_type(unsigned osz)
{
    return osz == 3 ? W_I64 : W_I32;
}
void emit_get(struct emit *e, unsigned osz, unsigned reg);
void emit_set(struct emit *e, unsigned osz, unsigned reg); /* pops */
/* A whole general register as the local has it (i64 in 64-bit code, i32 otherwise). */
void emit_get_full(struct emit *e, unsigned reg);
void emit_set_full(struct emit *e, unsigned reg);
void emit_get_xmm(struct emit *e, unsigned reg); /* v128 */
void emit_set_xmm(struct emit *e, unsigned reg);
/* RIP of the instruction at @off of the region. Type as emit_get_full. */
void emit_rip(struct emit *e, int32_t off);
/* A constant of a value type, cut to its size. */
void emit_const(struct emit *e, unsigned osz, int64_t v);

/* ---- ways in and out (emit_frame.c) ---- */

/* Around the code of the blocks. */
void frame_open(struct emit *e);
void frame_close(struct emit *e);
/* A local to a fixed address. */
void store_local(struct emit *e, enum wasm_op o, int local, const void *p);

/* The point of the current instruction: its number. */
int emit_point(struct emit *e);
/* Leaves the region with status @status at the current instruction if the i32 on the stack isn't 0.
 */
void emit_leave_if(struct emit *e, int status);
/* The same for the end of the slice, at the beginning of the block. */
void emit_leave_budget(struct emit *e);
/* Calls the interpreter's handler for the current instruction. */
void emit_handler(struct emit *e);
/* The general registers that the handler of a system instruction may look at or change, or false.
 * (emit_sys.c) */
bool sys_registers(const struct insn *i, uint16_t *registers);
/* Calls the handler of the current SSE instruction from a branch that is seldom taken: only its
 * operands are spilled, memory isn't accessed (the operand is in v128 local @src, or NO_LOCAL for a
 * register), flags must be canonical. @result: what it writes. */
enum slow_result { SLOW_XMM, SLOW_GPR, SLOW_FLAGS };
void emit_slow_fp(struct emit *e, int src, enum slow_result result);
/* The end of the block is an instruction that may change more than registers: calls its handler,
 * then on to succ[0] or to wherever it went. */
void emit_stop(struct emit *e, int fall);
/* Goes on at block @succ, or leaves for @off if that is OUTSIDE; @fall: the block that follows
 * anyway. */
void emit_goto(struct emit *e, int succ, int32_t off, int fall);
/* All pop the RIP (i64) from the stack. To the region there: */
void emit_exit(struct emit *e);
/* ... which is where the guest returns to: */
void emit_exit_return(struct emit *e);
/* ... which is a function that the guest calls, its return address is pushed: then on at succ[1].
 */
void emit_exit_call(struct emit *e, int fall);

/* ---- memory (emit_mem.c) ---- */

/* Effective address of the current instruction's memory operand. Type as emit_get_full. */
void emit_ea(struct emit *e);
/* Cuts the value on the stack to the current instruction's address size. */
void emit_cut_ea(struct emit *e);
/* Linear address from the effective address on the stack, into a temporary (returned). */
int emit_linear(struct emit *e, unsigned seg, unsigned bytes, enum access a);
/* Loads osz-sized value (zero-extended) from linear address local @la; leaves it on the stack. */
void emit_load(struct emit *e, int la, unsigned seg, unsigned osz);
/* Stores the value in local @value. */
void emit_store(struct emit *e, int la, unsigned seg, unsigned osz, int value);
/* The same for 128 bits (v128 on the stack, in local @value). @aligned: leaves for the interpreter
 * if the address isn't a multiple of 16. */
void emit_load128(struct emit *e, int la, unsigned seg, bool aligned);
void emit_store128(struct emit *e, int la, unsigned seg, int value, bool aligned);
/* Loads 4 or 8 bytes (@osz 2, 3) into the low part of a v128, the rest is 0. */
void emit_load_low(struct emit *e, int la, unsigned seg, unsigned osz);
/* Leaves the host address of @bytes bytes at @la on the stack, 0 if they need a slow path. */
void emit_host(struct emit *e, int la, unsigned bytes, enum access a);
/* Read-modify-write: emit_rmw_load leaves the value on the stack and a host address (0: slow) in
 * the temporary *host; emit_rmw_store stores local @value there. */
void emit_rmw_load(struct emit *e, int la, unsigned seg, unsigned osz, int *host);
void emit_rmw_store(struct emit *e, int la, unsigned seg, unsigned osz, int host, int value);
/* The r/m operand of the current instruction, wherever it is: its value on the stack. */
void emit_get_rm(struct emit *e, unsigned osz);
/* Stack: pushes the value in local @value; pops: emit_stack_peek leaves the value at SS:reg on
 * wasm's stack, emit_sp_add or emit_sp_from (RSP = reg + bytes) commits. */
void emit_push(struct emit *e, unsigned osz, int value);
/* The stack pointer moves by 1 << osz, but only 1 << size bytes are written. */
void emit_push_low(struct emit *e, unsigned osz, unsigned size, int value);
void emit_stack_peek(struct emit *e, unsigned reg, unsigned osz);
void emit_sp_add(struct emit *e, int32_t bytes);
void emit_sp_from(struct emit *e, unsigned reg, int32_t bytes);

/* ---- flags (emit_flags.c) ---- */

/* Does anything look at the flags that the current instruction leaves? */
static inline bool flags_wanted(const struct emit *e)
{
    return e->n->want != FN_NONE;
}
/* The raw local for operand @k (0 a, 1 b, 2 r). To be set only when nothing in the instruction can
 * fault any more. */
int flags_raw(struct emit *e, unsigned osz, unsigned k);
/* The operands are in the raw locals: that's what the flags are now, if wanted. */
void flags_set(struct emit *e, enum flag_kind op, unsigned osz);
/* Brings the flags into the canonical locals (from any static kind; DYN by a call). */
void flags_canonical(struct emit *e);
/* From the locals to memory, whatever the kind: for the next region. */
void flags_to_memory(struct emit *e);
/* The same, but into struct cpu's words, for C; the kind is FK_MEM then. */
void flags_to_cpu(struct emit *e);
/* The canonical locals from struct cpu. */
void flags_load(struct emit *e);
/* The raw locals that there are. */
void flags_store_raw(struct emit *e, struct jit_flags *to);
/* Makes sure that CF is in bit 63 of fc whatever the kind is; the kind stays. */
void flags_carry_to_fc(struct emit *e);
/* fc was set, as struct cpu has it: those are CF and OF now, the other flags are what they were. */
void flags_set_co(struct emit *e);
/* Condition 0-15 as i32 0/1 on the stack. */
void flags_cond_value(struct emit *e, unsigned cc);
/* CF as i32 0/1. */
void flags_carry(struct emit *e);
/* The code of an edge that needs @need of the flags; returns the kind at its end. */
int flags_edge(struct emit *e, enum flag_need need);
/* Flags are canonical: sets CF from the i32 on the stack and leaves the others. */
void flags_set_carry(struct emit *e);

/* ---- instructions ---- */

static inline enum wasm_op by_size(unsigned osz, enum wasm_op narrow, enum wasm_op wide)
{
    return osz == 3 ? wide : narrow;
}
static inline bool in_memory(const struct insn *i)
{
    return i->flags & INSN_MEM;
}
/* Linear address of the memory operand, in a temporary. */
static inline int memory_operand(struct emit *e, const struct insn *i, unsigned bytes,
                                 enum access a)
{
    emit_ea(e);
    return emit_linear(e, i->seg, bytes, a);
}
/* Stack to a temporary: of a type, of an operand size. */
static inline int to_tmp(struct emit *e, enum wasm_type t)
{
    int tmp = emit_tmp(e, t);
    set_local(e, tmp);
    return tmp;
}
static inline int int_tmp(struct emit *e, unsigned osz)
{
    return to_tmp(e, value_type(osz));
}

/* Emits one kind of instruction; terminators have their own (emit_flow.c). */
typedef void emit_fn(struct emit *e, const struct insn *i);
struct emit_row {
    uint8_t map, first, last; /* opcode bytes */
    uint8_t prefix;           /* enum opcode_prefix; PFX_ANY: rows without mandatory prefix */
    uint8_t reg;              /* ModRM.reg of a group, R_ANY */
    emit_fn *fn;
    uint32_t arg;                      /* the emitter's own: emit_arg(i) */
    bool (*can)(const struct insn *i); /* NULL: all forms of the row */
};
/* A row for an opcode without mandatory prefix. */
#define EMIT_ROW(map, first, last, reg, fn, arg, can)                                              \
    {                                                                                              \
        map, first, last, PFX_ANY, reg, fn, arg, can                                               \
    }
struct emit_table {
    const struct emit_row *rows;
    size_t count;
};
extern const struct emit_table emit_int, emit_shift, emit_bits, emit_string, emit_sse, emit_ssefp,
    emit_x87, emit_sys;
/* The emitter row of an instruction, NULL: the handler runs it. */
const struct emit_row *emit_row_of(const struct insn *i);

/* The terminator e->n of the block e->blk. */
void emit_terminator(struct emit *e, int fall);
/* The code of e->blk, a BE_SWITCH: on to the block at the address in e->target. */
void emit_switch(struct emit *e);

/* ---- order (flow.c) ---- */

/* Calls back for the structured code of a region; see flow.c. */
struct flow_ops {
    /* A label that ends right before the code of the component with these entries. */
    void (*open)(void *ctx, const int16_t *entries, int count);
    void (*close)(void *ctx); /* ... the innermost label ends here */
    void (*loop)(void *ctx, const int16_t *headers, int count);
    /* Right after the labels: a jump to the label @depths[k] levels out for header k of the loop.
     */
    void (*dispatch)(void *ctx, const int *depths, int count);
    void (*end_loop)(void *ctx);
    /* @fall: the block (or OUTSIDE) that is reached by running off the end of this one's code. */
    void (*code)(void *ctx, int block, int fall);
};
void flow_structure(const struct region_code *r, const struct flow_ops *ops, void *ctx);
/* Sets loop_check of all blocks that head a loop. */
void flow_mark_loops(struct region_code *r);

#endif
