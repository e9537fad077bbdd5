/*
 * The machine's life and its slices.
 *
 * Run states: PRELAUNCH (built, or reset while stopped) -> RUNNING <-> PAUSED; SHUTDOWN is PAUSED
 * after a guest shut down under -no-shutdown. Virtual time runs exactly while the state is RUNNING.
 *
 * machine_run_slice() repeats: deferred work, requests, due timers, then the CPU for a budget of
 * instructions. The budget is what fits before the next timer at the speed measured lately, at
 * least NEAR_NS, at most CHUNK_NS and MAX_INSNS; the chunk ends before if much of it is slow
 * (MAX_SLOW, see cpu_run()), and by CPU_INTR_EXIT if a timer is armed nearer meanwhile. When the
 * CPU is halted and stays so, the slice ends and says when the next timer is due. Under -icount the
 * budget ends exactly at the next deadline (or at a multiple of ICOUNT_CHUNK, so that host time
 * never decides where the CPU stops), and a halted CPU makes the clock jump to the deadline.
 *
 * Reset, shutdown and power-down are requested by flags, because whoever asks may be deep inside a
 * device; they are acted on here between chunks, where nothing of the guest is under way.
 */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit-wasm/jit.h"
#include "block/block.h"
#include "char/char.h"
#include "host/host.h"
#include "hw/pci/hotplug.h"
#include "log.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "snapshot.h"
#include "ui/display.h"

#define CHUNK_NS  500000 /* longest stretch of CPU work between looks at the time */
#define NEAR_NS   40000  /* a timer may be that late, so that it isn't met by ever smaller steps */
#define MIN_INSNS 500
/* A chunk's most. Code that runs for the first time is up to 50 times as slow as what the speed was
 * measured with: a look at the time is due after what takes the worst of it some ms. */
#define MAX_INSNS       250000
#define MAX_SLOW        20000
#define ICOUNT_CHUNK    (1u << 20)
#define FIRST_SPEED     2000         /* instructions per ms, until measured */
#define MIN_SPEED       100          /* the least that is believed */
#define MEASURED_NS     200000       /* worth a measurement: browsers' clocks tick every 100 us */
#define PHYS_SPACE_SIZE (1ull << 40) /* 40 physical address bits, as CPUID says */
#define PORT_SPACE_SIZE 0x10000

struct deferred {
    void (*fn)(void *opaque);
    void *opaque;
    struct deferred *next;
};

static void kick_cpus(struct machine *m)
{
    for (int i = 0; i < m->cpu_count; i++)
        if (m->cpus[i])
            cpu_raise_intr(m->cpus[i], CPU_INTR_EXIT);
}

/* ---- building ---- */

static void memory_changed(void *opaque)
{
    struct machine *m = opaque;
    for (int i = 0; i < m->cpu_count; i++)
        if (m->cpus[i])
            tlb_flush(m->cpus[i], true);
}

static void timer_nearer(void *opaque)
{
    kick_cpus(opaque);
}

