/*
 * Sound to the outside: -audiodev DRIVER,id=ID. A device that makes sound opens the audiodev of its
 * option and writes frames (left, right; 16 bits) as virtual time goes on, at its own rate: they
 * become frames of the audiodev's rate, and those of several devices are added up. Drivers: none;
 * wav, a file of what was played (silence between sounds is left out); sdl, the host's
 * loudspeakers, in a page the page's.
 */
#ifndef SLIPWAY_AUDIO_AUDIO_H
#define SLIPWAY_AUDIO_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct audio; /* one device's sound */
struct audio_backend;
struct machine_options;

#define AUDIO_RATE     44100
#define AUDIO_RATE_MIN 8000
#define AUDIO_RATE_MAX 192000

/* What is heard of the list of -audiodev options; owned by the options. */
struct audio_option {
    char *driver, *id, *path;
    uint32_t rate;
    struct audio_backend *backend; /* while a device has it open (audio.c) */
    struct audio_option *next;
};

/* The audiodev called @id (NULL: the first, or nowhere if there is none). NULL: @err says why. The
 * caller closes it. */
struct audio *audio_open(const struct machine_options *opt, const char *id, struct error *err);
void audio_close(struct audio *a);
/* The audiodev's rate, which is also that of what is written until audio_set_rate(). */
unsigned audio_rate(const struct audio *a);
void audio_set_rate(struct audio *a, unsigned rate);
/* @count pairs of samples. Whoever has begun to write goes on until audio_pause(): others' sound
 * waits for it, a little. */
void audio_write(struct audio *a, const int16_t *frames, size_t count);
void audio_pause(struct audio *a);

/* The platform's loudspeakers (audio_native.c, audio_wasm.c), frames as above. audio_out_write()
 * drops what is too much: sound never holds the machine back. */
void *audio_out_open(unsigned rate, struct error *err);
void audio_out_write(void *out, const int16_t *frames, size_t count);
void audio_out_close(void *out);

#endif
