/*
 * The differential fuzzer: random instructions, built from the decoder's own tables, on the host's
 * processor and in the emulator; everything that is architecturally defined must be the same
 * afterwards.
 *
 *   host_fuzz [-n CASES] [-s SEED] [-m 64|32] [-o MNEMONIC] [-k] [-v]
 *     -o  only rows of this mnemonic      -k  go on after differences (at most 20 are printed)
 *     -v  the table of cases a group at the end
 *
 * A case is a row of the table, random legal encoding, random registers, flags, x87, SSE and memory
 * contents. Memory operands are aimed: after encoding, a register or the displacement is chosen so
 * that the address falls into the data area (with some that cross its pages or leave it). Both
 * sides have the same few pages at the same linear addresses: code, data, nothing else. Undefined
 * flags are masked by the row's fl_undef; x87 instruction and data pointers aren't compared (newer
 * parts keep them only for unmasked exceptions).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/block.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "cpu/x87.h"
#include "host_cpu.h"

#define CODE      0x10000000ull
#define CODE_SIZE 0x2000u
#define DATA      0x20000000ull
#define DATA_SIZE 0x4000u
#define TABLES    0x1000ull
#define MXCSR_ALL 0xffffu

static uint64_t rng_state;
static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
static unsigned below(unsigned n)
{
    return (unsigned)(rnd() % n);
}
static bool chance(unsigned one_in)
{
    return below(one_in) == 0;
}

/* Values that arithmetic finds interesting. */
static uint64_t interesting(void)
{
    static const uint64_t special[] = { 0,
                                        1,
                                        2,
                                        0x7f,
                                        0x80,
                                        0xff,
                                        0x7fff,
                                        0x8000,
                                        0xffff,
                                        0x7fffffff,
                                        0x80000000,
                                        0xffffffff,
                                        0x7fffffffffffffff,
                                        0x8000000000000000,
                                        ~0ull,
                                        0x3f800000,
                                        0x3ff0000000000000,
                                        0x7ff0000000000000,
                                        0x7ff8000000000000,
                                        0x7ff0000000000001,
                                        0x7f8000007f800001,
                                        0x0010000000000000,
                                        0x000fffffffffffff,
                                        0x4330000000000000,
                                        0x00800000007fffff,
                                        0x8000000000000001,
                                        0xc3e0000000000000,
                                        0x41dfffffffc00000 };
    switch (below(4)) {
    case 0: return special[below(sizeof special / sizeof special[0])];
    case 1: return rnd() >> below(64);
    case 2: return special[below(sizeof special / sizeof special[0])] + below(5) - 2;
    default: return rnd();
    }
}
/* A double near 1, so that results are neither all overflow nor all rounding to one operand. */
static uint64_t plain_float(void)
{
    uint64_t e = 0x3ff + below(64) - 32;
    return (rnd() & 0x800fffffffffffffull) | e << 52;
}

/* ---- the emulator's side: RAM at the same addresses, long mode, CPL 3 ---- */

static struct mem_space mem, io;
static struct mem_region code_ram, data_ram, table_ram;
static struct cpu *cpu;
static uint8_t *host_code = (uint8_t *)CODE, *host_data = (uint8_t *)DATA;
static uint8_t *guest_code, *guest_data;

static void map_tables(void)
{
    uint64_t *pml4 = (uint64_t *)table_ram.host, *pdpt = pml4 + 512, *pd = pdpt + 512,
             *pt_code = pd + 512, *pt_data = pt_code + 512;
    pml4[0] = (TABLES + 0x1000) | 7;
    pdpt[0] = (TABLES + 0x2000) | 7;
    pd[CODE >> 21] = (TABLES + 0x3000) | 7;
    pd[DATA >> 21] = (TABLES + 0x4000) | 7;
    for (unsigned p = 0; p < CODE_SIZE / 4096; p++)
        pt_code[(CODE >> 12 & 511) + p] = (CODE + p * 4096) | 7;
    for (unsigned p = 0; p < DATA_SIZE / 4096; p++)
        pt_data[(DATA >> 12 & 511) + p] = (DATA + p * 4096) | 7;
}

