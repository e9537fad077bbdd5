/*
 * Inside the IDE emulation: drive, channel and controller state, and what the files of this
 * directory call.
 *
 *   channel.c   the registers of a channel, selection, reset, the data port
 *   ata.c       commands of disks (and those that both kinds of drive know)
 *   identify.c  IDENTIFY data and geometry
 *   atapi.c     PACKET: transport of commands, data and status
 *   mmc.c       the CD's commands themselves
 *   piix.c      the PCI function and its bus master
 *
 * A drive is idle, moving data (xfer) or waiting for the block layer (inflight). After each step of
 * a transfer the drive's `next` says what follows; it is an enum, not a function pointer, so that
 * the state can be saved.
 */
#ifndef SLIPWAY_HW_IDE_INT_H
#define SLIPWAY_HW_IDE_INT_H

#include "block/block.h"
#include "hw/ide/ide.h"
#include "hw/pci/pci.h"

enum {
    /* Status */
    ERR_STAT = 0x01,
    DRQ_STAT = 0x08,
    SEEK_STAT = 0x10,
    WRERR_STAT = 0x20,
    READY_STAT = 0x40,
    BUSY_STAT = 0x80,
    /* Error */
    ABRT_ERR = 0x04,
    ID_ERR = 0x10,
    ECC_ERR = 0x40,
    /* Device control */
    CTRL_NIEN = 0x02,
    CTRL_SRST = 0x04,
    CTRL_HOB = 0x80,
    /* Device/head */
    SELECT_LBA = 0x40,
    SELECT_DEV1 = 0x10,
    /* Interrupt reason (sector count register) of PACKET */
    REASON_CD = 0x01,
    REASON_IO = 0x02,
    /* Bus master */
    BM_CMD_START = 0x01,
    BM_CMD_READ = 0x08, /* to memory */
    BM_STATUS_ACTIVE = 0x01,
    BM_STATUS_ERROR = 0x02,
    BM_STATUS_INT = 0x04,
};

#define IDE_BUF_SECTORS 128u
#define IDE_BUF_SIZE    (IDE_BUF_SECTORS * 512u)
#define IDE_BUF_ALLOC   (IDE_BUF_SIZE + 4096u)
#define IDE_MULT_MAX    16u
#define CD_SECTOR       2048u
#define CD_RAW_SECTOR   2352u

enum ide_kind { IDE_NONE, IDE_HD, IDE_CD };

/* What happens when the current PIO block, DMA chunk or block request has ended. */
enum ide_next {
    NEXT_IDLE,    /* nothing: a finished reply */
    NEXT_READ,    /* disk read: next block of the buffer or next chunk */
    NEXT_WRITE,   /* disk write: the buffer is full */
    NEXT_PACKET,  /* 12 bytes of a command packet are there */
    NEXT_REPLY,   /* ATAPI: rest of a reply from the buffer */
    NEXT_CD_READ, /* ATAPI: more sectors */
    NEXT_FLUSH,   /* waiting for blk_flush */
};

enum ide_xfer { XFER_NONE, XFER_PIO_IN, XFER_PIO_OUT, XFER_DMA_IN, XFER_DMA_OUT };

struct ide_channel;

struct ide_drive {
    struct ide_channel *ch;
    uint8_t kind; /* enum ide_kind */
    uint8_t unit; /* 0 or 1 */
    struct blk *blk;
    char serial[21], model[41];
    uint64_t sectors; /* of 512 bytes */
    struct ide_geometry geo;

    /* Task file; hob_: what was there before the last write (LBA48). */
    uint8_t feature, error, nsector, sector, lcyl, hcyl, select, status;
    uint8_t hob_feature, hob_nsector, hob_sector, hob_lcyl, hob_hcyl;
    uint8_t command;
    bool irq_pending;

    /* Settings */
    uint8_t mult_sectors, udma_mode, mdma_mode, swdma_mode;
    uint16_t cur_heads, cur_sectors; /* INITIALIZE DEVICE PARAMETERS */
    bool write_cache, smart_enabled, smart_autosave;

    /* Transfer */
    uint8_t xfer, next;
    bool ext;           /* 48-bit command */
    uint8_t block;      /* sectors of one DRQ block */
    uint64_t lba;       /* next sector: of 512 bytes (disk) or 2048 (CD) */
    uint32_t remaining; /* sectors not yet moved */
    uint32_t pos, end;  /* data port: bytes of buf in the current block */
    uint32_t fill;      /* bytes of buf that are valid */
    uint8_t *buf;
    bool inflight;  /* a block request is out */
    bool stale;     /* ... and was forgotten by a reset, which completes with it */
    uint32_t chunk; /* sectors of the request that is out */

