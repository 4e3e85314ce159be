/*
 * Events that programs define, inside the monitor: when filters are asked and callbacks called, in
 * which order, what raising does, and what may change meanwhile. Each event has a letter; a filter
 * that is asked says `a?`, a callback `a!`, that of the built-in event `base`.
 */
#include "mos/user_events.h"
#include "tests/mos_world.h"

#include "mtcp/base/hash.h"
#include "mtcp/base/rng.h"

struct letter {
    event_t id;
    bool no;              /* the filter's answer */
    event_t raises[4];    /* by the filter; 0: no more */
    event_t calls_for[4]; /* raised by the callback */
    void (*in_filter)(int sock);
    void (*in_callback)(int sock);
};

static struct letter letters[128];
static int passive, sock;
static char nth_world; /* in the arg of each event: the same letter is another event each time */

static char letter_of(event_t id)
{
    for (char c = 'a'; c <= 'z'; c++)
        if (letters[(unsigned)c].id == id)
            return c;
    return '?';
}

static void raise_all(const event_t *list)
{
    for (unsigned i = 0; i < 4 && list[i]; i++)
        EXPECT_EQ(user_event_raise(w.m, list[i]), 0);
}

static bool ask(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    char c = letter_of(ev);
    const struct letter *l = &letters[(unsigned)c];
    CU_ASSERT_PTR_EQUAL(ctx, &w.ctx);
    CU_ASSERT(arg->len == 2 && *(char *)arg->arg == c);
    CU_ASSERT(side == MOS_SIDE_CLI || side == MOS_SIDE_SVR || side == MOS_SIDE_BOTH);
    w_say("%c? ", c);
    raise_all(l->raises);
    if (l->in_filter)
        l->in_filter(s);
    return !l->no;
}

static void heard(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    char c = letter_of(ev);
    const struct letter *l = &letters[(unsigned)c];
    (void)ctx, (void)side;
    CU_ASSERT(arg->len == 0 || *(char *)arg->arg == c);
    w_say("%c! ", c);
    raise_all(l->calls_for);
    if (l->in_callback)
        l->in_callback(s);
}

static event_t base_raises; /* 0: nothing */

static void base(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)s, (void)side, (void)ev;
    CU_ASSERT(!arg->arg && !arg->len);
    w_say("base ");
    if (base_raises)
        EXPECT_EQ(user_event_raise(w.m, base_raises), 0);
}

static event_t define(char c, event_t of)
{
    char bytes[2] = {c, nth_world};
    filter_arg_t arg = {bytes, sizeof(bytes)};
    event_t id = mtcp_define_event(of, ask, &arg);
    CU_ASSERT_FATAL(id != 0);
    return letters[(unsigned)c].id = id;
}

static event_t alloc(char c, event_t of)
{
    event_t id = mtcp_alloc_event(of);
    CU_ASSERT_FATAL(id != 0);
    return letters[(unsigned)c].id = id;
}

static void begin_with(uint64_t events)
{
    memset(letters, 0, sizeof(letters));
    base_raises = 0;
    nth_world++;
    w_begin(false);
    passive = w_monitor(events);
}

/* An established connection with a monitor that hears of its end. */
static void begin(void)
{
    begin_with(MOS_ON_CONN_END);
    w_accept();
    sock = w_active();
    EXPECT_EVENTS("");
}

static void end(void)
{
    w_end();
}

static void on(event_t ev, int hook)
{
    EXPECT_EQ(w_register(sock, ev, hook, heard), 0);
}

static void packet(void)
{
    IN(.flags = TCP_ACK);
}

/* ---- defined --------------------------------------------------------------------------------- */

static void fires_when_its_base_does_and_its_filter_is_true(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    on(a, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("a? a!");
    letters['a'].no = true;
    packet();
    EXPECT_EVENTS("a?");
    IN(.flags = TCP_ACK, .data = "x");
    w.text_len = 0;
    w_turn(); /* NEW_DATA is another base */
    EXPECT_EVENTS("");
    end();
}

static void any_hook_point_where_its_root_fires(void)
{
    const struct {
        event_t root;
        bool snd, rcv, null;
    } rows[] = {
        {MOS_ON_PKT_IN, true, true, false},           {MOS_ON_CONN_START, true, true, false},
        {MOS_ON_CONN_NEW_DATA, false, false, true},   {MOS_ON_ERROR, false, false, true},
        {MOS_ON_TCP_STATE_CHANGE, true, true, false}, {MOS_ON_ORPHAN, false, false, true},
        {MOS_ON_REXMIT, false, true, false},          {MOS_ON_CONN_END, true, true, false},
    };
    begin();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        event_t ev[] = {define('a', rows[i].root), define('b', letters['a'].id),
                        alloc('c', letters['b'].id), alloc('d', rows[i].root)};
        for (unsigned k = 0; k < 4; k++) {
            int snd = rows[i].snd ? 0 : -EINVAL, rcv = rows[i].rcv ? 0 : -EINVAL;
            int null = rows[i].null ? 0 : -EINVAL;
            EXPECT_EQ(w_register(passive, ev[k], MOS_HK_SND, heard), snd);
            EXPECT_EQ(w_register(passive, ev[k], MOS_HK_RCV, heard), rcv);
            EXPECT_EQ(w_register(passive, ev[k], MOS_NULL, heard), null);
            EXPECT_EQ(w_register(passive, ev[k], 0, heard), -EINVAL);
            EXPECT_EQ(w_register(passive, ev[k], MOS_NULL | MOS_HK_RCV, heard), -EINVAL);
            EXPECT_EQ(w_unregister(passive, ev[k], MOS_NULL), null);
        }
    }
    EXPECT_EQ(w_register(passive, UINT64_MAX, MOS_HK_RCV, heard), -EINVAL);
    end();
}

