/*
 * The relay client's state machine beside a relay in the test: greeting, channels of all kinds,
 * credit both ways, batching, keep-alive, coming back, and relays that break the rules.
 */
#include "relay_peer.h"

#include "test.h"

static struct relay_peer p;

/* What a channel of the test has been told. */
struct seen {
    struct relay_channel *ch, *incoming;
    unsigned opened, closed, lost, writable, messages, shuts, accepts;
    uint16_t error;
    uint8_t data[1 << 20];
    size_t len;
    bool keeps;  /* gives no credit back */
    bool closes; /* in each callback */
};

static void maybe_close(struct seen *s)
{
    if (s->closes) {
        relay_channel_close(s->ch, 0);
        s->ch = NULL;
    }
}

static void on_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct seen *s = opaque;
    (void)local;
    s->opened++;
    s->error = error;
    maybe_close(s);
}

static void on_message(void *opaque, const struct relay_message *m)
{
    struct seen *s = opaque;
    s->messages++;
    s->shuts += m->type == RELAY_SHUT;
    if (m->type == RELAY_UNREACH)
        s->error = m->unreach.error;
    if (m->type == RELAY_DATA || m->type == RELAY_FRAMES || m->type == RELAY_DGRAMS) {
        memcpy(s->data + s->len, m->bytes.data, m->bytes.len);
        s->len += m->bytes.len;
    }
    if (!s->keeps)
        relay_channel_done(s->ch, relay_cost(m));
    maybe_close(s);
}

static void on_closed(void *opaque, uint16_t error)
{
    struct seen *s = opaque;
    s->closed++;
    s->error = error;
    maybe_close(s);
}

static void on_lost(void *opaque)
{
    struct seen *s = opaque;
    s->lost++;
    maybe_close(s);
}

static void on_writable(void *opaque)
{
    struct seen *s = opaque;
    s->writable++;
    maybe_close(s);
}

static void on_accept(void *opaque, struct relay_channel *incoming,
                      const struct relay_address *peer, const struct relay_address *local);

static const struct relay_channel_ops ops = { .opened = on_opened,
                                              .message = on_message,
                                              .closed = on_closed,
                                              .lost = on_lost,
                                              .writable = on_writable,
                                              .accept = on_accept };

static void on_accept(void *opaque, struct relay_channel *incoming,
                      const struct relay_address *peer, const struct relay_address *local)
{
    struct seen *s = opaque;
    (void)peer, (void)local;
    s->accepts++;
    s->incoming = incoming;
}

static struct relay_open to(enum relay_kind kind)
{
    struct relay_open o = { .kind = (uint8_t)kind, .window = 256 << 10 };
    if (kind == RELAY_ETHER)
        o.room = (struct relay_bytes){ (const uint8_t *)"lab", 3 };
    else if (kind != RELAY_DNS)
        o.address = (struct relay_address){ .family = 4, .port = 80, .ip = { 192, 0, 2, 1 } };
    if (kind == RELAY_ICMP)
        o.address.port = 0;
    return o;
}

static struct seen *new_channel(enum relay_kind kind)
{
    struct seen *s = calloc(1, sizeof *s);
    struct relay_open o = to(kind);
    s->ch = relay_channel_open(p.client, &o, &ops, s);
    return s;
}

static void drop(struct seen *s)
{
    relay_channel_close(s->ch, 0);
    free(s);
}

static void up(void)
{
    peer_start(&p, "secret");
    peer_greet(&p);
    peer_forget(&p);
}

static void say_data(uint32_t channel, const void *data, size_t len)
{
    peer_say(&p, (struct relay_message){
                     .type = RELAY_DATA, .channel = channel, .bytes = { data, len } });
}

static void greeting_has_token_and_versions(void)
{
    peer_start(&p, "secret");
    CHECK_EQ(p.connects, 1);
    relay_client_connected(p.client);
    const struct relay_message *m = peer_heard(&p, RELAY_HELLO);
    CHECK(m);
    CHECK_EQ(m->hello.version_min, RELAY_VERSION_MIN);
    CHECK_EQ(m->hello.token.len, 6);
    CHECK(!memcmp(m->hello.token.data, "secret", 6));
    CHECK_EQ(m->hello.session[0], 0);
    CHECK_EQ(relay_client_state(p.client), RELAY_GREETING);
    peer_welcome(&p);
    CHECK_EQ(relay_client_state(p.client), RELAY_UP);
    CHECK_STR(relay_client_status(p.client), "connected");
    CHECK_STR(p.log, "");
    relay_client_free(p.client);
    CHECK_EQ(p.heard[p.heard_count - 1].type, RELAY_BYE);
    CHECK_EQ(p.close_code, 1000);
    peer_forget(&p);
}