    /* ATAPI */
    uint8_t packet[12];
    uint8_t sense_key, asc, ascq;
    bool atapi_dma, tray_open, tray_locked;
    bool new_media, eject_request; /* for GET EVENT STATUS NOTIFICATION */
    uint8_t media_changed; /* 1: report "no medium" once, 2: then "medium may have changed" once */
    uint16_t sector_size;  /* of what the guest gets: 2048 or 2352 */
    uint32_t reply_left;   /* bytes of the whole reply that the guest hasn't got */
    uint16_t byte_limit;
};

struct ide_channel {
    struct piix_ide *ctl;
    uint8_t index;
    uint8_t control;
    bool drive1; /* DEV bit */
    int irq_level;
    struct ide_drive drives[2];
    struct mem_region cmd_region, ctl_region;

    uint8_t bm_cmd, bm_status;
    uint32_t bm_prdt;
    uint32_t prd_next; /* address of the next descriptor */
    uint32_t prd_addr, prd_left;
    bool prd_last; /* the current one has EOT */
};

struct piix_ide {
    struct pci_device pci;
    struct ide_channel channels[2];
    struct mem_region bm_region;
};

/* channel.c */
void ide_channel_init(struct ide_channel *ch, struct piix_ide *ctl, unsigned index);
void ide_channel_reset(
    struct ide_channel *ch); /* power-on or hardware reset, after the field table */
void ide_update_irq(struct ide_channel *ch);
void ide_raise_irq(struct ide_drive *d);
static inline struct ide_drive *ide_selected(struct ide_channel *ch)
{
    return &ch->drives[ch->drive1];
}
void ide_set_signature(struct ide_drive *d);
/* Saved state was loaded; not @good: makes no sense, the drive is reset. */
void ide_drive_loaded(struct ide_drive *d, bool good);
/* Command ended well: DRDY, DSC and an interrupt. */
void ide_done(struct ide_drive *d);
/* Command ended badly with @error in the error register, and an interrupt. */
void ide_fail(struct ide_drive *d, uint8_t error);
static inline void ide_abort(struct ide_drive *d)
{
    ide_fail(d, ABRT_ERR);
}
/* Starts a PIO block: buf[pos..end) through the data port; @next runs when it is through. */
void ide_pio(struct ide_drive *d, enum ide_xfer xfer, uint32_t pos, uint32_t len,
             enum ide_next next);
/* Offers (or asks for) buf[pos..fill) by DMA as soon as the bus master runs. */
void ide_dma(struct ide_drive *d, enum ide_xfer xfer, enum ide_next next);
/* Block requests into and from buf; ide_advance() or the ATAPI's counterpart follows. */
void ide_blk_read(struct ide_drive *d, uint64_t offset, uint32_t at, uint32_t len);
void ide_blk_write(struct ide_drive *d, uint64_t offset, uint32_t len);
void ide_blk_flush(struct ide_drive *d);
void ide_diagnose(struct ide_channel *ch);

/* ata.c */
void ata_command(struct ide_drive *d, uint8_t command);
void ata_block_done(struct ide_drive *d, int ret); /* a block request ended */
void ata_transfer_done(struct ide_drive *d);       /* a PIO block ended */
void ata_dma_go(struct ide_drive *d);              /* the bus master is ready */

/* identify.c */
void ide_identify(struct ide_drive *d); /* 512 bytes into buf */
void ide_identify_packet(struct ide_drive *d);

/* atapi.c */
void atapi_reset(struct ide_drive *d);
void atapi_packet(struct ide_drive *d); /* PACKET command */
void atapi_block_done(struct ide_drive *d, int ret);
void atapi_transfer_done(struct ide_drive *d);
void atapi_dma_go(struct ide_drive *d);
void atapi_ok(struct ide_drive *d); /* status phase: good */
void atapi_error(struct ide_drive *d, uint8_t key, uint8_t asc, uint8_t ascq);
/* Sends the @len bytes at buf, at most @max (the allocation length of the packet). */
void atapi_reply(struct ide_drive *d, uint32_t len, uint32_t max);
/* Reads @count sectors from @lba and sends them as @sector_size bytes each. */
void atapi_read(struct ide_drive *d, uint32_t lba, uint32_t count, uint16_t sector_size);

/* mmc.c */
void mmc_execute(struct ide_drive *d);
bool mmc_medium_present(const struct ide_drive *d);

/* piix.c: moves @len bytes between @buf and guest memory along the descriptors; returns how many
 * fitted. */
uint32_t bmdma_transfer(struct ide_channel *ch, uint8_t *buf, uint32_t len, bool to_memory);
static inline bool bmdma_running(const struct ide_channel *ch)
{
    return ch->bm_status & BM_STATUS_ACTIVE;
}
/* The drive's transfer is over; @short_prd: descriptors ended before the data. */
void bmdma_end(struct ide_channel *ch, bool short_prd);

#endif
