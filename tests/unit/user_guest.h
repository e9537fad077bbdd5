/*
 * A guest of a user-mode network for tests: a stack (net/user/stack.h) on the in-process transport
 * with a machine around it that has a clock and no more, frames made by hand, and what the stack
 * sends back.
 */
#ifndef SLIPWAY_USER_GUEST_H
#define SLIPWAY_USER_GUEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "host/host.h"
#include "host/native.h"
#include "machine.h"
#include "net/net.h"
#include "net/user/sockets.h"
#include "net/user/stack.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };
#define GUEST_IP 0x0a00020fu
#define HOST_IP  0x0a000202u
#define FRAME    (NET_FRAME_MAX + 64)

struct guest {
    struct machine m;
    struct machine_options opt;
    struct user_transport *transport;
    struct user_stack *stack;
    void (*heard)(struct guest *g, const uint8_t *f, size_t len);
    size_t frames;     /* heard so far */
    bool cuts;         /* takes large segments */
    unsigned gso_size; /* of the frame heard last */
    bool deaf;         /* takes no frames */
    uint8_t f[FRAME];  /* the frame being made */
    size_t len;
};

static inline bool guest_send(void *opaque, const uint8_t *data, size_t len, unsigned gso_size)
{
    struct guest *g = opaque;
    g->gso_size = gso_size;
    g->frames++;
    if (g->heard)
        g->heard(g, data, len);
    return true;
}

static inline bool guest_can_send(void *opaque)
{
    return !((struct guest *)opaque)->deaf;
}

static inline bool guest_can_cut(void *opaque, bool ipv6)
{
    return ((struct guest *)opaque)->cuts;
}

static inline struct guest *guest_new_on(struct user_transport *t, SlirpConfig *extra)
{
    static const struct user_stack_ops ops = { guest_send, guest_can_send, guest_can_cut, NULL };
    struct guest *g = calloc(1, sizeof *g);
    SlirpConfig c = extra ? *extra : (SlirpConfig){ 0 };
    if (!g)
        abort();
    options_init(&g->opt);
    g->m.opt = &g->opt;
    g->m.deferred_end = &g->m.deferred;
    g->m.state = RUN_STATE_RUNNING;
    g->m.cpus[0] = calloc(1, sizeof *g->m.cpus[0]);
    if (!g->m.cpus[0])
        abort();
    g->m.cpus[0]->halted = true;
    clock_init(&g->m.clock);
    clock_start(&g->m.clock);
    c.version = 4;
    c.in_enabled = c.in6_enabled = true;
    c.vnetwork.s_addr = htonl(0x0a000200);
    c.vnetmask.s_addr = htonl(0xffffff00);
    c.vhost.s_addr = htonl(HOST_IP);
    c.vdhcp_start.s_addr = htonl(GUEST_IP);
    c.vnameserver.s_addr = htonl(0x0a000203);
    inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &c.vhost6);
    inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
    c.vprefix_len = 64;
    g->transport = t;
    g->stack = user_stack_new(&g->m, &c, g->transport, &ops, g);
    if (!g->stack)
        abort();
    return g;
}

static inline struct guest *guest_new(SlirpConfig *extra)
{
    return guest_new_on(user_loopback_transport_new("test"), extra);
}

static inline void guest_free(struct guest *g)
{
    user_stack_free(g->stack);
    host_loop_once(0);
    free(g->m.cpus[0]);
    clock_free(&g->m.clock);
    options_free(&g->opt);
    free(g);
}

/* Turns of the loop until all is quiet. */
static inline void guest_run(struct guest *g)
{
    for (int i = 0; i < 8; i++) {
        machine_run_slice(&g->m, 1000000);
        host_loop_once(0);
    }
}

/* Virtual time goes on. */
static inline void guest_sleep(struct guest *g, int64_t ns)
{
    g->m.clock.offset_ns += ns;
    guest_run(g);
}

