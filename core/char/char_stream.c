/*
 * Back ends over the platform's byte streams: stdio, terminals of a web page (vc), pty, TCP and
 * Unix sockets as client or server.
 *
 * Input is read ahead into a buffer, from which the front end is served the moment it has room: a
 * guest that takes a byte at a time doesn't wait for a turn of the host's loop each. While the
 * buffer holds anything, the stream isn't read.
 *
 * A server has a listener and at most one client at a time; the listener rests while the client is
 * there, so others wait in the system's backlog, and goes on when it leaves. End of input on stdio
 * is not an end: output goes on.
 */
#include "char/char_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "machine.h"

#define PIECES 64 /* that are read in one event */

/* Gives the front end what was read, as far as it has room. It may ask for more from inside. */
static void deliver(struct chardev *c)
{
    if (c->delivering)
        return;
    c->delivering = true;
    while (c->input_len) {
        size_t n = chr_backend_room(c);
        if (!n)
            break;
        n = n < c->input_len ? n : c->input_len;
        const uint8_t *from = c->input + c->input_at;
        c->input_at += n;
        c->input_len -= n;
        chr_backend_input(c, from, n);
    }
    c->delivering = false;
}

static void stream_want_input(struct chardev *c)
{
    deliver(c);
    if (c->stream && !c->input_ended)
        host_stream_want_read(c->stream, !c->input_len && chr_backend_room(c));
}

static void readable(void *opaque)
{
    struct chardev *c = opaque;
    /* A virtio port takes many pieces at a time. */
    for (int i = 0; i < PIECES && !c->input_len && chr_backend_room(c); i++) {
        long n = host_stream_read(c->stream, c->input, sizeof c->input);
        if (n <= 0) {
            c->input_ended = n != -EAGAIN; /* then closed() follows */
            break;
        }
        c->input_at = 0;
        c->input_len = (size_t)n;
        deliver(c);
    }
    stream_want_input(c);
}

static void writable(void *opaque)
{
    chr_backend_writable(opaque);
}

static void name_server(struct chardev *c, bool connected)
{
    chr_set_filename(c, "%s%s,server=on", connected ? "" : "disconnected:", c->address);
}

static void closed(void *opaque)
{
    struct chardev *c = opaque;
    if (c->is_stdio) {
        c->input_ended = true;
        return;
    }
    host_stream_close(c->stream);
    c->stream = NULL;
    if (c->server) {
        name_server(c, false);
        host_stream_want_read(c->listener, true);
    } else if (c->address) {
        chr_set_filename(c, "disconnected:%s", c->address);
    }
    chr_backend_event(c, CHR_EVENT_CLOSED);
}

static const struct host_stream_ops stream_ops = { .readable = readable,
                                                   .writable = writable,
                                                   .closed = closed };

static void connected(void *opaque, struct host_stream *peer)
{
    struct chardev *c = opaque;
    if (c->stream) { /* came in before the listener rested */
        host_stream_close(peer);
        return;
    }
    c->stream = peer;
    c->input_ended = false;
    host_stream_set_ops(peer, &stream_ops, c);
    host_stream_want_read(c->listener, false);
    name_server(c, true);
    bool waited = c->waiting;
    c->waiting = false;
    chr_backend_event(c, CHR_EVENT_OPENED);
    if (waited && !chr_waiting(c->machine) && c->machine->opt && !c->machine->opt->start_paused)
        machine_start(c->machine);
}

static const struct host_stream_ops listen_ops = { .connected = connected };

static size_t stream_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    if (!c->stream)
        return len;
    long n = host_stream_write(c->stream, buf, len);
    if (n >= 0)
        return (size_t)n;
    /* A broken connection takes everything; closed() tells the rest. */
    return n == -EAGAIN ? 0 : len;
}

static void stream_close(struct chardev *c)
{
    host_stream_close(c->stream);
    host_stream_close(c->listener);
}

static const struct chr_backend stream_backend = { stream_write, stream_want_input, stream_close };

static bool open_socket(struct chardev *c, const struct chr_config *cfg, struct error *err)
{
    const char *kind = cfg->kind == CHR_UNIX ? "unix" : "tcp";
    char spec[512];
    if (cfg->kind == CHR_UNIX)
        snprintf(spec, sizeof spec, "%s", cfg->path);
    else
        snprintf(spec, sizeof spec, strchr(cfg->host, ':') ? "[%s]:%s" : "%s:%s", cfg->host,
                 cfg->port);
    struct host_stream *s =
        host_stream_open(kind, spec, cfg->server, cfg->server ? &listen_ops : &stream_ops, c, err);
    if (!s)
        return false;
    const char *name = host_stream_name(s);
    size_t size = strlen(kind) + strlen(spec) + strlen(name) + 2;
    c->address = malloc(size);
    if (!c->address)
        abort();
    /* A server's port may have been 0: its name has the real one. */
    if (cfg->server && !strncmp(name, "tcp:", 4))
        snprintf(c->address, size, "%s", name);
    else
        snprintf(c->address, size, "%s:%s", kind, spec);
    if (cfg->server) {
        c->listener = s;
        c->server = true;
        c->waiting = cfg->wait;
        name_server(c, false);
    } else {
        c->stream = s;
        c->open = true;
        chr_set_filename(c, "%s", c->address);
    }
    return true;
}

bool chr_stream_open(struct chardev *c, const struct chr_config *cfg, struct error *err)
{
    c->ops = &stream_backend;
    switch (cfg->kind) {
    case CHR_STDIO:
        c->stream =
            host_stream_open("stdio", cfg->signal ? "" : "signal=off", false, &stream_ops, c, err);
        c->is_stdio = c->stream != NULL;
        break;
    case CHR_VC: c->stream = host_stream_open("vc", c->label, false, &stream_ops, c, err); break;
    case CHR_PTY:
        c->stream = host_stream_open("pty", "", false, &stream_ops, c, err);
        c->is_pty = true;
        break;
    default: return open_socket(c, cfg, err);
    }
    if (!c->stream)
        return false;
    c->open = true;
    if (c->is_pty) {
        chr_set_filename(c, "pty:%s", host_stream_name(c->stream));
        /* Scripts written for QEMU look for this line. */
        printf("char device redirected to %s (label %s)\n", host_stream_name(c->stream), c->label);
        fflush(stdout);
    } else {
        chr_set_filename(c, cfg->kind == CHR_VC ? "vc" : "stdio");
    }
    return true;
}
