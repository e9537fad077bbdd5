/*
 * Local APIC: SDM vol. 3, chapter 11 (register numbers and bit names are the manual's).
 *
 * An interrupt arrives as a bus message (IPI, IOAPIC, MSI) or from the local vector table, sets its
 * bit in IRR and, if its priority class is above the processor's (PPR), raises CPU_INTR_HARD; the
 * CPU acknowledges at an instruction boundary, which moves the highest IRR bit to ISR; EOI clears
 * the highest ISR bit and, for a level-triggered vector, tells the IOAPIC. apic_update() is the
 * only place that decides whether CPU_INTR_HARD is up, and runs after every change of what it
 * depends on: IRR, ISR, TPR, SVR, LINT0 and the level of the 8259's output.
 *
 * The timer counts at 1 GHz before the divider, so a tick is a nanosecond of virtual time and
 * nothing drifts: the current count is computed from the time the initial count was written.
 * Periods below MIN_PERIOD_NS count exactly, but interrupt only that often, so that no guest can
 * keep the host busy with timers.
 *
 * Both the memory-mapped and the MSR interface go through reg_read() and reg_write().
 */
#include "hw/apic.h"

#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "hw/ioapic.h"
#include "log.h"
#include "machine.h"

#define MIN_PERIOD_NS 10000

/* Above everything a guest can move over it. */
#define APIC_PRIORITY 0x1000
#define MSI_PRIORITY  0xfff

#define BASE_BSP  0x100u
#define BASE_EXTD 0x400u
#define BASE_EN   0x800u
/* Physical addresses have 40 bits, as CPUID says. */
#define BASE_ADDR 0xfffffff000ull

#define SVR_ENABLE     0x100u
#define LVT_MASKED     0x10000u
#define LVT_LEVEL      0x8000u
#define LVT_REMOTE     0x4000u
#define TIMER_MODE     0x60000u
#define TIMER_PERIODIC 0x20000u
#define TIMER_DEADLINE 0x40000u

#define ESR_SEND_ILLEGAL_VECTOR    0x20u
#define ESR_RECEIVE_ILLEGAL_VECTOR 0x40u
#define ESR_ILLEGAL_REGISTER       0x80u

/* Register numbers: MMIO offset / 16, MSR - 0x800. */
enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR_LOW = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT_TIMER = 0x32,
    REG_LVT_ERROR = 0x37,
    REG_INITIAL_COUNT = 0x38,
    REG_CURRENT_COUNT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
};

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

/* Writable bits of each LVT entry. */
static const uint32_t lvt_mask[LVT_COUNT] = {
    0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff
};

struct apic {
    struct device dev;
    struct cpu *cpu;
    struct mem_region page, msi;
    int (*pic_ack)(void *opaque);
    void *pic_opaque;
    bool x2apic_allowed;

    uint64_t base;
    uint32_t id;
    uint8_t tpr;
    uint32_t ldr, dfr, svr;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t esr, esr_pending;
    uint32_t icr[2];
    uint32_t lvt[LVT_COUNT];
    uint32_t divide, initial_count;
    int64_t load_ns;    /* when initial_count was written */
    bool timer_stopped; /* a one-shot count ran out, then the mode changed: only a new count starts
                           it */
    uint64_t tsc_deadline; /* 0: not armed */
    uint8_t sipi_vector;
    bool pic_level; /* INT output of the 8259 pair */
    bool extint;    /* an ExtINT message waits for its INTA cycle */
    struct timer timer;
};

static const struct field apic_fields[] = {
    FIELD_U64(struct apic, base, APIC_DEFAULT_BASE | BASE_EN),
    FIELD_U8(struct apic, tpr, 0),
    FIELD_U32(struct apic, ldr, 0),
    FIELD_U32(struct apic, dfr, 0xffffffff),
    FIELD_U32(struct apic, svr, 0xff),
    FIELD_U32(struct apic, isr, 0),
    FIELD_U32(struct apic, tmr, 0),
    FIELD_U32(struct apic, irr, 0),
    FIELD_U32(struct apic, esr, 0),
    FIELD_U32(struct apic, esr_pending, 0),
    FIELD_U32(struct apic, icr, 0),
    FIELD_U32(struct apic, lvt, LVT_MASKED),
    FIELD_U32(struct apic, divide, 0),
    FIELD_U32(struct apic, initial_count, 0),
    FIELD_I64(struct apic, load_ns, 0),
    FIELD_BOOL(struct apic, timer_stopped, 0),
    FIELD_U64(struct apic, tsc_deadline, 0),
    FIELD_U8(struct apic, sipi_vector, 0),
    FIELD_BOOL(struct apic, pic_level, false),
    FIELD_BOOL(struct apic, extint, false),
    FIELD_TIMER(struct apic, timer),
    FIELD_END,
};

