/*
 * Monitors: making and ending them, their chardev's callbacks, and what HMP and QMP commands have
 * in common.
 *
 * Output goes through monitor_write(), which keeps what the chardev doesn't take. While much waits,
 * no more input is taken: a client that sends commands and doesn't read the answers is slowed down
 * instead of filling our memory.
 */
#include "monitor/monitor_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "char/char.h"
#include "ui/display.h"

#define OUT_HIGH 65536       /* no input while more than this waits */
#define OUT_MAX  (16u << 20) /* events beyond this are lost */

/* ---- output ---- */

static void flush(struct monitor *mon)
{
    if (mon->hidden || !mon->out.len)
        return;
    size_t n = chr_write(mon->chr, (const uint8_t *)mon->out.s, mon->out.len);
    text_consume(&mon->out, n);
}

void monitor_write(struct monitor *mon, const char *s, size_t len)
{
    if (!chr_connected(mon->chr) || mon->out.len + len > OUT_MAX)
        return;
    text_add(&mon->out, s, len);
    flush(mon);
}

/* HMP's text has \n; terminals want \r\n. */
static void write_lines(struct monitor *mon, const struct text *t)
{
    struct text lines = { 0 };
    for (size_t i = 0; i < t->len; i++) {
        if (t->s[i] == '\n')
            text_puts(&lines, "\r");
        text_add(&lines, t->s + i, 1);
    }
    monitor_write(mon, text_str(&lines), lines.len);
    text_free(&lines);
}

/* ---- the chardev's callbacks ---- */

static size_t can_receive(void *opaque)
{
    struct monitor *mon = opaque;
    return mon->out.len > OUT_HIGH ? 0 : 4096;
}

static void execute_line(struct monitor *mon, const char *line)
{
    struct text out = { 0 };
    hmp_execute(mon->machine, line, &out);
    write_lines(mon, &out);
    text_free(&out);
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct monitor *mon = opaque;
    if (mon->is_qmp)
        json_stream_feed(&mon->json, (const char *)buf, len);
    else
        for (size_t i = 0; i < len; i++)
            readline_input(mon, (char)buf[i], execute_line);
}

static void writable(void *opaque)
{
    struct monitor *mon = opaque;
    flush(mon);
    if (mon->out.len <= OUT_HIGH)
        chr_accept_input(mon->chr);
}

static void event(void *opaque, enum chr_event e)
{
    struct monitor *mon = opaque;
    switch (e) {
    case CHR_EVENT_OPENED:
        text_free(&mon->out);
        if (mon->is_qmp) {
            qmp_connected(mon);
        } else {
            mon->rl.len = mon->rl.cursor = 0;
            struct text banner = { 0 };
            text_printf(&banner, "Slipway %s monitor - type 'help' for more information\n",
                        SLIPWAY_VERSION);
            write_lines(mon, &banner);
            text_free(&banner);
            readline_show_prompt(mon);
        }
        break;
    case CHR_EVENT_CLOSED: text_free(&mon->out); break;
    case CHR_EVENT_MUX_IN:
        mon->hidden = false;
        if (mon->out.len) { /* the greeting, or what was said meanwhile */
            flush(mon);
        } else if (!mon->is_qmp) {
            monitor_write(mon, "\r\n", 2);
            readline_show_prompt(mon);
        }
        break;
    case CHR_EVENT_MUX_OUT:
        if (!mon->is_qmp)
            monitor_write(mon, "\r\n", 2);
        mon->hidden = true;
        break;
    case CHR_EVENT_BREAK: break;
    }
}

/* ---- life ---- */

static struct monitor *add(struct machine *m, struct chardev *c, bool qmp, bool pretty,
                           struct error *err)
{
    struct monitor *mon = calloc(1, sizeof *mon);
    if (!c || !mon) {
        free(mon);
        error_set(err, "no room for another monitor");
        return NULL;
    }
    mon->machine = m;
    mon->chr = c;
    mon->is_qmp = qmp;
    mon->pretty = pretty;
    mon->hidden = chr_is_mux_port(c);
    mon->json.message = qmp_message;
    mon->json.opaque = mon;
    mon->next = m->monitors;
    m->monitors = mon;
    if (qmp) {
        mon->listener = (struct machine_listener){ .event = qmp_event, .opaque = mon };
        machine_listen(m, &mon->listener);
    }
    struct chr_frontend fe = { .can_receive = can_receive,
                               .receive = receive,
                               .event = event,
                               .writable = writable,
                               .monitor = true,
                               .opaque = mon };
    chr_attach(c, &fe);
    return mon;
}

