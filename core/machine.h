/*
 * The machine: everything one PC consists of, its run states and the slice that the host's loop
 * calls.
 *
 * machine_new() builds the PC from parsed options (pc.c wires it). machine_run_slice() runs timers,
 * bottom halves and the CPUs for a bounded time and says how long the host may sleep. Requests
 * (reset, shutdown, stop) may come from anywhere, a device callback included; they take effect
 * between slices.
 */
#ifndef SLIPWAY_MACHINE_H
#define SLIPWAY_MACHINE_H

#include "clock.h"
#include "cpu/cpu.h"
#include "hw/device.h"
#include "hw/irq.h"
#include "memory.h"
#include "options.h"

struct pci_bus;
struct display;
struct input;
struct chardev;
struct monitor;
struct fw_cfg;
struct pc;
struct i8259;
struct ioapic;
struct net;

enum run_state { RUN_STATE_RUNNING, RUN_STATE_PAUSED, RUN_STATE_SHUTDOWN, RUN_STATE_PRELAUNCH };
enum shutdown_cause {
    SHUTDOWN_NONE,
    SHUTDOWN_GUEST,
    SHUTDOWN_HOST_QMP_QUIT,
    SHUTDOWN_HOST_UI,
    SHUTDOWN_HOST_SIGNAL,
    SHUTDOWN_GUEST_RESET,
    SHUTDOWN_GUEST_PANIC,
    SHUTDOWN_DEBUG_EXIT,
    SHUTDOWN_HOST_QMP_SYSTEM_RESET
};

enum machine_event {
    EVENT_SHUTDOWN,
    EVENT_RESET,
    EVENT_STOP,
    EVENT_RESUME,
    EVENT_POWERDOWN,
    EVENT_SUSPEND,
    EVENT_WAKEUP,
    EVENT_DEVICE_DELETED
};
struct machine_listener {
    void (*event)(void *opaque, enum machine_event e, enum shutdown_cause cause);
    void *opaque;
    struct machine_listener *next;
};

/* A -drive: its back end and whether a device has it yet. */
struct blk;
struct drive {
    const struct drive_option *opt;
    struct blk *blk; /* NULL: no medium */
    char *name;      /* its id, or what QEMU calls it: "ide1-cd0", "floppy0" */
    char *file;      /* the medium's; NULL: none */
    int unit;        /* at its controller */
    bool used;
    struct drive *next;
};

struct deferred; /* machine.c */

#define MAX_CPUS 1

struct machine {
    struct machine_options *opt; /* the caller's */
    struct mem_space mem, io;
    struct mem_region ram; /* all of guest RAM; seen through aliases */
    uint64_t ram_below_4g, ram_above_4g;
    struct clock clock;
    struct cpu *cpus[MAX_CPUS];
    int cpu_count;
    struct device *devices;
    struct pci_bus *pci;
    struct irq isa_irq[16]; /* to PIC and IOAPIC */
    struct i8259 *pic;
    struct ioapic *ioapic;
    struct fw_cfg *fw_cfg;
    struct pc *board;
    struct display *display;
    struct input *input;
    struct chardev *chardevs;   /* all, see char/char.h */
    struct monitor *monitors;   /* all, see monitor/monitor.h */
    struct snapshot *snapshots; /* by name, see snapshot.h */
    struct net *net;            /* clients, hubs and filters, see net/net_impl.h */

    enum run_state state;
    bool reset_requested, quit;
    bool suspended; /* S3: timers run, CPUs don't; no state of its own, as it can be stopped too */
    bool waking;    /* the reset that leads out of it is going on: RAM stays where it is */
    enum shutdown_cause shutdown_cause;
    int exit_status;
    struct machine_listener *listeners;

    /* Below: machine.c's own. */
    struct drive *drives;
    struct deferred *deferred, **deferred_end;
    void (*powerdown)(void *opaque);
    void *powerdown_opaque;
    void (*woken)(void *opaque);
    void *woken_opaque;
    bool (*resumes)(void *opaque);
    void *resumes_opaque;
    bool shutdown_requested, powerdown_requested, suspend_requested, wakeup_requested;
    const char *deleted_device; /* id, during EVENT_DEVICE_DELETED; may be NULL */
    enum shutdown_cause requested_cause, reset_cause;
    int requested_status;
    int64_t insns_per_ms;                /* speed of the CPU lately, for the length of slices */
    int64_t measured_insns, measured_ns; /* not yet in it */
};

