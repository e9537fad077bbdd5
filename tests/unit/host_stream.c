/*
 * Native streams and the poll loop: sockets, ptys, back-pressure, ends, deferred and periodic
 * calls.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host.h"
#include "host/native.h"
#include "test.h"

#define MS 1000000ll

struct peer {
    struct host_stream *s, *client;
    unsigned readable, writable, closed;
    char buf[1 << 16];
    size_t len;
    bool drain; /* read and forget */
};

static void on_readable(void *opaque)
{
    struct peer *p = opaque;
    struct host_stream *s = p->client ? p->client : p->s;
    p->readable++;
    long n = host_stream_read(s, p->buf + p->len, sizeof p->buf - p->len);
    if (n > 0 && !p->drain)
        p->len += (size_t)n;
}

static void on_writable(void *opaque)
{
    ((struct peer *)opaque)->writable++;
}

static void on_closed(void *opaque)
{
    ((struct peer *)opaque)->closed++;
}

static const struct host_stream_ops data_ops = { .readable = on_readable,
                                                 .writable = on_writable,
                                                 .closed = on_closed };

static void on_connected(void *opaque, struct host_stream *client)
{
    struct peer *p = opaque;
    p->client = client;
    host_stream_set_ops(client, &data_ops, p);
}

static const struct host_stream_ops listen_ops = { .connected = on_connected };

static void turn(int times)
{
    for (int i = 0; i < times; i++)
        host_loop_once(5 * MS);
}

static struct peer a, b;

static void talk(const char *kind, const char *server_spec, bool by_name)
{
    struct error err = { "" };
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.s = host_stream_open(kind, server_spec, true, &listen_ops, &a, &err);
    CHECK(a.s);
    const char *where = host_stream_name(a.s);
    if (by_name)
        where += strlen("tcp:");
    b.s = host_stream_open(kind, where, false, &data_ops, &b, &err);
    CHECK(b.s);
    turn(2);
    CHECK(a.client);
    CHECK_EQ(host_stream_write(b.s, "hello", 5), 5);
    turn(2);
    CHECK_EQ(a.len, 5);
    CHECK(!memcmp(a.buf, "hello", 5));
    CHECK_EQ(host_stream_write(a.client, "world!", 6), 6);
    turn(2);
    CHECK(b.len == 6 && !memcmp(b.buf, "world!", 6));

    /* back-pressure: the reader stops, the writer fills up and is told when there is room */
    static char block[1 << 16];
    long n;
    size_t sent = 0;
    a.drain = true;
    host_stream_want_read(a.client, false);
    unsigned readable = a.readable;
    while ((n = host_stream_write(b.s, block, sizeof block)) > 0)
        sent += (size_t)n;
    CHECK_EQ(n, -EAGAIN);
    turn(3);
    CHECK_EQ(a.readable, readable);
    CHECK_EQ(b.writable, 0);
    host_stream_want_read(a.client, true);
    for (int i = 0; i < 1000 && !b.writable; i++)
        turn(1);
    CHECK_EQ(b.writable, 1);
    CHECK(sent > sizeof block);

    /* the end is told once */
    host_stream_close(b.s);
    for (int i = 0; i < 1000 && !a.closed; i++)
        turn(1);
    turn(3);
    CHECK_EQ(a.closed, 1);
    CHECK(host_stream_write(a.client, "x", 1) <= 1);
    host_stream_close(a.client);
    host_stream_close(a.s);
    turn(1);
}

static void tcp_streams_talk(void)
{
    talk("tcp", "127.0.0.1:0", true);
}

static void unix_streams_talk_and_clean_up(void)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/tmp/slipway-test-%d", (int)getpid());
    talk("unix", path, false);
    CHECK(stat(path, &st) < 0);
}

static void a_stale_socket_file_is_replaced_and_a_live_one_is_not(void)
{
    char path[64];
    struct error err = { "" };
    snprintf(path, sizeof path, "/tmp/slipway-test-stale-%d", (int)getpid());
    struct host_stream *s = host_stream_open("unix", path, true, &listen_ops, &a, &err);
    CHECK(s);
    CHECK(!host_stream_open("unix", path, true, &listen_ops, &a, &err));
    CHECK(strstr(err.msg, path) && strstr(err.msg, "in use"));
    char copy[80];
    snprintf(copy, sizeof copy, "%s.x", path);
    CHECK(rename(path, copy) == 0);
    host_stream_close(s);
    CHECK(rename(copy, path) == 0); /* now nobody listens on it */
    s = host_stream_open("unix", path, true, &listen_ops, &a, &err);
    CHECK(s);
    host_stream_close(s);
}

