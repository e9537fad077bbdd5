/*
 * A page's loudspeakers: samples go to JavaScript (web/worker/host.js), which hands them to the
 * page.
 */
#include <stdlib.h>

#include "audio/audio.h"
#include "host/wasm.h"

struct out {
    unsigned rate;
};

void *audio_out_open(unsigned rate, struct error *err)
{
    struct out *o = slipway_js_screen() ? calloc(1, sizeof *o) : NULL;
    if (o)
        o->rate = rate;
    else
        error_set(err, "no sound: there is no page");
    return o;
}

void audio_out_write(void *out, const int16_t *frames, size_t count)
{
    struct out *o = out;
    slipway_js_sound(frames, count, o->rate);
}

void audio_out_close(void *out)
{
    free(out);
}
