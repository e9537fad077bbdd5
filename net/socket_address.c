/*
 * Socket addresses of options: which members each type must have, and their translation to what
 * host.h understands.
 */
#include "net/socket_address.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

static const char *member(const struct keyval *args, const char *prefix, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%s", prefix, name);
    return keyval_get(args, key);
}

/* NULL and @err if it isn't there. */
static const char *required(const struct keyval *args, const char *prefix, const char *name,
                            struct error *err)
{
    const char *value = member(args, prefix, name);
    if (!value)
        error_set(err, "Parameter '%s.%s' is missing", prefix, name);
    return value;
}

/* on (1), off (0), not given (-1). */
static int tristate(const struct keyval *args, const char *prefix, const char *name)
{
    const char *text = member(args, prefix, name);
    bool value;
    return text && parse_bool(text, &value) ? value : -1;
}

__attribute__((format(printf, 2, 3))) static void append(struct socket_address *a, const char *fmt,
                                                         ...)
{
    size_t len = strlen(a->spec);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->spec + len, sizeof a->spec - len, fmt, ap);
    va_end(ap);
}

static bool parse_inet(struct socket_address *a, const char *prefix, const struct keyval *args,
                       struct error *err)
{
    uint64_t port, to;
    const char *last = member(args, prefix, "to");
    const char *host = required(args, prefix, "host", err);
    const char *port_text = host ? required(args, prefix, "port", err) : NULL;
    if (!port_text)
        return false;
    if (!parse_u64(port_text, &port) || port > 65535)
        return error_set(err, "port '%.100s' is not a number from 0 to 65535", port_text);
    if (last && (!parse_u64(last, &to) || to > 65535 || to < port))
        return error_set(err, "%s.to '%.100s' is not a port from %s on", prefix, last, port_text);
    if (strlen(host) > 250 || strpbrk(host, ",[]"))
        return error_set(err, "'%.100s' is not a host", host);
    if (tristate(args, prefix, "mptcp") == 1)
        return error_set(err, "multipath TCP (%s.mptcp) isn't there", prefix);
    int ipv4 = tristate(args, prefix, "ipv4"), ipv6 = tristate(args, prefix, "ipv6");
    if (ipv4 == 0 && ipv6 == 0)
        return error_set(err, "Cannot disable IPv4 and IPv6 at same time");
    a->kind = "tcp";
    a->host = host;
    snprintf(a->where, sizeof a->where, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port);
    append(a, "%s", a->where);
    if ((ipv4 == 1 && ipv6 != 1) || ipv6 == 0)
        append(a, ",ipv4");
    else if ((ipv6 == 1 && ipv4 != 1) || ipv4 == 0)
        append(a, ",ipv6");
    else
        append(a, ",dual");
    if (last)
        append(a, ",to=%u", (unsigned)to);
    if (tristate(args, prefix, "keep-alive") == 1)
        append(a, ",keep-alive");
    return true;
}

static bool parse_path(struct socket_address *a, const char *prefix, const struct keyval *args,
                       const char *name, struct error *err)
{
    const char *path = required(args, prefix, name, err);
    if (!path)
        return false;
    if (strlen(path) >= sizeof a->where)
        return error_set(err, "%s.%s is too long", prefix, name);
    snprintf(a->spec, sizeof a->spec, "%s", path);
    snprintf(a->where, sizeof a->where, "%s", path);
    return true;
}

bool socket_address_parse(struct socket_address *a, const char *prefix, const struct keyval *args,
                          struct error *err)
{
    *a = (struct socket_address){ 0 };
    const char *type = member(args, prefix, "type");
    if (!type) {
        for (const struct keyval *kv = args; kv; kv = kv->next)
            if (!strncmp(kv->key, prefix, strlen(prefix)) && kv->key[strlen(prefix)] == '.')
                return error_set(err, "Parameter '%s.type' is missing", prefix);
        return true;
    }
    if (!strcmp(type, "inet")) {
        a->type = SOCKET_INET;
        return parse_inet(a, prefix, args, err);
    }
    if (!strcmp(type, "unix")) {
        a->type = SOCKET_UNIX;
        a->kind = "unix";
        if (tristate(args, prefix, "abstract") == 1)
            a->kind = tristate(args, prefix, "tight") == 0 ? "abstract-padded" : "abstract";
        return parse_path(a, prefix, args, "path", err);
    }
    if (!strcmp(type, "fd")) {
        a->type = SOCKET_FD;
        a->kind = "fd";
        return parse_path(a, prefix, args, "str", err);
    }
    return error_set(err, "Parameter '%s.type' does not accept value '%.100s'", prefix, type);
}
