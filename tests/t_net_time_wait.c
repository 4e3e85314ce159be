/* Compact TIME_WAIT records: when they come, what they answer, when they go; the queue against a
 * model. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/net/conn_end.h"
#include "mtcp/net/time_wait.h"

#include <string.h>

#define FINACK (TCP_FIN | TCP_ACK)

/* Both sides close, we first. Our next sequence number. */
static uint32_t into_time_wait(struct world *w, struct net_listener *l, uint16_t port)
{
    if (l->port == 0)
        world_listen(w, l, 10);
    world_handshake(w, port);
    struct tcp_conn *c = net_accept(&w->net, l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    uint32_t nxt = c->iss.v + 2;
    tcp_close(&w->net.env, c);
    net_conn_release(&w->net, c);
    world_turn(w);
    (void)world_expect(w, port, FINACK);
    world_seg(w, port, FINACK, 1001, nxt);
    world_turn(w);
    EXPECT_EQ(world_expect(w, port, TCP_ACK)->ack.v, 1002);
    return nxt;
}

static const struct world_opts of_both = {.conf = {.max_half_open = 100,
                                                   .max_time_wait = 100,
                                                   .rst_per_sec = 1000,
                                                   .port_min = 32768,
                                                   .port_max = 60999},
                                          .is_v6 = true};

/* With an address of IPv6 as well. Its talk with routers is over. */
static void up_both(struct world *w, const struct world_opts *o)
{
    world_up(w, o);
    world_advance(w, 10000000);
    while (world_out(w))
        ;
}

static void a_closed_connection_becomes_a_record(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct world w;
        struct net_listener l = {0};
        up_both(&w, &of_both);
        w.is_v6 = v6;
        (void)into_time_wait(&w, &l, 4000);
        CU_ASSERT_PTR_NOT_NULL_FATAL(world_flow(&w, 4000));
        EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_TIME_WAIT);
        EXPECT_EQ(w.net.conns.n_used, 0);
        EXPECT_EQ(net_n_conns(&w.net), 0);
        world_advance(&w, 59900000);
        CU_ASSERT_PTR_NOT_NULL(world_flow(&w, 4000));
        world_advance(&w, 200000);
        CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
        EXPECT_EQ(time_waits_count(&w.net), 0);
        EXPECT_EQ(net_next_us(&w.net), WHEEL_NEVER_US);
        world_down(&w);
    }
}

/* The records keep 32 bits of milliseconds, which wrap after 49 days; one turn ends 256 of them. */
static void records_end_after_any_gap(void)
{
    static const unsigned days[] = {1, 2, 24, 25, 30, 49, 50, 400};
    for (unsigned i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        struct world w;
        struct net_listener l = {0};
        struct world_opts o = {.conf = world_conf};
        o.conf.max_time_wait = 300;
        world_up(&w, &o);
        for (uint16_t port = 4000; port < 4300; port++)
            (void)into_time_wait(&w, &l, port);
        EXPECT_EQ(time_waits_count(&w.net), 300);
        net_clock(&w.net, w.net.env.now_us + days[i] * 86400000000ull);
        world_turn(&w);
        world_turn(&w);
        EXPECT_EQ(time_waits_count(&w.net), 0);
        EXPECT_EQ(net_next_us(&w.net), WHEEL_NEVER_US);
        world_down(&w);
    }
}

/* While the socket is open it stays a connection; then it shrinks, whatever lists it was on. */
static void an_owner_keeps_the_connection(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    EXPECT_EQ(tcp_shutdown(&w.net.env, c, 1), 0);
    world_turn(&w);
    (void)world_expect(&w, 4000, FINACK);
    world_seg(&w, 4000, FINACK, 1001, c->iss.v + 2);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK);
    EXPECT_EQ(c->state, TCPS_TIME_WAIT);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    CU_ASSERT(c->flags & TCF_ON_READY);
    tcp_close(&w.net.env, c);
    net_conn_release(&w.net, c);
    world_turn(&w);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_TIME_WAIT);
    EXPECT_EQ(w.net.conns.n_used, 0);
    CU_ASSERT_PTR_NULL(w.net.env.ready_head);
    world_down(&w);
}

