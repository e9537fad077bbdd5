/*
 * What the files of the native platform share: the poll loop's file descriptors.
 */
#ifndef SLIPWAY_HOST_NATIVE_H
#define SLIPWAY_HOST_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

/* A descriptor that the loop polls. events: POLLIN, POLLOUT; 0 = not now. @ready gets revents. The
 * struct is the owner's; it may be removed at any time, from its own callback too. */
struct host_poll {
    int fd;
    short events;
    void (*ready)(void *opaque, short revents);
    void *opaque;
    struct host_poll *next;
};

void host_poll_add(struct host_poll *p);
void host_poll_remove(struct host_poll *p);

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
