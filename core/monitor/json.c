/*
 * JSON (RFC 8259) as QMP has it: strings may also be in single quotes, and messages need no
 * separator.
 *
 * Stream: json_stream_feed() runs a small lexer (enum state) over the bytes, only to know where
 * tokens and messages end. A message is complete when a token ends and neither braces nor brackets
 * are open (or one was closed too many). The text is then parsed at once by recursive descent,
 * depth-limited because the lexer counts.  A character that can't be part of any token is an error
 * at once; the lexer then skips to the next structural or control character, so a client that sends
 * garbage gets an error and can go on.
 */
#include "monitor/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MEMBERS 4096 /* of one object */

/* ---- values ---- */

static struct json *new_value(enum json_type type)
{
    struct json *v = calloc(1, sizeof *v);
    if (!v)
        abort();
    v->type = type;
    return v;
}

void json_free(struct json *v)
{
    /* Siblings in a loop, children by recursion: as deep as the nesting, which is bounded. */
    while (v) {
        struct json *next = v->next;
        if (v->type == JSON_STRING)
            free(v->s);
        else if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
            json_free(v->first);
        free(v->key);
        free(v);
        v = next;
    }
}

struct json *json_get(const struct json *object, const char *key)
{
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (struct json *v = object->first; v; v = v->next)
        if (!strcmp(v->key, key))
            return v;
    return NULL;
}

/* ---- parser ---- */

struct parser {
    const char *p, *end;
    int depth;
    struct error *err;
};

static struct json *fail(struct parser *x, const char *what)
{
    error_set(x->err, "JSON parse error, %s", what);
    return NULL;
}

static void skip_space(struct parser *x)
{
    while (x->p < x->end && strchr(" \t\r\n", *x->p) && *x->p)
        x->p++;
}

/* The structural character that comes next, without taking it; 0 at the end. */
static char peek(struct parser *x)
{
    skip_space(x);
    return x->p < x->end ? *x->p : 0;
}

static void put_utf8(char **out, uint32_t c)
{
    char *o = *out;
    if (c && c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) { /* U+0000 too: it must not end the C string */
        *o++ = (char)(0xc0 | c >> 6);
        *o++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *o++ = (char)(0xe0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 0x3f));
        *o++ = (char)(0x80 | (c & 0x3f));
    } else {
        *o++ = (char)(0xf0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 0x3f));
        *o++ = (char)(0x80 | (c >> 6 & 0x3f));
        *o++ = (char)(0x80 | (c & 0x3f));
    }
    *out = o;
}

/* Decodes one character; returns its length, 0 if it isn't valid UTF-8. Takes C0 80 as U+0000. */
static size_t get_utf8(const char *s, size_t len, uint32_t *c)
{
    const unsigned char *p = (const unsigned char *)s;
    if (!len)
        return 0;
    if (p[0] < 0x80) {
        *c = p[0];
        return 1;
    }
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc0 || p[0] > 0xf4 || n > len)
        return 0;
    uint32_t v = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3f);
    }
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (v == 0 && n == 2)
        ;
    else if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return 0;
    *c = v;
    return n;
}

