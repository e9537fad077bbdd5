/*
 * The user-mode network on a relay: a guest's connections, datagrams, pings and names become
 * channels, errors come back as the network would show them, and bytes are held back both ways.
 */
#include "relay_peer.h"
#include "user_tcp.h"

#include "net/user/dns_proxy.h"
#include "net/user/sockets_relay.h"

#include "test.h"

static struct relay_peer p;
static bool released;

static void release(void *opaque)
{
    (void)opaque;
    released = true;
}

static void run(void)
{
    for (int i = 0; i < 4; i++) {
        guest_run(g);
        peer_run(&p);
    }
}

/* A guest behind a relay that is there. */
static void up(void)
{
    peer_start(&p, NULL);
    released = false;
    g = guest_new_on(user_relay_transport_new("test", p.client, release, NULL), NULL);
    peer_greet(&p);
    peer_forget(&p);
    put_arp(g, HOST_IP);
    guest_put(g);
}

static void down(void)
{
    guest_free(g);
    peer_run(&p);
    peer_end(&p);
}

/* A SYN of the guest to 192.0.2.1 port 80, answered by the relay; the channel. */
static uint32_t dial(uint16_t error, uint32_t window)
{
    start(80, 0xc0000201);
    peer_run(&p);
    uint32_t ch = peer_opened(&p, error, window);
    run();
    return ch;
}

static uint32_t connected(uint32_t window)
{
    uint32_t ch = dial(0, window);
    send_segment(ACK, NULL, 0);
    guest_put(g);
    run();
    return ch;
}

static void say_data(uint32_t ch, const void *data, size_t len)
{
    peer_say(&p,
             (struct relay_message){ .type = RELAY_DATA, .channel = ch, .bytes = { data, len } });
    run();
}

static void connections_go_to_the_relay(void)
{
    up();
    start(80, 0xc0000201);
    const struct relay_message *m = peer_heard(&p, RELAY_OPEN);
    CHECK(m);
    CHECK_EQ(m->open.kind, RELAY_TCP);
    CHECK_EQ(m->open.address.port, 80);
    CHECK_EQ(get32(m->open.address.ip), 0xc0000201);
    CHECK_EQ(c.flags, 0); /* no SYN before it is there */
    peer_say(&p, (struct relay_message){
                     .type = RELAY_OPENED, .channel = m->channel, .opened.window = 65536 });
    run();
    CHECK_EQ(c.flags, SYN | ACK);
    down();
    CHECK(released);
}

static void errors_are_those_of_a_network(void)
{
    static const struct {
        uint16_t error;
        unsigned flags, unreachable;
    } cases[] = {
        { RELAY_ECONNREFUSED, RST | ACK, 0 }, { RELAY_EHOSTUNREACH, 0, 1 + 1 },
        { RELAY_ENETUNREACH, 0, 1 + 0 },      { RELAY_EACCES, 0, 1 + 13 },
        { RELAY_EPERM, 0, 1 + 13 },           { RELAY_ETIMEDOUT, 0, 0 },
        { RELAY_EMFILE, RST | ACK, 0 },
    };
    up();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dial(cases[i].error, 0);
        CHECK_EQ(c.flags, cases[i].flags);
        CHECK_EQ(c.unreachable, cases[i].unreachable);
    }
    CHECK_EQ(relay_client_channels(p.client), 0);
    /* The relay is away: the first attempt decides. And gone for good: at once. */
    relay_client_disconnected(p.client, 1006, "");
    start(80, 0xc0000201);
    run();
    CHECK_EQ(c.flags | c.unreachable, 0);
    peer_sleep(&p, 1);
    relay_client_disconnected(p.client, 1006, "");
    run();
    CHECK_EQ(c.unreachable, 1 + 0);
    peer_sleep(&p, PEER_SECOND);
    relay_client_disconnected(p.client, 4000 + RELAY_BAD_TOKEN, "");
    start(80, 0xc0000201);
    CHECK_EQ(c.unreachable, 1 + 0);
    down();
}

static void bytes_and_ends_go_both_ways(void)
{
    up();
    uint32_t ch = connected(65536);
    send_segment(PSH | ACK, "hello", 5);
    guest_put(g);
    run();
    const struct relay_message *m = peer_heard(&p, RELAY_DATA);
    CHECK(m);
    CHECK_EQ(m->channel, ch);
    CHECK(!memcmp(m->bytes.data, "hello", 5));
    say_data(ch, "world!", 6);
    CHECK_EQ(c.got, 6);
    send_segment(FIN | ACK, NULL, 0);
    guest_put(g);
    run();
    CHECK(peer_heard(&p, RELAY_SHUT));
    CHECK(!(c.flags & FIN));
    say_data(ch, "late", 4);
    CHECK_EQ(c.got, 10);
    peer_say(&p, (struct relay_message){ .type = RELAY_SHUT, .channel = ch });
    run();
    CHECK(c.flags & FIN);
    CHECK_EQ(peer_heard(&p, RELAY_CLOSE)->close, 0);
    down();
}

