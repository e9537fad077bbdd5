/*
 * The decoded-block cache; block.h explains it.
 *
 * Three structures over one pool: blocks hashed by host address, code pages hashed by host page,
 * and per page the list of its blocks. Everything is dropped together when the pool is full, which
 * costs far less than keeping books for single blocks: the pool holds more code than a kernel and
 * its working programs have.
 */
#include "cpu/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/mem.h"
#include "cpu/ops_hot.h"
#include "jit-wasm/cache.h"
#include "log.h"
#include "machine.h"

#define POOL_BYTES     (48u << 20)
#define HASH_SIZE      (1u << 16)
#define PAGE_HASH_SIZE (1u << 12)
#define FETCH_MAX      15u
/* Instructions of a block that is worth translating sooner: little else than themselves has to be
 * made and run. */
#define LONG_BLOCK 24u

struct code_page {
    uintptr_t page;  /* host address */
    uint64_t chunks; /* 64-byte chunks with code */
    struct block *blocks;
    struct code_page *next;
};

static uint8_t *pool;
static size_t pool_used;
static struct block *hash[HASH_SIZE];
static struct code_page *page_hash[PAGE_HASH_SIZE];
static uint32_t flush_count;
static struct block_cache *caches; /* of all CPUs */

/* Instructions that cross a page have no cached block; what is known of those that ran lately. */
#define CROSSINGS 256u
static struct crossing {
    uintptr_t code;
    int32_t heat;
} crossings[CROSSINGS];

struct block_stats block_stats;
int32_t block_heat = INT32_MAX;

static unsigned hash_of(uintptr_t code)
{
    return (unsigned)((code ^ code >> 16) & (HASH_SIZE - 1));
}
static struct code_page **page_bucket(uintptr_t page)
{
    return &page_hash[(page >> 12) & (PAGE_HASH_SIZE - 1)];
}

static struct code_page *page_find(uintptr_t page)
{
    struct code_page *p = *page_bucket(page);
    while (p && p->page != page)
        p = p->next;
    return p;
}

bool block_page_has_code(uintptr_t host_page)
{
    struct code_page *p = page_find(host_page);
    return p && p->chunks;
}

void block_flush_all(void)
{
    pool_used = 0;
    memset(hash, 0, sizeof hash);
    memset(page_hash, 0, sizeof page_hash);
    flush_count++;
    jit_flush_all();
    block_stats.flushes++;
    for (struct block_cache *k = caches; k; k = k->next)
        memset(k->jumps, 0, sizeof k->jumps);
}

struct block_cache *block_cache_new(void)
{
    struct block_cache *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->next = caches;
    caches = k;
    return k;
}

void block_cache_free(struct block_cache *cache)
{
    struct block_cache **at = &caches;
    while (*at && *at != cache)
        at = &(*at)->next;
    if (*at)
        *at = cache->next;
    free(cache);
    block_flush_all(); /* host memory of its machine may be reused */
}

static void *pool_take(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!pool) {
        pool = aligned_alloc(64, POOL_BYTES);
        if (!pool)
            abort(); /* at start-up, before any guest code ran */
    }
    if (pool_used + size > POOL_BYTES)
        block_flush_all();
    void *p = pool + pool_used;
    pool_used += size;
    block_stats.pool_bytes = pool_used;
    return p;
}

/* ---- dropping ---- */

static void unhash(struct block *b)
{
    struct block **at = &hash[hash_of(b->code)];
    while (*at && *at != b)
        at = &(*at)->hash_next;
    if (*at)
        *at = b->hash_next;
}

static void drop(struct block *b)
{
    unhash(b);
    b->code = 0;
    for (unsigned k = 0; k < b->count; k++)
        b->insns[k].h = H_RELOOK;
    b->insns[b->count].h = H_RELOOK;
    block_stats.dropped++;
}

static bool note_page_write(uintptr_t host, unsigned len)
{
    struct code_page *p = page_find(host & ~(uintptr_t)0xfff);
    unsigned offset = host & 0xfff;
    bool any = false;
    if (!p || !(p->chunks & chunk_mask(offset, len)))
        return false;
    p->chunks = 0;
    for (struct block **at = &p->blocks; *at;) {
        struct block *b = *at;
        if (b->code < host + len && host < b->code + b->bytes) {
            *at = b->page_next;
            drop(b);
            any = true;
        } else {
            p->chunks |= chunk_mask(b->code & 0xfff, b->bytes);
            at = &b->page_next;
        }
    }
    any |= jit_note_write(host, len, &p->chunks);
    return any;
}

