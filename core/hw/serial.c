/*
 * 16550A UART on the ISA bus. Follows the PC16550D data sheet (National, 1995); reset values, and
 * the modem lines that are always on, are those of QEMU's isa-serial.
 *
 * Transmitting takes no guest time: a byte goes to the chardev as it is written, so THRE and TEMT
 * are set again when the OUT ends, unless the chardev is full. Then the byte stays in the shift
 * register, further ones in the FIFO, and writable() goes on from there: a slow terminal slows the
 * guest down and loses nothing.
 *
 * Receiving: the chardev brings as many bytes as bring the FIFO to its trigger level, then one at a
 * time, so the guest sees interrupts as from a line. Each byte carries its error bits; LSR shows
 * those of the byte that is next to be read. Only loopback can overrun.
 *
 * Interrupts, by priority: line status, received data (trigger level, or character timeout: four
 * frames without a read or an arrival), transmitter empty, modem status. As in QEMU, MCR.OUT2
 * doesn't gate the line. Ports that share an IRQ (COM1 and COM3) are ORed.
 */
#include "hw/serial.h"

#include <stdio.h>
#include <string.h>

#include "char/char.h"
#include "log.h"
#include "machine.h"

enum { RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

enum {
    IER_RDI = 0x01,
    IER_THRI = 0x02,
    IER_RLSI = 0x04,
    IER_MSI = 0x08,

    IIR_MSI = 0x00,
    IIR_NO_INT = 0x01,
    IIR_THRI = 0x02,
    IIR_RDI = 0x04,
    IIR_RLSI = 0x06,
    IIR_CTI = 0x0c,
    IIR_FIFO = 0xc0,

    FCR_FE = 0x01,  /* FIFO enable */
    FCR_RFR = 0x02, /* receiver FIFO reset */
    FCR_XFR = 0x04, /* transmitter FIFO reset */
    FCR_DMA = 0x08,
    FCR_ITL = 0xc0,

    LCR_STB = 0x04,
    LCR_PEN = 0x08,
    LCR_SB = 0x40, /* set break */
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10,

    LSR_DR = 0x01,
    LSR_OE = 0x02,
    LSR_PE = 0x04,
    LSR_FE = 0x08,
    LSR_BI = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80,
    LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,

    MSR_DCTS = 0x01,
    MSR_DDSR = 0x02,
    MSR_TERI = 0x04,
    MSR_DDCD = 0x08,
    MSR_DELTAS = 0x0f,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
    MSR_LINES = 0xf0,
};

#define FIFO_SIZE    16
#define BASE_BAUD    115200
#define DEFAULT_LINE (MSR_DCD | MSR_DSR | MSR_CTS)

struct serial {
    struct device dev;
    struct chardev *chr;
    uint32_t index, iobase, irq; /* properties; ~0: by index */
    struct mem_region ports;
    bool level; /* what this port drives on its line */

    uint16_t divisor;
    uint8_t rbr, thr, tsr, ier, lcr, mcr, lsr, msr, scr, fcr;
    bool tsr_full;     /* a byte that the chardev didn't take yet */
    bool thri_pending; /* THRE interrupt: cleared by reading IIR or writing THR */
    bool cti_pending;  /* character timeout */
    uint8_t rx[FIFO_SIZE], rx_errors[FIFO_SIZE], rx_head, rx_count;
    uint8_t tx[FIFO_SIZE], tx_head, tx_count;
    struct timer timeout;
};

static const struct field serial_fields[] = {
    FIELD_U16(struct serial, divisor, 12), /* 9600 */
    FIELD_U8(struct serial, rbr, 0),
    FIELD_U8(struct serial, thr, 0),
    FIELD_U8(struct serial, tsr, 0),
    FIELD_U8(struct serial, ier, 0),
    FIELD_U8(struct serial, lcr, 0),
    FIELD_U8(struct serial, mcr, MCR_OUT2),
    FIELD_U8(struct serial, lsr, LSR_THRE | LSR_TEMT),
    FIELD_U8(struct serial, msr, DEFAULT_LINE),
    FIELD_U8(struct serial, scr, 0),
    FIELD_U8(struct serial, fcr, 0),
    FIELD_BOOL(struct serial, tsr_full, 0),
    FIELD_BOOL(struct serial, thri_pending, 0),
    FIELD_BOOL(struct serial, cti_pending, 0),
    FIELD_BYTES(struct serial, rx),
    FIELD_BYTES(struct serial, rx_errors),
    FIELD_U8(struct serial, rx_head, 0),
    FIELD_U8(struct serial, rx_count, 0),
    FIELD_BYTES(struct serial, tx),
    FIELD_U8(struct serial, tx_head, 0),
    FIELD_U8(struct serial, tx_count, 0),
    FIELD_TIMER(struct serial, timeout),
    FIELD_END,
};

/* ---- interrupts ---- */

static unsigned trigger_level(const struct serial *s)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };
    return levels[s->fcr >> 6];
}

