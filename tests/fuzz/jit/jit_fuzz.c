/*
 * Images of random programs for the JIT's fuzzer, and what this machine's processor makes of them.
 *
 *   jit_fuzz make -k KERNEL -o IMAGE -e EXPECTED [-s SEED] [-n COUNT] [-b 64|32|32s|16] [-f FLAGS]
 *                 [-p PERIOD_NS] [-l TICKS] [-c CANDIDATES]
 *       COUNT programs of seeds from SEED on (those that don't fit or don't end are left out),
 *       packed with the kernel (kernel.bin) into a BIOS image. EXPECTED gets a line a program:
 *       index, seed, and the outcome on this processor. FLAGS, PERIOD_NS: see kernel.asm.
 *       CANDIDATES: file with a line an index for the program of SEED, "k k k ...", the items left
 *       out; nothing runs on this processor then.
 *   jit_fuzz show -s SEED [-b BITS] [-d "k k k"] [-m]   the program and its events here; -m: memory
 *   jit_fuzz items -s SEED [-b BITS]               its items: a line each, 1 = must stay
 *   jit_fuzz decode RESULTS     what an emulator wrote to port E9, as text
 *
 * tests/fuzz/jit/run drives it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asm.h"

#define KERNEL_SIZE 0x10000u
#define PARAMS      0xfe00u
#define IMAGE_MAX   (16u << 20)
#define FLAG_RING0  2u
#define FLAG_STEP   32u

struct header {
    uint32_t magic, bits, entry, rescue, end, starts, code_len, data_offset, index, rflags;
    uint32_t breakpoints[4];
    uint64_t pad;
    uint64_t gpr[16];
    uint8_t fx[512];
};
_Static_assert(sizeof(struct header) == 704, "kernel.asm has this layout");

struct options {
    const char *kernel, *image, *expected, *candidates;
    const char *dropped;
    uint64_t seed;
    unsigned count, flags, period, limit;
    int bits;
    bool dump;
};

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static bool make(struct program *p, uint64_t seed, const struct options *o)
{
    struct profile profile = { .bits = o->bits,
                               .no_step = o->flags & (16 | FLAG_STEP),
                               .ring0 = o->flags & FLAG_RING0 };
    return program_generate(p, seed, &profile);
}

/* ---- make ---- */

struct image {
    uint8_t *bytes;
    size_t used;
    uint64_t offsets[65536];
    unsigned count;
};

static bool add_program(struct image *m, const struct program *p)
{
    size_t table = (sizeof(struct header) + 2 * p->start_count + 7) & ~(size_t)7,
           size = (table + p->code_len + 63) & ~(size_t)63;
    if (m->used + size + sizeof m->offsets + KERNEL_SIZE + DATA_BLOCK > IMAGE_MAX ||
        m->count == sizeof m->offsets / sizeof m->offsets[0])
        return false;
    struct header h = { .magic = OUTCOME_MAGIC,
                        .bits = p->bits,
                        .entry = (uint32_t)p->labels[p->entry],
                        .rescue = (uint32_t)p->labels[p->rescue],
                        .end = (uint32_t)p->labels[p->end],
                        .starts = p->start_count,
                        .code_len = p->code_len,
                        .data_offset = p->data_offset,
                        .index = m->count,
                        .rflags = p->rflags };
    /* Breakpoints: somewhere, but always the same for a seed. */
    struct gen g = { .rng = p->seed };
    for (int k = 0; k < 3; k++)
        h.breakpoints[k] = p->starts[below(&g, p->start_count)];
    h.breakpoints[3] = below(&g, 0xf80) * 4;
    memcpy(h.gpr, p->gpr, sizeof h.gpr);
    memcpy(h.fx, p->fx, sizeof h.fx);
    uint8_t *to = m->bytes + m->used;
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, p->starts, 2 * p->start_count);
    memcpy(to + table, p->code, p->code_len);
    m->offsets[m->count++] = m->used;
    m->used += size;
    return true;
}

static void put_outcome(FILE *f, unsigned index, uint64_t seed, const struct outcome *o)
{
    fprintf(f, "%u %" PRIu64, index, seed);
    if (o)
        fprintf(f, " %u %u %016" PRIx64 " %016" PRIx64 " %016" PRIx64, o->reason, o->events,
                o->event_hash, o->data_hash, o->code_hash);
    fprintf(f, "\n");
}

static bool *read_dropped(const struct program *p, const char *text)
{
    bool *dropped = calloc(p->item_count, 1);
    if (!dropped)
        fail("memory");
    for (char *end; text && *text; text = end) {
        unsigned long k = strtoul(text, &end, 10);
        if (end == text)
            break;
        if (k < p->item_count)
            dropped[k] = true;
    }
    return dropped;
}

