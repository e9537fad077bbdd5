/*
 * screendump: brings the surface up to date and writes it to a file, as PPM (P6, what QEMU writes)
 * or PNG.
 */
#include "ui/display.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/png.h"

static bool ppm_encode(const struct display_surface *s, uint8_t **out, size_t *len)
{
    size_t size = 64 + (size_t)s->width * (size_t)s->height * 3;
    uint8_t *buf = malloc(size);
    if (!buf)
        return false;
    uint8_t *p = buf + snprintf((char *)buf, 64, "P6\n%d %d\n255\n", s->width, s->height);
    for (int y = 0; y < s->height; y++) {
        const uint32_t *src =
            (const uint32_t *)((const uint8_t *)s->pixels + (size_t)y * (size_t)s->stride);
        for (int x = 0; x < s->width; x++) {
            *p++ = (uint8_t)(src[x] >> 16);
            *p++ = (uint8_t)(src[x] >> 8);
            *p++ = (uint8_t)src[x];
        }
    }
    *out = buf;
    *len = (size_t)(p - buf);
    return true;
}

bool display_screendump(struct display *d, const char *path, const char *format, struct error *err)
{
    bool png = format && strcmp(format, "png") == 0;
    if (format && !png && strcmp(format, "ppm") != 0)
        return error_set(err, "screendump: format '%s' is neither ppm nor png", format);
    display_update(d);
    uint8_t *buf;
    size_t len;
    const struct display_surface *s = display_surface(d);
    if (!(png ? png_encode(s, &buf, &len) : ppm_encode(s, &buf, &len)))
        return error_set(err, "screendump: out of memory");
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(buf, 1, len, f) == len;
    if (f && fclose(f) != 0)
        ok = false;
    free(buf);
    return ok || error_set(err, "screendump: %s: %s", path, strerror(errno));
}
