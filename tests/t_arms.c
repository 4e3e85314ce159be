/*
 * RFC 9293 section 3.10, every event in every state: what the application asks (3.10.1 to 3.10.6)
 * and what comes (3.10.7.3, 3.10.7.4). Passive SYN-RECEIVED and the compact TIME-WAIT are in
 * t_half_open.c, CLOSED and LISTEN in t_packet_in.c and t_listener.c; tests/rfc/arms.map has it
 * all.
 *
 * One line of a table is one arm: the state, what comes, what is answered, the state after it.
 */
#include "mtcp/tcp/state.h"
#include "tests/seg.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static struct segt *in_state(enum tcp_state s)
{
    if (s != TCPS_SYN_RCVD)
        return segt_in_state(s);
    struct segt *t = segt_syn_sent(); /* both ends open at once */
    seg_in(t, "S 0 mss=1000 win=50000");
    expect_state(t, TCPS_SYN_RCVD);
    t->n_tx = t->at_tx = 0;
    return t;
}

struct arm {
    enum tcp_state state;
    const char *segment;
    const char *answer; /* NULL: none */
    enum tcp_state after;
};

static void expect_arm(const struct arm *a)
{
    struct segt *t = in_state(a->state);
    seg_in(t, a->segment);
    if (t->conn.state != a->after)
        fprintf(stderr, "\n%s, \"%s\": now %s\n", tcp_state_name(a->state), a->segment,
                tcp_state_name((enum tcp_state)t->conn.state));
    expect_state(t, a->after);
    if (a->answer)
        seg_expect(t, a->answer);
    seg_silence(t);
    segt_free(t);
}

#define EXPECT_ARMS(arms)                                                                          \
    do {                                                                                           \
        for (size_t i = 0; i < sizeof(arms) / sizeof((arms)[0]); i++)                              \
            expect_arm(&(arms)[i]);                                                                \
    } while (0)

/* ---- 3.10.7.3: SYN-SENT ---- */

static void syn_sent(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_SENT, "A 0 ack=0", "R 0", TCPS_SYN_SENT}, /* first: the ACK */
        {TCPS_SYN_SENT, "A 0 ack=2", "R 2", TCPS_SYN_SENT},
        {TCPS_SYN_SENT, "SA 0 ack=2", "R 2", TCPS_SYN_SENT},
        {TCPS_SYN_SENT, "RA 0 ack=2", NULL, TCPS_SYN_SENT},
        {TCPS_SYN_SENT, "R 0", NULL, TCPS_SYN_SENT}, /* second: the RST */
        {TCPS_SYN_SENT, "RA 0 ack=1", NULL, TCPS_CLOSED},
        {TCPS_SYN_SENT, "SA 0 ack=1 mss=1000 win=5000", "A 1 ack=1", TCPS_ESTABLISHED}, /* fourth */
        {TCPS_SYN_SENT, "S 0 mss=1000 win=5000", "SA 0 ack=1", TCPS_SYN_RCVD},
        {TCPS_SYN_SENT, "A 0 ack=1", NULL, TCPS_SYN_SENT}, /* fifth: neither SYN nor RST */
        {TCPS_SYN_SENT, ". 0+10", NULL, TCPS_SYN_SENT},
        {TCPS_SYN_SENT, "FA 0 ack=1", NULL, TCPS_SYN_SENT},
    };
    EXPECT_ARMS(arms);
}

/* ---- 3.10.7.4, first: the sequence number ---- */

static void a_segment_outside_the_window(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "A 100001+10 ack=1", "A 1 ack=1", TCPS_SYN_RCVD},
        {TCPS_ESTABLISHED, "A 400001+10 ack=1", "A 1 ack=1", TCPS_ESTABLISHED},
        {TCPS_FIN_WAIT_1, "A 400001+10 ack=2", "A 2 ack=1", TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_2, "A 400001+10 ack=2", "A 2 ack=1", TCPS_FIN_WAIT_2},
        {TCPS_CLOSE_WAIT, "A 400001+10 ack=1", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, "A 400001+10 ack=2", "A 2 ack=2", TCPS_CLOSING},
        {TCPS_LAST_ACK, "A 400001+10 ack=2", "A 2 ack=2", TCPS_LAST_ACK},
        {TCPS_TIME_WAIT, "A 400001+10 ack=2", "A 2 ack=2", TCPS_TIME_WAIT},
    };
    EXPECT_ARMS(arms);
}

/* ---- second: the RST (RFC 5961 section 3) ---- */

