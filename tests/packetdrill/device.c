/* The device between packetdrill and the stack (device.h). */
#include "tests/packetdrill/device.h"

#include "tests/packetdrill/world.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/endian.h"
#include "mtcp/wire/seg.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ETH_LEN 14u
#define TSO_MAX 65535u

struct frame {
    struct mtcp_pkt pkt; /* first */
    uint64_t at_us;
    struct frame *next;
    uint8_t bytes[];
};

struct queue {
    struct frame *head, **tail;
};

static struct {
    struct mtcp_io io;
    struct queue in, out;
    uint64_t n_moved;
    bool is_cutting;
    uint32_t in_mss; /* what comes as one packet came in segments of so many bytes; 0: as one */
} d;

/* ---- frames ---------------------------------------------------------------------------------- */

static void queue_push(struct queue *q, struct frame *f)
{
    f->next = NULL;
    *q->tail = f;
    q->tail = &f->next;
}

static struct frame *queue_pop(struct queue *q)
{
    struct frame *f = q->head;
    if (f && !(q->head = f->next))
        q->tail = &q->head;
    return f;
}

static struct frame *frame_of(struct mtcp_pkt *pkt)
{
    return (struct frame *)(void *)pkt;
}

static struct frame *frame_new(void)
{
    struct frame *f = calloc(1, sizeof(*f) + ETH_LEN + TSO_MAX);
    if (f) {
        f->pkt.data = f->bytes;
        f->pkt.room = ETH_LEN + TSO_MAX;
    }
    return f;
}

static bool is_ip(const struct mtcp_pkt *pkt)
{
    const uint8_t *type = pkt->data + 12;
    return (type[0] == 0x08 && type[1] == 0x00) || (type[0] == 0x86 && type[1] == 0xdd);
}

/* ---- out ------------------------------------------------------------------------------------- */

static be32_t load_be32(const uint8_t *at)
{
    be32_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

/* What was left to the device: the length and both checksums. */
static void ipv4_complete(const struct mtcp_pkt *pkt)
{
    uint8_t *ip = pkt->data + pkt->l2_len, *tcp = ip + pkt->l3_len;
    uint32_t len = pkt->len - pkt->l2_len, tcp_len = len - pkt->l3_len;
    struct ip_addr src = ip_addr_v4(load_be32(ip + 12)), dst = ip_addr_v4(load_be32(ip + 16));
    be16_t total = be16_make((uint16_t)len);
    memcpy(ip + 2, &total, sizeof(total));
    memset(ip + 10, 0, 2);
    uint16_t sum = csum_fold(csum_add(0, ip, pkt->l3_len));
    memcpy(ip + 10, &sum, sizeof(sum));
    memset(tcp + 16, 0, 2);
    sum = csum_fold(csum_add(csum_pseudo(&src, &dst, IPPROTO_TCP, tcp_len), tcp, tcp_len));
    memcpy(tcp + 16, &sum, sizeof(sum));
}

static void frame_out(struct frame *f)
{
    f->at_us = world_now();
    d.n_moved++;
    if ((f->pkt.flags & MTCP_PKT_TX_TCP_CSUM) && f->pkt.data[12] == 0x08)
        ipv4_complete(&f->pkt);
    if (is_ip(&f->pkt))
        queue_push(&d.out, f);
    else
        free(f); /* what is said of Ethernet addresses */
}

/* The n bytes of payload at `at` as a segment of their own. */
static struct frame *frame_part(const struct mtcp_pkt *whole, uint32_t hdr, uint32_t at, uint32_t n)
{
    struct frame *part = frame_new();
    if (!part)
        return NULL;
    part->pkt = *whole;
    part->pkt.data = part->bytes;
    part->pkt.len = hdr + n;
    memcpy(part->bytes, whole->data, hdr);
    memcpy(part->bytes + hdr, whole->data + at, n);
    uint8_t *tcp = part->bytes + hdr - whole->l4_len;
    be32_t seq = be32_make(be32_get(load_be32(tcp + 4)) + at - hdr);
    memcpy(tcp + 4, &seq, sizeof(seq));
    if (at + n < whole->len)
        tcp[13] &= (uint8_t) ~(TCP_PSH | TCP_FIN);
    return part;
}

static void frame_cut(struct frame *f)
{
    const struct mtcp_pkt *pkt = &f->pkt;
    uint32_t hdr = (uint32_t)pkt->l2_len + pkt->l3_len + pkt->l4_len;
    for (uint32_t at = hdr; at < pkt->len; at += pkt->tso_mss) {
        uint32_t n = pkt->len - at < pkt->tso_mss ? pkt->len - at : pkt->tso_mss;
        struct frame *part = frame_part(pkt, hdr, at, n);
        if (part)
            frame_out(part);
    }
    free(f);
}

static unsigned dev_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io;
    for (unsigned i = 0; i < n; i++) {
        if ((pkts[i]->flags & MTCP_PKT_TX_TSO) && d.is_cutting)
            frame_cut(frame_of(pkts[i]));
        else
            frame_out(frame_of(pkts[i]));
    }
    return n;
}

