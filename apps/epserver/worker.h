/*
 * One core: a context, a listener, an epoll, and its connections. Nothing is shared with other
 * workers but what is const, and the descriptor that tells them to stop.
 */
#ifndef EPSERVER_WORKER_H
#define EPSERVER_WORKER_H

#include "apps/epserver/accesslog.h"
#include "apps/epserver/args.h"
#include "apps/epserver/conn.h"
#include "apps/epserver/files.h"
#include "apps/epserver/request.h"
#include "apps/epserver/response.h"

#include <mtcp_api.h>
#include <pthread.h>
#include <semaphore.h>

#define WORKER_CHUNK 65536 /* bytes read from a socket or a file at a time, at most */

struct worker {
    const struct args *args;
    int core;
    int root_fd;
    int log_fd;    /* of the access log; -1: there is none */
    int stop_fd;   /* readable: end. A worker that fails makes it so */
    sem_t started; /* posted once: `failed` is known */
    bool failed;
    pthread_t thread;

    mctx_t mctx;
    int epid, listener;
    bool has_closed;     /* since the last wait: ids that the next one makes usable */
    bool is_listening;   /* the listener is in the epoll: false while every id is in use */
    struct conn **conns; /* by socket id */
    int max_conns, n_conns;
    int n_conns_full; /* while !is_listening: how many there were, and since when */
    uint64_t full_ms;
    struct conn_list alive;     /* by the time something last moved; closed after args.timeout_s */
    struct conn_list lingering; /* response sent, waiting for the peer's end of the stream */
    uint64_t turn, now_ms;
    uint64_t log_ms; /* when the access log was written last */
    time_t date_at;
    char date[HTTPDATE_LEN + 1];

    struct files files;
    struct request *free_requests;
    unsigned n_free_requests;
    struct accesslog log;
    char head[RESPONSE_HEAD_ROOM], log_line[ACCESSLOG_LINE_ROOM];
    char input[WORKER_CHUNK], chunk[WORKER_CHUNK];
};

/* Starts the thread and waits until it listens; false when it can't: one line is on stderr. */
bool worker_start(struct worker *w);
void worker_join(struct worker *w);

#endif
