/*
 * The functions of include/glib.h: as much of GLib as libslirp uses, with GLib's meanings. Memory
 * that can't be had ends the process, as GLib does and libslirp expects.
 */
#include <glib.h>

#include "host/host.h"
#include "log.h"
#include "net/user/sockets.h"

struct GRand {
    uint64_t state;
};

void user_glib_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "slipway: user network: %s:%d: %s\n", file, line, what);
    abort();
}

void user_glib_log(const char *level, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (!log_on(LOG_GUEST_ERRORS))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_mask(LOG_GUEST_ERRORS, "user network: %s: %s", level, text);
}

static void *check(void *p)
{
    if (!p)
        user_glib_fail("out of memory", __FILE__, __LINE__);
    return p;
}

void *g_malloc(size_t size)
{
    return check(malloc(size ? size : 1));
}

void *g_malloc0(size_t size)
{
    return check(calloc(1, size ? size : 1));
}

void *g_realloc(void *p, size_t size)
{
    return check(realloc(p, size ? size : 1));
}

char *g_strdup(const char *s)
{
    return s ? check(strdup(s)) : NULL;
}

size_t g_strlcpy(char *to, const char *from, size_t size)
{
    if (size)
        snprintf(to, size, "%s", from);
    return strlen(from);
}

char *g_strstr_len(const char *haystack, ptrdiff_t len, const char *needle)
{
    size_t n = strlen(needle);
    for (ptrdiff_t i = 0; i + (ptrdiff_t)n <= len && haystack[i]; i++)
        if (!memcmp(haystack + i, needle, n))
            return (char *)haystack + i;
    return NULL;
}

gboolean g_str_has_prefix(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

unsigned g_strv_length(char **list)
{
    unsigned n = 0;
    while (list[n])
        n++;
    return n;
}

void g_strfreev(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

/* ---- strings that grow ---- */

GString *g_string_new(const char *init)
{
    GString *s = g_malloc0(sizeof *s);
    s->str = g_strdup(init ? init : "");
    s->len = strlen(s->str);
    return s;
}

void g_string_append_printf(GString *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    s->str = g_realloc(s->str, s->len + (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s->str + s->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->len += (size_t)n;
}

char *g_string_free(GString *s, gboolean free_text)
{
    char *text = s->str;
    free(s);
    if (!free_text)
        return text;
    free(text);
    return NULL;
}

/* ---- random numbers (SplitMix64: delays and ports, nothing secret) ---- */

GRand *g_rand_new(void)
{
    GRand *r = g_malloc0(sizeof *r);
    host_random(&r->state, sizeof r->state);
    return r;
}

int g_rand_int_range(GRand *r, int begin, int end)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return begin + (int)(z % (uint64_t)(end - begin));
}

void g_rand_free(GRand *r)
{
    free(r);
}

/* ---- programs (guestfwd's cmd:) ---- */

static gboolean fail(GError **err, const char *fmt, const char *detail)
{
    *err = g_malloc0(sizeof **err);
    (*err)->message = g_malloc0(strlen(fmt) + strlen(detail) + 1);
    sprintf((*err)->message, fmt, detail);
    return FALSE;
}

void g_error_free(GError *err)
{
    free(err->message);
    free(err);
}

gboolean g_shell_parse_argv(const char *line, int *argc, char ***argv, GError **err)
{
    char **list = g_new0(char *, strlen(line) / 2 + 2);
    int n = 0;
    const char *p = line;
    while (*p) {
        if (*p == ' ' || *p == '\t' || *p == '\n') {
            p++;
            continue;
        }
        char *word = g_malloc0(strlen(p) + 1), *to = word, quote = 0;
        for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
            if (quote && *p == quote)
                quote = 0;
            else if (!quote && (*p == '\'' || *p == '"'))
                quote = *p;
            else if (*p == '\\' && p[1] && quote != '\'' && (!quote || strchr("\"\\$`", p[1])))
                *to++ = *++p;
            else
                *to++ = *p;
        }
        list[n++] = word;
        if (quote) {
            g_strfreev(list);
            return fail(err, "unmatched quotation mark in '%s'", line);
        }
    }
    if (!n) {
        g_strfreev(list);
        return fail(err, "no program in '%s'", line);
    }
    *argc = n;
    *argv = list;
    return TRUE;
}

gboolean g_spawn_async_with_fds(const char *directory, char **argv, char **envp, GSpawnFlags flags,
                                GSpawnChildSetupFunc setup, gpointer data, GPid *child, int in,
                                int out, int err_fd, GError **err)
{
    (void)directory, (void)envp, (void)flags, (void)setup, (void)data, (void)child;
    (void)out, (void)err_fd; /* all three are the same channel */
    int e = user_spawn(in, argv);
    return e ? fail(err, "%s", strerror(e)) : TRUE;
}
