/*
 * Disassembler in Intel syntax, from the rows and the fields that the decoder makes: whatever this
 * prints is what will be executed.
 *
 * A line is: prefixes (lock, rep ...), the mnemonic (the row's name, or the one that goes with the
 * operand or address size: names_by_size), operands. Numbers are hexadecimal; an immediate has the
 * width of the operand that it is used with, branch targets are addresses, and an address relative
 * to RIP is followed by "# 0x..." with what it comes to. Segments are written where an override
 * changes them. String instructions have operands only where segment or address size aren't the
 * usual ones. Bytes that are no instruction give "(bad)".
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cpu/decode.h"

struct out {
    char *text;
    size_t size, pos; /* pos < size; the text is cut there */
    const struct insn *i;
    const struct opcode *o;
    unsigned code_mode;
    uint64_t rip, comment; /* comment: address behind "#" */
    bool has_comment;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->pos, t->size - t->pos, format, args);
    va_end(args);
    if (n > 0)
        t->pos = (size_t)n < t->size - t->pos ? t->pos + (size_t)n : t->size - 1;
}

static void put_hex(struct out *t, uint64_t v)
{
    put(t, "0x%llx", (unsigned long long)v);
}

static uint64_t low_bytes(uint64_t v, unsigned bytes)
{
    return bytes < 8 ? v & ((1ull << 8 * bytes) - 1) : v;
}

/* ---- registers ---- */

static const char *const segments[] = {
    [SEG_ES] = "es", [SEG_CS] = "cs", [SEG_SS] = "ss",
    [SEG_DS] = "ds", [SEG_FS] = "fs", [SEG_GS] = "gs",
};

/* General register @n of 1 << @osz bytes; byte registers by their offset in gpr[]. */
static void put_gpr(struct out *t, unsigned n, unsigned osz)
{
    static const char *const names[8] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };
    if (osz == 0) {
        unsigned reg = n / 8;
        if (n & 1)
            put(t, "%ch", names[reg][0]);
        else if (reg < 4)
            put(t, "%cl", names[reg][0]);
        else if (reg < 8)
            put(t, "%sl", names[reg]);
        else
            put(t, "r%ub", reg);
    } else if (n < 8) {
        put(t, "%s%s", osz == 3 ? "r" : osz == 2 ? "e" : "", names[n]);
    } else {
        put(t, "r%u%s", n, osz == 3 ? "" : osz == 2 ? "d" : "w");
    }
}

/* ---- memory ---- */

static unsigned address_osz(const struct insn *i)
{
    return i->ash == 48 ? 1 : i->ash == 32 ? 2 : 3;
}

static const char *size_name(unsigned bytes)
{
    switch (bytes) {
    case 1: return "byte ptr ";
    case 2: return "word ptr ";
    case 4: return "dword ptr ";
    case 6: return "fword ptr ";
    case 8: return "qword ptr ";
    case 10: return "tbyte ptr ";
    case 16: return "xmmword ptr ";
    default: return "";
    }
}

/* Bytes of a memory operand written as @operand; 0: no size is written. */
static unsigned memory_bytes(const struct insn *i, const struct opcode *o, uint8_t operand)
{
    switch (operand) {
    case OPD_Eb:
    case OPD_Mb:
    case OPD_Wb:
    case OPD_Rd_Mb:
    case OPD_Ob:
    case OPD_Xb:
    case OPD_Yb: return 1;
    case OPD_Ew:
    case OPD_Mw:
    case OPD_Ww:
    case OPD_Rd_Mw:
    case OPD_Ew_Rv: return 2;
    case OPD_Ed:
    case OPD_Md:
    case OPD_Wd:
    case OPD_Qd: return 4;
    case OPD_Eq:
    case OPD_Mq:
    case OPD_Wq:
    case OPD_Qq: return 8;
    case OPD_Ev:
    case OPD_Ov:
    case OPD_Xv:
    case OPD_Yv: return 1u << i->osz;
    case OPD_Ey: return i->osz == 3 ? 8 : 4;
    case OPD_Mx:
    case OPD_Wx: return 16;
    case OPD_Mt: return 10;
    case OPD_Mp: return (1u << i->osz) + 2;
    default: break;
    }
    if (operand != OPD_M)
        return 0;
    /* A bare M: its size is in the other operand or in the name. */
    if (!strcmp(o->name, "movbe"))
        return 1u << i->osz;
    if (!strcmp(o->name, "movnti"))
        return i->osz == 3 ? 8 : 4;
    if (!strcmp(o->name, "bound"))
        return 2u << i->osz;
    if (!strcmp(o->name, "cmpxchg8b"))
        return 8;
    return !strcmp(o->name, "cmpxchg16b") ? 16 : 0;
}