static void an_active_socket_has_none_of_orphans(void)
{
    begin();
    event_t a = define('a', MOS_ON_ORPHAN);
    EXPECT_EQ(w_register(sock, a, MOS_NULL, heard), -EINVAL);
    EXPECT_EQ(w_unregister(sock, a, MOS_NULL), -EINVAL);
    EXPECT_EQ(w_register(passive, a, MOS_NULL, heard), 0);
    end();
}

static void registered_and_taken_back(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', a);
    on(b, MOS_HK_RCV);
    EXPECT_EQ(w_unregister(sock, a, MOS_HK_RCV), -ENOENT); /* it is only on the way to b */
    EXPECT_EQ(w_unregister(sock, b, MOS_HK_SND), -ENOENT);
    EXPECT_EQ(w_unregister(sock, MOS_ON_PKT_IN, MOS_HK_RCV), -ENOENT);
    packet();
    EXPECT_EVENTS("a? b? b!");
    on(a, MOS_HK_RCV);
    EXPECT_EQ(w_unregister(sock, b, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(sock, b, MOS_HK_RCV), -ENOENT);
    packet();
    EXPECT_EVENTS("a? a!");
    EXPECT_EQ(w_register(sock, a, MOS_HK_RCV, NULL), 0); /* deregisters */
    EXPECT_EQ(w_register(sock, a, MOS_HK_RCV, NULL), 0);
    packet();
    EXPECT_EVENTS("");
    end();
}

static void another(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)s, (void)side, (void)arg;
    w_say("another %c ", letter_of(ev));
}

static void a_callback_is_replaced(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    on(a, MOS_HK_RCV);
    EXPECT_EQ(w_register(sock, a, MOS_HK_RCV, another), 0);
    packet();
    EXPECT_EVENTS("a? another a");
    end();
}

static void a_passive_socket_registers_for_later_connections(void)
{
    begin();
    event_t a = define('a', MOS_ON_CONN_START);
    EXPECT_EQ(w_register(passive, a, MOS_HK_RCV, heard), 0);
    w_die(HOOK_END_FIN);
    w.text_len = 0;
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("a? a!");
    end();
}

/* Without any callback of a built-in event. */
static void it_alone_makes_a_connection_monitored(void)
{
    begin_with(0);
    event_t a = define('a', MOS_ON_CONN_NEW_DATA), b = define('b', MOS_ON_REXMIT);
    EXPECT_EQ(w_register(passive, a, MOS_NULL, heard), 0);
    EXPECT_EQ(w_register(passive, b, MOS_HK_RCV, heard), 0);
    w_accept();
    CU_ASSERT_PTR_NOT_NULL(w.f.handle);
    IN(.flags = TCP_ACK, .data = "x");
    w_turn();
    EXPECT_EVENTS("a? a!");
    IN(.flags = TCP_ACK, .data = "x");
    EXPECT_EVENTS("b? b!");
    end();
}

static void orphans_alone_do_not(void)
{
    begin_with(0);
    EXPECT_EQ(w_register(passive, define('a', MOS_ON_ORPHAN), MOS_NULL, heard), 0);
    IN(.flags = TCP_SYN);
    CU_ASSERT_PTR_NULL(w.f.handle);
    end();
}

/* ---- asked once, and only when somebody wants to know ---------------------------------------- */

