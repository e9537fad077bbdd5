/*
 * The virtio-pci transport: what the driver sees of a virtio device on the PCI bus
 * (virtio 1.2, 4.1).
 *
 * A transitional device (the default) has two interfaces to the same state: the legacy registers in
 * I/O BAR 0 and the modern structures in memory BAR 4, found through vendor capabilities. BAR 1
 * holds the MSI-X table. The driver picks one by using it; choosing features through the modern one
 * sets modern_driver, which is what "legacy" rules depend on (bus mastering turned on for old
 * drivers, features settled at DRIVER_OK).
 *
 *   BAR 4:  0x0000 common configuration, 0x1000 ISR, 0x2000 device configuration, 0x3000
 * notifications (4 bytes a queue)
 *
 * Kicks only mark a queue; one bottom half a device runs the class's handler, so a device never
 * works inside the driver's store. While the device itself accesses memory, its registers are
 * closed: a descriptor that points at our own BAR can't pull the rug from under the code that reads
 * it.
 */
#include "hw/virtio/virtio.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "machine.h"

enum {
    /* Legacy registers (BAR 0) */
    LEGACY_HOST_FEATURES = 0x00,
    LEGACY_GUEST_FEATURES = 0x04,
    LEGACY_QUEUE_PFN = 0x08,
    LEGACY_QUEUE_NUM = 0x0c,
    LEGACY_QUEUE_SEL = 0x0e,
    LEGACY_QUEUE_NOTIFY = 0x10,
    LEGACY_STATUS = 0x12,
    LEGACY_ISR = 0x13,
    LEGACY_MSI_CONFIG_VECTOR = 0x14, /* only while MSI-X is enabled */
    LEGACY_MSI_QUEUE_VECTOR = 0x16,
    LEGACY_CONFIG = 0x14, /* + 4 while MSI-X is enabled */

    /* Common configuration structure */
    COMMON_DFSELECT = 0x00,
    COMMON_DF = 0x04,
    COMMON_GFSELECT = 0x08,
    COMMON_GF = 0x0c,
    COMMON_MSIX = 0x10,
    COMMON_NUMQ = 0x12,
    COMMON_STATUS = 0x14,
    COMMON_CFGGENERATION = 0x15,
    COMMON_Q_SELECT = 0x16,
    COMMON_Q_SIZE = 0x18,
    COMMON_Q_MSIX = 0x1a,
    COMMON_Q_ENABLE = 0x1c,
    COMMON_Q_NOFF = 0x1e,
    COMMON_Q_DESCLO = 0x20,
    COMMON_Q_USEDHI = 0x34,

    CAP_COMMON = 1,
    CAP_NOTIFY = 2,
    CAP_ISR = 3,
    CAP_DEVICE = 4,
    CAP_PCI = 5,

    MODERN_BAR = 4,
    MODERN_SIZE = 0x4000,
    MODERN_PART = 0x1000,
    NOTIFY_MULTIPLIER = 4,
    ISR_CONFIG = 2,
};

#define RING_FEATURES                                                                              \
    (1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_ANY_LAYOUT)
#define LEGACY_FEATURES (1ull << VIRTIO_F_NOTIFY_ON_EMPTY)
#define LEGACY_ALIGN    4096ull

static const struct virtio_class *class_of(const struct virtio_device *d)
{
    return d->pci.dev.cls->class_data;
}

/* ---- what the queues need ---- */

void virtio_dma_read(struct virtio_device *d, uint64_t addr, void *buf, size_t len)
{
    d->in_dma++;
    pci_dma_read(&d->pci, addr, buf, len);
    d->in_dma--;
}

void virtio_dma_write(struct virtio_device *d, uint64_t addr, const void *buf, size_t len)
{
    d->in_dma++;
    pci_dma_write(&d->pci, addr, buf, len);
    d->in_dma--;
}

void virtio_interrupt(struct virtio_device *d, uint8_t isr, uint16_t vector)
{
    d->isr |= isr;
    if (!msix_enabled(&d->pci)) {
        pci_set_irq(&d->pci, 1);
    } else if (vector != VIRTIO_NO_VECTOR) {
        d->in_dma++; /* the message is a store of ours, too */
        msix_notify(&d->pci, vector);
        d->in_dma--;
    }
}

