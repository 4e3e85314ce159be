/* Two hosts with a stack each and the link between them, without the applications, the monitors and
 * the checks of a run. */
#include "tests/sim/sim.h"

#include "mtcp/core/ctx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hosts_now(void *arg)
{
    return ((struct hosts *)arg)->sim.now_us;
}

static void hosts_wait(void *arg, uint64_t until_us)
{
    (void)arg;
    (void)until_us;
}

void hosts_open(struct hosts *h, const struct link_conf *lc, bool is_v6, const char *conf)
{
    memset(h, 0, sizeof(*h));
    h->sim.now_us = 1000000;
    rng_init(&h->sim.rng, 1);
    h->sim.link = link_create(&h->sim, lc);
    for (unsigned i = 0; i < 2; i++) {
        char text[1024];
        struct mtcp_io *io = link_end(h->sim.link, i);
        struct mtcp_env env = {.now_us = hosts_now, .wait = hosts_wait, .arg = h, .seed = 77 + i};
        snprintf(text, sizeof(text), "mos {\n netdev \"sim0\" { address = {\"%s%u/%u\"} }\n%s}\n",
                 is_v6 ? "fd00::" : "10.0.0.", 1 + i, is_v6 ? 64 : 24, conf);
        h->m[i] = mtcp_create_context_io((int)i, text, &io, 1, &env);
        if (!h->m[i]) {
            fprintf(stderr, "sim: no context: %s\n", strerror(errno));
            exit(2);
        }
        h->epid[i] = mtcp_epoll_create(h->m[i], 1);
    }
}

void hosts_turn(struct hosts *h)
{
    struct mtcp_epoll_event ev;
    for (unsigned i = 0; i < 2; i++)
        (void)mtcp_epoll_wait(h->m[i], h->epid[i], &ev, 1, 0);
}

void hosts_tick(struct hosts *h, uint64_t until_us)
{
    uint64_t next = link_next_us(h->sim.link);
    for (unsigned i = 0; i < 2; i++) {
        struct net *net = &ctx_of(h->m[i])->net;
        uint64_t at = net_has_work(net) ? h->sim.now_us : net_next_us(net);
        next = at < next ? at : next;
    }
    next = next < until_us ? next : until_us;
    h->sim.now_us =
        next > h->sim.now_us ? next : h->sim.now_us + 1; /* a turn takes a microsecond */
}

void hosts_close(struct hosts *h)
{
    for (unsigned i = 0; i < 2; i++)
        mtcp_destroy_context(h->m[i]);
    link_destroy(h->sim.link);
}
