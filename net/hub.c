/*
 * Hubs. A hub has ports; a port is a client like any other, with a netdev or NIC as its peer. What
 * comes in at one port goes out at all others.
 *
 * All ports see the frames in the same order: a frame that comes in while another one is being
 * dealt out (somebody answers from within receive()) waits in the queue of its port and is taken
 * up by a bottom half. That also makes a loop of hubs a storm that leaves the machine time, instead
 * of a recursion.
 *
 * Back-pressure: a frame is taken only when every port has room for it, so nothing is lost and the
 * slowest decides, as long as it moves. A port that has had no room for STUCK_NS of real time
 * (stopped guest, dead connection) is left out when there are others to serve: what is meant for it
 * is dropped and counted at its peer until it has room again. A hub of two waits for ever: there
 * is nobody else to serve.
 *
 * Offloads: a port takes unfinished frames, since net_send() finishes them for each receiver that
 * can't do it itself.
 */
#include "net/hub.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/host.h"
#include "net/net_impl.h"

#define STUCK_NS 200000000ll
#define TICK_NS  50000000ll

struct port {
    struct net_client nc;
    struct hub *hub;
    struct port *next;
    bool inner;          /* made by -net */
    bool dropping;       /* it was stuck for too long */
    int64_t stuck_since; /* 0: it has room */
};

struct hub {
    struct hub *next;
    struct machine *machine;
    uint32_t id;
    unsigned made;      /* ports so far, for their names */
    struct port *ports; /* the newest first, as QEMU shows them */
    bool busy;          /* dealing out a frame */
    bool waiting;       /* a port was refused since */
    bool scheduled, ticking;
};

/* ---- waiting ports ---- */

static void take_up(void *opaque)
{
    struct hub *h = opaque;
    h->scheduled = h->waiting = false;
    for (struct port *p = h->ports; p; p = p->next)
        net_accept(&p->nc);
}

static void schedule(struct hub *h)
{
    if (!h->scheduled)
        machine_defer(h->machine, take_up, h);
    h->scheduled = true;
}

static unsigned connected_ports(const struct hub *h)
{
    unsigned n = 0;
    for (const struct port *p = h->ports; p; p = p->next)
        n += p->nc.peer != NULL;
    return n;
}

static void stop_ticking(struct hub *h);

static void tick(void *opaque)
{
    struct hub *h = opaque;
    int64_t now = host_monotonic_ns();
    bool stuck = false;
    for (struct port *p = h->ports; p; p = p->next) {
        if (!p->stuck_since || p->dropping)
            continue;
        if (now - p->stuck_since >= STUCK_NS && connected_ports(h) > 2) {
            p->dropping = true;
            schedule(h);
            host_wake();
        } else {
            stuck = true;
        }
    }
    if (!stuck)
        stop_ticking(h);
}

static void stop_ticking(struct hub *h)
{
    if (h->ticking)
        host_every_stop(tick, h);
    h->ticking = false;
}

static void note_stuck(struct port *p)
{
    if (p->stuck_since)
        return;
    p->stuck_since = host_monotonic_ns();
    if (!p->hub->ticking)
        host_every(TICK_NS, tick, p->hub);
    p->hub->ticking = true;
}

/* ---- frames ---- */

/* Will a frame sent out at @p arrive anywhere? */
static bool open_end(const struct port *p)
{
    return p->nc.peer && net_link_up(&p->nc);
}

static bool all_have_room(struct hub *h, const struct port *from, size_t len)
{
    bool room = true;
    for (struct port *p = h->ports; p; p = p->next) {
        if (p == from || !open_end(p) || net_can_send(&p->nc, len) || p->dropping)
            continue;
        note_stuck(p);
        room = false;
    }
    return room;
}

static bool port_receive(struct net_client *nc, const struct net_frame *f)
{
    struct port *from = (struct port *)nc;
    struct hub *h = from->hub;
    if (h->busy || !all_have_room(h, from, f->len)) {
        h->waiting = true;
        return false;
    }
    h->busy = true;
    for (struct port *p = h->ports; p; p = p->next)
        if (p != from && p->nc.peer && !net_send(&p->nc, f))
            p->nc.peer->stats.dropped++;
    h->busy = false;
    if (h->waiting)
        schedule(h);
    return true;
}

static void port_writable(struct net_client *nc)
{
    struct port *p = (struct port *)nc;
    p->stuck_since = 0;
    p->dropping = false;
    schedule(p->hub);
}

