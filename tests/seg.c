/* The segment tests' language: strings to segments, one connection, exact expectations. */
#include "tests/seg.h"

#include "mtcp/tcp/state.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUR_ISN  0xfffffff0u
#define PEER_ISN 0xffffff00u
#define PAYLOAD_MAX 70000u

static uint8_t payload_buf[PAYLOAD_MAX];

uint8_t seg_byte(uint64_t off)
{
    uint64_t x = (off >> 2) * 0x9e3779b97f4a7c15u;
    return (uint8_t)((x >> 32) >> (8 * (off & 3)));
}

/* ---- strings ---- */

static const struct {
    char c;
    uint8_t flag;
} flag_of[] = {{'S', TCP_SYN}, {'F', TCP_FIN}, {'R', TCP_RST}, {'P', TCP_PSH},
               {'A', TCP_ACK}, {'U', TCP_URG}, {'E', TCP_ECE}, {'C', TCP_CWR}};

struct parsed {
    struct seg seg; /* seq and ack relative */
    bool has_ack, has_win, has_mss, has_ws, has_sackok, has_ts, has_sack, has_urg, has_no_opts, has_tos;
};

static uint8_t parse_flags(const char **at)
{
    uint8_t f = 0;
    for (; **at && **at != ' '; (*at)++)
        for (size_t i = 0; i < sizeof(flag_of) / sizeof(flag_of[0]); i++)
            if (flag_of[i].c == **at)
                f |= flag_of[i].flag;
    return f;
}

static uint32_t number(const char **at)
{
    char *end;
    long long v = strtoll(*at, &end, 0);
    *at = end;
    return (uint32_t)v;
}

static void parse_sack(struct parsed *p, const char **at)
{
    p->has_sack = true;
    do {
        struct sack_block *b = &p->seg.opt.sack[p->seg.opt.n_sack++];
        b->start = seq_make(number(at));
        (*at)++;
        b->end = seq_make(number(at));
    } while (*(*at) == ',' && (*at)++ && p->seg.opt.n_sack < TCP_SACK_MAX);
}

static bool word(const char **at, const char *w)
{
    size_t n = strlen(w);
    if (strncmp(*at, w, n) != 0)
        return false;
    *at += n;
    return true;
}

static void parse_word(struct parsed *p, const char **at)
{
    struct tcp_opts *o = &p->seg.opt;
    if (word(at, "ack=")) {
        p->seg.ack = seq_make(number(at));
        p->has_ack = true;
    } else if (word(at, "win=")) {
        p->seg.wnd = (uint16_t)number(at);
        p->has_win = true;
    } else if (word(at, "mss=")) {
        o->mss = (uint16_t)number(at);
        o->has_mss = p->has_mss = true;
    } else if (word(at, "ws=")) {
        o->wscale = (uint8_t)number(at);
        o->has_wscale = p->has_ws = true;
    } else if (word(at, "sackok")) {
        o->sack_permitted = p->has_sackok = true;
    } else if (word(at, "ts=")) {
        o->ts_val = number(at);
        if (word(at, ","))
            o->ts_ecr = number(at);
        o->has_ts = p->has_ts = true;
    } else if (word(at, "sack=")) {
        parse_sack(p, at);
    } else if (word(at, "urg=")) {
        p->seg.urg = (uint16_t)number(at);
        p->has_urg = true;
    } else if (word(at, "joined=")) {
        p->seg.joined_mss = (uint16_t)number(at);
    } else if (word(at, "noopt")) {
        p->has_no_opts = true;
    } else if (word(at, "ecn")) {
        p->seg.flags |= TCP_ECE | TCP_CWR;
    } else if (word(at, "notect")) {
        p->has_tos = true;
    } else if (word(at, "ect0")) {
        p->seg.tos = 2;
        p->has_tos = true;
    } else if (word(at, "ce")) {
        p->seg.tos = 3;
        p->has_tos = true;
    } else {
        fprintf(stderr, "segment test: what is '%s'?\n", *at);
        exit(2);
    }
}

static struct parsed parse(const char *s)
{
    struct parsed p = {.seg = {.wnd = 50000, .ttl = 64}};
    p.seg.flags = parse_flags(&s);
    while (*s == ' ')
        s++;
    p.seg.seq = seq_make(number(&s));
    if (word(&s, "+"))
        p.seg.len = number(&s);
    while (*s) {
        while (*s == ' ')
            s++;
        if (*s)
            parse_word(&p, &s);
    }
    return p;
}

