/*
 * The two ways to describe a back end: -serial's "tcp:HOST:PORT,server=on" and -chardev's
 * "socket,host=...,port=...". Both end in a struct chr_config.
 */
#include "char/char_impl.h"

#include <stdlib.h>
#include <string.h>

void chr_config_free(struct chr_config *cfg)
{
    free(cfg->path);
    free(cfg->host);
    free(cfg->port);
    free(cfg->logfile);
    memset(cfg, 0, sizeof *cfg);
}

static char *copy(const char *s, size_t len)
{
    char *r = strndup(s, len);
    if (!r)
        abort();
    return r;
}

static void config_init(struct chr_config *cfg)
{
    memset(cfg, 0, sizeof *cfg);
    cfg->wait = cfg->signal = true;
}

static bool get_switch(const struct keyval *list, const char *key, bool *value, struct error *err)
{
    const char *text = keyval_get(list, key);
    return !text || parse_bool(text, value) ||
           error_set(err, "%s=%s: must be 'on' or 'off'", key, text);
}

/* "server=on,wait=off", and the old "server,nowait". */
static bool socket_switches(const struct keyval *list, struct chr_config *cfg, struct error *err)
{
    bool delay = true;
    return get_switch(list, "server", &cfg->server, err) &&
           get_switch(list, "wait", &cfg->wait, err) && get_switch(list, "delay", &delay, err) &&
           get_switch(list, "nodelay", &delay, err);
}

static bool check_port(const char *port, struct error *err)
{
    uint64_t n;
    return (parse_u64(port, &n) && n <= 65535) ||
           error_set(err, "port '%s': must be a number up to 65535", port);
}

static bool parse_socket_spec(const char *spec, struct chr_config *cfg, struct error *err)
{
    static const char *const keys[] = { "server", "wait", "delay", "nodelay", NULL };
    bool is_unix = cfg->kind == CHR_UNIX;
    const char *rest = spec + 1 + (is_unix ? 4 : 3);
    size_t len = strcspn(rest, ",");
    if (is_unix) {
        cfg->path = copy(rest, len);
        if (!len)
            return error_set(err, "%s: the path is missing", spec);
    } else {
        const char *colon = NULL;
        for (const char *s = rest; s < rest + len; s++)
            if (*s == ':')
                colon = s;
        if (!colon)
            return error_set(err, "%s: must be tcp:HOST:PORT", spec);
        const char *host = rest;
        size_t host_len = (size_t)(colon - rest);
        if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
            host++;
            host_len -= 2;
        }
        cfg->host = copy(host, host_len);
        cfg->port = copy(colon + 1, (size_t)(rest + len - colon - 1));
        if (!check_port(cfg->port, err))
            return error_prepend(err, "%s", spec);
    }
    struct keyval *list;
    if (!keyval_parse(rest + len + (rest[len] == ','), NULL, &list, spec, err))
        return false;
    const char *unknown = keyval_unknown(list, keys);
    bool ok = unknown ? error_set(err, "unknown property '%s'", unknown)
                      : socket_switches(list, cfg, err);
    keyval_free(list);
    return ok || error_prepend(err, "%s", spec);
}

bool chr_parse_spec(const char *spec, struct chr_config *cfg, struct error *err)
{
    config_init(cfg);
    if (!strncmp(spec, "mon:", 4)) {
        spec += 4;
        cfg->mux = cfg->monitor = true;
        cfg->signal = false; /* Ctrl-C is the guest's then */
    }
    bool ok = true;
    if (!strcmp(spec, "null") || !strcmp(spec, "none")) {
        cfg->kind = CHR_NULL;
    } else if (!strcmp(spec, "vc") || !strncmp(spec, "vc:", 3)) {
        cfg->kind = CHR_VC;
    } else if (!strcmp(spec, "stdio")) {
        cfg->kind = CHR_STDIO;
    } else if (!strcmp(spec, "pty")) {
        cfg->kind = CHR_PTY;
    } else if (!strncmp(spec, "file:", 5)) {
        cfg->kind = CHR_FILE;
        cfg->path = copy(spec + 5, strlen(spec + 5));
        ok = spec[5] || error_set(err, "%s: the path is missing", spec);
    } else if (!strncmp(spec, "tcp:", 4) || !strncmp(spec, "unix:", 5)) {
        cfg->kind = spec[0] == 't' ? CHR_TCP : CHR_UNIX;
        ok = parse_socket_spec(spec, cfg, err);
    } else {
        ok = error_set(err, "'%s' is not a valid character device", spec);
    }
    if (!ok)
        chr_config_free(cfg);
    return ok;
}

