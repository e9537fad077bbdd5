/*
 * Monitors: the human one (HMP: "info registers", "quit") and QMP (JSON), each a front end of a
 * chardev. A machine may have any number of both; struct machine's `monitors` lists them. Names,
 * formats and messages are QEMU's, so that scripts and tools written for it work.
 */
#ifndef SLIPWAY_MONITOR_H
#define SLIPWAY_MONITOR_H

#include <stdbool.h>

#include "error.h"

struct machine;
struct chardev;

/* Puts a monitor on @c. */
bool monitor_add_hmp(struct machine *m, struct chardev *c, struct error *err);
bool monitor_add_qmp(struct machine *m, struct chardev *c, bool pretty, struct error *err);
/* Opens all of -monitor, -qmp and -mon, and listens for the machine's events. */
bool monitor_open_all(struct machine *m, struct error *err);
/* Sends a QMP event to all who listen: @name and its data, a JSON object as text. */
void monitor_send_event(struct machine *m, const char *name, const char *data);
/* Frees all; the chardevs stay. */
void monitor_free_all(struct machine *m);

#endif
