/*
 * Bochs VBE: the DISPI registers through which VGA BIOSes and drivers set modes beyond VGA.
 *
 * An index at port 0x1ce and 16 bits of data at 0x1cf or 0x1d0 (also in the PCI card's MMIO BAR).
 * The geometry registers are made valid as they are written while the extension is enabled: width a
 * multiple of 8, virtual width at least the width, everything inside video memory. So drawing never
 * has to check. Enabling also programs the VGA registers that software may look at, or leave behind
 * for us to use.
 *
 * Register layout and limits: Bochs' VBE DISPI interface, version 5 (ID 0xb0c5), as QEMU implements
 * it.
 */
#include "hw/vga_core.h"

#include <string.h>

enum { VBE_ID_FIRST = 0xb0c0, VBE_ID_LAST = 0xb0c5 };

static unsigned bits_per_pixel(const struct vga *v)
{
    return v->vbe[VBE_BPP] == 15 ? 16 : v->vbe[VBE_BPP];
}

static uint16_t at_most(uint16_t value, unsigned limit)
{
    return value > limit ? (uint16_t)limit : value;
}

/* Forces the geometry into its limits. */
static void fix_geometry(struct vga *v)
{
    uint16_t *r = v->vbe;
    switch (r[VBE_BPP]) {
    case 4:
    case 8:
    case 15:
    case 16:
    case 24:
    case 32: break;
    default: r[VBE_BPP] = 8;
    }
    unsigned bits = bits_per_pixel(v);
    r[VBE_XRES] = at_most(r[VBE_XRES] & 0xfff8, VBE_MAX_XRES);
    if (!r[VBE_XRES])
        r[VBE_XRES] = 8;
    r[VBE_VIRT_WIDTH] = at_most(r[VBE_VIRT_WIDTH] & 0xfff8, VBE_MAX_XRES);
    if (r[VBE_VIRT_WIDTH] < r[VBE_XRES])
        r[VBE_VIRT_WIDTH] = r[VBE_XRES];
    uint32_t pitch = r[VBE_VIRT_WIDTH] * bits / 8, lines = v->vram_size / pitch;
    r[VBE_YRES] = at_most(r[VBE_YRES] ? r[VBE_YRES] : 1, VBE_MAX_YRES);
    r[VBE_YRES] = at_most(r[VBE_YRES], lines);
    r[VBE_X_OFFSET] = at_most(r[VBE_X_OFFSET], VBE_MAX_XRES);
    r[VBE_Y_OFFSET] = at_most(r[VBE_Y_OFFSET], VBE_MAX_YRES);
    uint32_t x_bytes = r[VBE_X_OFFSET] * bits / 8, screen = r[VBE_YRES] * pitch;
    if (x_bytes + r[VBE_Y_OFFSET] * pitch + screen > v->vram_size) {
        r[VBE_Y_OFFSET] = 0;
        if (x_bytes + screen > v->vram_size)
            r[VBE_X_OFFSET] = 0;
    }
    r[VBE_VIRT_HEIGHT] = (uint16_t)(lines > 0xffff ? 0xffff : lines);
}

void vga_vbe_derive(struct vga *v)
{
    uint32_t bank = (uint32_t)v->vbe[VBE_BANK] << 16;
    v->bank_offset = bank & (v->vram_size - 1);
    if (!vga_vbe_enabled(v))
        return;
    unsigned bits = bits_per_pixel(v);
    v->vbe_pitch = v->vbe[VBE_VIRT_WIDTH] * bits / 8;
    v->vbe_start = v->vbe[VBE_X_OFFSET] * bits / 8 + v->vbe[VBE_Y_OFFSET] * v->vbe_pitch;
    v->vbe_start &= ~3u;
}

void vga_vbe_loaded(struct vga *v)
{
    v->vbe[VBE_BANK] &= (uint16_t)((v->vram_size >> 16) - 1);
    if (vga_vbe_enabled(v))
        fix_geometry(v);
    vga_vbe_derive(v);
}

/* The VGA registers as a VBE mode has them. The sequencer's stay: the packed modes don't ask them,
 * and the VGA mode that was set before is whole again when the extension is switched off. */
