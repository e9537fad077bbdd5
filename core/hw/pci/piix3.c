/*
 * PIIX3 function 0: Intel data sheet 290550, and QEMU's pc for how the lines reach the IOAPIC.
 *
 * An interrupt line n has two sources: the ISA device's level and the OR of the PIRQ lines that
 * PIRQRC (0x60-0x63) routes to n. Their OR goes to the 8259 pair's input n and to IOAPIC pin n
 * (line 0 to pin 2, as the MADT's override says); PCI interrupts have no IOAPIC pins of their own
 * on this board.
 *
 * 0xcf9: a write with bit 2 set resets, hard if bit 1 is set too, softly otherwise. 0xf0: clears
 * the coprocessor's IRQ 13.
 */
#include "hw/pci/piix3.h"

#include <string.h>

#include "cpu/cpu.h"
#include "hw/i8259.h"
#include "hw/ioapic.h"
#include "hw/pci/pci.h"
#include "machine.h"

#define REG_PIRQRC    0x60
#define PIRQ_DISABLED 0x80
#define FERR_IRQ      13
/* Lines that a PIRQ can be routed to: not timer, keyboard, cascade, RTC, coprocessor. */
#define PIRQ_LINES 0xdef8u

struct piix3 {
    struct pci_device pci;
    struct mem_region reset_io, ferr_io;
    uint16_t isa_level, pirq_level; /* a bit a line */
    uint8_t pirq_in;                /* a bit a PIRQ */
    uint8_t reset_control;
};

static const struct field piix3_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U16(struct piix3, isa_level, 0),
    FIELD_U16(struct piix3, pirq_level, 0),
    FIELD_U8(struct piix3, pirq_in, 0),
    FIELD_U8(struct piix3, reset_control, 0),
    FIELD_END,
};

static void drive(struct piix3 *s, unsigned n, int level)
{
    struct machine *m = s->pci.dev.machine;
    if (m->pic)
        i8259_set_irq(m->pic, n, level);
    if (m->ioapic)
        ioapic_set_pin(m->ioapic, n == 0 ? 2 : n, level);
}

/* Passes the lines on that changed from @before. */
static void drive_changes(struct piix3 *s, uint16_t before)
{
    uint16_t after = s->isa_level | s->pirq_level, changed = before ^ after;
    for (unsigned n = 0; changed; n++, changed >>= 1)
        if (changed & 1)
            drive(s, n, after >> n & 1);
}

static void set_isa_irq(void *opaque, int n, int level)
{
    struct piix3 *s = opaque;
    uint16_t before = s->isa_level | s->pirq_level, bit = (uint16_t)(1u << n);
    s->isa_level = level ? s->isa_level | bit : s->isa_level & (uint16_t)~bit;
    drive_changes(s, before);
}

static void route_pirqs(struct piix3 *s)
{
    uint16_t before = s->isa_level | s->pirq_level;
    s->pirq_level = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t route = s->pci.config[REG_PIRQRC + i];
        if ((s->pirq_in >> i & 1) && !(route & PIRQ_DISABLED))
            s->pirq_level |= (uint16_t)(1u << (route & 15)) & PIRQ_LINES;
    }
    drive_changes(s, before);
}

static void set_pirq(void *opaque, int n, int level)
{
    struct piix3 *s = opaque;
    uint8_t bit = (uint8_t)(1u << n);
    s->pirq_in = level ? s->pirq_in | bit : s->pirq_in & (uint8_t)~bit;
    route_pirqs(s);
}

static void config_written(struct pci_device *d, uint8_t reg, unsigned len)
{
    if (reg < REG_PIRQRC + 4 && reg + len > REG_PIRQRC)
        route_pirqs((struct piix3 *)d);
}

/* ---- ports ---- */

static uint64_t reset_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix3 *s = opaque;
    return s->reset_control;
}

static void reset_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix3 *s = opaque;
    s->reset_control = (uint8_t)value & 2;
    if ((value & 6) == 6)
        machine_request_reset(s->pci.dev.machine, SHUTDOWN_GUEST_RESET);
    else if (value & 4)
        machine_request_soft_reset(s->pci.dev.machine);
}

