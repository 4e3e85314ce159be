/* mtcp_epoll: Linux's semantics, bit by bit, and that nothing ready is forgotten. */
#include "tests/duo.h"
#include "tests/test.h"

#include "mtcp/base/rng.h"

#include <mtcp_epoll.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct duo d;

#define IN    MOS_EPOLLIN
#define OUT   MOS_EPOLLOUT
#define ERR   MOS_EPOLLERR
#define HUP   MOS_EPOLLHUP
#define RDHUP MOS_EPOLLRDHUP
#define ET    MOS_EPOLLET
#define ONE   ((uint64_t)MOS_EPOLLONESHOT)

#define EXPECT_ERR(call, e)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, e);                                                                       \
    } while (0)

static int ctl(mctx_t m, int ep, int op, int s, uint64_t events)
{
    struct mtcp_epoll_event ev = {.events = events, .data = {.u64 = 0}};
    ev.data.u64 = 0x1000000000u + (unsigned)s;
    return mtcp_epoll_ctl(m, ep, op, s, &ev);
}

#define ADD(ep, s, ev) EXPECT_EQ(ctl(d.srv, ep, MOS_EPOLL_CTL_ADD, s, ev), 0)
#define MOD(ep, s, ev) EXPECT_EQ(ctl(d.srv, ep, MOS_EPOLL_CTL_MOD, s, ev), 0)
#define DEL(ep, s)     EXPECT_EQ(ctl(d.srv, ep, MOS_EPOLL_CTL_DEL, s, 0), 0)

/* What the server's epoll says of socket s in one turn; 0: nothing. At most one entry each. */
static uint64_t asked(int ep, int s)
{
    struct mtcp_epoll_event ev[8];
    uint64_t found = 0;
    duo_step(&d, 0);
    int n = mtcp_epoll_wait(d.srv, ep, ev, 8, 0);
    CU_ASSERT(n >= 0);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.u64 != 0x1000000000u + (unsigned)s)
            continue;
        EXPECT_EQ(found, 0); /* one entry per socket */
        found = ev[i].events;
    }
    return found;
}

static int s, c, l, ep;

static void open_pair(void)
{
    duo_open(&d, "rmem_size = 16K wmem_size = 16K");
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    ep = mtcp_epoll_create1(d.srv, 0);
    CU_ASSERT_FATAL(ep >= 0);
}

/* ---- readiness ------------------------------------------------------------------------------- */

static void each_state_has_its_bits(void)
{
    char buf[20000] = {0};
    open_pair();
    ADD(ep, s, IN | OUT | RDHUP);
    EXPECT_EQ(asked(ep, s), OUT);
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), IN | OUT);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 1), 1);
    EXPECT_EQ(asked(ep, s), OUT);
    d.cut_cli = true; /* no acknowledgement */
    EXPECT_EQ(mtcp_write(d.srv, s, buf, 20000), 16384);
    EXPECT_EQ(asked(ep, s), 0);
    d.cut_cli = false;
    duo_run(&d, 1000000);
    EXPECT_EQ(asked(ep, s), OUT);
    mtcp_shutdown(d.cli, c, SHUT_WR);
    EXPECT_EQ(asked(ep, s), IN | OUT | RDHUP);
    mtcp_shutdown(d.srv, s, SHUT_WR);
    EXPECT_EQ(asked(ep, s), IN | OUT | RDHUP | HUP);
    duo_close(&d);
}