static uint8_t interrupt_source(const struct serial *s)
{
    if ((s->ier & IER_RLSI) && (s->lsr & LSR_ERRORS))
        return IIR_RLSI;
    if ((s->ier & IER_RDI) && s->cti_pending)
        return IIR_CTI;
    if ((s->ier & IER_RDI) && (s->lsr & LSR_DR) &&
        (!(s->fcr & FCR_FE) || s->rx_count >= trigger_level(s)))
        return IIR_RDI;
    if ((s->ier & IER_THRI) && s->thri_pending)
        return IIR_THRI;
    if ((s->ier & IER_MSI) && (s->msr & MSR_DELTAS))
        return IIR_MSI;
    return IIR_NO_INT;
}

static void update_irq(struct serial *s)
{
    bool level = interrupt_source(s) != IIR_NO_INT;
    if (level == s->level)
        return;
    s->level = level;
    for (const struct device *d = s->dev.machine->devices; d && !level; d = d->next) {
        const struct serial *other = (const struct serial *)d;
        if (d->cls == &isa_serial_class && other->irq == s->irq)
            level = other->level;
    }
    irq_set(&s->dev.machine->isa_irq[s->irq], level);
}

/* ---- receiving ---- */

/* Of one character at the programmed speed and format. */
static int64_t frame_ns(const struct serial *s)
{
    int bits = 1 + 5 + (s->lcr & 3) + !!(s->lcr & LCR_PEN) + 1 + !!(s->lcr & LCR_STB);
    return NS_PER_SEC * bits * (s->divisor ? s->divisor : 1) / BASE_BAUD;
}

static void restart_timeout(struct serial *s)
{
    if ((s->fcr & FCR_FE) && s->rx_count)
        timer_mod(&s->timeout, clock_now_ns(&s->dev.machine->clock) + 4 * frame_ns(s));
    else
        timer_del(&s->timeout);
}

static void timeout_expired(void *opaque)
{
    struct serial *s = opaque;
    if (!s->rx_count)
        return;
    s->cti_pending = true;
    update_irq(s);
}

/* LSR's error bits are those of the byte at the head of the FIFO; bit 7 says that any has one. */
static void update_rx_status(struct serial *s)
{
    s->lsr &= (uint8_t) ~(LSR_DR | LSR_FIFO_ERROR);
    if (!s->rx_count)
        return;
    s->lsr |= LSR_DR | s->rx_errors[s->rx_head];
    for (unsigned i = 0; (s->fcr & FCR_FE) && i < s->rx_count; i++)
        if (s->rx_errors[(s->rx_head + i) % FIFO_SIZE])
            s->lsr |= LSR_FIFO_ERROR;
}

/* One character with its error bits arrives. Without FIFO, the queue is one byte long and
 * overwritten. */
static void receive_byte(struct serial *s, uint8_t byte, uint8_t errors)
{
    unsigned size = s->fcr & FCR_FE ? FIFO_SIZE : 1;
    if (s->rx_count >= size) {
        s->lsr |= LSR_OE;
        if (size == 1) {
            s->rx[s->rx_head] = byte;
            s->rx_errors[s->rx_head] = errors;
        }
    } else {
        unsigned at = (s->rx_head + s->rx_count++) % FIFO_SIZE;
        s->rx[at] = byte;
        s->rx_errors[at] = errors;
    }
    update_rx_status(s);
    restart_timeout(s);
}

