/* Segments in the name of a host of the wire. */
#include "mos/forge.h"

#include "mos/wire_tcp.h"
#include "mtcp/wire/build.h"

#define TTL 64

/* How frames get to a host: as those of the other one, or as its own come, turned around. */
static struct build_l2 l2_to(const struct wire_conn *w, int to)
{
    const struct wire_link *mine = &w->host[to].link, *other = &w->host[side_other(to)].link;
    if (other->is_known)
        return (struct build_l2){.src = other->src, .dst = other->dst};
    return (struct build_l2){.src = mine->dst, .dst = mine->src};
}

/* There are two interfaces. */
static uint8_t netif_to(const struct wire_conn *w, int to)
{
    const struct wire_link *mine = &w->host[to].link, *other = &w->host[side_other(to)].link;
    return mine->is_known ? mine->netif : 1 - other->netif;
}

static void forge(const struct wire_conn *w, int to, const struct seg *what)
{
    const struct flow_tuple *t = &w->tuple;
    const struct mon *m = w->conn->mon;
    struct build_l2 l2 = l2_to(w, to);
    struct seg seg = *what;
    uint8_t frame[BUILD_HDR_MAX];
    seg.tuple = *t;
    if (to == MOS_SIDE_CLI)
        seg.tuple = (struct flow_tuple){t->remote, t->local, t->remote_port, t->local_port};
    seg.ttl = TTL;
    struct build_lens lens = build_tcp(frame, &l2, &seg, 0);
    build_tcp_csum(frame, lens, 0, (struct build_offload){0});
    uint32_t len = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    (void)!m->sv->send_frame(m->ctx, netif_to(w, to), frame, len);
}

/* A host that waits for the answer to its SYN takes a reset by what it acknowledges. */
static void refuse_syn(const struct wire_conn *w, int to)
{
    const struct seg seg = {.ack = seq_add(w->conn->host[to].isn, 1), .flags = TCP_RST | TCP_ACK};
    forge(w, to, &seg);
}

static void reset_at(const struct wire_conn *w, int to, uint64_t off)
{
    tcp_seq_t isn = w->conn->host[side_other(to)].isn;
    const struct seg seg = {.seq = seq_of_off(isn, (tcp_off_t)off), .flags = TCP_RST};
    forge(w, to, &seg);
}

static void reset_host(const struct wire_conn *w, int to)
{
    const struct wire_host *h = &w->host[to];
    if (!w->conn->host[to].syn_seen)
        return;
    if (!w->conn->host[side_other(to)].syn_seen) {
        refuse_syn(w, to);
        return;
    }
    reset_at(w, to, h->passed);
    if (h->acked != h->passed)
        reset_at(w, to, h->acked);
}

void forge_resets(struct wire_conn *w)
{
    reset_host(w, MOS_SIDE_CLI);
    reset_host(w, MOS_SIDE_SVR);
}

void forge_answer(struct wire_conn *w, const struct seg *seg)
{
    if (seg->flags & TCP_RST)
        return;
    struct seg rst = {.seq = seg->ack, .flags = TCP_RST};
    if (!(seg->flags & TCP_ACK))
        rst = (struct seg){.ack = seq_add(seg->seq, seg_seq_len(seg)), .flags = TCP_RST | TCP_ACK};
    forge(w, w->sender, &rst);
}

void forge_ack(struct wire_conn *w, int to, tcp_off_t acked, uint64_t wnd)
{
    int from = side_other(to);
    const struct wire_host *h = &w->host[from];
    uint64_t units = wnd >> wire_shift(w, from);
    struct seg ack = {
        .seq = seq_of_off(w->conn->host[from].isn, (tcp_off_t)h->sent),
        .ack = seq_of_off(w->conn->host[to].isn, acked),
        .wnd = units < UINT16_MAX ? (uint16_t)units : UINT16_MAX,
        .flags = TCP_ACK,
    };
    if (wire_has_ts(w)) {
        ack.opt.has_ts = true;
        ack.opt.ts_val = h->ts_sent;
        ack.opt.ts_ecr = w->host[to].ts_sent;
    }
    forge(w, to, &ack);
}
