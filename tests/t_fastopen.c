/* Fast Open (RFC 7413): cookies, data in SYNs, what is limited, what falls back. */
#include <linux/tcp.h>

#include "mtcp/net/fastopen.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/sock/sock.h"
#include "tests/duo.h"
#include "tests/net_world.h"
#include "tests/seg.h"
#include "tests/test.h"

#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SEC 1000000ull

static struct world w;
static struct net_listener l;
static uint8_t cookie[FASTOPEN_COOKIE_LEN];
static bool as_experiment;

static void up(uint32_t bits, uint32_t qlen)
{
    struct world_opts o = {.conf = world_conf};
    o.conf.fastopen = bits;
    world_up(&w, &o);
    world_listen(&w, &l, 10);
    l.fastopen_qlen = qlen;
}

/* A SYN with the option and `cookie_len` bytes of the cookie, and data. */
static void syn_in(uint16_t port, int cookie_len, const char *data)
{
    struct seg s = {.tuple.local_port = port,
                    .flags = TCP_SYN,
                    .seq = seq_make(1000),
                    .payload = (const uint8_t *)data,
                    .len = (uint32_t)strlen(data),
                    .opt = {.has_mss = true, .mss = 1460}};
    s.opt.has_fastopen = cookie_len >= 0;
    s.opt.fastopen_len = cookie_len > 0 ? (uint8_t)cookie_len : 0;
    s.opt.fastopen_cookie = cookie;
    s.opt.fastopen_is_exp = as_experiment;
    world_in(&w, &s);
    world_turn(&w);
}

static void seg_in_from(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
    world_seg(&w, port, flags, seq, ack);
    world_turn(&w);
}

/* The SYN-ACK, which says that so much of the data was taken; does it have a cookie? */
static bool synack(uint16_t port, uint32_t taken, uint32_t *iss)
{
    const struct seg *s = world_expect(&w, port, TCP_SYN | TCP_ACK);
    EXPECT_EQ(s->ack.v, 1001 + taken);
    if (iss)
        *iss = s->seq.v;
    if (s->opt.has_fastopen) {
        EXPECT_EQ(s->opt.fastopen_len, FASTOPEN_COOKIE_LEN);
        memcpy(cookie, s->opt.fastopen_cookie, FASTOPEN_COOKIE_LEN);
    }
    return s->opt.has_fastopen;
}

/* The cookie of the peer, asked for with an ordinary connection that ends. */
static void get_cookie(void)
{
    syn_in(9, 0, "");
    CU_ASSERT(synack(9, 0, NULL));
    seg_in_from(9, TCP_RST, 1001, 0);
    world_silence(&w);
}

static struct tcp_conn *taken(void)
{
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    return c;
}

/* ---- cookies ---- */

static void a_cookie_is_given_to_who_asks(void)
{
    static const struct {
        uint32_t bits, qlen;
        bool given;
    } row[] = {{NET_FASTOPEN_SERVER, 1, true},
               {NET_FASTOPEN_CLIENT, 1, false},
               {NET_FASTOPEN_SERVER, 0, false}};
    for (unsigned i = 0; i < 3; i++) {
        up(row[i].bits, row[i].qlen);
        syn_in(4000, 0, "");
        EXPECT_EQ(synack(4000, 0, NULL), row[i].given);
        syn_in(4001, -1, "");
        CU_ASSERT(!synack(4001, 0, NULL));
        world_down(&w);
    }
}

/* Linux's function, so that servers of both kinds can share keys: what is well known of it. */
static void a_cookie_is_linuxs_hash_of_both_addresses(void)
{
    static const struct {
        uint8_t key[16];
        const char *local, *remote;
        uint8_t cookie[8];
    } row[] = {
        {{0xa1, 0xa1, 0xa1, 0xa1, 0xb2, 0xb2, 0xb2, 0xb2, 0xc3, 0xc3, 0xc3, 0xc3, 0xd4, 0xd4, 0xd4,
          0xd4},
         "192.168.0.1",
         "192.0.2.1",
         {0x30, 0x21, 0xb9, 0xd8, 0x89, 0x01, 0x7e, 0xeb}},
        {{0xa1, 0xa1, 0xa1, 0xa1, 0xb2, 0xb2, 0xb2, 0xb2, 0xc3, 0xc3, 0xc3, 0xc3, 0xd4, 0xd4, 0xd4,
          0xd4},
         "fd3d:0a0b:17d6::1",
         "fd3d:fa7b:d17d::1",
         {0xc1, 0xd1, 0xe9, 0x74, 0x2a, 0x47, 0xa9, 0xbc}},
        {{0xf7, 0x63, 0xbf, 0xa0, 0x81, 0x3d, 0x80, 0xed, 0x30, 0x1d, 0x64, 0xcd, 0x90, 0x4a, 0xbc,
          0xce},
         "192.168.0.2",
         "10.248.0.2",
         {0x00, 0xab, 0xaa, 0xab, 0xe8, 0xe9, 0x54, 0xc2}},
    };
    for (unsigned i = 0; i < 3; i++) {
        struct hash_key k = fastopen_key_of(row[i].key);
        struct flow_tuple t = {world_ip(row[i].local), world_ip(row[i].remote), 80, 4000};
        uint8_t got[16];
        fastopen_cookie(&k, &t, got);
        EXPECT_EQ(memcmp(got, row[i].cookie, 8), 0);
        fastopen_key_bytes(&k, got);
        EXPECT_EQ(memcmp(got, row[i].key, 16), 0);
    }
}

static void keys_are_drawn_from_the_secret_by_the_hour(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    struct tcp_env *e = &w.net.env;
    e->now_us = 5 * FASTOPEN_ROTATE_US;
    struct fastopen_keys now = fastopen_keys_drawn(e);
    EXPECT_EQ(now.n, 2);
    CU_ASSERT(now.key[0].k0 != now.key[0].k1 && now.key[0].k0 != now.key[1].k0);
    CU_ASSERT(now.key[0].k0 != e->secret.k0);
    e->now_us += FASTOPEN_ROTATE_US;
    struct fastopen_keys later = fastopen_keys_drawn(e);
    EXPECT_EQ(memcmp(&later.key[1], &now.key[0], sizeof(now.key[0])), 0);
    e->secret.k1 ^= 1;
    later = fastopen_keys_drawn(e);
    CU_ASSERT(memcmp(&later.key[1], &now.key[0], sizeof(now.key[0])) != 0);
    e->secret.k1 ^= 1;
    world_down(&w);
}