static void resets_go_both_ways(void)
{
    up();
    uint32_t ch = connected(65536);
    peer_say(&p, (struct relay_message){
                     .type = RELAY_CLOSE, .channel = ch, .close = RELAY_ECONNRESET });
    run();
    CHECK(c.flags & RST);
    connected(65536);
    peer_forget(&p);
    send_segment(RST, NULL, 0);
    guest_put(g);
    run();
    CHECK_EQ(peer_heard(&p, RELAY_CLOSE)->close, RELAY_ECONNRESET);
    connected(65536);
    relay_client_disconnected(p.client, 1006, "");
    run();
    CHECK(c.flags & RST);
    down();
}

/* A guest that takes nothing: credit stays with us, so no more than the window comes. */
static void a_deaf_guest_holds_the_relay_back(void)
{
    static uint8_t data[16384];
    size_t sent = 0, credit;
    up();
    uint32_t ch = connected(65536);
    const struct relay_message *m;
    peer_forget(&p);
    credit = 256 << 10;
    g->deaf = true;
    for (int i = 0; i < 100; i++) {
        while ((m = peer_heard(&p, RELAY_CREDIT)))
            credit += m->credit;
        if (credit < sizeof data)
            break;
        credit -= sizeof data;
        sent += sizeof data;
        say_data(ch, data, sizeof data);
    }
    CHECK(credit < sizeof data);
    CHECK(sent < 1000000);
    g->deaf = false;
    user_stack_writable(g->stack);
    for (int i = 0; i < 2000 && c.got < sent; i++) {
        send_segment(ACK, NULL, 0);
        guest_put(g);
        run();
    }
    CHECK_EQ(c.got, sent);
    while ((m = peer_heard(&p, RELAY_CREDIT)))
        credit += m->credit;
    CHECK(credit >= 128 << 10);
    down();
}

/* A relay that gives no credit closes the guest's window. */
static void a_slow_relay_closes_the_guests_window(void)
{
    static uint8_t data[1460];
    size_t sent = 0, got = 0;
    const struct relay_message *m;
    up();
    uint32_t ch = connected(20000);
    for (int i = 0; i < 1000 && c.peer_window >= sizeof data; i++) {
        send_segment(PSH | ACK, data, sizeof data);
        guest_put(g);
        run();
        sent += sizeof data;
    }
    CHECK(c.peer_window < sizeof data);
    CHECK(sent < 200000);
    while ((m = peer_heard(&p, RELAY_DATA)))
        got += m->bytes.len;
    CHECK_EQ(got, 20000);
    peer_say(&p, (struct relay_message){ .type = RELAY_CREDIT, .channel = ch, .credit = 1 << 20 });
    run();
    while ((m = peer_heard(&p, RELAY_DATA)))
        got += m->bytes.len;
    CHECK_EQ(got, sent);
    CHECK(c.peer_window >= 32768);
    down();
}

/* ---- datagrams ---- */

static size_t replies;
static char reply[300];
static size_t reply_len;
static uint8_t icmp_code;

static void heard_packet(struct guest *guest, const uint8_t *f, size_t len)
{
    if (get16(f + 12) != 0x800 || (f[23] != 17 && f[23] != 1))
        return;
    replies++;
    icmp_code = f[23] == 1 && f[34] == 3 ? f[35] : 255;
    reply_len = get16(f + 16) - 28;
    memcpy(reply, f + 42, reply_len < sizeof reply ? reply_len : sizeof reply);
}

static void datagrams_wait_for_their_channel(void)
{
    struct relay_address from = { .family = 4, .port = 7, .ip = { 192, 0, 2, 7 } }, to;
    struct relay_bytes body, one;
    up();
    g->heard = heard_packet;
    replies = 0;
    for (int i = 0; i < 2; i++) {
        put_udp(g, 3000, 7, 0xc0000207, i ? "two" : "one", 3);
        guest_put(g);
        run();
    }
    CHECK(!peer_heard(&p, RELAY_DGRAMS));
    uint32_t ch = peer_opened(&p, 0, 200000);
    run();
    body = peer_heard(&p, RELAY_DGRAMS)->bytes;
    CHECK(relay_next_dgram(&body, &to, &one));
    CHECK(!memcmp(one.data, "one", 3));
    CHECK_EQ(to.port, 7);
    CHECK(relay_next_dgram(&body, &to, &one));
    CHECK(!memcmp(one.data, "two", 3));
    uint8_t buf[200];
    struct relay_batch b;
    relay_batch_begin(&b, buf, sizeof buf, RELAY_DGRAMS, ch);
    relay_batch_dgram(&b, &from, "answer", 6);
    relay_client_received(p.client, true, buf, relay_batch_end(&b));
    run();
    CHECK_EQ(replies, 1);
    CHECK(!memcmp(reply, "answer", 6));
    peer_say(&p, (struct relay_message){ .type = RELAY_UNREACH,
                                         .channel = ch,
                                         .unreach = { RELAY_ECONNREFUSED, from } });
    run();
    CHECK_EQ(replies, 2);
    CHECK_EQ(icmp_code, 3); /* port unreachable */
    down();
}

