/*
 * x87 instructions against the host's FPU: every row of opcodes_x87 with random and special
 * operands, control words, stack states and flags, on the real processor (generated code around
 * FRSTOR and FNSAVE) and through the handler; the whole state afterwards must be the same.
 * Instruction and data pointers are left out: kernels and processors don't keep them across a
 * context switch unless an exception is pending.
 *
 * Usage: x87_host [cases per row [seed [mnemonic]]]. On other hosts than x86-64 there is nothing to
 * compare with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <sys/mman.h>

#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/x87.h"
#include "fp_corpus.h"

struct image { /* FRSTOR/FNSAVE, 32-bit protected format */
    uint32_t fcw, fsw, ftw, fip, fcs_fop, fdp, fds;
    uint8_t st[80];
} __attribute__((packed));

struct host_state {
    uint64_t rax, rflags;
    struct image fpu;
};

static uint8_t *code, *memory;
static struct cpu *cpu;
static uint8_t *insn_at;

/* rdi: memory operand, rsi: state in, rdx: state out. */
static void build_code(const uint8_t *insn, unsigned len)
{
    static const uint8_t before[] = {
        0xdd, 0x66, 0x10,       /* frstor [rsi+16] */
        0x48, 0x8b, 0x06,       /* mov rax, [rsi] */
        0xff, 0x76, 0x08, 0x9d, /* push qword [rsi+8]; popfq */
    };
    static const uint8_t after[] = {
        0x9c, 0x8f, 0x42, 0x08, /* pushfq; pop qword [rdx+8] */
        0x48, 0x89, 0x02,       /* mov [rdx], rax */
        0xdd, 0x72, 0x10,       /* fnsave [rdx+16] */
        0xc3,
    };
    uint8_t *p = code;
    memcpy(p, before, sizeof(before));
    p += sizeof(before);
    insn_at = p;
    memcpy(p, insn, len);
    p += len;
    memcpy(p, after, sizeof(after));
}

static void make_case(struct host_state *s)
{
    unsigned tags = rnd() & 1 ? 0 : rnd() & 1 ? 0xffff : (unsigned)rnd() & 0xffff;
    if (rnd() & 7)
        tags &= ~(3u | 3u << 14); /* rotated by TOP below: usually ST(0) and neighbours */
    unsigned top = rnd() & 1 ? 0 : (unsigned)rnd() & 7;
    memset(s, 0, sizeof(*s));
    unsigned masks = rnd() & 3 ? 0x3f : (unsigned)rnd() & 0x3f;
    s->fpu.fcw = 0xffff0040u | masks | ((unsigned)rnd() & 0xf00);
    s->fpu.fsw = 0xffff0000u | top << 11 | ((unsigned)rnd() & 0x4700);
    if (rnd() & 1)
        s->fpu.fsw |= (unsigned)rnd() & masks;
    s->fpu.ftw = 0xffff0000u | tags;
    for (int i = 0; i < 8; i++) {
        struct f80 v = i == 1 && (rnd() & 3) == 0 ? corpus_f80_near(s->fpu.st) : corpus_f80();
        memcpy(s->fpu.st + i * 10, &v.frac, 8);
        memcpy(s->fpu.st + i * 10 + 8, &v.se, 2);
    }
    s->rax = rnd();
    s->rflags = 0x202 | (rnd() & FL_ARITH);
}

/* Ordinary operands for a transcendental instruction: normal numbers in its range, no stack fault.
 */
static void tame_case(struct host_state *s, const struct opcode *row)
{
    for (int i = 0; i < 2; i++) {
        int exp = (int)rnd_below(row->fn == op_fpatan ? 12 : 40) - (row->fn == op_fpatan ? 6 : 32);
        uint64_t frac = rnd() | 1ull << 63;
        bool unsigned_operand = i == 0 && row->fn == op_fyl2x;
        if (row->fn == op_f2xm1 && exp >= 0)
            exp = -1;
        if (i == 0 && row->fn == op_fyl2xp1) {
            exp = exp >= -1 ? -2 : exp;
            if (exp == -2 && frac > 0x9500000000000000ull)
                frac -= 1ull << 62;
            frac |= 1ull << 63;
        }
        if (row->rm >= 2 && row->fn != op_fpatan && rnd_below(4) == 0)
            exp = (int)rnd_below(63);
        uint16_t se = (uint16_t)((exp + 16383) | (unsigned_operand ? 0 : (rnd() & 1) << 15));
        memcpy(s->fpu.st + i * 10, &frac, 8);
        memcpy(s->fpu.st + i * 10 + 8, &se, 2);
    }
    s->fpu.ftw = row->fn == op_fptan || row->fn == op_fsincos
                     ? 0xffff0000u | 3u << ((s->fpu.fsw >> 11) + 7) % 8 * 2
                     : 0xffff0000u;
}