/* Made by the key before the present one: it is good, and a new one comes with the answer. */
static void an_old_cookie_is_good_and_replaced(void)
{
    const struct hash_key old = {1, 2}, new = {3, 4};
    up(NET_FASTOPEN_SERVER, 2);
    w.net.conf.fastopen_keys = (struct fastopen_keys){{old}, 1};
    get_cookie();
    syn_in(4000, 8, "hi");
    CU_ASSERT(!synack(4000, 2, NULL));
    w.net.conf.fastopen_keys = (struct fastopen_keys){{new, old}, 2};
    syn_in(4001, 8, "hi");
    CU_ASSERT(synack(4001, 2, NULL));
    w.net.conf.fastopen_keys = (struct fastopen_keys){{new}, 1};
    world_advance(&w, 1100000);
    CU_ASSERT(!synack(4000, 2, NULL));
    CU_ASSERT(!synack(4001, 2, NULL)); /* again, and without: the option may be why it was lost */
    while (world_out(&w))
        ;
    world_down(&w);
    up(NET_FASTOPEN_SERVER, 2);
    w.net.conf.fastopen_keys = (struct fastopen_keys){{new}, 1};
    syn_in(4000, 8, "hi");
    CU_ASSERT(!synack(4000, 2, NULL));
    world_down(&w);
}

static void a_listener_has_keys_of_its_own(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    w.net.conf.fastopen_keys = (struct fastopen_keys){{{1, 2}}, 1};
    get_cookie();
    l.fastopen_keys = (struct fastopen_keys){{{5, 6}}, 1};
    syn_in(4000, 8, "hi");
    CU_ASSERT(synack(4000, 0, NULL));
    syn_in(4001, 8, "hi");
    CU_ASSERT(!synack(4001, 2, NULL));
    world_down(&w);
}

/* Who asks with the experimental option that came before is answered with it. */
static void the_experimental_option_is_answered_in_kind(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    as_experiment = true;
    syn_in(4000, 0, "");
    const struct seg *s = world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    CU_ASSERT(s->opt.has_fastopen && s->opt.fastopen_is_exp);
    memcpy(cookie, s->opt.fastopen_cookie, FASTOPEN_COOKIE_LEN);
    syn_in(4001, 8, "hi");
    CU_ASSERT(!synack(4001, 2, NULL));
    as_experiment = false;
    world_down(&w);
}

static void a_cookie_goes_with_the_first_answer_only(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    syn_in(4000, 0, "");
    CU_ASSERT(synack(4000, 0, NULL));
    world_advance(&w, 1100000);
    CU_ASSERT(!synack(4000, 0, NULL));
    world_down(&w);
}

static void a_cookie_grows_old(void)
{
    static const struct {
        uint64_t after_s;
        bool good;
    } row[] = {{0, true}, {3500, true}, {3700, true}, {7300, false}};
    for (unsigned i = 0; i < 4; i++) {
        up(NET_FASTOPEN_SERVER, 1);
        w.net.env.now_us = 3 * FASTOPEN_ROTATE_US;
        get_cookie();
        w.net.env.now_us += row[i].after_s * SEC;
        syn_in(4000, 8, "hi");
        bool renewed = synack(4000, row[i].good ? 2 : 0, NULL);
        EXPECT_EQ(renewed, row[i].after_s > 3500); /* a new one when its hour is over */
        EXPECT_EQ(w.net.stats.fastopen_refused, !row[i].good);
        world_down(&w);
    }
}

static void a_wrong_cookie_gets_a_new_one(void)
{
    for (int len = 4; len <= 16; len += 2) {
        uint8_t wrong[16] = {1, 2, 3};
        up(NET_FASTOPEN_SERVER, 1);
        memcpy(cookie, wrong, sizeof(cookie));
        struct seg s = {.tuple.local_port = 4000,
                        .flags = TCP_SYN,
                        .seq = seq_make(1000),
                        .payload = (const uint8_t *)"hi",
                        .len = 2,
                        .opt = {.has_fastopen = true, .fastopen_len = (uint8_t)len}};
        s.opt.fastopen_cookie = wrong;
        world_in(&w, &s);
        world_turn(&w);
        CU_ASSERT(synack(4000, 0, NULL));
        CU_ASSERT_PTR_NULL(net_accept(&w.net, &l));
        world_down(&w);
    }
}

/* ---- a server's connection ---- */

static void data_is_there_before_the_handshake_is_over(void)
{
    uint32_t iss;
    char got[8];
    up(NET_FASTOPEN_SERVER, 1);
    get_cookie();
    syn_in(4000, 8, "hello");
    CU_ASSERT(!synack(4000, 5, &iss));
    struct tcp_conn *c = taken();
    EXPECT_EQ(c->state, TCPS_SYN_RCVD);
    EXPECT_EQ(tcp_readable(c), 5);
    EXPECT_EQ(stream_copy(&c->rcv, 0, got, 5), 5);
    EXPECT_EQ(memcmp(got, "hello", 5), 0);
    tcp_consumed(&w.net.env, c, 5);
    EXPECT_EQ(tcp_send(&w.net.env, c, "world", 5), 5);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_ACK | TCP_PSH); /* and so does the answer */
    EXPECT_EQ(s->seq.v, iss + 1);
    EXPECT_EQ(s->len, 5);
    EXPECT_EQ(w.net.n_fastopen, 1);
    seg_in_from(4000, TCP_ACK, 1006, iss + 6);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    EXPECT_EQ(c->snd_una, 5);
    EXPECT_EQ(w.net.n_fastopen, 0);
    CU_ASSERT(c->marks & FASTOPEN_SYN_DATA);
    CU_ASSERT(!(c->marks & FASTOPEN_ON));
    world_silence(&w);
    world_advance(&w, 5 * SEC);
    world_silence(&w);
    world_down(&w);
}

static void a_lost_answer_is_sent_again(void)
{
    uint32_t iss;
    up(NET_FASTOPEN_SERVER, 1);
    get_cookie();
    syn_in(4000, 8, "hello");
    (void)synack(4000, 5, &iss);
    struct tcp_conn *c = taken();
    EXPECT_EQ(tcp_send(&w.net.env, c, "world", 5), 5);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK | TCP_PSH);
    syn_in(4000, 8, "hello"); /* the peer's SYN again */
    (void)synack(4000, 5, NULL);
    world_advance(&w, 1100000);
    (void)synack(4000, 5, NULL); /* and by the clock */
    EXPECT_EQ(tcp_readable(c), 5);
    seg_in_from(4000, TCP_ACK, 1006, iss + 1);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    world_advance(&w, 3 * SEC); /* the answer's data was lost, too */
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK | TCP_PSH)->seq.v, iss + 1);
    world_down(&w);
}