static void port_link_changed(struct net_client *nc)
{
    port_writable(nc); /* nobody waits for a port that isn't plugged in */
}

/* ---- ports ---- */

static void free_hub(struct hub *h)
{
    struct hub **at = &h->machine->net->hubs;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    stop_ticking(h);
    machine_cancel_deferred(h->machine, take_up, h);
    free(h);
}

static void port_cleanup(struct net_client *nc)
{
    struct port *p = (struct port *)nc, **at = &p->hub->ports;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (p->hub->ports)
        schedule(p->hub);
    else
        free_hub(p->hub);
}

static const struct net_client_ops port_ops = {
    .type = "hubport",
    .receive = port_receive,
    .writable = port_writable,
    .link_changed = port_link_changed,
    .cleanup = port_cleanup,
};

static struct hub *hub_of(struct machine *m, uint32_t id)
{
    struct net *n = net_of(m);
    for (struct hub *h = n->hubs; h; h = h->next)
        if (h->id == id)
            return h;
    struct hub *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->machine = m;
    h->id = id;
    h->next = n->hubs; /* the newest first, as QEMU shows them */
    n->hubs = h;
    return h;
}

struct net_client *hub_add_port(struct machine *m, uint32_t id, const char *name)
{
    struct hub *h = hub_of(m, id);
    char made[48];
    snprintf(made, sizeof made, "hub%uport%u", id, h->made++);
    struct port *p =
        (struct port *)net_client_new(m, &port_ops, sizeof *p, "hub", name ? name : made);
    p->nc.offloads =
        NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN | NET_OFFLOAD_UFO;
    p->nc.cls = &netdev_hubport;
    p->inner = !name;
    p->hub = h;
    p->next = h->ports;
    h->ports = p;
    return &p->nc;
}

bool hub_is_port(const struct net_client *nc)
{
    return nc->ops == &port_ops;
}

bool hub_is_inner_port(const struct net_client *nc)
{
    return hub_is_port(nc) && ((const struct port *)nc)->inner;
}

int64_t hub_id_of(const struct net_client *nc)
{
    return nc->peer && hub_is_port(nc->peer) ? (int64_t)((struct port *)nc->peer)->hub->id : -1;
}

/* ---- the netdev ---- */

static struct net_client *create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    const char *to = keyval_get(args, "netdev");
    struct net_client *netdev = to ? net_find(m, to) : NULL;
    if (to && (!netdev || netdev->ops->nic)) {
        error_set(err, "netdev '%s' not found", to);
        return NULL;
    }
    if (netdev && netdev->peer) {
        error_set(err, "netdev '%s' is in use", to);
        return NULL;
    }
    struct net_client *port = hub_add_port(m, netdev_arg_number(args, "hubid", 0), name);
    if (netdev)
        net_connect(port, netdev);
    return port;
}

static const struct netdev_option hubport_options[] = {
    { "hubid", NETDEV_NUMBER, NULL, "number of the hub", NETDEV_REQUIRED },
    { "netdev", NETDEV_STRING, "ID", "connect that netdev to the port, instead of a NIC", 0 },
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_class netdev_hubport = {
    .type = "hubport",
    .help = "a port of a hub, which connects any number of NICs and netdevs",
    .options = hubport_options,
    .create = create,
    .netdev_only = true,
};

/* ---- views ---- */

void hub_check(struct machine *m)
{
    for (const struct hub *h = m->net->hubs; h; h = h->next) {
        bool nic = false, outside = false;
        for (const struct port *p = h->ports; p; p = p->next) {
            if (!p->nc.peer)
                fprintf(stderr, "slipway: warning: hub port %s has no peer\n", p->nc.name);
            else if (p->nc.peer->ops->nic)
                nic = true;
            else
                outside = true;
        }
        if (nic && !outside)
            fprintf(stderr, "slipway: warning: hub %u is not connected to host network\n", h->id);
        if (outside && !nic)
            fprintf(stderr, "slipway: warning: hub %u with no nics\n", h->id);
    }
}

void hub_info(struct machine *m, struct text *out)
{
    for (const struct hub *h = m->net->hubs; h; h = h->next) {
        text_printf(out, "hub %u\n", h->id);
        for (const struct port *p = h->ports; p; p = p->next) {
            text_printf(out, " \\ %s", p->nc.name);
            text_puts(out, p->nc.peer ? ": " : "\n");
            if (p->nc.peer)
                net_print_client(p->nc.peer, out);
        }
    }
}