/* ---- 256-bit registers ---- */

static void set_bit(uint32_t *r, unsigned n)
{
    r[n >> 5] |= 1u << (n & 31);
}

static void clear_bit(uint32_t *r, unsigned n)
{
    r[n >> 5] &= ~(1u << (n & 31));
}

static bool test_bit(const uint32_t *r, unsigned n)
{
    return r[n >> 5] >> (n & 31) & 1;
}

/* Highest set bit, -1: none. */
static int highest(const uint32_t *r)
{
    for (int i = 7; i >= 0; i--)
        if (r[i])
            return i * 32 + 31 - __builtin_clz(r[i]);
    return -1;
}

/* ---- priority and the CPU's interrupt input ---- */

static bool hw_enabled(const struct apic *a)
{
    return (a->base & BASE_EN) != 0;
}

static bool x2apic_mode(const struct apic *a)
{
    return (a->base & BASE_EXTD) != 0;
}

static bool sw_enabled(const struct apic *a)
{
    return hw_enabled(a) && (a->svr & SVR_ENABLE);
}

static unsigned lvt_delivery(uint32_t lvt)
{
    return lvt >> 8 & 7;
}

/* SDM 11.8.3.1. */
static uint8_t ppr(const struct apic *a)
{
    int isrv = highest(a->isr);
    uint8_t in_service = isrv < 0 ? 0 : (uint8_t)(isrv & 0xf0);
    return (a->tpr & 0xf0) >= in_service ? a->tpr : in_service;
}

/* The vector that can be delivered now, -1: none. */
static int deliverable(const struct apic *a)
{
    if (!sw_enabled(a))
        return -1;
    int v = highest(a->irr);
    return v >= 0 && (v & 0xf0) > (ppr(a) & 0xf0) ? v : -1;
}

static bool accepts_pic(const struct apic *a)
{
    if (!hw_enabled(a))
        return true;
    uint32_t lvt = a->lvt[LVT_LINT0];
    return !(lvt & LVT_MASKED) && lvt_delivery(lvt) == APIC_EXTINT;
}

static bool pic_pending(const struct apic *a)
{
    return a->extint || (a->pic_level && accepts_pic(a));
}

static void apic_update(struct apic *a)
{
    if (deliverable(a) >= 0 || pic_pending(a))
        cpu_raise_intr(a->cpu, CPU_INTR_HARD);
    else
        cpu_lower_intr(a->cpu, CPU_INTR_HARD);
}

static int apic_ack(void *opaque)
{
    struct apic *a = opaque;
    int v = deliverable(a);
    if (v >= 0) {
        clear_bit(a->irr, (unsigned)v);
        set_bit(a->isr, (unsigned)v);
        apic_update(a);
        return v;
    }
    if (pic_pending(a) && a->pic_ack) {
        a->extint = false;
        v = a->pic_ack(a->pic_opaque);
        apic_update(a);
        return v;
    }
    apic_update(a);
    return -1;
}

/* ---- accepting interrupts ---- */

static void set_irr(struct apic *a, uint8_t vector, bool level)
{
    set_bit(a->irr, vector);
    if (level)
        set_bit(a->tmr, vector);
    else
        clear_bit(a->tmr, vector);
    apic_update(a);
}

static void apic_error(struct apic *a, uint32_t bit)
{
    bool first = !(a->esr_pending & bit);
    a->esr_pending |= bit;
    uint32_t lvt = a->lvt[LVT_ERROR];
    /* A bad vector in the error LVT itself must not make errors without end. */
    if (first && !(lvt & LVT_MASKED) && (lvt & 0xff) >= 16 && sw_enabled(a))
        set_irr(a, (uint8_t)lvt, false);
}

static void accept_fixed(struct apic *a, uint8_t vector, bool level)
{
    if (!sw_enabled(a))
        return;
    if (vector < 16)
        apic_error(a, ESR_RECEIVE_ILLEGAL_VECTOR);
    else
        set_irr(a, vector, level);
}

static void apic_init_state(struct apic *a);

