/*
 * ICMP of both families. An error is believed only when it quotes a segment that its connection may
 * have in flight (RFC 5927 4.1), and never ends an established connection (RFC 1122 4.2.3.9, RFC
 * 5927 5.2). What is sent is rate limited.
 */
#include "mtcp/net/icmp.h"

#include "mtcp/net/half_open.h"
#include "mtcp/net/listener.h"
#include "mtcp/net/ndp.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/route.h"
#include "mtcp/net/source.h"
#include "mtcp/wire/build.h"

#include <errno.h>

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
}; /* those of IPv6: enum icmp6_type */

#define CODE_FRAG_NEEDED 4
#define PMTU_UNSAID      576u /* routers older than RFC 1191 name none: what every path takes */
#define ICMP_HDR         4u   /* type, code, checksum */
#define TTL              64

/* ---- echo ----------------------------------------------------------------------------------- */

/* Sends *i, whose l2 is filled in here, when it fits: the device, and the packet. */
static void icmp_send(struct net *n, struct build_icmp *i)
{
    const struct net_hop *hop = route_hop(n, &i->dst);
    uint32_t len = (ip_addr_is_v4(&i->src) ? IPV4_HDR_LEN : IPV6_HDR_LEN) + ICMP_HDR + i->len;
    if (!hop || len > netif_mtu(&n->ifs[hop->netif], &i->src))
        return;
    struct net_if *nif = &n->ifs[hop->netif];
    struct mtcp_pkt *pkt = netif_alloc(nif);
    if (!pkt)
        return;
    if (pkt->room < ETH_HDR_LEN + len) {
        nif->io->free(nif->io, pkt);
        return;
    }
    i->l2.src = nif->mac;
    pkt->len = build_icmp(pkt->data, i);
    n->stats.icmp_out++;
    netif_send_to(n, hop, pkt);
}

static void echo_reply(struct net *n, const struct rx *x)
{
    bool is_v4 = ip_addr_is_v4(&x->p.src);
    const struct net_addr *from = source_for(n, x->nif, &x->p.src);
    bool to_many = ip_addr_is_multicast(&x->p.dst);
    if (to_many && !from)
        return;
    struct build_icmp reply = {.src = to_many ? from->ip : x->p.dst,
                               .dst = x->p.src,
                               .type = is_v4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY,
                               .ttl = TTL,
                               .data = x->p.icmp.data,
                               .len = x->p.icmp.len};
    icmp_send(n, &reply);
}

static void echo_in(struct net *n, const struct rx *x)
{
    bool is_request = x->p.icmp.type == (ip_addr_is_v4(&x->p.src) ? ICMP_ECHO : ICMP6_ECHO);
    if (is_request && rate_limit_take(&n->icmp_limit, n->env.now_us))
        echo_reply(n, x);
}

/* ---- errors --------------------------------------------------------------------------------- */

struct icmp_error {
    uint8_t err; /* 0: of no consequence */
    bool is_hard;
};

/* RFC 1122 4.2.3.9: 2 to 4 are hard, 0, 1 and 5 soft; what forbids the way (9, 10, 13) is as Linux
 * has it. */
static struct icmp_error unreachable_error(uint8_t code)
{
    static const struct icmp_error errors[] = {
        [0] = {ENETUNREACH, false},  [1] = {EHOSTUNREACH, false},  [2] = {ENOPROTOOPT, true},
        [3] = {ECONNREFUSED, true},  [5] = {EOPNOTSUPP, false},    [6] = {ENETUNREACH, false},
        [7] = {EHOSTUNREACH, false}, [8] = {EHOSTUNREACH, false},  [9] = {ENETUNREACH, true},
        [10] = {EHOSTUNREACH, true}, [11] = {ENETUNREACH, false},  [12] = {EHOSTUNREACH, false},
        [13] = {EHOSTUNREACH, true}, [14] = {EHOSTUNREACH, false}, [15] = {EHOSTUNREACH, false},
    };
    return code < sizeof(errors) / sizeof(errors[0]) ? errors[code] : (struct icmp_error){0, false};
}

/* RFC 4443 3.1; which of them are hard is as Linux has it. */
static struct icmp_error unreachable6_error(uint8_t code)
{
    static const struct icmp_error errors[] = {
        [0] = {ENETUNREACH, false},  [1] = {EACCES, true},       [2] = {EHOSTUNREACH, false},
        [3] = {EHOSTUNREACH, false}, [4] = {ECONNREFUSED, true}, [5] = {EACCES, true},
        [6] = {EACCES, true},
    };
    return code < sizeof(errors) / sizeof(errors[0]) ? errors[code] : (struct icmp_error){0, false};
}

static struct icmp_error error6_of(uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP6_UNREACHABLE:
        return unreachable6_error(code);
    case ICMP6_TIME_EXCEEDED:
        return (struct icmp_error){EHOSTUNREACH, false};
    case ICMP6_PARAMETER_PROBLEM:
        return (struct icmp_error){EPROTO, false};
    default:
        return (struct icmp_error){0, false};
    }
}

static struct icmp_error error_of(uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP_UNREACHABLE:
        return unreachable_error(code);
    case ICMP_TIME_EXCEEDED:
        return (struct icmp_error){EHOSTUNREACH, false};
    case ICMP_PARAMETER_PROBLEM:
        return (struct icmp_error){EPROTO, false};
    default: /* source quench is ignored (RFC 6633) */
        return (struct icmp_error){0, false};
    }
}

