/* Callback sets: shared, private, shared again; what a hundred thousand connections hold. */
#include "tests/mos_world.h"

static bool yes(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)sock, (void)side, (void)ev, (void)arg;
    return true;
}

static event_t nth_event(uint32_t n, event_t of)
{
    event_t ev = mtcp_define_event(of, yes, &(filter_arg_t){&n, sizeof(n)});
    CU_ASSERT_FATAL(ev != 0);
    return ev;
}

static struct watch *active(void)
{
    return mon_watch(w.m, w_active(), ENOTSOCK);
}

/* ---- equal sets are one ---------------------------------------------------------------------- */

static void shared_private_and_shared_again(void)
{
    event_t a = nth_event(1, MOS_ON_PKT_IN), b = nth_event(2, a);
    w_begin(false);
    int passive = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(passive, a, MOS_HK_SND, w_cb_rcv), 0);
    w_accept();
    const struct cb_set *shared = active()->set;
    CU_ASSERT_PTR_EQUAL(shared, active()->passive->set);
    EXPECT_EQ(w.m->sets.n, 1);
    EXPECT_EQ(w_register(w_active(), b, MOS_HK_SND, w_cb_rcv), 0);
    CU_ASSERT_PTR_NOT_EQUAL(active()->set, shared);
    CU_ASSERT_PTR_EQUAL(active()->passive->set, shared);
    EXPECT_EQ(w.m->sets.n, 2);
    EXPECT_EQ(w_unregister(w_active(), b, MOS_HK_SND), 0);
    CU_ASSERT_PTR_EQUAL(active()->set, shared);
    EXPECT_EQ(w.m->sets.n, 1);
    EXPECT_EQ(w_register(w_active(), a, MOS_HK_SND, w_cb_rcv), 0); /* no change at all */
    CU_ASSERT_PTR_EQUAL(active()->set, shared);
    w_end();
}

