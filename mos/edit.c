/* Changes of a frame. One table says what its parts bear. */
#include "mos/edit.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/sums.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ACTIONS (MOS_DROP | MOS_OVERWRITE | MOS_CHOMP | MOS_INSERT)
#define PLACES  (MOS_ETH_HDR | MOS_IP_HDR | MOS_TCP_HDR | MOS_TCP_PAYLOAD)
#define CSUMS   (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)

#define IP_MAX       EDIT_IP_MAX
#define ETH_ADDRS    12u
#define IPV4_HDR_MAX 60u

enum { OPT_END, OPT_NOP, OPT_SACK = 5 }; /* RFC 9293 3.2, 2018 3 */

/* A part of a frame, [from, to), and what its length may be. */
struct part {
    uint32_t from, to;
    uint32_t fixed;    /* its first bytes, which nothing is put into or taken out of */
    uint32_t min, max; /* bytes */
    uint32_t unit;     /* by which it is longer than min */
};

/* ---- options -------------------------------------------------------------------------------- */

static bool is_one_bit(int bits)
{
    return bits != 0 && (bits & (bits - 1)) == 0;
}

bool edit_option_is_valid(int option)
{
    if ((option & ~(ACTIONS | PLACES | CSUMS)) || !is_one_bit(option & ACTIONS))
        return false;
    return option & MOS_DROP ? (option & PLACES) == 0 : is_one_bit(option & PLACES);
}

/* ---- parts ---------------------------------------------------------------------------------- */

struct edit_frame edit_frame_of(const struct packet *p, uint8_t *at, uint32_t room)
{
    return (struct edit_frame){
        .at = at,
        .len = p->frame_len,
        .room = room,
        .l3 = p->l3_off,
        .l4 = p->l4_off,
        .payload = p->frame_len - p->seg.len,
        .is_v6 = !ip_addr_is_v4(&p->dst),
    };
}

static struct part part_of(const struct edit_frame *f, int option)
{
    if (option & MOS_ETH_HDR)
        return (struct part){0, f->l3, ETH_ADDRS, ETH_HDR_LEN, EDIT_ETH_MAX, 4};
    if ((option & MOS_IP_HDR) && f->is_v6) /* extension headers: RFC 8200 4 */
        return (struct part){f->l3, f->l4, IPV6_HDR_LEN, IPV6_HDR_LEN, IP_MAX, 8};
    if (option & MOS_IP_HDR)
        return (struct part){f->l3, f->l4, IPV4_HDR_LEN, IPV4_HDR_LEN, IPV4_HDR_MAX, 4};
    if (option & MOS_TCP_HDR)
        return (struct part){f->l4, f->payload, TCP_HDR_LEN, TCP_HDR_LEN, TCP_HDR_LEN + TCP_OPT_MAX,
                             4};
    return (struct part){f->payload, f->len, 0, 0, IP_MAX, 1};
}

/* May it have so many bytes? */
static bool part_bears(const struct part *p, uint32_t len)
{
    return len >= p->min && len <= p->max && (len - p->min) % p->unit == 0;
}

/* ---- lengths -------------------------------------------------------------------------------- */

static void lengths_write_ip(const struct edit_frame *f)
{
    uint32_t len = f->len - f->l3;
    if (f->is_v6) {
        struct ipv6_hdr *h = (void *)(f->at + f->l3);
        h->payload_len = be16_make((uint16_t)(len - IPV6_HDR_LEN));
        return;
    }
    struct ipv4_hdr *h = (void *)(f->at + f->l3);
    h->ver_ihl = (uint8_t)((h->ver_ihl & 0xf0u) | (f->l4 - f->l3) / 4);
    h->total_len = be16_make((uint16_t)len);
}

void edit_lengths(const struct edit_frame *f)
{
    struct tcp_hdr *h = (void *)(f->at + f->l4);
    h->doff_ns = (uint8_t)((h->doff_ns & 0x0fu) | ((f->payload - f->l4) / 4) << 4);
    lengths_write_ip(f);
}

/* What lies behind the place is somewhere else now. */
static void parts_move(struct edit_frame *f, int option, uint32_t by)
{
    f->len += by;
    if (option & MOS_TCP_PAYLOAD)
        return;
    f->payload += by;
    if (option & MOS_TCP_HDR)
        return;
    f->l4 += by;
    if (option & MOS_ETH_HDR)
        f->l3 += by;
}

/* ---- actions -------------------------------------------------------------------------------- */

static int overwrite(const struct edit_frame *f, const struct edit *e, const struct part *p)
{
    uint32_t len = p->to - p->from;
    if (e->offset > len || e->len > len - (uint32_t)e->offset)
        return -EINVAL;
    if (e->len > 0)
        memcpy(f->at + p->from + e->offset, e->data, e->len);
    return 0;
}

