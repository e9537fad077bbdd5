/*
 * Discovery of regions: a small program in real mode is run by the interpreter, then looked at as
 * region.c, live.c and flow.c see it. A call, a loop, a way back to the entry, a cold branch.
 */
#include <stdlib.h>

#include "cpu/cpu.h"
#include "jit-wasm/emit.h"
#include "memory.h"
#include "test.h"

#define START 0x100

static const uint8_t program[] = {
    0xb9, 0x05, 0x00, /* 100 mov cx, 5 */
    0xe8, 0x1a, 0x00, /* 103 call 120 */
    0xe2, 0xfb,       /* 106 loop 103 */
    0x41,             /* 108 inc cx */
    0x74, 0x25,       /* 109 jz 130: never */
    0xeb, 0xf3,       /* 10b jmp 100 */
};
static const uint8_t callee[] = { 0x40, 0xc3 }; /* 120 inc ax; ret */
static const uint8_t cold[] = { 0x90, 0xf4 };   /* 130 nop; hlt */

static struct mem_space mem, io;
static struct mem_region ram;
static struct cpu *cpu;
static struct region_code code;

static void put(unsigned addr, const uint8_t *bytes, size_t len)
{
    memcpy((uint8_t *)ram.host + addr, bytes, len);
}

static int block_at(int32_t off)
{
    for (unsigned k = 0; k < code.block_count; k++)
        if (code.blocks[k].off == off)
            return (int)k;
    return OUTSIDE;
}

static void begin(void)
{
    struct error err = { 0 };
    mem_space_init(&mem, "memory", 1ull << 36);
    mem_space_init(&io, "I/O", 0x10000);
    if (!mem_region_init_ram(&ram, "ram", 1 << 20, NULL))
        abort();
    mem_region_add(&mem, &ram, 0, 0);
    cpu = cpu_new(NULL, 0, "max", &err);
    if (!cpu)
        abort();
    cpu->mem = &mem;
    cpu->io = &io;
    cpu_reset(cpu, false);
    cpu->seg[SEG_CS].base = 0;
    seg_update(cpu, SEG_CS);
    cpu->rip = START;
    put(START, program, sizeof program);
    put(START + 0x20, callee, sizeof callee);
    put(START + 0x30, cold, sizeof cold);
}

static void only_what_ran(void)
{
    CHECK(
        region_discover(&code, cpu, REGION_MAX_INSNS)); /* nothing has run: the first block alone */
    CHECK_EQ(code.block_count, 1);
    CHECK_EQ(code.insn_count, 2); /* up to the call */
    cpu_run(cpu, 300, 300);
    CHECK(!cpu->exc.pending && !cpu->halted);
    cpu->rip = START;
    CHECK(region_discover(&code, cpu, REGION_MAX_INSNS));
    CHECK_EQ(code.page_count, 1);
    CHECK_EQ(code.insn_count, 6);
    CHECK_EQ(code.block_count, 5);
    CHECK_EQ(block_at(0x30), OUTSIDE);
}

static void edges(void)
{
    int call = block_at(3), loop = block_at(6), test = block_at(8), jump = block_at(0xb);
    CHECK(call > 0 && loop > 0 && test > 0 && jump > 0);
    CHECK_EQ(block_at(0x20), OUTSIDE); /* the function is a region of its own */
    CHECK_EQ(block_at(0), 0);          /* the entry comes first */
    CHECK_EQ(code.blocks[0].end, BE_FALL);
    CHECK_EQ(code.blocks[0].succ[0], call);
    CHECK_EQ(code.blocks[call].end, BE_CALL);
    CHECK_EQ(code.blocks[call].succ[0], OUTSIDE);
    CHECK_EQ(code.blocks[call].succ_off[0], 0x20);
    CHECK_EQ(code.blocks[call].succ[1], loop);
    CHECK_EQ(code.blocks[loop].end, BE_COND);
    CHECK_EQ(code.blocks[loop].succ[0], call);
    CHECK_EQ(code.blocks[loop].succ[1], test);
    CHECK_EQ(code.blocks[test].succ[0], OUTSIDE);
    CHECK_EQ(code.blocks[test].succ_off[0], 0x30);
    CHECK_EQ(code.blocks[test].succ[1], jump);
    CHECK_EQ(code.blocks[jump].end, BE_JUMP);
    CHECK_EQ(code.blocks[jump].succ[0], 0);
}

static void loops_and_needs(void)
{
    int call = block_at(3), test = block_at(8);
    flow_mark_loops(&code);
    region_live(&code);
    CHECK(code.blocks[0].loop_check);
    CHECK(code.blocks[call].loop_check);
    CHECK(!code.blocks[test].loop_check);
    CHECK_EQ(code.blocks[0].preds, 2); /* from outside and from the jump */
    CHECK_EQ(code.blocks[call].preds, 2);
    /* inc cx: read by jz. */
    CHECK_EQ(code.insns[code.blocks[test].first].want, FN_READ);
}

int main(void)
{
    begin();
    RUN(only_what_ran);
    RUN(edges);
    RUN(loops_and_needs);
    return test_done();
}
