/*
 * Fuzzer of the user-mode network: a guest that sends frames of all the protocols that the stack
 * speaks, valid ones and spoilt ones, and holds real TCP connections with servers on the in-process
 * transport, so that the states behind the handshake are reached: data out of order, overlapping,
 * urgent, windows that close, ends and resets from both sides, resumed and full guests, time that
 * jumps. Nothing is checked but that the stack goes on and its buffers stay bounded; sanitizers
 * find wrong accesses.
 *
 * Usage: user_fuzz [frames [seed]]. With a seed of 0 the time is the seed.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../unit/user_guest.h"

#define HANG_S      30
#define ROUND       20000 /* frames to one stack */
#define CONNECTIONS 12
#define SERVERS     5 /* echo, source, sink, mute, one that ends at once */
#define PEERS       64

static uint64_t random_state;
static struct guest *g;
static int servers[SERVERS], datagrams;
static struct {
    int s, kind;
} peers[PEERS];
static struct connection {
    bool open;
    unsigned sport, dport;
    uint32_t dst, seq, ack;
} connections[CONNECTIONS];
static char directory[] = "/tmp/slipway-user-fuzz-XXXXXX";
static uint8_t blob[8192];

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static uint32_t below(uint32_t n)
{
    return random32() % n;
}

/* ---- the other side ---- */

static void serve(void)
{
    struct sockaddr_storage from;
    uint8_t buf[5000];
    for (int kind = 0; kind < SERVERS; kind++) {
        int s;
        while ((s = user_accept(servers[kind], NULL, NULL)) >= 0) {
            unsigned i = below(PEERS);
            if (peers[i].s >= 0)
                user_close(peers[i].s);
            peers[i].s = s;
            peers[i].kind = kind;
        }
    }
    for (unsigned i = 0; i < PEERS; i++) {
        if (peers[i].s < 0 || below(3))
            continue;
        ssize_t n = peers[i].kind == 3
                        ? -1
                        : user_recvfrom(peers[i].s, buf, 1 + below(sizeof buf - 1), 0, NULL, NULL);
        if (peers[i].kind == 0 && n > 0)
            user_sendto(peers[i].s, buf, (size_t)n, 0, NULL, 0);
        if (peers[i].kind == 1)
            user_sendto(peers[i].s, blob, below(sizeof blob), 0, NULL, 0);
        if (below(40) == 0)
            user_shutdown(peers[i].s, (int)below(3));
        if (peers[i].kind == 4 || below(60) == 0) {
            user_close(peers[i].s);
            peers[i].s = -1;
        }
    }
    socklen_t len = sizeof from;
    ssize_t n = user_recvfrom(datagrams, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
    for (uint32_t i = below(4); n >= 0 && i > 0; i--)
        user_sendto(datagrams, buf, below(4) ? (size_t)n : below(sizeof buf), 0,
                    (struct sockaddr *)&from, len);
}

/* ---- what the stack says ---- */

static void heard(struct guest *guest, const uint8_t *f, size_t len)
{
    if (len < 54 || get16(f + 12) != 0x800 || f[23] != 6)
        return;
    const uint8_t *t = f + 34;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &connections[i];
        if (!c->open || get16(t + 2) != c->sport)
            continue;
        size_t end = 14 + get16(f + 16), at = 34 + (t[12] >> 4) * 4u;
        if (t[13] & RST)
            c->open = false;
        if (t[13] & SYN)
            c->ack = get32(t + 4) + 1;
        else if (get32(t + 4) == c->ack && below(8))
            c->ack += (uint32_t)(end > at ? end - at : 0) + (t[13] & FIN);
    }
}

/* ---- what the guest says ---- */

static uint32_t address(void)
{
    static const uint32_t usual[] = { HOST_IP,    HOST_IP,    0x0a000203, 0x0a000264, 0xcb007105,
                                      0xffffffff, 0x0a0002ff, 0x7f000001, GUEST_IP,   0 };
    return below(12) ? usual[below(10)] : random32();
}

static size_t size(void)
{
    switch (below(6)) {
    case 0: return below(4);
    case 1: return below(65000);
    case 2: return 1460;
    default: return below(600);
    }
}

