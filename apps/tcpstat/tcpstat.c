/*
 * tcpstat - a monitor that measures connections: round trips, handshakes, what was sent again and
 * why, what was overtaken, closed windows, bytes that wait in buffers. A table in a terminal while
 * it goes on, sorted by any column; a report at the end, and whenever SIGUSR1 asks for one.
 *
 * A plugin: mos.conf names it, `monitor "stat" { plugin = "./tcpstat.so" args = "screen" }`.
 * options.h lists the args; meter.h says what is measured, and how.
 *
 * It looks at so many connections per turn and no more, from a timer, so that a picture of many
 * takes several turns rather than hold up one.
 */
#include "apps/common/plugin.h"
#include "apps/tcpstat/board.h"
#include "apps/tcpstat/meter.h"
#include "apps/tcpstat/options.h"
#include "apps/tcpstat/report.h"
#include "apps/tcpstat/screen.h"

#include <mtcp_api.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNS_PER_TURN 256
#define KEYS_MS        100 /* how often keys are looked for */
#define BUSY_MS        10  /* when a picture is not complete yet */

struct conn;

/* One per context and section. */
struct tcpstat {
    struct plugin plugin; /* first */
    struct tcpstat_options options;
    struct conn *conns, *look_at; /* all; where the picture that is being taken goes on */
    bool is_looking;
    bool owns_screen, is_paused;
    uint32_t looked_us;
    uint64_t clock_us;    /* the stack's, as of the last look or the last connection that began */
    struct picture now;   /* what is measured; the live table is being filled */
    struct picture shown; /* of all contexts */
    struct board_slot slot;
};

/* One per connection: the context pointer of its active socket. */
struct conn {
    struct conn *next, **link;
    struct tcpstat *stat;
    struct meter meter;
    struct row_host host[2];
    uint32_t unread_max[2];
    int sock;
    uint64_t begun_us;
};

static pthread_mutex_t first_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_stats; /* the first of them has the signal and the screen */
static bool screen_is_taken;

/* What the keys say, for every context; enum column, and whether from the smallest on. */
static atomic_int sort_by;
static atomic_bool sort_ascending;

static atomic_bool report_is_wanted;
static struct sigaction usr1_before;

/* ---- what the stack knows ---- */

/* Bytes in the buffer of a side that its application has yet to read. */
static uint32_t unread_bytes(mctx_t mctx, int sock, int side)
{
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);
    int option = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &b, &len) < 0)
        return 0;
    return b.tcpbi_next_byte_expected - b.tcpbi_last_byte_read;
}

static void host_find(struct row_host *row, mctx_t mctx, int sock, int side)
{
    struct plugin_host h;

    (void)plugin_host_of(mctx, sock, side, &h);
    *row = (struct row_host){.is_v4 = h.family == AF_INET, .port = h.port};
    if (row->is_v4) /* at the end, to be sorted with IPv6 */
        memcpy(row->addr + 12, h.addr, 4);
    else
        memcpy(row->addr, h.addr, 16);
}

/* ---- a connection ---- */

static void conn_link(struct conn *c, struct tcpstat *s)
{
    c->stat = s;
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    s->conns = c;
}

static void conn_unlink(struct conn *c)
{
    if (c->stat->look_at == c)
        c->stat->look_at = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    *c->link = c->next;
}

/* NULL without memory: the connection is not measured. */
static struct conn *conn_create(mctx_t mctx, int sock)
{
    struct tcpstat *s = (struct tcpstat *)plugin_of(mctx, sock);
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    conn_link(c, s);
    c->sock = sock;
    c->begun_us = plugin_option_u64(mctx, sock, MOS_TIMESTAMP);
    s->clock_us = c->begun_us;
    meter_init(&c->meter, &s->now.totals);
    host_find(&c->host[MOS_SIDE_CLI], mctx, sock, MOS_SIDE_CLI);
    host_find(&c->host[MOS_SIDE_SVR], mctx, sock, MOS_SIDE_SVR);
    s->now.totals.n_begun++;
    mtcp_set_uctx(mctx, sock, c);
    return c;
}

