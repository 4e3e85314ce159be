/*
 * The order of events: what the endpoint tells through its hooks becomes events at hook points, for
 * sides. One function per hook of mtcp/tcp/hook.h, whose contracts hold.
 *
 * One packet:  SND   PKT_IN (the verdict; nothing has moved)
 *              SND   CONN_START, STATE_CHANGE ...     the sender has moved
 *              RCV   REXMIT
 *              NULL  ERROR
 *              RCV   PKT_IN, CONN_START, STATE_CHANGE ...   the receiver has moved
 * Later:       NULL  NEW_DATA, once per side and turn, or when ERROR (overrun) or CONN_END needs it
 * At the end:  RCV/CLI, SND/CLI, RCV/SVR, SND/SVR   CONN_END
 */
#ifndef MOS_ORDER_H
#define MOS_ORDER_H

#include "mtcp/tcp/hook.h"

extern const struct tcp_hooks order_hooks;

#endif