static void add_candidates(struct image *m, const struct options *o, FILE *expected)
{
    FILE *f = fopen(o->candidates, "r");
    static char line[1 << 18];
    if (!f)
        fail(o->candidates);
    while (fgets(line, sizeof line, f)) {
        struct program p;
        bool ok = make(&p, o->seed, o);
        bool *dropped = read_dropped(&p, line);
        if (ok && program_layout(&p, dropped) && add_program(m, &p))
            put_outcome(expected, m->count - 1, o->seed, NULL);
        free(dropped);
        program_free(&p);
    }
    fclose(f);
}

static void add_seeds(struct image *m, const struct options *o, FILE *expected)
{
    static struct program p;
    bool full = false;
    for (uint64_t seed = o->seed; seed < o->seed + o->count && !full; seed++) {
        struct outcome here;
        bool ok = make(&p, seed, o), ran = false;
        if (ok && !p.privileged && host_available())
            ok = ran = host_run(&p, &here, NULL, NULL);
        if (ok) {
            full = !add_program(m, &p);
            if (!full)
                put_outcome(expected, m->count - 1, seed, ran ? &here : NULL);
        }
        program_free(&p);
    }
    if (full)
        fprintf(stderr, "jit_fuzz: the image is full after %u programs\n", m->count);
}

static void write_image(const struct image *m, const struct options *o)
{
    uint8_t kernel[KERNEL_SIZE];
    FILE *f = fopen(o->kernel, "rb");
    if (!f || fread(kernel, 1, sizeof kernel, f) != sizeof kernel)
        fail(o->kernel);
    fclose(f);
    size_t table = (m->count * 8 + 63) & ~(size_t)63;
    size_t size = (m->used + table + DATA_BLOCK + KERNEL_SIZE + 0xffff) & ~(size_t)0xffff;
    uint64_t base = 0x100000000ull - size;
    uint8_t *all = calloc(1, size);
    if (!all)
        fail("memory");
    uint64_t at_table = base + m->used, at_block = at_table + table;
    memcpy(all, m->bytes, m->used);
    for (unsigned k = 0; k < m->count; k++) {
        uint64_t at = base + m->offsets[k];
        memcpy(all + m->used + 8 * k, &at, 8);
    }
    memcpy(all + m->used + table, data_block(), DATA_BLOCK);
    memcpy(all + size - KERNEL_SIZE, kernel, KERNEL_SIZE);
    uint64_t params[6] = { at_table, m->count, at_block, o->flags, o->period, o->limit };
    memcpy(all + size - KERNEL_SIZE + PARAMS + 8, params, sizeof params);
    f = fopen(o->image, "wb");
    if (!f || fwrite(all, 1, size, f) != size || fclose(f))
        fail(o->image);
    free(all);
}

static int command_make(const struct options *o)
{
    static struct image m;
    if (!o->kernel || !o->image || !o->expected) {
        fprintf(stderr, "jit_fuzz make: -k, -o and -e are needed\n");
        return 2;
    }
    m.bytes = calloc(1, IMAGE_MAX);
    FILE *expected = fopen(o->expected, "w");
    if (!m.bytes || !expected)
        fail(o->expected);
    if (o->candidates)
        add_candidates(&m, o, expected);
    else
        add_seeds(&m, o, expected);
    write_image(&m, o);
    if (fclose(expected))
        fail(o->expected);
    free(m.bytes);
    return 0;
}

/* ---- show, items, decode ---- */

static void print_event(void *opaque, const struct event *e)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    printf("%sevent %" PRIu64 " vector %" PRIu64 " error %" PRIx64 " cr2 %" PRIx64 " rip %" PRIx64
           " flags %" PRIx64 " mxcsr %x fcw %x fsw %x ftag %" PRIx64 "\n",
           (const char *)opaque, e->number, e->vector, e->error, e->cr2, e->rip, e->rflags,
           e->mxcsr, e->fcw, e->fsw, e->ftag);
    for (int r = 0; r < 16; r++)
        printf("  %-3s %016" PRIx64 "%s", names[r], e->gpr[r], (r & 3) == 3 ? "\n" : "");
    for (int r = 0; r < 8; r++) {
        uint64_t frac;
        uint16_t se;
        memcpy(&frac, e->st[r], 8);
        memcpy(&se, e->st[r] + 8, 2);
        printf("  st%d %04x.%016" PRIx64 "%s", r, se, frac, (r & 3) == 3 ? "\n" : "");
    }
    for (int r = 0; r < 16; r++) {
        uint64_t v[2];
        memcpy(v, e->xmm[r], 16);
        printf("  xmm%-2d %016" PRIx64 "_%016" PRIx64 "%s", r, v[1], v[0], r & 1 ? "\n" : "");
    }
}

/* A page with data, as `decode` shows dumps. */
static void print_page(const char *prefix, const uint8_t *page, uint32_t address)
{
    for (unsigned at = 0; at < PAGE; at += 16) {
        uint64_t v[2];
        memcpy(v, page + at, 16);
        printf("%s%08x %016" PRIx64 "_%016" PRIx64 "\n", prefix, address + at, v[1], v[0]);
    }
}

