/* What a monitor is told by net/, in which order, and what its word does. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/wire/csum.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A monitor that writes down what it hears and says what it was told to say. */
struct tape {
    struct world *w;
    char text[4096];
    size_t len;
    struct flow *flow;
    unsigned n_born;
    bool ignores;          /* wants no connection */
    const char *drops;     /* the call that answers DROP: "born", "pkt IN A", ... */
    const char *resets;    /* the call in which it resets the connection */
    const char *detaches;  /* ... or wants no more of it */
    const char *unlistens; /* ... or closes the listener, whose memory is used for other things */
    struct net_listener *listener;
    const char *changes; /* the call in which it changes the packet, by writing at one place */
    uint32_t change_at;  /* from the start of the TCP header */
    const char *change_to;
    struct packet changed;
    bool due; /* the device sums what was changed */
};

static void note(struct tape *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct tape *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
    CU_ASSERT_FATAL(t->len < sizeof(t->text));
}

/* The tape so far, which then begins anew. */
static void expect_tape_at(struct tape *t, const char *want, const char *file, int line)
{
    if (strcmp(t->text, want) != 0)
        fprintf(stderr, "\n%s:%d: heard    %s\n            expected %s\n", file, line, t->text,
                want);
    CU_assertImplementation(strcmp(t->text, want) == 0, (unsigned)line, "the tape", file, "",
                            CU_FALSE);
    t->len = 0;
    t->text[0] = 0;
}
#define expect_tape(t, want) expect_tape_at(t, want, __FILE__, __LINE__)

static const char *flags_of(const struct hook_seg *s)
{
    switch (s->seg->flags & ~TCP_PSH) {
    case TCP_SYN:
        return "S";
    case TCP_SYN | TCP_ACK:
        return "SA";
    case TCP_ACK:
        return "A";
    case TCP_FIN | TCP_ACK:
        return "FA";
    case TCP_RST:
        return "R";
    case TCP_RST | TCP_ACK:
        return "RA";
    }
    return "?";
}

static void unlisten_in(struct tape *t, const char *call)
{
    if (!t->unlistens || strcmp(t->unlistens, call) != 0)
        return;
    t->unlistens = NULL;
    t->w->net.env.user_depth++;
    net_unlisten(&t->w->net, t->listener);
    memset(t->listener, 0xee, sizeof(*t->listener));
    t->w->net.env.user_depth--;
}

/* Writes the call down and does what is to be done in it. */
static enum hook_verdict heard(struct tape *t, const char *call, const struct hook_seg *s)
{
    char what[32];
    snprintf(what, sizeof(what), "%s %s %s", call, s->dir == HOOK_IN ? "IN" : "OUT", flags_of(s));
    note(t, "%s%s; ", what, s->dir == HOOK_IN && !s->accepted ? "!" : "");
    EXPECT_EQ(s->now_us, t->w->net.env.now_us);
    EXPECT_EQ(s->frame == NULL, s->is_rebuilt);
    CU_ASSERT(s->frame_room >= s->frame_len);
    if (t->resets && strcmp(t->resets, what) == 0) {
        t->w->net.env.user_depth++;
        net_flow_reset(&t->w->net, t->flow);
        t->w->net.env.user_depth--;
    }
    unlisten_in(t, what);
    if (t->detaches && strcmp(t->detaches, what) == 0)
        net_flow_detach(t->flow);
    return t->drops && strcmp(t->drops, what) == 0 ? HOOK_DROP : HOOK_PASS;
}

/* As a monitor does it: in place, and parsed again. */
static void change(struct tape *t, struct hook_seg *s)
{
    memcpy(s->frame + s->l4_off + t->change_at, t->change_to, strlen(t->change_to));
    EXPECT_EQ(packet_parse(&t->changed, s->frame, s->frame_len, PACKET_CSUM_GOOD), 0);
    s->seg = &t->changed.seg;
    EXPECT_EQ(s->ip_csum_due, s->tcp_csum_due);
    t->due = s->ip_csum_due;
}

static enum hook_verdict asked(struct tape *t, const char *call, struct hook_seg *s)
{
    char what[32];
    enum hook_verdict v = heard(t, call, s);
    snprintf(what, sizeof(what), "%s %s %s", call, s->dir == HOOK_IN ? "IN" : "OUT", flags_of(s));
    if (!t->changes || strcmp(t->changes, what) != 0)
        return v;
    change(t, s);
    return HOOK_CHANGED;
}

static enum hook_verdict on_born(void *mon, struct hook_seg *s, struct flow *f, void **handle)
{
    struct tape *t = mon;
    t->flow = f;
    t->n_born++;
    CU_ASSERT(s->has_off && s->off == -1);
    *handle = t->ignores ? NULL : t;
    return asked(t, "born", s);
}

