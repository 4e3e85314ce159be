/* Connections of the wire: their table, life and packets. */
#include "mos/wire.h"

#include "mos/as_sent.h"
#include "mos/conns.h"
#include "mos/dispatch.h"
#include "mos/forge.h"
#include "mos/order.h"
#include "mos/wire_edit.h"
#include "mos/wire_tcp.h"
#include "mtcp/base/hash.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_US UINT64_C(130000000) /* longer than Linux tries a SYN, or waits to try again */
#define BUCKETS_MAX (1u << 20)

/* ---- the table ------------------------------------------------------------------------------- */

static struct flow_tuple reversed(const struct flow_tuple *t)
{
    return (struct flow_tuple){t->remote, t->local, t->remote_port, t->local_port};
}

/* Of both directions the same; a sum, because their difference is nothing when a host talks to
 * itself. */
static uint32_t hash_of(const struct wire *t, const struct flow_tuple *tuple)
{
    struct flow_tuple back = reversed(tuple);
    return (uint32_t)(hash_siphash13(&t->conf.key, tuple, FLOW_TUPLE_BYTES) +
                      hash_siphash13(&t->conf.key, &back, FLOW_TUPLE_BYTES));
}

/* The connection, with its sender set; `sent`: source first. */
static struct wire_conn *find(const struct wire *t, const struct flow_tuple *sent, uint32_t hash)
{
    struct flow_tuple back = reversed(sent);
    for (struct wire_conn *w = t->buckets[hash & t->mask]; w; w = w->chain) {
        if (w->hash != hash)
            continue;
        w->sender = flow_tuple_eq(&w->tuple, sent) ? MOS_SIDE_CLI : MOS_SIDE_SVR;
        if (w->sender == MOS_SIDE_CLI || flow_tuple_eq(&w->tuple, &back))
            return w;
    }
    return NULL;
}

static void unlink_conn(struct wire *t, const struct wire_conn *w)
{
    struct wire_conn **at = &t->buckets[w->hash & t->mask];
    while (*at != w)
        at = &(*at)->chain;
    *at = w->chain;
}

/* ---- states ---------------------------------------------------------------------------------- */

static uint8_t state_of(const struct wire_conn *w, int side)
{
    return w->conn->host[side].state;
}

static bool any_is(const struct wire_conn *w, uint8_t state)
{
    return state_of(w, MOS_SIDE_CLI) == state || state_of(w, MOS_SIDE_SVR) == state;
}

static bool is_opening(const struct wire_conn *w)
{
    return state_of(w, MOS_SIDE_CLI) == MOS_TCPS_SYN_SENT || any_is(w, MOS_TCPS_SYN_RCVD);
}

static bool both_sent_fin(const struct wire_conn *w)
{
    return w->conn->host[MOS_SIDE_CLI].fin_seen && w->conn->host[MOS_SIDE_SVR].fin_seen;
}

/* Both hosts have said that they are done. */
static bool is_closing(const struct wire_conn *w)
{
    return both_sent_fin(w) || any_is(w, MOS_TCPS_TIME_WAIT);
}