bool block_note_write(uintptr_t host, size_t len)
{
    bool any = false;
    while (len) {
        size_t n = 4096 - (host & 0xfff);
        if (n > len)
            n = len;
        any |= note_page_write(host, (unsigned)n);
        host += n;
        len -= n;
    }
    return any;
}

void mem_note_write(struct mem_region *r, uint64_t offset, size_t len)
{
    mem_region_mark_dirty(r, offset, len);
    if (r->host)
        block_note_write((uintptr_t)(r->host + offset), len);
}

/* ---- making ---- */

/* As QEMU has it: linear address, bytes, text. Branch targets are offsets in CS. */
static void log_block(const struct cpu *c, const struct block *b, const uint8_t *bytes)
{
    log_mask(LOG_IN_ASM, "----------------");
    log_mask(LOG_IN_ASM, "IN:");
    for (unsigned k = 0; k < b->count; k++) {
        const struct insn *i = &b->insns[k];
        uint64_t la = (c->seg_base[SEG_CS] + c->rip + i->off) & c->la_mask;
        char text[128], hex[3 * FETCH_MAX + 1] = "";
        for (unsigned n = 0; n < i->len && n < FETCH_MAX; n++)
            snprintf(hex + 3 * n, 4, "%02x ", bytes[i->off + n]);
        disasm(text, sizeof text, bytes + i->off, i->len, b->mode, c->rip + i->off);
        log_mask(LOG_IN_ASM, "0x%08llx:  %-24s %s", (unsigned long long)la, hex, text);
    }
}

/* Decodes from @bytes until something ends the block. Returns false if not even one instruction
 * fits into @avail. */
static bool decode_run(struct cpu *c, struct block *b, const uint8_t *bytes, unsigned avail,
                       unsigned max)
{
    unsigned mode = c->mode & MODE_CODE_MASK, off = 0, count = 0;
    bool prot = (c->mode & (MODE_PE | MODE_VM)) == MODE_PE;
    while (count < max && off < BLOCK_BYTES - FETCH_MAX) {
        struct insn *i = &b->insns[count];
        unsigned n = decode(i, bytes + off, avail - off, mode, prot, c->features, off);
        if (!n)
            break;
        count++;
        off += n;
        if (i->fn == op_ud || i->fn == op_gp_length || (insn_opcode(i)->flags & OP_END))
            break;
    }
    b->insns[count] = (struct insn){ .h = H_END, .off = (uint8_t)off };
    b->count = (uint8_t)count;
    b->bytes = (uint8_t)off;
    b->mode = (uint8_t)mode;
    b->prot = prot;
    b->near[0] = b->near[1] = b;
    b->far = (struct jump_entry){ .block = b };
    b->heat = b->count >= LONG_BLOCK ? block_heat / 4 : block_heat;
    return count > 0;
}

static struct code_page *page_make(uintptr_t page)
{
    struct code_page *p = page_find(page);
    if (p)
        return p;
    p = pool_take(sizeof *p);
    struct code_page **bucket = page_bucket(page);
    *p = (struct code_page){ .page = page, .next = *bucket };
    *bucket = p;
    return p;
}

static void mark_code(struct cpu *c, struct code_page *p, uintptr_t code, unsigned len)
{
    if (!p->chunks)
        tlb_watch_host_page(c, p->page);
    p->chunks |= chunk_mask(code & 0xfff, len);
}

void block_cover(struct cpu *c, uintptr_t host, uint32_t len)
{
    mark_code(c, page_make(host & ~(uintptr_t)0xfff), host, len);
}

static struct block *make_cached(struct cpu *c, const uint8_t *bytes, unsigned avail)
{
    uintptr_t code = (uintptr_t)bytes;
    /* Worst case first, then give back what wasn't needed. */
    size_t most = sizeof(struct block) + (BLOCK_MAX + 1) * sizeof(struct insn);
    page_make(code & ~(uintptr_t)0xfff);
    uint32_t flushes = flush_count;
    struct block *b = pool_take(most);
    if (flushes != flush_count)
        return make_cached(c, bytes, avail); /* the code page went with the flush */
    if (!decode_run(c, b, bytes, avail, BLOCK_MAX)) {
        pool_used = (size_t)((uint8_t *)b - pool);
        return NULL;
    }
    pool_used = (size_t)((uint8_t *)&b->insns[b->count + 1] - pool + 15) & ~(size_t)15;
    struct code_page *p = page_find(code & ~(uintptr_t)0xfff);
    b->code = code;
    b->hash_next = hash[hash_of(code)];
    hash[hash_of(code)] = b;
    b->page_next = p->blocks;
    p->blocks = b;
    mark_code(c, p, code, b->bytes);
    block_stats.decoded++;
    if (log_on(LOG_IN_ASM))
        log_block(c, b, bytes);
    return b;
}

