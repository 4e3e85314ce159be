/* The command line of epclient. */
#ifndef EPCLIENT_ARGS_H
#define EPCLIENT_ARGS_H

#include "apps/epclient/url.h"

#include <stdbool.h>
#include <stdint.h>

struct args {
    struct url url;
    uint64_t total;        /* requests; 0: no limit */
    uint64_t concurrency;  /* connections at a time, of all cores */
    uint64_t n_cores;      /* 0: what the configuration says */
    uint64_t duration_s;   /* after so long no request begins; 0: no limit */
    uint64_t rate;         /* requests per second; 0: as fast as answers come */
    uint64_t timeout_s;    /* of one request */
    uint64_t pipeline;     /* requests on their way per connection */
    uint64_t upload_bytes; /* HTTP: POST with so many; 0: GET */
    const char *conf_file; /* NULL: the defaults */
    const char *out_file;  /* HTTP: where the content goes; NULL: nowhere */
    int family;            /* of addresses of a name; AF_UNSPEC: any */
    bool keep_alive;       /* HTTP: several requests per connection */
    bool is_rpc;
    bool is_download; /* --download was said, which is the default */
    bool any_length;  /* responses may differ in length */
    bool is_json;
    bool is_hashed; /* all contents must have one hash */
    bool has_hash;  /* which is this one; else the first's */
    uint64_t hash;
    uint32_t rpc_req, rpc_resp; /* bytes */
};

enum args_result { ARGS_RUN, ARGS_HELP, ARGS_WRONG };

/* Reads the command line. ARGS_HELP: printed on stdout; ARGS_WRONG: one line on stderr. */
enum args_result args_read(struct args *a, int argc, char **argv);

#endif
