/*
 * ATA commands: the command set of disks and the few commands that CD drives share, after
 * ATA/ATAPI-6 (T13 1410D).
 *
 * A table gives each command code its handler, the drives it exists on and, for transfers, its
 * shape. Reads fetch up to 64 KB at once into the buffer and present it in DRQ blocks of one sector
 * (or of SET MULTIPLE's count); writes go out block by block. The address registers follow the
 * transfer: they name the next sector, and after an error the one that failed. DMA waits in DRQ
 * until the bus master is started (or goes at once if it is).
 */
#include <errno.h>
#include <string.h>

#include "hw/ide/ide_int.h"
#include "log.h"
#include "machine.h"

enum { ON_HD = 1, ON_CD = 2, ON_BOTH = 3 };
enum { OP_READ = 1, OP_WRITE = 2, OP_VERIFY = 4, OP_DMA = 8, OP_MULT = 16, OP_EXT = 32 };

struct ata_op {
    void (*run)(struct ide_drive *d, uint8_t shape);
    uint8_t on;
    uint8_t shape;
};

/* ---- addresses ---- */

/* The first sector that the registers name. False: not a possible address. */
static bool get_lba(const struct ide_drive *d, bool ext, uint64_t *lba)
{
    uint32_t low = d->sector | (uint32_t)d->lcyl << 8 | (uint32_t)d->hcyl << 16;

    if (ext) {
        *lba = low | (uint64_t)d->hob_sector << 24 | (uint64_t)d->hob_lcyl << 32 |
               (uint64_t)d->hob_hcyl << 40;
    } else if (d->select & SELECT_LBA) {
        *lba = low | (uint32_t)(d->select & 15) << 24;
    } else {
        uint32_t cylinder = d->lcyl | (uint32_t)d->hcyl << 8, head = d->select & 15;

        if (!d->cur_heads || !d->cur_sectors || d->sector == 0 || d->sector > d->cur_sectors ||
            head >= d->cur_heads)
            return false;
        *lba = ((uint64_t)cylinder * d->cur_heads + head) * d->cur_sectors + d->sector - 1;
    }
    return true;
}

static void set_lba(struct ide_drive *d, uint64_t lba)
{
    if (d->ext || (d->select & SELECT_LBA)) {
        d->sector = (uint8_t)lba;
        d->lcyl = (uint8_t)(lba >> 8);
        d->hcyl = (uint8_t)(lba >> 16);
        if (d->ext) {
            d->hob_sector = (uint8_t)(lba >> 24);
            d->hob_lcyl = (uint8_t)(lba >> 32);
            d->hob_hcyl = (uint8_t)(lba >> 40);
        } else {
            d->select = (uint8_t)((d->select & 0xf0) | (lba >> 24 & 15));
        }
    } else if (d->cur_heads && d->cur_sectors) {
        uint64_t track = lba / d->cur_sectors, cylinder = track / d->cur_heads;

        d->sector = (uint8_t)(lba % d->cur_sectors + 1);
        d->select = (uint8_t)((d->select & 0xf0) | (track % d->cur_heads & 15));
        d->lcyl = (uint8_t)cylinder;
        d->hcyl = (uint8_t)(cylinder >> 8);
    }
}

static void advance(struct ide_drive *d, uint32_t sectors)
{
    d->lba += sectors;
    d->remaining -= sectors;
    set_lba(d, d->lba);
    d->nsector = (uint8_t)d->remaining;
}

static void io_error(struct ide_drive *d, int ret, bool write)
{
    log_mask(LOG_UNIMP, "ide%d:%d: %s of sector %llu failed: %s", d->ch->index, d->unit,
             write ? "write" : "read", (unsigned long long)d->lba, strerror(-ret));
    ide_fail(d, write ? ABRT_ERR : ECC_ERR);
}

/* ---- PIO ---- */

