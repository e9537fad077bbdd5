/*
 * State of the x87: checks of waiting instructions, error signalling, control, status and tag
 * words.
 *
 * An unmasked exception is only recorded (FSW.ES and B) by the instruction that meets it. With
 * CR0.NE the next waiting x87 or MMX instruction raises #MF. Without it the chipset is told at once
 * through c->ferr, which raises IRQ 13; a waiting instruction then executes as if IGNNE# were
 * asserted, since the interrupt has been taken by then or is masked.
 *
 * Follows SDM vol. 1, chapter 8 and vol. 3, 2.5.
 */
#include "cpu/x87.h"

bool x87_check_slow(struct cpu *c)
{
    if (c->cr0 & (CR0_EM | CR0_TS))
        return cpu_fault_noerr(c, EXC_NM);
    if ((c->fsw & FSW_ES) && (c->cr0 & CR0_NE))
        return cpu_fault_noerr(c, EXC_MF);
    return true;
}

bool x87_mmx_check(struct cpu *c)
{
    if (unlikely(c->cr0 & CR0_EM))
        return cpu_fault_noerr(c, EXC_UD);
    return x87_check(c);
}

/* ES and B follow from flags and masks; true if they are set now. */
static bool update_summary(struct cpu *c)
{
    bool pending = (c->fsw & ~c->fcw & FPX_ALL) != 0;
    if (pending)
        c->fsw |= FSW_ES | FSW_B;
    else
        c->fsw &= (uint16_t) ~(FSW_ES | FSW_B);
    return pending;
}

enum exec x87_raise_slow(struct cpu *c, unsigned flags)
{
    c->fsw |= (uint16_t)flags;
    if (update_summary(c) && !(c->cr0 & CR0_NE) && c->ferr) {
        c->ferr(c->ferr_opaque);
        return EXEC_STOP;
    }
    return EXEC_NEXT;
}

void x87_set_fsw(struct cpu *c, uint16_t v)
{
    c->ftop = v >> 11 & 7;
    c->fsw = v & (uint16_t)~FSW_TOP;
    update_summary(c);
}

void x87_set_fcw(struct cpu *c, uint16_t v)
{
    c->fcw = (v & 0x1f3f) | 0x40;
    update_summary(c);
}

uint16_t x87_tag_word(const struct cpu *c)
{
    unsigned word = 0;
    for (unsigned reg = 0; reg < 8; reg++) {
        struct f80 v = c->st[reg];
        unsigned exp = v.se & 0x7fff, tag;
        if (!(c->ftag >> reg & 1))
            tag = 3;
        else if (exp == 0 && v.frac == 0)
            tag = 1;
        else if (exp == 0 || exp == 0x7fff || !(v.frac >> 63))
            tag = 2;
        else
            tag = 0;
        word |= tag << (reg * 2);
    }
    return (uint16_t)word;
}

void x87_init(struct cpu *c)
{
    c->fcw = 0x37f;
    c->fsw = 0;
    c->ftop = 0;
    c->ftag = 0;
    c->fop = 0;
    c->fip = c->fdp = 0;
    c->fcs = c->fds = 0;
}
