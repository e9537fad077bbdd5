/*
 * The 82371SB (PIIX3) PCI-ISA bridge: where ISA and PCI interrupt lines meet, and the reset control
 * register.
 */
#ifndef SLIPWAY_HW_PCI_PIIX3_H
#define SLIPWAY_HW_PCI_PIIX3_H

#include <stdbool.h>

#include "error.h"

struct machine;
struct piix3;

/* Makes the bridge at 01.0; fills m->isa_irq[] and the bus's pirq[], which go to m->pic and
 * m->ioapic (make those before or after, but before the first interrupt). Also takes the CPU's
 * FERR# to IRQ 13. */
struct piix3 *piix3_new(struct machine *m, struct error *err);

#endif
