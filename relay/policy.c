/*
 * Policies: parsing and asking. All lists are lists of what is allowed; an empty one allows
 * nothing. Which addresses no token may open is the configuration's `deny` (config.h), not here.
 *
 * A network in `egress` means all of its addresses but those of a class that asks for special care
 * (link-local and after it in enum egress_class) and that the network's own first address isn't
 * in: "0.0.0.0/0" opens neither loopback nor a cloud's metadata, "127.0.0.0/8" opens loopback.
 */
#include "relay/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/egress.h"

/* ---- addresses ---- */

bool address_parse(struct relay_address *a, const char *text)
{
    *a = (struct relay_address){ .family = 4 };
    if (inet_pton(AF_INET, text, a->ip) == 1)
        return true;
    *a = (struct relay_address){ .family = 6 };
    return inet_pton(AF_INET6, text, a->ip) == 1;
}

static bool port_parse(uint16_t *port, const char *text, char **end)
{
    if (*text < '0' || *text > '9')
        return false;
    unsigned long v = strtoul(text, end, 10);
    *port = (uint16_t)v;
    return v <= 65535;
}

bool endpoint_parse(struct relay_address *a, const char *text, struct error *err)
{
    char host[64] = "127.0.0.1";
    const char *port = text, *colon = strrchr(text, ':');
    char *end;
    if (colon) {
        bool brackets = text[0] == '[' && colon > text && colon[-1] == ']';
        size_t len = (size_t)(colon - text) - (brackets ? 2 : 0);
        if (len >= sizeof host)
            return error_set(err, "'%s': no address", text);
        memcpy(host, text + brackets, len);
        host[len] = 0;
        port = colon + 1;
        if (strchr(host, ':') && !brackets)
            return error_set(err, "'%s': IPv6 addresses stand in brackets", text);
    }
    if (!address_parse(a, host) || !port_parse(&a->port, port, &end) || *end)
        return error_set(err, "'%s': not ADDRESS:PORT (numbers, no names)", text);
    return true;
}

const char *address_text(const struct relay_address *a)
{
    static char slots[4][64];
    static unsigned slot;
    char ip[INET6_ADDRSTRLEN] = "?", *out = slots[slot++ % 4];
    inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, ip, sizeof ip);
    snprintf(out, sizeof *slots, a->family == 6 ? "[%s]:%u" : "%s:%u", ip, a->port);
    return out;
}

bool size_parse(uint64_t *v, const char *text, struct error *err)
{
    static const char units[] = "kMG";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = 0;
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (*text < '0' || *text > '9' || *end || errno || n > UINT64_MAX >> 1 >> shift)
        return error_set(err, "'%s': not a number (k, M, G may stand behind it)", text);
    *v = (uint64_t)n << shift;
    return true;
}

/* ---- ranges ---- */

static bool in_network(const struct range *r, const struct relay_address *a)
{
    unsigned whole = r->bits / 8, left = r->bits % 8;
    if (a->family != r->net.family || memcmp(a->ip, r->net.ip, whole))
        return false;
    return !left || (a->ip[whole] ^ r->net.ip[whole]) >> (8 - left) == 0;
}

bool ranges_contain(const struct ranges *r, const struct relay_address *addr, unsigned class)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct range *one = &r->of[i];
        if (addr->port < one->port_min || addr->port > one->port_max)
            continue;
        if (one->by_class) {
            if (one->class == class)
                return true;
        } else if (in_network(one, addr) && (class < EGRESS_MULTICAST || class == one->class)) {
            return true;
        }
    }
    return false;
}

void ranges_free(struct ranges *r)
{
    free(r->of);
    *r = (struct ranges){ 0 };
}

