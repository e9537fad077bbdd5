/*
 * The two cascaded 8259A interrupt controllers of a PC, with the edge/level control registers
 * (ELCR).
 */
#ifndef SLIPWAY_HW_I8259_H
#define SLIPWAY_HW_I8259_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "hw/irq.h"

struct i8259;
struct machine;

/* Makes the pair at 0x20, 0xa0 and 0x4d0; sets m->pic. @intr is the master's INT output. The
 * machine's device list owns it. */
struct i8259 *i8259_new(struct machine *m, struct irq intr, struct error *err);
/* Level of IR input @n, 0-15 (2 is the cascade and ignored). */
void i8259_set_irq(struct i8259 *s, unsigned n, int level);
/* INTA cycle: acknowledges the highest request and returns its vector; IR7's vector if there is
 * none (spurious). */
int i8259_ack(struct i8259 *s);
/* Text for "info pic", at most @len bytes. */
size_t i8259_dump(struct i8259 *s, char *buf, size_t len);

#endif
