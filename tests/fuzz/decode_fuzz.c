/*
 * Fuzzer of decoder and disassembler, with Zydis as the second decoder where it is installed.
 *
 * Byte strings come from two sources: random bytes behind random prefixes, and opcodes of our own
 * rows with their ModRM constraints. For each string and code size:
 *  - decoding a buffer that ends with the string reads nothing beyond it (ASan), twice gives the
 *    same, is never longer than 15 bytes, and every shorter buffer gives 0 until the instruction is
 *    complete, then the same instruction;
 *  - the disassembler takes as many bytes and ends its text;
 *  - Zydis agrees on validity, length and text. Instruction sets that we don't have must be invalid
 *    here; differences that have a reason are in explain().
 *
 * Usage: decode_fuzz [strings [seed [show]]]; show: differences to print.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

#include "cpu/decode.h"

#define LONGEST 15u

static uint64_t random_state;
static unsigned long failures, show = 20;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}
static uint32_t below(uint32_t n)
{
    return random32() % n;
}

static void report(const char *what, const uint8_t *bytes, unsigned mode, const char *ours,
                   const char *theirs)
{
    if (failures++ >= show)
        return;
    printf("%-10s %u-bit:", what, 16u << mode);
    for (unsigned k = 0; k < LONGEST; k++)
        printf(" %02x", bytes[k]);
    printf("  ours '%s' theirs '%s'\n", ours, theirs);
}

/* ---- strings ---- */

static unsigned put_opcode(uint8_t *b, unsigned n, const struct opcode *o)
{
    if (o->map != MAP_1B)
        b[n++] = 0x0f;
    if (o->map == MAP_0F38 || o->map == MAP_0F3A)
        b[n++] = o->map == MAP_0F38 ? 0x38 : 0x3a;
    b[n++] = o->byte;
    uint8_t modrm = (uint8_t)random32();
    if (o->reg != R_ANY)
        modrm = (uint8_t)((modrm & 0xc7) | o->reg << 3);
    if (o->mod == MOD_REG)
        modrm |= 0xc0;
    else if (o->mod == MOD_MEM)
        modrm &= (uint8_t)(0x3f | below(3) << 6);
    if (o->rm != R_ANY)
        modrm = (uint8_t)((modrm & 0xf8) | o->rm);
    b[n++] = modrm;
    return n;
}

