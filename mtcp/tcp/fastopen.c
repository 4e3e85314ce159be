/* TCP Fast Open: cookies, and the server's connection. */
#include "mtcp/tcp/fastopen.h"

#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/input.h"
#include "mtcp/wire/hdr.h"

#include <string.h>

/* ---- cookies ---- */

/* What is hashed under the context's secret; its length tells it from what isn.c hashes. */
struct message {
    struct ip_addr local, remote;
    uint64_t hour;
};
_Static_assert(sizeof(struct message) == 40, "no padding");

static uint64_t cookie_of(const struct tcp_env *e, const struct flow_tuple *t, uint64_t hour)
{
    struct message m = {.local = t->local, .remote = t->remote, .hour = hour};
    return hash_siphash24(&e->secret, &m, sizeof(m));
}

static uint64_t hour_of(const struct tcp_env *e)
{
    return e->now_us / FASTOPEN_ROTATE_US;
}

void fastopen_cookie(const struct tcp_env *e, const struct flow_tuple *t, uint8_t *to)
{
    uint64_t cookie = cookie_of(e, t, hour_of(e));
    memcpy(to, &cookie, FASTOPEN_COOKIE_LEN);
}

bool fastopen_is_ours(const struct tcp_env *e, const struct seg *syn)
{
    uint64_t cookie;
    if (syn->opt.fastopen_len != FASTOPEN_COOKIE_LEN)
        return false;
    memcpy(&cookie, syn->opt.fastopen_cookie, sizeof(cookie));
    if (cookie == cookie_of(e, &syn->tuple, hour_of(e)))
        return true;
    return hour_of(e) > 0 && cookie == cookie_of(e, &syn->tuple, hour_of(e) - 1);
}

/* ---- server ---- */

void tcp_fastopen_accept(struct tcp_env *e, struct tcp_conn *c, const struct seg *syn)
{
    struct in in = {.seg = syn, .off = 0, .end = syn->len};
    c->flags |= TCF_NEEDS_SYN;
    c->marks |= FASTOPEN_ON;
    c->snd_una = 0;
    c->snd_wl1 = c->irs;
    c->snd_wl2 = c->iss;
    tcp_handshake_done(e, c, false);
    if (syn->len > 0) {
        c->marks |= FASTOPEN_SYN_DATA;
        tcp_in_text(e, c, &in);
    }
    c->flags &= ~(uint32_t)(TCF_ACK_NOW | TCF_ACK_DELAYED); /* the SYN-ACK says it all */
    conn_mark_ready(e, c, TCP_READY_OUT);
    conn_mark_output(e, c);
}

/* ---- client ---- */

/* The SYN's options take all 40 bytes at the most. */
static uint32_t syn_len(const struct tcp_conn *c)
{
    uint32_t mss = c->ext->fastopen.mss < c->mss ? c->ext->fastopen.mss : c->mss;
    uint32_t most = mss > TCP_OPT_MAX ? mss - TCP_OPT_MAX : 0;
    uint64_t written = stream_next(&c->snd);
    return written < most ? (uint32_t)written : most;
}

/* A SYN that is sent again has neither: one of them may be why the first was lost (RFC 7413 4.1.3).
 */
void fastopen_fill_syn(const struct tcp_conn *c, struct tcp_tx *tx)
{
    struct tcp_opts *o = &tx->seg.opt;
    if (c->backoff > 0 || c->snd_nxt >= 0 || !c->ext)
        return;
    bool is_blind = c->ext->fastopen.cookie_len == 0 && c->ext->fastopen.mss > 0;
    o->has_fastopen = !is_blind;
    o->fastopen_len = c->ext->fastopen.cookie_len;
    o->fastopen_cookie = c->ext->fastopen.cookie;
    tx->seg.len = syn_len(c);
    if (tx->seg.len > 0)
        (void)stream_span(&c->snd, 0, tx->seg.len, tx->iov);
}
