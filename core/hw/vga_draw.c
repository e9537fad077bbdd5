/*
 * From video memory to the surface.
 *
 * At each update the registers are boiled down to a struct vga_view. If it differs from the one
 * that is shown, all is redrawn; otherwise only lines whose pages of VRAM were written since last
 * time. The dirty bitmap is first copied for the range on display and cleared there, because lines
 * share pages.
 *
 * Graphics: the CRTC's counters are followed line by line: an address, a row scan counter (which
 * replaces address bits in the CGA's and Hercules' interleaved layouts), repeated lines, and the
 * split screen, after which the address is 0. A line is fetched in one of a few formats, always as
 * whole groups of pixels, and shifted by the pixel panning. Text is in vga_text.c.
 *
 * Colours: the surface has 0xffRRGGBB. A 6-bit DAC value v becomes v << 2 with its lowest bit
 * repeated, as QEMU has it, so that screens can be compared bit by bit.
 */
#include "hw/vga_core.h"

#include <string.h>

#define ALPHA 0xff000000u

/* ---- the view ---- */

static uint32_t dac_color(const struct vga *v, unsigned index)
{
    const uint8_t *p = &v->palette[(index & v->dac_mask) * 3];
    uint32_t color = ALPHA;
    for (int i = 0; i < 3; i++) {
        uint32_t c = p[i];
        if (!(v->vbe[VBE_ENABLE] & VBE_8BIT_DAC)) {
            c &= 0x3f;
            c = c << 2 | (c & 1) << 1 | (c & 1);
        }
        color |= c << (16 - i * 8);
    }
    return color;
}

/* 16 colours: attribute palette, then the DAC. */
static void palette16(const struct vga *v, uint32_t *palette)
{
    uint8_t select = v->attr[ATTR_COLOR_SELECT];
    for (int i = 0; i < 16; i++) {
        unsigned c = v->attr[i];
        if (v->attr[ATTR_MODE] & 0x80)
            c = (select & 15u) << 4 | (c & 15);
        else
            c |= (select & 12u) << 4;
        palette[i] = dac_color(v, c);
    }
}

static void palette256(const struct vga *v, uint32_t *palette)
{
    for (unsigned i = 0; i < 256; i++)
        palette[i] = dac_color(v, i);
}

/* Size, start and pitch of a VBE mode. */
static void view_vbe(struct vga *v, struct vga_view *w)
{
    w->width = v->vbe[VBE_XRES];
    w->height = v->vbe[VBE_YRES];
    w->start = v->vbe_start;
    w->pitch = v->vbe_pitch;
    w->wrap = v->vram_size - 1;
    w->split = -1;
    w->scans = w->repeat = 1;
    w->planes = 15;
    w->big_endian = v->big_endian;
    switch (v->vbe[VBE_BPP]) {
    case 4:
        w->kind = VGA_PLANAR;
        w->planes = v->attr[ATTR_PLANE_ENABLE] & 15;
        palette16(v, w->palette);
        break;
    case 15: w->kind = VGA_VBE15; break;
    case 16: w->kind = VGA_VBE16; break;
    case 24: w->kind = VGA_VBE24; break;
    case 32: w->kind = VGA_VBE32; break;
    default:
        w->kind = VGA_VBE8;
        palette256(v, w->palette);
        break;
    }
}

