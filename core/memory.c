/*
 * Physical address spaces: regions, the flat view and the accesses through it.
 *
 * A space keeps its regions sorted by priority. rebuild() lays them into the flat view, highest
 * first: each region fills the gaps that those before it left, so the result is sorted, free of
 * overlaps and has at most 2n + 1 ranges. An alias is a region of its own whose host bytes and code
 * masks are a window on its target's.
 *
 * Every access finds its range anew and never keeps a range across a callback, because a callback
 * may change the map (a write to a BAR, to PAM). Callbacks reached by dma_* are counted and refused
 * beyond DMA_MAX_DEPTH, so that a guest that points a bus master at the master's own doorbell gets
 * a bounded recursion.
 */
#include "memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define PAGE_BITS      12
#define PAGE_BYTES     (1u << PAGE_BITS)
#define PORT_SPACE_MAX 0x10000u
#define DMA_MAX_DEPTH  4

/* ---- the flat view ---- */

void mem_space_init(struct mem_space *s, const char *name, uint64_t size)
{
    *s = (struct mem_space){ .name = name, .size = size };
}

void mem_space_free(struct mem_space *s)
{
    while (s->regions) {
        struct mem_region *r = s->regions;
        s->regions = r->next;
        r->next = NULL;
        r->space = NULL;
    }
    free(s->flat);
    s->flat = NULL;
    s->flat_count = s->flat_capacity = 0;
}

static bool is_port_space(const struct mem_space *s)
{
    return s->size <= PORT_SPACE_MAX;
}

static void emit(struct mem_range *out, size_t *n, struct mem_region *r, uint64_t first,
                 uint64_t last)
{
    out[(*n)++] =
        (struct mem_range){ .first = first, .last = last, .offset = first - r->base, .region = r };
}

/* Puts the parts of @r that are still free into the view: @in -> @out; returns the new count. */
static size_t lay(struct mem_range *out, const struct mem_range *in, size_t count,
                  struct mem_region *r, uint64_t space_size)
{
    uint64_t first = r->base;
    uint64_t last = r->size > space_size - first ? space_size - 1 : first + r->size - 1;
    bool more = true; /* [first, last] is still to be placed */
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (more && first < in[i].first) {
            if (last < in[i].first) {
                emit(out, &n, r, first, last);
                more = false;
            } else {
                emit(out, &n, r, first, in[i].first - 1);
            }
        }
        if (more && first <= in[i].last && last >= in[i].first) {
            if (last <= in[i].last)
                more = false;
            else
                first = in[i].last + 1;
        }
        out[n++] = in[i];
    }
    if (more)
        emit(out, &n, r, first, last);
    return n;
}

static void rebuild(struct mem_space *s)
{
    size_t regions = 0;
    for (struct mem_region *r = s->regions; r; r = r->next)
        regions++;
    size_t need = 2 * (2 * regions + 1); /* the view and a scratch copy of it */
    if (need > s->flat_capacity) {
        struct mem_range *flat = realloc(s->flat, 2 * need * sizeof *flat);
        if (!flat)
            abort(); /* a few kilobytes; without a map there is no machine */
        s->flat = flat;
        s->flat_capacity = 2 * need;
    }
    struct mem_range *scratch = s->flat + s->flat_capacity / 2;
    size_t count = 0;
    for (struct mem_region *r = s->regions; r; r = r->next) {
        if (!r->enabled || r->size == 0 || r->base >= s->size)
            continue;
        memcpy(scratch, s->flat, count * sizeof *scratch);
        count = lay(s->flat, scratch, count, r, s->size);
    }
    s->flat_count = count;
    s->last_found = 0;
    s->stale = false;
    if (s->changed)
        s->changed(s->changed_opaque);
}

static void map_changed(struct mem_space *s)
{
    s->stale = true;
    if (s->transaction == 0)
        rebuild(s);
}

void mem_transaction_begin(struct mem_space *s)
{
    s->transaction++;
}