static void a_reset_at_the_next_number(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "R 1", NULL, TCPS_CLOSED},
        {TCPS_ESTABLISHED, "R 1", NULL, TCPS_CLOSED},
        {TCPS_FIN_WAIT_1, "R 1", NULL, TCPS_CLOSED},
        {TCPS_FIN_WAIT_2, "R 1", NULL, TCPS_CLOSED},
        {TCPS_CLOSE_WAIT, "R 2", NULL, TCPS_CLOSED},
        {TCPS_CLOSING, "R 2", NULL, TCPS_CLOSED},
        {TCPS_LAST_ACK, "R 2", NULL, TCPS_CLOSED},
        {TCPS_TIME_WAIT, "R 2", NULL, TCPS_TIME_WAIT}, /* RFC 1337 */
    };
    EXPECT_ARMS(arms);
}

static void a_reset_in_the_window(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "R 50", "A 1 ack=1", TCPS_SYN_RCVD},
        {TCPS_ESTABLISHED, "R 50", "A 1 ack=1", TCPS_ESTABLISHED},
        {TCPS_FIN_WAIT_1, "R 50", "A 2 ack=1", TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_2, "R 50", "A 2 ack=1", TCPS_FIN_WAIT_2},
        {TCPS_CLOSE_WAIT, "R 50", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, "R 50", "A 2 ack=2", TCPS_CLOSING},
        {TCPS_LAST_ACK, "R 50", "A 2 ack=2", TCPS_LAST_ACK},
        {TCPS_TIME_WAIT, "R 50", NULL, TCPS_TIME_WAIT},
    };
    EXPECT_ARMS(arms);
}

static void a_reset_outside_the_window(void)
{
    static const enum tcp_state states[] = {TCPS_SYN_RCVD,   TCPS_ESTABLISHED, TCPS_FIN_WAIT_1,
                                            TCPS_FIN_WAIT_2, TCPS_CLOSE_WAIT,  TCPS_CLOSING,
                                            TCPS_LAST_ACK,   TCPS_TIME_WAIT};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        expect_arm(&(struct arm){states[i], "R 400001", NULL, states[i]});
        expect_arm(&(struct arm){states[i], "RA 400001 ack=1", NULL, states[i]});
    }
}

/* ---- fourth: the SYN (RFC 5961 section 4) ---- */

static void a_syn(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "S 0", "SA 0 ack=1", TCPS_SYN_RCVD}, /* the same one again */
        {TCPS_SYN_RCVD, "S 50", "A 1 ack=1", TCPS_SYN_RCVD},
        {TCPS_SYN_RCVD, "SA 0 ack=1", "A 1 ack=1", TCPS_ESTABLISHED}, /* figure 8 */
        {TCPS_ESTABLISHED, "S 0", "A 1 ack=1", TCPS_ESTABLISHED},
        {TCPS_ESTABLISHED, "S 1", "A 1 ack=1", TCPS_ESTABLISHED},
        {TCPS_ESTABLISHED, "SA 0 ack=1", "A 1 ack=1", TCPS_ESTABLISHED},
        {TCPS_FIN_WAIT_1, "S 50", "A 2 ack=1", TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_2, "S 50", "A 2 ack=1", TCPS_FIN_WAIT_2},
        {TCPS_CLOSE_WAIT, "S 50", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, "S 50", "A 2 ack=2", TCPS_CLOSING},
        {TCPS_LAST_ACK, "S 50", "A 2 ack=2", TCPS_LAST_ACK},
        {TCPS_TIME_WAIT, "S 0", "A 2 ack=2", TCPS_TIME_WAIT}, /* an old one (RFC 6191) */
    };
    EXPECT_ARMS(arms);
}

/* ---- fifth: the ACK ---- */

static void no_ack(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, ". 1+10", NULL, TCPS_SYN_RCVD},
        {TCPS_ESTABLISHED, "F 1+10", NULL, TCPS_ESTABLISHED},
        {TCPS_FIN_WAIT_1, "F 1", NULL, TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_2, "F 1", NULL, TCPS_FIN_WAIT_2},
        {TCPS_CLOSE_WAIT, ". 2+10", NULL, TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, ". 2", NULL, TCPS_CLOSING},
        {TCPS_LAST_ACK, ". 2", NULL, TCPS_LAST_ACK},
    };
    EXPECT_ARMS(arms);
}

/* RFC 5961 section 5 where the connection is synchronized. */
static void an_ack_of_what_was_not_sent(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "A 1 ack=2", "R 2", TCPS_SYN_RCVD},
        {TCPS_SYN_RCVD, "A 1 ack=0", "R 0", TCPS_SYN_RCVD},
        {TCPS_ESTABLISHED, "FA 1 ack=2", NULL, TCPS_ESTABLISHED}, /* as Linux */
        {TCPS_FIN_WAIT_1, "FA 1 ack=3", "A 2 ack=1", TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_2, "FA 1 ack=3", "A 2 ack=1", TCPS_FIN_WAIT_2},
        {TCPS_CLOSE_WAIT, "A 2 ack=2", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, "A 2 ack=3", "A 2 ack=2", TCPS_CLOSING},
        {TCPS_LAST_ACK, "A 2 ack=3", "A 2 ack=2", TCPS_LAST_ACK},
    };
    EXPECT_ARMS(arms);
}

