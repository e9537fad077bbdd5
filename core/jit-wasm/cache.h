/*
 * Translated regions: what C keeps of each, and how they are found and dropped.
 *
 * A region is found by the host address of its entry and the mode it was made for. It is dropped as
 * a whole when one of its bytes is written. Its function's table slot then gets a stub that returns
 * to C (entries of the jump cache still name the slot); such slots are used again only after the
 * jump cache was emptied. The memory of a dropped region is freed when no translated code runs, for
 * it may be the running one.
 */
#ifndef SLIPWAY_JIT_CACHE_H
#define SLIPWAY_JIT_CACHE_H

#include "jit-wasm/jit.h"
#include "jit-wasm/region.h"

#define REGION_INSN_CHUNK 32
#define REGION_SELF_CALLS 8
#define REGION_STRAYS     256
#define REGION_JUMPS      64

/* What the mode and segments must be like: everything the code was specialised for. */
struct region_key {
    uintptr_t code; /* host address of the entry */
    uint32_t mode;  /* MODE_CODE_MASK, PE, VM, LMA */
    uint8_t mmu_index;
    bool flat;
    uint64_t cs_limit; /* outside 64-bit mode */
};

struct region_range {
    uintptr_t host;
    uint32_t len;
};

struct insn_chunk {
    struct insn_chunk *next;
    struct insn insns[REGION_INSN_CHUNK];
};

struct region_table {
    struct region_table *next;
    uint8_t bytes[];
};

struct jit_module;

struct region {
    struct region_key key;
    uint32_t slot; /* 0: waits to be installed (batch.h) */
    bool dead;
    unsigned page_count, range_count, insns_total;
    struct rpage pages[REGION_MAX_PAGES];
    struct region *page_next[REGION_MAX_PAGES];
    struct region *hash_next, *dead_next, *all_next, *all_prev, *module_next;
    struct jit_module *module;
    struct region_range *ranges; /* code bytes, merged */
    struct jit_point *points;
    unsigned point_count, point_capacity;
    /* Where in the function's body the index is that it calls itself by. */
    uint32_t self_calls[REGION_SELF_CALLS];
    unsigned self_call_count;
    struct region_table *tables;
    uintptr_t jumps[REGION_JUMPS]; /* indirect ones whose targets it has (targets.h) */
    unsigned jump_count;
    int32_t strays; /* down to 0: indirect jumps to what isn't in the region until jit_stray() */
    unsigned strays_new;
    struct insn_chunk *chunks, *chunk; /* first, the one being filled */
    unsigned chunk_used;
    bool failed;
    uint32_t wasm_bytes;
};

struct region_key region_key(const struct cpu *c, uintptr_t code);
struct region *region_new(const struct region_code *code);
void region_free(struct region *r);

/* While it is emitted. What an earlier pass has added is forgotten. */
void region_begin_pass(struct region *r);
int region_add_point(struct region *r, struct jit_point p);
const struct insn *region_add_insn(struct region *r, const struct insn *i);
/* @bytes bytes of 0 that live as long as the region; NULL: region_failed(). */
uint8_t *region_add_table(struct region *r, size_t bytes);
bool region_failed(const struct region *r);

/* A free slot of the table; 0: none to be had. */
uint32_t cache_slot(void);
/* Enters a finished region into the tables. */
void cache_insert(struct region *r, struct cpu *c);
/* The region for the code at host address @code as the CPU is now, all its pages still mapped where
 * they were; NULL: none. @la: linear address of @code. */
struct region *cache_find(struct cpu *c, uintptr_t code, uint64_t la);
/* Under which context the jump cache may name the region at @la: global only if all pages are. */
uint32_t cache_jump_context(struct cpu *c, const struct region *r, uint64_t la);
void cache_drop(struct region *r);
/* Frees what was dropped; no translated code may be running. */
void cache_reap(void);
/* Is the code on the page of this host address overwritten again and again? Each time it says so,
 * it forgets half of what it has seen. */
bool cache_restless(uintptr_t code);

struct cache_stats {
    uint64_t made, dropped, live;    /* regions */
    uint64_t wasm_bytes, live_bytes; /* of their functions: made, live */
    uint64_t modules, evicted;       /* modules made; regions dropped because there were too many */
    uint64_t insns, live_insns;      /* guest instructions that they were made of */
    uint64_t flushes;                /* of everything, when there was something */
};
extern struct cache_stats cache_stats;

#endif
