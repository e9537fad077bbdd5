/*
 * Sockets under JavaScript: none yet, so connections are refused as unreachable; the stack's own
 * services work.
 */
#include <errno.h>
#include <stdlib.h>

#include "net/user/sockets.h"

static struct user_channel *none_open(struct user_transport *t, int family, int type, int protocol,
                                      int *error)
{
    (void)t, (void)family, (void)type, (void)protocol;
    *error = -ENETUNREACH;
    return NULL;
}

static void none_free(struct user_transport *t)
{
    free(t);
}

static const struct user_transport_ops none = { .open = none_open, .free = none_free };

struct user_transport *user_host_transport_new(const char *label)
{
    struct user_transport *t = calloc(1, sizeof *t);
    if (t) {
        t->ops = &none;
        t->label = label;
    }
    return t;
}
