/*
 * Descriptors, timers and turns of the relay's loop. Each is an object of its own that may be freed
 * at any time, from within its own callback too; nothing is called after that.
 */
#ifndef SLIPWAY_RELAY_LOOP_H
#define SLIPWAY_RELAY_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct watch;
/* @events: UV_READABLE, UV_WRITABLE, UV_PRIORITIZED; an error of the descriptor counts as all that
 * was asked for. */
typedef void watch_fn(void *owner, int events);

/* Watches @fd, at first for nothing. NULL: it can't be watched. */
struct watch *watch_new(uv_loop_t *loop, int fd, watch_fn *ready, void *owner);
void watch_set(struct watch *w, int events);
/* Ends; doesn't close the descriptor, which may be closed right after it. NULL is nothing. */
void watch_free(struct watch *w);

struct timer;
typedef void timer_fn(void *owner);
/* A timer that isn't running. */
struct timer *timer_new(uv_loop_t *loop, timer_fn *due, void *owner);
/* Runs in @ms, then each @repeat_ms (0: once); started again, it forgets what it was at. */
void timer_start(struct timer *t, uint64_t ms, uint64_t repeat_ms);
void timer_stop(struct timer *t);
void timer_free(struct timer *t);

struct turns;
typedef void turn_fn(void *owner);
/* Something to do once each turn of the loop, before it waits for events; while that is on, it
 * doesn't wait. */
struct turns *turns_new(uv_loop_t *loop, turn_fn *turn, void *owner);
void turns_set(struct turns *t, bool on);
void turns_free(struct turns *t);

#endif