/* The segment that the operand has without an override. */
static unsigned default_segment(const struct insn *i)
{
    return i->base == RBP || i->base == RSP ? SEG_SS : SEG_DS;
}

static void put_displacement(struct out *t, int64_t disp, bool first, unsigned osz)
{
    if (first)
        put_hex(t, low_bytes((uint64_t)disp, 1u << osz));
    else if (disp)
        put(t, " %c 0x%llx", disp < 0 ? '-' : '+',
            (unsigned long long)(disp < 0 ? -(uint64_t)disp : (uint64_t)disp));
}

static void put_memory(struct out *t, uint8_t operand)
{
    const struct insn *i = t->i;
    unsigned osz = address_osz(i);
    bool offset = operand == OPD_Ob || operand == OPD_Ov, first = true;
    put(t, "%s", size_name(memory_bytes(i, t->o, operand)));
    if (i->seg != SEG_NONE && i->seg != default_segment(i))
        put(t, "%s:", segments[i->seg]);
    put(t, "[");
    if (offset) {
        put_hex(t, i->imm64);
    } else if (i->base == REG_IP) {
        int64_t disp = (int32_t)((uint32_t)i->disp - i->len);
        put(t, osz == 2 ? "eip" : "rip");
        put_displacement(t, disp, false, osz);
        t->comment = low_bytes(t->rip + i->len + (uint64_t)disp, 1u << osz);
        t->has_comment = true;
    } else {
        if (i->base != REG_ZERO) {
            put_gpr(t, i->base, osz);
            first = false;
        }
        if (i->index != REG_ZERO) {
            put(t, "%s", first ? "" : " + ");
            put_gpr(t, i->index, osz);
            if (osz != 1)
                put(t, "*%u", 1u << i->scale);
            first = false;
        }
        put_displacement(t, i->disp, first, osz);
    }
    put(t, "]");
}

/* ---- operands ---- */

static bool in_memory(const struct out *t)
{
    return t->i->flags & INSN_MEM;
}

static void put_rm(struct out *t, uint8_t operand, unsigned osz)
{
    if (in_memory(t))
        put_memory(t, operand);
    else
        put_gpr(t, t->i->rm, osz);
}

static void put_numbered(struct out *t, uint8_t operand, const char *prefix, const char *suffix,
                         unsigned n)
{
    if (operand != OPD_NONE && in_memory(t))
        put_memory(t, operand);
    else
        put(t, "%s%u%s", prefix, n, suffix);
}

static uint64_t branch_address(const struct out *t)
{
    const struct insn *i = t->i;
    uint64_t to = t->rip + i->len + (uint64_t)(int64_t)i->imm;
    return t->code_mode == MODE_CODE64 ? to : low_bytes(to, i->osz == 1 ? 2 : 4);
}

/* Implied by the instruction, not written. */
static bool is_silent(const struct out *t, unsigned k)
{
    uint8_t operand = t->o->operands[k];
    return operand == OPD_NONE || (operand == OPD_Xb && k == 2);
}

