/*
 * The soft TLB's slow side: what an access does when the inline tag compare in mem.h fails.
 *
 * There is one direct-mapped TLB per privilege (MMU_*) and access kind. A miss walks the page
 * tables (mmu.c), asks the memory map what is behind the physical page, and fills an entry: with a
 * bare tag if the access may go to host memory directly, with TLB_MMIO or TLB_WATCH in the tag's
 * low bits if every access must come here: device memory, ROM (for writes), pages with decoded
 * code, with dirty tracking or a data breakpoint. An entry can serve only whole pages of one RAM or
 * ROM region; a page that several regions share is treated as MMIO.
 *
 * While alignment checks are on (CPL 3, CR0.AM, RFLAGS.AC), c->tlb points to a TLB that never hits,
 * so that all accesses come through here and are checked; the real TLB still saves the walk.
 *
 * Flushes go over lists of slots in use, one for global pages, whose entries survive a flush that
 * allows it. A slot may be in the list in which its entry was before. The flush of one page looks
 * at one slot, unless the page lies among large ones, of which an entry has 4 KB.
 */
#include <stdio.h>

#include "cpu/block.h"
#include "cpu/mem.h"
#include "jit-wasm/jit.h"
#include "jit-wasm/lockstep.h"
#include "log.h"
#include "machine.h"

/* ---- flushing ---- */

static void tlb_init(struct tlb *t)
{
    for (unsigned k = 0; k < TLB_SIZE; k++) {
        t->e[k].tag = TLB_INVALID;
        t->side[k] = (struct tlb_side){ 0 };
    }
    t->used[0].count = t->used[1].count = 0;
    t->large_first = ~0ull;
    t->large_last = 0;
}

static void list_slot(struct tlb *t, unsigned slot)
{
    struct tlb_side *s = &t->side[slot];
    struct tlb_list *l = &t->used[s->global];
    if (s->listed[s->global])
        return;
    s->listed[s->global] = true;
    l->slots[l->count++] = (uint16_t)slot;
}

void tlb_init_all(struct cpu *c)
{
    tlb_init(&c->tlb_never);
    for (int m = 0; m < MMU_COUNT; m++)
        for (int a = 0; a < ACCESS_KINDS; a++)
            tlb_init(&c->tlbs[m][a]);
}

/* Cached jumps become stale: those to global pages, or the others. When a generation wraps around,
 * old ones would look fresh. */
static void next_generation(struct cpu *c, bool globals)
{
    uint32_t *gen = globals ? &c->tlb_gen_global : &c->tlb_gen;
    *gen = (*gen + 1) & 0xffffff;
    memset(c->jumped_pages[globals], 0, sizeof c->jumped_pages[globals]);
    if (*gen == 0) {
        memset(c->blocks->jumps, 0, sizeof c->blocks->jumps);
        memset(jit_jumps, 0, sizeof jit_jumps);
        *gen = 1;
    }
    cpu_update_jump_context(c);
}

void tlb_new_generation(struct cpu *c)
{
    next_generation(c, false);
    next_generation(c, true);
}

static uint64_t *jumped_word(struct cpu *c, bool global, uint64_t la, uint64_t *bit)
{
    unsigned n = (unsigned)(la >> 12) & 4095;
    *bit = 1ull << (n & 63);
    return &c->jumped_pages[global][n >> 6];
}

static bool jumped_to(struct cpu *c, bool global, uint64_t la)
{
    uint64_t bit, *word = jumped_word(c, global, la, &bit);
    return *word & bit;
}

void tlb_jump_local(struct cpu *c, uint64_t la)
{
    uint64_t bit, *word = jumped_word(c, false, la, &bit);
    *word |= bit;
}