static void load_cpu(const struct host_state *s)
{
    cpu->gpr[RAX] = s->rax;
    flags_set_arith(cpu, (uint32_t)s->rflags);
    unsigned tags = 0;
    for (unsigned r = 0; r < 8; r++)
        tags |= (unsigned)((s->fpu.ftw >> (r * 2) & 3) != 3) << r;
    cpu->ftag = (uint8_t)tags;
    cpu->fcw = (uint16_t)s->fpu.fcw;
    x87_set_fsw(cpu, (uint16_t)s->fpu.fsw);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&x87_st(cpu, i)->frac, s->fpu.st + i * 10, 8);
        memcpy(&x87_st(cpu, i)->se, s->fpu.st + i * 10 + 8, 2);
    }
}

static void save_cpu(struct host_state *s)
{
    memset(s, 0, sizeof(*s));
    s->rax = cpu->gpr[RAX];
    s->rflags = flags_arith(cpu);
    s->fpu.fcw = cpu->fcw;
    s->fpu.fsw = x87_fsw(cpu);
    s->fpu.ftw = x87_tag_word(cpu);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(s->fpu.st + i * 10, &x87_st(cpu, i)->frac, 8);
        memcpy(s->fpu.st + i * 10 + 8, &x87_st(cpu, i)->se, 2);
    }
}

static void print_state(const char *name, const struct host_state *s, const uint8_t *mem)
{
    printf("  %-5s fcw=%04x fsw=%04x ftw=%04x fl=%03x rax=%016llx", name, s->fpu.fcw & 0xffff,
           s->fpu.fsw & 0xffff, s->fpu.ftw & 0xffff, (unsigned)(s->rflags & FL_ARITH),
           (unsigned long long)s->rax);
    for (int i = 0; i < 3; i++) {
        uint64_t frac;
        uint16_t se;
        memcpy(&frac, s->fpu.st + i * 10, 8);
        memcpy(&se, s->fpu.st + i * 10 + 8, 2);
        printf(" st%d=%04x:%016llx", i, se, (unsigned long long)frac);
    }
    printf(" mem=");
    for (int i = 9; i >= 0; i--)
        printf("%02x", mem[i]);
    printf("\n");
}

static bool same(const struct host_state *a, const struct host_state *b)
{
    return a->rax == b->rax && ((a->rflags ^ b->rflags) & FL_ARITH) == 0 &&
           (uint16_t)a->fpu.fcw == (uint16_t)b->fpu.fcw &&
           (uint16_t)a->fpu.fsw == (uint16_t)b->fpu.fsw &&
           (uint16_t)a->fpu.ftw == (uint16_t)b->fpu.ftw && memcmp(a->fpu.st, b->fpu.st, 80) == 0;
}

static bool transcendental(const struct opcode *row)
{
    return row->fn == op_f2xm1 || row->fn == op_fyl2x || row->fn == op_fyl2xp1 ||
           row->fn == op_fptan || row->fn == op_fpatan || row->fn == op_fsin ||
           row->fn == op_fcos || row->fn == op_fsincos;
}

/* Results of transcendental instructions may be one unit in the last place away from the host's
 * (and then C1 says something else); everything else must be the same. Counts in ulps[]. */
static unsigned long ulps[3], ulps_c1;

static bool close_enough(struct host_state *a, struct host_state *b)
{
    __int128 worst = 0;
    for (int i = 0; i < 2; i++) {
        struct f80 x = { 0 }, y = { 0 };
        memcpy(&x.frac, a->fpu.st + i * 10, 8);
        memcpy(&x.se, a->fpu.st + i * 10 + 8, 2);
        memcpy(&y.frac, b->fpu.st + i * 10, 8);
        memcpy(&y.se, b->fpu.st + i * 10 + 8, 2);
        if (x.se >> 15 != y.se >> 15)
            return false;
        __int128 d = ((__int128)x.se << 63 | (x.frac & INT64_MAX)) -
                     ((__int128)y.se << 63 | (y.frac & INT64_MAX));
        d = d < 0 ? -d : d;
        worst = d > worst ? d : worst;
    }
    ulps[worst < 2 ? worst : 2]++;
    if (worst < 2) {
        memcpy(a->fpu.st, b->fpu.st, 20);
        if (worst) /* one may be denormal, the other not */
            a->fpu.ftw = b->fpu.ftw;
        ulps_c1 += (worst == 0 && ((a->fpu.fsw ^ b->fpu.fsw) & FSW_C1));
        a->fpu.fsw = (a->fpu.fsw & ~FSW_C1) | (b->fpu.fsw & FSW_C1);
    }
    return same(a, b);
}