static bool network_parse(struct range *r, char *text)
{
    char *slash = strchr(text, '/'), *end;
    if (slash)
        *slash = 0;
    if (!address_parse(&r->net, text))
        return false;
    unsigned most = r->net.family == 4 ? 32 : 128;
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : most;
    if (slash && (slash[1] < '0' || slash[1] > '9' || *end))
        return false;
    r->bits = (uint8_t)bits;
    struct relay_address dial;
    r->class = (uint8_t)egress_check(&r->net, &dial);
    return bits <= most;
}

/* One entry: "CLASS", "NETWORK", each with ":PORT" or ":PORT-PORT"; IPv6 with ports in brackets. */
static bool range_parse(struct range *r, char *text)
{
    char *ports = NULL, *end;
    *r = (struct range){ .port_max = 65535 };
    if (*text == '[') {
        char *close = strchr(text, ']');
        if (!close)
            return false;
        *close = 0;
        text++;
        if (close[1] == ':')
            ports = close + 2;
        else if (close[1])
            return false;
    } else if (strchr(text, ':') == strrchr(text, ':') && strchr(text, ':')) {
        ports = strchr(text, ':');
        *ports++ = 0;
    }
    if (ports) {
        if (!port_parse(&r->port_min, ports, &end))
            return false;
        r->port_max = r->port_min;
        if (*end == '-' && !port_parse(&r->port_max, end + 1, &end))
            return false;
        if (*end || r->port_max < r->port_min)
            return false;
    }
    for (unsigned i = 0; i < EGRESS_CLASSES; i++) {
        if (!strcmp(text, egress_class_name(i))) {
            r->by_class = true;
            r->class = (uint8_t)i;
            return true;
        }
    }
    return network_parse(r, text);
}

bool ranges_parse(struct ranges *r, const char *text, struct error *err)
{
    char *copy = strdup(text), *at = copy, *entry;
    ranges_free(r);
    while ((entry = strsep(&at, ", \t"))) {
        char shown[80];
        if (!*entry || !strcmp(entry, "none"))
            continue;
        snprintf(shown, sizeof shown, "%s", entry);
        r->of = realloc(r->of, (r->n + 1) * sizeof *r->of);
        if (!range_parse(&r->of[r->n], entry)) {
            free(copy);
            ranges_free(r);
            return error_set(err,
                             "'%s': neither a class of addresses (public, private, loopback, ...) "
                             "nor NETWORK[:PORT[-PORT]]",
                             shown);
        }
        r->n++;
    }
    free(copy);
    return true;
}

/* ---- policies ---- */

const struct policy_key policy_keys[] = {
    { "rooms", "NAME[,NAME...]", "rooms that may be joined; `lab-*`: all that begin so; none" },
    { "egress", "RANGE[,RANGE...]",
      "where to: classes (public, private, loopback, ...), networks, with :PORT[-PORT]; none" },
    { "bind", "RANGE[,RANGE...]", "own addresses and ports that may be listened on; none" },
    { "dns", "on|off", "questions to the relay's resolver" },
    { "smb", "on|off", "the directory of smb-share" },
    { "max-channels", "NUMBER", "channels open at a time" },
    { "max-bytes-per-second", "SIZE", "both directions together; 0: no limit" },
    { "max-frames-per-second", "NUMBER", "Ethernet frames from the client; 0: no limit" },
    { "memory", "SIZE", "what a client's channels may hold on the relay" },
    { 0 },
};

bool policy_has_key(const char *key)
{
    for (const struct policy_key *k = policy_keys; k->name; k++) {
        if (!strcmp(k->name, key))
            return true;
    }
    return false;
}

static void rooms_free(struct policy *p)
{
    for (size_t i = 0; i < p->n_rooms; i++)
        free(p->rooms[i]);
    free(p->rooms);
    p->rooms = NULL;
    p->n_rooms = 0;
}

