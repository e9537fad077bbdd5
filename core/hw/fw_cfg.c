/*
 * fw_cfg: items by key, read through a data port byte by byte or by DMA.
 *
 * Writing a key to the selector rewinds to the start of its item; each byte read from the data port
 * steps on, and past the end (or with no such item) zeros come. The DMA interface takes the guest
 * address of a descriptor {control, length, address}, all big-endian, and clears its control word
 * when done. Nothing is writable by the guest.
 *
 * Files are kept sorted by name, file i has key FW_CFG_FILE_FIRST + i, and the directory item is
 * rebuilt whenever one is added; guests only look at it after that. The file "bootorder" is kept
 * here too. Document: QEMU, docs/specs/fw_cfg.
 */
#include "hw/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "log.h"
#include "machine.h"

#define PORT_SELECTOR  0x510
#define PORT_DMA       0x514
#define ITEM_COUNT     0x20 /* of the generic and of the architecture's keys below the files */
#define FILE_MAX       512
#define NAME_SIZE      56
#define DIR_ENTRY_SIZE 64
#define KEY_ARCH       0x8000u
#define KEY_WRITE      0x4000u
#define ID_TRADITIONAL 1u
#define ID_DMA         2u
#define DMA_SIGNATURE  0x51454d5520434647ull /* "QEMU CFG" */

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
    uint8_t *data;
    size_t len;
};

struct file {
    char name[NAME_SIZE];
    struct item item;
};

struct boot_path {
    int index;
    char *path;
    struct boot_path *next;
};

struct fw_cfg {
    struct device dev;
    struct item items[2][ITEM_COUNT]; /* [1]: KEY_ARCH */
    struct file *files;
    size_t file_count;
    struct boot_path *boot_paths;
    bool boot_strict;
    struct mem_region ports, dma_ports;
    uint16_t key;
    uint32_t offset;
    uint32_t dma_high;
};

/* ---- items ---- */

static struct item *find_item(struct fw_cfg *f, uint16_t key)
{
    unsigned n = key & ~(KEY_ARCH | KEY_WRITE);
    if (n < ITEM_COUNT)
        return &f->items[(key & KEY_ARCH) != 0][n];
    if (!(key & KEY_ARCH) && n - FW_CFG_FILE_FIRST < f->file_count)
        return &f->files[n - FW_CFG_FILE_FIRST].item;
    return NULL;
}

static bool set_item(struct item *it, void *data, size_t len)
{
    free(it->data);
    it->data = data;
    it->len = data ? len : 0;
    return data != NULL;
}

static void *copy_of(const void *data, size_t len)
{
    void *p = malloc(len ? len : 1);
    if (p && len)
        memcpy(p, data, len);
    return p;
}

bool fw_cfg_add_owned(struct fw_cfg *f, uint16_t key, void *data, size_t len)
{
    unsigned n = key & ~(KEY_ARCH | KEY_WRITE);
    if (n >= ITEM_COUNT) {
        free(data);
        return false;
    }
    return set_item(&f->items[(key & KEY_ARCH) != 0][n], data, len);
}

bool fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len)
{
    return fw_cfg_add_owned(f, key, copy_of(data, len), len);
}

static bool add_le(struct fw_cfg *f, uint16_t key, uint64_t v, size_t len)
{
    uint8_t b[8];
    for (size_t i = 0; i < len; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    return fw_cfg_add(f, key, b, len);
}

bool fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t v)
{
    return add_le(f, key, v, 2);
}
bool fw_cfg_add_u32(struct fw_cfg *f, uint16_t key, uint32_t v)
{
    return add_le(f, key, v, 4);
}
bool fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t v)
{
    return add_le(f, key, v, 8);
}

/* ---- files ---- */

static void put_be(uint8_t *p, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
}

static uint64_t get_be(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | p[i];
    return v;
}

/* Entries: size u32, key u16, 0 u16, name; a count before them. */
static bool rebuild_directory(struct fw_cfg *f)
{
    size_t len = 4 + f->file_count * DIR_ENTRY_SIZE;
    uint8_t *dir = calloc(1, len);
    if (!dir)
        return false;
    put_be(dir, f->file_count, 4);
    for (size_t i = 0; i < f->file_count; i++) {
        uint8_t *e = dir + 4 + i * DIR_ENTRY_SIZE;
        put_be(e, f->files[i].item.len, 4);
        put_be(e + 4, FW_CFG_FILE_FIRST + i, 2);
        memcpy(e + 8, f->files[i].name, NAME_SIZE);
    }
    return fw_cfg_add_owned(f, FW_CFG_FILE_DIR, dir, len);
}

bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
    size_t at = 0;
    if (strlen(name) >= NAME_SIZE || f->file_count >= FILE_MAX)
        return false;
    void *copy = copy_of(data, len);
    if (!copy)
        return false;
    while (at < f->file_count && strcmp(f->files[at].name, name) < 0)
        at++;
    if (at == f->file_count || strcmp(f->files[at].name, name)) {
        struct file *bigger = realloc(f->files, (f->file_count + 1) * sizeof *bigger);
        if (!bigger) {
            free(copy);
            return false;
        }
        f->files = bigger;
        memmove(bigger + at + 1, bigger + at, (f->file_count - at) * sizeof *bigger);
        f->file_count++;
        bigger[at] = (struct file){ 0 };
        memcpy(bigger[at].name, name, strlen(name));
    }
    set_item(&f->files[at].item, copy, len);
    return rebuild_directory(f);
}

uint8_t *fw_cfg_find_file(struct fw_cfg *f, const char *name, size_t *len)
{
    for (size_t i = 0; i < f->file_count; i++)
        if (!strcmp(f->files[i].name, name)) {
            *len = f->files[i].item.len;
            return f->files[i].item.data;
        }
    return NULL;
}

/* ---- boot order ---- */

/* One path a line, in order; "HALT" last if nothing else may boot. The file ends with a NUL. */
static bool write_bootorder(struct fw_cfg *f)
{
    size_t len = sizeof "HALT", at = 0;
    for (struct boot_path *p = f->boot_paths; p; p = p->next)
        len += strlen(p->path) + 1;
    char *text = calloc(1, len + 1);
    if (!text)
        return false;
    for (struct boot_path *p = f->boot_paths; p; p = p->next) {
        size_t n = strlen(p->path);
        memcpy(text + at, p->path, n);
        at += n;
        text[at++] = '\n';
    }
    if (f->boot_strict) {
        memcpy(text + at, "HALT", 4);
        at += 5;
    }
    if (at)
        text[at - 1] = 0;
    bool ok = fw_cfg_add_file(f, "bootorder", text, at);
    free(text);
    return ok;
}

bool fw_cfg_add_boot_path(struct fw_cfg *f, int index, const char *path)
{
    struct boot_path *p = calloc(1, sizeof *p), **at = &f->boot_paths;
    if (!p)
        return false;
    p->index = index;
    p->path = strdup(path);
    if (!p->path) {
        free(p);
        return false;
    }
    while (*at && (*at)->index <= index)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
    return write_bootorder(f);
}

bool fw_cfg_boot_strict(struct fw_cfg *f)
{
    f->boot_strict = true;
    return write_bootorder(f);
}

/* ---- ports ---- */

static void select_key(struct fw_cfg *f, uint16_t key)
{
    f->key = key;
    f->offset = 0;
}

/* The rest of the selected item: bytes left, and where they are. */
static size_t rest_of_item(struct fw_cfg *f, const uint8_t **p)
{
    struct item *it = find_item(f, f->key);
    if (!it || !it->data || f->offset >= it->len)
        return 0;
    *p = it->data + f->offset;
    return it->len - f->offset;
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fw_cfg *f = opaque;
    const uint8_t *p;
    if (offset != 1)
        return 0xff;
    if (!rest_of_item(f, &p))
        return 0;
    f->offset++;
    return *p;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == 0)
        select_key(opaque, (uint16_t)value);
}

static void dma_zeros(struct mem_space *mem, uint64_t addr, uint64_t len)
{
    static const uint8_t zeros[4096];
    while (len) {
        size_t n = len < sizeof zeros ? (size_t)len : sizeof zeros;
        dma_write(mem, addr, zeros, n);
        addr += n;
        len -= n;
    }
}