/* One instruction into the scratch block: it crosses a page or the segment limit, isn't in RAM, or
 * is single-stepped. */
static struct block *make_scratch(struct cpu *c, uint64_t la)
{
    uint8_t bytes[FETCH_MAX];
    uint64_t room = c->cs_limit - c->rip;
    unsigned want = room >= FETCH_MAX - 1 ? FETCH_MAX : (unsigned)room + 1;
    unsigned first = 4096 - (unsigned)(la & 0xfff);
    unsigned have = first < want ? first : want;
    struct block *b = (struct block *)c->blocks->scratch;
    b->code = 0;
    if (!mem_fetch(c, la, bytes, have))
        return NULL;
    if (!decode_run(c, b, bytes, have, 1)) {
        if (have < want) {
            if (!mem_fetch(c, (la + have) & c->la_mask, bytes + have, want - have))
                return NULL;
            have = want;
        }
        if (!decode_run(c, b, bytes, have, 1)) { /* runs over the limit of CS */
            cpu_fault(c, EXC_GP, 0);
            return NULL;
        }
    }
    return b;
}

static struct block *look_up(uintptr_t code, unsigned mode, bool prot)
{
    struct block *b = hash[hash_of(code)];
    while (b && (b->code != code || b->mode != mode || b->prot != prot))
        b = b->hash_next;
    return b;
}

static struct block *look_up_now(struct cpu *c, uintptr_t host)
{
    return look_up(host, c->mode & MODE_CODE_MASK, (c->mode & (MODE_PE | MODE_VM)) == MODE_PE);
}
static struct crossing *crossing_slot(uintptr_t host)
{
    return &crossings[(host >> 12) % CROSSINGS];
}
bool block_was_run(struct cpu *c, uintptr_t host)
{
    return look_up_now(c, host) != NULL || crossing_slot(host)->code == host;
}
unsigned block_set_heat(struct cpu *c, uintptr_t host, int32_t heat)
{
    struct block *b = look_up_now(c, host);
    if (b)
        b->heat = heat;
    if (crossing_slot(host)->code == host)
        crossing_slot(host)->heat = heat;
    return b ? b->bytes : 0;
}

/* The scratch block for an instruction at @host that crosses its page; it gets hot like others. */
static struct block *make_crossing(struct cpu *c, uintptr_t host, uint64_t la)
{
    enum { BLOCK_INSNS = 8 }; /* for the time that each run costs */
    struct crossing *x = crossing_slot(host);
    struct block *b = make_scratch(c, la);
    if (x->code != host)
        *x = (struct crossing){ host, block_heat };
    if (b) {
        b->heat = x->heat;
        x->heat -= x->heat > 0 ? BLOCK_INSNS : 0;
    }
    return b;
}

struct block *block_find(struct cpu *c, bool single)
{
    uint64_t la = (c->seg_base[SEG_CS] + c->rip) & c->la_mask;
    c->gpr[REG_IP] = c->rip;
    if (unlikely(c->rip > c->cs_limit)) {
        cpu_fault(c, EXC_GP, 0);
        return NULL;
    }
    if (single)
        return make_scratch(c, la);
    const uint8_t *bytes = mem_fetch_host(c, la);
    if (!bytes)
        return c->exc.pending ? NULL : make_scratch(c, la);
    struct block *b = look_up_now(c, (uintptr_t)bytes);
    if (!b)
        b = make_cached(c, bytes, 4096 - (unsigned)(la & 0xfff));
    if (!b)
        return make_crossing(c, (uintptr_t)bytes, la);
    if (c->rip + b->bytes - 1 > c->cs_limit)
        return make_scratch(c, la);
    struct jump_entry *j = jump_slot(c, la);
    *j = (struct jump_entry){ .la = la, .context = tlb_jump_context(c, la), .block = b };
    return b;
}
