/*
 * What the e1000 does that QEMU's doesn't (tests/devices/e1000_qemu.c compares the rest): frames
 * wait for room on both sides, receive checksum offload, FCS, long frames, checksums of legacy
 * descriptors, segments that are the net's own to the byte, GSO frames handed on, throttling,
 * software reset, loopback, saved state; and descriptors that point at the card.
 */
#include "devtest.h"
#include "hw/net/e1000_int.h"
#include "hw/net/eth.h"
#include "hw/net/inet_csum.h"
#include "hw/net/nics.h"
#include "net/net_impl.h"
#include "net_peer.h"

#define MMIO     0xe0000000u
#define PORT     0xc000u
#define MAC      "\x52\x54\x00\x12\x34\x56"
#define OTHER    "\x52\x54\x00\xaa\xbb\xcc"
#define RX_RING  0x100000u
#define TX_RING  0x110000u
#define BUFFERS  0x200000u
#define BUF_STEP 0x4000u
#define TX_DATA  0x800000u
#define RING     16u

static struct net_peer *wire;
static struct e1000 *nic;
static uint32_t tx_tail;

static void wr(uint32_t r, uint32_t v)
{
    mem_write(&m->mem, MMIO + r, v, 4);
    settle();
}
static uint32_t rd(uint32_t r)
{
    return (uint32_t)mem_read(&m->mem, MMIO + r, 4);
}

static void start(void)
{
    struct error err = { "" };
    board_new();
    wire = net_peer_new(m, "n0");
    struct device *d = device_new(m, &e1000_class);
    if (!device_set_prop(d, "netdev", "n0", &err) || !device_set_prop(d, "romfile", "", &err) ||
        !device_realize(d, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    nic = (struct e1000 *)d;
    pci_config_write(&nic->pci, PCI_BASE_ADDRESS_0, MMIO, 4);
    pci_config_write(&nic->pci, PCI_BASE_ADDRESS_0 + 4, PORT, 4);
    pci_config_write(&nic->pci, PCI_COMMAND, 7, 2);
    clock_start(&m->clock);
}

static void pass_time(int ms)
{
    usleep((useconds_t)ms * 1000);
    clock_run_timers(&m->clock);
    settle();
}

/* ---- receiving ---- */

static void rx_start(uint32_t rctl, uint32_t tail)
{
    static const uint8_t zeros[RING * 16];
    wr(RCTL, 0);
    dma_write(&m->mem, RX_RING, zeros, sizeof zeros);
    for (uint32_t i = 0; i < RING; i++)
        dma_write32(&m->mem, RX_RING + i * 16, BUFFERS + i * BUF_STEP);
    wr(RDBAL, RX_RING);
    wr(RDLEN, RING * 16);
    wr(RDH, 0);
    wr(RDT, tail);
    wr(RCTL, rctl | RCTL_EN);
}

struct rx {
    uint16_t len, csum;
    uint8_t status, errors;
    uint16_t special;
};
static struct rx rx_desc(uint32_t i)
{
    uint8_t d[16];
    dma_read(&m->mem, RX_RING + i * 16, d, 16);
    return (struct rx){ pci_get16(d + 8), pci_get16(d + 10), d[12], d[13], pci_get16(d + 14) };
}

static void frame_to_us(uint8_t *f, size_t len)
{
    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)(i * 13);
    memcpy(f, MAC OTHER "\x88\xb5", 14);
}

static void frames_wait_for_descriptors(void)
{
    start();
    rx_start(RCTL_SECRC, 5);
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t f[100];
        frame_to_us(f, sizeof f);
        f[14] = (uint8_t)i;
        CHECK(net_peer_send(wire, f, sizeof f));
    }
    settle();
    CHECK_EQ(rd(RDH), 5);
    CHECK_EQ(net_queue_length(&nic->nic->nc), 15);
    for (uint32_t seen = 0; seen < 20; seen++) {
        uint8_t number;
        CHECK_EQ(rx_desc(seen % RING).status & 3, 3);
        dma_read(&m->mem, BUFFERS + seen % RING * BUF_STEP + 14, &number, 1);
        CHECK_EQ(number, seen);
        wr(RDT, (seen + 6) % RING);
    }
    CHECK_EQ(net_queue_length(&nic->nic->nc), 0);
    CHECK_EQ(nic->nic->nc.stats.dropped, 0);
    board_free();
}

