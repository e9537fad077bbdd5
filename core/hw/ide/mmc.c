/*
 * The CD drive's commands: the subset of MMC-6 and SPC-3 that operating systems, BIOSes and boot
 * loaders use to find a medium, read data, follow medium changes and move the tray. One table:
 * code, handler, conditions.
 *
 * A changed medium is told in two steps, as a person at the tray causes them: the first command
 * that needs the medium fails with "not present", the second with "may have changed" (unit
 * attention), then all is well.
 */
#include <string.h>

#include "hw/ide/ide_int.h"
#include "log.h"

enum {
    SENSE_NOT_READY = 2,
    SENSE_ILLEGAL_REQUEST = 5,
    SENSE_UNIT_ATTENTION = 6,
    ASC_ILLEGAL_OPCODE = 0x20,
    ASC_LBA_RANGE = 0x21,
    ASC_INVALID_FIELD = 0x24,
    ASC_MEDIUM_CHANGED = 0x28,
    ASC_SAVING_NOT_SUPPORTED = 0x39,
    ASC_NO_MEDIUM = 0x3a,
    ASC_REMOVAL_PREVENTED = 0x53,

    ALWAYS = 0,
    NEEDS_MEDIUM = 1, /* fails with "not ready" without one, and reports changes */
    NOTES_CHANGE = 2, /* reports changes only */
};

#define CD_MAX_BLOCKS     (80 * 60 * 75) /* 80 minutes; what is larger is a DVD */
#define PROFILE_CD        0x0008
#define PROFILE_DVD       0x0010
#define EVENT_CLASS_MEDIA 4

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* An address in a reply: block number, or 0, minute, second, frame. */
static void put_address(uint8_t *p, uint32_t lba, bool msf)
{
    if (!msf) {
        put32(p, lba);
        return;
    }
    lba += 150;
    p[0] = 0;
    p[1] = (uint8_t)(lba / 75 / 60);
    p[2] = (uint8_t)(lba / 75 % 60);
    p[3] = (uint8_t)(lba % 75);
}

static void put_text(uint8_t *p, size_t len, const char *text)
{
    size_t n = strlen(text);

    memset(p, ' ', len);
    memcpy(p, text, n < len ? n : len);
}

