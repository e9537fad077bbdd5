/*
 * Tokens. A token starts from nothing: what its claims don't name isn't allowed, and the numbers
 * are the defaults. The signature is checked before anything in the claims is looked at, in time
 * that doesn't depend on them.
 */
#include "relay/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECRET_MIN = 32, SECRET_MAX = 4096, MAC = 32, MAC_TEXT = 43 };
static const char prefix[] = "slp1.";

struct secret {
    size_t len;
    unsigned char key[SECRET_MAX];
};

struct secret *secret_read(const char *file, struct error *err)
{
    struct secret *s = calloc(1, sizeof *s);
    FILE *f = fopen(file, "re");
    if (!f) {
        error_set(err, "secret: '%s': %s", file, strerror(errno));
        free(s);
        return NULL;
    }
    setvbuf(f, NULL, _IONBF, 0); /* no copy of it */
    s->len = fread(s->key, 1, sizeof s->key, f);
    bool more = fgetc(f) != EOF;
    fclose(f);
    if (s->len >= SECRET_MIN && !more)
        return s;
    error_set(err, "secret: '%s': %s", file,
              more ? "longer than 4096 bytes" : "shorter than 32 bytes");
    secret_free(s);
    return NULL;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

/* ---- base64url without padding, RFC 4648 5 ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(char *out, const unsigned char *in, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        unsigned v = (unsigned)in[i] << 16 | (i + 1 < len ? (unsigned)in[i + 1] << 8 : 0) |
                     (i + 2 < len ? in[i + 2] : 0);
        size_t chars = len - i >= 3 ? 4 : len - i + 1;
        for (size_t k = 0; k < chars; k++)
            out[n++] = digits[v >> (18 - 6 * k) & 63];
    }
    out[n] = 0;
    return n;
}

/* The length, or -1; there is only one way to write a text, so a signature can't be respelled. */
static int decode(unsigned char *out, const char *in, size_t len)
{
    int n = 0;
    unsigned v = 0, bits = 0;
    if (len % 4 == 1)
        return -1;
    for (size_t i = 0; i < len; i++) {
        const char *digit = in[i] ? strchr(digits, in[i]) : NULL;
        if (!digit)
            return -1;
        v = v << 6 | (unsigned)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (unsigned char)(v >> bits);
            v &= (1u << bits) - 1;
        }
    }
    return v ? -1 : n;
}

static void sign(const struct secret *s, const char *text, size_t len, char *out)
{
    unsigned char mac[MAC];
    HMAC(EVP_sha256(), s->key, (int)s->len, (const unsigned char *)text, len, mac, NULL);
    encode(out, mac, sizeof mac);
}

/* ---- claims ---- */

static bool parse_claims(const char *claims, struct policy *p, uint64_t *expires, struct error *err)
{
    char *copy = strdup(claims), *at = copy, *claim;
    bool good = true;
    *expires = 0;
    while (good && (claim = strsep(&at, ";"))) {
        char *value = strchr(claim, '=');
        if (!*claim)
            continue;
        if (!value) {
            good = error_set(err, "'%s': not key=value", claim);
            break;
        }
        *value++ = 0;
        if (!strcmp(claim, "expires"))
            good = size_parse(expires, value, err);
        else
            good = policy_set(p, claim, value, err);
        if (!good)
            error_prepend(err, "%s", claim);
    }
    free(copy);
    if (good && !*expires)
        good = error_set(err, "expires: missing");
    return good;
}

enum token_verdict token_verify(const struct relay *relay, struct relay_bytes token,
                                struct policy **policy, uint64_t *expires, struct error *err)
{
    char text[RELAY_TOKEN_MAX + 1], mac[MAC_TEXT + 1];
    unsigned char claims[RELAY_TOKEN_MAX];
    *policy = NULL;
    error_set(err, "not slp1.CLAIMS.SIGNATURE");
    if (!relay->secret)
        error_set(err, "this relay has no secret");
    if (!relay->secret || token.len > RELAY_TOKEN_MAX ||
        token.len < sizeof prefix - 1 + 1 + MAC_TEXT)
        return TOKEN_BAD;
    memcpy(text, token.data, token.len);
    text[token.len] = 0;
    size_t signed_len = token.len - MAC_TEXT - 1;
    if (strncmp(text, prefix, sizeof prefix - 1) || text[signed_len] != '.' ||
        signed_len < sizeof prefix - 1)
        return TOKEN_BAD;
    sign(relay->secret, text, signed_len, mac);
    if (CRYPTO_memcmp(mac, text + signed_len + 1, MAC_TEXT)) {
        error_set(err, "signature");
        return TOKEN_BAD;
    }
    int len = decode(claims, text + sizeof prefix - 1, signed_len - (sizeof prefix - 1));
    if (len < 0 || memchr(claims, 0, (size_t)len))
        return TOKEN_BAD;
    claims[len] = 0;
    struct policy *p = policy_new_closed();
    enum token_verdict verdict = TOKEN_BAD;
    if (parse_claims((char *)claims, p, expires, err))
        verdict = *expires <= (uint64_t)time(NULL) ? TOKEN_OLD : TOKEN_GOOD;
    if (verdict == TOKEN_GOOD)
        *policy = p;
    else
        policy_unref(p);
    return verdict;
}

