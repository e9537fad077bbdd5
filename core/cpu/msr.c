/*
 * Model-specific registers: those that Linux, Windows and firmware touch; any other is #GP(0).
 *
 * A write is checked as the SDM asks (reserved bits, canonical addresses, legal memory types)
 * before anything changes. Cache control (MTRR, PAT) is stored and read back; it has no effect on
 * an emulated memory. The time-stamp counter is virtual time plus an offset, so it stops with the
 * machine. APIC base, TSC deadline and x2APIC belong to the local APIC. SDM vol. 4; AMD APM vol. 2,
 * appendix A.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "hw/apic.h"
#include "log.h"
#include "machine.h"

#define MTRR_COUNT 8

static bool gp(struct cpu *c)
{
    return cpu_fault(c, EXC_GP, 0);
}

uint64_t cpu_tsc(struct cpu *c)
{
    int64_t ns = c->machine ? clock_now_ns(&c->machine->clock) : (int64_t)cpu_icount(c);
    return clock_ticks(ns, CPU_TSC_HZ) + (uint64_t)c->tsc_offset;
}

/* PAT and MTRR memory types: UC, WC, WT, WP, WB, and UC- for the PAT. */
static bool type_ok(uint64_t type, bool pat)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}
static bool types_ok(uint64_t v, bool pat)
{
    for (int k = 0; k < 64; k += 8)
        if (!type_ok(v >> k & 0xff, pat))
            return false;
    return true;
}

static bool write_efer(struct cpu *c, uint64_t v)
{
    uint32_t d = c->cpuid_word[CPUID_8000_0001_EDX];
    uint64_t allowed = EFER_LMA;
    if (d & CPUID81D_SYSCALL)
        allowed |= EFER_SCE;
    if (d & CPUID81D_LM)
        allowed |= EFER_LME;
    if (d & CPUID81D_NX)
        allowed |= EFER_NXE;
    if (d & CPUID81D_FFXSR)
        allowed |= EFER_FFXSR;
    if (v & ~allowed)
        return gp(c);
    if ((c->cr0 & CR0_PG) && ((v ^ c->efer) & EFER_LME))
        return gp(c);
    bool nx = (v ^ c->efer) & EFER_NXE;
    c->efer = (v & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA);
    if (nx)
        tlb_flush(c, true);
    cpu_update_mode(c);
    return true;
}

static bool write_canonical(struct cpu *c, uint64_t *reg, uint64_t v)
{
    if (!cpu_canonical(v))
        return gp(c);
    *reg = v;
    return true;
}

static bool write_segment_base(struct cpu *c, int seg, uint64_t v)
{
    if (!write_canonical(c, &c->seg[seg].base, v))
        return false;
    seg_update(c, seg);
    return true;
}

/* Index in mtrr_fixed[] of a fixed-range MTRR, -1 if @n is none. */
static int fixed_mtrr(uint32_t n)
{
    if (n == 0x250)
        return 0;
    if (n == 0x258 || n == 0x259)
        return (int)(n - 0x258 + 1);
    if (n >= 0x268 && n <= 0x26f)
        return (int)(n - 0x268 + 3);
    return -1;
}

static bool has_mtrr(const struct cpu *c)
{
    return cpuid_has(c, CPUID_1_EDX, CPUID1D_MTRR);
}

static bool write_mtrr(struct cpu *c, uint32_t n, uint64_t v)
{
    uint64_t beyond = ~((1ull << cpu_phys_bits(c)) - 1);
    int fixed = fixed_mtrr(n);
    if (fixed >= 0) {
        if (!types_ok(v, false))
            return gp(c);
        c->mtrr_fixed[fixed] = v;
    } else if (n == 0x2ff) {
        if ((v & ~0xcffull) || !type_ok(v & 0xff, false))
            return gp(c);
        c->mtrr_def_type = v;
    } else if (n & 1) {
        if (v & (beyond | 0x7ff))
            return gp(c);
        c->mtrr_mask[n >> 1 & 7] = v;
    } else {
        if ((v & (beyond | 0xf00)) || !type_ok(v & 0xff, false))
            return gp(c);
        c->mtrr_base[n >> 1 & 7] = v;
    }
    return true;
}

