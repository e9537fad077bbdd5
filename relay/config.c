/*
 * Reads the configuration. A file has lines `key = value`, comments from '#' at the start of a line
 * or after a blank, and sections: `[room NAME]`, after which `attach = ...` lines are that room's;
 * `[relay]` goes back. Keys that list things (listen, origin, host, nameserver, attach) may be
 * given again and add to what is there; another key that is given twice in a file is an error.
 *
 * The table `keys` is all there is to a key: name, form, help, type, place in struct config,
 * bounds. The keys of the policy for clients without a token are policy_keys'.
 */
#include "relay/config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/log.h"

enum key_type { TEXT, LIST, FLAG, NUMBER, SECONDS, RANGES };

static const struct key {
    const char *name;
    enum key_type type;
    size_t place;
    uint64_t min, max;
    const char *form, *help;
} keys[] = {
#define AT(field) offsetof(struct config, field)
    { "listen", LIST, AT(listen), 0, 0, "ADDRESS:PORT",
      "where HTTP and WebSocket are served (default 127.0.0.1:8086); port 0: any free one" },
    { "tls-cert", TEXT, AT(tls_cert), 0, 0, "FILE", "certificate chain, PEM: serve https and wss" },
    { "tls-key", TEXT, AT(tls_key), 0, 0, "FILE", "its private key, PEM" },
    { "web", TEXT, AT(web), 0, 0, "DIR", "directory of static files to serve" },
    { "smb-share", TEXT, AT(smb_share), 0, 0, "DIR",
      "directory that guests get by SMB (needs smbd)" },
    { "isolation", FLAG, AT(isolation), 0, 0, "on|off",
      "send COOP and COEP headers, so that pages may use SharedArrayBuffer" },
    { "metrics", FLAG, AT(metrics), 0, 0, "on|off", "serve /metrics (default on)" },
    { "origin", LIST, AT(origin), 0, 0, "ORIGIN|same|any",
      "pages that may connect (default same: those that this relay serves)" },
    { "host", LIST, AT(host), 0, 0, "NAME",
      "names of this relay, for `origin = same`; addresses and localhost always count" },
    { "anonymous", FLAG, AT(anonymous), 0, 0, "on|off",
      "clients without a token (default on; off if there is a secret)" },
    { "secret", TEXT, AT(secret), 0, 0, "FILE", "key of the tokens, 32 bytes or more" },
    { "deny", RANGES, AT(deny), 0, 0, "RANGE[,RANGE...]",
      "where nobody may connect to, whatever a token says" },
    { "nameserver", LIST, AT(nameserver), 0, 0, "ADDRESS",
      "resolver to ask (default: those of /etc/resolv.conf)" },
    { "max-clients", NUMBER, AT(max_clients), 1, 1000000, "NUMBER", "connections (default 1000)" },
    { "max-clients-per-address", NUMBER, AT(max_clients_per_address), 1, 1000000, "NUMBER",
      "connections from one address (default: max-clients)" },
    { "max-memory", NUMBER, AT(max_memory), 16 << 20, 1ull << 44, "SIZE",
      "what all clients together may hold (default 1G)" },
    { "max-room-members", NUMBER, AT(max_room_members), 2, 100000, "NUMBER",
      "members of a room (default 256)" },
    { "max-macs", NUMBER, AT(max_macs), 1, 1 << 20, "NUMBER",
      "MAC addresses that a room learns from one member (default 64)" },
    { "keepalive", SECONDS, AT(keepalive_s), 1, 3600, "SECONDS",
      "silence after which a sign of life is sent (default 20)" },
    { "resume", SECONDS, AT(resume_s), 0, 3600, "SECONDS",
      "how long a session waits for its client to come back (default 30)" },
    { "connect-timeout", SECONDS, AT(connect_timeout_s), 1, 600, "SECONDS",
      "for outgoing TCP connections (default 30)" },
    { "dns-timeout", SECONDS, AT(dns_timeout_s), 1, 60, "SECONDS", "for a question (default 10)" },
    { "udp-timeout", SECONDS, AT(udp_timeout_s), 1, 86400, "SECONDS",
      "after which a UDP stream of Wisp without traffic is closed (default 300)" },
    { "compatibility", FLAG, AT(compatibility), 0, 0, "on|off",
      "the endpoints /wisp/, /ether/ROOM and /qemu/ROOM (default on)" },
    { "user", TEXT, AT(user), 0, 0, "NAME", "become this user after the start" },
    { "group", TEXT, AT(group), 0, 0, "NAME", "and this group (default: the user's)" },
    { "chroot", TEXT, AT(chroot_dir), 0, 0, "DIR", "and see only this directory" },
    { "seccomp", FLAG, AT(seccomp), 0, 0, "on|off",
      "allow only the system calls that serving needs (default on)" },
    { "log-level", TEXT, AT(log_level), 0, 0, "LEVEL", "debug, info (default), warn, error" },
#undef AT
};
enum { KEYS = sizeof keys / sizeof *keys };

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    }
    return NULL;
}