static void apic_receive(struct apic *a, unsigned delivery, uint8_t vector, bool level)
{
    if (!hw_enabled(a))
        return;
    switch (delivery) {
    case APIC_FIXED:
    case APIC_LOWEST: accept_fixed(a, vector, level); break;
    case APIC_SMI: cpu_raise_intr(a->cpu, CPU_INTR_SMI); break;
    case APIC_NMI: cpu_raise_intr(a->cpu, CPU_INTR_NMI); break;
    case APIC_INIT:
        apic_init_state(a);
        cpu_raise_intr(a->cpu, CPU_INTR_INIT);
        break;
    case APIC_SIPI:
        a->sipi_vector = vector;
        cpu_raise_intr(a->cpu, CPU_INTR_SIPI);
        break;
    case APIC_EXTINT:
        a->extint = true;
        apic_update(a);
        break;
    default: break;
    }
}

static bool matches(const struct apic *a, uint32_t dest, bool logical, bool wide)
{
    if (dest == (wide ? 0xffffffffu : 0xffu))
        return true;
    if (!logical)
        return a->id == dest;
    if (x2apic_mode(a)) {
        uint32_t ldr = (a->id >> 4) << 16 | 1u << (a->id & 15);
        return wide && ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
    }
    uint32_t ldr = a->ldr >> 24;
    if (a->dfr >> 28 == 15)
        return (ldr & dest) != 0;
    return a->dfr >> 28 == 0 && ldr >> 4 == dest >> 4 && (ldr & dest & 15);
}

static void deliver(struct machine *m, uint32_t dest, bool logical, bool wide, unsigned delivery,
                    uint8_t vector, bool level)
{
    struct apic *best = NULL;
    for (int i = 0; i < m->cpu_count; i++) {
        struct apic *a = m->cpus[i]->apic;
        if (!a || !matches(a, dest, logical, wide))
            continue;
        if (delivery != APIC_LOWEST)
            apic_receive(a, delivery, vector, level);
        else if (sw_enabled(a) && (!best || ppr(a) < ppr(best)))
            best = a;
    }
    if (best)
        accept_fixed(best, vector, level);
}

void apic_bus_deliver(struct machine *m, uint8_t dest, bool logical, unsigned delivery,
                      uint8_t vector, bool level_triggered)
{
    deliver(m, dest, logical, false, delivery, vector, level_triggered);
}

/* SDM vol. 3, 11.11. */
void apic_deliver_msi(struct machine *m, uint64_t addr, uint32_t data)
{
    bool logical = addr & 4;
    deliver(m, addr >> 12 & 0xff, logical, false, data >> 8 & 7, (uint8_t)data, data & 0x8000);
}

/* ---- local interrupt sources ---- */

static void local_deliver(struct apic *a, int n)
{
    uint32_t lvt = a->lvt[n];
    if ((lvt & LVT_MASKED) || !hw_enabled(a))
        return;
    switch (n == LVT_TIMER || n == LVT_ERROR ? APIC_FIXED : lvt_delivery(lvt)) {
    case APIC_FIXED: {
        bool level = (n == LVT_LINT0 || n == LVT_LINT1) && (lvt & LVT_LEVEL);
        if (level)
            a->lvt[n] |= LVT_REMOTE;
        accept_fixed(a, (uint8_t)lvt, level);
        break;
    }
    case APIC_SMI: cpu_raise_intr(a->cpu, CPU_INTR_SMI); break;
    case APIC_NMI: cpu_raise_intr(a->cpu, CPU_INTR_NMI); break;
    case APIC_INIT: cpu_raise_intr(a->cpu, CPU_INTR_INIT); break;
    default: break; /* ExtINT: see pic_pending */
    }
}

void apic_connect_pic(struct machine *m, int (*ack)(void *opaque), void *opaque)
{
    for (int i = 0; i < m->cpu_count; i++) {
        m->cpus[i]->apic->pic_ack = ack;
        m->cpus[i]->apic->pic_opaque = opaque;
    }
}

void apic_set_pic_level(struct machine *m, int level)
{
    for (int i = 0; i < m->cpu_count; i++) {
        struct apic *a = m->cpus[i]->apic;
        if (!a)
            continue;
        bool rise = level && !a->pic_level;
        a->pic_level = level != 0;
        uint32_t lvt = a->lvt[LVT_LINT0];
        bool again = level && (lvt & LVT_LEVEL) && !(lvt & LVT_REMOTE);
        if ((rise || again) && lvt_delivery(lvt) != APIC_EXTINT)
            local_deliver(a, LVT_LINT0);
        apic_update(a);
    }
}

