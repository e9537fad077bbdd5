/*
 * What the files with the options' values share: checks of option groups with their messages.
 */
#include "options_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void option_set_string(char **where, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        abort();
    free(*where);
    *where = copy;
}

bool option_help(struct option_parser *p, const char *arg, const char *text)
{
    if (strcmp(arg, "help") && strcmp(arg, "?"))
        return false;
    fputs(text, stdout);
    p->exit_now = true;
    return true;
}

bool option_bad_key(const char *opt, const struct keyval *list, const char *const *allowed,
                    struct error *err)
{
    const char *unknown = keyval_unknown(list, allowed);
    return unknown && !error_set(err, "%s: unknown property '%s'", opt, unknown);
}

bool option_bool(const char *opt, const struct keyval *list, const char *key, bool *value,
                 struct error *err)
{
    const char *text = keyval_get(list, key);
    return !text || parse_bool(text, value) ||
           error_set(err, "%s: %s=%s: must be 'on' or 'off'", opt, key, text);
}

bool option_int(const char *opt, const struct keyval *list, const char *key, int max, int *value,
                struct error *err)
{
    const char *text = keyval_get(list, key);
    uint64_t v;
    if (!text)
        return true;
    if (!parse_u64(text, &v) || v > (uint64_t)max)
        return error_set(err, "%s: %s=%s: must be a number from 0 to %d", opt, key, text, max);
    *value = (int)v;
    return true;
}

bool option_one_of(const char *text, const char *const *words)
{
    while (*words && strcmp(*words, text))
        words++;
    return *words != NULL;
}
