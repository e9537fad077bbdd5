/*
 * The command line program, native and under Node: options -> machine -> monitors -> the platform's
 * loop. What goes wrong before the guest runs is one line on stderr and exit status 1.
 */
#include <stdio.h>
#include <string.h>

#include "char/char.h"
#include "error.h"
#include "host/host.h"
#include "machine.h"
#include "monitor/monitor.h"
#include "options.h"
#include "ui/window.h"

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

int main(int argc, char **argv)
{
    static struct machine_options opt; /* the loop under Node goes on after main has returned */
    struct error err = { "" };
    bool exit_now;
    if (!options_parse(&opt, argc, argv, &exit_now, &err))
        return fail(&err);
    if (exit_now)
        return 0;
    struct machine *m = machine_new(&opt, &err);
    if (!m)
        return fail(&err);
    if (!monitor_open_all(m, &err) || !open_display(m, &err)) {
        machine_free(m);
        return fail(&err);
    }
    if (chr_waiting(m))
        chr_report_waiting(m);
    else if (!opt.start_paused)
        machine_start(m);
#ifdef __EMSCRIPTEN__
    return host_main(m);
#else
    int status = host_main(m);
    window_close();
    machine_free(m);
    options_free(&opt);
    return status;
#endif
}
