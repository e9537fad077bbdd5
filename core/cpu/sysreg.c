/*
 * Control registers: which values MOV CR accepts and what changing them entails.
 *
 * Everything that alters translation flushes the TLB (the TLB isn't tagged with PCIDs, so a CR3
 * load always flushes what isn't global, also when bit 63 asks to keep it: allowed, as the TLB may
 * forget at any time); everything that alters mode, rights or checks ends in cpu_update_mode().
 * Long mode becomes active (EFER.LMA) when paging is turned on with EFER.LME set. SDM vol.
 * 3, 2.5, 4.1, 9.8.5; vol. 2 MOV CR.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "hw/apic.h"

static bool gp(struct cpu *c)
{
    return cpu_fault(c, EXC_GP, 0);
}

void cpu_sysreg_changed(struct cpu *c)
{
    cpu_update_mode(c);
    for (int k = 0; k < 6; k++)
        seg_update(c, k);
    dbg_update(c);
    tlb_flush(c, true);
}

static bool write_cr0(struct cpu *c, uint64_t v)
{
    const uint64_t defined = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM |
                             CR0_NW | CR0_CD | CR0_PG;
    uint64_t old = c->cr0, efer = c->efer;
    if (v >> 32)
        return gp(c);
    v = (v & defined) | CR0_ET;
    if (((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
        return gp(c);
    if ((v & CR0_PG) && !(old & CR0_PG)) {
        if (efer & EFER_LME) {
            unsigned tss = SEG_TYPE(c->tr.attr);
            if (!(c->cr4 & CR4_PAE) || (c->seg[SEG_CS].attr & SEG_L))
                return gp(c);
            if ((c->tr.attr & SEG_P) && tss != SYS_TSS32 && tss != SYS_TSS32_BUSY)
                return gp(c);
            efer |= EFER_LMA;
        } else if ((c->cr4 & CR4_PAE) && !mmu_load_pdptes(c, c->cr3)) {
            return false;
        }
    } else if (!(v & CR0_PG) && (old & CR0_PG)) {
        if (cpu_code64(c) || (c->cr4 & CR4_PCIDE))
            return gp(c);
        efer &= ~(uint64_t)EFER_LMA;
    } else if ((v & CR0_PG) && (c->cr4 & CR4_PAE) && !(efer & EFER_LMA) &&
               ((v ^ old) & (CR0_CD | CR0_NW))) {
        if (!mmu_load_pdptes(c, c->cr3))
            return false;
    }
    c->cr0 = v;
    c->efer = efer;
    if ((v ^ old) & (CR0_PG | CR0_WP | CR0_PE))
        tlb_flush(c, true);
    cpu_update_mode(c);
    return true;
}

static bool write_cr3(struct cpu *c, uint64_t v)
{
    if (cpu_long_mode(c)) {
        if (c->cr4 & CR4_PCIDE)
            v &= ~(1ull << 63);
        if (v >> cpu_phys_bits(c))
            return gp(c);
    } else {
        v = (uint32_t)v;
        if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !mmu_load_pdptes(c, v))
            return false;
    }
    c->cr3 = v;
    tlb_flush(c, false);
    return true;
}

/* CR4 bits that the CPU's features allow. */
static uint64_t cr4_allowed(const struct cpu *c)
{
    uint32_t d1 = c->cpuid_word[CPUID_1_EDX], c1 = c->cpuid_word[CPUID_1_ECX];
    uint32_t b7 = c->cpuid_word[CPUID_7_EBX], c7 = c->cpuid_word[CPUID_7_ECX];
    return CR4_TSD | CR4_PCE | (d1 & CPUID1D_DE ? CR4_DE : 0) |
           (d1 & (CPUID1D_PSE | CPUID1D_PSE36) ? CR4_PSE : 0) | (d1 & CPUID1D_PAE ? CR4_PAE : 0) |
           (d1 & CPUID1D_MCE ? CR4_MCE : 0) | (d1 & CPUID1D_PGE ? CR4_PGE : 0) |
           (d1 & CPUID1D_FXSR ? CR4_OSFXSR : 0) | (d1 & CPUID1D_SSE ? CR4_OSXMMEXCPT : 0) |
           (c1 & CPUID1C_PCID ? CR4_PCIDE : 0) | (c1 & CPUID1C_XSAVE ? CR4_OSXSAVE : 0) |
           (b7 & CPUID7B_FSGSBASE ? CR4_FSGSBASE : 0) | (b7 & CPUID7B_SMEP ? CR4_SMEP : 0) |
           (b7 & CPUID7B_SMAP ? CR4_SMAP : 0) | (c7 & CPUID7C_UMIP ? CR4_UMIP : 0);
}

static bool write_cr4(struct cpu *c, uint64_t v)
{
    const uint64_t reload = CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP;
    uint64_t old = c->cr4, changed = v ^ old;
    if (v & ~cr4_allowed(c))
        return gp(c);
    if (cpu_long_mode(c) && !(v & CR4_PAE))
        return gp(c);
    if ((v & ~old & CR4_PCIDE) && (!cpu_long_mode(c) || (c->cr3 & 0xfff)))
        return gp(c);
    if ((changed & reload) && (v & CR4_PAE) && (c->cr0 & CR0_PG) && !cpu_long_mode(c) &&
        !mmu_load_pdptes(c, c->cr3))
        return false;
    c->cr4 = v;
    if (changed & (reload | CR4_SMAP | CR4_PCIDE))
        tlb_flush(c, true);
    cpu_update_mode(c);
    if (changed & CR4_DE)
        dbg_update(c);
    return true;
}

bool cpu_write_cr(struct cpu *c, int n, uint64_t v)
{
    switch (n) {
    case 0: return write_cr0(c, v);
    case 2: c->cr2 = v; return true;
    case 3: return write_cr3(c, v);
    case 4: return write_cr4(c, v);
    case 8:
        if (v > 15)
            return gp(c);
        if (c->apic)
            apic_set_cr8(c->apic, v);
        return true;
    default: return cpu_fault_noerr(c, EXC_UD);
    }
}

bool cpu_read_cr(struct cpu *c, int n, uint64_t *v)
{
    switch (n) {
    case 0: *v = c->cr0; return true;
    case 2: *v = c->cr2; return true;
    case 3: *v = c->cr3; return true;
    case 4: *v = c->cr4; return true;
    case 8: *v = c->apic ? apic_get_cr8(c->apic) : 0; return true;
    default: return cpu_fault_noerr(c, EXC_UD);
    }
}
