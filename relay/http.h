/*
 * HTTP requests that are no WebSocket: static files, /healthz, /metrics.
 */
#ifndef SLIPWAY_RELAY_HTTP_H
#define SLIPWAY_RELAY_HTTP_H

#include <libwebsockets.h>

#include "relay/relay.h"

/* An answer that is being sent, in libwebsockets' memory for the connection; all 0: none. */
struct http_answer {
    bool sending;
    int fd;
    uint64_t at, left;
};

/* libwebsockets' callbacks HTTP, HTTP_WRITEABLE and CLOSED_HTTP; what they return goes back to it.
 * @root: the directory of static files, -1: none. */
int http_request(struct relay *relay, struct lws *wsi, struct http_answer *a, int root,
                 const char *path, size_t len);
int http_writable(struct relay *relay, struct lws *wsi, struct http_answer *a);
void http_closed(struct http_answer *a);

/* A whole answer with a short text, for requests that are refused; @more: NULL or header lines with
 * CRLF. As above. */
int http_status(struct relay *relay, struct lws *wsi, int status, const char *more);

#endif
