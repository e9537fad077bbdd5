/*
 * The server. Listening sockets are the relay's own, for three reasons: they are bound before
 * privileges go, a full relay refuses connections before anything is allocated for them, and port 0
 * works. What was accepted is adopted by libwebsockets, which runs on the relay's libuv loop and
 * does TLS, HTTP parsing and WebSocket's handshake; then connection.c takes over.
 *
 * A request is looked at twice: as HTTP, or, before an upgrade is answered, by check_upgrade(),
 * which refuses with a status what is no WebSocket endpoint.
 */
#define _GNU_SOURCE /* accept4 */
#include "relay/server.h"

#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/address.h"
#include "relay/connection.h"
#include "relay/guest.h"
#include "relay/http.h"
#include "relay/log.h"
#include "relay/origin.h"
#include "relay/session.h"

enum {
    BACKLOG = 1024,
    READ_BUFFER = 16 << 10, /* bytes that one read takes of a request */
    FRAME_BUFFER = 128,     /* libwebsockets' own of each connection, which isn't used */
    TX_PACKET = 1 << 20,    /* bytes that one write may have */
    HANDSHAKE_S = 10,       /* for TLS and the headers of a request */
    ACCEPT_PAUSE_MS = 100,  /* out of descriptors: look again then */
    CLOSING_TURNS = 16,
    ACCEPT_AT_ONCE = 64, /* connections accepted in one turn */
};

struct listener {
    struct server *server;
    struct relay_address address;
    int fd;
    uv_poll_t poll;
};

struct server {
    struct relay *relay;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct listener *listeners;
    size_t n_listeners;
    uv_timer_t pause;
    bool tls;
    int root; /* directory of static files, -1: none */
};

/* libwebsockets' memory of a connection. */
struct peer {
    struct http_answer answer;
    struct connection *connection; /* a WebSocket's */
};

static const struct endpoint *const endpoints[] = { &session_endpoint, &wisp_endpoint,
                                                    &ether_endpoint, &qemu_endpoint };

/* ---- upgrades ---- */

static const char *path_of(struct lws *wsi)
{
    static char path[512];
    if (lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) <= 0)
        path[0] = 0;
    return path;
}

/* The endpoint of a path and what follows its name; NULL: none. */
static const struct endpoint *find_endpoint(const struct server *s, const char *path,
                                            const char **rest)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        const struct endpoint *e = endpoints[i];
        size_t len = strlen(e->path);
        bool beginning = e->path[len - 1] == '/';
        if (strncmp(path, e->path, len) || (!beginning && path[len]) ||
            (e->compatibility && !s->relay->config->compatibility))
            continue;
        *rest = path + len;
        return e;
    }
    return NULL;
}

static bool good_origin(const struct server *s, struct lws *wsi)
{
    char origin[512] = "", host[300] = "";
    int origin_len = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN);
    if (origin_len > 0 && lws_hdr_copy(wsi, origin, sizeof origin, WSI_TOKEN_ORIGIN) <= 0)
        return false;
    lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST);
    return origin_allowed(s->relay->config, origin, host, lws_is_ssl(wsi));
}

/* Is the request one that RFC 6455 4.2.1 lets through? 0, or the status. */
static int check_handshake(struct lws *wsi)
{
    char value[32] = "";
    if (lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_VERSION) <= 0 || strcmp(value, "13"))
        return 426;
    if (lws_hdr_copy(wsi, value, sizeof value, WSI_TOKEN_KEY) != 24)
        return 400;
    return lws_hdr_total_length(wsi, WSI_TOKEN_HOST) > 0 ? 0 : 400;
}

/* What LWS_CALLBACK_HTTP_CONFIRM_UPGRADE returns: 0 to go on, -1 to close. */
static int check_upgrade(struct server *s, struct lws *wsi)
{
    const struct config *c = s->relay->config;
    const char *rest;
    const struct endpoint *e = find_endpoint(s, path_of(wsi), &rest);
    int status = e ? check_handshake(wsi) : 404;
    if (!status &&
        (s->relay->stopping || s->relay->metrics.clients >= c->max_clients ||
         connections_of_peer(s->relay, lws_get_socket_fd(wsi)) >= c->max_clients_per_address))
        status = 503;
    if (!status && !e->tells_origin && !good_origin(s, wsi))
        status = 403;
    if (!status)
        return 0;
    s->relay->metrics.clients_refused_total++;
    log_event(LOG_INFO, "refused", "path=%s status=%d", log_string(path_of(wsi)), status);
    http_status(s->relay, wsi, status,
                status == 426 ? "Sec-WebSocket-Version: 13\r\nConnection: close\r\n"
                              : "Connection: close\r\n");
    return -1;
}

