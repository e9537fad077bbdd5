/*
 * The VGA against QEMU's: the same register and memory writes to both, then the screens are
 * compared pixel by pixel and video memory byte by byte. QEMU doesn't do blinking, underlines,
 * pixel panning and the wrap at 256 KB, so the modes here leave those off; tests/unit/vga.c has
 * them.
 */
#include <stdlib.h>

#include "../unit/test.h"
#include "hw/vga_core.h"
#include "machine.h"
#include "qtest.h"

#define LFB      0xfd000000u
#define MMIO     0xfe000000u
#define VGA_SLOT 2

static struct qtest *qemu;
static struct machine *machine;
static struct vga *vga;
static uint32_t seed;
static uint32_t color_bits = 0xffffff; /* that are compared */

static uint32_t rnd(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* ---- both machines ---- */

static void out(uint16_t port, uint32_t value, unsigned size)
{
    qtest_out(qemu, port, value, size);
    mem_write(&machine->io, port, value, size);
}

static void out_index(uint16_t port, uint8_t index, uint8_t value)
{
    out(port, (uint32_t)value << 8 | index, 2);
}

static void attr(uint8_t index, uint8_t value)
{
    qtest_in(qemu, 0x3da, 1);
    mem_read(&machine->io, 0x3da, 1);
    out(0x3c0, index, 1);
    out(0x3c0, value, 1);
}

static void unblank(void)
{
    qtest_in(qemu, 0x3da, 1);
    mem_read(&machine->io, 0x3da, 1);
    out(0x3c0, 0x20, 1);
}

static void poke(uint32_t addr, const uint8_t *buf, size_t len)
{
    qtest_write_bytes(qemu, addr, buf, len);
    dma_write(&machine->mem, addr, buf, len);
}

static void poke_random(uint32_t addr, size_t len)
{
    uint8_t *buf = malloc(len);
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)rnd();
    poke(addr, buf, len);
    free(buf);
}

static void vbe(uint16_t index, uint16_t value)
{
    out(0x1ce, index, 2);
    out(0x1cf, value, 2);
}

static void random_palette(void)
{
    out(0x3c8, 0, 1);
    for (int i = 0; i < 768; i++)
        out(0x3c9, rnd() & 0x3f, 1);
}

/* Differences are counted, the first is shown. */
static void compare_screens(void)
{
    int width, height;
    uint8_t *want = qtest_screendump(qemu, &width, &height);
    display_update(machine->display);
    const struct display_surface *s = display_surface(machine->display);
    unsigned bad = 0;
    if (s->width != width || s->height != height) {
        printf("%s: %dx%d, QEMU has %dx%d\n", test_case, s->width, s->height, width, height);
        bad = 1;
    }
    for (int i = 0; !bad && i < width * height; i++) {
        uint32_t w = (uint32_t)want[i * 3] << 16 | (uint32_t)want[i * 3 + 1] << 8 | want[i * 3 + 2];
        if ((s->pixels[i] ^ w) & color_bits) {
            printf("%s: pixel %d,%d is %06x, QEMU has %06x\n", test_case, i % width, i / width,
                   s->pixels[i] & 0xffffff, w);
            bad = 1;
        }
    }
    free(want);
    CHECK_EQ(bad, 0);
}

static void compare_memory(uint32_t len)
{
    uint8_t *want = malloc(len);
    qtest_read_bytes(qemu, LFB, want, len);
    uint32_t i = 0;
    while (i < len && want[i] == vga->vram[i])
        i++;
    free(want);
    CHECK_EQ(i, len);
}

/* ---- modes ---- */

struct mode {
    uint8_t misc, seq[5], crtc[25], gc[9], attr[21];
};

