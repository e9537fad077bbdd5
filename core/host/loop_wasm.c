/*
 * The event loop under JavaScript. JavaScript's own loop is the loop: host_main() leaves the
 * machine behind and unwinds to JavaScript, which calls slipway_turn() again and again (web/node/
 * host.js; in a browser web/worker/host.js): one turn runs a slice of the machine and
 * what was put off, and says how long nobody needs to come back. Between two turns JavaScript
 * delivers timers, sockets and signals.
 *
 * There is one machine in an instance of the module.
 */
#include <emscripten.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "host/host.h"
#include "host/wasm.h"
#include "host/work.h"
#include "machine.h"

/* JavaScript's timers and sockets wait this long while the guest is busy: less while there is
 * traffic. */
#define SLICE_NS        3000000
#define ACTIVE_SLICE_NS 1000000
#define ACTIVE_NS       100000000 /* so long after the last event */

static struct machine *machine;
static int64_t active_until_ns;

/* ---- time and randomness ---- */

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int64_t host_monotonic_ns(void)
{
    return (int64_t)(slipway_js_now() * 1e6);
}

int64_t host_realtime_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void host_random(void *buf, size_t len)
{
    slipway_js_random(buf, len);
}

void host_wake(void)
{
    slipway_js_wake();
}

struct machine *loop_machine(void)
{
    return machine;
}

void loop_active(void)
{
    active_until_ns = host_monotonic_ns() + ACTIVE_NS;
}

/* ---- the loop ---- */

/* Runs one slice. Returns ms until the next is needed: 0 at once, infinity not before host_wake();
 * -1: the machine has quit. */
EMSCRIPTEN_KEEPALIVE double slipway_turn(void)
{
    int64_t wait = 0;
    /* First, so that what came for the guest meanwhile doesn't wait for the end of the slice, and
     * the slice knows of all timers when it says how long nobody is needed. */
    host_run_deferred();
    if (!machine->quit) {
        bool active = host_monotonic_ns() < active_until_ns;
        wait = machine_run_slice(machine, active ? ACTIVE_SLICE_NS : SLICE_NS);
        int64_t periodic = host_run_periodics();
        if (periodic < wait)
            wait = periodic;
    }
    if (machine->quit) {
        host_run_deferred();
        fflush(NULL);
        return -1;
    }
    if (host_has_deferred())
        return 0;
    return wait == INT64_MAX ? INFINITY : (double)wait / 1e6;
}

EMSCRIPTEN_KEEPALIVE int slipway_exit_status(void)
{
    return machine->exit_status;
}

/* The process was asked to end. */
EMSCRIPTEN_KEEPALIVE void slipway_signal(int number)
{
    fprintf(stderr, "slipway: terminating on signal %d\n", number);
    machine_request_shutdown(machine, SHUTDOWN_HOST_SIGNAL, 0);
}

int host_main(struct machine *m)
{
    machine = m;
    slipway_js_start();
    emscripten_exit_with_live_runtime(); /* doesn't return: the caller's frame stays as it is */
}
