/*
 * All that core/ asks of the platform. One implementation per platform: *_native.c (Linux) and
 * *_wasm.c (Emscripten: Node, and the worker of a web page). Nothing else in core/ knows where it
 * runs.
 *
 * The event loop is turned inside out so that the same core serves a process and a worker:
 * machine_run_slice() never blocks; the platform's host_main() calls it, sleeps in poll() or
 * returns to JavaScript's event loop for as long as it says, and delivers stream readiness in
 * between.
 */
#ifndef SLIPWAY_HOST_H
#define SLIPWAY_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;

int64_t host_monotonic_ns(void);
/* Nanoseconds since the Unix epoch. */
int64_t host_realtime_ns(void);
void host_random(void *buf, size_t len);

/* The folder `share` beside the program, where firmware may be; NULL if unknown. */
const char *host_share_dir(void);

/* Are there terminals beside stdio ("vc"): does a page show this PC? */
bool host_has_terminals(void);

/* A byte stream: stdin/stdout, file, pty, socket. Non-blocking. */
struct host_stream;
struct host_stream_ops {
    void (*readable)(void *opaque); /* data or end of file is there; level-triggered if wanted */
    void (*writable)(void *opaque); /* after a short write, when room is there */
    void (*connected)(void *opaque, struct host_stream *peer); /* listening stream: a client came */
    void (*closed)(void *opaque);                              /* peer went away */
    /* host_stream_open_later: it is usable now; or it failed (@error: why), then it is only good to
     * be closed */
    void (*opened)(void *opaque, const char *error);
};
/* kind and @spec: "stdio" ("signal=off": Ctrl-C and friends go to the guest), "vc" (a terminal of
 * the page, by its name; only in a browser), "pty" (""), "tcp"
 * ("HOST:PORT[,ipv4][,ipv6][,to=N][,keep-alive]": only that family; the first free port up to N;
 * an empty HOST is any IPv4 address for a server, and with ",dual" any of both families), "unix"
 * (path), "abstract" and "abstract-padded" (name of an abstract Unix socket, alone or with zeros to
 * the full length), "fd" (number of a socket that the process was given). What the platform can't
 * do is an error. @listen: server side. host_stream_name then tells where it is (pty path, bound
 * port; of a client that came, where from). A client waits until it is connected. */
struct host_stream *host_stream_open(const char *kind, const char *spec, bool listen,
                                     const struct host_stream_ops *ops, void *opaque,
                                     struct error *err);
/* The same for a PC that is running already: connects in the background, and ops->opened follows in
 * any case unless NULL was returned. */
struct host_stream *host_stream_open_later(const char *kind, const char *spec, bool listen,
                                           const struct host_stream_ops *ops, void *opaque,
                                           struct error *err);
void host_stream_set_ops(struct host_stream *s, const struct host_stream_ops *ops, void *opaque);
/* > 0 bytes; 0 end of file; -EAGAIN nothing now; -errno. */
long host_stream_read(struct host_stream *s, void *buf, size_t len);
long host_stream_write(struct host_stream *s, const void *buf, size_t len);
/* Stop and restart readable() calls (back-pressure). */
void host_stream_want_read(struct host_stream *s, bool want);
const char *host_stream_name(const struct host_stream *s);
void host_stream_close(struct host_stream *s);

/* A datagram socket. Non-blocking. */
struct host_dgram;
struct host_dgram_ops {
    void (*readable)(void *opaque); /* something came; level-triggered while it is wanted */
    void (*writable)(void *opaque); /* after -EAGAIN from sending */
    /* It doesn't work after all (JavaScript binds in the background): only good to be closed. */
    void (*failed)(void *opaque, const char *error);
};
struct host_dgram_options {
    const char *kind;      /* "udp", "unix", "fd" (platforms may lack the last two) */
    const char *local;     /* "HOST:PORT" (empty: any), a path (a socket file that is there is
                              replaced), the number of a descriptor; NULL: any */
    const char *remote;    /* "HOST:PORT" or a path; NULL: none. A multicast group (IPv4) is joined,
                              local is its address then, and others on this host receive, too */
    const char *interface; /* multicast: IPv4 address of the interface; NULL: the system's choice */
};
struct host_address {
    bool ipv6;
    uint8_t ip[16]; /* the first 4 for IPv4 */
    uint16_t port;
};
struct host_dgram *host_dgram_open(const struct host_dgram_options *o,
                                   const struct host_dgram_ops *ops, void *opaque,
                                   struct error *err);
/* One datagram, cut off to @len bytes: its length >= 0, or -EAGAIN: nothing there. @from (may be
 * NULL) is only set for "udp". */
long host_dgram_recv(struct host_dgram *d, void *buf, size_t len, struct host_address *from);
/* To @to, or to the remote if that is NULL. 0; -EAGAIN: no room, writable() follows; -errno: it is
 * lost. */
int host_dgram_send(struct host_dgram *d, const void *buf, size_t len,
                    const struct host_address *to);