/* The ACK may answer the SYN-ACK, or what went after it (Karn): without timestamps nobody can tell.
 */
static void an_answer_after_data_was_sent_times_nothing(void)
{
    uint32_t iss;
    up(NET_FASTOPEN_SERVER, 1);
    get_cookie();
    syn_in(4000, 8, "hello");
    (void)synack(4000, 5, &iss);
    struct tcp_conn *c = taken();
    world_advance(&w, 300000);
    EXPECT_EQ(tcp_send(&w.net.env, c, "world", 5), 5);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK | TCP_PSH);
    world_advance(&w, 10000);
    seg_in_from(4000, TCP_ACK, 1006, iss + 1);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    EXPECT_EQ(c->srtt_us, 0);
    world_down(&w);
}

static void without_an_answer_it_ends(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    get_cookie();
    syn_in(4000, 8, "hello");
    struct tcp_conn *c = taken();
    world_advance(&w, 200 * SEC);
    CU_ASSERT(c->flags & TCF_DEAD);
    EXPECT_EQ(c->err, ETIMEDOUT);
    EXPECT_EQ(w.net.n_fastopen, 0);
    while (world_out(&w))
        ;
    net_conn_release(&w.net, c);
    world_down(&w);
}

static void closed_early_the_fin_waits(void)
{
    uint32_t iss;
    up(NET_FASTOPEN_SERVER, 1);
    get_cookie();
    syn_in(4000, 8, "hello");
    (void)synack(4000, 5, &iss);
    struct tcp_conn *c = taken();
    tcp_consumed(&w.net.env, c, 5);
    EXPECT_EQ(tcp_send(&w.net.env, c, "world", 5), 5);
    EXPECT_EQ(tcp_shutdown(&w.net.env, c, SHUT_WR), 0);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK | TCP_PSH)->len, 5);
    world_silence(&w);
    seg_in_from(4000, TCP_ACK, 1006, iss + 6);
    EXPECT_EQ(c->state, TCPS_FIN_WAIT_1);
    EXPECT_EQ(world_expect(&w, 4000, TCP_FIN | TCP_ACK)->seq.v, iss + 6);
    seg_in_from(4000, TCP_ACK, 1006, iss + 7);
    EXPECT_EQ(c->state, TCPS_FIN_WAIT_2);
    world_down(&w);
}

static void a_reset_ends_it(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    get_cookie();
    syn_in(4000, 8, "hello");
    (void)synack(4000, 5, NULL);
    struct tcp_conn *c = taken();
    seg_in_from(4000, TCP_RST, 1006, 0);
    CU_ASSERT(c->flags & TCF_DEAD);
    EXPECT_EQ(c->err, ECONNRESET); /* not refused: it was there */
    EXPECT_EQ(w.net.n_fastopen, 0);
    net_conn_release(&w.net, c);
    world_down(&w);
}

static void pending_ones_are_limited(void)
{
    up(NET_FASTOPEN_SERVER, 2);
    get_cookie();
    syn_in(4000, 8, "a");
    syn_in(4001, 8, "b");
    syn_in(4002, 8, "c");
    (void)synack(4000, 1, NULL);
    uint32_t iss;
    (void)synack(4001, 1, &iss);
    CU_ASSERT(!synack(4002, 0, NULL)); /* an ordinary handshake */
    EXPECT_EQ(w.net.stats.fastopen_full, 1);
    seg_in_from(4001, TCP_ACK, 1002, iss + 1);
    syn_in(4003, 8, "d");
    (void)synack(4003, 1, NULL);
    world_down(&w);
    EXPECT_EQ(w.net.n_fastopen, 0);
}

static void data_without_a_cookie_only_when_told_so(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    syn_in(4000, -1, "hi");
    (void)synack(4000, 0, NULL);
    world_down(&w);
    up(NET_FASTOPEN_SERVER | NET_FASTOPEN_SERVER_BLIND, 1);
    syn_in(4000, -1, "hi");
    (void)synack(4000, 2, NULL);
    EXPECT_EQ(tcp_readable(taken()), 2);
    world_down(&w);
}

/* What its SYN-ACK says is this host's own, whatever the connection uses: the peer's is 1460, less
 * timestamps. */
static void the_answers_mss_is_this_hosts(void)
{
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_SYN,
                    .seq = seq_make(1000),
                    .payload = (const uint8_t *)"hi",
                    .len = 2,
                    .opt = {.has_mss = true, .mss = 1000, .has_ts = true, .ts_val = 7}};
    up(NET_FASTOPEN_SERVER | NET_FASTOPEN_SERVER_BLIND, 1);
    world_in(&w, &s);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_SYN | TCP_ACK)->opt.mss, 1460);
    EXPECT_EQ(taken()->mss, 988);
    world_advance(&w, 1100000);
    EXPECT_EQ(world_expect(&w, 4000, TCP_SYN | TCP_ACK)->opt.mss, 1460);
    world_down(&w);
}

static void a_listener_can_do_without_cookies(void)
{
    up(NET_FASTOPEN_SERVER, 1);
    l.ext = tcp_opt_ext_default();
    l.has_ext = l.ext.fastopen.needs_no_cookie = true;
    syn_in(4000, -1, "hi");
    CU_ASSERT(!synack(4000, 2, NULL));
    world_down(&w);
}

/* ---- a client's connection ---- */

/* Its SYN goes with a cookie and the first bytes. */
static struct segt *syn_with_data(uint32_t n, uint32_t in_syn)
{
    char want[40];
    struct segt *t = segt_new();
    struct tcp_conn *c = &t->conn;
    c->flags |= TCF_ACTIVE;
    c->sock = 0;
    c->ext = mem_zalloc(t->mem, sizeof(*c->ext));
    c->ext->linger_s = -1;
    c->ext->fastopen.mss = 1000;
    c->ext->fastopen.cookie_len = 8;
    c->marks |= FASTOPEN_ON | FASTOPEN_DEFERRED;
    EXPECT_EQ(segt_write(t, n), n);
    c->marks &= (uint8_t)~FASTOPEN_DEFERRED;
    tcp_connect(&t->env, c);
    c->iss = seq_make(t->our_isn);
    segt_flush(t);
    CU_ASSERT(t->tx[t->at_tx].seg.opt.has_fastopen);
    EXPECT_EQ(t->tx[t->at_tx].seg.opt.fastopen_len, 8);
    snprintf(want, sizeof(want), "S 0+%u mss=1460", in_syn);
    seg_expect(t, want);
    seg_silence(t);
    t->env.now_us += 10000;
    return t;
}