void apic_pulse_lint1(struct machine *m)
{
    for (int i = 0; i < m->cpu_count; i++) {
        struct apic *a = m->cpus[i]->apic;
        if (!hw_enabled(a))
            cpu_raise_intr(a->cpu, CPU_INTR_NMI);
        else
            local_deliver(a, LVT_LINT1);
    }
}

/* ---- timer ---- */

static unsigned divide_shift(const struct apic *a)
{
    unsigned v = (a->divide & 3) | (a->divide >> 1 & 4);
    return (v + 1) & 7;
}

static uint32_t timer_mode(const struct apic *a)
{
    return a->lvt[LVT_TIMER] & TIMER_MODE;
}

static uint32_t current_count(struct apic *a)
{
    if (!a->initial_count || a->timer_stopped || timer_mode(a) == TIMER_DEADLINE)
        return 0;
    uint64_t ticks =
        (uint64_t)(clock_now_ns(&a->dev.machine->clock) - a->load_ns) >> divide_shift(a);
    if (timer_mode(a) == TIMER_PERIODIC)
        return a->initial_count - (uint32_t)(ticks % a->initial_count);
    return ticks >= a->initial_count ? 0 : a->initial_count - (uint32_t)ticks;
}

/* Virtual time until which the TSC is below @deadline. */
static int64_t deadline_ns(struct apic *a, int64_t now)
{
    uint64_t tsc = cpu_tsc(a->cpu);
    if (a->tsc_deadline <= tsc)
        return now;
    uint64_t ticks = a->tsc_deadline - tsc;
    /* Beyond a year is as good as never, and keeps the sum from wrapping. */
    if (ticks > CPU_TSC_HZ * 365ull * 24 * 3600)
        return INT64_MAX;
    return now + clock_ticks_to_ns(ticks, CPU_TSC_HZ);
}

/* Arms the host timer for the next expiry after now. */
static void timer_arm(struct apic *a)
{
    int64_t now = clock_now_ns(&a->dev.machine->clock);
    timer_del(&a->timer);
    if (timer_mode(a) == TIMER_DEADLINE) {
        int64_t at = a->tsc_deadline ? deadline_ns(a, now) : INT64_MAX;
        if (at != INT64_MAX)
            timer_mod(&a->timer, at);
        return;
    }
    if (!a->initial_count || a->timer_stopped || (a->lvt[LVT_TIMER] & LVT_MASKED))
        return;
    int64_t period = (int64_t)((uint64_t)a->initial_count << divide_shift(a));
    int64_t at = a->load_ns + period;
    if (timer_mode(a) == TIMER_PERIODIC) {
        at = a->load_ns + ((now - a->load_ns) / period + 1) * period;
        if (at < now + MIN_PERIOD_NS && period < MIN_PERIOD_NS)
            at = now + MIN_PERIOD_NS;
    }
    if (at > now || now == a->load_ns)
        timer_mod(&a->timer, at);
}

static void timer_expired(void *opaque)
{
    struct apic *a = opaque;
    if (timer_mode(a) == TIMER_DEADLINE) {
        /* The clock's rounding may be a tick early. */
        if (cpu_tsc(a->cpu) < a->tsc_deadline) {
            timer_arm(a);
            return;
        }
        a->tsc_deadline = 0;
        local_deliver(a, LVT_TIMER);
        return;
    }
    local_deliver(a, LVT_TIMER);
    if (timer_mode(a) == TIMER_PERIODIC)
        timer_arm(a);
}

uint64_t apic_get_tsc_deadline(struct apic *a)
{
    return timer_mode(a) == TIMER_DEADLINE ? a->tsc_deadline : 0;
}

void apic_set_tsc_deadline(struct apic *a, uint64_t tsc)
{
    if (timer_mode(a) != TIMER_DEADLINE)
        return;
    a->tsc_deadline = tsc;
    if (tsc && cpu_tsc(a->cpu) >= tsc) { /* in the past: at once, not when the loop comes round */
        timer_del(&a->timer);
        timer_expired(a);
        return;
    }
    timer_arm(a);
}

void apic_tsc_changed(struct apic *a)
{
    if (timer_mode(a) == TIMER_DEADLINE)
        timer_arm(a);
}

/* ---- registers ---- */

