/* Neighbour discovery: our addresses, solicitations both ways, the states of a neighbour, what
 * routers say and what they can't. */
#include "tests/net_world.h"
#include "tests/test.h"
#include "tests/wire_model.h"

#include "mtcp/net/ndp.h"
#include "mtcp/net/neigh.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/route.h"

#include <errno.h>
#include <string.h>

#define SEC 1000000u

/* With DAD: as a host starts. */
static const struct world_opts start = {
    .conf = {.max_half_open = 100, .port_min = 32768, .port_max = 60999, .dad_probes = 1},
    .no_arp = true,
    .is_v6 = true};

/* Without: our addresses are ours at once, and router solicitations are over before a test begins.
 */
static void up(struct world *w)
{
    struct world_opts o = start;
    o.conf.dad_probes = 0;
    world_up(w, &o);
    world_advance(w, 10 * SEC);
    while (world_out(w))
        ;
}

static bool ip_is(const struct ip_addr *a, const char *text)
{
    struct ip_addr b = world_ip(text);
    return ip_addr_eq(a, &b);
}

static struct net_addr *ours(struct world *w, const char *text)
{
    struct ip_addr a = world_ip(text);
    a = netif_zoned(&w->net.ifs[0], &a);
    return netif_addr_find(&w->net.ifs[0], &a);
}

static struct neigh *entry(struct world *w, const char *text)
{
    struct ip_addr a = world_ip(text);
    a = netif_zoned(&w->net.ifs[0], &a);
    return neigh_find(&w->net, 0, &a);
}

/* ---- frames in ------------------------------------------------------------------------------- */

struct msg {
    const char *src, *dst;
    uint8_t type, flags;
    const char *target;
    uint8_t lladdr; /* the last byte of the address in the option; 0: no option */
};

static void in(struct world *w, const struct msg *m)
{
    uint8_t frame[200], b[32] = {m->type, [4] = m->flags};
    uint32_t len = 24;
    struct model_ip6 ip = {.src = world_ip(m->src), .dst = world_ip(m->dst), .hop_limit = 255};
    struct build_l2 l2 = {.src = world_mac(m->lladdr ? m->lladdr : 2), .dst = world_mac(1)};
    struct ip_addr target = world_ip(m->target);
    struct mac_addr mac = world_mac(m->lladdr);
    memcpy(b + 8, target.b, 16);
    if (m->lladdr) {
        b[24] = m->type == NDP_ADVERT ? 2 : 1;
        b[25] = 1;
        memcpy(b + 26, mac.b, 6);
        len = 32;
    }
    if (ip.dst.b[0] == 0xff)
        l2.dst = mac_of_multicast6(&ip.dst);
    world_in_frame(w, frame, model_icmp6_frame(frame, &l2, &ip, b, len), 0);
    world_turn(w);
}

#define IN(w, ...) in(w, &(struct msg){__VA_ARGS__})

enum { R = 0x80, S = 0x40, O = 0x20 };

/* What a router says: fe80::<who>, with these options. */
struct advert {
    uint8_t who;
    uint16_t lifetime_s;
    uint32_t reachable_ms;
    uint32_t mtu;       /* 0: no option */
    const char *prefix; /* NULL: none */
    uint8_t prefix_len;
    uint8_t prefix_flags; /* 0x80 on link, 0x40 for addresses */
    uint32_t valid_s, preferred_s;
};

static uint8_t *put32(uint8_t *at, uint32_t v)
{
    be32_t be = be32_make(v);
    memcpy(at, &be, 4);
    return at + 4;
}

static void router(struct world *w, const struct advert *a)
{
    uint8_t frame[300],
        b[200] = {NDP_ROUTER_ADVERT,     0, 0, 0, 64, 0, (uint8_t)(a->lifetime_s >> 8),
                  (uint8_t)a->lifetime_s};
    uint8_t *at = put32(b + 8, a->reachable_ms) + 4;
    struct model_ip6 ip = {.dst = world_ip("ff02::1"), .hop_limit = 255};
    struct build_l2 l2 = {.src = world_mac(a->who), .dst = mac_of_multicast6(&ip.dst)};
    ip.src = (struct ip_addr){.b = {0xfe, 0x80, [15] = a->who}};
    *at++ = 1, *at++ = 1;
    memcpy(at, l2.src.b, 6);
    at += 6;
    if (a->mtu) {
        at = put32(at, 0x05010000);
        at = put32(at, a->mtu);
    }
    if (a->prefix) {
        struct ip_addr prefix = world_ip(a->prefix);
        at = put32(at, 0x03040000u | (uint32_t)a->prefix_len << 8 | a->prefix_flags);
        at = put32(put32(put32(at, a->valid_s), a->preferred_s), 0);
        memcpy(at, prefix.b, 16);
        at += 16;
    }
    world_in_frame(w, frame, model_icmp6_frame(frame, &l2, &ip, b, (uint32_t)(at - b)), 0);
    world_turn(w);
}

