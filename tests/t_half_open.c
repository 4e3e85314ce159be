/* Half-open records and TIME_WAIT records: every verdict, options negotiated and answered. */
#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/tcp.h"
#include "tests/test.h"

#include <stdlib.h>

#define PEER_ISN 0xffffffffu

struct fixture {
    struct mem *mem;
    struct tcp_env env;
    struct tcp_half_open h;
};

static struct seg syn(void)
{
    struct seg s = {.flags = TCP_SYN, .wnd = 4000, .ttl = 64};
    s.tuple = (struct flow_tuple){ip_addr_v4(be32_make(0x0a000001)),
                                  ip_addr_v4(be32_make(0x0a000002)), 80, 40000};
    s.seq = seq_make(PEER_ISN);
    s.opt.has_mss = true;
    s.opt.mss = 1400;
    return s;
}

static struct fixture *half_open_of(const struct seg *s)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        exit(2);
    f->mem = mem_create(0);
    tcp_env_init(&f->env, f->mem, 1, 5000000);
    f->h.flow.kind = FLOW_HALF_OPEN;
    f->env.params.rcvbuf = f->env.params.rcvbuf_max = 1 << 20;
    tcp_half_open_init(&f->env, &f->h, s, 1500, &f->env.params);
    f->h.iss = seq_make(0xfffffffeu);
    return f;
}

static void fixture_free(struct fixture *f)
{
    mem_destroy(f->mem);
    free(f);
}

/* A segment after the SYN, numbers relative to the two ISNs. */
static struct seg after(uint8_t flags, uint32_t seq, uint32_t ack)
{
    struct seg s = syn();
    s.flags = flags;
    s.seq = seq_make(PEER_ISN + seq);
    s.ack = seq_make(0xfffffffeu + ack);
    s.opt = (struct tcp_opts){0};
    return s;
}

/* RFC 9293 MUST-67, SHLD-5, RFC 7323 2.3-4 */
static void the_synack_answers_what_was_offered(void)
{
    struct seg s = syn();
    s.opt.has_ts = s.opt.has_wscale = s.opt.sack_permitted = true;
    s.opt.ts_val = 77;
    s.opt.wscale = 9;
    struct fixture *f = half_open_of(&s);
    struct tcp_tx tx;
    tcp_half_open_synack(&f->env, &f->h, &tx);
    EXPECT_EQ(tx.seg.flags, TCP_SYN | TCP_ACK);
    EXPECT_EQ(tx.seg.ack.v, PEER_ISN + 1);
    EXPECT_EQ(tx.seg.seq.v, 0xfffffffeu);
    EXPECT_EQ(tx.seg.opt.mss, 1460);
    CU_ASSERT(tx.seg.opt.has_ts && tx.seg.opt.ts_ecr == 77);
    CU_ASSERT(tx.seg.opt.has_wscale && tx.seg.opt.wscale == 5); /* 1 MB >> 5 fits 16 bits */
    CU_ASSERT(tx.seg.opt.sack_permitted);
    EXPECT_EQ(f->h.snd_wscale, 9);
    fixture_free(f);
}

/* TCP_MAXSEG of the listener holds for what it offers, and for the initial window. */
static void the_synack_offers_no_more_than_the_listener_wants(void)
{
    struct seg s = syn();
    struct fixture *f = half_open_of(&s);
    struct tcp_tx tx;
    f->h.user_mss = 1100;
    tcp_half_open_synack(&f->env, &f->h, &tx);
    EXPECT_EQ(tx.seg.opt.mss, 1100);
    struct tcp_conn c;
    struct tcp_open o = {.tuple = s.tuple, .mtu = 1500};
    tcp_conn_init(&f->env, &c, &o);
    tcp_half_open_promote(&f->env, &c, &f->h);
    tcp_handshake_done(&f->env, &c, false);
    EXPECT_EQ(c.mss, 1100);
    EXPECT_EQ(c.cwnd, 11000);
    EXPECT_EQ(tcp_mss_announced(&c, 1500), 1100);
    tcp_conn_fini(&f->env, &c);
    f->h.user_mss = 9000;
    tcp_half_open_synack(&f->env, &f->h, &tx);
    EXPECT_EQ(tx.seg.opt.mss, 1460);
    fixture_free(f);
}