static enum wire_rank rank_of(const struct wire_conn *w)
{
    if (is_closing(w) || w->is_cut)
        return WIRE_OVER;
    return is_opening(w) ? WIRE_OPENING : WIRE_OPEN;
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct wire *wire_create(struct mon *m)
{
    struct wire *t = mem_zalloc(m->mem, sizeof(*t));
    if (!t)
        return NULL;
    m->sv->wire_conf(m->ctx, &t->conf);
    t->mask = 1023;
    while (t->mask < t->conf.max_conns && t->mask < BUCKETS_MAX - 1)
        t->mask = t->mask * 2 + 1;
    t->buckets = mem_zalloc(m->mem, (t->mask + 1u) * sizeof(struct wire_conn *));
    if (!t->buckets) {
        mem_free(m->mem, t, sizeof(*t));
        return NULL;
    }
    wheel_init(&t->wheel, m->sv->now_us(m->ctx));
    pool_init(&t->conns, m->mem, sizeof(struct wire_conn), 0);
    for (int rank = 0; rank < WIRE_RANKS; rank++)
        list_init(&t->recent[rank]);
    return t;
}

void wire_conn_free(struct wire_conn *w)
{
    struct mon *m = w->conn->mon;
    struct wire *t = m->wire;
    unlink_conn(t, w);
    list_del(&w->recent);
    wheel_cancel(&t->wheel, &w->timer);
    for (int side = 0; side < SIDES; side++)
        stream_fini(&w->host[side].rcv, m->mem);
    wire_syn_data_drop(w);
    wire_edit_free(w);
    w->conn->wire = NULL;
    pool_put(&t->conns, w);
    t->n_conns--;
}

/* The next to go; NULL: there is none. */
static struct wire_conn *dispensable(struct wire *t)
{
    for (int rank = 0; rank < WIRE_RANKS; rank++)
        if (!list_is_empty(&t->recent[rank]))
            return container_of(t->recent[rank].next, struct wire_conn, recent);
    return NULL;
}

uint8_t *wire_frame_room(struct mon *m)
{
    struct wire *t = m->wire;
    if (!t->frame)
        t->frame = mem_alloc(m->mem, WIRE_FRAME_ROOM);
    return t->frame;
}

void wire_fini(struct mon *m)
{
    struct wire *t = m->wire;
    struct wire_conn *w;
    if (!t)
        return;
    while ((w = dispensable(t)) != NULL)
        order_end(w->conn, is_closing(w) ? HOOK_END_FIN : HOOK_END_ABORT);
    pool_fini(&t->conns);
    mem_free(m->mem, t->frame, WIRE_FRAME_ROOM);
    mem_free(m->mem, t->buckets, (t->mask + 1u) * sizeof(struct wire_conn *));
    mem_free(m->mem, t, sizeof(*t));
    m->wire = NULL;
}

/* It may go on without us, unless its hosts no longer count the same bytes: then they would answer
 * each other's numbers for ever. */
static void give_up(struct wire_conn *w, enum hook_end reason)
{
    if (w->is_edited && reason != HOOK_END_FIN)
        forge_resets(w);
    order_end(w->conn, reason);
}

/* The record of the connection that a first SYN begins; NULL: no monitor wants it, or no memory. */
static struct wire_conn *wire_conn_create(struct mon *m, const struct hook_seg *s,
                                          const struct flow_tuple *sent, uint32_t hash)
{
    struct wire *t = m->wire;
    if (t->n_conns >= t->conf.max_conns) {
        if (!mon_conn_is_wanted(m, s))
            return NULL;
        give_up(dispensable(t), HOOK_END_EVICTED);
    }
    struct wire_conn *w = pool_get(&t->conns);
    if (!w) {
        if (mon_conn_is_wanted(m, s))
            mon_conn_missed(m);
        return NULL;
    }
    *w = (struct wire_conn){.hash = hash, .sender = MOS_SIDE_CLI, .tuple = *sent};
    w->ip_len = (uint16_t)(s->frame_len - s->l3_off);
    for (int side = 0; side < SIDES; side++)
        stream_init(&w->host[side].rcv, t->conf.max_buffer_bytes);
    timer_init(&w->timer, 0);
    w->conn = mon_conn_create(m, &(struct mon_origin){.wire = w}, s);
    if (!w->conn) {
        pool_put(&t->conns, w);
        return NULL;
    }
    w->chain = t->buckets[hash & t->mask];
    t->buckets[hash & t->mask] = w;
    list_push_tail(&t->recent[WIRE_OPENING], &w->recent);
    t->n_conns++;
    return w;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* When it ends if nothing more is seen of it. */
static uint64_t deadline(const struct wire_conn *w)
{
    const struct hook_wire_conf *conf = &w->conn->mon->wire->conf;
    uint64_t idle_us = conf->idle_us;
    if (w->is_cut)
        idle_us = PATIENCE_US;
    else if (is_closing(w))
        idle_us = conf->tw_us;
    else if (is_opening(w) && (idle_us == 0 || idle_us > PATIENCE_US))
        idle_us = PATIENCE_US;
    else if (idle_us == 0)
        return WHEEL_NEVER_US;
    return w->conn->last_active_us + idle_us;
}

/* An armed timer that is too early is moved when it expires. */
static void watch_time(struct wire_conn *w)
{
    struct wheel *wheel = &w->conn->mon->wire->wheel;
    uint64_t at_us = deadline(w);
    if (at_us != WHEEL_NEVER_US && (!timer_is_armed(&w->timer) || w->timer.at_us > at_us))
        wheel_arm(wheel, &w->timer, at_us);
}

void wire_timers(struct mon *m, uint64_t now_us)
{
    struct timer *timer;
    if (!m->wire)
        return;
    while ((timer = wheel_expire(&m->wire->wheel, now_us)) != NULL) {
        struct wire_conn *w = container_of(timer, struct wire_conn, timer);
        if (deadline(w) <= now_us)
            give_up(w, is_closing(w) ? HOOK_END_FIN : HOOK_END_TIMEOUT);
        else
            watch_time(w);
    }
}

uint64_t wire_next_us(const struct mon *m)
{
    return m->wire ? wheel_next_us(&m->wire->wheel) : WHEEL_NEVER_US;
}

/* ---- packets of a connection ----------------------------------------------------------------- */

static void note_link(struct wire_link *l, const struct hook_seg *s)
{
    struct eth_hdr eth = {0};
    if (s->frame && s->l3_off == sizeof(eth))
        memcpy(&eth, s->frame, sizeof(eth));
    *l = (struct wire_link){.src = eth.src, .dst = eth.dst, .netif = s->netif, .is_known = true};
}

/* Begins the tuple anew (RFC 9293 3.6.1, RFC 6191): the old connection is over, or looks so, and
 * the numbers or the time go on. */
static bool is_superseded(const struct wire_conn *w, const struct seg *seg)
{
    const struct wire_host *h = &w->host[w->sender];
    if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
        return false;
    if (w->is_cut)
        return w->sender != MOS_SIDE_CLI || !seq_eq(seg->seq, w->conn->host[MOS_SIDE_CLI].isn);
    if (!is_closing(w))
        return false;
    tcp_seq_t last = wire_edit_last_seq(w, w->sender);
    bool is_later =
        seg->opt.has_ts && h->ts_at_us != 0 && (int32_t)(seg->opt.ts_val - h->ts_recent) > 0;
    return is_later || seq_lt(last, seg->seq);
}

/* A FIN that contradicts what came before is none. */
static bool has_false_fin(const struct wire_conn *w, const struct hook_seg *s)
{
    const struct mon_host *from = &w->conn->host[w->sender];
    if (!(s->seg->flags & TCP_FIN) || (s->seg->flags & TCP_SYN) || !s->has_off)
        return false;
    tcp_off_t off = s->off + s->seg->len;
    if (from->fin_seen)
        return off != (tcp_off_t)from->fin_off;
    return off < (tcp_off_t)stream_end(&w->host[side_other(w->sender)].rcv);
}

/* Where the segment lies in its sender's stream, and whether its receiver takes it. */
static void place(struct wire_conn *w, struct hook_seg *s)
{
    const struct mon_host *from = &w->conn->host[w->sender];
    if (!w->conn->mon->wire->conf.forwards)
        wire_guess_isn(w, s->seg);
    s->has_off = from->syn_seen || (s->seg->flags & TCP_SYN);
    s->off = -1;
    if (from->syn_seen)
        s->off = off_of_seq(from->isn, s->seg->seq,
                            (tcp_off_t)stream_next(&w->host[side_other(w->sender)].rcv));
    s->accepted = wire_accepts(w, s);
}

static void note_received(struct wire_conn *w)
{
    for (int side = 0; side < SIDES; side++) {
        const struct mon_host *from = &w->conn->host[side_other(side)];
        struct wire_host *h = &w->host[side];
        h->fin_taken |=
            from->fin_seen && (stream_next(&h->rcv) >= from->fin_off || h->acked > from->fin_off);
        h->passed = stream_next(&h->rcv) + h->fin_taken;
    }
}

/* It was heard of: the next of its rank to go is another. */
static void note_heard(struct wire_conn *w)
{
    list_del(&w->recent);
    list_push_tail(&w->conn->mon->wire->recent[rank_of(w)], &w->recent);
    watch_time(w);
}

/* After the events of a packet: is it over? */
static void settle(struct wire_conn *w)
{
    if (state_of(w, MOS_SIDE_CLI) == MOS_TCPS_CLOSED &&
        state_of(w, MOS_SIDE_SVR) == MOS_TCPS_CLOSED) {
        order_end(w->conn, w->was_reset ? HOOK_END_RST_IN : HOOK_END_FIN);
        return;
    }
    note_heard(w);
}

/* Both hosts are told, and the monitors; the record stays. */
static void cut(struct wire_conn *w)
{
    struct mon *m = w->conn->mon;
    w->is_cut = true;
    forge_resets(w);
    order_cut(w->conn);
    for (int side = 0; side < SIDES; side++)
        stream_fini(&w->host[side].rcv, m->mem);
    wire_syn_data_drop(w);
    wire_edit_free(w);
    note_heard(w);
}

int wire_reset(struct wire_conn *w)
{
    if (!w->conn->mon->wire->conf.forwards)
        return -EOPNOTSUPP;
    if (w->conn->end_reason)
        return -ENOTCONN;
    w->reset_due = true;
    mon_conn_due(w->conn);
    return 0;
}

/* How long a packet of IP may be to get where it goes: as the one that came, which the sender
 * thinks is not too long, or as any path bears (RFC 791 3.2, 8200 5) and the receiver bears. */
static uint16_t cut_len(const struct wire_conn *w, const struct hook_seg *s)
{
    const struct wire_syn *to = &w->host[side_other(w->sender)].syn;
    uint32_t hdrs = s->frame_len - s->l3_off - s->seg->len;
    uint32_t any = ip_addr_is_v4(&s->seg->tuple.local) ? 576 : 1280;
    uint32_t least = hdrs + to->mss < any ? hdrs + to->mss : any;
    return w->ip_len > least ? w->ip_len : (uint16_t)least;
}

/* s->off and s->accepted are there. */
static enum hook_verdict conn_packet(struct wire_conn *w, struct hook_seg *s)
{
    struct mon_conn *c = w->conn;
    if (unlikely(!w->host[w->sender].link.is_known))
        note_link(&w->host[w->sender].link, s);
    enum hook_verdict v = order_packet(c, s);
    if (unlikely(w->reset_due)) {
        cut(w);
        return HOOK_DROP;
    }
    if (v == HOOK_DROP) {
        if (unlikely(w->is_edited))
            wire_edit_undo(w);
        return v;
    }
    if (unlikely(w->is_edited))
        wire_edit_clip(w, s);
    if (s->accepted) {
        wire_note(w, s);
        wire_text(w, s);
    } else if ((s->seg->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && w->sender == MOS_SIDE_CLI &&
               !c->host[MOS_SIDE_SVR].syn_seen) {
        wire_note_other_syn(w, s->seg);
    }
    order_packet_done(c, s);
    if (unlikely(w->reset_due)) {
        cut(w);
        return HOOK_DROP;
    }
    note_received(w);
    if (unlikely(w->is_edited)) {
        wire_edit_out(w, s);
        v = HOOK_CHANGED;
    }
    if (unlikely(v == HOOK_CHANGED))
        s->cut_len = cut_len(w, s);
    settle(w);
    return v;
}

static enum hook_verdict known_packet(struct wire_conn *w, struct hook_seg *s)
{
    if (unlikely(w->is_cut)) {
        forge_answer(w, s->seg);
        w->conn->last_active_us = s->now_us;
        note_heard(w);
        return HOOK_DROP;
    }
    if (unlikely(w->is_edited) && !wire_edit_in(w, s))
        return HOOK_DROP;
    place(w, s);
    if (likely(!has_false_fin(w, s)))
        return conn_packet(w, s);
    struct seg seg = *s->seg;
    struct hook_seg without = *s;
    seg.flags &= (uint8_t)~TCP_FIN;
    without.seg = &seg;
    without.frame_room = 0; /* a changed one would be parsed again */
    enum hook_verdict v = conn_packet(w, &without);
    s->cut_len = without.cut_len;
    return v;
}

/* A packet of no known connection. */
static enum hook_verdict first_packet(struct mon *m, struct hook_seg *s, const struct packet *p,
                                      const struct flow_tuple *sent)
{
    bool begins = (s->seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
    struct wire_conn *w = begins ? wire_conn_create(m, s, sent, hash_of(m->wire, sent)) : NULL;
    if (!w) {
        mon_dispatch_orphan(m, s, p);
        return HOOK_PASS;
    }
    s->has_off = s->accepted = true;
    s->off = -1;
    enum hook_verdict v = order_ask_first(w->conn, s);
    if (v == HOOK_DROP)
        return v;
    return conn_packet(w, s) == HOOK_DROP ? HOOK_DROP : v; /* the verdict was given */
}

/* Not of TCP; but what it quotes may be. */
static enum hook_verdict other_packet(struct mon *m, struct hook_seg *s, const struct packet *p)
{
    mon_dispatch_orphan(m, s, p);
    if (!m->wire || p->kind != PACKET_ICMP_ERROR || !p->icmp.has_tcp)
        return HOOK_PASS;
    const struct wire_conn *w = find(m->wire, &p->icmp.tuple, hash_of(m->wire, &p->icmp.tuple));
    return w && w->is_edited ? wire_edit_quote(w, s, p) : HOOK_PASS;
}

enum hook_verdict wire_packet(struct mon *m, struct hook_seg *s, const struct packet *p)
{
    if (!m->wire)
        m->wire = wire_create(m);
    if (unlikely(!m->wire || !s->seg))
        return other_packet(m, s, p);
    struct flow_tuple sent = seg_as_sent(s).tuple;
    struct wire_conn *w = find(m->wire, &sent, hash_of(m->wire, &sent));
    if (w && unlikely(is_superseded(w, s->seg))) {
        order_end(w->conn, HOOK_END_FIN);
        w = NULL;
    }
    if (w)
        w->ip_len = (uint16_t)(s->frame_len - s->l3_off);
    return w ? known_packet(w, s) : first_packet(m, s, p, &sent);
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

/* What no monitor keeps goes; who has not peeked it hears first. */
static void release(struct wire_conn *w, int side)
{
    struct stream *s = &w->host[side].rcv;
    stream_consume(s, stream_next(s) - stream_read(s));
    uint64_t head = stream_head(s), after = stream_head_released(s);
    if (after > head)
        order_error(w->conn, side, HOOK_OVERRUN, after);
    stream_release(s, w->conn->mon->mem);
}

void wire_conn_turn(struct wire_conn *w)
{
    if (unlikely(w->is_cut))
        return;
    for (int side = 0; side < SIDES; side++) {
        wire_close_gaps(w, side);
        order_new_data(w->conn, side);
        release(w, side);
    }
    if (unlikely(w->reset_due))
        cut(w);
}
