/*
 * ATAPI transport: the PACKET command of ATA/ATAPI-4 (T13 1153D, clause 9.12) by PIO and by DMA.
 *
 * PACKET asks for 12 bytes of command; mmc_execute() then ends it with atapi_ok(), atapi_error(),
 * atapi_reply() or atapi_read(). Replies go out in PIO blocks of at most the byte count that the
 * host put into the cylinder registers, each announced by an interrupt, or by one DMA. After the
 * data (or at once) comes the status phase.
 *
 * buf[pos..fill) is what was fetched and not yet sent; for reads it slides: when less than a block
 * is left and sectors remain, the rest moves to the front and more is fetched behind it, so all
 * blocks but the last have full size.
 */
#include <errno.h>
#include <string.h>

#include "hw/ide/ide_int.h"
#include "log.h"

enum {
    SENSE_MEDIUM_ERROR = 3,
    SENSE_ILLEGAL_REQUEST = 5,
    ASC_UNRECOVERED_READ = 0x11,
    ASC_LBA_RANGE = 0x21
};

void atapi_reset(struct ide_drive *d)
{
    d->sense_key = d->asc = d->ascq = 0;
    d->reply_left = 0;
    d->pos = d->fill = 0;
}

void atapi_packet(struct ide_drive *d)
{
    if (d->feature & 2) { /* overlapped */
        ide_abort(d);
        return;
    }
    d->atapi_dma = d->feature & 1;
    d->byte_limit = (uint16_t)(d->lcyl | d->hcyl << 8);
    if (d->byte_limit == 0xffff)
        d->byte_limit = 0xfffe;
    d->error = 0;
    d->nsector = REASON_CD;
    ide_pio(d, XFER_PIO_OUT, 0, sizeof(d->packet), NEXT_PACKET);
}

void atapi_ok(struct ide_drive *d)
{
    d->nsector = REASON_IO | REASON_CD;
    ide_done(d);
}

void atapi_error(struct ide_drive *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->sense_key = key;
    d->asc = asc;
    d->ascq = ascq;
    d->nsector = REASON_IO | REASON_CD;
    ide_fail(d, (uint8_t)(key << 4));
}

/* The size of the next PIO block. */
static uint32_t block_size(const struct ide_drive *d)
{
    if (d->reply_left <= d->byte_limit)
        return d->reply_left;
    return d->byte_limit & ~1u;
}

static void fetch(struct ide_drive *d)
{
    uint32_t kept = d->fill - d->pos, n = (IDE_BUF_SIZE - kept) / d->sector_size;

    if (n > d->remaining)
        n = d->remaining;
    memmove(d->buf, d->buf + d->pos, kept);
    d->pos = 0;
    d->fill = kept;
    d->chunk = n;
    d->status = READY_STAT | SEEK_STAT | BUSY_STAT;
    d->next = NEXT_CD_READ;
    ide_blk_read(d, d->lba * CD_SECTOR, kept, n * CD_SECTOR);
}

/* Sends what comes next, or fetches it, or ends the command. */
static void continue_reply(struct ide_drive *d)
{
    uint32_t have = d->fill - d->pos;

    if (d->reply_left == 0) {
        atapi_ok(d);
    } else if (d->atapi_dma) {
        if (have == 0)
            fetch(d);
        else
            ide_dma(d, XFER_DMA_IN, NEXT_REPLY);
    } else if (have < block_size(d) && d->remaining) {
        fetch(d);
    } else {
        uint32_t n = block_size(d);

        d->lcyl = (uint8_t)n;
        d->hcyl = (uint8_t)(n >> 8);
        d->nsector = REASON_IO;
        d->reply_left -= n;
        ide_pio(d, XFER_PIO_IN, d->pos, n, NEXT_REPLY);
        ide_raise_irq(d);
    }
}

static void start_reply(struct ide_drive *d, uint32_t bytes)
{
    d->pos = 0;
    d->reply_left = bytes;
    if (bytes && !d->atapi_dma && d->byte_limit < 2)
        ide_abort(d); /* no usable block size was given */
    else
        continue_reply(d);
}

