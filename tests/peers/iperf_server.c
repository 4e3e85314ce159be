/*
 * iperf_server - the server's side of iperf3, over the stack: TCP in either direction, with
 * parallel streams. What it does not know of the protocol it does not need.
 *
 *   iperf_server MOS.CONF PORT N
 *
 * Serves N tests, one after the other, on both families. The protocol (of iperf3 3.x): a control
 * connection, on which the server says in one byte what comes next and both send JSON behind its
 * length; and one connection per stream, each of which begins with the test's cookie. Exit status 0
 * when all tests came to their end and every byte that a client says it has sent has arrived.
 */
#include <mtcp_api.h>

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define COOKIE_BYTES 37
#define STREAMS_MAX  16u
#define JSON_MAX     65536u

enum state {
    TEST_START = 1,
    TEST_RUNNING = 2,
    TEST_END = 4,
    PARAM_EXCHANGE = 9,
    CREATE_STREAMS = 10,
    EXCHANGE_RESULTS = 13,
    DISPLAY_RESULTS = 14,
    IPERF_DONE = 16,
};

struct server {
    mctx_t mctx;
    int listener, ctrl, epid;
    unsigned n_streams;
    int streams[STREAMS_MAX];
    uint64_t bytes[STREAMS_MAX];
    long ids[STREAMS_MAX]; /* as the client calls them */
    bool is_reverse;       /* the server sends */
    char cookie[COOKIE_BYTES];
};

static char json[JSON_MAX], block[1 << 17];

/* ---- messages -------------------------------------------------------------------------------- */

static bool read_all(const struct server *s, int sock, void *to, size_t n)
{
    return mtcp_recv(s->mctx, sock, to, n, MSG_WAITALL) == (ssize_t)n;
}

static bool write_all(const struct server *s, int sock, const void *from, size_t n)
{
    return mtcp_write(s->mctx, sock, from, n) == (ssize_t)n;
}

static bool say(const struct server *s, enum state what)
{
    char state = (char)what;
    return write_all(s, s->ctrl, &state, 1);
}

static bool json_read(const struct server *s)
{
    uint32_t len;
    if (!read_all(s, s->ctrl, &len, sizeof(len)) || (len = ntohl(len)) >= JSON_MAX)
        return false;
    json[len] = '\0';
    return read_all(s, s->ctrl, json, len);
}

static bool json_write(const struct server *s)
{
    uint32_t len = htonl((uint32_t)strlen(json));
    return write_all(s, s->ctrl, &len, sizeof(len)) && write_all(s, s->ctrl, json, strlen(json));
}

/* The number behind the next `"key":` from *at on, which moves there; `none` when there is none. */
static long long number_after(const char **at, const char *key, long long none)
{
    char quoted[32];
    snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *found = strstr(*at, quoted);
    if (found == NULL)
        return none;
    *at = found + strlen(quoted);
    return strtoll(*at, NULL, 10);
}

/* ---- a test ---------------------------------------------------------------------------------- */

static bool params_take(struct server *s)
{
    const char *at = json;
    if (!say(s, PARAM_EXCHANGE) || !json_read(s))
        return false;
    long long n = number_after(&at, "parallel", 1);
    s->is_reverse = strstr(json, "\"reverse\":true") != NULL;
    s->n_streams = (unsigned)n;
    return n >= 1 && n <= STREAMS_MAX;
}

static bool streams_take(struct server *s)
{
    char cookie[COOKIE_BYTES];
    if (!say(s, CREATE_STREAMS))
        return false;
    for (unsigned i = 0; i < s->n_streams; i++) {
        s->bytes[i] = 0;
        s->streams[i] = mtcp_accept(s->mctx, s->listener, NULL, NULL);
        if (s->streams[i] < 0 || !read_all(s, s->streams[i], cookie, COOKIE_BYTES) ||
            memcmp(cookie, s->cookie, COOKIE_BYTES) != 0)
            return false;
        struct mtcp_epoll_event ev = {.events = s->is_reverse ? MOS_EPOLLOUT : MOS_EPOLLIN,
                                      .data = {.u32 = i}};
        mtcp_setsock_nonblock(s->mctx, s->streams[i]);
        if (mtcp_epoll_ctl(s->mctx, s->epid, MOS_EPOLL_CTL_ADD, s->streams[i], &ev) < 0)
            return false;
    }
    return say(s, TEST_START) && say(s, TEST_RUNNING);
}

static void stream_go_on(struct server *s, unsigned i)
{
    ssize_t n;
    do {
        n = s->is_reverse ? mtcp_write(s->mctx, s->streams[i], block, sizeof(block))
                          : mtcp_read(s->mctx, s->streams[i], block, sizeof(block));
        if (n > 0)
            s->bytes[i] += (uint64_t)n;
    } while (n > 0);
}

