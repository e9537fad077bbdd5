/*
 * What of the VGA a comparison with QEMU (tests/devices/vga_qemu.c) can't show: panning, the wrap
 * at 256 KB, blinking, underlines, retrace timing, the window's fast path, dirty rectangles, the
 * PCI card; and any writes.
 */
#include "devtest.h"
#include "hw/edid.h"
#include "hw/vga.h"
#include "hw/vga_core.h"

#define LFB 0xe0000000u

static uint64_t insns;
static struct vga *vga;

/* The card without its PCI side. */
static void setup(void)
{
    struct error err;
    board_new();
    m->clock.icount_shift = 0;
    m->clock.icount = &insns;
    m->display = display_new(m);
    vga = calloc(1, sizeof *vga);
    if (!vga_init(vga, m, 16 << 20, &err))
        abort();
    vga_reset(vga);
    mem_region_add(&m->mem, &vga->lfb, LFB, -1);
}

static void teardown(void)
{
    vga_free(vga);
    free(vga);
    board_free();
}

static void seq(uint8_t i, uint8_t v)
{
    outw(0x3c4, (uint16_t)(v << 8 | i));
}
static void crtc(uint8_t i, uint8_t v)
{
    outw(0x3d4, (uint16_t)(v << 8 | i));
}
static void gc(uint8_t i, uint8_t v)
{
    outw(0x3ce, (uint16_t)(v << 8 | i));
}
static void attr(uint8_t i, uint8_t v)
{
    inb(0x3da);
    outb(0x3c0, i);
    outb(0x3c0, v);
    outb(0x3c0, 0x20);
}
static void vbe(uint16_t i, uint16_t v)
{
    outw(0x1ce, i);
    outw(0x1cf, v);
}

/* 640x400 dots at 70 Hz; DAC entry i is i * 4 in red (6 bits: i). */
static void set_timing(void)
{
    static const uint8_t regs[] = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,
                                    0x4f, 0x20, 0,    0,    0,    0,    0,    0x9c, 0x8e,
                                    0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff };
    outb(0x3c2, 0x63);
    crtc(0x11, 0);
    for (uint8_t i = 0; i < sizeof regs; i++)
        crtc(i, regs[i]);
    for (uint8_t i = 0; i < 16; i++)
        attr(i, i);
    attr(0x12, 15);
    outb(0x3c8, 0);
    for (int i = 0; i < 768; i++)
        outb(0x3c9, i % 3 ? 0 : (uint8_t)(i / 3 & 63));
    gc(8, 0xff);
    seq(2, 15);
}

static void set_text(void)
{
    set_timing();
    seq(1, 1); /* 8 dots */
    seq(2, 3);
    seq(4, 2);
    gc(5, 0x10);
    gc(6, 0x0e);
    attr(0x10, 4);
    for (int ch = 0; ch < 256; ch++)
        for (int row = 0; row < 16; row++)
            vga->vram[(ch * 32 + row) * 4 + 2] = ch == 'A' ? 0xf0 : 0;
}

static void set_planar(void)
{
    set_timing();
    seq(1, 1);
    seq(4, 6);
    gc(5, 0);
    gc(6, 5);
    crtc(9, 0x40);
    attr(0x10, 1);
}

static void set_13h(void)
{
    set_planar();
    seq(4, 14);
    gc(5, 0x40);
    crtc(9, 0x41);
    crtc(0x14, 0x40);
    attr(0x10, 0x41);
}

/* The DAC index behind a pixel of the surface. */
static int pixel(int x, int y)
{
    const struct display_surface *s = display_surface(m->display);
    return (int)(s->pixels[y * s->width + x] >> 18 & 63);
}

static void poke(uint32_t a, uint8_t v)
{
    mem_write(&m->mem, a, v, 1);
}

static int rects, rect_x, rect_y, rect_w, rect_h;

static void on_dirty(void *opaque, int x, int y, int w, int h)
{
    rects++;
    rect_x = x;
    rect_y = y;
    rect_w = w;
    rect_h = h;
}

