/*
 * The decoder: bytes to struct insn, driven by one table that interpreter, JIT, disassembler and
 * fuzzer share.
 *
 * An opcode row (struct opcode) says how an instruction is encoded and what it does: opcode map and
 * byte, mandatory prefix, ModRM constraints, operands in the SDM's notation (vol. 2, appendix A: Ev
 * = r/m of operand size, Gb = byte register of ModRM.reg, Vx = xmm of reg, Wx = xmm or m128 ...),
 * the handler that executes it, the arithmetic flags that it reads, writes and leaves undefined,
 * and the CPUID feature without which it is #UD. Rows for one opcode byte are tried in table order;
 * the first whose constraints hold wins. Each group of instructions has its table and its handlers:
 * ops_int*.c, ops_sys.c, ops_x87.c, ops_sse*.c. A byte string that no row accepts decodes to #UD.
 *
 * A struct insn is 32 bytes on 64-bit hosts (28 in wasm), all that execution needs: operands
 * reduced to register numbers, the effective address to base + (index << scale) + disp, truncated
 * to the address size by a pair of shifts. Absent base and index are REG_ZERO; RIP-relative uses
 * REG_IP with the distance from the start of the block folded into disp.
 */
#ifndef SLIPWAY_DECODE_H
#define SLIPWAY_DECODE_H

#include "cpu/cpu.h"

struct insn;
/* Executes one instruction. See enum exec for what it may return; on EXEC_NEXT, EXEC_STOP and
 * EXEC_FAULT the caller sets rip. */
typedef enum exec insn_fn(struct cpu *c, const struct insn *i);

enum {
    INSN_MEM = 1, /* the r/m operand is in memory */
    INSN_LOCK = 2,
    INSN_REP = 4,     /* F3 present, as a repeat prefix (not mandatory) */
    INSN_REPNE = 8,   /* F2 */
    INSN_REX = 16,    /* a REX prefix is in force */
    INSN_OPSIZE = 32, /* 66 present */
    INSN_CODE64 = 64, /* decoded for 64-bit mode */
};

struct insn {
    uint16_t h;  /* number in the interpreter's switch; 0: call fn */
    uint16_t op; /* row: opcode_rows[op] */
    uint8_t off; /* of its first byte in the block */
    uint8_t len;
    uint8_t osz; /* operand size: log2 of bytes, 0-3 */
    uint8_t ash; /* 64 - address bits: 0, 32 or 48 */
    uint8_t
        r; /* ModRM.reg operand. General registers: number, or for byte operands the offset in gpr[]
            * viewed as bytes (so AH is 1). Segment, control, debug, xmm, mm registers: number. */
    uint8_t rm; /* the same for ModRM.rm when it is a register (not INSN_MEM), or opcode bits 0-2 */
    uint8_t base, index, scale;
    uint8_t seg;   /* of the memory operand; SEG_NONE: base 0 */
    uint8_t flags; /* INSN_* */
    union {
        uint8_t modrm; /* the raw byte */
        uint8_t cc;    /* OP_CC rows: the condition code, opcode bits 0-3 */
    };
    insn_fn *fn;
    union {
        struct {
            int32_t disp;
            int32_t imm; /* immediate, sign-extended as the instruction has it; branch displacement;
                            ENTER: imm16 | imm8 << 16; far pointer: selector (offset in disp) */
        };
        uint64_t imm64; /* MOV r64,imm64 and moffs (the address, zero-extended) */
    };
};

/* Operands, SDM vol. 2 appendix A.2 names. */
enum operand {
    OPD_NONE,
    OPD_Eb,
    OPD_Ew,
    OPD_Ed,
    OPD_Eq,
    OPD_Ev,
    OPD_Ey, /* y: 64 bits when osz is 3, else 32 */
    OPD_Gb,
    OPD_Gw,
    OPD_Gd,
    OPD_Gq,
    OPD_Gv,
    OPD_Gy,
    OPD_M,
    OPD_Mb,
    OPD_Mw,
    OPD_Md,
    OPD_Mq,
    OPD_Mx,
    OPD_Mp,
    OPD_Ms,
    OPD_Mt /* f80 */,
    OPD_Mfx /* 512 bytes */,
    OPD_Rv,
    OPD_Ry, /* register only */
    OPD_Zb,
    OPD_Zv, /* register from opcode bits 0-2 */
    OPD_Ib,
    OPD_Ibs /* sign-extended to operand size */,
    OPD_Iw,
    OPD_Iz,
    OPD_Iv,
    OPD_Ibw /* ENTER */,
    OPD_I1,
    OPD_Jb,
    OPD_Jz,
    OPD_Ap,
    OPD_Ob,
    OPD_Ov,
    OPD_Sw,
    OPD_Cy,
    OPD_Dy,
    OPD_AL,
    OPD_rAX,
    OPD_eAX,
    OPD_CL,
    OPD_DX,
    OPD_Xb,
    OPD_Xv,
    OPD_Yb,
    OPD_Yv,
    OPD_Pq,
    OPD_Qq,
    OPD_Qd,
    OPD_Nq, /* mm; mm/m64; mm/m32; mm register only */
    OPD_Vx,
    OPD_Wx,
    OPD_Ux, /* xmm; xmm/m128 (aligned by the instruction's own rule); xmm register only */
    OPD_Wb,
    OPD_Ww,
    OPD_Wd,
    OPD_Wq, /* xmm or m8/m16/m32/m64 */
    OPD_ST0,
    OPD_STi,
    OPD_Ew_Rv, /* r/m16 in memory, full operand-size register (MOV r/m,Sreg; SMSW; SLDT; STR) */
    OPD_Rd_Mb,
    OPD_Rd_Mw, /* PEXTRB/W, PINSRB/W */
};

