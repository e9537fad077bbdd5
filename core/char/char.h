/*
 * Character devices: QEMU's chardevs. A front end (serial port, virtio-console, monitor, debug console) attaches to
 * a back end (stdio, file, pty, tcp, null ...). Output goes down with chr_write, which takes what it can and
 * queues the rest up to a bound; input comes up through can_receive/receive, only as much as can_receive allows
 * at that moment: nothing is dropped, the back end stops reading instead.
 */
#ifndef SLIPWAY_CHAR_H
#define SLIPWAY_CHAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;
struct chardev;

enum chr_event { CHR_EVENT_OPENED, CHR_EVENT_CLOSED, CHR_EVENT_BREAK };

struct chr_frontend {
    size_t (*can_receive)(void *opaque); /* bytes it would take now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, enum chr_event e); /* optional */
    void *opaque;
};

/* @spec as in -serial: "stdio", "null", "none", "file:PATH", "pty", "tcp:HOST:PORT[,server=on][,wait=off]",
 * "unix:PATH[,server=on][,wait=off]", "mon:stdio", "vc"; or "chardev:ID". @label names it in messages. */
struct chardev *chr_open(struct machine *m, const char *label, const char *spec, struct error *err);
/* -chardev backend,id=ID,...; made before devices refer to it. */
bool chr_add_option(struct machine *m, const char *optarg, struct error *err);
struct chardev *chr_find(struct machine *m, const char *id);
const char *chr_label(const struct chardev *c);
void chr_attach(struct chardev *c, const struct chr_frontend *fe);
/* Returns bytes taken (all of @len unless the queue is full). */
size_t chr_write(struct chardev *c, const uint8_t *buf, size_t len);
/* The front end has room again: pull input that waited. */
void chr_accept_input(struct chardev *c);
bool chr_connected(const struct chardev *c);
void chr_close(struct chardev *c);

#endif
