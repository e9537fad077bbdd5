/*
 * The audiodevs: mixes what devices play and writes WAV files (RIFF, PCM, as in Microsoft's
 * "Multimedia Programming Interface and Data Specifications 1.0"). The sizes in a file's header are
 * set anew with each piece, so that the file is whole whenever the process ends.
 *
 * A backend has a short stretch of mixed frames that aren't out yet. Each device writes at its own
 * place in it; what all that play have written goes out. A device whose rate is another one is
 * resampled by linear interpolation.
 */
#include "audio/audio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define WAV_HEADER 44
#define WAV_MOST   0x7fff0000u /* bytes; what comes later is left out */
#define CHANNELS   2
#define FRAME      (CHANNELS * sizeof(int16_t))
#define MIX        8192 /* frames; who is so far behind isn't waited for */
#define PIECES     200  /* a second, at most */
#define ONE        (1ull << 32)

struct audio_backend {
    struct audio_option *option;
    unsigned rate;
    struct audio *devices;
    int32_t mix[MIX][CHANNELS];
    size_t mixed;   /* frames in it that somebody has written */
    FILE *file;     /* wav */
    uint32_t bytes; /* of samples in the file */
    void *out;      /* sdl */
};

struct audio {
    struct audio_backend *backend; /* NULL: to nowhere */
    struct audio *next;
    bool playing;
    size_t at; /* in the backend's mix */
    unsigned rate;
    int16_t last[CHANNELS]; /* the frame before, and how far behind it the next one to make is */
    uint64_t phase;
};

/* ---- to the outside ---- */

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void write_header(struct audio_backend *b)
{
    uint8_t h[WAV_HEADER] = "RIFF....WAVEfmt ";
    put32(h + 4, WAV_HEADER - 8 + b->bytes);
    put32(h + 16, 16);
    put32(h + 20, 1 | CHANNELS << 16); /* PCM */
    put32(h + 24, b->rate);
    put32(h + 28, b->rate * (uint32_t)FRAME);
    put32(h + 32, (uint32_t)FRAME | 16 << 16); /* bytes of a frame, bits of a sample */
    memcpy(h + 36, "data", 4);
    put32(h + 40, b->bytes);
    rewind(b->file);
    fwrite(h, 1, sizeof h, b->file);
    fseek(b->file, 0, SEEK_END);
    fflush(b->file);
}

static void put_out(struct audio_backend *b, const int16_t *frames, size_t count)
{
    if (b->file && b->bytes + count * FRAME <= WAV_MOST) {
        for (size_t i = 0; i < count * CHANNELS; i++) {
            uint8_t bytes[2] = { (uint8_t)frames[i], (uint8_t)((uint16_t)frames[i] >> 8) };
            fwrite(bytes, 1, 2, b->file);
        }
        b->bytes += (uint32_t)(count * FRAME);
        write_header(b);
    }
    if (b->out)
        audio_out_write(b->out, frames, count);
}

/* The first @count frames of the mix go out. */
static void flush(struct audio_backend *b, size_t count)
{
    int16_t frames[256][CHANNELS];
    for (size_t done = 0; done < count;) {
        size_t n = count - done < 256 ? count - done : 256;
        for (size_t i = 0; i < n * CHANNELS; i++) {
            int32_t v = b->mix[done + i / CHANNELS][i % CHANNELS];
            frames[i / CHANNELS][i % CHANNELS] = (int16_t)(v > INT16_MAX   ? INT16_MAX
                                                           : v < INT16_MIN ? INT16_MIN
                                                                           : v);
        }
        put_out(b, frames[0], n);
        done += n;
    }
    memmove(b->mix, b->mix + count, (b->mixed - count) * sizeof b->mix[0]);
    memset(b->mix + b->mixed - count, 0, count * sizeof b->mix[0]);
    b->mixed -= count;
    for (struct audio *a = b->devices; a; a = a->next)
        a->at = a->at > count ? a->at - count : 0;
}

static void flush_ready(struct audio_backend *b)
{
    size_t ready = b->mixed, least = 1;
    for (const struct audio *a = b->devices; a; a = a->next) {
        if (!a->playing)
            continue;
        least =
            b->rate / PIECES; /* a device that writes single frames doesn't make single pieces */
        if (a->at < ready)
            ready = a->at;
    }
    if (ready >= least)
        flush(b, ready);
}

