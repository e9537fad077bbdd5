/*
 * Stacks that far transfers and exception delivery push to and pop from: the current one, or one
 * that is about to become current. Values go to memory at once, the stack pointer stays in struct
 * stack until the transfer commits, so that a fault in the middle leaves the registers as they
 * were. SDM vol. 3, 5.8.5, 6.14.
 */
#include "cpu/cpu.h"
#include "cpu/desc.h"
#include "cpu/mem.h"

struct stack stack_current(const struct cpu *c)
{
    return (struct stack){
        .ss = c->seg[SEG_SS],
        .sp = c->gpr[RSP],
        .mask = c->sp_mask,
        .flat64 = cpu_code64(c),
    };
}

struct stack stack_new(const struct segment *ss, uint64_t sp, bool code64, uint32_t error)
{
    struct stack st = { .ss = *ss, .sp = sp, .flat64 = code64, .system = true, .error = error };
    st.mask = code64 ? ~0ull : (ss->attr & SEG_DB) ? 0xffffffffu : 0xffffu;
    return st;
}

static bool stack_address(struct cpu *c, const struct stack *st, uint64_t ea, unsigned size,
                          uint64_t *la)
{
    if (st->flat64) {
        if (!cpu_canonical(ea) || !cpu_canonical(ea + size - 1))
            return cpu_fault(c, EXC_SS, st->error);
        *la = ea;
        return true;
    }
    if (!seg_in_limit(&st->ss, ea, size) || (cpu_protected(c) && !(st->ss.attr & SEG_P)))
        return cpu_fault(c, EXC_SS, st->error);
    *la = (uint32_t)(st->ss.base + ea);
    return true;
}

static uint64_t moved(const struct stack *st, uint64_t by)
{
    uint64_t sp = (st->sp + by) & st->mask;
    return st->mask == 0xffff ? (st->sp & ~0xffffull) | sp : sp;
}

bool stack_push(struct cpu *c, struct stack *st, unsigned size, uint64_t v)
{
    uint64_t sp = moved(st, -(uint64_t)size), la;
    bool ok;
    if (!stack_address(c, st, sp & st->mask, size, &la))
        return false;
    if (st->system)
        ok = mem_sys_write(c, la, &v, size);
    else if (size == 8)
        ok = mem_st64_la(c, SEG_SS, la, v);
    else if (size == 4)
        ok = mem_st32_la(c, SEG_SS, la, (uint32_t)v);
    else
        ok = mem_st16_la(c, SEG_SS, la, (uint16_t)v);
    if (ok)
        st->sp = sp;
    return ok;
}

bool stack_pop(struct cpu *c, struct stack *st, unsigned size, uint64_t *v)
{
    uint64_t la;
    uint32_t v32;
    uint16_t v16;
    bool ok;
    *v = 0;
    if (!stack_address(c, st, st->sp & st->mask, size, &la))
        return false;
    if (st->system) {
        ok = mem_sys_read(c, la, v, size);
    } else if (size == 8) {
        ok = mem_ld64_la(c, SEG_SS, la, v);
    } else if (size == 4) {
        ok = mem_ld32_la(c, SEG_SS, la, &v32);
        if (ok)
            *v = v32;
    } else {
        ok = mem_ld16_la(c, SEG_SS, la, &v16);
        if (ok)
            *v = v16;
    }
    if (ok)
        st->sp = moved(st, size);
    return ok;
}

bool stack_room(struct cpu *c, const struct stack *st, unsigned bytes)
{
    uint64_t la;
    return stack_address(c, st, (st->sp - bytes) & st->mask, bytes, &la);
}

void stack_commit(struct cpu *c, const struct stack *st)
{
    c->gpr[RSP] = st->flat64 ? st->sp : (uint32_t)st->sp;
}

/* A field of the current TSS of @size bytes at @off; #TS(TR | ext) beyond its limit. */
static bool tss_read(struct cpu *c, unsigned off, void *v, unsigned size, uint32_t ext)
{
    if (!(c->tr.attr & SEG_P) || off + size - 1 > c->tr.limit)
        return cpu_fault(c, EXC_TS, (c->tr.sel & 0xfffcu) | ext);
    uint64_t la = c->tr.base + off;
    return mem_sys_read(c, cpu_long_mode(c) ? la : (uint32_t)la, v, size);
}

bool tss_inner_stack(struct cpu *c, unsigned dpl, uint32_t ext, struct stack *st)
{
    uint32_t esp = 0;
    uint16_t sp, ss;
    if (SEG_TYPE(c->tr.attr) & 8) {
        uint8_t raw[6];
        if (!tss_read(c, 4 + dpl * 8, raw, 6, ext))
            return false;
        memcpy(&esp, raw, 4);
        memcpy(&ss, raw + 4, 2);
    } else {
        uint16_t raw[2];
        if (!tss_read(c, 2 + dpl * 4, raw, 4, ext))
            return false;
        sp = raw[0];
        ss = raw[1];
        esp = sp;
    }
    struct desc d;
    uint32_t error = (ss & 0xfffcu) | ext;
    if (sel_is_null(ss))
        return cpu_fault(c, EXC_TS, ext);
    if (!desc_fetch(c, ss, EXC_TS, ext, &d))
        return false;
    if ((ss & 3u) != dpl || DESC_DPL(&d) != dpl || !desc_is_writable_data(&d))
        return cpu_fault(c, EXC_TS, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_SS, error);
    if (!desc_set_accessed(c, ss, &d))
        return false;
    struct segment s = desc_segment(ss, &d);
    *st = stack_new(&s, esp, false, error);
    return true;
}

bool tss_stack64(struct cpu *c, unsigned dpl, unsigned ist, uint32_t ext, uint64_t *rsp)
{
    if (!tss_read(c, ist ? 28 + ist * 8 : 4 + dpl * 8, rsp, 8, ext))
        return false;
    if (!cpu_canonical(*rsp))
        return cpu_fault(c, EXC_SS, ext);
    return true;
}
