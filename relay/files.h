/*
 * Static files: which file a path means, its type, its ETag, the range of it that is asked for. No
 * sockets here.
 */
#ifndef SLIPWAY_RELAY_FILES_H
#define SLIPWAY_RELAY_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct file {
    int fd;
    uint64_t size;
    char etag[48]; /* with its quotes */
    char modified[32];
    const char *type;
    bool listing; /* a directory without '/' at the end of its name: redirect there */
};

/* Opens what @path (it begins with '/', percent-decoded) means below the directory @root, a
 * directory's index.html included. Symbolic links may not lead out of @root; names that begin with
 * '.' don't exist. 0, or the HTTP status: 404, 403. With `listing` there is no fd. */
int file_open(struct file *f, int root, const char *path);
void file_close(struct file *f);

/* Reads "bytes=FIRST-LAST", "bytes=FIRST-" or "bytes=-COUNT" (RFC 9110 14.1.2). 206: *@first and
 * *@length; 416: not satisfiable; 200: no single range, send everything. */
int file_range(const char *header, uint64_t size, uint64_t *first, uint64_t *length);
/* Does an If-None-Match or If-Range value name this tag? @weak: W/ counts as equal. */
bool etag_matches(const char *header, const char *etag, bool weak);

#endif