/* Fetches the next sectors into the buffer. */
static void read_more(struct ide_drive *d)
{
    uint64_t there = d->lba < d->sectors ? d->sectors - d->lba : 0;
    uint32_t n = d->remaining < IDE_BUF_SECTORS ? d->remaining : IDE_BUF_SECTORS;

    if (n > there)
        n = (uint32_t)there;
    if (n == 0) {
        ide_abort(d);
        return;
    }
    d->status = READY_STAT | SEEK_STAT | BUSY_STAT;
    d->next = NEXT_READ;
    d->chunk = n;
    ide_blk_read(d, d->lba * 512, 0, n * 512);
}

static void present_block(struct ide_drive *d, uint32_t at)
{
    uint32_t n = d->block < d->remaining ? d->block : d->remaining;

    if (n > (d->fill - at) / 512)
        n = (d->fill - at) / 512;
    advance(d, n);
    ide_pio(d, XFER_PIO_IN, at, n * 512, NEXT_READ);
    ide_raise_irq(d);
}

static void want_block(struct ide_drive *d)
{
    uint32_t n = d->block < d->remaining ? d->block : d->remaining;

    ide_pio(d, XFER_PIO_OUT, 0, n * 512, NEXT_WRITE);
}

static void write_block(struct ide_drive *d)
{
    uint32_t n = d->end / 512;

    if (d->lba >= d->sectors || n > d->sectors - d->lba) {
        ide_abort(d);
        return;
    }
    d->status = READY_STAT | SEEK_STAT | BUSY_STAT;
    d->chunk = n;
    ide_blk_write(d, d->lba * 512, n * 512);
}

/* All sectors are with the block layer; without write cache the command isn't over before they are
 * on the medium. */
static void write_end(struct ide_drive *d)
{
    if (!d->write_cache)
        ide_blk_flush(d);
    else
        ide_done(d);
}

void ata_transfer_done(struct ide_drive *d)
{
    switch (d->next) {
    case NEXT_READ:
        if (d->remaining == 0)
            d->status = READY_STAT | SEEK_STAT;
        else if (d->end < d->fill)
            present_block(d, d->end);
        else
            read_more(d);
        break;
    case NEXT_WRITE: write_block(d); break;
    default: d->status = READY_STAT | SEEK_STAT; break;
    }
}

/* ---- DMA ---- */

static void dma_finish(struct ide_drive *d, bool short_prd)
{
    bmdma_end(d->ch, short_prd);
    if (short_prd) {
        /* The bus master stopped with data left: the drive never gets to its interrupt. */
        d->xfer = XFER_NONE;
        d->next = NEXT_IDLE;
        d->status = READY_STAT | SEEK_STAT;
    } else if (d->xfer == XFER_DMA_OUT) {
        write_end(d);
    } else {
        ide_done(d);
    }
}

void ata_dma_go(struct ide_drive *d)
{
    uint32_t n = d->remaining < IDE_BUF_SECTORS ? d->remaining : IDE_BUF_SECTORS;

    if (d->inflight)
        return;
    d->chunk = n;
    if (d->xfer == XFER_DMA_IN) {
        ide_blk_read(d, d->lba * 512, 0, n * 512);
        return;
    }
    /* Whole sectors that the descriptors gave are written even if they end too early. */
    d->chunk = bmdma_transfer(d->ch, d->buf, n * 512, false) / 512;
    if (d->chunk == 0)
        dma_finish(d, true);
    else
        ide_blk_write(d, d->lba * 512, d->chunk * 512);
}

static void dma_block_done(struct ide_drive *d)
{
    bool short_prd;

    if (d->xfer == XFER_DMA_IN) {
        if (!bmdma_running(d->ch))
            return; /* stopped meanwhile: the sectors are read again when it is started again */
        d->chunk = bmdma_transfer(d->ch, d->buf, d->chunk * 512, true) / 512;
    }
    short_prd = d->chunk < (d->remaining < IDE_BUF_SECTORS ? d->remaining : IDE_BUF_SECTORS);
    advance(d, d->chunk);
    if (d->remaining == 0 || short_prd)
        dma_finish(d, short_prd);
    else if (bmdma_running(d->ch))
        ata_dma_go(d);
}

