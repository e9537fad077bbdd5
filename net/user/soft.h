/*
 * Channels (sockets.h) whose bytes and datagrams are in this process, for transports that aren't
 * made of real sockets: a relay, Wisp. What arrives is put in here by the transport; what libslirp
 * asks of any socket (reading, names, readiness) is answered from here.
 */
#ifndef SLIPWAY_USER_SOFT_H
#define SLIPWAY_USER_SOFT_H

#include "net/user/sockets.h"

enum { USER_SOFT_DATAGRAMS = 256, USER_SOFT_CALLERS = 64 };

struct user_soft;
struct user_datagram;

struct user_soft_ops {
    /* @n bytes of a stream were read. Optional. */
    void (*taken)(struct user_soft *s, size_t n);
    /* Would the transport take bytes of that connected stream now? If not, it calls
     * user_soft_notify() when it does. */
    bool (*can_send)(struct user_soft *s);
};

struct user_soft {
    struct user_channel base;
    const struct user_soft_ops *ops;
    int family;
    bool stream, listening, connecting, connected;
    bool end;  /* nothing follows what is there to be read */
    bool deaf; /* what comes is thrown away */
    bool mute; /* our direction was shut */
    int error; /* an errno, for the next one who asks */
    struct sockaddr_storage local, remote;
    uint8_t *in; /* stream: a ring of in_size bytes */
    size_t in_start, in_fill, in_size;
    size_t urgent; /* so many bytes up to the urgent one; 0: there is none */
    struct user_datagram *datagrams, **last;
    unsigned datagram_count;
    struct user_soft *callers, *next_caller; /* connections to be accepted */
    unsigned caller_count;
};

/* @s is zeroed and has its ops. */
void user_soft_init(struct user_soft *s, int family, bool stream);
/* Frees what it holds, not itself; the callers must have been taken out. */
void user_soft_free(struct user_soft *s);

/* ---- for the transport ---- */

/* Something came true that the stack may have asked about. */
void user_soft_notify(struct user_soft *s);
void user_soft_connected(struct user_soft *s);
/* A stream's bytes; the last one may be urgent. False: out of memory. */
bool user_soft_put(struct user_soft *s, const void *data, size_t len, bool urgent);
void user_soft_end(struct user_soft *s);
void user_soft_fail(struct user_soft *s, int error);
/* Dropped if too many wait. */
void user_soft_put_datagram(struct user_soft *s, const struct sockaddr_storage *from,
                            const void *data, size_t len);
/* @caller came for the listening @s; false: too many wait. */
bool user_soft_put_caller(struct user_soft *s, struct user_soft *caller);
struct user_soft *user_soft_take_caller(struct user_soft *s);

/* ---- operations of a transport (sockets.h) ---- */

ssize_t user_soft_recvfrom(struct user_channel *c, void *buf, size_t len, int flags,
                           struct sockaddr *addr, socklen_t *addrlen);
struct user_channel *user_soft_accept(struct user_channel *c, struct sockaddr *addr, socklen_t *len,
                                      int *error);
int user_soft_name(struct user_channel *c, bool peer, struct sockaddr *addr, socklen_t *len);
int user_soft_setsockopt(struct user_channel *c, int level, int name, const void *value,
                         socklen_t len);
int user_soft_getsockopt(struct user_channel *c, int level, int name, void *value, socklen_t *len);
int user_soft_available(struct user_channel *c);
void user_soft_want(struct user_channel *c, unsigned events);
unsigned user_soft_poll(struct user_channel *c);
void user_soft_refresh(struct user_transport *t);

/* ---- addresses ---- */

/* An address of libslirp's; false: it is none of IPv4 or IPv6. */
bool user_soft_address(struct sockaddr_storage *to, const struct sockaddr *addr, socklen_t len);
socklen_t user_soft_address_len(const struct sockaddr_storage *a);
uint16_t user_soft_port(const struct sockaddr_storage *a);
void user_soft_set_port(struct sockaddr_storage *a, uint16_t port);

#endif
