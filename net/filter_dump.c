/*
 * filter-dump: the frames in a file that Wireshark and tcpdump read (pcap, IETF draft-ietf-opsawg-
 * pcap; host byte order, microseconds, link type Ethernet).
 *
 * The time of a frame is the wall-clock time at which the capture began plus the guest's time since
 * then, so captures of a -icount run are the same each time but for that start. A frame with work
 * left for the receiver (checksum, segmentation) is stored as it is.
 *
 * Records are collected in memory and written out at the latest after FLUSH_NS; a write error ends
 * the capture with a warning, not the machine. Instead of a file, the bytes may go to a function
 * (net_dump_start), for a page that offers the capture for download.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"
#include "machine.h"
#include "net/filter.h"

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

#define FLUSH_NS        200000000ll
#define BUFFER_SIZE     65536
#define PCAP_MAGIC      0xa1b2c3d4
#define LINKTYPE_ETHER  1
#define DEFAULT_MAX_LEN 65536

struct pcap_header {
    uint32_t magic;
    uint16_t major, minor;
    int32_t zone;
    uint32_t accuracy, max_len, link_type;
};
struct pcap_record {
    uint32_t seconds, microseconds, kept, len;
};

struct dump {
    struct net_filter f;
    char *file;
    int fd; /* -1: none, or it failed */
    net_dump_fn *fn;
    void *opaque;
    uint32_t max_len;
    int64_t start_ns; /* wall-clock time of guest time 0 */
    uint8_t *buffer;
    size_t used;
    bool timed; /* flush() is to come */
};

static void give_up(struct dump *d)
{
    fprintf(stderr, "slipway: warning: filter-dump '%s': %s: %s: the capture ends here\n", d->f.id,
            d->file, strerror(errno));
    close(d->fd);
    d->fd = -1;
}

static void put_out(struct dump *d, const uint8_t *p, size_t len)
{
    if (d->fn) {
        d->fn(d->opaque, p, len);
        return;
    }
    while (len && d->fd >= 0) {
        ssize_t n = write(d->fd, p, len);
        if (n < 0 && errno != EINTR)
            give_up(d);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

static void flush(void *opaque)
{
    struct dump *d = opaque;
    put_out(d, d->buffer, d->used);
    d->used = 0;
    if (d->timed)
        host_every_stop(flush, d);
    d->timed = false;
}

static void put(struct dump *d, const void *p, size_t len)
{
    if (d->used + len > BUFFER_SIZE) {
        put_out(d, d->buffer, d->used);
        d->used = 0;
    }
    if (len > BUFFER_SIZE) {
        put_out(d, p, len);
        return;
    }
    memcpy(d->buffer + d->used, p, len);
    d->used += len;
    if (!d->timed)
        host_every(FLUSH_NS, flush, d);
    d->timed = true;
}

static bool dump_frame(struct net_filter *f, enum net_direction dir, const struct net_frame *frame)
{
    struct dump *d = (struct dump *)f;
    if (!d->fn && d->fd < 0)
        return false;
    int64_t us = (d->start_ns + clock_now_ns(&f->machine->clock)) / 1000;
    struct pcap_record r = {
        .seconds = (uint32_t)(us / 1000000),
        .microseconds = (uint32_t)(us % 1000000),
        .kept = frame->len < d->max_len ? (uint32_t)frame->len : d->max_len,
        .len = (uint32_t)frame->len,
    };
    put(d, &r, sizeof r);
    put(d, frame->data, r.kept);
    return false;
}

static void begin(struct dump *d)
{
    const struct pcap_header h = { .magic = PCAP_MAGIC,
                                   .major = 2,
                                   .minor = 4,
                                   .max_len = d->max_len,
                                   .link_type = LINKTYPE_ETHER };
    d->buffer = malloc(BUFFER_SIZE);
    if (!d->buffer)
        abort();
    d->start_ns = host_realtime_ns() - clock_now_ns(&d->f.machine->clock);
    put(d, &h, sizeof h);
    flush(d);
}

static bool setup(struct net_filter *f, const struct keyval *args, struct error *err)
{
    struct dump *d = (struct dump *)f;
    d->fd = -1;
    d->max_len = netdev_arg_number(args, "maxlen", DEFAULT_MAX_LEN);
    if (!d->max_len)
        return error_set(err, "Property 'filter-dump.maxlen' doesn't take value '0'");
    d->file = strdup(keyval_get(args, "file"));
    if (!d->file)
        abort();
    d->fd = open(d->file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (d->fd < 0)
        return error_set(err, "net dump: can't open %s: %s", d->file, strerror(errno));
    begin(d);
    return true;
}

static void describe(const struct net_filter *f, struct text *out)
{
    const struct dump *d = (const struct dump *)f;
    text_printf(out, "file=%s,maxlen=%u,", d->file ? d->file : "", d->max_len);
}

static void cleanup(struct net_filter *f)
{
    struct dump *d = (struct dump *)f;
    if (d->buffer)
        flush(d);
    if (d->fd >= 0)
        close(d->fd);
    free(d->buffer);
    free(d->file);
}

static const struct netdev_option options[] = {
    { "file", NETDEV_STRING, "FILE", "where the capture goes", NETDEV_REQUIRED },
    { "maxlen", NETDEV_NUMBER, "BYTES", "keep that much of each frame (default: 65536)", 0 },
    { NULL, 0, NULL, NULL, 0 },
};

const struct filter_class filter_dump = {
    .type = "filter-dump",
    .help = "write the frames to a pcap file, for Wireshark or tcpdump",
    .options = options,
    .size = sizeof(struct dump),
    .setup = setup,
    .frame = dump_frame,
    .describe = describe,
    .cleanup = cleanup,
};

/* ---- to a function ---- */

static bool setup_fn(struct net_filter *f, const struct keyval *args, struct error *err)
{
    struct dump *d = (struct dump *)f;
    d->fd = -1;
    d->max_len = netdev_arg_number(args, "maxlen", DEFAULT_MAX_LEN);
    return true;
}

bool net_dump_start(struct machine *m, const char *netdev, const char *id, uint32_t max_len,
                    net_dump_fn *fn, void *opaque, struct error *err)
{
    static const struct filter_class to_function = {
        .type = "filter-dump",
        .options = options,
        .size = sizeof(struct dump),
        .setup = setup_fn,
        .frame = dump_frame,
        .describe = describe,
        .cleanup = cleanup,
    };
    char len[16];
    struct keyval max = { (char *)"maxlen", len, NULL };
    struct keyval args = { (char *)"netdev", (char *)netdev, max_len ? &max : NULL };
    snprintf(len, sizeof len, "%u", max_len);
    struct dump *d = (struct dump *)filter_make(m, &to_function, id, &args, err);
    if (!d)
        return false;
    d->fn = fn;
    d->opaque = opaque;
    begin(d);
    return true;
}
