/*
 * The PC's serial ports: a 16550A each.
 */
#ifndef SLIPWAY_HW_SERIAL_H
#define SLIPWAY_HW_SERIAL_H

#include "hw/device.h"

struct chardev;

/* Serial port @index (0 to 3: COM1 to COM4, at the usual port and IRQ), connected to @chr (NULL: to
 * nothing). */
struct device *serial_new(struct machine *m, int index, struct chardev *chr, struct error *err);

extern const struct device_class isa_serial_class;

#endif
