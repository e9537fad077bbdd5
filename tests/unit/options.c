/*
 * The command line: what good ones mean, that bad ones give one line which names the fault, and
 * that random ones don't break the parser.
 */
#include "options.h"

#include <stdlib.h>

#include "test.h"

#define MAX_ARGS 64

static struct machine_options o;
static struct error err;

/* Splits @line at spaces. */
static bool parse(const char *line, bool *exit_now)
{
    static char buf[1024];
    char *argv[MAX_ARGS] = { "slipway" };
    int argc = 1;
    snprintf(buf, sizeof buf, "%s", line);
    for (char *word = strtok(buf, " "); word && argc < MAX_ARGS; word = strtok(NULL, " "))
        argv[argc++] = word;
    err.msg[0] = 0;
    return options_parse(&o, argc, argv, exit_now, &err);
}

static bool good(const char *line)
{
    bool exit_now;
    options_free(&o);
    bool ok = parse(line, &exit_now);
    if (!ok)
        printf("%s: %s\n", line, err.msg);
    return ok && !exit_now;
}

static void sizes_are_read_as_qemu_reads_them(void)
{
    static const struct {
        const char *line;
        uint64_t mib;
    } cases[] = { { "", 128 },
                  { "-m 256", 256 },
                  { "-m 1G", 1024 },
                  { "-m size=512", 512 },
                  { "-m size=1.5G", 1536 },
                  { "-m 65536K", 64 },
                  { "--m 2g", 2048 },
                  { "-m 0x10", 16 },
                  { "-m 33554432b", 32 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(good(cases[i].line));
        CHECK_EQ(o.ram_size, cases[i].mib << 20);
    }
}

static void drives_find_their_places(void)
{
    CHECK(good("a.img -hdb b,c -cdrom x.iso -fda f -drive "
               "file=a,,b.img,if=virtio,id=v,snapshot=on,format=raw"));
    const struct drive_option *d = o.drives;
    CHECK_STR(d->file, "a.img");
    CHECK_EQ(d->index, 0);
    d = d->next;
    CHECK_STR(d->file, "b,c");
    CHECK_EQ(d->index, 1);
    d = d->next;
    CHECK(d->cdrom && d->readonly);
    CHECK_EQ(d->index, 2);
    d = d->next;
    CHECK_EQ(d->iface, DRIVE_FLOPPY);
    d = d->next;
    CHECK_EQ(d->iface, DRIVE_VIRTIO);
    CHECK_STR(d->file, "a,b.img");
    CHECK(d->snapshot);
    CHECK(good("-drive file=x,bus=1,unit=1 -drive media=cdrom"));
    CHECK_EQ(o.drives->index, 3);
    CHECK_EQ(o.drives->next->index, -1);
    CHECK(good("-drive file=x -snapshot"));
    CHECK(o.drives->snapshot);
}

static void nographic_puts_serial_and_monitor_on_the_terminal(void)
{
    CHECK(good("-nographic"));
    CHECK_STR(o.serials->value, "mon:stdio");
    CHECK(!o.monitors);
    CHECK_STR(o.display, "none");
    CHECK(good("-nographic -serial null"));
    CHECK_STR(o.monitors->value, "stdio");
    CHECK(good("-nographic -monitor none"));
    CHECK_STR(o.serials->value, "stdio");
    CHECK(!o.monitors);
    CHECK(good("-nographic -qmp unix:x,server=on,wait=off"));
    CHECK_STR(o.serials->value, "stdio");
    CHECK(good("-nographic -nodefaults"));
    CHECK(!o.serials && !o.monitors);
    CHECK(good("-display none"));
    CHECK_STR(o.serials->value, "null");
    CHECK(good("-chardev stdio,id=a,mux=on -serial chardev:a -mon a -mon "
               "chardev=a,mode=control,pretty=on"));
    CHECK_STR(o.monitors->value, "chardev:a");
    CHECK_STR(o.qmp->value, "pretty:chardev:a");
}

static void groups_are_taken_apart(void)
{
    CHECK(good("-boot d"));
    CHECK_STR(o.boot_order, "d");
    CHECK(good("-boot order=cad,once=n,menu=on,strict=off,reboot-timeout=100"));
    CHECK_STR(o.boot_order, "cad");
    CHECK_STR(o.boot_once, "n");
    CHECK(o.boot_menu && !o.boot_strict);
    CHECK_EQ(o.boot_reboot_timeout, 100);
    CHECK(good("-device virtio-blk-pci,drive=d0,id=x,bootindex=1,nofoo,bar"));
    CHECK_STR(o.devices->driver, "virtio-blk-pci");
    CHECK_STR(o.devices->id, "x");
    CHECK_STR(keyval_get(o.devices->props, "drive"), "d0");
    CHECK_STR(keyval_get(o.devices->props, "foo"), "off");
    CHECK_STR(keyval_get(o.devices->props, "bar"), "on");
    CHECK(!keyval_get(o.devices->props, "id"));
    CHECK(
        good("-M pc,accel=tcg,hpet=off -cpu qemu64,+avx,-sse3 -smp 1 -icount shift=3,sleep=on -rtc "
             "base=2006-06-17T16:01:21,clock=vm -uuid 550E8400-e29b-41d4-a716-446655440000 -name "
             "guest=x -no-reboot "
             "-no-shutdown -S -no-acpi -vga none -nic none -net none -L /x -kernel k -initrd i "
             "-append a=b"));
    CHECK(o.no_hpet && o.no_acpi && o.no_reboot && o.no_shutdown && o.start_paused);
    CHECK_EQ(o.icount_shift, 3);
    CHECK_STR(o.uuid, "550e8400-e29b-41d4-a716-446655440000");
    CHECK_STR(o.search_path->value, "/x");
    CHECK_STR(o.cpu, "qemu64,+avx,-sse3");
    CHECK(good("-action reboot=shutdown,shutdown=pause"));
    CHECK(o.no_reboot && o.no_shutdown);
}

static void bad_ones_name_the_fault(void)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        { "-foo", "-foo: unknown option" },
        { "-m", "-m: its value is missing" },
        { "-m 0", "too little" },
        { "-m 99Q", "not a size" },
        { "-m -5", "not a size" },
        { "-m 99999999999999999999", "not a size" },
        { "-m 16E", "not a size" },
        { "-m 9000000G", "too much" },
        { "-m 1,slots=2", "'slots'" },
        { "-smp 2", "only one CPU" },
        { "-smp cpus=x", "only one CPU" },
        { "-M q35", "'q35'" },
        { "-M pc,foo=on", "'foo'" },
        { "-accel kvm", "'kvm'" },
        { "-vga cirrus", "'cirrus'" },
        { "-display gtk", "'gtk'" },
        { "-boot x", "'x'" },
        { "-boot cc", "twice" },
        { "-boot menu=maybe", "menu=maybe" },
        { "-drive if=scsi,file=x", "if=scsi" },
        { "-drive format=qcow2,file=x", "format=qcow2" },
        { "-drive file=x,foo=y", "'foo'" },
        { "-drive if=ide", "file= is missing" },
        { "-drive file=a,index=9", "index 9" },
        { "-drive file=a,index=0,unit=0", "index=" },
        { "-drive file=a,cache=maybe", "cache=maybe" },
        { "-drive file=a,id=x -drive file=b,id=x", "'x'" },
        { "-hda a -hda b", "index 0" },
        { "a b", "b: there is a disk image already" },
        { "-append x", "-kernel" },
        { "-initrd x", "-kernel" },
        { "-rtc base=2006-13-01", "base=2006-13-01" },
        { "-rtc clock=sun", "clock=sun" },
        { "-uuid 1234", "not a UUID" },
        { "-icount shift=auto", "shift" },
        { "-icount 11", "shift" },
        { "-net foo", "-net foo: Parameter 'type' does not accept value 'foo'" },
        { "-nic hubport", "Parameter 'hubid' is missing" },
        { "-nic hubport,hubid=1,mac=1:2", "invalid syntax for ethernet address '1:2'" },
        { "-nic hubport,hubid=1,mac=01:00:00:00:00:00", "multicast" },
        { "-net hubport,hubid=1", "only supported with -netdev/-nic" },
        { "-net nic,foo=1", "Invalid parameter 'foo'" },
        { "-net none,foo=1", "Invalid parameter 'foo'" },
        { "-netdev id=x", "Parameter 'type' is missing" },
        { "-netdev hubport", "Parameter 'id' is missing" },
        { "-netdev hubport,id=9", "Parameter 'id' expects an identifier" },
        { "-netdev hubport,id=x,hubid=x", "Parameter 'hubid' expects a number" },
        { "-netdev hubport,id=x,hubid=1,x=y", "Invalid parameter 'x'" },
        { "-netdev {\"type\":\"hubport\",\"id\":3", "-netdev {" },
        { "-netdev {\"type\":{\"a\":null}}", "'type.a'" },
        { "-d foo", "'foo'" },
        { "-D /nonexistent/x", "/nonexistent/x" },
        { "-serial null -serial null -serial null -serial null -serial null", "4 serial ports" },
        { "-device id=x", "no device" },
        { "-device a,id=x -device b,id=x", "'x'" },
        { "-device =x", "name is missing" },
        { "-mon mode=control", "chardev= is missing" },
        { "-mon a,mode=x", "mode=x" },
        { "-action panic=none", "'panic'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool exit_now;
        options_free(&o);
        if (parse(cases[i].line, &exit_now) || !strstr(err.msg, cases[i].part) ||
            strchr(err.msg, '\n'))
            TEST_FAIL_("'%s' gives '%s'", cases[i].line, err.msg);
    }
}

