/*
 * Debug registers, breakpoints and single-step.
 *
 * Instruction breakpoints are faults before the instruction, unless RF is set; data and I/O
 * breakpoints and TF are traps after it. An access that hits leaves its DR6 bits in c->dr6_pending,
 * dbg_after() turns them into #DB when the instruction has completed, and dbg_deliver() moves them
 * to DR6 when the exception is delivered. After MOV SS the traps wait one instruction more.
 *
 * Cost: pages with an enabled data breakpoint never enter the TLB's fast path (dbg_page_watched),
 * and any enabled breakpoint makes the interpreter go one instruction at a time (c->breakpoints).
 * Without breakpoints nothing is paid. SDM vol. 3, 17.2-17.3.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"

#define DR6_FIXED 0xffff0ff0u
#define DR6_BD    0x2000u
#define DR6_BS    0x4000u
#define DR7_FIXED 0x400u
#define DR7_GD    0x2000u

enum { BP_EXEC = 0, BP_WRITE = 1, BP_IO = 2, BP_ACCESS = 3 };

static bool bp_enabled(const struct cpu *c, int n)
{
    return c->dr[7] >> (n * 2) & 3;
}
static unsigned bp_kind(const struct cpu *c, int n)
{
    return c->dr[7] >> (16 + n * 4) & 3;
}
static unsigned bp_len(const struct cpu *c, int n)
{
    static const uint8_t len[4] = { 1, 2, 8, 4 };
    return len[c->dr[7] >> (18 + n * 4) & 3];
}

/* Does breakpoint @n, rounded down to its length, overlap [@la, @la + @size)? */
static bool bp_overlaps(const struct cpu *c, int n, uint64_t la, unsigned size)
{
    uint64_t len = bp_len(c, n), first = c->dr[n] & ~(len - 1) & c->la_mask;
    return la + size - 1 >= first && la <= first + len - 1;
}

void dbg_update(struct cpu *c)
{
    bool any = false;
    for (int n = 0; n < 4; n++)
        any |= bp_enabled(c, n);
    c->breakpoints = any;
}

bool dbg_page_watched(const struct cpu *c, uint64_t la, enum access a)
{
    if (!c->breakpoints || a == ACCESS_FETCH)
        return false;
    for (int n = 0; n < 4; n++) {
        unsigned kind = bp_kind(c, n);
        if (bp_enabled(c, n) && (kind == BP_ACCESS || (kind == BP_WRITE && a == ACCESS_WRITE)) &&
            bp_overlaps(c, n, la & PAGE_MASK, 4096))
            return true;
    }
    return false;
}

void dbg_check_data(struct cpu *c, uint64_t la, unsigned size, enum access a)
{
    if (!c->breakpoints)
        return;
    uint64_t hits = 0;
    bool enabled = false;
    for (int n = 0; n < 4; n++) {
        unsigned kind = bp_kind(c, n);
        if ((kind == BP_ACCESS || (kind == BP_WRITE && a == ACCESS_WRITE)) &&
            bp_overlaps(c, n, la, size)) {
            hits |= 1u << n;
            enabled |= bp_enabled(c, n);
        }
    }
    if (enabled)
        c->dr6_pending |= hits;
}

void dbg_check_io(struct cpu *c, uint16_t port, unsigned size)
{
    if (!c->breakpoints || !(c->cr4 & CR4_DE))
        return;
    for (int n = 0; n < 4; n++)
        if (bp_enabled(c, n) && bp_kind(c, n) == BP_IO && bp_overlaps(c, n, port, size))
            c->dr6_pending |= 1u << n;
}

bool dbg_before(struct cpu *c)
{
    bool resume = c->rflags & FL_RF;
    uint64_t hits = 0;
    if (c->dr6_pending &&
        !c->shadow_ss) /* a trap of what came before: SYSRET, pushes of a delivery */
        return cpu_fault_noerr(c, EXC_DB);
    c->rflags &= ~FL_RF; /* for one instruction only; nothing that runs can see it */
    c->step = c->rflags & FL_TF;
    if (!c->breakpoints || resume || (c->shadow_ss && cpu_vendor_is_intel(c)))
        return true;
    uint64_t la = (c->seg_base[SEG_CS] + c->rip) & c->la_mask;
    for (int n = 0; n < 4; n++)
        if (bp_enabled(c, n) && bp_kind(c, n) == BP_EXEC && (c->dr[n] & c->la_mask) == la)
            hits |= 1u << n;
    if (!hits)
        return true;
    c->dr6_pending = hits;
    return cpu_fault_noerr(c, EXC_DB);
}

bool dbg_after(struct cpu *c)
{
    if (c->shadow_ss)
        return true;
    if (c->step)
        c->dr6_pending |= DR6_BS;
    c->step = false;
    return !c->dr6_pending || cpu_fault_noerr(c, EXC_DB);
}

void dbg_deliver(struct cpu *c, uint32_t *flags)
{
    if (c->dr6_pending & 15)
        c->dr[6] &= ~15ull;
    c->dr[6] |= c->dr6_pending | DR6_FIXED;
    if (c->dr6_pending & DR6_BD)
        *flags |= FL_RF;
    c->dr6_pending = 0;
    c->dr[7] &= ~(uint64_t)DR7_GD;
}

/* Which register DR4 and DR5 are, and whether DR7.GD forbids the access. */
static bool dr_access(struct cpu *c, int *n)
{
    if (*n > 7)
        return cpu_fault_noerr(c, EXC_UD);
    if (*n == 4 || *n == 5) {
        if (c->cr4 & CR4_DE)
            return cpu_fault_noerr(c, EXC_UD);
        *n += 2;
    }
    if (c->dr[7] & DR7_GD) {
        c->dr6_pending |= DR6_BD;
        return cpu_fault_noerr(c, EXC_DB);
    }
    return true;
}

bool cpu_read_dr(struct cpu *c, int n, uint64_t *v)
{
    if (!dr_access(c, &n))
        return false;
    *v = c->dr[n];
    return true;
}

bool cpu_write_dr(struct cpu *c, int n, uint64_t v)
{
    if (!dr_access(c, &n))
        return false;
    if (n >= 6 && v >> 32)
        return cpu_fault(c, EXC_GP, 0);
    if (n == 6) {
        c->dr[6] = (v & 0xe00f) | DR6_FIXED;
        return true;
    }
    c->dr[n] = n == 7 ? (v & 0xffff2bffu) | DR7_FIXED : v;
    dbg_update(c);
    tlb_flush(c, true);
    return true;
}
