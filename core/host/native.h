/*
 * Descriptors in the native event loop (loop_native.c), for files that are built natively only:
 * *_native.c of core/ and net/.
 */
#ifndef SLIPWAY_HOST_NATIVE_H
#define SLIPWAY_HOST_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Watch of a descriptor. The struct is the owner's: it fills fd, events, ready and opaque, adds it,
 * and may change fd and events at any time (no call needed) and remove it at any time, from its own
 * callback too. events: POLLIN, POLLOUT, POLLPRI; 0 = not now, then errors and hang-ups aren't
 * reported either. @ready gets revents, outside of any slice of the machine. */
struct host_poll {
    int fd;
    short events;
    void (*ready)(void *opaque, short revents);
    void *opaque;
    size_t slot; /* the loop's */
};

void host_poll_add(struct host_poll *p);
void host_poll_remove(struct host_poll *p);

/* For code with a poll set of its own (libslirp): @prepare runs just before the loop sleeps; it may
 * add, change and remove descriptors and lower *wait_ns, which is how long the loop may sleep (0 to
 * INT64_MAX = for ever). @check (optional) runs after each sleep, when all descriptors' ready()
 * were called. */
struct host_poll_hook {
    void (*prepare)(void *opaque, int64_t *wait_ns);
    void (*check)(void *opaque);
    void *opaque;
    struct host_poll_hook *next; /* the loop's */
};

void host_poll_hook_add(struct host_poll_hook *h);
void host_poll_hook_remove(struct host_poll_hook *h); /* not from its own callbacks */

/* One turn of the loop without a machine: waits up to @wait_ns for a descriptor, a deferred or a
 * periodic call. */
void host_loop_once(int64_t wait_ns);

/* Terminal (terminal_native.c): raw mode for @fd until the process ends; @keep_signals leaves
 * Ctrl-C to the host. */
void terminal_raw(int fd, bool keep_signals);
/* After SIGCONT: the shell may have changed the modes. */
void terminal_resume(void);
void terminal_restore(void);

#endif