static void the_ack_of_all(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "A 1 ack=1", NULL, TCPS_ESTABLISHED},
        {TCPS_ESTABLISHED, "A 1 ack=1", NULL, TCPS_ESTABLISHED},
        {TCPS_FIN_WAIT_1, "A 1 ack=1", NULL, TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_1, "A 1 ack=2", NULL, TCPS_FIN_WAIT_2},
        {TCPS_FIN_WAIT_2, "A 1 ack=2", NULL, TCPS_FIN_WAIT_2},
        {TCPS_CLOSE_WAIT, "A 2 ack=1", NULL, TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, "A 2 ack=1", NULL, TCPS_CLOSING},
        {TCPS_CLOSING, "A 2 ack=2", NULL, TCPS_TIME_WAIT},
        {TCPS_LAST_ACK, "A 2 ack=1", NULL, TCPS_LAST_ACK},
        {TCPS_LAST_ACK, "A 2 ack=2", NULL, TCPS_CLOSED},
        {TCPS_TIME_WAIT, "A 2 ack=2", NULL, TCPS_TIME_WAIT},
    };
    EXPECT_ARMS(arms);
}

/* ---- sixth to eighth: URG, text, FIN ---- */

static void urgent_data(void)
{
    static const struct {
        enum tcp_state state;
        const char *segment;
        uint64_t left;
    } row[] = {{TCPS_ESTABLISHED, "UA 1+10 ack=1 urg=10", 10},
               {TCPS_FIN_WAIT_1, "UA 1+10 ack=1 urg=10", 10},
               {TCPS_FIN_WAIT_2, "UA 1+10 ack=2 urg=10", 10},
               {TCPS_CLOSE_WAIT, "UA 2+10 ack=1 urg=10", 0}, /* there can be none behind a FIN */
               {TCPS_CLOSING, "UA 2+10 ack=1 urg=10", 0},
               {TCPS_LAST_ACK, "UA 2+10 ack=1 urg=10", 0},
               {TCPS_TIME_WAIT, "UA 2+10 ack=2 urg=10", 0}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct segt *t = in_state(row[i].state);
        seg_in(t, row[i].segment);
        EXPECT_EQ(tcp_urgent_left(&t->conn), row[i].left);
        expect_state(t, row[i].state);
        segt_free(t);
    }
}

static void text(void)
{
    static const struct {
        enum tcp_state state;
        const char *segment, *answer;
        uint32_t n;
        enum tcp_state after;
    } row[] = {{TCPS_SYN_RCVD, "PA 1+100 ack=1", "A 1 ack=101", 100, TCPS_ESTABLISHED},
               {TCPS_ESTABLISHED, "PA 1+100 ack=1", "A 1 ack=101", 100, TCPS_ESTABLISHED},
               {TCPS_FIN_WAIT_1, "PA 1+100 ack=1", "A 2 ack=101", 100, TCPS_FIN_WAIT_1},
               {TCPS_FIN_WAIT_2, "PA 1+100 ack=2", "A 2 ack=101", 100, TCPS_FIN_WAIT_2},
               {TCPS_CLOSE_WAIT, "PA 2+100 ack=1", "A 1 ack=2", 0, TCPS_CLOSE_WAIT},
               {TCPS_CLOSING, "PA 2+100 ack=1", "A 2 ack=2", 0, TCPS_CLOSING},
               {TCPS_LAST_ACK, "PA 2+100 ack=1", "A 2 ack=2", 0, TCPS_LAST_ACK},
               {TCPS_TIME_WAIT, "PA 2+100 ack=2", "A 2 ack=2", 0, TCPS_TIME_WAIT}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct segt *t = in_state(row[i].state);
        seg_in(t, row[i].segment);
        segt_advance(t, 50000); /* the ACK may be delayed */
        seg_expect(t, row[i].answer);
        seg_silence(t);
        EXPECT_EQ(tcp_readable(&t->conn), row[i].n);
        expect_state(t, row[i].after);
        segt_free(t);
    }
}

