/*
 * Weak stand-ins, so that the test of a device links without the parts of the machine that it
 * doesn't need. The linker searches the core first and comes here only for what is missing there.
 */
#include "block/block.h"
#include "char/char.h"
#include "cpu/cpu.h"
#include "machine.h"
#include "options.h"
#include "ui/display.h"

#define WEAK __attribute__((weak))

WEAK struct cpu *cpu_new(struct machine *m, int index, const char *model_spec, struct error *err)
{
    return NULL;
}
WEAK void cpu_free(struct cpu *c)
{
}
WEAK void cpu_reset(struct cpu *c, bool init)
{
}
WEAK void cpu_run(struct cpu *c, int32_t max_insns, int32_t max_slow)
{
}
WEAK void cpu_raise_intr(struct cpu *c, uint32_t bits)
{
    c->intr |= bits;
}
WEAK void cpu_lower_intr(struct cpu *c, uint32_t bits)
{
    c->intr &= ~bits;
}
WEAK void cpu_set_a20(struct cpu *c, bool on)
{
    c->a20 = on;
}
WEAK void tlb_flush(struct cpu *c, bool globals)
{
}
WEAK void mem_note_write(struct mem_region *r, uint64_t offset, size_t len)
{
    mem_region_mark_dirty(r, offset, len);
}
WEAK uint64_t cpu_tsc(struct cpu *c)
{
    return 0;
}
WEAK struct chardev *chr_find(struct machine *m, const char *id)
{
    return NULL;
}
WEAK void blk_close(struct blk *b)
{
}
WEAK struct display *display_new(struct machine *m)
{
    return NULL;
}
WEAK bool pc_build(struct machine *m, struct error *err)
{
    return true;
}
WEAK bool parse_size(const char *text, unsigned def_shift, uint64_t *bytes)
{
    return false;
}