static void text_screen(void)
{
    setup();
    set_text();
    for (int i = 0; i < 2000; i++)
        mem_write(&m->mem, 0xb8000 + (uint32_t)i * 2, 0x0720, 2);
    poke(0xb8000 + 162, 'A');
    poke(0xb8000 + 163, 0x2e);
    display_update(m->display);
    CHECK_EQ(display_surface(m->display)->width, 640);
    CHECK_EQ(display_surface(m->display)->height, 400);
    CHECK_EQ(pixel(8, 16), 14);
    CHECK_EQ(pixel(11, 31), 14);
    CHECK_EQ(pixel(12, 16), 2);
    CHECK_EQ(pixel(16, 16), 0);
    char *text = display_text_dump(m->display);
    CHECK(!strncmp(text, "\n A\n\n", 5));
    free(text);
    struct display_text t;
    crtc(0x0e, 0);
    crtc(0x0f, 83);
    crtc(0x0a, 0);
    CHECK(display_text(m->display, &t));
    CHECK_EQ(t.columns, 80);
    CHECK_EQ(t.rows, 25);
    CHECK_EQ(t.cursor_x, 3);
    CHECK_EQ(t.cursor_y, 1);
    CHECK_EQ(t.cells[81], 0x2e41);
    gc(6, 5);
    CHECK(!display_text(m->display, &t));
    teardown();
}

static void text_updates_are_small(void)
{
    struct display_listener l = { .dirty = on_dirty };
    setup();
    set_text();
    display_listen(m->display, &l);
    display_update(m->display);
    rects = 0;
    display_update(m->display);
    CHECK_EQ(rects, 0);
    poke(0xb8000 + 160 * 3 + 10, 'A');
    display_update(m->display);
    CHECK_EQ(rects, 1);
    CHECK_EQ(rect_x, 40);
    CHECK_EQ(rect_y, 48);
    CHECK_EQ(rect_w, 8);
    CHECK_EQ(rect_h, 16);
    /* a new shape of a character that is on the screen: all of it */
    rects = 0;
    vga->vram[('A' * 32 + 3) * 4 + 2] = 0x18;
    mem_note_write(&vga->lfb, 0, 4);
    display_update(m->display);
    CHECK(rects >= 25);
    CHECK_EQ(pixel(43, 51), 0);
    display_unlisten(m->display, &l);
    teardown();
}

static void at_frame(int64_t frame)
{
    clock_warp_to(&m->clock, frame * (NS_PER_SEC / 70) + 1000);
    display_update(m->display);
}

static void cursor_and_characters_blink(void)
{
    setup();
    set_text();
    attr(0x10, 8);
    crtc(0x0a, 14);
    crtc(0x0b, 15);
    crtc(0x0f, 0);
    mem_write(&m->mem, 0xb8000, 0x0720, 2);
    mem_write(&m->mem, 0xb8002, 0x9741, 2); /* blinks on background 1 */
    at_frame(0);
    CHECK_EQ(pixel(0, 13), 0);
    CHECK_EQ(pixel(0, 14), 7);
    CHECK_EQ(pixel(8, 0), 7);
    CHECK_EQ(pixel(15, 0), 1);
    at_frame(9);
    CHECK_EQ(pixel(0, 14), 0);
    CHECK_EQ(pixel(8, 0), 7);
    at_frame(17);
    CHECK_EQ(pixel(0, 14), 7);
    CHECK_EQ(pixel(8, 0), 1);
    attr(0x10, 0); /* no blinking: background 9 */
    at_frame(17);
    CHECK_EQ(pixel(8, 0), 7);
    CHECK_EQ(pixel(15, 0), 9);
    crtc(0x0a, 0x2e);
    at_frame(17);
    CHECK_EQ(pixel(0, 14), 0);
    teardown();
}

static void underline_and_ninth_dot(void)
{
    setup();
    set_text();
    crtc(0x14, 12);
    mem_write(&m->mem, 0xb8000, 0x0120, 2);
    mem_write(&m->mem, 0xb8002, 0x02db, 2);
    for (int row = 0; row < 16; row++)
        vga->vram[(0xdb * 32 + row) * 4 + 2] = 0xff;
    display_update(m->display);
    CHECK_EQ(pixel(3, 11), 0);
    CHECK_EQ(pixel(3, 12), 1);
    seq(1, 0);
    attr(0x13, 8);
    display_update(m->display);
    CHECK_EQ(display_surface(m->display)->width, 720);
    CHECK_EQ(pixel(17, 0), 2);
    attr(0x10, 0);
    display_update(m->display);
    CHECK_EQ(pixel(16, 0), 2);
    CHECK_EQ(pixel(17, 0), 0);
    teardown();
}

