/*
 * The user-mode network on the in-process transport: connections that come late, are refused or
 * have no route; back-pressure in both directions with bounded memory; large segments without
 * checksums; the transport's own manners.
 */
#include "user_tcp.h"

#include "test.h"

static int accept_one(int server)
{
    int s = user_accept(server, NULL, NULL);
    return s;
}

static void connections_are_made_refused_and_unreachable(void)
{
    g = guest_new(NULL);
    int server = guest_socket(g, SOCK_STREAM, 80);
    start(80, HOST_IP);
    CHECK_EQ(c.flags, SYN | ACK);
    CHECK(accept_one(server) >= 0);
    start(81, HOST_IP);
    CHECK(c.flags & RST);
    start(80, 0xcb007109); /* 203.0.113.9 */
    CHECK_EQ(c.flags, 0);
    CHECK_EQ(c.unreachable, 1 + 1);
    guest_free(g);
}

/* A new guest with a connection to port 80 of the host: the server's end. */
static int connected_guest(void)
{
    g = guest_new(NULL);
    int server = guest_socket(g, SOCK_STREAM, 80);
    start(80, HOST_IP);
    int s = accept_one(server);
    send_segment(ACK, NULL, 0);
    guest_put(g);
    return s;
}

static void data_and_ends_go_both_ways(void)
{
    char buf[100];
    int s = connected_guest();
    send_segment(PSH | ACK, "hello", 5);
    guest_put(g);
    CHECK_EQ(user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL), 5);
    CHECK(!memcmp(buf, "hello", 5));
    send_segment(FIN | ACK, NULL, 0);
    guest_put(g);
    guest_run(g);
    CHECK_EQ(user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL), 0);
    CHECK(!(c.flags & FIN));
    CHECK_EQ(user_sendto(s, "late", 4, 0, NULL, 0), 4);
    guest_run(g);
    CHECK_EQ(c.got, 4);
    CHECK_EQ(user_close(s), 0);
    guest_run(g);
    CHECK(c.flags & FIN);
    guest_free(g);
}

/* A server that sends without end to a guest that takes nothing: the stack's memory stays small,
 * and when the guest takes frames again, all bytes arrive. */
static void output_waits_for_a_guest_that_is_full(void)
{
    static uint8_t blob[1 << 20];
    int s = connected_guest();
    g->deaf = true;
    size_t sent = 0, frames = g->frames;
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof blob; i++)
        sum += (blob[i] = (uint8_t)(i * 7 + i / 251)) * (uint32_t)(i + 1);
    for (int i = 0; i < 50; i++) {
        ssize_t n = user_sendto(s, blob + sent, sizeof blob - sent, 0, NULL, 0);
        sent += n > 0 ? (size_t)n : 0;
        guest_run(g);
    }
    CHECK(sent < 400000);
    CHECK_EQ(g->frames, frames);
    g->deaf = false;
    user_stack_writable(g->stack);
    for (int i = 0; i < 4000 && c.got < sizeof blob; i++) {
        ssize_t n = user_sendto(s, blob + sent, sizeof blob - sent, 0, NULL, 0);
        sent += n > 0 ? (size_t)n : 0;
        send_segment(ACK, NULL, 0);
        guest_put(g);
        guest_run(g);
    }
    CHECK_EQ(c.got, sizeof blob);
    CHECK_EQ(c.sum, sum);
    guest_free(g);
}

/* A server that doesn't read closes the guest's window; reading opens it. */
static void window_closes_while_the_server_does_not_read(void)
{
    static uint8_t data[1460], buf[65536];
    int s = connected_guest();
    size_t sent = 0;
    for (int i = 0; i < 1000 && c.peer_window >= sizeof data; i++) {
        send_segment(PSH | ACK, data, sizeof data);
        guest_put(g);
        guest_run(g); /* or the acknowledgement waits for the next one */
        sent += sizeof data;
    }
    CHECK(c.peer_window < sizeof data);
    CHECK(sent < 300000);
    size_t got = 0;
    for (int i = 0; i < 50; i++) {
        ssize_t n = user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL);
        got += n > 0 ? (size_t)n : 0;
        guest_run(g);
    }
    CHECK_EQ(got, sent);
    CHECK(c.peer_window >= 32768);
    guest_free(g);
}

