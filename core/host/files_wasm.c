/*
 * Files under JavaScript. The files of the command line are announced and made available before the
 * machine is built (host_prepare); what is read while it runs are remote files, numbers of
 * JavaScript's. Under Node all files are local, and none is remote.
 */
#include <emscripten.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "host/wasm.h"

/* ---- before the machine ---- */

static struct {
    int (*fn)(void *opaque);
    void *opaque;
} prepared;

EMSCRIPTEN_KEEPALIVE void slipway_prepared(void)
{
    exit(prepared.fn(prepared.opaque)); /* not reached once the loop has begun: see host_main */
}

int host_prepare(const struct host_need *needs, size_t count, int (*then)(void *opaque),
                 void *opaque)
{
    for (size_t i = 0; i < count; i++)
        slipway_js_need(needs[i].path, needs[i].whole);
    prepared.fn = then;
    prepared.opaque = opaque;
    if (slipway_js_prepare())
        return then(opaque);
    emscripten_exit_with_live_runtime();
}

bool host_has_terminals(void)
{
    return slipway_js_screen();
}

/* ---- while it runs ---- */

struct request {
    struct host_remote *remote; /* NULL: nobody waits for it any more */
    host_remote_fn *done;
    void *opaque;
    struct request *next, **at; /* in remote's list */
};

struct host_remote {
    int number;
    struct request *requests;
};

struct host_remote *host_remote_open(const char *name, uint64_t *size, struct error *err)
{
    char message[300];
    double bytes = 0;
    int number = slipway_js_remote_open(name, &bytes, message, sizeof message);
    if (number <= 0) {
        if (number < 0)
            error_set(err, "%s", message);
        return NULL;
    }
    struct host_remote *r = calloc(1, sizeof *r);
    if (!r) {
        slipway_js_remote_close(number);
        error_set(err, "out of memory");
        return NULL;
    }
    r->number = number;
    *size = (uint64_t)bytes;
    return r;
}

static void unlink_request(struct request *q)
{
    *q->at = q->next;
    if (q->next)
        q->next->at = q->at;
    q->remote = NULL;
}

EMSCRIPTEN_KEEPALIVE void slipway_remote_done(struct request *q, int ok)
{
    if (q->remote) {
        unlink_request(q);
        q->done(q->opaque, ok ? 0 : -EIO);
        host_wake();
    }
    free(q);
}

void host_remote_read(struct host_remote *r, uint64_t offset, void *buf, size_t len,
                      host_remote_fn *done, void *opaque)
{
    struct request *q = malloc(sizeof *q);
    if (!q)
        abort(); /* a completion that is lost hangs the guest for good */
    *q = (struct request){ r, done, opaque, r->requests, &r->requests };
    if (q->next)
        q->next->at = &q->next;
    r->requests = q;
    if (slipway_js_remote_read(r->number, (double)offset, buf, len, q))
        slipway_remote_done(q, true);
}

void host_remote_wait(struct host_remote *r)
{
    if (r->requests)
        slipway_js_remote_wait(r->number);
}

/* JavaScript forgets a closed file's requests: they are freed here. */
void host_remote_close(struct host_remote *r)
{
    slipway_js_remote_close(r->number);
    while (r->requests) {
        struct request *q = r->requests;
        unlink_request(q);
        free(q);
    }
    free(r);
}
