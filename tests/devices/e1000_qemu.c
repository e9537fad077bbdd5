/*
 * The e1000 beside QEMU's: registers, EEPROM both ways, PHY, interrupt causes, the receive filter
 * with all its kinds of addresses, receive rings with every buffer size, VLAN tags, and what goes
 * out by legacy and extended descriptors, with checksums and segmentation.
 *
 * Where ours does more (tests/unit/e1000.c) the comparison looks away: the packet checksum and the
 * FCS in receive descriptors and buffers, receive checksum offload, the software reset, which
 * QEMU's card ignores, and reserved bits of registers, which it stores.
 */
#include "hw/net/e1000_int.h"
#include "hw/net/nics.h"
#include "nic_both.h"

#define RX_RING  0x100000u
#define TX_RING  0x110000u
#define BUFFERS  0x200000u
#define TX_DATA  0x400000u
#define RING     64u
#define BUF_STEP 0x4000u

static uint32_t tx_tail, rx_tail;

static void wr(uint32_t r, uint32_t v)
{
    qtest_write(qemu, MMIO + r, v, 4);
    mem_write(&m->mem, MMIO + r, v, 4);
    settle();
}

static uint32_t rd_masked(uint32_t r, uint32_t mask)
{
    uint32_t theirs = (uint32_t)qtest_read(qemu, MMIO + r, 4);
    uint32_t ours = (uint32_t)mem_read(&m->mem, MMIO + r, 4);
    settle();
    if ((theirs ^ ours) & mask)
        DIFFER("register 0x%05x reads 0x%08x, QEMU's 0x%08x", r, ours, theirs);
    return ours;
}

static uint32_t rd(uint32_t r)
{
    return rd_masked(r, UINT32_MAX);
}

/* Bits that QEMU's card stores and ours doesn't; and RCTL_EN. */
static uint32_t reserved(uint32_t r)
{
    switch (r) {
    case RCTL: return RCTL_EN;
    case VET: return 0xffff0000;
    case RDBAL:
    case TDBAL: return 0xf;
    default: return r >= RA && r <= RA_LAST && (r & 4) ? 0x7ffc0000 : 0;
    }
}

/* Until QEMU's register has @want in @mask; its receiver works when its main loop gets round. */
static void wait_reg(uint32_t r, uint32_t mask, uint32_t want)
{
    uint32_t theirs = 0;
    for (int i = 0; i < WAIT_MS / 10; i++) {
        theirs = (uint32_t)qtest_read(qemu, MMIO + r, 4);
        if ((theirs & mask) == want)
            break;
        usleep(1000);
    }
    uint32_t ours = (uint32_t)mem_read(&m->mem, MMIO + r, 4);
    if ((theirs & mask) != want || (ours & mask) != want)
        DIFFER("waited for 0x%05x & 0x%x to be 0x%x: ours 0x%x, QEMU's 0x%x", r, mask, want, ours,
               theirs);
}

/* ---- registers ---- */

static void registers_at_reset(void)
{
    step = "registers at reset";
    for (uint32_t r = 0; r < 0xa000; r += 4)
        if (r != MDIC && r != CTRL_DUP)
            rd(r);
}

static void registers_keep_what_they_can(void)
{
    /* Storage and no more. */
    static const struct {
        uint32_t first, last;
    } plain[] = {
        { VET, VET },
        { RCTL, RCTL },
        { LEDCTL, LEDCTL },
        { PBA, PBA },
        { RDFH, RDFH },
        { RDBAL, RDLEN },
        { RADV, RADV },
        { TDFH, TDFH },
        { TDBAL, TDLEN },
        { TADV, TADV },
        { MTA, MTA_LAST },
        { RA + 8, RA_LAST },
        { VFTA, VFTA_LAST },
        { WUC, WUC },
        { WUFC, WUFC },
        { IPAV, IPAV },
        { IP4AT, IP4AT + 0x18 },
        { IP6AT, IP6AT + 0xc },
        { MANC, MANC },
        { FFLT, FFLT + 0x18 },
        { FFMT, FFMT + 0x40 },
        { FFVT, FFVT + 0x40 },
    };
    step = "plain registers";
    for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++)
        for (uint32_t r = plain[i].first; r <= plain[i].last; r += 4) {
            if (plain[i].first == FFMT && r & 4)
                continue;
            wr(r, rnd() & ~reserved(r));
            rd(r);
        }
    wr(RCTL, 0);
    wr(VET, 0x8100);
    for (uint32_t r = MTA; r <= MTA_LAST; r += 4)
        wr(r, 0);
    for (uint32_t r = RA + 8; r <= RA_LAST; r += 4)
        wr(r, 0);
}

