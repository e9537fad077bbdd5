/*
 * The network: clients that send frames to one another. A client is either a NIC (the guest's side)
 * or a netdev (user, hubport, socket, stream, dgram, tap); each has at most one peer. QEMU's words
 * and meanings throughout.
 *
 * Data flow. net_send(from, frame) hands a frame to from's peer. If the peer takes it
 * (ops->receive) it is done; if the peer is full, the frame waits in the queue in front of the peer
 * (bounded by frames and bytes), and net_accept() empties that queue once there is room again. Is
 * the queue full too, net_send returns false, nothing was taken: the sender keeps the frame
 * (a NIC leaves the descriptor in its ring, a socket isn't read), and its ops->writable is called
 * when there is room. So nothing is lost between two clients while somebody has room; what is
 * dropped on purpose (link down, no peer, filter) is counted.
 *
 * Re-entrance. A frame sent from within receive() to a client that is itself inside receive() is
 * queued and delivered when that call has returned: receive() is never entered twice for a client.
 * Two clients that answer each other for ever don't hang the machine: after NET_BURST frames the
 * rest is left to a bottom half.
 *
 * A stopped machine (monitor `stop`, -S) takes no frames: those for its NICs wait in the queues.
 *
 * Offloads. A frame may carry unfinished work (checksum to fill in, segments to cut): struct
 * net_offload, which has the meaning of virtio's struct virtio_net_hdr. A client says which kinds
 * it understands in `offloads`; for a peer that doesn't, offload.c does the work in software before
 * delivery, so no client ever sees what it can't handle.
 */
#ifndef SLIPWAY_NET_H
#define SLIPWAY_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;
struct device;
struct json;
struct keyval;
struct net_client;
struct net_filter;
struct netdev_class;
struct text;

enum {
    NET_FRAME_MAX = 69632,   /* QEMU's: 64 KB of GSO payload and headers */
    NET_QUEUE_FRAMES = 1024, /* default bounds of a client's queue */
    NET_QUEUE_BYTES = 4 << 20,
    NET_BURST = 256, /* frames of a queue that are delivered in one go */
};

/* What a receiver can be given unfinished: bits of net_client.offloads. */
enum {
    NET_OFFLOAD_CSUM = 1, /* a checksum that is still to be computed */
    NET_OFFLOAD_TSO4 = 2,
    NET_OFFLOAD_TSO6 = 4,
    NET_OFFLOAD_ECN = 8,
    NET_OFFLOAD_UFO = 16,
};
enum net_gso { NET_GSO_NONE, NET_GSO_TCPV4, NET_GSO_UDP, NET_GSO_TCPV6 };

/* All 0: a finished frame. */
struct net_offload {
    bool needs_csum; /* 16-bit one's complement sum from csum_start to the end goes to
                        csum_start + csum_offset */
    bool csum_valid; /* the checksums were checked already */
    bool gso_ecn;
    uint8_t gso; /* enum net_gso */
    uint16_t gso_size, hdr_len;
    uint16_t csum_start, csum_offset;
};

/* An Ethernet frame without FCS. Only valid during the call that it is passed to. */
struct net_frame {
    const uint8_t *data;
    size_t len;
    struct net_offload off;
};

struct net_client_ops {
    const char *type; /* "nic", "user", "hubport", ... as info network shows it */
    bool nic;
    /* Takes @f and returns true, or returns false: no room now, keep it (net_accept() follows). A
     * frame that it doesn't want (filter) counts as taken. */
    bool (*receive)(struct net_client *nc, const struct net_frame *f);
    /* After net_send() to the peer returned false: there is room now. Optional. */
    void (*writable)(struct net_client *nc);
    /* link_up of this client or its peer changed. Optional. */
    void (*link_changed)(struct net_client *nc);
    /* announce_self: a NIC may have its driver announce the addresses that it knows. Optional. */
    void (*announce)(struct net_client *nc);
    /* The guest is another one now (a saved state was loaded): what it had under way with this
     * client is over. Optional. */
    void (*state_replaced)(struct net_client *nc);
    /* The text after "index=0,type=TYPE," of info network, e.g. "net=10.0.2.0,restrict=off".
     * Optional; a NIC's is model and macaddr by itself. */
    void (*describe)(struct net_client *nc, char *buf, size_t len);
    /* Releases what the client holds; the struct itself is freed by net_client_free if it was made
     * by net_client_new. Optional. */
    void (*cleanup)(struct net_client *nc);
};

