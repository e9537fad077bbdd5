/*
 * A relay client (client.c) on a host's WebSocket and clock.
 *
 * What the client wants to send goes out in a bottom half, before the CPU goes on: what a guest
 * sends with one doorbell is one WebSocket message. The links of a machine hang on its struct net.
 */
#include "net/relay/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "host/host.h"
#include "machine.h"
#include "net/net_impl.h"
#include "net/relay/client.h"

struct relay_link {
    struct machine *machine;
    struct relay_link *next;
    unsigned users;
    char *url, *token;
    char *shown; /* the URL as people see it */
    struct relay_client *client;
    struct host_websocket *socket;
    int64_t timer_ns;
    bool flush_pending, failed;
    struct error error; /* failed: why there is no WebSocket */
};

/* ---- the WebSocket ---- */

static void drop_socket(struct relay_link *l, unsigned code)
{
    host_websocket_close(l->socket, code);
    l->socket = NULL;
}

static void on_opened(void *opaque)
{
    relay_client_connected(((struct relay_link *)opaque)->client);
}

static void on_message(void *opaque, bool binary, const uint8_t *data, size_t len)
{
    relay_client_received(((struct relay_link *)opaque)->client, binary, data, len);
}

static void on_closed(void *opaque, unsigned code, const char *why)
{
    struct relay_link *l = opaque;
    char text[200];
    snprintf(text, sizeof text, "%s", why); /* the socket's, which goes */
    drop_socket(l, 1000);
    relay_client_disconnected(l->client, code, text);
}

static const struct host_websocket_ops socket_ops = { on_opened, on_message, on_closed };

/* ---- what the client asks for ---- */

/* Opening failed in the call. */
static void report_failure(void *opaque)
{
    struct relay_link *l = opaque;
    if (!l->failed)
        return;
    l->failed = false;
    relay_client_disconnected(l->client, 1006, l->error.msg);
}

static void connect_socket(void *opaque)
{
    struct relay_link *l = opaque;
    l->socket =
        host_websocket_open(l->url, RELAY_SUBPROTOCOL, RELAY_BATCH_MAX, &socket_ops, l, &l->error);
    if (!l->socket) {
        l->failed = true;
        host_defer(report_failure, l);
    }
}

static void disconnect_socket(void *opaque, unsigned code)
{
    struct relay_link *l = opaque;
    l->failed = false;
    drop_socket(l, code);
}

static void send_batch(void *opaque, const uint8_t *batch, size_t len)
{
    struct relay_link *l = opaque;
    if (l->socket)
        host_websocket_send(l->socket, batch, len);
}

static size_t backlog(void *opaque)
{
    struct relay_link *l = opaque;
    return l->socket ? host_websocket_backlog(l->socket) : 0;
}

static void flush(void *opaque)
{
    struct relay_link *l = opaque;
    l->flush_pending = false;
    relay_client_flush(l->client);
}

static void pending(void *opaque)
{
    struct relay_link *l = opaque;
    if (!l->flush_pending)
        machine_defer(l->machine, flush, l);
    l->flush_pending = true;
}

static void timer_due(void *opaque)
{
    struct relay_link *l = opaque;
    if (host_monotonic_ns() < l->timer_ns)
        return;
    l->timer_ns = INT64_MAX;
    host_every_stop(timer_due, l);
    relay_client_tick(l->client);
}

static void set_timer(void *opaque, int64_t at_ns)
{
    struct relay_link *l = opaque;
    int64_t wait = at_ns - host_monotonic_ns();
    l->timer_ns = at_ns;
    if (at_ns == INT64_MAX)
        host_every_stop(timer_due, l);
    else
        host_every(wait > 1000000 ? wait : 1000000, timer_due, l);
}

static int64_t now(void *opaque)
{
    (void)opaque;
    return host_monotonic_ns();
}

static void random_bytes(void *opaque, void *buf, size_t len)
{
    (void)opaque;
    host_random(buf, len);
}

static void log_line(void *opaque, const char *line)
{
    struct relay_link *l = opaque;
    fprintf(stderr, "slipway: relay %s: %s\n", l->shown, line);
}

static const struct relay_client_ops client_ops = {
    .connect = connect_socket,
    .disconnect = disconnect_socket,
    .send = send_batch,
    .backlog = backlog,
    .pending = pending,
    .timer = set_timer,
    .now = now,
    .random = random_bytes,
    .log = log_line,
};