#define ROUTER(w, ...) router(w, &(struct advert){__VA_ARGS__})

/* ---- frames out ------------------------------------------------------------------------------ */

/* The next frame is a solicitation for `target`: to its group, or to the neighbour alone. */
static void expect_solicit(struct world *w, const char *target, bool to_group)
{
    const struct packet *p = world_out(w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_FATAL(p->kind == PACKET_NDP);
    EXPECT_EQ(p->ndp.type, NDP_SOLICIT);
    CU_ASSERT(ip_is(&p->ndp.target, target));
    struct ip_addr group = ip_addr_solicited_node(&p->ndp.target);
    struct mac_addr mac = mac_of_multicast6(&group);
    CU_ASSERT(ip_addr_eq(&p->dst, to_group ? &group : &p->ndp.target));
    EXPECT_EQ(memcmp(&p->eth_dst, &mac, 6) == 0, to_group);
}

static const struct packet *expect_advert(struct world *w, const char *target, const char *to)
{
    const struct packet *p = world_out(w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_FATAL(p->kind == PACKET_NDP);
    EXPECT_EQ(p->ndp.type, NDP_ADVERT);
    CU_ASSERT(ip_is(&p->ndp.target, target) && ip_is(&p->src, target) && ip_is(&p->dst, to));
    CU_ASSERT(p->ndp.is_override && !p->ndp.is_router && p->ndp.has_lladdr);
    EXPECT_EQ(p->ndp.lladdr.b[5], 1);
    return p;
}

/* A segment of nobody's from there; the RST to it is what we send. */
static void send_to(struct world *w, const char *ip)
{
    struct seg s = {.tuple = {.local = world_ip(ip),
                              .remote = world_ip("fd00::1"),
                              .local_port = 4000,
                              .remote_port = 9},
                    .flags = TCP_ACK};
    world_in(w, &s);
    world_turn(w);
}

static struct tcp_conn *connect_to(struct world *w, const char *ip, int *err)
{
    struct net_end local = {0}, remote = {world_ip(ip), 7};
    struct tcp_conn *c = net_connect_prepare(&w->net, &local, &remote, err);
    if (!c)
        return NULL;
    c->sock = 3;
    net_connect_start(&w->net, c);
    world_turn(w);
    return c;
}

static void let_go(struct world *w, struct tcp_conn *c)
{
    if (!(c->flags & TCF_DEAD))
        tcp_abort(&w->net.env, c, HOOK_END_ABORT, ECONNABORTED);
    net_conn_release(&w->net, c);
    world_turn(w);
}

/* ---- our addresses --------------------------------------------------------------------------- */

static void an_address_is_probed_before_it_is_ours(void)
{
    struct world w;
    world_up(&w, &start);
    unsigned n_probes = 0, n_asks = 0;
    for (unsigned ms = 0; ms < 2200; ms += 10) {
        world_advance(&w, 10000);
        for (const struct packet *p; (p = world_out(&w)) != NULL;) {
            CU_ASSERT_FATAL(p->kind == PACKET_NDP);
            CU_ASSERT(ip_addr_is_any(&p->src) == (p->ndp.type == NDP_SOLICIT));
            n_probes += p->ndp.type == NDP_SOLICIT;
            n_asks += p->ndp.type == NDP_ROUTER_SOLICIT;
        }
        if (n_probes == 0) { /* up to a second of silence */
            EXPECT_EQ(ours(&w, "fd00::1")->state, NET_ADDR_TENTATIVE);
            CU_ASSERT(ms < 1000);
        }
    }
    EXPECT_EQ(n_probes, 2); /* fd00::1 and the link-local one */
    EXPECT_EQ(n_asks, 1);
    EXPECT_EQ(ours(&w, "fd00::1")->state, NET_ADDR_VALID);
    EXPECT_EQ(ours(&w, "fe80::ff:fe00:1")->state, NET_ADDR_VALID);
    world_down(&w);
}

/* Until then it is nobody's: not answered for, not spoken from. */
static void a_tentative_address_is_silent(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, &start);
    world_listen(&w, &l, 10);
    IN(&w, "fd00::2", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 2);
    world_syn(&w, 4000, 1);
    world_turn(&w);
    world_silence(&w);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    net_unlisten(&w.net, &l);
    world_down(&w);
}

static void a_connection_waits_until_the_address_is_ours(void)
{
    struct world w;
    int err;
    world_up(&w, &start);
    struct tcp_conn *c = connect_to(&w, "fd00::2", &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT(ip_is(&c->tuple.local, "fd00::1"));
    bool is_asked = false;
    for (unsigned ms = 0; ms < 2500 && !is_asked; ms += 10) {
        world_advance(&w, 10000);
        for (const struct packet *p; (p = world_out(&w)) != NULL;) {
            CU_ASSERT(p->kind == PACKET_NDP);
            is_asked |= ip_is(&p->ndp.target, "fd00::2");
        }
        CU_ASSERT(!is_asked || ours(&w, "fd00::1")->state == NET_ADDR_VALID);
    }
    CU_ASSERT(is_asked);
    IN(&w, "fd00::2", "fd00::1", NDP_ADVERT, S | O, "fd00::2", 2);
    (void)world_expect(&w, 7, TCP_SYN);
    let_go(&w, c);
    world_down(&w);
}

/* The other end would answer somebody else (RFC 4862 5.4.5). */
static void a_connection_does_not_outlive_its_address(void)
{
    struct world w;
    int err;
    world_up(&w, &start);
    struct tcp_conn *c = connect_to(&w, "fd00::2", &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    world_advance(&w, SEC / 2);
    IN(&w, "fd00::1", "ff02::1", NDP_ADVERT, O, "fd00::1", 9);
    CU_ASSERT(c->flags & TCF_DEAD);
    EXPECT_EQ(c->err, EADDRNOTAVAIL);
    world_advance(&w, 3 * SEC);
    for (const struct packet *p; (p = world_out(&w)) != NULL;)
        CU_ASSERT(p->kind == PACKET_NDP);
    let_go(&w, c);
    world_down(&w);
}

static void expect_duplicate(void (*tell)(struct world *w), bool is_duplicate)
{
    struct world w;
    world_up(&w, &start);
    tell(&w);
    world_advance(&w, 3 * SEC);
    EXPECT_EQ(ours(&w, "fd00::1")->state, is_duplicate ? NET_ADDR_DUPLICATE : NET_ADDR_VALID);
    struct ip_addr a = world_ip("fd00::1");
    EXPECT_EQ(netif_owns(&w.net, &a), !is_duplicate);
    EXPECT_EQ(net_addr_is_local(&w.net, &a), !is_duplicate);
    while (world_out(&w))
        ;
    IN(&w, "fd00::2", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 2);
    CU_ASSERT((world_out(&w) != NULL) == !is_duplicate);
    world_down(&w);
}

static void another_probes(struct world *w)
{
    IN(w, "::", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 0);
}

static void another_has_it(struct world *w)
{
    IN(w, "fd00::1", "ff02::1", NDP_ADVERT, O, "fd00::1", 9);
}

static void another_only_asks(struct world *w)
{
    IN(w, "fd00::2", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 2);
}

/* Our own probe, which the device gave back (RFC 4862 appendix A). */
static void the_link_echoes(struct world *w)
{
    uint8_t frame[100], b[24] = {NDP_SOLICIT};
    struct ip_addr target = world_ip("fd00::1");
    struct model_ip6 ip = {.dst = ip_addr_solicited_node(&target), .hop_limit = 255};
    struct build_l2 l2 = {.src = world_mac(1), .dst = mac_of_multicast6(&ip.dst)};
    memcpy(b + 8, target.b, 16);
    world_in_frame(w, frame, model_icmp6_frame(frame, &l2, &ip, b, 24), 0);
    world_turn(w);
}

static void an_address_of_another_is_not_taken(void)
{
    expect_duplicate(another_probes, true);
    expect_duplicate(another_has_it, true);
    expect_duplicate(another_only_asks, false);
    expect_duplicate(the_link_echoes, false);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void who_asks_for_us_is_answered(void)
{
    struct world w;
    up(&w);
    IN(&w, "fd00::5", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 5);
    const struct packet *p = expect_advert(&w, "fd00::1", "fd00::5");
    CU_ASSERT(p->ndp.is_solicited);
    EXPECT_EQ(p->eth_dst.b[5], 5);
    EXPECT_EQ(entry(&w, "fd00::5")->state, NEIGH_STALE); /* it will be asked when it is used */
    IN(&w, "fe80::5", "fe80::ff:fe00:1", NDP_SOLICIT, 0, "fe80::ff:fe00:1", 5);
    CU_ASSERT(expect_advert(&w, "fe80::ff:fe00:1", "fe80::5")->ndp.is_solicited);
    IN(&w, "::", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 0); /* a probe for what is ours */
    CU_ASSERT_FALSE(expect_advert(&w, "fd00::1", "ff02::1")->ndp.is_solicited);
    EXPECT_EQ(w.got.eth_dst.b[0], 0x33);
    IN(&w, "fd00::5", "ff02::1:ff00:7", NDP_SOLICIT, 0, "fd00::7", 5);
    IN(&w, "fd00::5", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00:1::1", 5);
    world_silence(&w);
    world_down(&w);
}

static void strangers_teach_nothing(void)
{
    struct world w;
    up(&w);
    IN(&w, "2001:db8::5", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 5); /* not on this link */
    (void)world_out(&w);
    CU_ASSERT_PTR_NULL(entry(&w, "2001:db8::5"));
    IN(&w, "fd00::6", "fd00::1", NDP_ADVERT, S | O, "fd00::6", 6); /* nobody asked */
    CU_ASSERT_PTR_NULL(entry(&w, "fd00::6"));
    world_silence(&w);
    world_down(&w);
}

/* RFC 6980: a question in fragments is not answered, though it can be put together. */
static void fragments_are_not_listened_to(void)
{
    struct world w;
    struct world_opts o = start;
    o.conf.dad_probes = 0;
    o.conf.max_fragment_bytes = 100000;
    world_up(&w, &o);
    uint8_t frame[200], whole[200], msg[24] = {NDP_SOLICIT};
    struct model_ip6 ip = {world_ip("fd00::5"), world_ip("fd00::1"), 44, 255};
    struct build_l2 l2 = {.src = world_mac(5), .dst = world_mac(1)};
    memcpy(msg + 8, ip.dst.b, 16);
    (void)model_icmp6_frame(whole, &l2, &ip, msg, sizeof(msg));
    for (unsigned off = 0; off < 24; off += 16) {
        uint8_t part[8 + 16] = {IP_PROTO_ICMPV6, 0, 0, (uint8_t)(off | (off == 0)), 1, 2, 3, 4};
        uint32_t len = off == 0 ? 16 : 8;
        memcpy(part + 8, whole + ETH_HDR_LEN + IPV6_HDR_LEN + off, len);
        world_in_frame(&w, frame, model_ip6_frame(frame, &l2, &ip, part, 8 + len), 0);
        world_turn(&w);
    }
    EXPECT_EQ(w.net.stats.reassembled, 1);
    world_silence(&w);
    IN(&w, "fd00::5", "fd00::1", NDP_SOLICIT, 0, "fd00::1", 5); /* whole, it would be */
    (void)expect_advert(&w, "fd00::1", "fd00::5");
    world_down(&w);
}

/* ---- a neighbour's states -------------------------------------------------------------------- */

static void three_requests_then_the_connection_hears(void)
{
    struct world w;
    int err;
    up(&w);
    struct tcp_conn *c = connect_to(&w, "fd00::2", &err);
    for (unsigned i = 0; i < 3; i++) {
        expect_solicit(&w, "fd00::2", true);
        CU_ASSERT(w.got.ndp.has_lladdr && ip_is(&w.got.src, "fd00::1"));
        world_silence(&w);
        CU_ASSERT_FALSE(c->flags & TCF_DEAD);
        world_advance(&w, SEC + 5000);
    }
    world_silence(&w);
    CU_ASSERT(c->flags & TCF_DEAD);
    EXPECT_EQ(c->err, EHOSTUNREACH);
    let_go(&w, c);
    world_down(&w);
}

static void packets_wait_for_the_answer(void)
{
    struct world w;
    up(&w);
    send_to(&w, "fd00::7");
    expect_solicit(&w, "fd00::7", true);
    send_to(&w, "fd00::7");
    world_silence(&w);
    IN(&w, "fd00::7", "fd00::1", NDP_ADVERT, S | O, "fd00::7", 7);
    for (unsigned i = 0; i < 2; i++) {
        (void)world_expect(&w, 4000, TCP_RST);
        EXPECT_EQ(w.got.eth_dst.b[5], 7);
    }
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_REACHABLE);
    world_silence(&w);
    world_down(&w);
}

/* An unsolicited answer will do to send, but is confirmed (RFC 4861 7.2.5). */
static void an_unsolicited_answer_is_confirmed(void)
{
    struct world w;
    up(&w);
    send_to(&w, "fd00::7");
    expect_solicit(&w, "fd00::7", true);
    IN(&w, "fd00::7", "ff02::1", NDP_ADVERT, O, "fd00::7", 7);
    (void)world_expect(&w, 4000, TCP_RST);
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_DELAY);
    world_advance(&w, NDP_DELAY_US + 10000);
    expect_solicit(&w, "fd00::7", false);
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_PROBE);
    IN(&w, "fd00::7", "fd00::1", NDP_ADVERT, S, "fd00::7", 0);
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_REACHABLE);
    world_silence(&w);
    world_down(&w);
}

static void learn(struct world *w, const char *ip, uint8_t mac)
{
    send_to(w, ip);
    (void)world_out(w);
    IN(w, ip, "fd00::1", NDP_ADVERT, S | O, ip, mac);
    (void)world_out(w);
}

static void a_neighbour_that_is_gone_is_noticed(void)
{
    struct world w;
    up(&w);
    learn(&w, "fd00::7", 7);
    world_advance(&w, 31 * SEC);
    world_silence(&w); /* not in use: nobody asks */
    send_to(&w, "fd00::7");
    (void)world_expect(&w, 4000, TCP_RST); /* at once, and for five seconds without a question */
    world_advance(&w, 4 * SEC);
    world_silence(&w);
    world_advance(&w, SEC + 10000);
    for (unsigned i = 0; i < 3; i++) {
        expect_solicit(&w, "fd00::7", false);
        send_to(&w, "fd00::7");
        (void)world_expect(&w, 4000, TCP_RST);
        world_silence(&w);
        world_advance(&w, SEC + 5000);
    }
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_NONE);
    send_to(&w, "fd00::7");
    expect_solicit(&w, "fd00::7", true);
    world_silence(&w);
    world_down(&w);
}