void virtio_config_changed(struct virtio_device *d)
{
    d->config_generation++;
    if (d->status & VIRTIO_STATUS_DRIVER_OK)
        virtio_interrupt(d, ISR_CONFIG | 1, d->config_vector);
}

void virtio_error(struct virtio_device *d, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_mask(LOG_GUEST_ERRORS, "%s: %s; it stops until it is reset", d->pci.dev.cls->name, text);
    d->broken = true;
    if (virtio_has_feature(d, VIRTIO_F_VERSION_1)) {
        d->status |= VIRTIO_STATUS_NEEDS_RESET;
        virtio_config_changed(d);
    }
}

static void run_queues(void *opaque)
{
    struct virtio_device *d = opaque;

    d->bh_pending = false;
    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *vq = &d->queues[i];

        if (!vq->kicked)
            continue;
        vq->kicked = false;
        if (virtq_ready(vq))
            class_of(d)->handle_queue(d, vq);
    }
}

static void kick_lazily(struct virtqueue *vq)
{
    struct virtio_device *d = vq->dev;

    vq->kicked = true;
    if (!d->bh_pending) {
        d->bh_pending = true;
        machine_defer_lazily(d->pci.dev.machine, run_queues, d);
    }
}

void virtio_kick(struct virtqueue *vq)
{
    kick_lazily(vq);
    machine_hurry(vq->dev->pci.dev.machine);
}

static void kick_number(struct virtio_device *d, uint64_t n)
{
    if (n < d->queue_count && d->queues[n].enabled) {
        const struct virtio_class *c = class_of(d);

        kick_lazily(&d->queues[n]);
        if (!c->can_wait || !c->can_wait(d, &d->queues[n]))
            machine_hurry(d->pci.dev.machine);
    } else {
        log_mask(LOG_GUEST_ERRORS, "%s: kick of queue %u, which isn't set up", d->pci.dev.cls->name,
                 (unsigned)n);
    }
}

/* ---- driver's settings ---- */

static struct virtqueue *selected(struct virtio_device *d)
{
    return d->queue_sel < d->queue_count ? &d->queues[d->queue_sel] : NULL;
}

static void reset(struct virtio_device *d)
{
    d->generation++;
    d->guest_features = 0;
    d->feature_sel = d->guest_feature_sel = 0;
    d->status = d->isr = 0;
    d->queue_sel = 0;
    d->config_vector = VIRTIO_NO_VECTOR;
    d->broken = d->modern_driver = false;
    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *vq = &d->queues[i];

        *vq = (struct virtqueue){ .dev = d,
                                  .index = (uint16_t)i,
                                  .num_default = vq->num_default,
                                  .num = vq->num_default,
                                  .vector = VIRTIO_NO_VECTOR };
    }
    pci_set_irq(&d->pci, 0);
    if (class_of(d)->reset)
        class_of(d)->reset(d);
}

static void features_settled(struct virtio_device *d)
{
    if (class_of(d)->set_features)
        class_of(d)->set_features(d);
}

static void write_status(struct virtio_device *d, uint8_t v, bool modern)
{
    uint8_t new = v &(uint8_t)~d->status;

    if (v == 0) {
        reset(d);
        return;
    }
    if (modern) {
        d->modern_driver = true;
        if (new &VIRTIO_STATUS_FEATURES_OK) {
            if ((d->guest_features & ~d->host_features) ||
                !virtio_has_feature(d, VIRTIO_F_VERSION_1))
                v &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
            else
                features_settled(d);
        }
    } else if (new &VIRTIO_STATUS_DRIVER_OK) {
        /* Linux before 2.6.34 forgot to enable bus mastering. */
        d->pci.config[PCI_COMMAND] |= PCI_COMMAND_MASTER;
        features_settled(d);
    }
    d->status = v | (d->status & VIRTIO_STATUS_NEEDS_RESET);
    if (class_of(d)->set_status)
        class_of(d)->set_status(d);
    if (new &VIRTIO_STATUS_DRIVER_OK)
        for (unsigned i = 0; i < d->queue_count; i++)
            if (d->queues[i].enabled)
                virtio_kick(&d->queues[i]); /* what was made available before */
}

