/*
 * What the JIT has done, for people (info jit) and for programs (query-jit, a command of our own).
 *
 * All numbers are totals since the start. The JIT is one in a process, so are they.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "jit-wasm/cache.h"
#include "monitor/monitor_impl.h"

enum { HANDLERS_SHOWN = 15, MS = 1000 * 1000 };

/* Names of the ways back to C, as jit_stats.exits counts them. */
static const char *const exit_names[LEAVE_COUNT] = {
    [EXEC_JUMP] = "jump",           [EXEC_STOP] = "stop",         [EXEC_FAULT] = "fault",
    [EXEC_AGAIN] = "again",         [LEAVE_CHAIN] = "chain-miss", [LEAVE_BUDGET] = "slice-over",
    [LEAVE_INTERP] = "interpreter", [LEAVE_COLD] = "cold",
};

static int more_calls(const void *a, const void *b)
{
    uint64_t x = jit_handler_calls[*(const uint16_t *)a];
    uint64_t y = jit_handler_calls[*(const uint16_t *)b];
    return (x < y) - (x > y);
}

/* The rows whose handlers were called most often, at most HANDLERS_SHOWN of those that were. */
static unsigned top_handlers(uint16_t *rows, uint64_t *all)
{
    uint16_t *order = jit_handler_calls ? calloc(opcode_row_count, sizeof *order) : NULL;
    unsigned n = 0;
    *all = 0;
    if (!order)
        return 0;
    for (size_t k = 0; k < opcode_row_count; k++) {
        order[k] = (uint16_t)k;
        *all += jit_handler_calls[k];
    }
    qsort(order, opcode_row_count, sizeof *order, more_calls);
    for (; n < HANDLERS_SHOWN && n < opcode_row_count && jit_handler_calls[order[n]]; n++)
        rows[n] = order[n];
    free(order);
    return n;
}

/* Rows share their mnemonic: "mov (0f 22)". */
static void put_row(struct text *out, uint16_t row)
{
    static const char *const maps[MAP_COUNT] = {
        [MAP_1B] = "", [MAP_0F] = "0f ", [MAP_0F38] = "0f 38 ", [MAP_0F3A] = "0f 3a "
    };
    const struct opcode *o = opcode_rows[row];
    text_printf(out, "%s (%s%02x", o->name, maps[o->map], o->byte);
    if (o->reg != R_ANY)
        text_printf(out, " /%u", o->reg);
    text_puts(out, ")");
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

void jit_info_print(const struct machine *m, struct text *out)
{
    const struct cache_stats *s = &cache_stats;
    const struct cpu *c = m->cpus[0];
    uint16_t rows[HANDLERS_SHOWN];
    uint64_t calls, insns = cpu_icount(c);
    unsigned n = top_handlers(rows, &calls);
    if (!c->jit) {
        text_printf(out, "The JIT isn't in use%s: guest code is interpreted\n",
                    jit_available() ? "" : " (this build has none)");
        return;
    }
    text_printf(out,
                "regions:      %" PRIu64 " made, %" PRIu64 " live, %" PRIu64 " dropped, %" PRIu64
                " flushes\n",
                s->made, s->live, s->dropped, s->flushes);
    text_printf(out, "modules:      %" PRIu64 " made, %" PRIu64 " regions given up for room\n",
                s->modules, s->evicted);
    text_printf(out, "made of:      %" PRIu64 " guest instructions, %" PRIu64 " live\n", s->insns,
                s->live_insns);
    text_printf(out, "WebAssembly:  %" PRIu64 " bytes, %" PRIu64 " live\n", s->wasm_bytes,
                s->live_bytes);
    text_printf(out, "time:         %" PRId64 " ms emitting, %" PRId64 " ms installing\n",
                jit_stats.emit_ns / MS, jit_stats.install_ns / MS);
    text_printf(out, "instructions: %" PRIu64 " of %" PRIu64 " in regions (%.2f %%)\n",
                jit_stats.insns, insns, percent(jit_stats.insns, insns));
    text_printf(out, "entries:      %" PRIu64 ", from region to region %" PRIu64 "\n",
                jit_stats.entries, jit_stats.transfers);
    text_puts(out, "exits:       ");
    for (unsigned k = 0; k < LEAVE_COUNT; k++)
        if (exit_names[k])
            text_printf(out, " %s %" PRIu64, exit_names[k], jit_stats.exits[k]);
    text_printf(out, "\nhandlers called from regions: %" PRIu64 "\n", calls);
    for (unsigned k = 0; k < n; k++) {
        text_printf(out, "  %12" PRIu64 "  %5.2f %%  ", jit_handler_calls[rows[k]],
                    percent(jit_handler_calls[rows[k]], calls));
        put_row(out, rows[k]);
        text_puts(out, "\n");
    }
}

void jit_info_json(const struct machine *m, struct text *out)
{
    const struct cache_stats *s = &cache_stats;
    const struct cpu *c = m->cpus[0];
    uint16_t rows[HANDLERS_SHOWN];
    uint64_t calls;
    unsigned n = top_handlers(rows, &calls);
    const char *separator = "";
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        { "instructions", cpu_icount(c) },
        { "instructions-in-regions", jit_stats.insns },
        { "regions-made", s->made },
        { "regions-live", s->live },
        { "regions-dropped", s->dropped },
        { "modules-made", s->modules },
        { "regions-evicted", s->evicted },
        { "flushes", s->flushes },
        { "region-instructions-made", s->insns },
        { "region-instructions-live", s->live_insns },
        { "wasm-bytes-made", s->wasm_bytes },
        { "wasm-bytes-live", s->live_bytes },
        { "emit-ns", (uint64_t)jit_stats.emit_ns },
        { "install-ns", (uint64_t)jit_stats.install_ns },
        { "entries", jit_stats.entries },
        { "transfers", jit_stats.transfers },
        { "interpreted-calls", jit_stats.cold },
        { "handler-calls", calls },
    };
    text_printf(out, "{\"available\": %s, \"enabled\": %s", jit_available() ? "true" : "false",
                c->jit ? "true" : "false");
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
        text_printf(out, ", \"%s\": %" PRIu64, numbers[k].name, numbers[k].value);
    text_puts(out, ", \"exits\": {");
    for (unsigned k = 0; k < LEAVE_COUNT; k++)
        if (exit_names[k]) {
            text_printf(out, "%s\"%s\": %" PRIu64, separator, exit_names[k], jit_stats.exits[k]);
            separator = ", ";
        }
    text_puts(out, "}, \"handlers\": [");
    for (unsigned k = 0; k < n; k++) {
        text_printf(out, "%s{\"name\": \"", k ? ", " : "");
        put_row(out, rows[k]);
        text_printf(out, "\", \"calls\": %" PRIu64 "}", jit_handler_calls[rows[k]]);
    }
    text_puts(out, "]}");
}
