/*
 * Pipes of the system's, by which bytes go from one socket to another without passing through the
 * relay's memory (splice(2)). There are few: who gets none copies.
 */
#ifndef SLIPWAY_RELAY_PIPE_H
#define SLIPWAY_RELAY_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    PIPE_BYTES = 1 << 20, /* that one takes at most: what anybody may ask of Linux */
    PIPES_MOST = 32,      /* at a time; of a user's 64 MiB of pipes half (pipe(7)) */
    PIPES_SPARE = 4,      /* that are kept for the next */
    /* Instead of bytes: */
    PIPE_LATER = -1,  /* not now */
    PIPE_BROKEN = -2, /* an error of the socket */
};

struct pipe {
    struct pipe *next;
    int in, out;
    size_t held; /* bytes in it */
};

/* All there are; all 0 at the beginning. */
struct pipes {
    struct pipe *spare;
    unsigned n_spare, n; /* of them, and with those that are in use */
};

/* An empty one, or NULL. */
struct pipe *pipe_take(struct pipes *all);
/* It isn't needed any more, nor what is in it. */
void pipe_give_back(struct pipes *all, struct pipe *p);
void pipes_free(struct pipes *all);
/* Takes up to @most bytes off the socket: their number, or as above with errno; 0: its end, or
 * something that only recv() tells. */
ssize_t pipe_fill(struct pipe *p, int socket, size_t most);
/* Gives the socket up to @len of the bytes: their number, or as above. @more: more will follow at
 * once, so no short packet is needed now. */
ssize_t pipe_drain(struct pipe *p, int socket, size_t len, bool more);

#endif