static void a_syn_carries_what_fits(void)
{
    struct segt *t = syn_with_data(5000, 960);
    seg_in(t, "SA 0 ack=961 mss=1000");
    EXPECT_EQ(t->last_in, TCP_IN_FASTOPEN);
    EXPECT_EQ(t->conn.snd_una, 960);
    CU_ASSERT(t->conn.marks & FASTOPEN_SYN_DATA);
    for (unsigned i = 0; i < 4; i++) {
        char want[40];
        snprintf(want, sizeof(want), "A %u+1000 ack=1", 961 + 1000 * i);
        seg_expect(t, want);
    }
    segt_free(t);
}

static void refused_data_goes_again_at_once(void)
{
    struct segt *t = syn_with_data(500, 500);
    seg_in(t, "SA 0 ack=1 mss=1000");
    seg_expect(t, "PA 1+500 ack=1");
    seg_silence(t);
    EXPECT_EQ(t->conn.cwnd, 10000);
    CU_ASSERT(!(t->conn.marks & FASTOPEN_SYN_DATA));
    seg_in(t, "A 1 ack=501");
    EXPECT_EQ(t->conn.snd_una, 500);
    CU_ASSERT(!timer_is_armed(&t->conn.timer) || t->conn.rtx_tick == 0);
    segt_free(t);
}

static void half_refused_data_goes_again_by_half(void)
{
    struct segt *t = syn_with_data(500, 500);
    seg_in(t, "SA 0 ack=201 mss=1000");
    seg_expect(t, "PA 201+300 ack=1");
    segt_advance(t, 5000000); /* and by the clock when that is lost, too */
    seg_expect(t, "PA 201+300 ack=1");
    segt_free(t);
}

static void an_answer_to_more_than_was_sent_is_refused(void)
{
    struct segt *t = syn_with_data(500, 500);
    seg_in(t, "SA 0 ack=502 mss=1000");
    EXPECT_EQ(t->last_in, TCP_IN_DROPPED | TCP_IN_RESET);
    EXPECT_EQ(t->conn.state, TCPS_SYN_SENT);
    segt_free(t);
}

static void a_syn_sent_again_is_a_plain_one(void)
{
    struct segt *t = syn_with_data(500, 500);
    segt_advance(t, 1000000);
    CU_ASSERT(!t->tx[t->at_tx].seg.opt.has_fastopen);
    seg_expect(t, "S 0");
    seg_in(t, "SA 0 ack=1 mss=1000");
    EXPECT_EQ(t->last_in, TCP_IN_FASTOPEN | TCP_IN_SYN_LOST);
    seg_expect(t, "PA 1+500 ack=1");
    segt_free(t);
}

static void a_simultaneous_open_takes_the_data_along(void)
{
    struct segt *t = syn_with_data(500, 500);
    seg_in(t, "S 0 mss=1000");
    seg_expect(t, "SA 0 ack=1");
    seg_in(t, "A 1 ack=1");
    EXPECT_EQ(t->conn.state, TCPS_ESTABLISHED);
    seg_expect(t, "PA 1+500 ack=1");
    segt_free(t);
}

/* Both sent data in their SYNs: ours is not taken from the peer's SYN, but acknowledged. */
static void a_simultaneous_open_ends_with_the_data_acknowledged(void)
{
    struct segt *t = syn_with_data(500, 500);
    seg_in(t, "S 0+100 mss=1000 sackok");
    seg_expect(t, "SA 0 ack=1");
    seg_in(t, "SA 0 ack=502 mss=1000 sackok"); /* more than was sent */
    EXPECT_EQ(t->conn.state, TCPS_SYN_RCVD);
    t->at_tx = t->n_tx;
    seg_in(t, "SA 0 ack=501 mss=1000 sackok");
    EXPECT_EQ(t->conn.state, TCPS_ESTABLISHED);
    EXPECT_EQ(t->conn.snd_una, 500);
    CU_ASSERT(t->conn.marks & FASTOPEN_SYN_DATA);
    seg_expect(t, "A 501 ack=1 sack=0-1"); /* the SYN came twice (RFC 2883) */
    seg_silence(t);
    segt_free(t);
}

/* ---- what a client remembers of a server ---- */

static const uint8_t a_cookie[] = "COOKIE";

/* An active open to 10.0.0.2:80, with `len` bytes written if there is a cookie. Its SYN. */
static struct seg client_syn(struct tcp_conn **c, uint32_t len)
{
    int err;
    uint8_t bytes[2000] = {0};
    struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 80};
    *c = net_connect_prepare(&w.net, &local, &remote, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*c);
    (*c)->sock = 1;
    (*c)->ext = mem_alloc(w.mem, sizeof(*(*c)->ext));
    *(*c)->ext = tcp_opt_ext_default();
    if (fastopen_prepare(&w.net, *c)) {
        (*c)->marks |= FASTOPEN_DEFERRED;
        EXPECT_EQ(tcp_send(&w.net.env, *c, bytes, len), len);
        (*c)->marks &= (uint8_t)~FASTOPEN_DEFERRED;
    }
    net_connect_start(&w.net, *c);
    world_turn(&w);
    return *world_expect(&w, 80, TCP_SYN);
}

/* The server's SYN-ACK: it acknowledges so many bytes, and gives a cookie of that length (-1: no
 * option). */
static void answer(const struct tcp_conn *c, uint32_t acked, int cookie_len, uint16_t mss)
{
    struct seg s = {.tuple.local_port = 80,
                    .tuple.remote_port = c->tuple.local_port,
                    .flags = TCP_SYN | TCP_ACK,
                    .seq = seq_make(5000),
                    .ack = seq_add(c->iss, 1 + acked),
                    .wnd = 50000,
                    .opt = {.has_mss = true, .mss = mss}};
    s.tuple.local = world_ip("10.0.0.2");
    s.tuple.remote = world_ip("10.0.0.1");
    s.opt.has_fastopen = cookie_len >= 0;
    s.opt.fastopen_len = cookie_len > 0 ? (uint8_t)cookie_len : 0;
    s.opt.fastopen_is_exp = as_experiment;
    s.opt.fastopen_cookie = a_cookie;
    world_in(&w, &s);
    world_turn(&w);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
}

