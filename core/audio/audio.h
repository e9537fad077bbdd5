/*
 * Sound to the outside: -audiodev DRIVER,id=ID. A device that makes sound opens the audiodev of its
 * option and writes samples as virtual time goes on: mono, 16 bits, so many a second as
 * audio_rate() says. Drivers: none; wav, a file of what was played (silence between sounds is left
 * out); sdl, the host's loudspeakers, in a page the page's.
 */
#ifndef SLIPWAY_AUDIO_AUDIO_H
#define SLIPWAY_AUDIO_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct audio;
struct machine_options;

#define AUDIO_RATE     44100
#define AUDIO_RATE_MIN 8000
#define AUDIO_RATE_MAX 192000

/* What is heard of the list of -audiodev options; owned by the options. */
struct audio_option {
    char *driver, *id, *path;
    uint32_t rate;
    struct audio_option *next;
};

/* The audiodev called @id. NULL: @err says why. The caller closes it. */
struct audio *audio_open(const struct machine_options *opt, const char *id, struct error *err);
void audio_close(struct audio *a);
unsigned audio_rate(const struct audio *a);
void audio_write(struct audio *a, const int16_t *samples, size_t count);

/* The platform's loudspeakers (audio_native.c, audio_wasm.c). audio_out_write() drops what is too
 * much: sound never holds the machine back. */
void *audio_out_open(unsigned rate, struct error *err);
void audio_out_write(void *out, const int16_t *samples, size_t count);
void audio_out_close(void *out);

#endif
