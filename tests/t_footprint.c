/*
 * What an established connection costs while it is idle: the dormant record, its socket, its entry
 * in an epoll and its places in all tables, without buffers (docs/performance.md).
 */
#include "mtcp/core/ctx.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <mtcp_epoll.h>

#include <unistd.h>

#define FIRST          500
#define MORE           2000
#define BYTES_PER_CONN 320

static int ends[FIRST + MORE][2]; /* at the server, at the client */

static size_t in_use(mctx_t m)
{
    return mem_in_use(ctx_of_live(m)->mem);
}

/* A connection that has carried a byte each way, with both ends in an epoll. */
static void open_one(struct duo *d, int listener, int *end)
{
    end[0] = duo_pair(d, listener, &end[1]);
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN};
    char octet = 0;
    EXPECT_EQ(mtcp_epoll_ctl(d->srv, d->srv_ep, MOS_EPOLL_CTL_ADD, end[0], &ev), 0);
    EXPECT_EQ(mtcp_epoll_ctl(d->cli, d->cli_ep, MOS_EPOLL_CTL_ADD, end[1], &ev), 0);
    EXPECT_EQ(mtcp_write(d->cli, end[1], &octet, 1), 1);
    duo_step(d, 0);
    EXPECT_EQ(mtcp_read(d->srv, end[0], &octet, 1), 1);
    EXPECT_EQ(mtcp_write(d->srv, end[0], &octet, 1), 1);
    duo_step(d, 0);
    EXPECT_EQ(mtcp_read(d->cli, end[1], &octet, 1), 1);
}

static void idle_connection_is_small(void)
{
    struct duo d;
    duo_open(&d, NULL);
    int listener = duo_listen(&d, 80), n = 0;
    while (n < FIRST)
        open_one(&d, listener, ends[n++]);
    duo_run(&d, 3000000); /* delayed ACKs have gone, buffers too, and they doze */
    size_t srv = in_use(d.srv), cli = in_use(d.cli);
    while (n < FIRST + MORE)
        open_one(&d, listener, ends[n++]);
    duo_run(&d, 3000000);
    CU_ASSERT((in_use(d.srv) - srv) / MORE <= BYTES_PER_CONN);
    CU_ASSERT((in_use(d.cli) - cli) / MORE <= BYTES_PER_CONN);
    while (n-- > 0) {
        mtcp_abort(d.cli, ends[n][1]);
        duo_step(&d, 0);
        mtcp_close(d.srv, ends[n][0]);
    }
    duo_close(&d);
}

TEST_SUITE(footprint, TEST_CASE(idle_connection_is_small));