static enum hook_verdict on_pkt(void *mon, void *handle, struct hook_seg *s)
{
    CU_ASSERT_PTR_EQUAL(mon, handle);
    return asked(mon, "pkt", s);
}

static void on_done(void *mon, void *handle, const struct hook_seg *s)
{
    CU_ASSERT_PTR_EQUAL(mon, handle);
    (void)heard(mon, "done", s);
}

static void on_data(void *mon, void *handle, enum hook_dir dir)
{
    CU_ASSERT_PTR_EQUAL(mon, handle);
    note(mon, "data %s; ", dir == HOOK_IN ? "IN" : "OUT");
}

static void on_state(void *mon, void *handle, uint8_t from, uint8_t to)
{
    CU_ASSERT_PTR_EQUAL(mon, handle);
    note(mon, "%u>%u; ", from, to);
}

static void on_error(void *mon, void *handle, enum hook_error kind, bool is_rcv, uint64_t from,
                     uint64_t to)
{
    struct tape *t = handle;
    CU_ASSERT_PTR_EQUAL(mon, handle);
    note(t, "error %d %s %llu-%llu; ", (int)kind, is_rcv ? "rcv" : "snd", (unsigned long long)from,
         (unsigned long long)to);
}

static void on_moved(void *mon, void *handle, struct flow *f)
{
    struct tape *t = handle;
    CU_ASSERT_PTR_EQUAL(mon, handle);
    t->flow = f;
    note(t, "moved; ");
    unlisten_in(t, "moved");
}

static void on_dying(void *mon, void *handle, enum hook_end reason)
{
    struct tape *t = handle;
    struct tcp_flow_view v;
    CU_ASSERT_PTR_EQUAL(mon, handle);
    if (t->n_born == 1) { /* readable to the end */
        tcp_flow_view(t->flow, &v);
        CU_ASSERT(v.tuple.local_port != 0);
    }
    note(t, "dying %d; ", (int)reason);
    unlisten_in(t, "dying");
}

static void on_orphan(void *mon, const struct hook_seg *s, const struct packet *p)
{
    EXPECT_EQ(s->seg != NULL, p->kind == PACKET_TCP);
    note(mon, "orphan %d; ", (int)p->kind);
}

static void on_turn(void *mon, enum hook_phase phase)
{
    (void)mon, (void)phase;
}

static const struct tcp_hooks hooks = {.born = on_born,
                                       .pkt = on_pkt,
                                       .pkt_done = on_done,
                                       .data = on_data,
                                       .state = on_state,
                                       .error = on_error,
                                       .moved = on_moved,
                                       .dying = on_dying,
                                       .orphan = on_orphan,
                                       .turn = on_turn};

static void tape_up(struct tape *t, struct world *w, const struct world_opts *o)
{
    world_up(w, o);
    memset(t, 0, sizeof(*t));
    t->w = w;
    w->net.env.hooks = &hooks;
    w->net.env.mon = t;
}

/* ---- orders --------------------------------------------------------------------------------- */

static void a_passive_handshake(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    expect_tape(&t, "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; ");
    uint32_t iss = world_expect(&w, 4000, TCP_SYN | TCP_ACK)->seq.v;
    world_syn(&w, 4000, 1000); /* again: not born again */
    world_turn(&w);
    expect_tape(&t, "pkt IN S!; done IN S!; pkt OUT SA; done OUT SA; ");
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    expect_tape(&t, "pkt IN A; moved; 3>4; done IN A; ");
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_turn(&w);
    expect_tape(&t, "pkt IN R; 4>0; done IN R; dying 2; ");
    EXPECT_EQ(t.n_born, 1);
    world_down(&w);
    expect_tape(&t, "");
}

static void an_active_handshake(void)
{
    struct world w;
    struct tape t;
    tape_up(&t, &w, NULL);
    struct tcp_conn *c = world_connect(&w);
    expect_tape(&t, "born OUT S; pkt OUT S; done OUT S; ");
    struct seg s = {.tuple = {.local_port = 7, .remote_port = c->tuple.local_port},
                    .flags = TCP_SYN | TCP_ACK,
                    .seq = seq_make(5000),
                    .ack = seq_add(c->iss, 1)};
    world_in(&w, &s);
    world_turn(&w);
    expect_tape(&t, "pkt IN SA; 2>4; done IN SA; pkt OUT A; done OUT A; ");
    world_down(&w);
    expect_tape(&t, "4>0; dying 5; ");
}

static void a_retransmitted_syn_is_not_born_again(void)
{
    struct world w;
    struct tape t;
    tape_up(&t, &w, NULL);
    (void)world_connect(&w);
    expect_tape(&t, "born OUT S; pkt OUT S; done OUT S; ");
    world_advance(&w, 1100000);
    expect_tape(&t, "pkt OUT S; done OUT S; ");
    world_down(&w);
}

