/*
 * The monitor's views of devices: info pci, qtree, qdm, mtree, roms. Layout as in QEMU, as far as
 * the machine has the same things.
 */
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "char/char.h"
#include "hw/pci/pci.h"
#include "monitor/monitor_impl.h"

typedef unsigned long long ull;

/* ---- PCI ---- */

static const struct {
    uint16_t class;
    const char *name;
} pci_classes[] = {
    { 0x0100, "SCSI controller" },
    { 0x0101, "IDE controller" },
    { 0x0200, "Ethernet controller" },
    { 0x0300, "VGA controller" },
    { 0x0380, "Display controller" },
    { 0x0401, "Audio controller" },
    { 0x0600, "Host bridge" },
    { 0x0601, "ISA bridge" },
    { 0x0604, "PCI bridge" },
    { 0x0680, "Bridge" },
    { 0x0780, "Communication controller" },
    { 0x0900, "Keyboard" },
    { 0x0902, "Mouse" },
};

static void put_pci_class(struct text *out, uint16_t class)
{
    for (size_t i = 0; i < sizeof pci_classes / sizeof pci_classes[0]; i++)
        if (pci_classes[i].class == class) {
            text_puts(out, pci_classes[i].name);
            return;
        }
    text_printf(out, "Class %04x", class);
}

/* Where the guest put BAR @n, ~0 if nowhere. */
static uint64_t bar_address(const struct pci_device *d, int n)
{
    const struct pci_bar *b = &d->bars[n];
    unsigned reg = n == 6 ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * (unsigned)n;
    uint16_t command = pci_get16(d->config + PCI_COMMAND);
    uint32_t low = pci_get32(d->config + reg);
    bool io = b->type == PCI_BAR_IO && n != 6;
    if (!(command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) || (n == 6 && !(low & 1)))
        return UINT64_MAX;
    uint64_t address = low & (io ? ~3u : n == 6 ? ~0x7ffu : ~15u);
    if (b->type == PCI_BAR_MEM64 && n < 5)
        address |= (uint64_t)pci_get32(d->config + reg + 4) << 32;
    return address;
}

static void put_bar(struct text *out, const struct pci_device *d, int n)
{
    const struct pci_bar *b = &d->bars[n];
    uint64_t at = bar_address(d, n);
    text_printf(out, "      BAR%d: ", n);
    if (b->type == PCI_BAR_IO && n != 6)
        text_printf(out, "I/O at 0x%04llx [0x%04llx].\n", (ull)at, (ull)(at + b->size - 1));
    else
        text_printf(out, "%d bit%s memory at 0x%08llx [0x%08llx].\n",
                    b->type == PCI_BAR_MEM64 ? 64 : 32,
                    b->type == PCI_BAR_MEM_PREFETCH ? " prefetchable" : "", (ull)at,
                    (ull)(at + b->size - 1));
}

void hmp_info_pci(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    for (int devfn = 0; m->pci && devfn < 256; devfn++) {
        const struct pci_device *d = m->pci->devices[devfn];
        if (!d)
            continue;
        const uint8_t *c = d->config;
        text_printf(out, "  Bus  0, device %3d, function %d:\n    ", devfn >> 3, devfn & 7);
        put_pci_class(out, pci_get16(c + PCI_CLASS_DEVICE));
        text_printf(out, ": PCI device %04x:%04x\n", pci_get16(c + PCI_VENDOR_ID),
                    pci_get16(c + PCI_DEVICE_ID));
        text_printf(out, "      PCI subsystem %04x:%04x\n", pci_get16(c + PCI_SUBSYSTEM_VENDOR_ID),
                    pci_get16(c + PCI_SUBSYSTEM_ID));
        if (c[PCI_INTERRUPT_PIN])
            text_printf(out, "      IRQ %d, pin %c\n", c[PCI_INTERRUPT_LINE],
                        'A' + c[PCI_INTERRUPT_PIN] - 1);
        for (int n = 0; n < 7; n++)
            if (d->bars[n].region)
                put_bar(out, d, n);
        text_printf(out, "      id \"%s\"\n", d->dev.id ? d->dev.id : "");
    }
}

/* ---- the device tree ---- */

