/* The interpreter: see interp.c. */
#ifndef SLIPWAY_CPU_INTERP_H
#define SLIPWAY_CPU_INTERP_H

#include "cpu/cpu.h"

/* May what c->intr holds be acted on now? Keeps a pending but masked interrupt from stopping every
 * block. */
static inline bool interrupt_wanted(const struct cpu *c)
{
    uint32_t masked = (c->rflags & FL_IF ? 0 : CPU_INTR_HARD) |
                      (c->nmi_blocked ? CPU_INTR_NMI : 0) |
                      (c->in_smm ? CPU_INTR_SMI | CPU_INTR_INIT : 0);
    return (c->intr & ~masked) != 0;
}

/* Runs blocks until the budget is used up, an interrupt wants to be taken, an exception is pending
 * (c->exc, with c->rip at the instruction), or something happened that cpu_run() has to look at.
 * With c->jit also when the next block is hot (c->jit_hot) or at c->jit_back (c->jit_met); c->rip
 * is its address then and nothing of it was run. */
void interp_run(struct cpu *c);
/* Exactly one instruction, without looking at debug registers, TF or shadows; c->rip is brought up
 * to date, c->budget charged if it completed. */
enum exec interp_one(struct cpu *c);
/* One instruction, for single-step, breakpoints and interrupt shadows. */
void interp_step(struct cpu *c);

#endif
