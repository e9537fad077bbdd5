/*
 * SSE floating-point instructions against the host: every row of opcodes_ssefp with random and
 * special operands, in register and memory form, with all rounding modes, DAZ, FTZ and exception
 * masks, on the real processor (generated code around FXRSTOR and FXSAVE; unmasked exceptions
 * arrive as SIGFPE) and through decoder and handler. The state afterwards must be the same, except
 * that RCP and RSQRT are compared only where the host is AMD's Zen.
 *
 * Usage: sse_host [cases per row [seed [mnemonic]]]. On other hosts than x86-64 Linux there is
 * nothing to compare with.
 */
#define _GNU_SOURCE /* REG_RIP */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/x87.h"
#include "fp_corpus.h"

struct fxsave {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16];
    union xmm xmm[16];
    uint8_t rest[96];
} __attribute__((aligned(16)));

struct host_state {
    struct fxsave fx;
    uint64_t rax, rcx, rflags, trapped;
    uint64_t default_mxcsr;
};

static uint8_t *code, *memory, *after_insn;
static struct cpu *cpu;
static volatile int trapped;

static void on_sigfpe(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    trapped = 1;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)after_insn;
}

/* rdi: memory operand, rsi: state in, rdx: state out. */
static void build_code(const uint8_t *insn, unsigned len)
{
    static const uint8_t before[] = {
        0x48, 0x0f, 0xae, 0x0e,                /* fxrstor64 [rsi] */
        0x48, 0x8b, 0x86, 0x00, 0x02, 0, 0,    /* mov rax, [rsi+512] */
        0x48, 0x8b, 0x8e, 0x08, 0x02, 0, 0,    /* mov rcx, [rsi+520] */
        0xff, 0xb6, 0x10, 0x02, 0,    0, 0x9d, /* push qword [rsi+528]; popfq */
    };
    static const uint8_t after[] = {
        0x9c, 0x8f, 0x82, 0x10, 0x02, 0, 0, /* pushfq; pop qword [rdx+528] */
        0x48, 0x89, 0x82, 0x00, 0x02, 0, 0, /* mov [rdx+512], rax */
        0x48, 0x89, 0x8a, 0x08, 0x02, 0, 0, /* mov [rdx+520], rcx */
        0x48, 0x0f, 0xae, 0x02,             /* fxsave64 [rdx] */
        0x0f, 0xae, 0x96, 0x20, 0x02, 0, 0, /* ldmxcsr [rsi+544] */
        0xdb, 0xe3,                         /* fninit */
        0xc3,
    };
    uint8_t *p = code;
    memcpy(p, before, sizeof(before));
    p += sizeof(before);
    memcpy(p, insn, len);
    p += len;
    after_insn = p;
    memcpy(p, after, sizeof(after));
}

static void make_case(struct host_state *s, unsigned width)
{
    static const uint32_t flag_sets[] = { 0, 0x20, 0x3f };
    memset(s, 0, sizeof(*s));
    s->fx.fcw = 0x37f;
    s->fx.fsw = (uint16_t)(rnd_below(8) << 11);
    s->fx.ftw = (uint8_t)rnd();
    for (int i = 0; i < 8; i++) {
        uint64_t v = corpus_bits(64);
        memcpy(s->fx.st[i], &v, 8);
    }
    uint32_t masks = rnd_below(4) ? 0x3f : (uint32_t)rnd() & 0x3f;
    s->fx.mxcsr = masks << 7 | flag_sets[rnd_below(3)];
    if (rnd() & 1)
        s->fx.mxcsr |= (uint32_t)rnd() & 0x6000;
    if (rnd_below(4) == 0)
        s->fx.mxcsr |= (uint32_t)rnd() & 0x8040;
    for (int i = 0; i < 3; i++)
        s->fx.xmm[i] = corpus_xmm(width, i == 2 ? &s->fx.xmm[1] : NULL);
    s->default_mxcsr = 0x1f80;
    s->rax = rnd();
    s->rcx = corpus_bits(64);
    s->rflags = 0x202 | (rnd() & FL_ARITH);
}

