/* Timers of monitors: the heap against a plain array, and the calls inside real contexts. */
#include "mos/timers.h"
#include "mtcp/base/rng.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_api.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- the heap against an array that is searched in full -------------------------------------- */

#define N_IDS 300

struct model {
    struct mon_timers t;
    struct rng rng;
    uint64_t now_us, n_set;
    uint64_t at_us[N_IDS], nth[N_IDS];
    bool runs[N_IDS];
    int id[N_IDS]; /* of any size and sign */
};

static void nothing(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)ev, (void)arg;
}

static void something(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    nothing(m, sock, side, ev, arg);
}

static callback_t cb_of(const struct model *m, unsigned i)
{
    return m->nth[i] % 2 ? something : nothing;
}

/* The one that is due first; N_IDS: none runs. */
static unsigned model_first(const struct model *m)
{
    unsigned first = N_IDS;
    for (unsigned i = 0; i < N_IDS; i++)
        if (m->runs[i] && (first == N_IDS || m->at_us[i] < m->at_us[first] ||
                           (m->at_us[i] == m->at_us[first] && m->nth[i] < m->nth[first])))
            first = i;
    return first;
}

static void model_change(struct model *m)
{
    unsigned i = rng_below(&m->rng, N_IDS);
    if (rng_below(&m->rng, 3) == 0) {
        EXPECT_EQ(mon_timer_cancel(&m->t, m->id[i]), m->runs[i] ? 0 : -ENOENT);
        m->runs[i] = false;
        return;
    }
    m->nth[i] = m->n_set++;
    m->at_us[i] = m->now_us + rng_below(&m->rng, 1u << rng_below(&m->rng, 12));
    m->runs[i] = true;
    EXPECT_EQ(mon_timer_set(&m->t, m->id[i], m->at_us[i], cb_of(m, i)), 0);
}

static void model_turn(struct model *m)
{
    uint64_t among = m->t.n_set;
    int id;
    callback_t cb;
    for (unsigned i; (i = model_first(m)) < N_IDS && m->at_us[i] <= m->now_us; m->runs[i] = false) {
        CU_ASSERT_FATAL(mon_timers_take(&m->t, m->now_us, among, &id, &cb));
        EXPECT_EQ(id, m->id[i]);
        CU_ASSERT(cb == cb_of(m, i));
    }
    CU_ASSERT_FALSE(mon_timers_take(&m->t, m->now_us, among, &id, &cb));
    unsigned next = model_first(m);
    EXPECT_EQ(mon_timers_next_us(&m->t), next < N_IDS ? m->at_us[next] : MON_TIMERS_NEVER_US);
}

