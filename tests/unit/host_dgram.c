/*
 * Native datagram sockets: UDP, multicast, Unix, given ones; addresses, back-pressure, errors.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host.h"
#include "host/native.h"
#include "test.h"

#define MS 1000000ll

struct end {
    struct host_dgram *d;
    int readable, writable;
    char buf[3000];
    long len;
    struct host_address from;
    bool deaf;
};

static void on_readable(void *opaque)
{
    struct end *e = opaque;
    e->readable++;
    if (!e->deaf)
        e->len = host_dgram_recv(e->d, e->buf, sizeof e->buf, &e->from);
}

static void on_writable(void *opaque)
{
    ((struct end *)opaque)->writable++;
}

static const struct host_dgram_ops ops = { .readable = on_readable, .writable = on_writable };

static struct end a, b;

static bool open_end(struct end *e, const char *kind, const char *local, const char *remote,
                     const char *interface, struct error *err)
{
    memset(e, 0, sizeof *e);
    e->d = host_dgram_open(&(struct host_dgram_options){ kind, local, remote, interface }, &ops, e,
                           err);
    return e->d != NULL;
}

static void turn_until(const int *counter)
{
    for (int i = 0; i < 1000 && !*counter; i++)
        host_loop_once(5 * MS);
}

static void udp_with_addresses(void)
{
    struct error err = { "" };
    CHECK(open_end(&a, "udp", "127.0.0.1:0", NULL, NULL, &err));
    CHECK(!strncmp(host_dgram_local(a.d), "127.0.0.1:", 10));
    CHECK(open_end(&b, "udp", NULL, host_dgram_local(a.d), NULL, &err));
    CHECK_STR(host_dgram_remote(b.d), host_dgram_local(a.d));
    CHECK_EQ(host_dgram_send(a.d, "x", 1, NULL), (uint64_t)-EDESTADDRREQ);
    CHECK_EQ(host_dgram_send(b.d, "hello", 5, NULL), 0);
    turn_until(&a.readable);
    CHECK_EQ(a.len, 5);
    CHECK(!a.from.ipv6);
    CHECK_EQ(a.from.ip[0], 127);
    CHECK_EQ(host_dgram_send(a.d, "", 0, &a.from), 0);
    turn_until(&b.readable);
    CHECK_EQ(b.len, 0);
    CHECK_EQ(host_dgram_recv(b.d, b.buf, 10, NULL), (uint64_t)-EAGAIN);
    host_dgram_close(a.d);
    /* nobody there: lost, and no end */
    for (int i = 0; i < 5; i++)
        host_dgram_send(b.d, "hello", 5, NULL);
    host_loop_once(0);
    CHECK_EQ(host_dgram_recv(b.d, b.buf, 10, NULL), (uint64_t)-EAGAIN);
    host_dgram_close(b.d);
}

static void multicast_reaches_the_group(void)
{
    struct error err = { "" };
    const char *group = "239.77.1.2:47123", *lo = "127.0.0.1";
    CHECK(open_end(&a, "udp", NULL, group, lo, &err));
    CHECK(open_end(&b, "udp", NULL, group, lo, &err));
    CHECK_EQ(host_dgram_send(a.d, "hello", 5, NULL), 0);
    turn_until(&b.readable);
    turn_until(&a.readable);
    CHECK_EQ(a.len, 5);
    CHECK_EQ(b.len, 5);
    host_dgram_close(a.d);
    host_dgram_close(b.d);
    CHECK(!open_end(&a, "udp", NULL, group, "192.0.2.77", &err));
    CHECK(strstr(err.msg, "No such device"));
    CHECK(!open_end(&a, "udp", NULL, group, "eth0", &err));
}

static void unix_with_a_full_peer(void)
{
    struct error err = { "" };
    char here[64], there[64];
    struct stat st;
    snprintf(here, sizeof here, "/tmp/slipway-dgram-a-%d", (int)getpid());
    snprintf(there, sizeof there, "/tmp/slipway-dgram-b-%d", (int)getpid());
    CHECK(open_end(&a, "unix", here, there, NULL, &err));
    CHECK_EQ(host_dgram_send(a.d, "x", 1, NULL), (uint64_t)-ENOENT);
    CHECK(open_end(&b, "unix", there, here, NULL, &err));
    CHECK_STR(host_dgram_local(a.d), here);
    int sent = 0, result;
    b.deaf = true;
    while ((result = host_dgram_send(a.d, "hello", 5, NULL)) == 0)
        sent++;
    CHECK_EQ(result, (uint64_t)-EAGAIN);
    turn_until(&a.writable);
    CHECK_EQ(host_dgram_send(a.d, "hello", 5, NULL), (uint64_t)-EAGAIN);
    b.deaf = false;
    a.writable = 0;
    b.readable = 0;
    turn_until(&a.writable);
    while (b.readable < sent)
        host_loop_once(5 * MS);
    CHECK_EQ(b.len, 5);
    CHECK_EQ(host_dgram_send(a.d, "hello", 5, NULL), 0);
    host_dgram_close(a.d);
    host_dgram_close(b.d);
    CHECK(stat(here, &st) < 0 && stat(there, &st) < 0);
}

static void given_sockets_and_errors(void)
{
    struct error err = { "" };
    int fds[2];
    char number[16];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    snprintf(number, sizeof number, "%d", fds[0]);
    CHECK(open_end(&a, "fd", number, NULL, NULL, &err));
    CHECK_EQ(send(fds[1], "abc", 3, 0), 3);
    turn_until(&a.readable);
    CHECK_EQ(a.len, 3);
    CHECK_EQ(host_dgram_send(a.d, "abcd", 4, NULL), 0);
    CHECK_EQ(recv(fds[1], number, sizeof number, 0), 4);
    host_dgram_close(a.d);
    close(fds[1]);
    CHECK(!open_end(&a, "fd", "999", NULL, NULL, &err));
    CHECK_STR(err.msg, "fd:999: Bad file descriptor");
    CHECK(!open_end(&a, "udp", "nowhere", NULL, NULL, &err));
    CHECK(!open_end(&a, "unix", "/nonexistent/x", NULL, NULL, &err));
    CHECK(!open_end(&a, "pigeon", "x", NULL, NULL, &err));
    CHECK(open_end(&a, "udp", "[::1]:0", NULL, NULL, &err));
    CHECK(!open_end(&b, "udp", "127.0.0.1:0", host_dgram_local(a.d), NULL, &err));
    CHECK(open_end(&b, "udp", NULL, host_dgram_local(a.d), NULL, &err));
    CHECK_EQ(host_dgram_send(b.d, "six", 3, NULL), 0);
    turn_until(&a.readable);
    CHECK_EQ(a.len, 3);
    CHECK(a.from.ipv6 && a.from.ip[15] == 1 && a.from.port);
    host_dgram_close(a.d);
    host_dgram_close(b.d);
}

int main(void)
{
    RUN(udp_with_addresses);
    RUN(multicast_reaches_the_group);
    RUN(unix_with_a_full_peer);
    RUN(given_sockets_and_errors);
    return test_done();
}
