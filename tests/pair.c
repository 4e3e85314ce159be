/* Two connections and a link between them. */
#include "tests/pair.h"

#include "mtcp/tcp/flight.h"
#include "mtcp/tcp/state.h"
#include "mtcp/tcp/timers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CHUNK     4096u
#define FLUSH_MAX 50000u

static uint8_t byte_at(unsigned end, uint64_t off)
{
    uint64_t x = (off >> 3) * 0x9e3779b97f4a7c15u + end * 77u;
    return (uint8_t)(x >> (8 * (off & 7)));
}

static void fail(struct pair *p, const char *what)
{
    if (!p->failure)
        p->failure = what;
}

static struct flow_tuple tuple_of(unsigned i)
{
    struct ip_addr a[2] = {ip_addr_v4(be32_make(0x0a000001)), ip_addr_v4(be32_make(0x0a000002))};
    uint16_t port[2] = {40000, 80};
    return (struct flow_tuple){
        .local = a[i], .remote = a[!i], .local_port = port[i], .remote_port = port[!i]};
}

/* ---- the link ---- */

static bool happens(struct pair *p, uint32_t ppm)
{
    return ppm != 0 && rng_below(&p->rng, 1000000) < ppm;
}

static void frame_insert(struct pair *p, const struct pair_frame *f)
{
    unsigned i = p->n_frames++;
    while (i > 0 && p->frame[i - 1].at_us <= f->at_us) {
        p->frame[i] = p->frame[i - 1];
        i--;
    }
    p->frame[i] = *f;
}

/* One segment on the wire: payload bytes [from, from + len) of the tx. */
static void link_carry(struct pair *p, unsigned end, const struct seg *s, const uint8_t *bytes)
{
    if (p->n_frames == PAIR_FRAMES_MAX)
        return;
    uint64_t *busy = &p->busy_until_us[end];
    if (*busy < p->now_us)
        *busy = p->now_us;
    *busy += (uint64_t)p->conf.us_per_kb * (s->len + 60) / 1024;
    struct pair_frame f = {.at_us = *busy + p->conf.delay_us, .to = !end, .seg = *s};
    if (p->conf.jitter_us)
        f.at_us += rng_below(&p->rng, p->conf.jitter_us);
    f.seg.tuple = tuple_of(!end);
    f.seg.joined_mss = 0;
    f.bytes = malloc(s->len + 1);
    if (s->len > 0)
        memcpy(f.bytes, bytes, s->len);
    f.seg.payload = f.bytes;
    frame_insert(p, &f);
}

static bool link_loses(struct pair *p, unsigned end, const struct seg *s)
{
    uint64_t nth = p->end[end].n_frames++;
    bool lost = p->drops ? p->drops(p, end, s, nth) : happens(p, p->conf.loss_ppm);
    if (p->conf.queue_us && p->busy_until_us[end] > p->now_us + p->conf.queue_us)
        lost = true;
    p->end[end].n_lost += lost;
    return lost;
}

/* A tx may be several segments long, as for a device that cuts. */
static void link_send(struct pair *p, unsigned end, const struct tcp_tx *tx)
{
    static uint8_t bytes[1 << 17];
    size_t n = 0;
    for (unsigned i = 0; i < 2 && n < tx->seg.len; i++) {
        memcpy(bytes + n, tx->iov[i].iov_base, tx->iov[i].iov_len);
        n += tx->iov[i].iov_len;
    }
    if (n != tx->seg.len)
        fail(p, "a segment without its bytes");
    struct seg s = tx->seg;
    for (uint32_t off = 0; off == 0 || off < tx->seg.len; off += tx->mss) {
        uint32_t left = tx->seg.len - off;
        s.seq = seq_add(tx->seg.seq, off);
        s.len = left < tx->mss ? left : tx->mss;
        s.flags = tx->seg.flags;
        if (left > tx->mss)
            s.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (link_loses(p, end, &s))
            continue;
        link_carry(p, end, &s, bytes + off);
        if (happens(p, p->conf.dup_ppm))
            link_carry(p, end, &s, bytes + off);
    }
}

/* ---- one end ---- */

