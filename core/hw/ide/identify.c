/*
 * What drives say about themselves: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6, 8.15
 * and 8.16), and the default geometry of a disk.
 */
#include <stdio.h>
#include <string.h>

#include "hw/ide/ide_int.h"
#include "machine.h"

#define FIRMWARE "1.0"

static void put(uint8_t *id, unsigned word, uint16_t v)
{
    pci_set16(id + 2 * word, v);
}

/* ATA strings: blank-padded, the first character in the high byte of its word. */
static void put_string(uint8_t *id, unsigned word, unsigned words, const char *text)
{
    size_t len = strlen(text);

    for (unsigned i = 0; i < 2 * words; i++)
        id[(2 * word + i) ^ 1] = i < len ? (uint8_t)text[i] : ' ';
}

void ide_guess_geometry(uint64_t sectors, struct ide_geometry *g)
{
    uint64_t cylinders = sectors / (16 * 63);

    if (cylinders > 16383)
        cylinders = 16383;
    if (cylinders < 2)
        cylinders = 2;
    g->cylinders = (uint32_t)cylinders;
    g->heads = 16;
    g->sectors = 63;
    if (g->cylinders <= 1024)
        g->translation = IDE_TRANS_NONE;
    else if (g->cylinders * g->heads <= 131072)
        g->translation = IDE_TRANS_LARGE;
    else
        g->translation = IDE_TRANS_LBA;
}

void ide_identify(struct ide_drive *d)
{
    uint8_t *id = d->buf;
    uint32_t chs = d->geo.cylinders * d->cur_heads * d->cur_sectors;
    uint64_t lba28 = d->sectors < 0xfffffff ? d->sectors : 0xfffffff;

    memset(id, 0, 512);
    put(id, 0, 0x0040); /* fixed device */
    put(id, 1, (uint16_t)d->geo.cylinders);
    put(id, 3, (uint16_t)d->geo.heads);
    put(id, 4, (uint16_t)(512 * d->geo.sectors));
    put(id, 5, 512);
    put(id, 6, (uint16_t)d->geo.sectors);
    put_string(id, 10, 10, d->serial);
    put(id, 20, 3);
    put(id, 21, 512);
    put(id, 22, 4);
    put_string(id, 23, 4, FIRMWARE);
    put_string(id, 27, 20, d->model);
    put(id, 47, 0x8000 | IDE_MULT_MAX);
    put(id, 48, 1);                         /* 32-bit data port */
    put(id, 49, 1 << 11 | 1 << 9 | 1 << 8); /* IORDY, LBA, DMA */
    put(id, 51, 0x200);
    put(id, 52, 0x200);
    put(id, 53, 7); /* words 54-58, 64-70 and 88 are valid */
    put(id, 54, (uint16_t)d->geo.cylinders);
    put(id, 55, d->cur_heads);
    put(id, 56, d->cur_sectors);
    put(id, 57, (uint16_t)chs);
    put(id, 58, (uint16_t)(chs >> 16));
    if (d->mult_sectors)
        put(id, 59, 0x100 | d->mult_sectors);
    put(id, 60, (uint16_t)lba28);
    put(id, 61, (uint16_t)(lba28 >> 16));
    put(id, 62, (uint16_t)(0x07 | d->swdma_mode << 8));
    put(id, 63, (uint16_t)(0x07 | d->mdma_mode << 8));
    put(id, 64, 3); /* PIO 3 and 4 */
    for (unsigned w = 65; w <= 68; w++)
        put(id, w, 120); /* ns a cycle */
    put(id, 80, 0xf0);   /* ATA/ATAPI-4 to 7 */
    put(id, 81, 0x16);
    put(id, 82, 1 << 14 | 1 << 5 | 1);                  /* NOP, write cache, SMART */
    put(id, 83, 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10); /* FLUSH CACHE (EXT), 48-bit addresses */
    put(id, 84, 1 << 14);
    put(id, 85, (uint16_t)(1 << 14 | d->write_cache << 5 | d->smart_enabled));
    put(id, 86, 1 << 13 | 1 << 12 | 1 << 10);
    put(id, 87, 1 << 14);
    put(id, 88, (uint16_t)(0x3f | d->udma_mode << 8));
    put(id, 93, (uint16_t)(1 << 14 | 1 << 13 | 1)); /* 80-wire cable */
    for (unsigned i = 0; i < 4; i++)
        put(id, 100 + i, (uint16_t)(d->sectors >> (16 * i)));
}

void ide_identify_packet(struct ide_drive *d)
{
    uint8_t *id = d->buf;

    memset(id, 0, 512);
    put(id, 0,
        2 << 14 | 5 << 8 | 1 << 7 |
            2 << 5); /* ATAPI, CD-ROM, removable, DRQ in 50 us, 12-byte packets */
    put_string(id, 10, 10, d->serial);
    put(id, 20, 3);
    put(id, 21, 512);
    put(id, 22, 4);
    put_string(id, 23, 4, FIRMWARE);
    put_string(id, 27, 20, d->model);
    put(id, 48, 1);
    put(id, 49, 1 << 11 | 1 << 9 | 1 << 8);
    put(id, 53, 7);
    put(id, 62, (uint16_t)(0x07 | d->swdma_mode << 8));
    put(id, 63, (uint16_t)(0x07 | d->mdma_mode << 8));
    put(id, 64, 3);
    put(id, 65, 0xb4);
    put(id, 66, 0xb4);
    put(id, 67, 0x12c);
    put(id, 68, 0xb4);
    put(id, 71, 30); /* us to release the bus, to clear BSY */
    put(id, 72, 30);
    put(id, 80, 0x1e); /* ATA-1 to 4 */
    put(id, 88, (uint16_t)(0x3f | d->udma_mode << 8));
}
