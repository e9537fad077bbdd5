/*
 * The block layer: raw files of all sizes, bounds, read-only files, snapshots, the order of
 * completions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "machine.h"
#include "options.h"
#include "test.h"

static struct machine_options opt;
static struct machine *m;
static char path[64];

static int last_ret, calls;
static void done(void *opaque, int ret)
{
    calls++;
    last_ret = ret;
    if (opaque)
        *(int *)opaque = calls;
}

/* Runs bottom halves until nothing is pending. */
static void settle(void)
{
    do
        machine_run_slice(m, 0);
    while (m->deferred);
}

static int read_sync(struct blk *b, uint64_t offset, void *buf, size_t len)
{
    last_ret = 1;
    blk_read(b, offset, buf, len, done, NULL);
    if (last_ret != 1)
        return -12345; /* inside the call */
    settle();
    return last_ret;
}

static int write_sync(struct blk *b, uint64_t offset, const void *buf, size_t len)
{
    last_ret = 1;
    blk_write(b, offset, buf, len, done, NULL);
    settle();
    return last_ret;
}

static void make_file(size_t size, bool pattern)
{
    strcpy(path, "/tmp/slipway-block-XXXXXX");
    int fd = mkstemp(path);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = pattern ? (uint8_t)(i / 512 + i) : 0;
        if (write(fd, &byte, 1) != 1)
            abort();
    }
    close(fd);
}

static struct blk *open_file(bool readonly, bool snapshot, const char *format, struct error *err)
{
    struct blk_options o = { "hda", path, format, readonly, snapshot };
    return blk_open(m, &o, err);
}

static void reads_and_writes(void)
{
    uint8_t buf[2048], back[2048];
    struct error err;
    make_file(8192, true);
    struct blk *b = open_file(false, false, NULL, &err);
    CHECK(b);
    CHECK_EQ(blk_size(b), 8192);
    CHECK_EQ(read_sync(b, 512, buf, 1024), 0);
    CHECK_EQ(buf[0], 1);
    CHECK_EQ(buf[513], 3);
    memset(buf, 0xa5, sizeof buf);
    CHECK_EQ(write_sync(b, 1024, buf, 2048), 0);
    CHECK_EQ(read_sync(b, 1024, back, 2048), 0);
    CHECK(!memcmp(buf, back, 2048));
    CHECK_EQ(read_sync(b, 8192 - 512, buf, 1024), -EIO);
    CHECK_EQ(write_sync(b, 8192 - 512, buf, 1024), -ENOSPC);
    CHECK_EQ(read_sync(b, UINT64_MAX - 511, buf, 512), -EIO);
    CHECK_EQ(read_sync(b, 8192, buf, 0), 0);
    CHECK_EQ(read_sync(b, 1, buf, 512), -EINVAL);
    last_ret = 1;
    blk_write_zeroes(b, 1024, 1024, done, NULL);
    settle();
    CHECK_EQ(last_ret, 0);
    CHECK_EQ(read_sync(b, 1024, back, 2048), 0);
    CHECK_EQ(back[0], 0);
    CHECK_EQ(back[1023], 0);
    CHECK_EQ(back[1024], 0xa5);
    blk_flush(b, done, NULL);
    blk_discard(b, 0, 512, done, NULL);
    settle();
    CHECK_EQ(last_ret, 0);
    blk_close(b);
    unlink(path);
}

static void completions_come_in_order_and_later(void)
{
    uint8_t buf[512];
    int first = 0, second = 0;
    make_file(1024, true);
    struct blk *b = open_file(false, false, "raw", NULL);
    calls = 0;
    blk_read(b, 0, buf, 512, done, &first);
    blk_read(b, 9999 * 512, buf, 512, done, &second);
    CHECK_EQ(calls, 0);
    settle();
    CHECK_EQ(first, 1);
    CHECK_EQ(second, 2);
    calls = 0;
    blk_read(b, 0, buf, 512, done, NULL);
    blk_drain(b);
    CHECK_EQ(calls, 1);
    blk_read(b, 0, buf, 512, done, NULL);
    blk_close(b); /* with a completion pending */
    settle();
    CHECK_EQ(calls, 1);
    unlink(path);
}

static void odd_size_has_a_padded_last_sector(void)
{
    uint8_t buf[512];
    struct stat st;
    make_file(700, true);
    struct blk *b = open_file(false, false, NULL, NULL);
    CHECK_EQ(blk_size(b), 1024);
    CHECK_EQ(read_sync(b, 512, buf, 512), 0);
    CHECK_EQ(buf[187], (uint8_t)(1 + 699));
    CHECK_EQ(buf[188], 0);
    CHECK_EQ(buf[511], 0);
    CHECK_EQ(write_sync(b, 512, buf, 512), 0);
    CHECK(stat(path, &st) == 0);
    CHECK_EQ(st.st_size, 1024);
    blk_close(b);
    unlink(path);
}

