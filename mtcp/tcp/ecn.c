/* Explicit congestion notification: the answers to the SYN, and the receiver's part. */
#include "mtcp/tcp/ecn.h"

void ecn_take_answer(struct tcp_conn *c, const struct seg *s)
{
    uint8_t want = (s->flags & TCP_ACK) ? TCP_ECE : TCP_ECE | TCP_CWR;
    if ((s->flags & (TCP_ECE | TCP_CWR)) != want)
        c->flags &= ~(uint32_t)TCF_ECN;
}

/* The sender's window may be as small as a segment: it waits for this ACK. */
static void ack_now(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags |= TCF_ACK_NOW;
    conn_mark_output(e, c);
}

void ecn_data_in(struct tcp_env *e, struct tcp_conn *c, const struct seg *s)
{
    if (s->flags & TCP_CWR) {
        c->marks &= (uint8_t)~ECN_ECHO;
        ack_now(e, c);
    }
    if (s->tos & IP_ECN_MASK)
        c->marks |= ECN_SEEN;
    if ((s->tos & IP_ECN_MASK) != IP_CE)
        return;
    e->stats.ecn_marks_in++;
    if (!(c->marks & ECN_ECHO))
        ack_now(e, c);
    c->marks |= ECN_ECHO; /* also when CWR came with it: that is news (RFC 3168 6.1.3) */
}

void ecn_mark(const struct tcp_conn *c, struct tcp_tx *tx)
{
    struct seg *s = &tx->seg;
    if (s->flags & (TCP_SYN | TCP_RST))
        return;
    if (c->marks & ECN_ECHO)
        s->flags |= TCP_ECE;
    if (s->len == 0 || tx->rexmit)
        return;
    s->tos |= IP_ECT_0;
    if (c->marks & ECN_CWR)
        s->flags |= TCP_CWR;
}
