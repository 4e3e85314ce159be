/* The neighbours' table: entries, who waits for them, their states. What other hosts say can fill
 * the table with neighbours that nobody uses or that are not there, but can't push out those that
 * are used and answer (RFC 6583 6.2). */
#include "mtcp/net/neigh.h"

#include "mtcp/net/arp.h"
#include "mtcp/net/ndp.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/route.h"
#include "mtcp/net/source.h"
#include "mtcp/net/timer_kind.h"

#include <errno.h>

enum {
    N_BUCKETS = 256,
    EVICT_SCAN = 32, /* how many old entries are looked at for a victim */
};

struct neigh_table {
    struct pool entries;
    struct neigh *bucket[N_BUCKETS];
    struct list_node known, unknown; /* with and without an address, by neigh.age; no static ones */
    uint32_t n_waiting;
};

/* ---- the table ------------------------------------------------------------------------------ */

int neigh_init(struct net *n)
{
    struct neigh_table *t = mem_zalloc(n->env.mem, sizeof(*t));
    if (!t)
        return -ENOMEM;
    pool_init(&t->entries, n->env.mem, sizeof(struct neigh), NEIGH_MAX);
    list_init(&t->known);
    list_init(&t->unknown);
    n->neighs = t;
    return 0;
}

static struct neigh **bucket_of(struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    struct {
        struct ip_addr ip;
        uint32_t netif;
    } key = {*ip, netif};
    return &n->neighs->bucket[hash_siphash13(&n->env.secret, &key, sizeof(key)) % N_BUCKETS];
}

struct neigh *neigh_find(struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    struct neigh *e = *bucket_of(n, netif, ip);
    while (e && !(ip_addr_eq(&e->ip, ip) && e->netif == netif))
        e = e->chain;
    return e;
}

static struct neigh *entry_new(struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    struct neigh *e = pool_get(&n->neighs->entries);
    if (!e)
        return NULL;
    struct neigh **head = bucket_of(n, netif, ip);
    *e = (struct neigh){.ip = *ip, .netif = netif, .chain = *head};
    *head = e;
    e->parked_tail = &e->parked;
    list_push_tail(&n->neighs->unknown, &e->age);
    timer_init(&e->timer, NET_TIMER_NEIGH);
    return e;
}

/* The packets that waited, off the entry, as a list. */
static struct mtcp_pkt *take_waiting(struct net *n, struct neigh *e)
{
    struct mtcp_pkt *head = e->wait_head;
    n->neighs->n_waiting -= e->n_waiting;
    e->n_waiting = 0;
    e->wait_head = e->wait_tail = NULL;
    return head;
}

static void entry_free(struct net *n, struct neigh *e)
{
    struct net_if *nif = &n->ifs[e->netif];
    for (struct mtcp_pkt *pkt = take_waiting(n, e), *next; pkt; pkt = next) {
        next = pkt->next;
        nif->io->free(nif->io, pkt);
    }
    struct neigh **at = bucket_of(n, e->netif, &e->ip);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    wheel_cancel(&n->env.wheel, &e->timer);
    list_del(&e->age);
    pool_put(&n->neighs->entries, e);
    route_hops_forget(n);
}

static struct neigh *neigh_of_age(struct list_node *at)
{
    return container_of(at, struct neigh, age);
}

/* An old entry with an address that nobody used. */
static struct neigh *victim_unused(struct neigh_table *t)
{
    unsigned n_seen = 0;
    LIST_FOREACH (at, &t->known) {
        if (!neigh_of_age(at)->is_used)
            return neigh_of_age(at);
        if (++n_seen == EVICT_SCAN)
            break;
    }
    return NULL;
}

/* An old entry without an address that no connection waits for. */
static struct neigh *victim_unknown(struct neigh_table *t)
{
    unsigned n_seen = 0;
    LIST_FOREACH (at, &t->unknown) {
        if (!neigh_of_age(at)->parked)
            return neigh_of_age(at);
        if (++n_seen == EVICT_SCAN)
            break;
    }
    return NULL;
}

/* Makes room in a full table; not for what a monitor's code asks, which runs while others hold on
 * to entries. */
static bool evict_one(struct net *n)
{
    struct neigh_table *t = n->neighs;
    if (n->env.user_depth > 0)
        return false;
    struct neigh *victim = victim_unused(t);
    if (!victim)
        victim = victim_unknown(t);
    if (!victim && !list_is_empty(&t->known))
        victim = neigh_of_age(t->known.next);
    if (victim)
        entry_free(n, victim);
    return victim != NULL;
}

/* The youngest of those that have, or have not, an address. */
static void entry_rejuvenate(struct neigh *e, struct list_node *list)
{
    list_del(&e->age);
    list_push_tail(list, &e->age);
}

struct neigh *neigh_get(struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    struct neigh *e = neigh_find(n, netif, ip);
    if (!e)
        e = entry_new(n, netif, ip);
    if (!e && evict_one(n))
        e = entry_new(n, netif, ip);
    if (e)
        e->is_used = true;
    return e;
}

