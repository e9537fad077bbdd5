/*
 * The two 8237A DMA controllers of a PC with their page registers: channels 0-3 move bytes, 5-7
 * words.
 */
#ifndef SLIPWAY_HW_I8257_H
#define SLIPWAY_HW_I8257_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct i8257;
struct machine;

/* Makes both at 0x00, 0xc0 and 0x81-0x8f. The machine's device list owns it. */
struct i8257 *i8257_new(struct machine *m, struct error *err);

/* A device on channel @chan (0-3, 5-7) has DREQ up and moves up to @len bytes (to_memory: from @buf
 * to memory, as a "write" transfer) as the channel is programmed. Returns how many were moved: 0
 * while the channel or its controller is disabled or programmed for the other direction. *@tc:
 * terminal count was reached with the last of them; the transfer ends there (unless the channel
 * auto-initialises). */
size_t i8257_transfer(struct i8257 *s, unsigned chan, void *buf, size_t len, bool to_memory,
                      bool *tc);

#endif
