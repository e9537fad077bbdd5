/*
 * 82441FX PCI and memory controller: Intel data sheet 290549.
 *
 * Configuration mechanism #1: a 32-bit write to 0xcf8 selects bus, device, function and register;
 * 0xcfc-0xcff is the window on that register. Other sizes at 0xcf8 are no configuration cycles
 * (0xcf9 is the reset control register).
 *
 * PAM (0x59-0x5f): thirteen areas of 16 or 64 KB, each with a read and a write enable. Per area
 * there is one alias of RAM, switched between RAM (both), ROM (read only) and off, and one slow
 * region for "write only" (reads from the ROM behind, writes to RAM), which some BIOSes use while
 * they copy themselves.
 *
 * SMRAM (0x72): the RAM behind the VGA window is visible while G_SMRAME is set and either D_OPEN is
 * or the CPU is in system management mode. D_LCK clears D_OPEN and makes the register read-only
 * until reset.
 */
#include "hw/pci/i440fx.h"

#include <string.h>

#include "cpu/cpu.h"
#include "hw/pci/pci.h"
#include "log.h"
#include "machine.h"

#define PRIO_PAM   2
#define PRIO_SMRAM 3

#define PAM_AREAS 13
#define BIOS_BASE 0xe0000u

#define REG_PAM0      0x59
#define PAM_REGISTERS 7
#define REG_SMRAM     0x72
#define SMRAM_OPEN    0x40
#define SMRAM_CLOSED  0x20
#define SMRAM_LOCK    0x10
#define SMRAM_ENABLE  0x08
#define SMRAM_BASE    0x02 /* C_BASE_SEG, read-only: 0xa0000 */

struct pam_area {
    struct i440fx *bridge;
    struct mem_region ram, write_only;
    uint32_t base, size;
};

struct i440fx {
    struct pci_device pci;
    struct pci_bus bus;
    const uint8_t *bios;
    uint32_t address; /* 0xcf8 */
    bool in_smm;
    struct mem_region address_io, data_io;
    struct mem_region smram;
    struct pam_area pam[PAM_AREAS];
};

static const struct field i440fx_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U32(struct i440fx, address, 0),
    FIELD_END,
};

/* ---- configuration mechanism #1 ---- */

static struct pci_device *selected(struct i440fx *s)
{
    if (!(s->address & 0x80000000) || (s->address >> 16 & 0xff) != 0)
        return NULL;
    return s->bus.devices[s->address >> 8 & 0xff];
}

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i440fx *s = opaque;
    return s->address >> (8 * offset);
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *s = opaque;
    if (offset == 0 && size == 4)
        s->address = (uint32_t)value & 0x80fffffc;
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i440fx *s = opaque;
    struct pci_device *d = selected(s);
    if (!d)
        return 0xffffffff;
    return pci_config_read(d, (uint8_t)((s->address & 0xfc) | (offset & 3)), size);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *s = opaque;
    struct pci_device *d = selected(s);
    if (d)
        pci_config_write(d, (uint8_t)((s->address & 0xfc) | (offset & 3)), (uint32_t)value, size);
}

static const struct mem_ops address_ops = { address_read, address_write, 1, 4 };
static const struct mem_ops data_ops = { data_read, data_write, 1, 4 };

/* ---- PAM and SMRAM ---- */

static uint64_t write_only_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pam_area *a = opaque;
    uint64_t v = 0, addr = a->base + offset;
    for (unsigned i = 0; i < size; i++) {
        const uint8_t *bios = a->bridge->bios;
        uint8_t byte = bios && addr + i >= BIOS_BASE ? bios[addr + i - BIOS_BASE] : 0xff;
        v |= (uint64_t)byte << (8 * i);
    }
    return v;
}

static void write_only_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pam_area *a = opaque;
    struct mem_region *ram = &a->bridge->pci.dev.machine->ram;
    uint64_t at = a->base + offset;
    for (unsigned i = 0; i < size; i++)
        ram->host[at + i] = (uint8_t)(value >> (8 * i));
    mem_note_write(ram, at, size);
}

static const struct mem_ops write_only_ops = { write_only_read, write_only_write, 1, 8 };

static void update_map(struct i440fx *s)
{
    struct machine *m = s->pci.dev.machine;
    const uint8_t *c = s->pci.config;
    mem_transaction_begin(&m->mem);
    for (int i = 0; i < PAM_AREAS; i++) {
        /* Area 0 (0xf0000) is the high nibble of 0x59, then two areas a register, low nibble first.
         */
        unsigned v = i == 0 ? c[REG_PAM0] >> 4 : c[REG_PAM0 + (i + 1) / 2] >> (i & 1 ? 0 : 4);
        bool read = v & 1, write = v & 2;
        if (read)
            mem_region_set_readonly(&s->pam[i].ram, !write);
        mem_region_set_enabled(&s->pam[i].ram, read);
        mem_region_set_enabled(&s->pam[i].write_only, write && !read);
    }
    uint8_t smram = c[REG_SMRAM];
    mem_region_set_enabled(&s->smram,
                           (smram & SMRAM_ENABLE) && ((smram & SMRAM_OPEN) || s->in_smm));
    mem_transaction_end(&m->mem);
}

static void smm_changed(void *opaque, bool in_smm)
{
    struct i440fx *s = opaque;
    s->in_smm = in_smm;
    update_map(s);
}

static void config_written(struct pci_device *d, uint8_t reg, unsigned len)
{
    struct i440fx *s = (struct i440fx *)d;
    uint8_t *smram = &d->config[REG_SMRAM];
    if (*smram & SMRAM_LOCK) {
        *smram &= (uint8_t)~SMRAM_OPEN;
        d->wmask[REG_SMRAM] = 0;
    }
    if (reg < REG_SMRAM + 1 && reg + len > REG_PAM0)
        update_map(s);
}

