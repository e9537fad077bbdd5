/*
 * Am79C970A against QEMU's: both I/O widths, CSRs and BCRs after reset and after writes,
 * initialization block and rings in all software styles, filters, loopback. Meant differences are
 * masked where they occur.
 */
#include "hw/net/nics.h"
#include "nic_both.h"

#define INIT_BLOCK 0x10000u
#define RX_RING    0x11000u
#define TX_RING    0x12000u
#define TX_BUF     0x20000u
#define RX_BUF     0x30000u
#define RX_SIZE    1544u
#define RLEN       2u /* 4 descriptors */

static bool dwio;
static unsigned style;

static void port_out(unsigned n, uint32_t v)
{
    if (dwio)
        out((uint16_t)(PORT + 0x10 + 4 * n), v, 4);
    else
        out((uint16_t)(PORT + 0x10 + 2 * n), v, 2);
}
static uint32_t port_in(unsigned n, uint32_t mask)
{
    return dwio ? in_masked((uint16_t)(PORT + 0x10 + 4 * n), 4, mask)
                : in_masked((uint16_t)(PORT + 0x10 + 2 * n), 2, mask);
}
static void csr(unsigned n, uint32_t v)
{
    port_out(1, n);
    port_out(0, v);
}
static void bcr(unsigned n, uint32_t v)
{
    port_out(1, n);
    port_out(3, v);
}
static uint32_t get_csr(unsigned n, uint32_t mask)
{
    port_out(1, n);
    return port_in(0, mask);
}
static void get_bcr(unsigned n)
{
    port_out(1, n);
    port_in(3, ~0u);
}
static void reset(void)
{
    port_in(2, ~0u);
}

static void compare_registers(void)
{
    /* Not the bases and lengths of the rings, which don't show in QEMU's. */
    static const uint8_t csrs[] = { 0,  1,  2,  3,  4,  5,  8,  9,  10,  11,  12,  13,  14,
                                    15, 16, 17, 58, 80, 88, 89, 94, 100, 112, 114, 122, 124 };
    static const uint8_t bcrs[] = { 0, 1, 2, 4, 5, 6, 7, 9, 16, 17, 18, 19, 20, 21, 22, 23 };
    for (size_t i = 0; i < sizeof csrs / sizeof csrs[0]; i++)
        /* TDMD, which QEMU's lets stand, and TXSTRT, which it hasn't */
        get_csr(csrs[i], csrs[i] == 0 || csrs[i] == 4 ? ~8u : ~0u);
    for (size_t i = 0; i < sizeof bcrs; i++)
        get_bcr(bcrs[i]);
    compare_intx();
}

static void prom_and_reset(void)
{
    step = "after reset";
    for (unsigned r = 0; r < 64; r += 4)
        compare_config(r, ~0u);
    for (unsigned i = 0; i < 16; i++)
        in((uint16_t)(PORT + i), 1);
    for (unsigned i = 0; i < 16; i += 2)
        in((uint16_t)(PORT + i), 2);
    reset();
    compare_registers();
    step = "32-bit ports";
    out(PORT + 0x10, 0, 4);
    dwio = true;
    compare_registers();
}

static void writes(void)
{
    static const uint8_t csrs[] = { 1, 2, 8, 9, 10, 11, 12, 13, 14, 15 };
    step = "writes while stopped";
    csr(0, 4);
    for (unsigned v = 0; v < 2; v++) {
        for (size_t i = 0; i < sizeof csrs; i++)
            csr(csrs[i], v ? 0 : 0x5a5a);
        for (unsigned s = 0; s < 5; s++) {
            bcr(20, s);
            get_bcr(20);
            get_csr(58, ~0u);
        }
        bcr(2, v ? 2 : 0x1002);
        bcr(9, v ? 0 : 1);
        compare_registers();
    }
}

/* A descriptor of ring @ring: flags are the upper half of word 1. */
static void descriptor(uint32_t ring, unsigned i, uint32_t buffer, uint16_t flags, unsigned size)
{
    uint16_t bcnt = (uint16_t)(0xf000 | (-size & 0xfff));
    if (style == 0) {
        uint16_t d[4] = { (uint16_t)buffer, (uint16_t)(flags | buffer >> 16), bcnt, 0 };
        poke(ring + 8 * i, d, 8);
        return;
    }
    uint32_t d[4] = { buffer, (uint32_t)flags << 16 | bcnt, 0, 0x12345678 };
    if (style == 3) {
        d[2] = buffer;
        d[0] = 0;
    }
    poke(ring + 16 * i, d, 16);
}