static void put_operand(struct out *t, uint8_t operand)
{
    const struct insn *i = t->i;
    unsigned y = i->osz == 3 ? 3 : 2;
    switch (operand) {
    case OPD_Eb: put_rm(t, operand, 0); break;
    case OPD_Ew: put_rm(t, operand, 1); break;
    case OPD_Ed:
    case OPD_Rd_Mb:
    case OPD_Rd_Mw: put_rm(t, operand, 2); break;
    case OPD_Eq: put_rm(t, operand, 3); break;
    case OPD_Ev:
    case OPD_Ew_Rv:
    case OPD_Rv: put_rm(t, operand, i->osz); break;
    case OPD_Ey:
    case OPD_Ry: put_rm(t, operand, y); break;
    case OPD_Gb: put_gpr(t, i->r, 0); break;
    case OPD_Gw: put_gpr(t, i->r, 1); break;
    case OPD_Gd: put_gpr(t, i->r, t->o->prefix == PFX_F2 && i->osz == 3 ? 3 : 2); break;
    case OPD_Gq: put_gpr(t, i->r, 3); break;
    case OPD_Gv: put_gpr(t, i->r, i->osz); break;
    case OPD_Gy: put_gpr(t, i->r, y); break;
    case OPD_Zb: put_gpr(t, i->rm, 0); break;
    case OPD_Zv: put_gpr(t, i->rm, i->osz); break;
    case OPD_AL: put(t, "al"); break;
    case OPD_CL: put(t, "cl"); break;
    case OPD_DX: put(t, "dx"); break;
    case OPD_rAX: put_gpr(t, RAX, t->o->byte == 0xdf ? 1 : i->osz); break; /* FNSTSW AX */
    case OPD_eAX: put_gpr(t, RAX, i->osz); break;
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
    case OPD_Ob:
    case OPD_Ov: put_memory(t, operand); break;
    case OPD_Ib:
    case OPD_I1: put_hex(t, (uint8_t)i->imm); break;
    case OPD_Iw: put_hex(t, (uint16_t)i->imm); break;
    case OPD_Ibs:
    case OPD_Iz: put_hex(t, low_bytes((uint64_t)(int64_t)i->imm, 1u << i->osz)); break;
    case OPD_Iv: put_hex(t, i->imm64); break;
    case OPD_Ibw:
        put(t, "0x%x, 0x%x", (unsigned)i->imm & 0xffff, (unsigned)i->imm >> 16 & 0xff);
        break;
    case OPD_Jb:
    case OPD_Jz: put_hex(t, branch_address(t)); break;
    case OPD_Ap:
        put(t, "0x%x:0x%llx", (unsigned)i->imm,
            (unsigned long long)low_bytes((uint32_t)i->disp, i->osz == 1 ? 2 : 4));
        break;
    case OPD_Sw: put(t, "%s", segments[i->r]); break;
    case OPD_Cy: put_numbered(t, OPD_NONE, "cr", "", i->r); break;
    case OPD_Dy: put_numbered(t, OPD_NONE, "dr", "", i->r); break;
    case OPD_Pq: put_numbered(t, OPD_NONE, "mm", "", i->r); break;
    case OPD_Vx: put_numbered(t, OPD_NONE, "xmm", "", i->r); break;
    case OPD_Qq:
    case OPD_Qd:
    case OPD_Nq: put_numbered(t, operand, "mm", "", i->rm); break;
    case OPD_Wx:
    case OPD_Ux:
    case OPD_Wb:
    case OPD_Ww:
    case OPD_Wd:
    case OPD_Wq: put_numbered(t, operand, "xmm", "", i->rm); break;
    case OPD_ST0: put(t, "st(0)"); break;
    case OPD_STi: put_numbered(t, operand, "st(", ")", i->rm); break;
    case OPD_Xb:
    case OPD_Xv:
    case OPD_Yb:
    case OPD_Yv: {
        bool source = operand == OPD_Xb || operand == OPD_Xv;
        put(t, "%s%s:[", size_name(memory_bytes(i, t->o, operand)),
            segments[source ? i->seg : SEG_ES]);
        put_gpr(t, source ? RSI : RDI, address_osz(i));
        put(t, "]");
        break;
    }
    default: break;
    }
}