static void view_text(const struct vga *v, struct vga_view *w)
{
    uint8_t font = v->seq[SEQ_FONT], clocking = v->seq[SEQ_CLOCKING], mode = v->attr[ATTR_MODE];
    w->kind = VGA_TEXT;
    w->columns = v->crtc[CRTC_H_DISPLAY_END] + 1;
    w->cell_width = clocking & 1 ? 8 : 9;
    w->double_dots = clocking & 8;
    if (w->double_dots)
        w->cell_width = 8; /* 40 columns have no ninth dot here, as in QEMU: 640 dots a line */
    w->width = w->columns * w->cell_width << w->double_dots;
    w->dup9 = mode & 4;
    w->blink = mode & 8;
    w->underline = v->crtc[CRTC_UNDERLINE] & 31;
    w->cursor_first = v->crtc[CRTC_CURSOR_START] & 31;
    w->cursor_last = v->crtc[CRTC_CURSOR_END] & 31;
    w->cursor = v->crtc[CRTC_CURSOR_HIGH] << 8 | v->crtc[CRTC_CURSOR_LOW];
    if (v->crtc[CRTC_CURSOR_START] & 0x20)
        w->cursor = ~0u;
    w->font[0] = ((font >> 4 & 1u) | (font << 1 & 6u)) * 8192 * 4 + 2;
    w->font[1] = ((font >> 5 & 1u) | (font >> 1 & 6u)) * 8192 * 4 + 2;
    int pan = v->attr[ATTR_PIXEL_PAN];
    if (w->cell_width == 9)
        w->pan = pan >= 8 ? 0 : pan + 1;
    else
        w->pan = (pan & 7) << w->double_dots;
    palette16(v, w->palette);
}

static void view_graphics(const struct vga *v, struct vga_view *w)
{
    uint8_t mode = v->crtc[CRTC_MODE], shift = v->gc[GC_MODE] >> 5 & 3;
    int first_bit = mode & 0x40 ? 15 : 14;
    w->width = (v->crtc[CRTC_H_DISPLAY_END] + 1) * 8;
    w->planes = v->attr[ATTR_PLANE_ENABLE] & 15;
    w->pan = v->attr[ATTR_PIXEL_PAN] & 7;
    w->cga_bit = mode & 1 ? 0 : first_bit;
    w->hgc_bit = mode & 2 ? 0 : first_bit + 1;
    if (shift >= 2) {
        w->kind = VGA_PACKED;
        w->pan &= ~1;
        palette256(v, w->palette);
        return;
    }
    w->kind = shift ? VGA_CGA : VGA_PLANAR;
    w->double_dots = v->seq[SEQ_CLOCKING] & 8;
    if (w->double_dots) {
        w->width *= 2;
        w->pan *= 2;
    }
    palette16(v, w->palette);
}

