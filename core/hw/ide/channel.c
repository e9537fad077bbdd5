/*
 * One IDE channel: command block (0x1f0-0x1f7 or 0x170-0x177), control block (0x3f6/0x376),
 * selection, interrupt and resets, after ATA/ATAPI-6 (T13 1410D), clauses 5, 7 and 9.
 *
 * Both drives of a channel get every register write; only the selected one answers reads and runs
 * commands. The channel's INTRQ is the selected drive's pending interrupt, gated by nIEN; reading
 * Status clears it. A missing drive reads as zeros, as behind a drive 0 that answers for the absent
 * drive 1.
 *
 * Resets (SRST, EXECUTE DEVICE DIAGNOSTIC, hardware) forget a running command. If a block request
 * is out then, its buffer is still in use: the drive stays busy, marked stale, and its reset
 * completes with the request.
 */
#include <string.h>

#include "hw/ide/ide_int.h"
#include "log.h"
#include "machine.h"

enum { REG_DATA, REG_ERROR, REG_NSECTOR, REG_SECTOR, REG_LCYL, REG_HCYL, REG_SELECT, REG_STATUS };

void ide_update_irq(struct ide_channel *ch)
{
    int level = ide_selected(ch)->irq_pending && !(ch->control & CTRL_NIEN);

    if (level == ch->irq_level)
        return;
    ch->irq_level = level;
    if (level)
        ch->bm_status |= BM_STATUS_INT;
    irq_set(&ch->ctl->pci.dev.machine->isa_irq[14 + ch->index], level);
}

void ide_raise_irq(struct ide_drive *d)
{
    d->irq_pending = true;
    ide_update_irq(d->ch);
}

void ide_done(struct ide_drive *d)
{
    d->xfer = XFER_NONE;
    d->next = NEXT_IDLE;
    d->error = 0;
    d->status = READY_STAT | SEEK_STAT;
    ide_raise_irq(d);
}

void ide_fail(struct ide_drive *d, uint8_t error)
{
    d->xfer = XFER_NONE;
    d->next = NEXT_IDLE;
    d->error = error;
    d->status = READY_STAT | ERR_STAT;
    ide_raise_irq(d);
}

void ide_pio(struct ide_drive *d, enum ide_xfer xfer, uint32_t pos, uint32_t len,
             enum ide_next next)
{
    d->xfer = xfer;
    d->next = next;
    d->pos = pos;
    d->end = pos + len;
    d->status = READY_STAT | SEEK_STAT | DRQ_STAT;
}

static void dma_go(struct ide_drive *d)
{
    if (d->kind == IDE_CD)
        atapi_dma_go(d);
    else
        ata_dma_go(d);
}

void ide_dma(struct ide_drive *d, enum ide_xfer xfer, enum ide_next next)
{
    d->xfer = xfer;
    d->next = next;
    d->status = READY_STAT | SEEK_STAT | DRQ_STAT;
    if (bmdma_running(d->ch))
        dma_go(d);
}

static void transfer_done(struct ide_drive *d)
{
    d->xfer = XFER_NONE;
    if (d->kind == IDE_CD && d->next != NEXT_IDLE)
        atapi_transfer_done(d);
    else
        ata_transfer_done(d);
}

/* ---- block requests ---- */

/* What a reset leaves: signature, diagnostic code, no transfer. A CD drive isn't "ready" until it
 * gets a command. */
static void finish_reset(struct ide_drive *d)
{
    d->xfer = XFER_NONE;
    d->next = NEXT_IDLE;
    ide_set_signature(d);
    d->error = 1;
    d->status = d->kind == IDE_HD ? READY_STAT | SEEK_STAT : 0;
    if (d->kind == IDE_CD)
        atapi_reset(d);
}

static void block_done(void *opaque, int ret)
{
    struct ide_drive *d = opaque;

    d->inflight = false;
    if (d->stale) {
        d->stale = false;
        if (!(d->ch->control & CTRL_SRST))
            finish_reset(d);
        return;
    }
    if (d->kind == IDE_CD)
        atapi_block_done(d, ret);
    else
        ata_block_done(d, ret);
}

void ide_blk_read(struct ide_drive *d, uint64_t offset, uint32_t at, uint32_t len)
{
    d->inflight = true;
    blk_read(d->blk, offset, d->buf + at, len, block_done, d);
}

