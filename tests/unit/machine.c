/*
 * The machine's slices, run states and requests, with a real CPU and a BIOS of a few bytes.
 */
#include "machine.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "host/host.h"
#include "test.h"

#define MS 1000000ll

static struct machine_options opt;
static struct machine *m;
static int events[16];
static unsigned event_count;

static void on_event(void *opaque, enum machine_event e, enum shutdown_cause cause)
{
    if (event_count < 16)
        events[event_count++] = (int)e;
}

static struct machine_listener listener = { .event = on_event };

static void end(void)
{
    machine_free(m);
    m = NULL;
    options_free(&opt);
}

/* A machine whose reset vector holds @code. */
static bool begin(const char *code, size_t len, int icount_shift)
{
    static uint8_t rom[65536];
    static char path[64];
    struct error err = { "" };
    if (m) /* of a case that failed */
        end();
    options_init(&opt);
    opt.ram_size = 4 << 20;
    opt.icount_shift = icount_shift;
    memset(rom, 0xf4, sizeof rom);
    memcpy(rom + 0xfff0, code, len);
    snprintf(path, sizeof path, "/tmp/slipway-test-bios-%d", (int)getpid());
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(rom, 1, sizeof rom, f) != sizeof rom || fclose(f))
        return false;
    free(opt.bios);
    opt.bios = strdup(path);
    m = machine_new(&opt, &err);
    unlink(path);
    if (!m)
        printf("%s\n", err.msg);
    event_count = 0;
    if (m)
        machine_listen(m, &listener);
    return m != NULL;
}

#define HLT_LOOP  "\xf4\xeb\xfd"                 /* hlt; jmp $-1 */
#define BUSY_LOOP "\x40\xeb\xfd"                 /* inc ax; jmp $-1 */
#define UD_TRIPLE "\x0f\x01\x1e\x00\x00\x0f\x0b" /* lidt [0] (limit from RAM: 0); ud2 */

