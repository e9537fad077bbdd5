/*
 * TCP segments put together for a card that takes large ones: cut again, they must be the frames
 * that came, byte for byte and in their order, whatever else came in between; and the whole must be
 * what a TCP stack would have handed to a card.
 */
#include "devtest.h"
#include "hw/net/inet_csum.h"
#include "net/coalesce.h"
#include "net/net_impl.h"
#include "net_peer.h"

enum {
    ALL = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6,
    MSS = 1448,
    PSH = 8,
    ACK = 16
};

static struct net_peer *from, *to;
static struct net_coalescer large;

static void setup(bool nic, uint32_t offloads)
{
    board_new();
    from = net_peer_new(m, "n0");
    to = nic ? net_peer_new_nic(m, "nic") : net_peer_new(m, "n1");
    to->nc.offloads = offloads;
    net_connect(&from->nc, &to->nc);
}

static void end(void)
{
    net_coalesce_free(&large);
    board_free();
}

/* ---- segments ---- */

struct flow {
    bool v6;
    uint16_t port, id, window;
    uint32_t seq;
};

struct frame {
    uint8_t data[2048];
    size_t len;
};

static void put16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

/* Checksums and lengths; @bad is added to TCP's. */
static void sum_up(struct frame *f, bool v6, unsigned bad)
{
    uint8_t *p = f->data, *tcp = p + (v6 ? 54 : 34);
    size_t len = f->len - (size_t)(tcp - p);
    if (!v6) {
        put16(p + 16, f->len - 14);
        put16(p + 24, 0);
        put16(p + 24, (uint16_t)~inet_fold(inet_sum(p + 14, 20)));
    } else {
        put16(p + 18, len);
    }
    uint64_t pseudo = 6 + len + (v6 ? inet_sum(p + 22, 32) : inet_sum(p + 26, 8));
    put16(tcp + 16, 0);
    put16(tcp + 16, (uint16_t)~inet_fold(pseudo + inet_sum(tcp, len)) + bad);
}

/* The next segment of @fl. */
static struct frame *segment(struct flow *fl, size_t bytes, unsigned flags)
{
    static struct frame f;
    uint8_t *p = f.data, *tcp = p + (fl->v6 ? 54 : 34);
    memset(p, 0, sizeof f.data);
    memcpy(p, "\x52\x54\x00\x12\x34\x56\x52\x55\x0a\x00\x02\x02", 12);
    put16(p + 12, fl->v6 ? 0x86dd : 0x0800);
    if (fl->v6) {
        p[14] = 0x60;
        p[20] = 6;
        p[21] = 64;
        p[22] = p[38] = 0xfd;
        p[37] = 2;
        p[53] = 1;
    } else {
        p[14] = 0x45;
        put16(p + 18, fl->id++);
        p[22] = 64;
        p[23] = 6;
        memcpy(p + 26, "\x0a\x00\x02\x02\x0a\x00\x02\x0f", 8);
    }
    put16(tcp, 80);
    put16(tcp + 2, fl->port);
    put32(tcp + 4, fl->seq);
    put32(tcp + 8, 0x12345678);
    tcp[12] = 0x80;
    tcp[13] = (uint8_t)flags;
    put16(tcp + 14, fl->window);
    memcpy(tcp + 20, "\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02", 12);
    for (size_t i = 0; i < bytes; i++)
        tcp[32 + i] = (uint8_t)rnd();
    fl->seq += (uint32_t)bytes;
    f.len = (size_t)(tcp - p) + 32 + bytes;
    sum_up(&f, fl->v6, 0);
    return &f;
}

static bool give(const struct frame *f)
{
    return net_coalesce(&large, &from->nc, f->data, f->len);
}

/* ---- cases ---- */

