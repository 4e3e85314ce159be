/*
 * Source address selection (RFC 6724 5): candidates are the addresses of the outgoing interface
 * (rule 5 is met by that); rules 1, 2, 3, 6 and 8 decide, in this order. Rules 4 and 7 are about
 * mobility and temporary addresses, which there are none of.
 */
#include "mtcp/net/source.h"

/* ---- what the rules compare ----------------------------------------------------------------- */

/* Scopes as multicast addresses number them (RFC 4291 2.7). */
enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

static unsigned scope_of(const struct ip_addr *a)
{
    if (a->b[0] == 0xff)
        return a->b[1] & 0x0fu;
    if (ip_addr_is_link_local(a))
        return SCOPE_LINK;
    if (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0xc0) /* fec0::/10 */
        return SCOPE_SITE;
    if (ip_addr_is_v4(a) && a->b[12] == 169 && a->b[13] == 254) /* RFC 6724 3.2 */
        return SCOPE_LINK;
    return SCOPE_GLOBAL;
}

/* Bits that two addresses have in common, from the first. */
static unsigned common_bits(const struct ip_addr *a, const struct ip_addr *b)
{
    unsigned i = 0;
    while (i < 16 && a->b[i] == b->b[i])
        i++;
    return i == 16 ? 128 : 8 * i + (unsigned)__builtin_clz((unsigned)(a->b[i] ^ b->b[i]) << 24);
}

/* The default policy table (RFC 6724 2.1), by falling prefix length. */
static unsigned label_of(const struct ip_addr *a)
{
    static const struct {
        struct ip_addr prefix;
        uint8_t bits, label;
    } policies[] = {
        {{.b = {[15] = 1}}, 128, 0},   {{.b = {[10] = 0xff, 0xff}}, 96, 4},
        {{.b = {0}}, 96, 3},           {{.b = {0x20, 0x01}}, 32, 5},
        {{.b = {0x20, 0x02}}, 16, 2},  {{.b = {0x3f, 0xfe}}, 16, 12},
        {{.b = {0xfe, 0xc0}}, 10, 11}, {{.b = {0xfc}}, 7, 13},
    };
    for (unsigned i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
        if (common_bits(a, &policies[i].prefix) >= policies[i].bits)
            return policies[i].label;
    return 1;
}

/* ---- the choice ----------------------------------------------------------------------------- */

struct choice {
    const struct ip_addr *dst;
    uint64_t now_us;
};

/* Rule 8 looks no further than the source's own prefix. */
static unsigned match_of(const struct net_addr *a, const struct ip_addr *dst)
{
    unsigned own = a->prefix_len + (ip_addr_is_v4(&a->ip) ? 96u : 0u);
    unsigned bits = common_bits(&a->ip, dst);
    return bits < own ? bits : own;
}

/* Is `a` the better one? Equal ones: no, the first stays. */
static bool is_better(const struct choice *c, const struct net_addr *a, const struct net_addr *b)
{
    bool same_a = ip_addr_eq(&a->ip, c->dst), same_b = ip_addr_eq(&b->ip, c->dst);
    if (same_a != same_b)
        return same_a; /* rule 1 */
    unsigned scope_a = scope_of(&a->ip), scope_b = scope_of(&b->ip), scope = scope_of(c->dst);
    if (scope_a != scope_b) /* rule 2: the smallest that reaches, else the largest */
        return scope_a < scope_b ? scope_a >= scope : scope_b < scope;
    bool old_a = a->preferred_until_us <= c->now_us, old_b = b->preferred_until_us <= c->now_us;
    if (old_a != old_b)
        return old_b; /* rule 3 */
    unsigned label = label_of(c->dst);
    bool label_a = label_of(&a->ip) == label, label_b = label_of(&b->ip) == label;
    if (label_a != label_b)
        return label_a;                               /* rule 6 */
    return match_of(a, c->dst) > match_of(b, c->dst); /* rule 8 */
}

static const struct net_addr *choose(const struct net *n, const struct net_if *nif,
                                     const struct ip_addr *dst, enum net_addr_state state)
{
    struct choice c = {dst, n->env.now_us};
    const struct net_addr *best = NULL;
    for (unsigned i = 0; i < nif->n_addrs; i++) {
        const struct net_addr *a = &nif->addrs[i];
        if (a->state != (uint8_t)state || ip_addr_is_v4(&a->ip) != ip_addr_is_v4(dst))
            continue;
        if (!best || is_better(&c, a, best))
            best = a;
    }
    return best;
}

const struct net_addr *source_for(const struct net *n, const struct net_if *nif,
                                  const struct ip_addr *dst)
{
    return choose(n, nif, dst, NET_ADDR_VALID);
}

const struct net_addr *source_for_soon(const struct net *n, const struct net_if *nif,
                                       const struct ip_addr *dst)
{
    const struct net_addr *now = source_for(n, nif, dst);
    const struct net_addr *soon = choose(n, nif, dst, NET_ADDR_TENTATIVE);
    if (!now || !soon)
        return now ? now : soon;
    /* Right after the start only the link-local address may be there: it would reach nobody. */
    return scope_of(&now->ip) < scope_of(dst) && scope_of(&soon->ip) >= scope_of(dst) ? soon : now;
}
