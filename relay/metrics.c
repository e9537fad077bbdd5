/*
 * Writes the page of /metrics. Each metric is a field of struct metrics under its own name, to
 * which "slipway_relay_" is put in front here.
 */
#include "relay/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

char *metrics_page(const struct metrics *m, size_t *len)
{
    char *page = NULL;
    FILE *f = open_memstream(&page, len);
#define LINES(name, type, help)                                                                    \
    fprintf(f,                                                                                     \
            "# HELP slipway_relay_" #name " " help "\n# TYPE slipway_relay_" #name " " type        \
            "\nslipway_relay_" #name " %" PRIu64 "\n",                                             \
            m->name);
    METRICS(LINES)
#undef LINES
    fclose(f);
    return page;
}