static void forty_segments_become_one(bool v6)
{
    struct flow fl = { .v6 = v6, .port = 4000, .id = 0xfff0, .window = 500, .seq = 0xffffff00 };
    size_t header = v6 ? 86 : 66;
    setup(true, ALL);
    for (int i = 0; i < 40; i++)
        CHECK(give(segment(&fl, MSS, ACK)));
    CHECK_EQ(to->count, 0);
    CHECK(net_coalesce_flush(&large, &from->nc));
    CHECK_EQ(to->count, 1);
    const struct net_peer_frame *f = &to->frames[0];
    CHECK_EQ(f->len, header + 40 * MSS);
    CHECK_EQ(f->off.gso, v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4);
    CHECK_EQ(f->off.gso_size, MSS);
    CHECK_EQ(f->off.hdr_len, header);
    CHECK_EQ(f->off.csum_start, header - 32);
    CHECK_EQ(f->off.csum_offset, 16);
    CHECK(f->off.needs_csum);
    uint8_t *whole = malloc(f->len); /* its checksum filled in, it is a right one */
    const struct net_frame plain = {
        .data = f->data,
        .len = f->len,
        .off = { .needs_csum = true, .csum_start = f->off.csum_start, .csum_offset = 16 }
    };
    net_offload_finish(&plain, 0, whole);
    CHECK_EQ(inet_check_frame(whole, f->len),
             v6 ? INET_L4_CHECKED : INET_IP_CHECKED | INET_L4_CHECKED);
    free(whole);
    CHECK(net_coalesce_flush(&large, &from->nc));
    CHECK_EQ(to->count, 1);
    end();
}

static void ipv4(void)
{
    forty_segments_become_one(false);
}

static void ipv6(void)
{
    forty_segments_become_one(true);
}

/* PSH or a short segment ends one; another flow or a frame of another kind goes behind it. */
static void what_ends_one(void)
{
    struct flow fl = { .port = 4000, .window = 500 }, other = { .port = 4001, .window = 500 };
    static const struct frame arp = {
        { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 8, 6 }, 60
    };
    setup(true, ALL);
    give(segment(&fl, MSS, ACK));
    give(segment(&fl, MSS, ACK | PSH));
    give(segment(&fl, MSS, ACK)); /* the second */
    give(segment(&fl, 300, ACK));
    give(segment(&fl, 300, ACK)); /* the third */
    give(segment(&other, MSS, ACK));
    give(&arp);
    fl.window++;
    give(segment(&fl, MSS, ACK));
    fl.seq++;
    give(segment(&fl, MSS, ACK));
    CHECK(net_coalesce_flush(&large, &from->nc));
    static const size_t lengths[] = { 66 + 2 * MSS, 66 + MSS + 300, 366,     66 + MSS,
                                      60,           66 + MSS,       66 + MSS };
    CHECK_EQ(to->count, sizeof lengths / sizeof lengths[0]);
    for (size_t i = 0; i < to->count; i++)
        CHECK_EQ(to->frames[i].len, lengths[i]);
    CHECK_EQ(to->frames[0].data[47], ACK | PSH);
    CHECK_EQ(to->frames[1].data[47], ACK);
    CHECK(!to->frames[3].off.gso && to->frames[3].off.csum_valid);
    end();
}

/* For everybody else a frame goes as it is, and at once. */
static void not_for(bool nic, uint32_t offloads)
{
    struct flow fl = { .port = 4000, .window = 500 };
    setup(nic, offloads);
    for (unsigned i = 1; i <= 3; i++) {
        give(segment(&fl, MSS, ACK));
        CHECK_EQ(to->count, i);
    }
    end();
}