/* RFC 7323 2.2-3, 3.2-6 */
static void nothing_is_answered_that_was_not_offered(void)
{
    struct seg s = syn();
    struct fixture *f = half_open_of(&s);
    struct tcp_tx tx;
    tcp_half_open_synack(&f->env, &f->h, &tx);
    CU_ASSERT(!tx.seg.opt.has_ts && !tx.seg.opt.has_wscale && !tx.seg.opt.sack_permitted);
    EXPECT_EQ(tx.seg.wnd, 65535);
    fixture_free(f);
}

/* TCP_DEFER_ACCEPT: the ACK alone makes no connection, as long as there is time; its round trip is
 * the handshake's, and the wait for data is not. */
static void data_is_waited_for(void)
{
    static const struct {
        uint8_t flags;
        uint32_t seq, len;
        enum tcp_half_open_verdict want;
    } row[] = {{TCP_ACK, 1, 0, TCP_HO_WAIT},       {TCP_ACK, 0, 1, TCP_HO_WAIT}, /* keepalive */
               {TCP_ACK, 101, 0, TCP_HO_WAIT},     {TCP_ACK, 1, 10, TCP_HO_PROMOTE},
               {TCP_ACK, 101, 10, TCP_HO_PROMOTE}, {TCP_ACK | TCP_FIN, 1, 0, TCP_HO_PROMOTE}};
    struct seg s = syn();
    struct fixture *f = half_open_of(&s);
    f->h.n_sent = 1;
    f->h.n_defer = 2;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        s = after(row[i].flags, row[i].seq, 1);
        s.len = row[i].len;
        EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &s), row[i].want);
    }
    s = after(TCP_ACK, 1, 2);
    EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &s), TCP_HO_RESET);
    s = after(TCP_ACK, 1, 1);
    f->env.now_us += 30000;
    tcp_half_open_acked(&f->env, &f->h, &s);
    f->env.now_us += 2000000;
    tcp_half_open_acked(&f->env, &f->h, &s);
    f->h.n_timeouts = 2;
    EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &s), TCP_HO_PROMOTE);

    struct tcp_conn c;
    struct tcp_open o = {.tuple = s.tuple, .mtu = 1500};
    tcp_conn_init(&f->env, &c, &o);
    tcp_half_open_promote(&f->env, &c, &f->h);
    EXPECT_EQ(tcp_input(&f->env, &c, &s), 0);
    EXPECT_EQ(c.state, TCPS_ESTABLISHED);
    EXPECT_EQ(c.srtt_us, 30000);
    tcp_conn_fini(&f->env, &c);
    fixture_free(f);
}

/* The same by timestamps, with a SYN-ACK that was sent twice. */
static void the_wait_for_data_is_no_round_trip(void)
{
    struct seg s = syn();
    s.opt.has_ts = true;
    s.opt.ts_val = 7;
    struct fixture *f = half_open_of(&s);
    struct tcp_tx tx;
    f->h.n_sent = 2;
    f->h.n_defer = 2;
    f->env.now_us += 1000000;
    tcp_half_open_synack(&f->env, &f->h, &tx);
    s = after(TCP_ACK, 1, 1);
    s.opt.has_ts = true;
    s.opt.ts_val = 8;
    s.opt.ts_ecr = tx.seg.opt.ts_val;
    f->env.now_us += 40000;
    tcp_half_open_acked(&f->env, &f->h, &s);
    f->env.now_us += 500000;
    s.len = 1;
    s.payload = (const uint8_t *)"x";
    EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &s), TCP_HO_PROMOTE);
    struct tcp_conn c;
    struct tcp_open o = {.tuple = s.tuple, .mtu = 1500};
    tcp_conn_init(&f->env, &c, &o);
    tcp_half_open_promote(&f->env, &c, &f->h);
    EXPECT_EQ(tcp_input(&f->env, &c, &s), 0);
    EXPECT_EQ(c.srtt_us, 40000);
    tcp_conn_fini(&f->env, &c);
    fixture_free(f);
}

