/*
 * All that core/ asks of the platform. One implementation per platform: *_native.c (Linux) and
 * *_wasm.c (Emscripten: Node now, the browser's worker later). Nothing else in core/ knows where it
 * runs.
 *
 * The event loop is turned inside out so that the same core serves a process and a worker:
 * machine_run_slice() never blocks; the platform's host_main() calls it, sleeps in poll() or
 * returns to JavaScript's event loop for as long as it says, and delivers stream readiness in
 * between.
 */
#ifndef SLIPWAY_HOST_H
#define SLIPWAY_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;

int64_t host_monotonic_ns(void);
/* Nanoseconds since the Unix epoch. */
int64_t host_realtime_ns(void);
void host_random(void *buf, size_t len);

/* The folder `share` beside the program, where firmware may be; NULL if unknown. */
const char *host_share_dir(void);

/* A byte stream: stdin/stdout, file, pty, socket. Non-blocking. */
struct host_stream;
struct host_stream_ops {
    void (*readable)(void *opaque); /* data or end of file is there; level-triggered if wanted */
    void (*writable)(void *opaque); /* after a short write, when room is there */
    void (*connected)(void *opaque, struct host_stream *peer); /* listening stream: a client came */
    void (*closed)(void *opaque);                              /* peer went away */
};
/* kind: "stdio" (@spec "signal=off": Ctrl-C and friends go to the guest), "pty", "tcp", "unix".
 * @spec: the rest
 * ("host:port", path). @listen: server side; host_stream_name then
 * tells where (pty path, bound port). */
struct host_stream *host_stream_open(const char *kind, const char *spec, bool listen,
                                     const struct host_stream_ops *ops, void *opaque,
                                     struct error *err);
void host_stream_set_ops(struct host_stream *s, const struct host_stream_ops *ops, void *opaque);
/* > 0 bytes; 0 end of file; -EAGAIN nothing now; -errno. */
long host_stream_read(struct host_stream *s, void *buf, size_t len);
long host_stream_write(struct host_stream *s, const void *buf, size_t len);
/* Stop and restart readable() calls (back-pressure). */
void host_stream_want_read(struct host_stream *s, bool want);
const char *host_stream_name(const struct host_stream *s);
void host_stream_close(struct host_stream *s);

/* Asks the loop to come back at once (from a signal handler, or when work was queued). */
void host_wake(void);
/* Calls @fn once from the loop, outside any slice. */
void host_defer(void (*fn)(void *opaque), void *opaque);

/* Calls @fn about every @period_ns of real time, outside any slice, until host_every_stop with the
 * same @fn and @opaque (screen refresh). A second call changes the period. */
void host_every(int64_t period_ns, void (*fn)(void *opaque), void *opaque);
void host_every_stop(void (*fn)(void *opaque), void *opaque);

/* Runs @m until it quits; returns the exit status (native), or sets up the loop and returns (wasm).
 */
int host_main(struct machine *m);

#endif
