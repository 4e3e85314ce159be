/*
 * Segments become bytes: clip to the window, store in place, choose between an immediate and a
 * delayed acknowledgement (RFC 9293 3.10.7.4 seventh step, RFC 5681 4.2, RFC 1122 4.2.3.2).
 */
#include "mtcp/tcp/input.h"

#include "mtcp/tcp/ecn.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/tune.h"

#include <errno.h>

static void ack_now(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags |= TCF_ACK_NOW;
    conn_mark_output(e, c);
}

void text_note_duplicate(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    tcp_off_t next = (tcp_off_t)stream_next(&c->rcv);
    tcp_off_t end = in->end < next ? in->end : next;
    if (end <= in->off)
        return;
    e->stats.dup_bytes_in += (uint64_t)(end - in->off);
    if (c->flags & TCF_SACK) {
        c->dsack_start = seq_of_off(c->irs, in->off);
        c->dsack_end = seq_of_off(c->irs, end);
        c->n_dsack = 1;
    }
}

static void tell_beyond_window(struct tcp_env *e, struct tcp_conn *c, tcp_off_t from, tcp_off_t to)
{
    e->stats.out_of_window_in++;
    if (unlikely(c->mon != NULL))
        e->hooks->error(e->mon, c->mon, HOOK_BEYOND_WINDOW, true, (uint64_t)from, (uint64_t)to);
}

static void tell_overrun(struct tcp_env *e, struct tcp_conn *c, uint64_t end)
{
    uint64_t head = stream_head(&c->rcv);
    uint64_t after = stream_head_after(&c->rcv, end);
    if (after <= head)
        return;
    e->stats.overruns++;
    e->hooks->error(e->mon, c->mon, HOOK_OVERRUN, true, head, after);
}

/* While the peer's window opens each segment is acknowledged at once: but not what waits to be
 * accepted, for whoever accepts it is likely to answer. */
static bool is_quick(const struct tcp_conn *c)
{
    return (c->n_quick > 0 && c->listener == NULL) || (c->flags & TCF_QUICKACK);
}

/* In order and nothing missing: every second full segment at once, else within delack_us. Segments
 * that were joined on the way count as they were sent: their sender waits for the ACK as for any.
 */
static void ack_in_order(struct tcp_env *e, struct tcp_conn *c, const struct seg *s)
{
    uint32_t len = unlikely(s->joined_mss != 0) ? s->joined_mss : s->len;
    if (len > c->rcv_mss)
        c->rcv_mss = (uint16_t)(len < UINT16_MAX ? len : UINT16_MAX);
    tcp_off_t owed = (tcp_off_t)stream_next(&c->rcv) - c->rcv_acked;
    if (owed >= 2 * (tcp_off_t)c->rcv_mss || is_quick(c)) {
        if (c->n_quick > 0)
            c->n_quick--;
        ack_now(e, c);
    } else if (!(c->flags & TCF_ACK_DELAYED)) {
        c->flags |= TCF_ACK_DELAYED;
        timers_set_delack(e, c, e->now_us + e->params.delack_us);
    }
}

/* Bytes came into the run that holds `off`: it is reported first, then the one before it. */
static void note_run(struct tcp_conn *c, tcp_off_t off)
{
    tcp_off_t last = off_of_seq(c->irs, c->dsack_start, (tcp_off_t)stream_next(&c->rcv));
    struct range r;
    if (!ranges_find(c->rcv.ooo, (uint64_t)off, &r) || last < (tcp_off_t)r.start ||
        last >= (tcp_off_t)r.end)
        c->dsack_end = c->dsack_start;
    c->dsack_start = seq_of_off(c->irs, off);
}