struct machine *machine_new(struct machine_options *opt, struct error *err);
void machine_free(struct machine *m);
/* Runs for at most about @max_ns of host time. Returns ns until there is something to do again: 0 =
 * at once, INT64_MAX = only an outside event can change anything. */
int64_t machine_run_slice(struct machine *m, int64_t max_ns);
void machine_start(struct machine *m); /* cont */
void machine_stop(struct machine *m);
void machine_reset(struct machine *m); /* now; from the loop only */
void machine_request_reset(struct machine *m, enum shutdown_cause cause);
/* The chipset's soft resets (port 92h, keyboard controller, 0xcf9, shutdown of the processor):
 * INIT# where the guest means to go on afterwards (see machine_set_resume_test), a reset otherwise.
 */
void machine_request_soft_reset(struct machine *m);
/* Registered by the board: whether the firmware will return to the guest after INIT#. */
void machine_set_resume_test(struct machine *m, bool (*fn)(void *opaque), void *opaque);
/* Honours -no-shutdown (pauses instead), except for quit. */
void machine_request_shutdown(struct machine *m, enum shutdown_cause cause, int status);
void machine_request_powerdown(struct machine *m); /* ACPI power button */
/* To S3 (suspend to RAM): the CPU doesn't get to its next instruction. And out of it: all devices
 * and CPUs are reset, but RAM and what maps it stay, and the firmware resumes the guest. */
void machine_request_suspend(struct machine *m);
void machine_request_wakeup(struct machine *m);
/* Registered by the board: @fn is called between that reset and the first instruction. */
void machine_set_wakeup_handler(struct machine *m, void (*fn)(void *opaque), void *opaque);
void machine_listen(struct machine *m, struct machine_listener *l);
void machine_unlisten(struct machine *m, struct machine_listener *l);
/* Runs @fn once before the next instruction slice (bottom half). Any number may be pending. */
void machine_defer(struct machine *m, void (*fn)(void *opaque), void *opaque);
/* The same for who can wait: the CPU isn't stopped for it, but comes out by itself when it halts,
 * when a timer is due, after half a millisecond. Only from within a guest's access.
 * machine_hurry(): now it can't wait any longer. */
void machine_defer_lazily(struct machine *m, void (*fn)(void *opaque), void *opaque);
void machine_hurry(struct machine *m);
/* Forgets what machine_defer was asked to do with exactly this pair. */
void machine_cancel_deferred(struct machine *m, void (*fn)(void *opaque), void *opaque);
/* Runs what is pending now. The loop does that itself; for who needs the machine at rest. */
void machine_run_deferred(struct machine *m);
/* Registered by ACPI PM. */
void machine_set_powerdown_handler(struct machine *m, void (*fn)(void *opaque), void *opaque);
void machine_add_device(struct machine *m, struct device *d);
/* Takes @d off the list and frees it; not from within the guest's access to it. */
void machine_remove_device(struct machine *m, struct device *d);
/* pc_devices.c: device_add ("e1000,netdev=n0"; or as parsed: freed then) and device_del while the
 * machine is there. Only PCI devices can come and go; one goes when the guest has let go of it. */
bool machine_device_add(struct machine *m, const char *arg, struct error *err);
bool machine_device_add_keyval(struct machine *m, struct keyval *args, struct error *err);
bool machine_device_del(struct machine *m, const char *id, struct error *err);
struct device *machine_find_device(struct machine *m, const char *id);
/* The whole file, malloc'd. "/x: No such file or directory" otherwise. */
uint8_t *machine_read_file(const char *path, size_t *size, struct error *err);
/* A firmware file ("bios-256k.bin"), malloc'd: looked for in the directories of -L, then where
 * Debian puts such files and in `share` beside the program, then as a path. */
uint8_t *machine_load_file(struct machine *m, const char *name, size_t *size, struct error *err);

/* The -drive of this id, NULL if there is none. machine_add_drive: @blk belongs to the machine
 * then. */
struct drive *machine_find_drive(struct machine *m, const char *id);
struct drive *machine_add_drive(struct machine *m, const struct drive_option *opt, struct blk *blk);

/* pc_drives.c: takes the medium out of the CD or floppy drive of this name and, unless @file is
 * NULL, puts that image in. @mode: "retain" (as the -drive said), "read-only" or "read-write".
 * @force: also if the guest locked the tray. */
bool machine_change_medium(struct machine *m, const char *drive, const char *file,
                           const char *format, const char *mode, bool force, struct error *err);

/* pc.c: makes all on-board devices and those of -device. */
bool pc_build(struct machine *m, struct error *err);

#endif
