/*
 * The devices that -device can make. A line each, in the order of `-device help`.
 */
#include "hw/device.h"

const struct device_class *const device_classes[] = {
    NULL,
};
