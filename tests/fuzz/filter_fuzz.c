/*
 * Fuzzer of the filters' chardevs: what comes in for a filter-redirector (records cut anywhere,
 * damaged lengths, connections that end in the middle, a network without room), and what a
 * redirector and a mirror write to chardevs that take as much as they like and come and go. The
 * frames that must come out come out, whole and in order; a damaged length ends the input of that
 * connection and nothing else; what a new connection reads begins with a length.
 *
 *   filter_fuzz [ROUNDS [SEED]]
 *
 * The program is meant for AddressSanitizer.
 */
#include "../unit/devtest.h"
#include "../unit/net_peer.h"
#include "char/char_impl.h"
#include "log.h"
#include "net/net_impl.h"

enum { RECORDS = 40, STREAM = 1 << 20 };

static const char *const queues[] = { "rx", "tx", "all" };
static struct net_peer *netdev, *nic;
static bool vnet_hdr;

static void fail(const char *what)
{
    printf("filter_fuzz: %s\n", what);
    exit(1);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* ---- the chardevs' other ends ---- */

struct end {
    struct chardev *chr;
    uint8_t data[STREAM]; /* to come in, or what was written */
    size_t len, at;
    bool feeding;
};
static struct end in, out, mirror;

static struct end *end_of(const struct chardev *c)
{
    return c == in.chr ? &in : c == out.chr ? &out : &mirror;
}

static size_t end_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct end *e = end_of(c);
    size_t n = rnd() % 3 ? len : rnd() % (len + 1);
    if (e->len + n > STREAM)
        n = STREAM - e->len;
    memcpy(e->data + e->len, buf, n);
    e->len += n;
    return n;
}

/* What is there for the filter, in pieces, as far as it lets us. */
static void end_feed(struct chardev *c)
{
    struct end *e = end_of(c);
    size_t room;
    if (c != in.chr || !c->open || e->feeding)
        return;
    e->feeding = true;
    while (e->at < e->len && (room = chr_backend_room(c)) > 0) {
        size_t n = 1 + rnd() % (rnd() % 2 ? 9 : 70000);
        n = n > room ? room : n;
        n = n > e->len - e->at ? e->len - e->at : n;
        uint8_t *copy = malloc(n); /* a read beyond its end is seen */
        memcpy(copy, e->data + e->at, n);
        e->at += n;
        chr_backend_input(c, copy, n);
        free(copy);
    }
    e->feeding = false;
}

static void end_close(struct chardev *c)
{
    end_of(c)->chr = NULL;
}

static const struct chr_backend end_ops = { end_write, end_feed, end_close };

static void end_open(struct end *e, const char *id)
{
    e->chr = chr_alloc(m, id);
    e->chr->ops = &end_ops;
}

static void reopen(struct end *e)
{
    if (e->chr->open)
        chr_backend_event(e->chr, CHR_EVENT_CLOSED);
    e->len = e->at = 0;
    chr_backend_event(e->chr, CHR_EVENT_OPENED);
}

/* ---- in ---- */

struct record {
    size_t at, len;
};

/* One connection's input; returns how many frames it holds. */
static size_t make_stream(struct record *r, bool *broken)
{
    size_t n = 0, head = vnet_hdr ? 8 : 4;
    *broken = false;
    while (n < RECORDS && !*broken && rnd() % 30) {
        size_t len = rnd() % 10 ? rnd() % 1600 : rnd() % 4 ? rnd() % 20000 : NET_FRAME_MAX;
        if (in.len + head + len > STREAM)
            break;
        uint8_t *p = in.data + in.len;
        *broken = rnd() % 60 == 0;
        put32(p, *broken ? NET_FRAME_MAX + 1 + rnd() % 0xffff0000u % 0x7fffffffu : (uint32_t)len);
        if (vnet_hdr) {
            put32(p + 4, 0);
            if (rnd() % 100 == 0) {
                put32(p + 4, 1 + rnd() % 100);
                *broken = true;
            }
        }
        for (size_t i = 0; i < len; i++)
            p[head + i] = (uint8_t)rnd();
        if (len && !*broken)
            r[n++] = (struct record){ in.len + head, len };
        in.len += head + len;
    }
    return n;
}

/* @p got the first frames of the stream, in order; @any: some of them may be missing. Returns how
 * many. */
static size_t check_frames(const struct net_peer *p, const struct record *r, size_t n, bool any)
{
    size_t next = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct net_peer_frame *f = &p->frames[i];
        while (any && next < n &&
               (r[next].len != f->len || memcmp(in.data + r[next].at, f->data, f->len) != 0))
            next++;
        if (next == n || r[next].len != f->len ||
            memcmp(in.data + r[next].at, f->data, f->len) != 0)
            fail("a frame that nobody sent, or not in its place");
        next++;
    }
    return p->count;
}

