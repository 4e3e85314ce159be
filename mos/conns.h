/* The record of a monitored connection and its active sockets: made, policed, freed. */
#ifndef MOS_CONNS_H
#define MOS_CONNS_H

#include "mos/mon.h"

/* Whose connection it is: one of the two. */
struct mon_origin {
    struct flow *flow;
    struct wire_conn *wire;
};

/* The record of the connection whose first SYN this is, with a watch for every passive socket that
 * wants it; NULL when none does or there is no memory. */
struct mon_conn *mon_conn_create(struct mon *m, const struct mon_origin *of,
                                 const struct hook_seg *syn);

/* A monitor has no record of a connection that it wants: counted, and the first time said. */
void mon_conn_missed(struct mon *m);

/* Does any passive socket want the connection whose first SYN this is? */
bool mon_conn_is_wanted(const struct mon *m, const struct hook_seg *syn);

/* Ends all its active sockets, and nothing else. Not inside a callback. */
void mon_conn_blind(struct mon_conn *c);

/* Ends all its active sockets and frees it, with its record of the wire: at once, or after the turn
 * when it dies inside a callback and a loop may stand on it. */
void mon_conn_free(struct mon_conn *c);
void mon_conns_bury(struct mon *m);

/* The connection as it is now; all zero when it died. */
void mon_conn_view(const struct mon_conn *c, struct tcp_flow_view *v);

/* The same while the endpoint may hold it as its handle: which it forgets. Not inside a packet's
 * hooks. */
void mon_conn_let_go(struct mon_conn *c);

/* Frees an active socket; a connection that has none any more is let go in the next turn. */
void watch_free(struct watch *w);

/* Looks at it in the next turn(): at both sides, or at one for new data. */
void mon_conn_due(struct mon_conn *c);
void mon_conn_due_side(struct mon_conn *c, int side);

/* Nothing is spared until the next turn(), which looks at it. For changes of what is wanted. */
void mon_conn_heed(struct mon_conn *c);

/* Tells the endpoint, or the streams of the wire, how much history the watches want and which
 * overlap policy holds: one of them after a change, all that is off the defaults for a new record.
 */
void mon_conn_apply_hist(struct mon_conn *c, int side);
void mon_conn_apply_policy(struct mon_conn *c, int side);
void mon_conn_apply(struct mon_conn *c);

#endif
