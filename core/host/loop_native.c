/*
 * The native event loop: runs slices of the machine and, in between, sleeps in ppoll() until a
 * descriptor is ready, the machine's next timer is due or someone calls host_wake().
 *
 * The loop's state is the process's (the wake descriptor, the list of descriptors): host.h's
 * functions name no context. Descriptors may be added and removed while callbacks run;
 * removal only marks the poll set stale, and the dispatcher looks up each entry again before it
 * calls.
 *
 * SIGINT, SIGTERM and SIGHUP ask for an orderly shutdown: the handler sets a flag and wakes the
 * loop, so everything else runs outside signal context.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "host/host.h"
#include "host/native.h"
#include "host/work.h"
#include "machine.h"

#define SLICE_NS 10000000 /* the longest that a descriptor waits while the guest is busy */

static struct {
    struct host_poll *polls;
    struct pollfd *set; /* what the kernel sees; [0] is the wake descriptor */
    struct host_poll **owners;
    size_t capacity;
} loop;

static int wake_fd = -1;
static volatile sig_atomic_t got_signal, got_signal_pid, got_cont;

/* ---- time and randomness ---- */

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int64_t host_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t host_realtime_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void host_random(void *buf, size_t len)
{
    uint8_t *p = buf;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* not on any Linux that we run on */
        }
        p += n;
        len -= (size_t)n;
    }
}

/* ---- waking ---- */

static void open_wake_fd(void)
{
    if (wake_fd < 0)
        wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void host_wake(void)
{
    uint64_t one = 1;
    if (wake_fd >= 0 && write(wake_fd, &one, sizeof one) < 0) {
        /* full: it is awake already */
    }
}

/* ---- descriptors ---- */

void host_poll_add(struct host_poll *p)
{
    p->next = loop.polls;
    loop.polls = p;
}

void host_poll_remove(struct host_poll *p)
{
    for (struct host_poll **at = &loop.polls; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            return;
        }
}

static bool still_there(const struct host_poll *p)
{
    for (struct host_poll *q = loop.polls; q; q = q->next)
        if (q == p)
            return true;
    return false;
}

static size_t build_set(void)
{
    size_t n = 1;
    for (struct host_poll *p = loop.polls; p; p = p->next)
        n++;
    if (n > loop.capacity) {
        loop.set = realloc(loop.set, 2 * n * sizeof *loop.set);
        loop.owners = realloc(loop.owners, 2 * n * sizeof *loop.owners);
        if (!loop.set || !loop.owners)
            abort();
        loop.capacity = 2 * n;
    }
    loop.set[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    n = 1;
    for (struct host_poll *p = loop.polls; p; p = p->next)
        if (p->events) {
            loop.owners[n] = p;
            loop.set[n++] = (struct pollfd){ .fd = p->fd, .events = p->events };
        }
    return n;
}

/* Waits up to @wait_ns (INT64_MAX: for ever) and calls the owners of what became ready. */
static void poll_once(int64_t wait_ns)
{
    size_t n = build_set();
    struct timespec t = { .tv_sec = wait_ns / NS_PER_SEC, .tv_nsec = wait_ns % NS_PER_SEC };
    int ready = ppoll(loop.set, n, wait_ns == INT64_MAX ? NULL : &t, NULL);
    if (ready <= 0)
        return;
    if (loop.set[0].revents) {
        uint64_t count;
        if (read(wake_fd, &count, sizeof count) < 0) {
            /* nothing there: someone read it before */
        }
    }
    for (size_t i = 1; i < n; i++) {
        struct host_poll *p = loop.owners[i];
        short revents = loop.set[i].revents;
        if (revents && still_there(p) && p->fd == loop.set[i].fd)
            p->ready(p->opaque, revents);
    }
}

/* ---- signals ---- */

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    if (sig == SIGCONT) {
        got_cont = 1;
    } else {
        got_signal = sig;
        got_signal_pid = info->si_pid;
    }
    host_wake();
    errno = saved;
}

static void install_signals(void)
{
    struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
    sigaction(SIGCONT, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void handle_signals(struct machine *m)
{
    if (got_cont) {
        got_cont = 0;
        terminal_resume();
    }
    if (got_signal) {
        int sig = got_signal;
        got_signal = 0;
        fprintf(stderr, "slipway: terminating on signal %d from pid %d\n", sig,
                (int)got_signal_pid);
        machine_request_shutdown(m, SHUTDOWN_HOST_SIGNAL, 0);
    }
}

/* ---- the loop ---- */

void host_loop_once(int64_t wait_ns)
{
    open_wake_fd();
    int64_t periodic = host_run_periodics();
    poll_once(host_has_deferred() ? 0 : periodic < wait_ns ? periodic : wait_ns);
    host_run_deferred();
}

int host_main(struct machine *m)
{
    open_wake_fd();
    install_signals();
    prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul); /* wake up when asked, not 50 us later */
    while (!m->quit) {
        handle_signals(m);
        int64_t wait = machine_run_slice(m, SLICE_NS);
        if (!m->quit)
            host_loop_once(wait);
    }
    host_run_deferred();
    host_loop_once(
        0); /* what was queued for output on the way out: a last event, the end of a line */
    terminal_restore();
    return m->exit_status;
}
