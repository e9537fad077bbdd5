/*
 * Texts of the disassembler and lengths of encodings that are easy to get wrong. (tests/fuzz/
 * compares the rest with another decoder.)
 */
#include <stdlib.h>

#include "cpu/decode.h"
#include "test.h"

#define BAD "(bad)"

struct line {
    unsigned bits;
    const char *bytes; /* hex */
    const char *text;
    unsigned len; /* 0: all the bytes */
};

static const struct line lines[] = {
    /* Operands and sizes. */
    { 64, "8b449810", "mov eax, dword ptr [rax + rbx*4 + 0x10]", 0 },
    { 64, "48894df8", "mov qword ptr [rbp - 0x8], rcx", 0 },
    { 64, "4088f8", "mov al, dil", 0 },
    { 64, "88fc", "mov ah, bh", 0 },
    { 64, "4588c8", "mov r8b, r9b", 0 },
    { 64, "6683c0ff", "add ax, 0xffff", 0 },
    { 64, "4883e4f0", "and rsp, 0xfffffffffffffff0", 0 },
    { 16, "668b07", "mov eax, dword ptr [bx]", 0 },
    { 16, "8b4202", "mov ax, word ptr [bp + si + 0x2]", 0 },
    { 16, "a13412", "mov ax, word ptr [0x1234]", 0 },
    { 16, "2ea13412", "mov ax, word ptr cs:[0x1234]", 0 },
    { 16, "67668b0424", "mov eax, dword ptr [esp]", 0 },
    { 32, "a178563412", "mov eax, dword ptr [0x12345678]", 0 },
    { 64, "48b8efcdab8967452301", "movabs rax, 0x123456789abcdef", 0 },
    { 64, "a0efcdab8967452301", "movabs al, byte ptr [0x123456789abcdef]", 0 },
    { 64, "67a078563412", "mov al, byte ptr [0x12345678]", 0 },
    { 32, "0fb6c1", "movzx eax, cl", 0 },
    { 64, "4863c1", "movsxd rax, ecx", 0 },
    { 64, "c8100002", "enter 0x10, 0x2", 0 },
    { 64, "8ed0", "mov ss, ax", 0 },
    { 64, "0f20d8", "mov rax, cr3", 0 },
    { 64, "440f22c0", "mov cr8, rax", 0 },
    { 64, "0f23f8", "mov dr7, rax", 0 },
    /* The mod field of MOV CR counts for nothing: no SIB, no displacement. */
    { 32, "0f2005", "mov ebp, cr0", 0 },
    /* Addresses. */
    { 64, "488b0510000000", "mov rax, qword ptr [rip + 0x10]  # 0x401017", 0 },
    { 64, "67488b05f8ffffff", "mov rax, qword ptr [eip - 0x8]  # 0x401000", 0 },
    { 64, "8b042578563412", "mov eax, dword ptr [0x12345678]", 0 },
    { 64, "8b042500000080", "mov eax, dword ptr [0xffffffff80000000]", 0 },
    { 64, "418b042500000080", "mov eax, dword ptr [0xffffffff80000000]", 0 },
    { 64, "418b4500", "mov eax, dword ptr [r13]", 0 },
    { 64, "658b042528000000", "mov eax, dword ptr gs:[0x28]", 0 },
    /* CS, DS, ES and SS prefixes don't take FS back in 64-bit mode; in others the last one counts.
     */
    { 64, "64363e8b00", "mov eax, dword ptr fs:[rax]", 0 },
    { 32, "642e8b00", "mov eax, dword ptr cs:[eax]", 0 },
    { 64, "e8fbffffff", "call 0x401000", 0 },
    { 64, "66e8fbffffff", "call 0x401001", 0 },
    { 16, "e8fdff", "call 0x1000", 0 },
    { 16, "66e8faffffff", "call 0x401000", 0 },
    { 32, "66ebfd", "jmp 0x1000", 0 },
    { 32, "9a785634120800", "call 0x8:0x12345678", 0 },
    { 32, "669a78560800", "call 0x8:0x5678", 0 },
    { 32, "ff18", "call far fword ptr [eax]", 0 },
    { 16, "ff2f", "jmp far dword ptr [bx]", 0 },
    { 64, "48ff28", "jmp far tbyte ptr [rax]", 0 },
    /* Names by condition and size. */
    { 64, "7500", "jne 0x401002", 0 },
    { 64, "0f9ec0", "setle al", 0 },
    { 64, "480f43c1", "cmovae rax, rcx", 0 },
    { 64, "6698", "cbw", 0 },
    { 64, "98", "cwde", 0 },
    { 64, "4898", "cdqe", 0 },
    { 64, "4899", "cqo", 0 },
    { 64, "9c", "pushfq", 0 },
    { 32, "669c", "pushf", 0 },
    { 64, "48cf", "iretq", 0 },
    { 16, "66cf", "iretd", 0 },
    { 16, "66c3", "retd", 0 },
    { 64, "48cb", "retfq", 0 },
    { 32, "67e3fd", "jcxz 0x401000", 0 },
    { 64, "e3fe", "jrcxz 0x401000", 0 },
    { 64, "66480f6ec0", "movq xmm0, rax", 0 },
    { 64, "660f6ec0", "movd xmm0, eax", 0 },
    { 64, "66480f3a16c001", "pextrq rax, xmm0, 0x1", 0 },
    { 64, "f0480fc70f", "lock cmpxchg16b xmmword ptr [rdi]", 0 },
    { 64, "f00fc70f", "lock cmpxchg8b qword ptr [rdi]", 0 },
    { 64, "480fae00", "fxsave64 [rax]", 0 },
    { 64, "480f07", "sysretq", 0 },
    /* Strings. */
    { 64, "f3a4", "rep movsb", 0 },
    { 64, "f348a5", "rep movsq", 0 },
    { 64, "f2ae", "repne scasb", 0 },
    { 64, "f3a6", "repe cmpsb", 0 },
    { 64, "f367a4", "rep movsb byte ptr es:[edi], byte ptr ds:[esi]", 0 },
    { 32, "64ad", "lodsd eax, dword ptr fs:[esi]", 0 },
    { 64, "486d", "insd", 0 },
    { 64, "48ed", "in eax, dx", 0 },
    { 32, "2ed7", "xlatb byte ptr cs:[ebx]", 0 },
    /* Floating point. */
    { 32, "d8c1", "fadd st(0), st(1)", 0 },
    { 32, "dfe0", "fnstsw ax", 0 },
    { 32, "db28", "fld tbyte ptr [eax]", 0 },
    { 64, "0f60c1", "punpcklbw mm0, mm1", 0 },
    { 64, "0f6000", "punpcklbw mm0, dword ptr [rax]", 0 },
    { 64, "660f381000", "pblendvb xmm0, xmmword ptr [rax], xmm0", 0 },
    /* Prefix priority. */
    { 64, "66f20f10c1", "movsd xmm0, xmm1", 0 },
    { 64, "f266f30f10c1", "movss xmm0, xmm1", 0 },
    { 64, "66f20f38f1c1", "crc32 eax, cx", 0 },
    { 64, "4890", "nop", 0 },
    { 64, "4190", "xchg r8d, eax", 0 },
    { 64, "f390", "pause", 0 },
    { 64, "4866b80100", "mov ax, 0x1", 0 },
    { 64, "f30f1efa", "endbr64", 0 },
    { 64, "0f1800", "prefetchnta byte ptr [rax]", 0 },
    { 64, "0f1f440000", "nop dword ptr [rax + rax*1]", 0 },
    { 64, "f348c3", "ret", 0 },
    /* What isn't an instruction. */
    { 64, "f001c0", BAD, 0 },
    { 64, "f00fa300", BAD, 0 },
    { 64, "f08b00", BAD, 0 },
    { 64, "8dc0", BAD, 0 },
    { 32, "8ec8", BAD, 0 },
    { 32, "8cf0", BAD, 0 },
    { 32, "62c0", BAD, 0 },
    { 32, "c4c0", BAD, 0 },
    { 64, "c400", BAD, 0 },
    { 32, "c400", "les eax, fword ptr [eax]", 0 },
    { 64, "06", BAD, 0 },
    { 64, "0fc7c8", BAD, 0 },
    { 64, "f20ff0c1", BAD, 0 },
    { 64, "0fc3c0", BAD, 0 },
    { 64, "660faee8", BAD, 0 },
    { 64, "0f20c8", BAD, 0 },
    { 64, "660f77", BAD, 0 },
    { 64, "8fc8", BAD, 0 },
    /* Undefined instructions with their own length. */
    { 64, "0f0b", "ud2", 0 },
    { 64, "0fb904251122334490", "ud1 eax, dword ptr [0x44332211]", 8 },
    { 64, "f00f0b", BAD, 0 },
    /* 15 bytes at most. */
    { 64, "66666666666666666666666666666690", BAD, 15 },
    { 64, "2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", "nop", 15 },
};

