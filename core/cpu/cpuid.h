/*
 * CPU models and CPUID. A model is a vendor, a version and a set of feature words; "-cpu
 * NAME,+f,-f,f=on" edits the words. What the decoder and the control registers allow follows from
 * them, so the CPU never executes what CPUID denies.
 */
#ifndef SLIPWAY_CPUID_H
#define SLIPWAY_CPUID_H

#include "cpu/cpu.h"
#include "cpu/decode.h"

/* c->cpuid_word[]. */
enum cpuid_word {
    CPUID_1_EDX,
    CPUID_1_ECX,
    CPUID_6_EAX,
    CPUID_7_EBX,
    CPUID_7_ECX,
    CPUID_7_EDX,
    CPUID_D_1_EAX,
    CPUID_8000_0001_EDX,
    CPUID_8000_0001_ECX,
    CPUID_8000_0007_EDX,
    CPUID_8000_0008_EBX,
    CPUID_SIGNATURE, /* no word of CPUID: who leaf 0x40000000 says the hypervisor is */
    CPUID_WORDS,
};

/* Bits that other files ask for. */
enum {
    CPUID1D_DE = 1 << 2,
    CPUID1D_PSE = 1 << 3,
    CPUID1D_TSC = 1 << 4,
    CPUID1D_PAE = 1 << 6,
    CPUID1D_MCE = 1 << 7,
    CPUID1D_APIC = 1 << 9,
    CPUID1D_SEP = 1 << 11,
    CPUID1D_MTRR = 1 << 12,
    CPUID1D_PGE = 1 << 13,
    CPUID1D_MCA = 1 << 14,
    CPUID1D_PAT = 1 << 16,
    CPUID1D_PSE36 = 1 << 17,
    CPUID1D_FXSR = 1 << 24,
    CPUID1D_SSE = 1 << 25,
    CPUID1C_MONITOR = 1 << 3,
    CPUID1C_PCID = 1 << 17,
    CPUID1C_X2APIC = 1 << 21,
    CPUID1C_TSC_DEADLINE = 1 << 24,
    CPUID1C_XSAVE = 1 << 26,
    CPUID1C_OSXSAVE = 1 << 27,
    CPUID1C_HYPERVISOR = 1u << 31,
    CPUID7B_FSGSBASE = 1 << 0,
    CPUID7B_TSC_ADJUST = 1 << 1,
    CPUID7B_SMEP = 1 << 7,
    CPUID7B_INVPCID = 1 << 10,
    CPUID7B_SMAP = 1 << 20,
    CPUID7C_UMIP = 1 << 2,
    CPUID7C_RDPID = 1 << 22,
    CPUID81D_SYSCALL = 1 << 11,
    CPUID81D_NX = 1 << 20,
    CPUID81D_FFXSR = 1 << 25,
    CPUID81D_1GB = 1 << 26,
    CPUID81D_RDTSCP = 1 << 27,
    CPUID81D_LM = 1 << 29,
    CPUID_SIGNATURE_KVM = 1 << 0,
    CPUID81C_CR8_LEGACY = 1 << 4,
};

struct cpu_model {
    const char *name, *desc;
    const char *vendor; /* 12 characters */
    uint8_t family, model, stepping;
    uint8_t phys_bits;
    uint32_t level, xlevel; /* highest basic and extended leaf */
    const char *model_id;
    const char *features; /* names, comma-separated; NULL: all there are */
};

/* Sets the model, feature words and the decoder's features of @c from
 * "NAME[,+f][,-f][,f=on|off]...". */
bool cpu_model_apply(struct cpu *c, const char *spec, struct error *err);
/* -cpu help */
void cpu_model_print_help(void);

static inline bool cpuid_has(const struct cpu *c, enum cpuid_word w, uint32_t bit)
{
    return (c->cpuid_word[w] & bit) != 0;
}
static inline unsigned cpu_phys_bits(const struct cpu *c)
{
    return c->model->phys_bits;
}
static inline bool cpu_has_1g_pages(const struct cpu *c)
{
    return cpuid_has(c, CPUID_8000_0001_EDX, CPUID81D_1GB);
}
bool cpu_vendor_is_intel(const struct cpu *c);

#endif
