/*
 * The netdevs of this folder that connect to the outside through sockets and TAP interfaces.
 */
#ifndef SLIPWAY_NET_SOCKETS_H
#define SLIPWAY_NET_SOCKETS_H

extern const struct netdev_class netdev_socket, netdev_stream, netdev_dgram, netdev_tap,
    netdev_bridge;

#endif
