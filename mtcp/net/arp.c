/* ARP: the table, requests with retries, answers. What other hosts say can fill the table with
 * neighbours that nobody uses, but can't push out those that are. */
#include "mtcp/net/arp.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/route.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/wire/build.h"

#include <errno.h>

enum {
    N_BUCKETS = 256,
    EVICT_SCAN = 32, /* how many old entries are looked at for a victim */
};

struct arp {
    struct pool entries;
    struct arp_entry *bucket[N_BUCKETS];
    struct list_node aged; /* all but the static ones, by arp_entry.age */
    uint32_t n_waiting;
};

/* ---- the table ------------------------------------------------------------------------------ */

int arp_init(struct net *n)
{
    struct arp *a = mem_zalloc(n->env.mem, sizeof(*a));
    if (!a)
        return -ENOMEM;
    pool_init(&a->entries, n->env.mem, sizeof(struct arp_entry), ARP_MAX_ENTRIES);
    list_init(&a->aged);
    n->arp = a;
    return 0;
}

static struct arp_entry **bucket_of(struct net *n, uint8_t netif, be32_t ip)
{
    struct {
        be32_t ip;
        uint32_t netif;
    } key = {ip, netif};
    return &n->arp->bucket[hash_siphash13(&n->env.secret, &key, sizeof(key)) % N_BUCKETS];
}

static struct arp_entry *arp_find(struct net *n, uint8_t netif, be32_t ip)
{
    struct arp_entry *e = *bucket_of(n, netif, ip);
    while (e && (e->ip.raw != ip.raw || e->netif != netif))
        e = e->chain;
    return e;
}

static struct arp_entry *entry_new(struct net *n, uint8_t netif, be32_t ip)
{
    struct arp_entry *e = pool_get(&n->arp->entries);
    if (!e)
        return NULL;
    struct arp_entry **head = bucket_of(n, netif, ip);
    *e = (struct arp_entry){.ip = ip, .netif = netif, .chain = *head};
    *head = e;
    e->parked_tail = &e->parked;
    list_push_tail(&n->arp->aged, &e->age);
    timer_init(&e->timer, NET_TIMER_ARP);
    return e;
}

/* The packets that waited, off the entry, as a list. */
static struct mtcp_pkt *take_waiting(struct net *n, struct arp_entry *e)
{
    struct mtcp_pkt *head = e->wait_head;
    n->arp->n_waiting -= e->n_waiting;
    e->n_waiting = 0;
    e->wait_head = e->wait_tail = NULL;
    return head;
}

static void entry_free(struct net *n, struct arp_entry *e)
{
    struct net_if *nif = &n->ifs[e->netif];
    for (struct mtcp_pkt *pkt = take_waiting(n, e), *next; pkt; pkt = next) {
        next = pkt->next;
        nif->io->free(nif->io, pkt);
    }
    struct arp_entry **at = bucket_of(n, e->netif, e->ip);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    wheel_cancel(&n->env.wheel, &e->timer);
    list_del(&e->age);
    pool_put(&n->arp->entries, e);
    route_hops_forget(n);
}

/* Makes room in a full table: an old entry that nobody used, else the oldest that holds no packets.
 */
static bool evict_one(struct net *n)
{
    struct arp_entry *victim = NULL;
    unsigned n_seen = 0;
    LIST_FOREACH (at, &n->arp->aged) {
        struct arp_entry *e = container_of(at, struct arp_entry, age);
        if (e->n_waiting == 0 && !e->parked && (!victim || !e->is_used))
            victim = e;
        if ((victim && !victim->is_used) || ++n_seen == EVICT_SCAN)
            break;
    }
    if (victim)
        entry_free(n, victim);
    return victim != NULL;
}

struct arp_entry *arp_get(struct net *n, uint8_t netif, const struct ip_addr *ip)
{
    if (!ip_addr_is_v4(ip))
        return NULL;
    struct arp_entry *e = arp_find(n, netif, ip->w[3]);
    if (!e)
        e = entry_new(n, netif, ip->w[3]);
    if (!e && evict_one(n))
        e = entry_new(n, netif, ip->w[3]);
    if (e)
        e->is_used = true;
    return e;
}

