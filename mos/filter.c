/*
 * pcap filters: compiled by libpcap for Ethernet, run by its interpreter. Machine code would be
 * faster; but what DPDK 22.11 made of some (rte_bpf_convert, rte_bpf_load, over a packet buffer
 * made for it), "ether broadcast or ether multicast" for one, crashed, and why has not been found.
 */
#include "mos/filter.h"

#include "mos/as_sent.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#define SNAP_BYTES 256 /* of a frame that must be copied behind an Ethernet header */

struct filter {
    struct bpf_program prog;
};

/* What the filter looks at. */
struct view {
    const uint8_t *at;
    uint32_t caplen, len;
};

static int compile(struct filter *f, const char *text)
{
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
    if (!dead)
        return -ENOMEM;
    int rc = pcap_compile(dead, &f->prog, text, 1, PCAP_NETMASK_UNKNOWN);
    if (rc != 0) /* the optimizer refuses what nothing matches */
        rc = pcap_compile(dead, &f->prog, text, 0, PCAP_NETMASK_UNKNOWN);
    pcap_close(dead);
    return rc == 0 ? 0 : -EINVAL;
}

int filter_compile(struct mem *mem, const char *text, struct filter **out)
{
    *out = NULL;
    if (!text || !*text)
        return 0;
    struct filter *f = mem_zalloc(mem, sizeof(*f));
    if (!f)
        return -ENOMEM;
    int rc = compile(f, text);
    if (rc != 0) {
        mem_free(mem, f, sizeof(*f));
        return rc;
    }
    *out = f;
    return 0;
}

void filter_free(struct mem *mem, struct filter *f)
{
    if (!f)
        return;
    pcap_freecode(&f->prog);
    mem_free(mem, f, sizeof(*f));
}

/* Headers of the segment behind an Ethernet header without addresses. */
static struct view view_rebuilt(const struct hook_seg *s, uint8_t *buf)
{
    struct build_l2 l2 = {0};
    struct seg seg = seg_as_sent(s);
    struct build_lens lens = build_tcp(buf, &l2, &seg, 0);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    return (struct view){buf, hdrs, hdrs + seg.len};
}

/* An IP packet without Ethernet header, put behind one. */
static struct view view_behind_eth(const struct hook_seg *s, const struct packet *p, uint8_t *buf)
{
    struct eth_hdr eth = {0};
    eth.type = be16_make(ip_addr_is_v4(&p->src) ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    uint32_t n = s->frame_len < SNAP_BYTES ? s->frame_len : SNAP_BYTES;
    memcpy(buf, &eth, sizeof(eth));
    memcpy(buf + sizeof(eth), s->frame, n);
    return (struct view){buf, (uint32_t)sizeof(eth) + n, (uint32_t)sizeof(eth) + s->frame_len};
}

bool filter_match(const struct filter *f, const struct hook_seg *s, const struct packet *p)
{
    if (!f)
        return true;
    uint8_t buf[BUILD_HDR_MAX > sizeof(struct eth_hdr) + SNAP_BYTES
                    ? BUILD_HDR_MAX
                    : sizeof(struct eth_hdr) + SNAP_BYTES];
    struct view v = {s->frame, s->frame_len, s->frame_len};
    bool has_eth = s->frame && (s->l3_off > 0 || (p && p->eth_type != 0));
    if (!has_eth && s->seg)
        v = view_rebuilt(s, buf);
    else if (!has_eth && s->frame && p)
        v = view_behind_eth(s, p, buf);
    if (!v.at)
        return false;
    struct pcap_pkthdr hdr = {.caplen = v.caplen, .len = v.len};
    return pcap_offline_filter(&f->prog, &hdr, v.at) != 0;
}
