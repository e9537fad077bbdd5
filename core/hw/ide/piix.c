/*
 * The PIIX3's IDE function (Intel 82371SB, PCI 8086:7010): two channels in legacy mode and a bus
 * master each, at BAR 4 (82371SB data sheet 2.5; "Programming Interface for Bus Master IDE
 * Controller", revision 1.0).
 *
 * A channel's bus master walks a table of descriptors {address, byte count, end flag}. It moves
 * data only when the drive is ready to (drive and bus master may come first in either order): the
 * drive calls bmdma_transfer() with what it has, or wants. ACTIVE falls when the last descriptor
 * was used up exactly, when the host stops it, or when the table ends before the data; if the table
 * is longer than the data, ACTIVE stays. Any descriptor moves at least 2 bytes and a drive's data
 * is bounded, so a hostile table can't keep us busy; a table ends at its 64 KB boundary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/ide/ide_int.h"
#include "log.h"
#include "machine.h"

#define PRD_EOT 0x80000000u

/* ---- bus master ---- */

uint32_t bmdma_transfer(struct ide_channel *ch, uint8_t *buf, uint32_t len, bool to_memory)
{
    struct pci_device *pci = &ch->ctl->pci;
    uint32_t done = 0;

    if (!bmdma_running(ch))
        return 0;
    while (done < len) {
        uint32_t n;

        if (ch->prd_left == 0) {
            uint8_t prd[8];
            uint32_t count;

            if (ch->prd_last || (ch->prd_next ^ ch->bm_prdt) >> 16)
                break;
            pci_dma_read(pci, ch->prd_next, prd, sizeof(prd));
            count = pci_get32(prd + 4);
            ch->prd_next += 8;
            ch->prd_addr = pci_get32(prd) & ~1u;
            ch->prd_left = count & 0xfffe ? count & 0xfffe : 0x10000;
            ch->prd_last = count & PRD_EOT;
        }
        n = len - done < ch->prd_left ? len - done : ch->prd_left;
        if (to_memory)
            pci_dma_write(pci, ch->prd_addr, buf + done, n);
        else
            pci_dma_read(pci, ch->prd_addr, buf + done, n);
        ch->prd_addr += n;
        ch->prd_left -= n;
        done += n;
    }
    return done;
}

void bmdma_end(struct ide_channel *ch, bool short_prd)
{
    if (short_prd || (ch->prd_last && ch->prd_left == 0))
        ch->bm_status &= (uint8_t)~BM_STATUS_ACTIVE;
}

static void bm_command(struct ide_channel *ch, uint8_t v)
{
    uint8_t old = ch->bm_cmd;

    ch->bm_cmd = v & (BM_CMD_START | BM_CMD_READ);
    if (!(old & BM_CMD_START) && (v & BM_CMD_START)) {
        ch->prd_next = ch->bm_prdt;
        ch->prd_left = 0;
        ch->prd_last = false;
        ch->bm_status |= BM_STATUS_ACTIVE;
        for (int i = 0; i < 2; i++) {
            struct ide_drive *d = &ch->drives[i];

            if (d->xfer == XFER_DMA_IN || d->xfer == XFER_DMA_OUT) {
                if (d->kind == IDE_CD)
                    atapi_dma_go(d);
                else
                    ata_dma_go(d);
                break;
            }
        }
    } else if ((old & BM_CMD_START) && !(v & BM_CMD_START)) {
        ch->bm_status &= (uint8_t)~BM_STATUS_ACTIVE;
    }
}

static uint64_t bm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix_ide *s = opaque;
    const struct ide_channel *ch = &s->channels[offset >> 3 & 1];

    switch (offset & 7) {
    case 0: return ch->bm_cmd;
    case 2: return ch->bm_status;
    case 4:
    case 5:
    case 6:
    case 7: return ch->bm_prdt >> (8 * (offset & 3)) & 0xff;
    default: return 0xff;
    }
}