void arp_fini(struct net *n)
{
    if (!n->arp)
        return;
    for (unsigned i = 0; i < N_BUCKETS; i++)
        while (n->arp->bucket[i])
            entry_free(n, n->arp->bucket[i]);
    pool_fini(&n->arp->entries);
    mem_free(n->env.mem, n->arp, sizeof(*n->arp));
    n->arp = NULL;
}

/* ---- frames out ----------------------------------------------------------------------------- */

static void send_arp(struct net_if *nif, const struct build_arp *a)
{
    struct mtcp_pkt *pkt = netif_alloc(nif);
    if (!pkt)
        return;
    pkt->len = build_arp(pkt->data, a);
    netif_send(nif, pkt);
}

/* Asks everybody, or the neighbour itself when its address is thought to be known. */
static void send_request(struct net *n, const struct arp_entry *e, bool to_all)
{
    struct net_if *nif = &n->ifs[e->netif];
    struct build_arp a = {.sender_mac = nif->mac, .sender_ip = nif->addr.w[3], .target_ip = e->ip};
    if (!to_all)
        a.target_mac = e->mac;
    send_arp(nif, &a);
}

void arp_announce(struct net *n, struct net_if *nif)
{
    (void)n;
    struct build_arp a = {
        .sender_mac = nif->mac, .sender_ip = nif->addr.w[3], .target_ip = nif->addr.w[3]};
    send_arp(nif, &a);
}

static void send_reply(struct net_if *nif, const struct packet *request)
{
    struct build_arp a = {.is_reply = true,
                          .sender_mac = nif->mac,
                          .sender_ip = nif->addr.w[3],
                          .target_mac = request->arp.sender_mac,
                          .target_ip = request->arp.sender_ip.w[3]};
    send_arp(nif, &a);
}

/* ---- resolution ----------------------------------------------------------------------------- */

static void start_asking(struct net *n, struct arp_entry *e, enum arp_state state)
{
    e->state = (uint8_t)state;
    e->n_tries = 1;
    send_request(n, e, state == ARP_ASKING);
    wheel_arm(&n->env.wheel, &e->timer, n->env.now_us + ARP_RETRY_US);
}

/* The latest packets are kept (RFC 1122 2.3.2.2). */
static void wait_push(struct net *n, struct arp_entry *e, struct mtcp_pkt *pkt)
{
    struct mtcp_io *io = n->ifs[e->netif].io;
    if (e->n_waiting == ARP_ENTRY_WAITING) {
        struct mtcp_pkt *oldest = e->wait_head;
        e->wait_head = oldest->next;
        e->n_waiting--;
        n->arp->n_waiting--;
        n->stats.arp_queue_full++;
        io->free(io, oldest);
    } else if (n->arp->n_waiting >= ARP_MAX_WAITING) {
        n->stats.arp_queue_full++;
        io->free(io, pkt);
        return;
    }
    pkt->next = NULL;
    if (e->n_waiting++ > 0)
        e->wait_tail->next = pkt;
    else
        e->wait_head = pkt;
    e->wait_tail = pkt;
    n->arp->n_waiting++;
}

bool arp_resolve(struct net *n, struct arp_entry *e, struct mtcp_pkt *pkt)
{
    if (arp_is_known(e)) {
        arp_address_frame(e, pkt);
        if (e->state == ARP_KNOWN) {
            start_asking(n, e, ARP_RECHECK);
            e->fresh_until_us = n->env.now_us + (uint64_t)ARP_TRIES * ARP_RETRY_US;
        }
        return true;
    }
    wait_push(n, e, pkt);
    if (e->state == ARP_IDLE)
        start_asking(n, e, ARP_ASKING);
    return false;
}

void arp_park(struct net *n, struct arp_entry *e, struct tcp_conn *c)
{
    if (!(c->flags & TCF_ON_OUT)) {
        c->flags |= TCF_ON_OUT;
        c->out_next = NULL;
        *e->parked_tail = c;
        e->parked_tail = &c->out_next;
    }
    if (e->state == ARP_IDLE)
        start_asking(n, e, ARP_ASKING);
}

/* Those that waited go to the end of the list of those that have something to send. */
static void unpark(struct net *n, struct arp_entry *e)
{
    if (!e->parked)
        return;
    *n->env.out_tail = e->parked;
    n->env.out_tail = e->parked_tail;
    e->parked = NULL;
    e->parked_tail = &e->parked;
}