static void what_nobody_wants_is_told_once(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    t.ignores = true;
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_turn(&w);
    expect_tape(&t, "born IN S; ");
    world_down(&w);
}

static void orphans_are_told(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_seg(&w, 4000, TCP_ACK, 1, 1);
    world_arp(&w, 5, false, "10.0.0.1");
    world_turn(&w);
    expect_tape(&t, "orphan 0; orphan 1; ");
    world_listen(&w, &l, 1);
    world_syn(&w, 4000, 1000);
    world_syn(&w, 4001, 1000); /* refused */
    t.ignores = true;
    world_turn(&w);
    expect_tape(&t, "born IN S; orphan 0; ");
    world_down(&w);
}

/* ---- verdicts ------------------------------------------------------------------------------- */

static void a_dropped_syn_never_was(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    t.drops = "born IN S";
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    expect_tape(&t, "born IN S; ");
    world_silence(&w);
    EXPECT_EQ(l.n_half_open, 0);
    EXPECT_EQ(w.net.stats.hook_drops, 1);
    t.drops = NULL;
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    EXPECT_EQ(t.n_born, 2);
    world_down(&w);
}

static void a_dropped_syn_does_not_leave(void)
{
    struct world w;
    struct tape t;
    int err;
    struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 7};
    tape_up(&t, &w, NULL);
    t.drops = "born OUT S";
    struct tcp_conn *c = net_connect_prepare(&w.net, &local, &remote, &err);
    c->sock = 1;
    net_connect_start(&w.net, c);
    world_turn(&w);
    world_silence(&w);
    expect_tape(&t, "born OUT S; ");
    CU_ASSERT_PTR_NULL(c->mon);
    world_advance(&w, 500000); /* not before the timer */
    expect_tape(&t, "");
    t.drops = NULL;
    world_advance(&w, 1000000);
    expect_tape(&t, "born OUT S; pkt OUT S; done OUT S; ");
    (void)world_expect(&w, 7, TCP_SYN);
    world_down(&w);
}

static void a_dropped_segment_moves_nothing(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_ACK | TCP_PSH,
                    .seq = seq_make(1001),
                    .ack = seq_add(c->iss, 1),
                    .payload = (const uint8_t *)"hello",
                    .len = 5};
    t.len = 0;
    t.drops = "pkt IN A";
    world_in(&w, &s);
    world_turn(&w);
    expect_tape(&t, "pkt IN A; ");
    EXPECT_EQ(tcp_readable(c), 0);
    world_silence(&w);
    t.drops = NULL;
    world_in(&w, &s);
    world_turn(&w);
    EXPECT_EQ(tcp_readable(c), 5);
    world_down(&w);
}

/* Told, with its refusal. */
static void a_refused_segment_is_marked(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    t.len = 0;
    world_seg(&w, 4000, TCP_ACK, 1001 + 9999999, c->iss.v + 1);
    world_turn(&w);
    expect_tape(&t, "pkt IN A!; done IN A!; pkt OUT A; done OUT A; ");
    world_down(&w);
}

/* ---- errors --------------------------------------------------------------------------------- */

/* Bytes of the peer's, from an offset of its stream on. */
static void bytes_in(struct world *w, const struct tcp_conn *c, uint32_t off, const char *bytes)
{
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_ACK,
                    .seq = seq_make(1001 + off),
                    .ack = seq_add(c->iss, 1),
                    .payload = (const uint8_t *)bytes,
                    .len = (uint32_t)strlen(bytes)};
    world_in(w, &s);
    world_turn(w);
}

/* Each between the verdict and the receiver's turn, with the bytes that it is about. */
static void errors_of_what_comes_in(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    char want[256];
    tape_up(&t, &w, NULL);
    w.net.env.params.rcvbuf = w.net.env.params.rcvbuf_max = 8192;
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    t.len = 0;
    uint32_t edge = (uint32_t)stream_edge(&c->rcv);
    bytes_in(&w, c, edge - 2, "abcde");
    snprintf(want, sizeof(want), "pkt IN A; error 2 rcv %u-%u; done IN A; pkt OUT A; done OUT A; ",
             edge, edge + 3);
    expect_tape(&t, want);
    bytes_in(&w, c, edge + 1, "abc"); /* all of it: refused */
    snprintf(want, sizeof(want),
             "pkt IN A!; error 2 rcv %u-%u; done IN A!; pkt OUT A; done OUT A; ", edge + 1,
             edge + 4);
    expect_tape(&t, want);
    bytes_in(&w, c, 10, "klm");
    expect_tape(&t, "pkt IN A; done IN A; pkt OUT A; done OUT A; ");
    bytes_in(&w, c, 9, "jkl"); /* the same */
    expect_tape(&t, "pkt IN A; done IN A; pkt OUT A; done OUT A; ");
    bytes_in(&w, c, 9, "jkX");
    expect_tape(&t, "pkt IN A; error 3 rcv 9-12; done IN A; pkt OUT A; done OUT A; ");
    world_down(&w);
}

