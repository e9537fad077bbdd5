/*
 * A processor's life: creation, reset, derived state, the run loop.
 *
 * cpu_run() alternates between delivering what is pending (exceptions recorded by the last
 * instruction, interrupts) and running code, one instruction at a time while something watches (TF,
 * breakpoints, an interrupt shadow), in blocks otherwise.
 */
#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/interp.h"
#include "jit-wasm/jit.h"
#include "log.h"
#include "machine.h"

#define REP_LIMIT 4096 /* iterations of a string instruction between looks at interrupts */

struct cpu *cpu_new(struct machine *m, int index, const char *model_spec, struct error *err)
{
    decode_init();
    struct cpu *c = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
    if (!c) {
        error_set(err, "out of memory");
        return NULL;
    }
    memset(c, 0, sizeof *c);
    c->blocks = block_cache_new();
    if (!c->blocks) {
        error_set(err, "out of memory");
        free(c);
        return NULL;
    }
    c->machine = m;
    c->index = index;
    if (m) {
        c->mem = &m->mem;
        c->io = &m->io;
    }
    c->gpr[REG_4G] = 1ull << 32;
    c->a20 = true;
    c->rep_limit = REP_LIMIT;
    c->exc_delivering = -1;
    c->jit_back = CPU_NO_RIP;
    tlb_init_all(c);
    if (!cpu_model_apply(c, model_spec, err)) {
        cpu_free(c);
        return NULL;
    }
    cpu_reset(c, false);
    return c;
}

void cpu_free(struct cpu *c)
{
    if (!c)
        return;
    block_cache_free(c->blocks);
    free(c);
}

/* State after RESET# and INIT# (SDM vol. 3, table 9-1). */
void cpu_reset(struct cpu *c, bool init)
{
    static const struct segment data = { .attr = 0x93, .limit = 0xffff };
    uint32_t id[4];
    memset(c->gpr, 0, 16 * sizeof c->gpr[0]);
    for (int s = 0; s < 6; s++)
        c->seg[s] = data;
    c->seg[SEG_CS] =
        (struct segment){ .sel = 0xf000, .attr = 0x9b, .limit = 0xffff, .base = 0xffff0000u };
    c->ldtr = (struct segment){ .attr = 0x82, .limit = 0xffff };
    c->tr = (struct segment){ .attr = 0x8b, .limit = 0xffff };
    c->gdtr = c->idtr = (struct dtable){ .limit = 0xffff };
    c->rip = 0xfff0;
    c->cpl = 0;
    c->cr0 = (init ? c->cr0 & (CR0_CD | CR0_NW) : (uint64_t)(CR0_CD | CR0_NW)) | CR0_ET;
    c->cr2 = c->cr3 = c->cr4 = 0;
    memset(c->dr, 0, sizeof c->dr);
    c->dr[6] = 0xffff0ff0u;
    c->dr[7] = 0x400;
    c->efer = 0;
    c->rflags = 2;
    flags_set_arith(c, 0);
    c->exc.pending = false;
    c->exc_delivering = -1;
    c->dr6_pending = 0;
    c->shadow = c->shadow_ss = c->halted = c->wait_sipi = c->step = false;
    c->nmi_blocked = c->in_smm = c->triple_fault = false;
    if (!init) {
        memset(c->xmm, 0, sizeof c->xmm);
        memset(c->st, 0, sizeof c->st);
        c->mxcsr = 0x1f80;
        c->fcw = 0x40;
        c->fsw = 0;
        c->ftop = 0;
        c->ftag = 0xff;
        c->xcr0 = 1;
        c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = c->tsc_aux = 0;
        c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
        c->pat = 0x0007040600070406ull;
        c->mtrr_def_type = 0;
        memset(c->mtrr_base, 0, sizeof c->mtrr_base);
        memset(c->mtrr_mask, 0, sizeof c->mtrr_mask);
        memset(c->mtrr_fixed, 0, sizeof c->mtrr_fixed);
        c->misc_enable = 1;
        c->smbase = 0x30000;
        c->tsc_offset = 0;
        c->tsc_adjust = 0;
        c->intr = 0;
    }
    cpu_cpuid(c, 1, 0, id);
    c->gpr[RDX] = id[0];
    dbg_update(c);
    cpu_update_mode(c);
    tlb_flush(c, true);
}

