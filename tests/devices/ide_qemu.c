/*
 * IDE against QEMU's: disk on the primary channel, CD on the secondary, by PIO and by bus-master
 * DMA. Registers after each step, data and interrupt lines are compared. Known and meant
 * differences are masked where they occur: names and serial numbers, DSC after commands that don't
 * seek, the ATAPI details listed below.
 */
#include "both.h"
#include "hw/ide/ide.h"

#define HD_SECTORS 40000u
#define CD_BLOCKS  3000u
#define BM         0xc000u
#define PRD        0x10000u
#define BUF        0x20000u

static uint16_t base; /* of the channel under test */
static int irq;
static uint8_t status_mask;

#define CTL (base + 0x206)

/* The task file, alternate status first, then the interrupt, then status (which lowers it). */
static void compare_registers(void)
{
    in_masked((uint16_t)CTL, 1, status_mask);
    compare_irq(irq);
    for (unsigned r = 1; r <= 6; r++)
        in((uint16_t)(base + r), 1);
    in_masked(base + 7, 1, status_mask);
    compare_irq(irq);
}

static void taskfile(uint8_t feature, uint8_t count, uint8_t sector, uint8_t lcyl, uint8_t hcyl,
                     uint8_t select)
{
    out(base + 6, select, 1);
    out(base + 1, feature, 1);
    out(base + 2, count, 1);
    out(base + 3, sector, 1);
    out(base + 4, lcyl, 1);
    out(base + 5, hcyl, 1);
}

static void command(uint8_t c)
{
    out(base + 7, c, 1);
    wait_port((uint16_t)CTL, 0x80, 0);
}

/* Reads whole DRQ blocks until DRQ falls. */
static void read_blocks(unsigned words)
{
    for (int block = 0; block < 400; block++) {
        wait_port((uint16_t)CTL, 0x80, 0);
        if (!(qtest_in(qemu, (uint16_t)CTL, 1) & 8))
            break;
        compare_registers();
        for (unsigned i = 0; i < words; i += 2)
            in(base, 4);
    }
    wait_port((uint16_t)CTL, 0x80, 0);
    compare_registers();
}

static void lba28(uint32_t lba, uint8_t count)
{
    taskfile(0, count, (uint8_t)lba, (uint8_t)(lba >> 8), (uint8_t)(lba >> 16),
             (uint8_t)(0xe0 | (lba >> 24 & 15)));
}

static void lba48(uint64_t lba, uint16_t count)
{
    taskfile(0, (uint8_t)(count >> 8), (uint8_t)(lba >> 24), (uint8_t)(lba >> 32),
             (uint8_t)(lba >> 40), 0xe0);
    taskfile(0, (uint8_t)count, (uint8_t)lba, (uint8_t)(lba >> 8), (uint8_t)(lba >> 16), 0xe0);
}

static void reset_channel(void)
{
    out((uint16_t)CTL, 4, 1);
    usleep(2000);
    out((uint16_t)CTL, 0, 1);
    wait_port((uint16_t)CTL, 0x80, 0);
}

static void resets_and_selection(void)
{
    step = "SRST";
    reset_channel();
    /* QEMU interrupts after SRST, hardware doesn't. */
    qtest_in(qemu, base + 7, 1);
    compare_registers();
    step = "drive 1 selected";
    out(base + 6, 0xb0, 1);
    in((uint16_t)CTL, 1);
    in(base + 7, 1);
    step = "command to an absent drive";
    out(base + 7, 0xec, 1);
    in((uint16_t)CTL, 1);
    compare_irq(irq);
    out(base + 6, 0xa0, 1);
    step = "EXECUTE DEVICE DIAGNOSTIC";
    command(0x90);
    if (irq == 15) { /* QEMU's CD drive doesn't interrupt, against ATA/ATAPI-6, 8.11 */
        qtest_in(qemu, base + 7, 1);
        mem_read(&m->io, base + 7, 1);
    }
    compare_registers();
}