void ide_blk_write(struct ide_drive *d, uint64_t offset, uint32_t len)
{
    d->inflight = true;
    blk_write(d->blk, offset, d->buf, len, block_done, d);
}

void ide_blk_flush(struct ide_drive *d)
{
    d->inflight = true;
    d->status = READY_STAT | SEEK_STAT | BUSY_STAT;
    d->next = NEXT_FLUSH;
    blk_flush(d->blk, block_done, d);
}

/* ---- resets ---- */

void ide_set_signature(struct ide_drive *d)
{
    d->select &= 0xf0; /* head 0 */
    d->nsector = 1;
    d->sector = 1;
    if (d->kind == IDE_CD) {
        d->lcyl = 0x14;
        d->hcyl = 0xeb;
    } else if (d->kind == IDE_HD) {
        d->lcyl = 0;
        d->hcyl = 0;
    } else {
        d->lcyl = 0xff;
        d->hcyl = 0xff;
    }
}

static void reset_drive(struct ide_drive *d)
{
    d->irq_pending = false;
    if (d->inflight) {
        d->stale = true;
        d->status = BUSY_STAT;
    } else {
        finish_reset(d);
    }
}

void ide_drive_loaded(struct ide_drive *d, bool good)
{
    d->inflight = d->stale = false;
    if (d->kind == IDE_NONE) {
        d->xfer = XFER_NONE;
        d->next = NEXT_IDLE;
        d->status = 0;
    } else if (!good && !(d->ch->control & CTRL_SRST)) {
        d->block = 1;
        d->mult_sectors = IDE_MULT_MAX;
        d->sector_size = CD_SECTOR;
        d->end = d->chunk = 0;
        d->pos = d->fill = 0;
        finish_reset(d);
    }
}

/* EXECUTE DEVICE DIAGNOSTIC and the end of SRST: both drives. */
void ide_diagnose(struct ide_channel *ch)
{
    ch->drive1 = false;
    for (int i = 0; i < 2; i++) {
        ch->drives[i].select = 0xa0;
        reset_drive(&ch->drives[i]);
    }
    ide_update_irq(ch);
}

void ide_channel_reset(struct ide_channel *ch)
{
    for (int i = 0; i < 2; i++) {
        struct ide_drive *d = &ch->drives[i];

        d->select = 0xa0;
        d->mult_sectors = IDE_MULT_MAX;
        d->cur_heads = (uint16_t)d->geo.heads;
        d->cur_sectors = (uint16_t)d->geo.sectors;
        reset_drive(d);
    }
    ide_update_irq(ch);
}

/* ---- registers ---- */

static uint16_t data_read(struct ide_drive *d)
{
    uint16_t v;

    if (!(d->status & DRQ_STAT) || d->xfer != XFER_PIO_IN)
        return 0;
    /* The last byte of an odd reply comes with a pad byte; buf is larger than any block. */
    v = pci_get16(d->buf + d->pos);
    d->pos += 2;
    if (d->pos >= d->end)
        transfer_done(d);
    return v;
}

static void data_write(struct ide_drive *d, uint16_t v)
{
    if (!(d->status & DRQ_STAT) || d->xfer != XFER_PIO_OUT)
        return;
    pci_set16(d->buf + d->pos, v);
    d->pos += 2;
    if (d->pos >= d->end)
        transfer_done(d);
}

static uint8_t reg_read(struct ide_channel *ch, unsigned reg)
{
    struct ide_drive *d = ide_selected(ch);
    bool hob = ch->control & CTRL_HOB;

    if (ch->drives[0].kind == IDE_NONE && ch->drives[1].kind == IDE_NONE)
        return 0;
    switch (reg) {
    case REG_ERROR: return d->kind == IDE_NONE ? 0 : hob ? d->hob_feature : d->error;
    case REG_NSECTOR: return hob ? d->hob_nsector : d->nsector;
    case REG_SECTOR: return hob ? d->hob_sector : d->sector;
    case REG_LCYL: return hob ? d->hob_lcyl : d->lcyl;
    case REG_HCYL: return hob ? d->hob_hcyl : d->hcyl;
    case REG_SELECT: return d->select;
    case REG_STATUS:
        d->irq_pending = false;
        ide_update_irq(ch);
        return d->kind == IDE_NONE ? 0 : d->status;
    default: return 0xff;
    }
}

