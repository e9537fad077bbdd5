/*
 * listen channels: a listening socket, whose connections become tcp channels that the relay
 * numbers. A connection is only accepted if the client has a channel left for it; the others wait
 * in the socket's backlog.
 */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "relay/address.h"
#include "relay/channel_tcp.h"
#include "relay/loop.h"

enum { ACCEPTS_AT_ONCE = 16, BACKLOG_MAX = 128, RETRY_MS = 100 };

struct channel_listen {
    struct channel ch;
    int fd;
    struct watch *watch;
    struct timer *retry;
    struct relay_address asked;
};

static void again(void *owner)
{
    struct channel_listen *c = owner;
    if (c->ch.state == CHANNEL_OPEN)
        watch_set(c->watch, UV_READABLE);
}

static void ready(void *owner, int events)
{
    struct channel_listen *c = owner;
    struct session *s = c->ch.session;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage sa = { 0 };
        struct relay_address peer, local;
        socklen_t len = sizeof sa;
        if (s->open >= s->policy->max_channels) {
            watch_set(c->watch, 0);
            timer_start(c->retry, RETRY_MS, 0);
            return;
        }
        int fd = accept4(c->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                watch_set(c->watch, 0);
                timer_start(c->retry, RETRY_MS, 0);
            }
            return;
        }
        s->relay->metrics.tcp_accepted_total++;
        address_from_system(&peer, &sa);
        address_of_socket(&local, fd);
        if (!peer.family || !local.family)
            close(fd);
        else
            channel_tcp_accept(&c->ch, fd, &peer, &local);
    }
}

static int listen_open(struct channel *ch, const struct relay_open *open,
                       struct relay_address *local)
{
    struct channel_listen *c = (struct channel_listen *)ch;
    struct session *s = ch->session;
    struct sockaddr_storage sa;
    socklen_t len = address_to_system(&open->address, &sa);
    int on = 1, error = 0;
    int backlog = open->backlog < BACKLOG_MAX ? open->backlog : BACKLOG_MAX;
    c->fd = -1;
    c->asked = open->address;
    if (!policy_may_bind(s->policy, &open->address))
        return s->expires ? EPERM : EACCES;
    c->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return errno;
    setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    address_tune(c->fd, &open->address);
    if (sa.ss_family == AF_INET6)
        setsockopt(c->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    c->watch = watch_new(&s->relay->loop, c->fd, ready, c);
    c->retry = timer_new(&s->relay->loop, again, c);
    if (bind(c->fd, (struct sockaddr *)&sa, len) || listen(c->fd, backlog ? backlog : 1))
        error = errno;
    else if (!c->watch || !c->retry)
        error = ENOMEM;
    if (error)
        ch->ops->stop(ch, error);
    else
        address_of_socket(local, c->fd);
    return error;
}

static void listen_resume(struct channel *ch)
{
    watch_set(((struct channel_listen *)ch)->watch, UV_READABLE);
}

static bool listen_park(struct channel *ch)
{
    watch_set(((struct channel_listen *)ch)->watch, 0);
    return true;
}

static bool listen_unpark(struct channel *ch, const struct relay_open *open,
                          struct relay_address *local)
{
    struct channel_listen *c = (struct channel_listen *)ch;
    if (!address_same(&c->asked, &open->address))
        return false;
    address_of_socket(local, c->fd);
    return true;
}

static void listen_stop(struct channel *ch, int error)
{
    struct channel_listen *c = (struct channel_listen *)ch;
    watch_free(c->watch);
    timer_free(c->retry);
    c->watch = NULL;
    c->retry = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

const struct channel_ops channel_listen = {
    .size = sizeof(struct channel_listen),
    .open = listen_open,
    .resume = listen_resume,
    .park = listen_park,
    .unpark = listen_unpark,
    .stop = listen_stop,
};
