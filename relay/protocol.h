/*
 * The relay's wire protocol, version 1 (docs/relay-protocol.md): constants, messages, parser,
 * builder and credit. Both ends include this header: the client in net/ and the server in relay/.
 *
 * A WebSocket message (RFC 6455, binary) holds one or more whole messages. A message is a header of
 * 8 bytes and a body; numbers are big-endian:
 *
 *   0      1             4             8
 *   | type | body length | channel     | body ...
 *
 * Nothing here allocates, blocks or keeps state between calls. What relay_parse() hands out points
 * into the caller's buffer.
 */
#ifndef SLIPWAY_RELAY_PROTOCOL_H
#define SLIPWAY_RELAY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_SUBPROTOCOL "slipway-relay" /* Sec-WebSocket-Protocol */

enum {
    RELAY_VERSION_MIN = 1, /* what this header describes */
    RELAY_VERSION_MAX = 1,
    RELAY_MAGIC = 0x534c5057, /* "SLPW" */
    RELAY_HEADER = 8,
    RELAY_BODY_MAX = 256 << 10,
    RELAY_BATCH_MAX = 1 << 20, /* a WebSocket message */
    RELAY_FRAME_MIN = 14,      /* an Ethernet header */
    RELAY_FRAME_MAX = 69632,   /* QEMU's limit, NET_FRAME_MAX */
    RELAY_DGRAM_MAX = 65535,
    RELAY_DNS_MIN = 12, /* a DNS header, RFC 1035 4.1.1 */
    RELAY_DNS_MAX = 65535,
    RELAY_TOKEN_MAX = 2048,
    RELAY_TEXT_MAX = 256,
    RELAY_ROOM_MAX = 64,
    RELAY_SESSION = 16, /* bytes of a session's id, and of its key */
    RELAY_ADDRESS = 20, /* bytes of an address on the wire */
    RELAY_CREDIT_MAX = 0x7fffffff,
    /* The least window of a channel whose messages can't be cut: credit comes back by halves, and
     * the longest frame has to fit in one. */
    RELAY_WINDOW_MIN = 2 * (4 + RELAY_FRAME_MAX),
};
/* Channel numbers with this bit are the server's to give (ACCEPT), the others the client's. */
#define RELAY_CHANNEL_SERVER 0x80000000u

enum relay_type {
    /* of the connection: channel 0 */
    RELAY_HELLO = 0x01,
    RELAY_WELCOME = 0x02,
    RELAY_FAIL = 0x03,
    RELAY_PING = 0x04,
    RELAY_PONG = 0x05,
    RELAY_BYE = 0x06,
    /* of a channel */
    RELAY_OPEN = 0x10,
    RELAY_OPENED = 0x11,
    RELAY_ACCEPT = 0x12,
    RELAY_ACCEPTED = 0x13,
    RELAY_DATA = 0x14,
    RELAY_DGRAMS = 0x15,
    RELAY_FRAMES = 0x16,
    RELAY_CREDIT = 0x17,
    RELAY_SHUT = 0x18,
    RELAY_CLOSE = 0x19,
    RELAY_QUERY = 0x1a,
    RELAY_ANSWER = 0x1b,
    RELAY_UNREACH = 0x1c,
    RELAY_URGENT = 0x1d,
};

enum relay_kind {
    RELAY_ETHER = 1,
    RELAY_TCP = 2,
    RELAY_UDP = 3,
    RELAY_ICMP = 4,
    RELAY_LISTEN = 5,
    RELAY_DNS = 6,
    RELAY_SMB = 7,
};

/* Why a connection ends: the code of FAIL, and 4000 + code is the WebSocket's close code (RFC 6455
 * 7.4.2, private use). The parser gives OK and 5 to 9. */
