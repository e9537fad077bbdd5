/*
 * VGA with Bochs VBE, as QEMU's stdvga PCI card (1234:1111). See vga.c for how the files work
 * together.
 */
#ifndef SLIPWAY_HW_VGA_H
#define SLIPWAY_HW_VGA_H

#include "hw/device.h"

/* "VGA" for -device; -vga std is the same card made by the board. */
extern const struct device_class vga_pci_class;

/* Makes the card (-vga std) on m->pci and attaches it to m->display. NULL on failure. */
struct device *vga_pci_new(struct machine *m, struct error *err);

#endif
