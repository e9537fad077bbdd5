/*
 * The floppy controller: every command, formats, errors of transfers, non-DMA mode, FORMAT, disk
 * change, write protection; and random register accesses.
 */
#include "devtest.h"
#include "hw/fdc.h"
#include "hw/i8257.h"

#define BUF 0x8000u

static struct fdc *f;
static uint8_t image[2880 * 1024], res[16];

static void start(size_t size, bool readonly)
{
    struct error err;
    for (size_t i = 0; i < size; i++)
        image[i] = (uint8_t)(i / 512 * 3 + i);
    board_new();
    f = fdc_new(m, i8257_new(m, &err), &err);
    fdc_attach(f, 0, size ? scratch_disk("fd0", image, size, readonly) : NULL, &err);
    board_reset();
    clock_start(&m->clock);
}

static void command(int n, const uint8_t *bytes)
{
    for (int i = 0; i < n; i++)
        outb(0x3f5, bytes[i]);
    settle();
}
#define COMMAND(...) command(sizeof((uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ })

/* Reads the result phase; returns the number of bytes. */
static int result(void)
{
    int n = 0;
    settle();
    while ((inb(0x3f4) & 0xd0) == 0xd0 && n < 16)
        res[n++] = inb(0x3f5);
    return n;
}

static void sense(void)
{
    COMMAND(0x08);
    result();
}

static void controller_reset(uint8_t rate)
{
    outb(0x3f2, 0);
    outb(0x3f2, 0x1c);
    for (int i = 0; i < 4; i++)
        sense();
    outb(0x3f7, rate);
    COMMAND(0x03, 0xaf, 0x02);
}

static void set_dma(uint8_t mode, uint32_t addr, uint16_t count)
{
    outb(0xd6, 0xc0); /* the cascade that the first controller hangs on */
    outb(0xd4, 0x00);
    outb(0x0a, 6);
    outb(0x0c, 0);
    outb(0x0b, mode | 2);
    outb(0x04, (uint8_t)addr);
    outb(0x04, (uint8_t)(addr >> 8));
    outb(0x81, (uint8_t)(addr >> 16));
    outb(0x05, (uint8_t)(count - 1));
    outb(0x05, (uint8_t)((count - 1) >> 8));
    outb(0x0a, 2);
}

static void seek(uint8_t track)
{
    COMMAND(0x0f, 0x00, track);
    sense();
}

static bool sector_is(uint32_t addr, uint32_t sector)
{
    return !memcmp(m->ram.host + addr, image + sector * 512, 512);
}

static void reset_sequence(void)
{
    start(1474560, false);
    outb(0x3f2, 0);
    CHECK_EQ(inb(0x3f4), 0);
    outb(0x3f2, 0x0c);
    CHECK_EQ(isa_level[6], 1);
    for (int i = 0; i < 4; i++) {
        sense();
        CHECK_EQ(res[0], 0xc0 + i);
        CHECK_EQ(isa_level[6], 0);
    }
    sense();
    CHECK_EQ(res[0], 0x80);
    outb(0x3f4, 0x80);
    CHECK_EQ(isa_level[6], 1);
    board_free();
}

static void formats(void)
{
    static const struct {
        uint32_t kb;
        uint8_t tracks, heads, sectors, rate, drive;
    } known[] = { { 160, 40, 1, 8, 1, 2 },   { 180, 40, 1, 9, 1, 2 },   { 320, 40, 2, 8, 1, 2 },
                  { 360, 40, 2, 9, 1, 2 },   { 720, 80, 2, 9, 2, 4 },   { 1200, 80, 2, 15, 0, 2 },
                  { 1440, 80, 2, 18, 0, 4 }, { 2880, 80, 2, 36, 3, 5 }, { 1, 80, 2, 18, 0, 4 },
                  { 1680, 80, 2, 21, 0, 4 }, { 2000, 80, 2, 36, 3, 5 } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct fdc_geometry *g = fdc_guess_geometry(known[i].kb * 1024ull);
        CHECK_EQ(g->tracks, known[i].tracks);
        CHECK_EQ(g->heads, known[i].heads);
        CHECK_EQ(g->sectors, known[i].sectors);
        CHECK_EQ(g->rate, known[i].rate);
        CHECK_EQ(g->drive, known[i].drive);
    }
}

