/*
 * What each option's value means: checks it, says in one line what is wrong, stores it. Follows
 * "man qemu-system-x86_64" for names, meanings and defaults; what QEMU has and we don't is refused
 * by name instead of ignored.
 */
#include "options_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "jit-wasm/jit.h"
#include "log.h"
#include "net/net.h"

#define MIB (1ull << 20)
#ifdef __EMSCRIPTEN__
#define RAM_MAX (2000 * MIB) /* what a 32-bit wasm memory has room for, beside ourselves */
#else
#define RAM_MAX (512ull << 30) /* of the CPU's 40-bit physical addresses, half */
#endif

/* ---- machine ---- */

bool option_memory(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "size", NULL };
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    bool ok = false;
    const char *text = first ? first : keyval_get(list, "size");
    uint64_t bytes;
    if (option_bad_key(opt, list, keys, err))
        goto out;
    if (!text || !parse_size(text, 20, &bytes))
        error_set(err, "%s %s: not a size (write 512, 512M or 1G)", opt, arg);
    else if (bytes < MIB)
        error_set(err, "%s %s: too little memory, at least 1M is needed", opt, arg);
    else if (bytes > RAM_MAX)
        error_set(err, "%s %s: too much memory, at most %lluM is possible", opt, arg,
                  (unsigned long long)(RAM_MAX / MIB));
    else
        ok = true;
    if (ok)
        p->o->ram_size = (bytes + 8191) & ~8191ull; /* as QEMU rounds */
out:
    free(first);
    keyval_free(list);
    return ok;
}

bool option_smp(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "cpus",     "maxcpus", "sockets", "dies",
                                        "clusters", "cores",   "threads", NULL };
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    bool ok = !option_bad_key(opt, list, keys, err);
    uint64_t product = 1, n;
    if (ok && first) {
        ok = parse_u64(first, &n) && n == 1;
    } else {
        for (const struct keyval *kv = list; ok && kv; kv = kv->next) {
            ok = parse_u64(kv->value, &n) && n == 1;
            product *= ok;
        }
        ok = ok && product == 1;
    }
    if (!ok && !keyval_unknown(list, keys))
        error_set(err, "%s %s: only one CPU is available", opt, arg);
    if (ok)
        p->o->smp = 1;
    free(first);
    keyval_free(list);
    return ok;
}

static bool set_accel(struct option_parser *p, const char *opt, const char *name, struct error *err)
{
    /* "tcg" is what scripts written for QEMU say when they mean emulation. */
    bool tcg = !strcmp(name, "tcg"), jit = !strcmp(name, "jit");
    if (jit && !jit_available())
        return error_set(err, "%s: accelerator 'jit' is not available in this build (use interp)",
                         opt);
    if (!jit && !tcg && strcmp(name, "interp"))
        return error_set(err, "%s: accelerator '%s' is not available (use %sinterp)", opt, name,
                         jit_available() ? "jit or " : "");
    option_set_string(&p->o->accel, jit || (tcg && jit_available()) ? "jit" : "interp");
    return true;
}

bool option_accel(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (!strcmp(arg, "help")) {
        printf("Accelerators supported in this build:\n%sinterp\n", jit_available() ? "jit\n" : "");
        p->exit_now = true;
        return true;
    }
    static const char *const keys[] = { "accel", "thread", "threshold", NULL };
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    const char *name = first ? first : keyval_get(list, "accel");
    const char *threshold = keyval_get(list, "threshold");
    uint64_t n = 0;
    bool ok = !option_bad_key(opt, list, keys, err) && set_accel(p, opt, name ? name : "", err);
    if (ok && threshold && (!parse_u64(threshold, &n) || n == 0 || n > 1000000))
        ok = error_set(err, "%s: threshold=%s is not a number from 1 to 1000000", opt, threshold);
    if (ok && threshold)
        p->o->jit_threshold = (uint32_t)n;
    free(first);
    keyval_free(list);
    return ok;
}

bool option_cpu(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        cpu_model_print_help();
        p->exit_now = true;
        return true;
    }
    option_set_string(&p->o->cpu, arg);
    return true;
}

