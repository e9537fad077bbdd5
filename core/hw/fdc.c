/*
 * Floppy disk controller: Intel 82078 (data sheet 290474) as a PC/AT sees it, a superset of 8272A
 * and 82077AA.
 *
 * A command goes through three phases. COMMAND: bytes come in through the FIFO until the table says
 * it is complete. EXECUTION: data goes sector by sector through `data`, by DMA channel 2 or, if
 * SPECIFY said so, through the FIFO; the block layer fills or empties `data` in between. RESULT:
 * status bytes are read from the FIFO; then COMMAND again. Seeks have no result phase: they end
 * with an interrupt and SENSE INTERRUPT STATUS.
 *
 * A transfer ends at terminal count (from the DMA controller), or after sector EOT with "end of
 * cylinder", which is always so in non-DMA mode. While the DMA channel is not ready (masked), a
 * timer tries again, until an overrun. Seeks and transfers take no time; READ ID takes the time of
 * a sector to pass by.
 *
 * The disk change line is set by fdc_set_medium() and at power-on and cleared by the first step
 * pulse with a medium in. Sectors of an image that is shorter than its format read as zeros. Media
 * have 512-byte sectors only: other sizes are not found.
 */
#include "hw/fdc.h"

#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "hw/fdc_int.h"
#include "hw/i8257.h"
#include "log.h"
#include "machine.h"

/* ---- interrupt, drives ---- */

static void update_irq(struct fdc *f)
{
    irq_set(&f->dev.machine->isa_irq[FDC_IRQ], f->irq_level && (f->dor & DOR_DMAEN));
}

void fdc_set_irq(struct fdc *f, bool level)
{
    f->irq_level = level;
    update_irq(f);
}

/* Drives 2 and 3 aren't there. */
struct fdc_drive *fdc_drive(struct fdc *f, unsigned n)
{
    return n < FDC_DRIVES && f->drives[n].present ? &f->drives[n] : NULL;
}

void fdc_step_to(struct fdc_drive *d, unsigned track)
{
    if (track > MAX_TRACK)
        track = MAX_TRACK;
    if (track != d->track && d->blk)
        d->changed = false;
    d->track = (uint8_t)track;
}

/* ---- phases ---- */

void fdc_to_command(struct fdc *f)
{
    f->phase = PHASE_COMMAND;
    f->cmd_len = f->cmd_want = 0;
    f->fifo_wait = false;
}

void fdc_to_result(struct fdc *f, unsigned len)
{
    f->phase = PHASE_RESULT;
    f->result_len = (uint8_t)len;
    f->result_pos = 0;
    f->fifo_wait = false;
}

void fdc_seek_finished(struct fdc *f, unsigned unit, uint8_t st0)
{
    f->st0_pending = (uint8_t)(st0 | ST0_SEEK | unit);
    f->seek_done = true;
    fdc_to_command(f);
    fdc_set_irq(f, true);
}

void fdc_invalid_command(struct fdc *f)
{
    f->result[0] = ST0_INVALID;
    fdc_to_result(f, 1);
}

/* ---- reset ---- */

static void abandon(struct fdc *f)
{
    timer_del(&f->timer);
    f->stale = f->inflight;
    fdc_to_command(f);
}

/* The reset that DOR and DSR do: with polling on, each drive "changed its ready state". */
static void soft_reset(struct fdc *f)
{
    abandon(f);
    f->seek_done = false;
    memset(f->pcn, 0, sizeof(f->pcn));
    f->perpendicular &= 0x3c;
    if (!f->locked) {
        f->config = CONFIG_EFIFO;
        f->pretrk = 0;
    }
    f->config &= (uint8_t) ~(CONFIG_EIS | CONFIG_POLL); /* LOCK doesn't keep these two */
    f->reset_sense = 4;
    fdc_set_irq(f, true);
}

/* ---- data transfer ---- */

static uint64_t sector_offset(const struct fdc *f, const struct fdc_drive *d)
{
    return 512ull *
           (((uint64_t)f->track * d->geo->heads + f->head) * d->geo->sectors + f->sector - 1);
}

unsigned fdc_selected(const struct fdc *f)
{
    return f->cmd[1] & 3;
}

/* Fills the seven result bytes of a transfer and interrupts. */
void fdc_transfer_result(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    f->result[0] = (uint8_t)(st0 | (f->head & 1) << 2 | fdc_selected(f));
    f->result[1] = st1;
    f->result[2] = st2;
    f->result[3] = f->track;
    f->result[4] = f->head;
    f->result[5] = f->sector;
    f->result[6] = 2;
    fdc_to_result(f, 7);
    fdc_set_irq(f, true);
}