/* Bytes that nobody has peeked go with the buffer, at the end of the flush. */
static void errors_of_what_is_given_back(void)
{
    char buf[8];
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    t.len = 0;
    bytes_in(&w, c, 0, "hello");
    expect_tape(&t, "pkt IN A; done IN A; pkt OUT A; done OUT A; ");
    EXPECT_EQ(stream_copy(&c->rcv, 0, buf, sizeof(buf)), 5);
    tcp_consumed(&w.net.env, c, 5);
    world_turn(&w);
    expect_tape(&t, "error 1 rcv 0-5; ");
    EXPECT_EQ(tcp_send(&w.net.env, c, "bye", 3), 3);
    world_turn(&w);
    expect_tape(&t, "pkt OUT A; done OUT A; ");
    world_seg(&w, 4000, TCP_ACK, 1006, c->iss.v + 4);
    world_turn(&w);
    expect_tape(&t, "pkt IN A; done IN A; error 1 snd 0-3; ");
    world_down(&w);
}

/* A connection whose monitor wants to be spared. */
static struct tcp_conn *spare_up(struct tape *t, struct world *w, struct net_listener *l,
                                 unsigned what)
{
    tape_up(t, w, NULL);
    world_listen(w, l, 10);
    world_handshake(w, 4000);
    struct tcp_conn *c = net_accept(&w->net, l);
    c->sock = 1;
    EXPECT_EQ(c->flow.spared, 0); /* a new record spares nothing */
    net_flow_spare(&c->flow, what);
    t->len = 0;
    t->text[0] = '\0';
    return c;
}

static void only_the_data_of_spared_segments_is_told(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    struct tcp_conn *c = spare_up(&t, &w, &l, HOOK_SPARE_SEGS);
    bytes_in(&w, c, 0, "hello");
    expect_tape(&t, "data IN; ");
    EXPECT_EQ(stream_next(&c->rcv), 5);
    tcp_consumed(&w.net.env, c, 5);
    world_turn(&w);
    expect_tape(&t, "error 1 rcv 0-5; ");
    EXPECT_EQ(tcp_send(&w.net.env, c, "bye", 3), 3);
    world_turn(&w);
    expect_tape(&t, "data OUT; ");
    world_seg(&w, 4000, TCP_ACK, 1006, c->iss.v + 4);
    world_turn(&w);
    expect_tape(&t, "error 1 snd 0-3; ");
    world_down(&w);
}

static void what_moves_a_state_is_not_spared(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    struct tcp_conn *c = spare_up(&t, &w, &l, HOOK_SPARE_SEGS | HOOK_SPARE_DATA);
    bytes_in(&w, c, 0, "ab");
    tcp_consumed(&w.net.env, c, 2);
    world_turn(&w);
    expect_tape(&t, "");
    world_seg(&w, 4000, TCP_FIN | TCP_ACK, 1001 + 4, c->iss.v + 1); /* too early */
    world_turn(&w);
    expect_tape(&t, "pkt IN FA; done IN FA; pkt OUT A; done OUT A; ");
    bytes_in(&w, c, 2, "cd"); /* its turn comes */
    expect_tape(&t, "pkt IN A; 4>7; done IN A; pkt OUT A; done OUT A; ");
    world_down(&w);
}