static void read_id_depends_on_the_data_rate(void)
{
    start(720 * 1024, false);
    controller_reset(0);
    seek(7);
    COMMAND(0x4a, 0x04);
    for (int i = 0; i < 40; i++) {
        usleep(1000);
        clock_run_timers(&m->clock);
    }
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[0], 0x44);
    CHECK_EQ(res[1], 0x01);
    outb(0x3f7, 2);
    COMMAND(0x4a, 0x04);
    CHECK_EQ(inb(0x3f4), 0x10);
    for (int i = 0; i < 40; i++) {
        usleep(1000);
        clock_run_timers(&m->clock);
    }
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[0], 0x04);
    CHECK_EQ(res[3], 7);
    CHECK_EQ(res[4], 1);
    CHECK_EQ(res[6], 2);
    board_free();
}

static void dma_transfers(void)
{
    start(1474560, false);
    controller_reset(0);
    seek(2);
    set_dma(0x44, BUF, 1024);
    COMMAND(0x46, 0x00, 2, 0, 17, 2, 18, 0x1b, 0xff);
    CHECK_EQ(isa_level[6], 1);
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[0] | res[1] | res[2], 0);
    CHECK_EQ(res[3], 3); /* next: cylinder 3, sector 1 */
    CHECK_EQ(res[5], 1);
    CHECK(sector_is(BUF, 2 * 36 + 16) && sector_is(BUF + 512, 2 * 36 + 17));
    /* Terminal count inside a sector. */
    memset(m->ram.host + BUF, 0xee, 1024);
    set_dma(0x44, BUF, 100);
    COMMAND(0x46, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0);
    CHECK_EQ(m->ram.host[BUF + 100], 0xee);
    /* EOT before terminal count. */
    set_dma(0x44, BUF, 8192);
    COMMAND(0x46, 0x00, 2, 0, 17, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 0x80);
    /* Write, with the tail of the sector zeroed. */
    memset(m->ram.host + BUF, 0x5a, 1024);
    set_dma(0x48, BUF, 600);
    COMMAND(0x45, 0x00, 2, 0, 4, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0);
    CHECK_EQ(res[5], 6);
    set_dma(0x44, BUF, 1024);
    COMMAND(0x46, 0x00, 2, 0, 4, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(m->ram.host[BUF + 599], 0x5a);
    CHECK_EQ(m->ram.host[BUF + 600], 0);
    /* Wrong cylinder, sector beyond the track, other sector size. */
    COMMAND(0x46, 0x00, 9, 0, 4, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 0x04);
    CHECK_EQ(res[2], 0x10);
    COMMAND(0x46, 0x00, 2, 0, 19, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[1], 0x04);
    COMMAND(0x46, 0x00, 2, 0, 1, 3, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[1], 0x04);
    /* Implied seek. */
    COMMAND(0x13, 0, 0x40 | 0x17, 0);
    set_dma(0x44, BUF, 512);
    COMMAND(0x46, 0x00, 9, 0, 1, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0);
    CHECK(sector_is(BUF, 9 * 36));
    board_free();
}

static void waits_for_the_dma_channel(void)
{
    start(1474560, false);
    controller_reset(0);
    seek(0);
    outb(0x0a, 6);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(inb(0x3f4), 0x10);
    set_dma(0x44, BUF, 512);
    usleep(3000);
    clock_run_timers(&m->clock);
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[0], 0);
    CHECK(sector_is(BUF, 0));
    board_free();
}

