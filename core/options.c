/*
 * The command line. One table (below) is all there is to know about the options: it parses, prints
 * -help and prints the reference page in Markdown. An entry stores its value itself (a string or a
 * switch at an offset of struct machine_options) or calls a function of options_values.c.
 *
 * options_parse() goes through argv once; options_finish() then checks what needs the whole line
 * and fills the defaults that depend on other options. Options may be written with one or two
 * dashes, as in QEMU; a word that is no option is a disk image, as -hda.
 */
#include "options_impl.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit-wasm/jit.h"
#include "net/net.h"

struct option_def {
    const char *name;
    const char *arg;     /* how -help shows its value; NULL: takes none */
    const char *help;    /* lines after the first are indented in -help */
    option_fn *fn;       /* or: */
    size_t string, flag; /* offset of a char * / bool in struct machine_options */
};

#define STRING(name, arg, field, help)                                                             \
    {                                                                                              \
        name, arg, help, NULL, offsetof(struct machine_options, field), 0                          \
    }
#define FLAG(name, field, help)                                                                    \
    {                                                                                              \
        name, NULL, help, NULL, 0, offsetof(struct machine_options, field)                         \
    }
#define CALL(name, arg, fn, help)                                                                  \
    {                                                                                              \
        name, arg, help, fn, 0, 0                                                                  \
    }
#define SECTION(title)                                                                             \
    {                                                                                              \
        NULL, NULL, title, NULL, 0, 0                                                              \
    }

/* In place of an option: the kinds of -netdev, from their own tables. */
#define NETDEV_TYPES 1

static option_fn show_help, show_version, show_docs;

