/* The keyboard controller with its keyboard and mouse: ports 0x60 and 0x64, IRQ 1 and 12. */
#ifndef SLIPWAY_HW_I8042_H
#define SLIPWAY_HW_I8042_H

#include "error.h"
#include "hw/irq.h"

struct machine;
struct i8042;

/* Makes the controller, adds its ports to m->io and its keyboard and mouse to m->input (if there is
 * one). @a20: the line of output port bit 1, high = address bit 20 passes; high after reset. NULL
 * on failure. */
struct i8042 *i8042_new(struct machine *m, const struct irq *keyboard_irq,
                        const struct irq *mouse_irq, const struct irq *a20, struct error *err);

/* Has the mouse send a packet that says little: for vmmouse, whose driver then looks for its own.
 */
void i8042_mouse_nudge(struct i8042 *s);

#endif