static void the_last_ack_of_a_handshake_can_be_dropped(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    t.drops = "pkt IN A";
    world_handshake(&w, 4000);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    EXPECT_EQ(l.n_accept, 0);
    world_down(&w);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* A connection of port 4000, whose next packet is changed so. */
static struct tcp_conn *up_changing(struct tape *t, struct world *w, struct net_listener *l,
                                    uint32_t at, const char *to)
{
    tape_up(t, w, NULL);
    world_listen(w, l, 10);
    world_handshake(w, 4000);
    struct tcp_conn *c = net_accept(&w->net, l);
    c->sock = 1;
    t->len = 0;
    t->changes = "pkt IN A";
    t->change_at = at;
    t->change_to = to;
    return c;
}

static struct seg hello(const struct tcp_conn *c)
{
    return (struct seg){.tuple.local_port = 4000,
                        .flags = TCP_ACK | TCP_PSH,
                        .seq = seq_make(1001),
                        .ack = seq_add(c->iss, 1),
                        .payload = (const uint8_t *)"hello",
                        .len = 5};
}

static void expect_bytes(const struct tcp_conn *c, const char *want, uint32_t len)
{
    char got[64];
    EXPECT_EQ(tcp_readable(c), len);
    CU_ASSERT_FATAL(len <= sizeof(got));
    EXPECT_EQ(stream_copy(&c->rcv, 0, got, len), len);
    EXPECT_EQ(memcmp(got, want, len), 0);
}

static void changed_payload_is_what_arrives(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    const struct tcp_conn *c = up_changing(&t, &w, &l, 20, "HE");
    struct seg s = hello(c);
    world_in(&w, &s);
    w.dev.rx[w.dev.at_rx]->room = 0; /* a device of somebody's own that does not tell */
    world_turn(&w);
    expect_tape(&t, "pkt IN A; done IN A; pkt OUT A; done OUT A; ");
    expect_bytes(c, "HEllo", 5);
    world_down(&w);
}

/* The window, say. */
static void changed_headers_are_taken(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    const struct tcp_conn *c = up_changing(&t, &w, &l, 14, "\1\2");
    world_seg(&w, 4000, TCP_ACK, 1001, c->iss.v + 1);
    world_turn(&w);
    EXPECT_EQ(c->snd_wnd, 0x102);
    world_down(&w);
}

/* Two fragments: the whole is not in a packet of the device. */
static void fragments_are_changed_as_a_whole(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    const struct tcp_conn *c = up_changing(&t, &w, &l, 20, "HE");
    struct seg s = hello(c);
    world_in(&w, &s);
    struct mtcp_pkt *pkt = w.dev.rx[--w.dev.n_rx];
    uint8_t *ip = pkt->data + 14, part[64];
    uint16_t id_and_rest[2][2] = {{36, 0x2000}, {29, 2}}; /* bytes, flags and offset / 8 */
    for (unsigned i = 0; i < 2; i++) {
        memcpy(part, pkt->data, 34);
        memcpy(part + 34, ip + 20 + i * 16, id_and_rest[i][0] - 20u);
        part[17] = (uint8_t)id_and_rest[i][0];
        part[20] = (uint8_t)(id_and_rest[i][1] >> 8);
        part[21] = (uint8_t)id_and_rest[i][1];
        part[24] = part[25] = 0;
        uint16_t sum = csum_fold(csum_add(0, part + 14, 20));
        memcpy(part + 24, &sum, 2);
        world_in_frame(&w, part, 14u + id_and_rest[i][0], 0);
    }
    free(pkt);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.reassembled, 1);
    expect_tape(&t, "pkt IN A; done IN A; pkt OUT A; done OUT A; ");
    expect_bytes(c, "HEllo", 5);
    world_down(&w);
}

/* The record is that of the SYN as it is now: its MSS, its window. */
static void a_changed_syn_makes_the_record(void)
{
    static const struct {
        uint32_t at;
        const char *to;
        uint16_t mss, wnd;
    } row[] = {{22, "\2\4", 516, 50000}, {14, "\1\2", 1460, 0x102}, {20, "\1\1\1\1", 536, 50000}};
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct world w;
        struct tape t;
        struct net_listener l;
        tape_up(&t, &w, NULL);
        world_listen(&w, &l, 10);
        t.changes = "born IN S";
        t.change_at = row[i].at;
        t.change_to = row[i].to;
        world_syn(&w, 4000, 1000);
        world_turn(&w);
        expect_tape(&t, "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; ");
        const struct tcp_half_open *h = (const void *)world_flow(&w, 4000);
        EXPECT_EQ(h->mss_peer, row[i].mss);
        EXPECT_EQ(h->wnd_peer, row[i].wnd);
        uint32_t iss = world_expect(&w, 4000, TCP_SYN | TCP_ACK)->seq.v;
        t.changes = "pkt IN A"; /* and the ACK that completes the handshake, with its data */
        t.change_at = 20;
        t.change_to = "W";
        struct seg s = {.tuple.local_port = 4000,
                        .flags = TCP_ACK,
                        .seq = seq_make(1001),
                        .ack = seq_make(iss + 1),
                        .payload = (const uint8_t *)"w",
                        .len = 1};
        world_in(&w, &s);
        world_turn(&w);
        struct tcp_conn *c = net_accept(&w.net, &l);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        c->sock = 1;
        expect_bytes(c, "W", 1);
        world_down(&w);
    }
}

/* What goes out is what the monitor made of it, with and without a device that sums. */
static void what_was_changed_leaves(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct world w;
        struct tape t;
        struct world_opts o = {.conf = world_conf};
        o.caps = i ? MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM : 0;
        tape_up(&t, &w, &o);
        t.changes = "born OUT S";
        t.change_at = 20;
        t.change_to = "\2\4\2\1";
        struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 7};
        int err;
        struct tcp_conn *c = net_connect_prepare(&w.net, &local, &remote, &err);
        c->sock = 1;
        net_connect_start(&w.net, c);
        world_turn(&w);
        expect_tape(&t, "born OUT S; pkt OUT S; done OUT S; ");
        EXPECT_EQ(t.due, i != 0);
        const struct mtcp_pkt *pkt = w.dev.tx[w.dev.at_tx];
        EXPECT_EQ(memcmp(pkt->data + 14 + 40, "\2\4\2\1", 4), 0);
        world_down(&w);
    }
}