void fdc_end_transfer(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    timer_del(&f->timer);
    fdc_transfer_result(f, st0, st1, st2);
}

/* Steps the sector address as data sheet table "Result Phase" says; true if the transfer may go on
 * there. */
static bool advance(struct fdc *f)
{
    if (f->counted && --f->left == 0) {
        f->sector++;
        return false;
    }
    if (f->sector != f->eot) {
        f->sector++;
        return true;
    }
    f->sector = 1;
    if ((f->cmd[0] & CMD_MT) && f->head == 0) {
        f->head = 1;
        return true;
    }
    if (f->cmd[0] & CMD_MT)
        f->head = 0;
    f->track++;
    return false;
}

static uint8_t scan_status(const struct fdc *f)
{
    return f->scan_bad ? ST2_SCAN_FAILED : f->scan_hit_low ? 0 : ST2_SCAN_EQUAL;
}

/* A sector went through completely. */
static void sector_finished(struct fdc *f)
{
    bool more;

    if (f->op == OP_SCAN && !f->scan_bad) {
        uint8_t st2 = scan_status(f);

        advance(f);
        fdc_end_transfer(f, 0, 0, st2);
        return;
    }
    more = advance(f);
    if (f->tc || (f->counted && !more && f->op != OP_READ)) {
        fdc_end_transfer(f, 0, 0, f->op == OP_SCAN ? scan_status(f) : f->st2);
    } else if (!more) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_END_OF_CYL,
                         f->op == OP_SCAN ? scan_status(f) : f->st2);
    } else if (f->st2 & ST2_CONTROL_MARK) {
        fdc_end_transfer(f, 0, 0, f->st2);
    } else {
        f->scan_bad = f->scan_hit_low = false;
        if (f->op == OP_FORMAT)
            f->sector = 1; /* the real number comes with the data */
        fdc_next_sector(f);
    }
}

static void sector_written(void *opaque, int ret)
{
    struct fdc *f = opaque;

    f->inflight = false;
    if (f->stale)
        f->stale = false;
    else if (ret < 0)
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_DATA_ERROR, 0);
    else
        sector_finished(f);
}

static void write_sector(struct fdc *f)
{
    const struct fdc_drive *d = fdc_drive(f, fdc_selected(f));

    if (!d || !d->blk) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_MISSING_AM, 0);
        return;
    }
    f->inflight = true;
    blk_write(d->blk, sector_offset(f, d), f->data, SECTOR_BYTES, sector_written, f);
}

/* FORMAT got the address field of a sector: fills that sector. */
static void format_sector(struct fdc *f)
{
    const struct fdc_drive *d = fdc_drive(f, fdc_selected(f));
    uint8_t filler = f->cmd[5];

    f->track = f->data[0];
    f->head = f->data[1];
    f->sector = f->data[2];
    if (!d || !d->blk || f->track >= d->geo->tracks || f->track != d->track ||
        f->head >= d->geo->heads || f->sector == 0 || f->sector > d->geo->sectors ||
        f->data[3] != 2) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
        return;
    }
    memset(f->data, filler, SECTOR_BYTES);
    write_sector(f);
}

static void scan_byte(struct fdc *f, uint8_t host, uint8_t disk)
{
    uint8_t code = f->cmd[0] & 0x1f;

    if (host == 0xff || disk == 0xff || host == disk)
        return;
    f->scan_hit_low = true; /* not equal, but perhaps still satisfied */
    if (code == 0x11 || (code == 0x19 && disk > host) || (code == 0x1d && disk < host))
        f->scan_bad = true;
}

/* All bytes of a sector have come from or gone to the host. */
void fdc_data_finished(struct fdc *f)
{
    f->fifo_wait = false;
    switch (f->op) {
    case OP_WRITE: write_sector(f); break;
    case OP_FORMAT: format_sector(f); break;
    case OP_SCAN:
        for (unsigned i = 0; i < SECTOR_BYTES; i++)
            scan_byte(f, f->data[i], f->disk[i]);
        sector_finished(f);
        break;
    default: sector_finished(f); break;
    }
}

unsigned fdc_block_bytes(const struct fdc *f)
{
    return f->op == OP_FORMAT ? 4 : SECTOR_BYTES;
}