/* Is it a host on this interface's own link? */
static bool is_on_link(const struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    const struct net_route *r = route_find(n, ip);
    return netif_addr_is_host(ip) && r && r->netif == netif && ip_addr_is_any(&r->gateway);
}

struct neigh *neigh_of_sender(struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    struct neigh *e = neigh_find(n, netif, ip);
    return e || !is_on_link(n, netif, ip) ? e : entry_new(n, netif, ip);
}

void neigh_fini(struct net *n)
{
    if (!n->neighs)
        return;
    for (unsigned i = 0; i < N_BUCKETS; i++)
        while (n->neighs->bucket[i])
            entry_free(n, n->neighs->bucket[i]);
    pool_fini(&n->neighs->entries);
    mem_free(n->env.mem, n->neighs, sizeof(*n->neighs));
    n->neighs = NULL;
}

/* ---- asking --------------------------------------------------------------------------------- */

/* Between two requests. */
static uint32_t retry_us(const struct net *n, const struct neigh *e)
{
    return ip_addr_is_v4(&e->ip) ? ARP_RETRY_US : ndp_retrans_us(&n->ifs[e->netif]);
}

/* Asks everybody, or the neighbour itself when its address is thought to be known. False: we have
 * no address to ask from yet. */
static bool ask(struct net *n, struct neigh *e, bool to_all)
{
    struct net_if *nif = &n->ifs[e->netif];
    const struct mac_addr *to = to_all ? NULL : &e->mac;
    return ip_addr_is_v4(&e->ip) ? arp_ask(n, nif, &e->ip, to) : ndp_ask(n, nif, &e->ip, to);
}

/* One more request, and the time to wait for its answer. One that can't be made yet, for lack of an
 * address that is about to be ours, does not count. */
static void ask_again(struct net *n, struct neigh *e)
{
    enum { NO_ADDRESS_RETRY_US = 50000 };
    bool to_all = e->state == NEIGH_INCOMPLETE || (ip_addr_is_v4(&e->ip) && e->n_tries > 0);
    bool asked = ask(n, e, to_all);
    if (asked || !source_for_soon(n, &n->ifs[e->netif], &e->ip))
        e->n_tries++;
    wheel_arm(&n->env.wheel, &e->timer,
              n->env.now_us + (asked ? retry_us(n, e) : (uint32_t)NO_ADDRESS_RETRY_US));
}

static void start_asking(struct net *n, struct neigh *e, enum neigh_state state)
{
    e->state = (uint8_t)state;
    e->n_tries = 0;
    ask_again(n, e);
}

/* A known address that may be old is in use: frames go to it while it is confirmed. IPv6 first
 * waits whether that comes by itself (RFC 4861 7.3.3). */
static void start_confirming(struct net *n, struct neigh *e)
{
    if (ip_addr_is_v4(&e->ip)) {
        start_asking(n, e, NEIGH_PROBE);
        e->fresh_until_us = n->env.now_us + (uint64_t)NEIGH_TRIES * retry_us(n, e);
        return;
    }
    e->state = NEIGH_DELAY;
    e->fresh_until_us = n->env.now_us + NDP_DELAY_US;
    wheel_arm(&n->env.wheel, &e->timer, e->fresh_until_us);
}

/* ---- who waits ------------------------------------------------------------------------------ */

/* The latest packets are kept (RFC 1122 2.3.2.2). */
static void wait_push(struct net *n, struct neigh *e, struct mtcp_pkt *pkt)
{
    struct mtcp_io *io = n->ifs[e->netif].io;
    if (e->n_waiting == NEIGH_WAITING) {
        struct mtcp_pkt *oldest = e->wait_head;
        e->wait_head = oldest->next;
        e->n_waiting--;
        n->neighs->n_waiting--;
        n->stats.neigh_queue_full++;
        io->free(io, oldest);
    } else if (n->neighs->n_waiting >= NEIGH_MAX_WAITING) {
        n->stats.neigh_queue_full++;
        io->free(io, pkt);
        return;
    }
    pkt->next = NULL;
    if (e->n_waiting++ > 0)
        e->wait_tail->next = pkt;
    else
        e->wait_head = pkt;
    e->wait_tail = pkt;
    n->neighs->n_waiting++;
}

bool neigh_queue_is_full(const struct net *n, const struct neigh *e)
{
    return e->n_waiting == NEIGH_WAITING || n->neighs->n_waiting >= NEIGH_MAX_WAITING;
}

void neigh_want(struct net *n, struct neigh *e)
{
    if (e->state == NEIGH_NONE)
        start_asking(n, e, NEIGH_INCOMPLETE);
}

bool neigh_resolve(struct net *n, struct neigh *e, struct mtcp_pkt *pkt)
{
    if (neigh_is_known(e)) {
        neigh_address_frame(e, pkt);
        if (e->state == NEIGH_REACHABLE || e->state == NEIGH_STALE)
            start_confirming(n, e);
        return true;
    }
    wait_push(n, e, pkt);
    neigh_want(n, e);
    return false;
}