uint32_t tlb_jump_context(struct cpu *c, uint64_t la)
{
    const struct tlb *t = &c->tlbs[c->mmu_index][ACCESS_FETCH];
    unsigned slot = (unsigned)(la >> 12) & (TLB_SIZE - 1);
    bool global = t->e[slot].tag == (la & PAGE_MASK) && t->side[slot].global;
    uint64_t bit, *word = jumped_word(c, global, la, &bit);
    *word |= bit;
    return global ? c->jump_context_global : c->jump_context;
}

/* Drops the entries of a list that aren't in the other one by now. */
static void flush_list(struct tlb *t, bool global)
{
    struct tlb_list *l = &t->used[global];
    for (uint32_t k = 0; k < l->count; k++) {
        unsigned slot = l->slots[k];
        t->side[slot].listed[global] = false;
        if (t->side[slot].global == global)
            t->e[slot].tag = TLB_INVALID;
    }
    l->count = 0;
}

void tlb_flush(struct cpu *c, bool globals)
{
    for (int m = 0; m < MMU_COUNT; m++) {
        for (int a = 0; a < ACCESS_KINDS; a++) {
            struct tlb *t = &c->tlbs[m][a];
            flush_list(t, false);
            if (globals) {
                flush_list(t, true);
                t->large_first = ~0ull;
                t->large_last = 0;
            }
        }
    }
    next_generation(c, false);
    if (globals)
        next_generation(c, true);
}

/* Drops what entries there are of the large page with @la, if it is one. */
static bool flush_large_page(struct tlb *t, uint64_t la)
{
    bool any = false;
    for (int global = 0; global < 2; global++) {
        struct tlb_list *l = &t->used[global];
        for (uint32_t k = 0; k < l->count; k++) {
            unsigned slot = l->slots[k];
            unsigned bits = t->side[slot].page_bits;
            if (bits > 12 && ((t->e[slot].tag ^ la) & ~0ull << bits) == 0) {
                t->e[slot].tag = TLB_INVALID;
                any = true;
            }
        }
    }
    return any;
}

void tlb_flush_page(struct cpu *c, uint64_t la)
{
    bool large = false;
    for (int m = 0; m < MMU_COUNT; m++) {
        for (int a = 0; a < ACCESS_KINDS; a++) {
            struct tlb *t = &c->tlbs[m][a];
            struct tlb_entry *e = tlb_slot(t, la);
            if (la >= t->large_first && la <= t->large_last)
                large |= flush_large_page(t, la);
            if (((e->tag ^ la) & PAGE_MASK) == 0)
                e->tag = TLB_INVALID;
        }
    }
    for (int global = 0; global < 2; global++)
        if (large || jumped_to(c, global, la))
            next_generation(c, global);
}

static void watch_in_cpu(struct cpu *c, uintptr_t host_page)
{
    for (int m = 0; m < MMU_COUNT; m++) {
        struct tlb *t = &c->tlbs[m][ACCESS_WRITE];
        for (int global = 0; global < 2; global++) {
            const struct tlb_list *l = &t->used[global];
            for (uint32_t k = 0; k < l->count; k++) {
                struct tlb_entry *e = &t->e[l->slots[k]];
                if (!(e->tag & 0xfff) && e->addend + (uintptr_t)e->tag == host_page)
                    e->tag |= TLB_WATCH;
            }
        }
    }
}

void tlb_watch_host_page(struct cpu *c, uintptr_t host_page)
{
    watch_in_cpu(c, host_page);
    for (int k = 0; c->machine && k < c->machine->cpu_count; k++)
        if (c->machine->cpus[k] && c->machine->cpus[k] != c)
            watch_in_cpu(c->machine->cpus[k], host_page);
}

/* ---- filling ---- */

