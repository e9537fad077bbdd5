/*
 * Listening sockets, and libwebsockets on them: HTTP requests go to http.c, WebSocket connections
 * to connection.c.
 */
#ifndef SLIPWAY_RELAY_SERVER_H
#define SLIPWAY_RELAY_SERVER_H

#include "relay/relay.h"

/* Binds the configured addresses and reads certificates. NULL and @err: can't. */
struct server *server_new(struct relay *relay, struct error *err);
/* Starts to take connections; what comes before waits in the sockets. */
bool server_start(struct server *s, struct error *err);
/* The configuration changed: the directory of static files is opened anew. */
void server_reload(struct server *s);
/* Stops listening; connections go on. */
void server_stop_listening(struct server *s);
/* Closes what is left; the loop has to run until its handles are gone. */
void server_free(struct server *s);

#endif
