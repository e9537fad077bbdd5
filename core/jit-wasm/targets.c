/* Where indirect jumps went. See targets.h. */
#include "jit-wasm/targets.h"

#include <stddef.h>

#define SITES 512u

static struct targets sites[SITES];

static struct targets *site_of(uintptr_t jump)
{
    return &sites[(jump ^ jump >> 9) & (SITES - 1)];
}

bool targets_note(uintptr_t jump, int64_t distance)
{
    struct targets *t = site_of(jump);
    if (distance < -TARGETS_REACH || distance >= TARGETS_REACH)
        return false;
    if (t->jump != jump)
        *t = (struct targets){ .jump = jump };
    unsigned k = 0;
    while (k < t->count && t->distance[k] != distance)
        k++;
    bool is_new = k == t->count;
    if (is_new) {
        k = k < TARGETS_MAX ? k : TARGETS_MAX - 1; /* instead of the least frequent one */
        t->count = (uint8_t)(k + 1);
    }
    unsigned to = is_new ? k : k / 2;
    t->distance[k] = t->distance[to];
    t->distance[to] = (int16_t)distance;
    return is_new;
}

struct targets *targets_of(uintptr_t jump)
{
    struct targets *t = site_of(jump);
    return t->jump == jump && t->count ? t : NULL;
}

struct targets *targets_for(uintptr_t jump, uintptr_t home)
{
    struct targets *t = targets_of(jump);
    return t && (!t->home || t->home == home) ? t : NULL;
}

void targets_claim(uintptr_t jump, uintptr_t home)
{
    struct targets *t = targets_of(jump);
    if (t)
        t->home = home;
}

void targets_release(uintptr_t jump, uintptr_t home)
{
    struct targets *t = targets_of(jump);
    if (t && t->home == home)
        t->home = 0;
}
