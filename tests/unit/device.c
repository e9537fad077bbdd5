/*
 * Devices by table: properties from text, reset, saved state.
 */
#include "hw/device.h"

#include <stdlib.h>

#include "clock.h"
#include "machine.h"
#include "test.h"

struct gadget {
    struct device dev;
    bool flag, option;
    uint8_t regs[4];
    uint16_t half;
    uint32_t words[2], number;
    uint64_t wide, size;
    int64_t when;
    uint8_t kept[3], mac[6];
    char *text;
    struct timer timer;
    int resets, loads, unrealized;
};

static const struct field fields[] = {
    FIELD_BOOL(struct gadget, flag, 1),
    FIELD_U8(struct gadget, regs, 0xa5),
    FIELD_U16(struct gadget, half, 0x1234),
    FIELD_U32(struct gadget, words, 7),
    FIELD_U64(struct gadget, wide, ~0ull),
    FIELD_I64(struct gadget, when, (uint64_t)-1),
    FIELD_KEEP_BYTES(struct gadget, kept),
    FIELD_TIMER(struct gadget, timer),
    FIELD_END,
};

static const struct prop props[] = {
    { "option", PROP_BOOL, offsetof(struct gadget, option), "on", "a switch" },
    { "number", PROP_U32, offsetof(struct gadget, number), "0x10", "a number" },
    { "size", PROP_SIZE, offsetof(struct gadget, size), "64M", "a size" },
    { "text", PROP_STRING, offsetof(struct gadget, text), "abc", "a text" },
    { "mac", PROP_MAC, offsetof(struct gadget, mac), "52:54:00:12:34:56", "an address" },
    { "drive", PROP_DRIVE, offsetof(struct gadget, when), NULL, "a drive" },
    PROP_END,
};

static struct machine m;
static bool refuse;

static void expired(void *opaque)
{
}

static bool realize(struct device *d, struct error *err)
{
    timer_init(&((struct gadget *)d)->timer, &m.clock, expired, d);
    return !refuse || error_set(err, "gadget: refused");
}

static int unrealized;

static void unrealize(struct device *d)
{
    unrealized++;
}

static void reset(struct device *d)
{
    ((struct gadget *)d)->resets++;
}

static void post_load(struct device *d)
{
    ((struct gadget *)d)->loads++;
}

static const struct device_class gadget_class = {
    .name = "gadget",
    .size = sizeof(struct gadget),
    .fields = fields,
    .props = props,
    .realize = realize,
    .unrealize = unrealize,
    .reset = reset,
    .post_load = post_load,
};

static struct gadget *make(void)
{
    memset(&m, 0, sizeof m);
    clock_init(&m.clock);
    m.clock.icount_shift = 0;
    return (struct gadget *)device_new(&m, &gadget_class);
}

static void drop(struct gadget *g)
{
    m.devices = NULL;
    device_free(&g->dev);
    clock_free(&m.clock);
}

static void properties_have_defaults_and_checks(void)
{
    struct error err = { "" };
    struct gadget *g = make();
    CHECK(g && g->option && g->number == 16 && g->size == 64 << 20);
    CHECK_STR(g->text, "abc");
    CHECK(g->mac[0] == 0x52 && g->mac[5] == 0x56);
    CHECK(device_set_prop(&g->dev, "option", "off", &err) && !g->option);
    CHECK(device_set_prop(&g->dev, "text", "longer text", &err));
    CHECK_STR(g->text, "longer text");
    CHECK(device_set_prop(&g->dev, "mac", "00-11-22-aa-bb-cc", &err) && g->mac[5] == 0xcc);
    static const char *const bad[][3] = {
        { "option", "maybe", "device 'gadget': property 'option': 'maybe' is not 'on' or 'off'" },
        { "number", "4294967296",
          "device 'gadget': property 'number': '4294967296' is not a number of up to 32 bits" },
        { "number", "-1",
          "device 'gadget': property 'number': '-1' is not a number of up to 32 bits" },
        { "number", "", "device 'gadget': property 'number': '' is not a number of up to 32 bits" },
        { "size", "64Q", "device 'gadget': property 'size': '64Q' is not a size such as 64M" },
        { "mac", "52:54:00:12:34",
          "device 'gadget': property 'mac': '52:54:00:12:34' is not a MAC address such as "
          "52:54:00:12:34:56" },
        { "mac", "52:54:00:12:34:56:78",
          "device 'gadget': property 'mac': '52:54:00:12:34:56:78' is not a MAC address such as "
          "52:54:00:12:34:56" },
        { "drive", "d9", "device 'gadget': property 'drive': 'd9' is not the id of a -drive" },
        { "colour", "red", "device 'gadget': there is no property 'colour'" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!device_set_prop(&g->dev, bad[i][0], bad[i][1], &err));
        CHECK_STR(err.msg, bad[i][2]);
    }
    drop(g);
}

