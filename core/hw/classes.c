/*
 * The devices that -device can make. A line each, in the order of `-device help`.
 */
#include "hw/ac97.h"
#include "hw/debugcon.h"
#include "hw/device.h"
#include "hw/net/nics.h"
#include "hw/serial.h"
#include "hw/vga.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_input.h"
#include "hw/virtio/virtio_rng.h"
#include "hw/virtio/virtio_serial.h"

/* One a line, whatever clang-format thinks. */
/* clang-format off */
const struct device_class *const device_classes[] = {
    &ac97_class,
    &e1000_class,
    &e1000_82544gc_class,
    &e1000_82545em_class,
    &isa_debug_exit_class,
    &isa_debugcon_class,
    &isa_serial_class,
    &ne2k_isa_class,
    &ne2k_pci_class,
    &pc_testdev_class,
    &pcnet_class,
    &rtl8139_class,
    &vga_pci_class,
    &virtio_blk_pci_class,
    &virtio_keyboard_pci_class,
    &virtio_mouse_pci_class,
    &virtio_net_pci_class,
    &virtio_rng_pci_class,
    &virtio_serial_pci_class,
    &virtio_tablet_pci_class,
    &virtconsole_class,
    &virtserialport_class,
    NULL,
};

#define VIRTIO_NAMES(name, cls)                                                                    \
    { name, &cls, NULL, NULL }, { name "-pci-transitional", &cls, "disable-legacy", "off" },       \
    {                                                                                              \
        name "-pci-non-transitional", &cls, "disable-legacy", "on"                                 \
    }
const struct device_alias device_aliases[] = {
    VIRTIO_NAMES("virtio-blk", virtio_blk_pci_class),
    VIRTIO_NAMES("virtio-net", virtio_net_pci_class),
    VIRTIO_NAMES("virtio-rng", virtio_rng_pci_class),
    VIRTIO_NAMES("virtio-serial", virtio_serial_pci_class),
    { "virtio-keyboard", &virtio_keyboard_pci_class, NULL, NULL },
    { "virtio-mouse", &virtio_mouse_pci_class, NULL, NULL },
    { "virtio-tablet", &virtio_tablet_pci_class, NULL, NULL },
    { "e1000-82540em", &e1000_class, NULL, NULL },
    { NULL, NULL, NULL, NULL },
};
/* clang-format on */