static void another_address_counts_when_it_overrides(void)
{
    struct world w;
    up(&w);
    learn(&w, "fd00::7", 7);
    IN(&w, "fd00::7", "fd00::1", NDP_ADVERT, S, "fd00::7", 8);
    EXPECT_EQ(entry(&w, "fd00::7")->mac.b[5], 7);
    send_to(&w, "fd00::7"); /* but it is a reason to ask */
    (void)world_expect(&w, 4000, TCP_RST);
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_DELAY);
    IN(&w, "fd00::7", "fd00::1", NDP_ADVERT, S | O, "fd00::7", 8);
    EXPECT_EQ(entry(&w, "fd00::7")->mac.b[5], 8);
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_REACHABLE);
    IN(&w, "fd00::7", "ff02::1:ff00:1", NDP_SOLICIT, 0, "fd00::1", 9); /* asks from elsewhere */
    EXPECT_EQ(entry(&w, "fd00::7")->mac.b[5], 9);
    EXPECT_EQ(entry(&w, "fd00::7")->state, NEIGH_STALE);
    world_down(&w);
}

static void a_static_neighbour_stays(void)
{
    struct world w;
    struct world_opts o = start;
    o.no_arp = false;
    o.conf.dad_probes = 0;
    world_up(&w, &o);
    IN(&w, "fd00::2", "fd00::1", NDP_ADVERT, S | O, "fd00::2", 9);
    IN(&w, "fd00::2", "fd00::1", NDP_SOLICIT, 0, "fd00::1", 9);
    EXPECT_EQ(entry(&w, "fd00::2")->mac.b[5], 2);
    world_down(&w);
}