static void errors_name_the_thing(void)
{
    struct error err = { "" };
    CHECK(!host_stream_open("tcp", "nowhere", false, &data_ops, &a, &err));
    CHECK_STR(err.msg, "tcp:nowhere: expected HOST:PORT");
    CHECK(!host_stream_open("unix", "", true, &data_ops, &a, &err));
    CHECK(!host_stream_open("unix", "/nonexistent/dir/sock", false, &data_ops, &a, &err));
    CHECK_STR(err.msg, "unix:/nonexistent/dir/sock: No such file or directory");
    CHECK(!host_stream_open("tcp", "127.0.0.1:1", false, &data_ops, &a, &err));
    CHECK_STR(err.msg, "tcp:127.0.0.1:1: Connection refused");
}

static void a_pty_survives_its_readers(void)
{
    struct error err = { "" };
    memset(&a, 0, sizeof a);
    a.s = host_stream_open("pty", "", false, &data_ops, &a, &err);
    CHECK(a.s);
    for (int round = 0; round < 2; round++) {
        int fd = open(host_stream_name(a.s), O_RDWR | O_NOCTTY | O_NONBLOCK);
        CHECK(fd >= 0);
        CHECK_EQ(write(fd, "in\r", 3), 3);
        a.len = 0;
        for (int i = 0; i < 400 && a.len < 3; i++)
            turn(1);
        CHECK_EQ(a.len, 3);
        CHECK_EQ(a.buf[2], '\r');
        CHECK_EQ(host_stream_write(a.s, "out\n", 4), 4);
        char got[16];
        CHECK_EQ(read(fd, got, sizeof got), 4);
        close(fd);
        unsigned readable = a.readable;
        turn(20);
        CHECK(a.readable - readable < 5); /* a hung-up pty doesn't spin */
    }
    CHECK_EQ(a.closed, 0);
    host_stream_close(a.s);
}

static int calls;

static void call_again(void *opaque)
{
    if (++calls < 3)
        host_defer(call_again, opaque);
}

static void deferred_calls_run_from_the_loop(void)
{
    calls = 0;
    host_defer(call_again, NULL);
    CHECK_EQ(calls, 0);
    turn(4);
    CHECK_EQ(calls, 3);
}

static void tick(void *opaque)
{
    if (++calls == 5)
        host_every_stop(tick, opaque);
}

static void periodic_calls_keep_their_pace_and_stop(void)
{
    calls = 0;
    int64_t start = host_monotonic_ns();
    host_every(3 * MS, tick, NULL);
    for (int i = 0; i < 200 && calls < 5; i++)
        turn(1);
    CHECK_EQ(calls, 5);
    CHECK(host_monotonic_ns() - start >= 15 * MS);
    turn(3);
    CHECK_EQ(calls, 5);
}

static void waking_ends_a_wait(void)
{
    host_loop_once(0);
    host_wake();
    int64_t start = host_monotonic_ns();
    host_loop_once(2000 * MS);
    CHECK(host_monotonic_ns() - start < 1000 * MS);
}

static int late_calls;

static void late_call(void *opaque)
{
    late_calls++;
    host_every_stop(late_call, NULL);
}

static void starts_another(void *opaque)
{
    host_every_stop(starts_another, NULL);
    host_every(30 * MS, late_call, NULL);
}

static void a_periodic_call_started_by_another_ends_the_wait(void)
{
    int64_t start = host_monotonic_ns();
    host_every(0, starts_another, NULL);
    host_loop_once(20000 * MS);
    CHECK(host_monotonic_ns() - start < 15000 * MS);
    host_loop_once(0);
    CHECK_EQ(late_calls, 1);
}

static int opened_times;
static char opened_error[256];

static void on_opened(void *opaque, const char *error)
{
    opened_times++;
    snprintf(opened_error, sizeof opened_error, "%s", error ? error : "");
}

static const struct host_stream_ops later_ops = { .readable = on_readable,
                                                  .writable = on_writable,
                                                  .connected = on_connected,
                                                  .closed = on_closed,
                                                  .opened = on_opened };

static void await_opened(void)
{
    for (int i = 0; i < 1000 && !opened_times; i++)
        turn(1);
}

