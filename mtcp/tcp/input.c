/*
 * One segment in: RFC 9293 section 3.10.7.3 (SYN_SENT) and 3.10.7.4 (the others), step by step in
 * the RFC's order, with RFC 5961's answers to blind attacks and RFC 7323's PAWS. Decide first
 * (check_segment, pure), act once. Sequence numbers become stream offsets in in_decode() and
 * nowhere else; segments become bytes in text.c.
 */
#include "mtcp/tcp/input.h"

#include "mtcp/tcp/ecn.h"
#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/state.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/urgent.h"

#include <errno.h>

/* ts_recent is not believed after 24 days without a segment (RFC 7323 5.5). */
#define PAWS_IDLE_S (24u * 24 * 3600)

/* What is wrong with a segment, in the order in which the RFC asks. */
enum check {
    CHECK_OK,
    CHECK_SILENT,    /* drop, say nothing */
    CHECK_PAWS,      /* old timestamp: ACK (RFC 7323 5.3 R1) */
    CHECK_SEQ,       /* outside the window: ACK (RFC 9293 first step) */
    CHECK_RST,       /* a RST that is believed */
    CHECK_CHALLENGE, /* RST or SYN in the window, ACK out of range: challenge ACK (RFC 5961) */
    CHECK_RESET,     /* an ACK that a state before ESTABLISHED must answer with RST */
    CHECK_SYN_AGAIN, /* the peer's SYN retransmitted: our SYN-ACK again */
};

static struct in in_decode(const struct tcp_conn *c, const struct seg *s)
{
    struct in in = {.seg = s};
    in.off = off_of_seq(c->irs, s->seq, (tcp_off_t)stream_next(&c->rcv));
    in.end = in.off + s->len;
    in.ack = off_of_seq(c->iss, s->ack, c->snd_una);
    in.fin = s->flags & TCP_FIN;
    return in;
}

/* The next offset expected from the peer; its FIN counts (RCV.NXT). */
static tcp_off_t rcv_nxt(const struct tcp_conn *c)
{
    return (tcp_off_t)stream_next(&c->rcv) + ((c->flags & TCF_RCV_FIN) ? 1 : 0);
}

/* ---- checks: pure, in the RFC's order ---- */

static inline bool ts_is_old(const struct tcp_conn *c, const struct seg *s)
{
    return (c->flags & TCF_TS) && s->opt.has_ts && (int32_t)(s->opt.ts_val - c->ts_recent) < 0;
}

/* An ACK that others have overtaken, as Linux has it: no old duplicate, and what it SACKs is news.
 * It moves neither the window nor ts_recent. */
