/* Native builds run no translated code: see host.h. */
#include "host/host.h"

unsigned host_jit_support(void)
{
    return 0;
}
bool host_jit_init(void (*const *functions)(void), unsigned count, const uint8_t *chain, size_t len,
                   uint32_t slot)
{
    return false;
}
bool host_jit_install(const uint8_t *module, size_t len, const uint32_t *slots, unsigned count)
{
    return false;
}
void host_jit_took_long(void)
{
}
uint32_t host_jit_slots(uint32_t count)
{
    return 0;
}
void host_jit_clear(uint32_t slot, void (*stub)(void))
{
}