static void connecting_in_the_background(void)
{
    struct error err = { "" };
    char spec[100];
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    opened_times = 0;
    a.s = host_stream_open_later("tcp", "127.0.0.1:0", true, &later_ops, &a, &err);
    CHECK(a.s);
    CHECK_EQ(opened_times, 0);
    await_opened();
    CHECK_EQ(opened_times, 1);
    CHECK_STR(opened_error, "");

    opened_times = 0;
    snprintf(spec, sizeof spec, "%s,ipv4,keep-alive", host_stream_name(a.s) + strlen("tcp:"));
    b.s = host_stream_open_later("tcp", spec, false, &later_ops, &b, &err);
    CHECK(b.s);
    CHECK_EQ(host_stream_write(b.s, "hello", 5), -EAGAIN);
    await_opened();
    CHECK_EQ(opened_times, 1);
    CHECK_STR(opened_error, "");
    CHECK_EQ(host_stream_write(b.s, "hello", 5), 5);
    for (int i = 0; i < 1000 && a.len < 5; i++)
        turn(1);
    CHECK_EQ(a.len, 5);
    CHECK(!strncmp(host_stream_name(a.client), "127.0.0.1:", 10));

    /* "to": the next port is free */
    unsigned port = (unsigned)atoi(strrchr(host_stream_name(a.s), ':') + 1);
    struct peer *c = calloc(1, sizeof *c);
    snprintf(spec, sizeof spec, "127.0.0.1:%u", port);
    CHECK(!host_stream_open_later("tcp", spec, true, &later_ops, c, &err));
    CHECK(strstr(err.msg, "Address already in use"));
    snprintf(spec, sizeof spec, "127.0.0.1:%u,to=%u", port, port + 50);
    c->s = host_stream_open_later("tcp", spec, true, &later_ops, c, &err);
    CHECK(c->s);
    CHECK(atoi(strrchr(host_stream_name(c->s), ':') + 1) > (int)port);
    host_stream_close(c->s);
    free(c);

    /* nobody there: told from the loop, never from the call */
    host_stream_close(a.client);
    host_stream_close(b.s);
    snprintf(spec, sizeof spec, "%s", host_stream_name(a.s) + strlen("tcp:"));
    host_stream_close(a.s);
    opened_times = 0;
    b.s = host_stream_open_later("tcp", spec, false, &later_ops, &b, &err);
    CHECK(b.s);
    CHECK_EQ(opened_times, 0);
    await_opened();
    CHECK_EQ(opened_times, 1);
    CHECK_STR(opened_error, "Connection refused");
    host_stream_close(b.s);

    /* closed before it is decided */
    opened_times = 0;
    b.s = host_stream_open_later("tcp", spec, false, &later_ops, &b, &err);
    CHECK(b.s);
    host_stream_close(b.s);
    turn(3);
    CHECK_EQ(opened_times, 0);
    CHECK(!host_stream_open_later("tcp", "127.0.0.1:x,nonsense", false, &later_ops, &b, &err));
}

static void abstract_and_given_sockets(void)
{
    struct error err = { "" };
    char name[64], number[16];
    snprintf(name, sizeof name, "slipway-test-%d", (int)getpid());
    talk("abstract", name, false);
    talk("abstract-padded", name, false);
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    snprintf(number, sizeof number, "%d", fds[0]);
    memset(&a, 0, sizeof a);
    a.s = host_stream_open("fd", number, false, &data_ops, &a, &err);
    CHECK(a.s);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    turn(1);
    CHECK_EQ(a.len, 3);
    host_stream_close(a.s);
    CHECK_EQ(read(fds[1], name, 1), 0);
    close(fds[1]);
    CHECK(!host_stream_open("fd", "999", false, &data_ops, &a, &err));
    CHECK_STR(err.msg, "fd:999: Bad file descriptor");
    CHECK(!host_stream_open("fd", "0x", false, &data_ops, &a, &err));
    int pipes[2];
    CHECK_EQ(pipe(pipes), 0);
    snprintf(number, sizeof number, "%d", pipes[0]);
    CHECK(!host_stream_open("fd", number, false, &data_ops, &a, &err));
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    RUN(tcp_streams_talk);
    RUN(unix_streams_talk_and_clean_up);
    RUN(a_stale_socket_file_is_replaced_and_a_live_one_is_not);
    RUN(errors_name_the_thing);
    RUN(a_pty_survives_its_readers);
    RUN(deferred_calls_run_from_the_loop);
    RUN(periodic_calls_keep_their_pace_and_stop);
    RUN(waking_ends_a_wait);
    RUN(a_periodic_call_started_by_another_ends_the_wait);
    RUN(connecting_in_the_background);
    RUN(abstract_and_given_sockets);
    return test_done();
}
