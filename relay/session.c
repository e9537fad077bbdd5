/*
 * Sessions. A connection of /slipway begins with a session of its own, in HELLO. When HELLO names a
 * session that waits (or whose connection is half dead), the new connection moves over to that one
 * and the session that it came with goes.
 *
 *   HELLO --WELCOME--> UP --connection breaks--> WAITING --HELLO with the key--> UP
 *     |                 |                           |
 *     '-- FAIL, 10 s    '-- FAIL, BYE               '-- `resume` seconds
 *
 * What comes in is parsed as soon as a message is complete; an incomplete one waits in `in`, but
 * for DATA, whose bytes go on at once. So a client holds 256 KiB of half a message here at most,
 * whatever its batches are.
 *
 * Every session is in the list relay->sessions, those with an id in the table relay->by_id too.
 */
#include "relay/session.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "relay/channel.h"
#include "relay/log.h"
#include "relay/tcp.h"
#include "relay/token.h"

enum {
    HELLO_S = 10,
    PARKED_MS = 10000, /* after a return: what wasn't asked for by then is freed */
};

static uint64_t now_ms(const struct session *s)
{
    return uv_now(&s->relay->loop);
}

static uint64_t id_key(const uint8_t *id)
{
    uint64_t key;
    memcpy(&key, id, sizeof key);
    return key;
}

static void random_bytes(uint8_t *out)
{
    while (getrandom(out, RELAY_SESSION, 0) != RELAY_SESSION) {
    }
}

/* ---- sending ---- */

static void put_header(uint8_t *p, unsigned type, uint32_t channel, size_t len)
{
    p[0] = (uint8_t)type;
    for (int i = 0; i < 3; i++)
        p[1 + i] = (uint8_t)(len >> (16 - 8 * i));
    for (int i = 0; i < 4; i++)
        p[4 + i] = (uint8_t)(channel >> (24 - 8 * i));
}

uint8_t *session_stream_piece(struct session *s)
{
    uint8_t *p = s->connection && !s->connection->closing ? connection_piece(s->connection) : NULL;
    return p ? p + RELAY_HEADER : NULL;
}

void session_send_stream_piece(struct session *s, uint32_t channel, size_t len)
{
    struct connection *c = s->connection;
    put_header(connection_piece(c), RELAY_DATA, channel, len);
    if (connection_send_piece(c, RELAY_HEADER + len, true) && c->tail && !c->tail->header)
        c->tail->last = c->tail->len - RELAY_HEADER - len;
    s->sent_ms = now_ms(s);
}

bool session_splice_stream(struct session *s, uint32_t channel, struct tcp *t, size_t room,
                           ssize_t *n)
{
    struct connection *c = s->connection;
    uint8_t header[RELAY_HEADER];
    size_t most, part;
    struct pipe *pipe = connection_pipe(c, &most);
    if (!pipe)
        return false;
    *n = tcp_splice(t, pipe, room < most ? room : most);
    for (size_t left = *n > 0 ? (size_t)*n : 0; left; left -= part) {
        part = left < RELAY_BODY_MAX ? left : RELAY_BODY_MAX;
        put_header(header, RELAY_DATA, channel, part);
        if (!connection_send_piped(c, header, sizeof header, part))
            return true;
    }
    connection_push(c);
    s->sent_ms = now_ms(s);
    return true;
}

void session_send(struct session *s, const struct relay_message *m)
{
    /* The longest that isn't sent with one of the others is an ANSWER. */
    size_t most = RELAY_HEADER + 512 + (m->type == RELAY_ANSWER ? m->query.dns.len : 0);
    uint8_t *p = s->connection ? connection_reserve(s->connection, most, true) : NULL;
    if (!p)
        return;
    size_t len = relay_build(p, most, RELAY_SERVER, m);
    s->connection->tail->last = s->connection->tail->len;
    connection_commit(s->connection, len);
    s->sent_ms = now_ms(s);
}

