/*
 * The connection to a relay: greeting, keep-alive, coming back (docs/relay-protocol.md, "A
 * connection" and "Coming back"). channel.c has what goes on in the channels.
 *
 *   CONNECTING --connected--> GREETING --WELCOME--> UP
 *       ^  \________________________|_______________/ |
 *       |            disconnected, no sign of life    | FAIL 1-12, 15: no use in coming back
 *       '------------- WAITING <----'                 '--> ENDED
 *
 * Attempts: the first one after a loss is made at once, the next ones after 0.1 s, doubled up to
 * 1 s, and to 5 s after half a minute, each longer by up to a half at random. So a relay that is
 * started again soon has its clients back within 2 s. A connection that lasted for STEADY_NS begins
 * anew.
 * The session is offered as long as the relay keeps it, after that a new one is asked for.
 *
 * Output. Messages are put one behind the other into `out`, a batch. The last one stays open: more
 * of the same kind for the same channel makes it longer. A flush hands the batch to the WebSocket,
 * unless that holds BACKLOG_HIGH bytes already; then a timer looks again, since WebSockets don't
 * say when they have room. Bulk isn't taken meanwhile beyond one batch, so memory is bounded; what
 * the protocol has to say (CREDIT, CLOSE, PONG) always goes, and a relay that makes us say too much
 * without listening is given up.
 *
 * One timer serves all: it is told the earliest time that matters and, when it comes, everything is
 * looked at.
 */
#include "net/relay/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/relay/client_impl.h"

#define SECOND        1000000000ll
#define PATIENCE_NS   (10 * SECOND) /* for a WebSocket, and for WELCOME */
#define STEADY_NS     (2 * SECOND)
#define FIRST_WAIT_NS (SECOND / 10)
#define SOON_WAIT_NS  SECOND /* the longest of the first SOON attempts: half a minute */
#define LAST_WAIT_NS  (5 * SECOND)
#define LOOK_NS       (SECOND / 200) /* at a WebSocket that is full */
#define BACKLOG_HIGH  (1 << 20)
#define BACKLOG_MOST  (16 << 20)
#define SOON          25
#define CLOSE_NORMAL  1000 /* RFC 6455 7.4.1 */
#define CLOSE_OWN     4000

static int64_t now(const struct relay_client *c)
{
    return c->ops->now(c->opaque);
}

static void set_status(struct relay_client *c, const char *what, const char *why)
{
    snprintf(c->status, sizeof c->status, "%s%s%s", what, *why ? ": " : "", why);
}

/* ---- the timer ---- */

static int64_t next_deadline(const struct relay_client *c)
{
    int64_t at = INT64_MAX;
    if (c->state == RELAY_ENDED)
        return at;
    if (c->state == RELAY_UP) {
        int64_t ping = c->sent_ns + c->keepalive_ns, silence = c->received_ns + 2 * c->keepalive_ns;
        at = ping < silence ? ping : silence;
    } else {
        at = c->deadline_ns;
    }
    if (c->stuck && now(c) + LOOK_NS < at)
        at = now(c) + LOOK_NS;
    return at;
}

/* A timer that comes too early only sets itself again, so later is never told. */
static void set_timer(struct relay_client *c)
{
    int64_t at = next_deadline(c);
    if (at < c->timer_ns) {
        c->timer_ns = at;
        c->ops->timer(c->opaque, at);
    }
}

/* ---- output ---- */

void client_ask_flush(struct relay_client *c)
{
    if (!c->asked && !c->stuck) {
        c->asked = true;
        c->ops->pending(c->opaque);
    }
}

static void send_batch(struct relay_client *c)
{
    c->tail_open = false;
    if (!c->out_len)
        return;
    size_t len = c->out_len;
    c->out_len = 0;
    c->sent_ns = now(c);
    c->ops->send(c->opaque, c->out, len);
}

static void break_off(struct relay_client *c, unsigned code, const char *why);

