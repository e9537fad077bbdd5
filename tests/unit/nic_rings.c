/*
 * What the NE2000, PCnet and RTL8139 do that QEMU's don't: hold the sender back while the ring is
 * full and go on when there is room, wait themselves while the wire is full, checksum and
 * segmentation offload, interrupts of timer and link, saved state. Plus rings that a hostile driver
 * would make.
 */
#include "devtest.h"
#include "hw/net/eth.h"
#include "hw/net/nics.h"
#include "net_peer.h"

#define PORT 0xc000u
#define MMIO 0xe0000000u
#define MAC  "\x52\x54\x00\x12\x34\x56"

static struct net_peer *wire;
static struct device *nic;

static void nic_new_on_board(const struct device_class *cls)
{
    struct error err = { "" };
    bool pci = !strcmp(cls->bus, "PCI");
    board_new();
    wire = net_peer_new(m, "n0");
    nic = device_new(m, cls);
    if (!device_set_prop(nic, "netdev", "n0", &err) ||
        (pci && !device_set_prop(nic, "romfile", "", &err)) || !device_realize(nic, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    if (pci) {
        struct pci_device *d = (struct pci_device *)nic;
        pci_device_reset(d);
        pci_config_write(d, PCI_BASE_ADDRESS_0, PORT, 4);
        pci_config_write(d, PCI_BASE_ADDRESS_0 + 4, MMIO, 4);
        pci_config_write(d, PCI_COMMAND, 7, 2);
    }
}

static bool intx(void)
{
    return ((struct pci_device *)nic)->intx_level;
}

/* Lets virtual time pass until the timers that are set now have run. */
static void pass_time(int ms)
{
    usleep((useconds_t)ms * 1000);
    clock_run_timers(&m->clock);
    settle();
}

static void number_frame(uint8_t *f, uint32_t number, size_t len)
{
    memset(f, 0, len);
    memcpy(f, MAC "\x52\x54\x00\xaa\xbb\xcc\x88\xb5", 14);
    memcpy(f + 14, &number, 4);
}

static void send_numbers(uint32_t from, uint32_t to, size_t len)
{
    uint8_t f[2048];
    for (; from < to; from++) {
        number_frame(f, from, len);
        net_peer_send(wire, f, len);
    }
}

/* ---- NE2000 ---- */

static void ne_reg(unsigned r, uint8_t v)
{
    outb((uint16_t)(PORT + r), v);
}

static void ne_start(void)
{
    nic_new_on_board(&ne2k_pci_class);
    clock_start(&m->clock);
    ne_reg(0, 0x21);
    ne_reg(0xe, 0x49);
    ne_reg(0xc, 0x04);
    ne_reg(1, 0x46);
    ne_reg(2, 0x80);
    ne_reg(3, 0x7f);
    ne_reg(4, 0x40);
    ne_reg(7, 0xff);
    ne_reg(0xf, 0x3f);
    ne_reg(0, 0x61);
    for (unsigned i = 0; i < 6; i++)
        ne_reg(1 + i, (uint8_t)MAC[i]);
    ne_reg(7, 0x46);
    ne_reg(0, 0x22);
}

static uint8_t ne_curr(void)
{
    ne_reg(0, 0x62);
    uint8_t v = inb(PORT + 7);
    ne_reg(0, 0x22);
    return v;
}

static void ne_read(unsigned addr, void *buf, unsigned len)
{
    ne_reg(0xa, (uint8_t)len);
    ne_reg(0xb, (uint8_t)(len >> 8));
    ne_reg(8, (uint8_t)addr);
    ne_reg(9, (uint8_t)(addr >> 8));
    ne_reg(0, 0x0a);
    for (unsigned i = 0; i < len; i += 2) {
        uint16_t w = inw(PORT + 0x10);
        memcpy((uint8_t *)buf + i, &w, 2);
    }
    ne_reg(0, 0x22);
}

/* Takes one frame as Linux's driver does; its number, or UINT32_MAX if there is none. */
static uint32_t ne_take(void)
{
    uint8_t page = (uint8_t)(inb(PORT + 3) + 1), b[4 + 18];
    if (page >= 0x80)
        page = 0x46;
    if (page == ne_curr())
        return UINT32_MAX;
    ne_read((unsigned)page << 8, b, sizeof b);
    uint32_t number;
    memcpy(&number, b + 4 + 14, 4);
    ne_reg(3, (uint8_t)(b[1] - 1));
    return number;
}

static void ne2000_full_ring_holds_the_sender(void)
{
    ne_start();
    send_numbers(0, 40, 1514);
    CHECK(net_queue_length(&wire->nc) == 0);
    CHECK(net_queue_length(wire->nc.peer) > 20);
    for (uint32_t i = 0; i < 40; i++)
        CHECK_EQ(ne_take(), i);
    CHECK_EQ(ne_take(), UINT32_MAX);
    CHECK_EQ(wire->nc.peer->stats.dropped, 0);
    board_free();
}

/* BNRY is 0x45 when Linux's driver has taken the frame in the last pages. */
static void ne2000_boundary_before_the_ring(void)
{
    ne_start();
    uint32_t next = 0;
    for (uint32_t sent = 0; sent < 400; sent += 4) {
        send_numbers(sent, sent + 4, 60 + sent * 3 % 1400);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(ne_take(), next++);
    }
    for (uint32_t n; (n = ne_take()) != UINT32_MAX; next++)
        CHECK_EQ(n, next);
    CHECK_EQ(next, 400);
    board_free();
}

static void ne2000_repeats_prx(void)
{
    ne_start();
    send_numbers(0, 3, 200);
    CHECK(intx());
    CHECK_EQ(ne_take(), 0);
    ne_reg(7, 0x01);
    CHECK(!intx());
    pass_time(2);
    CHECK(intx());
    /* Nothing taken since: not again. */
    ne_reg(7, 0x01);
    pass_time(2);
    CHECK(!intx());
    CHECK_EQ(ne_take(), 1);
    CHECK_EQ(ne_take(), 2);
    ne_reg(7, 0x01);
    pass_time(2);
    CHECK(!intx());
    board_free();
}

/* The header of the next frame in the ring; the frame is then taken. */
static uint32_t ne_header(void)
{
    uint8_t page = (uint8_t)(inb(PORT + 3) + 1), b[4];
    ne_read((unsigned)(page >= 0x80 ? 0x46 : page) << 8, b, sizeof b);
    ne_take();
    return b[0] | (uint32_t)b[2] << 8 | (uint32_t)b[3] << 16;
}

/* DP8390D: RCR's AR takes what is shorter than 64 bytes, and 8 or more. Nothing looks for long
 * ones. Without AR a short frame counts as one whose padding the sender left to the wire. */
static void ne2000_runts_and_giants(void)
{
    uint8_t f[3000];
    ne_start();
    number_frame(f, 1, sizeof f);
    net_peer_send(wire, f, 20);
    CHECK_EQ(ne_header(), 0x01 | 64 << 8);
    ne_reg(0xc, 0x06);
    net_peer_send(wire, f, 20);
    CHECK_EQ(ne_header(), 0x01 | 24 << 8);
    net_peer_send(wire, f, 8);
    CHECK_EQ(ne_header(), 0x01 | 12 << 8);
    net_peer_send(wire, f, 7);
    CHECK_EQ(ne_header(), 0x01 | 64 << 8);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(ne_header(), 0x01 | 3004 << 8);
    CHECK_EQ(ne_take(), UINT32_MAX);
    board_free();
}

static void ne2000_waits_for_the_wire(void)
{
    ne_start();
    wire->room = 0;
    unsigned sent = 0;
    ne_reg(5, 60);
    ne_reg(6, 0);
    for (; sent < 3000; sent++) {
        ne_reg(0, 0x26);
        if (inb(PORT) & 4)
            break;
    }
    CHECK_EQ(sent, NET_QUEUE_FRAMES);
    ne_reg(7, 0x02);
    CHECK(!intx());
    wire->room = SIZE_MAX;
    net_accept(&wire->nc);
    settle();
    CHECK_EQ(inb(PORT) & 4, 0);
    CHECK(intx());
    CHECK_EQ(wire->count, sent + 1);
    board_free();
}

static void ne2000_tally_and_loopback(void)
{
    ne_start();
    ne_reg(0xc, 0x24); /* monitor */
    send_numbers(0, 130, 60);
    CHECK_EQ(inb(PORT + 7) & 0x21, 0x20);
    CHECK_EQ(inb(PORT + 0xf), 130);
    CHECK_EQ(inb(PORT + 0xf), 0);
    CHECK_EQ(ne_curr(), 0x46);
    ne_reg(0xc, 0x04);
    ne_reg(0xd, 0x02); /* internal loopback */
    ne_reg(5, 64);
    ne_reg(6, 0);
    ne_reg(7, 0xff);
    ne_reg(0, 0x26);
    CHECK_EQ(wire->count, 0);
    CHECK_EQ(inb(PORT + 7), 0x02);
    CHECK_EQ(inb(PORT + 4), 0x53);
    CHECK_EQ(inb(PORT + 0xc), 0x02);
    for (int i = 0; i < 5; i++)
        inb(PORT + 6);
    CHECK_EQ(inb(PORT + 6), 68); /* length with FCS */
    board_free();
}

static void ne2000_bad_rings(void)
{
    static const uint8_t rings[][4] = { { 0x80, 0x46, 0x7f, 0x46 }, { 0x46, 0x46, 0x46, 0x46 },
                                        { 0x00, 0xff, 0x80, 0x00 }, { 0x46, 0xff, 0x46, 0xf0 },
                                        { 0xb0, 0xc0, 0xbf, 0xbf }, { 0x46, 0x48, 0x47, 0x47 } };
    for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        ne_start();
        ne_reg(1, rings[i][0]);
        ne_reg(2, rings[i][1]);
        ne_reg(3, rings[i][2]);
        ne_reg(0, 0x62);
        ne_reg(7, rings[i][3]);
        ne_reg(0, 0x22);
        send_numbers(0, 50, 1514);
        ne_reg(4, rings[i][0]);
        ne_reg(5, 0xff);
        ne_reg(6, 0xff);
        ne_reg(0, 0x26);
        ne_reg(0, 0x1a); /* send packet */
        for (int n = 0; n < 100; n++)
            inl(PORT + 0x10);
        board_free();
    }
}

/* ---- RTL8139 ---- */

#define TX_DESC 0x10000u
#define RX_DESC 0x11000u
#define TX_BUF  0x20000u
#define RX_BUF  0x80000u
#define RX_SIZE 1600u

static void rtl_start(uint16_t cpcr, unsigned rx_descriptors)
{
    nic_new_on_board(&rtl8139_class);
    clock_start(&m->clock);
    outb(PORT + 0x37, 0x10);
    outw(PORT + 0xe0, cpcr);
    outl(PORT + 0x20, TX_DESC);
    outl(PORT + 0x24, 0);
    outl(PORT + 0xe4, RX_DESC);
    outl(PORT + 0xe8, 0);
    outb(PORT + 0x37, 0x0c);
    outl(PORT + 0x44, 0xf90e);
    outw(PORT + 0x3c, 0x0005);
    for (unsigned i = 0; i < rx_descriptors; i++) {
        dma_write32(&m->mem, RX_DESC + 16 * i,
                    0x80000000 | (i + 1 == rx_descriptors ? 1u << 30 : 0) | RX_SIZE);
        dma_write32(&m->mem, RX_DESC + 16 * i + 8, RX_BUF + 2048 * i);
    }
}

static uint32_t rtl_number(unsigned i)
{
    return dma_read32(&m->mem, RX_BUF + 2048 * i + 14);
}

static void rtl8139_descriptor_ring_holds_the_sender(void)
{
    rtl_start(0x0003, 8);
    send_numbers(0, 20, 1514);
    CHECK_EQ(net_queue_length(wire->nc.peer), 12);
    uint32_t next = 0;
    for (int round = 0; round < 100 && next < 20; round++) {
        for (unsigned i = next % 8; next < 20; i = (i + 1) % 8) {
            uint32_t w = dma_read32(&m->mem, RX_DESC + 16 * i);
            if (w & 0x80000000)
                break;
            CHECK_EQ(w & 0x3fffffff, 0x32000000u | 1518);
            CHECK_EQ(rtl_number(i), next);
            next++;
            dma_write32(&m->mem, RX_DESC + 16 * i, 0x80000000 | (w & 1u << 30) | RX_SIZE);
        }
        if (round & 1)
            pass_time(2); /* nothing tells the card but time */
        else
            outw(PORT + 0x3e, 0xffff);
    }
    CHECK_EQ(next, 20);
    board_free();
}

static void rtl8139_legacy_ring_holds_the_sender(void)
{
    nic_new_on_board(&rtl8139_class);
    outl(PORT + 0x30, RX_BUF);
    outb(PORT + 0x37, 0x0c);
    outl(PORT + 0x44, 0x000e);
    send_numbers(0, 30, 1000);
    CHECK_EQ(net_queue_length(wire->nc.peer), 30 - 8);
    uint32_t at = 0;
    for (uint32_t i = 0; i < 30; i++) {
        CHECK(!(inb(PORT + 0x37) & 1));
        CHECK_EQ(dma_read16(&m->mem, RX_BUF + at), 0x4001);
        CHECK_EQ(dma_read16(&m->mem, RX_BUF + at + 2), 1004);
        CHECK_EQ(dma_read16(&m->mem, RX_BUF + (at + 4 + 14) % 8192), i);
        at = (at + 1008) % 8192;
        outw(PORT + 0x38, (uint16_t)(at - 16));
    }
    CHECK(inb(PORT + 0x37) & 1);
    board_free();
}

/* Linux's 8139too clears ROK and stops after 64 frames, whatever is left. */
static void rtl8139_repeats_rok(void)
{
    nic_new_on_board(&rtl8139_class);
    clock_start(&m->clock);
    outl(PORT + 0x30, RX_BUF);
    outb(PORT + 0x37, 0x0c);
    outl(PORT + 0x44, 0x000e);
    outw(PORT + 0x3c, 0x0001);
    send_numbers(0, 3, 1000);
    CHECK(intx());
    outw(PORT + 0x38, 1008 - 16);
    outw(PORT + 0x3e, 0x0001);
    CHECK(!intx());
    pass_time(2);
    CHECK(intx());
    outw(PORT + 0x3e, 0x0001); /* nothing taken since: not again */
    pass_time(2);
    CHECK(!intx());
    outw(PORT + 0x38, 3 * 1008 - 16);
    outw(PORT + 0x3e, 0x0001); /* empty */
    pass_time(2);
    CHECK(!intx());
    board_free();
    /* A full ring of descriptors. */
    rtl_start(0x0003, 8);
    send_numbers(0, 20, 1514);
    outw(PORT + 0x3e, 0xffff);
    CHECK(!intx());
    pass_time(3);
    CHECK(intx());
    outw(PORT + 0x3e, 0xffff);
    pass_time(3);
    CHECK(!intx());
    board_free();
}

/* A frame of an IPv4 packet: TCP or UDP with @payload bytes; checksums are 0. */
static size_t ip_frame(uint8_t *f, uint8_t proto, size_t payload)
{
    size_t l4 = proto == 6 ? 20 : 8, total = 20 + l4 + payload;
    number_frame(f, 0, 14 + total);
    memcpy(f + 12, "\x08\x00\x45\x00", 4);
    f[16] = (uint8_t)(total >> 8);
    f[17] = (uint8_t)total;
    f[22] = 64;
    f[23] = proto;
    memcpy(f + 26, "\x0a\x00\x02\x0f\x0a\x00\x02\x02", 8);
    memcpy(f + 34, "\x04\xd2\x00\x50", 4);
    if (proto == 6) {
        f[34 + 12] = 0x50;
        f[34 + 13] = 0x18;
    } else {
        f[38] = (uint8_t)((8 + payload) >> 8);
        f[39] = (uint8_t)(8 + payload);
    }
    for (size_t i = 0; i < payload; i++)
        f[14 + 20 + l4 + i] = (uint8_t)(i * 11);
    return 14 + total;
}

/* Both checksums of the packet are right (QEMU's and Linux's way: the sum over all is 0). */
static bool ip_checksums_right(const uint8_t *f, size_t len)
{
    uint8_t buf[70000] = { 0 };
    size_t total = (size_t)f[16] << 8 | f[17], l4 = total - 20;
    if (14 + total > len || net_checksum(f + 14, 20) != 0)
        return false;
    memcpy(buf, f + 26, 8);
    buf[9] = f[23];
    buf[10] = (uint8_t)(l4 >> 8);
    buf[11] = (uint8_t)l4;
    memcpy(buf + 12, f + 34, l4);
    return net_checksum(buf, 12 + l4) == 0;
}

static void rtl_send(uint32_t flags, uint32_t word1, const uint8_t *f, size_t len)
{
    dma_write(&m->mem, TX_BUF, f, len);
    /* in buffers of at most 4000 bytes */
    unsigned i = 0;
    for (size_t at = 0; at < len; at += 4000, i++) {
        size_t n = len - at < 4000 ? len - at : 4000;
        uint32_t w =
            0x80000000 | flags | (uint32_t)n | (at ? 0 : 1u << 29) | (at + n == len ? 1u << 28 : 0);
        dma_write32(&m->mem, TX_DESC + 16 * i, w);
        dma_write32(&m->mem, TX_DESC + 16 * i + 4, word1);
        dma_write32(&m->mem, TX_DESC + 16 * i + 8, TX_BUF + (uint32_t)at);
        dma_write32(&m->mem, TX_DESC + 16 * i + 12, 0);
    }
    outl(PORT + 0x20, TX_DESC); /* from the first one again */
    outb(PORT + 0xd9, 0x40);
}

static void rtl8139_checksum_offload(void)
{
    uint8_t f[2000];
    rtl_start(0x0003, 8);
    for (int tcp = 0; tcp < 2; tcp++)
        for (size_t payload = 1; payload < 1400; payload += 333) {
            size_t len = ip_frame(f, tcp ? 6 : 17, payload);
            net_peer_clear(wire);
            rtl_send(1u << 18 | 1u << (tcp ? 16 : 17), 0, f, len);
            CHECK_EQ(wire->count, 1);
            CHECK_EQ(wire->frames[0].len, len);
            CHECK(ip_checksums_right(wire->frames[0].data, len));
            CHECK_EQ(dma_read32(&m->mem, TX_DESC) >> 31, 0);
        }
    /* VLAN tag */
    size_t len = ip_frame(f, 6, 100);
    net_peer_clear(wire);
    rtl_send(1u << 18 | 1u << 16, 1u << 17 | 0x0520, f, len);
    CHECK_EQ(wire->frames[0].len, len + 4);
    CHECK(!memcmp(wire->frames[0].data + 12, "\x81\x00\x20\x05\x08\x00", 6));
    memmove(wire->frames[0].data + 12, wire->frames[0].data + 16, len - 12);
    CHECK(ip_checksums_right(wire->frames[0].data, len));
    board_free();
}

static void rtl8139_segmentation(void)
{
    static uint8_t f[40000];
    size_t len = ip_frame(f, 6, 30000), done = 0;
    rtl_start(0x0003, 8);
    rtl_send(1u << 27 | 1448u << 16, 0, f, len);
    CHECK_EQ(wire->count, (30000 + 1447) / 1448);
    for (size_t i = 0; i < wire->count; i++) {
        const struct net_peer_frame *p = &wire->frames[i];
        size_t n = p->len - 54;
        CHECK(ip_checksums_right(p->data, p->len));
        CHECK(!memcmp(p->data + 54, f + 54 + done, n));
        done += n;
    }
    CHECK_EQ(done, 30000);
    board_free();
}

static void rtl8139_verifies_checksums(void)
{
    uint8_t f[2000];
    rtl_start(0x0023, 8);
    for (int i = 0; i < 8; i++) {
        bool tcp = i & 1, bad_ip = i & 2, bad_l4 = i & 4;
        size_t len = ip_frame(f, tcp ? 6 : 17, 100 + (size_t)i);
        /* let the offload code fill them in */
        struct net_frame nf = { .data = f, .len = len };
        uint16_t ip = net_checksum(f + 14, 20);
        f[24] = (uint8_t)(ip >> 8);
        f[25] = (uint8_t)ip;
        uint32_t sum = (uint32_t)(len - 34) + f[23];
        for (int k = 26; k < 34; k += 2)
            sum += (uint32_t)f[k] << 8 | f[k + 1];
        sum = (sum & 0xffff) + (sum >> 16);
        size_t at = tcp ? 34 + 16 : 34 + 6;
        f[at] = (uint8_t)(sum >> 8);
        f[at + 1] = (uint8_t)sum;
        nf.off.needs_csum = true;
        nf.off.csum_start = 34;
        nf.off.csum_offset = (uint16_t)(at - 34);
        if (bad_ip)
            f[25] ^= 1;
        if (bad_l4)
            f[at] ^= 0x80;
        net_send(&wire->nc, &nf);
        uint32_t w = dma_read32(&m->mem, RX_DESC + 16 * (unsigned)i);
        CHECK_EQ(w >> 31, 0);
        CHECK_EQ(w >> 16 & 3, tcp ? 1 : 2);
        CHECK_EQ(w >> 15 & 1, bad_ip);
        CHECK_EQ(w >> 13 & 3, !bad_l4 ? 0 : tcp ? 1 : 2);
    }
    board_free();
}

static void rtl8139_waits_for_the_wire(void)
{
    uint8_t f[100];
    rtl_start(0x0003, 8);
    number_frame(f, 7, 60);
    wire->room = 0;
    unsigned sent = 0;
    for (; sent < 3000; sent++) {
        rtl_send(0, 0, f, 60);
        if (dma_read32(&m->mem, TX_DESC) & 0x80000000)
            break;
    }
    CHECK_EQ(sent, NET_QUEUE_FRAMES);
    wire->room = SIZE_MAX;
    net_accept(&wire->nc);
    settle();
    CHECK_EQ(dma_read32(&m->mem, TX_DESC) >> 31, 0);
    CHECK_EQ(wire->count, sent + 1);
    board_free();
}

static void rtl8139_timer_link_and_tally(void)
{
    uint8_t f[100];
    rtl_start(0x0003, 8);
    outw(PORT + 0x3c, 0x4020);
    outw(PORT + 0x3e, 0xffff);
    outl(PORT + 0x48, 0);
    outl(PORT + 0x54, 33000);
    CHECK(!intx());
    pass_time(3);
    CHECK(inl(PORT + 0x48) >= 33000);
    CHECK_EQ(inw(PORT + 0x3e) & 0x4000, 0x4000);
    CHECK(intx());
    outw(PORT + 0x3e, 0xffff);
    CHECK(!intx());
    CHECK_EQ(inw(PORT + 0x64) & 4, 4);
    net_set_link(&wire->nc, false);
    CHECK(intx());
    outw(PORT + 0x3e, 0xffff);
    net_set_link(&wire->nc, true);
    CHECK_EQ(inw(PORT + 0x3e), 0x0020);
    CHECK_EQ(inw(PORT + 0x64) & 4, 0); /* the loss is shown once */
    CHECK_EQ(inw(PORT + 0x64) & 4, 4);
    /* tally counters */
    number_frame(f, 0, 60);
    rtl_send(0, 0, f, 60);
    send_numbers(0, 5, 60);
    memset(f, 0xff, 6);
    net_peer_send(wire, f, 60);
    outl(PORT + 0x14, 0);
    outl(PORT + 0x10, 0x40000 | 8);
    CHECK_EQ(inl(PORT + 0x10), 0x40000);
    CHECK_EQ(dma_read64(&m->mem, 0x40000), 1);
    CHECK_EQ(dma_read64(&m->mem, 0x40008), 6);
    CHECK_EQ(dma_read64(&m->mem, 0x40028), 5);
    CHECK_EQ(dma_read64(&m->mem, 0x40030), 1);
    board_free();
}

/* Descriptors that never lose OWN (in ROM or in the card's own registers), buffers there too. */
static void rtl8139_rings_on_itself(void)
{
    rtl_start(0x0003, 8);
    send_numbers(0, 2, 60);
    outl(PORT + 0xe4, MMIO);
    outl(PORT + 0x20, MMIO);
    outb(PORT + 0xd9, 0xc1);
    send_numbers(0, 5, 60);
    for (unsigned i = 0; i < 64; i++) {
        dma_write32(&m->mem, TX_DESC + 16 * i, 0x80000000 | 0xffff);
        dma_write32(&m->mem, TX_DESC + 16 * i + 8, MMIO + 0xd0);
    }
    outl(PORT + 0x20, TX_DESC);
    outb(PORT + 0xd9, 0xc1);
    dma_write32(&m->mem, TX_DESC, 0xf0000000 | 0x100);
    outl(PORT + 0x20, TX_DESC);
    outb(PORT + 0xd9, 0x40);
    CHECK_EQ(dma_read32(&m->mem, TX_DESC) >> 31, 0);
    board_free();
}

/* ---- PCnet ---- */

static void csr(unsigned n, uint16_t v)
{
    outw(PORT + 0x12, (uint16_t)n);
    outw(PORT + 0x10, v);
}
static uint16_t get_csr(unsigned n)
{
    outw(PORT + 0x12, (uint16_t)n);
    return inw(PORT + 0x10);
}

static void pcnet_start(uint16_t mode)
{
    uint8_t b[28] = { 0 };
    nic_new_on_board(&pcnet_class);
    clock_start(&m->clock);
    outw(PORT + 0x12, 20);
    outw(PORT + 0x16, 2);
    pci_set16(b, mode);
    b[2] = b[3] = 3 << 4;
    memcpy(b + 4, MAC, 6);
    pci_set32(b + 20, RX_DESC);
    pci_set32(b + 24, TX_DESC);
    dma_write(&m->mem, 0x1000, b, sizeof b);
    for (unsigned i = 0; i < 8; i++) {
        dma_write32(&m->mem, RX_DESC + 16 * i, RX_BUF + 2048 * i);
        dma_write32(&m->mem, RX_DESC + 16 * i + 4, 0x8000f000 | (-RX_SIZE & 0xfff));
    }
    csr(1, 0x1000);
    csr(2, 0);
    csr(0, 1);
    csr(0, 0x0142);
}

static void pcnet_ring_holds_the_sender(void)
{
    pcnet_start(0);
    send_numbers(0, 20, 1514);
    CHECK_EQ(net_queue_length(wire->nc.peer), 12);
    CHECK_EQ(get_csr(0) & 0x1400, 0x0400); /* RINT, no MISS */
    uint32_t next = 0;
    for (int round = 0; round < 100 && next < 20; round++) {
        for (unsigned i = next % 8; next < 20; i = (i + 1) % 8) {
            uint32_t w = dma_read32(&m->mem, RX_DESC + 16 * i + 4);
            if (w & 0x80000000)
                break;
            CHECK_EQ(w >> 16, 0x0340);
            CHECK_EQ(dma_read32(&m->mem, RX_DESC + 16 * i + 8), 1518);
            CHECK_EQ(rtl_number(i), next);
            next++;
            dma_write32(&m->mem, RX_DESC + 16 * i + 4, 0x8000f000 | (-RX_SIZE & 0xfff));
        }
        if (round & 1)
            pass_time(3); /* nothing tells the card but time */
        else
            csr(0, 0x0440);
    }
    CHECK_EQ(next, 20);
    board_free();
}

/* Am79C970A: RPA of CSR124, which only a stopped part lets be set, takes what is shorter than 64
 * bytes. A long frame goes to as many buffers as it needs; one that all of them can't hold is
 * missed, and MFCO tells that the counter of those went round. */
static void pcnet_runts_and_giants(void)
{
    static uint8_t f[8 * RX_SIZE + 1];
    number_frame(f, 1, sizeof f);
    pcnet_start(0);
    net_peer_send(wire, f, 20);
    CHECK_EQ(dma_read32(&m->mem, RX_DESC + 8), 64);
    csr(124, 8);
    CHECK_EQ(get_csr(124), 0);
    csr(0, 4);
    csr(124, 8);
    csr(112, 0xffff);
    csr(0, 0x42);
    net_peer_send(wire, f, 20);
    CHECK_EQ(dma_read32(&m->mem, RX_DESC + 16 + 8), 24);
    net_peer_send(wire, f, 2 * RX_SIZE);
    CHECK_EQ(dma_read32(&m->mem, RX_DESC + 2 * 16 + 4) >> 16, 0x0200); /* STP */
    CHECK_EQ(dma_read32(&m->mem, RX_DESC + 4 * 16 + 8), (2 * RX_SIZE + 4) & 0xfff);
    CHECK_EQ(get_csr(0) & 0x1000, 0);
    CHECK_EQ(get_csr(4) & 0x200, 0);
    board_free();
    pcnet_start(0);
    csr(0, 4);
    csr(112, 0xffff);
    csr(0, 0x42);
    net_peer_send(wire, f, sizeof f);
    CHECK_EQ(get_csr(0) & 0x1000, 0x1000); /* MISS */
    CHECK_EQ(get_csr(4) & 0x200, 0x200);
    CHECK_EQ(get_csr(112), 0);
    board_free();
}

static void pcnet_polls_its_ring(void)
{
    pcnet_start(0);
    dma_write32(&m->mem, TX_DESC, TX_BUF);
    dma_write32(&m->mem, TX_DESC + 4, 0x8300f000 | (-60u & 0xfff));
    CHECK_EQ(wire->count, 0);
    for (int i = 0; i < 50 && !wire->count; i++)
        pass_time(3);
    CHECK_EQ(wire->count, 1);
    CHECK_EQ(get_csr(0) & 0x0200, 0x0200);
    board_free();
}

static void pcnet_suspends(void)
{
    pcnet_start(0);
    csr(5, 1);
    CHECK_EQ(get_csr(5) & 1, 1);
    send_numbers(0, 3, 60);
    CHECK_EQ(dma_read32(&m->mem, RX_DESC + 4) >> 31, 1);
    csr(15, 0x8000);
    CHECK_EQ(get_csr(15), 0x8000);
    csr(5, 0);
    CHECK_EQ(dma_read32(&m->mem, RX_DESC + 4) >> 31, 0);
    CHECK_EQ(rtl_number(2), 2);
    board_free();
}

static void pcnet_without_carrier(void)
{
    pcnet_start(0);
    outw(PORT + 0x12, 4);
    CHECK_EQ(inw(PORT + 0x16), 0x80c0);
    net_set_link(&wire->nc, false);
    CHECK_EQ(inw(PORT + 0x16), 0x00c0);
    dma_write32(&m->mem, TX_DESC, TX_BUF);
    dma_write32(&m->mem, TX_DESC + 4, 0x8300f000 | (-60u & 0xfff));
    csr(0, 0x0048);
    CHECK_EQ(dma_read32(&m->mem, TX_DESC + 4) >> 16, 0x4300);
    CHECK_EQ(dma_read32(&m->mem, TX_DESC + 8), 1u << 27);
    CHECK_EQ(get_csr(0) & 0xa200, 0xa200);
    CHECK_EQ(wire->count, 0);
    board_free();
}

static void pcnet_rings_on_itself(void)
{
    pcnet_start(0);
    csr(0, 4);
    csr(30, (uint16_t)MMIO);
    csr(31, MMIO >> 16);
    csr(24, (uint16_t)MMIO);
    csr(25, MMIO >> 16);
    csr(76, 1); /* 65535 descriptors */
    csr(78, 1);
    csr(0, 2);
    csr(0, 8);
    send_numbers(0, 5, 60);
    csr(0, 4);
    csr(30, (uint16_t)TX_DESC);
    csr(31, TX_DESC >> 16);
    for (unsigned i = 0; i < 600; i++) {
        dma_write32(&m->mem, TX_DESC + 16 * i, MMIO);
        dma_write32(&m->mem, TX_DESC + 16 * i + 4, 0x8200f000);
    }
    csr(0, 2);
    csr(0, 8);
    CHECK(wire->count <= 1024); /* nothing endless */
    board_free();
}

/* ---- all ---- */

/* Saving and loading in mid-stream changes nothing. */
static void state_survives_save_and_load(void)
{
    rtl_start(0x0003, 8);
    send_numbers(0, 20, 1514);
    size_t len = device_save(nic, NULL, 0);
    uint8_t *buf = malloc(len), *again = malloc(len);
    device_save(nic, buf, len);
    CHECK(device_load(nic, buf, len, NULL));
    device_save(nic, again, len);
    CHECK(!memcmp(buf, again, len));
    free(buf);
    free(again);
    board_free();
}

static void frame_check_sequence(void)
{
    uint8_t fcs[4];
    eth_fcs((const uint8_t *)"123456789", 9, fcs);
    CHECK(!memcmp(fcs, "\x26\x39\xf4\xcb", 4));
    eth_fcs((const uint8_t *)"", 0, fcs);
    CHECK(!memcmp(fcs, "\0\0\0\0", 4));
    /* Every length, beside the definition: one bit after the other. */
    uint8_t data[100];
    uint32_t crc = 0xffffffff;
    for (size_t len = 0; len < sizeof data; len++) {
        eth_fcs(data, len, fcs);
        CHECK_EQ(fcs[0] | fcs[1] << 8 | fcs[2] << 16 | (uint32_t)fcs[3] << 24, ~crc);
        crc ^= data[len] = (uint8_t)(len * 37 + 11);
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
}

int main(void)
{
    RUN(ne2000_full_ring_holds_the_sender);
    RUN(ne2000_boundary_before_the_ring);
    RUN(ne2000_repeats_prx);
    RUN(ne2000_runts_and_giants);
    RUN(ne2000_waits_for_the_wire);
    RUN(ne2000_tally_and_loopback);
    RUN(ne2000_bad_rings);
    RUN(rtl8139_descriptor_ring_holds_the_sender);
    RUN(rtl8139_legacy_ring_holds_the_sender);
    RUN(rtl8139_repeats_rok);
    RUN(rtl8139_checksum_offload);
    RUN(rtl8139_segmentation);
    RUN(rtl8139_verifies_checksums);
    RUN(rtl8139_waits_for_the_wire);
    RUN(rtl8139_timer_link_and_tally);
    RUN(rtl8139_rings_on_itself);
    RUN(pcnet_ring_holds_the_sender);
    RUN(pcnet_runts_and_giants);
    RUN(pcnet_polls_its_ring);
    RUN(pcnet_suspends);
    RUN(pcnet_without_carrier);
    RUN(pcnet_rings_on_itself);
    RUN(state_survives_save_and_load);
    RUN(frame_check_sequence);
    return test_done();
}