static unsigned acks;
static uint32_t acked;

static void heard_ack(struct guest *guest, const uint8_t *f, size_t len)
{
    if (get16(f + 12) == 0x800 && f[23] == 6 && get16(f + 16) == 40) {
        acks++;
        acked = get32(f + 34 + 8);
    }
    heard(guest, f, len);
}

/* One acknowledgement for all that came at once; not for what may be a loss; none waits long. */
static void acknowledgements_are_collected(void)
{
    static uint8_t data[1000], buf[65536];
    int s = connected_guest();
    g->heard = heard_ack;
    acks = 0;
    for (int i = 0; i < 20; i++) {
        send_segment(PSH | ACK, data, sizeof data);
        guest_put(g);
    }
    CHECK_EQ(acks, 0);
    guest_run(g);
    CHECK_EQ(acks, 1);
    CHECK_EQ(acked, c.seq);
    CHECK_EQ(user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL), 20 * sizeof data);
    /* A quarter of the window is enough. */
    for (int i = 0; i < 34; i++) {
        send_segment(PSH | ACK, data, sizeof data);
        guest_put(g);
    }
    CHECK_EQ(acks, 2);
    guest_run(g);
    CHECK_EQ(acks, 2);
    CHECK_EQ(acked, c.seq);
    user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL);
    guest_run(g);
    /* Three segments behind a gap: three of the same, in order. */
    acks = 0;
    c.seq += 10;
    for (int i = 0; i < 3; i++) {
        send_segment(PSH | ACK, data, sizeof data);
        guest_put(g);
    }
    guest_run(g);
    CHECK_EQ(acks, 3);
    CHECK(acked != c.seq);
    /* An answer takes the acknowledgement along, in front of it. */
    c.seq -= 3 * sizeof data + 10;
    send_segment(PSH | ACK, data, 10);
    guest_put(g);
    CHECK(acks >= 3);
    put_arp(g, HOST_IP);
    guest_put(g);
    CHECK_EQ(acked, c.seq + 3 * sizeof data);
    guest_free(g);
}

/* Sends a segment and lets the loop come round once; returns how many acknowledgements came. */
static unsigned acks_of_a_segment(void)
{
    static uint8_t data[500];
    unsigned before = acks;
    send_segment(PSH | ACK, data, sizeof data);
    guest_put(g);
    host_loop_once(0);
    return acks - before;
}

/* A guest that runs on may send more; when it stops at HLT, it waits. One that waits in a loop for
 * each acknowledgement pays for that once. */
static void acknowledgements_follow_what_the_guest_does(void)
{
    static uint8_t buf[65536];
    int s = connected_guest();
    guest_run(g);
    g->heard = heard_ack;
    acks = 0;
    g->m.cpus[0]->halted = false;
    CHECK_EQ(acks_of_a_segment(), 0);
    host_loop_once(0);
    CHECK_EQ(acks, 0);
    g->m.cpus[0]->halted = true;
    host_loop_once(0);
    CHECK_EQ(acks, 1);
    CHECK_EQ(acked, c.seq);
    /* Stopped: it won't send more. */
    g->m.cpus[0]->halted = false;
    g->m.state = RUN_STATE_PAUSED;
    CHECK_EQ(acks_of_a_segment(), 1);
    g->m.state = RUN_STATE_RUNNING;
    /* Two milliseconds in a loop, for the first one. */
    CHECK_EQ(acks_of_a_segment(), 0);
    g->m.clock.offset_ns += NS_PER_SEC / 400;
    clock_run_timers(&g->m.clock);
    CHECK_EQ(acks, 3);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(acks_of_a_segment(), 1);
    CHECK_EQ(acks_of_a_segment(), 0);
    /* One that goes on sending has something of its time. */
    CHECK_EQ(acks_of_a_segment(), 0);
    g->m.clock.offset_ns += NS_PER_SEC / 400;
    clock_run_timers(&g->m.clock);
    CHECK_EQ(acked, c.seq);
    CHECK_EQ(acks_of_a_segment(), 0);
    user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL);
    guest_free(g);
}

