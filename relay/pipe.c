/*
 * A pipe holds references to the pages that bytes came in, a slot each, and a socket takes them
 * from it as they are. What one splice takes is bounded by its slots as well as by bytes, so a
 * sender of tiny packets fills it with few bytes, and no more memory than its slots' pages.
 */
#define _GNU_SOURCE
#include "relay/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void close_pipe(struct pipes *all, struct pipe *p)
{
    close(p->in);
    close(p->out);
    free(p);
    all->n--;
}

struct pipe *pipe_take(struct pipes *all)
{
    struct pipe *p = all->spare;
    int fds[2];
    if (p) {
        all->spare = p->next;
        all->n_spare--;
        return p;
    }
    if (all->n == PIPES_MOST || pipe2(fds, O_NONBLOCK | O_CLOEXEC))
        return NULL;
    p = malloc(sizeof *p);
    if (!p) {
        close(fds[0]);
        close(fds[1]);
        return NULL;
    }
    *p = (struct pipe){ .in = fds[1], .out = fds[0] };
    fcntl(p->in, F_SETPIPE_SZ, PIPE_BYTES); /* if not, it is a shorter one */
    all->n++;
    return p;
}

void pipe_give_back(struct pipes *all, struct pipe *p)
{
    if (!p)
        return;
    if (p->held || all->n_spare == PIPES_SPARE) {
        close_pipe(all, p);
        return;
    }
    p->next = all->spare;
    all->spare = p;
    all->n_spare++;
}

void pipes_free(struct pipes *all)
{
    while (all->spare) {
        struct pipe *p = all->spare;
        all->spare = p->next;
        close_pipe(all, p);
    }
    all->n_spare = 0;
}

static ssize_t result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? PIPE_LATER : PIPE_BROKEN;
}

ssize_t pipe_fill(struct pipe *p, int socket, size_t most)
{
    ssize_t n = result(splice(socket, NULL, p->in, NULL, most, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
    if (n > 0)
        p->held += (size_t)n;
    return n;
}

ssize_t pipe_drain(struct pipe *p, int socket, size_t len, bool more)
{
    unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0);
    ssize_t n = result(splice(p->out, NULL, socket, NULL, len, flags));
    if (n > 0)
        p->held -= (size_t)n;
    return n ? n : PIPE_BROKEN; /* there are as many: 0 can't be */
}
