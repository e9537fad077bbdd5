/*
 * virtio-net with a driver of a few lines (modern interface): headers both ways with every kind of
 * offload, mergeable buffers and what happens when there are too few, the control queue's commands
 * and the filters that they set, link and announcement, back-pressure, saved state.
 */
#include "cpu/cpu.h"
#include "devtest.h"
#include "hw/net/nics.h"
#include "hw/virtio/virtio.h"
#include "net_peer.h"

#define BAR4    0xe0000000ull
#define RING(q) (0x100000ull + (q)*0x8000ull)
#define DATA    0x200000ull
#define QSIZE   64u
#define MAC     "\x52\x54\x00\x12\x34\x56"
#define OTHER   "\x52\x54\x00\xaa\xbb\xcc"
#define HDR     12u
#define ALL     UINT64_MAX

enum { RX, TX, CTRL };
enum { F_CTRL_MAC_ADDR = 23, F_CTRL_VLAN = 19, F_MRG_RXBUF = 15, F_GUEST_CSUM = 1, F_MTU = 3 };

static struct virtio_device *dev;
static struct net_peer *wire;
static uint16_t avail[3], seen[3];

static uint32_t mrd(uint64_t off, unsigned size)
{
    return (uint32_t)mem_read(&m->mem, BAR4 + off, size);
}
static void mwr(uint64_t off, uint32_t v, unsigned size)
{
    mem_write(&m->mem, BAR4 + off, v, size);
}

/* A driver that takes the features of @want that there are. */
static void start(uint64_t want, const char *prop, const char *value)
{
    static const uint8_t zeros[0x18000];
    struct error err = { "" };
    board_new();
    wire = net_peer_new(m, "n0");
    struct device *d = device_new(m, &virtio_net_pci_class);
    if (!device_set_prop(d, "netdev", "n0", &err) || !device_set_prop(d, "romfile", "", &err) ||
        !device_set_prop(d, prop, value, &err) || !device_realize(d, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    dev = (struct virtio_device *)d;
    pci_config_write(&dev->pci, 0x20, (uint32_t)BAR4, 4);
    pci_config_write(&dev->pci, PCI_COMMAND, 7, 2);
    dma_write(&m->mem, RING(0), zeros, sizeof zeros);
    memset(avail, 0, sizeof avail);
    memset(seen, 0, sizeof seen);
    mwr(0x14, 0, 1);
    mwr(0x14, 3, 1);
    for (uint32_t i = 0; i < 2; i++) {
        mwr(0x00, i, 4);
        mwr(0x08, i, 4);
        mwr(0x0c, mrd(0x04, 4) & (uint32_t)(want >> (32 * i)), 4);
    }
    mwr(0x14, 11, 1);
    for (uint32_t q = 0; q < 3; q++) {
        mwr(0x16, q, 2);
        mwr(0x18, QSIZE, 2);
        mwr(0x20, (uint32_t)RING(q), 4);
        mwr(0x28, (uint32_t)RING(q) + 0x1000, 4);
        mwr(0x30, (uint32_t)RING(q) + 0x2000, 4);
        mwr(0x1c, 1, 2);
    }
    mwr(0x14, 15, 1);
    settle();
}

/* One buffer into a queue, as descriptor number @i. */
static void put_desc(unsigned q, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    uint64_t at = RING(q) + 16 * i;
    dma_write64(&m->mem, at, addr);
    dma_write32(&m->mem, at + 8, len);
    dma_write16(&m->mem, at + 12, flags);
    dma_write16(&m->mem, at + 14, next);
}
static void offer(unsigned q, uint16_t head)
{
    dma_write16(&m->mem, RING(q) + 0x1004 + 2 * (avail[q] % QSIZE), head);
    dma_write16(&m->mem, RING(q) + 0x1002, ++avail[q]);
}
static void kick(unsigned q)
{
    mwr(0x3000 + 4 * q, q, 2);
    settle();
}
static unsigned used(unsigned q)
{
    return dma_read16(&m->mem, RING(q) + 0x2002);
}
/* Bytes that the @n-th used element has. */
static uint32_t used_len(unsigned q, unsigned n)
{
    return dma_read32(&m->mem, RING(q) + 0x2004 + 8 * (n % QSIZE) + 4);
}

/* @n receive buffers of @len bytes, the i-th at DATA + 64K * i. */
static void receive_buffers(unsigned n, uint32_t len)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned at = avail[RX] % QSIZE;
        put_desc(RX, at, DATA + 0x10000ull * at, len, 2, 0);
        offer(RX, (uint16_t)at);
    }
    kick(RX);
}

