/*
 * Which emitter an instruction has: the tables of all groups, indexed by opcode row.
 */
#include <stdlib.h>

#include "jit-wasm/emit.h"

static const struct emit_table *const tables[] = { &emit_int, &emit_shift, &emit_bits, &emit_sys,
                                                   &emit_sse, &emit_ssefp, &emit_x87 };

static const struct emit_row **by_row;

static bool matches(const struct emit_row *r, const struct opcode *o)
{
    return r->map == o->map && o->byte >= r->first && o->byte <= r->last &&
           r->prefix == o->prefix && (r->reg == R_ANY || r->reg == o->reg);
}

static void build(void)
{
    by_row = calloc(opcode_row_count, sizeof(const struct emit_row *));
    if (!by_row)
        abort(); /* before any guest code ran */
    for (size_t k = 0; k < opcode_row_count; k++)
        for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
            for (size_t n = 0; n < tables[t]->count; n++)
                if (!by_row[k] && (tables[t] == &emit_sys || !(opcode_rows[k]->flags & OP_END)) &&
                    matches(&tables[t]->rows[n], opcode_rows[k]))
                    by_row[k] = &tables[t]->rows[n];
}

const struct emit_row *emit_row_of(const struct insn *i)
{
    if (!by_row)
        build();
    const struct emit_row *r = by_row[i->op];
    return r && (!r->can || r->can(i)) ? r : NULL;
}

bool jit_emits(const struct insn *i)
{
    return emit_row_of(i) != NULL;
}

bool jit_flags_conditional(const struct insn *i)
{
    const struct opcode *o = insn_opcode(i);
    bool shift = o->map == MAP_1B && (o->byte == 0xd2 || o->byte == 0xd3);
    bool by_imm = o->map == MAP_1B && (o->byte == 0xc0 || o->byte == 0xc1);
    bool twice = o->map == MAP_0F &&
                 (o->byte == 0xa4 || o->byte == 0xa5 || o->byte == 0xac || o->byte == 0xad);
    /* CMPS and SCAS with a count of 0. */
    bool string = o->map == MAP_1B && (o->flags & OP_REP) && (i->flags & (INSN_REP | INSN_REPNE));
    return string || shift || twice ||
           (by_imm && ((unsigned)i->imm & (i->osz == 3 ? 63 : 31)) == 0);
}
