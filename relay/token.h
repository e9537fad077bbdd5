/*
 * Tokens: permissions that the holder of the relay's secret writes and signs, so that the relay
 * needs no list of users.
 *
 *   slp1.CLAIMS.SIGNATURE
 *
 * CLAIMS is base64url of `key=value;key=value...` with the keys of a policy (policy.h) and
 * `expires` (Unix time, must be there); SIGNATURE is base64url of HMAC-SHA-256 of all that is
 * before its dot.
 */
#ifndef SLIPWAY_RELAY_TOKEN_H
#define SLIPWAY_RELAY_TOKEN_H

#include "relay/relay.h"

enum token_verdict { TOKEN_GOOD, TOKEN_BAD, TOKEN_OLD };

struct secret;
/* Reads the key's file: 32 to 4096 bytes. NULL and @err: can't. */
struct secret *secret_read(const char *file, struct error *err);
void secret_free(struct secret *s);

/* GOOD: *@policy (one reference) and *@expires. */
enum token_verdict token_verify(const struct relay *relay, struct relay_bytes token,
                                struct policy **policy, uint64_t *expires, struct error *err);
/* `slipway-relay token ...`: the arguments after "token". Returns the exit status. */
int token_command(int argc, char **argv);

#endif
