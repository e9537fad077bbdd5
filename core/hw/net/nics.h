/*
 * The NIC models, for -device (classes.c).
 */
#ifndef SLIPWAY_HW_NET_NICS_H
#define SLIPWAY_HW_NET_NICS_H

#include "hw/device.h"

extern const struct device_class e1000_class; /* e1000.c */
extern const struct device_class e1000_82544gc_class, e1000_82545em_class;
extern const struct device_class ne2k_isa_class;       /* ne2000_isa.c */
extern const struct device_class ne2k_pci_class;       /* ne2000_pci.c */
extern const struct device_class pcnet_class;          /* pcnet.c */
extern const struct device_class rtl8139_class;        /* rtl8139.c */
extern const struct device_class virtio_net_pci_class; /* virtio_net.c */

#endif