static void put_echo(unsigned id, unsigned sequence)
{
    uint8_t *e = g->f + 34;
    memset(e, 0, 64);
    e[0] = 8;
    put16(e + 4, id);
    put16(e + 6, sequence);
    put16(e + 2, net_checksum(e, 64));
    put_ipv4(g, 1, 0xc0000209, 64, 0);
    guest_put(g);
    run();
}

static void answer_echo(uint32_t ch, unsigned sequence)
{
    uint8_t buf[200], echo[64] = { 0 };
    struct relay_address from = { .family = 4, .ip = { 192, 0, 2, 9 } };
    struct relay_batch b;
    put16(echo + 6, sequence);
    put16(echo + 2, net_checksum(echo, 64));
    relay_batch_begin(&b, buf, sizeof buf, RELAY_DGRAMS, ch);
    relay_batch_dgram(&b, &from, echo, sizeof echo);
    relay_client_received(p.client, true, buf, relay_batch_end(&b));
    run();
}

static void pings_share_a_channel(void)
{
    up();
    g->heard = heard_packet;
    replies = 0;
    put_echo(77, 1);
    uint32_t ch = peer_opened(&p, 0, 200000);
    run();
    CHECK(peer_heard(&p, RELAY_DGRAMS));
    answer_echo(ch, 9); /* somebody else's */
    CHECK_EQ(replies, 0);
    answer_echo(ch, 1);
    CHECK_EQ(replies, 1);
    put_echo(77, 2);
    CHECK(!peer_heard(&p, RELAY_OPEN)); /* the channel is there */
    CHECK(peer_heard(&p, RELAY_DGRAMS));
    answer_echo(ch, 1); /* late */
    CHECK_EQ(replies, 1);
    answer_echo(ch, 2);
    CHECK_EQ(replies, 2);
    put_echo(77, 3);
    peer_say(
        &p, (struct relay_message){ .type = RELAY_UNREACH,
                                    .channel = ch,
                                    .unreach = { .error = RELAY_EHOSTUNREACH,
                                                 .to = { .family = 4, .ip = { 192, 0, 2, 9 } } } });
    run();
    CHECK_EQ(replies, 3);
    CHECK_EQ(icmp_code, 1);
    down();
}

/* ---- names ---- */

static const uint8_t question[] = { 0xab, 0xcd, 1,   0,   0, 1,   0,   0, 0, 0, 0, 0,
                                    3,    'w',  'w', 'w', 2, 'd', 'e', 0, 0, 1, 0, 1 };

static void names_are_asked_of_the_relay(void)
{
    uint8_t answer[sizeof question];
    up();
    g->heard = heard_packet;
    replies = 0;
    put_udp(g, 3000, 53, 0x0a000203, question, sizeof question);
    guest_put(g);
    run();
    uint32_t ch = peer_opened(&p, 0, 200000);
    run();
    const struct relay_message *m = peer_heard(&p, RELAY_QUERY);
    CHECK(m);
    CHECK_EQ(m->query.dns.len, sizeof question);
    memcpy(answer, question, sizeof answer);
    answer[2] |= 0x80;
    peer_say(&p, (struct relay_message){
                     .type = RELAY_ANSWER,
                     .channel = ch,
                     .query = { .id = m->query.id, .dns = { answer, sizeof answer } } });
    run();
    CHECK_EQ(replies, 1);
    CHECK_EQ(reply_len, sizeof answer);
    CHECK(!memcmp(reply, answer, sizeof answer));
    /* An error is SERVFAIL, no answer in time is none. */
    for (int i = 0; i < 2; i++) {
        put_udp(g, 3000, 53, 0x0a000203, question, sizeof question);
        guest_put(g);
        run();
        uint32_t id = peer_heard(&p, RELAY_QUERY)->query.id;
        peer_say(&p, (struct relay_message){
                         .type = RELAY_ANSWER,
                         .channel = ch,
                         .query = { .id = id, .error = i ? RELAY_ETIMEDOUT : RELAY_EACCES } });
        run();
        CHECK_EQ(replies, 2);
    }
    CHECK_EQ(reply_len, sizeof question);
    CHECK_EQ((uint8_t)reply[2], 0x81);
    CHECK_EQ(reply[3] & 15, 2);
    CHECK_EQ((uint8_t)reply[0], 0xab);
    down();
}