static void a_filter_is_asked_once_for_all_below_it(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', a), c = define('c', a);
    event_t d = define('d', b);
    on(d, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
    on(a, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("a? a! b? b! d? d! c? c!");
    end();
}

static void once_at_each_hook_point_and_side(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    on(a, MOS_HK_SND);
    on(a, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("a? a! a? a!");
    OUT(.flags = TCP_ACK);
    EXPECT_EVENTS("a? a! a? a!");
    end();
}

static void once_for_each_monitor(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    int second = w_monitor(MOS_ON_CONN_END);
    EXPECT_EQ(w_register(passive, a, MOS_HK_RCV, heard), 0);
    EXPECT_EQ(w_register(second, a, MOS_HK_RCV, another), 0);
    w_die(HOOK_END_FIN);
    w_accept();
    w.text_len = 0;
    packet();
    EXPECT_EVENTS("a? a! a? another a");
    end();
}

static void nobody_below_nobody_asks(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', a), c = define('c', b);
    on(MOS_ON_PKT_IN, MOS_HK_SND);
    on(b, MOS_HK_SND);
    on(c, MOS_HK_RCV);
    letters['a'].no = true;
    packet(); /* b alone at SND, b and c at RCV */
    EXPECT_EVENTS("?! a? a?");
    letters['a'].no = false;
    packet();
    EXPECT_EVENTS("?! a? b? b! a? b? c? c!");
    EXPECT_EQ(w_unregister(sock, c, MOS_HK_RCV), 0);
    packet();
    EXPECT_EVENTS("?! a? b? b!");
    end();
}

static void false_leaves_out_all_below(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', a), c = define('c', b);
    event_t d = define('d', MOS_ON_PKT_IN), e = alloc('e', b);
    on(a, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    on(d, MOS_HK_RCV);
    on(e, MOS_HK_RCV);
    letters['b'].no = true;
    letters['b'].raises[0] = e; /* raised, and then it says no */
    packet();
    EXPECT_EVENTS("a? a! b? d? d!");
    letters['a'].no = true;
    packet();
    EXPECT_EVENTS("a? d? d!");
    end();
}

static void base_first_then_in_order_of_definition(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', MOS_ON_PKT_IN);
    event_t c = define('c', a), d = define('d', b), e = define('e', a), f = define('f', c);
    on(f, MOS_HK_RCV); /* the order of registration is another */
    on(e, MOS_HK_RCV);
    on(d, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, base), 0);
    on(a, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("base a? a! c? c! f? f! e? e! b? b! d? d!");
    end();
}

static void a_long_chain(void)
{
    enum { N = 300 };
    static event_t chain[N];
    begin();
    for (unsigned i = 0; i < N; i++)
        chain[i] = define('?', i ? chain[i - 1] : MOS_ON_PKT_IN);
    on(chain[N - 1], MOS_HK_RCV);
    packet();
    EXPECT_EQ(w.text_len, 3 * (N + 1));
    w.text_len = 0;
    EXPECT_EQ(w_unregister(sock, chain[N - 1], MOS_HK_RCV), 0);
    packet();
    EXPECT_EVENTS("");
    end();
}

/* ---- what they are given and may do ---------------------------------------------------------- */

static struct seen {
    int sock, side;
    event_t ev;
    filter_arg_t arg;
    struct pkt_info pkt;
} seen[2];

static void see(unsigned i, int s, int side, event_t ev, filter_arg_t *arg)
{
    const struct watch *x = mon_watch(w.m, s, ENOTSOCK);
    seen[i] = (struct seen){.sock = s, .side = side, .ev = ev, .arg = *arg};
    EXPECT_EQ(lastpkt_get(w.m, x->conn, NULL, &seen[i].pkt), 0);
    arg->arg = NULL; /* it is theirs: nobody else sees this */
}

static bool sees(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx;
    see(0, s, side, ev, arg);
    return true;
}

static void sees_too(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx;
    see(1, s, side, ev, arg);
}

static void both_get_the_event_its_arg_and_the_packet(void)
{
    begin();
    filter_arg_t arg = {&(int){4711}, sizeof(int)};
    event_t a = mtcp_define_event(MOS_ON_PKT_IN, sees, &arg);
    EXPECT_EQ(w_register(sock, a, MOS_HK_RCV, sees_too), 0);
    for (int round = 0; round < 2; round++) {
        IN(.flags = TCP_ACK, .off = 77);
        for (unsigned i = 0; i < 2; i++) {
            EXPECT_EQ(seen[i].sock, sock);
            EXPECT_EQ(seen[i].side, MOS_SIDE_SVR);
            CU_ASSERT(seen[i].ev == a);
            CU_ASSERT(seen[i].arg.len == sizeof(int) && *(int *)seen[i].arg.arg == 4711);
            EXPECT_EQ(seen[i].pkt.offset, 77);
        }
        CU_ASSERT_PTR_EQUAL(seen[0].arg.arg, seen[1].arg.arg);
        CU_ASSERT_PTR_NOT_EQUAL(seen[0].arg.arg, arg.arg);
        memset(seen, 0, sizeof(seen));
    }
    end();
}

static void drops(int s)
{
    EXPECT_EQ(lastpkt_set(w.m, mon_watch(w.m, s, ENOTSOCK)->conn, NULL,
                          &(struct edit){.option = MOS_DROP}),
              0);
}

static void a_filter_can_drop_the_packet(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    on(a, MOS_HK_SND);
    letters['a'].no = true;
    letters['a'].in_filter = drops;
    EXPECT_EQ(IN(.flags = TCP_ACK), HOOK_DROP);
    letters['a'].in_filter = NULL;
    EXPECT_EQ(IN(.flags = TCP_ACK), HOOK_PASS);
    w.text_len = 0;
    end();
}

static void tells_the_error(int s)
{
    w_say("(%d) ", w_get_int(s, MOS_LASTERROR));
}

static void the_error_is_told_in_a_filter(void)
{
    begin();
    on(define('a', MOS_ON_ERROR), MOS_NULL);
    letters['a'].in_filter = tells_the_error;
    w.hooks->error(w.m, w.f.handle, HOOK_BEYOND_WINDOW, true, 0, 1);
    EXPECT_EVENTS("a? (2) a!");
    end();
}

static void peeks(int s)
{
    char c = '-';
    EXPECT_EQ(w_peek(s, MOS_SIDE_SVR, &c, 1), 1);
    w_say("(%c) ", c);
}

static void filters_and_callbacks_peek(void)
{
    begin();
    on(define('a', MOS_ON_CONN_NEW_DATA), MOS_NULL);
    letters['a'].in_filter = letters['a'].in_callback = peeks;
    IN(.flags = TCP_ACK, .data = "xy");
    w_turn();
    EXPECT_EVENTS("a? (x) a! (y)");
    end();
}

static void sets_an_option(int s)
{
    EXPECT_EQ(w_set(s, MOS_SVRBUF, 100), 0);
    EXPECT_EQ(w_get_int(s, MOS_SVRBUF), 100);
}

static void filters_set_options(void)
{
    begin();
    on(define('a', MOS_ON_PKT_IN), MOS_HK_RCV);
    letters['a'].in_filter = sets_an_option;
    packet();
    EXPECT_EVENTS("a? a!");
    EXPECT_EQ(w.f.hist_rcv, 100);
    end();
}

static void changes_much(int s)
{
    EXPECT_EQ(w_register(s, letters['b'].id, MOS_HK_RCV, heard), 0);
    EXPECT_EQ(w_unregister(s, letters['c'].id, MOS_HK_RCV), 0);
    EXPECT_EQ(w_register(s, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    EXPECT_EQ(w_register(s, define('d', letters['a'].id), MOS_HK_RCV, heard), 0);
}

static void changes_hold_from_the_next_dispatch_on(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', MOS_ON_PKT_IN), c = define('c', a);
    (void)b;
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, base), 0);
    on(a, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    letters['a'].in_filter = changes_much;
    packet();
    EXPECT_EVENTS("base a? a! c? c!");
    letters['a'].in_filter = NULL;
    packet();
    EXPECT_EVENTS("a? a! d? d! b? b!");
    end();
}

static void stops_both(int s)
{
    EXPECT_EQ(w_set(s, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    CU_ASSERT_PTR_NOT_NULL(w_sock(s)); /* answers until the callback returns */
}

static void stops_the_server_side(int s)
{
    EXPECT_EQ(w_set(s, MOS_STOP_MON, MOS_SIDE_SVR), 0);
}

static void closes_its_passive(int s)
{
    (void)s;
    EXPECT_EQ(w_close(passive), 0);
}

static void stopping_at(void (**where)(int s), const char *rest)
{
    void (*const how[])(int) = {stops_both, stops_the_server_side, closes_its_passive};
    for (unsigned i = 0; i < 3; i++) {
        void (*before)(int) = *where;
        *where = how[i];
        packet();
        *where = before;
        w_expect(rest, __FILE__, __LINE__);
        packet();
        EXPECT_EVENTS("");
        end();
        if (i == 2)
            break;
        begin();
        event_t a = define('a', MOS_ON_PKT_IN), b = define('b', a);
        on(a, MOS_HK_RCV);
        on(b, MOS_HK_RCV);
    }
}

static void begin_with_two(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = define('b', a);
    on(a, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
}

/* It may have freed its context: nothing of the dispatch follows. */
static void stopped_in_a_filter_nothing_is_called(void)
{
    begin_with_two();
    stopping_at(&letters['a'].in_filter, "a?");
}

static void stopped_in_a_callback_nothing_below_is_asked(void)
{
    begin_with_two();
    stopping_at(&letters['a'].in_callback, "a? a!");
}

static void stops_in_base(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    base(ctx, s, side, ev, arg);
    stops_both(s);
}

static void stopped_by_the_built_in_event(void)
{
    begin_with_two();
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, stops_in_base), 0);
    packet();
    EXPECT_EVENTS("base");
    end();
}

/* ---- orphans --------------------------------------------------------------------------------- */

static void orphan(void)
{
    struct seg seg;
    struct hook_seg s;
    struct packet p = {.kind = PACKET_TCP};
    w_build(&seg, &s, HOOK_IN, &(struct wseg){.flags = TCP_ACK});
    w.hooks->orphan(w.m, &s, &p);
}

static void orphans_have_events_too(void)
{
    begin();
    event_t a = define('a', MOS_ON_ORPHAN), b = alloc('b', a);
    EXPECT_EQ(w_register(passive, b, MOS_NULL, heard), 0);
    orphan();
    EXPECT_EVENTS("a?");
    letters['a'].raises[0] = b;
    EXPECT_EQ(w_register(passive, MOS_ON_ORPHAN, MOS_NULL, base), 0);
    EXPECT_EQ(w_register(passive, a, MOS_NULL, heard), 0);
    orphan();
    EXPECT_EVENTS("base a? a! b!");
    letters['a'].in_filter = closes_its_passive;
    orphan();
    EXPECT_EVENTS("base a?");
    orphan();
    EXPECT_EVENTS("");
    end();
}

static void frames_of_a_raw_monitor_have_events_too(void)
{
    uint8_t frame[60] = {0};
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    int raw = hook_monitor.socket(w.m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW);
    EXPECT_EQ(w_register(raw, a, MOS_HK_RCV, heard), -EINVAL);
    EXPECT_EQ(w_register(raw, a, MOS_NULL, heard), 0);
    EXPECT_EQ(w_register(passive, a, MOS_NULL, heard), -EINVAL);
    w_frame(HOOK_IN, frame, sizeof(frame));
    EXPECT_EVENTS("a? a!");
    EXPECT_EQ(w_register(raw, MOS_ON_PKT_IN, MOS_NULL, base), 0);
    w_frame(HOOK_OUT, frame, sizeof(frame));
    EXPECT_EVENTS("base a? a!");
    end();
}

/* ---- raised ---------------------------------------------------------------------------------- */

static void one_filter_tells_several_apart(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN);
    event_t b = alloc('b', a), c = alloc('c', a), d = alloc('d', a);
    on(b, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    on(d, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("a?");
    letters['a'].raises[0] = c;
    packet();
    EXPECT_EVENTS("a? c!");
    letters['a'].raises[0] = d; /* the order of raising is another */
    letters['a'].raises[1] = b;
    packet();
    EXPECT_EVENTS("a? b! d!");
    letters['a'].raises[0] = 0; /* what was raised then is over */
    packet();
    EXPECT_EVENTS("a?");
    end();
}

static void raised_twice_it_fires_once(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a), c = alloc('c', a);
    on(a, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    letters['a'].raises[0] = letters['a'].raises[2] = letters['a'].calls_for[0] = b;
    letters['a'].raises[1] = c;
    packet();
    EXPECT_EVENTS("a? a! b! c!");
    end();
}

static void siblings_keep_the_order_of_definition(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a), c = define('c', a);
    event_t d = alloc('d', a), e = alloc('e', a), f = define('f', a), g = alloc('g', a);
    for (event_t ev = b; ev <= g; ev++)
        on(ev, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("a? c? c! f? f!");
    letters['a'].raises[0] = e;
    packet();
    EXPECT_EVENTS("a? c? c! e! f? f!");
    letters['a'].raises[0] = g;
    letters['a'].raises[1] = d;
    letters['a'].raises[2] = b;
    packet();
    EXPECT_EVENTS("a? b! c? c! d! f? f! g!");
    EXPECT_EQ(w_unregister(sock, f, MOS_HK_RCV), 0);
    EXPECT_EQ(w_unregister(sock, c, MOS_HK_RCV), 0);
    packet();
    EXPECT_EVENTS("a? b! d! g!");
    end();
}

static void what_is_below_a_raised_event(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a), c = define('c', b);
    event_t d = alloc('d', b), e = define('e', a);
    on(c, MOS_HK_RCV);
    on(d, MOS_HK_RCV);
    on(e, MOS_HK_RCV);
    packet();
    EXPECT_EVENTS("a? e? e!");
    letters['a'].raises[0] = b; /* which itself has no callback, so nobody raises d */
    packet();
    EXPECT_EVENTS("a? c? c! e? e!");
    on(b, MOS_HK_RCV);
    letters['b'].calls_for[0] = d;
    packet();
    EXPECT_EVENTS("a? b! c? c! d! e? e!");
    end();
}

static void by_the_callback_of_the_parent(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a), c = alloc('c', MOS_ON_PKT_IN);
    on(a, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, base), 0);
    letters['a'].calls_for[0] = b;
    base_raises = c;
    packet();
    EXPECT_EVENTS("base a? a! b! c!");
    end();
}

static void try_wrong_ones(int s)
{
    (void)s;
    EXPECT_EQ(user_event_raise(w.m, letters['b'].id), 0);
    EXPECT_EQ(user_event_raise(w.m, letters['a'].id), -EINVAL); /* itself */
    EXPECT_EQ(user_event_raise(w.m, letters['c'].id), -EINVAL); /* it has a filter */
    EXPECT_EQ(user_event_raise(w.m, letters['d'].id), -EINVAL); /* another's child */
    EXPECT_EQ(user_event_raise(w.m, letters['e'].id), -EINVAL); /* a grandchild */
    EXPECT_EQ(user_event_raise(w.m, letters['f'].id), -EINVAL); /* of another root */
    EXPECT_EQ(user_event_raise(w.m, MOS_ON_PKT_IN), -EINVAL);
    EXPECT_EQ(user_event_raise(w.m, 0), -EINVAL);
    EXPECT_EQ(user_event_raise(w.m, UINT64_MAX), -EINVAL);
}

static void only_children_of_what_is_running(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a);
    on(a, MOS_HK_RCV);
    on(b, MOS_HK_RCV);
    on(define('c', a), MOS_HK_RCV);
    on(alloc('d', MOS_ON_PKT_IN), MOS_HK_RCV);
    on(alloc('e', b), MOS_HK_RCV);
    on(alloc('f', MOS_ON_CONN_END), MOS_HK_RCV);
    EXPECT_EQ(user_event_raise(w.m, b), -EPERM); /* nothing is running */
    letters['a'].in_filter = try_wrong_ones;
    packet();
    EXPECT_EVENTS("a? a! b! c? c!");
    letters['a'].in_filter = NULL;
    letters['a'].in_callback = try_wrong_ones;
    packet();
    EXPECT_EVENTS("a? a! b! c? c!");
    EXPECT_EQ(user_event_raise(w.m, b), -EPERM);
    end();
}

static void base_tries_wrong_ones(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    base(ctx, s, side, ev, arg);
    EXPECT_EQ(user_event_raise(w.m, letters['b'].id), -EINVAL);
    EXPECT_EQ(user_event_raise(w.m, letters['f'].id), -EINVAL);
    EXPECT_EQ(user_event_raise(w.m, letters['d'].id), 0); /* nobody asked for it */
}

static void nobody_asked_for_it(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a);
    alloc('d', MOS_ON_PKT_IN);
    alloc('f', MOS_ON_CONN_END);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, base_tries_wrong_ones), 0);
    packet();
    EXPECT_EVENTS("base");
    on(a, MOS_HK_RCV);
    letters['a'].raises[0] = b;
    packet();
    EXPECT_EVENTS("base a? a!");
    end();
}