/* It is over, without a word that is looked at. */
static void client_end(struct tcp_conn *c)
{
    tcp_abort(&w.net.env, c, HOOK_END_ABORT, 0);
    net_conn_release(&w.net, c);
    world_turn(&w);
    while (world_out(&w))
        ;
}

static void client_up(uint32_t bits)
{
    struct world_opts o = {.conf = world_conf};
    o.conf.fastopen = bits;
    world_up(&w, &o);
    w.net.env.params.fastopen_pause_us = 100 * SEC;
}

/* A server that gives a cookie and says this MSS. */
static void learn(uint16_t mss)
{
    struct tcp_conn *c;
    struct seg syn = client_syn(&c, 0);
    CU_ASSERT(syn.opt.has_fastopen && syn.opt.fastopen_len == 0 && syn.len == 0);
    answer(c, 0, 6, mss);
    client_end(c);
}

static void cookie_and_mss_are_kept(void)
{
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT);
    learn(1000);
    struct seg syn = client_syn(&c, 2000);
    EXPECT_EQ(syn.opt.fastopen_len, 6);
    EXPECT_EQ(memcmp(syn.opt.fastopen_cookie, a_cookie, 6), 0);
    EXPECT_EQ(syn.len, 960);
    answer(c, 0, -1, 700); /* refused, and no other cookie: this one stays, the MSS is news */
    CU_ASSERT(!(c->marks & FASTOPEN_SYN_DATA));
    client_end(c);
    syn = client_syn(&c, 2000);
    EXPECT_EQ(syn.opt.fastopen_len, 6);
    EXPECT_EQ(syn.len, 660);
    answer(c, 100, 4, 9000);
    CU_ASSERT(!(c->marks & FASTOPEN_SYN_DATA)); /* a part of it */
    client_end(c);
    syn = client_syn(&c, 2000);
    EXPECT_EQ(syn.opt.fastopen_len, 4);
    EXPECT_EQ(syn.len, 1420); /* what the path takes */
    answer(c, 1420, -1, 1460);
    CU_ASSERT(c->marks & FASTOPEN_SYN_DATA);
    client_end(c);
    world_down(&w);
}

static void maxseg_bounds_the_syns_data(void)
{
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT);
    learn(1460);
    (void)client_syn(&c, 0);
    c->user_mss = 600;
    EXPECT_EQ(fastopen_syn_room(c), 560);
    client_end(c);
    world_down(&w);
}

static void a_cookie_that_was_not_asked_for_is_not_taken(void)
{
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT | NET_FASTOPEN_CLIENT_BLIND);
    struct seg syn = client_syn(&c, 2000);
    CU_ASSERT(!syn.opt.has_fastopen);
    EXPECT_EQ(syn.len, 536 - 40);
    answer(c, 496, 6, 1000);
    client_end(c);
    EXPECT_EQ(client_syn(&c, 2000).len, 960); /* its MSS is */
    client_end(c);
    w.net.conf.fastopen = NET_FASTOPEN_CLIENT;
    syn = client_syn(&c, 2000);
    CU_ASSERT(syn.opt.has_fastopen && syn.opt.fastopen_len == 0);
    client_end(c);
    world_down(&w);
}

/* In vain: with the option, with the experimental one, then with the option for ever. */
static void the_experimental_option_is_tried_once(void)
{
    static const bool is_exp[] = {false, true, false, false, false};
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT);
    for (unsigned i = 0; i < 5; i++) {
        struct seg syn = client_syn(&c, 0);
        CU_ASSERT(syn.opt.has_fastopen);
        EXPECT_EQ(syn.opt.fastopen_is_exp, is_exp[i]);
        answer(c, 0, -1, 1460);
        client_end(c);
    }
    world_down(&w);
    client_up(NET_FASTOPEN_CLIENT);
    (void)client_syn(&c, 0);
    answer(c, 0, -1, 1460);
    client_end(c);
    as_experiment = true;
    (void)client_syn(&c, 0);
    answer(c, 0, 6, 1460);
    client_end(c);
    as_experiment = false;
    struct seg syn = client_syn(&c, 10);
    CU_ASSERT(syn.opt.fastopen_is_exp && syn.opt.fastopen_len == 6);
    EXPECT_EQ(syn.len, 10);
    client_end(c);
    world_down(&w);
}

/* A cookie that comes late is as good: the timeout may have been too early. */
static void a_lost_syn_disables_its_server_only_without_a_cookie(void)
{
    for (unsigned late = 0; late < 2; late++) {
        struct tcp_conn *c;
        client_up(NET_FASTOPEN_CLIENT);
        learn(1000);
        (void)client_syn(&c, 100);
        world_advance(&w, 1100000);
        struct seg syn = *world_expect(&w, 80, TCP_SYN);
        CU_ASSERT(!syn.opt.has_fastopen && syn.len == 0);
        answer(c, 0, late ? 4 : -1, 1000);
        client_end(c);
        syn = client_syn(&c, 100);
        EXPECT_EQ(syn.opt.has_fastopen, late);
        client_end(c);
        world_advance(&w, 101 * SEC);
        EXPECT_EQ(client_syn(&c, 100).len, 100);
        client_end(c);
        world_down(&w);
    }
}

/* RFC 1191: the SYN goes again at once, without data. */
static void a_syn_that_is_too_big_goes_without_data(void)
{
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT);
    learn(1460);
    EXPECT_EQ(client_syn(&c, 2000).len, 1420);
    pmtu_learn(&w.net, c, 840);
    world_turn(&w);
    struct seg syn = *world_expect(&w, 80, TCP_SYN);
    CU_ASSERT(!syn.opt.has_fastopen && syn.len == 0);
    EXPECT_EQ(syn.opt.mss, 800);
    pmtu_learn(&w.net, c, 840);
    world_turn(&w);
    world_silence(&w);
    answer(c, 0, -1, 1460);
    EXPECT_EQ(c->mss, 800);
    EXPECT_EQ(world_expect(&w, 80, TCP_ACK)->len, 800);
    client_end(c);
    EXPECT_EQ(client_syn(&c, 2000).len, 760);
    client_end(c);
    world_down(&w);
}

/* ---- black holes, as Linux finds them: then there is a pause, everywhere ---- */

