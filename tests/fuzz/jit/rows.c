/*
 * Random instructions, built from the decoder's tables as host_fuzz does, but for code that goes
 * on: memory operands stay in the data area, only registers of the pool change, and flags that an
 * instruction leaves undefined are defined again before anything may read them (AF excepted: it
 * isn't shown by events, and its readers get an addition in front of them).
 */
#include <stdlib.h>
#include <string.h>

#include "asm.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"

#define AREA        0x3e00u /* what random operands may touch; counters are behind */
#define STACK_SLACK 120u

enum { GROUP_INT, GROUP_SSE, GROUP_MMX, GROUP_X87, GROUPS };
static const struct opcode **usable[BITS_COUNT][GROUPS];
static size_t usable_count[BITS_COUNT][GROUPS];

static bool is(const struct opcode *o, const char *name)
{
    return !strcmp(o->name, name);
}
static bool has(const struct opcode *o, uint8_t operand)
{
    for (int k = 0; k < 4; k++)
        if (o->operands[k] == operand)
            return true;
    return false;
}

static bool excluded(const struct opcode *o)
{
    /* Stack, modes and whole states: patterns of gen.c. Transcendental functions: to 1 ulp only.
     * The reciprocals differ from processor to processor. */
    static const char *const names[] = {
        "push",      "pop",         "enter",   "std",     "fxsave", "fxrstor", "xsave",
        "xrstor",    "xsaveopt",    "ldmxcsr", "fldcw",   "fldenv", "fnstenv", "fnsave",
        "frstor",    "f2xm1",       "fyl2x",   "fyl2xp1", "fptan",  "fpatan",  "fsin",
        "fcos",      "fsincos",     "rsqrtps", "rsqrtss", "rcpps",  "rcpss",   "arpl",
        "lahf",      "daa",         "das",     "aaa",     "aas",    "endbr64", "endbr32",
        "movsldup_", "prefetchwt1", "fnsetpm", "fneni",   "fndisi"
    };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (is(o, names[k]))
            return true;
    return false;
}

static unsigned group_of(const struct opcode *o)
{
    if (o->map == MAP_1B)
        return (o->byte >= 0xd8 && o->byte <= 0xdf) || o->byte == 0x9b ? GROUP_X87 : GROUP_INT;
    if (has(o, OPD_Pq) || has(o, OPD_Qq) || has(o, OPD_Nq) || has(o, OPD_Qd) || is(o, "emms"))
        return GROUP_MMX;
    static const uint8_t xmm[] = { OPD_Vx, OPD_Wx, OPD_Ux, OPD_Wb, OPD_Ww, OPD_Wd, OPD_Wq };
    for (size_t k = 0; k < sizeof xmm; k++)
        if (has(o, xmm[k]))
            return GROUP_SSE;
    return GROUP_INT;
}

void rows_init(void)
{
    struct error err = { "" };
    decode_init();
    struct cpu *cpu = cpu_new(NULL, 0, "max", &err);
    if (!cpu)
        abort();
    for (unsigned bits = 0; bits < BITS_COUNT; bits++)
        for (unsigned group = 0; group < GROUPS; group++) {
            usable[bits][group] = calloc(opcode_row_count, sizeof(struct opcode *));
            if (!usable[bits][group])
                abort();
            for (size_t k = 0; k < opcode_row_count; k++) {
                const struct opcode *o = opcode_rows[k];
                if ((o->flags & (OP_NOFUZZ | OP_PRIV | OP_PROT | OP_REP)) ||
                    (o->flags & (bits == BITS64 ? OP_NO64 : OP_ONLY64)) || excluded(o) ||
                    has(o, OPD_Sw) || group_of(o) != group || !cpu_has(cpu->features, o->feature))
                    continue;
                usable[bits][group][usable_count[bits][group]++] = o;
            }
        }
    cpu_free(cpu);
}

int random_reg(struct gen *g)
{
    int r;
    do
        r = (int)below(g, g->bits == BITS64 ? 16 : 8);
    while (!(g->pool >> r & 1));
    return r;
}

/* ---- memory operands ---- */