static void ferr_raise(void *opaque)
{
    set_isa_irq(opaque, FERR_IRQ, 1);
}

static uint64_t ferr_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0xff;
}

static void ferr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    set_isa_irq(opaque, FERR_IRQ, 0);
}

static const struct mem_ops reset_ops = { reset_read, reset_write, 1, 1 };
static const struct mem_ops ferr_ops = { ferr_read, ferr_write, 1, 1 };

/* ---- life ---- */

static void piix3_reset(struct device *d)
{
    struct piix3 *s = (struct piix3 *)d;
    uint8_t *c = s->pci.config;
    memset(c + 0x40, 0, 0xc0);
    c[0x4c] = 0x4d; /* ISA I/O recovery timer */
    c[0x4e] = 0x03; /* X-bus chip select */
    memset(c + REG_PIRQRC, PIRQ_DISABLED, 4);
    c[0x69] = 0x02;           /* top of memory */
    c[0x70] = 0x80;           /* motherboard IRQ routing */
    c[0x76] = c[0x77] = 0x0c; /* motherboard DMA control */
    c[0x78] = 0x02;           /* programmable chip select */
    c[0xa0] = 0x08;           /* SMI control */
    c[0xa8] = 0x0f;           /* fast-off timer */
    route_pirqs(s);
}

static bool piix3_realize(struct device *d, struct error *err)
{
    struct piix3 *s = (struct piix3 *)d;
    struct machine *m = d->machine;
    s->pci.config_written = config_written;
    if (!pci_device_init(&s->pci, err))
        return false;
    s->pci.config[PCI_HEADER_TYPE] = 0x80;         /* more functions: IDE, power management */
    pci_set16(s->pci.config + PCI_STATUS, 0x0200); /* medium DEVSEL# */
    mem_region_init_io(&s->reset_io, "piix3-reset-control", 1, &reset_ops, s);
    mem_region_add(&m->io, &s->reset_io, 0xcf9, 1);
    mem_region_init_io(&s->ferr_io, "ioportF0", 1, &ferr_ops, s);
    mem_region_add(&m->io, &s->ferr_io, 0xf0, 0);
    for (int i = 0; i < 16; i++)
        m->isa_irq[i] = (struct irq){ set_isa_irq, s, i };
    for (int i = 0; i < 4; i++)
        s->pci.bus->pirq[i] = (struct irq){ set_pirq, s, i };
    for (int i = 0; i < m->cpu_count; i++) {
        m->cpus[i]->ferr = ferr_raise;
        m->cpus[i]->ferr_opaque = s;
    }
    return true;
}

static void piix3_unrealize(struct device *d)
{
    struct piix3 *s = (struct piix3 *)d;
    mem_region_remove(&s->reset_io);
    mem_region_remove(&s->ferr_io);
    memset(d->machine->isa_irq, 0, sizeof d->machine->isa_irq);
    if (s->pci.bus)
        memset(s->pci.bus->pirq, 0, sizeof s->pci.bus->pirq);
    for (int i = 0; i < d->machine->cpu_count; i++)
        d->machine->cpus[i]->ferr = NULL;
    pci_device_exit(&s->pci);
}

static const struct pci_class_info piix3_info = {
    .vendor_id = 0x8086,
    .device_id = 0x7000,
    .class_id = 0x0601,
};

static const struct device_class piix3_class = {
    .name = "PIIX3",
    .desc = "PIIX3 PCI-ISA bridge",
    .size = sizeof(struct piix3),
    .fields = piix3_fields,
    .realize = piix3_realize,
    .unrealize = piix3_unrealize,
    .reset = piix3_reset,
    .class_data = &piix3_info,
    .routes_lines = true,
};

struct piix3 *piix3_new(struct machine *m, struct error *err)
{
    struct piix3 *s = (struct piix3 *)device_new(m, &piix3_class);
    if (!s) {
        error_set(err, "PIIX3: out of memory");
        return NULL;
    }
    s->pci.devfn = 1 << 3;
    return device_realize(&s->pci.dev, err) ? s : NULL;
}