static void make_emulator(void)
{
    struct error err = { "" };
    mem_space_init(&mem, "memory", 1ull << 40);
    mem_space_init(&io, "io", 0x10000);
    if (!mem_region_init_ram(&code_ram, "code", CODE_SIZE, NULL) ||
        !mem_region_init_ram(&data_ram, "data", DATA_SIZE, NULL) ||
        !mem_region_init_ram(&table_ram, "tables", 0x5000, NULL))
        exit(2);
    mem_region_add(&mem, &code_ram, CODE, 0);
    mem_region_add(&mem, &data_ram, DATA, 0);
    mem_region_add(&mem, &table_ram, TABLES, 0);
    guest_code = code_ram.host;
    guest_data = data_ram.host;
    map_tables();
    cpu = cpu_new(NULL, 0, "max", &err);
    if (!cpu) {
        fprintf(stderr, "%s\n", err.msg);
        exit(2);
    }
    cpu->mem = &mem;
    cpu->io = &io;
}

static void set_mode(bool compat32)
{
    struct cpu *c = cpu;
    c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    c->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->cr3 = TABLES;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    c->cpl = 3;
    c->rflags = 2 | FL_IF;
    struct segment code = { .sel = compat32 ? 0x23 : 0x33,
                            .attr = 0xfb | SEG_G | (compat32 ? SEG_DB : SEG_L),
                            .limit = ~0u };
    struct segment data = { .sel = 0x2b, .attr = 0xf3 | SEG_G | SEG_DB, .limit = ~0u };
    for (int s = 0; s < 6; s++)
        c->seg[s] = data;
    c->seg[SEG_CS] = code;
    cpu_update_mode(c);
    for (int s = 0; s < 6; s++)
        seg_update(c, s);
    tlb_flush(c, true);
}

static void load_emulator(const struct host_state *s)
{
    struct cpu *c = cpu;
    memcpy(c->gpr, s->gpr, sizeof s->gpr);
    c->rip = s->rip;
    cpu_set_rflags(c, (uint32_t)s->rflags | FL_IF);
    cpu_update_mode(c);
    memcpy(&c->mxcsr, s->fx + 24, 4);
    memcpy(c->xmm, s->fx + 160, 256);
    uint16_t fcw, fsw;
    memcpy(&fcw, s->fx, 2);
    memcpy(&fsw, s->fx + 2, 2);
    x87_set_fcw(c, fcw);
    x87_set_fsw(c, fsw);
    c->ftag = s->fx[4];
    for (unsigned k = 0; k < 8; k++) {
        struct f80 *r = &c->st[(c->ftop + k) & 7];
        memcpy(&r->frac, s->fx + 32 + 16 * k, 8);
        memcpy(&r->se, s->fx + 40 + 16 * k, 2);
    }
    c->exc.pending = false;
    c->dr6_pending = 0;
    c->shadow = c->shadow_ss = false;
    c->budget = 1 << 20;
}

static void take_emulator(struct host_state *s)
{
    struct cpu *c = cpu;
    memcpy(s->gpr, c->gpr, sizeof s->gpr);
    s->rip = c->rip;
    s->rflags = cpu_rflags(c);
    memcpy(s->fx + 24, &c->mxcsr, 4);
    memcpy(s->fx + 160, c->xmm, 256);
    uint16_t fsw = x87_fsw(c);
    memcpy(s->fx, &c->fcw, 2);
    memcpy(s->fx + 2, &fsw, 2);
    s->fx[4] = c->ftag;
    for (unsigned k = 0; k < 8; k++) {
        const struct f80 *r = &c->st[(c->ftop + k) & 7];
        memcpy(s->fx + 32 + 16 * k, &r->frac, 8);
        memcpy(s->fx + 40 + 16 * k, &r->se, 2);
    }
    s->vector = c->exc.pending ? c->exc.vector : 1;
    s->error = c->exc.pending && c->exc.has_error ? c->exc.error : 0;
    s->cr2 = c->exc.cr2;
}

/* ---- making a case ---- */

struct fuzz_case {
    const struct opcode *row;
    uint8_t bytes[16];
    unsigned len;
    bool compat32;
    uint64_t target; /* aimed address, 0 none */
    struct host_state before;
};

/* What these store or load includes FIP, FDP, FOP or parts of the state that the emulator doesn't
 * have. Unit tests compare them. */
static bool environment(const struct opcode *o)
{
    static const char *const names[] = { "fxsave", "fnstenv",  "fnsave",
                                         "xsave",  "xsaveopt", "xrstor" };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (!strcmp(o->name, names[k]))
            return true;
    return false;
}