/* Room for @len more bytes of a batch: behind the last message, or of a new one. */
static uint8_t *extend(struct session *s, enum relay_type type, uint32_t channel, size_t len)
{
    struct connection *c = s->connection;
    uint8_t header[RELAY_HEADER], *p;
    struct outgoing *o;
    if (!c)
        return NULL;
    o = c->tail;
    put_header(header, type, channel, 0);
    if (o && o->last != SIZE_MAX) {
        uint8_t *last = o->data + CONNECTION_FRONT + o->last;
        size_t body = o->len - o->last - RELAY_HEADER + len;
        if (last[0] == header[0] && !memcmp(last + 4, header + 4, 4) && body <= RELAY_BODY_MAX &&
            (p = connection_reserve(c, len, true))) {
            if (c->tail->len) { /* it may have moved, but it is the same message */
                put_header(c->tail->data + CONNECTION_FRONT + c->tail->last, type, channel, body);
                connection_commit(c, len);
                return p;
            }
        }
    }
    p = connection_reserve(c, RELAY_HEADER + len, true);
    if (!p)
        return NULL;
    put_header(p, type, channel, len);
    c->tail->last = c->tail->len;
    connection_commit(c, RELAY_HEADER + len);
    s->sent_ms = now_ms(s);
    return p + RELAY_HEADER;
}

bool session_send_frame(struct session *s, uint32_t channel, const uint8_t *frame, size_t len)
{
    uint8_t *p = extend(s, RELAY_FRAMES, channel, 4 + len);
    if (!p)
        return false;
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(len >> (24 - 8 * i));
    memcpy(p + 4, frame, len);
    return true;
}

bool session_send_dgram(struct session *s, uint32_t channel, const struct relay_address *from,
                        const uint8_t *data, size_t len)
{
    uint8_t *p = extend(s, RELAY_DGRAMS, channel, 4 + RELAY_ADDRESS + len);
    if (!p)
        return false;
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(len >> (24 - 8 * i));
    p[4] = from->family;
    p[5] = 0;
    p[6] = (uint8_t)(from->port >> 8);
    p[7] = (uint8_t)from->port;
    memcpy(p + 8, from->ip, 16);
    memcpy(p + 4 + RELAY_ADDRESS, data, len);
    return true;
}

/* ---- memory ---- */

uint32_t session_reserve(struct session *s, uint32_t least, uint32_t want)
{
    uint64_t left = s->policy->memory > s->memory ? s->policy->memory - s->memory : 0;
    uint64_t all = s->relay->reserved;
    uint64_t left_of_all =
        s->relay->config->max_memory > all ? s->relay->config->max_memory - all : 0;
    if (left_of_all < left)
        left = left_of_all;
    /* One channel takes an eighth of what is left: there is always some for one more. */
    uint64_t give = left / 8 < want ? left / 8 : want;
    if (give < least)
        give = least;
    if (give > left)
        return 0;
    s->memory += give;
    s->relay->reserved += give;
    return (uint32_t)give;
}

void session_unreserve(struct session *s, uint32_t bytes)
{
    s->memory -= bytes;
    s->relay->reserved -= bytes;
}

/* ---- life ---- */

static struct session *session_new(struct relay *relay, struct connection *c)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->relay = relay;
    s->connection = c;
    s->next_number = RELAY_CHANNEL_SERVER;
    s->received_ms = s->sent_ms = s->state_ms = uv_now(&relay->loop);
    s->next = relay->sessions;
    if (s->next)
        s->next->previous = s;
    relay->sessions = s;
    relay->metrics.sessions++;
    return s;
}

static void session_free(struct session *s)
{
    struct relay *relay = s->relay;
    channels_park(s, false);
    if (table_get(&relay->by_id, id_key(s->id)) == s)
        table_remove(&relay->by_id, id_key(s->id));
    if (s->previous)
        s->previous->next = s->next;
    else
        relay->sessions = s->next;
    if (s->next)
        s->next->previous = s->previous;
    relay->metrics.sessions--;
    buffer_free(&s->in);
    policy_unref(s->policy);
    free(s);
}

/* Parts session and connection; whoever calls this ends the connection. */
static void detach(struct session *s)
{
    if (s->connection) {
        s->connection->owner = NULL;
        s->connection->policy = NULL;
    }
    s->connection = NULL;
    buffer_free(&s->in);
    s->batch = 0;
    s->data_left = 0;
}

static void fail_connection(struct connection *c, enum relay_error code, const char *text)
{
    struct relay_message m = {
        .type = RELAY_FAIL, .fail = { (uint16_t)code, { (const uint8_t *)text, strlen(text) } }
    };
    uint8_t *p;
    log_event(LOG_INFO, "fail", "peer=%s code=%s text=%s", c->peer, relay_error_name(code),
              log_string(text));
    c->relay->metrics.sessions_failed_total++;
    connection_drop_queue(c);
    p = connection_reserve(c, RELAY_HEADER + 4 + RELAY_TEXT_MAX, false);
    if (p)
        connection_commit(c, relay_build(p, RELAY_HEADER + 4 + RELAY_TEXT_MAX, RELAY_SERVER, &m));
    connection_close(c, (uint16_t)(4000 + code));
}

