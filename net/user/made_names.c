/*
 * Made-up addresses (made_names.h): a table in which the slot is the address, 198.18.0.1 and
 * upwards. A name keeps its slot; when all are taken, the one that was made first is used again,
 * and its answers told to be short-lived make that rare.
 */
#include "net/user/made_names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 4096, NAME_MOST = 253, DNS_HEADER = 12, TYPE_A = 1, CLASS_IN = 1, TTL_S = 60 };
#define FIRST_ADDRESS 0xc6120001u

struct made_names {
    char *names[NAMES];
    size_t next;
};

struct made_names *made_names_new(void)
{
    return calloc(1, sizeof(struct made_names));
}

void made_names_free(struct made_names *n)
{
    for (size_t i = 0; n && i < NAMES; i++)
        free(n->names[i]);
    free(n);
}

/* The question's name, lower case with dots; where it ends, or 0. */
static size_t read_name(const uint8_t *dns, size_t len, char name[NAME_MOST + 1])
{
    size_t at = DNS_HEADER, fill = 0;
    while (at < len && dns[at]) {
        size_t label = dns[at++];
        if (label > 63 || label > len - at || fill + label + 1 > NAME_MOST)
            return 0;
        if (fill)
            name[fill++] = '.';
        for (size_t i = 0; i < label; i++) {
            unsigned char c = dns[at + i];
            if (c <= ' ' || c >= 0x7f || c == '.')
                return 0;
            name[fill++] = (char)tolower(c);
        }
        at += label;
    }
    name[fill] = 0;
    return at < len && fill ? at + 1 : 0;
}

/* The slot of @name. */
static size_t place(struct made_names *n, const char *name)
{
    size_t at;
    for (size_t i = 0; i < NAMES && n->names[i]; i++)
        if (!strcmp(n->names[i], name))
            return i;
    at = n->next++ % NAMES;
    free(n->names[at]);
    n->names[at] = strdup(name);
    return at;
}

size_t made_names_answer(struct made_names *n, const uint8_t *dns, size_t len, uint8_t *answer,
                         size_t room)
{
    char name[NAME_MOST + 1];
    static const uint8_t record[] = {
        0xc0, DNS_HEADER, 0, TYPE_A, 0, CLASS_IN, 0, 0, 0, TTL_S, 0, 4
    };
    size_t end = len > DNS_HEADER ? read_name(dns, len, name) : 0;
    if (!end || len - end < 4 || dns[4] || dns[5] != 1 || room < end + 4 + sizeof record + 4)
        return 0;
    bool known = !dns[end] && dns[end + 1] == TYPE_A && !dns[end + 2] && dns[end + 3] == CLASS_IN;
    size_t fill = end + 4;
    memcpy(answer, dns, fill);
    answer[2] = (uint8_t)((dns[2] & 0x79) | 0x80); /* QR; opcode and RD stay */
    answer[3] = 0x80;                              /* RA */
    memset(answer + 6, 0, 6);
    answer[7] = known;
    if (!known)
        return fill;
    memcpy(answer + fill, record, sizeof record);
    uint32_t address = htonl(FIRST_ADDRESS + (uint32_t)place(n, name));
    memcpy(answer + fill + sizeof record, &address, 4);
    return fill + sizeof record + 4;
}

const char *made_names_find(const struct made_names *n, const struct sockaddr_storage *addr)
{
    if (addr->ss_family != AF_INET)
        return NULL;
    uint32_t at =
        ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr) - (uint32_t)FIRST_ADDRESS;
    return at < NAMES ? n->names[at] : NULL;
}
