/*
 * The command line program, native, under Node and in a browser's worker: options -> the files that
 * they name -> machine -> monitors -> the platform's loop. What goes wrong before the guest runs is
 * one line on stderr and exit status 1.
 */
#include <stdio.h>
#include <string.h>

#include "char/char.h"
#include "error.h"
#include "host/host.h"
#include "machine.h"
#include "monitor/monitor.h"
#include "options.h"
#include "snapshot.h"
#include "ui/window.h"

#define MAX_NEEDS 32 /* files to be made ready beforehand; more drives than a PC takes */

/* One line whatever the arguments contained. */
static void report(const struct error *err)
{
    fputs("slipway: ", stderr);
    for (const char *s = err->msg; *s; s++)
        fputc((unsigned char)*s < 32 || *s == 127 ? '?' : *s, stderr);
    fputc('\n', stderr);
}

static int fail(const struct error *err)
{
    report(err);
    return 1;
}

/* A window that nobody asked for and that can't be (a machine without a screen) is no reason not to
 * run: the serial line, monitors and QMP are there. */
static bool open_display(struct machine *m, struct error *err)
{
    if (strcmp(m->opt->display, "sdl") || window_open(m, err))
        return true;
    if (!m->opt->display_default)
        return false;
    error_prepend(err, "warning: no window (-display none says that it isn't wanted)");
    report(err);
    return true;
}

/* The file of -loadvm or -incoming, NULL if there is none. */
static const char *saved_state(const struct machine_options *opt)
{
    return opt->incoming && !strncmp(opt->incoming, "file:", 5) ? opt->incoming + 5 : opt->loadvm;
}

static bool restore(struct machine *m, struct error *err)
{
    const char *incoming = m->opt->incoming, *file = saved_state(m->opt);
    if (incoming && strncmp(incoming, "file:", 5) && strcmp(incoming, "defer"))
        return error_set(err, "-incoming %s: only file:NAME and defer are possible", incoming);
    return !file || snapshot_load_file(m, file, err);
}

/* Everything after the options are known and the files that they name are there. */
static int start(void *opaque)
{
    struct machine_options *opt = opaque;
    struct error err = { "" };
    struct machine *m = machine_new(opt, &err);
    if (!m)
        return fail(&err);
    if (!monitor_open_all(m, &err) || !open_display(m, &err)) {
        machine_free(m);
        return fail(&err);
    }
    if (!restore(m, &err)) {
        machine_free(m);
        return fail(&err);
    }
    if (opt->incoming && !strcmp(opt->incoming, "defer"))
        ; /* migrate_incoming starts it */
    else if (chr_waiting(m))
        chr_report_waiting(m);
    else if (!opt->start_paused)
        machine_start(m);
#ifdef __EMSCRIPTEN__
    return host_main(m);
#else
    int status = host_main(m);
    window_close();
    machine_free(m);
    options_free(opt);
    return status;
#endif
}

int main(int argc, char **argv)
{
    static struct machine_options
        opt; /* the loop under JavaScript goes on after main has returned */
    struct host_need needs[MAX_NEEDS];
    size_t count = 0;
    struct error err = { "" };
    bool exit_now;
    if (!options_parse(&opt, argc, argv, &exit_now, &err))
        return fail(&err);
    if (exit_now)
        return 0;
    const char *whole[] = { opt.bios, opt.kernel, opt.initrd, saved_state(&opt) };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (whole[i])
            needs[count++] = (struct host_need){ whole[i], true };
    for (const struct drive_option *d = opt.drives; d && count < MAX_NEEDS; d = d->next)
        if (d->file)
            needs[count++] = (struct host_need){ d->file, false };
    return host_prepare(needs, count, start, &opt);
}
