/* The command line of epclient. */
#ifndef EPCLIENT_ARGS_H
#define EPCLIENT_ARGS_H

#include "apps/epclient/url.h"

#include <stdbool.h>
#include <stdint.h>

struct args {
    struct url url;
    uint64_t total;        /* requests */
    int concurrency;       /* connections at a time */
    const char *conf_file; /* NULL: the defaults */
    bool keep_alive;       /* HTTP: several requests per connection */
    bool is_rpc;
    uint32_t rpc_req, rpc_resp; /* bytes */
    uint32_t timeout_s;         /* of one request */
};

enum args_result { ARGS_RUN, ARGS_HELP, ARGS_WRONG };

/* Reads the command line. ARGS_HELP: printed on stdout; ARGS_WRONG: one line on stderr. */
enum args_result args_read(struct args *a, int argc, char **argv);

#endif
