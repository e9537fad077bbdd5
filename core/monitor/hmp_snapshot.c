/*
 * Saved states in the monitors: savevm, loadvm, delvm, info snapshots, and migrate and
 * migrate_incoming to and from a file, in QEMU's manner and words where it has them.
 */
#include <string.h>

#include "monitor/qmp_impl.h"
#include "snapshot.h"

static const char *file_of(const char *uri, struct error *err)
{
    if (!strncmp(uri, "file:", 5) && uri[5])
        return uri + 5;
    error_set(err, "unknown migration protocol: %.200s (only file:NAME is)", uri);
    return NULL;
}

/* The machine stops for good, as it goes on elsewhere. */
static bool migrate(struct machine *m, const char *uri, struct error *err)
{
    const char *file = file_of(uri, err);
    bool running = m->state == RUN_STATE_RUNNING;
    if (!file)
        return false;
    machine_stop(m);
    if (snapshot_save_file(m, file, err))
        return true;
    if (running)
        machine_start(m);
    return false;
}

static bool incoming(struct machine *m, const char *uri, struct error *err)
{
    const char *file = file_of(uri, err);
    if (!file || !snapshot_load_file(m, file, err))
        return false;
    if (m->opt->incoming && !strcmp(m->opt->incoming, "defer") && !m->opt->start_paused)
        machine_start(m);
    return true;
}

void hmp_savevm(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, snapshot_save_named(m, a[0].given ? a[0].s : NULL, &err), &err);
}

void hmp_loadvm(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, snapshot_load_named(m, a[0].s, &err), &err);
}

void hmp_delvm(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, snapshot_delete(m, a[0].s, &err), &err);
}

void hmp_info_snapshots(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    snapshot_info(m, out);
}

void hmp_migrate(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, migrate(m, a[1].s, &err), &err); /* a[0]: -d, it is over at once anyway */
}

void hmp_migrate_incoming(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, incoming(m, a[0].s, &err), &err);
}

static bool with_uri(struct qmp_call *c,
                     bool (*fn)(struct machine *m, const char *uri, struct error *err))
{
    return fn(c->machine, json_get(c->args, "uri")->s, c->err);
}

bool qmp_migrate(struct qmp_call *c)
{
    return with_uri(c, migrate);
}

bool qmp_migrate_incoming(struct qmp_call *c)
{
    return with_uri(c, incoming);
}
