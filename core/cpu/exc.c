/*
 * Exceptions and interrupts: recording, delivery in every mode, double and triple faults, what
 * c->intr asks for.
 *
 * An instruction that faults records the exception in c->exc and returns; the interpreter sets
 * c->rip to the instruction and calls exc_deliver_pending(). Delivery itself may fault (IDT, stack,
 * TSS): deliver() then returns false with the next exception in c->exc, having changed no register,
 * and the loop combines the two after table 6-5: a contributory one after a contributory one, or
 * anything but a benign one after a page fault, becomes #DF; during a #DF it is shutdown
 * (c->triple_fault, and CPU_INTR_EXIT for the machine to act on). Otherwise the second one is
 * delivered.
 *
 * The error code's EXT bit is clear only for what INT n, INT3 and INTO cause. RF is set in the
 * image that a fault pushes, so that an instruction breakpoint doesn't hit again; #DB is left out,
 * as its handler decides. SDM vol. 3, chapter 6 and 21.1.4, 21.3; vol. 2 INT n.
 */
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/desc.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "hw/apic.h"
#include "log.h"

#undef cpu_fault
#undef cpu_fault_noerr
#undef cpu_fault_page

bool cpu_fault(struct cpu *c, int vector, uint32_t error)
{
    c->exc.pending = true;
    c->exc.vector = (uint8_t)vector;
    c->exc.has_error = true;
    c->exc.error = error;
    return false;
}

bool cpu_fault_noerr(struct cpu *c, int vector)
{
    c->exc.pending = true;
    c->exc.vector = (uint8_t)vector;
    c->exc.has_error = false;
    c->exc.error = 0;
    return false;
}

bool cpu_fault_page(struct cpu *c, uint64_t la, uint32_t error)
{
    c->exc.cr2 = la;
    return cpu_fault(c, EXC_PF, error);
}

/* What is being delivered. */
struct event {
    int vector;
    int kind;       /* INT_* */
    bool exception; /* not an interrupt: may be the first half of a double fault */
    bool has_error;
    uint32_t error;
    uint32_t ext;   /* EXT bit of errors on the way */
    uint32_t flags; /* RFLAGS image to push */
};

static bool is_software(int kind)
{
    return kind == INT_SOFTWARE || kind == INT_SOFTWARE_TRAP;
}

static bool deliver_real(struct cpu *c, const struct event *e)
{
    struct stack st = stack_current(c);
    uint16_t vec[2];
    if ((uint32_t)e->vector * 4 + 3 > c->idtr.limit)
        return cpu_fault(c, EXC_GP, 0);
    if (!mem_sys_read(c, (uint32_t)(c->idtr.base + (uint32_t)e->vector * 4), vec, 4))
        return false;
    if (!stack_push(c, &st, 2, e->flags) || !stack_push(c, &st, 2, c->seg[SEG_CS].sel) ||
        !stack_push(c, &st, 2, c->rip))
        return false;
    stack_commit(c, &st);
    c->rflags &= ~(FL_IF | FL_TF | FL_AC | FL_RF);
    c->rip = vec[0];
    seg_load_real(c, SEG_CS, vec[1]);
    cpu_update_mode(c);
    return true;
}

/* Clears what entering a handler clears and makes the new CS (and SS) current. */
static void enter(struct cpu *c, const struct segment *cs, const struct stack *st, uint64_t rip,
                  bool interrupt_gate, unsigned cpl)
{
    c->rflags &= ~(FL_TF | FL_NT | FL_RF | FL_VM);
    if (interrupt_gate)
        c->rflags &= ~FL_IF;
    c->seg[SEG_CS] = *cs;
    c->seg[SEG_CS].sel = (uint16_t)((cs->sel & 0xfffc) | cpl);
    c->seg[SEG_SS] = st->ss;
    c->cpl = (uint8_t)cpl;
    stack_commit(c, st);
    c->rip = rip;
    cpu_update_mode(c);
}

