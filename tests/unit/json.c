/*
 * JSON: values, errors in QEMU's words, streams cut anywhere, limits, random bytes.
 */
#include "monitor/json.h"

#include <stdlib.h>

#include "test.h"

static struct text log_text;

static void on_message(void *opaque, struct json *v, const char *error)
{
    if (log_text.len)
        text_puts(&log_text, " | ");
    if (v)
        json_print(&log_text, v, false);
    else
        text_puts(&log_text, error);
    json_free(v);
}

/* What a stream makes of @s, fed in pieces of @piece bytes. */
static const char *stream(const char *s, size_t len, size_t piece)
{
    struct json_stream st = { .message = on_message };
    text_free(&log_text);
    for (size_t i = 0; i < len; i += piece)
        json_stream_feed(&st, s + i, len - i < piece ? len - i : piece);
    json_stream_reset(&st);
    return text_str(&log_text);
}

static const struct {
    const char *in, *out;
} cases[] = {
    { "{\"a\":1,\"b\":[true,false,null],\"c\":{}}",
      "{\"a\": 1, \"b\": [true, false, null], \"c\": {}}" },
    { "{}{}\n[]", "{} | {} | []" },
    { "12 -7 0 1.5 1e3 ", "12 | -7 | 0 | 1.5 | 1000" },
    { "18446744073709551615 -9223372036854775808 99999999999999999999 ",
      "18446744073709551615 | -9223372036854775808 | 1e+20" },
    { "'it\\'s' \"\\u00e9\\n\\/\" ", "\"it's\" | \"\\u00E9\\n/\"" },
    { "\"\\ud83d\\ude00\\u0000\"", "\"\\uD83D\\uDE00\\u0000\"" },
    { "\"\xc3\xa9\"", "\"\\u00E9\"" },
    { "foo ", "JSON parse error, invalid keyword 'foo'" },
    { "{\"a\" 1}", "JSON parse error, missing : in object pair" },
    { "{\"a\":}", "JSON parse error, expecting value" },
    { "{\"a\":1,}", "JSON parse error, expecting value" },
    { "{\"a\":1 \"b\":2}", "JSON parse error, expected separator in dict" },
    { "[1 2]", "JSON parse error, expected separator in list" },
    { "{1:2}", "JSON parse error, key is not a string in object" },
    { "{\"a\":1,\"a\":2}", "JSON parse error, duplicate key" },
    { "} ] {] [} : ,",
      "JSON parse error, expecting value | JSON parse error, expecting value | JSON parse error, "
      "expecting value | JSON parse error, expecting value | JSON parse error, expecting value | "
      "JSON parse error, expecting value" },
    { "{\"a\":@}{}", "JSON parse error, stray '@' | JSON parse error, expecting value | {}" },
    { "@ rubbish 12\n{}", "JSON parse error, stray '@' | {}" },
    { "01\n", "JSON parse error, stray '01'" },
    { "-\n", "JSON parse error, stray '-\n'" },
    { "\"a\x01\"\n", "JSON parse error, stray '\"a\x01'" },
    { "\"\\x\"", "JSON parse error, invalid escape sequence in string" },
    { "\"\\ud83d\"", "JSON parse error, \\ud83d is not a valid Unicode character" },
    { "\"\xe9\x80\"", "JSON parse error, invalid UTF-8 sequence in string" },
};

static void streams_are_split_and_errors_named(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece < 4; piece++)
            CHECK_STR(stream(cases[i].in, strlen(cases[i].in), piece), cases[i].out);
}

static void nesting_is_limited(void)
{
    char deep[2100];
    memset(deep, '[', 1024);
    memset(deep + 1024, ']', 1024);
    CHECK_EQ(strlen(stream(deep, 2048, 100)), 2048);
    memset(deep, '[', 1025);
    CHECK_STR(stream(deep, 1025, 100), "JSON nesting depth limit exceeded");
    /* the parser has a limit of its own */
    struct error err;
    memset(deep, '[', sizeof deep);
    CHECK(!json_parse(deep, sizeof deep, &err));
}

static void size_is_limited(void)
{
    size_t len = JSON_MAX_SIZE + 10;
    char *big = malloc(len);
    memset(big, 'x', len);
    big[0] = '"';
    CHECK_STR(stream(big, len, 1 << 16), "JSON token size limit exceeded");
    memset(big, ' ', len);
    big[0] = '[';
    CHECK_STR(stream(big, len, 1 << 16), "JSON token size limit exceeded");
    free(big);
}

static void random_bytes_are_harmless(void)
{
    static const char *const bits[] = { "{",  "}",  "[",    "]",    ",",        ":",
                                        "\"", "'",  "\\",   "\\u",  "d83d",     "0",
                                        "1",  "-",  ".",    "e",    "true",     "nul",
                                        " ",  "\n", "\x01", "\xff", "\xc3\xa9", "a" };
    uint32_t x = 7;
    for (int i = 0; i < 20000; i++) {
        char text[400] = "";
        size_t n = 0;
        for (int k = 0; k < 40; k++) {
            x = x * 1664525u + 1013904223u;
            const char *b = bits[(x >> 8) % (sizeof bits / sizeof bits[0])];
            memcpy(text + n, b, strlen(b));
            n += strlen(b);
        }
        char *whole = strdup(stream(text, n, n));
        CHECK_STR(stream(text, n, 3), whole);
        free(whole);
        json_free(json_parse(text, n, NULL));
    }
    text_free(&log_text);
}

static void pretty_is_indented(void)
{
    struct text t = { 0 };
    struct json *v = json_parse("{\"a\":[1,{}],\"b\":2}", 19, NULL);
    json_print(&t, v, true);
    CHECK_STR(text_str(&t), "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": 2\n}");
    json_free(v);
    text_free(&t);
}

int main(void)
{
    RUN(streams_are_split_and_errors_named);
    RUN(nesting_is_limited);
    RUN(size_is_limited);
    RUN(random_bytes_are_harmless);
    RUN(pretty_is_indented);
    return test_done();
}
