/*
 * What the stack (stack.c) must know of libslirp beyond its public header.
 */
#ifndef SLIPWAY_USER_GLUE_H
#define SLIPWAY_USER_GLUE_H

#include <libslirp.h>
#include <stdbool.h>

/* Nothing to do before a frame or a socket comes: no connections, no timers, no packets that wait
 * for an answer to an ARP request. */
bool user_glue_idle(const Slirp *slirp);
/* Packet buffers in use: those that wait for the guest, and fragments. */
int user_glue_packets(const Slirp *slirp);
/* Was there a domain among those of dnssearch that can't be encoded? Then none is told. */
bool user_glue_search_failed(const Slirp *slirp, const SlirpConfig *config);
/* A guestfwd's callback has room again for what the guest sent to @addr:@port (host order). */
void user_glue_guestfwd_writable(Slirp *slirp, struct in_addr addr, int port);
/* Ends all connections without a word to the guest; what listens stays. */
void user_glue_close_all(Slirp *slirp);

#endif
