/*
 * The PC/AT keyboard controller (8042) with the PS/2's auxiliary port.
 *
 * Data flow: one output buffer (port 0x60) with a full flag in the status register (port 0x64) and
 * a flag that says it came from the mouse. When it is empty, it takes the next byte from, in order,
 * the controller's own pending answer, the keyboard, the mouse; each of those two only while its
 * interface is enabled. Bytes of the devices arrive SERIAL_NS after the buffer was emptied, as over
 * the wire: DOS programs read port 0x60 again in a chained interrupt handler and must see the same
 * byte. Answers of the controller are there at once. IRQ 1 and 12 follow the full flag and the
 * command byte's enable bits.
 *
 * With translation on (command byte bit 6) keyboard bytes go from scan code set 2 to set 1: F0 is
 * swallowed and sets bit 7 of the next code.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller"; Intel 8242 data sheet. The output port's bit 0 low is a soft reset, bit 1 is A20.
 */
#include "hw/i8042.h"

#include "clock.h"
#include "hw/device.h"
#include "hw/ps2_queue.h"
#include "hw/ps2.h"
#include "log.h"
#include "machine.h"
#include "memory.h"
#include "ui/display.h"

enum {
    STATUS_OBF = 0x01,
    STATUS_SYSTEM = 0x04,  /* self-test passed */
    STATUS_COMMAND = 0x08, /* the last write went to port 0x64 */
    STATUS_UNLOCKED = 0x10,
    STATUS_AUX = 0x20, /* the byte is the mouse's */
};

enum {
    MODE_KBD_INT = 0x01,
    MODE_AUX_INT = 0x02,
    MODE_SYSTEM = 0x04,
    MODE_KBD_OFF = 0x10,
    MODE_AUX_OFF = 0x20,
    MODE_TRANSLATE = 0x40,
};

enum {
    CMD_READ_RAM = 0x20,
    CMD_WRITE_RAM = 0x60,
    CMD_AUX_DISABLE = 0xa7,
    CMD_AUX_ENABLE = 0xa8,
    CMD_AUX_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KBD_TEST = 0xab,
    CMD_KBD_DISABLE = 0xad,
    CMD_KBD_ENABLE = 0xae,
    CMD_READ_INPUT_PORT = 0xc0,
    CMD_READ_OUTPUT_PORT = 0xd0,
    CMD_WRITE_OUTPUT_PORT = 0xd1,
    CMD_WRITE_KBD_BUFFER = 0xd2,
    CMD_WRITE_AUX_BUFFER = 0xd3,
    CMD_WRITE_AUX = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_PULSE = 0xf0,
};

enum {
    OUT_NO_RESET = 0x01,
    OUT_A20 = 0x02,
    OUT_KBD_OBF = 0x10,
    OUT_AUX_OBF = 0x20,
    OUT_RESET_VALUE = 0xcf
};

enum { ANSWER_NONE, ANSWER_KBD, ANSWER_AUX };

#define RAM_SIZE  32 /* byte 0 is the command byte */
#define SERIAL_NS 300000

struct i8042 {
    struct device dev;
    struct irq keyboard_irq, mouse_irq, a20;
    struct mem_region data_port, command_port;
    uint8_t ram[RAM_SIZE];
    uint8_t status;
    uint8_t out; /* the output buffer */
    uint8_t out_port;
    uint8_t command;            /* whose argument comes next at port 0x60, 0: none */
    uint8_t answer, answer_for; /* waits for the buffer to be empty */
    bool break_prefix;          /* translation saw F0 */
    struct timer serial;        /* pending: the devices' line is busy */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    struct input_handler keyboard_input, mouse_input;
};

static const struct field i8042_fields[] = {
    FIELD_BYTES(struct i8042, ram),
    FIELD_U8(struct i8042, status, STATUS_COMMAND | STATUS_UNLOCKED),
    FIELD_U8(struct i8042, out, 0),
    FIELD_U8(struct i8042, out_port, OUT_RESET_VALUE),
    FIELD_U8(struct i8042, command, 0),
    FIELD_U8(struct i8042, answer, 0),
    FIELD_U8(struct i8042, answer_for, ANSWER_NONE),
    FIELD_BOOL(struct i8042, break_prefix, false),
    FIELD_TIMER(struct i8042, serial),
    PS2_KEYBOARD_FIELDS(struct i8042, keyboard),
    PS2_MOUSE_FIELDS(struct i8042, mouse),
    FIELD_END,
};

static void update_irqs(struct i8042 *s)
{
    bool full = s->status & STATUS_OBF, aux = s->status & STATUS_AUX;
    irq_set(&s->keyboard_irq, full && !aux && (s->ram[0] & MODE_KBD_INT));
    irq_set(&s->mouse_irq, full && aux && (s->ram[0] & MODE_AUX_INT));
}

static void fill(struct i8042 *s, uint8_t value, bool aux)
{
    s->out = value;
    s->status = (uint8_t)((s->status & ~STATUS_AUX) | STATUS_OBF | (aux ? STATUS_AUX : 0));
    update_irqs(s);
}

