/*
 * connlog - a monitor that writes one line per connection, when it is over, as Zeek does to its
 * conn.log: who with whom, when, how long, how many bytes and packets, how it began and ended.
 *
 * A plugin: mos.conf names it, `monitor "log" { plugin = "./connlog.so" args = "file=conn.log" }`,
 * and any program of the library has it. options.h lists the args; record.h says what is gathered,
 * line.h how it is written. It looks at segments, with or without an endpoint of this process.
 */
#include "apps/common/plugin.h"
#include "apps/connlog/file.h"
#include "apps/connlog/options.h"
#include "apps/connlog/record.h"
#include "apps/connlog/service.h"
#include "apps/track/segment.h"

#include <mtcp_api.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A line is in the file at the latest so long after its connection's end. */
#define FLUSH_SECONDS 1

_Static_assert((int)ORIGINATOR == MOS_SIDE_CLI && (int)RESPONDER == MOS_SIDE_SVR,
               "who opens a connection is its client");

/* One per context and section. */
struct connlog {
    struct plugin plugin; /* first */
    struct file *file;
    struct out out;
    enum line_format format;
    uint64_t seed, n_conns; /* of the names */
    bool flush_is_due;      /* the timer runs */
};

/* One per connection: the context pointer of its active socket. */
struct conn {
    struct connlog *log;
    struct record record;
    uint64_t start_us; /* on the stack's clock */
    uint64_t epoch_us; /* ... and since 1970 */
    const char *service;
    bool service_is_settled[2]; /* nothing more can be told from the bytes of that host */
    char uid[24];
};

/* ---- a connection ---- */

/* NULL without memory: the connection is not logged. */
static struct conn *conn_create(mctx_t mctx, int sock)
{
    struct connlog *log = (struct connlog *)plugin_of(mctx, sock);
    struct conn *c = malloc(sizeof(*c));

    if (c == NULL)
        return NULL;
    *c = (struct conn){.log = log, .start_us = plugin_option_u64(mctx, sock, MOS_TIMESTAMP)};
    c->epoch_us = plugin_epoch_us(c->start_us);
    record_init(&c->record, (uint32_t)c->start_us);
    line_uid(c->uid, log->seed, log->n_conns++);
    mtcp_set_uctx(mctx, sock, c);
    return c;
}

static struct conn *conn_of(mctx_t mctx, int sock)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    return c != NULL ? c : conn_create(mctx, sock);
}

static bool service_is_found(const struct conn *c, int from)
{
    return c->service != NULL || c->service_is_settled[from];
}

/* The first bytes of what `from` sent are in the other host's stream until they are read. */
static void service_find(struct conn *c, mctx_t mctx, int sock, int from)
{
    int receiver = from == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
    char bytes[SERVICE_BYTES];
    const char *name;

    if (service_is_found(c, from))
        return;
    ssize_t n = mtcp_ppeek(mctx, sock, receiver, bytes, sizeof(bytes), 0);
    enum service_answer a = n > 0 ? service_guess(bytes, (size_t)n, &name) : SERVICE_UNKNOWN;
    if (a == SERVICE_KNOWN)
        c->service = name;
    c->service_is_settled[from] = a != SERVICE_NEEDS_MORE;
}

/* ---- lines ---- */

static void on_flush(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct connlog *log = mtcp_get_uctx(mctx, sock);

    (void)side, (void)event, (void)arg;
    log->flush_is_due = false;
    out_flush(&log->out);
}

static void flush_later(struct connlog *log)
{
    struct timeval after = {.tv_sec = FLUSH_SECONDS};

    if (!log->flush_is_due)
        log->flush_is_due =
            mtcp_settimer(log->plugin.mctx, log->plugin.sock, &after, on_flush) == 0;
    if (!log->flush_is_due)
        out_flush(&log->out);
}

static void line_address(struct line *l, mctx_t mctx, int sock, int side)
{
    struct plugin_host h;

    strcpy(l->addr[side], "-");
    if (!plugin_host_of(mctx, sock, side, &h))
        return;
    inet_ntop(h.family, h.addr, l->addr[side], sizeof(l->addr[side]));
    l->port[side] = h.port;
}

