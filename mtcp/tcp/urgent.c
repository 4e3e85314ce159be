/*
 * Urgent data (RFC 9293 3.8.5): pointers are kept as stream offsets of the first byte behind the
 * urgent data, which is what the field on the wire names, less the segment's number.
 */
#include "mtcp/tcp/urgent.h"

/* The connection's pointers; NULL: no memory. */
static struct tcp_opt_ext *pointers_of(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_opt_ext *x = conn_ext(e, c);
    e->stats.nomem_drops += x == NULL;
    return x;
}

/* RFC 9293 3.10.7.4, sixth step: after a FIN it says nothing. */
void urgent_in(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    tcp_off_t up = in->off + in->seg->urg;
    if ((c->flags & TCF_RCV_FIN) || up <= (tcp_off_t)stream_read(&c->rcv))
        return;
    struct tcp_opt_ext *x = pointers_of(e, c);
    if (x == NULL || up <= x->rcv_up)
        return;
    x->rcv_up = up;
    conn_mark_ready(e, c, TCP_READY_URGENT);
}

void tcp_mark_urgent(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_opt_ext *x = pointers_of(e, c);
    if (x == NULL)
        return;
    c->flags |= TCF_URGENT;
    x->snd_up = (tcp_off_t)stream_next(&c->snd);
    if (c->snd_wnd == 0)
        c->flags |= TCF_ACK_NOW; /* told also while the window is shut (RFC 6093 section 3.1) */
    conn_mark_output(e, c);
}

static bool has_unacked(const struct tcp_conn *c)
{
    return (c->flags & TCF_URGENT) && c->ext->snd_up > c->snd_una;
}

uint32_t urgent_max_len(const struct tcp_conn *c, uint32_t max_len)
{
    return has_unacked(c) ? c->mss : max_len;
}

/* What lies further ahead than the field can tell is told with its largest value. */
void urgent_mark(const struct tcp_conn *c, struct tcp_tx *tx)
{
    if (!has_unacked(c) || c->ext->snd_up <= tx->off || (tx->seg.flags & TCP_RST))
        return;
    tcp_off_t ahead = c->ext->snd_up - tx->off;
    tx->seg.flags |= TCP_URG;
    tx->seg.urg = ahead < UINT16_MAX ? (uint16_t)ahead : UINT16_MAX;
}
