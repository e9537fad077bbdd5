/*
 * Between options.c (the table and the loop over argv) and options_values.c, options_devices.c,
 * options_audio.c (what each option's value means).
 */
#ifndef SLIPWAY_OPTIONS_IMPL_H
#define SLIPWAY_OPTIONS_IMPL_H

#include "options.h"

/* What parsing knows besides the result. */
struct option_parser {
    struct machine_options *o;
    bool exit_now;     /* -help, -version, ... have printed what was asked */
    bool monitor_none; /* -monitor none: no default monitor */
    bool display_given;
    bool snapshot;        /* -snapshot: all drives */
    const char *log_file; /* -D; opened after all is parsed */
};

/* Handles one value. @opt: the option as the user wrote it, for messages. */
typedef bool option_fn(struct option_parser *p, const char *opt, const char *arg,
                       struct error *err);

option_fn option_cpu, option_memory, option_smp, option_machine, option_accel, option_icount,
    option_boot, option_vga, option_display, option_nographic, option_rtc, option_action,
    option_name, option_uuid, option_net, option_serial, option_parallel, option_monitor,
    option_mon, option_qmp, option_qmp_pretty, option_chardev, option_device, option_drive,
    option_cdrom, option_hd, option_fd, option_log, option_log_file, option_search_path,
    option_snapshot, option_ignore, option_audiodev;

/* Checks that need the whole command line, and the defaults that depend on it. */
bool options_finish(struct option_parser *p, struct error *err);

/* Replaces the string at *@where. */
void option_set_string(char **where, const char *value);
/* If the value is "help" or "?": prints @text, after which the program ends. */
bool option_help(struct option_parser *p, const char *arg, const char *text);
/* True, with a message: @list has a key that isn't among the NULL-terminated @allowed. */
bool option_bad_key(const char *opt, const struct keyval *list, const char *const *allowed,
                    struct error *err);
/* A switch, a number from 0 to @max of an option group; absent: @value stays. */
bool option_bool(const char *opt, const struct keyval *list, const char *key, bool *value,
                 struct error *err);
bool option_int(const char *opt, const struct keyval *list, const char *key, int max, int *value,
                struct error *err);
/* Is @text one of the NULL-terminated @words? */
bool option_one_of(const char *text, const char *const *words);

void options_audio_free(struct audio_option *a);

#endif