static bool row_usable(const struct opcode *o, bool compat32)
{
    if (environment(o))
        return false;
    if ((o->flags & (OP_NOFUZZ | OP_PRIV)) || (o->flags & (compat32 ? OP_ONLY64 : OP_NO64)))
        return false;
    return cpu_has(cpu->features, o->feature);
}

static bool has(const struct opcode *o, uint8_t operand)
{
    for (int k = 0; k < 4; k++)
        if (o->operands[k] == operand)
            return true;
    return false;
}
static bool is(const struct opcode *o, const char *name)
{
    return !strcmp(o->name, name);
}

static void put(struct fuzz_case *f, uint8_t b)
{
    f->bytes[f->len++] = b;
}
static void put_n(struct fuzz_case *f, uint64_t v, unsigned n)
{
    while (n--) {
        put(f, (uint8_t)v);
        v >>= 8;
    }
}

static uint64_t pick_target(const struct opcode *o)
{
    uint64_t t = DATA + 256 + below(DATA_SIZE - 768);
    if (chance(40))
        t = (t & ~0xfffull) + 4096 - below(20); /* crosses a page, or the end of the area */
    if (has(o, OPD_Wx) || has(o, OPD_Mx) || has(o, OPD_Mfx) || is(o, "cmpxchg16b"))
        if (!chance(16))
            t &= ~15ull;
    return t;
}

/* ModRM, SIB and displacement for a memory operand, and the registers that make it hit @target. */
static void put_memory(struct fuzz_case *f, unsigned reg, unsigned *rex, uint64_t target,
                       bool addr32)
{
    struct host_state *s = &f->before;
    uint64_t mask = f->compat32 || addr32 ? 0xffffffffu : ~0ull;
    unsigned mod = below(3), rm = below(8), base = rm | (*rex & 1) << 3;
    int32_t disp = 0;
    if (rm == 4) {
        unsigned sib = (unsigned)rnd() & 0xff, index = ((sib >> 3) & 7) | (*rex & 2) << 2,
                 scale = sib >> 6;
        base = (sib & 7) | (*rex & 1) << 3;
        bool no_base = (sib & 7) == 5 && mod == 0;
        put(f, (uint8_t)(mod << 6 | reg << 3 | 4));
        if (index == base && !no_base && index != 4) {
            sib = (sib & ~0x38u) | 4u << 3; /* no index: one register can't be aimed twice */
            *rex &= ~2u;
            index = 4;
        }
        put(f, (uint8_t)sib);
        uint64_t offset = 0;
        if (index != 4) {
            if (no_base) { /* everything in the displacement: a small index */
                s->gpr[index] = below(256);
                offset = s->gpr[index] << scale;
            } else {
                offset = s->gpr[index] << scale;
            }
        }
        if (no_base) {
            disp = (int32_t)(target - offset);
            put_n(f, (uint32_t)disp, 4);
            return;
        }
        if (mod == 1)
            put_n(f, (uint8_t)(disp = (int8_t)rnd()), 1);
        else if (mod == 2)
            put_n(f, (uint32_t)(disp = (int32_t)rnd()), 4);
        s->gpr[base] = (target - offset - (uint64_t)(int64_t)disp) & mask;
        return;
    }
    put(f, (uint8_t)(mod << 6 | reg << 3 | rm));
    if (mod == 0 &&
        rm == 5) { /* disp32; RIP-relative in 64-bit mode: completed once the length is known */
        put_n(f, (uint32_t)target, 4);
        return;
    }
    if (mod == 1)
        put_n(f, (uint8_t)(disp = (int8_t)rnd()), 1);
    else if (mod == 2)
        put_n(f, (uint32_t)(disp = (int32_t)rnd()), 4);
    s->gpr[base] = (target - (uint64_t)(int64_t)disp) & mask;
}

