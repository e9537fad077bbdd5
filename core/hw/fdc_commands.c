/*
 * The floppy controller's commands: a handler each, the table that says how many bytes they take,
 * and the FIFO that brings them and takes their results. 82078 data sheet, chapter 5.
 */
#include <string.h>

#include "block/block.h"
#include "hw/fdc_int.h"
#include "log.h"
#include "machine.h"

/* ---- commands ---- */

static void cmd_read(struct fdc *f)
{
    fdc_start_transfer(f, OP_READ);
}

/* No image has deleted data: the first sector is transferred and ends the command, or all are
 * skipped. */
static void cmd_read_deleted(struct fdc *f)
{
    if (f->cmd[0] & CMD_SK) {
        fdc_start_transfer(f, OP_VERIFY);
        return;
    }
    fdc_start_transfer(f, OP_READ);
    f->st2 = ST2_CONTROL_MARK;
}

static void cmd_write(struct fdc *f)
{
    fdc_start_transfer(f, OP_WRITE);
}

static void cmd_verify(struct fdc *f)
{
    uint8_t count = f->cmd[8];

    fdc_start_transfer(f, OP_VERIFY);
    if (f->cmd[1] & 0x80) { /* EC: count in the DTL byte */
        f->counted = true;
        f->left = count ? count : 256;
    }
}

/* Whole track from its first sector on; EOT is a count. */
static void cmd_read_track(struct fdc *f)
{
    f->cmd[0] &= (uint8_t)~CMD_MT;
    f->cmd[4] = 1;
    fdc_start_transfer(f, OP_READ);
}

static void cmd_scan(struct fdc *f)
{
    fdc_start_transfer(f, OP_SCAN);
}

