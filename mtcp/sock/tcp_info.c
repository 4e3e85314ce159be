/* TCP_INFO: what the stack knows of a connection, in Linux's struct. What it does not know stays 0.
 */
#include <linux/tcp.h>

#include "mtcp/sock/options.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/sock/prep.h"
#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/rtt.h"

#include <stddef.h>
#include <string.h>

int sock_path_mtu(const struct mtcp_ctx *ctx, const struct tcp_conn *c)
{
    return pmtu_of(&ctx->net, &c->tuple.remote,
                   netif_mtu(&ctx->net.ifs[c->flow.netif], &c->tuple.local));
}

static uint8_t linux_state(uint8_t state)
{
    static const uint8_t map[TCPS_N] = {
        [TCPS_CLOSED] = MOS_TCPI_CLOSE,
        [TCPS_LISTEN] = MOS_TCPI_LISTEN,
        [TCPS_SYN_SENT] = MOS_TCPI_SYN_SENT,
        [TCPS_SYN_RCVD] = MOS_TCPI_SYN_RECV,
        [TCPS_ESTABLISHED] = MOS_TCPI_ESTABLISHED,
        [TCPS_FIN_WAIT_1] = MOS_TCPI_FIN_WAIT1,
        [TCPS_FIN_WAIT_2] = MOS_TCPI_FIN_WAIT2,
        [TCPS_CLOSE_WAIT] = MOS_TCPI_CLOSE_WAIT,
        [TCPS_CLOSING] = MOS_TCPI_CLOSING,
        [TCPS_LAST_ACK] = MOS_TCPI_LAST_ACK,
        [TCPS_TIME_WAIT] = MOS_TCPI_TIME_WAIT,
    };
    return map[state];
}

static uint8_t linux_options(const struct tcp_conn *c)
{
    unsigned o = 0;
    if (c->flags & TCF_TS)
        o |= TCPI_OPT_TIMESTAMPS;
    if (c->flags & TCF_SACK)
        o |= TCPI_OPT_SACK;
    if (c->flags & TCF_WSCALE)
        o |= TCPI_OPT_WSCALE;
    if (c->flags & TCF_ECN)
        o |= TCPI_OPT_ECN;
    if (c->marks & FASTOPEN_SYN_DATA)
        o |= TCPI_OPT_SYN_DATA;
    if (c->marks & ECN_SEEN)
        o |= TCPI_OPT_ECN_SEEN;
    return (uint8_t)o;
}

/* TCP_INFINITE_SSTHRESH: no loss so far. */
#define SSTHRESH_INFINITE 0x7fffffffu

/* Bytes to segments, as Linux counts. */
static uint32_t segments(uint64_t bytes, const struct tcp_conn *c)
{
    return c->mss ? (uint32_t)((bytes + c->mss - 1) / c->mss) : 0;
}

static uint64_t positive(tcp_off_t off)
{
    return off > 0 ? (uint64_t)off : 0;
}

static void info_of_path(const struct mtcp_ctx *ctx, const struct tcp_conn *c, struct tcp_info *t)
{
    const struct tcp_env *e = &ctx->net.env;
    t->tcpi_rto = rtt_rto(e, c);
    t->tcpi_ato = e->params.delack_us;
    t->tcpi_rtt = c->srtt_us;
    t->tcpi_rttvar = c->rttvar_us;
    t->tcpi_min_rtt = c->min_rtt_us;
    t->tcpi_pmtu = (uint32_t)sock_path_mtu(ctx, c);
    t->tcpi_advmss = tcp_mss_announced(c, netif_mtu(&ctx->net.ifs[c->flow.netif], &c->tuple.local));
    t->tcpi_snd_mss = c->mss;
    t->tcpi_rcv_mss = c->rcv_mss;
    uint64_t idle_ms = (e->now_us - c->last_active_us) / 1000;
    t->tcpi_last_data_recv = t->tcpi_last_ack_recv = (uint32_t)idle_ms;
    t->tcpi_last_data_sent = ((uint32_t)e->now_us - c->snd_at_us) / 1000;
}

