/*
 * virtio-rng-pci, for the list of classes.
 */
#ifndef SLIPWAY_HW_VIRTIO_RNG_H
#define SLIPWAY_HW_VIRTIO_RNG_H

#include "hw/device.h"

extern const struct device_class virtio_rng_pci_class;

#endif