static void long_frames_need_lpe_and_may_take_several_buffers(void)
{
    static uint8_t f[16380], got[16380];
    start();
    frame_to_us(f, sizeof f);
    rx_start(RCTL_SECRC, RING - 1);
    net_peer_send(wire, f, 1519);
    CHECK_EQ(rd(RDH), 0);
    CHECK_EQ(rd(0x40ac), 1); /* ROC */
    net_peer_send(wire, f, 1518);
    CHECK_EQ(rd(RDH), 1);
    rx_start(RCTL_SECRC | RCTL_LPE, RING - 1);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(rd(RDH), 8);
    for (uint32_t i = 0; i < 8; i++) {
        struct rx d = rx_desc(i);
        CHECK_EQ(d.len, i < 7 ? 2048 : sizeof f - 7 * 2048);
        CHECK_EQ(d.status & 3, i < 7 ? 1 : 3);
        dma_read(&m->mem, BUFFERS + i * BUF_STEP, got + i * 2048, d.len);
    }
    CHECK(!memcmp(f, got, sizeof f));
    /* 256-byte buffers: 64 of them are more than the ring has, so it can't ever arrive. */
    rx_start(RCTL_SECRC | RCTL_LPE | 3u << 16, RING - 1);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(rd(0x4010), 1); /* MPC */
    CHECK_EQ(net_queue_length(&nic->nic->nc), 0);
    board_free();
}

static void the_fcs_is_right_and_a_tag_is_stripped(void)
{
    uint8_t f[100], got[104], fcs[4];
    start();
    frame_to_us(f, sizeof f);
    rx_start(0, RING - 1);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(rx_desc(0).len, 104);
    dma_read(&m->mem, BUFFERS, got, 104);
    eth_fcs(f, sizeof f, fcs);
    CHECK(!memcmp(got + 100, fcs, 4));
    wr(CTRL, rd(CTRL) | CTRL_VME);
    memcpy(f + 12, "\x81\x00\x60\x07", 4);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(rx_desc(1).len, 100);
    CHECK_EQ(rx_desc(1).special, 0x6007);
    CHECK_EQ(rx_desc(1).status & 8, 8);
    dma_read(&m->mem, BUFFERS + BUF_STEP, got, 96);
    CHECK(!memcmp(got, f, 12) && !memcmp(got + 12, f + 16, 84));
    board_free();
}

/* ---- TCP segments ---- */

static size_t segment(uint8_t *f, bool v6, size_t payload, bool full)
{
    size_t l4 = v6 ? 54 : 34, header = l4 + 20;
    memset(f, 0, header);
    memcpy(f, v6 ? OTHER MAC "\x86\xdd\x60" : OTHER MAC "\x08\x00\x45", 15);
    uint8_t *ip = f + 14;
    if (v6) {
        ip[6] = 6;
        ip[7] = 64;
        for (size_t i = 8; i < 40; i++)
            ip[i] = (uint8_t)(i * 5);
    } else {
        memcpy(ip + 4, "\x12\xfe\x40\x00\x40\x06", 6);
        memcpy(ip + 12, "\x0a\x00\x02\x0f\x0a\x00\x02\x02", 8);
    }
    memcpy(f + l4, "\x12\x34\x00\x50\xff\xff\xf0\x00\x00\x00\x00\x01\x50\x19\x10\x00", 16);
    for (size_t i = 0; i < payload; i++)
        f[header + i] = (uint8_t)(i * 31 + i / 256);
    size_t len = full ? 20 + payload : 0;
    if (full && v6) {
        ip[4] = (uint8_t)(len >> 8);
        ip[5] = (uint8_t)len;
    } else if (full) {
        ip[2] = (uint8_t)((20 + len) >> 8);
        ip[3] = (uint8_t)(20 + len);
        uint16_t sum = (uint16_t)~inet_fold(inet_sum(ip, 20));
        ip[10] = (uint8_t)(sum >> 8);
        ip[11] = (uint8_t)sum;
    }
    uint16_t pseudo = inet_fold(6 + len + inet_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8));
    f[l4 + 16] = (uint8_t)(pseudo >> 8);
    f[l4 + 17] = (uint8_t)pseudo;
    return header;
}