static void eoi(struct apic *a)
{
    int v = highest(a->isr);
    if (v < 0)
        return;
    clear_bit(a->isr, (unsigned)v);
    if (test_bit(a->tmr, (unsigned)v)) {
        for (int n = LVT_LINT0; n <= LVT_LINT1; n++)
            if ((a->lvt[n] & LVT_REMOTE) && (a->lvt[n] & 0xff) == (uint32_t)v) {
                a->lvt[n] &= ~LVT_REMOTE;
                if (n == LVT_LINT0 && a->pic_level)
                    local_deliver(a, n);
            }
        if (a->dev.machine->ioapic)
            ioapic_eoi_broadcast(a->dev.machine->ioapic, (uint8_t)v);
    }
    apic_update(a);
}

/* The interrupt command in a->icr; @dest: 8 or 32 bits wide. SDM 11.6. */
static void send_ipi(struct apic *a, uint32_t dest)
{
    struct machine *m = a->dev.machine;
    uint32_t icr = a->icr[0];
    unsigned delivery = icr >> 8 & 7, shorthand = icr >> 18 & 3;
    uint8_t vector = (uint8_t)icr;
    bool level = icr & 0x8000;

    if (delivery == APIC_INIT && level && !(icr & 0x4000))
        return; /* INIT level de-assert: only synchronised arbitration IDs, long ago */
    if (delivery == 3 || delivery == APIC_EXTINT) {
        log_mask(LOG_GUEST_ERRORS, "apic: IPI with reserved delivery mode %u", delivery);
        return;
    }
    if ((delivery == APIC_FIXED || delivery == APIC_LOWEST) && vector < 16) {
        apic_error(a, ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    if (shorthand == 0) {
        deliver(m, dest, icr & 0x800, x2apic_mode(a), delivery, vector, false);
        return;
    }
    for (int i = 0; i < m->cpu_count; i++) {
        struct apic *t = m->cpus[i]->apic;
        if (t && (shorthand == 2 || (shorthand == 1) == (t == a)))
            apic_receive(t, delivery, vector, false);
    }
}

/* The timer's mode is about to change between one-shot and periodic: the count goes on from where
 * it is, and stays at 0 if it got there. */
static void rebase_timer(struct apic *a)
{
    uint64_t period = (uint64_t)a->initial_count << divide_shift(a);
    uint64_t passed = (uint64_t)(clock_now_ns(&a->dev.machine->clock) - a->load_ns);
    if (!period || passed < period)
        return;
    if (timer_mode(a) == TIMER_PERIODIC)
        a->load_ns += (int64_t)(passed / period * period);
    else
        a->timer_stopped = true;
}

static void write_lvt(struct apic *a, int n, uint32_t value)
{
    uint32_t old = a->lvt[n];
    value &= lvt_mask[n];
    value |= old & LVT_REMOTE;
    if (!(a->svr & SVR_ENABLE))
        value |= LVT_MASKED;
    if (n == LVT_TIMER && ((old ^ value) & TIMER_PERIODIC))
        rebase_timer(a);
    a->lvt[n] = value;
    if (n == LVT_TIMER) {
        if ((old ^ value) & TIMER_DEADLINE) {
            /* SDM 11.5.4.1: changing to or from TSC-deadline mode disarms the timer. */
            a->initial_count = 0;
            a->tsc_deadline = 0;
        }
        timer_arm(a);
    } else if (n == LVT_LINT0) {
        apic_update(a);
    }
}

/* False: no such register (or it can't be read). */
static bool reg_read(struct apic *a, unsigned reg, uint32_t *v)
{
    *v = 0;
    if (reg >= REG_ISR && reg < REG_ISR + 24) {
        const uint32_t *bits = reg < REG_TMR ? a->isr : reg < REG_IRR ? a->tmr : a->irr;
        *v = bits[reg & 7];
        return true;
    }
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        *v = a->lvt[reg - REG_LVT_TIMER];
        return true;
    }
    switch (reg) {
    case REG_ID: *v = x2apic_mode(a) ? a->id : a->id << 24; break;
    case REG_VERSION: *v = 0x14 | (LVT_COUNT - 1) << 16; break;
    case REG_TPR: *v = a->tpr; break;
    case REG_APR: break; /* arbitration priority: not since the Pentium 4 */
    case REG_PPR: *v = ppr(a); break;
    case REG_EOI: break;
    case REG_RRD: break;
    case REG_LDR: *v = x2apic_mode(a) ? (a->id >> 4) << 16 | 1u << (a->id & 15) : a->ldr; break;
    case REG_DFR: *v = a->dfr; break;
    case REG_SVR: *v = a->svr; break;
    case REG_ESR: *v = a->esr; break;
    case REG_ICR_LOW: *v = a->icr[0]; break;
    case REG_ICR_HIGH: *v = a->icr[1]; break;
    case REG_INITIAL_COUNT: *v = a->initial_count; break;
    case REG_CURRENT_COUNT: *v = current_count(a); break;
    case REG_DIVIDE: *v = a->divide; break;
    default: return false;
    }
    return true;
}

/* False: no such register (or it can't be written). */
static bool reg_write(struct apic *a, unsigned reg, uint32_t v)
{
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        write_lvt(a, (int)(reg - REG_LVT_TIMER), v);
        return true;
    }
    switch (reg) {
    case REG_ID: a->id = v >> 24; break;
    case REG_TPR: apic_set_tpr(a, (uint8_t)v); break;
    case REG_EOI: eoi(a); break;
    case REG_LDR: a->ldr = v & 0xff000000; break;
    case REG_DFR: a->dfr = v | 0x0fffffff; break;
    case REG_SVR:
        a->svr = v & 0x1ff;
        if (!(a->svr & SVR_ENABLE)) {
            for (int n = 0; n < LVT_COUNT; n++)
                a->lvt[n] |= LVT_MASKED;
            timer_arm(a);
        }
        apic_update(a);
        break;
    case REG_ESR:
        a->esr = a->esr_pending;
        a->esr_pending = 0;
        break;
    case REG_ICR_LOW:
        a->icr[0] = v & 0xccfff;
        send_ipi(a, a->icr[1] >> 24);
        break;
    case REG_ICR_HIGH: a->icr[1] = v & 0xff000000; break;
    case REG_INITIAL_COUNT:
        if (timer_mode(a) == TIMER_DEADLINE)
            break;
        a->initial_count = v;
        a->timer_stopped = false;
        a->load_ns = clock_now_ns(&a->dev.machine->clock);
        timer_arm(a);
        break;
    case REG_DIVIDE:
        /* The count so far is kept by starting over from it, as near as the divider allows. */
        if (((a->divide ^ v) & 0xb) && a->initial_count) {
            uint64_t ticks =
                (uint64_t)(clock_now_ns(&a->dev.machine->clock) - a->load_ns) >> divide_shift(a);
            if (timer_mode(a) == TIMER_PERIODIC)
                ticks %= a->initial_count;
            else if (ticks > a->initial_count)
                ticks = a->initial_count;
            a->divide = v & 0xb;
            a->load_ns = clock_now_ns(&a->dev.machine->clock) - (int64_t)(ticks << divide_shift(a));
        }
        a->divide = v & 0xb;
        timer_arm(a);
        break;
    case REG_VERSION:
    case REG_APR:
    case REG_PPR:
    case REG_RRD:
    case REG_CURRENT_COUNT: break; /* read-only */
    default: return reg >= REG_ISR && reg < REG_ISR + 24;
    }
    return true;
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    struct apic *a = opaque;
    uint32_t v;
    /* In x2APIC mode the page isn't there. */
    if (x2apic_mode(a))
        return 0xffffffff;
    if (offset & 15)
        return 0;
    if (!reg_read(a, (unsigned)(offset >> 4), &v)) {
        log_mask(LOG_GUEST_ERRORS, "apic: read of reserved register %#x", (unsigned)offset);
        apic_error(a, ESR_ILLEGAL_REGISTER);
    }
    return v;
}

