/*
 * PCI hot-plug for guests with ACPI. Registers and their meaning are QEMU's
 * (docs/specs/acpi_pci_hotplug), so its guests' habits fit; slots are those of bus 0.
 *
 *   0xae00  slots with a new device (one bit a slot), cleared by reading
 *   0xae04  slots whose device shall go
 *   0xae08  write: eject the devices of these slots
 *   0xae0c  slots that can be unplugged
 *   0xae10  number of the bus (always 0)
 *
 * A device comes: it is realized, its bit in `up` set and GPE 1 raised; the guest's handler (\_GPE
 * ._E01 in our DSDT) reads `up` and notifies the slot, and the OS scans it. A device goes: its bit
 * in `down` and the GPE; the OS stops its driver and calls the slot's _EJ0, which writes the eject
 * register. The device is freed by a bottom half, since the CPU is in the middle of an instruction
 * then. A reset carries out what is still asked for.
 */
#include "hw/pci/hotplug.h"

#include <stdio.h>

#include "hw/aml.h"
#include "machine.h"

#define BASE       0xae00
#define REG_UP     0x00
#define REG_DOWN   0x04
#define REG_EJECT  0x08
#define REG_CAN_GO 0x0c
#define LENGTH     0x14

#define FIRST_SLOT 3 /* 0 and 1 are the chipset, 2 the graphics card */

struct pci_hotplug {
    struct device dev;
    struct mem_region io;
    struct irq event;
    uint32_t up, down;
    uint32_t ejected; /* to be removed by the bottom half */
};

static const struct field hotplug_fields[] = {
    FIELD_U32(struct pci_hotplug, up, 0),
    FIELD_U32(struct pci_hotplug, down, 0),
    FIELD_END,
};

/* ---- slots ---- */

/* Bridges stay, and the graphics card, as in QEMU. */
static bool can_go(const struct pci_device *d)
{
    uint16_t class = pci_get16(d->config + PCI_CLASS_DEVICE);
    return d->dev.cls->bus && class >> 8 != 0x06 && class >> 8 != 0x03;
}

static void remove_slots(void *opaque)
{
    struct pci_hotplug *h = opaque;
    struct machine *m = h->dev.machine;
    for (int devfn = 0; devfn < 256; devfn++) {
        struct pci_device *d = m->pci->devices[devfn];
        if (d && h->ejected >> (devfn >> 3) & 1 && can_go(d))
            machine_remove_device(m, &d->dev);
    }
    h->ejected = 0;
}

static void eject(struct pci_hotplug *h, uint32_t slots)
{
    h->up &= ~slots;
    h->down &= ~slots;
    if (!slots)
        return;
    if (!h->ejected)
        machine_defer(h->dev.machine, remove_slots, h);
    h->ejected |= slots;
}

static uint32_t removable_slots(struct pci_hotplug *h)
{
    uint32_t slots = UINT32_MAX;
    for (int devfn = 0; devfn < 256; devfn++) {
        const struct pci_device *d = h->dev.machine->pci->devices[devfn];
        if (d && !can_go(d))
            slots &= ~(1u << (devfn >> 3));
    }
    return slots;
}

/* ---- registers ---- */

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_hotplug *h = opaque;
    uint32_t v = 0;
    switch (offset) {
    case REG_UP:
        v = h->up;
        h->up = 0;
        break;
    case REG_DOWN: v = h->down; break;
    case REG_CAN_GO: v = removable_slots(h); break;
    default: break;
    }
    return v;
}

/* A guest may also eject what nobody asked it to. */
static void hotplug_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == REG_EJECT)
        eject(opaque, (uint32_t)value);
}

static const struct mem_ops hotplug_ops = { hotplug_read, hotplug_write, 4, 4 };

/* ---- coming and going ---- */

static void raise_event(struct pci_hotplug *h)
{
    irq_set(&h->event, 1);
}

void pci_hotplug_added(struct pci_device *d)
{
    struct pci_hotplug *h = d->bus->hotplug;
    h->up |= 1u << (d->devfn >> 3);
    raise_event(h);
}