static uint32_t random_offset(struct gen *g, unsigned bytes, unsigned room, bool aligned)
{
    uint32_t off = below(g, AREA - room - bytes);
    if (aligned)
        return off & ~15u;
    switch (below(g, 8)) {
    case 0: /* across a page, or about to be */
        off = PAGE * (1 + below(g, 3)) - below(g, bytes + 1);
        return off + bytes + room > AREA ? AREA - room - bytes : off;
    case 1: return off & ~63u;
    case 2: /* few places, so that loads see stores */ return (off & 0x78) + 0x200;
    case 3: return off;
    default: return off & ~7u;
    }
}

static struct mem memory16(struct gen *g, unsigned bytes, bool aligned)
{
    static const int bases[] = { RBX, RSI, RDI, RBP };
    struct mem m = MEM_NONE;
    unsigned form = below(g, 6);
    int base = bases[below(g, 4)];
    if (form < 3 || !(g->pool >> base & 1)) {
        m.disp = (int32_t)random_offset(g, bytes, 0, aligned);
        return m;
    }
    put_movzx8(g, base, (int)below(g, 8));
    if (aligned)
        put_alu_ri(g, ALU_AND, SZ16, base, 0xf0);
    m.base = base;
    m.disp = (int32_t)random_offset(g, bytes, 8 * 256 + 256, aligned);
    if (form == 5) { /* 32-bit addressing */
        m.addr32 = true;
        if (chance(g, 2)) {
            m.index = base;
            m.scale = below(g, 4);
        }
    } else if ((base == RBX || base == RBP) && chance(g, 2)) {
        int index = chance(g, 2) ? RSI : RDI;
        if (g->pool >> index & 1) {
            put_movzx8(g, index, (int)below(g, 4));
            if (aligned)
                put_alu_ri(g, ALU_AND, SZ16, index, 0xf0);
            m.index = index;
        }
    }
    return m;
}

struct mem random_memory(struct gen *g, unsigned bytes, bool aligned)
{
    /* Pages that come when they are touched. */
    if (!g->no_faults && chance(g, 40))
        return at_data(g, (int32_t)((chance(g, 2) ? PAGE_DATA_LAZY : PAGE_DATA_COW) * PAGE +
                                    (random_offset(g, bytes, 0, aligned) & 0xeff)));
    if (g->bits == BITS16)
        return memory16(g, bytes, aligned);
    struct mem m = MEM_NONE;
    switch (below(g, 9)) {
    case 0:
    case 1: { /* an index */
        int index = random_reg(g);
        put_movzx8(g, index, (int)below(g, g->bits == BITS64 ? 16 : 8));
        if (aligned)
            put_alu_ri(g, ALU_AND, SZ32, index, 0xf0);
        m.index = index;
        m.scale = below(g, 4);
        m.disp = (int32_t)random_offset(g, bytes, 256 * 8, aligned);
        if (g->base != NO_REG && chance(g, 2))
            m.base = g->base;
        else
            m.disp += (int32_t)data_address(g->bits);
        return m;
    }
    case 2: { /* a pointer */
        int r = random_reg(g);
        int32_t off = (int32_t)random_offset(g, bytes, 0, aligned),
                d = chance(g, 2) ? (int8_t)rnd(g) : (int32_t)below(g, 4000) - 2000;
        struct mem at;
        do
            at = at_data(g, off - d);
        while (at.seg); /* LEA drops the base */
        put_lea(g, word_size(g), r, at);
        m.base = r;
        m.disp = d;
        return m;
    }
    case 3: /* below the stack pointer */
        m.base = RSP;
        m.disp = -128 + (int32_t)below(g, STACK_SLACK - bytes);
        if (!aligned)
            return m;
        break;
    case 4:
        if (g->bits == BITS64 && g->base != NO_REG) {
            m.base = g->base;
            m.addr32 = true;
            m.disp = (int32_t)random_offset(g, bytes, 0, aligned);
            return m;
        }
        break;
    default: break;
    }
    return at_data(g, (int32_t)random_offset(g, bytes, 0, aligned));
}

/* ---- flags ---- */

static bool cc_defined(unsigned cc, unsigned undef)
{
    static const uint8_t reads[] = { FLB_O, FLB_C, FLB_Z,         FLB_C | FLB_Z,
                                     FLB_S, FLB_P, FLB_S | FLB_O, FLB_Z | FLB_S | FLB_O };
    return !(reads[cc >> 1] & undef);
}

