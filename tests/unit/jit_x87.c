/*
 * The JIT's simple cases of x87 instructions (x87_fast.c) against the interpreter's handlers: where
 * one says that it did the instruction, registers, status, control and tags and what is stored must
 * be the same, bit for bit; where not, nothing may have changed.
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

/* What an x87 instruction may change, but for FIP and FDP. */
struct state {
    struct f80 st[8];
    uint16_t fcw, fsw, fop, fcs;
    uint8_t ftop, ftag;
};

static struct state look(void)
{
    struct state s;
    memset(&s, 0, sizeof s);
    for (unsigned k = 0; k < 8; k++) {
        s.st[k].frac = cpu->st[k].frac;
        s.st[k].se = cpu->st[k].se;
    }
    s.fcw = cpu->fcw;
    s.fsw = cpu->fsw;
    s.fop = cpu->fop;
    s.fcs = cpu->fcs;
    s.ftop = cpu->ftop;
    s.ftag = cpu->ftag;
    return s;
}

static void put_back(const struct state *s)
{
    memcpy(cpu->st, s->st, sizeof cpu->st);
    cpu->fcw = s->fcw;
    cpu->fsw = s->fsw;
    cpu->fop = s->fop;
    cpu->fcs = s->fcs;
    cpu->ftop = s->ftop;
    cpu->ftag = s->ftag;
}

static void random_state(void)
{
    for (unsigned k = 0; k < 8; k++) {
        cpu->st[k] = corpus_f80();
        if (rnd() & 1) /* of a size that goes well with the others */
            cpu->st[k] = f80_make(rnd() & 1, 16383 + (unsigned)rnd_below(140) - 70,
                                  rnd() << rnd_below(60) | 1ull << 63);
    }
    cpu->ftop = rnd() & 7;
    cpu->ftag = rnd() & 3 ? 0x7f << cpu->ftop | 0x7f >> (8 - cpu->ftop) : (uint8_t)rnd();
    cpu->fcw =
        (uint16_t)(0x37f ^ (rnd() & 1 ? rnd() & 0x300 : 0) ^ (rnd() & 7 ? 0 : rnd() & 0xc3f));
    cpu->fsw = (uint16_t)(rnd() & 0x473f);
    x87_set_fcw(cpu, cpu->fcw); /* ES follows */
    cpu->fop = (uint16_t)(rnd() & 0x7ff);
}

typedef uint32_t fast_fn(uint64_t v, uint32_t fop);

static unsigned done, simple;

static void check(fast_fn *fn, uint8_t byte, uint8_t modrm, unsigned size)
{
    uint8_t bytes[2] = { byte, modrm };
    struct insn insn;
    CHECK_EQ(decode(&insn, bytes, 2, MODE_CODE64, true, NULL, 0), 2);
    uint32_t fop = (byte & 7u) << 8 | modrm;
    for (unsigned n = 0; n < 6000 && !test_failures; n++) {
        uint64_t v = 0, stored = 0;
        random_state();
        corpus_memory(memory, size ? size : 10);
        if (size == 8 && (rnd() & 1)) /* a double near 1 */
            v = (rnd() & 0x800fffffffffffff) | (0x3ffull + rnd_below(140) - 70) << 52;
        else
            memcpy(&v, memory, size);
        memcpy(memory, &v, 8);
        struct state before = look();
        bool ok = fn(v, fop);
        struct state fast = look();
        memcpy(&stored, jit_shared.scratch, 8);
        done++;
        simple += ok;
        if (!ok) {
            CHECK(!memcmp(&before, &fast, sizeof fast));
            continue;
        }
        put_back(&before);
        cpu->gpr[RDI] = (uintptr_t)memory;
        CHECK_EQ(insn.fn(cpu, &insn), EXEC_NEXT);
        struct state slow = look();
        CHECK(!memcmp(&slow, &fast, sizeof fast));
        if (fn == jit_x87_store)
            CHECK(!memcmp(memory, &stored, size));
        if (test_failures)
            printf("%s %02x %02x, fcw %x, case %u\n", insn_opcode(&insn)->name, byte, modrm,
                   before.fcw, n);
    }
}

static void arithmetic(void)
{
    static const struct {
        uint8_t reg;
        fast_fn *fn;
    } ops[] = { { 0, jit_x87_add }, { 1, jit_x87_mul }, { 4, jit_x87_add },
                { 5, jit_x87_add }, { 6, jit_x87_div }, { 7, jit_x87_div } };
    for (unsigned k = 0; k < sizeof ops / sizeof ops[0]; k++) {
        uint8_t reg = (uint8_t)(ops[k].reg << 3);
        for (unsigned sti = 0; sti < 8; sti++) {
            check(ops[k].fn, 0xd8, (uint8_t)(0xc0 | reg | sti), 0);
            check(ops[k].fn, 0xdc, (uint8_t)(0xc0 | reg | sti), 0);
            check(ops[k].fn, 0xde, (uint8_t)(0xc0 | reg | sti), 0);
        }
        check(ops[k].fn, 0xd8, reg | 7, 4);
        check(ops[k].fn, 0xdc, reg | 7, 8);
        check(ops[k].fn, 0xda, reg | 7, 4);
        check(ops[k].fn, 0xde, reg | 7, 2);
    }
}

static void moves(void)
{
    check(jit_x87_load, 0xd9, 0x07, 4);
    check(jit_x87_load, 0xdd, 0x07, 8);
    check(jit_x87_load, 0xdb, 0x07, 4);
    check(jit_x87_load, 0xdf, 0x07, 2);
    check(jit_x87_load, 0xdf, 0x2f, 8);
    check(jit_x87_store, 0xd9, 0x17, 4);
    check(jit_x87_store, 0xd9, 0x1f, 4);
    check(jit_x87_store, 0xdd, 0x17, 8);
    check(jit_x87_store, 0xdd, 0x1f, 8);
    for (unsigned sti = 0; sti < 8; sti++) {
        check(jit_x87_move, 0xd9, (uint8_t)(0xc0 | sti), 0);
        check(jit_x87_move, 0xd9, (uint8_t)(0xc8 | sti), 0);
        check(jit_x87_move, 0xdd, (uint8_t)(0xd0 | sti), 0);
        check(jit_x87_move, 0xdd, (uint8_t)(0xd8 | sti), 0);
    }
    check(jit_x87_move, 0xd9, 0xe0, 0);
    check(jit_x87_move, 0xd9, 0xe1, 0);
    check(jit_x87_move, 0xd9, 0xe8, 0);
    check(jit_x87_move, 0xd9, 0xee, 0);
}

static void most_are_simple(void)
{
    CHECK(simple > done / 3);
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
    RUN(most_are_simple);
    free(cpu);
    return test_done();
}
