/*
 * A user-mode network: one instance of libslirp with its sockets, clock and turns of the event loop
 * (stack.c). Frames go in and out; the netdev (user.c) is around it, tests drive it directly.
 */
#ifndef SLIPWAY_USER_STACK_H
#define SLIPWAY_USER_STACK_H

#include <libslirp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct user_stack;
struct user_transport;

struct user_stack_ops {
    /* A frame for the guest. False: no room now (then user_stack_writable() follows); it is lost,
     * so can_send is asked first wherever the stack can wait. @gso_size not 0: TCP that is to be
     * cut into segments of that size, with the sum of the pseudo-header for a checksum. */
    bool (*send)(void *opaque, const uint8_t *data, size_t len, unsigned gso_size);
    bool (*can_send)(void *opaque);
    bool (*can_cut)(void *opaque, bool ipv6); /* optional: are such frames welcome? */
    void (*turned)(void *opaque); /* optional: the stack has done what there was to do */
};

/* @transport belongs to the stack from now on, also when it fails (NULL). */
struct user_stack *user_stack_new(struct machine *m, const SlirpConfig *config,
                                  struct user_transport *transport,
                                  const struct user_stack_ops *ops, void *opaque);
void user_stack_free(struct user_stack *s);
/* A frame from the guest, up to 64 KB of TCP at once. @checked: its checksums needn't be right.
 * False: too much waits for the guest already; user_stack_ops.can_send must become true first. */
bool user_stack_input(struct user_stack *s, const uint8_t *data, size_t len, bool checked);
/* The guest's side has room again. */
void user_stack_writable(struct user_stack *s);
/* Frames thrown away since too many fragments wait to be completed. */
uint64_t user_stack_dropped(const struct user_stack *s);

/* For calls of libslirp.h from outside of the stack: between the two, new sockets are this stack's.
 * leave() lets the loop look at them. */
Slirp *user_stack_enter(struct user_stack *s, struct user_transport **before);
void user_stack_leave(struct user_stack *s, struct user_transport *before);

#endif
