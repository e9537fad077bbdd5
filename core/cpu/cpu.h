/*
 * One x86-64 processor: its state, in one struct at a fixed address (so that translated code can
 * use constant offsets), and the interface the rest of the machine has to it.
 *
 * Conventions that every file in core/cpu/ keeps:
 *
 * - Arithmetic flags are lazy. An operation stores its sign-extended result and carries, and
 * readers derive a flag when they need one (flags.h). The other bits of RFLAGS live in `rflags`.
 * - c->rip is only current between instructions that end a block; inside a handler the address of
 * the instruction is cpu_insn_rip(c, i), the next one cpu_next_rip(c, i) (decode.h).
 * - Nothing longjmps. What can fault returns false (or EXEC_FAULT) after cpu_fault() recorded the
 * exception in c->exc; callers return at once, having changed no architectural state that the
 * instruction mustn't have changed: compute and access first, commit last.
 * - Derived state (c->mode, la_mask, seg_check, ...) is recomputed by cpu_update_mode() whenever a
 * control register, EFER, CS, SS or RFLAGS.VM/AC changes.
 */
#ifndef SLIPWAY_CPU_H
#define SLIPWAY_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "memory.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* For what must become part of the interpreter's loop: left alone, compilers outline it for its
 * size. */
#if defined __has_feature
#if __has_feature(address_sanitizer)
/* Instrumented and inlined, the loop takes clang minutes to compile. */
#define force_inline inline
#endif
#endif
#ifndef force_inline
#define force_inline inline __attribute__((always_inline))
#endif

enum {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    REG_ZERO,
    REG_IP,
    REG_4G,
    GPR_SLOTS
};
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_NONE, SEG_SLOTS };

/* RFLAGS bits (SDM vol. 1, 3.4.3). */
#define FL_CF    0x000001u
#define FL_PF    0x000004u
#define FL_AF    0x000010u
#define FL_ZF    0x000040u
#define FL_SF    0x000080u
#define FL_TF    0x000100u
#define FL_IF    0x000200u
#define FL_DF    0x000400u
#define FL_OF    0x000800u
#define FL_IOPL  0x003000u
#define FL_NT    0x004000u
#define FL_RF    0x010000u
#define FL_VM    0x020000u
#define FL_AC    0x040000u
#define FL_VIF   0x080000u
#define FL_VIP   0x100000u
#define FL_ID    0x200000u
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME        0x000001u
#define CR4_PVI        0x000002u
#define CR4_TSD        0x000004u
#define CR4_DE         0x000008u
#define CR4_PSE        0x000010u
#define CR4_PAE        0x000020u
#define CR4_MCE        0x000040u
#define CR4_PGE        0x000080u
#define CR4_PCE        0x000100u
#define CR4_OSFXSR     0x000200u
#define CR4_OSXMMEXCPT 0x000400u
#define CR4_UMIP       0x000800u
#define CR4_FSGSBASE   0x010000u
#define CR4_PCIDE      0x020000u
#define CR4_OSXSAVE    0x040000u
#define CR4_SMEP       0x100000u
#define CR4_SMAP       0x200000u

#define EFER_SCE   0x001u
#define EFER_LME   0x100u
#define EFER_LMA   0x400u
#define EFER_NXE   0x800u
#define EFER_FFXSR 0x4000u

/* Exception vectors (SDM vol. 3, table 6-1). */
enum {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_MC = 18,
    EXC_XM = 19,
};

/* #PF error code bits (SDM vol. 3, 4.7). */
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

/* A segment register: selector and hidden part. attr holds descriptor bits 40-47 in bits 0-7 (type,
 * S, DPL, P) and bits 52-55 in bits 12-15 (AVL, L, D/B, G), as VMX's access rights do. limit is in
 * bytes, inclusive. */
struct segment {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit;
    uint64_t base;
};
#define SEG_TYPE(a) ((a)&15u)
#define SEG_S       0x0010u
#define SEG_DPL(a)  (((a) >> 5) & 3u)
#define SEG_P       0x0080u
#define SEG_AVL     0x1000u
#define SEG_L       0x2000u
#define SEG_DB      0x4000u
#define SEG_G       0x8000u

struct dtable {
    uint64_t base;
    uint16_t limit;
};

