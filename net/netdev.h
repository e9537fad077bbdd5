/*
 * What a kind of netdev is (user, hubport, socket, ...): a name, a table of options and a function
 * that makes one. The table is all there is to say about its options: -netdev, -nic and -net check
 * against it, -netdev TYPE,help and docs/options.md print it.
 *
 * A backend is one file (user.c, socket.c ...) that defines its `const struct netdev_class`; it is
 * known once netdev_classes (netdev.c) has it.
 */
#ifndef SLIPWAY_NETDEV_H
#define SLIPWAY_NETDEV_H

#include "monitor/text.h"
#include "net/net.h"
#include "options.h"

enum netdev_option_type {
    NETDEV_STRING,
    NETDEV_BOOL,   /* on or off; checked */
    NETDEV_NUMBER, /* 0 to 2^32-1; checked */
    NETDEV_LIST,   /* a string that may be given several times: hostfwd */
};
enum { NETDEV_REQUIRED = 1 };

struct netdev_option {
    const char *name; /* QEMU's; "addr.host" for members of a group */
    enum netdev_option_type type;
    const char *value; /* how help shows its value: "ADDR[/MASK]"; NULL: by type */
    const char *help;
    unsigned flags;
};

struct netdev_class {
    const char *type, *help;             /* "user", "user mode network: ..." */
    const struct netdev_option *options; /* without id; ended by a NULL name */
    /* Makes the client with net_client_new(m, ops, size, type, name); @args were checked against
     * the table. NULL: @err says why ("Invalid host forwarding rule '...'"). Connects nothing. */
    struct net_client *(*create)(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err);
    bool netdev_only; /* not for -net */

    /* Monitor commands of user mode stacks; NULL: this isn't one. hostfwd_remove returns false with
     * an empty @err if there is no such rule. info_usernet prints the connections, as libslirp's
     * slirp_connection_info has them. */
    bool (*hostfwd_add)(struct net_client *nc, const char *rule, struct error *err);
    bool (*hostfwd_remove)(struct net_client *nc, const char *rule, struct error *err);
    void (*info_usernet)(struct net_client *nc, struct text *out);
};

/* All kinds, NULL-terminated. */
extern const struct netdev_class *const netdev_classes[];
const struct netdev_class *netdev_class_find(const char *type);

/* For tables of options like a class's: checks @args against @n of them; prints them for help and
 * for the reference page. */
bool netdev_check_args(const struct netdev_option *const *tables, size_t n,
                       const struct keyval *args, struct error *err);
void netdev_print_options(const struct netdev_option *table);
void netdev_print_options_docs(const struct netdev_option *table);

/* Values of checked arguments; the last one counts, as in QEMU. Strings: keyval_get (NULL: not
 * given); lists: all the keyvals of that key in order. */
bool netdev_arg_bool(const struct keyval *args, const char *key, bool absent);
uint32_t netdev_arg_number(const struct keyval *args, const char *key, uint32_t absent);

#endif
