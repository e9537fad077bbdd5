/*
 * Character devices: QEMU's chardevs. A front end (serial port, virtio-console, monitor, debug
 * console) attaches to a back end (stdio, file, pty, tcp, null ...). Output goes down with
 * chr_write, which takes what it can and queues the rest up to a bound; input comes up through
 * can_receive/receive, only as much as can_receive allows at that moment: nothing is dropped, the
 * back end stops reading instead.
 */
#ifndef SLIPWAY_CHAR_H
#define SLIPWAY_CHAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;
struct chardev;

enum chr_event {
    CHR_EVENT_OPENED, /* a peer is there (at once on attach, if it is already) */
    CHR_EVENT_CLOSED,
    CHR_EVENT_BREAK,
    CHR_EVENT_MUX_IN,  /* this front end of a mux has the input focus now */
    CHR_EVENT_MUX_OUT, /* it lost the focus */
};

struct chr_frontend {
    size_t (*can_receive)(void *opaque); /* bytes it would take now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, enum chr_event e); /* optional */
    void (*writable)(void *opaque); /* optional: after a short chr_write, there is room again */
    bool monitor;                   /* doesn't take the input focus of a mux when it attaches */
    void *opaque;
};

/* @spec as in -serial: "stdio", "null", "none", "file:PATH", "pty",
 * "tcp:HOST:PORT[,server=on][,wait=off]", "unix:PATH[,server=on][,wait=off]", "mon:stdio", "vc"; or
 * "chardev:ID". @label names it in messages. */
struct chardev *chr_open(struct machine *m, const char *label, const char *spec, struct error *err);
/* -chardev backend,id=ID,...; made before devices refer to it. */
bool chr_add_option(struct machine *m, const char *optarg, struct error *err);
/* The chardev of -chardev id=@id for one more front end (a mux gives each its own port); NULL:
 * unknown. */
struct chardev *chr_find(struct machine *m, const char *id);
const char *chr_label(const struct chardev *c);
/* Connects the front end (copied); NULL detaches it. */
void chr_attach(struct chardev *c, const struct chr_frontend *fe);
/* Returns bytes taken (all of @len unless the queue is full; then writable() follows). Without a
 * peer the bytes are dropped and count as taken. */
size_t chr_write(struct chardev *c, const uint8_t *buf, size_t len);
/* The front end has room again: pull input that waited. */
void chr_accept_input(struct chardev *c);
bool chr_connected(const struct chardev *c);
/* Writes out what is queued (for a second at most) and frees @c. */
void chr_close(struct chardev *c);
/* All chardevs of @m; when the machine is about to go. */
void chr_close_all(struct machine *m);
/* Is there a server with wait=on that no client has come to yet? The machine starts after that. */
bool chr_waiting(struct machine *m);
/* Says on stderr which servers are waited for, from the loop: under Node, only then is it known
 * that they could be opened. */
void chr_report_waiting(struct machine *m);
/* Makes @c a mux: several front ends, Ctrl-A commands; returns a port of it. */
struct chardev *chr_mux_port(struct chardev *c);
/* All front ends are attached: a mux on which only monitors are gives the input to the first. */
void chr_mux_settle(struct machine *m);
/* Is it a port of a mux? Its front end is told with CHR_EVENT_MUX_IN and _OUT when it has the
 * focus. */
bool chr_is_mux_port(const struct chardev *c);
/* "serial0: filename=stdio" lines of info chardev: calls @fn for each. */
void chr_for_each(struct machine *m,
                  void (*fn)(void *opaque, const char *label, const char *filename,
                             bool frontend_open),
                  void *opaque);

#endif