/* The code segment that a gate points to, checked up to its presence. */
static bool gate_code(struct cpu *c, uint16_t sel, uint32_t ext, struct desc *d)
{
    uint32_t error = (sel & 0xfffcu) | ext;
    if (sel_is_null(sel))
        return cpu_fault(c, EXC_GP, ext);
    if (!desc_fetch(c, sel, EXC_GP, ext, d))
        return false;
    if (!desc_is_code(d) || DESC_DPL(d) > c->cpl)
        return cpu_fault(c, EXC_GP, error);
    if (cpu_long_mode(c) && (!DESC_L(d) || DESC_DB(d)))
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(d))
        return cpu_fault(c, EXC_NP, error);
    return true;
}

static bool deliver_protected(struct cpu *c, const struct event *e)
{
    uint32_t ext = e->ext, idt_error = (uint32_t)e->vector * 8 + 2 + ext;
    struct desc gate, code;
    if ((uint32_t)e->vector * 8 + 7 > c->idtr.limit)
        return cpu_fault(c, EXC_GP, idt_error);
    if (!mem_sys_read(c, (uint32_t)(c->idtr.base + (uint32_t)e->vector * 8), &gate, 8))
        return false;
    unsigned type = DESC_TYPE(&gate);
    bool known = type == SYS_TASK || type == SYS_INT16 || type == SYS_TRAP16 || type == SYS_INT32 ||
                 type == SYS_TRAP32;
    if (DESC_S(&gate) || !known || (is_software(e->kind) && DESC_DPL(&gate) < c->cpl))
        return cpu_fault(c, EXC_GP, idt_error);
    if (!DESC_P(&gate))
        return cpu_fault(c, EXC_NP, idt_error);
    uint16_t sel = (uint16_t)(gate.lo >> 16);
    if (type == SYS_TASK) {
        uint32_t rflags = c->rflags;
        if (e->flags & FL_RF)
            c->rflags |= FL_RF; /* into the image that the old TSS gets */
        if (task_switch(c, sel, TASK_INT, c->rip, e->has_error, e->error))
            return true;
        c->rflags = rflags;
        return false;
    }

    bool vm = cpu_vm86(c);
    unsigned size = (type & 8) ? 4 : 2;
    uint64_t off = (gate.lo & 0xffff) | (size == 4 ? gate.hi & 0xffff0000u : 0);
    if (!gate_code(c, sel, ext, &code))
        return false;
    unsigned cpl = desc_is_conforming(&code) ? c->cpl : DESC_DPL(&code);
    if (vm && cpl != 0)
        return cpu_fault(c, EXC_GP, (sel & 0xfffcu) | ext);

    bool inner = cpl < c->cpl;
    unsigned words = (inner ? 5 : 3) + (vm ? 4 : 0) + e->has_error;
    struct stack st = stack_current(c);
    struct segment cs;
    st.error = ext;
    if (inner && !tss_inner_stack(c, cpl, ext, &st))
        return false;
    if (!stack_room(c, &st, words * size))
        return false;
    cs = desc_segment(sel, &code);
    if (!seg_check_ip(c, &cs, off, ext))
        return false;
    if (vm) {
        static const uint8_t order[4] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
        for (int k = 0; k < 4; k++)
            if (!stack_push(c, &st, size, c->seg[order[k]].sel))
                return false;
    }
    if (inner &&
        (!stack_push(c, &st, size, c->seg[SEG_SS].sel) || !stack_push(c, &st, size, c->gpr[RSP])))
        return false;
    if (!stack_push(c, &st, size, e->flags) || !stack_push(c, &st, size, c->seg[SEG_CS].sel) ||
        !stack_push(c, &st, size, c->rip))
        return false;
    if (e->has_error && !stack_push(c, &st, size, e->error))
        return false;
    if (!desc_set_accessed(c, sel, &code))
        return false;
    cs = desc_segment(sel, &code);
    if (vm) {
        static const uint8_t data[4] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
        for (int k = 0; k < 4; k++)
            c->seg[data[k]] = seg_null(0, 0);
    }
    enter(c, &cs, &st, off, !(type & 1), cpl);
    return true;
}