/* Moves what the DMA controller takes now. */
void fdc_run_dma(struct fdc *f)
{
    bool to_memory = f->op == OP_READ, tc = false;
    unsigned want = fdc_block_bytes(f) - f->pos;
    size_t n = f->dma && (f->dor & DOR_DMAEN)
                   ? i8257_transfer(f->dma, FDC_DMA, f->data + f->pos, want, to_memory, &tc)
                   : 0;

    f->pos += (uint16_t)n;
    f->tc = tc;
    if (n)
        f->retries = 0;
    if (tc && f->pos < fdc_block_bytes(f)) {
        /* Terminal count inside a sector: the rest of a write is zeros, of a read goes nowhere. */
        if (!to_memory)
            memset(f->data + f->pos, 0, fdc_block_bytes(f) - f->pos);
        f->pos = (uint16_t)fdc_block_bytes(f);
    }
    if (f->pos == fdc_block_bytes(f)) {
        fdc_data_finished(f);
    } else if (++f->retries > DMA_RETRIES) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_OVERRUN, 0);
    } else {
        f->timer_is_read_id = false;
        timer_mod(&f->timer, clock_now_ns(&f->dev.machine->clock) + DMA_RETRY_NS);
    }
}

/* `data` is ready to be sent or filled. */
static void move_data(struct fdc *f)
{
    f->pos = 0;
    f->retries = 0;
    if (f->hlt_nd & 1) {
        f->fifo_wait = true;
        fdc_set_irq(f, true);
    } else {
        fdc_run_dma(f);
    }
}

static void sector_read(void *opaque, int ret)
{
    struct fdc *f = opaque;

    f->inflight = false;
    if (f->stale) {
        f->stale = false;
        return;
    }
    if (ret < 0) /* beyond the end of a short image */
        memset(f->op == OP_SCAN ? f->disk : f->data, 0, SECTOR_BYTES);
    if (f->op == OP_VERIFY)
        sector_finished(f);
    else
        move_data(f);
}

/* Starts with the sector that track, head and sector name, after looking whether it is there. */
void fdc_next_sector(struct fdc *f)
{
    struct fdc_drive *d = fdc_drive(f, fdc_selected(f));

    if (!d || !d->blk || d->geo->rate != (f->dsr & DSR_RATE) || f->head >= d->geo->heads) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_MISSING_AM, 0);
    } else if (f->track != d->track || f->track >= d->geo->tracks) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_NO_DATA, f->track != d->track ? ST2_WRONG_CYL : 0);
    } else if (f->sector == 0 || f->sector > d->geo->sectors) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
    } else if ((f->op == OP_WRITE || f->op == OP_FORMAT) && blk_readonly(d->blk)) {
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_NOT_WRITABLE, 0);
    } else if (f->op == OP_WRITE || f->op == OP_FORMAT) {
        move_data(f);
    } else {
        f->inflight = true;
        blk_read(d->blk, sector_offset(f, d), f->op == OP_SCAN ? f->disk : f->data, SECTOR_BYTES,
                 sector_read, f);
    }
}

void fdc_start_transfer(struct fdc *f, enum fdc_op op)
{
    struct fdc_drive *d = fdc_drive(f, fdc_selected(f));

    f->phase = PHASE_EXECUTION;
    f->op = (uint8_t)op;
    f->counted = f->tc = f->scan_bad = f->scan_hit_low = false;
    f->st2 = 0;
    f->track = f->cmd[2];
    f->head = f->cmd[3];
    f->sector = f->cmd[4];
    f->eot = f->last_eot = f->cmd[6];
    if (f->inflight) {
        /* A reset left a request out; hardware couldn't be that fast. */
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_OVERRUN, 0);
        return;
    }
    if (d && (f->config & CONFIG_EIS)) {
        fdc_step_to(d, f->track);
        f->pcn[fdc_selected(f)] = f->track;
    }
    if (f->cmd[5] != 2 || (f->cmd[1] >> 2 & 1) != f->head)
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
    else
        fdc_next_sector(f);
}

/* ---- registers ---- */

static uint8_t main_status(const struct fdc *f)
{
    if (!(f->dor & DOR_NRESET))
        return 0;
    switch (f->phase) {
    case PHASE_COMMAND: return f->cmd_len ? MSR_RQM | MSR_CMDBUSY : MSR_RQM;
    case PHASE_RESULT: return MSR_RQM | MSR_DIO | MSR_CMDBUSY;
    default:
        if (!f->fifo_wait)
            return MSR_CMDBUSY;
        return (uint8_t)(MSR_RQM | MSR_NONDMA | MSR_CMDBUSY | (f->op == OP_READ ? MSR_DIO : 0));
    }
}

