/*
 * Filters: objects on a netdev that see the frames which go through it (-object filter-*). See
 * filter.c.
 */
#ifndef SLIPWAY_FILTER_H
#define SLIPWAY_FILTER_H

#include "net/net_impl.h"
#include "net/netdev.h"

enum net_direction {
    NET_RX, /* towards the netdev: what the guest sends */
    NET_TX, /* from the netdev */
};
enum filter_queue { FILTER_ALL, FILTER_RX, FILTER_TX };

struct filter_class {
    const char *type, *help;             /* "filter-dump" */
    const struct netdev_option *options; /* its own, besides those of all filters */
    size_t size;                         /* of its struct, which begins with struct net_filter */
    /* Opens what it needs; what it has opened before an error is left to cleanup. */
    bool (*setup)(struct net_filter *f, const struct keyval *args, struct error *err);
    /* Sees a frame. True: takes it away. */
    bool (*frame)(struct net_filter *f, enum net_direction d, const struct net_frame *frame);
    /* After filter_inject() returned false: there may be room. Optional. */
    void (*writable)(struct net_filter *f);
    void (*describe)(const struct net_filter *f, struct text *out); /* "file=x,maxlen=1," */
    void (*cleanup)(struct net_filter *f);
};

struct net_filter {
    const struct filter_class *cls;
    struct machine *machine;
    struct net_client *netdev;
    char *id, *position;
    enum filter_queue queue;
    bool off, before;        /* status=off, insert=before */
    bool began;              /* setup() was called */
    bool blocked;            /* filter_inject() had no room */
    struct net_filter *next; /* of the netdev, in the order in which they see sent frames */
};

/* Sends @frame on its way behind @f, as if it had come to @f in that direction. False: no room,
 * cls->writable follows. */
bool filter_inject(struct net_filter *f, enum net_direction d, const struct net_frame *frame);

/* Makes a filter of a class, as -object does; its netdev owns it. */
struct net_filter *filter_make(struct machine *m, const struct filter_class *c, const char *id,
                               const struct keyval *args, struct error *err);

/* For options.c. */
const struct filter_class *filter_class_find(const char *type);
bool filter_check_args(const struct filter_class *c, const struct keyval *args, struct error *err);
void filter_print_types(void);
void filter_print_options(const struct filter_class *c);
void filter_print_docs(void);

extern const struct filter_class filter_dump, filter_mirror, filter_redirector;

#endif