static void any_sequence_agrees_with_a_plain_array(void)
{
    static struct model m;
    struct mem *mem = mem_create(0);
    memset(&m, 0, sizeof(m));
    rng_init(&m.rng, test_seed());
    mon_timers_init(&m.t, mem);
    for (unsigned i = 0; i < N_IDS; i++)
        m.id[i] = (int)(i % 2 ? i : i * 0x10001000u);
    for (unsigned turn = 0; turn < 20000; turn++) {
        unsigned n = rng_below(&m.rng, turn % 4000 < 2000 ? 6 : 2); /* it grows and shrinks */
        for (unsigned i = 0; i < n; i++)
            model_change(&m);
        m.now_us += rng_below(&m.rng, 200);
        model_turn(&m);
    }
    CU_ASSERT(m.t.room < 2 * N_IDS);
    mon_timers_fini(&m.t);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

static void without_memory_nothing_changes(void)
{
    struct mem *mem = mem_create(0);
    struct mon_timers t;
    mon_timers_init(&t, mem);
    mem_set_limit(mem, 1);
    EXPECT_EQ(mon_timer_set(&t, 1, 10, nothing), -ENOMEM);
    mem_set_limit(mem, 0);
    int n = 0;
    while (mon_timer_set(&t, n, 10, nothing) == 0 && n < 16)
        n++;
    mem_set_limit(mem, 1);
    while (mon_timer_set(&t, n, 10, nothing) == 0)
        n++;
    EXPECT_EQ(mon_timer_set(&t, 0, 20, nothing), 0); /* one that runs needs none */
    EXPECT_EQ(t.n, n);
    EXPECT_EQ(mon_timer_cancel(&t, n), -ENOENT);
    while (n-- > 0)
        EXPECT_EQ(mon_timer_cancel(&t, n), 0);
    mon_timers_fini(&t);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

static void a_hundred_thousand_leave_no_memory(void)
{
    struct mem *mem = mem_create(0);
    struct mon_timers t;
    mon_timers_init(&t, mem);
    for (int i = 0; i < 100000; i++)
        EXPECT_EQ(mon_timer_set(&t, i, 100000 - (uint64_t)i, nothing), 0);
    for (int i = 0; i < 100000; i += 2)
        EXPECT_EQ(mon_timer_cancel(&t, i), 0);
    int id;
    callback_t cb;
    for (int i = 99999; i > 0; i -= 2) {
        CU_ASSERT_FATAL(mon_timers_take(&t, 100000, t.n_set, &id, &cb));
        EXPECT_EQ(id, i);
    }
    CU_ASSERT(mem_in_use(mem) < 10000); /* back from 8 MB */
    mon_timers_fini(&t);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

/* ---- in a context ---------------------------------------------------------------------------- */

static struct duo d;
static char text[512]; /* the ids of the callbacks that ran */
static uint64_t fired_at;

static void say(int id)
{
    size_t n = strlen(text);
    snprintf(text + n, sizeof(text) - n, "%d ", id);
    fired_at = d.now_us;
}

static void record(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    CU_ASSERT_PTR_EQUAL(m, d.srv);
    EXPECT_EQ(side, MOS_SIDE_BOTH);
    EXPECT_EQ(ev, MOS_ON_TIMEOUT);
    CU_ASSERT_TRUE(arg && !arg->arg && arg->len == 0);
    say(id);
}

#define FIRED(want) expect_fired(want, __LINE__)
static void expect_fired(const char *want, int line)
{
    if (strcmp(text, want) != 0)
        fprintf(stderr, "\n%s:%d: fired \"%s\", expected \"%s\"\n", __FILE__, line, text, want);
    CU_assertImplementation(strcmp(text, want) == 0, (unsigned)line, "timers", __FILE__, "",
                            CU_FALSE);
    text[0] = '\0';
}

static int set(int id, uint64_t us, callback_t cb)
{
    struct timeval t = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    return mtcp_settimer(d.srv, id, &t, cb);
}

static void begin(void)
{
    duo_open(&d, NULL);
    duo_step(&d, 0);
    text[0] = '\0';
}

static void fires_once_at_its_microsecond(void)
{
    begin();
    EXPECT_EQ(set(7, 1234567, record), 0);
    duo_step(&d, 1234566);
    duo_step(&d, 1);
    FIRED("");
    duo_step(&d, 0);
    FIRED("7 ");
    duo_run(&d, 5000000);
    FIRED("");
    EXPECT_EQ(set(7, 1, record), 0);
    duo_step(&d, 1);
    duo_step(&d, 0);
    FIRED("7 ");
    duo_close(&d);
}

static void in_order_of_time_then_of_setting(void)
{
    begin();
    EXPECT_EQ(set(1, 30, record), 0);
    EXPECT_EQ(set(2, 10, record), 0);
    EXPECT_EQ(set(3, 30, record), 0);
    EXPECT_EQ(set(-4, 11, record), 0);
    duo_step(&d, 1000); /* all in one turn */
    duo_step(&d, 0);
    FIRED("2 -4 1 3 ");
    duo_close(&d);
}

static void set_again_it_is_replaced(void)
{
    begin();
    EXPECT_EQ(set(1, 10, nothing), 0);
    EXPECT_EQ(set(1, 2000, record), 0);
    duo_step(&d, 1999);
    duo_step(&d, 1);
    FIRED("");
    duo_step(&d, 0);
    FIRED("1 ");
    duo_close(&d);
}

static void cancelled_it_does_not_fire(void)
{
    begin();
    EXPECT_EQ(set(1, 10, record), 0);
    EXPECT_EQ(set(2, 10, record), 0);
    EXPECT_EQ(mtcp_canceltimer(d.srv, 1), 0);
    errno = 0;
    EXPECT_EQ(mtcp_canceltimer(d.srv, 1), -1);
    EXPECT_EQ(errno, ENOENT);
    duo_step(&d, 10);
    duo_step(&d, 0);
    FIRED("2 ");
    EXPECT_EQ(mtcp_canceltimer(d.srv, 2), -1); /* it has fired */
    EXPECT_EQ(errno, ENOENT);
    duo_close(&d);
}

/* The clock goes on between two turns; a timer is not early for that. */
static void counts_from_the_call_not_from_the_turn(void)
{
    begin();
    duo_step(&d, 5000);
    EXPECT_EQ(set(1, 1000, record), 0);
    duo_step(&d, 999);
    FIRED("");
    duo_step(&d, 1);
    duo_step(&d, 0);
    FIRED("1 ");
    duo_close(&d);
}

static void contexts_do_not_share_ids(void)
{
    struct timeval t = {0, 10};
    begin();
    EXPECT_EQ(set(1, 10, record), 0);
    EXPECT_EQ(mtcp_settimer(d.cli, 1, &t, nothing), 0);
    EXPECT_EQ(mtcp_canceltimer(d.cli, 1), 0);
    duo_step(&d, 10);
    duo_step(&d, 0);
    FIRED("1 ");
    duo_close(&d);
}

/* ---- errors ---------------------------------------------------------------------------------- */

#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static void *of_another_thread(void *arg)
{
    (void)arg;
    FAILS(set(1, 1, record), EPERM);
    FAILS(mtcp_canceltimer(d.srv, 1), EPERM);
    return NULL;
}

static void errors_are_told(void)
{
    struct timeval good = {1, 0}, neg = {-1, 0}, neg_us = {0, -1}, many_us = {0, 1000000};
    pthread_t t;
    begin();
    FAILS(mtcp_settimer(NULL, 1, &good, record), EACCES);
    FAILS(mtcp_canceltimer(NULL, 1), EACCES);
    FAILS(mtcp_settimer(d.srv, 1, NULL, record), EFAULT);
    FAILS(mtcp_settimer(d.srv, 1, &good, NULL), EFAULT);
    FAILS(mtcp_settimer(d.srv, 1, &neg, record), EINVAL);
    FAILS(mtcp_settimer(d.srv, 1, &neg_us, record), EINVAL);
    FAILS(mtcp_settimer(d.srv, 1, &many_us, record), EINVAL);
    FAILS(mtcp_canceltimer(d.srv, 1), ENOENT);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, of_another_thread, NULL), 0);
    pthread_join(t, NULL);
    duo_run(&d, 2000000);
    FIRED("");
    duo_close(&d);
}

static void the_longest_time_is_never(void)
{
    struct timeval most = {INT64_MAX, 999999};
    begin();
    EXPECT_EQ(mtcp_settimer(d.srv, 1, &most, record), 0);
    duo_run(&d, 10000000);
    FIRED("");
    duo_close(&d); /* with it running: nothing fires, nothing leaks */
    FIRED("");
}

/* ---- in callbacks ---------------------------------------------------------------------------- */

static unsigned n_left;

static void again(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    record(m, id, side, ev, arg);
    if (--n_left > 0)
        EXPECT_EQ(set(id, 500, again), 0);
}

static void it_may_set_itself_again(void)
{
    begin();
    n_left = 3;
    EXPECT_EQ(set(9, 500, again), 0);
    for (int i = 0; i < 50; i++)
        duo_step(&d, 100);
    FIRED("9 9 9 ");
    duo_close(&d);
}

static void one_for_now(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    record(m, id, side, ev, arg);
    EXPECT_EQ(set(5, 0, record), 0);
}

/* A callback that never stops to set itself can't stop the loop. */
static void set_for_now_it_is_for_the_next_turn(void)
{
    struct mtcp_epoll_event ev;
    begin();
    EXPECT_EQ(set(1, 0, one_for_now), 0);
    EXPECT_EQ(set(2, 0, record), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, d.srv_ep, &ev, 1, 0), 0);
    FIRED("1 2 ");
    EXPECT_EQ(mtcp_epoll_wait(d.srv, d.srv_ep, &ev, 1, 0), 0);
    FIRED("5 ");
    duo_close(&d);
}

