/*
 * What surrounds floating-point operations: which exception an instruction raises before it starts,
 * how errors are signalled, what a memory fault leaves unchanged, the formats of FSTENV and FSAVE,
 * the pointers. Expected values are the SDM's (vol. 1, 8.1.8 to 8.1.10; vol. 3, 2.5, 13.1) and, in
 * 64-bit mode, a host's.
 */
#include <stdlib.h>

#include "test.h"

#include "cpu/decode.h"
#include "cpu/mem.h"
#include "cpu/x87.h"

static struct cpu *c;
static uint8_t page[4096] __attribute__((aligned(4096)));
static int ferr_calls;

static void on_ferr(void *opaque)
{
    ferr_calls++;
}

/* Linear address 0x1000 is page[]; everything else isn't mapped. */
enum { PAGE_LA = 0x1000 };

static void reset(uint32_t mode)
{
    memset(c, 0, sizeof(*c));
    x87_init(c);
    c->mxcsr = 0x1f80;
    c->mode = mode;
    c->la_mask = (mode & MODE_CODE_MASK) == MODE_CODE64 ? ~0ull : 0xffffffff;
    c->cr0 = CR0_NE | CR0_MP;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->ferr = on_ferr;
    c->seg[SEG_CS].sel = 0x1234;
    c->seg[SEG_DS].sel = 0x5678;
    c->gpr[RBX] = PAGE_LA;
    c->gpr[REG_IP] = 0x10;
    ferr_calls = 0;
    memset(page, 0, sizeof(page));
    for (int a = 0; a < ACCESS_KINDS; a++) {
        c->tlb[a] = &c->tlbs[0][a];
        memset(c->tlb[a]->e, 0xff, sizeof(c->tlb[a]->e));
        struct tlb_entry *e = tlb_slot(c->tlb[a], PAGE_LA);
        e->tag = PAGE_LA;
        e->addend = (uintptr_t)page - PAGE_LA;
    }
}

static enum exec run(const char *bytes, unsigned len)
{
    struct insn i;
    c->exc.pending = false;
    if (decode(&i, (const uint8_t *)bytes, len, c->mode & MODE_CODE_MASK, c->mode & MODE_PE, NULL,
               0) != len)
        return EXEC_JUMP;
    return i.fn(c, &i);
}
#define RUN_INSN(bytes) run(bytes, sizeof(bytes) - 1)
#define CHECK_FAULTS(bytes, vec)                                                                   \
    do {                                                                                           \
        CHECK_EQ(RUN_INSN(bytes), EXEC_FAULT);                                                     \
        CHECK_EQ(c->exc.vector, vec);                                                              \
    } while (0)

/* In the modes used here RBX addresses memory as [rbx] (modrm.rm 3) in 32- and 64-bit code, [bx] is
 * rm 7 in 16-bit. */
#define FLD1    "\xd9\xe8"
#define FLDZ    "\xd9\xee"
#define FDIV    "\xd8\xf1" /* st0 / st1 */
#define FWAIT   "\x9b"
#define FNCLEX  "\xdb\xe2"
#define FNINIT  "\xdb\xe3"
#define FNSTSW  "\xdf\xe0"
#define FLDCW   "\xd9\x2b"
#define FLD_M64 "\xdd\x03"
#define MODE64  (MODE_CODE64 | MODE_PE | MODE_LMA)
#define MODE32  (MODE_CODE32 | MODE_PE)

static void device_not_available(void)
{
    reset(MODE64);
    c->cr0 |= CR0_TS;
    CHECK_FAULTS(FLD1, EXC_NM);
    CHECK_FAULTS(FNCLEX, EXC_NM);
    CHECK_FAULTS(FWAIT, EXC_NM);
    c->cr0 &= ~(uint64_t)CR0_MP;
    CHECK_EQ(RUN_INSN(FWAIT), EXEC_NEXT);
    c->cr0 = CR0_EM;
    CHECK_FAULTS(FLD1, EXC_NM);
    CHECK_FAULTS(FNSTSW, EXC_NM);
    CHECK_EQ(RUN_INSN(FWAIT), EXEC_NEXT);
    CHECK_EQ(c->ftag, 0);
}

/* 1 / 0 with ZM clear. */
static void divide(void)
{
    c->fcw = 0x37b;
    RUN_INSN(FLDZ);
    RUN_INSN(FLD1);
}

static void pending_error(void)
{
    reset(MODE64);
    divide();
    CHECK_EQ(RUN_INSN(FDIV), EXEC_NEXT);
    CHECK_EQ(x87_fsw(c), 0xb084);
    CHECK_EQ(ferr_calls, 0);
    CHECK_FAULTS(FLD1, EXC_MF);
    CHECK_FAULTS(FWAIT, EXC_MF);
    CHECK_FAULTS("\x0f\x6f\xc1", EXC_MF); /* movq mm0, mm1 */
    CHECK_EQ(RUN_INSN(FNSTSW), EXEC_NEXT);
    CHECK_EQ(c->gpr[RAX], 0xb084);
    CHECK_EQ(RUN_INSN(FNCLEX), EXEC_NEXT);
    CHECK_EQ(x87_fsw(c), 0x3000);
    CHECK_EQ(RUN_INSN(FLD1), EXEC_NEXT);
}