static bool uses_modrm(const struct opcode *o)
{
    return o->reg != R_ANY || o->rm != R_ANY || o->mod != MOD_ANY || (o->flags & OP_MODRM);
}
static bool operand_memory_only(uint8_t p)
{
    return p == OPD_M || p == OPD_Mb || p == OPD_Mw || p == OPD_Md || p == OPD_Mq || p == OPD_Mx ||
           p == OPD_Mt || p == OPD_Mfx;
}
static bool operand_register_only(uint8_t p)
{
    return p == OPD_Nq || p == OPD_Ux || p == OPD_Rv || p == OPD_Ry;
}
static bool operand_modrm(uint8_t p)
{
    switch (p) {
    case OPD_NONE:
    case OPD_Zb:
    case OPD_Zv:
    case OPD_Ib:
    case OPD_Ibs:
    case OPD_Iw:
    case OPD_Iz:
    case OPD_Iv:
    case OPD_Ibw:
    case OPD_I1:
    case OPD_AL:
    case OPD_rAX:
    case OPD_eAX:
    case OPD_CL:
    case OPD_DX:
    case OPD_Xb:
    case OPD_Xv:
    case OPD_Yb:
    case OPD_Yv:
    case OPD_ST0: return false;
    default: return true;
    }
}

static void make_state(struct fuzz_case *f)
{
    struct host_state *s = &f->before;
    memset(s, 0, sizeof *s);
    for (int k = 0; k < 16; k++)
        s->gpr[k] = interesting();
    /* Where stack, string and XLAT operands are. */
    s->gpr[RSP] = DATA + 4096 + (below(4096) & ~7u) + (chance(8) ? below(8) : 0);
    s->gpr[RBP] = DATA + 4096 + (below(4096) & ~7u);
    s->gpr[RSI] = DATA + 512 + below(DATA_SIZE - 1024);
    s->gpr[RDI] = DATA + 512 + below(DATA_SIZE - 1024);
    if (f->compat32)
        for (int k = 0; k < 16; k++)
            s->gpr[k] = k < 8 ? (uint32_t)s->gpr[k] : 0;
    s->rflags = 2 | FL_IF | (rnd() & FL_ARITH) | (chance(8) ? FL_DF : 0) | (chance(64) ? FL_AC : 0);

    uint16_t fcw =
        (uint16_t)(0x37f ^ (chance(2) ? rnd() & 0xf00 : 0) ^ (chance(8) ? rnd() & 0x3f : 0));
    uint16_t fsw =
        (uint16_t)(rnd() & 0x7f7f); /* exceptions pending only where unmasked ones are wanted */
    if (!chance(16))
        fsw &= (uint16_t)(0xffc0 | (fcw & 0x3f));
    uint32_t mxcsr = 0x1f80 | (chance(2) ? rnd() & 0x3f : 0) | (chance(3) ? rnd() & 0x6000 : 0) |
                     (chance(8) ? 0x8000 : 0) | (chance(8) ? 0x40 : 0);
    if (chance(8))
        mxcsr &= ~(uint32_t)(rnd() & 0x1f80);
    memcpy(s->fx, &fcw, 2);
    memcpy(s->fx + 2, &fsw, 2);
    s->fx[4] = chance(3) ? (uint8_t)rnd() : 0xff;
    memcpy(s->fx + 24, &mxcsr, 4);
    for (unsigned k = 0; k < 8; k++) {
        uint64_t frac = interesting();
        uint16_t se = (uint16_t)rnd();
        if (chance(2)) {
            frac |= 1ull << 63;
            se = (uint16_t)((0x3fff + below(128) - 64) | (rnd() & 0x8000));
        } else if (chance(2)) {
            se &= 0x8000 | (chance(2) ? 0x7fff : 0);
        }
        memcpy(s->fx + 32 + 16 * k, &frac, 8);
        memcpy(s->fx + 40 + 16 * k, &se, 2);
    }
    for (unsigned k = 0; k < (f->compat32 ? 8u : 16u); k++)
        for (unsigned q = 0; q < 2; q++) {
            uint64_t v = chance(2) ? interesting() : plain_float();
            if (chance(4)) { /* two singles */
                v = (rnd() & 0x807fffff807fffffull) | (uint64_t)(0x70 + below(32)) << 55 |
                    (uint64_t)(0x70 + below(32)) << 23;
            }
            memcpy(s->fx + 160 + 16 * k + 8 * q, &v, 8);
        }
}

/* Instructions whose memory operand is moved in parts, in an order of the processor's own: x87
 * ones, LDDQU, FXRSTOR. */
static bool in_parts(const struct opcode *o)
{
    return (o->map == MAP_1B && o->byte >= 0xd8 && o->byte <= 0xdf) || is(o, "lddqu") ||
           is(o, "fxrstor");
}

