/* One line per second about a context, on standard error, for `stat_print`. */
#ifndef MTCP_CORE_STATS_H
#define MTCP_CORE_STATS_H

#include <stdint.h>

struct mtcp_ctx;

/* What the counters said when the last line was printed. */
struct stats_printer {
    uint64_t next_us; /* of the clock: when the next line is due; UINT64_MAX: never */
    uint64_t last_us;
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t opened, accepted, closed, rexmit;
};

void stats_init(struct mtcp_ctx *ctx);

/* Prints a line when one is due. The clock is the turn's. */
void stats_turn(struct mtcp_ctx *ctx);

/* The line by itself, without its newline: at most len bytes. */
void stats_line(const struct mtcp_ctx *ctx, char *line, unsigned len);

#endif