/* ---- routers --------------------------------------------------------------------------------- */

static const struct net_hop *hop(struct world *w, const char *ip)
{
    struct ip_addr a = world_ip(ip);
    return route_hop(&w->net, &a);
}

/* The last byte of the router that the way to somewhere leads through; 0: there is none. */
static unsigned way_out(struct world *w)
{
    const struct net_hop *h = hop(w, "2001:db8::99");
    return h ? h->neigh->ip.b[15] : 0;
}

static void a_router_is_asked_for_and_used(void)
{
    struct world w;
    struct world_opts o = start;
    o.conf.dad_probes = 0;
    world_up(&w, &o);
    for (unsigned i = 0; i < 3; i++) {
        world_advance(&w, i == 0 ? 150000 : NDP_ROUTER_ASK_US);
        const struct packet *p = world_out(&w);
        CU_ASSERT_FATAL(p && p->kind == PACKET_NDP);
        EXPECT_EQ(p->ndp.type, NDP_ROUTER_SOLICIT);
        CU_ASSERT(ip_is(&p->src, "fe80::ff:fe00:1") && ip_is(&p->dst, "ff02::2"));
        world_silence(&w);
    }
    world_advance(&w, 10 * SEC);
    world_silence(&w);
    EXPECT_EQ(way_out(&w), 0);
    ROUTER(&w, .who = 9, .lifetime_s = 30);
    EXPECT_EQ(way_out(&w), 9);
    EXPECT_EQ(hop(&w, "2001:db8::99")->neigh->mac.b[5], 9);
    world_advance(&w, 29 * SEC);
    EXPECT_EQ(way_out(&w), 9);
    world_advance(&w, 1100000);
    EXPECT_EQ(way_out(&w), 0);
    ROUTER(&w, .who = 9, .lifetime_s = 30);
    ROUTER(&w, .who = 9, .lifetime_s = 0); /* it is none any more */
    EXPECT_EQ(way_out(&w), 0);
    world_down(&w);
}