static void input_round(const char *queue)
{
    struct record r[RECORDS];
    bool broken, whole = rnd() % 3 != 0;
    struct net_peer *first = strcmp(queue, "rx") ? nic : netdev;
    reopen(&in);
    net_purge(&nic->nc);
    net_purge(&netdev->nc);
    net_peer_clear(nic);
    net_peer_clear(netdev);
    size_t n = make_stream(r, &broken);
    size_t cut = whole ? in.len : rnd() % (in.len + 1), all = in.len;
    in.len = cut;
    for (int i = 0; i < 200 && in.at < in.len; i++) {
        nic->room = rnd() % 3 ? SIZE_MAX : rnd() % 4;
        netdev->room = rnd() % 3 ? SIZE_MAX : rnd() % 4;
        end_feed(in.chr);
        net_accept(&nic->nc);
        net_accept(&netdev->nc);
        settle();
    }
    nic->room = netdev->room = SIZE_MAX;
    for (int i = 0; i < 200; i++) {
        net_accept(&nic->nc);
        net_accept(&netdev->nc);
        end_feed(in.chr);
        settle();
    }
    in.len = all;
    size_t got = check_frames(first, r, n, false);
    if (whole && got != n)
        fail("frames are missing");
    check_frames(first == nic ? netdev : nic, r, n, true);
    if (!strcmp(queue, "all") ? netdev->count > nic->count
        : first == nic        ? netdev->count
                              : nic->count)
        fail("frames on the wrong side");
    if (whole && !broken && in.at != in.len)
        fail("a good stream isn't read to its end");
}

/* ---- out ---- */

/* Whole records in order, but for the last one; numbers that were sent on this connection. */
static void check_output(const struct end *e, uint32_t first, uint32_t last, bool complete)
{
    size_t head = vnet_hdr ? 8 : 4, at = 0;
    uint32_t n, seen = 0, before = first - 1;
    for (; e->len - at >= head; seen++) {
        size_t len = get32(e->data + at);
        if (len < 18 || len > 9100 || (vnet_hdr && get32(e->data + at + 4)))
            fail("what a filter wrote is no stream of frames");
        if (e->len - at - head < len)
            break;
        memcpy(&n, e->data + at + head + 14, 4);
        if (n <= before || n > last)
            fail("a filter wrote frames twice, or not in order");
        before = n;
        at += head + len;
    }
    if (complete && (at != e->len || seen != last - first + 1))
        fail("a filter's chardev got less than was sent");
}

static void output_round(bool sees)
{
    static uint32_t number;
    uint32_t first = number + 1;
    net_purge(&netdev->nc);
    reopen(&out);
    reopen(&mirror);
    for (unsigned n = rnd() % 60; n; n--) {
        net_peer_send_number(nic, ++number, 18 + rnd() % 9000);
        if (rnd() % 4 == 0)
            chr_backend_writable(rnd() % 2 ? out.chr : mirror.chr);
        net_peer_clear(netdev);
    }
    bool complete = rnd() % 2;
    for (int i = 0; i < 400 && complete; i++) {
        chr_backend_writable(out.chr);
        chr_backend_writable(mirror.chr);
    }
    complete = complete && mirror.len < STREAM / 2 && out.len < STREAM / 2;
    check_output(&mirror, first, number, complete);
    check_output(&out, first, number, complete && sees);
    if (!sees && out.len)
        fail("the redirector took what it doesn't see");
}

/* ---- one network ---- */

static void network_round(void)
{
    const char *queue = queues[rnd() % 3];
    char text[200];
    struct error err;
    board_new();
    vnet_hdr = rnd() % 2;
    netdev = net_peer_new(m, "n");
    nic = net_peer_new_nic(m, "nic");
    net_connect(&netdev->nc, &nic->nc);

    end_open(&in, "in");
    end_open(&out, "out");
    end_open(&mirror, "mirror");
    const char *vnet = vnet_hdr ? ",vnet_hdr_support=on" : "";
    /* What the guest sends passes the last filter first: the mirror. */
    snprintf(text, sizeof text, "filter-redirector,id=f,netdev=n,queue=%s,indev=in,outdev=out%s",
             queue, vnet);
    if (!net_object_add(m, text, &err))
        fail(err.msg);
    for (unsigned i = 0; i < 4; i++)
        input_round(queue);
    snprintf(text, sizeof text, "filter-mirror,id=g,netdev=n,queue=rx,outdev=mirror%s", vnet);
    if (!net_object_add(m, text, &err))
        fail(err.msg);
    for (unsigned i = 0; i < 6; i++)
        output_round(strcmp(queue, "tx") != 0);
    if (rnd() % 2)
        net_object_del(m, "f", &err);
    if (rnd() % 2)
        reopen(&in);
    net_cleanup(m);
    while (m->chardevs)
        chr_close(m->chardevs);
    board_free();
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 150;
    for (unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 0) % 100000 : 0; n; n--)
        rnd();
    for (int i = 0; i < rounds; i++)
        network_round();
    printf("%d rounds\n", rounds);
    return 0;
}
