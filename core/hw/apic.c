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
 * Registers, memory-mapped and as MSRs, are in apic_regs.c.
 */
#include "hw/apic.h"

#include <stdio.h>
#include <string.h>

#include "hw/apic_int.h"
#include "machine.h"

#define MIN_PERIOD_NS 10000

/* Above everything a guest can move over it. */
#define APIC_PRIORITY 0x1000
#define MSI_PRIORITY  0xfff

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

/* ---- priority and the CPU's interrupt input ---- */

/* SDM 11.8.3.1. */
uint8_t apic_ppr(const struct apic *a)
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
    return v >= 0 && (v & 0xf0) > (apic_ppr(a) & 0xf0) ? v : -1;
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

void apic_update(struct apic *a)
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

void apic_error(struct apic *a, uint32_t bit)
{
    bool first = !(a->esr_pending & bit);
    a->esr_pending |= bit;
    uint32_t lvt = a->lvt[LVT_ERROR];
    /* A bad vector in the error LVT itself must not make errors without end. */
    if (first && !(lvt & LVT_MASKED) && (lvt & 0xff) >= 16 && sw_enabled(a))
        set_irr(a, (uint8_t)lvt, false);
}

void apic_accept_fixed(struct apic *a, uint8_t vector, bool level)
{
    if (!sw_enabled(a))
        return;
    if (vector < 16)
        apic_error(a, ESR_RECEIVE_ILLEGAL_VECTOR);
    else
        set_irr(a, vector, level);
}

