/*
 * Address spaces: overlap and priority, moving regions, aliases, access sizes, bulk access, dirty
 * pages.
 */
#include "memory.h"

#include <stdlib.h>

#include "test.h"

#define KB 1024u
#define MB (1024u * KB)

static struct mem_space s;
static int changes;

static void count_change(void *opaque)
{
    changes++;
}

static void begin(uint64_t size)
{
    mem_space_init(&s, "test", size);
    s.changed = count_change;
    changes = 0;
}

/* A device that remembers its last access and answers with offset and size. */
static struct {
    uint64_t offset, value;
    unsigned size, writes, reads;
} last;

static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    last.offset = offset;
    last.size = size;
    last.reads++;
    return 0x1111111111111111ull * (offset & 15);
}

static void io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    last.offset = offset;
    last.size = size;
    last.value = value;
    last.writes++;
}

static const struct mem_ops any_size = { .read = io_read, .write = io_write };
static const struct mem_ops only_32 = {
    .read = io_read, .write = io_write, .min_size = 4, .max_size = 4
};
static const struct mem_ops only_8 = { .read = io_read, .write = io_write, .max_size = 1 };

static void higher_priority_wins_and_gaps_show_what_is_below(void)
{
    struct mem_region ram, rom, io;
    begin(1ull << 32);
    CHECK(mem_region_init_ram(&ram, "ram", MB, NULL));
    CHECK(mem_region_init_rom(&rom, "rom", 64 * KB, NULL));
    mem_region_init_io(&io, "io", 32 * KB, &any_size, NULL);
    mem_region_add(&s, &ram, 0, 0);
    mem_region_add(&s, &rom, 0xf0000, 1);
    mem_region_add(&s, &io, 0xec000, 2);
    CHECK_EQ(s.flat_count, 3);
    CHECK_EQ(s.flat[0].last, 0xebfff);
    CHECK(s.flat[1].region == &io && s.flat[1].first == 0xec000 && s.flat[1].last == 0xf3fff);
    CHECK(s.flat[2].region == &rom && s.flat[2].offset == 0x4000 && s.flat[2].last == 0xfffff);
    mem_region_set_enabled(&io, false);
    CHECK_EQ(s.flat_count, 2);
    CHECK(mem_find(&s, 0xf0000)->region == &rom);
    CHECK(mem_find(&s, 0xeffff)->region == &ram);
    CHECK(!mem_find(&s, 0x100000));
    CHECK(!mem_find(&s, UINT64_MAX));
    mem_region_set_base(&rom, 0x1000);
    CHECK(mem_find(&s, 0x1000)->region == &rom);
    CHECK(mem_find(&s, 0x11000)->region == &ram && mem_find(&s, 0x11000)->offset == 0x11000);
    CHECK_EQ(s.flat_count, 3);
    mem_region_free(&rom);
    mem_region_free(&ram);
    CHECK_EQ(s.flat_count, 0);
    mem_region_remove(&io);
    mem_space_free(&s);
}

static void a_transaction_rebuilds_once(void)
{
    struct mem_region r[8];
    begin(1ull << 32);
    mem_transaction_begin(&s);
    mem_transaction_begin(&s);
    for (unsigned i = 0; i < 8; i++) {
        mem_region_init_io(&r[i], "r", 0x1000, &any_size, NULL);
        mem_region_add(&s, &r[i], i * 0x1000, 0);
    }
    mem_transaction_end(&s);
    CHECK_EQ(changes, 0);
    mem_transaction_end(&s);
    CHECK_EQ(changes, 1);
    CHECK_EQ(s.flat_count, 8);
    mem_space_free(&s);
}

static void regions_at_the_end_of_the_space_are_clipped(void)
{
    struct mem_region r;
    begin(1ull << 36);
    mem_region_init_io(&r, "bar", 1ull << 40, &any_size, NULL);
    mem_region_add(&s, &r, (1ull << 36) - 0x1000, 0);
    CHECK_EQ(s.flat_count, 1);
    CHECK_EQ(s.flat[0].last, (1ull << 36) - 1);
    mem_region_set_base(&r, UINT64_MAX - 0xfff);
    CHECK_EQ(s.flat_count, 0);
    mem_space_free(&s);
}