/* ---- reset and detach ----------------------------------------------------------------------- */

static void resets_in(const char *call, const char *want)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    t.resets = call;
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    const struct packet *p = world_out(&w);
    if (p && (p->seg.flags & TCP_SYN)) {
        world_seg(&w, 4000, TCP_ACK, 1001, p->seg.seq.v + 1);
        world_turn(&w);
        p = world_out(&w);
    }
    world_advance(&w, 10000);
    p = p ? p : world_out(&w);
    CU_ASSERT(p && (p->seg.flags & TCP_RST));
    expect_tape(&t, want);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    world_silence(&w);
    world_down(&w);
}

static void a_monitor_resets_whenever_it_wants(void)
{
    resets_in("born IN S", "born IN S; pkt IN S; 1>3; done IN S; pkt OUT R; done OUT R; dying 7; ");
    resets_in("done IN S", "born IN S; pkt IN S; 1>3; done IN S; pkt OUT R; done OUT R; dying 7; ");
    resets_in("pkt IN A", "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; pkt IN A; "
                          "done IN A; pkt OUT R; done OUT R; dying 7; ");
    resets_in("done IN A",
              "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; pkt IN A; "
              "moved; 3>4; done IN A; pkt OUT RA; 4>0; done OUT RA; dying 7; ");
}

/* The SYN came again: no SYN-ACK any more. */
static void a_reset_comes_before_the_answer(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    t.resets = "done IN S";
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_RST);
    world_silence(&w);
    world_down(&w);
}

/* In the verdict on data: not a byte reaches the application. */
static void a_reset_in_the_verdict_comes_before_the_data(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_ACK | TCP_PSH,
                    .seq = seq_make(1001),
                    .ack = seq_add(c->iss, 1),
                    .payload = (const uint8_t *)"hello",
                    .len = 5};
    t.resets = "pkt IN A";
    world_in(&w, &s);
    world_turn(&w);
    EXPECT_EQ(tcp_readable(c), 0);
    EXPECT_EQ(c->err, ECONNRESET);
    (void)world_expect(&w, 4000, TCP_RST | TCP_ACK);
    net_conn_release(&w.net, c);
    world_down(&w);
}

static void after_detach_nothing_is_told(void)
{
    static const char *const calls[] = {"pkt IN S",    "done IN S", "pkt OUT SA",
                                        "done OUT SA", "pkt IN A",  "done IN A"};
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct world w;
        struct tape t;
        struct net_listener l;
        char want[64];
        tape_up(&t, &w, NULL);
        world_listen(&w, &l, 10);
        t.detaches = calls[i];
        world_handshake(&w, 4000);
        EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
        world_seg(&w, 4000, TCP_RST, 1001, 0);
        world_turn(&w);
        snprintf(want, sizeof(want), "%s; ", calls[i]);
        CU_ASSERT(t.len >= strlen(want));
        CU_ASSERT_STRING_EQUAL(t.text + t.len - strlen(want), want);
        world_down(&w);
    }
}

/* Whenever a monitor's code closes the listener: nothing that is going on falls over it, and
 * nothing stays. */
static void the_listener_may_go_at_any_time(void)
{
    static const char *const calls[] = {"born IN S",  "pkt IN S",    "done IN S",
                                        "pkt OUT SA", "done OUT SA", "pkt IN A",
                                        "moved",      "done IN A",   "dying"};
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct world w;
        struct tape t;
        struct net_listener l;
        tape_up(&t, &w, NULL);
        world_listen(&w, &l, 10);
        t.unlistens = calls[i];
        t.listener = &l;
        world_syn(&w, 4000, 1000);
        world_syn(&w, 4001, 1000);
        world_turn(&w);
        const struct packet *p = world_out(&w);
        if (p && p->kind == PACKET_TCP && (p->seg.flags & TCP_SYN)) {
            uint32_t iss = p->seg.seq.v;
            uint16_t port = p->seg.tuple.local_port;
            world_seg(&w, port, strcmp(calls[i], "dying") ? TCP_ACK : TCP_RST, 1001, iss + 1);
            world_turn(&w);
        }
        world_advance(&w, 100000);
        CU_ASSERT_PTR_NULL(t.unlistens);
        EXPECT_EQ(flow_table_count(w.net.flows), 0);
        EXPECT_EQ(w.net.n_half_open, 0);
        EXPECT_EQ(net_n_conns(&w.net), 0);
        world_down(&w);
    }
}