struct machine *machine_new(struct machine_options *opt, struct error *err)
{
    struct machine *m = calloc(1, sizeof *m);
    if (!m) {
        error_set(err, "out of memory");
        return NULL;
    }
    m->opt = opt;
    m->deferred_end = &m->deferred;
    m->insns_per_ms = FIRST_SPEED;
    m->state = RUN_STATE_PRELAUNCH;
    mem_space_init(&m->mem, "memory", PHYS_SPACE_SIZE);
    mem_space_init(&m->io, "I/O", PORT_SPACE_SIZE);
    m->mem.changed = memory_changed;
    m->mem.changed_opaque = m;
    clock_init(&m->clock);
    m->clock.nearer = timer_nearer;
    m->clock.nearer_opaque = m;
    if (!mem_region_init_ram(&m->ram, "pc.ram", opt->ram_size, NULL)) {
        error_set(err, "-m: cannot allocate %llu MB of guest memory",
                  (unsigned long long)opt->ram_size >> 20);
        goto fail;
    }
    m->cpus[0] = cpu_new(m, 0, opt->cpu, err);
    if (!m->cpus[0])
        goto fail;
    m->cpu_count = 1;
    if (!strcmp(opt->accel, "jit"))
        jit_enable(m->cpus[0], opt->jit_threshold);
    m->clock.icount_shift = opt->icount_shift;
    m->clock.icount = &m->cpus[0]->icount;
    m->clock.icount_budget = &m->cpus[0]->budget;
    m->display = display_new(m);
    m->input = input_new(m);
    if (!m->display || !m->input) {
        error_set(err, "out of memory");
        goto fail;
    }
    for (struct string_list *c = opt->chardevs; c; c = c->next)
        if (!chr_add_option(m, c->value, err))
            goto fail;
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    bool built = pc_build(m, err);
    mem_transaction_end(&m->io);
    mem_transaction_end(&m->mem);
    if (!built)
        goto fail;
    machine_reset(m);
    return m;
fail:
    machine_free(m);
    return NULL;
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    m->mem.changed = NULL;
    m->clock.nearer = NULL;
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    while (m->devices) {
        struct device *d = m->devices;
        m->devices = d->next;
        device_free(d);
    }
    net_cleanup(m);
    mem_space_free(&m->mem);
    mem_space_free(&m->io);
    monitor_free_all(m);
    snapshot_free_all(m);
    chr_close_all(m);
    while (m->drives) {
        struct drive *d = m->drives;
        m->drives = d->next;
        blk_close(d->blk);
        free(d->name);
        free(d->file);
        free(d);
    }
    while (m->deferred) {
        struct deferred *w = m->deferred;
        m->deferred = w->next;
        free(w);
    }
    for (int i = 0; i < m->cpu_count; i++)
        cpu_free(m->cpus[i]);
    mem_region_free(&m->ram);
    input_free(m->input);
    display_free(m->display);
    clock_free(&m->clock);
    free(m);
}

void machine_add_device(struct machine *m, struct device *d)
{
    struct device **at = &m->devices;
    while (*at)
        at = &(*at)->next;
    d->next = NULL;
    *at = d;
}

struct device *machine_find_device(struct machine *m, const char *id)
{
    struct device *d = m->devices;
    while (d && (!d->id || strcmp(d->id, id)))
        d = d->next;
    return d;
}

struct drive *machine_add_drive(struct machine *m, const struct drive_option *opt, struct blk *blk)
{
    struct drive *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->opt = opt;
    d->blk = blk;
    struct drive **at = &m->drives;
    while (*at)
        at = &(*at)->next;
    *at = d;
    return d;
}

struct drive *machine_find_drive(struct machine *m, const char *id)
{
    for (struct drive *d = m->drives; d; d = d->next)
        if (d->opt->id && !strcmp(d->opt->id, id))
            return d;
    return NULL;
}

/* ---- files ---- */

static uint8_t *read_file(const char *path, size_t *size, int *error)
{
    FILE *f = fopen(path, "rb");
    uint8_t *buf = NULL;
    size_t n = 0, capacity = 0;
    *error = f ? 0 : errno;
    while (f) {
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 1 << 16;
            uint8_t *bigger = realloc(buf, capacity);
            if (!bigger) {
                *error = ENOMEM;
                break;
            }
            buf = bigger;
        }
        errno = 0;
        size_t got = fread(buf + n, 1, capacity - n, f);
        n += got;
        if (got == 0) {
            *error = ferror(f) ? (errno ? errno : EIO) : 0;
            break;
        }
    }
    if (f)
        fclose(f);
    if (*error) {
        free(buf);
        return NULL;
    }
    *size = n;
    return buf;
}

uint8_t *machine_read_file(const char *path, size_t *size, struct error *err)
{
    int error;
    uint8_t *buf = read_file(path, size, &error);
    if (!buf)
        error_set(err, "%s: %s", path, strerror(error));
    return buf;
}

uint8_t *machine_load_file(struct machine *m, const char *name, size_t *size, struct error *err)
{
    const char *const built_in[] = { "/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu",
                                     host_share_dir() };
    int error = ENOENT;
    char path[4096];
    if (name[0] != '/') {
        struct string_list *dir = m->opt->search_path;
        for (size_t i = 0; dir || i < sizeof built_in / sizeof built_in[0];) {
            const char *in = dir ? dir->value : built_in[i++];
            dir = dir ? dir->next : NULL;
            if (!in || snprintf(path, sizeof path, "%s/%s", in, name) >= (int)sizeof path)
                continue;
            uint8_t *buf = read_file(path, size, &error);
            if (buf)
                return buf;
            if (error != ENOENT && error != ENOTDIR) {
                error_set(err, "%s: %s", path, strerror(error));
                return NULL;
            }
        }
    }
    return machine_read_file(name, size, err);
}

/* ---- states and requests ---- */

