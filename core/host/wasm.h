/*
 * What the C side of the wasm platform calls in JavaScript. node.js (an Emscripten JavaScript
 * library) implements it for Node.
 */
#ifndef SLIPWAY_HOST_WASM_H
#define SLIPWAY_HOST_WASM_H

#include <stdbool.h>
#include <stddef.h>

struct host_stream;

void slipway_js_start(void); /* begin to call slipway_turn() */
void slipway_js_wake(void);
void slipway_js_random(void *buf, size_t len);

/* Streams are numbers in JavaScript; @owner comes back in slipway_stream_event(). Opening gives a
 * number, or 0 and a message in @error (@error_len bytes). */
int slipway_js_open(const char *kind, const char *spec, bool listen, struct host_stream *owner,
                    char *error, int error_len);
void slipway_js_set_owner(int stream, struct host_stream *owner);
/* > 0 bytes; 0 end; -1 not now; -2 failed. */
int slipway_js_read(int stream, void *buf, size_t len);
int slipway_js_write(int stream, const void *buf, size_t len);
void slipway_js_want_read(int stream, bool want);
void slipway_js_close(int stream);
/* Where the stream is, as text. */
void slipway_js_name(int stream, char *buf, int len);

#endif