/* ---- mnemonics ---- */

/* What an instruction is called at operand sizes of 8, 16, 32 and 64 bits. */
static const struct {
    const char *row, *names[4];
} names_by_size[] = {
    { "cbw", { 0, "cbw", "cwde", "cdqe" } },
    { "cwd", { 0, "cwd", "cdq", "cqo" } },
    { "pusha", { 0, "pusha", "pushad", 0 } },
    { "popa", { 0, "popa", "popad", 0 } },
    { "pushf", { 0, "pushf", "pushfd", "pushfq" } },
    { "popf", { 0, "popf", "popfd", "popfq" } },
    { "iret", { 0, "iret", "iretd", "iretq" } },
    { "movs", { "movsb", "movsw", "movsd", "movsq" } },
    { "cmps", { "cmpsb", "cmpsw", "cmpsd", "cmpsq" } },
    { "stos", { "stosb", "stosw", "stosd", "stosq" } },
    { "lods", { "lodsb", "lodsw", "lodsd", "lodsq" } },
    { "scas", { "scasb", "scasw", "scasd", "scasq" } },
    { "ins", { "insb", "insw", "insd", "insd" } },
    { "outs", { "outsb", "outsw", "outsd", "outsd" } },
    { "xlat", { "xlatb", 0, 0, 0 } },
    { "movd", { 0, 0, 0, "movq" } },
    { "pextrd", { 0, 0, 0, "pextrq" } },
    { "pinsrd", { 0, 0, 0, "pinsrq" } },
    { "sysret", { 0, 0, 0, "sysretq" } },
    { "sysexit", { 0, 0, 0, "sysexitq" } },
    { "fxsave", { 0, 0, 0, "fxsave64" } },
    { "fxrstor", { 0, 0, 0, "fxrstor64" } },
    { "xsave", { 0, 0, 0, "xsave64" } },
    { "xsaveopt", { 0, 0, 0, "xsaveopt64" } },
    { "xrstor", { 0, 0, 0, "xrstor64" } },
};

/* XCHG of the accumulator with itself. */
static bool is_nop(const struct out *t)
{
    return t->o->operands[0] == OPD_Zv && t->o->operands[1] == OPD_rAX && t->i->rm == RAX;
}

static const char *mnemonic(const struct out *t)
{
    const struct insn *i = t->i;
    const char *name = t->o->name;
    for (size_t k = 0; k < sizeof names_by_size / sizeof names_by_size[0]; k++)
        if (!strcmp(name, names_by_size[k].row))
            return names_by_size[k].names[i->osz] ? names_by_size[k].names[i->osz] : name;
    if (!strcmp(name, "jcxz"))
        return i->ash == 48 ? "jcxz" : i->ash == 32 ? "jecxz" : "jrcxz";
    if (t->o->map != MAP_1B)
        return name;
    if (is_nop(t))
        return "nop";
    /* 64-bit immediates and offsets have a name of their own in the GNU tools. */
    if (t->code_mode == MODE_CODE64 &&
        (t->o->operands[1] == OPD_Iv ? i->osz == 3
                                     : i->ash == 0 && t->o->byte >= 0xa0 && t->o->byte <= 0xa3))
        return "movabs";
    return name;
}

/* Stack and return instructions without operands that tell their size carry it when it isn't the
 * usual one of the mode. */
static const char *size_suffix(const struct out *t)
{
    static const char *const rows[] = { "ret", "retf", "enter", "leave" };
    unsigned usual = t->code_mode == MODE_CODE16 ? 1 : 2;
    if (t->code_mode == MODE_CODE64 && strcmp(t->o->name, "retf"))
        usual = 3;
    if (t->i->osz == usual)
        return "";
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
        if (!strcmp(t->o->name, rows[k]))
            return t->i->osz == 1 ? "w" : t->i->osz == 2 ? "d" : "q";
    return "";
}

