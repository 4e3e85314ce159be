/* Two endpoints and a wire between them. */
#include "tests/trio.h"

#include "tests/duo.h"
#include "tests/test.h"

#include <mtcp_epoll.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now_us(void *arg)
{
    return ((struct trio *)arg)->now_us;
}

static void never_wait(void *arg, uint64_t until_us)
{
    (void)arg, (void)until_us;
    fprintf(stderr, "trio: a call blocks\n");
    abort();
}

/* ---- ends with losses ------------------------------------------------------------------------ */

static struct trio_end *end_of(struct mtcp_io *io)
{
    return (struct trio_end *)(void *)io;
}

static bool is_cut(const struct trio_end *e)
{
    unsigned i = (unsigned)(e - e->t->end);
    return (i == 0 && e->t->cut[TRIO_SRV]) || (i == 3 && e->t->cut[TRIO_CLI]);
}

static unsigned rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct mtcp_io *real = end_of(io)->real;
    unsigned n_got = real->rx_burst(real, pkts, n);
    if (!is_cut(end_of(io)))
        return n_got;
    for (unsigned i = 0; i < n_got; i++)
        real->free(real, pkts[i]);
    return 0;
}

static struct mtcp_pkt *alloc(struct mtcp_io *io)
{
    struct mtcp_io *real = end_of(io)->real;
    return real->alloc(real);
}

static void give_back(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    struct mtcp_io *real = end_of(io)->real;
    real->free(real, pkt);
}

static void pass(struct trio_end *e, struct mtcp_pkt *pkt)
{
    if (e->real->tx_burst(e->real, &pkt, 1) == 0)
        e->real->free(e->real, pkt);
}

static void pass_twice(struct trio_end *e, struct mtcp_pkt *pkt)
{
    struct mtcp_pkt *copy = e->real->alloc(e->real);
    if (copy) {
        memcpy(copy->data, pkt->data, pkt->len);
        copy->len = pkt->len;
        pass(e, copy);
    }
    pass(e, pkt);
}

static void pass_badly(struct trio_end *e, struct mtcp_pkt *pkt)
{
    unsigned p = e->t->per_mille, dice = rng_below(&e->t->rng, 1000);
    struct mtcp_pkt *late = e->late;
    if (dice < p) {
        e->real->free(e->real, pkt);
    } else if (dice < 2 * p && !late) {
        e->late = pkt;
        return;
    } else if (2 * dice < 5 * p) {
        pass_twice(e, pkt);
    } else {
        pass(e, pkt);
    }
    e->late = NULL;
    if (late)
        pass(e, late);
}

static unsigned tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pass_badly(end_of(io), pkts[i]);
    return n;
}

static void end_open(struct trio *t, unsigned i, struct mtcp_io_pair *link, unsigned end)
{
    struct trio_end *e = &t->end[i];
    e->real = mtcp_io_pair_end(link, end);
    e->t = t;
    e->io = *e->real;
    e->io.rx_burst = rx;
    e->io.tx_burst = tx;
    e->io.alloc = alloc;
    e->io.free = give_back;
    e->io.sleep_begin = NULL;
    e->io.sleep_end = NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void context_open(struct trio *t, enum trio_role role, const char *text)
{
    struct mtcp_env env = {now_us, never_wait, t, 1 + role};
    struct mtcp_io *ios[2] = {&t->end[role == TRIO_CLI ? 3 : role].io, &t->end[2].io};
    t->m[role] = mtcp_create_context_io((int)role, text, ios, role == TRIO_MID ? 2 : 1, &env);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t->m[role]);
    t->ep[role] = mtcp_epoll_create(t->m[role], 1);
}

static const char *lines(const char *text)
{
    return text ? text : "";
}

