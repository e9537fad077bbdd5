/*
 * Frames over a BroadcastChannel (host.h). A message has one or more frames, each with its length
 * before it, as in QEMU's byte streams (framing.h).
 *
 * Frames are collected, and posted by a bottom half before the CPU goes on; those that come wait in
 * `in` while the guest has no room (frame_queue.h). Nobody can be held back: beyond HELD_MOST
 * frames are dropped and counted, as a switch does. A message that isn't frames is ignored from the
 * first wrong byte on: anybody of the same origin may send.
 */
#include "net/channel_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "net/frame_queue.h"
#include "net/net.h"

enum { HELD_MOST = 4 << 20, MESSAGE_MOST = 1 << 20 };

struct channel_link {
    struct net_client nc;
    struct host_broadcast *channel;
    char *shown;
    struct frame_outbox out;
    struct frame_inbox in;
};

static struct channel_link *link_of(struct net_client *nc)
{
    return (struct channel_link *)nc;
}

/* ---- frames ---- */

static void post(void *opaque, const uint8_t *data, size_t len)
{
    host_broadcast_send(((struct channel_link *)opaque)->channel, data, len);
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    frame_outbox_add(&link_of(nc)->out, f);
    return true;
}

static void on_message(void *opaque, const uint8_t *data, size_t len)
{
    struct channel_link *s = opaque;
    frame_inbox_put(&s->in, data, frames_whole(data, len), HELD_MOST);
}

static void writable(struct net_client *nc)
{
    frame_inbox_pump(&link_of(nc)->in);
}

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    snprintf(buf, len, "channel=%s", link_of(nc)->shown);
}

static void cleanup(struct net_client *nc)
{
    struct channel_link *s = link_of(nc);
    frame_outbox_free(&s->out);
    host_broadcast_close(s->channel);
    frame_inbox_free(&s->in);
    free(s->shown);
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
    s->in.nc = nc;
    if (!s->shown || !frame_outbox_init(&s->out, m, post, s))
        error_set(err, "out of memory");
    else
        s->channel = host_broadcast_open(channel, MESSAGE_MOST, on_message, s, err);
    if (s->channel)
        return nc;
    net_client_free(nc);
    return NULL;
}
