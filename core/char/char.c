/*
 * Character devices, the part that all back ends share: the list of them, the front end's
 * connection, the bounded output queue and back-pressure.
 *
 * Output: chr_write() hands bytes to the back end; what that doesn't take waits in a ring of 64 KB,
 * and what doesn't fit there is not taken, which stalls the front end until its writable() is
 * called. Order is kept: while anything is queued, new bytes go behind it. Input is pulled: see
 * char_impl.h.
 */
#include "char/char_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/host.h"
#include "machine.h"
#include "monitor/monitor.h"

struct chardev *chr_alloc(struct machine *m, const char *label)
{
    struct chardev *c = calloc(1, sizeof *c);
    if (!c || !(c->label = strdup(label)))
        abort();
    c->machine = m;
    c->fd = -1;
    struct chardev **tail = &m->chardevs;
    while (*tail)
        tail = &(*tail)->next;
    *tail = c;
    return c;
}

void chr_set_filename(struct chardev *c, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    free(c->filename);
    c->filename = strdup(text);
    if (!c->filename)
        abort();
}

/* The chardev with this label that isn't a mux port. */
static struct chardev *find_label(struct machine *m, const char *label)
{
    for (struct chardev *c = m->chardevs; c; c = c->next)
        if (!c->is_mux_port && !strcmp(c->label, label))
            return c;
    return NULL;
}

static bool open_backend(struct chardev *c, const struct chr_config *cfg, struct error *err)
{
    switch (cfg->kind) {
    case CHR_NULL: chr_null_open(c); return true;
    case CHR_FILE: return chr_file_open(c, cfg, err);
    case CHR_VC:
        if (!host_has_terminals()) { /* nobody would see it */
            chr_null_open(c);
            return true;
        }
        break;
    default: break;
    }
    if (cfg->kind == CHR_STDIO)
        for (struct chardev *other = c->machine->chardevs; other; other = other->next)
            if (other->is_stdio)
                return error_set(err, "stdio is in use by '%s' already", other->label);
    return chr_stream_open(c, cfg, err);
}

/* Makes the chardev that @cfg describes; with mux=on, its first port is made by whoever attaches.
 */
static struct chardev *open_config(struct machine *m, const char *label,
                                   const struct chr_config *cfg, struct error *err)
{
    if (find_label(m, label)) {
        error_set(err, "there is a chardev '%s' already", label);
        return NULL;
    }
    struct chardev *c = chr_alloc(m, label);
    if (!open_backend(c, cfg, err)) {
        chr_close(c);
        return NULL;
    }
    if (cfg->logfile) {
        c->log = fopen(cfg->logfile, cfg->logappend ? "a" : "w");
        if (!c->log) {
            error_set(err, "logfile %s: %s", cfg->logfile, strerror(errno));
            chr_close(c);
            return NULL;
        }
        setvbuf(c->log, NULL, _IOLBF, 0);
    }
    return c;
}

struct chardev *chr_open(struct machine *m, const char *label, const char *spec, struct error *err)
{
    const char *id = strncmp(spec, "chardev:", 8) ? NULL : spec + 8;
    struct chardev *c = NULL;
    struct chr_config cfg;
    if (id) {
        c = find_label(m, id);
        if (!c)
            error_set(err, "chardev '%s' not found", id);
        else if (c->attached && !c->mux)
            error_set(err, "chardev '%s' is in use already", id);
        else
            return chr_find(m, id);
    } else if (chr_parse_spec(spec, &cfg, err)) {
        c = open_config(m, label, &cfg, err);
        if (c && (cfg.mux || cfg.monitor)) {
            if (cfg.monitor && !monitor_add_hmp(m, chr_mux_port(c), err)) {
                chr_close(c);
                c = NULL;
            } else {
                c = chr_mux_port(c);
            }
        }
        chr_config_free(&cfg);
        if (c)
            return c;
    }
    error_prepend(err, "%s", label);
    return NULL;
}

bool chr_add_option(struct machine *m, const char *optarg, struct error *err)
{
    struct chr_config cfg;
    char *id;
    if (!chr_parse_option(optarg, &id, &cfg, err))
        return false;
    struct chardev *c = open_config(m, id, &cfg, err);
    bool ok = c != NULL;
    if (ok && cfg.mux)
        chr_mux_port(
            c); /* makes it a mux; this first port stays unused until chr_find hands it out */
    if (!ok)
        error_prepend(err, "-chardev %s", id);
    chr_config_free(&cfg);
    free(id);
    return ok;
}

struct chardev *chr_find(struct machine *m, const char *id)
{
    struct chardev *c = find_label(m, id);
    return c && c->mux ? chr_mux_port(c) : c;
}

const char *chr_label(const struct chardev *c)
{
    return c->label;
}

bool chr_connected(const struct chardev *c)
{
    return c->open;
}

bool chr_is_mux_port(const struct chardev *c)
{
    return c->is_mux_port;
}

bool chr_waiting(struct machine *m)
{
    for (const struct chardev *c = m->chardevs; c; c = c->next)
        if (c->waiting)
            return true;
    return false;
}

static void report_waiting(void *opaque)
{
    struct machine *m = opaque;
    for (const struct chardev *c = m->chardevs; c; c = c->next)
        if (c->waiting)
            fprintf(stderr, "slipway: %s: waiting for connection on: %s\n", c->label, c->filename);
}

