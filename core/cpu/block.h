/*
 * The cache of decoded blocks: runs of instructions that were decoded once and are executed many
 * times.
 *
 * A block is keyed by the host address of its first byte and the code size (16/32/64), so that the
 * same memory seen through other mappings shares it and changes of mapping need no flush here. It
 * lies within one page; an instruction that crosses into the next page is never cached (the second
 * half may be remapped on its own) but decoded into a scratch block each time. Blocks end at a
 * branch, at an instruction after which mode or mapping may differ (OP_END), at the end of the page
 * or after BLOCK_MAX instructions, and close with an H_END marker.
 *
 * Each page of memory that holds code has a struct code_page: the mask of its 64-byte chunks
 * covered by blocks and the list of them. Writes into such pages take the TLB's slow path
 * (TLB_WATCH) and drop the blocks that overlap the bytes written. A dropped block loses its key and
 * has all its instructions turned into H_RELOOK, so that if it is the one that is running, the
 * interpreter leaves it at the next instruction and decodes afresh.
 *
 * Blocks live in a pool that is filled linearly and emptied as a whole. The pool and the table of
 * code pages are per process: host addresses are unique in it, and a write by a device has to find
 * blocks without knowing whose CPU decoded them.
 */
#ifndef SLIPWAY_CPU_BLOCK_H
#define SLIPWAY_CPU_BLOCK_H

#include "cpu/decode.h"

#define BLOCK_MAX   48u
#define BLOCK_BYTES 240u /* insn.off is 8 bits wide */

/* A jump that was made: linear address to block, without a walk or a hash of host addresses. */
struct jump_entry {
    uint64_t la;
    uint32_t context;    /* c->jump_context that it was made under */
    struct block *block; /* its code is 0 if it was dropped since */
};

struct block {
    uintptr_t code; /* host address of the first byte; 0: dropped */
    uint8_t mode;   /* MODE_CODE* */
    uint8_t bytes;
    uint8_t count;
    bool prot;    /* decoded for protected mode (OP_PROT rows) */
    int32_t heat; /* instructions left to run until it is reported as hot */
    struct block *hash_next;
    struct block *page_next;
    /* Where it went last: to a block of its page, falling out of its end [0] or by a branch [1]
     * (itself: not yet), and to another page. What follows is on the lines of memory that are read
     * anyway; an entry of the jump cache seldom is. Stale after block_flush_all(). */
    struct block *near[2];
    struct jump_entry far;
    struct insn insns[]; /* count, then H_END */
};

/* The jump cache, for what is not linked. */
#define JUMP_CACHE_SIZE 32768u

struct block_cache {
    struct jump_entry jumps[JUMP_CACHE_SIZE];
    /* A struct block for one instruction that can't be cached. */
    _Alignas(struct block) uint8_t scratch[sizeof(struct block) + 2 * sizeof(struct insn)];
    struct block_cache *next;
};
struct block_cache *block_cache_new(void); /* one per CPU; NULL: out of memory */
void block_cache_free(struct block_cache *cache);

static inline struct jump_entry *jump_slot(struct cpu *c, uint64_t la)
{
    return &c->blocks->jumps[(la ^ la >> 12) & (JUMP_CACHE_SIZE - 1)];
}

/* The block at c->rip, decoded if needed. NULL: fetching faulted, c->exc is pending. @single: one
 * instruction only, not cached (single-stepping). Sets gpr[REG_IP]. */
struct block *block_find(struct cpu *c, bool single);

/* Bytes @len at @host were or will be written. True if any block was dropped. */
bool block_note_write(uintptr_t host, size_t len);
/* A new block is hot after so many of its instructions were run, a long one after a fourth. */
extern int32_t block_heat;
/* Was there a run of the code at host address @host, as the CPU is now? */
bool block_was_run(struct cpu *c, uintptr_t host);
/* Also how long that block is, 0: there is none. */
unsigned block_set_heat(struct cpu *c, uintptr_t host, int32_t heat);
/* Bytes of a page are code though no block was made of them: their writes are watched. */
void block_cover(struct cpu *c, uintptr_t host, uint32_t len);
/* Is there code on the page of this host address? */
bool block_page_has_code(uintptr_t host_page);
/* Drops everything (memory is going away, reset). */
void block_flush_all(void);

/* Bits of the 64-byte chunks that [offset, offset + len) of a page touches. */
static inline uint64_t chunk_mask(unsigned offset, unsigned len)
{
    unsigned first = offset >> 6, last = (offset + len - 1) >> 6;
    return (~0ull << first) & (~0ull >> (63 - last));
}

struct block_stats {
    uint64_t decoded, dropped, flushes, pool_bytes;
};
extern struct block_stats block_stats;

#endif