/* Reads what is defined, then defines the rest. */
static void put_after_undefined(struct gen *g, unsigned undef)
{
    for (unsigned n = below(g, 3); n--;) {
        unsigned cc = below(g, 16);
        if (!cc_defined(cc, undef))
            continue;
        int a = random_reg(g), b = random_reg(g);
        if (chance(g, 2) && (g->bits == BITS64 || a < 4))
            put_op(g, SZ8, 0, 0x0f90 | cc, 0, a, NULL, 0, 0);
        else if (chance(g, 2))
            put_op(g, SZ32, 0, 0x0f40 | cc, a, b, NULL, 0, 0);
        else {
            int over = new_label(g);
            put_jump(g, cc, over);
            put_mov_ri(g, SZ32, a, interesting(g));
            put_label(g, over);
        }
    }
    static const uint8_t ops[] = { ALU_ADD, ALU_SUB, ALU_CMP, ALU_AND, ALU_XOR, ALU_OR };
    unsigned op = ops[below(g, 6)];
    if (!(undef & FLB_C) && chance(g, 2))
        op = chance(g, 2) ? ALU_ADC : ALU_SBB;
    unsigned size = 1 + below(g, g->bits == BITS64 ? 3 : 2);
    put_alu_rr(g, op, size, random_reg(g), random_reg(g));
}

/* ---- one row ---- */

enum { CLASS_NONE, CLASS_GPR, CLASS_BYTE, CLASS_OTHER };
struct operands {
    unsigned reg, rm; /* CLASS_* */
    bool modrm, mem_only, reg_only, z;
    unsigned bytes; /* of a memory operand */
    bool aligned;
};

static void look_at(const struct opcode *o, unsigned size, struct operands *p)
{
    memset(p, 0, sizeof *p);
    p->modrm = o->reg != R_ANY || o->rm != R_ANY || o->mod != MOD_ANY || (o->flags & OP_MODRM);
    p->bytes = 16;
    for (int k = 0; k < 4; k++) {
        unsigned width = 1u << size;
        switch (o->operands[k]) {
        case OPD_Gb: p->reg = CLASS_BYTE; break;
        case OPD_Gw:
        case OPD_Gd:
        case OPD_Gq:
        case OPD_Gv:
        case OPD_Gy: p->reg = CLASS_GPR; break;
        case OPD_Eb:
            p->rm = CLASS_BYTE;
            p->bytes = 1;
            break;
        case OPD_Ew:
        case OPD_Rd_Mw:
        case OPD_Ew_Rv:
            p->rm = CLASS_GPR;
            p->bytes = 2;
            break;
        case OPD_Rd_Mb:
            p->rm = CLASS_GPR;
            p->bytes = 1;
            break;
        case OPD_Ed:
            p->rm = CLASS_GPR;
            p->bytes = 4;
            break;
        case OPD_Eq:
            p->rm = CLASS_GPR;
            p->bytes = 8;
            break;
        case OPD_Ev:
        case OPD_Ey:
            p->rm = CLASS_GPR;
            p->bytes = width;
            break;
        case OPD_Rv:
        case OPD_Ry:
            p->rm = CLASS_GPR;
            p->reg_only = true;
            break;
        case OPD_M:
        case OPD_Mfx: p->mem_only = true; break;
        case OPD_Mx:
            p->mem_only = true;
            p->aligned = true;
            break;
        case OPD_Mb:
        case OPD_Mw:
        case OPD_Md:
        case OPD_Mq:
            p->mem_only = true;
            p->bytes = 8;
            break;
        case OPD_Mt:
            p->mem_only = true;
            p->bytes = 10;
            break;
        case OPD_Wx:
            p->rm = CLASS_OTHER;
            p->aligned = true;
            break;
        case OPD_Wb:
        case OPD_Ww:
        case OPD_Wd:
        case OPD_Wq:
        case OPD_Qq:
        case OPD_Qd:
            p->rm = CLASS_OTHER;
            p->bytes = 8;
            break;
        case OPD_Nq:
        case OPD_Ux:
            p->rm = CLASS_OTHER;
            p->reg_only = true;
            break;
        case OPD_Pq:
        case OPD_Vx: p->reg = CLASS_OTHER; break;
        case OPD_STi: p->rm = CLASS_OTHER; break;
        case OPD_Zb:
        case OPD_Zv: p->z = true; break;
        default: break;
        }
    }
    p->modrm |= p->reg || p->rm || p->mem_only;
    static const char *const loose[] = { "movups", "movupd", "movdqu", "lddqu", "clflush" };
    for (size_t k = 0; k < sizeof loose / sizeof loose[0]; k++)
        if (is(o, loose[k]))
            p->aligned = false;
}

