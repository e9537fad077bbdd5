/*
 * Block back ends: where a disk's bytes are. Front ends (IDE, floppy, virtio-blk) issue
 * asynchronous requests and get a callback with 0 or -errno; a local raw file completes from a
 * bottom half of the main loop, never from inside blk_read itself, so that a device sees the same
 * order as with a back end over HTTP.
 */
#ifndef SLIPWAY_BLOCK_H
#define SLIPWAY_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;
struct blk;

typedef void blk_done_fn(void *opaque, int ret);

struct blk_options {
    const char *id; /* of the drive, for messages */
    const char *file;
    const char *format; /* "raw", or NULL (= raw) */
    bool readonly;
    bool snapshot; /* writes go to memory and are lost */
};

struct blk *blk_open(struct machine *m, const struct blk_options *o, struct error *err);
/* Delivers all that is out, and what its callbacks ask for, now: before a medium is taken out or
 * state is saved. From outside device callbacks only. */
void blk_drain(struct blk *b);
/* For saved state: what the guest wrote and the file doesn't have, as bytes (4 KB clusters).
 * blk_overlay_save: @write gets them piece by piece and may refuse. blk_overlay_size: how many
 * there are. blk_overlay_make reads them back into an overlay (NULL: they make no sense, or memory
 * is short), blk_overlay_set puts that in place of the drive's own, or frees it if @b is NULL. */
struct overlay;
bool blk_has_overlay(const struct blk *b);
uint64_t blk_overlay_size(const struct blk *b);
bool blk_overlay_save(const struct blk *b,
                      bool (*write)(void *opaque, const void *data, size_t len), void *opaque);
struct overlay *blk_overlay_make(const struct blk *b, uint64_t size,
                                 bool (*read)(void *opaque, void *data, size_t len), void *opaque);
void blk_overlay_set(struct blk *b, struct overlay *o);
/* Requests that are out never complete. NULL is fine. */
void blk_close(struct blk *b);
const char *blk_id(const struct blk *b);
uint64_t blk_size(const struct blk *b); /* bytes, rounded up to a multiple of 512 */
bool blk_readonly(const struct blk *b);

/* @offset, @len in bytes, multiples of 512 (-EINVAL otherwise); @buf stays valid until @done runs.
 * Reads past the end give zeros for the tail of the last sector and -EIO beyond; writes past the
 * end give -ENOSPC. */
void blk_read(struct blk *b, uint64_t offset, void *buf, size_t len, blk_done_fn *done,
              void *opaque);
void blk_write(struct blk *b, uint64_t offset, const void *buf, size_t len, blk_done_fn *done,
               void *opaque);
void blk_flush(struct blk *b, blk_done_fn *done, void *opaque);
/* The range's contents don't matter any more (they may or may not change). */
void blk_discard(struct blk *b, uint64_t offset, size_t len, blk_done_fn *done, void *opaque);
/* The range reads as zeros afterwards; its space is freed where the host can. */
void blk_write_zeroes(struct blk *b, uint64_t offset, size_t len, blk_done_fn *done, void *opaque);

#endif