void chr_report_waiting(struct machine *m)
{
    host_defer(report_waiting, m);
}

void chr_for_each(struct machine *m,
                  void (*fn)(void *opaque, const char *label, const char *filename,
                             bool frontend_open),
                  void *opaque)
{
    for (const struct chardev *c = m->chardevs; c; c = c->next)
        if (!c->is_mux_port)
            fn(opaque, c->label, c->filename ? c->filename : "", c->attached);
}

/* ---- front end side ---- */

void chr_attach(struct chardev *c, const struct chr_frontend *fe)
{
    c->attached = fe != NULL;
    c->fe_blocked = false;
    if (!fe) {
        memset(&c->fe, 0, sizeof c->fe);
        return;
    }
    c->fe = *fe;
    if (c->is_mux_port && c->mux)
        chr_mux_take_focus(c);
    if (c->open && fe->event)
        fe->event(fe->opaque, CHR_EVENT_OPENED);
    c->ops->want_input(c);
}

static void enqueue(struct chardev *c, const uint8_t *buf, size_t len)
{
    if (!c->queue && !(c->queue = malloc(CHR_QUEUE_SIZE)))
        abort();
    size_t tail = (c->queue_head + c->queue_len) % CHR_QUEUE_SIZE;
    size_t first = CHR_QUEUE_SIZE - tail < len ? CHR_QUEUE_SIZE - tail : len;
    memcpy(c->queue + tail, buf, first);
    memcpy(c->queue, buf + first, len - first);
    c->queue_len += len;
}

/* Gives the back end what is queued, as far as it takes it. */
static void drain(struct chardev *c)
{
    while (c->queue_len) {
        size_t run = CHR_QUEUE_SIZE - c->queue_head;
        if (run > c->queue_len)
            run = c->queue_len;
        size_t n = c->ops->write(c, c->queue + c->queue_head, run);
        /* The peer may have gone during the write: chr_backend_event() emptied the queue then. */
        if (!c->queue_len)
            return;
        c->queue_head = (c->queue_head + n) % CHR_QUEUE_SIZE;
        c->queue_len -= n;
        if (n < run)
            return;
    }
}

size_t chr_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    size_t taken = 0;
    if (!c->open)
        return len;
    if (c->queue_len)
        drain(c);
    if (!c->queue_len)
        taken = c->ops->write(c, buf, len);
    if (!c->open)
        return len;
    if (taken < len) {
        size_t room = CHR_QUEUE_SIZE - c->queue_len;
        size_t more = len - taken < room ? len - taken : room;
        if (!c->is_mux_port && more) { /* a port's bytes wait in its base's queue, or not at all */
            enqueue(c, buf + taken, more);
            taken += more;
        }
    }
    if (c->log)
        fwrite(buf, 1, taken, c->log);
    if (taken < len)
        c->fe_blocked = true;
    return taken;
}

void chr_accept_input(struct chardev *c)
{
    c->ops->want_input(c);
}

/* ---- back end side ---- */

size_t chr_backend_room(struct chardev *c)
{
    return c->attached && c->fe.can_receive ? c->fe.can_receive(c->fe.opaque) : 0;
}

void chr_backend_input(struct chardev *c, const uint8_t *buf, size_t len)
{
    if (c->attached && len)
        c->fe.receive(c->fe.opaque, buf, len);
}

void chr_backend_writable(struct chardev *c)
{
    drain(c);
    if (c->fe_blocked && c->queue_len < CHR_QUEUE_SIZE) {
        c->fe_blocked = false;
        if (c->attached && c->fe.writable)
            c->fe.writable(c->fe.opaque);
    }
}

void chr_backend_event(struct chardev *c, enum chr_event e)
{
    if (e == CHR_EVENT_OPENED) {
        c->open = true;
    } else if (e == CHR_EVENT_CLOSED) {
        c->open = false;
        c->queue_len = 0;
    }
    if (c->attached && c->fe.event)
        c->fe.event(c->fe.opaque, e);
    if (e == CHR_EVENT_CLOSED && c->fe_blocked) {
        /* What was refused may go (to nobody) now. */
        c->fe_blocked = false;
        if (c->attached && c->fe.writable)
            c->fe.writable(c->fe.opaque);
    }
}

/* ---- end ---- */

void chr_close(struct chardev *c)
{
    if (!c)
        return;
#ifndef __EMSCRIPTEN__
    /* There, writes complete at once, and nothing may block. */
    for (int ms = 0; c->open && c->queue_len && ms < 1000; ms++) {
        drain(c);
        if (c->queue_len)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
#endif
    struct chardev **link = &c->machine->chardevs;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    c->open = false;
    if (c->mux) {
        if (c->is_mux_port)
            chr_mux_port_closed(c);
        else
            chr_mux_free(c);
    }
    if (c->ops)
        c->ops->close(c);
    if (c->log)
        fclose(c->log);
    free(c->queue);
    free(c->address);
    free(c->filename);
    free(c->label);
    free(c);
}

void chr_close_all(struct machine *m)
{
    /* Ports first: a base frees its mux. */
    for (int ports = 1; ports >= 0; ports--)
        for (struct chardev *c = m->chardevs; c;) {
            struct chardev *next = c->next; // NOLINT: the analyzer misses the unlinking
            if (c->is_mux_port == (bool)ports)
                chr_close(c);
            c = next;
        }
}