/* Also when nothing comes from the peer any more. */
static void a_shutdown_wakes_who_asks_for_nothing_else(void)
{
    static const char buf[20000];
    open_pair();
    int only_hup = mtcp_epoll_create1(d.srv, 0);
    ADD(ep, s, OUT);
    ADD(only_hup, s, MOS_EPOLLNONE);
    mtcp_shutdown(d.cli, c, SHUT_WR);
    duo_run(&d, 1000);
    d.cut_cli = true;
    EXPECT_EQ(mtcp_write(d.srv, s, buf, 20000), 16384);
    EXPECT_EQ(asked(ep, s), 0);
    EXPECT_EQ(asked(only_hup, s), 0);
    EXPECT_EQ(mtcp_shutdown(d.srv, s, SHUT_WR), 0);
    EXPECT_EQ(asked(ep, s), OUT | HUP); /* a write would not block, but fail */
    EXPECT_EQ(asked(only_hup, s), HUP);
    d.cut_cli = false;
    duo_close(&d);
}

static void an_error_stays_until_it_is_taken(void)
{
    int v;
    socklen_t len = sizeof(v);
    open_pair();
    ADD(ep, s, MOS_EPOLLNONE); /* asks for nothing: ERR and HUP come all the same */
    EXPECT_EQ(asked(ep, s), 0);
    mtcp_abort(d.cli, c);
    EXPECT_EQ(asked(ep, s), ERR | HUP);
    EXPECT_EQ(asked(ep, s), ERR | HUP);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_ERROR, &v, &len), 0);
    EXPECT_EQ(v, ECONNRESET);
    EXPECT_EQ(asked(ep, s), HUP);
    MOD(ep, s, IN | OUT | RDHUP);
    EXPECT_EQ(asked(ep, s), IN | OUT | RDHUP | HUP);
    duo_close(&d);
}

static void connecting_becomes_writable(void)
{
    struct mtcp_epoll_event ev = {.events = IN | OUT, .data = {.sock = 7}};
    duo_open(&d, NULL);
    duo_listen(&d, 80);
    int e = mtcp_epoll_create(d.cli, 1);
    c = mtcp_socket(d.cli, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_epoll_ctl(d.cli, e, MOS_EPOLL_CTL_ADD, c, &ev), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.cli, e, &ev, 1, 0), 1); /* as Linux: never connected */
    EXPECT_EQ(ev.events, OUT | HUP);
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    EXPECT_ERR(mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a)), EINPROGRESS);
    EXPECT_EQ(mtcp_epoll_wait(d.cli, e, &ev, 1, 0), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.cli, e, &ev, 1, 100), 1);
    EXPECT_EQ(ev.events, OUT);
    EXPECT_EQ(ev.data.sock, 7);
    int r = duo_connect(&d, 81);
    ev = (struct mtcp_epoll_event){.events = OUT, .data = {.sock = 8}};
    EXPECT_EQ(mtcp_epoll_ctl(d.cli, e, MOS_EPOLL_CTL_ADD, r, &ev), 0);
    mtcp_epoll_ctl(d.cli, e, MOS_EPOLL_CTL_DEL, c, NULL);
    EXPECT_EQ(mtcp_epoll_wait(d.cli, e, &ev, 1, 100), 1);
    EXPECT_EQ(ev.events, OUT | ERR | HUP);
    EXPECT_EQ(ev.data.sock, 8);
    duo_close(&d);
}

static void listeners_are_readable(void)
{
    duo_open(&d, NULL);
    l = duo_listen(&d, 80);
    ep = mtcp_epoll_create(d.srv, 1);
    ADD(ep, l, IN | OUT);
    EXPECT_EQ(asked(ep, l), 0);
    duo_connect(&d, 80);
    duo_connect(&d, 80);
    EXPECT_EQ(asked(ep, l), IN);
    CU_ASSERT(mtcp_accept(d.srv, l, NULL, NULL) >= 0);
    EXPECT_EQ(asked(ep, l), IN);
    CU_ASSERT(mtcp_accept(d.srv, l, NULL, NULL) >= 0);
    EXPECT_EQ(asked(ep, l), 0);
    MOD(ep, l, IN | ET);
    duo_connect(&d, 80);
    EXPECT_EQ(asked(ep, l), IN);
    EXPECT_EQ(asked(ep, l), 0);
    duo_connect(&d, 80);
    EXPECT_EQ(asked(ep, l), IN);
    duo_close(&d);
}