static void eeprom_reads_word_by_word_and_bit_by_bit(void)
{
    step = "EERD";
    for (uint32_t w = 0; w < 66; w++) {
        wr(EERD, w << 8 | 1);
        rd_masked(EERD, 0xffffff10);
    }
    step = "EECD";
    for (uint32_t w = 0; w < 64; w++) {
        uint32_t command = 6u << 6 | w, word = 0;
        wr(EECD, 0x40);
        wr(EECD, 0x42);
        for (int bit = 8; bit >= 0; bit--) {
            uint32_t di = (command >> bit & 1) * 4;
            wr(EECD, 0x42 | di);
            wr(EECD, 0x43 | di);
            wr(EECD, 0x42 | di);
        }
        for (int bit = 0; bit < 16; bit++) {
            wr(EECD, 0x43);
            word = word << 1 | (rd_masked(EECD, 8) >> 3 & 1);
            wr(EECD, 0x42);
        }
        wr(EECD, 0x40);
        wr(EERD, w << 8 | 1);
        if (word != rd(EERD) >> 16)
            DIFFER("word %u is 0x%04x", w, word);
    }
}

static void phy_answers(void)
{
    step = "PHY";
    for (uint32_t r = 0; r < 32; r++) {
        wr(MDIC, 2u << 26 | 1u << 21 | r << 16);
        if (r != 18 && r != 29 && r != 30) /* in the chip's manual, not in QEMU */
            rd(MDIC);
    }
    wr(MDIC, 2u << 26 | 3u << 21 | 1u << 16); /* nobody there */
    rd_masked(MDIC, 0x50000000);
    static const uint8_t writable[] = { 4, 9, 16, 20 };
    for (unsigned i = 0; i < sizeof writable; i++) {
        wr(MDIC, 1u << 26 | 1u << 21 | (uint32_t)writable[i] << 16 | (rnd() & 0xffff));
        rd(MDIC);
        wr(MDIC, 2u << 26 | 1u << 21 | (uint32_t)writable[i] << 16);
        rd(MDIC);
    }
    wr(MDIC, 1u << 29 | 2u << 26 | 1u << 21);
    rd(ICR);
}

static void causes_and_masks(void)
{
    step = "interrupts";
    wr(IMC, UINT32_MAX);
    rd(ICR);
    for (int i = 0; i < 200; i++) {
        uint32_t v = rnd() & 0x1ffff;
        switch (rnd() % 6) {
        case 0: wr(ICS, v); break;
        case 1: wr(IMS, v); break;
        case 2: wr(IMC, v); break;
        case 3: wr(ICR, v); break;
        case 4: rd(ICR); break;
        default: rd(IMS); break;
        }
        compare_intx();
    }
    wr(IMC, UINT32_MAX);
    rd(ICR);
}

/* ---- receiving ---- */

static void rx_start(uint32_t rctl)
{
    static const uint8_t zeros[RING * 16];
    wr(RCTL, 0);
    poke(RX_RING, zeros, sizeof zeros);
    for (uint32_t i = 0; i < RING; i++)
        poke32(RX_RING + i * 16, BUFFERS + i * BUF_STEP);
    wr(RDBAL, RX_RING);
    wr(RDBAH, 0);
    wr(RDLEN, RING * 16);
    wr(RDH, 0);
    rx_tail = RING - 1;
    wr(RDT, rx_tail);
    wr(RCTL, rctl | RCTL_EN | RCTL_SECRC);
}

/* All descriptors and buffers. Not the packet checksum, nor the mark of frames that only passed by
 * the hash (PIF). */
