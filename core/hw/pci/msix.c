/*
 * MSI-X: PCI Local Bus specification 3.0, section 6.8.2.
 *
 * One 4 KB or larger memory BAR holds the vector table (16 bytes an entry) and, in its second half,
 * the pending bit array. A vector that fires while it or the whole function is masked sets its
 * pending bit; unmasking sends it. A message is a plain 32-bit write to memory by the device, so it
 * honours bus mastering and reaches the local APIC's window like any other write.
 */
#include <stdlib.h>
#include <string.h>

#include "hw/pci/pci.h"
#include "machine.h"

#define ENTRY_SIZE     16
#define ENTRY_CONTROL  12
#define CONTROL_MASKED 1u
#define CAP_ENABLE     0x8000u
#define CAP_MASK_ALL   0x4000u
#define MAX_VECTORS    2048u

struct msix {
    struct mem_region bar;
    unsigned vectors;
    uint8_t cap;      /* offset of the capability */
    uint32_t pba;     /* offset of the pending bits in the BAR */
    uint8_t *table;   /* vectors * 16 bytes */
    uint8_t *pending; /* a bit a vector, a multiple of 8 bytes */
    size_t pending_size;
    bool was_masked; /* function mask or disabled, before the last write */
};

static uint16_t control(const struct pci_device *d)
{
    return pci_get16(d->config + d->msix->cap + 2);
}

bool msix_enabled(struct pci_device *d)
{
    return d->msix && (control(d) & CAP_ENABLE);
}

static bool function_masked(const struct pci_device *d)
{
    return (control(d) & (CAP_ENABLE | CAP_MASK_ALL)) != CAP_ENABLE;
}

static bool vector_masked(const struct pci_device *d, unsigned v)
{
    return d->msix->table[v * ENTRY_SIZE + ENTRY_CONTROL] & CONTROL_MASKED;
}

static void send(struct pci_device *d, unsigned v)
{
    const uint8_t *e = d->msix->table + v * ENTRY_SIZE;
    uint64_t addr = pci_get32(e) | (uint64_t)pci_get32(e + 4) << 32;
    if (d->config[PCI_COMMAND] & PCI_COMMAND_MASTER)
        dma_write32(&d->dev.machine->mem, addr & ~3ull, pci_get32(e + 8));
}

void msix_notify(struct pci_device *d, unsigned vector)
{
    struct msix *x = d->msix;
    if (!x || vector >= x->vectors || !msix_enabled(d))
        return;
    if (function_masked(d) || vector_masked(d, vector))
        x->pending[vector >> 3] |= (uint8_t)(1u << (vector & 7));
    else
        send(d, vector);
}

static void send_if_pending(struct pci_device *d, unsigned v)
{
    struct msix *x = d->msix;
    uint8_t bit = (uint8_t)(1u << (v & 7));
    if ((x->pending[v >> 3] & bit) && !function_masked(d) && !vector_masked(d, v)) {
        x->pending[v >> 3] &= (uint8_t)~bit;
        send(d, v);
    }
}

void msix_config_written(struct pci_device *d, uint8_t reg, unsigned len)
{
    struct msix *x = d->msix;
    if (reg + len <= x->cap + 2u || reg >= x->cap + 4u)
        return;
    bool masked = function_masked(d), was = x->was_masked;
    x->was_masked = masked;
    if (was && !masked)
        for (unsigned v = 0; v < x->vectors; v++)
            send_if_pending(d, v);
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_device *d = opaque;
    struct msix *x = d->msix;
    const uint8_t *p = NULL;
    if (offset + size <= (uint64_t)x->vectors * ENTRY_SIZE)
        p = x->table + offset;
    else if (offset >= x->pba && offset - x->pba + size <= x->pending_size)
        p = x->pending + (offset - x->pba);
    if (!p)
        return 0;
    return size == 8 ? pci_get32(p) | (uint64_t)pci_get32(p + 4) << 32 : pci_get32(p);
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_device *d = opaque;
    struct msix *x = d->msix;
    if (offset + size > (uint64_t)x->vectors * ENTRY_SIZE)
        return; /* the pending bits are read-only */
    pci_set32(x->table + offset, (uint32_t)value);
    if (size == 8)
        pci_set32(x->table + offset + 4, (uint32_t)(value >> 32));
    send_if_pending(d, (unsigned)(offset / ENTRY_SIZE));
}

