/*
 * What a client may do: rooms, where it may connect to, where it may listen, how much of it. The
 * configuration has one policy for clients without a token; a token carries its own. Both are
 * written with the same keys.
 */
#ifndef SLIPWAY_RELAY_POLICY_H
#define SLIPWAY_RELAY_POLICY_H

#include "core/error.h"
#include "relay/protocol.h"

/* Addresses and ports: a network, or a class of relay/egress.h. */
struct range {
    bool by_class;
    uint8_t class; /* by_class; otherwise that of `net` itself */
    struct relay_address net;
    uint8_t bits;
    uint16_t port_min, port_max;
};

struct ranges {
    struct range *of;
    size_t n;
};

struct policy {
    unsigned references;
    char **rooms; /* names, or beginnings of names that end in '*' */
    size_t n_rooms;
    struct ranges egress, bind;
    bool dns;
    bool smb; /* the directory that the relay shares, if it does */
    uint32_t max_channels;
    uint64_t max_bytes_per_s;  /* both directions together; 0: no limit */
    uint64_t max_frames_per_s; /* sent by the client; 0: no limit */
    uint64_t memory;           /* bytes that a client's channels may hold here */
};

/* The relay's defaults: all rooms, public addresses, nothing to listen on. One reference. */
struct policy *policy_new(void);
/* Nothing is allowed; the limits are the defaults. What a token starts from. */
struct policy *policy_new_closed(void);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);

/* Is @key one of a policy's? */
bool policy_has_key(const char *key);
/* Sets it; false and @err: the value is wrong. */
bool policy_set(struct policy *p, const char *key, const char *value, struct error *err);
/* One line a key: name, a form of its value, what it means. NULL ends. */
struct policy_key {
    const char *name, *form, *help;
};
extern const struct policy_key policy_keys[];

bool policy_may_join(const struct policy *p, struct relay_bytes room);
/* @dial, @class: what egress_check() made of the address. */
bool policy_may_reach(const struct policy *p, const struct relay_address *dial, unsigned class);
bool policy_may_bind(const struct policy *p, const struct relay_address *addr);

/* A list "public, 10.0.0.0/8:80-443, [fd00::/8]:22, none". */
bool ranges_parse(struct ranges *r, const char *text, struct error *err);
void ranges_free(struct ranges *r);
bool ranges_contain(const struct ranges *r, const struct relay_address *addr, unsigned class);

/* "127.0.0.1", "::1"; false: neither. */
bool address_parse(struct relay_address *a, const char *text);
/* "ADDR:PORT", "[ADDR]:PORT" or "PORT" (of 127.0.0.1). */
bool endpoint_parse(struct relay_address *a, const char *text, struct error *err);
/* "127.0.0.1:80", "[::1]:80"; the result is good for the next three calls. */
const char *address_text(const struct relay_address *a);

/* A number with k, M, G (powers of 1024) behind it. */
bool size_parse(uint64_t *v, const char *text, struct error *err);

#endif