static void a_small_or_missing_mss_is_made_safe(void)
{
    static const struct {
        bool has;
        uint16_t mss, want;
    } row[] = {{false, 0, 536}, {true, 0, 536}, {true, 1, 48}, {true, 8, 48}, {true, 1400, 1400}};
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct seg s = syn();
        s.opt.has_mss = row[i].has;
        s.opt.mss = row[i].mss;
        struct fixture *f = half_open_of(&s);
        EXPECT_EQ(f->h.mss_peer, row[i].want);
        fixture_free(f);
    }
}

/* RFC 9293 MUST-15 */
static void a_missing_mss_depends_on_the_family(void)
{
    struct seg s = syn();
    s.opt.has_mss = false;
    struct fixture *f = half_open_of(&s);
    EXPECT_EQ(f->h.mss_peer, 536);
    fixture_free(f);
    s.tuple.local = (struct ip_addr){.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    s.tuple.remote = (struct ip_addr){.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
    f = half_open_of(&s);
    EXPECT_EQ(f->h.mss_peer, 1220);
    fixture_free(f);
}

static void every_arm_of_syn_received(void)
{
    static const struct {
        uint8_t flags;
        uint32_t seq, ack;
        enum tcp_half_open_verdict want;
    } row[] = {
        {TCP_SYN, 0, 0, TCP_HO_SYNACK}, /* the SYN again */
        {TCP_SYN, 5, 0, TCP_HO_ACK},    /* another SYN in the window (RFC 5961 4.2) */
        {TCP_SYN | TCP_ACK, 1, 1, TCP_HO_ACK},
        {TCP_ACK, 1, 1, TCP_HO_PROMOTE}, /* the handshake's end */
        {TCP_ACK | TCP_PSH, 1, 1, TCP_HO_PROMOTE},
        {TCP_ACK | TCP_FIN, 1, 1, TCP_HO_PROMOTE},
        {TCP_ACK, 1, 2, TCP_HO_RESET}, /* acknowledges what was never sent */
        {TCP_ACK, 1, 0, TCP_HO_RESET},
        {TCP_ACK, 70000, 1, TCP_HO_ACK}, /* outside the window */
        {TCP_ACK, (uint32_t)-9, 1, TCP_HO_ACK},
        {0, 1, 0, TCP_HO_DROP},         /* no ACK bit */
        {TCP_RST, 1, 0, TCP_HO_CLOSED}, /* exactly the next number */
        {TCP_RST, 2, 0, TCP_HO_ACK},    /* in the window: challenge (RFC 5961 3.2) */
        {TCP_RST, 70000, 0, TCP_HO_DROP},
        {TCP_RST | TCP_ACK, (uint32_t)-9, 1, TCP_HO_DROP},
    };
    struct seg s = syn();
    struct fixture *f = half_open_of(&s);
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct seg in = after(row[i].flags, row[i].seq, row[i].ack);
        EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &in), row[i].want);
    }
    fixture_free(f);
}

static void an_old_timestamp_is_not_promoted(void)
{
    struct seg s = syn();
    s.opt.has_ts = true;
    s.opt.ts_val = 100;
    struct fixture *f = half_open_of(&s);
    struct seg in = after(TCP_ACK, 1, 1);
    in.opt.has_ts = true;
    in.opt.ts_val = 99;
    EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &in), TCP_HO_ACK);
    in.opt.ts_val = 100;
    EXPECT_EQ(tcp_half_open_input(&f->env, &f->h, &in), TCP_HO_PROMOTE);
    fixture_free(f);
}