static void end_flush(struct pair *p, unsigned i)
{
    struct pair_end *x = &p->end[i];
    struct tcp_conn *c = &x->conn;
    struct tcp_tx tx;
    for (unsigned n = 0; x->env.out_head && !(c->flags & TCF_DEAD);) {
        x->env.out_head = NULL;
        x->env.out_tail = &x->env.out_head;
        c->flags &= ~(uint32_t)TCF_ON_OUT;
        while (!(c->flags & TCF_DEAD) &&
               tcp_output_next(&x->env, c, p->conf.max_len ? p->conf.max_len : c->mss, &tx)) {
            link_send(p, i, &tx);
            tcp_output_sent(&x->env, c, &tx, true);
            if (++n > FLUSH_MAX) {
                fail(p, "output does not end");
                return;
            }
        }
        tcp_output_done(&x->env, c);
    }
}

static void end_write(struct pair *p, unsigned i)
{
    struct pair_end *x = &p->end[i];
    uint8_t buf[CHUNK];
    if (x->is_shut || x->conn.state < TCPS_ESTABLISHED)
        return;
    while (x->n_written < p->conf.n_bytes[i]) {
        uint64_t left = p->conf.n_bytes[i] - x->n_written;
        uint32_t n = left < CHUNK ? (uint32_t)left : 1 + rng_below(&p->rng, CHUNK);
        for (uint32_t k = 0; k < n; k++)
            buf[k] = byte_at(i, x->n_written + k);
        int64_t w = tcp_send(&x->env, &x->conn, buf, n);
        if (w <= 0)
            return;
        x->n_written += (uint64_t)w;
    }
    x->is_shut = tcp_shutdown(&x->env, &x->conn, SHUT_WR) == 0;
}

static void end_read(struct pair *p, unsigned i)
{
    struct pair_end *x = &p->end[i];
    uint8_t buf[CHUNK];
    uint32_t left = p->conf.read_max ? rng_below(&p->rng, p->conf.read_max + 1) : UINT32_MAX;
    uint32_t have;
    while (left > 0 && (have = tcp_readable(&x->conn)) > 0) {
        uint32_t n = left < CHUNK ? left : CHUNK;
        n = stream_copy(&x->conn.rcv, x->n_read, buf, n < have ? n : have);
        for (uint32_t k = 0; k < n; k++)
            if (buf[k] != byte_at(!i, x->n_read + k))
                fail(p, "a wrong byte");
        tcp_consumed(&x->env, &x->conn, n);
        x->n_read += n;
        left -= n;
    }
}

static void end_turn(struct pair *p, unsigned i)
{
    struct pair_end *x = &p->end[i];
    struct timer *t;
    while ((t = wheel_expire(&x->env.wheel, p->now_us)) != NULL)
        tcp_timer(&x->env, &x->conn);
    end_flush(p, i);
    x->env.ready_head = NULL;
    x->env.ready_tail = &x->env.ready_head;
    x->conn.flags &= ~(uint32_t)TCF_ON_READY;
    end_read(p, i);
    end_write(p, i);
    end_flush(p, i);
}

static bool end_is_done(const struct pair *p, unsigned i)
{
    const struct pair_end *x = &p->end[i];
    return ((x->conn.flags & TCF_DEAD) || x->conn.state == TCPS_TIME_WAIT) &&
           tcp_readable(&x->conn) == 0;
}

/* ---- the pair ---- */

static void env_open(struct pair *p, unsigned i, uint64_t seed)
{
    struct pair_end *x = &p->end[i];
    const struct pair_conf *f = &p->conf;
    x->mem = mem_create(0);
    tcp_env_init(&x->env, x->mem, seed + i, p->now_us);
    struct tcp_params *q = &x->env.params;
    q->sack = !f->no_sack;
    q->timestamps = !f->no_ts;
    q->wscale = !f->no_wscale;
    if (f->rcvbuf)
        q->rcvbuf = q->rcvbuf_max = f->rcvbuf;
    if (f->sndbuf)
        q->sndbuf = q->sndbuf_max = f->sndbuf;
    q->cc = f->cc ? f->cc : q->cc;
    struct tcp_open o = {.tuple = tuple_of(i), .mtu = 1500, .is_active = i == 0};
    x->conn.flow.kind = FLOW_CONN;
    tcp_conn_init(&x->env, &x->conn, &o);
}