static void pio_reads(void)
{
    step = "IDENTIFY";
    taskfile(0, 0, 0, 0, 0, 0xa0);
    command(0xec);
    /* Words that differ by design: names; 84-88 (WWN, current modes) are looked at below. */
    in_masked((uint16_t)CTL, 1, status_mask);
    for (unsigned i = 0; i < 256; i++) {
        bool name = (i >= 10 && i < 47) || i == 69 /* TRIM */ || (i >= 84 && i <= 87) || i >= 106;
        uint32_t t = qtest_in(qemu, base, 2), o = (uint32_t)mem_read(&m->io, base, 2);
        if (!name && t != o)
            DIFFER("word %u is 0x%04x, QEMU's 0x%04x", i, o, t);
    }
    settle();
    compare_registers();
    step = "READ SECTORS, LBA28";
    lba28(100, 5);
    command(0x20);
    read_blocks(256);
    step = "READ SECTORS, more than the buffer";
    lba28(9, 130);
    command(0x20);
    read_blocks(256);
    step = "READ SECTORS, CHS";
    taskfile(0, 70, 60, 1, 0, 0xa3);
    command(0x20);
    read_blocks(256);
    step = "READ SECTORS EXT";
    lba48(20000, 3);
    command(0x24);
    read_blocks(256);
    step = "HOB";
    out((uint16_t)CTL, 0x80, 1);
    for (unsigned r = 2; r <= 5; r++)
        in((uint16_t)(base + r), 1);
    out((uint16_t)CTL, 0, 1);
    step = "SET MULTIPLE";
    taskfile(0, 8, 0, 0, 0, 0xe0);
    command(0xc6);
    compare_registers();
    step = "SET MULTIPLE, bad";
    taskfile(0, 3, 0, 0, 0, 0xe0);
    command(0xc6);
    compare_registers();
    step = "READ MULTIPLE";
    lba28(50, 16);
    command(0xc4);
    read_blocks(256 * 8);
    step = "past the end";
    lba28(HD_SECTORS, 1);
    command(0x20);
    compare_registers();
    step = "up to and past the end";
    lba28(HD_SECTORS - 2, 4);
    command(0x20);
    read_blocks(256);
}

static void write_blocks(unsigned words)
{
    for (int block = 0; block < 300; block++) {
        wait_port((uint16_t)CTL, 0x80, 0);
        if (!(qtest_in(qemu, (uint16_t)CTL, 1) & 8))
            break;
        compare_registers();
        for (unsigned i = 0; i < words; i++)
            out(base, rnd() & 0xffff, 2);
    }
    wait_port((uint16_t)CTL, 0x80, 0);
    compare_registers();
}

static void pio_writes(void)
{
    step = "WRITE SECTORS";
    lba28(200, 3);
    command(0x30);
    write_blocks(256);
    step = "WRITE MULTIPLE EXT";
    lba48(300, 16);
    command(0x39);
    write_blocks(256 * 8);
    step = "read back";
    lba28(198, 8);
    command(0x20);
    read_blocks(256);
    lba28(299, 18);
    command(0x20);
    read_blocks(256);
    step = "WRITE SECTORS past the end";
    lba28(HD_SECTORS - 1, 2);
    command(0x30);
    write_blocks(256);
}

