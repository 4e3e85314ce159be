/* TCP Fast Open: cookies, and the server's connection. */
#include "mtcp/tcp/fastopen.h"

#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/input.h"
#include "mtcp/wire/hdr.h"

#include <endian.h>
#include <string.h>

/* ---- cookies ---- */

struct fastopen_keys fastopen_keys_drawn(const struct tcp_env *e)
{
    struct fastopen_keys k = {.n = FASTOPEN_KEYS_MAX};
    uint64_t hour = e->now_us / FASTOPEN_ROTATE_US;
    for (unsigned i = 0; i < FASTOPEN_KEYS_MAX; i++) {
        uint64_t half[] = {hour - i, 0}; /* its length tells it from what isn.c hashes */
        k.key[i].k0 = hash_siphash24(&e->secret, half, sizeof(half));
        half[1] = 1;
        k.key[i].k1 = hash_siphash24(&e->secret, half, sizeof(half));
    }
    return k;
}

struct hash_key fastopen_key_of(const void *bytes)
{
    uint64_t half[2];
    memcpy(half, bytes, sizeof(half));
    return (struct hash_key){le64toh(half[0]), le64toh(half[1])};
}

void fastopen_key_bytes(const struct hash_key *k, void *to)
{
    uint64_t half[2] = {htole64(k->k0), htole64(k->k1)};
    memcpy(to, half, sizeof(half));
}

void fastopen_cookie(const struct hash_key *k, const struct flow_tuple *t, uint8_t *to)
{
    const struct ip_addr both[2] = {t->remote, t->local};
    const be32_t both4[2] = {t->remote.w[3], t->local.w[3]};
    uint64_t cookie = ip_addr_is_v4(&t->local) ? hash_siphash24(k, both4, sizeof(both4))
                                               : hash_siphash24(k, both, sizeof(both));
    cookie = htole64(cookie);
    memcpy(to, &cookie, FASTOPEN_COOKIE_LEN);
}

unsigned fastopen_key_used(const struct fastopen_keys *k, const struct seg *syn)
{
    uint8_t cookie[FASTOPEN_COOKIE_LEN];
    if (syn->opt.fastopen_len != FASTOPEN_COOKIE_LEN)
        return 0;
    for (unsigned i = 0; i < k->n; i++) {
        fastopen_cookie(&k->key[i], &syn->tuple, cookie);
        if (memcmp(cookie, syn->opt.fastopen_cookie, sizeof(cookie)) == 0)
            return i + 1;
    }
    return 0;
}

/* ---- server ---- */

/* Of a connection whose c->mss is still its own. */
static void own_mss_keep(struct tcp_env *e, struct tcp_conn *c)
{
    if (!c->ext) {
        c->ext = mem_alloc(e->mem, sizeof(*c->ext));
        if (!c->ext)
            return; /* the SYN-ACK says less, then */
        *c->ext = tcp_opt_ext_default();
    }
    c->ext->fastopen.mss = c->mss;
}

void tcp_fastopen_accept(struct tcp_env *e, struct tcp_conn *c, const struct seg *syn)
{
    struct in in = {.seg = syn, .off = 0, .end = syn->len};
    c->flags |= TCF_NEEDS_SYN;
    c->marks |= FASTOPEN_ON;
    c->snd_una = 0;
    c->snd_wl1 = c->irs;
    c->snd_wl2 = c->iss;
    own_mss_keep(e, c);
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
uint32_t fastopen_syn_room(const struct tcp_conn *c)
{
    uint32_t mss = c->ext->fastopen.mss < c->mss ? c->ext->fastopen.mss : c->mss;
    if (c->user_mss && c->user_mss < mss)
        mss = c->user_mss;
    return mss > TCP_OPT_MAX ? mss - TCP_OPT_MAX : 0;
}

static uint32_t syn_len(const struct tcp_conn *c)
{
    uint32_t most = fastopen_syn_room(c);
    uint64_t written = stream_next(&c->snd);
    return written < most ? (uint32_t)written : most;
}

/* What is sent again has neither: one of them may be why the first was lost (RFC 7413 4.1.3). */
void fastopen_fill_syn(const struct tcp_conn *c, struct tcp_tx *tx)
{
    struct tcp_opts *o = &tx->seg.opt;
    bool is_server = fastopen_is_pending(c);
    if (c->backoff > 0 || !c->ext || (!is_server && (c->state != TCPS_SYN_SENT || c->snd_nxt >= 0)))
        return;
    bool is_blind = c->ext->fastopen.cookie_len == 0 && c->ext->fastopen.mss > 0;
    o->has_fastopen = is_server ? c->ext->fastopen.cookie_len > 0 : !is_blind;
    o->fastopen_is_exp = c->ext->fastopen.is_exp;
    o->fastopen_len = c->ext->fastopen.cookie_len;
    o->fastopen_cookie = c->ext->fastopen.cookie;
    if (is_server)
        return;
    tx->seg.len = syn_len(c);
    if (tx->seg.len > 0)
        tx->n_iov = stream_span(&c->snd, 0, tx->seg.len, tx->span);
}

/* ---- black holes ---- */

static void pause_begin(struct tcp_env *e)
{
    enum { SHIFT_MAX = 6 };
    uint32_t shift = e->fastopen.n_black_holes < SHIFT_MAX ? e->fastopen.n_black_holes : SHIFT_MAX;
    if (e->params.fastopen_pause_us == 0)
        return;
    e->fastopen.paused_until_us = e->now_us + (e->params.fastopen_pause_us << shift);
    e->fastopen.n_black_holes++;
}

void fastopen_timed_out(struct tcp_env *e, const struct tcp_conn *c, uint32_t n, bool is_given_up)
{
    enum { THIRD = 2 };
    if (fastopen_is_used(c) && (n == THIRD || (n < THIRD && is_given_up)))
        pause_begin(e);
}

void fastopen_strange_reset(struct tcp_env *e, const struct tcp_conn *c)
{
    if (fastopen_is_used(c) && c->state == TCPS_ESTABLISHED && stream_end(&c->rcv) == 0)
        pause_begin(e);
}

/* Nothing came but a FIN that goes with bytes which did not come. */
static bool got_lone_fin(const struct tcp_conn *c)
{
    return stream_end(&c->rcv) == 0 && (c->flags & TCF_FIN_OOO) && !(c->flags & TCF_RCV_FIN);
}

void fastopen_client_ends(struct tcp_env *e, const struct tcp_conn *c)
{
    if (got_lone_fin(c))
        pause_begin(e);
    else if (c->ext->fastopen.is_trial && stream_next(&c->rcv) > 0)
        e->fastopen.n_black_holes = 0;
}
