/*
 * -netdev socket: QEMU's older netdev for connections over sockets.
 *
 *   listen=[HOST]:PORT, connect=HOST:PORT, fd=H (stream socket)   frames in a byte stream
 *   mcast=GROUP:PORT[,localaddr=ADDR]                             frames as multicast datagrams
 *   udp=HOST:PORT,localaddr=[HOST]:PORT, fd=H (datagram socket)   frames as datagrams
 *
 *   channel=NAME                                                  frames through a BroadcastChannel
 *   relay=URL,room=NAME                                           frames through a relay
 *   relay=URL with listen=, connect= or udp=                      the same, sockets of the relay
 *   relay=URL with mcast=                                         a room of the relay, too
 *
 * IPv4 only, as there; stream and dgram are the netdevs that know more.
 */
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "net/channel_link.h"
#include "net/dgram_link.h"
#include "net/netdev.h"
#include "net/relay/ether.h"
#include "net/relay/socket_link.h"
#include "net/stream_link.h"

/* "[HOST]:PORT" */
static bool check_address(const char *text, struct error *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon)
        return error_set(err, "host address '%.200s' doesn't contain ':' separating host from port",
                         text);
    if (!parse_u64(colon + 1, &port) || port > 65535)
        return error_set(err, "port number '%.200s' is invalid", colon + 1);
    return true;
}

static struct net_client *over_tcp(struct machine *m, const char *name, const char *address,
                                   bool server, struct error *err)
{
    char spec[300];
    if (!check_address(address, err))
        return NULL;
    snprintf(spec, sizeof spec, "%.250s,ipv4", address);
    return stream_link_new(m, "socket", name,
                           &(struct stream_link_options){ .kind = "tcp",
                                                          .spec = spec,
                                                          .server = server,
                                                          .came = "socket: connection from %s",
                                                          .made = "socket: connect to %s",
                                                          .where = address },
                           err);
}

static bool check_group(const char *group, struct error *err)
{
    char host[64];
    if (!check_address(group, err))
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(strrchr(group, ':') - group), group);
    return dgram_is_multicast(host) ||
           error_set(err, "specified mcastaddr %s does not contain a multicast address", host);
}

static struct net_client *over_multicast(struct machine *m, const char *name, const char *group,
                                         const char *local, struct error *err)
{
    char info[200];
    if (!check_group(group, err))
        return NULL;
    snprintf(info, sizeof info, "socket: mcast=%.150s", group);
    return dgram_link_new(
        m, "socket", name,
        &(struct host_dgram_options){ .kind = "udp", .remote = group, .interface = local }, true,
        info, err);
}

static struct net_client *over_udp(struct machine *m, const char *name, const char *remote,
                                   const char *local, struct error *err)
{
    char here[300], there[300], info[200];
    if (!local) {
        error_set(err, "localaddr= is mandatory with udp=");
        return NULL;
    }
    if (!check_address(local, err) || !check_address(remote, err))
        return NULL;
    snprintf(here, sizeof here, "%.250s,ipv4", local);
    snprintf(there, sizeof there, "%.250s,ipv4", remote);
    snprintf(info, sizeof info, "socket: udp=%.150s", remote);
    return dgram_link_new(
        m, "socket", name,
        &(struct host_dgram_options){ .kind = "udp", .local = here, .remote = there }, false, info,
        err);
}

static struct net_client *over_fd(struct machine *m, const char *name, const char *fd,
                                  struct error *err)
{
    char info[64];
    struct error ignored;
    struct net_client *nc = stream_link_new(
        m, "socket", name,
        &(struct stream_link_options){
            .kind = "fd", .spec = fd, .came = "socket: %s", .made = "socket: fd=%s", .where = fd },
        err);
    if (nc)
        return nc;
    snprintf(info, sizeof info, "socket: fd=%.32s", fd);
    return dgram_link_new(m, "socket", name,
                          &(struct host_dgram_options){ .kind = "fd", .local = fd }, false, info,
                          &ignored);
}

static struct net_client *at_relay(struct machine *m, const char *name, const struct keyval *args,
                                   struct error *err)
{
    const char *listen = keyval_get(args, "listen"), *connect = keyval_get(args, "connect"),
               *udp = keyval_get(args, "udp"), *local = keyval_get(args, "localaddr");
    if (udp && !local) {
        error_set(err, "localaddr= is mandatory with udp=");
        return NULL;
    }
    struct relay_socket_options o = {
        .kind = listen    ? RELAY_SOCKET_LISTEN
                : connect ? RELAY_SOCKET_CONNECT
                          : RELAY_SOCKET_UDP,
        .remote = udp ? udp : connect,
        .local = udp ? local : listen,
    };
    return relay_socket_new(m, "socket", name, &o, args, err);
}

static struct net_client *create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    const char *fd = keyval_get(args, "fd"), *listen = keyval_get(args, "listen"),
               *connect = keyval_get(args, "connect"), *mcast = keyval_get(args, "mcast"),
               *udp = keyval_get(args, "udp"), *local = keyval_get(args, "localaddr"),
               *channel = keyval_get(args, "channel");
    if (relay_ether_wanted(args) && !listen && !connect && !udp) {
        if (mcast && !check_group(mcast, err))
            return NULL;
        return relay_ether_new(m, "socket", name, args, "mcast", err);
    }
    if (!!fd + !!listen + !!connect + !!mcast + !!udp + !!channel != 1) {
        error_set(err, "exactly one of listen=, connect=, mcast=, udp= or fd= is required");
        return NULL;
    }
    if (local && !mcast && !udp) {
        error_set(err, "localaddr= is only valid with mcast= or udp=");
        return NULL;
    }
    if (relay_ether_wanted(args))
        return at_relay(m, name, args, err);
    if (channel)
        return channel_link_new(m, "socket", name, channel, err);
    if (mcast)
        return over_multicast(m, name, mcast, local, err);
    if (udp)
        return over_udp(m, name, udp, local, err);
    if (fd)
        return over_fd(m, name, fd, err);
    return over_tcp(m, name, listen ? listen : connect, listen != NULL, err);
}

static const struct netdev_option options[] = {
    { "fd", NETDEV_STRING, "H", "use a socket that was opened already (native build)", 0 },
    { "listen", NETDEV_STRING, "[HOST]:PORT", "wait for a TCP connection, one at a time", 0 },
    { "connect", NETDEV_STRING, "HOST:PORT", "connect to a listening end", 0 },
    { "mcast", NETDEV_STRING, "GROUP:PORT", "join a UDP multicast group: a shared bus", 0 },
    { "localaddr", NETDEV_STRING, "ADDR[:PORT]",
      "mcast: address of the host's interface to use; udp: where to receive", 0 },
    { "udp", NETDEV_STRING, "HOST:PORT", "send UDP datagrams there", 0 },
    { "channel", NETDEV_STRING, "NAME",
      "a bus of all PCs in pages of this web site that say the same (BroadcastChannel)", 0 },
    RELAY_ROOM_OPTIONS,
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_class netdev_socket = {
    .type = "socket",
    .help = "a connection to another emulator's network over a TCP or UDP socket",
    .options = options,
    .create = create,
};
