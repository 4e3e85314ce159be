/*
 * What every record of a connection begins with, whichever it currently is: a half-open record
 * (SYN received), a full connection, a dormant one, or a TIME_WAIT record. net/'s flow table chains
 * them.
 */
#ifndef MTCP_TCP_FLOW_H
#define MTCP_TCP_FLOW_H

#include "mtcp/wire/addr.h"

#include <stdint.h>

enum flow_kind { FLOW_HALF_OPEN, FLOW_CONN, FLOW_TIME_WAIT, FLOW_DORMANT };

struct flow {
    struct flow *chain; /* net/flow_table.c */
    uint32_t hash;      /* net/flow_table.c */
    uint8_t kind;       /* enum flow_kind */
    uint8_t netif;      /* net/: the interface it lives on */
    uint8_t marks;      /* net/: enum net_mark */
    uint8_t spared;     /* enum hook_spare: what the monitor does not want to hear of */
};

#endif
