/*
 * Random multi-block programs for the JIT's fuzzer: what a program is, the memory it sees, and how
 * it reports.
 *
 * A program is user-mode code for 64-bit, 32-bit (flat or segmented) or 16-bit protected-mode
 * execution. It is
 * kept as a list of items, one instruction each, so that a minimiser can leave some out and lay the
 * rest out anew. Whoever runs a program (this machine's processor: host_run.c; an emulator: the
 * kernel in kernel.asm) gives it this memory:
 *
 *   CODE   4 pages  0, 1 RWX; 2 RX, made writable by the first write fault; 3 absent until touched
 *   ALIAS  2 pages  the same memory as CODE's pages 0 and 1, not executable
 *   DATA  12 pages  0-3 RW; 4 read-only; 5 absent; 6, 7 RW (stack); 8 absent; 9 absent until
 *                   touched; 10 read-only until written; 11 absent
 *
 * and treats every exception as an event. An event's record (struct event) goes into a running
 * hash; then execution goes on:
 *   #BP, #DB, #OF      after the instruction; #BP also takes away again the pages that were given
 *   #PF on CODE 2, 3 or DATA 9, 10 that the rules above allow: the same instruction again
 *   others             the next instruction of the program's table; #MF clears the x87 exceptions
 *   RIP outside of it  at `rescue` with the initial stack pointer
 * The program is over at the event whose RIP is `end`, or after EVENTS_MAX. The kernel adds the
 * timeouts. What stays: hash of events, of the last state, of DATA and CODE (struct outcome).
 */
#ifndef SLIPWAY_JIT_PROGRAM_H
#define SLIPWAY_JIT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE       0x1000u
#define CODE       0x10000000u
#define CODE_PAGES 4u
#define CODE_SIZE  (CODE_PAGES * PAGE)
#define ALIAS      0x18000000u
#define ALIAS_SIZE (2 * PAGE)
#define DATA       0x20000000u
#define DATA_PAGES 12u
#define DATA_SIZE  (DATA_PAGES * PAGE)
#define STACK_TOP  (DATA + 8 * PAGE - 256)
#define GS_OFFSET  0x1000u /* GS base in 32-bit and 64-bit programs: DATA + this */
#define EVENTS_MAX 200u
/* Error code bit P says nothing outside of these (the kernel's own mappings). */
#define USER_FIRST 0x0c000000u
#define USER_LAST  0x2fffffffu

enum { PAGE_CODE_COW = 2, PAGE_CODE_LAZY = 3, PAGE_DATA_LAZY = 9, PAGE_DATA_COW = 10 };
enum { BITS64, BITS32, BITS16, BITS32S /* 32-bit with segments that aren't flat */, BITS_COUNT };
/* Segment bases. 16-bit: CS, GS = CODE; DS, ES, SS = DATA. 32-bit, segmented: all = CODE but GS.
 * The others: 0 but GS = DATA + GS_OFFSET. */
static inline uint32_t code_base(unsigned bits) /* where RIP 0 is */
{
    return bits == BITS16 || bits == BITS32S ? CODE : 0;
}
static inline uint32_t data_address(unsigned bits) /* of DATA, as an offset in DS */
{
    return bits == BITS16 ? 0 : bits == BITS32S ? DATA - CODE : DATA;
}

struct fix {
    uint8_t at, kind; /* offset in the item; FIX_* */
    int16_t label;
    int32_t add;
};
enum { FIX_NONE, FIX_REL32, FIX_ABS16, FIX_ABS32, FIX_ABS64 };

enum item_kind {
    ITEM_INSN,
    ITEM_DATA,
    ITEM_LABEL, /* fix[0].label */
    ITEM_JUMP,  /* bytes[0]: JUMP_*; to fix[0].label */
    ITEM_SEEK   /* go to the next offset that is fix[0].add modulo 1 << bytes[0] */
};
enum {
    JUMP_CC = 0 /* ..15 */,
    JUMP_JMP = 16,
    JUMP_CALL,
    JUMP_LOOP,
    JUMP_LOOPE,
    JUMP_LOOPNE,
    JUMP_CXZ
};

