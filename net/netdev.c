/*
 * The kinds of netdevs, and making and removing netdevs: those of the command line, and those that
 * come and go with netdev_add and netdev_del.
 *
 * A netdev without an id (-nic, -net) is called "#netNNN" as in QEMU, so no user's id can be the
 * same. Ids of NICs and netdevs are apart; but net_find() looks for both, so a netdev can't have
 * the name of a client that is there.
 */
#include "net/netdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "monitor/json.h"
#include "net/hub.h"
#include "net/net_impl.h"
#include "net/sockets.h"
#include "net/user/user.h"

/* clang-format off: one a line, in the order of `-netdev help` */
const struct netdev_class *const netdev_classes[] = {
    &netdev_socket, &netdev_stream, &netdev_dgram,   &netdev_user,
    &netdev_tap,    &netdev_bridge, &netdev_hubport, NULL,
};
/* clang-format on */

const struct netdev_class *netdev_class_find(const char *type)
{
    for (size_t i = 0; netdev_classes[i]; i++)
        if (!strcmp(netdev_classes[i]->type, type))
            return netdev_classes[i];
    return NULL;
}

bool netdev_arg_bool(const struct keyval *args, const char *key, bool absent)
{
    const char *text = keyval_get(args, key);
    bool value = absent;
    if (text)
        parse_bool(text, &value);
    return value;
}

uint32_t netdev_arg_number(const struct keyval *args, const char *key, uint32_t absent)
{
    const char *text = keyval_get(args, key);
    uint64_t value = absent;
    if (text)
        parse_u64(text, &value);
    return (uint32_t)value;
}

/* ---- making ---- */

static bool make(struct machine *m, struct net_option *n, struct error *err)
{
    struct net *net = net_of(m);
    const char *kind = n->kind == NET_OPTION_NETDEV ? "netdev"
                       : n->kind == NET_OPTION_NIC  ? "nic"
                                                    : "net";
    if (!strcmp(n->type, "none"))
        return true;
    if (n->kind == NET_OPTION_OBJECT)
        return net_object_make(m, n, err);
    if (n->id && net_find(m, n->id))
        return error_set(err, "Duplicate ID '%s' for %s", n->id, kind);
    bool net_nic = !strcmp(n->type, "nic");
    if (net_nic && n->netdev) {
        if (!net_find(m, n->netdev))
            return error_set(err, "netdev '%s' not found", n->netdev);
        return nic_wanted(m, n, n->netdev, err);
    }
    struct net_client *nc = NULL;
    if (!net_nic) {
        char name[32];
        snprintf(name, sizeof name, "#net%u%02u", net->unnamed, net->unnamed * 61 % 100);
        net->unnamed += !n->id;
        nc = netdev_class_find(n->type)->create(m, n->id ? n->id : name, n->args, err);
        if (!nc)
            return false;
        nc->cls = netdev_class_find(n->type);
    }
    if (nc && n->kind == NET_OPTION_NIC)
        return nic_wanted(m, n, nc->name, err);
    if (n->kind == NET_OPTION_NET) {
        struct net_client *port = hub_add_port(m, 0, NULL);
        if (net_nic)
            return nic_wanted(m, n, port->name, err);
        net_connect(port, nc);
    }
    return true;
}

/* In QEMU's order. */
bool net_init_netdevs(struct machine *m, struct error *err)
{
    static const enum net_option_kind order[] = { NET_OPTION_NETDEV, NET_OPTION_NIC, NET_OPTION_NET,
                                                  NET_OPTION_OBJECT };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        for (struct net_option *n = m->opt->net; n; n = n->next)
            if (n->kind == order[i] && !make(m, n, err))
                return error_prepend(err, "%.200s", n->text);
    return true;
}

void net_check_peers(struct machine *m)
{
    if (!m->net)
        return;
    hub_check(m);
    for (const struct net_client *nc = m->net->clients; nc; nc = nc->next)
        if (!nc->peer && !hub_is_inner_port(nc))
            fprintf(stderr, "slipway: warning: %s %s has no peer\n",
                    nc->ops->nic ? "nic" : "netdev", nc->name);
}

/* ---- while running ---- */

static bool add(struct machine *m, struct net_option *n, struct error *err)
{
    bool ok = !n || make(m, n, err);
    net_options_free(n);
    return ok;
}

static bool add_text(struct machine *m, enum net_option_kind kind, const char *arg,
                     struct error *err)
{
    struct net_option *n = NULL;
    bool help = false;
    return net_option_parse(&n, kind, NULL, arg, &help, err) && add(m, n, err);
}

static bool add_json(struct machine *m, enum net_option_kind kind, const struct json *args,
                     struct error *err)
{
    struct net_option *n = NULL;
    struct json none = { .type = JSON_OBJECT };
    return net_option_of_json(&n, kind, args ? args : &none, err) && add(m, n, err);
}

bool netdev_add(struct machine *m, const char *arg, struct error *err)
{
    return add_text(m, NET_OPTION_NETDEV, arg, err);
}

bool netdev_add_json(struct machine *m, const struct json *args, struct error *err)
{
    return add_json(m, NET_OPTION_NETDEV, args, err);
}

bool net_object_add(struct machine *m, const char *arg, struct error *err)
{
    return add_text(m, NET_OPTION_OBJECT, arg, err);
}

bool net_object_add_json(struct machine *m, const struct json *args, struct error *err)
{
    return add_json(m, NET_OPTION_OBJECT, args, err);
}

bool netdev_del(struct machine *m, const char *id, struct error *err)
{
    struct net_client *nc = net_find(m, id);
    if (!nc || nc->ops->nic || !nc->cls || nc->name[0] == '#')
        return error_set(err, "Device '%s' not found", id);
    net_client_free(nc);
    return true;
}
