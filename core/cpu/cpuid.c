/*
 * CPUID leaves, CPU models and -cpu.
 *
 * One table names every feature bit this CPU can have (QEMU's names), with the decoder's feature
 * that it unlocks. Bits outside the table can't be turned on: CPUID never promises what isn't
 * there. A model picks bits by name; "max" takes all of them. The default, qemu64, is x86-64-v2
 * with AMD's vendor string, so SYSCALL works in compatibility mode, SYSENTER doesn't in long mode,
 * and Linux doesn't pay for page-table isolation. SDM vol. 2 CPUID; AMD APM vol. 3, appendix E.
 */
#include "cpu/cpuid.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cpu/desc.h"
#include "hw/apic.h"

struct feature {
    uint8_t word, bit;
    uint8_t decode; /* enum cpu_feature */
    const char *name;
};

#define D1 CPUID_1_EDX
#define C1 CPUID_1_ECX
#define B7 CPUID_7_EBX
#define C7 CPUID_7_ECX
#define D7 CPUID_7_EDX
#define D8 CPUID_8000_0001_EDX
#define C8 CPUID_8000_0001_ECX

static const struct feature table[] = {
    { D1, 0, FEAT_FPU, "fpu" },
    { D1, 2, 0, "de" },
    { D1, 3, 0, "pse" },
    { D1, 4, 0, "tsc" },
    { D1, 5, 0, "msr" },
    { D1, 6, 0, "pae" },
    { D1, 7, 0, "mce" },
    { D1, 8, FEAT_CX8, "cx8" },
    { D1, 9, 0, "apic" },
    { D1, 11, FEAT_SEP, "sep" },
    { D1, 12, 0, "mtrr" },
    { D1, 13, 0, "pge" },
    { D1, 14, 0, "mca" },
    { D1, 15, FEAT_CMOV, "cmov" },
    { D1, 16, 0, "pat" },
    { D1, 17, 0, "pse36" },
    { D1, 19, FEAT_CLFLUSH, "clflush" },
    { D1, 23, FEAT_MMX, "mmx" },
    { D1, 24, FEAT_FXSR, "fxsr" },
    { D1, 25, FEAT_SSE, "sse" },
    { D1, 26, FEAT_SSE2, "sse2" },
    { C1, 0, FEAT_SSE3, "sse3" },
    { C1, 3, FEAT_MONITOR, "monitor" },
    { C1, 9, FEAT_SSSE3, "ssse3" },
    { C1, 13, FEAT_CX16, "cx16" },
    { C1, 17, 0, "pcid" },
    { C1, 19, FEAT_SSE41, "sse4.1" },
    { C1, 20, FEAT_SSE42, "sse4.2" },
    { C1, 21, 0, "x2apic" },
    { C1, 22, FEAT_MOVBE, "movbe" },
    { C1, 23, FEAT_POPCNT, "popcnt" },
    { C1, 24, 0, "tsc-deadline" },
    { C1, 26, FEAT_XSAVE, "xsave" },
    { C1, 31, 0, "hypervisor" },
    { CPUID_6_EAX, 2, 0, "arat" },
    { B7, 0, FEAT_FSGSBASE, "fsgsbase" },
    { B7, 1, 0, "tsc-adjust" },
    { B7, 7, 0, "smep" },
    { B7, 9, 0, "erms" },
    { B7, 10, FEAT_INVPCID, "invpcid" },
    { B7, 20, FEAT_SMAP, "smap" },
    { C7, 2, 0, "umip" },
    { C7, 22, FEAT_RDPID, "rdpid" },
    { CPUID_D_1_EAX, 0, FEAT_XSAVEOPT, "xsaveopt" },
    { D8, 11, FEAT_SYSCALL, "syscall" },
    { D8, 20, 0, "nx" },
    { D8, 22, 0, "mmxext" },
    { D8, 25, 0, "fxsr-opt" },
    { D8, 26, 0, "pdpe1gb" },
    { D8, 27, FEAT_RDTSCP, "rdtscp" },
    { D8, 29, 0, "lm" },
    { C8, 0, FEAT_LAHF64, "lahf-lm" },
    { C8, 8, FEAT_PREFETCHW, "3dnowprefetch" },
    { CPUID_8000_0007_EDX, 8, 0, "invtsc" },
    { CPUID_SIGNATURE, 0, 0, "kvm" },
};
#define TABLE_COUNT (sizeof table / sizeof table[0])

