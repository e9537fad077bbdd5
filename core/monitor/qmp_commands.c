/*
 * The commands of QMP. Each prints its return value in the shape of QEMU's schema (qapi/) and says
 * errors in QEMU's words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "char/char.h"
#include "monitor/qmp_impl.h"
#include "ui/display.h"

static const char *arg_string(const struct qmp_call *c, const char *name)
{
    const struct json *v = json_get(c->args, name);
    return v ? v->s : NULL;
}

static int64_t arg_int(const struct qmp_call *c, const char *name, int64_t absent)
{
    const struct json *v = json_get(c->args, name);
    return v ? v->i : absent; /* an unsigned one keeps its bits */
}

static void put_string(struct text *t, const char *s)
{
    json_print_string(t, s, strlen(s));
}

static bool qmp_capabilities(struct qmp_call *c)
{
    const struct json *enable = json_get(c->args, "enable");
    bool oob = false;
    for (const struct json *v = enable ? enable->first : NULL; v; v = v->next) {
        if (v->type != JSON_STRING)
            return qmp_wrong_type(c->err, "enable", JSON_STRING);
        if (strcmp(v->s, "oob"))
            return error_set(c->err, "Parameter 'enable' does not accept value '%.200s'", v->s);
        oob = true;
    }
    c->mon->negotiated = true;
    c->mon->oob = oob;
    return true;
}

static bool query_version(struct qmp_call *c)
{
    qmp_print_version(c->value);
    return true;
}

static bool query_status(struct qmp_call *c)
{
    text_printf(c->value, "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}",
                monitor_status(c->machine), monitor_running(c->machine) ? "true" : "false");
    return true;
}

static bool query_commands(struct qmp_call *c)
{
    text_puts(c->value, "[");
    for (const struct qmp_command *q = qmp_commands; q->name; q++)
        text_printf(c->value, "%s{\"name\": \"%s\"}", q == qmp_commands ? "" : ", ", q->name);
    text_puts(c->value, "]");
    return true;
}

static bool query_name(struct qmp_call *c)
{
    if (c->machine->opt->name) {
        text_puts(c->value, "{\"name\": ");
        put_string(c->value, c->machine->opt->name);
        text_puts(c->value, "}");
    }
    return true;
}

static bool query_uuid(struct qmp_call *c)
{
    const char *uuid = c->machine->opt->uuid;
    text_printf(c->value, "{\"UUID\": \"%s\"}",
                uuid ? uuid : "00000000-0000-0000-0000-000000000000");
    return true;
}

static bool query_kvm(struct qmp_call *c)
{
    text_puts(c->value, "{\"enabled\": false, \"present\": false}");
    return true;
}

static bool query_target(struct qmp_call *c)
{
    text_puts(c->value, "{\"arch\": \"x86_64\"}");
    return true;
}

static bool query_cpus_fast(struct qmp_call *c)
{
    text_puts(c->value, "[");
    for (int i = 0; i < c->machine->cpu_count; i++)
        text_printf(c->value,
                    "%s{\"thread-id\": 0, \"props\": {\"core-id\": %d, \"thread-id\": 0, "
                    "\"socket-id\": 0}, "
                    "\"qom-path\": \"/machine/unattached/device[%d]\", \"cpu-index\": %d, "
                    "\"target\": \"x86_64\"}",
                    i ? ", " : "", i, i, i);
    text_puts(c->value, "]");
    return true;
}

static void put_chardev(void *opaque, const char *label, const char *filename, bool frontend_open)
{
    struct text *t = opaque;
    text_printf(t, "%s{\"frontend-open\": %s, \"filename\": ", t->len > 1 ? ", " : "",
                frontend_open ? "true" : "false");
    put_string(t, filename);
    text_puts(t, ", \"label\": ");
    put_string(t, label);
    text_puts(t, "}");
}

static bool query_chardev(struct qmp_call *c)
{
    text_puts(c->value, "[");
    chr_for_each(c->machine, put_chardev, c->value);
    text_puts(c->value, "]");
    return true;
}

