/*
 * QMP, the protocol: greeting, negotiation, requests and their checks, answers, events. Follows
 * QEMU's docs/interop/qmp-spec.txt; texts of errors are those that QEMU 7.2 sends, since clients
 * match on them.
 *
 * A command (qmp_commands.c) is a row of qmp_commands[]: name, its arguments as "name:type" words,
 * and a function that prints its return value as JSON, or fails. Commands run to their end at once,
 * so out-of-band execution, which the greeting offers as QEMU's does, has nothing to overtake; as
 * in QEMU, most commands refuse it.
 */
#include "monitor/qmp_impl.h"

#include <stdio.h>
#include <string.h>

#include "host/host.h"

/* ---- answers ---- */

/* Sends one line; @text is a JSON object. */
static void send_text(struct monitor *mon, const struct text *text)
{
    struct text line = { 0 };
    struct json *v = mon->pretty ? json_parse(text_str(text), text->len, NULL) : NULL;
    if (v)
        json_print(&line, v, true);
    else
        text_add(&line, text_str(text), text->len);
    json_free(v);
    text_puts(&line, "\r\n");
    monitor_write(mon, line.s, line.len);
    text_free(&line);
}

static void print_string(struct text *t, const char *s)
{
    json_print_string(t, s, strlen(s));
}

static void send_error(struct monitor *mon, const struct json *id, const char *class,
                       const char *desc)
{
    struct text t = { 0 };
    text_puts(&t, "{");
    if (id) {
        text_puts(&t, "\"id\": ");
        json_print(&t, id, false);
        text_puts(&t, ", ");
    }
    text_printf(&t, "\"error\": {\"class\": \"%s\", \"desc\": ", class);
    print_string(&t, desc);
    text_puts(&t, "}}");
    send_text(mon, &t);
    text_free(&t);
}

static void send_return(struct monitor *mon, const struct json *id, const struct text *value)
{
    struct text t = { 0 };
    text_printf(&t, "{\"return\": %s", value->len ? value->s : "{}");
    if (id) {
        text_puts(&t, ", \"id\": ");
        json_print(&t, id, false);
    }
    text_puts(&t, "}");
    send_text(mon, &t);
    text_free(&t);
}

void qmp_print_version(struct text *t)
{
    int major = 0, minor = 0, micro = 0;
    sscanf(SLIPWAY_VERSION, "%d.%d.%d", &major, &minor, &micro);
    text_printf(
        t, "{\"qemu\": {\"micro\": %d, \"minor\": %d, \"major\": %d}, \"package\": \"slipway-%s\"}",
        micro, minor, major, SLIPWAY_VERSION);
}

void qmp_connected(struct monitor *mon)
{
    struct text t = { 0 };
    mon->negotiated = mon->oob = false;
    json_stream_reset(&mon->json);
    text_puts(&t, "{\"QMP\": {\"version\": ");
    qmp_print_version(&t);
    text_puts(&t, ", \"capabilities\": [\"oob\"]}}");
    send_text(mon, &t);
    text_free(&t);
}

/* ---- events ---- */

static const struct {
    const char *reason;
    bool guest;
} causes[] = {
    [SHUTDOWN_NONE] = { "none", false },
    [SHUTDOWN_GUEST] = { "guest-shutdown", true },
    [SHUTDOWN_HOST_QMP_QUIT] = { "host-qmp-quit", false },
    [SHUTDOWN_HOST_UI] = { "host-ui", false },
    [SHUTDOWN_HOST_SIGNAL] = { "host-signal", false },
    [SHUTDOWN_GUEST_RESET] = { "guest-reset", true },
    [SHUTDOWN_GUEST_PANIC] = { "guest-panic", true },
    [SHUTDOWN_DEBUG_EXIT] = { "guest-shutdown", true },
    [SHUTDOWN_HOST_QMP_SYSTEM_RESET] = { "host-qmp-system-reset", false },
};

static void begin_event(struct text *t, const char *name)
{
    int64_t us = host_realtime_ns() / 1000;
    text_printf(t, "{\"timestamp\": {\"seconds\": %lld, \"microseconds\": %lld}, \"event\": \"%s\"",
                (long long)(us / 1000000), (long long)(us % 1000000), name);
}

void monitor_send_event(struct machine *m, const char *name, const char *data)
{
    for (struct monitor *mon = m->monitors; mon; mon = mon->next) {
        struct text t = { 0 };
        if (!mon->is_qmp || !mon->negotiated)
            continue;
        begin_event(&t, name);
        text_printf(&t, ", \"data\": %s}", data);
        send_text(mon, &t);
        text_free(&t);
    }
}

void qmp_event(void *opaque, enum machine_event e, enum shutdown_cause cause)
{
    static const char *const names[] = {
        [EVENT_SHUTDOWN] = "SHUTDOWN",   [EVENT_RESET] = "RESET",
        [EVENT_STOP] = "STOP",           [EVENT_RESUME] = "RESUME",
        [EVENT_POWERDOWN] = "POWERDOWN", [EVENT_DEVICE_DELETED] = "DEVICE_DELETED",
        [EVENT_SUSPEND] = "SUSPEND",     [EVENT_WAKEUP] = "WAKEUP"
    };
    struct monitor *mon = opaque;
    if (!mon->negotiated)
        return;
    struct text t = { 0 };
    begin_event(&t, names[e]);
    if (e == EVENT_SHUTDOWN || e == EVENT_RESET)
        text_printf(&t, ", \"data\": {\"guest\": %s, \"reason\": \"%s\"}",
                    causes[cause].guest ? "true" : "false", causes[cause].reason);
    const char *deleted = mon->machine->deleted_device;
    if (e == EVENT_DEVICE_DELETED && deleted)
        text_printf(&t, ", \"data\": {\"device\": \"%s\", \"path\": \"/machine/peripheral/%s\"}",
                    deleted, deleted);
    else if (e == EVENT_DEVICE_DELETED)
        text_puts(&t, ", \"data\": {\"path\": \"/machine/peripheral-anon\"}");
    text_puts(&t, "}");
    send_text(mon, &t);
    text_free(&t);
}

