/*
 * Hubs: everybody hears everybody else, in one order; back-pressure; a stuck port; storms; ports
 * that come and go; the options that make them; what info network shows. And 500,000 frames a
 * second through one.
 */
#include <time.h>

#include "devtest.h"
#include "host/work.h"
#include "net/hub.h"
#include "net/net_impl.h"
#include "net_peer.h"

#define PORTS 4

static struct net_peer *p[PORTS];
static struct net_client *port[PORTS];

static void setup(unsigned ports)
{
    char name[16];
    board_new();
    for (unsigned i = 0; i < ports; i++) {
        snprintf(name, sizeof name, "p%u", i);
        p[i] = net_peer_new(m, name);
        port[i] = hub_add_port(m, 0, NULL);
        net_connect(port[i], &p[i]->nc);
    }
}

static void all_others_hear_it(void)
{
    setup(PORTS);
    CHECK(net_peer_send_number(p[1], 42, 64));
    for (int i = 0; i < PORTS; i++)
        CHECK_EQ(p[i]->count, i != 1);
    CHECK_EQ(net_peer_number(p[3], 0), 42);
    net_client_free(&p[3]->nc);
    CHECK(net_peer_send_number(p[1], 43, 64));
    CHECK_EQ(p[0]->count, 2);
    board_free();
}

static void answer_once(struct net_peer *peer, const struct net_frame *f)
{
    uint32_t n;
    memcpy(&n, f->data + 14, 4);
    if (n < 100)
        net_peer_send_number(peer, n + 100, 60);
}

/* An answer from within receive() comes after the question at every port. */
static void one_order_at_all_ports(void)
{
    setup(PORTS);
    p[2]->on_receive = answer_once;
    for (uint32_t i = 0; i < 20; i++)
        net_peer_send_number(p[0], i, 60);
    settle();
    CHECK_EQ(p[0]->count, 20);
    CHECK_EQ(p[1]->count, 40);
    CHECK_EQ(p[3]->count, 40);
    for (uint32_t i = 0; i < 40; i++)
        CHECK_EQ(net_peer_number(p[1], i), net_peer_number(p[3], i));
    for (uint32_t i = 0; i < 20; i++) {
        unsigned question = 0, reply = 0;
        for (unsigned k = 0; k < 40; k++) {
            if (net_peer_number(p[1], k) == i)
                question = k;
            if (net_peer_number(p[1], k) == i + 100)
                reply = k;
        }
        CHECK(question < reply);
    }
    CHECK(!p[0]->nested && !p[1]->nested && !p[2]->nested);
    board_free();
}

static void send_more(struct net_peer *peer)
{
    uint32_t *next = peer->opaque;
    while (*next < 10000 && net_peer_send_number(peer, *next, 200))
        ++*next;
}

/* The slowest decides as long as it moves, and nothing is lost. */
static void a_slow_port_holds_the_sender_back(void)
{
    uint32_t next = 0;
    setup(3);
    p[0]->opaque = &next;
    p[0]->on_writable = send_more;
    p[2]->room = 0;
    send_more(p[0]);
    CHECK(next < 10000);
    for (int i = 0; i < 10000 && p[2]->count < 10000; i++) {
        p[2]->room = 1 + rnd() % 100;
        net_accept(&p[2]->nc);
        settle();
    }
    CHECK_EQ(p[1]->count, 10000);
    CHECK_EQ(p[2]->count, 10000);
    CHECK_EQ(p[1]->nc.stats.dropped + p[2]->nc.stats.dropped, 0);
    board_free();
}

/* Real time passes: the hub gives up on a port after a while. */
static void wait_ms(int ms)
{
    for (int i = 0; i < ms; i += 10) {
        usleep(10000);
        host_run_periodics();
        settle();
    }
}

static void a_stuck_port_is_left_out(void)
{
    uint32_t next = 0;
    setup(3);
    p[0]->opaque = &next;
    p[0]->on_writable = send_more;
    p[2]->room = 0;
    send_more(p[0]);
    wait_ms(500);
    CHECK_EQ(next, 10000);
    CHECK_EQ(p[1]->count, 10000);
    CHECK_EQ(p[1]->nc.stats.dropped, 0);
    CHECK_EQ(p[2]->nc.stats.dropped, 10000 - NET_QUEUE_FRAMES);
    p[2]->room = SIZE_MAX;
    net_accept(&p[2]->nc);
    settle();
    CHECK_EQ(p[2]->count, NET_QUEUE_FRAMES);
    net_peer_send_number(p[0], 1, 60);
    CHECK_EQ(p[2]->count, NET_QUEUE_FRAMES + 1);
    board_free();
}

