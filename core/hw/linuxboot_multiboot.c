/*
 * Multiboot images for -kernel: a 32-bit ELF file, or any format whose header carries addresses
 * (the "a.out kludge").
 *
 * The loaded image is one contiguous block (segments at their places, zeros between and in the
 * BSS), followed by the modules of -initrd ("FILE ARGS,FILE ARGS"), each on a page of its own.
 *
 * The information block goes to low memory that the image leaves free, as high as possible: kernels
 * that load below 1 MB, and those that put trampolines there before they read it, use the bottom.
 * It is the information structure, its strings and module list, and at its end WORK_SIZE bytes for
 * the option ROM: the memory map from their start, a stack from their end. The ROM asks the BIOS
 * all it has to before it loads the image, so that an image may even replace the BIOS's data.
 *
 * Document: Multiboot Specification 0.6.96.
 */
#include <stdlib.h>
#include <string.h>

#include "hw/fw_cfg.h"
#include "hw/linuxboot.h"
#include "machine.h"
#include "options.h"

#define HEADER_MAGIC   0x1badb002u
#define HEADER_SEARCH  8192u
#define FLAG_MUST_KNOW 0xffffu
#define FLAG_ALIGN     0x1u
#define FLAG_MEMORY    0x2u
#define FLAG_VIDEO     0x4u
#define FLAG_ADDRESSES 0x10000u

#define LOW_BOTTOM 0x1000u  /* low memory that is free when the BIOS boots: not its data, */
#define LOW_TOP    0x98000u /* not its extended data below 640 KB */
#define ROM_AREA   0xa0000u
#define INFO_MAX   0x70000u
#define WORK_SIZE  0x1000u /* linuxboot_multiboot.asm has it too */
enum {
    INFO_FLAGS = 0,
    INFO_BOOT_DEVICE = 12,
    INFO_CMDLINE = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_ADDR = 24,
    INFO_LOADER_NAME = 64,
    INFO_SIZE = 116,
    HAS_MEMORY = 0x1,
    HAS_BOOT_DEVICE = 0x2,
    HAS_CMDLINE = 0x4,
    HAS_MODS = 0x8,
    HAS_MMAP = 0x40,
    HAS_LOADER_NAME = 0x200,
};
#define MODULE_SIZE 16u
#define MODULE_MAX  64

/* What is put together: the block from @base on. */
struct image {
    uint8_t *data;
    uint64_t base, size, entry;
};

/* The information block; addresses in it are offsets until place_info(). */
struct info {
    uint8_t *data;
    size_t len;
};

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