struct net_stats {
    uint64_t frames, bytes; /* delivered to this client */
    uint64_t dropped;       /* meant for it and thrown away: link down, no room in a hub ... */
    uint64_t waited;        /* had to wait in the queue */
    uint64_t unsent;        /* sent by it and thrown away: no peer, or no frame at all */
};

struct net_queue; /* queue.c */

struct net_client {
    const struct net_client_ops *ops;
    struct machine *machine;
    const struct netdev_class *cls; /* netdev.h; NULL: a NIC */
    char *name, *model;             /* id of the netdev or NIC; model as info network shows it */
    struct net_client *peer;
    struct net_client *next; /* all clients of the machine, in order of creation */
    struct net_queue *queue; /* frames that wait for this client */
    struct net_filter *filters;
    uint32_t offloads;
    bool link_down; /* set_link NAME off */
    bool streaming; /* has sent since it last got a frame: doesn't wait for each answer */
    /* queue.c's own: */
    bool receiving;    /* inside ops->receive */
    bool accept_again; /* net_accept() was called in there */
    bool deferred;     /* the rest of the queue is delivered by a bottom half */
    bool blocked;      /* its net_send() failed: wants writable() */
    struct net_stats stats;
};

/* ---- clients (net.c) ---- */

/* Allocates @size bytes (a struct that begins with struct net_client), and puts it on the machine's
 * list. @name and @model are copied; NULL name: one is made ("model.N"). */
struct net_client *net_client_new(struct machine *m, const struct net_client_ops *ops, size_t size,
                                  const char *model, const char *name);
/* Disconnects, cleans up and frees. */
void net_client_free(struct net_client *nc);
/* Makes @a and @b peers. Both must be without one. */
void net_connect(struct net_client *a, struct net_client *b);
void net_disconnect(struct net_client *nc);
/* By name; NULL: there is none. */
struct net_client *net_find(struct machine *m, const char *name);

/* ---- frames (net.c, queue.c) ---- */

/* Sends @f to nc's peer. True: taken (or dropped and counted); false: the way is full, nothing was
 * taken, ops->writable follows. */
bool net_send(struct net_client *nc, const struct net_frame *f);
/* A finished frame. */
static inline bool net_send_buf(struct net_client *nc, const void *data, size_t len)
{
    return net_send(nc, &(struct net_frame){ .data = (const uint8_t *)data, .len = len });
}
/* Would net_send() of a frame of @len bytes take it? If not, ops->writable follows. For senders
 * that must have an answer before they begin (a hub). */
bool net_can_send(struct net_client *nc, size_t len);
/* @nc has room again: deliver what waits for it, and wake the sender if it was held back. Frames
 * may arrive (ops->receive) before it returns. May be called at any time, also from receive(). */
void net_accept(struct net_client *nc);
/* Throws away what waits for @nc (reset of a NIC). */
void net_purge(struct net_client *nc);
/* Frames that wait for @nc. */
size_t net_queue_length(const struct net_client *nc);

/* ---- link ---- */

/* The link is up if neither end was set down. A NIC without a peer has its link down. */
bool net_link_up(const struct net_client *nc);
/* set_link: @nc (a NIC or a netdev) up or down; tells both ends. */
void net_set_link(struct net_client *nc, bool up);

/* ---- NICs ---- */

/* The properties mac, netdev and (bootindex by PCI_DEVICE_PROPS) of a NIC's device; member of its
 * struct. */
struct nic_conf {
    uint8_t mac[6];
    char *netdev;
};
#define NIC_PROPS(T, m)                                                                            \
    { "mac", PROP_MAC, offsetof(T, m.mac), NULL, "address; default 52:54:00:12:34:56 upwards" },   \
    {                                                                                              \
        "netdev", PROP_STRING, offsetof(T, m.netdev), NULL, "id of the netdev it is plugged into"  \
    }
/* From a NIC device's realize: gives it a MAC if it has none, makes its client (name: the device's
 * id or MODEL.N), and connects it to conf->netdev. nic->device is @d. NULL with @err: no such
 * netdev, or it is in use; realize must then undo what it did itself (pci_device_exit). The device
 * calls nic_free() in unrealize. */
struct nic {
    struct net_client nc;
    struct device *device;
    struct nic_conf *conf;
    uint8_t mac[6]; /* the current one, as info network shows it; the device keeps it up to date */
    uint8_t conf_mac[6]; /* nic.c's: the one it was made with */
};
struct nic *nic_new(struct device *d, const struct net_client_ops *ops, struct nic_conf *conf,
                    const char *model, struct error *err);
void nic_free(struct nic *nic);
/* Gives @conf the next default address if it has none; nic_new does it, for devices that need the
 * address earlier (EEPROM contents). */