static struct conn *conn_of(mctx_t mctx, int sock)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    return c != NULL ? c : conn_create(mctx, sock);
}

static uint64_t both_sent(const struct meter *m, enum count what)
{
    return m->host[0].count[what] + m->host[1].count[what];
}

static void conn_row(const struct conn *c, mctx_t mctx, uint64_t now_us, struct row *r)
{
    const struct meter *m = &c->meter;

    *r = (struct row){.host = {c->host[0], c->host[1]}};
    r->state[MOS_SIDE_CLI] = (uint8_t)plugin_option(mctx, c->sock, MOS_TCP_STATE_CLI);
    r->state[MOS_SIDE_SVR] = (uint8_t)plugin_option(mctx, c->sock, MOS_TCP_STATE_SVR);
    r->value[COLUMN_AGE] = now_us - c->begun_us;
    r->value[COLUMN_TO_CLI] = m->host[MOS_SIDE_SVR].count[COUNT_BYTES];
    r->value[COLUMN_TO_SVR] = m->host[MOS_SIDE_CLI].count[COUNT_BYTES];
    r->value[COLUMN_HANDSHAKE] = m->handshake_us;
    r->value[COLUMN_RTT_CLI] = m->host[MOS_SIDE_CLI].rtt.smoothed;
    r->value[COLUMN_RTT_SVR] = m->host[MOS_SIDE_SVR].rtt.smoothed;
    r->value[COLUMN_FAST] = both_sent(m, COUNT_AGAIN_FAST);
    r->value[COLUMN_TIMER] = both_sent(m, COUNT_AGAIN_TIMER);
    r->value[COLUMN_SPURIOUS] = both_sent(m, COUNT_AGAIN_SPURIOUS);
    r->value[COLUMN_CONTROL] = both_sent(m, COUNT_AGAIN_CONTROL);
    r->value[COLUMN_AGAIN] = r->value[COLUMN_FAST] + r->value[COLUMN_TIMER] +
                             r->value[COLUMN_SPURIOUS] + r->value[COLUMN_CONTROL];
    r->value[COLUMN_OUT_OF_ORDER] = both_sent(m, COUNT_OUT_OF_ORDER);
    r->value[COLUMN_ZERO_WINDOW] = both_sent(m, COUNT_ZERO_WINDOW);
}

/* ---- pictures ---- */

static void report_do(struct tcpstat *s)
{
    const struct tcpstat_options *o = &s->options;
    FILE *out = o->report[0] != '\0' ? fopen(o->report, "ae") : stdout;

    if (out == NULL) {
        fprintf(stderr, "tcpstat: %s: %s\n", o->report, strerror(errno));
        return;
    }
    table_init(&s->now.live, o->sort, false); /* open and ended ones in one table */
    for (unsigned i = 0; i < s->shown.live.n; i++)
        table_add(&s->now.live, &s->shown.live.row[i]);
    for (unsigned i = 0; i < s->shown.ended.n; i++)
        table_add(&s->now.live, &s->shown.ended.row[i]);
    table_sort(&s->now.live);
    report_write(out, o->format, &s->shown.totals, &s->now.live, (unsigned)o->top);
    s->now.live.n = 0;
    fflush(out);
    if (ferror(out))
        fprintf(stderr, "tcpstat: %s: the report is not complete\n",
                out != stdout ? o->report : "standard output");
    if (out != stdout)
        fclose(out);
}

static void look_begin(struct tcpstat *s)
{
    s->is_looking = true;
    s->look_at = s->conns;
    s->looked_us = mtcp_cb_get_ts(s->plugin.mctx);
    s->clock_us +=
        s->looked_us - (uint32_t)s->clock_us; /* the last look was less than an hour ago */
    table_init(&s->now.live, (enum column)atomic_load(&sort_by), atomic_load(&sort_ascending));
}