/* A register number with its REX bit, such that it may be changed. */
static int pick(struct gen *g, unsigned class, bool rex)
{
    unsigned count = g->bits == BITS64 && rex ? 16 : 8;
    for (int tries = 0; tries < 64; tries++) {
        int n = (int)below(g, count), owner = n;
        if (class == CLASS_OTHER)
            return n;
        if (class == CLASS_BYTE && !rex && n >= 4)
            owner = n - 4;
        if (g->pool >> owner & 1)
            return n;
    }
    return 0;
}

static unsigned pick_size(struct gen *g, const struct opcode *o)
{
    if (o->flags & OP_BYTE)
        return SZ8;
    if (o->flags & OP_W1)
        return SZ64;
    bool wide = g->bits == BITS64 && !(o->flags & OP_W0);
    if (o->prefix != PFX_ANY && !(o->flags & OP_OPSIZE66))
        return wide && chance(g, 3) ? SZ64 : SZ32;
    switch (below(g, 6)) {
    case 0: return SZ16;
    case 1:
    case 2: return wide ? SZ64 : SZ32;
    case 3: return g->bits == BITS16 ? SZ16 : SZ32;
    default: return SZ32;
    }
}

static bool bit_offset_in_register(const struct opcode *o)
{
    return o->map == MAP_0F &&
           (o->byte == 0xa3 || o->byte == 0xab || o->byte == 0xb3 || o->byte == 0xbb);
}

/* So that a division rarely faults. */
static void tame_division(struct gen *g, const struct opcode *o, unsigned size, int rm,
                          const struct mem *m)
{
    bool is_signed = is(o, "idiv");
    if (size == SZ8) {
        if (is_signed) { /* CBW */
            if (g->bits != BITS16)
                put_2(g, 0x66, 0x98);
            else
                put_1(g, 0x98);
        } else {
            put_op(g, SZ16, 0, 0x0fb6, RAX, RAX, NULL, 0, 0); /* MOVZX AX, AL */
        }
    } else if (is_signed) { /* CWD, CDQ, CQO */
        if (size == SZ64)
            put_2(g, 0x48, 0x99);
        else if ((size == SZ16) != (g->bits == BITS16))
            put_2(g, 0x66, 0x99);
        else
            put_1(g, 0x99);
    } else {
        put_alu_rr(g, ALU_XOR, SZ32, RDX, RDX);
    }
    if (m)
        put_alu_mi(g, ALU_OR, size, *m, 1 + (int32_t)below(g, 100));
    else if (size == SZ8)
        put_op(g, SZ8, 0, 0x80, ALU_OR, rm, NULL, 1 + below(g, 100), 1);
    else
        put_alu_ri(g, ALU_OR, size, rm, 1 + (int32_t)below(g, 100));
}

static bool uses_rax_rdx(const struct opcode *o)
{
    return is(o, "mul") || is(o, "div") || is(o, "idiv") || is(o, "cwd");
}

