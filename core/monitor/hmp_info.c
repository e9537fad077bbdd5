/*
 * info SUBJECT: the short ones, and the table of all.
 */
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "char/char.h"
#include "hw/i8259.h"
#include "monitor/monitor_impl.h"

static void info_version(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    text_printf(out, "%sslipway-%s\n", SLIPWAY_VERSION, SLIPWAY_VERSION);
}

static void info_status(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    bool running = monitor_running(m);
    text_printf(out, "VM status: %s", running ? "running" : "paused");
    if (!running && m->state != RUN_STATE_PAUSED)
        text_printf(out, " (%s)", monitor_status(m));
    text_puts(out, "\n");
}

static void info_name(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    if (m->opt->name)
        text_printf(out, "%s\n", m->opt->name);
}

static void info_uuid(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    text_printf(out, "%s\n", m->opt->uuid ? m->opt->uuid : "00000000-0000-0000-0000-000000000000");
}

static void info_kvm(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    text_puts(out, "kvm support: not compiled\n");
}

static void info_cpus(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    for (int i = 0; i < m->cpu_count; i++)
        text_printf(out, "%c CPU #%d: thread_id=0\n", i ? ' ' : '*', i);
}

static void info_registers(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    char buf[8192];
    if (a[0].given && strcmp(a[0].s, "-a") && strcmp(a[0].s, "0")) {
        text_printf(out, "CPU#%s not available\n", a[0].s);
        return;
    }
    for (int i = 0; i < m->cpu_count; i++) {
        size_t n = cpu_dump(m->cpus[i], buf, sizeof buf);
        text_printf(out, "\nCPU#%d\n", i);
        text_add(out, buf, n < sizeof buf ? n : sizeof buf - 1);
        if (n && buf[(n < sizeof buf ? n : sizeof buf - 1) - 1] != '\n')
            text_puts(out, "\n");
    }
}

static void put_chardev(void *opaque, const char *label, const char *filename, bool frontend_open)
{
    text_printf(opaque, "%s: filename=%s\n", label, filename);
}

static void info_chardev(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    chr_for_each(m, put_chardev, out);
}

static void info_block(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    bool any = false;
    for (const struct drive *d = m->drives; d; d = d->next) {
        const char *id = d->name;
        if (a[0].given && strcmp(a[0].s, id))
            continue;
        bool removable = d->opt->cdrom || d->opt->iface == DRIVE_FLOPPY;
        if (any)
            text_puts(out, "\n");
        any = true;
        if (d->blk)
            text_printf(out, "%s: %s (raw%s)\n", id, d->file,
                        blk_readonly(d->blk) ? ", read-only" : "");
        else
            text_printf(out, "%s: [not inserted]\n", id);
        if (removable)
            text_puts(out, "    Removable device: not locked, tray closed\n");
        if (d->blk)
            text_puts(out, "    Cache mode:       writeback\n");
    }
    if (a[0].given && !any)
        text_printf(out, "Device '%s' not found\n", a[0].s);
}

static void info_jit(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    jit_info_print(m, out);
}

static void info_pic(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    char buf[4096];
    if (!m->pic)
        return;
    size_t n = i8259_dump(m->pic, buf, sizeof buf);
    text_add(out, buf, n < sizeof buf ? n : sizeof buf - 1);
}

const struct hmp_command hmp_info_commands[] = {
    { "block", "device:s?", "[device]", "show info of one block device or all block devices",
      info_block },
    { "chardev", "", "", "show the character devices", info_chardev },
    { "cpus", "", "", "show infos for each CPU", info_cpus },
    { "irq", "", "", "show the interrupt controllers' state", info_pic },
    { "jit", "", "", "show dynamic compiler info", info_jit },
    { "kvm", "", "", "show KVM information", info_kvm },
    { "mem", "", "", "show the active virtual memory mappings", hmp_info_mem },
    { "mice", "", "", "show which guest mouse is receiving events", hmp_info_mice },
    { "mtree", "flat:s?", "[-f]", "show memory tree (-f: dump flat view for address spaces)",
      hmp_info_mtree },
    { "name", "", "", "show the current VM name", info_name },
    { "network", "", "", "show the network state", hmp_info_network },
    { "pci", "", "", "show PCI info", hmp_info_pci },
    { "pic", "", "", "show PIC state", info_pic },
    { "qdm", "", "", "show qdev device model list", hmp_info_qdm },
    { "qtree", "", "", "show device tree", hmp_info_qtree },
    { "registers", "cpu:s?", "[-a|vcpu]", "show the cpu registers", info_registers },
    { "roms", "", "", "show roms", hmp_info_roms },
    { "snapshots", "", "", "show the currently saved VM snapshots", hmp_info_snapshots },
    { "status", "", "", "show the current VM status (running|paused)", info_status },
    { "tlb", "", "", "show virtual to physical memory mappings", hmp_info_tlb },
    { "usernet", "", "", "show user network stack connection states", hmp_info_usernet },
    { "uuid", "", "", "show the current VM UUID", info_uuid },
    { "version", "", "", "show the version of the emulator", info_version },
    { NULL, NULL, NULL, NULL, NULL },
};