static bool query_block(struct qmp_call *c)
{
    struct text *t = c->value;
    text_puts(t, "[");
    for (const struct drive *d = c->machine->drives; d; d = d->next) {
        text_printf(t, "%s{\"io-status\": \"ok\", \"device\": ", t->len > 1 ? ", " : "");
        put_string(t, d->name);
        text_printf(t, ", \"locked\": false, \"removable\": %s",
                    d->opt->cdrom || d->opt->iface == DRIVE_FLOPPY ? "true" : "false");
        if (d->blk) {
            text_printf(
                t,
                ", \"inserted\": {\"ro\": %s, \"drv\": \"raw\", \"encrypted\": false, \"file\": ",
                blk_readonly(d->blk) ? "true" : "false");
            put_string(t, d->file);
            text_puts(t, ", \"image\": {\"virtual-size\": ");
            text_printf(t, "%llu, \"filename\": ", (unsigned long long)blk_size(d->blk));
            put_string(t, d->file);
            text_puts(t, ", \"format\": \"raw\"}}");
        }
        text_puts(t, ", \"type\": \"unknown\"}");
    }
    text_puts(t, "]");
    return true;
}

static bool human_monitor_command(struct qmp_call *c)
{
    struct text out = { 0 }, lines = { 0 };
    if (arg_int(c, "cpu-index", 0) != 0)
        return error_set(c->err, "Parameter 'cpu-index' expects a CPU number");
    hmp_execute(c->machine, arg_string(c, "command-line"), &out);
    for (size_t i = 0; i < out.len; i++) {
        if (out.s[i] == '\n')
            text_puts(&lines, "\r");
        text_add(&lines, out.s + i, 1);
    }
    json_print_string(c->value, text_str(&lines), lines.len);
    text_free(&out);
    text_free(&lines);
    return true;
}

/* keys: a list of {"type": "qcode", "data": "ctrl"}, pressed together. */
static bool send_key(struct qmp_call *c)
{
    uint8_t hids[INPUT_COMBO_MAX];
    int count = 0, index = 0;
    for (const struct json *k = json_get(c->args, "keys")->first; k; k = k->next, index++) {
        char where[64];
        snprintf(where, sizeof where, "keys[%d]", index);
        if (k->type != JSON_OBJECT)
            return qmp_wrong_type(c->err, where, JSON_OBJECT);
        const struct json *type = json_get(k, "type"), *data = json_get(k, "data");
        if (!type || !data)
            return error_set(c->err, "Parameter '%s.%s' is missing", where, type ? "data" : "type");
        if (type->type != JSON_STRING || strcmp(type->s, "qcode"))
            return error_set(c->err, "Parameter 'type' does not accept value '%.100s'",
                             type->type == JSON_STRING ? type->s : "");
        if (data->type != JSON_STRING)
            return qmp_wrong_type(c->err, "data", JSON_STRING);
        if (count == INPUT_COMBO_MAX)
            return error_set(c->err, "Parameter 'keys' has too many keys");
        hids[count] = input_hid_of_name(data->s);
        if (!hids[count++])
            return error_set(c->err, "Parameter 'data' does not accept value '%.100s'", data->s);
    }
    int64_t hold = arg_int(c, "hold-time", 0);
    if (hold < 0 || hold > 600000)
        return error_set(c->err, "Parameter 'hold-time' expects a time of up to 600000 ms");
    return !count || input_send_combo(c->machine, hids, count, (int)hold) ||
           error_set(c->err, "too many keys are waiting");
}

static bool screendump(struct qmp_call *c)
{
    const char *format = arg_string(c, "format");
    if (format && strcmp(format, "ppm") && strcmp(format, "png"))
        return error_set(c->err, "Parameter 'format' does not accept value '%.100s'", format);
    if (json_get(c->args, "device") || arg_int(c, "head", 0) != 0)
        return error_set(c->err, "There is only one screen");
    return monitor_screendump(c->machine, arg_string(c, "filename"), format, c->err);
}

static bool memsave(struct qmp_call *c)
{
    if (arg_int(c, "cpu-index", 0) != 0)
        return error_set(c->err, "Parameter 'cpu-index' expects a CPU number");
    return monitor_memory_save(c->machine, true, (uint64_t)arg_int(c, "val", 0),
                               (uint64_t)arg_int(c, "size", 0), arg_string(c, "filename"), c->err);
}

