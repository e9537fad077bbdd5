/*
 * One TCP connection of the guest of user_guest.h, by hand: start() sends a SYN, send_segment()
 * what comes after; c has what was heard of it.
 */
#ifndef SLIPWAY_USER_TCP_H
#define SLIPWAY_USER_TCP_H

#include "user_guest.h"

static struct guest *g;

/* The guest's end of one connection. */
static struct {
    unsigned sport, dport;
    uint32_t dst, seq, ack, window, peer_window;
    unsigned flags;       /* of all segments heard */
    size_t got;           /* bytes */
    uint32_t sum;         /* of them */
    unsigned unreachable; /* 1 + code of the last ICMP "unreachable"; 0: none came */
} c;

static void send_segment(unsigned flags, const void *data, size_t len)
{
    put_tcp(g, c.sport, c.dport, c.dst, flags, c.seq, c.ack, c.window, data, len);
    c.seq += (uint32_t)len + ((flags & (SYN | FIN)) != 0);
}

static void heard(struct guest *guest, const uint8_t *f, size_t len)
{
    const uint8_t *t = f + 34;
    if (get16(f + 12) == 0x800 && f[23] == 1 && t[0] == 3)
        c.unreachable = 1u + t[1];
    if (get16(f + 12) != 0x800 || f[23] != 6 || get16(t + 2) != c.sport)
        return;
    size_t at = 34 + (t[12] >> 4) * 4u, end = 14 + get16(f + 16);
    unsigned flags = t[13];
    c.flags |= flags;
    c.peer_window = get16(t + 14);
    if (flags & SYN)
        c.ack = get32(t + 4) + 1;
    if (end > at && get32(t + 4) == c.ack) {
        for (size_t i = at; i < end; i++)
            c.sum += f[i] * (uint32_t)++c.got;
        c.ack += (uint32_t)(end - at);
    }
    if (flags & FIN)
        c.ack++;
}

static void start(unsigned dport, uint32_t dst)
{
    static unsigned sport = 2000;
    memset(&c, 0, sizeof c);
    c.sport = ++sport;
    c.dport = dport;
    c.dst = dst;
    c.seq = 5000;
    c.window = 65535;
    g->heard = heard;
    put_arp(g, HOST_IP);
    guest_put(g);
    send_segment(SYN, NULL, 0);
    guest_put(g);
    guest_run(g);
}

#endif