void machine_listen(struct machine *m, struct machine_listener *l)
{
    l->next = m->listeners;
    m->listeners = l;
}

void machine_unlisten(struct machine *m, struct machine_listener *l)
{
    for (struct machine_listener **at = &m->listeners; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            return;
        }
}

static void tell(struct machine *m, enum machine_event e, enum shutdown_cause cause)
{
    for (struct machine_listener *l = m->listeners, *next; l; l = next) {
        next = l->next;
        l->event(l->opaque, e, cause);
    }
}

void machine_remove_device(struct machine *m, struct device *d)
{
    struct device **at = &m->devices;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    char *id = d->id;
    d->id = NULL;
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    device_free(d);
    mem_transaction_end(&m->io);
    mem_transaction_end(&m->mem);
    m->deleted_device = id;
    tell(m, EVENT_DEVICE_DELETED, SHUTDOWN_NONE);
    m->deleted_device = NULL;
    free(id);
}

void machine_start(struct machine *m)
{
    if (m->state == RUN_STATE_RUNNING)
        return;
    m->state = RUN_STATE_RUNNING;
    clock_start(&m->clock);
    tell(m, EVENT_RESUME, SHUTDOWN_NONE);
    host_wake();
}

static void stop_in(struct machine *m, enum run_state state, bool event)
{
    bool was_running = m->state == RUN_STATE_RUNNING;
    clock_stop(&m->clock);
    m->state = state;
    kick_cpus(m);
    if (was_running && event)
        tell(m, EVENT_STOP, SHUTDOWN_NONE);
}

void machine_stop(struct machine *m)
{
    if (m->state == RUN_STATE_RUNNING)
        stop_in(m, RUN_STATE_PAUSED, true);
}

void machine_reset(struct machine *m)
{
    pci_hotplug_before_reset(m);
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    for (struct device *d = m->devices; d; d = d->next)
        device_reset(d);
    mem_transaction_end(&m->io);
    mem_transaction_end(&m->mem);
    for (int i = 0; i < m->cpu_count; i++) {
        m->cpus[i]->triple_fault = false;
        cpu_reset(m->cpus[i], false);
    }
    m->suspended = m->suspend_requested = false;
}

void machine_request_reset(struct machine *m, enum shutdown_cause cause)
{
    if (m->opt->no_reboot && cause == SHUTDOWN_GUEST_RESET) {
        machine_request_shutdown(m, cause, 0);
        return;
    }
    m->reset_requested = true;
    m->reset_cause = cause;
    kick_cpus(m);
    host_wake();
}

/* Real chipsets always pulse INIT#, and the BIOS then decides by CMOS byte 0Fh whether to start
 * anew. A reboot must be known as such here (-no-reboot, the RESET event) and finds all devices
 * reset, as in QEMU; so the board looks at that byte beforehand. */
void machine_request_soft_reset(struct machine *m)
{
    if (!m->resumes || !m->resumes(m->resumes_opaque)) {
        machine_request_reset(m, SHUTDOWN_GUEST_RESET);
        return;
    }
    log_mask(LOG_CPU_RESET, "soft reset: INIT#");
    for (int i = 0; i < m->cpu_count; i++)
        cpu_raise_intr(m->cpus[i], CPU_INTR_INIT);
}

void machine_set_resume_test(struct machine *m, bool (*fn)(void *opaque), void *opaque)
{
    m->resumes = fn;
    m->resumes_opaque = opaque;
}

void machine_request_shutdown(struct machine *m, enum shutdown_cause cause, int status)
{
    if (m->shutdown_requested && m->requested_cause == SHUTDOWN_DEBUG_EXIT)
        return; /* its status is the one that the guest wanted */
    m->shutdown_requested = true;
    m->requested_cause = cause;
    m->requested_status = status;
    kick_cpus(m);
    host_wake();
}

void machine_request_powerdown(struct machine *m)
{
    m->powerdown_requested = true;
    kick_cpus(m);
    host_wake();
}

void machine_set_powerdown_handler(struct machine *m, void (*fn)(void *opaque), void *opaque)
{
    m->powerdown = fn;
    m->powerdown_opaque = opaque;
}

/* Which causes end the process even under -no-shutdown. */
static bool always_quits(enum shutdown_cause cause)
{
    return cause == SHUTDOWN_HOST_QMP_QUIT || cause == SHUTDOWN_HOST_SIGNAL ||
           cause == SHUTDOWN_DEBUG_EXIT;
}

