/*
 * What became of the requests: counted by each worker, added up at the end, turned into an exit
 * status. Numbers only: report.c has the words.
 */
#ifndef EPCLIENT_RESULTS_H
#define EPCLIENT_RESULTS_H

#include "apps/epclient/args.h"
#include "apps/epclient/histogram.h"

/* What became of a request. */
enum outcome {
    DONE,
    FAILED_REFUSED,     /* the connection was refused */
    FAILED_UNREACHABLE, /* no way to the host */
    FAILED_CONNECT,     /* nobody answered the connection in time */
    FAILED_TIMEOUT,     /* no answer within args.timeout_s */
    FAILED_LATE,        /* open loop: no connection was free within args.timeout_s */
    FAILED_RESET,
    FAILED_CLOSED,   /* the response ended early */
    FAILED_RESPONSE, /* it is no HTTP, or more than was asked for */
    FAILED_STATUS,   /* it is not 2xx */
    FAILED_LENGTH,   /* its content is not as long as the first one's */
    FAILED_HASH,     /* its content is another */
    FAILED_OUTPUT,   /* its content can't be written to args.out_file */
    FAILED_LOCAL,    /* no socket, port or memory here */
    OUTCOMES,
};

struct results {
    uint64_t outcomes[OUTCOMES];
    uint64_t n_unfinished;       /* on their way when all was interrupted */
    uint64_t n_conns;            /* connections begun */
    uint64_t n_received, n_sent; /* bytes of the streams */
    uint64_t begun_us, ended_us;
    bool has_content;                     /* a response was complete: */
    uint64_t content_bytes, content_hash; /* the first one's */
    struct histogram latency;             /* us, of requests that are DONE */
};

void results_init(struct results *r);

/* Compares a content with the one expected, or makes it that: DONE, FAILED_LENGTH or FAILED_HASH.
 */
enum outcome results_check(struct results *r, const struct args *a, uint64_t bytes, uint64_t hash);

/* Adds another worker's. If that one saw other contents throughout, its requests have failed. */
void results_merge(struct results *r, const struct results *other, const struct args *a);

uint64_t results_errors(const struct results *r);

/* The program's exit status: documented in epclient.1. `signal` has ended it; 0: none has. */
enum {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_CANT_RUN = 3,
    STATUS_NO_NAME = 4,
    STATUS_UNREACHED = 5,
    STATUS_SIGNAL = 128,
};
int results_status(const struct results *r, const struct args *a, int signal);

#endif
