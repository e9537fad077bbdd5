/*
 * The network's core under random use: options of all kinds, clients, hubs and filters that come
 * and go, links that go down, receivers that refuse, a machine that stops, frames with random
 * offloads, long chains and loops. What must hold: no crash (run it under ASan), no endless loop,
 * bounded queues, receive() never entered twice, frames never reordered on a wire, and between two
 * peers no frame unaccounted for.
 *
 * net_fuzz [SEED [SECONDS]]
 */
#include <time.h>

#include "../unit/devtest.h"
#include "../unit/net_peer.h"
#include "net/hub.h"
#include "net/net_impl.h"
#include "net/netdev.h"

#define PEERS 6

static struct net_peer *peers[PEERS];
static uint32_t numbers;

static bool no_sockets(const char *text)
{
    static const char *const outside[] = { "tap", "bridge", "socket", "stream", "dgram", "user" };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (strstr(text, outside[i]))
            return false;
    return true;
}

/* ---- options ---- */

static void random_words(char *out, size_t size)
{
    static const char *const words[] = {
        "hubport",
        "user",
        "nic",
        "none",
        "tap",
        "socket",
        "filter-dump",
        "filter-mirror",
        "filter-redirector",
        "type=",
        "qom-type=",
        "id=",
        "hubid=",
        "netdev=",
        "model=",
        "mac=",
        "file=/dev/null",
        "queue=",
        "rx",
        "status=",
        "position=id=",
        "insert=before",
        "maxlen=",
        "outdev=",
        "indev=",
        ",",
        ",",
        ",",
        ",",
        ",,",
        "=",
        "h0",
        "h1",
        "p0",
        "p1",
        "f0",
        "f1",
        "on",
        "off",
        "0",
        "1",
        "4294967296",
        "-1",
        "help",
        "{\"type\":",
        "\"hubport\"",
        "}",
        "[",
        "\"id\":",
        "52:54:00:00:00:01",
        "\xff",
        "e1000",
    };
    out[0] = 0;
    for (unsigned n = 1 + rnd() % 10; n; n--)
        strncat(out, words[rnd() % (sizeof words / sizeof words[0])], size - strlen(out) - 1);
}

/* Like a sensible one. */
static void random_good(char *out, size_t size, enum net_option_kind kind)
{
    static const char *const queues[] = { "all", "rx", "tx" };
    if (kind == NET_OPTION_NETDEV)
        snprintf(out, size, "hubport,id=h%u,hubid=%u%s%s", rnd() % 6, rnd() % 3,
                 rnd() % 3 ? "" : ",netdev=", rnd() % 2 ? "p0" : "h1");
    else
        snprintf(out, size, "filter-dump,id=f%u,netdev=%s%u,file=/dev/null,queue=%s,position=%s",
                 rnd() % 4, rnd() % 2 ? "p" : "h", rnd() % 6, queues[rnd() % 3],
                 rnd() % 2 ? "head" : "id=f1");
}

static void random_option(void)
{
    enum net_option_kind kind = rnd() % 2 ? NET_OPTION_NETDEV : NET_OPTION_OBJECT;
    char text[512];
    struct error err = { "" };
    struct net_option *list = NULL;
    bool help = false;
    random_words(text, sizeof text);
    if (!strstr(text, "help"))
        for (int k = NET_OPTION_NETDEV; k <= NET_OPTION_OBJECT; k++)
            if (!net_option_parse(&list, (enum net_option_kind)k, "-x", text, &help, &err) &&
                !err.msg[0])
                abort();
    net_options_free(list);
    if (rnd() % 2)
        random_good(text, sizeof text, kind);
    if (strstr(text, "help") || !no_sockets(text))
        return;
    if (kind == NET_OPTION_NETDEV)
        netdev_add(m, text, &err);
    else
        net_object_add(m, text, &err);
}

/* ---- frames ---- */

