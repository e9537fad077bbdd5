/*
 * The devices that -device can make. A line each, in the order of `-device help`.
 */
#include "hw/device.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"

const struct device_class *const device_classes[] = {
    &virtio_blk_pci_class,
    &virtio_rng_pci_class,
    NULL,
};
