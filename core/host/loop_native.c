/*
 * The native event loop: runs slices of the machine and, in between, sleeps in ppoll() until a
 * descriptor is ready, the machine's next timer is due or someone calls host_wake().
 *
 * The loop's state is the process's (the wake descriptor, the list of descriptors): host.h's
 * functions name no context. Descriptors may be added and removed while callbacks run: removal
 * leaves a hole in the array, which the next turn closes, and what is added goes behind those that
 * are being looked at. poll(2) and not epoll, because who uses many descriptors (libslirp) changes
 * what it wants of each in every turn, and that would cost a system call each.
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

/* The longest that a descriptor waits while the guest is busy: short while descriptors have work
 * (a network's round trips), long otherwise. */
#define SLICE_NS        10000000
#define ACTIVE_SLICE_NS 500000
#define ACTIVE_NS       100000000 /* so long after the last descriptor was ready */

static struct {
    struct host_poll **polls; /* [slot]; NULL: a hole; [0] isn't used */
    struct pollfd *set;       /* what the kernel sees of them; [0] is the wake descriptor */
    size_t count, capacity;   /* of both, [0] included */
    bool holes;
    struct host_poll_hook *hooks;
    int64_t active_until_ns;
} loop = { .count = 1 };

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

/* Room for one more. */
static void reserve(void)
{
    if (loop.count < loop.capacity)
        return;
    loop.capacity = 2 * loop.count + 14;
    loop.polls = realloc(loop.polls, loop.capacity * sizeof *loop.polls);
    loop.set = realloc(loop.set, loop.capacity * sizeof *loop.set);
    if (!loop.polls || !loop.set)
        abort();
}

void host_poll_add(struct host_poll *p)
{
    reserve();
    p->slot = loop.count;
    loop.polls[loop.count++] = p;
}

void host_poll_remove(struct host_poll *p)
{
    if (p->slot && p->slot < loop.count && loop.polls[p->slot] == p) {
        loop.polls[p->slot] = NULL;
        loop.holes = true;
        p->slot = 0;
    }
}

void host_poll_hook_add(struct host_poll_hook *h)
{
    h->next = loop.hooks;
    loop.hooks = h;
}

void host_poll_hook_remove(struct host_poll_hook *h)
{
    for (struct host_poll_hook **at = &loop.hooks; *at; at = &(*at)->next)
        if (*at == h) {
            *at = h->next;
            return;
        }
}

static void close_holes(void)
{
    size_t n = 1;
    for (size_t i = 1; i < loop.count; i++)
        if (loop.polls[i]) {
            loop.polls[i]->slot = n;
            loop.polls[n++] = loop.polls[i];
        }
    loop.count = n;
    loop.holes = false;
}

/* Fills loop.set; returns how many entries. */
static size_t build_set(void)
{
    if (loop.holes)
        close_holes();
    reserve();
    loop.set[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    for (size_t i = 1; i < loop.count; i++) {
        const struct host_poll *p = loop.polls[i];
        loop.set[i] = (struct pollfd){ .fd = p->events ? p->fd : -1, .events = p->events };
    }
    return loop.count;
}

/* Waits up to @wait_ns (INT64_MAX: for ever) and calls the owners of what became ready. */
static void poll_once(int64_t wait_ns)
{
    for (struct host_poll_hook *h = loop.hooks; h; h = h->next)
        h->prepare(h->opaque, &wait_ns);
    size_t n = build_set();
    struct timespec t = { .tv_sec = wait_ns / NS_PER_SEC, .tv_nsec = wait_ns % NS_PER_SEC };
    int ready = ppoll(loop.set, n, wait_ns == INT64_MAX ? NULL : &t, NULL);
    if (ready > 0 && loop.set[0].revents) {
        uint64_t count;
        if (read(wake_fd, &count, sizeof count) < 0) {
            /* nothing there: someone read it before */
        }
        ready--;
    }
    if (ready > 0)
        loop.active_until_ns = host_monotonic_ns() + ACTIVE_NS;
    for (size_t i = 1; ready > 0 && i < n && i < loop.count; i++) {
        const struct pollfd s = loop.set[i];
        if (!s.revents)
            continue;
        ready--;
        struct host_poll *p = loop.polls[i];
        if (p && p->fd == s.fd)
            p->ready(p->opaque, s.revents);
    }
    for (struct host_poll_hook *h = loop.hooks; h; h = h->next)
        if (h->check)
            h->check(h->opaque);
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
        bool active = host_monotonic_ns() < loop.active_until_ns;
        int64_t wait = machine_run_slice(m, active ? ACTIVE_SLICE_NS : SLICE_NS);
        if (!m->quit)
            host_loop_once(wait);
    }
    host_run_deferred();
    host_loop_once(
        0); /* what was queued for output on the way out: a last event, the end of a line */
    terminal_restore();
    return m->exit_status;
}