static void bm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix_ide *s = opaque;
    struct ide_channel *ch = &s->channels[offset >> 3 & 1];
    unsigned shift = 8 * (offset & 3);

    switch (offset & 7) {
    case 0: bm_command(ch, (uint8_t)value); break;
    case 2:
        ch->bm_status = (uint8_t)((value & 0x60) | (ch->bm_status & BM_STATUS_ACTIVE) |
                                  (ch->bm_status & ~value & (BM_STATUS_ERROR | BM_STATUS_INT)));
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        ch->bm_prdt &= ~(0xffu << shift);
        ch->bm_prdt |= (uint32_t)(value & 0xff) << shift & ~3u;
        break;
    default: break;
    }
}

static const struct mem_ops bm_ops = { bm_read, bm_write, 1, 1 };

/* ---- the device ---- */

static bool piix_ide_realize(struct device *dev, struct error *err)
{
    struct piix_ide *s = (struct piix_ide *)dev;

    if (!pci_device_init(&s->pci, err))
        return false;
    pci_set16(s->pci.config + PCI_STATUS, 0x0280); /* fast back-to-back, medium DEVSEL# */
    for (int i = 0x40; i < 0x48; i++)
        s->pci.wmask[i] = 0xff; /* IDETIM, SIDETIM: kept, without effect */
    mem_region_init_io(&s->bm_region, "piix-bmdma", 16, &bm_ops, s);
    pci_register_bar(&s->pci, 4, PCI_BAR_IO, &s->bm_region);
    for (unsigned i = 0; i < 2; i++)
        ide_channel_init(&s->channels[i], s, i);
    return true;
}

static void piix_ide_unrealize(struct device *dev)
{
    struct piix_ide *s = (struct piix_ide *)dev;

    for (int i = 0; i < 2; i++) {
        mem_region_remove(&s->channels[i].cmd_region);
        mem_region_remove(&s->channels[i].ctl_region);
        for (int j = 0; j < 2; j++) {
            struct ide_drive *d = &s->channels[i].drives[j];

            blk_drain(d->blk); /* nothing may write to buf any more */
            free(d->buf);
        }
    }
    pci_device_exit(&s->pci);
}

static void piix_ide_reset(struct device *dev)
{
    struct piix_ide *s = (struct piix_ide *)dev;

    if (!dev->machine->waking) /* from S3: SeaBIOS doesn't turn the ports on once more */
        memset(s->pci.config + 0x40, 0, 8);
    for (int i = 0; i < 2; i++)
        ide_channel_reset(&s->channels[i]);
}

/* Nothing of a saved state may reach beyond the buffer, or never come to an end. */
static bool makes_sense(const struct ide_drive *d)
{
    bool sending = d->xfer == XFER_PIO_IN;
    uint64_t have = (uint64_t)d->fill + (uint64_t)d->remaining * d->sector_size;

    if (d->fill > IDE_BUF_SIZE || d->pos > IDE_BUF_SIZE || d->end > IDE_BUF_SIZE ||
        d->chunk > IDE_BUF_SECTORS || !d->block || d->block > IDE_BUF_SECTORS ||
        d->mult_sectors > IDE_MULT_MAX || d->next > NEXT_FLUSH || d->xfer > XFER_DMA_OUT ||
        (d->status & BUSY_STAT) || (d->sector_size != CD_SECTOR && d->sector_size != CD_RAW_SECTOR))
        return false;
    if (d->kind != IDE_CD)
        return d->fill % 512 == 0 && d->end % 512 == 0;
    return d->next != NEXT_REPLY || ((sending ? d->end : d->pos) <= d->fill &&
                                     d->reply_left <= have - (sending ? d->end : d->pos));
}

static void piix_ide_post_load(struct device *dev)
{
    struct piix_ide *s = (struct piix_ide *)dev;

    pci_device_post_load(&s->pci);
    for (int i = 0; i < 2; i++) {
        struct ide_channel *ch = &s->channels[i];

        for (int j = 0; j < 2; j++)
            ide_drive_loaded(&ch->drives[j], makes_sense(&ch->drives[j]));
        /* As it was when the state was saved: no new edge, no new BM_STATUS_INT. */
        ch->irq_level = ide_selected(ch)->irq_pending && !(ch->control & CTRL_NIEN);
        irq_set(&s->pci.dev.machine->isa_irq[14 + i], ch->irq_level);
    }
}

