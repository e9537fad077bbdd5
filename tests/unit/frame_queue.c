/*
 * Frames in and out of links that have messages: cut anywhere, to a receiver that takes and refuses
 * as it likes; bounds; lengths that can't be one; an owner that gives up in the middle.
 */
#include "devtest.h"
#include "net/frame_queue.h"
#include "net/framing.h"
#include "net/net_impl.h"
#include "net_peer.h"

static struct net_peer *link_end, *guest;
static struct frame_inbox in;
static uint8_t stream[1 << 20];

static void pump(struct net_peer *p)
{
    (void)p;
    frame_inbox_pump(&in);
}

static void setup(void)
{
    board_new();
    link_end = net_peer_new(m, "link");
    guest = net_peer_new(m, "guest");
    net_connect(&link_end->nc, &guest->nc);
    link_end->on_writable = pump;
    in = (struct frame_inbox){ .nc = &link_end->nc };
}

static void teardown(void)
{
    frame_inbox_free(&in);
    board_free();
}

/* A frame of @len bytes that says @number, with its length. */
static size_t put_frame(uint8_t *to, size_t len, uint32_t number)
{
    frame_header(to, len);
    memset(to + FRAMING_HEADER, (int)number, len);
    memcpy(to + FRAMING_HEADER + 14, &number, 4);
    return FRAMING_HEADER + len;
}

static void more_room(size_t frames)
{
    guest->room = frames;
    net_accept(&guest->nc);
    settle();
}

/* All frames arrive, in order, however the stream is cut and whenever the guest has room. */
static void frames_cut_anywhere(void)
{
    for (int round = 0; round < 60; round++) {
        setup();
        size_t len = 0, at = 0;
        uint32_t count = 0, seen = 0;
        while (len < sizeof stream - NET_FRAME_MAX - FRAMING_HEADER && count < 3000)
            len += put_frame(stream + len, 18 + rnd() % (rnd() % 8 ? 300 : 20000), count++);
        guest->room = rnd() % 100;
        while (at < len) {
            size_t n = 1 + rnd() % (round % 2 ? 64 : 60000);
            n = n < len - at ? n : len - at;
            CHECK(frame_inbox_put(&in, stream + at, n, SIZE_MAX));
            at += n;
            if (rnd() % 4 == 0)
                more_room(rnd() % 300);
            for (size_t i = 0; i < guest->count; i++)
                CHECK_EQ(net_peer_number(guest, i), seen++);
            net_peer_clear(guest);
        }
        more_room(SIZE_MAX);
        for (size_t i = 0; i < guest->count; i++)
            CHECK_EQ(net_peer_number(guest, i), seen++);
        CHECK_EQ(seen, count);
        CHECK_EQ(in.taken, len);
        CHECK_EQ(frame_inbox_waiting(&in), 0);
        CHECK_EQ(guest->nc.stats.dropped, 0);
        teardown();
    }
}

/* Beyond the limit the frames that have waited longest are dropped, and counted. */
static void what_waits_is_bounded(void)
{
    setup();
    guest->room = 0;
    uint32_t count = 0;
    for (; count < 20000; count++) {
        size_t n = put_frame(stream, 1000, count);
        CHECK(frame_inbox_put(&in, stream, n, 100000));
        CHECK(frame_inbox_waiting(&in) <= 100000);
        CHECK(in.size < 1000000);
    }
    CHECK(guest->nc.stats.dropped > 10000);
    uint64_t dropped = guest->nc.stats.dropped;
    more_room(SIZE_MAX);
    CHECK_EQ(guest->count + dropped, count);
    CHECK_EQ(net_peer_number(guest, guest->count - 1), count - 1);
    teardown();
}

static void a_wrong_length_ends_it(void)
{
    for (int waiting = 0; waiting < 2; waiting++) {
        setup();
        guest->room = waiting ? 0 : SIZE_MAX;
        size_t n = 0;
        for (uint32_t i = 0; i < 2000; i++)
            n += put_frame(stream + n, 60, i);
        CHECK(frame_inbox_put(&in, stream, n, SIZE_MAX));
        n = put_frame(stream, 60, 2000);
        frame_header(stream + n, NET_FRAME_MAX + 1);
        CHECK(!frame_inbox_put(&in, stream, n + FRAMING_HEADER, SIZE_MAX));
        more_room(SIZE_MAX);
        CHECK_EQ(guest->count, 2001); /* those in front of it */
        teardown();
    }
    size_t n = put_frame(stream, 60, 0);
    CHECK_EQ(frames_whole(stream, n - 1), 0);
    CHECK_EQ(frames_whole(stream, n + 3), n);
    frame_header(stream + n, 0); /* no frame */
    CHECK_EQ(frames_whole(stream, n + FRAMING_HEADER), n);
    frame_header(stream + n, UINT32_MAX);
    CHECK_EQ(frames_whole(stream, sizeof stream), n);
}

static void give_up(struct net_peer *p, const struct net_frame *f)
{
    (void)f;
    if (p->count == 3)
        frame_inbox_reset(&in);
}

static void an_owner_gives_up_in_the_middle(void)
{
    for (int waiting = 0; waiting < 2; waiting++) {
        setup();
        size_t n = 0;
        for (uint32_t i = 0; i < 2000; i++)
            n += put_frame(stream + n, 60, i);
        guest->on_receive = give_up;
        guest->room = waiting ? 0 : SIZE_MAX;
        CHECK(frame_inbox_put(&in, stream, n, SIZE_MAX));
        more_room(SIZE_MAX);
        CHECK_EQ(frame_inbox_waiting(&in), 0);
        CHECK_EQ(in.taken, 0);
        size_t before = guest->count;
        CHECK(frame_inbox_put(&in, stream, put_frame(stream, 60, 7), SIZE_MAX));
        CHECK_EQ(guest->count, before + 1);
        teardown();
    }
}

static size_t sent_bytes, sent_calls;

static void send_out(void *opaque, const uint8_t *data, size_t len)
{
    (void)opaque;
    CHECK_EQ(frames_whole(data, len), len);
    sent_bytes += len;
    sent_calls++;
}

/* What one bottom half of the guest's sends is one message; a full buffer is sent at once. */
static void frames_go_out_together(void)
{
    static uint8_t data[NET_FRAME_MAX];
    struct frame_outbox out;
    board_new();
    CHECK(frame_outbox_init(&out, m, send_out, NULL));
    sent_bytes = sent_calls = 0;
    struct net_frame f = { .data = data, .len = 60 };
    for (int i = 0; i < 10; i++)
        frame_outbox_add(&out, &f);
    CHECK_EQ(sent_calls, 0);
    settle();
    CHECK_EQ(sent_calls, 1);
    CHECK_EQ(sent_bytes, 640);
    f.len = NET_FRAME_MAX;
    for (int i = 0; i < 10; i++)
        frame_outbox_add(&out, &f);
    CHECK_EQ(sent_calls, 4); /* three fit */
    frame_outbox_free(&out);
    CHECK_EQ(sent_calls, 5);
    CHECK_EQ(sent_bytes, 640 + 10 * (NET_FRAME_MAX + FRAMING_HEADER));
    settle();
    board_free();
}

int main(void)
{
    RUN(frames_cut_anywhere);
    RUN(what_waits_is_bounded);
    RUN(a_wrong_length_ends_it);
    RUN(an_owner_gives_up_in_the_middle);
    RUN(frames_go_out_together);
    return test_done();
}
