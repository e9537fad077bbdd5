/*
 * The chipset against QEMU's: the same accesses to both, every value read is compared. Time stands
 * still on both sides (QEMU's CPU never starts, our clock isn't started), so timers are compared in
 * what they show at time 0; tests/unit has what happens when time passes. Masks and skipped
 * registers are where QEMU's device leaves something out or stores bits that the data sheet says
 * are reserved; each says which.
 */
#include <stdlib.h>

#include "../unit/test.h"
#include "hw/i8259.h"
#include "machine.h"
#include "options.h"
#include "qtest.h"

#define PIC_MASTER "/machine/unattached/device[6]"
#define PIC_SLAVE  "/machine/unattached/device[7]"

static struct qtest *qemu;
static struct machine *machine;
static uint32_t seed;
static unsigned differences;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(seed >> 4) * below >> 28);
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
    qtest_out(qemu, port, value, size);
    mem_write(&machine->io, port, value, size);
}

static void outb(uint16_t port, uint8_t value)
{
    out(port, value, 1);
}

static void differ(const char *what, uint32_t where, uint64_t got, uint64_t want)
{
    if (differences++ < 20)
        printf("%s: %s %#x is %#" PRIx64 ", QEMU has %#" PRIx64 "\n", test_case, what, where, got,
               want);
}

/* Reads both and compares the bits of @mask; returns QEMU's. */
static uint32_t in(uint16_t port, unsigned size, uint32_t mask)
{
    uint32_t want = qtest_in(qemu, port, size), got = (uint32_t)mem_read(&machine->io, port, size);
    if ((want ^ got) & mask)
        differ("port", port, got, want);
    return want;
}

static uint8_t inb(uint16_t port)
{
    return (uint8_t)in(port, 1, 0xff);
}

static void writem(uint64_t addr, uint64_t value, unsigned size)
{
    qtest_write(qemu, addr, value, size);
    mem_write(&machine->mem, addr, value, size);
}

static uint64_t readm(uint64_t addr, unsigned size, uint64_t mask)
{
    uint64_t want = qtest_read(qemu, addr, size), got = mem_read(&machine->mem, addr, size);
    if ((want ^ got) & mask)
        differ("address", (uint32_t)addr, got, want);
    return want;
}

/* ---- PCI ---- */

static uint32_t config(unsigned devfn, unsigned reg)
{
    out(0xcf8, 0x80000000u | devfn << 8 | reg, 4);
    return in(0xcfc, 4, 0xffffffff);
}

static void config_write(unsigned devfn, unsigned reg, unsigned size, uint32_t v)
{
    out(0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc), 4);
    out((uint16_t)(0xcfc + (reg & 3)), v, size);
}

static void pci_headers(void)
{
    static const unsigned present[] = { 0x00, 0x08, 0x0b, 0x0a, 0x20, 0xff };
    for (size_t i = 0; i < sizeof present / sizeof present[0]; i++)
        for (unsigned reg = 0; reg < 256; reg += 4)
            if (present[i] != 0x0b ||
                (reg != 0x5c && reg != 0x64)) /* say which ports the board has */
                config(present[i], reg);
    CHECK_EQ(differences, 0);
}

/* Which header bits can be written, byte by byte and as dwords. */
static void pci_header_writes(void)
{
    static const unsigned devfns[] = { 0x00, 0x08, 0x0b };
    for (size_t i = 0; i < 3; i++) {
        for (unsigned reg = 0; reg < 0x40; reg++) {
            config_write(devfns[i], reg, 1, 0xff);
            config(devfns[i], reg & 0xfc);
            config_write(devfns[i], reg, 1, 0);
            config(devfns[i], reg & 0xfc);
        }
        for (unsigned reg = 0; reg < 0x40; reg += 4) {
            uint32_t v = rnd(1u << 28) * 16;
            config_write(devfns[i], reg, 4, v);
            config(devfns[i], reg);
        }
        for (unsigned reg = 0; reg < 0x40; reg += 4)
            config_write(devfns[i], reg, 4, 0);
    }
    CHECK_EQ(differences, 0);
}

