/*
 * RTL8139C+ against QEMU's: registers after reset and after writes of all ones and zeros, EEPROM,
 * both kinds of transmission and reception, filters. Meant differences are masked where they occur.
 */
#include "hw/net/nics.h"
#include "nic_both.h"

#define TX_BUF  0x10000u
#define RX_RING 0x20000u
#define TX_DESC 0x40000u
#define RX_DESC 0x41000u
#define RX_BUF  0x50000u

static void out8(unsigned r, uint32_t v)
{
    out((uint16_t)(PORT + r), v, 1);
}
static void out16(unsigned r, uint32_t v)
{
    out((uint16_t)(PORT + r), v, 2);
}
static void out32(unsigned r, uint32_t v)
{
    out((uint16_t)(PORT + r), v, 4);
}

static const struct {
    uint8_t at, size;
    uint32_t mask; /* bits that have to agree */
} regs[] = {
    { 0x00, 4, ~0u }, { 0x04, 4, 0xffff }, { 0x08, 4, ~0u }, { 0x0c, 4, ~0u },    { 0x10, 4, ~0u },
    { 0x14, 4, ~0u }, { 0x20, 4, ~0u },    { 0x24, 4, ~0u }, { 0x30, 4, ~0u },    { 0x37, 1, 0x0f },
    { 0x38, 2, ~0u }, { 0x3a, 2, ~0u },    { 0x3c, 2, ~0u }, { 0x3e, 2, ~0u },    { 0x40, 4, ~0u },
    { 0x44, 4, ~0u }, { 0x4c, 4, ~0u },    { 0x50, 1, ~0u }, { 0x51, 1, ~0u },    { 0x52, 1, ~0u },
    { 0x54, 4, ~0u }, { 0x58, 1, ~0u },    { 0x59, 1, ~0u }, { 0x5a, 1, ~0u },    { 0x5b, 1, ~0u },
    { 0x5c, 2, ~0u }, { 0x5e, 1, ~0u },    { 0x60, 2, ~0u }, { 0x62, 2, 0xfdff }, { 0x64, 2, ~0u },
    { 0x66, 2, ~0u }, { 0x68, 2, ~0u },    { 0x6a, 2, ~0u }, { 0x74, 2, ~0u },    { 0xd8, 1, ~0u },
    { 0xe0, 2, ~0u }, { 0xe2, 2, 0 },      { 0xe4, 4, ~0u }, { 0xe8, 4, ~0u },    { 0xec, 1, 0 },
};

/* Ours: what CR.RST resets beyond what QEMU's does, or doesn't, as the data sheet has it (IDR and
 * MAR stay). */
static bool reset_otherwise(unsigned r)
{
    return r < 8 || r == 0x20 || r == 0x24 || r == 0x44 || r == 0x5a || r == 0x5c;
}

static bool was_reset;

static void compare_registers(void)
{
    for (size_t i = 0; i < sizeof regs / sizeof regs[0]; i++)
        if (!was_reset || !reset_otherwise(regs[i].at))
            in_masked((uint16_t)(PORT + regs[i].at), regs[i].size, regs[i].mask);
    compare_intx();
}

static void software_reset(void)
{
    out8(0x37, 0x10);
    was_reset = true;
    wait_in(PORT + 0x37, 1, 0x10, 0);
    out32(0x00, 0x12005452);
    out32(0x04, 0x5634);
}

/* Not CR and 9346CR, and not what QEMU's lets be written though it is read-only: BMSR, ANER. */
static bool writable(unsigned r)
{
    return r != 0x37 && r != 0x50 && r != 0x64 && r != 0x6a;
}

