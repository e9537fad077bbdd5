/*
 * Inside the block layer: what block.c, a driver (raw.c) and the snapshot overlay share.
 *
 * A request is made by block.c, checked against size and read-only, and handed to the driver, which
 * may finish it at once or later by blk_complete(); block.c delivers the result from a bottom half
 * in either case.
 */
#ifndef SLIPWAY_BLOCK_INT_H
#define SLIPWAY_BLOCK_INT_H

#include "block/block.h"

#define BLK_SECTOR 512u

enum blk_kind { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZERO };

struct blk_request {
    struct blk *b;
    enum blk_kind kind;
    uint64_t offset;
    size_t len;
    void *buf; /* the caller's; only read for BLK_WRITE */
    blk_done_fn *done;
    void *opaque;
    int ret;
    struct blk_request *next;
};

struct blk_driver {
    const char *name;
    /* Opens o->file into b: sets b->state and b->size (multiple of 512), may set b->readonly. */
    bool (*open)(struct blk *b, const struct blk_options *o, struct error *err);
    /* Performs @r (already checked); ends in blk_complete(). */
    void (*submit)(struct blk *b, struct blk_request *r);
    void (*close)(struct blk *b);
    /* Optional: finishes all requests that are out, now. */
    void (*wait)(struct blk *b);
};

struct blk {
    struct machine *machine;
    char *id;
    const struct blk_driver *driver;
    void *state; /* the driver's */
    struct overlay *overlay;
    uint64_t size;
    bool readonly;
    bool bh_pending;
    struct blk_request *idle;              /* free list */
    struct blk_request *done, **done_tail; /* finished, waiting for the bottom half */
};

/* Raw images: a local file, and one that the platform reads from elsewhere. */
extern const struct blk_driver blk_raw_driver, blk_remote_driver;

/* Driver side: @r is finished with 0 or -errno. */
void blk_complete(struct blk_request *r, int ret);

/* Overlay (snapshot=on): sectors written since open, in memory. Offsets and lengths are multiples
 * of 512. */
struct overlay *overlay_new(void);
void overlay_free(struct overlay *o);
/* 0 or -ENOMEM. */
int overlay_write(struct overlay *o, uint64_t offset, const uint8_t *buf, size_t len);
int overlay_write_zeroes(struct overlay *o, uint64_t offset, size_t len);
/* Replaces in @buf, which holds the base's contents, the sectors that the overlay has. */
void overlay_patch(const struct overlay *o, uint64_t offset, uint8_t *buf, size_t len);
/* What it has, as overlay_add() takes it: @fn gets a cluster's number, the mask of its valid
 * sectors and its 4 KB (NULL: zeros); false ends it. */
typedef bool overlay_fn(void *opaque, uint64_t number, uint8_t valid, const uint8_t *data);
bool overlay_each(const struct overlay *o, overlay_fn *fn, void *opaque);
bool overlay_add(struct overlay *o, uint64_t number, uint8_t valid, const uint8_t *data);

#endif