/* ---- requests ---- */

static const char *type_name(enum json_type t)
{
    return t == JSON_INT      ? "integer"
           : t == JSON_STRING ? "string"
           : t == JSON_BOOL   ? "boolean"
           : t == JSON_ARRAY  ? "array"
                              : "object";
}

bool qmp_wrong_type(struct error *err, const char *name, enum json_type want)
{
    return error_set(err, "Invalid parameter type for '%s', expected: %s", name, type_name(want));
}

/* One word of a declaration, "name:type" or "name:type?". */
static const char *next_declared(const char *p, char *name, size_t size, enum json_type *type,
                                 bool *optional)
{
    size_t n = strcspn(p, ":");
    snprintf(name, size, "%.*s", (int)n, p);
    char t = p[n + 1];
    *type = t == 'i' ? JSON_INT : t == 's' ? JSON_STRING : t == 'b' ? JSON_BOOL : JSON_ARRAY;
    *optional = p[n + 2] == '?';
    p += n + 2 + *optional;
    return *p == ' ' ? p + 1 : p;
}

static bool check_arguments(const struct qmp_command *c, const struct json *args, struct error *err)
{
    char name[64];
    enum json_type type;
    bool optional;
    if (!strcmp(c->args, "*"))
        return true;
    for (const char *p = c->args; *p;) {
        p = next_declared(p, name, sizeof name, &type, &optional);
        const struct json *v = json_get(args, name);
        if (!v && !optional)
            return error_set(err, "Parameter '%s' is missing", name);
        bool fits = v && (v->type == type || (type == JSON_INT && v->type == JSON_UINT));
        if (v && !fits)
            return qmp_wrong_type(err, name, type);
    }
    for (const struct json *v = args ? args->first : NULL; v; v = v->next) {
        bool known = false;
        for (const char *p = c->args; *p && !known;) {
            p = next_declared(p, name, sizeof name, &type, &optional);
            known = !strcmp(name, v->key);
        }
        if (!known)
            return error_set(err, "Parameter '%.400s' is unexpected", v->key);
    }
    return true;
}

/* Is @v a request? Finds its parts. */
static bool check_request(const struct json *v, const char **command, bool *oob,
                          const struct json **args, struct error *err)
{
    *command = NULL;
    *args = NULL;
    *oob = false;
    if (v->type != JSON_OBJECT)
        return error_set(err, "QMP input must be a JSON object");
    const char *by = NULL;
    for (const struct json *member = v->first; member; member = member->next) {
        const char *key = member->key;
        if (!strcmp(key, "execute") || !strcmp(key, "exec-oob")) {
            if (member->type != JSON_STRING)
                return error_set(err, "QMP input member '%s' must be a string", key);
            if (by)
                return error_set(err, "QMP input member '%s' clashes with '%s'", by, key);
            by = key;
            *command = member->s;
            *oob = key[4] == '-';
        } else if (!strcmp(key, "arguments")) {
            if (member->type != JSON_OBJECT)
                return error_set(err, "QMP input member 'arguments' must be an object");
            *args = member;
        } else if (strcmp(key, "id")) {
            return error_set(err, "QMP input member '%.400s' is unexpected", key);
        }
    }
    return *command || error_set(err, "QMP input lacks member 'execute'");
}

static const struct qmp_command *find_command(const char *name)
{
    for (const struct qmp_command *c = qmp_commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static void run(struct monitor *mon, const struct json *request)
{
    const struct json *id = json_get(request, "id"), *args;
    struct error err = { "" };
    const char *name;
    bool oob;
    if (!check_request(request, &name, &oob, &args, &err)) {
        send_error(mon, id, "GenericError", err.msg);
        return;
    }
    const struct qmp_command *c = find_command(name);
    bool negotiation = c && !strcmp(name, "qmp_capabilities");
    char desc[600];
    if (!mon->negotiated && !negotiation) {
        send_error(mon, id, "CommandNotFound",
                   "Expecting capabilities negotiation with 'qmp_capabilities'");
    } else if (mon->negotiated && negotiation) {
        send_error(mon, id, "CommandNotFound",
                   "Capabilities negotiation is already complete, command ignored");
    } else if (!c) {
        snprintf(desc, sizeof desc, "The command %.400s has not been found", name);
        send_error(mon, id, "CommandNotFound", desc);
    } else if (oob && !mon->oob) {
        send_error(mon, id, "GenericError", "QMP input member 'exec-oob' is unexpected");
    } else if (oob) {
        snprintf(desc, sizeof desc, "The command %s does not support OOB", name);
        send_error(mon, id, "GenericError", desc);
    } else {
        struct text value = { 0 };
        struct qmp_call call = { mon, mon->machine, args, &value, &err, "GenericError" };
        if (check_arguments(c, args, &err) && c->fn(&call))
            send_return(mon, id, &value);
        else
            send_error(mon, id, call.class, err.msg);
        text_free(&value);
    }
}

void qmp_message(void *opaque, struct json *v, const char *error)
{
    struct monitor *mon = opaque;
    if (v)
        run(mon, v);
    else
        send_error(mon, NULL, "GenericError", error);
    json_free(v);
}
