/*
 * Inside the local APIC: what apic.c (delivery, timer, life) and apic_regs.c (registers and MSRs)
 * share. Numbers and bits are the SDM's, vol. 3, chapter 11.
 */
#ifndef SLIPWAY_HW_APIC_INT_H
#define SLIPWAY_HW_APIC_INT_H

#include "clock.h"
#include "cpu/cpu.h"
#include "hw/apic.h"
#include "hw/device.h"
#include "memory.h"

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

/* ---- 256-bit registers ---- */

static inline void set_bit(uint32_t *r, unsigned n)
{
    r[n >> 5] |= 1u << (n & 31);
}

static inline void clear_bit(uint32_t *r, unsigned n)
{
    r[n >> 5] &= ~(1u << (n & 31));
}

static inline bool test_bit(const uint32_t *r, unsigned n)
{
    return r[n >> 5] >> (n & 31) & 1;
}

/* Highest set bit, -1: none. */
static inline int highest(const uint32_t *r)
{
    for (int i = 7; i >= 0; i--)
        if (r[i])
            return i * 32 + 31 - __builtin_clz(r[i]);
    return -1;
}

static inline bool hw_enabled(const struct apic *a)
{
    return (a->base & BASE_EN) != 0;
}

static inline bool x2apic_mode(const struct apic *a)
{
    return (a->base & BASE_EXTD) != 0;
}

static inline bool sw_enabled(const struct apic *a)
{
    return hw_enabled(a) && (a->svr & SVR_ENABLE);
}

static inline unsigned lvt_delivery(uint32_t lvt)
{
    return lvt >> 8 & 7;
}

/* apic.c and apic_regs.c */
uint8_t apic_ppr(const struct apic *a);
void apic_deliver(struct machine *m, uint32_t dest, bool logical, bool wide, unsigned delivery,
                  uint8_t vector, bool level);
uint32_t apic_current_count(struct apic *a);
void apic_timer_arm(struct apic *a);
uint32_t apic_timer_mode(const struct apic *a);
unsigned apic_divide_shift(const struct apic *a);
void apic_local_deliver(struct apic *a, int n);
void apic_accept_fixed(struct apic *a, uint8_t vector, bool level);
void apic_map_page(struct apic *a);
extern const struct mem_ops apic_page_ops;
extern const struct mem_ops apic_msi_ops;
void apic_update(struct apic *a);
void apic_error(struct apic *a, uint32_t bit);
void apic_init_state(struct apic *a);
void apic_receive(struct apic *a, unsigned delivery, uint8_t vector, bool level);

#endif
