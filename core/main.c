/*
 * The command line program, native and under Node: options -> machine -> the platform's loop. What
 * goes wrong before the guest runs is one line on stderr and exit status 1.
 */
#include <stdio.h>

#include "error.h"
#include "options.h"

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
    static struct machine_options opt;
    struct error err = { "" };
    bool exit_now;
    if (!options_parse(&opt, argc, argv, &exit_now, &err))
        return fail(&err);
    if (exit_now)
        return 0;
    options_free(&opt);
    return 0;
}
