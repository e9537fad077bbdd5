/*
 * relay_address to sockaddr and back.
 */
#include "relay/address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "relay/egress.h"

socklen_t address_to_system(const struct relay_address *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
}

void address_from_system(struct relay_address *a, const struct sockaddr_storage *in)
{
    *a = (struct relay_address){ 0 };
    if (in->ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)in;
        a->family = 4;
        a->port = ntohs(in4->sin_port);
        memcpy(a->ip, &in4->sin_addr, 4);
    } else if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)in;
        a->family = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 4 : 6;
        a->port = ntohs(in6->sin6_port);
        if (a->family == 4)
            memcpy(a->ip, (const uint8_t *)&in6->sin6_addr + 12, 4);
        else
            memcpy(a->ip, &in6->sin6_addr, 16);
    }
}

bool address_same(const struct relay_address *a, const struct relay_address *b)
{
    return a->family == b->family && a->port == b->port && !memcmp(a->ip, b->ip, sizeof a->ip);
}

void address_of_socket(struct relay_address *a, int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len))
        sa.ss_family = AF_UNSPEC;
    address_from_system(a, &sa);
}

/* BBR, where it is the system's choice, sends packets by a timer, which on loopback costs as much
 * as the packets. Reno is always there, and as good where nothing is lost. It has to be chosen
 * before the connection is there, as timers, once begun, stay. */
void address_tune(int fd, const struct relay_address *a)
{
    struct relay_address dial;
    if (egress_check(a, &dial) == EGRESS_LOOPBACK)
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}
