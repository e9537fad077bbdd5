/* Regions: storage, look-up, invalidation. See cache.h. */
#include "jit-wasm/cache.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "host/host.h"
#include "jit-wasm/batch.h"
#include "jit-wasm/targets.h"

#define HASH_SIZE      4096u
#define PAGE_HASH_SIZE 4096u
#define DEAD_SLOTS_MAX 512u

static struct region *hash[HASH_SIZE];
static struct region *page_hash[PAGE_HASH_SIZE]; /* linked by page_next[k] of the matching page */
static uint8_t page_drops[PAGE_HASH_SIZE];
static struct region *all, *dead;
static uint32_t *free_slots, free_count, free_capacity;
static uint32_t dead_slots[DEAD_SLOTS_MAX], dead_slot_count;

struct cache_stats cache_stats;

static unsigned hash_of(uintptr_t code)
{
    return (unsigned)((code ^ code >> 12) & (HASH_SIZE - 1));
}
static unsigned page_slot(uintptr_t page)
{
    return (unsigned)((page >> 12) & (PAGE_HASH_SIZE - 1));
}

struct region_key region_key(const struct cpu *c, uintptr_t code)
{
    bool m64 = (c->mode & MODE_CODE_MASK) == MODE_CODE64;
    return (struct region_key){
        .code = code,
        .mode = c->mode & (MODE_CODE_MASK | MODE_PE | MODE_VM | MODE_LMA),
        .mmu_index = c->mmu_index,
        .flat = c->flat,
        .cs_limit = m64 ? 0 : c->cs_limit,
    };
}

static bool same_key(const struct region_key *a, const struct region_key *b)
{
    return a->code == b->code && a->mode == b->mode && a->mmu_index == b->mmu_index &&
           a->flat == b->flat && a->cs_limit == b->cs_limit;
}

/* ---- making ---- */

static void add_range(struct region *r, uintptr_t host, uint32_t len)
{
    if (r->range_count) {
        struct region_range *last = &r->ranges[r->range_count - 1];
        if (last->host + last->len == host && (host & 0xfff)) {
            last->len += len;
            return;
        }
    }
    r->ranges[r->range_count++] = (struct region_range){ host, len };
}

/* The bytes at offsets [off, off + len) of the region, page by page. */
static void add_code(struct region *r, const struct region_code *code, int32_t off, uint32_t len)
{
    while (len) {
        uint64_t la = (code->la + (uint64_t)(int64_t)off) & code->cpu->la_mask;
        int32_t delta = (int32_t)((int64_t)((la & PAGE_MASK) - (code->la & PAGE_MASK)) >> 12);
        uint32_t at = la & 0xfff, n = 4096 - at < len ? 4096 - at : len;
        for (unsigned k = 0; k < r->page_count; k++)
            if (r->pages[k].delta == delta)
                add_range(r, r->pages[k].host + at, n);
        off += (int32_t)n;
        len -= n;
    }
}

struct region *region_new(const struct region_code *code)
{
    struct region *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->ranges = calloc(code->block_count * 2 + 2, sizeof *r->ranges);
    if (!r->ranges) {
        free(r);
        return NULL;
    }
    r->strays = REGION_STRAYS;
    r->key = region_key(code->cpu, code->pages[0].host + (code->la & 0xfff));
    r->page_count = code->page_count;
    memcpy(r->pages, code->pages, sizeof r->pages);
    for (unsigned k = 0; k < code->block_count; k++) {
        const struct rblock *b = &code->blocks[k];
        add_code(r, code, b->off, (uint32_t)(b->end_off - b->off));
        r->insns_total += b->count;
        if (b->end == BE_DYN && b->succ[0] != OUTSIDE && r->jump_count < REGION_JUMPS)
            r->jumps[r->jump_count++] = region_host(code, code->insns[b->first + b->count - 1].off);
    }
    return r;
}

static void free_tables(struct region *r)
{
    while (r->tables) {
        struct region_table *next = r->tables->next;
        free(r->tables);
        r->tables = next;
    }
}

void region_free(struct region *r)
{
    free_tables(r);
    while (r->chunks) {
        struct insn_chunk *next = r->chunks->next;
        free(r->chunks);
        r->chunks = next;
    }
    free(r->points);
    free(r->ranges);
    free(r);
}

void region_begin_pass(struct region *r)
{
    free_tables(r);
    r->point_count = r->self_call_count = 0;
    r->chunk = r->chunks;
    r->chunk_used = 0;
}

