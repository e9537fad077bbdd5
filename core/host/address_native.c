/*
 * Socket addresses on Linux. Host names are looked up with the system's resolver, which may take
 * its time: who can't wait gives numbers.
 */
#define _GNU_SOURCE

#include "host/address_native.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool parse_flags(const char *text, struct address_flags *f)
{
    char word[32];
    while (*text == ',') {
        size_t len = strcspn(++text, ",");
        if (len >= sizeof word)
            return false;
        memcpy(word, text, len);
        word[len] = 0;
        text += len;
        if (!strcmp(word, "ipv4"))
            f->ipv4 = true;
        else if (!strcmp(word, "ipv6"))
            f->ipv6 = true;
        else if (!strcmp(word, "dual"))
            f->dual = true;
        else if (!strcmp(word, "keep-alive"))
            f->keep_alive = true;
        else if (sscanf(word, "to=%5u", &f->to) != 1)
            return false;
    }
    return true;
}

bool address_resolve(const char *what, const char *spec, int socktype, bool passive,
                     struct addrinfo **list, struct address_flags *flags, struct error *err)
{
    char text[300], *name = text;
    struct address_flags f = { 0 };
    size_t len = strcspn(spec, ",");
    if (len >= sizeof text || !parse_flags(spec + len, &f))
        return error_set(err, "%s:%s: not an address", what, spec);
    memcpy(text, spec, len);
    text[len] = 0;
    char *colon = strrchr(text, ':');
    if (!colon || !colon[1])
        return error_set(err, "%s:%s: expected HOST:PORT", what, spec);
    *colon = 0;
    if (colon - text >= 2 && text[0] == '[' && colon[-1] == ']') { /* an IPv6 address */
        colon[-1] = 0;
        name++;
    }
    int family = f.ipv4 ? AF_INET : f.ipv6 ? AF_INET6 : AF_UNSPEC;
    if (!*name && family == AF_UNSPEC && !(f.dual && passive))
        family = AF_INET;
    struct addrinfo hints = { .ai_socktype = socktype,
                              .ai_family = family,
                              .ai_flags = passive ? AI_PASSIVE : 0 };
    int e = getaddrinfo(*name ? name : NULL, colon + 1, &hints, list);
    if (e)
        return error_set(err, "%s:%.*s: %s", what, (int)len, spec, gai_strerror(e));
    if (!*name && (*list)->ai_next && (*list)->ai_family == AF_INET) {
        /* any address of both families: IPv6's takes IPv4, too, so it goes first */
        struct addrinfo *second = (*list)->ai_next;
        (*list)->ai_next = second->ai_next;
        second->ai_next = *list;
        *list = second;
    }
    const struct sockaddr *a = (*list)->ai_addr;
    f.port = ntohs(a->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                            : ((const struct sockaddr_in *)a)->sin_port);
    if (flags)
        *flags = f;
    return true;
}

void address_text(const struct sockaddr *a, socklen_t len, char *buf, size_t size)
{
    char host[64], port[16];
    *buf = 0;
    if (a->sa_family == AF_UNIX) {
        const struct sockaddr_un *u = (const struct sockaddr_un *)a;
        if (len > offsetof(struct sockaddr_un, sun_path) && u->sun_path[0])
            snprintf(buf, size, "%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path)),
                     u->sun_path);
        return;
    }
    if (!getnameinfo(a, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(buf, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

bool address_unix(const char *what, const char *path, struct sockaddr_un *a, struct error *err)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (!*path || strlen(path) >= sizeof a->sun_path)
        return error_set(err, "%s:%s: the path must have 1 to %zu characters", what, path,
                         sizeof a->sun_path - 1);
    strcpy(a->sun_path, path);
    return true;
}

void address_remove_stale(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED)
        unlink(a->sun_path);
    close(fd);
}
