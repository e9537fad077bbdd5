/*
 * The directory that guests get by SMB (smb channels): the system's smbd serves it, one process a
 * connection, as QEMU has it.
 */
#ifndef SLIPWAY_RELAY_SMB_H
#define SLIPWAY_RELAY_SMB_H

#include "relay/config.h"

struct smb;

/* Starts the child that will run smbd; it has the rights of @c->user. To be called before
 * privileges go, and before there are threads. NULL and @err: there is no smbd, or no directory. */
struct smb *smb_start(const struct config *c, struct error *err);
/* A socket with a new smbd at its other end; -errno. */
int smb_connect(struct smb *s);
/* The child removes what smbd wrote, and ends. */
void smb_stop(struct smb *s);

#endif