static void reg_write(struct ide_channel *ch, unsigned reg, uint8_t v)
{
    struct ide_drive *selected = ide_selected(ch);

    if (reg == REG_STATUS) {
        ch->control &= (uint8_t)~CTRL_HOB;
        ata_command(selected, v);
        return;
    }
    if (selected->status & BUSY_STAT) {
        log_mask(LOG_GUEST_ERRORS, "ide%d: write of 0x%02x to register %u while busy", ch->index, v,
                 reg);
        return;
    }
    ch->control &= (uint8_t)~CTRL_HOB;
    for (int i = 0; i < 2; i++) {
        struct ide_drive *d = &ch->drives[i];

        switch (reg) {
        case REG_ERROR:
            d->hob_feature = d->feature;
            d->feature = v;
            break;
        case REG_NSECTOR:
            d->hob_nsector = d->nsector;
            d->nsector = v;
            break;
        case REG_SECTOR:
            d->hob_sector = d->sector;
            d->sector = v;
            break;
        case REG_LCYL:
            d->hob_lcyl = d->lcyl;
            d->lcyl = v;
            break;
        case REG_HCYL:
            d->hob_hcyl = d->hcyl;
            d->hcyl = v;
            break;
        case REG_SELECT: d->select = v | 0xa0; break;
        default: break;
        }
    }
    if (reg == REG_SELECT) {
        ch->drive1 = v & SELECT_DEV1;
        ide_update_irq(ch);
    }
}

static uint64_t cmd_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *ch = opaque;
    uint64_t v = 0;

    if (offset == 0 && size >= 2) {
        v = data_read(ide_selected(ch));
        if (size == 4)
            v |= (uint64_t)data_read(ide_selected(ch)) << 16;
        return v;
    }
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)reg_read(ch, (unsigned)offset + i) << (8 * i);
    return v;
}

static void cmd_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ide_channel *ch = opaque;

    if (offset == 0 && size >= 2) {
        data_write(ide_selected(ch), (uint16_t)value);
        if (size == 4)
            data_write(ide_selected(ch), (uint16_t)(value >> 16));
        return;
    }
    for (unsigned i = 0; i < size; i++)
        reg_write(ch, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
}

/* Alternate status: like status, without clearing the interrupt. */
static uint64_t ctl_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *ch = opaque;
    struct ide_drive *d = ide_selected(ch);

    return d->kind == IDE_NONE ? 0 : d->status;
}

static void ctl_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ide_channel *ch = opaque;
    uint8_t old = ch->control;

    ch->control = (uint8_t)value;
    if (!(old & CTRL_SRST) && (value & CTRL_SRST)) {
        for (int i = 0; i < 2; i++) {
            struct ide_drive *d = &ch->drives[i];

            d->xfer = XFER_NONE;
            d->next = NEXT_IDLE;
            d->stale = d->inflight;
            d->irq_pending = false;
            d->status = BUSY_STAT;
        }
    } else if ((old & CTRL_SRST) && !(value & CTRL_SRST)) {
        ide_diagnose(ch);
    }
    ide_update_irq(ch);
}

static const struct mem_ops cmd_ops = { cmd_read, cmd_write, 1, 4 };
static const struct mem_ops ctl_ops = { ctl_read, ctl_write, 1, 1 };

void ide_channel_init(struct ide_channel *ch, struct piix_ide *ctl, unsigned index)
{
    struct machine *m = ctl->pci.dev.machine;

    ch->ctl = ctl;
    ch->index = (uint8_t)index;
    for (unsigned i = 0; i < 2; i++) {
        ch->drives[i].ch = ch;
        ch->drives[i].unit = (uint8_t)i;
    }
    mem_region_init_io(&ch->cmd_region, index ? "ide1-cmd" : "ide0-cmd", 8, &cmd_ops, ch);
    mem_region_init_io(&ch->ctl_region, index ? "ide1-ctl" : "ide0-ctl", 1, &ctl_ops, ch);
    mem_region_add(&m->io, &ch->cmd_region, index ? 0x170 : 0x1f0, 0);
    mem_region_add(&m->io, &ch->ctl_region, index ? 0x376 : 0x3f6, 0);
}
