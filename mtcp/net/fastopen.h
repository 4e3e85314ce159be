/*
 * Fast Open (RFC 7413) beyond one connection: whose SYN's data is taken, and the cookies of
 * servers, in a small direct-mapped cache. What a connection does with them: tcp/fastopen.h.
 */
#ifndef MTCP_NET_FASTOPEN_H
#define MTCP_NET_FASTOPEN_H

#include "mtcp/net/net.h"

/* Do listeners take it that did not ask for it (TCP_FASTOPEN)? */
static inline bool fastopen_is_for_all(const struct net *n)
{
    const uint32_t both = NET_FASTOPEN_SERVER | NET_FASTOPEN_SERVER_ALL;
    return (n->conf.fastopen & both) == both;
}

/* What a SYN gets. */
enum fastopen_answer {
    FASTOPEN_NONE,    /* an ordinary handshake */
    FASTOPEN_COOKIE,  /* one that gives it a cookie */
    FASTOPEN_TAKEN,   /* its data is taken at once */
    FASTOPEN_RENEWED, /* likewise, and a new cookie: its own was made by an old key */
};

/* Pending Fast Opens of all listeners count against each one's limit (RFC 7413 5.1). */
enum fastopen_answer fastopen_judge(struct net *n, const struct net_listener *l,
                                    const struct seg *syn);

/* The keys of the listener's cookies. */
struct fastopen_keys fastopen_keys_of(const struct net *n, const struct net_listener *l);

/* The option with a cookie for who sent the SYN, FASTOPEN_COOKIE_LEN bytes of which are at
 * `cookie`. */
void fastopen_offer(const struct net *n, const struct net_listener *l, const struct seg *syn,
                    struct tcp_opts *o, uint8_t *cookie);

/* An active open with c->ext, between net_connect_prepare() and net_connect_start(): true when its
 * SYN may carry data, so that it had better wait for some; else the SYN asks for a cookie, if
 * anything. */
bool fastopen_prepare(struct net *n, struct tcp_conn *c);

/* tcp_input() said TCP_IN_FASTOPEN (`what`) about the segment. */
void fastopen_ended(struct net *n, struct tcp_conn *c, const struct seg *s, unsigned what);

#endif