/* ---- how ------------------------------------------------------------------------------------- */

static void level_reports_again(void)
{
    open_pair();
    ADD(ep, s, IN);
    mtcp_write(d.cli, c, "abc", 3);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(asked(ep, s), IN);
    duo_close(&d);
}

static void edges_report_once(void)
{
    char buf[8];
    open_pair();
    ADD(ep, s, IN | OUT | ET);
    EXPECT_EQ(asked(ep, s), OUT);
    EXPECT_EQ(asked(ep, s), 0);
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), IN | OUT);
    EXPECT_EQ(asked(ep, s), 0); /* still unread */
    mtcp_write(d.cli, c, "b", 1);
    EXPECT_EQ(asked(ep, s), IN | OUT); /* news */
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 2);
    EXPECT_EQ(asked(ep, s), 0);
    MOD(ep, s, IN | OUT | ET); /* asks again */
    EXPECT_EQ(asked(ep, s), OUT);
    mtcp_close(d.cli, c);
    EXPECT_EQ(asked(ep, s), IN | OUT);
    EXPECT_EQ(asked(ep, s), 0);
    duo_close(&d);
}

static void an_edge_comes_when_a_full_buffer_has_room(void)
{
    static char buf[20000];
    open_pair();
    ADD(ep, s, OUT | ET);
    EXPECT_EQ(asked(ep, s), OUT);
    for (int round = 0; round < 5; round++) {
        while (mtcp_write(d.srv, s, buf, sizeof(buf)) > 0)
            continue;
        EXPECT_EQ(errno, EAGAIN);
        uint64_t ev = 0;
        for (int i = 0; i < 100 && !ev; i++) {
            while (mtcp_read(d.cli, c, buf, sizeof(buf)) > 0)
                continue;
            duo_run(&d, 1000);
            ev = asked(ep, s);
        }
        EXPECT_EQ(ev, OUT);
    }
    duo_close(&d);
}

static void oneshot_is_silent_until_mod(void)
{
    open_pair();
    ADD(ep, s, IN | ONE);
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), IN);
    EXPECT_EQ(asked(ep, s), 0);
    mtcp_write(d.cli, c, "b", 1);
    EXPECT_EQ(asked(ep, s), 0);
    MOD(ep, s, IN | ONE);
    EXPECT_EQ(asked(ep, s), IN);
    mtcp_abort(d.cli, c);
    EXPECT_EQ(asked(ep, s), 0); /* not even an error */
    MOD(ep, s, ONE);
    EXPECT_EQ(asked(ep, s), ERR | HUP);
    EXPECT_EQ(asked(ep, s), 0);
    duo_close(&d);
}

static void mod_changes_what_is_asked(void)
{
    open_pair();
    ADD(ep, s, IN);
    EXPECT_EQ(asked(ep, s), 0);
    MOD(ep, s, OUT);
    EXPECT_EQ(asked(ep, s), OUT);
    MOD(ep, s, IN);
    EXPECT_EQ(asked(ep, s), 0);
    duo_close(&d);
}

/* ---- membership ------------------------------------------------------------------------------ */

static void del_and_add_begin_anew(void)
{
    open_pair();
    EXPECT_ERR(ctl(d.srv, ep, MOS_EPOLL_CTL_MOD, s, IN), ENOENT);
    EXPECT_ERR(ctl(d.srv, ep, MOS_EPOLL_CTL_DEL, s, IN), ENOENT);
    ADD(ep, s, IN | ET);
    EXPECT_ERR(ctl(d.srv, ep, MOS_EPOLL_CTL_ADD, s, IN), EEXIST);
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), IN);
    DEL(ep, s);
    EXPECT_EQ(asked(ep, s), 0);
    ADD(ep, s, IN | ET);
    EXPECT_EQ(asked(ep, s), IN);
    DEL(ep, s);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep, MOS_EPOLL_CTL_DEL, s, NULL), -1);
    duo_close(&d);
}

