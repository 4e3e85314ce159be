/*
 * One frame into the parser. The first byte of the input chooses the entry point (bit 0: raw IP)
 * and whether checksums count (bit 1); the rest is the frame, so most runs get past the sums.
 * Besides reading nothing outside, what was parsed lies inside the frame, and a TCP segment built
 * from it is parsed as the same segment.
 */
#include "mtcp/base/bug.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fuzz targets trap in every build. */
#define HOLDS(x) BUG_ON(!(x))

static bool opts_same(const struct tcp_opts *a, const struct tcp_opts *b)
{
    for (unsigned i = 0; i < b->n_sack; i++)
        if (!seq_eq(a->sack[i].start, b->sack[i].start) || !seq_eq(a->sack[i].end, b->sack[i].end))
            return false;
    return a->has_mss == b->has_mss && a->mss == b->mss && a->has_ts == b->has_ts &&
           a->ts_val == b->ts_val && a->ts_ecr == b->ts_ecr && a->has_wscale == b->has_wscale &&
           a->wscale == b->wscale && a->sack_permitted == b->sack_permitted &&
           a->n_sack >= b->n_sack; /* our layout may have room for fewer */
}

/* Sends the segment back the way it came and parses that. */
static void rebuild(const struct seg *in)
{
    struct seg out = *in;
    out.tuple = (struct flow_tuple){.local = in->tuple.remote,
                                    .remote = in->tuple.local,
                                    .local_port = in->tuple.remote_port,
                                    .remote_port = in->tuple.local_port};
    uint8_t *buf = malloc(BUILD_HDR_MAX + in->len);
    struct build_lens lens = build_tcp(buf, NULL, &out, 0);
    uint32_t hdr_len = (uint32_t)lens.l3 + lens.l4;
    if (in->len > 0)
        memcpy(buf + hdr_len, in->payload, in->len);
    build_tcp_csum(buf, lens, in->len, (struct build_offload){0});
    struct packet p;
    HOLDS(packet_parse_ip(&p, buf, hdr_len + in->len, PACKET_CSUM_UNKNOWN) == 0);
    HOLDS(p.kind == PACKET_TCP && p.seg.len == in->len && p.seg.flags == in->flags);
    HOLDS(flow_tuple_eq(&p.seg.tuple, &in->tuple) && seq_eq(p.seg.seq, in->seq));
    HOLDS(seq_eq(p.seg.ack, in->ack) && p.seg.wnd == in->wnd && p.seg.urg == in->urg);
    HOLDS(opts_same(&in->opt, &p.seg.opt));
    free(buf);
}

static void check_ndp(const struct packet *p, const uint8_t *end)
{
    struct ndp_msg m = p->ndp;
    struct ndp_prefix prefix;
    HOLDS(p->frame_len - p->l4_off >= 8 && (m.opts == NULL || m.opts + m.opts_len == end));
    HOLDS(!m.has_lladdr || (m.lladdr.b[0] & 1) == 0);
    while (ndp_next_prefix(&m, &prefix))
        HOLDS(prefix.len <= 128 && prefix.preferred_s <= prefix.valid_s);
    HOLDS(m.opts_len == 0);
}

static void check(const struct packet *p, const uint8_t *frame, uint32_t len)
{
    HOLDS(p->frame_len <= len && p->l3_off <= p->frame_len && p->l4_off <= p->frame_len);
    const uint8_t *end = frame + p->frame_len;
    switch (p->kind) {
    case PACKET_TCP:
        HOLDS(p->seg.payload >= frame + p->l4_off + TCP_HDR_LEN);
        HOLDS(p->seg.payload + p->seg.len == end);
        HOLDS(p->seg.opt.n_sack <= TCP_SACK_MAX && p->seg.opt.wscale <= TCP_WSCALE_MAX);
        if (p->seg.len <= 1500)
            rebuild(&p->seg);
        break;
    case PACKET_ICMP_ECHO:
    case PACKET_ICMP_ERROR:
        HOLDS(p->icmp.data + p->icmp.len == end && p->icmp.len >= 4);
        HOLDS(!p->icmp.has_tcp || p->icmp.len >= 4 + IPV4_HDR_LEN + 8);
        break;
    case PACKET_NDP:
        check_ndp(p, end);
        break;
    case PACKET_PROBLEM:
        HOLDS(p->l3_off + p->problem.pointer < p->frame_len && p->problem.code <= 2);
        break;
    case PACKET_FRAGMENT:
        HOLDS(p->l4_off >= p->l3_off + IPV4_HDR_LEN);
        break;
    case PACKET_ARP:
    case PACKET_OTHER:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65536 + ETH_HDR_LEN)
        return 0;
    uint32_t len = (uint32_t)size - 1;
    uint8_t *frame = malloc(len ? len : 1); /* exactly the frame, at an even address */
    memcpy(frame, data + 1, len);
    enum packet_csum csum = data[0] & 2 ? PACKET_CSUM_UNKNOWN : PACKET_CSUM_GOOD;
    struct packet p;
    int rc =
        data[0] & 1 ? packet_parse_ip(&p, frame, len, csum) : packet_parse(&p, frame, len, csum);
    HOLDS(rc == 0 || rc == -EBADMSG || rc == -ENOTSUP ||
          (rc == -EILSEQ && csum == PACKET_CSUM_UNKNOWN));
    if (rc == 0)
        check(&p, frame, len);
    free(frame);
    return 0;
}