void client_put(struct relay_client *c, const struct relay_message *msg)
{
    c->tail_open = false;
    size_t len = relay_build(c->out + c->out_len, RELAY_BATCH_MAX - c->out_len, RELAY_CLIENT, msg);
    if (!len) {
        send_batch(c);
        len = relay_build(c->out, RELAY_BATCH_MAX, RELAY_CLIENT, msg);
    }
    c->out_len += len;
    client_ask_flush(c);
}

bool client_room(struct relay_client *c, size_t len)
{
    if (c->out_len + len <= RELAY_BATCH_MAX)
        return true;
    if (c->ops->backlog(c->opaque) >= BACKLOG_HIGH) {
        c->stuck = true;
        set_timer(c);
        return false;
    }
    send_batch(c);
    return true;
}

void relay_client_flush(struct relay_client *c)
{
    c->asked = false;
    if (c->state != RELAY_GREETING && c->state != RELAY_UP)
        return;
    size_t backlog = c->out_len ? c->ops->backlog(c->opaque) : 0;
    if (backlog > BACKLOG_MOST) {
        break_off(c, CLOSE_OWN + RELAY_TIMEOUT, "the relay doesn't read");
        return;
    }
    c->stuck = backlog >= BACKLOG_HIGH;
    if (!c->stuck) {
        send_batch(c);
        channels_writable(c);
    }
    set_timer(c);
}

/* ---- attempts ---- */

static void attempt(struct relay_client *c)
{
    c->state = RELAY_CONNECTING;
    c->deadline_ns = now(c) + PATIENCE_NS;
    if (c->has_session && now(c) - c->lost_ns > c->resume_ns)
        c->has_session = false;
    if (!c->reported)
        set_status(c, "connecting", "");
    set_timer(c);
    c->ops->connect(c->opaque);
}

static int64_t next_wait(struct relay_client *c)
{
    int64_t wait = FIRST_WAIT_NS;
    uint32_t chance;
    if (c->attempts++ == 0)
        return 0;
    int64_t longest = c->attempts <= SOON ? SOON_WAIT_NS : LAST_WAIT_NS;
    for (unsigned i = 2; i < c->attempts && wait < longest; i++)
        wait *= 2;
    if (wait > longest)
        wait = longest;
    c->ops->random(c->opaque, &chance, sizeof chance);
    return wait + (int64_t)((uint64_t)chance * (uint64_t)(wait / 2) >> 32);
}

static void forget_output(struct relay_client *c)
{
    c->out_len = 0;
    c->tail_open = c->stuck = false;
}

/* The connection, or the attempt, is over. */
static void connection_over(struct relay_client *c, bool again, const char *why)
{
    bool was_up = c->state == RELAY_UP;
    if (c->state == RELAY_ENDED)
        return;
    if (was_up) {
        c->lost_ns = now(c);
        if (now(c) - c->up_ns >= STEADY_NS)
            c->attempts = 0;
    } else if (c->attempts == 0) {
        c->attempts = 1; /* "at once" is for what was up */
    }
    forget_output(c);
    if (!again) {
        c->state = RELAY_ENDED;
        set_status(c, why, "");
        c->ops->log(c->opaque, c->status);
    } else {
        c->state = RELAY_WAITING;
        c->deadline_ns = now(c) + next_wait(c);
        set_status(c, "not connected", why);
        if (!c->reported)
            c->ops->log(c->opaque, c->status);
        c->reported = true;
    }
    channels_lost(c);
    if (!was_up || !again)
        channels_refused(c, RELAY_ENETUNREACH, !again);
    set_timer(c);
}

static bool worth_another_try(unsigned error)
{
    return error == RELAY_OK || error > RELAY_SUPERSEDED || error == RELAY_LIMIT ||
           error == RELAY_TIMEOUT;
}

/* Ends the connection from our side; comes back. */
static void break_off(struct relay_client *c, unsigned code, const char *why)
{
    c->ops->disconnect(c->opaque, code);
    connection_over(c, true, why);
}