static void a_router_that_answers_ends_the_search(void)
{
    struct world w;
    struct world_opts o = start;
    o.conf.dad_probes = 0;
    world_up(&w, &o);
    ROUTER(&w, .who = 9, .lifetime_s = 30);
    world_advance(&w, 10 * SEC);
    world_silence(&w);
    world_down(&w);
}

static void what_is_configured_wins(void)
{
    struct world w;
    up(&w);
    struct net_route r = {.gateway = world_ip("fe80::77")};
    ROUTER(&w, .who = 9, .lifetime_s = 1800);
    EXPECT_EQ(way_out(&w), 9);
    EXPECT_EQ(net_route_add(&w.net, &r), 0); /* takes the place of what the router said */
    EXPECT_EQ(way_out(&w), 0x77);
    EXPECT_EQ(ip_addr_zone(&hop(&w, "2001:db8::99")->neigh->ip), 1);
    ROUTER(&w, .who = 8, .lifetime_s = 1800);
    ROUTER(&w, .who = 9, .lifetime_s = 0);
    EXPECT_EQ(way_out(&w), 0x77);
    ROUTER(&w, .who = 9, .prefix = "fd00::", .prefix_len = 64, .prefix_flags = 0x80, .valid_s = 0);
    EXPECT_EQ(hop(&w, "fd00::5")->neigh->ip.b[15], 5); /* our own prefix is not theirs to end */
    world_down(&w);
}

