/*
 * The block layer's front: opens a drive's file with a driver, checks requests and delivers
 * completions.
 *
 * Life of a request: blk_read() etc. take a struct blk_request from the drive's free list, check
 * alignment, bounds and write permission, and submit it to the driver (or answer it from the
 * overlay). blk_complete() puts it on the done list and asks the machine for one bottom half per
 * drive; that one calls the callbacks in order of completion. So a callback never runs inside the
 * call that made the request, and callbacks may issue new requests.
 *
 * With snapshot=on writes go to the overlay (overlay.c), and a read is the driver's data patched
 * with the overlay's sectors at completion; the file is opened read-only then. A remote image
 * (remote.c) always has an overlay, and completes when its bytes have come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"
#include "machine.h"

static const struct blk_driver *const drivers[] = { &blk_raw_driver, NULL };

static void free_requests(struct blk_request *list)
{
    while (list) {
        struct blk_request *r = list;

        list = r->next;
        free(r);
    }
}

static void blk_destroy(struct blk *b)
{
    if (b->state)
        b->driver->close(b);
    free_requests(b->idle);
    free_requests(b->done);
    overlay_free(b->overlay);
    free(b->id);
    free(b);
}

/* Bottom half: delivers what is finished now; what the callbacks finish in turn waits for the next
 * one. */
static void blk_bh(void *opaque)
{
    struct blk *b = opaque;
    struct blk_request *list = b->done;

    b->bh_pending = false;
    b->done = NULL;
    b->done_tail = &b->done;
    while (list) {
        struct blk_request *r = list;
        blk_done_fn *done = r->done;
        void *arg = r->opaque;
        int ret = r->ret;

        list = r->next;
        r->next = b->idle;
        b->idle = r;
        if (done)
            done(arg, ret);
    }
}

void blk_complete(struct blk_request *r, int ret)
{
    struct blk *b = r->b;

    if (r->kind == BLK_READ && ret == 0 && b->overlay)
        overlay_patch(b->overlay, r->offset, r->buf, r->len);
    r->ret = ret;
    r->next = NULL;
    *b->done_tail = r;
    b->done_tail = &r->next;
    if (!b->bh_pending) {
        b->bh_pending = true;
        machine_defer(b->machine, blk_bh, b);
    }
}

static int check_request(const struct blk *b, const struct blk_request *r)
{
    bool writes = r->kind == BLK_WRITE || r->kind == BLK_DISCARD || r->kind == BLK_ZERO;

    if (r->kind == BLK_FLUSH)
        return 0;
    if (r->offset % BLK_SECTOR || r->len % BLK_SECTOR)
        return -EINVAL;
    if (writes && b->readonly)
        return -EROFS;
    if (r->offset > b->size || r->len > b->size - r->offset)
        return writes ? -ENOSPC : -EIO;
    return 0;
}

static void submit(struct blk *b, enum blk_kind kind, uint64_t offset, void *buf, size_t len,
                   blk_done_fn *done, void *opaque)
{
    struct blk_request *r = b->idle;
    int ret;

    if (r)
        b->idle = r->next;
    else if (!(r = malloc(sizeof(*r))))
        abort(); /* a hundred bytes: nothing else would work either, and a lost completion hangs the
                    guest */
    *r = (struct blk_request){ .b = b,
                               .kind = kind,
                               .offset = offset,
                               .len = len,
                               .buf = buf,
                               .done = done,
                               .opaque = opaque };
    ret = check_request(b, r);
    if (ret < 0 || (len == 0 && kind != BLK_FLUSH)) {
        r->len = 0;
        blk_complete(r, ret);
    } else if (b->overlay && kind != BLK_READ) {
        if (kind == BLK_WRITE)
            ret = overlay_write(b->overlay, offset, buf, len);
        else if (kind == BLK_ZERO)
            ret = overlay_write_zeroes(b->overlay, offset, len);
        blk_complete(r, ret);
    } else {
        b->driver->submit(b, r);
    }
}

void blk_read(struct blk *b, uint64_t offset, void *buf, size_t len, blk_done_fn *done,
              void *opaque)
{
    submit(b, BLK_READ, offset, buf, len, done, opaque);
}

void blk_write(struct blk *b, uint64_t offset, const void *buf, size_t len, blk_done_fn *done,
               void *opaque)
{
    submit(b, BLK_WRITE, offset, (void *)buf, len, done, opaque);
}

void blk_flush(struct blk *b, blk_done_fn *done, void *opaque)
{
    submit(b, BLK_FLUSH, 0, NULL, 0, done, opaque);
}

void blk_discard(struct blk *b, uint64_t offset, size_t len, blk_done_fn *done, void *opaque)
{
    submit(b, BLK_DISCARD, offset, NULL, len, done, opaque);
}

void blk_write_zeroes(struct blk *b, uint64_t offset, size_t len, blk_done_fn *done, void *opaque)
{
    submit(b, BLK_ZERO, offset, NULL, len, done, opaque);
}

/* A raw image may be elsewhere: whether it is, its name tells the platform. */
static bool open_image(struct blk *b, const struct blk_options *o, struct error *err)
{
    struct error remote = { "" };

    if (b->driver != &blk_raw_driver)
        return b->driver->open(b, o, err);
    if (blk_remote_driver.open(b, o, &remote)) {
        b->driver = &blk_remote_driver;
        return true;
    }
    return remote.msg[0] ? error_set(err, "%s", remote.msg) : blk_raw_driver.open(b, o, err);
}

struct blk *blk_open(struct machine *m, const struct blk_options *o, struct error *err)
{
    const char *id = o->id ? o->id : "(unnamed)";
    const char *format = o->format ? o->format : "raw";
    const struct blk_driver *driver = NULL;
    struct blk *b;

    for (int i = 0; drivers[i]; i++)
        if (!strcmp(drivers[i]->name, format))
            driver = drivers[i];
    if (!driver) {
        error_set(err, "drive '%s': format '%s' is not supported (only raw is)", id, format);
        return NULL;
    }
    if (!o->file || !*o->file) {
        error_set(err, "drive '%s': no file was given", id);
        return NULL;
    }
    b = calloc(1, sizeof(*b));
    if (!b) {
        error_set(err, "drive '%s': out of memory", id);
        return NULL;
    }
    b->machine = m;
    b->driver = driver;
    b->readonly = o->readonly;
    b->done_tail = &b->done;
    b->id = strdup(id);
    if (!b->id || !open_image(b, o, err)) {
        error_prepend(err, "drive '%s'", id);
        blk_destroy(b);
        return NULL;
    }
    /* What can't be written where it is keeps the guest's writes here. */
    if (o->snapshot || (b->driver == &blk_remote_driver && !o->readonly)) {
        b->readonly = o->readonly;
        b->overlay = overlay_new();
        if (!b->overlay) {
            error_set(err, "drive '%s': out of memory", id);
            blk_destroy(b);
            return NULL;
        }
    }
    return b;
}

void blk_drain(struct blk *b)
{
    while (b) {
        if (b->driver->wait)
            b->driver->wait(b);
        if (!b->bh_pending)
            break;
        machine_cancel_deferred(b->machine, blk_bh, b);
        blk_bh(b);
    }
}

void blk_close(struct blk *b)
{
    if (!b)
        return;
    machine_cancel_deferred(b->machine, blk_bh, b);
    blk_destroy(b);
}

const char *blk_id(const struct blk *b)
{
    return b->id;
}

uint64_t blk_size(const struct blk *b)
{
    return b->size;
}

bool blk_readonly(const struct blk *b)
{
    return b->readonly;
}