static bool put_row(struct gen *g, const struct opcode *o)
{
    unsigned undef = o->fl_undef & ~(unsigned)FLB_A;
    if (g->plain_flags && undef)
        return false;
    unsigned size = pick_size(g, o);
    struct operands p;
    look_at(o, size, &p);
    bool division = is(o, "div") || is(o, "idiv");
    if (is(o, "bswap") && size == SZ16)
        return false;
    if ((is(o, "pcmpestri") || is(o, "pcmpistri") || is(o, "cmpxchg8b")) && !(g->pool >> RCX & 1))
        return false;
    if ((is(o, "shld") || is(o, "shrd")) && size == SZ16 && !has(o, OPD_Ib))
        return false;
    if (g->no_faults && division)
        return false;

    bool mem = p.mem_only || (o->mod == MOD_MEM) ||
               (p.modrm && o->mod == MOD_ANY && !p.reg_only && o->rm == R_ANY && chance(g, 3));
    bool rex = g->bits == BITS64 && (size == SZ64 || chance(g, 2));
    int reg = o->reg != R_ANY ? o->reg : pick(g, p.reg ? p.reg : CLASS_OTHER, rex);
    int rm = 0;
    if (p.z) {
        rm = (o->byte & 7) | (rex && chance(g, 2) ? 8 : 0);
        int owner = (o->flags & OP_BYTE) && !rex && rm >= 4 ? rm - 4 : rm;
        if (!(g->pool >> owner & 1))
            return false;
    } else if (p.modrm && !mem) {
        rm = o->rm != R_ANY ? o->rm : pick(g, p.rm ? p.rm : CLASS_OTHER, rex);
        if (division &&
            (rm == RAX || rm == RDX || (size == SZ8 && !rex && (rm & 3) != RCX && (rm & 3) != RBX)))
            return false;
        if (division && size == SZ8 && !rex)
            rm = RCX; /* AH, DH and AL take part */
        if (division && !(g->pool >> rm & 1))
            return false;
    }
    struct mem m = MEM_NONE;
    if (mem) {
        bool misaligned = p.aligned && !g->no_faults && chance(g, 300);
        if (bit_offset_in_register(o)) {
            put_alu_ri(g, ALU_AND, size == SZ64 ? SZ64 : SZ32, reg, (int32_t)below(g, 512));
            m = at_data(g, (int32_t)(0x100 + below(g, 0x3000)));
        } else {
            m = random_memory(g, p.bytes, p.aligned && !misaligned);
        }
        if (is(o, "cmpxchg8b") && size == SZ64)
            m = at_data(g, (int32_t)(below(g, 0x300) * 16));
        if (division && (m.base == RDX || m.index == RDX || m.base == RAX || m.index == RAX))
            return false;
    }
    if (division && !chance(g, 60))
        tame_division(g, o, size, rm, mem ? &m : NULL);
    if (is(o, "cmc") || is(o, "salc"))
        undef = 0;

    /* Bytes. */
    uint8_t b[40];
    unsigned n = 0;
    struct fix fix = { 0 };
    if (m.seg)
        b[n++] = m.seg;
    if (m.addr32)
        b[n++] = 0x67;
    if ((o->flags & OP_LOCK) && mem && chance(g, 4))
        b[n++] = 0xf0;
    bool opsize = o->prefix == PFX_66 || o->prefix == PFX_66F2;
    if (o->prefix == PFX_ANY && size != SZ8)
        opsize = g->bits == BITS16 ? size == SZ32 : size == SZ16;
    if ((o->flags & OP_OPSIZE66) || (o->prefix != PFX_ANY && o->prefix != PFX_NP))
        size = size == SZ16 ? SZ32 : size;
    if (opsize)
        b[n++] = 0x66;
    if (o->prefix == PFX_F2 || o->prefix == PFX_66F2)
        b[n++] = 0xf2;
    if (o->prefix == PFX_F3)
        b[n++] = 0xf3;
    unsigned bits = 0;
    if (g->bits == BITS64) {
        bits = (size == SZ64 ? 8u : 0) | (p.reg && reg >= 8 ? 4u : 0) |
               ((p.z || (p.modrm && !mem)) && rm >= 8 ? 1u : 0);
        if (mem && m.label == NO_LABEL)
            bits |= (m.index != NO_REG && m.index >= 8 ? 2u : 0) |
                    (m.base != NO_REG && m.base >= 8 ? 1u : 0);
        if (o->flags & OP_NO_REX_B)
            bits &= ~1u;
        if (!rex && (bits || (o->flags & OP_W1)) &&
            (p.reg == CLASS_BYTE || p.rm == CLASS_BYTE || p.z) && (reg >= 4 || rm >= 4))
            return true; /* AH and REX don't go together; what was put before does no harm */
        if (rex || bits)
            b[n++] = (uint8_t)(0x40 | bits);
    }
    if (o->map != MAP_1B)
        b[n++] = 0x0f;
    if (o->map == MAP_0F38)
        b[n++] = 0x38;
    if (o->map == MAP_0F3A)
        b[n++] = 0x3a;
    b[n++] = o->byte;
    if (p.modrm) {
        if (mem)
            n = encode_memory(g, b, n, (unsigned)reg, &m, &fix);
        else
            b[n++] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    }
    for (int k = 0; k < 4; k++) {
        uint64_t v = interesting(g);
        unsigned bytes = 0;
        switch (o->operands[k]) {
        case OPD_Ib:
        case OPD_Ibs:
            v = chance(g, 2) ? rnd(g) : below(g, 72);
            if (is(o, "aam") && !(v & 0xff))
                v = 10;
            if ((is(o, "shld") || is(o, "shrd")) && (opsize || g->bits == BITS16))
                v = below(g, 17);
            bytes = 1;
            break;
        case OPD_Iw: bytes = 2; break;
        case OPD_Iz: bytes = size == SZ16 ? 2 : 4; break;
        case OPD_Iv: bytes = 1u << size; break;
        case OPD_Ob:
        case OPD_Ov:
            v = below(g, AREA - 8) + data_address(g->bits);
            bytes = g->bits == BITS64 ? 8 : g->bits == BITS16 ? 2 : 4;
            break;
        default: break;
        }
        memcpy(b + n, &v, bytes);
        n += bytes;
    }
    if (n > 15)
        return true;
    struct item *i = put_bytes(g, b, n);
    i->fix[0] = fix;
    if (undef)
        put_after_undefined(g, undef);
    return true;
}

