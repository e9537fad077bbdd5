/*
 * -netdev ...,relay=URL,room=NAME: a port of an L2 hub on a relay (channel `ether`).
 *
 *   frames from the guest -> relay_send_frame(), which batches them; without credit receive() says
 *   no, they queue up, and on_writable() goes on
 *   FRAMES from the relay -> net_send(); when the guest is full, the rest of the message waits in
 *   `held`, and credit is given back only for what was passed on, so the relay stops by itself
 *
 * While the connection is away the cable is out: frames are dropped and counted. The client opens
 * the channel again by itself.
 */
#include "net/relay/ether.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/coalesce.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/relay/client.h"
#include "net/relay/link.h"
#include "net/relay/qemu_stream.h"

#define WINDOW (1 << 20)

struct relay_ether {
    struct net_client nc;
    struct relay_link *link;
    struct relay_channel *channel; /* NULL: the relay doesn't want us */
    char room[RELAY_ROOM_MAX + 1];
    uint16_t error; /* why it doesn't */
    uint8_t *held;  /* FRAMES bodies that wait for the guest; WINDOW bytes at most */
    size_t held_start, held_end;
    bool pumping;
    struct net_coalescer large; /* segments of one body */
};

static struct relay_ether *ether_of(struct net_client *nc)
{
    return (struct relay_ether *)nc;
}

/* ---- frames ---- */

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct relay_ether *e = ether_of(nc);
    if (!e->channel || !relay_channel_is_open(e->channel) || f->len < RELAY_FRAME_MIN) {
        nc->stats.dropped++;
        return true;
    }
    return relay_send_frame(e->channel, f->data, f->len);
}

static void on_writable(void *opaque)
{
    net_accept(&((struct relay_ether *)opaque)->nc);
}

/* Passes on frames of @body as long as the guest takes them, and gives back their credit. */
static void pass(struct relay_ether *e, struct relay_bytes *body)
{
    struct relay_bytes frame, rest = *body;
    size_t before = body->len;
    while (relay_next_frame(&rest, &frame) &&
           net_coalesce(&e->large, &e->nc, frame.data, frame.len))
        *body = rest;
    net_coalesce_flush(&e->large, &e->nc);
    if (e->channel && before != body->len)
        relay_channel_done(e->channel, (uint32_t)(before - body->len));
}

static void pump(struct relay_ether *e)
{
    if (e->pumping)
        return;
    e->pumping = true;
    struct relay_bytes body = { e->held + e->held_start, e->held_end - e->held_start };
    pass(e, &body);
    e->held_start = e->held_end - body.len;
    if (!body.len)
        e->held_start = e->held_end = 0;
    e->pumping = false;
}

static void on_message(void *opaque, const struct relay_message *m)
{
    struct relay_ether *e = opaque;
    struct relay_bytes body = m->bytes;
    if (m->type != RELAY_FRAMES)
        return;
    if (e->held_end == e->held_start && !e->pumping) {
        e->pumping = true;
        pass(e, &body);
        e->pumping = false;
    }
    if (!body.len)
        return;
    if (!e->held)
        e->held = malloc(WINDOW);
    if (e->held && WINDOW - e->held_end < body.len) {
        memmove(e->held, e->held + e->held_start, e->held_end - e->held_start);
        e->held_end -= e->held_start;
        e->held_start = 0;
    }
    if (!e->held || WINDOW - e->held_end < body.len) { /* its credit says that it fits */
        e->nc.stats.unsent++;
        relay_channel_done(e->channel, (uint32_t)body.len);
        return;
    }
    memcpy(e->held + e->held_end, body.data, body.len);
    e->held_end += body.len;
}

static void writable(struct net_client *nc)
{
    pump(ether_of(nc));
}

/* ---- the channel ---- */

static void give_up(struct relay_ether *e, uint16_t error, const char *what)
{
    relay_channel_close(e->channel, 0);
    e->channel = NULL;
    e->error = error;
    if (relay_client_state(relay_link_client(e->link)) != RELAY_ENDED) /* that says it itself */
        fprintf(stderr, "slipway: netdev '%s': room '%s': %s (%s)\n", e->nc.name, e->room, what,
                relay_reason(error));
}

