/*
 * The JIT, as the rest of the CPU sees it: hot guest code becomes WebAssembly functions.
 *
 * jit_run() takes interp_run()'s place in cpu_run(): it runs translated regions where there are
 * some and the interpreter's blocks elsewhere; a block that has run often enough is where a new
 * region starts. Only the wasm build can run regions; the rest of the code builds and is tested
 * everywhere.
 *
 * Regions are found by the host address of their first byte and the CPU's mode. Before one is
 * entered from C, its pages are checked against the current mapping; the jump cache remembers that
 * for as long as the mapping can't have changed (cpu.jump_context), and translated code looks only
 * there.
 *
 * State is global: there is one machine in an instance of the module, and translated code has the
 * addresses in it.
 */
#ifndef SLIPWAY_JIT_H
#define SLIPWAY_JIT_H

#include "cpu/cpu.h"
#include "cpu/decode.h"

/* Where a region can be left, and what C has to know to go on. */
struct jit_point {
    int32_t off;         /* of the instruction, from the entry */
    uint8_t len;         /* of it */
    uint8_t kind;        /* enum flag_kind */
    int16_t unused;      /* instructions of the block that were paid for and not run, this one
                            included; -1: nothing was paid yet */
    uint16_t gprs, xmms; /* registers that are newer in jit_shared.left than in the CPU */
};

/* Regions call one another so deep at most; then they jump. The host's stack must hold as many
 * frames of any size. */
#define JIT_DEPTH 48

/* Why a region returned to C: enum exec, or these. */
enum {
    LEAVE_CHAIN = 16, /* c->rip is where to go on */
    LEAVE_BUDGET,     /* the slice is over, at the point's instruction */
    LEAVE_INTERP,     /* the point's instruction is for the interpreter */
    LEAVE_COLD,       /* jit_cold() stopped */
    LEAVE_COUNT
};

/* Flags as operands of the operation that they come from. */
struct jit_flags {
    uint64_t raw64[3]; /* operands, by the kind's size */
    uint32_t raw32[3];
    uint32_t kind; /* enum flag_kind */
};

/* Shared with translated code. */
struct jit_shared {
    uint64_t ip; /* RIP of the entry of the region that was left */
    /* The CPU's flags between regions: these, or those in struct cpu (FK_CANON). Only translated
     * code leaves any other kind here. */
    struct jit_flags flags;
    struct { /* what a region had in locals when it was left at a point */
        struct jit_flags flags;
        uint64_t words[4]; /* FK_CANON: fl_z, fl_s, fl_co, fl_a; FK_INC, FK_DEC: fl_co */
        uint64_t gpr[16];
        _Alignas(16) uint8_t xmm[16][16];
    } left;
    struct region *region; /* running */
    int32_t point, status;
    uint64_t back[JIT_DEPTH + 1];     /* by depth: RIP at which the caller waits */
    uint32_t fault;                   /* a slow path failed: point and status are set */
    uint32_t host;                    /* where the group of the slow path's access is, or 0 */
    uint32_t moved;                   /* the slow path changed what is mapped where */
    _Alignas(16) uint8_t scratch[16]; /* 128-bit values of slow paths */
};
extern struct jit_shared jit_shared;

#define JIT_THRESHOLD 7000 /* instructions of a block */
#define JIT_JUMPS     16384u
struct jit_jump {
    uint64_t la;
    uint32_t context; /* cpu.jump_context */
    uint32_t slot;    /* table index */
};
extern struct jit_jump jit_jumps[JIT_JUMPS];

struct region;

static inline struct jit_jump *jit_jump_slot(uint64_t la)
{
    uint32_t k = (uint32_t)la;
    return &jit_jumps[(k ^ k >> 12) & (JIT_JUMPS - 1)];
}

/* What a table slot of translated code holds; called with the RIP of the region's entry, and from
 * how many regions deep. JIT_LEFT: back to C, jit_shared.status says why. JIT_RETURNED: the guest
 * returned, to c->rip; regions that called this one compare that with where they wait. */
typedef uint32_t region_fn(uint64_t rip, uint32_t depth);
enum { JIT_RETURNED, JIT_LEFT };

struct jit_stats {
    uint64_t insns;              /* run in regions, those of handlers included */
    uint64_t entries;            /* of regions from C */
    uint64_t cold;               /* calls that were interpreted while regions wait */
    uint64_t transfers;          /* from region to region: counted by the chain */
    uint64_t exits[LEAVE_COUNT]; /* by status; LEAVE_CHAIN: the chain found nothing */
    int64_t emit_ns, install_ns;
};
extern struct jit_stats jit_stats;
extern uint64_t *jit_handler_calls; /* from regions, by insn.op; NULL before jit_enable() */
extern struct cpu *jit_cpu;         /* the one that runs translated code */

/* True if this build and engine can run translated code. */
bool jit_available(void);
/* -accel jit: from now on blocks count down to @threshold. */
void jit_enable(struct cpu *c, uint32_t threshold);
void jit_run(struct cpu *c);
/* Bytes [host, host + len) of a page with code are written: drops the regions made of them. True if
 * there were any. Returns the chunks (64 bytes each) of the page that regions still cover in
 * *chunks. */
bool jit_note_write(uintptr_t host, size_t len, uint64_t *chunks);
/* Drops everything. */
void jit_flush_all(void);

/* ---- what translated code calls (helpers.c; the chain: chain.c) ---- */

