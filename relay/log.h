/*
 * Log lines for people and programs: one event a line, `key=value` after it, to stderr.
 */
#ifndef SLIPWAY_RELAY_LOG_H
#define SLIPWAY_RELAY_LOG_H

#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };

/* Lines below @level are left out. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; the level or -1. */
int log_level_parse(const char *name);
/* One line: time, level, @event (a short word), then @format, which is made of `key=%...` pairs.
 * Strings that came from outside go through log_text(). Tokens, keys and payloads are never
 * logged. */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* @len bytes of @text in double quotes, at most 200 of them, everything but printable ASCII
 * escaped. The result is good for the next seven calls. */
const char *log_text(const void *text, size_t len);
/* The same of a C string; NULL is "". */
const char *log_string(const char *text);

#endif
