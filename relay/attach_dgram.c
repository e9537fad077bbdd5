/*
 * QEMU's `-netdev socket,mcast=` and `udp=` in a room: a frame a datagram. In a multicast group a
 * frame of ours comes back to us; it is known by its sender, the socket that we send from, which is
 * another than the one that is in the group.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/address.h"
#include "relay/attach.h"
#include "relay/log.h"
#include "relay/loop.h"

enum { READS_AT_ONCE = 64 };

struct dgram {
    struct attachment attachment;
    struct port port;
    int in, out;              /* the same for udp */
    struct relay_address own; /* of `out`, if it is another */
    struct watch *watch;
};

static uint8_t frame[RELAY_FRAME_MAX]; /* used within read_frames() only */

static bool deliver(struct port *p, const uint8_t *data, size_t len)
{
    struct dgram *d = (struct dgram *)((char *)p - offsetof(struct dgram, port));
    return send(d->out, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void read_frames(void *owner, int events)
{
    struct dgram *d = owner;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        struct sockaddr_storage sa = { 0 };
        struct relay_address from;
        socklen_t len = sizeof sa;
        ssize_t n = recvfrom(d->in, frame, sizeof frame, 0, (struct sockaddr *)&sa, &len);
        if (n < 0)
            return; /* nobody there is no error here */
        address_from_system(&from, &sa);
        if (d->in != d->out && address_same(&from, &d->own))
            continue;
        if (n >= RELAY_FRAME_MIN)
            room_send(&d->port, frame, (size_t)n);
    }
}

static void dgram_close(struct attachment *a)
{
    struct dgram *d = (struct dgram *)a;
    room_leave(&d->port);
    watch_free(d->watch);
    if (d->out >= 0 && d->out != d->in)
        close(d->out);
    if (d->in >= 0)
        close(d->in);
    free(a->room);
    free(d);
}

static int udp_socket(int family)
{
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool open_udp(struct dgram *d, const struct attach_options *o, struct error *err)
{
    struct relay_address local, peer;
    struct sockaddr_storage own, to;
    endpoint_parse(&local, o->localaddr, NULL);
    endpoint_parse(&peer, o->udp, NULL);
    socklen_t own_len = address_to_system(&local, &own), to_len = address_to_system(&peer, &to);
    d->in = d->out = udp_socket(own.ss_family);
    if (d->in < 0 || bind(d->in, (struct sockaddr *)&own, own_len))
        return error_set(err, "localaddr: %s: %s", o->localaddr, strerror(errno));
    /* Connected, it only takes what the peer sends. */
    return !connect(d->in, (struct sockaddr *)&to, to_len) ||
           error_set(err, "udp: %s: %s", o->udp, strerror(errno));
}

static bool open_mcast(struct dgram *d, const struct attach_options *o, struct error *err)
{
    struct relay_address group, local = { .family = 4 };
    struct sockaddr_storage sa, from;
    int on = 1;
    endpoint_parse(&group, o->mcast, NULL);
    if (o->localaddr)
        address_parse(&local, o->localaddr);
    if (group.family != 4 || local.family != 4 || group.ip[0] >> 4 != 14)
        return error_set(err, "mcast: '%s': not an IPv4 multicast address", o->mcast);
    socklen_t len = address_to_system(&group, &sa), from_len = address_to_system(&local, &from);
    struct ip_mreq m;
    memcpy(&m.imr_multiaddr, group.ip, 4);
    memcpy(&m.imr_interface, local.ip, 4);
    d->in = udp_socket(AF_INET);
    d->out = udp_socket(AF_INET);
    if (d->in >= 0)
        setsockopt(d->in, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (d->in < 0 || d->out < 0 || bind(d->in, (struct sockaddr *)&sa, len) ||
        setsockopt(d->in, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) ||
        setsockopt(d->out, IPPROTO_IP, IP_MULTICAST_IF, &m.imr_interface, sizeof m.imr_interface) ||
        setsockopt(d->out, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof on) ||
        bind(d->out, (struct sockaddr *)&from, from_len) ||
        connect(d->out, (struct sockaddr *)&sa, len))
        return error_set(err, "mcast: %s: %s", o->mcast, strerror(errno));
    address_of_socket(&d->own, d->out);
    return true;
}

struct attachment *attach_dgram(struct relay *relay, const char *room,
                                const struct attach_options *o, struct error *err)
{
    struct dgram *d = calloc(1, sizeof *d);
    d->attachment =
        (struct attachment){ .relay = relay, .room = strdup(room), .close = dgram_close };
    d->in = d->out = -1;
    d->port.deliver = deliver;
    bool good = o->udp ? open_udp(d, o, err) : open_mcast(d, o, err);
    if (good && !(d->watch = watch_new(&relay->loop, d->in, read_frames, d)))
        good = error_set(err, "can't be watched");
    if (good && room_join(relay, &d->port, room_name(room)))
        good = error_set(err, "the room is full");
    if (!good) {
        dgram_close(&d->attachment);
        return NULL;
    }
    watch_set(d->watch, UV_READABLE);
    log_event(LOG_INFO, "attached", "room=%s %s=%s", room, o->udp ? "udp" : "mcast",
              o->udp ? o->udp : o->mcast);
    return &d->attachment;
}