bool multiboot_find_header(const uint8_t *image, size_t size, size_t *at)
{
    for (size_t i = 0; i + 12 <= size && i + 12 <= HEADER_SEARCH; i += 4) {
        uint32_t magic = get32(image + i), flags = get32(image + i + 4), sum = get32(image + i + 8);
        if (magic == HEADER_MAGIC && magic + flags + sum == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* Room for [base, base + size) in guest memory, zeroed. */
static bool allocate(struct machine *m, struct image *im, struct error *err)
{
    if (im->base >= ROM_AREA && im->base < 0x100000)
        return error_set(err, "it loads to 0x%llx, where there is no RAM",
                         (unsigned long long)im->base);
    if (im->base + im->size > m->ram_below_4g)
        return error_set(err, "it needs memory up to address 0x%llx, there are %llu MB",
                         (unsigned long long)im->base + im->size,
                         (unsigned long long)m->ram_below_4g >> 20);
    im->data = calloc(1, (size_t)im->size + 1);
    return im->data || error_set(err, "out of memory");
}

static bool load_by_addresses(struct machine *m, const uint8_t *file, size_t size, size_t header,
                              struct image *im, struct error *err)
{
    if (header + 32 > size)
        return error_set(err, "truncated in the multiboot header");
    uint32_t header_addr = get32(file + header + 12), load = get32(file + header + 16);
    uint32_t load_end = get32(file + header + 20), bss_end = get32(file + header + 24);
    if (load > header_addr || header_addr - load > header)
        return error_set(err, "the multiboot header's load address 0x%x is wrong", load);
    size_t from = header - (header_addr - load);
    size_t len = size - from;
    if (load_end) {
        if (load_end < load || load_end - load > len)
            return error_set(err, "truncated: the multiboot header promises %u bytes",
                             load_end - load);
        len = load_end - load;
    }
    im->base = load;
    im->size = len;
    if (bss_end) {
        if (bss_end < load || bss_end - load < len)
            return error_set(err, "the multiboot header's BSS ends at 0x%x, before the data",
                             bss_end);
        im->size = bss_end - load;
    }
    im->entry = get32(file + header + 28);
    if (!allocate(m, im, err))
        return false;
    memcpy(im->data, file + from, len);
    return true;
}

/* ELF32 (System V ABI, chapter 4 and 5): program headers of type PT_LOAD. */
static bool load_elf(struct machine *m, const uint8_t *file, size_t size, struct image *im,
                     struct error *err)
{
    enum {
        ELF_CLASS = 4,
        CLASS_32 = 1,
        E_MACHINE = 18,
        EM_386 = 3,
        E_ENTRY = 24,
        E_PHOFF = 28,
        E_PHENTSIZE = 42,
        E_PHNUM = 44,
        EHDR_SIZE = 52,
        PHDR_SIZE = 32,
        PT_LOAD = 1
    };
    if (size < EHDR_SIZE || memcmp(file, "\177ELF", 4))
        return error_set(err, "the multiboot header has no addresses and the file is no ELF file");
    if (file[ELF_CLASS] != CLASS_32 || get16(file + E_MACHINE) != EM_386)
        return error_set(err, "a multiboot image must be a 32-bit i386 ELF file");
    uint64_t phoff = get32(file + E_PHOFF);
    unsigned count = get16(file + E_PHNUM), step = get16(file + E_PHENTSIZE);
    if (step < PHDR_SIZE || phoff + (uint64_t)count * step > size)
        return error_set(err, "truncated: the program headers are beyond the end of the file");

    uint64_t low = UINT64_MAX, high = 0, entry = get32(file + E_ENTRY);
    im->entry = entry;
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < count; i++) {
            const uint8_t *p = file + phoff + (uint64_t)i * step;
            uint64_t offset = get32(p + 4), vaddr = get32(p + 8), paddr = get32(p + 12);
            uint64_t filesz = get32(p + 16), memsz = get32(p + 20);
            if (get32(p) != PT_LOAD || memsz == 0)
                continue;
            if (filesz > memsz || offset + filesz > size)
                return error_set(err, "truncated: segment %u is beyond the end of the file", i);
            if (pass == 0) {
                low = paddr < low ? paddr : low;
                high = paddr + memsz > high ? paddr + memsz : high;
                if (entry >= vaddr && entry < vaddr + memsz)
                    im->entry = entry - vaddr + paddr;
            } else {
                memcpy(im->data + (paddr - im->base), file + offset, (size_t)filesz);
            }
        }
        if (pass == 0) {
            if (high == 0)
                return error_set(err, "the ELF file has nothing to load");
            im->base = low;
            im->size = high - low;
            if (!allocate(m, im, err))
                return false;
        }
    }
    return true;
}

/* ---- the information structure ---- */

/* Appends @len bytes; returns the offset, 0 if there is no room. */
static uint32_t append(struct info *info, const void *p, size_t len)
{
    size_t at = (info->len + 3) & ~(size_t)3;
    if (len > INFO_MAX || at + len > INFO_MAX)
        return 0;
    memcpy(info->data + at, p, len);
    info->len = at + len;
    return (uint32_t)at;
}

/* "PATH ARGS" -> "PATH ARGS" appended, the file's bytes appended to the image. */
static bool load_module(struct machine *m, const char *spec, struct image *im, struct info *info,
                        uint8_t *entry, struct error *err)
{
    size_t size, path_len = strcspn(spec, " ");
    char *path = strndup(spec, path_len);
    uint8_t *file = path ? machine_read_file(path, &size, err) : NULL;
    free(path);
    if (!file)
        return error_prepend(err, "initrd");
    uint64_t at = (im->base + im->size + 0xfff) & ~0xfffull, end = at + size;
    bool ok = end <= m->ram_below_4g;
    if (!ok)
        error_set(err, "initrd '%s': %zu bytes don't fit above the kernel", spec, size);
    uint8_t *bigger = ok ? realloc(im->data, (size_t)(end - im->base) + 1) : NULL;
    uint32_t string = append(info, spec, strlen(spec) + 1);
    if (ok && (!bigger || !string))
        ok = error_set(err, "initrd '%s': out of memory", spec);
    if (bigger)
        im->data = bigger;
    if (ok) {
        memset(im->data + im->size, 0, (size_t)(at - im->base - im->size));
        memcpy(im->data + (at - im->base), file, size);
        im->size = end - im->base;
        put32(entry, (uint32_t)at);
        put32(entry + 4, (uint32_t)end);
        put32(entry + 8, string);
        put32(entry + 12, 0);
    }
    free(file);
    return ok;
}

static bool load_modules(struct machine *m, struct image *im, struct info *info, struct error *err)
{
    uint8_t list[MODULE_MAX * MODULE_SIZE];
    unsigned count = 0;
    char *specs = strdup(m->opt->initrd ? m->opt->initrd : "");
    if (!specs)
        return error_set(err, "initrd: out of memory");
    bool ok = true;
    for (char *s = specs; ok && *s;) {
        size_t len = strcspn(s, ",");
        bool last = !s[len];
        s[len] = 0;
        if (count == MODULE_MAX)
            ok = error_set(err, "initrd: more than %d modules", MODULE_MAX);
        else if (*s)
            ok = load_module(m, s, im, info, list + MODULE_SIZE * count++, err);
        s += last ? len : len + 1;
    }
    free(specs);
    if (!ok)
        return false;
    uint32_t addr = append(info, list, MODULE_SIZE * count);
    if (!addr)
        return error_set(err, "initrd: too many modules");
    put32(info->data + INFO_MODS_COUNT, count);
    put32(info->data + INFO_MODS_ADDR, addr);
    return true;
}

static bool make_info(struct machine *m, struct image *im, struct info *info, struct error *err)
{
    static const char loader[] = "slipway";
    const char *append_text = m->opt->append ? m->opt->append : "";
    size_t cmdline_size = strlen(m->opt->kernel) + 1 + strlen(append_text) + 1;
    char *cmdline = malloc(cmdline_size);
    if (!cmdline)
        return error_set(err, "out of memory");
    strcpy(cmdline, m->opt->kernel);
    if (*append_text) {
        strcat(cmdline, " ");
        strcat(cmdline, append_text);
    }
    uint32_t cmdline_addr = append(info, cmdline, strlen(cmdline) + 1);
    free(cmdline);
    if (!cmdline_addr)
        return error_set(err, "append: the command line is too long");
    put32(info->data + INFO_FLAGS,
          HAS_MEMORY | HAS_BOOT_DEVICE | HAS_CMDLINE | HAS_MODS | HAS_MMAP | HAS_LOADER_NAME);
    put32(info->data + INFO_BOOT_DEVICE, 0x8000ffff);
    put32(info->data + INFO_CMDLINE, cmdline_addr);
    put32(info->data + INFO_LOADER_NAME, append(info, loader, sizeof loader));
    return load_modules(m, im, info, err);
}

/* Finds an address for the block and makes the offsets in it addresses; 0: there is none. */
static uint32_t place_info(struct info *info, const struct image *im)
{
    size_t size = ((info->len + 15) & ~(size_t)15) + WORK_SIZE;
    uint64_t addr = LOW_TOP - size;
    if (im->base < LOW_TOP && im->base + im->size > addr) {
        if (im->base < LOW_BOTTOM + size)
            return 0;
        addr = (im->base - size) & ~15ull;
    }
    info->len = size;
    static const uint8_t pointers[] = { INFO_CMDLINE, INFO_MODS_ADDR, INFO_LOADER_NAME };
    uint8_t *module = info->data + get32(info->data + INFO_MODS_ADDR);
    for (uint32_t n = get32(info->data + INFO_MODS_COUNT); n > 0; n--, module += MODULE_SIZE)
        put32(module + 8, get32(module + 8) + (uint32_t)addr);
    for (size_t i = 0; i < sizeof pointers; i++)
        put32(info->data + pointers[i], get32(info->data + pointers[i]) + (uint32_t)addr);
    return (uint32_t)addr;
}

bool multiboot_load(struct machine *m, const uint8_t *file, size_t size, size_t header,
                    struct error *err)
{
    uint32_t flags = get32(file + header + 4);
    struct image im = { 0 };
    struct info info = { .data = calloc(1, INFO_MAX + WORK_SIZE), .len = INFO_SIZE };
    uint32_t info_addr = 0;
    struct fw_cfg *f = m->fw_cfg;
    bool ok = info.data != NULL;
    if (!ok)
        error_set(err, "out of memory");
    else if (flags & FLAG_MUST_KNOW & ~(FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO))
        ok = error_set(err, "it asks for multiboot features 0x%x, which don't exist",
                       flags & FLAG_MUST_KNOW);
    else if (flags & FLAG_ADDRESSES)
        ok = load_by_addresses(m, file, size, header, &im, err);
    else
        ok = load_elf(m, file, size, &im, err);
    if (!ok)
        error_prepend(err, "kernel '%s'", m->opt->kernel);
    ok = ok && make_info(m, &im, &info, err);
    if (ok) {
        info_addr = place_info(&info, &im);
        if (!info_addr)
            ok = error_set(err,
                           "kernel '%s': it loads to 0x%llx-0x%llx, which leaves no room below "
                           "640 KB for its command line and modules",
                           m->opt->kernel, (unsigned long long)im.base,
                           (unsigned long long)im.base + im.size);
    }
    if (ok) {
        /* What takes ownership comes first, so that it is called whatever else fails. */
        ok = fw_cfg_add_owned(f, FW_CFG_KERNEL_DATA, im.data, (size_t)im.size) &&
             fw_cfg_add_u32(f, FW_CFG_KERNEL_ENTRY, (uint32_t)im.entry) &&
             fw_cfg_add_u32(f, FW_CFG_KERNEL_ADDR, (uint32_t)im.base) &&
             fw_cfg_add_u32(f, FW_CFG_KERNEL_SIZE, (uint32_t)im.size) &&
             fw_cfg_add_u32(f, FW_CFG_INITRD_ADDR, info_addr) &&
             fw_cfg_add_u32(f, FW_CFG_INITRD_SIZE, (uint32_t)info.len) &&
             fw_cfg_add(f, FW_CFG_INITRD_DATA, info.data, info.len) &&
             linuxboot_add_rom(f, "multiboot_dma.bin", multiboot_rom, multiboot_rom_size);
        im.data = NULL;
        if (!ok)
            error_set(err, "kernel '%s': out of memory", m->opt->kernel);
    }
    free(im.data);
    free(info.data);
    return ok;
}