static int chomp(struct edit_frame *f, const struct edit *e, const struct part *p)
{
    uint32_t len = p->to - p->from;
    if (e->offset < p->fixed || e->offset > len || e->len > len - (uint32_t)e->offset ||
        !part_bears(p, len - e->len))
        return -EINVAL;
    uint8_t *at = f->at + p->from + e->offset;
    memmove(at, at + e->len, f->len - (size_t)(at + e->len - f->at));
    parts_move(f, e->option, -e->len);
    edit_lengths(f);
    return 0;
}

static int insert(struct edit_frame *f, const struct edit *e, const struct part *p)
{
    uint32_t len = p->to - p->from;
    if (e->offset < p->fixed || e->offset > len || e->len > IP_MAX ||
        !part_bears(p, len + e->len) || f->room - f->len < e->len)
        return -EINVAL;
    if (!(e->option & MOS_ETH_HDR) && f->len - f->l3 + e->len > IP_MAX)
        return -EINVAL;
    uint8_t *at = f->at + p->from + e->offset;
    memmove(at + e->len, at, f->len - (size_t)(at - f->at));
    if (e->len > 0)
        memcpy(at, e->data, e->len);
    parts_move(f, e->option, e->len);
    edit_lengths(f);
    return 0;
}

int edit_apply(struct edit_frame *f, const struct edit *e)
{
    struct part p = part_of(f, e->option);
    if (e->offset < 0)
        return -EINVAL;
    if (e->option & MOS_OVERWRITE)
        return overwrite(f, e, &p);
    return e->option & MOS_CHOMP ? chomp(f, e, &p) : insert(f, e, &p);
}

/* ---- checksums ------------------------------------------------------------------------------ */

void edit_checksums(const struct edit_frame *f, int option)
{
    uint8_t *ip = f->at + f->l3;
    if ((option & MOS_UPDATE_IP_CHKSUM) && !f->is_v6)
        sums_write_ipv4(ip, f->l4 - f->l3);
    if (option & MOS_UPDATE_TCP_CHKSUM)
        sums_write_l4(ip, f->l4 - f->l3, f->len - f->l3, IP_PROTO_TCP);
}

/* ---- numbers -------------------------------------------------------------------------------- */

void edit_flags(const struct edit_frame *f, uint8_t flags)
{
    struct tcp_hdr *h = (void *)(f->at + f->l4);
    h->flags = flags;
}

void edit_seq(const struct edit_frame *f, tcp_seq_t seq, uint16_t urg)
{
    struct tcp_hdr *h = (void *)(f->at + f->l4);
    h->seq = be32_make(seq.v);
    h->urg = be16_make(urg);
}

void edit_ack(const struct edit_frame *f, tcp_seq_t ack, uint16_t wnd)
{
    struct tcp_hdr *h = (void *)(f->at + f->l4);
    h->ack = be32_make(ack.v);
    h->wnd = be16_make(wnd);
}

void edit_quoted_seq(uint8_t *icmp, uint8_t *at, tcp_seq_t seq)
{
    const be32_t now = be32_make(seq.v);
    uint16_t was[2], is[2], sum;
    memcpy(was, at, sizeof(was));
    memcpy(is, &now, sizeof(is));
    memcpy(&sum, icmp + offsetof(struct icmp_hdr, csum), sizeof(sum));
    uint64_t all = (uint16_t)~sum; /* RFC 1624 3 */
    for (int i = 0; i < 2; i++)
        all += (uint64_t)(uint16_t)~was[i] + is[i];
    sum = csum_fold(all);
    memcpy(icmp + offsetof(struct icmp_hdr, csum), &sum, sizeof(sum));
    memcpy(at, is, sizeof(is));
}

/* The option at `at`; it keeps its length, without blocks it becomes padding. */
static void sack_write(uint8_t *at, const struct sack_block *b, unsigned n)
{
    uint32_t len = n > 0 ? 2 + 8 * n : 0;
    memset(at + len, OPT_NOP, at[1] - len);
    if (n > 0)
        at[1] = (uint8_t)len;
    for (unsigned i = 0; i < n; i++) {
        const be32_t edges[2] = {be32_make(b[i].start.v), be32_make(b[i].end.v)};
        memcpy(at + 2 + 8 * (size_t)i, edges, sizeof(edges));
    }
}

void edit_sacks(const struct edit_frame *f, const struct sack_block *b, unsigned n)
{
    uint8_t *at = f->at + f->l4 + TCP_HDR_LEN, *end = f->at + f->payload;
    while (end - at > 1 && *at != OPT_END && (*at == OPT_NOP || at[1] >= 2)) {
        uint32_t len = *at == OPT_NOP ? 1 : at[1];
        if (len > (size_t)(end - at))
            return;
        if (*at == OPT_SACK) {
            sack_write(at, b, (len - 2) / 8 < n ? (len - 2) / 8 : n);
            return;
        }
        at += len;
    }
}