static void reset_follows_the_table(void)
{
    struct gadget *g = make();
    g->kept[1] = 9;
    CHECK(device_realize(&g->dev, NULL));
    CHECK(m.devices == &g->dev && g->resets == 1);
    CHECK(g->flag && g->regs[0] == 0xa5 && g->regs[3] == 0xa5 && g->half == 0x1234);
    CHECK(g->words[1] == 7 && g->wide == ~0ull && g->when == -1 && g->kept[1] == 9);
    timer_mod(&g->timer, 500);
    g->regs[2] = 0;
    device_reset(&g->dev);
    CHECK(!timer_pending(&g->timer) && g->regs[2] == 0xa5 && g->resets == 2);
    timer_mod(&g->timer, 500);
    drop(g); /* takes the pending timer with it */
    CHECK_EQ(unrealized, 1);
}

static void saved_state_comes_back(void)
{
    struct error err = { "" };
    uint8_t buf[256];
    struct gadget *g = make();
    CHECK(device_realize(&g->dev, NULL));
    g->flag = false;
    g->regs[1] = 0x11;
    g->words[0] = 0xdeadbeef;
    g->when = -12345;
    g->kept[2] = 3;
    timer_mod(&g->timer, 777);
    size_t n = device_save(&g->dev, buf, sizeof buf);
    CHECK_EQ(n, 1 + 4 + 2 + 8 + 8 + 8 + 3 + 8);
    CHECK_EQ(device_save(&g->dev, buf, 0), n);
    g->kept[2] = 0;
    device_reset(&g->dev);
    CHECK(!device_load(&g->dev, buf, n - 1, &err));
    CHECK(device_load(&g->dev, buf, n, &err));
    CHECK(!g->flag && g->regs[1] == 0x11 && g->words[0] == 0xdeadbeef && g->when == -12345);
    CHECK(g->kept[2] == 3 && timer_pending(&g->timer) && g->timer.expire_ns == 777);
    CHECK_EQ(g->loads, 1);
    drop(g);
}

static void a_device_that_cannot_be_realized_is_gone(void)
{
    struct error err = { "" };
    struct gadget *g = make();
    refuse = true;
    CHECK(!device_realize(&g->dev, &err));
    CHECK_STR(err.msg, "gadget: refused");
    CHECK(!m.devices);
    refuse = false;
    clock_free(&m.clock);
}

static void aliases_name_a_class_and_a_property_of_it(void)
{
    static const char *const names[][2] = {
        { "virtio-serial", "virtio-serial-pci" },
        { "virtio-blk", "virtio-blk-pci" },
        { "virtio-rng-pci-transitional", "virtio-rng-pci" },
        { "virtio-blk-pci-non-transitional", "virtio-blk-pci" },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct device_class *cls = device_class_find(names[i][0]);
        CHECK(cls);
        CHECK_STR(cls->name, names[i][1]);
    }
    for (const struct device_alias *a = device_aliases; a->name; a++) {
        struct device *d = device_new(&m, a->cls);
        struct error err = { "" };
        CHECK(d && (!a->prop || device_set_prop(d, a->prop, a->value, &err)));
        device_free(d);
    }
    CHECK(!device_class_find("virtio"));
}

int main(void)
{
    RUN(properties_have_defaults_and_checks);
    RUN(reset_follows_the_table);
    RUN(saved_state_comes_back);
    RUN(aliases_name_a_class_and_a_property_of_it);
    RUN(a_device_that_cannot_be_realized_is_gone);
    return test_done();
}
