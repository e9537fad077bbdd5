/*
 * VMware's backdoor, port 0x5658, as far as QEMU's machine has it: version, memory size, UUID, and
 * the absolute mouse ("vmmouse") that X servers, Windows and Linux's psmouse know. Facts from
 * Linux's arch/x86/include/asm/vmware.h and drivers/input/mouse/vmmouse.c, and from how QEMU 7.2
 * answers.
 *
 * A call is an IN from the port with the magic number in EAX, a command in CX and an argument in
 * EBX; the answer is in EAX, for some commands in EBX, ECX, EDX, ESI and EDI, too. An OUT does the
 * same. A device that reads and writes the processor's registers is odd, but that's how it is.
 *
 * The mouse is off until the guest asks for an id. Packets of four words wait in a queue:
 * buttons, x, y, wheel. That there are any is told by a packet of the PS/2 mouse, whose contents
 * don't matter. While the guest wants positions or motion from here, the mouse is the first in the
 * line of the input dispatcher.
 */
#include "hw/vmport.h"

#include <string.h>

#include "cpu/cpu.h"
#include "hw/device.h"
#include "hw/i8042.h"
#include "log.h"
#include "machine.h"
#include "memory.h"
#include "ui/display.h"

#define PORT       0x5658
#define MAGIC      0x564d5868u
#define QUEUE_SIZE 1024 /* words */
#define PACKET     4

enum {
    CMD_GET_VERSION = 0x0a,
    CMD_GET_UUID = 0x13,
    CMD_GET_RAM_SIZE = 0x14,
    CMD_MOUSE_DATA = 0x27,
    CMD_MOUSE_STATUS = 0x28,
    CMD_MOUSE_COMMAND = 0x29,
};
#define VERSION       6
#define PRODUCT_TYPE  2
#define RAM_SIZE_TYPE 0x1177

#define MOUSE_READ_ID  0x45414552u
#define MOUSE_DISABLE  0x000000f5u
#define MOUSE_RELATIVE 0x4c455252u
#define MOUSE_ABSOLUTE 0x53424152u
#define MOUSE_VERSION  0x3442554au
#define STATUS_ERROR   0xffffu

enum { BUTTON_LEFT = 0x20, BUTTON_RIGHT = 0x10, BUTTON_MIDDLE = 0x08 };

struct vmport {
    struct device dev;
    struct mem_region port;
    struct i8042 *keyboard;
    struct input_handler handler;
    uint32_t queue[QUEUE_SIZE];
    uint32_t count;
    uint16_t status; /* 0 or STATUS_ERROR: off, or the guest read what wasn't there */
    bool absolute, active;
};

static const struct field vmport_fields[] = {
    FIELD_U32(struct vmport, queue, 0),
    FIELD_U32(struct vmport, count, 0),
    FIELD_U16(struct vmport, status, STATUS_ERROR),
    FIELD_BOOL(struct vmport, absolute, false),
    FIELD_BOOL(struct vmport, active, false),
    FIELD_END,
};

/* ---- the mouse ---- */

static void add_packet(struct vmport *s, int x, int y, int dz, unsigned buttons)
{
    if (s->count > QUEUE_SIZE - PACKET)
        return;
    uint32_t *p = s->queue + s->count;
    p[0] = (buttons & 1 ? BUTTON_LEFT : 0u) | (buttons & 2 ? BUTTON_RIGHT : 0u) |
           (buttons & 4 ? BUTTON_MIDDLE : 0u);
    p[1] = (uint32_t)x;
    p[2] = (uint32_t)y;
    p[3] = (uint32_t)dz;
    s->count += PACKET;
    i8042_mouse_nudge(s->keyboard);
}

static void position_event(void *opaque, int x, int y, int dz, unsigned buttons)
{
    add_packet(opaque, x * 2, y * 2, dz, buttons);
}

static void motion_event(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    add_packet(opaque, dx, dy, dz, buttons);
}

static const struct input_ops absolute_ops = { .pointer_abs = position_event };
static const struct input_ops relative_ops = { .pointer_rel = motion_event };

/* The place in the line that belongs to the state. */
static void take_place(struct vmport *s)
{
    input_unregister(s->dev.machine, &s->handler);
    if (!s->active)
        return;
    s->handler.ops = s->absolute ? &absolute_ops : &relative_ops;
    input_register(s->dev.machine, &s->handler);
    input_activate(s->dev.machine, &s->handler);
}

static void set_mode(struct vmport *s, bool active, bool absolute)
{
    if (active == s->active && absolute == s->absolute)
        return;
    s->active = active;
    s->absolute = absolute;
    take_place(s);
}

