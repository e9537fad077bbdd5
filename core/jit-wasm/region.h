/*
 * A region: the guest code that becomes one WebAssembly function, as instructions, basic blocks and
 * edges. region.c discovers it; live.c adds what is live; flow.c orders it; emit*.c turn it into
 * code.
 *
 * All addresses are offsets from the entry's RIP, so that the code of a region works wherever it is
 * mapped. The region grows from its entry along direct jumps and both ways of conditional branches,
 * but only into code that has run before (cold paths are left as exits), up to REGION_MAX_*. A call
 * is an edge to the place behind it: the guest's function runs as a WebAssembly function of its
 * own, called from this one (emit_frame.c). So a region is about one function of the guest. Of an
 * indirect jump in a loop the targets that it had before are edges, too (switch.c).
 */
#ifndef SLIPWAY_JIT_REGION_H
#define SLIPWAY_JIT_REGION_H

#include "cpu/decode.h"

enum {
    REGION_MAX_INSNS = 800,
    REGION_MAX_BLOCKS = 192,
    REGION_MAX_PAGES = 4,
    REGION_SPAN = 1 << 20, /* farthest offset from the entry */
};

/* What flags are worth at some point, in increasing order of effort. */
enum flag_need {
    FN_NONE,    /* overwritten before anything can look at them */
    FN_OBSERVE, /* only an exit (fault, interrupt) can look at them */
    FN_CARRY,   /* that, and CF is read */
    FN_READ,    /* read, or carried out of the region */
};

struct rinsn {
    struct insn i; /* off = 0; disp of RIP-relative operands counts from this instruction */
    int32_t off;
    uint8_t want; /* enum flag_need of what it leaves in the flags */
    bool leader;  /* first of a block */
};

enum block_end {
    BE_FALL, /* runs into succ[0] */
    BE_JUMP, /* direct jump to succ[0] */
    BE_COND, /* taken: succ[0], else succ[1] */
    BE_CALL, /* direct call of succ_off[0]; it comes back to succ[1] */
    BE_RET,  /* near return */
    BE_DYN,  /* indirect jump; to succ[0], a BE_SWITCH, if targets of it are known */
    BE_DYNCALL /* indirect call; it comes back to succ[1] */,
    BE_STOP,   /* handler that may change more than registers; on to succ[0] if it didn't */
    BE_SWITCH, /* no instructions: where indirect jumps with targets in common meet. On to one of
                  the targets, or to another region */
};
enum { OUTSIDE = -1 };

/* A set of registers. */
struct regs {
    uint16_t gpr, xmm;
};

struct rblock {
    int32_t off, end_off; /* first byte, after the last */
    uint16_t first, count;
    uint8_t end; /* enum block_end */
    bool reached;
    bool loop_check; /* a backward edge comes here: look at the budget */
    int16_t succ[2];
    int32_t succ_off[2];                 /* where an OUTSIDE successor is */
    uint16_t first_target, target_count; /* of a BE_SWITCH: in region_code.targets */
    uint16_t preds;
    uint8_t need_in;     /* enum flag_need */
    int16_t entry_flags; /* flag kind on entry; set when its first predecessor is emitted */
    /* Found out by the first pass of the emission: what is read before it is written, certainly
     * written as a whole, and written at all. */
    struct regs reads, kills, writes;
    /* On entry (live.c): whose value in memory may be old; whose locals must have the value. */
    struct regs dirty_in, live_in;
};

struct rpage {
    int32_t delta;  /* linear page - page of the entry, in pages */
    uintptr_t host; /* address of the page */
};

struct region_code {
    struct cpu *cpu;
    uint64_t rip, la; /* of the entry, at the time of discovery */
    uint32_t mode;    /* c->mode then */
    bool flat;        /* CS, DS, ES, SS have base 0 and nothing to check */
    unsigned page_count, insn_count, block_count, target_count;
    int16_t targets[REGION_MAX_BLOCKS]; /* blocks */
    struct rpage pages[REGION_MAX_PAGES];
    struct rinsn insns[REGION_MAX_INSNS];
    struct rblock blocks[REGION_MAX_BLOCKS];
};

/* The blocks that may follow @b: number @k of them, OUTSIDE or an index. */
static inline unsigned succ_count(const struct rblock *b)
{
    return b->end == BE_SWITCH ? b->target_count : 2;
}
static inline int succ_of(const struct region_code *r, const struct rblock *b, unsigned k)
{
    return b->end == BE_SWITCH ? r->targets[b->first_target + k] : b->succ[k];
}

/* Fills @r from the code at c->rip, at most @max_insns instructions. False: there is nothing to
 * compile (not RAM, an instruction that only the interpreter runs). */
bool region_discover(struct region_code *r, struct cpu *c, unsigned max_insns);
/* Makes a BE_SWITCH for each set of indirect jumps that have targets in common, among those noted,
 * and are part of a loop (switch.c); blocks are in order of their offsets. False: none is, and code
 * may be there for nothing. */
bool region_switches(struct region_code *r);
/* Host address of the code byte at @off, which is on one of the region's pages; 0: it isn't. */
uintptr_t region_host(const struct region_code *r, int32_t off);
/* The block at @off, OUTSIDE if there is none; blocks are in order of their offsets. */
int region_block_at(const struct region_code *r, int32_t off);
/* Needs of flags, predecessors (live.c). */
void region_live(struct region_code *r);
/* dirty_in and live_in (live.c). */
void region_registers(struct region_code *r);
/* Text of the region, for -d jit and tests: to @out line by line. */
void region_dump(const struct region_code *r, void (*line)(void *opaque, const char *text),
                 void *opaque);

/* What an instruction does to control flow and flags (live.c). */
enum block_end insn_end(const struct insn *i);
/* BE_STOP: may the next instruction be the one behind it? */
bool insn_goes_on(const struct insn *i);
/* Host address of the code byte at linear address @la if it could be fetched now without a fault
 * and is RAM or ROM; 0 otherwise. No side effects. (jit.c) */
uintptr_t jit_code_host(struct cpu *c, uint64_t la);

#endif