void vga_compute_view(struct vga *v, struct vga_view *w)
{
    const uint8_t *c = v->crtc;
    memset(w, 0, sizeof *w); /* padding too: views are compared as bytes */
    if (vga_vbe_enabled(v)) {
        view_vbe(v, w);
    } else {
        unsigned overflow = c[CRTC_OVERFLOW], max_scan = c[CRTC_MAX_SCAN];
        w->start = (uint32_t)(c[CRTC_START_HIGH] << 8 | c[CRTC_START_LOW]) * 4;
        w->start += (c[CRTC_PRESET_ROW] >> 5 & 3u) * 4; /* byte panning */
        w->pitch = (uint32_t)c[CRTC_OFFSET] << 3;
        w->wrap = VGA_PLANES_SIZE - 1;
        w->height =
            (int)(c[CRTC_V_DISPLAY_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
        w->split = (int)(c[CRTC_LINE_COMPARE] | (overflow & 0x10) << 4 | (max_scan & 0x40) << 3);
        if (w->split >= w->height - 1)
            w->split = -1;
        w->scans = (max_scan & 31) + 1;
        w->repeat = max_scan & 0x80 ? 2 : 1;
        w->preset = c[CRTC_PRESET_ROW] & 31;
        w->pan_above_split = v->attr[ATTR_MODE] & 0x20;
        if (v->gc[GC_MISC] & 1)
            view_graphics(v, w);
        else
            view_text(v, w);
    }
    if (!(v->attr_index & ATTR_INDEX_PAS) || (v->seq[SEQ_CLOCKING] & 0x20 && !vga_vbe_enabled(v))) {
        int width = w->width, height = w->height;
        memset(w, 0, sizeof *w);
        w->kind = VGA_BLANK;
        w->width = width;
        w->height = height;
    }
}

/* ---- dirty pages ---- */

/* Takes over the dirty bits of the bytes @first..@last of VRAM; true if there were any. */
static bool take_dirty(struct vga *v, uint32_t first, uint32_t last)
{
    uint32_t page = first >> VGA_PAGE_SHIFT, end = last >> VGA_PAGE_SHIFT;
    uint32_t low = ~0u, high = 0;
    for (; page <= end; page++) {
        uint64_t bit = 1ull << page % 64;
        if (v->lfb.dirty[page / 64] & bit) {
            v->line_dirty[page / 64] |= bit;
            low = page < low ? page : low;
            high = page;
        } else {
            v->line_dirty[page / 64] &= ~bit;
        }
    }
    if (low == ~0u)
        return false;
    mem_region_test_clear_dirty(&v->lfb, (uint64_t)low << VGA_PAGE_SHIFT,
                                (uint64_t)(high - low + 1) << VGA_PAGE_SHIFT);
    return true;
}

/* For lines: may cross the address wrap. */
static bool line_is_dirty(const struct vga *v, const struct vga_view *w, uint32_t a, uint32_t bytes)
{
    uint32_t pages = (w->wrap + 1) >> VGA_PAGE_SHIFT;
    uint32_t first = a >> VGA_PAGE_SHIFT, last = (a + bytes - 1) >> VGA_PAGE_SHIFT;
    for (uint32_t p = first; p <= last; p++) {
        uint32_t n = p % pages;
        if (v->line_dirty[n / 64] >> n % 64 & 1)
            return true;
    }
    return false;
}

/* ---- formats ---- */

static uint32_t load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bits 7..0 of a byte to bits 28, 24, .. 0: one plane's share of eight 4-bit pixels, leftmost
 * highest. */
static uint32_t spread(uint32_t b)
{
    b = (b | b << 12) & 0x000f000f;
    b = (b | b << 6) & 0x03030303;
    return (b | b << 3) & 0x11111111;
}

/* 8 pixels from the four planes at one address. */
static uint32_t planar_pixels(uint32_t planes)
{
    return spread(planes & 0xff) | spread(planes >> 8 & 0xff) << 1 |
           spread(planes >> 16 & 0xff) << 2 | spread(planes >> 24) << 3;
}

/* 8 pixels, in the same form, where planes 0 and 1 hold 2-bit pixels and planes 2 and 3 the upper
 * bits. */
static uint32_t cga_pixels(uint32_t planes)
{
    uint32_t out = 0;
    for (int plane = 0; plane < 2; plane++) {
        unsigned low = planes >> plane * 8 & 0xff, high = planes >> (plane * 8 + 16) & 0xff;
        for (int shift = 6; shift >= 0; shift -= 2)
            out = out << 4 | (low >> shift & 3) | (high >> shift & 3) << 2;
    }
    return out;
}

static void fetch_16_colors(const struct vga *v, const struct vga_view *w, uint32_t a,
                            uint32_t *dst, int dots)
{
    uint32_t enabled = 0;
    for (int i = 0; i < 4; i++)
        enabled |= w->planes >> i & 1 ? 0xffu << i * 8 : 0;
    int per_group = w->double_dots ? 16 : 8;
    for (int x = 0; x < dots; x += per_group, a += 4) {
        uint32_t planes = load32(v->vram + (a & w->wrap & ~3u)) & enabled;
        uint32_t pixels = w->kind == VGA_CGA ? cga_pixels(planes) : planar_pixels(planes);
        for (int shift = 28; shift >= 0; shift -= 4) {
            uint32_t color = w->palette[pixels >> shift & 15];
            *dst++ = color;
            if (w->double_dots)
                *dst++ = color;
        }
    }
}

static void fetch_packed(const struct vga *v, const struct vga_view *w, uint32_t a, uint32_t *dst,
                         int dots)
{
    for (int x = 0; x < dots; x += 2, a++) {
        uint32_t color = w->palette[v->vram[a & w->wrap]];
        *dst++ = color;
        *dst++ = color;
    }
}

/* Full intensity stays full: the upper bits repeat below. */
static uint32_t expand5(uint32_t c)
{
    return c << 3 | c >> 2;
}

static uint32_t expand6(uint32_t c)
{
    return c << 2 | c >> 4;
}

static uint32_t color15(uint32_t c)
{
    return expand5(c >> 10 & 31) << 16 | expand5(c >> 5 & 31) << 8 | expand5(c & 31);
}

static uint32_t color16(uint32_t c)
{
    return expand5(c >> 11) << 16 | expand6(c >> 5 & 63) << 8 | expand5(c & 31);
}

/* Every bit of a 16-bit colour has its own bits of the result, so a pixel is its two bytes' shares
 * together. */
void vga_draw_init(struct vga *v)
{
    for (uint32_t i = 0; i < 256; i++) {
        v->color15[0][i] = ALPHA | color15(i);
        v->color15[1][i] = color15(i << 8);
        v->color16[0][i] = ALPHA | color16(i);
        v->color16[1][i] = color16(i << 8);
    }
}

static void fetch_16_bits(const uint32_t share[2][256], bool swap, const uint8_t *p, uint32_t *dst,
                          int width)
{
    const uint32_t *first = share[swap], *second = share[!swap];
    for (int x = 0; x < width; x++)
        dst[x] = first[p[x * 2]] | second[p[x * 2 + 1]];
}

/* The VBE formats: @p has all of the line. */
static void fetch_vbe(const struct vga *v, const struct vga_view *w, const uint8_t *p,
                      uint32_t *dst, int width)
{
    bool swap = w->big_endian;
    switch (w->kind) {
    case VGA_VBE8:
        for (int x = 0; x < width; x++)
            dst[x] = w->palette[p[x]];
        break;
    case VGA_VBE15: fetch_16_bits(v->color15, swap, p, dst, width); break;
    case VGA_VBE16: fetch_16_bits(v->color16, swap, p, dst, width); break;
    case VGA_VBE24:
        for (int x = 0; x < width; x++, p += 3) {
            uint32_t first = p[0], last = p[2];
            dst[x] =
                ALPHA | (swap ? first : last) << 16 | (uint32_t)p[1] << 8 | (swap ? last : first);
        }
        break;
    default:
        for (int x = 0; !swap && x < width; x++)
            dst[x] = ALPHA | load32(p + x * 4);
        for (int x = 0; swap && x < width; x++) {
            uint32_t c = load32(p + x * 4);
            dst[x] = ALPHA | (c >> 8 & 0xff) << 16 | (c >> 16 & 0xff) << 8 | c >> 24;
        }
        break;
    }
}

static uint32_t line_bytes(const struct vga_view *w, int dots)
{
    uint32_t n = (uint32_t)dots;
    switch (w->kind) {
    case VGA_PLANAR:
    case VGA_CGA: return n / (w->double_dots ? 16 : 8) * 4;
    case VGA_PACKED: return n / 2;
    case VGA_VBE8: return n;
    case VGA_VBE15:
    case VGA_VBE16: return n * 2;
    case VGA_VBE24: return n * 3;
    default: return n * 4;
    }
}

static void draw_line(struct vga *v, const struct vga_view *w, uint32_t a, int pan, uint32_t *dst)
{
    uint32_t *out = pan ? v->line : dst;
    int dots = w->width + (pan ? 16 : 0);
    switch (w->kind) {
    case VGA_PLANAR:
    case VGA_CGA: fetch_16_colors(v, w, a, out, dots); break;
    case VGA_PACKED: fetch_packed(v, w, a, out, dots); break;
    default:
        /* The geometry was made to fit when it was set. */
        if (a + line_bytes(w, dots) <= v->vram_size)
            fetch_vbe(v, w, v->vram + a, out, dots);
        break;
    }
    if (pan)
        memcpy(dst, v->line + pan, (size_t)w->width * sizeof *dst);
}

/* ---- a frame ---- */

static void draw_graphics(struct vga *v, const struct vga_view *w, bool full)
{
    struct display_surface s = *display_surface(v->display);
    uint32_t row = w->start, drawn_address = ~0u;
    int scan = w->preset < w->scans ? w->preset : 0, repeat = 0, pan = w->pan;
    int drawn_pan = 0, dirty_from = -1;
    uint32_t bytes = line_bytes(w, w->width + (w->pan ? 16 : 0));
    uint32_t *drawn = NULL;
    for (int y = 0; y < w->height; y++) {
        uint32_t a = row;
        if (w->cga_bit)
            a = (a & ~(1u << w->cga_bit)) | (uint32_t)(scan & 1) << w->cga_bit;
        if (w->hgc_bit)
            a = (a & ~(1u << w->hgc_bit)) | (uint32_t)(scan >> 1 & 1) << w->hgc_bit;
        a &= w->wrap;
        uint32_t *dst = s.pixels + (size_t)y * (size_t)w->width;
        if (full || line_is_dirty(v, w, a, bytes)) {
            if (drawn && drawn_address == a && drawn_pan == pan)
                memcpy(dst, drawn, (size_t)w->width * sizeof *dst);
            else
                draw_line(v, w, a, pan, dst);
            drawn = dst;
            drawn_address = a;
            drawn_pan = pan;
            if (dirty_from < 0)
                dirty_from = y;
        } else if (dirty_from >= 0) {
            display_dirty(v->display, 0, dirty_from, w->width, y - dirty_from);
            dirty_from = -1;
        }
        if (y == w->split) {
            row = 0;
            scan = repeat = 0;
            if (w->pan_above_split)
                pan = 0;
        } else if (++repeat == w->repeat) {
            repeat = 0;
            if (++scan == w->scans) {
                scan = 0;
                row += w->pitch;
            }
        }
    }
    if (dirty_from >= 0)
        display_dirty(v->display, 0, dirty_from, w->width, w->height - dirty_from);
}

/* The range of VRAM that can be on display. */
static bool take_display_dirty(struct vga *v, const struct vga_view *w)
{
    if (!vga_vbe_enabled(v))
        return take_dirty(v, 0, VGA_PLANES_SIZE - 1);
    uint64_t end =
        w->start + (uint64_t)w->pitch * (uint32_t)(w->height - 1) + line_bytes(w, w->width);
    if (end > v->vram_size)
        end = v->vram_size;
    return take_dirty(v, w->start, (uint32_t)end - 1);
}

static void draw_blank(struct vga *v, const struct vga_view *w)
{
    struct display_surface s = *display_surface(v->display);
    for (size_t i = 0; i < (size_t)w->width * (size_t)w->height; i++)
        s.pixels[i] = ALPHA;
    display_dirty(v->display, 0, 0, w->width, w->height);
}

static void vga_update(void *opaque)
{
    struct vga *v = opaque;
    struct vga_view w;
    vga_compute_view(v, &w);
    if (w.kind == VGA_BLANK) {
        /* Keeps the size that is shown: blanking is part of every mode change. */
        const struct display_surface *s = display_surface(v->display);
        w.width = s->width;
        w.height = s->height;
    }
    /* Padding is zeroed. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    bool full = v->redraw || memcmp(&w, &v->shown, sizeof w) != 0;
    if (full && !display_resize(v->display, w.width, w.height))
        return;
    v->redraw = false;
    v->shown = w;
    if (w.kind == VGA_BLANK) {
        if (full)
            draw_blank(v, &w);
        return;
    }
    bool dirty = take_display_dirty(v, &w);
    if (w.kind == VGA_TEXT)
        vga_draw_text(v, &w, full, dirty); /* also blinks */
    else if (full || dirty)
        draw_graphics(v, &w, full);
}

static void vga_invalidate(void *opaque)
{
    struct vga *v = opaque;
    v->redraw = true;
}

const struct display_device_ops vga_display_ops = { vga_update, vga_invalidate, vga_get_text };