/* ---- from a device ---- */

static void add(struct audio *a, int32_t left, int32_t right)
{
    struct audio_backend *b = a->backend;
    if (a->at == MIX)
        flush(b, MIX / 2);
    b->mix[a->at][0] += left;
    b->mix[a->at][1] += right;
    if (++a->at > b->mixed)
        b->mixed = a->at;
}

static int32_t between(int16_t from, int16_t to, uint64_t phase)
{
    return from + (int32_t)(((int64_t)to - from) * (int64_t)(phase >> 16) >> 16);
}

void audio_write(struct audio *a, const int16_t *frames, size_t count)
{
    struct audio_backend *b = a->backend;
    if (!b)
        return;
    if (!a->playing) {
        a->playing = true;
        a->at = 0;
        a->phase = 0;
        a->last[0] = a->last[1] = 0;
    }
    uint64_t step = ONE * a->rate / b->rate;
    for (size_t i = 0; i < count; i++, frames += CHANNELS) {
        if (a->rate == b->rate) {
            add(a, frames[0], frames[1]);
            continue;
        }
        for (; a->phase < ONE; a->phase += step)
            add(a, between(a->last[0], frames[0], a->phase),
                between(a->last[1], frames[1], a->phase));
        a->phase -= ONE;
        memcpy(a->last, frames, sizeof a->last);
    }
    flush_ready(b);
}

void audio_pause(struct audio *a)
{
    a->playing = false;
    if (a->backend)
        flush_ready(a->backend);
}

unsigned audio_rate(const struct audio *a)
{
    return a->backend ? a->backend->rate : AUDIO_RATE;
}

void audio_set_rate(struct audio *a, unsigned rate)
{
    a->rate = rate < AUDIO_RATE_MIN   ? AUDIO_RATE_MIN
              : rate > AUDIO_RATE_MAX ? AUDIO_RATE_MAX
                                      : rate;
}

/* ---- life ---- */

static void close_backend(struct audio_backend *b)
{
    b->option->backend = NULL;
    if (b->file)
        fclose(b->file);
    if (b->out)
        audio_out_close(b->out);
    free(b);
}

static struct audio_backend *open_backend(struct audio_option *o, struct error *err)
{
    struct audio_backend *b = calloc(1, sizeof *b);
    if (!b) {
        error_set(err, "out of memory");
        return NULL;
    }
    b->option = o;
    b->rate = o->rate;
    bool ok = true;
    if (!strcmp(o->driver, "wav")) {
        b->file = fopen(o->path, "wb");
        ok = b->file || error_set(err, "audiodev '%s': %s: %s", o->id, o->path, strerror(errno));
        if (ok)
            write_header(b);
    } else if (!strcmp(o->driver, "sdl")) {
        b->out = audio_out_open(b->rate, err);
        ok = b->out || error_prepend(err, "audiodev '%s'", o->id);
    }
    if (ok)
        return o->backend = b;
    free(b);
    return NULL;
}

struct audio *audio_open(const struct machine_options *opt, const char *id, struct error *err)
{
    struct audio_option *o = opt->audiodevs;
    while (o && id && strcmp(o->id, id))
        o = o->next;
    if (!o && id) {
        error_set(err, "audiodev '%s' not found", id);
        return NULL;
    }
    struct audio *a = calloc(1, sizeof *a);
    if (!a) {
        error_set(err, "out of memory");
        return NULL;
    }
    if (o) {
        a->backend = o->backend ? o->backend : open_backend(o, err);
        if (!a->backend) {
            free(a);
            return NULL;
        }
        a->next = a->backend->devices;
        a->backend->devices = a;
    }
    a->rate = audio_rate(a);
    return a;
}

void audio_close(struct audio *a)
{
    if (!a)
        return;
    struct audio_backend *b = a->backend;
    audio_pause(a);
    if (b) {
        struct audio **at = &b->devices;
        while (*at && *at != a)
            at = &(*at)->next;
        if (*at)
            *at = a->next;
        if (!b->devices)
            close_backend(b);
    }
    free(a);
}
