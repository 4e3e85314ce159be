/* SYN cookies: what comes back of what a SYN said, what is refused, and a flood. */
#include "mtcp/tcp/syn_cookie.h"
#include "mtcp/tcp/ecn.h"
#include "mtcp/tcp/handshake.h"
#include "tests/net_world.h"
#include "tests/test.h"

#include <stdlib.h>

#define SEC 1000000ull

/* ---- making and checking ---- */

static struct tcp_env env;

static struct seg syn(uint16_t mss)
{
    struct seg s = {.flags = TCP_SYN, .wnd = 4000, .seq = {0xffffffffu}};
    s.tuple = (struct flow_tuple){ip_addr_v4(be32_make(0x0a000001)),
                                  ip_addr_v4(be32_make(0x0a000002)), 80, 40000};
    s.opt.has_mss = mss != 0;
    s.opt.mss = mss;
    return s;
}

/* The SYN-ACK that answers `s` with a cookie, and the ACK that answers that. */
static struct seg answered(const struct seg *s, struct tcp_tx *tx)
{
    struct tcp_half_open h = {.flow.kind = FLOW_HALF_OPEN};
    tcp_half_open_init(&env, &h, s, 1500, &env.params);
    syn_cookie_synack(&env, &h, tx);
    struct seg ack = {.tuple = s->tuple,
                      .flags = TCP_ACK,
                      .wnd = 777,
                      .seq = seq_add(s->seq, 1),
                      .ack = seq_add(tx->seg.seq, 1)};
    ack.opt.has_ts = tx->seg.opt.has_ts;
    ack.opt.ts_val = s->opt.ts_val + 3;
    ack.opt.ts_ecr = tx->seg.opt.ts_val;
    return ack;
}

static void env_up(void)
{
    tcp_env_init(&env, NULL, 42, 1000 * SEC);
    env.params.rcvbuf = env.params.rcvbuf_max = 1 << 20;
}

static void the_mss_comes_back_rounded_down(void)
{
    static const struct {
        uint16_t said, want;
    } row[] = {{0, 536},     {1, 48},      {200, 48},    {536, 536},   {1219, 536},
               {1220, 1220}, {1399, 1300}, {1448, 1440}, {1460, 1460}, {8960, 8940}};
    env_up();
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct tcp_tx tx;
        struct seg s = syn(row[i].said), again, ack = answered(&s, &tx);
        CU_ASSERT_FATAL(syn_cookie_check(&env, &ack, &again));
        EXPECT_EQ(again.opt.mss, row[i].want);
        EXPECT_EQ(again.seq.v, s.seq.v);
        EXPECT_EQ(again.flags, TCP_SYN);
        CU_ASSERT(!again.opt.has_wscale && !again.opt.sack_permitted && !again.opt.has_ts);
    }
}

static void timestamps_carry_the_rest(void)
{
    env_up();
    for (unsigned i = 0; i < 64; i++) {
        struct tcp_tx tx;
        struct seg s = syn(1460), again;
        s.opt.has_ts = true;
        s.opt.ts_val = 5;
        s.opt.has_wscale = i % 16 != 15;
        s.opt.wscale = i % 16 < 15 ? (uint8_t)(i % 16) : 0;
        s.opt.sack_permitted = i & 16;
        s.flags |= i & 32 ? TCP_ECE | TCP_CWR : 0;
        env.now_us += 7777;
        struct seg ack = answered(&s, &tx);
        EXPECT_EQ(tx.seg.flags, TCP_SYN | TCP_ACK | (i & 32 ? TCP_ECE : 0));
        EXPECT_EQ(tx.seg.opt.has_wscale, s.opt.has_wscale);
        EXPECT_EQ(tx.seg.opt.sack_permitted, s.opt.sack_permitted);
        uint32_t now = (uint32_t)(env.now_us / 1000) + tcp_ts_offset(&env, &s.tuple);
        CU_ASSERT(now - tx.seg.opt.ts_val < 128); /* not ahead, and not far behind */
        CU_ASSERT_FATAL(syn_cookie_check(&env, &ack, &again));
        EXPECT_EQ(again.flags, s.flags);
        EXPECT_EQ(again.opt.has_wscale, s.opt.has_wscale);
        if (s.opt.has_wscale)
            EXPECT_EQ(again.opt.wscale, s.opt.wscale);
        EXPECT_EQ(again.opt.sack_permitted, s.opt.sack_permitted);
        EXPECT_EQ(again.opt.ts_val, 8);
    }
}

static void without_them_nothing_is_promised(void)
{
    struct tcp_tx tx;
    struct seg s = syn(1460);
    env_up();
    s.opt.has_wscale = s.opt.sack_permitted = true;
    s.flags |= TCP_ECE | TCP_CWR;
    (void)answered(&s, &tx);
    CU_ASSERT(!tx.seg.opt.has_wscale && !tx.seg.opt.sack_permitted);
    EXPECT_EQ(tx.seg.flags, TCP_SYN | TCP_ACK);
    EXPECT_EQ(tx.seg.wnd, 65535);
}

