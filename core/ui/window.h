/*
 * The window of -display sdl. SDL's event queue belongs to the process, and so does the window:
 * there is one at a time.
 */
#ifndef SLIPWAY_WINDOW_H
#define SLIPWAY_WINDOW_H

#include <stdbool.h>

#include "error.h"

struct machine;

/* Opens the window and has the host's loop serve it (host_every). In the wasm build there is none:
 * the page shows the screen, and this does nothing. */
bool window_open(struct machine *m, struct error *err);
/* Before the machine goes. No window: nothing. */
void window_close(void);

#endif