bool monitor_add_hmp(struct machine *m, struct chardev *c, struct error *err)
{
    return add(m, c, false, false, err) != NULL;
}

bool monitor_add_qmp(struct machine *m, struct chardev *c, bool pretty, struct error *err)
{
    return add(m, c, true, pretty, err) != NULL;
}

static bool open_one(struct machine *m, const char *spec, bool qmp, int *number, struct error *err)
{
    bool pretty = qmp && !strncmp(spec, "pretty:", 7);
    char label[32];
    snprintf(label, sizeof label, "compat_monitor%d", *number);
    struct chardev *c = chr_open(m, label, pretty ? spec + 7 : spec, err);
    if (!c)
        return error_prepend(err, qmp ? "-qmp" : "-monitor");
    *number += strncmp(spec, "chardev:", 8) != 0;
    return qmp ? monitor_add_qmp(m, c, pretty, err) : monitor_add_hmp(m, c, err);
}

bool monitor_open_all(struct machine *m, struct error *err)
{
    int number = 0;
    for (struct string_list *s = m->opt->monitors; s; s = s->next)
        if (!open_one(m, s->value, false, &number, err))
            return false;
    for (struct string_list *s = m->opt->qmp; s; s = s->next)
        if (!open_one(m, s->value, true, &number, err))
            return false;
    chr_mux_settle(m);
    return true;
}

void monitor_free_all(struct machine *m)
{
    while (m->monitors) {
        struct monitor *mon = m->monitors;
        m->monitors = mon->next;
        flush(mon);
        chr_attach(mon->chr, NULL);
        readline_free(&mon->rl);
        json_stream_reset(&mon->json);
        text_free(&mon->out);
        free(mon);
    }
}

/* ---- what both kinds of commands do ---- */

const char *monitor_status(const struct machine *m)
{
    switch (m->state) {
    case RUN_STATE_RUNNING: return m->suspended ? "suspended" : "running";
    case RUN_STATE_PAUSED: return "paused";
    case RUN_STATE_SHUTDOWN: return "shutdown";
    case RUN_STATE_PRELAUNCH: return "prelaunch";
    }
    return "internal-error";
}

bool monitor_running(const struct machine *m)
{
    return m->state == RUN_STATE_RUNNING && !m->suspended;
}

bool monitor_wakeup(struct machine *m, struct error *err)
{
    if (!m->woken)
        return error_set(err, "wake-up from suspend is not supported by this guest");
    if (!m->suspended)
        return error_set(err, "Unable to wake up: guest is not in suspended state");
    machine_request_wakeup(m);
    return true;
}

bool monitor_cont(struct machine *m, struct error *err)
{
    if (m->state == RUN_STATE_SHUTDOWN)
        return error_set(err, "Resetting the Virtual Machine is required");
    machine_start(m);
    return true;
}

bool monitor_screendump(struct machine *m, const char *path, const char *format, struct error *err)
{
    if (!m->display || !display_surface(m->display))
        return error_set(err, "There is no console to take a screendump from");
    display_update(m->display);
    return display_screendump(m->display, path, format, err);
}

bool monitor_send_key(struct machine *m, const char *keys, int hold_ms, struct error *err)
{
    uint8_t hids[INPUT_COMBO_MAX];
    int count = input_parse_combo(keys, hids, err);
    if (!count)
        return false;
    return input_send_combo(m, hids, count, hold_ms) || error_set(err, "too many keys are waiting");
}

bool monitor_memory_save(struct machine *m, bool virtual, uint64_t addr, uint64_t size,
                         const char *path, struct error *err)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return error_set(err, "Could not open '%s': %s", path, strerror(errno));
    uint8_t buf[4096];
    bool ok = true;
    while (ok && size) {
        /* A page at a time: each may be mapped elsewhere. */
        uint64_t n = 4096 - (addr & 4095), phys = addr;
        n = n < size ? n : size;
        if (virtual && !cpu_probe_phys(m->cpus[0], addr, &phys)) {
            ok = error_set(err, "Invalid addr 0x%016llx/size %llu specified",
                           (unsigned long long)addr, (unsigned long long)size);
            break;
        }
        dma_read(&m->mem, phys, buf, n);
        if (fwrite(buf, 1, n, f) != n)
            ok = error_set(err, "An IO error has occurred writing '%s'", path);
        addr += n;
        size -= n;
    }
    if (fclose(f) && ok)
        ok = error_set(err, "An IO error has occurred writing '%s'", path);
    return ok;
}