static void routers_are_bounded(void)
{
    struct world w;
    up(&w);
    for (uint8_t i = 0; i < 100; i++)
        ROUTER(&w, .who = (uint8_t)(100 + i), .lifetime_s = 1800,
               .prefix = "2001:db8:5::", .prefix_len = (uint8_t)(48 + i % 50), .prefix_flags = 0x80,
               .valid_s = 3600);
    EXPECT_EQ(w.net.ifs[0].ndp->n_routers, NDP_ROUTERS);
    EXPECT_EQ(w.net.ifs[0].ndp->n_prefixes, NDP_PREFIXES);
    EXPECT_EQ(way_out(&w), 100);
    world_down(&w);
}

/* A router that does not answer gives way to one that may (RFC 4861 6.3.6). */
static void a_lost_router_is_replaced(void)
{
    struct world w;
    int err;
    up(&w);
    ROUTER(&w, .who = 9, .lifetime_s = 1800);
    ROUTER(&w, .who = 8, .lifetime_s = 1800);
    struct tcp_conn *c = connect_to(&w, "2001:db8::99", &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    (void)world_expect(&w, 7, TCP_SYN);
    EXPECT_EQ(w.got.eth_dst.b[5], 9);
    world_advance(&w, NDP_DELAY_US + 4 * SEC);
    EXPECT_EQ(way_out(&w), 8);
    ROUTER(&w, .who = 9, .lifetime_s = 1800); /* it is back, but the other one is fine */
    while (world_out(&w))
        ;
    let_go(&w, c);
    world_down(&w);
}

static void who_is_no_router_any_more_is_not_used(void)
{
    struct world w;
    up(&w);
    ROUTER(&w, .who = 9, .lifetime_s = 1800);
    EXPECT_EQ(way_out(&w), 9);
    IN(&w, "fe80::9", "ff02::1", NDP_ADVERT, O, "fe80::9", 9);
    EXPECT_EQ(way_out(&w), 0);
    world_down(&w);
}

static void a_prefix_is_on_the_link_while_it_is_valid(void)
{
    struct world w;
    up(&w);
    CU_ASSERT_PTR_NULL(hop(&w, "2001:db8:1::5"));
    ROUTER(&w, .who = 9, .prefix = "2001:db8:1::", .prefix_len = 64, .prefix_flags = 0x80,
           .valid_s = 60, .preferred_s = 30);
    CU_ASSERT_PTR_NOT_NULL_FATAL(hop(&w, "2001:db8:1::5"));
    EXPECT_EQ(hop(&w, "2001:db8:1::5")->neigh->ip.b[15], 5);
    world_advance(&w, 61 * SEC);
    CU_ASSERT_PTR_NULL(hop(&w, "2001:db8:1::5"));
    ROUTER(&w, .who = 9, .prefix = "::", .prefix_len = 0, .prefix_flags = 0x80, .valid_s = 60);
    CU_ASSERT_PTR_NULL(hop(&w, "2001:db8:1::5")); /* that everything were here is not believed */
    world_down(&w);
}

static void the_mtu_of_a_router_counts(void)
{
    struct world w;
    int err;
    up(&w);
    learn(&w, "fd00::2", 2);
    static const struct {
        uint32_t mtu;
        uint16_t mss;
    } steps[] = {{0, 1440}, {1400, 1340}, {1279, 1340}, {9000, 1340}, {1280, 1220}};
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        ROUTER(&w, .who = 9, .mtu = steps[i].mtu);
        struct tcp_conn *c = connect_to(&w, "fd00::2", &err);
        EXPECT_EQ(world_expect(&w, 7, TCP_SYN)->opt.mss, steps[i].mss);
        let_go(&w, c);
    }
    EXPECT_EQ(w.net.ifs[0].mtu, 1500); /* IPv4 has its own */
    world_down(&w);
}

