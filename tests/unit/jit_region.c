/*
 * Discovery of regions: a small program in real mode is run by the interpreter, then looked at as
 * region.c, live.c and flow.c see it. A call, a loop, a way back to the entry, a cold branch; then
 * an interpreter of four operations that each jump to the next one, and a jump table without a
 * loop.
 */
#include <stdlib.h>

#include "cpu/cpu.h"
#include "jit-wasm/emit.h"
#include "jit-wasm/targets.h"
#include "memory.h"
#include "test.h"

#define START    0x100
#define THREADED 0x200
#define STRAIGHT 0x300

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

/* ---- indirect jumps ---- */

/* Operation k: 200 + 16 * k; the next one is the byte at SI, the table at 2c0. */
static void put_threaded(void)
{
    static const uint8_t operation[] = {
        0x40,                         /* inc ax */
        0x8a, 0x1c,                   /* mov bl, [si] */
        0x46,                         /* inc si */
        0x83, 0xe3, 0x0c,             /* and bx, 12 */
        0x66, 0xff, 0xa7, 0xc0, 0x02, /* jmp dword [bx + 2c0] */
    };
    for (unsigned k = 0; k < 4; k++) {
        uint32_t to = THREADED + k * 16;
        put(THREADED + k * 16, operation, sizeof operation);
        put(THREADED + 0xc0 + 4 * k, (const uint8_t *)&to, 4);
    }
    for (unsigned k = 0; k < 0x1000; k++)
        ((uint8_t *)ram.host)[0x1000 + k] = (uint8_t)((k * 2654435761u) >> 24);
}

static unsigned switches(void)
{
    unsigned n = 0;
    for (unsigned k = 0; k < code.block_count; k++)
        n += code.blocks[k].end == BE_SWITCH;
    return n;
}

static void run_at(uint64_t rip, int32_t insns)
{
    cpu->rip = rip;
    cpu->gpr[RSI] = 0x1000;
    cpu_run(cpu, insns, insns);
    CHECK(!cpu->exc.pending && !cpu->halted);
    cpu->rip = rip;
}

static void operations_meet_in_one_switch(void)
{
    put_threaded();
    run_at(THREADED, 400);
    CHECK(region_discover(&code, cpu, REGION_MAX_INSNS));
    CHECK_EQ(switches(), 1);
    CHECK_EQ(code.block_count, 5);
    const struct rblock *b = &code.blocks[0]; /* the entry is one of its targets */
    CHECK_EQ(b->end, BE_SWITCH);
    CHECK_EQ(b->target_count, 4);
    for (unsigned k = 0; k < b->target_count; k++) {
        const struct rblock *operation = &code.blocks[code.targets[b->first_target + k]];
        CHECK_EQ(operation->off % 16, 0);
        CHECK_EQ(operation->end, BE_DYN);
        CHECK_EQ(operation->succ[0], 0);
    }
    flow_mark_loops(&code);
    region_live(&code);
    CHECK(b->loop_check);
    CHECK_EQ(b->preds, 5);
    for (unsigned k = 1; k < code.block_count; k++)
        CHECK(!code.blocks[k].loop_check);
}

static void a_jump_is_at_home_in_one_region(void)
{
    uintptr_t host = (uintptr_t)ram.host;
    uintptr_t jump = host + THREADED + 7, home = host + THREADED;
    targets_claim(jump, home);
    CHECK(targets_for(jump, home) != NULL);
    CHECK(targets_for(jump, home + 16) == NULL);
    cpu->rip = THREADED + 0x10;
    for (unsigned k = 1; k < 4; k++)
        targets_claim(jump + 16 * k, home);
    CHECK(region_discover(&code, cpu, REGION_MAX_INSNS));
    CHECK_EQ(switches(), 0);
    CHECK_EQ(code.block_count, 1);
    CHECK_EQ(code.blocks[0].succ[0], OUTSIDE);
    for (unsigned k = 0; k < 4; k++)
        targets_release(jump + 16 * k, home);
    CHECK(region_discover(&code, cpu, REGION_MAX_INSNS));
    CHECK_EQ(switches(), 1);
}

static void without_a_loop_the_jump_is_the_end(void)
{
    /* 300 jmp dword [bx + 3c0] to 310 and 320, which wait. */
    static const uint8_t jump[] = { 0x66, 0xff, 0xa7, 0xc0, 0x03 }, wait[] = { 0x40, 0xf4 };
    put(STRAIGHT, jump, sizeof jump);
    for (unsigned k = 0; k < 2; k++) {
        uint32_t to = STRAIGHT + 16 + 16 * k;
        put(STRAIGHT + 0xc0 + 4 * k, (const uint8_t *)&to, 4);
        put(to, wait, sizeof wait);
        cpu->gpr[RBX] = 4 * k;
        cpu->rip = STRAIGHT;
        cpu_run(cpu, 100, 100);
        CHECK(cpu->halted);
        cpu->halted = false;
    }
    cpu->rip = STRAIGHT;
    CHECK(targets_of((uintptr_t)ram.host + STRAIGHT) != NULL);
    CHECK(region_discover(&code, cpu, REGION_MAX_INSNS));
    CHECK_EQ(switches(), 0);
    CHECK_EQ(code.insn_count, 1);
}

static void frequent_targets_come_first(void)
{
    enum { JUMP = 0x77000 };
    CHECK(targets_of(JUMP) == NULL);
    CHECK(!targets_note(JUMP, TARGETS_REACH));
    CHECK(!targets_note(JUMP, -TARGETS_REACH - 1));
    CHECK(targets_of(JUMP) == NULL);
    for (int k = 0; k < TARGETS_MAX; k++) {
        CHECK(targets_note(JUMP, 100 + k));
        CHECK(!targets_note(JUMP, 100));
    }
    const struct targets *t = targets_of(JUMP);
    CHECK_EQ(t->count, TARGETS_MAX);
    CHECK_EQ(t->distance[0], 100);
    CHECK(targets_note(JUMP, 50)); /* instead of the last */
    CHECK_EQ(t->count, TARGETS_MAX);
    CHECK_EQ(t->distance[TARGETS_MAX - 1], 50);
    for (int k = 0; k < 8; k++)
        CHECK(!targets_note(JUMP, 50));
    CHECK_EQ(t->distance[0], 50);
}

int main(void)
{
    begin();
    RUN(only_what_ran);
    RUN(edges);
    RUN(loops_and_needs);
    RUN(operations_meet_in_one_switch);
    RUN(a_jump_is_at_home_in_one_region);
    RUN(without_a_loop_the_jump_is_the_end);
    RUN(frequent_targets_come_first);
    return test_done();
}
