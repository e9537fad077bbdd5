/*
 * The small parsers under the command line: numbers, sizes, switches and QEMU's option groups
 * ("first,key=value,switch,noswitch,file=a,,b"), as -drive, -device, -chardev and the others use
 * them.
 */
#include "options.h"

#include <stdlib.h>
#include <string.h>

bool parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = { "on", "yes", "true", "y" };
    static const char *const no[] = { "off", "no", "false", "n" };
    for (size_t i = 0; i < 4; i++) {
        if (!strcmp(text, yes[i])) {
            *value = true;
            return true;
        }
        if (!strcmp(text, no[i])) {
            *value = false;
            return true;
        }
    }
    return false;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Digits from *@p on (decimal, or hexadecimal after 0x); moves *@p behind them. False: none, or
 * over 64 bits. */
static bool scan_u64(const char **p, uint64_t *value, bool *hex)
{
    const char *s = *p;
    *hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    unsigned base = *hex ? 16 : 10;
    if (*hex)
        s += 2;
    if (digit_of(*s) >= (int)base)
        return false;
    uint64_t v = 0;
    for (; digit_of(*s) < (int)base; s++) {
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit_of(*s), &v))
            return false;
    }
    *p = s;
    *value = v;
    return true;
}

bool parse_u64(const char *text, uint64_t *value)
{
    bool hex;
    return scan_u64(&text, value, &hex) && !*text;
}

bool parse_size(const char *text, unsigned def_shift, uint64_t *bytes)
{
    uint64_t whole;
    bool hex;
    if (!scan_u64(&text, &whole, &hex))
        return false;
    /* A decimal fraction counts in billionths of the unit: enough for "1.5G" to be exact. */
    uint64_t billionths = 0;
    if (!hex && *text == '.') {
        text++;
        uint64_t weight = 100000000;
        if (digit_of(*text) > 9)
            return false;
        for (; digit_of(*text) <= 9; text++, weight /= 10)
            billionths += weight * (uint64_t)digit_of(*text);
    }
    unsigned shift = def_shift;
    if (*text && !hex) {
        static const char units[] = "bkmgtpe";
        char c = *text | 0x20;
        const char *u = strchr(units, c);
        if (!u)
            return false;
        shift = (unsigned)(u - units) * 10;
        text++;
    }
    if (*text)
        return false;
    if (shift && whole >> (64 - shift))
        return false;
    uint64_t part = shift <= 30 ? (billionths << shift) / 1000000000
                                : ((billionths << 30) / 1000000000) << (shift - 30);
    return !__builtin_add_overflow(whole << shift, part, bytes);
}

void string_list_add(struct string_list **list, const char *value)
{
    struct string_list *item = calloc(1, sizeof *item);
    if (!item || !(item->value = strdup(value)))
        abort();
    while (*list)
        list = &(*list)->next;
    *list = item;
}

/* Copies the text up to the next single comma, undoubling ",,"; moves *@p behind that comma. */
static char *next_word(const char **p)
{
    const char *s = *p;
    char *word = malloc(strlen(s) + 1), *w = word;
    if (!word)
        abort();
    while (*s) {
        if (*s == ',') {
            if (s[1] != ',')
                break;
            s++;
        }
        *w++ = *s++;
    }
    *w = 0;
    if (*s == ',')
        s++;
    *p = s;
    return word;
}

static struct keyval *append_pair(struct keyval ***tail, const char *key, size_t key_len,
                                  const char *value)
{
    struct keyval *kv = calloc(1, sizeof *kv);
    if (!kv || !(kv->key = strndup(key, key_len)) || !(kv->value = strdup(value)))
        abort();
    **tail = kv;
    *tail = &kv->next;
    return kv;
}

bool keyval_parse(const char *text, char **first, struct keyval **list, const char *what,
                  struct error *err)
{
    struct keyval **tail = list;
    *list = NULL;
    if (first)
        *first = NULL;
    for (bool at_start = true; *text; at_start = false) {
        char *word = next_word(&text);
        char *eq = strchr(word, '=');
        bool ok = true;
        if (at_start && first && !eq) {
            *first = word;
            continue;
        }
        if (eq == word || !*word)
            ok = error_set(err, "%s: a name is missing in '%s%s%s'", what, word, *text ? "," : "",
                           text);
        else if (eq)
            append_pair(&tail, word, (size_t)(eq - word), eq + 1);
        else if (!strncmp(word, "no", 2) && word[2])
            append_pair(&tail, word + 2, strlen(word + 2), "off");
        else
            append_pair(&tail, word, strlen(word), "on");
        free(word);
        if (!ok) {
            keyval_free(*list);
            *list = NULL;
            if (first) {
                free(*first);
                *first = NULL;
            }
            return false;
        }
    }
    return true;
}

const char *keyval_get(const struct keyval *list, const char *key)
{
    const char *value = NULL;
    for (; list; list = list->next)
        if (!strcmp(list->key, key))
            value = list->value;
    return value;
}

const char *keyval_unknown(const struct keyval *list, const char *const *allowed)
{
    for (; list; list = list->next) {
        const char *const *a = allowed;
        while (*a && strcmp(*a, list->key))
            a++;
        if (!*a)
            return list->key;
    }
    return NULL;
}

void keyval_free(struct keyval *list)
{
    while (list) {
        struct keyval *next = list->next;
        free(list->key);
        free(list->value);
        free(list);
        list = next;
    }
}

bool parse_uuid(const char *text, uint8_t out[16])
{
    size_t n = 0;
    int high = -1;
    for (; *text && n < 16; text++) {
        int digit = digit_of(*text);
        if (*text == '-')
            continue;
        if (digit > 15)
            return false;
        if (high >= 0)
            out[n++] = (uint8_t)(high << 4 | digit);
        high = high < 0 ? digit : -1;
    }
    return n == 16;
}
