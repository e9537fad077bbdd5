/*
 * 8254: Intel data sheet 231164 (modes, control words, read-back); port 0x61 as in the PIIX data
 * sheet.
 *
 * A counter isn't stepped: it has the time its count was loaded (start_ns), and its value and
 * output at any moment are functions of the ticks since then, ticks being computed from virtual
 * time without accumulated error. The ticks of a gated-off counter stand still: held keeps how many
 * had passed.
 *
 * phase() gives, for the mode, how far the counter is. From it follow the output, the count that
 * can be latched, and when the output changes next, which is what counter 0's timer is set to. A
 * write of a new count takes effect at once in modes 0 and 4, on the next trigger in modes 1 and 5,
 * and at the end of the running period in modes 2 and 3.
 */
#include "hw/i8254.h"

#include <math.h>

#include "clock.h"
#include "hw/device.h"
#include "hw/pcspk.h"
#include "machine.h"
#include "memory.h"

/* Interrupts of a counter with a very short period come only this often. */
#define MIN_PERIOD_NS 10000

/* The refresh toggle in port 0x61: every 15.085 us. */
#define REFRESH_TOGGLE_NS 15085

enum { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

struct counter {
    uint32_t count;      /* what it counts from: 1..65536 (or 10000 in BCD); 0: never loaded */
    uint32_t next_count; /* modes 2, 3: written during the period, used from the next on; 0: none */
    int64_t start_ns; /* when counting of `count` began, less what it had counted before a pause */
    int64_t held;     /* ticks counted when the gate went low */
    uint8_t mode;     /* 0..5 */
    uint8_t control;  /* mode and BCD bits as they were written, for the status byte */
    uint8_t access;
    bool bcd, gate;
    bool running;    /* loaded, triggered where the mode wants that, and gate not holding it */
    bool triggered;  /* modes 1, 5: the gate has risen since the count was written */
    bool null_count; /* written and not yet in the counting element */
    bool write_high, read_high; /* which half of a two-byte access comes next */
    uint8_t write_low;
    uint8_t latches; /* latched bytes waiting to be read: count 0..2 */
    uint16_t latched;
    bool status_latched;
    uint8_t status;
};

struct i8254 {
    struct device dev;
    struct counter c[3];
    bool speaker_data;
    bool out0_level;
    struct irq out0;
    struct timer timer;
    struct mem_region io, port61;
    struct pcspk *speaker; /* NULL: nobody listens */
};

#define COUNTER_FIELDS(n)                                                                          \
    FIELD_U32(struct i8254, c[n].count, 0), FIELD_U32(struct i8254, c[n].next_count, 0),           \
        FIELD_I64(struct i8254, c[n].start_ns, 0), FIELD_I64(struct i8254, c[n].held, 0),          \
        FIELD_U8(struct i8254, c[n].mode, 3), FIELD_U8(struct i8254, c[n].control, 6),             \
        FIELD_U8(struct i8254, c[n].access, ACCESS_BOTH),                                          \
        FIELD_BOOL(struct i8254, c[n].bcd, false), FIELD_BOOL(struct i8254, c[n].gate, (n) != 2),  \
        FIELD_BOOL(struct i8254, c[n].running, false),                                             \
        FIELD_BOOL(struct i8254, c[n].triggered, false),                                           \
        FIELD_BOOL(struct i8254, c[n].null_count, true),                                           \
        FIELD_BOOL(struct i8254, c[n].write_high, false),                                          \
        FIELD_BOOL(struct i8254, c[n].read_high, false),                                           \
        FIELD_U8(struct i8254, c[n].write_low, 0), FIELD_U8(struct i8254, c[n].latches, 0),        \
        FIELD_U16(struct i8254, c[n].latched, 0),                                                  \
        FIELD_BOOL(struct i8254, c[n].status_latched, false),                                      \
        FIELD_U8(struct i8254, c[n].status, 0)

static const struct field i8254_fields[] = {
    COUNTER_FIELDS(0),
    COUNTER_FIELDS(1),
    COUNTER_FIELDS(2),
    FIELD_BOOL(struct i8254, speaker_data, false),
    FIELD_BOOL(struct i8254, out0_level, false),
    FIELD_TIMER(struct i8254, timer),
    FIELD_END,
};

/* ---- counting ---- */

static int64_t now_ns(struct i8254 *s)
{
    return clock_now_ns(&s->dev.machine->clock);
}

static bool periodic(const struct counter *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Ticks since the count was loaded. */
static int64_t ticks_at(const struct counter *c, int64_t ns)
{
    if (!c->running)
        return c->held;
    return ns <= c->start_ns ? 0 : (int64_t)clock_ticks(ns - c->start_ns, PIT_HZ);
}

/* A periodic counter takes a new count at the end of the period that was running when it was
 * written. */
static void settle(struct counter *c, int64_t ns)
{
    if (!c->next_count || !c->running)
        return;
    int64_t t = ticks_at(c, ns);
    if (t < (int64_t)c->count)
        return;
    c->start_ns += clock_ticks_to_ns(c->count, PIT_HZ);
    c->count = c->next_count;
    c->next_count = 0;
    c->null_count = false;
}

static bool output(const struct counter *c, int64_t ns)
{
    int64_t t = ticks_at(c, ns);
    int64_t n = c->count;
    if (!n)
        return c->mode != 0;
    switch (c->mode) {
    case 0: return t >= n;
    case 1: return !c->triggered || t >= n;
    case 2: return !c->running || t % n != n - 1;
    case 3: return !c->running || t % n < (n + 1) / 2;
    case 4: return t != n;
    default: return !c->triggered || t != n;
    }
}

static uint16_t current(const struct counter *c, int64_t ns)
{
    int64_t t = ticks_at(c, ns), n = c->count, v;
    int64_t wrap = c->bcd ? 10000 : 65536;
    if (!n)
        return 0;
    switch (c->mode) {
    case 2: v = n - t % n; break;
    case 3: {
        /* Counts down by two, twice a period; an odd count loses one at the start of the high half.
         */
        int64_t at = t % n, half = (n + 1) / 2;
        v = at < half ? (n & ~1) - 2 * at : (n & ~1) - 2 * (at - half);
        if (v <= 0)
            v = n & ~1;
        break;
    }
    case 1:
    case 5:
        if (!c->triggered) {
            v = n;
            break;
        }
        /* fall through */
    default:
        v = (n - t) % wrap;
        if (v < 0)
            v += wrap;
    }
    v %= wrap;
    if (c->bcd)
        return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
    return (uint16_t)v;
}

/* The first tick after @t at which the output changes; -1: never. */
static int64_t next_change(const struct counter *c, int64_t t)
{
    int64_t n = c->count;
    if (!n || !c->running)
        return -1;
    switch (c->mode) {
    case 0: return t < n ? n : -1;
    case 1: return c->triggered && t < n ? n : -1;
    case 2: {
        if (n == 1)
            return -1;
        int64_t base = t - t % n, low = base + n - 1;
        return t < low ? low : base + n;
    }
    case 3: {
        if (n == 1)
            return -1;
        int64_t base = t - t % n, half = base + (n + 1) / 2;
        return t < half ? half : base + n;
    }
    default:
        if (c->mode == 5 && !c->triggered)
            return -1;
        return t < n ? n : t < n + 1 ? n + 1 : -1;
    }
}

static void out0_update(struct i8254 *s)
{
    struct counter *c = &s->c[0];
    int64_t now = now_ns(s);
    settle(c, now);
    bool level = output(c, now);
    if (level != s->out0_level) {
        s->out0_level = level;
        irq_set(&s->out0, level);
    }
    int64_t t = next_change(c, ticks_at(c, now));
    if (c->mode == 2 && level && t >= 0)
        t++; /* the rise after the low tick: timer_expired() makes the pulse, in one wake-up */
    if (t < 0) {
        timer_del(&s->timer);
        return;
    }
    int64_t at = c->start_ns + clock_ticks_to_ns((uint64_t)t, PIT_HZ);
    if (periodic(c) && at < now + MIN_PERIOD_NS &&
        clock_ticks_to_ns(c->count, PIT_HZ) < MIN_PERIOD_NS)
        at = now + MIN_PERIOD_NS;
    timer_mod(&s->timer, at);
}

static void timer_expired(void *opaque)
{
    struct i8254 *s = opaque;
    struct counter *c = &s->c[0];
    /* The output may be low for a tick only (mode 2) or have been low and high again since: the
     * rise is what counts. */
    if (s->out0_level && output(c, now_ns(s))) {
        irq_set(&s->out0, 0);
        irq_set(&s->out0, 1);
    }
    out0_update(s);
}

static void restart(struct i8254 *s, struct counter *c)
{
    c->start_ns = now_ns(s);
    c->held = 0;
    if (c->next_count) {
        c->count = c->next_count;
        c->next_count = 0;
    }
    c->null_count = false;
}

static void changed(struct i8254 *s, struct counter *c)
{
    if (c == &s->c[0])
        out0_update(s);
}

static void load(struct i8254 *s, struct counter *c, uint16_t v)
{
    uint32_t n = v;
    if (c->bcd)
        n = (v & 15) + (v >> 4 & 15) * 10u + (v >> 8 & 15) * 100u + (v >> 12) * 1000u;
    if (n == 0)
        n = c->bcd ? 10000 : 65536;
    c->null_count = true;
    if (c->mode == 1 || c->mode == 5) {
        /* Waits for a trigger; a pulse under way keeps its count. */
        if (c->triggered)
            c->next_count = n;
        else
            c->count = n;
    } else if (periodic(c) && c->count && c->running) {
        int64_t now = now_ns(s);
        settle(c, now);
        int64_t t = ticks_at(c, now);
        /* Of the running period, rounded down so that no tick that was seen is taken back. */
        int64_t periods = clock_ticks_to_ns((uint64_t)(t - t % c->count), PIT_HZ);
        c->start_ns += periods ? periods - 1 : 0;
        c->next_count = n;
    } else {
        c->next_count = n;
        c->running = c->gate;
        restart(s, c);
    }
    changed(s, c);
}

static void set_gate(struct i8254 *s, struct counter *c, bool gate)
{
    if (gate == c->gate)
        return;
    int64_t now = now_ns(s);
    c->gate = gate;
    if (c->mode == 1 || c->mode == 5) {
        if (gate && (c->count || c->next_count)) {
            c->triggered = c->running = true;
            restart(s, c);
        }
    } else if (!gate) {
        settle(c, now);
        c->held = ticks_at(c, now);
        c->running = false;
    } else if (periodic(c)) {
        /* Modes 2 and 3 start a new period. */
        c->running = c->count || c->next_count;
        restart(s, c);
    } else if (c->count) {
        c->running = true;
        c->start_ns = now - clock_ticks_to_ns((uint64_t)c->held, PIT_HZ);
    }
    changed(s, c);
}

/* ---- registers ---- */

static void latch_count(struct i8254 *s, struct counter *c)
{
    if (c->latches)
        return;
    settle(c, now_ns(s));
    c->latched = current(c, now_ns(s));
    c->latches = c->access == ACCESS_BOTH ? 2 : 1;
    c->read_high = c->access == ACCESS_HIGH;
}

static void latch_status(struct i8254 *s, struct counter *c)
{
    if (c->status_latched)
        return;
    settle(c, now_ns(s));
    c->status =
        (uint8_t)(output(c, now_ns(s)) << 7 | c->null_count << 6 | c->access << 4 | c->control);
    c->status_latched = true;
}

static void control(struct i8254 *s, uint8_t v)
{
    unsigned n = v >> 6;
    if (n == 3) { /* read-back */
        for (unsigned i = 0; i < 3; i++) {
            if (!(v >> (i + 1) & 1))
                continue;
            if (!(v & 0x20))
                latch_count(s, &s->c[i]);
            if (!(v & 0x10))
                latch_status(s, &s->c[i]);
        }
        return;
    }
    struct counter *c = &s->c[n];
    if ((v >> 4 & 3) == ACCESS_LATCH) {
        latch_count(s, c);
        return;
    }
    bool gate = c->gate;
    *c = (struct counter){
        .gate = gate, .null_count = true, .access = v >> 4 & 3, .bcd = v & 1, .control = v & 15
    };
    c->mode = v >> 1 & 7;
    if (c->mode > 5)
        c->mode &= 3; /* 6 and 7 are 2 and 3 */
    changed(s, c);
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *s = opaque;
    if (offset == 3)
        return 0xff; /* the control word can't be read */
    struct counter *c = &s->c[offset];
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t v;
    if (c->latches) {
        c->latches--;
        v = c->latched;
    } else {
        settle(c, now_ns(s));
        v = current(c, now_ns(s));
        if (c->access != ACCESS_BOTH)
            c->read_high = c->access == ACCESS_HIGH;
    }
    uint8_t byte = (uint8_t)(c->read_high ? v >> 8 : v);
    c->read_high = c->access == ACCESS_BOTH ? !c->read_high : false;
    return byte;
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8254 *s = opaque;
    uint8_t v = (uint8_t)value;
    if (s->speaker && s->speaker_data && (offset == 2 || (offset == 3 && v >> 6 == 2)))
        pcspk_changing(s->speaker);
    if (offset == 3) {
        control(s, v);
        return;
    }
    struct counter *c = &s->c[offset];
    switch (c->access) {
    case ACCESS_LOW: load(s, c, v); break;
    case ACCESS_HIGH: load(s, c, (uint16_t)(v << 8)); break;
    default:
        if (c->write_high) {
            load(s, c, (uint16_t)(v << 8 | c->write_low));
        } else {
            c->write_low = v;
            if (c->mode == 0) { /* the first byte stops the count */
                c->held = ticks_at(c, now_ns(s));
                c->running = false;
                changed(s, c);
            }
        }
        c->write_high = !c->write_high;
    }
}

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *s = opaque;
    int64_t now = now_ns(s);
    settle(&s->c[2], now);
    unsigned refresh = (unsigned)(now / REFRESH_TOGGLE_NS) & 1;
    return (uint64_t)(s->c[2].gate | s->speaker_data << 1 | refresh << 4 |
                      output(&s->c[2], now) << 5);
}

static void port61_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8254 *s = opaque;
    if (s->speaker && (s->speaker_data || value & 2) &&
        (value & 3) != (unsigned)(s->c[2].gate | s->speaker_data << 1))
        pcspk_changing(s->speaker);
    s->speaker_data = value & 2;
    set_gate(s, &s->c[2], value & 1);
}

