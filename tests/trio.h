/*
 * Two endpoints and a wire between them, which a monitor looks into: three contexts, two links in
 * memory, one fake clock, one thread.
 *
 *     struct trio t;
 *     trio_open(&t, NULL, NULL);                  server 10.0.0.1, client 10.0.0.2, t.mid between
 *     trio_run(&t, 10000);                        10 ms pass
 *     trio_close(&t);
 *
 * With no client (`trio.cli` NULL) the test itself is the other end: trio_send(), trio_receive().
 */
#ifndef TESTS_TRIO_H
#define TESTS_TRIO_H

#include "mtcp/base/rng.h"

#include <mtcp_io.h>

#include <mtcp_api.h>
#include <stdbool.h>
#include <stdint.h>

enum trio_role { TRIO_SRV, TRIO_MID, TRIO_CLI, TRIO_N };

/* A link's end with losses in front: what it sends is lost, sent twice, or after the next. */
struct trio_end {
    struct mtcp_io io; /* first */
    struct trio *t;
    struct mtcp_io *real;
    struct mtcp_pkt *late;
};

struct trio {
    mctx_t m[TRIO_N]; /* NULL: the test is there itself */
    int ep[TRIO_N];
    uint64_t now_us;
    struct mtcp_io_pair *link[2];
    struct trio_end
        end[4]; /* of the server; of the wire: to the server, to the client; of the client */
    struct rng rng;
    bool cut[TRIO_N];   /* nothing reaches that endpoint */
    unsigned per_mille; /* of the frames are lost; as many come late, half as many twice */
};

struct trio_conf {
    const char *ends; /* lines for the mos section of the endpoints, and of the wire; NULL: none */
    const char *mid;
    bool no_server, no_client;
};

void trio_open(struct trio *t, const struct trio_conf *conf);
void trio_close(struct trio *t);

/* Turns of all until nothing moves; the clock goes on. */
void trio_step(struct trio *t, uint64_t us);
void trio_run(struct trio *t, uint64_t us);

/* For a test that is an end itself: a frame to the wire; the next frame from it into buf, its
 * length, 0: none. */
void trio_send(struct trio *t, enum trio_role role, const uint8_t *frame, uint32_t len);
uint32_t trio_receive(struct trio *t, enum trio_role role, uint8_t *buf, uint32_t room);

/* Nonblocking: the server listens, the client connects. */
int trio_listen(struct trio *t, uint16_t port);
int trio_connect(struct trio *t, uint16_t port);

#endif
