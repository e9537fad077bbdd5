/*
 * Rooms. The sender of a frame is learned with its MAC address (IEEE 802.1D 7.8); a frame to a
 * learned address goes to that port only, any other to all but its own. A port is believed so many
 * addresses as the configuration allows; further ones get their frames as unknown addresses do. An
 * address that isn't heard for AGE_S is forgotten when it would be used.
 *
 * A frame never comes back to its port and never leaves its room, so rooms are as separate as
 * switches without a cable between them.
 */
#include "relay/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AGE_S = 300 };

struct station {
    struct port *port;
    uint64_t heard_s;
};

struct room {
    struct relay *relay;
    struct room *next, *previous;
    struct port *ports;
    size_t n_ports;
    struct table stations; /* by MAC address */
    size_t name_len;
    char name[RELAY_ROOM_MAX];
};

static uint64_t mac_key(const uint8_t *mac)
{
    uint64_t key = 0;
    memcpy(&key, mac, 6);
    return key;
}

static uint64_t now_s(const struct room *r)
{
    return uv_now(&r->relay->loop) / 1000;
}

bool room_name_valid(struct relay_bytes name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    for (size_t i = 0; i < name.len; i++) {
        if (!memchr(good, name.data[i], sizeof good - 1))
            return false;
    }
    return name.len && name.len <= RELAY_ROOM_MAX && name.data[0] != '.';
}

bool room_is(const struct room *r, struct relay_bytes name)
{
    return r->name_len == name.len && !memcmp(r->name, name.data, name.len);
}

static struct room *find(struct relay *relay, struct relay_bytes name)
{
    for (struct room *r = relay->rooms; r; r = r->next) {
        if (room_is(r, name))
            return r;
    }
    return NULL;
}

static struct room *room_new(struct relay *relay, struct relay_bytes name)
{
    struct room *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->relay = relay;
    r->name_len = name.len;
    memcpy(r->name, name.data, name.len);
    r->next = relay->rooms;
    if (r->next)
        r->next->previous = r;
    relay->rooms = r;
    relay->metrics.rooms++;
    return r;
}

static void forget(struct room *r, uint64_t key)
{
    struct station *s = table_get(&r->stations, key);
    s->port->macs--;
    table_remove(&r->stations, key);
    free(s);
}

static void room_free(struct room *r)
{
    if (r->previous)
        r->previous->next = r->next;
    else
        r->relay->rooms = r->next;
    if (r->next)
        r->next->previous = r->previous;
    r->relay->metrics.rooms--;
    free(r);
}

int room_join(struct relay *relay, struct port *p, struct relay_bytes name)
{
    struct room *r = name.len <= RELAY_ROOM_MAX ? find(relay, name) : NULL;
    if (!r && name.len <= RELAY_ROOM_MAX)
        r = room_new(relay, name);
    if (!r || r->n_ports >= relay->config->max_room_members)
        return EMFILE;
    p->room = r;
    p->macs = 0;
    p->previous = NULL;
    p->next = r->ports;
    if (p->next)
        p->next->previous = p;
    r->ports = p;
    r->n_ports++;
    relay->metrics.room_members++;
    return 0;
}

void room_leave(struct port *p)
{
    struct room *r = p->room;
    if (!r)
        return;
    for (size_t i = 0; p->macs && i < r->stations.room;) {
        struct station *s = r->stations.slots[i].value;
        if (s && s->port == p)
            forget(r, r->stations.slots[i].key); /* another may come to this place */
        else
            i++;
    }
    if (p->previous)
        p->previous->next = p->next;
    else
        r->ports = p->next;
    if (p->next)
        p->next->previous = p->previous;
    p->room = NULL;
    r->relay->metrics.room_members--;
    if (!--r->n_ports)
        room_free(r);
}

static void learn(struct room *r, struct port *p, const uint8_t *mac)
{
    uint64_t key = mac_key(mac);
    struct station *s = table_get(&r->stations, key);
    if (s && s->port == p) {
        s->heard_s = now_s(r);
        return;
    }
    if ((mac[0] & 1) || p->macs >= r->relay->config->max_macs)
        return;
    if (s) {
        s->port->macs--; /* it has moved */
    } else {
        s = calloc(1, sizeof *s);
        if (!s || !table_put(&r->stations, key, s)) {
            free(s);
            return;
        }
    }
    s->port = p;
    s->heard_s = now_s(r);
    p->macs++;
}

void room_send(struct port *p, const uint8_t *frame, size_t len)
{
    struct room *r = p->room;
    struct metrics *m = &r->relay->metrics;
    m->frames_total++;
    learn(r, p, frame + 6);
    if (!(frame[0] & 1)) {
        uint64_t key = mac_key(frame);
        struct station *s = table_get(&r->stations, key);
        if (s && now_s(r) - s->heard_s > AGE_S) {
            forget(r, key);
            s = NULL;
        }
        if (s) {
            if (s->port != p)
                m->frames_dropped_total += !s->port->deliver(s->port, frame, len);
            return;
        }
    }
    for (struct port *to = r->ports, *next; to; to = next) {
        next = to->next;
        if (to != p)
            m->frames_dropped_total += !to->deliver(to, frame, len);
    }
}
