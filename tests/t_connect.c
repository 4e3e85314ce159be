/* Active opens: addresses, ports, tuples; what an owner may do with them. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/net/time_wait.h"

#include <errno.h>
#include <string.h>

static struct net_end end_of(const char *addr, uint16_t port)
{
    return (struct net_end){world_ip(addr), port};
}

static struct tcp_conn *prepare(struct world *w, const char *local, uint16_t local_port,
                                const char *remote, int *err)
{
    struct net_end l = end_of(local, local_port), r = end_of(remote, 7);
    return net_connect_prepare(&w->net, &l, &r, err);
}

static int error_of(struct world *w, const char *local, const char *remote)
{
    int err = 0;
    CU_ASSERT_PTR_NULL(prepare(w, local, 0, remote, &err));
    return err;
}

/* RFC 9293 MUST-46 */
static void impossible_opens_have_their_errno(void)
{
    struct world w;
    int err;
    struct net_end any = end_of("0.0.0.0", 0), no_port = end_of("10.0.0.2", 0);
    world_up(&w, NULL);
    EXPECT_EQ(error_of(&w, "0.0.0.0", "0.0.0.0"), EINVAL);
    EXPECT_EQ(error_of(&w, "::", "192.0.2.1"), ENETUNREACH);
    EXPECT_EQ(error_of(&w, "::", "255.255.255.255"), ENETUNREACH);
    EXPECT_EQ(error_of(&w, "::", "224.0.0.1"), ENETUNREACH);
    EXPECT_EQ(error_of(&w, "10.0.0.9", "10.0.0.2"), EADDRNOTAVAIL);
    CU_ASSERT_PTR_NULL(net_connect_prepare(&w.net, &any, &no_port, &err));
    EXPECT_EQ(err, EINVAL);
    EXPECT_EQ(w.net.conns.n_used, 0);
    world_down(&w);
}

/* A route to everywhere makes hosts of nobody. (RFC 9293 MUST-46) */
static void opens_to_many_are_refused(void)
{
    static const char *const to[] = {"255.255.255.255", "224.0.0.1", "10.0.0.255", "240.0.0.1"};
    struct world w;
    world_up(&w, NULL);
    struct net_route r = {.dst = world_ip("0.0.0.0"), .gateway = world_ip("10.0.0.2")};
    EXPECT_EQ(net_route_add(&w.net, &r), 0);
    for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++)
        EXPECT_EQ(error_of(&w, "0.0.0.0", to[i]), ENETUNREACH);
    int err;
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "0.0.0.0", 0, "192.0.2.255", &err)); /* may be a host */
    world_down(&w);
}

/* RFC 9293 MUST-43, MUST-44 */
static void the_address_comes_from_the_route(void)
{
    struct world w;
    int err;
    struct ip_addr second = world_ip("10.7.0.1");
    world_up(&w, NULL);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "second", &second, 24), 1);
    struct tcp_conn *c = prepare(&w, "0.0.0.0", 0, "10.7.0.2", &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT(ip_addr_eq(&c->tuple.local, &second));
    EXPECT_EQ(c->flow.netif, 1);
    c = prepare(&w, "10.0.0.1", 0, "10.7.0.3", &err); /* unless it was chosen */
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    EXPECT_EQ(c->tuple.local.b[13], 0);
    world_down(&w);
}

static void ports_are_used_once_per_remote_end(void)
{
    struct world w;
    int err;
    bool seen[8] = {false};
    struct world_opts o = {.conf = world_conf};
    o.conf.port_min = 5000;
    o.conf.port_max = 5007;
    world_up(&w, &o);
    for (unsigned i = 0; i < 8; i++) {
        struct tcp_conn *c = prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        CU_ASSERT_FATAL(c->tuple.local_port >= 5000 && c->tuple.local_port <= 5007);
        CU_ASSERT(!seen[c->tuple.local_port - 5000]);
        seen[c->tuple.local_port - 5000] = true;
    }
    CU_ASSERT_PTR_NULL(prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err));
    EXPECT_EQ(err, EADDRNOTAVAIL);
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "0.0.0.0", 0, "10.0.0.3", &err)); /* another end */
    world_down(&w);
}

/* RFC 6056: ports to one end follow each other, those to others begin elsewhere. */
static void ports_begin_at_a_place_per_remote_end(void)
{
    struct world w;
    int err;
    unsigned n_same = 0;
    world_up(&w, NULL);
    uint16_t a = prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err)->tuple.local_port;
    uint16_t b = prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err)->tuple.local_port;
    CU_ASSERT(b == a + 1 || b == world_conf.port_min);
    for (unsigned i = 3; i < 20; i++) {
        struct net_end l = {0}, r = end_of("10.0.0.2", 7);
        r.addr.b[15] = (uint8_t)i;
        uint16_t p = net_connect_prepare(&w.net, &l, &r, &err)->tuple.local_port;
        n_same += (uint16_t)(p - b) < 40;
    }
    CU_ASSERT(n_same < 5);
    world_down(&w);
}

static void listening_ports_are_left_alone(void)
{
    struct world w;
    int err;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.port_min = 79;
    o.conf.port_max = 80;
    world_up(&w, &o);
    world_listen(&w, &l, 10);
    EXPECT_EQ(prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err)->tuple.local_port, 79);
    CU_ASSERT_PTR_NULL(prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err));
    world_down(&w);
}

