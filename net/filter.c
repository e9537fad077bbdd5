#include "net/net_impl.h"
bool net_filter_frame(struct net_client *from, struct net_client *to, const struct net_frame *f)
{
    return false;
}