static void load_cpu(const struct host_state *s)
{
    cpu->gpr[RAX] = s->rax;
    cpu->gpr[RCX] = s->rcx;
    flags_set_arith(cpu, (uint32_t)s->rflags);
    cpu->fcw = s->fx.fcw;
    x87_set_fsw(cpu, s->fx.fsw);
    cpu->ftag = s->fx.ftw;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&x87_st(cpu, i)->frac, s->fx.st[i], 8);
        memcpy(&x87_st(cpu, i)->se, s->fx.st[i] + 8, 2);
    }
    memcpy(cpu->xmm, s->fx.xmm, sizeof(cpu->xmm));
    cpu->mxcsr = s->fx.mxcsr;
}

static void save_cpu(struct host_state *s)
{
    memset(s, 0, sizeof(*s));
    s->rax = cpu->gpr[RAX];
    s->rcx = cpu->gpr[RCX];
    s->rflags = flags_arith(cpu);
    s->fx.fcw = cpu->fcw;
    s->fx.fsw = x87_fsw(cpu);
    s->fx.ftw = cpu->ftag;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(s->fx.st[i], &x87_st(cpu, i)->frac, 8);
        memcpy(s->fx.st[i] + 8, &x87_st(cpu, i)->se, 2);
    }
    memcpy(s->fx.xmm, cpu->xmm, sizeof(cpu->xmm));
    s->fx.mxcsr = cpu->mxcsr;
}

static bool same(const struct host_state *a, const struct host_state *b)
{
    return a->rax == b->rax && a->rcx == b->rcx && ((a->rflags ^ b->rflags) & FL_ARITH) == 0 &&
           a->trapped == b->trapped && a->fx.mxcsr == b->fx.mxcsr && a->fx.fsw == b->fx.fsw &&
           a->fx.ftw == b->fx.ftw && memcmp(a->fx.st, b->fx.st, sizeof(a->fx.st)) == 0 &&
           memcmp(a->fx.xmm, b->fx.xmm, sizeof(a->fx.xmm)) == 0;
}

static void print_state(const char *name, const struct host_state *s)
{
    printf(
        "  %-5s mxcsr=%04x trap=%d fl=%03x rax=%016llx rcx=%016llx fsw=%04x ftw=%02x mm1=%016llx",
        name, s->fx.mxcsr, (int)s->trapped, (unsigned)(s->rflags & FL_ARITH),
        (unsigned long long)s->rax, (unsigned long long)s->rcx, s->fx.fsw, s->fx.ftw,
        *(const unsigned long long *)s->fx.st[1]);
    for (int i = 1; i < 3; i++)
        printf(" xmm%d=%016llx_%016llx", i, (unsigned long long)s->fx.xmm[i].u64[1],
               (unsigned long long)s->fx.xmm[i].u64[0]);
    printf("\n");
}

/* Writes an encoding of @row; returns its length. */
static unsigned encode(const struct opcode *row, bool mem, bool rex_w, uint8_t imm, uint8_t *p)
{
    uint8_t *start = p;
    static const uint8_t prefixes[] = { [PFX_66] = 0x66, [PFX_F3] = 0xf3, [PFX_F2] = 0xf2 };
    bool dst_gpr = row->operands[0] == OPD_Gy, src_gpr = row->operands[1] == OPD_Ey;
    if (row->prefix != PFX_NP)
        *p++ = prefixes[row->prefix];
    if (rex_w)
        *p++ = 0x48;
    *p++ = 0x0f;
    if (row->map == MAP_0F3A)
        *p++ = 0x3a;
    *p++ = row->byte;
    *p++ = (uint8_t)((mem ? 7 : 0xc0 | (src_gpr ? 1 : 2)) | (dst_gpr ? 0 : 1) << 3);
    if (row->operands[2] == OPD_Ib)
        *p++ = imm;
    return (unsigned)(p - start);
}

