/* The forest of events that programs define: ids, equality, copies, errors, threads. */
#include "mos/forest.h"
#include "tests/test.h"

#include <mos_api.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

static bool yes(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)ev, (void)arg;
    return true;
}

static bool also_yes(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return yes(m, sock, side, ev, arg);
}

static event_t define(event_t base, filter_t filter, const char *bytes)
{
    char copy[64];
    filter_arg_t arg = {copy, strlen(bytes)};
    memcpy(copy, bytes, strlen(bytes));
    event_t ev = mtcp_define_event(base, filter, &arg);
    memset(copy, '#', sizeof(copy)); /* it keeps none of ours */
    return ev;
}

static void equal_definitions_are_one_event(void)
{
    event_t a = define(MOS_ON_PKT_IN, yes, "one");
    CU_ASSERT_FATAL(a != 0);
    CU_ASSERT(define(MOS_ON_PKT_IN, yes, "one") == a);
    event_t b = define(a, yes, "one");
    CU_ASSERT(define(a, yes, "one") == b);
    event_t none = mtcp_define_event(MOS_ON_PKT_IN, yes, NULL);
    CU_ASSERT(mtcp_define_event(MOS_ON_PKT_IN, yes, NULL) == none);
    CU_ASSERT(define(MOS_ON_PKT_IN, yes, "") == none); /* no bytes are no bytes */
    filter_arg_t empty = {&empty, 0};
    CU_ASSERT(mtcp_define_event(MOS_ON_PKT_IN, yes, &empty) == none);
}

static void any_difference_makes_another(void)
{
    event_t base = define(MOS_ON_PKT_IN, yes, "base");
    event_t ev[] = {
        define(base, yes, "x"),
        define(base, also_yes, "x"),
        define(base, yes, "y"),
        define(base, yes, "xx"),
        define(base, yes, ""),
        define(MOS_ON_PKT_IN, yes, "x"),
        define(MOS_ON_CONN_END, yes, "x"),
        mtcp_alloc_event(base),
        mtcp_alloc_event(base),
        mtcp_alloc_event(MOS_ON_PKT_IN),
    };
    for (unsigned i = 0; i < sizeof(ev) / sizeof(ev[0]); i++) {
        CU_ASSERT(ev[i] != 0 && (ev[i] & (ev[i] - 1)) != 0); /* never one bit: those are built in */
        for (unsigned k = 0; k < i; k++)
            CU_ASSERT(ev[i] != ev[k]);
    }
}

static void the_roots_are_what_can_fire(void)
{
    const event_t roots = MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR |
                          MOS_ON_TCP_STATE_CHANGE | MOS_ON_ORPHAN | MOS_ON_REXMIT |
                          MOS_ON_CONN_END | MOS_ON_PKT_NOTABLE;
    for (unsigned bit = 0; bit < 64; bit++) {
        event_t base = 1ull << bit;
        errno = 0;
        CU_ASSERT((define(base, yes, "r") != 0) == ((roots & base) != 0));
        EXPECT_EQ(errno, roots & base ? 0 : EINVAL);
        errno = 0;
        CU_ASSERT((mtcp_alloc_event(base) != 0) == ((roots & base) != 0));
        EXPECT_EQ(errno, roots & base ? 0 : EINVAL);
    }
}

#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CU_ASSERT((call) == 0);                                                                    \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static void errors_are_told(void)
{
    filter_arg_t no_bytes = {NULL, 1}, too_many = {&no_bytes, SIZE_MAX};
    event_t last = mtcp_alloc_event(MOS_ON_PKT_IN);
    FAILS(mtcp_define_event(0, yes, NULL), EINVAL);
    FAILS(mtcp_define_event(MOS_ON_PKT_IN | MOS_ON_CONN_END, yes, NULL), EINVAL);
    FAILS(mtcp_define_event(last + 1, yes, NULL), EINVAL); /* not yet */
    FAILS(mtcp_define_event(UINT64_MAX, yes, NULL), EINVAL);
    FAILS(mtcp_define_event(1ull << 63, yes, NULL), EINVAL);
    FAILS(mtcp_alloc_event(0), EINVAL);
    FAILS(mtcp_alloc_event(last + 1), EINVAL);
    FAILS(mtcp_define_event(MOS_ON_PKT_IN, NULL, NULL), EFAULT);
    FAILS(mtcp_define_event(MOS_ON_PKT_IN, yes, &no_bytes), EFAULT);
    FAILS(mtcp_define_event(0, NULL, NULL), EFAULT); /* NULL is told before a bad value */
    FAILS(mtcp_define_event(MOS_ON_PKT_IN, yes, &too_many), ENOMEM);
    CU_ASSERT(mtcp_alloc_event(MOS_ON_PKT_IN) == last + 1); /* nothing was left behind */
}