/* Other spellings that QEMU takes; '_' and '.' count as '-' anyway. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    { "pni", "sse3" },
    { "sse4-1", "sse4.1" },
    { "sse4-2", "sse4.2" },
    { "i64", "lm" },
    { "xd", "nx" },
    { "ffxsr", "fxsr-opt" },
    { "lahf-lm", "lahf-lm" },
    { "pclmuldq", "pclmulqdq" },
    { "tsc-deadline-timer", "tsc-deadline" },
};

/* Names of QEMU's features that this CPU doesn't have: asking for them gets a better message than
 * "unknown". */
static const char *const unavailable[] = {
    "vme",
    "ds",
    "acpi",
    "ss",
    "ht",
    "tm",
    "pbe",
    "ia64",
    "pn",
    "pclmulqdq",
    "dtes64",
    "ds-cpl",
    "vmx",
    "smx",
    "est",
    "tm2",
    "cid",
    "fma",
    "xtpr",
    "pdcm",
    "dca",
    "aes",
    "avx",
    "f16c",
    "rdrand",
    "sgx",
    "bmi1",
    "hle",
    "avx2",
    "bmi2",
    "rtm",
    "mpx",
    "avx512f",
    "avx512dq",
    "rdseed",
    "adx",
    "avx512ifma",
    "pcommit",
    "clflushopt",
    "clwb",
    "intel-pt",
    "avx512pf",
    "avx512er",
    "avx512cd",
    "sha-ni",
    "avx512bw",
    "avx512vl",
    "avx512vbmi",
    "pku",
    "ospke",
    "waitpkg",
    "avx512vbmi2",
    "gfni",
    "vaes",
    "vpclmulqdq",
    "avx512vnni",
    "avx512bitalg",
    "avx512-vpopcntdq",
    "la57",
    "movdiri",
    "movdir64b",
    "fsrm",
    "spec-ctrl",
    "stibp",
    "arch-capabilities",
    "ssbd",
    "3dnow",
    "3dnowext",
    "cmp-legacy",
    "svm",
    "extapic",
    "cr8legacy",
    "abm",
    "sse4a",
    "misalignsse",
    "osvw",
    "ibs",
    "xop",
    "skinit",
    "wdt",
    "lwp",
    "fma4",
    "tce",
    "nodeid-msr",
    "tbm",
    "topoext",
    "perfctr-core",
    "perfctr-nb",
    "xsavec",
    "xgetbv1",
    "xsaves",
    "clzero",
    "xsaveerptr",
    "wbnoinvd",
    "ibpb",
    "npt",
    "lbrv",
};

#define BASE32 "fpu,de,pse,tsc,msr,mce,cx8,pge,cmov,pat,fxsr,mmx,sse,sse2,pae,sep,apic"
#define BASE64 BASE32 ",mtrr,clflush,mca,pse36,syscall,nx,lm"
#define V2     "sse3,ssse3,sse4.1,sse4.2,popcnt,cx16,lahf-lm"

static const struct cpu_model defs[] = {
    { "qemu64", "x86-64-v2, the default", "AuthenticAMD", 15, 107, 1, 40, 0xd, 0x80000008,
      "Slipway Virtual CPU",
      BASE64 "," V2 ",movbe,pcid,xsave,xsaveopt,hypervisor,arat,fsgsbase,tsc-adjust,smep,smap,"
             "invpcid,erms,umip,rdpid,"
             "mmxext,pdpe1gb,rdtscp,3dnowprefetch,invtsc,x2apic,tsc-deadline,fxsr-opt" },
    { "qemu32", "32-bit only", "GenuineIntel", 6, 6, 3, 36, 4, 0x80000004, "Slipway Virtual CPU 32",
      BASE32 ",mtrr,clflush,mca,pse36,sse3,hypervisor" },
    { "kvm64", "Common 64-bit processor", "GenuineIntel", 15, 6, 1, 40, 0xd, 0x80000008,
      "Common 64-bit processor", BASE64 ",sse3,cx16,hypervisor" },
    { "kvm32", "Common 32-bit processor", "GenuineIntel", 15, 6, 1, 36, 5, 0x80000008,
      "Common 32-bit processor", BASE32 ",mtrr,clflush,mca,pse36,sse3,hypervisor" },
    { "Nehalem", "Intel Core i7 9xx (Nehalem)", "GenuineIntel", 6, 26, 3, 40, 11, 0x80000008,
      "Intel Core i7 9xx (Nehalem Class Core i7)", BASE64 "," V2 ",hypervisor" },
    { "486", "Intel 486", "GenuineIntel", 4, 8, 0, 32, 1, 0, "", "fpu,pse" },
    { "pentium", "Intel Pentium", "GenuineIntel", 5, 4, 3, 32, 1, 0, "",
      "fpu,de,pse,tsc,msr,mce,cx8,mmx,apic" },
    { "pentium3", "Intel Pentium III", "GenuineIntel", 6, 8, 3, 36, 3, 0, "",
      "fpu,de,pse,tsc,msr,mce,cx8,pge,cmov,pat,fxsr,mmx,sse,pae,sep,apic,mtrr,mca,pse36" },
    { "max", "Everything this emulator has", "AuthenticAMD", 15, 107, 1, 40, 0xd, 0x80000008,
      "Slipway Virtual CPU max", NULL },
};
#define DEF_COUNT (sizeof defs / sizeof defs[0])