/* c->mode: what decoding and address formation depend on. The low two bits are part of a block's
 * key. */
enum {
    MODE_CODE16 = 0,
    MODE_CODE32 = 1,
    MODE_CODE64 = 2,
    MODE_CODE_MASK = 3,
    MODE_PE = 1 << 2,   /* protected mode (VM may be set) */
    MODE_VM = 1 << 3,   /* virtual-8086 */
    MODE_LMA = 1 << 4,  /* long mode active (64-bit or compatibility) */
    MODE_USER = 1 << 5, /* CPL 3 */
    MODE_SS32 = 1 << 6, /* stack pointer is ESP (SS.B), outside 64-bit mode */
};

enum access { ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_FETCH = 2, ACCESS_KINDS = 3 };
/* Which privilege a translation is made for; selects a set of TLBs. */
enum { MMU_KERNEL, MMU_USER, MMU_KERNEL_SMAP_OFF /* SMAP on, RFLAGS.AC = 1 */, MMU_COUNT };

/* Soft TLB. tag = page of the linear address when an access may go straight to host memory; low
 * bits set send it to the slow path. host = addend + la. */
#define TLB_BITS    12
#define TLB_SIZE    (1u << TLB_BITS)
#define PAGE_MASK   (~0xfffull)
#define TLB_INVALID (~0ull)
enum { TLB_MMIO = 1, TLB_WATCH = 2 /* code on the page, dirty tracking, or data breakpoint */ };
struct tlb_entry {
    uint64_t tag;
    uintptr_t addend;
};
struct tlb_side {              /* what only the slow path needs */
    uint64_t phys;             /* page */
    struct mem_region *region; /* RAM/ROM behind it, NULL for MMIO/unassigned */
    uint64_t offset;           /* of the page in the region */
    bool global;
    bool listed[2];    /* the slot is in the list, by global */
    uint8_t page_bits; /* size of the guest's page: log2 */
};
struct tlb {
    struct tlb_entry e[TLB_SIZE];
    struct tlb_side side[TLB_SIZE];
    struct tlb_list {
        uint32_t count;
        uint16_t slots[TLB_SIZE];
    } used[2]; /* by global: what a flush has to look at; entries that are used are in theirs */
    uint64_t large_first, large_last; /* no entry outside is of a page above 4 KB */
};

/* An 80-bit x87 register: mantissa with explicit integer bit, sign and exponent. */
struct f80 {
    uint64_t frac;
    uint16_t se; /* bit 15 sign, 0-14 biased exponent */
    uint16_t pad[3];
};

union xmm {
    uint8_t u8[16];
    uint16_t u16[8];
    uint32_t u32[4];
    uint64_t u64[2];
    int8_t i8[16];
    int16_t i16[8];
    int32_t i32[4];
    int64_t i64[2];
    float f32[4];
    double f64[2];
} __attribute__((aligned(16)));

/* Why the CPU should look up from its work: bits of c->intr. */
enum {
    CPU_INTR_HARD = 1, /* INTR# or a deliverable local APIC interrupt */
    CPU_INTR_NMI = 2,
    CPU_INTR_SMI = 4,
    CPU_INTR_INIT = 8,
    CPU_INTR_SIPI = 16,
    CPU_INTR_EXIT = 32, /* leave cpu_run (timer, monitor, reset) */
};

struct block;
struct block_cache;
struct cpu_model;
struct apic;
struct machine;

struct cpu {
    /* What translated code and hot handlers touch comes first. Beside the 16 registers: REG_ZERO
     * stays 0, REG_4G 1 << 32, and REG_IP is the RIP of the running block's first byte, so that
     * RIP-relative operands are an ordinary base register (and REG_4G their index in the one case
     * in which displacement and distance overflow 31 bits). */
    uint64_t gpr[GPR_SLOTS];
    uint64_t rip;