#define EGA_PALETTE 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f
#define LINEAR      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
/* Text rows have blinking off (attribute mode 4), as QEMU shows them. The cursor is hidden. */
static const struct mode text80 = {
    0x67,
    { 3, 0, 3, 0, 2 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,    0x4f, 0x2d, 0x0e, 0,
      0,    0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff },
    { EGA_PALETTE, 4, 0, 15, 8, 0 },
};
static const struct mode text40 = {
    0x67,
    { 3, 9, 3, 0, 2 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0xa0, 0xbf, 0x1f, 0,    0x4f, 0x2d, 0x0e, 0,
      0,    0,    0,    0x9c, 0x8e, 0x8f, 0x14, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff },
    { EGA_PALETTE, 4, 0, 15, 0, 0 },
};
static const struct mode mode04 = {
    0x63,
    { 3, 9, 3, 0, 2 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0,    0xc1, 0,    0,   0,
      0,    0,    0,    0x9c, 0x8e, 0x8f, 0x14, 0,    0x96, 0xb9, 0xa2, 0xff },
    { 0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff },
    { LINEAR, 1, 0, 3, 0, 0 },
};
static const struct mode mode0d = {
    0x63,
    { 3, 9, 15, 0, 6 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0,    0xc0, 0,    0,   0,
      0,    0,    0,    0x9c, 0x8e, 0x8f, 0x14, 0,    0x96, 0xb9, 0xe3, 0xff },
    { 0, 0, 0, 0, 0, 0, 0x05, 15, 0xff },
    { EGA_PALETTE, 1, 0, 15, 0, 0 },
};
static const struct mode mode12 = {
    0xe3,
    { 3, 1, 15, 0, 6 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0,    0x40, 0,    0,   0,
      0,    0,    0,    0xea, 0x8c, 0xdf, 0x28, 0,    0xe7, 0x04, 0xe3, 0xff },
    { 0, 0, 0, 0, 0, 0, 0x05, 15, 0xff },
    { EGA_PALETTE, 1, 0, 15, 0, 0 },
};
static const struct mode mode13 = {
    0x63,
    { 3, 1, 15, 0, 14 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0,    0x41, 0,    0,   0,
      0,    0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x40, 0x05, 15, 0xff },
    { LINEAR, 0x41, 0, 15, 0, 0 },
};

static void set_mode(const struct mode *m)
{
    vbe(VBE_ENABLE, 0);
    out(0x3c2, m->misc, 1);
    for (uint8_t i = 0; i < 5; i++)
        out_index(0x3c4, i, m->seq[i]);
    out_index(0x3d4, 0x11, 0);
    for (uint8_t i = 0; i < 25; i++)
        out_index(0x3d4, i, m->crtc[i]);
    for (uint8_t i = 0; i < 9; i++)
        out_index(0x3ce, i, m->gc[i]);
    for (uint8_t i = 0; i < 21; i++)
        attr(i, m->attr[i]);
    unblank();
}

/* A random font for set @block through plane 2, as a BIOS loads it. */
static void load_font(unsigned block)
{
    static const uint8_t enter[][3] = {
        { 0xc4, 2, 4 }, { 0xc4, 4, 7 }, { 0xce, 4, 2 }, { 0xce, 5, 0 }, { 0xce, 6, 4 },
    };
    static const uint8_t leave[][3] = {
        { 0xc4, 2, 3 }, { 0xc4, 4, 2 }, { 0xce, 4, 0 }, { 0xce, 5, 0x10 }, { 0xce, 6, 0x0e },
    };
    for (unsigned i = 0; i < 5; i++)
        out_index(0x300 | enter[i][0], enter[i][1], enter[i][2]);
    poke_random(0xa0000 + block * 0x2000, 0x2000);
    for (unsigned i = 0; i < 5; i++)
        out_index(0x300 | leave[i][0], leave[i][1], leave[i][2]);
}