/* The connection ends since the other end broke the rules. */
static void fail(struct relay_client *c, enum relay_error error, const char *text)
{
    char why[STATUS_MAX];
    size_t len = strlen(text);
    if (c->state != RELAY_GREETING && c->state != RELAY_UP)
        return;
    snprintf(why, sizeof why, "%s: %s", relay_error_name(error), text);
    client_put(c, &(struct relay_message){
                      .type = RELAY_FAIL,
                      .fail = { .code = (uint16_t)error,
                                .text = { (const uint8_t *)text,
                                          len < RELAY_TEXT_MAX ? len : RELAY_TEXT_MAX } } });
    send_batch(c);
    c->ops->disconnect(c->opaque, CLOSE_OWN + error);
    connection_over(c, worth_another_try(error), why);
}

void relay_client_connected(struct relay_client *c)
{
    struct relay_message m = { .type = RELAY_HELLO };
    if (c->state != RELAY_CONNECTING)
        return;
    c->state = RELAY_GREETING;
    c->deadline_ns = now(c) + PATIENCE_NS;
    m.hello.version_min = RELAY_VERSION_MIN;
    m.hello.version_max = RELAY_VERSION_MAX;
    m.hello.token = (struct relay_bytes){ (const uint8_t *)c->token, strlen(c->token) };
    if (c->has_session) {
        memcpy(m.hello.session, c->session, sizeof c->session);
        memcpy(m.hello.key, c->key, sizeof c->key);
    }
    client_put(c, &m);
    relay_client_flush(c);
}

void relay_client_disconnected(struct relay_client *c, unsigned code, const char *why)
{
    unsigned error = code > CLOSE_OWN && code < CLOSE_OWN + RELAY_ERRORS ? code - CLOSE_OWN : 0;
    char text[STATUS_MAX];
    if (c->state == RELAY_WAITING || c->state == RELAY_ENDED)
        return;
    if (error)
        snprintf(text, sizeof text, "%s%s%s", relay_error_name(error), *why ? ": " : "", why);
    else if (*why)
        snprintf(text, sizeof text, "%s", why);
    else
        snprintf(text, sizeof text, "%s",
                 c->state == RELAY_CONNECTING ? "can't be reached, or is no relay"
                                              : "the connection was lost");
    connection_over(c, worth_another_try(error), text);
}

/* ---- messages of the connection ---- */

static void welcome(struct relay_client *c, const struct relay_welcome *w)
{
    memcpy(c->session, w->session, sizeof c->session);
    memcpy(c->key, w->key, sizeof c->key);
    c->has_session = true;
    c->keepalive_ns = w->keepalive_s * SECOND;
    c->resume_ns = w->resume_s * SECOND;
    c->max_channels = w->max_channels;
    c->state = RELAY_UP;
    c->up_ns = now(c);
    set_status(c, "connected", "");
    if (c->reported)
        c->ops->log(c->opaque, c->status);
    c->reported = false;
    channels_up(c);
}

static void failed(struct relay_client *c, const struct relay_message *m)
{
    char why[STATUS_MAX];
    snprintf(why, sizeof why, "%s%s%.*s", relay_error_name(m->fail.code),
             m->fail.text.len ? ": " : "", (int)m->fail.text.len,
             m->fail.text.len ? (const char *)m->fail.text.data : "");
    c->ops->disconnect(c->opaque, CLOSE_NORMAL);
    connection_over(c, worth_another_try(m->fail.code), why);
}

