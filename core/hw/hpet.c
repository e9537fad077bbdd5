/*
 * HPET: IA-PC HPET specification 1.0a, with the parameters of QEMU's (which the ACPI table
 * repeats).
 *
 * The main counter is virtual time in 10 ns units plus an offset while enabled, and a stored value
 * while not. Each timer has a host timer set to the moment when the counter reaches its comparator.
 * A comparator that was set to the past fires at once: a guest that computes "now + a little" too
 * slowly still gets its interrupt. Periodic timers step their comparator by whole periods past the
 * counter, so they don't drift and missed ones merge. A timer whose match nobody could see
 * (edge-triggered and disabled, as Linux leaves it) has no host timer, so that it doesn't wake a
 * sleeping host; its comparator catches up when it is looked at.
 *
 * Interrupts: legacy replacement sends timer 0 to IRQ 0 (IOAPIC pin 2) and timer 1 to IRQ 8 and
 * cuts PIT and RTC off; otherwise the route in the timer's configuration names an IOAPIC pin; only
 * pin 2 is allowed, as on QEMU's pc.
 */
#include "hw/hpet.h"

#include "clock.h"
#include "hw/device.h"
#include "hw/ioapic.h"
#include "log.h"
#include "machine.h"
#include "memory.h"

#define TIMERS        3
#define TICK_NS       10
#define MIN_PERIOD_NS 10000
#define ROUTE_CAPS    0x4u

#define CAPABILITIES (0x8086a001ull | (TIMERS - 1) << 8 | (uint64_t)HPET_PERIOD_FS << 32)

#define CONFIG_ENABLE 1u
#define CONFIG_LEGACY 2u

#define TN_LEVEL        0x002u
#define TN_ENABLE       0x004u
#define TN_PERIODIC     0x008u
#define TN_PERIODIC_CAP 0x010u
#define TN_SIZE_CAP     0x020u
#define TN_SETVAL       0x040u
#define TN_32BIT        0x100u
#define TN_ROUTE(c)     ((c) >> 9 & 31)
#define TN_WRITABLE     0x3f4eu /* no MSI delivery */

struct hpet;

struct hpet_timer {
    struct hpet *hpet;
    uint64_t config, comparator, period;
    struct timer timer;
};

struct hpet {
    struct device dev;
    uint64_t config, status;
    uint64_t counter; /* while stopped */
    uint64_t offset;  /* while running: counter = ticks of virtual time + offset */
    bool input[2];    /* levels of PIT and RTC */
    struct hpet_timer t[TIMERS];
    struct mem_region io;
};

#define TIMER_FIELDS(n)                                                                            \
    FIELD_U64(struct hpet, t[n].config,                                                            \
              TN_PERIODIC_CAP | TN_SIZE_CAP | (uint64_t)ROUTE_CAPS << 32),                         \
        FIELD_U64(struct hpet, t[n].comparator, UINT64_MAX),                                       \
        FIELD_U64(struct hpet, t[n].period, 0), FIELD_TIMER(struct hpet, t[n].timer)

static const struct field hpet_fields[] = {
    FIELD_U64(struct hpet, config, 0),
    FIELD_U64(struct hpet, status, 0),
    FIELD_U64(struct hpet, counter, 0),
    FIELD_U64(struct hpet, offset, 0),
    FIELD_BOOL(struct hpet, input, false),
    TIMER_FIELDS(0),
    TIMER_FIELDS(1),
    TIMER_FIELDS(2),
    FIELD_END,
};

/* ---- counter ---- */

static uint64_t clock_counter(struct hpet *s)
{
    return (uint64_t)clock_now_ns(&s->dev.machine->clock) / TICK_NS;
}

static uint64_t counter(struct hpet *s)
{
    return s->config & CONFIG_ENABLE ? clock_counter(s) + s->offset : s->counter;
}

/* ---- interrupts ---- */

static bool legacy(const struct hpet *s)
{
    return s->config & CONFIG_LEGACY;
}

static void drive(struct hpet *s, unsigned n, int level)
{
    struct machine *m = s->dev.machine;
    unsigned route = (unsigned)TN_ROUTE(s->t[n].config);
    if (legacy(s) && n < 2)
        irq_set(&m->isa_irq[n == 0 ? 0 : 8], level);
    else if ((ROUTE_CAPS >> route & 1) && m->ioapic)
        ioapic_set_pin(m->ioapic, route, level);
}

static void fire(struct hpet *s, unsigned n)
{
    struct hpet_timer *t = &s->t[n];
    if (t->config & TN_LEVEL) {
        s->status |= 1ull << n;
        if (t->config & TN_ENABLE)
            drive(s, n, 1);
    } else if (t->config & TN_ENABLE) {
        drive(s, n, 1);
        drive(s, n, 0);
    }
}

