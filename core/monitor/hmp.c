/*
 * The human monitor's commands: a table of names, argument declarations and functions, and the
 * parser that goes by it. Names, arguments and the text they print are QEMU's. "info" is a command
 * with a table of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor_impl.h"
#include "ui/display.h"

/* ---- commands that are done here ---- */

static void say_error(struct text *out, const struct error *err)
{
    text_printf(out, "Error: %s\n", err->msg);
}

void hmp_say(struct text *out, bool ok, const struct error *err)
{
    if (!ok)
        say_error(out, err);
}

static void cmd_quit(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    machine_request_shutdown(m, SHUTDOWN_HOST_QMP_QUIT, 0);
}

static void cmd_stop(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    machine_stop(m);
}

static void cmd_cont(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    if (!monitor_cont(m, &err))
        say_error(out, &err);
}

static void cmd_system_reset(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    machine_request_reset(m, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
}

static void cmd_system_powerdown(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    machine_request_powerdown(m);
}

static void cmd_system_wakeup(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    if (!monitor_wakeup(m, &err))
        say_error(out, &err);
}

static void cmd_sendkey(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    if (a[1].given && (a[1].i < 0 || a[1].i > 600000))
        text_puts(out, "invalid hold time\n");
    else if (!monitor_send_key(m, a[0].s, a[1].given ? (int)a[1].i : 0, &err))
        text_printf(out, "%s\n", err.msg);
}

static void cmd_screendump(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    const char *format = a[1].given ? a[1].s : NULL;
    if (format && strcmp(format, "ppm") && strcmp(format, "png"))
        text_printf(out, "Error: Invalid parameter '%s'\n", format);
    else if (!monitor_screendump(m, a[0].s, format, &err))
        say_error(out, &err);
}

static void save_memory(struct machine *m, struct text *out, const struct hmp_arg *a, bool virtual)
{
    struct error err;
    if (!monitor_memory_save(m, virtual, (uint64_t)a[0].i, (uint64_t)a[1].i, a[2].s, &err))
        say_error(out, &err);
}

static void cmd_memsave(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    save_memory(m, out, a, true);
}

static void cmd_pmemsave(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    save_memory(m, out, a, false);
}

static void cmd_nmi(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    cpu_raise_intr(m->cpus[0], CPU_INTR_NMI);
}

static void cmd_eject(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    if (!machine_change_medium(m, a[1].s, NULL, NULL, "retain", a[0].given, &err))
        say_error(out, &err);
}

static void cmd_change(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    const char *format = a[3].given ? a[3].s : NULL, *mode = a[4].given ? a[4].s : "retain";
    if (!machine_change_medium(m, a[1].s, a[2].s, format, mode, a[0].given, &err))
        say_error(out, &err);
}

static hmp_fn cmd_help, cmd_info;

static const struct hmp_command commands[] = {
    { "announce_self", "interfaces:s?,id:s?", "[interfaces] [id]",
      "trigger GARP/RARP announcements", hmp_announce_self },
    { "change", "force:-f,device:s,filename:F,format:s?,read-only-mode:s?",
      "[-f] device filename [format [read-only-mode]]",
      "change a removable medium (-f: even if the guest locked the tray)", cmd_change },
    { "cont|c", "", "", "resume emulation", cmd_cont },
    { "delvm", "name:s", "tag", "delete a VM snapshot", hmp_delvm },
    { "device_add", "device:S", "driver[,prop=value][,...]",
      "add device, like -device on the command line", hmp_device_add },
    { "device_del", "id:s", "device", "remove device", hmp_device_del },
    { "eject", "force:-f,device:s", "[-f] device", "eject a removable medium (use -f to force it)",
      cmd_eject },
    { "gva2gpa", "addr:l", "addr",
      "print the guest physical address corresponding to a guest virtual address", hmp_gva2gpa },
    { "help|?", "name:S?", "[cmd]", "show the help", cmd_help },
    { "hostfwd_add", "arg1:s,arg2:s?",
      "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
      "redirect TCP or UDP connections from host to guest", hmp_hostfwd_add },
    { "hostfwd_remove", "arg1:s,arg2:s?", "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
      "remove host-to-guest TCP or UDP redirection", hmp_hostfwd_remove },
    { "i", "fmt:/,addr:l", "/fmt addr", "I/O port read", hmp_port_in },
    { "info", "item:S?", "[subcommand]", "show various information about the system state",
      cmd_info },
    { "loadvm", "name:s", "tag", "restore a VM snapshot from its tag (with a '/': from that file)",
      hmp_loadvm },
    { "memsave", "addr:l,size:l,file:F", "addr size file",
      "save to disk virtual memory dump starting at 'addr' of size 'size'", cmd_memsave },
    { "migrate", "detach:-d,uri:s", "[-d] uri", "save the VM to file:NAME and stop it",
      hmp_migrate },
    { "migrate_incoming", "uri:s", "uri", "restore the VM from file:NAME", hmp_migrate_incoming },
    { "mouse_button", "button_state:l", "state", "change mouse button state (1=L, 2=R, 4=M)",
      hmp_mouse_button },
    { "mouse_move", "dx:s,dy:s,dz:s?", "dx dy [dz]", "send mouse move events", hmp_mouse_move },
    { "mouse_set", "index:l", "index", "set which mouse device receives events", hmp_mouse_set },
    { "netdev_add", "netdev:S", "TYPE,id=str[,prop=value][,...]", "add host network device",
      hmp_netdev_add },
    { "netdev_del", "id:s", "id", "remove host network device", hmp_netdev_del },
    { "nmi", "", "", "inject an NMI", cmd_nmi },
    { "o", "fmt:/,addr:l,value:l", "/fmt addr value", "I/O port write", hmp_port_out },
    { "object_add", "object:S", "[qom-type=]type,id=str[,prop=value][,...]", "create an object",
      hmp_object_add },
    { "object_del", "id:s", "id", "destroy an object", hmp_object_del },
    { "pmemsave", "addr:l,size:l,file:F", "addr size file",
      "save to disk physical memory dump starting at 'addr' of size 'size'", cmd_pmemsave },
    { "print|p", "fmt:/,expr:l", "/fmt expr",
      "print expression value (use $reg for CPU register access)", hmp_print },
    { "quit|q", "", "", "quit the emulator", cmd_quit },
    { "savevm", "name:s?", "tag", "save a VM snapshot in memory (a tag with a '/': to that file)",
      hmp_savevm },
    { "screendump", "filename:F,format:-fs", "filename [-f format]",
      "save the screen as a PPM or PNG image", cmd_screendump },
    { "sendkey", "keys:s,hold-time:l?", "keys [hold_ms]",
      "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)", cmd_sendkey },
    { "set_link", "name:s,up:s", "name on|off", "change the link status of a network adapter",
      hmp_set_link },
    { "stop|s", "", "", "stop emulation", cmd_stop },
    { "sum", "start:l,size:l", "addr size", "compute the checksum of a memory region", hmp_sum },
    { "system_powerdown", "", "", "send system power down event", cmd_system_powerdown },
    { "system_reset", "", "", "reset the system", cmd_system_reset },
    { "system_wakeup", "", "", "wakeup guest from suspend", cmd_system_wakeup },
    { "x", "fmt:/,addr:l", "/fmt addr", "virtual memory dump starting at 'addr'", hmp_x },
    { "xp", "fmt:/,addr:l", "/fmt addr", "physical memory dump starting at 'addr'", hmp_xp },
    { NULL, NULL, NULL, NULL, NULL },
};

/* ---- finding and describing ---- */

/* Is @name (of @len characters) one of "a|b"? */
static bool matches(const char *names, const char *name, size_t len)
{
    for (;;) {
        size_t n = strcspn(names, "|");
        if (n == len && !memcmp(names, name, len))
            return true;
        if (!names[n])
            return false;
        names += n + 1;
    }
}

static const struct hmp_command *find(const struct hmp_command *table, const char *name, size_t len)
{
    for (; table->name; table++)
        if (matches(table->name, name, len))
            return table;
    return NULL;
}

static void describe(struct text *out, const char *prefix, const struct hmp_command *c)
{
    text_printf(out, "%s%s %s -- %s\n", prefix, c->name, c->params, c->help);
}

static void describe_all(struct text *out, const char *prefix, const struct hmp_command *table)
{
    for (; table->name; table++)
        describe(out, prefix, table);
}

static void cmd_help(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    const struct hmp_command *c;
    if (!a[0].given) {
        describe_all(out, "", commands);
    } else if (!strcmp(a[0].s, "info")) {
        describe_all(out, "info ", hmp_info_commands);
    } else if (!strncmp(a[0].s, "info ", 5)) {
        if ((c = find(hmp_info_commands, a[0].s + 5, strlen(a[0].s + 5))))
            describe(out, "info ", c);
        else
            text_printf(out, "unknown command: '%s'\n", a[0].s);
    } else if ((c = find(commands, a[0].s, strlen(a[0].s)))) {
        describe(out, "", c);
    } else {
        text_printf(out, "unknown command: '%s'\n", a[0].s);
    }
}

/* ---- parsing ---- */

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* A word, or a string in quotes with \n \r \" \\. NULL: @out says what is wrong; "" when nothing is
 * there. */
static char *get_word(const char **p, struct text *out)
{
    const char *s = skip_space(*p);
    char *word = malloc(strlen(s) + 1), *w = word;
    if (!word)
        abort();
    if (*s == '"') {
        for (s++; *s && *s != '"'; s++) {
            char c = *s;
            if (c == '\\' && s[1]) {
                s++;
                c = *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s;
            }
            *w++ = c;
        }
        if (!*s) {
            text_puts(out, "unterminated string\n");
            free(word);
            return NULL;
        }
        s++;
    } else {
        while (*s && *s != ' ' && *s != '\t')
            *w++ = *s++;
    }
    *w = 0;
    *p = s;
    return word;
}

/* "/4xb": count, format letter, size letter. Without a size, x/c are bytes, x/i doesn't care, the
 * rest are words. */
static bool get_format(const char **p, struct hmp_format *f, struct text *out)
{
    *f = (struct hmp_format){ .count = 1, .size = 4 };
    const char *s = skip_space(*p);
    bool sized = false;
    if (*s != '/')
        return true;
    long count = 0;
    bool counted = false;
    for (s++; *s >= '0' && *s <= '9'; s++, counted = true)
        count = count < 1000000 ? count * 10 + (*s - '0') : count;
    if (counted)
        f->count = (int)count;
    for (; *s && *s != ' ' && *s != '\t'; s++) {
        static const char sizes[] = "bhwg";
        const char *size = strchr(sizes, *s);
        if (size) {
            f->size = 1 << (size - sizes);
            sized = true;
        } else if (strchr("oducix", *s)) {
            f->format = *s;
        } else {
            text_printf(out, "invalid char in format: '%c'\n", *s);
            return false;
        }
    }
    if (!sized && f->format == 'c')
        f->size = 1;
    *p = s;
    return true;
}

static bool get_argument(struct machine *m, const char *name, const char *declared, const char **p,
                         struct hmp_arg *a, const struct hmp_command *c, struct text *out)
{
    char type = *declared;
    struct error err;
    const char *s = skip_space(*p);
    a->given = false;
    if (type == '/') {
        if (!get_format(p, &a->fmt, out))
            return false;
        a->given = true;
        return true;
    }
    if (type == '-') { /* "-f word" */
        if (s[0] != '-' || s[1] != declared[1] || (s[2] && s[2] != ' '))
            return true;
        *p = s + 2;
        if (!declared[2] || declared[2] == ',') {
            a->given = true;
            return true;
        }
        s = skip_space(*p);
        type = 's';
    } else if (!*s && declared[1] == '?') {
        return true;
    }
    if (type == 'l') {
        if (!hmp_expr(m, &s, &a->i, &err)) {
            text_printf(out, "%s\n", err.msg);
            return false;
        }
        *p = s;
    } else if (type == 'S') { /* the rest */
        size_t n = strlen(s);
        while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
            n--;
        a->s = strndup(s, n);
        *p = s + strlen(s);
    } else {
        a->s = get_word(p, out);
        if (a->s && !*a->s) {
            text_printf(out, "%.*s: %s expected\n", (int)strcspn(c->name, "|"), c->name,
                        type == 'F' ? "filename" : "string");
            return false;
        }
    }
    a->given = type == 'l' || a->s;
    return a->given;
}

/* Parses the arguments as @c declares them and runs it. */
static void run(struct machine *m, const struct hmp_command *c, const char *p, struct text *out)
{
    struct hmp_arg args[HMP_MAX_ARGS] = { { 0 } };
    int n = 0;
    bool ok = true;
    for (const char *d = c->args; ok && *d;) {
        size_t name_len = strcspn(d, ":");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)name_len, d);
        ok = get_argument(m, name, d + name_len + 1, &p, &args[n++], c, out);
        d += strcspn(d, ",");
        d += *d == ',';
    }
    if (ok && *skip_space(p)) {
        text_printf(out, "%s: extraneous characters at the end of line\n", c->name);
        ok = false;
    }
    if (ok)
        c->fn(m, out, args);
    else
        text_printf(out, "Try \"help %.*s\" for more information\n", (int)strcspn(c->name, "|"),
                    c->name);
    for (int i = 0; i < HMP_MAX_ARGS; i++)
        free(args[i].s);
}

static void cmd_info(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    if (!a[0].given) {
        describe_all(out, "info ", hmp_info_commands);
        return;
    }
    size_t len = strcspn(a[0].s, " \t");
    const struct hmp_command *c = find(hmp_info_commands, a[0].s, len);
    if (c)
        run(m, c, a[0].s + len, out);
    else
        text_printf(out, "unknown command: 'info %.*s'\n", (int)len, a[0].s);
}

void hmp_execute(struct machine *m, const char *line, struct text *out)
{
    const char *p = skip_space(line);
    size_t len = strcspn(p, " \t/");
    if (!*p)
        return;
    const struct hmp_command *c = find(commands, p, len);
    if (c)
        run(m, c, p + len, out);
    else
        text_printf(out, "unknown command: '%.*s'\n", (int)(len ? len : 1), p);
}