static void cancels_3(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    record(m, id, side, ev, arg);
    EXPECT_EQ(mtcp_canceltimer(m, 3), 0);
    FAILS(mtcp_canceltimer(m, id), ENOENT); /* its own runs no more */
}

static void one_that_is_due_can_be_cancelled(void)
{
    begin();
    EXPECT_EQ(set(2, 1, cancels_3), 0);
    EXPECT_EQ(set(3, 1, record), 0);
    EXPECT_EQ(set(4, 1, record), 0);
    duo_step(&d, 1);
    duo_step(&d, 0);
    FIRED("2 4 ");
    duo_close(&d);
}

static void tries_much(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    struct mtcp_epoll_event e;
    struct pkt_info p;
    record(m, id, side, ev, arg);
    FAILS(mtcp_epoll_wait(m, d.srv_ep, &e, 1, 0), EDEADLK);
    FAILS(mtcp_destroy_context(m), EDEADLK);
    FAILS(mtcp_getlastpkt(m, id, MOS_SIDE_CLI, &p), ENODATA);
    errno = 77;
}

static int passive;

static void sets_by_socket(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)side, (void)ev, (void)arg;
    struct timeval t = {0, 100};
    EXPECT_EQ(mtcp_settimer(m, sock, &t, tries_much), 0);
}

