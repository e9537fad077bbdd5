/*
 * The audiodevs: finds the one that is asked for and writes WAV files (RIFF, PCM, as in Microsoft's
 * "Multimedia Programming Interface and Data Specifications 1.0"). The sizes in a file's header are
 * set anew with each piece, so that the file is whole whenever the process ends.
 */
#include "audio/audio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define WAV_HEADER 44
#define WAV_MOST   0x7fff0000u /* bytes; what comes later is left out */

struct audio {
    unsigned rate;
    FILE *file;     /* wav */
    uint32_t bytes; /* of samples in the file */
    void *out;      /* sdl */
};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void write_header(struct audio *a)
{
    uint8_t h[WAV_HEADER] = "RIFF....WAVEfmt ";
    put32(h + 4, WAV_HEADER - 8 + a->bytes);
    put32(h + 16, 16);
    put32(h + 20, 1 | 1 << 16); /* PCM, one channel */
    put32(h + 24, a->rate);
    put32(h + 28, a->rate * 2);
    put32(h + 32, 2 | 16 << 16); /* bytes of a frame, bits of a sample */
    memcpy(h + 36, "data", 4);
    put32(h + 40, a->bytes);
    rewind(a->file);
    fwrite(h, 1, sizeof h, a->file);
    fseek(a->file, 0, SEEK_END);
    fflush(a->file);
}

struct audio *audio_open(const struct machine_options *opt, const char *id, struct error *err)
{
    const struct audio_option *o = opt->audiodevs;
    while (o && strcmp(o->id, id))
        o = o->next;
    if (!o) {
        error_set(err, "audiodev '%s' not found", id);
        return NULL;
    }
    struct audio *a = calloc(1, sizeof *a);
    if (!a) {
        error_set(err, "out of memory");
        return NULL;
    }
    a->rate = o->rate;
    bool ok = true;
    if (!strcmp(o->driver, "wav")) {
        a->file = fopen(o->path, "wb");
        ok = a->file || error_set(err, "audiodev '%s': %s: %s", id, o->path, strerror(errno));
        if (ok)
            write_header(a);
    } else if (!strcmp(o->driver, "sdl")) {
        a->out = audio_out_open(a->rate, err);
        ok = a->out != NULL;
        if (!ok)
            error_prepend(err, "audiodev '%s'", id);
    }
    if (!ok) {
        free(a);
        return NULL;
    }
    return a;
}

void audio_close(struct audio *a)
{
    if (!a)
        return;
    if (a->file)
        fclose(a->file);
    if (a->out)
        audio_out_close(a->out);
    free(a);
}

unsigned audio_rate(const struct audio *a)
{
    return a->rate;
}

void audio_write(struct audio *a, const int16_t *samples, size_t count)
{
    if (a->file && a->bytes + count * 2 <= WAV_MOST) {
        uint8_t b[2];
        for (size_t i = 0; i < count; i++) {
            b[0] = (uint8_t)samples[i];
            b[1] = (uint8_t)((uint16_t)samples[i] >> 8);
            fwrite(b, 1, 2, a->file);
        }
        a->bytes += (uint32_t)(count * 2);
        write_header(a);
    }
    if (a->out)
        audio_out_write(a->out, samples, count);
}
