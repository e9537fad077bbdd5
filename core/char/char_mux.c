/*
 * The mux: several front ends (serial port, monitor) on one chardev, one of which has the input.
 * Ctrl-A is its escape:
 *
 *   Ctrl-A h help    Ctrl-A x exit      Ctrl-A s save disks    Ctrl-A t time stamps on output
 *   Ctrl-A b break   Ctrl-A c next one  Ctrl-A Ctrl-A sends Ctrl-A
 *
 * The mux is the front end of its chardev ("base"); each of its ports is a chardev of its own with
 * port_backend, which is what chr_open() and chr_find() hand out. The port attached last has the
 * focus (but a monitor doesn't take it from a device). Input for a port waits in the port's queue
 * while its front end has no room; when that is full, the mux takes no more, so the sender is
 * slowed down and nothing is lost. Output of all ports goes to the base as it comes.
 */
#include "char/char_impl.h"

#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "machine.h"

#define PORTS       8
#define INPUT_QUEUE 4096
#define ESCAPE      0x01 /* Ctrl-A */

struct mux {
    struct chardev *base;
    struct mux_port {
        struct chardev *chr; /* NULL: free slot */
        uint8_t input[INPUT_QUEUE];
        size_t head, len;
    } ports[PORTS];
    int focus; /* -1: no port */
    bool escaped;
    bool timestamps, line_start;
    int64_t start_ns;
};

static struct mux_port *focused(struct mux *x)
{
    return x->focus >= 0 ? &x->ports[x->focus] : NULL;
}

static struct mux_port *port_of(struct chardev *c)
{
    for (int i = 0; i < PORTS; i++)
        if (c->mux->ports[i].chr == c)
            return &c->mux->ports[i];
    return NULL;
}

static void port_event(struct mux_port *p, enum chr_event e)
{
    if (p && p->chr && p->chr->attached && p->chr->fe.event)
        p->chr->fe.event(p->chr->fe.opaque, e);
}

static void set_focus(struct mux *x, int n)
{
    if (x->focus == n)
        return;
    port_event(focused(x), CHR_EVENT_MUX_OUT);
    x->focus = n;
    port_event(focused(x), CHR_EVENT_MUX_IN);
}

/* To the next port that somebody is attached to; the first one if none has it. */
static void next_focus(struct mux *x)
{
    for (int step = 1; step <= PORTS; step++) {
        int n = (x->focus + step) % PORTS;
        if (x->ports[n].chr && x->ports[n].chr->attached) {
            set_focus(x, n);
            break;
        }
    }
}

/* Gives the port's front end what waits for it, as far as there is room. */
static void deliver(struct mux_port *p)
{
    while (p->chr && p->len) {
        size_t n = chr_backend_room(p->chr), run = INPUT_QUEUE - p->head;
        n = n < p->len ? n : p->len;
        n = n < run ? n : run;
        if (!n)
            return;
        /* Out of the queue first: the front end may ask for more from inside receive(). */
        uint8_t buf[256];
        n = n < sizeof buf ? n : sizeof buf;
        memcpy(buf, p->input + p->head, n);
        p->head = (p->head + n) % INPUT_QUEUE;
        p->len -= n;
        chr_backend_input(p->chr, buf, n);
    }
}

static void say(struct mux *x, const char *text)
{
    chr_write(x->base, (const uint8_t *)text, strlen(text));
}

static void command(struct mux *x, uint8_t c)
{
    switch (c) {
    case 'h':
    case '?':
        say(x, "\r\nC-a h    this help\r\n"
               "C-a x    exit the emulator\r\n"
               "C-a s    save disk data (nothing waits: images are written at once)\r\n"
               "C-a t    time stamps on or off\r\n"
               "C-a b    send break\r\n"
               "C-a c    switch between console and monitor\r\n"
               "C-a C-a  send C-a\r\n");
        break;
    case 'x':
        say(x, "\r\nSlipway: Terminated\r\n");
        machine_request_shutdown(x->base->machine, SHUTDOWN_HOST_QMP_QUIT, 0);
        host_wake();
        break;
    case 's': /* images are written through; there is nothing that waits */ break;
    case 't':
        x->timestamps = !x->timestamps;
        x->start_ns = host_monotonic_ns();
        x->line_start = false;
        break;
    case 'b': port_event(focused(x), CHR_EVENT_BREAK); break;
    case 'c': next_focus(x); break;
    }
}

/* ---- towards the base: the mux is its front end ---- */

static size_t mux_can_receive(void *opaque)
{
    struct mux *x = opaque;
    struct mux_port *p = focused(x);
    /* Without a port, commands still work and the rest has nowhere to go. */
    return p ? INPUT_QUEUE - p->len : INPUT_QUEUE;
}

