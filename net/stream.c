/*
 * -netdev stream: frames in a byte stream over TCP, a Unix socket or a given descriptor; server or
 * client. reconnect= is that of QEMU 8.0 and later.
 */
#include <stdio.h>
#include <string.h>

#include "net/netdev.h"
#include "net/relay/ether.h"
#include "net/relay/socket_link.h"
#include "net/socket_address.h"
#include "net/stream_link.h"

static struct net_client *create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    static const char *const shown[] = {
        [SOCKET_INET] = "tcp:%s", [SOCKET_UNIX] = "unix:%s", [SOCKET_FD] = "fd:%s"
    };
    struct socket_address a;
    bool server = netdev_arg_bool(args, "server", false);
    bool relay = relay_ether_wanted(args);
    if (relay && !keyval_get(args, "addr.type"))
        return relay_ether_new(m, "stream", name, args, NULL, err);
    if (!socket_address_parse(&a, "addr", args, err))
        return NULL;
    if (a.type == SOCKET_NONE) {
        error_set(err, "Parameter 'addr' is missing");
        return NULL;
    }
    if (server && keyval_get(args, "reconnect")) {
        error_set(err, "'reconnect' option is incompatible with socket in server mode");
        return NULL;
    }
    if (!server && keyval_get(args, "addr.to")) {
        error_set(err, "'addr.to' is only for servers");
        return NULL;
    }
    if (relay && a.type != SOCKET_INET) {
        error_set(err, "through a relay only addr.type=inet");
        return NULL;
    }
    if (relay)
        return relay_socket_new(m, "stream", name,
                                &(struct relay_socket_options){
                                    .kind = server ? RELAY_SOCKET_LISTEN : RELAY_SOCKET_CONNECT,
                                    .remote = server ? NULL : a.where,
                                    .local = server ? a.where : NULL },
                                args, err);
    return stream_link_new(
        m, "stream", name,
        &(struct stream_link_options){ .kind = a.kind,
                                       .spec = a.spec,
                                       .server = server,
                                       .reconnect_s = netdev_arg_number(args, "reconnect", 0),
                                       .came = shown[a.type],
                                       .made = shown[a.type],
                                       .where = a.where },
        err);
}

static const struct netdev_option options[] = {
    { "server", NETDEV_BOOL, NULL, "wait for a connection instead of making one", 0 },
    { "addr.type", NETDEV_STRING, "inet|unix|fd", "what the connection goes over", 0 },
    { "addr.host", NETDEV_STRING, "HOST", "inet: address or name; empty for a server: any", 0 },
    { "addr.port", NETDEV_STRING, "PORT", "inet: port; 0 for a server: a free one", 0 },
    { "addr.to", NETDEV_NUMBER, "PORT", "inet, server: the last port to try", 0 },
    { "addr.ipv4", NETDEV_BOOL, NULL, "inet: use IPv4", 0 },
    { "addr.ipv6", NETDEV_BOOL, NULL, "inet: use IPv6", 0 },
    { "addr.keep-alive", NETDEV_BOOL, NULL, "inet: detect dead connections", 0 },
    { "addr.numeric", NETDEV_BOOL, NULL, "inet: accepted; numbers are never looked up", 0 },
    { "addr.mptcp", NETDEV_BOOL, NULL, "inet: only off", 0 },
    { "addr.path", NETDEV_STRING, "PATH", "unix: path of the socket", 0 },
    { "addr.abstract", NETDEV_BOOL, NULL, "unix: the path is an abstract name", 0 },
    { "addr.tight", NETDEV_BOOL, NULL, "unix: the abstract name isn't padded (default on)", 0 },
    { "addr.str", NETDEV_STRING, "FD", "fd: number of a socket that was opened already", 0 },
    { "reconnect", NETDEV_NUMBER, "SECONDS",
      "client: try again so long after a failure or the end of the connection; 0: don't", 0 },
    RELAY_ROOM_OPTIONS,
    { NULL, 0, NULL, NULL, 0 },
};

const struct netdev_class netdev_stream = {
    .type = "stream",
    .help = "a connection to another emulator's network over TCP or a Unix socket",
    .options = options,
    .create = create,
    .netdev_only = true,
};