int region_add_point(struct region *r, struct jit_point p)
{
    if (r->point_count == r->point_capacity) {
        unsigned n = r->point_capacity ? r->point_capacity * 2 : 32;
        struct jit_point *more = realloc(r->points, n * sizeof *more);
        if (!more) {
            r->failed = true;
            return 0;
        }
        r->points = more;
        r->point_capacity = n;
    }
    r->points[r->point_count] = p;
    return (int)r->point_count++;
}

const struct insn *region_add_insn(struct region *r, const struct insn *i)
{
    if (r->chunk && r->chunk_used == REGION_INSN_CHUNK && r->chunk->next) {
        r->chunk = r->chunk->next;
        r->chunk_used = 0;
    }
    if (!r->chunk || r->chunk_used == REGION_INSN_CHUNK) {
        struct insn_chunk *more = calloc(1, sizeof *more);
        if (!more) {
            r->failed = true;
            return i;
        }
        if (r->chunk)
            r->chunk->next = more;
        else
            r->chunks = more;
        r->chunk = more;
        r->chunk_used = 0;
    }
    struct insn *copy = &r->chunk->insns[r->chunk_used++];
    *copy = *i;
    copy->off = 0;
    return copy;
}

uint8_t *region_add_table(struct region *r, size_t bytes)
{
    struct region_table *t = calloc(1, sizeof *t + bytes);
    if (!t) {
        r->failed = true;
        return NULL;
    }
    t->next = r->tables;
    r->tables = t;
    return t->bytes;
}

bool region_failed(const struct region *r)
{
    return r->failed;
}

/* ---- slots ---- */

static bool more_slots(void)
{
    enum { BATCH = 256 };
    uint32_t first = host_jit_slots(BATCH);
    if (!first)
        return false;
    if (free_count + BATCH > free_capacity) {
        uint32_t n = free_capacity + 4 * BATCH;
        uint32_t *p = realloc(free_slots, n * sizeof *p);
        if (!p)
            return false;
        free_slots = p;
        free_capacity = n;
    }
    for (uint32_t k = BATCH; k > 0; k--)
        free_slots[free_count++] = first + k - 1;
    return true;
}

uint32_t cache_slot(void)
{
    if (!free_count && !more_slots())
        return 0;
    return free_slots[--free_count];
}

/* The jump cache may name dead slots: empty it, then they can be used again. */
static void recycle_slots(void)
{
    memset(jit_jumps, 0, sizeof jit_jumps);
    for (uint32_t k = 0; k < dead_slot_count; k++) {
        if (free_count == free_capacity) {
            uint32_t n = free_capacity + DEAD_SLOTS_MAX;
            uint32_t *p = realloc(free_slots, n * sizeof *p);
            if (!p)
                break; /* those slots are lost, nothing else */
            free_slots = p;
            free_capacity = n;
        }
        free_slots[free_count++] = dead_slots[k];
    }
    dead_slot_count = 0;
}

/* ---- tables ---- */

static void cover(struct cpu *c, const struct region *r)
{
    for (unsigned k = 0; k < r->range_count; k++)
        block_cover(c, r->ranges[k].host, r->ranges[k].len);
}

void cache_insert(struct region *r, struct cpu *c)
{
    struct region **bucket = &hash[hash_of(r->key.code)];
    r->hash_next = *bucket;
    *bucket = r;
    for (unsigned k = 0; k < r->jump_count; k++)
        targets_claim(r->jumps[k], r->key.code);
    for (unsigned k = 0; k < r->page_count; k++) {
        struct region **page = &page_hash[page_slot(r->pages[k].host)];
        r->page_next[k] = *page;
        *page = r;
    }
    r->all_next = all;
    if (all)
        all->all_prev = r;
    all = r;
    cover(c, r);
    cache_stats.made++;
    cache_stats.live++;
    cache_stats.wasm_bytes += r->wasm_bytes;
    cache_stats.live_bytes += r->wasm_bytes;
    cache_stats.insns += r->insns_total;
    cache_stats.live_insns += r->insns_total;
}

struct region *cache_find(struct cpu *c, uintptr_t code, uint64_t la)
{
    struct region_key key = region_key(c, code);
    for (struct region *r = hash[hash_of(code)]; r; r = r->hash_next) {
        if (!same_key(&r->key, &key))
            continue;
        bool mapped = true;
        for (unsigned k = 1; k < r->page_count && mapped; k++) {
            uint64_t page = (la & PAGE_MASK) + ((uint64_t)(int64_t)r->pages[k].delta << 12);
            mapped = jit_code_host(c, page & c->la_mask) == r->pages[k].host;
        }
        if (mapped)
            return r;
    }
    return NULL;
}