static bool pmemsave(struct qmp_call *c)
{
    return monitor_memory_save(c->machine, false, (uint64_t)arg_int(c, "val", 0),
                               (uint64_t)arg_int(c, "size", 0), arg_string(c, "filename"), c->err);
}

static bool query_jit(struct qmp_call *c)
{
    jit_info_json(c->machine, c->value);
    return true;
}

static bool arg_bool(const struct qmp_call *c, const char *name)
{
    const struct json *v = json_get(c->args, name);
    return v && v->b;
}

/* The drive is named by "device" (block back end) or "id"; here they are the same. */
static bool change_medium(struct qmp_call *c, const char *file)
{
    const char *device = arg_string(c, "device"), *id = arg_string(c, "id");
    const char *mode = arg_string(c, "read-only-mode");
    if (!device == !id)
        return error_set(c->err, "Need exactly one of 'device' and 'id'");
    return machine_change_medium(c->machine, device ? device : id, file, arg_string(c, "format"),
                                 mode ? mode : "retain", arg_bool(c, "force"), c->err);
}

static bool eject(struct qmp_call *c)
{
    return change_medium(c, NULL);
}

static bool blockdev_change_medium(struct qmp_call *c)
{
    return change_medium(c, arg_string(c, "filename"));
}

static bool stop(struct qmp_call *c)
{
    machine_stop(c->machine);
    return true;
}

static bool cont(struct qmp_call *c)
{
    return monitor_cont(c->machine, c->err);
}

static bool system_reset(struct qmp_call *c)
{
    machine_request_reset(c->machine, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    return true;
}

static bool system_powerdown(struct qmp_call *c)
{
    machine_request_powerdown(c->machine);
    return true;
}

static bool system_wakeup(struct qmp_call *c)
{
    return monitor_wakeup(c->machine, c->err);
}

static bool quit(struct qmp_call *c)
{
    machine_request_shutdown(c->machine, SHUTDOWN_HOST_QMP_QUIT, 0);
    return true;
}

const struct qmp_command qmp_commands[] = {
    { "qmp_capabilities", "enable:a?", qmp_capabilities },
    { "query-version", "", query_version },
    { "query-commands", "", query_commands },
    { "query-status", "", query_status },
    { "query-name", "", query_name },
    { "query-uuid", "", query_uuid },
    { "query-kvm", "", query_kvm },
    { "query-target", "", query_target },
    { "query-cpus-fast", "", query_cpus_fast },
    { "query-chardev", "", query_chardev },
    { "query-block", "", query_block },
    { "query-jit", "", query_jit },
    { "query-mice", "", qmp_query_mice },
    { "input-send-event", "events:a device:s? head:i?", qmp_input_send_event },
    { "migrate", "uri:s detach:b?", qmp_migrate },
    { "migrate-incoming", "uri:s", qmp_migrate_incoming },
    { "human-monitor-command", "command-line:s cpu-index:i?", human_monitor_command },
    { "send-key", "keys:a hold-time:i?", send_key },
    { "screendump", "filename:s device:s? head:i? format:s?", screendump },
    { "memsave", "val:i size:i filename:s cpu-index:i?", memsave },
    { "pmemsave", "val:i size:i filename:s", pmemsave },
    { "eject", "device:s? id:s? force:b?", eject },
    { "blockdev-change-medium", "filename:s device:s? id:s? format:s? force:b? read-only-mode:s?",
      blockdev_change_medium },
    { "set_link", "name:s up:b", qmp_set_link },
    { "device_add", "*", qmp_device_add },
    { "device_del", "id:s", qmp_device_del },
    { "netdev_add", "*", qmp_netdev_add },
    { "netdev_del", "id:s", qmp_netdev_del },
    { "announce-self", "initial:i max:i rounds:i step:i interfaces:a? id:s?", qmp_announce_self },
    { "object-add", "*", qmp_object_add },
    { "object-del", "id:s", qmp_object_del },
    { "stop", "", stop },
    { "cont", "", cont },
    { "system_reset", "", system_reset },
    { "system_powerdown", "", system_powerdown },
    { "system_wakeup", "", system_wakeup },
    { "quit", "", quit },
    { NULL, NULL, NULL },
};
