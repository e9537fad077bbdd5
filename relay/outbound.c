/*
 * A destination is allowed if the client's policy contains it and the configuration's `deny`
 * doesn't, both asked about what egress_check() makes of it.
 */
#include "relay/outbound.h"

#include <errno.h>

#include "relay/egress.h"
#include "relay/log.h"

enum { LOGGED_A_SECOND = 10 };

static bool allowed(const struct relay *relay, const struct policy *p,
                    const struct relay_address *dial, enum egress_class class)
{
    return policy_may_reach(p, dial, class) && !ranges_contain(&relay->config->deny, dial, class);
}

bool outbound_allows(const struct relay *relay, const struct policy *p,
                     const struct relay_address *from)
{
    struct relay_address dial;
    enum egress_class class = egress_check(from, &dial);
    return allowed(relay, p, &dial, class);
}

/* A guest that scans a network mustn't fill the log. */
static bool may_log(struct relay *relay)
{
    uint64_t now = uv_now(&relay->loop) / 1000;
    if (now != relay->denied_second) {
        relay->denied_second = now;
        relay->denied_logged = 0;
    }
    return relay->denied_logged++ < LOGGED_A_SECOND;
}

int outbound_check(struct relay *relay, const struct policy *p, bool token,
                   const struct relay_address *to, struct relay_address *dial)
{
    enum egress_class class = egress_check(to, dial);
    if (allowed(relay, p, dial, class))
        return 0;
    relay->metrics.egress_denied_total++;
    if (may_log(relay))
        log_event(LOG_INFO, "denied", "to=%s class=%s", address_text(dial),
                  egress_class_name(class));
    return token ? EPERM : EACCES;
}