static void what_was_not_made_here_is_refused(void)
{
    struct tcp_tx tx;
    env_up();
    struct seg s = syn(1460), again, ack = answered(&s, &tx), bad;
    for (unsigned bit = 0; bit < 32; bit++) {
        bad = ack;
        bad.ack.v ^= 1u << bit;
        CU_ASSERT(!syn_cookie_check(&env, &bad, &again));
        bad = ack;
        bad.seq.v ^= 1u << bit;
        CU_ASSERT(!syn_cookie_check(&env, &bad, &again));
    }
    bad = ack;
    bad.tuple.remote_port ^= 1;
    CU_ASSERT(!syn_cookie_check(&env, &bad, &again));
    CU_ASSERT(syn_cookie_check(&env, &ack, &again));
    env.secret.k0 ^= 1;
    CU_ASSERT(!syn_cookie_check(&env, &ack, &again));
}

static void it_is_good_for_a_minute_or_two(void)
{
    struct tcp_tx tx;
    env_up();
    struct seg s = syn(1460), again, ack = answered(&s, &tx);
    uint64_t born = env.now_us;
    env.now_us = born + 63 * SEC;
    CU_ASSERT(syn_cookie_check(&env, &ack, &again));
    for (uint64_t after = 128; after < 128 + 40 * 64; after += 32) {
        env.now_us = born + after * SEC;
        CU_ASSERT(!syn_cookie_check(&env, &ack, &again));
    }
}

/* ---- in the world ---- */

static struct world w;
static struct net_listener l;

static void up(uint8_t cookies, uint32_t backlog)
{
    struct world_opts o = {.conf = world_conf};
    o.conf.syn_cookies = cookies;
    world_up(&w, &o);
    world_listen(&w, &l, backlog);
}

static void a_full_backlog_is_answered_with_cookies(void)
{
    up(1, 2);
    world_syn(&w, 4000, 1000);
    world_syn(&w, 4001, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    (void)world_expect(&w, 4001, TCP_SYN | TCP_ACK);
    EXPECT_EQ(w.net.stats.cookies_sent, 0);
    world_syn(&w, 4002, 1000);
    world_turn(&w);
    uint32_t iss = world_expect(&w, 4002, TCP_SYN | TCP_ACK)->seq.v;
    EXPECT_EQ(w.net.stats.cookies_sent, 1);
    CU_ASSERT(world_flow(&w, 4002) == NULL);
    struct seg s = {.tuple.local_port = 4002,
                    .flags = TCP_ACK | TCP_PSH,
                    .seq = seq_make(1001),
                    .ack = seq_make(iss + 1),
                    .payload = (const uint8_t *)"hello",
                    .len = 5};
    world_in(&w, &s); /* the bare ACK was lost: data does as well */
    world_turn(&w);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    EXPECT_EQ(tcp_readable(c), 5);
    EXPECT_EQ(c->mss, 1460);
    world_advance(&w, 50000); /* it was not accepted yet: no answer at once */
    EXPECT_EQ(world_expect(&w, 4002, TCP_ACK)->ack.v, 1006);
    EXPECT_EQ(w.net.n_half_open, 2);
    world_down(&w);
}

static void an_ack_that_answers_no_cookie_is_reset(void)
{
    up(1, 2);
    world_seg(&w, 4000, TCP_ACK, 1001, 5001); /* none was sent */
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_RST);
    EXPECT_EQ(w.net.stats.cookies_bad, 0);
    l.cookies_until_us = UINT64_MAX;
    world_seg(&w, 4000, TCP_ACK, 1001, 5001);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_RST);
    EXPECT_EQ(w.net.stats.cookies_bad, 1);
    world_down(&w);
}

static void zero_says_never_and_two_always(void)
{
    up(0, 1);
    world_syn(&w, 4000, 1000);
    world_syn(&w, 4001, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    world_silence(&w);
    world_down(&w);
    up(2, 10);
    world_handshake(&w, 4000);
    EXPECT_EQ(w.net.stats.cookies_taken, 1);
    EXPECT_EQ(w.net.n_half_open, 0);
    CU_ASSERT(world_flow(&w, 4000) != NULL);
    world_down(&w);
}

static void a_full_accept_queue_takes_no_cookie(void)
{
    up(2, 1);
    world_syn(&w, 4000, 1000);
    world_syn(&w, 4001, 1000);
    world_turn(&w);
    uint32_t a = world_expect(&w, 4000, TCP_SYN | TCP_ACK)->seq.v;
    uint32_t b = world_expect(&w, 4001, TCP_SYN | TCP_ACK)->seq.v;
    world_seg(&w, 4000, TCP_ACK, 1001, a + 1);
    world_seg(&w, 4001, TCP_ACK, 1001, b + 1);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.accept_dropped, 1);
    CU_ASSERT(world_flow(&w, 4001) == NULL);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    world_seg(&w, 4001, TCP_ACK, 1001, b + 1); /* again, and now there is room */
    world_turn(&w);
    CU_ASSERT(world_flow(&w, 4001) != NULL);
    world_down(&w);
}

