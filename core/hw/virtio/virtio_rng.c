/*
 * virtio-rng-pci: entropy from the host (virtio 1.2, 5.4). One queue; each buffer is filled with
 * random bytes, at most MAX_REQUEST of them: the driver asks again if that was less than it wanted.
 */
#include "hw/virtio/virtio_rng.h"

#include "host/host.h"
#include "hw/virtio/virtio.h"

#define QUEUE_SIZE  8
#define MAX_REQUEST 4096u

struct virtio_rng {
    struct virtio_device virtio;
};

static void rng_handle(struct virtio_device *d, struct virtqueue *vq)
{
    struct virtq_elem *e;

    while ((e = virtq_pop(vq)) != NULL) {
        uint8_t buf[MAX_REQUEST];
        size_t n = e->in_len < sizeof(buf) ? (size_t)e->in_len : sizeof(buf);

        host_random(buf, n);
        virtq_push(e, virtq_write(e, 0, buf, n));
    }
    virtq_notify(vq);
}

static bool rng_realize(struct device *dev, struct error *err)
{
    struct virtio_device *d = (struct virtio_device *)dev;

    if (!virtio_init(d, 0, err))
        return false;
    virtio_add_queue(d, QUEUE_SIZE);
    return true;
}

static void rng_unrealize(struct device *dev)
{
    virtio_unrealize((struct virtio_device *)dev);
}

static const struct field rng_fields[] = {
    VIRTIO_FIELDS(struct virtio_rng),
    VIRTQUEUE_FIELDS(struct virtio_rng, 0),
    FIELD_END,
};

static const struct prop rng_props[] = {
    VIRTIO_PROPS(struct virtio_rng, "2"),
    PROP_END,
};

static const struct virtio_class rng_info = {
    .pci = { .vendor_id = 0x1af4, .device_id = 0x1005, .class_id = 0x00ff, .has_intx = true },
    .virtio_id = VIRTIO_ID_RNG,
    .handle_queue = rng_handle,
};

const struct device_class virtio_rng_pci_class = {
    .name = "virtio-rng-pci",
    .desc = "virtio random number generator",
    .size = sizeof(struct virtio_rng),
    .bus = "PCI",
    .fields = rng_fields,
    .props = rng_props,
    .realize = rng_realize,
    .unrealize = rng_unrealize,
    .reset = virtio_device_reset,
    .post_load = virtio_device_post_load,
    .class_data = &rng_info,
};
