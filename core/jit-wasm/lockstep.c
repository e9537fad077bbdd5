/* Translated code against the interpreter: see lockstep.h. */
#include "jit-wasm/lockstep.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "cpu/flags.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "jit-wasm/cache.h"

#define MAX_INSNS   2000 /* of one comparison */
#define MAX_WRITES  65536
#define STATE_BYTES offsetof(struct cpu, jump_context)

struct write {
    uintptr_t host;
    uint8_t size;
    uint8_t old[16], fresh[16];
};

/* State of struct cpu that instructions change: all before the caches. (Of a whole struct, so that
 * it can be looked at as one.) */
struct state {
    _Alignas(struct cpu) uint8_t bytes[sizeof(struct cpu)];
};

static struct write writes[MAX_WRITES];
static unsigned write_count;
static bool recording, tainted;

void lockstep_write(uintptr_t host, unsigned size)
{
    if (!recording)
        return;
    if (write_count == MAX_WRITES) {
        tainted = true;
        return;
    }
    struct write *w = &writes[write_count++];
    w->host = host;
    w->size = (uint8_t)size;
    memcpy(w->old, (const void *)host, size);
}

void lockstep_device(void)
{
    tainted = true;
}

static const struct cpu *view(const struct state *s)
{
    return (const struct cpu *)s->bytes;
}
static void save(struct state *s, const struct cpu *c)
{
    memcpy(s->bytes, c, STATE_BYTES);
}
static void restore(struct cpu *c, const struct state *s)
{
    memcpy(c, s->bytes, STATE_BYTES);
}

static void put_back(unsigned count)
{
    for (unsigned k = count; k > 0; k--) {
        struct write *w = &writes[k - 1];
        memcpy((void *)w->host, w->old, w->size);
        block_note_write(w->host, w->size);
    }
}

static void print_state(const char *name, const struct cpu *c)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    fprintf(stderr, "%s: rip %llx flags %x\n", name, (unsigned long long)c->rip, cpu_rflags(c));
    for (int k = 0; k < 16; k++)
        fprintf(stderr, "%4s %016llx%s", names[k], (unsigned long long)c->gpr[k],
                k % 4 == 3 ? "\n" : "");
    for (int k = 0; k < 16; k++)
        if (c->xmm[k].u64[0] | c->xmm[k].u64[1])
            fprintf(stderr, " x%-2d %016llx%016llx\n", k, (unsigned long long)c->xmm[k].u64[1],
                    (unsigned long long)c->xmm[k].u64[0]);
    for (int k = 0; k < 8; k++)
        if (c->st[k].se || c->st[k].frac)
            fprintf(stderr, " st%d %04x:%016llx\n", k, c->st[k].se,
                    (unsigned long long)c->st[k].frac);
    fprintf(stderr, " fcw %04x fsw %04x top %d tag %02x mxcsr %x", c->fcw, c->fsw, c->ftop, c->ftag,
            c->mxcsr);
    if (c->exc.pending)
        fprintf(stderr, " exception %d(%x) cr2 %llx", c->exc.vector, c->exc.error,
                (unsigned long long)c->exc.cr2);
    fprintf(stderr, "\n");
}

static const char *difference(const struct cpu *a, const struct cpu *b)
{
    if (memcmp(a->gpr, b->gpr, 16 * sizeof a->gpr[0]))
        return "a general register";
    if (a->rip != b->rip)
        return "rip";
    if (cpu_rflags(a) != cpu_rflags(b))
        return "flags";
    for (int k = 0; k < 16; k++)
        if (a->xmm[k].u64[0] != b->xmm[k].u64[0] || a->xmm[k].u64[1] != b->xmm[k].u64[1])
            return "an XMM register";
    if (a->mxcsr != b->mxcsr)
        return "MXCSR";
    for (int k = 0; k < 8; k++)
        if (a->st[k].frac != b->st[k].frac || a->st[k].se != b->st[k].se)
            return "an x87 register";
    if (a->fcw != b->fcw || a->fsw != b->fsw || a->ftop != b->ftop || a->ftag != b->ftag)
        return "x87 state";
    if (a->exc.pending != b->exc.pending)
        return "an exception";
    if (a->exc.pending && (a->exc.vector != b->exc.vector || a->exc.error != b->exc.error ||
                           (a->exc.vector == EXC_PF && a->exc.cr2 != b->exc.cr2)))
        return "the exception";
    return NULL;
}