/* ---- TIME_WAIT ------------------------------------------------------------------------------ */

/* Both sides close, we first; the connection is in TIME_WAIT then. */
static void into_time_wait(struct world *w, struct net_listener *l, uint16_t port)
{
    world_handshake(w, port);
    struct tcp_conn *c = net_accept(&w->net, l);
    c->sock = 1;
    uint32_t iss = c->iss.v;
    tcp_close(&w->net.env, c);
    net_conn_release(&w->net, c);
    world_turn(w);
    (void)world_expect(w, port, TCP_FIN | TCP_ACK);
    world_seg(w, port, TCP_FIN | TCP_ACK, 1001, iss + 2);
    world_turn(w);
    (void)world_expect(w, port, TCP_ACK);
}

static void a_monitored_time_wait_stays_a_connection(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.max_conns = 1;
    tape_up(&t, &w, &o);
    world_listen(&w, &l, 10);
    into_time_wait(&w, &l, 4000);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    EXPECT_EQ(w.net.n_mon_time_wait, 1);
    EXPECT_EQ(net_n_conns(&w.net), 0);
    into_time_wait(&w, &l, 4001); /* takes no other's place */
    EXPECT_EQ(w.net.n_mon_time_wait, 2);
    t.len = 0;
    t.text[0] = 0;
    world_advance(&w, 59900000);
    expect_tape(&t, "");
    world_advance(&w, 300000);
    expect_tape(&t, "10>0; 10>0; dying 1; dying 1; ");
    EXPECT_EQ(w.net.n_mon_time_wait, 0);
    EXPECT_EQ(net_n_conns(&w.net), 0);
    world_down(&w);
}

static void monitored_time_waits_are_bounded(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.max_mon_time_wait = 2;
    tape_up(&t, &w, &o);
    world_listen(&w, &l, 10);
    into_time_wait(&w, &l, 4000);
    into_time_wait(&w, &l, 4001);
    t.len = 0;
    into_time_wait(&w, &l, 4002);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.text, "10>0; ")); /* the oldest */
    CU_ASSERT_PTR_NOT_NULL(strstr(t.text, "dying 6; "));
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    CU_ASSERT_PTR_NOT_NULL(world_flow(&w, 4001));
    EXPECT_EQ(w.net.n_mon_time_wait, 2);
    world_down(&w);
}

/* The context ends: what was closed on both sides has not been aborted. */
static void the_end_of_all_says_how_each_ended(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    into_time_wait(&w, &l, 4000);
    world_handshake(&w, 4001);
    net_accept(&w.net, &l)->sock = 1;
    t.len = 0;
    t.text[0] = 0;
    world_down(&w);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.text, "10>0; dying 1; "));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.text, "4>0; dying 5; "));
}

static void a_new_syn_ends_the_old_connection_first(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    into_time_wait(&w, &l, 4000);
    t.len = 0;
    t.text[0] = 0;
    world_syn(&w, 4000, 500000);
    world_turn(&w);
    expect_tape(&t,
                "10>0; dying 1; born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; ");
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    world_down(&w);
}

/* Whatever comes in TIME_WAIT is first for the monitor to judge, and then counted and answered
 * once. */
static void an_old_syn_is_answered_after_the_verdict(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    tape_up(&t, &w, NULL);
    world_listen(&w, &l, 10);
    into_time_wait(&w, &l, 4000);
    t.len = 0;
    t.text[0] = 0;
    uint64_t segs_in = w.net.env.stats.segs_in;
    t.drops = "pkt IN S";
    world_syn(&w, 4000, 1);
    world_turn(&w);
    expect_tape(&t, "pkt IN S!; ");
    world_silence(&w);
    EXPECT_EQ(w.net.env.stats.segs_in, segs_in);
    t.drops = NULL;
    world_syn(&w, 4000, 1);
    world_turn(&w);
    expect_tape(&t, "pkt IN S!; done IN S!; pkt OUT A; done OUT A; ");
    (void)world_expect(&w, 4000, TCP_ACK);
    world_silence(&w);
    EXPECT_EQ(w.net.env.stats.segs_in, segs_in + 1);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    world_down(&w);
}

/* ---- Fast Open ------------------------------------------------------------------------------ */

/* The SYN's bytes are in the buffer when its packet is done, before anything else of the connection
 * is told. */
static void data_in_a_syn(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.fastopen = NET_FASTOPEN_SERVER | NET_FASTOPEN_SERVER_BLIND;
    tape_up(&t, &w, &o);
    world_listen(&w, &l, 10);
    l.fastopen_qlen = 1;
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_SYN,
                    .seq = seq_make(1000),
                    .payload = (const uint8_t *)"hello",
                    .len = 5};
    world_in(&w, &s);
    world_turn(&w);
    expect_tape(&t, "born IN S; pkt IN S; 1>3; moved; done IN S; pkt OUT SA; done OUT SA; ");
    uint32_t iss = world_expect(&w, 4000, TCP_SYN | TCP_ACK)->seq.v;
    world_seg(&w, 4000, TCP_ACK, 1006, iss + 1);
    world_turn(&w);
    expect_tape(&t, "pkt IN A; 3>4; done IN A; ");
    world_down(&w);
}