static unsigned long run_row(const struct opcode *row, uint8_t modrm, bool opsize,
                             unsigned long cases)
{
    uint8_t before[160], host_mem[160];
    struct host_state in, host, ours;
    unsigned long differences = 0;
    uint8_t bytes[3] = { 0x66, row->byte, modrm }, *start = opsize ? bytes : bytes + 1;
    unsigned len = opsize ? 3 : 2;
    struct insn insn;
    if (decode(&insn, start, len, MODE_CODE64, true, NULL, 0) != len || insn_opcode(&insn) != row) {
        printf("%s decodes to something else\n", row->name);
        return cases;
    }
    build_code(start, len);
    memset(ulps, 0, sizeof(ulps));
    ulps_c1 = 0;
    for (unsigned long n = 0; n < cases; n++) {
        make_case(&in);
        if (transcendental(row) && (rnd() & 7))
            tame_case(&in, row);
        corpus_memory(before, row->operands[0] == OPD_Md   ? 4
                              : row->operands[0] == OPD_Mq ? 8
                              : row->operands[0] == OPD_Mw ? 2
                                                           : 10);
        if (row->fn == op_fldenv || row->fn == op_frstor) {
            struct host_state other;
            make_case(&other);
            memcpy(before, &other.fpu, sizeof(other.fpu));
            if (opsize) { /* seven words, then the registers */
                for (unsigned k = 0; k < 7; k++)
                    memcpy(before + 2 * k, (const uint8_t *)&other.fpu + 4 * k, 2);
                memcpy(before + 14, other.fpu.st, 80);
            }
        }
        memcpy(memory, before, sizeof(before));
        ((void (*)(uint8_t *, struct host_state *, struct host_state *))code)(memory, &in, &host);
        memcpy(host_mem, memory, sizeof(before));

        memcpy(memory, before, sizeof(before));
        load_cpu(&in);
        cpu->gpr[RDI] = (uintptr_t)memory;
        if (row->fn(cpu, &insn) == EXEC_FAULT)
            printf("%s faulted\n", row->name);
        save_cpu(&ours);
        if (row->fn == op_fnstenv || row->fn == op_fnsave) { /* pointers */
            memset(memory + (opsize ? 6 : 12), 0, opsize ? 8 : 16);
            memset(host_mem + (opsize ? 6 : 12), 0, opsize ? 8 : 16);
        }
        if (!(transcendental(row) ? close_enough(&host, &ours) : same(&host, &ours)) ||
            memcmp(memory, host_mem, sizeof(before)) != 0) {
            if (differences++ < 4) {
                printf("%s (%02x %02x):\n", row->name, bytes[1], bytes[2]);
                print_state("in", &in, before);
                print_state("host", &host, host_mem);
                print_state("ours", &ours, memory);
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
    decode_init();
    cpu->la_mask = ~0ull;
    cpu->cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_MP;
    cpu->mode = MODE_CODE64 | MODE_PE | MODE_LMA;
    for (int a = 0; a < ACCESS_KINDS; a++) {
        cpu->tlb[a] = &cpu->tlbs[0][a];
        memset(cpu->tlb[a]->e, 0xff, sizeof(cpu->tlb[a]->e));
        struct tlb_entry *e = tlb_slot(cpu->tlb[a], (uintptr_t)memory);
        e->tag = (uintptr_t)memory;
        e->addend = 0;
    }
    for (size_t i = 0; i < opcodes_x87.count; i++) {
        const struct opcode *row = &opcodes_x87.rows[i];
        if (row->byte == 0x9b || (argc > 3 && strcmp(argv[3], row->name)))
            continue;
        unsigned long bad = 0;
        if (row->mod == MOD_MEM) {
            bad = run_row(row, (uint8_t)(row->reg << 3 | 7), false, cases);
            if (row->operands[0] == OPD_M) /* environment: 16-bit format */
                bad += run_row(row, (uint8_t)(row->reg << 3 | 7), true, cases);
        } else if (row->rm != R_ANY) {
            bad = run_row(row, (uint8_t)(0xc0 | row->reg << 3 | row->rm), false, cases);
        } else {
            for (unsigned rm = 0; rm < 8; rm++)
                bad += run_row(row, (uint8_t)(0xc0 | row->reg << 3 | rm), false, cases / 8 + 1);
        }
        total += cases;
        if (transcendental(row))
            printf(
                "%-8s same as the host %.3f %%, 1 ulp away %.3f %%, more %lu; C1 differs %.3f %%\n",
                row->name, 100.0 * ulps[0] / cases, 100.0 * ulps[1] / cases, ulps[2],
                100.0 * ulps_c1 / cases);
        if (bad)
            printf("%s: %lu differences\n", row->name, bad);
        differences += bad;
    }
    printf("x87_host: %lu cases, %lu differences\n", total, differences);
    return differences != 0 && host_is_reference();
}

#else
int main(void)
{
    puts("x87_host: skipped, the host is not x86-64 Linux");
    return 0;
}
#endif
