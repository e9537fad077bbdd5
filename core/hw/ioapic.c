/*
 * I/O APIC: Intel 82093AA data sheet; version 0x20 adds the EOI register at 0x40, as in later
 * chipsets.
 *
 * irr bit n is the level of a level-triggered pin or a latched edge. service() turns an IRR bit of
 * an unmasked entry into a bus message: an edge is consumed; a level sets Remote IRR, which blocks
 * the entry until a local APIC's EOI for its vector arrives, and is sent again then if the pin is
 * still high. An edge on a masked pin is ignored, as the data sheet says.
 */
#include "hw/ioapic.h"

#include <stdio.h>

#include "hw/apic.h"
#include "hw/device.h"
#include "log.h"
#include "machine.h"
#include "memory.h"

#define ENTRY_LOGICAL (1u << 11)
#define ENTRY_REMOTE  (1u << 14)
#define ENTRY_LEVEL   (1u << 15)
#define ENTRY_MASKED  (1u << 16)
/* Delivery status and Remote IRR are read-only. */
#define ENTRY_WRITABLE 0xff0000000001afffull

struct ioapic {
    struct device dev;
    struct mem_region io;
    uint8_t id, select;
    uint32_t level; /* of the pins */
    uint32_t irr;
    uint64_t entry[IOAPIC_PINS];
};

static const struct field ioapic_fields[] = {
    FIELD_U8(struct ioapic, id, 0),
    FIELD_U8(struct ioapic, select, 0),
    FIELD_U32(struct ioapic, level, 0),
    FIELD_U32(struct ioapic, irr, 0),
    FIELD_U64(struct ioapic, entry, ENTRY_MASKED),
    FIELD_END,
};

static void service(struct ioapic *s, unsigned pin)
{
    uint64_t e = s->entry[pin];
    if (!(s->irr >> pin & 1) || (e & ENTRY_MASKED))
        return;
    if (e & ENTRY_LEVEL) {
        if (e & ENTRY_REMOTE)
            return;
        s->entry[pin] |= ENTRY_REMOTE;
    } else {
        s->irr &= ~(1u << pin);
    }
    apic_bus_deliver(s->dev.machine, (uint8_t)(e >> 56), e & ENTRY_LOGICAL, e >> 8 & 7, (uint8_t)e,
                     e & ENTRY_LEVEL);
}

void ioapic_set_pin(struct ioapic *s, unsigned pin, int level)
{
    if (pin >= IOAPIC_PINS)
        return;
    uint32_t bit = 1u << pin;
    bool rise = level && !(s->level & bit);
    s->level = level ? s->level | bit : s->level & ~bit;
    if (s->entry[pin] & ENTRY_LEVEL)
        s->irr = level ? s->irr | bit : s->irr & ~bit;
    else if (rise && !(s->entry[pin] & ENTRY_MASKED)) /* 82093AA: an edge on a masked pin is lost */
        s->irr |= bit;
    service(s, pin);
}

/* The entry accepts its vector again; a pin that is still high asks again. */
static void end_of_interrupt(struct ioapic *s, unsigned pin)
{
    s->entry[pin] &= ~(uint64_t)ENTRY_REMOTE;
    service(s, pin);
}

void ioapic_eoi_broadcast(struct ioapic *s, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        if ((s->entry[pin] & ENTRY_REMOTE) && (uint8_t)s->entry[pin] == vector)
            end_of_interrupt(s, pin);
}

static uint32_t reg_read(struct ioapic *s)
{
    switch (s->select) {
    case 0:
    case 2: return (uint32_t)s->id << 24; /* ID and arbitration ID */
    case 1: return 0x20 | (IOAPIC_PINS - 1) << 16;
    default:
        if (s->select >= 0x10 && s->select < 0x10 + 2 * IOAPIC_PINS) {
            uint64_t e = s->entry[(s->select - 0x10) >> 1];
            return (uint32_t)(s->select & 1 ? e >> 32 : e);
        }
        return 0;
    }
}

