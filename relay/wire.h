/*
 * The bytes of a connection after its handshake: a socket, or TLS on it. Nothing waits.
 */
#ifndef SLIPWAY_RELAY_WIRE_H
#define SLIPWAY_RELAY_WIRE_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st;

struct wire {
    int fd;             /* a descriptor of its own, to be watched */
    struct ssl_st *ssl; /* libwebsockets'; NULL: no TLS */
    /* TLS's own business, which may need the other direction than what was asked for. */
    bool read_wants_write, write_wants_read;
    bool ended; /* behind what was read last nothing comes */
};

enum {
    WIRE_LATER = -1,  /* not now */
    WIRE_BROKEN = -2, /* never again */
};

/* Takes the bytes of a connection over from libwebsockets, which mustn't read or write any more but
 * to close it. False: no descriptors. */
bool wire_open(struct wire *w, struct lws *wsi);
void wire_close(struct wire *w);
/* Bytes, 0 at the end, or as above. */
ssize_t wire_read(struct wire *w, void *out, size_t room);
/* Has it more to read already, if only its end, so that no event will tell? */
bool wire_has_more(const struct wire *w);
/* Bytes of the first of these, or as above. @more: more will follow at once, so no short packet is
 * needed now. */
ssize_t wire_write(struct wire *w, const struct iovec *pieces, size_t n, bool more);
/* Nothing more is sent. */
void wire_shutdown(struct wire *w);

#endif
