/*
 * Slow paths that translated code calls, and the conversion of raw flags.
 *
 * A slow path that fails sets jit_shared.fault, with the point (given by the caller) and the
 * status; the region leaves at once. A store into the running region's own code fails too, before
 * anything is written: the interpreter then does that instruction, drops the region, and goes on
 * with what the code has become.
 */
#include "cpu/flags.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "jit-wasm/cache.h"
#include "jit-wasm/emit.h"
#include "jit-wasm/jit.h"
#include "jit-wasm/lockstep.h"

struct jit_shared jit_shared;
struct cpu *jit_cpu;

static int32_t held; /* what jit_hold_budget() took away */

void jit_hold_budget(struct cpu *c)
{
    if (c->slow > 0 && (!c->intr || !interrupt_wanted(c)))
        return;
    held += c->budget;
    c->icount -= (uint64_t)(int64_t)c->budget;
    c->budget = 0;
}

void jit_release_budget(struct cpu *c)
{
    c->icount += (uint64_t)(int64_t)held;
    c->budget += held;
    held = 0;
}

static uint64_t fail(uint32_t point, int status)
{
    jit_shared.fault = 1;
    jit_shared.point = (int32_t)point;
    jit_shared.status = status;
    return 1;
}

#define INFO_BYTES(i)       ((i)&0x1fu)
#define INFO_SEG(i)         ((int)((i) >> 5 & 7))
#define INFO_WRITE(i)       ((i) >> 8 & 1)
#define INFO_GROUP_WRITE(i) ((i) >> 10 & 1)
#define INFO_GROUP_OFF(i)   ((i) >> 11 & 0x1ff)
#define INFO_GROUP_BYTES(i) ((i) >> 20)

/* After a slow path that went well; @context was cpu.jump_context before. */
static void accessed(uint64_t la, uint32_t info, uint32_t context)
{
    struct cpu *c = jit_cpu;
    jit_shared.moved = c->jump_context != context;
    unsigned bytes = INFO_GROUP_BYTES(info);
    enum access a = INFO_GROUP_WRITE(info) ? ACCESS_WRITE : ACCESS_READ;
    if (bytes) {
        void *host = mem_host(c, a, (la - INFO_GROUP_OFF(info)) & c->la_mask, bytes);
        jit_shared.host = (uint32_t)(uintptr_t)host;
    }
    jit_hold_budget(c);
}

uint64_t jit_read(uint64_t la, uint32_t point, uint32_t info)
{
    uint64_t v = 0;
    uint32_t context = jit_cpu->jump_context;
    if (!mem_read_slow(jit_cpu, INFO_SEG(info), la, &v, INFO_BYTES(info)))
        return fail(point, EXEC_FAULT);
    accessed(la, info, context);
    return v;
}

/* A 128-bit operand that must be aligned and isn't: the interpreter raises #GP. */
static bool misaligned(uint64_t la, uint32_t info)
{
    return (info & JIT_INFO_ALIGNED) && (la & 15);
}

uint64_t jit_read128(uint64_t la, uint32_t point, uint32_t info)
{
    if (misaligned(la, info))
        return fail(point, LEAVE_INTERP);
    uint32_t context = jit_cpu->jump_context;
    if (!mem_read_slow(jit_cpu, INFO_SEG(info), la, jit_shared.scratch, 16))
        return fail(point, EXEC_FAULT);
    accessed(la, info, context);
    return 0;
}

static bool write(uint64_t la, const void *v, uint32_t point, uint32_t info)
{
    struct cpu *c = jit_cpu;
    unsigned bytes = INFO_BYTES(info);
    uint32_t context = c->jump_context;
    if (tlb_write_watched(c, la, bytes)) {
        if (!mem_probe_write(c, INFO_SEG(info), la, bytes)) {
            fail(point, EXEC_FAULT);
            return false;
        }
        if (tlb_write_hits_running(c, la, bytes)) {
            fail(point, LEAVE_INTERP);
            return false;
        }
    }
    if (!mem_write_slow(c, INFO_SEG(info), la, v, bytes)) {
        fail(point, EXEC_FAULT);
        return false;
    }
    accessed(la, info, context);
    return true;
}

uint32_t jit_write(uint64_t la, uint64_t value, uint32_t point, uint32_t info)
{
    return !write(la, &value, point, info);
}

uint64_t jit_write128(uint64_t la, uint32_t point, uint32_t info)
{
    if (misaligned(la, info))
        return fail(point, LEAVE_INTERP);
    return !write(la, jit_shared.scratch, point, info);
}

uint64_t jit_rmw_read(uint64_t la, uint32_t point, uint32_t info)
{
    if (!mem_probe_write(jit_cpu, INFO_SEG(info), la, INFO_BYTES(info)))
        return fail(point, EXEC_FAULT);
    return jit_read(la, point, info);
}

uint64_t jit_seg_check(uint64_t ea, uint32_t point, uint32_t info)
{
    uint64_t la = 0;
    enum access a = INFO_WRITE(info) ? ACCESS_WRITE : ACCESS_READ;
    if (!seg_check_slow(jit_cpu, INFO_SEG(info), ea, INFO_BYTES(info), a, &la))
        fail(point, EXEC_FAULT);
    return la;
}

int jit_call_handler(struct cpu *c, const struct insn *i)
{
    int32_t budget = c->budget;
    jit_handler_calls[i->op]++;
    enum exec r = i->fn(c, i);
    if (c->budget != budget) /* a long string instruction was charged: not to be counted on */
        lockstep_device();
    if (r == EXEC_NEXT) {
        jit_hold_budget(c);
        if (jit_shared.region->dead) /* it wrote over the code that follows */
            return EXEC_STOP;
    }
    return (int)r;
}

