/*
 * Sockets under JavaScript as channels: the sockets themselves are numbers of web/node/sockets.js
 * or, where there are none or the user wants it so, of web/net/fetch.js, reached through node.js
 * beside this file. Its errors are names there and errno here.
 *
 * Neither has ICMP sockets: pings of the outside stay without an answer, which is said once.
 */
#include <arpa/inet.h>
#include <emscripten.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/wasm.h"
#include "net/user/sockets.h"

bool user_js_has_sockets(void);
void user_js_configure_fetch(struct user_transport *owner, const char *doh, const char *proxy,
                             const char *label);
int user_js_open(int family, bool stream, struct user_transport *owner, bool fetch);
int user_js_connect(int s, const char *host, int port);
int user_js_bind(int s, const char *host, int port);
int user_js_listen(int s, bool v6only);
int user_js_accept(int s);
int user_js_shutdown(int s, bool read, bool write);
int user_js_send(int s, const void *buf, size_t len);
int user_js_recv(int s, void *buf, size_t len);
int user_js_sendto(int s, const void *buf, size_t len, const char *host, int port);
int user_js_recvfrom(int s, void *buf, size_t len, char *host, int host_len, int *port);
int user_js_name(int s, bool peer, char *host, int host_len);
void user_js_set_ttl(int s, int ttl);
int user_js_error(int s);
int user_js_available(int s);
void user_js_want(int s, unsigned events);
unsigned user_js_poll(int s);
void user_js_close(int s);
bool user_js_name_server(int family, bool fetch, char *host, int host_len);

struct js_transport {
    struct user_transport base;
    bool fetch, ping_refused;
};

struct js_channel {
    struct user_channel base;
    struct js_transport *owner;
    int js;
    int family;
    bool stream, v6only;
};

static struct js_channel *js_channel(struct user_channel *c)
{
    return (struct js_channel *)c;
}

/* In the order of SlipwaySockets.ERRORS. */
static int result(int n)
{
    static const int errors[] = { EIO,       EAGAIN,       EINPROGRESS, ECONNREFUSED, ECONNRESET,
                                  ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRINUSE,   EADDRNOTAVAIL,
                                  EACCES,    EPIPE,        ENOTCONN,    EMFILE,       EMSGSIZE,
                                  EINVAL,    ECONNABORTED };
    if (n >= 0)
        return n;
    size_t i = (size_t)(-1 - n);
    return i < sizeof errors / sizeof *errors ? -errors[i] : -EIO;
}

/* ---- addresses ---- */

static bool to_text(const struct sockaddr *addr, char text[INET6_ADDRSTRLEN], int *port)
{
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        *port = ntohs(in->sin_port);
        return inet_ntop(AF_INET, &in->sin_addr, text, INET6_ADDRSTRLEN) != NULL;
    }
    if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
        *port = ntohs(in6->sin6_port);
        return inet_ntop(AF_INET6, &in6->sin6_addr, text, INET6_ADDRSTRLEN) != NULL;
    }
    return false;
}

static void from_text(const char *text, int port, struct sockaddr *addr, socklen_t *len)
{
    struct sockaddr_storage s;
    struct sockaddr_in *in = (struct sockaddr_in *)&s;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s;
    socklen_t size = sizeof *in;
    memset(&s, 0, sizeof s);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
    } else {
        char bare[INET6_ADDRSTRLEN];
        snprintf(bare, sizeof bare, "%.*s", (int)strcspn(text, "%"), text);
        inet_pton(AF_INET6, bare, &in6->sin6_addr);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        size = sizeof *in6;
    }
    if (!addr)
        return;
    memcpy(addr, &s, size < *len ? size : *len);
    *len = size;
}

/* ---- operations ---- */

static struct user_channel *wrap(struct js_transport *t, int js, int family, bool stream)
{
    struct js_channel *c = calloc(1, sizeof *c);
    if (!c) {
        user_js_close(js);
        return NULL;
    }
    c->base.number = -1;
    c->owner = t;
    c->js = js;
    c->family = family;
    c->stream = stream;
    return &c->base;
}

static struct user_channel *js_open(struct user_transport *base, int family, int type, int protocol,
                                    int *error)
{
    struct js_transport *t = (struct js_transport *)base;
    if (protocol == IPPROTO_ICMP) {
        if (!t->ping_refused)
            fprintf(stderr,
                    "slipway: warning: netdev '%s': the guest can't ping the outside: there are no "
                    "ICMP sockets here\n",
                    base->label);
        t->ping_refused = true;
        *error = -EPROTONOSUPPORT;
        return NULL;
    }
    *error = -EAFNOSUPPORT;
    if (family != AF_INET && family != AF_INET6)
        return NULL;
    *error = -ENOMEM;
    bool stream = type == SOCK_STREAM;
    return wrap(t, user_js_open(family == AF_INET6 ? 6 : 4, stream, base, t->fetch), family,
                stream);
}

static int js_bind(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    char host[INET6_ADDRSTRLEN];
    int port;
    (void)len;
    if (!to_text(addr, host, &port))
        return -EINVAL;
    return result(user_js_bind(js_channel(c)->js, host, port));
}

static int js_connect(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    char host[INET6_ADDRSTRLEN];
    int port;
    (void)len;
    if (!to_text(addr, host, &port))
        return -EINVAL;
    return result(user_js_connect(js_channel(c)->js, host, port));
}

static int js_listen(struct user_channel *c, int backlog)
{
    (void)backlog;
    return result(user_js_listen(js_channel(c)->js, js_channel(c)->v6only));
}