void nic_conf_default_mac(struct machine *m, struct nic_conf *conf);
/* nic->mac changed. */
void nic_set_mac(struct nic *nic, const uint8_t mac[6]);
/* announce_self: tells switches where the NICs are (those in @names, "a,b"; NULL: all), at once and
 * again after initial, initial + step ... but at most max ms, @rounds times in all. */
struct nic_announcement {
    uint32_t initial_ms, max_ms, rounds, step_ms;
};
#define NIC_ANNOUNCE_DEFAULT                                                                       \
    {                                                                                              \
        50, 550, 5, 100                                                                            \
    }
void nic_announce(struct machine *m, const struct nic_announcement *how, const char *names);

/* The multicast hash of most datasheets: bits 31-26 (@bits 6) of the big-endian CRC-32 (IEEE 802.3)
 * of the address; net_crc32_le is the reflected form. */
uint32_t net_crc32_be(const uint8_t *p, size_t len);
uint32_t net_crc32_le(const uint8_t *p, size_t len);
/* The Internet checksum (RFC 1071) of @len bytes, as a number. */
uint16_t net_checksum(const void *data, size_t len);

/* ---- options and monitor ---- */

enum net_option_kind { NET_OPTION_NETDEV, NET_OPTION_NIC, NET_OPTION_NET, NET_OPTION_OBJECT };

/* One -netdev, -nic, -net or -object. */
struct net_option {
    enum net_option_kind kind;
    char *text; /* "-netdev user,id=n0", for messages */
    char *type, *id;
    struct keyval *args; /* the netdev's own */
    /* the NIC's: of -nic TYPE and -net nic */
    char *model, *mac, *netdev, *addr, *vectors;
    struct net_option *next;
};

/* options.c. Checks @arg and appends it to @list. "help" prints and sets *exit_now. */
bool net_option_parse(struct net_option **list, enum net_option_kind kind, const char *opt,
                      const char *arg, bool *exit_now, struct error *err);
/* -nic user, if nothing was said about the network. */
bool net_options_add_default(struct net_option **list, struct error *err);
void net_options_free(struct net_option *list);
/* A QMP object as the arguments that it would be on the command line: {"addr": {"host": "x"}} is
 * addr.host=x. The caller frees @list. */
bool net_keyval_of_json(const struct json *object, struct keyval **list, struct error *err);
/* The netdevs and their options, for -help and for the reference page. */
void net_options_print_help(void);
void net_options_print_docs(void);

/* Makes the netdevs and filters of the command line; before any device. */
bool net_init_netdevs(struct machine *m, struct error *err);
/* Makes the NICs of -nic, -net nic and the default; by the board, with PCI and ISA in place. */
bool net_init_nics(struct machine *m, struct error *err);
/* Warns of netdevs, hub ports and NICs without a peer; when all devices are made. */
void net_check_peers(struct machine *m);
/* netdev_add ("user,id=n0,..." or JSON) / netdev_del while running. */
bool netdev_add(struct machine *m, const char *arg, struct error *err);
bool netdev_del(struct machine *m, const char *id, struct error *err);
/* The same with the arguments of QMP's netdev_add. */
bool netdev_add_json(struct machine *m, const struct json *args, struct error *err);
/* object_add and object_del: filters. */
bool net_object_add(struct machine *m, const char *arg, struct error *err);
bool net_object_add_json(struct machine *m, const struct json *args, struct error *err);
bool net_object_del(struct machine *m, const char *id, struct error *err);
/* A filter-dump whose pcap stream goes to a function, from now until net_object_del(@id). @max_len:
 * bytes of each frame, 0: all. */
typedef void net_dump_fn(void *opaque, const void *data, size_t len);
bool net_dump_start(struct machine *m, const char *netdev, const char *id, uint32_t max_len,
                    net_dump_fn *fn, void *opaque, struct error *err);
/* info.c: info network; set_link NAME on|off. */
void net_info(struct machine *m, struct text *out);
bool net_set_link_by_name(struct machine *m, const char *name, bool up, struct error *err);
/* info usernet, hostfwd_add and hostfwd_remove: a user mode stack by name (NULL: the first one),
 * what it does with a rule. net_hostfwd_remove: false with an empty @err if there is no such rule.
 */
void net_info_usernet(struct machine *m, struct text *out);
struct net_client *net_find_usernet(struct machine *m, const char *name, struct error *err);
bool net_hostfwd_add(struct net_client *nc, const char *rule, struct error *err);
bool net_hostfwd_remove(struct net_client *nc, const char *rule, struct error *err);
void net_cleanup(struct machine *m); /* all clients; when the machine goes */

#endif