    /* Lazy arithmetic flags, see flags.h. */
    uint64_t fl_z;   /* ZF = (fl_z == 0) */
    uint64_t fl_s;   /* SF = bit 63; PF = even parity of bits 0-7 */
    uint64_t fl_co;  /* CF = bit 63; OF = bit 63 ^ bit 62 */
    uint64_t fl_a;   /* AF = bit 4 */
    uint32_t rflags; /* all but the arithmetic bits (those are 0 here); bit 1 set */
    uint32_t mode;
    uint64_t la_mask;             /* ~0 in 64-bit mode, 0xffffffff otherwise */
    uint64_t sp_mask;             /* ~0, 0xffffffff or 0xffff */
    uint64_t cs_limit;            /* highest RIP that can be fetched; ~0 in 64-bit mode */
    uint64_t seg_base[SEG_SLOTS]; /* copies of seg[].base that address formation uses; 0 for ES..DS
                                     in 64-bit mode */
    uint8_t seg_check[SEG_SLOTS]; /* SEG_CHECK_READ/WRITE: accesses of this kind need
                                     seg_check_slow() */
    uint8_t cpl;
    uint8_t mmu_index;

    bool sse_off; /* SSE instructions fault: CR0.EM, CR0.TS or no CR4.OSFXSR */
    bool flat;    /* 32-bit code in flat segments: base 0, no limit, CS, DS, ES and SS alike */
    bool jit;     /* -accel jit: hot blocks are reported */
    bool jit_hot; /* interp_run() came back for the block at rip */
    bool jit_met; /* ... because rip is jit_back */

    volatile uint32_t intr;
    int32_t budget;  /* instructions left in this slice */
    int32_t slow;    /* what is left of the time for slow work, see cpu_run() */
    uint64_t icount; /* instructions retired up to the start of the slice's remaining budget: see
                        cpu_icount() */

    struct tlb *tlb[ACCESS_KINDS]; /* of the current mmu_index; or the always-missing one while #AC
                                      checks are on */

    union xmm xmm[16 + 1]; /* the last one: operand of translated code's slow paths */
#define XMM_SCRATCH 16
    uint32_t mxcsr;

    /* x87: physical registers; st(i) = st[(ftop + i) & 7]. MMX registers are st[i].frac. */
    struct f80 st[8];
    uint16_t fcw;
    uint16_t fsw; /* without TOP */
    uint8_t ftop;
    uint8_t ftag; /* bit i = physical register i is in use (the abridged tag word of FXSAVE) */
    uint16_t fop;
    uint64_t fip, fdp; /* offsets; with fcs/fds outside 64-bit mode */
    uint16_t fcs, fds;

    struct segment seg[6], ldtr, tr;
    struct dtable gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t dr[8];    /* 4 and 5 unused */
    uint64_t pdpte[4]; /* PAE paging outside long mode: loaded with CR3 */
    uint64_t xcr0;

    /* MSRs */
    uint64_t efer, star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, pat;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t misc_enable, mtrr_def_type, mtrr_base[8], mtrr_mask[8], mtrr_fixed[11], mcg_status,
        mcg_cap, bios_sign;
    uint64_t smbase;
    uint64_t tsc_adjust, debugctl, mce_bank[10][4];
    uint64_t amd_msr[8]; /* those that only hold a value: msr.c */
    int64_t tsc_offset;  /* guest TSC = virtual time in TSC ticks + offset */

    /* The exception being raised by the current instruction. */
    struct {
        bool pending;
        uint8_t vector;
        bool has_error;
        uint32_t error;
        uint64_t cr2; /* #PF: the linear address, goes to CR2 at delivery */
    } exc;
    int exc_delivering;      /* vector whose delivery is under way, -1 none: double-fault logic */
    bool exc_delivering_ext; /* it was an external interrupt: EXT bit */
    uint64_t dr6_pending;    /* #DB causes collected by the running instruction (DR6 bits) */
    bool step;      /* the running instruction ends with a single-step trap: see dbg_before() */
    bool shadow;    /* interrupts inhibited for one instruction (STI) */
    bool shadow_ss; /* after MOV SS/POP SS: #DB too */
    bool halted;
    bool wait_sipi;
    bool nmi_blocked;
    bool in_smm;
    bool a20;         /* physical bit 20 passes */
    bool breakpoints; /* DR7 enables an instruction breakpoint: run one instruction at a time */
    bool triple_fault;

    /* REP string instructions: how many iterations one visit may do. */
    uint32_t rep_limit;

