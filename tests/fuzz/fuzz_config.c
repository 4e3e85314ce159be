/*
 * The configuration: any text is taken or refused with one line, and a context that it makes can be
 * ended. No plugin is loaded and no log is written (texts that name either are left to t_config).
 */
#include "mtcp/base/bug.h"
#include "mtcp/core/config.h"

#include <mtcp_io.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Fuzz targets trap in every build. */
#define HOLDS(x) BUG_ON(!(x))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- a device that nobody is at ---- */

static unsigned no_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts, (void)n;
    return 0;
}

static struct mtcp_pkt *no_alloc(struct mtcp_io *io)
{
    (void)io;
    return NULL;
}

static void no_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    (void)io, (void)pkt;
}

static uint64_t clock_us;

static uint64_t now_us(void *arg)
{
    (void)arg;
    return clock_us;
}

static void wait_until(void *arg, uint64_t until_us)
{
    (void)arg;
    clock_us = until_us;
}

static void context_try(const char *text)
{
    struct mtcp_io io = {.rx_burst = no_rx,
                         .tx_burst = no_rx,
                         .alloc = no_alloc,
                         .free = no_free,
                         .mtu = 1500,
                         .name = "fuzz0",
                         .mac = {2, 0, 0, 0, 0, 1}};
    struct mtcp_io *ios[] = {&io};
    struct mtcp_env env = {.now_us = now_us, .wait = wait_until, .seed = 1};
    clock_us = 1000000;
    mctx_t m = mtcp_create_context_io(0, text, ios, 1, &env);
    if (m)
        HOLDS(mtcp_destroy_context(m) == 0);
}

/* A context of this size is worth making; one that would write or load something is not. */
static bool is_modest(const struct config *c)
{
    return c->n_monitors == 0 && c->log_file[0] == '\0' && !c->stat_print &&
           c->max_concurrency <= 1000 && c->max_monitor_socks <= 1000 &&
           c->net.max_half_open <= 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct config c;
    char err[256] = "";
    char *text = strndup((const char *)data, len);
    HOLDS(text);
    int rc = config_load_text(&c, text, err, sizeof(err));
    HOLDS(rc <= 0 && (rc == 0) == (err[0] == '\0'));
    HOLDS(strlen(err) < sizeof(err) && !strchr(err, '\n'));
    if (rc == 0) {
        HOLDS(c.n_netdevs <= NET_IF_MAX && c.tcp.rcvbuf >= 2048 && c.tcp.sndbuf >= 2048);
        if (is_modest(&c))
            context_try(text);
    }
    free(text);
    return 0;
}
