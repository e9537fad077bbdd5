/*
 * -audiodev: what a device that makes sound can be connected to. Names as QEMU has them.
 */
#include "options_impl.h"

#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"

static bool is_driver(const char *name)
{
    return !strcmp(name, "none") || !strcmp(name, "wav") || !strcmp(name, "sdl");
}

static bool check(const struct machine_options *o, const char *opt, const struct keyval *list,
                  const char *driver, uint64_t *rate, struct error *err)
{
    static const char *const keys[] = { "driver", "id", "path", "out.frequency", NULL };
    const char *id = keyval_get(list, "id"), *path = keyval_get(list, "path"),
               *hz = keyval_get(list, "out.frequency"), *unknown = keyval_unknown(list, keys);
    if (unknown)
        return error_set(err, "%s: unknown property '%s'", opt, unknown);
    if (!driver || !is_driver(driver))
        return error_set(err, "%s: there is no driver '%s' (none, wav, sdl)", opt,
                         driver ? driver : "");
    if (!id || !*id)
        return error_set(err, "%s %s: id= is missing", opt, driver);
    if (path && strcmp(driver, "wav"))
        return error_set(err, "%s %s: path= is only for wav", opt, driver);
    if (hz && (!parse_u64(hz, rate) || *rate < AUDIO_RATE_MIN || *rate > AUDIO_RATE_MAX))
        return error_set(err, "%s: out.frequency=%s: must be %d to %d", opt, hz, AUDIO_RATE_MIN,
                         AUDIO_RATE_MAX);
    for (const struct audio_option *a = o->audiodevs; a; a = a->next)
        if (!strcmp(a->id, id))
            return error_set(err, "%s: there are two with id '%s'", opt, id);
    return true;
}

bool option_audiodev(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (option_help(p, arg, "Available audio drivers:\nnone\nsdl\nwav\n"))
        return true;
    struct keyval *list;
    char *first;
    if (!keyval_parse(arg, &first, &list, opt, err))
        return false;
    const char *driver = first ? first : keyval_get(list, "driver");
    uint64_t rate = AUDIO_RATE;
    bool ok = check(p->o, opt, list, driver, &rate, err);
    if (ok) {
        struct audio_option *a = calloc(1, sizeof *a);
        if (!a)
            abort();
        const char *path = keyval_get(list, "path");
        option_set_string(&a->driver, driver);
        option_set_string(&a->id, keyval_get(list, "id"));
        option_set_string(&a->path, path ? path : "slipway.wav");
        a->rate = (uint32_t)rate;
        struct audio_option **end = &p->o->audiodevs;
        while (*end)
            end = &(*end)->next;
        *end = a;
    }
    free(first);
    keyval_free(list);
    return ok;
}

void options_audio_free(struct audio_option *a)
{
    while (a) {
        struct audio_option *next = a->next;
        free(a->driver);
        free(a->id);
        free(a->path);
        free(a);
        a = next;
    }
}
