/*
 * Channels of a session: what is common to all kinds, and what a kind implements.
 */
#ifndef SLIPWAY_RELAY_CHANNEL_H
#define SLIPWAY_RELAY_CHANNEL_H

#include "relay/session.h"

enum channel_state {
    CHANNEL_OPENING,   /* OPEN came, OPENED is to go */
    CHANNEL_ACCEPTING, /* ACCEPT went, ACCEPTED is to come */
    CHANNEL_OPEN,
    CHANNEL_CLOSING, /* our CLOSE went, the client's is to come; there is nothing behind it */
    CHANNEL_PARKED,  /* kept while the session waits */
};

struct channel_ops {
    size_t size;     /* of the kind's struct, which begins with struct channel */
    uint32_t window; /* bytes that it takes; 0: none */
    /* OPEN came. 0: opened; CHANNEL_LATER: channel_opened() will be called; else an errno, and the
     * channel is freed by the caller. @local: own address, if there is one. */
    int (*open)(struct channel *ch, const struct relay_open *open, struct relay_address *local);
    /* A message that costs credit, or SHUT. False: this kind doesn't carry it, or not now. */
    bool (*message)(struct channel *ch, const struct relay_message *m);
    /* There is credit, or room in the queue, which there wasn't. */
    void (*resume)(struct channel *ch);
    /* ACCEPTED came; listen's children only. */
    void (*accepted)(struct channel *ch);
    /* The session waits: can this be kept? */
    bool (*park)(struct channel *ch);
    /* The client asks again for what was kept; false: for something else. */
    bool (*unpark)(struct channel *ch, const struct relay_open *open, struct relay_address *local);
    /* What is behind it goes away. @error: 0, or it is a reset. */
    void (*stop)(struct channel *ch, int error);
};
enum { CHANNEL_LATER = -1 };

struct channel {
    struct session *session;
    const struct channel_ops *ops;
    uint32_t number;
    uint8_t kind;
    enum channel_state state;
    uint32_t reserved; /* memory, with session_reserve() */
    struct relay_credit credit;
    struct channel *next_paused;
    bool paused;
};

extern const struct channel_ops channel_ether, channel_tcp, channel_udp, channel_icmp,
    channel_listen, channel_dns, channel_smb;

/* A message of a channel came. */
void channel_message(struct session *s, const struct relay_message *m);
/* Its open() said LATER: now it is known. An errno frees it. */
void channel_opened(struct channel *ch, int error, const struct relay_address *local);
/* Sends CLOSE and stops it; it stays until the client's CLOSE. */
void channel_close(struct channel *ch, int error);
/* A connection came in on @listener: a new channel, whose ACCEPT was sent. NULL: no more of them.
 */
struct channel *channel_accept(struct channel *listener, const struct channel_ops *ops,
                               const struct relay_address *peer, const struct relay_address *local);
/* Bytes that came were dealt with: gives credit back. */
void channel_done(struct channel *ch, uint32_t bytes);
/* Nothing can be sent now: resume() will be called. False: it can be. */
bool channel_must_wait(struct channel *ch);
/* The session's connection broke, or the session ends (@keep false). */
void channels_park(struct session *s, bool keep);
/* The queue has room again. */
void channels_resume(struct session *s);
/* Frees what was kept and nobody asked for. */
void channels_drop_parked(struct session *s);

/* An errno of this system as the protocol's. */
uint16_t wire_errno(int error);

#endif
