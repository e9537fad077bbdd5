/* Modules made at run time: JavaScript compiles them (jit.js). See host.h. */
#include "cpu/cpu.h"
#include "host/host.h"
#include "host/wasm.h"
#include "machine.h"

unsigned host_jit_support(void)
{
    static int support = -1;
    if (support < 0)
        support = slipway_js_jit_support();
    return (unsigned)support;
}
bool host_jit_init(void (*const *functions)(void), unsigned count, const uint8_t *chain, size_t len,
                   uint32_t slot)
{
    return slipway_js_jit_init(functions, count, chain, len, slot);
}
void host_jit_took_long(void)
{
    /* Not where the host's time must not decide where the CPU stops. */
    struct machine *m = loop_machine();
    if (m && m->clock.icount_shift < 0)
        cpu_raise_intr(m->cpus[0], CPU_INTR_EXIT);
}
bool host_jit_install(const uint8_t *module, size_t len, const uint32_t *slots, unsigned count)
{
    host_jit_took_long();
    return slipway_js_jit_install(module, len, slots, count);
}
uint32_t host_jit_slots(uint32_t count)
{
    return slipway_js_jit_slots(count);
}
void host_jit_clear(uint32_t slot, void (*stub)(void))
{
    slipway_js_jit_clear(slot, stub);
}
