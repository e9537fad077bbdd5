/*
 * -d lockstep: every region runs twice, as translated code and in the interpreter, and the first
 * difference ends the process with both states.
 *
 * The translated code runs first, without tail calls and for a bounded number of instructions, with
 * every write going through the TLB's slow path, which keeps what was there before. Then memory and
 * CPU are put back, the interpreter runs as many instructions, and registers, flags, FPU and SSE
 * state, a pending exception and all bytes written by either are compared. A region that touched a
 * device can't be run twice and isn't compared.
 */
#ifndef SLIPWAY_JIT_LOCKSTEP_H
#define SLIPWAY_JIT_LOCKSTEP_H

#include "cpu/cpu.h"
#include "log.h"

static inline bool lockstep_on(void)
{
    return log_on(LOG_LOCKSTEP);
}
/* Runs the region in table slot @slot. Returns as jit_left() does. */
bool lockstep_enter(struct cpu *c, uint32_t slot);
/* @size bytes at @host are about to be written. */
void lockstep_write(uintptr_t host, unsigned size);
/* A device is accessed. */
void lockstep_device(void);

#endif
