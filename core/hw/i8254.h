/*
 * The 8254 interval timer of a PC with port 0x61: counter 0 drives IRQ 0, counter 1 was DRAM
 * refresh, counter 2 is the speaker tone and what kernels calibrate clocks with.
 */
#ifndef SLIPWAY_HW_I8254_H
#define SLIPWAY_HW_I8254_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "hw/irq.h"

struct i8254;
struct machine;

#define PIT_HZ 1193182

/* At 0x40-0x43 and 0x61. @out0: the output of counter 0 (IRQ 0, or the HPET's legacy input). The
 * machine's device list owns it. */
struct i8254 *i8254_new(struct machine *m, struct irq out0, struct error *err);
/* The tone of the speaker now: frequency in Hz, 0 while it is silent. */
uint32_t i8254_speaker_hz(struct i8254 *s);
/* How much of the time from @from_ns to @to_ns the speaker's line was or will be high, 0 to 1, if
 * nothing changes. */
double i8254_speaker_level(struct i8254 *s, int64_t from_ns, int64_t to_ns);

#endif