static void start(uint16_t mode)
{
    uint8_t b[28] = { 0 };
    const uint8_t ladrf[8] = { 0x00, 0x00, 0x04, 0x80, 0x01, 0x00, 0x40, 0x10 };
    reset();
    csr(0, 4);
    bcr(20, style);
    pci_set16(b, mode);
    uint8_t *p = b + 2;
    if (style) {
        b[2] = b[3] = RLEN << 4;
        p = b + 4;
    }
    memcpy(p, MAC, 6);
    p += style ? 8 : 6;
    memcpy(p, ladrf, 8);
    pci_set32(p + 8, RX_RING | (style ? 0 : RLEN << 29));
    pci_set32(p + 12, TX_RING | (style ? 0 : RLEN << 29));
    poke(INIT_BLOCK, b, sizeof b);
    for (unsigned i = 0; i < 4; i++) {
        descriptor(RX_RING, i, RX_BUF + 0x1000 * i, 0x8000, RX_SIZE);
        descriptor(TX_RING, i, TX_BUF + 0x1000 * i, 0, 0);
    }
    csr(1, INIT_BLOCK & 0xffff);
    csr(2, INIT_BLOCK >> 16);
    csr(4, 0x0915);
    csr(0, 1);
    compare_registers();
    csr(0, 0x0142);
    compare_registers();
}

static void compare_rings(void)
{
    compare_memory(RX_RING, 64);
    compare_memory(TX_RING, 64);
}

static void transmit(void)
{
    step = "transmit";
    start(0);
    net_peer_clear(wire);
    for (unsigned i = 0; i < 6; i++) {
        size_t len = 60 + 250 * i;
        uint32_t buffer = TX_BUF + 0x1000 * (i & 3);
        poke(buffer, make_frame(OTHER, len, i), len);
        descriptor(TX_RING, i & 3, buffer, 0x8300, (unsigned)len);
        csr(0, 0x0048);
        compare_sent(i);
        compare_registers();
        compare_rings();
        csr(0, 0x0240);
        compare_registers();
    }
    step = "transmit, three buffers";
    const uint8_t *f = make_frame(OTHER, 700, 77);
    poke(TX_BUF, f, 700);
    descriptor(TX_RING, 0, TX_BUF + 300, 0x8100, 400);
    descriptor(TX_RING, 3, TX_BUF + 100, 0x8000, 200);
    descriptor(TX_RING, 2, TX_BUF, 0x8200, 100);
    csr(0, 0x0048);
    compare_sent(6);
    compare_registers();
    compare_rings();
}

static void receive(void)
{
    step = "receive";
    start(0);
    for (unsigned i = 0; i < 14; i++) {
        size_t len = 60 + i * 103;
        put_on_wire(make_frame(i % 3 ? MAC : "\xff\xff\xff\xff\xff\xff", len, i), len);
        compare_registers();
        compare_rings();
        /* without the FCS, which QEMU's leaves 0 */
        compare_memory(RX_BUF + 0x1000 * (i & 3), len);
        descriptor(RX_RING, i & 3, RX_BUF + 0x1000 * (i & 3), 0x8000, RX_SIZE);
        csr(0, 0x0440);
    }
}

static void filters(void)
{
    static const char *const to[] = { MAC, OTHER, "\xff\xff\xff\xff\xff\xff",
                                      "\x01\x00\x5e\x00\x00\x01", "\x33\x33\x00\x00\x00\x01" };
    static const uint16_t modes[] = { 0x0000, 0x8000, 0x4000, 0x2000, 0x6000 };
    step = "filters";
    for (unsigned mode = 0; mode < 5; mode++)
        for (unsigned i = 0; i < 5; i++) {
            start(modes[mode]);
            put_on_wire(make_frame(to[i], 60, i), 60);
            get_csr(0, ~8u);
            compare_rings();
        }
}

static void loopback(void)
{
    step = "loopback";
    start(0x0044);
    for (unsigned i = 0; i < 4; i++) {
        size_t len = 64 + 50 * i;
        uint32_t buffer = TX_BUF + 0x1000 * i;
        poke(buffer, make_frame(MAC, len, i), len);
        descriptor(TX_RING, i, buffer, 0x8300, (unsigned)len);
        csr(0, 0x0048);
        compare_registers();
        compare_rings();
        compare_memory(RX_BUF + 0x1000 * i, len); /* QEMU has an FCS of its own */
        csr(0, 0x0640);
    }
}

int main(void)
{
    if (!nic_start(&pcnet_class))
        return 77;
    prom_and_reset();
    writes();
    for (style = 0; style < 4; style++) {
        if (style == 1)
            continue; /* the Am79C900's, which QEMU's takes for style 2 */
        transmit();
        receive();
        filters();
        loopback();
    }
    return nic_done();
}
