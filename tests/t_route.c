/* Routes: the longest prefix wins, against a search bit by bit; next hops and their cache. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/net/arp.h"
#include "mtcp/net/neigh.h"
#include "mtcp/net/route.h"

#include <errno.h>
#include <string.h>

static int route_add(struct world *w, const char *dst, uint8_t len, const char *gateway)
{
    struct net_route r = {.dst = world_ip(dst), .prefix_len = len};
    if (gateway)
        r.gateway = world_ip(gateway);
    return net_route_add(&w->net, &r);
}

static const struct net_route *find(struct world *w, const char *dst)
{
    struct ip_addr a = world_ip(dst);
    return route_find(&w->net, &a);
}

static void the_longest_prefix_wins(void)
{
    struct world w;
    world_up(&w, NULL);
    EXPECT_EQ(route_add(&w, "0.0.0.0", 0, "10.0.0.254"), 0);
    EXPECT_EQ(route_add(&w, "10.1.2.0", 24, "10.0.0.3"), 0);
    EXPECT_EQ(route_add(&w, "10.1.0.0", 16, "10.0.0.4"), 0);
    EXPECT_EQ(route_add(&w, "10.1.2.3", 32, "10.0.0.5"), 0);
    EXPECT_EQ(find(&w, "10.1.2.3")->gateway.b[15], 5);
    EXPECT_EQ(find(&w, "10.1.2.4")->gateway.b[15], 3);
    EXPECT_EQ(find(&w, "10.1.3.4")->gateway.b[15], 4);
    EXPECT_EQ(find(&w, "10.2.3.4")->gateway.b[15], 254);
    CU_ASSERT(ip_addr_is_any(&find(&w, "10.0.0.77")->gateway)); /* our own link */
    CU_ASSERT_PTR_NULL(find(&w, "fd00::1"));
    world_down(&w);
}

static void bad_routes_are_refused(void)
{
    struct world w;
    world_up(&w, NULL);
    EXPECT_EQ(route_add(&w, "10.1.2.3", 24, NULL), 0);
    EXPECT_EQ(route_add(&w, "10.1.2.99", 24, NULL), -EEXIST); /* the same prefix */
    EXPECT_EQ(route_add(&w, "10.1.2.3", 25, NULL), 0);
    EXPECT_EQ(route_add(&w, "10.1.2.3", 33, NULL), -EINVAL);
    EXPECT_EQ(route_add(&w, "fd00::", 129, NULL), -EINVAL);
    EXPECT_EQ(route_add(&w, "10.1.0.0", 16, "fd00::1"), -EINVAL);
    struct net_route r = {.dst = world_ip("10.5.0.0"), .prefix_len = 16, .netif = 1};
    EXPECT_EQ(net_route_add(&w.net, &r), -EINVAL);
    mem_set_limit(w.mem, 1);
    int err = 0;
    for (uint8_t i = 1; i < 30 && !err; i++)
        err = route_add(&w, "172.16.0.0", i, NULL);
    EXPECT_EQ(err, -ENOMEM);
    mem_set_limit(w.mem, 0);
    world_down(&w);
}

/* ---- model ---------------------------------------------------------------------------------- */

static bool bit_of(const struct ip_addr *a, unsigned i)
{
    return a->b[i / 8] >> (7 - i % 8) & 1;
}

static unsigned common_bits(const struct ip_addr *a, const struct ip_addr *b)
{
    unsigned n = 0;
    while (n < 128 && bit_of(a, n) == bit_of(b, n))
        n++;
    return n;
}

/* Addresses that share long prefixes. */
static struct ip_addr random_addr(struct rng *r, bool is_v4)
{
    static const uint8_t some[] = {0, 1, 0x80, 0xff};
    struct ip_addr a = is_v4 ? ip_addr_v4(be32_make(0)) : (struct ip_addr){.b = {0xfd}};
    for (unsigned i = is_v4 ? 12 : 1; i < 16; i++)
        a.b[i] = some[rng_below(r, 4)];
    return a;
}