static int established(struct server *s, struct lws *wsi, struct peer *p)
{
    const char *rest;
    const struct endpoint *e = find_endpoint(s, path_of(wsi), &rest);
    if (!e)
        return -1;
    struct connection *c = connection_new(s->relay, wsi, e);
    if (!c)
        return -1;
    p->connection = c;
    log_event(LOG_INFO, "connected", "peer=%s path=%s", c->peer, log_string(path_of(wsi)));
    c->owner = e->open(c, rest, good_origin(s, wsi));
    return c->owner || c->closing ? 0 : -1;
}

static void closed(struct peer *p)
{
    struct connection *c = p->connection;
    if (!c)
        return;
    p->connection = NULL;
    if (c->owner)
        c->endpoint->closed(c->owner);
    connection_free(c);
}

/* ---- libwebsockets' callbacks ---- */

static int callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
                    size_t len)
{
    struct peer *p = user;
    struct server *s = lws_context_user(lws_get_context(wsi));
    switch (why) {
    case LWS_CALLBACK_HTTP: return http_request(s->relay, wsi, &p->answer, s->root, in, len);
    case LWS_CALLBACK_HTTP_WRITEABLE: return http_writable(s->relay, wsi, &p->answer);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (p)
            http_closed(&p->answer);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return check_upgrade(s, wsi);
    case LWS_CALLBACK_ESTABLISHED: return established(s, wsi, p);
    case LWS_CALLBACK_SERVER_WRITEABLE: /* nobody else asks for it: connection.c */
        if (p->connection)
            connection_was_early(p->connection);
        return 0;
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return -1; /* connection.c reads, not it */
    case LWS_CALLBACK_CLOSED: closed(p); return 0;
    default: return 0;
    }
}

/* A client that names no subprotocol gets the first. */
#define PROTOCOL(name)                                                                             \
    {                                                                                              \
        name, callback, sizeof(struct peer), FRAME_BUFFER, 0, NULL, TX_PACKET                      \
    }
static const struct lws_protocols protocols[] = {
    PROTOCOL("http"),     PROTOCOL(RELAY_SUBPROTOCOL), PROTOCOL("wisp-v1"),
    PROTOCOL("ethernet"), PROTOCOL("binary"),          { NULL, NULL, 0, 0, 0, NULL, 0 },
};

static void lws_log(int level, const char *line)
{
    size_t len = strcspn(line, "\n");
    log_event(level & LLL_ERR ? LOG_WARN : LOG_DEBUG, "lws", "text=%s", log_text(line, len));
}

static bool make_context(struct server *s, struct error *err)
{
    const struct config *c = s->relay->config;
    void *loops[] = { &s->relay->loop };
    /* It mustn't send pings of its own between our frames, nor miss the answers. */
    static const lws_retry_bo_t no_pings = { .secs_since_valid_hangup = 0 };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES |
                   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
        .foreign_loops = loops,
        .user = s,
        .pt_serv_buf_size = READ_BUFFER,
        .timeout_secs = HANDSHAKE_S,
        .timeout_secs_ah_idle = HANDSHAKE_S,
        .keepalive_timeout = 30,
        .retry_and_idle_policy = &no_pings,
        .max_http_header_pool = 1024,
        .max_http_header_data = 4096,
        .alpn = "http/1.1",
        .vhost_name = "relay",
        .gid = -1,
        .uid = -1,
    };
    if (c->tls_cert) {
        s->tls = true;
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = c->tls_cert;
        info.ssl_private_key_filepath = c->tls_key;
    }
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    s->context = lws_create_context(&info);
    if (!s->context)
        return error_set(err, "libwebsockets doesn't start");
    s->vhost = lws_create_vhost(s->context, &info);
    if (!s->vhost)
        return error_set(err,
                         c->tls_cert ? "tls-cert, tls-key: '%s', '%s': can't be used"
                                     : "libwebsockets doesn't start%s%s",
                         c->tls_cert ? c->tls_cert : "", c->tls_key ? c->tls_key : "");
    return true;
}

/* ---- accepting ---- */

static void accept_some(uv_poll_t *poll, int status, int events);

static void resume_accepting(uv_timer_t *timer)
{
    struct server *s = timer->data;
    for (size_t i = 0; i < s->n_listeners; i++)
        uv_poll_start(&s->listeners[i].poll, UV_READABLE, accept_some);
}