/* Imports of every module of translated code, in this order: so these are their function indexes.
 */
enum jit_helper {
    IM_CHAIN,
    IM_READ,
    IM_WRITE,
    IM_RMW_READ,
    IM_READ128,
    IM_WRITE128,
    IM_SEG_CHECK,
    IM_HANDLER,
    IM_SETTLE,
    IM_MULHU,
    IM_MULHS,
    IM_SLOW_FP,
    IM_STOP,
    IM_X87,
    IM_STRAY,
    IM_COUNT
};
/* Makes the function behind IM_CHAIN and hands all to the host. False: no translated code. */
bool chain_init(struct cpu *c, bool tail_calls);
/* Runs the region at c->rip, which the jump cache has, and all that follow, until C has to look. */
void chain_run(struct cpu *c);
struct wbuf;
struct wasm_code;
/* One module of @count functions. */
void chain_module(struct wbuf *out, const struct wasm_code *codes, unsigned count);

uint64_t jit_read(uint64_t la, uint32_t point, uint32_t info);
uint32_t jit_write(uint64_t la, uint64_t value, uint32_t point, uint32_t info);
uint64_t jit_rmw_read(uint64_t la, uint32_t point, uint32_t info);
uint64_t jit_read128(uint64_t la, uint32_t point, uint32_t info);  /* to jit_shared.scratch */
uint64_t jit_write128(uint64_t la, uint32_t point, uint32_t info); /* from there */
uint64_t jit_seg_check(uint64_t ea, uint32_t point, uint32_t info);
int jit_call_handler(struct cpu *c, const struct insn *i); /* enum exec */
/* The handler of an instruction that may change more than registers. Then: on behind it, with
 * nothing changed that the region relies on; on at c->rip, in the region that is there now; or
 * leave with jit_shared.status. */
enum jit_stop { STOP_ON, STOP_ELSEWHERE, STOP_LEFT };
int jit_stop(struct cpu *c, const struct insn *i); /* enum jit_stop */
/* The same for one that neither accesses memory nor takes long. */
/* An indirect jump, at host address @jump, went to what is @distance bytes from it and not in the
 * region @r. Called once in REGION_STRAYS times. (jit.c) */
uint64_t jit_stray(uint64_t distance, struct region *r, uint32_t jump);
int jit_slow_fp(struct cpu *c, const struct insn *i);
/* What x87 instructions compute, while all exceptions are masked (x87_fast.c). Operands are the
 * significand @a and the bits @b, @se has sign and exponent of a in its lower half and of b in its
 * upper. @what: enum x87_op, and << 8 enum x87_format (of b, or of what is stored), or for integers
 * that are stored log2 of their bytes. The result's first word goes to jit_shared.scratch; returns
 * its sign and exponent, and << 16 what FSW gets: exceptions, C1, conditions. */
enum x87_op {
    X87_ADD,
    X87_MUL,
    X87_SUB,
    X87_SUBR,
    X87_DIV,
    X87_DIVR,
    X87_COM,
    X87_UCOM,
    X87_TST,
    X87_SQRT,
    X87_RNDINT,
    X87_CONST, /* number a of FLD1 to FLDZ */
    X87_LOAD,
    X87_STORE,
    X87_TO_INT,
    X87_TRUNCATE,
};
enum x87_format { X87_F80, X87_F32, X87_F64 };
uint32_t jit_x87_op(uint64_t a, uint64_t b, uint32_t se, uint32_t what);
uint32_t jit_stub(uint64_t rip, uint32_t depth);
/* What the chain goes on to where it finds no region, if regions wait for the guest to return:
 * interprets on top of their frames. A region_fn. (jit.c) */
uint32_t jit_cold(uint64_t rip, uint32_t depth);
uint64_t jit_mulhu(uint64_t a, uint64_t b); /* upper halves of products */
uint64_t jit_mulhs(uint64_t a, uint64_t b);
void jit_settle_kind(struct cpu *c, int kind, const struct jit_flags *f);
/* Something wants to be looked at before the slice is over: translated code finds its budget used
 * up at the next backward branch or exit, the count of instructions stays right. */
void jit_hold_budget(struct cpu *c);
void jit_release_budget(struct cpu *c);
/* A region has returned: brings the CPU's state up to date. True: go on at c->rip at once; false:
 * cpu_run() has to look, or (LEAVE_INTERP) the interpreter runs one instruction first. */
bool jit_left(struct cpu *c);
/* Would a write there change code of the running region? */
bool jit_hits_running(uintptr_t host, size_t len);
void jit_settle(void); /* jit_shared.flags into the CPU's */
/* info: bytes (1-16) | segment << 5 | write << 8, JIT_INFO_ALIGNED, and for an access of a group
 * (groups.h) how far into it the access lies, its bytes, and whether it writes. */
#define JIT_INFO(bytes, seg, write)                                                                \
    ((uint32_t)(bytes) | (uint32_t)(seg) << 5 | (uint32_t)(write) << 8)
#define JIT_INFO_ALIGNED (1u << 9)
#define JIT_INFO_GROUP(off, bytes, write)                                                          \
    ((uint32_t)(write) << 10 | (uint32_t)(off) << 11 | (uint32_t)(bytes) << 20)

/* ---- what live.c asks ---- */
bool jit_emits(const struct insn *i);             /* without calling its handler */
bool jit_flags_conditional(const struct insn *i); /* it may leave all flags alone (shift by CL) */

#endif