static void look_show(struct tcpstat *s)
{
    bool wants_report = atomic_exchange(&report_is_wanted, false);

    s->shown.live.by = s->now.live.by;
    s->shown.live.is_ascending = s->now.live.is_ascending;
    s->shown.ended.by = s->options.sort;
    if (!wants_report && !s->owns_screen)
        return;
    if (!board_get(&s->shown)) {
        if (wants_report)
            atomic_store(&report_is_wanted, true);
        return;
    }
    if (wants_report)
        report_do(s);
    if (s->owns_screen && !s->is_paused && screen_is_ready())
        screen_draw(&s->shown, false);
}

/* Goes on with the picture; complete, it is put on the board. */
static void look_on(struct tcpstat *s)
{
    struct row r;

    for (int i = 0; i < CONNS_PER_TURN && s->look_at != NULL; i++) {
        struct conn *c = s->look_at;
        conn_row(c, s->plugin.mctx, s->clock_us, &r);
        r.value[COLUMN_UNREAD_CLI] = unread_bytes(s->plugin.mctx, c->sock, MOS_SIDE_CLI);
        r.value[COLUMN_UNREAD_SVR] = unread_bytes(s->plugin.mctx, c->sock, MOS_SIDE_SVR);
        table_add(&s->now.live, &r);
        s->look_at = c->next;
    }
    if (s->look_at != NULL || !board_put(&s->slot, &s->now))
        return;
    s->is_looking = false;
    look_show(s);
}

static void keys_take(struct tcpstat *s)
{
    enum screen_key key;

    while ((key = screen_key()) != SCREEN_NO_KEY) {
        int by = atomic_load(&sort_by);
        if (key == SCREEN_LEFT)
            atomic_store(&sort_by, (by + COLUMNS - 1) % COLUMNS);
        else if (key == SCREEN_RIGHT)
            atomic_store(&sort_by, (by + 1) % COLUMNS);
        else if (key == SCREEN_REVERSE)
            atomic_store(&sort_ascending, !atomic_load(&sort_ascending));
        else
            s->is_paused = !s->is_paused;
        s->looked_us -= (uint32_t)s->options.interval_ms * 1000; /* at once */
        if (s->is_paused && screen_is_ready())
            screen_draw(&s->shown, true);
    }
}

