/*
 * Packets of a monitor's own: the pieces that a caller names are checked against each other, put
 * together, summed, and handed to the endpoint. Caller's headers lie at any address.
 */
#include "mos/sendpkt.h"

#include "mos/conns.h"
#include "mos/edit.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <string.h>

/* The lengths of the pieces. */
struct lens {
    uint32_t ip, tcp, payload;
};

static uint32_t lens_sum(const struct lens *l)
{
    return l->ip + l->tcp + l->payload;
}

static uint8_t ip_version(const struct pkt_info *p)
{
    return *(const uint8_t *)(const void *)p->iph >> 4;
}

static int lens_v4(const struct pkt_info *p, struct lens *l)
{
    const struct ipv4_hdr *h = (const void *)p->iph;
    l->ip = (h->ver_ihl & 0x0fu) * 4u;
    return l->ip >= IPV4_HDR_LEN && be16_get(h->total_len) == lens_sum(l) ? 0 : -EINVAL;
}

/* Extension headers would lie behind the header that the caller shows. */
static int lens_v6(const struct pkt_info *p, struct lens *l)
{
    const struct ipv6_hdr *h = (const void *)p->iph;
    l->ip = IPV6_HDR_LEN;
    return h->next_hdr == IP_PROTO_TCP && be16_get(h->payload_len) == l->tcp + l->payload ? 0
                                                                                          : -EINVAL;
}

static int lens_of(const struct pkt_info *p, struct lens *l)
{
    const struct tcp_hdr *tcp = (const void *)p->tcph;
    uint8_t version = ip_version(p);
    *l = (struct lens){.tcp = (tcp->doff_ns >> 4) * 4u, .payload = p->payloadlen};
    if (l->tcp < TCP_HDR_LEN)
        return -EINVAL;
    if (version == 4)
        return lens_v4(p, l);
    return version == 6 ? lens_v6(p, l) : -EINVAL;
}

/* The packet at `at`; *to is whom it is for. */
static int assemble(const struct pkt_info *p, const struct lens *l, uint8_t *at, struct ip_addr *to)
{
    struct packet parsed;
    memcpy(at, p->iph, l->ip);
    memcpy(at + l->ip, p->tcph, l->tcp);
    if (l->payload > 0)
        memcpy(at + l->ip + l->tcp, p->payload, l->payload);
    if (packet_parse_ip(&parsed, at, lens_sum(l), PACKET_CSUM_GOOD) != 0 ||
        parsed.kind != PACKET_TCP)
        return -EINVAL;
    struct edit_frame f = edit_frame_of(&parsed, at, lens_sum(l));
    edit_checksums(&f, MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
    *to = parsed.dst;
    return 0;
}

/* Link-local addresses are those of the connection's link. */
static void set_zone(const struct mon_conn *c, struct ip_addr *to)
{
    struct tcp_flow_view v;
    if (!c || !ip_addr_is_link_local(to))
        return;
    mon_conn_view(c, &v);
    if (ip_addr_is_link_local(&v.tuple.local))
        ip_addr_set_zone(to, ip_addr_zone(&v.tuple.local));
}

static int send_assembled(struct mon *m, const struct mon_conn *c, const struct pkt_info *p,
                          const struct lens *l)
{
    struct ip_addr to;
    uint8_t *at = mem_alloc(m->mem, lens_sum(l));
    if (!at)
        return -ENOBUFS;
    int rc = assemble(p, l, at, &to);
    if (rc == 0) {
        set_zone(c, &to);
        rc = m->sv->send(m->ctx, &to, (const void *)p->ethh, at, lens_sum(l));
    }
    mem_free(m->mem, at, lens_sum(l));
    return rc;
}

/* Does the Ethernet header, if there is one, announce that version of IP? */
static bool eth_fits(const struct pkt_info *p)
{
    const struct eth_hdr *h = (const void *)p->ethh;
    return !h || be16_get(h->type) == (ip_version(p) == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
}

int sendpkt(struct mon *m, const struct mon_conn *c, const struct pkt_info *p)
{
    struct lens l;
    if (!p || !p->iph || !p->tcph || (!p->payload && p->payloadlen > 0))
        return -EFAULT;
    int rc = lens_of(p, &l);
    if (rc != 0)
        return rc;
    return eth_fits(p) ? send_assembled(m, c, p, &l) : -EINVAL;
}