static void write_entry(struct ioapic *s, unsigned pin, bool high, uint32_t v)
{
    uint64_t old = s->entry[pin], e = old;
    if (high)
        e = (uint32_t)e | (uint64_t)v << 32;
    else
        e = (e & 0xffffffff00000000ull) | v;
    e = (e & ENTRY_WRITABLE) | (old & ENTRY_REMOTE);
    if (!(e & ENTRY_LEVEL))
        e &= ~(uint64_t)ENTRY_REMOTE; /* how Linux clears a stuck Remote IRR */
    s->entry[pin] = e;
    if ((e & ENTRY_LEVEL) && !(old & ENTRY_LEVEL))
        s->irr = (s->irr & ~(1u << pin)) | (s->level & 1u << pin);
    service(s, pin);
}

static uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ioapic *s = opaque;
    switch (offset & 0xff) {
    case 0x00: return s->select;
    case 0x10: return reg_read(s);
    default: return 0;
    }
}

static void ioapic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ioapic *s = opaque;
    uint32_t v = (uint32_t)value;
    switch (offset & 0xff) {
    case 0x00: s->select = (uint8_t)v; break;
    case 0x10:
        if (s->select == 0)
            s->id = v >> 24 & 15;
        else if (s->select >= 0x10 && s->select < 0x10 + 2 * IOAPIC_PINS)
            write_entry(s, (s->select - 0x10u) >> 1, s->select & 1, v);
        break;
    case 0x40: ioapic_eoi_broadcast(s, (uint8_t)v); break;
    default: break;
    }
}

static const struct mem_ops ioapic_ops = { ioapic_read, ioapic_write, 4, 4 };

static bool ioapic_realize(struct device *d, struct error *err)
{
    struct ioapic *s = (struct ioapic *)d;
    mem_region_init_io(&s->io, "ioapic", 0x1000, &ioapic_ops, s);
    mem_region_add(&d->machine->mem, &s->io, IOAPIC_BASE, 0);
    d->machine->ioapic = s;
    return true;
}

static void ioapic_unrealize(struct device *d)
{
    struct ioapic *s = (struct ioapic *)d;
    mem_region_remove(&s->io);
    d->machine->ioapic = NULL;
}

static const struct device_class ioapic_class = {
    .name = "ioapic",
    .desc = "I/O APIC",
    .size = sizeof(struct ioapic),
    .fields = ioapic_fields,
    .realize = ioapic_realize,
    .unrealize = ioapic_unrealize,
    .routes_lines = true,
};

struct ioapic *ioapic_new(struct machine *m, struct error *err)
{
    struct ioapic *s = (struct ioapic *)device_new(m, &ioapic_class);
    if (!s) {
        error_set(err, "ioapic: out of memory");
        return NULL;
    }
    return device_realize(&s->dev, err) ? s : NULL;
}

size_t ioapic_dump(struct ioapic *s, char *buf, size_t len)
{
    static const char *const mode[8] = { "fixed", "lowest", "SMI", "...",
                                         "NMI",   "INIT",   "...", "ExtINT" };
    size_t n = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS && n < len; pin++) {
        uint64_t e = s->entry[pin];
        n += (size_t)snprintf(
            buf + n, len - n, "ioapic pin %2u 0x%016llx dest=%u vec=%-3u %s %s%s%s%s%s\n", pin,
            (unsigned long long)e, (unsigned)(e >> 56), (unsigned)(e & 0xff), mode[e >> 8 & 7],
            e & ENTRY_LEVEL ? "level" : "edge", e & ENTRY_LOGICAL ? " logical" : "",
            e & ENTRY_MASKED ? " masked" : "", e & ENTRY_REMOTE ? " rirr" : "",
            s->irr >> pin & 1 ? " irr" : "");
    }
    return n < len ? n : len ? len - 1 : 0;
}
