/*
 * ids - a monitor that looks for patterns in what both sides of every connection receive, and stops
 * those that have one.
 *
 *     monitor "ids" { plugin = "ids.so" args = "patterns=PATH file=ids.log" }   in mos.conf
 *
 *     patterns=PATH   what to look for and what to do then (patterns.h)
 *     file=PATH       where the lines go, at its end; without it stdout
 *
 * Each match is a line: time client > server, side that receives, name of the pattern, stream
 * offset behind the match, what was done (log, dropped, reset). Where a
 * pattern may be found:
 *
 *   in the stream   the in-order bytes, exactly those that the application gets, however they were
 *                   cut, reordered, repeated and overlapped; before the application gets them. The
 *                   connection is reset: of the bytes that complete the pattern it reads none.
 *   in a packet     (drop) one that has it alone is dropped before TCP sees it, and again when it
 *                   is sent again.
 *
 * What this host sends is looked through when it is on its way: a pattern that lies across packets
 * is named and ends the connection, but has left, as has one between two devices. Over a capture
 * nothing can be reset, and the line says log.
 *
 * Per connection and direction there is one state of Hyperscan, of a size that depends on the
 * patterns only, from its first byte on.
 */
#include "apps/common/out.h"
#include "apps/common/plugin.h"
#include "apps/ids/matcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ids {
    struct plugin plugin;
    struct matcher matcher;
    struct out out;
};

/* One per connection: the context pointer of its active socket. */
struct flow {
    struct ids *ids;
    int sock;
    hs_stream_t *streams[2]; /* by who receives */
    uint64_t next[2];        /* stream offset up to which bytes were looked through */
    uint64_t base[2];        /* ... at which the state of Hyperscan began */
    uint64_t n_missed[2];    /* bytes that were gone */
    bool is_guilty;          /* it has a pattern for which it is to be stopped */
};

/* A scan of one of its streams, or of one packet. */
struct look {
    struct flow *flow;
    int side;
    uint64_t base; /* stream offset of the first byte */
    bool is_last;
    const struct ids_pattern *found; /* to be acted upon; its match ends at found_end */
    uint64_t found_end;
};

/* ---- lines ----------------------------------------------------------------------------------- */

static char *line_begin(struct flow *f, int side)
{
    mctx_t mctx = f->ids->plugin.mctx;
    char *at = out_line(&f->ids->out);

    at = put_us(at, plugin_active_us(mctx, f->sock));
    *at++ = ' ';
    at = put_addr(at, mctx, f->sock, MOS_SIDE_CLI);
    at = put_text(at, " > ");
    at = put_addr(at, mctx, f->sock, MOS_SIDE_SVR);
    return put_text(at, side == MOS_SIDE_SVR ? " svr " : " cli ");
}

static void line_end(struct flow *f, char *at)
{
    out_line_end(&f->ids->out, at);
    out_flush(&f->ids->out);
}

static void match_log(struct flow *f, int side, const struct ids_pattern *p, uint64_t end,
                      const char *done)
{
    char *at = line_begin(f, side);

    at = put_foreign(at, p->name, strlen(p->name), 255);
    *at++ = ' ';
    at = put_u64(at, end);
    *at++ = ' ';
    line_end(f, put_text(at, done));
}

/* ---- matches --------------------------------------------------------------------------------- */

static bool on_found(void *arg, const struct ids_pattern *p, uint64_t end)
{
    struct look *l = arg;

    if (p->action == IDS_LOG || l->is_last) { /* it is over: nothing is left to stop */
        match_log(l->flow, l->side, p, l->base + end, "log");
        return false;
    }
    l->found = p;
    l->found_end = l->base + end;
    return true;
}

static struct matcher_scan scan_of(struct look *l)
{
    return (struct matcher_scan){&l->flow->ids->matcher, l->side, on_found, l};
}

/* The connection ends: what was done. It may be over, or lie in the past. */
static const char *flow_stop(struct flow *f)
{
    f->is_guilty = true;
    return mtcp_reset_conn(f->ids->plugin.mctx, f->sock) == 0 ? "reset" : "log";
}