static void channels_wait_for_the_connection(void)
{
    peer_start(&p, NULL);
    struct seen *s = new_channel(RELAY_TCP), *e = new_channel(RELAY_ETHER);
    CHECK(!relay_channel_is_open(s->ch));
    CHECK(!relay_send_data(s->ch, "x", 1));
    peer_greet(&p);
    uint32_t first = peer_opened(&p, 0, 1000), second = peer_opened(&p, 0, 1000000);
    CHECK(first != second);
    CHECK_EQ(s->opened, 1);
    CHECK_EQ(e->opened, 1);
    CHECK(relay_channel_is_open(s->ch));
    drop(s);
    drop(e);
    CHECK(peer_heard(&p, RELAY_CLOSE));
    peer_end(&p);
}

static void stream_goes_both_ways_and_closes_by_halves(void)
{
    up();
    struct seen *s = new_channel(RELAY_TCP);
    uint32_t ch = peer_opened(&p, 0, 65536);
    CHECK_EQ(relay_send_data(s->ch, "hello, ", 7), 7);
    CHECK_EQ(relay_send_data(s->ch, "world", 5), 5);
    const struct relay_message *m = peer_heard(&p, RELAY_DATA);
    CHECK(m);
    CHECK_EQ(m->bytes.len, 12); /* one message, one batch */
    CHECK(!memcmp(m->bytes.data, "hello, world", 12));
    CHECK(relay_send_urgent(s->ch, '!'));
    CHECK_EQ(peer_heard(&p, RELAY_URGENT)->urgent, '!');
    say_data(ch, "answer", 6);
    CHECK_EQ(s->len, 6);
    relay_send_shut(s->ch);
    CHECK(peer_heard(&p, RELAY_SHUT));
    CHECK_EQ(relay_send_data(s->ch, "x", 1), 0);
    say_data(ch, "more", 4);
    CHECK_EQ(s->len, 10);
    CHECK(!peer_heard(&p, RELAY_CLOSE));
    peer_say(&p, (struct relay_message){ .type = RELAY_SHUT, .channel = ch });
    CHECK_EQ(s->shuts, 1);
    CHECK(peer_heard(&p, RELAY_CLOSE));
    CHECK_EQ(relay_client_channels(p.client), 1);
    peer_say(&p, (struct relay_message){ .type = RELAY_CLOSE, .channel = ch });
    CHECK_EQ(relay_client_channels(p.client), 0);
    CHECK(!peer_heard(&p, RELAY_CLOSE));
    drop(s);
    peer_end(&p);
}

static void refusals_and_resets_have_their_errno(void)
{
    up();
    struct seen *s = new_channel(RELAY_TCP), *r = new_channel(RELAY_TCP);
    peer_opened(&p, RELAY_ECONNREFUSED, 0);
    CHECK_EQ(s->error, RELAY_ECONNREFUSED);
    CHECK_EQ(relay_client_channels(p.client), 1);
    uint32_t ch = peer_opened(&p, 0, 1000);
    peer_say(&p, (struct relay_message){
                     .type = RELAY_CLOSE, .channel = ch, .close = RELAY_ECONNRESET });
    CHECK_EQ(r->closed, 1);
    CHECK_EQ(r->error, RELAY_ECONNRESET);
    CHECK(peer_heard(&p, RELAY_CLOSE)); /* answered, once */
    CHECK(!peer_heard(&p, RELAY_CLOSE));
    drop(s);
    drop(r);
    CHECK_EQ(relay_client_state(p.client), RELAY_UP);
    peer_end(&p);
}

/* What arrives between our CLOSE and theirs is dropped; a channel that is given up while it is
 * being opened may still be answered. */
