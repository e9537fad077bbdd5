/*
 * A relay inside the test: the client's WebSocket and clock, and the server's end of the protocol
 * made with relay/protocol.c. Messages that the client sends are parsed and kept; peer_say() sends
 * one to it. Nothing happens by itself: peer_run() flushes the client and has its messages arrive.
 *
 *     struct relay_peer p;
 *     peer_start(&p, "token");           // a client, on its way to a WebSocket
 *     peer_greet(&p);                    // connected, HELLO, WELCOME
 *     const struct relay_message *m = peer_heard(&p, RELAY_OPEN);
 */
#ifndef SLIPWAY_RELAY_PEER_H
#define SLIPWAY_RELAY_PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/relay/client.h"

#define PEER_KEEP   4096
#define PEER_SECOND 1000000000ll

struct relay_peer {
    struct relay_client *client;
    int64_t now, timer;
    unsigned connects;          /* asked for so far */
    unsigned close_code;        /* of the last disconnect(); 0: none */
    bool pending, resumed, bad; /* bad: the client's message wasn't one */
    size_t backlog;
    unsigned batches;
    size_t bytes;
    char log[1000];
    uint8_t session_number;
    struct relay_message heard[PEER_KEEP]; /* what the client said and the test didn't look at */
    uint8_t *kept[PEER_KEEP];              /* the batches that they point into */
    size_t heard_count, kept_count;
};

static inline void peer_connect(void *opaque)
{
    ((struct relay_peer *)opaque)->connects++;
}

static inline void peer_disconnect(void *opaque, unsigned code)
{
    ((struct relay_peer *)opaque)->close_code = code;
}

static inline void peer_take(void *opaque, const uint8_t *batch, size_t len)
{
    struct relay_peer *p = opaque;
    uint8_t *copy = malloc(len);
    size_t used;
    if (!copy || p->kept_count == PEER_KEEP)
        abort();
    memcpy(copy, batch, len);
    p->kept[p->kept_count++] = copy;
    p->batches++;
    p->bytes += len;
    for (size_t at = 0; at < len; at += used) {
        if (p->heard_count == PEER_KEEP)
            abort();
        if (relay_parse(copy + at, len - at, RELAY_CLIENT, &p->heard[p->heard_count], &used)) {
            p->bad = true;
            return;
        }
        p->heard_count++;
    }
}

static inline size_t peer_backlog(void *opaque)
{
    return ((struct relay_peer *)opaque)->backlog;
}

static inline void peer_pending(void *opaque)
{
    ((struct relay_peer *)opaque)->pending = true;
}

static inline void peer_timer(void *opaque, int64_t at)
{
    ((struct relay_peer *)opaque)->timer = at;
}

static inline int64_t peer_now(void *opaque)
{
    return ((struct relay_peer *)opaque)->now;
}

static inline void peer_random(void *opaque, void *buf, size_t len)
{
    (void)opaque;
    memset(buf, 0, len);
}

static inline void peer_log(void *opaque, const char *line)
{
    struct relay_peer *p = opaque;
    size_t len = strlen(p->log);
    snprintf(p->log + len, sizeof p->log - len, "%s\n", line);
}

static const struct relay_client_ops peer_ops = {
    .connect = peer_connect,
    .disconnect = peer_disconnect,
    .send = peer_take,
    .backlog = peer_backlog,
    .pending = peer_pending,
    .timer = peer_timer,
    .now = peer_now,
    .random = peer_random,
    .log = peer_log,
};

/* What came in goes out; as often as that leads to something new. */
static inline void peer_run(struct relay_peer *p)
{
    for (int i = 0; i < 16 && p->pending; i++) {
        p->pending = false;
        relay_client_flush(p->client);
    }
}

/* Time goes on, timers come. */
static inline void peer_sleep(struct relay_peer *p, int64_t ns)
{
    int64_t end = p->now + ns;
    while (p->timer <= end) {
        p->now = p->timer > p->now ? p->timer : p->now;
        p->timer = INT64_MAX;
        relay_client_tick(p->client);
        peer_run(p);
    }
    p->now = end;
}

static inline void peer_forget(struct relay_peer *p)
{
    while (p->kept_count)
        free(p->kept[--p->kept_count]);
    p->heard_count = 0;
}

/* The first message of that type that wasn't looked at; NULL: there is none. It stays until
 * peer_forget(), its number doesn't. */
static inline const struct relay_message *peer_heard(struct relay_peer *p, enum relay_type type)
{
    static struct relay_message found;
    peer_run(p);
    for (size_t i = 0; i < p->heard_count; i++)
        if (p->heard[i].type == type) {
            found = p->heard[i];
            memmove(&p->heard[i], &p->heard[i + 1], (p->heard_count - i - 1) * sizeof p->heard[0]);
            p->heard_count--;
            return &found;
        }
    return NULL;
}

static inline void peer_say(struct relay_peer *p, struct relay_message m)
{
    static uint8_t buf[RELAY_BATCH_MAX];
    size_t len = relay_build(buf, sizeof buf, RELAY_SERVER, &m);
    if (!len)
        abort();
    relay_client_received(p->client, true, buf, len);
    peer_run(p);
}

static inline void peer_start(struct relay_peer *p, const char *token)
{
    memset(p, 0, sizeof *p);
    p->now = PEER_SECOND;
    p->timer = INT64_MAX;
    p->client = relay_client_new(token, &peer_ops, p);
    if (!p->client)
        abort();
    relay_client_start(p->client);
}

static inline void peer_welcome(struct relay_peer *p)
{
    struct relay_message m = { .type = RELAY_WELCOME,
                               .welcome = { .version = 1,
                                            .resumed = p->resumed,
                                            .keepalive_s = 10,
                                            .resume_s = 60,
                                            .max_channels = 100 } };
    memset(m.welcome.session, 0x51, sizeof m.welcome.session);
    memset(m.welcome.key, ++p->session_number, sizeof m.welcome.key);
    peer_say(p, m);
}

static inline void peer_greet(struct relay_peer *p)
{
    relay_client_connected(p->client);
    peer_welcome(p);
}

static inline void peer_end(struct relay_peer *p)
{
    relay_client_free(p->client);
    peer_forget(p);
}

/* Answers the next OPEN of the client; its channel. */
static inline uint32_t peer_opened(struct relay_peer *p, uint16_t error, uint32_t window)
{
    const struct relay_message *m = peer_heard(p, RELAY_OPEN);
    uint32_t channel = m ? m->channel : 0;
    if (!m)
        abort();
    peer_say(p,
             (struct relay_message){ .type = RELAY_OPENED,
                                     .channel = channel,
                                     .opened = { .error = error, .window = error ? 0 : window } });
    return channel;
}

#endif
