/*
 * fw_cfg as a guest sees it: ports, DMA, directory, boot order.
 */
#include "hw/fw_cfg.h"

#include <stdlib.h>

#include "clock.h"
#include "hw/device.h"
#include "machine.h"
#include "test.h"

static struct machine m;
static struct mem_region ram;

static void begin(void)
{
    memset(&m, 0, sizeof m);
    mem_space_init(&m.mem, "memory", 1ull << 36);
    mem_space_init(&m.io, "I/O", 0x10000);
    clock_init(&m.clock);
    CHECK(mem_region_init_ram(&ram, "ram", 1 << 20, NULL));
    mem_region_add(&m.mem, &ram, 0, 0);
    m.fw_cfg = fw_cfg_new(&m);
    CHECK(m.fw_cfg);
}

static void end(void)
{
    struct device *d = m.devices;
    m.devices = NULL;
    device_free(d);
    mem_region_free(&ram);
    mem_space_free(&m.mem);
    mem_space_free(&m.io);
}

static uint64_t read_port(uint16_t key, unsigned len)
{
    uint64_t v = 0;
    mem_write(&m.io, 0x510, key, 2);
    for (unsigned i = 0; i < len; i++)
        v |= mem_read(&m.io, 0x511, 1) << (8 * i);
    return v;
}

static uint32_t dma(uint32_t control, uint32_t len, uint64_t addr)
{
    dma_write32(&m.mem, 0x100, __builtin_bswap32(control));
    dma_write32(&m.mem, 0x104, __builtin_bswap32(len));
    dma_write64(&m.mem, 0x108, __builtin_bswap64(addr));
    mem_write(&m.io, 0x514, 0, 4);
    mem_write(&m.io, 0x518, __builtin_bswap32(0x100), 4);
    return __builtin_bswap32(dma_read32(&m.mem, 0x100));
}

static void signature_and_items_by_port(void)
{
    begin();
    CHECK_EQ(read_port(FW_CFG_SIGNATURE, 4), 0x554d4551); /* "QEMU" */
    CHECK_EQ(read_port(FW_CFG_ID, 4), 3);
    CHECK_EQ(mem_read(&m.io, 0x514, 4), 0x554d4551);
    CHECK_EQ(mem_read(&m.io, 0x518, 4), 0x47464320);
    fw_cfg_add_u64(m.fw_cfg, FW_CFG_RAM_SIZE, 0x123456789aull);
    CHECK_EQ(read_port(FW_CFG_RAM_SIZE, 8), 0x123456789aull);
    CHECK_EQ(mem_read(&m.io, 0x511, 1), 0); /* past the end */
    fw_cfg_add_u16(m.fw_cfg, FW_CFG_IRQ0_OVERRIDE, 1);
    CHECK_EQ(read_port(FW_CFG_IRQ0_OVERRIDE, 2), 1);
    CHECK_EQ(read_port(0x2, 2), 0);
    CHECK_EQ(read_port(0xffff, 2), 0);
    CHECK_EQ(read_port(0x7fff, 2), 0);
    end();
}

static void files_are_sorted_and_found_through_the_directory(void)
{
    char name[57];
    begin();
    fw_cfg_add_file(m.fw_cfg, "etc/b", "BB", 2);
    fw_cfg_add_file(m.fw_cfg, "etc/a", "AAA", 3);
    fw_cfg_add_file(m.fw_cfg, "etc/c", "C", 1);
    fw_cfg_add_file(m.fw_cfg, "etc/b", "bbbb", 4);
    CHECK_EQ(read_port(FW_CFG_FILE_DIR, 4), __builtin_bswap32(3));
    for (unsigned i = 0; i < 3; i++) {
        uint32_t size = 0, key = 0;
        for (int b = 0; b < 4; b++)
            size = size << 8 | (uint32_t)mem_read(&m.io, 0x511, 1);
        for (int b = 0; b < 4; b++)
            key = key << 8 | (uint32_t)mem_read(&m.io, 0x511, 1);
        for (int b = 0; b < 56; b++)
            name[b] = (char)mem_read(&m.io, 0x511, 1);
        CHECK_EQ(key >> 16, 0x20 + i);
        CHECK_EQ(size, i == 0 ? 3 : i == 1 ? 4 : 1);
        CHECK_EQ(name[4], 'a' + (int)i);
        CHECK_EQ(name[5], 0);
    }
    CHECK_EQ(read_port(0x21, 4), 0x62626262);
    memset(name, 'x', 56);
    name[56] = 0;
    CHECK(!fw_cfg_add_file(m.fw_cfg, name, "", 0));
    end();
}

static void dma_selects_reads_skips_and_refuses_writes(void)
{
    uint8_t data[100], got[128];
    begin();
    for (int i = 0; i < 100; i++)
        data[i] = (uint8_t)i;
    fw_cfg_add(m.fw_cfg, FW_CFG_KERNEL_DATA, data, sizeof data);
    CHECK_EQ(dma(FW_CFG_KERNEL_DATA << 16 | 8 | 2, 10, 0x2000), 0);
    CHECK_EQ(dma(4, 5, 0), 0);
    dma_write(&m.mem, 0x2000 + 100, "zzzz", 4);
    CHECK_EQ(dma(2, 100, 0x200a), 0);
    dma_read(&m.mem, 0x2000, got, sizeof got);
    CHECK_EQ(got[9], 9);
    CHECK_EQ(got[10], 15);
    CHECK_EQ(got[10 + 84], 99);
    CHECK_EQ(got[10 + 85], 0);
    CHECK_EQ(got[100], 0);
    CHECK_EQ(dma(16, 4, 0x2000), 1);
    /* hostile: all of memory and beyond, into ports' neighbours, onto its own descriptor */
    CHECK_EQ(dma(0x99990000 | 8 | 2, UINT32_MAX, UINT64_MAX - 0x1000), 0);
    dma(FW_CFG_KERNEL_DATA << 16 | 8 | 2, UINT32_MAX, 0x100);
    dma(4, UINT32_MAX, 0);
    dma(4, UINT32_MAX, 0);
    CHECK_EQ(mem_read(&m.io, 0x511, 1), 0);
    end();
}

static void the_boot_order_is_sorted_by_index(void)
{
    size_t len;
    begin();
    fw_cfg_add_boot_path(m.fw_cfg, 2, "/two");
    fw_cfg_add_boot_path(m.fw_cfg, 1, "/one");
    fw_cfg_add_boot_path(m.fw_cfg, 2, "/two-b");
    const char *text = (const char *)fw_cfg_find_file(m.fw_cfg, "bootorder", &len);
    CHECK_STR(text, "/one\n/two\n/two-b");
    CHECK_EQ(len, strlen(text) + 1);
    fw_cfg_boot_strict(m.fw_cfg);
    text = (const char *)fw_cfg_find_file(m.fw_cfg, "bootorder", &len);
    CHECK_STR(text, "/one\n/two\n/two-b\nHALT");
    end();
}

int main(void)
{
    RUN(signature_and_items_by_port);
    RUN(files_are_sorted_and_found_through_the_directory);
    RUN(dma_selects_reads_skips_and_refuses_writes);
    RUN(the_boot_order_is_sorted_by_index);
    return test_done();
}