static uint8_t status_a(struct fdc *f)
{
    const struct fdc_drive *d = fdc_drive(f, f->dor & DOR_SELECT);
    uint8_t v = f->irq_level ? 0x80 : 0;

    if (!f->drives[1].present)
        v |= 0x40; /* DRV2# */
    if (!d || d->track)
        v |= 0x10; /* TRK0# */
    if (f->head)
        v |= 0x08;
    if (!d || !d->blk || !blk_readonly(d->blk))
        v |= 0x02; /* WP# */
    return v;
}

static uint64_t regs_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fdc *f = opaque;

    switch (offset) {
    case 0: return status_a(f);
    case 1: return 0xc0 | (f->dor & 1) << 5 | (f->dor >> 4 & 3);
    case 2: return f->dor;
    case 3: return f->tdr;
    case 4: return main_status(f);
    case 5: return fdc_fifo_read(f);
    default: return 0xff;
    }
}

static void write_dor(struct fdc *f, uint8_t v)
{
    uint8_t old = f->dor;

    f->dor = v;
    if ((old & DOR_NRESET) && !(v & DOR_NRESET)) {
        abandon(f);
        fdc_set_irq(f, false);
    } else if (!(old & DOR_NRESET) && (v & DOR_NRESET)) {
        soft_reset(f);
    }
    update_irq(f);
}

static void regs_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fdc *f = opaque;
    uint8_t v = (uint8_t)value;

    switch (offset) {
    case 2: write_dor(f, v); break;
    case 3: f->tdr = v & 3; break;
    case 4:
        if (!(f->dor & DOR_NRESET))
            break;
        f->dsr = v & (uint8_t)~DSR_RESET;
        if (v & DSR_RESET)
            soft_reset(f);
        break;
    case 5: fdc_fifo_write(f, v); break;
    default: break;
    }
}

/* 0x3f7: digital input (disk change), configuration control (data rate). */
static uint64_t dir_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fdc *f = opaque;
    const struct fdc_drive *d = fdc_drive(f, f->dor & DOR_SELECT);

    return d && d->changed ? 0x80 : 0;
}

static void dir_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fdc *f = opaque;

    if (f->dor & DOR_NRESET)
        f->dsr = (uint8_t)((f->dsr & ~DSR_RATE) | (value & DSR_RATE));
}

static const struct mem_ops regs_ops = { regs_read, regs_write, 1, 1 };
static const struct mem_ops dir_ops = { dir_read, dir_write, 1, 1 };

/* ---- device ---- */

static bool fdc_realize(struct device *dev, struct error *err)
{
    struct fdc *f = (struct fdc *)dev;
    struct machine *m = dev->machine;

    timer_init(&f->timer, &m->clock, fdc_timer_fired, f);
    mem_region_init_io(&f->regs, "fdc", 6, &regs_ops, f);
    mem_region_init_io(&f->dir, "fdc-dir", 1, &dir_ops, f);
    mem_region_add(&m->io, &f->regs, 0x3f0, 0);
    mem_region_add(&m->io, &f->dir, 0x3f7, 0);
    return true;
}

static void fdc_unrealize(struct device *dev)
{
    struct fdc *f = (struct fdc *)dev;

    for (int i = 0; i < FDC_DRIVES; i++)
        blk_drain(f->drives[i].blk); /* nothing may write to data any more */
    timer_del(&f->timer);
    mem_region_remove(&f->regs);
    mem_region_remove(&f->dir);
}

static void fdc_reset(struct device *dev)
{
    struct fdc *f = (struct fdc *)dev;

    f->stale = f->inflight;
    for (int i = 0; i < FDC_DRIVES; i++)
        f->drives[i].changed = f->drives[i].present;
    update_irq(f);
}

static void fdc_post_load(struct device *dev)
{
    struct fdc *f = (struct fdc *)dev;

    /* Nothing of a saved state may index outside of a buffer. */
    f->inflight = f->stale = false;
    if (f->cmd_len > sizeof f->cmd || f->cmd_want > sizeof f->cmd ||
        f->result_len > sizeof f->result || f->result_pos > sizeof f->result ||
        f->phase > PHASE_RESULT || f->op > OP_FORMAT || f->pos > fdc_block_bytes(f))
        abandon(f);
    update_irq(f);
}

