/*
 * A frame is
 *
 *     FIN, RSV1-3, opcode | MASK, length 7 bits | length 0, 16 or 64 bits | mask 32 bits | payload
 *
 * (RFC 6455 5.2). Its header is collected, and what is wrong with the first two bytes is said when
 * they are there. Payload of messages is handed on as it comes, so a message of any length needs no
 * memory here; control frames are short, and collected. Lengths needn't be written in the fewest
 * bytes, as others don't insist either. Text has to be UTF-8 (8.1, RFC 3629 4), which is looked at
 * byte by byte: nobody sends us much of it.
 */
#include "relay/websocket.h"

#include <string.h>

enum {
    FIN = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
};

/* ---- payload ---- */

/* Turned by so many bytes, for what follows these. */
static void turn_mask(uint8_t mask[4], size_t bytes)
{
    uint8_t old[4];
    memcpy(old, mask, sizeof old);
    for (unsigned i = 0; i < 4; i++)
        mask[i] = old[(i + bytes) & 3];
}

/* Removes the mask (5.3). The processor's vectors, and four of them at once, since what comes is
 * nearly all payload. */
static void unmask(uint8_t *p, size_t len, uint8_t mask[4])
{
    typedef uint8_t vector __attribute__((vector_size(16)));
    vector m, v[4];
    size_t i = 0;
    for (size_t k = 0; k < sizeof m; k += 4)
        memcpy((uint8_t *)&m + k, mask, 4);
    for (; len - i >= sizeof v; i += sizeof v) {
        memcpy(v, p + i, sizeof v);
        for (int k = 0; k < 4; k++)
            v[k] ^= m;
        memcpy(p + i, v, sizeof v);
    }
    for (; i < len; i++)
        p[i] ^= mask[i & 3];
    turn_mask(mask, len);
}

/* Is it UTF-8, as far as it goes? */
static bool utf8(struct websocket *w, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t b = p[i];
        if (w->utf8_left) {
            if (b < w->utf8_least || b > w->utf8_most)
                return false;
            w->utf8_left--;
        } else if (b >= 0x80) {
            if (b < 0xc2 || b > 0xf4)
                return false;
            w->utf8_left = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
            /* Neither longer than need be, nor surrogates, nor beyond U+10FFFF. */
            w->utf8_least = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
            w->utf8_most = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
            continue;
        }
        w->utf8_least = 0x80;
        w->utf8_most = 0xbf;
    }
    return true;
}

/* ---- headers ---- */

static bool is_control(unsigned opcode)
{
    return opcode & 8;
}

/* What may be said of the first two bytes. */
static bool beginning_is_good(const struct websocket *w)
{
    unsigned opcode = w->header[0] & OPCODE, len = w->header[1] & LENGTH;
    if ((w->header[0] & RESERVED) || !(w->header[1] & MASKED))
        return false;
    switch (opcode) {
    case WEBSOCKET_CONTINUATION: return w->in_message;
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY: return !w->in_message;
    case WEBSOCKET_CLOSE:
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG: return (w->header[0] & FIN) && len <= WEBSOCKET_CONTROL_MAX;
    default: return false;
    }
}

static size_t header_length(const struct websocket *w)
{
    unsigned len = w->header[1] & LENGTH;
    return w->have < 2 ? 2 : 2 + (len < 126 ? 0 : len == 126 ? 2 : 8) + sizeof w->mask;
}

/* The header is whole. False: the length has its highest bit set, which none may have. */
static bool begin_frame(struct websocket *w)
{
    unsigned opcode = w->header[0] & OPCODE, len = w->header[1] & LENGTH;
    size_t more = w->have - sizeof w->mask;
    w->left = len < 126 ? len : 0;
    for (size_t i = 2; i < more; i++)
        w->left = w->left << 8 | w->header[i];
    memcpy(w->mask, w->header + more, sizeof w->mask);
    w->in_frame = true;
    w->control_len = 0;
    if (opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY) {
        w->in_message = true;
        w->text = opcode == WEBSOCKET_TEXT;
        w->utf8_left = 0;
    }
    return !(w->left >> 63);
}