/* Signs @claims; malloc'd, NULL and @err: they are wrong or too long. */
static char *make(const struct secret *s, const char *claims, struct error *err)
{
    struct policy *p = policy_new_closed();
    uint64_t expires;
    bool good = parse_claims(claims, p, &expires, err);
    size_t len = strlen(claims), room = sizeof prefix + (len + 2) / 3 * 4 + 1 + MAC_TEXT + 1;
    policy_unref(p);
    if (good && room - 1 > RELAY_TOKEN_MAX)
        good = error_set(err, "the token would be longer than %d bytes", RELAY_TOKEN_MAX);
    if (!good)
        return NULL;
    char *token = malloc(room);
    size_t n = (size_t)sprintf(token, "%s", prefix);
    n += encode(token + n, (const unsigned char *)claims, len);
    sign(s, token, n, token + n + 1);
    token[n] = '.';
    return token;
}

/* ---- the command ---- */

static const char usage[] =
    "usage: slipway-relay token --secret FILE --expires TIME [--KEY VALUE]...\n"
    "\n"
    "Prints a token. TIME is a number with s, m, h or d behind it (from now on), or a Unix time.\n"
    "What isn't named isn't allowed:\n";

static bool expiry(const char *text, uint64_t *expires)
{
    static const struct {
        char unit;
        uint64_t s;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    char *end;
    uint64_t v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || v > 1ull << 40)
        return false;
    *expires = v;
    if (!*end)
        return true;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (*end == units[i].unit && !end[1]) {
            *expires = (uint64_t)time(NULL) + v * units[i].s;
            return true;
        }
    }
    return false;
}

static int complain(const char *name, const char *what)
{
    fprintf(stderr, "slipway-relay token: %s%s%s\n", name, *name ? ": " : "", what);
    return 1;
}

int token_command(int argc, char **argv)
{
    char claims[RELAY_TOKEN_MAX] = "", shown[RELAY_TOKEN_MAX];
    const char *file = NULL;
    uint64_t expires = 0;
    size_t n = 0;
    struct error err;
    for (int i = 0; i < argc; i += 2) {
        const char *name = argv[i];
        if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
            fputs(usage, stdout);
            for (const struct policy_key *k = policy_keys; k->name; k++)
                printf("  --%s %s\n      %s\n", k->name, k->form, k->help);
            return 0;
        }
        if (i + 1 == argc)
            return complain(name, "needs a value");
        const char *value = argv[i + 1];
        if (!strcmp(name, "--secret")) {
            file = value;
        } else if (!strcmp(name, "--expires")) {
            if (!expiry(value, &expires))
                return complain(name, "not a time like 90m, 12h, 7d");
        } else if (!strncmp(name, "--", 2) && policy_has_key(name + 2) && !strchr(value, ';')) {
            n += (size_t)snprintf(claims + n, sizeof claims - n, ";%s=%s", name + 2, value);
            if (n >= sizeof claims)
                return complain(name, "too long");
        } else {
            return complain(name, "there is no such option (see --help)");
        }
    }
    if (!file || !expires)
        return complain("", "--secret and --expires are needed (see --help)");
    snprintf(shown, sizeof shown, "expires=%llu%s", (unsigned long long)expires, claims);
    struct secret *s = secret_read(file, &err);
    char *token = s ? make(s, shown, &err) : NULL;
    secret_free(s);
    if (!token)
        return complain("", err.msg);
    puts(token);
    free(token);
    return 0;
}
