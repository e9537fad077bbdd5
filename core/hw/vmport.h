/*
 * The backdoor port of VMware's machines with the absolute mouse behind it.
 */
#ifndef SLIPWAY_HW_VMPORT_H
#define SLIPWAY_HW_VMPORT_H

#include <stdbool.h>

#include "error.h"

struct i8042;
struct machine;

/* Port 0x5658. @keyboard: whose mouse interrupt tells the guest that there are packets. */
bool vmport_new(struct machine *m, struct i8042 *keyboard, struct error *err);

#endif