static void text_case(const struct mode *m)
{
    set_mode(m);
    random_palette();
    load_font(0);
    load_font(2);
    poke_random(0xb8000, 4000);
    compare_screens();
    /* a few cells, a second font set (block 2, whose number is spread over bits 3 and 2), scrolling
     */
    poke_random(0xb8000 + 160 * 3, 77);
    compare_screens();
    out_index(0x3c4, 3, 0x04);
    compare_screens();
    out_index(0x3d4, 0x0d, 0x50);
    compare_screens();
    out_index(0x3c4, 3, 0);
    load_font(0);
    compare_screens();
}

static void text_80(void)
{
    text_case(&text80);
}

static void text_80_8dots(void)
{
    struct mode m = text80;
    m.seq[1] = 1;
    m.attr[0x13] = 0;
    text_case(&m);
}

static void text_40(void)
{
    text_case(&text40);
}

static void text_50_lines(void)
{
    struct mode m = text80;
    m.crtc[9] = 0x47;
    text_case(&m);
}

static void text_cursor(void)
{
    set_mode(&text80);
    load_font(0);
    poke_random(0xb8000, 4000);
    out_index(0x3d4, 0x0a, 0x0d);
    out_index(0x3d4, 0x0e, 1);
    out_index(0x3d4, 0x0f, 0x23);
    /* QEMU's cursor starts visible; ours is at time 0, visible too. */
    compare_screens();
}

static void cga_4(void)
{
    set_mode(&mode04);
    random_palette();
    poke_random(0xb8000, 0x4000);
    compare_screens();
}

static void ega_0d(void)
{
    set_mode(&mode0d);
    random_palette();
    for (unsigned plane = 0; plane < 4; plane++) {
        out_index(0x3c4, 2, (uint8_t)(1u << plane));
        poke_random(0xa0000, 8000);
    }
    compare_screens();
    /* page flip, plane enable, colour select */
    out_index(0x3d4, 0x0c, 0x10);
    compare_screens();
    attr(0x12, 5);
    attr(0x14, 8);
    unblank();
    compare_screens();
    attr(0x10, 0x81);
    attr(0x14, 6);
    unblank();
    compare_screens();
}

static void planar_12(void)
{
    set_mode(&mode12);
    random_palette();
    for (unsigned plane = 0; plane < 4; plane++) {
        out_index(0x3c4, 2, (uint8_t)(1u << plane));
        poke_random(0xa0000, 38400);
    }
    compare_screens();
    /* split screen */
    out_index(0x3d4, 7, 0x2e);
    out_index(0x3d4, 9, 0);
    out_index(0x3d4, 0x18, 200);
    out_index(0x3d4, 0x0d, 40);
    compare_screens();
}

/* Random graphics controller programs: writes, then the planes are compared; reads return the same.
 */
static void planar_data_path(void)
{
    set_mode(&mode12);
    for (int i = 0; i < 3000; i++) {
        out_index(0x3c4, 2, (uint8_t)(rnd() & 15));
        out_index(0x3ce, 0, (uint8_t)(rnd() & 15));
        out_index(0x3ce, 1, (uint8_t)(rnd() & 15));
        out_index(0x3ce, 2, (uint8_t)(rnd() & 15));
        out_index(0x3ce, 3, (uint8_t)(rnd() & 31));
        out_index(0x3ce, 4, (uint8_t)(rnd() & 3));
        out_index(0x3ce, 5, (uint8_t)(rnd() & 0x0b));
        out_index(0x3ce, 7, (uint8_t)(rnd() & 15));
        out_index(0x3ce, 8, (uint8_t)rnd());
        uint32_t a = 0xa0000 + rnd() % 256;
        unsigned size = 1u << rnd() % 3;
        uint64_t want = qtest_read(qemu, a, size), got = mem_read(&machine->mem, a, size);
        CHECK_EQ(got, want);
        uint32_t value = rnd() << 8 ^ rnd();
        a = 0xa0000 + rnd() % 256;
        qtest_write(qemu, a, value, size);
        mem_write(&machine->mem, a, value, size);
    }
    compare_memory(0x800);
    compare_screens();
}