static void unmasking_makes_pending(void)
{
    reset(MODE64);
    divide();
    c->fcw = 0x37f;
    RUN_INSN(FDIV);
    CHECK_EQ(x87_fsw(c), 0x3004);
    memcpy(page, "\x7b\x03", 2);
    CHECK_EQ(RUN_INSN(FLDCW), EXEC_NEXT);
    CHECK_EQ(x87_fsw(c), 0xb084);
    CHECK_FAULTS(FLDCW, EXC_MF);
}

static void ferr_without_ne(void)
{
    reset(MODE64);
    c->cr0 = 0;
    divide();
    CHECK_EQ(RUN_INSN(FDIV), EXEC_STOP);
    CHECK_EQ(ferr_calls, 1);
    CHECK_EQ(RUN_INSN(FLD1), EXEC_NEXT);
    CHECK_EQ(ferr_calls, 1);
}

static void memory_fault_changes_nothing(void)
{
    reset(MODE64);
    RUN_INSN(FLD1);
    struct f80 st = *x87_st(c, 0);
    uint64_t fip = c->fip;
    uint16_t fsw = c->fsw;
    c->cr4 |= CR4_OSFXSR;
    c->cpl = 3;
    c->seg_check[SEG_DS] = SEG_CHECK_READ | SEG_CHECK_WRITE;
    c->seg[SEG_DS].attr = 0x4093; /* expand-up data with limit 0: every access is out */
    c->seg[SEG_DS].limit = 0;
    c->mode = MODE32;
    c->la_mask = 0xffffffff;
    static const char *const insns[] = { "\xdd\x03", "\xdd\x1b", "\xdb\x3b", "\xdc\x33", "\xd9\x33",
                                         "\xdd\x33", "\xdd\x23", "\xdf\x33", "\xda\x03" };
    for (unsigned n = 0; n < sizeof(insns) / sizeof(insns[0]); n++) {
        CHECK_EQ(run(insns[n], 2), EXEC_FAULT);
        CHECK_EQ(c->exc.vector, EXC_GP);
        CHECK_EQ(c->ftag, 0x80);
        CHECK_EQ(c->ftop, 7);
        CHECK_EQ(c->fip, fip);
        CHECK_EQ(c->fsw, fsw);
        CHECK_EQ(x87_st(c, 0)->frac, st.frac);
        CHECK_EQ(c->fcw, 0x37f);
    }
}

static uint32_t at(unsigned offset, unsigned size)
{
    uint32_t v = 0;
    memcpy(&v, page + offset, size);
    return v;
}

static void pointers_and_protected_formats(void)
{
    reset(MODE32);
    c->gpr[REG_IP] = 0x89abcdef;
    c->gpr[RBX] = PAGE_LA + 0x80;
    CHECK_EQ(RUN_INSN(FLD_M64), EXEC_NEXT); /* loads 0 */
    c->gpr[RBX] = PAGE_LA;
    CHECK_EQ(RUN_INSN("\xd9\x33"), EXEC_NEXT); /* fnstenv [ebx] */
    static const uint32_t want[7] = { 0xffff037f, 0xffff3800,     0xffff7fff, 0x89abcdef,
                                      0x05031234, PAGE_LA + 0x80, 0xffff5678 };
    for (unsigned n = 0; n < 7; n++)
        CHECK_EQ(at(n * 4, 4), want[n]);
    CHECK_EQ(RUN_INSN("\x66\xd9\x33"), EXEC_NEXT);
    for (unsigned n = 0; n < 7; n++)
        CHECK_EQ(at(n * 2, 2), want[n] & 0xffff);
    CHECK_EQ(c->fcw, 0x37f);
}