static const uint8_t *frame_of(const char *to, size_t len)
{
    static uint8_t f[70000];
    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)(i * 7 + i / 256);
    memcpy(f, to, 6);
    memcpy(f + 6, OTHER "\x88\xb5", 8);
    return f;
}

/* One command; true if it was acknowledged. */
static bool command(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
    const uint64_t at = 0xf00000, ack = at + 0x8000;
    uint8_t head[2] = { class, cmd };
    dma_write(&m->mem, at, head, 2);
    dma_write(&m->mem, at + 2, data, len);
    mem_write(&m->mem, ack, 0xee, 1);
    put_desc(CTRL, 0, at, 2, 1, 1);
    put_desc(CTRL, 1, at + 2, len, 1, 2);
    put_desc(CTRL, 2, ack, 1, 2, 0);
    offer(CTRL, 0);
    kick(CTRL);
    return mem_read(&m->mem, ack, 1) == 0;
}

/* ---- receiving ---- */

static void a_frame_takes_as_many_buffers_as_it_needs(void)
{
    static uint8_t got[5000];
    start(ALL, "csum", "on");
    receive_buffers(8, 1000);
    const uint8_t *f = frame_of(MAC, 2500);
    net_peer_send(wire, f, 2500);
    CHECK_EQ(used(RX), 3);
    CHECK_EQ(used_len(RX, 0), 1000);
    CHECK_EQ(used_len(RX, 2), 2500 + HDR - 2000);
    CHECK_EQ(dma_read16(&m->mem, DATA + 10), 3); /* num_buffers */
    for (unsigned i = 0; i < 3; i++)
        dma_read(&m->mem, DATA + 0x10000 * i, got + 1000 * i, used_len(RX, i));
    CHECK(!memcmp(got + HDR, f, 2500));
    board_free();
}

static void frames_wait_for_buffers(void)
{
    start(ALL, "csum", "on");
    receive_buffers(2, 1600);
    for (uint32_t i = 0; i < 10; i++)
        CHECK(net_peer_send(wire, frame_of(MAC, 100 + i), 100 + i));
    CHECK_EQ(used(RX), 2);
    CHECK_EQ(net_queue_length(wire->nc.peer), 8);
    for (unsigned i = 3; i <= 10; i++) {
        receive_buffers(1, 1600);
        CHECK_EQ(used(RX), i);
        CHECK_EQ(used_len(RX, i - 1), 100 + i - 1 + HDR);
    }
    /* Three buffers for a frame that needs four: all are put back. */
    receive_buffers(3, 1000);
    net_peer_send(wire, frame_of(MAC, 3500), 3500);
    CHECK_EQ(used(RX), 10);
    CHECK_EQ(dev->queues[RX].inuse, 0);
    receive_buffers(1, 1000);
    CHECK_EQ(used(RX), 14);
    board_free();
}

static void without_mergeable_buffers_too_long_frames_are_lost(void)
{
    start(ALL, "mrg_rxbuf", "off");
    receive_buffers(4, 1000);
    net_peer_send(wire, frame_of(MAC, 1500), 1500);
    CHECK_EQ(used(RX), 0);
    CHECK_EQ(net_queue_length(wire->nc.peer), 0);
    net_peer_send(wire, frame_of(MAC, 900), 900);
    CHECK_EQ(used(RX), 1);
    board_free();
}