bool option_machine(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (option_help(
            p, arg,
            "Supported machines are:\npc                   Standard PC (i440FX + PIIX, 1996) "
            "(default)\n"))
        return true;
    static const char *const keys[] = { "type", "accel",  "hpet",           "acpi", "graphics",
                                        "usb",  "vmport", "pcspk-audiodev", NULL };
    struct machine_options *o = p->o;
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    const char *type = first ? first : keyval_get(list, "type");
    const char *accel = keyval_get(list, "accel");
    bool hpet = !o->no_hpet, acpi = !o->no_acpi, graphics = !o->nographic, usb = false,
         vmport = !o->no_vmport, ok = false;
    const char *vmport_text = keyval_get(list, "vmport");
    if (option_bad_key(opt, list, keys, err))
        goto out;
    if (type && strcmp(type, "pc")) {
        error_set(err, "%s: machine '%s' is not available (use pc)", opt, type);
        goto out;
    }
    ok = (!accel || set_accel(p, opt, accel, err)) && option_bool(opt, list, "hpet", &hpet, err) &&
         option_bool(opt, list, "acpi", &acpi, err) &&
         option_bool(opt, list, "graphics", &graphics, err) &&
         option_bool(opt, list, "usb", &usb, err) &&
         (!vmport_text || !strcmp(vmport_text, "auto") ||
          option_bool(opt, list, "vmport", &vmport, err));
    if (ok && usb)
        ok = error_set(err, "%s: usb=on: there is no USB controller", opt);
    if (ok) {
        o->no_hpet = !hpet;
        o->no_acpi = !acpi;
        o->nographic = !graphics;
        o->no_vmport = !vmport;
        if (keyval_get(list, "pcspk-audiodev"))
            option_set_string(&o->pcspk_audiodev, keyval_get(list, "pcspk-audiodev"));
    }
out:
    free(first);
    keyval_free(list);
    return ok;
}

bool option_icount(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "shift", "align", "sleep", NULL };
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    bool align = false, sleep = true, ok = false;
    const char *shift = first ? first : keyval_get(list, "shift");
    uint64_t n;
    if (option_bad_key(opt, list, keys, err) || !option_bool(opt, list, "align", &align, err) ||
        !option_bool(opt, list, "sleep", &sleep, err))
        ;
    else if (!shift || !parse_u64(shift, &n) || n > 10)
        error_set(err, "%s %s: shift must be a number from 0 to 10", opt, arg);
    else if (align)
        error_set(err, "%s: align=on is not available", opt);
    else if (!sleep)
        error_set(err, "%s: sleep=off is not available", opt);
    else
        ok = true;
    if (ok)
        p->o->icount_shift = (int)n;
    free(first);
    keyval_free(list);
    return ok;
}

/* Drive letters of -boot: a floppy, c disk, d CD-ROM, n-p network; each at most once. */
static bool check_boot_order(const char *opt, const char *order, struct error *err)
{
    for (const char *c = order; *c; c++) {
        if (!strchr("abcdnop", *c))
            return error_set(err, "%s: invalid boot device '%c' in '%s' (a b c d n o p)", opt, *c,
                             order);
        if (strchr(c + 1, *c))
            return error_set(err, "%s: boot device '%c' was given twice in '%s'", opt, *c, order);
    }
    return *order || error_set(err, "%s: no boot device given", opt);
}

bool option_boot(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "order", "once", "menu", "strict", "reboot-timeout", NULL };
    struct machine_options *o = p->o;
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    const char *order = first ? first : keyval_get(list, "order"), *once = keyval_get(list, "once");
    bool ok = !option_bad_key(opt, list, keys, err) &&
              (!order || check_boot_order(opt, order, err)) &&
              (!once || check_boot_order(opt, once, err)) &&
              option_bool(opt, list, "menu", &o->boot_menu, err) &&
              option_bool(opt, list, "strict", &o->boot_strict, err) &&
              option_int(opt, list, "reboot-timeout", 0xffff, &o->boot_reboot_timeout, err);
    if (ok && order)
        option_set_string(&o->boot_order, order);
    if (ok && once)
        option_set_string(&o->boot_once, once);
    free(first);
    keyval_free(list);
    return ok;
}

bool option_name(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "guest", "process", NULL };
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    bool ok = !option_bad_key(opt, list, keys, err);
    const char *name = first ? first : keyval_get(list, "guest");
    if (ok && name)
        option_set_string(&p->o->name, name);
    free(first);
    keyval_free(list);
    return ok;
}

bool option_uuid(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    char canonical[37];
    size_t n = 0;
    for (const char *s = arg; *s; s++) {
        bool dash = n == 8 || n == 13 || n == 18 || n == 23;
        if (n >= 36 || (dash ? *s != '-' : !isxdigit((unsigned char)*s)))
            return error_set(err, "%s %s: not a UUID", opt, arg);
        canonical[n++] = (char)tolower((unsigned char)*s);
    }
    canonical[n] = 0;
    if (n != 36)
        return error_set(err, "%s %s: not a UUID", opt, arg);
    option_set_string(&p->o->uuid, canonical);
    return true;
}