static struct tlb_entry *fill(struct cpu *c, uint64_t la, enum access a, int mmu)
{
    struct mmu_result r;
    c->slow -= SLOW_WALK;
    if (!mmu_walk(c, la, a, mmu, false, &r))
        return NULL;
    uint64_t phys = r.phys & PAGE_MASK;
    struct tlb *t = &c->tlbs[mmu][a];
    unsigned slot = (unsigned)(la >> 12) & (TLB_SIZE - 1);
    struct tlb_entry *e = &t->e[slot];
    struct tlb_side *s = &t->side[slot];
    s->phys = phys;
    s->region = NULL;
    s->global = r.global;
    s->page_bits = r.page_bits;
    list_slot(t, slot);
    if (r.page_bits > 12) {
        uint64_t rest = (1ull << r.page_bits) - 1;
        if (t->large_first > (la & ~rest))
            t->large_first = la & ~rest;
        if (t->large_last < (la | rest))
            t->large_last = la | rest;
    }
    e->tag = la & PAGE_MASK;
    e->addend = 0;

    const struct mem_range *range = mem_find(c->mem, phys);
    if (!range || range->first > phys || range->last < phys + 4095 ||
        range->region->kind == MEM_MMIO || (range->region->kind == MEM_ROM && a == ACCESS_WRITE)) {
        e->tag |= TLB_MMIO;
        return e;
    }
    s->region = range->region;
    s->offset = range->offset + (phys - range->first);
    uint8_t *host = s->region->host + s->offset;
    e->addend = (uintptr_t)host - (uintptr_t)(la & PAGE_MASK);
    if (dbg_page_watched(c, la, a))
        e->tag |= TLB_WATCH;
    if (a == ACCESS_WRITE && (block_page_has_code((uintptr_t)host) ||
                              mem_region_tracks_dirty(s->region) || lockstep_on()))
        e->tag |= TLB_WATCH;
    return e;
}

/* The entry for @la, filled if needed; NULL: fault. */
static struct tlb_entry *look_up(struct cpu *c, uint64_t la, enum access a, int mmu)
{
    struct tlb_entry *e = tlb_slot(&c->tlbs[mmu][a], la);
    if (likely((e->tag & (PAGE_MASK | 0xffc)) == (la & PAGE_MASK)))
        return e;
    return fill(c, la, a, mmu);
}

/* ---- one access within one page, translated ---- */

static void device_read(struct cpu *c, uint64_t phys, void *buf, unsigned size)
{
    uint8_t *p = buf;
    lockstep_device();
    c->slow -= SLOW_DEVICE;
    while (size) {
        unsigned n = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
        uint64_t v = mem_read(c->mem, phys, n);
        memcpy(p, &v, n);
        p += n;
        phys += n;
        size -= n;
    }
}
static void device_write(struct cpu *c, uint64_t phys, const void *buf, unsigned size)
{
    const uint8_t *p = buf;
    lockstep_device();
    c->slow -= SLOW_DEVICE;
    while (size) {
        unsigned n = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
        uint64_t v = 0;
        memcpy(&v, p, n);
        mem_write(c->mem, phys, v, n);
        p += n;
        phys += n;
        size -= n;
    }
}

static struct tlb_side *side_of(struct cpu *c, enum access a, int mmu, uint64_t la)
{
    return &c->tlbs[mmu][a].side[(la >> 12) & (TLB_SIZE - 1)];
}

static void do_read(struct cpu *c, const struct tlb_entry *e, enum access a, int mmu, uint64_t la,
                    void *buf, unsigned size)
{
    if (e->tag & TLB_WATCH)
        dbg_check_data(c, la, size, a);
    if (unlikely(e->tag & TLB_MMIO))
        device_read(c, side_of(c, a, mmu, la)->phys | (la & 0xfff), buf, size);
    else
        memcpy(buf, (void *)(e->addend + (uintptr_t)la), size);
}