static bool rooms_parse(struct policy *p, const char *text, struct error *err)
{
    char *copy = strdup(text), *at = copy, *name;
    rooms_free(p);
    while ((name = strsep(&at, ", \t"))) {
        size_t len = strlen(name);
        size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789._-");
        if (!len || !strcmp(name, "none"))
            continue;
        if (len > RELAY_ROOM_MAX || name[0] == '.' || name[good + (name[good] == '*')]) {
            error_set(err, "'%s': no name of a room (letters, digits, '.', '_', '-')", name);
            free(copy);
            return false;
        }
        p->rooms = realloc(p->rooms, (p->n_rooms + 1) * sizeof *p->rooms);
        p->rooms[p->n_rooms++] = strdup(name);
    }
    free(copy);
    return true;
}

static bool number_in(uint64_t *v, const char *text, uint64_t min, uint64_t max, struct error *err)
{
    if (!size_parse(v, text, err))
        return false;
    if (*v < min || *v > max)
        return error_set(err, "'%s': not in %llu to %llu", text, (unsigned long long)min,
                         (unsigned long long)max);
    return true;
}

static bool flag_parse(bool *flag, const char *value, struct error *err)
{
    *flag = !strcmp(value, "on");
    return *flag || !strcmp(value, "off") || error_set(err, "'%s': not on or off", value);
}

bool policy_set(struct policy *p, const char *key, const char *value, struct error *err)
{
    uint64_t v = 0;
    if (!strcmp(key, "rooms"))
        return rooms_parse(p, value, err);
    if (!strcmp(key, "egress"))
        return ranges_parse(&p->egress, value, err);
    if (!strcmp(key, "bind"))
        return ranges_parse(&p->bind, value, err);
    if (!strcmp(key, "dns"))
        return flag_parse(&p->dns, value, err);
    if (!strcmp(key, "smb"))
        return flag_parse(&p->smb, value, err);
    if (!strcmp(key, "max-channels")) {
        if (!number_in(&v, value, 0, 65536, err))
            return false;
        p->max_channels = (uint32_t)v;
        return true;
    }
    if (!strcmp(key, "max-bytes-per-second"))
        return number_in(&p->max_bytes_per_s, value, 0, UINT64_MAX >> 2, err);
    if (!strcmp(key, "max-frames-per-second"))
        return number_in(&p->max_frames_per_s, value, 0, UINT32_MAX, err);
    if (!strcmp(key, "memory"))
        return number_in(&p->memory, value, 1 << 20, 1ull << 40, err);
    return error_set(err, "not a key of a policy");
}

struct policy *policy_new_closed(void)
{
    struct policy *p = calloc(1, sizeof *p);
    p->references = 1;
    p->max_channels = 512;
    p->memory = 32 << 20;
    return p;
}

struct policy *policy_new(void)
{
    struct policy *p = policy_new_closed();
    rooms_parse(p, "*", NULL);
    ranges_parse(&p->egress, "public", NULL);
    p->dns = p->smb = true;
    return p;
}

struct policy *policy_ref(struct policy *p)
{
    p->references++;
    return p;
}

void policy_unref(struct policy *p)
{
    if (!p || --p->references)
        return;
    rooms_free(p);
    ranges_free(&p->egress);
    ranges_free(&p->bind);
    free(p);
}

bool policy_may_join(const struct policy *p, struct relay_bytes room)
{
    for (size_t i = 0; i < p->n_rooms; i++) {
        const char *name = p->rooms[i];
        size_t len = strlen(name);
        bool beginning = len && name[len - 1] == '*';
        if (beginning ? room.len >= len - 1 && !memcmp(name, room.data, len - 1)
                      : room.len == len && !memcmp(name, room.data, len))
            return true;
    }
    return false;
}

bool policy_may_reach(const struct policy *p, const struct relay_address *dial, unsigned class)
{
    return ranges_contain(&p->egress, dial, class);
}

bool policy_may_bind(const struct policy *p, const struct relay_address *addr)
{
    struct relay_address dial;
    unsigned class = egress_check(addr, &dial);
    return ranges_contain(&p->bind, addr, class);
}