static void random_frame(struct net_peer *p)
{
    static uint8_t data[NET_FRAME_MAX];
    struct net_frame f = { .data = data, .len = 18 + rnd() % (rnd() % 8 ? 1500 : 66000) };
    memset(data, 0xff, 6);
    memcpy(data + 12, rnd() % 2 ? "\x08\x00\x45\x00" : "\x86\xdd\x60\x00", 4);
    memcpy(data + 18, &numbers, 4);
    numbers++;
    if (rnd() % 3 == 0) {
        f.off.needs_csum = rnd() % 4 != 0;
        f.off.gso = (uint8_t)(rnd() % 5);
        f.off.gso_size = (uint16_t)(rnd() % 3 ? rnd() % 2000 : rnd());
        f.off.csum_start = (uint16_t)(rnd() % 3 ? (data[12] == 8 ? 34 : 54) : rnd());
        f.off.csum_offset = (uint16_t)(rnd() % 3 ? 16 : rnd());
        data[23] = 6;
        data[f.off.csum_start < 1000 ? f.off.csum_start + 12 : 60] = 0x50;
    }
    net_send(&p->nc, &f);
}

static void forward(struct net_peer *p, const struct net_frame *f)
{
    if (rnd() % 4 == 0)
        net_send(&p->nc, f);
}

static void random_step(void)
{
    struct net_peer *p = peers[rnd() % PEERS];
    char name[8];
    struct error err;
    snprintf(name, sizeof name, "%c%u", "hpf"[rnd() % 3], rnd() % 6);
    switch (rnd() % 16) {
    case 0:
    case 1:
    case 2: random_option(); break;
    case 3: netdev_del(m, name[0] == 'h' ? name : "h0", &err); break;
    case 4: net_object_del(m, name, &err); break;
    case 5: net_set_link_by_name(m, name, rnd() % 2, &err); break;
    case 6: p->room = rnd() % 4 ? SIZE_MAX : rnd() % 5; break;
    case 7: net_accept(&p->nc); break;
    case 8: net_purge(&p->nc); break;
    case 9: p->nc.offloads = rnd() % 32; break;
    case 10:
        if (rnd() % 8 == 0)
            m->net->held = !m->net->held;
        break;
    case 11:
        if (rnd() % 4 == 0)
            net_disconnect(&p->nc);
        break;
    case 12: machine_run_slice(m, 0); break;
    default:
        for (unsigned n = rnd() % 40; n; n--)
            random_frame(p);
    }
    for (int i = 0; i < PEERS; i++) {
        if (peers[i]->nested || net_queue_length(&peers[i]->nc) > NET_QUEUE_FRAMES)
            abort();
        net_peer_clear(peers[i]);
    }
}

static void random_network(void)
{
    char name[8];
    board_new();
    for (int i = 0; i < PEERS; i++) {
        snprintf(name, sizeof name, "p%d", i);
        peers[i] = i % 2 ? net_peer_new_nic(m, name) : net_peer_new(m, name);
        if (rnd() % 2)
            peers[i]->on_receive = forward;
        if (rnd() % 2)
            net_connect(hub_add_port(m, rnd() % 3, NULL), &peers[i]->nc);
    }
    for (int i = 0; i < 300; i++)
        random_step();
    board_free();
}

/* ---- one wire, every frame accounted for ---- */

static uint32_t last_number;

static void check_order(struct net_peer *p, const struct net_frame *f)
{
    uint32_t n;
    memcpy(&n, f->data + 14, 4);
    if (n <= last_number)
        abort();
    last_number = n;
}

static void random_wire(void)
{
    board_new();
    struct net_peer *a = net_peer_new(m, "a"), *b = net_peer_new_nic(m, "b");
    uint64_t sent = 0;
    net_connect(&a->nc, &b->nc);
    b->on_receive = check_order;
    last_number = 0;
    for (uint32_t i = 1; i < 3000; i++) {
        b->room = rnd() % 3 ? b->room : rnd() % 6;
        if (rnd() % 50 == 0)
            net_set_link(&b->nc, rnd() % 3 != 0);
        if (rnd() % 60 == 0)
            net_purge(&b->nc);
        if (rnd() % 40 == 0)
            m->net->held = !m->net->held;
        if (rnd() % 3 == 0)
            net_accept(&b->nc);
        sent += net_peer_send_number(a, i, 18 + rnd() % 9000);
        net_peer_clear(b);
        if (sent != b->nc.stats.frames + b->nc.stats.dropped + net_queue_length(&b->nc))
            abort();
    }
    board_free();
}

int main(int argc, char **argv)
{
    unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    unsigned long rounds = 0;
    clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
    for (unsigned long i = 0; i < seed % 100000; i++)
        rnd();
    do {
        random_network();
        random_wire();
        rounds++;
    } while (clock() < end);
    printf("net_fuzz: seed %lu: %lu rounds\n", seed, rounds);
    return 0;
}
