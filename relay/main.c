/*
 * slipway-relay: command line, start, signals, end.
 *
 * Order of the start: configuration, then all that needs privileges (listening sockets, TAPs), then
 * privileges go, then connections are taken. SIGHUP reads the configuration again: what can be
 * changed while clients are there is (permissions, limits, origins, static files, log level), for
 * the rest the log says that it needs a restart. SIGTERM and SIGINT end.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "relay/attach.h"
#include "relay/connection.h"
#include "relay/log.h"
#include "relay/loop.h"
#include "relay/privileges.h"
#include "relay/relay.h"
#include "relay/resolver.h"
#include "relay/server.h"
#include "relay/session.h"
#include "relay/smb.h"
#include "relay/token.h"

enum { STOP_MS = 2000, DESCRIPTORS = 65536 };

static const char usage[] =
    "usage: slipway-relay [--config FILE] [--KEY VALUE]... [--check-config]\n"
    "       slipway-relay token --help\n"
    "       slipway-relay --help | --version\n"
    "\n"
    "Carries PCs in web pages to real networks, and serves the pages. For example\n"
    "\n"
    "  slipway-relay --listen 127.0.0.1:8086 --web build/web\n"
    "\n"
    "Every key of the configuration file is an option, and the option wins:\n";

static void fail(const char *message)
{
    fprintf(stderr, "slipway-relay: %s\n", message);
    exit(1);
}

struct arguments {
    const char *file;
    char **settings; /* pairs of key and value */
    size_t n_settings;
    bool check;
};

static void parse_arguments(struct arguments *a, int argc, char **argv)
{
    a->settings = calloc((size_t)argc + 1, sizeof *a->settings);
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        char *value = strchr(argv[i], '=');
        char message[200];
        if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
            fputs(usage, stdout);
            config_help();
            exit(0);
        }
        if (!strcmp(name, "--version")) {
            printf("slipway-relay %s\n", SLIPWAY_VERSION);
            exit(0);
        }
        if (!strcmp(name, "--check-config")) {
            a->check = true;
            continue;
        }
        if (strncmp(name, "--", 2)) {
            snprintf(message, sizeof message, "'%.100s': options begin with -- (see --help)", name);
            fail(message);
        }
        if (value)
            *value++ = 0;
        if (strcmp(name, "--config") && !config_has_key(name + 2)) {
            snprintf(message, sizeof message, "%.100s: there is no such option (see --help)", name);
            fail(message);
        }
        if (!value && i + 1 == argc) {
            snprintf(message, sizeof message, "%.100s: needs a value", name);
            fail(message);
        }
        if (!value)
            value = argv[++i];
        if (!strcmp(name, "--config")) {
            a->file = value;
        } else {
            a->settings[2 * a->n_settings] = argv[i] == value ? argv[i - 1] + 2 : argv[i] + 2;
            a->settings[2 * a->n_settings++ + 1] = value;
        }
    }
}

static void set_level(const struct config *c)
{
    log_set_level(c->log_level ? (enum log_level)log_level_parse(c->log_level) : LOG_INFO);
}

/* As many descriptors as allowed, within reason: libwebsockets has a table of as many. */
static void raise_descriptor_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= DESCRIPTORS)
        return;
    r.rlim_cur = r.rlim_max < DESCRIPTORS ? r.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &r);
}