void apic_receive(struct apic *a, unsigned delivery, uint8_t vector, bool level)
{
    if (!hw_enabled(a))
        return;
    switch (delivery) {
    case APIC_FIXED:
    case APIC_LOWEST: apic_accept_fixed(a, vector, level); break;
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

void apic_deliver(struct machine *m, uint32_t dest, bool logical, bool wide, unsigned delivery,
                  uint8_t vector, bool level)
{
    struct apic *best = NULL;
    for (int i = 0; i < m->cpu_count; i++) {
        struct apic *a = m->cpus[i]->apic;
        if (!a || !matches(a, dest, logical, wide))
            continue;
        if (delivery != APIC_LOWEST)
            apic_receive(a, delivery, vector, level);
        else if (sw_enabled(a) && (!best || apic_ppr(a) < apic_ppr(best)))
            best = a;
    }
    if (best)
        apic_accept_fixed(best, vector, level);
}

void apic_bus_deliver(struct machine *m, uint8_t dest, bool logical, unsigned delivery,
                      uint8_t vector, bool level_triggered)
{
    apic_deliver(m, dest, logical, false, delivery, vector, level_triggered);
}

/* SDM vol. 3, 11.11. */
void apic_deliver_msi(struct machine *m, uint64_t addr, uint32_t data)
{
    bool logical = addr & 4;
    apic_deliver(m, addr >> 12 & 0xff, logical, false, data >> 8 & 7, (uint8_t)data, data & 0x8000);
}

/* ---- local interrupt sources ---- */

void apic_local_deliver(struct apic *a, int n)
{
    uint32_t lvt = a->lvt[n];
    if ((lvt & LVT_MASKED) || !hw_enabled(a))
        return;
    switch (n == LVT_TIMER || n == LVT_ERROR ? APIC_FIXED : lvt_delivery(lvt)) {
    case APIC_FIXED: {
        bool level = (n == LVT_LINT0 || n == LVT_LINT1) && (lvt & LVT_LEVEL);
        if (level)
            a->lvt[n] |= LVT_REMOTE;
        apic_accept_fixed(a, (uint8_t)lvt, level);
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
            apic_local_deliver(a, LVT_LINT0);
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
            apic_local_deliver(a, LVT_LINT1);
    }
}

/* ---- timer ---- */

unsigned apic_divide_shift(const struct apic *a)
{
    unsigned v = (a->divide & 3) | (a->divide >> 1 & 4);
    return (v + 1) & 7;
}

uint32_t apic_timer_mode(const struct apic *a)
{
    return a->lvt[LVT_TIMER] & TIMER_MODE;
}

uint32_t apic_current_count(struct apic *a)
{
    if (!a->initial_count || a->timer_stopped || apic_timer_mode(a) == TIMER_DEADLINE)
        return 0;
    uint64_t ticks =
        (uint64_t)(clock_now_ns(&a->dev.machine->clock) - a->load_ns) >> apic_divide_shift(a);
    if (apic_timer_mode(a) == TIMER_PERIODIC)
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
void apic_timer_arm(struct apic *a)
{
    int64_t now = clock_now_ns(&a->dev.machine->clock);
    timer_del(&a->timer);
    if (apic_timer_mode(a) == TIMER_DEADLINE) {
        int64_t at = a->tsc_deadline ? deadline_ns(a, now) : INT64_MAX;
        if (at != INT64_MAX)
            timer_mod(&a->timer, at);
        return;
    }
    if (!a->initial_count || a->timer_stopped || (a->lvt[LVT_TIMER] & LVT_MASKED))
        return;
    int64_t period = (int64_t)((uint64_t)a->initial_count << apic_divide_shift(a));
    int64_t at = a->load_ns + period;
    if (apic_timer_mode(a) == TIMER_PERIODIC) {
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
    if (apic_timer_mode(a) == TIMER_DEADLINE) {
        /* The clock's rounding may be a tick early. */
        if (cpu_tsc(a->cpu) < a->tsc_deadline) {
            apic_timer_arm(a);
            return;
        }
        a->tsc_deadline = 0;
        apic_local_deliver(a, LVT_TIMER);
        return;
    }
    apic_local_deliver(a, LVT_TIMER);
    if (apic_timer_mode(a) == TIMER_PERIODIC)
        apic_timer_arm(a);
}

uint64_t apic_get_tsc_deadline(struct apic *a)
{
    return apic_timer_mode(a) == TIMER_DEADLINE ? a->tsc_deadline : 0;
}

void apic_set_tsc_deadline(struct apic *a, uint64_t tsc)
{
    if (apic_timer_mode(a) != TIMER_DEADLINE)
        return;
    a->tsc_deadline = tsc;
    if (tsc && cpu_tsc(a->cpu) >= tsc) { /* in the past: at once, not when the loop comes round */
        timer_del(&a->timer);
        timer_expired(a);
        return;
    }
    apic_timer_arm(a);
}

void apic_tsc_changed(struct apic *a)
{
    if (apic_timer_mode(a) == TIMER_DEADLINE)
        apic_timer_arm(a);
}

/* ---- life ---- */

/* What RESET#, INIT and disabling through IA32_APIC_BASE have in common: all registers but the base
 * and the ID. */
void apic_init_state(struct apic *a)
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
    apic_map_page(a);
}

static void apic_post_load(struct device *d)
{
    struct apic *a = (struct apic *)d;
    apic_map_page(a);
    apic_update(a);
}

static bool apic_realize(struct device *d, struct error *err)
{
    struct apic *a = (struct apic *)d;
    timer_init(&a->timer, &d->machine->clock, timer_expired, a);
    mem_region_init_io(&a->page, "apic", 0x1000, &apic_page_ops, a);
    mem_region_add(&d->machine->mem, &a->page, APIC_DEFAULT_BASE, APIC_PRIORITY);
    if (a->cpu->index == 0) {
        mem_region_init_io(&a->msi, "apic-msi", 0x100000, &apic_msi_ops, a);
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
    .routes_lines = true,
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
    PUT("TPR %02x PPR %02x SVR %03x LDR %08x DFR %08x ESR %02x ICR %08x %08x\n", a->tpr,
        apic_ppr(a), a->svr, a->ldr, a->dfr, a->esr, a->icr[1], a->icr[0]);
    for (int i = 0; i < LVT_COUNT; i++)
        PUT("%s %08x%s", lvt_name[i], a->lvt[i], i == LVT_COUNT - 1 ? "\n" : "  ");
    PUT("Timer DCR %x initial %u current %u\n", a->divide, a->initial_count, apic_current_count(a));
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