    int index;
    struct machine *machine;
    struct mem_space *mem, *io;
    struct apic *apic; /* NULL: none */
    /* Fetches the vector of the interrupt to take (INTA cycle, PIC or local APIC); -1: none
     * (spurious). */
    int (*ack_interrupt)(void *opaque);
    void *ack_opaque;
    /* The CPU enters or leaves SMM (SMIACT#): called before its state is saved, after it was
     * restored. */
    void (*smm_changed)(void *opaque, bool in_smm);
    void *smm_opaque;
    /* IGNNE#/FERR#: x87 error with CR0.NE = 0. */
    void (*ferr)(void *opaque);
    void *ferr_opaque;

    const struct cpu_model *model;
    uint32_t features[8];    /* bit per enum cpu_feature (decode.h): what the decoder accepts */
    uint32_t cpuid_word[16]; /* CPUID feature words after -cpu: enum cpuid_word (cpuid.h) */
    char model_id[48];

    /* Cached jumps were made under one of these: mode, and a generation of mappings. Jumps to code
     * in global pages outlive a change of address space. jumped_pages: by page number, where any
     * may lead, so that INVLPG of other pages leaves them all alone. */
    uint32_t jump_context, jump_context_global;
    uint32_t tlb_gen, tlb_gen_global;
    uint64_t jumped_pages[2][64]; /* [1]: those of global pages */
    uint64_t jump_limit;          /* limit of CS that jumps are cached for, if it has one */
    uint64_t jit_back; /* where a region waits for the interpreter to return; CPU_NO_RIP: none */
#define CPU_NO_RIP 0x7fffffffffffffffull /* in no mode an address of code */
    struct block_cache *blocks;
    struct tlb tlbs[MMU_COUNT][ACCESS_KINDS];
    struct tlb tlb_never;
};

enum { SEG_CHECK_READ = 1, SEG_CHECK_WRITE = 2 };

/* How a handler left its instruction. */
enum exec {
    EXEC_NEXT = 0, /* go on with the next instruction of the block */
    EXEC_JUMP,     /* c->rip was set: branch, far transfer */
    EXEC_STOP,  /* end the block after this instruction (mode, interrupt flag, mapping ... may have
                   changed) */
    EXEC_FAULT, /* c->exc is pending; the instruction didn't happen */
    EXEC_AGAIN, /* same instruction again after a look at interrupts (REP with work left); rip stays
                 */
};

/* ---- life (cpu.c) ---- */
struct cpu *cpu_new(struct machine *m, int index, const char *model_spec,
                    struct error *err); /* "qemu64,+avx,-sse3" */
void cpu_free(struct cpu *c);
/* Power-on/RESET# (init = false) or INIT#. SDM vol. 3, table 9-1. */
void cpu_reset(struct cpu *c, bool init);
/* Runs until the budget of @max_insns is used up, the CPU halts, or CPU_INTR_EXIT is raised; with
 * c->jit also until @max_slow is: each instruction that is interpreted counts, and what takes as
 * long as several of them (a cold one about 25 ns) as so many. */
void cpu_run(struct cpu *c, int32_t max_insns, int32_t max_slow);
#define SLOW_DEVICE 16
#define SLOW_WALK   4
#define SLOW_TSC    4
/* May be called from device callbacks at any time. */
void cpu_raise_intr(struct cpu *c, uint32_t bits);
void cpu_lower_intr(struct cpu *c, uint32_t bits);
/* Retired instructions, exact at any point. */
static inline uint64_t cpu_icount(const struct cpu *c)
{
    return c->icount - (uint64_t)(int64_t)c->budget;
}
void cpu_update_mode(struct cpu *c);
/* Sets RFLAGS.AC and what depends on it. */
void cpu_set_ac(struct cpu *c, bool on);
/* Are accesses checked for alignment? Then all of them take the slow path. */
static inline bool cpu_alignment_checked(const struct cpu *c)
{
    return c->tlb[ACCESS_READ] == &c->tlb_never;
}
/* The part of it that a TLB flush needs: makes entries of the jump cache stale. */
static inline void cpu_update_jump_context(struct cpu *c)
{
    uint32_t mode = (c->mode & (MODE_CODE_MASK | MODE_PE | MODE_VM)) |
                    (cpu_alignment_checked(c) ? 3u : (uint32_t)c->mmu_index) << 4 |
                    (uint32_t)c->flat << 6;
    c->jump_context = c->tlb_gen << 8 | 0x80u | mode;
    c->jump_context_global = c->tlb_gen_global << 8 | mode;
}
/* Under what to cache a jump to the code at @la, which was just fetched from. */
uint32_t tlb_jump_context(struct cpu *c, uint64_t la);
/* The jump is cached under jump_context whatever kind of page that is. */
void tlb_jump_local(struct cpu *c, uint64_t la);
void cpu_set_a20(struct cpu *c, bool on);