static void make_case(struct fuzz_case *f, const struct opcode *o, bool compat32)
{
    f->row = o;
    f->compat32 = compat32;
    f->len = 0;
    f->target = 0;
    make_state(f);
    struct host_state *s = &f->before;

    /* How wide an access #AC looks at isn't architectural for these. */
    if (in_parts(o))
        s->rflags &= ~(uint64_t)FL_AC;

    bool modrm = uses_modrm(o), mem = o->mod == MOD_MEM || (o->mod == MOD_ANY && chance(2));
    for (int k = 0; k < 4; k++) {
        modrm |=
            operand_modrm(o->operands[k]) && o->operands[k] != OPD_Ob && o->operands[k] != OPD_Ov;
        if (operand_memory_only(o->operands[k]))
            mem = true;
        if (operand_register_only(o->operands[k]))
            mem = false;
    }
    if (o->rm != R_ANY)
        mem = false;
    mem &= modrm;

    bool addr32 = !compat32 && mem && chance(16);
    if (addr32)
        put(f, 0x67);
    if (o->prefix == PFX_66 || o->prefix == PFX_66F2 || (o->prefix != PFX_NP && chance(4)))
        put(f, 0x66);
    if (o->prefix == PFX_F2 || o->prefix == PFX_66F2)
        put(f, 0xf2);
    if (o->prefix == PFX_F3)
        put(f, 0xf3);
    if (o->flags & OP_REP) {
        if (chance(2))
            put(f, chance(2) ? 0xf2 : 0xf3);
        s->gpr[RCX] = chance(4) ? 0 : 1 + below(20);
    }
    if ((o->flags & OP_LOCK) && mem && chance(6))
        put(f, 0xf0);
    unsigned rex = compat32 || chance(3) ? 0 : 0x40 | below(16), rex_at = f->len;
    if (o->flags & OP_W1)
        rex |= 0x48;
    if (o->flags & OP_W0)
        rex &= ~8u;
    if (rex)
        put(f, (uint8_t)rex);
    if (o->map != MAP_1B)
        put(f, 0x0f);
    if (o->map == MAP_0F38)
        put(f, 0x38);
    if (o->map == MAP_0F3A)
        put(f, 0x3a);
    put(f, o->byte);

    bool rip_relative = false;
    unsigned disp_at = 0;
    if (modrm) {
        unsigned reg = o->reg != R_ANY ? o->reg : below(8);
        if (mem) {
            uint64_t target = f->target = pick_target(o);
            /* Bit offsets in a register reach far: keep them near. */
            bool bit = o->map == MAP_0F &&
                       (o->byte == 0xa3 || o->byte == 0xab || o->byte == 0xb3 || o->byte == 0xbb);
            unsigned reg_full = reg | (rex & 4) << 1;
            if (bit)
                s->gpr[reg_full] = below(2048);
            unsigned at = f->len;
            put_memory(f, reg, &rex, target, addr32);
            if (bit && s->gpr[reg_full] >= 2048) /* also the base: the offset is what it is */
                f->target = 0;
            if (rex_at < f->len && rex)
                f->bytes[rex_at] = (uint8_t)rex;
            if (!compat32 && (f->bytes[at] & 0xc7) == 0x05) {
                rip_relative = true;
                disp_at = at + 1;
            }
        } else {
            put(f, (uint8_t)(0xc0 | reg << 3 | (o->rm != R_ANY ? o->rm : below(8))));
        }
    }

    /* Immediates. */
    bool opsize = memchr(f->bytes, 0x66, rex_at) != NULL;
    bool wide = rex & 8;
    for (int k = 0; k < 4; k++) {
        switch (o->operands[k]) {
        case OPD_Ib:
        case OPD_Ibs: put(f, (uint8_t)(chance(2) ? rnd() : below(72))); break;
        case OPD_Iw: put_n(f, rnd(), 2); break;
        case OPD_Ibw:
            put_n(f, below(256), 2);
            put(f, (uint8_t)(chance(2) ? 0 : below(34)));
            break;
        case OPD_Iz: put_n(f, interesting(), opsize && !wide ? 2 : 4); break;
        case OPD_Iv:
            put_n(f, interesting(), o->flags & OP_BYTE ? 1 : wide ? 8 : opsize ? 2 : 4);
            break;
        default: break;
        }
    }
    /* Undefined: 16-bit double shifts by more than 16. */
    if ((is(o, "shld") || is(o, "shrd")) && opsize && !wide) {
        if (has(o, OPD_Ib))
            f->bytes[f->len - 1] = (uint8_t)below(17);
        else
            s->gpr[RCX] = (s->gpr[RCX] & ~31ull) | below(17);
    }
    s->rip = CODE + 0x100;
    if (chance(16))
        s->rip = CODE + 4096 - below(16);
    if (rip_relative) {
        int32_t disp = (int32_t)(f->target - (s->rip + f->len));
        memcpy(f->bytes + disp_at, &disp, 4);
    }
}

