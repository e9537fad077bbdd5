/*
 * Hubs: QEMU's hub N, which connects any number of clients through ports.
 */
#ifndef SLIPWAY_HUB_H
#define SLIPWAY_HUB_H

#include "monitor/text.h"
#include "net/netdev.h"

extern const struct netdev_class netdev_hubport;

/* A new port of hub @id (made if it isn't there, gone with its last port). @name NULL: "hubNportM".
 */
struct net_client *hub_add_port(struct machine *m, uint32_t id, const char *name);
/* Warnings for hubs that connect nothing. */
void hub_check(struct machine *m);
/* Is @nc a port? info network shows those at their hub only. */
bool hub_is_port(const struct net_client *nc);
/* A port that -net made. */
bool hub_is_inner_port(const struct net_client *nc);
/* The hub that @nc is plugged into, -1: none. */
int64_t hub_id_of(const struct net_client *nc);
/* The hubs with their ports, as info network begins. */
void hub_info(struct machine *m, struct text *out);

#endif