static const struct mem_ops pit_ops = { pit_read, pit_write, 1, 1 };
static const struct mem_ops port61_ops = { port61_read, port61_write, 1, 1 };

uint32_t i8254_speaker_hz(struct i8254 *s)
{
    const struct counter *c = &s->c[2];
    if (!s->speaker_data || !c->running || c->mode != 3 || c->count < 2)
        return 0;
    return PIT_HZ / c->count;
}

/* How long the output of a running counter has been high since it was loaded, @ns ago. */
static double high_ns(const struct counter *c, double ns)
{
    const double tick = 1e9 / PIT_HZ;
    double all = c->count * tick;
    switch (c->mode) {
    case 0: return ns > all ? ns - all : 0;
    case 1: return !c->triggered ? ns : ns > all ? ns - all : 0;
    case 2: return ns - floor(ns / all) * tick;
    case 3: {
        uint32_t high = (c->count + 1) / 2; /* ticks; an odd one belongs to the high half */
        double half = high * tick, into = fmod(ns, all);
        return floor(ns / all) * half + (into < half ? into : half);
    }
    default: return ns; /* a pulse of a tick is not heard */
    }
}

double i8254_speaker_level(struct i8254 *s, int64_t from_ns, int64_t to_ns)
{
    struct counter *c = &s->c[2];
    if (!s->speaker_data || to_ns <= from_ns)
        return 0;
    settle(c, from_ns);
    if (!c->running || !c->count || from_ns < c->start_ns)
        return output(c, from_ns);
    return (high_ns(c, (double)(to_ns - c->start_ns)) -
            high_ns(c, (double)(from_ns - c->start_ns))) /
           (double)(to_ns - from_ns);
}