/* Bank registers: CTL, STATUS, ADDR, MISC of each. */
static bool write_mce_bank(struct cpu *c, uint32_t n, uint64_t v)
{
    uint64_t *reg = &c->mce_bank[(n - 0x400) >> 2][n & 3];
    unsigned kind = n & 3;
    if (kind == 0 && v != 0 && v != ~0ull && (v | (1 << 10)) != ~0ull && (v | 1) != ~0ull)
        return gp(c);
    if (kind == 1 && v != 0)
        return gp(c);
    *reg = v;
    return true;
}

static unsigned mce_banks(const struct cpu *c)
{
    unsigned n = c->mcg_cap & 0xff;
    return cpuid_has(c, CPUID_1_EDX, CPUID1D_MCA) ? (n < 10 ? n : 10) : 0;
}

/* AMD registers without a function here: they hold what is written. */
static int amd_msr(const struct cpu *c, uint32_t n)
{
    static const uint32_t list[8] = {
        0xc0010010,
        /* SYSCFG */ 0xc0010015,
        /* HWCR */ 0xc001001a,
        /* TOP_MEM */ 0xc001001d, /* TOP_MEM2 */
        0xc001001f,
        /* NB_CFG */ 0xc0010055,
        /* interrupt pending and CMP-halt */ 0xc0011022, /* DC_CFG */
        0xc0011029,                                      /* DE_CFG */
    };
    if (cpu_vendor_is_intel(c))
        return -1;
    for (int k = 0; k < 8; k++)
        if (list[k] == n)
            return k;
    return -1;
}

/* AMD's four performance counters and their selectors: there on every model, but they never count.
 * Reading 0 whatever was written tells an operating system that a virtual machine doesn't have
 * them. */
static bool is_dead_counter(const struct cpu *c, uint32_t n)
{
    return !cpu_vendor_is_intel(c) && n >= 0xc0010000u && n <= 0xc0010007u;
}

static bool unknown(struct cpu *c, const char *verb, uint32_t n)
{
    log_mask(LOG_UNIMP, "%s of MSR %08x at %016llx", verb, n, (unsigned long long)c->rip);
    return gp(c);
}

static bool has_long_mode(const struct cpu *c)
{
    return cpuid_has(c, CPUID_8000_0001_EDX, CPUID81D_LM);
}

static bool has_deadline(const struct cpu *c)
{
    return cpuid_has(c, CPUID_1_ECX, CPUID1C_TSC_DEADLINE);
}

static bool read_apic(struct cpu *c, uint32_t n, uint64_t *v)
{
    if (n == 0x1b)
        *v = apic_get_base(c->apic);
    else if (n == 0x6e0 && has_deadline(c))
        *v = apic_get_tsc_deadline(c->apic);
    else if (n < 0x800 || !apic_msr_read(c->apic, n, v))
        return unknown(c, "read", n);
    return true;
}

static bool write_apic(struct cpu *c, uint32_t n, uint64_t v)
{
    if (n == 0x1b) {
        apic_allow_x2apic(c->apic, cpuid_has(c, CPUID_1_ECX, CPUID1C_X2APIC));
        return apic_set_base(c->apic, v) || gp(c);
    }
    if (n == 0x6e0 && has_deadline(c)) {
        apic_set_tsc_deadline(c->apic, v);
        return true;
    }
    return (n >= 0x800 && apic_msr_write(c->apic, n, v)) || unknown(c, "write", n);
}

static bool is_apic_msr(const struct cpu *c, uint32_t n)
{
    return c->apic && (n == 0x1b || n == 0x6e0 || (n >= 0x800 && n <= 0x8ff));
}