void host_dgram_want_read(struct host_dgram *d, bool want);
/* Where it is bound and what it sends to, as text: "127.0.0.1:4001", a path, "". */
const char *host_dgram_local(const struct host_dgram *d);
const char *host_dgram_remote(const struct host_dgram *d);
void host_dgram_close(struct host_dgram *d);

/* The client's end of a WebSocket (RFC 6455). Opens in the background; closed() is the last call,
 * also if it can't be opened, and leaves it only good to be closed. @why: for people, may be empty.
 * Messages are binary or text. */
struct host_websocket;
struct host_websocket_ops {
    void (*opened)(void *opaque);
    void (*message)(void *opaque, bool binary, const uint8_t *data, size_t len);
    void (*closed)(void *opaque, unsigned code, const char *why);
};
/* @url: ws: or wss: (http: and https: mean the same; in a browser it may be relative to the page).
 * @protocol: Sec-WebSocket-Protocol; "" for none. @message_max: the longest message that is taken.
 */
struct host_websocket *host_websocket_open(const char *url, const char *protocol,
                                           size_t message_max, const struct host_websocket_ops *ops,
                                           void *opaque, struct error *err);
/* A binary message; dropped if it isn't open. */
void host_websocket_send(struct host_websocket *w, const void *data, size_t len);
/* Bytes that were sent and are still in memory. */
size_t host_websocket_backlog(const struct host_websocket *w);
/* @code: 1000 or 3000 to 4999. What was sent still goes out. */
void host_websocket_close(struct host_websocket *w, unsigned code);

/* A channel between all pages and workers of one web site (BroadcastChannel); under Node between
 * the threads of the process. Messages go to all others that opened the same name, none comes back.
 */
struct host_broadcast;
struct host_broadcast *host_broadcast_open(const char *name, size_t message_max,
                                           void (*message)(void *opaque, const uint8_t *data,
                                                           size_t len),
                                           void *opaque, struct error *err);
void host_broadcast_send(struct host_broadcast *b, const void *data, size_t len);
void host_broadcast_close(struct host_broadcast *b);

/* Translated code (core/jit-wasm): WebAssembly modules made at run time. host_jit_support: what the
 * engine can do, 0 where there is none. host_jit_init: @functions are what modules
 * import as "0", "1", ...; @chain, if it isn't empty, a module whose
 * function "0" is the first of them instead and whose function "1" goes into table slot @slot.
 * host_jit_install: compiles and instantiates a module; its functions "0", "1" ... go into table
 * slots @slots. host_jit_took_long: the machine looks at the time before it runs on, and perhaps
 * makes more code; installing implies it. host_jit_slots: @count new table slots, the first of
 * them; 0: none. host_jit_clear: puts @stub into a slot. */
enum { HOST_JIT = 1, HOST_JIT_TAIL_CALLS = 2 };
unsigned host_jit_support(void);
bool host_jit_init(void (*const *functions)(void), unsigned count, const uint8_t *chain, size_t len,
                   uint32_t slot);
bool host_jit_install(const uint8_t *module, size_t len, const uint32_t *slots, unsigned count);
void host_jit_took_long(void);
uint32_t host_jit_slots(uint32_t count);
void host_jit_clear(uint32_t slot, void (*stub)(void));

/* Files that the command line names. host_prepare: makes them available, then calls @then(@opaque),
 * once, and returns what it gives: at once natively and under Node. In a browser they are
 * downloaded before (@whole: all of it, for fopen(); otherwise only looked at, for
 * host_remote_open), and the call doesn't return; if one can't be had, that is said, and the
 * program ends. */
struct host_need {
    const char *path;
    bool whole;
};
int host_prepare(const struct host_need *needs, size_t count, int (*then)(void *opaque),
                 void *opaque);

/* A file that isn't here: in a browser, behind a URL or in the user's hands. Read-only, read in the
 * background. host_remote_open: NULL with an empty @err if @name is no such file (natively and
 * under Node: always). host_remote_read: @done(@opaque, 0 or -errno) follows, perhaps from within
 * the call; @buf stays valid until then. host_remote_wait: blocks until nothing is out.
 * host_remote_close: what is out never completes. */
struct host_remote;
typedef void host_remote_fn(void *opaque, int ret);
struct host_remote *host_remote_open(const char *name, uint64_t *size, struct error *err);
void host_remote_read(struct host_remote *r, uint64_t offset, void *buf, size_t len,
                      host_remote_fn *done, void *opaque);
void host_remote_wait(struct host_remote *r);
void host_remote_close(struct host_remote *r);

/* Asks the loop to come back at once (from a signal handler, or when work was queued). */
void host_wake(void);
/* Calls @fn once from the loop, outside any slice. */
void host_defer(void (*fn)(void *opaque), void *opaque);

/* Calls @fn about every @period_ns of real time, outside any slice, until host_every_stop with the
 * same @fn and @opaque (screen refresh). A second call changes the period. */
void host_every(int64_t period_ns, void (*fn)(void *opaque), void *opaque);
void host_every_stop(void (*fn)(void *opaque), void *opaque);

/* Runs @m until it quits; returns the exit status (native), or sets up the loop and returns (wasm).
 */
int host_main(struct machine *m);

#endif
