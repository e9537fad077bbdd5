/*
 * Inside of core/monitor: the struct of one monitor, and what HMP and QMP share.
 */
#ifndef SLIPWAY_MONITOR_IMPL_H
#define SLIPWAY_MONITOR_IMPL_H

#include "machine.h"
#include "monitor/json.h"
#include "monitor/monitor.h"
#include "monitor/text.h"

#define LINE_SIZE    4096
#define HISTORY_SIZE 64

/* The line editor of an HMP monitor. */
struct readline {
    char line[LINE_SIZE];
    size_t len, cursor;
    enum { RL_TEXT, RL_ESC, RL_CSI } state;
    int csi; /* number in an escape sequence */
    char *history[HISTORY_SIZE];
    int history_count, history_at;
};

struct monitor {
    struct monitor *next;
    struct machine *machine;
    struct chardev *chr;
    struct machine_listener listener; /* QMP: events */
    struct text out;                  /* what the chardev didn't take yet */
    bool hidden;                      /* a mux has its focus elsewhere: output waits */
    bool is_qmp;
    struct readline rl;
    struct json_stream json;
    bool negotiated, oob, pretty;
};

/* monitor.c */
void monitor_write(struct monitor *mon, const char *s, size_t len);
bool monitor_memory_save(struct machine *m, bool virtual, uint64_t addr, uint64_t size,
                         const char *path, struct error *err);
/* "running", "paused", "prelaunch", "shutdown" */
const char *monitor_status(const struct machine *m);
bool monitor_running(const struct machine *m);
bool monitor_wakeup(struct machine *m, struct error *err); /* from S3 */
bool monitor_cont(struct machine *m, struct error *err);
bool monitor_screendump(struct machine *m, const char *path, const char *format, struct error *err);
bool monitor_send_key(struct machine *m, const char *keys, int hold_ms, struct error *err);

/* jit_info.c */
void jit_info_print(const struct machine *m, struct text *out); /* for people */
void jit_info_json(const struct machine *m, struct text *out);  /* an object */

/* hmp.c: runs one line; what it prints (with plain \n) goes to @out. */
void hmp_execute(struct machine *m, const char *line, struct text *out);
/* What @err says, unless a command's work was done (@ok). */
void hmp_say(struct text *out, bool ok, const struct error *err);
/* readline.c */
#define HMP_PROMPT "(qemu) "
void readline_show_prompt(struct monitor *mon);
void readline_input(struct monitor *mon, char c,
                    void (*execute)(struct monitor *mon, const char *line));
void readline_free(struct readline *rl);
/* qmp.c */
void qmp_connected(struct monitor *mon);
void qmp_message(void *opaque, struct json *v, const char *error);
void qmp_event(void *opaque, enum machine_event e, enum shutdown_cause cause);

/* hmp_expr.c: "$eax+4*0x10". Moves *@p behind it. */
bool hmp_expr(struct machine *m, const char **p, int64_t *value, struct error *err);

/* What x, xp and print take after the slash. */
struct hmp_format {
    int count;
    char format; /* x d u o c i; 0: the command's default */
    int size;    /* bytes */
};

/* An argument of an HMP command, by the type letter of its declaration (hmp.c). */
struct hmp_arg {
    bool given;
    char *s;
    int64_t i;
    struct hmp_format fmt;
};
#define HMP_MAX_ARGS 5
typedef void hmp_fn(struct machine *m, struct text *out, const struct hmp_arg *a);
struct hmp_command {
    const char *name;   /* "quit|q" */
    const char *args;   /* "fmt:/,addr:l": name:type; '?' = optional; "f:-" a flag, "format:-fs" a
                           flag with a word */
    const char *params; /* as help shows them */
    const char *help;
    hmp_fn *fn;
};
extern const struct hmp_command hmp_info_commands[]; /* hmp_info.c; ended by a NULL name */

hmp_fn hmp_x, hmp_xp, hmp_print, hmp_sum; /* hmp_memory.c */
hmp_fn hmp_gva2gpa, hmp_port_in, hmp_port_out;
hmp_fn hmp_info_mem, hmp_info_tlb; /* hmp_paging.c */
hmp_fn hmp_info_pci, hmp_info_qtree, hmp_info_qdm, hmp_info_mtree,
    hmp_info_roms;                                       /* hmp_devices.c */
hmp_fn hmp_info_network, hmp_info_usernet, hmp_set_link; /* hmp_net.c */
hmp_fn hmp_device_add, hmp_device_del;
hmp_fn hmp_object_add, hmp_object_del;
hmp_fn hmp_savevm, hmp_loadvm, hmp_delvm, hmp_info_snapshots, hmp_migrate,
    hmp_migrate_incoming;                                              /* hmp_snapshot.c */
hmp_fn hmp_info_mice, hmp_mouse_set, hmp_mouse_move, hmp_mouse_button; /* monitor_input.c */
hmp_fn hmp_netdev_add, hmp_netdev_del, hmp_announce_self, hmp_hostfwd_add, hmp_hostfwd_remove;

#endif