static void real_mode_formats(void)
{
    reset(MODE_CODE16);
    c->seg[SEG_DS].sel = 0xf00d;
    c->gpr[REG_IP] = 0x4321;
    c->gpr[RBX] = PAGE_LA + 0x80;
    CHECK_EQ(RUN_INSN("\xdd\x07"), EXEC_NEXT); /* fld qword [bx] */
    c->gpr[RBX] = PAGE_LA;
    uint32_t ip = 0x12340 + 0x4321, dp = 0xf00d0 + PAGE_LA + 0x80;
    CHECK_EQ(RUN_INSN("\xd9\x37"), EXEC_NEXT); /* fnstenv [bx] */
    CHECK_EQ(at(0, 2), 0x37f);
    CHECK_EQ(at(2, 2), 0x3800);
    CHECK_EQ(at(4, 2), 0x7fff);
    CHECK_EQ(at(6, 2), ip & 0xffff);
    CHECK_EQ(at(8, 2), ((ip >> 4) & 0xf000) | 0x507);
    CHECK_EQ(at(10, 2), dp & 0xffff);
    CHECK_EQ(at(12, 2), (dp >> 4) & 0xf000);
    CHECK_EQ(RUN_INSN("\x66\xd9\x37"), EXEC_NEXT);
    CHECK_EQ(at(12, 2), ip & 0xffff);
    CHECK_EQ(at(16, 4), (ip >> 16) << 12 | 0x507);
    CHECK_EQ(at(20, 2), dp & 0xffff);
    CHECK_EQ(at(24, 4), (dp >> 16) << 12);
    /* And back. */
    CHECK_EQ(RUN_INSN(FNINIT), EXEC_NEXT);
    CHECK_EQ(RUN_INSN("\x66\xd9\x27"), EXEC_NEXT); /* fldenv [bx] */
    CHECK_EQ((uint32_t)c->fip + (c->fcs << 4), ip);
    CHECK_EQ((uint32_t)c->fdp + (c->fds << 4), dp);
    CHECK_EQ(c->fop, 0x507);
    CHECK_EQ(c->ftag, 0x80);
}

static void save_and_restore(void)
{
    reset(MODE64);
    for (int n = 0; n < 3; n++)
        RUN_INSN("\xd9\xeb"); /* fldpi */
    RUN_INSN(FLD1);
    struct f80 st[8];
    memcpy(st, c->st, sizeof(st));
    CHECK_EQ(RUN_INSN("\xdd\x33"), EXEC_NEXT); /* fnsave [rbx] */
    CHECK_EQ(c->ftag, 0);
    CHECK_EQ(c->fcw, 0x37f);
    CHECK_EQ(at(28, 4), 0); /* 1.0 first */
    CHECK_EQ(at(36, 2), 0x3fff);
    CHECK_EQ(at(46, 2), 0x4000);
    memset(c->st, 0, sizeof(c->st));
    CHECK_EQ(RUN_INSN("\xdd\x23"), EXEC_NEXT); /* frstor [rbx] */
    CHECK_EQ(c->ftop, 4);
    CHECK_EQ(c->ftag, 0xf0);
    CHECK(memcmp(st, c->st, sizeof(st)) == 0);
}

static void mmx_aliases(void)
{
    reset(MODE64);
    RUN_INSN(FLD1);
    CHECK(x87_mmx_enter(c));
    x87_mmx_write(c, 3, 0x1122334455667788);
    CHECK_EQ(c->ftop, 0);
    CHECK_EQ(c->ftag, 0xff);
    CHECK_EQ(c->st[3].se, 0xffff);
    c->cr0 |= CR0_EM;
    CHECK(!x87_mmx_enter(c));
    CHECK_EQ(c->exc.vector, EXC_UD);
}

#define ADDPS_MEM "\x0f\x58\x03"
#define DIVSS     "\xf3\x0f\x5e\xc1"

static void sse_checks(void)
{
    reset(MODE64);
    CHECK_EQ(RUN_INSN(ADDPS_MEM), EXEC_NEXT);
    c->gpr[RBX] = PAGE_LA + 8;
    CHECK_FAULTS(ADDPS_MEM, EXC_GP);
    CHECK_EQ(RUN_INSN("\xf3\x0f\x58\x03"), EXEC_NEXT); /* addss: any alignment */
    CHECK_EQ(RUN_INSN("\x0f\x5a\x03"), EXEC_NEXT);     /* cvtps2pd xmm, m64 */
    c->cr0 |= CR0_TS;
    CHECK_FAULTS(DIVSS, EXC_NM);
    c->cr4 = 0;
    CHECK_FAULTS(DIVSS, EXC_UD);
    c->cr4 = CR4_OSFXSR;
    c->cr0 = CR0_EM | CR0_TS;
    CHECK_FAULTS(DIVSS, EXC_UD);
}

static void sse_unmasked(void)
{
    reset(MODE64);
    c->xmm[0].f32[0] = 1;
    c->mxcsr = 0x1d80; /* ZM clear */
    CHECK_FAULTS(DIVSS, EXC_XM);
    CHECK_EQ(c->mxcsr, 0x1d84);
    CHECK(c->xmm[0].f32[0] == 1);
    c->cr4 = CR4_OSFXSR;
    CHECK_FAULTS(DIVSS, EXC_UD);
}

int main(void)
{
    c = calloc(1, sizeof(*c));
    if (!c)
        return 1;
    decode_init();
    RUN(device_not_available);
    RUN(pending_error);
    RUN(unmasking_makes_pending);
    RUN(ferr_without_ne);
    RUN(memory_fault_changes_nothing);
    RUN(pointers_and_protected_formats);
    RUN(real_mode_formats);
    RUN(save_and_restore);
    RUN(mmx_aliases);
    RUN(sse_checks);
    RUN(sse_unmasked);
    free(c);
    return test_done();
}
