/*
 * The decoder. See decode.h for what rows and instructions are.
 *
 * decode_init() concatenates the tables of all groups and sorts the rows by (map, opcode byte)
 * without changing their order within a byte, so that a look-up is one index and a short scan.
 * Decoding itself is one pass over the bytes: prefixes, opcode, ModRM/SIB/displacement once the
 * opcode is known to have them, then the row's operands fetch immediates and name registers. Bytes
 * come through a cursor that knows how many there are; running out of them is told apart from an
 * invalid encoding, because the caller may be able to fetch the next page.
 *
 * Decoding is off the hot path (blocks are cached), so this file prefers one clear mechanism to
 * speed.
 */
#include "cpu/decode.h"

#include <assert.h>
#include <stdlib.h>

#define MAX_LENGTH 15

static const struct opcode_table *const tables[] = {
    &opcodes_int, &opcodes_arith, &opcodes_string, &opcodes_flow,  &opcodes_sys,
    &opcodes_x87, &opcodes_sse,   &opcodes_sse4,   &opcodes_ssefp, &opcodes_fxsave,
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

const struct opcode **opcode_rows;
size_t opcode_row_count;

static struct {
    uint16_t first, count; /* rows in opcode_rows */
    bool modrm;
} by_byte[MAP_COUNT][256];

static bool operand_uses_modrm(uint8_t o)
{
    switch (o) {
    case OPD_Eb:
    case OPD_Ew:
    case OPD_Ed:
    case OPD_Eq:
    case OPD_Ev:
    case OPD_Ey:
    case OPD_Gb:
    case OPD_Gw:
    case OPD_Gd:
    case OPD_Gq:
    case OPD_Gv:
    case OPD_Gy:
    case OPD_M:
    case OPD_Mb:
    case OPD_Mw:
    case OPD_Md:
    case OPD_Mq:
    case OPD_Mx:
    case OPD_Mp:
    case OPD_Ms:
    case OPD_Mt:
    case OPD_Mfx:
    case OPD_Rv:
    case OPD_Ry:
    case OPD_Sw:
    case OPD_Cy:
    case OPD_Dy:
    case OPD_Pq:
    case OPD_Qq:
    case OPD_Qd:
    case OPD_Nq:
    case OPD_Vx:
    case OPD_Wx:
    case OPD_Ux:
    case OPD_Wb:
    case OPD_Ww:
    case OPD_Wd:
    case OPD_Wq:
    case OPD_STi:
    case OPD_Ew_Rv:
    case OPD_Rd_Mb:
    case OPD_Rd_Mw: return true;
    default: return false;
    }
}

static bool row_uses_modrm(const struct opcode *o)
{
    if ((o->flags & OP_MODRM) || o->reg != R_ANY || o->rm != R_ANY || o->mod != MOD_ANY)
        return true;
    for (int k = 0; k < 4; k++)
        if (operand_uses_modrm(o->operands[k]))
            return true;
    return false;
}

void decode_init(void)
{
    if (opcode_rows)
        return;
    size_t n = 0;
    for (size_t t = 0; t < TABLE_COUNT; t++)
        n += tables[t]->count;
    const struct opcode **rows = calloc(n, sizeof *rows);
    if (!rows)
        abort();
    /* Counting sort by (map, byte); stable. */
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (size_t k = 0; k < tables[t]->count; k++) {
            const struct opcode *o = &tables[t]->rows[k];
            by_byte[o->map][o->byte].count++;
            by_byte[o->map][o->byte].modrm |= row_uses_modrm(o);
        }
    uint16_t at = 0;
    for (int m = 0; m < MAP_COUNT; m++)
        for (int b = 0; b < 256; b++) {
            by_byte[m][b].first = at;
            at = (uint16_t)(at + by_byte[m][b].count);
            by_byte[m][b].count = 0;
        }
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (size_t k = 0; k < tables[t]->count; k++) {
            const struct opcode *o = &tables[t]->rows[k];
            rows[by_byte[o->map][o->byte].first + by_byte[o->map][o->byte].count++] = o;
        }
    opcode_row_count = n;
    opcode_rows = rows;
}

/* What the bytes have told so far. */
struct cursor {
    const uint8_t *p;
    unsigned avail, pos; /* avail already cut to MAX_LENGTH */
    bool short_of;       /* ran out */
    unsigned code_mode;
    bool opsize, addrsize;
    uint8_t rep; /* 0, 0xf2 or 0xf3: the last of them */
    uint8_t rex;
    bool lock;
    int seg; /* override, -1 none */
};

static uint64_t fetch(struct cursor *s, unsigned n)
{
    uint64_t v = 0;
    if (s->pos + n > s->avail) {
        s->short_of = true;
        s->pos = s->avail;
        return 0;
    }
    for (unsigned k = 0; k < n; k++)
        v |= (uint64_t)s->p[s->pos + k] << (8 * k);
    s->pos += n;
    return v;
}

static uint8_t fetch_prefixes(struct cursor *s)
{
    for (;;) {
        uint8_t b = (uint8_t)fetch(s, 1);
        if (s->short_of)
            return 0;
        switch (b) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e: /* in 64-bit mode these count as none: an FS or GS before them stays in force */
            if (s->code_mode != MODE_CODE64)
                s->seg = SEG_ES + ((b >> 3) & 3);
            break;
        case 0x64: s->seg = SEG_FS; break;
        case 0x65: s->seg = SEG_GS; break;
        case 0x66: s->opsize = true; break;
        case 0x67: s->addrsize = true; break;
        case 0xf0: s->lock = true; break;
        case 0xf2:
        case 0xf3: s->rep = b; break;
        default:
            if (s->code_mode == MODE_CODE64 && (b & 0xf0) == 0x40) {
                s->rex = b;
                continue;
            }
            return b;
        }
        s->rex = 0; /* a REX not right before the opcode is ignored */
    }
}