static void pass_legacy(struct hpet *s, enum hpet_legacy which)
{
    if (!legacy(s))
        irq_set(&s->dev.machine->isa_irq[which == HPET_LEGACY_PIT ? 0 : 8], s->input[which]);
}

static void legacy_input(void *opaque, int which, int level)
{
    struct hpet *s = opaque;
    s->input[which] = level != 0;
    pass_legacy(s, (enum hpet_legacy)which);
}

struct irq hpet_legacy_input(struct hpet *s, enum hpet_legacy which)
{
    return (struct irq){ legacy_input, s, which };
}

/* ---- timers ---- */

static uint64_t width_mask(const struct hpet_timer *t)
{
    return t->config & TN_32BIT ? UINT32_MAX : UINT64_MAX;
}

/* Ticks until the comparator matches; 0: now or in the past (less than half the range ago). */
static uint64_t distance(struct hpet_timer *t)
{
    uint64_t mask = width_mask(t), d = (t->comparator - counter(t->hpet)) & mask;
    return d > mask >> 1 ? 0 : d;
}

/* Steps a periodic comparator that the running counter has reached past it. */
static void catch_up(struct hpet_timer *t)
{
    if (!(t->hpet->config & CONFIG_ENABLE) || !(t->config & TN_PERIODIC) || !t->period ||
        distance(t))
        return;
    uint64_t mask = width_mask(t), late = (counter(t->hpet) - t->comparator) & mask;
    t->comparator = (t->comparator + (late / t->period + 1) * t->period) & mask;
}

static bool unseen(const struct hpet_timer *t)
{
    return !(t->config & (TN_ENABLE | TN_LEVEL));
}

/* @past_fires: a comparator that the counter has passed interrupts now (it was just written);
 * otherwise not at all. */
static void arm(struct hpet_timer *t, bool past_fires)
{
    if (!past_fires)
        catch_up(t);
    if (!(t->hpet->config & CONFIG_ENABLE) || unseen(t)) {
        timer_del(&t->timer);
        return;
    }
    int64_t now = clock_now_ns(&t->hpet->dev.machine->clock);
    uint64_t d = distance(t);
    if (d > (uint64_t)(INT64_MAX / 4) / TICK_NS || (d == 0 && !past_fires)) {
        timer_del(&t->timer);
        return;
    }
    int64_t at = now - now % TICK_NS + (int64_t)d * TICK_NS;
    if ((t->config & TN_PERIODIC) && at < now + MIN_PERIOD_NS &&
        t->period < MIN_PERIOD_NS / TICK_NS)
        at = now + MIN_PERIOD_NS;
    timer_mod(&t->timer, at);
}

static void timer_expired(void *opaque)
{
    struct hpet_timer *t = opaque;
    struct hpet *s = t->hpet;
    if ((t->config & TN_PERIODIC) && t->period) {
        catch_up(t);
        arm(t, true);
    }
    fire(s, (unsigned)(t - s->t));
}

/* ---- registers ---- */

static uint64_t reg_read(struct hpet *s, unsigned reg)
{
    switch (reg) {
    case 0x000: return CAPABILITIES;
    case 0x010: return s->config;
    case 0x020: return s->status;
    case 0x0f0: return counter(s);
    default: break;
    }
    unsigned n = (reg - 0x100) / 0x20;
    if (reg < 0x100 || n >= TIMERS)
        return 0;
    switch (reg & 0x1f) {
    case 0x00: return s->t[n].config;
    case 0x08: return s->t[n].comparator;
    default: return 0; /* no MSI: the FSB route is 0 */
    }
}

static void write_config(struct hpet *s, uint64_t v)
{
    bool was_on = s->config & CONFIG_ENABLE, was_legacy = legacy(s);
    uint64_t now = counter(s);
    for (int n = 0; n < TIMERS; n++)
        catch_up(&s->t[n]);
    s->config = v & (CONFIG_ENABLE | CONFIG_LEGACY);
    bool on = s->config & CONFIG_ENABLE;
    if (on && !was_on)
        s->offset = s->counter - clock_counter(s);
    else if (!on && was_on)
        s->counter = now;
    if (on != was_on)
        for (int n = 0; n < TIMERS; n++)
            arm(&s->t[n], false);
    if (legacy(s) && !was_legacy) {
        irq_set(&s->dev.machine->isa_irq[0], 0);
        irq_set(&s->dev.machine->isa_irq[8], 0);
    } else if (!legacy(s) && was_legacy) {
        pass_legacy(s, HPET_LEGACY_PIT);
        pass_legacy(s, HPET_LEGACY_RTC);
    }
}