static void mux_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct mux *x = opaque;
    for (size_t i = 0; i < len; i++) {
        bool literal = x->escaped && buf[i] == ESCAPE;
        if (x->escaped && !literal) {
            x->escaped = false;
            command(x, buf[i]);
            continue;
        }
        x->escaped = buf[i] == ESCAPE && !literal;
        struct mux_port *p = focused(x);
        if (x->escaped || !p)
            continue;
        if (p->len < INPUT_QUEUE) /* after a change of focus in this very buffer it may be full */
            p->input[(p->head + p->len++) % INPUT_QUEUE] = buf[i];
    }
    for (int i = 0; i < PORTS; i++)
        deliver(&x->ports[i]);
}

static void mux_event(void *opaque, enum chr_event e)
{
    struct mux *x = opaque;
    for (int i = 0; i < PORTS; i++) {
        struct mux_port *p = &x->ports[i];
        if (!p->chr)
            continue;
        if (e == CHR_EVENT_BREAK) {
            if (i == x->focus)
                port_event(p, e);
        } else if (e == CHR_EVENT_OPENED || e == CHR_EVENT_CLOSED) {
            chr_backend_event(p->chr, e);
        }
    }
}

static void mux_writable(void *opaque)
{
    struct mux *x = opaque;
    for (int i = 0; i < PORTS; i++)
        if (x->ports[i].chr)
            chr_backend_writable(x->ports[i].chr);
}

/* ---- towards the front ends: each port is a chardev ---- */

/* Output with a stamp before each line. What is stamped is taken, a stamp that doesn't fit is left
 * out. */
static size_t write_stamped(struct mux *x, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        if (x->line_start) {
            int64_t ms = (host_monotonic_ns() - x->start_ns) / 1000000;
            char stamp[64];
            int n =
                snprintf(stamp, sizeof stamp, "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000 % 100),
                         (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
            chr_write(x->base, (const uint8_t *)stamp, (size_t)n);
            x->line_start = false;
        }
        const uint8_t *nl = memchr(buf + done, '\n', len - done);
        size_t part = nl ? (size_t)(nl - buf) + 1 - done : len - done;
        size_t n = chr_write(x->base, buf + done, part);
        done += n;
        if (n < part)
            break;
        x->line_start = nl != NULL;
    }
    return done;
}

static size_t port_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct mux *x = c->mux;
    return x->timestamps ? write_stamped(x, buf, len) : chr_write(x->base, buf, len);
}

static void port_want_input(struct chardev *c)
{
    struct mux *x = c->mux;
    struct mux_port *p = x ? port_of(c) : NULL;
    if (!p)
        return;
    deliver(p);
    if (p == focused(x))
        chr_accept_input(x->base);
}

static void port_close(struct chardev *c)
{
}

static const struct chr_backend port_backend = { port_write, port_want_input, port_close };

struct chardev *chr_mux_port(struct chardev *base)
{
    if (!base->mux) {
        struct mux *x = calloc(1, sizeof *x);
        if (!x)
            abort();
        x->base = base;
        x->focus = -1;
        base->mux = x;
        struct chr_frontend fe = { .can_receive = mux_can_receive,
                                   .receive = mux_receive,
                                   .event = mux_event,
                                   .writable = mux_writable,
                                   .opaque = x };
        chr_attach(base, &fe);
    }
    struct mux *x = base->mux;
    int slot = 0;
    /* A port that nobody attached to is free to have. */
    while (slot < PORTS && x->ports[slot].chr && x->ports[slot].chr->attached)
        slot++;
    if (slot == PORTS)
        return NULL;
    if (!x->ports[slot].chr) {
        struct chardev *c = chr_alloc(base->machine, base->label);
        c->is_mux_port = true;
        c->mux = x;
        c->ops = &port_backend;
        c->open = base->open;
        x->ports[slot].chr = c;
    }
    return x->ports[slot].chr;
}

void chr_mux_take_focus(struct chardev *port)
{
    struct mux_port *p = port_of(port);
    if (p && !port->fe.monitor)
        set_focus(port->mux, (int)(p - port->mux->ports));
}

void chr_mux_settle(struct machine *m)
{
    for (struct chardev *c = m->chardevs; c; c = c->next)
        if (c->mux && !c->is_mux_port && c->mux->focus < 0)
            next_focus(c->mux);
}

void chr_mux_port_closed(struct chardev *port)
{
    struct mux *x = port->mux;
    struct mux_port *p = port_of(port);
    if (!p)
        return;
    if (p == focused(x))
        x->focus = -1;
    memset(p, 0, sizeof *p);
}

void chr_mux_free(struct chardev *base)
{
    for (int i = 0; i < PORTS; i++)
        if (base->mux->ports[i].chr) {
            base->mux->ports[i].chr->mux = NULL;
            base->mux->ports[i].chr->open = false;
        }
    free(base->mux);
    base->mux = NULL;
}
