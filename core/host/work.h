/*
 * The part of the event loop that is the same on every platform: calls put off to the loop
 * (host_defer) and periodic ones (host_every), both declared in host.h. The platform's loop runs
 * them.
 */
#ifndef SLIPWAY_HOST_WORK_H
#define SLIPWAY_HOST_WORK_H

#include <stdbool.h>
#include <stdint.h>

bool host_has_deferred(void);
/* Runs what was deferred before the call. */
void host_run_deferred(void);
/* Runs the periodic calls that are due; returns ns until the next one, INT64_MAX if there is none.
 */
int64_t host_run_periodics(void);

#endif
