/*
 * Attachments: their options, and the list of those that are there (relay->attachments).
 */
#include "relay/attach.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t place;
} names[] = {
    { "ifname", offsetof(struct attach_options, ifname) },
    { "bridge", offsetof(struct attach_options, bridge) },
    { "script", offsetof(struct attach_options, script) },
    { "downscript", offsetof(struct attach_options, downscript) },
    { "listen", offsetof(struct attach_options, listen) },
    { "connect", offsetof(struct attach_options, connect) },
    { "mcast", offsetof(struct attach_options, mcast) },
    { "udp", offsetof(struct attach_options, udp) },
    { "localaddr", offsetof(struct attach_options, localaddr) },
};

struct relay_bytes room_name(const char *name)
{
    return (struct relay_bytes){ (const uint8_t *)name, strlen(name) };
}

static bool set(struct attach_options *o, char *option, struct error *err)
{
    char *value = strchr(option, '=');
    if (!value || !value[1])
        return error_set(err, "'%s': not name=value", option);
    *value++ = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char **place = (char **)((char *)o + names[i].place);
        if (strcmp(names[i].name, option))
            continue;
        if (*place)
            return error_set(err, "%s: given twice", option);
        *place = value;
        return true;
    }
    return error_set(err, "%s: there is no such option", option);
}

static bool check(const struct attach_options *o, struct error *err)
{
    bool tap = !strcmp(o->kind, "tap");
    int ways = !!o->listen + !!o->connect + !!o->mcast + !!o->udp;
    struct relay_address a;
    if (!tap && strcmp(o->kind, "socket"))
        return error_set(err, "'%s': not tap or socket", o->kind);
    if (tap ? ways || o->localaddr
            : ways != 1 || o->ifname || o->bridge || o->script || o->downscript)
        return error_set(err,
                         tap ? "tap takes ifname, bridge, script, downscript"
                             : "socket takes one of listen, connect, mcast, udp, and localaddr");
    if (tap)
        return (o->ifname && strlen(o->ifname) < 16) ||
               error_set(err, "tap: ifname of at most 15 characters is needed");
    if (o->udp && !o->localaddr)
        return error_set(err, "socket: udp needs localaddr");
    if (o->localaddr && (o->listen || o->connect))
        return error_set(err, "socket: localaddr goes with mcast and udp");
    if (o->localaddr && o->mcast && !address_parse(&a, o->localaddr))
        return error_set(err, "localaddr: '%s': not an address", o->localaddr);
    const char *const endpoints[] = { o->listen, o->connect, o->mcast, o->udp,
                                      o->udp ? o->localaddr : NULL };
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        if (endpoints[i] && !endpoint_parse(&a, endpoints[i], err))
            return false;
    }
    return true;
}

/* Options point into @copy, which it takes apart. */
static bool parse(struct attach_options *o, char *copy, struct error *err)
{
    char *at = copy, *option;
    *o = (struct attach_options){ .kind = strsep(&at, ",") };
    while ((option = strsep(&at, ","))) {
        if (!set(o, option, err))
            return false;
    }
    return check(o, err);
}

static bool each(struct relay *relay, const struct config *c, struct error *err)
{
    for (size_t i = 0; i < c->n_rooms; i++) {
        const struct room_config *room = &c->rooms[i];
        for (size_t k = 0; k < room->attach.n; k++) {
            char *copy = strdup(room->attach.of[k]);
            struct attach_options o;
            struct attachment *a = NULL;
            bool good = parse(&o, copy, err);
            if (good && relay) {
                a = !strcmp(o.kind, "tap")  ? attach_tap(relay, room->name, &o, err)
                    : o.listen || o.connect ? attach_stream(relay, room->name, &o, err)
                                            : attach_dgram(relay, room->name, &o, err);
                good = a != NULL;
            }
            free(copy);
            if (!good)
                return error_prepend(err, "room %s: attach = %s", room->name, room->attach.of[k]);
            if (a) {
                a->next = relay->attachments;
                relay->attachments = a;
            }
        }
    }
    return true;
}

bool attach_check(const struct config *c, struct error *err)
{
    return each(NULL, c, err);
}

bool attach_all(struct relay *relay, struct error *err)
{
    return each(relay, relay->config, err);
}

void detach_all(struct relay *relay)
{
    while (relay->attachments) {
        struct attachment *a = relay->attachments;
        relay->attachments = a->next;
        a->close(a);
    }
}

bool attachments_run_programs(const struct relay *relay)
{
    for (const struct attachment *a = relay->attachments; a; a = a->next) {
        if (a->runs_program)
            return true;
    }
    return false;
}