static void program_vga(struct vga *v)
{
    unsigned last = v->vbe[VBE_YRES] - 1u;
    v->gc[GC_MISC] = (uint8_t)((v->gc[GC_MISC] & ~0x0c) | 0x05);
    v->crtc[CRTC_MODE] |= 3;
    v->crtc[CRTC_OFFSET] = (uint8_t)(v->vbe_pitch >> 3);
    v->crtc[CRTC_H_DISPLAY_END] = (uint8_t)((v->vbe[VBE_XRES] >> 3) - 1);
    v->crtc[CRTC_V_DISPLAY_END] = (uint8_t)last;
    v->crtc[CRTC_OVERFLOW] = (uint8_t)((v->crtc[CRTC_OVERFLOW] & ~0x42) | (last >> 7 & 0x02) |
                                       (last >> 3 & 0x40) | 0x10);
    v->crtc[CRTC_LINE_COMPARE] = 0xff;
    v->crtc[CRTC_MAX_SCAN] = (uint8_t)((v->crtc[CRTC_MAX_SCAN] & ~0x9f) | 0x40);
    bool planar = v->vbe[VBE_BPP] == 4;
    v->gc[GC_MODE] = (uint8_t)((v->gc[GC_MODE] & ~0x60) | (planar ? 0 : 0x40));
}

static void update(struct vga *v)
{
    if (vga_vbe_enabled(v)) {
        fix_geometry(v);
        vga_vbe_derive(v);
        program_vga(v);
    }
    vga_update_mapping(v);
}

static void write_enable(struct vga *v, uint16_t value)
{
    bool was = vga_vbe_enabled(v);
    if ((value & VBE_ENABLED) && !was) {
        v->vbe[VBE_VIRT_WIDTH] = 0;
        v->vbe[VBE_X_OFFSET] = 0;
        v->vbe[VBE_Y_OFFSET] = 0;
        v->vbe[VBE_ENABLE] = value;
        update(v);
        if (!(value & VBE_NOCLEAR)) {
            size_t len = (size_t)v->vbe[VBE_YRES] * v->vbe_pitch;
            memset(v->vram, 0, len);
            mem_note_write(&v->lfb, 0, len);
        }
    } else {
        v->vbe[VBE_BANK] = 0;
        v->vbe[VBE_ENABLE] = value;
        vga_vbe_derive(v);
        vga_update_mapping(v);
    }
}

uint16_t vga_vbe_read(struct vga *v, unsigned index)
{
    if (v->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        switch (index) {
        case VBE_XRES: return VBE_MAX_XRES;
        case VBE_YRES: return VBE_MAX_YRES;
        case VBE_BPP: return VBE_MAX_BPP;
        }
    }
    if (index == VBE_MEMORY_64K)
        return (uint16_t)(v->vram_size >> 16);
    return index < VBE_REGS ? v->vbe[index] : 0;
}

void vga_vbe_write(struct vga *v, unsigned index, uint16_t value)
{
    switch (index) {
    case VBE_ID:
        if (value >= VBE_ID_FIRST && value <= VBE_ID_LAST)
            v->vbe[index] = value;
        break;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        v->vbe[index] = value;
        update(v);
        break;
    case VBE_BANK:
        v->vbe[index] = value & (uint16_t)((v->vram_size >> 16) - 1);
        vga_vbe_derive(v);
        vga_update_mapping(v);
        break;
    case VBE_ENABLE: write_enable(v, value); break;
    }
}

void vga_vbe_reset(struct vga *v)
{
    memset(v->vbe, 0, sizeof v->vbe);
    v->vbe[VBE_ID] = VBE_ID_LAST;
    v->vbe_index = 0;
    v->bank_offset = 0;
}

static uint64_t vbe_port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *v = opaque;
    return offset ? vga_vbe_read(v, v->vbe_index) : v->vbe_index;
}

static void vbe_port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga *v = opaque;
    if (offset)
        vga_vbe_write(v, v->vbe_index, (uint16_t)value);
    else
        v->vbe_index = (uint16_t)value;
}

const struct mem_ops vga_vbe_port_ops = { vbe_port_read, vbe_port_write, 1, 2 };