static void non_dma(void)
{
    uint8_t got[512];
    start(1474560, false);
    controller_reset(0);
    seek(0);
    COMMAND(0x03, 0xaf, 0x03);
    COMMAND(0x46, 0x00, 0, 0, 3, 2, 3, 0x1b, 0xff);
    CHECK_EQ(isa_level[6], 1);
    CHECK_EQ(inb(0x3f4), 0xf0);
    for (int i = 0; i < 512; i++)
        got[i] = inb(0x3f5);
    CHECK(!memcmp(got, image + 2 * 512, 512));
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[1], 0x80); /* no terminal count: end of cylinder */
    COMMAND(0x45, 0x00, 0, 0, 5, 2, 5, 0x1b, 0xff);
    CHECK_EQ(inb(0x3f4), 0xb0);
    for (int i = 0; i < 512; i++)
        outb(0x3f5, (uint8_t)~i);
    CHECK_EQ(result(), 7);
    COMMAND(0x46, 0x00, 0, 0, 5, 2, 5, 0x1b, 0xff);
    for (int i = 0; i < 512; i++)
        CHECK_EQ(inb(0x3f5), (uint8_t)~i);
    result();
    board_free();
}

static void format_and_verify(void)
{
    start(1474560, false);
    controller_reset(0);
    seek(5);
    for (uint32_t i = 0; i < 18; i++) {
        uint8_t field[4] = { 5, 1, (uint8_t)(i * 5 % 18 + 1), 2 };
        dma_write(&m->mem, BUF + 4 * i, field, 4);
    }
    set_dma(0x48, BUF, 72);
    COMMAND(0x4d, 0x04, 2, 18, 0x54, 0xf6);
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[0], 0x04);
    set_dma(0x44, BUF, 18 * 512);
    COMMAND(0x46, 0x04, 5, 1, 1, 2, 18, 0x1b, 0xff);
    result();
    for (int i = 0; i < 18 * 512; i++)
        CHECK_EQ(m->ram.host[BUF + i], 0xf6);
    COMMAND(0x56, 0x80, 5, 0, 1, 2, 18, 0x1b, 9);
    result();
    CHECK_EQ(res[0], 0);
    CHECK_EQ(res[5], 10);
    board_free();
}

static void scan(void)
{
    start(1474560, false);
    controller_reset(0);
    seek(0);
    memcpy(m->ram.host + BUF, image + 512, 512);
    set_dma(0x48, BUF, 512);
    COMMAND(0x51, 0, 0, 0, 2, 2, 18, 0x1b, 1);
    result();
    CHECK_EQ(res[0], 0);
    CHECK_EQ(res[2], 0x08);
    m->ram.host[BUF + 9] ^= 0x40;
    set_dma(0x48, BUF, 512);
    COMMAND(0x51, 0, 0, 0, 2, 2, 18, 0x1b, 1);
    result();
    CHECK_EQ(res[2], 0x04);
    board_free();
}

static void disk_change_and_protection(void)
{
    struct error err;
    start(1474560, true);
    controller_reset(0);
    CHECK_EQ(inb(0x3f7) & 0x80, 0x80);
    seek(1);
    CHECK_EQ(inb(0x3f7) & 0x80, 0);
    COMMAND(0x04, 0);
    result();
    CHECK_EQ(res[0], 0x68);
    set_dma(0x48, BUF, 512);
    COMMAND(0x45, 0x00, 1, 0, 1, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 0x02);
    CHECK(fdc_set_medium(f, 0, NULL, &err));
    CHECK_EQ(inb(0x3f7) & 0x80, 0x80);
    seek(2);
    CHECK_EQ(inb(0x3f7) & 0x80, 0x80); /* nothing in it */
    COMMAND(0x46, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0x40);
    CHECK(!fdc_set_medium(f, 1, NULL, &err));
    board_free();
}

