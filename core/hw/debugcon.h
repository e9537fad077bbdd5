/*
 * The debug console: one port whose writes go to a chardev.
 */
#ifndef SLIPWAY_HW_DEBUGCON_H
#define SLIPWAY_HW_DEBUGCON_H

#include "hw/device.h"

struct chardev;

/* -debugcon: port 0xe9 to @chr. */
struct device *isa_debugcon_new(struct machine *m, struct chardev *chr, struct error *err);

extern const struct device_class isa_debugcon_class;
extern const struct device_class isa_debug_exit_class;
extern const struct device_class pc_testdev_class;

#endif