static void make_tcp(void)
{
    struct connection *c = &connections[below(CONNECTIONS)];
    unsigned flags = ACK | (below(2) ? PSH : 0);
    size_t len = below(2) ? size() % sizeof blob : 0;
    if (!c->open || below(200) == 0) {
        *c = (struct connection){ .open = true,
                                  .sport = 1024 + below(30),
                                  .dport = 80 + below(SERVERS + 1),
                                  .dst = below(4) ? HOST_IP : address(),
                                  .seq = random32() };
        flags = SYN;
        len = 0;
    }
    uint32_t seq = c->seq;
    if (below(6) == 0)
        seq += below(3000) - 1500;
    if (below(30) == 0)
        flags ^= 1u << below(6);
    if (below(40) == 0)
        flags |= FIN;
    unsigned window = below(5) ? 65535 : below(3000);
    put_tcp(g, c->sport, c->dport, c->dst, flags, seq, c->ack + (below(20) ? 0 : below(5000)),
            window, blob, len);
    if (flags & URG || below(12) == 0) {
        g->f[34 + 13] |= URG;
        put16(g->f + 34 + 18, random32());
        put_ipv4(g, 6, c->dst, 20 + len, 16);
    }
    if (seq == c->seq)
        c->seq += (uint32_t)len + ((flags & (SYN | FIN)) != 0);
}

static void make_dhcp(void)
{
    uint8_t d[400] = { 1, 1, 6, 0 };
    static const uint8_t magic[] = { 0x63, 0x82, 0x53, 0x63, 53, 1 };
    memcpy(d + 28, g->f + 6, 6);
    d[33] = (uint8_t)below(30);
    memcpy(d + 236, magic, 6);
    d[242] = (uint8_t)below(10);
    for (size_t i = 243; i < sizeof d; i++)
        d[i] = below(3) ? (uint8_t)below(60) : (uint8_t)random32();
    put_udp(g, 68, 67, 0xffffffff, d, 243 + below(157));
}

static void make_tftp(void)
{
    static const char *const words[] = { "file",  "none", "octet", "netascii",    "blksize",
                                         "tsize", "0",    "1428",  "99999999999", "../file",
                                         "sub",   "",     "/",     "timeout" };
    uint8_t d[600];
    size_t len = 2;
    put16(d, 1 + below(5));
    if (d[1] == 4) {
        put16(d + 2, below(20));
        len = 4;
    } else {
        for (uint32_t i = below(7); i > 0; i--) {
            const char *w = words[below(sizeof words / sizeof *words)];
            memcpy(d + len, w, strlen(w) + 1);
            len += strlen(w) + (below(20) != 0);
        }
    }
    put_udp(g, 2000 + below(30), 69, below(10) ? HOST_IP : address(), d, len);
}

static void make_ipv6(void)
{
    static const uint8_t protocols[] = { 58, 58, 58, 17, 6, 0, 44, 60 };
    uint8_t *p = g->f + 14;
    size_t len = 8 + below(200);
    put_ether(g, 0x86dd);
    memset(p, 0, 40 + len);
    p[0] = 0x60;
    put16(p + 4, (unsigned)(below(10) ? len : below(3000)));
    p[6] = protocols[below(8)];
    p[7] = below(5) ? 255 : (uint8_t)below(256);
    p[8] = 0xfe, p[9] = below(2) ? 0x80 : 0xc0, p[23] = (uint8_t)below(4);
    p[24] = below(3) ? 0xfe : 0xff, p[25] = below(2) ? 0xc0 : 2, p[39] = (uint8_t)below(4);
    for (size_t i = 0; i < len; i++)
        p[40 + i] = below(4) ? 0 : (uint8_t)random32();
    if (p[6] == 58)
        p[40] = (uint8_t)(below(3) ? 128 + below(10) : random32());
    if (p[6] == 17) {
        static const unsigned ports[] = { 547, 69, 53, 80 };
        put16(p + 42, ports[below(4)]);
        put16(p + 44, (unsigned)len);
    }
    /* The checksum, over the pseudo-header made in a copy. */
    static uint8_t all[40 + 300];
    memcpy(all, p + 8, 32);
    put32(all + 32, (uint32_t)len);
    put32(all + 36, p[6]);
    size_t at = p[6] == 58 ? 2 : p[6] == 17 ? 6 : 16;
    if (at + 2 <= len) {
        put16(p + 40 + at, 0);
        memcpy(all + 40, p + 40, len);
        put16(p + 40 + at, net_checksum(all, 40 + len));
    }
    g->len = 54 + len;
}

