/*
 * Virtio devices on PCI (OASIS Virtual I/O Device 1.2; legacy interface as its "transitional"
 * sections have it).
 *
 * A device embeds struct virtio_device as its first member. Its class's class_data is a struct
 * virtio_class: identity, features, configuration space and a handler that runs, from a bottom
 * half, when a queue was kicked. In the handler the device pops elements, reads what the driver
 * wrote and writes what it asked for, then pushes and notifies:
 *
 *     while ((e = virtq_pop(vq)) != NULL) {
 *         virtq_read(e, 0, &request, sizeof(request));
 *         ...
 *         virtq_push(e, virtq_write(e, 0, reply, n));
 *     }
 *     virtq_notify(vq);
 *
 * An element belongs to the device until virtq_push() (or virtq_free(), if a reset came between)
 * and may be kept as long as the device likes: elements popped before a reset are stale, and
 * pushing them only frees them. Whatever a driver puts in a ring, nothing but a logged error and a
 * device that "needs reset" comes of it.
 */
#ifndef SLIPWAY_HW_VIRTIO_H
#define SLIPWAY_HW_VIRTIO_H

#include "hw/pci/pci.h"

#define VIRTIO_MAX_QUEUES 64
#define VIRTIO_QUEUE_MAX  1024 /* entries; also the longest chain */
#define VIRTIO_NO_VECTOR  0xffff
#define VIRTIO_CONFIG_MAX 136 /* bytes of a device's configuration space */

enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_INPUT = 18,

    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 0x40,
    VIRTIO_STATUS_FAILED = 0x80,

    /* Feature bits of the transport and of rings */
    VIRTIO_F_NOTIFY_ON_EMPTY = 24,
    VIRTIO_F_ANY_LAYOUT = 27,
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
};

struct virtio_device;
struct virtqueue;

struct virtio_class {
    struct pci_class_info pci; /* device_id: the transitional one, 0x1000... */
    uint16_t virtio_id;
    bool modern_only; /* no legacy interface, whatever disable-legacy says; device_id: 0x1040... */
    /* Features beyond those of the rings, which every device has. */
    uint64_t (*features)(struct virtio_device *d);
    /* Called when features are settled: FEATURES_OK, or DRIVER_OK for a legacy driver. Optional. */
    void (*set_features)(struct virtio_device *d);
    /* The driver changed d->status, or saved state did; a reset is told to reset below. Optional.
     */
    void (*set_status)(struct virtio_device *d);
    /* @vq was kicked, or the device was started. */
    void (*handle_queue)(struct virtio_device *d, struct virtqueue *vq);
    /* The driver kicks @vq: may handle_queue wait until the CPU comes out by itself
     * (machine_defer_lazily)? Optional: no. */
    bool (*can_wait)(struct virtio_device *d, struct virtqueue *vq);
    /* Device configuration: d->config[0..config_size) is brought up to date before a read; after a
     * write of
     * @len bytes at @offset. Both optional. */
    void (*get_config)(struct virtio_device *d);
    void (*set_config)(struct virtio_device *d, unsigned offset, unsigned len);
    /* The driver (or the machine) reset the device; queues are gone already. Optional. */
    void (*reset)(struct virtio_device *d);
};

struct virtqueue {
    struct virtio_device *dev;
    uint16_t index;
    uint16_t num_default, num; /* num_default 0: no such queue */
    uint64_t desc, avail, used;
    bool enabled, kicked;
    uint16_t vector;
    uint16_t last_avail; /* next entry of the available ring to look at */
    uint16_t used_idx;
    uint16_t signalled_used; /* used_idx at the last interrupt, if signalled_valid */
    bool signalled_valid;
    uint16_t inuse; /* popped and not yet pushed */
};

/* One piece of an element's buffers. */
struct virtq_seg {
    uint64_t addr;
    uint32_t len;
};

struct virtq_elem {
    struct virtqueue *vq;
    uint32_t generation; /* of the device when it was popped */
    uint16_t head;
    uint16_t out_count, in_count;
    uint64_t out_len, in_len; /* bytes from the driver, and that the driver wants */
    struct virtq_seg segs[];  /* out first, then in */
};

struct virtio_device {
    struct pci_device pci;
    uint64_t host_features, guest_features;
    uint32_t feature_sel, guest_feature_sel;
    uint8_t status, isr, config_generation;
    uint16_t queue_sel, config_vector;
    bool broken;        /* the driver broke a ring: dead until reset */
    bool modern_driver; /* negotiates through the modern interface */
    bool bh_pending;
    uint8_t in_dma;      /* our own bus accesses under way: they may not reach our registers */
    uint32_t generation; /* counts resets */
    unsigned queue_count;
    struct virtqueue queues[VIRTIO_MAX_QUEUES];
    uint8_t config[VIRTIO_CONFIG_MAX];
    uint32_t config_size;

    struct mem_region legacy, modern; /* BAR 0 (ports), BAR 4 (memory) */
    uint8_t cfg_cap;                  /* where the PCI configuration access capability is */
    /* Properties */
    char *disable_legacy; /* on, off, auto */
    bool disable_modern;
    uint32_t vectors;
};

/* Properties that all virtio-pci devices have, for a class's table; @T, the device's struct, starts
 * with `virtio`. */
