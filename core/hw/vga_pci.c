/*
 * The VGA as QEMU's stdvga PCI card: 1234:1111, class 0300.
 *
 * BAR 0 is video memory (16 MB, prefetchable), BAR 2 a page of registers: the monitor's EDID at 0,
 * the VGA ports 0x3c0..0x3df at 0x400, the VBE registers (16 bits each) at 0x500, and at 0x600 an
 * extension: its size and the byte order of the framebuffer. The option ROM is vgabios-stdvga.bin.
 * The card also decodes the legacy VGA ports and memory, always, as QEMU's does.
 *
 * Source: the description of the card in QEMU's documentation, "QEMU Standard VGA".
 */
#include "hw/vga.h"

#include <string.h>

#include "hw/edid.h"
#include "hw/pci/pci.h"
#include "hw/vga_core.h"
#include "machine.h"

enum {
    MMIO_SIZE = 0x1000,
    MMIO_PORTS = 0x400,
    MMIO_VBE = 0x500,
    MMIO_EXT_SIZE = 0x600,
    MMIO_EXT_ORDER = 0x604,
    EXT_BYTES = 8,
};

#define ORDER_LITTLE 0x1e1e1e1eu
#define ORDER_BIG    0xbebebebeu
#define VRAM_SIZE    (16u << 20)

struct vga_pci {
    struct pci_device pci;
    struct vga vga;
    struct mem_region mmio;
};

static const struct field vga_pci_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U8(struct vga_pci, vga.misc, 0),
    FIELD_U8(struct vga_pci, vga.feature, 0),
    FIELD_U8(struct vga_pci, vga.seq_index, 0),
    FIELD_BYTES(struct vga_pci, vga.seq),
    FIELD_U8(struct vga_pci, vga.crtc_index, 0),
    FIELD_BYTES(struct vga_pci, vga.crtc),
    FIELD_U8(struct vga_pci, vga.gc_index, 0),
    FIELD_BYTES(struct vga_pci, vga.gc),
    FIELD_U8(struct vga_pci, vga.attr_index, 0),
    FIELD_BYTES(struct vga_pci, vga.attr),
    FIELD_BOOL(struct vga_pci, vga.attr_data, false),
    FIELD_U8(struct vga_pci, vga.dac_state, 0),
    FIELD_U8(struct vga_pci, vga.dac_sub, 0),
    FIELD_U8(struct vga_pci, vga.dac_read_index, 0),
    FIELD_U8(struct vga_pci, vga.dac_write_index, 0),
    FIELD_U8(struct vga_pci, vga.dac_mask, 0xff),
    FIELD_BYTES(struct vga_pci, vga.dac_cache),
    FIELD_BYTES(struct vga_pci, vga.palette),
    FIELD_U32(struct vga_pci, vga.latch, 0),
    FIELD_U16(struct vga_pci, vga.vbe_index, 0),
    FIELD_U16(struct vga_pci, vga.vbe, 0),
    FIELD_BOOL(struct vga_pci, vga.big_endian, false),
    FIELD_POINTER(struct vga_pci, vga.vram, VRAM_SIZE),
    FIELD_END,
};

static const struct prop vga_pci_props[] = { PCI_DEVICE_PROPS, PROP_END };

/* ---- BAR 2 ---- */

static uint16_t mmio_read16(struct vga_pci *s, uint32_t a)
{
    if (a >= MMIO_VBE && a < MMIO_VBE + 2 * (VBE_REGS + 1))
        return vga_vbe_read(&s->vga, (a - MMIO_VBE) / 2);
    uint32_t order = s->vga.big_endian ? ORDER_BIG : ORDER_LITTLE;
    switch (a) {
    case MMIO_EXT_SIZE: return EXT_BYTES;
    case MMIO_EXT_SIZE + 2: return 0;
    case MMIO_EXT_ORDER: return (uint16_t)order;
    case MMIO_EXT_ORDER + 2: return (uint16_t)(order >> 16);
    default: return 0xffff;
    }
}

