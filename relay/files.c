/*
 * Static files. A path is opened below the root with openat2(RESOLVE_BENEATH), so neither ".." nor
 * a link gets out, whatever the path says. The ETag is made of size and time of modification in
 * nanoseconds, so it is strong for files that are replaced and not rewritten within a tick.
 */
#include "relay/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *ending, *type;
} types[] = {
    { "html", "text/html; charset=utf-8" },
    { "js", "text/javascript; charset=utf-8" },
    { "mjs", "text/javascript; charset=utf-8" },
    { "css", "text/css; charset=utf-8" },
    { "wasm", "application/wasm" },
    { "json", "application/json" },
    { "map", "application/json" },
    { "webmanifest", "application/manifest+json" },
    { "svg", "image/svg+xml" },
    { "png", "image/png" },
    { "jpg", "image/jpeg" },
    { "jpeg", "image/jpeg" },
    { "gif", "image/gif" },
    { "webp", "image/webp" },
    { "ico", "image/x-icon" },
    { "txt", "text/plain; charset=utf-8" },
    { "md", "text/markdown; charset=utf-8" },
    { "xml", "application/xml" },
    { "pdf", "application/pdf" },
    { "woff2", "font/woff2" },
    { "woff", "font/woff" },
    { "ttf", "font/ttf" },
    { "mp4", "video/mp4" },
    { "webm", "video/webm" },
    { "mp3", "audio/mpeg" },
    { "ogg", "audio/ogg" },
    { "wav", "audio/wav" },
    { "zip", "application/zip" },
    { "gz", "application/gzip" },
    { "tar", "application/x-tar" },
};

static const char *type_of(const char *path)
{
    const char *name = strrchr(path, '/'), *dot = strrchr(name ? name : path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++) {
        if (!strcasecmp(dot + 1, types[i].ending))
            return types[i].type;
    }
    return "application/octet-stream";
}

static int open_beneath(int root, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
}

static int describe(struct file *f, const struct stat *s, const char *path)
{
    struct tm utc;
    if (!S_ISREG(s->st_mode))
        return 403;
    f->size = (uint64_t)s->st_size;
    f->type = type_of(path);
    snprintf(f->etag, sizeof f->etag, "\"%" PRIx64 "-%" PRIx64 "%08lx\"", f->size,
             (uint64_t)s->st_mtim.tv_sec, s->st_mtim.tv_nsec);
    gmtime_r(&s->st_mtim.tv_sec, &utc);
    strftime(f->modified, sizeof f->modified, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    return 0;
}

int file_open(struct file *f, int root, const char *path)
{
    struct stat s;
    char index[4096];
    size_t len = strlen(path);
    *f = (struct file){ .fd = -1 };
    if (path[0] != '/' || strstr(path, "/.") || len > sizeof index - sizeof "index.html")
        return 404;
    f->fd = open_beneath(root, path + 1);
    if (f->fd < 0)
        return errno == EACCES ? 403 : 404;
    if (fstat(f->fd, &s))
        return 404;
    if (S_ISDIR(s.st_mode)) {
        file_close(f);
        if (path[len - 1] != '/') {
            f->listing = true;
            return 0;
        }
        snprintf(index, sizeof index, "%sindex.html", path);
        f->fd = open_beneath(root, index + 1);
        if (f->fd < 0 || fstat(f->fd, &s))
            return 404;
        path = index;
    } else if (path[len - 1] == '/') {
        return 404;
    }
    return describe(f, &s, path);
}

void file_close(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* Digits at *@p, which is moved behind them. */
static bool digits(const char **p, uint64_t *v)
{
    char *end;
    if (**p < '0' || **p > '9')
        return false;
    errno = 0;
    *v = strtoull(*p, &end, 10);
    *p = end;
    return !errno;
}

int file_range(const char *header, uint64_t size, uint64_t *first, uint64_t *length)
{
    uint64_t from = 0, to = 0;
    const char *p = header;
    if (strncasecmp(p, "bytes=", 6))
        return 200;
    p += 6;
    if (*p == '-') {
        p++;
        if (!digits(&p, &to) || *p)
            return 200;
        from = to < size ? size - to : 0;
        if (!to || !size)
            return 416;
        to = size - 1;
    } else {
        if (!digits(&p, &from) || *p++ != '-')
            return 200;
        bool open = !*p;
        if (!open && (!digits(&p, &to) || *p || to < from))
            return 200;
        if (from >= size)
            return 416;
        if (open || to >= size)
            to = size - 1;
    }
    *first = from;
    *length = to - from + 1;
    return 206;
}

bool etag_matches(const char *header, const char *etag, bool weak)
{
    size_t len = strlen(etag);
    for (const char *p = header; *p;) {
        p += strspn(p, ", \t");
        if (*p == '*')
            return weak;
        bool marked = !strncmp(p, "W/", 2);
        if (marked)
            p += 2;
        if ((weak || !marked) && !strncmp(p, etag, len) && (!p[len] || strchr(", \t", p[len])))
            return true;
        p += strcspn(p, ",");
    }
    return false;
}
