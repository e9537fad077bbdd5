/*
 * Modules: several regions each.
 *
 * A module of its own for every region would be simplest, but engines give each module pages of
 * code, jump tables and an instance of its own, so that a program of thousands of small functions
 * would run out of the processor's caches (in V8 40 ns a guest instruction, measured). So the
 * emitted functions wait here. They are installed together when there are enough of them, or as
 * soon as the interpreter finds one of them hot a second time.
 *
 * A region that waits is in the cache like any other, so that writes drop it, but has no table slot
 * yet. A module stays in memory while one of its regions lives, and its regions are dropped
 * together when the modules have become too many: those first that were not used for the longest
 * time. What is in use is known from the jump cache. It is emptied at times, and whatever runs has
 * to be looked up again.
 */
#ifndef SLIPWAY_JIT_BATCH_H
#define SLIPWAY_JIT_BATCH_H

#include "jit-wasm/cache.h"
#include "jit-wasm/emit.h"

/* Takes the code of @r out of @e. False: out of memory; @r is the caller's as before. */
bool batch_add(struct region *r, struct emit *e);
/* Is it time to install without waiting for anything to get hot? */
bool batch_full(void);
/* Makes a module of what waits. Regions that the engine refuses are dropped. */
void batch_install(struct cpu *c);
/* @r is dropped: it must not be installed, its module may go. */
void batch_drop(struct region *r);
/* @r was looked up. */
void batch_used(struct region *r);

#endif