static uint8_t mmio_read8(struct vga_pci *s, uint32_t a)
{
    if (a < EDID_SIZE)
        return edid_data[a];
    if (a < MMIO_PORTS)
        return 0;
    if (a < MMIO_PORTS + 0x20)
        return vga_port_read(&s->vga, (uint16_t)(0x3c0 + a - MMIO_PORTS));
    return (uint8_t)(mmio_read16(s, a & ~1u) >> (a & 1) * 8);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)mmio_read8(opaque, (uint32_t)offset + i) << i * 8;
    return value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga_pci *s = opaque;
    uint32_t a = (uint32_t)offset;
    if (a >= MMIO_PORTS && a < MMIO_PORTS + 0x20) {
        for (unsigned i = 0; i < size; i++)
            vga_port_write(&s->vga, (uint16_t)(0x3c0 + a - MMIO_PORTS + i),
                           (uint8_t)(value >> i * 8));
    } else if (a >= MMIO_VBE && a < MMIO_VBE + 2 * VBE_REGS && !(a & 1)) {
        vga_vbe_write(&s->vga, (a - MMIO_VBE) / 2, (uint16_t)value);
        if (size == 4)
            vga_vbe_write(&s->vga, (a - MMIO_VBE) / 2 + 1, (uint16_t)(value >> 16));
    } else if (a == MMIO_EXT_ORDER && size == 4) {
        if (value == ORDER_BIG || value == ORDER_LITTLE)
            s->vga.big_endian = value == ORDER_BIG;
    }
}

static const struct mem_ops mmio_ops = { mmio_read, mmio_write, 1, 4 };

/* ---- life ---- */

static bool vga_pci_realize(struct device *d, struct error *err)
{
    struct vga_pci *s = (struct vga_pci *)d;
    if (!s->pci.romfile)
        s->pci.romfile = strdup("vgabios-stdvga.bin");
    if (!pci_device_init(&s->pci, err) || !vga_init(&s->vga, d->machine, VRAM_SIZE, err))
        return false;
    mem_region_init_io(&s->mmio, "vga.mmio", MMIO_SIZE, &mmio_ops, s);
    pci_register_bar(&s->pci, 0, PCI_BAR_MEM_PREFETCH, &s->vga.lfb);
    pci_register_bar(&s->pci, 2, PCI_BAR_MEM32, &s->mmio);
    return true;
}

static void vga_pci_unrealize(struct device *d)
{
    struct vga_pci *s = (struct vga_pci *)d;
    pci_device_exit(&s->pci);
    mem_region_free(&s->mmio);
    vga_free(&s->vga);
}

static void vga_pci_reset(struct device *d)
{
    struct vga_pci *s = (struct vga_pci *)d;
    pci_device_reset(&s->pci);
    vga_reset(&s->vga);
}

static void vga_pci_post_load(struct device *d)
{
    struct vga_pci *s = (struct vga_pci *)d;
    pci_device_post_load(&s->pci);
    vga_post_load(&s->vga);
}

static const struct pci_class_info vga_pci_info = {
    .vendor_id = 0x1234,
    .device_id = 0x1111,
    .revision = 2,
    .class_id = 0x0300,
};

const struct device_class vga_pci_class = {
    .name = "VGA",
    .desc = "VGA with Bochs VBE",
    .size = sizeof(struct vga_pci),
    .bus = "PCI",
    .fields = vga_pci_fields,
    .props = vga_pci_props,
    .realize = vga_pci_realize,
    .unrealize = vga_pci_unrealize,
    .reset = vga_pci_reset,
    .post_load = vga_pci_post_load,
    .class_data = &vga_pci_info,
};

struct device *vga_pci_new(struct machine *m, struct error *err)
{
    struct device *d = device_new(m, &vga_pci_class);
    if (!d) {
        error_set(err, "VGA: out of memory");
        return NULL;
    }
    return device_realize(d, err) ? d : NULL;
}