static void pci_mechanism(void)
{
    out(0xcf8, 0x80000000, 4);
    in(0xcf8, 4, 0xffffffff);
    out(0xcf8, 0x12, 1); /* not a configuration cycle */
    out(0xcf8, 0x1234, 2);
    in(0xcf8, 4, 0xffffffff);
    for (uint16_t port = 0xcfc; port < 0xd00; port++)
        inb(port);
    in(0xcfc, 2, 0xffff);
    in(0xcfe, 2, 0xffff);
    out(0xcf8, 0, 4); /* not enabled */
    in(0xcfc, 4, 0xffffffff);
    out(0xcf8, 0x80010000, 4); /* another bus */
    in(0xcfc, 4, 0xffffffff);
    CHECK_EQ(differences, 0);
}

static void set_pam(uint8_t mode, bool random)
{
    static const uint8_t modes[] = { 0x11, 0x31, 0x13, 0x33, 0x00, 0x10, 0x03 };
    for (unsigned reg = 0x59; reg <= 0x5f; reg++)
        config_write(0, reg, 1, random ? modes[rnd(sizeof modes)] : mode);
}

/* Every combination that QEMU knows (it has no write-only). Writes go to RAM that is open, because
 * QEMU protects read-only shadow RAM from its CPU only. */
static void pam(void)
{
    for (int round = 0; round < 24; round++) {
        set_pam(0x33, false);
        for (uint32_t a = 0xc0000; a < 0x100000; a += 0x1000)
            writem(a + 8, rnd(1u << 28), 4);
        set_pam(0, true);
        for (uint32_t a = 0xc0000; a < 0x100000; a += 0x1000) {
            uint32_t want = (uint32_t)qtest_read(qemu, a + 8, 4);
            uint32_t got = (uint32_t)mem_read(&machine->mem, a + 8, 4);
            /* Where nothing answers QEMU has an empty ROM of zeros, we the bus's ones. */
            if (want != got && !(a < 0xe0000 && want == 0 && got == 0xffffffff))
                differ("address", a + 8, got, want);
        }
    }
    set_pam(0, false);
    CHECK_EQ(differences, 0);
}

/* Read-only areas ignore writes; write-only ones show the ROM and store behind it. */
static void pam_protection(void)
{
    struct mem_space *mem = &machine->mem;
    set_pam(0x33, false);
    mem_write(mem, 0xe8000, 0x11223344, 4);
    set_pam(0x11, false);
    mem_write(mem, 0xe8000, 0x55667788, 4);
    CHECK_EQ(mem_read(mem, 0xe8000, 4), 0x11223344);
    set_pam(0, false);
    uint32_t rom = (uint32_t)mem_read(mem, 0xe8000, 4);
    set_pam(0x22, false);
    CHECK_EQ(mem_read(mem, 0xe8000, 4), rom);
    mem_write(mem, 0xe8000, 0x99aabbcc, 4);
    CHECK_EQ(mem_read(mem, 0xe8000, 4), rom);
    CHECK_EQ(mem_read(mem, 0xc8000, 4), 0xffffffff);
    set_pam(0x11, false);
    CHECK_EQ(mem_read(mem, 0xe8000, 4), 0x99aabbcc);
    set_pam(0, false);
}

static void smram(void)
{
    config_write(0, 0x72, 1, 0x4a); /* open */
    for (uint32_t a = 0xa0000; a < 0xc0000; a += 0x1000)
        writem(a, a * 3, 4);
    for (uint32_t a = 0xa0000; a < 0xc0000; a += 0x1000)
        readm(a, 4, 0xffffffff);
    config_write(0, 0x72, 1, 0x0a);
    CHECK_EQ(mem_read(&machine->mem, 0xa0000, 4), 0xffffffff);
    CHECK_EQ(differences, 0);
}

/* ---- 8259 ---- */

static void pic_line(unsigned n, int level)
{
    qtest_set_irq(qemu, n < 8 ? PIC_MASTER : PIC_SLAVE, (int)(n & 7), level);
    i8259_set_irq(machine->pic, n, level);
}

