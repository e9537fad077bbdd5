/*
 * A processor's saved state: the fields of struct cpu that aren't derived from others.
 */
#ifndef SLIPWAY_CPU_STATE_H
#define SLIPWAY_CPU_STATE_H

#include "hw/device.h"

struct cpu;

extern const struct field cpu_fields[];
/* After the fields were loaded: makes what isn't possible possible, recomputes what is derived and
 * drops all translations. */
void cpu_post_load(struct cpu *c);

#endif