static void each_monitor_raises_its_own(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a);
    int second = w_monitor(MOS_ON_CONN_END);
    EXPECT_EQ(w_register(passive, b, MOS_HK_RCV, heard), 0);
    EXPECT_EQ(w_register(passive, a, MOS_HK_RCV, heard), 0);
    EXPECT_EQ(w_register(second, b, MOS_HK_RCV, another), 0);
    w_die(HOOK_END_FIN);
    w_accept();
    w.text_len = 0;
    letters['a'].calls_for[0] = b; /* the second one has no callback there that could */
    packet();
    EXPECT_EVENTS("a? a! b! a?");
    end();
}

/* A callback that writes makes the endpoint tell an overrun inside it. */
static void overrun_inside(int s)
{
    (void)s;
    w.hooks->error(w.m, w.f.handle, HOOK_OVERRUN, false, 0, 3);
    EXPECT_EQ(user_event_raise(w.m, letters['c'].id), 0); /* its own goes on */
}

static void a_dispatch_inside_a_dispatch(void)
{
    begin();
    event_t a = define('a', MOS_ON_PKT_IN), b = alloc('b', a), c = alloc('c', a);
    event_t d = define('d', MOS_ON_ERROR), e = alloc('e', d);
    on(b, MOS_HK_RCV);
    on(c, MOS_HK_RCV);
    on(e, MOS_NULL);
    w_write("abc");
    OUT(.flags = TCP_ACK, .data = "abc");
    letters['a'].raises[0] = b;
    letters['a'].in_filter = overrun_inside;
    letters['d'].raises[0] = e;
    w.text_len = 0;
    packet();
    EXPECT_EVENTS("a? d? e! b! c!");
    end();
}