enum opcode_map { MAP_1B, MAP_0F, MAP_0F38, MAP_0F3A, MAP_COUNT };
enum opcode_prefix { PFX_ANY, PFX_NP, PFX_66, PFX_F3, PFX_F2, PFX_66F2 /* both (CRC32) */ };
#define R_ANY 8 /* any ModRM.reg (or rm) */
enum opcode_mod { MOD_ANY, MOD_MEM, MOD_REG };

enum opcode_flags {
    OP_BYTE = 1 << 0,  /* operand size is 8 bits */
    OP_DEF64 = 1 << 1, /* operand size defaults to 64 in 64-bit mode (push, pop, near branches); 66
                          gives 16 */
    OP_FORCE64 = 1 << 2,   /* always 64 in 64-bit mode (near branches on Intel, MOV CRn) */
    OP_NO64 = 1 << 3,      /* #UD in 64-bit mode */
    OP_ONLY64 = 1 << 4,    /* exists only in 64-bit mode */
    OP_LOCK = 1 << 5,      /* LOCK is legal with a memory destination; elsewhere LOCK is #UD */
    OP_END = 1 << 6,       /* always ends a block */
    OP_BRANCH = 1 << 7,    /* direct relative branch (conditional unless OP_END is set too) */
    OP_REP = 1 << 8,       /* F3/F2 are repeat prefixes */
    OP_SIZED = 1 << 9,     /* fn is an array of 4, by osz */
    OP_SIZED_RM = 1 << 10, /* fn is an array of 8: [osz * 2 + is memory] */
    OP_MODRM = 1 << 11,    /* has ModRM though no operand says so */
    OP_PRIV = 1 << 12,     /* CPL 0 only (documentation and fuzzer; the handler checks) */
    OP_NOFUZZ =
        1 << 13, /* the host-CPU fuzzer can't run it (privileged, control flow, time, I/O) */
    OP_READ_DST = 1 << 14,  /* first operand is read too (documentation, JIT liveness) */
    OP_PROT = 1 << 15,      /* #UD in real and vm86 mode (SLDT, LAR, ARPL ...) */
    OP_W0 = 1 << 16,        /* only without REX.W */
    OP_W1 = 1 << 17,        /* only with REX.W */
    OP_OPSIZE66 = 1 << 20,  /* the mandatory 66 is the operand size too (MOVBE) */
    OP_NO_REX_B = 1 << 21,  /* only without REX.B (PAUSE) */
    OP_CC = 1 << 19,        /* insn.cc holds the condition instead of ModRM */
    OP_MAX32 = 1 << 22,     /* 32 bits with REX.W (port I/O) */
    OP_NO_OPSIZE = 1 << 18, /* operand size 32 whatever 66 says (Gd,Ed forms) */
};

/* CPUID features an instruction may need; cpuid.c maps them to bits. FEAT_NONE: always there. */
enum cpu_feature {
    FEAT_NONE,
    FEAT_FPU,
    FEAT_CX8,
    FEAT_CMOV,
    FEAT_SEP,
    FEAT_SYSCALL,
    FEAT_MMX,
    FEAT_FXSR,
    FEAT_SSE,
    FEAT_SSE2,
    FEAT_SSE3,
    FEAT_SSSE3,
    FEAT_SSE41,
    FEAT_SSE42,
    FEAT_POPCNT,
    FEAT_CX16,
    FEAT_LAHF64,
    FEAT_RDTSCP,
    FEAT_MOVBE,
    FEAT_XSAVE,
    FEAT_FSGSBASE,
    FEAT_INVPCID,
    FEAT_SMAP,
    FEAT_CLFLUSH,
    FEAT_MONITOR,
    FEAT_RDRAND,
    FEAT_RDSEED,
    FEAT_PREFETCHW,
    FEAT_ADX,
    FEAT_BMI1,
    FEAT_XSAVEOPT,
    FEAT_RDPID,
    FEAT_COUNT
};