/* One byte of the keyboard through the translation; false: it was swallowed. */
static bool translate(struct i8042 *s, uint8_t *value)
{
    if (!(s->ram[0] & MODE_TRANSLATE))
        return true;
    if (*value == 0xf0) {
        s->break_prefix = true;
        return false;
    }
    *value = (uint8_t)(ps2_translate(*value) | (s->break_prefix ? 0x80 : 0));
    s->break_prefix = false;
    return true;
}

/* Moves the next byte into the output buffer if it is empty. */
static void advance(struct i8042 *s)
{
    if (s->status & STATUS_OBF)
        return;
    if (s->answer_for != ANSWER_NONE) {
        bool aux = s->answer_for == ANSWER_AUX;
        s->answer_for = ANSWER_NONE;
        fill(s, s->answer, aux);
        return;
    }
    if (timer_pending(&s->serial))
        return;
    while (!(s->ram[0] & MODE_KBD_OFF) && ps2_keyboard_has_data(&s->keyboard)) {
        uint8_t value = ps2_keyboard_read(&s->keyboard);
        if (translate(s, &value)) {
            fill(s, value, false);
            return;
        }
    }
    if (!(s->ram[0] & MODE_AUX_OFF) && ps2_mouse_has_data(&s->mouse))
        fill(s, ps2_mouse_read(&s->mouse), true);
}

static void advance_cb(void *opaque)
{
    advance(opaque);
}

/* The controller's own answer: replaces one that nobody fetched. */
static void answer(struct i8042 *s, uint8_t value, int whose)
{
    s->answer = value;
    s->answer_for = (uint8_t)whose;
    advance(s);
}

static void write_output_port(struct i8042 *s, uint8_t value)
{
    s->out_port = value;
    irq_set(&s->a20, (value & OUT_A20) != 0);
    if (!(value & OUT_NO_RESET))
        machine_request_soft_reset(s->dev.machine);
}

static void write_command_byte(struct i8042 *s, uint8_t value)
{
    s->ram[0] = value;
    s->status = (uint8_t)((s->status & ~STATUS_SYSTEM) | (value & MODE_SYSTEM));
    update_irqs(s);
    advance(s);
}

static uint8_t output_port(const struct i8042 *s)
{
    uint8_t v = (uint8_t)(s->out_port & ~(OUT_KBD_OBF | OUT_AUX_OBF));
    if (s->status & STATUS_OBF)
        v |= s->status & STATUS_AUX ? OUT_AUX_OBF : OUT_KBD_OBF;
    return v;
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *s = opaque;
    if (s->status & STATUS_OBF) {
        s->status &= (uint8_t) ~(STATUS_OBF | STATUS_AUX);
        update_irqs(s);
        timer_mod(&s->serial, clock_now_ns(&s->dev.machine->clock) + SERIAL_NS);
        advance(s);
    }
    return s->out;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = opaque;
    uint8_t command = s->command, v = (uint8_t)value;
    s->status &= (uint8_t)~STATUS_COMMAND;
    s->command = 0;
    if (command == CMD_WRITE_RAM) {
        write_command_byte(s, v);
    } else if (command > CMD_WRITE_RAM && command < CMD_WRITE_RAM + RAM_SIZE) {
        s->ram[command - CMD_WRITE_RAM] = v;
    } else if (command == CMD_WRITE_OUTPUT_PORT) {
        write_output_port(s, v);
    } else if (command == CMD_WRITE_KBD_BUFFER) {
        answer(s, v, ANSWER_KBD);
    } else if (command == CMD_WRITE_AUX_BUFFER) {
        answer(s, v, ANSWER_AUX);
    } else if (command == CMD_WRITE_AUX) {
        s->ram[0] &= (uint8_t)~MODE_AUX_OFF; /* sending releases the clock line */
        ps2_mouse_write(&s->mouse, v);
    } else {
        s->ram[0] &= (uint8_t)~MODE_KBD_OFF;
        ps2_keyboard_write(&s->keyboard, v);
    }
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *s = opaque;
    return s->status;
}

