/*
 * The resolver: c-ares with its sockets on the loop and one timer for its timeouts. It asks the
 * configured servers, or those of /etc/resolv.conf, and falls back to TCP by itself. That file, and
 * /etc/nsswitch.conf, are looked at once a second: machines move from network to network.
 *
 * A client's message goes out with an id of ours, since two clients may use the same; the answer
 * gets the client's back. c-ares can't cancel one query: a cancelled one is marked and forgotten
 * when its callback comes, which the timeouts bound. Till then it counts: an address may have
 * QUERIES_OF_ONE, all together QUERIES.
 */
#include "relay/resolver.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "relay/address.h"
#include "relay/log.h"
#include "relay/loop.h"

enum {
    TRIES = 3,
    SOCKETS = 64,
    SYSTEM_FILES = 2,
    ADDRESSES = 16,
    /* Queries under way: c-ares looks for a free id of 16 bits for as long as there is none. */
    QUERIES = 8192,
    QUERIES_OF_ONE = 1024,
};

struct resolver {
    struct relay *relay;
    ares_channel channel;
    struct timer *timer;
    struct socket {
        struct resolver *resolver;
        int fd;
        struct watch *watch;
    } sockets[SOCKETS];
    struct stat system[SYSTEM_FILES]; /* as they were read */
    size_t under_way;                 /* queries, cancelled ones too */
    struct table by_asker;            /* how many of them */
    bool ending;
};

struct query {
    struct resolver *resolver;
    query_fn *done;
    lookup_fn *found;
    void *owner;
    uint64_t asker;
    uint8_t id[2];       /* the client's */
    bool starting, over; /* c-ares may call back before it returns */
    bool cancelled;
};

static void schedule(struct resolver *r)
{
    struct timeval buf, *tv = ares_timeout(r->channel, NULL, &buf);
    if (tv)
        timer_start(r->timer, (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000 + 1, 0);
    else
        timer_stop(r->timer);
}

static void timeout(void *owner)
{
    struct resolver *r = owner;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    schedule(r);
}

static void ready(void *owner, int events)
{
    struct socket *s = owner;
    struct resolver *r = s->resolver;
    int fd = s->fd;
    ares_process_fd(r->channel, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
                    events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
    schedule(r);
}

/* c-ares opened a socket, wants to know other things of it, or is about to close it. */
static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = data;
    struct socket *s = NULL;
    for (int i = 0; i < SOCKETS && !s; i++) {
        if (r->sockets[i].watch && r->sockets[i].fd == fd)
            s = &r->sockets[i];
    }
    if (!s && (readable || writable)) {
        for (int i = 0; i < SOCKETS && !s; i++) {
            if (!r->sockets[i].watch)
                s = &r->sockets[i];
        }
        if (!s)
            return; /* its queries time out */
        *s = (struct socket){ .resolver = r, .fd = fd };
        s->watch = watch_new(&r->relay->loop, fd, ready, s);
    }
    if (!s || !s->watch)
        return;
    if (readable || writable) {
        watch_set(s->watch, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0));
    } else {
        watch_free(s->watch);
        s->watch = NULL;
    }
}

static bool set_servers(struct resolver *r, struct error *err)
{
    const struct strings *list = &r->relay->config->nameserver;
    char text[1024] = "";
    size_t n = 0;
    if (!list->n)
        return true;
    for (size_t i = 0; i < list->n && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? "," : "", list->of[i]);
    return ares_set_servers_csv(r->channel, text) == ARES_SUCCESS ||
           error_set(err, "nameserver: '%s': can't be used", text);
}

/* c-ares reads the system's files for new channels only. Queries under way fail: guests ask again.
 */
static bool renew(struct resolver *r, struct error *err)
{
    struct ares_options options = {
        .flags = ARES_FLAG_NOCHECKRESP,
        .timeout =
            (int)(r->relay->config->dns_timeout_s * 1000 / 7 + 1), /* 1 + 2 + 4 parts: 3 tries */
        .tries = TRIES,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = r,
    };
    ares_channel old = r->channel, new;
    if (ares_init_options(&new, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                              ARES_OPT_SOCK_STATE_CB))
        return error_set(err, "c-ares doesn't start");
    r->channel = new;
    bool good = set_servers(r, err);
    if (!good && old)
        r->channel = old;
    if (old)
        ares_destroy(good ? old : new);
    return good;
}

/* Are the system's files others than the last time? */
static bool system_changed(struct resolver *r)
{
    static const char *const names[SYSTEM_FILES] = { "/etc/resolv.conf", "/etc/nsswitch.conf" };
    bool changed = false;
    for (int i = 0; i < SYSTEM_FILES; i++) {
        struct stat now, *then = &r->system[i];
        if (stat(names[i], &now))
            continue; /* as in a root directory of its own */
        changed |= now.st_ino != then->st_ino || now.st_size != then->st_size ||
                   now.st_dev != then->st_dev || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != then->st_mtim.tv_nsec;
        *then = now;
    }
    return changed;
}

