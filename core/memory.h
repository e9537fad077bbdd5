/*
 * The guest's physical address spaces: memory and I/O ports.
 *
 * A device describes a range once (struct mem_region: RAM, ROM or callbacks) and adds it to a space
 * at a base with a priority; the region of highest priority wins where ranges overlap, and a region
 * may be moved, enabled and disabled at any time (PCI BARs, PAM, SMRAM, A20). Each change rebuilds
 * a flat, sorted list of non-overlapping ranges and flushes every CPU's TLB; look-ups are a binary
 * search, and the CPU's TLB keeps them off hot paths.
 *
 * Devices touch guest memory only through dma_read/dma_write. Those (and the CPU's stores) keep the
 * decoded-code cache honest: a page of RAM has a 64-bit mask of its 64-byte chunks that hold
 * decoded code, and a write into such a chunk drops the blocks that overlap it.
 */
#ifndef SLIPWAY_MEMORY_H
#define SLIPWAY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct mem_ops {
    /* @offset is relative to the region; @size is 1, 2, 4 or 8 bytes and within [min_size,
     * max_size]. Accesses of other sizes are split into (or widened to) legal ones, little-endian.
     */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    uint8_t min_size, max_size; /* 0 means 1 and 8 (memory) or 4 (ports) */
};

enum mem_kind { MEM_RAM, MEM_ROM, MEM_MMIO };

struct mem_space;

struct mem_region {
    const char *name;
    enum mem_kind kind;
    bool enabled;
    int priority;
    uint64_t base, size;       /* in its space */
    uint8_t *host;             /* RAM and ROM: the bytes */
    const struct mem_ops *ops; /* MMIO (and writes to ROM, if set: flash-like devices) */
    void *opaque;
    struct mem_space *space; /* NULL until added */
    struct mem_region *next;
    /* RAM/ROM: mask of 64-byte chunks with decoded code, one word per 4 KB page */
    uint64_t *code_chunks;
    uint64_t *dirty; /* RAM: bitmap of pages written since last asked, NULL = not tracked (VGA); an
                      * alias points to its target's, use mem_region_mark_dirty() */
    struct mem_region *target; /* alias: whose bytes these are */
    uint64_t target_offset;
    void *owned; /* what mem_region_free() frees */
};

/* One non-overlapping piece of the flat view. */
struct mem_range {
    uint64_t first, last; /* inclusive */
    uint64_t offset;      /* of .first in the region */
    struct mem_region *region;
};

struct mem_space {
    const char *name;
    uint64_t size;
    struct mem_region *regions; /* all added, highest priority first */
    struct mem_range *flat;
    size_t flat_count, flat_capacity;
    void (*changed)(void *opaque); /* after each rebuild */
    void *changed_opaque;
    int transaction; /* > 0: rebuild is put off until the matching end */
    bool stale;
    size_t last_found;  /* index of mem_find's last hit */
    unsigned dma_depth; /* callbacks under way that bulk accesses made: bounds a device that DMAs to
                           itself */
};

/* The two spaces of the machine. @size: one past the highest address; up to 64 KB it is a space of
 * ports. */
void mem_space_init(struct mem_space *s, const char *name, uint64_t size);
/* Forgets all regions (theirs stay) and frees the flat view. */
void mem_space_free(struct mem_space *s);

/* Prepare a region (the struct is the caller's and must outlive its time in a space).
 * RAM and ROM: @host may be NULL, then zeroed memory is allocated (returns false if it can't be). A
 * ROM's writes are ignored (logged as guest error). */
bool mem_region_init_ram(struct mem_region *r, const char *name, uint64_t size, uint8_t *host);
bool mem_region_init_rom(struct mem_region *r, const char *name, uint64_t size, uint8_t *host);
void mem_region_init_io(struct mem_region *r, const char *name, uint64_t size,
                        const struct mem_ops *ops, void *opaque);
/* A window on part of another RAM/ROM region's bytes (PAM shadow, 640K alias); shares its code and
 * dirty masks.
 * @offset and @size are multiples of 4 KB. */
void mem_region_init_alias(struct mem_region *r, const char *name, struct mem_region *target,
                           uint64_t offset, uint64_t size);
/* Frees what init_ram/init_rom allocated; the region is in no space any more. */
void mem_region_free(struct mem_region *r);
/* Among regions of one priority the one added last wins. */
void mem_region_add(struct mem_space *s, struct mem_region *r, uint64_t base, int priority);
void mem_region_remove(struct mem_region *r);
void mem_region_set_enabled(struct mem_region *r, bool enabled);
void mem_region_set_base(struct mem_region *r, uint64_t base);
/* RAM <-> ROM (PAM write enable). */
void mem_region_set_readonly(struct mem_region *r, bool readonly);
/* Several changes, one rebuild. */
void mem_transaction_begin(struct mem_space *s);
void mem_transaction_end(struct mem_space *s);

/* Which range holds @addr? NULL: unassigned. Valid until the next change. */
const struct mem_range *mem_find(struct mem_space *s, uint64_t addr);

/* One access of 1, 2, 4 or 8 bytes at @addr, through callbacks or to RAM. Unassigned reads give all
 * ones, unassigned writes are ignored; both are logged under guest_errors. */
uint64_t mem_read(struct mem_space *s, uint64_t addr, unsigned size);
void mem_write(struct mem_space *s, uint64_t addr, uint64_t value, unsigned size);

/* Bulk access for devices and loaders; any length, across ranges. */
void dma_read(struct mem_space *s, uint64_t addr, void *buf, size_t len);
void dma_write(struct mem_space *s, uint64_t addr, const void *buf, size_t len);
/* Little-endian scalars. */
uint16_t dma_read16(struct mem_space *s, uint64_t addr);
uint32_t dma_read32(struct mem_space *s, uint64_t addr);
uint64_t dma_read64(struct mem_space *s, uint64_t addr);
void dma_write16(struct mem_space *s, uint64_t addr, uint16_t v);
void dma_write32(struct mem_space *s, uint64_t addr, uint32_t v);
void dma_write64(struct mem_space *s, uint64_t addr, uint64_t v);
/* Loader: writes into ROM too. */
void mem_write_rom(struct mem_space *s, uint64_t addr, const void *buf, size_t len);

static inline bool mem_region_tracks_dirty(const struct mem_region *r)
{
    while (r->target)
        r = r->target;
    return r->dirty != NULL;
}

/* Dirty pages of a RAM region (display): start with mem_region_track_dirty; test-and-clear a byte
 * range. */
bool mem_region_track_dirty(struct mem_region *r);
bool mem_region_test_clear_dirty(struct mem_region *r, uint64_t offset, uint64_t len);
/* Marks the pages of a byte range; does nothing if they aren't tracked. */
void mem_region_mark_dirty(struct mem_region *r, uint64_t offset, uint64_t len);

/* Called for each write into RAM that doesn't go through the CPU's fast path: marks dirty, drops
 * code. Implemented beside the block cache. */
void mem_note_write(struct mem_region *r, uint64_t offset, size_t len);

#endif
