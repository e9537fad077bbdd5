/*
 * The floppy controller against QEMU's, commands and transfers by DMA channel 2. READ ID and the
 * exact status of failing transfers are in tests/unit/fdc.c: QEMU's timers stand still here, and it
 * doesn't model ID fields.
 */
#include "both.h"
#include "hw/fdc.h"
#include "hw/i8257.h"

#define DMA_BUF 0x30000u

static void send(uint8_t v)
{
    wait_port(0x3f4, 0xc0, 0x80);
    out(0x3f5, v, 1);
}

static void command(const char *name, int n, const uint8_t *bytes)
{
    step = name;
    for (int i = 0; i < n; i++)
        send(bytes[i]);
}
#define COMMAND(name, ...)                                                                         \
    command(name, sizeof((uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ })

static void result(int n)
{
    for (int i = 0; i < n; i++) {
        wait_port(0x3f4, 0xc0, 0xc0);
        if (i == 0)
            compare_irq(6);
        in_masked(0x3f5, 1,
                  i == 0 && n == 7 ? 0xdf : 0xff); /* QEMU says "seek end" after transfers */
    }
    in(0x3f4, 1);
    compare_irq(6);
}

static void set_dma(uint8_t mode, uint32_t addr, uint16_t count)
{
    out(0xd6, 0xc0, 1);
    out(0xd4, 0x00, 1);
    out(0x0a, 6, 1);
    out(0x0c, 0, 1);
    out(0x0b, mode | 2, 1);
    out(0x04, addr & 0xff, 1);
    out(0x04, addr >> 8 & 0xff, 1);
    out(0x81, addr >> 16, 1);
    out(0x05, (count - 1) & 0xff, 1);
    out(0x05, (uint32_t)(count - 1) >> 8, 1);
    out(0x0a, 2, 1);
}

static void resets(void)
{
    step = "power-on";
    in(0x3f2, 1);
    in(0x3f4, 1);
    in(0x3f7, 1);
    step = "reset";
    out(0x3f2, 0x08, 1); /* reading the main status here would end QEMU's reset */
    out(0x3f2, 0x0c, 1);
    wait_port(0x3f4, 0x80, 0x80);
    compare_irq(6);
    for (int i = 0; i < 4; i++) {
        COMMAND("SENSE INTERRUPT after reset", 0x08);
        result(2);
    }
    COMMAND("SENSE INTERRUPT without one", 0x08);
    result(1);
    step = "data rate";
    out(0x3f7, 0, 1);
    out(0x3f2, 0x1c, 1);
}

static void simple_commands(void)
{
    COMMAND("VERSION", 0x10);
    result(1);
    COMMAND("PART ID", 0x18);
    result(1);
    COMMAND("SPECIFY", 0x03, 0xaf, 0x02);
    in(0x3f4, 1);
    COMMAND("CONFIGURE", 0x13, 0x00, 0x57, 0x00);
    COMMAND("LOCK", 0x94);
    result(1);
    COMMAND("PERPENDICULAR", 0x12, 0x80);
    COMMAND("RECALIBRATE", 0x07, 0x00);
    COMMAND("SENSE INTERRUPT", 0x08);
    result(2);
    COMMAND("SEEK", 0x0f, 0x00, 0x05);
    COMMAND("SENSE INTERRUPT after SEEK", 0x08);
    result(2);
    in(0x3f7, 1);
    COMMAND("SENSE DRIVE STATUS", 0x04, 0x00);
    result(1);
    COMMAND("DUMPREG", 0x0e); /* QEMU's SPECIFY bytes are elsewhere */
    for (int i = 0; i < 10; i++)
        in_masked(0x3f5, 1, i < 4 || i > 6 ? 0xff : 0);
    COMMAND("UNLOCK", 0x14);
    result(1);
    COMMAND("invalid", 0x1f);
    result(1);
}

static void seek(uint8_t track)
{
    COMMAND("SEEK", 0x0f, 0x00, track);
    COMMAND("SENSE INTERRUPT", 0x08);
    result(2);
}

static void transfers(void)
{
    static uint8_t pattern[0x5000];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)rnd();
    poke(DMA_BUF, pattern, sizeof pattern);
    seek(3);
    set_dma(0x44, DMA_BUF, 512);
    COMMAND("READ DATA, one sector", 0x46, 0x00, 3, 0, 7, 2, 18, 0x1b, 0xff);
    result(7);
    compare_memory(DMA_BUF, 0x5000);
    set_dma(0x44, DMA_BUF, 36 * 512);
    COMMAND("READ DATA, a cylinder", 0xc6, 0x00, 3, 0, 1, 2, 18, 0x1b, 0xff);
    result(7);
    compare_memory(DMA_BUF, 0x5000);
    set_dma(0x44, DMA_BUF, 3 * 512);
    COMMAND("READ DATA, head 1", 0x46, 0x04, 3, 1, 4, 2, 18, 0x1b, 0xff);
    result(7);
    compare_memory(DMA_BUF, 0x5000);
    poke(DMA_BUF, pattern, sizeof pattern);
    set_dma(0x48, DMA_BUF, 5 * 512);
    COMMAND("WRITE DATA", 0x45, 0x00, 3, 0, 2, 2, 18, 0x1b, 0xff);
    result(7);
    set_dma(0x44, DMA_BUF, 9 * 512);
    COMMAND("read back", 0x46, 0x00, 3, 0, 1, 2, 18, 0x1b, 0xff);
    result(7);
    compare_memory(DMA_BUF, 0x5000);
    step = "terminal count";
    in(0x08, 1);
}

int main(void)
{
    char *image = image_file(1474560, 3), arg[100];
    struct error err;
    snprintf(arg, sizeof arg, "file=%s,format=raw,if=floppy,index=0,snapshot=on", image);
    const char *const args[] = { "-drive", arg, NULL };
    qemu = qtest_start(args);
    if (!qemu)
        return 77;
    qtest_intercept_in(qemu, "ioapic");
    board_new();
    struct fdc *f = fdc_new(m, i8257_new(m, &err), &err);
    if (!f || !fdc_attach(f, 0, open_image("fd0", image, false), &err))
        return 1;
    board_reset();
    RUN(resets);
    RUN(simple_commands);
    RUN(transfers);
    qtest_stop(qemu);
    board_free();
    unlink(image);
    printf("%d differences\n", differences);
    return test_done() || differences;
}
