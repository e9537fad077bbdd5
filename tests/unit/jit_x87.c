/*
 * What translated x87 instructions call (x87_fast.c) against the interpreter's handlers: with all
 * exceptions masked and registers in use, result and bits of the status word must be the same, bit
 * for bit, for all operands, precisions and roundings.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/mem.h"
#include "cpu/x87.h"
#include "fp_corpus.h"
#include "jit-wasm/jit.h"
#include "test.h"

static struct cpu *cpu;
static uint8_t page[8192];
static uint8_t *memory;

static struct f80 random_number(void)
{
    if (rnd() & 1)
        return corpus_f80();
    /* of a size that goes well with the others */
    return f80_make(rnd() & 1, 16383 + (unsigned)rnd_below(140) - 70,
                    rnd() << rnd_below(60) | 1ull << 63);
}

/* Runs the handler of @byte @modrm and the function for @what (@format: of the operand in memory,
 * X87_F80 if there is none). @size: bytes that it stores, 0: the result goes to ST(@to). */
static void check(uint8_t byte, uint8_t modrm, unsigned what, enum x87_format format, unsigned size,
                  unsigned to)
{
    uint8_t bytes[2] = { byte, modrm };
    struct insn insn;
    CHECK_EQ(decode(&insn, bytes, 2, MODE_CODE64, true, NULL, 0), 2);
    for (unsigned n = 0; n < 6000 && !test_failures; n++) {
        for (unsigned k = 0; k < 8; k++)
            cpu->st[k] = random_number();
        cpu->ftop = rnd() & 7;
        bool pushes = what == X87_LOAD || what == X87_CONST;
        cpu->ftag = pushes ? 0 : 0xff;
        cpu->fcw = (uint16_t)(0x37f ^ ((rnd() & 1) ? rnd() & 0xf00 : 0));
        cpu->fsw = 0;
        struct f80 a = *x87_st(cpu, 0), b = *x87_st(cpu, 1);
        uint64_t v = b.frac;
        if (format != X87_F80) {
            v = 0;
            corpus_memory(memory, format == X87_F32 ? 4 : 8);
            if (format == X87_F64 && (rnd() & 1)) /* a double near 1 */
                v = (rnd() & 0x800fffffffffffff) | (0x3ffull + rnd_below(140) - 70) << 52;
            else
                memcpy(&v, memory, format == X87_F32 ? 4 : 8);
            memcpy(memory, &v, 8);
            b.se = 0;
        }
        uint32_t got = jit_x87_op(what == X87_CONST ? modrm & 7u : a.frac, v,
                                  a.se | (uint32_t)b.se << 16, what | (unsigned)format << 8);
        uint64_t word, stored = 0;
        memcpy(&word, jit_shared.scratch, 8);
        cpu->gpr[RDI] = (uintptr_t)memory;
        CHECK_EQ(insn.fn(cpu, &insn), EXEC_NEXT);
        CHECK_EQ(got >> 16, cpu->fsw);
        if (size) {
            memcpy(&stored, memory, size);
            if (size < 8)
                word &= (1ull << size * 8) - 1;
            CHECK_EQ(word, stored);
        } else if (what != X87_COM && what != X87_UCOM && what != X87_TST) {
            CHECK_EQ(word, x87_st(cpu, to)->frac);
            CHECK_EQ(got & 0xffff, x87_st(cpu, to)->se);
        }
        if (test_failures)
            printf("%s %02x %02x, fcw %x, case %u\n", insn_opcode(&insn)->name, byte, modrm,
                   cpu->fcw, n);
    }
}

static void arithmetic(void)
{
    static const uint8_t ops[] = { X87_ADD, X87_MUL,  X87_COM, X87_COM,
                                   X87_SUB, X87_SUBR, X87_DIV, X87_DIVR };
    for (unsigned reg = 0; reg < 8; reg++) {
        if (reg == 3)
            continue;
        uint8_t modrm = (uint8_t)(reg << 3);
        check(0xd8, 0xc1 | modrm, ops[reg], X87_F80, 0, 0);
        if (reg != 2)
            check(0xdc, 0xc1 | modrm, ops[reg], X87_F80, 0, 1);
        check(0xd8, 7 | modrm, ops[reg], X87_F32, 0, 0);
        check(0xdc, 7 | modrm, ops[reg], X87_F64, 0, 0);
    }
    check(0xdd, 0xe1, X87_UCOM, X87_F80, 0, 0);
    check(0xd9, 0xe4, X87_TST, X87_F80, 0, 0);
    check(0xd9, 0xfa, X87_SQRT, X87_F80, 0, 0);
    check(0xd9, 0xfc, X87_RNDINT, X87_F80, 0, 0);
}

static void moves(void)
{
    check(0xd9, 0x07, X87_LOAD, X87_F32, 0, 0);
    check(0xdd, 0x07, X87_LOAD, X87_F64, 0, 0);
    for (unsigned n = 0; n < 7; n++)
        check(0xd9, (uint8_t)(0xe8 + n), X87_CONST, X87_F80, 0, 0);
    check(0xd9, 0x17, X87_STORE | X87_F32 << 8, X87_F80, 4, 0);
    check(0xdd, 0x17, X87_STORE | X87_F64 << 8, X87_F80, 8, 0);
    check(0xdf, 0x17, X87_TO_INT | 1 << 8, X87_F80, 2, 0);
    check(0xdb, 0x17, X87_TO_INT | 2 << 8, X87_F80, 4, 0);
    check(0xdf, 0x3f, X87_TO_INT | 3 << 8, X87_F80, 8, 0);
    check(0xdf, 0x0f, X87_TRUNCATE | 1 << 8, X87_F80, 2, 0);
    check(0xdb, 0x0f, X87_TRUNCATE | 2 << 8, X87_F80, 4, 0);
    check(0xdd, 0x0f, X87_TRUNCATE | 3 << 8, X87_F80, 8, 0);
}

int main(void)
{
    cpu = calloc(1, sizeof *cpu);
    if (!cpu)
        return 1;
    rnd_seed(1);
    decode_init();
    jit_cpu = cpu;
    memory = page + (4096 - (uintptr_t)page % 4096) % 4096;
    cpu->la_mask = ~0ull;
    cpu->cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_MP;
    cpu->mode = MODE_CODE64 | MODE_PE | MODE_LMA;
    for (int a = 0; a < ACCESS_KINDS; a++) {
        cpu->tlb[a] = &cpu->tlbs[0][a];
        memset(cpu->tlb[a]->e, 0xff, sizeof cpu->tlb[a]->e);
        tlb_slot(cpu->tlb[a], (uintptr_t)memory)->tag = (uintptr_t)memory;
        tlb_slot(cpu->tlb[a], (uintptr_t)memory)->addend = 0;
    }
    RUN(arithmetic);
    RUN(moves);
    free(cpu);
    return test_done();
}