struct item {
    uint8_t kind, len;
    bool fixed; /* the minimiser leaves it alone */
    bool long_; /* ITEM_JUMP, set by layout: not short */
    uint8_t bytes[16];
    struct fix fix[2];
    uint32_t offset; /* set by layout */
};

struct program {
    uint64_t seed;
    unsigned bits; /* BITS_* */
    struct item *items;
    size_t item_count, item_room;
    int32_t *labels; /* label -> offset */
    int label_count, label_room;
    int entry, rescue, end; /* labels */
    uint64_t gpr[16];
    uint32_t rflags;
    bool privileged;      /* has instructions that this machine's processor won't run for us */
    uint32_t data_offset; /* DATA starts as the common block from here, see data_byte() */
    uint8_t fx[512];      /* FXSAVE image */

    /* Set by program_layout(). */
    uint8_t code[CODE_SIZE];
    uint32_t code_len;
    uint16_t starts[CODE_SIZE]; /* offsets of instructions, ascending */
    uint32_t start_count;
};

/* Registers at an event; also what is hashed, so without holes. */
struct event {
    uint64_t gpr[16];
    uint64_t rip, rflags, vector, error, cr2, number;
    uint32_t mxcsr;
    uint16_t fcw, fsw;
    uint64_t ftag;
    uint8_t st[8][16];
    uint8_t xmm[16][16];
};
_Static_assert(sizeof(struct event) == 576, "kernel.asm has this layout");

enum { END_NORMAL, END_EVENTS, END_TIMEOUT };
struct outcome {
    uint32_t magic, index;
    uint32_t events, reason; /* END_* */
    uint64_t event_hash, data_hash, code_hash;
    uint64_t extra; /* of the kernel only: counts of hidden events, not compared with the host */
};
#define OUTCOME_MAGIC 0x4f4a5a46u
#define EVENT_MAGIC   0x454a5a46u
#define DUMP_MAGIC    0x444a5a46u

/* Flags that events show: AF is undefined after too many instructions, and RF, IF and the rest
 * belong to whoever runs the program. */
#define FLAGS_SHOWN 0xdc5u /* CF PF ZF SF TF DF OF */
/* Not shown where a fetch faults: the page's border may lie between an instruction that leaves
 * flags undefined and the one that defines them. */
#define FLAGS_ARITH 0x8c5ull

#define HASH_START 0xcbf29ce484222325ull
#define HASH_K     0x9e3779b97f4a7c15ull
static inline uint64_t hash_words(uint64_t h, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    for (size_t k = 0; k < bytes; k += 8) {
        uint64_t v;
        __builtin_memcpy(&v, p + k, 8);
        h = (h ^ v) * HASH_K;
        h ^= h >> 29;
    }
    return h;
}

/* ---- the generator (gen.c) ---- */
struct profile {
    int bits;     /* BITS_*, or -1: any */
    bool no_step; /* no code that sets TF (the kernel single-steps by itself) */
    bool ring0;   /* privileged instructions, too */
};
/* Makes the program of @seed. False: it didn't fit; take another seed. */
bool program_generate(struct program *p, uint64_t seed, const struct profile *profile);
/* Sets code, code_len, starts; leaves out items k with dropped[k] (NULL: none). */
bool program_layout(struct program *p, const bool *dropped);
void program_free(struct program *p);
/* Disassembly on stdout, dropped items left out. */
void program_print(const struct program *p, const bool *dropped);

/* The common block of initial data. */
#define DATA_BLOCK 0x20000u
const uint8_t *data_block(void);

/* ---- this machine's processor (host_run.c) ---- */
bool host_available(void);
/* Runs @p. False: it didn't come to an end. @log: called with each event (may be NULL). */
bool host_run(const struct program *p, struct outcome *o,
              void (*log)(void *opaque, const struct event *e), void *opaque);

#endif
