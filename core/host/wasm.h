/*
 * What the C side of the wasm platform calls in JavaScript. node.js (an Emscripten JavaScript
 * library) hands it on to an object: web/node/host.js under Node, web/worker/host.js in a browser.
 */
#ifndef SLIPWAY_HOST_WASM_H
#define SLIPWAY_HOST_WASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_stream;
struct machine;

/* Modules of translated code; see host.h. */
unsigned slipway_js_jit_support(void);
bool slipway_js_jit_init(void (*const *functions)(void), unsigned count, const void *chain,
                         size_t len, unsigned slot);
bool slipway_js_jit_install(const void *module, size_t len, const void *slots, unsigned count);
unsigned slipway_js_jit_slots(unsigned count);
void slipway_js_jit_clear(unsigned slot, void (*stub)(void));
struct host_dgram;
struct host_address;

struct host_websocket;

/* WebSockets are numbers in JavaScript. Opening gives a number, or 0 and a message in @error. */
int slipway_js_websocket_open(const char *url, const char *protocol, size_t message_max,
                              struct host_websocket *owner, char *error, int error_len);
void slipway_js_websocket_send(int socket, const void *data, size_t len);
size_t slipway_js_websocket_backlog(int socket);
/* No event of it comes any more. */
void slipway_js_websocket_close(int socket, unsigned code);

struct host_broadcast;

/* A number, or 0: there is no BroadcastChannel. */
int slipway_js_broadcast_open(const char *name, size_t message_max, struct host_broadcast *owner);
void slipway_js_broadcast_send(int channel, const void *data, size_t len);
void slipway_js_broadcast_close(int channel);

void slipway_js_start(void); /* begin to call slipway_turn() */
void slipway_js_wake(void);
/* JavaScript reported an event of a socket: slices of the machine get shorter for a while. */
void loop_active(void);
/* The machine that the loop runs; NULL before. */
struct machine *loop_machine(void);
void slipway_js_random(void *buf, size_t len);
/* ms since some time before the start. */
double slipway_js_now(void);

/* Streams are numbers in JavaScript; @owner comes back in slipway_stream_event(). Opening gives a
 * number, or 0 and a message in @error (@error_len bytes). @mode: bits. */
enum { SLIPWAY_JS_LISTEN = 1, SLIPWAY_JS_LATER = 2 };
int slipway_js_open(const char *kind, const char *spec, int mode, struct host_stream *owner,
                    char *error, int error_len);
void slipway_js_set_owner(int stream, struct host_stream *owner);
/* > 0 bytes; 0 end; -1 not now; -2 failed. */
int slipway_js_read(int stream, void *buf, size_t len);
int slipway_js_write(int stream, const void *buf, size_t len);
void slipway_js_want_read(int stream, bool want);
void slipway_js_close(int stream);
/* Where the stream is, as text; after a failure in the background: why. */
void slipway_js_name(int stream, char *buf, int len);

/* Datagram sockets are numbers, too; slipway_js_want_read and slipway_js_close are for both. */
int slipway_js_dgram_open(const char *kind, const char *local, const char *remote,
                          const char *interface, struct host_dgram *owner, char *error,
                          int error_len);
/* Length; -1: nothing there. */
int slipway_js_dgram_recv(int dgram, void *buf, size_t len, struct host_address *from);
/* 0; -1: not now; -2: lost. */
int slipway_js_dgram_send(int dgram, const void *buf, size_t len, const struct host_address *to);
/* @which: 0 where it is bound, 1 what it sends to, 2 why it failed. */
void slipway_js_dgram_name(int dgram, int which, char *buf, int len);

/* Files of the command line (host_prepare): slipway_js_need for each, then slipway_js_prepare.
 * True: they are there; false: slipway_prepared() will be called. */
void slipway_js_need(const char *path, bool whole);
bool slipway_js_prepare(void);

/* Remote files are numbers. Opening gives one, 0: no such file, -1: a message in @error. */
int slipway_js_remote_open(const char *name, double *size, char *error, int error_len);
/* True: done; false: slipway_remote_done(@request, whether it worked) follows. */
bool slipway_js_remote_read(int remote, double offset, void *buf, size_t len, void *request);
void slipway_js_remote_wait(int remote);
void slipway_js_remote_close(int remote);

/* The screen. slipway_js_screen: is there anybody to show it to? slipway_js_present: shows a
 * rectangle of @pixels (R,G,B,A in memory, all of the screen). */
bool slipway_js_screen(void);
void slipway_js_present(const void *pixels, int width, int height, int x, int y, int w, int h);

/* Whether the guest takes positions of the pointer (input_pointer_is_abs) has changed. */
void slipway_js_pointer(bool absolute);

/* Pairs of samples for the page's loudspeakers: left, right, @rate a second. */
void slipway_js_sound(const int16_t *frames, size_t count, unsigned rate);

/* Saved states: pieces of the one being saved, bytes of the one being loaded. False: it failed. */
bool slipway_js_state_write(const void *data, size_t len);
bool slipway_js_state_read(double offset, void *buf, size_t len);

/* A piece of the pcap stream that slipway_capture() asked for. */
void slipway_js_captured(int capture, const void *data, size_t len);

#endif