static uint16_t check_vector(const struct virtio_device *d, uint64_t v)
{
    return v < d->vectors && d->pci.msix ? (uint16_t)v : VIRTIO_NO_VECTOR;
}

/* ---- device configuration ---- */

static uint64_t config_read(struct virtio_device *d, uint64_t offset, unsigned size)
{
    uint64_t v = 0;

    if (class_of(d)->get_config)
        class_of(d)->get_config(d);
    for (unsigned i = 0; i < size && offset + i < d->config_size; i++)
        v |= (uint64_t)d->config[offset + i] << (8 * i);
    return v;
}

static void config_write(struct virtio_device *d, uint64_t offset, uint64_t value, unsigned size)
{
    if (!class_of(d)->set_config || offset >= d->config_size)
        return;
    for (unsigned i = 0; i < size && offset + i < d->config_size; i++)
        d->config[offset + i] = (uint8_t)(value >> (8 * i));
    class_of(d)->set_config(d, (unsigned)offset, size);
}

static uint8_t read_isr(struct virtio_device *d)
{
    uint8_t v = d->isr;

    d->isr = 0;
    pci_set_irq(&d->pci, 0);
    return v;
}

/* ---- legacy interface ---- */

static void legacy_set_pfn(struct virtio_device *d, uint32_t pfn)
{
    struct virtqueue *vq = selected(d);

    if (pfn == 0) {
        reset(d); /* as drivers before virtio 0.9 did it, queue by queue */
        return;
    }
    if (!vq || vq->enabled)
        return;
    vq->desc = (uint64_t)pfn * LEGACY_ALIGN;
    vq->avail = vq->desc + 16ull * vq->num;
    vq->used = (vq->avail + 2ull * (3 + vq->num) + LEGACY_ALIGN - 1) & ~(LEGACY_ALIGN - 1);
    vq->enabled = true;
}

static unsigned legacy_config_offset(struct virtio_device *d)
{
    return msix_enabled(&d->pci) ? LEGACY_CONFIG + 4 : LEGACY_CONFIG;
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio_device *d = opaque;
    struct virtqueue *vq = selected(d);

    if (offset >= legacy_config_offset(d))
        return config_read(d, offset - legacy_config_offset(d), size);
    switch (offset) {
    case LEGACY_HOST_FEATURES: return (uint32_t)d->host_features;
    case LEGACY_GUEST_FEATURES: return (uint32_t)d->guest_features;
    case LEGACY_QUEUE_PFN: return vq && vq->enabled ? vq->desc / LEGACY_ALIGN : 0;
    case LEGACY_QUEUE_NUM: return vq ? vq->num : 0;
    case LEGACY_QUEUE_SEL: return d->queue_sel;
    case LEGACY_STATUS: return d->status;
    case LEGACY_ISR: return read_isr(d);
    case LEGACY_MSI_CONFIG_VECTOR: return d->config_vector;
    case LEGACY_MSI_QUEUE_VECTOR: return vq ? vq->vector : VIRTIO_NO_VECTOR;
    default: return (1ull << (8 * size)) - 1;
    }
}

static void legacy_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct virtio_device *d = opaque;
    struct virtqueue *vq = selected(d);

    if (d->in_dma)
        return;
    if (offset >= legacy_config_offset(d)) {
        config_write(d, offset - legacy_config_offset(d), value, size);
        return;
    }
    switch (offset) {
    case LEGACY_GUEST_FEATURES: d->guest_features = value & (uint32_t)d->host_features; break;
    case LEGACY_QUEUE_PFN: legacy_set_pfn(d, (uint32_t)value); break;
    case LEGACY_QUEUE_SEL: d->queue_sel = (uint16_t)value; break;
    case LEGACY_QUEUE_NOTIFY: kick_number(d, (uint16_t)value); break;
    case LEGACY_STATUS: write_status(d, (uint8_t)value, false); break;
    case LEGACY_MSI_CONFIG_VECTOR: d->config_vector = check_vector(d, (uint16_t)value); break;
    case LEGACY_MSI_QUEUE_VECTOR:
        if (vq)
            vq->vector = check_vector(d, (uint16_t)value);
        break;
    default: break;
    }
}

