/*
 * The sockets of the user-mode network: what libslirp takes for file descriptors are channels of a
 * transport here, known by their numbers. There are three transports: the host's sockets
 * (sockets_native.c; Node's, sockets_wasm.c) and an in-process network (sockets_loopback.c); a
 * relay is one more.
 *
 * A channel never blocks. Its operations return 0 or a count, or -errno, with the meaning of the
 * system call of that name: connect() gives -EINPROGRESS, and later poll() tells USER_OUT; the next
 * sendto(), even of nothing, then gives the error if it failed. recvfrom() gives 0 at the end of a
 * stream. Both directions close separately (shutdown()).
 *
 * Readiness. Before the loop sleeps, the stack says what it wants to know of each channel (want());
 * when something of that comes true, the transport calls transport->ready(), and poll() tells what.
 * Back-pressure: a transport reads no more than a bounded amount ahead of recvfrom(), and sendto()
 * gives -EAGAIN (or a short count) when its buffer is full.
 *
 * A new channel is made on the transport of the stack that runs at that moment (user_enter()):
 * libslirp's socket() has no other way to say it. That, and the table of numbers, are the
 * process's.
 */
#ifndef SLIPWAY_USER_SOCKETS_H
#define SLIPWAY_USER_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "error.h"

struct user_channel;
struct user_transport;

/* The bits of libslirp's SLIRP_POLL_*. */
enum { USER_IN = 1, USER_OUT = 2, USER_PRI = 4, USER_ERR = 8, USER_HUP = 16 };

/* A guest can have so many sockets at a time; then it gets resets and "unreachable". */
#define USER_MAX_CHANNELS 1024

struct user_transport_ops {
    /* type: SOCK_STREAM, SOCK_DGRAM; protocol: 0 or IPPROTO_ICMP. NULL with -errno in *@error. The
     * caller fills the struct's first fields; number is -1, or the one that it wants. */
    struct user_channel *(*open)(struct user_transport *t, int family, int type, int protocol,
                                 int *error);
    int (*bind)(struct user_channel *c, const struct sockaddr *addr, socklen_t len);
    int (*connect)(struct user_channel *c, const struct sockaddr *addr, socklen_t len);
    int (*listen)(struct user_channel *c, int backlog);
    struct user_channel *(*accept)(struct user_channel *c, struct sockaddr *addr, socklen_t *len,
                                   int *error);
    int (*shutdown)(struct user_channel *c, int how);
    /* @addr may be NULL. flags: MSG_OOB. */
    ssize_t (*sendto)(struct user_channel *c, const void *buf, size_t len, int flags,
                      const struct sockaddr *addr, socklen_t addrlen);
    ssize_t (*recvfrom)(struct user_channel *c, void *buf, size_t len, int flags,
                        struct sockaddr *addr, socklen_t *addrlen);
    ssize_t (*recvmsg)(struct user_channel *c, struct msghdr *msg, int flags); /* optional */
    int (*name)(struct user_channel *c, bool peer, struct sockaddr *addr, socklen_t *len);
    int (*setsockopt)(struct user_channel *c, int level, int name, const void *v, socklen_t len);
    int (*getsockopt)(struct user_channel *c, int level, int name, void *v, socklen_t *len);
    int (*available)(struct user_channel *c); /* bytes of the next datagram */
    void (*close)(struct user_channel *c);    /* and frees */
    void (*want)(struct user_channel *c, unsigned events);
    unsigned (*poll)(struct user_channel *c); /* of what is wanted (and ERR, HUP) is true */
    /* Optional: looks for readiness now, not only when the loop sleeps. */
    void (*refresh)(struct user_transport *t);
    /* The first name server of that family; false: there is none. */
    bool (*name_server)(struct user_transport *t, int family, struct sockaddr_storage *addr);
    /* Optional, for programs of guestfwd. As user_socketpair() and user_spawn(), or -errno. */
    int (*pair)(struct user_transport *t, struct user_channel *pair[2]);
    int (*spawn)(struct user_channel *c, char **argv);
    void (*free)(struct user_transport *t);
};

struct user_transport {
    const struct user_transport_ops *ops;
    const char *label; /* of the netdev, for messages */
    void (*ready)(void *opaque);
    void *opaque;
    struct user_channel *channels;
    unsigned count;
};

struct user_channel {
    struct user_transport *transport;
    struct user_channel *next, **prev;
    int number;
    unsigned wanted, wanting; /* told to the transport; being gathered */
};

/* The host's own sockets. @label is kept. */
struct user_transport *user_host_transport_new(const char *label);
/* Has the host any? A browser has none. */
bool user_host_has_sockets(void);
/* HTTP through JavaScript's fetch(), names by DNS over HTTPS, nothing else (web/net/fetch.js).
 * @doh, @proxy: URLs, NULL for the default and none. NULL: @err. */
struct user_transport *user_fetch_transport_new(const char *label, const char *doh,
                                                const char *proxy, struct error *err);
/* A network inside the process (sockets_loopback.c): for tests, and the model of an asynchronous
 * transport. */
struct user_transport *user_loopback_transport_new(const char *label);
void user_transport_free(struct user_transport *t);

/* The transport that new channels belong to; NULL outside of enter and leave. */
struct user_transport *user_current(void);
/* From here to user_leave(), new channels belong to @t. Calls nest; returns what to leave with. */
struct user_transport *user_enter(struct user_transport *t);
void user_leave(struct user_transport *before);

/* user_want() for each channel that matters, between begin and end; the others aren't wanted. */
void user_want_begin(struct user_transport *t);
void user_want(int s, unsigned events);
void user_want_end(struct user_transport *t);
unsigned user_poll(int s);

/* What libslirp calls (redirect.h): as the system calls, with errno. */
int user_socket(int domain, int type, int protocol);
int user_bind(int s, const struct sockaddr *addr, socklen_t len);
int user_connect(int s, const struct sockaddr *addr, socklen_t len);
int user_listen(int s, int backlog);
int user_accept(int s, struct sockaddr *addr, socklen_t *len);
int user_shutdown(int s, int how);
ssize_t user_sendto(int s, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                    socklen_t addrlen);
ssize_t user_recvfrom(int s, void *buf, size_t len, int flags, struct sockaddr *addr,
                      socklen_t *addrlen);
ssize_t user_recvmsg(int s, struct msghdr *msg, int flags);
int user_getsockname(int s, struct sockaddr *addr, socklen_t *len);
int user_getpeername(int s, struct sockaddr *addr, socklen_t *len);
int user_setsockopt(int s, int level, int name, const void *value, socklen_t len);
int user_getsockopt(int s, int level, int name, void *value, socklen_t *len);
int user_available(int s, void *n); /* FIONREAD: int *n */
int user_close(int s);              /* or a file */
/* Two host sockets that are connected with one another, the second for user_spawn(); -1: none. */
int user_socketpair(int s[2]);
/* Runs a program with host socket @s as stdin, stdout and stderr; 0 or errno. */
int user_spawn(int s, char **argv);

#endif
