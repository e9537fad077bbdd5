/*
 * A machine's whole state as a stream of bytes: docs/snapshots.md has the format. Saving and
 * loading are for between two slices of the machine, running or stopped; it stays what it was, and
 * its disks are waited for.
 *
 * A stream only fits the machine that its options make: loading checks everything, checksums
 * included, before it changes anything.
 */
#ifndef SLIPWAY_SNAPSHOT_H
#define SLIPWAY_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;
struct text;

struct snapshot_sink {
    bool (*write)(void *opaque, const void *data, size_t len); /* false: it can't be saved there */
    void *opaque;
};
struct snapshot_source {
    bool (*read)(void *opaque, uint64_t offset, void *buf, size_t len); /* all of it, or false */
    uint64_t size;
    void *opaque;
};

bool snapshot_save(struct machine *m, const struct snapshot_sink *to, struct error *err);
bool snapshot_load(struct machine *m, const struct snapshot_source *from, struct error *err);

/* snapshot_store.c: in files, written beside and renamed when they are whole. */
bool snapshot_save_file(struct machine *m, const char *path, struct error *err);
bool snapshot_load_file(struct machine *m, const char *path, struct error *err);

/* savevm, loadvm, delvm, info snapshots: by name in this process's memory; a name with a '/' is a
 * file's. NULL: "vm-" and the date. Only machines whose disks all keep the guest's writes in
 * memory can go back like this. */
bool snapshot_save_named(struct machine *m, const char *name, struct error *err);
bool snapshot_load_named(struct machine *m, const char *name, struct error *err);
bool snapshot_delete(struct machine *m, const char *name, struct error *err);
void snapshot_info(struct machine *m, struct text *out);
void snapshot_free_all(struct machine *m);

#endif
