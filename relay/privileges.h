/*
 * What the relay gives up after its start.
 */
#ifndef SLIPWAY_RELAY_PRIVILEGES_H
#define SLIPWAY_RELAY_PRIVILEGES_H

#include "relay/config.h"

/* chroot, user, group; all capabilities; no_new_privs; the list of system calls. As far as the
 * configuration says so, the capabilities always. False and @err: something didn't work, and
 * nothing should go on. @children: there are some whose end will be waited for. */
bool privileges_drop(const struct config *c, bool children, struct error *err);

#endif