/* An entry with help NULL means the same as the entry before it. */
static const struct option_def table[] = {
    SECTION("Standard options"),
    CALL("h", NULL, show_help, "print this help and exit"),
    CALL("help", NULL, show_help, NULL),
    CALL("help-docs", NULL, show_docs,
         "print the reference page of the options (Markdown) and exit"),
    CALL("version", NULL, show_version, "print the version and exit"),
    CALL("machine", "[type=]pc[,prop=value...]", option_machine,
         "the machine: 'pc' (i440FX and PIIX3)\naccel=jit|interp: how guest code runs\n"
         "hpet=on|off, acpi=on|off, graphics=on|off\n"
         "vmport=on|off|auto: VMware's port with its absolute mouse (default: "
         "on)\npcspk-audiodev=ID: where the speaker is heard"),
    CALL("M", "pc", option_machine, NULL),
    CALL("cpu", "NAME[,+f][,-f]", option_cpu,
         "the CPU model, with features added and removed; '-cpu help' lists both"),
    CALL(
        "accel", "NAME[,threshold=N]", option_accel,
        "how guest code runs: jit (translated to WebAssembly after N instructions of a block; wasm "
        "builds,\n"
        "default there) or interp"),
    CALL("smp", "[cpus=]n", option_smp, "number of CPUs: 1"),
    CALL("m", "[size=]n[K|M|G]", option_memory,
         "size of guest memory, in megabytes without a unit (default 128)"),
    CALL("name", "STRING", option_name, "name of the guest: window title and query-name"),
    CALL("uuid", "UUID", option_uuid, "UUID of the machine"),
    CALL("boot", "[order=]drives[,once=drives][,menu=on|off]\n[,strict=on|off][,reboot-timeout=ms]",
         option_boot,
         "where to boot from: a, b floppy, c first disk, d first CD-ROM, n network;\n"
         "once= for the first boot only; menu=on shows the boot menu"),
    CALL("device", "driver[,id=ID][,prop=value...]", option_device,
         "add a device; '-device help' lists them, '-device NAME,help' its properties"),
    CALL("rtc", "[base=utc|localtime|DATE][,clock=host|rt|vm]", option_rtc,
         "the real-time clock's start and what drives it"),
    FLAG("nodefaults", nodefaults,
         "no default devices: serial port, monitor, VGA, network card, floppy and CD\ndrives"),
    CALL("no-user-config", NULL, option_ignore,
         "accepted for QEMU's sake: there are no configuration files"),

    SECTION("Block device options"),
    CALL("fda", "FILE", option_fd, "floppy disk 0 or 1 from FILE"),
    CALL("fdb", "FILE", option_fd, NULL),
    CALL("hda", "FILE", option_hd, "IDE hard disk 0 to 3 from FILE"),
    CALL("hdb", "FILE", option_hd, NULL),
    CALL("hdc", "FILE", option_hd, NULL),
    CALL("hdd", "FILE", option_hd, NULL),
    CALL("cdrom", "FILE", option_cdrom, "CD-ROM from FILE (IDE drive 2)"),
    CALL("drive",
         "[file=FILE][,format=raw][,if=ide|floppy|virtio|none]\n[,media=disk|cdrom][,id=ID][,index="
         "i]\n"
         "[,bus=b][,unit=u][,snapshot=on|off][,readonly=on|off]",
         option_drive, "a drive; if=none only names it, for -device ...,drive=ID"),
    CALL("snapshot", NULL, option_snapshot, "write to memory instead of the disk images"),

    SECTION("Display options"),
    CALL("display", "sdl|none", option_display,
         "show the screen in a window, or nowhere; without this option a\nmissing X or Wayland "
         "display is a warning, not an error"),
    CALL("nographic", NULL, option_nographic,
         "no window; serial port and monitor share the terminal (Ctrl-A h for help)"),
    CALL("vga", "std|none", option_vga, "the graphics card"),

    SECTION("Audio options"),
    CALL("audiodev", "none|wav|sdl,id=ID[,path=FILE][,out.frequency=HZ]", option_audiodev,
         "sound to nowhere, to a WAV file or to the host's (in a page: the page's)\nloudspeakers; "
         "-machine pcspk-audiodev=ID connects the speaker"),

    SECTION("Network options"),
    CALL("netdev", "TYPE,id=ID[,prop=value...]", option_net,
         "a network back end, for a NIC to be plugged into: -device NIC,netdev=ID;\n"
         "'-netdev help' lists the types, '-netdev TYPE,help' the properties"),
    CALL("nic", "TYPE[,model=NIC][,mac=MAC][,id=ID][,prop=value...]", option_net,
         "a NIC with a back end of that type; '-nic model=help' lists the NICs;\n"
         "without any network option '-nic user' is meant; '-nic none': no network card"),
    CALL("net",
         "nic[,model=NIC][,macaddr=MAC][,netdev=ID][,addr=A][,vectors=V]\n| TYPE[,prop=value...] | "
         "none",
         option_net, "the old way: a NIC, or a back end, on hub 0"),
    CALL("object", "TYPE,id=ID[,prop=value...]", option_net,
         "an object; '-object help' lists the types, '-object TYPE,help' the properties"),
    { NULL, NULL, NULL, NULL, 0, NETDEV_TYPES },

    SECTION("Character device options"),
    CALL("chardev", "BACKEND,id=ID[,mux=on|off][,logfile=FILE][,...]", option_chardev,
         "a character device for others to refer to as chardev:ID\n"
         "null\nstdio[,signal=on|off]\npty\nfile,path=FILE[,append=on|off]\n"
         "socket,path=PATH | host=HOST,port=PORT [,server=on|off][,wait=on|off]"),
    CALL("serial", "DEV", option_serial,
         "redirect the next serial port (up to 4) to DEV:\n"
         "null, none, stdio, mon:stdio, pty, file:FILE, tcp:HOST:PORT[,server=on][,wait=off],\n"
         "unix:PATH[,server=on][,wait=off], chardev:ID"),
    CALL("parallel", "none", option_parallel, "no parallel port"),
    CALL("monitor", "DEV", option_monitor, "the monitor on DEV ('none': no monitor)"),
    CALL("qmp", "DEV", option_qmp, "a QMP monitor on DEV"),
    CALL("qmp-pretty", "DEV", option_qmp_pretty, "the same, with indented output"),
    CALL("mon", "[chardev=]ID[,mode=readline|control][,pretty=on|off]", option_mon,
         "a monitor (readline) or QMP monitor (control) on -chardev ID"),
    STRING("debugcon", "DEV", debugcon, "what the guest writes to port 0xe9 goes to DEV"),

    SECTION("Boot image and firmware options"),
    STRING("bios", "FILE", bios, "the firmware image (default bios-256k.bin)"),
    CALL("L", "DIR", option_search_path, "where firmware is looked for first"),
    STRING("kernel", "FILE", kernel, "boot this Linux or multiboot kernel"),
    STRING("append", "TEXT", append, "the kernel's command line"),
    STRING("initrd", "FILE", initrd, "the kernel's initial ram disk, or multiboot modules"),

    SECTION("Debug and expert options"),
    STRING("loadvm", "FILE", loadvm,
           "begin with a state that 'savevm', 'migrate' or a page saved ('loadvm' in a monitor)"),
    STRING("incoming", "file:FILE|defer", incoming,
           "the same in other words; defer: wait for 'migrate_incoming' in a monitor"),
    FLAG("S", start_paused, "don't start the CPU: 'cont' in a monitor does"),
    FLAG("no-reboot", no_reboot, "exit instead of rebooting"),
    FLAG("no-shutdown", no_shutdown, "stop instead of exiting when the guest powers off"),
    CALL("action", "[reboot=reset|shutdown][,shutdown=poweroff|pause]", option_action,
         "the same, in one option"),
    FLAG("no-acpi", no_acpi, "no ACPI tables"),
    FLAG("no-hpet", no_hpet, "no HPET"),
    CALL("icount", "[shift=]N", option_icount,
         "deterministic time: each instruction takes 2^N ns (0 to 10)"),
    CALL("d", "item1[,...]", option_log, "log these things ('-d help' lists them)"),
    CALL("D", "FILE", option_log_file, "log to FILE instead of standard error"),
};