/* ---- the connection ---- */

static struct flow_tuple tuple(void)
{
    return (struct flow_tuple){.local = ip_addr_v4(be32_make(0x0a000001)),
                               .remote = ip_addr_v4(be32_make(0x0a000002)),
                               .local_port = 80,
                               .remote_port = 40000};
}

struct segt *segt_new(void)
{
    struct segt *t = calloc(1, sizeof(*t));
    if (!t)
        exit(2);
    t->mem = mem_create(0);
    tcp_env_init(&t->env, t->mem, 42, 1000000);
    const char *isn = getenv("SEGT_ISN");
    t->our_isn = isn ? (uint32_t)strtoul(isn, NULL, 0) : OUR_ISN;
    t->peer_isn = isn ? t->our_isn : PEER_ISN;
    struct tcp_open o = {.tuple = tuple(), .mtu = 1500};
    t->conn.flow.kind = FLOW_CONN;
    tcp_conn_init(&t->env, &t->conn, &o);
    return t;
}

void segt_free(struct segt *t)
{
    tcp_conn_fini(&t->env, &t->conn);
    EXPECT_EQ(mem_in_use(t->mem), 0);
    mem_destroy(t->mem);
    free(t);
}

void segt_flush(struct segt *t)
{
    struct tcp_conn *c = &t->conn;
    while (t->env.out_head) {
        t->env.out_head = c->out_next;
        if (!t->env.out_head)
            t->env.out_tail = &t->env.out_head;
        c->flags &= ~(uint32_t)TCF_ON_OUT;
        struct tcp_tx tx;
        while (!(c->flags & TCF_DEAD) &&
               tcp_output_next(&t->env, c, t->max_len ? t->max_len : c->mss, &tx)) {
            if (t->n_tx < SEGT_TX_MAX && !t->drop_output)
                t->tx[t->n_tx++] = tx;
            for (unsigned i = 0; i < 2 && !t->drop_output; i++)
                for (size_t k = 0; tx.seg.len && k < tx.iov[i].iov_len; k++) {
                    uint64_t off = (uint64_t)(tx.off < 0 ? 0 : tx.off) + k + (i ? tx.iov[0].iov_len : 0);
                    if (((uint8_t *)tx.iov[i].iov_base)[k] != seg_byte(off)) {
                        CU_FAIL("a byte sent is not the byte written");
                        k = tx.iov[i].iov_len;
                    }
                }
            tcp_output_sent(&t->env, c, &tx, !t->drop_output);
            if (t->drop_output)
                break;
        }
        tcp_output_done(&t->env, c);
    }
}

static void inject(struct segt *t, const struct parsed *p, const char *payload)
{
    struct seg s = p->seg;
    s.tuple = tuple();
    uint64_t off = (uint64_t)(s.seq.v - 1);
    for (uint32_t i = 0; i < s.len; i++)
        payload_buf[i] = payload ? (uint8_t)payload[i] : seg_byte(off + i);
    s.payload = payload_buf;
    s.seq.v += t->peer_isn;
    s.ack.v += t->our_isn;
    for (unsigned i = 0; i < s.opt.n_sack; i++) {
        s.opt.sack[i].start.v += t->our_isn;
        s.opt.sack[i].end.v += t->our_isn;
    }
    t->last_in = tcp_input(&t->env, &t->conn, &s);
    if (t->last_in & TCP_IN_RESET && t->n_tx < SEGT_TX_MAX && tcp_reset_for(&s, &t->tx[t->n_tx]))
        t->n_tx++;
}

void seg_in_burst(struct segt *t, const char *const *segments, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct parsed p = parse(segments[i]);
        inject(t, &p, NULL);
    }
    segt_flush(t);
}

void seg_in(struct segt *t, const char *segment)
{
    seg_in_burst(t, &segment, 1);
}

void seg_in_bytes(struct segt *t, const char *segment, const char *payload)
{
    struct parsed p = parse(segment);
    inject(t, &p, payload);
    segt_flush(t);
}

/* ---- expectations ---- */

static void fail_at(const char *file, int line, const char *fmt, const char *want, const char *got)
{
    fprintf(stderr, "\n%s:%d: ", file, line);
    fprintf(stderr, fmt, want, got);
    fputc('\n', stderr);
    CU_assertImplementation(CU_FALSE, (unsigned)line, want, file, "", CU_FALSE);
}