static void receive_checksums_are_verified(void)
{
    static uint8_t f[2000];
    start();
    rx_start(RCTL_SECRC, RING - 1);
    uint32_t n = 0;
    for (int v6 = 0; v6 < 2; v6++)
        for (int mode = 0; mode < 3; mode++, n++) {
            size_t l4 = v6 ? 54 : 34, len = segment(f, v6, 777, true) + 777;
            memcpy(f, MAC, 6);
            uint16_t sum = (uint16_t)~inet_fold(inet_sum(f + l4, len - l4));
            f[l4 + 16] = (uint8_t)(sum >> 8);
            f[l4 + 17] = (uint8_t)sum;
            f[len - 1] = (uint8_t)(f[len - 1] + (mode == 1));
            wr(RXCSUM, mode == 2 ? 0 : RXCSUM_IPOFLD | RXCSUM_TUOFLD);
            net_peer_send(wire, f, len);
            struct rx d = rx_desc(n);
            CHECK_EQ(d.status & 0x64, mode == 2 ? 4 : v6 ? 0x20 : 0x60);
            CHECK_EQ(d.errors, mode == 1 ? 0x20 : 0);
        }
    board_free();
}

/* ---- transmitting ---- */

static void tx_start(void)
{
    wr(TCTL, 0);
    wr(TDBAL, TX_RING);
    wr(TDLEN, RING * 16);
    wr(TDH, 0);
    wr(TDT, tx_tail = 0);
    wr(TCTL, TCTL_EN | TCTL_PSP);
    net_peer_clear(wire);
}

static void descriptor(uint64_t addr, uint32_t dw2, uint32_t dw3)
{
    uint32_t d[4] = { (uint32_t)addr, (uint32_t)(addr >> 32), dw2, dw3 };
    dma_write(&m->mem, TX_RING + tx_tail * 16, d, sizeof d);
    tx_tail = (tx_tail + 1) % RING;
}

static void tso(bool v6, size_t header, size_t payload, uint32_t mss, uint32_t more)
{
    uint32_t l4 = v6 ? 54 : 34, tucmd = 0x20u | 1 | 4 | 8 | (v6 ? 0 : 2);
    uint32_t context = 14u | 24u << 8 | (v6 ? 0 : 33u) << 16;
    descriptor(context | (uint64_t)(l4 | (l4 + 16) << 8) << 32, (uint32_t)payload | tucmd << 24,
               (uint32_t)header << 8 | mss << 16);
    uint32_t popts = (2u | !v6) << 8, total = (uint32_t)(header + payload), half = total / 2;
    descriptor(TX_DATA, half | 1u << 20 | (0x20u | 4 | more) << 24, popts);
    descriptor(TX_DATA + half, (total - half) | 1u << 20 | (0x20u | 4 | 1 | 8 | more) << 24,
               popts | 0x2005u << 16);
}

/* Our segments, the wire full now and then, against those that the net makes of the same packet. */
static void segments_are_those_of_the_net(void)
{
    static uint8_t f[70000], want[70000];
    for (int v6 = 0; v6 < 2; v6++) {
        start();
        size_t payload = 65000 - 20, header = segment(f, v6, payload, false);
        dma_write(&m->mem, TX_DATA, f, header + payload);
        segment(f, v6, payload, true);
        tx_start();
        tso(v6, header, payload, 1448, 0);
        wire->room = 0;
        wr(TDT, tx_tail);
        unsigned rounds = 0;
        while (rd(TDH) != tx_tail && rounds++ < 2000) {
            wire->room = 7;
            net_accept(&wire->nc);
            settle();
        }
        wire->room = SIZE_MAX;
        net_accept(&wire->nc);
        settle();
        struct net_frame frame = { f,
                                   header + payload,
                                   { .needs_csum = true,
                                     .gso = v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
                                     .gso_size = 1448,
                                     .hdr_len = (uint16_t)header,
                                     .csum_start = v6 ? 54 : 34,
                                     .csum_offset = 16 } };
        unsigned n = 0;
        for (size_t len; (len = net_offload_finish(&frame, n, want)) != 0; n++) {
            CHECK_EQ(wire->frames[n].len, len);
            CHECK(!memcmp(wire->frames[n].data, want, len));
        }
        CHECK_EQ(wire->count, n);
        board_free();
    }
}