enum { MANY = 1000 };
static event_t many[MANY];
static unsigned n_raised, n_heard;

static bool raises_many(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)s, (void)side, (void)ev, (void)arg;
    for (unsigned i = 0; i < MANY; i++) {
        int rc = user_event_raise(w.m, many[(i * 7) % MANY]);
        CU_ASSERT(rc == 0 || rc == -ENOMEM);
        n_raised += rc == 0;
    }
    return true;
}

static void hears_in_order(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)s, (void)side, (void)arg;
    static event_t last;
    CU_ASSERT(n_heard == 0 || ev > last);
    last = ev;
    n_heard++;
}

static void many_are_raised_also_without_memory(void)
{
    begin();
    event_t a = mtcp_define_event(MOS_ON_PKT_IN, raises_many, NULL);
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = mtcp_alloc_event(a);
        EXPECT_EQ(w_register(sock, many[i], MOS_HK_RCV, hears_in_order), 0);
    }
    n_raised = n_heard = 0;
    mem_set_limit(w.mem, 1);
    packet();
    CU_ASSERT(n_raised == n_heard && n_raised < MANY);
    mem_set_limit(w.mem, 0);
    n_raised = n_heard = 0;
    packet();
    EXPECT_EQ(n_raised, MANY);
    EXPECT_EQ(n_heard, MANY);
    end();
}

