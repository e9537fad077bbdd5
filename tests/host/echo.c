/*
 * Exercises the platform's event loop and streams without a PC: opens the stream that the arguments
 * name and sends back what comes, upper case, with back-pressure: a byte that can't be written
 * stops reading.
 *
 *   echo KIND SPEC connect|listen idle|busy
 *
 * "busy" keeps the machine's slices running all the time, as a computing guest does. The byte 'q'
 * ends it with status 7. The slice and the requests of a machine are stand-ins here; the loop under
 * test is the real one.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "machine.h"

static struct machine machine;
static struct host_stream *stream;
static char pending[4096];
static size_t pending_length;
static bool busy, quit_asked;
static int ticks;

static const struct host_stream_ops ops;

static void flush_pending(void)
{
    while (pending_length) {
        long n = host_stream_write(stream, pending, pending_length);
        if (n <= 0)
            break;
        pending_length -= (size_t)n;
        memmove(pending, pending + n, pending_length);
    }
    host_stream_want_read(stream, pending_length == 0);
    if (quit_asked && pending_length == 0)
        machine_request_shutdown(&machine, SHUTDOWN_HOST_QMP_QUIT, 7);
}

static void readable(void *opaque)
{
    char buf[1000];
    if (pending_length) {
        host_stream_want_read(stream, false);
        return;
    }
    long n = host_stream_read(stream, buf, sizeof buf);
    if (n == 0)
        fprintf(stderr, "end of input\n");
    for (long i = 0; i < n; i++) {
        if (buf[i] == 'q')
            quit_asked = true;
        pending[pending_length++] = (char)toupper((unsigned char)buf[i]);
    }
    if (n > 0)
        flush_pending();
}

static void writable(void *opaque)
{
    flush_pending();
}

static void connected(void *opaque, struct host_stream *peer)
{
    stream = peer;
    host_stream_set_ops(peer, &ops, NULL);
    fprintf(stderr, "connected\n");
}

static void closed(void *opaque)
{
    fprintf(stderr, "closed\n");
    machine_request_shutdown(&machine, SHUTDOWN_HOST_QMP_QUIT, 3);
}

static const struct host_stream_ops ops = {
    .readable = readable, .writable = writable, .connected = connected, .closed = closed
};

static void tick(void *opaque)
{
    ticks++;
}

/* ---- Stand-ins for machine.c ---- */

int64_t machine_run_slice(struct machine *m, int64_t max_ns)
{
    if (!busy)
        return INT64_MAX;
    int64_t end = host_monotonic_ns() + max_ns;
    while (host_monotonic_ns() < end) {
    }
    return 0;
}

void machine_request_shutdown(struct machine *m, enum shutdown_cause cause, int status)
{
    fprintf(stderr, "ticks %d\n", ticks);
    m->exit_status = status;
    m->quit = true;
    host_wake();
}

int main(int argc, char **argv)
{
    struct error err;
    if (argc != 5)
        return 2;
    busy = !strcmp(argv[4], "busy");
    struct host_stream *opened =
        host_stream_open(argv[1], argv[2], !strcmp(argv[3], "listen"), &ops, NULL, &err);
    if (!opened) {
        fprintf(stderr, "slipway: %s\n", err.msg);
        return 1;
    }
    stream = opened;
    fprintf(stderr, "open %s\n", host_stream_name(opened));
    host_every(20000000, tick, NULL);
    int status = host_main(&machine);
    host_stream_close(opened);
    return status;
}
