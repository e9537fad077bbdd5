/*
 * Browsers say in Origin (RFC 6454 7) which page wants a WebSocket; other programs needn't, and
 * could say anything, so without the header nothing is asked.
 *
 * `same` compares Origin with Host. That alone would let in a page whose name its owner makes
 * resolve to this relay's address (DNS rebinding): so the name has to be an address, localhost, or
 * one of the configuration's `host`.
 */
#include "relay/origin.h"

#include <stdio.h>
#include <string.h>

/* The host of "HOST", "HOST:PORT" or "[ADDRESS]:PORT", without the brackets. */
static void host_part(char *out, size_t room, const char *host)
{
    size_t len = host[0] == '[' ? strcspn(++host, "]") : strcspn(host, ":");
    snprintf(out, room, "%.*s", (int)len, host);
}

static bool own_name(const struct config *c, const char *host)
{
    char name[256];
    struct relay_address a;
    host_part(name, sizeof name, host);
    size_t len = strlen(name);
    if (address_parse(&a, name) || !strcasecmp(name, "localhost") ||
        (len > 10 && !strcasecmp(name + len - 10, ".localhost")))
        return true;
    for (size_t i = 0; i < c->host.n; i++) {
        if (!strcasecmp(c->host.of[i], name))
            return true;
    }
    return false;
}

static bool same(const struct config *c, const char *origin, const char *host, bool tls)
{
    const char *scheme = tls ? "https://" : "http://";
    size_t len = strlen(scheme);
    return !strncasecmp(origin, scheme, len) && !strcasecmp(origin + len, host) &&
           own_name(c, host);
}

bool origin_allowed(const struct config *c, const char *origin, const char *host, bool tls)
{
    if (!*origin)
        return true;
    for (size_t i = 0; i < c->origin.n; i++) {
        const char *one = c->origin.of[i];
        if (!strcmp(one, "any"))
            return true;
        if (!strcmp(one, "same") ? same(c, origin, host, tls) : !strcasecmp(one, origin))
            return true;
    }
    return false;
}