enum relay_error {
    RELAY_OK = 0,
    RELAY_BAD_VERSION = 1,
    RELAY_BAD_TOKEN = 2,
    RELAY_TOKEN_EXPIRED = 3,
    RELAY_BAD_ORIGIN = 4,
    RELAY_TRUNCATED = 5,    /* bytes missing: of the header, of the body, of a field */
    RELAY_OVERSIZE = 6,     /* over a limit, or bytes behind the last field */
    RELAY_MALFORMED = 7,    /* a value that the field can't have */
    RELAY_UNKNOWN_TYPE = 8, /* of a message */
    RELAY_UNEXPECTED = 9,   /* not from this side, or not now */
    RELAY_BAD_CHANNEL = 10, /* number not open, in use, or not this side's to give */
    RELAY_CREDIT_EXCEEDED = 11,
    RELAY_CREDIT_OVERFLOW = 12,
    RELAY_LIMIT = 13,
    RELAY_TIMEOUT = 14,
    RELAY_SUPERSEDED = 15,
    RELAY_SHUTDOWN = 16,
    RELAY_INTERNAL = 17,
    RELAY_ERRORS
};

/* The numbers of errno on the wire: Linux's (asm-generic), whatever the end's C library has. */
enum relay_errno {
    RELAY_EPERM = 1, /* the token doesn't allow it */
    RELAY_EIO = 5,
    RELAY_EACCES = 13, /* the egress filter doesn't allow it */
    RELAY_EMFILE = 24, /* too many channels */
    RELAY_EMSGSIZE = 90,
    RELAY_EOPNOTSUPP = 95,
    RELAY_EADDRINUSE = 98,
    RELAY_EADDRNOTAVAIL = 99,
    RELAY_ENETUNREACH = 101,
    RELAY_ECONNABORTED = 103,
    RELAY_ECONNRESET = 104,
    RELAY_ETIMEDOUT = 110,
    RELAY_ECONNREFUSED = 111,
    RELAY_EHOSTUNREACH = 113,
};

/* Who sends; also bits of a set. */
enum relay_side { RELAY_CLIENT = 1, RELAY_SERVER = 2 };

struct relay_bytes {
    const uint8_t *data;
    size_t len;
};

/* family 4 or 6, 0: none (then all is 0); an IPv4 address is ip[0..3], the rest is 0. There are no
 * zone ids on the wire. */
struct relay_address {
    uint8_t family;
    uint16_t port;
    uint8_t ip[16];
};

struct relay_hello {
    uint16_t version_min, version_max;
    uint32_t features;              /* none yet: 0 */
    uint8_t session[RELAY_SESSION]; /* all 0: a new one */
    uint8_t key[RELAY_SESSION];
    struct relay_bytes token; /* printable ASCII without blanks; empty: none */
};

struct relay_welcome {
    uint16_t version;
    bool resumed;
    uint16_t keepalive_s; /* a side that has sent nothing for so long sends a PING */
    uint16_t resume_s;    /* how long the session outlives its connection */
    uint32_t features;
    uint8_t session[RELAY_SESSION];
    uint8_t key[RELAY_SESSION];
    uint32_t max_channels;
    uint32_t max_frames_per_s; /* 0: no limit; so the next one */
    uint64_t max_bytes_per_s;
};

struct relay_open {
    uint8_t kind;    /* enum relay_kind */
    uint32_t window; /* bytes that the opener takes before it gives credit */
    /* ether: the room */
    struct relay_bytes room;
    /* tcp: where to; udp, icmp: local address, or any with the family; listen: local address */
    struct relay_address address;
    uint16_t backlog; /* listen */
};