void ata_block_done(struct ide_drive *d, int ret)
{
    if (d->next == NEXT_FLUSH) {
        if (ret < 0)
            ide_fail(d, ABRT_ERR);
        else
            ide_done(d);
        return;
    }
    if (ret < 0) {
        bool dma = d->xfer == XFER_DMA_IN || d->xfer == XFER_DMA_OUT;

        io_error(d, ret, d->next == NEXT_WRITE);
        if (dma)
            bmdma_end(d->ch, true);
    } else if (d->xfer == XFER_DMA_IN || d->xfer == XFER_DMA_OUT) {
        dma_block_done(d);
    } else if (d->next == NEXT_READ) {
        d->fill = d->chunk * 512;
        present_block(d, 0);
    } else {
        advance(d, d->chunk);
        if (d->remaining == 0) {
            write_end(d);
        } else {
            want_block(d);
            ide_raise_irq(d);
        }
    }
}

/* ---- transfer commands ---- */

static void cmd_transfer(struct ide_drive *d, uint8_t shape)
{
    uint32_t count = d->nsector;

    d->ext = shape & OP_EXT;
    if (d->ext) {
        count |= (uint32_t)d->hob_nsector << 8;
        if (!count)
            count = 65536;
    } else if (!count) {
        count = 256;
    }
    if (!get_lba(d, d->ext, &d->lba) || ((shape & OP_MULT) && !d->mult_sectors)) {
        ide_abort(d);
        return;
    }
    d->remaining = count;
    d->block = (shape & OP_MULT) ? d->mult_sectors : 1;
    d->error = 0;
    if (shape & (OP_DMA | OP_VERIFY)) {
        if (d->lba >= d->sectors || count > d->sectors - d->lba) {
            ide_abort(d);
            return;
        }
    }
    if (shape & OP_VERIFY) {
        ide_done(d);
    } else if (shape & OP_DMA) {
        ide_dma(d, (shape & OP_READ) ? XFER_DMA_IN : XFER_DMA_OUT,
                (shape & OP_READ) ? NEXT_READ : NEXT_WRITE);
    } else if (shape & OP_READ) {
        read_more(d);
    } else {
        want_block(d);
    }
}

static void cmd_flush(struct ide_drive *d, uint8_t shape)
{
    if (d->blk)
        ide_blk_flush(d);
    else
        ide_done(d);
}

/* ---- others ---- */

static void cmd_nop_ok(struct ide_drive *d, uint8_t shape)
{
    ide_done(d);
}

static void cmd_nop(struct ide_drive *d, uint8_t shape)
{
    ide_abort(d); /* that is NOP's defined result */
}

static void cmd_seek(struct ide_drive *d, uint8_t shape)
{
    uint64_t lba;

    if (!get_lba(d, false, &lba) || lba >= d->sectors)
        ide_abort(d);
    else
        ide_done(d);
}

static void cmd_identify(struct ide_drive *d, uint8_t shape)
{
    if (d->kind == IDE_CD) {
        ide_set_signature(d);
        ide_abort(d);
        return;
    }
    ide_identify(d);
    d->error = 0;
    ide_pio(d, XFER_PIO_IN, 0, 512, NEXT_IDLE);
    ide_raise_irq(d);
}

static void cmd_identify_packet(struct ide_drive *d, uint8_t shape)
{
    ide_identify_packet(d);
    d->error = 0;
    ide_pio(d, XFER_PIO_IN, 0, 512, NEXT_IDLE);
    ide_raise_irq(d);
}

/* READ SECTORS on a CD drive: how drivers tell that it is one. */
static void cmd_not_a_disk(struct ide_drive *d, uint8_t shape)
{
    ide_set_signature(d);
    ide_abort(d);
}

static void cmd_read_native_max(struct ide_drive *d, uint8_t shape)
{
    uint64_t last;

    if (d->sectors == 0) {
        ide_abort(d);
        return;
    }
    last = d->sectors - 1;
    d->ext = shape & OP_EXT;
    if (!d->ext && (d->select & SELECT_LBA) && last > 0xfffffff)
        last = 0xfffffff;
    set_lba(d, last);
    ide_done(d);
}