/* The id is a connection's socket, as programs do it; and errno stays the caller's. */
static void a_callback_sets_one_for_its_connection(void)
{
    begin();
    passive = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(d.srv, passive, MOS_ON_CONN_START, MOS_HK_RCV, sets_by_socket),
              0);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    CU_ASSERT(s >= 0);
    duo_step(&d, 100);
    errno = 0;
    duo_step(&d, 0);
    EXPECT_EQ(errno, 0);
    CU_ASSERT(strlen(text) > 1);
    duo_close(&d);
    text[0] = '\0';
}

static void resets(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    record(m, sock, side, ev, arg);
    EXPECT_EQ(mtcp_reset_conn(m, sock), 0);
}

static void sets_a_limit(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)side, (void)ev, (void)arg;
    struct timeval t = {2, 0};
    EXPECT_EQ(mtcp_settimer(m, sock, &t, resets), 0);
}

static void it_may_reset_a_connection(void)
{
    char buf[8];
    begin();
    passive = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(d.srv, passive, MOS_ON_CONN_START, MOS_HK_RCV, sets_a_limit),
              0);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    duo_run(&d, 1999000);
    FAILS(mtcp_read(d.srv, s, buf, sizeof(buf)), EAGAIN);
    duo_run(&d, 2000);
    FAILS(mtcp_read(d.srv, s, buf, sizeof(buf)), ECONNRESET);
    FAILS(mtcp_read(d.cli, c, buf, sizeof(buf)), ECONNRESET);
    duo_close(&d);
    text[0] = '\0';
}

/* ---- and the loop ---------------------------------------------------------------------------- */

static int pipe_fds[2];

static void writes_to_the_pipe(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    record(m, id, side, ev, arg);
    EXPECT_EQ(mtcp_write(m, pipe_fds[1], "x", 1), 1);
}