static void mode_13(void)
{
    set_mode(&mode13);
    random_palette();
    poke_random(0xa0000, 0x10000);
    compare_screens();
    poke_random(0xa0000 + 320 * 100, 50);
    compare_screens();
    compare_memory(0x10000);
}

static void mode_x(void)
{
    struct mode m = mode13; /* 320x240, unchained */
    static const uint8_t crtc[][2] = { { 0x06, 0x0d }, { 0x07, 0x3e }, { 0x10, 0xea },
                                       { 0x11, 0xac }, { 0x12, 0xdf }, { 0x14, 0 },
                                       { 0x15, 0xe7 }, { 0x16, 0x06 }, { 0x17, 0xe3 } };
    for (unsigned i = 0; i < sizeof crtc / sizeof crtc[0]; i++)
        m.crtc[crtc[i][0]] = crtc[i][1];
    m.misc = 0xe3;
    m.seq[4] = 6;
    set_mode(&m);
    random_palette();
    for (unsigned plane = 0; plane < 4; plane++) {
        out_index(0x3c4, 2, (uint8_t)(1u << plane));
        poke_random(0xa0000, 0x10000);
    }
    compare_screens();
    out_index(0x3d4, 0x0c, 0x4b);
    compare_screens();
}

static void vbe_mode(uint16_t bpp, uint16_t width, uint16_t height)
{
    set_mode(&mode12);
    random_palette();
    vbe(VBE_XRES, width);
    vbe(VBE_YRES, height);
    vbe(VBE_BPP, bpp);
    vbe(VBE_ENABLE, VBE_ENABLED | VBE_LFB);
    uint32_t pitch = (uint32_t)width * (bpp == 15 ? 16 : bpp) / 8;
    poke_random(LFB, pitch * height / 4);
    compare_screens();
    /* through banks */
    vbe(VBE_BANK, 1);
    poke_random(0xa0000, 0x10000);
    compare_screens();
    /* a virtual screen */
    vbe(VBE_VIRT_WIDTH, (uint16_t)(width + 200));
    vbe(VBE_X_OFFSET, 64);
    vbe(VBE_Y_OFFSET, 17);
    compare_screens();
    for (uint16_t i = 0; i <= VBE_MEMORY_64K; i++) {
        out(0x1ce, i, 2);
        if (i != VBE_BANK)
            CHECK_EQ(mem_read(&machine->io, 0x1cf, 2), qtest_in(qemu, 0x1cf, 2));
    }
}

static void vbe_8(void)
{
    vbe_mode(8, 640, 480);
    /* DAC of 8 bits */
    vbe(VBE_ENABLE, VBE_ENABLED | VBE_LFB | VBE_8BIT_DAC);
    out(0x3c8, 0, 1);
    for (int i = 0; i < 768; i++)
        out(0x3c9, rnd() & 0xff, 1);
    compare_screens();
}

static void vbe_15(void)
{
    /* QEMU leaves the lowest three bits 0: its white is grey. */
    color_bits = 0xf8f8f8;
    vbe_mode(15, 800, 600);
    color_bits = 0xffffff;
}

static void vbe_16(void)
{
    vbe_mode(16, 1024, 768);
}

static void vbe_24(void)
{
    vbe_mode(24, 640, 400);
}

static void vbe_32(void)
{
    vbe_mode(32, 1280, 800);
}

static void vbe_4(void)
{
    set_mode(&mode12);
    random_palette();
    vbe(VBE_XRES, 800);
    vbe(VBE_YRES, 600);
    vbe(VBE_BPP, 4);
    vbe(VBE_ENABLE, VBE_ENABLED);
    /* Through the framebuffer: QEMU's window lets nothing through here. */
    poke_random(LFB, 800 * 600 / 2);
    compare_screens();
}

