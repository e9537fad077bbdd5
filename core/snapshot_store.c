/*
 * Where snapshots are kept: in files, and by name in this process's memory (the images that we
 * have, raw ones, have no place for them).
 *
 * A file is written under another name and renamed when it is whole. In memory a snapshot is a list
 * of pieces, so that a large one needs no large block.
 */
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block.h"
#include "clock.h"
#include "host/host.h"
#include "machine.h"
#include "monitor/text.h"

#define PIECE_BYTES (1u << 20)

struct snapshot {
    char *name;
    uint8_t **pieces;
    size_t piece_count;
    uint64_t size;
    int64_t date_s, clock_ns;
    struct snapshot *next;
};

/* ---- files ---- */

static bool write_file(void *opaque, const void *data, size_t len)
{
    return fwrite(data, 1, len, opaque) == len;
}

static bool read_file(void *opaque, uint64_t offset, void *buf, size_t len)
{
    FILE *f = opaque;
    /* Reading goes straight on but for a few places: a seek would throw the buffer away. */
    if ((uint64_t)ftello(f) != offset && fseeko(f, (off_t)offset, SEEK_SET))
        return false;
    return fread(buf, 1, len, f) == len;
}

bool snapshot_save_file(struct machine *m, const char *path, struct error *err)
{
    size_t len = strlen(path) + sizeof ".part";
    char *part = malloc(len);
    if (!part)
        return error_set(err, "out of memory");
    snprintf(part, len, "%s.part", path);
    errno = 0;
    FILE *f = fopen(part, "wb");
    struct snapshot_sink to = { write_file, f };
    bool ok = f != NULL;
    if (!f)
        error_set(err, "%s: %s", part, strerror(errno));
    else {
        ok = snapshot_save(m, &to, err);
        int failed = errno;
        bool written = !fclose(f) && ok;
        if (ok && !written)
            error_set(err, "%s: %s", part, strerror(errno));
        else if (!ok)
            error_prepend(err, "%s%s%s", part, failed ? ": " : "", failed ? strerror(failed) : "");
        ok = written;
        if (ok && rename(part, path)) {
            error_set(err, "%s: %s", path, strerror(errno));
            ok = false;
        }
        if (!ok)
            remove(part);
    }
    free(part);
    return ok;
}

bool snapshot_load_file(struct machine *m, const char *path, struct error *err)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return error_set(err, "%s: %s", path, strerror(errno));
    bool ok = !fseeko(f, 0, SEEK_END);
    off_t size = ok ? ftello(f) : -1;
    if (size < 0 || fseeko(f, 0, SEEK_SET)) {
        error_set(err, "%s: %s", path, strerror(errno));
        ok = false;
    } else {
        struct snapshot_source from = { read_file, (uint64_t)size, f };
        ok = snapshot_load(m, &from, err) || error_prepend(err, "%s", path);
    }
    fclose(f);
    return ok;
}

/* ---- in memory ---- */

static bool write_memory(void *opaque, const void *data, size_t len)
{
    struct snapshot *s = opaque;
    const uint8_t *from = data;
    while (len) {
        size_t at = s->size % PIECE_BYTES, n = PIECE_BYTES - at;
        if (at == 0) {
            uint8_t **more = realloc(s->pieces, (s->piece_count + 1) * sizeof *more);
            if (!more)
                return false;
            s->pieces = more;
            more[s->piece_count] = malloc(PIECE_BYTES);
            if (!more[s->piece_count])
                return false;
            s->piece_count++;
        }
        n = n < len ? n : len;
        memcpy(s->pieces[s->piece_count - 1] + at, from, n);
        from += n;
        len -= n;
        s->size += n;
    }
    return true;
}

static bool read_memory(void *opaque, uint64_t offset, void *buf, size_t len)
{
    struct snapshot *s = opaque;
    uint8_t *to = buf;
    while (len) {
        size_t at = offset % PIECE_BYTES, n = PIECE_BYTES - at < len ? PIECE_BYTES - at : len;
        memcpy(to, s->pieces[offset / PIECE_BYTES] + at, n);
        to += n;
        offset += n;
        len -= n;
    }
    return true;
}