static void conn_log(const struct conn *c, mctx_t mctx, int sock)
{
    struct line l = {
        .start_us = c->epoch_us,
        .service = c->service,
        .local = plugin_option(mctx, sock, MOS_REAL_SIDE),
        .record = &c->record,
    };
    uint64_t last_us = plugin_option_u64(mctx, sock, MOS_TIMESTAMP);

    last_us -= (uint32_t)last_us - c->record.last_us; /* what does not count; less than an hour */
    l.duration_us = last_us > c->start_us ? last_us - c->start_us : 0;
    memcpy(l.uid, c->uid, sizeof(l.uid));
    line_address(&l, mctx, sock, MOS_SIDE_CLI);
    line_address(&l, mctx, sock, MOS_SIDE_SVR);
    char *at = out_line(&c->log->out);
    out_line_end(&c->log->out, at + line_write(c->log->format, &l, at) - 1);
    flush_later(c->log);
}

/* ---- events ---- */

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    conn_of(mctx, sock);
}

/* What passed without a callback, before the packet of this one. */
static bool conn_catch_up(struct conn *c, mctx_t mctx, int sock, struct mos_traffic sent[2])
{
    struct record_plain plain[2];

    for (int side = 0; side < 2; side++) {
        socklen_t len = sizeof(sent[side]);
        int option = side == MOS_SIDE_CLI ? MOS_TRAFFIC_CLI : MOS_TRAFFIC_SVR;
        if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &sent[side], &len) < 0)
            return false; /* no memory: each packet is shown */
        plain[side] = (struct record_plain){sent[side].plain_packets, sent[side].plain_bytes,
                                            sent[side].next_seq, sent[side].ack_seq};
    }
    uint64_t last_us = sent[0].last_us > sent[1].last_us ? sent[0].last_us : sent[1].last_us;
    record_plain(&c->record, plain, (uint32_t)last_us);
    return true;
}

/* While its first bytes may still become a protocol's. */
static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    (void)event, (void)arg;
    if (c == NULL)
        return;
    service_find(c, mctx, sock, side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI);
    if (service_is_found(c, MOS_SIDE_CLI) && service_is_found(c, MOS_SIDE_SVR))
        (void)mtcp_unregister_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL);
}

/* At its receiver: what a monitor has dropped never comes there. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    int from = side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
    struct conn *c = conn_of(mctx, sock);
    struct mos_traffic sent[2];
    struct segment s;

    (void)event, (void)arg;
    if (c == NULL || !segment_get(mctx, sock, side, &s))
        return;
    conn_catch_up(c, mctx, sock, sent);
    record_segment(&c->record, (enum record_who)from, &s);
    if (s.len == 0 || service_is_found(c, from))
        return;
    service_find(c, mctx, sock, from);
    if (!service_is_found(c, from))
        (void)mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data);
}

/* All packets, whoever saw them. */
static void conn_count(struct conn *c, mctx_t mctx, int sock)
{
    struct mos_traffic sent[2];

    if (!conn_catch_up(c, mctx, sock, sent))
        return;
    for (int who = 0; who < 2; who++) {
        c->record.host[who].n_pkts = sent[who].packets;
        c->record.host[who].n_ip_bytes = sent[who].ip_bytes;
    }
}

/* Each side has two; the last of the four is the server's as sender. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || c == NULL)
        return;
    conn_count(c, mctx, sock);
    conn_log(c, mctx, sock);
    mtcp_set_uctx(mctx, sock, NULL);
    record_free(&c->record);
    free(c);
}

/* ---- start and end ---- */

static bool log_begin(struct plugin *p, mctx_t mctx, const char *args, char *err, size_t err_len)
{
    static const struct plugin_call calls[] = {
        {MOS_ON_CONN_START, MOS_HK_SND, on_start},
        {MOS_ON_PKT_NOTABLE, MOS_HK_RCV, on_packet},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
    };
    struct connlog *log = (struct connlog *)p;
    struct connlog_options options;

    if (!connlog_options_read(&options, args, err, err_len))
        return false;
    if (getrandom(&log->seed, sizeof(log->seed), 0) != sizeof(log->seed))
        log->seed = plugin_epoch_us(0);
    log->format = options.format;
    log->file = file_open(&log->out, &options);
    if (log->file == NULL) {
        snprintf(err, err_len, "%s: %s", options.file[0] != '\0' ? options.file : "standard output",
                 strerror(errno));
        return false;
    }
    return plugin_begin(p, mctx, calls, sizeof(calls) / sizeof(calls[0]));
}

/* All its connections have ended before. */
static void log_end(struct plugin *p)
{
    struct connlog *log = (struct connlog *)p;

    file_close(log->file, &log->out);
}

static const struct plugin_kind kind = {"connlog", sizeof(struct connlog), log_begin, log_end};

int mos_monitor_init(mctx_t mctx, const char *args)
{
    return plugin_init(&kind, mctx, args);
}

void mos_monitor_fini(mctx_t mctx)
{
    plugin_fini(&kind, mctx);
}
