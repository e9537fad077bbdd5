/*
 * Virtual time: conversions, the timer heap, stopping, icount.
 */
#include "clock.h"

#include <stdlib.h>

#include "test.h"

static struct clock c;
static uint64_t insns;
static int32_t budget;
static int64_t fired[1024];
static unsigned fired_count;

static void fire(void *opaque)
{
    struct timer *t = opaque;
    CHECK(!timer_pending(t));
    if (fired_count < 1024)
        fired[fired_count++] = clock_now_ns(&c);
}

static void begin_icount(int shift)
{
    clock_init(&c);
    insns = 0;
    budget = 0;
    fired_count = 0;
    c.icount_shift = shift;
    c.icount = &insns;
    c.icount_budget = &budget;
    clock_start(&c);
}

static void ticks_round_trip(void)
{
    static const uint64_t hz[] = { 1, 32768, 1193182, 3579545, 14318180, 100000000, 1000000000 };
    srand(1);
    for (unsigned i = 0; i < sizeof hz / sizeof hz[0]; i++)
        for (int n = 0; n < 10000; n++) {
            uint64_t t = ((uint64_t)rand() << 20 ^ (uint64_t)rand()) % (hz[i] * 1000000);
            int64_t ns = clock_ticks_to_ns(t, hz[i]);
            CHECK_EQ(clock_ticks(ns, hz[i]), t);
            CHECK(ns == 0 || clock_ticks(ns - 1, hz[i]) < t || t == 0);
        }
    CHECK_EQ(clock_ticks_to_ns(UINT64_MAX, 1), INT64_MAX);
}

static void timers_fire_in_order_of_their_deadlines(void)
{
    static struct timer t[200];
    begin_icount(0);
    srand(3);
    for (int i = 0; i < 200; i++) {
        timer_init(&t[i], &c, fire, &t[i]);
        timer_mod(&t[i], rand() % 5000);
    }
    for (int i = 0; i < 200; i += 3)
        timer_mod(&t[i], rand() % 5000);
    unsigned left = 200;
    for (int i = 0; i < 200; i += 7, left--)
        timer_del(&t[i]);
    while (clock_deadline_ns(&c) != INT64_MAX) {
        int64_t due = clock_deadline_ns(&c);
        CHECK(due >= clock_now_ns(&c));
        insns = (uint64_t)due;
        clock_run_timers(&c);
    }
    CHECK_EQ(fired_count, left);
    for (unsigned i = 1; i < fired_count; i++)
        CHECK(fired[i] >= fired[i - 1]);
    clock_free(&c);
}

static void again_at_once(void *opaque)
{
    fired_count++;
    timer_mod(opaque, 0);
}

static void a_timer_that_rearms_in_the_past_cannot_hold_the_loop(void)
{
    struct timer t;
    begin_icount(0);
    timer_init(&t, &c, again_at_once, &t);
    timer_mod(&t, -5);
    clock_run_timers(&c);
    CHECK(fired_count > 0 && fired_count < 1000);
    CHECK(timer_pending(&t));
    clock_free(&c);
}

static void note(void *opaque)
{
    ++*(int *)opaque;
}

static void a_nearer_deadline_is_announced(void)
{
    struct timer a, b;
    int told = 0;
    begin_icount(0);
    c.nearer = note;
    c.nearer_opaque = &told;
    timer_init(&a, &c, fire, &a);
    timer_init(&b, &c, fire, &b);
    timer_mod(&a, 100);
    CHECK_EQ(told, 1);
    timer_mod(&b, 200);
    CHECK_EQ(told, 1);
    timer_mod(&b, 50);
    CHECK_EQ(told, 2);
    CHECK(c.timers_changed);
    timer_del(&b);
    CHECK_EQ(clock_deadline_ns(&c), 100);
    clock_free(&c);
}

static void icount_time_is_instructions_and_sleep(void)
{
    begin_icount(3);
    insns = 1000;
    budget = 400; /* 600 done */
    CHECK_EQ(clock_now_ns(&c), 4800);
    clock_warp_to(&c, 10000);
    CHECK_EQ(clock_now_ns(&c), 10000);
    clock_warp_to(&c, 5000);
    CHECK_EQ(clock_now_ns(&c), 10000);
    budget = 0;
    CHECK_EQ(clock_now_ns(&c), 13200);
    clock_free(&c);
}

static void real_time_stops_with_the_machine(void)
{
    clock_init(&c);
    CHECK_EQ(clock_now_ns(&c), 0);
    clock_start(&c);
    int64_t a = clock_now_ns(&c), b;
    while ((b = clock_now_ns(&c)) < a + 100000)
        CHECK(b >= a);
    clock_stop(&c);
    b = clock_now_ns(&c);
    for (volatile int i = 0; i < 100000; i++)
        ;
    CHECK_EQ(clock_now_ns(&c), b);
    clock_start(&c);
    CHECK(clock_now_ns(&c) >= b && clock_now_ns(&c) < b + NS_PER_SEC);
    clock_free(&c);
}

int main(void)
{
    RUN(ticks_round_trip);
    RUN(timers_fire_in_order_of_their_deadlines);
    RUN(a_timer_that_rearms_in_the_past_cannot_hold_the_loop);
    RUN(a_nearer_deadline_is_announced);
    RUN(icount_time_is_instructions_and_sleep);
    RUN(real_time_stops_with_the_machine);
    return test_done();
}