static bool deliver_long(struct cpu *c, const struct event *e)
{
    uint32_t ext = e->ext, idt_error = (uint32_t)e->vector * 8 + 2 + ext;
    struct {
        struct desc d;
        uint32_t off_hi, reserved;
    } gate;
    struct desc code;
    if ((uint32_t)e->vector * 16 + 15 > c->idtr.limit)
        return cpu_fault(c, EXC_GP, idt_error);
    if (!mem_sys_read(c, c->idtr.base + (uint32_t)e->vector * 16, &gate, 16))
        return false;
    unsigned type = DESC_TYPE(&gate.d);
    if (DESC_S(&gate.d) || (type != SYS_INT32 && type != SYS_TRAP32) ||
        (is_software(e->kind) && DESC_DPL(&gate.d) < c->cpl))
        return cpu_fault(c, EXC_GP, idt_error);
    if (!DESC_P(&gate.d))
        return cpu_fault(c, EXC_NP, idt_error);
    uint16_t sel = (uint16_t)(gate.d.lo >> 16);
    uint64_t off = (gate.d.lo & 0xffff) | (gate.d.hi & 0xffff0000u) | (uint64_t)gate.off_hi << 32;
    unsigned ist = gate.d.hi & 7;
    if (!gate_code(c, sel, ext, &code))
        return false;
    unsigned cpl = desc_is_conforming(&code) ? c->cpl : DESC_DPL(&code);
    bool inner = cpl < c->cpl;
    uint64_t rsp = c->gpr[RSP];
    if ((inner || ist) && !tss_stack64(c, cpl, ist, ext, &rsp))
        return false;
    struct segment ss = inner ? seg_null((uint16_t)cpl, cpl) : c->seg[SEG_SS];
    struct stack st = stack_new(&ss, rsp & ~15ull, true, ext);
    struct segment cs = desc_segment(sel, &code);
    st.system = cpl != 3;
    if (!seg_check_ip(c, &cs, off, ext))
        return false;
    if (!stack_push(c, &st, 8, c->seg[SEG_SS].sel) || !stack_push(c, &st, 8, c->gpr[RSP]) ||
        !stack_push(c, &st, 8, e->flags) || !stack_push(c, &st, 8, c->seg[SEG_CS].sel) ||
        !stack_push(c, &st, 8, c->rip))
        return false;
    if (e->has_error && !stack_push(c, &st, 8, e->error))
        return false;
    if (!desc_set_accessed(c, sel, &code))
        return false;
    cs = desc_segment(sel, &code);
    enter(c, &cs, &st, off, !(type & 1), cpl);
    return true;
}

static bool deliver(struct cpu *c, const struct event *e)
{
    if (log_on(LOG_INT))
        log_mask(
            LOG_INT,
            "int %02x kind %d error %x cpl %d cs:rip %04x:%016llx ss:rsp %04x:%016llx cr2 %016llx",
            e->vector, e->kind, e->error, c->cpl, c->seg[SEG_CS].sel, (unsigned long long)c->rip,
            c->seg[SEG_SS].sel, (unsigned long long)c->gpr[RSP], (unsigned long long)c->cr2);
    c->exc_delivering_ext = e->ext;
    bool ok;
    if (!(c->cr0 & CR0_PE))
        ok = deliver_real(c, e);
    else if (cpu_long_mode(c))
        ok = deliver_long(c, e);
    else
        ok = deliver_protected(c, e);
    if (ok) {
        c->halted = false;
        c->shadow = c->shadow_ss = false;
        c->step = false;
    }
    return ok;
}

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum fault_class classify(int vector)
{
    switch (vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP: return CONTRIBUTORY;
    case EXC_PF: return PAGE_FAULT;
    case EXC_DF: return DOUBLE_FAULT;
    default: return BENIGN;
    }
}

static bool becomes_double(int first, int second)
{
    enum fault_class a = classify(first), b = classify(second);
    return (a == CONTRIBUTORY && b == CONTRIBUTORY) ||
           (a == PAGE_FAULT && (b == CONTRIBUTORY || b == PAGE_FAULT));
}

