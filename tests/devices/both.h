/*
 * The same port and memory accesses on a QEMU and on a board of ours, with answers compared: for
 * device tests whose device is on ports. Differences are printed with the step they happened in and
 * counted.
 */
#ifndef SLIPWAY_BOTH_H
#define SLIPWAY_BOTH_H

#include "../unit/devtest.h"
#include "qtest.h"

static struct qtest *qemu;
static const char *step = "";
static int differences;

#define DIFFER(...)                                                                                \
    do {                                                                                           \
        if (differences++ < 60) {                                                                  \
            printf("%s: ", step);                                                                  \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

static inline void out(uint16_t port, uint32_t v, unsigned size)
{
    qtest_out(qemu, port, v, size);
    mem_write(&m->io, port, v, size);
    settle();
}

/* Reads on both; bits of @mask have to agree. Returns ours. */
static inline uint32_t in_masked(uint16_t port, unsigned size, uint32_t mask)
{
    uint32_t theirs = qtest_in(qemu, port, size), ours = (uint32_t)mem_read(&m->io, port, size);
    settle();
    if ((theirs ^ ours) & mask)
        DIFFER("port 0x%x reads 0x%x, QEMU's 0x%x", port, ours, theirs);
    return ours;
}

static inline uint32_t in(uint16_t port, unsigned size)
{
    return in_masked(port, size, UINT32_MAX);
}

/* Until the bits of @mask in the register have the value @want on both. */
static inline void wait_port(uint16_t port, uint8_t mask, uint8_t want)
{
    uint8_t v = 0;
    for (int i = 0; i < 20000; i++) {
        v = (uint8_t)qtest_in(qemu, port, 1);
        if ((v & mask) == want)
            break;
        usleep(50);
    }
    settle();
    uint8_t ours = (uint8_t)mem_read(&m->io, port, 1);
    if ((v & mask) != want || (ours & mask) != want)
        DIFFER("waited for port 0x%x & 0x%x to be 0x%x: ours 0x%x, QEMU's 0x%x", port, mask, want,
               ours, v);
}

static inline void poke(uint64_t addr, const void *buf, size_t len)
{
    qtest_write_bytes(qemu, addr, buf, len);
    dma_write(&m->mem, addr, buf, len);
}

static inline void poke32(uint64_t addr, uint32_t v)
{
    poke(addr, &v, 4);
}

static inline void compare_memory(uint64_t addr, size_t len)
{
    uint8_t *theirs = malloc(len), *ours = malloc(len);
    qtest_read_bytes(qemu, addr, theirs, len);
    dma_read(&m->mem, addr, ours, len);
    for (size_t i = 0; i < len; i++)
        if (ours[i] != theirs[i]) {
            DIFFER("memory 0x%llx is 0x%02x, QEMU's 0x%02x", (unsigned long long)addr + i, ours[i],
                   theirs[i]);
            break;
        }
    free(theirs);
    free(ours);
}

static inline void compare_irq(int n)
{
    bool theirs = qtest_irq(qemu, n), ours = isa_level[n];
    if (theirs != ours)
        DIFFER("IRQ %d is %d, QEMU's %d", n, ours, theirs);
}

/* A file of @size bytes with a pattern; the caller unlinks it. */
static inline char *image_file(size_t size, unsigned salt)
{
    static char paths[8][32];
    static int count;
    char *path = paths[count++];
    strcpy(path, "/tmp/slipway-img-XXXXXX");
    int fd = mkstemp(path);
    uint8_t *buf = malloc(size);
    for (size_t i = 0; i < size; i++)
        buf[i] = (uint8_t)(i * 5 + i / 512 * 3 + salt);
    if (write(fd, buf, size) != (ssize_t)size)
        abort();
    close(fd);
    free(buf);
    return path;
}

static inline struct blk *open_image(const char *id, const char *path, bool readonly)
{
    static struct drive_option none;
    struct blk_options o = { id, path, "raw", readonly, true };
    struct blk *b = blk_open(m, &o, NULL);
    if (!b || !machine_add_drive(m, &none, b))
        abort();
    return b;
}

#endif
