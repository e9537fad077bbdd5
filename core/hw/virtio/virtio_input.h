/*
 * virtio-keyboard-pci, virtio-mouse-pci and virtio-tablet-pci, for the list of classes.
 */
#ifndef SLIPWAY_HW_VIRTIO_INPUT_H
#define SLIPWAY_HW_VIRTIO_INPUT_H

#include "hw/device.h"

extern const struct device_class virtio_keyboard_pci_class;
extern const struct device_class virtio_mouse_pci_class;
extern const struct device_class virtio_tablet_pci_class;

#endif