static const struct feature *find_feature(const char *name, size_t len)
{
    char n[32];
    if (len >= sizeof n)
        return NULL;
    for (size_t k = 0; k < len; k++)
        n[k] = name[k] == '_' || name[k] == '.' ? '-' : (char)tolower((unsigned char)name[k]);
    n[len] = 0;
    const char *wanted = n;
    for (size_t k = 0; k < sizeof aliases / sizeof aliases[0]; k++)
        if (!strcmp(n, aliases[k].alias))
            wanted = aliases[k].name;
    for (size_t k = 0; k < TABLE_COUNT; k++)
        if (!strcmp(wanted, table[k].name))
            return &table[k];
    return NULL;
}

static bool is_unavailable(const char *name, size_t len)
{
    for (size_t k = 0; k < sizeof unavailable / sizeof unavailable[0]; k++)
        if (strlen(unavailable[k]) == len && !strncmp(unavailable[k], name, len))
            return true;
    return false;
}

static void set_feature(struct cpu *c, const struct feature *f, bool on)
{
    uint32_t bit = 1u << f->bit;
    if (on)
        c->cpuid_word[f->word] |= bit;
    else
        c->cpuid_word[f->word] &= ~bit;
}

/* One item of the list after the model's name. */
static bool apply_item(struct cpu *c, const char *item, size_t len, struct error *err)
{
    bool on = true;
    const char *name = item;
    size_t name_len = len;
    if (len && (item[0] == '+' || item[0] == '-')) {
        on = item[0] == '+';
        name++;
        name_len--;
    } else {
        const char *eq = memchr(item, '=', len);
        if (eq) {
            size_t value_len = (size_t)(item + len - eq - 1);
            name_len = (size_t)(eq - item);
            if ((value_len == 2 && !strncmp(eq + 1, "on", 2)) ||
                (value_len == 3 && !strncmp(eq + 1, "yes", 3)))
                on = true;
            else if ((value_len == 3 && !strncmp(eq + 1, "off", 3)) ||
                     (value_len == 2 && !strncmp(eq + 1, "no", 2)))
                on = false;
            else
                return error_set(err, "-cpu: property '%.*s' is on or off, not '%.*s'",
                                 (int)name_len, name, (int)value_len, eq + 1);
        }
    }
    const struct feature *f = find_feature(name, name_len);
    if (f) {
        set_feature(c, f, on);
        return true;
    }
    if (!is_unavailable(name, name_len))
        return error_set(err, "-cpu: unknown feature '%.*s'", (int)name_len, name);
    if (on)
        return error_set(err, "-cpu: feature '%.*s' isn't implemented", (int)name_len, name);
    return true;
}

static bool apply_list(struct cpu *c, const char *list, struct error *err)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        if (len && !apply_item(c, list, len, err))
            return false;
        list += len;
        if (*list == ',')
            list++;
    }
    return true;
}

/* What can't be without something else: drops it, as QEMU does with a warning. */
static void drop_dependents(struct cpu *c)
{
    uint32_t *w = c->cpuid_word;
    if (!(w[D1] & CPUID1D_FXSR))
        w[D1] &= ~(3u << 25);
    if (!(w[D1] & 1u << 25))
        w[D1] &= ~(1u << 26);
    if (!(w[D1] & 1u << 26)) {
        w[C1] &= ~(1u << 0 | 1u << 9 | 1u << 19 | 1u << 20);
        w[D8] &= ~CPUID81D_LM;
    }
    if (!(w[C1] & CPUID1C_XSAVE))
        w[CPUID_D_1_EAX] = 0;
    if (!(w[D8] & CPUID81D_LM)) {
        w[D8] &= ~CPUID81D_1GB;
        w[C1] &= ~CPUID1C_PCID;
    }
    if (!(w[D1] & CPUID1D_APIC))
        w[C1] &= ~(CPUID1C_X2APIC | CPUID1C_TSC_DEADLINE);
}