static int js_name(struct user_channel *c, bool peer, struct sockaddr *addr, socklen_t *len)
{
    char host[64];
    int port = user_js_name(js_channel(c)->js, peer, host, sizeof host);
    if (port < 0)
        return -ENOTCONN;
    from_text(host, port, addr, len);
    return 0;
}

static struct user_channel *js_accept(struct user_channel *c, struct sockaddr *addr, socklen_t *len,
                                      int *error)
{
    struct js_channel *server = js_channel(c);
    int js = result(user_js_accept(server->js));
    *error = js < 0 ? js : -ENOMEM;
    if (js < 0)
        return NULL;
    struct user_channel *client = wrap(server->owner, js, server->family, true);
    if (client && addr)
        js_name(client, true, addr, len);
    return client;
}

static int js_shutdown(struct user_channel *c, int how)
{
    return result(user_js_shutdown(js_channel(c)->js, how != SHUT_WR, how != SHUT_RD));
}

static ssize_t js_sendto(struct user_channel *base, const void *buf, size_t len, int flags,
                         const struct sockaddr *addr, socklen_t addrlen)
{
    struct js_channel *c = js_channel(base);
    char host[INET6_ADDRSTRLEN];
    int port;
    (void)flags, (void)addrlen; /* urgent data goes like any other */
    if (c->stream)
        return result(user_js_send(c->js, buf, len));
    if (!addr || !to_text(addr, host, &port))
        return -EINVAL;
    return result(user_js_sendto(c->js, buf, len, host, port));
}

static ssize_t js_recvfrom(struct user_channel *base, void *buf, size_t len, int flags,
                           struct sockaddr *addr, socklen_t *addrlen)
{
    struct js_channel *c = js_channel(base);
    char host[64] = "";
    int port = 0;
    (void)flags;
    if (c->stream)
        return result(user_js_recv(c->js, buf, len));
    int n = result(user_js_recvfrom(c->js, buf, len, host, sizeof host, &port));
    if (n >= 0)
        from_text(host, port, addr, addrlen);
    return n;
}

static int js_setsockopt(struct user_channel *base, int level, int name, const void *value,
                         socklen_t len)
{
    struct js_channel *c = js_channel(base);
    int n = 0;
    memcpy(&n, value, len < sizeof n ? len : sizeof n);
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        c->v6only = n;
    if ((level == IPPROTO_IP && name == IP_TTL) ||
        (level == IPPROTO_IPV6 && name == IPV6_UNICAST_HOPS))
        user_js_set_ttl(c->js, n);
    return 0;
}

static int js_getsockopt(struct user_channel *c, int level, int name, void *value, socklen_t *len)
{
    int n = 0;
    if (level == SOL_SOCKET && name == SO_ERROR)
        n = -result(user_js_error(js_channel(c)->js));
    memcpy(value, &n, *len < sizeof n ? *len : sizeof n);
    return 0;
}

static int js_available(struct user_channel *c)
{
    return user_js_available(js_channel(c)->js);
}

static void js_close(struct user_channel *c)
{
    user_js_close(js_channel(c)->js);
    free(c);
}

static void js_want(struct user_channel *c, unsigned events)
{
    user_js_want(js_channel(c)->js, events);
}

static unsigned js_poll(struct user_channel *c)
{
    return user_js_poll(js_channel(c)->js);
}

static bool js_name_server(struct user_transport *t, int family, struct sockaddr_storage *addr)
{
    char host[64];
    socklen_t len = sizeof *addr;
    bool fetch = ((struct js_transport *)t)->fetch;
    if (!user_js_name_server(family == AF_INET6 ? 6 : 4, fetch, host, sizeof host))
        return false;
    memset(addr, 0, sizeof *addr);
    from_text(host, 0, (struct sockaddr *)addr, &len);
    return true;
}

/* From JavaScript: a socket that is asked about is ready. */
EMSCRIPTEN_KEEPALIVE void user_socket_ready(struct user_transport *t)
{
    loop_active();
    t->ready(t->opaque);
}

/* Data that came since the last turn waits in JavaScript, level-triggered: poll() knows. */
static void js_refresh(struct user_transport *t)
{
    (void)t;
}

static void js_free(struct user_transport *t)
{
    free(t);
}

static const struct user_transport_ops js_ops = {
    .open = js_open,
    .bind = js_bind,
    .connect = js_connect,
    .listen = js_listen,
    .accept = js_accept,
    .shutdown = js_shutdown,
    .sendto = js_sendto,
    .recvfrom = js_recvfrom,
    .name = js_name,
    .setsockopt = js_setsockopt,
    .getsockopt = js_getsockopt,
    .available = js_available,
    .close = js_close,
    .want = js_want,
    .poll = js_poll,
    .refresh = js_refresh,
    .name_server = js_name_server,
    .free = js_free,
};

struct user_transport *user_host_transport_new(const char *label)
{
    struct js_transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->base.ops = &js_ops;
    t->base.label = label;
    return &t->base;
}

bool user_host_has_sockets(void)
{
    return user_js_has_sockets();
}

struct user_transport *user_fetch_transport_new(const char *label, const char *doh,
                                                const char *proxy, struct error *err)
{
    struct js_transport *t = (struct js_transport *)user_host_transport_new(label);
    if (!t) {
        error_set(err, "out of memory");
        return NULL;
    }
    t->fetch = true;
    user_js_configure_fetch(&t->base, doh ? doh : "", proxy ? proxy : "", label);
    return &t->base;
}