static void random_ones_are_harmless(void)
{
    static const char *const words[] = {
        "-m",     "-drive", "-device", "-boot",   "-rtc",   "-smp", "-chardev", "-serial", "-hda",
        "-name",  "-uuid",  "-M",      "=",       ",",      ",,",   "on",       "no",      "file=",
        "index=", "if=ide", "id=x",    "size=",   "1G",     "9999", "x",        "\xff",    "help=",
        "shift=", "-mon",   "-icount", "-netdev", "-nic",   "-net", "hubport",  "nic",     "{\"",
        "}",      "hubid=", "model=",  "mac=",    "netdev="
    };
    static uint32_t x = 1;
    for (int i = 0; i < 50000; i++) {
        char line[512] = "";
        int parts = 1 + (int)(x >> 8) % 12;
        for (int k = 0; k < parts; k++) {
            x = x * 1664525u + 1013904223u;
            const char *w = words[(x >> 8) % (sizeof words / sizeof words[0])];
            strcat(line, w[0] == '-' && k ? " " : "");
            strcat(line, w);
            strcat(line, w[0] == '-' ? " " : "");
        }
        bool exit_now;
        options_free(&o);
        parse(line, &exit_now);
    }
    options_free(&o);
}

int main(void)
{
    options_init(&o);
    RUN(sizes_are_read_as_qemu_reads_them);
    RUN(drives_find_their_places);
    RUN(nographic_puts_serial_and_monitor_on_the_terminal);
    RUN(groups_are_taken_apart);
    RUN(bad_ones_name_the_fault);
    RUN(random_ones_are_harmless);
    return test_done();
}