/* Other sizes and alignments are undefined in the specification; memory.c makes aligned ones of
 * them. */
static const struct mem_ops bar_ops = { bar_read, bar_write, 4, 8 };

bool msix_init(struct pci_device *d, unsigned vectors, int bar, struct error *err)
{
    if (vectors == 0 || vectors > MAX_VECTORS)
        return error_set(err, "device '%s': %u MSI-X vectors, not 1 to %u", d->dev.cls->name,
                         vectors, MAX_VECTORS);
    struct msix *x = calloc(1, sizeof *x);
    if (!x)
        return error_set(err, "device '%s': out of memory", d->dev.cls->name);
    uint32_t size = 4096;
    while (size < 2 * vectors * ENTRY_SIZE)
        size <<= 1;
    x->vectors = vectors;
    x->pba = size / 2;
    x->pending_size = (vectors + 63) / 64 * 8;
    x->table = calloc(vectors, ENTRY_SIZE);
    x->pending = calloc(1, x->pending_size);
    if (!x->table || !x->pending) {
        free(x->table);
        free(x->pending);
        free(x);
        return error_set(err, "device '%s': out of memory", d->dev.cls->name);
    }
    d->msix = x;
    x->cap = pci_add_capability(d, PCI_CAP_ID_MSIX, 12);
    pci_set16(d->config + x->cap + 2, (uint16_t)(vectors - 1));
    pci_set16(d->wmask + x->cap + 2, CAP_ENABLE | CAP_MASK_ALL);
    pci_set32(d->config + x->cap + 4, (uint32_t)bar);
    pci_set32(d->config + x->cap + 8, x->pba | (uint32_t)bar);
    mem_region_init_io(&x->bar, "msix", size, &bar_ops, d);
    pci_register_bar(d, bar, PCI_BAR_MEM32, &x->bar);
    msix_reset(d);
    return true;
}

void msix_reset(struct pci_device *d)
{
    struct msix *x = d->msix;
    if (!x)
        return;
    pci_set16(d->config + x->cap + 2, (uint16_t)(x->vectors - 1));
    memset(x->table, 0, (size_t)x->vectors * ENTRY_SIZE);
    memset(x->pending, 0, x->pending_size);
    for (unsigned v = 0; v < x->vectors; v++)
        x->table[v * ENTRY_SIZE + ENTRY_CONTROL] = CONTROL_MASKED;
    x->was_masked = true;
}

size_t msix_state_size(const struct pci_device *d)
{
    const struct msix *x = d->msix;
    return x ? (size_t)x->vectors * ENTRY_SIZE + x->pending_size : 0;
}

void msix_save(const struct pci_device *d, uint8_t *buf)
{
    const struct msix *x = d->msix;
    size_t table = (size_t)x->vectors * ENTRY_SIZE;
    memcpy(buf, x->table, table);
    memcpy(buf + table, x->pending, x->pending_size);
}

void msix_load(struct pci_device *d, const uint8_t *buf)
{
    struct msix *x = d->msix;
    size_t table = (size_t)x->vectors * ENTRY_SIZE;
    memcpy(x->table, buf, table);
    memcpy(x->pending, buf + table, x->pending_size);
    x->was_masked = function_masked(d);
}

void msix_free(struct pci_device *d)
{
    struct msix *x = d->msix;
    if (!x)
        return;
    mem_region_remove(&x->bar);
    free(x->table);
    free(x->pending);
    free(x);
    d->msix = NULL;
}