void machine_request_suspend(struct machine *m)
{
    m->suspend_requested = true;
    kick_cpus(m);
    host_wake();
}

void machine_request_wakeup(struct machine *m)
{
    m->wakeup_requested = true;
    host_wake();
}

void machine_set_wakeup_handler(struct machine *m, void (*fn)(void *opaque), void *opaque)
{
    m->woken = fn;
    m->woken_opaque = opaque;
}

static void handle_sleep(struct machine *m)
{
    if (m->suspend_requested) {
        m->suspend_requested = false;
        m->suspended = true;
        tell(m, EVENT_SUSPEND, SHUTDOWN_NONE);
    }
    if (m->wakeup_requested && m->suspended) {
        m->waking = true;
        machine_reset(m);
        m->waking = false;
        if (m->woken)
            m->woken(m->woken_opaque);
        tell(m, EVENT_WAKEUP, SHUTDOWN_NONE);
    }
    m->wakeup_requested = false;
}

static void handle_requests(struct machine *m)
{
    if (m->shutdown_requested) {
        enum shutdown_cause cause = m->requested_cause;
        m->shutdown_requested = false;
        m->shutdown_cause = cause;
        tell(m, EVENT_SHUTDOWN, cause);
        if (m->opt->no_shutdown && !always_quits(cause)) {
            stop_in(m, RUN_STATE_SHUTDOWN, true);
        } else {
            m->exit_status = m->requested_status;
            stop_in(m, RUN_STATE_SHUTDOWN, false);
            m->quit = true;
            return;
        }
    }
    if (m->reset_requested) {
        m->reset_requested = false;
        machine_reset(m);
        tell(m, EVENT_RESET, m->reset_cause);
        if (m->state != RUN_STATE_RUNNING)
            m->state = RUN_STATE_PRELAUNCH;
    }
    if (m->powerdown_requested) {
        m->powerdown_requested = false;
        tell(m, EVENT_POWERDOWN, SHUTDOWN_NONE);
        if (m->powerdown)
            m->powerdown(m->powerdown_opaque);
    }
    handle_sleep(m);
}

/* ---- deferred work ---- */

void machine_defer_lazily(struct machine *m, void (*fn)(void *opaque), void *opaque)
{
    struct deferred *w = malloc(sizeof *w);
    if (!w)
        abort(); /* a completion that is lost hangs the guest for good */
    *w = (struct deferred){ .fn = fn, .opaque = opaque };
    *m->deferred_end = w;
    m->deferred_end = &w->next;
}

void machine_hurry(struct machine *m)
{
    kick_cpus(m);
    host_wake();
}

void machine_defer(struct machine *m, void (*fn)(void *opaque), void *opaque)
{
    machine_defer_lazily(m, fn, opaque);
    machine_hurry(m);
}

void machine_cancel_deferred(struct machine *m, void (*fn)(void *opaque), void *opaque)
{
    struct deferred **at = &m->deferred;
    while (*at) {
        struct deferred *w = *at;
        if (w->fn == fn && w->opaque == opaque) {
            *at = w->next;
            free(w);
        } else {
            at = &w->next;
        }
    }
    m->deferred_end = at;
}

/* Runs what is queued now; what that work queues waits for the next round, so the loop can't
 * starve. */
void machine_run_deferred(struct machine *m)
{
    struct deferred mark = { .fn = NULL }, *w;
    if (!m->deferred)
        return;
    *m->deferred_end = &mark;
    m->deferred_end = &mark.next;
    while ((w = m->deferred) != &mark) {
        void (*fn)(void *) = w->fn;
        void *opaque = w->opaque;
        m->deferred = w->next;
        free(w);
        fn(opaque);
    }
    m->deferred = mark.next;
    if (!m->deferred)
        m->deferred_end = &m->deferred;
}

/* ---- slices ---- */

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Instructions until the next deadline or the next multiple of ICOUNT_CHUNK. */
static int32_t icount_budget(struct machine *m)
{
    uint64_t done = cpu_icount(m->cpus[0]);
    int64_t chunk = (int64_t)(ICOUNT_CHUNK - done % ICOUNT_CHUNK);
    int64_t deadline = clock_deadline_ns(&m->clock);
    if (deadline == INT64_MAX)
        return (int32_t)chunk;
    int64_t ns = deadline - clock_now_ns(&m->clock);
    if (ns <= 0)
        return 1;
    int shift = m->clock.icount_shift;
    int64_t insns = (ns >> shift) + ((ns & ((1ll << shift) - 1)) != 0);
    return (int32_t)min64(insns, chunk);
}