static void cmd_format(struct fdc *f)
{
    struct fdc_drive *d = fdc_drive(f, fdc_selected(f));
    uint8_t n = f->cmd[2], count = f->cmd[3];

    f->phase = PHASE_EXECUTION;
    f->op = OP_FORMAT;
    f->tc = f->scan_bad = f->scan_hit_low = false;
    f->st2 = 0;
    f->track = d ? d->track : 0;
    f->head = f->cmd[1] >> 2 & 1;
    f->sector = 1;
    f->eot = 0;
    f->counted = true;
    f->left = count;
    if (n != 2 || count == 0 || f->inflight)
        fdc_end_transfer(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
    else
        fdc_next_sector(f);
}

static void cmd_read_id(struct fdc *f)
{
    struct fdc_drive *d = fdc_drive(f, fdc_selected(f));

    f->phase = PHASE_EXECUTION;
    f->head = f->cmd[1] >> 2 & 1;
    if (d)
        f->track = d->track;
    f->timer_is_read_id = true;
    timer_mod(&f->timer, clock_now_ns(&f->dev.machine->clock) + READ_ID_NS);
}

static void read_id_done(struct fdc *f)
{
    struct fdc_drive *d = fdc_drive(f, fdc_selected(f));

    /* Which sector comes by is a matter of time: the next after the last one seen. */
    if (d && f->sector < d->geo->sectors)
        f->sector++;
    else
        f->sector = 1;
    if (!d || !d->blk || d->geo->rate != (f->dsr & DSR_RATE) || d->track >= d->geo->tracks ||
        f->head >= d->geo->heads)
        fdc_transfer_result(f, ST0_ABNORMAL, ST1_MISSING_AM, 0);
    else
        fdc_transfer_result(f, 0, 0, 0);
}

void fdc_timer_fired(void *opaque)
{
    struct fdc *f = opaque;

    if (f->timer_is_read_id)
        read_id_done(f);
    else
        fdc_run_dma(f);
}

static void cmd_specify(struct fdc *f)
{
    f->srt_hut = f->cmd[1];
    f->hlt_nd = f->cmd[2];
    fdc_to_command(f);
}

static void cmd_sense_drive(struct fdc *f)
{
    unsigned unit = fdc_selected(f);
    struct fdc_drive *d = fdc_drive(f, unit);
    uint8_t st3 = (uint8_t)(0x28 | (f->cmd[1] & 7));

    if (d && d->track == 0)
        st3 |= 0x10;
    if (d && d->blk && blk_readonly(d->blk))
        st3 |= 0x40;
    f->result[0] = st3;
    fdc_to_result(f, 1);
}

static void cmd_recalibrate(struct fdc *f)
{
    unsigned unit = fdc_selected(f);
    struct fdc_drive *d = fdc_drive(f, unit);

    if (d)
        fdc_step_to(d, 0);
    f->pcn[unit] = 0;
    /* Without a drive, track 0 never comes. */
    fdc_seek_finished(f, unit, d ? 0 : ST0_ABNORMAL | 0x10);
}

static void cmd_seek(struct fdc *f)
{
    unsigned unit = fdc_selected(f);
    struct fdc_drive *d = fdc_drive(f, unit);
    int step = f->cmd[2];

    f->head = f->cmd[1] >> 2 & 1;
    if (f->cmd[0] & CMD_MT) { /* relative; bit 6: inwards */
        if (!(f->cmd[0] & 0x40))
            step = -step;
        if (d)
            fdc_step_to(d, d->track + step < 0 ? 0 : (unsigned)(d->track + step));
        f->pcn[unit] = (uint8_t)(f->pcn[unit] + step);
    } else {
        if (d)
            fdc_step_to(d, f->cmd[2]);
        f->pcn[unit] = f->cmd[2];
    }
    fdc_seek_finished(f, unit, (uint8_t)(f->head << 2));
}

static void cmd_sense_interrupt(struct fdc *f)
{
    if (f->reset_sense) {
        f->result[0] = (uint8_t)(ST0_POLLING | (4 - f->reset_sense));
        f->result[1] = f->pcn[4 - f->reset_sense];
        f->reset_sense--;
    } else if (f->seek_done) {
        f->result[0] = f->st0_pending;
        f->result[1] = f->pcn[f->st0_pending & 3];
        f->seek_done = false;
    } else {
        fdc_invalid_command(f);
        return;
    }
    fdc_set_irq(f, false);
    fdc_to_result(f, 2);
}

static void cmd_version(struct fdc *f)
{
    f->result[0] = 0x90; /* 82077AA or later */
    fdc_to_result(f, 1);
}

static void cmd_partid(struct fdc *f)
{
    f->result[0] = 0x41; /* 82078, stepping 1 */
    fdc_to_result(f, 1);
}

static void cmd_configure(struct fdc *f)
{
    f->config = f->cmd[2] & 0x7f;
    f->pretrk = f->cmd[3];
    fdc_to_command(f);
}

static void cmd_lock(struct fdc *f)
{
    f->locked = f->cmd[0] & 0x80;
    f->result[0] = (uint8_t)(f->locked << 4);
    fdc_to_result(f, 1);
}

static void cmd_perpendicular(struct fdc *f)
{
    uint8_t v = f->cmd[1];

    f->perpendicular = (uint8_t)((v & 0x80) ? v & 0x3f : (f->perpendicular & 0x3c) | (v & 3));
    fdc_to_command(f);
}

static void cmd_dumpreg(struct fdc *f)
{
    memcpy(f->result, f->pcn, 4);
    f->result[4] = f->srt_hut;
    f->result[5] = f->hlt_nd;
    f->result[6] = f->last_eot;
    f->result[7] = (uint8_t)(f->locked << 7 | f->perpendicular);
    f->result[8] = f->config;
    f->result[9] = f->pretrk;
    fdc_to_result(f, 10);
}

/* SAVE and RESTORE: the registers that a power manager keeps. */
static void cmd_save(struct fdc *f)
{
    memset(f->result, 0, 16);
    f->result[2] = (uint8_t)(f->dsr & DSR_RATE);
    memcpy(f->result + 3, f->pcn, 4);
    f->result[7] = f->srt_hut;
    f->result[8] = f->hlt_nd;
    f->result[9] = f->last_eot;
    f->result[10] = (uint8_t)(f->locked << 7 | f->perpendicular);
    f->result[11] = f->config;
    f->result[12] = f->pretrk;
    fdc_to_result(f, 15);
}

static void cmd_restore(struct fdc *f)
{
    memcpy(f->pcn, f->cmd + 4, 4);
    f->srt_hut = f->cmd[8];
    f->hlt_nd = f->cmd[9];
    f->last_eot = f->cmd[10];
    f->locked = f->cmd[11] >> 7;
    f->perpendicular = f->cmd[11] & 0x3f;
    f->config = f->cmd[12] & 0x7f;
    f->pretrk = f->cmd[13];
    fdc_to_command(f);
}

static void cmd_powerdown(struct fdc *f)
{
    f->result[0] = f->cmd[1];
    fdc_to_result(f, 1);
}

static void cmd_option(struct fdc *f)
{
    fdc_to_command(f);
}

/* DRIVE SPECIFICATION: pairs of bytes until one has bit 7; bit 6 of that one: no result phase. */
static void cmd_drive_spec(struct fdc *f)
{
    uint8_t last = f->cmd[f->cmd_len - 1];

    if (!(last & 0x80) && f->cmd_len < 6) {
        f->cmd_want = (uint8_t)(f->cmd_len + 1);
        return;
    }
    if (last & 0x40) {
        fdc_to_command(f);
        return;
    }
    memset(f->result, 0, 4);
    fdc_to_result(f, 4);
}

/* First match wins; `len` counts the command byte. */
static const struct {
    uint8_t mask, code, len;
    void (*run)(struct fdc *f);
} commands[] = {
    { 0x1f, 0x06, 9, cmd_read },
    { 0x3f, 0x05, 9, cmd_write },
    { 0xff, 0x0f, 3, cmd_seek },
    { 0xbf, 0x8f, 3, cmd_seek },
    { 0xff, 0x08, 1, cmd_sense_interrupt },
    { 0xff, 0x07, 2, cmd_recalibrate },
    { 0xbf, 0x0d, 6, cmd_format },
    { 0xbf, 0x0a, 2, cmd_read_id },
    { 0x1f, 0x0c, 9, cmd_read_deleted },
    { 0x3f, 0x09, 9, cmd_write },
    { 0x9f, 0x02, 9, cmd_read_track },
    { 0x1f, 0x16, 9, cmd_verify },
    { 0x1f, 0x11, 9, cmd_scan },
    { 0x1f, 0x19, 9, cmd_scan },
    { 0x1f, 0x1d, 9, cmd_scan },
    { 0xff, 0x03, 3, cmd_specify },
    { 0xff, 0x04, 2, cmd_sense_drive },
    { 0xff, 0x10, 1, cmd_version },
    { 0xff, 0x12, 2, cmd_perpendicular },
    { 0xff, 0x13, 4, cmd_configure },
    { 0x7f, 0x14, 1, cmd_lock },
    { 0xff, 0x0e, 1, cmd_dumpreg },
    { 0xff, 0x18, 1, cmd_partid },
    { 0xff, 0x2e, 1, cmd_save },
    { 0xff, 0x4e, 17, cmd_restore },
    { 0xff, 0x17, 2, cmd_powerdown },
    { 0xff, 0x33, 2, cmd_option },
    { 0xff, 0x8e, 2, cmd_drive_spec },
};

static int find_command(uint8_t code)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if ((code & commands[i].mask) == commands[i].code)
            return (int)i;
    return -1;
}