static void cmd_set_multiple(struct ide_drive *d, uint8_t shape)
{
    uint8_t n = d->nsector;

    if (n > IDE_MULT_MAX || (n & (n - 1))) {
        ide_abort(d);
        return;
    }
    d->mult_sectors = n;
    ide_done(d);
}

static void cmd_specify(struct ide_drive *d, uint8_t shape)
{
    if (d->nsector == 0) {
        ide_abort(d);
        return;
    }
    d->cur_heads = (d->select & 15) + 1;
    d->cur_sectors = d->nsector;
    ide_done(d);
}

static void cmd_check_power(struct ide_drive *d, uint8_t shape)
{
    d->nsector = 0xff; /* active or idle */
    ide_done(d);
}

static bool set_transfer_mode(struct ide_drive *d)
{
    uint8_t mode = d->nsector & 7, bit = (uint8_t)(1u << mode);

    switch (d->nsector >> 3) {
    case 0: /* PIO default */
    case 1: /* PIO with flow control */
        d->swdma_mode = d->mdma_mode = d->udma_mode = 0;
        return mode <= 4;
    case 2: d->swdma_mode = bit, d->mdma_mode = d->udma_mode = 0; return mode <= 2;
    case 4: d->mdma_mode = bit, d->swdma_mode = d->udma_mode = 0; return mode <= 2;
    case 8: d->udma_mode = bit, d->swdma_mode = d->mdma_mode = 0; return mode <= 5;
    default: return false;
    }
}

static void cmd_set_features(struct ide_drive *d, uint8_t shape)
{
    switch (d->feature) {
    case 0x02: d->write_cache = true; break;
    case 0x82:
        d->write_cache = false;
        cmd_flush(d, shape);
        return;
    case 0x03:
        if (!set_transfer_mode(d)) {
            ide_abort(d);
            return;
        }
        break;
    case 0x05: /* advanced power management on, off */
    case 0x85:
    case 0x42: /* acoustic management on, off */
    case 0xc2:
    case 0x55: /* read look-ahead off, on */
    case 0xaa:
    case 0x66: /* keep settings over a soft reset, or not */
    case 0xcc:
    case 0x67:
    case 0x69:
    case 0x96:
    case 0x9a: break;
    default: ide_abort(d); return;
    }
    ide_done(d);
}

static void cmd_diagnostic(struct ide_drive *d, uint8_t shape)
{
    struct ide_channel *ch = d->ch;

    ide_diagnose(ch);
    ide_raise_irq(&ch->drives[0]);
}

/* DEVICE RESET: the one command that a busy CD drive takes; no interrupt. */
static void cmd_device_reset(struct ide_drive *d, uint8_t shape)
{
    d->irq_pending = false;
    d->xfer = XFER_NONE;
    d->next = NEXT_IDLE;
    ide_set_signature(d);
    d->error = 1;
    d->status = 0;
    if (d->inflight) {
        d->stale = true;
        d->status = BUSY_STAT;
    }
    atapi_reset(d);
    ide_update_irq(d->ch);
}

/* ---- SMART: enough for drivers and smartctl to see a healthy drive ---- */

/* id, flags, value, worst, raw, threshold */
static const uint8_t smart_attributes[][6] = {
    { 0x01, 0x03, 0x64, 0x64, 0x00, 0x06 }, /* raw read error rate */
    { 0x05, 0x03, 0x64, 0x64, 0x00, 0x24 }, /* reallocated sectors */
    { 0x09, 0x03, 0x64, 0x64, 0x01, 0x00 }, /* power-on hours */
    { 0x0c, 0x03, 0x64, 0x64, 0x00, 0x00 }, /* power cycles */
    { 0xbe, 0x03, 0x45, 0x45, 0x1f, 0x32 }, /* air flow temperature */
};

