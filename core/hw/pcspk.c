/*
 * The speaker: samples of a line that is 0 or 1.
 *
 * A sample is the average of the line over the time of the sample, which keeps tones of any
 * frequency clean, and lets programs that play samples by pulse width be heard. A high-pass filter
 * of the first order takes the mean away, as the coil does.
 *
 * While nothing can be heard nothing is computed. The first change starts it; from then on what the
 * line did is rendered before each change, and every PERIOD_NS; a while after the last change it
 * stops, unless a tone goes on by itself.
 */
#include "hw/pcspk.h"

#include <stdlib.h>

#include "audio/audio.h"
#include "clock.h"
#include "hw/i8254.h"
#include "machine.h"

#define PERIOD_NS (NS_PER_SEC / 100)
#define TAIL_NS   (NS_PER_SEC / 20)
#define VOLUME    8000
#define KEEP      0.995 /* of the filter's output from sample to sample */
#define BATCH     1024

struct pcspk {
    struct machine *machine;
    struct i8254 *pit;
    struct audio *out;
    struct timer timer;
    bool active;
    int64_t start_ns;   /* when it became active */
    uint64_t samples;   /* rendered since then */
    int64_t changed_ns; /* the last change */
    double input, output;
};

static int64_t sample_ns(const struct pcspk *p, uint64_t n)
{
    return p->start_ns + clock_ticks_to_ns(n, audio_rate(p->out));
}

static void render(struct pcspk *p, int64_t now)
{
    int16_t batch[BATCH][2];
    size_t n = 0;
    int64_t from = sample_ns(p, p->samples), to;
    if (now - from > NS_PER_SEC) { /* time made a jump: nobody wants to hear that */
        p->start_ns = from = now;
        p->samples = 0;
    }
    for (; (to = sample_ns(p, p->samples + 1)) <= now; from = to) {
        double x = i8254_speaker_level(p->pit, from, to);
        p->output = x - p->input + KEEP * p->output;
        p->input = x;
        batch[n][0] = batch[n][1] = (int16_t)(VOLUME * p->output);
        n++;
        p->samples++;
        if (n == BATCH) {
            audio_write(p->out, batch[0], n);
            n = 0;
        }
    }
    if (n)
        audio_write(p->out, batch[0], n);
}

static void tick(void *opaque)
{
    struct pcspk *p = opaque;
    int64_t now = clock_now_ns(&p->machine->clock);
    render(p, now);
    if (i8254_speaker_hz(p->pit) || now - p->changed_ns < TAIL_NS) {
        timer_mod(&p->timer, now + PERIOD_NS);
        return;
    }
    p->active = false;
    audio_pause(p->out);
}

void pcspk_changing(struct pcspk *p)
{
    int64_t now = clock_now_ns(&p->machine->clock);
    if (p->active) {
        render(p, now);
    } else {
        p->active = true;
        p->start_ns = now;
        p->samples = 0;
        p->input = p->output = 0;
        timer_mod(&p->timer, now + PERIOD_NS);
    }
    p->changed_ns = now;
}

void pcspk_loaded(struct pcspk *p)
{
    p->active = false;
    pcspk_changing(p);
}

bool pcspk_new(struct machine *m, struct i8254 *pit, struct pcspk **speaker, struct error *err)
{
    const char *id = m->opt ? m->opt->pcspk_audiodev : NULL;
    *speaker = NULL;
    if (!id)
        return true;
    struct audio *out = audio_open(m->opt, id, err);
    if (!out)
        return false;
    struct pcspk *p = calloc(1, sizeof *p);
    if (!p) {
        audio_close(out);
        return error_set(err, "out of memory");
    }
    p->machine = m;
    p->pit = pit;
    p->out = out;
    timer_init(&p->timer, &m->clock, tick, p);
    *speaker = p;
    return true;
}

void pcspk_free(struct pcspk *p)
{
    if (!p)
        return;
    timer_del(&p->timer);
    audio_close(p->out);
    free(p);
}