void atapi_reply(struct ide_drive *d, uint32_t len, uint32_t max)
{
    d->remaining = 0;
    d->fill = len < max ? len : max;
    d->buf[d->fill] = 0; /* the pad of an odd block */
    start_reply(d, d->fill);
}

void atapi_read(struct ide_drive *d, uint32_t lba, uint32_t count, uint16_t sector_size)
{
    uint64_t last = d->sectors / 4;

    if (lba >= last || count > last - lba) {
        atapi_error(d, SENSE_ILLEGAL_REQUEST, ASC_LBA_RANGE, 0);
        return;
    }
    /* A reply is counted in 32 bits: the largest medium that could overflow it is read by no one
     * command. */
    if (count > UINT32_MAX / CD_RAW_SECTOR) {
        atapi_error(d, SENSE_ILLEGAL_REQUEST, 0x24, 0);
        return;
    }
    d->lba = lba;
    d->remaining = count;
    d->sector_size = sector_size;
    d->fill = 0;
    start_reply(d, count * sector_size);
}

void atapi_transfer_done(struct ide_drive *d)
{
    if (d->next == NEXT_PACKET) {
        memcpy(d->packet, d->buf, sizeof(d->packet));
        d->status = READY_STAT | SEEK_STAT | BUSY_STAT;
        mmc_execute(d);
        return;
    }
    d->pos = d->end;
    continue_reply(d);
}

void atapi_dma_go(struct ide_drive *d)
{
    uint32_t have = d->fill - d->pos, n;

    if (d->inflight)
        return;
    n = bmdma_transfer(d->ch, d->buf + d->pos, have, true);
    d->pos += n;
    d->reply_left -= n;
    if (n == have && d->reply_left) {
        fetch(d);
        return;
    }
    bmdma_end(d->ch, n < have);
    if (n < have) {
        /* The descriptors were too short: no status phase, no interrupt. */
        d->xfer = XFER_NONE;
        d->next = NEXT_IDLE;
        d->status = READY_STAT | SEEK_STAT;
    } else {
        atapi_ok(d);
    }
}

/* Turns @count sectors of 2048 bytes at @p into raw ones, from the last to the first: sync, header
 * with the address, mode 1, user data, EDC. The ECC bytes stay zero. CD-ROM (ECMA-130), clause 14.
 */
static void make_raw(uint8_t *p, uint64_t lba, uint32_t count)
{
    while (count--) {
        uint8_t *s = p + (size_t)count * CD_RAW_SECTOR;
        uint32_t frame = (uint32_t)(lba + count) + 150, edc = 0;
        uint32_t msf[3] = { frame / 75 / 60, frame / 75 % 60, frame % 75 };

        memmove(s + 16, p + (size_t)count * CD_SECTOR, CD_SECTOR);
        memset(s, 0xff, 12);
        s[0] = s[11] = 0;
        for (int i = 0; i < 3; i++)
            s[12 + i] = (uint8_t)((msf[i] / 10 % 16) << 4 | msf[i] % 10);
        s[15] = 1;
        for (unsigned i = 0; i < 16 + CD_SECTOR; i++) {
            edc ^= s[i];
            for (int bit = 0; bit < 8; bit++)
                edc = edc >> 1 ^ (edc & 1 ? 0xd8018001u : 0);
        }
        memset(s + 16 + CD_SECTOR, 0, CD_RAW_SECTOR - 16 - CD_SECTOR);
        pci_set32(s + 16 + CD_SECTOR, edc);
    }
}

void atapi_block_done(struct ide_drive *d, int ret)
{
    if (d->next == NEXT_FLUSH) {
        ide_done(d);
        return;
    }
    if (ret < 0) {
        log_mask(LOG_UNIMP, "ide%d:%d: read of CD sector %llu failed: %s", d->ch->index, d->unit,
                 (unsigned long long)d->lba, strerror(-ret));
        if (d->atapi_dma)
            bmdma_end(d->ch, true);
        atapi_error(d, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ, 0);
        return;
    }
    if (d->sector_size == CD_RAW_SECTOR)
        make_raw(d->buf + d->fill, d->lba, d->chunk);
    d->fill += d->chunk * d->sector_size;
    d->lba += d->chunk;
    d->remaining -= d->chunk;
    continue_reply(d);
}