/* ---- the table as text ---- */

/* Prints @text with each further line indented; returns the column it ends in. */
static int print_lines(const char *text, int column, int indent)
{
    for (; *text; text++) {
        putchar(*text);
        column++;
        if (*text == '\n')
            column = printf("%*s", indent, "");
    }
    return column;
}

static bool show_help(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    printf("Slipway, a PC emulator, version %s\nusage: slipway [options] [disk_image]\n",
           SLIPWAY_VERSION);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct option_def *d = &table[i];
        if (d->flag == NETDEV_TYPES) {
            net_options_print_help();
            continue;
        }
        if (!d->name) {
            printf("\n%s:\n", d->help);
            continue;
        }
        int column = printf("-%s", d->name);
        if (d->arg) {
            putchar(' ');
            column = print_lines(d->arg, column + 1, 8);
        }
        if (d->help) {
            if (column > 22) {
                putchar('\n');
                column = 0;
            }
            printf("%*s", 24 - column, "");
            print_lines(d->help, 24, 24);
        }
        putchar('\n');
    }
    p->exit_now = true;
    return true;
}

static bool show_version(struct option_parser *p, const char *opt, const char *arg,
                         struct error *err)
{
    printf("Slipway version %s\n", SLIPWAY_VERSION);
    p->exit_now = true;
    return true;
}