static void against_a_search_bit_by_bit(void)
{
    enum { N = 200 };
    struct world w;
    struct rng rng;
    struct net_route added[N];
    unsigned n_added = 0;
    rng_init(&rng, test_seed());
    world_up(&w, NULL);
    for (unsigned i = 0; i < N; i++) {
        bool is_v4 = rng_below(&rng, 2);
        struct net_route r = {.dst = random_addr(&rng, is_v4),
                              .prefix_len = (uint8_t)rng_below(&rng, is_v4 ? 33 : 129)};
        r.gateway = r.dst; /* tells the routes apart */
        if (net_route_add(&w.net, &r) == 0)
            added[n_added++] = r;
    }
    for (unsigned i = 0; i < 5000; i++) {
        struct ip_addr a = random_addr(&rng, rng_below(&rng, 2));
        int best = -1;
        unsigned best_bits = 0;
        for (unsigned k = 0; k < n_added; k++) {
            unsigned bits = added[k].prefix_len + (ip_addr_is_v4(&added[k].dst) ? 96u : 0);
            if (ip_addr_is_v4(&added[k].dst) == ip_addr_is_v4(&a) &&
                common_bits(&added[k].dst, &a) >= bits && (best < 0 || bits > best_bits)) {
                best = (int)k;
                best_bits = bits;
            }
        }
        const struct net_route *r = route_find(&w.net, &a);
        if (best < 0)
            CU_ASSERT(!r || r->prefix_len == 24) /* the interface's own */
        else
            CU_ASSERT(r &&
                      (r->prefix_len == added[best].prefix_len || ip_addr_is_any(&r->gateway)));
        if (best >= 0 && r && !ip_addr_is_any(&r->gateway))
            CU_ASSERT(ip_addr_eq(&r->gateway, &added[best].gateway));
    }
    world_down(&w);
}

/* ---- next hops ------------------------------------------------------------------------------ */

static const struct net_hop *hop(struct world *w, const char *dst)
{
    struct ip_addr a = world_ip(dst);
    return route_hop(&w->net, &a);
}

static void a_hop_is_the_gateway_or_the_neighbour(void)
{
    struct world w;
    struct ip_addr other = world_ip("10.7.0.1");
    world_up(&w, NULL);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "other", &other, 24), 1);
    CU_ASSERT_PTR_NULL(hop(&w, "192.0.2.1"));
    EXPECT_EQ(route_add(&w, "0.0.0.0", 0, "10.0.0.254"), 0);
    EXPECT_EQ(be32_get(hop(&w, "192.0.2.1")->neigh->ip.w[3]), 0x0a0000fe);
    EXPECT_EQ(be32_get(hop(&w, "10.0.0.9")->neigh->ip.w[3]), 0x0a000009);
    EXPECT_EQ(hop(&w, "10.0.0.9")->netif, 0);
    EXPECT_EQ(hop(&w, "10.7.0.9")->netif, 1);
    CU_ASSERT_PTR_NULL(hop(&w, "255.255.255.255"));
    CU_ASSERT_PTR_NULL(hop(&w, "224.0.0.5"));
    world_down(&w);
}

static void the_cache_follows_the_routes(void)
{
    struct world w;
    world_up(&w, NULL);
    EXPECT_EQ(route_add(&w, "0.0.0.0", 0, "10.0.0.254"), 0);
    EXPECT_EQ(be32_get(hop(&w, "192.0.2.1")->neigh->ip.w[3]), 0x0a0000fe);
    EXPECT_EQ(route_add(&w, "192.0.2.0", 24, "10.0.0.253"), 0);
    EXPECT_EQ(be32_get(hop(&w, "192.0.2.1")->neigh->ip.w[3]), 0x0a0000fd);
    world_down(&w);
}

/* More addresses than slots: each keeps finding its own hop. */
static void the_cache_is_only_a_cache(void)
{
    struct world w;
    world_up(&w, NULL);
    EXPECT_EQ(route_add(&w, "0.0.0.0", 0, "10.0.0.254"), 0);
    EXPECT_EQ(route_add(&w, "128.0.0.0", 1, "10.0.0.253"), 0);
    for (unsigned i = 0; i < 5000; i++) {
        struct ip_addr a = ip_addr_v4(be32_make(i * 2654435761u | 0x01000000));
        const struct net_hop *h = route_hop(&w.net, &a);
        if (!h)
            continue; /* a group's, or loopback */
        bool upper = a.b[12] & 0x80;
        if (a.b[12] != 10)
            EXPECT_EQ(be32_get(h->neigh->ip.w[3]), upper ? 0x0a0000fd : 0x0a0000fe);
    }
    world_down(&w);
}

TEST_SUITE(route, TEST_CASE(the_longest_prefix_wins), TEST_CASE(bad_routes_are_refused),
           TEST_CASE(against_a_search_bit_by_bit), TEST_CASE(a_hop_is_the_gateway_or_the_neighbour),
           TEST_CASE(the_cache_follows_the_routes), TEST_CASE(the_cache_is_only_a_cache));