static void compare_rx(size_t buffer)
{
    for (uint32_t i = 0; i < RING; i++) {
        uint8_t theirs[16], ours[16];
        qtest_read_bytes(qemu, RX_RING + i * 16, theirs, 16);
        dma_read(&m->mem, RX_RING + i * 16, ours, 16);
        ours[12] &= 0x7f;
        memcpy(ours + 10, theirs + 10, 2);
        if (memcmp(theirs, ours, 16))
            DIFFER("descriptor %u: length %u, status 0x%02x%02x; QEMU's: %u, 0x%02x%02x", i,
                   pci_get16(ours + 8), ours[13], ours[12], pci_get16(theirs + 8), theirs[13],
                   theirs[12]);
        compare_memory(BUFFERS + i * BUF_STEP, buffer);
    }
}

/* QEMU counts received frames by their length without FCS, broadcasts as multicasts, and packets
 * that were segmented in its own way. @octets: also received octets, which it counts without the
 * VLAN tag that was taken out. */
static void compare_statistics(bool octets)
{
    for (uint32_t r = STATS_FIRST; r <= STATS_LAST; r += 4)
        rd_masked(r, (r >= 0x405c && r <= 0x4070) || r == 0x4078 || r == 0x407c || r == 0x40f8 ||
                             (!octets && (r == 0x4088 || r == 0x40c0))
                         ? 0
                         : UINT32_MAX);
}

static void frames_of_all_sizes(void)
{
    static const uint32_t modes[] = { 0, 1u << 16, 2u << 16, 3u << 16, 3u << 16 | RCTL_BSEX };
    static const size_t sizes[] = { 60, 61, 64, 127, 128, 255, 256, 257, 512, 1000, 1024, 1514 };
    step = "receive buffers";
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        rx_start(modes[i]);
        for (unsigned j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            put_on_wire(make_frame(MAC, sizes[j], i + j), sizes[j]);
        uint32_t head = (uint32_t)mem_read(&m->mem, MMIO + RDH, 4);
        wait_reg(RDH, 0xffff, head);
        rd_masked(ICR, ICR_RXT0);
        compare_rx(1600);
        compare_statistics(true);
    }
}

/* Each frame only passes by one rule, or by none; a last one for everybody shows that all are
 * through. */
static void filter(void)
{
    static const char *const targets[] = {
        MAC,
        OTHER,
        "\xff\xff\xff\xff\xff\xff",
        "\x01\x00\x5e\x12\x34\x56",
        "\x33\x33\xff\x12\x34\x56",
        "\x02\x11\x22\x33\x44\x55",
    };
    step = "receive filter";
    wr(RA + 8, 0x33221102);
    wr(RA + 12, 0x80005544);
    for (int i = 0; i < 16; i++) {
        for (uint32_t r = MTA; r <= MTA_LAST; r += 4)
            wr(r, i & 1 ? rnd() & rnd() : 0);
        rx_start((rnd() & (RCTL_UPE | RCTL_MPE | RCTL_BAM | 3u << 12)));
        for (unsigned j = 0; j < sizeof targets / sizeof targets[0]; j++)
            /* QEMU lets the hash decide about unicast, too. */
            if (targets[j][0] & 1 || !(i & 1))
                put_on_wire(make_frame(targets[j], 60, j), 60);
        for (int j = 0; j < 6; j++) {
            char group[6];
            for (int k = 0; k < 6; k++)
                group[k] = (char)rnd();
            group[0] |= 1;
            put_on_wire(make_frame(group, 60, (unsigned)j), 60);
        }
        put_on_wire(make_frame(MAC, 70, 99), 70);
        wait_reg(RDH, 0xffff, (uint32_t)mem_read(&m->mem, MMIO + RDH, 4));
        compare_rx(80);
        compare_statistics(true);
    }
    wr(RA + 12, 0);
}