/* Nothing that cpu_run() would have to look at before the next instruction? An interrupt that comes
 * in the shadow of STI waits for an exit anyway. */
static bool may_go_on(struct cpu *c)
{
    if (c->exc.pending || c->halted || c->triple_fault || cpu_debugging(c) || c->shadow_ss ||
        cpu_alignment_checked(c) || (c->intr && interrupt_wanted(c)))
        return false;
    c->shadow = false;
    return true;
}

int jit_stop(struct cpu *c, const struct insn *i)
{
    uint32_t context = c->jump_context;
    jit_handler_calls[i->op]++;
    enum exec r = i->fn(c, i);
    if (r == EXEC_NEXT || r == EXEC_STOP)
        c->rip = cpu_next_rip(c, i);
    if (r == EXEC_FAULT || r == EXEC_AGAIN || !may_go_on(c)) {
        jit_shared.status = r == EXEC_NEXT ? EXEC_STOP : (int)r;
        return STOP_LEFT;
    }
    bool same = r != EXEC_JUMP && c->jump_context == context && !jit_shared.region->dead;
    return same ? STOP_ON : STOP_ELSEWHERE;
}

int jit_slow_fp(struct cpu *c, const struct insn *i)
{
    return (int)i->fn(c, i);
}

/* What a dropped region's slot does: back to C, and the jump cache forgets the way here. */
uint32_t jit_stub(uint64_t rip, uint32_t depth)
{
    uint64_t la = (jit_cpu->seg_base[SEG_CS] + rip) & jit_cpu->la_mask;
    jit_jump_slot(la)->context = 0;
    jit_cpu->rip = rip;
    jit_shared.status = LEAVE_CHAIN;
    return JIT_LEFT;
}

uint64_t jit_mulhu(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}
uint64_t jit_mulhs(uint64_t a, uint64_t b)
{
    return (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64);
}

/* ---- flags ---- */

void jit_settle_kind(struct cpu *c, int kind, const struct jit_flags *f)
{
    unsigned osz = FK_OSZ(kind), bits = 8u << osz;
    uint64_t a = osz == 3 ? f->raw64[0] : f->raw32[0];
    uint64_t b = osz == 3 ? f->raw64[1] : f->raw32[1];
    uint64_t r = osz == 3 ? f->raw64[2] : f->raw32[2];
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    bool cf;
    int64_t sa = (int64_t)sext_bits(a, bits), sb = (int64_t)sext_bits(b, bits);
    uint64_t co = c->fl_co;
    switch (FK_OP(kind)) {
    case FK_ADD: flags_add(c, a, b, a + b, bits); break;
    case FK_SUB: flags_sub(c, a, b, a - b, bits); break;
    case FK_ADC: flags_add(c, a, b, a + b + ((r ^ a ^ b) & 1), bits); break;
    case FK_SBB: flags_sub(c, a, b, a - b - ((r ^ a ^ b) & 1), bits); break;
    case FK_LOGIC: flags_logic(c, r, bits); break;
    case FK_INC:
    case FK_DEC:
        cf = flag_cf(c);
        r &= mask;
        c->fl_a = (FK_OP(kind) == FK_INC ? r - 1 : r + 1) ^ 1 ^ r;
        flags_set_cf_of(c, cf, r == (FK_OP(kind) == FK_INC ? 1ull << (bits - 1) : mask >> 1));
        flags_result(c, sext_bits(r, bits));
        break;
    case FK_SHL:
        r = a << b;
        flags_set_cf_of(c, b <= bits && (a >> (bits - b) & 1),
                        (r >> (bits - 1) & 1) ^ (b <= bits && (a >> (bits - b) & 1)));
        flags_result(c, sext_bits(r, bits));
        c->fl_a = 0;
        break;
    case FK_SHR:
        flags_set_cf_of(c, a >> (b - 1) & 1, b == 1 && (a >> (bits - 1) & 1));
        flags_result(c, sext_bits(a >> b, bits));
        c->fl_a = 0;
        break;
    case FK_SAR:
        flags_set_cf_of(c, sa >> (b - 1) & 1, false);
        flags_result(c, sext_bits((uint64_t)(sa >> b), bits));
        c->fl_a = 0;
        break;
    case FK_IMUL:
        cf = (__int128)sa * sb != (__int128)(int64_t)sext_bits((uint64_t)sa * (uint64_t)sb, bits);
        flags_set_cf_of(c, cf, cf);
        flags_result(c, sext_bits((uint64_t)sa * (uint64_t)sb, bits));
        c->fl_a = 0;
        break;
    case FK_MUL:
        cf = (unsigned __int128)a * b >> bits != 0;
        flags_set_cf_of(c, cf, cf);
        flags_result(c, sext_bits(a * b, bits));
        c->fl_a = 0;
        break;
    case FK_SHLD:
    case FK_SHRD:
        cf = (FK_OP(kind) == FK_SHLD ? a >> (bits - b) : a >> (b - 1)) & 1;
        flags_set_cf_of(c, cf, (a ^ r) >> (bits - 1) & 1);
        flags_result(c, sext_bits(r, bits));
        c->fl_a = 0;
        break;
    default: break;
    }
    if (kind & FK_CO)
        c->fl_co = co;
}

void jit_settle(void)
{
    jit_settle_kind(jit_cpu, (int)jit_shared.flags.kind, &jit_shared.flags);
    jit_shared.flags.kind = FK_CANON;
}
