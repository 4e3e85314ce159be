#include "apps/flowlog/flowlog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RUNS_MAX 64
#define REST_MAX 2048 /* bytes of a line behind the event */

void print_line(const struct flow *f, const char *event, const char *format, ...)
{
    uint64_t now_us;
    time_t now;
    struct tm tm;
    char when[16];
    va_list args;

    if (f->log->options.n_lines > 0 && f->log->n_lines++ >= f->log->options.n_lines)
        return;
    now_us = plugin_epoch_us(flow_now_us(f));
    now = (time_t)(now_us / 1000000);
    localtime_r(&now, &tm);
    strftime(when, sizeof(when), "%H:%M:%S", &tm);
    char *at = out_line(&f->log->out);
    at += sprintf(at, "%s.%06u #%llu %s  %-6s ", when, (unsigned)(now_us % 1000000),
                  (unsigned long long)f->number, f->name, event);
    va_start(args, format);
    int n = vsnprintf(at, REST_MAX, format, args);
    va_end(args);
    out_line_end(&f->log->out, at + (n < REST_MAX ? n : REST_MAX - 1));
    out_flush(&f->log->out);
}

/* "0+1448 4344+1448": offset and length of each run; the first 64. */
static void runs_write(mctx_t mctx, int sock, int option, char *out, size_t room)
{
    struct tcp_ring_fragment runs[RUNS_MAX];
    socklen_t n = RUNS_MAX;
    size_t at = 0;

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, runs, &n) < 0) {
        snprintf(out, room, " ? (%s)", strerror(errno));
        return;
    }
    snprintf(out, room, " none");
    for (socklen_t i = 0; i < n && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, " %llu+%u", (unsigned long long)runs[i].offset,
                               runs[i].len);
}

void print_edges(const struct flow *f, mctx_t mctx, int sock, int side)
{
    bool is_cli = side == MOS_SIDE_CLI;
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);
    char runs[1600];

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, is_cli ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF, &b,
                        &len) < 0) {
        print_line(f, "edges", "%s %s", print_side(side), strerror(errno));
        return;
    }
    runs_write(mctx, sock, is_cli ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF, runs, sizeof(runs));
    print_line(f, "edges",
               "%s init %u read %u next %u received %u (read +%u next +%u received +%u) "
               "runs%s",
               print_side(side), b.tcpbi_init_seq, b.tcpbi_last_byte_read,
               b.tcpbi_next_byte_expected, b.tcpbi_last_byte_received,
               b.tcpbi_last_byte_read - b.tcpbi_init_seq,
               b.tcpbi_next_byte_expected - b.tcpbi_init_seq,
               b.tcpbi_last_byte_received - b.tcpbi_init_seq, runs);
}

const char *print_side(int side)
{
    return side == MOS_SIDE_CLI ? "cli" : "svr";
}

static const char *name_of(const char *const *names, size_t n, int i)
{
    return i >= 0 && (size_t)i < n ? names[i] : "?";
}

const char *print_state(int state)
{
    static const char *const names[] = {
        [TCP_CLOSED] = "CLOSED",           [TCP_LISTEN] = "LISTEN",
        [TCP_SYN_SENT] = "SYN_SENT",       [TCP_SYN_RCVD] = "SYN_RCVD",
        [TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
        [TCP_FIN_WAIT_2] = "FIN_WAIT_2",   [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
        [TCP_CLOSING] = "CLOSING",         [TCP_LAST_ACK] = "LAST_ACK",
        [TCP_TIME_WAIT] = "TIME_WAIT",
    };

    return name_of(names, sizeof(names) / sizeof(names[0]), state);
}

const char *print_reason(int reason)
{
    static const char *const names[] = {
        [MOS_END_NONE] = "?",
        [MOS_END_FIN] = "FIN",
        [MOS_END_RST_IN] = "RST from the peer",
        [MOS_END_RST_OUT] = "RST from this host",
        [MOS_END_TIMEOUT] = "timeout",
        [MOS_END_ABORT] = "abort by the application",
        [MOS_END_EVICTED] = "evicted from TIME_WAIT",
        [MOS_END_RESET_BY_MONITOR] = "reset by a monitor",
    };

    return name_of(names, sizeof(names) / sizeof(names[0]), reason);
}