static void begin_with_pipe(void)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data = {.u64 = 42}};
    begin();
    EXPECT_EQ(mtcp_pipe(d.srv, pipe_fds), 0);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, d.srv_ep, MOS_EPOLL_CTL_ADD, pipe_fds[0], &ev), 0);
}

static void a_sleeping_loop_wakes_up_in_time(void)
{
    struct mtcp_epoll_event ev;
    begin_with_pipe();
    uint64_t begun = d.now_us;
    EXPECT_EQ(set(1, 70, record), 0);
    EXPECT_EQ(set(2, 123, writes_to_the_pipe), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, d.srv_ep, &ev, 1, -1), 1);
    EXPECT_EQ(ev.data.u64, 42);
    EXPECT_EQ(fired_at, begun + 123);
    FIRED("1 2 ");
    duo_close(&d);
}

/* What the callback makes ready is among the events of the same turn. */
static void before_the_applications_events(void)
{
    struct mtcp_epoll_event ev;
    begin_with_pipe();
    EXPECT_EQ(set(1, 10, writes_to_the_pipe), 0);
    d.now_us += 10;
    EXPECT_EQ(mtcp_epoll_wait(d.srv, d.srv_ep, &ev, 1, 0), 1);
    EXPECT_EQ(ev.data.u64, 42);
    FIRED("1 ");
    duo_close(&d);
}

static int reads_from, n_read, read_errno;

static void reads(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    char buf[8];
    record(m, id, side, ev, arg);
    n_read = (int)mtcp_read(m, reads_from, buf, sizeof(buf));
    read_errno = errno;
}

static void resets_at_once(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)side, (void)ev, (void)arg;
    EXPECT_EQ(mtcp_reset_conn(m, sock), 0);
}

/* An application that reads in a timer of its own gets no byte that its monitors were not told of:
 * here one of them resets. */
static void after_what_is_new_was_told(void)
{
    int c, l;
    begin();
    passive = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(
        mtcp_register_callback(d.srv, passive, MOS_ON_CONN_NEW_DATA, MOS_NULL, resets_at_once), 0);
    l = duo_listen(&d, 80);
    reads_from = duo_pair(&d, l, &c);
    EXPECT_EQ(set(1, 10, reads), 0);
    EXPECT_EQ(mtcp_write(d.cli, c, "evil", 4), 4);
    mtcp_epoll_wait(d.cli, d.cli_ep, &(struct mtcp_epoll_event){0}, 1, 0);
    d.now_us += 10;
    mtcp_epoll_wait(d.srv, d.srv_ep, &(struct mtcp_epoll_event){0}, 1, 0); /* both of one turn */
    EXPECT_EQ(n_read, -1);
    EXPECT_EQ(read_errno, ECONNRESET);
    duo_close(&d);
    text[0] = '\0';
}

TEST_SUITE(mos_timers, TEST_CASE(any_sequence_agrees_with_a_plain_array),
           TEST_CASE(without_memory_nothing_changes), TEST_CASE(a_hundred_thousand_leave_no_memory),
           TEST_CASE(fires_once_at_its_microsecond), TEST_CASE(in_order_of_time_then_of_setting),
           TEST_CASE(set_again_it_is_replaced), TEST_CASE(cancelled_it_does_not_fire),
           TEST_CASE(counts_from_the_call_not_from_the_turn), TEST_CASE(contexts_do_not_share_ids),
           TEST_CASE(errors_are_told), TEST_CASE(the_longest_time_is_never),
           TEST_CASE(it_may_set_itself_again), TEST_CASE(set_for_now_it_is_for_the_next_turn),
           TEST_CASE(one_that_is_due_can_be_cancelled),
           TEST_CASE(a_callback_sets_one_for_its_connection), TEST_CASE(it_may_reset_a_connection),
           TEST_CASE(a_sleeping_loop_wakes_up_in_time), TEST_CASE(before_the_applications_events),
           TEST_CASE(after_what_is_new_was_told));