void resolver_update(struct resolver *r, bool config)
{
    struct error err;
    if (!system_changed(r) && !config)
        return;
    if (!renew(r, &err))
        log_event(LOG_WARN, "resolver", "error=%s", log_string(err.msg));
    else
        log_event(LOG_INFO, "resolver", "text=\"configured anew\"");
}

struct resolver *resolver_new(struct relay *relay, struct error *err)
{
    struct resolver *r = calloc(1, sizeof *r);
    r->relay = relay;
    system_changed(r);
    r->timer = timer_new(&relay->loop, timeout, r);
    if (ares_library_init(ARES_LIB_INIT_ALL))
        error_set(err, "c-ares doesn't start");
    else if (renew(r, err))
        return r;
    if (r->channel)
        ares_destroy(r->channel);
    timer_free(r->timer);
    free(r);
    return NULL;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    r->ending = true;
    ares_destroy(r->channel);
    timer_free(r->timer);
    free(r);
}

/* ---- queries ---- */

/* NULL: no memory, or too many. */
static struct query *query_new(struct resolver *r, uint64_t asker, void *owner)
{
    struct query *q = NULL;
    if (r->under_way < QUERIES && (uintptr_t)table_get(&r->by_asker, asker) < QUERIES_OF_ONE)
        q = calloc(1, sizeof *q);
    if (!q || !table_count(&r->by_asker, asker, 1)) {
        free(q);
        return NULL;
    }
    r->under_way++;
    q->asker = asker;
    q->resolver = r;
    q->owner = owner;
    q->starting = true;
    r->relay->metrics.queries_total++;
    return q;
}

static struct query *begun(struct query *q)
{
    schedule(q->resolver);
    q->starting = false;
    if (!q->over)
        return q;
    free(q);
    return NULL;
}

static void finish(struct query *q)
{
    q->resolver->under_way--;
    table_count(&q->resolver->by_asker, q->asker, -1);
    q->over = true;
    if (!q->starting)
        free(q);
}

static bool is_wanted(const struct query *q)
{
    return !q->cancelled && !q->resolver->ending;
}

static void answered(void *data, int status, int timeouts, unsigned char *answer, int len)
{
    struct query *q = data;
    if (is_wanted(q)) {
        if (answer && len >= RELAY_DNS_MIN && len <= RELAY_DNS_MAX) {
            memcpy(answer, q->id, 2);
            q->done(q->owner, 0, answer, (size_t)len);
        } else {
            q->done(q->owner, status == ARES_ETIMEOUT ? ETIMEDOUT : EIO, NULL, 0);
        }
    }
    finish(q);
}

struct query *query_send(struct resolver *r, uint64_t asker, const uint8_t *question, size_t len,
                         query_fn *done, void *owner)
{
    uint8_t *copy = malloc(len);
    struct query *q = copy ? query_new(r, asker, owner) : NULL;
    if (!q) {
        free(copy);
        done(owner, EIO, NULL, 0);
        return NULL;
    }
    memcpy(copy, question, len);
    memcpy(q->id, question, 2);
    if (getrandom(copy, 2, 0) != 2)
        log_event(LOG_WARN, "resolver", "text=\"no random id\"");
    q->done = done;
    ares_send(r->channel, copy, (int)len, answered, q);
    free(copy);
    return begun(q);
}

static void found(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
    struct query *q = data;
    struct relay_address list[ADDRESSES];
    size_t n = 0;
    for (struct ares_addrinfo_node *i = info ? info->nodes : NULL; i && n < ADDRESSES;
         i = i->ai_next) {
        struct sockaddr_storage sa = { 0 };
        memcpy(&sa, i->ai_addr, i->ai_addrlen);
        address_from_system(&list[n], &sa);
        n += list[n].family != 0;
    }
    if (info)
        ares_freeaddrinfo(info);
    if (is_wanted(q))
        q->found(q->owner, list, n);
    finish(q);
}

struct query *lookup_host(struct resolver *r, uint64_t asker, const char *name, uint16_t port,
                          lookup_fn *done, void *owner)
{
    struct query *q = query_new(r, asker, owner);
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    char service[8];
    if (!q) {
        done(owner, NULL, 0);
        return NULL;
    }
    hints.ai_flags = ARES_AI_NUMERICSERV;
    snprintf(service, sizeof service, "%u", port);
    q->found = done;
    ares_getaddrinfo(r->channel, name, service, &hints, found, q);
    return begun(q);
}

void query_cancel(struct query *q)
{
    if (q)
        q->cancelled = true;
}