static void put_prop(struct machine *m, struct text *out, const struct device *d,
                     const struct prop *p)
{
    const char *at = (const char *)d + p->offset;
    text_printf(out, "    %s = ", p->name);
    switch (p->type) {
    case PROP_BOOL: text_puts(out, *(const bool *)at ? "true" : "false"); break;
    case PROP_U32:
        text_printf(out, "%u (0x%x)", *(const uint32_t *)at, *(const uint32_t *)at);
        break;
    case PROP_U64:
    case PROP_SIZE: text_printf(out, "%llu (0x%llx)", *(const ull *)at, *(const ull *)at); break;
    case PROP_STRING: {
        const char *s = *(char *const *)at;
        text_printf(out, "\"%s\"", s ? s : "");
        break;
    }
    case PROP_DRIVE: {
        const struct blk *b = *(struct blk *const *)at;
        text_printf(out, "\"%s\"", b ? blk_id(b) : "");
        break;
    }
    case PROP_CHARDEV: {
        const struct chardev *c = *(struct chardev *const *)at;
        text_printf(out, "\"%s\"", c ? chr_label(c) : "");
        break;
    }
    case PROP_MAC: {
        const uint8_t *b = (const uint8_t *)at;
        text_printf(out, "\"%02x:%02x:%02x:%02x:%02x:%02x\"", b[0], b[1], b[2], b[3], b[4], b[5]);
        break;
    }
    }
    text_puts(out, "\n");
}

static bool on_bus(const struct device *d, const char *bus)
{
    return bus ? d->cls->bus && !strcmp(d->cls->bus, bus) : !d->cls->bus;
}

static void put_bus(struct machine *m, struct text *out, const char *name, const char *type,
                    const char *bus)
{
    text_printf(out, "bus: %s\n  type %s\n", name, type);
    for (const struct device *d = m->devices; d; d = d->next) {
        if (!on_bus(d, bus))
            continue;
        text_printf(out, "  dev: %s, id \"%s\"\n", d->cls->name, d->id ? d->id : "");
        for (const struct prop *p = d->cls->props; p && p->name; p++)
            put_prop(m, out, d, p);
        if (d->addr)
            text_printf(out, "    addr = %s\n", d->addr);
    }
}

void hmp_info_qtree(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    put_bus(m, out, "main-system-bus", "System", NULL);
    put_bus(m, out, "pci.0", "PCI", "PCI");
    put_bus(m, out, "isa.0", "ISA", "ISA");
    put_bus(m, out, "virtio-bus", "virtio-bus", "virtio");
}

void hmp_info_qdm(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    for (size_t i = 0; device_classes[i]; i++) {
        const struct device_class *c = device_classes[i];
        text_printf(out, "name \"%s\"", c->name);
        if (c->bus)
            text_printf(out, ", bus %s", c->bus);
        if (c->desc)
            text_printf(out, ", desc \"%s\"", c->desc);
        text_puts(out, "\n");
    }
}

/* ---- memory ---- */

static const char *kind_name(enum mem_kind kind)
{
    return kind == MEM_RAM ? "ram" : kind == MEM_ROM ? "rom" : "i/o";
}

static void put_space(struct text *out, const struct mem_space *s, const char *name, bool flat)
{
    text_printf(out, "%s: %s\n", flat ? "FlatView" : "address-space", name);
    if (flat) {
        for (size_t i = 0; i < s->flat_count; i++) {
            const struct mem_range *r = &s->flat[i];
            text_printf(out, "  %016llx-%016llx (prio %d, %s): %s", (ull)r->first, (ull)r->last,
                        r->region->priority, kind_name(r->region->kind), r->region->name);
            if (r->offset)
                text_printf(out, " @%016llx", (ull)r->offset);
            text_puts(out, "\n");
        }
    } else {
        text_printf(out, "  %016llx-%016llx (prio 0, i/o): %s\n", 0ull, (ull)(s->size - 1),
                    s->name);
        for (const struct mem_region *r = s->regions; r; r = r->next)
            text_printf(out, "    %016llx-%016llx (prio %d, %s): %s%s\n", (ull)r->base,
                        (ull)(r->base + r->size - 1), r->priority, kind_name(r->kind), r->name,
                        r->enabled ? "" : " [disabled]");
    }
    text_puts(out, "\n");
}

void hmp_info_mtree(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    bool flat = a[0].given && !strcmp(a[0].s, "-f");
    if (a[0].given && !flat) {
        text_printf(out, "unsupported option '%s'\n", a[0].s);
        return;
    }
    put_space(out, &m->mem, "memory", flat);
    put_space(out, &m->io, "I/O", flat);
}

void hmp_info_roms(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    for (const struct mem_region *r = m->mem.regions; r; r = r->next)
        if (r->kind == MEM_ROM && r->enabled)
            text_printf(out, "addr=%016llx size=0x%06llx mem=rom name=\"%s\"\n", (ull)r->base,
                        (ull)r->size, r->name);
}