/* What each -chardev backend takes besides id, mux, logfile and logappend. */
static const struct {
    const char *name;
    enum chr_kind kind;
    const char *keys[11];
} backends[] = {
    { "null", CHR_NULL, { NULL } },
    { "vc", CHR_VC, { "width", "height", "cols", "rows", NULL } },
    { "stdio", CHR_STDIO, { "signal", NULL } },
    { "pty", CHR_PTY, { NULL } },
    { "file", CHR_FILE, { "path", "append", NULL } },
    { "socket", CHR_TCP, { "path", "host", "port", "server", "wait", "delay", "nodelay", NULL } },
};
#define BACKEND_COUNT (sizeof backends / sizeof backends[0])

static char *get_copy(const struct keyval *list, const char *key)
{
    const char *text = keyval_get(list, key);
    return text ? copy(text, strlen(text)) : NULL;
}

static bool parse_pairs(const char *name, const struct keyval *list, struct chr_config *cfg,
                        struct error *err)
{
    static const char *const common[] = { "id", "mux", "logfile", "logappend", "backend", NULL };
    size_t b = 0;
    while (b < BACKEND_COUNT && strcmp(backends[b].name, name))
        b++;
    if (b == BACKEND_COUNT)
        return error_set(err, "backend '%s' is not available", name);
    cfg->kind = backends[b].kind;
    for (const struct keyval *kv = list; kv; kv = kv->next) {
        struct keyval one = { kv->key, kv->value, NULL };
        if (keyval_unknown(&one, common) && keyval_unknown(&one, backends[b].keys))
            return error_set(err, "unknown property '%s'", kv->key);
    }
    cfg->path = get_copy(list, "path");
    cfg->host = get_copy(list, "host");
    cfg->port = get_copy(list, "port");
    cfg->logfile = get_copy(list, "logfile");
    if (!get_switch(list, "mux", &cfg->mux, err) ||
        !get_switch(list, "append", &cfg->append, err) ||
        !get_switch(list, "signal", &cfg->signal, err) ||
        !get_switch(list, "logappend", &cfg->logappend, err) || !socket_switches(list, cfg, err))
        return false;
    if (cfg->kind == CHR_FILE && !cfg->path)
        return error_set(err, "path= is missing");
    if (cfg->kind == CHR_TCP) {
        if (cfg->path) {
            cfg->kind = CHR_UNIX;
            return !(cfg->host || cfg->port) || error_set(err, "path= excludes host= and port=");
        }
        if (!cfg->port)
            return error_set(err, "port= or path= is missing");
        if (!cfg->host)
            cfg->host = copy("", 0);
        return check_port(cfg->port, err);
    }
    return true;
}

bool chr_parse_option(const char *optarg, char **id, struct chr_config *cfg, struct error *err)
{
    struct keyval *list;
    char *name;
    config_init(cfg);
    *id = NULL;
    if (!keyval_parse(optarg, &name, &list, "-chardev", err))
        return false;
    const char *backend = name ? name : keyval_get(list, "backend");
    *id = get_copy(list, "id");
    bool ok = false;
    if (!backend)
        error_set(err, "-chardev %s: the backend is missing", optarg);
    else if (!*id || !**id)
        error_set(err, "-chardev %s: id= is missing", optarg);
    else
        ok = parse_pairs(backend, list, cfg, err) || error_prepend(err, "-chardev %s", backend);
    free(name);
    keyval_free(list);
    if (!ok) {
        chr_config_free(cfg);
        free(*id);
        *id = NULL;
    }
    return ok;
}