/* The end of the connection; the session goes with it at closed(). */
void session_fail(struct session *s, enum relay_error code, const char *text)
{
    if (s->connection && !s->connection->closing)
        fail_connection(s->connection, code, text);
}

/* ---- HELLO ---- */

/* Who it is and what that allows; an error ends the connection. */
static enum relay_error authorize(struct session *s, const struct relay_hello *h, const char **why)
{
    const struct config *c = s->relay->config;
    struct error err;
    if (!h->token.len) {
        *why = "a token is needed";
        if (!c->anonymous)
            return RELAY_BAD_TOKEN;
        s->policy = policy_ref(c->policy);
        return RELAY_OK;
    }
    switch (token_verify(s->relay, h->token, &s->policy, &s->expires, &err)) {
    case TOKEN_GOOD: return RELAY_OK;
    case TOKEN_OLD: *why = "the token has expired"; return RELAY_TOKEN_EXPIRED;
    default:
        log_event(LOG_INFO, "token", "peer=%s error=%s", s->connection->peer, log_string(err.msg));
        *why = "the token isn't good";
        return RELAY_BAD_TOKEN;
    }
}

static void welcome(struct session *s, bool resumed)
{
    const struct config *c = s->relay->config;
    struct relay_message m = { .type = RELAY_WELCOME };
    random_bytes(s->key);
    m.welcome = (struct relay_welcome){
        .version = 1,
        .resumed = resumed,
        .keepalive_s = (uint16_t)c->keepalive_s,
        .resume_s = (uint16_t)c->resume_s,
        .max_channels = s->policy->max_channels,
        .max_frames_per_s = (uint32_t)s->policy->max_frames_per_s,
        .max_bytes_per_s = s->policy->max_bytes_per_s,
    };
    memcpy(m.welcome.session, s->id, RELAY_SESSION);
    memcpy(m.welcome.key, s->key, RELAY_SESSION);
    s->state = SESSION_UP;
    s->state_ms = now_ms(s);
    connection_limit(s->connection, s->policy);
    session_send(s, &m);
    log_event(LOG_INFO, "session", "peer=%s resumed=%s", s->connection->peer,
              resumed ? "yes" : "no");
}

static bool same_key(const uint8_t *a, const uint8_t *b)
{
    unsigned differ = 0;
    for (int i = 0; i < RELAY_SESSION; i++)
        differ |= a[i] ^ b[i];
    return !differ;
}

/* The connection of @new, which has just come, is from now on that of @old. */
static struct session *take_up(struct session *old, struct session *new)
{
    struct connection *c = new->connection;
    if (old->connection) {
        struct connection *dead = old->connection;
        channels_park(old, true);
        detach(old);
        fail_connection(dead, RELAY_SUPERSEDED, "the session goes on elsewhere");
    }
    policy_unref(old->policy);
    old->policy = policy_ref(new->policy);
    old->expires = new->expires;
    old->connection = c;
    old->received_ms = old->sent_ms = now_ms(old);
    old->in = new->in;
    old->batch = new->batch;
    new->in = (struct buffer){ 0 };
    new->connection = NULL;
    c->owner = old;
    session_free(new);
    old->relay->metrics.sessions_resumed_total++;
    return old;
}

/* The session that goes on, which may be another one than @s; NULL: failed. */
static struct session *hello(struct session *s, const struct relay_hello *h)
{
    const char *why = "";
    enum relay_error error = authorize(s, h, &why);
    struct session *old = NULL;
    if (h->version_min > RELAY_VERSION_MAX) {
        error = RELAY_BAD_VERSION;
        why = "this relay speaks version 1";
    }
    if (!error && !s->good_origin) {
        error = RELAY_BAD_ORIGIN;
        why = "pages of this origin aren't allowed";
    }
    if (error) {
        s->relay->metrics.tokens_refused_total +=
            error == RELAY_BAD_TOKEN || error == RELAY_TOKEN_EXPIRED;
        session_fail(s, error, why);
        return NULL;
    }
    static const uint8_t none[RELAY_SESSION];
    if (memcmp(h->session, none, RELAY_SESSION) != 0)
        old = table_get(&s->relay->by_id, id_key(h->session));
    if (old && old != s && old->state != SESSION_HELLO && same_key(old->id, h->session) &&
        same_key(old->key, h->key)) {
        old = take_up(old, s);
        welcome(old, true);
        return old;
    }
    random_bytes(s->id);
    if (!table_put(&s->relay->by_id, id_key(s->id), s)) {
        session_fail(s, RELAY_INTERNAL, "no memory");
        return NULL;
    }
    welcome(s, false);
    return s;
}