struct relay_message {
    uint8_t type; /* enum relay_type */
    uint32_t channel;
    union {
        struct relay_hello hello;
        struct relay_welcome welcome;
        struct {
            uint16_t code; /* enum relay_error; one that isn't known is INTERNAL */
            struct relay_bytes text;
        } fail;
        uint64_t ping; /* PONG gives it back */
        struct relay_open open;
        struct {
            uint16_t error; /* enum relay_errno; 0: it is open */
            uint32_t window;
            struct relay_address local;
        } opened;
        struct {
            uint32_t listener; /* channel that it came in on */
            uint32_t window;
            struct relay_address peer, local;
        } accept;
        struct {
            uint16_t error; /* not 0: refused */
            uint32_t window;
        } accepted;
        struct relay_bytes bytes; /* DATA, DGRAMS, FRAMES: the body */
        uint8_t urgent;
        uint32_t credit;
        uint16_t close; /* 0 or enum relay_errno */
        struct {
            uint32_t id;
            uint16_t error; /* ANSWER: not 0, then dns is empty */
            struct relay_bytes dns;
        } query; /* ANSWER too */
        struct {
            uint16_t error;
            struct relay_address to;
        } unreach;
    };
};

/* Parses the first message of @data, which @sender sent. *@used: where the next one begins. On an
 * error nothing of @msg or @used counts and the connection has to end with that code. */
enum relay_error relay_parse(const uint8_t *data, size_t len, enum relay_side sender,
                             struct relay_message *msg, size_t *used);
/* Writes @msg for @sender; the length, or 0 if it doesn't fit in @room bytes or relay_parse()
 * wouldn't take it. The buffer may have been written to in any case. */
size_t relay_build(uint8_t *out, size_t room, enum relay_side sender,
                   const struct relay_message *msg);

/* The frames of a parsed FRAMES body and the datagrams of a DGRAMS body: takes the first one off
 * @rest; false: there is none. */
bool relay_next_frame(struct relay_bytes *rest, struct relay_bytes *frame);
bool relay_next_dgram(struct relay_bytes *rest, struct relay_address *addr,
                      struct relay_bytes *dgram);

/* A FRAMES or DGRAMS message that grows in place. */
struct relay_batch {
    uint8_t *out;
    size_t room, len; /* len: bytes so far, with the header */
};
/* Begins at @out; false: not even a header fits. */
bool relay_batch_begin(struct relay_batch *b, uint8_t *out, size_t room, enum relay_type type,
                       uint32_t channel);
/* Appends; false: doesn't fit (send what is there, begin anew), or no length for a frame, a
 * datagram. */
bool relay_batch_frame(struct relay_batch *b, const void *data, size_t len);
bool relay_batch_dgram(struct relay_batch *b, const struct relay_address *addr, const void *data,
                       size_t len);
/* Fills in the header; the message's length, 0: nothing was appended, there is no message. */
size_t relay_batch_end(struct relay_batch *b);

/* What a message costs of its channel's credit; 0: it is free. */
uint32_t relay_cost(const struct relay_message *msg);

/* Both directions of a channel's credit. */
struct relay_credit {
    uint32_t send;   /* bytes that may be sent */
    uint32_t window; /* what the other side was given at first */
    uint32_t recv;   /* of it, and of what was given since, not used yet */
    uint32_t owed;   /* received and dealt with, not given back yet */
};
/* @window: what we take, @peer: what the other side takes. Over RELAY_CREDIT_MAX: CREDIT_OVERFLOW.
 */
enum relay_error relay_credit_init(struct relay_credit *c, uint32_t window, uint32_t peer);
/* The other side gave @n bytes more: CREDIT_OVERFLOW if that is over RELAY_CREDIT_MAX in all. */
enum relay_error relay_credit_given(struct relay_credit *c, uint32_t n);
/* Takes @n bytes off what may be sent; false, and nothing taken: not so many. */
bool relay_credit_spend(struct relay_credit *c, uint32_t n);
/* @n bytes came: CREDIT_EXCEEDED if the other side had no credit for them. */
enum relay_error relay_credit_received(struct relay_credit *c, uint32_t n);
/* @n of those bytes were dealt with. What to give back in a CREDIT now, 0: wait for more (half of
 * the window goes at a time). More than came is taken for what came. */
uint32_t relay_credit_done(struct relay_credit *c, uint32_t n);

/* "HELLO", "BAD_TOKEN"; "?" if there is none. */
const char *relay_type_name(unsigned type);
const char *relay_error_name(unsigned error);

#endif