static void run_dma(struct fw_cfg *f, uint64_t descriptor)
{
    struct mem_space *mem = &f->dev.machine->mem;
    uint8_t d[16];
    dma_read(mem, descriptor, d, sizeof d);
    uint32_t control = (uint32_t)get_be(d, 4), len = (uint32_t)get_be(d + 4, 4), result = 0;
    uint64_t addr = get_be(d + 8, 8);

    if (control & DMA_SELECT)
        select_key(f, (uint16_t)(control >> 16));
    if (control & (DMA_READ | DMA_SKIP)) {
        const uint8_t *p = NULL;
        size_t rest = rest_of_item(f, &p);
        uint32_t n = len < rest ? len : (uint32_t)rest;
        f->offset += n;
        if (control & DMA_READ) {
            dma_write(mem, addr, p, n);
            dma_zeros(mem, addr + n, len - n);
        }
    } else if (control & DMA_WRITE) {
        log_mask(LOG_GUEST_ERRORS, "fw_cfg: write to item 0x%x", f->key);
        result = DMA_ERROR;
    }
    uint8_t done[4];
    put_be(done, result, 4);
    dma_write(mem, descriptor, done, sizeof done);
}

static uint64_t dma_port_read(void *opaque, uint64_t offset, unsigned size)
{
    uint8_t be[8];
    put_be(be, DMA_SIGNATURE, 8);
    uint64_t v = 0;
    for (unsigned i = size; i-- > 0;)
        v = v << 8 | be[(offset + i) & 7];
    return v;
}

/* The address's halves are big-endian; the low one starts the transfer. */
static void dma_port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *f = opaque;
    uint32_t half = __builtin_bswap32((uint32_t)value);
    if (size != 4)
        return;
    if (offset == 0) {
        f->dma_high = half;
    } else if (offset == 4) {
        uint64_t descriptor = (uint64_t)f->dma_high << 32 | half;
        f->dma_high = 0;
        run_dma(f, descriptor);
    }
}

static const struct mem_ops port_ops = { .read = port_read, .write = port_write, .max_size = 2 };
static const struct mem_ops dma_port_ops = { .read = dma_port_read,
                                             .write = dma_port_write,
                                             .max_size = 4 };

/* ---- device ---- */

static bool fw_cfg_realize(struct device *d, struct error *err)
{
    struct fw_cfg *f = (struct fw_cfg *)d;
    if (!fw_cfg_add(f, FW_CFG_SIGNATURE, "QEMU", 4) ||
        !fw_cfg_add_u32(f, FW_CFG_ID, ID_TRADITIONAL | ID_DMA) || !rebuild_directory(f))
        return error_set(err, "fw_cfg: out of memory");
    mem_region_init_io(&f->ports, "fwcfg", 2, &port_ops, f);
    mem_region_init_io(&f->dma_ports, "fwcfg.dma", 8, &dma_port_ops, f);
    mem_region_add(&d->machine->io, &f->ports, PORT_SELECTOR, 0);
    mem_region_add(&d->machine->io, &f->dma_ports, PORT_DMA, 0);
    return true;
}

static void fw_cfg_unrealize(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;
    mem_region_remove(&f->ports);
    mem_region_remove(&f->dma_ports);
    for (int arch = 0; arch < 2; arch++)
        for (int i = 0; i < ITEM_COUNT; i++)
            free(f->items[arch][i].data);
    for (size_t i = 0; i < f->file_count; i++)
        free(f->files[i].item.data);
    free(f->files);
    while (f->boot_paths) {
        struct boot_path *p = f->boot_paths;
        f->boot_paths = p->next;
        free(p->path);
        free(p);
    }
}

static const struct field fw_cfg_fields[] = {
    FIELD_U16(struct fw_cfg, key, FW_CFG_SIGNATURE),
    FIELD_U32(struct fw_cfg, offset, 0),
    FIELD_U32(struct fw_cfg, dma_high, 0),
    FIELD_END,
};

static const struct device_class fw_cfg_class = {
    .name = "fw_cfg",
    .desc = "firmware configuration",
    .size = sizeof(struct fw_cfg),
    .fields = fw_cfg_fields,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
};

struct fw_cfg *fw_cfg_new(struct machine *m)
{
    struct device *d = device_new(m, &fw_cfg_class);
    if (!d || !device_realize(d, NULL))
        return NULL;
    return (struct fw_cfg *)d;
}
