/*
 * PCI configuration space, BARs, expansion ROMs and INTx: PCI Local Bus specification 3.0,
 * chapter 6.
 *
 * Configuration space is the array config[]; a write changes the bits of wmask and clears the
 * written ones of w1cmask. A BAR is mapped while the command register decodes its space and its
 * address is a usable one: not 0, not beyond the space, and for a 32-bit BAR not the all-ones
 * pattern by which software asks for the size. update_bars() brings the memory map in line after
 * each write that may matter.
 *
 * A BAR lies below RAM in priority: the host bridge never forwards RAM addresses to the bus.
 *
 * INTx: several devices share a PIRQ line. Each device's contribution (intx_out) is its level
 * unless INTX_DISABLE is set; the bus counts contributions per line, and the line is high while the
 * count isn't 0.
 */
#include "hw/pci/pci.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "machine.h"

#define BAR_PRIORITY (-1)
#define ROM_BAR      6
#define ROM_ENABLE   1u
#define ROM_MAX_SIZE (16u << 20)

#define STATUS_W1C 0xf900

/* ---- INTx ---- */

/* PIIX wiring: INTA# of slot 1 is PIRQA, of slot 2 PIRQB, and so on; the other pins follow. */
static unsigned pirq_of(const struct pci_device *d)
{
    unsigned pin = d->config[PCI_INTERRUPT_PIN] - 1u;
    return ((unsigned)(d->devfn >> 3) + pin - 1u) & 3;
}

