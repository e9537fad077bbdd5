/*
 * Text modes: characters and attributes in planes 0 and 1, fonts in plane 2.
 *
 * The screen is walked as strips: a strip is one row of cells, or the part of it that is visible
 * (the first row scrolled by the preset row scan, the one that the split screen cuts off, the
 * last). Each cell is reduced to a word: character, attribute, whether it carries the cursor,
 * whether its blinking foreground is off now. The words that are on the surface are kept, and a
 * cell is drawn only if its word changed; so the walk itself is the change detection, and the
 * blinking needs no code of its own.
 *
 * A changed font is found by comparing the glyphs, but only when a page of VRAM that text mode
 * shows was written. A cell's colours are attribute bits 0-3 and 4-7; with blinking on, bit 7
 * blinks instead. The ninth dot is background, or the eighth again for codes C0..DF (and B0..BF, as
 * QEMU has it) with line graphics on.
 */
#include "hw/vga_core.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "machine.h"

/* Blinking: frames of 1/70 s that a phase takes. IBM: the cursor's period is 16 frames, a
 * character's 32. */
#define FRAME_NS            (NS_PER_SEC / 70)
#define CURSOR_PHASE_FRAMES 8
#define CHAR_PHASE_FRAMES   16

#define CELL_CURSOR 0x10000u
#define CELL_HIDDEN 0x20000u /* the foreground blinks and is off */
#define CELL_NONE   ~0u      /* not drawn yet */

struct strip {
    int y, lines; /* on the surface */
    int scan;     /* first row scan, in lines: repeated ones count */
    int pan;
    uint32_t cell; /* address of the first cell */
};

/* Calls for each strip of the screen, top down. Starts with y = 0, lines = 0. */
static bool next_strip(const struct vga_view *w, struct strip *s)
{
    int row_lines = w->scans * w->repeat;
    bool first = s->lines == 0;
    if (first) {
        s->y = 0;
        s->scan = w->preset < w->scans ? w->preset * w->repeat : 0;
        s->cell = w->start / 4;
        s->pan = w->pan;
    } else {
        bool split = w->split >= 0 && s->y + s->lines - 1 == w->split;
        s->y += s->lines;
        s->scan = 0;
        s->cell = split ? 0 : s->cell + w->pitch / 4;
        if (split && w->pan_above_split)
            s->pan = 0;
    }
    if (s->y >= w->height)
        return false;
    s->lines = row_lines - s->scan;
    if (s->lines > w->height - s->y)
        s->lines = w->height - s->y;
    if (w->split >= s->y && s->lines > w->split + 1 - s->y)
        s->lines = w->split + 1 - s->y;
    return true;
}

static uint32_t cell_offset(const struct vga_view *w, uint32_t cell)
{
    return cell * 4 & w->wrap;
}

/* Keeps a copy of the glyphs; true if they changed. */
static bool refresh_font(struct vga *v, const struct vga_view *w)
{
    bool changed = false;
    for (int set = 0; set < 2; set++) {
        const uint8_t *src = v->vram + w->font[set];
        uint8_t *copy = &v->font_shown[set][0][0];
        for (int i = 0; i < 256 * 32; i++) {
            changed |= copy[i] != src[i * 4];
            copy[i] = src[i * 4];
        }
    }
    return changed;
}

/* The dots of one row scan of a cell, bit 8 leftmost. */
static unsigned glyph_bits(const struct vga *v, const struct vga_view *w, uint32_t word, int scan)
{
    unsigned ch = word & 0xff, attr = word >> 8 & 0xff;
    if ((attr & 0x77) == 0x01 && scan == w->underline && !(word & CELL_HIDDEN))
        return 0x1ff;
    if ((word & CELL_CURSOR) && scan >= w->cursor_first && scan <= w->cursor_last)
        return 0x1ff;
    if (word & CELL_HIDDEN)
        return 0;
    unsigned bits = v->font_shown[attr >> 3 & 1][ch][scan & 31] << 1;
    if (w->dup9 && ch >= 0xb0 && ch <= 0xdf)
        bits |= bits >> 1 & 1;
    return bits;
}