#define VIRTIO_PROPS(T, vectors_default)                                                           \
    { "disable-legacy", PROP_STRING, offsetof(T, virtio.disable_legacy), "auto",                   \
      "on: no legacy interface (virtio 1.0 only); off, auto: both" },                              \
        { "disable-modern", PROP_BOOL, offsetof(T, virtio.disable_modern), "off",                  \
          "legacy interface only" },                                                               \
        { "vectors", PROP_U32, offsetof(T, virtio.vectors), vectors_default,                       \
          "MSI-X vectors; 0: no MSI-X" },                                                          \
        PCI_DEVICE_PROPS

/* Saved state of the base; a class's field table starts with it. Add VIRTQUEUE_FIELDS. */
#define VIRTIO_FIELDS(T)                                                                           \
    PCI_DEVICE_FIELDS, FIELD_U64(T, virtio.guest_features, 0),                                     \
        FIELD_U32(T, virtio.feature_sel, 0), FIELD_U32(T, virtio.guest_feature_sel, 0),            \
        FIELD_U8(T, virtio.status, 0), FIELD_U8(T, virtio.isr, 0),                                 \
        FIELD_U8(T, virtio.config_generation, 0), FIELD_U16(T, virtio.queue_sel, 0),               \
        FIELD_U16(T, virtio.config_vector, VIRTIO_NO_VECTOR), FIELD_BOOL(T, virtio.broken, 0),     \
        FIELD_BOOL(T, virtio.modern_driver, 0)
/* Queue number @n of it, one line each for the queues that the class has. */
#define VIRTQUEUE_FIELDS(T, n)                                                                     \
    FIELD_U16(T, virtio.queues[n].num, 0), FIELD_U64(T, virtio.queues[n].desc, 0),                 \
        FIELD_U64(T, virtio.queues[n].avail, 0), FIELD_U64(T, virtio.queues[n].used, 0),           \
        FIELD_BOOL(T, virtio.queues[n].enabled, 0),                                                \
        FIELD_U16(T, virtio.queues[n].vector, VIRTIO_NO_VECTOR),                                   \
        FIELD_U16(T, virtio.queues[n].last_avail, 0), FIELD_U16(T, virtio.queues[n].used_idx, 0),  \
        FIELD_U16(T, virtio.queues[n].signalled_used, 0),                                          \
        FIELD_BOOL(T, virtio.queues[n].signalled_valid, 0)

/* ---- device side (virtio.c) ---- */

/* From realize, when what class->features looks at is set, before virtio_add_queue: makes the PCI
 * device. */
bool virtio_init(struct virtio_device *d, uint32_t config_size, struct error *err);
void virtio_unrealize(struct virtio_device *d);
/* Adds the next queue, of @num entries (a power of two, at most VIRTIO_QUEUE_MAX). */
struct virtqueue *virtio_add_queue(struct virtio_device *d, unsigned num);
/* Ready-made device_class operations: reset (forgets rings and elements, calls class->reset),
 * post_load. */
void virtio_device_reset(struct device *d);
void virtio_device_post_load(struct device *d);
static inline bool virtio_has_feature(const struct virtio_device *d, unsigned bit)
{
    return d->guest_features >> bit & 1;
}
/* The configuration space changed: generation and interrupt. */
void virtio_config_changed(struct virtio_device *d);
/* The driver broke its rings (printf style message for the log). */
void virtio_error(struct virtio_device *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Has handle_queue called for @vq again, from a bottom half. */
void virtio_kick(struct virtqueue *vq);

/* ---- queues (virtqueue.c) ---- */

/* The queue is set up and the driver runs. */
bool virtq_ready(const struct virtqueue *vq);
/* True if nothing is waiting. */
bool virtq_empty(struct virtqueue *vq);
/* Next element, NULL if there is none (or the ring is broken, or memory is short). */
struct virtq_elem *virtq_pop(struct virtqueue *vq);
/* Copies from the driver's buffers / into those that it offers, from byte @offset on; returns bytes
 * copied. */
size_t virtq_read(const struct virtq_elem *e, uint64_t offset, void *buf, size_t len);
size_t virtq_write(const struct virtq_elem *e, uint64_t offset, const void *buf, size_t len);
/* Gives the element back with @written bytes in it, and frees it. */
void virtq_push(struct virtq_elem *e, uint64_t written);
/* Puts the last popped element back, as if it hadn't been popped, and frees it. */
void virtq_unpop(struct virtq_elem *e);
/* Frees it without giving it back. */
void virtq_free(struct virtq_elem *e);
/* Interrupts the driver if it wants to know about what was pushed. */
void virtq_notify(struct virtqueue *vq);
/* True if the element was popped before a reset. */
static inline bool virtq_stale(const struct virtq_elem *e)
{
    return e->generation != e->vq->dev->generation;
}

/* ---- between virtio.c and virtqueue.c ---- */
void virtio_dma_read(struct virtio_device *d, uint64_t addr, void *buf, size_t len);
void virtio_dma_write(struct virtio_device *d, uint64_t addr, const void *buf, size_t len);
void virtio_interrupt(struct virtio_device *d, uint8_t isr, uint16_t vector);

#endif