/* Markdown: "|" and "<" would be markup. */
static void print_markdown(const char *text, const char *newline)
{
    for (; *text; text++) {
        if (*text == '\n')
            printf("%s", newline);
        else if (strchr("<*_", *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

void options_print_docs(void)
{
    printf("# Options\n\n`slipway [options] [disk_image]`. Names and meanings are QEMU's. This "
           "page is "
           "what `slipway -help-docs` prints.\n");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct option_def *d = &table[i];
        if (d->flag == NETDEV_TYPES) {
            net_options_print_docs();
            continue;
        }
        if (!d->name) {
            printf("\n## %s\n\n", d->help);
            continue;
        }
        printf("- `-%s", d->name);
        if (d->arg) {
            putchar(' ');
            for (const char *a = d->arg; *a; a++)
                if (*a != '\n')
                    putchar(*a);
        }
        printf("`");
        if (d->help) {
            printf(": ");
            print_markdown(d->help, "  \n  ");
        }
        putchar('\n');
    }
}

static bool show_docs(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    options_print_docs();
    p->exit_now = true;
    return true;
}

/* ---- parsing ---- */

static const struct option_def *find_option(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].name && !strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

static bool apply(struct option_parser *p, const struct option_def *d, const char *opt,
                  const char *arg, struct error *err)
{
    if (d->fn)
        return d->fn(p, opt, arg, err);
    if (d->flag)
        *(bool *)((char *)p->o + d->flag) = true;
    else
        option_set_string((char **)((char *)p->o + d->string), arg);
    return true;
}

void options_init(struct machine_options *o)
{
    memset(o, 0, sizeof *o);
    o->ram_size = 128ull << 20;
    o->smp = 1;
    o->boot_reboot_timeout = -1;
    o->icount_shift = -1;
    option_set_string(&o->cpu, "qemu64");
    option_set_string(&o->bios, "bios-256k.bin");
    option_set_string(&o->rtc_base, "utc");
    option_set_string(&o->rtc_clock, "host");
    option_set_string(&o->accel, jit_available() ? "jit" : "interp");
    o->jit_threshold = JIT_THRESHOLD;
}

bool options_parse(struct machine_options *o, int argc, char **argv, bool *exit_now,
                   struct error *err)
{
    struct option_parser p = { .o = o };
    bool image_given = false;
    *exit_now = false;
    options_init(o);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (word[0] != '-') {
            if (image_given)
                return error_set(err, "%s: there is a disk image already; options begin with '-'",
                                 word);
            image_given = true;
            if (!option_hd(&p, "-hda", word, err))
                return false;
            continue;
        }
        const struct option_def *d = find_option(word + 1 + (word[1] == '-'));
        if (!d)
            return error_set(err, "%s: unknown option (see -help)", word);
        const char *arg = NULL;
        if (d->arg) {
            if (++i == argc)
                return error_set(err, "%s: its value is missing", word);
            arg = argv[i];
        }
        if (!apply(&p, d, word, arg, err))
            return false;
        if (p.exit_now) {
            *exit_now = true;
            return true;
        }
    }
    return options_finish(&p, err);
}

static void free_strings(struct string_list *list)
{
    while (list) {
        struct string_list *next = list->next;
        free(list->value);
        free(list);
        list = next;
    }
}

void options_free(struct machine_options *o)
{
    char *strings[] = { o->cpu,       o->bios,     o->kernel,        o->initrd,   o->append,
                        o->debugcon,  o->vga,      o->display,       o->rtc_base, o->rtc_clock,
                        o->boot_once, o->name,     o->accel,         o->uuid,     o->boot_order,
                        o->loadvm,    o->incoming, o->pcspk_audiodev };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        free(strings[i]);
    free_strings(o->search_path);
    free_strings(o->serials);
    free_strings(o->chardevs);
    free_strings(o->monitors);
    free_strings(o->qmp);
    for (struct drive_option *d = o->drives, *next; d; d = next) {
        next = d->next;
        free(d->id);
        free(d->file);
        free(d->format);
        free(d);
    }
    net_options_free(o->net);
    options_audio_free(o->audiodevs);
    for (struct device_option *d = o->devices, *next; d; d = next) {
        next = d->next;
        free(d->driver);
        free(d->id);
        keyval_free(d->props);
        free(d);
    }
    memset(o, 0, sizeof *o);
}