/* Readers of AF, and SAHF's counterpart. */
static void put_af_reader(struct gen *g)
{
    static const uint8_t bcd[] = { 0x27, 0x2f, 0x37, 0x3f };
    static const uint8_t ops[] = { ALU_ADD, ALU_SUB, ALU_ADC, ALU_SBB, ALU_CMP };
    unsigned kind = below(g, g->bits == BITS64 ? 2 : 3);
    if (kind == 2 && g->plain_flags)
        kind = 0;
    int r = random_reg(g);
    put_alu_rr(g, ops[below(g, 5)], 1 + below(g, 2), r, random_reg(g));
    if (chance(g, 3)) {
        int over = new_label(g);
        put_jump(g, below(g, 16), over);
        put_mov_rr(g, SZ32, random_reg(g), random_reg(g));
        put_label(g, over);
    }
    switch (kind) {
    case 0: put_1(g, 0x9f); break;
    case 1: { /* PUSHF, POP */
        int to = random_reg(g);
        put_1(g, 0x9c);
        put_pop(g, to);
        put_alu_ri(g, ALU_AND, SZ32, to, 0xcd5);
        break;
    }
    default: { /* DAA DAS leave OF, AAA AAS leave O S Z P undefined */
        unsigned b = bcd[below(g, 4)];
        put_1(g, b);
        put_after_undefined(g, b < 0x30 ? FLB_O : FLB_O | FLB_S | FLB_Z | FLB_P);
        break;
    }
    }
}

void put_random(struct gen *g)
{
    unsigned sum = 0, group = 0;
    for (unsigned k = 0; k < GROUPS; k++)
        sum += g->weights[k];
    unsigned n = below(g, sum);
    while (n >= g->weights[group])
        n -= g->weights[group++];
    if (group == GROUP_INT && chance(g, 24)) {
        put_af_reader(g);
        return;
    }
    if (group == GROUP_INT && chance(g, 5)) { /* the most frequent ones, and chains of carries */
        static const uint8_t ops[] = {
            ALU_ADC, ALU_SBB, ALU_ADD, ALU_SUB, ALU_CMP, ALU_XOR, ALU_AND
        };
        unsigned size = 1 + below(g, g->bits == BITS64 ? 3 : 2), op = ops[below(g, 7)];
        if (chance(g, 2))
            put_alu_rr(g, op, size, random_reg(g), random_reg(g));
        else
            put_alu_ri(g, op, size, random_reg(g), (int32_t)interesting(g));
        return;
    }
    if (group == GROUP_X87 && g->weights[GROUP_MMX] && chance(g, 8)) {
        put_2(g, 0x0f, 0x77); /* EMMS */
        return;
    }
    if (group == GROUP_X87 && chance(g, 12)) {
        put_x87_code(g);
        return;
    }
    for (int tries = 0; tries < 40; tries++) {
        const struct opcode *o =
            usable[g->bits][group][below(g, (unsigned)usable_count[g->bits][group])];
        if (uses_rax_rdx(o) && (g->pool & 5) != 5)
            continue;
        if (put_row(g, o))
            return;
    }
}

void put_run(struct gen *g, unsigned n)
{
    while (n--)
        put_random(g);
}
