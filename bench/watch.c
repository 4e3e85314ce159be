/*
 * A monitor that does nothing with what it sees, to measure what seeing costs. Part of mem_rpc, and
 * a plugin (watch.so). Its args:
 *
 *   attached   a monitoring socket without callbacks
 *   log        what a log of connections needs: start, end, changes of state
 *   peek       the same, and every byte of both sides copied out
 */
#include "bench/watch.h"

#include <mtcp_api.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

uint64_t watch_n_events;

static void on_event(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    watch_n_events++;
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char seen[65536];
    (void)event, (void)arg;
    watch_n_events++;
    while (mtcp_peek(m, sock, side, seen, sizeof(seen)) == (int)sizeof(seen))
        continue;
}

int mos_monitor_init(mctx_t m, const char *args)
{
    bool is_log = strcmp(args, "log") == 0, is_peek = strcmp(args, "peek") == 0;
    if (!is_log && !is_peek && strcmp(args, "attached") != 0) {
        errno = EINVAL;
        return -1;
    }
    int s = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (s < 0)
        return -1;
    if (!is_log && !is_peek)
        return 0;
    if (mtcp_register_callback(m, s, MOS_ON_CONN_START, MOS_HK_RCV, on_event) < 0 ||
        mtcp_register_callback(m, s, MOS_ON_CONN_END, MOS_HK_RCV, on_event) < 0 ||
        mtcp_register_callback(m, s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_event) < 0)
        return -1;
    return is_peek ? mtcp_register_callback(m, s, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) : 0;
}