static void command_byte(struct fdc *f, uint8_t v)
{
    int i;

    f->cmd[f->cmd_len++] = v;
    i = find_command(f->cmd[0]);
    if (f->cmd_len == 1) {
        if (i < 0) {
            log_mask(LOG_GUEST_ERRORS, "fdc: unknown command 0x%02x", v);
            fdc_invalid_command(f);
            return;
        }
        f->cmd_want = commands[i].len;
    }
    if (f->cmd_len >= f->cmd_want)
        commands[i].run(f);
}

/* ---- FIFO ---- */

uint8_t fdc_fifo_read(struct fdc *f)
{
    uint8_t v;

    if (f->phase == PHASE_RESULT) {
        v = f->result[f->result_pos++];
        fdc_set_irq(f, false);
        if (f->result_pos == f->result_len)
            fdc_to_command(f);
        return v;
    }
    if (f->fifo_wait && f->op == OP_READ) {
        v = f->data[f->pos++];
        fdc_set_irq(f, false);
        if (f->pos == SECTOR_BYTES)
            fdc_data_finished(f);
        return v;
    }
    log_mask(LOG_GUEST_ERRORS, "fdc: read of the FIFO with nothing in it");
    return 0;
}

void fdc_fifo_write(struct fdc *f, uint8_t v)
{
    if (!(f->dor & DOR_NRESET))
        return;
    f->dsr &= (uint8_t)~DSR_POWERDOWN;
    if (f->phase == PHASE_COMMAND) {
        command_byte(f, v);
    } else if (f->fifo_wait && f->op != OP_READ) {
        f->data[f->pos++] = v;
        fdc_set_irq(f, false);
        if (f->pos == fdc_block_bytes(f))
            fdc_data_finished(f);
    } else {
        log_mask(LOG_GUEST_ERRORS, "fdc: write of 0x%02x to the FIFO in phase %u", v, f->phase);
    }
}