/* Shutdown: the processor stops until RESET#; a PC's chipset then resets it. */
static void shut_down(struct cpu *c)
{
    log_mask(LOG_CPU_RESET, "triple fault at %04x:%016llx", c->seg[SEG_CS].sel,
             (unsigned long long)c->rip);
    c->triple_fault = true;
    c->halted = true;
    c->exc_delivering = -1;
    cpu_raise_intr(c, CPU_INTR_EXIT);
}

void exc_deliver_pending(struct cpu *c)
{
    while (c->exc.pending) {
        struct event e = { .vector = c->exc.vector, .kind = INT_EXTERNAL, .ext = 1 };
        e.has_error = c->exc.has_error && (c->cr0 & CR0_PE);
        e.error = c->exc.error;
        c->exc.pending = false;
        if (e.vector == EXC_PF)
            c->cr2 = c->exc.cr2;
        if (c->exc_delivering >= 0) {
            if (classify(c->exc_delivering) == DOUBLE_FAULT && classify(e.vector) != BENIGN) {
                shut_down(c);
                return;
            }
            if (becomes_double(c->exc_delivering, e.vector)) {
                e.vector = EXC_DF;
                e.has_error = (c->cr0 & CR0_PE) != 0;
                e.error = 0;
            }
        }
        e.flags = cpu_rflags(c);
        if (e.vector == EXC_DB) {
            dbg_deliver(c, &e.flags);
        } else {
            c->dr6_pending = 0; /* the instruction didn't complete */
            e.flags |= FL_RF;
        }
        c->exc_delivering = e.vector;
        if (deliver(c, &e))
            break;
    }
    c->exc_delivering = -1;
    c->exc_delivering_ext = false;
}

bool exc_interrupt(struct cpu *c, int vector, int kind)
{
    struct event e = {
        .vector = vector, .kind = kind, .ext = !is_software(kind), .flags = cpu_rflags(c)
    };
    if (kind == INT_SOFTWARE && cpu_vm86(c) && cpu_iopl(c) < 3)
        return cpu_fault(c, EXC_GP, 0);
    if (!deliver(c, &e))
        return false;
    if (kind == INT_PRIVILEGED_SOFTWARE)
        dbg_deliver(c, &e.flags); /* takes along a trap that MOV SS held back */
    return true;
}

/* An asynchronous interrupt; faults on the way are delivered in its place. */
static void interrupt(struct cpu *c, int vector)
{
    c->halted = false;
    if (!exc_interrupt(c, vector, INT_EXTERNAL)) {
        c->exc_delivering = -1;
        exc_deliver_pending(c);
    }
}

bool exc_take_interrupt(struct cpu *c)
{
    uint32_t intr = c->intr;
    if (intr & CPU_INTR_INIT) {
        if (!c->in_smm) {
            cpu_lower_intr(c, CPU_INTR_INIT);
            cpu_reset(c, true);
            return true;
        }
    }
    if (intr & CPU_INTR_SIPI) {
        cpu_lower_intr(c, CPU_INTR_SIPI);
        if (c->wait_sipi) {
            c->wait_sipi = c->halted = false;
            seg_load_real(c, SEG_CS, (uint16_t)(c->apic ? apic_sipi_vector(c->apic) << 8 : 0));
            c->rip = 0;
            return true;
        }
    }
    if (c->wait_sipi || c->shadow_ss)
        return false;
    if ((intr & CPU_INTR_SMI) && !c->in_smm) {
        cpu_lower_intr(c, CPU_INTR_SMI);
        smm_enter(c);
        return true;
    }
    if ((intr & CPU_INTR_NMI) && !c->nmi_blocked) {
        cpu_lower_intr(c, CPU_INTR_NMI);
        c->nmi_blocked = true;
        interrupt(c, EXC_NMI);
        return true;
    }
    if ((intr & CPU_INTR_HARD) && (c->rflags & FL_IF) && !c->shadow) {
        int vector = c->ack_interrupt ? c->ack_interrupt(c->ack_opaque) : -1;
        if (vector >= 0) {
            interrupt(c, vector & 0xff);
            return true;
        }
    }
    return false;
}
