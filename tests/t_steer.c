/*
 * Steering between cores: who gets which packet, copies, losses, sleep; and whole stacks, two cores
 * of one host with one queue, or with two that are the wrong ones, against a peer. DPDK's ring is
 * played by this file; the real one runs in the tests of devices.
 */
#include "tests/test.h"

#include "mtcp/core/ctx.h"
#include "mtcp/core/steer.h"
#include "mtcp/io/io.h"
#include "mtcp/sock/life.h"
#include "mtcp/wire/build.h"

#include <mtcp_epoll.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the ring -------------------------------------------------------------------------------- */

struct io_ring {
    unsigned room, head, n;
    void *at[];
};

struct io_ring *io_ring_create(unsigned n)
{
    struct io_ring *r = calloc(1, sizeof(*r) + n * sizeof(void *));
    if (r)
        r->room = n;
    return r;
}

void io_ring_destroy(struct io_ring *r)
{
    free(r);
}

bool io_ring_put(struct io_ring *r, void *what)
{
    if (r->n == r->room)
        return false;
    r->at[(r->head + r->n++) % r->room] = what;
    return true;
}

unsigned io_ring_get(struct io_ring *r, void **what, unsigned n)
{
    unsigned k = 0;
    for (; k < n && r->n > 0; k++, r->n--, r->head = (r->head + 1) % r->room)
        what[k] = r->at[r->head];
    return k;
}

bool io_ring_is_empty(const struct io_ring *r)
{
    return r->n == 0;
}

/* ---- queues of a device ---------------------------------------------------------------------- */

enum { ROOM = 32768, QUEUE_PKTS = 64 };

struct frame {
    struct mtcp_pkt pkt; /* first */
    uint8_t buf[ROOM];
};

struct queue {
    struct mtcp_io io; /* first */
    struct frame *in[QUEUE_PKTS];
    unsigned n_in, n_out, n_sent, n_closed;
    bool is_full; /* takes no more */
    uint8_t sent[ROOM];
    uint32_t sent_len;
};

static struct queue q[2];
static struct steer *s;

/* The key of Microsoft's verification suite. */
static const struct steer_rss rss = {{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                      0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                      0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                      0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa},
                                     128};

static unsigned queue_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct queue *at = (struct queue *)(void *)io;
    unsigned k = 0;
    for (; k < n && at->n_in > 0; k++) {
        pkts[k] = &at->in[0]->pkt;
        memmove(at->in, at->in + 1, --at->n_in * sizeof(at->in[0]));
    }
    return k;
}

static struct mtcp_pkt *queue_alloc(struct mtcp_io *io)
{
    struct queue *at = (struct queue *)(void *)io;
    struct frame *f = calloc(1, sizeof(*f));
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    f->pkt = (struct mtcp_pkt){.data = f->buf, .room = ROOM};
    at->n_out++;
    return &f->pkt;
}

static void queue_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    ((struct queue *)(void *)io)->n_out--;
    free(pkt);
}

static unsigned queue_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct queue *at = (struct queue *)(void *)io;
    for (unsigned i = 0; i < n && !at->is_full; i++) {
        at->sent_len = pkts[i]->len;
        memcpy(at->sent, pkts[i]->data, pkts[i]->len);
        at->n_sent++;
        queue_free(io, pkts[i]);
    }
    return at->is_full ? 0 : n;
}

static void queue_close(struct mtcp_io *io)
{
    ((struct queue *)(void *)io)->n_closed++;
}

/* A frame arrives at a queue. */
static void arrive(unsigned i, const uint8_t *frame, uint32_t len)
{
    struct mtcp_pkt *pkt = queue_alloc(&q[i].io);
    memcpy(pkt->data, frame, len);
    pkt->len = len;
    pkt->flags = MTCP_PKT_RX_CSUM_GOOD;
    CU_ASSERT_FATAL(q[i].n_in < QUEUE_PKTS);
    q[i].in[q[i].n_in++] = (struct frame *)(void *)pkt;
}

static struct mtcp_io *port[2];