static void mouse_command(struct vmport *s, uint32_t command)
{
    switch (command) {
    case MOUSE_READ_ID:
        if (s->count == QUEUE_SIZE)
            break;
        s->queue[s->count++] = MOUSE_VERSION;
        s->status = 0;
        break;
    case MOUSE_DISABLE:
        s->status = STATUS_ERROR;
        set_mode(s, false, s->absolute);
        break;
    case MOUSE_RELATIVE:
    case MOUSE_ABSOLUTE:
        s->count = 0;
        if (!s->status)
            set_mode(s, true, command == MOUSE_ABSOLUTE);
        break;
    default: log_mask(LOG_GUEST_ERRORS, "vmmouse: unknown command 0x%08x", command); break;
    }
}

/* Hands out @n words in EAX, EBX, ...; false: there aren't so many. */
static bool mouse_data(struct vmport *s, uint32_t n, uint32_t regs[6])
{
    if (n == 0 || n > 6 || n > s->count) {
        log_mask(LOG_GUEST_ERRORS, "vmmouse: %u words asked for, there are %u", n, s->count);
        s->status = STATUS_ERROR;
        return false;
    }
    memcpy(regs, s->queue, n * sizeof *regs);
    s->count -= n;
    memmove(s->queue, s->queue + n, s->count * sizeof *s->queue);
    return true;
}

/* ---- the port ---- */

static void get_uuid(const struct vmport *s, uint32_t regs[6])
{
    uint8_t uuid[16] = { 0 };
    if (s->dev.machine->opt->uuid)
        parse_uuid(s->dev.machine->opt->uuid, uuid);
    for (unsigned i = 0; i < 4; i++)
        regs[i] = uuid[4 * i] | (uint32_t)uuid[4 * i + 1] << 8 | (uint32_t)uuid[4 * i + 2] << 16 |
                  (uint32_t)uuid[4 * i + 3] << 24;
}

/* @regs: EAX, EBX, ECX, EDX, ESI, EDI, in and out. */
static void call(struct vmport *s, uint32_t regs[6])
{
    uint16_t command = (uint16_t)regs[2];
    if (regs[0] != MAGIC)
        command = 0;
    switch (command) {
    case CMD_GET_VERSION:
        regs[0] = VERSION;
        regs[1] = MAGIC;
        regs[2] = PRODUCT_TYPE;
        break;
    case CMD_GET_UUID: get_uuid(s, regs); break;
    case CMD_GET_RAM_SIZE:
        regs[0] = (uint32_t)s->dev.machine->ram.size;
        regs[1] = RAM_SIZE_TYPE;
        break;
    case CMD_MOUSE_DATA: mouse_data(s, regs[1], regs); break;
    case CMD_MOUSE_STATUS: regs[0] = (uint32_t)s->status << 16 | s->count; break;
    case CMD_MOUSE_COMMAND: mouse_command(s, regs[1]); break;
    default: regs[0] = UINT32_MAX; break;
    }
}

static uint32_t access(struct vmport *s)
{
    static const uint8_t numbers[6] = { RAX, RBX, RCX, RDX, RSI, RDI };
    struct cpu *c = s->dev.machine->cpus[0];
    uint32_t regs[6], before[6];
    for (unsigned i = 0; i < 6; i++)
        regs[i] = before[i] = (uint32_t)c->gpr[numbers[i]];
    call(s, regs);
    for (unsigned i = 0; i < 6; i++)
        if (regs[i] != before[i])
            c->gpr[numbers[i]] = regs[i];
    return regs[0];
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset ? UINT32_MAX : access(opaque);
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (!offset)
        access(opaque);
}

static const struct mem_ops port_ops = { port_read, port_write, 1, 4 };

/* ---- life ---- */

static bool vmport_realize(struct device *d, struct error *err)
{
    struct vmport *s = (struct vmport *)d;
    s->handler = (struct input_handler){ .name = "vmmouse", .ops = &absolute_ops, .opaque = s };
    mem_region_init_io(&s->port, "vmport", 4, &port_ops, s);
    mem_region_add(&d->machine->io, &s->port, PORT, 0);
    return true;
}

static void vmport_unrealize(struct device *d)
{
    struct vmport *s = (struct vmport *)d;
    mem_region_remove(&s->port);
    input_unregister(d->machine, &s->handler);
}

static void vmport_reset(struct device *d)
{
    take_place((struct vmport *)d);
}

static void vmport_post_load(struct device *d)
{
    struct vmport *s = (struct vmport *)d;
    if (s->count > QUEUE_SIZE)
        s->count = 0;
    take_place(s);
}

static const struct device_class vmport_class = {
    .name = "vmport",
    .desc = "VMware's backdoor with its mouse",
    .size = sizeof(struct vmport),
    .fields = vmport_fields,
    .realize = vmport_realize,
    .unrealize = vmport_unrealize,
    .reset = vmport_reset,
    .post_load = vmport_post_load,
};

bool vmport_new(struct machine *m, struct i8042 *keyboard, struct error *err)
{
    struct vmport *s = (struct vmport *)device_new(m, &vmport_class);
    if (!s)
        return error_set(err, "vmport: out of memory");
    s->keyboard = keyboard;
    return device_realize(&s->dev, err);
}