static void page_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct apic *a = opaque;
    if (size != 4) /* SDM vol. 3, 11.4.1: registers are only accessed with 32 bits */
        return;
    /* No register below 0x20: a device's MSI with destination 0 comes here. */
    if (offset < 0x10 && a->page.base == APIC_DEFAULT_BASE) {
        apic_deliver_msi(a->dev.machine, APIC_DEFAULT_BASE + offset, (uint32_t)value);
        return;
    }
    if (x2apic_mode(a) || (offset & 15))
        return;
    if (!reg_write(a, (unsigned)(offset >> 4), (uint32_t)value)) {
        log_mask(LOG_GUEST_ERRORS, "apic: write of %#x to reserved register %#x", (unsigned)value,
                 (unsigned)offset);
        apic_error(a, ESR_ILLEGAL_REGISTER);
    }
}

static const struct mem_ops page_ops = { page_read, page_write, 1, 4 };

static uint64_t msi_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0xffffffff;
}

static void msi_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct apic *a = opaque;
    if (size == 4)
        apic_deliver_msi(a->dev.machine, APIC_DEFAULT_BASE + offset, (uint32_t)value);
}

static const struct mem_ops msi_ops = { msi_read, msi_write, 1, 4 };

/* ---- MSRs ---- */

uint64_t apic_get_base(const struct apic *a)
{
    return a->base;
}

