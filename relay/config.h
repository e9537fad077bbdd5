/*
 * The relay's configuration: a file of `key = value` lines, and the same keys as `--key value` on
 * the command line, which win. relay/slipway-relay.conf.example shows all of them.
 */
#ifndef SLIPWAY_RELAY_CONFIG_H
#define SLIPWAY_RELAY_CONFIG_H

#include "core/error.h"
#include "relay/policy.h"

struct strings {
    char **of;
    size_t n;
};

/* A room that the configuration declares: what is attached to it, from its start on. */
struct room_config {
    char *name;
    struct strings attach; /* "tap,ifname=tap0,...", "socket,listen=..." */
};

struct config {
    struct strings listen; /* addresses; checked */
    char *tls_cert, *tls_key;
    char *smb_share;
    char *web;      /* directory; NULL: no static files */
    bool isolation; /* COOP and COEP */
    bool metrics;
    struct strings origin, host;
    bool anonymous, anonymous_given; /* clients without a token? */
    char *secret;                    /* file */
    struct policy *policy;
    struct ranges deny;
    struct strings nameserver;
    uint64_t max_clients, max_clients_per_address, max_memory;
    uint64_t max_room_members, max_macs;
    uint64_t keepalive_s, resume_s, connect_timeout_s, dns_timeout_s, udp_timeout_s;
    bool compatibility; /* /wisp/, /ether/, /qemu/ */
    char *user, *group, *chroot_dir;
    bool seccomp;
    char *log_level;
    struct room_config *rooms;
    size_t n_rooms;
};

/* The defaults, then @file (NULL: none), then @n pairs of key and value in @set. NULL and @err
 * (with file, line, key): wrong. */
struct config *config_load(const char *file, char *const *set, size_t n, struct error *err);
void config_free(struct config *c);
/* Is there such a key for the command line? */
bool config_has_key(const char *key);
/* All keys with their help, to stdout. */
void config_help(void);

#endif