static bool is_late_ack(const struct tcp_env *e, const struct tcp_conn *c, const struct in *in)
{
    const struct seg *s = in->seg;
    return s->len == 0 && (s->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK &&
           in->off == rcv_nxt(c) && in->ack <= c->snd_una &&
           c->ts_recent - s->opt.ts_val <= rtt_rto_base(e, c) / 1000;
}

static bool paws_rejects(const struct tcp_env *e, const struct tcp_conn *c, const struct in *in)
{
    if (likely(!ts_is_old(c, in->seg)) || (in->seg->flags & TCP_RST) || is_late_ack(e, c, in))
        return false;
    return (uint32_t)(e->now_us / 1000000) - c->ts_recent_s < PAWS_IDLE_S;
}

/* Acceptable as Linux has it: not wholly before what was acknowledged, not beyond what was
 * promised. Looser on the left than the RFC, so that the ACK in a full duplicate still counts. */
static bool in_window(const struct tcp_conn *c, const struct in *in)
{
    tcp_off_t seq_end = in->end + (in->fin ? 1 : 0);
    return seq_end >= c->rcv_acked && in->off <= c->rcv_adv;
}

/* RFC 5961 3.2: exactly the next expected number resets, elsewhere in the window is challenged. */
static enum check check_rst(const struct tcp_conn *c, const struct in *in)
{
    if (c->state == TCPS_TIME_WAIT)
        return CHECK_SILENT; /* RFC 1337 */
    if (in->off == rcv_nxt(c))
        return CHECK_RST;
    return CHECK_CHALLENGE;
}

/* The SYN-ACK that answers our SYN-ACK in a simultaneous open (RFC 9293 figure 7). */
static bool completes_simultaneous_open(const struct tcp_conn *c, const struct in *in)
{
    uint8_t flags = in->seg->flags & (TCP_SYN | TCP_ACK | TCP_RST);
    return c->state == TCPS_SYN_RCVD && flags == (TCP_SYN | TCP_ACK) && in->off == -1 &&
           in->ack >= 0 && in->ack <= (c->snd_max > 0 ? c->snd_max : 0);
}

static enum check check_ack(const struct tcp_conn *c, const struct in *in)
{
    if (!(in->seg->flags & TCP_ACK))
        return CHECK_SILENT;
    if (c->state == TCPS_SYN_RCVD)
        return in->ack > -1 && in->ack <= c->snd_max ? CHECK_OK : CHECK_RESET;
    /* Of what was never sent: as Linux, which answers only when the connection is closing. */
    if (in->ack > c->snd_max && c->state == TCPS_ESTABLISHED)
        return CHECK_SILENT;
    if (in->ack > c->snd_max || in->ack < c->snd_una - (tcp_off_t)c->snd_wnd_max)
        return CHECK_CHALLENGE; /* RFC 5961 5.2 */
    return CHECK_OK;
}

static enum check check_synchronized(const struct tcp_env *e, const struct tcp_conn *c,
                                     const struct in *in)
{
    uint8_t flags = in->seg->flags;
    if (completes_simultaneous_open(c, in))
        return CHECK_OK;
    if (paws_rejects(e, c, in))
        return CHECK_PAWS;
    if (c->state == TCPS_SYN_RCVD && (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
        in->off == -1)
        return CHECK_SYN_AGAIN;
    if (!in_window(c, in))
        return (flags & TCP_RST) ? CHECK_SILENT : CHECK_SEQ;
    if (flags & TCP_RST)
        return check_rst(c, in);
    if (flags & TCP_SYN)
        return CHECK_CHALLENGE; /* RFC 5961 4.2 */
    return check_ack(c, in);
}

/* It answers no SYN of ours: as Linux, that is no better than a wrong ACK. */
static bool echoes_future(const struct tcp_env *e, const struct tcp_conn *c, const struct seg *s)
{
    return e->params.timestamps && s->opt.has_ts && s->opt.ts_ecr != 0 &&
           (int32_t)(conn_ts_now(e, c) - s->opt.ts_ecr) < 0;
}

/* RFC 9293 3.10.7.3: first ACK, then RST, then SYN. */
static enum check check_syn_sent(const struct tcp_env *e, const struct tcp_conn *c,
                                 const struct in *in)
{
    tcp_off_t most = c->snd_max > 0 ? c->snd_max : 0; /* data may have gone with the SYN */
    uint8_t flags = in->seg->flags;
    if ((flags & TCP_ACK) && (in->ack < 0 || in->ack > most))
        return (flags & TCP_RST) ? CHECK_SILENT : CHECK_RESET;
    if ((flags & TCP_ACK) && echoes_future(e, c, in->seg))
        return CHECK_RESET;
    if (flags & TCP_RST)
        return (flags & TCP_ACK) ? CHECK_RST : CHECK_SILENT;
    return (flags & TCP_SYN) ? CHECK_OK : CHECK_SILENT;
}

static enum check check_segment(const struct tcp_env *e, const struct tcp_conn *c,
                                const struct in *in)
{
    if (c->state == TCPS_CLOSED || (c->flags & (TCF_DEAD | TCF_SEND_RST | TCF_RST_QUEUED)))
        return CHECK_SILENT;
    if (c->state == TCPS_SYN_SENT)
        return check_syn_sent(e, c, in);
    return check_synchronized(e, c, in);
}

bool tcp_acceptable(const struct tcp_env *e, const struct tcp_conn *c, const struct seg *s)
{
    struct in in = in_decode(c, s);
    enum check v = check_segment(e, c, &in);
    return v == CHECK_OK || v == CHECK_RST;
}

/* ---- what a refused segment gets ---- */

/* At most one answer per half second and connection to segments that carry no data, with the half
 * second's edge at a random point: no ACK loops, nothing to count for a blind attacker (RFC 5961
 * 7). */
static bool answer_is_limited(const struct tcp_env *e, struct tcp_conn *c)
{
    uint8_t slot = (uint8_t)(((e->now_us + c->ts_offset) >> 19) | 1u << 7);
    if (slot == c->challenge_slot)
        return true;
    c->challenge_slot = slot;
    return false;
}

static void in_answer(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    bool plain_data = in->seg->len > 0 && !(in->seg->flags & (TCP_SYN | TCP_RST));
    if (!plain_data && answer_is_limited(e, c))
        return;
    c->flags |= TCF_ACK_NOW;
    conn_mark_output(e, c);
}

/* A segment from before the window is a duplicate: worth a D-SACK (RFC 2883). */
static void in_refuse_seq(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    e->stats.out_of_window_in++;
    text_note_duplicate(e, c, in);
    if (in->end > in->off && unlikely(c->mon != NULL) && in->off > c->rcv_adv)
        e->hooks->error(e->mon, c->mon, HOOK_BEYOND_WINDOW, true, (uint64_t)in->off,
                        (uint64_t)in->end);
    in_answer(e, c, in);
}

static unsigned in_rst(struct tcp_env *e, struct tcp_conn *c)
{
    int err = ECONNRESET;
    if (c->state == TCPS_SYN_SENT || (c->state == TCPS_SYN_RCVD && !fastopen_is_pending(c)))
        err = ECONNREFUSED;
    else if (c->state == TCPS_CLOSE_WAIT)
        err = EPIPE;
    e->stats.conns_reset_in++;
    conn_die(e, c, HOOK_END_RST_IN, err);
    return TCP_IN_DIED;
}

/* A peer whose ACK is out of range knows an old connection of this tuple. After the reset it will
 * take the SYN, which goes again soon, but once only (as Linux). */
static void in_reset_due(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    enum { SOON_US = 2000 };
    if (c->state == TCPS_SYN_SENT && c->backoff == 0 && !echoes_future(e, c, in->seg))
        timers_set_rtx(e, c, e->now_us + SOON_US);
}

static unsigned in_refuse(struct tcp_env *e, struct tcp_conn *c, const struct in *in, enum check v)
{
    switch (v) {
    case CHECK_RST:
        return in_rst(e, c);
    case CHECK_RESET:
        in_reset_due(e, c, in);
        return TCP_IN_DROPPED | TCP_IN_RESET;
    case CHECK_PAWS:
        e->stats.paws_drops++;
        text_note_duplicate(e, c, in); /* the original that its retransmission has overtaken */
        in_answer(e, c, in);
        break;
    case CHECK_SEQ:
        in_refuse_seq(e, c, in);
        break;
    case CHECK_CHALLENGE:
        e->stats.challenge_acks++;
        if (in->seg->flags & TCP_RST)
            fastopen_strange_reset(e, c);
        in_answer(e, c, in);
        break;
    case CHECK_SYN_AGAIN:
        c->flags |= TCF_NEEDS_SYN;
        conn_mark_output(e, c);
        break;
    case CHECK_SILENT:
    case CHECK_OK:
        break;
    }
    return TCP_IN_DROPPED;
}

/* ---- the steps ---- */

/* RFC 7323 4.3: the timestamp to echo is that of the segment at the left edge of the last ACK. */
static void step_timestamp(const struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    if (!(c->flags & TCF_TS) || !in->seg->opt.has_ts || in->off > c->rcv_acked)
        return;
    if (unlikely(ts_is_old(c, in->seg)) && is_late_ack(e, c, in))
        return;
    c->ts_recent = in->seg->opt.ts_val;
    c->ts_recent_s = (uint32_t)(e->now_us / 1000000);
}

/* SND.WND, from the newest segment only (RFC 9293: SND.WL1, SND.WL2). One that acknowledges more
 * than all before is newer, whatever its sequence number, as Linux. Did it change? */
static bool step_window(struct tcp_conn *c, const struct in *in)
{
    const struct seg *s = in->seg;
    if (in->ack < c->snd_una)
        return false;
    if (in->ack == c->snd_una && !seq_lt(c->snd_wl1, s->seq) &&
        !(seq_eq(c->snd_wl1, s->seq) && seq_leq(c->snd_wl2, s->ack)))
        return false;
    uint32_t wnd = (uint32_t)s->wnd << c->snd_wscale;
    bool changed = wnd != c->snd_wnd;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    c->snd_wnd = wnd;
    if (wnd > c->snd_wnd_max)
        c->snd_wnd_max = wnd;
    return changed;
}

/* The handshake's round trip: by timestamp, or by the clock when nothing was sent twice (Karn).
 * Known already when a listener waited for data. */
static void sample_handshake_rtt(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    if (c->srtt_us != 0)
        return;
    if ((c->flags & TCF_TS) && in->seg->opt.has_ts && in->seg->opt.ts_ecr) {
        int32_t ms = (int32_t)(conn_ts_now(e, c) - in->seg->opt.ts_ecr);
        if (ms >= 0)
            rtt_sample(e, c, ms ? (uint32_t)ms * 1000u : 500u);
    } else if (c->backoff == 0 && e->now_us > c->last_active_us) {
        rtt_sample(e, c, (uint32_t)(e->now_us - c->last_active_us));
    }
}

/* Data that went with our SYN: what was not taken goes again at once. */
static void in_syn_data_answered(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    struct tcp_ack a = {.ack = in->ack, .seg = in->seg, .has_data = true};
    if (in->ack == c->snd_max)
        c->marks |= FASTOPEN_SYN_DATA;
    if (in->ack > 0) {
        recovery_ack(e, c, &a);
        c->ext->fastopen.syn_acked = (uint16_t)in->ack;
    }
    if (c->snd_una < c->snd_max)
        recovery_syn_data_lost(e, c);
}

static void in_establish(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    sample_handshake_rtt(e, c, in);
    if (c->backoff > 0)
        rtt_no_sample(c);
    tcp_handshake_done(e, c, c->backoff > 0);
    c->backoff = 0;
    c->soft_err = 0;
    if (c->flags & TCF_NEEDS_SYN)
        c->flags |= TCF_ACK_NOW; /* in the place of the SYN-ACK that has not gone yet */
    c->flags &= ~(uint32_t)TCF_NEEDS_SYN;
    timers_clear_rtx(c);
    if (c->snd_nxt < 0)
        c->snd_nxt = c->snd_max = 0;
    c->snd_una = 0;
    c->snd_wl1 = in->seg->seq;
    c->snd_wl2 = in->seg->ack;
    c->snd_wnd = (uint32_t)in->seg->wnd << ((in->seg->flags & TCP_SYN) ? 0 : c->snd_wscale);
    if (c->snd_wnd > c->snd_wnd_max)
        c->snd_wnd_max = c->snd_wnd;
    conn_set_state(e, c, TCPS_ESTABLISHED);
    if (c->flags & TCF_SND_FIN)
        conn_set_state(e, c, TCPS_FIN_WAIT_1); /* shut down before the handshake ended */
    if (unlikely(c->snd_max > 0))
        in_syn_data_answered(e, c, in);
    conn_mark_output(e, c);
}

/* Our FIN was acknowledged (RFC 9293 3.10.7.4, fifth step). */
static unsigned in_fin_acked(struct tcp_env *e, struct tcp_conn *c)
{
    switch (c->state) {
    case TCPS_FIN_WAIT_1:
        conn_set_state(e, c, TCPS_FIN_WAIT_2);
        if (c->flags & TCF_ORPHAN)
            timers_set_aux(e, c, e->now_us + e->params.fin_wait2_us);
        return 0;
    case TCPS_CLOSING:
        conn_set_state(e, c, TCPS_TIME_WAIT);
        return TCP_IN_TIME_WAIT;
    case TCPS_LAST_ACK:
        conn_die(e, c, HOOK_END_FIN, 0);
        return TCP_IN_DIED;
    default:
        return 0;
    }
}

/* The handshake of a server's Fast Open is over; the connection has long begun. */
static void in_fastopen_done(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    if (c->flags & TCF_TS) /* else it may answer data, or a SYN-ACK that was sent again */
        sample_handshake_rtt(e, c, in);
    c->flags &= ~(uint32_t)TCF_NEEDS_SYN;
    c->marks &= (uint8_t)~FASTOPEN_ON;
    c->backoff = 0;
    timers_clear_rtx(c);
    if (c->snd_una < c->snd_max)
        timers_set_rtx(e, c, e->now_us + rtt_rto(e, c));
    conn_set_state(e, c, TCPS_ESTABLISHED);
    if (c->flags & TCF_SND_FIN)
        conn_set_state(e, c, TCPS_FIN_WAIT_1);
    conn_mark_output(e, c);
}

static unsigned step_ack(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    unsigned what = 0;
    if (unlikely(c->state == TCPS_SYN_RCVD && fastopen_is_pending(c))) {
        in_fastopen_done(e, c, in);
        what = TCP_IN_FASTOPEN;
    }
    if (c->state == TCPS_SYN_RCVD) {
        in_establish(e, c, in);
    } else {
        bool is_late = in->ack < c->snd_una || unlikely(ts_is_old(c, in->seg));
        struct tcp_ack a = {.ack = is_late ? c->snd_una : in->ack,
                            .seg = in->seg,
                            .has_data = seg_seq_len(in->seg) != 0 || is_late,
                            .window_changed = !is_late && step_window(c, in)};
        if (unlikely(c->flags & TCF_ECN) && (in->seg->flags & TCP_ECE))
            recovery_ecn_echo(e, c, in->ack);
        c->flags &= ~(uint32_t)TCF_MORE; /* MSG_MORE holds back until something comes, as Linux */
        if (unlikely(in->ack < c->snd_una) && in->seg->opt.n_sack > 0) {
            a.ack = c->snd_una; /* it was overtaken; what it says of SACK is news still */
            a.has_data = true;  /* no duplicate ACK */
        }
        if (a.ack >= c->snd_una)
            recovery_ack(e, c, &a);
        if (a.window_changed)
            conn_mark_output(e, c);
    }
    return what | ((c->flags & TCF_FIN_ACKED) ? in_fin_acked(e, c) : 0);
}

/* The peer's FIN is next in order (eighth step). */
static unsigned step_fin(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags |= TCF_RCV_FIN | TCF_ACK_NOW;
    conn_mark_output(e, c);
    conn_mark_ready(e, c, TCP_READY_FIN);
    switch (c->state) {
    case TCPS_ESTABLISHED:
        conn_set_state(e, c, TCPS_CLOSE_WAIT);
        return 0;
    case TCPS_FIN_WAIT_1: /* were our FIN acknowledged, this would be FIN_WAIT_2 */
        conn_set_state(e, c, TCPS_CLOSING);
        return 0;
    case TCPS_FIN_WAIT_2:
        conn_set_state(e, c, TCPS_TIME_WAIT);
        return TCP_IN_TIME_WAIT;
    default:
        return 0;
    }
}

/* Closed, or shut in both directions (as Linux): what still comes is lost. */
static bool nobody_reads(const struct tcp_conn *c)
{
    return (c->flags & TCF_ORPHAN) ||
           (c->flags & (TCF_SHUT_RD | TCF_SND_FIN)) == (TCF_SHUT_RD | TCF_SND_FIN);
}

/* Payload and FIN (seventh and eighth step). */
static unsigned step_text_and_fin(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    if (in->seg->len == 0 && !in->fin)
        return 0;
    if (c->flags & TCF_RCV_FIN) { /* nothing is expected beyond a FIN: say where we are */
        text_note_duplicate(e, c, in);
        c->flags |= TCF_ACK_NOW;
        conn_mark_output(e, c);
        return 0;
    }
    if (nobody_reads(c) && in->end > (tcp_off_t)stream_next(&c->rcv)) {
        /* Nobody will read it (RFC 1122 4.2.2.13). The RST that answers the segment carries the
         * number that the peer expects, which our own SND.NXT need not be. */
        e->stats.conns_reset_out++;
        conn_die(e, c, HOOK_END_RST_OUT, ECONNRESET);
        return TCP_IN_RESET | TCP_IN_DIED;
    }
    tcp_in_text(e, c, in);
    if (c->flags & (TCF_DEAD | TCF_SEND_RST | TCF_RST_QUEUED))
        return 0; /* a monitor's code ended it */
    if ((c->flags & TCF_FIN_OOO) && c->fin_off == (tcp_off_t)stream_next(&c->rcv))
        return step_fin(e, c);
    return 0;
}

/* ---- states with an order of their own ---- */

/* Before the SYN-ACK has changed anything: was there a Fast Open, and what became of its SYN? */
static unsigned in_fastopen_answered(struct tcp_conn *c)
{
    if (likely(!(c->marks & FASTOPEN_ON)))
        return 0;
    c->marks &= (uint8_t)~FASTOPEN_ON;
    return TCP_IN_FASTOPEN | (c->backoff > 0 ? TCP_IN_SYN_LOST : 0);
}

/* As Linux: whoever sets TCP_DEFER_ACCEPT, or waits with more than the SYN could take, will write
 * soon. That saves an ACK, and the two will talk in turns: ACKs ride on what is said. */
static void ack_synack(struct tcp_env *e, struct tcp_conn *c)
{
    enum { AT_MOST_US = 200000 };
    if (likely(c->ext == NULL) || !(c->ext->defer_accept || c->ext->fastopen.has_more)) {
        c->flags |= TCF_ACK_NOW;
        return;
    }
    c->flags |= TCF_ACK_DELAYED;
    c->n_quick = 0;
    timers_set_delack(e, c, e->now_us + AT_MOST_US);
}

static unsigned in_syn_sent(struct tcp_env *e, struct tcp_conn *c, struct in *in)
{
    const struct seg *s = in->seg;
    uint32_t agreed = tcp_opts_agreed(&e->params, &s->opt);
    c->irs = s->seq;
    c->flags = (c->flags & ~(uint32_t)(TCF_TS | TCF_SACK | TCF_WSCALE)) | agreed | TCF_IRS;
    if (c->flags & TCF_ECN)
        ecn_take_answer(c, s);
    c->mss_peer = tcp_mss_offered(&c->tuple.local, &s->opt);
    c->snd_wscale = (agreed & TCF_WSCALE) ? s->opt.wscale : 0;
    c->ts_recent = s->opt.ts_val;
    c->ts_recent_s = (uint32_t)(e->now_us / 1000000);
    unsigned what = 0;
    if (s->flags & TCP_ACK) {
        what = in_fastopen_answered(c);
        in_establish(e, c, in);
        ack_synack(e, c);
    } else { /* simultaneous open: both ends sent a SYN */
        c->flags |= TCF_NEEDS_SYN;
        conn_set_state(e, c, TCPS_SYN_RCVD);
        conn_mark_output(e, c);
        return 0; /* data and FIN are not for before ESTABLISHED: they come again */
    }
    *in = in_decode(c, s);
    in->off = 0; /* the SYN is taken */
    in->end = s->len;
    return what | step_text_and_fin(e, c, in);
}

static struct tw_facts tw_facts_of(const struct tcp_conn *c)
{
    return (struct tw_facts){.rcv_nxt = seq_of_off(c->irs, rcv_nxt(c)),
                             .snd_nxt = seq_of_off(c->iss, c->snd_max),
                             .has_ts = c->flags & TCF_TS,
                             .ts_recent = c->ts_recent,
                             .syn = (enum tw_syn)c->tw_syn};
}

bool tcp_superseded_by(const struct tcp_conn *c, const struct seg *s)
{
    if (c->state != TCPS_TIME_WAIT)
        return false;
    struct tw_facts facts = tw_facts_of(c);
    return tw_judge(&facts, s) & TCP_IN_NEW_SYN;
}

static unsigned in_time_wait(struct tcp_env *e, struct tcp_conn *c, const struct in *in)
{
    struct tw_facts facts = tw_facts_of(c);
    unsigned v = tw_judge(&facts, in->seg);
    c->tw_syn = (uint8_t)tw_syn_after(&facts, in->seg);
    if ((v & TCP_IN_ACK_DUE) && in->fin) { /* our last ACK was lost: the wait begins anew */
        c->flags |= TCF_ACK_NOW;
        conn_mark_output(e, c);
        timers_set_aux(e, c, e->now_us + e->params.tw_us);
    } else if (v & TCP_IN_ACK_DUE) {
        in_answer(e, c, in);
    }
    return (v & ~TCP_IN_ACK_DUE) | TCP_IN_DROPPED;
}

/* The SYN-ACK completes a simultaneous open. Its SYN came before: a duplicate, as Linux has it. */
static void in_syn_again(struct tcp_conn *c, struct in *in)
{
    in->off = 0;
    in->end = in->seg->len;
    c->flags |= TCF_ACK_NOW;
    if (!(c->flags & TCF_SACK))
        return;
    c->dsack_start = c->irs;
    c->dsack_end = seq_add(c->irs, 1);
    c->n_dsack = 1;
}

unsigned tcp_input(struct tcp_env *e, struct tcp_conn *c, const struct seg *s)
{
    struct in in = in_decode(c, s);
    e->stats.segs_in++;
    if (c->state == TCPS_TIME_WAIT)
        return in_time_wait(e, c, &in);
    enum check v = check_segment(e, c, &in);
    if (unlikely(v != CHECK_OK))
        return in_refuse(e, c, &in, v);
    unsigned what;
    if (unlikely(c->state == TCPS_SYN_SENT)) {
        what = in_syn_sent(e, c, &in);
    } else {
        if (unlikely(s->flags & TCP_SYN))
            in_syn_again(c, &in);
        step_timestamp(e, c, &in);
        what = step_ack(e, c, &in);
        if (unlikely(s->flags & TCP_URG))
            urgent_in(e, c, &in);
        if (!(what & (TCP_IN_DIED | TCP_IN_TIME_WAIT)))
            what |= step_text_and_fin(e, c, &in);
    }
    c->last_active_us = e->now_us;
    return what;
}
