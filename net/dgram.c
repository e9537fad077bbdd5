/*
 * -netdev dgram: frames as datagrams, over UDP, a Unix socket or a given descriptor. A multicast
 * group as the remote end is joined, and local is then the address of the interface.
 */
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "net/dgram_link.h"
#include "net/netdev.h"
#include "net/relay/ether.h"
#include "net/relay/socket_link.h"
#include "net/socket_address.h"

static struct net_client *over_multicast(struct machine *m, const char *name,
                                         const struct socket_address *local,
                                         const struct socket_address *remote, struct error *err)
{
    char info[200];
    if (local->type == SOCKET_UNIX) {
        error_set(err, "only support inet or fd type for local");
        return NULL;
    }
    snprintf(info, sizeof info, "mcast=%.150s", remote->where);
    struct host_dgram_options o = { .kind = "udp", .remote = remote->where };
    if (local->type == SOCKET_INET && *local->host)
        o.interface = local->host;
    if (local->type == SOCKET_FD) {
        o.kind = "fd";
        o.local = local->spec;
    }
    return dgram_link_new(m, "dgram", name, &o, true, info, err);
}

static bool check(const struct socket_address *local, const struct socket_address *remote,
                  struct error *err)
{
    if (local->type == SOCKET_NONE)
        return error_set(err, "dgram requires local= parameter");
    if (local->type == SOCKET_FD && remote->type != SOCKET_NONE)
        return error_set(err, "don't set remote with local.fd");
    if (local->type != SOCKET_FD && remote->type == SOCKET_NONE)
        return error_set(err, "type=inet or type=unix requires remote parameter");
    if (remote->type != SOCKET_NONE && local->type != remote->type)
        return error_set(err, "remote and local types must be the same");
    return true;
}

static struct net_client *create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    struct socket_address local, remote;
    char info[200];
    bool relay = relay_ether_wanted(args);
    if (relay && !keyval_get(args, "remote.type"))
        return relay_ether_new(m, "dgram", name, args, NULL, err);
    if (!socket_address_parse(&local, "local", args, err) ||
        !socket_address_parse(&remote, "remote", args, err))
        return NULL;
    if (remote.type == SOCKET_FD) {
        error_set(err, "remote.type=fd makes no sense");
        return NULL;
    }
    if (relay && (local.type != SOCKET_INET || remote.type != SOCKET_INET ||
                  dgram_is_multicast(remote.host))) {
        error_set(err, "through a relay only type=inet, without multicast, on both sides");
        return NULL;
    }
    if (relay)
        return relay_socket_new(m, "dgram", name,
                                &(struct relay_socket_options){ .kind = RELAY_SOCKET_UDP,
                                                                .remote = remote.where,
                                                                .local = local.where },
                                args, err);
    if (remote.type == SOCKET_INET && dgram_is_multicast(remote.host))
        return over_multicast(m, name, &local, &remote, err);
    if (!check(&local, &remote, err))
        return NULL;
    struct host_dgram_options o = { .local = local.where };
    switch (local.type) {
    case SOCKET_INET:
        o.kind = "udp";
        o.remote = remote.where;
        snprintf(info, sizeof info, "udp=%.90s/%.90s", local.where, remote.where);
        break;
    case SOCKET_UNIX:
        o.kind = "unix";
        o.remote = remote.where;
        snprintf(info, sizeof info, "udp=%.90s:%.90s", local.where, remote.where);
        break;
    default: o.kind = "fd"; snprintf(info, sizeof info, "fd=%.32s", local.where);
    }
    return dgram_link_new(m, "dgram", name, &o, false, info, err);
}

static const struct netdev_option options[] = {
    { "local.type", NETDEV_STRING, "inet|unix|fd", "what kind of socket", 0 },
    { "local.host", NETDEV_STRING, "ADDR",
      "inet: where to receive; multicast: address of the host's interface to use", 0 },
    { "local.port", NETDEV_STRING, "PORT", "inet: where to receive", 0 },
    { "local.path", NETDEV_STRING, "PATH", "unix: where to receive", 0 },
    { "local.str", NETDEV_STRING, "FD", "fd: number of a socket that was opened already", 0 },
    { "remote.type", NETDEV_STRING, "inet|unix", "as local.type", 0 },
    { "remote.host", NETDEV_STRING, "HOST", "inet: where to send; a multicast group is joined", 0 },
    { "remote.port", NETDEV_STRING, "PORT", "inet: where to send", 0 },
    { "remote.path", NETDEV_STRING, "PATH", "unix: where to send", 0 },
    RELAY_ROOM_OPTIONS,
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_class netdev_dgram = {
    .type = "dgram",
    .help = "frames as datagrams: UDP, UDP multicast, Unix sockets",
    .options = options,
    .create = create,
    .netdev_only = true,
};