static const struct mem_ops legacy_ops = { legacy_read, legacy_write, 1, 4 };

/* ---- modern interface ---- */

static uint64_t *ring_address(struct virtqueue *vq, unsigned reg)
{
    uint64_t *rings[3] = { &vq->desc, &vq->avail, &vq->used };

    return rings[(reg - COMMON_Q_DESCLO) / 8];
}

static uint32_t common_read(struct virtio_device *d, unsigned reg)
{
    struct virtqueue *vq = selected(d);

    switch (reg) {
    case COMMON_DFSELECT: return d->feature_sel;
    case COMMON_DF:
        return d->feature_sel < 2
                   ? (uint32_t)((d->host_features & ~LEGACY_FEATURES) >> (32 * d->feature_sel))
                   : 0;
    case COMMON_GFSELECT: return d->guest_feature_sel;
    case COMMON_GF:
        return d->guest_feature_sel < 2
                   ? (uint32_t)(d->guest_features >> (32 * d->guest_feature_sel))
                   : 0;
    case COMMON_MSIX: return d->config_vector;
    case COMMON_NUMQ: return d->queue_count;
    case COMMON_STATUS: return d->status;
    case COMMON_CFGGENERATION: return d->config_generation;
    case COMMON_Q_SELECT: return d->queue_sel;
    case COMMON_Q_SIZE: return vq ? vq->num : 0;
    case COMMON_Q_MSIX: return vq ? vq->vector : VIRTIO_NO_VECTOR;
    case COMMON_Q_ENABLE: return vq ? vq->enabled : 0;
    case COMMON_Q_NOFF: return vq ? vq->index : 0;
    default:
        if (vq && reg >= COMMON_Q_DESCLO && reg <= COMMON_Q_USEDHI)
            return (uint32_t)(*ring_address(vq, reg) >> (reg & 4 ? 32 : 0));
        return 0;
    }
}

static void common_write(struct virtio_device *d, unsigned reg, uint32_t v)
{
    struct virtqueue *vq = selected(d);

    switch (reg) {
    case COMMON_DFSELECT: d->feature_sel = v; break;
    case COMMON_GFSELECT: d->guest_feature_sel = v; break;
    case COMMON_GF:
        if (d->guest_feature_sel < 2 && !(d->status & VIRTIO_STATUS_FEATURES_OK)) {
            unsigned shift = 32 * d->guest_feature_sel;

            d->guest_features =
                (d->guest_features & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)v << shift;
        }
        break;
    case COMMON_MSIX: d->config_vector = check_vector(d, (uint16_t)v); break;
    case COMMON_STATUS: write_status(d, (uint8_t)v, true); break;
    case COMMON_Q_SELECT: d->queue_sel = (uint16_t)v; break;
    default:
        if (!vq)
            break;
        if (reg == COMMON_Q_MSIX) {
            vq->vector = check_vector(d, (uint16_t)v);
        } else if (vq->enabled) {
            log_mask(LOG_GUEST_ERRORS, "%s: write to register 0x%02x of the enabled queue %u",
                     d->pci.dev.cls->name, reg, vq->index);
        } else if (reg == COMMON_Q_SIZE) {
            v &= 0xffff;
            if (v && v <= vq->num_default && !(v & (v - 1)))
                vq->num = (uint16_t)v;
            else
                log_mask(LOG_GUEST_ERRORS, "%s: size %u for queue %u", d->pci.dev.cls->name, v,
                         vq->index);
        } else if (reg == COMMON_Q_ENABLE) {
            vq->enabled = (v & 0xffff) == 1;
        } else if (reg >= COMMON_Q_DESCLO && reg <= COMMON_Q_USEDHI) {
            uint64_t *ring = ring_address(vq, reg);

            if (reg & 4)
                *ring = (uint32_t)*ring | (uint64_t)v << 32;
            else
                *ring = (*ring & ~(uint64_t)UINT32_MAX) | v;
        }
        break;
    }
}

