/* The timers of net/ in the context's wheel, beside those of connections (tcp/conn.h). */
#ifndef MTCP_NET_TIMER_KIND_H
#define MTCP_NET_TIMER_KIND_H

#include "mtcp/tcp/conn.h"

enum net_timer_kind {
    NET_TIMER_TIME_WAIT = TIMER_OTHER,
    NET_TIMER_NEIGH,
    NET_TIMER_NDP,
    NET_TIMER_REASS,
    NET_TIMER_DORMANT
};

#endif