/* With nobody else to serve there is no reason to drop. */
static void a_hub_of_two_waits(void)
{
    uint32_t next = 0;
    setup(2);
    p[0]->opaque = &next;
    p[0]->on_writable = send_more;
    p[1]->room = 0;
    send_more(p[0]);
    wait_ms(400);
    p[1]->room = SIZE_MAX;
    net_accept(&p[1]->nc);
    settle();
    CHECK_EQ(p[1]->count, 10000);
    CHECK_EQ(p[1]->nc.stats.dropped, 0);
    board_free();
}

static void a_stuck_port_that_goes_frees_the_others(void)
{
    uint32_t next = 0;
    setup(3);
    p[0]->opaque = &next;
    p[0]->on_writable = send_more;
    p[2]->room = 0;
    send_more(p[0]);
    CHECK(next < 10000);
    net_client_free(&p[2]->nc);
    settle();
    CHECK_EQ(p[1]->count, 10000);
    board_free();
}

/* A loop of two hubs leaves the machine time for other things. */
static void a_loop_of_hubs_does_not_hang(void)
{
    setup(2);
    for (int i = 0; i < 2; i++)
        net_connect(hub_add_port(m, 0, NULL), hub_add_port(m, 1, NULL));
    net_peer_send_number(p[0], 1, 60);
    for (int i = 0; i < 20; i++)
        machine_run_slice(m, 0);
    CHECK(p[1]->count > 1);
    CHECK(m->deferred != NULL);
    board_free();
}

static void ports_come_and_go(void)
{
    setup(1);
    for (int i = 0; i < 2000; i++) {
        unsigned k = rnd() % PORTS;
        uint32_t hub = rnd() % 2;
        char name[16], arg[64];
        struct error err;
        snprintf(name, sizeof name, "h%u", k);
        snprintf(arg, sizeof arg, "hubport,id=%s,hubid=%u%s", name, hub,
                 rnd() % 3 ? "" : ",netdev=h0");
        if (net_find(m, name))
            CHECK(netdev_del(m, name, &err));
        else
            netdev_add(m, arg, &err);
        net_peer_send_number(p[0], 0, 60);
        if (rnd() % 4 == 0)
            machine_run_slice(m, 0); /* loops of hubs are among them: no settle() */
    }
    board_free();
}

static void info_network_is_qemus(void)
{
    struct text t = { 0 };
    struct error err;
    board_new();
    p[0] = net_peer_new(m, "a");
    p[1] = net_peer_new_nic(m, "b");
    net_connect(&p[0]->nc, &p[1]->nc);
    CHECK(netdev_add(m, "hubport,id=h,hubid=3", &err));
    CHECK(netdev_add(m, "hubport,id=i,hubid=4,netdev=h", &err));
    net_info(m, &t);
    /* Without the lines of counters. */
    char got[1024] = "";
    for (const char *line = t.s; *line;) {
        const char *end = strchr(line, '\n') + 1;
        if (strncmp(line, "   link=", 8))
            strncat(got, line, (size_t)(end - line));
        line = end;
    }
    CHECK_STR(got,
              "hub 4\n \\ i: h: index=0,type=hubport,\nhub 3\n \\ h: i: index=0,type=hubport,\n"
              "b: index=0,type=nic,model=test,macaddr=00:00:00:00:00:00\n"
              " \\ a: index=0,type=test,\n");
    text_free(&t);
    board_free();
}

/* 500,000 small frames/s at least, in CPU time, so that a busy machine doesn't matter. */
static void frames_per_second(void)
{
    static uint8_t frame[1514];
    setup(2);
    for (size_t size = 64; size <= sizeof frame; size += sizeof frame - 64) {
        clock_t begin = clock(), took;
        uint64_t n = 0;
        do {
            for (int i = 0; i < 1000; i++)
                net_peer_send(p[0], frame, size);
            n += 1000;
            took = clock() - begin;
            net_peer_clear(p[1]);
        } while (took < CLOCKS_PER_SEC / 10);
        double rate = (double)n * CLOCKS_PER_SEC / (double)took;
        printf("%zu bytes: %.0f frames/s between two ports\n", size, rate);
        CHECK(size > 64 || rate > 500000);
    }
    board_free();
}

int main(void)
{
    RUN(all_others_hear_it);
    RUN(one_order_at_all_ports);
    RUN(a_slow_port_holds_the_sender_back);
    RUN(a_stuck_port_is_left_out);
    RUN(a_hub_of_two_waits);
    RUN(a_stuck_port_that_goes_frees_the_others);
    RUN(a_loop_of_hubs_does_not_hang);
    RUN(ports_come_and_go);
    RUN(info_network_is_qemus);
    RUN(frames_per_second);
    return test_done();
}