void mem_transaction_end(struct mem_space *s)
{
    assert(s->transaction > 0);
    if (--s->transaction == 0 && s->stale)
        rebuild(s);
}

const struct mem_range *mem_find(struct mem_space *s, uint64_t addr)
{
    if (s->last_found < s->flat_count) {
        const struct mem_range *f = &s->flat[s->last_found];
        if (addr >= f->first && addr <= f->last)
            return f;
    }
    size_t lo = 0, hi = s->flat_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (addr > s->flat[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == s->flat_count || addr < s->flat[lo].first)
        return NULL;
    s->last_found = lo;
    return &s->flat[lo];
}

/* ---- regions ---- */

static bool init_bytes(struct mem_region *r, const char *name, enum mem_kind kind, uint64_t size,
                       uint8_t *host)
{
    *r = (struct mem_region){
        .name = name, .kind = kind, .enabled = true, .size = size, .host = host
    };
    uint64_t pages = size / PAGE_BYTES + (size % PAGE_BYTES != 0);
    if (size > SIZE_MAX - PAGE_BYTES || pages > SIZE_MAX / sizeof *r->code_chunks)
        return false;
    r->code_chunks = calloc((size_t)pages + !pages, sizeof *r->code_chunks);
    if (!r->code_chunks)
        return false;
    if (!host) {
        /* calloc: large blocks come zeroed from the kernel and cost nothing until touched */
        r->owned = calloc(1, (size_t)size + PAGE_BYTES);
        if (!r->owned) {
            free(r->code_chunks);
            r->code_chunks = NULL;
            return false;
        }
        r->host =
            (uint8_t *)(((uintptr_t)r->owned + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
    }
    return true;
}

bool mem_region_init_ram(struct mem_region *r, const char *name, uint64_t size, uint8_t *host)
{
    return init_bytes(r, name, MEM_RAM, size, host);
}

bool mem_region_init_rom(struct mem_region *r, const char *name, uint64_t size, uint8_t *host)
{
    return init_bytes(r, name, MEM_ROM, size, host);
}

void mem_region_init_io(struct mem_region *r, const char *name, uint64_t size,
                        const struct mem_ops *ops, void *opaque)
{
    *r = (struct mem_region){
        .name = name, .kind = MEM_MMIO, .enabled = true, .size = size, .ops = ops, .opaque = opaque
    };
}

void mem_region_init_alias(struct mem_region *r, const char *name, struct mem_region *target,
                           uint64_t offset, uint64_t size)
{
    assert(target->kind != MEM_MMIO && offset % PAGE_BYTES == 0 && offset <= target->size &&
           size <= target->size - offset);
    *r = (struct mem_region){ .name = name,
                              .kind = target->kind,
                              .enabled = true,
                              .size = size,
                              .host = target->host + offset,
                              .ops = target->ops,
                              .opaque = target->opaque,
                              .code_chunks = target->code_chunks + (offset >> PAGE_BITS),
                              .dirty = target->dirty,
                              .target = target,
                              .target_offset = offset };
}

void mem_region_free(struct mem_region *r)
{
    if (r->space)
        mem_region_remove(r);
    if (!r->target) {
        free(r->owned);
        free(r->code_chunks);
        free(r->dirty);
    }
    r->host = NULL;
    r->owned = NULL;
    r->code_chunks = r->dirty = NULL;
}

void mem_region_add(struct mem_space *s, struct mem_region *r, uint64_t base, int priority)
{
    assert(!r->space);
    r->space = s;
    r->base = base;
    r->priority = priority;
    struct mem_region **at = &s->regions;
    while (*at && (*at)->priority > priority)
        at = &(*at)->next;
    r->next = *at;
    *at = r;
    map_changed(s);
}

void mem_region_remove(struct mem_region *r)
{
    struct mem_space *s = r->space;
    if (!s)
        return;
    struct mem_region **at = &s->regions;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->next = NULL;
    r->space = NULL;
    map_changed(s);
}

void mem_region_set_enabled(struct mem_region *r, bool enabled)
{
    if (r->enabled == enabled)
        return;
    r->enabled = enabled;
    if (r->space)
        map_changed(r->space);
}

void mem_region_set_base(struct mem_region *r, uint64_t base)
{
    if (r->base == base)
        return;
    r->base = base;
    if (r->space)
        map_changed(r->space);
}

void mem_region_set_readonly(struct mem_region *r, bool readonly)
{
    enum mem_kind kind = readonly ? MEM_ROM : MEM_RAM;
    assert(r->kind != MEM_MMIO);
    if (r->kind == kind)
        return;
    r->kind = kind;
    if (r->space)
        map_changed(r->space);
}

/* ---- dirty pages ---- */

bool mem_region_track_dirty(struct mem_region *r)
{
    if (r->target) {
        bool ok = mem_region_track_dirty(r->target);
        r->dirty = r->target->dirty;
        return ok;
    }
    if (!r->dirty) {
        uint64_t words = (r->size >> PAGE_BITS) / 64 + 1;
        r->dirty = calloc((size_t)words, sizeof *r->dirty);
    }
    if (r->space)
        map_changed(r->space); /* cached translations don't know yet that writes must be seen */
    return r->dirty != NULL;
}

void mem_region_mark_dirty(struct mem_region *r, uint64_t offset, uint64_t len)
{
    if (r->target) {
        mem_region_mark_dirty(r->target, offset + r->target_offset, len);
        return;
    }
    if (!r->dirty || offset >= r->size || len == 0)
        return;
    if (len > r->size - offset)
        len = r->size - offset;
    for (uint64_t p = offset >> PAGE_BITS; p <= (offset + len - 1) >> PAGE_BITS; p++)
        r->dirty[p / 64] |= 1ull << (p % 64);
}

bool mem_region_test_clear_dirty(struct mem_region *r, uint64_t offset, uint64_t len)
{
    if (r->target)
        return mem_region_test_clear_dirty(r->target, offset + r->target_offset, len);
    if (!r->dirty || offset >= r->size || len == 0)
        return false;
    if (len > r->size - offset)
        len = r->size - offset;
    bool any = false;
    for (uint64_t p = offset >> PAGE_BITS; p <= (offset + len - 1) >> PAGE_BITS; p++) {
        uint64_t bit = 1ull << (p % 64);
        any |= (r->dirty[p / 64] & bit) != 0;
        r->dirty[p / 64] &= ~bit;
    }
    return any;
}

/* ---- callbacks ---- */

static unsigned min_size(const struct mem_ops *ops)
{
    return ops->min_size ? ops->min_size : 1;
}

static unsigned max_size(const struct mem_space *s, const struct mem_ops *ops)
{
    return ops->max_size ? ops->max_size : is_port_space(s) ? 4 : 8;
}

static uint64_t size_mask(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

/* An access of a size that the device doesn't take: narrower ones go to the enclosing aligned
 * register (a write then has zeros in its other bytes), wider ones are cut into pieces, lowest
 * address first. */
static uint64_t io_read(struct mem_space *s, struct mem_region *r, uint64_t offset, unsigned size)
{
    const struct mem_ops *ops = r->ops;
    void *opaque = r->opaque;
    unsigned min = min_size(ops), max = max_size(s, ops);
    if (!ops->read)
        return size_mask(size);
    if (size < min) {
        unsigned shift = 8 * (unsigned)(offset & (min - 1));
        return ops->read(opaque, offset & ~(uint64_t)(min - 1), min) >> shift & size_mask(size);
    }
    uint64_t v = 0;
    for (unsigned done = 0; done < size;) {
        unsigned n = size < max ? size : max;
        v |= (ops->read(opaque, offset + done, n) & size_mask(n)) << (8 * done);
        done += n;
    }
    return v;
}

static void io_write(struct mem_space *s, struct mem_region *r, uint64_t offset, uint64_t v,
                     unsigned size)
{
    const struct mem_ops *ops = r->ops;
    void *opaque = r->opaque;
    unsigned min = min_size(ops), max = max_size(s, ops);
    if (!ops->write)
        return;
    v &= size_mask(size);
    if (size < min) {
        unsigned shift = 8 * (unsigned)(offset & (min - 1));
        ops->write(opaque, offset & ~(uint64_t)(min - 1), v << shift, min);
        return;
    }
    for (unsigned done = 0; done < size;) {
        unsigned n = size < max ? size : max;
        ops->write(opaque, offset + done, v >> (8 * done) & size_mask(n), n);
        done += n;
    }
}

/* ---- single accesses ---- */

static uint64_t load_le(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = size; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static void store_le(uint8_t *p, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void log_unassigned(struct mem_space *s, const char *what, uint64_t addr, size_t size)
{
    log_mask(LOG_GUEST_ERRORS, "%s: unassigned %s of %zu bytes at 0x%llx", s->name, what, size,
             (unsigned long long)addr);
}

/* Does the access belong to this range as a whole? A device's register decodes by its first
 * address: ports 0xcf8-0xcfb are one register though 0xcf9 is another's when accessed by itself. */
static bool within(const struct mem_range *f, uint64_t addr, unsigned size)
{
    if (f->region->kind == MEM_MMIO)
        return size <= f->region->size - (f->offset + (addr - f->first));
    return addr + size - 1 <= f->last;
}

uint64_t mem_read(struct mem_space *s, uint64_t addr, unsigned size)
{
    const struct mem_range *f = mem_find(s, addr);
    if (!f || !within(f, addr, size)) {
        if (f && size > 1) {
            unsigned half = size / 2;
            uint64_t lo = mem_read(s, addr, half);
            return lo | mem_read(s, addr + half, half) << (8 * half);
        }
        log_unassigned(s, "read", addr, size);
        return size_mask(size);
    }
    struct mem_region *r = f->region;
    uint64_t offset = f->offset + (addr - f->first);
    if (r->kind == MEM_MMIO)
        return io_read(s, r, offset, size);
    return load_le(r->host + offset, size);
}

void mem_write(struct mem_space *s, uint64_t addr, uint64_t value, unsigned size)
{
    const struct mem_range *f = mem_find(s, addr);
    if (!f || !within(f, addr, size)) {
        if (f && size > 1) {
            unsigned half = size / 2;
            mem_write(s, addr, value, half);
            mem_write(s, addr + half, value >> (8 * half), half);
            return;
        }
        log_unassigned(s, "write", addr, size);
        return;
    }
    struct mem_region *r = f->region;
    uint64_t offset = f->offset + (addr - f->first);
    if (r->kind == MEM_RAM) {
        store_le(r->host + offset, value, size);
        mem_note_write(r, offset, size);
    } else if (r->ops) {
        io_write(s, r, offset, value, size);
    } else {
        log_mask(LOG_GUEST_ERRORS, "%s: write of %u bytes to ROM '%s' at 0x%llx", s->name, size,
                 r->name, (unsigned long long)addr);
    }
}

/* ---- bulk access ---- */

/* How many of @len bytes at the unassigned @addr are unassigned. */
static size_t unassigned_len(struct mem_space *s, uint64_t addr, size_t len)
{
    size_t lo = 0, hi = s->flat_count;
    while (lo < hi) { /* the first range above @addr */
        size_t mid = lo + (hi - lo) / 2;
        if (addr > s->flat[mid].first)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint64_t gap = lo < s->flat_count ? s->flat[lo].first - addr : UINT64_MAX - addr;
    return len <= gap ? len : gap ? (size_t)gap : 1;
}

/* The largest naturally aligned access at @addr within @len bytes. */
static unsigned piece_size(uint64_t addr, uint64_t len)
{
    unsigned n = 8;
    while (n > 1 && (n > len || (addr & (n - 1))))
        n /= 2;
    return n;
}

static bool enter_callback(struct mem_space *s, uint64_t addr)
{
    if (s->dma_depth >= DMA_MAX_DEPTH) {
        log_mask(LOG_GUEST_ERRORS, "%s: DMA to 0x%llx from within a device's own DMA: ignored",
                 s->name, (unsigned long long)addr);
        return false;
    }
    s->dma_depth++;
    return true;
}

void dma_read(struct mem_space *s, uint64_t addr, void *buf, size_t len)
{
    uint8_t *p = buf;
    while (len) {
        const struct mem_range *f = mem_find(s, addr);
        size_t n;
        if (!f) {
            n = unassigned_len(s, addr, len);
            log_unassigned(s, "DMA read", addr, n);
            memset(p, 0xff, n);
        } else if (f->region->kind == MEM_MMIO) {
            n = piece_size(addr, len);
            uint64_t v = ~0ull;
            if (enter_callback(s, addr)) {
                v = mem_read(s, addr, (unsigned)n);
                s->dma_depth--;
            }
            store_le(p, v, (unsigned)n);
        } else {
            uint64_t room = f->last - addr + 1;
            n = len < room ? len : (size_t)room;
            memcpy(p, f->region->host + f->offset + (addr - f->first), n);
        }
        p += n;
        addr += n;
        len -= n;
    }
}

static void write_bulk(struct mem_space *s, uint64_t addr, const void *buf, size_t len,
                       bool rom_too)
{
    const uint8_t *p = buf;
    while (len) {
        const struct mem_range *f = mem_find(s, addr);
        size_t n;
        if (!f) {
            n = unassigned_len(s, addr, len);
            log_unassigned(s, "DMA write", addr, n);
        } else if (f->region->kind == MEM_MMIO) {
            n = piece_size(addr, len);
            if (enter_callback(s, addr)) {
                mem_write(s, addr, load_le(p, (unsigned)n), (unsigned)n);
                s->dma_depth--;
            }
        } else {
            struct mem_region *r = f->region;
            uint64_t room = f->last - addr + 1;
            uint64_t offset = f->offset + (addr - f->first);
            n = len < room ? len : (size_t)room;
            if (r->kind == MEM_RAM || rom_too) {
                memcpy(r->host + offset, p, n);
                mem_note_write(r, offset, n);
            } else {
                log_mask(LOG_GUEST_ERRORS, "%s: DMA of %zu bytes to ROM '%s' at 0x%llx", s->name, n,
                         r->name, (unsigned long long)addr);
            }
        }
        p += n;
        addr += n;
        len -= n;
    }
}

void dma_write(struct mem_space *s, uint64_t addr, const void *buf, size_t len)
{
    write_bulk(s, addr, buf, len, false);
}

void mem_write_rom(struct mem_space *s, uint64_t addr, const void *buf, size_t len)
{
    write_bulk(s, addr, buf, len, true);
}

static uint64_t dma_read_le(struct mem_space *s, uint64_t addr, unsigned size)
{
    uint8_t b[8];
    dma_read(s, addr, b, size);
    return load_le(b, size);
}

static void dma_write_le(struct mem_space *s, uint64_t addr, uint64_t v, unsigned size)
{
    uint8_t b[8];
    store_le(b, v, size);
    dma_write(s, addr, b, size);
}

uint16_t dma_read16(struct mem_space *s, uint64_t addr)
{
    return (uint16_t)dma_read_le(s, addr, 2);
}
uint32_t dma_read32(struct mem_space *s, uint64_t addr)
{
    return (uint32_t)dma_read_le(s, addr, 4);
}
uint64_t dma_read64(struct mem_space *s, uint64_t addr)
{
    return dma_read_le(s, addr, 8);
}
void dma_write16(struct mem_space *s, uint64_t addr, uint16_t v)
{
    dma_write_le(s, addr, v, 2);
}
void dma_write32(struct mem_space *s, uint64_t addr, uint32_t v)
{
    dma_write_le(s, addr, v, 4);
}
void dma_write64(struct mem_space *s, uint64_t addr, uint64_t v)
{
    dma_write_le(s, addr, v, 8);
}
