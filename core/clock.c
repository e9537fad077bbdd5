/*
 * The virtual clock and its timers.
 *
 * Real time: virtual = host monotonic + offset_ns while running; clock_stop() freezes it in
 * stopped_ns and clock_start() picks an offset that continues from there. icount: virtual =
 * instructions << shift + bias, and bias grows by what the guest slept.
 *
 * Pending timers form a binary heap by deadline (equal ones run in any order); each knows its slot,
 * so moving one is O(log n). clock_run_timers() looks at the time once and bounds the callbacks it
 * makes, so that a device whose guest asked for a period of nothing can't keep the loop from going
 * on.
 */
#include "clock.h"

#include <assert.h>
#include <stdlib.h>

#include "host/host.h"

void clock_init(struct clock *c)
{
    *c = (struct clock){ .icount_shift = -1 };
}

void clock_free(struct clock *c)
{
    free(c->heap);
    c->heap = NULL;
    c->count = c->capacity = 0;
}

static bool is_icount(const struct clock *c)
{
    return c->icount_shift >= 0;
}

int64_t clock_at_ns(struct clock *c, int64_t host_ns)
{
    if (is_icount(c)) {
        uint64_t n = c->icount ? *c->icount : 0;
        if (c->icount_budget)
            n -= (uint64_t)(int64_t)*c->icount_budget;
        return (int64_t)((n << c->icount_shift) + c->icount_bias_ns);
    }
    return c->running ? host_ns + c->offset_ns : c->stopped_ns;
}

int64_t clock_now_ns(struct clock *c)
{
    return clock_at_ns(c, c->running && !is_icount(c) ? host_monotonic_ns() : 0);
}

uint64_t clock_ticks(int64_t ns, uint64_t hz)
{
    uint64_t t = ns < 0 ? 0 : (uint64_t)ns;
    return t / NS_PER_SEC * hz + t % NS_PER_SEC * hz / NS_PER_SEC;
}

int64_t clock_ticks_to_ns(uint64_t ticks, uint64_t hz)
{
    uint64_t seconds = ticks / hz;
    if (seconds >= (uint64_t)(INT64_MAX / NS_PER_SEC))
        return INT64_MAX;
    return (int64_t)(seconds * NS_PER_SEC + (ticks % hz * NS_PER_SEC + hz - 1) / hz);
}

void clock_start(struct clock *c)
{
    if (c->running)
        return;
    c->offset_ns = c->stopped_ns - host_monotonic_ns();
    c->running = true;
}

void clock_stop(struct clock *c)
{
    if (!c->running)
        return;
    if (!is_icount(c))
        c->stopped_ns = clock_now_ns(c);
    c->running = false;
}

int64_t clock_deadline_ns(struct clock *c)
{
    return c->count ? c->heap[0]->expire_ns : INT64_MAX;
}

void clock_warp_to(struct clock *c, int64_t ns)
{
    int64_t now = clock_now_ns(c);
    if (is_icount(c) && ns > now)
        c->icount_bias_ns += (uint64_t)(ns - now);
}

void clock_set_now(struct clock *c, int64_t before, int64_t ns)
{
    uint64_t delta = (uint64_t)ns - (uint64_t)clock_now_ns(c);
    for (size_t i = 0; i < c->count; i++) {
        int64_t at;
        if (__builtin_add_overflow(c->heap[i]->expire_ns, ns - before, &at))
            at = INT64_MAX;
        c->heap[i]->expire_ns = at < 0 ? 0 : at;
    }
    if (is_icount(c))
        c->icount_bias_ns += delta;
    else if (c->running)
        c->offset_ns += (int64_t)delta;
    else
        c->stopped_ns = ns;
}

/* ---- the heap ---- */

static void place(struct clock *c, size_t slot, struct timer *t)
{
    c->heap[slot] = t;
    t->slot = slot;
}

static void sift_up(struct clock *c, size_t i)
{
    struct timer *t = c->heap[i];
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (c->heap[parent]->expire_ns <= t->expire_ns)
            break;
        place(c, i, c->heap[parent]);
        i = parent;
    }
    place(c, i, t);
}

static void sift_down(struct clock *c, size_t i)
{
    struct timer *t = c->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= c->count)
            break;
        if (child + 1 < c->count && c->heap[child + 1]->expire_ns < c->heap[child]->expire_ns)
            child++;
        if (t->expire_ns <= c->heap[child]->expire_ns)
            break;
        place(c, i, c->heap[child]);
        i = child;
    }
    place(c, i, t);
}

void timer_init(struct timer *t, struct clock *c, timer_fn *fn, void *opaque)
{
    *t = (struct timer){ .clock = c, .fn = fn, .opaque = opaque, .expire_ns = -1 };
}

void timer_del(struct timer *t)
{
    struct clock *c = t->clock;
    if (!timer_pending(t))
        return;
    size_t i = t->slot;
    struct timer *last = c->heap[--c->count];
    t->expire_ns = -1;
    if (last == t)
        return;
    place(c, i, last);
    sift_up(c, i);
    sift_down(c, last->slot);
}

void timer_mod(struct timer *t, int64_t expire_ns)
{
    struct clock *c = t->clock;
    int64_t before = clock_deadline_ns(c);
    bool pending = timer_pending(t);
    if (expire_ns < 0)
        expire_ns = 0;
    if (pending && t->expire_ns == expire_ns)
        return;
    if (!pending) {
        if (c->count == c->capacity) {
            size_t capacity = c->capacity ? 2 * c->capacity : 64;
            struct timer **heap = realloc(c->heap, capacity * sizeof *heap);
            if (!heap)
                abort(); /* half a kilobyte; a timer that is lost stops the guest for good */
            c->heap = heap;
            c->capacity = capacity;
        }
        place(c, c->count++, t);
    }
    t->expire_ns = expire_ns;
    sift_up(c, t->slot);
    sift_down(c, t->slot);
    if (expire_ns < before) {
        c->timers_changed = true;
        if (c->nearer)
            c->nearer(c->nearer_opaque);
    }
}

void clock_run_timers(struct clock *c)
{
    if (c->count == 0)
        return;
    int64_t now = clock_now_ns(c);
    size_t left = 4 * c->count + 64;
    while (left-- > 0 && c->count > 0 && c->heap[0]->expire_ns <= now) {
        struct timer *t = c->heap[0];
        timer_del(t);
        t->fn(t->opaque);
    }
    c->timers_changed = false;
}