static unsigned operand_width(const struct opcode *row)
{
    size_t n = strlen(row->name);
    if (!strncmp(row->name, "cvt", 3)) {
        const char *from = row->name + (row->name[3] == 't' ? 4 : 3);
        return from[1] == 'd' ? 64 : 32;
    }
    return row->name[n - 1] == 'd' ? 64 : 32;
}

static unsigned long run_row(const struct opcode *row, unsigned long cases)
{
    struct host_state in, host, ours;
    unsigned long differences = 0;
    unsigned width = operand_width(row);
    bool gpr = row->operands[0] == OPD_Gy || row->operands[1] == OPD_Ey;
    for (unsigned long n = 0; n < cases; n++) {
        uint8_t bytes[16];
        struct insn insn;
        bool mem = rnd() & 1;
        unsigned len = encode(row, mem, gpr && (rnd() & 1), (uint8_t)rnd(), bytes);
        make_case(&in, width);
        union xmm operand = in.fx.xmm[2];
        memcpy(memory, &operand, 16);
        build_code(bytes, len);
        trapped = 0;
        ((void (*)(uint8_t *, struct host_state *, struct host_state *))code)(memory, &in, &host);
        host.trapped = (uint64_t)trapped;

        if (decode(&insn, bytes, len, MODE_CODE64, true, NULL, 0) != len ||
            insn_opcode(&insn) != row) {
            printf("%s: decodes to something else\n", row->name);
            return cases;
        }
        load_cpu(&in);
        cpu->gpr[RDI] = (uintptr_t)memory;
        cpu->exc.pending = false;
        bool fault = insn.fn(cpu, &insn) == EXEC_FAULT;
        save_cpu(&ours);
        ours.trapped = fault;
        if (!same(&host, &ours) || (fault && cpu->exc.vector != EXC_XM)) {
            if (differences++ < 4) {
                char text[80];
                disasm(text, sizeof(text), bytes, len, MODE_CODE64, 0);
                printf("%s:\n", text);
                print_state("in", &in);
                print_state("host", &host);
                print_state("ours", &ours);
            }
        }
    }
    return differences;
}

int main(int argc, char **argv)
{
    unsigned long cases = argc > 1 ? strtoul(argv[1], NULL, 0) : 8000, differences = 0, total = 0;
    rnd_seed(argc > 2 ? strtoul(argv[2], NULL, 0) : 1);
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cpu = calloc(1, sizeof(*cpu));
    if (code == MAP_FAILED || memory == MAP_FAILED || !cpu)
        return 1;
    struct sigaction act = { .sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO };
    sigaction(SIGFPE, &act, NULL);
    decode_init();
    cpu->la_mask = ~0ull;
    cpu->cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_MP;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->mode = MODE_CODE64 | MODE_PE | MODE_LMA;
    for (int a = 0; a < ACCESS_KINDS; a++) {
        cpu->tlb[a] = &cpu->tlbs[0][a];
        memset(cpu->tlb[a]->e, 0xff, sizeof(cpu->tlb[a]->e));
        struct tlb_entry *e = tlb_slot(cpu->tlb[a], (uintptr_t)memory);
        e->tag = (uintptr_t)memory;
        e->addend = 0;
    }
    for (size_t i = 0; i < opcodes_ssefp.count; i++) {
        const struct opcode *row = &opcodes_ssefp.rows[i];
        bool approximate = !strncmp(row->name, "rcp", 3) || !strncmp(row->name, "rsqrt", 5);
        if ((approximate && !host_is_reference()) || (argc > 3 && strcmp(argv[3], row->name)))
            continue;
        unsigned long bad = run_row(row, cases);
        total += cases;
        if (bad)
            printf("%s: %lu differences\n", row->name, bad);
        differences += bad;
    }
    free(cpu);
    printf("sse_host: %lu cases, %lu differences\n", total, differences);
    return differences != 0 && host_is_reference();
}

#else
int main(void)
{
    puts("sse_host: skipped, the host is not x86-64 Linux");
    return 0;
}
#endif