static void after_reset(void)
{
    step = "after reset";
    for (unsigned reg = 0; reg < 64; reg += 4)
        compare_config(reg, ~0u);
    compare_registers();
    step = "all ones while off";
    for (size_t i = 0; i < sizeof regs / sizeof regs[0]; i++)
        if (writable(regs[i].at))
            out((uint16_t)(PORT + regs[i].at), ~0u, regs[i].size);
    compare_registers();
    step = "software reset";
    software_reset();
    compare_registers();
    step = "all ones while on, unlocked";
    out8(0x50, 0xc0);
    out8(0x37, 0x0c);
    for (size_t i = 0; i < sizeof regs / sizeof regs[0]; i++)
        if (writable(regs[i].at) && regs[i].at > 0x24 && regs[i].at != 0x3c)
            out((uint16_t)(PORT + regs[i].at), ~0u, regs[i].size);
    compare_registers();
    software_reset();
}

/* One read command, bit by bit. */
static void eeprom_word(unsigned addr)
{
    unsigned command = 6u << 6 | addr;
    out8(0x50, 0x80);
    out8(0x50, 0x88);
    for (int i = 10; i >= 0; i--) {
        unsigned bit = command >> i & 1 ? 2 : 0;
        out8(0x50, 0x88 | bit);
        out8(0x50, 0x8c | bit);
    }
    out8(0x50, 0x88);
    for (int i = 0; i < 16; i++) {
        out8(0x50, 0x8c);
        in_masked(PORT + 0x50, 1, 1);
        out8(0x50, 0x88);
    }
    out8(0x50, 0x80);
}

static void eeprom(void)
{
    step = "EEPROM";
    for (unsigned i = 0; i < 12; i++)
        eeprom_word(i);
    out8(0x50, 0);
    compare_registers();
}

static void legacy_transmit(void)
{
    step = "legacy transmit";
    software_reset();
    out8(0x37, 0x04);
    net_peer_clear(wire);
    for (unsigned i = 0; i < 6; i++) {
        size_t len = 60 + 200 * i;
        poke(TX_BUF, make_frame(OTHER, len, i), len);
        out32(0x20 + 4 * (i & 3), TX_BUF);
        out32(0x10 + 4 * (i & 3), (uint32_t)len);
        compare_sent(i);
        compare_registers();
        out16(0x3e, 0x0004);
    }
    in(PORT + 0x3e, 2);
}

static void legacy_receive(uint32_t rcr)
{
    step = "legacy receive";
    software_reset();
    out32(0x30, RX_RING);
    out8(0x37, 0x0c);
    out32(0x44, rcr);
    out16(0x3c, 0x0005);
    unsigned ring = 8192u << (rcr >> 11 & 3), at = 0;
    for (unsigned i = 0; i < 40; i++) {
        size_t len = 60 + i * 37 % 1400;
        put_on_wire(make_frame(i % 3 ? MAC : "\xff\xff\xff\xff\xff\xff", len, i), len);
        wait_in(PORT + 0x3e, 2, 1, 1);
        compare_registers();
        compare_memory(RX_RING + at, 64);
        at = (at + 4 + (unsigned)len + 4 + 3) & ~3u;
        at %= ring;
        out16(0x38, at - 16);
        out16(0x3e, 0x0001);
        compare_registers();
    }
    compare_memory(RX_RING, ring + 2048);
}

static void filters(void)
{
    static const char *const to[] = { MAC, OTHER, "\xff\xff\xff\xff\xff\xff",
                                      "\x01\x00\x5e\x00\x00\x01", "\x33\x33\x00\x00\x00\x01" };
    step = "filters";
    for (uint32_t rcr = 0; rcr < 16; rcr++) {
        static const uint8_t zeros[512];
        poke(RX_RING, zeros, sizeof zeros);
        software_reset(); /* QEMU's forgets its place in the ring with each write of RCR */
        out32(0x30, RX_RING);
        out8(0x37, 0x08);
        out32(0x08, 0x00020000);
        out32(0x0c, 0x80000001);
        out32(0x44, 0x1800 | rcr);
        for (unsigned i = 0; i < 5; i++) {
            /* With AAP QEMU takes multicast too; the data sheet speaks of physical addresses. */
            if ((rcr & 1) && i >= 2)
                continue;
            put_on_wire(make_frame(to[i], 60, i), 60);
        }
        in(PORT + 0x3a, 2);
        in(PORT + 0x3e, 2);
        if (!(rcr & 1)) /* where QEMU doesn't say "my address" */
            compare_memory(RX_RING, 512);
    }
}