static void other_commands(void)
{
    static const struct {
        const char *name;
        uint8_t command, feature, count, sector, lcyl, hcyl;
    } tests[] = {
        { "FLUSH CACHE", 0xe7, 0, 0, 0, 0, 0 },
        { "FLUSH CACHE EXT", 0xea, 0, 0, 0, 0, 0 },
        { "VERIFY", 0x40, 0, 1, 5, 0, 0 },
        { "RECALIBRATE", 0x10, 0, 0, 0, 0, 0 },
        { "CHECK POWER MODE", 0xe5, 0, 0, 0, 0, 0 },
        { "STANDBY IMMEDIATE", 0xe0, 0, 0, 0, 0, 0 },
        { "IDLE", 0xe3, 0, 4, 0, 0, 0 },
        { "READ NATIVE MAX", 0xf8, 0, 0, 0, 0, 0 },
        { "READ NATIVE MAX EXT", 0x27, 0, 0, 0, 0, 0 },
        { "unknown", 0xff, 0, 0, 0, 0, 0 },
        { "PACKET", 0xa0, 0, 0, 0, 0, 0 },
        { "IDENTIFY PACKET", 0xa1, 0, 0, 0, 0, 0 },
        { "DEVICE RESET", 0x08, 0, 0, 0, 0, 0 },
        { "NOP", 0x00, 0, 0, 0, 0, 0 },
        { "SET FEATURES UDMA2", 0xef, 3, 0x42, 0, 0, 0 },
        { "SET FEATURES MWDMA2", 0xef, 3, 0x22, 0, 0, 0 },
        { "SET FEATURES bad mode", 0xef, 3, 0x58, 0, 0, 0 },
        { "SET FEATURES unknown", 0xef, 0x77, 0, 0, 0, 0 },
        { "SET FEATURES look-ahead", 0xef, 0xaa, 0, 0, 0, 0 },
        { "write cache off", 0xef, 0x82, 0, 0, 0, 0 },
        { "write cache on", 0xef, 2, 0, 0, 0, 0 },
        { "SMART STATUS", 0xb0, 0xda, 0, 0, 0x4f, 0xc2 },
        { "SMART no signature", 0xb0, 0xda, 0, 0, 0, 0 },
        { "SMART DISABLE", 0xb0, 0xd9, 0, 0, 0x4f, 0xc2 },
        { "SMART while off", 0xb0, 0xda, 0, 0, 0x4f, 0xc2 },
        { "SMART ENABLE", 0xb0, 0xd8, 0, 0, 0x4f, 0xc2 },
        { "SPECIFY", 0x91, 0, 32, 0, 0, 0 },
        { "SPECIFY back", 0x91, 0, 63, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        step = tests[i].name;
        /* Head 15 for SPECIFY. */
        taskfile(tests[i].feature, tests[i].count, tests[i].sector, tests[i].lcyl, tests[i].hcyl,
                 0xef);
        if (tests[i].command != 0x91)
            out(base + 6, 0xe0, 1);
        status_mask = 0xef; /* DSC */
        command(tests[i].command);
        compare_registers();
        status_mask = 0xff;
    }
    step = "SMART READ DATA";
    taskfile(0xd0, 1, 0, 0x4f, 0xc2, 0xa0);
    command(0xb0);
    compare_registers();
    for (int i = 0; i < 256; i++) { /* each drive reports its own attributes */
        qtest_in(qemu, base, 2);
        mem_read(&m->io, base, 2);
    }
    settle();
    compare_registers();
}

static void set_prds(const uint32_t *prds, unsigned n)
{
    for (unsigned i = 0; i < 2 * n; i++)
        poke32(PRD + 4 * i, prds[i]);
}

static void bm_start(unsigned bm, uint8_t direction)
{
    out((uint16_t)(bm + 2), 0x06, 1);
    out((uint16_t)(bm + 4), PRD, 4);
    out((uint16_t)bm, direction, 1);
    out((uint16_t)bm, direction | 1, 1);
}

/* Waits for the end of a transfer: QEMU's block layer works in a thread, which may have to wait for
 * a processor. */
static void bm_finish(unsigned bm)
{
    for (int i = 0; i < 20000; i++) {
        settle();
        uint8_t t = (uint8_t)qtest_in(qemu, (uint16_t)(bm + 2), 1);
        if (t == (uint8_t)mem_read(&m->io, (uint16_t)(bm + 2), 1) &&
            !(qtest_in(qemu, (uint16_t)CTL, 1) & 0x88))
            break;
        usleep(100);
    }
    in((uint16_t)(bm + 2), 1);
    in((uint16_t)bm, 1);
    in((uint16_t)(bm + 4), 4);
    compare_registers();
    out((uint16_t)bm, 0, 1);
    in((uint16_t)(bm + 2), 1);
}

static void dma(void)
{
    const uint32_t exact[] = { BUF, 0x1000, BUF + 0x8000, 0x80000000u | 0x1000 };
    const uint32_t longer[] = { BUF, 0x4000, BUF + 0x8000, 0x80000000u | 0x1000 };
    const uint32_t shorter[] = { BUF, 0x800, BUF + 0x8000, 0x80000000u | 0x400 };
    const uint32_t odd[] = {
        BUF + 2, 0x200, BUF + 0x1002, 0x3fe, BUF + 0x2000, 0x80000000u | 0xa02
    };
    const uint32_t full[] = { BUF, 0, BUF + 0x10000, 0x80000000u };
    static uint8_t pattern[0x20000];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)rnd();
    poke(BUF, pattern, sizeof pattern);
    status_mask = 0xff;

    step = "READ DMA";
    set_prds(exact, 2);
    lba28(1000, 16);
    command(0xc8);
    bm_start(BM, 8);
    bm_finish(BM);
    compare_memory(BUF, 0x20000);
    step = "READ DMA, table longer than the data";
    set_prds(longer, 2);
    lba28(1500, 16);
    command(0xc8);
    bm_start(BM, 8);
    bm_finish(BM);
    compare_memory(BUF, 0x20000);
    step = "READ DMA, table too short";
    set_prds(shorter, 2);
    lba28(2000, 16);
    command(0xc8);
    bm_start(BM, 8);
    usleep(2000);
    in(BM + 2, 1); /* not active, no interrupt; we have moved what fits, QEMU nothing */
    in_masked((uint16_t)CTL, 1, 0xff);
    compare_irq(irq);
    out(BM, 0, 1);
    step = "after it";
    reset_channel();
    qtest_in(qemu, base + 7, 1);
    compare_registers();
    poke(BUF, pattern, sizeof pattern);
    step = "READ DMA EXT, pieces at odd places";
    set_prds(odd, 3);
    lba48(2500, 8);
    command(0x25);
    bm_start(BM, 8);
    bm_finish(BM);
    compare_memory(BUF, 0x20000);
    step = "READ DMA 128 KB";
    set_prds(full, 2);
    lba28(3000, 0);
    command(0xc8);
    bm_start(BM, 8);
    bm_finish(BM);
    compare_memory(BUF, 0x20000);
    step = "READ DMA, bus master first";
    set_prds(exact, 2);
    bm_start(BM, 8);
    lba28(4000, 16);
    command(0xc8);
    bm_finish(BM);
    compare_memory(BUF, 0x20000);
    step = "WRITE DMA";
    poke(BUF, pattern, sizeof pattern);
    set_prds(odd, 3);
    lba28(5000, 8);
    command(0xca);
    bm_start(BM, 0);
    bm_finish(BM);
    lba28(4999, 10);
    command(0x20);
    read_blocks(256);
    step = "WRITE DMA EXT 128 KB";
    set_prds(full, 2);
    lba48(6000, 256);
    command(0x35);
    bm_start(BM, 0);
    bm_finish(BM);
    lba28(6100, 80);
    command(0x20);
    read_blocks(256);
    step = "READ DMA past the end";
    set_prds(exact, 2);
    lba28(HD_SECTORS - 1, 16);
    command(0xc8);
    out(BM, 8, 1);
    out(BM, 9, 1); /* QEMU only looks at the address now */
    usleep(2000);
    qtest_in(qemu, base + 7, 1);
    mem_read(&m->io, base + 7, 1);
    compare_registers();
    out(BM, 0, 1);
    reset_channel();
    qtest_in(qemu, base + 7, 1);
    step = "bus master registers";
    out(BM + 2, 0x67, 1);
    in(BM + 2, 1);
    out(BM + 4, 0x12345677, 4);
    in(BM + 4, 4);
    in(BM + 1, 1);
    in(BM + 3, 1);
    out(BM + 2, 0x06, 1);
    in(BM + 2, 1);
}

