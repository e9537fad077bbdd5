/*
 * AC97: the codec's registers, rings of buffers (also such as no sane driver makes), interrupts,
 * and what of it arrives in a wav file, alone and mixed with another device's sound.
 */
#include "audio/audio.h"
#include "devtest.h"
#include "hw/ac97.h"

#define NAM   0xc000u
#define NABM  0xc400u
#define RING  0x100000u
#define DATA  0x200000u
#define PO    (NABM + 0x10)
#define MS    1000000ll
#define IOC   0x80000000u
#define RATE  48000u
#define FRAME 4u

static struct device *dev;
static uint64_t insns;
static char path[] = "/tmp/slipway-ac97-XXXXXX";
static struct audio_option audiodev = { .driver = "wav", .id = "a", .path = path, .rate = RATE };

static void setup(void)
{
    struct error err = { "" };
    board_new();
    m->clock.icount_shift = 0;
    m->clock.icount = &insns;
    board_opt.audiodevs = &audiodev;
    dev = device_new(m, &ac97_class);
    if (!device_set_prop(dev, "audiodev", "a", &err) || !device_realize(dev, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    struct pci_device *pci = (struct pci_device *)dev;
    pci_device_reset(pci);
    device_reset(dev);
    pci_config_write(pci, 0x10, NAM, 4);
    pci_config_write(pci, 0x14, NABM, 4);
    pci_config_write(pci, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
}

static void teardown(void)
{
    board_free();
    board_opt.audiodevs = NULL;
}

static void descriptor(unsigned i, uint32_t addr, uint32_t flags)
{
    dma_write32(&m->mem, RING + 8 * i, addr);
    dma_write32(&m->mem, RING + 8 * i + 4, flags);
}

/* A ramp, so that each frame says which it is. */
static void fill(uint32_t addr, unsigned frames)
{
    for (unsigned i = 0; i < frames; i++) {
        dma_write16(&m->mem, addr + FRAME * i, (uint16_t)i);
        dma_write16(&m->mem, addr + FRAME * i + 2, (uint16_t)-i);
    }
}

static void unmute(void)
{
    outw(NAM + 0x02, 0);
    outw(NAM + 0x18, 0x0808);
}

static void start(unsigned lvi, uint8_t cr)
{
    outb(PO + 0xb, 2);
    outl(PO, RING);
    outb(PO + 5, (uint8_t)lvi);
    outb(PO + 0xb, cr | 1);
}

static long file_frames(int16_t *samples, size_t max)
{
    uint8_t header[44];
    FILE *f = fopen(path, "rb");
    if (!f || fread(header, 1, 44, f) != 44)
        return -1;
    long n = (long)fread(samples, FRAME, max, f);
    fclose(f);
    return pci_get32(header + 40) == n * FRAME && pci_get32(header + 24) == RATE ? n : -1;
}

static void codec(void)
{
    setup();
    CHECK_EQ(inw(NAM + 0x02), 0x8000);
    CHECK_EQ(inw(NAM + 0x7c), 0x8384);
    outw(NAM + 0x02, 0xffff);
    CHECK_EQ(inw(NAM + 0x02), 0xbf3f);
    outw(NAM + 0x04, 0xffff); /* there is no such output */
    CHECK_EQ(inw(NAM + 0x04), 0);
    outw(NAM + 0x2c, 22050);
    CHECK_EQ(inw(NAM + 0x2c), 22050);
    outw(NAM + 0x2c, 1);
    CHECK_EQ(inw(NAM + 0x2c), 8000);
    outw(NAM + 0x2a, 0); /* no variable rates */
    CHECK_EQ(inw(NAM + 0x2c), 48000);
    outw(NAM + 0x2c, 22050);
    CHECK_EQ(inw(NAM + 0x2c), 48000);
    outw(NAM, 0);
    CHECK_EQ(inw(NAM + 0x02), 0x8000);
    CHECK_EQ(inw(NAM + 0x2a), 9);
    CHECK_EQ(inb(NAM + 0x02), 0xff);
    CHECK_EQ(inl(NABM + 0x30), 0x100);
    CHECK_EQ(inb(NABM + 0x34), 0);
    CHECK_EQ(inb(NABM + 0x34), 1);
    inw(NAM);
    CHECK_EQ(inb(NABM + 0x34), 0);
    teardown();
}

static void two_buffers(void)
{
    static int16_t got[4096][2];
    setup();
    unmute();
    fill(DATA, 960);
    descriptor(0, DATA, IOC | 960); /* 480 frames: 10 ms */
    descriptor(1, DATA + 480 * FRAME, IOC | 960);
    start(1, 0x14);
    CHECK_EQ(inw(PO + 6), 0);
    CHECK_EQ(inb(PO + 4), 0);
    CHECK_EQ(inb(PO + 0xa), 1);
    CHECK_EQ(inw(PO + 8), 960);
    board_pass(5 * MS);
    CHECK_EQ(inw(PO + 8), 480);
    CHECK_EQ(pirq_level[1], 0);
    board_pass(5 * MS + MS);
    CHECK_EQ(inw(PO + 6), 8);
    CHECK_EQ(inb(PO + 4), 1);
    CHECK_EQ(inl(NABM + 0x30), 0x140);
    CHECK_EQ(pirq_level[1], 1);
    outw(PO + 6, 8);
    CHECK_EQ(pirq_level[1], 0);
    CHECK_EQ(inl(NABM + 0x30), 0x100);
    board_pass(20 * MS);
    CHECK_EQ(inw(PO + 6), 0xf); /* halted, at the last, which is done */
    CHECK_EQ(inw(PO + 8), 0);
    CHECK_EQ(pirq_level[1], 1);
    outw(PO + 6, 0x1c);
    CHECK_EQ(inw(PO + 6), 3);
    CHECK_EQ(pirq_level[1], 0);
    long n = file_frames(got[0], 4096);
    CHECK_EQ(n, 960);
    for (int i = 0; i < 960; i++) {
        CHECK_EQ(got[i][0], i);
        CHECK_EQ(got[i][1], -i);
    }
    /* One more: it moves again. */
    descriptor(2, DATA, 96);
    outb(PO + 5, 2);
    CHECK_EQ(inw(PO + 6), 0);
    CHECK_EQ(inb(PO + 4), 2);
    board_pass(10 * MS);
    CHECK_EQ(file_frames(got[0], 4096), 1008);
    teardown();
}

static void volume_and_pause(void)
{
    static int16_t got[4096][2];
    setup();
    for (unsigned i = 0; i < 960; i++)
        dma_write32(&m->mem, DATA + FRAME * i, 0x2710d8f0); /* 10000, -10000 */
    descriptor(0, DATA, 1920);
    start(0, 0);
    board_pass(2 * MS);       /* muted */
    outw(NAM + 0x02, 0x0400); /* left: 6 dB down */
    outw(NAM + 0x18, 0x0808);
    board_pass(2 * MS);
    outb(PO + 0xb, 0);
    board_pass(50 * MS);
    CHECK_EQ(inw(PO + 6), 1);
    outb(PO + 0xb, 1);
    board_pass(50 * MS);
    CHECK_EQ(file_frames(got[0], 4096), 960);
    CHECK_EQ(got[50][0], 0);
    CHECK(got[150][0] > -5100 && got[150][0] < -4900);
    CHECK_EQ(got[150][1], 10000);
    CHECK_EQ(got[900][1], 10000);
    /* 12 dB up: it is cut off. */
    outw(NAM + 0x18, 0);
    start(0, 0);
    board_pass(30 * MS);
    CHECK_EQ(file_frames(got[0], 4096), 1920);
    CHECK_EQ(got[1500][1], 32767);
    CHECK(got[1500][0] < -19000);
    teardown();
}

static void another_rate(void)
{
    static int16_t got[9000][2];
    setup();
    unmute();
    fill(DATA, 800);
    descriptor(0, DATA, 1600);
    outw(NAM + 0x2c, 8000);
    start(0, 0);
    board_pass(200 * MS);
    long n = file_frames(got[0], 9000);
    CHECK(n > 4780 && n < 4820);
    for (int i = 12; i < 4780; i++) /* six times as many, between what was given */
        CHECK(got[i][0] >= i / 6 - 2 && got[i][0] <= i / 6 + 1);
    teardown();
}

static void two_devices_are_mixed(void)
{
    static int16_t got[4096][2];
    struct error err;
    setup();
    unmute();
    struct audio *other = audio_open(&board_opt, "a", &err);
    CHECK(other);
    for (unsigned i = 0; i < 960; i++)
        dma_write32(&m->mem, DATA + FRAME * i, 0x03e803e8); /* 1000 */
    descriptor(0, DATA, 1920);
    start(0, 0);
    int16_t frames[480][2];
    for (int i = 0; i < 480; i++) {
        frames[i][0] = 200;
        frames[i][1] = i < 240 ? 32767 : -32768;
    }
    board_pass(10 * MS);
    audio_write(other, frames[0], 480); /* waits for the card's next 10 ms */
    CHECK_EQ(file_frames(got[0], 4096), 256);
    board_pass(50 * MS);
    audio_pause(other);
    audio_close(other);
    CHECK_EQ(file_frames(got[0], 4096), 960);
    CHECK_EQ(got[255][0], 1000);
    CHECK_EQ(got[256][0], 1200);
    CHECK_EQ(got[256][1], 32767);
    CHECK_EQ(got[735][1], -31768);
    CHECK_EQ(got[736][0], 1000);
    CHECK(!audio_open(&board_opt, "b", &err));
    teardown();
}

static void recording_gives_silence(void)
{
    setup();
    for (unsigned i = 0; i < 64; i++)
        dma_write32(&m->mem, DATA + 4 * i, 0xdeadbeef);
    descriptor(0, DATA, IOC | 96);
    outl(NABM, RING);
    outb(NABM + 0xb, 0x11);
    board_pass(10 * MS);
    CHECK_EQ(dma_read32(&m->mem, DATA), 0);
    CHECK_EQ(dma_read32(&m->mem, DATA + 47 * 4), 0);
    CHECK_EQ(dma_read32(&m->mem, DATA + 48 * 4), 0xdeadbeef);
    CHECK_EQ(inl(NABM + 0x30), 0x120);
    /* The microphone is mono: 48 samples a millisecond. */
    descriptor(0, DATA + 0x1000, 96);
    outl(NABM + 0x20, RING);
    outb(NABM + 0x2b, 1);
    board_pass(MS);
    CHECK_EQ(inw(NABM + 0x28), 48);
    teardown();
}

static void lengths_of_zero_and_bad_addresses(void)
{
    setup();
    unmute();
    for (unsigned i = 0; i < 32; i++)
        descriptor(i, 0xfffffff0, IOC);
    start(31, 0x14);
    board_pass(2 * MS);
    CHECK_EQ(inw(PO + 6), 0xf);
    CHECK_EQ(inb(PO + 4), 31);
    for (unsigned i = 0; i < 32; i++)
        descriptor(i, 0xfffffff0, IOC | 0xffff);
    start(31, 0x14);
    board_pass(100 * MS);
    CHECK_EQ(inw(PO + 6), 0);
    /* A ring that isn't in memory at all. */
    outb(PO + 0xb, 2);
    outl(PO, 0xfffffff8);
    outb(PO + 0xb, 0x15);
    board_pass(3000 * MS);
    /* A jump of time isn't made up for. */
    start(31, 0);
    clock_warp_to(&m->clock, clock_now_ns(&m->clock) + 100000 * MS);
    board_pass(MS);
    CHECK_EQ(inw(PO + 6) & 1, 0);
    teardown();
}

static void state_is_saved(void)
{
    static int16_t got[8192][2];
    static uint8_t state[4096];
    struct error err;
    setup();
    unmute();
    fill(DATA, 960);
    descriptor(0, DATA, 1920);
    start(0, 0x14);
    board_pass(10 * MS);
    size_t len = device_save(dev, state, sizeof state);
    CHECK(len <= sizeof state);
    outb(PO + 0xb, 2);
    CHECK(device_load(dev, state, len, &err));
    CHECK_EQ(inw(PO + 8), 960);
    board_pass(30 * MS);
    CHECK_EQ(file_frames(got[0], 8192), 960);
    CHECK_EQ(got[959][0], 959);
    for (int round = 0; round < 300; round++) { /* a state that nobody saved */
        for (size_t i = 256; i < len; i++)
            state[i] = (uint8_t)rnd();
        device_load(dev, state, len, &err);
        board_pass(30 * MS);
        inl(NABM + 4);
    }
    teardown();
}

static void random_registers(void)
{
    setup();
    for (int i = 0; i < 200000; i++) {
        unsigned size = 1u << rnd() % 3;
        uint32_t v = rnd() & 1 ? rnd() : rnd() % 32;
        uint16_t port = (uint16_t)(rnd() % 4 ? NABM + rnd() % 0x40 : NAM + (rnd() % 0x80 & ~1u));
        if (port < NABM)
            size = 2;
        if (rnd() % 8 == 0)
            dma_write32(&m->mem, RING + (rnd() % 256 & ~3u), rnd() & 1 ? rnd() : rnd() % 100);
        if (rnd() % 64 == 0)
            outl(PO, RING);
        if (rnd() % 3)
            mem_write(&m->io, port, v, size);
        else
            mem_read(&m->io, port, size);
        if (rnd() % 16 == 0)
            board_pass(rnd() % 1000000);
    }
    teardown();
}

int main(void)
{
    int fd = mkstemp(path);
    close(fd);
    RUN(codec);
    RUN(two_buffers);
    RUN(volume_and_pause);
    RUN(another_rate);
    RUN(two_devices_are_mixed);
    RUN(recording_gives_silence);
    RUN(lengths_of_zero_and_bad_addresses);
    RUN(state_is_saved);
    RUN(random_registers);
    unlink(path);
    return test_done();
}