static void headers_say_what_is_left_to_do(void)
{
    uint8_t h[HDR];
    start(ALL, "csum", "on");
    receive_buffers(8, 60000);
    struct net_frame f = { frame_of(MAC, 9000),
                           9000,
                           { .needs_csum = true,
                             .gso = NET_GSO_TCPV6,
                             .gso_ecn = true,
                             .gso_size = 1428,
                             .hdr_len = 74,
                             .csum_start = 54,
                             .csum_offset = 16 } };
    net_send(&wire->nc, &f);
    dma_read(&m->mem, DATA, h, HDR);
    CHECK_EQ(h[0], 1);
    CHECK_EQ(h[1], 0x84);
    CHECK_EQ(pci_get16(h + 2), 74);
    CHECK_EQ(pci_get16(h + 4), 1428);
    CHECK_EQ(pci_get16(h + 6), 54);
    CHECK_EQ(pci_get16(h + 8), 16);
    f = (struct net_frame){ frame_of(MAC, 100), 100, { .csum_valid = true } };
    net_send(&wire->nc, &f);
    CHECK_EQ(mem_read(&m->mem, DATA + 0x10000, 2), 2);
    board_free();
    /* A driver that doesn't take checksums sees finished frames only. */
    start(~(1ull << F_GUEST_CSUM), "csum", "on");
    CHECK_EQ(wire->nc.peer->offloads, 0);
    receive_buffers(1, 60000);
    net_send(&wire->nc, &f);
    CHECK_EQ(mem_read(&m->mem, DATA, 2), 0);
    board_free();
}

/* ---- transmitting ---- */

static void put_frame(const uint8_t h[HDR], const uint8_t *f, uint32_t len)
{
    unsigned at = 2 * (avail[TX] % (QSIZE / 2));
    uint64_t to = DATA + 0x20000ull * (at / 2);
    dma_write(&m->mem, to, h, HDR);
    dma_write(&m->mem, to + HDR, f, len);
    put_desc(TX, at, to, HDR + 20, 1, (uint16_t)(at + 1));
    put_desc(TX, at + 1, to + HDR + 20, len - 20, 0, 0);
    offer(TX, (uint16_t)at);
}
static void transmit(const uint8_t h[HDR], const uint8_t *f, uint32_t len)
{
    put_frame(h, f, len);
    kick(TX);
}

static void work_is_handed_on(void)
{
    static const uint8_t h[HDR] = { 1, 0x81, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0 };
    start(ALL, "csum", "on");
    wire->nc.offloads = UINT32_MAX;
    transmit(h, frame_of(OTHER, 40000), 40000);
    CHECK_EQ(wire->count, 1);
    CHECK_EQ(wire->frames[0].len, 40000);
    CHECK(!memcmp(wire->frames[0].data, frame_of(OTHER, 40000), 40000));
    struct net_offload o = wire->frames[0].off;
    CHECK(o.needs_csum && o.gso == NET_GSO_TCPV4 && o.gso_ecn);
    CHECK_EQ(o.gso_size, 1460);
    CHECK_EQ(o.hdr_len, 54);
    CHECK_EQ(o.csum_start, 34);
    CHECK_EQ(o.csum_offset, 16);
    CHECK_EQ(used(TX), 1);
    board_free();
}

static void a_full_wire_holds_the_ring(void)
{
    static const uint8_t h[HDR];
    start(ALL, "csum", "on");
    wire->room = 0;
    unsigned sent = 0;
    do
        transmit(h, frame_of(OTHER, 100), 100);
    while (++sent == used(TX) && sent < 3000);
    CHECK_EQ(sent, NET_QUEUE_FRAMES + 1);
    CHECK_EQ(dev->queues[TX].inuse, 0);
    wire->room = SIZE_MAX;
    net_accept(&wire->nc);
    settle();
    CHECK_EQ(used(TX), sent);
    CHECK_EQ(wire->count, sent);
    board_free();
}

