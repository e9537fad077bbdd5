/*
 * Deferred and periodic calls of the event loop. The lists are the process's: host.h's functions
 * name no context. A callback may defer, start and stop calls; what it defers runs in the next
 * round, so the loop can't starve.
 */
#include "host/work.h"

#include <stdlib.h>

#include "host/host.h"

struct call {
    void (*fn)(void *opaque);
    void *opaque;
    struct call *next;
};

struct periodic {
    void (*fn)(void *opaque);
    void *opaque;
    int64_t period_ns, due_ns;
    struct periodic *next;
};

static struct {
    struct call *calls, **calls_end;
    struct periodic *periodics;
} work = { .calls_end = &work.calls };

void host_defer(void (*fn)(void *opaque), void *opaque)
{
    struct call *c = malloc(sizeof *c);
    if (!c)
        abort();
    *c = (struct call){ .fn = fn, .opaque = opaque };
    *work.calls_end = c;
    work.calls_end = &c->next;
    host_wake();
}

bool host_has_deferred(void)
{
    return work.calls != NULL;
}

void host_run_deferred(void)
{
    struct call *c = work.calls;
    work.calls = NULL;
    work.calls_end = &work.calls;
    while (c) {
        struct call *next = c->next;
        c->fn(c->opaque);
        free(c);
        c = next;
    }
}

void host_every(int64_t period_ns, void (*fn)(void *opaque), void *opaque)
{
    struct periodic **at = &work.periodics;
    while (*at && ((*at)->fn != fn || (*at)->opaque != opaque))
        at = &(*at)->next;
    struct periodic *p = *at;
    if (!p) { /* at the end: host_run_periodics, which may be calling us, still comes to it */
        p = *at = calloc(1, sizeof *p);
        if (!p)
            abort();
        p->fn = fn;
        p->opaque = opaque;
    }
    p->period_ns = period_ns;
    p->due_ns = host_monotonic_ns() + period_ns;
}

void host_every_stop(void (*fn)(void *opaque), void *opaque)
{
    for (struct periodic *p = work.periodics; p; p = p->next)
        if (p->fn == fn && p->opaque == opaque)
            p->fn = NULL; /* freed by host_run_periodics, which may be walking the list */
}

int64_t host_run_periodics(void)
{
    int64_t now = host_monotonic_ns(), wait = INT64_MAX;
    for (struct periodic **at = &work.periodics; *at;) {
        struct periodic *p = *at;
        if (p->fn && p->due_ns <= now) {
            p->due_ns += p->period_ns;
            if (p->due_ns <= now)
                p->due_ns = now + p->period_ns; /* late: don't catch up */
            p->fn(p->opaque);
        }
        if (!p->fn) {
            *at = p->next;
            free(p);
            continue;
        }
        if (p->due_ns - now < wait)
            wait = p->due_ns - now;
        at = &p->next;
    }
    return wait < 0 ? 0 : wait;
}