static const char *print_tx(const struct segt *t, const struct tcp_tx *x)
{
    static char out[300];
    char flags[10] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof(flag_of) / sizeof(flag_of[0]); i++)
        if (x->seg.flags & flag_of[i].flag)
            flags[n++] = flag_of[i].c;
    int at = snprintf(out, sizeof(out), "%s %u+%u ack=%u win=%u", flags,
                      x->seg.seq.v - t->our_isn, x->seg.len, x->seg.ack.v - t->peer_isn,
                      x->seg.wnd);
    const struct tcp_opts *o = &x->seg.opt;
    if (o->has_mss)
        at += snprintf(out + at, sizeof(out) - (size_t)at, " mss=%u", o->mss);
    if (o->has_wscale)
        at += snprintf(out + at, sizeof(out) - (size_t)at, " ws=%u", o->wscale);
    if (o->sack_permitted)
        at += snprintf(out + at, sizeof(out) - (size_t)at, " sackok");
    if (o->has_ts)
        at += snprintf(out + at, sizeof(out) - (size_t)at, " ts=..,%u", o->ts_ecr);
    for (unsigned i = 0; i < o->n_sack; i++)
        at += snprintf(out + at, sizeof(out) - (size_t)at, "%s%u-%u", i ? "," : " sack=",
                       o->sack[i].start.v - t->peer_isn, o->sack[i].end.v - t->peer_isn);
    return out;
}

static bool opts_match(const struct segt *t, const struct parsed *p, const struct tcp_opts *o)
{
    const struct tcp_opts *w = &p->seg.opt;
    if (p->has_no_opts && (o->has_mss || o->has_wscale || o->sack_permitted || o->has_ts || o->n_sack))
        return false;
    if ((p->has_mss && (!o->has_mss || o->mss != w->mss)) ||
        (p->has_ws && (!o->has_wscale || o->wscale != w->wscale)) ||
        (p->has_sackok && !o->sack_permitted) ||
        (p->has_ts && (!o->has_ts || o->ts_ecr != w->ts_ecr)))
        return false;
    if (!p->has_sack)
        return true;
    if (o->n_sack != w->n_sack)
        return false;
    for (unsigned i = 0; i < w->n_sack; i++)
        if (o->sack[i].start.v != w->sack[i].start.v + t->peer_isn ||
            o->sack[i].end.v != w->sack[i].end.v + t->peer_isn)
            return false;
    return true;
}

static bool tx_matches(const struct segt *t, const struct parsed *p, const struct tcp_tx *x)
{
    const struct seg *s = &x->seg;
    uint8_t ignore = p->seg.flags & TCP_PSH ? 0 : TCP_PSH; /* P is compared when it is written */
    if ((s->flags & ~ignore) != p->seg.flags || s->len != p->seg.len)
        return false;
    bool bare_rst = (s->flags & (TCP_RST | TCP_ACK)) == (TCP_RST | TCP_ACK) && s->seq.v == 0;
    if (s->seq.v != p->seg.seq.v + t->our_isn && !(bare_rst && p->seg.seq.v == 0))
        return false;
    if (p->has_ack && s->ack.v != p->seg.ack.v + t->peer_isn)
        return false;
    if ((p->has_win && s->wnd != p->seg.wnd) || (p->has_tos && s->tos != p->seg.tos))
        return false;
    if (p->has_urg && s->urg != p->seg.urg)
        return false;
    return opts_match(t, p, &s->opt);
}

void seg_expect_at(struct segt *t, const char *segment, const char *file, int line)
{
    if (t->at_tx == t->n_tx) {
        fail_at(file, line, "expected %s, got %s", segment, "silence");
        return;
    }
    const struct tcp_tx *x = &t->tx[t->at_tx++];
    struct parsed p = parse(segment);
    if (!tx_matches(t, &p, x))
        fail_at(file, line, "expected %s, got %s", segment, print_tx(t, x));
    else
        CU_assertImplementation(CU_TRUE, (unsigned)line, segment, file, "", CU_FALSE);
    if (t->at_tx == t->n_tx)
        t->at_tx = t->n_tx = 0;
}

void seg_silence_at(struct segt *t, const char *file, int line)
{
    while (t->at_tx < t->n_tx)
        fail_at(file, line, "expected %s, got %s", "silence", print_tx(t, &t->tx[t->at_tx++]));
    t->at_tx = t->n_tx = 0;
}