struct opcode {
    const char *name; /* Intel mnemonic, lower case */
    uint8_t map, byte;
    uint8_t prefix; /* enum opcode_prefix; anything but PFX_ANY makes 66/F2/F3 part of the opcode */
    uint8_t reg, rm, mod; /* constraints on ModRM: R_ANY or a value (rm only with MOD_REG) */
    uint8_t operands[4];  /* destination first */
    uint8_t feature;      /* enum cpu_feature */
    uint8_t fl_read, fl_write,
        fl_undef;   /* FLB_* of the arithmetic flags; undef is not part of write */
    uint32_t flags; /* enum opcode_flags */
    union {
        insn_fn *fn;
        insn_fn *const *fns; /* OP_SIZED, OP_SIZED_RM */
    };
    uint16_t hot; /* first number in the interpreter's switch, 0 = none; indexed like fns */
};

/* The arithmetic flags in one byte. */
enum { FLB_C = 1, FLB_P = 2, FLB_A = 4, FLB_Z = 8, FLB_S = 16, FLB_O = 32, FLB_ALL = 63 };

struct opcode_table {
    const struct opcode *rows;
    size_t count;
};
/* One per ops_*.c file; listed in decode.c. */
extern const struct opcode_table opcodes_int, opcodes_arith, opcodes_string, opcodes_flow,
    opcodes_sys, opcodes_x87, opcodes_sse, opcodes_sse4, opcodes_ssefp, opcodes_fxsave;

/* All rows, in order of the tables: insn.op indexes it. */
extern const struct opcode **opcode_rows;
extern size_t opcode_row_count;

void decode_init(void); /* builds the indexes; idempotent */

/*
 * Decodes one instruction from @bytes (@avail of them, at most 15 are looked at) for code of
 * @code_mode (MODE_CODE16/32/64). Returns its length; 0: more bytes are needed than @avail (< 15).
 * Invalid encodings give insn.fn = op_ud with the length that hardware would fetch; more than 15
 * bytes give op_gp_length.
 * @prot: protected mode without VM (OP_PROT rows). @features: the CPU's, NULL = all.
 * block_off goes to insn.off and into RIP-relative displacements.
 */
unsigned decode(struct insn *out, const uint8_t *bytes, unsigned avail, unsigned code_mode,
                bool prot, const uint32_t *features, unsigned block_off);

/* Intel syntax, for -d in_asm, x/i and tests. Returns the length. */
unsigned disasm(char *text, size_t size, const uint8_t *bytes, unsigned avail, unsigned code_mode,
                uint64_t rip);

static inline bool cpu_has(const uint32_t *features, unsigned f)
{
    return f == FEAT_NONE || !features || (features[f >> 5] >> (f & 31) & 1);
}

static inline const struct opcode *insn_opcode(const struct insn *i)
{
    return opcode_rows[i->op];
}

/* ---- what handlers use ---- */

/* RIP of this instruction, of the next one (truncated to the code size). */
static inline uint64_t cpu_insn_rip(const struct cpu *c, const struct insn *i)
{
    return (c->gpr[REG_IP] + i->off) & c->la_mask;
}
static inline uint64_t cpu_next_rip(const struct cpu *c, const struct insn *i)
{
    return (c->gpr[REG_IP] + i->off + i->len) & c->la_mask;
}

static force_inline uint64_t insn_ea(const struct cpu *c, const struct insn *i)
{
    uint64_t ea = c->gpr[i->base] + (c->gpr[i->index] << i->scale) + (uint64_t)(int64_t)i->disp;
    return ea << i->ash >> i->ash;
}

static inline uint8_t *reg8(struct cpu *c, unsigned byte_index)
{
    return (uint8_t *)c->gpr + byte_index;
}

enum exec op_ud(struct cpu *c, const struct insn *i);        /* #UD */
enum exec op_gp_length(struct cpu *c, const struct insn *i); /* #GP(0): longer than 15 bytes */

/* EXEC_FAULT with the exception recorded. */
static inline enum exec fault(struct cpu *c, int vector, uint32_t error)
{
    cpu_fault(c, vector, error);
    return EXEC_FAULT;
}
static inline enum exec fault_noerr(struct cpu *c, int vector)
{
    cpu_fault_noerr(c, vector);
    return EXEC_FAULT;
}

#endif
