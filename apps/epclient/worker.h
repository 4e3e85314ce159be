/*
 * One core: a context, an epoll, its connections, its share of the requests. Nothing is shared with
 * other workers but what is const, the counters that the main thread shows, and the descriptor that
 * tells them to stop. worker.c opens and closes connections and runs the loop; exchange.c speaks on
 * one of them.
 */
#ifndef EPCLIENT_WORKER_H
#define EPCLIENT_WORKER_H

#include "apps/epclient/args.h"
#include "apps/epclient/results.h"
#include "apps/epclient/schedule.h"

#include <http_parser.h>
#include <mtcp_api.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <xxhash.h>

#define WORKER_CHUNK 65536

/* A connection and the requests on it, answered in the order in which they were sent. */
struct conn {
    struct conn *next;         /* in the queue of those that take a request */
    int sock;                  /* -1: none */
    bool is_open;              /* connected; else still connecting */
    bool is_queued;            /* in that queue */
    bool waits_for_room;       /* in the epoll for MOS_EPOLLOUT too */
    bool is_complete, is_kept; /* HTTP: the response is, and the server keeps the connection */
    bool is_unwritten;         /* the response's content could not be written to out_fd */
    int out_fd;                /* where it goes; -1: nowhere */
    uint32_t first;            /* in its ring of requests: the oldest on its way */
    uint32_t n_asked;          /* requests on their way */
    uint32_t n_unsent;         /* the newest of these: not wholly sent */
    uint64_t n_sent;           /* bytes of the oldest of those */
    uint64_t n_got;            /* bytes of content of the response that is being received */
    XXH64_state_t *hash;       /* of this content; NULL: not wanted */
    http_parser parser;
};

struct worker {
    const struct args *args;
    int core;
    int stop_fd;   /* readable: end. A worker that fails makes it so */
    int done_fd;   /* gets one from each worker that ends by itself */
    sem_t started; /* posted once: `failed` is known */
    sem_t go;      /* posted once by the main thread, with begun_us in the schedule and results */
    bool failed, is_stopped;
    pthread_t thread;

    mctx_t mctx;
    int epid;
    uint32_t n_conns;
    struct conn *conns;              /* n_conns */
    struct request *requests;        /* args.pipeline for each: rings */
    struct conn **by_sock;           /* by socket id */
    struct conn *queue, **queue_end; /* connections that take a request, longest waiting first */
    unsigned addr_at;                /* of the url's addresses: the one connected to */
    struct conn *resting;            /* by `next`: those without a socket, while is_short */
    bool is_short;                   /* since the last tick there was no port or memory for one */
    uint64_t n_asked;                /* requests on their way */
    uint64_t now_us;
    struct schedule schedule;
    struct results results;
    _Atomic uint64_t n_done, n_failed; /* the results so far, for the main thread */

    char head[4096]; /* of every request */
    size_t head_len;
    uint64_t request_len; /* with the content */
    char buf[WORKER_CHUNK];
};

uint64_t clock_us(void);

/* Starts the thread and waits until it can begin; false when it can't: one line is on stderr. It
 * begins with sem_post(&w->go). */
bool worker_start(struct worker *w);
void worker_join(struct worker *w);

/* ---- exchange.c: needs of the worker args, mctx, requests, results, now_us ---- */

enum progress {
    GOES_ON,        /* it waits for the server */
    WAITS_FOR_ROOM, /* requests are not wholly sent */
    ENDED,          /* the connection is to be closed; requests on it go to another */
    BROKEN,         /* see `why` */
};

/* Writes the request that all connections send. */
void exchange_prepare(struct worker *w);

void exchange_add(struct worker *w, struct conn *c, const struct request *r);

/* The connection is new: what it has of requests is to be sent. */
void exchange_restart(struct conn *c);

enum progress exchange_send(struct worker *w, struct conn *c, enum outcome *why);
enum progress exchange_receive(struct worker *w, struct conn *c, enum outcome *why);

/* All requests on the connection have failed. */
void exchange_fail(struct worker *w, struct conn *c, enum outcome why);

/* Since when the oldest request of the connection, which has one, is waited for. */
uint64_t exchange_since(const struct worker *w, const struct conn *c);

/* The outcome that an errno of the stack stands for. */
enum outcome outcome_of_errno(int err);

#endif