/* Whatever the order in which it came about. */
static void equal_is_what_is_registered(void)
{
    event_t a = nth_event(1, MOS_ON_PKT_IN), b = nth_event(2, a), c = nth_event(3, a);
    event_t ev[] = {a, b, c, nth_event(4, MOS_ON_PKT_IN)};
    w_begin(false);
    int one = w_monitor(0), two = w_monitor(0);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(w_register(one, ev[i], MOS_HK_RCV, w_cb_rcv), 0);
        EXPECT_EQ(w_register(two, ev[3 - i], MOS_HK_RCV, w_cb_rcv), 0);
    }
    const struct cb_set *set = mon_passive(w.m, one, ENOTSOCK)->set;
    CU_ASSERT_PTR_EQUAL(set, mon_passive(w.m, two, ENOTSOCK)->set);
    EXPECT_EQ(w.m->sets.n, 1);
    EXPECT_EQ(w_unregister(one, a, MOS_HK_RCV), 0); /* it stays on the way to b */
    EXPECT_EQ(w.m->sets.n, 2);
    EXPECT_EQ(w_unregister(one, b, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(one, c, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(two, b, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(two, c, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(two, a, MOS_HK_RCV), 0);
    EXPECT_EQ(w.m->sets.n, 1);
    EXPECT_EQ(w_unregister(one, ev[3], MOS_HK_RCV), 0);
    CU_ASSERT_PTR_NULL(mon_passive(w.m, one, ENOTSOCK)->set);
    w_end();
}

static void another_slot_or_callback_is_another_set(void)
{
    event_t a = nth_event(1, MOS_ON_PKT_IN);
    w_begin(false);
    int one = w_monitor(0), two = w_monitor(0), three = w_monitor(0);
    EXPECT_EQ(w_register(one, a, MOS_HK_RCV, w_cb_rcv), 0);
    EXPECT_EQ(w_register(two, a, MOS_HK_SND, w_cb_rcv), 0);
    EXPECT_EQ(w_register(three, a, MOS_HK_RCV, w_cb_snd), 0);
    EXPECT_EQ(w.m->sets.n, 3);
    w_end();
}

static void without_memory_nothing_is_added(void)
{
    event_t a = nth_event(1, MOS_ON_PKT_IN), b = nth_event(2, a);
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_accept();
    EXPECT_EQ(w_register(w_active(), a, MOS_HK_SND, w_cb_rcv), 0);
    const struct cb_set *before = active()->set;
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(w_register(w_active(), b, MOS_HK_SND, w_cb_rcv), -ENOMEM);
    mem_set_limit(w.mem, 0);
    CU_ASSERT_PTR_EQUAL(active()->set, before);
    EXPECT_EQ(w.m->sets.n, 2);
    w_end();
}

static event_t three[3];

static void unregister_three(int sock, int side, event_t ev)
{
    (void)side, (void)ev;
    w.in_callback = NULL;
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(w_unregister(sock, three[i], MOS_HK_SND), 0);
}

/* Outside and inside callbacks, of sets that others share. */
static void without_memory_everything_can_be_taken_away(void)
{
    w_begin(false);
    int passive = w_monitor(MOS_ON_PKT_IN);
    for (uint32_t i = 0; i < 3; i++) {
        three[i] = nth_event(i, MOS_ON_PKT_IN);
        EXPECT_EQ(w_register(passive, three[i], MOS_HK_SND, w_cb_rcv), 0);
    }
    w_accept();
    mem_set_limit(w.mem, 1);
    w.in_callback = unregister_three;
    IN(.flags = TCP_ACK);
    EXPECT_EQ(w_unregister(w_active(), three[0], MOS_HK_SND), -ENOENT);
    EXPECT_EQ(w_unregister(w_active(), MOS_ON_PKT_IN, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(passive, three[1], MOS_HK_SND), 0);
    EXPECT_EQ(w_unregister(passive, MOS_ON_PKT_IN, MOS_HK_SND), 0);
    mem_set_limit(w.mem, 0);
    w_end();
}

/* The same change of the same set. */
static void what_was_done_before_needs_no_memory(void)
{
    event_t a = nth_event(1, MOS_ON_PKT_IN), b = nth_event(2, a);
    w_begin(false);
    int passive = w_monitor(MOS_ON_PKT_IN), other = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(passive, a, MOS_HK_SND, w_cb_rcv), 0);
    EXPECT_EQ(w_register(passive, b, MOS_HK_SND, w_cb_rcv), 0);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(w_register(other, b, MOS_HK_SND, w_cb_rcv), -ENOMEM);
    mem_set_limit(w.mem, 0);
    EXPECT_EQ(w_unregister(passive, b, MOS_HK_SND), 0);
    EXPECT_EQ(w_register(other, a, MOS_HK_SND, w_cb_rcv), 0);
    EXPECT_EQ(w_register(passive, b, MOS_HK_SND, w_cb_rcv), 0);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(w_register(other, b, MOS_HK_SND, w_cb_rcv), 0);
    CU_ASSERT_PTR_EQUAL(mon_passive(w.m, other, ENOTSOCK)->set,
                        mon_passive(w.m, passive, ENOTSOCK)->set);
    EXPECT_EQ(w_register(other, b, MOS_HK_SND, w_cb_snd), -ENOMEM);
    mem_set_limit(w.mem, 0);
    w_end();
}

/* ---- a hundred thousand connections ---------------------------------------------------------- */

enum { N_CONNS = 100000 };

static int ids_given, ids_back;

static int any_id(struct mtcp_context *ctx, int type, const struct hook_sock_ops *ops, void *arg)
{
    (void)ctx, (void)type, (void)ops, (void)arg;
    return 1000000 + ids_given++;
}

static void id_back(struct mtcp_context *ctx, int sock)
{
    if (sock >= 1000000)
        ids_back++;
    else
        w_sock_free(ctx, sock);
}

static int few_then_many(struct mtcp_context *ctx, int type, const struct hook_sock_ops *ops,
                         void *arg)
{
    return type == MOS_SOCK_MONITOR_STREAM ? w_sock_alloc(ctx, type, ops, arg)
                                           : any_id(ctx, type, ops, arg);
}

static void *handles[N_CONNS];

static struct watch *nth_watch(unsigned i)
{
    return ((struct mon_conn *)handles[i])->watches;
}

/* Connections with n events of their own kind; bytes that the monitor holds for them. */
static size_t with_connections(unsigned n_events)
{
    static struct hook_services sv;
    struct seg seg;
    struct hook_seg s;
    sv = w_services;
    sv.sock_alloc = few_then_many;
    sv.sock_free = id_back;
    ids_given = ids_back = 0;
    w_begin(false);
    hook_monitor.detach(w.m);
    w.m = hook_monitor.attach(&w.ctx, &sv, &w.hooks);
    int passive = w_monitor(MOS_ON_REXMIT);
    for (unsigned i = 0; i < n_events; i++)
        EXPECT_EQ(w_register(passive, nth_event(i, MOS_ON_PKT_IN), MOS_HK_RCV, w_cb_rcv), 0);
    w_build(&seg, &s, HOOK_IN, &(struct wseg){.flags = TCP_SYN});
    size_t before = mem_in_use(w.mem);
    for (unsigned i = 0; i < N_CONNS; i++) {
        EXPECT_EQ(w.hooks->born(w.m, &s, &w.f, &handles[i]), HOOK_PASS);
        CU_ASSERT_PTR_NOT_NULL_FATAL(handles[i]);
    }
    size_t bytes = mem_in_use(w.mem) - before;
    EXPECT_EQ(w.m->sets.n, 1);
    EXPECT_EQ(nth_watch(0)->set->refs, N_CONNS + 1);
    CU_ASSERT_PTR_EQUAL(nth_watch(0)->set, nth_watch(N_CONNS - 1)->set);
    return bytes;
}

static void without_connections(void)
{
    for (unsigned i = 0; i < N_CONNS; i++)
        w.hooks->dying(w.m, handles[i], HOOK_END_FIN);
    EXPECT_EQ(ids_back, N_CONNS);
    w_end();
}

static int change(unsigned i, event_t ev, callback_t cb)
{
    struct cb_at at;
    EXPECT_EQ(cb_at_find(ev, MOS_HK_RCV, &at), 0);
    return mon_set_change(w.m, &nth_watch(i)->set, &at, cb);
}

static void a_hundred_thousand_connections_hold_one_set(void)
{
    size_t few = with_connections(0);
    without_connections();
    size_t many = with_connections(500); /* events, and not a byte more for each connection */
    EXPECT_EQ(few, many);
    size_t before = mem_in_use(w.mem);
    event_t extra = nth_event(1000, MOS_ON_PKT_IN);
    for (unsigned i = 0; i < N_CONNS; i += 20)
        EXPECT_EQ(change(i, extra, w_cb_rcv), 0);
    EXPECT_EQ(w.m->sets.n, 2);
    CU_ASSERT(mem_in_use(w.mem) - before < 20000); /* one set more */
    CU_ASSERT_PTR_EQUAL(nth_watch(0)->set, nth_watch(N_CONNS - 20)->set);
    for (unsigned i = 0; i < N_CONNS; i += 20)
        EXPECT_EQ(change(i, extra, NULL), 0);
    EXPECT_EQ(w.m->sets.n, 1);
    EXPECT_EQ(mem_in_use(w.mem), before);
    without_connections();
}

TEST_SUITE(mos_cbset, TEST_CASE(shared_private_and_shared_again),
           TEST_CASE(equal_is_what_is_registered),
           TEST_CASE(another_slot_or_callback_is_another_set),
           TEST_CASE(without_memory_nothing_is_added),
           TEST_CASE(without_memory_everything_can_be_taken_away),
           TEST_CASE(what_was_done_before_needs_no_memory),
           TEST_CASE(a_hundred_thousand_connections_hold_one_set));