/* ---- application and time ---- */

int64_t segt_write(struct segt *t, uint32_t n)
{
    for (uint32_t i = 0; i < n && i < PAYLOAD_MAX; i++)
        payload_buf[i] = seg_byte(t->written + i);
    int64_t w = tcp_send(&t->env, &t->conn, payload_buf, n);
    if (w > 0)
        t->written += (uint64_t)w;
    segt_flush(t);
    return w;
}

uint32_t segt_read(struct segt *t, uint32_t n)
{
    uint64_t off = stream_read(&t->conn.rcv);
    uint32_t have = tcp_readable(&t->conn);
    n = n < have ? n : have;
    n = stream_copy(&t->conn.rcv, off, payload_buf, n);
    for (uint32_t i = 0; i < n; i++)
        if (payload_buf[i] != seg_byte(off + i)) {
            CU_FAIL("a byte read is not the byte sent");
            break;
        }
    tcp_consumed(&t->env, &t->conn, n);
    segt_flush(t);
    return n;
}

void segt_advance(struct segt *t, uint64_t us)
{
    uint64_t end = t->env.now_us + us;
    for (;;) {
        uint64_t next = wheel_next_us(&t->env.wheel);
        t->env.now_us = next < end ? (next > t->env.now_us ? next : t->env.now_us + 1) : end;
        struct timer *due;
        while ((due = wheel_expire(&t->env.wheel, t->env.now_us)) != NULL)
            tcp_timer(&t->env, &t->conn);
        segt_flush(t);
        if (t->env.now_us >= end)
            return;
    }
}

/* ---- ready-made connections ---- */

struct segt *segt_established_with(const char *syn_opts)
{
    struct segt *t = segt_new();
    char text[200];
    snprintf(text, sizeof(text), "S 0 win=50000 mss=1000 %s", syn_opts);
    struct parsed p = parse(text);
    struct seg syn = p.seg;
    syn.tuple = tuple();
    syn.seq.v += t->peer_isn;
    t->half.flow.kind = FLOW_HALF_OPEN;
    tcp_half_open_init(&t->env, &t->half, &syn, 1500, &t->env.params);
    t->half.iss = seq_make(t->our_isn);
    t->half.n_sent = 1;
    tcp_half_open_promote(&t->env, &t->conn, &t->half);
    t->conn.sock = 0;
    t->env.now_us += 10000;
    if (p.seg.opt.has_ts)
        snprintf(text, sizeof(text), "A 1 ack=1 ts=%u,%u", p.seg.opt.ts_val,
                 conn_ts_now(&t->env, &t->conn) - 10);
    else
        snprintf(text, sizeof(text), "A 1 ack=1");
    seg_in(t, text);
    t->conn.n_quick = 0;
    t->n_tx = t->at_tx = 0;
    return t;
}

struct segt *segt_established(void)
{
    return segt_established_with("");
}

struct segt *segt_syn_sent(void)
{
    struct segt *t = segt_new();
    t->conn.flags |= TCF_ACTIVE;
    t->conn.sock = 0;
    tcp_connect(&t->env, &t->conn);
    t->conn.iss = seq_make(t->our_isn);
    segt_flush(t);
    seg_expect(t, "S 0 mss=1460");
    seg_silence(t);
    t->env.now_us += 10000;
    return t;
}

struct segt *segt_in_state(enum tcp_state s)
{
    if (s == TCPS_SYN_SENT)
        return segt_syn_sent();
    struct segt *t = segt_established();
    if (s == TCPS_CLOSE_WAIT || s == TCPS_LAST_ACK)
        seg_in(t, "FA 1 ack=1");
    if (s == TCPS_FIN_WAIT_1 || s == TCPS_FIN_WAIT_2 || s == TCPS_CLOSING || s == TCPS_TIME_WAIT ||
        s == TCPS_LAST_ACK) {
        EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
        segt_flush(t);
    }
    if (s == TCPS_FIN_WAIT_2 || s == TCPS_TIME_WAIT)
        seg_in(t, "A 1 ack=2");
    if (s == TCPS_CLOSING)
        seg_in(t, "FA 1 ack=1");
    if (s == TCPS_TIME_WAIT)
        seg_in(t, "FA 1 ack=2");
    EXPECT_EQ(t->conn.state, s);
    t->n_tx = t->at_tx = 0;
    return t;
}
