/*
 * Fuzzer of the netdevs' input from the host: streams of frames cut and damaged anywhere, and
 * datagrams of any length, against a peer that takes and refuses frames at random. What a simple
 * model of the format says must come out comes out, in order, and a damaged length ends the
 * connection and nothing else.
 *
 *   netdev_fuzz [ROUNDS [SEED]]
 *
 * The clients are real ones, on socket pairs; the program is meant for AddressSanitizer.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host.h"
#include "host/native.h"
#include "machine.h"
#include "net/dgram_link.h"
#include "net/net.h"
#include "net/net_impl.h"
#include "net/stream_link.h"

#define MS 1000000ll

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng >> 33) % below);
}

/* ---- the peer: what it got, as a hash over lengths and bytes ---- */

static struct {
    uint64_t hash;
    size_t frames;
    bool full;
} got;

static uint64_t mix(uint64_t hash, const uint8_t *p, size_t len)
{
    hash = (hash ^ len) * 0x100000001b3u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    if (rnd(20) == 0) {
        got.full = true;
        return false;
    }
    got.hash = mix(got.hash, f->data, f->len);
    got.frames++;
    return true;
}

static const struct net_client_ops peer_ops = { .type = "peer", .receive = receive };

static struct machine machine;

static void turn(struct net_client *peer)
{
    machine_run_slice(&machine, 0);
    host_loop_once(0);
    if (got.full && rnd(3) == 0) {
        got.full = false;
        net_accept(peer);
    }
}

static void fail(const char *what)
{
    printf("netdev_fuzz: %s\n", what);
    exit(1);
}

/* ---- streams ---- */

static size_t random_length(void)
{
    switch (rnd(8)) {
    case 0: return rnd(4);
    case 1: return NET_FRAME_MAX - rnd(3);
    case 2: return rnd(NET_FRAME_MAX);
    default: return 14 + rnd(1600);
    }
}

static bool at_end(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void stream_round(void)
{
    static uint8_t data[400000];
    size_t len = 0, frames = 0;
    uint64_t hash = got.hash = 0;
    bool broken = false;
    got.frames = 0;
    got.full = false;
    while (len < 200000 && rnd(60)) {
        size_t n = random_length();
        broken = rnd(200) == 0;
        size_t claimed = broken ? NET_FRAME_MAX + 1 + rnd(1u << 31) : n;
        for (int i = 0; i < 4; i++)
            data[len + i] = (uint8_t)(claimed >> (24 - 8 * i));
        for (size_t i = 0; i < n; i++)
            data[len + 4 + i] = (uint8_t)rnd(256);
        len += 4 + n;
        if (broken)
            break;
        if (n) {
            hash = mix(hash, data + len - n, n);
            frames++;
        }
    }

    int fds[2];
    char number[16];
    struct error err;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        fail("socketpair");
    snprintf(number, sizeof number, "%d", fds[0]);
    struct net_client *link = stream_link_new(
        &machine, "stream", "n",
        &(struct stream_link_options){
            .kind = "fd", .spec = number, .came = "%s", .made = "%s", .where = number },
        &err);
    struct net_client *peer = net_client_new(&machine, &peer_ops, sizeof *peer, "peer", NULL);
    if (!link)
        fail(err.msg);
    net_connect(link, peer);

    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    size_t cut = 1 + rnd(rnd(2) ? 20 : 60000);
    for (size_t at = 0, idle = 0; idle < 5000;) {
        size_t part = 1 + rnd((uint32_t)cut);
        if (part > len - at)
            part = len - at;
        ssize_t n = part ? send(fds[1], data + at, part, MSG_NOSIGNAL) : 0;
        at += n > 0 ? (size_t)n : 0;
        turn(peer);
        if (rnd(50) == 0) /* something the other way */
            net_send_buf(peer, data, 60);
        char sink[4096];
        while (recv(fds[1], sink, sizeof sink, MSG_DONTWAIT) > 0) {
        }
        if (at_end(fds[1]) || (at == len && got.frames == frames && !broken))
            break;
        idle = n > 0 ? 0 : idle + 1;
    }
    if (got.full) { /* what was held when the connection ended */
        for (int i = 0; i < 2000 && net_queue_length(peer); i++)
            net_accept(peer);
    }
    if (got.frames != frames || got.hash != hash)
        fail("a stream's frames differ");
    if (broken != at_end(fds[1]))
        fail(broken ? "a broken stream goes on" : "a good stream was closed");
    close(fds[1]);
    turn(peer);
    net_client_free(link);
    net_client_free(peer);
}

/* ---- datagrams ---- */

static void dgram_round(void)
{
    static uint8_t data[NET_FRAME_MAX + 100];
    int fds[2], big = 1 << 20;
    char number[16];
    struct error err;
    uint64_t hash = got.hash = 0;
    got.full = false;
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0)
        fail("socketpair");
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    snprintf(number, sizeof number, "%d", fds[0]);
    struct net_client *link = dgram_link_new(
        &machine, "dgram", "n", &(struct host_dgram_options){ .kind = "fd", .local = number },
        rnd(2), "", &err);
    struct net_client *peer = net_client_new(&machine, &peer_ops, sizeof *peer, "peer", NULL);
    if (!link)
        fail(err.msg);
    net_connect(link, peer);
    for (int i = 0; i < 60; i++) {
        size_t len = rnd(6) ? random_length() : NET_FRAME_MAX + rnd(100);
        for (size_t k = 0; k < len; k += 1 + rnd(50))
            data[k] = (uint8_t)rnd(256);
        while (send(fds[1], data, len, MSG_DONTWAIT) < 0 && errno == EAGAIN)
            turn(peer);
        if (len && len <= NET_FRAME_MAX)
            hash = mix(hash, data, len);
        if (rnd(4) == 0)
            turn(peer);
    }
    for (int i = 0; i < 3000 && got.hash != hash; i++)
        turn(peer);
    if (got.hash != hash)
        fail("datagrams differ");
    close(fds[1]);
    net_client_free(link);
    net_client_free(peer);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 60;
    rng = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    static struct cpu cpu;
    machine.cpus[0] = &cpu;
    machine.state = RUN_STATE_PAUSED;
    machine.deferred_end = &machine.deferred;
    int null = open("/dev/null", O_WRONLY);
    int saved = dup(2);
    dup2(null, 2); /* a line for each broken stream */
    for (int i = 0; i < rounds; i++) {
        stream_round();
        dgram_round();
    }
    dup2(saved, 2);
    net_cleanup(&machine);
    printf("%d rounds\n", rounds);
    return 0;
}
