/*
 * Back ends without a peer: null swallows everything, file appends output to a file. Neither gives
 * input. File writes are synchronous; when one fails (disk full), that is said once and further
 * output is dropped.
 */
#include "char/char_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static size_t null_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    return len;
}

static void no_input(struct chardev *c)
{
}

static void null_close(struct chardev *c)
{
}

static const struct chr_backend null_backend = { null_write, no_input, null_close };

void chr_null_open(struct chardev *c)
{
    c->ops = &null_backend;
    c->open = true;
    chr_set_filename(c, "null");
}

static size_t file_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len && !c->file_failed) {
        ssize_t n = write(c->fd, buf + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            fprintf(stderr, "slipway: %s: %s: %s\n", c->label, c->filename, strerror(errno));
            c->file_failed = true;
        }
    }
    return len;
}

static void file_close(struct chardev *c)
{
    close(c->fd);
}

static const struct chr_backend file_backend = { file_write, no_input, file_close };

bool chr_file_open(struct chardev *c, const struct chr_config *cfg, struct error *err)
{
    c->fd =
        open(cfg->path, O_WRONLY | O_CREAT | O_CLOEXEC | (cfg->append ? O_APPEND : O_TRUNC), 0666);
    if (c->fd < 0)
        return error_set(err, "file:%s: %s", cfg->path, strerror(errno));
    c->ops = &file_backend;
    c->open = true;
    chr_set_filename(c, "file:%s", cfg->path);
    return true;
}