/* A general register in ModRM or opcode: byte operands without REX see AH..BH as 4-7. */
static uint8_t gpr_number(const struct cursor *s, unsigned n, bool byte)
{
    if (!byte)
        return (uint8_t)n;
    if (!s->rex && n >= 4 && n < 8)
        return (uint8_t)((n - 4) * 8 + 1);
    return (uint8_t)(n * 8);
}

static void decode_memory16(struct cursor *s, struct insn *i, unsigned mod, unsigned rm)
{
    static const uint8_t base[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
    static const uint8_t index[8] = { RSI, RDI, RSI, RDI, REG_ZERO, REG_ZERO, REG_ZERO, REG_ZERO };
    i->base = base[rm];
    i->index = index[rm];
    if (mod == 0 && rm == 6) {
        i->base = REG_ZERO;
        i->disp = (int16_t)fetch(s, 2);
    } else if (mod == 1) {
        i->disp = (int8_t)fetch(s, 1);
    } else if (mod == 2) {
        i->disp = (int16_t)fetch(s, 2);
    }
    i->seg = i->base == RBP ? SEG_SS : SEG_DS;
}

/* Returns true if the operand is RIP-relative (the caller adds the length once it is known). */
static bool decode_memory32(struct cursor *s, struct insn *i, unsigned mod, unsigned rm)
{
    unsigned rex_b = (s->rex & 1) << 3, rex_x = (s->rex & 2) << 2;
    bool rip_relative = false;
    i->seg = SEG_DS;
    if (rm == 4) {
        uint8_t sib = (uint8_t)fetch(s, 1);
        unsigned idx = ((sib >> 3) & 7) | rex_x;
        i->scale = sib >> 6;
        i->index = (uint8_t)(idx == 4 ? REG_ZERO : idx);
        if (idx == 4)
            i->scale = 0;
        if ((sib & 7) == 5 && mod == 0) {
            i->disp = (int32_t)fetch(s, 4);
            return false;
        }
        i->base = (uint8_t)((sib & 7) | rex_b);
        if ((sib & 7) == 4 || (sib & 7) == 5)
            i->seg = rex_b ? SEG_DS : SEG_SS;
    } else if (rm == 5 && mod == 0) {
        i->disp = (int32_t)fetch(s, 4);
        if (s->code_mode != MODE_CODE64)
            return false;
        i->base = REG_IP;
        rip_relative = true;
    } else {
        i->base = (uint8_t)(rm | rex_b);
        if (rm == 5)
            i->seg = rex_b ? SEG_DS : SEG_SS;
    }
    if (mod == 1)
        i->disp = (int8_t)fetch(s, 1);
    else if (mod == 2)
        i->disp = (int32_t)fetch(s, 4);
    return rip_relative;
}

static bool prefix_matches(const struct opcode *o, const struct cursor *s)
{
    switch (o->prefix) {
    case PFX_NP: return !s->opsize && !s->rep;
    case PFX_66: return s->opsize && !s->rep;
    case PFX_F3: return s->rep == 0xf3;
    case PFX_F2: return s->rep == 0xf2;
    case PFX_66F2: return s->rep == 0xf2 && s->opsize;
    default: return true;
    }
}

static const struct opcode *find_row(const struct cursor *s, unsigned map, uint8_t byte,
                                     uint8_t modrm, bool prot, const uint32_t *features,
                                     uint16_t *index)
{
    unsigned first = by_byte[map][byte].first, count = by_byte[map][byte].count;
    for (unsigned k = first; k < first + count; k++) {
        const struct opcode *o = opcode_rows[k];
        bool is_mem = (modrm >> 6) != 3;
        if (!prefix_matches(o, s))
            continue;
        if (o->reg != R_ANY && o->reg != ((modrm >> 3) & 7))
            continue;
        if (o->mod != MOD_ANY && (o->mod == MOD_MEM) != is_mem)
            continue;
        if (o->rm != R_ANY && (is_mem || o->rm != (modrm & 7)))
            continue;
        if ((o->flags & OP_NO64) && s->code_mode == MODE_CODE64)
            continue;
        if ((o->flags & OP_ONLY64) && s->code_mode != MODE_CODE64)
            continue;
        if ((o->flags & OP_W0) && (s->rex & 8))
            continue;
        if ((o->flags & OP_W1) && !(s->rex & 8))
            continue;
        if ((o->flags & OP_NO_REX_B) && (s->rex & 1))
            continue;
        if ((o->flags & OP_PROT) && !prot)
            continue;
        if (!cpu_has(features, o->feature))
            continue;
        *index = (uint16_t)k;
        return o;
    }
    return NULL;
}

static unsigned operand_size(const struct opcode *o, const struct cursor *s)
{
    if (o->flags & OP_BYTE)
        return 0;
    /* 66 that is part of the opcode doesn't change the operand size; in 66F2 (CRC32) it does. */
    bool opsize = s->opsize && (o->prefix != PFX_66 || (o->flags & OP_OPSIZE66)) &&
                  !(o->flags & OP_NO_OPSIZE);
    if (s->code_mode == MODE_CODE64) {
        if ((s->rex & 8) || (o->flags & OP_FORCE64))
            return o->flags & OP_MAX32 ? 2 : 3;
        if (opsize)
            return 1;
        return (o->flags & OP_DEF64) ? 3 : 2;
    }
    if (o->flags & OP_NO_OPSIZE)
        return 2;
    return (s->code_mode == MODE_CODE32) != opsize ? 2 : 1;
}

static unsigned immediate_bytes(unsigned osz)
{
    return osz == 3 ? 4 : 1u << osz;
}

/* Fills the fields that one operand determines. */
static void decode_operand(struct cursor *s, struct insn *i, uint8_t operand, uint8_t opbyte)
{
    unsigned reg = ((i->modrm >> 3) & 7) | (s->rex & 4) << 1;
    unsigned rm = (i->modrm & 7) | (s->rex & 1) << 3;
    unsigned z = (opbyte & 7) | (s->rex & 1) << 3;
    bool mem = i->flags & INSN_MEM;
    unsigned address_bytes = (64u - i->ash) / 8;

    switch (operand) {
    case OPD_Eb:
        if (!mem)
            i->rm = gpr_number(s, rm, true);
        break;
    case OPD_Rd_Mb:
    case OPD_Rd_Mw:
    case OPD_Ew_Rv:
    case OPD_Ew:
    case OPD_Ed:
    case OPD_Eq:
    case OPD_Ev:
    case OPD_Ey:
    case OPD_Rv:
    case OPD_Ry:
        if (!mem)
            i->rm = (uint8_t)rm;
        break;
    case OPD_Wx:
    case OPD_Ux:
    case OPD_Wb:
    case OPD_Ww:
    case OPD_Wd:
    case OPD_Wq:
        if (!mem)
            i->rm = (uint8_t)rm;
        break;
    case OPD_Qq:
    case OPD_Qd:
    case OPD_Nq:
    case OPD_STi:
        if (!mem)
            i->rm = i->modrm & 7;
        break;
    case OPD_Gb: i->r = gpr_number(s, reg, true); break;
    case OPD_Gw:
    case OPD_Gd:
    case OPD_Gq:
    case OPD_Gv:
    case OPD_Gy:
    case OPD_Vx:
    case OPD_Cy:
    case OPD_Dy: i->r = (uint8_t)reg; break;
    case OPD_Pq:
    case OPD_Sw: i->r = (i->modrm >> 3) & 7; break;
    case OPD_Zb: i->rm = gpr_number(s, z, true); break;
    case OPD_Zv: i->rm = (uint8_t)z; break;
    case OPD_Ib: i->imm = (uint8_t)fetch(s, 1); break;
    case OPD_Ibs:
    case OPD_Jb: i->imm = (int8_t)fetch(s, 1); break;
    case OPD_Iw: i->imm = (uint16_t)fetch(s, 2); break;
    case OPD_Ibw: i->imm = (int32_t)fetch(s, 3); break;
    case OPD_Iz:
    case OPD_Jz: {
        unsigned n = immediate_bytes(i->osz);
        uint64_t v = fetch(s, n);
        i->imm = n == 1 ? (int8_t)v : n == 2 ? (int16_t)v : (int32_t)v;
        break;
    }
    case OPD_Iv: /* MOV reg,imm: 64 bits wide with REX.W */
        if (i->osz == 3)
            i->imm64 = fetch(s, 8);
        else
            i->imm64 = fetch(s, 1u << i->osz);
        break;
    case OPD_I1: i->imm = 1; break;
    case OPD_Ap:
        i->disp = (int32_t)fetch(s, i->osz == 1 ? 2 : 4);
        i->imm = (uint16_t)fetch(s, 2);
        break;
    case OPD_Ob:
    case OPD_Ov:
        i->flags |= INSN_MEM;
        i->seg = SEG_DS;
        i->imm64 = fetch(s, address_bytes);
        break;
    case OPD_Xb:
    case OPD_Xv: i->seg = SEG_DS; break;
    default: break; /* implied */
    }
}

static bool has_operand(const struct opcode *o, uint8_t a, uint8_t b)
{
    for (int k = 0; k < 4; k++)
        if (o->operands[k] == a || o->operands[k] == b)
            return true;
    return false;
}

static unsigned invalid(struct insn *i, const struct cursor *s)
{
    i->fn = op_ud;
    i->h = 0;
    i->len = (uint8_t)s->pos;
    return s->pos;
}

unsigned decode(struct insn *out, const uint8_t *bytes, unsigned avail, unsigned code_mode,
                bool prot, const uint32_t *features, unsigned block_off)
{
    struct insn *i = out;
    struct cursor s = { .p = bytes,
                        .avail = avail < MAX_LENGTH ? avail : MAX_LENGTH,
                        .code_mode = code_mode,
                        .seg = -1 };

    *i = (struct insn){
        .off = (uint8_t)block_off, .base = REG_ZERO, .index = REG_ZERO, .seg = SEG_NONE
    };
    uint8_t byte = fetch_prefixes(&s);
    unsigned map = MAP_1B;
    if (byte == 0x0f && !s.short_of) {
        byte = (uint8_t)fetch(&s, 1);
        map = MAP_0F;
        if (byte == 0x38 || byte == 0x3a) {
            map = byte == 0x38 ? MAP_0F38 : MAP_0F3A;
            byte = (uint8_t)fetch(&s, 1);
        }
    }
    bool rip_relative = false;
    bool address16 =
        code_mode == MODE_CODE16 ? !s.addrsize : code_mode == MODE_CODE32 && s.addrsize;
    i->ash = address16 ? 48 : code_mode == MODE_CODE64 && !s.addrsize ? 0 : 32;
    if (by_byte[map][byte].modrm && !s.short_of) {
        i->modrm = (uint8_t)fetch(&s, 1);
        unsigned mod = i->modrm >> 6;
        /* MOV to and from CRn and DRn: mod is ignored, the operand is always a register. */
        if (map == MAP_0F && byte >= 0x20 && byte <= 0x23) {
            i->modrm |= 0xc0;
            mod = 3;
        }
        if (mod != 3) {
            i->flags |= INSN_MEM;
            if (address16)
                decode_memory16(&s, i, mod, i->modrm & 7);
            else
                rip_relative = decode_memory32(&s, i, mod, i->modrm & 7);
        }
    }
    if (s.short_of) {
        if (s.avail < MAX_LENGTH)
            return 0;
        i->fn = op_gp_length;
        i->len = MAX_LENGTH;
        return MAX_LENGTH;
    }

    const struct opcode *o = find_row(&s, map, byte, i->modrm, prot, features, &i->op);
    if (!o)
        return invalid(i, &s);
    i->osz = (uint8_t)operand_size(o, &s);
    if (code_mode == MODE_CODE64)
        i->flags |= INSN_CODE64;
    if (s.opsize)
        i->flags |= INSN_OPSIZE;
    if (s.rex)
        i->flags |= INSN_REX;
    if (s.rep && o->prefix == PFX_ANY)
        i->flags |= s.rep == 0xf3 ? INSN_REP : INSN_REPNE;
    for (int k = 0; k < 4 && o->operands[k] != OPD_NONE; k++)
        decode_operand(&s, i, o->operands[k], byte);
    if (s.short_of) {
        if (s.avail < MAX_LENGTH)
            return 0;
        i->fn = op_gp_length;
        i->len = MAX_LENGTH;
        return MAX_LENGTH;
    }
    i->len = (uint8_t)s.pos;
    if (s.lock) {
        i->flags |= INSN_LOCK;
        if (!(o->flags & OP_LOCK) || !(i->flags & INSN_MEM))
            return invalid(i, &s);
    }
    if (rip_relative) {
        int64_t from_block = (int64_t)i->disp + block_off + s.pos;
        i->disp = (int32_t)(uint32_t)from_block;
        if (from_block > INT32_MAX)
            i->index = REG_4G;
    }

    /* Segment: in 64-bit mode only FS and GS have a base; the stack's SS is kept for #SS. */
    if ((i->flags & INSN_MEM) || has_operand(o, OPD_Xb, OPD_Xv)) {
        if (s.seg >= 0)
            i->seg = (uint8_t)s.seg;
    }

    if (o->flags & OP_CC)
        i->cc = byte & 15;
    unsigned variant = o->flags & OP_SIZED      ? i->osz
                       : o->flags & OP_SIZED_RM ? i->osz * 2u + (i->flags & INSN_MEM)
                                                : 0;
    i->fn = o->flags & (OP_SIZED | OP_SIZED_RM) ? o->fns[variant] : o->fn;
    i->h = o->hot ? (uint16_t)(o->hot + variant) : 0;
    return s.pos;
}

enum exec op_ud(struct cpu *c, const struct insn *i)
{
    (void)i;
    return fault_noerr(c, EXC_UD);
}

enum exec op_gp_length(struct cpu *c, const struct insn *i)
{
    (void)i;
    return fault(c, EXC_GP, 0);
}
