/*
 * Floppy formats: which geometry an image of a given size has.
 */
#include <stddef.h>

#include "hw/fdc.h"

/* In order of preference for images of no known size: the first that is large enough. */
static const struct fdc_geometry formats[] = {
    { 80, 2, 18, 0, FDC_1440K }, /* 1.44 MB */
    { 80, 2, 36, 3, FDC_2880K }, /* 2.88 MB */
    { 80, 2, 20, 0, FDC_1440K }, /* 1.6 MB */
    { 80, 2, 21, 0, FDC_1440K }, /* 1.68 MB (DMF) */
    { 82, 2, 21, 0, FDC_1440K }, /* 1.72 MB */
    { 80, 2, 22, 0, FDC_1440K }, { 80, 2, 23, 0, FDC_1440K },
    { 80, 2, 24, 0, FDC_1440K }, { 80, 2, 39, 3, FDC_2880K },
    { 80, 2, 40, 3, FDC_2880K }, { 80, 2, 44, 3, FDC_2880K },
    { 80, 2, 48, 3, FDC_2880K }, { 80, 2, 15, 0, FDC_1200K }, /* 1.2 MB */
    { 80, 2, 18, 0, FDC_1200K }, { 82, 2, 18, 0, FDC_1200K },
    { 83, 2, 18, 0, FDC_1200K }, { 80, 2, 9, 2, FDC_1440K }, /* 720 KB */
    { 80, 2, 10, 2, FDC_1440K }, { 82, 2, 10, 2, FDC_1440K },
    { 83, 2, 10, 2, FDC_1440K }, { 80, 2, 13, 2, FDC_1440K },
    { 80, 2, 14, 2, FDC_1440K }, { 40, 2, 9, 1, FDC_1200K }, /* 360 KB in a 1.2 MB drive */
    { 40, 1, 9, 1, FDC_1200K },                              /* 180 KB */
    { 41, 2, 10, 1, FDC_1200K }, { 42, 2, 10, 1, FDC_1200K },
    { 40, 2, 8, 1, FDC_1200K }, /* 320 KB */
    { 40, 1, 8, 1, FDC_1200K }, /* 160 KB */
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

static uint64_t bytes_of(const struct fdc_geometry *g)
{
    return 512ull * g->tracks * g->heads * g->sectors;
}

const struct fdc_geometry *fdc_guess_geometry(uint64_t size)
{
    const struct fdc_geometry *best = NULL;

    for (size_t i = 0; i < FORMATS; i++)
        if (bytes_of(&formats[i]) == size)
            return &formats[i];
    for (size_t i = 0; i < 2 && !best; i++)
        if (bytes_of(&formats[i]) >= size)
            best = &formats[i];
    return best ? best : &formats[1];
}
