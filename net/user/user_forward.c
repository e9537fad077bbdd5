/*
 * Forwardings of the user netdev: host ports that lead to the guest (hostfwd) and addresses of its
 * network that lead to a chardev or a program (guestfwd). Rules and messages are QEMU's, which says
 * no more than that a rule could not be set up; we add why.
 *
 * A guestfwd's chardev and the guest's connection hold one another back: the stack takes from the
 * chardev what fits into the connection's buffer (can_receive), and keeps what the chardev doesn't
 * take until that is writable. A rule with cmd: starts the program for each connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "char/char.h"
#include "net/user/libslirp/glue.h"
#include "net/user/sockets.h"
#include "net/user/user_impl.h"

#define PART 128 /* QEMU's limit of a rule's parts */

/* Copies what stands before @separator to @part and moves *@text behind it. */
static bool split(const char **text, char separator, char part[PART])
{
    const char *at = strchr(*text, separator);
    if (!at)
        return false;
    snprintf(part, PART, "%.*s", (int)(at - *text < PART ? at - *text : PART - 1), *text);
    *text = at + 1;
    return true;
}

/* As strtol() with any base (nothing is 0), and nothing behind it. */
static bool parse_port(const char *text, int lowest, int *port)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 0);
    if (errno || *end || n < lowest || n > 65535)
        return false;
    *port = (int)n;
    return true;
}

/* ---- hostfwd ---- */

struct hostfwd {
    bool udp;
    struct in_addr host, guest; /* 0: any address; the first of DHCP */
    int host_port, guest_port;
};

/* NULL, or what is wrong. */
static const char *parse_hostfwd(const char *p, struct hostfwd *f)
{
    char part[PART];
    *f = (struct hostfwd){ 0 };
    if (!split(&p, ':', part))
        return "No : separators";
    f->udp = !strcmp(part, "udp");
    if (*part && !f->udp && strcmp(part, "tcp"))
        return "Bad protocol name";
    if (!split(&p, ':', part))
        return "Missing : separator";
    if (*part && !inet_aton(part, &f->host))
        return "Bad host address";
    if (!split(&p, '-', part))
        return "Bad host port separator";
    if (!parse_port(part, 0, &f->host_port))
        return "Bad host port";
    if (!split(&p, ':', part))
        return "Missing guest address";
    if (*part && !inet_aton(part, &f->guest))
        return "Bad guest address";
    if (!parse_port(p, 1, &f->guest_port))
        return "Bad guest port";
    return NULL;
}

bool user_hostfwd_add(struct user_net *u, const char *rule, struct error *err)
{
    struct hostfwd f;
    const char *wrong = parse_hostfwd(rule, &f);
    if (wrong)
        return error_set(err, "Invalid host forwarding rule '%s' (%s)", rule, wrong);
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(u->stack, &before);
    errno = 0;
    int status = slirp_add_hostfwd(slirp, f.udp, f.host, f.host_port, f.guest, f.guest_port);
    int reason = errno;
    user_stack_leave(u->stack, before);
    if (status < 0)
        return error_set(err, "Could not set up host forwarding rule '%s'%s%s", rule,
                         reason ? ": " : "", reason ? strerror(reason) : "");
    return true;
}

bool user_hostfwd_remove(struct user_net *u, const char *rule, struct error *err)
{
    char part[PART];
    const char *p = rule;
    struct in_addr host = { 0 };
    int port;
    bool udp = false;
    if (split(&p, ':', part)) {
        udp = !strcmp(part, "udp");
        if (*part && !udp && strcmp(part, "tcp"))
            return error_set(err, "invalid format");
        if (!split(&p, ':', part) || (*part && !inet_aton(part, &host)))
            return error_set(err, "invalid format");
    } else {
        return error_set(err, "invalid format");
    }
    if (!parse_port(p, 0, &port))
        return error_set(err, "invalid format");
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(u->stack, &before);
    int status = slirp_remove_hostfwd(slirp, udp, host, port);
    user_stack_leave(u->stack, before);
    if (status < 0)
        return error_set(err, "host forwarding rule for %s not found", rule);
    return true;
}

/* ---- guestfwd ---- */

/* The guest sent something. */
static ssize_t guestfwd_write(const void *buf, size_t len, void *opaque)
{
    struct user_guestfwd *f = opaque;
    size_t n = chr_write(f->chr, buf, len);
    if (n || !len)
        return (ssize_t)n;
    errno = EAGAIN;
    return -1;
}