void neigh_park(struct net *n, struct neigh *e, struct tcp_conn *c)
{
    if (!(c->flags & TCF_ON_OUT)) {
        c->flags |= TCF_ON_OUT;
        c->out_next = NULL;
        *e->parked_tail = c;
        e->parked_tail = &c->out_next;
    }
    neigh_want(n, e);
}

/* Those that waited go to the end of the list of those that have something to send. */
static void unpark(struct net *n, struct neigh *e)
{
    if (!e->parked)
        return;
    *n->env.out_tail = e->parked;
    n->env.out_tail = e->parked_tail;
    e->parked = NULL;
    e->parked_tail = &e->parked;
}

void neigh_unpark_all(struct net *n)
{
    LIST_FOREACH (at, &n->neighs->unknown)
        unpark(n, neigh_of_age(at));
}

/* Their wait was in vain: an error, and what they have to send counts as lost, so that their own
 * timers decide when to give up. */
static void unpark_failed(struct net *n, struct neigh *e)
{
    struct tcp_conn *c = e->parked, *next;
    e->parked = NULL;
    e->parked_tail = &e->parked;
    for (; c; c = next) {
        next = c->out_next;
        c->flags &= ~(uint32_t)TCF_ON_OUT;
        tcp_net_error(&n->env, c, EHOSTUNREACH, true);
        conn_send_failed(n, c);
    }
}

/* ---- states --------------------------------------------------------------------------------- */

/* Nobody answered. The entry stays, so that the next packet starts anew. */
static void give_up(struct net *n, struct neigh *e)
{
    struct net_if *nif = &n->ifs[e->netif];
    e->state = NEIGH_NONE;
    e->fresh_until_us = 0;
    entry_rejuvenate(e, &n->neighs->unknown);
    n->stats.neigh_failed++;
    for (struct mtcp_pkt *pkt = take_waiting(n, e), *next; pkt; pkt = next) {
        next = pkt->next;
        nif->io->free(nif->io, pkt);
    }
    if (e->is_router)
        ndp_router_lost(n, nif, &e->ip);
    unpark_failed(n, e); /* last: monitors hear of it, and may make the table change */
}

void neigh_timer(struct net *n, struct neigh *e)
{
    if (e->state == NEIGH_DELAY) {
        start_asking(n, e, NEIGH_PROBE);
        e->fresh_until_us = n->env.now_us + (uint64_t)NEIGH_TRIES * retry_us(n, e);
    } else if (e->n_tries >= NEIGH_TRIES) {
        give_up(n, e);
    } else {
        ask_again(n, e);
    }
}

/* The address is known: what waited for it goes. */
static void settle(struct net *n, struct neigh *e, const struct mac_addr *mac,
                   enum neigh_state state)
{
    struct net_if *nif = &n->ifs[e->netif];
    if (!neigh_is_known(e) && !e->is_static)
        entry_rejuvenate(e, &n->neighs->known);
    e->mac = *mac;
    e->state = (uint8_t)state;
    wheel_cancel(&n->env.wheel, &e->timer);
    struct mtcp_pkt *pkt = take_waiting(n, e), *next;
    if (pkt && state == NEIGH_STALE)
        start_confirming(n, e);
    for (; pkt; pkt = next) {
        next = pkt->next;
        neigh_address_frame(e, pkt);
        netif_send(nif, pkt);
    }
    unpark(n, e);
}

/* How long an answer is believed. */
static uint64_t fresh_us(struct net *n, const struct neigh *e)
{
    return ip_addr_is_v4(&e->ip) ? ARP_FRESH_US : ndp_reachable_us(&n->ifs[e->netif]);
}

void neigh_confirm(struct net *n, struct neigh *e, const struct mac_addr *mac)
{
    if (e->is_static)
        return;
    e->fresh_until_us = n->env.now_us + fresh_us(n, e);
    entry_rejuvenate(e, &n->neighs->known);
    settle(n, e, mac, NEIGH_REACHABLE);
}

void neigh_hint(struct net *n, struct neigh *e, const struct mac_addr *mac)
{
    bool is_news = !neigh_is_known(e) || memcmp(&e->mac, mac, sizeof(*mac)) != 0;
    if (e->is_static || !is_news)
        return;
    e->fresh_until_us = 0;
    settle(n, e, mac, NEIGH_STALE);
}

int net_neigh_add(struct net *n, uint8_t netif, const struct ip_addr *ip,
                  const struct mac_addr *mac)
{
    if (netif >= n->n_ifs || !netif_addr_is_host(ip))
        return -EINVAL;
    struct ip_addr addr = netif_zoned(&n->ifs[netif], ip);
    struct neigh *e = neigh_get(n, netif, &addr);
    if (!e)
        return -ENOSPC;
    e->is_static = true;
    e->fresh_until_us = UINT64_MAX;
    list_del(&e->age); /* not to be evicted */
    settle(n, e, mac, NEIGH_REACHABLE);
    return 0;
}