#define DRIVE_FIELDS(d)                                                                            \
    FIELD_U8(struct piix_ide, d.feature, 0), FIELD_U8(struct piix_ide, d.error, 1),                \
        FIELD_U8(struct piix_ide, d.nsector, 1), FIELD_U8(struct piix_ide, d.sector, 1),           \
        FIELD_U8(struct piix_ide, d.lcyl, 0), FIELD_U8(struct piix_ide, d.hcyl, 0),                \
        FIELD_U8(struct piix_ide, d.select, 0xa0), FIELD_U8(struct piix_ide, d.status, 0),         \
        FIELD_U8(struct piix_ide, d.hob_feature, 0), FIELD_U8(struct piix_ide, d.hob_nsector, 0),  \
        FIELD_U8(struct piix_ide, d.hob_sector, 0), FIELD_U8(struct piix_ide, d.hob_lcyl, 0),      \
        FIELD_U8(struct piix_ide, d.hob_hcyl, 0), FIELD_U8(struct piix_ide, d.command, 0),         \
        FIELD_BOOL(struct piix_ide, d.irq_pending, 0),                                             \
        FIELD_U8(struct piix_ide, d.mult_sectors, IDE_MULT_MAX),                                   \
        FIELD_U8(struct piix_ide, d.udma_mode, 0x20), FIELD_U8(struct piix_ide, d.mdma_mode, 0),   \
        FIELD_U8(struct piix_ide, d.swdma_mode, 0), FIELD_U16(struct piix_ide, d.cur_heads, 16),   \
        FIELD_U16(struct piix_ide, d.cur_sectors, 63),                                             \
        FIELD_BOOL(struct piix_ide, d.write_cache, 1),                                             \
        FIELD_BOOL(struct piix_ide, d.smart_enabled, 1),                                           \
        FIELD_BOOL(struct piix_ide, d.smart_autosave, 1), FIELD_U8(struct piix_ide, d.xfer, 0),    \
        FIELD_U8(struct piix_ide, d.next, 0), FIELD_BOOL(struct piix_ide, d.ext, 0),               \
        FIELD_U8(struct piix_ide, d.block, 1), FIELD_U64(struct piix_ide, d.lba, 0),               \
        FIELD_U32(struct piix_ide, d.remaining, 0), FIELD_U32(struct piix_ide, d.pos, 0),          \
        FIELD_U32(struct piix_ide, d.end, 0), FIELD_U32(struct piix_ide, d.fill, 0),               \
        FIELD_U32(struct piix_ide, d.chunk, 0), FIELD_BYTES(struct piix_ide, d.packet),            \
        FIELD_U8(struct piix_ide, d.sense_key, 0), FIELD_U8(struct piix_ide, d.asc, 0),            \
        FIELD_U8(struct piix_ide, d.ascq, 0), FIELD_BOOL(struct piix_ide, d.atapi_dma, 0),         \
        FIELD_BOOL(struct piix_ide, d.tray_open, 0),                                               \
        FIELD_BOOL(struct piix_ide, d.tray_locked, 0),                                             \
        FIELD_BOOL(struct piix_ide, d.new_media, 0),                                               \
        FIELD_BOOL(struct piix_ide, d.eject_request, 0),                                           \
        FIELD_U8(struct piix_ide, d.media_changed, 0),                                             \
        FIELD_U16(struct piix_ide, d.sector_size, CD_SECTOR),                                      \
        FIELD_U32(struct piix_ide, d.reply_left, 0), FIELD_U16(struct piix_ide, d.byte_limit, 0),  \
        FIELD_POINTER(struct piix_ide, d.buf, IDE_BUF_ALLOC)

#define CHANNEL_FIELDS(c)                                                                          \
    FIELD_U8(struct piix_ide, c.control, 0), FIELD_BOOL(struct piix_ide, c.drive1, 0),             \
        FIELD_U8(struct piix_ide, c.bm_cmd, 0), FIELD_U8(struct piix_ide, c.bm_status, 0),         \
        FIELD_U32(struct piix_ide, c.bm_prdt, 0), FIELD_U32(struct piix_ide, c.prd_next, 0),       \
        FIELD_U32(struct piix_ide, c.prd_addr, 0), FIELD_U32(struct piix_ide, c.prd_left, 0),      \
        FIELD_BOOL(struct piix_ide, c.prd_last, 0), DRIVE_FIELDS(c.drives[0]),                     \
        DRIVE_FIELDS(c.drives[1])

