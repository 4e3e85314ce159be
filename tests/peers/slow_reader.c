/*
 * slow_reader - an application over the stack that reads as slowly as it is told to, with a monitor
 * in the same process that checks, at every event, what the manual says of a connection's buffers:
 *
 *   next_byte_expected - last_byte_read is what FIONREAD says, and last_byte_read is as many bytes
 *   from the first as mtcp_read has returned; on the emulated side the two are equal;
 * last_byte_received is beyond next_byte_expected exactly while there is a hole; the runs are
 * ascending, disjoint and maximal, end at those edges, and each can be read by mtcp_ppeek as it is
 * listed; what mtcp_peek gives is what the application reads.
 *
 *   slow_reader [-c CHUNK] [-p PAUSE_US] [-x FILE] MOS.CONF listen PORT
 *   slow_reader [-c CHUNK] [-p PAUSE_US] MOS.CONF get ADDR PORT PATH
 *
 * Takes one connection, or opens one and asks for PATH by HTTP/1.0; what it reads goes to standard
 * output, CHUNK bytes (default 64 K) every PAUSE_US (0: as fast as it comes). With -x, every byte
 * that a run lists is compared with the file's. At the end one line of figures on standard error;
 * exit status 0 when the connection ended by a FIN and nothing was wrong.
 */
#include <mtcp_api.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_MAX   (1 << 20)
#define RUNS_MAX    256
#define WHOLE_EVERY 512 /* events: then a run is read whole, else its first and last bytes */
#define EDGE_BYTES  32
#define END_MS      5000

struct reader {
    mctx_t mctx;
    int sock, epid, passive;
    size_t chunk;
    int pause_us;
    const char *request; /* NULL: listens */
    const uint8_t *file; /* what will come; NULL: not known */
    size_t file_len;
    uint64_t n_read;               /* returned by mtcp_read */
    uint64_t sum_read, sum_peeked; /* of the bytes that the application and the monitor got */
    uint64_t n_peeked;
    uint64_t n_events, n_holes, n_runs, n_unread_max, n_full;
    int active; /* the monitored connection; -1 before and after */
    bool is_over;
    int end_reason;
    unsigned n_wrong;
};

/* A callback is told the context and the socket only. There is one connection. */
static struct reader reader = {.sock = -1, .active = -1, .chunk = 65536};
static char bytes[CHUNK_MAX];

__attribute__((format(printf, 2, 3))) static void wrong(struct reader *r, const char *format, ...)
{
    va_list args;

    if (r->n_wrong++ >= 10)
        return;
    fprintf(stderr, "slow_reader: event %" PRIu64 ": ", r->n_events);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* FNV-1a, going on from `sum`. */
static uint64_t sum_add(uint64_t sum, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ (uint8_t)p[i]) * UINT64_C(1099511628211);
    return sum;
}

/* ---- the monitor's checks -------------------------------------------------------------------- */

static int option_int(const struct reader *r, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    mtcp_getsockopt(r->mctx, r->active, SOL_MONSOCKET, option, &value, &len);
    return value;
}

static int real_side(const struct reader *r)
{
    return r->request != NULL ? MOS_SIDE_CLI : MOS_SIDE_SVR;
}

/* False: nothing is known of that side yet. */
static bool buffer_info(struct reader *r, int side, struct tcp_buf_info *info)
{
    socklen_t len = sizeof(*info);
    int option = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;

    if (mtcp_getsockopt(r->mctx, r->active, SOL_MONSOCKET, option, info, &len) == 0)
        return true;
    if (errno != ENODATA)
        wrong(r, "MOS_INFO of side %d: %s", side, strerror(errno));
    return false;
}

