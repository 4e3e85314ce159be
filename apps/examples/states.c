/*
 * Example: the states of both hosts of a connection.
 *
 * At each change of state, on either side, both are asked for (MOS_TCP_STATE_CLI,
 * MOS_TCP_STATE_SVR) and printed.
 *
 *     monitor "states" { plugin = "states.so" }        in mos.conf
 *
 *     #16384 cli SYN_SENT      svr LISTEN
 *     #16384 cli SYN_SENT      svr SYN_RCVD
 *     #16384 cli ESTABLISHED   svr SYN_RCVD
 */
#include <mtcp_api.h>

#include <stdio.h>

static const char *state_name(int state)
{
    switch (state) {
    case TCP_CLOSED:
        return "CLOSED";
    case TCP_LISTEN:
        return "LISTEN";
    case TCP_SYN_SENT:
        return "SYN_SENT";
    case TCP_SYN_RCVD:
        return "SYN_RCVD";
    case TCP_ESTABLISHED:
        return "ESTABLISHED";
    case TCP_FIN_WAIT_1:
        return "FIN_WAIT_1";
    case TCP_FINE_WAIT_2:
        return "FIN_WAIT_2";
    case TCP_CLOSE_WAIT:
        return "CLOSE_WAIT";
    case TCP_CLOSING:
        return "CLOSING";
    case TCP_LAST_ACK:
        return "LAST_ACK";
    case TCP_TIME_WAIT:
        return "TIME_WAIT";
    default:
        return "?";
    }
}

static int state_get(mctx_t mctx, int sock, int option)
{
    int state = -1;
    socklen_t len = sizeof(state);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &state, &len) < 0)
        perror("states: mtcp_getsockopt");
    return state;
}

static void on_change(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    int cli = state_get(mctx, sock, MOS_TCP_STATE_CLI);
    int svr = state_get(mctx, sock, MOS_TCP_STATE_SVR);

    (void)side, (void)event, (void)arg;
    printf("#%d cli %-12s  svr %-12s\n", sock, state_name(cli), state_name(svr));
}

int mos_monitor_init(mctx_t mctx, const char *args)
{
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    (void)args;
    if (sock < 0)
        return -1;
    if (mtcp_register_callback(mctx, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_change) < 0)
        return -1;
    return mtcp_register_callback(mctx, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_change);
}