/* ---- running and comparing ---- */

/* The SDM promises these to 1 ulp only, and says nothing of how they round. */
static bool transcendental(const struct opcode *o)
{
    static const char *const names[] = { "f2xm1",  "fyl2x", "fyl2xp1", "fptan",
                                         "fpatan", "fsin",  "fcos",    "fsincos" };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (is(o, names[k]))
            return true;
    return false;
}

static bool same_f80(const uint8_t *a, const uint8_t *b, bool ulp)
{
    uint64_t fa, fb;
    uint16_t ea, eb;
    if (!memcmp(a, b, 10))
        return true;
    memcpy(&fa, a, 8);
    memcpy(&fb, b, 8);
    memcpy(&ea, a + 8, 2);
    memcpy(&eb, b + 8, 2);
    /* Neighbours in the order of magnitude, also across a power of two. */
    unsigned __int128 oa = (unsigned __int128)ea << 63 | (fa & INT64_MAX),
                      ob = (unsigned __int128)eb << 63 | (fb & INT64_MAX);
    return ulp && (oa - ob == 1 || ob - oa == 1);
}

static void fill_data(uint8_t *p, unsigned n)
{
    for (unsigned k = 0; k + 8 <= n; k += 8) {
        uint64_t v = chance(2) ? interesting() : chance(2) ? plain_float() : rnd();
        memcpy(p + k, &v, 8);
    }
}

static uint32_t undefined_flags(const struct fuzz_case *f)
{
    uint8_t u = f->row->fl_undef;
    return (u & FLB_C ? FL_CF : 0) | (u & FLB_P ? FL_PF : 0) | (u & FLB_A ? FL_AF : 0) |
           (u & FLB_Z ? FL_ZF : 0) | (u & FLB_S ? FL_SF : 0) | (u & FLB_O ? FL_OF : 0);
}

static const char *differs(const struct fuzz_case *f, const struct host_state *h,
                           const struct host_state *e)
{
    /* MXCSR bit 17 (misaligned SSE operands) exists on AMD's parts, not in the emulated one. */
    if (*(const uint32_t *)(h->fx + 24) & 0x20000)
        return NULL;
    if (h->vector != e->vector)
        return "exception";
    /* The host's kernel half may be mapped where ours is empty. */
    uint64_t error_mask = h->vector == EXC_PF && h->cr2 >> 47 ? 0xffff & ~(uint64_t)PF_P : 0xffff;
    if (h->vector != 1 && ((h->error ^ e->error) & error_mask))
        return "error code";
    uint64_t cr2_mask = in_parts(f->row) ? ~0xfffull : ~0ull;
    if (h->vector == EXC_PF && ((h->cr2 ^ e->cr2) & cr2_mask))
        return "CR2";
    if (memcmp(h->gpr, e->gpr, sizeof h->gpr)) {
        /* Undefined: the result of BSF/BSR of zero is as documented by AMD; 16-bit BSWAP. */
        if (!is(f->row, "bswap"))
            return "registers";
    }
    if (h->rip != e->rip)
        return "RIP";
    uint64_t mask = FL_ARITH | FL_DF | FL_AC | FL_ID | FL_NT;
    if (h->vector == 1)
        mask &= ~(uint64_t)undefined_flags(f);
    if ((h->rflags ^ e->rflags) & mask)
        return "flags";
    if (memcmp(h->fx + 24, e->fx + 24, 4))
        return "MXCSR";
    if (memcmp(h->fx + 160, e->fx + 160, f->compat32 ? 128 : 256))
        return "XMM";
    if (memcmp(h->fx, e->fx, 2))
        return "FCW";
    unsigned c1 = transcendental(f->row) ? 0x02 : 0;
    if (h->fx[2] != e->fx[2] || (h->fx[3] & ~c1) != (e->fx[3] & ~c1))
        return "FSW";
    if (h->fx[4] != e->fx[4])
        return "FTW";
    for (unsigned k = 0; k < 8; k++)
        if (!same_f80(h->fx + 32 + 16 * k, e->fx + 32 + 16 * k, transcendental(f->row)))
            return "ST";
    if (memcmp(host_data, guest_data, DATA_SIZE))
        return "memory";
    return NULL;
}

