/*
 * Bulk data from a server's socket to a client's, without a copy in the relay's memory.
 */
#ifndef SLIPWAY_RELAY_SPLICE_H
#define SLIPWAY_RELAY_SPLICE_H

#include "relay/connection.h"

struct tcp;
struct splicer;

enum { SPLICE_HEADER_MAX = 8 };

/* What a client's protocol puts around a stream. */
struct splice_framing {
    size_t header;   /* bytes in front of each message's, at most SPLICE_HEADER_MAX */
    size_t most;     /* bytes of the stream in a message */
    uint32_t number; /* of the stream, for: */
    void (*put_header)(uint8_t *out, uint32_t number, size_t len);
};

enum splice_result {
    SPLICE_PASSED, /* *@bytes of the stream went on */
    SPLICE_WAIT,   /* the client's socket is full; the endpoint's writable() comes */
    SPLICE_COPY,   /* not now: read it, and send it by the queue */
};

/* Passes at most @most bytes on. */
enum splice_result splice_stream(struct connection *c, struct tcp *from, size_t most,
                                 const struct splice_framing *framing, size_t *bytes);
void splicer_free(struct splicer *s);

#endif
