/*
 * JSON for QMP: a tree of values, a parser for one text, a splitter that finds the texts in a byte
 * stream, a printer.
 */
#ifndef SLIPWAY_JSON_H
#define SLIPWAY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "monitor/text.h"

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_UINT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_type type;
    union {
        bool b;
        int64_t i;
        uint64_t u; /* above INT64_MAX */
        double d;
        char *s;            /* UTF-8; U+0000 as C0 80 */
        struct json *first; /* of an array or object */
    };
    char *key;         /* in an object */
    struct json *next; /* sibling */
};

#define JSON_MAX_DEPTH 1024
#define JSON_MAX_SIZE  (16u << 20)

/* NULL: @err has the message. */
struct json *json_parse(const char *text, size_t len, struct error *err);
void json_free(struct json *v);
/* Member of an object, NULL if there is none. */
struct json *json_get(const struct json *object, const char *key);
/* Compact as QEMU prints it ({"a": 1, "b": [2]}), or with indentation. */
void json_print(struct text *t, const struct json *v, bool pretty);
/* A string with quotes and escapes; invalid UTF-8 becomes U+FFFD. */
void json_print_string(struct text *t, const char *s, size_t len);

/* Feeds on a byte stream. Each complete text, or each error, calls back; the stream goes on behind
 * an error. */
struct json_stream {
    void (*message)(void *opaque, struct json *v,
                    const char *error); /* @v is the callee's, or NULL with @error */
    void *opaque;
    struct text text; /* of the message so far */
    size_t token;     /* where its last token began */
    int braces, brackets;
    int state;
};

void json_stream_feed(struct json_stream *s, const char *buf, size_t len);
/* Back to the beginning: the peer changed. */
void json_stream_reset(struct json_stream *s);

#endif