static void run_command(struct i8042 *s, uint8_t cmd)
{
    switch (cmd) {
    case CMD_AUX_DISABLE: s->ram[0] |= MODE_AUX_OFF; break;
    case CMD_AUX_ENABLE:
        s->ram[0] &= (uint8_t)~MODE_AUX_OFF;
        advance(s);
        break;
    case CMD_AUX_TEST:
    case CMD_KBD_TEST: answer(s, 0x00, ANSWER_KBD); break;
    case CMD_SELF_TEST:
        s->status |= STATUS_SYSTEM;
        answer(s, 0x55, ANSWER_KBD);
        break;
    case CMD_KBD_DISABLE: s->ram[0] |= MODE_KBD_OFF; break;
    case CMD_KBD_ENABLE:
        s->ram[0] &= (uint8_t)~MODE_KBD_OFF;
        advance(s);
        break;
    case CMD_READ_INPUT_PORT: answer(s, 0x80, ANSWER_KBD); break; /* keyboard not locked */
    case CMD_READ_OUTPUT_PORT: answer(s, output_port(s), ANSWER_KBD); break;
    case CMD_WRITE_OUTPUT_PORT:
    case CMD_WRITE_KBD_BUFFER:
    case CMD_WRITE_AUX_BUFFER:
    case CMD_WRITE_AUX: s->command = cmd; break;
    case CMD_A20_OFF: write_output_port(s, s->out_port & (uint8_t)~OUT_A20); break;
    case CMD_A20_ON: write_output_port(s, s->out_port | OUT_A20); break;
    default:
        if (cmd >= CMD_READ_RAM && cmd < CMD_READ_RAM + RAM_SIZE)
            answer(s, s->ram[cmd - CMD_READ_RAM], ANSWER_KBD);
        else if (cmd >= CMD_WRITE_RAM && cmd < CMD_WRITE_RAM + RAM_SIZE)
            s->command = cmd;
        else if (cmd < CMD_PULSE)
            log_mask(LOG_GUEST_ERRORS, "i8042: unknown command 0x%02x", cmd);
        else if (!(cmd & OUT_NO_RESET)) /* a pulse on the lines whose bit is 0 */
            machine_request_soft_reset(s->dev.machine);
    }
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = opaque;
    s->status |= STATUS_COMMAND;
    s->command = 0;
    run_command(s, (uint8_t)value);
}

static const struct mem_ops data_ops = { data_read, data_write, 1, 1 };
static const struct mem_ops command_ops = { status_read, command_write, 1, 1 };

static void key_event(void *opaque, uint8_t hid, bool down)
{
    struct i8042 *s = opaque;
    ps2_keyboard_key(&s->keyboard, hid, down);
}

static void pointer_event(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    struct i8042 *s = opaque;
    ps2_mouse_move(&s->mouse, dx, dy, dz, buttons);
}

void i8042_mouse_nudge(struct i8042 *s)
{
    ps2_mouse_move(&s->mouse, 1, 0, 0, s->mouse.buttons);
}

static const struct input_ops keyboard_ops = { .key = key_event };
static const struct input_ops mouse_ops = { .pointer_rel = pointer_event };

static bool i8042_realize(struct device *d, struct error *err)
{
    struct i8042 *s = (struct i8042 *)d;
    struct machine *m = d->machine;
    timer_init(&s->serial, &m->clock, advance_cb, s);
    ps2_keyboard_init(&s->keyboard, advance_cb, s);
    ps2_mouse_init(&s->mouse, &m->clock, advance_cb, s);
    mem_region_init_io(&s->data_port, "i8042-data", 1, &data_ops, s);
    mem_region_init_io(&s->command_port, "i8042-cmd", 1, &command_ops, s);
    mem_region_add(&m->io, &s->data_port, 0x60, 0);
    mem_region_add(&m->io, &s->command_port, 0x64, 0);
    s->keyboard_input =
        (struct input_handler){ .name = "QEMU PS/2 Keyboard", .ops = &keyboard_ops, .opaque = s };
    s->mouse_input =
        (struct input_handler){ .name = "QEMU PS/2 Mouse", .ops = &mouse_ops, .opaque = s };
    input_register(m, &s->keyboard_input);
    input_register(m, &s->mouse_input);
    return true;
}

static void i8042_unrealize(struct device *d)
{
    struct i8042 *s = (struct i8042 *)d;
    timer_del(&s->serial);
    timer_del(&s->mouse.sample_timer);
    mem_region_free(&s->data_port);
    mem_region_free(&s->command_port);
    input_unregister(d->machine, &s->keyboard_input);
    input_unregister(d->machine, &s->mouse_input);
}

static void i8042_reset(struct device *d)
{
    struct i8042 *s = (struct i8042 *)d;
    s->ram[0] = MODE_KBD_INT | MODE_AUX_INT;
    ps2_keyboard_reset(&s->keyboard);
    ps2_mouse_reset(&s->mouse);
    irq_set(&s->a20, 1);
    update_irqs(s);
}

static void i8042_post_load(struct device *d)
{
    struct i8042 *s = (struct i8042 *)d;
    ps2_queue_loaded(&s->keyboard.queue);
    ps2_queue_loaded(&s->mouse.queue);
    if (s->keyboard.set < 1 || s->keyboard.set > 3)
        s->keyboard.set = 2;
    ps2_mouse_loaded(&s->mouse);
    irq_set(&s->a20, (s->out_port & OUT_A20) != 0);
    update_irqs(s);
}

static const struct device_class i8042_class = {
    .name = "i8042",
    .desc = "keyboard controller with PS/2 keyboard and mouse",
    .size = sizeof(struct i8042),
    .fields = i8042_fields,
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
    .post_load = i8042_post_load,
};

struct i8042 *i8042_new(struct machine *m, const struct irq *keyboard_irq,
                        const struct irq *mouse_irq, const struct irq *a20, struct error *err)
{
    struct i8042 *s = (struct i8042 *)device_new(m, &i8042_class);
    if (!s) {
        error_set(err, "i8042: out of memory");
        return NULL;
    }
    s->keyboard_irq = *keyboard_irq;
    s->mouse_irq = *mouse_irq;
    s->a20 = *a20;
    return device_realize(&s->dev, err) ? s : NULL;
}
