/*
 * The VGA's registers: sequencer, CRT controller, graphics controller, attribute controller, DAC.
 *
 * Files: vga.c (ports and registers), vga_mem.c (the CPU's window on video memory: latches, write
 * modes, fast path), vga_vbe.c (Bochs VBE), vga_draw.c and vga_text.c (from video memory to the
 * surface), vga_pci.c (the card on the PCI bus), edid.c (the monitor's description).
 *
 * Video memory is one array in which four consecutive bytes are the four planes at one address:
 * plane p at address a is vram[a * 4 + p]. Chain-4 and the VBE modes then are the bytes in order,
 * so the same array is the linear framebuffer. Odd/even addressing uses consecutive plane
 * addresses, too (the hardware leaves every second one out and skips it in the CRTC's word mode);
 * both sides agree, so only programs that look at text memory through the planar view would notice.
 *
 * Registers only keep values. Those that change how the CPU sees memory call vga_update_mapping();
 * how the screen looks is worked out from the registers when a viewer asks (vga_compute_view()).
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"; J. D. Neal's FreeVGA
 * pages.
 */
#include "hw/vga_core.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "machine.h"

enum {
    PORT_FIRST = 0x3b0,
    PORT_COUNT = 0x30,
    PORT_ATTR = 0x3c0,
    PORT_ATTR_READ = 0x3c1,
    PORT_STATUS0 = 0x3c2, /* write: miscellaneous output */
    PORT_SEQ_INDEX = 0x3c4,
    PORT_SEQ = 0x3c5,
    PORT_DAC_MASK = 0x3c6,
    PORT_DAC_STATE = 0x3c7, /* write: read index */
    PORT_DAC_INDEX = 0x3c8,
    PORT_DAC = 0x3c9,
    PORT_FEATURE_READ = 0x3ca,
    PORT_MISC_READ = 0x3cc,
    PORT_GC_INDEX = 0x3ce,
    PORT_GC = 0x3cf,
    PORT_CRTC_INDEX = 0x3d4, /* or 0x3b4 */
    PORT_CRTC = 0x3d5,
    PORT_STATUS1 = 0x3da,
};

enum { STATUS0_SENSE = 0x10, STATUS1_BLANK = 0x01, STATUS1_V_RETRACE = 0x08 };

/* Implemented bits. */
static const uint8_t seq_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff };
static const uint8_t gc_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t attr_mask[0x20] = {
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};
#define CRTC_REGS 0x19

/* ---- retrace timing ---- */