/* ---- CD ---- */

static void packet(const uint8_t *c, uint16_t limit, bool use_dma)
{
    taskfile(use_dma, 0, 0, (uint8_t)limit, (uint8_t)(limit >> 8), 0xa0);
    command(0xa0);
    compare_registers();
    for (int i = 0; i < 12; i += 2)
        out(base, c[i] | (uint32_t)c[i + 1] << 8, 2);
    if (!use_dma)
        wait_port((uint16_t)CTL, 0x80, 0);
}

/* Reads PIO blocks of a reply as the byte count registers say. Bytes from @skip on aren't compared.
 */
static void read_reply(unsigned skip)
{
    unsigned at = 0;
    for (int block = 0; block < 200; block++) {
        wait_port((uint16_t)CTL, 0x80, 0);
        if (!(qtest_in(qemu, (uint16_t)CTL, 1) & 8))
            break;
        compare_registers();
        unsigned n = qtest_in(qemu, base + 4, 1) | qtest_in(qemu, base + 5, 1) << 8;
        for (unsigned i = 0; i < n; i += 2, at += 2)
            in_masked(base, 2, at >= skip ? 0 : 0xffff);
    }
    compare_registers();
}

static void cd_command(const char *name, const uint8_t *c, uint16_t limit, unsigned skip)
{
    step = name;
    packet(c, limit, false);
    read_reply(skip);
}