/* ---- life ---- */

static void i440fx_reset(struct device *d)
{
    struct i440fx *s = (struct i440fx *)d;
    uint8_t *c = s->pci.config, pam[PAM_REGISTERS];
    for (int i = 0; i < 256; i++)
        if (s->bus.devices[i])
            pci_device_reset(s->bus.devices[i]);
    memcpy(pam, c + REG_PAM0, sizeof pam);
    memset(c + 0x40, 0, 0xc0);
    if (d->machine->waking) /* from S3: the BIOS goes on in its shadow RAM */
        memcpy(c + REG_PAM0, pam, sizeof pam);
    c[0x57] = 0x10; /* DRAM control: no hole */
    c[REG_SMRAM] = SMRAM_BASE;
    s->pci.wmask[REG_SMRAM] = SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
    s->in_smm = false;
    update_map(s);
}

static void i440fx_post_load(struct device *d)
{
    struct i440fx *s = (struct i440fx *)d;
    s->in_smm = d->machine->cpu_count > 0 && d->machine->cpus[0]->in_smm;
    s->pci.wmask[REG_SMRAM] = s->pci.config[REG_SMRAM] & SMRAM_LOCK
                                  ? 0
                                  : SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
    update_map(s);
}

static void add_alias(struct i440fx *s, struct mem_region *r, const char *name, uint64_t offset,
                      uint64_t size, uint64_t base, int prio)
{
    struct machine *m = s->pci.dev.machine;
    mem_region_init_alias(r, name, &m->ram, offset, size);
    mem_region_set_enabled(r, false);
    mem_region_add(&m->mem, r, base, prio);
}

/* The windows on the RAM that lies behind the VGA and the ROMs. */
static bool map_windows(struct i440fx *s, struct error *err)
{
    struct machine *m = s->pci.dev.machine;
    if (m->ram.size < 0x100000)
        return error_set(err, "-m: at least 1 MB of memory is needed");
    add_alias(s, &s->smram, "smram", 0xa0000, 0x20000, 0xa0000, PRIO_SMRAM);
    for (int i = 0; i < PAM_AREAS; i++) {
        struct pam_area *a = &s->pam[i];
        a->bridge = s;
        a->base = i == 0 ? 0xf0000 : 0xc0000 + 0x4000u * (unsigned)(i - 1);
        a->size = i == 0 ? 0x10000 : 0x4000;
        add_alias(s, &a->ram, "pam-ram", a->base, a->size, a->base, PRIO_PAM);
        mem_region_init_io(&a->write_only, "pam-write-only", a->size, &write_only_ops, a);
        mem_region_set_enabled(&a->write_only, false);
        mem_region_add(&m->mem, &a->write_only, a->base, PRIO_PAM);
    }
    return true;
}

static bool i440fx_realize(struct device *d, struct error *err)
{
    struct i440fx *s = (struct i440fx *)d;
    struct machine *m = d->machine;
    s->bus.machine = m;
    m->pci = &s->bus;
    s->pci.config_written = config_written;
    if (!pci_device_init(&s->pci, err))
        return false;
    mem_transaction_begin(&m->mem);
    bool ok = map_windows(s, err);
    mem_transaction_end(&m->mem);
    if (!ok)
        return false;
    mem_region_init_io(&s->address_io, "pci-conf-idx", 4, &address_ops, s);
    mem_region_init_io(&s->data_io, "pci-conf-data", 4, &data_ops, s);
    mem_region_add(&m->io, &s->address_io, 0xcf8, 0);
    mem_region_add(&m->io, &s->data_io, 0xcfc, 0);
    for (int i = 0; i < m->cpu_count; i++) {
        m->cpus[i]->smm_changed = smm_changed;
        m->cpus[i]->smm_opaque = s;
    }
    return true;
}

static void i440fx_unrealize(struct device *d)
{
    struct i440fx *s = (struct i440fx *)d;
    struct mem_region *all[] = { &s->address_io, &s->data_io, &s->smram };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        mem_region_remove(all[i]);
    for (int i = 0; i < PAM_AREAS; i++) {
        mem_region_remove(&s->pam[i].ram);
        mem_region_remove(&s->pam[i].write_only);
    }
    for (int i = 0; i < 256; i++)
        if (s->bus.devices[i])
            s->bus.devices[i]->bus = NULL; /* they outlive the bus when the machine goes */
    for (int i = 0; i < d->machine->cpu_count; i++)
        d->machine->cpus[i]->smm_changed = NULL;
    d->machine->pci = NULL;
}

static const struct pci_class_info i440fx_info = {
    .vendor_id = 0x8086,
    .device_id = 0x1237,
    .revision = 2,
    .class_id = 0x0600,
};

static const struct device_class i440fx_class = {
    .name = "i440FX",
    .desc = "82441FX host bridge",
    .size = sizeof(struct i440fx),
    .fields = i440fx_fields,
    .realize = i440fx_realize,
    .unrealize = i440fx_unrealize,
    .reset = i440fx_reset,
    .post_load = i440fx_post_load,
    .class_data = &i440fx_info,
};

struct pci_bus *i440fx_new(struct machine *m, const uint8_t *bios, struct error *err)
{
    struct i440fx *s = (struct i440fx *)device_new(m, &i440fx_class);
    if (!s) {
        error_set(err, "i440FX: out of memory");
        return NULL;
    }
    s->bios = bios;
    return device_realize(&s->pci.dev, err) ? &s->bus : NULL;
}
