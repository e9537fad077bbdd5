/*
 * NE2000 on PCI and ISA against QEMU's: PROM, registers, remote DMA in both widths, transmission,
 * reception round the ring, filters. Meant differences are masked where they occur.
 */
#include "hw/net/nics.h"
#include "nic_both.h"

#define RING_FIRST 0x46u
#define RING_END   0x60u
#define TX_PAGE    0x40u

static uint16_t base;

static void reg(unsigned r, uint32_t v)
{
    out((uint16_t)(base + r), v, 1);
}
static uint8_t get(unsigned r)
{
    return (uint8_t)in((uint16_t)(base + r), 1);
}

static void page(unsigned n)
{
    reg(0, n << 6 | 0x22);
}

/* What QEMU has, it has at these places. */
static void compare_registers(void)
{
    static const uint8_t page0[] = { 0x3, 0x4, 0x7, 0x8, 0x9, 0xa, 0xb, 0xc };
    page(0);
    for (size_t i = 0; i < sizeof page0; i++)
        get(page0[i]);
    page(1);
    for (unsigned r = 1; r < 16; r++)
        get(r);
    page(2);
    get(1);
    get(2);
    page(3);
    for (unsigned r = 3; r < 8; r++)
        if (r != 4)
            get(r);
    page(0);
    if (nic_on_pci)
        compare_intx();
}

static void remote(unsigned addr, unsigned count, bool write)
{
    reg(0xa, count & 0xff);
    reg(0xb, count >> 8);
    reg(0x8, addr & 0xff);
    reg(0x9, addr >> 8);
    reg(0, write ? 0x12 : 0x0a);
}

static void remote_end(void)
{
    reg(0, 0x22);
    get(7);
    reg(7, 0x40);
}

static void start(uint8_t rcr, uint8_t dcr)
{
    /* QEMU's only resets by this port, and CR isn't touched. */
    in((uint16_t)(base + 0x1f), 1);
    reg(0, 0x21);
    reg(0xe, dcr);
    reg(0xa, 0);
    reg(0xb, 0);
    reg(0xc, 0x20);
    reg(0xd, 0x02);
    reg(4, TX_PAGE);
    reg(1, RING_FIRST);
    reg(2, RING_END);
    reg(3, RING_END - 1);
    reg(7, 0xff);
    reg(0xf, 0);
    reg(0, 0x61);
    for (unsigned i = 0; i < 6; i++)
        reg(1 + i, (uint8_t)MAC[i]);
    reg(7, RING_FIRST);
    for (unsigned i = 0; i < 8; i++)
        reg(8 + i, i == 3 ? 0x40 : 0x01);
    reg(0, 0x22);
    reg(7, 0xff);
    reg(0xf, 0x3f);
    reg(0xd, 0);
    reg(0xc, rcr);
}

static void prom(void)
{
    step = "PROM, words";
    reg(0xe, 0x49);
    remote(0, 32, false);
    for (int i = 0; i < 16; i++)
        in((uint16_t)(base + 0x10), i & 1 ? 1 : 2);
    remote_end();
    step = "PROM, bytes";
    reg(0xe, 0x48);
    remote(0, 32, false);
    for (int i = 0; i < 32; i++)
        in((uint16_t)(base + 0x10), 1);
    remote_end();
    compare_registers();
}

static void put_buffer(unsigned addr, const uint8_t *p, size_t len, unsigned width)
{
    remote(addr, (unsigned)len, true);
    for (size_t i = 0; i < len; i += width) {
        uint32_t v = 0;
        for (unsigned b = 0; b < width; b++)
            v |= (uint32_t)p[i + b] << (8 * b);
        out((uint16_t)(base + 0x10), v, width);
    }
    remote_end();
}

static void get_buffer(unsigned addr, size_t len, unsigned width)
{
    remote(addr, (unsigned)len, false);
    for (size_t i = 0; i < len; i += width)
        in((uint16_t)(base + 0x10), width);
    remote_end();
}

static void memory(void)
{
    uint8_t data[1024];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 3 + (i >> 8));
    step = "remote DMA, words";
    start(0x04, 0x49);
    put_buffer(0x5e00, data, sizeof data, 2); /* round the end of the ring */
    get_buffer(0x5e00, sizeof data, 2);
    compare_registers();
    if (nic_on_pci) { /* the ISA board has no ports of 32 bits */
        step = "remote DMA, double words";
        put_buffer(0x4200, data, sizeof data, 4);
        get_buffer(0x4200, sizeof data, 4);
        get_buffer(0x5f00, sizeof data, 4);
    }
    step = "remote DMA, bytes";
    start(0x04, 0x48);
    put_buffer(0x4800, data, 256, 1);
    get_buffer(0x4800, 256, 1);
    step = "remote DMA past the RAM";
    start(0x04, 0x49);
    get_buffer(0xbff0, 64, 2);
    get_buffer(0x3ff0, 32, 2);
    compare_registers();
}

static void transmit(void)
{
    step = "transmit";
    start(0x04, 0x49);
    net_peer_clear(wire);
    for (unsigned i = 0; i < 5; i++) {
        size_t len = 60 + 300 * i;
        put_buffer(TX_PAGE << 8, make_frame(OTHER, len, i), len, 2);
        reg(5, (uint32_t)len & 0xff);
        reg(6, (uint32_t)len >> 8);
        reg(0, 0x26);
        compare_sent(i);
        get(0);
        compare_registers();
        reg(7, 0x02);
        compare_registers();
    }
}

static void receive(void)
{
    step = "receive";
    start(0x0c, 0x49);
    unsigned next = RING_FIRST;
    for (unsigned i = 0; i < 60; i++) {
        size_t len = 60 + i * 97 % 1450;
        put_on_wire(make_frame(i % 3 ? MAC : "\xff\xff\xff\xff\xff\xff", len, i), len);
        get(7);
        compare_registers();
        /* header and data, without the FCS, which QEMU's leaves out */
        get_buffer(next << 8, (len + 4) & ~1u, 2);
        next = (next + ((unsigned)len + 8 + 255) / 256);
        if (next >= RING_END)
            next -= RING_END - RING_FIRST;
        if (i & 1) {
            reg(3, next == RING_FIRST ? RING_END - 1 : next - 1);
            reg(7, 0x01);
        }
        compare_registers();
    }
}

static void filters(void)
{
    static const char *const to[] = { MAC, OTHER, "\xff\xff\xff\xff\xff\xff",
                                      "\x01\x00\x5e\x00\x00\x01", "\x33\x33\x00\x00\x00\x01" };
    step = "filters";
    for (uint8_t rcr = 0; rcr < 0x20; rcr += 4) {
        start(rcr, 0x49);
        for (unsigned i = 0; i < 5; i++) {
            /* QEMU's promiscuous mode takes broadcast and multicast whatever AB and AM say. */
            if ((rcr & 0x10) && i >= 2)
                continue;
            put_on_wire(make_frame(to[i], 60, i), 60);
        }
        compare_registers();
    }
}

int main(void)
{
    static const struct device_class *const classes[] = { &ne2k_pci_class, &ne2k_isa_class };
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        if (!nic_start(classes[i]))
            return 77;
        base = nic_on_pci ? PORT : 0x300;
        step = "after reset";
        for (unsigned r = 0; nic_on_pci && r < 64; r += 4)
            compare_config(r, ~0u);
        get(7);
        prom();
        memory();
        transmit();
        receive();
        filters();
        failed |= nic_done();
    }
    return failed;
}