static uint64_t modern_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio_device *d = opaque;
    unsigned in = offset % MODERN_PART;

    switch (offset / MODERN_PART) {
    case 0: return common_read(d, in);
    case 1: return in == 0 && !d->in_dma ? read_isr(d) : 0;
    case 2: return config_read(d, in, size);
    default: return 0;
    }
}

static void modern_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct virtio_device *d = opaque;
    unsigned in = offset % MODERN_PART;

    if (d->in_dma) {
        log_mask(LOG_GUEST_ERRORS, "%s: was told to write to its own registers",
                 d->pci.dev.cls->name);
        return;
    }
    switch (offset / MODERN_PART) {
    case 0: common_write(d, in, (uint32_t)value); break;
    case 2: config_write(d, in, value, size); break;
    case 3: kick_number(d, in / NOTIFY_MULTIPLIER); break;
    default: break;
    }
}

static const struct mem_ops modern_ops = { modern_read, modern_write, 1, 4 };

/* ---- the PCI configuration access capability: a window on BAR 4 for firmware that can't map it
 * ---- */

static bool window(struct virtio_device *d, uint32_t *offset, unsigned *size)
{
    const uint8_t *cap = d->pci.config + d->cfg_cap;

    *offset = pci_get32(cap + 8);
    *size = pci_get32(cap + 12);
    return cap[4] == MODERN_BAR && (*size == 1 || *size == 2 || *size == 4) &&
           *offset < MODERN_SIZE && *offset % *size == 0;
}

static uint32_t pci_read(struct pci_device *pci, uint8_t reg, unsigned len)
{
    struct virtio_device *d = (struct virtio_device *)pci;
    uint32_t offset, v = 0;
    unsigned size;

    if (reg + len > d->cfg_cap + 16u && reg < d->cfg_cap + 20u && window(d, &offset, &size))
        pci_set32(pci->config + d->cfg_cap + 16, (uint32_t)modern_read(d, offset, size));
    for (unsigned i = 0; i < len && reg + i < sizeof(pci->config); i++)
        v |= (uint32_t)pci->config[reg + i] << (8 * i);
    return v;
}

static void pci_written(struct pci_device *pci, uint8_t reg, unsigned len)
{
    struct virtio_device *d = (struct virtio_device *)pci;
    uint32_t offset;
    unsigned size;

    if (reg + len > d->cfg_cap + 16u && reg < d->cfg_cap + 20u && window(d, &offset, &size))
        modern_write(d, offset, pci_get32(pci->config + d->cfg_cap + 16), size);
}

static uint8_t add_cap(struct virtio_device *d, uint8_t type, uint8_t len, uint32_t offset,
                       uint32_t size)
{
    uint8_t at = pci_add_capability(&d->pci, PCI_CAP_ID_VNDR, len);
    uint8_t *p = d->pci.config + at;

    p[2] = len;
    p[3] = type;
    p[4] = type == CAP_PCI ? 0 : MODERN_BAR;
    pci_set32(p + 8, offset);
    pci_set32(p + 12, size);
    return at;
}

static void add_modern(struct virtio_device *d)
{
    uint8_t at;

    mem_region_init_io(&d->modern, "virtio-pci-modern", MODERN_SIZE, &modern_ops, d);
    pci_register_bar(&d->pci, MODERN_BAR, PCI_BAR_MEM64, &d->modern);
    add_cap(d, CAP_COMMON, 16, 0x0000, MODERN_PART);
    add_cap(d, CAP_ISR, 16, 0x1000, MODERN_PART);
    add_cap(d, CAP_DEVICE, 16, 0x2000, MODERN_PART);
    at = add_cap(d, CAP_NOTIFY, 20, 0x3000, MODERN_PART);
    pci_set32(d->pci.config + at + 16, NOTIFY_MULTIPLIER);
    d->cfg_cap = add_cap(d, CAP_PCI, 20, 0, 0);
    at = d->cfg_cap;
    d->pci.wmask[at + 4] = 0xff;
    memset(d->pci.wmask + at + 8, 0xff, 12);
    d->pci.config_read = pci_read;
    d->pci.config_written = pci_written;
}

