/*
 * The command line, parsed: QEMU's names and meanings. options.c owns one table that parses, prints -help and
 * generates the docs page. Values are checked as far as they can be without building the machine.
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

/* "key=value,key2=value2" after the first word, as QEMU writes option groups; commas in values doubled. */
struct keyval {
    char *key, *value;
    struct keyval *next;
};
struct device_option {
    char *driver, *id;
    struct keyval *props;
    struct device_option *next;
};
struct string_list {
    char *value;
    struct string_list *next;
};

struct machine_options {
    uint64_t ram_size;   /* bytes; default 128 MB */
    char *cpu;           /* default "qemu64" */
    int smp;
    char *bios;          /* default bios-256k.bin */
    struct string_list *search_path; /* -L, then the built-in ones */
    char *kernel, *initrd, *append;
    struct drive_option *drives;
    struct device_option *devices;
    struct string_list *serials;  /* specs, in order; "none" keeps a slot empty */
    struct string_list *chardevs; /* -chardev arguments */
    char *monitor;       /* spec or NULL */
    struct string_list *qmp;
    char *debugcon;
    char *boot_order;    /* "cad"... */
    bool boot_menu, boot_strict;
    char *vga;           /* std, none */
    char *display;       /* sdl, none */
    bool nographic;
    char *rtc_base;      /* utc, localtime, or a date */
    char *rtc_clock;
    bool no_reboot, no_shutdown, start_paused /* -S */, no_acpi, no_hpet;
    int icount_shift;    /* -1: off */
    char *accel;         /* interp; jit later */
};

/* Parses argv. false: @err holds the one line to print (exit 1). *exit_now: -help, -version done, exit 0. */
bool options_parse(struct machine_options *o, int argc, char **argv, bool *exit_now, struct error *err);
void options_free(struct machine_options *o);
/* "a,b=c" -> list; the first word without '=' goes to *first (may be NULL if not allowed). */
bool keyval_parse(const char *text, char **first, struct keyval **list, const char *what, struct error *err);
const char *keyval_get(const struct keyval *list, const char *key);
void keyval_free(struct keyval *list);
/* "512", "512M", "1G" (default unit @def_shift bits). */
bool parse_size(const char *text, unsigned def_shift, uint64_t *bytes);

#endif
