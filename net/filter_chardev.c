/*
 * filter-mirror and filter-redirector: frames to and from a chardev, in QEMU's framing (length as
 * 32 bits, big-endian, then the frame; with vnet_hdr_support=on a second length, that of a virtio
 * header, always 0 here: the frames are finished).
 *
 * A mirror sends a copy of each frame to outdev. A redirector sends them there instead, and puts
 * what comes in from indev on its way behind itself. While nobody is connected to outdev its frames
 * are lost (and with a redirector gone), as in QEMU.
 *
 * Output: a frame that the chardev doesn't take at once waits, whole frames up to OUT_MAX bytes;
 * beyond that frames are dropped and counted. What was under way when the connection ended is
 * forgotten, so the next one begins with a length. Input: taken up byte by byte; while a frame has
 * no room, nothing more is read.
 */
#include <stdlib.h>
#include <string.h>

#include "char/char.h"
#include "log.h"
#include "net/filter.h"

#define OUT_MAX NET_QUEUE_BYTES

struct chardev_filter {
    struct net_filter f;
    struct chardev *in, *out;
    char *indev, *outdev;
    bool vnet_hdr;
    uint64_t dropped;
    struct text waiting; /* output that the chardev didn't take */
    /* input: the bytes of a record so far */
    uint8_t *record;
    size_t have;
    bool ready;  /* it is whole, but has no room */
    bool broken; /* what comes in is no such stream: nothing is read any more */
};

enum { LENGTH = 4 };

static size_t header_size(const struct chardev_filter *c)
{
    return c->vnet_hdr ? 2 * LENGTH : LENGTH;
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- out ---- */

static void out_writable(void *opaque)
{
    struct chardev_filter *c = opaque;
    if (!c->waiting.len)
        return;
    text_consume(&c->waiting, chr_write(c->out, (const uint8_t *)c->waiting.s, c->waiting.len));
}

static void out_event(void *opaque, enum chr_event e)
{
    struct chardev_filter *c = opaque;
    if (e == CHR_EVENT_CLOSED || e == CHR_EVENT_OPENED)
        text_free(&c->waiting);
}

static void put_out(struct chardev_filter *c, const struct net_frame *frame)
{
    size_t head = header_size(c), len = head + frame->len, taken = 0;
    if (c->waiting.len + len > OUT_MAX) {
        c->dropped++;
        return;
    }
    uint8_t *record = calloc(1, len);
    if (!record)
        abort();
    put32(record, (uint32_t)frame->len);
    memcpy(record + head, frame->data, frame->len);
    if (!c->waiting.len)
        taken = chr_write(c->out, record, len);
    if (taken < len)
        text_add(&c->waiting, (const char *)record + taken, len - taken);
    free(record);
}

/* The frames go out finished, since the framing has no place for what is left to do. */
static void send_out(struct chardev_filter *c, const struct net_frame *frame)
{
    struct net_client plain = { 0 };
    if (!net_offload_needed(&plain, frame)) {
        put_out(c, frame);
        return;
    }
    uint8_t *buf = malloc(frame->len);
    if (!buf)
        abort();
    struct net_frame piece = { .data = buf };
    for (unsigned n = 0; (piece.len = net_offload_finish(frame, n, buf)); n++)
        put_out(c, &piece);
    free(buf);
}

static bool mirror_frame(struct net_filter *f, enum net_direction d, const struct net_frame *frame)
{
    struct chardev_filter *c = (struct chardev_filter *)f;
    if (chr_connected(c->out))
        send_out(c, frame);
    return false;
}

static bool redirector_frame(struct net_filter *f, enum net_direction d,
                             const struct net_frame *frame)
{
    struct chardev_filter *c = (struct chardev_filter *)f;
    if (!c->out)
        return false;
    if (chr_connected(c->out))
        send_out(c, frame);
    else
        c->dropped++;
    return true;
}

/* ---- in ---- */

/* The whole record goes in; false: no room yet. */
static bool put_in(struct chardev_filter *c)
{
    const struct net_frame frame = { .data = c->record + header_size(c), .len = get32(c->record) };
    if (c->f.off || !frame.len)
        return true;
    /* With queue=all to both sides, as QEMU has it. The second side must not keep the first from
     * being done once. */
    if (c->f.queue != FILTER_RX && !filter_inject(&c->f, NET_TX, &frame))
        return false;
    if (c->f.queue == FILTER_RX)
        return filter_inject(&c->f, NET_RX, &frame);
    if (c->f.queue == FILTER_ALL && !filter_inject(&c->f, NET_RX, &frame))
        c->dropped++;
    return true;
}

static size_t in_can_receive(void *opaque)
{
    struct chardev_filter *c = opaque;
    if (c->ready || c->broken)
        return 0;
    size_t want = header_size(c);
    if (c->have >= want)
        want += get32(c->record);
    return want - c->have;
}

static void in_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct chardev_filter *c = opaque;
    size_t head = header_size(c);
    while (len && !c->ready && !c->broken) {
        size_t want = c->have < head ? head : head + get32(c->record);
        size_t n = want - c->have < len ? want - c->have : len;
        memcpy(c->record + c->have, buf, n);
        c->have += n;
        buf += n;
        len -= n;
        if (c->have < head)
            break;
        if (get32(c->record) > NET_FRAME_MAX || (c->vnet_hdr && get32(c->record + LENGTH))) {
            log_mask(LOG_GUEST_ERRORS, "filter-redirector '%s': what comes in is no frame",
                     c->f.id);
            c->broken = true;
        } else if (c->have == head + get32(c->record)) {
            c->ready = !put_in(c);
            c->have = c->ready ? c->have : 0;
        }
    }
}