static void several_epolls_watch_one_socket(void)
{
    int other;
    open_pair();
    other = mtcp_epoll_create(d.srv, 1);
    ADD(ep, s, IN | ET);
    ADD(other, s, IN);
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), IN);
    EXPECT_EQ(asked(other, s), IN);
    EXPECT_EQ(asked(ep, s), 0);
    EXPECT_EQ(mtcp_close(d.srv, other), 0);
    EXPECT_ERR(mtcp_epoll_wait(d.srv, other, (struct mtcp_epoll_event[1]){0}, 1, 0), EBADF);
    mtcp_write(d.cli, c, "b", 1);
    EXPECT_EQ(asked(ep, s), IN);
    duo_close(&d);
}

static void closed_sockets_leave(void)
{
    open_pair();
    ADD(ep, s, IN);
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), IN);
    mtcp_close(d.srv, s);
    EXPECT_EQ(asked(ep, s), 0);
    int again = duo_pair(&d, l, &c);
    EXPECT_EQ(again, s); /* the id, and nothing of the old one with it */
    mtcp_write(d.cli, c, "a", 1);
    EXPECT_EQ(asked(ep, s), 0);
    duo_close(&d);
}

/* Between a wait and the use of its events an id is not given to a new socket. */
static void events_in_hand_never_name_a_new_socket(void)
{
    open_pair();
    mtcp_close(d.srv, s);
    CU_ASSERT(mtcp_socket(d.srv, AF_INET, SOCK_STREAM, 0) != s);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_socket(d.srv, AF_INET, SOCK_STREAM, 0), s);
    duo_close(&d);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void timeouts_are_kept(void)
{
    struct mtcp_epoll_event ev;
    open_pair();
    ADD(ep, s, IN);
    uint64_t begun = d.now_us;
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 0);
    EXPECT_EQ(d.now_us, begun);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 250), 0);
    CU_ASSERT(d.now_us - begun >= 250000 && d.now_us - begun < 251000);
    duo_close(&d);
}

static int late_sock;
static uint64_t late_at;

static void write_late(struct duo *world)
{
    if (late_at && world->now_us >= late_at) {
        late_at = 0;
        mtcp_write(world->cli, late_sock, "late", 4);
    }
}

static void waiting_for_ever_ends_with_an_event(void)
{
    struct mtcp_epoll_event ev;
    open_pair();
    ADD(ep, s, IN);
    late_sock = c;
    late_at = d.now_us + 7000000;
    d.on_wait = write_late;
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, -1), 1);
    EXPECT_EQ(ev.events, IN);
    CU_ASSERT(d.now_us > 7000000);
    duo_close(&d);
}

static void small_arrays_take_turns(void)
{
    enum { N = 10 };
    int sock[N], peer[N];
    unsigned seen = 0;
    open_pair();
    for (int i = 0; i < N; i++) {
        sock[i] = duo_pair(&d, l, &peer[i]);
        ADD(ep, sock[i], IN);
        mtcp_write(d.cli, peer[i], "x", 1);
    }
    duo_step(&d, 0);
    for (int i = 0; i < N; i++) {
        struct mtcp_epoll_event ev;
        EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 1);
        for (int k = 0; k < N; k++)
            if ((int)ev.data.u32 == sock[k])
                seen |= 1u << k;
    }
    EXPECT_EQ(seen, (1u << N) - 1);
    duo_close(&d);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static void pipes_wake(void)
{
    int p[2];
    char buf[70000] = {0};
    duo_open(&d, NULL);
    ep = mtcp_epoll_create(d.srv, 1);
    EXPECT_EQ(mtcp_pipe(d.srv, p), 0);
    mtcp_setsock_nonblock(d.srv, p[0]);
    mtcp_setsock_nonblock(d.srv, p[1]);
    ADD(ep, p[0], IN);
    ADD(ep, p[1], OUT);
    EXPECT_EQ(asked(ep, p[0]), 0);
    EXPECT_EQ(asked(ep, p[1]), OUT);
    mtcp_write(d.srv, p[1], buf, sizeof(buf));
    EXPECT_EQ(asked(ep, p[0]), IN);
    EXPECT_EQ(asked(ep, p[1]), 0);
    mtcp_read(d.srv, p[0], buf, sizeof(buf));
    EXPECT_EQ(asked(ep, p[1]), OUT);
    EXPECT_EQ(asked(ep, p[0]), 0);
    mtcp_close(d.srv, p[0]);
    EXPECT_EQ(asked(ep, p[1]), OUT | ERR);
    mtcp_close(d.srv, p[1]);
    EXPECT_EQ(mtcp_pipe(d.srv, p), 0);
    ADD(ep, p[0], IN);
    mtcp_close(d.srv, p[1]);
    EXPECT_EQ(asked(ep, p[0]), HUP);
    duo_close(&d);
}