/* ---- receiving ---- */

static void bye(struct session *s)
{
    struct connection *c = s->connection;
    log_event(LOG_INFO, "bye", "peer=%s", c->peer);
    detach(s);
    connection_close(c, 1000);
    session_free(s);
}

/* One message. The session that the rest is for; NULL: there is no rest. */
static struct session *message(struct session *s, const struct relay_message *m)
{
    if (s->state == SESSION_HELLO) {
        if (m->type == RELAY_HELLO)
            return hello(s, &m->hello);
        session_fail(s, RELAY_UNEXPECTED, "HELLO comes first");
        return NULL;
    }
    switch (m->type) {
    case RELAY_HELLO: session_fail(s, RELAY_UNEXPECTED, "HELLO again"); return NULL;
    case RELAY_PING:
        session_send(s, &(struct relay_message){ .type = RELAY_PONG, .ping = m->ping });
        break;
    case RELAY_PONG: break;
    case RELAY_BYE: bye(s); return NULL;
    case RELAY_FAIL: {
        struct connection *c = s->connection;
        log_event(LOG_WARN, "failed", "peer=%s code=%s text=%s", c->peer,
                  relay_error_name(m->fail.code), log_text(m->fail.text.data, m->fail.text.len));
        connection_close(c, (uint16_t)(4000 + (m->fail.code < 1000 ? m->fail.code : 0)));
        return NULL;
    }
    default: channel_message(s, m);
    }
    return s->connection && !s->connection->closing ? s : NULL;
}

/* The length of the message that begins at @data, 0: not enough of it to know. */
static size_t message_length(const uint8_t *data, size_t len)
{
    if (len < RELAY_HEADER)
        return 0;
    return RELAY_HEADER + ((size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3]);
}

/* A DATA message may be long, and a part of one is as good as one of its own
 * (docs/relay-protocol.md, Credit): what is there of it goes on without waiting for the rest. */
static struct session *pass_data(struct session *s, const uint8_t *data, size_t len, size_t *used)
{
    struct relay_message m = { .type = RELAY_DATA, .channel = s->data_channel };
    size_t n = len < s->data_left ? len : s->data_left;
    m.bytes = (struct relay_bytes){ data, n };
    s->data_left -= n;
    *used += n;
    return message(s, &m);
}

static bool begins_data(const struct session *s, const uint8_t *data, size_t whole)
{
    return s->state == SESSION_UP && data[0] == RELAY_DATA && whole > RELAY_HEADER &&
           (data[4] | data[5] | data[6] | data[7]);
}

/* Takes the whole messages off @data; the session that is left or NULL; *@used: bytes taken. */
static struct session *parse(struct session *s, const uint8_t *data, size_t len, bool last,
                             size_t *used)
{
    struct relay_message m;
    size_t n, whole;
    *used = 0;
    while (*used < len) {
        const uint8_t *at = data + *used;
        size_t left = len - *used;
        if (s->data_left) {
            s = pass_data(s, at, left, used);
            if (!s)
                return NULL;
            continue;
        }
        whole = message_length(at, left);
        if (!last && whole > left && whole <= RELAY_HEADER + RELAY_BODY_MAX &&
            begins_data(s, at, whole)) {
            s->data_channel =
                (uint32_t)at[4] << 24 | (uint32_t)at[5] << 16 | (uint32_t)at[6] << 8 | at[7];
            s->data_left = whole - RELAY_HEADER;
            *used += RELAY_HEADER;
            continue;
        }
        /* What can't become a message isn't waited for. */
        if (!last && (!whole || (whole > left && whole <= RELAY_HEADER + RELAY_BODY_MAX)))
            return s;
        enum relay_error error = relay_parse(at, left, RELAY_CLIENT, &m, &n);
        if (error) {
            session_fail(s, error, relay_type_name(at[0]));
            return NULL;
        }
        *used += n;
        s = message(s, &m);
        if (!s)
            return NULL;
    }
    return s;
}