bool pci_hotplug_remove(struct pci_device *d, struct error *err)
{
    struct pci_hotplug *h = d->bus->hotplug;
    uint32_t slot = 1u << (d->devfn >> 3);
    if (!h)
        return error_set(err, "Bus 'pci.0' does not support hotplugging");
    if (!can_go(d) || d->devfn >> 3 < FIRST_SLOT)
        return error_set(err, "Device '%s' does not support hotplugging", d->dev.cls->name);
    if ((h->down | h->ejected) & slot)
        return error_set(err, "Device %s is already in the process of unplug", d->dev.id);
    h->down |= slot;
    raise_event(h);
    return true;
}

/* ---- life ---- */

void pci_hotplug_before_reset(struct machine *m)
{
    struct pci_hotplug *h = m->pci ? m->pci->hotplug : NULL;
    if (!h || !h->down)
        return;
    machine_cancel_deferred(m, remove_slots, h);
    h->ejected |= h->down;
    remove_slots(h);
}

static bool hotplug_realize(struct device *d, struct error *err)
{
    struct pci_hotplug *h = (struct pci_hotplug *)d;
    mem_region_init_io(&h->io, "acpi-pci-hotplug", LENGTH, &hotplug_ops, h);
    mem_region_add(&d->machine->io, &h->io, BASE, 0);
    d->machine->pci->hotplug = h;
    return true;
}

static void hotplug_unrealize(struct device *d)
{
    struct pci_hotplug *h = (struct pci_hotplug *)d;
    machine_cancel_deferred(d->machine, remove_slots, h);
    mem_region_remove(&h->io);
}

static const struct device_class hotplug_class = {
    .name = "acpi-pci-hotplug",
    .desc = "PCI hot-plug registers",
    .size = sizeof(struct pci_hotplug),
    .fields = hotplug_fields,
    .realize = hotplug_realize,
    .unrealize = hotplug_unrealize,
};

struct pci_hotplug *pci_hotplug_new(struct machine *m, struct irq event, struct error *err)
{
    struct pci_hotplug *h = (struct pci_hotplug *)device_new(m, &hotplug_class);
    if (!h) {
        error_set(err, "out of memory");
        return NULL;
    }
    h->event = event;
    return device_realize(&h->dev, err) ? h : NULL;
}

/* ---- AML ---- */

static void slot_name(char name[8], int slot)
{
    snprintf(name, 8, "S%02X", (slot << 3) & 0xff);
}

/* A method of PCI0 that notifies each slot whose bit is set in its first argument. */
static void add_notifier(struct aml *a, const char *reg, const char *name, unsigned event)
{
    char slot_path[8];
    size_t method = aml_method(a, name, 0, true);
    aml_store_name(a, reg, "HPTM"); /* reading `up` clears it */
    for (int slot = FIRST_SLOT; slot < 32; slot++) {
        slot_name(slot_path, slot);
        size_t block = aml_if(a);
        aml_and(a, "HPTM", 1u << slot);
        aml_notify(a, slot_path, event);
        aml_end(a, block);
    }
    aml_end(a, method);
}

void pci_hotplug_add_slots(struct aml *a)
{
    static const char *const names[] = { "PCIU", "PCID", "B0EJ" };
    char name[8];
    aml_io_fields(a, "PCST", BASE, names, 3);
    aml_name_int(a, "HPTM", 0);
    for (int slot = FIRST_SLOT; slot < 32; slot++) {
        slot_name(name, slot);
        size_t dev = aml_device(a, name);
        aml_name_int(a, "_SUN", (uint64_t)slot);
        aml_name_int(a, "_ADR", (uint64_t)slot << 16);
        size_t method = aml_method(a, "_EJ0", 1, true);
        aml_store_int(a, 1u << slot, "B0EJ");
        aml_end(a, method);
        aml_end(a, dev);
    }
    add_notifier(a, "PCIU", "HPUP", 1);
    add_notifier(a, "PCID", "HPDN", 3);
}

void pci_hotplug_add_event(struct aml *a)
{
    size_t scope = aml_scope(a, "\\_GPE");
    size_t method = aml_method(a, "_E01", 0, false);
    aml_name(a, "\\_SB.PCI0.HPUP");
    aml_name(a, "\\_SB.PCI0.HPDN");
    aml_end(a, method);
    aml_end(a, scope);
}