static const struct field fdc_fields[] = {
    FIELD_U8(struct fdc, dor, DOR_NRESET | DOR_DMAEN),
    FIELD_U8(struct fdc, dsr, 2), /* 250 kbit/s */
    FIELD_U8(struct fdc, tdr, 0),
    FIELD_U8(struct fdc, phase, PHASE_COMMAND),
    FIELD_U8(struct fdc, op, 0),
    FIELD_BYTES(struct fdc, cmd),
    FIELD_U8(struct fdc, cmd_len, 0),
    FIELD_U8(struct fdc, cmd_want, 0),
    FIELD_BYTES(struct fdc, result),
    FIELD_U8(struct fdc, result_len, 0),
    FIELD_U8(struct fdc, result_pos, 0),
    FIELD_U8(struct fdc, st0_pending, 0),
    FIELD_BOOL(struct fdc, seek_done, 0),
    FIELD_BOOL(struct fdc, irq_level, 0),
    FIELD_U8(struct fdc, reset_sense, 0),
    FIELD_BYTES(struct fdc, pcn),
    FIELD_U8(struct fdc, config, CONFIG_EFIFO),
    FIELD_U8(struct fdc, pretrk, 0),
    FIELD_U8(struct fdc, srt_hut, 0),
    FIELD_U8(struct fdc, hlt_nd, 0),
    FIELD_U8(struct fdc, perpendicular, 0),
    FIELD_BOOL(struct fdc, locked, 0),
    FIELD_U8(struct fdc, last_eot, 0),
    FIELD_U8(struct fdc, track, 0),
    FIELD_U8(struct fdc, head, 0),
    FIELD_U8(struct fdc, sector, 0),
    FIELD_U8(struct fdc, eot, 0),
    FIELD_U16(struct fdc, left, 0),
    FIELD_BOOL(struct fdc, counted, 0),
    FIELD_BOOL(struct fdc, scan_hit_low, 0),
    FIELD_BOOL(struct fdc, scan_bad, 0),
    FIELD_BOOL(struct fdc, tc, 0),
    FIELD_U8(struct fdc, st2, 0),
    FIELD_U16(struct fdc, pos, 0),
    FIELD_BOOL(struct fdc, fifo_wait, 0),
    FIELD_U16(struct fdc, retries, 0),
    FIELD_TIMER(struct fdc, timer),
    FIELD_BOOL(struct fdc, timer_is_read_id, 0),
    FIELD_BYTES(struct fdc, data),
    FIELD_BYTES(struct fdc, disk),
    FIELD_U8(struct fdc, drives[0].track, 0),
    FIELD_BOOL(struct fdc, drives[0].changed, 0),
    FIELD_U8(struct fdc, drives[1].track, 0),
    FIELD_BOOL(struct fdc, drives[1].changed, 0),
    FIELD_END,
};

const struct device_class fdc_class = {
    .name = "isa-fdc",
    .desc = "floppy disk controller (82078)",
    .size = sizeof(struct fdc),
    .fields = fdc_fields,
    .realize = fdc_realize,
    .unrealize = fdc_unrealize,
    .reset = fdc_reset,
    .post_load = fdc_post_load,
};

struct fdc *fdc_new(struct machine *m, struct i8257 *dma, struct error *err)
{
    struct device *d = device_new(m, &fdc_class);

    if (!d) {
        error_set(err, "isa-fdc: out of memory");
        return NULL;
    }
    ((struct fdc *)d)->dma = dma;
    return device_realize(d, err) ? (struct fdc *)d : NULL;
}

static void insert(struct fdc_drive *d, struct blk *blk)
{
    d->blk = blk;
    d->geo = fdc_guess_geometry(blk ? blk_size(blk) : 0);
    d->changed = true;
}

bool fdc_attach(struct fdc *f, unsigned unit, struct blk *blk, struct error *err)
{
    struct fdc_drive *d = &f->drives[unit % FDC_DRIVES];

    if (unit >= FDC_DRIVES)
        return error_set(err, "floppy: there is no drive %u (only A: and B:, 0 and 1)", unit);
    if (d->present)
        return error_set(err, "floppy: drive %u is taken already", unit);
    d->present = true;
    insert(d, blk);
    d->type = blk ? d->geo->drive : FDC_2880K;
    return true;
}

bool fdc_set_medium(struct fdc *f, unsigned unit, struct blk *blk, struct error *err)
{
    struct fdc_drive *d = fdc_drive(f, unit);

    if (!d)
        return error_set(err, "floppy: there is no drive %u", unit);
    if (f->inflight)
        blk_drain(d->blk);
    insert(d, blk);
    return true;
}

enum fdc_drive_type fdc_drive_type(const struct fdc *f, unsigned unit)
{
    return unit < FDC_DRIVES && f->drives[unit].present ? f->drives[unit].type : FDC_NONE;
}