static void nothing(void *opaque)
{
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void a_halted_machine_sleeps_until_its_timer(void)
{
    struct timer t;
    int fired = 0;
    CHECK(begin(HLT_LOOP, 3, -1));
    CHECK_EQ(machine_run_slice(m, 10 * MS), INT64_MAX); /* not started */
    machine_start(m);
    timer_init(&t, &m->clock, count, &fired);
    timer_mod(&t, clock_now_ns(&m->clock) + 1000 * MS);
    int64_t wait = 0;
    for (int i = 0; i < 100 && wait == 0; i++) /* 0: other work came first, or the host was slow */
        wait = machine_run_slice(m, 5 * MS);
    CHECK(wait > 0 && wait <= 1000 * MS);
    CHECK(m->cpus[0]->halted);
    clock_t cpu = clock();
    for (int i = 0; i < 100 && !fired; i++) {
        usleep((useconds_t)(wait / 1000) + 100);
        wait = machine_run_slice(m, 5 * MS);
    }
    CHECK(clock() - cpu < CLOCKS_PER_SEC / 100); /* no work, no time */
    CHECK_EQ(fired, 1);
    end();
}

static void a_busy_machine_returns_in_time(void)
{
    CHECK(begin(BUSY_LOOP, 3, -1));
    machine_start(m);
    for (int i = 0; i < 10; i++) {
        int64_t start = host_monotonic_ns();
        CHECK_EQ(machine_run_slice(m, 5 * MS), 0);
        int64_t took = host_monotonic_ns() - start;
        CHECK(took > 4 * MS && took < 1000 * MS);
    }
    CHECK(cpu_icount(m->cpus[0]) > 100000);
    end();
}

static int64_t fired_at[64];
static uint64_t fired_icount[64];
static unsigned fired_count;

static void periodic(void *opaque)
{
    struct timer *t = opaque;
    if (fired_count < 64) {
        fired_at[fired_count] = clock_now_ns(&m->clock);
        fired_icount[fired_count++] = cpu_icount(m->cpus[0]);
    }
    timer_mod(t, clock_now_ns(&m->clock) + 777777);
}

/* The CPU stops at the end of the block that uses up its budget, the same one in each run. */
static void icount_timers_fire_at_the_same_instruction_in_each_run(void)
{
    uint64_t first_run[64];
    for (int run = 0; run < 2; run++) {
        struct timer t;
        CHECK(begin(BUSY_LOOP, 3, 2));
        machine_start(m);
        fired_count = 0;
        timer_init(&t, &m->clock, periodic, &t);
        timer_mod(&t, 1000);
        while (fired_count < 64)
            CHECK_EQ(machine_run_slice(m, run ? 3 * MS : 10 * MS), 0);
        CHECK(fired_at[0] >= 1000);
        for (int i = 1; i < 64; i++)
            CHECK(fired_at[i] >= fired_at[i - 1] + 777777 &&
                  fired_at[i] < fired_at[i - 1] + 777777 + 4 * 64);
        if (run == 0)
            memcpy(first_run, fired_icount, sizeof first_run);
        else
            CHECK(!memcmp(first_run, fired_icount, sizeof first_run));
        timer_del(&t);
        end();
    }
}

static void icount_time_jumps_over_sleep(void)
{
    struct timer t;
    int fired = 0;
    CHECK(begin(HLT_LOOP, 3, 0));
    machine_start(m);
    timer_init(&t, &m->clock, count, &fired);
    timer_mod(&t, 3600 * NS_PER_SEC);
    machine_run_slice(m, 5 * MS);
    CHECK_EQ(fired, 1);
    CHECK(clock_now_ns(&m->clock) >= 3600 * NS_PER_SEC);
    end();
}

static void requests_become_events_and_states(void)
{
    CHECK(begin(BUSY_LOOP, 3, -1));
    machine_start(m);
    machine_run_slice(m, 2 * MS);
    machine_stop(m);
    CHECK_EQ(machine_run_slice(m, 2 * MS), INT64_MAX);
    machine_start(m);
    m->cpus[0]->gpr[RBX] = 5;
    machine_request_reset(m, SHUTDOWN_HOST_UI);
    machine_run_slice(m, 2 * MS);
    CHECK_EQ(m->cpus[0]->gpr[RBX], 0);
    machine_request_powerdown(m);
    machine_run_slice(m, 2 * MS);
    machine_request_shutdown(m, SHUTDOWN_DEBUG_EXIT, 3);
    machine_request_shutdown(m, SHUTDOWN_GUEST, 0);
    CHECK_EQ(machine_run_slice(m, 2 * MS), 0);
    CHECK(m->quit);
    CHECK_EQ(m->exit_status, 3);
    static const int want[] = { EVENT_RESUME, EVENT_STOP,      EVENT_RESUME,
                                EVENT_RESET,  EVENT_POWERDOWN, EVENT_SHUTDOWN };
    CHECK_EQ(event_count, sizeof want / sizeof want[0]);
    CHECK(!memcmp(events, want, sizeof want));
    end();
}

static void no_shutdown_pauses_and_a_reset_goes_back_to_prelaunch(void)
{
    CHECK(begin(BUSY_LOOP, 3, -1));
    opt.no_shutdown = true;
    machine_start(m);
    machine_request_shutdown(m, SHUTDOWN_GUEST, 0);
    CHECK_EQ(machine_run_slice(m, 2 * MS), INT64_MAX);
    CHECK(!m->quit && m->state == RUN_STATE_SHUTDOWN);
    machine_request_reset(m, SHUTDOWN_HOST_UI);
    machine_run_slice(m, 2 * MS);
    CHECK_EQ(m->state, RUN_STATE_PRELAUNCH);
    machine_start(m);
    machine_run_slice(m, 2 * MS);
    machine_request_shutdown(m, SHUTDOWN_HOST_SIGNAL, 0);
    machine_run_slice(m, 2 * MS);
    CHECK(m->quit);
    end();
}

static void a_triple_fault_resets_or_ends(void)
{
    CHECK(begin(UD_TRIPLE, 7, -1));
    machine_start(m);
    machine_run_slice(m, 2 * MS);
    CHECK(event_count >= 2 && events[1] == EVENT_RESET);
    CHECK(!m->quit);
    opt.no_reboot = true;
    machine_run_slice(m, 20 * MS);
    CHECK(m->quit);
    CHECK_EQ(m->exit_status, 0);
    end();
}

static void soft_resets_are_init_where_the_guest_wants_to_go_on(void)
{
    static const struct {
        const char *code;
        size_t len;
        bool hard;
    } cases[] = {
#define CASE(code, hard) { code, sizeof code - 1, hard }
        CASE("\xb0\x01\xe6\x92\xf4\xeb\xfd", false),         /* port 92h */
        CASE("\xb0\xfe\xe6\x64\xf4\xeb\xfd", false),         /* keyboard controller */
        CASE("\xba\xf9\x0c\xb0\x04\xee\xf4\xeb\xfd", false), /* 0xcf9 */
        CASE("\xba\xf9\x0c\xb0\x06\xee\xf4\xeb\xfd", true),  CASE(UD_TRIPLE, false),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const uint8_t codes[] = { 0x05, 0x09, 0x0a, 0x00, 0x04 };
        for (size_t k = 0; k < sizeof codes; k++) {
            CHECK(begin(cases[i].code, cases[i].len, -1));
            mem_write(&m->io, 0x70, 0x0f, 1);
            mem_write(&m->io, 0x71, codes[k], 1);
            mem_write(&m->io, 0x70, 0x0d, 1);
            m->cpus[0]->st[0].frac = 77; /* INIT# leaves the x87 alone */
            m->cpus[0]->seg[SEG_DS].sel = 77;
            machine_start(m);
            machine_run_slice(m, 2 * MS);
            bool reset = event_count >= 2 && events[1] == EVENT_RESET;
            CHECK_EQ(reset, cases[i].hard || codes[k] == 0 || codes[k] == 4);
            CHECK_EQ(m->cpus[0]->st[0].frac, reset ? 0 : 77);
            CHECK_EQ(m->cpus[0]->seg[SEG_DS].sel, 0);
            end();
        }
    }
}

static int order[8];
static unsigned order_count;

static void third(void *opaque)
{
    order[order_count++] = 3;
}

static void first(void *opaque)
{
    order[order_count++] = 1;
    machine_defer(m, third, NULL);
}

static void second(void *opaque)
{
    order[order_count++] = 2;
}

static void deferred_work_runs_in_order_even_while_stopped(void)
{
    CHECK(begin(BUSY_LOOP, 3, -1));
    machine_defer(m, first, NULL);
    machine_defer(m, second, NULL);
    machine_defer(m, nothing, NULL);
    while (order_count < 3)
        machine_run_slice(m, 2 * MS);
    CHECK(order[0] == 1 && order[1] == 2 && order[2] == 3);
    end();
}

static void memory_is_laid_out_as_qemu_does_it(void)
{
    CHECK(begin(BUSY_LOOP, 3, -1));
    CHECK_EQ(mem_read(&m->mem, 0xfffffff0, 1), 0x40);
    CHECK_EQ(mem_read(&m->mem, 0xffff0, 1), 0x40);
    mem_write(&m->mem, 0x3ffff8, 0x1122, 8);
    CHECK_EQ(m->ram.host[0x3ffff8], 0x22);
    CHECK_EQ(mem_read(&m->mem, 0x400000, 4), 0xffffffff);
    end();
}

static void files_are_looked_for_where_firmware_is(void)
{
    struct error err;
    size_t size;
    CHECK(begin(BUSY_LOOP, 3, -1));
    CHECK(!machine_load_file(m, "no-such-firmware.bin", &size, &err));
    CHECK_STR(err.msg, "no-such-firmware.bin: No such file or directory");
    CHECK(!machine_load_file(m, "/", &size, &err));
    CHECK_STR(err.msg, "/: Is a directory");
    end();
}

int main(void)
{
    RUN(a_halted_machine_sleeps_until_its_timer);
    RUN(a_busy_machine_returns_in_time);
    RUN(icount_timers_fire_at_the_same_instruction_in_each_run);
    RUN(icount_time_jumps_over_sleep);
    RUN(requests_become_events_and_states);
    RUN(no_shutdown_pauses_and_a_reset_goes_back_to_prelaunch);
    RUN(a_triple_fault_resets_or_ends);
    RUN(soft_resets_are_init_where_the_guest_wants_to_go_on);
    RUN(deferred_work_runs_in_order_even_while_stopped);
    RUN(memory_is_laid_out_as_qemu_does_it);
    RUN(files_are_looked_for_where_firmware_is);
    if (m)
        end();
    return test_done();
}
