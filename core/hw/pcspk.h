/*
 * The speaker of a PC: what the output of the 8254's counter 2, let through by bit 1 of port 0x61,
 * sounds like on an audiodev (-machine pcspk-audiodev=ID). It has no state that a guest sees.
 */
#ifndef SLIPWAY_HW_PCSPK_H
#define SLIPWAY_HW_PCSPK_H

#include <stdbool.h>

#include "error.h"

struct i8254;
struct machine;
struct pcspk;

/* The machine's -machine pcspk-audiodev; NULL without an error if there is none. @pit owns it. */
bool pcspk_new(struct machine *m, struct i8254 *pit, struct pcspk **speaker, struct error *err);
void pcspk_free(struct pcspk *p);
/* To be called before something changes that can be heard, and after a saved state was loaded. */
void pcspk_changing(struct pcspk *p);
void pcspk_loaded(struct pcspk *p);

#endif
