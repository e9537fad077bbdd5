/*
 * A TCP connection out of the relay (or one that it accepted), without knowing for whom: channels
 * and Wisp streams own these.
 */
#ifndef SLIPWAY_RELAY_TCP_H
#define SLIPWAY_RELAY_TCP_H

#include <sys/uio.h>

#include "relay/relay.h"

struct pipe;
struct tcp;

enum { TCP_GATHER_MOST = 64 };

/* Writes that go to the system together, for the pieces of one socket. */
struct tcp_gather {
    const uint8_t *from, *to; /* bytes that stay as they are until tcp_gather_end() */
    struct tcp *tcp;          /* whose pieces these are */
    size_t n;
    struct iovec pieces[TCP_GATHER_MOST];
};

/* All get the owner. After failed(), and inside of it, tcp_free() is still the owner's to call. */
struct tcp_ops {
    /* It is made, or failed with an errno; outgoing ones only. */
    void (*connected)(void *owner, int error);
    /* tcp_read() has something; called as long as tcp_want_read() is on. */
    void (*readable)(void *owner);
    /* So many bytes of tcp_write() went to the system. */
    void (*written)(void *owner, size_t bytes);
    /* A byte of urgent data came. NULL: not wanted. */
    void (*urgent)(void *owner, uint8_t byte);
    /* It broke, with an errno. */
    void (*failed)(void *owner, int error);
};

/* Begins to connect to @dial, which outbound_check() gave. NULL: *@error. */
struct tcp *tcp_connect(struct relay *relay, const struct relay_address *dial,
                        const struct tcp_ops *ops, void *owner, int *error);
/* Takes over an accepted socket. NULL: no memory, and it is closed. */
struct tcp *tcp_adopt(struct relay *relay, int fd, const struct tcp_ops *ops, void *owner);
void tcp_want_read(struct tcp *t, bool on);
/* Bytes; 0: the other side's end; -1: nothing now; less: -1 - errno.  */
ssize_t tcp_read(struct tcp *t, void *out, size_t room);
/* Do bytes come in so fast that tcp_splice() pays? */
bool tcp_in_bulk(const struct tcp *t);
/* As tcp_read(), into a pipe; but what ends the stream is left to tcp_read(). */
ssize_t tcp_splice(struct tcp *t, struct pipe *pipe, size_t room);
/* Between these tcp_write() doesn't write what lies in @data yet, which mustn't change. */
void tcp_gather_begin(struct relay *relay, const uint8_t *data, size_t len);
void tcp_gather_end(struct relay *relay);
/* Sends, or keeps what can't be sent now. An error is told by failed(), later. */
void tcp_write(struct tcp *t, const void *data, size_t len);
/* One byte, as TCP's urgent data. */
void tcp_write_urgent(struct tcp *t, uint8_t byte);
/* Ends our direction, behind what was written. */
void tcp_shutdown(struct tcp *t);
bool tcp_all_written(const struct tcp *t);
void tcp_local_address(const struct tcp *t, struct relay_address *a);
/* The owner lets go. @reset: at once, with a RST; else what was written is still sent, for a while.
 */
void tcp_free(struct tcp *t, bool reset);

#endif