static void text_scrolls_smoothly(void)
{
    setup();
    set_text();
    mem_write(&m->mem, 0xb8000 + 160, 0x0741, 2);
    crtc(8, 3);    /* three lines up */
    attr(0x13, 2); /* two dots left */
    display_update(m->display);
    CHECK_EQ(pixel(0, 12), 0);
    CHECK_EQ(pixel(0, 13), 7);
    CHECK_EQ(pixel(1, 28), 7);
    CHECK_EQ(pixel(2, 28), 0);
    CHECK_EQ(pixel(0, 29), 0);
    teardown();
}

static void graphics_pan_and_split(void)
{
    setup();
    set_planar();
    crtc(0x0d, 40); /* the picture from address 40; the split shows address 0 */
    mem_write(&m->mem, 0xa0000 + 40, 0x80, 1);
    mem_write(&m->mem, 0xa0000, 0x10, 1);
    display_update(m->display);
    CHECK_EQ(pixel(0, 0), 15);
    attr(0x13, 3);
    mem_write(&m->mem, 0xa0000 + 40, 0x10, 1);
    display_update(m->display);
    CHECK_EQ(pixel(0, 0), 15);
    CHECK_EQ(pixel(3, 0), 0);
    crtc(7, 0x0f);
    crtc(9, 0);
    crtc(0x18, 99);
    display_update(m->display);
    CHECK_EQ(pixel(0, 100), 15);
    attr(0x10, 0x21); /* the split isn't panned */
    display_update(m->display);
    CHECK_EQ(pixel(0, 100), 0);
    CHECK_EQ(pixel(3, 100), 15);
    teardown();
}

static void display_wraps_at_256k(void)
{
    setup();
    set_planar();
    crtc(0x0c, 0xff);
    crtc(0x0d, 0xf8);
    mem_write(&m->mem, 0xa0000, 0xff, 1);
    display_update(m->display);
    CHECK_EQ(pixel(63, 0), 0);
    CHECK_EQ(pixel(64, 0), 15);
    /* and notices writes beyond the wrap */
    mem_write(&m->mem, 0xa0000, 0x00, 1);
    display_update(m->display);
    CHECK_EQ(pixel(64, 0), 0);
    teardown();
}

static void fast_path_follows_the_registers(void)
{
    setup();
    set_planar();
    CHECK_EQ(mem_find(&m->mem, 0xa0000)->region->kind, MEM_MMIO);
    set_13h();
    const struct mem_range *r = mem_find(&m->mem, 0xa0000);
    CHECK_EQ(r->region->kind, MEM_RAM);
    CHECK_EQ(r->last, 0xaffff);
    CHECK(r->region->host == vga->vram);
    gc(8, 0x0f); /* a bit mask needs the data path */
    CHECK_EQ(mem_find(&m->mem, 0xa0000)->region->kind, MEM_MMIO);
    poke(0xa0005, 0xff);
    CHECK_EQ(vga->vram[5], 0x0f);
    gc(8, 0xff);
    CHECK_EQ(mem_find(&m->mem, 0xa0000)->region->kind, MEM_RAM);
    poke(0xa0006, 0x77);
    CHECK_EQ(vga->vram[6], 0x77);
    vbe(VBE_XRES, 640);
    vbe(VBE_YRES, 480);
    vbe(VBE_BPP, 32);
    vbe(VBE_ENABLE, VBE_ENABLED | VBE_LFB);
    CHECK_EQ(vga->vram[6], 0); /* cleared */
    vbe(VBE_BANK, 3);
    r = mem_find(&m->mem, 0xa0000);
    CHECK_EQ(r->region->kind, MEM_RAM);
    CHECK(r->region->host == vga->vram + 0x30000);
    outb(0x3c2, 0x61); /* the window is off */
    CHECK(mem_find(&m->mem, 0xa0000)->region == &m->ram);
    teardown();
}

