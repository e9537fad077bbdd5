/*
 * The CPU's access to memory: segment, TLB, host memory.
 *
 * An access is three steps. mem_linear() adds the segment base (and, only where a segment isn't
 * flat, checks limit and type). The TLB look-up compares the tag with the page of the access's
 * *last* byte, so an access that crosses a page, a page with code on it, MMIO and a miss all fail
 * the same compare and share the slow path in tlb.c. On a fault they return false with c->exc
 * filled; nothing has been written then, even when the access crosses into a second page that
 * faults.
 */
#ifndef SLIPWAY_CPU_MEM_H
#define SLIPWAY_CPU_MEM_H

#include <string.h>

#include "cpu/cpu.h"

/* Slow paths: any size of 1..16 bytes. @seg only chooses #SS or #GP for a non-canonical address. */
bool mem_read_slow(struct cpu *c, int seg, uint64_t la, void *buf, unsigned size);
bool mem_write_slow(struct cpu *c, int seg, uint64_t la, const void *buf, unsigned size);
/* Makes sure that a write of @size bytes at @la can't fault (for read-modify-write of several
 * parts). */
bool mem_probe_write(struct cpu *c, int seg, uint64_t la, unsigned size);

static force_inline bool mem_linear(struct cpu *c, int seg, uint64_t ea, unsigned size,
                                    enum access a, uint64_t *la)
{
    if (unlikely(c->seg_check[seg] & (a == ACCESS_WRITE ? SEG_CHECK_WRITE : SEG_CHECK_READ)))
        return seg_check_slow(c, seg, ea, size, a, la);
    *la = (c->seg_base[seg] + ea) & c->la_mask;
    return true;
}

static force_inline struct tlb_entry *tlb_slot(struct tlb *t, uint64_t la)
{
    return &t->e[(la >> 12) & (TLB_SIZE - 1)];
}

/* Host address of a readable (writable) @size bytes at @la, or NULL: take the slow path. */
static force_inline void *mem_host(struct cpu *c, enum access a, uint64_t la, unsigned size)
{
    struct tlb_entry *e = tlb_slot(c->tlb[a], la);
    if (likely(e->tag == ((la + size - 1) & PAGE_MASK)))
        return (void *)(e->addend + (uintptr_t)la);
    return NULL;
}

#define MEM_ACCESSORS(bits, type)                                                                  \
    /* Linear addresses. */                                                                        \
    static force_inline bool mem_ld##bits##_la(struct cpu *c, int seg, uint64_t la, type *v)       \
    {                                                                                              \
        void *p = mem_host(c, ACCESS_READ, la, bits / 8);                                          \
        if (unlikely(!p))                                                                          \
            return mem_read_slow(c, seg, la, v, bits / 8);                                         \
        memcpy(v, p, bits / 8);                                                                    \
        return true;                                                                               \
    }                                                                                              \
    static force_inline bool mem_st##bits##_la(struct cpu *c, int seg, uint64_t la, type v)        \
    {                                                                                              \
        void *p = mem_host(c, ACCESS_WRITE, la, bits / 8);                                         \
        if (unlikely(!p))                                                                          \
            return mem_write_slow(c, seg, la, &v, bits / 8);                                       \
        memcpy(p, &v, bits / 8);                                                                   \
        return true;                                                                               \
    }                                                                                              \
    /* Segment and offset. */                                                                      \
    static force_inline bool mem_ld##bits(struct cpu *c, int seg, uint64_t ea, type *v)            \
    {                                                                                              \
        uint64_t la;                                                                               \
        return mem_linear(c, seg, ea, bits / 8, ACCESS_READ, &la) &&                               \
               mem_ld##bits##_la(c, seg, la, v);                                                   \
    }                                                                                              \
    static force_inline bool mem_st##bits(struct cpu *c, int seg, uint64_t ea, type v)             \
    {                                                                                              \
        uint64_t la;                                                                               \
        return mem_linear(c, seg, ea, bits / 8, ACCESS_WRITE, &la) &&                              \
               mem_st##bits##_la(c, seg, la, v);                                                   \
    }

MEM_ACCESSORS(8, uint8_t)
MEM_ACCESSORS(16, uint16_t)
MEM_ACCESSORS(32, uint32_t)
MEM_ACCESSORS(64, uint64_t)
MEM_ACCESSORS(128, union xmm)

/* Instruction fetch. mem_fetch_host: host address of the byte at @la, NULL with c->exc pending
 * (fault) or without (not RAM or ROM: use mem_fetch, which copies @size bytes within one page). */
const uint8_t *mem_fetch_host(struct cpu *c, uint64_t la);
bool mem_fetch(struct cpu *c, uint64_t la, uint8_t *buf, unsigned size);

/* Code appeared on a host page: every CPU's writes to it take the slow path from now on. */
void tlb_watch_host_page(struct cpu *c, uintptr_t host_page);

/* Supervisor accesses to system structures (GDT, IDT, TSS, stacks of an inner level): always with
 * MMU_KERNEL rights whatever the CPL is. Same return convention. */
bool mem_sys_read(struct cpu *c, uint64_t la, void *buf, unsigned size);
bool mem_sys_write(struct cpu *c, uint64_t la, const void *buf, unsigned size);

#endif