/* Draws a cell whose left edge is at dot @x, which may lie outside of the surface. */
static void draw_cell(const struct vga *v, const struct vga_view *w, const struct strip *s,
                      uint32_t word, int x)
{
    unsigned attr = word >> 8 & 0xff, back = w->blink ? attr >> 4 & 7 : attr >> 4;
    uint32_t color[2] = { w->palette[back], w->palette[attr & 15] };
    uint32_t *pixels = display_surface(v->display)->pixels;
    int width = w->cell_width << w->double_dots;
    int from = x < 0 ? -x : 0, to = x + width > w->width ? w->width - x : width;
    for (int line = 0; line < s->lines; line++) {
        unsigned bits = glyph_bits(v, w, word, (s->scan + line) / w->repeat);
        uint32_t *dst = pixels + (size_t)(s->y + line) * (size_t)w->width;
        for (int i = from; i < to; i++)
            dst[x + i] = color[bits >> (8 - (i >> w->double_dots)) & 1];
    }
}

static bool reserve_cells(struct vga *v, size_t count)
{
    if (count > v->cell_capacity) {
        uint32_t *cells = realloc(v->cells, count * sizeof *cells);
        if (!cells)
            return false;
        memset(cells + v->cell_capacity, 0xff, (count - v->cell_capacity) * sizeof *cells);
        v->cells = cells;
        v->cell_capacity = count;
    }
    return true;
}

/* A strip's cells; reports what it drew. @drawn: the words on the surface. */
static void draw_strip(struct vga *v, const struct vga_view *w, const struct strip *s,
                       uint32_t *drawn, bool cursor_on, bool chars_on)
{
    int width = w->cell_width << w->double_dots, first = -1, last = -1;
    for (int col = 0; col < w->columns + (s->pan != 0); col++) {
        uint32_t cell = s->cell + (uint32_t)col;
        const uint8_t *p = v->vram + cell_offset(w, cell);
        uint32_t word = p[0] | (uint32_t)p[1] << 8;
        if (cursor_on && (cell & 0xffff) == w->cursor)
            word |= CELL_CURSOR;
        if (w->blink && !chars_on && (word & 0x8000))
            word |= CELL_HIDDEN;
        if (drawn[col] == word)
            continue;
        drawn[col] = word;
        draw_cell(v, w, s, word, col * width - s->pan);
        first = first < 0 ? col : first;
        last = col;
    }
    if (first >= 0)
        display_dirty(v->display, first * width - s->pan, s->y, (last - first + 1) * width,
                      s->lines);
}

void vga_draw_text(struct vga *v, const struct vga_view *w, bool full, bool written)
{
    size_t stride = (size_t)w->columns + 1, strips = 0;
    struct strip s = { .lines = 0 };
    while (next_strip(w, &s))
        strips++;
    if (!reserve_cells(v, stride * strips))
        return;
    if (full || written)
        full |= refresh_font(v, w);
    if (full)
        memset(v->cells, 0xff, stride * strips * sizeof *v->cells);
    int64_t frame = clock_now_ns(&v->machine->clock) / FRAME_NS;
    bool cursor_on = !(frame / CURSOR_PHASE_FRAMES & 1),
         chars_on = !(frame / CHAR_PHASE_FRAMES & 1);
    uint32_t *drawn = v->cells;
    s.lines = 0;
    for (; next_strip(w, &s); drawn += stride)
        draw_strip(v, w, &s, drawn, cursor_on, chars_on);
}

bool vga_get_text(void *opaque, struct display_text *t)
{
    struct vga *v = opaque;
    struct vga_view w;
    vga_compute_view(v, &w);
    if (w.kind != VGA_TEXT)
        return false;
    struct strip s = { .lines = 0 };
    size_t rows = 0;
    while (next_strip(&w, &s))
        rows++;
    size_t need = rows * (size_t)w.columns;
    if (need > v->text_capacity) {
        uint16_t *cells = realloc(v->text_cells, need * sizeof *cells);
        if (!cells)
            return false;
        v->text_cells = cells;
        v->text_capacity = need;
    }
    *t = (struct display_text){ w.columns, (int)rows, v->text_cells, -1, -1 };
    uint16_t *out = v->text_cells;
    s.lines = 0;
    for (int y = 0; next_strip(&w, &s); y++) {
        for (int col = 0; col < w.columns; col++) {
            uint32_t cell = s.cell + (uint32_t)col;
            const uint8_t *p = v->vram + cell_offset(&w, cell);
            *out++ = (uint16_t)(p[0] | p[1] << 8);
            if ((cell & 0xffff) == w.cursor) {
                t->cursor_x = col;
                t->cursor_y = y;
            }
        }
    }
    return true;
}
