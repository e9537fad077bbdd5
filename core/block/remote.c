/*
 * Raw images that are elsewhere: in a browser, behind a URL or on the user's disk (host_remote_*).
 * Their bytes come when they come; the host reads ahead and keeps what it read. They are never
 * written: block.c puts an overlay over them. A last sector that isn't whole reads as its bytes and
 * zeros.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"
#include "host/host.h"

struct remote {
    struct host_remote *host;
    uint64_t bytes; /* of the file; the disk's size is rounded up */
};

static bool remote_open(struct blk *b, const struct blk_options *o, struct error *err)
{
    uint64_t size;
    struct host_remote *h = host_remote_open(o->file, &size, err);
    if (!h)
        return false;
    struct remote *r = malloc(sizeof *r);
    if (!r) {
        host_remote_close(h);
        return error_set(err, "out of memory");
    }
    *r = (struct remote){ h, size };
    b->state = r;
    b->size = (size + BLK_SECTOR - 1) / BLK_SECTOR * BLK_SECTOR;
    return true;
}

static void read_done(void *opaque, int ret)
{
    blk_complete(opaque, ret);
}

static void remote_submit(struct blk *b, struct blk_request *q)
{
    struct remote *r = b->state;
    if (q->kind != BLK_READ) {
        blk_complete(q, q->kind == BLK_FLUSH || q->kind == BLK_DISCARD ? 0 : -EROFS);
        return;
    }
    /* block.c has seen to it that the offset lies on the disk. */
    size_t len = q->len;
    if (len > r->bytes - q->offset) {
        len = (size_t)(r->bytes - q->offset);
        memset((uint8_t *)q->buf + len, 0, q->len - len);
    }
    host_remote_read(r->host, q->offset, q->buf, len, read_done, q);
}

static void remote_close(struct blk *b)
{
    struct remote *r = b->state;
    host_remote_close(r->host);
    free(r);
    b->state = NULL;
}

static void remote_wait(struct blk *b)
{
    struct remote *r = b->state;
    host_remote_wait(r->host);
}

const struct blk_driver blk_remote_driver = { "remote", remote_open, remote_submit, remote_close,
                                              remote_wait };