/* ---- life ---- */

struct virtqueue *virtio_add_queue(struct virtio_device *d, unsigned num)
{
    struct virtqueue *vq = &d->queues[d->queue_count];

    *vq = (struct virtqueue){ .dev = d,
                              .index = (uint16_t)d->queue_count,
                              .num_default = (uint16_t)num,
                              .num = (uint16_t)num,
                              .vector = VIRTIO_NO_VECTOR };
    d->queue_count++;
    return vq;
}

static bool legacy_wanted(struct virtio_device *d, bool *legacy, struct error *err)
{
    const char *v = d->disable_legacy ? d->disable_legacy : "auto";

    if (!strcmp(v, "on") || !strcmp(v, "true") || !strcmp(v, "yes"))
        *legacy = false;
    else if (!strcmp(v, "off") || !strcmp(v, "auto") || !strcmp(v, "false") || !strcmp(v, "no"))
        *legacy = true;
    else
        return error_set(err, "device '%s': disable-legacy is '%s', not on, off or auto",
                         d->pci.dev.cls->name, v);
    if (!*legacy && d->disable_modern)
        return error_set(err, "device '%s': disable-legacy and disable-modern leave no interface",
                         d->pci.dev.cls->name);
    return true;
}

bool virtio_init(struct virtio_device *d, uint32_t config_size, struct error *err)
{
    const struct virtio_class *c = class_of(d);
    uint64_t size = 32;
    bool legacy;

    if (!legacy_wanted(d, &legacy, err))
        return false;
    if (c->modern_only)
        legacy = d->disable_modern = false;
    if (!pci_device_init(&d->pci, err))
        return false;
    d->config_size = config_size;
    d->host_features = RING_FEATURES | (c->features ? c->features(d) : 0);
    if (!d->disable_modern)
        d->host_features |= 1ull << VIRTIO_F_VERSION_1;
    if (legacy) {
        d->host_features |= LEGACY_FEATURES;
        pci_set16(d->pci.config + PCI_SUBSYSTEM_ID, c->virtio_id);
        while (size < LEGACY_CONFIG + 4 + config_size)
            size *= 2;
        mem_region_init_io(&d->legacy, "virtio-pci", size, &legacy_ops, d);
        pci_register_bar(&d->pci, 0, PCI_BAR_IO, &d->legacy);
    } else {
        pci_set16(d->pci.config + PCI_DEVICE_ID, (uint16_t)(0x1040 + c->virtio_id));
        d->pci.config[PCI_REVISION_ID] = 1;
        pci_ids_changed(&d->pci);
    }
    if (d->vectors && !msix_init(&d->pci, d->vectors, 1, err)) {
        pci_device_exit(&d->pci);
        return false;
    }
    if (!d->disable_modern)
        add_modern(d);
    return true;
}

void virtio_unrealize(struct virtio_device *d)
{
    machine_cancel_deferred(d->pci.dev.machine, run_queues, d);
    reset(d);
    pci_device_exit(&d->pci);
}

void virtio_device_reset(struct device *dev)
{
    reset((struct virtio_device *)dev);
}

void virtio_device_post_load(struct device *dev)
{
    struct virtio_device *d = (struct virtio_device *)dev;

    pci_device_post_load(&d->pci);
    d->guest_features &= d->host_features;
    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *vq = &d->queues[i];

        /* Nothing of a saved state may index outside a ring. */
        if (!vq->num || vq->num > vq->num_default || (vq->num & (vq->num - 1)))
            vq->num = vq->num_default;
        vq->inuse = 0;
        if (vq->enabled)
            virtio_kick(vq);
    }
}