static void pic_setup(void)
{
    for (int c = 0; c < 2; c++) {
        uint16_t port = c ? 0xa0 : 0x20;
        outb(port, 0x11);
        outb(port + 1, c ? 0x70 : 8);
        outb(port + 1, c ? 2 : 4);
        outb(port + 1, 1);
        outb(port + 1, 0);
    }
}

static void pic_state(void)
{
    for (int c = 0; c < 2; c++) {
        uint16_t port = c ? 0xa0 : 0x20;
        outb(port, 0x0a);
        inb(port);
        outb(port, 0x0b);
        inb(port);
        inb(port + 1);
    }
}

/* Random requests, masks, EOIs of every kind, polls. */
static void pic_random(void)
{
    static const uint8_t commands[] = { 0x20, 0x20, 0x20, 0xa0, 0x60, 0xe0, 0xc0,
                                        0x0c, 0x0c, 0x0c, 0x68, 0x48, 0x80, 0x00 };
    for (int run = 0; run < 30; run++) {
        pic_setup();
        bool special[2] = { false, false };
        for (unsigned n = 0; n < 16; n++)
            if (n != 2)
                pic_line(n, 0);
        pic_setup();
        for (int step = 0; step < 60 && !differences; step++) {
            unsigned n = rnd(16);
            uint16_t port = rnd(2) ? 0xa0 : 0x20;
            switch (rnd(4)) {
            case 0:
            case 1:
                if (n != 2)
                    pic_line(n, (int)rnd(2));
                break;
            case 2: outb(port + 1, (uint8_t)(rnd(3) ? 0 : rnd(256))); break;
            default: {
                uint8_t v = commands[rnd(sizeof commands)];
                if (v == 0x60 || v == 0xe0 || v == 0xc0)
                    v |= (uint8_t)rnd(8);
                bool *mode = &special[port == 0xa0];
                if (v == 0x68 || v == 0x48)
                    *mode = v == 0x68;
                if (*mode && (v == 0x20 || v == 0xa0))
                    break; /* QEMU's non-specific EOI ends masked interrupts too, the chip's doesn't
                            */
                outb(port, v);
                if (v == 0x0c)
                    inb(port);
            }
            }
            pic_state();
        }
    }
    CHECK_EQ(differences, 0);
}

static void elcr(void)
{
    for (int i = 0; i < 8; i++) {
        outb(0x4d0, (uint8_t)(1u << i));
        inb(0x4d0);
        outb(0x4d1, (uint8_t)(1u << i));
        inb(0x4d1);
    }
    outb(0x4d0, 0);
    outb(0x4d1, 0);
    CHECK_EQ(differences, 0);
}

/* ---- IOAPIC ---- */

static void ioapic(void)
{
    for (uint32_t reg = 0; reg < 0x48; reg++) {
        if (reg >= 3 && reg < 0x10)
            continue;
        writem(0xfec00000, reg, 4);
        readm(0xfec00000, 4, 0xff);
        readm(0xfec00010, 4, 0xffffffff);
        writem(0xfec00010, reg & 1 || reg < 0x10 ? rnd(1u << 28) * 16 : 0x10000u | rnd(1u << 12),
               4);
        readm(0xfec00010, 4,
              reg & 1 && reg >= 0x10 ? 0xff000000 : 0xffffffff); /* 55-32 are reserved */
        writem(0xfec00010, reg & 1 ? 0 : 0x10000, 4);
    }
    CHECK_EQ(differences, 0);
}

/* ---- timers and the clock ---- */

