/*
 * System control port A (0x92): fast A20 and fast reset.
 */
#ifndef SLIPWAY_HW_PORT92_H
#define SLIPWAY_HW_PORT92_H

#include <stdbool.h>

#include "error.h"
#include "hw/irq.h"

struct machine;

/* @a20: its A20 output; the board ORs it with the keyboard controller's. */
bool port92_new(struct machine *m, struct irq a20, struct error *err);

#endif
