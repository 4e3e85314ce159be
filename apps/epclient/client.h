/*
 * The load: so many requests over so many connections, what became of them, and how long they took.
 * client.c opens and closes connections and runs the loop; exchange.c speaks on one of them;
 * report.c prints.
 */
#ifndef EPCLIENT_CLIENT_H
#define EPCLIENT_CLIENT_H

#include "apps/epclient/args.h"
#include "apps/epclient/histogram.h"

#include <http_parser.h>
#include <mtcp_api.h>

#define CLIENT_CHUNK 65536

/* What became of a request. */
enum outcome {
    DONE,
    FAILED_REFUSED,     /* the connection was refused */
    FAILED_UNREACHABLE, /* no way to the host */
    FAILED_TIMEOUT,     /* of the connection, or of args.timeout_s */
    FAILED_RESET,
    FAILED_CLOSED,   /* the response ended early */
    FAILED_RESPONSE, /* it is no HTTP */
    FAILED_STATUS,   /* it is not 2xx */
    FAILED_LOCAL,    /* no socket, port or memory here */
    OUTCOMES,
};

struct conn {
    int sock;     /* -1: none */
    bool is_open; /* connected; else still connecting */
    bool waits_for_room;
    bool is_put_off;   /* its next request begins in the next turn */
    uint64_t start_us; /* of the request: of its connection, if it is the first */
    uint64_t n_sent;   /* of the request, bytes */
    uint64_t n_got;    /* rpc: of the response, bytes */
    http_parser parser;
};

struct client {
    const struct args *args;
    mctx_t mctx;
    int epid, signal_fd;
    struct conn *conns;    /* args.concurrency */
    struct conn **by_sock; /* by socket id */
    int max_socks, n_busy; /* connections with a request on its way */
    int n_put_off;         /* of these: is_put_off */
    uint64_t n_left;       /* requests not begun */
    uint64_t n_bytes;      /* received */
    uint64_t begun_us, now_us, ended_us;
    uint64_t outcomes[OUTCOMES];
    bool is_interrupted;
    struct histogram latency; /* us */
    char request[4096];
    size_t request_len;
    char buf[CLIENT_CHUNK];
};

/* Runs all requests, or until a signal. False when it can't even begin: one line is on stderr. */
bool client_run(struct client *cl);

/* ---- exchange.c ---- */

/* How far an exchange has come. */
enum progress {
    WAITS_TO_READ,
    WAITS_FOR_ROOM,
    FINISHED_KEEP,  /* the response is complete, the connection can be used again */
    FINISHED_CLOSE, /* complete, and the connection is to be closed */
    BROKEN,         /* see `why` */
};

/* Writes the request that all connections send. */
void exchange_prepare(struct client *cl);

void exchange_begin(struct client *cl, struct conn *c);

/* Sends and receives what can be. */
enum progress exchange_go_on(struct client *cl, struct conn *c, enum outcome *why);

/* The outcome that an errno of the stack stands for. */
enum outcome outcome_of_errno(int err);

/* ---- report.c ---- */

/* Prints the results; true when every request was done and they could be written. */
bool report_print(const struct client *cl);

#endif