static void closing_crosses_data_and_opened(void)
{
    up();
    struct seen *s = new_channel(RELAY_TCP), *t = new_channel(RELAY_TCP),
                *u = new_channel(RELAY_TCP);
    uint32_t ch = peer_opened(&p, 0, 1000);
    relay_channel_close(s->ch, 0);
    say_data(ch, "late", 4);
    CHECK_EQ(s->len, 0);
    peer_say(&p, (struct relay_message){ .type = RELAY_CLOSE, .channel = ch });
    free(s);
    peer_forget(&p);
    struct seen *v = new_channel(RELAY_TCP);
    relay_channel_close(t->ch, 0);
    relay_channel_close(u->ch, 0);
    CHECK_EQ(peer_heard(&p, RELAY_CLOSE)->channel, ch + 1);
    CHECK_EQ(peer_heard(&p, RELAY_CLOSE)->channel, ch + 2);
    peer_say(&p,
             (struct relay_message){ .type = RELAY_OPENED, .channel = ch + 1, .opened.window = 9 });
    peer_say(&p, (struct relay_message){
                     .type = RELAY_OPENED, .channel = ch + 2, .opened.error = RELAY_ECONNREFUSED });
    peer_say(&p, (struct relay_message){ .type = RELAY_CLOSE, .channel = ch + 1 });
    CHECK_EQ(relay_client_channels(p.client), 1);
    CHECK_EQ(t->opened + u->opened, 0);
    free(t);
    free(u);
    drop(v);
    peer_end(&p);
}

static void sending_is_bounded_by_credit(void)
{
    static uint8_t data[100000];
    up();
    struct seen *s = new_channel(RELAY_TCP);
    uint32_t ch = peer_opened(&p, 0, 1000);
    CHECK_EQ(relay_send_data(s->ch, data, sizeof data), 1000);
    CHECK_EQ(relay_send_data(s->ch, data, 1), 0);
    CHECK(!relay_can_send(s->ch));
    peer_run(&p);
    CHECK_EQ(s->writable, 0);
    peer_say(&p, (struct relay_message){ .type = RELAY_CREDIT, .channel = ch, .credit = 500 });
    CHECK_EQ(s->writable, 1);
    CHECK_EQ(relay_send_data(s->ch, data, sizeof data), 500);
    peer_say(&p,
             (struct relay_message){ .type = RELAY_CREDIT, .channel = ch, .credit = 0x7fffffff });
    peer_say(&p, (struct relay_message){ .type = RELAY_CREDIT, .channel = ch, .credit = 1 });
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_CREDIT_OVERFLOW);
    CHECK_EQ(relay_client_state(p.client), RELAY_ENDED);
    drop(s);
    peer_end(&p);
}

