/*
 * isa-debugcon: a port (0xe9, as in Bochs) to which a guest writes characters; reading it gives a
 * constant (property readback, 0xe9 too), by which a guest finds out that it is there. Output that
 * the chardev doesn't take is lost: the port has no way to say "wait".
 */
#include "hw/debugcon.h"

#include "char/char.h"
#include "machine.h"

struct debugcon {
    struct device dev;
    struct chardev *chr;
    uint32_t iobase, readback;
    struct mem_region port;
};

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    struct debugcon *s = opaque;
    return s->readback;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct debugcon *s = opaque;
    uint8_t c = (uint8_t)value;
    chr_write(s->chr, &c, 1);
}

static const struct mem_ops debugcon_ops = { debugcon_read, debugcon_write, 1, 1 };

static bool debugcon_realize(struct device *d, struct error *err)
{
    struct debugcon *s = (struct debugcon *)d;
    if (!s->chr)
        return error_set(err, "isa-debugcon: chardev= is missing");
    if (s->iobase > 0xffff)
        return error_set(err, "isa-debugcon: iobase=0x%x: no such port", s->iobase);
    mem_region_init_io(&s->port, "isa-debugcon", 1, &debugcon_ops, s);
    mem_region_add(&d->machine->io, &s->port, s->iobase, 0);
    chr_attach(s->chr, &(struct chr_frontend){ .opaque = s });
    return true;
}

static void debugcon_unrealize(struct device *d)
{
    mem_region_remove(&((struct debugcon *)d)->port);
}

static const struct prop debugcon_props[] = {
    { "chardev", PROP_CHARDEV, offsetof(struct debugcon, chr), NULL, "where the characters go" },
    { "iobase", PROP_U32, offsetof(struct debugcon, iobase), "0xe9", "the port" },
    { "readback", PROP_U32, offsetof(struct debugcon, readback), "0xe9",
      "what reading the port gives" },
    PROP_END,
};

const struct device_class isa_debugcon_class = {
    .name = "isa-debugcon",
    .desc = "debug console",
    .size = sizeof(struct debugcon),
    .bus = "ISA",
    .props = debugcon_props,
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
};

struct device *isa_debugcon_new(struct machine *m, struct chardev *chr, struct error *err)
{
    struct device *d = device_new(m, &isa_debugcon_class);
    if (!d) {
        error_set(err, "isa-debugcon: out of memory");
        return NULL;
    }
    ((struct debugcon *)d)->chr = chr;
    return device_realize(d, err) ? d : NULL;
}
