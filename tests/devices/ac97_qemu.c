/*
 * AC97 beside QEMU's: identity, the codec's registers as they are and after writes, the bus
 * masters' registers, and a ring of buffers that is played to its end.
 */
#include "both.h"
#include "hw/ac97.h"

#define SLOT     3
#define NAM      0xc000u
#define NABM     0xc400u
#define RING     0x100000u
#define DATA     0x200000u
#define PO       (NABM + 0x10)
#define IOC      0x80000000u
#define STEP_NS  1000000
#define MOST_MS  20000
#define EXT      0x2a
#define UNUSED   0x36 /* from here on QEMU's codec stores what no codec has */
#define FIRST_UP 0x24

static struct pci_device *dev;
static uint64_t insns;

static void config(unsigned reg, uint32_t v)
{
    qtest_pci_write(qemu, SLOT, reg, v);
    pci_config_write(dev, (uint8_t)reg, v, 4);
}

static void compare_config(unsigned reg, uint32_t mask)
{
    uint32_t theirs = qtest_pci_read(qemu, SLOT, reg);
    uint32_t ours = pci_config_read(dev, (uint8_t)reg, 4);
    if ((theirs ^ ours) & mask)
        DIFFER("configuration 0x%02x is 0x%08x, QEMU's 0x%08x", reg, ours, theirs);
}

static void identity(void)
{
    step = "identity";
    compare_config(0x00, UINT32_MAX);
    compare_config(0x04, UINT32_MAX);
    compare_config(0x08, UINT32_MAX);
    compare_config(0x2c, UINT32_MAX);
    compare_config(0x3c, 0xff00);
    config(0x10, UINT32_MAX);
    config(0x14, UINT32_MAX);
    compare_config(0x10, UINT32_MAX);
    compare_config(0x14, UINT32_MAX);
    config(0x10, NAM);
    config(0x14, NABM);
    config(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

static void codec_as_it_is(const char *when)
{
    step = when;
    for (uint16_t reg = 0; reg < 0x80; reg += 2)
        in(NAM + reg, 2);
}

static void codec(void)
{
    static const uint16_t values[] = { 0xffff, 0x5555, 0xaaaa, 0x1f08, 0 };
    codec_as_it_is("codec after reset");
    in(NAM + 2, 1);
    in(NAM, 4);
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
        for (uint16_t reg = 2; reg < UNUSED; reg += 2) {
            static char where[40];
            snprintf(where, sizeof where, "codec 0x%02x <- 0x%04x", reg, values[k]);
            step = where;
            if (reg == FIRST_UP || reg == 0x2e || reg == 0x30)
                continue; /* not there, or not to be changed */
            if (reg == EXT || (reg >= 0x2c && reg <= 0x34))
                continue; /* below */
            out(NAM + reg, values[k], 2);
            in(NAM + reg, 2);
        }
    step = "rates";
    out(NAM + EXT, 9, 2);
    for (unsigned rate = 8000; rate <= 48000; rate += 2500)
        for (uint16_t reg = 0x2c; reg <= 0x34; reg += reg == 0x2c ? 6 : 2) {
            out(NAM + reg, rate, 2);
            in(NAM + reg, 2);
        }
    out(NAM + EXT, 0, 2);
    in(NAM + EXT, 2);
    codec_as_it_is("no variable rates");
    out(NAM + 0x2c, 22050, 2);
    in(NAM + 0x2c, 2);
    out(NAM, 0, 2);
    codec_as_it_is("codec after a write to 0");
}

static void masters_as_they_are(const char *when)
{
    step = when;
    for (uint16_t n = 0; n < 3; n++) {
        uint16_t base = (uint16_t)(NABM + 16 * n);
        in(base, 4);
        in(base + 4, 1);
        in(base + 5, 1);
        in(base + 6, 2);
        in(base + 8, 2);
        in(base + 10, 1);
        in(base + 11, 1);
        in(base + 4, 4);
        in(base + 8, 4);
    }
    in(NABM + 0x2c, 4);
    in(NABM + 0x30, 4);
}

static void registers(void)
{
    masters_as_they_are("bus masters after reset");
    step = "semaphore";
    in(NABM + 0x34, 1);
    in(NABM + 0x34, 1);
    out(NAM + 2, 0x8000, 2);
    in(NABM + 0x34, 1);
    out(PO, 0x123457f8, 4); /* QEMU keeps bit 2, which is hardwired to 0 */
    out(PO + 5, 0xff, 1);
    out(PO + 6, 0x1f, 2);
    out(PO + 11, 0x1c, 1);
    masters_as_they_are("bus masters written");
    out(PO + 11, 2, 1);
    masters_as_they_are("bus master reset");
}

/* Both until PCM out has halted. */
static void play(void)
{
    out(PO + 11, 0x1d, 1);
    for (int i = 0; i < MOST_MS && !(qtest_in(qemu, PO + 6, 2) & 1); i++)
        usleep(1000);
    for (int i = 0; i < MOST_MS && !(mem_read(&m->io, PO + 6, 2) & 1); i++) {
        clock_warp_to(&m->clock, clock_now_ns(&m->clock) + STEP_NS);
        clock_run_timers(&m->clock);
    }
}

static void ring(unsigned lvi, uint32_t flags, const char *when)
{
    static uint8_t silence[4096];
    poke(DATA, silence, sizeof silence);
    for (unsigned i = 0; i <= lvi; i++) {
        poke32(RING + 8 * i, DATA + 64 * i);
        poke32(RING + 8 * i + 4, 1024 | (i == lvi ? flags : 0));
    }
    step = when;
    out(PO + 11, 2, 1);
    out(PO, RING, 4);
    out(PO + 5, lvi, 1);
    play();
    masters_as_they_are(when);
    compare_config(PCI_COMMAND, (uint32_t)PCI_STATUS_INTX << 16);
    out(PO + 6, 0x1c, 2);
    masters_as_they_are("status cleared");
    compare_config(PCI_COMMAND, (uint32_t)PCI_STATUS_INTX << 16);
}

int main(void)
{
    char path[] = "/tmp/slipway-bios-XXXXXX";
    static uint8_t hlt[65536];
    struct error err;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int fd = mkstemp(path);
    memset(hlt, 0xf4, sizeof hlt);
    if (fd < 0 || write(fd, hlt, sizeof hlt) != (ssize_t)sizeof hlt)
        abort();
    close(fd);
    const char *args[] = { "-m",        "16",        "-bios",   path,
                           "-audiodev", "none,id=a", "-device", "AC97,audiodev=a,addr=3",
                           NULL };
    qemu = qtest_start(args);
    unlink(path);
    if (!qemu) {
        printf("no QEMU here: skipped\n");
        return 77;
    }
    qtest_qmp(qemu, "{\"execute\": \"cont\"}");
    board_new();
    m->clock.icount_shift = 0;
    m->clock.icount = &insns;
    dev = (struct pci_device *)device_new(m, &ac97_class);
    if (!dev || !device_realize(&dev->dev, &err))
        abort();
    pci_device_reset(dev);
    device_reset(&dev->dev);
    identity();
    codec();
    registers();
    ring(0, 0, "one buffer");
    ring(0, IOC, "one buffer, interrupt");
    ring(5, IOC, "six buffers");
    ring(31, 0, "a whole ring");
    qtest_stop(qemu);
    board_free();
    printf("%d differences\n", differences);
    return differences != 0;
}
