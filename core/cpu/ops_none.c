/* Empty tables for the instruction groups that haven't landed yet. */
#include "cpu/decode.h"
#define NONE(n) const struct opcode_table n __attribute__((weak)) = { NULL, 0 }
NONE(opcodes_sys);
NONE(opcodes_x87);
NONE(opcodes_sse);
NONE(opcodes_sse4);
NONE(opcodes_ssefp);

/* Far transfers, tasks, SMM and CPUID likewise. */
#include "cpu/cpuid.h"
#define WEAK __attribute__((weak))
WEAK void cpu_cpuid(struct cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    (void)c, (void)leaf, (void)sub;
    out[0] = out[1] = out[2] = out[3] = 0;
}
WEAK bool cpu_model_apply(struct cpu *c, const char *spec, struct error *err)
{
    (void)spec, (void)err;
    for (unsigned k = 0; k < 8; k++)
        c->features[k] = ~0u;
    return true;
}
WEAK bool task_switch(struct cpu *c, uint16_t sel, enum task_switch how, uint64_t next, bool has,
                      uint32_t error)
{
    (void)sel, (void)how, (void)next, (void)has, (void)error;
    return cpu_fault_noerr(c, EXC_UD);
}
WEAK void smm_enter(struct cpu *c)
{
    (void)c;
}
WEAK bool far_jump(struct cpu *c, uint16_t sel, uint64_t off, int osz, uint64_t next)
{
    (void)sel, (void)off, (void)osz, (void)next;
    return cpu_fault_noerr(c, EXC_UD);
}
WEAK bool far_call(struct cpu *c, uint16_t sel, uint64_t off, int osz, uint64_t next)
{
    (void)sel, (void)off, (void)osz, (void)next;
    return cpu_fault_noerr(c, EXC_UD);
}
WEAK bool far_ret(struct cpu *c, int osz, uint16_t pop)
{
    (void)osz, (void)pop;
    return cpu_fault_noerr(c, EXC_UD);
}
WEAK bool far_iret(struct cpu *c, int osz)
{
    (void)osz;
    return cpu_fault_noerr(c, EXC_UD);
}