#define MCE_BANKS 10u
#define MCG_CTL_P (1u << 8)
#define MCG_SER_P (1u << 24)

bool cpu_vendor_is_intel(const struct cpu *c)
{
    return c->model->vendor[0] == 'G';
}

bool cpu_model_apply(struct cpu *c, const char *spec, struct error *err)
{
    if (!spec || !*spec)
        spec = "qemu64";
    size_t len = strcspn(spec, ","), n;
    for (n = 0; n < DEF_COUNT; n++)
        if (strlen(defs[n].name) == len && !strncmp(defs[n].name, spec, len))
            break;
    if (n == DEF_COUNT)
        return error_set(err, "-cpu: unknown model '%.*s' (-cpu help lists them)", (int)len, spec);
    c->model = &defs[n];
    snprintf(c->model_id, sizeof c->model_id, "%s", c->model->model_id);
    memset(c->cpuid_word, 0, sizeof c->cpuid_word);
    if (defs[n].features) {
        if (!apply_list(c, defs[n].features, err))
            return false;
    } else {
        for (size_t k = 0; k < TABLE_COUNT; k++)
            /* An idle loop with MWAIT would gain nothing over HLT; a signature is no ability. */
            if (table[k].decode != FEAT_MONITOR && table[k].word != CPUID_SIGNATURE)
                set_feature(c, &table[k], true);
    }
    if (!apply_list(c, spec + len, err))
        return false;
    drop_dependents(c);

    memset(c->features, 0, sizeof c->features);
    for (size_t k = 0; k < TABLE_COUNT; k++)
        if (table[k].decode && (c->cpuid_word[table[k].word] >> table[k].bit & 1))
            c->features[table[k].decode >> 5] |= 1u << (table[k].decode & 31);
    if (c->cpuid_word[D8] & CPUID81D_LM) /* PREFETCHW is a no-op everywhere in long mode */
        c->features[FEAT_PREFETCHW >> 5] |= 1u << (FEAT_PREFETCHW & 31);
    /* As QEMU has it: 10 banks, a control register, recovery by software (SDM vol. 3, 16.3.1.1). */
    if (cpuid_has(c, CPUID_1_EDX, CPUID1D_MCE) && cpuid_has(c, CPUID_1_EDX, CPUID1D_MCA))
        c->mcg_cap = MCG_SER_P | MCG_CTL_P | MCE_BANKS;
    return true;
}

void cpu_model_print_help(void)
{
    printf("Available CPUs:\n");
    for (size_t k = 0; k < DEF_COUNT; k++)
        printf("x86 %-14s %s\n", defs[k].name, defs[k].desc);
    printf("\nRecognized CPUID flags:\n");
    size_t col = 0;
    for (size_t k = 0; k < TABLE_COUNT; k++) {
        size_t len = strlen(table[k].name) + 1;
        if (col + len > 76) {
            printf("\n");
            col = 0;
        }
        printf("%s%s", col ? " " : "  ", table[k].name);
        col += len;
    }
    printf("\n");
}

/* ---- leaves ---- */

static uint32_t four(const char *s)
{
    uint32_t v;
    memcpy(&v, s, 4);
    return v;
}

static uint32_t signature(const struct cpu_model *m)
{
    uint32_t family = m->family, ext = 0;
    if (family > 15) {
        ext = family - 15;
        family = 15;
    }
    return m->stepping | (m->model & 15u) << 4 | family << 8 | (uint32_t)(m->model >> 4) << 16 |
           ext << 20;
}