/* The SYN-ACK's window is not scaled, the ACK's is: 65535 is no multiple of 32. */
static void a_challenge_ack_keeps_the_promised_edge(void)
{
    struct seg s = syn();
    s.opt.has_wscale = true;
    struct fixture *f = half_open_of(&s);
    struct tcp_tx first, second;
    tcp_half_open_synack(&f->env, &f->h, &first);
    tcp_half_open_ack(&f->env, &f->h, &second);
    EXPECT_EQ(first.seg.wnd, 65535);
    CU_ASSERT((uint32_t)second.seg.wnd << 5 >= 65535);
    fixture_free(f);
}

/* ---- TIME_WAIT ---- */

/* RFC 9293 MAY-2, SHLD-4 */
static void every_arm_of_time_wait(void)
{
    static const struct {
        uint8_t flags;
        uint32_t seq, ack, ts;
        unsigned want;
    } row[] = {
        {TCP_RST, 0, 0, 0, 0}, /* RFC 1337 */
        {TCP_RST, 100, 0, 0, 0},
        {TCP_ACK, 0, 0, 0, 0}, /* the end's last ACK */
        {TCP_ACK, 5, 0, 0, TCP_IN_ACK_DUE},
        {TCP_FIN | TCP_ACK, (uint32_t)-1, 0, 0, TCP_IN_ACK_DUE},
        {TCP_SYN, 1, 0, 0, TCP_IN_NEW_SYN}, /* beyond everything used */
        {TCP_SYN, 0, 0, 0, TCP_IN_ACK_DUE},
        {TCP_SYN, (uint32_t)-500, 0, 0, TCP_IN_ACK_DUE},
        {TCP_SYN, (uint32_t)-500, 0, 51, TCP_IN_NEW_SYN}, /* a newer timestamp (RFC 6191) */
        {TCP_SYN, (uint32_t)-500, 0, 50, TCP_IN_ACK_DUE},
        {TCP_SYN, 900, 0, 50, TCP_IN_NEW_SYN},
        {TCP_SYN, 900, 0, 49, TCP_IN_ACK_DUE}, /* from before the end of the old one */
        {TCP_SYN | TCP_ACK, 900, 0, 51, TCP_IN_ACK_DUE},
    };
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct tcp_time_wait w = {.snd_nxt = {7}, .rcv_nxt = {3}, .has_ts = 1, .ts_recent = 50};
        struct seg s = {.flags = row[i].flags, .seq = {3 + row[i].seq}, .ack = {7 + row[i].ack}};
        s.opt.has_ts = row[i].ts != 0;
        s.opt.ts_val = row[i].ts;
        EXPECT_EQ(tcp_time_wait_input(&w, &s), row[i].want);
    }
}

static void a_reset_is_made_in_the_rfcs_form(void)
{
    struct tcp_tx tx;
    struct seg s = syn();
    CU_ASSERT(tcp_reset_for(&s, &tx));
    EXPECT_EQ(tx.seg.flags, TCP_RST | TCP_ACK);
    EXPECT_EQ(tx.seg.seq.v, 0);
    EXPECT_EQ(tx.seg.ack.v, PEER_ISN + 1);
    s = after(TCP_ACK, 9, 20);
    CU_ASSERT(tcp_reset_for(&s, &tx));
    EXPECT_EQ(tx.seg.flags, TCP_RST);
    EXPECT_EQ(tx.seg.seq.v, s.ack.v);
    s.flags = TCP_RST;
    CU_ASSERT(!tcp_reset_for(&s, &tx));
}

TEST_SUITE(half_open, TEST_CASE(the_synack_answers_what_was_offered),
           TEST_CASE(the_synack_offers_no_more_than_the_listener_wants),
           TEST_CASE(nothing_is_answered_that_was_not_offered),
           TEST_CASE(a_small_or_missing_mss_is_made_safe), TEST_CASE(data_is_waited_for),
           TEST_CASE(the_wait_for_data_is_no_round_trip), TEST_CASE(every_arm_of_syn_received),
           TEST_CASE(an_old_timestamp_is_not_promoted),
           TEST_CASE(a_challenge_ack_keeps_the_promised_edge), TEST_CASE(every_arm_of_time_wait),
           TEST_CASE(a_reset_is_made_in_the_rfcs_form),
           TEST_CASE(a_missing_mss_depends_on_the_family));