static void only_for_cards_that_take_them(void)
{
    not_for(true, NET_OFFLOAD_CSUM);
    not_for(true, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
    not_for(false, ALL);
}

static struct frame sent[NET_PEER_KEEP];
static size_t sent_count;

/* A frame of all kinds, most of them the next of one of three flows. */
static struct frame *any(struct flow flows[3])
{
    static unsigned current;
    if (rnd() % 20 == 0)
        current = rnd() % 3;
    struct flow *fl = &flows[current];
    struct frame *f = segment(fl, rnd() % 12 ? MSS : 1 + rnd() % MSS, rnd() % 16 ? ACK : ACK | PSH);
    uint8_t *p = f->data, *tcp = p + (fl->v6 ? 54 : 34);
    switch (rnd() % 100) {
    case 0: sum_up(f, fl->v6, 1); break;
    case 1: p[15] ^= 2, sum_up(f, fl->v6, 0); break; /* ECN of IPv4, flow label or class of IPv6 */
    case 2: p[12] = (uint8_t)rnd(); break;
    case 3: tcp[13] = (uint8_t)rnd(), sum_up(f, fl->v6, 0); break;
    case 4: tcp[12] = (uint8_t)rnd(), sum_up(f, fl->v6, 0); break;
    case 5: f->len = 14 + rnd() % 80; break;
    case 6: f->len += rnd() % 8; break;
    case 7: fl->id++, fl->seq += rnd() % 2; break;
    case 8: tcp[24] ^= 1, sum_up(f, fl->v6, 0); break;
    case 9: p[20] ^= (uint8_t)rnd(), sum_up(f, fl->v6, 0); break;
    case 10: p[rnd() % 60] ^= (uint8_t)rnd(); break;
    case 11: fl->window++; break;
    default: break;
    }
    return f;
}

static void cut_again_they_are_what_came(void)
{
    struct flow flows[3] = { { .port = 1 },
                             { .v6 = true, .port = 2 },
                             { .port = 3, .id = 0xff00 } };
    setup(true, ALL);
    for (sent_count = 0; sent_count < NET_PEER_KEEP;) {
        to->room = rnd() % 3 ? SIZE_MAX : rnd() % 10;
        sent[sent_count++] = *any(flows);
        while (!give(&sent[sent_count - 1])) {
            to->room = 1 + rnd() % 10;
            net_accept(&to->nc);
        }
        if (rnd() % 30 == 0)
            net_coalesce_flush(&large, &from->nc);
    }
    to->room = SIZE_MAX;
    net_accept(&to->nc);
    CHECK(net_coalesce_flush(&large, &from->nc));
    settle();
    CHECK(to->count < NET_PEER_KEEP / 2);
    size_t seen = 0;
    for (size_t i = 0; i < to->count; i++) {
        const struct net_peer_frame *k = &to->frames[i];
        const struct net_frame f = { .data = k->data, .len = k->len, .off = k->off };
        static uint8_t piece[NET_FRAME_MAX];
        size_t len = k->len;
        for (unsigned n = 0; k->off.gso ? (len = net_offload_finish(&f, n, piece)) != 0 : !n; n++) {
            CHECK(seen < sent_count);
            CHECK_EQ(len, sent[seen].len);
            CHECK(!memcmp(k->off.gso ? piece : k->data, sent[seen].data, len));
            seen++;
        }
    }
    CHECK_EQ(seen, sent_count);
    end();
}

/* A full peer: what is kept stays, is sent later, and nothing is added to it. */
static void full_peer(void)
{
    struct flow fl = { .port = 4000, .window = 500 };
    setup(true, ALL);
    to->room = 0;
    while (net_peer_send_number(from, 0, 60)) {
    }
    CHECK(give(segment(&fl, MSS, ACK)));
    CHECK(give(segment(&fl, MSS, ACK)));
    CHECK(!net_coalesce_flush(&large, &from->nc));
    struct frame *last = segment(&fl, MSS, ACK);
    CHECK(!give(last));
    to->room = SIZE_MAX;
    net_accept(&to->nc);
    settle();
    size_t before = to->count;
    CHECK(from->writable > 0);
    CHECK(give(last));
    CHECK_EQ(to->count, before + 1);
    CHECK(net_coalesce_flush(&large, &from->nc));
    CHECK_EQ(to->count, before + 2);
    CHECK_EQ(to->bytes - before * 60, 66 + 2 * MSS + 66 + MSS);
    end();
}

int main(void)
{
    RUN(ipv4);
    RUN(ipv6);
    RUN(what_ends_one);
    RUN(only_for_cards_that_take_them);
    RUN(cut_again_they_are_what_came);
    RUN(full_peer);
    return test_done();
}
