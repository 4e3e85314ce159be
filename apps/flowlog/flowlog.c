/*
 * flowlog - a monitor that writes one line per event of every connection:
 *
 *     time #connection client > server  event, and what belongs to it
 *
 * A plugin: mos.conf names it, `monitor "log" { plugin = "./flowlog.so" args = "edges" }`, and any
 * program of the library has it. options.h lists the args; print.c writes what an option of
 * mtcp_getsockopt says of a buffer. Bytes are counted "to" the side that receives them.
 */
#include "apps/flowlog/flowlog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a connection ---- */

static void flow_name(struct flow *f, mctx_t mctx, int sock)
{
    char *at = put_addr(f->name, mctx, sock, MOS_SIDE_CLI);

    at = put_addr(put_text(at, " > "), mctx, sock, MOS_SIDE_SVR);
    *at = '\0';
}

uint64_t flow_now_us(const struct flow *f)
{
    return plugin_option_u64(f->log->plugin.mctx, f->sock, MOS_NOW);
}

/* The flow of an event's socket; made at its first event. NULL without memory: nothing is logged.
 */
static struct flow *flow_of(mctx_t mctx, int sock)
{
    struct flow *f = mtcp_get_uctx(mctx, sock);

    if (f != NULL)
        return f;
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->log = (struct flowlog *)plugin_of(mctx, sock);
    f->number = ++f->log->n_flows;
    f->sock = sock;
    f->since_us = flow_now_us(f);
    flow_name(f, mctx, sock);
    mtcp_set_uctx(mctx, sock, f);
    return f;
}

static bool is_wanted(const struct flow *f, enum flowlog_event event)
{
    return f != NULL && (f->log->options.events & event) != 0;
}

/* ---- events ---- */

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    static const char *const where[] = {"the client is this host", "the server is this host"};
    struct flow *f = flow_of(mctx, sock);
    int real = plugin_option(mctx, sock, MOS_REAL_SIDE);

    (void)side, (void)event, (void)arg;
    if (is_wanted(f, FLOWLOG_START))
        print_line(f, "start", "%s",
                   real < 0 || real > 1 ? "both hosts are elsewhere" : where[real]);
}

static void on_state(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = flow_of(mctx, sock);
    int option = side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR;

    (void)event, (void)arg;
    if (is_wanted(f, FLOWLOG_STATE))
        print_line(f, "state", "%s %s", print_side(side),
                   print_state(plugin_option(mctx, sock, option)));
}

static uint64_t missed_total(mctx_t mctx, int sock, int side)
{
    return plugin_option_u64(mctx, sock,
                             side == MOS_SIDE_CLI ? MOS_MISSED_CLIBUF : MOS_MISSED_SVRBUF);
}

/* Looks at a side's new bytes, without copying them: their number, and in *n_missed the number of
 * those that were gone already. */
static uint64_t bytes_take(struct flow *f, mctx_t mctx, int sock, int side, uint64_t *n_missed)
{
    uint64_t n_new = 0, before = f->n_missed[side];
    struct iovec iov[2];

    for (;;) {
        ssize_t n = mtcp_peek_iov(mctx, sock, side, iov);
        uint64_t missed = missed_total(mctx, sock, side);
        if (n > 0 && mtcp_peek_consume(mctx, sock, side, (size_t)n) == n)
            n_new += (uint64_t)n;
        else if (missed == f->n_missed[side])
            break;
        f->n_missed[side] = missed;
    }
    *n_missed = f->n_missed[side] - before;
    return n_new;
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = flow_of(mctx, sock);
    uint64_t n_missed;

    (void)event, (void)arg;
    if (f == NULL)
        return;
    uint64_t n_new = bytes_take(f, mctx, sock, side, &n_missed);
    f->n_bytes[side] += n_new + n_missed;
    if (!is_wanted(f, FLOWLOG_DATA))
        return;
    if (n_missed > 0)
        print_line(f, "missed", "to %s %llu bytes", print_side(side), (unsigned long long)n_missed);
    print_line(f, "data", "to %s %llu bytes, %llu in all", print_side(side),
               (unsigned long long)n_new, (unsigned long long)f->n_bytes[side]);
    if (f->log->options.edges) {
        print_edges(f, mctx, sock, MOS_SIDE_SVR);
        print_edges(f, mctx, sock, MOS_SIDE_CLI);
    }
}

static void on_rexmit(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = flow_of(mctx, sock);
    struct pkt_info p;
    struct tcphdr tcp;

    (void)event, (void)arg;
    if (!is_wanted(f, FLOWLOG_REXMIT))
        return;
    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0) {
        print_line(f, "rexmit", "to %s", print_side(side));
        return;
    }
    memcpy(&tcp, (const void *)p.tcph, sizeof(tcp)); /* in the frame it is not aligned */
    print_line(f, "rexmit", "to %s seq %u: %u bytes from offset %llu%s%s", print_side(side), p.seq,
               p.payloadlen, (unsigned long long)p.offset, tcp.syn ? ", SYN" : "",
               tcp.fin ? ", FIN" : "");
}

static void on_error(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    static const char *const what[] = {"?", "bytes not looked at are about to go",
                                       "data beyond the window", "two copies of a byte differ"};
    struct flow *f = flow_of(mctx, sock);
    int kind = plugin_option(mctx, sock, MOS_LASTERROR);

    (void)event, (void)arg;
    if (is_wanted(f, FLOWLOG_ERROR))
        print_line(f, "error", "to %s: %s", print_side(side),
                   what[kind > 0 && kind < 4 ? kind : 0]);
}

/* Each side has two; the last of the four is the server's as sender. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = mtcp_get_uctx(mctx, sock);

    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || f == NULL)
        return;
    if (is_wanted(f, FLOWLOG_END))
        print_line(f, "end", "%s; to svr %llu bytes, to cli %llu bytes, %.6f s",
                   print_reason(plugin_option(mctx, sock, MOS_END_REASON)),
                   (unsigned long long)f->n_bytes[MOS_SIDE_SVR],
                   (unsigned long long)f->n_bytes[MOS_SIDE_CLI],
                   (double)(flow_now_us(f) - f->since_us) / 1e6);
    mtcp_set_uctx(mctx, sock, NULL);
    free(f);
}

/* ---- start and end ---- */

static bool log_begin(struct plugin *p, mctx_t mctx, const char *args, char *err, size_t err_len)
{
    static const struct plugin_call calls[] = {
        {MOS_ON_CONN_START, MOS_HK_SND, on_start},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
        {MOS_ON_REXMIT, MOS_HK_RCV, on_rexmit},
        {MOS_ON_ERROR, MOS_NULL, on_error},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
    };
    struct flowlog *l = (struct flowlog *)p;

    if (!flowlog_options_read(&l->options, args, err, err_len))
        return false;
    if (!out_open(&l->out, "flowlog", l->options.file)) {
        snprintf(err, err_len, "%s: %s", l->options.file, strerror(errno));
        return false;
    }
    return plugin_begin(p, mctx, calls, sizeof(calls) / sizeof(calls[0]));
}

static void log_end(struct plugin *p)
{
    out_close(&((struct flowlog *)p)->out);
}

static const struct plugin_kind kind = {"flowlog", sizeof(struct flowlog), log_begin, log_end};

int mos_monitor_init(mctx_t mctx, const char *args)
{
    return plugin_init(&kind, mctx, args);
}

void mos_monitor_fini(mctx_t mctx)
{
    plugin_fini(&kind, mctx);
}