/* ---- any forest against a plain walk ----------------------------------------------------------*/

enum { N_EV = 24, N_MON = 2, N_PLACES = 3 };

static const struct {
    event_t root;
    int hook, side;
} places[N_PLACES] = {
    {MOS_ON_PKT_IN, MOS_HK_SND, MOS_SIDE_CLI},
    {MOS_ON_PKT_IN, MOS_HK_RCV, MOS_SIDE_SVR},
    {MOS_ON_CONN_NEW_DATA, MOS_NULL, MOS_SIDE_SVR},
};

static struct plain {
    struct rng rng;
    uint64_t salt; /* of the answers; another for each packet */
    unsigned n;
    event_t id[N_EV];
    int parent[N_EV]; /* -1: the root */
    event_t root[N_EV];
    bool is_alloc[N_EV];
    bool has[N_MON][N_PLACES][N_EV + 1]; /* a callback; the last: the root's */
    int sock[N_MON];
    char want[W_TEXT];
    size_t want_len;
    bool raised[N_EV];
} p;

/* What event i (-1: the root) does here. */
static bool answers(int i, int side)
{
    return hash_siphash13(&(struct hash_key){p.salt, (uint64_t)side}, &i, sizeof(i)) % 4 != 0;
}

static bool raises(int i, int side, bool in_filter)
{
    int what[2] = {i, in_filter};
    return hash_siphash13(&(struct hash_key){p.salt, (uint64_t)side}, what, sizeof(what)) % 3 == 0;
}