static void a_chosen_port_is_taken_once(void)
{
    struct world w;
    int err;
    world_up(&w, NULL);
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "10.0.0.1", 5000, "10.0.0.2", &err));
    CU_ASSERT_PTR_NULL(prepare(&w, "0.0.0.0", 5000, "10.0.0.2", &err));
    EXPECT_EQ(err, EADDRINUSE);
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "0.0.0.0", 5000, "10.0.0.3", &err));
    world_down(&w);
}

static void connections_are_bounded(void)
{
    struct world w;
    int err;
    struct world_opts o = {.conf = world_conf};
    o.conf.max_conns = 1;
    world_up(&w, &o);
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err));
    CU_ASSERT_PTR_NULL(prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err));
    EXPECT_EQ(err, ENOMEM);
    world_down(&w);
}

/* ---- TIME_WAIT ------------------------------------------------------------------------------ */

static void answer(struct world *w, const struct tcp_conn *c, uint8_t flags, uint32_t off)
{
    struct seg s = {.tuple = {.local_port = 7, .remote_port = c->tuple.local_port},
                    .flags = flags,
                    .seq = seq_make(9000 + off),
                    .ack = seq_of_off(c->iss, c->snd_max),
                    .opt = {.has_ts = true, .ts_val = 100 + off, .ts_ecr = 0}};
    world_in(w, &s);
    world_turn(w);
    while (world_out(w))
        ;
}

/* A connection from port 5000, opened and closed by us, now a TIME_WAIT record. */
static void use_up_the_port(struct world *w)
{
    int err;
    struct tcp_conn *c = prepare(w, "0.0.0.0", 5000, "10.0.0.2", &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    net_connect_start(&w->net, c);
    world_turn(w);
    answer(w, c, TCP_SYN | TCP_ACK, 0);
    tcp_close(&w->net.env, c);
    net_conn_release(&w->net, c);
    world_turn(w);
    answer(w, c, TCP_FIN | TCP_ACK, 1);
    EXPECT_EQ(time_waits_count(&w->net), 1);
}

/* As Linux (tcp_tw_reuse): timestamps tell the new connection's segments from the old one's. */
static void a_time_wait_is_reused_when_that_is_safe(void)
{
    struct world w;
    int err;
    world_up(&w, NULL);
    use_up_the_port(&w);
    world_advance(&w, 900000);
    CU_ASSERT_PTR_NULL(prepare(&w, "0.0.0.0", 5000, "10.0.0.2", &err)); /* too young */
    EXPECT_EQ(err, EADDRINUSE);
    world_advance(&w, 200000);
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "0.0.0.0", 5000, "10.0.0.2", &err));
    EXPECT_EQ(time_waits_count(&w.net), 0);
    world_down(&w);
}

static void without_timestamps_it_waits(void)
{
    struct world w;
    int err;
    world_up(&w, NULL);
    w.net.env.params.timestamps = false;
    use_up_the_port(&w);
    world_advance(&w, 50000000);
    CU_ASSERT_PTR_NULL(prepare(&w, "0.0.0.0", 5000, "10.0.0.2", &err));
    world_advance(&w, 11000000);
    CU_ASSERT_PTR_NOT_NULL(prepare(&w, "0.0.0.0", 5000, "10.0.0.2", &err));
    world_down(&w);
}

/* ---- owners --------------------------------------------------------------------------------- */

static void a_prepared_open_can_be_given_up(void)
{
    struct world w;
    int err;
    world_up(&w, NULL);
    struct tcp_conn *c = prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err);
    c->sock = 1;
    tcp_close(&w.net.env, c);
    net_conn_release(&w.net, c);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.conns.n_used, 0);
    world_down(&w);
}

/* Not the port that has just become free. */
static void ports_go_round(void)
{
    struct world w;
    int err;
    world_up(&w, NULL);
    uint16_t last = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct tcp_conn *c = prepare(&w, "0.0.0.0", 0, "10.0.0.2", &err);
        CU_ASSERT(c->tuple.local_port != last);
        last = c->tuple.local_port;
        tcp_close(&w.net.env, c);
        world_turn(&w);
    }
    world_down(&w);
}

static void a_refused_open_says_so(void)
{
    struct world w;
    world_up(&w, NULL);
    struct tcp_conn *c = world_connect(&w);
    answer(&w, c, TCP_RST | TCP_ACK, 0);
    EXPECT_EQ(c->err, ECONNREFUSED);
    EXPECT_EQ(net_n_conns(&w.net), 0);
    net_conn_release(&w.net, c);
    world_down(&w);
}

TEST_SUITE(connect, TEST_CASE(impossible_opens_have_their_errno),
           TEST_CASE(the_address_comes_from_the_route),
           TEST_CASE(ports_are_used_once_per_remote_end),
           TEST_CASE(ports_begin_at_a_place_per_remote_end),
           TEST_CASE(listening_ports_are_left_alone), TEST_CASE(a_chosen_port_is_taken_once),
           TEST_CASE(connections_are_bounded), TEST_CASE(a_time_wait_is_reused_when_that_is_safe),
           TEST_CASE(without_timestamps_it_waits), TEST_CASE(a_prepared_open_can_be_given_up),
           TEST_CASE(ports_go_round), TEST_CASE(a_refused_open_says_so),
           TEST_CASE(opens_to_many_are_refused));