/* ---- what came ---- */

static size_t error(struct websocket_event *e, uint16_t code, size_t used)
{
    *e = (struct websocket_event){ .type = WEBSOCKET_ERROR, .code = code };
    return used;
}

/* May this code be sent (7.4)? */
static bool code_is_good(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* The code of a close frame, or in *@bad what is wrong with it. */
static uint16_t close_code(const uint8_t *p, size_t len, uint16_t *bad)
{
    struct websocket reason = { 0 };
    if (!len)
        return WEBSOCKET_NO_CODE;
    uint16_t code = len < 2 ? 0 : (uint16_t)(p[0] << 8 | p[1]);
    if (!code_is_good(code))
        *bad = WEBSOCKET_PROTOCOL_ERROR;
    else if (!utf8(&reason, p + 2, len - 2) || reason.utf8_left)
        *bad = WEBSOCKET_NOT_UTF8;
    return code;
}

static void end_frame(struct websocket *w)
{
    w->in_frame = false;
    w->have = 0;
}

/* Bytes of a control frame's payload, which are unmasked. */
static void control(struct websocket *w, const uint8_t *p, size_t len, struct websocket_event *e)
{
    uint16_t bad = 0, code = 0;
    memcpy(w->control + w->control_len, p, len);
    w->control_len += (uint8_t)len;
    if (w->left)
        return;
    enum websocket_opcode opcode = w->header[0] & OPCODE;
    if (opcode == WEBSOCKET_CLOSE)
        code = close_code(w->control, w->control_len, &bad);
    *e = (struct websocket_event){ .type = WEBSOCKET_CONTROL,
                                   .data = w->control,
                                   .len = w->control_len,
                                   .frame = opcode,
                                   .code = code };
    if (bad)
        error(e, bad, 0);
    end_frame(w);
}

/* Bytes of a message. */
static void data_piece(struct websocket *w, const uint8_t *p, size_t len, struct websocket_event *e)
{
    bool last = !w->left && (w->header[0] & FIN);
    if (!w->left)
        end_frame(w);
    if (last)
        w->in_message = false;
    if (w->text && (!utf8(w, p, len) || (last && w->utf8_left)))
        error(e, WEBSOCKET_NOT_UTF8, 0);
    else if (len || last)
        *e = (struct websocket_event){
            .type = WEBSOCKET_DATA, .data = p, .len = len, .binary = !w->text, .last = last
        };
}

size_t websocket_receive(struct websocket *w, uint8_t *data, size_t len, struct websocket_event *e)
{
    size_t used = 0;
    *e = (struct websocket_event){ .type = WEBSOCKET_NOTHING };
    while (used < len && e->type == WEBSOCKET_NOTHING) {
        if (!w->in_frame) {
            w->header[w->have++] = data[used++];
            if (w->have == 2 && !beginning_is_good(w))
                return error(e, WEBSOCKET_PROTOCOL_ERROR, used);
            if (w->have < header_length(w))
                continue;
            if (!begin_frame(w))
                return error(e, WEBSOCKET_TOO_BIG, used);
        }
        size_t n = len - used < w->left ? len - used : (size_t)w->left;
        if (!n && w->left)
            break;
        unmask(data + used, n, w->mask);
        w->left -= n;
        if (is_control(w->header[0] & OPCODE))
            control(w, data + used, n, e);
        else
            data_piece(w, data + used, n, e);
        used += n;
    }
    return used;
}

size_t websocket_header(uint8_t *end, enum websocket_opcode opcode, uint64_t len)
{
    size_t bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
    uint8_t *p = end - bytes - 2;
    p[0] = (uint8_t)(FIN | opcode);
    p[1] = (uint8_t)(!bytes ? len : bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++)
        p[2 + i] = (uint8_t)(len >> 8 * (bytes - 1 - i));
    return bytes + 2;
}
