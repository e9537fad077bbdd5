/*
 * Clients, delivery and queues: order, bounds, back-pressure, re-entrance, link, a stopped machine.
 */
#include "devtest.h"
#include "net/net_impl.h"
#include "net_peer.h"

static struct net_peer *a, *b;

static void setup(void)
{
    board_new();
    a = net_peer_new(m, "a");
    b = net_peer_new(m, "b");
    net_connect(&a->nc, &b->nc);
}

static void frames_go_straight_through(void)
{
    setup();
    for (uint32_t i = 0; i < 10; i++)
        CHECK(net_peer_send_number(a, i, 60 + i));
    CHECK_EQ(b->count, 10);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK_EQ(net_peer_number(b, i), i);
        CHECK_EQ(b->frames[i].len, 60 + i);
    }
    CHECK_EQ(b->nc.stats.frames, 10);
    CHECK_EQ(b->nc.stats.bytes, 645);
    CHECK_EQ(b->nc.stats.waited, 0);
    CHECK_EQ(a->count, 0);
    board_free();
}

/* A full receiver holds the sender back after its queue is full; all arrives, in order. */
static void sender_is_held_back_and_woken(void)
{
    setup();
    b->room = 0;
    uint32_t sent = 0;
    while (net_peer_send_number(a, sent, 64))
        sent++;
    CHECK_EQ(sent, NET_QUEUE_FRAMES);
    CHECK(!net_can_send(&a->nc, 64));
    CHECK_EQ(net_queue_length(&b->nc), NET_QUEUE_FRAMES);
    net_accept(&b->nc);
    CHECK_EQ(a->writable, 0);
    b->room = 10;
    net_accept(&b->nc);
    CHECK_EQ(b->count, 10);
    CHECK_EQ(a->writable, 1);
    CHECK(net_peer_send_number(a, sent++, 64));
    b->room = SIZE_MAX;
    net_accept(&b->nc);
    settle();
    CHECK_EQ(b->count, sent);
    for (uint32_t i = 0; i < sent; i++)
        CHECK_EQ(net_peer_number(b, i), i);
    CHECK_EQ(b->nc.stats.dropped, 0);
    board_free();
}

static void queue_is_bounded_in_bytes(void)
{
    setup();
    b->room = 0;
    uint32_t sent = 0;
    while (net_peer_send_number(a, sent, 60000))
        sent++;
    CHECK_EQ(sent, NET_QUEUE_BYTES / 60000);
    board_free();
}

static void send_more(struct net_peer *p)
{
    uint32_t *next = p->opaque;
    while (*next < 20000 && net_peer_send_number(p, *next, 100))
        ++*next;
}

/* A sender that goes on from writable(), a receiver with room for a few frames at a time. */
static void nothing_is_lost_in_small_steps(void)
{
    setup();
    uint32_t next = 0;
    a->opaque = &next;
    a->on_writable = send_more;
    b->room = 0;
    send_more(a);
    for (int i = 0; i < 20000 && b->count < 20000; i++) {
        b->room = 1 + rnd() % 40;
        net_accept(&b->nc);
        settle();
    }
    CHECK_EQ(b->count, 20000);
    for (uint32_t i = 0; i < NET_PEER_KEEP; i++)
        CHECK_EQ(net_peer_number(b, i), i);
    CHECK_EQ(b->nc.stats.frames, 20000);
    CHECK_EQ(net_queue_length(&b->nc), 0);
    board_free();
}

static void answer(struct net_peer *p, const struct net_frame *f)
{
    uint32_t n;
    memcpy(&n, f->data + 14, 4);
    if (n < 1000)
        net_peer_send_number(p, n + 1, 60);
}

/* Both answer from within receive(): neither is entered twice, nothing is lost. */
static void receive_is_not_reentered(void)
{
    setup();
    a->on_receive = b->on_receive = answer;
    net_peer_send_number(a, 0, 60);
    settle();
    CHECK(!a->nested && !b->nested);
    CHECK_EQ(a->count + b->count, 1001);
    board_free();
}

static void answer_always(struct net_peer *p, const struct net_frame *f)
{
    net_send(&p->nc, f);
}

/* Two that answer each other for ever leave the machine time for other things. */
static void a_storm_does_not_hang(void)
{
    setup();
    a->on_receive = b->on_receive = answer_always;
    net_peer_send_number(a, 0, 60);
    size_t before = b->count;
    machine_run_slice(m, 0);
    machine_run_slice(m, 0);
    CHECK(b->count > before);
    CHECK(m->deferred != NULL);
    board_free();
}

static void refuse_then_accept(struct net_peer *p, const struct net_frame *f)
{
    p->room = SIZE_MAX;
}

/* Room that appears inside receive() (net_accept called from there) is noticed. */
static bool stubborn_receive(struct net_client *nc, const struct net_frame *f)
{
    struct net_peer *p = (struct net_peer *)nc;
    if (!p->room) {
        refuse_then_accept(p, f);
        net_accept(nc);
        return false;
    }
    return net_peer_receive(nc, f);
}

static void accept_inside_receive(void)
{
    setup();
    static struct net_client_ops ops;
    ops = *b->nc.ops;
    ops.receive = stubborn_receive;
    b->nc.ops = &ops;
    b->room = 0;
    CHECK(net_peer_send_number(a, 7, 60));
    CHECK_EQ(b->count, 1);
    CHECK_EQ(net_peer_number(b, 0), 7);
    board_free();
}

