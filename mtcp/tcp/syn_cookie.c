/* SYN cookies: a half-open record in a sequence number and six bits of a timestamp. */
#include "mtcp/tcp/syn_cookie.h"

#include "mtcp/tcp/handshake.h"

#include <string.h>

enum {
    TIME_SHIFT = 27,
    TIME_MASK = 0x1f,
    MSS_SHIFT = 24,
    MSS_MASK = 7,
    MAC_MASK = 0xffffff,
    TS_BITS = 0x3f,
    TS_WSCALE = 0x0f, /* TS_NO_WSCALE: not agreed */
    TS_NO_WSCALE = 15,
    TS_SACK = 0x10,
    TS_ECN = 0x20,
};

/* What paths have, from the smallest that is believed to Ethernet's jumbo frames. */
static const uint16_t mss_of[MSS_MASK + 1] = {TCP_MSS_MIN, 536, 1220, 1300, 1400, 1440, 1460, 8940};

static uint32_t mss_index(uint16_t mss)
{
    uint32_t i = MSS_MASK;
    while (i > 0 && mss_of[i] > mss)
        i--;
    return i;
}

/* What is hashed under the context's secret. Longer than what tcp_isn() hashes, so that the two
 * have nothing in common. */
struct message {
    struct flow_tuple tuple;
    uint32_t irs;
    uint64_t time;
    uint32_t mss_index, purpose;
};
_Static_assert(sizeof(struct message) == FLOW_TUPLE_BYTES + 20, "no padding");

static uint32_t keyed(const struct tcp_env *e, const struct message *m)
{
    return (uint32_t)hash_siphash24(&e->secret, m, sizeof(*m));
}

/* Hides the clock and the MSS, and tells the numbers of different peers apart (RFC 6528). */
static uint32_t mask_of(const struct tcp_env *e, const struct seg *s, tcp_seq_t irs)
{
    struct message m;
    memset(&m, 0, sizeof(m));
    m.tuple = s->tuple;
    m.irs = irs.v;
    m.purpose = 1;
    return keyed(e, &m);
}

static uint32_t cookie_of(const struct tcp_env *e, const struct seg *s, tcp_seq_t irs,
                          uint64_t time, uint32_t index)
{
    struct message m;
    memset(&m, 0, sizeof(m));
    m.tuple = s->tuple;
    m.irs = irs.v;
    m.time = time;
    m.mss_index = index;
    m.purpose = 2;
    return ((uint32_t)time & TIME_MASK) << TIME_SHIFT | index << MSS_SHIFT |
           (keyed(e, &m) & MAC_MASK);
}

/* ---- making ---- */

static uint32_t ts_bits_of(const struct tcp_half_open *h)
{
    uint32_t bits = (h->opts & TCF_WSCALE) ? h->snd_wscale : (uint32_t)TS_NO_WSCALE;
    return bits | ((h->opts & TCF_SACK) ? TS_SACK : 0u) | (h->has_ecn ? TS_ECN : 0u);
}

/* Never ahead of the clock, or the connection's own timestamps would look old. */
static uint32_t ts_with_bits(uint32_t now, uint32_t bits)
{
    uint32_t ts = (now & ~(uint32_t)TS_BITS) | bits;
    return (int32_t)(ts - now) > 0 ? ts - TS_BITS - 1 : ts;
}

void syn_cookie_synack(const struct tcp_env *e, struct tcp_half_open *h, struct tcp_tx *tx)
{
    const struct seg s = {.tuple = h->tuple};
    uint64_t time = e->now_us / SYN_COOKIE_UNIT_US;
    if (!(h->opts & TCF_TS)) {
        h->opts = 0;
        h->snd_wscale = h->rcv_wscale = 0;
        h->has_ecn = false;
    }
    uint32_t cookie = cookie_of(e, &s, h->irs, time, mss_index(h->mss_peer));
    h->iss = seq_make(mask_of(e, &s, h->irs) + cookie);
    tcp_half_open_synack(e, h, tx);
    if (h->opts & TCF_TS)
        tx->seg.opt.ts_val = ts_with_bits(tx->seg.opt.ts_val, ts_bits_of(h));
}

/* ---- checking ---- */

/* The options that the echoed timestamp tells of. */
static void rebuild_opts(const struct seg *ack, struct seg *syn)
{
    struct tcp_opts *o = &syn->opt;
    if (!ack->opt.has_ts)
        return;
    o->has_ts = true;
    o->ts_val = ack->opt.ts_val;
    o->wscale = ack->opt.ts_ecr & TS_WSCALE;
    o->has_wscale = o->wscale != TS_NO_WSCALE;
    o->sack_permitted = ack->opt.ts_ecr & TS_SACK;
    if (ack->opt.ts_ecr & TS_ECN)
        syn->flags |= TCP_ECE | TCP_CWR;
}

bool syn_cookie_check(const struct tcp_env *e, const struct seg *ack, struct seg *syn)
{
    tcp_seq_t irs = seq_add(ack->seq, (uint32_t)-1);
    uint32_t cookie = ack->ack.v - 1 - mask_of(e, ack, irs);
    uint64_t now = e->now_us / SYN_COOKIE_UNIT_US;
    uint32_t age = ((uint32_t)now - (cookie >> TIME_SHIFT)) & TIME_MASK;
    uint32_t index = cookie >> MSS_SHIFT & MSS_MASK;
    if (age > 1 || age > now || cookie_of(e, ack, irs, now - age, index) != cookie)
        return false;
    *syn = (struct seg){.tuple = ack->tuple,
                        .seq = irs,
                        .flags = TCP_SYN,
                        .wnd = ack->wnd,
                        .ttl = ack->ttl,
                        .opt = {.has_mss = true, .mss = mss_of[index]}};
    rebuild_opts(ack, syn);
    return true;
}
