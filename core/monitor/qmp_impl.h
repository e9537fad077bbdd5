/*
 * Between qmp.c (the protocol) and qmp_commands.c (the commands).
 */
#ifndef SLIPWAY_QMP_IMPL_H
#define SLIPWAY_QMP_IMPL_H

#include "monitor/monitor_impl.h"

struct qmp_call {
    struct monitor *mon;
    struct machine *machine;
    const struct json *args; /* checked against the declaration; NULL: none */
    struct text *value;      /* the return value, as JSON; empty: {} */
    struct error *err;
    const char *class; /* of the error */
};

struct qmp_command {
    const char *name;
    /* "name:type" words; s string, i integer, b boolean, a array; '?' = optional. "*" alone: fn
     * checks them. */
    const char *args;
    bool (*fn)(struct qmp_call *call);
};
extern const struct qmp_command qmp_commands[]; /* ended by a NULL name */

/* qmp_net.c */
bool qmp_set_link(struct qmp_call *c);
bool qmp_device_add(struct qmp_call *c);
bool qmp_device_del(struct qmp_call *c);
bool qmp_netdev_add(struct qmp_call *c);
bool qmp_netdev_del(struct qmp_call *c);
bool qmp_announce_self(struct qmp_call *c);
bool qmp_object_add(struct qmp_call *c);
bool qmp_object_del(struct qmp_call *c);

/* monitor_input.c */
bool qmp_query_mice(struct qmp_call *c);
bool qmp_input_send_event(struct qmp_call *c);

/* hmp_snapshot.c */
bool qmp_migrate(struct qmp_call *c);
bool qmp_migrate_incoming(struct qmp_call *c);

void qmp_print_version(struct text *t);
/* "Invalid parameter type for ..."; returns false. */
bool qmp_wrong_type(struct error *err, const char *name, enum json_type want);

#endif
