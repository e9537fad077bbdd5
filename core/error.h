/*
 * Errors as values. A function that can fail returns false (or NULL) and fills a struct error with
 * one line that names the thing and the value at fault: "drive 'hda': /x.img: No such file or
 * directory". The caller prints it or passes it on; nothing in core/ exits the process.
 */
#ifndef SLIPWAY_ERROR_H
#define SLIPWAY_ERROR_H

#include <stdbool.h>

struct error {
    char msg[512];
};

/* Formats the message (printf style) into @err, which may be NULL. Always returns false. */
bool error_set(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " (printf style) before the message already in @err. Always returns false. */
bool error_prepend(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* it can't see that into the definitions */
#define error_set(...)     (error_set(__VA_ARGS__), false)
#define error_prepend(...) (error_prepend(__VA_ARGS__), false)
#endif

#endif