static void and_gives_way_to_a_newer_syn(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    EXPECT_EQ(tcp_shutdown(&w.net.env, c, 1), 0);
    world_turn(&w);
    (void)world_expect(&w, 4000, FINACK);
    world_seg(&w, 4000, FINACK, 1001, c->iss.v + 2);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK);
    EXPECT_EQ(c->state, TCPS_TIME_WAIT);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    uint32_t nxt = seq_of_off(c->iss, c->snd_max).v;
    world_syn(&w, 4000, 500000);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    EXPECT_EQ(s->ack.v, 500001);
    CU_ASSERT(seq_lt(seq_make(nxt - 1), s->seq));
    CU_ASSERT(c->flags & TCF_DEAD);
    net_conn_release(&w.net, c);
    world_down(&w);
}

static void a_fin_is_acknowledged_and_the_wait_begins_anew(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    uint32_t nxt = into_time_wait(&w, &l, 4000);
    (void)into_time_wait(&w, &l, 4001);
    world_advance(&w, 30000000);
    world_seg(&w, 4000, FINACK, 1001, nxt);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_ACK);
    EXPECT_EQ(s->seq.v, nxt);
    EXPECT_EQ(s->ack.v, 1002);
    EXPECT_EQ(s->wnd, UINT16_MAX); /* the peer does not scale */
    world_advance(&w, 31000000);
    CU_ASSERT_PTR_NOT_NULL(world_flow(&w, 4000));
    CU_ASSERT_PTR_NULL(world_flow(&w, 4001));
    world_advance(&w, 29500000);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    world_down(&w);
}

/* RFC 1337. */
static void a_reset_does_not_end_it(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    (void)into_time_wait(&w, &l, 4000);
    world_seg(&w, 4000, TCP_RST, 1002, 0);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_TIME_WAIT);
    world_down(&w);
}

static void a_newer_syn_begins_a_connection(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    uint32_t nxt = into_time_wait(&w, &l, 4000);
    world_syn(&w, 4000, 900); /* an old duplicate: acknowledged, no more */
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK);
    world_syn(&w, 4000, 500000);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    EXPECT_EQ(s->ack.v, 500001);
    CU_ASSERT(seq_lt(seq_make(nxt - 1), s->seq)); /* beyond what the old one used */
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    EXPECT_EQ(time_waits_count(&w.net), 0);
    world_down(&w);
}

/* A client that began anew (its program was run again) comes upon the tuple with numbers that look
 * old: what it says to our answer lets its next try in, not before. */
static void who_begins_anew_gets_in_with_the_second_syn(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    (void)into_time_wait(&w, &l, 4000);
    world_seg(&w, 4000, TCP_RST, 1002, 0); /* to nothing of ours */
    world_syn(&w, 4000, 900);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK);
    world_seg(&w, 4000, TCP_RST, 1003, 0); /* not an answer to that */
    world_syn(&w, 4000, 900);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK)->ack.v, 1002);
    world_seg(&w, 4000, TCP_RST, 1002, 0);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_TIME_WAIT);
    world_syn(&w, 4000, 900);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_SYN | TCP_ACK)->ack.v, 901);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    world_down(&w);
}

static void answers_are_rate_limited(void)
{
    struct world w;
    struct net_listener l = {0};
    struct world_opts o = {.conf = world_conf};
    o.conf.rst_per_sec = 10;
    world_up(&w, &o);
    uint32_t nxt = into_time_wait(&w, &l, 4000);
    for (unsigned i = 0; i < 20; i++)
        world_seg(&w, 4000, TCP_ACK, 5000, nxt);
    world_turn(&w);
    EXPECT_EQ(w.dev.n_tx, 2);
    world_down(&w);
}

/* The bound is that of both families together. */
static void beyond_the_bound_the_oldest_ends(void)
{
    struct world w;
    struct net_listener l = {0};
    struct world_opts o = of_both;
    o.conf.max_time_wait = 3;
    up_both(&w, &o);
    for (uint16_t i = 0; i < 6; i++) {
        w.is_v6 = i % 3 == 0;
        (void)into_time_wait(&w, &l, (uint16_t)(4000 + i));
        w.net.env.now_us += 1000;
    }
    EXPECT_EQ(time_waits_count(&w.net), 3);
    for (uint16_t i = 0; i < 6; i++) {
        w.is_v6 = i % 3 == 0;
        EXPECT_EQ(world_flow(&w, (uint16_t)(4000 + i)) != NULL, i >= 3);
    }
    world_down(&w);
}

static void without_memory_it_stays_a_connection(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    uint32_t nxt = c->iss.v + 2;
    tcp_close(&w.net.env, c);
    net_conn_release(&w.net, c);
    world_turn(&w);
    (void)world_expect(&w, 4000, FINACK);
    mem_set_limit(w.mem, 1);
    world_seg(&w, 4000, FINACK, 1001, nxt);
    world_turn(&w);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    EXPECT_EQ(c->state, TCPS_TIME_WAIT);
    mem_set_limit(w.mem, 0);
    world_advance(&w, 61000000);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    EXPECT_EQ(w.net.conns.n_used, 0);
    world_down(&w);
}