static void credit_is_given_back_by_halves(void)
{
    static uint8_t data[128 << 10];
    up();
    struct seen *s = new_channel(RELAY_TCP);
    uint32_t ch = peer_opened(&p, 0, 1000);
    say_data(ch, data, sizeof data - 1);
    CHECK(!peer_heard(&p, RELAY_CREDIT));
    say_data(ch, data, 1);
    CHECK_EQ(peer_heard(&p, RELAY_CREDIT)->credit, sizeof data);
    s->keeps = true;
    say_data(ch, data, sizeof data);
    say_data(ch, data, sizeof data);
    CHECK(!peer_heard(&p, RELAY_CREDIT));
    say_data(ch, data, 1); /* more than it was given */
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(p.close_code, 4000 + RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(s->closed, 1);
    CHECK_EQ(s->error, RELAY_ECONNRESET);
    drop(s);
    peer_end(&p);
}

static void frames_travel_in_batches(void)
{
    uint8_t frame[1514];
    struct relay_bytes body, one;
    memset(frame, 0x5a, sizeof frame);
    up();
    struct seen *s = new_channel(RELAY_ETHER);
    uint32_t ch = peer_opened(&p, 0, 1 << 20);
    unsigned batches = p.batches, n = 0, messages = 0;
    for (int i = 0; i < 300; i++)
        CHECK(relay_send_frame(s->ch, frame, sizeof frame));
    CHECK(relay_send_frame(s->ch, frame, 5)); /* no frame: gone */
    for (const struct relay_message *m; (m = peer_heard(&p, RELAY_FRAMES)); messages++) {
        body = m->bytes;
        CHECK(body.len <= RELAY_BODY_MAX);
        while (relay_next_frame(&body, &one)) {
            CHECK_EQ(one.len, sizeof frame);
            n++;
        }
    }
    CHECK_EQ(n, 300);
    CHECK_EQ(messages, 2);
    CHECK_EQ(p.batches - batches, 1);
    /* And the other way. */
    static uint8_t out[RELAY_BATCH_MAX];
    struct relay_batch b;
    relay_batch_begin(&b, out, sizeof out, RELAY_FRAMES, ch);
    for (int i = 0; i < 20; i++)
        relay_batch_frame(&b, frame, 60);
    relay_client_received(p.client, true, out, relay_batch_end(&b));
    CHECK_EQ(s->messages, 1);
    CHECK_EQ(s->len, 20 * 64);
    /* Without credit a frame is refused, and taken later. */
    unsigned taken = 0;
    while (relay_send_frame(s->ch, frame, sizeof frame))
        taken++;
    CHECK_EQ(taken, ((1 << 20) - 300 * 1518) / 1518);
    peer_say(&p, (struct relay_message){ .type = RELAY_CREDIT, .channel = ch, .credit = 5000 });
    CHECK_EQ(s->writable, 1);
    CHECK(relay_send_frame(s->ch, frame, sizeof frame));
    drop(s);
    peer_end(&p);
}

static void datagrams_and_their_errors(void)
{
    struct relay_address at = { .family = 4, .port = 53, .ip = { 192, 0, 2, 9 } }, from;
    struct relay_bytes body, one;
    up();
    struct seen *s = new_channel(RELAY_UDP);
    uint32_t ch = peer_opened(&p, 0, 1 << 20);
    CHECK(relay_send_dgram(s->ch, &at, "one", 3));
    CHECK(relay_send_dgram(s->ch, &at, "", 0));
    body = peer_heard(&p, RELAY_DGRAMS)->bytes;
    CHECK(relay_next_dgram(&body, &from, &one));
    CHECK_EQ(one.len, 3);
    CHECK_EQ(from.port, 53);
    CHECK(relay_next_dgram(&body, &from, &one));
    CHECK_EQ(one.len, 0);
    peer_say(&p, (struct relay_message){ .type = RELAY_UNREACH,
                                         .channel = ch,
                                         .unreach = { .error = RELAY_EHOSTUNREACH, .to = at } });
    CHECK_EQ(s->error, RELAY_EHOSTUNREACH);
    CHECK(relay_channel_is_open(s->ch));
    drop(s);
    struct seen *d = new_channel(RELAY_DNS);
    uint32_t dns = peer_opened(&p, 0, 1 << 20);
    CHECK(relay_send_query(d->ch, 7, "0123456789ab", 12));
    const struct relay_message *m = peer_heard(&p, RELAY_QUERY);
    CHECK_EQ(m->query.id, 7);
    peer_say(&p, (struct relay_message){ .type = RELAY_ANSWER,
                                         .channel = dns,
                                         .query = { .id = 7, .error = RELAY_ETIMEDOUT } });
    CHECK_EQ(d->messages, 1);
    drop(d);
    peer_end(&p);
}

static void listeners_accept_and_refuse(void)
{
    up();
    struct seen *l = new_channel(RELAY_LISTEN);
    uint32_t ch = peer_opened(&p, 0, 0), in = RELAY_CHANNEL_SERVER | 5;
    struct relay_message accept = { .type = RELAY_ACCEPT,
                                    .channel = in,
                                    .accept = { .listener = ch,
                                                .window = 1000,
                                                .peer = { .family = 4 },
                                                .local = { .family = 4 } } };
    peer_say(&p, accept);
    CHECK_EQ(l->accepts, 1);
    struct seen *s = calloc(1, sizeof *s);
    s->ch = l->incoming;
    CHECK(relay_channel_accept(s->ch, &ops, s));
    const struct relay_message *m = peer_heard(&p, RELAY_ACCEPTED);
    CHECK_EQ(m->channel, in);
    CHECK_EQ(m->accepted.error, 0);
    CHECK_EQ(relay_send_data(s->ch, "ssh", 3), 3);
    say_data(in, "client", 6);
    CHECK_EQ(s->len, 6);
    accept.channel++;
    peer_say(&p, accept);
    relay_channel_close(l->incoming, RELAY_EMFILE);
    CHECK_EQ(peer_heard(&p, RELAY_ACCEPTED)->accepted.error, RELAY_EMFILE);
    /* its CLOSE crossed that */
    peer_say(&p, (struct relay_message){ .type = RELAY_CLOSE, .channel = accept.channel });
    CHECK_EQ(relay_client_state(p.client), RELAY_UP);
    /* one that goes before it is accepted */
    accept.channel++;
    peer_say(&p, accept);
    peer_say(&p, (struct relay_message){ .type = RELAY_CLOSE, .channel = accept.channel });
    CHECK(!relay_channel_accept(l->incoming, &ops, s));
    relay_channel_close(l->incoming, 0);
    drop(l);
    drop(s);
    peer_end(&p);
}

static void keepalive_asks_answers_and_gives_up(void)
{
    up();
    peer_say(&p, (struct relay_message){ .type = RELAY_PING, .ping = 77 });
    CHECK_EQ(peer_heard(&p, RELAY_PONG)->ping, 77);
    peer_sleep(&p, 9 * PEER_SECOND);
    CHECK(!peer_heard(&p, RELAY_PING));
    peer_sleep(&p, 2 * PEER_SECOND);
    uint64_t ping = peer_heard(&p, RELAY_PING)->ping;
    CHECK(!peer_heard(&p, RELAY_PING));
    peer_say(&p, (struct relay_message){ .type = RELAY_PONG, .ping = ping });
    peer_sleep(&p, 15 * PEER_SECOND);
    CHECK_EQ(relay_client_state(p.client), RELAY_UP);
    CHECK_EQ(p.connects, 1);
    peer_sleep(&p, 6 * PEER_SECOND);
    CHECK_EQ(p.close_code, 4000 + RELAY_TIMEOUT);
    CHECK_EQ(p.connects, 2);
    CHECK(strstr(p.log, "no sign of life"));
    peer_end(&p);
}

static void session_comes_back(void)
{
    up();
    struct seen *s = new_channel(RELAY_TCP), *e = new_channel(RELAY_ETHER),
                *l = new_channel(RELAY_LISTEN);
    uint32_t tcp = peer_opened(&p, 0, 1000), ether = peer_opened(&p, 0, 200000);
    uint32_t listen = peer_opened(&p, 0, 0);
    struct seen *opening = new_channel(RELAY_TCP);
    CHECK(tcp && peer_heard(&p, RELAY_OPEN));
    peer_sleep(&p, 3 * PEER_SECOND);
    relay_client_disconnected(p.client, 1006, "");
    CHECK_EQ(s->closed, 1);
    CHECK_EQ(s->error, RELAY_ECONNRESET);
    CHECK_EQ(e->lost, 1);
    CHECK_EQ(l->lost, 1);
    CHECK(!relay_channel_is_open(e->ch));
    CHECK(!relay_send_frame(e->ch, "12345678901234", 14));
    CHECK_EQ(p.connects, 1);
    peer_sleep(&p, 1);
    CHECK_EQ(p.connects, 2); /* at once */
    relay_client_connected(p.client);
    const struct relay_message *m = peer_heard(&p, RELAY_HELLO);
    CHECK_EQ(m->hello.session[0], 0x51);
    CHECK_EQ(m->hello.key[15], 1);
    p.resumed = true;
    peer_welcome(&p);
    bool seen_ether = false, seen_listen = false, seen_tcp = false;
    while ((m = peer_heard(&p, RELAY_OPEN))) {
        seen_ether |= m->channel == ether && m->open.kind == RELAY_ETHER && m->open.room.len == 3;
        seen_listen |= m->channel == listen && m->open.kind == RELAY_LISTEN;
        seen_tcp |= m->open.kind == RELAY_TCP && m->channel != tcp;
    }
    CHECK(seen_ether);
    CHECK(seen_listen);
    CHECK(seen_tcp); /* the one that wasn't there yet */
    peer_say(&p, (struct relay_message){
                     .type = RELAY_OPENED, .channel = ether, .opened.window = 9000 });
    CHECK_EQ(e->opened, 2);
    CHECK(relay_send_frame(e->ch, "12345678901234", 14));
    CHECK(strstr(p.log, "not connected: the connection was lost\nconnected\n"));
    drop(s);
    drop(e);
    drop(l);
    drop(opening);
    peer_end(&p);
}

static void attempts_back_off_and_streams_fail_meanwhile(void)
{
    peer_start(&p, NULL);
    struct seen *s = new_channel(RELAY_TCP), *e = new_channel(RELAY_ETHER);
    relay_client_disconnected(p.client, 1006, "Connection refused");
    CHECK_EQ(s->opened, 1);
    CHECK_EQ(s->error, RELAY_ENETUNREACH);
    CHECK_EQ(e->opened, 0);
    int64_t waits[30], before = p.now;
    for (int i = 0; i < 30; i++) {
        unsigned connects = p.connects;
        while (p.connects == connects)
            peer_sleep(&p, PEER_SECOND / 100);
        waits[i] = p.now - before;
        before = p.now;
        relay_client_disconnected(p.client, 1006, "Connection refused");
    }
    CHECK(waits[0] <= PEER_SECOND / 8);
    CHECK(waits[1] > waits[0]);
    /* For half a minute nobody waits for more than 2 s after the relay is back. */
    CHECK(waits[20] >= PEER_SECOND && waits[20] < 2 * PEER_SECOND);
    CHECK(waits[29] >= 5 * PEER_SECOND && waits[29] < 8 * PEER_SECOND);
    CHECK_STR(p.log, "not connected: Connection refused\n"); /* said once */
    CHECK_STR(relay_client_status(p.client), "not connected: Connection refused");
    peer_sleep(&p, 8 * PEER_SECOND);
    peer_greet(&p);
    CHECK_EQ(peer_opened(&p, 0, 200000), 2);
    CHECK_EQ(e->opened, 1);
    drop(s);
    drop(e);
    peer_end(&p);
}

/* A connection that is lost at once, again and again, isn't made "at once" each time. */
static void flapping_connections_back_off(void)
{
    peer_start(&p, NULL);
    for (int i = 0; i < 8; i++) {
        peer_greet(&p);
        relay_client_disconnected(p.client, 1006, "");
        unsigned connects = p.connects;
        for (int k = 0; k < 100 && p.connects == connects; k++)
            peer_sleep(&p, PEER_SECOND / 10);
        CHECK_EQ(p.connects, connects + 1);
    }
    CHECK(p.now > 4 * PEER_SECOND);
    peer_end(&p);
}

static void some_errors_are_final(void)
{
    static const struct {
        uint16_t code;
        bool again;
    } cases[] = { { RELAY_BAD_VERSION, false },
                  { RELAY_BAD_TOKEN, false },
                  { RELAY_TOKEN_EXPIRED, false },
                  { RELAY_BAD_ORIGIN, false },
                  { RELAY_MALFORMED, false },
                  { RELAY_LIMIT, true },
                  { RELAY_TIMEOUT, true },
                  { RELAY_SUPERSEDED, false },
                  { RELAY_SHUTDOWN, true },
                  { RELAY_INTERNAL, true },
                  { 999, true } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int by_code = 0; by_code < 2 && cases[i].code < RELAY_ERRORS; by_code++) {
            up();
            struct seen *e = new_channel(RELAY_ETHER);
            peer_opened(&p, 0, 200000);
            if (by_code)
                relay_client_disconnected(p.client, 4000u + cases[i].code, "because");
            else
                peer_say(&p, (struct relay_message){
                                 .type = RELAY_FAIL,
                                 .fail = { .code = cases[i].code,
                                           .text = { (const uint8_t *)"because", 7 } } });
            CHECK(strstr(p.log, relay_error_name(cases[i].code)));
            CHECK(strstr(p.log, "because"));
            peer_sleep(&p, 20 * PEER_SECOND);
            CHECK_EQ(p.connects > 1, cases[i].again);
            CHECK_EQ(relay_client_state(p.client) == RELAY_ENDED, !cases[i].again);
            struct relay_open o = to(RELAY_TCP);
            struct seen none = { 0 };
            none.ch = relay_channel_open(p.client, &o, &ops, &none);
            CHECK_EQ(none.ch != NULL, cases[i].again);
            CHECK_EQ(e->error, cases[i].again ? 0 : RELAY_ENETUNREACH);
            relay_channel_close(none.ch, 0);
            drop(e);
            peer_end(&p);
        }
}

static void broken_relays_are_left(void)
{
    uint8_t junk[] = { 0x99, 0, 0, 0, 0, 0, 0, 1 };
    struct relay_message m = { .type = RELAY_DATA, .channel = 99, .bytes = { junk, 1 } };
    up();
    relay_client_received(p.client, true, junk, sizeof junk);
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_UNKNOWN_TYPE);
    CHECK_EQ(relay_client_state(p.client), RELAY_ENDED);
    relay_client_received(p.client, true, junk, sizeof junk); /* too late: nothing */
    peer_end(&p);
    up();
    relay_client_received(p.client, false, (const uint8_t *)"hi", 2);
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_MALFORMED);
    peer_end(&p);
    up();
    peer_say(&p, m);
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_BAD_CHANNEL);
    peer_end(&p);
    peer_start(&p, NULL);
    relay_client_connected(p.client);
    peer_say(&p, m);
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_UNEXPECTED);
    peer_end(&p);
    up();
    struct seen *s = new_channel(RELAY_DNS);
    m.channel = peer_opened(&p, 0, 200000);
    peer_say(&p, m);
    CHECK_EQ(peer_heard(&p, RELAY_FAIL)->fail.code, RELAY_UNEXPECTED);
    drop(s);
    peer_end(&p);
}