static void invalid_field(struct ide_drive *d)
{
    atapi_error(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

bool mmc_medium_present(const struct ide_drive *d)
{
    return d->blk && !d->tray_open && d->sectors >= 4;
}

static uint32_t blocks(const struct ide_drive *d)
{
    uint64_t n = d->sectors / 4;

    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static uint16_t profile(const struct ide_drive *d)
{
    if (!mmc_medium_present(d))
        return 0;
    return blocks(d) > CD_MAX_BLOCKS ? PROFILE_DVD : PROFILE_CD;
}

static void no_medium(struct ide_drive *d)
{
    atapi_error(d, SENSE_NOT_READY, ASC_NO_MEDIUM, d->tray_open ? 2 : 1);
}

/* ---- SPC ---- */

static void test_unit_ready(struct ide_drive *d, const uint8_t *c)
{
    atapi_ok(d);
}

static void request_sense(struct ide_drive *d, const uint8_t *c)
{
    uint8_t *p = d->buf;

    memset(p, 0, 18);
    p[0] = 0xf0;
    p[2] = d->sense_key;
    p[7] = 10;
    p[12] = d->asc;
    p[13] = d->ascq;
    d->sense_key = d->asc = d->ascq = 0;
    atapi_reply(d, 18, c[4]);
}

static void inquiry(struct ide_drive *d, const uint8_t *c)
{
    uint8_t *p = d->buf;
    size_t n;

    memset(p, 0, 256);
    p[0] = 0x05; /* CD/DVD */
    if (!(c[1] & 1)) {
        if (c[2]) {
            invalid_field(d);
            return;
        }
        p[1] = 0x80; /* removable */
        p[3] = 0x21; /* ATAPI, response format 1 */
        p[4] = 31;
        put_text(p + 8, 8, "SLIPWAY");
        put_text(p + 16, 16, d->model);
        put_text(p + 32, 4, "1.0");
        atapi_reply(d, 36, c[4]);
        return;
    }
    p[1] = c[2];
    switch (c[2]) {
    case 0x00: /* list of pages */
        p[3] = 3;
        p[5] = 0x80;
        p[6] = 0x83;
        atapi_reply(d, 7, c[4]);
        break;
    case 0x80: /* serial number */
        n = strlen(d->serial);
        p[3] = (uint8_t)n;
        memcpy(p + 4, d->serial, n);
        atapi_reply(d, (uint32_t)(4 + n), c[4]);
        break;
    case 0x83: /* identification: serial, vendor-specific */
        n = strlen(d->serial);
        p[3] = (uint8_t)(4 + n);
        p[4] = 2; /* ASCII */
        p[7] = (uint8_t)n;
        memcpy(p + 8, d->serial, n);
        atapi_reply(d, (uint32_t)(8 + n), c[4]);
        break;
    default: invalid_field(d); break;
    }
}

static void mode_sense(struct ide_drive *d, const uint8_t *c)
{
    static const uint8_t error_recovery[] = { 0x01, 0x06, 0x00, 0x05, 0, 0, 0, 0 };
    static const uint8_t audio_control[] = { 0x0e, 0x0e, 0x04, 0,    0, 0, 0, 75,
                                             0x01, 0xff, 0x02, 0xff, 0, 0, 0, 0 };
    uint8_t capabilities[22] = { 0x2a, 0x14, 0x38, 0, 0x71, 3 << 5, 1 << 0 | 1 << 3 | 1 << 5, 0 };
    uint8_t page = c[2] & 0x3f, *p = d->buf;
    uint32_t len = 8;
    bool changeable = c[2] >> 6 == 1;

    if (c[2] >> 6 == 3) {
        atapi_error(d, SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED, 0);
        return;
    }
    if (page != 0x01 && page != 0x0e && page != 0x2a && page != 0x3f) {
        invalid_field(d);
        return;
    }
    if (d->tray_locked)
        capabilities[6] |= 1 << 1;
    put16(capabilities + 8, 706);  /* KB/s: 4 x */
    put16(capabilities + 10, 2);   /* volume levels */
    put16(capabilities + 12, 512); /* KB of buffer */
    put16(capabilities + 14, 706);
    memset(p, 0, 8);
    p[2] = d->tray_open ? 0x71 : mmc_medium_present(d) ? 0x01 : 0x70;
    if (page == 0x01 || page == 0x3f) {
        memcpy(p + len, error_recovery, sizeof(error_recovery));
        len += sizeof(error_recovery);
    }
    if (page == 0x0e || page == 0x3f) {
        memcpy(p + len, audio_control, sizeof(audio_control));
        len += sizeof(audio_control);
    }
    if (page == 0x2a || page == 0x3f) {
        memcpy(p + len, capabilities, sizeof(capabilities));
        len += sizeof(capabilities);
    }
    if (changeable) /* nothing is: each page's contents are a mask of zeros */
        for (uint32_t at = 8; at < len; at += 2u + p[at + 1])
            memset(p + at + 2, 0, p[at + 1]);
    put16(p, len - 2);
    atapi_reply(d, len, be16(c + 7));
}

/* ---- medium and tray ---- */

static void start_stop(struct ide_drive *d, const uint8_t *c)
{
    bool load_eject = c[4] & 2, start = c[4] & 1;

    if (c[4] >> 4) { /* power conditions */
        atapi_ok(d);
        return;
    }
    if (load_eject) {
        if (!start && !d->tray_open && d->tray_locked) {
            atapi_error(d, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, 2);
            return;
        }
        if (start && d->tray_open)
            d->new_media = mmc_medium_present(d) || d->blk;
        d->tray_open = !start;
    }
    atapi_ok(d);
}

static void prevent_allow(struct ide_drive *d, const uint8_t *c)
{
    d->tray_locked = c[4] & 1;
    atapi_ok(d);
}

static void get_event_status(struct ide_drive *d, const uint8_t *c)
{
    uint8_t *p = d->buf;

    if (!(c[1] & 1)) { /* asynchronous operation */
        invalid_field(d);
        return;
    }
    memset(p, 0, 8);
    p[3] = 1 << EVENT_CLASS_MEDIA;
    if (!(c[4] & 1 << EVENT_CLASS_MEDIA)) {
        put16(p, 2);
        p[2] = 0x80; /* no event of the classes asked for */
        atapi_reply(d, 4, be16(c + 7));
        return;
    }
    put16(p, 6);
    p[2] = EVENT_CLASS_MEDIA;
    if (d->tray_open)
        p[5] = 1;
    else if (mmc_medium_present(d))
        p[5] = 2;
    if (d->new_media) {
        p[4] = 2;
        d->new_media = false;
    } else if (d->eject_request) {
        p[4] = 1;
        d->eject_request = false;
    }
    atapi_reply(d, 8, be16(c + 7));
}

static void mechanism_status(struct ide_drive *d, const uint8_t *c)
{
    memset(d->buf, 0, 8);
    d->buf[1] = d->tray_open ? 0x10 : 0;
    d->buf[5] = 1; /* slots */
    atapi_reply(d, 8, be16(c + 8));
}

static void read_capacity(struct ide_drive *d, const uint8_t *c)
{
    put32(d->buf, blocks(d) - 1);
    put32(d->buf + 4, CD_SECTOR);
    atapi_reply(d, 8, 8);
}

/* One session with one data track. */
static void read_toc(struct ide_drive *d, const uint8_t *c)
{
    bool msf = c[1] & 2;
    uint8_t format = c[2] & 15, first = c[6], *p = d->buf;
    uint32_t len = 4;

    if (format == 0)
        format = c[9] >> 6; /* where SFF-8020 has it */
    memset(p, 0, 64);
    p[2] = p[3] = 1;
    switch (format) {
    case 0:
        if (first > 1 && first != 0xaa) {
            invalid_field(d);
            return;
        }
        if (first <= 1) {
            p[len + 1] = 0x14; /* data track, current position */
            p[len + 2] = 1;
            put_address(p + len + 4, 0, msf);
            len += 8;
        }
        p[len + 1] = 0x16;
        p[len + 2] = 0xaa; /* lead-out */
        put_address(p + len + 4, blocks(d), msf);
        len += 8;
        break;
    case 1:
        p[5] = 0x14;
        p[6] = 1;
        put_address(p + 8, 0, msf);
        len = 12;
        break;
    case 2: {
        static const uint8_t points[4] = { 0xa0, 0xa1, 0xa2, 1 };

        for (int i = 0; i < 4; i++, len += 11) {
            uint8_t *e = p + len;

            e[0] = 1; /* session */
            e[1] = 0x14;
            e[3] = points[i];
            if (points[i] == 0xa2 || points[i] == 1)
                put_address(e + 7, points[i] == 1 ? 0 : blocks(d), true);
            else
                e[8] = 1; /* first and last track */
        }
        break;
    }
    default: invalid_field(d); return;
    }
    put16(p, len - 2);
    atapi_reply(d, len, be16(c + 7));
}

/* ---- reading ---- */

static void read_10(struct ide_drive *d, const uint8_t *c)
{
    uint32_t count = c[0] == 0xa8 ? be32(c + 6) : be16(c + 7);

    if (count == 0)
        atapi_ok(d);
    else
        atapi_read(d, be32(c + 2), count, CD_SECTOR);
}

static void read_cd(struct ide_drive *d, const uint8_t *c)
{
    uint32_t count = be32(c + 5) & 0xffffff;
    uint8_t type = c[1] >> 2 & 7, what = c[9] & 0xf8;

    if (count == 0 || (what == 0 && !(c[10] & 7))) {
        atapi_ok(d);
        return;
    }
    if ((type != 0 && type != 2) || (c[9] & 6) || (c[10] & 7) || (what != 0x10 && what != 0xf8)) {
        invalid_field(d); /* audio, XA, C2 errors, subchannels and odd parts aren't there */
        return;
    }
    atapi_read(d, be32(c + 2), count, what == 0x10 ? CD_SECTOR : CD_RAW_SECTOR);
}

static void seek(struct ide_drive *d, const uint8_t *c)
{
    if (be32(c + 2) >= blocks(d))
        atapi_error(d, SENSE_ILLEGAL_REQUEST, ASC_LBA_RANGE, 0);
    else
        atapi_ok(d);
}

static void set_speed(struct ide_drive *d, const uint8_t *c)
{
    atapi_ok(d);
}

/* ---- what drive and medium are ---- */

struct feature {
    uint16_t code;
    uint8_t flags; /* version << 2 | persistent << 1 | current */
    uint8_t len;
    uint8_t data[8];
};

static void get_configuration(struct ide_drive *d, const uint8_t *c)
{
    uint16_t now = profile(d);
    bool cd = now == PROFILE_CD, dvd = now == PROFILE_DVD;
    const struct feature features[] = {
        { 0x0000, 0x03, 8, { 0, PROFILE_DVD, dvd, 0, 0, PROFILE_CD, cd, 0 } }, /* profiles */
        { 0x0001, 0x0b, 8, { 0, 0, 0, 2, 1, 0, 0, 0 } },                       /* core: ATAPI */
        { 0x0003, 0x03, 4, { 0x29, 0, 0, 0 } }, /* removable: tray, eject, lock */
        { 0x0010, now != 0, 8, { 0, 0, 0x08, 0, 0, 0x10, 1, 0 } }, /* random readable: 2048 bytes */
        { 0x001e, (uint8_t)(0x08 | cd), 4, { 0 } },                /* CD read */
        { 0x001f, dvd, 0, { 0 } },                                 /* DVD read */
    };
    uint32_t rt = c[1] & 3, start = be16(c + 2), len = 8;
    uint8_t *p = d->buf;

    if (rt == 3) {
        invalid_field(d);
        return;
    }
    memset(p, 0, 8);
    put16(p + 6, now);
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        const struct feature *f = &features[i];

        if (rt == 2 ? f->code != start : f->code < start || (rt == 1 && !(f->flags & 1)))
            continue;
        put16(p + len, f->code);
        p[len + 2] = f->flags;
        p[len + 3] = f->len;
        memcpy(p + len + 4, f->data, f->len);
        len += 4u + f->len;
    }
    put32(p, len - 4);
    atapi_reply(d, len, be16(c + 7));
}

static void read_disc_info(struct ide_drive *d, const uint8_t *c)
{
    uint8_t *p = d->buf;

    if (c[1] & 7) { /* only the standard information */
        invalid_field(d);
        return;
    }
    memset(p, 0, 34);
    put16(p, 32);
    p[2] = 0x0e; /* finalized disc, complete session */
    p[3] = p[4] = p[5] = p[6] = 1;
    p[7] = 0x20; /* unrestricted use */
    atapi_reply(d, 34, be16(c + 7));
}

static void read_track_info(struct ide_drive *d, const uint8_t *c)
{
    uint8_t *p = d->buf, kind = c[1] & 3;
    uint32_t what = be32(c + 2);

    if (kind == 3 || (kind == 0 && what >= blocks(d)) || (kind != 0 && what != 1)) {
        invalid_field(d);
        return;
    }
    memset(p, 0, 36);
    put16(p, 34);
    p[2] = p[3] = 1;
    p[5] = 0x04; /* data, uninterrupted */
    p[6] = 0x01; /* mode 1 */
    put32(p + 24, blocks(d));
    atapi_reply(d, 36, be16(c + 7));
}

static void read_dvd_structure(struct ide_drive *d, const uint8_t *c)
{
    uint8_t *p = d->buf;
    uint32_t len;

    if (c[1] & 15) { /* not DVD */
        invalid_field(d);
        return;
    }
    memset(p, 0, 2052);
    if (c[7] == 0xff) { /* which formats there are */
        static const uint16_t formats[][2] = {
            { 0, 2052 }, { 1, 8 }, { 4, 2052 }, { 0xff, 16 + 4 }
        };

        len = 4;
        for (int i = 0; i < 4; i++, len += 4) {
            p[len] = (uint8_t)formats[i][0];
            p[len + 1] = 0x40; /* readable */
            put16(p + len + 2, formats[i][1]);
        }
    } else if (profile(d) != PROFILE_DVD) {
        atapi_error(d, SENSE_ILLEGAL_REQUEST, 0x30, 0x02); /* incompatible medium */
        return;
    } else if (c[6]) { /* second layer */
        invalid_field(d);
        return;
    } else if (c[7] == 0) {
        p[4] = 1;    /* DVD-ROM, part version 1 */
        p[5] = 0x0f; /* 120 mm, no maximum rate */
        p[6] = 1;    /* one layer, embossed */
        put32(p + 8, 0x30000);
        put32(p + 12, 0x30000 + blocks(d) - 1);
        len = 2052;
    } else if (c[7] == 1) {
        len = 8; /* no copy protection */
    } else if (c[7] == 4) {
        len = 2052; /* manufacturer: none */
    } else {
        invalid_field(d);
        return;
    }
    put16(p, len - 2);
    atapi_reply(d, len, be16(c + 8));
}

static const struct {
    void (*run)(struct ide_drive *d, const uint8_t *c);
    uint8_t conditions;
} commands[256] = {
    [0x00] = { test_unit_ready, NEEDS_MEDIUM },
    [0x03] = { request_sense, ALWAYS },
    [0x12] = { inquiry, ALWAYS },
    [0x1b] = { start_stop, NOTES_CHANGE },
    [0x1e] = { prevent_allow, NOTES_CHANGE },
    [0x25] = { read_capacity, NEEDS_MEDIUM },
    [0x28] = { read_10, NEEDS_MEDIUM },
    [0x2b] = { seek, NEEDS_MEDIUM },
    [0x43] = { read_toc, NEEDS_MEDIUM },
    [0x46] = { get_configuration, ALWAYS },
    [0x4a] = { get_event_status, ALWAYS },
    [0x51] = { read_disc_info, NEEDS_MEDIUM },
    [0x52] = { read_track_info, NEEDS_MEDIUM },
    [0x5a] = { mode_sense, NOTES_CHANGE },
    [0xa8] = { read_10, NEEDS_MEDIUM },
    [0xad] = { read_dvd_structure, NEEDS_MEDIUM },
    [0xbb] = { set_speed, NOTES_CHANGE },
    [0xbd] = { mechanism_status, NOTES_CHANGE },
    [0xbe] = { read_cd, NEEDS_MEDIUM },
};

void mmc_execute(struct ide_drive *d)
{
    const uint8_t *c = d->packet;

    if (!commands[c[0]].run) {
        log_mask(LOG_UNIMP, "ide%d:%d: packet command 0x%02x is not implemented", d->ch->index,
                 d->unit, c[0]);
        atapi_error(d, SENSE_ILLEGAL_REQUEST, ASC_ILLEGAL_OPCODE, 0);
        return;
    }
    if (commands[c[0]].conditions != ALWAYS && d->media_changed && mmc_medium_present(d)) {
        if (d->media_changed == 1) {
            d->media_changed = 2;
            no_medium(d);
        } else {
            d->media_changed = 0;
            atapi_error(d, SENSE_UNIT_ATTENTION, ASC_MEDIUM_CHANGED, 0);
        }
        return;
    }
    if (commands[c[0]].conditions == NEEDS_MEDIUM && !mmc_medium_present(d)) {
        no_medium(d);
        return;
    }
    commands[c[0]].run(d, c);
}