/* The passive end takes the SYN as a listener would. */
static void accept_syn(struct pair *p, const struct seg *syn)
{
    struct pair_end *x = &p->end[1];
    struct tcp_half_open h = {.flow.kind = FLOW_HALF_OPEN};
    struct tcp_tx tx;
    tcp_half_open_init(&x->env, &h, syn, 1500, &x->env.params);
    tcp_half_open_synack(&x->env, &h, &tx);
    h.n_sent = 1;
    tcp_half_open_promote(&x->env, &x->conn, &h);
    link_carry(p, 1, &tx.seg, NULL);
}

struct pair *pair_new(const struct pair_conf *conf, uint64_t seed)
{
    struct pair *p = calloc(1, sizeof(*p));
    p->conf = *conf;
    p->now_us = 1000000;
    rng_init(&p->rng, seed);
    env_open(p, 0, seed);
    env_open(p, 1, seed);
    struct pair_end *x = &p->end[0];
    struct tcp_tx tx;
    tcp_connect(&x->env, &x->conn);
    x->conn.iss = seq_make(0xfffffff0u - rng_below(&p->rng, 1u << 16));
    x->env.out_head = NULL;
    x->env.out_tail = &x->env.out_head;
    x->conn.flags &= ~(uint32_t)TCF_ON_OUT;
    if (!tcp_output_next(&x->env, &x->conn, 0, &tx))
        fail(p, "no SYN");
    tcp_output_sent(&x->env, &x->conn, &tx, true);
    tx.seg.tuple = tuple_of(1);
    accept_syn(p, &tx.seg);
    return p;
}

/* A slow reader reads on; a writer that got no memory tries again. */
static bool end_has_work(const struct pair *p, unsigned i)
{
    const struct pair_end *x = &p->end[i];
    return tcp_readable(&x->conn) > 0 ||
           (!x->is_shut && x->conn.state >= TCPS_ESTABLISHED && tcp_writable(&x->conn) > 0);
}

static uint64_t next_event_us(const struct pair *p)
{
    uint64_t at = p->n_frames ? p->frame[p->n_frames - 1].at_us : WHEEL_NEVER_US;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t t = wheel_next_us(&p->end[i].env.wheel);
        at = t < at ? t : at;
        if (end_has_work(p, i) && p->now_us + 1000 < at)
            at = p->now_us + 1000;
    }
    return at > p->now_us ? at : p->now_us + 1;
}

static void deliver_due(struct pair *p)
{
    while (p->n_frames && p->frame[p->n_frames - 1].at_us <= p->now_us) {
        struct pair_frame f = p->frame[--p->n_frames];
        struct pair_end *x = &p->end[f.to];
        if (!(x->conn.flags & TCF_DEAD))
            (void)tcp_input(&x->env, &x->conn, &f.seg);
        free(f.bytes);
    }
}

uint64_t pair_run(struct pair *p, uint64_t limit_us)
{
    uint64_t start = p->now_us;
    while (!p->failure && p->now_us - start < limit_us &&
           !(end_is_done(p, 0) && end_is_done(p, 1))) {
        p->now_us = next_event_us(p);
        p->end[0].env.now_us = p->end[1].env.now_us = p->now_us;
        for (unsigned i = 0; i < 2 && p->conf.mem_is_short; i++)
            mem_set_limit(p->end[i].mem, rng_below(&p->rng, 3) ? 0 : mem_in_use(p->end[i].mem) + 1);
        deliver_due(p);
        end_turn(p, 0);
        end_turn(p, 1);
    }
    return p->now_us - start;
}

bool pair_end_well(struct pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        struct pair_end *x = &p->end[i];
        if (!end_is_done(p, i))
            fail(p, "it did not end");
        if (x->n_read != p->conf.n_bytes[!i])
            fail(p, "bytes are missing");
        if (x->conn.err)
            fail(p, "an error");
        if (x->conn.flight && !(x->conn.flags & TCF_DEAD) && x->conn.flight->n > 0)
            fail(p, "a scoreboard is left");
        tcp_conn_fini(&x->env, &x->conn);
        if (mem_in_use(x->mem) != 0)
            fail(p, "memory is left");
        mem_destroy(x->mem);
    }
    while (p->n_frames)
        free(p->frame[--p->n_frames].bytes);
    bool well = p->failure == NULL;
    if (!well)
        fprintf(stderr, "\npair: %s (read %llu and %llu)\n", p->failure,
                (unsigned long long)p->end[0].n_read, (unsigned long long)p->end[1].n_read);
    free(p);
    return well;
}
