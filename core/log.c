#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint32_t log_mask_bits;
static FILE *log_file;

static const struct {
    const char *name;
    uint32_t bit;
    const char *help;
} categories[] = {
    { "in_asm", LOG_IN_ASM, "guest code as it is decoded" },
    { "int", LOG_INT, "interrupts and exceptions" },
    { "mmu", LOG_MMU, "page walks that fault, TLB flushes" },
    { "unimp", LOG_UNIMP, "what the emulator doesn't implement" },
    { "guest_errors", LOG_GUEST_ERRORS, "what a guest does wrong (rate-limited)" },
    { "cpu_reset", LOG_CPU_RESET, "resets, triple faults and INIT, with the registers" },
    { "exec", LOG_EXEC, "every block that runs (large)" },
    { "lockstep", LOG_LOCKSTEP,
      "run translated code and interpreter side by side, stop at the first difference (slow)" },
};
#define CATEGORY_COUNT (sizeof categories / sizeof categories[0])

/* Guest errors: this many lines in all, then one line that says so. */
#define GUEST_ERROR_LINES 1000
static unsigned guest_error_lines;

void log_mask(uint32_t category, const char *fmt, ...)
{
    if (!log_on(category))
        return;
    if (category & LOG_GUEST_ERRORS) {
        if (guest_error_lines > GUEST_ERROR_LINES)
            return;
        if (guest_error_lines++ == GUEST_ERROR_LINES)
            fmt = "guest_errors: too many, no more are logged";
    }
    FILE *f = log_file ? log_file : stderr;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    size_t len = strlen(fmt);
    if (len == 0 || fmt[len - 1] != '\n')
        fputc('\n', f);
}

bool log_set_categories(const char *list, struct error *err)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        size_t i;
        for (i = 0; i < CATEGORY_COUNT; i++)
            if (strlen(categories[i].name) == len && !memcmp(list, categories[i].name, len))
                break;
        if (i == CATEGORY_COUNT)
            return error_set(err, "-d: unknown log category '%.*s' (try -d help)", (int)len, list);
        log_mask_bits |= categories[i].bit;
        list += len;
        if (*list == ',')
            list++;
    }
    return true;
}

bool log_set_file(const char *path, struct error *err)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return error_set(err, "-D: %s: %s", path, strerror(errno));
    setvbuf(f, NULL, _IOLBF, 0);
    log_file = f;
    return true;
}

void log_print_help(void)
{
    for (size_t i = 0; i < CATEGORY_COUNT; i++)
        printf("%-14s %s\n", categories[i].name, categories[i].help);
}
