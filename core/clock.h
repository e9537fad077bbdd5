/*
 * Time. One virtual clock, in ns, that stops with the machine; devices hang timers on it.
 *
 * Real-time mode (default): virtual time follows the host's monotonic clock while the machine runs.
 * -icount shift=N: virtual time is the number of guest instructions << N plus the time skipped
 * while the guest slept, so a run is deterministic. The main loop asks clock_deadline_ns() how long
 * the CPU may run or sleep, then calls clock_run_timers().
 *
 * Timers sit in a binary heap inside struct clock; a struct timer is the owner's.
 */
#ifndef SLIPWAY_CLOCK_H
#define SLIPWAY_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_SEC 1000000000ll

typedef void timer_fn(void *opaque);

struct clock;

struct timer {
    struct clock *clock;
    timer_fn *fn;
    void *opaque;
    int64_t expire_ns; /* virtual time; -1: not pending */
    size_t slot;       /* in the heap */
};

struct clock {
    struct timer **heap;
    size_t count, capacity;
    bool running;
    int icount_shift;  /* -1: real time */
    int64_t offset_ns; /* real time: virtual = host + offset (running) or stopped_ns */
    int64_t stopped_ns;
    uint64_t icount_bias_ns; /* icount: time skipped while halted */
    /* icount: cpu->icount and cpu->budget, whose difference is the exact count */
    const uint64_t *icount;
    const int32_t *icount_budget;
    bool timers_changed;          /* the earliest deadline moved nearer; CPU loops look at it */
    void (*nearer)(void *opaque); /* may be NULL: called then, ends a slice that is too long now */
    void *nearer_opaque;
};

void clock_init(struct clock *c);
void clock_free(struct clock *c);
/* Virtual time. Never goes back. */
int64_t clock_now_ns(struct clock *c);
/* The same for a caller that has just read host_monotonic_ns(). */
int64_t clock_at_ns(struct clock *c, int64_t host_ns);
/* Ticks of a @hz counter since time 0, computed without overflow. */
uint64_t clock_ticks(int64_t ns, uint64_t hz);
/* The first virtual time at which a @hz counter that started at time 0 has counted @ticks (rounded
 * up). */
int64_t clock_ticks_to_ns(uint64_t ticks, uint64_t hz);
void clock_start(struct clock *c);
void clock_stop(struct clock *c);
/* Virtual time of the earliest timer, INT64_MAX if none. */
int64_t clock_deadline_ns(struct clock *c);
/* Runs all timers that are due. */
void clock_run_timers(struct clock *c);
/* A saved state is being loaded: it was @before and is @ns now. Timers keep their distance; devices
 * set theirs anew. */
void clock_set_now(struct clock *c, int64_t before, int64_t ns);
/* icount mode, guest asleep: jump to @ns. */
void clock_warp_to(struct clock *c, int64_t ns);

void timer_init(struct timer *t, struct clock *c, timer_fn *fn, void *opaque);
/* (Re)arms for virtual time @expire_ns; a time in the past fires at the next chance. */
void timer_mod(struct timer *t, int64_t expire_ns);
void timer_del(struct timer *t);
static inline bool timer_pending(const struct timer *t)
{
    return t->expire_ns >= 0;
}

#endif