/* The order of the pages of a dump. */
static const uint32_t dumped[] = { DATA,
                                   DATA + PAGE,
                                   DATA + 2 * PAGE,
                                   DATA + 3 * PAGE,
                                   DATA + 4 * PAGE,
                                   DATA + 6 * PAGE,
                                   DATA + 7 * PAGE,
                                   DATA + 9 * PAGE,
                                   DATA + 10 * PAGE,
                                   CODE,
                                   CODE + PAGE,
                                   CODE + 2 * PAGE,
                                   CODE + 3 * PAGE };
#define DUMPED (sizeof dumped / sizeof dumped[0])

static int command_show(const struct options *o)
{
    static struct program p;
    struct outcome here;
    if (!make(&p, o->seed, o))
        printf("doesn't fit\n");
    bool *dropped = read_dropped(&p, o->dropped);
    program_layout(&p, dropped);
    program_print(&p, dropped);
    fflush(stdout);
    if (host_available() && !p.privileged && o->count) {
        bool ok = host_run(&p, &here, print_event, "host: ");
        for (unsigned k = 0; o->dump && k < DUMPED; k++)
            print_page("host: ", (const uint8_t *)(uintptr_t)dumped[k], dumped[k]);
        printf("reason %u%s, %u events, hashes: events %016" PRIx64 " data %016" PRIx64
               " code %016" PRIx64 "\n",
               here.reason, ok ? "" : " (timeout)", here.events, here.event_hash, here.data_hash,
               here.code_hash);
    }
    free(dropped);
    program_free(&p);
    return 0;
}

static int command_items(const struct options *o)
{
    static struct program p;
    if (!make(&p, o->seed, o))
        return 1;
    for (size_t k = 0; k < p.item_count; k++)
        printf("%d\n",
               p.items[k].fixed || p.items[k].kind == ITEM_LABEL || p.items[k].kind == ITEM_DATA);
    program_free(&p);
    return 0;
}

static int command_decode(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint32_t head[2];
    if (!f)
        fail(path);
    while (fread(head, 1, 8, f) == 8) {
        if (head[0] == EVENT_MAGIC) {
            struct event e;
            char prefix[24];
            if (fread(&e, 1, sizeof e, f) != sizeof e)
                break;
            snprintf(prefix, sizeof prefix, "%u: ", head[1]);
            print_event(prefix, &e);
        } else if (head[0] == DUMP_MAGIC) {
            static uint8_t page[PAGE];
            char prefix[24];
            snprintf(prefix, sizeof prefix, "%u: ", head[1]);
            for (unsigned k = 0; k < DUMPED && fread(page, 1, PAGE, f) == PAGE; k++)
                print_page(prefix, page, dumped[k]);
        } else if (head[0] == OUTCOME_MAGIC) {
            struct outcome o = { .magic = head[0], .index = head[1] };
            if (fread((uint8_t *)&o + 8, 1, sizeof o - 8, f) != sizeof o - 8)
                break;
            printf("outcome %u %u %u %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %" PRIu64 "\n",
                   o.index, o.reason, o.events, o.event_hash, o.data_hash, o.code_hash, o.extra);
        } else {
            printf("not a record: ");
            fwrite(head, 1, 8, stdout);
            for (int c; (c = getc(f)) != EOF;)
                putchar(c);
            printf("\n");
        }
    }
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .count = 1, .bits = -1, .period = 5000000, .limit = 2000 };
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "decode") && argc == 3)
        return command_decode(argv[2]);
    int option;
    optind = 2;
    while ((option = getopt(argc, argv, "k:o:e:c:d:s:n:f:p:l:b:m")) != -1) {
        switch (option) {
        case 'k': o.kernel = optarg; break;
        case 'o': o.image = optarg; break;
        case 'e': o.expected = optarg; break;
        case 'c': o.candidates = optarg; break;
        case 'd': o.dropped = optarg; break;
        case 's': o.seed = strtoull(optarg, NULL, 0); break;
        case 'n': o.count = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'f': o.flags = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'p': o.period = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'l': o.limit = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'b':
            o.bits = !strcmp(optarg, "64")    ? BITS64
                     : !strcmp(optarg, "32")  ? BITS32
                     : !strcmp(optarg, "32s") ? BITS32S
                                              : BITS16;
            break;
        case 'm': o.dump = true; break;
        default: return 2;
        }
    }
    rows_init();
    if (!strcmp(command, "make"))
        return command_make(&o);
    if (!strcmp(command, "show"))
        return command_show(&o);
    if (!strcmp(command, "items"))
        return command_items(&o);
    fprintf(stderr, "usage: jit_fuzz make|show|items|decode ... (see jit_fuzz.c)\n");
    return 2;
}
