/*
 * A processor's saved state (state.h): one table for saving and loading. What is derived (mode,
 * segment bases, TLBs, cached code) comes from cpu_post_load(). Pointers, callbacks and what -cpu
 * says are the machine's own.
 */
#include "cpu/state.h"

#include "cpu/block.h"
#include "cpu/cpu.h"

#define U8(m)   FIELD_U8(struct cpu, m, 0)
#define U16(m)  FIELD_U16(struct cpu, m, 0)
#define U32(m)  FIELD_U32(struct cpu, m, 0)
#define U64(m)  FIELD_U64(struct cpu, m, 0)
#define BOOL(m) FIELD_BOOL(struct cpu, m, 0)
#define SEG(m)  U16(m.sel), U16(m.attr), U32(m.limit), U64(m.base)
#define ST(n)   U64(st[n].frac), U16(st[n].se)

const struct field cpu_fields[] = {
    { "gpr", FIELD_U64, 0, offsetof(struct cpu, gpr), 16, 0 },
    U64(rip),
    U64(fl_z),
    U64(fl_s),
    U64(fl_co),
    U64(fl_a),
    U32(rflags),
    U8(cpl),
    U32(intr),
    U64(icount),
    { "xmm", FIELD_U64, 0, offsetof(struct cpu, xmm), 2 * 16, 0 },
    U32(mxcsr),
    ST(0),
    ST(1),
    ST(2),
    ST(3),
    ST(4),
    ST(5),
    ST(6),
    ST(7),
    U16(fcw),
    U16(fsw),
    U8(ftop),
    U8(ftag),
    U16(fop),
    U64(fip),
    U64(fdp),
    U16(fcs),
    U16(fds),
    SEG(seg[0]),
    SEG(seg[1]),
    SEG(seg[2]),
    SEG(seg[3]),
    SEG(seg[4]),
    SEG(seg[5]),
    SEG(ldtr),
    SEG(tr),
    U64(gdtr.base),
    U16(gdtr.limit),
    U64(idtr.base),
    U16(idtr.limit),
    U64(cr0),
    U64(cr2),
    U64(cr3),
    U64(cr4),
    U64(dr),
    U64(pdpte),
    U64(xcr0),
    U64(efer),
    U64(star),
    U64(lstar),
    U64(cstar),
    U64(sfmask),
    U64(kernel_gs_base),
    U64(tsc_aux),
    U64(pat),
    U64(sysenter_cs),
    U64(sysenter_esp),
    U64(sysenter_eip),
    U64(misc_enable),
    U64(mtrr_def_type),
    U64(mtrr_base),
    U64(mtrr_mask),
    U64(mtrr_fixed),
    U64(mcg_status),
    U64(mcg_cap),
    U64(bios_sign),
    U64(smbase),
    U64(tsc_adjust),
    U64(debugctl),
    U64(mce_bank),
    U64(amd_msr),
    U64(tsc_offset),
    BOOL(exc.pending),
    U8(exc.vector),
    BOOL(exc.has_error),
    U32(exc.error),
    U64(exc.cr2),
    U32(exc_delivering),
    BOOL(exc_delivering_ext),
    U64(dr6_pending),
    BOOL(step),
    BOOL(shadow),
    BOOL(shadow_ss),
    BOOL(halted),
    BOOL(wait_sipi),
    BOOL(nmi_blocked),
    BOOL(in_smm),
    BOOL(a20),
    BOOL(triple_fault),
    FIELD_END,
};

void cpu_post_load(struct cpu *c)
{
    c->rflags = (c->rflags & ~FL_ARITH) | 2;
    c->cpl &= 3;
    c->ftop &= 7;
    c->intr &= CPU_INTR_HARD | CPU_INTR_NMI | CPU_INTR_SMI | CPU_INTR_INIT | CPU_INTR_SIPI;
    if (c->exc_delivering < -1 || c->exc_delivering > 255)
        c->exc_delivering = -1;
    if (!(c->cr0 & CR0_PE)) { /* no mode that no processor has */
        c->cr0 &= ~(uint64_t)CR0_PG;
        c->cpl = 0;
        c->rflags &= ~FL_VM;
    }
    if (!(c->cr0 & CR0_PG) || !(c->cr4 & CR4_PAE) || !(c->efer & EFER_LME))
        c->efer &= ~(uint64_t)EFER_LMA;
    if (c->efer & EFER_LMA)
        c->rflags &= ~FL_VM;
    c->budget = 0;
    c->jit_hot = c->jit_met = false;
    block_flush_all();
    cpu_sysreg_changed(c);
    seg_update_flat(c);
    tlb_new_generation(c);
}