static void update_intx(struct pci_device *d)
{
    bool out = d->intx_level && !(pci_get16(d->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
    if (out == d->intx_out)
        return;
    d->intx_out = out;
    unsigned line = pirq_of(d);
    struct pci_bus *bus = d->bus;
    bus->pirq_count[line] += out ? 1 : -1;
    irq_set(&bus->pirq[line], bus->pirq_count[line] > 0);
}

void pci_set_irq(struct pci_device *d, int level)
{
    if (!d->config[PCI_INTERRUPT_PIN] || !d->bus)
        return;
    d->intx_level = level != 0;
    if (level)
        d->config[PCI_STATUS] |= PCI_STATUS_INTX;
    else
        d->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
    update_intx(d);
}

/* ---- BARs ---- */

static uint8_t bar_offset(int n)
{
    return n == ROM_BAR ? PCI_ROM_ADDRESS : (uint8_t)(PCI_BASE_ADDRESS_0 + 4 * n);
}

static void update_bar(struct pci_device *d, int n)
{
    struct pci_bar *b = &d->bars[n];
    const uint8_t *p = d->config + bar_offset(n);
    uint16_t command = pci_get16(d->config + PCI_COMMAND);
    bool io = b->type == PCI_BAR_IO;
    bool on = command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
    uint64_t addr = pci_get32(p), top = UINT32_MAX;
    if (b->type == PCI_BAR_MEM64) {
        addr |= (uint64_t)pci_get32(p + 4) << 32;
        top = b->region->space->size - 1;
    }
    if (io)
        top = b->region->space->size - 1;
    if (n == ROM_BAR && !(addr & ROM_ENABLE))
        on = false;
    addr &= ~(b->size - 1);
    uint64_t last = addr + b->size - 1;
    if (addr == 0 || last < addr || last > top || (!io && b->type != PCI_BAR_MEM64 && last == top))
        on = false;
    if (on)
        mem_region_set_base(b->region, addr);
    mem_region_set_enabled(b->region, on);
}

static void update_bars(struct pci_device *d)
{
    struct machine *m = d->dev.machine;
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    for (int n = 0; n <= ROM_BAR; n++)
        if (d->bars[n].region)
            update_bar(d, n);
    mem_transaction_end(&m->io);
    mem_transaction_end(&m->mem);
}

/* What the BAR's read-only low bits say. */
static uint32_t bar_type_bits(const struct pci_bar *b, int n)
{
    if (n == ROM_BAR)
        return 0;
    switch (b->type) {
    case PCI_BAR_IO: return 1;
    case PCI_BAR_MEM64: return 0xc; /* 64 bits, prefetchable */
    case PCI_BAR_MEM_PREFETCH: return 8;
    default: return 0;
    }
}

void pci_register_bar(struct pci_device *d, int n, enum pci_bar_type type,
                      struct mem_region *region)
{
    struct machine *m = d->dev.machine;
    assert(n >= 0 && n <= ROM_BAR && !d->bars[n].region);
    assert((region->size & (region->size - 1)) == 0 &&
           region->size >= (type == PCI_BAR_IO ? 4 : 16));
    struct pci_bar *b = &d->bars[n];
    *b = (struct pci_bar){ .region = region, .type = type, .size = region->size };
    uint64_t mask = ~(region->size - 1);
    uint8_t *w = d->wmask + bar_offset(n);
    if (n == ROM_BAR)
        mask |= ROM_ENABLE;
    pci_set32(w, (uint32_t)mask);
    if (type == PCI_BAR_MEM64)
        pci_set32(w + 4, (uint32_t)(mask >> 32));
    pci_set32(d->config + bar_offset(n), bar_type_bits(b, n));
    mem_region_set_enabled(region, false);
    mem_region_add(type == PCI_BAR_IO ? &m->io : &m->mem, region, 0, BAR_PRIORITY);
}

uint64_t pci_bar_address(const struct pci_device *d, int n)
{
    const struct mem_region *r = d->bars[n].region;
    return r && r->enabled ? r->base : PCI_BAR_UNMAPPED;
}

/* ---- expansion ROM ---- */

/* Firmware only runs a ROM whose header names the device (PCI Firmware 3.0, 5.1): one that serves
 * several models has just one of them there. */
static void patch_rom_ids(struct pci_device *d, uint8_t *rom, size_t size)
{
    size_t pcir = size > 0x1a ? pci_get16(rom + 0x18) : 0;
    if (size < 0x1a || rom[0] != 0x55 || rom[1] != 0xaa || pcir + 0x18 > size ||
        memcmp(rom + pcir, "PCIR", 4))
        return;
    uint8_t change = 0; /* the first image's bytes add up to 0: byte 6 takes the difference */
    for (int i = 0; i < 4; i++) {
        uint8_t *at = rom + pcir + 4 + i;
        change += (uint8_t)(d->config[PCI_VENDOR_ID + i] - *at);
        *at = d->config[PCI_VENDOR_ID + i];
    }
    rom[6] -= change;
}

void pci_ids_changed(struct pci_device *d)
{
    if (d->rom.host && d->rom_is_default)
        patch_rom_ids(d, d->rom.host, d->rom.size);
}

/* @is_default: the class's own, which need not be installed. */
static bool load_rom(struct pci_device *d, bool is_default, struct error *err)
{
    size_t size;
    uint8_t *file = machine_load_file(d->dev.machine, d->romfile, &size, err);
    if (!file)
        return is_default || error_prepend(err, "device '%s': romfile", d->dev.cls->name);
    if (size == 0 || size > ROM_MAX_SIZE) {
        free(file);
        return error_set(err, "device '%s': romfile '%s': %s", d->dev.cls->name, d->romfile,
                         size ? "larger than 16 MB" : "the file is empty");
    }
    uint64_t rom_size = 4096;
    while (rom_size < size)
        rom_size <<= 1;
    if (!mem_region_init_rom(&d->rom, d->romfile, rom_size, NULL)) {
        free(file);
        return error_set(err, "device '%s': out of memory", d->dev.cls->name);
    }
    memcpy(d->rom.host, file, size);
    memset(d->rom.host + size, 0xff, rom_size - size);
    d->rom_is_default = is_default;
    pci_ids_changed(d);
    free(file);
    pci_register_bar(d, ROM_BAR, PCI_BAR_MEM32, &d->rom);
    return true;
}

/* ---- life ---- */

/* "5" or "5.1", hexadecimal, as -device addr= has it; empty: the first free slot. */
static bool parse_addr(struct pci_device *d, struct error *err)
{
    const char *s = d->dev.addr;
    if (!s || !*s)
        return true;
    char *end;
    unsigned long slot = strtoul(s, &end, 16), fn = 0;
    if (*end == '.' && end[1])
        fn = strtoul(end + 1, &end, 16);
    if (*end || slot > 31 || fn > 7)
        return error_set(err, "device '%s': addr '%s' is not SLOT[.FUNCTION]", d->dev.cls->name, s);
    d->devfn = (int)(slot << 3 | fn);
    return true;
}

static bool claim_slot(struct pci_device *d, struct error *err)
{
    struct pci_bus *bus = d->bus;
    if (d->devfn < 0) {
        for (int slot = 2; slot < 32 && d->devfn < 0; slot++)
            if (!bus->devices[slot << 3])
                d->devfn = slot << 3;
        if (d->devfn < 0)
            return error_set(err, "device '%s': all 32 slots of the PCI bus are taken",
                             d->dev.cls->name);
    }
    struct pci_device *other = bus->devices[d->devfn];
    if (other)
        return error_set(err, "device '%s': PCI slot %02x.%x is taken by '%s'", d->dev.cls->name,
                         d->devfn >> 3, d->devfn & 7, other->dev.cls->name);
    bus->devices[d->devfn] = d;
    char text[16];
    snprintf(text, sizeof text, "%02x.%x", d->devfn >> 3, d->devfn & 7);
    free(d->dev.addr);
    d->dev.addr = strdup(text);
    return true;
}

bool pci_device_init(struct pci_device *d, struct error *err)
{
    const struct pci_class_info *info = d->dev.cls->class_data;
    d->bus = d->dev.machine->pci;
    if (!d->bus)
        return error_set(err, "device '%s': the machine has no PCI bus", d->dev.cls->name);
    /* devfn 0 is the host bridge's, so a zeroed struct means "not chosen". */
    if (d->devfn == 0 && d->bus->devices[0])
        d->devfn = -1;
    if (!parse_addr(d, err) || !claim_slot(d, err))
        return false;

    uint8_t *c = d->config, *w = d->wmask;
    memset(c, 0, 64);
    memset(w, 0, 64);
    memset(w + 64, 0xff, sizeof d->wmask - 64);
    pci_set16(c + PCI_VENDOR_ID, info->vendor_id);
    pci_set16(c + PCI_DEVICE_ID, info->device_id);
    c[PCI_REVISION_ID] = info->revision;
    c[PCI_CLASS_PROG] = info->prog_if;
    pci_set16(c + PCI_CLASS_DEVICE, info->class_id);
    pci_set16(c + PCI_SUBSYSTEM_VENDOR_ID,
              info->subsystem_vendor_id ? info->subsystem_vendor_id : 0x1af4);
    pci_set16(c + PCI_SUBSYSTEM_ID, info->subsystem_id ? info->subsystem_id : 0x1100);
    c[PCI_INTERRUPT_PIN] = info->has_intx;
    pci_set16(w + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    w[PCI_CACHE_LINE_SIZE] = 0xff;
    w[PCI_INTERRUPT_LINE] = 0xff;
    pci_set16(d->w1cmask + PCI_STATUS, STATUS_W1C);
    d->cap_next = 0x40;
    bool default_rom = !d->romfile && info->romfile;
    if (default_rom && !(d->romfile = strdup(info->romfile)))
        abort();
    if (d->romfile && *d->romfile && !load_rom(d, default_rom, err)) {
        d->bus->devices[d->devfn] = NULL;
        return false;
    }
    return true;
}

void pci_device_exit(struct pci_device *d)
{
    d->intx_level = 0;
    if (d->bus && d->config[PCI_INTERRUPT_PIN])
        update_intx(d);
    for (int n = 0; n <= ROM_BAR; n++)
        if (d->bars[n].region)
            mem_region_remove(d->bars[n].region);
    msix_free(d);
    if (d->rom.host)
        mem_region_free(&d->rom);
    /* The bus may be gone already when the whole machine goes. */
    if (d->bus && d->bus->devices[d->devfn] == d)
        d->bus->devices[d->devfn] = NULL;
    d->bus = NULL;
}

void pci_device_reset(struct pci_device *d)
{
    if (d->config[PCI_INTERRUPT_PIN])
        pci_set_irq(d, 0);
    pci_set16(d->config + PCI_COMMAND, 0);
    d->config[PCI_STATUS + 1] &= (uint8_t) ~(STATUS_W1C >> 8);
    d->config[PCI_CACHE_LINE_SIZE] = 0;
    d->config[PCI_INTERRUPT_LINE] = 0;
    for (int n = 0; n <= ROM_BAR; n++) {
        if (!d->bars[n].region)
            continue;
        pci_set32(d->config + bar_offset(n), bar_type_bits(&d->bars[n], n));
        if (d->bars[n].type == PCI_BAR_MEM64)
            pci_set32(d->config + bar_offset(n) + 4, 0);
    }
    msix_reset(d);
    update_bars(d);
}

void pci_device_post_load(struct pci_device *d)
{
    d->intx_level = (d->config[PCI_STATUS] & PCI_STATUS_INTX) != 0;
    if (d->config[PCI_INTERRUPT_PIN])
        update_intx(d);
    update_bars(d);
}

uint8_t pci_add_capability(struct pci_device *d, uint8_t id, uint8_t len)
{
    uint8_t at = d->cap_next;
    assert(len >= 2 && at + len <= 256);
    d->cap_next = (uint8_t)((at + len + 3) & ~3);
    memset(d->wmask + at, 0, len);
    d->config[at] = id;
    d->config[at + 1] = d->config[PCI_CAPABILITY_LIST];
    d->config[PCI_CAPABILITY_LIST] = at;
    d->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    return at;
}

/* ---- configuration cycles ---- */

uint32_t pci_config_read(struct pci_device *d, uint8_t reg, unsigned len)
{
    uint32_t v = 0;
    if (d->config_read)
        return d->config_read(d, reg, len);
    for (unsigned i = 0; i < len && reg + i < sizeof d->config; i++)
        v |= (uint32_t)d->config[reg + i] << (8 * i);
    return v;
}

void pci_config_write(struct pci_device *d, uint8_t reg, uint32_t value, unsigned len)
{
    for (unsigned i = 0; i < len && reg + i < sizeof d->config; i++) {
        uint8_t v = (uint8_t)(value >> (8 * i)), w = d->wmask[reg + i], c = d->w1cmask[reg + i];
        uint8_t *p = &d->config[reg + i];
        *p = (uint8_t)((*p & ~w) | (v & w));
        *p &= (uint8_t) ~(v & c);
    }
    bool command = reg < PCI_STATUS && reg + len > PCI_COMMAND;
    bool bar = reg < PCI_ROM_ADDRESS + 4 && reg + len > PCI_BASE_ADDRESS_0;
    if (command || bar)
        update_bars(d);
    if (command && d->config[PCI_INTERRUPT_PIN])
        update_intx(d);
    if (d->msix)
        msix_config_written(d, reg, len);
    if (d->config_written)
        d->config_written(d, reg, len);
}

/* ---- bus mastering ---- */

void pci_dma_read(struct pci_device *d, uint64_t addr, void *buf, size_t len)
{
    if (d->config[PCI_COMMAND] & PCI_COMMAND_MASTER)
        dma_read(&d->dev.machine->mem, addr, buf, len);
    else
        memset(buf, 0xff, len);
}

void pci_dma_write(struct pci_device *d, uint64_t addr, const void *buf, size_t len)
{
    if (d->config[PCI_COMMAND] & PCI_COMMAND_MASTER)
        dma_write(&d->dev.machine->mem, addr, buf, len);
}