/* Is the CPU stopped for a kick with a frame in the queue? */
static bool kick_stops(struct cpu *c)
{
    static const uint8_t h[HDR];
    put_frame(h, frame_of(OTHER, 100), 100);
    cpu_lower_intr(c, CPU_INTR_EXIT);
    mwr(0x3000 + 4 * TX, TX, 2);
    return c->intr & CPU_INTR_EXIT;
}

static void a_stream_is_not_interrupted_for_each_frame(void)
{
    struct cpu cpu = { 0 };
    start(ALL, "csum", "on");
    m->cpus[0] = &cpu;
    m->cpu_count = 1;
    receive_buffers(8, 2000);
    CHECK(kick_stops(&cpu));
    settle();
    CHECK(!kick_stops(&cpu));
    CHECK(!kick_stops(&cpu));
    CHECK_EQ(wire->count, 1);
    settle(); /* it came out by itself */
    CHECK_EQ(wire->count, 3);
    CHECK(!kick_stops(&cpu));
    net_peer_send(wire, frame_of(MAC, 60), 60);
    CHECK(kick_stops(&cpu)); /* an answer */
    settle();
    CHECK_EQ(wire->count, 5);
    m->cpu_count = 0;
    board_free();
}

/* ---- control ---- */

static bool hears(const char *to)
{
    unsigned before = used(RX);
    net_peer_send(wire, frame_of(to, 60), 60);
    bool heard = used(RX) != before;
    if (heard)
        receive_buffers(1, 1600);
    return heard;
}

static void filters_do_what_the_driver_says(void)
{
    static const char group[] = "\x01\x00\x5e\x01\x02\x03",
                      everybody[] = "\xff\xff\xff\xff\xff\xff";
    uint8_t on = 1, off = 0, table[4 + 6 + 4 + 6] = { 1 };
    start(ALL, "csum", "on");
    receive_buffers(8, 1600);
    CHECK(hears(OTHER)); /* promiscuous until told otherwise */
    CHECK(command(0, 0, &off, 1));
    CHECK(hears(MAC) && hears(everybody) && !hears(OTHER) && !hears(group));
    memcpy(table + 4, OTHER, 6);
    table[10] = 1;
    memcpy(table + 14, group, 6);
    CHECK(command(1, 0, table, sizeof table));
    CHECK(hears(OTHER) && hears(group) && !hears("\x02\x02\x02\x02\x02\x02"));
    memset(table, 0, sizeof table);
    CHECK(command(1, 0, table, 8));
    CHECK(!hears(OTHER) && !hears(group));
    CHECK(command(0, 1, &on, 1) && hears(group) && !hears(OTHER)); /* allmulti */
    CHECK(command(0, 3, &on, 1) && !hears(group));                 /* nomulti */
    CHECK(command(0, 5, &on, 1) && !hears(everybody));             /* nobcast */
    CHECK(command(0, 2, &on, 1) && hears(OTHER));                  /* alluni */
    CHECK(command(0, 4, &on, 1) && !hears(OTHER) && !hears(MAC));  /* nouni */
    CHECK(command(0, 0, &on, 1) && hears(OTHER));
    /* More addresses than the table has: all that kind. */
    static uint8_t many[4 + 100 * 6 + 4];
    many[0] = 100;
    CHECK(command(0, 0, &off, 1) && command(0, 4, &off, 1) && command(0, 2, &off, 1));
    CHECK(command(1, 0, many, sizeof many) && hears(OTHER));
    board_free();
}

