/* What output.c offers the rest of tcp/. */
#ifndef MTCP_TCP_OUTPUT_H
#define MTCP_TCP_OUTPUT_H

#include "mtcp/tcp/conn.h"

/* The window field of the next segment (not of a SYN): what the receive buffer takes beyond what is
 * in order, scaled. Its right edge never moves left (RFC 9293 3.8.6), and moves right only by what
 * is worth it (3.8.6.2.2). */
uint16_t output_window(const struct tcp_conn *c);

#endif