static const struct field piix_ide_fields[] = {
    PCI_DEVICE_FIELDS,
    CHANNEL_FIELDS(channels[0]),
    CHANNEL_FIELDS(channels[1]),
    FIELD_END,
};

static const struct pci_class_info piix3_ide_info = {
    .vendor_id = 0x8086,
    .device_id = 0x7010,
    .class_id = 0x0101,
    .prog_if = 0x80, /* bus master, both channels in legacy mode */
};

const struct device_class piix3_ide_class = {
    .name = "piix3-ide",
    .desc = "IDE function of the PIIX3",
    .size = sizeof(struct piix_ide),
    .fields = piix_ide_fields,
    .realize = piix_ide_realize,
    .unrealize = piix_ide_unrealize,
    .reset = piix_ide_reset,
    .post_load = piix_ide_post_load,
    .class_data = &piix3_ide_info,
};

struct piix_ide *piix3_ide_new(struct machine *m, int devfn, struct error *err)
{
    struct device *d = device_new(m, &piix3_ide_class);

    if (!d) {
        error_set(err, "piix3-ide: out of memory");
        return NULL;
    }
    ((struct pci_device *)d)->devfn = devfn;
    return device_realize(d, err) ? (struct piix_ide *)d : NULL;
}

static void set_text(char *to, size_t size, const char *text, const char *def)
{
    snprintf(to, size, "%s", text && *text ? text : def);
}

bool piix_ide_attach(struct piix_ide *s, unsigned unit, const struct ide_unit *u, struct error *err)
{
    struct ide_drive *d = &s->channels[unit / 2 & 1].drives[unit & 1];
    struct ide_channel *ch = d->ch;
    char serial[21];

    if (unit >= IDE_UNITS)
        return error_set(err, "ide: there is no unit %u", unit);
    if (d->kind != IDE_NONE)
        return error_set(err, "ide: unit %u is taken already", unit);
    if (!u->cdrom && !u->blk)
        return error_set(err, "ide: unit %u: a disk needs a drive", unit);
    if (!u->cdrom && blk_readonly(u->blk))
        return error_set(
            err,
            "drive '%s': the file may not be written, and an IDE disk can't be read-only "
            "(use snapshot=on to keep writes in memory)",
            blk_id(u->blk));
    d->buf = calloc(1, IDE_BUF_ALLOC);
    if (!d->buf)
        return error_set(err, "ide: out of memory");
    d->kind = u->cdrom ? IDE_CD : IDE_HD;
    d->blk = u->blk;
    d->sectors = u->blk ? blk_size(u->blk) / 512 : 0;
    snprintf(serial, sizeof(serial), "SL%05u", unit + 1);
    set_text(d->serial, sizeof(d->serial), u->serial, serial);
    set_text(d->model, sizeof(d->model), u->model,
             u->cdrom ? "SLIPWAY DVD-ROM" : "SLIPWAY HARDDISK");
    if (!u->cdrom)
        ide_guess_geometry(d->sectors, &d->geo);
    ide_channel_reset(ch);
    return true;
}

bool piix_ide_set_medium(struct piix_ide *s, unsigned unit, struct blk *blk, bool force,
                         struct error *err)
{
    struct ide_drive *d = &s->channels[unit / 2 & 1].drives[unit & 1];

    if (unit >= IDE_UNITS || d->kind != IDE_CD)
        return error_set(err, "ide: unit %u is not a CD drive", unit);
    if (d->tray_locked && !d->tray_open && !force) {
        d->eject_request = true;
        return error_set(err, "ide: unit %u is locked by the guest", unit);
    }
    blk_drain(d->blk);
    d->blk = blk;
    d->sectors = blk ? blk_size(blk) / 512 : 0;
    d->tray_open = false;
    d->tray_locked = false;
    d->new_media = blk;
    d->media_changed = 1;
    return true;
}

bool piix_ide_geometry(const struct piix_ide *s, unsigned unit, struct ide_geometry *g)
{
    const struct ide_drive *d = &s->channels[unit / 2 & 1].drives[unit & 1];

    if (unit >= IDE_UNITS || d->kind != IDE_HD)
        return false;
    *g = d->geo;
    return true;
}
