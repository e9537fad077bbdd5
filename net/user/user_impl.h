/*
 * What the files of the user netdev share: the netdev, its checked options and its forwardings.
 */
#ifndef SLIPWAY_USER_IMPL_H
#define SLIPWAY_USER_IMPL_H

#include <libslirp.h>

#include "net/net.h"
#include "net/user/stack.h"
#include "options.h"

struct text;
struct chardev;
struct user_net;
struct relay_link;

/* A guestfwd to a chardev: what the guest sends to server:port goes there, and back. */
struct user_guestfwd {
    struct user_net *net;
    struct in_addr server;
    int port;
    struct chardev *chr;
    bool ours; /* made for it, not a -chardev's */
    struct user_guestfwd *next;
};

struct user_net {
    struct net_client nc;
    struct user_stack *stack;
    struct in_addr network;
    bool restricted;
    bool refused;                /* a frame from the guest waits in the queue in front of us */
    bool fetch;                  /* the outside is HTTP through fetch() */
    struct relay_link *relay;    /* NULL: the sockets are the host's */
    struct user_transport *wisp; /* the stack's, if it is a Wisp server; else NULL */
    struct user_guestfwd *guestfwds;
    char *smb_dir; /* configuration of the smbd that serves smb=; NULL: none */
};

/* user_config.c: @args as libslirp wants them, checked in QEMU's order and with its messages.
 * Strings belong to @args; *search (freed by the caller) holds the list of dnssearch. */
struct user_config {
    SlirpConfig slirp;
    const char **search;
    struct in_addr smb_server;
    bool smb_given;
};
bool user_config_parse(struct user_config *c, const struct keyval *args, struct error *err);

/* user_forward.c. Rules as in hostfwd= and guestfwd=. */
bool user_hostfwd_add(struct user_net *u, const char *rule, struct error *err);
bool user_hostfwd_remove(struct user_net *u, const char *rule, struct error *err);
bool user_guestfwd_add(struct user_net *u, const char *rule, struct error *err);
/* After a turn of the stack: what the chardevs have goes on where there is room. */
void user_guestfwd_continue(struct user_net *u);
void user_guestfwd_free_all(struct user_net *u);

/* user_smb_*.c: serves @dir with the host's smbd at @server. Sets u->smb_dir. */
bool user_smb_start(struct user_net *u, const char *dir, struct in_addr server, bool given,
                    struct error *err);
void user_smb_stop(struct user_net *u);

#endif