static void receive(void *owner, const uint8_t *data, size_t len, bool binary, bool last)
{
    struct session *s = owner;
    size_t used;
    s->received_ms = now_ms(s);
    s->batch += len;
    if (!binary) {
        session_fail(s, RELAY_MALFORMED, "a text message");
        return;
    }
    if (s->batch > RELAY_BATCH_MAX) {
        session_fail(s, RELAY_OVERSIZE, "batch");
        return;
    }
    if (last && !s->batch) {
        session_fail(s, RELAY_TRUNCATED, "an empty batch");
        return;
    }
    if (!buffer_len(&s->in)) {
        s = parse(s, data, len, last, &used);
        if (!s)
            return;
        data += used;
        len -= used;
        if (len && !buffer_add(&s->in, data, len))
            session_fail(s, RELAY_INTERNAL, "no memory");
    } else {
        /* The buffer is parsed in place: it must not be the session's while messages are handled.
         */
        struct buffer in = s->in;
        s->in = (struct buffer){ 0 };
        if (!buffer_add(&in, data, len)) {
            session_fail(s, RELAY_INTERNAL, "no memory");
        } else {
            s = parse(s, in.data + in.at, buffer_len(&in), last, &used);
            if (s) {
                buffer_take(&in, used);
                s->in = in;
                in = (struct buffer){ 0 };
            }
        }
        buffer_free(&in);
    }
    if (s && last && s->data_left)
        session_fail(s, RELAY_TRUNCATED, "DATA");
    if (s && last)
        s->batch = 0;
}

static void writable(void *owner)
{
    channels_resume(owner);
}

static void *open_session(struct connection *c, const char *rest, bool good_origin)
{
    struct session *s = session_new(c->relay, c);
    if (s)
        s->good_origin = good_origin;
    return s;
}

static void closed(void *owner)
{
    struct session *s = owner;
    bool keep = s->state == SESSION_UP && !s->connection->closing && s->relay->config->resume_s &&
                !s->relay->stopping &&
                s->relay->metrics.sessions <= 2 * s->relay->config->max_clients;
    log_event(LOG_INFO, "closed", "peer=%s kept=%s", s->connection->peer, keep ? "yes" : "no");
    if (keep)
        channels_park(s, true);
    detach(s);
    if (!keep) {
        session_free(s);
        return;
    }
    s->state = SESSION_WAITING;
    s->state_ms = now_ms(s);
}

const struct endpoint session_endpoint = {
    .path = "/slipway",
    .tells_origin = true,
    .open = open_session,
    .receive = receive,
    .writable = writable,
    .closed = closed,
};

/* ---- time ---- */

static void tick(struct session *s)
{
    const struct config *c = s->relay->config;
    uint64_t now = now_ms(s), keepalive = c->keepalive_s * 1000;
    switch (s->state) {
    case SESSION_HELLO:
        if (now - s->state_ms > HELLO_S * 1000)
            session_fail(s, RELAY_TIMEOUT, "no HELLO");
        return;
    case SESSION_UP:
        if (s->expires && (uint64_t)time(NULL) >= s->expires)
            session_fail(s, RELAY_TOKEN_EXPIRED, "the token has expired");
        else if (now - s->received_ms > 2 * keepalive && !s->connection->held)
            session_fail(s, RELAY_TIMEOUT, "no sign of life");
        else if (now - s->sent_ms >= keepalive)
            session_send(s, &(struct relay_message){ .type = RELAY_PING, .ping = now });
        if (now - s->state_ms > PARKED_MS)
            channels_drop_parked(s);
        return;
    case SESSION_WAITING:
        if (now - s->state_ms > c->resume_s * 1000)
            session_free(s);
        return;
    }
}

void sessions_tick(struct relay *relay)
{
    for (struct session *s = relay->sessions, *next; s; s = next) {
        next = s->next;
        tick(s);
    }
}

void sessions_shutdown(struct relay *relay)
{
    for (struct session *s = relay->sessions, *next; s; s = next) {
        next = s->next;
        if (s->connection)
            session_fail(s, RELAY_SHUTDOWN, "the relay ends");
        else
            session_free(s);
    }
}

void sessions_free(struct relay *relay)
{
    while (relay->sessions) {
        detach(relay->sessions);
        session_free(relay->sessions);
    }
    table_free(&relay->by_id);
}
