/* The table of legal moves against RFC 9293 figure 5, written out a second time. */
#include "mtcp/tcp/state.h"
#include "tests/test.h"

#include <string.h>

/* One row per state: the states it may move to, CLOSED (reset, abort) left out. */
static const char *const figure_5[TCPS_N] = {
    [TCPS_CLOSED] = "SYN_SENT SYN_RCVD",
    [TCPS_LISTEN] = "",
    [TCPS_SYN_SENT] = "SYN_RCVD ESTABLISHED",
    [TCPS_SYN_RCVD] = "ESTABLISHED FIN_WAIT_1",
    [TCPS_ESTABLISHED] = "FIN_WAIT_1 CLOSE_WAIT",
    [TCPS_FIN_WAIT_1] = "FIN_WAIT_2 CLOSING TIME_WAIT",
    [TCPS_FIN_WAIT_2] = "TIME_WAIT",
    [TCPS_CLOSE_WAIT] = "LAST_ACK",
    [TCPS_CLOSING] = "TIME_WAIT",
    [TCPS_LAST_ACK] = "",
    [TCPS_TIME_WAIT] = "",
};

static bool names(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
            return true;
    return false;
}

static void every_move_is_judged_as_the_figure_says(void)
{
    for (enum tcp_state from = TCPS_CLOSED; from < TCPS_N; from++)
        for (enum tcp_state to = TCPS_CLOSED; to < TCPS_N; to++) {
            bool legal = to == TCPS_CLOSED ? from != TCPS_LISTEN
                                           : names(figure_5[from], tcp_state_name(to));
            EXPECT_EQ(tcp_state_move_is_legal(from, to), legal);
        }
}

static void states_have_names(void)
{
    CU_ASSERT_STRING_EQUAL(tcp_state_name(TCPS_FIN_WAIT_2), "FIN_WAIT_2");
    CU_ASSERT_STRING_EQUAL(tcp_state_name(TCPS_N), "?");
}

TEST_SUITE(state, TEST_CASE(every_move_is_judged_as_the_figure_says),
           TEST_CASE(states_have_names));