static bool read_features(struct cpu *c, uint32_t n, uint64_t *v)
{
    int k;
    if (is_apic_msr(c, n))
        return read_apic(c, n, v);
    if (n >= 0x400 && n < 0x400 + 4 * mce_banks(c)) {
        *v = c->mce_bank[(n - 0x400) >> 2][n & 3];
        return true;
    }
    if (has_mtrr(c)) {
        if ((k = fixed_mtrr(n)) >= 0) {
            *v = c->mtrr_fixed[k];
            return true;
        }
        if (n >= 0x200 && n < 0x200 + 2 * MTRR_COUNT) {
            *v = (n & 1) ? c->mtrr_mask[n >> 1 & 7] : c->mtrr_base[n >> 1 & 7];
            return true;
        }
    }
    if ((k = amd_msr(c, n)) >= 0) {
        *v = c->amd_msr[k];
        return true;
    }
    if (is_dead_counter(c, n)) {
        *v = 0;
        return true;
    }
    return unknown(c, "read", n);
}

bool cpu_rdmsr(struct cpu *c, uint32_t n, uint64_t *v)
{
    switch (n) {
    case 0x00: /* P5 machine check address, type */
    case 0x01:
    case 0x17: /* PLATFORM_ID */
    case 0x79: /* BIOS_UPDT_TRIG */ *v = 0; return true;
    case 0x2a: /* EBL_CR_POWERON, EBC_FREQUENCY_ID */
    case 0x2c:
    case 0x3a: /* FEATURE_CONTROL: locked, no VMX */
        if (!cpu_vendor_is_intel(c))
            return unknown(c, "read", n);
        *v = n == 0x3a;
        return true;
    case 0x10: *v = cpu_tsc(c); return true;
    case 0x3b:
        if (!cpuid_has(c, CPUID_7_EBX, CPUID7B_TSC_ADJUST))
            return unknown(c, "read", n);
        *v = c->tsc_adjust;
        return true;
    case 0x8b: *v = c->bios_sign; return true;
    case 0xfe: /* MTRRCAP: 8 variable, fixed, WC */
        if (!has_mtrr(c))
            return unknown(c, "read", n);
        *v = MTRR_COUNT | 1 << 8 | 1 << 10;
        return true;
    case 0x174: *v = c->sysenter_cs; return true;
    case 0x175: *v = c->sysenter_esp; return true;
    case 0x176: *v = c->sysenter_eip; return true;
    case 0x179: *v = c->mcg_cap; return true;
    case 0x17a: *v = c->mcg_status; return true;
    case 0x17b: *v = ~0ull; return true; /* MCG_CTL */
    case 0x198:
        *v = 1000 | 4ull << 40;
        return true; /* PERF_STATUS: ratio and voltage; any value will do */
    case 0x1a0: *v = c->misc_enable; return true;
    case 0x1d9: *v = c->debugctl; return true;
    case 0x1db: /* last branch and exception records: none taken */
    case 0x1dc:
    case 0x1dd:
    case 0x1de: *v = 0; return true;
    case 0x277: *v = c->pat; return true;
    case 0x2ff:
        if (!has_mtrr(c))
            return unknown(c, "read", n);
        *v = c->mtrr_def_type;
        return true;
    case 0xc0000080:
        if (!c->cpuid_word[CPUID_8000_0001_EDX])
            return unknown(c, "read", n);
        *v = c->efer;
        return true;
    case 0xc0000081: *v = c->star; return true;
    case 0xc0000103:
        if (!(c->features[0] & (1u << FEAT_RDTSCP | 1u << FEAT_RDPID)))
            return unknown(c, "read", n);
        *v = c->tsc_aux;
        return true;
    default: break;
    }
    if (has_long_mode(c)) {
        switch (n) {
        case 0xc0000082: *v = c->lstar; return true;
        case 0xc0000083: *v = c->cstar; return true;
        case 0xc0000084: *v = c->sfmask; return true;
        case 0xc0000100: *v = c->seg[SEG_FS].base; return true;
        case 0xc0000101: *v = c->seg[SEG_GS].base; return true;
        case 0xc0000102: *v = c->kernel_gs_base; return true;
        default: break;
        }
    }
    return read_features(c, n, v);
}

