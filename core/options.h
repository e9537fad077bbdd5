/*
 * The command line, parsed: QEMU's names and meanings. options.c owns one table that parses, prints
 * -help and generates the docs page. Values are checked as far as they can be without building the
 * machine.
 */
#ifndef SLIPWAY_OPTIONS_H
#define SLIPWAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum drive_if { DRIVE_IDE, DRIVE_FLOPPY, DRIVE_VIRTIO, DRIVE_NONE };

struct drive_option {
    char *id, *file, *format;
    enum drive_if iface;
    bool cdrom, readonly, snapshot;
    int index; /* -1: next free of its interface */
    int bootindex;
    struct drive_option *next;
};

/* "key=value,key2=value2" after the first word, as QEMU writes option groups; commas in values
 * doubled. */
struct keyval {
    char *key, *value;
    struct keyval *next;
};
struct device_option {
    char *driver, *id;
    struct keyval *props;
    struct device_option *next;
};
struct net_option;
struct audio_option;
struct string_list {
    char *value;
    struct string_list *next;
};

struct machine_options {
    uint64_t ram_size; /* bytes; default 128 MB */
    char *cpu;         /* default "qemu64" */
    int smp;
    char *bios;                      /* default bios-256k.bin */
    struct string_list *search_path; /* -L, then the built-in ones */
    char *kernel, *initrd, *append;
    struct drive_option *drives;
    struct device_option *devices;
    struct net_option *net;       /* -netdev, -nic, -net; see net/net.h */
    struct string_list *serials;  /* specs, in order; "none" keeps a slot empty */
    struct string_list *chardevs; /* -chardev arguments */
    struct string_list *monitors; /* specs of human monitors; empty: none */
    struct string_list *qmp;      /* specs of QMP monitors; "pretty:" before it: indented output */
    char *debugcon;
    char *boot_order; /* "cad"...; NULL: the default */
    char *boot_once;  /* order of the first boot only, or NULL */
    bool boot_menu, boot_strict;
    int boot_reboot_timeout; /* ms; -1: never */
    char *vga;               /* std, none */
    bool display_default;    /* nobody asked for this display */
    char *display;           /* sdl, none */
    bool nographic;
    struct audio_option *audiodevs; /* see audio/audio.h */
    char *pcspk_audiodev;           /* the speaker's, or NULL: it is silent */
    char *rtc_base;  /* utc, localtime, or a date (2006-06-17 or 2006-06-17T16:01:21) */
    char *rtc_clock; /* host, rt, vm */
    bool no_reboot, no_shutdown, start_paused /* -S */, no_acpi, no_hpet, no_vmport;
    int icount_shift;       /* -1: off */
    char *accel;            /* interp, or jit where it is available */
    uint32_t jit_threshold; /* instructions of a block run until it is translated */
    char *name;             /* -name: window title, query-name; may be NULL */
    char *loadvm;           /* file of a saved state to begin with, or NULL */
    char *incoming;         /* the same as "file:NAME", or "defer" */
    char *uuid;             /* canonical text, or NULL */
    bool nodefaults;        /* no default serial port, monitor, VGA, floppy and CD drives */
};

/* Parses argv. false: @err holds the one line to print (exit 1). *exit_now: -help, -version done,
 * exit 0. */
/* Fills the defaults; options_parse does it itself. */
void options_init(struct machine_options *o);
bool options_parse(struct machine_options *o, int argc, char **argv, bool *exit_now,
                   struct error *err);
void options_free(struct machine_options *o);
/* The reference page of all options (Markdown), from the same table, to stdout. */
void options_print_docs(void);
/* "a,b=c" -> list; the first word without '=' goes to *first (NULL: not allowed, it is a key like
 * the others). A later word without '=' is a switch: "x" means x=on, "nox" means x=off. ",," is a
 * comma in a value. @what: for messages. */
bool keyval_parse(const char *text, char **first, struct keyval **list, const char *what,
                  struct error *err);
/* Takes driver= and id= out of the properties of a device (the rest is the device's). False: no
 * driver. */
bool device_option_take(struct device_option *d);
/* Value of @key, NULL if absent; the last one wins if it was given twice. */
const char *keyval_get(const struct keyval *list, const char *key);
void keyval_free(struct keyval *list);
/* The first key that isn't in @allowed (NULL-terminated), or NULL. */
const char *keyval_unknown(const struct keyval *list, const char *const *allowed);
/* "on", "yes", "true", "y" and their opposites. */
bool parse_bool(const char *text, bool *value);
/* Decimal, or hexadecimal with 0x; nothing else around it. */
bool parse_u64(const char *text, uint64_t *value);
/* 36 characters of text to 16 bytes, in the order of the text. */
bool parse_uuid(const char *text, uint8_t out[16]);
/* Appends a copy of @value. */
void string_list_add(struct string_list **list, const char *value);
/* "512", "512M", "1G" (default unit @def_shift bits). */
bool parse_size(const char *text, unsigned def_shift, uint64_t *bytes);

#endif