static void make_fragment(void)
{
    size_t len = size();
    put_ping(g, address(), len > 60000 ? 60000 : len);
    put16(g->f + 18, below(8));
    put16(g->f + 20, (below(2) ? 0x2000 : 0) | below(below(2) ? 20 : 8192));
    put16(g->f + 24, 0);
    put16(g->f + 24, net_checksum(g->f + 14, 20));
}

static void spoil(void)
{
    for (uint32_t i = below(4); i > 0; i--) {
        size_t at = 12 + below((uint32_t)(g->len > 80 ? 68 : g->len - 12));
        if (below(2))
            g->f[at] = (uint8_t)random32();
        else
            g->f[at] ^= (uint8_t)(1u << below(8));
    }
    if (below(6) == 0)
        g->len = below((uint32_t)g->len + 1);
    if (below(2) && g->len >= 34) { /* a header that passes */
        put16(g->f + 24, 0);
        put16(g->f + 24,
              net_checksum(g->f + 14,
                           (g->f[14] & 15) * 4u < g->len - 14 ? (g->f[14] & 15) * 4u : 20));
    }
}

static void make_frame(void)
{
    switch (below(10)) {
    case 0: put_arp(g, address()); break;
    case 1: make_dhcp(); break;
    case 2: make_tftp(); break;
    case 3: make_ipv6(); break;
    case 4: make_fragment(); break;
    case 5: put_ping(g, address(), size() % 2000); break;
    case 6:
        put_udp(g, 1000 + below(40), below(2) ? 53 : below(2000), address(), blob, size() % 3000);
        break;
    default: make_tcp(); break;
    }
    if (below(4) == 0)
        spoil();
}

/* ---- rounds ---- */

static void begin(void)
{
    SlirpConfig c = {
        .tftp_path = directory, .bootfile = "boot", .vhostname = "fuzz", .restricted = below(8) == 0
    };
    g = guest_new(&c);
    g->heard = heard;
    for (unsigned i = 0; i < SERVERS; i++)
        servers[i] = guest_socket(g, SOCK_STREAM, (uint16_t)(80 + i));
    datagrams = guest_socket(g, SOCK_DGRAM, 53);
    for (unsigned i = 0; i < PEERS; i++)
        peers[i].s = -1;
    memset(connections, 0, sizeof connections);
    put_arp(g, HOST_IP);
    guest_put(g);
}

int main(int argc, char **argv)
{
    uint64_t frames = argc > 1 ? strtoull(argv[1], NULL, 0) : 400000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 20261123, taken = 0;
    if (!seed)
        seed = (uint64_t)time(NULL);
    random_state = seed * 0x9e3779b97f4a7c15ull | 1;
    printf("seed %llu\n", (unsigned long long)seed);
    char path[64];
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/file", directory);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(blob, 1, sizeof blob, f) != sizeof blob || fclose(f))
        return 1;
    for (uint64_t i = 0; i < frames; i++) {
        if (i % ROUND == 0) {
            if (g)
                guest_free(g);
            begin();
        }
        if (i % 1000 == 0)
            alarm(HANG_S);
        make_frame();
        taken += user_stack_input(g->stack, g->f, g->len, below(10) == 0);
        if (below(200) == 0) {
            g->deaf = !g->deaf;
            user_stack_writable(g->stack);
        }
        if (below(4) == 0) {
            serve();
            machine_run_slice(&g->m, 0);
            host_loop_once(0);
        }
        if (below(500) == 0)
            guest_sleep(g, (int64_t)below(3000) * 1000000);
    }
    size_t heard_frames = g ? g->frames : 0;
    if (g)
        guest_free(g);
    unlink(path);
    rmdir(directory);
    printf("%llu frames, %llu taken, %zu heard in the last round\n", (unsigned long long)frames,
           (unsigned long long)taken, heard_frames);
    return taken == 0;
}
