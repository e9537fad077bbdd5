/* Emission of single instructions into a program's list of items. */
#ifndef SLIPWAY_JIT_ASM_H
#define SLIPWAY_JIT_ASM_H

#include "program.h"

enum { NO_REG = -1, NO_LABEL = -1 };
enum { SZ8, SZ16, SZ32, SZ64 };
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G
};

/* A memory operand. In 16-bit programs: base BX, BP, SI or DI, or none; with addr32 any. */
struct mem {
    int base, index;
    unsigned scale; /* log2 */
    int32_t disp;
    int label;   /* address of a label instead of base and index; disp is added */
    uint8_t seg; /* prefix byte or 0 */
    bool addr32; /* the other address size of the mode (67) */
};
#define MEM_NONE ((struct mem){ .base = NO_REG, .index = NO_REG, .label = NO_LABEL })

struct gen {
    struct program *p;
    uint64_t rng;
    unsigned bits;
    bool no_step;
    uint32_t pool;        /* registers that random instructions may change */
    int base;             /* register that holds DATA, NO_REG in 16-bit programs */
    unsigned weights[4];  /* of integer, SSE, MMX, x87 instructions */
    bool plain_flags;     /* no undefined flags now, also not for a moment (single-step) */
    bool no_faults;       /* nothing that may fault */
    int counter_reg;      /* loop counter in scope: a register ... */
    int32_t counter_slot; /* ... or an offset in DATA; -1 none */
    unsigned depth, next_slot;
    bool overflow;
};

uint64_t rnd(struct gen *g);
unsigned below(struct gen *g, unsigned n);
bool chance(struct gen *g, unsigned one_in);
uint64_t interesting(struct gen *g);

int new_label(struct gen *g);
void put_label(struct gen *g, int label);
void put_jump(struct gen *g, unsigned kind, int label);
void put_seek(struct gen *g, unsigned log2_size, unsigned offset);
void put_data(struct gen *g, const void *bytes, unsigned n);
void put_data_address(struct gen *g, int label); /* pointer-sized: 8, 4 or 2 bytes */
struct item *put_bytes(struct gen *g, const uint8_t *bytes, unsigned n);

/* The general form. @opcode: up to 4 bytes, first one in the highest used byte, without prefixes.
 * @prefix: 0, 0x66, 0xf2, 0xf3, mandatory or repeat; 0xf0 may be or-ed in at bit 8 (lock). @reg:
 * ModRM.reg. @rm: register, or NO_REG for @m. Byte registers: 0-15, 16-19 are AH, CH, DH, BH. */
#define LOCK_PREFIX 0x100
struct item *put_op(struct gen *g, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm,
                    const struct mem *m, uint64_t imm, unsigned imm_bytes);
unsigned encode_memory(struct gen *g, uint8_t *b, unsigned n, unsigned reg, const struct mem *m,
                       struct fix *fix);

void put_alu_rr(struct gen *g, unsigned op, unsigned size, int dst, int src);
void put_alu_ri(struct gen *g, unsigned op, unsigned size, int dst, int32_t imm);
void put_alu_mi(struct gen *g, unsigned op, unsigned size, struct mem m, int32_t imm);
void put_mov_ri(struct gen *g, unsigned size, int dst, uint64_t imm);
void put_mov_rr(struct gen *g, unsigned size, int dst, int src);
void put_load(struct gen *g, unsigned size, int dst, struct mem m);
void put_store(struct gen *g, unsigned size, struct mem m, int src);
void put_store_imm(struct gen *g, unsigned size, struct mem m, int32_t imm);
void put_lea(struct gen *g, unsigned size, int dst, struct mem m);
void put_movzx8(struct gen *g, int dst, int src);
void put_push(struct gen *g, int r);
void put_pop(struct gen *g, int r);
void put_ret(struct gen *g);
void put_1(struct gen *g, unsigned byte);
void put_2(struct gen *g, unsigned a, unsigned b);

unsigned word_size(const struct gen *g);           /* SZ64, SZ32, SZ16 of the mode */
struct mem at_data(struct gen *g, int32_t offset); /* [DATA + offset], in a form of the mode */
struct mem at_label(struct gen *g, int label, int32_t add);

/* ---- random instructions from the decoder's tables (rows.c) ---- */
void rows_init(void);
/* One random instruction, and what it needs before and after it. */
void put_random(struct gen *g);
void put_run(struct gen *g, unsigned n);
/* A random memory operand in the data area for @bytes bytes. May put instructions. */
struct mem random_memory(struct gen *g, unsigned bytes, bool aligned);
int random_reg(struct gen *g); /* of the pool */
/* x87 instructions that make sense one after the other (x87.c). */
void put_x87_code(struct gen *g);

#endif
