/*
 * AC97, for the list of classes.
 */
#ifndef SLIPWAY_HW_AC97_H
#define SLIPWAY_HW_AC97_H

#include "hw/device.h"

extern const struct device_class ac97_class;

#endif