static void a_peer_that_can_gets_the_whole_packet(void)
{
    static uint8_t f[70000], want[70000];
    for (int v6 = 0; v6 < 2; v6++)
        for (int tag = 0; tag < 2; tag++) {
            start();
            wire->nc.offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6;
            size_t payload = 30000, header = segment(f, v6, payload, false), at = tag ? 4 : 0;
            dma_write(&m->mem, TX_DATA, f, header + payload);
            segment(f, v6, payload, true);
            memcpy(want, f, 12);
            memcpy(want + 12, "\x81\x00\x20\x05", 4);
            memcpy(want + 12 + at, f + 12, header + payload - 12);
            wr(CTRL, rd(CTRL) | CTRL_VME);
            tx_start();
            tso(v6, header, payload, 1448, tag ? 0x40 : 0);
            wr(TDT, tx_tail);
            CHECK_EQ(wire->count, 1);
            CHECK_EQ(wire->frames[0].len, header + payload + at);
            CHECK(!memcmp(wire->frames[0].data, want, header + payload + at));
            const struct net_offload *o = &wire->frames[0].off;
            CHECK_EQ(o->gso, v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4);
            CHECK_EQ(o->gso_size, 1448);
            CHECK_EQ(o->hdr_len, header + at);
            CHECK_EQ(o->csum_start, (v6 ? 54u : 34u) + at);
            CHECK_EQ(rd(0x4080), (payload + 1447) / 1448); /* GPTC */
            board_free();
        }
}

static void legacy_descriptors_insert_checksums(void)
{
    uint8_t f[100];
    start();
    frame_to_us(f, sizeof f);
    memset(f + 16, 0, 2);
    dma_write(&m->mem, TX_DATA, f, sizeof f);
    tx_start();
    descriptor(TX_DATA, 100u | 16u << 16 | (1u | 2 | 4 | 8) << 24, 20u << 8);
    wr(TDT, tx_tail);
    CHECK_EQ(wire->count, 1);
    const uint8_t *p = wire->frames[0].data;
    CHECK_EQ(p[16] << 8 | p[17], (uint16_t)~inet_fold(inet_sum(f + 20, 80)));
    board_free();
}

static void a_full_wire_holds_the_ring(void)
{
    uint8_t f[60];
    start();
    tx_start();
    wire->room = 0;
    frame_to_us(f, sizeof f);
    dma_write(&m->mem, TX_DATA, f, sizeof f);
    unsigned sent = 0;
    for (; sent < 3000; sent++) {
        descriptor(TX_DATA, 60u | (1u | 8) << 24, 0);
        wr(TDT, tx_tail);
        if (rd(TDH) != tx_tail)
            break;
    }
    CHECK_EQ(sent, NET_QUEUE_FRAMES);
    wire->room = SIZE_MAX;
    net_accept(&wire->nc);
    settle();
    CHECK_EQ(rd(TDH), tx_tail);
    CHECK_EQ(wire->count, NET_QUEUE_FRAMES + 1);
    board_free();
}

/* ---- interrupts, reset, state ---- */

static void interrupts_are_throttled(void)
{
    start();
    wr(ITR, 20000 / 256 * 1000); /* 20 ms */
    wr(IMS, ICR_RXT0);
    wr(ICS, ICR_RXT0);
    CHECK_EQ(nic->pci.intx_level, 1);
    CHECK_EQ(rd(ICR), ICR_RXT0);
    CHECK_EQ(nic->pci.intx_level, 0);
    wr(ICS, ICR_RXT0);
    CHECK_EQ(nic->pci.intx_level, 0);
    pass_time(40);
    CHECK_EQ(nic->pci.intx_level, 1);
    board_free();
}

static void the_receive_interrupt_is_delayed(void)
{
    uint8_t f[60];
    start();
    frame_to_us(f, sizeof f);
    wr(RDTR, 20000); /* 20 ms */
    rx_start(0, RING - 1);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(rd(ICR) & ICR_RXT0, 0);
    pass_time(40);
    CHECK_EQ(rd(ICR) & ICR_RXT0, ICR_RXT0);
    net_peer_send(wire, f, sizeof f);
    wr(RDTR, 20000 | 1u << 31); /* flush */
    CHECK_EQ(rd(ICR) & ICR_RXT0, ICR_RXT0);
    board_free();
}

static void a_software_reset_keeps_link_and_address(void)
{
    start();
    wr(RCTL, RCTL_EN | RCTL_UPE);
    wr(RA, 0x12345678);
    wr(IMS, 0xff);
    mem_write(&m->io, PORT, RDLEN, 4); /* through the window on ports */
    mem_write(&m->io, PORT + 4, 0x100, 4);
    CHECK_EQ(rd(RDLEN), 0x100);
    CHECK_EQ(mem_read(&m->io, PORT + 4, 4), 0x100);
    wr(CTRL, rd(CTRL) | CTRL_RST);
    CHECK_EQ(rd(CTRL) & CTRL_RST, 0);
    CHECK_EQ(rd(RCTL), 0);
    CHECK_EQ(rd(IMS), 0);
    CHECK_EQ(rd(RDLEN), 0);
    CHECK_EQ(rd(RA), 0x12005452);
    CHECK_EQ(rd(STATUS) & STATUS_LU, STATUS_LU);
    board_free();
}