static void the_fin(void)
{
    static const struct arm arms[] = {
        {TCPS_SYN_RCVD, "FA 1 ack=1", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_ESTABLISHED, "FA 1 ack=1", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_FIN_WAIT_1, "FA 1 ack=1", "A 2 ack=2", TCPS_CLOSING},
        {TCPS_FIN_WAIT_1, "FA 1 ack=2", "A 2 ack=2", TCPS_TIME_WAIT},
        {TCPS_FIN_WAIT_2, "FA 1 ack=2", "A 2 ack=2", TCPS_TIME_WAIT},
        {TCPS_CLOSE_WAIT, "FA 1 ack=1", "A 1 ack=2", TCPS_CLOSE_WAIT},
        {TCPS_CLOSING, "FA 1 ack=1", "A 2 ack=2", TCPS_CLOSING},
        {TCPS_LAST_ACK, "FA 1 ack=1", "A 2 ack=2", TCPS_LAST_ACK},
        {TCPS_TIME_WAIT, "FA 1 ack=2", "A 2 ack=2", TCPS_TIME_WAIT},
    };
    EXPECT_ARMS(arms);
}

/* ---- 3.10.2 to 3.10.5: the application ---- */

static void send_in_every_state(void)
{
    static const struct {
        enum tcp_state state;
        int64_t says;
    } row[] = {{TCPS_SYN_SENT, -ENOTCONN}, {TCPS_SYN_RCVD, -ENOTCONN}, {TCPS_ESTABLISHED, 10},
               {TCPS_CLOSE_WAIT, 10},      {TCPS_FIN_WAIT_1, -EPIPE},  {TCPS_FIN_WAIT_2, -EPIPE},
               {TCPS_CLOSING, -EPIPE},     {TCPS_LAST_ACK, -EPIPE},    {TCPS_TIME_WAIT, -EPIPE}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct segt *t = in_state(row[i].state);
        EXPECT_EQ(segt_write(t, 10), row[i].says);
        expect_state(t, row[i].state);
        if (row[i].says < 0)
            seg_silence(t);
        segt_free(t);
    }
}

struct call {
    enum tcp_state state;
    const char *sent; /* NULL: nothing */
    enum tcp_state after;
};

static void expect_call(const struct call *c, void (*call)(struct segt *t))
{
    struct segt *t = in_state(c->state);
    call(t);
    segt_flush(t);
    expect_state(t, c->after);
    if (c->sent)
        seg_expect(t, c->sent);
    seg_silence(t);
    segt_free(t);
}

static void call_close(struct segt *t)
{
    tcp_close(&t->env, &t->conn);
}

static void call_abort(struct segt *t)
{
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
}

static void close_in_every_state(void)
{
    static const struct call calls[] = {
        {TCPS_SYN_SENT, NULL, TCPS_CLOSED},
        {TCPS_SYN_RCVD, NULL, TCPS_SYN_RCVD}, /* the FIN goes when the handshake is over */
        {TCPS_ESTABLISHED, "FA 1 ack=1", TCPS_FIN_WAIT_1},
        {TCPS_CLOSE_WAIT, "FA 1 ack=2", TCPS_LAST_ACK},
        {TCPS_FIN_WAIT_1, NULL, TCPS_FIN_WAIT_1},
        {TCPS_FIN_WAIT_2, NULL, TCPS_FIN_WAIT_2},
        {TCPS_CLOSING, NULL, TCPS_CLOSING},
        {TCPS_LAST_ACK, NULL, TCPS_LAST_ACK},
        {TCPS_TIME_WAIT, NULL, TCPS_TIME_WAIT},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        expect_call(&calls[i], call_close);
}

static void abort_in_every_state(void)
{
    static const struct call calls[] = {
        {TCPS_SYN_SENT, NULL, TCPS_CLOSED},
        {TCPS_SYN_RCVD, "RA 1 ack=1", TCPS_CLOSED},
        {TCPS_ESTABLISHED, "RA 1 ack=1", TCPS_CLOSED},
        {TCPS_CLOSE_WAIT, "RA 1 ack=2", TCPS_CLOSED},
        {TCPS_FIN_WAIT_1, "RA 2 ack=1", TCPS_CLOSED},
        {TCPS_FIN_WAIT_2, "RA 2 ack=1", TCPS_CLOSED},
        {TCPS_CLOSING, NULL, TCPS_CLOSED},
        {TCPS_LAST_ACK, NULL, TCPS_CLOSED},
        {TCPS_TIME_WAIT, NULL, TCPS_CLOSED},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        expect_call(&calls[i], call_abort);
}

TEST_SUITE(arms, TEST_CASE(syn_sent), TEST_CASE(a_segment_outside_the_window),
           TEST_CASE(a_reset_at_the_next_number), TEST_CASE(a_reset_in_the_window),
           TEST_CASE(a_reset_outside_the_window), TEST_CASE(a_syn), TEST_CASE(no_ack),
           TEST_CASE(an_ack_of_what_was_not_sent), TEST_CASE(the_ack_of_all),
           TEST_CASE(urgent_data), TEST_CASE(text), TEST_CASE(the_fin),
           TEST_CASE(send_in_every_state), TEST_CASE(close_in_every_state),
           TEST_CASE(abort_in_every_state));