/* What the interpreter ran, and what the region is made of. */
static void print_code(struct cpu *c, uint64_t rip, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        uint8_t bytes[15];
        char text[128];
        uint64_t la = (c->seg_base[SEG_CS] + rip) & c->la_mask;
        unsigned n = 0;
        while (n < sizeof bytes) {
            uintptr_t host = tlb_probe_code(c, la + n);
            if (!host)
                break;
            bytes[n++] = *(const uint8_t *)host;
        }
        n = disasm(text, sizeof text, bytes, n, c->mode & MODE_CODE_MASK, rip);
        fprintf(stderr, "  %llx: %s\n", (unsigned long long)rip, text);
        if (!n)
            break;
        rip += n;
    }
}

static _Noreturn void stop(struct cpu *c, const char *what, const struct state *before,
                           const struct state *jit, uint64_t insns, const char *trail)
{
    struct state now;
    save(&now, c);
    fprintf(stderr, "slipway: lockstep: %s differs after %llu instructions\n", what,
            (unsigned long long)insns);
    print_state("before", view(before));
    print_state("translated", view(jit));
    print_state("interpreted", c);
    fprintf(stderr, "last instructions:\n%s", trail);
    fprintf(stderr, "code from the entry:\n");
    print_code(c, view(before)->rip, 40);
    _Exit(3);
}

/* The last instructions that the interpreter ran, for the report. */
static struct {
    uint64_t rip[16];
    unsigned count;
} trail;

static const char *trail_text(struct cpu *c)
{
    static char text[2048];
    size_t at = 0;
    for (unsigned k = trail.count > 16 ? trail.count - 16 : 0; k < trail.count; k++) {
        uint64_t la = (c->seg_base[SEG_CS] + trail.rip[k % 16]) & c->la_mask;
        uint8_t bytes[15];
        char line[100];
        unsigned n = 0;
        for (uintptr_t host; n < sizeof bytes && (host = tlb_probe_code(c, la + n)) != 0;)
            bytes[n++] = *(const uint8_t *)host;
        disasm(line, sizeof line, bytes, n, c->mode & MODE_CODE_MASK, trail.rip[k % 16]);
        at += (size_t)snprintf(text + at, sizeof text - at, "  %llx: %s\n",
                               (unsigned long long)trail.rip[k % 16], line);
        if (at >= sizeof text)
            break;
    }
    return text;
}

static enum exec interpret(struct cpu *c)
{
    trail.rip[trail.count++ % 16] = c->rip;
    return interp_one(c);
}

bool lockstep_enter(struct cpu *c, uint32_t slot)
{
    static struct state before, jit;
    int32_t rest = c->budget > MAX_INSNS ? c->budget - MAX_INSNS : 0;
    c->budget -= rest;
    c->icount -= (uint64_t)rest;
    save(&before, c);
    uint64_t start = cpu_icount(c);
    write_count = 0;
    tainted = false;
    recording = true;
    ((region_fn *)(uintptr_t)slot)(c->rip, JIT_DEPTH);
    recording = false;
    int status = jit_shared.status;
    bool on = jit_left(c);
    jit_release_budget(c);
    uint64_t insns = cpu_icount(c) - start;
    if (tainted)
        goto out;
    save(&jit, c);
    unsigned jit_writes = write_count;
    for (unsigned k = 0; k < jit_writes; k++)
        memcpy(writes[k].fresh, (const void *)writes[k].host, writes[k].size);
    put_back(jit_writes);
    restore(c, &before);

    recording = true;
    trail.count = 0;
    enum exec r = EXEC_NEXT;
    for (uint64_t k = 0; k < insns && r != EXEC_FAULT; k++)
        r = interpret(c);
    if ((status == EXEC_FAULT || status == EXEC_AGAIN) && r != EXEC_FAULT)
        r = interpret(c);
    recording = false;
    if (tainted)
        goto out;
    const char *what = difference(view(&jit), c);
    for (unsigned k = 0; !what && k < write_count; k++) {
        const struct write *w = &writes[k];
        if (k < jit_writes && memcmp((const void *)w->host, w->fresh, w->size))
            what = "memory";
    }
    if (what)
        stop(c, what, &before, &jit, insns, trail_text(c));
out:
    c->budget += rest;
    c->icount += (uint64_t)rest;
    return on;
}