static bool is_paused(void)
{
    struct tcp_conn *c;
    bool has = client_syn(&c, 1).opt.has_fastopen;
    client_end(c);
    return !has;
}

static void the_third_timeout_begins_a_pause(void)
{
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT);
    learn(1000);
    for (unsigned i = 0; i < 3; i++) { /* the next one is twice as long */
        uint64_t pause_us = (100 * SEC) << i;
        (void)client_syn(&c, 1);
        world_advance(&w, 3200000);
        EXPECT_EQ(c->backoff, 2);
        while (world_out(&w))
            ;
        CU_ASSERT(!is_paused());
        world_advance(&w, 4 * SEC);
        EXPECT_EQ(c->backoff, 3);
        client_end(c);
        CU_ASSERT(is_paused());
        world_advance(&w, pause_us - 2 * SEC);
        CU_ASSERT(is_paused());
        world_advance(&w, 4 * SEC);
        CU_ASSERT(!is_paused());
    }
    (void)client_syn(&c, 1); /* one that works ends it */
    answer(c, 1, -1, 1000);
    struct seg s = {.tuple.local_port = 80,
                    .flags = TCP_ACK,
                    .seq = seq_make(5001),
                    .ack = seq_add(c->iss, 2),
                    .wnd = 50000,
                    .payload = (const uint8_t *)"x",
                    .len = 1};
    s.tuple =
        (struct flow_tuple){world_ip("10.0.0.2"), world_ip("10.0.0.1"), 80, c->tuple.local_port};
    world_in(&w, &s);
    world_turn(&w);
    client_end(c);
    EXPECT_EQ(w.net.env.fastopen.n_black_holes, 0);
    world_down(&w);
}

static void giving_up_early_begins_a_pause(void)
{
    struct tcp_conn *c;
    client_up(NET_FASTOPEN_CLIENT);
    (void)client_syn(&c, 0);
    c->ext->syn_retries = 1;
    world_advance(&w, 3200000);
    CU_ASSERT(c->flags & TCF_DEAD);
    client_end(c);
    CU_ASSERT(is_paused());
    world_down(&w);
    client_up(NET_FASTOPEN_CLIENT);
    w.net.env.params.fastopen_pause_us = 0;
    (void)client_syn(&c, 0);
    world_advance(&w, 10 * SEC);
    client_end(c);
    CU_ASSERT(!is_paused());
    world_down(&w);
}

/* A reset, or a FIN, that is ahead of bytes which never come. */
static void what_comes_from_nowhere_begins_a_pause(void)
{
    static const struct {
        uint8_t flags;
        uint32_t off;
        bool paused;
    } row[] = {{TCP_RST | TCP_ACK, 500, true},
               {TCP_RST | TCP_ACK, 0, false},
               {TCP_FIN | TCP_ACK, 500, true},
               {TCP_FIN | TCP_ACK, 0, false}};
    for (unsigned i = 0; i < 4; i++) {
        struct tcp_conn *c;
        client_up(NET_FASTOPEN_CLIENT);
        (void)client_syn(&c, 0);
        answer(c, 0, 6, 1000);
        struct seg s = {.flags = row[i].flags,
                        .seq = seq_make(5001 + row[i].off),
                        .ack = seq_add(c->iss, 1),
                        .wnd = 50000};
        s.tuple = (struct flow_tuple){world_ip("10.0.0.2"), world_ip("10.0.0.1"), 80,
                                      c->tuple.local_port};
        world_in(&w, &s);
        world_turn(&w);
        client_end(c);
        EXPECT_EQ(is_paused(), row[i].paused);
        world_down(&w);
    }
}

/* ---- from socket to socket ---- */

static struct duo d;

/* A client's socket that connects with TCP_FASTOPEN_CONNECT; what mtcp_connect said. */
static int fast_connect(int *sock)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    int on = 1;
    *sock = mtcp_socket(d.cli, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_setsockopt(d.cli, *sock, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)), 0);
    return mtcp_connect(d.cli, *sock, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
}

static struct tcp_info info_of(mctx_t m, int sock)
{
    struct tcp_info t;
    socklen_t len = sizeof(t);
    EXPECT_EQ(mtcp_getsockopt(m, sock, IPPROTO_TCP, TCP_INFO, &t, &len), 0);
    return t;
}

static bool used_syn_data(mctx_t m, int sock)
{
    return info_of(m, sock).tcpi_options & TCPI_OPT_SYN_DATA;
}

/* A connection on which the client says hello; was that in the SYN? Closed again. */
static bool hello_is_in_syn(int listener, bool is_deferred)
{
    char got[8] = "";
    int c, s = -1;
    EXPECT_EQ(fast_connect(&c), is_deferred ? 0 : EINPROGRESS);
    if (!is_deferred)
        duo_run(&d, 20000);
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    for (unsigned i = 0; i < 3000 && s < 0; i++) {
        duo_run(&d, 1000);
        s = mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK);
    }
    duo_run(&d, 1000000);
    EXPECT_EQ(mtcp_read(d.srv, s, got, 8), 5);
    EXPECT_EQ(memcmp(got, "hello", 5), 0);
    EXPECT_EQ(mtcp_write(d.srv, s, "world", 5), 5);
    duo_run(&d, 20000);
    EXPECT_EQ(mtcp_read(d.cli, c, got, 8), 5);
    bool in_syn = used_syn_data(d.cli, c);
    EXPECT_EQ(used_syn_data(d.srv, s), in_syn);
    EXPECT_EQ(info_of(d.cli, c).tcpi_delivered, in_syn ? 1 : 2); /* a SYN is one with its data */
    EXPECT_EQ(info_of(d.srv, s).tcpi_delivered, 2);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 20000);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_run(&d, 20000);
    return in_syn;
}

static int duo_fast(void)
{
    int qlen = 5;
    duo_open(&d, "tcp_fastopen = 3");
    int listener = duo_listen(&d, 80);
    EXPECT_EQ(mtcp_setsockopt(d.srv, listener, IPPROTO_TCP, TCP_FASTOPEN, &qlen, sizeof(qlen)), 0);
    return listener;
}

static bool gets_cookie(void)
{
    int c;
    EXPECT_EQ(fast_connect(&c), EINPROGRESS);
    duo_run(&d, 20000);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 20000);
    int answer = fast_connect(&c);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 20000);
    return answer == 0;
}