static void smart_page(struct ide_drive *d, bool thresholds)
{
    uint8_t *p = d->buf, sum = 0;

    memset(p, 0, 512);
    p[0] = 1;
    for (size_t i = 0; i < sizeof(smart_attributes) / sizeof(smart_attributes[0]); i++) {
        const uint8_t *a = smart_attributes[i];
        uint8_t *e = p + 2 + 12 * i;

        e[0] = a[0];
        if (thresholds) {
            e[1] = a[5];
        } else {
            e[1] = a[1];
            e[3] = a[2];
            e[4] = a[3];
            e[5] = a[4];
        }
    }
    if (!thresholds) {
        p[362] = d->smart_autosave ? 0x82 : 0x02; /* off-line collection completed */
        p[367] = 0x10 | 0x08 | 0x02;              /* self-test, read scan, autosave */
        p[368] = 0x03;
        p[370] = 0x01; /* error log */
        p[372] = 2;    /* minutes of a short self-test */
        p[373] = 54;
    }
    for (int i = 0; i < 511; i++)
        sum = (uint8_t)(sum + p[i]);
    p[511] = (uint8_t)-sum;
}

static void smart_log(struct ide_drive *d)
{
    uint8_t sum = 0;

    memset(d->buf, 0, 512);
    d->buf[0] = 1;
    if (d->sector == 0)
        d->buf[2] = d->buf[12] = 1; /* directory: logs 1 and 6 have one sector */
    for (int i = 0; i < 511; i++)
        sum = (uint8_t)(sum + d->buf[i]);
    if (d->sector)
        d->buf[511] = (uint8_t)-sum;
}

static void cmd_smart(struct ide_drive *d, uint8_t shape)
{
    if (d->hcyl != 0xc2 || d->lcyl != 0x4f || (!d->smart_enabled && d->feature != 0xd8)) {
        ide_abort(d);
        return;
    }
    switch (d->feature) {
    case 0xd8: d->smart_enabled = true; break;
    case 0xd9: d->smart_enabled = false; break;
    case 0xd2:
        if (d->nsector != 0x00 && d->nsector != 0xf1) {
            ide_abort(d);
            return;
        }
        d->smart_autosave = d->nsector == 0xf1;
        break;
    case 0xd4:
        /* Off-line routine or self-test: done at once, without a finding. */
        if (d->sector > 2 && d->sector != 0x7f && (d->sector < 0x81 || d->sector > 0x82)) {
            ide_abort(d);
            return;
        }
        break;
    case 0xda: /* status: the signature unchanged says "no threshold exceeded" */ break;
    case 0xd0:
    case 0xd1:
    case 0xd5:
        if (d->feature != 0xd5) {
            smart_page(d, d->feature == 0xd1);
        } else if (d->sector == 0 || d->sector == 1 || d->sector == 6) {
            smart_log(d);
        } else {
            ide_abort(d);
            return;
        }
        d->error = 0;
        ide_pio(d, XFER_PIO_IN, 0, 512, NEXT_IDLE);
        ide_raise_irq(d);
        return;
    default: ide_abort(d); return;
    }
    ide_done(d);
}

static void cmd_packet(struct ide_drive *d, uint8_t shape)
{
    atapi_packet(d);
}