bool config_has_key(const char *name)
{
    return find_key(name) || policy_has_key(name);
}

void config_help(void)
{
    for (size_t i = 0; i < KEYS; i++)
        printf("  --%s %s\n      %s\n", keys[i].name, keys[i].form, keys[i].help);
    printf("What clients without a token may do:\n");
    for (const struct policy_key *k = policy_keys; k->name; k++)
        printf("  --%s %s\n      %s\n", k->name, k->form, k->help);
}

static void strings_add(struct strings *s, const char *value)
{
    s->of = realloc(s->of, (s->n + 1) * sizeof *s->of);
    s->of[s->n++] = strdup(value);
}

static void strings_free(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->of[i]);
    free(s->of);
    *s = (struct strings){ 0 };
}

/* What a value of its type can't show to be wrong. */
static bool check(const struct key *k, const char *value, struct error *err)
{
    struct relay_address a;
    if (!strcmp(k->name, "listen"))
        return endpoint_parse(&a, value, err);
    if (!strcmp(k->name, "nameserver") && !address_parse(&a, value))
        return error_set(err, "'%s': not an address", value);
    if (!strcmp(k->name, "log-level") && log_level_parse(value) < 0)
        return error_set(err, "'%s': not debug, info, warn or error", value);
    if (!strcmp(k->name, "origin") && strcmp(value, "same") && strcmp(value, "any") &&
        strcmp(value, "null") && strncmp(value, "http://", 7) && strncmp(value, "https://", 8))
        return error_set(err, "'%s': not same, any, null or http[s]://HOST[:PORT]", value);
    return true;
}

static bool set_key(struct config *c, const struct key *k, const char *value, struct error *err)
{
    void *place = (char *)c + k->place;
    uint64_t v;
    if (!check(k, value, err))
        return false;
    switch (k->type) {
    case TEXT:
        if (!*value)
            return error_set(err, "no value");
        free(*(char **)place);
        *(char **)place = strdup(value);
        return true;
    case LIST: strings_add(place, value); return true;
    case FLAG:
        if (strcmp(value, "on") && strcmp(value, "off"))
            return error_set(err, "'%s': not on or off", value);
        *(bool *)place = !strcmp(value, "on");
        return true;
    case NUMBER:
    case SECONDS:
        if (!size_parse(&v, value, err))
            return false;
        if (v < k->min || v > k->max)
            return error_set(err, "'%s': not in %llu to %llu", value, (unsigned long long)k->min,
                             (unsigned long long)k->max);
        *(uint64_t *)place = v;
        return true;
    case RANGES: return ranges_parse(place, value, err);
    }
    return false;
}

/* @seen: marks of the keys that the same source has set already. */
static bool set(struct config *c, const char *name, const char *value, bool *seen,
                struct error *err)
{
    const struct key *k = find_key(name);
    size_t mark = k ? (size_t)(k - keys) : KEYS;
    if (!k) {
        size_t i = 0;
        while (policy_keys[i].name && strcmp(policy_keys[i].name, name))
            i++;
        if (!policy_keys[i].name)
            return error_set(err, "%s: there is no such key", name);
        mark += i;
    }
    if (seen[mark] && !(k && k->type == LIST))
        return error_set(err, "%s: given twice", name);
    if (!seen[mark] && k && k->type == LIST)
        strings_free((struct strings *)((char *)c + k->place)); /* the command line's win */
    seen[mark] = true;
    c->anonymous_given |= !strcmp(name, "anonymous");
    if (k ? set_key(c, k, value, err) : policy_set(c->policy, name, value, err))
        return true;
    return error_prepend(err, "%s", name);
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    for (char *end = s + strlen(s); end > s && isspace((unsigned char)end[-1]);)
        *--end = 0;
    return s;
}

static void cut_comment(char *line)
{
    for (char *p = line; *p; p++) {
        if (*p == '#' && (p == line || isspace((unsigned char)p[-1]))) {
            *p = 0;
            return;
        }
    }
}

