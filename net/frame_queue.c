/*
 * Frames on their way in and out of links that have messages (frame_queue.h).
 *
 * In: as long as nothing waits, frames are passed on from where they came; only the rest is copied.
 * Lengths are looked at when they come, so what waits up to `begun` is whole frames. While a frame
 * is passed on, the owner may reset the inbox (its connection ended because of it): `resets` shows
 * it.
 */
#include "net/frame_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "net/framing.h"
#include "net/net.h"

enum { KEEP = 256 << 10 }; /* more memory than that isn't kept when nothing waits */

static size_t length_at(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

size_t frames_whole(const uint8_t *data, size_t len)
{
    size_t at = 0;
    while (len - at >= FRAMING_HEADER) {
        size_t n = length_at(data + at);
        if (!n || n > NET_FRAME_MAX || len - at - FRAMING_HEADER < n)
            break;
        at += FRAMING_HEADER + n;
    }
    return at;
}

/* ---- in ---- */

/* Passes frames on; returns how many bytes they were. */
static size_t pass(struct frame_inbox *in, const uint8_t *data, size_t len, size_t most)
{
    size_t at = 0;
    unsigned resets = in->resets;
    in->pumping = true;
    while (len - at >= FRAMING_HEADER && resets == in->resets) {
        size_t n = length_at(data + at);
        if (n > NET_FRAME_MAX || len - at - FRAMING_HEADER < n)
            break;
        if (n && !net_coalesce(&in->large, in->nc, data + at + FRAMING_HEADER, n)) {
            if (len - at <= most)
                break;
            if (in->nc->peer)
                in->nc->peer->stats.dropped++;
        }
        at += FRAMING_HEADER + n;
    }
    if (resets == in->resets)
        net_coalesce_flush(&in->large, in->nc);
    else
        net_coalesce_reset(&in->large);
    in->pumping = false;
    return at;
}

static void pump(struct frame_inbox *in, size_t most)
{
    unsigned resets = in->resets;
    if (in->pumping)
        return;
    size_t done = pass(in, in->data + in->start, in->begun - in->start, most);
    if (resets != in->resets)
        return;
    in->taken += done;
    in->start += done;
    if (in->start < in->end)
        return;
    in->start = in->end = in->begun = 0;
    if (in->size > KEEP) {
        free(in->data);
        in->data = NULL;
        in->size = 0;
    }
}

static bool keep(struct frame_inbox *in, const uint8_t *data, size_t len)
{
    if (in->start && in->size - in->end < len) {
        memmove(in->data, in->data + in->start, in->end - in->start);
        in->end -= in->start;
        in->begun -= in->start;
        in->start = 0;
    }
    if (in->size - in->end < len) {
        size_t size = 2 * (in->end + len);
        uint8_t *bigger = realloc(in->data, size);
        if (!bigger)
            return false;
        in->data = bigger;
        in->size = size;
    }
    memcpy(in->data + in->end, data, len);
    in->end += len;
    while (in->end - in->begun >= FRAMING_HEADER) {
        size_t n = length_at(in->data + in->begun);
        if (n > NET_FRAME_MAX)
            return false;
        if (in->end - in->begun - FRAMING_HEADER < n)
            break;
        in->begun += FRAMING_HEADER + n;
    }
    return true;
}

bool frame_inbox_put(struct frame_inbox *in, const uint8_t *data, size_t len, size_t most)
{
    unsigned resets = in->resets;
    assert(!in->pumping);
    if (in->start == in->end) {
        size_t done = pass(in, data, len, most);
        if (resets != in->resets)
            return true;
        in->taken += done;
        data += done;
        len -= done;
    }
    if (!len)
        return true;
    bool good = keep(in, data, len);
    pump(in, most);
    return good || resets != in->resets;
}

void frame_inbox_pump(struct frame_inbox *in)
{
    pump(in, SIZE_MAX);
}

size_t frame_inbox_waiting(const struct frame_inbox *in)
{
    return in->end - in->start;
}

void frame_inbox_reset(struct frame_inbox *in)
{
    in->resets++;
    net_coalesce_reset(&in->large);
    in->start = in->end = in->begun = in->taken = 0;
}

void frame_inbox_free(struct frame_inbox *in)
{
    frame_inbox_reset(in);
    net_coalesce_free(&in->large);
    free(in->data);
    in->data = NULL;
    in->size = 0;
}

/* ---- out ---- */

bool frame_outbox_init(struct frame_outbox *out, struct machine *m,
                       void (*send)(void *opaque, const uint8_t *data, size_t len), void *opaque)
{
    *out = (struct frame_outbox){ .machine = m, .send = send, .opaque = opaque };
    out->data = malloc(FRAME_OUTBOX_SIZE);
    return out->data != NULL;
}

static void send_all(struct frame_outbox *out)
{
    size_t len = out->len;
    out->len = 0;
    if (len)
        out->send(out->opaque, out->data, len);
}

static void flush(void *opaque)
{
    struct frame_outbox *out = opaque;
    out->scheduled = false;
    send_all(out);
}

bool frame_outbox_fits(const struct frame_outbox *out, const struct net_frame *f)
{
    return FRAME_OUTBOX_SIZE - out->len >= FRAMING_HEADER + f->len;
}

void frame_outbox_add(struct frame_outbox *out, const struct net_frame *f)
{
    if (!frame_outbox_fits(out, f))
        send_all(out);
    frame_header(out->data + out->len, f->len);
    memcpy(out->data + out->len + FRAMING_HEADER, f->data, f->len);
    out->len += FRAMING_HEADER + f->len;
    if (!out->scheduled)
        machine_defer(out->machine, flush, out);
    out->scheduled = true;
}

void frame_outbox_free(struct frame_outbox *out)
{
    if (out->scheduled)
        machine_cancel_deferred(out->machine, flush, out);
    send_all(out);
    free(out->data);
    out->data = NULL;
}