/* A socket on the other side. */
static inline int guest_socket(struct guest *g, int type, uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct user_transport *before = user_enter(g->transport);
    int s = user_socket(AF_INET, type, 0);
    user_leave(before);
    if (s < 0 || user_bind(s, (struct sockaddr *)&at, sizeof at) < 0 ||
        (type == SOCK_STREAM && user_listen(s, 8) < 0))
        abort();
    return s;
}

/* ---- frames ---- */

static inline void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static inline uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static inline void put_ether(struct guest *g, unsigned type)
{
    static const uint8_t addresses[12] = {
        0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56
    };
    memcpy(g->f, addresses, 12);
    put16(g->f + 12, type);
}

/* Finishes the frame: @payload bytes of @protocol at f + 34, to @dst; with its checksum at @sum of
 * the payload (0: none). */
static inline void put_ipv4(struct guest *g, unsigned protocol, uint32_t dst, size_t payload,
                            size_t sum)
{
    uint8_t *ip = g->f + 14, pseudo[12];
    put_ether(g, 0x800);
    memset(ip, 0, 20);
    ip[0] = 0x45;
    put16(ip + 2, (unsigned)(20 + payload));
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    put32(ip + 12, GUEST_IP);
    put32(ip + 16, dst);
    put16(ip + 10, net_checksum(ip, 20));
    g->len = 34 + payload;
    if (!sum)
        return;
    memcpy(pseudo, ip + 12, 8);
    put16(pseudo + 8, protocol);
    put16(pseudo + 10, (unsigned)payload);
    put16(ip + 20 + sum, 0);
    uint32_t total =
        (uint32_t)(uint16_t)~net_checksum(pseudo, 12) + (uint16_t)~net_checksum(ip + 20, payload);
    put16(ip + 20 + sum, (uint16_t) ~((total & 0xffff) + (total >> 16)));
}

static inline void put_tcp(struct guest *g, unsigned sport, unsigned dport, uint32_t dst,
                           unsigned flags, uint32_t seq, uint32_t ack, unsigned window,
                           const void *data, size_t len)
{
    uint8_t *t = g->f + 34;
    memset(t, 0, 20);
    put16(t, sport);
    put16(t + 2, dport);
    put32(t + 4, seq);
    put32(t + 8, ack);
    t[12] = 0x50;
    t[13] = (uint8_t)flags;
    put16(t + 14, window);
    if (len)
        memcpy(t + 20, data, len);
    put_ipv4(g, 6, dst, 20 + len, 16);
}

static inline void put_udp(struct guest *g, unsigned sport, unsigned dport, uint32_t dst,
                           const void *data, size_t len)
{
    uint8_t *u = g->f + 34;
    put16(u, sport);
    put16(u + 2, dport);
    put16(u + 4, (unsigned)(8 + len));
    put16(u + 6, 0);
    if (len)
        memcpy(u + 8, data, len);
    put_ipv4(g, 17, dst, 8 + len, 6);
}

static inline void put_ping(struct guest *g, uint32_t dst, size_t len)
{
    uint8_t *p = g->f + 34;
    memset(p, 0, 8 + len);
    p[0] = 8;
    put16(p + 2, net_checksum(p, 8 + len));
    put_ipv4(g, 1, dst, 8 + len, 0);
}

static inline void put_arp(struct guest *g, uint32_t target)
{
    static const uint8_t start[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
    put_ether(g, 0x806);
    memcpy(g->f + 14, start, 8);
    memcpy(g->f + 22, g->f + 6, 6);
    put32(g->f + 28, GUEST_IP);
    memset(g->f + 32, 0, 6);
    put32(g->f + 38, target);
    g->len = 42;
}

/* Hands the frame to the stack; false: it takes none now. */
static inline bool guest_put(struct guest *g)
{
    return user_stack_input(g->stack, g->f, g->len, false);
}

#endif