static void clear_status(struct hpet *s, uint64_t v)
{
    for (unsigned n = 0; n < TIMERS; n++)
        if ((v & s->status) >> n & 1) {
            s->status &= ~(1ull << n);
            drive(s, n, 0);
        }
}

static void write_timer_config(struct hpet *s, unsigned n, uint64_t v)
{
    struct hpet_timer *t = &s->t[n];
    uint64_t old = t->config;
    /* A level interrupt that is up must not stay on a pin that nobody drives any more. */
    if ((s->status >> n & 1) && (old & TN_LEVEL))
        drive(s, n, 0);
    t->config = (old & ~(uint64_t)TN_WRITABLE) | (v & TN_WRITABLE);
    if (t->config & TN_32BIT) {
        t->comparator = (uint32_t)t->comparator;
        t->period = (uint32_t)t->period;
    }
    if ((s->status >> n & 1) && (t->config & TN_LEVEL) && (t->config & TN_ENABLE))
        drive(s, n, 1);
    if ((old ^ t->config) & (TN_ENABLE | TN_PERIODIC | TN_32BIT))
        arm(t, false);
}

/* Halves are written alone: @mask says which bits of @v count. */
static void write_comparator(struct hpet_timer *t, uint64_t v, uint64_t mask)
{
    bool periodic = t->config & TN_PERIODIC;
    if (!periodic || (t->config & TN_SETVAL))
        t->comparator = ((t->comparator & ~mask) | (v & mask)) & width_mask(t);
    if (periodic)
        t->period = ((t->period & ~mask) | (v & mask)) & width_mask(t);
    /* One write each: a 64-bit value in two halves needs the bit set before both (2.3.9.2.2). */
    t->config &= ~(uint64_t)TN_SETVAL;
    arm(t, true);
}

static void reg_write(struct hpet *s, unsigned reg, uint64_t v, uint64_t mask)
{
    uint64_t full = (reg_read(s, reg) & ~mask) | (v & mask);
    switch (reg) {
    case 0x010: write_config(s, full); return;
    case 0x020: clear_status(s, v & mask); return;
    case 0x0f0:
        if (s->config & CONFIG_ENABLE)
            log_mask(LOG_GUEST_ERRORS, "hpet: the running counter was written");
        else
            s->counter = full;
        return;
    default: break;
    }
    unsigned n = (reg - 0x100) / 0x20;
    if (reg < 0x100 || n >= TIMERS)
        return;
    if ((reg & 0x1f) == 0x00)
        write_timer_config(s, n, full);
    else if ((reg & 0x1f) == 0x08)
        write_comparator(&s->t[n], v, mask);
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned size)
{
    struct hpet *s = opaque;
    for (int n = 0; n < TIMERS; n++)
        catch_up(&s->t[n]);
    uint64_t v = reg_read(s, (unsigned)offset & ~7u);
    return size == 8 ? v : (uint32_t)(v >> (8 * (offset & 4)));
}

static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned shift = 8 * ((unsigned)offset & 4);
    uint64_t mask = size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;
    reg_write(opaque, (unsigned)offset & ~7u, value << shift, mask);
}

static const struct mem_ops hpet_ops = { hpet_read, hpet_write, 4, 8 };

/* ---- life ---- */

static bool hpet_realize(struct device *d, struct error *err)
{
    struct hpet *s = (struct hpet *)d;
    for (int n = 0; n < TIMERS; n++) {
        s->t[n].hpet = s;
        timer_init(&s->t[n].timer, &d->machine->clock, timer_expired, &s->t[n]);
    }
    mem_region_init_io(&s->io, "hpet", 0x400, &hpet_ops, s);
    mem_region_add(&d->machine->mem, &s->io, HPET_BASE, 0);
    return true;
}

static void hpet_unrealize(struct device *d)
{
    struct hpet *s = (struct hpet *)d;
    mem_region_remove(&s->io);
}

static const struct device_class hpet_class = {
    .name = "hpet",
    .desc = "High precision event timer",
    .size = sizeof(struct hpet),
    .fields = hpet_fields,
    .realize = hpet_realize,
    .unrealize = hpet_unrealize,
    .routes_lines = true,
};

struct hpet *hpet_new(struct machine *m, struct error *err)
{
    struct hpet *s = (struct hpet *)device_new(m, &hpet_class);
    if (!s) {
        error_set(err, "hpet: out of memory");
        return NULL;
    }
    return device_realize(&s->dev, err) ? s : NULL;
}