/* Bytes at `at` of the run: readable, and those of the file. */
static void bytes_check(struct reader *r, uint64_t at, size_t n)
{
    ssize_t got = mtcp_ppeek(r->mctx, r->active, real_side(r), bytes, n, at);

    if (got != (ssize_t)n)
        wrong(r, "ppeek of %zu bytes at %" PRIu64 ": %zd", n, at, got);
    else if (r->file != NULL && (at + n > r->file_len || memcmp(bytes, r->file + at, n) != 0))
        wrong(r, "%zu bytes at %" PRIu64 " are not the file's", n, at);
}

static void run_check(struct reader *r, const struct tcp_ring_fragment *run)
{
    size_t edge = run->len < EDGE_BYTES ? run->len : EDGE_BYTES;

    r->n_runs++;
    if (run->len == 0)
        wrong(r, "an empty run");
    if (r->n_events % WHOLE_EVERY == 0 && run->len <= CHUNK_MAX) {
        bytes_check(r, run->offset, run->len);
        return;
    }
    bytes_check(r, run->offset, edge);
    bytes_check(r, run->offset + run->len - edge, edge);
}

/* Offsets of the edges, as sequence numbers say them. */
static void runs_check(struct reader *r, const struct tcp_buf_info *info)
{
    int option = real_side(r) == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF;
    uint32_t next = info->tcpbi_next_byte_expected - info->tcpbi_init_seq;
    uint32_t received = info->tcpbi_last_byte_received - info->tcpbi_init_seq;
    struct tcp_ring_fragment runs[RUNS_MAX];
    socklen_t n = RUNS_MAX;

    if (mtcp_getsockopt(r->mctx, r->active, SOL_MONSOCKET, option, runs, &n) < 0) {
        wrong(r, "MOS_FRAGINFO: %s", strerror(errno));
        return;
    }
    bool is_hole = n > 0 && (uint32_t)(runs[n - 1].offset + runs[n - 1].len) != next;
    if (is_hole != (received != next))
        wrong(r, "%u runs, but next is %u and received %u", (unsigned)n, next, received);
    if (is_hole && n < RUNS_MAX && (uint32_t)(runs[n - 1].offset + runs[n - 1].len) != received)
        wrong(r, "the last run does not end at received, %u", received);
    r->n_holes += is_hole;
    for (socklen_t i = 0; i < n; i++) {
        if (i > 0 && runs[i].offset <= runs[i - 1].offset + runs[i - 1].len)
            wrong(r, "run %u is not beyond a hole", (unsigned)i);
        run_check(r, &runs[i]);
    }
}

static void real_side_check(struct reader *r)
{
    struct tcp_buf_info info;
    int unread = 0, sock = option_int(r, MOS_ENDPOINT_SOCK);

    if (!buffer_info(r, real_side(r), &info))
        return;
    uint32_t n_unread = info.tcpbi_next_byte_expected - info.tcpbi_last_byte_read;
    if (info.tcpbi_last_byte_read - info.tcpbi_init_seq != (uint32_t)r->n_read)
        wrong(r, "last_byte_read is %u from the first, %" PRIu64 " were read",
              info.tcpbi_last_byte_read - info.tcpbi_init_seq, r->n_read);
    if (sock >= 0 && mtcp_ioctl(r->mctx, sock, FIONREAD, &unread) < 0)
        wrong(r, "FIONREAD: %s", strerror(errno));
    if (sock >= 0 && n_unread != (uint32_t)unread)
        wrong(r, "next - read is %u, FIONREAD says %d", n_unread, unread);
    if (n_unread > r->n_unread_max)
        r->n_unread_max = n_unread;
    runs_check(r, &info);
}

static void emulated_side_check(struct reader *r)
{
    struct tcp_buf_info info;

    if (buffer_info(r, real_side(r) == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI, &info) &&
        info.tcpbi_last_byte_read != info.tcpbi_next_byte_expected)
        wrong(r, "on the emulated side read is %u, next %u", info.tcpbi_last_byte_read,
              info.tcpbi_next_byte_expected);
}

/* ---- the monitor ----------------------------------------------------------------------------- */