static void clear_rx(struct serial *s)
{
    s->rx_head = s->rx_count = 0;
    s->cti_pending = false;
    timer_del(&s->timeout);
    s->lsr &= (uint8_t) ~(LSR_PE | LSR_FE | LSR_BI);
    update_rx_status(s);
    if (s->chr)
        chr_accept_input(s->chr);
}

static uint8_t read_rbr(struct serial *s)
{
    if (s->rx_count) {
        s->rbr = s->rx[s->rx_head];
        s->rx_errors[s->rx_head] = 0;
        s->rx_head = (s->rx_head + 1) % FIFO_SIZE;
        s->rx_count--;
    } else if (s->fcr & FCR_FE) {
        s->rbr = 0;
    }
    s->cti_pending = false;
    update_rx_status(s);
    restart_timeout(s);
    update_irq(s);
    if (s->chr && !(s->mcr & MCR_LOOP))
        chr_accept_input(s->chr);
    return s->rbr;
}

static size_t can_receive(void *opaque)
{
    struct serial *s = opaque;
    if (s->mcr & MCR_LOOP)
        return 0;
    if (!(s->fcr & FCR_FE))
        return !s->rx_count;
    unsigned level = trigger_level(s);
    return s->rx_count < level ? level - s->rx_count : s->rx_count < FIFO_SIZE;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct serial *s = opaque;
    for (size_t i = 0; i < len; i++)
        receive_byte(s, buf[i], 0);
    update_irq(s);
}

static void chr_event(void *opaque, enum chr_event e)
{
    struct serial *s = opaque;
    if (e != CHR_EVENT_BREAK)
        return;
    receive_byte(s, 0, LSR_BI | LSR_FE);
    update_irq(s);
}

/* ---- transmitting ---- */

/* Moves bytes out as long as somebody takes them. */
static void transmit(struct serial *s)
{
    for (;;) {
        if (!s->tsr_full) {
            if (s->fcr & FCR_FE) {
                if (!s->tx_count)
                    break;
                s->tsr = s->tx[s->tx_head];
                s->tx_head = (s->tx_head + 1) % FIFO_SIZE;
                s->tx_count--;
            } else {
                if (s->lsr & LSR_THRE)
                    break;
                s->tsr = s->thr;
            }
            s->tsr_full = true;
            if (!(s->fcr & FCR_FE) || !s->tx_count) {
                s->lsr |= LSR_THRE;
                s->thri_pending = true;
            }
        }
        if (s->mcr & MCR_LOOP)
            receive_byte(s, s->tsr, 0);
        else if (s->chr && !chr_write(s->chr, &s->tsr, 1))
            break;
        s->tsr_full = false;
    }
    if (s->tsr_full || !(s->lsr & LSR_THRE))
        s->lsr &= (uint8_t)~LSR_TEMT;
    else
        s->lsr |= LSR_TEMT;
    update_irq(s);
}

static void writable(void *opaque)
{
    transmit(opaque);
}

static void write_thr(struct serial *s, uint8_t value)
{
    s->thr = value;
    if (!(s->fcr & FCR_FE))
        ; /* a byte that waits in THR is overwritten */
    else if (s->tx_count < FIFO_SIZE)
        s->tx[(s->tx_head + s->tx_count++) % FIFO_SIZE] = value;
    else
        log_mask(LOG_GUEST_ERRORS, "serial%u: byte written to a full FIFO is lost", s->index);
    s->thri_pending = false;
    s->lsr &= (uint8_t) ~(LSR_THRE | LSR_TEMT);
    transmit(s);
}

static void clear_tx(struct serial *s)
{
    s->tx_head = s->tx_count = 0;
    s->lsr |= LSR_THRE;
    s->thri_pending = true;
}