static void a_reset_ends_nothing(void)
{
    up(2, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    uint32_t iss = world_expect(&w, 4000, TCP_SYN | TCP_ACK)->seq.v;
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_seg(&w, 4000, TCP_RST | TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    world_silence(&w);
    CU_ASSERT(world_flow(&w, 4000) == NULL);
    world_down(&w);
}

/* ---- a flood ---- */

static void spoofed_syn(uint32_t i)
{
    struct seg s = {.tuple = {.local = ip_addr_v4(be32_make(0x0a000000u + 3 + i % 250)),
                              .remote = world_ip("10.0.0.1"),
                              .local_port = (uint16_t)(1024 + i / 250)},
                    .flags = TCP_SYN,
                    .seq = seq_make(i * 2654435761u),
                    .opt = {.has_mss = true, .mss = 1460}};
    world_in(&w, &s);
}

static void discard_out(void)
{
    while (w.dev.at_tx < w.dev.n_tx)
        free(w.dev.tx[w.dev.at_tx++]);
    w.dev.at_tx = w.dev.n_tx = 0;
}

/* One round of the flood: as many SYNs as a burst has, and one segment of an honest connection,
 * which arrives and is read. */
static void flood_round(uint32_t round, struct tcp_conn *honest)
{
    enum { SYNS = 30 };
    static const uint8_t bytes[1000];
    for (uint32_t i = 0; i < SYNS; i++)
        spoofed_syn(round * SYNS + i);
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_ACK,
                    .seq = seq_make(1001 + round * 1000),
                    .ack = seq_add(honest->iss, 1),
                    .payload = bytes,
                    .len = sizeof(bytes)};
    world_in(&w, &s);
    w.net.env.now_us += 100;
    world_turn(&w);
    EXPECT_EQ(tcp_readable(honest), sizeof(bytes));
    tcp_consumed(&w.net.env, honest, sizeof(bytes));
    discard_out();
}

/* A newcomer in the middle of it. */
static void honest_newcomer(uint16_t port)
{
    uint64_t taken = w.net.stats.cookies_taken;
    world_handshake(&w, port);
    discard_out();
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    EXPECT_EQ(c->tuple.remote_port, port);
    EXPECT_EQ(w.net.stats.cookies_taken, taken + 1);
    tcp_abort(&w.net.env, c, HOOK_END_ABORT, 0);
    net_conn_release(&w.net, c);
    world_turn(&w);
    discard_out();
}

/* A hundred thousand spoofed SYNs (a million: tier sim): no byte more than when the records were used
 * up, no byte of an honest connection lost, every newcomer served. */
static void a_flood_costs_no_memory_and_no_honest_connection(void)
{
    up(1, 64);
    for (uint8_t host = 3; host < 253; host++)
        world_arp(&w, host, false, "10.0.0.1"); /* the spoofed hosts' addresses are known */
    world_turn(&w);
    discard_out();
    world_handshake(&w, 4000);
    struct tcp_conn *honest = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(honest);
    honest->sock = 1;
    for (uint32_t round = 0; round < 100; round++)
        flood_round(round, honest);
    EXPECT_EQ(w.net.n_half_open, 64);
    size_t before = mem_in_use(w.mem);
    for (uint32_t round = 100; round < 3500; round++) {
        flood_round(round, honest);
        if (round % 100 == 0)
            honest_newcomer((uint16_t)(5000 + round / 100));
    }
    CU_ASSERT(mem_in_use(w.mem) <= before + 16384); /* a newcomer's connection, in its pool */
    CU_ASSERT(w.net.stats.cookies_sent > 100000);
    EXPECT_EQ(w.net.env.stats.bytes_in, 3500u * 1000);
    world_down(&w);
}

TEST_SUITE(syn_cookie, TEST_CASE(the_mss_comes_back_rounded_down),
           TEST_CASE(timestamps_carry_the_rest), TEST_CASE(without_them_nothing_is_promised),
           TEST_CASE(what_was_not_made_here_is_refused), TEST_CASE(it_is_good_for_a_minute_or_two),
           TEST_CASE(a_full_backlog_is_answered_with_cookies),
           TEST_CASE(an_ack_that_answers_no_cookie_is_reset),
           TEST_CASE(zero_says_never_and_two_always),
           TEST_CASE(a_full_accept_queue_takes_no_cookie), TEST_CASE(a_reset_ends_nothing),
           TEST_CASE(a_flood_costs_no_memory_and_no_honest_connection));