/* 2006-06-17 or 2006-06-17T16:01:21; ranges only as far as a calendar needs none. */
static bool is_date(const char *s)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    size_t n = strlen(s);
    if (n != 10 && n != 19)
        return false;
    for (size_t i = 0; i < n; i++)
        if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
            return false;
    int month = atoi(s + 5), day = atoi(s + 8);
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    return n == 10 || (atoi(s + 11) < 24 && atoi(s + 14) < 60 && atoi(s + 17) < 60);
}

bool option_rtc(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "base", "clock", "driftfix", NULL };
    static const char *const clocks[] = { "host", "rt", "vm", NULL };
    struct keyval *list;
    if (!keyval_parse(arg, NULL, &list, opt, err))
        return false;
    const char *base = keyval_get(list, "base"), *clock = keyval_get(list, "clock");
    const char *driftfix = keyval_get(list, "driftfix");
    bool ok = false;
    if (option_bad_key(opt, list, keys, err))
        ;
    else if (base && strcmp(base, "utc") && strcmp(base, "localtime") && !is_date(base))
        error_set(err, "%s: base=%s: must be utc, localtime or a date like 2006-06-17T16:01:21",
                  opt, base);
    else if (clock && !option_one_of(clock, clocks))
        error_set(err, "%s: clock=%s: must be host, rt or vm", opt, clock);
    else if (driftfix && strcmp(driftfix, "none"))
        error_set(err, "%s: driftfix=%s is not available", opt, driftfix);
    else
        ok = true;
    if (ok && base)
        option_set_string(&p->o->rtc_base, base);
    if (ok && clock)
        option_set_string(&p->o->rtc_clock, clock);
    keyval_free(list);
    return ok;
}

bool option_action(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "reboot", "shutdown", NULL };
    struct keyval *list;
    if (!keyval_parse(arg, NULL, &list, opt, err))
        return false;
    const char *reboot = keyval_get(list, "reboot"), *shutdown = keyval_get(list, "shutdown");
    bool ok = false;
    if (option_bad_key(opt, list, keys, err))
        ;
    else if (reboot && strcmp(reboot, "reset") && strcmp(reboot, "shutdown"))
        error_set(err, "%s: reboot=%s: must be reset or shutdown", opt, reboot);
    else if (shutdown && strcmp(shutdown, "poweroff") && strcmp(shutdown, "pause"))
        error_set(err, "%s: shutdown=%s: must be poweroff or pause", opt, shutdown);
    else
        ok = true;
    if (ok && reboot)
        p->o->no_reboot = !strcmp(reboot, "shutdown");
    if (ok && shutdown)
        p->o->no_shutdown = !strcmp(shutdown, "pause");
    keyval_free(list);
    return ok;
}

bool option_net(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    const char *name = opt + strspn(opt, "-");
    enum net_option_kind kind = !strcmp(name, "netdev")   ? NET_OPTION_NETDEV
                                : !strcmp(name, "nic")    ? NET_OPTION_NIC
                                : !strcmp(name, "object") ? NET_OPTION_OBJECT
                                                          : NET_OPTION_NET;
    return net_option_parse(&p->o->net, kind, opt, arg, &p->exit_now, err);
}

bool option_search_path(struct option_parser *p, const char *opt, const char *arg,
                        struct error *err)
{
    if (strcmp(arg, "help")) {
        string_list_add(&p->o->search_path, arg);
        return true;
    }
    struct machine_options o = { 0 };
    struct option_parser all = { .o = &o };
    options_finish(&all, err);
    for (const struct string_list *s = o.search_path; s; s = s->next)
        printf("%s\n", s->value);
    options_free(&o);
    p->exit_now = true;
    return true;
}

bool option_ignore(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    return true;
}

/* ---- display ---- */

bool option_vga(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (option_help(
            p, arg,
            "std                  standard VGA (default)\nnone                 no graphic card\n"))
        return true;
    if (strcmp(arg, "std") && strcmp(arg, "none"))
        return error_set(err, "%s: adapter '%s' is not available (use std or none)", opt, arg);
    option_set_string(&p->o->vga, arg);
    return true;
}

bool option_display(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (option_help(p, arg, "Available display backend types:\nnone\nsdl\n"))
        return true;
    if (strcmp(arg, "sdl") && strcmp(arg, "none"))
        return error_set(err, "%s: display '%s' is not available (use sdl or none)", opt, arg);
    option_set_string(&p->o->display, arg);
    p->display_given = true;
    return true;
}

bool option_nographic(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    p->o->nographic = true;
    return true;
}

/* ---- character devices ---- */

bool option_serial(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    int count = 0;
    for (const struct string_list *s = p->o->serials; s; s = s->next)
        count++;
    if (count == 4)
        return error_set(err, "%s %s: the PC has only 4 serial ports", opt, arg);
    if (!*arg)
        return error_set(err, "%s: no character device given", opt);
    string_list_add(&p->o->serials, arg);
    return true;
}