/* ---- control registers ---- */

static void write_fcr(struct serial *s, uint8_t value)
{
    if ((value ^ s->fcr) & FCR_FE)
        value |= FCR_RFR | FCR_XFR; /* switching modes empties both */
    /* With FE = 0 the other bits aren't programmed. */
    s->fcr = value & FCR_FE ? value & (FCR_FE | FCR_DMA | FCR_ITL) : 0;
    if (value & FCR_XFR)
        clear_tx(s);
    if (value & FCR_RFR)
        clear_rx(s);
    transmit(s);
}

/* The modem status lines changed to @lines: notes what the guest can see of the change. */
static void set_modem_lines(struct serial *s, uint8_t lines)
{
    uint8_t changed = (s->msr ^ lines) & MSR_LINES;
    uint8_t deltas =
        (uint8_t)(((changed & MSR_CTS) ? MSR_DCTS : 0) | ((changed & MSR_DSR) ? MSR_DDSR : 0) |
                  ((changed & MSR_DCD) ? MSR_DDCD : 0) |
                  ((changed & ~lines & MSR_RI) ? MSR_TERI : 0));
    s->msr = (uint8_t)((s->msr & MSR_DELTAS) | lines | deltas);
}

static void write_mcr(struct serial *s, uint8_t value)
{
    s->mcr = value & 0x1f;
    if (s->mcr & MCR_LOOP) {
        set_modem_lines(
            s, (uint8_t)((s->mcr & MCR_DTR ? MSR_DSR : 0) | (s->mcr & MCR_RTS ? MSR_CTS : 0) |
                         (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0)));
    } else {
        set_modem_lines(s, DEFAULT_LINE);
        if (s->chr)
            chr_accept_input(s->chr);
    }
    update_irq(s);
}

static void write_lcr(struct serial *s, uint8_t value)
{
    bool break_begins = !(s->lcr & LCR_SB) && (value & LCR_SB);
    s->lcr = value;
    /* In loopback the receiver sees the break; no back end can carry it further. */
    if (break_begins && (s->mcr & MCR_LOOP)) {
        receive_byte(s, 0, LSR_BI | LSR_FE);
        update_irq(s);
    }
}

static void write_ier(struct serial *s, uint8_t value)
{
    uint8_t rising = value & ~s->ier;
    s->ier = value & 0x0f;
    /* Enabling it while THR is empty interrupts at once, also when IIR was read before. */
    if ((rising & IER_THRI) && (s->lsr & LSR_THRE))
        s->thri_pending = true;
    update_irq(s);
}