static void on_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_ether *e = opaque;
    (void)local;
    e->held_start = e->held_end = 0; /* of a connection that is gone */
    net_coalesce_reset(&e->large);
    if (error)
        give_up(e, error, "can't be joined");
}

static void on_closed(void *opaque, uint16_t error)
{
    give_up(opaque, error, "closed by the relay");
}

static const struct relay_channel_ops channel_ops = {
    .opened = on_opened,
    .message = on_message,
    .closed = on_closed,
    .writable = on_writable,
};

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    struct relay_ether *e = ether_of(nc);
    char relay[300];
    relay_link_describe(e->link, relay, sizeof relay);
    snprintf(buf, len, "room=%s,%s%s%s", e->room, relay, e->channel ? "" : ",",
             e->channel ? "" : relay_reason(e->error));
}

static void cleanup(struct net_client *nc)
{
    struct relay_ether *e = ether_of(nc);
    relay_channel_close(e->channel, 0);
    if (e->link)
        relay_link_put(e->link);
    net_coalesce_free(&e->large);
    free(e->held);
}

bool relay_ether_wanted(const struct keyval *args)
{
    return keyval_get(args, "relay") || keyval_get(args, "room") || keyval_get(args, "token") ||
           keyval_get(args, "protocol");
}

static bool room_is_good(const char *room)
{
    size_t len = strlen(room);
    return len && len <= RELAY_ROOM_MAX && *room != '.' &&
           len == strspn(room, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
}

static const struct net_client_ops client_ops[] = { RELAY_NETDEVS(RELAY_CLIENT) };

size_t relay_netdev_index(const char *type)
{
    size_t at = 0;
    while (strcmp(client_ops[at].type, type))
        at++;
    return at;
}

struct net_client *relay_ether_new(struct machine *m, const char *type, const char *name,
                                   const struct keyval *args, const char *room_key,
                                   struct error *err)
{
    static const char *const known[] = { "relay", "token", "room", "protocol" };
    const char *protocol = keyval_get(args, "protocol");
    const char *room = keyval_get(args, "room"), *url = keyval_get(args, "relay");
    char made[RELAY_ROOM_MAX + 2];
    for (const struct keyval *kv = args; kv; kv = kv->next) {
        bool good = room_key && !strcmp(kv->key, room_key);
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            good |= !strcmp(kv->key, known[i]);
        if (!good) {
            error_set(err,
                      "%.40s= makes no sense with relay=: the relay's own configuration says "
                      "what a room is attached to",
                      kv->key);
            return NULL;
        }
    }
    if (!url) {
        error_set(err, "room=, token= and protocol= need relay=");
        return NULL;
    }
    if (protocol && !strcmp(protocol, "qemu")) {
        if (room || keyval_get(args, "token")) {
            error_set(err, "protocol=qemu knows neither room= nor token=");
            return NULL;
        }
        return relay_qemu_new(m, type, name, url, err);
    }
    if (protocol && strcmp(protocol, "slipway")) {
        error_set(err, "protocol= expects slipway or qemu");
        return NULL;
    }
    if (!room && room_key && (room = keyval_get(args, room_key))) {
        snprintf(made, sizeof made, "%s", room);
        for (char *colon; (colon = strchr(made, ':'));)
            *colon = '-';
        room = made;
    }
    if (!room) {
        error_set(err, "relay= needs room=, the relay's room to plug into");
        return NULL;
    }
    if (!room_is_good(room)) {
        error_set(err, "room '%.80s': 1 to %d letters, digits, '.', '_' and '-', no '.' in front",
                  room, RELAY_ROOM_MAX);
        return NULL;
    }
    struct relay_link *link = relay_link_get(m, url, keyval_get(args, "token"), err);
    if (!link)
        return NULL;
    struct net_client *nc = net_client_new(m, &client_ops[relay_netdev_index(type)],
                                           sizeof(struct relay_ether), type, name);
    struct relay_ether *e = ether_of(nc);
    e->link = link;
    snprintf(e->room, sizeof e->room, "%s", room);
    struct relay_open o = { .kind = RELAY_ETHER,
                            .window = WINDOW,
                            .room = { (const uint8_t *)e->room, strlen(e->room) } };
    e->channel = relay_channel_open(relay_link_client(link), &o, &channel_ops, e);
    return nc;
}
