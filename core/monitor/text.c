/*
 * struct text: a growing string.
 */
#include "monitor/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct text *t, size_t more)
{
    if (t->capacity - t->len > more)
        return;
    size_t capacity = t->capacity ? t->capacity : 256;
    while (capacity - t->len <= more)
        capacity *= 2;
    t->s = realloc(t->s, capacity);
    if (!t->s)
        abort();
    t->capacity = capacity;
}

void text_add(struct text *t, const char *s, size_t len)
{
    reserve(t, len);
    memcpy(t->s + t->len, s, len);
    t->len += len;
    t->s[t->len] = 0;
}

void text_puts(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    reserve(t, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
}

const char *text_str(const struct text *t)
{
    return t->s ? t->s : "";
}

void text_consume(struct text *t, size_t len)
{
    if (!len)
        return;
    memmove(t->s, t->s + len, t->len - len + 1);
    t->len -= len;
}

void text_free(struct text *t)
{
    free(t->s);
    *t = (struct text){ 0 };
}
