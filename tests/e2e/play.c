/*
 * Plays a square wave of 440 Hz on the left and 1000 Hz on the right through OSS: play RATE
 * SECONDS. For a Linux guest: linked statically.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/soundcard.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int rate = argc > 1 ? atoi(argv[1]) : 48000, seconds = argc > 2 ? atoi(argv[2]) : 2;
    int mixer = open("/dev/mixer", O_RDWR), dsp = open("/dev/dsp", O_WRONLY);
    int full = 100 | 100 << 8, format = AFMT_S16_LE, channels = 2, real = rate;
    if (mixer < 0 || dsp < 0 || ioctl(mixer, SOUND_MIXER_WRITE_VOLUME, &full) < 0 ||
        ioctl(mixer, SOUND_MIXER_WRITE_PCM, &full) < 0 || ioctl(dsp, SNDCTL_DSP_SETFMT, &format) ||
        ioctl(dsp, SNDCTL_DSP_CHANNELS, &channels) || ioctl(dsp, SNDCTL_DSP_SPEED, &real)) {
        perror("play");
        return 1;
    }
    short *frames = malloc((size_t)rate * seconds * 4);
    for (long i = 0; i < (long)rate * seconds; i++) {
        frames[2 * i] = i * 880 / rate % 2 ? 8000 : -8000;
        frames[2 * i + 1] = i * 2000 / rate % 2 ? 8000 : -8000;
    }
    size_t size = (size_t)rate * seconds * 4, done = 0;
    while (done < size) {
        ssize_t n = write(dsp, (char *)frames + done, size - done);
        if (n <= 0) {
            perror("write");
            return 1;
        }
        done += (size_t)n;
    }
    ioctl(dsp, SNDCTL_DSP_SYNC, 0);
    printf("played %d s at %d Hz\n", seconds, real);
    return 0;
}
