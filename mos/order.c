/* The order of events. */
#include "mos/order.h"

#include "mos/conns.h"
#include "mos/dispatch.h"
#include "mos/edges.h"
#include "mos/peer.h"
#include "mos/tally.h"
#include "mos/wire.h"
#include "mos/wire_tcp.h"

static int side_of_sender(const struct mon_conn *c, const struct hook_seg *s)
{
    if (c->wire)
        return c->wire->sender;
    return s->dir == HOOK_OUT ? c->real : side_other(c->real);
}

/* Has any monitor a callback for one of them (bit per slot), or for an event that comes from one?
 */
static bool any_is_wanted(const struct mon_conn *c, uint32_t slots)
{
    for (const struct watch *w = c->watches; w; w = w->next)
        if (w->set && (w->set->wants & slots))
            return true;
    return false;
}

static bool is_wanted(const struct mon_conn *c, enum mon_slot slot)
{
    return any_is_wanted(c, 1u << slot);
}

static void fire(struct mon_conn *c, enum mon_slot slot, int side, const struct hook_seg *s)
{
    if (!is_wanted(c, slot))
        return;
    struct mon_dispatch d = {.conn = c, .slot = slot, .side = side, .seg = s};
    mon_dispatch(c->mon, &d);
}

static void fire_error(struct mon_conn *c, int side, enum hook_error kind, uint64_t overrun_to)
{
    const struct mon *m = c->mon;
    if (!is_wanted(c, SLOT_ERROR))
        return;
    struct mon_dispatch d = {
        .conn = c,
        .slot = SLOT_ERROR,
        .side = side,
        .seg = m->pkt_conn == c ? m->pkt : NULL,
        .error = kind,
        .overrun_to = overrun_to,
    };
    mon_dispatch(c->mon, &d);
}

/* ---- new data -------------------------------------------------------------------------------- */

void order_new_data(struct mon_conn *c, int side)
{
    struct mon_edges e;
    if (!is_wanted(c, SLOT_NEW_DATA))
        return;
    mon_edges(c, side, &e);
    if (e.next == c->host[side].told)
        return;
    c->host[side].told = e.next;
    fire(c, SLOT_NEW_DATA, side, NULL);
}

static void new_data_both(struct mon_conn *c)
{
    order_new_data(c, MOS_SIDE_CLI);
    order_new_data(c, MOS_SIDE_SVR);
}

void order_error(struct mon_conn *c, int side, enum hook_error kind, uint64_t overrun_to)
{
    if (kind == HOOK_OVERRUN)
        order_new_data(c, side);
    fire_error(c, side, kind, overrun_to);
}

/* ---- states of the real side ----------------------------------------------------------------- */

/* The endpoint moved: to be reported with the packet that belongs to it. */
static void pending_add(struct mon_conn *c, uint8_t to)
{
    struct moves *p = &c->pending;
    uint8_t last = p->n ? p->to[p->n - 1] : c->host[c->real].state;
    if (to != last && p->n < MOVES_MAX)
        p->to[p->n++] = to;
}

/* Does the application cause it, so that the SYN or FIN that goes out reports it? */
static bool waits_for_segment(uint8_t state)
{
    return state == MOS_TCPS_SYN_SENT || state == MOS_TCPS_FIN_WAIT_1 || state == MOS_TCPS_LAST_ACK;
}

/* Takes the first n. */
static struct moves pending_take(struct mon_conn *c, uint8_t n)
{
    struct moves first = c->pending, rest = {0};
    for (uint8_t i = n; i < first.n; i++)
        rest.to[rest.n++] = first.to[i];
    first.n = n;
    c->pending = rest;
    return first;
}

/* What a received segment caused. A move does not overtake an earlier one: what the application
 * caused before is reported first, though its segment is still to come. */
static struct moves pending_of_received(struct mon_conn *c)
{
    uint8_t n = c->pending.n;
    while (n > 0 && waits_for_segment(c->pending.to[n - 1]))
        n--;
    return pending_take(c, n);
}

