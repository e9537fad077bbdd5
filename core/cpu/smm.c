/*
 * System management mode: SMI entry and RSM.
 *
 * The state is saved below SMBASE + 0x10000 in the layout of AMD64 processors (revision 0x20064)
 * when the model has long mode, else in the 32-bit one (0x20000), which are the two that SeaBIOS
 * knows. Each layout is one table of (offset, size, place in struct cpu), walked in both
 * directions. AMD APM vol. 2, 10.2-10.3; SDM vol. 3, 31.4.
 */
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "cpu/flags.h"

#define REV_64 0x20064u
#define REV_32 0x20000u

struct slot {
    uint16_t at; /* from SMBASE + 0x8000 */
    uint8_t size, field_size;
    uint32_t field;
};
#define SLOT(at, size, m)                                                                          \
    {                                                                                              \
        at, size, sizeof(((struct cpu *)0)->m), offsetof(struct cpu, m)                            \
    }
#define SEG64(at, m) SLOT(at, 2, m.sel), SLOT(at + 4, 4, m.limit), SLOT(at + 8, 8, m.base)
#define SEG32(at, m) SLOT(at + 4, 4, m.limit), SLOT(at + 8, 4, m.base)

static const struct slot layout64[] = {
    SEG64(0x7e00, seg[SEG_ES]),  SEG64(0x7e10, seg[SEG_CS]), SEG64(0x7e20, seg[SEG_SS]),
    SEG64(0x7e30, seg[SEG_DS]),  SEG64(0x7e40, seg[SEG_FS]), SEG64(0x7e50, seg[SEG_GS]),
    SLOT(0x7e64, 4, gdtr.limit), SLOT(0x7e68, 8, gdtr.base), SEG64(0x7e70, ldtr),
    SLOT(0x7e84, 4, idtr.limit), SLOT(0x7e88, 8, idtr.base), SEG64(0x7e90, tr),
    SLOT(0x7ed0, 8, efer),       SLOT(0x7f48, 8, cr4),       SLOT(0x7f50, 8, cr3),
    SLOT(0x7f58, 8, cr0),        SLOT(0x7f60, 8, dr[7]),     SLOT(0x7f68, 8, dr[6]),
    SLOT(0x7f78, 8, rip),        SLOT(0x7f80, 8, gpr[R15]),  SLOT(0x7f88, 8, gpr[R14]),
    SLOT(0x7f90, 8, gpr[R13]),   SLOT(0x7f98, 8, gpr[R12]),  SLOT(0x7fa0, 8, gpr[R11]),
    SLOT(0x7fa8, 8, gpr[R10]),   SLOT(0x7fb0, 8, gpr[R9]),   SLOT(0x7fb8, 8, gpr[R8]),
    SLOT(0x7fc0, 8, gpr[RDI]),   SLOT(0x7fc8, 8, gpr[RSI]),  SLOT(0x7fd0, 8, gpr[RBP]),
    SLOT(0x7fd8, 8, gpr[RSP]),   SLOT(0x7fe0, 8, gpr[RBX]),  SLOT(0x7fe8, 8, gpr[RDX]),
    SLOT(0x7ff0, 8, gpr[RCX]),   SLOT(0x7ff8, 8, gpr[RAX]),
};
static const struct slot layout32[] = {
    SEG32(0x7f84, seg[SEG_ES]),
    SEG32(0x7f90, seg[SEG_CS]),
    SEG32(0x7f9c, seg[SEG_SS]),
    SEG32(0x7f2c, seg[SEG_DS]),
    SEG32(0x7f38, seg[SEG_FS]),
    SEG32(0x7f44, seg[SEG_GS]),
    SEG32(0x7f5c, tr),
    SEG32(0x7f78, ldtr),
    SLOT(0x7f14, 4, cr4),
    SLOT(0x7f54, 4, idtr.limit),
    SLOT(0x7f58, 4, idtr.base),
    SLOT(0x7f70, 4, gdtr.limit),
    SLOT(0x7f74, 4, gdtr.base),
    SLOT(0x7fa8, 4, seg[SEG_ES].sel),
    SLOT(0x7fac, 4, seg[SEG_CS].sel),
    SLOT(0x7fb0, 4, seg[SEG_SS].sel),
    SLOT(0x7fb4, 4, seg[SEG_DS].sel),
    SLOT(0x7fb8, 4, seg[SEG_FS].sel),
    SLOT(0x7fbc, 4, seg[SEG_GS].sel),
    SLOT(0x7fc0, 4, ldtr.sel),
    SLOT(0x7fc4, 4, tr.sel),
    SLOT(0x7fc8, 4, dr[7]),
    SLOT(0x7fcc, 4, dr[6]),
    SLOT(0x7fd0, 4, gpr[RAX]),
    SLOT(0x7fd4, 4, gpr[RCX]),
    SLOT(0x7fd8, 4, gpr[RDX]),
    SLOT(0x7fdc, 4, gpr[RBX]),
    SLOT(0x7fe0, 4, gpr[RSP]),
    SLOT(0x7fe4, 4, gpr[RBP]),
    SLOT(0x7fe8, 4, gpr[RSI]),
    SLOT(0x7fec, 4, gpr[RDI]),
    SLOT(0x7ff0, 4, rip),
    SLOT(0x7ff8, 4, cr3),
    SLOT(0x7ffc, 4, cr0),
};
/* Attributes, whose packing differs from struct segment's. */
struct attr_slot {
    uint16_t at64, at32;
    uint32_t field;
};
#define ATTR(at64, at32, m)                                                                        \
    {                                                                                              \
        at64, at32, offsetof(struct cpu, m)                                                        \
    }