static void on_tick(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

static void tick_later(struct tcpstat *s)
{
    uint64_t ms = s->is_looking ? BUSY_MS : s->owns_screen ? KEYS_MS : s->options.interval_ms;
    struct timeval after = {.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    (void)mtcp_settimer(s->plugin.mctx, s->plugin.sock, &after,
                        on_tick); /* without memory it ends */
}

static void on_tick(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct tcpstat *s = mtcp_get_uctx(mctx, sock);
    uint32_t interval_us = (uint32_t)s->options.interval_ms * 1000;

    (void)side, (void)event, (void)arg;
    if (s->owns_screen) {
        (void)screen_is_ready();
        keys_take(s);
    }
    if (!s->is_looking && mtcp_cb_get_ts(mctx) - s->looked_us >= interval_us)
        look_begin(s);
    if (s->is_looking)
        look_on(s);
    tick_later(s);
}

/* ---- events ---- */

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    conn_of(mctx, sock);
}

/* At its receiver: what a monitor has dropped never comes there. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = conn_of(mctx, sock);
    struct segment s;

    (void)event, (void)arg;
    if (c != NULL && segment_get(mctx, sock, side, &s))
        meter_segment(&c->meter, side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI, &s);
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    (void)event, (void)arg;
    if (c == NULL)
        return;
    uint32_t unread = unread_bytes(mctx, sock, side);
    if (unread > c->unread_max[side])
        c->unread_max[side] = unread;
}

/* Each side has two; the last of the four is the server's as sender. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);
    struct row r;

    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || c == NULL)
        return;
    conn_row(c, mctx, plugin_option_u64(mctx, sock, MOS_TIMESTAMP), &r);
    r.value[COLUMN_UNREAD_CLI] = c->unread_max[MOS_SIDE_CLI];
    r.value[COLUMN_UNREAD_SVR] = c->unread_max[MOS_SIDE_SVR];
    table_add(&c->stat->now.ended, &r);
    c->stat->now.totals.n_ended++;
    mtcp_set_uctx(mctx, sock, NULL);
    conn_unlink(c);
    meter_free(&c->meter);
    free(c);
}

/* ---- start and end ---- */

static void on_usr1(int sig)
{
    (void)sig;
    atomic_store(&report_is_wanted, true);
}

/* Unless the program has a use of its own for it. */
static void usr1_take(void)
{
    struct sigaction mine = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

    sigaction(SIGUSR1, NULL, &usr1_before);
    if (usr1_before.sa_handler == SIG_DFL)
        sigaction(SIGUSR1, &mine, NULL);
}

static void usr1_give_back(void)
{
    if (usr1_before.sa_handler == SIG_DFL)
        sigaction(SIGUSR1, &usr1_before, NULL);
}

/* After the last one the signal is the program's again: its handler may be unloaded. */
static void one_leaves(struct tcpstat *s)
{
    pthread_mutex_lock(&first_lock);
    if (--n_stats == 0)
        usr1_give_back();
    screen_is_taken = screen_is_taken && !s->owns_screen;
    pthread_mutex_unlock(&first_lock);
}

/* The first context of the process has the screen. */
static bool first_begin(struct tcpstat *s, char *err, size_t err_len)
{
    bool ok = true;

    pthread_mutex_lock(&first_lock);
    if (n_stats++ == 0) {
        atomic_store(&sort_by, (int)s->options.sort);
        usr1_take();
    }
    if (s->options.has_screen && !screen_is_taken) {
        int n = snprintf(err, err_len, "screen: ");
        ok = s->owns_screen = screen_is_taken =
            screen_open(s->options.screen, err + n, err_len - (size_t)n);
    }
    pthread_mutex_unlock(&first_lock);
    return ok;
}

static bool stat_begin(struct plugin *p, mctx_t mctx, const char *args, char *err, size_t err_len)
{
    static const struct plugin_call calls[] = {
        {MOS_ON_CONN_START, MOS_HK_SND, on_start},
        {MOS_ON_PKT_IN, MOS_HK_RCV, on_packet},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
    };
    struct tcpstat *s = (struct tcpstat *)p;

    if (!tcpstat_options_read(&s->options, args, err, err_len))
        return false;
    if (!first_begin(s, err, err_len)) {
        one_leaves(s);
        return false;
    }
    totals_init(&s->now.totals);
    table_init(&s->now.ended, s->options.sort, false);
    err[0] = '\0';
    if (plugin_begin(p, mctx, calls, sizeof(calls) / sizeof(calls[0]))) {
        board_join(&s->slot);
        tick_later(s);
        return true;
    }
    if (s->owns_screen)
        screen_close();
    one_leaves(s);
    return false;
}

/* All its connections have ended before. One that has not begun holds nothing. */
static void stat_end(struct plugin *p)
{
    struct tcpstat *s = (struct tcpstat *)p;

    if (p->mctx == NULL)
        return;
    if (s->owns_screen)
        screen_close();
    s->now.live.n = 0;
    if (board_leave(&s->slot, &s->now)) {
        table_init(&s->shown.live, s->options.sort, false);
        table_init(&s->shown.ended, s->options.sort, false);
        if (board_get(&s->shown))
            report_do(s);
    }
    one_leaves(s);
}

static const struct plugin_kind kind = {"tcpstat", sizeof(struct tcpstat), stat_begin, stat_end};

int mos_monitor_init(mctx_t mctx, const char *args)
{
    return plugin_init(&kind, mctx, args);
}

void mos_monitor_fini(mctx_t mctx)
{
    plugin_fini(&kind, mctx);
}