static void lfb_updates_are_lines(void)
{
    struct display_listener l = { .dirty = on_dirty };
    setup();
    set_planar();
    vbe(VBE_XRES, 1024);
    vbe(VBE_YRES, 768);
    vbe(VBE_BPP, 32);
    vbe(VBE_ENABLE, VBE_ENABLED | VBE_LFB);
    display_listen(m->display, &l);
    display_update(m->display);
    rects = 0;
    display_update(m->display);
    CHECK_EQ(rects, 0);
    mem_write(&m->mem, LFB + 4096 * 100 + 8, 0xfc0000, 4); /* a line is a page here */
    display_update(m->display);
    CHECK_EQ(rects, 1);
    CHECK_EQ(rect_y, 100);
    CHECK_EQ(rect_h, 1);
    CHECK_EQ(pixel(2, 100), 63);
    display_unlisten(m->display, &l);
    teardown();
}

/* 640x400: 449 lines of 31.78 us, 2 lines of retrace from line 412, 49 lines blank. */
static void retrace_follows_the_clock(void)
{
    setup();
    set_planar();
    int retrace = 0, blank = 0, edges = 0, last = 0;
    for (int i = 0; i < 100000; i++) {
        clock_warp_to(&m->clock, i * 1000ll); /* 0.1 s */
        int s = inb(0x3da);
        retrace += (s & 8) != 0;
        blank += s & 1;
        edges += (s & 8) && !last;
        last = s & 8;
    }
    CHECK_EQ(edges, 7);
    CHECK(retrace > 350 && retrace < 550);
    CHECK(blank > 27000 && blank < 31000);
    teardown();
}

static void blanking(void)
{
    setup();
    set_planar();
    poke(0xa0000, 0xff);
    display_update(m->display);
    CHECK_EQ(pixel(0, 0), 15);
    inb(0x3da);
    outb(0x3c0, 0);
    display_update(m->display);
    CHECK_EQ(pixel(0, 0), 0);
    inb(0x3da);
    outb(0x3c0, 0x20);
    display_update(m->display);
    CHECK_EQ(pixel(0, 0), 15);
    outb(0x3c6, 0x07); /* the DAC's pixel mask */
    display_update(m->display);
    CHECK_EQ(pixel(0, 0), 7);
    teardown();
}

/* Ports move with the colour bit. */
static void mono_ports(void)
{
    setup();
    set_planar();
    crtc(0x0f, 0x55);
    CHECK_EQ(inb(0x3b5), 0xff);
    CHECK_EQ(inb(0x3d5), 0x55);
    outb(0x3c2, 0x62);
    CHECK_EQ(inb(0x3d5), 0xff);
    CHECK_EQ(inb(0x3b5), 0x55);
    teardown();
}

static void pci_card(void)
{
    struct error err;
    board_new();
    m->display = display_new(m);
    struct device *d = device_new(m, &vga_pci_class);
    CHECK(device_set_prop(d, "romfile", "", &err));
    CHECK(device_realize(d, &err));
    struct pci_device *p = (struct pci_device *)d;
    CHECK_EQ(p->devfn, 2 << 3);
    CHECK_EQ(pci_config_read(p, 0, 4), 0x11111234);
    CHECK_EQ(pci_config_read(p, 8, 4), 0x03000002);
    pci_config_write(p, 0x10, 0xffffffff, 4);
    CHECK_EQ(pci_config_read(p, 0x10, 4), 0xff000008);
    pci_config_write(p, 0x10, 0xe0000000, 4);
    pci_config_write(p, 0x18, 0xf0000000, 4);
    pci_config_write(p, 4, 3, 2);
    for (uint32_t i = 0; i < EDID_SIZE; i++)
        CHECK_EQ(mem_read(&m->mem, 0xf0000000 + i, 1), edid_data[i]);
    CHECK_EQ(mem_read(&m->mem, 0xf0000500, 2), 0xb0c5);
    CHECK_EQ(mem_read(&m->mem, 0xf0000514, 2), 256);
    CHECK_EQ(mem_read(&m->mem, 0xf0000600, 4), 8);
    CHECK_EQ(mem_read(&m->mem, 0xf0000604, 4), 0x1e1e1e1e);
    mem_write(&m->mem, 0xf0000402, 0x63, 1); /* 0x3c2 */
    CHECK_EQ(inb(0x3cc), 0x63);
    mem_write(&m->mem, 0xf0000502, 320, 2);
    mem_write(&m->mem, 0xf0000504, 200, 2);
    mem_write(&m->mem, 0xf0000506, 32, 2);
    mem_write(&m->mem, 0xf0000508, 0x41, 2);
    mem_write(&m->mem, 0xf0000400, 0x20, 1); /* 0x3c0: unblank */
    mem_write(&m->mem, 0xe0000000, 0x00fc0000, 4);
    display_update(m->display);
    CHECK_EQ(display_surface(m->display)->width, 320);
    CHECK_EQ(display_surface(m->display)->pixels[0], 0xfffc0000);
    mem_write(&m->mem, 0xf0000604, 0xbebebebe, 4);
    mem_write(&m->mem, 0xe0000000, 0x563412ff, 4);
    display_update(m->display);
    CHECK_EQ(display_surface(m->display)->pixels[0], 0xff123456);
    board_reset();
    CHECK_EQ(pci_config_read(p, 0x10, 4), 8);
    board_free();
}