static void look_act(const struct look *l, const char *done)
{
    match_log(l->flow, l->side, l->found, l->found_end, done);
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct flow *flow_of(mctx_t mctx, int sock)
{
    struct flow *f = mtcp_get_uctx(mctx, sock);

    if (f != NULL)
        return f;
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->ids = (struct ids *)plugin_of(mctx, sock);
    f->sock = sock;
    mtcp_set_uctx(mctx, sock, f);
    return f;
}

/* n bytes are gone, or there is no memory to look through them: no match can lie across them. */
static void bytes_missed(struct flow *f, int side, uint64_t n)
{
    struct look l = {.flow = f, .side = side};
    struct matcher_scan s = scan_of(&l);
    char *at = line_begin(f, side);

    at = put_text(at, "- ");
    at = put_u64(at, f->next[side]);
    at = put_text(at, " missed ");
    line_end(f, put_u64(at, n));
    matcher_stream_restart(&s, f->streams[side]);
    f->next[side] += n;
    f->base[side] = f->next[side];
}

static void bytes_scan(struct flow *f, int side, const struct iovec iov[2])
{
    struct look l = {.flow = f, .side = side, .base = f->base[side]};
    struct matcher_scan s = scan_of(&l);

    for (int i = 0; i < 2 && l.found == NULL; i++) {
        if (iov[i].iov_len == 0)
            continue;
        if (matcher_stream(&s, &f->streams[side], iov[i].iov_base, iov[i].iov_len))
            f->next[side] += iov[i].iov_len;
        else
            bytes_missed(f, side, iov[i].iov_len);
    }
    if (l.found != NULL)
        look_act(&l, flow_stop(f));
}

static uint64_t missed_total(const struct flow *f, int side)
{
    return plugin_option_u64(f->ids->plugin.mctx, f->sock,
                             side == MOS_SIDE_CLI ? MOS_MISSED_CLIBUF : MOS_MISSED_SVRBUF);
}

/* All that is new for a side, before the application gets it. */
static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = flow_of(mctx, sock);
    struct iovec iov[2];
    ssize_t n;

    (void)event, (void)arg;
    if (f == NULL || f->is_guilty)
        return;
    while ((n = mtcp_peek_iov(mctx, sock, side, iov)) < 0) {
        uint64_t missed = missed_total(f, side);
        if (missed == f->n_missed[side])
            return;
        bytes_missed(f, side, missed - f->n_missed[side]);
        f->n_missed[side] = missed;
    }
    bytes_scan(f, side, iov);
    mtcp_peek_consume(mctx, sock, side, (size_t)n);
}

/* The verdict on a packet: `side` sent it. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = flow_of(mctx, sock);
    int to = side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
    struct pkt_info p = {0};
    struct look l = {.flow = f, .side = to};

    (void)event, (void)arg;
    if (f == NULL)
        return;
    if (f->ids->matcher.packets_to[to] && mtcp_getlastpkt(mctx, sock, side, &p) == 0 &&
        p.payloadlen > 0) {
        struct matcher_scan s = scan_of(&l);
        l.base = p.offset;
        matcher_packet(&s, p.payload, p.payloadlen);
    }
    if (l.found == NULL)
        return;
    look_act(&l, "dropped");
    mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
}

/* Each side has two; the last of the four is the server's as sender. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *f = mtcp_get_uctx(mctx, sock);

    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || f == NULL)
        return;
    for (int to = 0; to < 2; to++) {
        struct look l = {.flow = f, .side = to, .base = f->base[to], .is_last = true};
        struct matcher_scan s = scan_of(&l);
        matcher_stream_end(&s, &f->streams[to]);
    }
    mtcp_set_uctx(mctx, sock, NULL);
    free(f);
}

/* ---- start and end --------------------------------------------------------------------------- */

static bool socket_begin(struct ids *ids, mctx_t mctx)
{
    const struct matcher *m = &ids->matcher;
    static const struct plugin_call calls[] = {
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
        {MOS_ON_PKT_IN, MOS_HK_SND, on_packet}, /* only if something is to be dropped */
    };
    static const int buffers[] = {[MOS_SIDE_CLI] = MOS_CLIBUF, [MOS_SIDE_SVR] = MOS_SVRBUF};
    int none = 0;

    if (!plugin_begin(&ids->plugin, mctx, calls, m->packets != NULL ? 3 : 2))
        return false;
    for (int side = 0; side < 2; side++)
        if (!m->streams_to[side])
            mtcp_setsockopt(mctx, ids->plugin.sock, SOL_MONSOCKET, buffers[side], &none,
                            sizeof(none));
    return true;
}

static bool ids_begin(struct plugin *p, mctx_t mctx, const char *args, char *err, size_t err_len)
{
    struct ids *ids = (struct ids *)p;
    char path[256] = "", file[256] = "";
    const struct plugin_arg known[] = {{"patterns", "PATH", path, sizeof(path), NULL},
                                       {"file", "PATH", file, sizeof(file), NULL}};

    if (!plugin_args_read(args, known, 2, err, err_len))
        return false;
    snprintf(err, err_len, "no patterns: write args = \"patterns=PATH\"");
    if (path[0] == '\0' || !matcher_open(&ids->matcher, path, err, err_len))
        return false;
    if (!out_open(&ids->out, "ids", file)) {
        snprintf(err, err_len, "%s: %s", file, strerror(errno));
        return false;
    }
    err[0] = '\0';
    return socket_begin(ids, mctx);
}

static void ids_end(struct plugin *p)
{
    struct ids *ids = (struct ids *)p;

    out_close(&ids->out);
    matcher_close(&ids->matcher);
}

static const struct plugin_kind kind = {"ids", sizeof(struct ids), ids_begin, ids_end};

int mos_monitor_init(mctx_t mctx, const char *args)
{
    return plugin_init(&kind, mctx, args);
}

void mos_monitor_fini(mctx_t mctx)
{
    plugin_fini(&kind, mctx);
}
