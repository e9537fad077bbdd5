/*
 * Segment descriptors, gates and stacks: what seg.c, far.c, task.c, exc.c and ops_sys.c share. SDM
 * vol. 3, 3.4, 5.8.
 */
#ifndef SLIPWAY_DESC_H
#define SLIPWAY_DESC_H

#include "cpu/cpu.h"

/* The eight bytes of a descriptor. */
struct desc {
    uint32_t lo, hi;
};

#define DESC_S(d)    ((d)->hi >> 12 & 1)
#define DESC_TYPE(d) ((d)->hi >> 8 & 15)
#define DESC_DPL(d)  ((d)->hi >> 13 & 3)
#define DESC_P(d)    ((d)->hi >> 15 & 1)
#define DESC_L(d)    ((d)->hi >> 21 & 1)
#define DESC_DB(d)   ((d)->hi >> 22 & 1)

/* Bits of the type of code and data segments. */
enum {
    TYPE_ACCESSED = 1,
    TYPE_WRITE = 2 /* data */,
    TYPE_READ = 2 /* code */,
    TYPE_DOWN = 4,
    TYPE_CONFORMING = 4,
    TYPE_CODE = 8
};
/* Types of system descriptors. */
enum {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12,
    SYS_INT32 = 14,
    SYS_TRAP32 = 15,
};

static inline bool desc_is_code(const struct desc *d)
{
    return DESC_S(d) && (DESC_TYPE(d) & TYPE_CODE);
}
static inline bool desc_is_conforming(const struct desc *d)
{
    return (DESC_TYPE(d) & TYPE_CONFORMING) != 0;
}
static inline bool desc_is_writable_data(const struct desc *d)
{
    return DESC_S(d) && !(DESC_TYPE(d) & TYPE_CODE) && (DESC_TYPE(d) & TYPE_WRITE);
}

static inline bool cpu_protected(const struct cpu *c)
{
    return (c->cr0 & CR0_PE) && !(c->rflags & FL_VM);
}
static inline bool cpu_long_mode(const struct cpu *c)
{
    return (c->efer & EFER_LMA) != 0;
}
static inline bool cpu_code64(const struct cpu *c)
{
    return (c->mode & MODE_CODE_MASK) == MODE_CODE64;
}
static inline bool cpu_vm86(const struct cpu *c)
{
    return (c->rflags & FL_VM) != 0 && (c->cr0 & CR0_PE);
}
static inline unsigned cpu_iopl(const struct cpu *c)
{
    return c->rflags >> 12 & 3;
}
static inline bool sel_is_null(uint16_t sel)
{
    return (sel & 0xfffc) == 0;
}

/* Is a descriptor of @bytes bytes for @sel inside its table? Gives its linear address. */
bool desc_address(const struct cpu *c, uint16_t sel, unsigned bytes, uint64_t *la);
/* Reads it; outside the table: @vector(selector | @ext). */
bool desc_fetch(struct cpu *c, uint16_t sel, int vector, uint32_t ext, struct desc *d);
/* The upper half of a 16-byte system descriptor of long mode (bits 32-63 of its base or offset),
 * checked to be in the table and to have type 0. */
bool desc_fetch_upper(struct cpu *c, uint16_t sel, int vector, uint32_t ext, uint32_t *upper);
/* Sets the accessed bit in memory and in @d. */
bool desc_set_accessed(struct cpu *c, uint16_t sel, struct desc *d);
/* Sets or clears the busy bit of a TSS descriptor. */
bool desc_set_busy(struct cpu *c, uint16_t sel, bool busy);
struct segment desc_segment(uint16_t sel, const struct desc *d);
/* A null segment register; @dpl matters for SS, whose DPL is the CPL. */
struct segment seg_null(uint16_t sel, unsigned dpl);
/* What a load in vm86 mode gives. */
struct segment seg_vm86(uint16_t sel);
/* Are @size bytes at @ea inside the limit (expand-down too)? */
bool seg_in_limit(const struct segment *s, uint64_t ea, unsigned size);
/* Fails with #GP(@error) unless @off is a legal instruction pointer in code segment @cs. */
bool seg_check_ip(struct cpu *c, const struct segment *cs, uint64_t off, uint32_t error);
/* In long mode a code segment must not have L and D both set. */
static inline bool desc_code_ok_long(const struct cpu *c, const struct desc *d)
{
    return !cpu_long_mode(c) || !(DESC_L(d) && DESC_DB(d));
}

/* A stack that isn't (yet) the current one, or the current one before anything is committed. */
struct stack {
    struct segment ss;
    uint64_t sp, mask; /* mask: 0xffff, 0xffffffff or ~0; bits outside keep their value */
    bool flat64;       /* 64-bit mode: no segmentation */
    bool system;       /* use supervisor rights whatever the CPL */
    uint32_t error;    /* error code of #SS */
};
struct stack stack_current(const struct cpu *c);
/* A stack in segment @ss (which is about to become SS), for code that will run in 64-bit mode or
 * not. */
struct stack stack_new(const struct segment *ss, uint64_t sp, bool code64, uint32_t error);
/* @size: 2, 4 or 8 bytes. Nothing but memory and st->sp changes. */
bool stack_push(struct cpu *c, struct stack *st, unsigned size, uint64_t v);
bool stack_pop(struct cpu *c, struct stack *st, unsigned size, uint64_t *v);
/* Is there room for @bytes to push? Else #SS. */
bool stack_room(struct cpu *c, const struct stack *st, unsigned bytes);
/* Writes st->sp to RSP, keeping the bits that the stack size leaves alone. */
void stack_commit(struct cpu *c, const struct stack *st);

/* SS:(E)SP of privilege @dpl from the current TSS, checked as an inner stack (#TS, #SS with @ext).
 * Legacy mode. */
bool tss_inner_stack(struct cpu *c, unsigned dpl, uint32_t ext, struct stack *st);
/* RSP of privilege @dpl, or entry @ist (1-7) of the interrupt stack table. Long mode. */
bool tss_stack64(struct cpu *c, unsigned dpl, unsigned ist, uint32_t ext, uint64_t *rsp);

#endif