static void on_event(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct reader *r = &reader;

    (void)mctx, (void)side, (void)event, (void)arg;
    r->n_events++;
    r->active = sock;
    real_side_check(r);
    emulated_side_check(r);
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct reader *r = &reader;
    ssize_t n;

    on_event(mctx, sock, side, event, arg);
    if (side != real_side(r))
        return;
    while ((n = mtcp_peek(mctx, sock, side, bytes, sizeof(bytes))) > 0) {
        r->sum_peeked = sum_add(r->sum_peeked, bytes, (size_t)n);
        r->n_peeked += (uint64_t)n;
    }
    if (n != -1 || errno != ENODATA)
        wrong(r, "mtcp_peek: %zd, %s", n, strerror(errno));
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct reader *r = &reader;

    on_event(mctx, sock, side, event, arg);
    r->end_reason = option_int(r, MOS_END_REASON);
    r->is_over = true;
}

static const struct {
    event_t event;
    int hook;
    callback_t call;
} callbacks[] = {
    {MOS_ON_CONN_START, MOS_HK_SND, on_event},
    {MOS_ON_CONN_START, MOS_HK_RCV, on_event},
    {MOS_ON_PKT_IN, MOS_HK_SND, on_event},
    {MOS_ON_PKT_IN, MOS_HK_RCV, on_event},
    {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_event},
    {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_event},
    {MOS_ON_REXMIT, MOS_HK_RCV, on_event},
    {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
    {MOS_ON_CONN_END, MOS_HK_SND, on_end},
    {MOS_ON_CONN_END, MOS_HK_RCV, on_end},
};

static bool monitor_open(struct reader *r)
{
    r->passive = mtcp_socket(r->mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    bool ok = r->passive >= 0;
    for (size_t i = 0; ok && i < sizeof(callbacks) / sizeof(callbacks[0]); i++)
        ok = mtcp_register_callback(r->mctx, r->passive, callbacks[i].event, callbacks[i].hook,
                                    callbacks[i].call) == 0;
    return ok;
}

/* ---- the application ------------------------------------------------------------------------- */

static bool connection_accept(struct reader *r, const char *port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int listener = mtcp_socket(r->mctx, AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || mtcp_bind(r->mctx, listener, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        mtcp_listen(r->mctx, listener, 1) < 0)
        return false;
    fprintf(stderr, "slow_reader: ready\n");
    r->sock = mtcp_accept(r->mctx, listener, NULL, NULL);
    mtcp_close(r->mctx, listener);
    return r->sock >= 0;
}

static bool connection_open(struct reader *r, const char *addr, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    size_t len = strlen(r->request);

    r->sock = mtcp_socket(r->mctx, AF_INET, SOCK_STREAM, 0);
    return r->sock >= 0 && inet_pton(AF_INET, addr, &to.sin_addr) == 1 &&
           mtcp_connect(r->mctx, r->sock, (struct sockaddr *)&to, sizeof(to)) == 0 &&
           mtcp_write(r->mctx, r->sock, r->request, len) == (ssize_t)len;
}

/* Runs the stack until there may be something to read, or until the pause is over. */
static bool turn(struct reader *r)
{
    struct mtcp_epoll_event ev;

    return mtcp_epoll_wait(r->mctx, r->epid, &ev, 1,
                           r->pause_us == 0 ? 10000 : (r->pause_us + 999) / 1000) >= 0;
}

static bool all_written(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDOUT_FILENO, p, n);
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* To the end of the stream. */
static bool stream_read(struct reader *r)
{
    static char buf[CHUNK_MAX];
    struct mtcp_epoll_event in = {.events = MOS_EPOLLIN};
    ssize_t n = 1;

    mtcp_setsock_nonblock(r->mctx, r->sock);
    r->epid = mtcp_epoll_create1(r->mctx, 0);
    if (r->pause_us == 0) /* else time alone wakes it */
        mtcp_epoll_ctl(r->mctx, r->epid, MOS_EPOLL_CTL_ADD, r->sock, &in);
    while (n != 0) {
        if (!turn(r))
            return false;
        n = mtcp_read(r->mctx, r->sock, buf, r->chunk);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n <= 0)
            continue;
        r->n_read += (uint64_t)n;
        r->sum_read = sum_add(r->sum_read, buf, (size_t)n);
        if (r->active >= 0 && !r->is_over)
            real_side_check(r);
        if (!all_written(buf, (size_t)n))
            return false;
    }
    return true;
}

/* Closes, and lets the stack say goodbye. */
static void connection_end(struct reader *r)
{
    struct mtcp_epoll_event ev;

    if (r->pause_us == 0)
        mtcp_epoll_ctl(r->mctx, r->epid, MOS_EPOLL_CTL_DEL, r->sock, NULL);
    mtcp_close(r->mctx, r->sock);
    for (int ms = 0; ms < END_MS && !r->is_over; ms += 10)
        mtcp_epoll_wait(r->mctx, r->epid, &ev, 1, 10);
}

static bool report(struct reader *r)
{
    fprintf(stderr,
            "slow_reader: bytes=%" PRIu64 " events=%" PRIu64 " holes=%" PRIu64 " runs=%" PRIu64
            " unread_max=%" PRIu64 " end=%d wrong=%u\n",
            r->n_read, r->n_events, r->n_holes, r->n_runs, r->n_unread_max, r->end_reason,
            r->n_wrong);
    return r->n_wrong == 0 && r->is_over && r->end_reason == MOS_END_FIN;
}

/* ---- start ----------------------------------------------------------------------------------- */

static bool file_map(struct reader *r, const char *name)
{
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    r->file = p != MAP_FAILED ? p : NULL;
    r->file_len = (size_t)st.st_size;
    return r->file != NULL;
}

static bool options_read(struct reader *r, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "c:p:x:")) != -1) {
        if (c == 'c')
            r->chunk = strtoul(optarg, NULL, 0);
        else if (c == 'p')
            r->pause_us = atoi(optarg);
        else if (c != 'x' || !file_map(r, optarg))
            return false;
    }
    if (r->chunk == 0 || r->chunk > CHUNK_MAX || argc - optind < 3)
        return false;
    bool is_get = strcmp(argv[optind + 1], "get") == 0;
    static char request[1024];
    if (is_get && argc - optind == 5) {
        snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", argv[optind + 4]);
        r->request = request;
    }
    return is_get ? r->request != NULL : strcmp(argv[optind + 1], "listen") == 0;
}

