/* Modules made at run time: JavaScript compiles them (jit.js). See host.h. */
#include "host/host.h"
#include "host/wasm.h"

unsigned host_jit_support(void)
{
    static int support = -1;
    if (support < 0)
        support = slipway_js_jit_support();
    return (unsigned)support;
}
bool host_jit_install(const uint8_t *module, size_t len)
{
    return slipway_js_jit_install(module, len);
}
uint32_t host_jit_slots(uint32_t count)
{
    return slipway_js_jit_slots(count);
}
void host_jit_clear(uint32_t slot, void (*stub)(void))
{
    slipway_js_jit_clear(slot, stub);
}