static void names_are_asked_by_stream(void)
{
    uint8_t framed[2 + sizeof question] = { 0, sizeof question };
    memcpy(framed + 2, question, sizeof question);
    up();
    start(53, 0x0a000203);
    run();
    CHECK_EQ(c.flags, SYN | ACK);
    send_segment(ACK, NULL, 0);
    guest_put(g);
    send_segment(PSH | ACK, framed, 7);
    guest_put(g);
    send_segment(PSH | ACK, framed + 7, sizeof framed - 7);
    guest_put(g);
    run();
    uint32_t ch = peer_opened(&p, 0, 200000);
    run();
    const struct relay_message *m = peer_heard(&p, RELAY_QUERY);
    CHECK(m);
    CHECK_EQ(m->query.dns.len, sizeof question);
    peer_say(&p, (struct relay_message){
                     .type = RELAY_ANSWER,
                     .channel = ch,
                     .query = { .id = m->query.id, .dns = { question, sizeof question } } });
    run();
    CHECK_EQ(c.got, sizeof framed);
    send_segment(FIN | ACK, NULL, 0);
    guest_put(g);
    run();
    CHECK(c.flags & FIN);
    down();
}

/* ---- forwardings ---- */

static void clients_of_the_relay_reach_the_guest(void)
{
    struct user_transport *before;
    up();
    Slirp *slirp = user_stack_enter(g->stack, &before);
    CHECK_EQ(slirp_add_hostfwd(slirp, 0, (struct in_addr){ 0 }, 2222,
                               (struct in_addr){ htonl(GUEST_IP) }, 22),
             0);
    CHECK_EQ(slirp_add_hostfwd(slirp, 1, (struct in_addr){ 0 }, 5353,
                               (struct in_addr){ htonl(GUEST_IP) }, 53),
             0);
    user_stack_leave(g->stack, before);
    run();
    const struct relay_message *m = peer_heard(&p, RELAY_OPEN);
    CHECK(m);
    CHECK_EQ(m->open.kind, RELAY_LISTEN);
    CHECK_EQ(m->open.address.port, 2222);
    uint32_t listener = m->channel, in = RELAY_CHANNEL_SERVER | 1;
    peer_say(&p, (struct relay_message){ .type = RELAY_OPENED, .channel = listener });
    m = peer_heard(&p, RELAY_OPEN);
    CHECK_EQ(m->open.kind, RELAY_UDP);
    CHECK_EQ(m->open.address.port, 5353);
    uint32_t udp = m->channel;
    peer_say(&p, (struct relay_message){
                     .type = RELAY_OPENED, .channel = udp, .opened.window = 200000 });
    g->heard = heard;
    memset(&c, 0, sizeof c);
    c.sport = 22;
    size_t frames = g->frames;
    peer_say(&p, (struct relay_message){
                     .type = RELAY_ACCEPT,
                     .channel = in,
                     .accept = { .listener = listener,
                                 .window = 65536,
                                 .peer = { .family = 4, .port = 999, .ip = { 192, 0, 2, 5 } },
                                 .local = { .family = 4, .port = 2222 } } });
    run();
    CHECK_EQ(peer_heard(&p, RELAY_ACCEPTED)->accepted.error, 0);
    CHECK(g->frames > frames);
    CHECK_EQ(c.flags & (SYN | ACK), SYN); /* the relay's client knocks at the guest */
    g->heard = heard_packet;
    replies = 0;
    uint8_t buf[200];
    struct relay_batch b;
    relay_batch_begin(&b, buf, sizeof buf, RELAY_DGRAMS, udp);
    relay_batch_dgram(&b, &(struct relay_address){ .family = 4, .port = 9, .ip = { 192, 0, 2, 5 } },
                      "query", 5);
    relay_client_received(p.client, true, buf, relay_batch_end(&b));
    run();
    CHECK_EQ(replies, 1);
    CHECK(!memcmp(reply, "query", 5));
    down();
}

int main(void)
{
    RUN(connections_go_to_the_relay);
    RUN(errors_are_those_of_a_network);
    RUN(bytes_and_ends_go_both_ways);
    RUN(resets_go_both_ways);
    RUN(a_deaf_guest_holds_the_relay_back);
    RUN(a_slow_relay_closes_the_guests_window);
    RUN(datagrams_wait_for_their_channel);
    RUN(pings_share_a_channel);
    RUN(names_are_asked_of_the_relay);
    RUN(names_are_asked_by_stream);
    RUN(clients_of_the_relay_reach_the_guest);
    return test_done();
}