static void random_maps_agree_with_a_page_by_page_model(void)
{
    enum { PAGES = 64, REGIONS = 10 };
    struct mem_region r[REGIONS];
    srand(7);
    for (int round = 0; round < 2000; round++) {
        begin(PAGES * 4096);
        for (int i = 0; i < REGIONS; i++) {
            mem_region_init_io(&r[i], "r", (uint64_t)(1 + rand() % 16) * 4096, &any_size, NULL);
            mem_region_add(&s, &r[i], (uint64_t)(rand() % (PAGES + 4)) * 4096, rand() % 4);
            mem_region_set_enabled(&r[i], rand() % 4 != 0);
        }
        for (uint64_t p = 0; p < PAGES; p++) {
            struct mem_region *want = NULL;
            for (int i = 0; i < REGIONS; i++) {
                uint64_t page = r[i].base / 4096;
                if (r[i].enabled && p >= page && p < page + r[i].size / 4096 &&
                    (!want || r[i].priority >= want->priority))
                    want = &r[i];
            }
            const struct mem_range *f = mem_find(&s, p * 4096 + 5);
            CHECK((f ? f->region : NULL) == want);
            CHECK(!f || f->offset + (p * 4096 - f->first) == p * 4096 - want->base);
        }
        for (size_t i = 1; i < s.flat_count; i++)
            CHECK(s.flat[i].first > s.flat[i - 1].last);
        mem_space_free(&s);
    }
}

static void aliases_share_bytes_and_readonly_is_their_own(void)
{
    struct mem_region ram, low, shadow;
    begin(1ull << 32);
    CHECK(mem_region_init_ram(&ram, "ram", MB, NULL));
    mem_region_init_alias(&low, "low", &ram, 0, 640 * KB);
    mem_region_init_alias(&shadow, "shadow", &ram, 0xf0000, 64 * KB);
    mem_region_add(&s, &low, 0, 0);
    mem_region_add(&s, &shadow, 0xf0000, 0);
    CHECK(shadow.code_chunks == ram.code_chunks + 0xf0);
    mem_write(&s, 0xf0010, 0x12345678, 4);
    CHECK_EQ(ram.host[0xf0010], 0x78);
    mem_region_set_readonly(&shadow, true);
    mem_write(&s, 0xf0010, 0, 4);
    dma_write32(&s, 0xf0010, 0);
    CHECK_EQ(mem_read(&s, 0xf0010, 4), 0x12345678);
    mem_write_rom(&s, 0xf0010, "\1\2\3\4", 4);
    CHECK_EQ(dma_read32(&s, 0xf0010), 0x04030201);
    mem_region_set_readonly(&shadow, false);
    mem_write(&s, 0xf0011, 0xaa, 1);
    CHECK_EQ(mem_read(&s, 0xf0010, 8), 0x0403aa01);
    mem_space_free(&s);
    mem_region_free(&ram);
}

static void accesses_are_split_and_widened_to_what_the_device_takes(void)
{
    struct mem_region a, b, c;
    begin(1ull << 32);
    mem_region_init_io(&a, "only32", 0x1000, &only_32, NULL);
    mem_region_init_io(&b, "only8", 0x1000, &only_8, NULL);
    mem_region_init_io(&c, "any", 0x1000, &any_size, NULL);
    mem_region_add(&s, &a, 0x1000, 0);
    mem_region_add(&s, &b, 0x2000, 0);
    mem_region_add(&s, &c, 0x3000, 0);
    memset(&last, 0, sizeof last);
    CHECK_EQ(mem_read(&s, 0x1006, 2), 0x4444);
    CHECK_EQ(last.offset, 4);
    CHECK_EQ(last.size, 4);
    CHECK_EQ(mem_read(&s, 0x1008, 8), 0xcccccccc88888888ull);
    mem_write(&s, 0x1005, 0xab, 1);
    CHECK_EQ(last.offset, 4);
    CHECK_EQ(last.value, 0xab00);
    last.writes = 0;
    mem_write(&s, 0x2004, 0x11223344, 4);
    CHECK_EQ(last.writes, 4);
    CHECK_EQ(last.offset, 7);
    CHECK_EQ(last.value, 0x11);
    CHECK_EQ(mem_read(&s, 0x2002, 2), 0x3322);
    mem_write(&s, 0x3008, 0x1122334455667788ull, 8);
    CHECK_EQ(last.size, 8);
    CHECK_EQ(last.value, 0x1122334455667788ull);
    /* across the border of two devices, and off the end into nothing */
    last.writes = 0;
    mem_write(&s, 0x1ffe, 0x11223344, 4);
    CHECK_EQ(last.writes, 3);
    CHECK_EQ(mem_read(&s, 0x3ffe, 4) >> 16, 0xffff);
    mem_space_free(&s);
}

static void a_register_decodes_by_its_first_address(void)
{
    struct mem_region wide, inner;
    begin(0x10000);
    mem_region_init_io(&wide, "cf8", 4, &any_size, NULL);
    mem_region_init_io(&inner, "cf9", 1, &only_8, NULL);
    mem_region_add(&s, &wide, 0xcf8, 0);
    mem_region_add(&s, &inner, 0xcf9, 1);
    mem_write(&s, 0xcf8, 0x80001234, 4);
    CHECK_EQ(last.size, 4);
    CHECK_EQ(last.value, 0x80001234);
    mem_write(&s, 0xcf9, 6, 1);
    CHECK_EQ(last.offset, 0);
    CHECK_EQ(last.size, 1);
    mem_space_free(&s);
}