/* ---- the queue ------------------------------------------------------------------------------ */

enum { N_PORTS = 60, FIRST_PORT = 4000, STEPS = 6000 };

/* When each port's wait began; 0: there is none. */
static uint64_t begun_us[N_PORTS];

/* A record of a connection that closed just now, without its life. */
static void record_make(struct world *w, unsigned i)
{
    struct tcp_conn *c = pool_get(&w->net.conns);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    struct tcp_open o = {.tuple = {.local = world_ip(w->is_v6 ? "fd00::1" : "10.0.0.1"),
                                   .remote = world_ip(w->is_v6 ? "fd00::2" : "10.0.0.2"),
                                   .local_port = 80,
                                   .remote_port = (uint16_t)(FIRST_PORT + i)},
                         .mtu = 1500};
    c->flow = (struct flow){.kind = FLOW_CONN};
    tcp_conn_init(&w->net.env, c, &o);
    c->state = TCPS_TIME_WAIT;
    c->aux_at = w->net.env.now_us + w->net.env.params.tw_us;
    flow_table_insert(w->net.flows, &c->flow, flow_table_hash(w->net.flows, &o.tuple));
    CU_ASSERT_FATAL(time_wait_take(&w->net, c));
    begun_us[i] = w->net.env.now_us;
}

/* The odd ones are of IPv6. */
static struct flow *record_of(struct world *w, unsigned i)
{
    w->is_v6 = i % 2;
    return world_flow(w, (uint16_t)(FIRST_PORT + i));
}

static void record_act(struct world *w, struct rng *rng, unsigned i)
{
    struct flow *f = record_of(w, i);
    struct tcp_time_wait *t = (struct tcp_time_wait *)(void *)f;
    if (!f) {
        record_make(w, i);
    } else if (rng_below(rng, 2)) {
        time_wait_end(&w->net, t);
        begun_us[i] = 0;
    } else {
        world_seg(w, (uint16_t)(FIRST_PORT + i), FINACK, t->rcv_nxt.v - 1, t->snd_nxt.v);
        world_turn(w);
        begun_us[i] = w->net.env.now_us;
    }
}

/* Does every port say what the model says, give or take 100 ms? */
static void check_all(struct world *w)
{
    uint64_t tw_us = w->net.env.params.tw_us, now_us = w->net.env.now_us;
    for (unsigned i = 0; i < N_PORTS; i++) {
        bool is_there = record_of(w, i) != NULL;
        uint64_t age_us = now_us - begun_us[i];
        if (begun_us[i] == 0 || age_us > tw_us + 100000)
            EXPECT_EQ(is_there, false);
        else if (age_us < tw_us - 100000)
            EXPECT_EQ(is_there, true);
        if (!is_there)
            begun_us[i] = 0;
    }
}

static void the_queue_against_a_model(void)
{
    struct world w;
    struct rng rng;
    struct world_opts o = of_both;
    o.conf.rst_per_sec = 0;
    rng_init(&rng, test_seed());
    memset(begun_us, 0, sizeof(begun_us));
    up_both(&w, &o);
    for (unsigned i = 0; i < STEPS; i++) {
        record_act(&w, &rng, rng_below(&rng, N_PORTS));
        w.net.env.now_us += rng_below(&rng, 4000000);
        world_turn(&w);
        while (world_out(&w))
            ;
        check_all(&w);
    }
    world_down(&w);
}

TEST_SUITE(net_time_wait, TEST_CASE(a_closed_connection_becomes_a_record),
           TEST_CASE(records_end_after_any_gap), TEST_CASE(an_owner_keeps_the_connection),
           TEST_CASE(and_gives_way_to_a_newer_syn),
           TEST_CASE(a_fin_is_acknowledged_and_the_wait_begins_anew),
           TEST_CASE(a_reset_does_not_end_it), TEST_CASE(a_newer_syn_begins_a_connection),
           TEST_CASE(who_begins_anew_gets_in_with_the_second_syn),
           TEST_CASE(answers_are_rate_limited), TEST_CASE(beyond_the_bound_the_oldest_ends),
           TEST_CASE(without_memory_it_stays_a_connection), TEST_CASE(the_queue_against_a_model));
