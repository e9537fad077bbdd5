/*
 * What the monitor shows and does: info network in QEMU's format, with a line of counters under
 * each client; set_link; the way to the user mode stacks.
 */
#include <stdio.h>
#include <string.h>

#include "net/hub.h"
#include "net/net_impl.h"

void net_print_client(const struct net_client *nc, struct text *out)
{
    char rest[512] = "";
    if (nc->ops->describe) {
        nc->ops->describe((struct net_client *)nc, rest, sizeof rest);
    } else if (nc->ops->nic) {
        const uint8_t *mac = ((const struct nic *)nc)->mac;
        snprintf(rest, sizeof rest, "model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", nc->model,
                 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    }
    text_printf(out, "%s: index=0,type=%s,%s\n", nc->name, nc->ops->type, rest);
    const struct net_stats *s = &nc->stats;
    text_printf(out, "   link=%s,frames=%llu,bytes=%llu,queued=%zu,waited=%llu,dropped=%llu\n",
                nc->link_down || (nc->peer && nc->peer->link_down) ? "down" : "up",
                (unsigned long long)s->frames, (unsigned long long)s->bytes, net_queue_length(nc),
                (unsigned long long)s->waited, (unsigned long long)s->dropped);
    net_print_filters(nc, out);
}

void net_info(struct machine *m, struct text *out)
{
    if (!m->net)
        return;
    hub_info(m, out);
    for (const struct net_client *nc = m->net->clients; nc; nc = nc->next) {
        if (hub_is_port(nc) || (nc->peer && (hub_is_port(nc->peer) || !nc->ops->nic)))
            continue; /* shown at its hub, or with its NIC */
        net_print_client(nc, out);
        if (nc->peer) {
            text_puts(out, " \\ ");
            net_print_client(nc->peer, out);
        }
    }
}

bool net_set_link_by_name(struct machine *m, const char *name, bool up, struct error *err)
{
    struct net_client *nc = net_find(m, name);
    if (!nc)
        return error_set(err, "Device '%s' not found", name);
    net_set_link(nc, up);
    return true;
}

/* ---- user mode stacks ---- */

static bool is_usernet(const struct net_client *nc)
{
    return nc->cls && nc->cls->hostfwd_add;
}

struct net_client *net_find_usernet(struct machine *m, const char *name, struct error *err)
{
    struct net_client *nc = name ? net_find(m, name) : net_of(m)->clients;
    while (nc && !name && !is_usernet(nc))
        nc = nc->next;
    if (nc && is_usernet(nc))
        return nc;
    if (!name)
        error_set(err, "user mode network stack not in use");
    else if (nc)
        error_set(err, "invalid device specified");
    else
        error_set(err, "unrecognized netdev id '%s'", name);
    return NULL;
}

void net_info_usernet(struct machine *m, struct text *out)
{
    for (struct net_client *nc = net_of(m)->clients; nc; nc = nc->next)
        if (is_usernet(nc)) {
            text_printf(out, "Hub %lld (%s):\n", (long long)hub_id_of(nc), nc->name);
            if (nc->cls->info_usernet)
                nc->cls->info_usernet(nc, out);
        }
}

bool net_hostfwd_add(struct net_client *nc, const char *rule, struct error *err)
{
    return nc->cls->hostfwd_add(nc, rule, err);
}

bool net_hostfwd_remove(struct net_client *nc, const char *rule, struct error *err)
{
    return nc->cls->hostfwd_remove(nc, rule, err);
}
