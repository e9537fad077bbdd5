/*
 * The local APIC's registers: the memory-mapped page, the MSI window behind it, and the MSRs. All
 * go through reg_read() and reg_write(). SDM vol. 3, chapter 11.
 */
#include <string.h>

#include "hw/apic_int.h"
#include "hw/ioapic.h"
#include "log.h"
#include "machine.h"

/* Writable bits of each LVT entry. */
static const uint32_t lvt_mask[LVT_COUNT] = {
    0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff
};

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
                    apic_local_deliver(a, n);
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
        apic_deliver(m, dest, icr & 0x800, x2apic_mode(a), delivery, vector, false);
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
    uint64_t period = (uint64_t)a->initial_count << apic_divide_shift(a);
    uint64_t passed = (uint64_t)(clock_now_ns(&a->dev.machine->clock) - a->load_ns);
    if (!period || passed < period)
        return;
    if (apic_timer_mode(a) == TIMER_PERIODIC)
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
        apic_timer_arm(a);
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
    case REG_PPR: *v = apic_ppr(a); break;
    case REG_EOI: break;
    case REG_RRD: break;
    case REG_LDR: *v = x2apic_mode(a) ? (a->id >> 4) << 16 | 1u << (a->id & 15) : a->ldr; break;
    case REG_DFR: *v = a->dfr; break;
    case REG_SVR: *v = a->svr; break;
    case REG_ESR: *v = a->esr; break;
    case REG_ICR_LOW: *v = a->icr[0]; break;
    case REG_ICR_HIGH: *v = a->icr[1]; break;
    case REG_INITIAL_COUNT: *v = a->initial_count; break;
    case REG_CURRENT_COUNT: *v = apic_current_count(a); break;
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
            apic_timer_arm(a);
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
        if (apic_timer_mode(a) == TIMER_DEADLINE)
            break;
        a->initial_count = v;
        a->timer_stopped = false;
        a->load_ns = clock_now_ns(&a->dev.machine->clock);
        apic_timer_arm(a);
        break;
    case REG_DIVIDE:
        /* The count so far is kept by starting over from it, as near as the divider allows. */
        if (((a->divide ^ v) & 0xb) && a->initial_count) {
            uint64_t ticks = (uint64_t)(clock_now_ns(&a->dev.machine->clock) - a->load_ns) >>
                             apic_divide_shift(a);
            if (apic_timer_mode(a) == TIMER_PERIODIC)
                ticks %= a->initial_count;
            else if (ticks > a->initial_count)
                ticks = a->initial_count;
            a->divide = v & 0xb;
            a->load_ns =
                clock_now_ns(&a->dev.machine->clock) - (int64_t)(ticks << apic_divide_shift(a));
        }
        a->divide = v & 0xb;
        apic_timer_arm(a);
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

const struct mem_ops apic_page_ops = { page_read, page_write, 1, 4 };

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

const struct mem_ops apic_msi_ops = { msi_read, msi_write, 1, 4 };

/* ---- MSRs ---- */

uint64_t apic_get_base(const struct apic *a)
{
    return a->base;
}

void apic_map_page(struct apic *a)
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
    apic_map_page(a);
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
            apic_accept_fixed(a, (uint8_t)v, false);
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
