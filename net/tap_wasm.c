/*
 * -netdev tap and bridge where there are no TAP interfaces: a clear error.
 */
#include "net/tap_options.h"

static struct net_client *refuse(struct error *err)
{
    error_set(err, "TAP interfaces are only available in the native build");
    return NULL;
}

struct net_client *tap_create(struct machine *m, const char *name, const struct keyval *args,
                              struct error *err)
{
    return refuse(err);
}

struct net_client *bridge_create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    return refuse(err);
}