static unsigned unhex(const char *hex, uint8_t *bytes)
{
    unsigned n = 0;
    for (; hex[0]; hex += 2) {
        char digits[3] = { hex[0], hex[1], 0 };
        bytes[n++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

static void check_line(const struct line *l)
{
    uint8_t bytes[32];
    char text[128];
    unsigned n = unhex(l->bytes, bytes);
    unsigned mode = l->bits == 16 ? MODE_CODE16 : l->bits == 32 ? MODE_CODE32 : MODE_CODE64;
    unsigned len = disasm(text, sizeof text, bytes, n < 15 ? n : 15, mode, 0x401000);
    if (len != (l->len ? l->len : n))
        TEST_FAIL_("%u bits %s: %u bytes", l->bits, l->bytes, len);
    if (strcmp(text, l->text))
        TEST_FAIL_("%u bits %s: '%s', not '%s'", l->bits, l->bytes, text, l->text);
}

static void texts(void)
{
    for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++)
        check_line(&lines[k]);
}

/* Every row has a mnemonic of its own, in lower case. */
static void names(void)
{
    for (size_t k = 0; k < opcode_row_count; k++) {
        const char *p = opcode_rows[k]->name;
        CHECK(p && *p);
        CHECK(strncmp(p, "setj", 4) && strncmp(p, "cmovj", 5));
        CHECK(strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(p));
    }
}

/* A buffer too small for the text is filled and ended. */
static void small_buffer(void)
{
    static const uint8_t bytes[] = { 0x8b, 0x44, 0x98, 0x10 };
    char text[9];
    memset(text, 'x', sizeof text);
    CHECK_EQ(disasm(text, 8, bytes, sizeof bytes, MODE_CODE64, 0), 4);
    CHECK_STR(text, "mov eax");
    CHECK(text[8] == 'x');
}

int main(void)
{
    decode_init();
    RUN(texts);
    RUN(names);
    RUN(small_buffer);
    return test_done();
}