/* Where the beam is, from the CRTC's own numbers; @status gets bits of input status 1. */
static uint8_t beam_status(struct vga *v)
{
    const uint8_t *c = v->crtc;
    unsigned overflow = c[CRTC_OVERFLOW];
    unsigned h_total = c[CRTC_H_TOTAL] + 5u, h_display = c[CRTC_H_DISPLAY_END] + 1u;
    unsigned v_total = (c[CRTC_V_TOTAL] | (overflow & 0x01) << 8 | (overflow & 0x20) << 4) + 2u;
    unsigned v_display =
        (c[CRTC_V_DISPLAY_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1u;
    unsigned v_sync = c[CRTC_V_SYNC_START] | (overflow & 0x04) << 6 | (overflow & 0x80) << 2;
    unsigned v_sync_lines = (c[CRTC_V_SYNC_END] - v_sync) & 15;
    unsigned dots = v->seq[SEQ_CLOCKING] & 1 ? 8 : 9;
    uint64_t hz = (v->misc >> 2 & 3) == 1 ? 28322000 : 25175000;
    if (v->seq[SEQ_CLOCKING] & 8)
        hz /= 2;
    /* VBE modes leave most of the CRTC alone, and a guest may program nonsense: then 640x480 at 60
     * Hz. */
    if (vga_vbe_enabled(v) || h_display >= h_total || v_sync >= v_total || v_display >= v_total) {
        h_total = 100;
        h_display = 80;
        v_total = 525;
        v_display = 480;
        v_sync = 490;
        v_sync_lines = 2;
        dots = 8;
        hz = 25175000;
    }
    if (!v_sync_lines)
        v_sync_lines = 16;
    uint64_t line_dots = h_total * dots;
    uint64_t at = clock_ticks(clock_now_ns(&v->machine->clock), hz) % (line_dots * v_total);
    unsigned line = (unsigned)(at / line_dots), column = (unsigned)(at % line_dots / dots);
    uint8_t status = 0;
    if (line >= v_display || column >= h_display)
        status |= STATUS1_BLANK;
    if (line >= v_sync && line < v_sync + v_sync_lines)
        status |= STATUS1_V_RETRACE | STATUS1_BLANK;
    return status;
}

/* ---- DAC ---- */

static uint8_t dac_read(struct vga *v)
{
    uint8_t value = v->palette[v->dac_read_index * 3 + v->dac_sub];
    if (++v->dac_sub == 3) {
        v->dac_sub = 0;
        v->dac_read_index++;
    }
    return value;
}

static void dac_write(struct vga *v, uint8_t value)
{
    v->dac_cache[v->dac_sub] = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? value : value & 0x3f;
    if (++v->dac_sub == 3) {
        memcpy(&v->palette[v->dac_write_index * 3], v->dac_cache, 3);
        v->dac_sub = 0;
        v->dac_write_index++;
    }
}

/* ---- registers behind an index ---- */

static void attr_write(struct vga *v, uint8_t value)
{
    if (!v->attr_data)
        v->attr_index = value & 0x3f;
    else
        v->attr[v->attr_index & 0x1f] = value & attr_mask[v->attr_index & 0x1f];
    v->attr_data = !v->attr_data;
}

static void crtc_write(struct vga *v, uint8_t value)
{
    uint8_t n = v->crtc_index;
    if (n >= CRTC_REGS)
        return;
    if (n <= CRTC_OVERFLOW && v->crtc[CRTC_V_SYNC_END] & 0x80) {
        /* Protected, but for bit 8 of the line compare. */
        if (n == CRTC_OVERFLOW)
            v->crtc[n] = (uint8_t)((v->crtc[n] & ~0x10) | (value & 0x10));
        return;
    }
    v->crtc[n] = value;
}

static void seq_write(struct vga *v, uint8_t value)
{
    uint8_t n = v->seq_index & 7;
    v->seq[n] = value & seq_mask[n];
    vga_update_mapping(v);
}

static void gc_write(struct vga *v, uint8_t value)
{
    uint8_t n = v->gc_index & 15;
    v->gc[n] = value & gc_mask[n];
    vga_update_mapping(v);
}

/* CRTC, status 1 and feature control answer at 0x3bX or 0x3dX, as the miscellaneous register says.
 */
static bool port_decoded(const struct vga *v, uint16_t port)
{
    bool mono = port >= 0x3b0 && port <= 0x3bf, color = port >= 0x3d0 && port <= 0x3df;
    return v->misc & MISC_COLOR ? !mono : !color;
}

uint8_t vga_port_read(struct vga *v, uint16_t port)
{
    if (!port_decoded(v, port))
        return 0xff;
    if (port < PORT_ATTR)
        port += 0x20;
    switch (port) {
    case PORT_ATTR: return v->attr_data ? 0 : v->attr_index;
    case PORT_ATTR_READ: return v->attr[v->attr_index & 0x1f];
    case PORT_STATUS0: return STATUS0_SENSE;
    case PORT_SEQ_INDEX: return v->seq_index;
    case PORT_SEQ: return v->seq[v->seq_index & 7];
    case PORT_DAC_MASK: return v->dac_mask;
    case PORT_DAC_STATE: return v->dac_state;
    case PORT_DAC_INDEX: return v->dac_write_index;
    case PORT_DAC: return dac_read(v);
    case PORT_FEATURE_READ: return v->feature;
    case PORT_MISC_READ: return v->misc;
    case PORT_GC_INDEX: return v->gc_index;
    case PORT_GC: return v->gc[v->gc_index & 15];
    case PORT_CRTC_INDEX: return v->crtc_index;
    case PORT_CRTC: return v->crtc_index < CRTC_REGS ? v->crtc[v->crtc_index] : 0;
    case PORT_STATUS1: v->attr_data = false; return beam_status(v);
    default: return 0xff;
    }
}

void vga_port_write(struct vga *v, uint16_t port, uint8_t value)
{
    if (!port_decoded(v, port))
        return;
    if (port < PORT_ATTR)
        port += 0x20;
    switch (port) {
    case PORT_ATTR: attr_write(v, value); break;
    case PORT_STATUS0:
        v->misc = value & 0xef;
        vga_update_mapping(v);
        break;
    case PORT_SEQ_INDEX: v->seq_index = value & 7; break;
    case PORT_SEQ: seq_write(v, value); break;
    case PORT_DAC_MASK: v->dac_mask = value; break;
    case PORT_DAC_STATE:
        v->dac_read_index = value;
        v->dac_sub = 0;
        v->dac_state = 3;
        break;
    case PORT_DAC_INDEX:
        v->dac_write_index = value;
        v->dac_sub = 0;
        v->dac_state = 0;
        break;
    case PORT_DAC: dac_write(v, value); break;
    case PORT_GC_INDEX: v->gc_index = value & 15; break;
    case PORT_GC: gc_write(v, value); break;
    case PORT_CRTC_INDEX: v->crtc_index = value & 0x3f; break;
    case PORT_CRTC: crtc_write(v, value); break;
    case PORT_STATUS1: v->feature = value & 0x10; break;
    default: break;
    }
}

/* Word writes to an index port load index and data: each byte goes to its own port. */
static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, (uint16_t)(PORT_FIRST + offset));
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    vga_port_write(opaque, (uint16_t)(PORT_FIRST + offset), (uint8_t)value);
}