void arp_unpark_all(struct net *n)
{
    LIST_FOREACH (at, &n->arp->aged)
        unpark(n, container_of(at, struct arp_entry, age));
}

/* Their wait was in vain: an error, and what they have to send counts as lost, so that their own
 * timers decide when to give up. */
static void unpark_failed(struct net *n, struct arp_entry *e)
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

/* Nobody answered. The entry stays, so that the next packet starts anew. */
static void give_up(struct net *n, struct arp_entry *e)
{
    struct net_if *nif = &n->ifs[e->netif];
    e->state = ARP_IDLE;
    e->fresh_until_us = 0;
    n->stats.arp_failed++;
    for (struct mtcp_pkt *pkt = take_waiting(n, e), *next; pkt; pkt = next) {
        next = pkt->next;
        nif->io->free(nif->io, pkt);
    }
    unpark_failed(n, e); /* last: monitors hear of it, and may make the table change */
}

void arp_timer(struct net *n, struct arp_entry *e)
{
    if (e->n_tries >= ARP_TRIES) {
        give_up(n, e);
        return;
    }
    e->n_tries++;
    send_request(n, e, true);
    wheel_arm(&n->env.wheel, &e->timer, n->env.now_us + ARP_RETRY_US);
}

/* ---- packets in ----------------------------------------------------------------------------- */

/* The address is known: what waited for it goes. */
static void settle(struct net *n, struct arp_entry *e, const struct mac_addr *mac)
{
    struct net_if *nif = &n->ifs[e->netif];
    e->mac = *mac;
    e->state = ARP_KNOWN;
    wheel_cancel(&n->env.wheel, &e->timer);
    for (struct mtcp_pkt *pkt = take_waiting(n, e), *next; pkt; pkt = next) {
        next = pkt->next;
        arp_address_frame(e, pkt);
        netif_send(nif, pkt);
    }
    unpark(n, e);
}

static void learn(struct net *n, struct arp_entry *e, const struct mac_addr *mac)
{
    if (e->is_static)
        return;
    e->fresh_until_us = n->env.now_us + ARP_FRESH_US;
    list_del(&e->age);
    list_push_tail(&n->arp->aged, &e->age);
    settle(n, e, mac);
}

int net_arp_add(struct net *n, uint8_t netif, const struct ip_addr *ip, const struct mac_addr *mac)
{
    if (netif >= n->n_ifs || !ip_addr_is_v4(ip))
        return -EINVAL;
    struct arp_entry *e = arp_get(n, netif, ip);
    if (!e)
        return -ENOSPC;
    e->is_static = true;
    e->fresh_until_us = UINT64_MAX;
    list_del(&e->age); /* not to be evicted */
    settle(n, e, mac);
    return 0;
}

static bool sender_is_sane(const struct net_if *nif, const struct packet *p)
{
    static const struct mac_addr none;
    const struct mac_addr *mac = &p->arp.sender_mac;
    return (mac->b[0] & 1) == 0 && memcmp(mac, &none, sizeof(none)) != 0 &&
           !ip_addr_eq(&p->arp.sender_ip, &nif->addr);
}

/* Is it a host on this interface's own link? */
static bool sender_is_neighbour(const struct net *n, const struct net_if *nif,
                                const struct ip_addr *ip)
{
    const struct net_route *r = route_find(n, ip);
    return netif_addr_is_host(ip) && r && r->netif == nif->index && ip_addr_is_any(&r->gateway);
}

void arp_in(struct net *n, struct net_if *nif, const struct packet *p)
{
    if (ip_addr_is_any(&nif->addr) || !sender_is_sane(nif, p))
        return;
    bool asks_us = !p->arp.is_reply && ip_addr_eq(&p->arp.target_ip, &nif->addr);
    struct arp_entry *e = arp_find(n, nif->index, p->arp.sender_ip.w[3]);
    if (!e && asks_us && sender_is_neighbour(n, nif, &p->arp.sender_ip))
        e = entry_new(n, nif->index, p->arp.sender_ip.w[3]); /* who asks will soon be answered */
    if (e)
        learn(n, e, &p->arp.sender_mac);
    if (asks_us)
        send_reply(nif, p);
}