/* Two cores; the device has n_queues. */
static void up(unsigned n_queues)
{
    struct mtcp_io *queues[2] = {&q[0].io, &q[1].io};
    struct steer_dev dev = {queues, n_queues};
    for (unsigned i = 0; i < 2; i++) {
        memset(&q[i], 0, sizeof(q[i]));
        q[i].io = (struct mtcp_io){.rx_burst = queue_rx,
                                   .tx_burst = queue_tx,
                                   .alloc = queue_alloc,
                                   .free = queue_free,
                                   .close = queue_close,
                                   .mtu = 1500,
                                   .mac = {2, 0, 0, 0, 0, 1},
                                   .caps = MTCP_IO_RX_CSUM,
                                   .name = "n0"};
    }
    s = steer_create(2, &dev, 1, &rss);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 2; i++) {
        port[i] = steer_port(s, 0, i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(port[i]);
    }
}

static void down(void)
{
    for (unsigned i = 0; i < 2; i++) {
        port[i]->close(port[i]);
        EXPECT_EQ(q[i].n_out, 0);
    }
    steer_destroy(s);
}

static uint64_t n_lost(unsigned core)
{
    struct mtcp_io_stats st;
    port[core]->stats(port[core], &st);
    return st.rx_dropped + st.tx_dropped;
}

/* What a core receives, one burst; it is given back. The first one's payload byte is in *tag. */
static unsigned receive(unsigned core, uint8_t *tag)
{
    struct mtcp_pkt *pkts[32];
    unsigned n = port[core]->rx_burst(port[core], pkts, 32);
    for (unsigned i = 0; i < n; i++) {
        if (i == 0 && tag)
            *tag = pkts[i]->data[pkts[i]->len - 1];
        port[core]->free(port[core], pkts[i]);
    }
    return n;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static struct flow_tuple tuple_of(uint16_t port_)
{
    return (struct flow_tuple){.local = ip_addr_v4(be32_make(0x0a000001)),
                               .remote = ip_addr_v4(be32_make(0x0a000002)),
                               .local_port = 80,
                               .remote_port = port_};
}

static struct build_lens headers(uint8_t *frame, uint16_t from, uint32_t len)
{
    struct flow_tuple t = tuple_of(from);
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 9}}, .dst = {{2, 0, 0, 0, 0, 1}}};
    struct seg seg = {.tuple = {t.remote, t.local, t.remote_port, t.local_port},
                      .flags = TCP_ACK,
                      .ttl = 64,
                      .may_be_cut = true,
                      .len = len};
    return build_tcp(frame, &l2, &seg, 77);
}

/* A segment of a flow with one byte; its length. */
static uint32_t segment(uint8_t *frame, uint16_t from, uint8_t tag)
{
    struct build_lens lens = headers(frame, from, 1);
    uint32_t at = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    frame[at] = tag;
    build_tcp_csum(frame, lens, 1, (struct build_offload){0});
    return at + 1;
}