static void addresses_vlans_and_nonsense(void)
{
    uint8_t off = 0, tagged[60], id[2] = { 5, 0 }, bad_id[2] = { 0, 0x10 };
    start(ALL, "csum", "on");
    receive_buffers(8, 1600);
    CHECK(command(0, 0, &off, 1));
    CHECK(command(1, 1, OTHER, 6));
    CHECK(hears(OTHER) && !hears(MAC));
    CHECK(!memcmp(((struct nic *)wire->nc.peer)->mac, OTHER, 6));
    memcpy(tagged, frame_of(OTHER, 60), 60);
    memcpy(tagged + 12, "\x81\x00\x00\x05", 4);
    unsigned before = used(RX);
    net_peer_send(wire, tagged, 60);
    CHECK_EQ(used(RX), before);
    CHECK(command(2, 0, id, 2));
    net_peer_send(wire, tagged, 60);
    CHECK_EQ(used(RX), before + 1);
    CHECK(command(2, 1, id, 2));
    net_peer_send(wire, tagged, 60);
    CHECK_EQ(used(RX), before + 1);
    CHECK(!command(2, 0, bad_id, 2));
    CHECK(!command(0, 9, &off, 1));
    CHECK(!command(1, 1, OTHER, 3));
    CHECK(!command(77, 0, &off, 1));
    CHECK(!command(3, 0, &off, 1)); /* nothing to acknowledge */
    board_free();
    start(~(1ull << F_CTRL_MAC_ADDR), "csum", "on");
    CHECK(!command(1, 1, OTHER, 6));
    board_free();
}

static void offloads_are_switched_while_it_runs(void)
{
    uint64_t bits = 1u << F_GUEST_CSUM;
    start(ALL, "csum", "on");
    CHECK_EQ(wire->nc.peer->offloads & (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4), 3);
    CHECK(command(5, 0, &bits, 8));
    CHECK_EQ(wire->nc.peer->offloads, NET_OFFLOAD_CSUM);
    bits = 1ull << 40;
    CHECK(!command(5, 0, &bits, 8));
    board_free();
}

/* ---- configuration ---- */

static void link_announcement_and_mtu(void)
{
    static const struct nic_announcement once = { 50, 50, 1, 50 };
    uint8_t nothing = 0;
    start(ALL, "host_mtu", "9000");
    CHECK(virtio_has_feature(dev, F_MTU));
    CHECK_EQ(mrd(0x2000 + 10, 2), 9000);
    CHECK_EQ(mrd(0x2000 + 6, 2), 1);
    CHECK_EQ(mrd(0x2000, 4), 0x12005452);
    uint32_t generation = mrd(0x15, 1);
    net_set_link(&wire->nc, false);
    CHECK_EQ(mrd(0x2000 + 6, 2), 0);
    CHECK(mrd(0x15, 1) != generation);
    CHECK_EQ(mrd(0x1000, 1) & 2, 2); /* ISR: configuration */
    net_set_link(&wire->nc, true);
    nic_announce(m, &once, NULL);
    CHECK_EQ(mrd(0x2000 + 6, 2), 3);
    CHECK(command(3, 0, &nothing, 1));
    CHECK_EQ(mrd(0x2000 + 6, 2), 1);
    board_free();
}

static void state_is_saved(void)
{
    uint8_t off = 0;
    struct error err;
    start(ALL, "csum", "on");
    receive_buffers(8, 1600);
    command(0, 0, &off, 1);
    command(1, 1, OTHER, 6);
    size_t size = device_save(&dev->pci.dev, NULL, 0);
    uint8_t *state = malloc(size);
    device_save(&dev->pci.dev, state, size);
    mwr(0x14, 0, 1);
    CHECK(device_load(&dev->pci.dev, state, size, &err));
    settle();
    CHECK(hears(OTHER) && !hears(MAC));
    CHECK(wire->nc.peer->offloads & NET_OFFLOAD_TSO6);
    free(state);
    board_free();
}

int main(void)
{
    RUN(a_frame_takes_as_many_buffers_as_it_needs);
    RUN(frames_wait_for_buffers);
    RUN(without_mergeable_buffers_too_long_frames_are_lost);
    RUN(headers_say_what_is_left_to_do);
    RUN(work_is_handed_on);
    RUN(a_full_wire_holds_the_ring);
    RUN(a_stream_is_not_interrupted_for_each_frame);
    RUN(filters_do_what_the_driver_says);
    RUN(addresses_vlans_and_nonsense);
    RUN(offloads_are_switched_while_it_runs);
    RUN(link_announcement_and_mtu);
    RUN(state_is_saved);
    return test_done();
}
