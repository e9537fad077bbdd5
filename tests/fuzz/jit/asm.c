/*
 * Emission of single instructions (asm.h), and the layout of a program: labels to offsets, jumps
 * in their short form where it reaches, fixups.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asm.h"
#include "cpu/cpu.h"
#include "cpu/decode.h"

uint64_t rnd(struct gen *g) /* splitmix64 */
{
    uint64_t z = (g->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
unsigned below(struct gen *g, unsigned n)
{
    return (unsigned)(rnd(g) % n);
}
bool chance(struct gen *g, unsigned one_in)
{
    return below(g, one_in) == 0;
}

/* Values that arithmetic finds interesting. */
uint64_t interesting(struct gen *g)
{
    static const uint64_t special[] = { 0,
                                        1,
                                        0x7f,
                                        0x80,
                                        0xff,
                                        0x7fff,
                                        0x8000,
                                        0xffff,
                                        0x7fffffff,
                                        0x80000000,
                                        0xffffffff,
                                        0x100000000,
                                        0x7fffffffffffffff,
                                        0x8000000000000000,
                                        ~0ull,
                                        0x3f8000003f800000,
                                        0x3ff0000000000000,
                                        0x7ff8000000000001,
                                        0xfff0000000000000,
                                        0x7f8000007f800001 };
    switch (below(g, 4)) {
    case 0: return special[below(g, sizeof special / sizeof special[0])];
    case 1: return rnd(g) >> below(g, 64);
    case 2: return special[below(g, sizeof special / sizeof special[0])] + below(g, 5) - 2;
    default: return rnd(g);
    }
}

/* ---- items ---- */

static struct item *new_item(struct gen *g, unsigned kind)
{
    struct program *p = g->p;
    if (p->item_count == p->item_room) {
        p->item_room = p->item_room ? 2 * p->item_room : 512;
        p->items = realloc(p->items, p->item_room * sizeof *p->items);
        if (!p->items)
            abort();
    }
    struct item *i = &p->items[p->item_count++];
    *i = (struct item){ .kind = (uint8_t)kind };
    return i;
}

int new_label(struct gen *g)
{
    struct program *p = g->p;
    if (p->label_count == p->label_room) {
        p->label_room = p->label_room ? 2 * p->label_room : 128;
        p->labels = realloc(p->labels, (size_t)p->label_room * sizeof *p->labels);
        if (!p->labels)
            abort();
    }
    p->labels[p->label_count] = -1;
    return p->label_count++;
}
void put_label(struct gen *g, int label)
{
    new_item(g, ITEM_LABEL)->fix[0].label = (int16_t)label;
}
void put_jump(struct gen *g, unsigned kind, int label)
{
    struct item *i = new_item(g, ITEM_JUMP);
    i->bytes[0] = (uint8_t)kind;
    i->fix[0].label = (int16_t)label;
    i->long_ = kind == JUMP_CALL || (kind <= JUMP_JMP && chance(g, 8));
}
void put_seek(struct gen *g, unsigned log2_size, unsigned offset)
{
    struct item *i = new_item(g, ITEM_SEEK);
    i->bytes[0] = (uint8_t)log2_size;
    i->fix[0].add = (int32_t)offset;
}
struct item *put_bytes(struct gen *g, const uint8_t *bytes, unsigned n)
{
    struct item *i = new_item(g, ITEM_INSN);
    i->len = (uint8_t)n;
    memcpy(i->bytes, bytes, n);
    return i;
}
void put_data(struct gen *g, const void *bytes, unsigned n)
{
    for (const uint8_t *p = bytes; n;) {
        unsigned part = n < 16 ? n : 16;
        struct item *i = put_bytes(g, p, part);
        i->kind = ITEM_DATA;
        i->fixed = true;
        p += part;
        n -= part;
    }
}
void put_data_address(struct gen *g, int label)
{
    static const uint8_t kinds[] = { FIX_ABS64, FIX_ABS32, FIX_ABS16, FIX_ABS32 },
                         sizes[] = { 8, 4, 2, 4 };
    struct item *i = new_item(g, ITEM_DATA);
    i->fixed = true;
    i->len = sizes[g->bits];
    i->fix[0] = (struct fix){ .kind = kinds[g->bits], .label = (int16_t)label };
}

/* ---- encoding ---- */

unsigned word_size(const struct gen *g)
{
    static const uint8_t size[] = { SZ64, SZ32, SZ16, SZ32 };
    return size[g->bits];
}

static bool address16(const struct gen *g, const struct mem *m)
{
    return g->bits == BITS16 && !m->addr32;
}

static unsigned put_n(uint8_t *b, unsigned n, uint64_t v, unsigned bytes)
{
    memcpy(b + n, &v, bytes);
    return n + bytes;
}

unsigned encode_memory(struct gen *g, uint8_t *b, unsigned n, unsigned reg, const struct mem *m,
                       struct fix *fix)
{
    reg = (reg & 7) << 3;
    if (address16(g, m)) {
        if (m->label != NO_LABEL || m->base == NO_REG) {
            b[n++] = (uint8_t)(reg | 6);
            if (m->label != NO_LABEL)
                *fix = (struct fix){ (uint8_t)n, FIX_ABS16, (int16_t)m->label, m->disp };
            return put_n(b, n, (uint64_t)m->disp, 2);
        }
        unsigned rm = m->base == RSI   ? 4
                      : m->base == RDI ? 5
                      : m->index == NO_REG
                          ? (m->base == RBP ? 6 : 7)
                          : (m->base == RBP ? 2u : 0u) + (m->index == RDI ? 1u : 0u);
        bool d8 = m->disp == (int8_t)m->disp;
        unsigned mod = m->disp == 0 && rm != 6 ? 0 : d8 ? 1 : 2;
        b[n++] = (uint8_t)(mod << 6 | reg | rm);
        return mod ? put_n(b, n, (uint64_t)m->disp, mod) : n;
    }
    if (m->label != NO_LABEL) { /* RIP-relative in 64-bit mode */
        b[n++] = (uint8_t)(reg | 5);
        *fix = (struct fix){ (uint8_t)n, g->bits == BITS64 ? FIX_REL32 : FIX_ABS32,
                             (int16_t)m->label, m->disp };
        return put_n(b, n, 0, 4);
    }
    if (m->base == NO_REG) {
        if (m->index == NO_REG && g->bits != BITS64) {
            b[n++] = (uint8_t)(reg | 5);
        } else {
            b[n++] = (uint8_t)(reg | 4);
            b[n++] = (uint8_t)(m->scale << 6 | (m->index == NO_REG ? 4 : m->index & 7) << 3 | 5);
        }
        return put_n(b, n, (uint64_t)m->disp, 4);
    }
    bool d8 = m->disp == (int8_t)m->disp;
    unsigned mod = m->disp == 0 && (m->base & 7) != 5 ? 0 : d8 && !chance(g, 8) ? 1 : 2;
    if (m->index != NO_REG || (m->base & 7) == 4) {
        b[n++] = (uint8_t)(mod << 6 | reg | 4);
        b[n++] =
            (uint8_t)(m->scale << 6 | (m->index == NO_REG ? 4 : m->index & 7) << 3 | (m->base & 7));
    } else {
        b[n++] = (uint8_t)(mod << 6 | reg | (unsigned)(m->base & 7));
    }
    return mod ? put_n(b, n, (uint64_t)m->disp, mod == 1 ? 1 : 4) : n;
}

struct item *put_op(struct gen *g, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm,
                    const struct mem *m, uint64_t imm, unsigned imm_bytes)
{
    uint8_t b[32];
    unsigned n = 0, rex = 0;
    struct fix fix = { 0 };
    bool opsize = g->bits == BITS16 ? size >= SZ32 : size == SZ16;
    if (size == SZ8 || (prefix & 0xff) != 0)
        opsize = false;
    if (m && m->seg)
        b[n++] = m->seg;
    if (m && m->addr32)
        b[n++] = 0x67;
    if (prefix & LOCK_PREFIX)
        b[n++] = 0xf0;
    if (opsize)
        b[n++] = 0x66;
    if (prefix & 0xff)
        b[n++] = (uint8_t)prefix;
    if (size == SZ8) { /* reg and rm are byte registers */
        if ((reg >= 4 && reg < 8) || (!m && rm >= 4 && rm < 8))
            rex = 0x40;
        reg = reg >= 16 ? reg - 12 : reg;
        rm = rm >= 16 ? rm - 12 : rm;
    }
    if (size == SZ64)
        rex |= 0x48;
    if (reg >= 8)
        rex |= 0x44;
    if (m) {
        if (m->label == NO_LABEL && m->base >= 8)
            rex |= 0x41;
        if (m->label == NO_LABEL && m->index >= 8)
            rex |= 0x42;
    } else if (rm >= 8) {
        rex |= 0x41;
    }
    if (rex)
        b[n++] = (uint8_t)rex;
    for (int shift = 24; shift >= 0; shift -= 8)
        if (opcode >> shift || !shift)
            b[n++] = (uint8_t)(opcode >> shift);
    if (m)
        n = encode_memory(g, b, n, (unsigned)reg, m, &fix);
    else if (rm >= 0)
        b[n++] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    n = put_n(b, n, imm, imm_bytes);
    if (n > 15)
        abort();
    struct item *i = put_bytes(g, b, n);
    i->fix[0] = fix;
    return i;
}

void put_alu_rr(struct gen *g, unsigned op, unsigned size, int dst, int src)
{
    if (chance(g, 2))
        put_op(g, size, 0, op << 3 | (size != SZ8), src, dst, NULL, 0, 0);
    else
        put_op(g, size, 0, op << 3 | 2 | (size != SZ8), dst, src, NULL, 0, 0);
}
static unsigned imm_size(unsigned size)
{
    return size == SZ8 ? 1 : size == SZ16 ? 2 : 4;
}
void put_alu_ri(struct gen *g, unsigned op, unsigned size, int dst, int32_t imm)
{
    if (size != SZ8 && imm == (int8_t)imm)
        put_op(g, size, 0, 0x83, (int)op, dst, NULL, (uint64_t)imm, 1);
    else
        put_op(g, size, 0, size == SZ8 ? 0x80 : 0x81, (int)op, dst, NULL, (uint64_t)imm,
               imm_size(size));
}
void put_alu_mi(struct gen *g, unsigned op, unsigned size, struct mem m, int32_t imm)
{
    if (size != SZ8 && imm == (int8_t)imm)
        put_op(g, size, 0, 0x83, (int)op, NO_REG, &m, (uint64_t)imm, 1);
    else
        put_op(g, size, 0, size == SZ8 ? 0x80 : 0x81, (int)op, NO_REG, &m, (uint64_t)imm,
               imm_size(size));
}
void put_mov_ri(struct gen *g, unsigned size, int dst, uint64_t imm)
{
    uint8_t b[16];
    unsigned n = 0;
    if (size == (g->bits == BITS16 ? SZ32 : SZ16))
        b[n++] = 0x66;
    if (size == SZ64 || dst >= 8)
        b[n++] = (uint8_t)(0x40 | (size == SZ64 ? 8 : 0) | (dst >= 8 ? 1 : 0));
    b[n++] = (uint8_t)(0xb8 | (dst & 7));
    n = put_n(b, n, imm, 1u << size);
    put_bytes(g, b, n);
}
void put_mov_rr(struct gen *g, unsigned size, int dst, int src)
{
    put_op(g, size, 0, size == SZ8 ? 0x88 : 0x89, src, dst, NULL, 0, 0);
}
void put_load(struct gen *g, unsigned size, int dst, struct mem m)
{
    put_op(g, size, 0, size == SZ8 ? 0x8a : 0x8b, dst, NO_REG, &m, 0, 0);
}
void put_store(struct gen *g, unsigned size, struct mem m, int src)
{
    put_op(g, size, 0, size == SZ8 ? 0x88 : 0x89, src, NO_REG, &m, 0, 0);
}
void put_store_imm(struct gen *g, unsigned size, struct mem m, int32_t imm)
{
    put_op(g, size, 0, size == SZ8 ? 0xc6 : 0xc7, 0, NO_REG, &m, (uint64_t)imm, imm_size(size));
}
void put_lea(struct gen *g, unsigned size, int dst, struct mem m)
{
    put_op(g, size, 0, 0x8d, dst, NO_REG, &m, 0, 0);
}
void put_movzx8(struct gen *g, int dst, int src)
{
    /* The source is a byte register: SIL and the like need REX. */
    uint8_t b[16];
    unsigned n = 0;
    if (g->bits == BITS16)
        b[n++] = 0x66;
    if (g->bits == BITS64)
        b[n++] = (uint8_t)(0x40 | (dst >= 8 ? 4 : 0) | (src >= 8 ? 1 : 0));
    b[n++] = 0x0f;
    b[n++] = 0xb6;
    b[n++] = (uint8_t)(0xc0 | (dst & 7) << 3 | (src & 7));
    put_bytes(g, b, n);
}
static void put_stack(struct gen *g, unsigned opcode, int r)
{
    uint8_t b[2];
    unsigned n = 0;
    if (r >= 8)
        b[n++] = 0x41;
    b[n++] = (uint8_t)(opcode | (r & 7));
    put_bytes(g, b, n);
}
void put_push(struct gen *g, int r)
{
    put_stack(g, 0x50, r);
}
void put_pop(struct gen *g, int r)
{
    put_stack(g, 0x58, r);
}
void put_ret(struct gen *g)
{
    put_1(g, 0xc3);
}
void put_1(struct gen *g, unsigned byte)
{
    uint8_t b = (uint8_t)byte;
    put_bytes(g, &b, 1);
}
void put_2(struct gen *g, unsigned a, unsigned b)
{
    uint8_t s[2] = { (uint8_t)a, (uint8_t)b };
    put_bytes(g, s, 2);
}

struct mem at_data(struct gen *g, int32_t offset)
{
    struct mem m = MEM_NONE;
    m.disp = offset;
    if (g->bits == BITS16)
        return m;
    unsigned form = below(g, 8);
    if (g->base != NO_REG && form < 5) {
        m.base = g->base;
    } else if (form == 7 && offset >= (int32_t)GS_OFFSET) {
        m.seg = 0x65;
        m.disp -= GS_OFFSET;
    } else if (form == 6 && g->bits == BITS64) {
        m.label = -2;
        m.disp += (int32_t)DATA;
    } else {
        m.disp += (int32_t)data_address(g->bits);
    }
    return m;
}
struct mem at_label(struct gen *g, int label, int32_t add)
{
    struct mem m = MEM_NONE;
    m.label = label;
    m.disp = add;
    if (g->bits == BITS16)
        m.seg = 0x65; /* GS is the code, as data */
    return m;
}

/* ---- layout ---- */

/* Length of a jump in its short and long form. */
static unsigned jump_len(const struct program *p, const struct item *i)
{
    unsigned near = p->bits == BITS16 ? 2 : 4; /* bytes of the displacement */
    unsigned kind = i->bytes[0];
    if (!i->long_)
        return 2;
    if (kind < JUMP_JMP)
        return 2 + near;
    if (kind <= JUMP_CALL)
        return 1 + near;
    return 5 + near; /* short to a near jump, over which a short one leads */
}

static uint32_t place(struct program *p, const bool *dropped)
{
    uint32_t at = 0;
    for (size_t k = 0; k < p->item_count; k++) {
        struct item *i = &p->items[k];
        i->offset = at;
        if (dropped && dropped[k])
            continue;
        switch (i->kind) {
        case ITEM_LABEL: p->labels[i->fix[0].label] = (int32_t)at; break;
        case ITEM_JUMP: at += jump_len(p, i); break;
        case ITEM_SEEK:
            while ((at & ((1u << i->bytes[0]) - 1)) != (uint32_t)i->fix[0].add)
                at++;
            break;
        default: at += i->len; break;
        }
        if (at > CODE_SIZE - 16)
            return at;
    }
    return at;
}

static void store(uint8_t *to, uint64_t v, unsigned n)
{
    memcpy(to, &v, n);
}

static void emit_jump(struct program *p, const struct item *i)
{
    static const uint8_t loops[] = {
        [JUMP_LOOP] = 0xe2, [JUMP_LOOPE] = 0xe1, [JUMP_LOOPNE] = 0xe0, [JUMP_CXZ] = 0xe3
    };
    uint8_t *b = p->code + i->offset;
    unsigned kind = i->bytes[0], len = jump_len(p, i), near = p->bits == BITS16 ? 2 : 4;
    uint64_t rel = (uint64_t)((int64_t)p->labels[i->fix[0].label] - (int64_t)(i->offset + len));
    p->starts[p->start_count++] = (uint16_t)i->offset;
    if (kind > JUMP_CALL) {
        b[0] = loops[kind];
        b[1] = (uint8_t)rel;
        if (i->long_) {
            b[1] = 2;
            b[2] = 0xeb;
            b[3] = (uint8_t)(1 + near);
            b[4] = 0xe9;
            store(b + 5, rel, near);
            p->starts[p->start_count++] = (uint16_t)(i->offset + 2);
            p->starts[p->start_count++] = (uint16_t)(i->offset + 4);
        }
        return;
    }
    if (!i->long_) {
        b[0] = (uint8_t)(kind == JUMP_JMP ? 0xeb : 0x70 | kind);
        b[1] = (uint8_t)rel;
        return;
    }
    if (kind < JUMP_JMP) {
        b[0] = 0x0f;
        b[1] = (uint8_t)(0x80 | kind);
        store(b + 2, rel, near);
        return;
    }
    b[0] = kind == JUMP_CALL ? 0xe8 : 0xe9;
    store(b + 1, rel, near);
}

static void emit_fix(struct program *p, const struct item *i, const struct fix *f)
{
    uint8_t *to = p->code + i->offset + f->at;
    uint32_t target = (f->label == -2 ? 0 : (uint32_t)p->labels[f->label]) + (uint32_t)f->add;
    uint32_t base = f->label == -2 ? 0 : CODE - code_base(p->bits);
    switch (f->kind) {
    case FIX_ABS16: store(to, target, 2); break;
    case FIX_ABS32: store(to, base + target, 4); break;
    case FIX_ABS64: store(to, (uint64_t)base + target, 8); break;
    case FIX_REL32: store(to, base + target - (CODE + i->offset + i->len), 4); break;
    default: break;
    }
}

bool program_layout(struct program *p, const bool *dropped)
{
    bool changed;
    do {
        changed = false;
        if (place(p, dropped) > CODE_SIZE - 16)
            return false;
        for (size_t k = 0; k < p->item_count; k++) {
            struct item *i = &p->items[k];
            if (i->kind != ITEM_JUMP || i->long_ || (dropped && dropped[k]))
                continue;
            int32_t rel = p->labels[i->fix[0].label] - (int32_t)(i->offset + 2);
            if (rel != (int8_t)rel)
                i->long_ = changed = true;
        }
    } while (changed);
    memset(p->code, 0xcc, sizeof p->code);
    p->start_count = 0;
    p->code_len = 0;
    for (size_t k = 0; k < p->item_count; k++) {
        struct item *i = &p->items[k];
        if (dropped && dropped[k])
            continue;
        if (i->kind == ITEM_JUMP) {
            emit_jump(p, i);
            p->code_len = i->offset + jump_len(p, i);
        } else if (i->kind == ITEM_INSN || i->kind == ITEM_DATA) {
            if (i->kind == ITEM_INSN)
                p->starts[p->start_count++] = (uint16_t)i->offset;
            memcpy(p->code + i->offset, i->bytes, i->len);
            for (int f = 0; f < 2; f++)
                emit_fix(p, i, &i->fix[f]);
            p->code_len = i->offset + i->len;
        }
    }
    return true;
}

void program_print(const struct program *p, const bool *dropped)
{
    static const uint8_t modes[] = { MODE_CODE64, MODE_CODE32, MODE_CODE16, MODE_CODE32 };
    printf("seed %llu, %s-bit, entry %x, rescue %x, end %x\n", (unsigned long long)p->seed,
           (const char *[]){ "64", "32", "16", "segmented 32" }[p->bits],
           (unsigned)p->labels[p->entry], (unsigned)p->labels[p->rescue],
           (unsigned)p->labels[p->end]);
    for (int r = 0; r < 16; r++)
        printf("%s%-3s %016llx%s", r & 3 ? "  " : "",
               (const char *[]){ "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9",
                                 "r10", "r11", "r12", "r13", "r14", "r15" }[r],
               (unsigned long long)p->gpr[r], r & 3 ? (r & 3) == 3 ? "\n" : "" : "");
    printf("flags %x mxcsr %x fcw %x\n", (unsigned)p->rflags, *(const uint32_t *)(p->fx + 24),
           *(const uint16_t *)p->fx);
    decode_init();
    /* Labels that nothing refers to, and data behind them, only get in the way. */
    bool *used = calloc((size_t)p->label_count, 1), show_data = false;
    if (!used)
        abort();
    used[p->entry] = used[p->rescue] = used[p->end] = true;
    for (size_t k = 0; k < p->item_count; k++)
        for (int f = 0; f < 2; f++) {
            const struct item *i = &p->items[k];
            if (!(dropped && dropped[k]) && i->fix[f].label >= 0 &&
                (i->kind == ITEM_JUMP || i->fix[f].kind != FIX_NONE))
                used[i->fix[f].label] = true;
        }
    for (size_t k = 0; k < p->item_count; k++) {
        const struct item *i = &p->items[k];
        if (dropped && dropped[k])
            continue;
        unsigned len = i->kind == ITEM_JUMP ? jump_len(p, i) : i->len;
        if (i->kind == ITEM_LABEL) {
            show_data = used[i->fix[0].label];
            if (show_data)
                printf("L%d:\n", i->fix[0].label);
        } else if (i->kind == ITEM_DATA) {
            if (!show_data)
                continue;
            printf("  %04x  data", (unsigned)i->offset);
            for (unsigned n = 0; n < i->len; n++)
                printf(" %02x", p->code[i->offset + n]);
            printf("\n");
        } else if (i->kind != ITEM_SEEK) {
            for (unsigned n = 0; n < len;) {
                char text[128];
                unsigned at = i->offset + n,
                         one = disasm(text, sizeof text, p->code + at, 15, modes[p->bits],
                                      CODE - code_base(p->bits) + at);
                printf("  %04x  %s\n", at, text);
                n += one ? one : len;
            }
        }
    }
    free(used);
}

void program_free(struct program *p)
{
    free(p->items);
    free(p->labels);
    p->items = NULL;
    p->labels = NULL;
    p->item_count = p->item_room = 0;
    p->label_count = p->label_room = 0;
}
