/*
 * One instruction on the host's processor.
 *
 * host_step() enters a signal handler that replaces the interrupted context by the one to test,
 * with TF set; the return from the handler starts it, exactly one instruction retires (or faults),
 * and the handler of that trap takes the result and puts the old context back. Works for 64-bit
 * code and, by loading the 32-bit code selector, for compatibility mode.
 */
#ifndef SLIPWAY_ORACLE_HOST_CPU_H
#define SLIPWAY_ORACLE_HOST_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct host_state {
    uint64_t gpr[16]; /* RAX, RCX, RDX, RBX, RSP ... as instructions number them */
    uint64_t rip, rflags;
    uint8_t fx[512]; /* FXSAVE image */
    int vector;      /* after: exception vector; 1 is the single-step trap, the normal end */
    uint64_t error, cr2;
};

void host_init(void);
void host_step(struct host_state *s, bool compat32);

#endif
