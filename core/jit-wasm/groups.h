/*
 * Accesses that share a look-up in the TLB (groups.c).
 */
#ifndef SLIPWAY_JIT_GROUPS_H
#define SLIPWAY_JIT_GROUPS_H

#include "jit-wasm/region.h"

struct emit;

enum {
    GROUPS_MAX = 400,
    GROUP_ACCESSES = 1600,
    GROUP_LOCALS = 12, /* groups that are in use at the same time */
    GROUPS_OPEN = 8,   /* ... that an access may join */
    GROUP_BYTES = 128, /* that a group may span: more crosses pages more often */
};

/* What a register holds: a number that only names it, and how much was added since. */
struct known {
    uint32_t value;
    int64_t added;
};

/* The linear address of an operand as values and an offset. */
struct address {
    bool known;
    bool stack; /* written sooner or later */
    uint8_t seg, scale;
    uint32_t base, index; /* value; 0: none */
    int64_t off;
};

struct group {
    struct address at;           /* of the first access */
    int64_t low, high;           /* offsets of the first byte, after the last */
    int block;                   /* of the first access */
    bool write;                  /* one of them is a write */
    uint16_t first, last, count; /* accesses */
    int16_t local;               /* host address of the lowest byte; 0: look again */
};

/* At one place in the code. */
struct group_state {
    bool valid;
    uint8_t open_count;
    uint16_t open[GROUPS_OPEN];
    struct known reg[16];
};

struct groups {
    bool collecting; /* the first pass */
    uint32_t values; /* numbers given out */
    struct group_state now, in[REGION_MAX_BLOCKS];
    struct group all[GROUPS_MAX];
    unsigned count;
    struct {
        const struct rinsn *n;
        int16_t group; /* -1: none */
        int64_t off;
    } accesses[GROUP_ACCESSES];
    unsigned next; /* access */
    struct address operand;
    int operand_la; /* the local that has its linear address */
    int16_t local[GROUP_LOCALS];
    int16_t owner[GROUP_LOCALS]; /* group */
};

/* Before each pass. */
void groups_begin(struct emit *e, bool collecting);
/* At the beginning of the block e->blk; where it goes on to block @succ. */
void groups_block(struct emit *e);
void groups_edge(struct emit *e, int succ);
/* The instruction e->n was emitted; what was known before it. */
void groups_insn(struct emit *e, const struct group_state *before);
/* Register @reg got another value. */
void groups_changed(struct emit *e, unsigned reg);
/* RSP is what @reg was in @before plus @bytes. */
void groups_stack(struct emit *e, struct known reg, int32_t bytes);
/* C ran that may have changed mappings or anything else, or a segment's base changed. */
void groups_forget(struct emit *e);

/* The operand whose effective address is emitted next: that of the instruction, one on the stack
 * at register @reg plus @disp, one that nothing is known of. */
void groups_operand(struct emit *e);
void groups_stack_operand(struct emit *e, unsigned reg, int32_t disp);
void groups_unknown(struct emit *e);
/* Its linear address is in local @la. */
void groups_linear(struct emit *e, int la, unsigned seg);

/* The group of the access at @la that is emitted now, NULL if it has none. Sets *first if the
 * look-up is to be emitted, and where the access lies in the group. */
struct group *groups_join(struct emit *e, int la, unsigned bytes, bool write, bool *first,
                          uint32_t *off);
/* Is the group wanted after the access that was emitted last? */
bool groups_wanted(const struct emit *e, const struct group *g);
/* A slow path ran, of an access of @own (NULL: of none). */
void groups_after_slow(struct emit *e, const struct group *own);
/* A handler of the interpreter ran. */
void groups_after_handler(struct emit *e);

#endif