/* What slows down counts at once, since a budget that is too large keeps everybody waiting: code
 * that runs for the first time is a hundred times as slow as a hot loop. What speeds up counts by
 * half: a speed that is believed too late costs a timer several budgets, each half of what is left,
 * and each of them takes the CPU out of its code. */
static void learn_speed(struct machine *m, int64_t insns, int64_t took_ns)
{
    m->measured_insns += insns;
    m->measured_ns += took_ns;
    if (m->measured_ns < MEASURED_NS)
        return;
    int64_t speed = m->measured_insns * 1000000 / m->measured_ns;
    m->measured_insns = 0;
    m->measured_ns = 0;
    if (speed > m->insns_per_ms)
        speed = m->insns_per_ms + (speed - m->insns_per_ms) / 2;
    m->insns_per_ms = speed < MIN_SPEED ? MIN_SPEED : speed;
}

/* Runs the CPU from @now for at most @ns_left. Returns the time then. */
static int64_t run_cpu(struct machine *m, struct cpu *c, int64_t now, int64_t ns_left)
{
    cpu_lower_intr(c, CPU_INTR_EXIT);
    if (m->clock.icount_shift >= 0) {
        cpu_run(c, icount_budget(m), INT32_MAX);
        return host_monotonic_ns();
    }
    int64_t deadline = clock_deadline_ns(&m->clock);
    int64_t ns = min64(ns_left, CHUNK_NS);
    if (deadline != INT64_MAX)
        ns = min64(ns, deadline - clock_at_ns(&m->clock, now));
    int64_t insns = (ns < NEAR_NS ? NEAR_NS : ns) * m->insns_per_ms / 1000000;
    if (insns < MIN_INSNS)
        insns = MIN_INSNS;
    if (insns > MAX_INSNS)
        insns = MAX_INSNS;

    uint64_t before = cpu_icount(c);
    cpu_run(c, (int32_t)insns, MAX_SLOW);
    int64_t then = host_monotonic_ns();
    learn_speed(m, (int64_t)(cpu_icount(c) - before), then - now);
    return then;
}

int64_t machine_run_slice(struct machine *m, int64_t max_ns)
{
    /* Reading the clock costs as much as some hundred instructions: once a round, and again only
     * after work that takes time. */
    int64_t now = host_monotonic_ns(), end = now + max_ns;
    struct cpu *c = m->cpus[0];
    for (;;) {
        bool worked = m->deferred != NULL;
        machine_run_deferred(m);
        handle_requests(m);
        if (m->quit)
            return 0;
        if (m->state != RUN_STATE_RUNNING)
            return m->deferred ? 0 : INT64_MAX;
        if (worked)
            now = host_monotonic_ns();
        if (clock_deadline_ns(&m->clock) <= clock_at_ns(&m->clock, now)) {
            clock_run_timers(&m->clock);
            now = host_monotonic_ns();
        }
        if (m->deferred || m->shutdown_requested || m->reset_requested ||
            m->state != RUN_STATE_RUNNING)
            continue;

        int64_t left = end - now;
        if (left <= 0)
            return 0;
        bool awake = !m->suspended && (!c->halted || (c->intr & ~(uint32_t)CPU_INTR_EXIT));
        if (awake)
            now = run_cpu(m, c, now, left);
        if (c->triple_fault) {
            c->triple_fault = false;
            log_mask(LOG_CPU_RESET, "triple fault: shutdown, on which the chipset resets");
            c->halted = true;
            c->in_smm = false; /* would hold back INIT# */
            machine_request_soft_reset(m);
            continue;
        }
        if ((!c->halted && !m->suspended) || m->deferred || m->shutdown_requested ||
            m->reset_requested || m->powerdown_requested || m->suspend_requested ||
            m->wakeup_requested)
            continue;

        /* Asleep until a timer or something from outside. */
        int64_t deadline = clock_deadline_ns(&m->clock);
        if (deadline == INT64_MAX)
            return INT64_MAX;
        if (m->clock.icount_shift >= 0) {
            clock_warp_to(&m->clock, deadline);
            continue;
        }
        int64_t wait = deadline - clock_at_ns(&m->clock, now);
        if (wait > 0)
            return wait;
    }
}
