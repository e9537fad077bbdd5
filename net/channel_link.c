/*
 * Frames over a BroadcastChannel (host.h). A message has one or more frames, each with its length
 * before it, as in QEMU's byte streams (framing.h).
 *
 * To the channel: frames are collected, and posted by a bottom half before the CPU goes on.
 *
 * From the channel: nobody can be held back, so what the guest has no room for waits in `held`, and
 * beyond HELD_MOST frames are dropped and counted, as a switch does. A message that isn't frames is
 * ignored from the first wrong byte on: anybody of the same origin may send.
 */
#include "net/channel_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "machine.h"
#include "net/framing.h"
#include "net/net.h"

enum { OUT_SIZE = 256 << 10, HELD_MOST = 4 << 20, MESSAGE_MOST = 1 << 20 };

struct channel_link {
    struct net_client nc;
    struct host_broadcast *channel;
    char *shown;
    uint8_t *out; /* OUT_SIZE bytes */
    size_t out_len;
    bool scheduled;
    uint8_t *held; /* frames with their lengths; from held_start on they wait for the guest */
    size_t held_start, held_end, held_size;
    bool pumping;
};

static struct channel_link *link_of(struct net_client *nc)
{
    return (struct channel_link *)nc;
}

/* ---- to the channel ---- */

static void flush(void *opaque)
{
    struct channel_link *s = opaque;
    s->scheduled = false;
    if (s->out_len)
        host_broadcast_send(s->channel, s->out, s->out_len);
    s->out_len = 0;
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct channel_link *s = link_of(nc);
    size_t need = FRAMING_HEADER + f->len;
    if (OUT_SIZE - s->out_len < need)
        flush(s);
    frame_header(s->out + s->out_len, f->len);
    memcpy(s->out + s->out_len + FRAMING_HEADER, f->data, f->len);
    s->out_len += need;
    if (!s->scheduled)
        machine_defer(nc->machine, flush, s);
    s->scheduled = true;
    return true;
}

/* ---- from the channel ---- */

/* Length of the frame at @p, of which @len bytes are there; 0: there is none. */
static size_t frame_at(const uint8_t *p, size_t len)
{
    if (len < FRAMING_HEADER)
        return 0;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    return n <= NET_FRAME_MAX && n <= len - FRAMING_HEADER ? n : 0;
}

/* Passes frames on until the guest is full; how many bytes that were. */
static size_t pass(struct channel_link *s, const uint8_t *data, size_t len)
{
    size_t at = 0, n;
    s->pumping = true;
    while ((n = frame_at(data + at, len - at)) &&
           net_send_buf(&s->nc, data + at + FRAMING_HEADER, n))
        at += FRAMING_HEADER + n;
    s->pumping = false;
    return at;
}

/* Keeps frames for later, as many as may be. */
static void hold(struct channel_link *s, const uint8_t *data, size_t len)
{
    size_t n;
    for (size_t at = 0; (n = frame_at(data + at, len - at)); at += FRAMING_HEADER + n) {
        size_t need = FRAMING_HEADER + n;
        if (s->held_end + need > s->held_size && s->held_start) {
            memmove(s->held, s->held + s->held_start, s->held_end - s->held_start);
            s->held_end -= s->held_start;
            s->held_start = 0;
        }
        if (s->held_end + need > s->held_size && s->held_size < HELD_MOST) {
            size_t size = s->held_size ? 2 * s->held_size : OUT_SIZE;
            uint8_t *bigger = realloc(s->held, size);
            if (bigger) {
                s->held = bigger;
                s->held_size = size;
            }
        }
        if (s->held_end + need > s->held_size) {
            if (s->nc.peer)
                s->nc.peer->stats.dropped++;
            continue;
        }
        memcpy(s->held + s->held_end, data + at, need);
        s->held_end += need;
    }
}

static void on_message(void *opaque, const uint8_t *data, size_t len)
{
    struct channel_link *s = opaque;
    size_t done = s->held_end == s->held_start && !s->pumping ? pass(s, data, len) : 0;
    hold(s, data + done, len - done);
}

static void writable(struct net_client *nc)
{
    struct channel_link *s = link_of(nc);
    if (s->pumping || s->held_end == s->held_start)
        return;
    s->held_start += pass(s, s->held + s->held_start, s->held_end - s->held_start);
    if (s->held_start == s->held_end) {
        free(s->held);
        s->held = NULL;
        s->held_start = s->held_end = s->held_size = 0;
    }
}

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    snprintf(buf, len, "channel=%s", link_of(nc)->shown);
}

static void cleanup(struct net_client *nc)
{
    struct channel_link *s = link_of(nc);
    if (s->scheduled)
        flush(s);
    machine_cancel_deferred(nc->machine, flush, s);
    host_broadcast_close(s->channel);
    free(s->shown);
    free(s->out);
    free(s->held);
}

static const struct net_client_ops ops = {
    .type = "socket",
    .receive = receive,
    .writable = writable,
    .describe = describe,
    .cleanup = cleanup,
};

struct net_client *channel_link_new(struct machine *m, const char *type, const char *name,
                                    const char *channel, struct error *err)
{
    if (!*channel || strlen(channel) > 64) {
        error_set(err, "channel= expects a name of 1 to 64 characters");
        return NULL;
    }
    struct net_client *nc = net_client_new(m, &ops, sizeof(struct channel_link), type, name);
    struct channel_link *s = link_of(nc);
    s->shown = strdup(channel);
    s->out = malloc(OUT_SIZE);
    if (!s->shown || !s->out)
        error_set(err, "out of memory");
    else
        s->channel = host_broadcast_open(channel, MESSAGE_MOST, on_message, s, err);
    if (s->channel)
        return nc;
    net_client_free(nc);
    return NULL;
}