static int index_of(event_t ev)
{
    for (unsigned i = 0; i < p.n; i++)
        if (p.id[i] == ev)
            return (int)i;
    return -1;
}

static void raise_some(int parent, event_t root, int side, bool in_filter)
{
    for (unsigned i = 0; i < p.n; i++)
        if (p.is_alloc[i] && p.parent[i] == parent && p.root[i] == root &&
            raises((int)i, side, in_filter))
            EXPECT_EQ(user_event_raise(w.m, p.id[i]), 0);
}

static bool plain_filter(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    int i = index_of(ev);
    (void)ctx, (void)s, (void)arg;
    w_say("%d? ", i);
    raise_some(i, p.root[i], side, true);
    return answers(i, side);
}

static void plain_cb(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    int i = index_of(ev);
    (void)ctx, (void)s, (void)arg;
    w_say("%d! ", i);
    raise_some(i, i < 0 ? ev : p.root[i], side, false);
}

static void plain_define(void)
{
    unsigned i = p.n++;
    p.parent[i] = rng_below(&p.rng, 3) && i ? (int)rng_below(&p.rng, i) : -1;
    p.root[i] = p.parent[i] >= 0            ? p.root[p.parent[i]]
                : rng_below(&p.rng, 3) == 0 ? MOS_ON_CONN_NEW_DATA
                                            : MOS_ON_PKT_IN;
    event_t of = p.parent[i] >= 0 ? p.id[p.parent[i]] : p.root[i];
    p.is_alloc[i] = rng_below(&p.rng, 3) == 0;
    uint64_t unique = rng_u64(&p.rng);
    p.id[i] = p.is_alloc[i]
                  ? mtcp_alloc_event(of)
                  : mtcp_define_event(of, plain_filter, &(filter_arg_t){&unique, sizeof(unique)});
    CU_ASSERT_FATAL(p.id[i] != 0);
}

static void plain_register(int s, unsigned mon)
{
    unsigned place = rng_below(&p.rng, N_PLACES), i = rng_below(&p.rng, N_EV + 1);
    event_t ev = i < p.n ? p.id[i] : places[place].root;
    if (i < p.n && p.root[i] != places[place].root)
        return;
    bool *has = &p.has[mon][place][i < p.n ? i : N_EV];
    if (rng_below(&p.rng, 5) < 3) {
        EXPECT_EQ(w_register(s, ev, places[place].hook, plain_cb), 0);
        *has = true;
    } else {
        EXPECT_EQ(w_unregister(s, ev, places[place].hook), *has ? 0 : -ENOENT);
        *has = false;
    }
}

static void want(const char *fmt, int i)
{
    p.want_len += (size_t)snprintf(p.want + p.want_len, sizeof(p.want) - p.want_len, fmt, i);
}

static bool is_needed(const bool *has, int i)
{
    if (has[i])
        return true;
    for (unsigned k = 0; k < p.n; k++)
        if (p.parent[k] == i && is_needed(has, (int)k))
            return true;
    return false;
}

/* The walk that the dispatch has to agree with: children of `parent` in order of definition. */
static void plain_walk(const bool *has, unsigned place, int parent)
{
    int side = places[place].side;
    bool called = has[parent < 0 ? N_EV : parent];
    for (int i = 0; i < (int)p.n; i++) {
        if (p.parent[i] != parent || p.root[i] != places[place].root || !is_needed(has, i))
            continue;
        bool asked = parent >= 0 && !p.is_alloc[parent];
        if (p.is_alloc[i] &&
            !((asked && raises(i, side, true)) || (called && raises(i, side, false))))
            continue;
        if (!p.is_alloc[i])
            want("%d? ", i);
        if (!p.is_alloc[i] && !answers(i, side))
            continue;
        if (has[i])
            want("%d! ", i);
        plain_walk(has, place, i);
    }
}

