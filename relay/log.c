/*
 * The log: lines like
 *
 *   2026-01-31T12:00:00.123Z info listen address=127.0.0.1 port=8080
 *
 * Each line is written by one write(2), so lines of the relay and of its scripts don't mix. The
 * level is the process's, as stderr is.
 */
#include "relay/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level lowest = LOG_INFO;

static const char *const names[LOG_LEVELS] = { "debug", "info", "warn", "error" };

void log_set_level(enum log_level level)
{
    lowest = level;
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (!strcmp(name, names[i]))
            return i;
    }
    return -1;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    char line[2048];
    struct timespec now;
    struct tm utc;
    if (level < lowest)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s", now.tv_nsec / 1000000,
                          names[level], event);
    if (*format) {
        va_list args;
        line[n++] = ' ';
        va_start(args, format);
        int len = vsnprintf(line + n, sizeof line - 1 - n, format, args);
        va_end(args);
        if (len > 0)
            n += (size_t)len < sizeof line - 1 - n ? (size_t)len : sizeof line - 2 - n;
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody is left to tell */
}

const char *log_text(const void *text, size_t len)
{
    enum { SHOWN = 200, SLOTS = 8 };
    static char slots[SLOTS][2 + 4 * SHOWN + 4];
    static unsigned slot;
    char *out = slots[slot++ % SLOTS], *p = out;
    const unsigned char *in = text;
    *p++ = '"';
    for (size_t i = 0; i < len && i < SHOWN; i++) {
        if (in[i] < 0x20 || in[i] > 0x7e || in[i] == '"' || in[i] == '\\')
            p += sprintf(p, "\\x%02x", in[i]);
        else
            *p++ = (char)in[i];
    }
    memcpy(p, len > SHOWN ? "...\"" : "\"", len > SHOWN ? 5 : 2);
    return out;
}

const char *log_string(const char *text)
{
    return log_text(text ? text : "", text ? strlen(text) : 0);
}