/* Four hex digits at @s, -1 if they aren't. */
static int32_t hex4(const char *s, const char *end)
{
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s + i < end ? s[i] : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* After "\u" at x->p; @escape is where the backslash is. */
static bool unescape_unicode(struct parser *x, const char *escape, char **out)
{
    int32_t c = hex4(x->p, x->end);
    bool ok = c >= 0;
    if (ok)
        x->p += 4;
    if (ok && c >= 0xd800 && c < 0xdc00) {
        int32_t low =
            x->end - x->p >= 6 && x->p[0] == '\\' && x->p[1] == 'u' ? hex4(x->p + 2, x->end) : -1;
        ok = low >= 0xdc00 && low < 0xe000;
        if (ok) {
            c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
            x->p += 6;
        }
    } else if (ok && c >= 0xdc00 && c < 0xe000) {
        ok = false;
    }
    if (!ok) {
        size_t n = 0; /* show the escape, as far as it goes */
        while (n < 6 && escape + n < x->end && (n == 0 || escape[n - 1] != *x->end))
            n++;
        char message[64];
        snprintf(message, sizeof message, "%.*s is not a valid Unicode character", (int)n, escape);
        fail(x, message);
        return false;
    }
    put_utf8(out, (uint32_t)c);
    return true;
}

/* At a quote. */
static struct json *parse_string(struct parser *x)
{
    static const char from[] = "bfnrt\"'\\/", to[] = "\b\f\n\r\t\"'\\/";
    char quote = *x->p++;
    char *s = malloc((size_t)(x->end - x->p) + 1), *out = s;
    if (!s)
        abort();
    while (x->p < x->end && *x->p != quote) {
        uint32_t c;
        size_t n;
        const char *escape = x->p;
        if (*x->p == '\\') {
            x->p++;
            char e = x->p < x->end ? *x->p++ : 0;
            const char *known = e ? strchr(from, e) : NULL;
            if (e == 'u') {
                if (!unescape_unicode(x, escape, &out))
                    goto bad;
            } else if (known) {
                *out++ = to[known - from];
            } else {
                fail(x, "invalid escape sequence in string");
                goto bad;
            }
        } else if ((n = get_utf8(x->p, (size_t)(x->end - x->p), &c)) && c) {
            memcpy(out, x->p, n);
            out += n;
            x->p += n;
        } else {
            fail(x, "invalid UTF-8 sequence in string");
            goto bad;
        }
    }
    if (x->p == x->end) {
        fail(x, "premature EOI");
        goto bad;
    }
    x->p++;
    *out = 0;
    struct json *v = new_value(JSON_STRING);
    v->s = s;
    return v;
bad:
    free(s);
    return NULL;
}

static struct json *parse_number(struct parser *x)
{
    char text[400];
    size_t n = 0;
    bool integer = true;
    while (x->p < x->end && strchr("+-0123456789.eE", *x->p) && *x->p) {
        integer &= !strchr(".eE", *x->p);
        if (n < sizeof text - 1)
            text[n++] = *x->p;
        x->p++;
    }
    text[n] = 0;
    struct json *v = new_value(JSON_INT);
    if (integer) {
        errno = 0;
        v->i = strtoll(text, NULL, 10);
        if (!errno)
            return v;
        if (text[0] != '-') {
            errno = 0;
            v->u = strtoull(text, NULL, 10);
            v->type = JSON_UINT;
            if (!errno)
                return v;
        }
    }
    v->type = JSON_DOUBLE;
    v->d = strtod(text, NULL);
    return v;
}

static struct json *parse_keyword(struct parser *x)
{
    const char *start = x->p;
    while (x->p < x->end && *x->p >= 'a' && *x->p <= 'z')
        x->p++;
    size_t n = (size_t)(x->p - start);
    if (n == 4 && !memcmp(start, "null", 4))
        return new_value(JSON_NULL);
    bool is_true = n == 4 && !memcmp(start, "true", 4);
    if (is_true || (n == 5 && !memcmp(start, "false", 5))) {
        struct json *v = new_value(JSON_BOOL);
        v->b = is_true;
        return v;
    }
    char message[300];
    snprintf(message, sizeof message, "invalid keyword '%.*s'", (int)(n > 200 ? 200 : n), start);
    return fail(x, message);
}

static struct json *parse_value(struct parser *x);

/* "key": value */
static struct json *parse_member(struct parser *x, const struct json *object)
{
    struct json *key = parse_value(x);
    if (!key)
        return NULL;
    struct json *v = NULL;
    if (key->type != JSON_STRING) {
        fail(x, "key is not a string in object");
    } else if (peek(x) != ':') {
        fail(x, "missing : in object pair");
    } else {
        x->p++;
        v = parse_value(x);
        if (v && json_get(object, key->s)) {
            json_free(v);
            v = fail(x, "duplicate key");
        } else if (v) {
            v->key = key->s;
            key->s = NULL;
        }
    }
    json_free(key);
    return v;
}

static struct json *parse_container(struct parser *x, enum json_type type)
{
    char close = type == JSON_OBJECT ? '}' : ']';
    struct json *v = new_value(type), **tail = &v->first;
    x->p++;
    if (++x->depth > JSON_MAX_DEPTH) {
        fail(x, "nesting is too deep");
        goto bad;
    }
    bool first = true;
    int members = 0; /* bounded: each new key is compared with all before it */
    for (char c; first ? peek(x) != close : (c = peek(x)) != close; first = false) {
        if (!first) {
            if (c != ',') {
                fail(x, type == JSON_OBJECT ? "expected separator in dict"
                                            : "expected separator in list");
                goto bad;
            }
            x->p++;
        }
        if (type == JSON_OBJECT && ++members > MAX_MEMBERS) {
            fail(x, "too many members in object");
            goto bad;
        }
        struct json *item = type == JSON_OBJECT ? parse_member(x, v) : parse_value(x);
        if (!item)
            goto bad;
        *tail = item;
        tail = &item->next;
    }
    x->p++;
    x->depth--;
    return v;
bad:
    json_free(v);
    return NULL;
}

static struct json *parse_value(struct parser *x)
{
    char c = peek(x);
    if (c == '{')
        return parse_container(x, JSON_OBJECT);
    if (c == '[')
        return parse_container(x, JSON_ARRAY);
    if (c == '"' || c == '\'')
        return parse_string(x);
    if (c == '-' || (c >= '0' && c <= '9'))
        return parse_number(x);
    if (c >= 'a' && c <= 'z')
        return parse_keyword(x);
    return fail(x, c ? "expecting value" : "premature EOI");
}

struct json *json_parse(const char *text, size_t len, struct error *err)
{
    struct parser x = { .p = text, .end = text + len, .err = err };
    struct json *v = parse_value(&x);
    if (v && peek(&x)) {
        json_free(v);
        return fail(&x, "text after the value");
    }
    return v;
}

/* ---- stream ---- */

enum state {
    START,
    IN_DQ,
    IN_DQ_ESCAPE,
    IN_SQ,
    IN_SQ_ESCAPE,
    KEYWORD,
    MINUS,
    ZERO,
    DIGITS,
    POINT,
    FRACTION,
    EXP,
    EXP_SIGN,
    EXP_DIGITS,
    RECOVERY,
};

void json_stream_reset(struct json_stream *s)
{
    text_free(&s->text);
    s->token = 0;
    s->braces = s->brackets = 0;
    s->state = START;
}

static void end_message(struct json_stream *s)
{
    text_free(&s->text);
    s->token = 0;
    s->braces = s->brackets = 0;
}

/* A character that no token can have. */
static void stray(struct json_stream *s)
{
    struct text t = { 0 };
    const char *token = s->text.s + s->token;
    size_t len = s->text.len - s->token;
    text_puts(&t, "JSON parse error, stray '");
    text_add(&t, token, len < 100 ? len : 100);
    text_puts(&t, "'");
    end_message(s);
    s->state = RECOVERY;
    s->message(s->opaque, NULL, text_str(&t));
    text_free(&t);
}

/* A token has ended with the last byte of s->text. */
static void end_token(struct json_stream *s)
{
    s->state = START;
    s->token = s->text.len;
    const char *limit = s->text.len > JSON_MAX_SIZE ? "JSON token size limit exceeded"
                        : s->braces + s->brackets > JSON_MAX_DEPTH
                            ? "JSON nesting depth limit exceeded"
                            : NULL;
    if (limit) {
        end_message(s);
        s->message(s->opaque, NULL, limit);
        return;
    }
    if ((s->braces > 0 || s->brackets > 0) && s->braces >= 0 && s->brackets >= 0)
        return;
    struct error err = { "" };
    struct json *v = json_parse(s->text.s, s->text.len, &err);
    end_message(s);
    s->message(s->opaque, v, v ? NULL : err.msg);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Does @c continue the token? Returns the next state, START if the token ended before @c, -1 if
 * neither can be. */
static int step(int state, char c)
{
    bool digit = is_digit(c), e = c == 'e' || c == 'E';
    switch (state) {
    case KEYWORD: return c >= 'a' && c <= 'z' ? KEYWORD : START;
    case MINUS: return c == '0' ? ZERO : digit ? DIGITS : -1;
    case ZERO: return c == '.' ? POINT : e ? EXP : digit ? -1 : START;
    case DIGITS: return digit ? DIGITS : c == '.' ? POINT : e ? EXP : START;
    case POINT: return digit ? FRACTION : -1;
    case FRACTION: return digit ? FRACTION : e ? EXP : START;
    case EXP: return digit ? EXP_DIGITS : c == '+' || c == '-' ? EXP_SIGN : -1;
    case EXP_SIGN: return digit ? EXP_DIGITS : -1;
    case EXP_DIGITS: return digit ? EXP_DIGITS : START;
    default: return -1;
    }
}

static void string_byte(struct json_stream *s, char ch)
{
    unsigned char c = (unsigned char)ch;
    text_add(&s->text, &ch, 1);
    if (c < 0x20 || c == 0xc0 || c == 0xc1 || c > 0xf4)
        stray(s);
    else if (s->state == IN_DQ_ESCAPE || s->state == IN_SQ_ESCAPE)
        s->state = s->state == IN_DQ_ESCAPE ? IN_DQ : IN_SQ;
    else if (c == '\\')
        s->state = s->state == IN_DQ ? IN_DQ_ESCAPE : IN_SQ_ESCAPE;
    else if (c == (s->state == IN_DQ ? '"' : '\''))
        end_token(s);
    else if (s->text.len > JSON_MAX_SIZE) {
        end_message(s);
        s->state = RECOVERY;
        s->message(s->opaque, NULL, "JSON token size limit exceeded");
    }
}

static void start_token(struct json_stream *s, char c)
{
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        if (s->text.len) /* separates tokens of an unfinished message */
            text_add(&s->text, " ", 1);
        s->token = s->text.len;
        if (s->text.len > JSON_MAX_SIZE)
            end_token(s);
        return;
    }
    s->token = s->text.len;
    text_add(&s->text, &c, 1);
    switch (c) {
    case '{': s->braces++; break;
    case '}': s->braces--; break;
    case '[': s->brackets++; break;
    case ']': s->brackets--; break;
    case ':':
    case ',': break;
    case '"': s->state = IN_DQ; return;
    case '\'': s->state = IN_SQ; return;
    case '-': s->state = MINUS; return;
    case '0': s->state = ZERO; return;
    default:
        if (is_digit(c))
            s->state = DIGITS;
        else if (c >= 'a' && c <= 'z')
            s->state = KEYWORD;
        else
            stray(s);
        return;
    }
    end_token(s);
}

static void feed_byte(struct json_stream *s, char ch)
{
    unsigned char c = (unsigned char)ch;
    if (s->state == RECOVERY) {
        if (!(c && strchr("{}[]:,", ch)) && (c >= 0x20 || c == '\t') && c < 0xfe)
            return;
        s->state = START;
    }
    if (s->state >= IN_DQ && s->state <= IN_SQ_ESCAPE) {
        string_byte(s, ch);
        return;
    }
    if (s->state != START) {
        int next = step(s->state, ch);
        if (next == START) {
            end_token(s);
        } else {
            text_add(&s->text, &ch, 1);
            if (next < 0)
                stray(s);
            else if (s->text.len > JSON_MAX_SIZE)
                end_token(s);
            else
                s->state = next;
            return;
        }
    }
    start_token(s, ch);
}

void json_stream_feed(struct json_stream *s, const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        feed_byte(s, buf[i]);
}

/* ---- printer ---- */

void json_print_string(struct text *t, const char *s, size_t len)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    text_puts(t, "\"");
    while (len) {
        uint32_t c;
        size_t n = get_utf8(s, len, &c);
        const char *special = n == 1 && c ? strchr(from, (char)c) : NULL;
        if (!n) {
            n = 1;
            text_puts(t, "\\uFFFD");
        } else if (special) {
            text_printf(t, "\\%c", to[special - from]);
        } else if (c >= 0x10000) {
            text_printf(t, "\\u%04X\\u%04X", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
        } else if (c < 0x20 || c >= 0x7f) {
            text_printf(t, "\\u%04X", c);
        } else {
            text_add(t, s, 1);
        }
        s += n;
        len -= n;
    }
    text_puts(t, "\"");
}

static void newline(struct text *t, bool pretty, int depth)
{
    if (pretty)
        text_printf(t, "\n%*s", 4 * depth, "");
}

static void print(struct text *t, const struct json *v, bool pretty, int depth)
{
    switch (v->type) {
    case JSON_NULL: text_puts(t, "null"); break;
    case JSON_BOOL: text_puts(t, v->b ? "true" : "false"); break;
    case JSON_INT: text_printf(t, "%lld", (long long)v->i); break;
    case JSON_UINT: text_printf(t, "%llu", (unsigned long long)v->u); break;
    case JSON_DOUBLE:
        if (isfinite(v->d))
            text_printf(t, "%.17g", v->d);
        else
            text_puts(t, "null");
        break;
    case JSON_STRING: json_print_string(t, v->s, strlen(v->s)); break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        text_puts(t, v->type == JSON_ARRAY ? "[" : "{");
        for (const struct json *item = v->first; item; item = item->next) {
            newline(t, pretty, depth + 1);
            if (v->type == JSON_OBJECT) {
                json_print_string(t, item->key, strlen(item->key));
                text_puts(t, ": ");
            }
            print(t, item, pretty, depth + 1);
            if (item->next)
                text_puts(t, pretty ? "," : ", ");
        }
        if (v->first)
            newline(t, pretty, depth);
        text_puts(t, v->type == JSON_ARRAY ? "]" : "}");
        break;
    }
}

void json_print(struct text *t, const struct json *v, bool pretty)
{
    print(t, v, pretty, 0);
}