static const struct ata_op ops[256] = {
    [0x00] = { cmd_nop, ON_HD, 0 },
    [0x08] = { cmd_device_reset, ON_CD, 0 },
    [0x10 ... 0x1f] = { cmd_nop_ok, ON_HD, 0 }, /* RECALIBRATE */
    [0x20] = { cmd_transfer, ON_HD, OP_READ },
    [0x21] = { cmd_transfer, ON_HD, OP_READ },
    [0x24] = { cmd_transfer, ON_HD, OP_READ | OP_EXT },
    [0x25] = { cmd_transfer, ON_HD, OP_READ | OP_EXT | OP_DMA },
    [0x27] = { cmd_read_native_max, ON_HD, OP_EXT },
    [0x29] = { cmd_transfer, ON_HD, OP_READ | OP_EXT | OP_MULT },
    [0x30] = { cmd_transfer, ON_HD, OP_WRITE },
    [0x31] = { cmd_transfer, ON_HD, OP_WRITE },
    [0x34] = { cmd_transfer, ON_HD, OP_WRITE | OP_EXT },
    [0x35] = { cmd_transfer, ON_HD, OP_WRITE | OP_EXT | OP_DMA },
    [0x39] = { cmd_transfer, ON_HD, OP_WRITE | OP_EXT | OP_MULT },
    [0x3c] = { cmd_transfer, ON_HD, OP_WRITE }, /* WRITE VERIFY */
    [0x40] = { cmd_transfer, ON_HD, OP_VERIFY },
    [0x41] = { cmd_transfer, ON_HD, OP_VERIFY },
    [0x42] = { cmd_transfer, ON_HD, OP_VERIFY | OP_EXT },
    [0x70 ... 0x7f] = { cmd_seek, ON_HD, 0 },
    [0x90] = { cmd_diagnostic, ON_BOTH, 0 },
    [0x91] = { cmd_specify, ON_HD, 0 },
    [0x94] = { cmd_nop_ok, ON_BOTH, 0 }, /* STANDBY IMMEDIATE ... SLEEP, old codes */
    [0x95] = { cmd_nop_ok, ON_BOTH, 0 },
    [0x96] = { cmd_nop_ok, ON_BOTH, 0 },
    [0x97] = { cmd_nop_ok, ON_BOTH, 0 },
    [0x98] = { cmd_check_power, ON_BOTH, 0 },
    [0x99] = { cmd_nop_ok, ON_BOTH, 0 },
    [0xa0] = { cmd_packet, ON_CD, 0 },
    [0xa1] = { cmd_identify_packet, ON_CD, 0 },
    [0xb0] = { cmd_smart, ON_HD, 0 },
    [0xc4] = { cmd_transfer, ON_HD, OP_READ | OP_MULT },
    [0xc5] = { cmd_transfer, ON_HD, OP_WRITE | OP_MULT },
    [0xc6] = { cmd_set_multiple, ON_HD, 0 },
    [0xc8] = { cmd_transfer, ON_HD, OP_READ | OP_DMA },
    [0xc9] = { cmd_transfer, ON_HD, OP_READ | OP_DMA },
    [0xca] = { cmd_transfer, ON_HD, OP_WRITE | OP_DMA },
    [0xcb] = { cmd_transfer, ON_HD, OP_WRITE | OP_DMA },
    [0xe0] = { cmd_nop_ok, ON_BOTH, 0 },
    [0xe1] = { cmd_nop_ok, ON_BOTH, 0 },
    [0xe2] = { cmd_nop_ok, ON_BOTH, 0 },
    [0xe3] = { cmd_nop_ok, ON_BOTH, 0 },
    [0xe5] = { cmd_check_power, ON_BOTH, 0 },
    [0xe6] = { cmd_nop_ok, ON_BOTH, 0 },
    [0xe7] = { cmd_flush, ON_BOTH, 0 },
    [0xea] = { cmd_flush, ON_HD, 0 },
    [0xec] = { cmd_identify, ON_BOTH, 0 },
    [0xef] = { cmd_set_features, ON_BOTH, 0 },
    [0xf8] = { cmd_read_native_max, ON_HD, 0 },
};

void ata_command(struct ide_drive *d, uint8_t command)
{
    const struct ata_op *op = &ops[command];

    if (d->kind == IDE_NONE) {
        /* DIAGNOSTIC goes to both drives, whichever is selected. */
        if (command == 0x90 && d->ch->drives[!d->unit].kind != IDE_NONE)
            cmd_diagnostic(d, 0);
        return;
    }
    if ((d->status & (BUSY_STAT | DRQ_STAT)) && !(command == 0x08 && d->kind == IDE_CD)) {
        log_mask(LOG_GUEST_ERRORS, "ide%d:%d: command 0x%02x while status is 0x%02x", d->ch->index,
                 d->unit, command, d->status);
        return;
    }
    d->command = command;
    d->irq_pending = false;
    ide_update_irq(d->ch);
    if (d->kind == IDE_CD && (command == 0x20 || command == 0x21)) {
        cmd_not_a_disk(d, 0);
        return;
    }
    if (!op->run || !(op->on & (d->kind == IDE_CD ? ON_CD : ON_HD))) {
        log_mask(LOG_UNIMP, "ide%d:%d: command 0x%02x is not implemented", d->ch->index, d->unit,
                 command);
        ide_abort(d);
        return;
    }
    op->run(d, op->shape);
}
