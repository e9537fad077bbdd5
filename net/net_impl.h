/*
 * What the files of net/ share besides net.h: a machine's network as a whole.
 */
#ifndef SLIPWAY_NET_IMPL_H
#define SLIPWAY_NET_IMPL_H

#include "machine.h"
#include "monitor/text.h"
#include "net/net.h"

struct hub;
struct json;
struct relay_link;
struct wanted_nic;

/* A machine's m->net. */
struct net {
    struct net_client *clients; /* in order of creation */
    /* How many NICs use each of the default addresses 52:54:00:12:34:xx. */
    uint8_t mac_used[256];
    struct hub *hubs;
    struct relay_link *relays; /* relay/link.c */
    struct wanted_nic *wanted; /* by -nic and -net nic, until they are made */
    unsigned unnamed;          /* netdevs that were given a name so far */
    bool held;                 /* the machine is stopped: frames for NICs wait */
    struct machine_listener listener;
    /* nic.c: announcements under way */
    struct {
        struct nic_announcement how;
        uint32_t round;
    } announce;
    char *announced; /* names of the NICs; NULL: all */
};

/* The machine's network; made at the first call. */
struct net *net_of(struct machine *m);

/* ---- queue.c ---- */

/* Frees the queue and what waits in it, uncounted; for a client that goes. */
void net_queue_free(struct net_client *nc);
/* Bottom halves of @nc that are still to come won't. */
void net_queue_cancel(struct net_client *nc);
/* The peer, if it waits for room, is told that there is some. */
void net_wake_sender(struct net_client *nc);
/* Is there room in @nc's queue for a frame of @len bytes? */
bool net_has_room(const struct net_client *nc, size_t len);
/* Puts @f on its way to @nc behind all filters; there must be room. */
void net_deliver(struct net_client *nc, const struct net_frame *f);

/* ---- offload.c ---- */

/* Is there work in @f that @nc can't do itself? */
bool net_offload_needed(const struct net_client *nc, const struct net_frame *f);
/* The @n-th of the finished frames that @f becomes, in a buffer of f->len bytes. Returns its
 * length; 0: there is no such frame, or (for @n 0) @f makes no sense. */
size_t net_offload_finish(const struct net_frame *f, unsigned n, uint8_t *buf);

/* ---- options.c ---- */

/* net_option_parse for QMP's arguments. */
bool net_option_of_json(struct net_option **list, enum net_option_kind kind,
                        const struct json *args, struct error *err);

/* ---- nic_init.c ---- */

/* Remembers the NIC of @o, to be plugged into @netdev. @o must last until net_init_nics. */
bool nic_wanted(struct machine *m, const struct net_option *o, const char *netdev,
                struct error *err);
void nic_wanted_free(struct net *n);
void nic_print_models(void);

/* ---- nic.c ---- */

/* Ends the announcements. */
void nic_announce_stop(struct net *n, struct machine *m);

/* "52:54:00:12:34:56"; or as QEMU's mac= has it, a number that is added to 52:54:00:00:00:00. */
bool nic_parse_mac(const char *text, uint8_t mac[6]);

/* ---- info.c ---- */

/* "NAME: index=0,type=..." and its counters. */
void net_print_client(const struct net_client *nc, struct text *out);

/* ---- filter.c ---- */

/* Makes the filter of an -object. */
bool net_object_make(struct machine *m, const struct net_option *o, struct error *err);
/* The filters of @nc: frees them; tells those that wait for room; "filters:" of info network. */
void net_filters_free(struct net_client *nc);
void net_filters_wake(struct net_client *nc);
void net_print_filters(const struct net_client *nc, struct text *out);
/* Shows @f to the filters between @from and @to. True: one of them took it away. */
bool net_filter_frame(struct net_client *from, struct net_client *to, const struct net_frame *f);

#endif
