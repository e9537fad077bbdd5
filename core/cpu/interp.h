/* The interpreter: see interp.c. */
#ifndef SLIPWAY_CPU_INTERP_H
#define SLIPWAY_CPU_INTERP_H

#include "cpu/cpu.h"

/* Runs blocks until the budget is used up, an interrupt wants to be taken, an exception is pending
 * (c->exc, with c->rip at the instruction), or something happened that cpu_run() has to look at. */
void interp_run(struct cpu *c);
/* One instruction, for single-step, breakpoints and interrupt shadows. */
void interp_step(struct cpu *c);

#endif
