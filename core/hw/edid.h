/* The description of the monitor that graphics cards show to guests (VESA E-EDID 1.4 and CTA-861).
 */
#ifndef SLIPWAY_HW_EDID_H
#define SLIPWAY_HW_EDID_H

#include <stdint.h>

#define EDID_SIZE 256

extern const uint8_t edid_data[EDID_SIZE];

#endif