static void in_event(void *opaque, enum chr_event e)
{
    struct chardev_filter *c = opaque;
    if (e != CHR_EVENT_CLOSED && e != CHR_EVENT_OPENED)
        return;
    c->have = 0;
    c->ready = c->broken = false;
}

static void redirector_writable(struct net_filter *f)
{
    struct chardev_filter *c = (struct chardev_filter *)f;
    if (!c->ready || !put_in(c))
        return;
    c->ready = false;
    c->have = 0;
    chr_accept_input(c->in);
}

/* ---- life ---- */

static bool open_chardev(struct chardev_filter *c, const char *id, struct chardev **chr,
                         char **copy, struct error *err)
{
    if (!id)
        return true;
    *chr = chr_find(c->f.machine, id);
    if (!*chr)
        return error_set(err, "Device '%s' not found", id);
    if (!(*copy = strdup(id)))
        abort();
    return true;
}

static bool setup(struct net_filter *f, const struct keyval *args, struct error *err)
{
    struct chardev_filter *c = (struct chardev_filter *)f;
    const char *in = keyval_get(args, "indev"), *out = keyval_get(args, "outdev");
    const struct chr_frontend out_end = { .event = out_event,
                                          .writable = out_writable,
                                          .opaque = c };
    const struct chr_frontend in_end = {
        .can_receive = in_can_receive, .receive = in_receive, .event = in_event, .opaque = c
    };
    c->vnet_hdr = netdev_arg_bool(args, "vnet_hdr_support", false);
    if (!in && !out)
        return error_set(err,
                         "filter redirector needs 'indev' or 'outdev' at least one property set");
    if (in && out && !strcmp(in, out))
        return error_set(err, "'indev' and 'outdev' could not be same for filter redirector");
    if (!open_chardev(c, in, &c->in, &c->indev, err) ||
        !open_chardev(c, out, &c->out, &c->outdev, err))
        return false;
    c->record = malloc(2 * LENGTH + NET_FRAME_MAX);
    if (!c->record)
        abort();
    if (c->out)
        chr_attach(c->out, &out_end);
    if (c->in)
        chr_attach(c->in, &in_end);
    return true;
}

static void describe(const struct net_filter *f, struct text *out)
{
    const struct chardev_filter *c = (const struct chardev_filter *)f;
    text_printf(out, "vnet_hdr_support=%s,", c->vnet_hdr ? "true" : "false");
    if (c->indev)
        text_printf(out, "indev=%s,", c->indev);
    if (c->outdev)
        text_printf(out, "outdev=%s,", c->outdev);
    if (c->dropped)
        text_printf(out, "dropped=%llu,", (unsigned long long)c->dropped);
}

static void cleanup(struct net_filter *f)
{
    struct chardev_filter *c = (struct chardev_filter *)f;
    if (c->record && c->in)
        chr_attach(c->in, NULL);
    if (c->record && c->out)
        chr_attach(c->out, NULL);
    text_free(&c->waiting);
    free(c->record);
    free(c->indev);
    free(c->outdev);
}

static const struct netdev_option mirror_options[] = {
    { "outdev", NETDEV_STRING, "CHARDEV", "where the copies go", NETDEV_REQUIRED },
    { "vnet_hdr_support", NETDEV_BOOL, NULL, "a second length, of a virtio header (0)", 0 },
    { NULL, 0, NULL, NULL, 0 },
};
static const struct netdev_option redirector_options[] = {
    { "indev", NETDEV_STRING, "CHARDEV", "where frames come from", 0 },
    { "outdev", NETDEV_STRING, "CHARDEV", "where the frames go", 0 },
    { "vnet_hdr_support", NETDEV_BOOL, NULL, "a second length, of a virtio header (0)", 0 },
    { NULL, 0, NULL, NULL, 0 },
};

const struct filter_class filter_mirror = {
    .type = "filter-mirror",
    .help = "copy the frames to a chardev",
    .options = mirror_options,
    .size = sizeof(struct chardev_filter),
    .setup = setup,
    .frame = mirror_frame,
    .describe = describe,
    .cleanup = cleanup,
};

const struct filter_class filter_redirector = {
    .type = "filter-redirector",
    .help = "send the frames to a chardev instead, and take frames from another one",
    .options = redirector_options,
    .size = sizeof(struct chardev_filter),
    .setup = setup,
    .frame = redirector_frame,
    .writable = redirector_writable,
    .describe = describe,
    .cleanup = cleanup,
};
