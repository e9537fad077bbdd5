/*
 * IDE under abuse: resets with requests out, descriptor tables that make no sense, medium changes,
 * random accesses. That the registers behave is compared with QEMU in tests/devices/ide_qemu.c.
 */
#include "devtest.h"
#include "hw/ide/ide.h"

#define HD_SECTORS 2048u
#define BM         0xc000u
#define PRD        0x10000u

static struct piix_ide *ide;
static struct blk *disk, *cd;

static void start(void)
{
    struct error err;
    board_new();
    ide = piix3_ide_new(m, 9, &err);
    disk = scratch_disk("hda", NULL, HD_SECTORS * 512, false);
    cd = scratch_disk("cd", NULL, 200 * 2048, true);
    struct ide_unit hd = { .blk = disk }, cdrom = { .blk = cd, .cdrom = true };
    piix_ide_attach(ide, 0, &hd, &err);
    piix_ide_attach(ide, 2, &cdrom, &err);
    pci_device_reset((struct pci_device *)ide);
    board_reset();
    pci_config_write((struct pci_device *)ide, 0x20, BM, 4);
    pci_config_write((struct pci_device *)ide, PCI_COMMAND, 5, 2);
}

static void command(uint16_t base, uint32_t lba, uint8_t count, uint8_t c)
{
    outb(base + 6, (uint8_t)(0xe0 | lba >> 24));
    outb(base + 2, count);
    outb(base + 3, (uint8_t)lba);
    outb(base + 4, (uint8_t)(lba >> 8));
    outb(base + 5, (uint8_t)(lba >> 16));
    outb(base + 7, c);
}

static void reset_with_a_read_out(void)
{
    start();
    command(0x1f0, 0, 4, 0x20);
    CHECK_EQ(inb(0x1f7) & 0x80, 0x80);
    outb(0x3f6, 4);
    outb(0x3f6, 0);
    CHECK_EQ(inb(0x1f7), 0x80); /* the buffer is in use yet */
    settle();
    CHECK_EQ(inb(0x1f7), 0x50);
    CHECK_EQ(isa_level[14], 0);
    command(0x1f0, 0, 4, 0x20);
    board_reset();
    settle();
    CHECK_EQ(inb(0x1f7), 0x50);
    command(0x1f0, 0, 1, 0x20);
    settle();
    CHECK_EQ(inb(0x3f6), 0x58);
    CHECK_EQ(isa_level[14], 1);
    board_free();
}

static void hostile_descriptors(void)
{
    static const uint32_t tables[][2] = {
        { 0, 0 },          { 0xffffffff, 0xffffffff }, { PRD, 0x1000 },
        { 0xfffffffe, 0 }, { 0xfec00000, 0x80000000 }, { 0, 0x80000001 }
    };
    start();
    for (int i = 0; i < 6; i++)
        for (int write = 0; write < 2; write++) {
            for (uint32_t at = PRD; at < PRD + 0x10000; at += 8) {
                dma_write32(&m->mem, at, tables[i][0]);
                dma_write32(&m->mem, at + 4, tables[i][1]);
            }
            outl(BM + 4, i % 2 ? PRD : PRD + 0xfff8);
            outb(BM, 0);
            command(0x1f0, 0, 0, write ? 0xca : 0xc8);
            outb(BM, 9);
            settle();
            outb(BM, 0);
            outb(0x3f6, 4);
            outb(0x3f6, 0);
            settle();
            CHECK_EQ(inb(0x1f7), 0x50);
        }
    board_free();
}

static uint8_t sense(void)
{
    static const uint8_t c[12] = { 3, 0, 0, 0, 18 };
    uint8_t key = 0;
    outb(0x174, 18);
    outb(0x175, 0);
    outb(0x171, 0);
    outb(0x177, 0xa0);
    for (int i = 0; i < 12; i += 2)
        outw(0x170, (uint16_t)(c[i] | c[i + 1] << 8));
    settle();
    for (int i = 0; i < 9; i++) {
        uint16_t w = inw(0x170);
        if (i == 1)
            key = w & 15;
    }
    settle();
    return key;
}

static uint8_t test_unit_ready(void)
{
    outb(0x171, 0);
    outb(0x177, 0xa0);
    for (int i = 0; i < 6; i++)
        outw(0x170, 0);
    settle();
    return inb(0x177) & 1 ? sense() : 0;
}

static void medium_change_is_told_in_two_steps(void)
{
    struct error err;
    start();
    outb(0x176, 0xa0);
    CHECK_EQ(test_unit_ready(), 0);
    CHECK(piix_ide_set_medium(ide, 2, NULL, false, &err));
    CHECK_EQ(test_unit_ready(), 2);
    CHECK(piix_ide_set_medium(ide, 2, cd, false, &err));
    CHECK_EQ(test_unit_ready(), 2);
    CHECK_EQ(test_unit_ready(), 6);
    CHECK_EQ(test_unit_ready(), 0);
    CHECK(!piix_ide_set_medium(ide, 0, NULL, false, &err));
    board_free();
}

static void noise(void)
{
    start();
    for (int i = 0; i < 150000; i++) {
        uint32_t r = rnd();
        uint16_t base = r & 1 ? 0x1f0 : 0x170;
        switch (r >> 4 & 15) {
        case 0: outb(base + 0x206, (rnd() & 31) ? 0 : (uint8_t)rnd()); break;
        case 1: outb(base + 7, (uint8_t)rnd()); break;
        case 2: outb(base + 7, base == 0x170 ? 0xa0 : 0xc8); break;
        case 3: outl((uint16_t)(BM + (r >> 8 & 12)), rnd() & 0x1ffff); break;
        case 4: dma_write32(&m->mem, rnd() & 0x1fffc, rnd() & 0x8001ffff); break;
        case 5: settle(); break;
        case 6: inb((uint16_t)(base + (r >> 8 & 7))); break;
        case 7:
        case 8: outb((uint16_t)(base + 1 + (r >> 8) % 6), (uint8_t)(rnd() & rnd())); break;
        case 9: inl(base); break;
        case 10: outl(base, rnd()); break;
        case 11: outw((uint16_t)(base + (r >> 8 & 7)), (uint16_t)rnd()); break;
        default:
            for (int n = 0; n < 8; n++)
                r & 0x10000 ? (void)inw(base) : outw(base, (uint16_t)(rnd() & rnd()));
            break;
        }
    }
    settle();
    board_free();
}

int main(void)
{
    RUN(reset_with_a_read_out);
    RUN(hostile_descriptors);
    RUN(medium_change_is_told_in_two_steps);
    RUN(noise);
    return test_done();
}