static void text_stored(struct tcp_env *e, struct tcp_conn *c, const struct in *in,
                        const struct stream_insert *what)
{
    uint64_t n_new = what->new_to - what->new_from;
    e->stats.bytes_in += n_new;
    if (n_new == 0) {
        e->stats.ooo_in++;
        if (!(c->flags & TCF_SACK))
            c->n_dup_owed = c->n_dup_owed < UINT8_MAX ? (uint8_t)(c->n_dup_owed + 1) : UINT8_MAX;
        else if (!c->n_dsack)
            note_run(c, in->off);
        ack_now(e, c); /* a duplicate ACK tells the sender of the hole (RFC 5681 4.2) */
        return;
    }
    if (unlikely(tune_rcv_is_due(e, c, in->seg)))
        tune_rcv(e, c);
    conn_mark_ready(e, c, TCP_READY_IN);
    if (c->rcv.ooo != NULL || n_new > in->seg->len) {
        if (!(c->flags & TCF_SACK))
            c->n_dup_owed = 0;
        ack_now(e, c); /* a hole remains, or one was just filled */
    } else {
        ack_in_order(e, c, in->seg);
    }
    conn_mark_output(e, c); /* so that an emptied buffer goes back at the end of the turn */
}

/* [off, end) is new and within the window. */
static void text_store(struct tcp_env *e, struct tcp_conn *c, const struct in *in, tcp_off_t off,
                       tcp_off_t end)
{
    struct stream_insert what;
    if (conn_tells_overruns(c)) {
        tell_overrun(e, c, (uint64_t)end);
        if (c->flags & (TCF_RST_QUEUED | TCF_SEND_RST | TCF_DEAD))
            return;
    }
    uint8_t held = c->rcv.ring ? c->rcv.alloc_log2 : 0;
    int rc = stream_insert(&c->rcv, e->mem, (uint64_t)off, in->seg->payload + (off - in->off),
                           (uint32_t)(end - off), &what);
    if (rc == -ENOSPC) {
        e->stats.ranges_full++;
        ack_now(e, c);
        return;
    }
    if (rc < 0) { /* no memory: as if it had been lost */
        e->stats.nomem_drops++;
        return;
    }
    if (unlikely(held && c->rcv.alloc_log2 != held))
        e->stats.ring_resizes++;
    if (unlikely(what.inconsistent)) {
        e->stats.inconsistent++;
        if (c->mon)
            e->hooks->error(e->mon, c->mon, HOOK_INCONSISTENT, true, (uint64_t)off, (uint64_t)end);
    }
    text_stored(e, c, in, &what);
}

/* A FIN whose turn has not come: remembered, or refused when it contradicts an earlier one. */
static void text_note_fin(struct tcp_conn *c, tcp_off_t fin_off)
{
    if ((c->flags & TCF_FIN_OOO) || fin_off < (tcp_off_t)stream_end(&c->rcv))
        return;
    c->flags |= TCF_FIN_OOO;
    c->fin_off = fin_off;
}

void tcp_in_text(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    tcp_off_t next = (tcp_off_t)stream_next(&c->rcv);
    tcp_off_t edge = (tcp_off_t)stream_edge(&c->rcv);
    tcp_off_t off = in->off > 0 ? in->off : 0;
    tcp_off_t end = in->end;
    if (unlikely(c->flags & TCF_ECN) && in->seg->len > 0)
        ecn_data_in(e, c, in->seg);
    if ((c->flags & TCF_FIN_OOO) && end > c->fin_off)
        end = c->fin_off; /* nothing lies beyond a FIN */
    if (end > edge) {
        tell_beyond_window(e, c, off > edge ? off : edge, end);
        end = edge;
        ack_now(e, c);
    }
    if (off < next && in->end > in->off) { /* at least in part had before */
        text_note_duplicate(e, c, in);
        ack_now(e, c);
    }
    if (in->fin && in->end <= edge)
        text_note_fin(c, in->end);
    if (end > off)
        text_store(e, c, in, off, end);
    if (in->fin && !(c->flags & TCF_DEAD))
        ack_now(e, c);
}
