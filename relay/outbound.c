/*
 * A destination is allowed if the client's policy contains it and the configuration's `deny`
 * doesn't, both asked about what egress_check() makes of it.
 */
#include "relay/outbound.h"

#include <errno.h>

#include "relay/egress.h"
#include "relay/log.h"

int outbound_check(struct relay *relay, const struct policy *p, bool token,
                   const struct relay_address *to, struct relay_address *dial)
{
    enum egress_class class = egress_check(to, dial);
    if (policy_may_reach(p, dial, class) && !ranges_contain(&relay->config->deny, dial, class))
        return 0;
    relay->metrics.egress_denied_total++;
    log_event(LOG_INFO, "denied", "to=%s class=%s", address_text(dial), egress_class_name(class));
    return token ? EPERM : EACCES;
}