/* Segments: the SYN, with the data that went with it, is one. Not counted one by one: as many as
 * what was delivered makes full ones. */
static uint32_t delivered(const struct tcp_conn *c, uint32_t n_sacked)
{
    uint64_t with_syn = c->ext ? c->ext->fastopen.syn_acked : 0;
    if (c->snd_una < 0 || fastopen_is_pending(c))
        return 0;
    return 1 + segments((uint64_t)c->snd_una - with_syn, c) + n_sacked;
}

static void info_of_recovery(const struct tcp_conn *c, struct tcp_info *t)
{
    struct tcp_recovery_info r;
    recovery_info(c, &r);
    t->tcpi_ca_state = TCP_CA_Open;
    if (r.is_in_loss)
        t->tcpi_ca_state = TCP_CA_Loss;
    else if (recovery_in_recovery(c))
        t->tcpi_ca_state = TCP_CA_Recovery;
    else if (r.is_disordered)
        t->tcpi_ca_state = TCP_CA_Disorder;
    else if (r.is_reducing)
        t->tcpi_ca_state = TCP_CA_CWR;
    t->tcpi_sacked = r.sacked;
    t->tcpi_lost = r.lost;
    t->tcpi_retrans = r.retrans;
    t->tcpi_reordering = r.reordering;
    t->tcpi_delivered = delivered(c, r.sacked);
}

static void info_of_sending(const struct tcp_conn *c, struct tcp_info *t)
{
    uint64_t acked = positive(c->snd_una), sent = positive(c->snd_nxt);
    uint64_t written = stream_next(&c->snd);
    t->tcpi_retransmits = c->backoff;
    t->tcpi_backoff = c->backoff;
    t->tcpi_probes = c->state == TCPS_TIME_WAIT ? 0 : c->n_probes;
    info_of_recovery(c, t);
    t->tcpi_unacked = segments(sent - acked, c);
    t->tcpi_snd_ssthresh = c->ssthresh < UINT32_MAX ? segments(c->ssthresh, c) : SSTHRESH_INFINITE;
    t->tcpi_snd_cwnd = c->mss ? c->cwnd / c->mss : 0;
    t->tcpi_snd_wscale = c->snd_wscale & 0xfu;
    t->tcpi_bytes_acked = acked;
    t->tcpi_notsent_bytes = written > sent ? (uint32_t)(written - sent) : 0;
    t->tcpi_snd_wnd = c->snd_wnd;
}

static void info_of_conn(const struct mtcp_ctx *ctx, const struct tcp_conn *c, struct tcp_info *t)
{
    t->tcpi_state = linux_state(c->state);
    t->tcpi_options = linux_options(c) & 0xff;
    t->tcpi_rcv_wscale = c->rcv_wscale & 0xfu;
    t->tcpi_rcv_space = c->rcv.limit;
    t->tcpi_rcv_ssthresh = c->rcv.limit;
    t->tcpi_bytes_received = stream_next(&c->rcv);
    info_of_path(ctx, c, t);
    info_of_sending(c, t);
}

int tcp_info_get(const struct mtcp_ctx *ctx, const struct sock *s, void *val, socklen_t *len)
{
    struct tcp_info t;
    if (*len < offsetof(struct tcp_info, tcpi_total_retrans) + sizeof(t.tcpi_total_retrans))
        return -EINVAL;
    memset(&t, 0, sizeof(t));
    if (sock_has_conn(s)) {
        info_of_conn(ctx, s->conn, &t);
    } else if (s->type == MOS_SOCK_STREAM_LISTEN) { /* the accept queue, as Linux */
        t.tcpi_state = MOS_TCPI_LISTEN;
        t.tcpi_unacked = s->prep->l.n_accept;
        t.tcpi_sacked = s->prep->l.backlog;
    } else {
        t.tcpi_state = MOS_TCPI_CLOSE;
    }
    *len = *len < sizeof(t) ? *len : (socklen_t)sizeof(t);
    memcpy(val, &t, *len);
    return 0;
}
