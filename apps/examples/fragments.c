/*
 * Example: which parts of a stream are there, while segments arrive out of order.
 *
 * After each packet: while the buffer of the side that received it has a hole (MOS_INFO_*BUF), its
 * runs of bytes (MOS_FRAGINFO_*BUF) are printed, and the last byte of each run is read with
 * mtcp_ppeek, to show that a run can be read as it is listed.
 *
 *     monitor "fragments" { plugin = "fragments.so" }        in mos.conf
 *
 *     #16384 svr: 3 runs: 0..1447 4344..5791 8688..10135
 */
#include <mtcp_api.h>

#include <stdio.h>

#define RUNS_MAX 16

static void run_print(mctx_t mctx, int sock, int side, const struct tcp_ring_fragment *run)
{
    uint64_t last = run->offset + run->len - 1;
    char byte_there;

    printf(" %llu..%llu", (unsigned long long)run->offset, (unsigned long long)last);
    if (mtcp_ppeek(mctx, sock, side, &byte_there, 1, last) != 1)
        printf("(unreadable)");
}

/* Has something arrived beyond a byte that has not? */
static bool has_hole(mctx_t mctx, int sock, int side)
{
    int option = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);

    return mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &b, &len) == 0 &&
           b.tcpbi_last_byte_received != b.tcpbi_next_byte_expected;
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    int option = side == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF;
    struct tcp_ring_fragment runs[RUNS_MAX];
    socklen_t n = RUNS_MAX; /* elements, not bytes */

    (void)event, (void)arg;
    if (!has_hole(mctx, sock, side) ||
        mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, runs, &n) < 0)
        return;
    printf("#%d %s: %u run%s:", sock, side == MOS_SIDE_CLI ? "cli" : "svr", (unsigned)n,
           n == 1 ? "" : "s");
    for (socklen_t i = 0; i < n; i++)
        run_print(mctx, sock, side, &runs[i]);
    printf("\n");
}

int mos_monitor_init(mctx_t mctx, const char *args)
{
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    (void)args;
    if (sock < 0)
        return -1;
    return mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_packet);
}