/* Geometry is forced into the same limits. */
static void vbe_limits(void)
{
    set_mode(&mode12);
    for (int i = 0; i < 300; i++) {
        static const uint16_t values[] = { 0,     1,     7,     8, 640, 641, 1023, 4096,
                                           16000, 20000, 65535, 4, 15,  16,  24,   32 };
        uint16_t index = (uint16_t)(1 + rnd() % 9);
        uint16_t value = values[rnd() % 16];
        if (index == VBE_ENABLE)
            value = rnd() & 1 ? VBE_ENABLED | VBE_NOCLEAR : 0;
        vbe(index, value);
        for (uint16_t r = 0; r <= VBE_MEMORY_64K; r++) {
            out(0x1ce, r, 2);
            /* QEMU's virtual height wraps around at 65536. */
            if (r != VBE_BANK && r != VBE_VIRT_HEIGHT)
                CHECK_EQ(mem_read(&machine->io, 0x1cf, 2), qtest_in(qemu, 0x1cf, 2));
        }
    }
    vbe(VBE_ENABLE, 0);
}

/* Registers keep the same bits. */
static void registers(void)
{
    set_mode(&mode12);
    for (int i = 0; i < 400; i++) {
        static const uint16_t ports[] = { 0x3c4, 0x3ce, 0x3d4 };
        uint16_t port = ports[rnd() % 3];
        uint8_t index = (uint8_t)(rnd() % (port == 0x3c4 ? 5 : port == 0x3ce ? 9 : 25));
        out_index(port, index, (uint8_t)rnd());
        CHECK_EQ(mem_read(&machine->io, port + 1u, 1), qtest_in(qemu, port + 1u, 1));
    }
    for (uint8_t i = 0; i < 21; i++) {
        attr(i, (uint8_t)rnd());
        qtest_in(qemu, 0x3da, 1);
        mem_read(&machine->io, 0x3da, 1);
        out(0x3c0, i, 1);
        CHECK_EQ(mem_read(&machine->io, 0x3c1, 1), qtest_in(qemu, 0x3c1, 1));
    }
}

int main(void)
{
    static const char *const args[] = { "-vga", "std", NULL };
    struct error err;
    seed = 20230411;
    qemu = qtest_start(args);
    if (!qemu) {
        printf("no QEMU here: skipped\n");
        return 77;
    }
    qtest_pci_write(qemu, VGA_SLOT, 0x10, LFB);
    qtest_pci_write(qemu, VGA_SLOT, 0x18, MMIO);
    qtest_pci_write(qemu, VGA_SLOT, 4, 3);

    machine = calloc(1, sizeof *machine);
    vga = calloc(1, sizeof *vga);
    mem_space_init(&machine->mem, "memory", 1ull << 32);
    mem_space_init(&machine->io, "I/O", 0x10000);
    clock_init(&machine->clock);
    machine->display = display_new(machine);
    if (!vga_init(vga, machine, 16 << 20, &err)) {
        printf("%s\n", err.msg);
        return 1;
    }
    vga_reset(vga);
    mem_region_add(&machine->mem, &vga->lfb, LFB, 0);

    RUN(registers);
    RUN(text_cursor);
    RUN(text_80);
    RUN(text_80_8dots);
    RUN(text_40);
    RUN(text_50_lines);
    RUN(cga_4);
    RUN(ega_0d);
    RUN(planar_12);
    RUN(planar_data_path);
    RUN(mode_13);
    RUN(mode_x);
    RUN(vbe_4);
    RUN(vbe_8);
    RUN(vbe_15);
    RUN(vbe_16);
    RUN(vbe_24);
    RUN(vbe_32);
    RUN(vbe_limits);

    qtest_stop(qemu);
    vga_free(vga);
    display_free(machine->display);
    mem_space_free(&machine->mem);
    mem_space_free(&machine->io);
    clock_free(&machine->clock);
    free(vga);
    free(machine);
    return test_done();
}