static void do_write(struct cpu *c, struct tlb_entry *e, int mmu, uint64_t la, const void *buf,
                     unsigned size)
{
    struct tlb_side *s = side_of(c, ACCESS_WRITE, mmu, la);
    if (e->tag & TLB_WATCH)
        dbg_check_data(c, la, size, ACCESS_WRITE);
    if (unlikely(e->tag & TLB_MMIO)) {
        device_write(c, s->phys | (la & 0xfff), buf, size);
        return;
    }
    uintptr_t host = e->addend + (uintptr_t)la;
    if (lockstep_on())
        lockstep_write(host, size);
    memcpy((void *)host, buf, size);
    if (!(e->tag & TLB_WATCH))
        return;
    mem_region_mark_dirty(s->region, s->offset + (la & 0xfff), size);
    block_note_write(host, size);
    /* The last code is gone from the page: back to the fast path. */
    if (!lockstep_on() && !block_page_has_code(host & ~(uintptr_t)0xfff) &&
        !mem_region_tracks_dirty(s->region) && !dbg_page_watched(c, la, ACCESS_WRITE))
        e->tag &= ~(uint64_t)TLB_WATCH;
}

/* ---- the slow paths of mem.h ---- */

/* Checks that come before translation: canonical address, alignment. */
static bool pre_check(struct cpu *c, int seg, uint64_t la, unsigned size)
{
    if ((c->mode & MODE_CODE_MASK) == MODE_CODE64 &&
        (!cpu_canonical(la) || !cpu_canonical(la + size - 1)))
        return cpu_fault(c, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
    if (unlikely(cpu_alignment_checked(c))) {
        unsigned align = size == 10 ? 8 : size & (size - 1) ? 1 : size;
        if (la & (align - 1))
            return cpu_fault(c, EXC_AC, 0);
    }
    return true;
}

static bool read_at(struct cpu *c, int mmu, enum access a, uint64_t la, uint64_t la_mask, void *buf,
                    unsigned size)
{
    unsigned first = 4096 - (unsigned)(la & 0xfff);
    struct tlb_entry *e = look_up(c, la, a, mmu);
    if (!e)
        return false;
    if (likely(size <= first)) {
        do_read(c, e, a, mmu, la, buf, size);
        return true;
    }
    uint64_t la2 = (la + first) & la_mask;
    struct tlb_entry *e2 = look_up(c, la2, a, mmu);
    if (!e2)
        return false;
    do_read(c, e, a, mmu, la, buf, first);
    do_read(c, e2, a, mmu, la2, (uint8_t *)buf + first, size - first);
    return true;
}

static bool write_at(struct cpu *c, int mmu, uint64_t la, uint64_t la_mask, const void *buf,
                     unsigned size)
{
    unsigned first = 4096 - (unsigned)(la & 0xfff);
    struct tlb_entry *e = look_up(c, la, ACCESS_WRITE, mmu);
    if (!e)
        return false;
    if (likely(size <= first)) {
        do_write(c, e, mmu, la, buf, size);
        return true;
    }
    uint64_t la2 = (la + first) & la_mask;
    struct tlb_entry *e2 = look_up(c, la2, ACCESS_WRITE, mmu);
    if (!e2)
        return false;
    do_write(c, e, mmu, la, buf, first);
    do_write(c, e2, mmu, la2, (const uint8_t *)buf + first, size - first);
    return true;
}

bool mem_read_slow(struct cpu *c, int seg, uint64_t la, void *buf, unsigned size)
{
    return pre_check(c, seg, la, size) &&
           read_at(c, c->mmu_index, ACCESS_READ, la, c->la_mask, buf, size);
}

bool mem_write_slow(struct cpu *c, int seg, uint64_t la, const void *buf, unsigned size)
{
    return pre_check(c, seg, la, size) && write_at(c, c->mmu_index, la, c->la_mask, buf, size);
}

bool mem_probe_write(struct cpu *c, int seg, uint64_t la, unsigned size)
{
    if (!pre_check(c, seg, la, size) || !look_up(c, la, ACCESS_WRITE, c->mmu_index))
        return false;
    unsigned first = 4096 - (unsigned)(la & 0xfff);
    return size <= first || look_up(c, (la + first) & c->la_mask, ACCESS_WRITE, c->mmu_index);
}

/* System structures are addressed with 64 bits in all of long mode, compatibility mode included. */
static uint64_t system_mask(const struct cpu *c)
{
    return c->mode & MODE_LMA ? ~0ull : 0xffffffffull;
}

bool mem_sys_read(struct cpu *c, uint64_t la, void *buf, unsigned size)
{
    return read_at(c, MMU_KERNEL, ACCESS_READ, la & system_mask(c), system_mask(c), buf, size);
}

bool mem_sys_write(struct cpu *c, uint64_t la, const void *buf, unsigned size)
{
    return write_at(c, MMU_KERNEL, la & system_mask(c), system_mask(c), buf, size);
}

const uint8_t *mem_fetch_host(struct cpu *c, uint64_t la)
{
    int mmu = c->mmu_index;
    struct tlb_entry *e = tlb_slot(&c->tlbs[mmu][ACCESS_FETCH], la);
    if (unlikely(e->tag != (la & PAGE_MASK))) {
        e = look_up(c, la, ACCESS_FETCH, mmu);
        if (!e || (e->tag & TLB_MMIO))
            return NULL;
    }
    return (const uint8_t *)(e->addend + (uintptr_t)la);
}

bool mem_fetch(struct cpu *c, uint64_t la, uint8_t *buf, unsigned size)
{
    return read_at(c, c->mmu_index, ACCESS_FETCH, la, c->la_mask, buf, size);
}

uintptr_t tlb_probe_code(struct cpu *c, uint64_t la)
{
    const struct tlb_entry *e = tlb_slot(&c->tlbs[c->mmu_index][ACCESS_FETCH], la);
    struct mmu_result r;
    if (e->tag == (la & PAGE_MASK))
        return e->addend + (uintptr_t)la;
    if (!mmu_walk(c, la, ACCESS_FETCH, c->mmu_index, true, &r))
        return 0;
    uint64_t phys = r.phys & PAGE_MASK;
    const struct mem_range *range = mem_find(c->mem, phys);
    if (!range || range->first > phys || range->last < phys + 4095 ||
        range->region->kind == MEM_MMIO)
        return 0;
    return (uintptr_t)(range->region->host + range->offset + (phys - range->first)) + (la & 0xfff);
}

static bool page_watched(struct cpu *c, uint64_t la)
{
    const struct tlb_entry *e = tlb_slot(&c->tlbs[c->mmu_index][ACCESS_WRITE], la);
    bool filled = (e->tag & (PAGE_MASK | 0xffc)) == (la & PAGE_MASK);
    return !filled || (e->tag & (TLB_WATCH | TLB_MMIO)) == TLB_WATCH;
}

bool tlb_write_watched(struct cpu *c, uint64_t la, unsigned size)
{
    return page_watched(c, la) || page_watched(c, (la + size - 1) & c->la_mask);
}

static bool byte_hits_running(struct cpu *c, uint64_t la, unsigned size)
{
    const struct tlb_entry *e = tlb_slot(&c->tlbs[c->mmu_index][ACCESS_WRITE], la);
    return !(e->tag & TLB_MMIO) && jit_hits_running(e->addend + (uintptr_t)la, size);
}

bool tlb_write_hits_running(struct cpu *c, uint64_t la, unsigned size)
{
    unsigned first = 4096 - (unsigned)(la & 0xfff);
    if (size <= first)
        return byte_hits_running(c, la, size);
    return byte_hits_running(c, la, first) ||
           byte_hits_running(c, (la + first) & c->la_mask, size - first);
}

bool cpu_probe_phys(struct cpu *c, uint64_t la, uint64_t *phys)
{
    struct mmu_result r;
    if (!mmu_walk(c, la & system_mask(c), ACCESS_READ, MMU_KERNEL, true, &r))
        return false;
    *phys = r.phys;
    return true;
}
