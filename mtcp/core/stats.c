/* One line per second about a context. Rates are of the time since the line before. */
#include "mtcp/core/stats.h"

#include "mtcp/core/ctx.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SECOND_US 1000000u

/* Counters of all devices and of the connections, as they are now. */
static struct stats_printer counters_now(const struct mtcp_ctx *ctx)
{
    const struct net *n = &ctx->net;
    struct stats_printer s = {.last_us = n->env.now_us};
    for (unsigned i = 0; i < n->n_ifs; i++) {
        s.rx_packets += n->ifs[i].rx_packets;
        s.rx_bytes += n->ifs[i].rx_bytes;
        s.tx_packets += n->ifs[i].tx_packets;
        s.tx_bytes += n->ifs[i].tx_bytes;
    }
    s.opened = n->env.stats.conns_opened;
    s.accepted = n->env.stats.conns_accepted;
    s.closed = n->env.stats.conns_closed;
    s.rexmit = n->env.stats.rexmit_segs;
    return s;
}

void stats_init(struct mtcp_ctx *ctx)
{
    ctx->stats = counters_now(ctx);
    ctx->stats.next_us = ctx->config.stat_print ? ctx->stats.last_us + SECOND_US : UINT64_MAX;
}

static double per_second(uint64_t now, uint64_t before, uint64_t us)
{
    return (double)(now - before) * SECOND_US / (double)us;
}

/* Packet buffers of all devices: those that are free, and all. */
static struct mtcp_io_stats buffers_now(const struct mtcp_ctx *ctx)
{
    struct mtcp_io_stats sum = {0};
    for (unsigned i = 0; i < ctx->net.n_ifs; i++) {
        struct mtcp_io *io = ctx->net.ifs[i].io;
        struct mtcp_io_stats one = {0};
        if (io->stats != NULL)
            io->stats(io, &one);
        sum.pkts_free += one.pkts_free;
        sum.pkts_total += one.pkts_total;
    }
    return sum;
}

void stats_line(const struct mtcp_ctx *ctx, char *line, unsigned len)
{
    const struct stats_printer *was = &ctx->stats;
    struct stats_printer is = counters_now(ctx);
    struct mtcp_io_stats buffers = buffers_now(ctx);
    uint64_t us = is.last_us > was->last_us ? is.last_us - was->last_us : 1;
    snprintf(line, len,
             "[cpu %d] conns %zu opened %.0f/s accepted %.0f/s closed %.0f/s "
             "rx %.0f pps %.1f Mbps tx %.0f pps %.1f Mbps rexmit %.0f/s mem %zu KB "
             "pkts %" PRIu64 "/%" PRIu64,
             ctx->handle->cpu, net_n_conns(&ctx->net), per_second(is.opened, was->opened, us),
             per_second(is.accepted, was->accepted, us), per_second(is.closed, was->closed, us),
             per_second(is.rx_packets, was->rx_packets, us),
             per_second(is.rx_bytes, was->rx_bytes, us) * 8e-6,
             per_second(is.tx_packets, was->tx_packets, us),
             per_second(is.tx_bytes, was->tx_bytes, us) * 8e-6,
             per_second(is.rexmit, was->rexmit, us), mem_in_use(ctx->mem) / 1024,
             buffers.pkts_free, buffers.pkts_total);
}

void stats_turn(struct mtcp_ctx *ctx)
{
    if (ctx->net.env.now_us < ctx->stats.next_us)
        return;
    char line[320];
    stats_line(ctx, line, sizeof(line));
    dprintf(STDERR_FILENO, "%s\n", line);
    stats_init(ctx);
}