/* 15 bytes. */
static void make_string(uint8_t *b, unsigned mode)
{
    static const uint8_t prefixes[] = { 0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf0,
                                        0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    unsigned n = 0;
    for (unsigned k = 0; k < LONGEST; k++)
        b[k] = (uint8_t)random32();
    for (unsigned most = below(8) ? below(3) : below(15); n < most;)
        b[n++] = prefixes[below(sizeof prefixes)];
    if (below(2)) {
        const struct opcode *o = opcode_rows[below((uint32_t)opcode_row_count)];
        static const uint8_t mandatory[] = { [PFX_66] = 0x66, [PFX_F3] = 0xf3, [PFX_F2] = 0xf2 };
        uint8_t p = o->prefix == PFX_66F2 ? 0xf2 : mandatory[o->prefix];
        if (p && below(8))
            b[n++] = p;
        if (mode == MODE_CODE64 && n < LONGEST && below(2))
            b[n++] = (uint8_t)(0x40 | below(16));
        uint8_t opcode[5];
        unsigned len = put_opcode(opcode, 0, o);
        for (unsigned k = 0; k < len && n < LONGEST; k++)
            b[n++] = opcode[k];
    } else if (n < LONGEST) {
        if (mode == MODE_CODE64 && below(2))
            b[n++] = (uint8_t)(0x40 | below(16));
        if (n < LONGEST && below(2))
            b[n++] = 0x0f;
        if (n < LONGEST && !below(4))
            b[n++] = below(2) ? 0x38 : 0x3a;
    }
    /* Small displacements and immediates are as likely as large ones. */
    for (; n < LONGEST; n++)
        if (!below(4))
            b[n] = below(2) ? 0 : 0xff;
}

/* ---- our own properties ---- */

static bool same(const struct insn *a, const struct insn *b)
{
    return a->h == b->h && a->op == b->op && a->len == b->len && a->osz == b->osz &&
           a->ash == b->ash && a->r == b->r && a->rm == b->rm && a->base == b->base &&
           a->index == b->index && a->scale == b->scale && a->seg == b->seg &&
           a->flags == b->flags && a->modrm == b->modrm && a->fn == b->fn && a->imm64 == b->imm64;
}

static void check_properties(const uint8_t *bytes, unsigned mode)
{
    struct insn i, j;
    unsigned len = decode(&i, bytes, LONGEST, mode, true, NULL, 0);
    if (!len || len > LONGEST || i.len != len)
        report("length", bytes, mode, "0 or above 15", "");
    for (unsigned avail = 0; avail <= LONGEST; avail++) {
        uint8_t *end = malloc(avail ? avail : 1);
        if (!end)
            abort();
        memcpy(end, bytes, avail);
        unsigned got = decode(&j, end, avail, mode, true, NULL, 0);
        if (got != (avail < len ? 0 : len) || (got && !same(&i, &j)))
            report("truncated", bytes, mode, "differs", "");
        char text[160];
        size_t size = 1 + below(sizeof text);
        memset(text, 'x', sizeof text);
        if (disasm(text, size, end, avail, mode, random32()) != got || !memchr(text, 0, size))
            report("disasm", bytes, mode, "length or end", "");
        free(end);
    }
}

/* ---- Zydis ---- */

#ifdef HAVE_ZYDIS
static ZydisDecoder decoders[3];
static ZydisFormatter formatter;

static void open_zydis(void)
{
    ZydisDecoderInit(&decoders[MODE_CODE16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[MODE_CODE32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[MODE_CODE64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_FORCE_SIZE, ZYAN_TRUE);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_RIPREL, ZYAN_TRUE);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_SIGNEDNESS,
                              ZYDIS_SIGNEDNESS_UNSIGNED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
                              ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE,
                              ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING,
                              ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
}

/* Mnemonics that Zydis has in another form than we. */
static const struct {
    const char *ours, *theirs;
} synonyms[] = {
    { "movabs", "mov" },
    { "sal", "shl" },
    { "fcom2", "fcom" },
    { "fcomp3", "fcomp" },
    { "fcomp5", "fcomp" },
    { "fxch4", "fxch" },
    { "fxch7", "fxch" },
    { "fstp8", "fstp" },
    { "fstp9", "fstp" },
    { "fneni", "feni8087_nop" },
    { "fndisi", "fdisi8087_nop" },
    { "fnsetpm", "fsetpm287_nop" },
    { "retw", "ret" },
    { "retd", "ret" },
    { "retf", "ret" },
    { "retfw", "ret" },
    { "retfd", "ret" },
    { "retfq", "ret" },
    { "enterw", "enter" },
    { "enterd", "enter" },
    { "leavew", "leave" },
    { "leaved", "leave" },
    { "xlatb", "xlat" },
    { "sysretq", "sysret" },
    { "sysexitq", "sysexit" },
};
static const char *const conditions[][2] = {
    { "e", "z" }, { "ne", "nz" }, { "ae", "nb" }, { "a", "nbe" }, { "ge", "nl" }, { "g", "nle" },
};

/* Our mnemonic as Zydis writes it. */
static void put_mnemonic(char *to, const char *ours)
{
    static const char *const families[] = { "j", "set", "cmov" };
    for (size_t k = 0; k < sizeof synonyms / sizeof synonyms[0]; k++)
        if (!strcmp(ours, synonyms[k].ours)) {
            strcpy(to, synonyms[k].theirs);
            return;
        }
    for (size_t f = 0; f < 3; f++) {
        size_t len = strlen(families[f]);
        for (size_t k = 0; !strncmp(ours, families[f], len) && k < 6; k++)
            if (!strcmp(ours + len, conditions[k][0])) {
                sprintf(to, "%s%s", families[f], conditions[k][1]);
                return;
            }
    }
    strcpy(to, ours);
}

/* Segments are compared by themselves, "*1" and the brackets of st(i) are taste, hints of lock
 * elision and MPX are left out. Repeated operands of string instructions are dropped, and branch
 * targets of 32 bits that Zydis extends. */
static void normalise(const char *text, bool ours, bool narrow, char *to)
{
    static const char *const hints[] = { "bnd ", "xacquire ", "xrelease ", "notrack " };
    static const char *const drop[] = { "es:", "cs:",    "ss:",       "ds:",      "fs:",
                                        "gs:", "*1",     " ",         "far",      "(",
                                        ")",   "short ", "fword ptr", "tbyte ptr" };
    char word[64];
    for (size_t k = 0; k < 4; k++)
        if (!strncmp(text, hints[k], strlen(hints[k]))) {
            text += strlen(hints[k]);
            k = (size_t)-1;
        }
    bool lock = !strncmp(text, "lock ", 5);
    if (lock)
        text += 5;
    size_t n = strcspn(text, " ");
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    if (ours)
        put_mnemonic(to, word);
    else
        strcpy(to, !strcmp(word, "retf") ? "ret" : word);
    to += strlen(to);
    for (text += n; *text && *text != '#';) {
        size_t k = 0;
        for (; k < sizeof drop / sizeof drop[0]; k++)
            if (!strncmp(text, drop[k], strlen(drop[k]))) {
                text += strlen(drop[k]);
                break;
            }
        if (k < sizeof drop / sizeof drop[0])
            continue;
        /* Outside 64-bit mode Zydis neither wraps nor cuts numbers. */
        size_t digits = strspn(text + 2, "0123456789abcdef");
        if (!strncmp(text, "0x", 2) && narrow && digits > 8) {
            text += 2 + digits - 8;
            to += sprintf(to, "0x");
            while (*text == '0' && strspn(text, "0123456789abcdef") > 1)
                text++;
        }
        *to++ = *text++;
    }
    *to = 0;
}

/* Why an instruction isn't compared further; NULL: no reason. */
static const char *explain(const struct insn *i, const struct opcode *o, bool ours_valid,
                           const ZydisDecodedInstruction *z)
{
    static const ZydisISASet not_ours[] = {
        ZYDIS_ISA_SET_AMD3DNOW,
        ZYDIS_ISA_SET_VTX,
        ZYDIS_ISA_SET_SMX,
        ZYDIS_ISA_SET_SSE4A,
        ZYDIS_ISA_SET_SHA,
        ZYDIS_ISA_SET_WAITPKG,
        ZYDIS_ISA_SET_RDSEED,
        ZYDIS_ISA_SET_RDRAND,
        ZYDIS_ISA_SET_CLWB,
        ZYDIS_ISA_SET_CLFLUSHOPT,
        ZYDIS_ISA_SET_CET,
        ZYDIS_ISA_SET_MOVDIR,
        ZYDIS_ISA_SET_PT,
        ZYDIS_ISA_SET_GFNI,
        ZYDIS_ISA_SET_ADOX_ADCX,
        ZYDIS_ISA_SET_XSAVES,
        ZYDIS_ISA_SET_XSAVEC,
        ZYDIS_ISA_SET_AES,
        ZYDIS_ISA_SET_PCLMULQDQ,
        ZYDIS_ISA_SET_AMD_INVLPGB,
        ZYDIS_ISA_SET_KEYLOCKER,
        ZYDIS_ISA_SET_ENQCMD,
        ZYDIS_ISA_SET_KEYLOCKER_WIDE,
        ZYDIS_ISA_SET_PCONFIG,
        ZYDIS_ISA_SET_SVM,
        ZYDIS_ISA_SET_RTM,
        ZYDIS_ISA_SET_SGX,
        ZYDIS_ISA_SET_SERIALIZE,
        ZYDIS_ISA_SET_PKU,
        ZYDIS_ISA_SET_CLZERO,
        ZYDIS_ISA_SET_MONITORX,
        ZYDIS_ISA_SET_MCOMMIT,
        ZYDIS_ISA_SET_RDPRU,
        ZYDIS_ISA_SET_SNP,
        ZYDIS_ISA_SET_CLDEMOTE,
        ZYDIS_ISA_SET_HRESET,
        ZYDIS_ISA_SET_UINTR,
        ZYDIS_ISA_SET_TDX,
        ZYDIS_ISA_SET_TSX_LDTRK,
        ZYDIS_ISA_SET_SGX_ENCLV,
        ZYDIS_ISA_SET_VMFUNC,
    };
    if (!ours_valid && z) {
        if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
            return z->encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW ? "3DNow!" : "VEX, EVEX, XOP";
        for (size_t k = 0; k < sizeof not_ours / sizeof not_ours[0]; k++)
            if (z->meta.isa_set == not_ours[k])
                return "an extension that we don't offer";
        if (!strncmp(ZydisISASetGetString(z->meta.isa_set), "PADLOCK", 7))
            return "VIA's";
        if (z->mnemonic == ZYDIS_MNEMONIC_NOP && z->opcode == 0x0d)
            return "a NOP of Intel's, #UD on AMD";
        return NULL;
    }
    if (ours_valid && !strcmp(o->name, "nop") && o->map == MAP_0F)
        return z ? "hint of an extension that we don't offer"
                 : "MPX's NOPs with forms that are bad there";
    if (!ours_valid || !z)
        return NULL;
    if (z->mnemonic == ZYDIS_MNEMONIC_PAUSE && (z->raw.rex.B))
        return "PAUSE with REX.B is XCHG: tried on AMD's";
    if (z->mnemonic == ZYDIS_MNEMONIC_TZCNT || z->mnemonic == ZYDIS_MNEMONIC_LZCNT)
        return "BSF and BSR without BMI1 and LZCNT";
    static const struct {
        const char *row, *why;
    } text_only[] = {
        { "fcom", "ST(0) is written or not" },
        { "fcomp", "ST(0) is written or not" },
        { "fucom", "ST(0) is written or not" },
        { "fucomp", "ST(0) is written or not" },
        { "pblendvb", "XMM0 is written" },
        { "blendvps", "XMM0 is written" },
        { "blendvpd", "XMM0 is written" },
        { "movsxd", "66 in front: the source's name; only its low half counts" },
        { "lar", "width of a source of which 16 bits count" },
        { "lsl", "width of a source of which 16 bits count" },
        { "clflush", "size of the line" },
        { "movmskps", "REX.W without effect" },
        { "movmskpd", "REX.W without effect" },
        { "pmovmskb", "REX.W without effect" },
        { "pextrw", "REX.W without effect" },
        { "crc32", "REX.W without effect" },
    };
    for (size_t k = 0; k < sizeof text_only / sizeof text_only[0]; k++)
        if (!strcmp(o->name, text_only[k].row))
            return text_only[k].why;
    if (i->ash == 32 && (i->flags & INSN_CODE64) && i->base == REG_ZERO)
        return "Zydis 4.0 prints R13D as base of an absolute address with REX.B";
    if (o->byte == 0xff && o->map == MAP_1B && (z->attributes & ZYDIS_ATTRIB_HAS_NOTRACK))
        return "3E is NOTRACK where there is CET, here it is DS";
    return o->operands[0] == OPD_Ap ? "zeros before far pointers" : NULL;
}

static void compare(const uint8_t *bytes, unsigned mode)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct insn i;
    ZyanStatus status = ZydisDecoderDecodeFull(&decoders[mode], bytes, LONGEST, &z, operands);
    bool theirs_valid = ZYAN_SUCCESS(status);
    uint64_t rip = mode == MODE_CODE64 ? 0x7f0012345678 : mode == MODE_CODE32 ? 0x80123456 : 0x8123;
    char ours[160], theirs[256] = "(bad)";
    unsigned len = disasm(ours, sizeof ours, bytes, LONGEST, mode, rip);
    decode(&i, bytes, LONGEST, mode, true, NULL, 0);
    const struct opcode *o = insn_opcode(&i);
    bool ours_valid = strcmp(ours, "(bad)");
    if (theirs_valid)
        ZydisFormatterFormatInstruction(&formatter, &z, operands, z.operand_count_visible, theirs,
                                        sizeof theirs, rip, NULL);
    if (ours_valid && theirs_valid && len != z.length)
        report("length", bytes, mode, ours, theirs);
    if (explain(&i, o, ours_valid, theirs_valid ? &z : NULL))
        return;
    if (ours_valid != theirs_valid) {
        char what[300];
        snprintf(what, sizeof what, "%s (%s)", theirs,
                 theirs_valid ? ZydisISASetGetString(z.meta.isa_set) : "");
        report("validity", bytes, mode, ours, what);
        return;
    }
    if (!ours_valid || (o->flags & OP_REP) || !strcmp(o->name, "xlat"))
        return;
    for (unsigned k = 0; k < z.operand_count_visible; k++)
        if (operands[k].type == ZYDIS_OPERAND_TYPE_MEMORY && (i.flags & INSN_MEM)) {
            unsigned want = operands[k].mem.segment == ZYDIS_REGISTER_NONE
                                ? i.seg
                                : (unsigned)(operands[k].mem.segment - ZYDIS_REGISTER_ES);
            /* LEA and NOPs don't use it; SS and DS are the same in 64-bit mode. */
            bool flat = mode == MODE_CODE64 && want < SEG_FS && i.seg < SEG_FS;
            if (want != i.seg && !flat && operands[k].mem.type == ZYDIS_MEMOP_TYPE_MEM)
                report("segment", bytes, mode, ours, theirs);
        }
    char a[256], b[512];
    normalise(ours, true, mode != MODE_CODE64, a);
    normalise(theirs, false, mode != MODE_CODE64, b);
    if (strcmp(a, b))
        report("text", bytes, mode, ours, theirs);
}
#else
static void open_zydis(void)
{
}
static void compare(const uint8_t *bytes, unsigned mode)
{
}
#endif

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000;
    random_state = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * 0x9e3779b97f4a7c15u | 1;
    if (argc > 3)
        show = strtoul(argv[3], NULL, 0);
    decode_init();
    open_zydis();
    for (unsigned long k = 0; k < count; k++) {
        uint8_t bytes[LONGEST];
        unsigned mode = below(3);
        make_string(bytes, mode);
        check_properties(bytes, mode);
        compare(bytes, mode);
    }
    printf("%lu strings, %lu differences\n", count, failures);
    return failures != 0;
}