static void empty_file_is_an_empty_disk(void)
{
    uint8_t buf[512];
    make_file(0, false);
    struct blk *b = open_file(false, false, NULL, NULL);
    CHECK(b);
    CHECK_EQ(blk_size(b), 0);
    CHECK_EQ(read_sync(b, 0, buf, 512), -EIO);
    blk_close(b);
    unlink(path);
}

static void a_file_that_shrinks_reads_as_zeros(void)
{
    uint8_t buf[512];
    make_file(4096, true);
    struct blk *b = open_file(false, false, NULL, NULL);
    CHECK(truncate(path, 100) == 0);
    memset(buf, 1, sizeof buf);
    CHECK_EQ(read_sync(b, 2048, buf, 512), 0);
    CHECK_EQ(buf[0] | buf[511], 0);
    blk_close(b);
    unlink(path);
}

static void read_only_refuses_writes(void)
{
    uint8_t buf[512] = { 0 };
    make_file(1024, true);
    struct blk *b = open_file(true, false, NULL, NULL);
    CHECK(blk_readonly(b));
    CHECK_EQ(write_sync(b, 0, buf, 512), -EROFS);
    blk_close(b);
    CHECK(chmod(path, 0444) == 0);
    if (geteuid() != 0) { /* root may write anyway */
        b = open_file(false, false, NULL, NULL);
        CHECK(b && blk_readonly(b));
        blk_close(b);
    }
    unlink(path);
}

static void snapshot_keeps_the_file(void)
{
    enum { SECTORS = 4096 };
    static uint8_t model[SECTORS * 512], buf[64 * 512];
    make_file(0, false);
    CHECK(truncate(path, sizeof model) == 0);
    struct blk *b = open_file(false, true, NULL, NULL);
    CHECK(b && !blk_readonly(b));
    unsigned seed = 1;
    for (int i = 0; i < 3000; i++) {
        seed = seed * 1103515245 + 12345;
        uint32_t n = (seed >> 8) % 64 + 1, at = (seed >> 14) % (SECTORS - n);
        switch (i % 3) {
        case 0:
            memset(buf, i, n * 512);
            memset(model + at * 512, i, n * 512);
            CHECK_EQ(write_sync(b, at * 512, buf, n * 512), 0);
            break;
        case 1:
            CHECK_EQ(read_sync(b, at * 512, buf, n * 512), 0);
            CHECK(!memcmp(buf, model + at * 512, n * 512));
            break;
        case 2:
            memset(model + at * 512, 0, n * 512);
            blk_write_zeroes(b, at * 512, n * 512, done, NULL);
            settle();
            CHECK_EQ(last_ret, 0);
            break;
        }
    }
    blk_close(b);
    b = open_file(true, false, NULL, NULL);
    for (int i = 0; i < SECTORS / 64; i++) {
        CHECK_EQ(read_sync(b, (uint64_t)i * sizeof buf, buf, sizeof buf), 0);
        CHECK(buf[0] == 0 && !memcmp(buf, buf + 1, sizeof buf - 1));
    }
    blk_close(b);
    unlink(path);
}

static void errors_name_drive_and_file(void)
{
    struct error err;
    char want[200];
    make_file(1024, false);
    CHECK(!open_file(false, false, "qcow2", &err));
    CHECK_STR(err.msg, "drive 'hda': format 'qcow2' is not supported (only raw is)");
    int fd = open(path, 1);
    CHECK(write(fd, "QFI\xfb", 4) == 4);
    close(fd);
    CHECK(!open_file(false, false, NULL, &err));
    CHECK(strstr(err.msg, "drive 'hda'") && strstr(err.msg, path) && strstr(err.msg, "qcow2"));
    struct blk *b = open_file(false, false, "raw", &err);
    CHECK(b);
    blk_close(b);
    unlink(path);
    CHECK(!open_file(false, false, NULL, &err));
    snprintf(want, sizeof want, "drive 'hda': %s: No such file or directory", path);
    CHECK_STR(err.msg, want);
    strcpy(path, "/tmp");
    CHECK(!open_file(false, false, NULL, &err));
    CHECK_STR(err.msg, "drive 'hda': /tmp: Is a directory");
    strcpy(path, "/dev/null");
    CHECK(!open_file(false, false, NULL, &err));
}

int main(void)
{
    m = calloc(1, sizeof *m);
    m->opt = &opt;
    m->deferred_end = &m->deferred;
    clock_init(&m->clock);
    RUN(reads_and_writes);
    RUN(completions_come_in_order_and_later);
    RUN(odd_size_has_a_padded_last_sector);
    RUN(empty_file_is_an_empty_disk);
    RUN(a_file_that_shrinks_reads_as_zeros);
    RUN(read_only_refuses_writes);
    RUN(snapshot_keeps_the_file);
    RUN(errors_name_drive_and_file);
    free(m);
    return test_done();
}