/* What a segment that goes out reports. A close without a packet stays: CONN_END tells it. */
static struct moves pending_of_sent(struct mon_conn *c, const struct seg *seg)
{
    uint8_t highest = MOS_TCPS_CLOSED, n = 0;
    if (seg->flags & TCP_FIN)
        highest = MOS_TCPS_TIME_WAIT;
    else if (seg->flags & TCP_SYN)
        highest = MOS_TCPS_SYN_RCVD;
    while (n < c->pending.n && c->pending.to[n] <= highest)
        n++;
    return pending_take(c, n);
}

/* The record of a connection begins before a hook can tell of its first move. */
static void pending_of_first_syn(struct mon_conn *c)
{
    struct tcp_flow_view v;
    mon_conn_view(c, &v);
    if (v.state == MOS_TCPS_SYN_SENT || v.state == MOS_TCPS_SYN_RCVD)
        pending_add(c, v.state);
}

/* ---- states of an emulated side -------------------------------------------------------------- */

/* A listener leaves the FIN of a SYN to be sent again: it is none so far. */
static bool has_fin(const struct seg *seg)
{
    return (seg->flags & TCP_FIN) && (seg->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}

static unsigned events_of_sender(const struct seg *seg)
{
    unsigned ev = 0;
    if (seg->flags & TCP_RST)
        return PEER_BIT(PEER_RST);
    if (seg->flags & TCP_SYN)
        ev |= PEER_BIT(PEER_SENT_SYN);
    if (has_fin(seg))
        ev |= PEER_BIT(PEER_SENT_FIN);
    return ev;
}

/* Does the segment acknowledge the FIN of the host? */
static bool acks_fin(const struct mon_host *h, const struct seg *seg)
{
    if (!h->fin_seen)
        return false;
    return seq_leq(seq_of_off(h->isn, (tcp_off_t)h->fin_off + 1), seg->ack);
}

/* Does the emulated side take our reset? Not one that answers a segment which was not its own: that
 * has the numbers of the segment. */
static bool takes_rst(const struct mon_conn *c, const struct seg *seg)
{
    const struct mon_host *sender = &c->host[c->real];
    struct tcp_flow_view v;
    if (!sender->syn_seen)
        return false;
    mon_conn_view(c, &v);
    tcp_off_t sent = (tcp_off_t)v.snd_max;
    tcp_off_t off = off_of_seq(sender->isn, seg->seq, sent);
    return off >= (v.snd ? (tcp_off_t)stream_read(v.snd) : 0) && off <= sent + 1;
}

/* An endpoint's segment is taken to arrive; of the wire's it is known when the FIN's turn comes. */
static unsigned events_of_receiver(const struct mon_conn *c, int side, const struct seg *seg)
{
    const struct mon_host *h = &c->host[side];
    unsigned ev = 0;
    if (seg->flags & TCP_RST)
        return c->wire || takes_rst(c, seg) ? PEER_BIT(PEER_RST) : 0;
    if (seg->flags & TCP_SYN)
        ev |= PEER_BIT(seg->flags & TCP_ACK ? PEER_GOT_SYNACK : PEER_GOT_SYN);
    else if ((seg->flags & TCP_FIN) && !c->wire)
        ev |= PEER_BIT(PEER_GOT_FIN);
    if (c->wire)
        ev |= wire_events_of_receiver(c->wire, seg);
    if ((seg->flags & TCP_ACK) && h->syn_seen)
        ev |= PEER_BIT(PEER_SYN_ACKED);
    if ((seg->flags & TCP_ACK) && acks_fin(h, seg))
        ev |= PEER_BIT(PEER_FIN_ACKED);
    return ev;
}

/* ---- one packet ------------------------------------------------------------------------------ */

/* The last of the moves holds for what is delivered first. */
static void host_moved(struct mon_conn *c, int side, const struct moves *moved)
{
    if (moved->n > 0)
        c->host[side].state = moved->to[moved->n - 1];
}

/* One call per transition, each with its own state. */
static void fire_states(struct mon_conn *c, enum mon_slot slot, int side, const struct hook_seg *s,
                        const struct moves *moved)
{
    for (uint8_t i = 0; i < moved->n; i++) {
        c->host[side].state = moved->to[i];
        fire(c, slot, side, s);
    }
}

static enum hook_verdict ask(struct mon_conn *c, struct hook_seg *s)
{
    if (!is_wanted(c, SLOT_PKT_IN_SND))
        return HOOK_PASS;
    struct mon_dispatch d = {
        .conn = c,
        .slot = SLOT_PKT_IN_SND,
        .side = side_of_sender(c, s),
        .seg = s,
        .verdict = s,
    };
    mon_dispatch(c->mon, &d);
    if (d.drop)
        return HOOK_DROP;
    return d.changed ? HOOK_CHANGED : HOOK_PASS;
}

/* Stream offset of the first payload byte. */
static tcp_off_t payload_off(const struct hook_seg *s)
{
    return s->seg->flags & TCP_SYN ? 0 : s->off;
}

static bool payload_was_seen(struct mon_conn *c, const struct hook_seg *s)
{
    tcp_off_t from = payload_off(s), to = from + s->seg->len;
    struct mon_edges e;
    if (s->seg->len == 0 || to <= 0)
        return false;
    if (from < 0)
        from = 0;
    mon_edges(c, side_other(side_of_sender(c, s)), &e);
    if (!e.stream)
        return (uint64_t)from < e.next;
    return stream_has_any(e.stream, (uint64_t)from, (uint64_t)to);
}

/* Was its payload, SYN or FIN there before? Asked before the sender is updated. */
static bool is_rexmit(struct mon_conn *c, const struct hook_seg *s)
{
    const struct mon_host *h = &c->host[side_of_sender(c, s)];
    const struct seg *seg = s->seg;
    if (c->is_starting || !any_is_wanted(c, 1u << SLOT_REXMIT_RCV | 1u << SLOT_ERROR))
        return false;
    if (s->dir == HOOK_OUT)
        return s->rexmit;
    if ((seg->flags & TCP_SYN) && h->syn_seen && seq_eq(seg->seq, h->isn))
        return true;
    if (!s->has_off)
        return false;
    if ((seg->flags & TCP_FIN) && h->fin_seen && payload_off(s) + seg->len == (tcp_off_t)h->fin_off)
        return true;
    return payload_was_seen(c, s);
}

/* A refused segment is not compared by the endpoint: does it contradict what is stored? */
static bool refused_differs(struct mon_conn *c, const struct hook_seg *s)
{
    struct mon_edges e;
    tcp_off_t off = payload_off(s);
    if (s->dir != HOOK_IN || s->accepted || !s->has_off || s->seg->len == 0 || off < 0)
        return false;
    mon_edges(c, side_other(side_of_sender(c, s)), &e);
    return mon_edges_differ(&e, (uint64_t)off, s->seg->payload, s->seg->len);
}

/* What the sender is known to have sent. */
static void sender_note(struct mon_host *h, const struct hook_seg *s)
{
    if ((s->seg->flags & TCP_SYN) && !h->syn_seen) {
        h->syn_seen = true;
        h->isn = s->seg->seq;
    }
    if (has_fin(s->seg) && s->has_off && !h->fin_seen && payload_off(s) >= 0) {
        h->fin_seen = true;
        h->fin_off = (uint64_t)payload_off(s) + s->seg->len;
    }
}

/* The moves so far, and those that the events make from there. */
static struct moves moves_join(uint8_t state, struct moves first, unsigned events)
{
    struct moves then = peer_move(first.n ? first.to[first.n - 1] : state, events);
    for (uint8_t i = 0; i < then.n && first.n < MOVES_MAX; i++)
        first.to[first.n++] = then.to[i];
    return first;
}

/* Nothing that either host's state depends on, as most segments: no flag, no move to be reported,
 * no acknowledgement of a SYN or FIN (an emulated receiver that is established waits for none). */
static bool moves_nobody(const struct mon_conn *c, const struct hook_seg *s)
{
    if ((s->seg->flags & (TCP_SYN | TCP_FIN | TCP_RST)) || c->wire || c->is_starting ||
        c->pending.n > 0)
        return false;
    return s->dir == HOOK_IN || c->host[side_other(c->real)].state == MOS_TCPS_ESTABLISHED;
}

/* What a packet that moves nobody can be, until its receiver is updated and then. */
#define SLOTS_BEFORE (1u << SLOT_PKT_IN_SND | 1u << SLOT_REXMIT_RCV | 1u << SLOT_ERROR)
#define SLOTS_AFTER  (1u << SLOT_PKT_IN_RCV | 1u << SLOT_NEW_DATA)

static bool is_open(const struct mon_conn *c)
{
    return c->host[MOS_SIDE_CLI].state == MOS_TCPS_ESTABLISHED &&
           c->host[MOS_SIDE_SVR].state == MOS_TCPS_ESTABLISHED;
}

/* Both hosts are established and nobody asks for packets: the endpoint need not tell us of those
 * that have neither SYN nor FIN nor RST. */
static unsigned what_to_spare(const struct mon_conn *c)
{
    unsigned what = 0;
    bool is_calm = !c->is_starting && c->pending.n == 0 && is_open(c);
    if (is_calm && !c->tally &&
        !any_is_wanted(c, SLOTS_BEFORE | 1u << SLOT_PKT_IN_RCV | 1u << SLOT_NOTABLE))
        what |= HOOK_SPARE_SEGS;
    if (!any_is_wanted(c, 1u << SLOT_NEW_DATA | 1u << SLOT_ERROR))
        what |= HOOK_SPARE_DATA;
    return what;
}

static void spare(struct mon_conn *c)
{
    if (c->flow && !c->spare_due) /* else a callback may change what is wanted yet */
        c->mon->sv->spare(c->mon->ctx, c->flow, what_to_spare(c));
}

static struct moves sender_update(struct mon_conn *c, const struct hook_seg *s)
{
    struct mon_host *h = &c->host[side_of_sender(c, s)];
    if (likely(moves_nobody(c, s)) || (s->dir == HOOK_IN && !s->accepted))
        return (struct moves){0};
    struct moves late = {0};
    if (c->wire) /* before the FIN that the same segment may carry */
        late = peer_move(h->state, wire_events_of_sender(c->wire, s->seg));
    sender_note(h, s);
    if (s->dir == HOOK_IN)
        return moves_join(h->state, late, events_of_sender(s->seg));
    if (c->is_starting)
        pending_of_first_syn(c);
    return pending_of_sent(c, s->seg);
}

static struct moves receiver_update(struct mon_conn *c, const struct hook_seg *s)
{
    int side = side_other(side_of_sender(c, s));
    if (likely(moves_nobody(c, s)) || (c->wire && !s->accepted))
        return (struct moves){0};
    if (c->wire || s->dir == HOOK_OUT)
        return peer_move(c->host[side].state, events_of_receiver(c, side, s->seg));
    if (c->is_starting)
        pending_of_first_syn(c);
    return pending_of_received(c);
}

enum hook_verdict order_ask_first(struct mon_conn *c, struct hook_seg *s)
{
    enum hook_verdict v = ask(c, s);
    if (v == HOOK_DROP)
        mon_conn_free(c);
    return v;
}

/* A packet is on its way through the hooks: what is asked meanwhile may be about it. */
static void packet_enters(struct mon_conn *c, const struct hook_seg *s)
{
    c->last_active_us = s->now_us;
    c->mon->pkt = s;
    c->mon->pkt_conn = c;
}

static void packet_leaves(struct mon *m)
{
    m->pkt = NULL;
    m->pkt_conn = NULL;
}

enum hook_verdict order_packet(struct mon_conn *c, struct hook_seg *s)
{
    if (likely(moves_nobody(c, s)) && !any_is_wanted(c, SLOTS_BEFORE)) {
        packet_enters(c, s);
        return HOOK_PASS;
    }
    int side = side_of_sender(c, s);
    enum hook_verdict v = c->verdict_given ? HOOK_PASS : ask(c, s);
    if (v == HOOK_DROP || !mon_conn_lives(c)) /* or it died of a callback */
        return v;
    c->verdict_given = false;
    packet_enters(c, s);
    bool rexmit = is_rexmit(c, s);
    struct moves moved = sender_update(c, s);
    host_moved(c, side, &moved);
    if (c->is_starting)
        fire(c, SLOT_CONN_START_SND, side, s);
    fire_states(c, SLOT_STATE_SND, side, s, &moved);
    if (rexmit)
        fire(c, SLOT_REXMIT_RCV, side_other(side), s);
    if (rexmit && refused_differs(c, s))
        fire_error(c, side_other(side), HOOK_INCONSISTENT, 0);
    return v;
}

/* Told before it is counted. */
static void notable(struct mon_conn *c, int side, const struct hook_seg *s)
{
    fire(c, SLOT_NOTABLE, side, s);
    if (c->tally)
        tally_notable(c->tally, side_other(side), s, is_open(c));
}

void order_packet_done(struct mon_conn *c, const struct hook_seg *s)
{
    bool is_plain =
        c->tally ? tally_plain(c->tally, side_of_sender(c, s), s) : !is_wanted(c, SLOT_NOTABLE);
    if (likely(moves_nobody(c, s) && is_plain) && !any_is_wanted(c, SLOTS_AFTER)) {
        packet_leaves(c->mon);
        return;
    }
    bool may_calm = !moves_nobody(c, s);
    int side = side_other(side_of_sender(c, s));
    struct moves moved = receiver_update(c, s);
    host_moved(c, side, &moved);
    fire(c, SLOT_PKT_IN_RCV, side, s);
    if (c->is_starting)
        fire(c, SLOT_CONN_START_RCV, side, s);
    c->is_starting = false;
    fire_states(c, SLOT_STATE_RCV, side, s, &moved);
    if (!is_plain)
        notable(c, side, s);
    packet_leaves(c->mon);
    if (s->seg->len > 0 && (c->wire || is_wanted(c, SLOT_NEW_DATA)))
        mon_conn_due_side(c, side);
    if (may_calm)
        spare(c);
    if ((c->wire || side == c->real) && c->host[side].state == MOS_TCPS_TIME_WAIT && moved.n > 0)
        new_data_both(c); /* the streams shrink now */
}

/* Nothing of it was lost, or nothing is left: both sides went all the way. */
static void close_both(struct mon_conn *c)
{
    c->host[MOS_SIDE_CLI].state = c->host[MOS_SIDE_SVR].state = MOS_TCPS_CLOSED;
}

static void tell_end(struct mon_conn *c, enum hook_end reason)
{
    new_data_both(c);
    c->end_reason = (uint8_t)reason;
    if (!c->wire)
        c->host[c->real].state = MOS_TCPS_CLOSED;
    else if (reason == HOOK_END_FIN || reason == HOOK_END_RESET_BY_MONITOR)
        close_both(c);
    for (int side = 0; side < SIDES; side++) {
        fire(c, SLOT_CONN_END_RCV, side, NULL);
        fire(c, SLOT_CONN_END_SND, side, NULL);
    }
}

void order_end(struct mon_conn *c, enum hook_end reason)
{
    tell_end(c, reason);
    mon_conn_free(c);
}

void order_cut(struct mon_conn *c)
{
    tell_end(c, HOOK_END_RESET_BY_MONITOR);
    mon_conn_blind(c);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static enum hook_verdict hook_born(void *mon, struct hook_seg *s, struct flow *flow, void **handle)
{
    struct mon_conn *c = mon_conn_create(mon, &(struct mon_origin){.flow = flow}, s);
    *handle = NULL;
    if (!c)
        return HOOK_PASS;
    enum hook_verdict v = order_ask_first(c, s);
    if (v != HOOK_DROP)
        *handle = c;
    return v;
}

static enum hook_verdict hook_pkt(void *mon, void *handle, struct hook_seg *s)
{
    (void)mon;
    return order_packet(handle, s);
}

static void hook_pkt_done(void *mon, void *handle, const struct hook_seg *s)
{
    (void)mon;
    order_packet_done(handle, s);
}

static void hook_data(void *mon, void *handle, enum hook_dir dir)
{
    struct mon_conn *c = handle;
    (void)mon;
    mon_conn_due_side(c, dir == HOOK_IN ? c->real : side_other(c->real));
}

static void hook_state(void *mon, void *handle, uint8_t from, uint8_t to)
{
    (void)mon;
    (void)from;
    pending_add(handle, to);
    spare(handle);
}

static void hook_error(void *mon, void *handle, enum hook_error kind, bool is_rcv, uint64_t from,
                       uint64_t to)
{
    struct mon_conn *c = handle;
    int side = is_rcv ? c->real : side_other(c->real);
    (void)mon;
    (void)from;
    if (kind == HOOK_OVERRUN && c->host[side].told >= to)
        fire_error(c, side, kind, to); /* none of them is news */
    else
        order_error(c, side, kind, to);
}

static void hook_moved(void *mon, void *handle, struct flow *flow)
{
    struct mon_conn *c = handle;
    (void)mon;
    c->flow = flow;
    mon_conn_apply(c);
    spare(c);
}

static void hook_dying(void *mon, void *handle, enum hook_end reason)
{
    (void)mon;
    order_end(handle, reason);
}

static void hook_orphan(void *mon, const struct hook_seg *s, const struct packet *p)
{
    mon_dispatch_orphan(mon, s, p);
}

static void hook_frame(void *mon, const struct hook_seg *f)
{
    mon_dispatch_frame(mon, f);
}

static enum hook_verdict hook_wire(void *mon, struct hook_seg *s, const struct packet *p)
{
    return wire_packet(mon, s, p);
}

/* New data of the sides that had any. What they said while it was told is for the next turn. */
static void endpoint_turn(struct mon_conn *c)
{
    uint8_t sides = c->due_sides;
    c->due_sides = 0;
    if (c->spare_due) {
        c->spare_due = false;
        spare(c);
    }
    for (int side = 0; side < SIDES; side++)
        if ((sides >> side & 1) && mon_conn_lives(c))
            order_new_data(c, side);
}

static void hook_turn(void *mon, enum hook_phase phase)
{
    struct mon *m = mon;
    struct list_node now, *n;
    (void)phase; /* what is not new yet is not told: both phases ask the same question */
    mon_conns_bury(m);
    list_init(&now);
    list_splice_tail(&now, &m->due);
    while ((n = list_pop_head(&now)) != NULL) {
        struct mon_conn *c = container_of(n, struct mon_conn, due);
        if (!c->watches && !(c->wire && wire_conn_stays(c->wire)))
            mon_conn_let_go(c);
        else if (c->wire)
            wire_conn_turn(c->wire);
        else
            endpoint_turn(c);
    }
}

/* An application may read in a timer's callback: nothing that was not told. */
static void hook_timers(void *mon, uint64_t now_us)
{
    const struct mon *m = mon;
    wire_timers(mon, now_us);
    if (unlikely(mon_timers_next_us(&m->timers) <= now_us) && !m->wire)
        hook_turn(mon, HOOK_TURN_INPUT);
    mon_dispatch_timers(mon, now_us);
}

static uint64_t hook_next_us(void *mon)
{
    const struct mon *m = mon;
    uint64_t of_wire = wire_next_us(m), of_user = mon_timers_next_us(&m->timers);
    return of_wire < of_user ? of_wire : of_user;
}

const struct tcp_hooks order_hooks = {
    .born = hook_born,
    .pkt = hook_pkt,
    .pkt_done = hook_pkt_done,
    .data = hook_data,
    .state = hook_state,
    .error = hook_error,
    .moved = hook_moved,
    .dying = hook_dying,
    .orphan = hook_orphan,
    .frame = hook_frame,
    .wire = hook_wire,
    .turn = hook_turn,
    .timers = hook_timers,
    .next_us = hook_next_us,
};