static void what_a_definition_holds(void)
{
    event_t a = define(MOS_ON_CONN_NEW_DATA, yes, "bytes"), b = mtcp_alloc_event(a);
    const struct event_def *da = event_find(a), *db = event_find(b);
    CU_ASSERT_PTR_NOT_NULL_FATAL(da);
    CU_ASSERT_PTR_NOT_NULL_FATAL(db);
    CU_ASSERT(event_id(da) == a && event_id(db) == b);
    CU_ASSERT_PTR_NULL(da->base);
    CU_ASSERT_PTR_EQUAL(db->base, da);
    CU_ASSERT(da->root == MOS_ON_CONN_NEW_DATA && db->root == MOS_ON_CONN_NEW_DATA);
    CU_ASSERT(da->depth == 1 && db->depth == 2 && da->index < db->index);
    CU_ASSERT(da->arg.len == 5 && memcmp(da->arg.arg, "bytes", 5) == 0);
    EXPECT_EQ((uintptr_t)da->arg.arg % _Alignof(max_align_t), 0);
    CU_ASSERT(da->filter == yes && db->filter == NULL);
    CU_ASSERT_PTR_EQUAL(event_ancestor(db, 1), da);
    CU_ASSERT_PTR_EQUAL(event_ancestor(db, 2), db);
    CU_ASSERT_PTR_NULL(event_find(MOS_ON_PKT_IN));
    CU_ASSERT_PTR_NULL(event_find(0));
}

static void thousands_are_found_again(void)
{
    enum { N = 5000 };
    static event_t ev[N];
    for (uint32_t i = 0; i < N; i++) {
        filter_arg_t arg = {&i, sizeof(i)};
        ev[i] = mtcp_define_event(i % 3 ? ev[i / 2] : MOS_ON_REXMIT, also_yes, &arg);
        CU_ASSERT_FATAL(ev[i] != 0);
    }
    for (uint32_t i = 0; i < N; i++) {
        filter_arg_t arg = {&i, sizeof(i)};
        CU_ASSERT(mtcp_define_event(i % 3 ? ev[i / 2] : MOS_ON_REXMIT, also_yes, &arg) == ev[i]);
        const struct event_def *d = event_find(ev[i]);
        CU_ASSERT(d && d->root == MOS_ON_REXMIT && memcmp(d->arg.arg, &i, sizeof(i)) == 0);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { N_THREADS = 4, N_EACH = 30000 };

static pthread_barrier_t all_are_there;

struct thread {
    pthread_t id;
    bool is_backwards;
    unsigned n_wrong;
    event_t shared[N_EACH], own[N_EACH];
};

/* The same in each thread, and one of its own below each. */
static void *define_many(void *arg)
{
    struct thread *t = arg;
    pthread_barrier_wait(&all_are_there);
    for (uint32_t i = 0; i < N_EACH; i++) {
        uint32_t n = t->is_backwards ? N_EACH - 1 - i : i;
        filter_arg_t of_n = {&n, sizeof(n)};
        event_t ev = mtcp_define_event(MOS_ON_ERROR, yes, &of_n);
        t->own[n] = mtcp_alloc_event(ev);
        t->shared[n] = ev;
        const struct event_def *d = event_find(t->own[n]);
        t->n_wrong += !d || d->base != event_find(ev);
    }
    return NULL;
}

static void threads_define_together(void)
{
    static struct thread t[N_THREADS];
    pthread_barrier_init(&all_are_there, NULL, N_THREADS);
    for (unsigned i = 0; i < N_THREADS; i++) {
        t[i].is_backwards = i % 2;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i].id, NULL, define_many, &t[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++)
        pthread_join(t[i].id, NULL);
    pthread_barrier_destroy(&all_are_there);
    for (unsigned i = 0; i < N_THREADS; i++)
        EXPECT_EQ(t[i].n_wrong, 0);
    for (unsigned i = 1; i < N_THREADS; i++)
        for (unsigned n = 0; n < N_EACH; n++) {
            CU_ASSERT(t[i].shared[n] == t[0].shared[n]);
            CU_ASSERT(t[i].own[n] != t[i - 1].own[n]);
        }
}

TEST_SUITE(mos_forest, TEST_CASE(equal_definitions_are_one_event),
           TEST_CASE(any_difference_makes_another), TEST_CASE(the_roots_are_what_can_fire),
           TEST_CASE(errors_are_told), TEST_CASE(what_a_definition_holds),
           TEST_CASE(thousands_are_found_again), TEST_CASE(threads_define_together));