void trio_open(struct trio *t, const struct trio_conf *conf)
{
    static const struct trio_conf none;
    struct mtcp_io_pair_conf link = {.n_pkts = 1024, .depth = 512};
    char text[1024];
    if (!conf)
        conf = &none;
    memset(t, 0, sizeof(*t));
    t->now_us = 1000000;
    rng_init(&t->rng, 1);
    for (unsigned i = 0; i < 2; i++) {
        t->link[i] = mtcp_io_pair_create(&link);
        CU_ASSERT_PTR_NOT_NULL_FATAL(t->link[i]);
        end_open(t, 2 * i, t->link[i], 0);
        end_open(t, 2 * i + 1, t->link[i], 1);
    }
    snprintf(text, sizeof(text), "mos { forward = 1 %s netdev pair1 { } netdev pair0 { } }",
             lines(conf->mid));
    context_open(t, TRIO_MID, text);
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0 ? conf->no_server : conf->no_client)
            continue;
        snprintf(text, sizeof(text), "mos { %s netdev pair%u { address = \"10.0.0.%u/24\" } }",
                 lines(conf->ends), i, i + 1);
        context_open(t, i == 0 ? TRIO_SRV : TRIO_CLI, text);
    }
    trio_step(t, 0);
}

void trio_close(struct trio *t)
{
    t->per_mille = 0;
    for (unsigned i = 0; i < TRIO_N; i++)
        if (t->m[i])
            EXPECT_EQ(mtcp_destroy_context(t->m[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        if (t->end[i].late)
            t->end[i].real->free(t->end[i].real, t->end[i].late);
    mtcp_io_pair_destroy(t->link[0]);
    mtcp_io_pair_destroy(t->link[1]);
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t n_frames(const struct trio *t)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct mtcp_io_stats s;
        t->end[i].real->stats(t->end[i].real, &s);
        n += s.rx_packets + s.tx_packets;
    }
    return n;
}

void trio_step(struct trio *t, uint64_t us)
{
    uint64_t before;
    do {
        before = n_frames(t);
        for (unsigned i = 0; i < TRIO_N; i++) {
            struct mtcp_epoll_event ev;
            if (t->m[i])
                mtcp_epoll_wait(t->m[i], t->ep[i], &ev, 1, 0);
        }
    } while (n_frames(t) != before);
    t->now_us += us;
}

void trio_run(struct trio *t, uint64_t us)
{
    uint64_t until = t->now_us + us;
    while (t->now_us < until)
        trio_step(t, until - t->now_us < 1000 ? until - t->now_us : 1000);
    trio_step(t, 0);
}

/* ---- an end that is the test's --------------------------------------------------------------- */

static struct mtcp_io *far_end(const struct trio *t, enum trio_role role)
{
    return t->end[role == TRIO_SRV ? 0 : 3].real;
}

void trio_send(struct trio *t, enum trio_role role, const uint8_t *frame, uint32_t len)
{
    struct mtcp_io *io = far_end(t, role);
    struct mtcp_pkt *pkt = io->alloc(io);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
    CU_ASSERT_FATAL(len <= pkt->room);
    memcpy(pkt->data, frame, len);
    pkt->len = len;
    CU_ASSERT_EQUAL_FATAL(io->tx_burst(io, &pkt, 1), 1);
}

uint32_t trio_receive(struct trio *t, enum trio_role role, uint8_t *buf, uint32_t room)
{
    struct mtcp_io *io = far_end(t, role);
    struct mtcp_pkt *pkt;
    if (io->rx_burst(io, &pkt, 1) == 0)
        return 0;
    uint32_t len = pkt->len;
    CU_ASSERT_FATAL(len <= room);
    memcpy(buf, pkt->data, len);
    io->free(io, pkt);
    return len;
}

/* ---- sockets --------------------------------------------------------------------------------- */

int trio_listen(struct trio *t, uint16_t port)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", port);
    int s = mtcp_socket(t->m[TRIO_SRV], AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_bind(t->m[TRIO_SRV], s, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(mtcp_listen(t->m[TRIO_SRV], s, 128), 0);
    return s;
}

int trio_connect(struct trio *t, uint16_t port)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", port);
    int s = mtcp_socket(t->m[TRIO_CLI], AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_connect(t->m[TRIO_CLI], s, (struct sockaddr *)&a, sizeof(a)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    return s;
}