static void print_state(const char *who, const struct host_state *s)
{
    printf(
        "  %-6s vector %d error %llx cr2 %llx rip %llx flags %llx mxcsr %x fcw %x fsw %x ftw %x\n",
        who, s->vector, (unsigned long long)s->error, (unsigned long long)s->cr2,
        (unsigned long long)s->rip, (unsigned long long)s->rflags, *(const uint32_t *)(s->fx + 24),
        *(const uint16_t *)s->fx, *(const uint16_t *)(s->fx + 2), s->fx[4]);
}

static void report(const struct fuzz_case *f, const char *what, const struct host_state *h,
                   const struct host_state *e, unsigned long long number)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    printf("case %llu: %s differ in %s, %d-bit, bytes", number, f->row->name, what,
           f->compat32 ? 32 : 64);
    for (unsigned k = 0; k < f->len; k++)
        printf(" %02x", f->bytes[k]);
    printf("\n");
    print_state("before", &f->before);
    print_state("host", h);
    print_state("ours", e);
    for (int k = 0; k < 16; k++)
        if (h->gpr[k] != e->gpr[k])
            printf("  %s: before %llx host %llx ours %llx\n", names[k],
                   (unsigned long long)f->before.gpr[k], (unsigned long long)h->gpr[k],
                   (unsigned long long)e->gpr[k]);
    for (unsigned k = 0; k < 8; k++)
        if (memcmp(h->fx + 32 + 16 * k, e->fx + 32 + 16 * k, 10))
            printf("  st%u: before %04x:%016llx host %04x:%016llx ours %04x:%016llx\n", k,
                   *(const uint16_t *)(f->before.fx + 40 + 16 * k),
                   *(const unsigned long long *)(f->before.fx + 32 + 16 * k),
                   *(const uint16_t *)(h->fx + 40 + 16 * k),
                   *(const unsigned long long *)(h->fx + 32 + 16 * k),
                   *(const uint16_t *)(e->fx + 40 + 16 * k),
                   *(const unsigned long long *)(e->fx + 32 + 16 * k));
    for (unsigned k = 0; k < 16; k++)
        if (memcmp(h->fx + 160 + 16 * k, e->fx + 160 + 16 * k, 16)) {
            const unsigned long long *b = (const void *)(f->before.fx + 160 + 16 * k),
                                     *x = (const void *)(h->fx + 160 + 16 * k),
                                     *y = (const void *)(e->fx + 160 + 16 * k);
            printf("  xmm%u: before %016llx_%016llx host %016llx_%016llx ours %016llx_%016llx\n", k,
                   b[1], b[0], x[1], x[0], y[1], y[0]);
        }
    for (unsigned k = 0; k < DATA_SIZE; k++)
        if (host_data[k] != guest_data[k]) {
            printf("  memory at %llx: host %02x ours %02x\n", (unsigned long long)DATA + k,
                   host_data[k], guest_data[k]);
            break;
        }
}

static struct fuzz_case current;
static unsigned long long current_number;
static void stuck(int sig)
{
    (void)sig;
    printf("case %llu: stuck: %s, %d-bit, bytes", current_number, current.row->name,
           current.compat32 ? 32 : 64);
    for (unsigned k = 0; k < current.len; k++)
        printf(" %02x", current.bytes[k]);
    printf("\n");
    fflush(stdout);
    _exit(3);
}

static const char *run_case(struct fuzz_case *f, struct host_state *h, struct host_state *e)
{
    if (f->target && f->target >= DATA + 64 && f->target + 64 < DATA + DATA_SIZE)
        fill_data(host_data + (f->target - DATA), 32);
    memcpy(guest_data, host_data, DATA_SIZE);
    unsigned off = (unsigned)(f->before.rip - CODE);
    memcpy(host_code + off, f->bytes, f->len);
    memcpy(guest_code + off, f->bytes, f->len);
    host_code[off + f->len] = guest_code[off + f->len] = 0xcc;

    *h = *e = f->before;
    host_step(h, f->compat32);
    load_emulator(&f->before);
    interp_step(cpu);
    take_emulator(e);
    return differs(f, h, e);
}