static void the_cable_is_seen(void)
{
    start();
    wr(IMS, ICR_LSC);
    net_set_link(&wire->nc, false);
    CHECK_EQ(rd(STATUS) & STATUS_LU, 0);
    CHECK_EQ(rd(ICR), ICR_LSC);
    net_set_link(&wire->nc, true); /* autonegotiation takes half a second */
    CHECK_EQ(rd(STATUS) & STATUS_LU, 0);
    pass_time(600);
    CHECK_EQ(rd(STATUS) & STATUS_LU, STATUS_LU);
    CHECK_EQ(rd(ICR), ICR_LSC);
    board_free();
}

static void loopback_comes_back(void)
{
    uint8_t f[100], got[100];
    start();
    frame_to_us(f, sizeof f);
    dma_write(&m->mem, TX_DATA, f, sizeof f);
    rx_start(RCTL_SECRC | RCTL_LBM_MAC, RING - 1);
    tx_start();
    descriptor(TX_DATA, 100u | (1u | 8) << 24, 0);
    wr(TDT, tx_tail);
    CHECK_EQ(wire->count, 0);
    CHECK_EQ(rx_desc(0).len, 100);
    dma_read(&m->mem, BUFFERS, got, sizeof got);
    CHECK(!memcmp(got, f, sizeof f));
    board_free();
}

static void the_card_does_not_write_itself(void)
{
    uint8_t f[1500];
    start();
    memset(f, 0xff, sizeof f);
    rx_start(RCTL_SECRC, RING - 1);
    for (uint32_t i = 0; i < RING; i++)
        dma_write32(&m->mem, RX_RING + i * 16, MMIO + i * 0x1000);
    net_peer_send(wire, f, sizeof f);
    wr(RDBAL, MMIO);
    wr(RDH, 0);
    net_peer_send(wire, f, sizeof f);
    wr(TDBAL, MMIO + 0x5400);
    wr(TDLEN, 0xfff80);
    wr(TCTL, TCTL_EN);
    wr(TDT, 0xffff);
    CHECK_EQ(rd(RA), 0x12005452);
    board_free();
}

static void state_is_saved_in_the_middle_of_a_packet(void)
{
    static uint8_t f[70000];
    struct error err;
    start();
    size_t payload = 40000, header = segment(f, false, payload, false);
    dma_write(&m->mem, TX_DATA, f, header + payload);
    tx_start();
    tso(false, header, payload, 1448, 0);
    descriptor(TX_DATA, 60u | (1u | 8) << 24, 0);
    wr(TDT, (tx_tail + RING - 2) % RING); /* half of it */
    CHECK_EQ(wire->count, 0);
    size_t size = device_save(&nic->pci.dev, NULL, 0);
    uint8_t *state = malloc(size);
    device_save(&nic->pci.dev, state, size);
    wr(CTRL, CTRL_RST);
    CHECK(device_load(&nic->pci.dev, state, size, &err));
    settle();
    wr(TDT, tx_tail);
    CHECK_EQ(wire->count, (payload + 1447) / 1448 + 1);
    /* Nonsense instead: nothing but a reset transmitter. */
    for (size_t i = 0; i < size; i++)
        state[i] = (uint8_t)rnd();
    CHECK(device_load(&nic->pci.dev, state, size, &err));
    settle();
    free(state);
    board_free();
}

int main(void)
{
    RUN(frames_wait_for_descriptors);
    RUN(long_frames_need_lpe_and_may_take_several_buffers);
    RUN(the_fcs_is_right_and_a_tag_is_stripped);
    RUN(receive_checksums_are_verified);
    RUN(segments_are_those_of_the_net);
    RUN(a_peer_that_can_gets_the_whole_packet);
    RUN(legacy_descriptors_insert_checksums);
    RUN(a_full_wire_holds_the_ring);
    RUN(interrupts_are_throttled);
    RUN(the_receive_interrupt_is_delayed);
    RUN(a_software_reset_keeps_link_and_address);
    RUN(the_cable_is_seen);
    RUN(loopback_comes_back);
    RUN(the_card_does_not_write_itself);
    RUN(state_is_saved_in_the_middle_of_a_packet);
    return test_done();
}