static bool fails(const char *what)
{
    fprintf(stderr, "slow_reader: %s: %s\n", what, strerror(errno));
    return false;
}

static bool run(struct reader *r, char **argv)
{
    r->mctx = mtcp_create_context(0);
    if (r->mctx == NULL)
        return fails("context");
    if (!monitor_open(r))
        return fails("monitor");
    if (r->request == NULL ? !connection_accept(r, argv[2]) : !connection_open(r, argv[2], argv[3]))
        return fails("connection");
    if (!stream_read(r))
        return fails("read");
    connection_end(r);
    if (r->n_peeked != r->n_read || r->sum_peeked != r->sum_read)
        wrong(r, "the monitor's %" PRIu64 " bytes are not those that were read", r->n_peeked);
    return true;
}

int main(int argc, char **argv)
{
    struct reader *r = &reader;

    if (!options_read(r, argc, argv)) {
        fprintf(stderr,
                "usage: slow_reader [-c CHUNK] [-p PAUSE_US] [-x FILE] MOS.CONF listen PORT\n"
                "       slow_reader [-c CHUNK] [-p PAUSE_US] MOS.CONF get ADDR PORT PATH\n");
        return 2;
    }
    if (mtcp_init(argv[optind]) < 0)
        return 1;
    bool ok = run(r, argv + optind);
    ok = report(r) && ok;
    return mtcp_destroy() == 0 && ok ? 0 : 1;
}
