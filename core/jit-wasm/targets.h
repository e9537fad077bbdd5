/*
 * Where indirect jumps went: what region.c takes for their edges.
 *
 * The interpreter notes the target of every indirect JMP that goes elsewhere than the last time,
 * translated code (emit_branch.c) some of those that its region doesn't have. A jump is known by
 * the host address of its instruction, a target by its distance, so that it doesn't matter where
 * the page is mapped. 16-bit jumps are not noted, the interpreter's loop doesn't run them. Nothing
 * relies on what is noted here: the jump may be gone, its targets others.
 */
#ifndef SLIPWAY_JIT_TARGETS_H
#define SLIPWAY_JIT_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TARGETS_MAX = 48,      /* of a jump */
    TARGETS_REACH = 16384, /* bytes: what is farther away is a function of its own */
};

struct targets {
    uintptr_t jump; /* host address of the instruction */
    uintptr_t home; /* that of the region whose switch it goes to, 0: none */
    uint8_t count, remade;
    int16_t distance[TARGETS_MAX]; /* from the instruction; the more frequent ones first */
};

/* The jump at @jump went to what is @distance bytes from it. True: it is new. */
bool targets_note(uintptr_t jump, int64_t distance);
/* NULL: nothing is known. */
struct targets *targets_of(uintptr_t jump);
/* The same for the region that starts at @home: also NULL if the jump has another. */
struct targets *targets_for(uintptr_t jump, uintptr_t home);
/* That region is there; is no more. */
void targets_claim(uintptr_t jump, uintptr_t home);
void targets_release(uintptr_t jump, uintptr_t home);

#endif
