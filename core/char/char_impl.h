/*
 * Inside of core/char: the struct, and what a back end implements. A back end's write takes what it
 * can at once; the rest waits in the chardev's queue (char.c) until the back end calls
 * chr_backend_writable(). Input: the back end asks chr_backend_room(), delivers at most that with
 * chr_backend_input(), and stops reading while it is 0; want_input() says when to go on.
 */
#ifndef SLIPWAY_CHAR_IMPL_H
#define SLIPWAY_CHAR_IMPL_H

#include <stdio.h>

#include "char/char.h"
#include "options.h"

struct host_stream;
struct mux;

struct chr_backend {
    size_t (*write)(struct chardev *c, const uint8_t *buf, size_t len);
    void (*want_input)(struct chardev *c);
    void (*close)(struct chardev *c);
};

#define CHR_INPUT_SIZE 4096  /* read ahead */
#define CHR_QUEUE_SIZE 65536 /* output that waits for a slow peer */

struct chardev {
    struct chardev *next; /* of the machine's list */
    struct machine *machine;
    char *label;
    char *filename; /* what info chardev shows */
    const struct chr_backend *ops;
    struct chr_frontend fe;
    bool attached;
    bool open;       /* somebody is there to write to */
    bool fe_blocked; /* the front end's last write was short */
    uint8_t *queue;  /* ring of CHR_QUEUE_SIZE, allocated when first needed */
    size_t queue_head, queue_len;
    FILE *log;

    /* stream back ends */
    uint8_t input[CHR_INPUT_SIZE]; /* read from the stream, waiting for the front end */
    size_t input_at, input_len;
    bool delivering;
    struct host_stream *stream, *listener;
    bool is_stdio, is_pty, server, waiting, input_ended;
    char *address; /* "tcp:HOST:PORT" or "unix:PATH" */
    /* file */
    int fd;
    bool file_failed;
    /* A mux is the front end of its chardev; its ports are chardevs of their own. */
    struct mux *mux; /* of the base, or the one this port belongs to */
    bool is_mux_port;
};

/* A back end's description, whichever syntax it came from. */
struct chr_config {
    enum chr_kind { CHR_NULL, CHR_VC, CHR_STDIO, CHR_PTY, CHR_FILE, CHR_TCP, CHR_UNIX } kind;
    char *path, *host, *port;
    bool server, wait, mux, append, signal, monitor;
    char *logfile;
    bool logappend;
};

/* char_parse.c */
bool chr_parse_spec(const char *spec, struct chr_config *cfg, struct error *err);
/* -chardev; *id is malloc'd. */
bool chr_parse_option(const char *optarg, char **id, struct chr_config *cfg, struct error *err);
void chr_config_free(struct chr_config *cfg);

/* Back ends' constructors; they fill an allocated chardev. */
bool chr_stream_open(struct chardev *c, const struct chr_config *cfg, struct error *err);
bool chr_file_open(struct chardev *c, const struct chr_config *cfg, struct error *err);
void chr_null_open(struct chardev *c);
/* A front end was attached to @port: it gets the input. */
void chr_mux_take_focus(struct chardev *port);
void chr_mux_free(struct chardev *base);
void chr_mux_port_closed(struct chardev *port);

/* For back ends. */
struct chardev *chr_alloc(struct machine *m, const char *label);
size_t chr_backend_room(struct chardev *c);
void chr_backend_input(struct chardev *c, const uint8_t *buf, size_t len);
void chr_backend_writable(struct chardev *c);
void chr_backend_event(struct chardev *c, enum chr_event e); /* also keeps c->open */
void chr_set_filename(struct chardev *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
