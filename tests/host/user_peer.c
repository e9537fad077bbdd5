/*
 * A user-mode network without a PC: frames come and go on standard input and output, as QEMU's
 * stream netdev has them (length in 4 bytes, big-endian, then the frame). tests/net/user_*.py drive
 * it beside a QEMU without a guest.
 *
 *   user_peer OPTIONS          the options of -netdev user, "net=10.0.2.0/24,..."
 *
 * A length with the top bit set announces a line for the test program itself, which answers in the
 * same form: "info" (info usernet), "network" (info network's text), "hostfwd_add RULE",
 * "hostfwd_remove RULE", "netdev_add user,id=ID,...", "netdev_del ID", "stop" (takes no more
 * frames), "go", "quit".
 *
 * The machine around it has a CPU that sleeps for ever; clock, bottom halves and loop are the real
 * ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpu/cpu.h"
#include "host/host.h"
#include "machine.h"
#include "monitor/text.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/user/user.h"

#define COMMAND   0x80000000u
#define MAX_QUEUE (1 << 20)

static struct {
    struct machine m;
    struct host_stream *stream;
    struct net_client *peer;
    uint8_t in[4 + NET_FRAME_MAX];
    size_t in_len;
    uint8_t *out;
    size_t out_len, out_size;
    bool stopped, wait; /* takes no frames; the network takes none */
} p;

/* ---- output ---- */

static void flush(void)
{
    size_t done = 0;
    while (done < p.out_len) {
        long n = host_stream_write(p.stream, p.out + done, p.out_len - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    memmove(p.out, p.out + done, p.out_len - done);
    p.out_len -= done;
}

static void put(uint32_t mark, const void *data, size_t len)
{
    if (p.out_len + len + 4 > p.out_size) {
        p.out_size = 2 * (p.out_len + len + 4);
        p.out = realloc(p.out, p.out_size);
        if (!p.out)
            abort();
    }
    uint32_t word = mark | (uint32_t)len;
    uint8_t head[4] = { (uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8),
                        (uint8_t)word };
    memcpy(p.out + p.out_len, head, 4);
    if (len)
        memcpy(p.out + p.out_len + 4, data, len);
    p.out_len += len + 4;
}

static void put_text(const char *s)
{
    put(COMMAND, s, strlen(s));
    flush();
}

static void writable(void *opaque)
{
    flush();
    if (p.out_len < MAX_QUEUE && !p.stopped)
        net_accept(p.peer);
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    if (p.stopped || p.out_len > MAX_QUEUE)
        return false;
    put(0, f->data, f->len);
    flush();
    return true;
}

/* ---- input ---- */

static void command(char *line)
{
    struct error err = { "" };
    struct text out = { 0 };
    struct net_client *u = net_find(&p.m, "u");
    char *space = strchr(line, ' ');
    const char *arg = space ? space + 1 : "";
    char buf[256] = "";
    if (space)
        *space = 0;
    if (!strcmp(line, "info"))
        u->cls->info_usernet(u, &out);
    else if (!strcmp(line, "network"))
        u->ops->describe(u, buf, sizeof buf);
    else if (!strcmp(line, "hostfwd_add"))
        u->cls->hostfwd_add(u, arg, &err);
    else if (!strcmp(line, "hostfwd_remove"))
        u->cls->hostfwd_remove(u, arg, &err);
    else if (!strcmp(line, "netdev_add"))
        netdev_add(&p.m, arg, &err);
    else if (!strcmp(line, "netdev_del"))
        netdev_del(&p.m, arg, &err);
    else if (!strcmp(line, "stop") || !strcmp(line, "go"))
        p.stopped = line[0] == 's';
    else if (!strcmp(line, "quit"))
        machine_request_shutdown(&p.m, SHUTDOWN_HOST_QMP_QUIT, 0);
    if (!p.stopped)
        net_accept(p.peer);
    put_text(out.len ? text_str(&out) : buf[0] ? buf : err.msg);
    text_free(&out);
}

/* What is complete in p.in. */
static void take(void)
{
    for (;;) {
        if (p.in_len < 4)
            return;
        uint32_t word =
            (uint32_t)p.in[0] << 24 | (uint32_t)p.in[1] << 16 | (uint32_t)p.in[2] << 8 | p.in[3];
        size_t len = word & ~COMMAND;
        if (len > NET_FRAME_MAX - 1)
            exit(2);
        if (p.in_len < 4 + len)
            return;
        if (word & COMMAND) {
            char line[1024];
            snprintf(line, sizeof line, "%.*s", (int)len, (char *)p.in + 4);
            command(line);
        } else if (!net_send_buf(p.peer, p.in + 4, len)) {
            p.wait = true;
            host_stream_want_read(p.stream, false);
            return;
        }
        p.in_len -= 4 + len;
        memmove(p.in, p.in + 4 + len, p.in_len);
    }
}

static void readable(void *opaque)
{
    if (p.wait)
        return;
    long n = host_stream_read(p.stream, p.in + p.in_len, sizeof p.in - p.in_len);
    if (n == 0) {
        host_stream_want_read(p.stream, false);
        machine_request_shutdown(&p.m, SHUTDOWN_HOST_QMP_QUIT, 0);
    }
    if (n > 0) {
        p.in_len += (size_t)n;
        take();
    }
}

static void network_writable(struct net_client *nc)
{
    p.wait = false;
    host_stream_want_read(p.stream, true);
    take();
}

static const struct host_stream_ops stream_ops = { .readable = readable, .writable = writable };
static const struct net_client_ops peer_ops = { .type = "test",
                                                .receive = receive,
                                                .writable = network_writable };

int main(int argc, char **argv)
{
    static struct machine_options opt;
    struct error err = { "" };
    char arg[4096];
    options_init(&opt);
    p.m.opt = &opt;
    p.m.deferred_end = &p.m.deferred;
    p.m.state = RUN_STATE_RUNNING;
    p.m.cpus[0] = calloc(1, sizeof *p.m.cpus[0]);
    if (!p.m.cpus[0])
        return 1;
    p.m.cpus[0]->halted = true;
    clock_init(&p.m.clock);
    clock_start(&p.m.clock);

    snprintf(arg, sizeof arg, "user,id=u%s%s", argc > 1 && *argv[1] ? "," : "",
             argc > 1 ? argv[1] : "");
    p.peer = net_client_new(&p.m, &peer_ops, sizeof *p.peer, "test", "peer");
    if (!netdev_add(&p.m, arg, &err)) {
        fprintf(stderr, "slipway: %s\n", err.msg);
        return 1;
    }
    net_connect(p.peer, net_find(&p.m, "u"));
    p.stream = host_stream_open("stdio", "", false, &stream_ops, NULL, &err);
    if (!p.stream) {
        fprintf(stderr, "slipway: %s\n", err.msg);
        return 1;
    }
    int status = host_main(&p.m);
    host_stream_close(p.stream);
    net_cleanup(&p.m);
    free(p.m.cpus[0]);
    free(p.out);
    clock_free(&p.m.clock);
    options_free(&opt);
    return status;
}