/* Which TLB, from c->mode, RFLAGS.AC, CR0.AM and CR4.SMAP. */
static void update_mmu_index(struct cpu *c)
{
    bool user = c->mode & MODE_USER, ac = c->rflags & FL_AC;
    c->mmu_index = user ? MMU_USER : (c->cr4 & CR4_SMAP) && ac ? MMU_KERNEL_SMAP_OFF : MMU_KERNEL;
    bool align = user && ac && (c->cr0 & CR0_AM);
    for (int a = 0; a < ACCESS_KINDS; a++)
        c->tlb[a] = align && a != ACCESS_FETCH ? &c->tlb_never : &c->tlbs[c->mmu_index][a];
}

void cpu_set_ac(struct cpu *c, bool on)
{
    c->rflags = on ? c->rflags | FL_AC : c->rflags & ~FL_AC;
    update_mmu_index(c);
    cpu_update_jump_context(c);
}

void cpu_update_mode(struct cpu *c)
{
    uint32_t old = c->mode, mode = 0;
    bool lma = c->efer & EFER_LMA;
    if (c->cr0 & CR0_PE)
        mode |= MODE_PE;
    if (c->rflags & FL_VM)
        mode |= MODE_VM;
    if (lma)
        mode |= MODE_LMA;
    if (c->cpl == 3)
        mode |= MODE_USER;
    if (c->seg[SEG_SS].attr & SEG_DB)
        mode |= MODE_SS32;
    if (lma && (c->seg[SEG_CS].attr & SEG_L))
        mode |= MODE_CODE64;
    else if (c->seg[SEG_CS].attr & SEG_DB)
        mode |= MODE_CODE32;
    c->mode = mode;
    c->sse_off = (c->cr0 & (CR0_EM | CR0_TS)) || !(c->cr4 & CR4_OSFXSR);

    bool code64 = (mode & MODE_CODE_MASK) == MODE_CODE64;
    c->la_mask = code64 ? ~0ull : 0xffffffffull;
    c->sp_mask = code64 ? ~0ull : mode & MODE_SS32 ? 0xffffffffull : 0xffffull;
    c->cs_limit = code64 ? ~0ull : c->seg[SEG_CS].limit;

    update_mmu_index(c);
    if ((old ^ mode) & (MODE_CODE_MASK | MODE_PE | MODE_VM)) {
        for (int s = 0; s < 6; s++)
            seg_update(c, s);
    } else {
        seg_update(c, SEG_CS);
        seg_update(c, SEG_SS);
    }
    seg_update_flat(c);
    /* Cached jumps were checked against another limit. Two kinds of code segments know no limit. */
    if (c->cs_limit < 0xffffffffu && c->cs_limit != c->jump_limit) {
        c->jump_limit = c->cs_limit;
        tlb_new_generation(c);
    }
}

void cpu_set_rflags(struct cpu *c, uint32_t fl)
{
    uint32_t old = c->rflags;
    flags_set_arith(c, fl);
    c->rflags = (fl & ~FL_ARITH) | 2;
    if ((old ^ fl) & (FL_VM | FL_AC))
        cpu_update_mode(c);
}

void cpu_raise_intr(struct cpu *c, uint32_t bits)
{
    c->intr |= bits;
}
void cpu_lower_intr(struct cpu *c, uint32_t bits)
{
    c->intr &= ~bits;
}

void cpu_set_a20(struct cpu *c, bool on)
{
    if (c->a20 == on)
        return;
    c->a20 = on;
    tlb_flush(c, true);
}

void cpu_run(struct cpu *c, int32_t max_insns, int32_t max_slow)
{
    c->icount += (uint64_t)max_insns;
    c->budget += max_insns;
    c->slow = max_slow;
    while (c->budget > 0 && c->slow > 0) {
        if (c->exc.pending) {
            exc_deliver_pending(c);
            c->budget--; /* a fault that faults again must use up the slice */
        }
        if ((c->intr & CPU_INTR_EXIT) || c->triple_fault)
            break;
        if (c->intr && exc_take_interrupt(c)) {
            c->budget--;
            continue;
        }
        if (c->halted)
            break;
        if (cpu_debugging(c) || c->shadow || c->shadow_ss)
            interp_step(c);
        else if (c->jit)
            jit_run(c);
        else
            interp_run(c);
    }
    if (c->exc.pending)
        exc_deliver_pending(c);
    c->icount -= (uint64_t)(int64_t)c->budget;
    c->budget = 0;
}