uint32_t cache_jump_context(struct cpu *c, const struct region *r, uint64_t la)
{
    uint32_t context = tlb_jump_context(c, la);
    for (unsigned k = 1; k < r->page_count; k++) {
        uint64_t page = (la & PAGE_MASK) + ((uint64_t)(int64_t)r->pages[k].delta << 12);
        uint32_t other = tlb_jump_context(c, page & c->la_mask);
        if (other != context) { /* an INVLPG of either kind of page must end it */
            context = c->jump_context;
            tlb_jump_local(c, la);
            tlb_jump_local(c, page & c->la_mask);
        }
    }
    return context;
}

/* The k of @r whose page hashes to @slot, following the list: each page of a region is on its own
 * list, two pages may share one. */
static struct region **next_on_page(struct region *r, uintptr_t page_list)
{
    for (unsigned k = 0; k < r->page_count; k++)
        if (page_slot(r->pages[k].host) == page_list)
            return &r->page_next[k];
    abort(); /* the list is broken */
}

static void unlink_page(struct region *r, unsigned k)
{
    unsigned list = page_slot(r->pages[k].host);
    struct region **at = &page_hash[list];
    while (*at && *at != r)
        at = next_on_page(*at, list);
    if (*at)
        *at = r->page_next[k];
}

void cache_drop(struct region *r)
{
    if (r->dead)
        return;
    r->dead = true;
    for (unsigned k = 0; k < r->jump_count; k++)
        targets_release(r->jumps[k], r->key.code);
    struct region **at = &hash[hash_of(r->key.code)];
    while (*at && *at != r)
        at = &(*at)->hash_next;
    if (*at)
        *at = r->hash_next;
    for (unsigned k = 0; k < r->page_count; k++) {
        uint8_t *drops = &page_drops[page_slot(r->pages[k].host)];
        unlink_page(r, k);
        if (*drops < 255)
            ++*drops;
    }
    if (r->all_prev)
        r->all_prev->all_next = r->all_next;
    else
        all = r->all_next;
    if (r->all_next)
        r->all_next->all_prev = r->all_prev;
    batch_drop(r);
    if (r->slot) {
        host_jit_clear(r->slot, (void (*)(void))jit_stub);
        if (dead_slot_count == DEAD_SLOTS_MAX)
            recycle_slots();
        dead_slots[dead_slot_count++] = r->slot;
    }
    r->dead_next = dead;
    dead = r;
    cache_stats.dropped++;
    cache_stats.live--;
    cache_stats.live_bytes -= r->wasm_bytes;
    cache_stats.live_insns -= r->insns_total;
}

void cache_reap(void)
{
    while (dead) {
        struct region *r = dead;
        dead = r->dead_next;
        region_free(r);
    }
}

bool cache_restless(uintptr_t code)
{
    enum { RESTLESS = 16 };
    uint8_t *drops = &page_drops[page_slot(code)];
    if (*drops < RESTLESS)
        return false;
    *drops /= 2;
    return true;
}

/* ---- writes ---- */

/* Does a write hit code of the region? Otherwise adds the chunks that it covers on the page. */
static bool hit(const struct region *r, uintptr_t host, size_t len, uint64_t *chunks)
{
    uintptr_t page = host & ~(uintptr_t)0xfff;
    uint64_t mine = 0;
    for (unsigned k = 0; k < r->range_count; k++) {
        const struct region_range *g = &r->ranges[k];
        if ((g->host & ~(uintptr_t)0xfff) != page)
            continue;
        if (g->host < host + len && host < g->host + g->len)
            return true;
        mine |= chunk_mask(g->host & 0xfff, g->len);
    }
    *chunks |= mine;
    return false;
}

bool jit_note_write(uintptr_t host, size_t len, uint64_t *chunks)
{
    bool any = false;
    unsigned list = page_slot(host & ~(uintptr_t)0xfff);
    for (struct region *r = page_hash[list]; r;) {
        struct region *next = *next_on_page(r, list);
        if (hit(r, host, len, chunks)) {
            cache_drop(r);
            any = true;
        }
        r = next;
    }
    return any;
}

bool jit_hits_running(uintptr_t host, size_t len)
{
    uint64_t chunks = 0;
    const struct region *r = jit_shared.region;
    return r && hit(r, host, len, &chunks);
}

void jit_flush_all(void)
{
    cache_stats.flushes += all != NULL;
    while (all)
        cache_drop(all);
}