static void hpet(void)
{
    const uint64_t base = 0xfed00000;
    static const uint32_t regs[] = {
        0x000, 0x004, 0x010, 0x020, 0x0f0, 0x0f4, 0x100, 0x104, 0x108,
        0x10c, 0x120, 0x124, 0x128, 0x12c, 0x140, 0x144, 0x148, 0x14c
    };
    for (size_t i = 0; i < sizeof regs / sizeof regs[0]; i++)
        readm(base + regs[i], 4, 0xffffffff);
    readm(base, 8, UINT64_MAX);
    writem(base + 0xf0, 0x12345678, 4);
    writem(base + 0xf4, 0x9abcdef0, 4);
    readm(base + 0xf0, 8, UINT64_MAX);
    for (uint32_t t = 0; t < 3; t++) {
        writem(base + 0x100 + 0x20 * t, 0x4c, 4); /* periodic, value can be set */
        writem(base + 0x108 + 0x20 * t, 1000000, 4);
        readm(base + 0x100 + 0x20 * t, 4, 0xffff);
        readm(base + 0x108 + 0x20 * t, 4, 0xffffffff);
        writem(base + 0x108 + 0x20 * t, 500000, 4);
        readm(base + 0x108 + 0x20 * t, 4, 0xffffffff);
        writem(base + 0x100 + 0x20 * t, 0x104, 4); /* one shot, 32 bits */
        writem(base + 0x108 + 0x20 * t, 0xfffffff0, 4);
        readm(base + 0x108 + 0x20 * t, 8, UINT64_MAX);
        writem(base + 0x100 + 0x20 * t, 0, 4);
    }
    CHECK_EQ(differences, 0);
}

static void pit(void)
{
    for (int run = 0; run < 300 && !differences; run++) {
        unsigned n = rnd(3), access = 1 + rnd(3), mode = rnd(6);
        uint16_t port = (uint16_t)(0x40 + n), count = (uint16_t)rnd(65536);
        /* Not modes 1 and 5, which QEMU starts without a trigger, nor BCD, which it ignores. Its
         * output is low where the data sheet has it high in modes 2 and 4, and it has no null count
         * flag. */
        if (mode == 1 || mode == 5)
            continue;
        uint32_t status = mode == 2 || mode == 4 ? 0x3f : 0xbf;
        if (mode == 3)
            count &= 0xfefe; /* the chip counts from an even number, QEMU also from an odd one */
        outb(0x43, (uint8_t)(n << 6 | access << 4 | mode << 1));
        outb(0x43, (uint8_t)(0xe0 | 2u << n));
        in(port, 1, status);
        if (access & 1)
            outb(port, (uint8_t)count);
        if (access & 2)
            outb(port, (uint8_t)(count >> 8));
        outb(0x43, (uint8_t)(0xc0 | 2u << n)); /* status and count */
        in(port, 1, status);
        inb(port);
        inb(port);
        inb(port);
        outb(0x43, (uint8_t)(n << 6));
        inb(port);
        inb(port);
        if (n == 2)
            in(0x61, 1, mode == 2 || mode == 4 ? 0x0f : 0x2f);
    }
    CHECK_EQ(differences, 0);
}

static void cmos(uint8_t index)
{
    outb(0x70, index);
    inb(0x71);
}

static void cmos_set(uint8_t index, uint8_t v)
{
    outb(0x70, index);
    outb(0x71, v);
}

static void rtc(void)
{
    for (unsigned i = 0; i < 128; i++)
        cmos((uint8_t)i);
    static const uint8_t formats[] = { 0x02, 0x06, 0x00, 0x04 };
    for (int f = 0; f < 4; f++) {
        cmos_set(0x0b, formats[f]);
        for (unsigned i = 0; i < 10; i++)
            cmos((uint8_t)i);
        cmos((uint8_t)0x32);
    }
    /* Setting the time while updates are held. */
    cmos_set(0x0b, 0x82);
    static const uint8_t when[][2] = { { 0, 0x58 }, { 2, 0x59 }, { 4, 0x23 }, { 6, 0x05 },
                                       { 7, 0x29 }, { 8, 0x02 }, { 9, 0x24 }, { 0x32, 0x20 } };
    for (int i = 0; i < 8; i++)
        cmos_set(when[i][0], when[i][1]);
    for (int i = 0; i < 8; i++)
        cmos(when[i][0]);
    cmos_set(0x0b, 0x02);
    for (int i = 0; i < 8; i++)
        cmos(when[i][0]);
    cmos(0x37);
    for (uint8_t i = 0x40; i < 0x80; i++) {
        cmos_set(i, (uint8_t)rnd(256));
        cmos(i);
    }
    CHECK_EQ(differences, 0);
}