/* ---- faults (exc.c) ---- */
/* Record an exception; always returns false so that callers can "return cpu_fault(...)" from bool
 * functions. */
bool cpu_fault(struct cpu *c, int vector, uint32_t error); /* with error code */
bool cpu_fault_noerr(struct cpu *c, int vector);
bool cpu_fault_page(struct cpu *c, uint64_t la, uint32_t error); /* sets CR2 when delivered */
#ifdef __clang_analyzer__                                        /* it can't see into those */
#define cpu_fault(...)       ((void)cpu_fault(__VA_ARGS__), false)
#define cpu_fault_noerr(...) ((void)cpu_fault_noerr(__VA_ARGS__), false)
#define cpu_fault_page(...)  ((void)cpu_fault_page(__VA_ARGS__), false)
#endif
/* Deliver what c->exc holds, c->rip being what to push; handles double and triple faults. */
void exc_deliver_pending(struct cpu *c);
/* INT n / INT3 / INTO / INT1 (software); c->rip = after the instruction, what to push. False: fault
 * recorded, the instruction didn't happen. INT n in vm86 mode with IOPL < 3 is #GP(0); INT3 and
 * INTO aren't sensitive to IOPL. */
enum {
    INT_EXTERNAL,
    INT_SOFTWARE,            /* INT n */
    INT_PRIVILEGED_SOFTWARE, /* INT1 */
    INT_SOFTWARE_TRAP,       /* INT3, INTO */
};
bool exc_interrupt(struct cpu *c, int vector, int kind);
/* Takes what c->intr holds at an instruction boundary; returns true if it changed the flow. */
bool exc_take_interrupt(struct cpu *c);

/* ---- segmentation and far transfers (seg.c, far.c, task.c) ---- */
bool seg_load(struct cpu *c, int seg, uint16_t sel);           /* MOV/POP Sreg, with all checks */
void seg_load_real(struct cpu *c, int seg, uint16_t sel);      /* real and vm86 mode */
void seg_set(struct cpu *c, int seg, const struct segment *s); /* raw, updates derived state */
bool far_jump(struct cpu *c, uint16_t sel, uint64_t off, int osz, uint64_t next_rip);
bool far_call(struct cpu *c, uint16_t sel, uint64_t off, int osz, uint64_t next_rip);
bool far_ret(struct cpu *c, int osz, uint16_t pop_bytes);
bool far_iret(struct cpu *c, int osz); /* c->rip = after the instruction (a task switch saves it) */
enum task_switch { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
bool task_switch(struct cpu *c, uint16_t sel, enum task_switch how, uint64_t next_rip,
                 bool has_error, uint32_t error);
void seg_update(struct cpu *c,
                int seg); /* seg_base and seg_check from seg[] and c->mode; for cpu_update_mode() */
/* c->flat, after any of them changed. */
void seg_update_flat(struct cpu *c);
/* Full check of an access of @size bytes at offset @ea of segment @seg; on success stores the
 * linear address. */
bool seg_check_slow(struct cpu *c, int seg, uint64_t ea, unsigned size, enum access a,
                    uint64_t *la);
/* I/O permission: CPL <= IOPL or the TSS bitmap; #GP(0) otherwise. */
bool io_allowed(struct cpu *c, uint16_t port, unsigned size);

/* ---- system registers (sysreg.c, msr.c, cpuid.c) ---- */
bool cpu_write_cr(struct cpu *c, int n, uint64_t v); /* with checks: #GP, #UD */
bool cpu_read_cr(struct cpu *c, int n, uint64_t *v);
bool cpu_write_dr(struct cpu *c, int n, uint64_t v);
bool cpu_read_dr(struct cpu *c, int n, uint64_t *v);
bool cpu_rdmsr(struct cpu *c, uint32_t n, uint64_t *v); /* false: #GP recorded */
bool cpu_wrmsr(struct cpu *c, uint32_t n, uint64_t v);
void cpu_cpuid(struct cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4]); /* eax ebx ecx edx */
#define CPU_TSC_HZ 1000000000ull /* TSC ticks of virtual time */
uint64_t cpu_tsc(struct cpu *c);
/* The rest of what changing CR0, CR4, EFER directly (RSM, reset, snapshot) has to do: mode, TLB. */
void cpu_sysreg_changed(struct cpu *c);