/* ---- life ---- */

static void i8254_reset(struct device *d)
{
    struct i8254 *s = (struct i8254 *)d;
    irq_set(&s->out0, 0);
    out0_update(s);
}

/* A saved state may hold any numbers; calculations trust these. */
static void i8254_post_load(struct device *d)
{
    struct i8254 *s = (struct i8254 *)d;
    int64_t now = now_ns(s);
    for (int i = 0; i < 3; i++) {
        struct counter *c = &s->c[i];
        c->count = c->count > 65536 ? 65536 : c->count;
        c->next_count = c->next_count > 65536 ? 65536 : c->next_count;
        c->mode = c->mode > 5 ? 3 : c->mode;
        c->access &= 3;
        if (c->start_ns > now || c->start_ns < -(1ll << 60))
            c->start_ns = now;
        if (c->held < 0 || c->held > 1ll << 60)
            c->held = 0;
    }
    if (s->speaker)
        pcspk_loaded(s->speaker);
}

static bool i8254_realize(struct device *d, struct error *err)
{
    struct i8254 *s = (struct i8254 *)d;
    timer_init(&s->timer, &d->machine->clock, timer_expired, s);
    mem_region_init_io(&s->io, "pit", 4, &pit_ops, s);
    mem_region_init_io(&s->port61, "pcspk", 1, &port61_ops, s);
    mem_region_add(&d->machine->io, &s->io, 0x40, 0);
    mem_region_add(&d->machine->io, &s->port61, 0x61, 0);
    return true;
}

static void i8254_unrealize(struct device *d)
{
    struct i8254 *s = (struct i8254 *)d;
    mem_region_remove(&s->io);
    mem_region_remove(&s->port61);
    pcspk_free(s->speaker);
}

static const struct device_class i8254_class = {
    .name = "isa-pit",
    .desc = "8254 interval timer",
    .size = sizeof(struct i8254),
    .fields = i8254_fields,
    .realize = i8254_realize,
    .unrealize = i8254_unrealize,
    .reset = i8254_reset,
    .post_load = i8254_post_load,
};

struct i8254 *i8254_new(struct machine *m, struct irq out0, struct error *err)
{
    struct i8254 *s = (struct i8254 *)device_new(m, &i8254_class);
    if (!s) {
        error_set(err, "isa-pit: out of memory");
        return NULL;
    }
    s->out0 = out0;
    return pcspk_new(m, s, &s->speaker, err) && device_realize(&s->dev, err) ? s : NULL;
}
