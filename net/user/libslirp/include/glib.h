/*
 * As much of GLib as libslirp 4.7.0 uses (glib.c beside it has the functions), so that neither
 * build needs the library: the same code runs natively, where it is tested, and as WebAssembly.
 */
#ifndef SLIPWAY_GLIB_H
#define SLIPWAY_GLIB_H

#include <signal.h> /* libslirp's misc.c relies on GLib for it */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int gint, gboolean;
typedef char gchar, **GStrv;
typedef void *gpointer;
typedef int GPid;
typedef struct GError {
    char *message;
} GError;
typedef struct GString {
    char *str;
    size_t len;
} GString;
typedef struct GRand GRand;
typedef struct GDebugKey {
    const char *key;
    unsigned value;
} GDebugKey;
typedef int GSpawnFlags;
typedef void (*GSpawnChildSetupFunc)(gpointer data);

#define FALSE                                   0
#define TRUE                                    1
#define G_OS_UNIX                               1
#define G_LITTLE_ENDIAN                         1234
#define G_BIG_ENDIAN                            4321
#define G_BYTE_ORDER                            __BYTE_ORDER__
#define GLIB_SIZEOF_VOID_P                      __SIZEOF_POINTER__
#define G_SPAWN_SEARCH_PATH                     1
#define GLIB_CHECK_VERSION(major, minor, micro) 1

/* Both platforms are little-endian. */
#define GUINT16_FROM_BE(value) __builtin_bswap16(value)
#define GUINT32_FROM_BE(value) __builtin_bswap32(value)
#define GINT16_FROM_BE(value)  ((int16_t)__builtin_bswap16((uint16_t)(value)))
#define GINT32_FROM_BE(value)  ((int32_t)__builtin_bswap32((uint32_t)(value)))
#define GUINT16_TO_BE          GUINT16_FROM_BE
#define GUINT32_TO_BE          GUINT32_FROM_BE
#define GINT16_TO_BE           GINT16_FROM_BE
#define GINT32_TO_BE           GINT32_FROM_BE

#define G_GNUC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define G_STATIC_ASSERT(cond)    _Static_assert(cond, #cond)
#define G_N_ELEMENTS(array)      (sizeof(array) / sizeof((array)[0]))
#define G_UNLIKELY(cond)         __builtin_expect(!!(cond), 0)
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif
#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif

/* A broken invariant: says what and where, and ends the process. */
void user_glib_fail(const char *what, const char *file, int line) __attribute__((noreturn));
/* To the log of guest errors: it is guests that cause them. */
void user_glib_log(const char *level, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

#define g_assert(cond)                                                                             \
    do {                                                                                           \
        if (!(cond))                                                                               \
            user_glib_fail(#cond, __FILE__, __LINE__);                                             \
    } while (0)
#define g_assert_not_reached() user_glib_fail("not reached", __FILE__, __LINE__)
#define g_error(...)                                                                               \
    do {                                                                                           \
        user_glib_log("error", __VA_ARGS__);                                                       \
        user_glib_fail("g_error", __FILE__, __LINE__);                                             \
    } while (0)
#define g_critical(...) user_glib_log("error", __VA_ARGS__)
#define g_warning(...)  user_glib_log("warning", __VA_ARGS__)
#define g_debug(...)    ((void)0)
#define g_return_if_fail(cond)                                                                     \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            user_glib_log("error", "%s", #cond);                                                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define g_return_val_if_fail(cond, value)                                                          \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            user_glib_log("error", "%s", #cond);                                                   \
            return (value);                                                                        \
        }                                                                                          \
    } while (0)
#define g_warn_if_reached() user_glib_log("warning", "%s:%d was reached", __FILE__, __LINE__)
#define g_warn_if_fail(cond)                                                                       \
    do {                                                                                           \
        if (!(cond))                                                                               \
            user_glib_log("warning", "%s", #cond);                                                 \
    } while (0)

#define g_new(type, count)                      ((type *)g_malloc(sizeof(type) * (count)))
#define g_new0(type, count)                     ((type *)g_malloc0(sizeof(type) * (count)))
#define g_free                                  free
#define g_snprintf                              snprintf
#define g_vsnprintf                             vsnprintf
#define g_getenv(name)                          NULL /* SLIRP_DEBUG */
#define g_parse_debug_string(text, keys, count) 0
#define g_strerror                              strerror
void *g_malloc(size_t size); /* never NULL */
void *g_malloc0(size_t size);
void *g_realloc(void *p, size_t size);
char *g_strdup(const char *s); /* NULL gives NULL */
size_t g_strlcpy(char *to, const char *from, size_t size);
char *g_strstr_len(const char *haystack, ptrdiff_t len, const char *needle);
gboolean g_str_has_prefix(const char *s, const char *prefix);
unsigned g_strv_length(char **list);
void g_strfreev(char **list);

GString *g_string_new(const char *init);
void g_string_append_printf(GString *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
char *g_string_free(GString *s, gboolean free_text);

GRand *g_rand_new(void);
int g_rand_int_range(GRand *rand, int begin, int end);
void g_rand_free(GRand *rand);

void g_error_free(GError *err);
/* Words as a shell splits them: quotes and backslashes, nothing else. */
gboolean g_shell_parse_argv(const char *line, int *argc, char ***argv, GError **err);
/* Runs a program with channels as its stdin, stdout and stderr (host sockets only). */
gboolean g_spawn_async_with_fds(const char *directory, char **argv, char **envp, GSpawnFlags flags,
                                GSpawnChildSetupFunc setup, gpointer data, GPid *child, int in,
                                int out, int err_fd, GError **err);

#endif
