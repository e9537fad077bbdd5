/* PNG images (ISO/IEC 15948): 8-bit RGB, no interlace. */
#ifndef SLIPWAY_PNG_H
#define SLIPWAY_PNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct display_surface;

/* Encodes @s; *@out is malloc'd, the caller frees it. False: out of memory. */
bool png_encode(const struct display_surface *s, uint8_t **out, size_t *len);

#endif
