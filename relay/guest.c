/*
 * The token of an URL is read from libwebsockets' copy of the request, which goes with the
 * handshake; the log shows paths only.
 */
#include "relay/guest.h"

#include <string.h>
#include <time.h>

#include "relay/log.h"
#include "relay/loop.h"
#include "relay/token.h"

enum { POLICY_VIOLATION = 1008 }; /* RFC 6455 7.4.1 */

static void expired(void *owner)
{
    struct guest *g = owner;
    log_event(LOG_INFO, "token", "peer=%s error=expired", g->connection->peer);
    connection_close(g->connection, POLICY_VIOLATION);
}

bool guest_open(struct guest *g, struct connection *c)
{
    char text[RELAY_TOKEN_MAX + 8];
    uint64_t expires;
    struct error err;
    const char *token = lws_get_urlarg_by_name(c->wsi, "token=", text, sizeof text);
    *g = (struct guest){ .connection = c, .token = token && *token };
    if (!g->token && c->relay->config->anonymous) {
        g->policy = policy_ref(c->relay->config->policy);
    } else if (!token || !*token ||
               token_verify(c->relay, (struct relay_bytes){ (const uint8_t *)token, strlen(token) },
                            &g->policy, &expires, &err) != TOKEN_GOOD) {
        log_event(LOG_INFO, "token", "peer=%s error=%s", c->peer,
                  log_string(g->token ? err.msg : "none"));
        c->relay->metrics.tokens_refused_total++;
        connection_close(c, POLICY_VIOLATION);
        return false;
    }
    if (g->token) {
        uint64_t now = (uint64_t)time(NULL);
        g->expiry = timer_new(&c->relay->loop, expired, g);
        if (!g->expiry || expires <= now) {
            connection_close(c, POLICY_VIOLATION);
            timer_free(g->expiry);
            policy_unref(g->policy);
            return false;
        }
        timer_start(g->expiry, (expires - now) * 1000, 0);
    }
    connection_limit(c, g->policy);
    return true;
}

void guest_close(struct guest *g)
{
    log_event(LOG_INFO, "closed", "peer=%s", g->connection->peer);
    timer_free(g->expiry);
    g->connection->policy = NULL;
    policy_unref(g->policy);
}