/* Answers to a guest that takes none are bounded: then its frames aren't taken either. */
static void flood_of_pings_is_held_back(void)
{
    g = guest_new(NULL);
    put_arp(g, HOST_IP);
    CHECK(guest_put(g));
    g->deaf = true;
    size_t taken = 0;
    put_ping(g, HOST_IP, 56);
    while (taken < 100000 && guest_put(g))
        taken++;
    CHECK(taken > 100);
    CHECK(taken < 5000);
    size_t before = g->frames;
    g->deaf = false;
    user_stack_writable(g->stack);
    guest_run(g);
    CHECK_EQ(g->frames - before, taken);
    CHECK(guest_put(g));
    guest_free(g);
}

/* First fragments without end: they are dropped beyond a bound, and time makes room. */
static void fragments_are_bounded(void)
{
    g = guest_new(NULL);
    put_arp(g, HOST_IP);
    guest_put(g);
    for (unsigned i = 0; i < 40000; i++) {
        put_ping(g, HOST_IP, 56);
        put16(g->f + 18, i);
        put16(g->f + 20, 0x2000 | (i >> 16));
        put16(g->f + 24, 0);
        put32(g->f + 26, GUEST_IP + (i & 1 ? 0x100u * (i >> 8) : 0));
        put16(g->f + 24, net_checksum(g->f + 14, 20));
        guest_put(g);
    }
    CHECK(user_stack_dropped(g->stack) > 10000);
    for (int i = 0; i < 130; i++)
        guest_sleep(g, 500000000);
    uint64_t dropped = user_stack_dropped(g->stack);
    put_ping(g, HOST_IP, 56);
    CHECK(guest_put(g));
    CHECK_EQ(user_stack_dropped(g->stack), dropped);
    guest_free(g);
}

/* 60 KB of TCP in one frame whose checksum is left to us, as NICs with offloading send it. */
static void large_segments_without_checksum(void)
{
    static uint8_t data[60000], buf[65536];
    int s = connected_guest();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 13);
    send_segment(PSH | ACK, data, sizeof data);
    put16(g->f + 34 + 16, 0x1234);
    CHECK(guest_put(g)); /* checked: thrown away */
    CHECK_EQ(user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL), -1);
    CHECK(user_stack_input(g->stack, g->f, g->len, true));
    CHECK_EQ(user_recvfrom(s, buf, sizeof buf, 0, NULL, NULL), sizeof data);
    CHECK(!memcmp(buf, data, sizeof data));
    guest_free(g);
}

static size_t large, wrong;

static void heard_large(struct guest *guest, const uint8_t *f, size_t len)
{
    if (guest->gso_size) {
        uint8_t pseudo[12];
        memcpy(pseudo, f + 26, 8);
        put16(pseudo + 8, 6);
        put16(pseudo + 10, (unsigned)len - 34);
        wrong += get16(f + 34 + 16) != (uint16_t)~net_checksum(pseudo, 12);
        wrong += guest->gso_size > 1460 || len > 54 + 16060 || get16(f + 16) != len - 14;
        wrong += net_checksum(f + 14, 20) != 0;
        large++;
    } else {
        wrong += len > 1514;
    }
    heard(guest, f, len);
}

/* To a card that takes them, segments of up to 16 KB; the same bytes, and every one of them. */
static void large_segments_to_the_guest(void)
{
    static uint8_t blob[1 << 20];
    for (int cuts = 0; cuts < 2; cuts++) {
        size_t sent = 0;
        uint32_t sum = 0;
        for (size_t i = 0; i < sizeof blob; i++)
            sum += (blob[i] = (uint8_t)(i * 5 + i / 253)) * (uint32_t)(i + 1);
        g = guest_new(NULL);
        g->cuts = cuts;
        int server = guest_socket(g, SOCK_STREAM, 80);
        start(80, HOST_IP);
        g->heard = heard_large;
        large = wrong = 0;
        int s = accept_one(server);
        send_segment(ACK, NULL, 0);
        guest_put(g);
        size_t before = g->frames;
        for (int i = 0; i < 4000 && c.got < sizeof blob; i++) {
            size_t left = sizeof blob - sent;
            ssize_t n = user_sendto(s, blob + sent, left < 30011 ? left : 30011, 0, NULL, 0);
            sent += n > 0 ? (size_t)n : 0;
            send_segment(ACK, NULL, 0);
            guest_put(g);
            guest_run(g);
        }
        CHECK_EQ(c.got, sizeof blob);
        CHECK_EQ(c.sum, sum);
        CHECK_EQ(wrong, 0);
        CHECK((g->frames - before < 400) == cuts);
        CHECK((large > 50) == cuts);
        guest_free(g);
    }
}

