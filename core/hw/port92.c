/*
 * System control port A, PS/2 style. Bit 0: a change from 0 to 1 is a soft reset, over which the
 * bit stays; bit 1: address line 20 passes. The rest is storage.
 */
#include "hw/port92.h"

#include "hw/device.h"
#include "machine.h"
#include "memory.h"

struct port92 {
    struct device dev;
    uint8_t value;
    struct irq a20;
    struct mem_region io;
};

static const struct field port92_fields[] = {
    FIELD_U8(struct port92, value, 0),
    FIELD_END,
};

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    struct port92 *s = opaque;
    return s->value;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct port92 *s = opaque;
    uint8_t old = s->value;
    s->value = (uint8_t)value;
    irq_set(&s->a20, s->value >> 1 & 1);
    if ((value & 1) && !(old & 1))
        machine_request_soft_reset(s->dev.machine);
}

static const struct mem_ops port92_ops = { port92_read, port92_write, 1, 1 };

static void port92_set_line(struct device *d)
{
    struct port92 *s = (struct port92 *)d;
    irq_set(&s->a20, s->value >> 1 & 1);
}

static bool port92_realize(struct device *d, struct error *err)
{
    struct port92 *s = (struct port92 *)d;
    mem_region_init_io(&s->io, "port92", 1, &port92_ops, s);
    mem_region_add(&d->machine->io, &s->io, 0x92, 0);
    return true;
}

static void port92_unrealize(struct device *d)
{
    struct port92 *s = (struct port92 *)d;
    mem_region_remove(&s->io);
}

static const struct device_class port92_class = {
    .name = "port92",
    .desc = "System control port A",
    .size = sizeof(struct port92),
    .fields = port92_fields,
    .realize = port92_realize,
    .unrealize = port92_unrealize,
    .reset = port92_set_line,
    .post_load = port92_set_line,
};

bool port92_new(struct machine *m, struct irq a20, struct error *err)
{
    struct port92 *s = (struct port92 *)device_new(m, &port92_class);
    if (!s)
        return error_set(err, "port92: out of memory");
    s->a20 = a20;
    return device_realize(&s->dev, err);
}