static const char *repeat_prefix(const struct out *t)
{
    if (!(t->o->flags & OP_REP))
        return "";
    bool compares = t->o->fl_write;
    if (t->i->flags & INSN_REP)
        return compares ? "repe " : "rep ";
    return t->i->flags & INSN_REPNE ? "repne " : "";
}

/* A string instruction whose segment and address size are the usual ones. */
static bool plain_string(const struct out *t)
{
    static const unsigned usual[] = {
        [MODE_CODE16] = 48,
        [MODE_CODE32] = 32,
        [MODE_CODE64] = 0,
    };
    bool string = (t->o->flags & OP_REP) || !strcmp(t->o->name, "xlat");
    return string && t->i->ash == usual[t->code_mode] &&
           (t->i->seg == SEG_DS || t->i->seg == SEG_NONE);
}

/* Encodings that decode but always are #UD when executed: registers that don't exist. */
static bool is_bad(const struct insn *i, const struct opcode *o)
{
    for (int k = 0; k < 2; k++)
        switch (o->operands[k]) {
        case OPD_Sw:
            if (i->r > SEG_GS || (k == 0 && i->r == SEG_CS))
                return true;
            break;
        case OPD_Cy:
            if (i->r != 0 && i->r != 8 && (i->r < 2 || i->r > 4))
                return true;
            break;
        case OPD_Dy:
            if (i->r > 7)
                return true;
            break;
        default: break;
        }
    return false;
}

static void put_operands(struct out *t)
{
    const struct opcode *o = t->o;
    if (plain_string(t))
        return;
    if (!strcmp(o->name, "xlat")) {
        put(t, " byte ptr %s:[", segments[t->i->seg]);
        put_gpr(t, RBX, address_osz(t->i));
        put(t, "]");
        return;
    }
    if (is_nop(t))
        return;
    if (o->operands[0] == OPD_Mp)
        put(t, " far");
    for (unsigned k = 0; k < 4 && !is_silent(t, k); k++) {
        put(t, k ? ", " : " ");
        put_operand(t, o->operands[k]);
    }
    /* PUSH and POP of a segment register have it in the opcode. */
    if (o->operands[0] == OPD_NONE && (!strcmp(o->name, "push") || !strcmp(o->name, "pop")))
        put(t, " %s", o->map == MAP_0F ? o->byte & 8 ? "gs" : "fs" : segments[o->byte >> 3 & 3]);
    if (o->map == MAP_0F38 && (o->byte == 0x10 || o->byte == 0x14 || o->byte == 0x15))
        put(t, ", xmm0"); /* PBLENDVB, BLENDVPS, BLENDVPD */
}

unsigned disasm(char *text, size_t size, const uint8_t *bytes, unsigned avail, unsigned code_mode,
                uint64_t rip)
{
    struct insn i;
    if (!size)
        return decode(&i, bytes, avail, code_mode, true, NULL, 0);
    unsigned n = decode(&i, bytes, avail, code_mode, true, NULL, 0);
    const struct opcode *o = insn_opcode(&i);
    struct out t = {
        .text = text, .size = size, .i = &i, .o = o, .code_mode = code_mode, .rip = rip
    };
    text[0] = 0;
    /* UD0, UD1 and UD2 are rows; whatever else is #UD isn't an instruction. */
    bool undefined = i.fn == op_ud && (o->fn != op_ud || (i.flags & INSN_LOCK));
    if (!n || undefined || i.fn == op_gp_length || is_bad(&i, o)) {
        put(&t, "(bad)");
        return n;
    }
    put(&t, "%s%s%s%s", i.flags & INSN_LOCK ? "lock " : "", repeat_prefix(&t), mnemonic(&t),
        size_suffix(&t));
    put_operands(&t);
    if (t.has_comment)
        put(&t, "  # 0x%llx", (unsigned long long)t.comment);
    return n;
}