static void vlans(void)
{
    step = "VLANs";
    wr(VFTA + 4 * (5 / 32), 1u << 5);
    for (int mode = 0; mode < 4; mode++) {
        wr(CTRL, 0x00140240 | (mode & 1 ? (uint32_t)CTRL_VME : 0));
        rx_start(mode & 2 ? (uint32_t)RCTL_VFE : 0);
        for (unsigned id = 4; id < 7; id++) {
            uint8_t f[100];
            memcpy(f, make_frame(MAC, sizeof f, id), sizeof f);
            memcpy(f + 12, "\x81\x00\x60", 3);
            f[15] = (uint8_t)id;
            put_on_wire(f, sizeof f);
        }
        put_on_wire(make_frame(MAC, 70, 99), 70);
        wait_reg(RDH, 0xffff, (uint32_t)mem_read(&m->mem, MMIO + RDH, 4));
        compare_rx(100);
        compare_statistics(false);
    }
    wr(CTRL, 0x00140240);
}

/* ---- transmitting ---- */

static void tx_start(void)
{
    static const uint8_t zeros[RING * 16];
    wr(TCTL, 0);
    poke(TX_RING, zeros, sizeof zeros);
    wr(TDBAL, TX_RING);
    wr(TDBAH, 0);
    wr(TDLEN, RING * 16);
    wr(TDH, 0);
    wr(TDT, tx_tail = 0);
    wr(TCTL, TCTL_EN | TCTL_PSP);
    net_peer_clear(wire);
}

static void descriptor(uint64_t addr, uint32_t dw2, uint32_t dw3)
{
    uint32_t d[4] = { (uint32_t)addr, (uint32_t)(addr >> 32), dw2, dw3 };
    poke(TX_RING + tx_tail * 16, d, sizeof d);
    tx_tail = (tx_tail + 1) % RING;
}

static void go(void)
{
    wr(TDT, tx_tail);
    wait_reg(TDH, 0xffff, tx_tail);
    rd_masked(ICR, ICR_TXDW | ICR_TXQE);
    compare_memory(TX_RING, RING * 16);
}

static void compare_all_sent(void)
{
    for (size_t i = 0; i < wire->count; i++)
        compare_sent(i);
}

static void legacy_descriptors(void)
{
    step = "legacy descriptors";
    tx_start();
    for (unsigned i = 0; i < 6; i++) {
        size_t len = 60 + 201 * i;
        poke(TX_DATA, make_frame(OTHER, len, i), len);
        /* In two pieces. */
        descriptor(TX_DATA, 30u, 0);
        descriptor(TX_DATA + 30, (uint32_t)(len - 30) | (1u | 2u | 8u) << 24, 0);
        go();
    }
    compare_all_sent();
    compare_statistics(true);
}

/* An IPv4 or IPv6 TCP segment with @payload bytes, its checksum fields as a driver leaves them.
 * Returns the header's length. */
