/*
 * virtio-blk-pci from C: what "-drive if=virtio" makes.
 */
#ifndef SLIPWAY_HW_VIRTIO_BLK_H
#define SLIPWAY_HW_VIRTIO_BLK_H

#include "hw/device.h"

struct blk;

extern const struct device_class virtio_blk_pci_class;

/* Adds a virtio disk on the next free PCI slot. The caller keeps ownership of @blk. @bootindex: -1
 * for none. */
bool virtio_blk_new(struct machine *m, struct blk *blk, int bootindex, struct error *err);

#endif
