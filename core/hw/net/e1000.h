/*
 * Intel's gigabit Ethernet controllers of the 8254x family: "e1000" (82540EM), "e1000-82544gc",
 * "e1000-82545em".
 */
#ifndef SLIPWAY_HW_E1000_H
#define SLIPWAY_HW_E1000_H

#include "hw/device.h"

extern const struct device_class e1000_class, e1000_82544gc_class, e1000_82545em_class;

#endif