bool option_parallel(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    return !strcmp(arg, "none") ||
           error_set(err, "%s %s: there is no parallel port (only 'none' is possible)", opt, arg);
}

bool option_monitor(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (!strcmp(arg, "none"))
        p->monitor_none = true;
    else
        string_list_add(&p->o->monitors, arg);
    return true;
}

bool option_qmp(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    p->monitor_none = true; /* as in QEMU, the default monitor goes */
    if (strcmp(arg, "none"))
        string_list_add(&p->o->qmp, arg);
    return true;
}

static void add_pretty(struct option_parser *p, const char *arg)
{
    size_t size = strlen(arg) + sizeof "pretty:";
    char *spec = malloc(size);
    if (!spec)
        abort();
    snprintf(spec, size, "pretty:%s", arg);
    string_list_add(&p->o->qmp, spec);
    free(spec);
}

bool option_qmp_pretty(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    p->monitor_none = true;
    if (strcmp(arg, "none"))
        add_pretty(p, arg);
    return true;
}

/* -mon [chardev=]ID[,mode=readline|control][,pretty=on|off] */
bool option_mon(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "chardev", "mode", "pretty", NULL };
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    const char *id = first ? first : keyval_get(list, "chardev"), *mode = keyval_get(list, "mode");
    bool pretty = false, ok = false;
    if (option_bad_key(opt, list, keys, err) || !option_bool(opt, list, "pretty", &pretty, err))
        ;
    else if (!id)
        error_set(err, "%s %s: chardev= is missing", opt, arg);
    else if (mode && strcmp(mode, "readline") && strcmp(mode, "control"))
        error_set(err, "%s: mode=%s: must be readline or control", opt, mode);
    else
        ok = true;
    if (ok) {
        char spec[300];
        snprintf(spec, sizeof spec, "chardev:%.200s", id);
        p->monitor_none = true;
        if (!mode || !strcmp(mode, "readline")) {
            string_list_add(&p->o->monitors, spec);
        } else if (pretty) {
            add_pretty(p, spec);
        } else {
            string_list_add(&p->o->qmp, spec);
        }
    }
    free(first);
    keyval_free(list);
    return ok;
}

bool option_chardev(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (option_help(p, arg,
                    "Available chardev backend types:\n  file\n  null\n  pty\n  socket\n  stdio\n"))
        return true;
    string_list_add(&p->o->chardevs, arg);
    return true;
}

/* ---- log ---- */

bool option_log(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        printf("Log items (comma separated):\n");
        log_print_help();
        p->exit_now = true;
        return true;
    }
    return log_set_categories(arg, err);
}

bool option_log_file(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    p->log_file = arg;
    return true;
}

/* ---- the whole ---- */

bool options_finish(struct option_parser *p, struct error *err)
{
    static const char *const built_in[] = { "/usr/share/seabios", "/usr/share/qemu",
                                            "/usr/lib/ipxe/qemu" };
    struct machine_options *o = p->o;
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        string_list_add(&o->search_path, built_in[i]);
    if (!o->kernel && o->initrd)
        return error_set(err, "-initrd is only possible together with -kernel");
    if (!o->kernel && o->append)
        return error_set(err, "-append is only possible together with -kernel");
    for (struct drive_option *d = o->drives; d; d = d->next)
        d->snapshot |= p->snapshot && !d->cdrom;
    for (struct device_option *d = o->devices; d; d = d->next)
        for (struct device_option *e = d->next; e; e = e->next)
            if (d->id && e->id && !strcmp(d->id, e->id))
                return error_set(err, "-device: there are two devices with id '%s'", d->id);

    if (!o->nodefaults && !net_options_add_default(&o->net, err))
        return false;
    if (o->nographic && !p->display_given)
        option_set_string(&o->display, "none");
    bool monitor = o->monitors || p->monitor_none || o->nodefaults;
    bool serial = o->serials || o->nodefaults;
    if (o->nographic) { /* both on stdio, or the one that isn't placed elsewhere */
        if (!serial)
            string_list_add(&o->serials, monitor ? "stdio" : "mon:stdio");
        else if (!monitor)
            string_list_add(&o->monitors, "stdio");
    } else if (!serial) {
        string_list_add(&o->serials, "null");
    }
    if (!o->display)
        option_set_string(&o->display, o->nodefaults ? "none" : "sdl");
    o->display_default = !p->display_given;
    if (!o->vga)
        option_set_string(&o->vga, o->nodefaults ? "none" : "std");
    if (p->log_file && !log_set_file(p->log_file, err))
        return false;
    return true;
}
