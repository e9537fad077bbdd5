/*
 * Raw images: the file's bytes are the disk's. A regular file or a host block device.
 *
 * A file whose size isn't a multiple of 512 has a last sector that reads as its bytes and zeros;
 * writing that sector makes the file whole. A file that may not be written is opened read-only,
 * which the front end then sees. When no format was given, images that carry another format's magic
 * are refused instead of being shown to the guest as garbage.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block_int.h"

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

struct raw {
    int fd;
};

static const struct {
    const char *name;
    uint8_t len, offset;
    const char *magic;
} other_formats[] = {
    { "qcow2", 4, 0, "QFI\xfb" },
    { "VMDK", 4, 0, "KDMV" },
    { "VDI", 4, 0x40, "\x7f\x10\xda\xbe" },
    { "VHDX", 8, 0, "vhdxfile" },
    { "VHD", 8, 0, "conectix" },
};

/* All of @len unless end of file (then zeros) or an error. */
static int raw_pread(int fd, uint64_t offset, uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = pread(fd, buf, len, (off_t)offset);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0) {
            memset(buf, 0, len);
            return 0;
        }
        buf += n;
        offset += (size_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int raw_pwrite(int fd, uint64_t offset, const uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = pwrite(fd, buf, len, (off_t)offset);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            return -EIO;
        buf += n;
        offset += (size_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int raw_punch(int fd, uint64_t offset, size_t len)
{
#if defined FALLOC_FL_PUNCH_HOLE && !defined __EMSCRIPTEN__ /* its libc only declares it */
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0)
        return 0;
    return -errno;
#else
    return -EOPNOTSUPP;
#endif
}

static int raw_zero(int fd, uint64_t offset, size_t len)
{
    static const uint8_t zeros[65536];
    int ret = raw_punch(fd, offset, len);

    while (ret < 0 && len) {
        size_t n = len < sizeof(zeros) ? len : sizeof(zeros);
        int w = raw_pwrite(fd, offset, zeros, n);

        if (w < 0)
            return w;
        offset += n;
        len -= n;
    }
    return 0;
}

static bool raw_open(struct blk *b, const struct blk_options *o, struct error *err)
{
    bool readonly = o->readonly || o->snapshot;
    struct raw *r;
    struct stat st;
    off_t size;
    int fd;

    fd = open(o->file, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0 && !readonly && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        fd = open(o->file, O_RDONLY | O_CLOEXEC);
        b->readonly = true;
    }
    if (fd < 0)
        return error_set(err, "%s: %s", o->file, strerror(errno));
    if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        error_set(err, "%s: %s", o->file,
                  S_ISDIR(st.st_mode) ? strerror(EISDIR)
                                      : "neither a regular file nor a block device");
        close(fd);
        return false;
    }
    size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
    if (size < 0 || (uint64_t)size > UINT64_MAX / 4) {
        error_set(err, "%s: can't tell its size", o->file);
        close(fd);
        return false;
    }
    if (!o->format) {
        uint8_t head[512];

        for (size_t i = 0; i < sizeof(other_formats) / sizeof(other_formats[0]); i++) {
            if (raw_pread(fd, 0, head, sizeof(head)) == 0 &&
                !memcmp(head + other_formats[i].offset, other_formats[i].magic,
                        other_formats[i].len)) {
                error_set(err,
                          "%s: looks like a %s image, which is not supported; use format=raw if it "
                          "is a raw one",
                          o->file, other_formats[i].name);
                close(fd);
                return false;
            }
        }
    }
    r = malloc(sizeof(*r));
    if (!r) {
        close(fd);
        return error_set(err, "out of memory");
    }
    r->fd = fd;
    b->state = r;
    b->size = ((uint64_t)size + BLK_SECTOR - 1) / BLK_SECTOR * BLK_SECTOR;
    return true;
}

static void raw_submit(struct blk *b, struct blk_request *q)
{
    struct raw *r = b->state;
    int ret = 0;

    switch (q->kind) {
    case BLK_READ: ret = raw_pread(r->fd, q->offset, q->buf, q->len); break;
    case BLK_WRITE: ret = raw_pwrite(r->fd, q->offset, q->buf, q->len); break;
    case BLK_FLUSH:
        if (!b->readonly && fdatasync(r->fd) < 0)
            ret = -errno;
        break;
    case BLK_DISCARD:
        raw_punch(r->fd, q->offset, q->len);
        break; /* a hint: failure changes nothing */
    case BLK_ZERO: ret = raw_zero(r->fd, q->offset, q->len); break;
    }
    blk_complete(q, ret);
}

static void raw_close(struct blk *b)
{
    struct raw *r = b->state;

    close(r->fd);
    free(r);
    b->state = NULL;
}

const struct blk_driver blk_raw_driver = { "raw", raw_open, raw_submit, raw_close, NULL };
