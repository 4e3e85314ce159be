/* The emulated peer: every state against every event, from a drawing of RFC 9293 figure 5. */
#include "mos/peer.h"
#include "mos_api.h"
#include "tests/test.h"

#include <string.h>

#define N_STATES 11
#define N_EVENTS 8

/* By state, then event: the state after it; '.' stays. L listen, s SYN_SENT, r SYN_RCVD,
 * E established, 1 2 FIN_WAIT, w CLOSE_WAIT, c CLOSING, a LAST_ACK, T TIME_WAIT, x CLOSED. */
static const char letters[] = "xLsrE12wcaT";
static const char *const drawing[N_STATES] = {
    /*                  RST sSYN gSYN gSA  SYNa FINa sFIN gFIN */
    [MOS_TCPS_CLOSED] = ".s......",      [MOS_TCPS_LISTEN] = "xrr.....",
    [MOS_TCPS_SYN_SENT] = "x.rE....",    [MOS_TCPS_SYN_RCVD] = "x...E.1.",
    [MOS_TCPS_ESTABLISHED] = "x.....1w", [MOS_TCPS_FIN_WAIT_1] = "x....2.c",
    [MOS_TCPS_FIN_WAIT_2] = "x......T",  [MOS_TCPS_CLOSE_WAIT] = "x.....a.",
    [MOS_TCPS_CLOSING] = "x....T..",     [MOS_TCPS_LAST_ACK] = "x....x..",
    [MOS_TCPS_TIME_WAIT] = "x.......",
};

static void every_state_and_event(void)
{
    for (uint8_t s = 0; s < N_STATES; s++) {
        for (unsigned e = 0; e < N_EVENTS; e++) {
            struct moves m = peer_move(s, PEER_BIT(e));
            char want = drawing[s][e];
            EXPECT_EQ(m.n, want != '.');
            if (want != '.' && m.n == 1)
                EXPECT_EQ(letters[m.to[0]], want);
        }
        EXPECT_EQ(peer_move(s, 0).n, 0);
    }
}

/* Where several events of one segment lead. */
static void expect_path(uint8_t from, unsigned events, const char *path)
{
    struct moves m = peer_move(from, events);
    EXPECT_EQ(m.n, strlen(path));
    for (unsigned i = 0; i < m.n && path[i]; i++)
        EXPECT_EQ(letters[m.to[i]], path[i]);
}

static void several_events_of_one_segment(void)
{
    const unsigned ack = PEER_BIT(PEER_SYN_ACKED), fin_ack = PEER_BIT(PEER_FIN_ACKED),
                   fin = PEER_BIT(PEER_GOT_FIN);
    expect_path(MOS_TCPS_SYN_RCVD, ack | fin, "Ew");
    expect_path(MOS_TCPS_FIN_WAIT_1, ack | fin_ack | fin, "2T");
    expect_path(MOS_TCPS_FIN_WAIT_1, ack | fin, "c");
    expect_path(MOS_TCPS_FIN_WAIT_2, ack | fin_ack | fin, "T");
    expect_path(MOS_TCPS_LAST_ACK, ack | fin_ack | fin, "x");
    expect_path(MOS_TCPS_ESTABLISHED, ack | fin, "w");
    expect_path(MOS_TCPS_SYN_SENT, PEER_BIT(PEER_GOT_SYNACK) | ack, "E");
}

TEST_SUITE(mos_peer, TEST_CASE(every_state_and_event), TEST_CASE(several_events_of_one_segment));
