/*
 * The host's loudspeakers through SDL2's queue. A quarter of a second at most waits in it.
 */
#include <SDL.h>
#include <stdlib.h>

#include "audio/audio.h"

#define FRAME (2 * sizeof(int16_t))

struct out {
    SDL_AudioDeviceID device;
    unsigned rate;
};

void *audio_out_open(unsigned rate, struct error *err)
{
    struct out *o = calloc(1, sizeof *o);
    SDL_AudioSpec want = {
        .freq = (int)rate, .format = AUDIO_S16SYS, .channels = 2, .samples = 1024
    };
    if (!o || SDL_InitSubSystem(SDL_INIT_AUDIO)) {
        error_set(err, "no sound: %s", o ? SDL_GetError() : "out of memory");
        free(o);
        return NULL;
    }
    o->rate = rate;
    o->device = SDL_OpenAudioDevice(NULL, 0, &want, NULL, 0);
    if (!o->device) {
        error_set(err, "no sound: %s", SDL_GetError());
        SDL_QuitSubSystem(SDL_INIT_AUDIO);
        free(o);
        return NULL;
    }
    SDL_PauseAudioDevice(o->device, 0);
    return o;
}

void audio_out_write(void *out, const int16_t *frames, size_t count)
{
    struct out *o = out;
    if (SDL_GetQueuedAudioSize(o->device) < o->rate / 4 * FRAME)
        SDL_QueueAudio(o->device, frames, (uint32_t)(count * FRAME));
}

void audio_out_close(void *out)
{
    struct out *o = out;
    SDL_CloseAudioDevice(o->device);
    SDL_QuitSubSystem(SDL_INIT_AUDIO);
    free(o);
}