static void cd_pio(void)
{
    status_mask = 0xff;
    step = "CD: IDENTIFY";
    taskfile(0, 0, 0, 0, 0, 0xa0);
    command(0xec);
    compare_registers();
    step = "CD: READ SECTORS";
    command(0x20);
    compare_registers();
    step = "CD: DEVICE RESET";
    command(0x08);
    in((uint16_t)CTL, 1);
    for (unsigned r = 2; r <= 6; r++) /* the error register has the diagnostic code, 0 in QEMU's */
        in((uint16_t)(base + r), 1);
    step = "CD: IDENTIFY PACKET";
    command(0xa1);
    for (unsigned i = 0; i < 256; i++) {
        bool name = (i >= 10 && i < 47) || (i >= 84 && i <= 87) || i >= 106;
        uint32_t t = qtest_in(qemu, base, 2), o = (uint32_t)mem_read(&m->io, base, 2);
        if (!name && t != (i == 49 ? o & ~0x800u : o)) /* IORDY */
            DIFFER("word %u is 0x%04x, QEMU's 0x%04x", i, o, t);
    }
    compare_registers();
    cd_command("TEST UNIT READY", (const uint8_t[12]){ 0 }, 0, 99);
    cd_command("INQUIRY", (const uint8_t[12]){ 0x12, 0, 0, 0, 36 }, 36, 8);
    cd_command("READ CAPACITY", (const uint8_t[12]){ 0x25 }, 8, 99);
    cd_command("READ(10)", (const uint8_t[12]){ 0x28, 0, 0, 0, 0, 16, 0, 0, 3 }, 2048, 1 << 20);
    cd_command("READ(10), 64 KB limit", (const uint8_t[12]){ 0x28, 0, 0, 0, 0, 16, 0, 0, 40 },
               0xffff, 1 << 20);
    cd_command("READ(12), odd limit", (const uint8_t[12]){ 0xa8, 0, 0, 0, 1, 0, 0, 0, 0, 3 }, 1001,
               1 << 20);
    cd_command("READ(10) past the end", (const uint8_t[12]){ 0x28, 0, 0, 0, 0xff, 16, 0, 0, 3 },
               2048, 0);
    cd_command("REQUEST SENSE", (const uint8_t[12]){ 3, 0, 0, 0, 18 }, 18, 99);
    cd_command("READ CD", (const uint8_t[12]){ 0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0x10 }, 2048,
               1 << 20);
    cd_command("READ CD raw", (const uint8_t[12]){ 0xbe, 0, 0, 0, 0, 0xe6, 0, 0, 1, 0xf8 }, 2352,
               2064);
    cd_command("READ TOC", (const uint8_t[12]){ 0x43, 0, 0, 0, 0, 0, 0, 0, 20 }, 20, 99);
    cd_command("READ TOC MSF", (const uint8_t[12]){ 0x43, 2, 0, 0, 0, 0, 0, 0, 20 }, 20, 99);
    cd_command("READ TOC lead-out", (const uint8_t[12]){ 0x43, 0, 0, 0, 0, 0, 0xaa, 0, 20 }, 20,
               99);
    cd_command("READ TOC bad track", (const uint8_t[12]){ 0x43, 0, 0, 0, 0, 0, 2, 0, 20 }, 20, 99);
    cd_command("READ TOC session", (const uint8_t[12]){ 0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40 }, 12,
               4);
    cd_command("READ TOC raw", (const uint8_t[12]){ 0x43, 2, 0, 0, 0, 0, 0, 0, 48, 0x80 }, 48, 99);
    cd_command("MODE SENSE 2a", (const uint8_t[12]){ 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 28 }, 28, 0);
    cd_command("MODE SENSE 01", (const uint8_t[12]){ 0x5a, 0, 0x01, 0, 0, 0, 0, 0, 16 }, 16, 0);
    cd_command("MODE SENSE unknown", (const uint8_t[12]){ 0x5a, 0, 0x05, 0, 0, 0, 0, 0, 28 }, 28,
               0);
    cd_command("MODE SENSE saved", (const uint8_t[12]){ 0x5a, 0, 0xea, 0, 0, 0, 0, 0, 28 }, 28, 0);
    cd_command("READ DISC INFORMATION", (const uint8_t[12]){ 0x51, 0, 0, 0, 0, 0, 0, 0, 34 }, 34,
               99);
    cd_command("GET CONFIGURATION", (const uint8_t[12]){ 0x46, 0, 0, 0, 0, 0, 0, 0, 8 }, 8, 0);
    cd_command("GET EVENT STATUS", (const uint8_t[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, 8, 0);
    cd_command("GET EVENT STATUS async", (const uint8_t[12]){ 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8 }, 8,
               0);
    cd_command("MECHANISM STATUS", (const uint8_t[12]){ 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 }, 8, 99);
    cd_command("SEEK", (const uint8_t[12]){ 0x2b, 0, 0, 0, 0, 5 }, 0, 0);
    cd_command("SEEK past the end", (const uint8_t[12]){ 0x2b, 0, 0, 0, 0xff, 5 }, 0, 0);
    cd_command("SET CD SPEED", (const uint8_t[12]){ 0xbb, 0, 0xff, 0xff }, 0, 0);
    cd_command("unknown command", (const uint8_t[12]){ 0xee }, 0, 0);
    cd_command("REQUEST SENSE after it", (const uint8_t[12]){ 3, 0, 0, 0, 18 }, 18, 99);
    cd_command("PREVENT", (const uint8_t[12]){ 0x1e, 0, 0, 0, 1 }, 0, 0);
    cd_command("ALLOW", (const uint8_t[12]){ 0x1e }, 0, 0);
    cd_command("eject", (const uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, 0, 0);
    cd_command("not ready", (const uint8_t[12]){ 0 }, 0, 0);
    cd_command("REQUEST SENSE: not ready", (const uint8_t[12]){ 3, 0, 0, 0, 18 }, 18, 12);
    cd_command("load", (const uint8_t[12]){ 0x1b, 0, 0, 0, 3 }, 0, 0);
    cd_command("ready", (const uint8_t[12]){ 0 }, 0, 0);
}

static void cd_dma(void)
{
    const uint32_t exact[] = { BUF, 0x1000, BUF + 0x4000, 0x80000000u | 0x800 };
    const uint32_t sense[] = { BUF, 0x80000000u | 18 };
    step = "READ(10) by DMA";
    set_prds(exact, 2);
    packet((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 30, 0, 0, 3 }, 0, true);
    bm_start(BM + 8, 8);
    bm_finish(BM + 8);
    compare_memory(BUF, 0x8000);
    step = "REQUEST SENSE by DMA";
    set_prds(sense, 1);
    packet((const uint8_t[12]){ 3, 0, 0, 0, 18 }, 0, true);
    bm_start(BM + 8, 8);
    bm_finish(BM + 8);
    compare_memory(BUF, 2); /* QEMU keeps the last sense key */
    compare_memory(BUF + 3, 9);
}

static void configure_pci(void)
{
    struct pci_device *pci = board_bus.devices[9];
    static const struct {
        uint8_t reg;
        uint32_t value;
    } writes[] = { { 0x20, BM }, { 0x04, 5 }, { 0x40, 0x80008000 } };
    for (int i = 0; i < 3; i++) {
        qtest_out(qemu, 0xcf8, 0x80000900u | writes[i].reg, 4);
        qtest_out(qemu, 0xcfc, writes[i].value, i == 1 ? 2 : 4);
        pci_config_write(pci, writes[i].reg, writes[i].value, i == 1 ? 2 : 4);
    }
    step = "PCI configuration";
    for (unsigned reg = 0; reg < 0x40; reg += 4) {
        qtest_out(qemu, 0xcf8, 0x80000900u | reg, 4);
        uint32_t t = qtest_in(qemu, 0xcfc, 4), o = pci_config_read(pci, (uint8_t)reg, 4);
        if (t != o)
            DIFFER("register 0x%02x is 0x%08x, QEMU's 0x%08x", reg, o, t);
    }
}

int main(void)
{
    char *hd = image_file(HD_SECTORS * 512, 1), *cd = image_file(CD_BLOCKS * 2048, 77);
    char hd_arg[100], cd_arg[100];
    struct error err;
    snprintf(hd_arg, sizeof hd_arg, "file=%s,format=raw,if=ide,index=0,snapshot=on", hd);
    snprintf(cd_arg, sizeof cd_arg, "file=%s,format=raw,if=ide,index=2,media=cdrom", cd);
    const char *const args[] = { "-drive", hd_arg, "-drive", cd_arg, NULL };
    qemu = qtest_start(args);
    if (!qemu)
        return 77;
    qtest_intercept_in(qemu, "ioapic");
    board_new();
    struct piix_ide *ide = piix3_ide_new(m, 9, &err);
    struct ide_unit disk = { .blk = open_image("hda", hd, false) };
    struct ide_unit cdrom = { .blk = open_image("cd", cd, true), .cdrom = true };
    if (!ide || !piix_ide_attach(ide, 0, &disk, &err) || !piix_ide_attach(ide, 2, &cdrom, &err))
        return 1;
    for (struct device *d = m->devices; d; d = d->next) {
        pci_device_reset((struct pci_device *)d);
        device_reset(d);
    }
    configure_pci();
    base = 0x1f0;
    irq = 14;
    status_mask = 0xff;
    RUN(resets_and_selection);
    RUN(pio_reads);
    RUN(pio_writes);
    RUN(other_commands);
    RUN(dma);
    base = 0x170;
    irq = 15;
    RUN(resets_and_selection);
    RUN(cd_pio);
    RUN(cd_dma);
    qtest_stop(qemu);
    board_free();
    unlink(hd);
    unlink(cd);
    printf("%d differences\n", differences);
    return test_done() || differences;
}