static enum relay_error handle(struct relay_client *c, const struct relay_message *m)
{
    if (m->type == RELAY_FAIL) {
        failed(c, m);
        return RELAY_OK;
    }
    if ((c->state == RELAY_GREETING) != (m->type == RELAY_WELCOME))
        return RELAY_UNEXPECTED;
    switch (m->type) {
    case RELAY_WELCOME:
        if (m->welcome.version < RELAY_VERSION_MIN || m->welcome.version > RELAY_VERSION_MAX)
            return RELAY_BAD_VERSION;
        welcome(c, &m->welcome);
        return RELAY_OK;
    case RELAY_PING:
        client_put(c, &(struct relay_message){ .type = RELAY_PONG, .ping = m->ping });
        return RELAY_OK;
    case RELAY_PONG: return RELAY_OK;
    default: return channel_received(c, m);
    }
}

void relay_client_received(struct relay_client *c, bool binary, const uint8_t *data, size_t len)
{
    struct relay_message m;
    size_t used;
    enum relay_error error = binary && len ? RELAY_OK : binary ? RELAY_TRUNCATED : RELAY_MALFORMED;
    if (c->state != RELAY_GREETING && c->state != RELAY_UP)
        return;
    c->received_ns = now(c);
    for (; !error && len; data += used, len -= used) {
        error = len > RELAY_BATCH_MAX ? RELAY_OVERSIZE
                                      : relay_parse(data, len, RELAY_SERVER, &m, &used);
        if (!error)
            error = handle(c, &m);
        if (c->state != RELAY_GREETING && c->state != RELAY_UP)
            return; /* a FAIL, or something that it led to */
    }
    if (error) {
        fail(c, error, "the relay's message is wrong");
        return;
    }
    relay_client_flush(c); /* credit, and answers to what came */
}

void relay_client_tick(struct relay_client *c)
{
    int64_t t = now(c);
    c->timer_ns = INT64_MAX;
    switch (c->state) {
    case RELAY_CONNECTING:
    case RELAY_GREETING:
        if (t >= c->deadline_ns)
            break_off(c, CLOSE_NORMAL, "no answer");
        break;
    case RELAY_WAITING:
        if (t >= c->deadline_ns)
            attempt(c);
        break;
    case RELAY_UP:
        if (t - c->received_ns >= 2 * c->keepalive_ns) {
            break_off(c, CLOSE_OWN + RELAY_TIMEOUT, "no sign of life");
            break;
        }
        if (t - c->sent_ns >= c->keepalive_ns) {
            client_put(c, &(struct relay_message){ .type = RELAY_PING, .ping = (uint64_t)t });
            c->sent_ns = t; /* one is enough, even if it can't go yet */
        }
        relay_client_flush(c);
        break;
    case RELAY_ENDED: break;
    }
    set_timer(c);
}

/* ---- the client ---- */

struct relay_client *relay_client_new(const char *token, const struct relay_client_ops *ops,
                                      void *opaque)
{
    struct relay_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->ops = ops;
    c->opaque = opaque;
    c->token = strdup(token ? token : "");
    c->out = malloc(RELAY_BATCH_MAX);
    c->timer_ns = INT64_MAX;
    c->state = RELAY_WAITING;
    c->deadline_ns = INT64_MAX;
    set_status(c, "connecting", "");
    if (c->token && c->out)
        return c;
    relay_client_free(c);
    return NULL;
}

void relay_client_start(struct relay_client *c)
{
    attempt(c);
}

void relay_client_free(struct relay_client *c)
{
    if (!c)
        return;
    if (c->state == RELAY_UP) {
        client_put(c, &(struct relay_message){ .type = RELAY_BYE });
        send_batch(c);
    }
    if (c->state == RELAY_UP || c->state == RELAY_GREETING || c->state == RELAY_CONNECTING)
        c->ops->disconnect(c->opaque, CLOSE_NORMAL);
    c->state = RELAY_ENDED;
    channels_lost(c); /* those that were only waiting for a CLOSE */
    free(c->token);
    free(c->out);
    free(c);
}

enum relay_state relay_client_state(const struct relay_client *c)
{
    return c->state;
}

const char *relay_client_status(const struct relay_client *c)
{
    return c->status;
}

unsigned relay_client_channels(const struct relay_client *c)
{
    return c->count;
}