static const struct mem_ops port_ops = { ports_read, ports_write, 1, 1 };

/* ---- life ---- */

bool vga_init(struct vga *v, struct machine *m, uint32_t vram_size, struct error *err)
{
    v->machine = m;
    v->display = m->display;
    v->vram_size = vram_size;
    v->line_dirty = calloc((vram_size >> VGA_PAGE_SHIFT) / 64 + 1, sizeof *v->line_dirty);
    v->line = calloc(VBE_MAX_XRES + 64, sizeof *v->line);
    if (!v->line_dirty || !v->line || !mem_region_init_ram(&v->lfb, "vga.vram", vram_size, NULL) ||
        !mem_region_track_dirty(&v->lfb))
        return error_set(err, "VGA: no memory for %u MB of video memory", vram_size >> 20);
    v->vram = v->lfb.host;
    vga_draw_init(v);
    mem_region_init_io(&v->window, "vga-lowmem", VGA_WINDOW_SIZE, &vga_window_ops, v);
    mem_region_init_io(&v->ports, "vga", PORT_COUNT, &port_ops, v);
    mem_region_init_io(&v->vbe_ports, "vbe", 3, &vga_vbe_port_ops, v);
    mem_region_add(&m->mem, &v->window, VGA_WINDOW_BASE, 1);
    mem_region_add(&m->io, &v->ports, PORT_FIRST, 0);
    mem_region_add(&m->io, &v->vbe_ports, 0x1ce, 0);
    if (v->display)
        display_attach(v->display, &vga_display_ops, v);
    v->redraw = true;
    return true;
}

void vga_free(struct vga *v)
{
    if (!v->machine)
        return; /* never got as far as vga_init */
    if (v->display)
        display_attach(v->display, NULL, NULL);
    if (v->fast_size)
        mem_region_free(&v->fast);
    mem_region_free(&v->window);
    mem_region_free(&v->ports);
    mem_region_free(&v->vbe_ports);
    mem_region_free(&v->lfb);
    free(v->line_dirty);
    free(v->line);
    free(v->cells);
    free(v->text_cells);
}

void vga_reset(struct vga *v)
{
    vga_vbe_reset(v);
    v->dac_mask = 0xff;
    v->redraw = true;
    vga_update_mapping(v);
}

void vga_post_load(struct vga *v)
{
    /* A saved state may hold any numbers; these are indices. */
    v->seq_index &= 7;
    v->gc_index &= 15;
    v->crtc_index &= 0x3f;
    v->attr_index &= 0x3f;
    v->dac_sub %= 3;
    vga_vbe_loaded(v);
    v->redraw = true;
    vga_update_mapping(v);
}