static size_t replies;
static char reply[100];

static void heard_udp(struct guest *guest, const uint8_t *f, size_t len)
{
    if (get16(f + 12) != 0x800 || f[23] != 17)
        return;
    replies++;
    snprintf(reply, sizeof reply, "%.*s", (int)(get16(f + 38) - 8), (const char *)f + 42);
}

static void names_are_asked_of_the_transports_server(void)
{
    char buf[100];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    g = guest_new(NULL);
    g->heard = heard_udp;
    int s = guest_socket(g, SOCK_DGRAM, 53);
    put_arp(g, HOST_IP);
    guest_put(g);
    put_udp(g, 3000, 53, 0x0a000203, "question", 8);
    CHECK(guest_put(g));
    CHECK_EQ(user_recvfrom(s, buf, sizeof buf, 0, (struct sockaddr *)&from, &len), 8);
    CHECK_EQ(user_sendto(s, "answer", 6, 0, (struct sockaddr *)&from, len), 6);
    guest_run(g);
    CHECK_EQ(replies, 1);
    CHECK_STR(reply, "answer");
    guest_free(g);
}

/* No route for datagrams, more sockets than a guest may have, errors of bad calls. */
static void transport_bounds(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(9),
                              .sin_addr.s_addr = htonl(0xcb007101) };
    g = guest_new(NULL);
    int s = guest_socket(g, SOCK_DGRAM, 1000);
    CHECK_EQ(user_sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof to), -1);
    CHECK_EQ(errno, EHOSTUNREACH);
    CHECK_EQ(user_close(s), 0);
    CHECK_EQ(user_listen(s, 1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(user_socket(AF_INET, SOCK_STREAM, 0), -1); /* outside of any stack */
    CHECK_EQ(errno, ENETDOWN);
    struct user_transport *before = user_enter(g->transport);
    int last = 0, n = 0;
    while ((last = user_socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && n < 100000)
        n++;
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(n, USER_MAX_CHANNELS);
    CHECK_EQ(user_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), -1);
    user_leave(before);
    put_arp(g, HOST_IP);
    guest_put(g);
    start(80, HOST_IP);
    CHECK(!(c.flags & SYN)); /* and the guest just gets nothing */
    guest_free(g);
}

/* An idle network has no timer, one with a connection has. */
static void idle_network_costs_nothing(void)
{
    g = guest_new(NULL);
    int server = guest_socket(g, SOCK_STREAM, 80);
    put_arp(g, HOST_IP);
    guest_put(g);
    guest_run(g);
    int64_t advertisement = clock_deadline_ns(&g->m.clock);
    CHECK(advertisement - clock_now_ns(&g->m.clock) > NS_PER_SEC);
    start(80, HOST_IP);
    CHECK(accept_one(server) >= 0);
    CHECK(clock_deadline_ns(&g->m.clock) - clock_now_ns(&g->m.clock) < NS_PER_SEC);
    guest_free(g);
}

int main(void)
{
    RUN(connections_are_made_refused_and_unreachable);
    RUN(data_and_ends_go_both_ways);
    RUN(output_waits_for_a_guest_that_is_full);
    RUN(window_closes_while_the_server_does_not_read);
    RUN(acknowledgements_are_collected);
    RUN(acknowledgements_follow_what_the_guest_does);
    RUN(flood_of_pings_is_held_back);
    RUN(fragments_are_bounded);
    RUN(large_segments_without_checksum);
    RUN(large_segments_to_the_guest);
    RUN(names_are_asked_of_the_transports_server);
    RUN(transport_bounds);
    RUN(idle_network_costs_nothing);
    return test_done();
}