static void plain_expect(unsigned place)
{
    for (unsigned mon = 0; mon < N_MON; mon++) {
        if (p.has[mon][place][N_EV])
            want("%d! ", -1);
        plain_walk(p.has[mon][place], place, -1);
    }
}

static void plain_begin(uint64_t seed)
{
    memset(&p, 0, sizeof(p));
    rng_init(&p.rng, seed);
    w_begin(false);
    for (unsigned mon = 0; mon < N_MON; mon++) {
        int s = w_monitor(MOS_ON_CONN_END);
        for (unsigned i = rng_below(&p.rng, 8); i > 0; i--)
            plain_register(s, mon);
    }
    IN(.flags = TCP_SYN); /* the packets of which are not looked at */
    OUT(.flags = TCP_SYN | TCP_ACK);
    w_promote();
    IN(.flags = TCP_ACK, .to = {MOS_TCPS_ESTABLISHED});
    const struct mon_conn *c = w.f.handle;
    p.sock[0] = c->watches->sock;
    p.sock[1] = c->watches->next->sock;
}

static bool plain_packet(int64_t off)
{
    p.salt = rng_u64(&p.rng);
    w.text_len = p.want_len = 0;
    w.text[0] = p.want[0] = '\0';
    plain_expect(0);
    plain_expect(1);
    plain_expect(2);
    IN(.flags = TCP_ACK, .off = off, .data = "x");
    w_turn();
    return strcmp(w.text, p.want) == 0;
}

static void any_forest_agrees_with_a_plain_walk(void)
{
    memset(letters, 0, sizeof(letters));
    for (unsigned round = 0; round < 300; round++) {
        plain_begin(test_seed() + round);
        for (int64_t off = 0; off < 20; off++) {
            while (p.n < N_EV && rng_below(&p.rng, 3))
                plain_define();
            for (unsigned i = rng_below(&p.rng, 10); i > 0; i--) {
                unsigned mon = rng_below(&p.rng, N_MON);
                plain_register(p.sock[mon], mon);
            }
            if (!plain_packet(off)) {
                fprintf(stderr, "\nround %u packet %d:\n  %s\nexpected\n  %s\n", round, (int)off,
                        w.text, p.want);
                CU_FAIL_FATAL("not as the plain walk");
            }
        }
        CU_ASSERT(w.m->sets.n <= 4);
        end();
    }
}

TEST_SUITE(
    mos_events, TEST_CASE(fires_when_its_base_does_and_its_filter_is_true),
    TEST_CASE(any_hook_point_where_its_root_fires), TEST_CASE(an_active_socket_has_none_of_orphans),
    TEST_CASE(registered_and_taken_back), TEST_CASE(a_callback_is_replaced),
    TEST_CASE(a_passive_socket_registers_for_later_connections),
    TEST_CASE(it_alone_makes_a_connection_monitored), TEST_CASE(orphans_alone_do_not),
    TEST_CASE(a_filter_is_asked_once_for_all_below_it), TEST_CASE(once_at_each_hook_point_and_side),
    TEST_CASE(once_for_each_monitor), TEST_CASE(nobody_below_nobody_asks),
    TEST_CASE(false_leaves_out_all_below), TEST_CASE(base_first_then_in_order_of_definition),
    TEST_CASE(a_long_chain), TEST_CASE(both_get_the_event_its_arg_and_the_packet),
    TEST_CASE(a_filter_can_drop_the_packet), TEST_CASE(the_error_is_told_in_a_filter),
    TEST_CASE(filters_and_callbacks_peek), TEST_CASE(filters_set_options),
    TEST_CASE(changes_hold_from_the_next_dispatch_on),
    TEST_CASE(stopped_in_a_filter_nothing_is_called),
    TEST_CASE(stopped_in_a_callback_nothing_below_is_asked),
    TEST_CASE(stopped_by_the_built_in_event), TEST_CASE(orphans_have_events_too),
    TEST_CASE(frames_of_a_raw_monitor_have_events_too), TEST_CASE(one_filter_tells_several_apart),
    TEST_CASE(raised_twice_it_fires_once), TEST_CASE(siblings_keep_the_order_of_definition),
    TEST_CASE(what_is_below_a_raised_event), TEST_CASE(by_the_callback_of_the_parent),
    TEST_CASE(only_children_of_what_is_running), TEST_CASE(nobody_asked_for_it),
    TEST_CASE(each_monitor_raises_its_own), TEST_CASE(a_dispatch_inside_a_dispatch),
    TEST_CASE(many_are_raised_also_without_memory), TEST_CASE(any_forest_agrees_with_a_plain_walk));