static void chr_writable(void *opaque)
{
    struct user_guestfwd *f = opaque;
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(f->net->stack, &before);
    user_glue_guestfwd_writable(slirp, f->server, f->port);
    user_stack_leave(f->net->stack, before);
}

static size_t chr_can_receive(void *opaque)
{
    struct user_guestfwd *f = opaque;
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(f->net->stack, &before);
    size_t room = slirp_socket_can_recv(slirp, f->server, f->port);
    user_leave(before);
    return room;
}

static void chr_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct user_guestfwd *f = opaque;
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(f->net->stack, &before);
    slirp_socket_recv(slirp, f->server, f->port, buf, (int)len);
    user_stack_leave(f->net->stack, before);
}

static bool guestfwd_chardev(struct user_net *u, struct in_addr server, int port, const char *spec,
                             struct error *err)
{
    char label[128], address[INET_ADDRSTRLEN];
    struct error why = { "" };
    for (struct user_guestfwd *f = u->guestfwds; f; f = f->next)
        if (f->server.s_addr == server.s_addr && f->port == port)
            return error_set(err, "Conflicting/invalid host:port in guest forwarding rule");
    inet_ntop(AF_INET, &server, address, sizeof address);
    snprintf(label, sizeof label, "guestfwd.%.64s.tcp.%s.%d", u->nc.name, address, port);
    struct user_guestfwd *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(err, "out of memory");
    f->chr = chr_open(u->nc.machine, label, spec, &why);
    if (!f->chr) {
        free(f);
        return error_set(err, "Could not open guest forwarding device 'guestfwd.tcp.%d': %s", port,
                         why.msg);
    }
    f->net = u;
    f->server = server;
    f->port = port;
    f->ours = strncmp(spec, "chardev:", 8) != 0;
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(u->stack, &before);
    int status = slirp_add_guestfwd(slirp, guestfwd_write, f, &f->server, port);
    user_stack_leave(u->stack, before);
    if (status < 0) {
        if (f->ours)
            chr_close(f->chr);
        free(f);
        return error_set(err, "Conflicting/invalid host:port in guest forwarding rule");
    }
    f->next = u->guestfwds;
    u->guestfwds = f;
    chr_attach(f->chr, &(struct chr_frontend){ .can_receive = chr_can_receive,
                                               .receive = chr_receive,
                                               .writable = chr_writable,
                                               .opaque = f });
    return true;
}

bool user_guestfwd_add(struct user_net *u, const char *rule, struct error *err)
{
    char part[PART];
    const char *p = rule;
    struct in_addr server = { 0 };
    int port;
    if (!split(&p, ':', part) || (*part && strcmp(part, "tcp")) || !split(&p, ':', part) ||
        (*part && !inet_aton(part, &server)) || !split(&p, '-', part) ||
        !parse_port(part, 1, &port))
        return error_set(err, "Invalid guest forwarding rule '%s'", rule);
    if (strncmp(p, "cmd:", 4)) {
        struct error why = { "" };
        if (guestfwd_chardev(u, server, port, p, &why))
            return true;
        if (!strncmp(why.msg, "Conflicting", 11))
            return error_set(err, "%s '%s'", why.msg, rule);
        return error_set(err, "%s", why.msg);
    }
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(u->stack, &before);
    bool programs = user_current()->ops->spawn != NULL && !u->relay;
    int status = programs ? slirp_add_exec(slirp, p + 4, &server, port) : 0;
    user_stack_leave(u->stack, before);
    if (!programs)
        return error_set(err, "guest forwarding rule '%s': programs can't be run here", rule);
    if (status < 0)
        return error_set(err, "Conflicting/invalid host:port in guest forwarding rule '%s'", rule);
    return true;
}

void user_guestfwd_continue(struct user_net *u)
{
    for (struct user_guestfwd *f = u->guestfwds; f; f = f->next)
        if (chr_can_receive(f))
            chr_accept_input(f->chr);
}

void user_guestfwd_free_all(struct user_net *u)
{
    while (u->guestfwds) {
        struct user_guestfwd *f = u->guestfwds;
        u->guestfwds = f->next;
        chr_attach(f->chr, NULL);
        if (f->ours)
            chr_close(f->chr);
        free(f);
    }
}