static void free_snapshot(struct snapshot *s)
{
    for (size_t i = 0; i < s->piece_count; i++)
        free(s->pieces[i]);
    free(s->pieces);
    free(s->name);
    free(s);
}

static struct snapshot **find(struct machine *m, const char *name)
{
    struct snapshot **at = &m->snapshots;
    while (*at && strcmp((*at)->name, name))
        at = &(*at)->next;
    return at;
}

static bool is_file(const char *name)
{
    return strchr(name, '/') != NULL;
}

/* Going back needs the disks of that time. */
static bool can_go_back(struct machine *m, struct error *err)
{
    for (struct drive *d = m->drives; d; d = d->next)
        if (d->blk && !blk_readonly(d->blk) && !blk_has_overlay(d->blk))
            return error_set(err,
                             "Device '%s' is writable but does not support snapshots (with "
                             "snapshot=on it does)",
                             d->name);
    return true;
}

bool snapshot_save_named(struct machine *m, const char *name, struct error *err)
{
    char made[64];
    time_t now = (time_t)(host_realtime_ns() / NS_PER_SEC);
    if (!can_go_back(m, err))
        return false;
    if (!name) {
        struct tm *t = localtime(&now);
        strftime(made, sizeof made, "vm-%Y%m%d%H%M%S", t);
        name = made;
    }
    if (is_file(name))
        return snapshot_save_file(m, name, err);
    struct snapshot *s = calloc(1, sizeof *s), **old;
    struct snapshot_sink to = { write_memory, s };
    if (!s || !(s->name = strdup(name))) {
        free(s);
        return error_set(err, "out of memory");
    }
    if (!snapshot_save(m, &to, err)) {
        free_snapshot(s);
        return error_prepend(err, "snapshot '%.100s'", name);
    }
    s->date_s = now;
    s->clock_ns = clock_now_ns(&m->clock);
    old = find(m, name);
    if (*old) {
        struct snapshot *gone = *old;
        *old = gone->next;
        free_snapshot(gone);
    }
    *find(m, name) = s; /* the end of the list */
    return true;
}

bool snapshot_load_named(struct machine *m, const char *name, struct error *err)
{
    if (is_file(name))
        return snapshot_load_file(m, name, err);
    struct snapshot *s = *find(m, name);
    if (!s)
        return error_set(err, "Snapshot '%.100s' does not exist", name);
    struct snapshot_source from = { read_memory, s->size, s };
    return can_go_back(m, err) && snapshot_load(m, &from, err);
}

bool snapshot_delete(struct machine *m, const char *name, struct error *err)
{
    if (is_file(name))
        return !remove(name) || error_set(err, "%s: %s", name, strerror(errno));
    struct snapshot **at = find(m, name), *s = *at;
    if (!s)
        return error_set(err, "Snapshot '%.100s' does not exist", name);
    *at = s->next;
    free_snapshot(s);
    return true;
}

void snapshot_info(struct machine *m, struct text *out)
{
    if (!m->snapshots) {
        text_puts(out, "There is no snapshot available.\n");
        return;
    }
    text_puts(out, "List of snapshots present in memory:\n"
                   "ID        TAG               VM SIZE                DATE     VM CLOCK\n");
    for (const struct snapshot *s = m->snapshots; s; s = s->next) {
        char date[32] = "";
        time_t when = (time_t)s->date_s;
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime(&when));
        int64_t ms = s->clock_ns / 1000000;
        text_printf(out, "--        %-16s %6.3g MiB %s %02d:%02d:%02d.%03d\n", s->name,
                    (double)s->size / (1 << 20), date, (int)(ms / 3600000), (int)(ms / 60000 % 60),
                    (int)(ms / 1000 % 60), (int)(ms % 1000));
    }
}

void snapshot_free_all(struct machine *m)
{
    while (m->snapshots) {
        struct snapshot *s = m->snapshots;
        m->snapshots = s->next;
        free_snapshot(s);
    }
}
