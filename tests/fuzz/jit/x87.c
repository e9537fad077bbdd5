/*
 * x87 code as compilers write it: the stack neither overflows nor underflows, and numbers are of
 * sizes that go well together (from integers and constants), so that sums and products have digits
 * to round. Random instructions (rows.c) meet every other case.
 */
#include "asm.h"

#define MODRM(reg, rm) (0xc0u | (unsigned)(reg) << 3 | (unsigned)(rm))

static void put_memory_form(struct gen *g, unsigned opcode, int reg, unsigned bytes)
{
    struct mem m = random_memory(g, bytes, false);
    put_op(g, g->bits == BITS16 ? SZ16 : SZ32, 0, opcode, reg, NO_REG, &m, 0, 0);
}

static void put_control_word(struct gen *g)
{
    static const uint16_t words[] = { 0x27f, 0x07f, 0x77f, 0xb7f, 0xf7f, 0x37f, 0x35f, 0x33e };
    struct mem m = random_memory(g, 2, false);
    unsigned n = g->no_faults ? 6 : 8;
    put_store_imm(g, SZ16, m, words[below(g, n)]);
    put_op(g, g->bits == BITS16 ? SZ16 : SZ32, 0, 0xd9, 5, NO_REG, &m, 0, 0);
}

static void put_load_form(struct gen *g, unsigned depth)
{
    static const struct {
        uint8_t opcode, reg, bytes;
    } forms[] = { { 0xdf, 0, 2 }, { 0xdb, 0, 4 }, { 0xdf, 5, 8 }, { 0xd9, 0, 4 }, { 0xdd, 0, 8 } };
    unsigned k = below(g, depth ? 10 : 8);
    if (k < 6) {
        k = k == 5 ? 0 : k;
        put_memory_form(g, forms[k].opcode, forms[k].reg, forms[k].bytes);
    } else if (k < 8) {
        put_2(g, 0xd9, 0xe8 + below(g, 7));
    } else {
        put_2(g, 0xd9, MODRM(0, below(g, depth)));
    }
}

/* FST and FIST with and without pop, FISTTP. Returns how many it pops. */
static unsigned put_store_form(struct gen *g)
{
    static const struct {
        uint8_t opcode, reg, bytes;
    } forms[] = { { 0xd9, 2, 4 }, { 0xd9, 3, 4 }, { 0xdd, 2, 8 }, { 0xdd, 3, 8 }, { 0xdb, 2, 4 },
                  { 0xdb, 3, 4 }, { 0xdf, 2, 2 }, { 0xdf, 3, 2 }, { 0xdf, 7, 8 }, { 0xdd, 1, 8 },
                  { 0xdb, 1, 4 }, { 0xdf, 1, 2 }, { 0xdb, 7, 10 } };
    unsigned k = below(g, sizeof forms / sizeof forms[0]);
    put_memory_form(g, forms[k].opcode, forms[k].reg, forms[k].bytes);
    return forms[k].reg != 2;
}

static unsigned put_unary(struct gen *g)
{
    static const uint8_t forms[] = { 0xe0, 0xe1, 0xe4, 0xe5, 0xfa, 0xfc };
    static const uint8_t memory[] = { 0xd8, 0xda, 0xdc, 0xde };
    switch (below(g, 4)) {
    case 0: put_2(g, 0xd9, forms[below(g, sizeof forms)]); return 0;
    case 1:
        if (g->pool & 1)
            put_2(g, 0xdf, 0xe0); /* FNSTSW AX */
        return 0;
    default: {
        int reg = (int)below(g, 8);
        put_memory_form(g, memory[below(g, 4)], reg, 8);
        return reg == 3;
    }
    }
}

/* Of ST(0) and ST(i), in use both. */
static unsigned put_binary(struct gen *g, unsigned depth)
{
    static const uint8_t reversed[] = { 0, 1, 4, 5, 6, 7 };
    unsigned i = below(g, depth);
    switch (below(g, 9)) {
    case 0: put_2(g, 0xd9, MODRM(1, i)); return 0; /* FXCH */
    case 1: put_2(g, 0xdd, MODRM(2, i)); return 0; /* FST, FSTP */
    case 2: put_2(g, 0xdd, MODRM(3, i)); return 1;
    case 3: {
        unsigned reg = 4 + below(g, 2); /* FUCOM */
        put_2(g, 0xdd, MODRM(reg, i));
        return reg == 5;
    }
    case 4: {
        bool pops = chance(g, 2); /* FUCOMI, FCOMI */
        put_2(g, pops ? 0xdf : 0xdb, MODRM(5 + below(g, 2), i));
        return pops;
    }
    case 5:
        if (depth > 2) { /* FCOMPP, FUCOMPP */
            bool quiet = chance(g, 2);
            put_2(g, quiet ? 0xda : 0xde, quiet ? 0xe9 : 0xd9);
            return 2;
        }
        return 0;
    case 6: put_2(g, 0xde, MODRM(reversed[below(g, 6)], i)); return 1;
    case 7: put_2(g, 0xdc, MODRM(reversed[below(g, 6)], i)); return 0;
    default: {
        unsigned reg = below(g, 8);
        put_2(g, 0xd8, MODRM(reg, i));
        return reg == 3;
    }
    }
}

void put_x87_code(struct gen *g)
{
    unsigned depth = 0, x87 = g->weights[3];
    put_2(g, 0xdb, 0xe3); /* FNINIT */
    if (chance(g, 3))
        put_control_word(g);
    g->weights[3] = 0;
    for (unsigned n = 4 + below(g, 24); n--;) {
        if (chance(g, 7)) {
            put_random(g);
        } else if (depth < 2 || (depth < 8 && chance(g, 4))) {
            put_load_form(g, depth);
            depth++;
        } else if (chance(g, 5)) {
            depth -= put_store_form(g);
        } else if (chance(g, 4)) {
            depth -= put_unary(g);
        } else {
            depth -= put_binary(g, depth);
        }
    }
    g->weights[3] = x87;
}
