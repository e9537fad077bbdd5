/*
 * pc-testdev: what kvm-unit-tests' x86 programs use besides the PC. The register map is that of
 * QEMU's device:
 *
 *   0xe0-0xe3    a 32-bit register, any access size
 *   0xe4         "flush": asks the host to unmap the guest page written here; nothing to do in an
 * emulator 0xe8-0xeb    the register of 0xe0 again, through byte accesses 0x2000+n     drives ISA
 * IRQ n (0 or 1) 0xff000000   64 KB of memory behind MMIO callbacks
 */
#include "hw/debugcon.h"
#include "machine.h"

#define IOMEM_BASE 0xff000000u
#define IOMEM_SIZE 0x10000u
#define ISA_IRQS   16

struct testdev {
    struct device dev;
    uint8_t ioport_data[4], iomem_data[IOMEM_SIZE];
    struct mem_region ioport, flush, ioport_byte, irq, iomem;
};

static const struct field testdev_fields[] = {
    FIELD_BYTES(struct testdev, ioport_data),
    FIELD_BYTES(struct testdev, iomem_data),
    FIELD_END,
};

/* Little-endian, within a buffer of which @offset + @size is a part. */
static uint64_t load(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static void store(uint8_t *p, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t ioport_read(void *opaque, uint64_t offset, unsigned size)
{
    struct testdev *s = opaque;
    return load(s->ioport_data + offset, size);
}

static void ioport_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct testdev *s = opaque;
    store(s->ioport_data + offset, value, size);
}

static uint64_t iomem_read(void *opaque, uint64_t offset, unsigned size)
{
    struct testdev *s = opaque;
    return load(s->iomem_data + offset, size);
}

static void iomem_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct testdev *s = opaque;
    store(s->iomem_data + offset, value, size);
}

static uint64_t read_zero(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void flush_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static void irq_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct testdev *s = opaque;
    if (offset < ISA_IRQS)
        irq_set(&s->dev.machine->isa_irq[offset], value != 0);
}

static const struct mem_ops ioport_ops = { ioport_read, ioport_write, 1, 4 };
static const struct mem_ops ioport_byte_ops = { ioport_read, ioport_write, 1, 1 };
static const struct mem_ops flush_ops = { read_zero, flush_write, 4, 4 };
static const struct mem_ops irq_ops = { read_zero, irq_write, 1, 1 };
static const struct mem_ops iomem_ops = { iomem_read, iomem_write, 1, 8 };

static bool testdev_realize(struct device *d, struct error *err)
{
    struct testdev *s = (struct testdev *)d;
    struct mem_space *io = &d->machine->io;
    mem_region_init_io(&s->ioport, "pc-testdev-ioport", 4, &ioport_ops, s);
    mem_region_init_io(&s->flush, "pc-testdev-flush-page", 4, &flush_ops, s);
    mem_region_init_io(&s->ioport_byte, "pc-testdev-ioport-byte", 4, &ioport_byte_ops, s);
    mem_region_init_io(&s->irq, "pc-testdev-irq-line", 24, &irq_ops, s);
    mem_region_init_io(&s->iomem, "pc-testdev-iomem", IOMEM_SIZE, &iomem_ops, s);
    mem_region_add(io, &s->ioport, 0xe0, 0);
    mem_region_add(io, &s->flush, 0xe4, 0);
    mem_region_add(io, &s->ioport_byte, 0xe8, 0);
    mem_region_add(io, &s->irq, 0x2000, 0);
    mem_region_add(&d->machine->mem, &s->iomem, IOMEM_BASE, 0);
    return true;
}

static void testdev_unrealize(struct device *d)
{
    struct testdev *s = (struct testdev *)d;
    mem_region_remove(&s->ioport);
    mem_region_remove(&s->flush);
    mem_region_remove(&s->ioport_byte);
    mem_region_remove(&s->irq);
    mem_region_remove(&s->iomem);
}

const struct device_class pc_testdev_class = {
    .name = "pc-testdev",
    .desc = "test device of kvm-unit-tests",
    .size = sizeof(struct testdev),
    .bus = "ISA",
    .fields = testdev_fields,
    .realize = testdev_realize,
    .unrealize = testdev_unrealize,
};