/* ---- links ---- */

char *relay_url_full(const char *url, const char *path)
{
    const char *host = strstr(url, "://");
    size_t size = strlen(url) + strlen(path) + 1;
    char *full = malloc(size);
    bool bare = host && !host[3 + strcspn(host + 3, "/?#")];
    if (!strcmp(url, "/"))
        url = "", bare = true;
    if (full)
        snprintf(full, size, "%s%s", url, bare ? path : "");
    return full;
}

char *relay_url_shown(const char *url)
{
    const char *host = strstr(url, "://");
    const char *rest = host ? host + 3 : url, *end = rest + strcspn(rest, "?#");
    const char *slash = rest + strcspn(rest, "/?#");
    for (const char *p = rest; p < slash; p++)
        if (*p == '@')
            rest = p + 1;
    size_t size = strlen(url) + 1;
    char *shown = malloc(size);
    if (shown)
        snprintf(shown, size, "%.*s%.*s", host ? (int)(host + 3 - url) : 0, url, (int)(end - rest),
                 rest);
    return shown;
}

static void free_link(struct relay_link *l)
{
    free(l->url);
    free(l->token);
    free(l->shown);
    free(l);
}

static bool token_is_good(const char *token)
{
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++)
        if (token[i] < 0x21 || token[i] > 0x7e)
            return false;
    return len <= RELAY_TOKEN_MAX;
}

struct relay_link *relay_link_get(struct machine *m, const char *url, const char *token,
                                  struct error *err)
{
    struct net *n = net_of(m);
    struct relay_link *l;
    if (!token)
        token = "";
    if (!token_is_good(token)) {
        error_set(err, "token= isn't one: up to %d characters without blanks", RELAY_TOKEN_MAX);
        return NULL;
    }
    char *full = relay_url_full(url, "/slipway");
    for (l = n->relays; l; l = l->next)
        if (full && !strcmp(l->url, full) && !strcmp(l->token, token)) {
            free(full);
            l->users++;
            return l;
        }
    l = calloc(1, sizeof *l);
    if (!l || !full) {
        free(l);
        free(full);
        error_set(err, "out of memory");
        return NULL;
    }
    l->machine = m;
    l->users = 1;
    l->timer_ns = INT64_MAX;
    l->url = full;
    l->token = strdup(token);
    l->shown = relay_url_shown(full);
    l->client = l->token && l->shown ? relay_client_new(token, &client_ops, l) : NULL;
    if (!l->client) {
        error_set(err, "out of memory");
        free_link(l);
        return NULL;
    }
    relay_client_start(l->client);
    if (l->failed) { /* the address, or the platform, can't have it: no use in trying again */
        error_set(err, "relay=%s: %s", l->shown, l->error.msg);
        l->failed = false;
        l->next = n->relays;
        n->relays = l;
        relay_link_put(l);
        return NULL;
    }
    l->next = n->relays;
    n->relays = l;
    return l;
}

static void free_later(void *opaque)
{
    free_link(opaque);
}

void relay_link_put(struct relay_link *l)
{
    struct relay_link **at = &l->machine->net->relays;
    if (--l->users)
        return;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    relay_client_free(l->client);
    drop_socket(l, 1000);
    host_every_stop(timer_due, l);
    machine_cancel_deferred(l->machine, flush, l);
    l->failed = false;
    host_defer(free_later, l); /* report_failure() may be before it */
}

struct relay_client *relay_link_client(struct relay_link *l)
{
    return l->client;
}

void relay_link_describe(const struct relay_link *l, char *buf, size_t len)
{
    snprintf(buf, len, "relay=%s (%s)", l->shown, relay_client_status(l->client));
}

const char *relay_reason(uint16_t error)
{
    switch (error) {
    case RELAY_EPERM: return "not allowed by the token";
    case RELAY_EACCES: return "not allowed by the relay";
    case RELAY_EMFILE: return "too many channels";
    case RELAY_EOPNOTSUPP: return "no such room";
    case RELAY_EADDRINUSE: return "in use";
    case RELAY_EADDRNOTAVAIL: return "not an address of the relay";
    case RELAY_ECONNREFUSED: return "Connection refused";
    case RELAY_ETIMEDOUT: return "no answer";
    case RELAY_ENETUNREACH:
    case RELAY_EHOSTUNREACH: return "unreachable";
    default: return "the relay can't";
    }
}