/* TCP_FASTOPEN_KEY, TCP_FASTOPEN_NO_COOKIE; and tcp_fastopen 1024: no TCP_FASTOPEN needed. */
static void options_of_a_listener(void)
{
    char keys[32] = "0123456789abcdefFEDCBA9876543210", got[64];
    int on = 1, off = 0;
    socklen_t len = sizeof(got);
    duo_open(&d, "tcp_fastopen = 1027 "
                 "tcp_fastopen_key = \"33323130-37363534-62613938-66656463\"");
    int sock = duo_listen(&d, 80);
    EXPECT_EQ(mtcp_getsockopt(d.srv, sock, IPPROTO_TCP, TCP_FASTOPEN_KEY, got, &len), 0);
    EXPECT_EQ(len, 16);
    EXPECT_EQ(memcmp(got, keys, 16), 0);
    for (socklen_t n = 0; n <= 33; n++) {
        bool good = n == 16 || n == 32;
        EXPECT_EQ(mtcp_setsockopt(d.srv, sock, IPPROTO_TCP, TCP_FASTOPEN_KEY, keys, n),
                  good ? 0 : -1);
        len = n;
        EXPECT_EQ(mtcp_getsockopt(d.srv, sock, IPPROTO_TCP, TCP_FASTOPEN_KEY, got, &len),
                  n < 16 ? -1 : 0);
        EXPECT_EQ(len, n < 16 ? n : n < 32 ? 16 : 32);
    }
    EXPECT_EQ(memcmp(got, keys, 32), 0);
    CU_ASSERT(gets_cookie());
    EXPECT_EQ(mtcp_setsockopt(d.srv, sock, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof(on)),
              0);
    len = sizeof(off);
    EXPECT_EQ(mtcp_getsockopt(d.srv, sock, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &off, &len), 0);
    EXPECT_EQ(off, 1);
    duo_close(&d);
}

static void the_second_connection_is_fast(void)
{
    int listener = duo_fast();
    CU_ASSERT(!hello_is_in_syn(listener, false));
    CU_ASSERT(hello_is_in_syn(listener, true));
    CU_ASSERT(hello_is_in_syn(listener, true));
    d.now_us += 3 * FASTOPEN_ROTATE_US; /* the server's cookie is another now */
    CU_ASSERT(!hello_is_in_syn(listener, true));
    CU_ASSERT(hello_is_in_syn(listener, true));
    duo_close(&d);
}

/* The SYN with data vanishes: the connection comes about without, and for an hour nothing is tried.
 */
static void a_black_hole_is_avoided(void)
{
    int c, listener = duo_fast();
    CU_ASSERT(!hello_is_in_syn(listener, false));
    EXPECT_EQ(fast_connect(&c), 0);
    d.cut_cli = true;
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_run(&d, 500000);
    d.cut_cli = false;
    duo_run(&d, 2000000);
    int s = mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK);
    char got[8];
    EXPECT_EQ(mtcp_read(d.srv, s, got, 8), 5);
    CU_ASSERT(!used_syn_data(d.cli, c));
    EXPECT_EQ(fast_connect(&c), EINPROGRESS);
    d.now_us += 2 * FASTOPEN_ROTATE_US;
    duo_run(&d, 20000);
    EXPECT_EQ(fast_connect(&c), 0);
    duo_close(&d);
}

static void a_deferred_socket_waits_for_bytes(void)
{
    char b;
    int c, listener = duo_fast();
    CU_ASSERT(!hello_is_in_syn(listener, false));
    EXPECT_EQ(fast_connect(&c), 0);
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLOUT | MOS_EPOLLIN, .data.sock = c};
    int ep = mtcp_epoll_create(d.cli, 8);
    EXPECT_EQ(mtcp_epoll_ctl(d.cli, ep, MOS_EPOLL_CTL_ADD, c, &ev), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.cli, ep, &ev, 1, 0), 1);
    EXPECT_EQ(ev.events, MOS_EPOLLOUT);
    EXPECT_EQ(mtcp_read(d.cli, c, &b, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    duo_run(&d, 20000);
    EXPECT_EQ(mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK), -1);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 20000);
    EXPECT_EQ(mtcp_get_connection_cnt(d.cli), 0);
    duo_close(&d);
}

/* ---- mtcp_sendto(MSG_FASTOPEN) ---- */

static int duo_sock(int flags)
{
    return mtcp_socket(d.cli, AF_INET, SOCK_STREAM | flags, 0);
}

static ssize_t send_fast(int sock, size_t len, int flags)
{
    static char bytes[9000];
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    return mtcp_sendto(d.cli, sock, bytes, len, MSG_FASTOPEN | flags, (struct sockaddr *)&a,
                       sizeof(a));
}

#define EXPECT_ERRNO(call, err)                                                                    \
    do {                                                                                           \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static void sendto_says_what_went_in_the_syn(void)
{
    static char got[9000];
    int listener = duo_fast(), c = duo_sock(SOCK_NONBLOCK);
    EXPECT_ERRNO(send_fast(c, 5000, 0), EINPROGRESS); /* no cookie */
    EXPECT_ERRNO(send_fast(c, 5000, 0), EALREADY);
    EXPECT_ERRNO(mtcp_write(d.cli, c, "x", 1), EAGAIN);
    duo_run(&d, 20000);
    EXPECT_EQ(send_fast(c, 5000, 0), 5000); /* connected meanwhile */
    EXPECT_ERRNO(send_fast(c, 5000, 0), EISCONN);
    int first = mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT(first >= 0 && !used_syn_data(d.srv, first));
    c = duo_sock(0);
    EXPECT_EQ(send_fast(c, 5000, MSG_DONTWAIT), 1420);
    EXPECT_ERRNO(send_fast(c, 1, MSG_DONTWAIT), EALREADY);
    duo_run(&d, 20000);
    int s = mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK);
    EXPECT_EQ(mtcp_read(d.srv, s, got, sizeof(got)), 1420);
    CU_ASSERT(used_syn_data(d.srv, s) && used_syn_data(d.cli, c));
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    EXPECT_EQ(mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a)), 0); /* the outcome */
    EXPECT_ERRNO(mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a)), EISCONN);
    duo_close(&d);
}