static void short_image_reads_as_zeros(void)
{
    start(700, false);
    controller_reset(0);
    seek(0);
    set_dma(0x44, BUF, 3 * 512);
    memset(m->ram.host + BUF, 0xee, 4 * 512);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    result();
    CHECK_EQ(res[0], 0);
    CHECK(sector_is(BUF, 0));
    CHECK_EQ(m->ram.host[BUF + 699], image[699]);
    CHECK_EQ(m->ram.host[BUF + 700], 0);
    CHECK_EQ(m->ram.host[BUF + 1535], 0);
    board_free();
}

static void reset_in_the_middle(void)
{
    start(1474560, false);
    controller_reset(0);
    seek(0);
    set_dma(0x44, BUF, 1024);
    static const uint8_t c[] = { 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff };
    for (int i = 0; i < 9; i++)
        outb(0x3f5, c[i]);
    controller_reset(0); /* with the read under way */
    settle();
    CHECK_EQ(inb(0x3f4), 0x80);
    CHECK_EQ(isa_level[6], 0);
    seek(0);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(result(), 7);
    CHECK_EQ(res[0], 0);
    board_free();
}

static void registers_and_state_commands(void)
{
    start(1474560, false);
    controller_reset(0);
    COMMAND(0x10);
    CHECK_EQ(result(), 1);
    CHECK_EQ(res[0], 0x90);
    COMMAND(0x13, 0, 0x57, 9);
    COMMAND(0x94);
    result();
    CHECK_EQ(res[0], 0x10);
    controller_reset(0);
    COMMAND(0x0e);
    CHECK_EQ(result(), 10);
    CHECK_EQ(res[8], 0x07); /* EIS and POLL fell, FIFO and threshold stayed */
    CHECK_EQ(res[9], 9);
    COMMAND(0x14);
    result();
    controller_reset(0);
    COMMAND(0x0e);
    result();
    CHECK_EQ(res[8], 0x20);
    COMMAND(0x2e);
    CHECK_EQ(result(), 15);
    COMMAND(0x4e, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    CHECK_EQ(inb(0x3f4), 0x80);
    COMMAND(0x8e, 0x12, 0x80);
    CHECK_EQ(result(), 4);
    COMMAND(0x8e, 0xc0);
    CHECK_EQ(inb(0x3f4), 0x80);
    seek(10);
    COMMAND(0xcf, 0, 5);
    sense();
    CHECK_EQ(res[1], 15);
    COMMAND(0x8f, 0, 3);
    sense();
    CHECK_EQ(res[1], 12);
    COMMAND(0x07, 3); /* no drive 3 */
    sense();
    CHECK_EQ(res[0], 0x73);
    board_free();
}

static void noise(void)
{
    start(1474560, false);
    static const uint16_t ports[] = { 0x3f0, 0x3f1, 0x3f2, 0x3f3, 0x3f4,
                                      0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f7 };
    for (int i = 0; i < 200000; i++) {
        uint16_t p = ports[rnd() % 10];
        uint32_t r = rnd();
        if (p == 0x3f2 && r % 64)
            continue;
        if (p == 0x3f4 && r % 64)
            r &= 3;
        if (r & 0x100)
            inb(p);
        else
            outb(p, (uint8_t)(r >> 12));
        if (i % 7 == 0)
            settle();
        if (i % 400 == 0)
            set_dma(r & 0x200 ? 0x44 : 0x48, BUF, (uint16_t)(rnd() % 4096 + 1));
        if (i % 1000 == 0) {
            controller_reset(0);
            seek((uint8_t)(rnd() % 80));
        }
    }
    settle();
    board_free();
}

int main(void)
{
    RUN(reset_sequence);
    RUN(formats);
    RUN(read_id_depends_on_the_data_rate);
    RUN(dma_transfers);
    RUN(waits_for_the_dma_channel);
    RUN(non_dma);
    RUN(format_and_verify);
    RUN(scan);
    RUN(disk_change_and_protection);
    RUN(short_image_reads_as_zeros);
    RUN(reset_in_the_middle);
    RUN(registers_and_state_commands);
    RUN(noise);
    return test_done();
}