static uint8_t read_iir(struct serial *s)
{
    uint8_t iir = interrupt_source(s);
    if (iir == IIR_THRI) {
        s->thri_pending = false;
        update_irq(s);
    }
    return iir | (s->fcr & FCR_FE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *s)
{
    uint8_t lsr = s->lsr;
    s->lsr &= (uint8_t)~LSR_ERRORS;
    if (s->rx_count)
        s->rx_errors[s->rx_head] = 0;
    update_rx_status(s);
    update_irq(s);
    return lsr;
}

static uint8_t read_msr(struct serial *s)
{
    uint8_t msr = s->msr;
    s->msr &= MSR_LINES;
    update_irq(s);
    return msr;
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned size)
{
    struct serial *s = opaque;
    switch (offset) {
    case RBR_THR_DLL: return s->lcr & LCR_DLAB ? s->divisor & 0xff : read_rbr(s);
    case IER_DLM: return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
    case IIR_FCR: return read_iir(s);
    case LCR: return s->lcr;
    case MCR: return s->mcr;
    case LSR: return read_lsr(s);
    case MSR: return read_msr(s);
    default: return s->scr;
    }
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct serial *s = opaque;
    uint8_t v = (uint8_t)value;
    switch (offset) {
    case RBR_THR_DLL:
        if (s->lcr & LCR_DLAB)
            s->divisor = (uint16_t)((s->divisor & 0xff00) | v);
        else
            write_thr(s, v);
        break;
    case IER_DLM:
        if (s->lcr & LCR_DLAB)
            s->divisor = (uint16_t)((s->divisor & 0xff) | v << 8);
        else
            write_ier(s, v);
        break;
    case IIR_FCR: write_fcr(s, v); break;
    case LCR: write_lcr(s, v); break;
    case MCR: write_mcr(s, v); break;
    case LSR:
    case MSR: break; /* read-only */
    default: s->scr = v; break;
    }
}

static const struct mem_ops serial_ops = { serial_read, serial_write, 1, 1 };

/* ---- device ---- */

static bool serial_realize(struct device *d, struct error *err)
{
    static const uint16_t bases[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    static const uint8_t irqs[4] = { 4, 3, 4, 3 };
    struct serial *s = (struct serial *)d;
    if (s->index == UINT32_MAX) {
        s->index = 0;
        for (const struct device *o = d->machine->devices; o; o = o->next)
            s->index += o->cls == &isa_serial_class && o != d;
    }
    if (s->index > 3)
        return error_set(err, "isa-serial: index %u: the PC has only 4 serial ports", s->index);
    if (s->iobase == UINT32_MAX)
        s->iobase = bases[s->index];
    if (s->irq == UINT32_MAX)
        s->irq = irqs[s->index];
    if (s->iobase > 0xfff8 || s->irq > 15)
        return error_set(err, "isa-serial: iobase=0x%x, irq=%u: no such port or IRQ", s->iobase,
                         s->irq);
    timer_init(&s->timeout, &d->machine->clock, timeout_expired, s);
    mem_region_init_io(&s->ports, "serial", 8, &serial_ops, s);
    mem_region_add(&d->machine->io, &s->ports, s->iobase, 0);
    if (s->chr) {
        struct chr_frontend fe = { .can_receive = can_receive,
                                   .receive = receive,
                                   .event = chr_event,
                                   .writable = writable,
                                   .opaque = s };
        chr_attach(s->chr, &fe);
    }
    return true;
}

static void serial_unrealize(struct device *d)
{
    struct serial *s = (struct serial *)d;
    timer_del(&s->timeout);
    mem_region_remove(&s->ports);
}

static void serial_reset(struct device *d)
{
    struct serial *s = (struct serial *)d;
    update_irq(s);
    if (s->chr)
        chr_accept_input(s->chr);
}

static void serial_post_load(struct device *d)
{
    struct serial *s = (struct serial *)d;
    s->rx_head %= FIFO_SIZE;
    s->tx_head %= FIFO_SIZE;
    s->rx_count = s->rx_count > FIFO_SIZE ? FIFO_SIZE : s->rx_count;
    s->tx_count = s->tx_count > FIFO_SIZE ? FIFO_SIZE : s->tx_count;
    transmit(s);
    if (s->chr)
        chr_accept_input(s->chr);
}

static const struct prop serial_props[] = {
    { "chardev", PROP_CHARDEV, offsetof(struct serial, chr), NULL, "the line" },
    { "index", PROP_U32, offsetof(struct serial, index), "4294967295", "0 to 3: COM1 to COM4" },
    { "iobase", PROP_U32, offsetof(struct serial, iobase), "4294967295",
      "first I/O port (default: by index)" },
    { "irq", PROP_U32, offsetof(struct serial, irq), "4294967295", "ISA IRQ (default: by index)" },
    PROP_END,
};

const struct device_class isa_serial_class = {
    .name = "isa-serial",
    .desc = "16550A serial port",
    .size = sizeof(struct serial),
    .bus = "ISA",
    .fields = serial_fields,
    .props = serial_props,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .post_load = serial_post_load,
};

struct device *serial_new(struct machine *m, int index, struct chardev *chr, struct error *err)
{
    struct device *d = device_new(m, &isa_serial_class);
    if (!d) {
        error_set(err, "isa-serial: out of memory");
        return NULL;
    }
    struct serial *s = (struct serial *)d;
    s->index = (uint32_t)index;
    s->chr = chr;
    return device_realize(d, err) ? d : NULL;
}