/* Blocking: all of it, whatever went in the SYN. */
static void sendto_blocks_until_all_is_queued(void)
{
    static char got[9000];
    int listener = duo_fast();
    for (unsigned i = 0; i < 2; i++) {
        int c = duo_sock(0);
        EXPECT_EQ(send_fast(c, 5000, 0), 5000);
        EXPECT_EQ(used_syn_data(d.cli, c), i > 0);
        /* The rest waited for the handshake, whose ACK waited for it: they talk in turns. */
        EXPECT_EQ(sock_find(ctx_of(d.cli), c)->conn->n_quick, 0);
        duo_run(&d, 20000);
        int s = mtcp_accept4(d.srv, listener, NULL, NULL, SOCK_NONBLOCK);
        EXPECT_EQ(mtcp_read(d.srv, s, got, sizeof(got)), 5000);
    }
    EXPECT_EQ(mtcp_close(d.srv, listener), 0);
    duo_run(&d, 1000);
    int c = duo_sock(0);
    EXPECT_ERRNO(send_fast(c, 5000, 0), ECONNREFUSED); /* also what went in the SYN */
    EXPECT_ERRNO(send_fast(c, 5000, 0), ECONNREFUSED); /* and it may try again */
    duo_close(&d);
}

static void sendto_connects_without_bytes(void)
{
    int c;
    (void)duo_fast();
    for (unsigned i = 0; i < 2; i++) { /* without a cookie and with it: nothing was sent */
        c = duo_sock(SOCK_NONBLOCK);
        EXPECT_ERRNO(send_fast(c, 0, 0), EINPROGRESS);
        duo_run(&d, 20000);
        EXPECT_EQ(send_fast(c, 0, 0), 0);
    }
    EXPECT_EQ(fast_connect(&c), 0); /* one that waits for the first write */
    EXPECT_ERRNO(mtcp_write(d.cli, c, "", 0), EINPROGRESS);
    duo_run(&d, 20000);
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    EXPECT_EQ(fast_connect(&c), 0);
    EXPECT_EQ(mtcp_send(d.cli, c, "xy", 2, MSG_FASTOPEN), 2);
    EXPECT_ERRNO(mtcp_send(d.cli, c, "xy", 2, MSG_FASTOPEN), EALREADY);
    duo_close(&d);
}

static void sendto_refuses(void)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", 80), none = {.sin_family = AF_UNSPEC};
    struct sockaddr *to = (struct sockaddr *)&a;
    int c, listener = duo_fast();
    c = duo_sock(SOCK_NONBLOCK);
    EXPECT_ERRNO(
        mtcp_sendto(d.cli, c, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&none, sizeof(none)),
        EOPNOTSUPP);
    EXPECT_ERRNO(mtcp_sendto(d.cli, c, "x", 1, MSG_FASTOPEN, NULL, 0), EINVAL);
    EXPECT_ERRNO(mtcp_sendto(d.cli, c, "x", 1, MSG_FASTOPEN, to, 3), EINVAL);
    EXPECT_ERRNO(mtcp_sendto(d.cli, c, NULL, 1, MSG_FASTOPEN, to, sizeof(a)), EFAULT);
    EXPECT_ERRNO(mtcp_sendto(d.cli, c, "x", 1, MSG_TRUNC, to, sizeof(a)), EOPNOTSUPP);
    EXPECT_ERRNO(mtcp_sendto(d.srv, listener, "x", 1, MSG_FASTOPEN, to, sizeof(a)), EISCONN);
    EXPECT_ERRNO(mtcp_sendto(d.cli, 99, "x", 1, MSG_FASTOPEN, to, sizeof(a)), EBADF);
    duo_close(&d);
    duo_open(&d, "tcp_fastopen = 0");
    c = duo_sock(SOCK_NONBLOCK);
    EXPECT_ERRNO(mtcp_sendto(d.cli, c, "x", 1, MSG_FASTOPEN, to, sizeof(a)), EOPNOTSUPP);
    duo_close(&d);
}

TEST_SUITE(
    fastopen, TEST_CASE(a_syn_carries_what_fits), TEST_CASE(refused_data_goes_again_at_once),
    TEST_CASE(a_simultaneous_open_ends_with_the_data_acknowledged),
    TEST_CASE(cookie_and_mss_are_kept), TEST_CASE(maxseg_bounds_the_syns_data),
    TEST_CASE(a_cookie_that_was_not_asked_for_is_not_taken),
    TEST_CASE(the_experimental_option_is_tried_once),
    TEST_CASE(a_lost_syn_disables_its_server_only_without_a_cookie),
    TEST_CASE(a_syn_that_is_too_big_goes_without_data), TEST_CASE(the_third_timeout_begins_a_pause),
    TEST_CASE(giving_up_early_begins_a_pause), TEST_CASE(what_comes_from_nowhere_begins_a_pause),
    TEST_CASE(sendto_says_what_went_in_the_syn), TEST_CASE(sendto_blocks_until_all_is_queued),
    TEST_CASE(sendto_connects_without_bytes), TEST_CASE(sendto_refuses),
    TEST_CASE(half_refused_data_goes_again_by_half),
    TEST_CASE(an_answer_to_more_than_was_sent_is_refused),
    TEST_CASE(a_syn_sent_again_is_a_plain_one), TEST_CASE(a_simultaneous_open_takes_the_data_along),
    TEST_CASE(the_second_connection_is_fast), TEST_CASE(a_black_hole_is_avoided),
    TEST_CASE(a_deferred_socket_waits_for_bytes), TEST_CASE(a_cookie_is_given_to_who_asks),
    TEST_CASE(a_cookie_is_linuxs_hash_of_both_addresses),
    TEST_CASE(keys_are_drawn_from_the_secret_by_the_hour),
    TEST_CASE(an_old_cookie_is_good_and_replaced), TEST_CASE(a_listener_has_keys_of_its_own),
    TEST_CASE(the_experimental_option_is_answered_in_kind),
    TEST_CASE(a_cookie_goes_with_the_first_answer_only), TEST_CASE(the_answers_mss_is_this_hosts),
    TEST_CASE(a_listener_can_do_without_cookies), TEST_CASE(options_of_a_listener),
    TEST_CASE(a_cookie_grows_old), TEST_CASE(a_wrong_cookie_gets_a_new_one),
    TEST_CASE(data_is_there_before_the_handshake_is_over), TEST_CASE(a_lost_answer_is_sent_again),
    TEST_CASE(an_answer_after_data_was_sent_times_nothing), TEST_CASE(without_an_answer_it_ends),
    TEST_CASE(closed_early_the_fin_waits), TEST_CASE(a_reset_ends_it),
    TEST_CASE(pending_ones_are_limited), TEST_CASE(data_without_a_cookie_only_when_told_so));