/* "[room NAME]" or "[relay]"; *@room: the room, or NULL. */
static bool section(struct config *c, char *line, struct room_config **room, struct error *err)
{
    char *end = strchr(line, ']');
    if (!end || end[1])
        return error_set(err, "'%s': a section is [room NAME] or [relay]", line);
    *end = 0;
    *room = NULL;
    if (!strcmp(line, "[relay"))
        return true;
    if (strncmp(line, "[room ", 6))
        return error_set(err, "'%s]': a section is [room NAME] or [relay]", line);
    const char *name = trim(line + 6);
    struct policy *p = policy_new_closed();
    bool good = !strpbrk(name, "*, ") && policy_set(p, "rooms", name, NULL) && p->n_rooms == 1;
    policy_unref(p);
    if (!good)
        return error_set(err, "'%s': no name of a room (letters, digits, '.', '_', '-')", name);
    for (size_t i = 0; i < c->n_rooms; i++) {
        if (!strcmp(c->rooms[i].name, name))
            return error_set(err, "room '%s': given twice", name);
    }
    c->rooms = realloc(c->rooms, (c->n_rooms + 1) * sizeof *c->rooms);
    *room = &c->rooms[c->n_rooms++];
    **room = (struct room_config){ .name = strdup(name) };
    return true;
}

static bool read_line(struct config *c, char *line, struct room_config **room, bool *seen,
                      struct error *err)
{
    cut_comment(line);
    line = trim(line);
    if (!*line)
        return true;
    if (*line == '[')
        return section(c, line, room, err);
    char *equals = strchr(line, '=');
    if (!equals)
        return error_set(err, "'%s': not key = value", line);
    *equals = 0;
    char *key = trim(line), *value = trim(equals + 1);
    if (!*room)
        return set(c, key, value, seen, err);
    if (strcmp(key, "attach"))
        return error_set(err, "%s: a room has only `attach`", key);
    strings_add(&(*room)->attach, value);
    return true;
}

static bool read_file(struct config *c, const char *name, struct error *err)
{
    bool seen[KEYS + 16] = { false };
    struct room_config *room = NULL;
    FILE *f = fopen(name, "re");
    char *line = NULL;
    size_t room_of_line = 0;
    bool good = true;
    if (!f)
        return error_set(err, "%s: %s", name, strerror(errno));
    for (unsigned n = 1; good && getline(&line, &room_of_line, f) >= 0; n++) {
        good = read_line(c, line, &room, seen, err);
        if (!good)
            error_prepend(err, "%s:%u", name, n);
    }
    if (good && ferror(f))
        good = error_set(err, "%s: %s", name, strerror(errno));
    free(line);
    fclose(f);
    return good;
}

static struct config *defaults(void)
{
    struct config *c = calloc(1, sizeof *c);
    *c = (struct config){
        .metrics = true,
        .anonymous = true,
        .policy = policy_new(),
        .max_clients = 1000,
        .max_memory = 1 << 30,
        .max_room_members = 256,
        .max_macs = 64,
        .keepalive_s = 20,
        .resume_s = 30,
        .connect_timeout_s = 30,
        .dns_timeout_s = 10,
        .udp_timeout_s = 300,
        .compatibility = true,
        .seccomp = true,
    };
    strings_add(&c->listen, "127.0.0.1:8086");
    strings_add(&c->origin, "same");
    return c;
}

static bool check_all(struct config *c, struct error *err)
{
    if (c->smb_share && (*c->smb_share != '/' || strpbrk(c->smb_share, "\n;#")))
        return error_set(err, "smb-share: '%s': an absolute path without ; and #", c->smb_share);
    if (!c->tls_cert != !c->tls_key)
        return error_set(err, "tls-cert and tls-key: there is only one of them");
    if (c->secret && !c->anonymous_given)
        c->anonymous = false;
    if (!c->anonymous && !c->secret)
        return error_set(err, "anonymous: off, but there is no `secret` that tokens could have");
    if (!c->max_clients_per_address)
        c->max_clients_per_address = c->max_clients;
    return true;
}

struct config *config_load(const char *file, char *const *pairs, size_t n, struct error *err)
{
    struct config *c = defaults();
    bool seen[KEYS + 16] = { false };
    bool good = !file || read_file(c, file, err);
    for (size_t i = 0; good && i < n; i++) {
        good = set(c, pairs[2 * i], pairs[2 * i + 1], seen, err);
        if (!good)
            error_prepend(err, "command line");
    }
    if (!good || !check_all(c, err)) {
        config_free(c);
        return NULL;
    }
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < KEYS; i++) {
        void *place = (char *)c + keys[i].place;
        if (keys[i].type == TEXT)
            free(*(char **)place);
        else if (keys[i].type == LIST)
            strings_free(place);
        else if (keys[i].type == RANGES)
            ranges_free(place);
    }
    for (size_t i = 0; i < c->n_rooms; i++) {
        free(c->rooms[i].name);
        strings_free(&c->rooms[i].attach);
    }
    free(c->rooms);
    policy_unref(c->policy);
    free(c);
}