static const struct attr_slot attrs[] = {
    ATTR(0x7e02, 0x7f84, seg[SEG_ES].attr), ATTR(0x7e12, 0x7f90, seg[SEG_CS].attr),
    ATTR(0x7e22, 0x7f9c, seg[SEG_SS].attr), ATTR(0x7e32, 0x7f2c, seg[SEG_DS].attr),
    ATTR(0x7e42, 0x7f38, seg[SEG_FS].attr), ATTR(0x7e52, 0x7f44, seg[SEG_GS].attr),
    ATTR(0x7e72, 0x7f78, ldtr.attr),        ATTR(0x7e92, 0x7f5c, tr.attr),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool has_long_mode(const struct cpu *c)
{
    return cpuid_has(c, CPUID_8000_0001_EDX, CPUID81D_LM);
}

static void save(struct cpu *c, uint64_t base)
{
    bool lm = has_long_mode(c);
    const struct slot *l = lm ? layout64 : layout32;
    size_t n = lm ? COUNT(layout64) : COUNT(layout32);
    for (size_t k = 0; k < n; k++) {
        uint64_t v = 0;
        memcpy(&v, (char *)c + l[k].field, l[k].field_size);
        dma_write(c->mem, base + l[k].at, &v, l[k].size);
    }
    for (size_t k = 0; k < COUNT(attrs); k++) {
        uint16_t a;
        memcpy(&a, (char *)c + attrs[k].field, 2);
        if (lm)
            dma_write16(c->mem, base + attrs[k].at64, (uint16_t)((a & 0xff) | (a >> 4 & 0xf00)));
        else
            dma_write32(c->mem, base + attrs[k].at32, a);
    }
    uint32_t fl = cpu_rflags(c);
    if (lm) {
        dma_write64(c->mem, base + 0x7f70, fl);
        dma_write32(c->mem, base + 0x7efc, REV_64);
        dma_write32(c->mem, base + 0x7f00, (uint32_t)c->smbase);
        uint8_t halted = c->halted;
        dma_write(c->mem, base + 0x7ec9, &halted, 1);
    } else {
        dma_write32(c->mem, base + 0x7ff4, fl);
        dma_write32(c->mem, base + 0x7efc, REV_32);
        dma_write32(c->mem, base + 0x7ef8, (uint32_t)c->smbase);
        dma_write16(c->mem, base + 0x7f02, c->halted);
    }
}

void smm_enter(struct cpu *c)
{
    c->in_smm = true;
    if (c->smm_changed)
        c->smm_changed(c->smm_opaque, true);
    save(c, c->smbase + 0x8000);
    c->nmi_blocked = true;
    c->halted = false;
    c->shadow = c->shadow_ss = false;
    c->rflags = 2;
    flags_set_arith(c, 0);
    c->rip = 0x8000;
    c->cr0 &= ~(uint64_t)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    c->cr4 = 0;
    c->efer = 0;
    c->dr[7] = 0x400;
    c->cpl = 0;
    for (int k = 0; k < 6; k++)
        c->seg[k] = (struct segment){ .attr = 0x8093, .limit = 0xffffffffu };
    c->seg[SEG_CS].sel = (uint16_t)(c->smbase >> 4);
    c->seg[SEG_CS].base = c->smbase;
    cpu_sysreg_changed(c);
}

/* What no guest may put into control registers through RSM; hardware shuts down. */
static bool state_ok(const struct cpu *c)
{
    if ((c->cr0 & CR0_PG) && !(c->cr0 & CR0_PE))
        return false;
    if (c->cr0 >> 32 || ((c->cr0 & CR0_NW) && !(c->cr0 & CR0_CD)))
        return false;
    if ((c->efer & EFER_LMA) &&
        (!(c->cr0 & CR0_PG) || !(c->cr4 & CR4_PAE) || !(c->efer & EFER_LME)))
        return false;
    return !((c->cr4 & CR4_PCIDE) && !(c->efer & EFER_LMA)) && !(c->cr4 >> 32);
}

bool smm_leave(struct cpu *c)
{
    if (!c->in_smm)
        return cpu_fault_noerr(c, EXC_UD);
    bool lm = has_long_mode(c);
    uint64_t base = c->smbase + 0x8000;
    const struct slot *l = lm ? layout64 : layout32;
    size_t n = lm ? COUNT(layout64) : COUNT(layout32);
    for (size_t k = 0; k < n; k++) {
        uint64_t v = 0;
        dma_read(c->mem, base + l[k].at, &v, l[k].size);
        memcpy((char *)c + l[k].field, &v, l[k].field_size);
    }
    for (size_t k = 0; k < COUNT(attrs); k++) {
        uint16_t a;
        if (lm) {
            a = dma_read16(c->mem, base + attrs[k].at64);
            a = (uint16_t)((a & 0xff) | (a & 0xf00) << 4);
        } else {
            a = dma_read16(c->mem, base + attrs[k].at32) & 0xf0ff;
        }
        memcpy((char *)c + attrs[k].field, &a, 2);
    }
    uint32_t fl = dma_read32(c->mem, base + (lm ? 0x7f70 : 0x7ff4));
    uint32_t rev = dma_read32(c->mem, base + 0x7efc);
    uint32_t new_base = dma_read32(c->mem, base + (lm ? 0x7f00 : 0x7ef8));
    uint8_t halted = 0;
    dma_read(c->mem, base + (lm ? 0x7ec9 : 0x7f02), &halted, 1);
    if (rev & 0x20000)
        c->smbase = new_base;
    c->halted = halted & 1;
    c->rflags = (fl & 0x3f7fd5 & ~FL_ARITH) | 2;
    flags_set_arith(c, fl);
    c->cpl = !(c->cr0 & CR0_PE) ? 0 : (fl & FL_VM) ? 3 : SEG_DPL(c->seg[SEG_SS].attr);
    c->in_smm = false;
    c->nmi_blocked = false;
    if (c->smm_changed)
        c->smm_changed(c->smm_opaque, false);
    if (!state_ok(c)) {
        c->triple_fault = true;
        c->halted = true;
        c->cr0 &= ~(uint64_t)CR0_PG;
        c->efer &= ~(uint64_t)EFER_LMA;
        cpu_raise_intr(c, CPU_INTR_EXIT);
    } else if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !cpu_long_mode(c) &&
               !mmu_load_pdptes(c, c->cr3)) {
        c->exc.pending = false;
        c->triple_fault = true;
        c->halted = true;
        cpu_raise_intr(c, CPU_INTR_EXIT);
    }
    cpu_sysreg_changed(c);
    return true;
}