static void send_two_then_refuse(struct net_peer *p, const struct net_frame *f)
{
    if (p->count == 1) { /* the frame being received is number 0 */
        net_peer_send_number(a, 1, 60);
        net_peer_send_number(a, 2, 60);
    }
}

static void order_holds_across_reentrance(void)
{
    setup();
    b->on_receive = send_two_then_refuse;
    net_peer_send_number(a, 0, 60);
    CHECK_EQ(b->count, 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(net_peer_number(b, i), i);
    CHECK(!b->nested);
    board_free();
}

static void link_down_drops_and_counts(void)
{
    setup();
    CHECK(net_link_up(&a->nc));
    size_t changes = a->link_changes;
    b->room = 0;
    net_peer_send_number(a, 0, 60);
    net_set_link(&b->nc, false);
    CHECK_EQ(b->nc.stats.dropped, 1);
    CHECK(!net_link_up(&a->nc) && !net_link_up(&b->nc));
    CHECK_EQ(a->link_changes, changes + 1);
    net_set_link(&b->nc, false);
    CHECK_EQ(a->link_changes, changes + 1);
    b->room = SIZE_MAX;
    CHECK(net_peer_send_number(a, 1, 60));
    CHECK(net_peer_send_number(b, 1, 60));
    CHECK_EQ(a->count + b->count, 0);
    CHECK_EQ(b->nc.stats.dropped, 2);
    CHECK_EQ(a->nc.stats.dropped, 1);
    net_set_link(&b->nc, true);
    CHECK(net_peer_send_number(a, 2, 60));
    CHECK_EQ(net_peer_number(b, 0), 2);
    board_free();
}

static void a_blocked_sender_hears_of_every_way_out(void)
{
    setup();
    b->room = 0;
    while (net_peer_send_number(a, 0, 60))
        ;
    net_set_link(&b->nc, false);
    CHECK_EQ(a->writable, 1);
    net_set_link(&b->nc, true);
    while (net_peer_send_number(a, 0, 60))
        ;
    net_purge(&b->nc);
    CHECK_EQ(a->writable, 2);
    while (net_peer_send_number(a, 0, 60))
        ;
    net_client_free(&b->nc);
    CHECK_EQ(a->writable, 3);
    CHECK(a->nc.peer == NULL);
    CHECK(net_peer_send_number(a, 0, 60));
    CHECK_EQ(a->nc.stats.unsent, 1);
    board_free();
}

static void no_frame_at_all_is_thrown_away(void)
{
    setup();
    static uint8_t large[NET_FRAME_MAX + 1];
    CHECK(net_peer_send(a, large, 0));
    CHECK(net_peer_send(a, large, sizeof large));
    CHECK_EQ(b->count, 0);
    CHECK_EQ(a->nc.stats.unsent, 2);
    CHECK(net_peer_send(a, large, NET_FRAME_MAX));
    CHECK_EQ(b->count, 1);
    board_free();
}

/* Frames for NICs wait while the machine is stopped. */
static void a_stopped_machine_takes_no_frames(void)
{
    board_new();
    m->state = RUN_STATE_RUNNING;
    a = net_peer_new(m, "a");
    b = net_peer_new_nic(m, "b");
    net_connect(&a->nc, &b->nc);
    machine_stop(m);
    net_peer_send_number(a, 1, 60);
    CHECK_EQ(b->count, 0);
    machine_start(m);
    CHECK_EQ(b->count, 1);
    machine_stop(m);
    board_free();
}

static void names_and_lookup(void)
{
    board_new();
    a = net_peer_new(m, NULL);
    b = net_peer_new(m, NULL);
    CHECK_STR(a->nc.name, "test.0");
    CHECK_STR(b->nc.name, "test.1");
    CHECK(net_find(m, "test.1") == &b->nc);
    CHECK(net_find(m, "test.2") == NULL);
    board_free();
}

static void checksums(void)
{
    /* The check values of CRC-32 and CRC-32/BZIP2-like (bits in Ethernet's order). */
    CHECK_EQ(~net_crc32_le((const uint8_t *)"123456789", 9), 0xcbf43926);
    /* IPv6 all-nodes 33:33:00:00:00:01: the two forms are each other's mirror image. */
    const uint8_t mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
    uint32_t be = net_crc32_be(mac, 6), le = net_crc32_le(mac, 6), mirror = 0;
    for (int i = 0; i < 32; i++)
        mirror |= ((le >> i) & 1) << (31 - i);
    CHECK_EQ(be, mirror);
    /* RFC 1071's example. */
    CHECK_EQ(net_checksum("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8), 0x220d);
}

int main(void)
{
    RUN(frames_go_straight_through);
    RUN(sender_is_held_back_and_woken);
    RUN(queue_is_bounded_in_bytes);
    RUN(nothing_is_lost_in_small_steps);
    RUN(receive_is_not_reentered);
    RUN(a_storm_does_not_hang);
    RUN(accept_inside_receive);
    RUN(order_holds_across_reentrance);
    RUN(link_down_drops_and_counts);
    RUN(a_blocked_sender_hears_of_every_way_out);
    RUN(no_frame_at_all_is_thrown_away);
    RUN(a_stopped_machine_takes_no_frames);
    RUN(names_and_lookup);
    RUN(checksums);
    return test_done();
}