/* Between a half and one and a half of what the router says, which is an hour at most (RFC 4861
 * 6.3.2, 6.2.1). */
static void the_reachable_time_of_a_router_counts(void)
{
    struct world w;
    uint64_t least = UINT64_MAX, most = 0;
    up(&w);
    ROUTER(&w, .who = 9, .reachable_ms = 3600001);
    CU_ASSERT(ndp_reachable_us(&w.net.ifs[0]) <= NDP_REACHABLE_US * 3 / 2);
    for (unsigned i = 0; i < 100; i++) {
        ROUTER(&w, .who = 9, .reachable_ms = 3600000);
        uint64_t us = ndp_reachable_us(&w.net.ifs[0]);
        least = us < least ? us : least;
        most = us > most ? us : most;
    }
    CU_ASSERT(least >= 1800ull * SEC && least < 2400ull * SEC);
    CU_ASSERT(most < 5400ull * SEC && most > 4800ull * SEC);
    world_down(&w);
}

/* ---- addresses from prefixes ----------------------------------------------------------------- */

#define AUTO "2001:db8:1::ff:fe00:1"

static void prefix_in(struct world *w, uint32_t valid_s, uint32_t preferred_s)
{
    ROUTER(w, .who = 9, .prefix = "2001:db8:1::", .prefix_len = 64, .prefix_flags = 0x40,
           .valid_s = valid_s, .preferred_s = preferred_s);
}

static void addresses_are_formed_when_they_are_wanted(void)
{
    struct world w;
    up(&w);
    prefix_in(&w, 3600, 1800);
    CU_ASSERT_PTR_NULL(ours(&w, AUTO));
    EXPECT_EQ(net_if_autoconf(&w.net, 0), 0);
    prefix_in(&w, 3600, 30);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ours(&w, AUTO));
    EXPECT_EQ(ours(&w, AUTO)->state, NET_ADDR_VALID);
    CU_ASSERT_FALSE(ours(&w, AUTO)->preferred_until_us <= w.net.env.now_us);
    world_advance(&w, 31 * SEC);
    CU_ASSERT(ours(&w, AUTO)->preferred_until_us <= w.net.env.now_us);
    w.net.env.now_us += 3600ull * SEC;
    world_turn(&w);
    CU_ASSERT_PTR_NULL(ours(&w, AUTO));
    world_down(&w);
}

static void a_formed_address_is_probed_too(void)
{
    struct world w;
    struct world_opts o = start;
    o.is_v6 = false;
    world_up(&w, &o);
    EXPECT_EQ(net_if_autoconf(&w.net, 0), 0);
    world_advance(&w, 3 * SEC);
    while (world_out(&w))
        ;
    prefix_in(&w, 3600, 1800);
    EXPECT_EQ(ours(&w, AUTO)->state, NET_ADDR_TENTATIVE);
    expect_solicit(&w, AUTO, true);
    CU_ASSERT(ip_addr_is_any(&w.got.src));
    world_advance(&w, SEC + 10000);
    EXPECT_EQ(ours(&w, AUTO)->state, NET_ADDR_VALID);
    world_down(&w);
}

static uint64_t life_s(struct world *w)
{
    return (ours(w, AUTO)->valid_until_us - w->net.env.now_us) / SEC;
}

/* RFC 4862 5.5.3 e. */
static void a_life_is_not_cut_below_two_hours(void)
{
    struct world w;
    up(&w);
    EXPECT_EQ(net_if_autoconf(&w.net, 0), 0);
    prefix_in(&w, 86400, 86400);
    EXPECT_EQ(life_s(&w), 86400);
    prefix_in(&w, 10000, 0);
    EXPECT_EQ(life_s(&w), 10000);
    CU_ASSERT(ours(&w, AUTO)->preferred_until_us <= w.net.env.now_us);
    prefix_in(&w, 10, 10);
    EXPECT_EQ(life_s(&w), 7200);
    w.net.env.now_us += 7000ull * SEC;
    prefix_in(&w, 10, 10);
    EXPECT_EQ(life_s(&w), 200);
    prefix_in(&w, 300, 300);
    EXPECT_EQ(life_s(&w), 300);
    prefix_in(&w, UINT32_MAX, UINT32_MAX);
    EXPECT_EQ(ours(&w, AUTO)->valid_until_us, UINT64_MAX);
    world_down(&w);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* RFC 9293 MUST-67 */
static void a_connection_over_ipv6(void)
{
    struct world w;
    struct net_listener l;
    up(&w);
    learn(&w, "fd00::2", 2);
    world_listen(&w, &l, 10);
    struct seg syn = {.tuple.local_port = 4000, .flags = TCP_SYN, .seq = seq_make(1000)};
    world_in(&w, &syn);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    EXPECT_EQ(s->opt.mss, 1440); /* the MTU but for 60 bytes */
    EXPECT_EQ(s->ttl, 64);
    world_seg(&w, 4000, TCP_ACK, 1001, s->seq.v + 1);
    world_turn(&w);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    EXPECT_EQ(c->mss, 1220); /* the peer said nothing (RFC 9293 3.7.1) */
    c->sock = 1;
    uint8_t bytes[2440] = {0};
    EXPECT_EQ(tcp_send(&w.net.env, c, bytes, sizeof(bytes)), 2440);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK)->len, 1220);
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK | TCP_PSH)->len, 1220);
    let_go(&w, c);
    net_unlisten(&w.net, &l);
    world_down(&w);
}