/* Might the quoted segment be on its way (RFC 5927 4.1: SND.UNA =< SEG.SEQ < SND.NXT)? */
static bool conn_has_sent(const struct tcp_conn *c, tcp_seq_t seq)
{
    tcp_off_t una = unlikely(fastopen_is_pending(c)) ? -1 : c->snd_una; /* the SYN-ACK is */
    tcp_off_t off = off_of_seq(c->iss, seq, una);
    return c->state != TCPS_CLOSED && off >= una && (off < c->snd_max || off == -1);
}

static bool is_too_big(const struct packet *p, bool is_v4)
{
    return is_v4 ? p->icmp.type == ICMP_UNREACHABLE && p->icmp.code == CODE_FRAG_NEEDED
                 : p->icmp.type == ICMP6_PACKET_TOO_BIG;
}

static void error_to_conn(struct net *n, struct tcp_conn *c, const struct packet *p)
{
    bool is_v4 = ip_addr_is_v4(&c->tuple.local);
    if (c->flags & TCF_DEAD)
        return;
    if (!conn_has_sent(c, p->icmp.seq)) {
        n->stats.icmp_out_of_window++;
        return;
    }
    if (is_too_big(p, is_v4)) {
        pmtu_learn(n, c, p->icmp.mtu || !is_v4 ? p->icmp.mtu : PMTU_UNSAID);
        return;
    }
    struct icmp_error e =
        is_v4 ? error_of(p->icmp.type, p->icmp.code) : error6_of(p->icmp.type, p->icmp.code);
    /* Nobody has seen a Fast Open that waits to be accepted: it ends as a half-open one does. */
    bool is_unseen = fastopen_is_pending(c) && conn_waits_for_accept(c);
    if (e.err)
        tcp_net_error(&n->env, c, e.err, e.is_hard || is_unseen);
}

/* Its SYN-ACK does not reach the peer: the handshake will not end, and if it could, the peer sends
 * its SYN again. As Linux has it; RFC 5461 3 is about such connections that nobody has yet. */
static bool ends_half_open(const struct packet *p)
{
    if (!ip_addr_is_v4(&p->src))
        return p->icmp.type == ICMP6_PARAMETER_PROBLEM ||
               error6_of(p->icmp.type, p->icmp.code).is_hard;
    return p->icmp.type == ICMP_TIME_EXCEEDED || p->icmp.type == ICMP_PARAMETER_PROBLEM ||
           (p->icmp.type == ICMP_UNREACHABLE && p->icmp.code <= 1);
}

static void error_to_half_open(struct net *n, struct tcp_half_open *h, const struct packet *p)
{
    if (!seq_eq(p->icmp.seq, h->iss))
        n->stats.icmp_out_of_window++;
    else if (ends_half_open(p))
        half_open_end(n, h, HOOK_END_TIMEOUT);
}

static void icmp_error_in(struct net *n, const struct rx *x)
{
    if (!x->p.icmp.has_tcp)
        return;
    const struct flow_tuple *t = &x->p.icmp.tuple;
    struct flow *f = flow_table_find(n->flows, t, flow_table_hash(n->flows, t));
    if (f && f->kind == FLOW_CONN) {
        struct tcp_conn *c = conn_of_flow(f);
        error_to_conn(n, c, &x->p);
        tcp_run_queued(&n->env, c);
    } else if (f && f->kind == FLOW_HALF_OPEN) {
        error_to_half_open(n, (struct tcp_half_open *)(void *)f, &x->p);
    } else if (f && f->kind == FLOW_DORMANT) {
        n->stats.icmp_out_of_window++; /* nothing is on its way */
    }
}

void icmp_in(struct net *n, const struct rx *x)
{
    bool is_echo = x->p.kind == PACKET_ICMP_ECHO;
    n->stats.icmp_in++;
    if (!netif_owns(n, &x->p.dst) && !(is_echo && ndp_is_in_group(x->nif, &x->p.dst)))
        return;
    if (is_echo)
        echo_in(n, x);
    else
        icmp_error_in(n, x);
}

/* Says which header or option of the packet nobody here can do anything with (RFC 4443 3.4), and
 * quotes as much of it as fits the smallest link. Not to who can't be answered (RFC 4443 2.4). */
void icmp_problem(struct net *n, const struct rx *x)
{
    uint8_t data[PMTU_MIN6 - IPV6_HDR_LEN - ICMP_HDR];
    if (!netif_owns(n, &x->p.dst) || !netif_addr_is_host(&x->p.src) ||
        !rate_limit_take(&n->icmp_limit, n->env.now_us))
        return;
    be32_t pointer = be32_make(x->p.problem.pointer);
    uint32_t quoted = x->p.frame_len - x->p.l3_off;
    if (quoted > sizeof(data) - sizeof(pointer))
        quoted = sizeof(data) - sizeof(pointer);
    memcpy(data, &pointer, sizeof(pointer));
    memcpy(data + sizeof(pointer), x->pkt->data + x->p.l3_off, quoted);
    struct build_icmp i = {.src = x->p.dst,
                           .dst = x->p.src,
                           .type = ICMP6_PARAMETER_PROBLEM,
                           .code = x->p.problem.code,
                           .ttl = TTL,
                           .data = data,
                           .len = (uint32_t)sizeof(pointer) + quoted};
    icmp_send(n, &i);
}
