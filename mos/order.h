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
 *
 * Connections of the wire (wire.c) go the same way, through the functions below.
 */
#ifndef MOS_ORDER_H
#define MOS_ORDER_H

#include "mos/mon.h"
#include "mtcp/tcp/hook.h"

extern const struct tcp_hooks order_hooks;

/* The verdict on the first SYN of a new connection (*s may be changed). HOOK_DROP: it was none, and
 * is freed. */
enum hook_verdict order_ask_first(struct mon_conn *c, struct hook_seg *s);

/* One packet: everything up to the errors, and then, when the receiver has been updated, the rest.
 * After HOOK_DROP there is no rest. */
enum hook_verdict order_packet(struct mon_conn *c, struct hook_seg *s);
void order_packet_done(struct mon_conn *c, const struct hook_seg *s);

/* An error of the packet in hand. overrun_to: of HOOK_OVERRUN, the end of the bytes that go; what
 * is new of them is told first. */
void order_error(struct mon_conn *c, int side, enum hook_error kind, uint64_t overrun_to);

/* New bytes of a side that were not told yet. */
void order_new_data(struct mon_conn *c, int side);

/* The end; frees the connection. */
void order_end(struct mon_conn *c, enum hook_end reason);

/* The end of one of the wire that a monitor resets: nobody watches the record any more. */
void order_cut(struct mon_conn *c);

#endif