/* ---- SYN cookies ---------------------------------------------------------------------------- */

static uint32_t cookie_sent(struct tape *t, struct world *w, struct net_listener *l)
{
    struct world_opts o = {.conf = world_conf};
    o.conf.syn_cookies = 2;
    tape_up(t, w, &o);
    world_listen(w, l, 10);
    world_syn(w, 4000, 1000);
    world_turn(w);
    expect_tape(t, "");
    return world_expect(w, 4000, TCP_SYN | TCP_ACK)->seq.v;
}

static void a_cookie_is_told_when_it_comes_back(void)
{
    struct world w;
    struct tape t;
    struct net_listener l;
    uint32_t iss = cookie_sent(&t, &w, &l);
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    expect_tape(&t, "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; "
                    "pkt IN A; moved; 3>4; done IN A; ");
    world_silence(&w);
    world_down(&w);
}

/* Whatever a monitor does in these calls, no record stays that the peer's segment did not complete.
 */
static void a_cookies_monitor_may_do_anything(void)
{
    static const struct {
        const char *drops, *resets, *unlistens, *want;
    } row[] = {
        {"born IN S", NULL, NULL, "born IN S; "},
        {"pkt IN A", NULL, NULL,
         "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; pkt IN A; dying 5; "},
        {NULL, "pkt IN S", NULL,
         "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; "
         "pkt IN A!; done IN A!; pkt OUT R; done OUT R; dying 7; "},
        {NULL, "done OUT SA", NULL,
         "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; "
         "pkt IN A!; done IN A!; pkt OUT R; done OUT R; dying 7; "},
        {NULL, NULL, "done IN S",
         "born IN S; pkt IN S; 1>3; done IN S; pkt OUT SA; done OUT SA; "
         "pkt IN A!; done IN A!; dying 5; "},
    };
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct world w;
        struct tape t;
        struct net_listener l;
        uint32_t iss = cookie_sent(&t, &w, &l);
        t.drops = row[i].drops;
        t.resets = row[i].resets;
        t.unlistens = row[i].unlistens;
        t.listener = &l;
        world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
        world_turn(&w);
        world_advance(&w, 10000);
        expect_tape(&t, row[i].want);
        CU_ASSERT(world_flow(&w, 4000) == NULL);
        EXPECT_EQ(w.net.n_half_open, 0);
        while (world_out(&w))
            ;
        world_down(&w);
    }
}

TEST_SUITE(net_hook, TEST_CASE(data_in_a_syn), TEST_CASE(a_cookie_is_told_when_it_comes_back),
           TEST_CASE(a_cookies_monitor_may_do_anything), TEST_CASE(a_passive_handshake),
           TEST_CASE(an_active_handshake), TEST_CASE(a_retransmitted_syn_is_not_born_again),
           TEST_CASE(what_nobody_wants_is_told_once), TEST_CASE(orphans_are_told),
           TEST_CASE(a_dropped_syn_never_was), TEST_CASE(a_dropped_syn_does_not_leave),
           TEST_CASE(a_dropped_segment_moves_nothing), TEST_CASE(a_refused_segment_is_marked),
           TEST_CASE(errors_of_what_comes_in), TEST_CASE(errors_of_what_is_given_back),
           TEST_CASE(only_the_data_of_spared_segments_is_told),
           TEST_CASE(what_moves_a_state_is_not_spared),
           TEST_CASE(the_last_ack_of_a_handshake_can_be_dropped),
           TEST_CASE(changed_payload_is_what_arrives), TEST_CASE(changed_headers_are_taken),
           TEST_CASE(fragments_are_changed_as_a_whole), TEST_CASE(a_changed_syn_makes_the_record),
           TEST_CASE(what_was_changed_leaves), TEST_CASE(a_monitor_resets_whenever_it_wants),
           TEST_CASE(a_reset_comes_before_the_answer),
           TEST_CASE(a_reset_in_the_verdict_comes_before_the_data),
           TEST_CASE(after_detach_nothing_is_told), TEST_CASE(the_listener_may_go_at_any_time),
           TEST_CASE(a_monitored_time_wait_stays_a_connection),
           TEST_CASE(monitored_time_waits_are_bounded),
           TEST_CASE(the_end_of_all_says_how_each_ended),
           TEST_CASE(a_new_syn_ends_the_old_connection_first),
           TEST_CASE(an_old_syn_is_answered_after_the_verdict));