/* Until the client says that it is over, or (wanted) so many bytes have come. */
static bool run(struct server *s, uint64_t wanted)
{
    enum { CTRL = STREAMS_MAX, SILENCE_MS = 20000 };
    struct mtcp_epoll_event ev[STREAMS_MAX + 1] = {{.events = MOS_EPOLLIN, .data = {.u32 = CTRL}}};
    if (wanted == 0 && mtcp_epoll_ctl(s->mctx, s->epid, MOS_EPOLL_CTL_ADD, s->ctrl, ev) < 0)
        return false;
    for (;;) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < s->n_streams; i++)
            sum += s->bytes[i];
        if (wanted > 0 && sum >= wanted)
            return sum == wanted;
        int n = mtcp_epoll_wait(s->mctx, s->epid, ev, STREAMS_MAX + 1, SILENCE_MS);
        bool is_over = false;
        if (n < 1)
            return false;
        for (int i = 0; i < n; i++) {
            if (ev[i].data.u32 == CTRL)
                is_over = true;
            else
                stream_go_on(s, ev[i].data.u32);
        }
        if (!is_over)
            continue;
        char state;
        mtcp_epoll_ctl(s->mctx, s->epid, MOS_EPOLL_CTL_DEL, s->ctrl, NULL);
        return read_all(s, s->ctrl, &state, 1) && state == TEST_END;
    }
}

/* The client's figures come first; what it has sent may still be on its way. */
static bool results_exchange(struct server *s)
{
    uint64_t sent = 0;
    if (!say(s, EXCHANGE_RESULTS) || !json_read(s))
        return false;
    const char *at = strstr(json, "\"streams\":");
    for (unsigned i = 0; at != NULL && i < s->n_streams; i++) {
        s->ids[i] = (long)number_after(&at, "id", 0);
        sent += (uint64_t)number_after(&at, "bytes", 0);
    }
    if (at == NULL || (!s->is_reverse && sent > 0 && !run(s, sent)))
        return false;
    int len = snprintf(json, sizeof(json),
                       "{\"cpu_util_total\":0,\"cpu_util_user\":0,\"cpu_util_system\":0,"
                       "\"sender_has_retransmits\":0,\"streams\":[");
    for (unsigned i = 0; i < s->n_streams; i++)
        len += snprintf(json + len, sizeof(json) - (size_t)len,
                        "%s{\"id\":%ld,\"bytes\":%" PRIu64 ",\"retransmits\":0,\"jitter\":0,"
                        "\"errors\":0,\"packets\":0,\"start_time\":0,\"end_time\":1}",
                        i > 0 ? "," : "", s->ids[i], s->bytes[i]);
    snprintf(json + len, sizeof(json) - (size_t)len, "]}");
    return json_write(s);
}

static bool serve_one(struct server *s)
{
    char state = 0;
    s->ctrl = mtcp_accept(s->mctx, s->listener, NULL, NULL);
    s->n_streams = 0;
    bool is_good = s->ctrl >= 0 && read_all(s, s->ctrl, s->cookie, COOKIE_BYTES) &&
                   params_take(s) && streams_take(s) && run(s, 0) && results_exchange(s) &&
                   say(s, DISPLAY_RESULTS) && read_all(s, s->ctrl, &state, 1) &&
                   state == IPERF_DONE;
    for (unsigned i = 0; i < s->n_streams; i++)
        mtcp_close(s->mctx, s->streams[i]);
    mtcp_close(s->mctx, s->ctrl);
    return is_good;
}

/* ---- the program ----------------------------------------------------------------------------- */

static bool server_open(struct server *s, const char *conf, uint16_t port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (mtcp_init(conf) < 0 || (s->mctx = mtcp_create_context(0)) == NULL)
        return false;
    s->epid = mtcp_epoll_create1(s->mctx, 0);
    s->listener = mtcp_socket(s->mctx, AF_INET6, SOCK_STREAM, 0);
    return s->epid >= 0 && s->listener >= 0 &&
           mtcp_bind(s->mctx, s->listener, (struct sockaddr *)&any, sizeof(any)) == 0 &&
           mtcp_listen(s->mctx, s->listener, STREAMS_MAX) == 0;
}

int main(int argc, char **argv)
{
    struct server s = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: iperf_server MOS.CONF PORT N\n");
        return 2;
    }
    if (!server_open(&s, argv[1], (uint16_t)atoi(argv[2]))) {
        fprintf(stderr, "iperf_server: %s\n", strerror(errno));
        return 1;
    }
    fprintf(stderr, "iperf_server: ready\n");
    int n_good = 0, n = atoi(argv[3]);
    while (n_good < n && serve_one(&s))
        n_good++;
    if (n_good < n)
        fprintf(stderr, "iperf_server: test %d ended early: %s\n", n_good + 1, strerror(errno));
    mtcp_destroy_context(s.mctx);
    mtcp_destroy();
    return n_good == n ? 0 : 1;
}