/* ---- the kernel's descriptors ---------------------------------------------------------------- */

static uint64_t asked_fd(int fd)
{
    struct mtcp_epoll_event ev[8];
    uint64_t found = 0;
    int n = mtcp_epoll_wait(d.srv, ep, ev, 8, 0);
    for (int i = 0; i < n; i++)
        if (ev[i].data.u64 == 0xfd00000000u + (unsigned)fd)
            found = ev[i].events;
    return found;
}

static void kernel_descriptors_are_waited_for(void)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t one = 1;
    open_pair();
    struct mtcp_epoll_event ev = {.events = IN, .data = {.u64 = 0xfd00000000u + (unsigned)fd}};
    EXPECT_ERR(mtcp_epoll_del_fd(d.srv, ep, fd), ENOENT);
    EXPECT_ERR(mtcp_epoll_del_fd(d.srv, ep, 9999), EBADF);
    EXPECT_EQ(mtcp_epoll_add_fd(d.srv, ep, fd, &ev), 0);
    EXPECT_EQ(asked_fd(fd), 0);
    EXPECT_EQ(write(fd, &one, 8), 8);
    EXPECT_EQ(asked_fd(fd), IN);
    EXPECT_EQ(asked_fd(fd), IN); /* level */
    ev.events = IN | OUT | ET;
    EXPECT_EQ(mtcp_epoll_add_fd(d.srv, ep, fd, &ev), 0); /* changed */
    EXPECT_EQ(asked_fd(fd), IN | OUT);
    EXPECT_EQ(asked_fd(fd), 0);
    EXPECT_EQ(mtcp_epoll_del_fd(d.srv, ep, fd), 0);
    EXPECT_ERR(mtcp_epoll_del_fd(d.srv, ep, fd), ENOENT);
    EXPECT_ERR(mtcp_epoll_add_fd(d.srv, ep, 9999, &ev), EBADF);
    EXPECT_EQ(write(fd, &one, 8), 8);
    EXPECT_EQ(asked_fd(fd), 0);
    close(fd);
    duo_close(&d);
}

/* With room for one entry, a ready socket and a ready descriptor both get their turn. */
static void sockets_and_descriptors_share(void)
{
    int fd = eventfd(1, EFD_NONBLOCK), n_fd = 0, n_sock = 0;
    open_pair();
    struct mtcp_epoll_event ev = {.events = IN, .data = {.u64 = 1}};
    EXPECT_EQ(mtcp_epoll_add_fd(d.srv, ep, fd, &ev), 0);
    ADD(ep, s, OUT);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 1);
        n_fd += ev.data.u64 == 1;
        n_sock += ev.data.u64 != 1;
    }
    EXPECT_EQ(n_fd, 5);
    EXPECT_EQ(n_sock, 5);
    close(fd);
    duo_close(&d);
}

/* ---- against a model ------------------------------------------------------------------------- */