static bool write_features(struct cpu *c, uint32_t n, uint64_t v)
{
    int k;
    if (is_apic_msr(c, n))
        return write_apic(c, n, v);
    if (n >= 0x400 && n < 0x400 + 4 * mce_banks(c))
        return write_mce_bank(c, n, v);
    if (has_mtrr(c) &&
        (n == 0x2ff || fixed_mtrr(n) >= 0 || (n >= 0x200 && n < 0x200 + 2 * MTRR_COUNT)))
        return write_mtrr(c, n, v);
    if ((k = amd_msr(c, n)) >= 0) {
        c->amd_msr[k] = v;
        return true;
    }
    return is_dead_counter(c, n) || unknown(c, "write", n);
}

static void write_tsc(struct cpu *c, uint64_t v)
{
    uint64_t delta = v - cpu_tsc(c);
    c->tsc_offset += (int64_t)delta;
    c->tsc_adjust += delta;
    if (c->apic)
        apic_tsc_changed(c->apic);
}

bool cpu_wrmsr(struct cpu *c, uint32_t n, uint64_t v)
{
    switch (n) {
    case 0x00:
    case 0x01:
    case 0x79:
    case 0x199: /* PERF_CTL */ return true;
    case 0x10: write_tsc(c, v); return true;
    case 0x3b:
        if (!cpuid_has(c, CPUID_7_EBX, CPUID7B_TSC_ADJUST))
            return unknown(c, "write", n);
        c->tsc_offset += (int64_t)(v - c->tsc_adjust);
        c->tsc_adjust = v;
        if (c->apic)
            apic_tsc_changed(c->apic);
        return true;
    case 0x8b: /* writing 0, then CPUID, gives the revision again */ return true;
    case 0x174: c->sysenter_cs = v & 0xffff; return true;
    case 0x175: return write_canonical(c, &c->sysenter_esp, v);
    case 0x176: return write_canonical(c, &c->sysenter_eip, v);
    case 0x17a:
        if (v & ~7ull)
            return gp(c);
        c->mcg_status = v;
        return true;
    case 0x17b: return v == 0 || v == ~0ull || gp(c);
    case 0x1a0: c->misc_enable = v; return true;
    case 0x1d9: /* LBR, BTF */
        if (v & ~3ull)
            return gp(c);
        c->debugctl = v;
        return true;
    case 0x277:
        if (!types_ok(v, true))
            return gp(c);
        c->pat = v;
        return true;
    case 0xc0000080:
        if (!c->cpuid_word[CPUID_8000_0001_EDX])
            return unknown(c, "write", n);
        return write_efer(c, v);
    case 0xc0000081: c->star = v; return true;
    case 0xc0000103:
        if (!(c->features[0] & (1u << FEAT_RDTSCP | 1u << FEAT_RDPID)))
            return unknown(c, "write", n);
        if (v >> 32)
            return gp(c);
        c->tsc_aux = v;
        return true;
    default: break;
    }
    if (has_long_mode(c)) {
        switch (n) {
        case 0xc0000082: return write_canonical(c, &c->lstar, v);
        case 0xc0000083: return write_canonical(c, &c->cstar, v);
        case 0xc0000084: c->sfmask = (uint32_t)v; return true;
        case 0xc0000100: return write_segment_base(c, SEG_FS, v);
        case 0xc0000101: return write_segment_base(c, SEG_GS, v);
        case 0xc0000102: return write_canonical(c, &c->kernel_gs_base, v);
        default: break;
        }
    }
    return write_features(c, n, v);
}