/* ---- debug registers and single-step (dbgreg.c) ----
 * While cpu_debugging() the interpreter runs one instruction at a time:
 *     if (!dbg_before(c)) deliver; else { run it; if (it completed && !dbg_after(c)) deliver; }
 * with c->rip current at both calls. dbg_before() takes care of instruction breakpoints and RF. */
static inline bool cpu_debugging(const struct cpu *c)
{
    return unlikely(c->breakpoints || (c->rflags & (FL_TF | FL_RF)) || c->dr6_pending);
}
bool dbg_before(struct cpu *c); /* false: #DB fault recorded */
bool dbg_after(struct cpu *c);  /* false: #DB trap recorded */
/* Must accesses to the page of @la of this kind take the slow path? For tlb.c when it fills an
 * entry. */
bool dbg_page_watched(const struct cpu *c, uint64_t la, enum access a);
/* Called by slow paths and by IN/OUT: notes data (I/O) breakpoints that an access hits; the trap
 * comes later. */
void dbg_check_data(struct cpu *c, uint64_t la, unsigned size, enum access a);
void dbg_check_io(struct cpu *c, uint16_t port, unsigned size);
/* A #DB is being delivered: moves its causes to DR6; may set RF in the @flags image. */
void dbg_deliver(struct cpu *c, uint32_t *flags);
void dbg_update(struct cpu *c); /* after DR7 or CR4.DE changed */

/* ---- paging (mmu.c) ---- */
struct mmu_result {
    uint64_t phys; /* of the byte asked for */
    bool global;
    bool writable;     /* a later write at this privilege needs no new walk (and D is set) */
    uint8_t page_bits; /* 12, 21, 22 or 30: INVLPG of any address in it drops the whole page */
};
/* Walks the page tables for @mmu_index (sets A and D as the access requires). False: #PF recorded
 * in c->exc, or with
 * @probe only reported (no exception, no A/D). SDM vol. 3, chapter 4. */
bool mmu_walk(struct cpu *c, uint64_t la, enum access a, int mmu_index, bool probe,
              struct mmu_result *r);

/* Loads c->pdpte[] for PAE paging from @cr3. False: #GP(0) recorded, nothing loaded. */
bool mmu_load_pdptes(struct cpu *c, uint64_t cr3);
/* Linear addresses: bits 63-47 equal. */
static inline bool cpu_canonical(uint64_t la)
{
    return (uint64_t)((int64_t)(la << 16) >> 16) == la;
}

/* ---- system management mode (smm.c) ---- */
void smm_enter(struct cpu *c);
bool smm_leave(struct cpu *c); /* RSM; false: fault recorded */

/* ---- TLB (tlb.c) ---- */
void tlb_init_all(struct cpu *c);
void tlb_flush(struct cpu *c, bool globals);
void tlb_flush_page(struct cpu *c, uint64_t la);
/* Cached jumps become stale: something that they depend on and jump_context doesn't tell changed.
 */
void tlb_new_generation(struct cpu *c);
/* Host address of the code byte at linear address @la if it can be fetched without a fault and is
 * in RAM or ROM; 0 otherwise. Changes nothing. */
uintptr_t tlb_probe_code(struct cpu *c, uint64_t la);
/* Would a write of @size bytes at @la go to a page with code, or isn't that known yet? */
bool tlb_write_watched(struct cpu *c, uint64_t la, unsigned size);
/* After mem_probe_write: would it change code of the translated region that runs? */
bool tlb_write_hits_running(struct cpu *c, uint64_t la, unsigned size);
/* Linear to physical without side effects (monitor, debugger). */
bool cpu_probe_phys(struct cpu *c, uint64_t la, uint64_t *phys);

/* Text of all registers in the format of QEMU's "info registers"; at most @len bytes. */
size_t cpu_dump(struct cpu *c, char *buf, size_t len);

#endif