size_t device_receive(void *buf, size_t room, uint64_t *at_us)
{
    struct frame *f = queue_pop(&d.out);
    if (!f)
        return 0;
    size_t len = f->pkt.len - ETH_LEN;
    if (len > room)
        len = room;
    memcpy(buf, f->pkt.data + ETH_LEN, len);
    *at_us = f->at_us;
    free(f);
    return len;
}

/* ---- in -------------------------------------------------------------------------------------- */

static unsigned dev_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io;
    unsigned got = 0;
    while (got < n && d.in.head)
        pkts[got++] = &queue_pop(&d.in)->pkt;
    d.n_moved += got;
    return got;
}

/* A large packet as the wire had it. */
static void frame_in_cut(struct frame *f, uint32_t hdr)
{
    for (uint32_t at = hdr; at < f->pkt.len; at += d.in_mss) {
        uint32_t n = f->pkt.len - at < d.in_mss ? f->pkt.len - at : d.in_mss;
        struct frame *part = frame_part(&f->pkt, hdr, at, n);
        if (!part)
            continue;
        ipv4_complete(&part->pkt);
        queue_push(&d.in, part);
    }
    free(f);
}

static void frame_in(struct frame *f)
{
    const uint8_t *ip = f->bytes + ETH_LEN;
    uint8_t l3_len = (uint8_t)((ip[0] & 15) * 4);
    bool is_tcp4 = f->bytes[12] == 0x08 && ip[9] == IPPROTO_TCP && f->pkt.len > ETH_LEN + 60;
    uint8_t l4_len = is_tcp4 ? (uint8_t)((ip[l3_len + 12] >> 4) * 4) : 0;
    uint32_t hdr = ETH_LEN + (uint32_t)l3_len + l4_len;
    f->pkt.l2_len = ETH_LEN;
    f->pkt.l3_len = l3_len;
    f->pkt.l4_len = l4_len;
    if (is_tcp4 && d.in_mss && f->pkt.len > hdr + d.in_mss)
        frame_in_cut(f, hdr);
    else
        queue_push(&d.in, f);
}

bool device_send(const void *packet, size_t len)
{
    static const uint8_t macs[12] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2};
    struct frame *f = len > 0 && len <= TSO_MAX ? frame_new() : NULL;
    if (!f)
        return false;
    bool is_v6 = *(const uint8_t *)packet >> 4 == 6;
    memcpy(f->bytes, macs, sizeof(macs));
    f->bytes[12] = is_v6 ? 0x86 : 0x08;
    f->bytes[13] = is_v6 ? 0xdd : 0x00;
    memcpy(f->bytes + ETH_LEN, packet, len);
    f->pkt.len = (uint32_t)(ETH_LEN + len);
    frame_in(f);
    return true;
}

uint64_t device_n_moved(void)
{
    return d.n_moved;
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct mtcp_pkt *dev_alloc(struct mtcp_io *io)
{
    (void)io;
    struct frame *f = frame_new();
    return f ? &f->pkt : NULL;
}

static void dev_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    (void)io;
    free(frame_of(pkt));
}

void device_set_cutting(bool is_cutting)
{
    d.is_cutting = is_cutting;
}

struct mtcp_io *device_open(unsigned mtu, unsigned in_mss)
{
    d.in_mss = in_mss;
    d.in.tail = &d.in.head;
    d.out.tail = &d.out.head;
    d.io = (struct mtcp_io){
        .rx_burst = dev_rx,
        .tx_burst = dev_tx,
        .alloc = dev_alloc,
        .free = dev_free,
        .caps = MTCP_IO_NO_WAKEUP | MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM | MTCP_IO_TSO,
        .mtu = (uint16_t)mtu,
        .tso_max = TSO_MAX,
        .mac = {0x02, 0, 0, 0, 0, 1},
        .name = DEVICE_NAME,
    };
    return &d.io;
}

void device_close(void)
{
    for (struct frame *f; (f = queue_pop(&d.in)) || (f = queue_pop(&d.out));)
        free(f);
}
