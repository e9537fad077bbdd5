/*
 * isa-debug-exit: writing V to its port ends the emulator with status (V << 1) | 1, so that test
 * programs can tell how they fared (0 is never among them). As in QEMU, the default is port 0x501,
 * two bytes wide.
 */
#include "hw/debugcon.h"
#include "machine.h"

struct debug_exit {
    struct device dev;
    uint32_t iobase, iosize;
    struct mem_region port;
};

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct debug_exit *s = opaque;
    int status = (int)(((value << 1) | 1) & 0xff); /* all that a process can return */
    machine_request_shutdown(s->dev.machine, SHUTDOWN_DEBUG_EXIT, status);
}

static const struct mem_ops debug_exit_ops = { debug_exit_read, debug_exit_write, 1, 4 };

static bool debug_exit_realize(struct device *d, struct error *err)
{
    struct debug_exit *s = (struct debug_exit *)d;
    if (s->iosize < 1 || s->iosize > 8 || s->iobase > 0x10000 - s->iosize)
        return error_set(err, "isa-debug-exit: iobase=0x%x, iosize=%u: no such ports", s->iobase,
                         s->iosize);
    mem_region_init_io(&s->port, "isa-debug-exit", s->iosize, &debug_exit_ops, s);
    mem_region_add(&d->machine->io, &s->port, s->iobase, 0);
    return true;
}

static void debug_exit_unrealize(struct device *d)
{
    mem_region_remove(&((struct debug_exit *)d)->port);
}

static const struct prop debug_exit_props[] = {
    { "iobase", PROP_U32, offsetof(struct debug_exit, iobase), "0x501", "first port" },
    { "iosize", PROP_U32, offsetof(struct debug_exit, iosize), "2", "number of ports" },
    PROP_END,
};

const struct device_class isa_debug_exit_class = {
    .name = "isa-debug-exit",
    .desc = "a port that ends the emulator",
    .size = sizeof(struct debug_exit),
    .bus = "ISA",
    .props = debug_exit_props,
    .realize = debug_exit_realize,
    .unrealize = debug_exit_unrealize,
};