static void edid_checksums(void)
{
    for (int block = 0; block < 2; block++) {
        uint8_t sum = 0;
        for (int i = 0; i < 128; i++)
            sum = (uint8_t)(sum + edid_data[block * 128 + i]);
        CHECK_EQ(sum, 0);
    }
}

/* Anything may be written at any time: registers, memory, updates in between. */
static void fuzz(void)
{
    static const uint16_t sizes[] = { 0, 1, 8, 64, 100, 640, 1024, 3000 };
    uint32_t seed = 7;
    setup();
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint8_t value = (uint8_t)(seed >> 16);
        uint32_t a = seed >> 8 & 0x1ffff;
        switch (seed >> 27) {
        case 0: vbe((uint16_t)(seed >> 8 & 15), (uint16_t)(seed >> 4)); break;
        case 1: vbe((uint16_t)(1 + (seed >> 8 & 1)), sizes[value & 7]); break;
        case 2: vbe(VBE_BPP, (uint16_t)(value & 63)); break;
        case 3: vbe(VBE_ENABLE, (value & 1) ? VBE_NOCLEAR | VBE_ENABLED : 0); break;
        case 4: vbe((uint16_t)(5 + (seed >> 8) % 5), value); break;
        case 5:
        case 6:
        case 7: seq((uint8_t)(seed >> 8 & 7), value); break;
        case 8:
        case 9:
        case 10: gc((uint8_t)(seed >> 8 & 15), value); break;
        case 11:
        case 12:
        case 13:
        case 14: crtc((uint8_t)(seed >> 8 & 31), value); break;
        case 15:
        case 16: attr((uint8_t)(seed >> 8 & 31), value); break;
        case 17: outb(0x3c2, value | 2); break;
        case 18: outw((uint16_t)(0x3b0 + (seed >> 8 & 47)), (uint16_t)(seed >> 4)); break;
        case 19: inb((uint16_t)(0x3b0 + value % 48)); break;
        case 20:
            if (!(value & 15))
                display_update(m->display);
            break;
        case 21:
        case 22:
        case 23: mem_read(&m->mem, 0xa0000 + a, 1u << (value & 3)); break;
        case 24: mem_write(&m->mem, LFB + (seed >> 6 & 0xfffff0), seed, 4); break;
        case 25: {
            struct display_text t;
            display_text(m->display, &t);
            break;
        }
        default:
            if (a + 8 <= VGA_WINDOW_SIZE)
                mem_write(&m->mem, 0xa0000 + a, seed, 1u << (value & 3));
        }
    }
    vga_reset(vga);
    display_update(m->display);
    teardown();
}

int main(void)
{
    RUN(text_screen);
    RUN(text_updates_are_small);
    RUN(cursor_and_characters_blink);
    RUN(underline_and_ninth_dot);
    RUN(text_scrolls_smoothly);
    RUN(graphics_pan_and_split);
    RUN(display_wraps_at_256k);
    RUN(fast_path_follows_the_registers);
    RUN(lfb_updates_are_lines);
    RUN(retrace_follows_the_clock);
    RUN(blanking);
    RUN(mono_ports);
    RUN(pci_card);
    RUN(edid_checksums);
    RUN(fuzz);
    return test_done();
}
