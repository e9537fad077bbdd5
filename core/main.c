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
static int fail(const struct error *err)
{
    fputs("slipway: ", stderr);
    for (const char *s = err->msg; *s; s++)
        fputc((unsigned char)*s < 32 || *s == 127 ? '?' : *s, stderr);
    fputc('\n', stderr);
    return 1;
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
    bool sdl = !strcmp(opt.display, "sdl");
    if (!monitor_open_all(m, &err) || (sdl && !window_open(m, &err))) {
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