static void map_page(struct apic *a)
{
    mem_transaction_begin(a->page.space);
    mem_region_set_base(&a->page, a->base & BASE_ADDR);
    mem_region_set_enabled(&a->page, hw_enabled(a));
    mem_transaction_end(a->page.space);
}

bool apic_set_base(struct apic *a, uint64_t value)
{
    uint64_t allowed = BASE_ADDR | BASE_EN | BASE_BSP | (a->x2apic_allowed ? BASE_EXTD : 0);
    if (value & ~allowed)
        return false;
    /* SDM 11.12.5: xAPIC <-> disabled, xAPIC -> x2APIC -> disabled. */
    bool en = value & BASE_EN, extd = value & BASE_EXTD;
    if (extd && (!en || !hw_enabled(a)))
        return false;
    if (en && !extd && x2apic_mode(a))
        return false;
    if (!en && hw_enabled(a))
        apic_init_state(a);
    a->base = value;
    map_page(a);
    apic_update(a);
    return true;
}

void apic_allow_x2apic(struct apic *a, bool allow)
{
    a->x2apic_allowed = allow;
}

bool apic_msr_read(struct apic *a, uint32_t msr, uint64_t *value)
{
    unsigned reg = msr - 0x800;
    uint32_t low;
    if (!x2apic_mode(a) || reg == REG_EOI || reg == REG_DFR || reg == REG_ICR_HIGH ||
        reg == REG_APR || reg == REG_RRD || reg == REG_SELF_IPI || !reg_read(a, reg, &low))
        return false;
    *value = reg == REG_ICR_LOW ? (uint64_t)a->icr[1] << 32 | low : low;
    return true;
}

bool apic_msr_write(struct apic *a, uint32_t msr, uint64_t value)
{
    unsigned reg = msr - 0x800;
    if (!x2apic_mode(a))
        return false;
    if (reg == REG_ICR_LOW) {
        if (value & 0xfff33000)
            return false;
        a->icr[0] = (uint32_t)value;
        a->icr[1] = (uint32_t)(value >> 32);
        send_ipi(a, a->icr[1]);
        return true;
    }
    if (value >> 32)
        return false;
    uint32_t v = (uint32_t)value;
    switch (reg) {
    case REG_SELF_IPI:
        if (v >> 8)
            return false;
        if (v < 16)
            apic_error(a, ESR_SEND_ILLEGAL_VECTOR);
        else
            accept_fixed(a, (uint8_t)v, false);
        return true;
    case REG_EOI:
    case REG_ESR:
        if (v)
            return false;
        break;
    case REG_TPR:
        if (v >> 8)
            return false;
        break;
    case REG_SVR:
        if (v & ~0x1ffu)
            return false;
        break;
    case REG_DIVIDE:
        if (v & ~0xbu)
            return false;
        break;
    case REG_INITIAL_COUNT: break;
    default:
        if (reg < REG_LVT_TIMER || reg > REG_LVT_ERROR)
            return false;
        if (v & ~(lvt_mask[reg - REG_LVT_TIMER] | LVT_REMOTE | 0x1000))
            return false;
    }
    return reg_write(a, reg, v);
}

uint8_t apic_get_tpr(const struct apic *a)
{
    return a->tpr;
}

void apic_set_tpr(struct apic *a, uint8_t tpr)
{
    a->tpr = tpr;
    apic_update(a);
}

uint8_t apic_sipi_vector(const struct apic *a)
{
    return a->sipi_vector;
}

/* ---- life ---- */

/* What RESET#, INIT and disabling through IA32_APIC_BASE have in common: all registers but the base
 * and the ID. */
