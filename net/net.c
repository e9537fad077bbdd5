/*
 * Clients: who there is, who is whose peer, whose link is up. Frames are queue.c's.
 *
 * All clients of a machine are on one list in the order in which they were made; info network, MAC
 * numbers and generated names follow it. Names: a NIC without an id is MODEL.N, N counting the
 * clients of that model (QEMU's rule).
 *
 * While the machine is stopped, nothing is delivered to NICs, so that a stopped guest's memory
 * doesn't change: net->held, kept by a listener of the machine. It is set from the start for a
 * machine that is yet to be started.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "net/net_impl.h"

static void machine_event(void *opaque, enum machine_event e, enum shutdown_cause cause)
{
    struct machine *m = opaque;
    if (e != EVENT_STOP && e != EVENT_RESUME)
        return;
    m->net->held = e == EVENT_STOP;
    for (struct net_client *nc = m->net->clients; nc && !m->net->held; nc = nc->next)
        if (nc->ops->nic)
            net_accept(nc);
}

struct net *net_of(struct machine *m)
{
    if (m->net)
        return m->net;
    struct net *n = m->net = calloc(1, sizeof *n);
    if (!n)
        abort();
    n->listener.event = machine_event;
    n->listener.opaque = m;
    n->held = m->state == RUN_STATE_PRELAUNCH;
    machine_listen(m, &n->listener);
    return n;
}

/* ---- life ---- */

static char *copy(const char *s)
{
    char *c = strdup(s);
    if (!c)
        abort();
    return c;
}

/* MODEL.N for the N-th client of that model. */
static char *make_name(struct net *n, const char *model)
{
    unsigned count = 0;
    for (const struct net_client *nc = n->clients; nc; nc = nc->next)
        count += !strcmp(nc->model, model);
    char name[128];
    snprintf(name, sizeof name, "%.100s.%u", model, count);
    return copy(name);
}

struct net_client *net_client_new(struct machine *m, const struct net_client_ops *ops, size_t size,
                                  const char *model, const char *name)
{
    struct net *n = net_of(m);
    struct net_client *nc = calloc(1, size), **at = &n->clients;
    if (!nc)
        abort();
    nc->ops = ops;
    nc->machine = m;
    nc->name = name ? copy(name) : make_name(n, model);
    nc->model = copy(model);
    while (*at)
        at = &(*at)->next;
    *at = nc;
    return nc;
}

void net_client_free(struct net_client *nc)
{
    if (!nc)
        return;
    net_disconnect(nc);
    net_filters_free(nc);
    if (nc->ops->cleanup)
        nc->ops->cleanup(nc);
    net_queue_cancel(nc);
    net_queue_free(nc);
    struct net_client **at = &nc->machine->net->clients;
    while (*at != nc)
        at = &(*at)->next;
    *at = nc->next;
    free(nc->name);
    free(nc->model);
    free(nc);
}

void net_cleanup(struct machine *m)
{
    struct net *n = m->net;
    if (!n)
        return;
    while (n->clients)
        net_client_free(n->clients);
    machine_unlisten(m, &n->listener);
    nic_wanted_free(n);
    nic_announce_stop(n, m);
    free(n);
    m->net = NULL;
}

struct net_client *net_find(struct machine *m, const char *name)
{
    struct net_client *nc = m->net ? m->net->clients : NULL;
    while (nc && strcmp(nc->name, name))
        nc = nc->next;
    return nc;
}

/* ---- peers and link ---- */

static void tell_link(struct net_client *nc)
{
    if (nc->ops->link_changed)
        nc->ops->link_changed(nc);
}

void net_connect(struct net_client *a, struct net_client *b)
{
    a->peer = b;
    b->peer = a;
    tell_link(a);
    tell_link(b);
}

void net_disconnect(struct net_client *nc)
{
    struct net_client *peer = nc->peer;
    if (!peer)
        return;
    net_queue_free(nc); /* frames of one connection don't reach the next */
    net_queue_free(peer);
    nc->peer = peer->peer = NULL;
    bool waits = peer->blocked;
    nc->blocked = peer->blocked = false;
    tell_link(peer);
    if (waits && peer->ops->writable)
        peer->ops->writable(peer);
}

bool net_link_up(const struct net_client *nc)
{
    return nc->peer && !nc->link_down && !nc->peer->link_down;
}

void net_set_link(struct net_client *nc, bool up)
{
    if (nc->link_down == !up)
        return;
    nc->link_down = !up;
    if (!up) {
        net_purge(nc);
        if (nc->peer)
            net_purge(nc->peer);
    }
    tell_link(nc);
    if (nc->peer)
        tell_link(nc->peer);
}