/* The zone of a link-local peer is kept inside and is not on the wire. */
static void a_link_local_peer_is_one_of_its_link(void)
{
    struct world w;
    struct net_listener l;
    up(&w);
    world_listen(&w, &l, 10);
    struct seg syn = {.tuple = {.local = world_ip("fe80::2"),
                                .remote = world_ip("fe80::ff:fe00:1"),
                                .local_port = 4000,
                                .remote_port = 80},
                      .flags = TCP_SYN};
    world_in(&w, &syn);
    world_turn(&w);
    expect_solicit(&w, "fe80::2", true);
    CU_ASSERT(ip_is(&w.got.src, "fe80::ff:fe00:1"));
    IN(&w, "fe80::2", "fe80::ff:fe00:1", NDP_ADVERT, S | O, "fe80::2", 2);
    const struct seg *s = world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    syn.flags = TCP_ACK;
    syn.ack = seq_add(s->seq, 1);
    syn.seq = seq_make(1);
    world_in(&w, &syn);
    world_turn(&w);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    EXPECT_EQ(ip_addr_zone(&c->tuple.remote), 1);
    EXPECT_EQ(ip_addr_zone(&c->tuple.local), 1);
    let_go(&w, c);
    net_unlisten(&w.net, &l);
    world_down(&w);
}

static void ipv6_needs_its_mtu(void)
{
    struct world w;
    struct ip_addr a = world_ip("fd00::9");
    world_up(&w, NULL);
    w.net.ifs[0].mtu = 1279;
    EXPECT_EQ(net_addr_add(&w.net, 0, &a, 64), -EINVAL);
    EXPECT_EQ(net_if_autoconf(&w.net, 0), -EINVAL);
    w.net.ifs[0].mtu = 1280;
    EXPECT_EQ(net_addr_add(&w.net, 0, &a, 64), 0);
    EXPECT_EQ(net_addr_add(&w.net, 0, &a, 64), -EEXIST);
    world_down(&w);
}

TEST_SUITE(ndp, TEST_CASE(an_address_is_probed_before_it_is_ours),
           TEST_CASE(a_tentative_address_is_silent),
           TEST_CASE(a_connection_waits_until_the_address_is_ours),
           TEST_CASE(a_connection_does_not_outlive_its_address),
           TEST_CASE(an_address_of_another_is_not_taken), TEST_CASE(who_asks_for_us_is_answered),
           TEST_CASE(strangers_teach_nothing), TEST_CASE(fragments_are_not_listened_to),
           TEST_CASE(three_requests_then_the_connection_hears),
           TEST_CASE(packets_wait_for_the_answer), TEST_CASE(an_unsolicited_answer_is_confirmed),
           TEST_CASE(a_neighbour_that_is_gone_is_noticed),
           TEST_CASE(another_address_counts_when_it_overrides), TEST_CASE(a_static_neighbour_stays),
           TEST_CASE(a_router_is_asked_for_and_used),
           TEST_CASE(a_router_that_answers_ends_the_search), TEST_CASE(what_is_configured_wins),
           TEST_CASE(routers_are_bounded), TEST_CASE(a_lost_router_is_replaced),
           TEST_CASE(who_is_no_router_any_more_is_not_used),
           TEST_CASE(a_prefix_is_on_the_link_while_it_is_valid),
           TEST_CASE(the_mtu_of_a_router_counts), TEST_CASE(the_reachable_time_of_a_router_counts),
           TEST_CASE(addresses_are_formed_when_they_are_wanted),
           TEST_CASE(a_formed_address_is_probed_too), TEST_CASE(a_life_is_not_cut_below_two_hours),
           TEST_CASE(a_connection_over_ipv6), TEST_CASE(a_link_local_peer_is_one_of_its_link),
           TEST_CASE(ipv6_needs_its_mtu));