/* ---- the rest ---- */

static void dma(void)
{
    static const uint16_t pages[] = { 0x81, 0x82, 0x83, 0x87, 0x89, 0x8a, 0x8b, 0x8f };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        outb(pages[i], (uint8_t)rnd(256));
        inb(pages[i]);
    }
    for (int c = 0; c < 2; c++) {
        uint16_t base = c ? 0xc0 : 0;
        unsigned step = c ? 2 : 1;
        outb((uint16_t)(base + 12 * step), 0);
        for (unsigned reg = 0; reg < 8; reg++) {
            outb((uint16_t)(base + reg * step), (uint8_t)rnd(256));
            outb((uint16_t)(base + reg * step), (uint8_t)rnd(256));
        }
        for (unsigned reg = 0; reg < 8; reg++) {
            inb((uint16_t)(base + reg * step));
            inb((uint16_t)(base + reg * step));
        }
        inb((uint16_t)(base + 8 * step));
        outb((uint16_t)(base + 13 * step), 0);
    }
    CHECK_EQ(differences, 0);
}

static void acpi(void)
{
    config_write(0x0b, 0x40, 4, 0xb001);
    config_write(0x0b, 0x80, 1, 1);
    in(0xb000, 2, 0xfffe); /* QEMU's timer status is set at time 0 */
    in(0xb002, 2, 0xffff);
    in(0xb004, 2, 0xffff);
    in(0xb008, 4, 0xffffffff);
    out(0xb002, 0x0521, 2);
    in(0xb002, 2, 0xffff);
    out(0xb002, 0, 2);
    outb(0xb2, 0xf1);
    in(0xb004, 2, 0xffff);
    outb(0xb3, 0x55);
    inb(0xb2);
    inb(0xb3);
    outb(0xb2, 0xf0);
    in(0xb004, 2, 0xffff);
    outb(0xafe2, 0xff);
    for (uint16_t p = 0xafe0; p < 0xafe4; p++)
        inb(p);
    outb(0xafe2, 0);
    qtest_qmp(qemu, "{\"execute\": \"query-status\"}");
    CHECK_EQ(differences, 0);
}

static void port92(void)
{
    inb(0x92);
    outb(0x92, 0x02);
    inb(0x92);
    outb(0x92, 0x00);
    inb(0x92);
    inb(0xcf9);
    outb(0xcf9, 0x02);
    inb(0xcf9);
    CHECK_EQ(differences, 0);
}

int main(void)
{
    static const char *const args[] = { "-rtc", "base=2023-04-05T21:43:57,clock=vm", "-vga", "none",
                                        NULL };
    static char *argv[] = { "slipway", "-display",    "none", "-vga",
                            "none",    "-nodefaults", "-rtc", "base=2023-04-05T21:43:57,clock=vm",
                            NULL };
    static struct machine_options opt;
    struct error err;
    bool exit_now;
    seed = 440;
    qemu = qtest_start(args);
    if (!qemu) {
        printf("no QEMU here: skipped\n");
        return 77;
    }
    if (!options_parse(&opt, (int)(sizeof argv / sizeof argv[0]) - 1, argv, &exit_now, &err) ||
        !(machine = machine_new(&opt, &err))) {
        printf("%s\n", err.msg);
        return 1;
    }
#define CASE(fn)                                                                                   \
    do {                                                                                           \
        differences = 0;                                                                           \
        RUN(fn);                                                                                   \
    } while (0)
    CASE(pci_headers);
    CASE(pci_header_writes);
    CASE(pci_mechanism);
    CASE(pam);
    CASE(pam_protection);
    CASE(smram);
    CASE(elcr);
    CASE(pic_random);
    CASE(ioapic);
    CASE(hpet);
    CASE(pit);
    CASE(rtc);
    CASE(dma);
    CASE(acpi);
    CASE(port92);
    machine_free(machine);
    qtest_stop(qemu);
    return test_done();
}