/* A port whose flow is that core's. */
static uint16_t flow_of(unsigned core, uint16_t from)
{
    struct flow_tuple t;
    do
        t = tuple_of(from++);
    while (steer_owner(s, &t) != core);
    return t.remote_port;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void each_flow_has_its_core(void)
{
    uint8_t frame[256], tag;
    unsigned share[2] = {0};
    up(2);
    for (unsigned i = 0; i < 10000; i++) { /* more than there are copies */
        struct flow_tuple t = tuple_of((uint16_t)(1000 + i % 500));
        unsigned owner = steer_owner(s, &t);
        share[owner]++;
        arrive(i % 2, frame, segment(frame, t.remote_port, (uint8_t)i));
        bool came_right = i % 2 == owner;
        EXPECT_EQ(receive(i % 2, &tag), came_right);
        if (!came_right)
            EXPECT_EQ(receive(owner, &tag), 1);
        EXPECT_EQ(tag, (uint8_t)i);
        EXPECT_EQ(receive(1 - owner, NULL), 0);
    }
    CU_ASSERT(share[0] > 4000 && share[1] > 4000);
    EXPECT_EQ(n_lost(0) + n_lost(1), 0);
    down();
}

/* The flows of Microsoft's verification suite, whose hashes it gives. */
static void flows_go_where_cards_send_them(void)
{
    static const struct {
        const char *src, *dst;
        uint16_t from, to;
        uint32_t hash;
    } flows[] = {
        {"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178},
        {"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea},
        {"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a},
        {"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x40207d3d},
        {"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0xdde51bbf},
        {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
         0x02d1feef},
    };
    up(2);
    for (unsigned i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
        struct flow_tuple t = {.local_port = flows[i].to, .remote_port = flows[i].from};
        EXPECT_EQ(ip_addr_parse(flows[i].src, &t.remote), 0);
        EXPECT_EQ(ip_addr_parse(flows[i].dst, &t.local), 0);
        ip_addr_set_zone(&t.local, 7);
        EXPECT_EQ(steer_hash(s, &t), flows[i].hash);
        EXPECT_EQ(steer_owner(s, &t), steer_owner_of_bucket(s, flows[i].hash % 128));
    }
    down();
}

/* A device with our key is believed, in its hash that the packet is here at home. */
static void hashes_of_the_device_are_believed(void)
{
    uint8_t frame[256];
    up(2);
    for (unsigned i = 0; i < 2; i++) {
        arrive(0, frame, segment(frame, flow_of(i, 1000), 1));
        q[0].in[0]->pkt.flags |= MTCP_PKT_RX_RSS;
        q[0].in[0]->pkt.rss_hash = 128 * 77; /* core 0's */
        EXPECT_EQ(receive(0, NULL), 1);
        EXPECT_EQ(receive(1, NULL), 0);
        arrive(0, frame, segment(frame, flow_of(i, 1000), 1));
        q[0].in[0]->pkt.flags |= MTCP_PKT_RX_RSS;
        q[0].in[0]->pkt.rss_hash = 1; /* core 1's: it has come here nevertheless */
        EXPECT_EQ(receive(0, NULL), i == 0);
        EXPECT_EQ(receive(1, NULL), i == 1);
    }
    down();
}

static void what_the_device_said_goes_with_it(void)
{
    uint8_t frame[256];
    struct mtcp_pkt *pkt;
    up(2);
    arrive(0, frame, segment(frame, flow_of(1, 1000), 1));
    q[0].in[0]->pkt.tso_mss = 1000;
    EXPECT_EQ(receive(0, NULL), 0);
    EXPECT_EQ(port[1]->rx_burst(port[1], &pkt, 1), 1);
    EXPECT_EQ(pkt->flags, MTCP_PKT_RX_CSUM_GOOD);
    EXPECT_EQ(pkt->tso_mss, 1000);
    CU_ASSERT(pkt->room >= pkt->len);
    port[1]->free(port[1], pkt);
    down();
}

static void all_hear_of_neighbours(void)
{
    uint8_t frame[64];
    up(2);
    struct build_arp a = {.is_reply = true,
                          .sender_mac = {{2, 0, 0, 0, 0, 9}},
                          .target_mac = {{2, 0, 0, 0, 0, 1}},
                          .sender_ip = be32_make(0x0a000002),
                          .target_ip = be32_make(0x0a000001)};
    arrive(1, frame, build_arp(frame, &a));
    EXPECT_EQ(receive(1, NULL), 1);
    EXPECT_EQ(receive(0, NULL), 1);
    EXPECT_EQ(receive(0, NULL) + receive(1, NULL), 0);
    down();
}

/* Which core gets the piece of a packet that arrives at a queue. */
static unsigned core_of_fragment(unsigned queue, uint16_t id, bool is_first)
{
    uint8_t frame[256];
    struct build_lens lens = headers(frame, 1000, 40);
    uint8_t *ip = frame + lens.l2;
    memset(frame + lens.l2 + lens.l3 + lens.l4, 0, 40);
    ip[4] = (uint8_t)(id >> 8);
    ip[5] = (uint8_t)id;
    ip[6] = is_first ? 0x20 : 0;
    ip[7] = is_first ? 0 : 16;
    build_tcp_csum(frame, lens, 44, (struct build_offload){0});
    arrive(queue, frame, (uint32_t)lens.l2 + lens.l3 + lens.l4 + 44);
    unsigned here = receive(queue, NULL), there = receive(1 - queue, NULL);
    EXPECT_EQ(here + there, 1);
    return here ? queue : 1 - queue;
}

static void fragments_of_a_packet_meet(void)
{
    unsigned seen[2] = {0};
    up(2);
    for (uint16_t id = 1; id < 100; id++) {
        unsigned core = core_of_fragment(id % 2, id, true);
        EXPECT_EQ(core_of_fragment(1 - id % 2, id, false), core);
        seen[core]++;
    }
    CU_ASSERT(seen[0] > 20 && seen[1] > 20);
    down();
}

static void an_error_goes_to_the_flow_that_it_is_about(void)
{
    uint8_t frame[256], quoted[128];
    up(2);
    for (unsigned core = 0; core < 2; core++) {
        uint16_t from = flow_of(core, 2000);
        struct flow_tuple t = tuple_of(from);
        struct seg seg = {.tuple = t, .flags = TCP_ACK, .ttl = 64};
        memset(quoted, 0, 4);
        struct build_lens lens = build_tcp(quoted + 4, NULL, &seg, 1);
        build_tcp_csum(quoted + 4, lens, 0, (struct build_offload){0});
        struct build_icmp e = {.l2 = {.src = {{2, 0, 0, 0, 0, 9}}, .dst = {{2, 0, 0, 0, 0, 1}}},
                               .src = t.remote,
                               .dst = t.local,
                               .type = 3,
                               .code = 1,
                               .ttl = 64,
                               .data = quoted,
                               .len = 4u + lens.l3 + lens.l4};
        arrive(0, frame, build_icmp(frame, &e));
        EXPECT_EQ(receive(0, NULL), core == 0);
        EXPECT_EQ(receive(1, NULL), core == 1);
    }
    down();
}

static void a_core_that_reads_nothing_costs_its_own_packets(void)
{
    uint8_t frame[256];
    unsigned got = 0, n;
    up(2);
    uint16_t from = flow_of(1, 1000);
    for (unsigned i = 0; i < 3000; i++) {
        arrive(0, frame, segment(frame, from, 1));
        EXPECT_EQ(receive(0, NULL), 0);
    }
    arrive(0, frame, segment(frame, flow_of(0, 1000), 1));
    EXPECT_EQ(receive(0, NULL), 1);
    while ((n = receive(1, NULL)) > 0)
        got += n;
    CU_ASSERT(got >= 1000 && got < 3000);
    EXPECT_EQ(n_lost(0), 3000 - got);
    down();
}

static void the_share_of_a_core_that_is_not_there_stays(void)
{
    uint8_t frame[256];
    up(2);
    port[1]->close(port[1]);
    EXPECT_EQ(q[1].n_closed, 1);
    port[1]->close(port[1]);
    EXPECT_EQ(q[1].n_closed, 1);
    arrive(0, frame, segment(frame, flow_of(1, 1000), 1));
    EXPECT_EQ(receive(0, NULL), 1);
    CU_ASSERT_PTR_EQUAL(steer_port(s, 0, 1), port[1]);
    arrive(0, frame, segment(frame, flow_of(1, 1000), 1));
    EXPECT_EQ(receive(0, NULL), 0);
    EXPECT_EQ(receive(1, NULL), 1);
    down();
}

static void the_queue_of_a_core_that_is_not_there_is_read(void)
{
    uint8_t frame[256];
    bool ready;
    up(2);
    uint16_t from = flow_of(0, 1000);
    port[1]->close(port[1]);
    arrive(1, frame, segment(frame, from, 1));
    arrive(1, frame, segment(frame, flow_of(1, 1000), 1));
    EXPECT_EQ(port[0]->sleep_begin(port[0], &ready), -1);
    port[0]->sleep_end(port[0]);
    EXPECT_EQ(receive(0, NULL), 2);
    EXPECT_EQ(q[1].n_out, 0);
    port[1] = steer_port(s, 0, 1);
    arrive(1, frame, segment(frame, from, 1));
    EXPECT_EQ(receive(0, NULL), 0); /* its core is back */
    EXPECT_EQ(receive(1, NULL), 0);
    EXPECT_EQ(receive(0, NULL), 1);
    down();
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void send_one(unsigned core, uint8_t tag, unsigned want)
{
    struct mtcp_pkt *pkt = port[core]->alloc(port[core]);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
    CU_ASSERT(pkt->room >= 1514);
    memset(pkt->data, tag, 1514);
    pkt->len = 1514;
    EXPECT_EQ(port[core]->tx_burst(port[core], &pkt, 1), want);
    if (!want)
        port[core]->free(port[core], pkt);
}

static void a_core_without_a_queue_sends_through_another(void)
{
    up(1);
    EXPECT_EQ(port[1]->caps, 0);
    send_one(1, 5, 1);
    EXPECT_EQ(q[0].n_sent, 0);
    EXPECT_EQ(receive(0, NULL), 0); /* it looks for what is to be sent */
    EXPECT_EQ(q[0].n_sent, 1);
    EXPECT_EQ(q[0].sent_len, 1514);
    EXPECT_EQ(q[0].sent[1513], 5);
    q[0].is_full = true;
    send_one(1, 6, 1);
    EXPECT_EQ(receive(0, NULL), 0);
    EXPECT_EQ(n_lost(0), 1);
    send_one(0, 6, 0);
    down();
}

static void the_last_packets_of_a_core_are_sent_by_whoever_is_there(void)
{
    up(1);
    send_one(1, 5, 1);
    port[0]->close(port[0]); /* with what it was to send */
    EXPECT_EQ(q[0].n_sent, 1);
    send_one(1, 6, 1);
    EXPECT_EQ(q[0].n_sent, 2);
    EXPECT_EQ(q[0].sent[0], 6);
    down();
}

static void a_full_inbox_leaves_room_for_the_queue(void)
{
    uint8_t frame[256], tag;
    struct mtcp_pkt *pkts[32];
    up(2);
    for (unsigned i = 0; i < 100; i++) {
        arrive(1, frame, segment(frame, flow_of(0, 1000), 1));
        EXPECT_EQ(receive(1, NULL), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        arrive(0, frame, segment(frame, flow_of(0, 1000), 2));
    unsigned n = port[0]->rx_burst(port[0], pkts, 32);
    EXPECT_EQ(n, 20);
    tag = pkts[n - 1]->data[pkts[n - 1]->len - 1];
    EXPECT_EQ(tag, 2);
    for (unsigned i = 0; i < n; i++)
        port[0]->free(port[0], pkts[i]);
    while (receive(0, NULL) > 0)
        ;
    down();
}

/* A queue whose descriptor is readable until its packet is read, as a TAP's. */
static int slow_fd[2];

static int slow_sleep(struct mtcp_io *io, bool *ready)
{
    (void)io;
    *ready = false;
    return slow_fd[0];
}

static void a_packet_that_came_before_sleep_is_seen(void)
{
    bool ready = false;
    up(2);
    CU_ASSERT_EQUAL_FATAL(pipe(slow_fd), 0);
    q[0].io.sleep_begin = slow_sleep;
    for (unsigned round = 0; round < 3; round++) {
        CU_ASSERT(port[0]->sleep_begin(port[0], &ready) >= 0 && !ready);
        port[0]->sleep_end(port[0]);
        EXPECT_EQ(write(slow_fd[1], "x", 1), 1);
        EXPECT_EQ(port[0]->sleep_begin(port[0], &ready), -1);
        CU_ASSERT(ready);
        port[0]->sleep_end(port[0]);
        char c;
        EXPECT_EQ(read(slow_fd[0], &c, 1), 1);
        int fd = port[0]->sleep_begin(port[0], &ready);
        CU_ASSERT(fd >= 0 && !is_readable(fd));
        EXPECT_EQ(write(slow_fd[1], "x", 1), 1);
        CU_ASSERT(is_readable(fd));
        port[0]->sleep_end(port[0]);
        EXPECT_EQ(read(slow_fd[0], &c, 1), 1);
    }
    down();
    close(slow_fd[0]);
    close(slow_fd[1]);
}

static void a_packet_that_was_received_may_be_sent(void)
{
    uint8_t frame[256];
    struct mtcp_pkt *pkts[2];
    up(2);
    arrive(0, frame, segment(frame, flow_of(1, 1000), 9));
    EXPECT_EQ(receive(0, NULL), 0);
    EXPECT_EQ(port[1]->rx_burst(port[1], pkts, 1), 1);
    pkts[1] = port[1]->alloc(port[1]);
    pkts[1]->len = 60;
    EXPECT_EQ(port[1]->tx_burst(port[1], pkts, 2), 2);
    EXPECT_EQ(q[1].n_sent, 2);
    EXPECT_EQ(q[1].sent_len, 60);
    down();
}

static void a_sleeping_core_is_woken(void)
{
    uint8_t frame[256];
    bool ready = false;
    up(1);
    for (unsigned round = 0; round < 3; round++) {
        int fd = port[1]->sleep_begin(port[1], &ready);
        CU_ASSERT(fd >= 0 && !ready);
        CU_ASSERT(!is_readable(fd));
        arrive(0, frame, segment(frame, flow_of(1, 1000), 1));
        EXPECT_EQ(receive(0, NULL), 0);
        CU_ASSERT(is_readable(fd));
        port[1]->sleep_end(port[1]);
        EXPECT_EQ(port[1]->sleep_begin(port[1], &ready), -1); /* it is there already */
        CU_ASSERT(ready);
        port[1]->sleep_end(port[1]);
        EXPECT_EQ(receive(1, NULL), 1);
    }
    EXPECT_EQ(port[0]->sleep_begin(port[0], &ready), -1); /* the queue can't tell: a nap */
    CU_ASSERT(!ready);
    port[0]->sleep_end(port[0]);
    down();
}

static void what_is_put_together_goes_to_its_owner(void)
{
    uint8_t *frame = calloc(1, ROOM);
    struct packet p;
    struct mtcp_pkt whole = {.data = frame}, *pkt;
    CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
    up(2);
    uint16_t from = flow_of(1, 1000);
    struct build_lens lens = headers(frame, from, 20000);
    frame[20000] = 7;
    build_tcp_csum(frame, lens, 20000, (struct build_offload){0});
    whole.len = (uint32_t)lens.l2 + lens.l3 + lens.l4 + 20000;
    EXPECT_EQ(packet_parse(&p, frame, whole.len, PACKET_CSUM_UNKNOWN), 0);
    const struct net_steer *of[2] = {steer_of_core(s, 0), steer_of_core(s, 1)};
    CU_ASSERT(!of[1]->hand_over(of[1]->arg, 0, &p, &whole));
    CU_ASSERT(of[0]->hand_over(of[0]->arg, 0, &p, &whole));
    EXPECT_EQ(port[1]->rx_burst(port[1], &pkt, 1), 1);
    EXPECT_EQ(pkt->len, whole.len);
    CU_ASSERT(memcmp(pkt->data, frame, whole.len) == 0);
    port[1]->free(port[1], pkt);
    free(frame);
    down();
}

/* ---- whole stacks ---------------------------------------------------------------------------- */

static mctx_t host[2], peer; /* the host's cores, and who it talks to */
static int host_ep[2], peer_ep;
static struct mtcp_io_pair *pair;
static uint64_t now_us;

static uint64_t world_now(void *arg)
{
    (void)arg;
    return now_us;
}

/* A stack that ends waits for its connections; nobody else runs meanwhile. */
static void world_wait(void *arg, uint64_t until_us)
{
    (void)arg;
    if (until_us != UINT64_MAX && until_us > now_us)
        now_us = until_us;
}

static mctx_t stack(const char *address, struct mtcp_io *const *ios, unsigned n,
                    const struct net_steer *steer)
{
    struct mtcp_env env = {.now_us = world_now, .wait = world_wait, .seed = 5 + n};
    static struct config conf;
    char text[512], err[256];
    snprintf(text, sizeof(text), "mos {\n netdev \"%s\" { address = \"%s\" }\n}\n", ios[0]->name,
             address);
    EXPECT_EQ(config_load_text(&conf, text, err, sizeof(err)), 0);
    struct ctx_create how = {.conf = &conf, .ios = ios, .n_ios = n, .world = &env, .steer = steer};
    mctx_t m = context_create(&how);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m;
}

static unsigned (*pair_rx)(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n);

/* A device that hashes otherwise than it was told: all IPv4 is core 0's. */
static unsigned wrong_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    unsigned k = pair_rx(io, pkts, n);
    for (unsigned i = 0; i < k; i++)
        if (pkts[i]->data[12] == 8 && pkts[i]->data[13] == 0) {
            pkts[i]->flags |= MTCP_PKT_RX_RSS;
            pkts[i]->rss_hash = 0;
        }
    return k;
}

static bool hashes_otherwise;

/* The host's one queue is an end of a link whose other end is the peer's. */
static void stacks_up(void)
{
    struct mtcp_io_pair_conf pc = {.n_pkts = 4096, .depth = 1024};
    now_us = 1000000;
    pair = mtcp_io_pair_create(&pc);
    struct mtcp_io *own = mtcp_io_pair_end(pair, 0), *far = mtcp_io_pair_end(pair, 1);
    struct steer_dev dev = {&own, 1};
    pair_rx = own->rx_burst;
    if (hashes_otherwise)
        own->rx_burst = wrong_rx;
    s = steer_create(2, &dev, 1, &rss);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (unsigned i = 0; i < 2; i++) {
        port[i] = steer_port(s, 0, i);
        host[i] = stack("10.0.0.1/24", &port[i], 1, steer_of_core(s, i));
        host_ep[i] = mtcp_epoll_create(host[i], 64);
    }
    peer = stack("10.0.0.2/24", &far, 1, NULL);
    peer_ep = mtcp_epoll_create(peer, 64);
}

static void stacks_down(void)
{
    for (unsigned i = 0; i < 2; i++)
        EXPECT_EQ(mtcp_destroy_context(host[i]), 0);
    EXPECT_EQ(mtcp_destroy_context(peer), 0);
    steer_destroy(s);
    mtcp_io_pair_destroy(pair);
}

static void stacks_run(unsigned turns)
{
    struct mtcp_epoll_event ev[64];
    for (unsigned i = 0; i < turns; i++, now_us += 100) {
        (void)mtcp_epoll_wait(peer, peer_ep, ev, 64, 0);
        (void)mtcp_epoll_wait(host[0], host_ep[0], ev, 64, 0);
        (void)mtcp_epoll_wait(host[1], host_ep[1], ev, 64, 0);
    }
}

static int listen_at(mctx_t m)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
    int l = mtcp_socket(m, AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(mtcp_bind(m, l, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(mtcp_listen(m, l, 128), 0);
    mtcp_setsock_nonblock(m, l);
    return l;
}

static int connect_to(mctx_t m, const char *to)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
    inet_pton(AF_INET, to, &a.sin_addr);
    int c = mtcp_socket(m, AF_INET, SOCK_STREAM, 0);
    mtcp_setsock_nonblock(m, c);
    EXPECT_EQ(mtcp_connect(m, c, (struct sockaddr *)&a, sizeof(a)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    return c;
}

/* Accepts all, and answers what each says. */
static unsigned answer_all(mctx_t m, int listener)
{
    char text[8];
    unsigned n = 0;
    for (int c; (c = mtcp_accept(m, listener, NULL, NULL)) >= 0; n++) {
        mtcp_setsock_nonblock(m, c);
        EXPECT_EQ(mtcp_read(m, c, text, sizeof(text)), 5);
        EXPECT_EQ(mtcp_write(m, c, text, 5), 5);
    }
    return n;
}

static void say(mctx_t m, const int *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        EXPECT_EQ(mtcp_write(m, c[i], "hello", 5), 5);
}

static void is_answered(mctx_t m, const int *c, unsigned n)
{
    char text[8];
    for (unsigned i = 0; i < n; i++)
        EXPECT_EQ(mtcp_read(m, c[i], text, sizeof(text)), 5);
}

static void two_cores_serve_with_one_queue(void)
{
    int c[64], l[2];
    stacks_up();
    for (unsigned i = 0; i < 2; i++)
        l[i] = listen_at(host[i]);
    for (unsigned i = 0; i < 64; i++)
        c[i] = connect_to(peer, "10.0.0.1");
    stacks_run(200);
    say(peer, c, 64);
    stacks_run(200);
    unsigned n[2] = {answer_all(host[0], l[0]), answer_all(host[1], l[1])};
    EXPECT_EQ(n[0] + n[1], 64);
    CU_ASSERT(n[0] > 15 && n[1] > 15);
    stacks_run(200);
    is_answered(peer, c, 64);
    stacks_down();
}

static void what_a_core_opens_comes_back_to_it(void)
{
    int c[2][32];
    stacks_up();
    int l = listen_at(peer);
    for (unsigned i = 0; i < 64; i++) {
        c[i % 2][i / 2] = connect_to(host[i % 2], "10.0.0.2");
        stacks_run(4); /* few SYNs may wait for the neighbour's address */
    }
    stacks_run(200);
    say(host[0], c[0], 32);
    say(host[1], c[1], 32);
    stacks_run(200);
    EXPECT_EQ(answer_all(peer, l), 64);
    stacks_run(200);
    is_answered(host[0], c[0], 32);
    is_answered(host[1], c[1], 32);
    stacks_down();
}

static void a_device_that_hashes_otherwise_does_no_harm(void)
{
    hashes_otherwise = true;
    two_cores_serve_with_one_queue();
    what_a_core_opens_comes_back_to_it();
    hashes_otherwise = false;
}

/* What the cores' interfaces have received, and the peer has sent. */
static uint64_t n_received(void)
{
    return ctx_of_live(host[0])->net.ifs[0].rx_packets +
           ctx_of_live(host[1])->net.ifs[0].rx_packets;
}

/* Else one core would look at each frame of the other for ever. */
static void nor_is_it_believed_for_long(void)
{
    const struct net_if *far;
    int c[16];
    hashes_otherwise = true;
    stacks_up();
    (void)listen_at(host[0]);
    (void)listen_at(host[1]);
    for (unsigned i = 0; i < 16; i++)
        c[i] = connect_to(peer, "10.0.0.1");
    stacks_run(200);
    for (unsigned i = 0; i < 16; i++) {
        say(peer, c, 16);
        stacks_run(500);
    }
    far = &ctx_of_live(peer)->net.ifs[0];
    uint64_t came = n_received(), sent = far->tx_packets;
    say(peer, c, 16);
    stacks_run(500);
    EXPECT_EQ(far->tx_packets - sent, 16);
    EXPECT_EQ(n_received() - came, 16);
    stacks_down();
    hashes_otherwise = false;
}

static void a_port_that_is_another_core_s_is_refused(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)}, from = a;
    unsigned n[2] = {0};
    stacks_up();
    inet_pton(AF_INET, "10.0.0.2", &a.sin_addr);
    inet_pton(AF_INET, "10.0.0.1", &from.sin_addr);
    for (uint16_t i = 0; i < 64; i++) {
        int c = mtcp_socket(host[0], AF_INET, SOCK_STREAM, 0);
        from.sin_port = htons((uint16_t)(20000 + i));
        mtcp_setsock_nonblock(host[0], c);
        EXPECT_EQ(mtcp_bind(host[0], c, (struct sockaddr *)&from, sizeof(from)), 0);
        EXPECT_EQ(mtcp_connect(host[0], c, (struct sockaddr *)&a, sizeof(a)), -1);
        CU_ASSERT(errno == EINPROGRESS || errno == EADDRNOTAVAIL);
        n[errno == EADDRNOTAVAIL]++;
    }
    CU_ASSERT(n[0] > 15 && n[1] > 15);
    stacks_down();
}

TEST_SUITE(steer, TEST_CASE(each_flow_has_its_core), TEST_CASE(flows_go_where_cards_send_them),
           TEST_CASE(hashes_of_the_device_are_believed),
           TEST_CASE(what_the_device_said_goes_with_it), TEST_CASE(all_hear_of_neighbours),
           TEST_CASE(fragments_of_a_packet_meet),
           TEST_CASE(an_error_goes_to_the_flow_that_it_is_about),
           TEST_CASE(a_core_that_reads_nothing_costs_its_own_packets),
           TEST_CASE(the_share_of_a_core_that_is_not_there_stays),
           TEST_CASE(the_queue_of_a_core_that_is_not_there_is_read),
           TEST_CASE(a_core_without_a_queue_sends_through_another),
           TEST_CASE(a_packet_that_was_received_may_be_sent),
           TEST_CASE(the_last_packets_of_a_core_are_sent_by_whoever_is_there),
           TEST_CASE(a_full_inbox_leaves_room_for_the_queue),
           TEST_CASE(a_packet_that_came_before_sleep_is_seen), TEST_CASE(a_sleeping_core_is_woken),
           TEST_CASE(what_is_put_together_goes_to_its_owner),
           TEST_CASE(two_cores_serve_with_one_queue), TEST_CASE(what_a_core_opens_comes_back_to_it),
           TEST_CASE(a_device_that_hashes_otherwise_does_no_harm),
           TEST_CASE(nor_is_it_believed_for_long),
           TEST_CASE(a_port_that_is_another_core_s_is_refused));