static void ports_beyond_32_bits_are_split(void)
{
    struct mem_region a;
    begin(0x10000);
    mem_region_init_io(&a, "ports", 8, &any_size, NULL);
    mem_region_add(&s, &a, 0xfff8, 0);
    last.writes = 0;
    mem_write(&s, 0xfff8, 0, 8);
    CHECK_EQ(last.writes, 2);
    CHECK_EQ(last.size, 4);
    CHECK_EQ(mem_read(&s, 0xffff, 2), 0xff77);
    CHECK_EQ(mem_read(&s, 0x80, 4), 0xffffffff);
    mem_space_free(&s);
}

static void bulk_access_crosses_ranges_and_holes(void)
{
    struct mem_region a, b, io;
    uint8_t buf[0x4000];
    begin(1ull << 32);
    CHECK(mem_region_init_ram(&a, "a", 0x1000, NULL));
    CHECK(mem_region_init_ram(&b, "b", 0x1000, NULL));
    mem_region_init_io(&io, "io", 16, &any_size, NULL);
    mem_region_add(&s, &a, 0x1000, 0);
    mem_region_add(&s, &b, 0x3000, 0);
    mem_region_add(&s, &io, 0x4000, 0);
    memset(buf, 0x5a, sizeof buf);
    last.writes = 0;
    dma_write(&s, 0x1800, buf, 0x2810);
    CHECK_EQ(last.writes, 2);
    CHECK_EQ(last.size, 8);
    CHECK_EQ(a.host[0x7ff], 0);
    CHECK_EQ(a.host[0x800], 0x5a);
    CHECK_EQ(b.host[0xfff], 0x5a);
    memset(buf, 0, sizeof buf);
    dma_read(&s, 0x1ffe, buf, 0x1004);
    CHECK_EQ(buf[1], 0x5a);
    CHECK_EQ(buf[2], 0xff);
    CHECK_EQ(buf[0x1001], 0xff);
    CHECK_EQ(buf[0x1002], 0x5a);
    dma_read(&s, UINT64_MAX - 1, buf, 4); /* wraps, touches nothing */
    CHECK_EQ(buf[3], 0xff);
    dma_write64(&s, 0x3ff8, 0x0102030405060708ull);
    CHECK_EQ(dma_read16(&s, 0x3ff8), 0x0708);
    mem_space_free(&s);
    mem_region_free(&a);
    mem_region_free(&b);
}

static unsigned depth, deepest;

static void recursive_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (depth < 100)
        dma_write(&s, 0x1000, "12345678", 8);
    depth--;
}

static void a_device_that_dmas_to_itself_is_stopped(void)
{
    static const struct mem_ops ops = { .write = recursive_write };
    struct mem_region io;
    begin(1ull << 32);
    mem_region_init_io(&io, "doorbell", 16, &ops, NULL);
    mem_region_add(&s, &io, 0x1000, 0);
    mem_write(&s, 0x1000, 1, 4);
    CHECK(deepest > 1 && deepest < 10);
    CHECK_EQ(s.dma_depth, 0);
    mem_space_free(&s);
}

static void dirty_pages_are_seen_through_an_alias(void)
{
    struct mem_region vram, window;
    begin(1ull << 32);
    CHECK(mem_region_init_ram(&vram, "vram", MB, NULL));
    CHECK(mem_region_track_dirty(&vram));
    mem_region_init_alias(&window, "window", &vram, 0x3000, 0x10000);
    mem_region_add(&s, &vram, 0xe0000000, 0);
    mem_region_add(&s, &window, 0xa0000, 0);
    CHECK(!mem_region_test_clear_dirty(&vram, 0, MB));
    mem_write(&s, 0xa1fff, 1, 1);
    CHECK(mem_region_test_clear_dirty(&vram, 0x4000, 1));
    CHECK(!mem_region_test_clear_dirty(&vram, 0, MB));
    dma_write(&s, 0xe0000fff, "xy", 2);
    CHECK(mem_region_test_clear_dirty(&vram, 0, 1));
    CHECK(mem_region_test_clear_dirty(&vram, 0x1000, 1));
    CHECK(!mem_region_test_clear_dirty(&vram, 0, UINT64_MAX));
    mem_space_free(&s);
    mem_region_free(&window);
    mem_region_free(&vram);
}

int main(void)
{
    RUN(higher_priority_wins_and_gaps_show_what_is_below);
    RUN(a_transaction_rebuilds_once);
    RUN(regions_at_the_end_of_the_space_are_clipped);
    RUN(random_maps_agree_with_a_page_by_page_model);
    RUN(aliases_share_bytes_and_readonly_is_their_own);
    RUN(accesses_are_split_and_widened_to_what_the_device_takes);
    RUN(a_register_decodes_by_its_first_address);
    RUN(ports_beyond_32_bits_are_split);
    RUN(bulk_access_crosses_ranges_and_holes);
    RUN(a_device_that_dmas_to_itself_is_stopped);
    RUN(dirty_pages_are_seen_through_an_alias);
    return test_done();
}
