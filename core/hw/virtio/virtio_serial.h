/*
 * virtio-serial-pci and its ports, for the list of classes.
 */
#ifndef SLIPWAY_HW_VIRTIO_SERIAL_H
#define SLIPWAY_HW_VIRTIO_SERIAL_H

#include "hw/device.h"

extern const struct device_class virtio_serial_pci_class;
extern const struct device_class virtconsole_class;
extern const struct device_class virtserialport_class;

#endif