static void apic_init_state(struct apic *a)
{
    a->tpr = 0;
    a->ldr = 0;
    a->dfr = 0xffffffff;
    a->svr = 0xff;
    memset(a->isr, 0, sizeof a->isr);
    memset(a->tmr, 0, sizeof a->tmr);
    memset(a->irr, 0, sizeof a->irr);
    a->esr = a->esr_pending = 0;
    memset(a->icr, 0, sizeof a->icr);
    for (int n = 0; n < LVT_COUNT; n++)
        a->lvt[n] = LVT_MASKED;
    /* Virtual wire mode, which a BIOS sets up on real machines; SeaBIOS relies on finding it. */
    if (a->base & BASE_BSP)
        a->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    a->divide = a->initial_count = 0;
    a->timer_stopped = false;
    a->tsc_deadline = 0;
    a->extint = false;
    timer_del(&a->timer);
    apic_update(a);
}

static void apic_reset(struct device *d)
{
    struct apic *a = (struct apic *)d;
    a->id = (uint32_t)a->cpu->index;
    a->base = APIC_DEFAULT_BASE | BASE_EN | (a->cpu->index == 0 ? BASE_BSP : 0);
    apic_init_state(a);
    map_page(a);
}

static void apic_post_load(struct device *d)
{
    struct apic *a = (struct apic *)d;
    map_page(a);
    apic_update(a);
}

static bool apic_realize(struct device *d, struct error *err)
{
    struct apic *a = (struct apic *)d;
    timer_init(&a->timer, &d->machine->clock, timer_expired, a);
    mem_region_init_io(&a->page, "apic", 0x1000, &page_ops, a);
    mem_region_add(&d->machine->mem, &a->page, APIC_DEFAULT_BASE, APIC_PRIORITY);
    if (a->cpu->index == 0) {
        mem_region_init_io(&a->msi, "apic-msi", 0x100000, &msi_ops, a);
        mem_region_add(&d->machine->mem, &a->msi, APIC_DEFAULT_BASE, MSI_PRIORITY);
    }
    a->cpu->apic = a;
    a->cpu->ack_interrupt = apic_ack;
    a->cpu->ack_opaque = a;
    return true;
}

static void apic_unrealize(struct device *d)
{
    struct apic *a = (struct apic *)d;
    timer_del(&a->timer);
    mem_region_remove(&a->page);
    if (a->msi.space)
        mem_region_remove(&a->msi);
}

static const struct device_class apic_class = {
    .name = "apic",
    .desc = "Local APIC",
    .size = sizeof(struct apic),
    .fields = apic_fields,
    .realize = apic_realize,
    .unrealize = apic_unrealize,
    .reset = apic_reset,
    .post_load = apic_post_load,
};

struct apic *apic_new(struct machine *m, struct cpu *c, struct error *err)
{
    struct apic *a = (struct apic *)device_new(m, &apic_class);
    if (!a) {
        error_set(err, "apic: out of memory");
        return NULL;
    }
    a->cpu = c;
    return device_realize(&a->dev, err) ? a : NULL;
}

size_t apic_dump(struct apic *a, char *buf, size_t len)
{
    size_t n = 0;
#define PUT(...)                                                                                   \
    do {                                                                                           \
        if (n < len)                                                                               \
            n += (size_t)snprintf(buf + n, len - n, __VA_ARGS__);                                  \
    } while (0)
    static const char *const lvt_name[LVT_COUNT] = { "LVTT", "LVTTHMR", "LVTPC",
                                                     "LVT0", "LVT1",    "LVTERR" };
    PUT("CPU#%d APIC base=%#llx id=%u\n", a->cpu->index, (unsigned long long)a->base, a->id);
    PUT("TPR %02x PPR %02x SVR %03x LDR %08x DFR %08x ESR %02x ICR %08x %08x\n", a->tpr, ppr(a),
        a->svr, a->ldr, a->dfr, a->esr, a->icr[1], a->icr[0]);
    for (int i = 0; i < LVT_COUNT; i++)
        PUT("%s %08x%s", lvt_name[i], a->lvt[i], i == LVT_COUNT - 1 ? "\n" : "  ");
    PUT("Timer DCR %x initial %u current %u\n", a->divide, a->initial_count, current_count(a));
    const uint32_t *set[3] = { a->isr, a->irr, a->tmr };
    static const char *const set_name[3] = { "ISR", "IRR", "TMR" };
    for (int s = 0; s < 3; s++) {
        PUT("%s", set_name[s]);
        for (unsigned v = 0; v < 256; v++)
            if (test_bit(set[s], v))
                PUT(" %02x", v);
        PUT("\n");
    }
#undef PUT
    return n < len ? n : len - 1;
}
