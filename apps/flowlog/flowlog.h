/* What the files of flowlog share: a log, a connection in it, and the lines. */
#ifndef FLOWLOG_FLOWLOG_H
#define FLOWLOG_FLOWLOG_H

#include "apps/common/out.h"
#include "apps/common/plugin.h"
#include "apps/flowlog/options.h"

#include <mtcp_api.h>
#include <stdint.h>

/* One per context and section. */
struct flowlog {
    struct plugin plugin; /* first */
    struct flowlog_options options;
    struct out out;
    uint64_t n_flows, n_lines;
};

/* One per connection: the context pointer of its active socket. */
struct flow {
    struct flowlog *log;
    uint64_t number;
    uint64_t n_bytes[2]; /* to the client, to the server */
    uint64_t n_missed[2];
    uint64_t since_us; /* of flow_now_us() */
    int sock;
    char name[2 * PUT_ADDR_MAX + 8]; /* "client:port > server:port" */
};

/* Now on the stack's clock; over a capture that is the time of its packets. */
uint64_t flow_now_us(const struct flow *f);

/* One line: time, connection, event, and the rest as printf writes it. */
__attribute__((format(printf, 3, 4))) void print_line(const struct flow *f, const char *event,
                                                      const char *format, ...);

/* One line with the four edges of a side's buffer and the runs of bytes in it. */
void print_edges(const struct flow *f, mctx_t mctx, int sock, int side);

const char *print_side(int side);
const char *print_state(int state);
const char *print_reason(int reason);

#endif
