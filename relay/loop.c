/*
 * libuv's handles live on until their close callback has run; here that is nobody else's business.
 */
#include "relay/loop.h"

#include <stdlib.h>

struct watch {
    uv_poll_t poll;
    watch_fn *ready;
    void *owner;
    int events;
};

static void free_watch(uv_handle_t *handle)
{
    free(handle->data);
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    if (status < 0) { /* libuv has stopped it */
        uv_poll_start(poll, w->events, ready);
        events = w->events;
    }
    w->ready(w->owner, events);
}

struct watch *watch_new(uv_loop_t *loop, int fd, watch_fn *fn, void *owner)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w || uv_poll_init(loop, &w->poll, fd)) {
        free(w);
        return NULL;
    }
    w->ready = fn;
    w->owner = owner;
    w->poll.data = w;
    return w;
}

void watch_set(struct watch *w, int events)
{
    if (events == w->events)
        return;
    w->events = events;
    if (events)
        uv_poll_start(&w->poll, events, ready);
    else
        uv_poll_stop(&w->poll);
}

void watch_free(struct watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, free_watch);
}

struct timer {
    uv_timer_t timer;
    timer_fn *due;
    void *owner;
};

static void free_timer(uv_handle_t *handle)
{
    free(handle->data);
}

static void due(uv_timer_t *timer)
{
    struct timer *t = timer->data;
    t->due(t->owner);
}

struct timer *timer_new(uv_loop_t *loop, timer_fn *fn, void *owner)
{
    struct timer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    uv_timer_init(loop, &t->timer);
    t->due = fn;
    t->owner = owner;
    t->timer.data = t;
    return t;
}

void timer_start(struct timer *t, uint64_t ms, uint64_t repeat_ms)
{
    uv_update_time(t->timer.loop);
    uv_timer_start(&t->timer, due, ms, repeat_ms);
}

void timer_stop(struct timer *t)
{
    uv_timer_stop(&t->timer);
}

void timer_free(struct timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->timer, free_timer);
}

struct turns {
    uv_idle_t idle;
    turn_fn *turn;
    void *owner;
};

static void free_turns(uv_handle_t *handle)
{
    free(handle->data);
}

static void turn(uv_idle_t *idle)
{
    struct turns *t = idle->data;
    t->turn(t->owner);
}

struct turns *turns_new(uv_loop_t *loop, turn_fn *fn, void *owner)
{
    struct turns *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    uv_idle_init(loop, &t->idle);
    t->turn = fn;
    t->owner = owner;
    t->idle.data = t;
    return t;
}

void turns_set(struct turns *t, bool on)
{
    if (on)
        uv_idle_start(&t->idle, turn);
    else
        uv_idle_stop(&t->idle);
}

void turns_free(struct turns *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->idle, free_turns);
}