static void pause_accepting(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        uv_poll_stop(&s->listeners[i].poll);
    uv_timer_start(&s->pause, resume_accepting, ACCEPT_PAUSE_MS, 0);
}

/* A client whose network is gone is noticed within about a minute, whatever its protocol. */
static void set_options(int fd)
{
    int on = 1, idle_s = 40, interval_s = 10, probes = 3, unanswered_ms = 60000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

static void accept_some(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    struct server *s = l->server;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                log_event(LOG_WARN, "accept", "error=%s", log_string(strerror(errno)));
                pause_accepting(s);
            }
            return;
        }
        set_options(fd);
        lws_adopt_descriptor_vhost(
            s->vhost, LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | (s->tls ? LWS_ADOPT_ALLOW_SSL : 0),
            (lws_sock_file_fd_type){ .sockfd = fd }, NULL, NULL);
    }
}

static bool bind_listener(struct listener *l, const char *text, struct error *err)
{
    struct sockaddr_storage sa;
    int on = 1;
    if (!endpoint_parse(&l->address, text, err))
        return error_prepend(err, "listen");
    socklen_t len = address_to_system(&l->address, &sa);
    l->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return error_set(err, "listen: %s: %s", text, strerror(errno));
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    address_tune(l->fd, &l->address);
    if (sa.ss_family == AF_INET6)
        setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(l->fd, (struct sockaddr *)&sa, len) || listen(l->fd, BACKLOG) ||
        getsockname(l->fd, (struct sockaddr *)&sa, &len))
        return error_set(err, "listen: %s: %s", text, strerror(errno));
    l->address.port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                                     : ((struct sockaddr_in *)&sa)->sin_port);
    return true;
}

static bool bind_all(struct server *s, struct error *err)
{
    const struct strings *list = &s->relay->config->listen;
    s->listeners = calloc(list->n, sizeof *s->listeners);
    for (size_t i = 0; i < list->n; i++) {
        struct listener *l = &s->listeners[s->n_listeners++];
        l->server = s;
        l->fd = -1;
        if (!bind_listener(l, list->of[i], err))
            return false;
    }
    return true;
}

/* ---- public ---- */

void server_reload(struct server *s)
{
    const char *web = s->relay->config->web;
    if (s->root >= 0)
        close(s->root);
    s->root = web ? open(web, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (web && s->root < 0)
        log_event(LOG_WARN, "web", "directory=%s error=%s", log_string(web),
                  log_string(strerror(errno)));
}

struct server *server_new(struct relay *relay, struct error *err)
{
    struct server *s = calloc(1, sizeof *s);
    s->relay = relay;
    s->root = -1;
    if (relay->config->web) {
        s->root = open(relay->config->web, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->root < 0) {
            error_set(err, "web: '%s': %s", relay->config->web, strerror(errno));
            server_free(s);
            return NULL;
        }
    }
    if (!bind_all(s, err) || !make_context(s, err)) {
        server_free(s);
        return NULL;
    }
    uv_timer_init(&relay->loop, &s->pause);
    s->pause.data = s;
    return s;
}

bool server_start(struct server *s, struct error *err)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];
        if (uv_poll_init(&s->relay->loop, &l->poll, l->fd))
            return error_set(err, "listen: can't be watched");
        l->poll.data = l;
        uv_poll_start(&l->poll, UV_READABLE, accept_some);
        log_event(LOG_INFO, "listen", "address=%s tls=%s", address_text(&l->address),
                  s->tls ? "yes" : "no");
    }
    return true;
}

static void listener_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    close(l->fd);
    l->fd = -1;
}

void server_stop_listening(struct server *s)
{
    uv_timer_stop(&s->pause);
    for (size_t i = 0; i < s->n_listeners; i++) {
        uv_handle_t *handle = (uv_handle_t *)&s->listeners[i].poll;
        if (handle->data && !uv_is_closing(handle))
            uv_close(handle, listener_closed);
    }
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (s->context) {
        server_stop_listening(s);
        if (s->pause.data)
            uv_close((uv_handle_t *)&s->pause, NULL);
        lws_context_destroy(s->context);
        /* Its handles close within a few turns; those of others may stay. */
        for (int i = 0; i < CLOSING_TURNS && uv_run(&s->relay->loop, UV_RUN_NOWAIT); i++) {
        }
        lws_context_destroy(s->context); /* on a loop of somebody else's it takes two */
    }
    for (size_t i = 0; i < s->n_listeners; i++) {
        if (s->listeners[i].fd >= 0)
            close(s->listeners[i].fd);
    }
    if (s->root >= 0)
        close(s->root);
    free(s->listeners);
    free(s);
}