int main(int argc, char **argv)
{
    unsigned long long cases = 1000000, differences = 0;
    int only_mode = 0, option;
    const char *only = NULL;
    bool keep_going = false, verbose = false;
    rng_state = 1;
    while ((option = getopt(argc, argv, "n:s:m:o:kv")) != -1) {
        switch (option) {
        case 'n': cases = strtoull(optarg, NULL, 0); break;
        case 's': rng_state = strtoull(optarg, NULL, 0); break;
        case 'm': only_mode = atoi(optarg); break;
        case 'o': only = optarg; break;
        case 'k': keep_going = true; break;
        case 'v': verbose = true; break;
        default:
            fprintf(stderr,
                    "usage: host_fuzz [-n CASES] [-s SEED] [-m 64|32] [-o MNEMONIC] [-k] [-v]\n");
            return 2;
        }
    }
    if (mmap(host_code, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != host_code ||
        mmap(host_data, DATA_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != host_data) {
        perror("mmap");
        return 2;
    }
    host_init();
    signal(SIGALRM, stuck);
    make_emulator();
    fill_data(host_data, DATA_SIZE);

    /* The rows that can be run, in each mode. */
    const struct opcode **usable[2];
    size_t count[2] = { 0, 0 };
    for (int m = 0; m < 2; m++) {
        usable[m] = calloc(opcode_row_count, sizeof *usable[m]);
        for (size_t k = 0; k < opcode_row_count; k++)
            if (row_usable(opcode_rows[k], m) && (!only || is(opcode_rows[k], only)))
                usable[m][count[m]++] = opcode_rows[k];
    }
    unsigned long long *per_row = calloc(opcode_row_count, sizeof *per_row);
    int mode = -1;
    for (unsigned long long n = 0; n < cases; n++) {
        /* Changing mode flushes the emulator's TLB: do it in runs. */
        if (n % 4096 == 0 || mode < 0) {
            mode = only_mode == 32 ? 1 : only_mode == 64 ? 0 : (int)(n / 4096 & 1);
            set_mode(mode);
        }
        if (!count[mode])
            continue;
        struct host_state h, e;
        current_number = n;
        if (n % 65536 == 0)
            alarm(300);
        const struct opcode *o = usable[mode][below((unsigned)count[mode])];
        make_case(&current, o, mode);
        const char *what = run_case(&current, &h, &e);
        for (size_t k = 0; verbose && k < opcode_row_count; k++)
            if (opcode_rows[k] == o) {
                per_row[k]++;
                break;
            }
        if (what) {
            differences++;
            if (differences <= 20)
                report(&current, what, &h, &e, n);
            memcpy(host_data, guest_data, DATA_SIZE);
            if (!keep_going)
                break;
        }
    }
    static const struct {
        const char *name;
        const struct opcode_table *table;
    } groups[] = {
        { "integer: arithmetic, moves, stack", &opcodes_int },
        { "integer: multiply, rotate, bits, BCD", &opcodes_arith },
        { "string", &opcodes_string },
        { "flags and fences", &opcodes_flow },
        { "x87", &opcodes_x87 },
        { "MMX, SSE, SSE2, SSE3 integer and moves", &opcodes_sse },
        { "SSSE3, SSE4.1, SSE4.2", &opcodes_sse4 },
        { "SSE floating point", &opcodes_ssefp },
        { "FXRSTOR, MXCSR", &opcodes_fxsave },
    };
    for (size_t g = 0; verbose && g < sizeof groups / sizeof groups[0]; g++) {
        const struct opcode *first = groups[g].table->rows, *end = first + groups[g].table->count;
        unsigned long long n = 0;
        for (size_t k = 0; k < opcode_row_count; k++)
            if (opcode_rows[k] >= first && opcode_rows[k] < end)
                n += per_row[k];
        printf("%-40s %10llu\n", groups[g].name, n);
    }
    for (size_t k = 0; verbose && k < opcode_row_count; k++)
        if (per_row[k])
            printf("%-12s map %d byte %02x /%d: %llu\n", opcode_rows[k]->name, opcode_rows[k]->map,
                   opcode_rows[k]->byte, opcode_rows[k]->reg, per_row[k]);
    printf("%llu cases over %zu rows (64-bit) and %zu rows (32-bit), %llu differences\n", cases,
           count[0], count[1], differences);
    free(usable[0]);
    free(usable[1]);
    free(per_row);
    cpu_free(cpu);
    return differences != 0;
}
