/*
 * A string that grows: what monitor commands print into.
 */
#ifndef SLIPWAY_TEXT_H
#define SLIPWAY_TEXT_H

#include <stdarg.h>
#include <stddef.h>

struct text {
    char *s; /* NUL-terminated once anything was added; NULL before */
    size_t len, capacity;
};

void text_add(struct text *t, const char *s, size_t len);
void text_puts(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The contents, "" if empty. */
const char *text_str(const struct text *t);
/* Drops the first @len bytes. */
void text_consume(struct text *t, size_t len);
void text_free(struct text *t);

#endif
