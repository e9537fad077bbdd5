/* Regions that wait, and modules. See batch.h. */
#include "jit-wasm/batch.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "host/host.h"

/* Regions and bytes of a module: more make a pause that can be noticed, about 0.15 ms a KB. */
enum { BATCH_MAX = 32, BATCH_BYTES = 48 << 10 };
/* Bytes of WebAssembly in modules that have regions; machine code is about eight times as much. */
enum { MODULES_MAX = 24 << 20, EPOCH_BYTES = 1 << 20 };

struct jit_module {
    struct jit_module *next, *prev;
    struct region *regions; /* linked by module_next */
    unsigned live;
    uint32_t bytes, epoch; /* last use */
};

static struct {
    struct region *region; /* NULL: was dropped */
    struct wbuf body;
    uint32_t *hints;
    unsigned hint_count;
} waiting[BATCH_MAX];
static unsigned count;
static size_t bytes;

static struct jit_module *modules;
static size_t held, epoch_start;
static uint32_t epoch;

bool batch_add(struct region *r, struct emit *e)
{
    size_t size = e->hint_count * sizeof e->hints[0];
    uint32_t *hints = malloc(size + 1);
    if (!hints)
        return false;
    memcpy(hints, e->hints, size);
    waiting[count].region = r;
    waiting[count].body = e->b;
    waiting[count].hints = hints;
    waiting[count].hint_count = e->hint_count;
    bytes += e->b.len;
    count++;
    e->b = (struct wbuf){ 0 };
    return true;
}

bool batch_full(void)
{
    return count == BATCH_MAX || bytes >= BATCH_BYTES;
}

/* ---- modules ---- */

static void unlink_module(struct jit_module *m)
{
    if (m->prev)
        m->prev->next = m->next;
    else
        modules = m->next;
    if (m->next)
        m->next->prev = m->prev;
    held -= m->bytes;
    free(m);
}

void batch_used(struct region *r)
{
    if (r->module)
        r->module->epoch = epoch;
}

void batch_drop(struct region *r)
{
    struct jit_module *m = r->module;
    for (unsigned k = 0; k < count; k++)
        if (waiting[k].region == r)
            waiting[k].region = NULL;
    if (!m)
        return;
    struct region **at = &m->regions;
    while (*at != r)
        at = &(*at)->module_next;
    *at = r->module_next;
    if (--m->live == 0)
        unlink_module(m);
}

/* Drops the regions of @m, and so the module. They may get hot again. */
static void drop_module(struct cpu *c, struct jit_module *m)
{
    for (unsigned n = m->live; n > 0; n--) {
        block_set_heat(c, m->regions->key.code, block_heat);
        cache_drop(m->regions);
    }
}

static void evict(struct cpu *c)
{
    while (modules && held > MODULES_MAX / 4 * 3) {
        struct jit_module *oldest = modules;
        for (struct jit_module *m = modules; m; m = m->next)
            if ((int32_t)(m->epoch - oldest->epoch) <= 0) /* the list starts with the newest */
                oldest = m;
        cache_stats.evicted += oldest->live;
        drop_module(c, oldest);
    }
}

/* A new module of @size bytes for the regions that wait, which have their slots. */
static bool make_module(size_t size)
{
    struct jit_module *m = calloc(1, sizeof *m);
    if (!m)
        return false;
    *m = (struct jit_module){ .next = modules, .bytes = (uint32_t)size, .epoch = epoch };
    if (modules)
        modules->prev = m;
    modules = m;
    held += size;
    epoch_start += size;
    for (unsigned k = 0; k < count; k++) {
        struct region *r = waiting[k].region;
        if (!r)
            continue;
        r->module = m;
        r->module_next = m->regions;
        m->regions = r;
        m->live++;
    }
    if (epoch_start >= EPOCH_BYTES) {
        epoch_start = 0;
        epoch++;
        memset(jit_jumps, 0, sizeof jit_jumps);
    }
    return true;
}

/* ---- installing ---- */

/* Frees those that were dropped and closes the gaps. */
static void compact(void)
{
    unsigned n = 0;
    for (unsigned k = 0; k < count; k++) {
        if (waiting[k].region) {
            waiting[n++] = waiting[k];
            continue;
        }
        wb_free(&waiting[k].body);
        free(waiting[k].hints);
    }
    count = n;
}

static void forget_all(void)
{
    for (unsigned k = 0; k < count; k++)
        waiting[k].region = NULL;
    compact();
    bytes = 0;
}

void batch_install(struct cpu *c)
{
    struct wasm_code codes[BATCH_MAX];
    uint32_t slots[BATCH_MAX];
    struct wbuf module = { 0 };
    compact();
    bool ok = true;
    int64_t start = host_monotonic_ns();
    for (unsigned k = 0; k < count; k++) {
        codes[k] = (struct wasm_code){ &waiting[k].body, waiting[k].hints, waiting[k].hint_count };
        slots[k] = cache_slot();
        struct region *r = waiting[k].region;
        r->slot = slots[k];
        for (unsigned n = 0; n < r->self_call_count; n++)
            wb_patch(&waiting[k].body, r->self_calls[n], IM_COUNT + k);
        ok &= slots[k] != 0;
    }
    if (count) {
        chain_module(&module, codes, count);
        ok = ok && !module.failed && host_jit_install(module.data, module.len, slots, count) &&
             make_module(module.len);
        cache_stats.modules += ok;
    }
    wb_free(&module);
    for (unsigned k = 0; k < count; k++) {
        struct region *r = waiting[k].region;
        if (ok)
            block_set_heat(c, r->key.code, 0);
        else
            cache_drop(r); /* clears waiting[k].region */
    }
    forget_all();
    jit_stats.install_ns += host_monotonic_ns() - start;
    if (held > MODULES_MAX)
        evict(c);
}