static void cp_start(uint16_t cpcr)
{
    software_reset();
    out8(0x50, 0xc0);
    out16(0xe0, cpcr);
    out32(0x20, TX_DESC);
    out32(0x24, 0);
    out32(0xe4, RX_DESC);
    out32(0xe8, 0);
    out8(0x37, 0x0c);
    out32(0x44, 0xf90f & ~1u);
    out16(0x3c, 0x0085);
    out8(0x50, 0);
}

static void descriptor(uint32_t at, uint32_t w0, uint32_t w1, uint32_t buffer)
{
    uint32_t d[4] = { w0, w1, buffer, 0 };
    poke(at, d, sizeof d);
}

static void cp_transmit(void)
{
    step = "C+ transmit";
    cp_start(0x0003);
    net_peer_clear(wire);
    for (unsigned i = 0; i < 8; i++) {
        size_t len = 64 + 150 * i;
        poke(TX_BUF, make_frame(OTHER, len, i), len);
        uint32_t eor = i == 7 ? 1u << 30 : 0;
        descriptor(TX_DESC + 16 * i, 0xb0000000 | eor | (uint32_t)len, 0, TX_BUF);
        out8(0xd9, 0x40);
        compare_sent(i);
        compare_memory(TX_DESC, 256);
        in_masked(PORT + 0x3e, 2, ~0x80u);
        out16(0x3e, 0xffff);
    }
    step = "C+ transmit, a frame of three buffers";
    const uint8_t *f = make_frame(OTHER, 900, 3);
    poke(TX_BUF, f, 900);
    descriptor(TX_DESC, 0xa0000000 | 100, 0, TX_BUF);
    descriptor(TX_DESC + 16, 0x80000000 | 300, 0, TX_BUF + 100);
    descriptor(TX_DESC + 32, 0x90000000 | 500, 0, TX_BUF + 400);
    out8(0xd9, 0x40);
    compare_sent(8);
    compare_memory(TX_DESC, 256);
    step = "C+ transmit, VLAN tag";
    descriptor(TX_DESC + 48, 0xb0000000 | 900, 1u << 17 | 0x0520, TX_BUF);
    out8(0xd9, 0x40);
    compare_sent(9);
    compare_memory(TX_DESC, 256);
}

static void cp_receive(uint16_t cpcr)
{
    step = "C+ receive";
    cp_start(cpcr);
    for (unsigned i = 0; i < 4; i++)
        descriptor(RX_DESC + 16 * i, 0x80000000 | (i == 3 ? 1u << 30 : 0) | 1600, 0,
                   RX_BUF + 2048 * i);
    for (unsigned i = 0; i < 12; i++) {
        size_t len = 60 + i * 111;
        uint8_t f[1600];
        memcpy(f, make_frame(i % 3 ? MAC : "\xff\xff\xff\xff\xff\xff", len, i), len);
        if (i % 4 == 2)
            memcpy(f + 12, "\x81\x00\x20\x05", 4);
        put_on_wire(f, len);
        wait_in(PORT + 0x3e, 2, 1, 1);
        compare_intx();
        compare_memory(RX_DESC, 64);
        compare_memory(RX_BUF + 2048 * (i & 3), len - 4);
        out16(0x3e, 0xffff);
        descriptor(RX_DESC + 16 * (i & 3), 0x80000000 | ((i & 3) == 3 ? 1u << 30 : 0) | 1600, 0,
                   RX_BUF + 2048 * (i & 3));
    }
}

int main(void)
{
    if (!nic_start(&rtl8139_class))
        return 77;
    after_reset();
    eeprom();
    legacy_transmit();
    legacy_receive(0x000f & ~1u);
    legacy_receive(0x008f & ~1u);
    filters();
    cp_transmit();
    cp_receive(0x0003);
    cp_receive(0x0043);
    return nic_done();
}
