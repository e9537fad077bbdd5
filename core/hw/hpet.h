/*
 * The high precision event timer as QEMU's pc has it: 100 MHz, three timers at 0xfed00000.
 */
#ifndef SLIPWAY_HW_HPET_H
#define SLIPWAY_HW_HPET_H

#include "error.h"
#include "hw/irq.h"

struct hpet;
struct machine;

#define HPET_BASE      0xfed00000u
#define HPET_PERIOD_FS 10000000u /* femtoseconds a tick */

enum hpet_legacy { HPET_LEGACY_PIT, HPET_LEGACY_RTC };

/* Uses m->isa_irq[0] and [8] and m->ioapic. The machine's device list owns it. */
struct hpet *hpet_new(struct machine *m, struct error *err);
/* The line that the PIT's counter 0 or the RTC drives instead of IRQ 0 or 8: passed on unless
 * legacy replacement is on. */
struct irq hpet_legacy_input(struct hpet *s, enum hpet_legacy which);

#endif