/* ---- signals ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same_strings(const struct strings *a, const struct strings *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->of[i], b->of[i]))
            return false;
    }
    return true;
}

static bool same_rooms(const struct config *a, const struct config *b)
{
    if (a->n_rooms != b->n_rooms)
        return false;
    for (size_t i = 0; i < a->n_rooms; i++) {
        if (strcmp(a->rooms[i].name, b->rooms[i].name) ||
            !same_strings(&a->rooms[i].attach, &b->rooms[i].attach))
            return false;
    }
    return true;
}

static void reload(struct relay *relay)
{
    struct error err;
    struct config *new = config_load(relay->config_file, relay->settings, relay->n_settings, &err),
                  *old;
    if (!new) {
        log_event(LOG_ERROR, "reload", "error=%s", log_string(err.msg));
        return;
    }
    struct secret *secret = NULL;
    if (new->secret && !(secret = secret_read(new->secret, &err))) {
        log_event(LOG_ERROR, "reload", "error=%s", log_string(err.msg));
        config_free(new);
        return;
    }
    secret_free(relay->secret);
    relay->secret = secret;
    old = relay->config;
    if (!same_strings(&old->listen, &new->listen) || !same_text(old->tls_cert, new->tls_cert) ||
        !same_text(old->tls_key, new->tls_key) || !same_text(old->user, new->user) ||
        !same_text(old->group, new->group) || !same_text(old->smb_share, new->smb_share) ||
        !same_text(old->chroot_dir, new->chroot_dir) || old->seccomp != new->seccomp ||
        !same_rooms(old, new))
        log_event(
            LOG_WARN, "reload",
            "text=\"listen, tls-*, user, group, chroot, seccomp, smb-share, rooms: a restart is "
            "needed\"");
    relay->config = new;
    config_free(old);
    set_level(new);
    server_reload(relay->server);
    resolver_update(relay->resolver, true);
    log_event(LOG_INFO, "reload", "file=%s", log_string(relay->config_file));
}

static void end(void *owner)
{
    struct relay *relay = owner;
    uv_stop(&relay->loop);
}

static void tick(void *owner)
{
    struct relay *relay = owner;
    sessions_tick(relay);
    resolver_update(relay->resolver, false);
    if (relay->stopping && !relay->metrics.clients)
        end(relay);
}

/* Clients hear that it ends; when they are gone, or after STOP_MS, it does. */
static void stop(struct relay *relay)
{
    if (relay->stopping) { /* asked twice: at once */
        end(relay);
        return;
    }
    relay->stopping = true;
    server_stop_listening(relay->server);
    sessions_shutdown(relay);
    timer_start(relay->ticks, 50, 50);
    timer_start(relay->end, relay->metrics.clients ? STOP_MS : 0, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct relay *relay = handle->data;
    if (number == SIGHUP) {
        reload(relay);
        return;
    }
    log_event(LOG_INFO, "stop", "signal=%d", number);
    stop(relay);
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGHUP, SIGTERM, SIGINT };
    uv_signal_t handles[sizeof signals / sizeof *signals];
    struct arguments arguments = { 0 };
    struct relay relay = { 0 };
    struct error err;

    if (argc > 1 && !strcmp(argv[1], "token"))
        return token_command(argc - 2, argv + 2);
    parse_arguments(&arguments, argc, argv);
    relay.config_file = arguments.file;
    relay.settings = arguments.settings;
    relay.n_settings = arguments.n_settings;
    relay.config = config_load(arguments.file, arguments.settings, arguments.n_settings, &err);
    if (!relay.config)
        fail(err.msg);
    if (!attach_check(relay.config, &err))
        fail(err.msg);
    if (relay.config->secret && !(relay.secret = secret_read(relay.config->secret, &err)))
        fail(err.msg);
    if (arguments.check) {
        printf("slipway-relay: the configuration is good\n");
        secret_free(relay.secret);
        config_free(relay.config);
        free(arguments.settings);
        return 0;
    }
    set_level(relay.config);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    /* Blocks of the queues come and go all the time: not by way of the system. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    uv_loop_init(&relay.loop);
    if (!connections_start(&relay))
        fail("no memory");
    relay.server = server_new(&relay, &err);
    if (!relay.server || !(relay.resolver = resolver_new(&relay, &err)))
        fail(err.msg);
    if (!attach_all(&relay, &err))
        fail(err.msg);
    if (relay.config->smb_share && !(relay.smb = smb_start(relay.config, &err)))
        fail(err.msg);
    relay.ticks = timer_new(&relay.loop, tick, &relay);
    relay.end = timer_new(&relay.loop, end, &relay);
    timer_start(relay.ticks, 1000, 1000);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        uv_signal_init(&relay.loop, &handles[i]);
        handles[i].data = &relay;
        uv_signal_start(&handles[i], on_signal, signals[i]);
    }
    if (!privileges_drop(relay.config, attachments_run_programs(&relay), &err) ||
        !server_start(relay.server, &err))
        fail(err.msg);

    uv_run(&relay.loop, UV_RUN_DEFAULT);

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        uv_close((uv_handle_t *)&handles[i], NULL);
    timer_free(relay.ticks);
    timer_free(relay.end);
    detach_all(&relay);
    server_free(relay.server);
    sessions_free(&relay);
    connections_end(&relay);
    resolver_free(relay.resolver);
    smb_stop(relay.smb);
    table_free(&relay.by_address);
    while (uv_run(&relay.loop, UV_RUN_NOWAIT)) {
    }
    uv_loop_close(&relay.loop);
    secret_free(relay.secret);
    config_free(relay.config);
    free(arguments.settings);
    return 0;
}