static uint32_t segment(uint8_t *f, bool v6, size_t payload, bool tso)
{
    uint32_t ip = 14, l4 = v6 ? 54 : 34, header = l4 + 20;
    memcpy(f, make_frame(OTHER, 54, 1), 54);
    memset(f + ip, 0, header - ip);
    size_t l4_len = 20 + payload;
    if (v6) {
        f[12] = 0x86;
        f[13] = 0xdd;
        f[ip] = 0x60;
        f[ip + 6] = 6;
        for (int i = 8; i < 40; i++)
            f[ip + (uint32_t)i] = (uint8_t)(i * 3);
        if (!tso) {
            f[ip + 4] = (uint8_t)(l4_len >> 8);
            f[ip + 5] = (uint8_t)l4_len;
        }
    } else {
        f[12] = 8;
        f[13] = 0;
        f[ip] = 0x45;
        f[ip + 4] = 0x12;
        f[ip + 5] = 0xfe;
        f[ip + 8] = 64;
        f[ip + 9] = 6;
        memcpy(f + ip + 12, "\x0a\x00\x02\x0f\x0a\x00\x02\x02", 8);
        if (!tso) {
            f[ip + 2] = (uint8_t)((20 + l4_len) >> 8);
            f[ip + 3] = (uint8_t)(20 + l4_len);
        }
    }
    memcpy(f + l4, "\x12\x34\x00\x50\xff\xff\xff\x00\x00\x00\x00\x01\x50\x19\x10\x00", 16);
    uint32_t sum = 6 + (tso ? 0 : (uint32_t)l4_len);
    for (uint32_t i = v6 ? 8 : 12; i < (v6 ? 40u : 20u); i += 2)
        sum += (uint32_t)(f[ip + i] << 8 | f[ip + i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    f[l4 + 16] = (uint8_t)(sum >> 8);
    f[l4 + 17] = (uint8_t)sum;
    for (size_t i = 0; i < payload; i++)
        f[header + i] = (uint8_t)(i * 31 + i / 256);
    return header;
}

static void checksums(void)
{
    static uint8_t f[2048];
    step = "checksum offload";
    tx_start();
    for (unsigned i = 0; i < 8; i++) {
        bool v6 = i & 1;
        size_t payload = 6 + i * 177; /* QEMU doesn't pad */
        uint32_t l4 = v6 ? 54 : 34, header = segment(f, v6, payload, false);
        uint32_t len = header + (uint32_t)payload;
        poke(TX_DATA, f, len);
        uint32_t context = 14u | 24u << 8 | (v6 ? 0 : 33u) << 16;
        uint32_t tucmd = 0x20u | 1 | (v6 ? 0 : 2);
        descriptor(context | (uint64_t)(l4 | (l4 + 16) << 8) << 32, tucmd << 24, 0);
        uint32_t popts = 2u | (v6 ? 0 : 1);
        descriptor(TX_DATA, 40u | 1u << 20 | 0x20u << 24, popts << 8);
        descriptor(TX_DATA + 40, (len - 40) | 1u << 20 | (0x20u | 1 | 2 | 8) << 24, popts << 8);
        go();
    }
    compare_all_sent();
    compare_statistics(true);
}

/* IPv4: QEMU's payload length of IPv6 is wrong. No multiples of the segment size: there it sends
 * one without payload. */
static void segmentation(void)
{
    static uint8_t f[70000];
    static const uint32_t sizes[] = { 6, 1500, 3000, 20000, 65000 };
    step = "segmentation";
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t payload = sizes[i], l4 = 34, header = segment(f, false, payload, true);
        tx_start();
        poke(TX_DATA, f, header + payload);
        uint32_t context = 14u | 24u << 8 | 33u << 16, tucmd = 0x20u | 1 | 2 | 4 | 8;
        descriptor(context | (uint64_t)(l4 | (l4 + 16) << 8) << 32, payload | tucmd << 24,
                   header << 8 | 1460u << 16);
        uint32_t popts = 3, at = 0, total = header + payload;
        /* The header alone, then pieces of 4000 bytes. */
        while (at < total) {
            uint32_t n = at == 0 ? header : total - at < 4000 ? total - at : 4000;
            bool last = at + n == total;
            descriptor(TX_DATA + at, n | 1u << 20 | (0x20u | 4 | (last ? 1u | 2 | 8 : 0)) << 24,
                       popts << 8);
            at += n;
        }
        go();
        compare_all_sent();
        compare_statistics(true);
    }
}

static void tags(void)
{
    step = "VLAN insertion";
    wr(CTRL, 0x00140240 | CTRL_VME);
    tx_start();
    for (unsigned i = 0; i < 3; i++) {
        poke(TX_DATA, make_frame(OTHER, 100, i), 100);
        descriptor(TX_DATA, 100u | (1u | 2 | 8 | 0x40) << 24, (0x2005u + i) << 16);
        go();
    }
    compare_all_sent();
    wr(CTRL, 0x00140240);
}

int main(void)
{
    if (!nic_start(&e1000_class))
        return 77;
    nic_config(PCI_BASE_ADDRESS_0, MMIO);
    nic_config(PCI_BASE_ADDRESS_0 + 4, PORT);
    for (unsigned r = 0; r < 0x40; r += 4)
        compare_config(r, r == PCI_ROM_ADDRESS ? 0 : UINT32_MAX);
    registers_at_reset();
    registers_keep_what_they_can();
    eeprom_reads_word_by_word_and_bit_by_bit();
    phy_answers();
    causes_and_masks();
    frames_of_all_sizes();
    filter();
    vlans();
    legacy_descriptors();
    checksums();
    segmentation();
    tags();
    return nic_done();
}
