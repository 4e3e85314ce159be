/*
 * Two contexts linked in memory, one fake clock, one thread: the smallest world in which a socket
 * call has somebody to talk to. A blocking call of one context runs the other meanwhile.
 *
 *     struct duo d;
 *     duo_open(&d, NULL);                        server 10.0.0.1 (d.srv), client 10.0.0.2 (d.cli)
 *     int l = duo_listen(&d, 80);
 *     int c, s = duo_pair(&d, l, &c);            a connection: s at the server, c at the client
 *     duo_run(&d, 10000);                        10 ms pass
 *     duo_close(&d);
 */
#ifndef TESTS_DUO_H
#define TESTS_DUO_H

#include <mtcp_io.h>

#include <mtcp_api.h>
#include <stdbool.h>
#include <stdint.h>

struct duo {
    mctx_t srv, cli;
    int srv_ep, cli_ep; /* the epolls that duo_step() turns the contexts with */
    uint64_t now_us;
    struct mtcp_io_pair *pair;
    /* Frames of one direction vanish while set (from the server, from the client). */
    bool cut_srv, cut_cli;
    bool is_full; /* the server's device takes no frame */
    bool is_stepping;
    bool jumps; /* when nothing moves a waiting call's time is over at once: also the other's */
    uint64_t n_waits;               /* of a blocking call; too many end the program */
    void (*on_wait)(struct duo *d); /* called when a blocking call waits; NULL: nothing */
    void *arg;
    struct mtcp_io io[2]; /* the link's ends, with `cut` in front */
};

/* More lines for the mos section of both contexts; NULL: none. */
void duo_open(struct duo *d, const char *conf);

/* The lines are the server's alone. */
void duo_open_srv(struct duo *d, const char *conf);

/* As duo_open() with IPv6 beside IPv4: server fd00::1, client fd00::2, theirs at once. */
void duo_open_v6(struct duo *d, const char *conf);

/* As duo_open() over devices that cut and sum, and take payload in pieces. */
void duo_open_tso(struct duo *d, const char *conf);
void duo_close(struct duo *d); /* destroys both contexts, gracefully */

/* Both contexts run turns until nothing moves; then the clock goes on by `us`. */
void duo_step(struct duo *d, uint64_t us);

/* The same again and again, in steps of at most 1 ms, until `us` have passed. */
void duo_run(struct duo *d, uint64_t us);

/* A nonblocking listener of the server on 10.0.0.1:port. */
int duo_listen(struct duo *d, uint16_t port);

/* A nonblocking socket of the client that has begun to connect to 10.0.0.1:port. */
int duo_connect(struct duo *d, uint16_t port);

/* A whole connection, both ends nonblocking. Returns the server's socket; the client's to *cli. */
int duo_pair(struct duo *d, int listener, int *cli);

struct sockaddr_in;
struct sockaddr_in duo_addr(const char *ip, uint16_t port);
struct sockaddr_in6;
struct sockaddr_in6 duo_addr6(const char *ip, uint16_t port);

#endif