static void leaf_basic(struct cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    const uint32_t *w = c->cpuid_word;
    bool intel = cpu_vendor_is_intel(c);
    switch (leaf) {
    case 0:
        out[0] = m->level;
        out[1] = four(m->vendor);
        out[3] = four(m->vendor + 4);
        out[2] = four(m->vendor + 8);
        break;
    case 1:
        out[0] = signature(m);
        out[1] = (uint32_t)c->index << 24 | 1u << 16 |
                 8u << 8; /* APIC id, one logical CPU, CLFLUSH of 64 bytes */
        out[2] = w[CPUID_1_ECX] | (c->cr4 & CR4_OSXSAVE ? CPUID1C_OSXSAVE : 0);
        out[3] = w[CPUID_1_EDX];
        if (c->apic && !(apic_get_base(c->apic) & 0x800))
            out[3] &= ~(uint32_t)CPUID1D_APIC;
        break;
    case 2:
        if (intel) { /* 32 KB L1 code and data, 2 MB L2 */
            out[0] = 1;
            out[3] = 0x2c307d;
        }
        break;
    case 4:
        if (intel && sub < 3) {
            static const uint32_t cache[3][4] = { { 0x121, 0x1c0003f, 63, 1 },
                                                  { 0x122, 0x1c0003f, 63, 1 },
                                                  { 0x143, 0x3c0003f, 4095, 1 } };
            memcpy(out, cache[sub], 16);
        }
        break;
    case 6: out[0] = w[CPUID_6_EAX]; break;
    case 7:
        if (sub == 0) {
            out[1] = w[CPUID_7_EBX];
            out[2] = w[CPUID_7_ECX];
            out[3] = w[CPUID_7_EDX];
        }
        break;
    case 0xb: /* one thread, one core */
        out[2] = sub & 0xff;
        out[3] = (uint32_t)c->index;
        if (sub < 2) {
            out[1] = 1;
            out[2] |= (sub + 1) << 8;
        }
        break;
    case 0xd:
        if (!(w[CPUID_1_ECX] & CPUID1C_XSAVE))
            break;
        if (sub == 0) {
            out[0] = 3;
            out[1] = out[2] = 576;
        } else if (sub == 1) {
            out[0] = w[CPUID_D_1_EAX];
        }
        break;
    default: break;
    }
}

static void leaf_extended(struct cpu *c, uint32_t leaf, uint32_t out[4])
{
    /* Bits 0-9, 12-17, 23, 24 of AMD's 8000_0001 EDX repeat those of leaf 1. */
    const uint32_t repeated = 0x0183f3ffu;
    const struct cpu_model *m = c->model;
    const uint32_t *w = c->cpuid_word;
    bool intel = cpu_vendor_is_intel(c);
    switch (leaf) {
    case 0x80000000:
        out[0] = m->xlevel;
        if (!intel) {
            out[1] = four(m->vendor);
            out[3] = four(m->vendor + 4);
            out[2] = four(m->vendor + 8);
        }
        break;
    case 0x80000001:
        out[0] = intel ? 0 : signature(m);
        out[2] = w[CPUID_8000_0001_ECX];
        out[3] = w[CPUID_8000_0001_EDX];
        if (!intel)
            out[3] |= w[CPUID_1_EDX] & repeated;
        else if (!cpu_code64(c))
            out[3] &= ~(uint32_t)CPUID81D_SYSCALL;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: memcpy(out, c->model_id + (leaf - 0x80000002) * 16, 16); break;
    case 0x80000005:
        if (!intel) { /* TLBs; 64 KB L1 caches, 2-way, lines of 64 bytes */
            out[0] = out[1] = 0x01ff01ff;
            out[2] = out[3] = 0x40020140;
        }
        break;
    case 0x80000006: /* L2: 512 KB, 16-way */
        if (!intel)
            out[1] = 0x42004200;
        out[2] = 0x02008140;
        break;
    case 0x80000007: out[3] = w[CPUID_8000_0007_EDX]; break;
    case 0x80000008:
        out[0] = m->phys_bits | 48u << 8;
        out[1] = w[CPUID_8000_0008_EBX];
        break;
    default: break;
    }
}

void cpu_cpuid(struct cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    out[0] = out[1] = out[2] = out[3] = 0;
    bool hypervisor = cpuid_has(c, CPUID_1_ECX, CPUID1C_HYPERVISOR);
    if (hypervisor && cpuid_has(c, CPUID_SIGNATURE, CPUID_SIGNATURE_KVM) && leaf >= 0x40000000 &&
        leaf <= 0x40000001) {
        /* KVM without any of its features: there are guests that ask for VMware's mouse only
         * there. */
        if (leaf == 0x40000000) {
            out[0] = 0x40000001;
            out[1] = four("KVMK");
            out[2] = four("VMKV");
            out[3] = four("M\0\0");
        }
        return;
    }
    if (leaf == 0x40000000 && hypervisor) {
        out[0] = 0x40000000;
        out[1] = four("Slip");
        out[2] = four("wayP");
        out[3] = four("C\0\0");
        return;
    }
    if (leaf >= 0x80000000 && leaf <= m->xlevel) {
        leaf_extended(c, leaf, out);
        return;
    }
    if (leaf > m->level) {
        if (!cpu_vendor_is_intel(c))
            return;
        leaf = m->level; /* Intel answers with the highest basic leaf */
    }
    leaf_basic(c, leaf, sub, out);
}