static void a_full_websocket_holds_bulk_back(void)
{
    static uint8_t data[1 << 20];
    up();
    struct seen *s = new_channel(RELAY_TCP);
    uint32_t ch = peer_opened(&p, 0, 0x7fffffff);
    unsigned batches = p.batches;
    p.backlog = 2 << 20;
    size_t taken = 0, n;
    while ((n = relay_send_data(s->ch, data, sizeof data)))
        taken += n;
    CHECK(taken <= RELAY_BATCH_MAX);
    peer_run(&p);
    CHECK_EQ(p.batches, batches);
    peer_sleep(&p, PEER_SECOND / 10);
    CHECK_EQ(p.batches, batches);
    p.backlog = 0;
    peer_sleep(&p, PEER_SECOND / 10);
    CHECK_EQ(p.batches, batches + 1);
    CHECK_EQ(s->writable, 1);
    CHECK(relay_send_data(s->ch, data, 100) == 100);
    CHECK(ch != 0);
    p.backlog = 64 << 20; /* it never reads */
    peer_run(&p);
    peer_sleep(&p, PEER_SECOND / 10);
    CHECK(relay_client_state(p.client) != RELAY_UP);
    drop(s);
    peer_end(&p);
}

/* Whatever callback a channel is closed in. */
static void channels_may_be_closed_in_callbacks(void)
{
    for (int when = 0; when < 6; when++) {
        up();
        struct seen *s[3];
        uint32_t number[3];
        for (int i = 0; i < 3; i++) {
            s[i] = new_channel(RELAY_UDP);
            s[i]->closes = when == 0;
            number[i] = peer_opened(&p, 0, 200);
            s[i]->closes = true;
        }
        if (when == 1)
            peer_say(&p, (struct relay_message){ .type = RELAY_UNREACH,
                                                 .channel = number[1],
                                                 .unreach = { .error = 1, .to.family = 4 } });
        if (when == 2)
            peer_say(&p, (struct relay_message){ .type = RELAY_CLOSE, .channel = number[1] });
        if (when == 3 || when == 5)
            relay_client_disconnected(p.client, when == 3 ? 1006 : 4002, "");
        if (when == 4) {
            static uint8_t data[300];
            for (int i = 0; i < 3; i++)
                CHECK(
                    !relay_send_dgram(s[i]->ch, &(struct relay_address){ .family = 4 }, data, 300));
            for (int i = 0; i < 3; i++)
                peer_say(&p, (struct relay_message){
                                 .type = RELAY_CREDIT, .channel = number[i], .credit = 100 });
        }
        CHECK(when == 0 || when == 3 || when == 4 || when == 5 ? !s[2]->ch : !s[1]->ch);
        for (int i = 0; i < 3; i++)
            drop(s[i]);
        peer_end(&p);
    }
}

int main(void)
{
    RUN(greeting_has_token_and_versions);
    RUN(channels_wait_for_the_connection);
    RUN(stream_goes_both_ways_and_closes_by_halves);
    RUN(refusals_and_resets_have_their_errno);
    RUN(closing_crosses_data_and_opened);
    RUN(sending_is_bounded_by_credit);
    RUN(credit_is_given_back_by_halves);
    RUN(frames_travel_in_batches);
    RUN(datagrams_and_their_errors);
    RUN(listeners_accept_and_refuse);
    RUN(keepalive_asks_answers_and_gives_up);
    RUN(session_comes_back);
    RUN(attempts_back_off_and_streams_fail_meanwhile);
    RUN(flapping_connections_back_off);
    RUN(some_errors_are_final);
    RUN(broken_relays_are_left);
    RUN(a_full_websocket_holds_bulk_back);
    RUN(channels_may_be_closed_in_callbacks);
    return test_done();
}
