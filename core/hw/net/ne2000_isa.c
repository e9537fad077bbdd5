/*
 * ne2k_isa: the NE2000 as a 16-bit ISA board; ports and interrupt as if set by jumpers.
 */
#include "hw/net/ne2000.h"
#include "hw/net/nics.h"
#include "machine.h"

struct ne2k_isa {
    struct device dev;
    uint32_t iobase, irq;
    struct mem_region ports;
    struct ne2000 ne;
};

static void set_irq(struct ne2000 *ne, int level)
{
    struct ne2k_isa *s = (struct ne2k_isa *)ne->nic->device;
    irq_set(&s->dev.machine->isa_irq[s->irq], level);
}

static bool ne2k_isa_realize(struct device *d, struct error *err)
{
    struct ne2k_isa *s = (struct ne2k_isa *)d;
    if (s->iobase > 0x10000 - NE2000_PORTS || s->irq > 15)
        return error_set(err, "ne2k_isa: iobase=0x%x, irq=%u: no such ports or IRQ", s->iobase,
                         s->irq);
    s->ne.set_irq = set_irq;
    if (!ne2000_init(&s->ne, d, "ne2k_isa", err))
        return false;
    mem_region_init_io(&s->ports, "ne2000", NE2000_PORTS, &ne2000_port_ops, &s->ne);
    mem_region_add(&d->machine->io, &s->ports, s->iobase, 0);
    return true;
}

static void ne2k_isa_unrealize(struct device *d)
{
    struct ne2k_isa *s = (struct ne2k_isa *)d;
    set_irq(&s->ne, 0);
    ne2000_exit(&s->ne);
    mem_region_remove(&s->ports);
}

static void ne2k_isa_reset(struct device *d)
{
    ne2000_reset(&((struct ne2k_isa *)d)->ne);
}

static void ne2k_isa_post_load(struct device *d)
{
    ne2000_post_load(&((struct ne2k_isa *)d)->ne);
}

static const struct field ne2k_isa_fields[] = { NE2000_FIELDS(struct ne2k_isa, ne), FIELD_END };

static const struct prop ne2k_isa_props[] = {
    { "iobase", PROP_U32, offsetof(struct ne2k_isa, iobase), "0x300", "first of its 32 ports" },
    { "irq", PROP_U32, offsetof(struct ne2k_isa, irq), "9", "ISA IRQ" },
    NIC_PROPS(struct ne2k_isa, ne.conf),
    PROP_END,
};

const struct device_class ne2k_isa_class = {
    .name = "ne2k_isa",
    .desc = "NE2000 (ISA)",
    .size = sizeof(struct ne2k_isa),
    .bus = "ISA",
    .fields = ne2k_isa_fields,
    .props = ne2k_isa_props,
    .realize = ne2k_isa_realize,
    .unrealize = ne2k_isa_unrealize,
    .reset = ne2k_isa_reset,
    .post_load = ne2k_isa_post_load,
};