/* Random traffic and ctl calls; after each turn the level-triggered epoll must report exactly the
 * sockets that are readable, and the edge-triggered one each of those that got bytes since. */
static void nothing_ready_is_forgotten(void)
{
    enum { N = 16, ROUNDS = 2000 };
    int sock[N], peer[N], edge;
    bool in[N] = {false}, news[N] = {false};
    struct rng r;
    char buf[64] = {0};
    rng_init(&r, test_seed());
    open_pair();
    edge = mtcp_epoll_create(d.srv, 1);
    for (int i = 0; i < N; i++) {
        sock[i] = duo_pair(&d, l, &peer[i]);
        ADD(edge, sock[i], IN | ET);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int i = (int)rng_below(&r, N), n;
        switch (rng_below(&r, 5)) {
        case 0:
        case 1:
            EXPECT_EQ(mtcp_write(d.cli, peer[i], buf, 1 + rng_below(&r, 8)) > 0, 1);
            news[i] = true;
            break;
        case 2:
            EXPECT_EQ(ctl(d.srv, ep, in[i] ? MOS_EPOLL_CTL_DEL : MOS_EPOLL_CTL_ADD, sock[i], IN),
                      0);
            in[i] = !in[i];
            break;
        case 3:
            mtcp_read(d.srv, sock[i], buf, 1 + rng_below(&r, 63));
            break;
        default:
            EXPECT_EQ(mtcp_ioctl(d.srv, sock[i], FIONREAD, &n), 0);
        }
        duo_run(&d, 50000); /* delayed things happen, too */
        struct mtcp_epoll_event ev[N];
        unsigned got = 0, want = 0, got_edge = 0, want_edge = 0;
        n = mtcp_epoll_wait(d.srv, ep, ev, N, 0);
        for (int k = 0; k < n; k++)
            for (int j = 0; j < N; j++)
                got |= (unsigned)((int)ev[k].data.u32 == sock[j]) << j;
        n = mtcp_epoll_wait(d.srv, edge, ev, N, 0);
        for (int k = 0; k < n; k++)
            for (int j = 0; j < N; j++)
                got_edge |= (unsigned)((int)ev[k].data.u32 == sock[j]) << j;
        for (int j = 0; j < N; j++) {
            EXPECT_EQ(mtcp_ioctl(d.srv, sock[j], FIONREAD, &n), 0);
            want |= (unsigned)(in[j] && n > 0) << j;
            want_edge |= (unsigned)(news[j] && n > 0) << j;
            news[j] = false;
        }
        EXPECT_EQ(got, want);
        EXPECT_EQ(got_edge, want_edge);
    }
    duo_close(&d);
}

TEST_SUITE(epoll, TEST_CASE(each_state_has_its_bits),
           TEST_CASE(a_shutdown_wakes_who_asks_for_nothing_else),
           TEST_CASE(an_error_stays_until_it_is_taken),
           TEST_CASE(connecting_becomes_writable), TEST_CASE(listeners_are_readable),
           TEST_CASE(level_reports_again), TEST_CASE(edges_report_once),
           TEST_CASE(an_edge_comes_when_a_full_buffer_has_room),
           TEST_CASE(oneshot_is_silent_until_mod), TEST_CASE(mod_changes_what_is_asked),
           TEST_CASE(del_and_add_begin_anew), TEST_CASE(several_epolls_watch_one_socket),
           TEST_CASE(closed_sockets_leave), TEST_CASE(events_in_hand_never_name_a_new_socket),
           TEST_CASE(timeouts_are_kept), TEST_CASE(waiting_for_ever_ends_with_an_event),
           TEST_CASE(small_arrays_take_turns), TEST_CASE(pipes_wake),
           TEST_CASE(kernel_descriptors_are_waited_for), TEST_CASE(sockets_and_descriptors_share),
           TEST_CASE(nothing_ready_is_forgotten));
